"""Twilio as its public documents describe it, as far as our calls go: it asks webhooks, reads TwiML and obeys REST.

    a call comes in          voice is asked, signed by Twilio's own library; its TwiML is carried out verb by verb
    Enqueue                  the caller waits; `hears` asks waitUrl once, as Twilio does over and over
    POST Calls/SID           Twiml takes the caller out of the line (its action is asked with QueueResult "redirected",
                             and that answer is not carried out), Status=completed ends the call
    Dial                     the telephone rings: `telephones` says what comes of it; the action gets DialCallStatus
    a call is over           status is asked

A request that is not answered 200 is made once more under the same I-Twilio-Idempotency-Token. REST refuses a wrong
login (401), a call that it does not have (404, code 20404) and one that is over (400, code 21220).
"""

from __future__ import annotations

import itertools
from base64 import b64decode
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import aiohttp
from aiohttp import web
from twilio.request_validator import RequestValidator

TOKEN_HEADER = "I-Twilio-Idempotency-Token"
_numbers = itertools.count(1)

Xml = ElementTree.Element


class Call:
    def __init__(self, sid: str, caller: str, to: str) -> None:
        self.sid, self.caller, self.to = sid, caller, to
        self.state = "ringing"  # ringing, waiting, talking, over
        self.line: dict[str, str] = {}  # of the Enqueue in which it waits
        self.dial: dict[str, str] = {}  # of the Dial in which it talks
        self.heard: list[str] = []
        self.rang: list[str] = []


class Twilio:
    def __init__(self, account: str, token: str, voice: str, status: str) -> None:
        self.account, self.token, self.voice, self.status = account, token, voice, status
        self.telephones: dict[str, str] = {}  # busy, no-answer ...; whoever is not here answers
        self.calls: dict[str, Call] = {}
        self.tokens: list[str] = []  # of every request, in order
        self._validator = RequestValidator(token)
        self.session: aiohttp.ClientSession | None = None

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/2010-04-01/Accounts/{account}/Calls/{call}.json", self._update)
        return app

    # --- people ------------------------------------------------------------------------------------------------------

    async def comes(self, caller: str = "+14158675309", to: str = "+15550100") -> Call:
        call = Call(f"CA{next(_numbers):032x}", caller, to)
        self.calls[call.sid] = call
        await self._carry_out(call, await self._ask(call, self.voice))
        return call

    async def hears(self, call: Call) -> None:
        assert call.state == "waiting"
        await self._carry_out(call, await self._ask(call, call.line["waitUrl"], QueuePosition="1"))

    async def hangs_up(self, call: Call) -> None:
        state, call.state = call.state, "over"
        if state == "waiting":
            await self._ask(call, call.line["action"], QueueResult="hangup")
        if state == "talking":
            await self._ask(call, call.dial["action"], DialCallStatus="completed", DialCallSid=f"{call.sid}L")
        await self._ask(call, self.status, CallStatus="completed")

    # --- TwiML -------------------------------------------------------------------------------------------------------

    async def _carry_out(self, call: Call, response: Xml) -> None:
        for verb in response:
            match verb.tag:
                case "Say":
                    call.heard.append(str(verb.text))
                case "Pause":
                    pass
                case "Enqueue":
                    call.state, call.line = "waiting", dict(verb.attrib)
                    return
                case "Dial":
                    return await self._dial(call, verb)
                case "Redirect":
                    return await self._carry_out(call, await self._ask(call, str(verb.text)))
                case "Hangup" | "Reject":
                    call.state = "over"
                    await self._ask(call, self.status, CallStatus="completed")
                    return
                case other:
                    raise AssertionError(f"{other} is not expected here")
        if response.tag == "Response" and call.state == "ringing":
            call.state = "over"  # nothing is left to do

    async def _dial(self, call: Call, dial: Xml) -> None:
        [noun] = dial
        assert noun.tag in ("Sip", "Number", "Client")
        call.rang.append(str(noun.text))
        result = self.telephones.get(str(noun.text), "answered")
        if result != "answered":
            answer = await self._ask(call, dial.attrib["action"], DialCallStatus=result, DialCallSid=f"{call.sid}L")
            return await self._carry_out(call, answer)
        call.state, call.dial = "talking", dict(dial.attrib)
        leg = {"CallSid": f"{call.sid}L", "ParentCallSid": call.sid, "CallStatus": "in-progress"}
        await self._ask(call, noun.attrib["statusCallback"], **leg)

    async def _ask(self, call: Call, url: str, **fields: str) -> Xml:
        form = {"CallSid": call.sid, "AccountSid": self.account, "From": call.caller, "To": call.to} | fields
        signature, token = self._validator.compute_signature(url, form), f"t{next(_numbers)}"
        assert self.session is not None
        for _ in range(2):
            self.tokens.append(token)
            headers = {"X-Twilio-Signature": signature, TOKEN_HEADER: token}
            async with self.session.post(url, data=form, headers=headers) as answer:
                if answer.status == 200:
                    assert answer.content_type == "text/xml"
                    return ElementTree.fromstring(await answer.read())
        raise AssertionError(f"{url} was answered {answer.status}")

    # --- REST --------------------------------------------------------------------------------------------------------

    async def _update(self, request: web.Request) -> web.Response:
        scheme, login = request.headers.get("Authorization", " ").split(" ", 1)
        if scheme != "Basic" or b64decode(login).decode() != f"{self.account}:{self.token}":
            return _refused(401, 20003, "Authenticate")
        call = self.calls.get(request.match_info["call"])
        if call is None or request.match_info["account"] != self.account:
            return _refused(404, 20404, "The requested resource was not found")
        if call.state == "over":
            return _refused(400, 21220, "Call is not in-progress. Cannot redirect.")
        form: dict[str, Any] = dict(parse_qsl(await request.text(), strict_parsing=True))
        if form.get("Status") == "completed":
            await self.hangs_up(call)
        else:
            if call.state == "waiting":
                await self._ask(call, call.line["action"], QueueResult="redirected")
            call.state = "ringing"
            await self._carry_out(call, ElementTree.fromstring(form["Twiml"]))
        return web.json_response({"sid": call.sid})


def _refused(status: int, code: int, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message, "status": status}, status=status)
