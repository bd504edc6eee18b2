"""The Twilio kind: signed forms in any order, TwiML out, and a stand-in for the REST interface."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from itertools import permutations
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode
from xml.etree import ElementTree

import msgspec
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from channels.phone.request import Raw
from channels.phone.settings import Gateway, Settings, check
from channels.phone.twilio import parse, signature
from router.engine import commands as c
from router.engine.views import Estimate
from router.errors import BadMessage, ClientError, ConfigError, NoRoute, NotFound, Overloaded, TooLarge, Unauthenticated
from tests.phone.support import Phone, phone_channel
from tests.phone.test_orders import failure, outbound, view

VECTORS = json.loads((Path(__file__).parent / "data" / "signatures.json").read_text())["twilio"]
TOKEN, PUBLIC, CALL = "dev-twilio", "https://router.example.org", "CA1234567890abcdef"
GATEWAY = Gateway(kind="twilio", secrets=(TOKEN,), public_url=PUBLIC)
HOOK = "/v1/phone/dev"

Xml = ElementTree.Element


# --- signatures -------------------------------------------------------------------------------------------------------


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["id"])
def test_signature_vectors(vector: dict[str, Any]) -> None:
    fields = {k: [v] if isinstance(v, str) else v for k, v in vector.get("form", {}).items()}
    body = vector.get("body", urlencode(fields, doseq=True)).encode()

    def verify() -> None:
        signature.verify(vector["signature"], vector["url"], fields, body, (VECTORS["secret"],))

    if vector["valid"]:
        verify()
    else:
        with pytest.raises(Unauthenticated):
            verify()


@pytest.mark.promise("OB-6")
def test_a_body_that_is_no_form_is_signed_by_its_digest() -> None:
    body = b'{"a": 1}'
    url = f"{PUBLIC}/x?bodySHA256={sha256(body).hexdigest()}"
    header = signature.sign(TOKEN, url, {})
    signature.verify(header, url, {"a": ["b"]}, body, (TOKEN,))
    with pytest.raises(Unauthenticated):
        signature.verify(header, url, {}, body + b" ", (TOKEN,))


@pytest.mark.parametrize(
    ("url", "also"),
    [
        ("https://a.example/x?y=1", "https://a.example:443/x?y=1"),
        ("http://a.example/x", "http://a.example:80/x"),
        ("http://a.example:8080/x", "http://a.example/x"),
    ],
)
def test_an_address_is_tried_with_and_without_its_port(url: str, also: str) -> None:
    assert signature.forms_of(url) == (url, also)
    for signed in (url, also):
        signature.verify(signature.sign(TOKEN, signed, {"a": ["b"]}), url, {"a": ["b"]}, b"", ("other-secret", TOKEN))


# --- the channel ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def twilio(data: Path, **options: Any) -> AsyncIterator[Phone]:
    gateway = msgspec.structs.replace(GATEWAY, **options)
    async with phone_channel(data, settings=Settings(gateways={"dev": gateway})) as phone:
        yield phone


async def post(phone: Phone, path: str, sign_as: str = TOKEN, token: str = "", **fields: str) -> ClientResponse:
    form = {"CallSid": CALL, "AccountSid": "AC1", "From": "+14158675309", "To": "+15550100"} | fields
    url = f"{PUBLIC}{HOOK}/{path}"
    headers = {
        signature.HEADER: RequestValidator(sign_as).compute_signature(url, form),  # as Twilio's own library does it
        "Content-Type": "application/x-www-form-urlencoded",
    }
    if token:
        headers[parse.TOKEN] = token
    return await phone.client.post(f"{HOOK}/{path}", data=urlencode(form), headers=headers)


async def says(phone: Phone, path: str, token: str = "", **fields: str) -> Xml:
    response = await post(phone, path, token=token, **fields)
    assert response.status == 200, await response.text()
    assert response.content_type == "text/xml"
    document = ElementTree.fromstring(await response.read())
    assert document.tag == "Response"
    return document


def verbs(document: Xml) -> list[str]:
    return [verb.tag for verb in document]


async def test_a_call_comes_in_and_waits(tmp_path: Path) -> None:
    async with twilio(tmp_path) as phone:
        document = await says(phone, "voice?language=es", CallStatus="ringing", CallerName="Jürgen Groß", Digits="2")
        [enqueue] = document
        assert enqueue.tag == "Enqueue"
        assert enqueue.attrib["waitUrl"] == f"{PUBLIC}{HOOK}/wait"
        assert enqueue.attrib["action"] == f"{PUBLIC}{HOOK}/dial"
        [arrival] = phone.desk.commands
        assert isinstance(arrival, c.Arrive)
        assert (arrival.sender, arrival.recipient) == ("+14158675309", "+15550100")
        assert (arrival.language, arrival.name, arrival.attributes["digits"]) == ("es", "Jürgen Groß", "2")


@pytest.mark.promise("IN-3")
async def test_a_call_that_is_told_again_is_one_call_and_gets_the_same_answer(tmp_path: Path) -> None:
    async with twilio(tmp_path) as phone:
        answers = {await (await post(phone, "voice", token=token)).read() for token in ("t1", "t1", "t2")}
        assert len(answers) == 1
        assert phone.desk.count == 1


async def test_a_caller_hears_where_they_stand(tmp_path: Path) -> None:
    async with twilio(tmp_path) as phone:
        await says(phone, "voice")
        phone.desk.position = Estimate(3, 130)
        document = await says(phone, "wait", QueuePosition="1", QueueTime="5")
        assert [(verb.tag, verb.text) for verb in document] == [
            ("Say", "You are number 3 in line."),
            ("Say", "The expected wait is about 2 minutes."),
            ("Pause", None),
        ]
        assert phone.desk.commands[-1] == c.Renew(thread=f"phone.dev:{CALL}", lease_ms=120_000)
        phone.desk.position = None  # an agent was found and is being joined
        assert verbs(await says(phone, "wait")) == ["Pause"]


async def test_words_are_the_operators_own(tmp_path: Path) -> None:
    words = {"voice": "de-DE", "say_position": "Sie sind <Nummer> {position} & {nicht}.", "say_wait": ""}
    async with twilio(tmp_path, **words) as phone:
        await says(phone, "voice")
        phone.desk.position = Estimate(2, 60)
        say = (await says(phone, "wait"))[0]
        assert (say.text, say.attrib["language"]) == ("Sie sind <Nummer> 2 & {nicht}.", "de-DE")


@pytest.mark.promise("MV-3")
async def test_whoever_we_do_not_have_any_more_leaves_the_line_and_is_hung_up_on(tmp_path: Path) -> None:
    async with twilio(tmp_path) as phone:
        assert verbs(await says(phone, "wait")) == ["Leave"]
        assert verbs(await says(phone, "dial", QueueResult="leave")) == ["Hangup"]


@pytest.mark.parametrize("result", ["leave", "queue-full", "error", "system-error", "redirected"])
async def test_whoever_was_put_out_of_the_line_and_is_ours_goes_back(tmp_path: Path, result: str) -> None:
    async with twilio(tmp_path) as phone:
        await says(phone, "voice")
        assert verbs(await says(phone, "dial", QueueResult=result)) == ["Pause", "Enqueue"]
        assert phone.desk.threads


async def test_a_number_that_no_rule_takes_is_refused(tmp_path: Path) -> None:
    async with twilio(tmp_path) as phone:
        phone.desk.refuse = lambda command: NoRoute("nobody")
        assert verbs(await says(phone, "voice")) == ["Reject"]


@pytest.mark.parametrize("status", ["busy", "no-answer", "failed", "canceled"])
async def test_a_telephone_that_is_not_answered_puts_the_caller_back(tmp_path: Path, status: str) -> None:
    async with twilio(tmp_path) as phone:
        await says(phone, "voice")
        assert verbs(await says(phone, "dial?order=sb-17", DialCallStatus=status)) == ["Pause", "Enqueue"]
        assert verbs(await says(phone, "dial?order=sb-17", DialCallStatus=status)) == ["Pause", "Enqueue"]
        failed = [command for command in phone.desk.commands if isinstance(command, c.FailConnection)]
        assert len({command.key for command in failed}) == 1
        assert failed[0].reason == status
        await says(phone, "dial?order=sb-18", DialCallStatus=status)
        assert phone.desk.commands[-1].key != failed[0].key


async def test_a_conversation_ends_with_either_side(tmp_path: Path) -> None:
    async with twilio(tmp_path) as phone:
        await says(phone, "voice")
        leg = {"CallSid": "CAleg", "ParentCallSid": CALL}
        await says(phone, "status?order=sb-17", CallStatus="in-progress", SequenceNumber="2", **leg)
        assert phone.desk.commands[-2:] == [
            c.ConfirmConnection(key=f"phone.dev:{CALL}:status:CAleg:2:in-progress", thread=f"phone.dev:{CALL}"),
            c.Renew(thread=f"phone.dev:{CALL}", lease_ms=14_400_000),
        ]
        await says(phone, "status", CallStatus="completed", SequenceNumber="3", **leg)
        assert phone.desk.threads  # the agent's leg is over, the call may not be
        document = await says(phone, "dial?order=sb-17", DialCallStatus="completed", DialCallSid="CAleg")
        assert verbs(document) == ["Hangup"]
        assert phone.desk.threads == {}
        await says(phone, "status", CallStatus="completed", SequenceNumber="4")
        assert phone.desk.threads == {}


@pytest.mark.promise("IN-3")
@pytest.mark.parametrize("order", list(permutations(("voice", "wait", "status", "dial"))), ids="-".join)
async def test_no_order_of_the_requests_leaves_a_ghost(tmp_path: Path, order: tuple[str, ...]) -> None:
    fields = {"status": {"CallStatus": "completed"}, "dial": {"QueueResult": "hangup"}}
    async with twilio(tmp_path) as phone:
        for path in (*order, *order):
            await says(phone, path, **fields.get(path, {}))
        assert phone.desk.count <= 1
        assert phone.desk.threads == {}


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.promise("OB-6")
async def test_nobody_speaks_without_a_good_signature(tmp_path: Path) -> None:
    async with twilio(tmp_path) as phone:
        for path in parse.PATHS:
            assert (await post(phone, path, sign_as="another-secret")).status == 401
            assert (await phone.client.post(f"{HOOK}/{path}", data=b"CallSid=CA1")).status == 401
        assert phone.desk.commands == []
        assert phone.quarantine.count == 0


@pytest.mark.promise("OB-6")
async def test_the_query_is_signed_too(tmp_path: Path) -> None:
    async with twilio(tmp_path) as phone:
        headers = {signature.HEADER: signature.sign(TOKEN, f"{PUBLIC}{HOOK}/voice", {"CallSid": [CALL]})}
        response = await phone.client.post(f"{HOOK}/voice?language=es", data={"CallSid": CALL}, headers=headers)
        assert response.status == 401


@pytest.mark.promise("IN-2")
async def test_a_new_call_that_cannot_be_recorded_is_left_to_the_fallback_address(tmp_path: Path) -> None:
    async with twilio(tmp_path) as phone:
        phone.desk.refuse = lambda command: Overloaded("full", 7)
        for path in ("voice", "status"):
            response = await post(phone, path)
            assert (response.status, response.headers["Retry-After"]) == (503, "7")


@pytest.mark.promise("IN-2")
async def test_a_caller_who_is_with_us_is_not_dropped_while_we_cannot_record(tmp_path: Path) -> None:
    async with twilio(tmp_path) as phone:
        await says(phone, "voice")
        phone.desk.refuse = lambda command: Overloaded("full", 7)
        [pause] = await says(phone, "wait")
        assert (pause.tag, pause.attrib["length"]) == ("Pause", "7")
        document = await says(phone, "dial?order=sb-17", DialCallStatus="busy")
        assert verbs(document) == ["Pause", "Redirect"]
        address = str(document[1].text)
        assert address.startswith(f"{PUBLIC}{HOOK}/dial?")
        phone.desk.refuse = lambda command: None
        # Twilio comes back to this address, and says nothing itself of what became of the telephone.
        back = await says(phone, address.removeprefix(f"{PUBLIC}{HOOK}/"))
        assert verbs(back) == ["Pause", "Enqueue"]
        failed = phone.desk.commands[-1]
        assert isinstance(failed, c.FailConnection)
        assert failed.reason == "busy"


@pytest.mark.promise("IN-4")
async def test_what_is_not_understood_is_set_aside(tmp_path: Path) -> None:
    async with twilio(tmp_path) as phone:
        assert (await post(phone, "status", CallSid="../Accounts")).status == 422
        [entry] = phone.quarantine.entries()
        assert entry.source == "phone.dev.status"
        assert set(phone.adapter.requeue_hooks()) == {
            "phone.dev",
            "phone.dev.wait",
            "phone.dev.status",
            "phone.dev.dial",
            "phone.dev.recording",
        }


@pytest.mark.promise("IN-5")
def test_limits() -> None:
    many = urlencode({"CallSid": CALL} | {f"f{n}": "x" for n in range(200)}).encode()
    long = urlencode({"CallSid": CALL, "From": "x" * 1_025}).encode()
    for body in (many, long):
        with pytest.raises(TooLarge):
            parse.parse(Raw("voice", "/", {}, body), GATEWAY)


@pytest.mark.promise("IN-4")
@given(path=st.sampled_from(parse.PATHS), target=st.text(max_size=50), body=st.binary(max_size=200))
def test_no_bytes_make_the_parser_fail(path: str, target: str, body: bytes) -> None:
    for text in (body, b"CallSid=CA1&" + body):
        raw = Raw(path, f"/?{target}", {signature.HEADER: target}, text)
        with suppress(ClientError):
            parse.parse(raw, GATEWAY)
        with pytest.raises(Unauthenticated):
            parse.verify(raw, GATEWAY, 0)


def test_a_form_that_is_no_form_is_not_understood() -> None:
    for body in (b"", b"{}", b"\xff", b"CallSid=%ff", b"From=1"):
        with pytest.raises(BadMessage):
            parse.parse(Raw("voice", "/", {}, body), GATEWAY)


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"public_url": ""}, "phone.gateways.dev.public_url"),
        ({"control_url": "https://api.example.org"}, "phone.gateways.dev.account"),
    ],
)
def test_a_gateway_that_could_not_work_is_refused(options: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check(Settings(gateways={"dev": msgspec.structs.replace(GATEWAY, **options)}))
    assert refused.value.path == path


# --- orders -----------------------------------------------------------------------------------------------------------


class Rest:
    """The stand-in: `POST /2010-04-01/Accounts/SID/Calls/SID.json` as Twilio documents it."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.updates: list[tuple[str, dict[str, str]]] = []
        self.url = ""

    async def update(self, request: web.Request) -> web.Response:
        kind, login = request.headers["Authorization"].split()
        assert (kind, b64decode(login)) == ("Basic", b"AC1:api-token")
        assert request.match_info["account"] == "AC1"
        self.updates.append((request.match_info["call"], dict(parse_qsl(await request.text(), strict_parsing=True))))
        status = self.statuses.pop(0) if self.statuses else 200
        return web.json_response({"sid": request.match_info["call"]}, status=status)

    async def conferences(self, request: web.Request) -> web.Response:
        return web.json_response({"conferences": []})


