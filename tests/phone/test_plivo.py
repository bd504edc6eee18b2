"""The Plivo kind: vectors of its own library, the round of waiting, and what moves a call."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from xml.etree import ElementTree

import msgspec
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestServer

from channels.phone.plivo import parse
from channels.phone.request import Raw
from channels.phone.settings import Gateway, Settings, check
from router.engine import commands as c
from router.engine.views import Estimate
from router.errors import ConfigError, NoRoute, Overloaded, Unauthenticated
from tests.phone.support import Phone, phone_channel
from tests.phone.test_orders import failure, outbound, view

VECTORS = json.loads((Path(__file__).parent / "data" / "signatures.json").read_text())["plivo"]
TOKEN, PUBLIC, CALL = "dev-plivo", "https://router.example.org", "7a5b-0001"
GATEWAY = Gateway(kind="plivo", secrets=(TOKEN,), public_url=PUBLIC)
HOOK = "/v1/phone/dev"

Xml = ElementTree.Element


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["id"])
def test_signature_vectors(vector: dict[str, Any]) -> None:
    at = urlsplit(vector["url"])
    public = f"{at.scheme}://{at.netloc}"
    gateway = msgspec.structs.replace(GATEWAY, secrets=("another-secret", VECTORS["secret"]), public_url=public)
    headers = {parse.HEADER: f"other,{vector['signature']}", parse.NONCE: VECTORS["nonce"]}
    raw = Raw("answer", vector["url"].removeprefix(public), headers, urlencode(vector["form"], doseq=True).encode())
    if vector["valid"]:
        parse.verify(raw, gateway, 0)
    else:
        with pytest.raises(Unauthenticated):
            parse.verify(raw, gateway, 0)


@asynccontextmanager
async def plivo(data: Path, **options: Any) -> AsyncIterator[Phone]:
    gateway = msgspec.structs.replace(GATEWAY, **options)
    async with phone_channel(data, settings=Settings(gateways={"dev": gateway})) as phone:
        yield phone


async def post(phone: Phone, path: str, sign_as: str = TOKEN, **fields: str) -> ClientResponse:
    form = {"CallUUID": CALL, "From": "14158675309", "To": "15550100"} | fields
    signature = parse.sign(sign_as, f"{PUBLIC}{HOOK}/{path}", {k: [v] for k, v in form.items()}, "n-1")
    headers = {parse.HEADER: signature, parse.NONCE: "n-1", "Content-Type": "application/x-www-form-urlencoded"}
    return await phone.client.post(f"{HOOK}/{path}", data=urlencode(form), headers=headers)


async def says(phone: Phone, path: str, **fields: str) -> Xml:
    response = await post(phone, path, **fields)
    assert response.status == 200, await response.text()
    document = ElementTree.fromstring(await response.read())
    assert (response.content_type, document.tag) == ("text/xml", "Response")
    return document


def verbs(document: Xml) -> list[str]:
    return [verb.tag for verb in document]


async def test_a_caller_is_sent_round_and_hears_where_they_stand(tmp_path: Path) -> None:
    async with plivo(tmp_path) as phone:
        [redirect] = await says(phone, "answer?language=es", CallerName="Eva")
        assert (redirect.tag, redirect.text) == ("Redirect", f"{PUBLIC}{HOOK}/wait")
        [arrival] = phone.desk.commands
        assert isinstance(arrival, c.Arrive)
        assert (arrival.sender, arrival.recipient, arrival.language) == ("+14158675309", "+15550100", "es")
        assert arrival.attributes == {"language": "es", "name": "Eva"}
        phone.desk.position = Estimate(3, 130)
        document = await says(phone, "wait")
        assert verbs(document) == ["Speak", "Speak", "Wait", "Redirect"]
        assert document[0].text == "You are number 3 in line."
        phone.desk.threads.clear()
        assert verbs(await says(phone, "wait")) == ["Hangup"]


async def test_whom_nobody_has_is_refused(tmp_path: Path) -> None:
    async with plivo(tmp_path) as phone:
        phone.desk.refuse = lambda command: NoRoute("nobody")
        [hangup] = await says(phone, "answer")
        assert hangup.attrib == {"reason": "rejected"}


class Rest:
    """`/v1/Account/ID/Call/UUID/`, as Plivo documents it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.statuses: list[int] = []
        self.there: dict[str, str] = {}  # call -> member
        self.held: list[tuple[str, bool]] = []
        self.url = ""

    async def call(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"].startswith("Basic ")
        body = await request.json() if request.method == "POST" else {}
        self.asked.append((request.method, request.match_info["call"], body))
        usual = 202 if request.method == "POST" else 204
        return web.Response(status=self.statuses.pop(0) if self.statuses else usual)

    async def participants(self, request: web.Request) -> web.Response:
        """As Plivo documents it: no such multiparty call is a 404."""
        assert request.match_info["mpc"] == f"name_sb-{CALL}"
        there = [{"call_uuid": call, "member_id": member, "exit_time": None} for call, member in self.there.items()]
        return web.json_response({"objects": there} if there else {"error": "not found"}, status=200 if there else 404)

    async def hold(self, request: web.Request) -> web.Response:
        self.held.append((request.match_info["member"], (await request.json())["hold"]))
        return web.json_response({}, status=202)


@pytest.fixture
async def rest() -> AsyncIterator[Rest]:
    rest = Rest()
    app = web.Application()
    app.router.add_route("*", "/v1/Account/MA1/Call/{call}/", rest.call)
    app.router.add_get("/v1/Account/MA1/MultiPartyCall/{mpc}/Participant/", rest.participants)
    app.router.add_post("/v1/Account/MA1/MultiPartyCall/{mpc}/Participant/{member}/", rest.hold)
    async with TestServer(app) as server:
        rest.url = str(server.make_url("/"))
        yield rest


def order(phone: Phone, action: str = "assigned", reason: str = "", endpoint: str = "sip:ana@desk") -> Any:
    return msgspec.structs.replace(outbound(phone, action, reason, endpoint), threads=(f"phone.dev:{CALL}",))


async def test_an_accepted_call_is_moved_and_dialled_and_its_end_is_told(rest: Rest, tmp_path: Path) -> None:
    async with plivo(tmp_path, control_url=rest.url, account="MA1") as phone:
        await says(phone, "answer")
        phone.desk.views[1] = view()
        await phone.adapter.deliver(order(phone, endpoint="sip:ana@desk;x=1&y"))
        [(method, call, moved)] = rest.asked
        assert (method, call, moved["legs"]) == ("POST", CALL, "aleg")
        address = moved["aleg_url"].removeprefix(f"{PUBLIC}{HOOK}/")
        assert dict(parse_qsl(urlsplit(address).query)) == {"order": "sb-17", "to": "sip:ana@desk;x=1&y"}
        [dial] = await says(phone, address)
        assert (dial[0].tag, dial[0].text) == ("User", "sip:ana@desk;x=1&y")
        leg = dial.attrib["callbackUrl"].removeprefix(f"{PUBLIC}{HOOK}/")
        await says(phone, leg, DialAction="connected")
        assert [type(command) for command in phone.desk.commands[-2:]] == [c.ConfirmConnection, c.Renew]
        done = dial.attrib["action"].removeprefix(f"{PUBLIC}{HOOK}/")
        assert verbs(await says(phone, done, DialStatus="completed")) == ["Hangup"]
        assert phone.desk.threads == {}


async def test_the_other_orders(rest: Rest, tmp_path: Path) -> None:
    async with plivo(tmp_path, control_url=rest.url, account="MA1") as phone:
        await says(phone, "answer")
        phone.desk.views[1] = view()
        rest.statuses = [404]
        await phone.adapter.deliver(order(phone, "ended", "completed"))
        await phone.adapter.deliver(order(phone, "requeued"))
        await phone.adapter.deliver(order(phone, "transferred", endpoint="+15550123"))
        hangup, queue, transfer = rest.asked
        assert hangup[0] == "DELETE"
        assert queue[2]["aleg_url"] == f"{PUBLIC}{HOOK}/wait"
        [dial] = await says(phone, transfer[2]["aleg_url"].removeprefix(f"{PUBLIC}{HOOK}/"))
        assert (dial[0].tag, dial[0].text) == ("Number", "+15550123")
        assert (await failure(phone, order(phone, endpoint="client:ana"))).final


def below(address: str) -> str:
    return address.removeprefix(f"{PUBLIC}{HOOK}/")


@pytest.mark.promise("MV-1")
async def test_the_first_hold_moves_both_legs_and_the_caller_comes_to_be_held(rest: Rest, tmp_path: Path) -> None:
    async with plivo(tmp_path, control_url=rest.url, account="MA1") as phone:
        await says(phone, "answer")
        phone.desk.views[1] = view(on_hold=True, connected=True)
        await phone.adapter.deliver(order(phone, "held"))
        [(_, call, moved)] = rest.asked
        assert (call, moved["legs"]) == (CALL, "both")
        [agent] = await says(phone, below(moved["bleg_url"]), CallUUID="leg-1")
        [caller] = await says(phone, below(moved["aleg_url"]))
        assert (caller.tag, caller.text, agent.text) == ("MultiPartyCall", f"sb-{CALL}", f"sb-{CALL}")
        assert [x.attrib["role"] + x.attrib["hold"] for x in (caller, agent)] == ["Customertrue", "Agentfalse"]
        rest.there = {"leg-1": "7", CALL: "8"}
        for on in (False, True):
            phone.desk.views[1] = view(on_hold=on, connected=True)
            await phone.adapter.deliver(order(phone, "held" if on else "resumed"))
        assert rest.held == [("8", False), ("8", True)]
        assert len(rest.asked) == 1
        assert not any(isinstance(command, c.Leave) for command in phone.desk.commands)


@pytest.mark.promise("MV-1")
async def test_a_caller_who_is_taken_back_on_the_way_comes_to_talk(rest: Rest, tmp_path: Path) -> None:
    async with plivo(tmp_path, control_url=rest.url, account="MA1") as phone:
        await says(phone, "answer")
        phone.desk.views[1] = view(on_hold=True, connected=True)
        await phone.adapter.deliver(order(phone, "held"))
        phone.desk.views[1] = view(connected=True)
        await phone.adapter.deliver(order(phone, "resumed"))
        assert rest.held == []
        [caller] = await says(phone, below(rest.asked[0][2]["aleg_url"]))
        assert caller.attrib["hold"] == "false"


@pytest.mark.promise("IN-2")
async def test_a_caller_who_is_with_us_is_not_dropped_while_we_cannot_record(tmp_path: Path) -> None:
    async with plivo(tmp_path) as phone:
        await says(phone, "answer")
        phone.desk.refuse = lambda command: Overloaded("full", 7)
        assert {(await post(phone, path)).status for path in ("answer", "hangup")} == {503}
        assert verbs(await says(phone, "wait")) == ["Wait", "Redirect"]
        document = await says(phone, "dial?order=sb-17", DialStatus="busy")
        phone.desk.refuse = lambda command: None
        again = str(document[1].text).removeprefix(f"{PUBLIC}{HOOK}/")
        assert verbs(await says(phone, again)) == ["Wait", "Redirect"]
        failed = phone.desk.commands[-1]
        assert isinstance(failed, c.FailConnection)
        assert failed.reason == "busy"


@pytest.mark.promise("OB-6")
async def test_nobody_speaks_without_a_good_signature(tmp_path: Path) -> None:
    async with plivo(tmp_path) as phone:
        for path in parse.PATHS:
            assert (await post(phone, path, sign_as="another-secret")).status == 401
        assert phone.desk.commands == []


@pytest.mark.promise("OB-4")
def test_a_gateway_that_could_not_work_is_refused() -> None:
    for options in ({"public_url": ""}, {"control_url": "https://api.example.org"}):
        with pytest.raises(ConfigError):
            check(Settings(gateways={"dev": msgspec.structs.replace(GATEWAY, **options)}))
