"""The Kamailio kind: what a gateway was heard to say is replayed, doubled, delayed and cut; what it is told is read."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels.phone.kamailio import parse
from channels.phone.request import Raw
from channels.phone.settings import Gateway, Settings
from router.engine import commands as c
from router.engine.config import Duration
from router.engine.views import Estimate
from router.errors import ClientError, NoRoute, Overloaded, TooLarge, Unauthenticated
from router.service.ports import DeliveryFailed
from tests.phone.support import Phone, phone_channel
from tests.phone.test_orders import failure, outbound, view
from tests.support.waiting import until

TOKEN = "dev-kamailio"
GATEWAY = Gateway(kind="kamailio", secrets=(TOKEN,))
BEARER = {"Authorization": f"Bearer {TOKEN}"}
START_S = 1_700_000_000.0
RECORDED = sorted((Path(__file__).parent / "data" / "kamailio").glob("*.jsonl"))

Json = dict[str, Any]
_at = itertools.count(1)


def said(event: str, call_id: str = "call-1", **more: object) -> bytes:
    told: Json = {"event": event, "call_id": call_id, "code": 182, "from": "caller1", "to": "support"}
    return msgspec.json.encode(told | {"at": f"{START_S + next(_at) / 1_000:.6f}"} | more)


class Switch:
    """The gateway's side of the commands. Answers with `statuses`, then with 202."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.commands: list[Json] = []
        self.keys: list[str] = []
        self.url = ""

    async def command(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        self.commands.append(await request.json())
        self.keys.append(request.headers.get("Idempotency-Key", ""))
        return web.json_response({}, status=self.statuses.pop(0) if self.statuses else 202)


@pytest.fixture
async def switch() -> AsyncIterator[Switch]:
    switch = Switch()
    app = web.Application()
    app.router.add_post("/calls", switch.command)
    async with TestServer(app) as server:
        switch.url = str(server.make_url("/calls"))
        yield switch


@asynccontextmanager
async def kamailio(data: Path, **options: Any) -> AsyncIterator[Phone]:
    gateway = msgspec.structs.replace(GATEWAY, **options)
    async with phone_channel(data, settings=Settings(gateways={"dev": gateway})) as phone:
        yield phone


async def tell(phone: Phone, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, Json]:
    response = await phone.post(body, BEARER if headers is None else headers)
    return response.status, await response.json()


# --- recorded traffic -------------------------------------------------------------------------------------------------


def recording(path: Path) -> tuple[list[bytes], list[Json]]:
    """What the gateway told, as it wrote it, and what it was commanded."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    told = [
        msgspec.json.encode(
            {k: v for k, v in line.items() if not k.endswith("_s")} | {"at": f"{START_S + line['at_s']:.6f}"}
        )
        for line in lines
        if "event" in line
    ]
    return told, [line["command"] for line in lines if "command" in line]


KINDS = {
    "offered": c.Arrive,
    "ringing": c.Renew,
    "answered": c.ConfirmConnection,
    "agent_failed": c.FailConnection,
    "ended": c.Leave,
    "rejected": c.Leave,
    "abandoned": c.Leave,
}


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
async def test_a_recorded_call_is_understood_from_its_beginning_to_its_end(path: Path, tmp_path: Path) -> None:
    told, _ = recording(path)
    async with kamailio(tmp_path) as phone:
        for body in told:
            status, answer = await tell(phone, body)
            assert (status, answer["interaction"]) == (200, "i-1")
        assert [type(command) for command in phone.desk.commands] == [KINDS[json.loads(body)["event"]] for body in told]
        assert phone.desk.threads == {}
        assert phone.quarantine.count == 0


@pytest.mark.promise("IN-3")
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
async def test_a_recorded_call_that_is_told_twice_is_one_call(path: Path, tmp_path: Path) -> None:
    told, _ = recording(path)
    async with kamailio(tmp_path) as phone:
        for body in told:
            first = await tell(phone, body)
            assert first[0] == 200
            if json.loads(body)["event"] != "ringing":  # has no key: once more is no harm
                assert await tell(phone, body) == first
        for body in told:
            assert (await tell(phone, body))[0] == 200
        assert phone.desk.count == 1
        assert phone.desk.threads == {}


@pytest.mark.promise("IN-3")
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_order_of_a_recorded_call_leaves_a_ghost(path: Path, tmp_path: Path, data: st.DataObject) -> None:
    told, _ = recording(path)
    order = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=4))))

    async def play() -> None:
        async with kamailio(tmp_path) as phone:
            assert {(await tell(phone, body))[0] for body in order} == {200}
            assert phone.desk.count <= 1
            assert phone.desk.threads == {}

    asyncio.run(play())


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
async def test_the_recorded_commands_are_those_that_we_send(path: Path, switch: Switch, tmp_path: Path) -> None:
    told, commands = recording(path)
    async with kamailio(tmp_path, control_url=switch.url) as phone:
        await tell(phone, told[0])
        phone.desk.views[1] = view()
        for command in commands:
            if command["action"] == "connect":
                await phone.adapter.deliver(outbound(phone, endpoint=command["target"]))
            elif command["action"] == "reject":
                order = msgspec.structs.replace(outbound(phone, "ended", "closed"), agent="")
                await phone.adapter.deliver(order)
            else:
                await phone.adapter._lines["dev"].positions.tell()  # type: ignore[union-attr]
        assert [(sent["action"], sent.get("target")) for sent in switch.commands] == [
            (command["action"], command.get("target")) for command in commands
        ]
        assert {sent["call_id"] for sent in switch.commands} <= {"call-1"}


# --- what is told -----------------------------------------------------------------------------------------------------


async def test_a_call_arrives_with_what_its_gateway_knows_of_it(tmp_path: Path) -> None:
    async with kamailio(tmp_path, country="DE") as phone:
        await tell(phone, said("offered", **{"from": "+493012345678", "to": "+15550100", "at": "1699999990.5"}))
        [arrival] = phone.desk.commands
        assert isinstance(arrival, c.Arrive)
        assert (arrival.sender, arrival.recipient) == ("+493012345678", "+15550100")
        assert (arrival.threads, arrival.identities) == (("phone.dev:call-1",), ("tel:+493012345678",))
        assert (arrival.received_at_ms, arrival.lease_ms) == (1_699_999_990_500, 120_000)


@pytest.mark.parametrize(
    ("code", "reason"), [(408, "no-answer"), (486, "busy"), (503, "unreachable"), (603, "sip-603")]
)
def test_a_failed_connection_says_why(code: int, reason: str) -> None:
    event = parse.parse(Raw("events", "", {}, said("agent_failed", code=code, target="sip:a@b")), GATEWAY)
    assert (event.type, event.reason) == ("connect_failed", reason)


@pytest.mark.parametrize("event", ["waiting", "ringing", "parked"])
@pytest.mark.promise("MV-3")
async def test_a_sign_of_life_renews_the_lease(tmp_path: Path, event: str) -> None:
    async with kamailio(tmp_path) as phone:
        await tell(phone, said("offered"))
        await tell(phone, said(event))
        assert phone.desk.commands[-1] == c.Renew(thread="phone.dev:call-1", lease_ms=120_000)


def test_two_events_that_differ_in_time_alone_are_two() -> None:
    first, second = (parse.parse(Raw("events", "", {}, said("ringing")), GATEWAY) for _ in range(2))
    assert first.event_id != second.event_id


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer  {TOKEN}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer dev-kamäilio"},
    ],
)
async def test_nobody_speaks_without_the_token(tmp_path: Path, headers: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated):
        parse.verify(Raw("events", "", headers, b""), GATEWAY, 0)


@pytest.mark.promise("OB-6")
async def test_without_the_token_nothing_is_kept(tmp_path: Path) -> None:
    async with kamailio(tmp_path) as phone:
        assert (await tell(phone, said("offered"), {}))[0] == 401
        assert phone.desk.commands == []
        assert phone.quarantine.count == 0


def test_tokens_change_without_losing_a_call() -> None:
    gateway = msgspec.structs.replace(GATEWAY, secrets=("new-token", TOKEN))
    for token in ("new-token", TOKEN):
        parse.verify(Raw("events", "", {"Authorization": f"bearer {token}"}, b""), gateway, 0)


@pytest.mark.promise("IN-4")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        said("rung"),
        said("offered", call_id=""),
        said("offered", call_id="a b"),
        said("offered", at="soon"),
        said("offered", at="1e400"),
        said("offered", code="182"),
        b'{"event":"offered","call_id":"\xff"}',
    ],
)
async def test_what_is_not_understood_is_set_aside(tmp_path: Path, body: bytes) -> None:
    async with kamailio(tmp_path) as phone:
        assert (await tell(phone, body))[0] == 422
        assert phone.quarantine.count == 1


def test_a_text_over_the_limit_is_refused() -> None:
    with pytest.raises(TooLarge):
        parse.parse(Raw("events", "", {}, said("offered", **{"from": "x" * 1_025})), GATEWAY)


@pytest.mark.promise("IN-4")
@given(st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(msgspec.json.encode))
def test_no_bytes_make_the_parser_fail(body: bytes) -> None:
    with suppress(ClientError):
        parse.parse(Raw("events", "", {}, body), GATEWAY)


@given(
    st.fixed_dictionaries(
        {
            "event": st.sampled_from(list(parse._MEANS)),
            "call_id": st.just("c"),
            "at": st.from_regex(r"[0-9]{1,12}(\.[0-9]{1,9})?", fullmatch=True),
        },
        optional={"from": st.text(), "to": st.text(), "code": st.integers(-(2**60), 2**60), "extra": st.text()},
    )
)
def test_whatever_it_says_of_a_call_is_understood(event: Json) -> None:
    assert parse.parse(Raw("events", "", {}, msgspec.json.encode(event)), GATEWAY).call_id == "c"


@pytest.mark.promise("IN-2")
async def test_what_cannot_be_recorded_stays_with_the_gateway(tmp_path: Path) -> None:
    async with kamailio(tmp_path) as phone:
        phone.desk.refuse = lambda command: Overloaded("full", 3)
        assert (await tell(phone, said("offered")))[0] == 503


# --- what it is told --------------------------------------------------------------------------------------------------


async def test_an_accepted_call_is_connected_under_one_key(switch: Switch, tmp_path: Path) -> None:
    async with kamailio(tmp_path, control_url=switch.url) as phone:
        phone.desk.views[1] = view()
        switch.statuses = [409]
        order = outbound(phone)
        assert not (await failure(phone, order)).final
        await phone.adapter.deliver(order)
        assert switch.commands == [{"call_id": "call-1", "action": "connect", "target": "sip:ana@desk"}] * 2
        assert switch.keys == ["sb-17", "sb-17"]


@pytest.mark.parametrize("endpoint", ["", "+493012345678", "ana"])
async def test_an_agent_without_a_sip_telephone_cannot_be_connected(
    switch: Switch, tmp_path: Path, endpoint: str
) -> None:
    async with kamailio(tmp_path, control_url=switch.url) as phone:
        await tell(phone, said("offered"))
        phone.desk.views[1] = view()
        problem = await failure(phone, outbound(phone, endpoint=endpoint))
        assert problem.final
        assert "agents.ana.endpoint" in str(problem)
        assert isinstance(phone.desk.commands[-1], c.FailConnection)
        assert switch.commands == []


@pytest.mark.parametrize(
    ("action", "agent", "sent"),
    [
        ("ended", "ana", "hangup"),
        ("ended", "", "reject"),
        ("requeued", "ana", "queue"),
        ("transferred", "ana", "transfer"),
    ],
)
async def test_each_order_has_its_command(switch: Switch, tmp_path: Path, action: str, agent: str, sent: str) -> None:
    async with kamailio(tmp_path, control_url=switch.url) as phone:
        phone.desk.views[1] = view()
        reason = "completed" if action == "ended" else ""
        await phone.adapter.deliver(msgspec.structs.replace(outbound(phone, action, reason), agent=agent))
        assert [command["action"] for command in switch.commands] == [sent]


@pytest.mark.parametrize(("agent", "statuses"), [("ana", (404, 410)), ("", (404, 409, 410))])
async def test_a_call_that_is_gone_need_not_be_hung_up(
    switch: Switch, tmp_path: Path, agent: str, statuses: tuple[int, ...]
) -> None:
    async with kamailio(tmp_path, control_url=switch.url) as phone:
        order = msgspec.structs.replace(outbound(phone, "ended", "completed"), agent=agent)
        for status in statuses:
            switch.statuses = [status]
            await phone.adapter.deliver(order)
        switch.statuses = [503]
        assert not (await failure(phone, order)).final


@pytest.mark.parametrize("action", ["held", "resumed"])
async def test_a_proxy_cannot_hold(switch: Switch, tmp_path: Path, action: str) -> None:
    async with kamailio(tmp_path, control_url=switch.url) as phone:
        phone.desk.views[1] = view(on_hold=action == "held")
        with pytest.raises(DeliveryFailed) as refused:
            await phone.adapter.deliver(outbound(phone, action))
        assert refused.value.final
        assert switch.commands == []


async def test_a_call_that_no_rule_takes_is_refused_before_its_event_is_answered(
    switch: Switch, tmp_path: Path
) -> None:
    async with kamailio(tmp_path, control_url=switch.url) as phone:
        phone.desk.refuse = lambda command: NoRoute("nobody")
        switch.statuses = [503]
        event = said("offered")
        assert (await tell(phone, event))[0] == 503
        assert (await tell(phone, event))[1]["action"] == "reject"
        assert switch.commands == [{"call_id": "call-1", "action": "reject"}] * 2
        assert len(set(switch.keys)) == 1


async def test_what_is_told_of_an_earlier_connect_is_late(switch: Switch, tmp_path: Path) -> None:
    async with kamailio(tmp_path, control_url=switch.url) as phone:
        await tell(phone, said("offered"))
        phone.desk.views[1] = view()
        for number in (17, 18):
            await phone.adapter.deliver(msgspec.structs.replace(outbound(phone), outbound=number))
        phone.desk.commands.clear()
        assert (await tell(phone, said("agent_failed", order="sb-17")))[1]["interaction"] is None
        assert phone.desk.commands == []
        await tell(phone, said("agent_failed", order="sb-18"))
        assert [type(command) for command in phone.desk.commands] == [c.FailConnection]
    async with kamailio(tmp_path, control_url=switch.url) as restarted:
        restarted.adapter._desk = phone.desk
        assert (await tell(restarted, said("answered", order="sb-19")))[1]["interaction"] == "i-1"


# --- positions --------------------------------------------------------------------------------------------------------


async def test_a_caller_who_waits_is_told_where_they_stand(switch: Switch, tmp_path: Path) -> None:
    async with kamailio(tmp_path, control_url=switch.url, position_every=Duration(5)) as phone:
        phone.desk.position = Estimate(3, 40)
        await tell(phone, said("offered"))
        await until(lambda: len(switch.commands) > 1)
        assert switch.commands[0] == {
            "call_id": "call-1",
            "action": "progress",
            "text": "Queued; position 3; expected wait 40 s",
        }
        assert switch.keys[0] == ""
        assert c.Renew(thread="phone.dev:call-1", lease_ms=120_000) in phone.desk.commands
        assert phone.adapter.health().ok


async def test_only_those_who_wait_are_told(switch: Switch, tmp_path: Path) -> None:
    async with kamailio(tmp_path, control_url=switch.url) as phone:
        positions = phone.adapter._lines["dev"].positions
        assert positions is not None
        await tell(phone, said("offered"))
        phone.desk.position = None  # offered, or talking
        await positions.tell()
        assert switch.commands == []
        phone.desk.position = Estimate(1, None)
        switch.statuses = [409]  # an agent's telephone rings
        await positions.tell()
        await positions.tell()
        assert len(switch.commands) == 1
        await tell(phone, said("waiting"))
        await positions.tell()
        assert len(switch.commands) == 2
        await tell(phone, said("abandoned"))
        await positions.tell()
        assert (len(switch.commands), len(positions)) == (2, 0)


async def test_a_gateway_that_is_away_is_told_the_next_time(switch: Switch, tmp_path: Path) -> None:
    async with kamailio(tmp_path, control_url=switch.url) as phone:
        positions = phone.adapter._lines["dev"].positions
        assert positions is not None
        for call in ("call-1", "call-2"):
            await tell(phone, said("offered", call))
        switch.statuses = [500]
        await positions.tell()
        assert len(switch.commands) == 1  # the others would have to wait as long for nothing
        await positions.tell()
        assert len(switch.commands) == 3


@pytest.mark.promise("OB-1")
async def test_health_says_when_nobody_tells_positions(switch: Switch, tmp_path: Path) -> None:
    async with kamailio(tmp_path, control_url=switch.url) as phone:
        positions = phone.adapter._lines["dev"].positions
        assert positions is not None
        assert positions._task is not None
        positions._task.cancel()
        await asyncio.wait([positions._task])
        assert not phone.adapter.health().ok
