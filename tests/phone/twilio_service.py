"""Twilio as its public documents describe it, as far as our calls go: it asks webhooks, reads TwiML and obeys REST.

    a call comes in          voice is asked, signed by Twilio's own library; its TwiML is carried out verb by verb
    Enqueue                  the caller waits; `hears` asks waitUrl once, as Twilio does over and over
    POST Calls/SID           Twiml takes the caller out of the line (its action is asked with QueueResult "redirected",
                             and that answer is not carried out), Status=completed ends the call
    Dial                     the telephone rings: `telephones` says what comes of it; the action gets DialCallStatus
    a call is over           status is asked
    Dial, Conference         whoever comes first makes the conference; it is over when somebody leaves who ends it, and
                             then each caller's Dial is over: its action is asked with DialCallStatus "completed"
    POST Calls/LEG           a leg that was dialled is moved: so is its Dial over for the caller
    Conferences ...          listed by name and state; participants are listed, called in, held, told whether they end
                             it when they leave, and taken out, by SID or label

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


class Member:
    """Somebody in a conference, or being called into it."""

    def __init__(self, sid: str, ends: bool, label: str = "", status: str = "connected") -> None:
        self.sid, self.ends, self.label, self.status = sid, ends, label, status
        self.held = False
        self.callback = ""  # asked what becomes of who was called in
        self.address = ""


class Conference:
    def __init__(self, name: str) -> None:
        self.sid, self.name = f"CF{next(_numbers):032x}", name
        self.members: dict[str, Member] = {}

    def find(self, who: str) -> Member | None:
        return next((member for member in self.members.values() if who in (member.sid, member.label)), None)

    @property
    def hear(self) -> set[str]:
        """The addresses, or SIDs, of those who hear each other."""
        return {x.address or x.sid for x in self.members.values() if x.status == "connected" and not x.held}


class Call:
    def __init__(self, sid: str, caller: str, to: str) -> None:
        self.sid, self.caller, self.to = sid, caller, to
        self.state = "ringing"  # ringing, waiting, talking, over
        self.line: dict[str, str] = {}  # of the Enqueue in which it waits
        self.dial: dict[str, str] = {}  # of the Dial in which it talks
        self.leg = ""  # the SID of the telephone that it talks to by a Dial
        self.heard: list[str] = []
        self.rang: list[str] = []


class Twilio:
    def __init__(self, account: str, token: str, voice: str, status: str) -> None:
        self.account, self.token, self.voice, self.status = account, token, voice, status
        self.telephones: dict[str, str] = {}  # busy, no-answer ...; whoever is not here answers
        self.calls: dict[str, Call] = {}
        self.tokens: list[str] = []  # of every request, in order
        self.rooms: dict[str, Conference] = {}  # by name, while they last
        self._validator = RequestValidator(token)
        self.session: aiohttp.ClientSession | None = None

    def app(self) -> web.Application:
        app = web.Application()
        base, room = "/2010-04-01/Accounts/{account}", "/2010-04-01/Accounts/{account}/Conferences/{room}/Participants"
        app.router.add_post(f"{base}/Calls/{{call}}.json", self._update)
        app.router.add_get(f"{base}/Calls.json", self._legs)
        app.router.add_get(f"{base}/Conferences.json", self._conferences)
        app.router.add_get(f"{room}.json", self._members)
        app.router.add_post(f"{room}.json", self._call_in)
        app.router.add_post(f"{room}/{{who}}.json", self._member)
        app.router.add_delete(f"{room}/{{who}}.json", self._take_out)
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
        if state == "talking" and (room := self.room_of(call.sid)) is not None:
            await self._leaves(room, call.sid)
        elif state == "talking":
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
        if noun.tag == "Conference":
            call.state, call.dial, call.leg = "talking", dict(dial.attrib), ""
            return self._enters(call.sid, noun)
        assert noun.tag in ("Sip", "Number", "Client")
        call.rang.append(str(noun.text))
        result = self.telephones.get(str(noun.text), "answered")
        if result != "answered":
            answer = await self._ask(call, dial.attrib["action"], DialCallStatus=result, DialCallSid=f"{call.sid}L")
            return await self._carry_out(call, answer)
        call.state, call.dial, call.leg = "talking", dict(dial.attrib), f"{call.sid}L"
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

    # --- conferences -------------------------------------------------------------------------------------------------

    def room_of(self, sid: str) -> Conference | None:
        return next((room for room in self.rooms.values() if sid in room.members), None)

    def _enters(self, sid: str, noun: Xml, address: str = "") -> None:
        name = str(noun.text)
        room = self.rooms.setdefault(name, Conference(name))
        room.members[sid] = Member(sid, noun.attrib.get("endConferenceOnExit") == "true")
        room.members[sid].address = address

    async def _leaves(self, room: Conference, sid: str) -> None:
        """Whoever is left is left alone, or the conference is over for all."""
        gone = room.members.pop(sid)
        if gone.callback and gone.status != "over":
            await self._tell(gone, "completed")
        over = list(room.members.values()) if gone.ends or not room.members else []
        if gone.ends or not room.members:
            self.rooms.pop(room.name, None)
        room.members = {} if over else room.members
        for member in over:
            if member.callback:
                await self._tell(member, "completed")
            call = self.calls.get(member.sid)
            if call is not None and call.state == "talking":
                call.state = "ringing"
                done = {"DialCallStatus": "completed", "DialCallSid": f"{call.sid}L"}
                await self._carry_out(call, await self._ask(call, call.dial["action"], **done))

    async def agent_hangs_up(self, call: Call, address: str) -> None:
        room = self.room_of(call.sid)
        if room is not None:
            member = next(x for x in room.members.values() if x.address == address)
            return await self._leaves(room, member.sid)
        done = {"DialCallStatus": "completed", "DialCallSid": call.leg}
        call.state, call.leg = "ringing", ""
        await self._carry_out(call, await self._ask(call, call.dial["action"], **done))

    async def _tell(self, member: Member, status: str) -> None:
        leg = Call(member.sid, "switchboard", member.address)
        await self._ask(leg, member.callback, CallStatus=status)

    async def answers(self, address: str, result: str = "in-progress") -> None:
        """Whoever is being called into a conference."""
        [(room, member)] = [
            (r, m)
            for r in self.rooms.values()
            for m in r.members.values()
            if m.address == address and m.status == "ringing"
        ]
        member.status = "connected"
        if result != "in-progress":
            del room.members[member.sid]
        await self._tell(member, result)

    def _may(self, request: web.Request) -> web.Response | None:
        scheme, login = request.headers.get("Authorization", " ").split(" ", 1)
        if scheme != "Basic" or b64decode(login).decode() != f"{self.account}:{self.token}":
            return _refused(401, 20003, "Authenticate")
        return None if request.match_info["account"] == self.account else _refused(404, 20404, "not found")

    async def _legs(self, request: web.Request) -> web.Response:
        call = self.calls.get(request.query["ParentCallSid"])
        assert request.query["Status"] == "in-progress"
        legs = [call.leg] if call is not None and call.leg and call.state == "talking" else []
        return self._may(request) or web.json_response({"calls": [{"sid": leg} for leg in legs]})

    async def _conferences(self, request: web.Request) -> web.Response:
        assert request.query["Status"] == "in-progress"
        room = self.rooms.get(request.query["FriendlyName"])
        found = [{"sid": room.sid, "friendly_name": room.name}] if room is not None and room.members else []
        return self._may(request) or web.json_response({"conferences": found, "page": 0})

    def _room(self, request: web.Request) -> Conference | None:
        return next((room for room in self.rooms.values() if room.sid == request.match_info["room"]), None)

    async def _members(self, request: web.Request) -> web.Response:
        room = self._room(request)
        if room is None:
            return _refused(404, 20404, "The requested resource was not found")
        there = [{"call_sid": x.sid, "label": x.label or None, "status": x.status} for x in room.members.values()]
        return self._may(request) or web.json_response({"participants": there})

    async def _call_in(self, request: web.Request) -> web.Response:
        room, form = self._room(request), dict(parse_qsl(await request.text(), strict_parsing=True))
        assert room is not None
        assert room.find(form["Label"]) is None, "a label is there once"
        member = Member(f"CA{next(_numbers):032x}", form["EndConferenceOnExit"] == "true", form["Label"], "ringing")
        member.callback, member.address = form["StatusCallback"], form["To"]
        room.members[member.sid] = member
        return self._may(request) or web.json_response({"call_sid": member.sid, "label": member.label}, status=201)

    async def _member(self, request: web.Request) -> web.Response:
        room = self._room(request)
        member = room.find(request.match_info["who"]) if room is not None else None
        if member is None:
            return _refused(404, 20404, "The requested resource was not found")
        form = dict(parse_qsl(await request.text(), strict_parsing=True))
        member.held = form.get("Hold", str(member.held)).lower() == "true"
        member.ends = form.get("EndConferenceOnExit", str(member.ends)).lower() == "true"
        return self._may(request) or web.json_response({"call_sid": member.sid})

    async def _take_out(self, request: web.Request) -> web.Response:
        room = self._room(request)
        member = room.find(request.match_info["who"]) if room is not None else None
        if room is None or member is None:
            return _refused(404, 20404, "The requested resource was not found")
        await self._leaves(room, member.sid)
        return self._may(request) or web.Response(status=204)

    async def _moved(self, call: Call, response: Xml) -> None:
        """The leg goes where it is sent, which is a conference; the Dial in which it was is over."""
        [dial] = response
        [noun] = dial
        self._enters(call.leg, noun, call.rang[-1])
        done = {"DialCallStatus": "completed", "DialCallSid": call.leg}
        call.leg = ""
        await self._carry_out(call, await self._ask(call, call.dial["action"], **done))

    # --- REST --------------------------------------------------------------------------------------------------------

    async def _update(self, request: web.Request) -> web.Response:
        scheme, login = request.headers.get("Authorization", " ").split(" ", 1)
        if scheme != "Basic" or b64decode(login).decode() != f"{self.account}:{self.token}":
            return _refused(401, 20003, "Authenticate")
        call = self.calls.get(request.match_info["call"])
        owner = next((x for x in self.calls.values() if x.leg == request.match_info["call"]), None)
        if owner is not None:
            moved = dict(parse_qsl(await request.text(), strict_parsing=True))
            await self._moved(owner, ElementTree.fromstring(moved["Twiml"]))
            return web.json_response({"sid": request.match_info["call"]})
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
            if (room := self.room_of(call.sid)) is not None:
                await self._leaves(room, call.sid)
            await self._carry_out(call, ElementTree.fromstring(form["Twiml"]))
        return web.json_response({"sid": call.sid})


def _refused(status: int, code: int, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message, "status": status}, status=status)