@pytest.fixture
async def rest() -> AsyncIterator[Rest]:
    rest = Rest()
    app = web.Application()
    app.router.add_post("/2010-04-01/Accounts/{account}/Calls/{call}.json", rest.update)
    app.router.add_get("/2010-04-01/Accounts/{account}/Conferences.json", rest.conferences)
    async with TestServer(app) as server:
        rest.url = str(server.make_url("/"))
        yield rest


@asynccontextmanager
async def driven(rest: Rest, data: Path) -> AsyncIterator[Phone]:
    async with twilio(data, control_url=rest.url, account="AC1", control_token="api-token") as phone:
        await says(phone, "voice")
        phone.desk.views[1] = view()
        yield phone


def order(phone: Phone, action: str = "assigned", reason: str = "", endpoint: str = "sip:ana@desk") -> Any:
    return msgspec.structs.replace(outbound(phone, action, reason, endpoint), threads=(f"phone.dev:{CALL}",))


@pytest.mark.parametrize(
    ("endpoint", "noun", "text"),
    [
        ("sip:ana@desk;transport=tls", "Sip", "sip:ana@desk;transport=tls"),
        ("+15550199", "Number", "+15550199"),
        ("client:ana", "Client", "ana"),
    ],
)
async def test_an_accepted_call_is_moved_to_the_agents_telephone(
    rest: Rest, tmp_path: Path, endpoint: str, noun: str, text: str
) -> None:
    async with driven(rest, tmp_path) as phone:
        await phone.adapter.deliver(order(phone, endpoint=endpoint))
        [(call, fields)] = rest.updates
        assert (call, list(fields)) == (CALL, ["Twiml"])
        [dial] = ElementTree.fromstring(fields["Twiml"])
        assert dial.attrib == {
            "timeout": "20",
            "answerOnBridge": "true",
            "action": f"{PUBLIC}{HOOK}/dial?order=sb-17",
            "method": "POST",
        }
        [telephone] = dial
        assert (telephone.tag, telephone.text) == (noun, text)
        assert telephone.attrib["statusCallback"] == f"{PUBLIC}{HOOK}/status?order=sb-17"


