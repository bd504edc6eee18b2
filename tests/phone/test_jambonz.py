"""The jambonz kind: hooks in any order, verbs that the public schemas take, and a stand-in for the REST interface."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import permutations
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from channels.phone import signature
from channels.phone.jambonz import parse
from channels.phone.jambonz.seal import seal, unseal
from channels.phone.request import Raw
from channels.phone.settings import Gateway, Settings, check
from router.engine import commands as c
from router.engine.views import Estimate
from router.errors import ClientError, ConfigError, NoRoute, Overloaded, Unauthenticated
from tests.phone.support import Phone, phone_channel
from tests.phone.test_orders import failure, outbound, view

DATA = Path(__file__).parent / "data"
VECTORS = json.loads((DATA / "signatures.json").read_text())["jambonz"]
SECRET, PUBLIC, CALL = "dev-jambonz", "https://router.example.org", "0c1bb7b1-0001"
GATEWAY = Gateway(kind="jambonz", secrets=(SECRET,), public_url=PUBLIC)
HOOK = "/v1/phone/dev"

Json = dict[str, Any]

_documents = [json.loads(path.read_text()) for path in sorted((DATA / "jambonz/schema").rglob("*.json"))]
_registry: Registry[Any] = Registry().with_resources([(d["$id"], DRAFT202012.create_resource(d)) for d in _documents])


def validate(kind: str, value: Json) -> None:
    """Against the public schema; strictly: a property that it does not know is a mistake."""
    schema = _registry.contents(f"https://jambonz.org/schema/{kind}")
    Draft202012Validator(schema, registry=_registry).validate(value)
    if kind.startswith("verbs/"):
        assert set(value) <= set(schema["properties"]), value


# --- signatures and seals ---------------------------------------------------------------------------------------------


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["id"])
def test_signature_vectors(vector: Json) -> None:
    gateway = msgspec.structs.replace(GATEWAY, secrets=("another-secret", VECTORS["secret"]))
    raw = Raw("call", "", {parse.HEADER: vector["header"]}, vector["body"].encode())
    if vector["valid"]:
        parse.verify(raw, gateway, vector["now"] * 1_000)
    else:
        with pytest.raises(Unauthenticated):
            parse.verify(raw, gateway, vector["now"] * 1_000)


@pytest.mark.promise("OB-6")
def test_several_signatures_may_stand_there() -> None:
    header = signature.sign(("new-secret", SECRET), b"{}", 1_000)
    parse.verify(Raw("call", "", {parse.HEADER: header}, b"{}"), GATEWAY, 1_000_000)


@pytest.mark.promise("OB-6")
def test_what_stands_in_an_address_is_believed_for_its_own_call_alone() -> None:
    query = seal({"to": "sip:a@b;x=1&y", "order": "sb-1"}, CALL, SECRET)
    assert unseal(query, CALL, ("other-secret", SECRET)) == {"to": "sip:a@b;x=1&y", "order": "sb-1"}
    assert unseal(query, "another-call", (SECRET,)) == {}
    assert unseal(query.replace("sb-1", "sb-2"), CALL, (SECRET,)) == {}
    assert unseal(query + "&last=1", CALL, (SECRET,)) == {}
    assert unseal("", CALL, (SECRET,)) == {}


# --- the channel ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def jambonz(data: Path, **options: Any) -> AsyncIterator[Phone]:
    gateway = msgspec.structs.replace(GATEWAY, **options)
    async with phone_channel(data, settings=Settings(gateways={"dev": gateway})) as phone:
        yield phone


async def post(phone: Phone, path: str, secret: str = SECRET, **fields: Any) -> ClientResponse:
    hook: Json = {
        "call_sid": CALL,
        "account_sid": "acc-1",
        "direction": "inbound",
        "from": "+15551230000",
        "to": "+15550100",
    }
    hook |= {"call_id": "x@y", "call_status": "in-progress"} | fields
    schema = {"call": "session-new", "wait": "enqueue-wait", "status": "call-status", "dial": "dial", "queue": "base"}
    if path.partition("?")[0] == "wait":
        hook |= {"queue_sid": "q", "queue_time": 3}
    validate(f"callbacks/{schema[path.partition('?')[0]]}", hook)
    body = json.dumps(hook).encode()
    headers = {parse.HEADER: signature.sign((secret,), body, phone.desk.now // 1_000)}
    return await phone.client.post(f"{HOOK}/{path}", data=body, headers=headers)


async def says(phone: Phone, path: str, **fields: Any) -> list[Json]:
    response = await post(phone, path, **fields)
    assert response.status == 200, await response.text()
    verbs: list[Json] = await response.json()
    for verb in verbs:
        validate(f"verbs/{verb['verb']}", verb)
    return verbs


def names(verbs: list[Json]) -> list[str]:
    return [verb["verb"] for verb in verbs]


async def test_a_call_comes_in_and_waits(tmp_path: Path) -> None:
    async with jambonz(tmp_path) as phone:
        env = {"language": "es", "vip": True, "none": None}
        [enqueue] = await says(phone, "call", caller_name="Eva", env_vars=env)
        assert enqueue["waitHook"] == {"url": f"{PUBLIC}{HOOK}/wait", "method": "POST"}
        assert enqueue["actionHook"] == {"url": f"{PUBLIC}{HOOK}/queue", "method": "POST"}
        [arrival] = phone.desk.commands
        assert isinstance(arrival, c.Arrive)
        assert (arrival.sender, arrival.recipient, arrival.language) == ("+15551230000", "+15550100", "es")
        assert arrival.attributes == {"language": "es", "vip": "true", "name": "Eva"}
        assert await says(phone, "call") == [enqueue]
        assert phone.desk.count == 1


async def test_without_a_public_address_hooks_are_relative(tmp_path: Path) -> None:
    async with jambonz(tmp_path, public_url="") as phone:
        [enqueue] = await says(phone, "call")
        assert enqueue["waitHook"]["url"] == f"{HOOK}/wait"


async def test_a_caller_hears_where_they_stand(tmp_path: Path) -> None:
    async with jambonz(tmp_path) as phone:
        await says(phone, "call")
        phone.desk.position = Estimate(3, 130)
        verbs = await says(phone, "wait")
        assert [verb.get("text") or verb["length"] for verb in verbs] == [
            "You are number 3 in line.",
            "The expected wait is about 2 minutes.",
            20,
        ]
        assert phone.desk.commands[-1] == c.Renew(thread=f"phone.dev:{CALL}", lease_ms=120_000)
        phone.desk.position = None
        assert names(await says(phone, "wait")) == ["pause"]


@pytest.mark.promise("MV-3")
async def test_whoever_we_do_not_have_any_more_leaves_the_line_and_is_hung_up_on(tmp_path: Path) -> None:
    async with jambonz(tmp_path) as phone:
        assert names(await says(phone, "wait")) == ["leave"]
        assert names(await says(phone, "queue", queue_sid="q", queue_time=1, queue_result="leave")) == ["hangup"]


async def test_whoever_was_put_out_of_the_line_and_is_ours_goes_back(tmp_path: Path) -> None:
    async with jambonz(tmp_path) as phone:
        await says(phone, "call")
        for result in ("leave", "error"):
            assert names(await says(phone, "queue", queue_result=result)) == ["pause", "enqueue"]


@pytest.mark.parametrize("fields", [{"queue_result": "hangup"}, {"event": "leave", "leaveReason": "abandoned"}])
async def test_a_caller_may_give_up(tmp_path: Path, fields: Json) -> None:
    async with jambonz(tmp_path) as phone:
        await says(phone, "call")
        await says(phone, "queue", event="join") if "event" in fields else None
        assert phone.desk.threads
        await says(phone, "queue", **fields)
        assert phone.desk.threads == {}
        left = phone.desk.commands[-1]
        assert isinstance(left, c.Leave)
        assert left.reason == "abandoned"


async def test_a_number_that_no_rule_takes_is_declined(tmp_path: Path) -> None:
    async with jambonz(tmp_path) as phone:
        phone.desk.refuse = lambda command: NoRoute("nobody")
        assert await says(phone, "call") == [{"verb": "sip:decline", "status": 404, "reason": "No route"}]


async def test_a_conversation_ends_with_either_side(tmp_path: Path) -> None:
    async with jambonz(tmp_path) as phone:
        await says(phone, "call")
        leg = {"call_sid": "leg-1", "parent_call_sid": CALL, "direction": "outbound"}
        await says(phone, "status", call_status="ringing", **leg)
        await says(phone, "status", call_status="in-progress", **leg)
        assert [type(command) for command in phone.desk.commands[-2:]] == [c.ConfirmConnection, c.Renew]
        assert phone.desk.commands[-1] == c.Renew(thread=f"phone.dev:{CALL}", lease_ms=14_400_000)
        await says(phone, "status", call_status="completed", **leg)
        assert phone.desk.threads
        assert names(await says(phone, "dial", dial_call_status="completed", dial_call_sid="leg-1")) == ["hangup"]
        assert phone.desk.threads == {}
        assert await says(phone, "status", call_status="completed", duration=3, call_termination_by="caller") == []


@pytest.mark.parametrize("status", ["busy", "no-answer", "failed"])
async def test_a_telephone_that_is_not_answered_puts_the_caller_back(tmp_path: Path, status: str) -> None:
    async with jambonz(tmp_path) as phone:
        await says(phone, "call")
        path = f"dial?{seal({'order': 'sb-17'}, CALL, SECRET)}"
        for _ in range(2):
            assert names(await says(phone, path, dial_call_status=status)) == ["pause", "enqueue"]
        failed = [command for command in phone.desk.commands if isinstance(command, c.FailConnection)]
        assert {(command.key, command.reason) for command in failed} == {
            (f"phone.dev:{CALL}:dial:sb-17:{status}", status)
        }


@pytest.mark.promise("IN-3")
@pytest.mark.parametrize("order", list(permutations(("call", "wait", "status", "queue"))), ids="-".join)
async def test_no_order_of_the_hooks_leaves_a_ghost(tmp_path: Path, order: tuple[str, ...]) -> None:
    fields = {"status": {"call_status": "completed"}, "queue": {"queue_result": "hangup"}}
    async with jambonz(tmp_path) as phone:
        for path in (*order, *order):
            await says(phone, path, **fields.get(path, {}))
        assert phone.desk.count <= 1
        assert phone.desk.threads == {}


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.promise("OB-6")
async def test_nobody_speaks_without_a_good_signature(tmp_path: Path) -> None:
    async with jambonz(tmp_path) as phone:
        for path in parse.PATHS:
            assert (await post(phone, path, secret="another-secret")).status == 401
        assert phone.desk.commands == []
        assert phone.quarantine.count == 0


@pytest.mark.promise("IN-2")
async def test_a_caller_who_is_with_us_is_not_dropped_while_we_cannot_record(tmp_path: Path) -> None:
    async with jambonz(tmp_path) as phone:
        await says(phone, "call")
        phone.desk.refuse = lambda command: Overloaded("full", 7)
        for path in ("call", "status"):
            assert (await post(phone, path)).status == 503
        assert await says(phone, "wait") == [{"verb": "pause", "length": 7}]
        path = f"dial?{seal({'order': 'sb-17'}, CALL, SECRET)}"
        pause, redirect = await says(phone, path, dial_call_status="busy")
        assert (pause["verb"], redirect["verb"]) == ("pause", "redirect")
        phone.desk.refuse = lambda command: None
        # jambonz comes back to this address, and says nothing itself of what became of the telephone.
        again = redirect["actionHook"]["url"].removeprefix(f"{PUBLIC}{HOOK}/")
        assert names(await says(phone, again)) == ["pause", "enqueue"]
        failed = phone.desk.commands[-1]
        assert isinstance(failed, c.FailConnection)
        assert (failed.reason, failed.key) == ("busy", f"phone.dev:{CALL}:dial:sb-17:busy")


@pytest.mark.promise("IN-4")
async def test_what_is_not_understood_is_set_aside(tmp_path: Path) -> None:
    async with jambonz(tmp_path) as phone:
        assert (await post(phone, "call", call_sid="../x")).status == 422
        assert phone.quarantine.count == 1


@pytest.mark.promise("IN-4")
@given(path=st.sampled_from(parse.PATHS), query=st.text(max_size=80), body=st.binary(max_size=200))
def test_no_bytes_make_the_parser_fail(path: str, query: str, body: bytes) -> None:
    for text in (body, b'{"call_sid":"abc"}'):
        with suppress(ClientError):
            parse.parse(Raw(path, f"/?{query}", {}, text), GATEWAY)


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(
    ("options", "path"),
    [({"account": ""}, "account"), ({"public_url": ""}, "public_url")],
)
def test_a_gateway_that_could_not_work_is_refused(options: Json, path: str) -> None:
    complete: Json = {"control_url": "https://api.example.org", "account": "acc-1"}
    check(Settings(gateways={"dev": msgspec.structs.replace(GATEWAY, **complete)}))
    wrong = Settings(gateways={"dev": msgspec.structs.replace(GATEWAY, **complete | options)})
    with pytest.raises(ConfigError) as refused:
        check(wrong)
    assert refused.value.path == f"phone.gateways.dev.{path}"


# --- orders -----------------------------------------------------------------------------------------------------------


class Rest:
    """The stand-in: `POST /v1/Accounts/SID/Calls/SID` as jambonz documents it."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.updates: list[Json] = []
        self.conferences: list[str] = []
        self.url = ""

    async def update(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer api-token"
        assert (request.match_info["account"], request.match_info["call"]) == ("acc-1", CALL)
        self.updates.append(await request.json())
        return web.Response(status=self.statuses.pop(0) if self.statuses else 202)

    async def list_conferences(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer api-token"
        return web.json_response(self.conferences)


@pytest.fixture
async def rest() -> AsyncIterator[Rest]:
    rest = Rest()
    app = web.Application()
    app.router.add_post("/v1/Accounts/{account}/Calls/{call}", rest.update)
    app.router.add_get("/v1/Accounts/{account}/Conferences", rest.list_conferences)
    async with TestServer(app) as server:
        rest.url = str(server.make_url("/"))
        yield rest


@asynccontextmanager
async def driven(rest: Rest, data: Path) -> AsyncIterator[Phone]:
    async with jambonz(data, control_url=rest.url, account="acc-1", control_token="api-token") as phone:
        await says(phone, "call")
        phone.desk.views[1] = view()
        yield phone


def order(phone: Phone, action: str = "assigned", reason: str = "", endpoint: str = "sip:ana@desk") -> Any:
    return msgspec.structs.replace(outbound(phone, action, reason, endpoint), threads=(f"phone.dev:{CALL}",))


def path_of(update: Json) -> str:
    """The address that jambonz asks next, below the gateway's."""
    url: str = update["call_hook"]["url"]
    assert url.startswith(f"{PUBLIC}{HOOK}/")
    return url.removeprefix(f"{PUBLIC}{HOOK}/")


@pytest.mark.parametrize(
    ("endpoint", "target"),
    [
        ("sip:ana@desk", {"type": "sip", "sipUri": "sip:ana@desk"}),
        ("user:ana@realm", {"type": "user", "name": "ana@realm"}),
        ("+15550199", {"type": "phone", "number": "+15550199"}),
    ],
)
async def test_an_accepted_call_is_moved_to_the_agents_telephone(
    rest: Rest, tmp_path: Path, endpoint: str, target: Json
) -> None:
    async with driven(rest, tmp_path) as phone:
        await phone.adapter.deliver(order(phone, endpoint=endpoint))
        [dial] = await says(phone, path_of(rest.updates[0]))
        assert (dial["verb"], dial["target"], dial["timeout"], dial["answerOnBridge"]) == ("dial", [target], 20, True)
        validate("components/target", dial["target"][0])
        result = urlsplit(dial["actionHook"]["url"])
        assert unseal(result.query, CALL, (SECRET,)) == {"order": "sb-17"}


async def test_a_connect_that_was_followed_by_another_dials_nobody(rest: Rest, tmp_path: Path) -> None:
    async with driven(rest, tmp_path) as phone:
        for number in (17, 18):
            await phone.adapter.deliver(msgspec.structs.replace(order(phone), outbound=number))
        assert names(await says(phone, path_of(rest.updates[0]))) == ["pause", "enqueue"]
        assert names(await says(phone, path_of(rest.updates[1]))) == ["dial"]


@pytest.mark.promise("OB-6")
async def test_nobody_is_dialled_whom_we_did_not_name(rest: Rest, tmp_path: Path) -> None:
    async with driven(rest, tmp_path) as phone:
        await phone.adapter.deliver(order(phone))
        forged = path_of(rest.updates[0]).replace("ana%40desk", "eve%40desk")
        assert forged != path_of(rest.updates[0])
        assert names(await says(phone, forged)) == ["pause", "enqueue"]


async def test_the_other_orders(rest: Rest, tmp_path: Path) -> None:
    async with driven(rest, tmp_path) as phone:
        await phone.adapter.deliver(order(phone, "ended", "completed"))
        await phone.adapter.deliver(order(phone, "requeued"))
        await phone.adapter.deliver(order(phone, "transferred", endpoint="+15550123"))
        hangup, queue, transfer = rest.updates
        assert hangup == {"call_status": "completed"}
        assert names(await says(phone, path_of(queue))) == ["pause", "enqueue"]
        phone.desk.threads.clear()  # transferred: it is over for us
        [dial] = await says(phone, path_of(transfer))
        assert dial["target"] == [{"type": "phone", "number": "+15550123"}]
        for action in ("consulted", "conference", "handed-over", "consult-over"):
            assert (await failure(phone, order(phone, action))).final


@pytest.mark.promise("MV-1")
async def test_the_first_hold_moves_both_legs_into_a_conference_and_the_next_try_holds_the_caller(
    rest: Rest, tmp_path: Path
) -> None:
    async with driven(rest, tmp_path) as phone:
        phone.desk.views[1] = view(on_hold=True, connected=True)
        assert not (await failure(phone, order(phone, "held"))).final
        [moved] = rest.updates
        entered, redirect = await says(phone, path_of(moved))
        child = {"call_sid": "0c1bb7b1-leg", "parent_call_sid": CALL}
        [joined] = await says(phone, path_of({"call_hook": moved["child_call_hook"]}), **child)
        assert (entered["verb"], redirect["verb"]) == ("conference", "redirect")
        assert entered == joined
        assert entered["endConferenceOnExit"] is True
        for verb in (entered, redirect):
            validate(f"verbs/{verb['verb']}", verb)
        rest.conferences = [entered["name"], "another"]
        await phone.adapter.deliver(order(phone, "held"))
        phone.desk.views[1] = view(connected=True)
        await phone.adapter.deliver(order(phone, "resumed"))
        assert rest.updates[1:] == [{"conf_hold_status": "hold"}, {"conf_hold_status": "unhold"}]
        over = await says(phone, path_of({"call_hook": redirect["actionHook"]}))
        assert names(over) == ["hangup"]
        assert isinstance(phone.desk.commands[-1], c.Leave)


@pytest.mark.promise("MV-1")
async def test_a_hold_that_was_taken_back_before_it_came_moves_nobody(rest: Rest, tmp_path: Path) -> None:
    async with driven(rest, tmp_path) as phone:
        phone.desk.views[1] = view(connected=True)
        await phone.adapter.deliver(order(phone, "resumed"))
        assert rest.updates == []


@pytest.mark.parametrize(("on_hold", "left"), [(True, False), (False, True)])
async def test_the_end_of_a_dial_is_the_end_of_the_call_unless_we_took_it_apart(
    rest: Rest, tmp_path: Path, on_hold: bool, left: bool
) -> None:
    async with driven(rest, tmp_path) as phone:
        await phone.adapter.deliver(order(phone))
        dial = f"dial?{seal({'order': 'sb-17'}, CALL, SECRET)}"
        phone.desk.views[1] = view(on_hold=on_hold, connected=True)
        await says(phone, dial, dial_call_status="completed")
        assert any(isinstance(command, c.Leave) for command in phone.desk.commands) is left


@pytest.mark.parametrize("state", ["queued", "offered"])
async def test_a_call_that_was_taken_from_its_agent_does_not_end_with_the_dial(
    rest: Rest, tmp_path: Path, state: str
) -> None:
    """jambonz tells the result of a `dial` that another order has replaced."""
    async with driven(rest, tmp_path) as phone:
        await phone.adapter.deliver(order(phone))
        phone.desk.views[1] = view(state, "")
        dial = f"dial?{seal({'order': 'sb-17'}, CALL, SECRET)}"
        assert names(await says(phone, dial, dial_call_status="completed")) == ["pause", "enqueue"]
        phone.desk.views[1] = view()
        await phone.adapter.deliver(msgspec.structs.replace(order(phone), outbound=18))
        await says(phone, dial, dial_call_status="completed")
        assert not any(isinstance(command, c.Leave) for command in phone.desk.commands)


async def test_a_call_that_is_gone(rest: Rest, tmp_path: Path) -> None:
    async with driven(rest, tmp_path) as phone:
        rest.statuses = [404, 404, 500]
        await phone.adapter.deliver(order(phone, "ended", "completed"))
        assert (await failure(phone, order(phone))).final
        assert not (await failure(phone, order(phone, "ended", "completed"))).final


@pytest.mark.parametrize("endpoint", ["", "ana", "tel:1"])
async def test_an_agent_without_a_telephone_cannot_be_connected(rest: Rest, tmp_path: Path, endpoint: str) -> None:
    async with driven(rest, tmp_path) as phone:
        assert "agents.ana.endpoint" in str(await failure(phone, order(phone, endpoint=endpoint)))
        assert rest.updates == []