@pytest.mark.parametrize("endpoint", ["", "ana", "tel:1", "+49 30"])
async def test_an_agent_without_a_telephone_cannot_be_connected(rest: Rest, tmp_path: Path, endpoint: str) -> None:
    async with driven(rest, tmp_path) as phone:
        assert "agents.ana.endpoint" in str(await failure(phone, order(phone, endpoint=endpoint)))
        assert isinstance(phone.desk.commands[-1], c.FailConnection)
        assert rest.updates == []


async def test_the_other_orders(rest: Rest, tmp_path: Path) -> None:
    async with driven(rest, tmp_path) as phone:
        await phone.adapter.deliver(order(phone, "ended", "completed"))
        await phone.adapter.deliver(order(phone, "requeued"))
        await phone.adapter.deliver(order(phone, "transferred", endpoint="+15550123"))
        (_, hangup), (_, queue), (_, transfer) = rest.updates
        assert hangup == {"Status": "completed"}
        assert verbs(ElementTree.fromstring(queue["Twiml"])) == ["Enqueue"]
        assert ElementTree.fromstring(transfer["Twiml"])[0][0].text == "+15550123"


async def test_a_call_that_is_gone(rest: Rest, tmp_path: Path) -> None:
    async with driven(rest, tmp_path) as phone:
        rest.statuses = [404, 404, 429, 500]
        await phone.adapter.deliver(order(phone, "ended", "completed"))
        assert (await failure(phone, order(phone))).final
        for _ in range(2):
            assert not (await failure(phone, order(phone, "ended", "completed"))).final


async def test_the_result_of_an_earlier_connect_leaves_the_caller_in_line(rest: Rest, tmp_path: Path) -> None:
    async with driven(rest, tmp_path) as phone:
        await phone.adapter.deliver(order(phone))
        await phone.adapter.deliver(msgspec.structs.replace(order(phone), outbound=18))
        phone.desk.commands.clear()
        assert verbs(await says(phone, "dial?order=sb-17", DialCallStatus="busy")) == ["Pause", "Enqueue"]
        assert phone.desk.commands == []


async def test_a_gateway_that_lost_its_interaction_meanwhile_hangs_up(rest: Rest, tmp_path: Path) -> None:
    async with driven(rest, tmp_path) as phone:
        phone.desk.threads.clear()
        phone.desk.refuse = lambda command: NotFound("closed")
        assert verbs(await says(phone, "dial?order=sb-17", DialCallStatus="busy")) == ["Hangup"]


def test_every_field_counts_for_the_signature() -> None:
    assert parse_qs("a=&b=1", keep_blank_values=True)["a"] == [""]
    raw = Raw("voice", f"{HOOK}/voice", {}, b"CallSid=CA1&Empty=")
    header = signature.sign(TOKEN, f"{PUBLIC}{HOOK}/voice", {"CallSid": ["CA1"], "Empty": [""]})
    parse.verify(signed(raw, header), GATEWAY, 0)


def signed(raw: Raw, header: str) -> Raw:
    return Raw(raw.path, raw.target, {signature.HEADER: header}, raw.body)
