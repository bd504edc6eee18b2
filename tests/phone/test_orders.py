"""What a gateway is told to do, how often, and what becomes of it: against a real HTTP server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec.structs import replace

from channels.phone.calls import ACTIONS
from channels.phone.settings import Gateway, Settings
from channels.phone.signature import HEADER, verify
from router.engine import commands as c
from router.engine.views import ConsultView, InteractionView, Outbound
from router.errors import IllegalMove, Unavailable
from router.service.ports import DeliveryFailed
from tests.phone.support import SECRET, Phone, phone_channel, told
from tests.support.waiting import until


class Switch:
    """A gateway's control address. Answers with `statuses`, then with 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.orders: list[tuple[dict[str, str], bytes]] = []
        self.never: asyncio.Event | None = None  # set: no answer before it
        self.url = ""

    async def order(self, request: web.Request) -> web.Response:
        self.orders.append((dict(request.headers), await request.read()))
        if self.never is not None:
            await self.never.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, text="{}", headers={"Location": "/elsewhere"} if status < 400 else {})


@pytest.fixture
async def switch() -> AsyncIterator[Switch]:
    switch = Switch()
    app = web.Application()
    app.router.add_post("/control", switch.order)
    async with TestServer(app) as server:
        switch.url = str(server.make_url("/control"))
        yield switch
        if switch.never is not None:
            switch.never.set()


@asynccontextmanager
async def driven(switch: Switch, data: Path, **options: Any) -> AsyncIterator[Phone]:
    """A gateway that takes orders, with a call that ana has accepted."""
    async with phone_channel(data, control_url=switch.url, **options) as phone:
        await phone.answer(told("incoming"))
        phone.desk.views[1] = view()
        phone.desk.commands.clear()
        yield phone


def view(state: str = "active", agent: str = "ana", on_hold: bool = False, connected: bool = False) -> InteractionView:
    texts: dict[str, Any] = dict.fromkeys(("customer", "sender", "recipient", "name", "subject", "language"), "")
    return InteractionView(
        id="i-1",
        channel="phone",
        direction="inbound",
        state=state,
        queue="support",
        enqueued_at_ms=0,
        requirement=None,
        matched_skills=(),
        attributes={},
        agent=agent,
        on_hold=on_hold,
        connected=connected,
        **texts,
    )


def outbound(phone: Phone, action: str = "assigned", reason: str = "", endpoint: str = "sip:ana@desk") -> Outbound:
    return Outbound(
        outbound=17,
        at_ms=phone.desk.now,
        action=action,
        channel="phone",
        interaction=1,
        threads=("kiosk:x", "phone.dev:call-1"),
        sender="+493012345678",
        recipient="+15550100",
        subject="",
        attributes={},
        agent="ana",
        agent_name="Ana",
        endpoint=endpoint,
        reason=reason,
    )


CONSULT = ConsultView(id="i-2", of="i-1", role="", state="consulting", owner="ben", agent="ana", address="", until_ms=0)


async def failure(phone: Phone, order: Outbound) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as failed:
        await phone.adapter.deliver(order)
    return failed.value


async def test_an_accepted_call_is_connected_by_a_signed_order(switch: Switch, tmp_path: Path) -> None:
    async with driven(switch, tmp_path) as phone:
        await phone.adapter.deliver(outbound(phone))
        [(headers, body)] = switch.orders
        verify(headers[HEADER], body, [SECRET], phone.desk.now / 1_000, 300)
        assert headers["Idempotency-Key"] == "sb-17"
        assert msgspec.json.decode(body) == {
            "id": "sb-17",
            "action": "connect",
            "call_id": "call-1",
            "interaction": "i-1",
            "agent": "ana",
            "agent_name": "Ana",
            "endpoint": "sip:ana@desk",
            "reason": "",
            "say": "",
        }


@pytest.mark.parametrize(
    ("action", "verb", "reason"),
    [
        ("assigned", "connect", ""),
        ("ended", "hangup", "completed"),
        ("ended", "hangup", "closed"),
        ("ended", "hangup", "unconfirmed"),
        ("held", "hold", ""),
        ("resumed", "resume", ""),
        ("transferred", "transfer", ""),
        ("requeued", "queue", ""),
        ("consulted", "consult", ""),
        ("conference", "join", ""),
        ("handed-over", "complete", ""),
        ("consult-over", "drop", "cancelled"),
        ("called", "call", "agent"),
    ],
)
async def test_each_action_has_its_verb(switch: Switch, tmp_path: Path, action: str, verb: str, reason: str) -> None:
    async with driven(switch, tmp_path) as phone:
        phone.desk.views[1] = replace(view(on_hold=action == "held"), consult=CONSULT)
        assert action in phone.adapter.actions == ACTIONS
        await phone.adapter.deliver(outbound(phone, action, reason))
        [(_, body)] = switch.orders
        assert msgspec.json.decode(body)["action"] == verb


@pytest.mark.parametrize("reason", ["customer-left", "abandoned", "transferred"])
async def test_there_is_nothing_to_hang_up_when_the_caller_did_or_goes_on_elsewhere(
    switch: Switch, tmp_path: Path, reason: str
) -> None:
    async with driven(switch, tmp_path) as phone:
        await phone.adapter.deliver(outbound(phone, "ended", reason))
        assert switch.orders == []


@pytest.mark.parametrize("status", [404, 410])
async def test_hanging_up_a_call_that_is_gone_is_done(switch: Switch, tmp_path: Path, status: int) -> None:
    async with driven(switch, tmp_path) as phone:
        switch.statuses = [status, status]
        await phone.adapter.deliver(outbound(phone, "ended", "completed"))
        assert switch.statuses == [status]


@pytest.mark.parametrize("action", ["transferred", "held", "requeued", "consulted"])
async def test_whatever_is_ordered_of_a_call_that_is_gone_there_is_nothing_left_to_do(
    switch: Switch, tmp_path: Path, action: str
) -> None:
    async with driven(switch, tmp_path) as phone:
        phone.desk.views[1] = replace(view(on_hold=True), consult=CONSULT)
        switch.statuses = [410]
        await phone.adapter.deliver(outbound(phone, action))
        assert phone.desk.commands == [c.Leave(key="phone.dev:sb-17", thread="phone.dev:call-1", reason="abandoned")]
        assert len(switch.orders) == 1


async def test_every_try_is_the_same_order_under_the_same_key(switch: Switch, tmp_path: Path) -> None:
    async with driven(switch, tmp_path) as phone:
        switch.statuses = [500, 503]
        order = outbound(phone)
        for _ in range(2):
            assert not (await failure(phone, order)).final
            phone.desk.now += 4_000
        await phone.adapter.deliver(order)
        assert {(headers["Idempotency-Key"], body) for headers, body in switch.orders} == {
            ("sb-17", switch.orders[0][1])
        }
        for headers, body in switch.orders:
            verify(headers[HEADER], body, [SECRET], phone.desk.now / 1_000, 10)
        assert phone.desk.commands == []


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503])
async def test_some_answers_say_not_now(switch: Switch, tmp_path: Path, status: int) -> None:
    async with driven(switch, tmp_path) as phone:
        switch.statuses = [status]
        assert not (await failure(phone, outbound(phone, "transferred"))).final


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 405, 422])
async def test_others_will_be_the_same_every_time(switch: Switch, tmp_path: Path, status: int) -> None:
    async with driven(switch, tmp_path) as phone:
        switch.statuses = [status]
        assert (await failure(phone, outbound(phone, "transferred"))).final
        assert len(switch.orders) == 1


async def test_a_gateway_that_cannot_be_reached_is_tried_again(switch: Switch, tmp_path: Path) -> None:
    async with driven(switch, tmp_path) as phone:
        phone.control_at("http://127.0.0.1:1/control")
        failed = await failure(phone, outbound(phone, "transferred"))
        assert not failed.final
        assert "dev: " in phone.adapter.health().detail
        assert phone.adapter.health().ok
        phone.control_at(switch.url)
        await phone.adapter.deliver(outbound(phone, "transferred"))
        assert phone.adapter.health().detail == ""


async def test_a_gateway_that_does_not_answer_is_tried_again(switch: Switch, tmp_path: Path) -> None:
    switch.never = asyncio.Event()
    async with driven(switch, tmp_path, control_timeout=50) as phone:
        assert not (await failure(phone, outbound(phone, "transferred"))).final
        switch.never.set()


async def test_a_caller_who_cannot_be_connected_waits_again(switch: Switch, tmp_path: Path) -> None:
    async with driven(switch, tmp_path) as phone:
        switch.statuses = [422]
        assert (await failure(phone, outbound(phone))).final
        [command] = phone.desk.commands
        key, thread = "phone.dev:sb-17", "phone.dev:call-1"
        assert command == c.FailConnection(key=key, thread=thread, reason="gateway-refused", of_agent=False)


@pytest.mark.promise("OF-5")
async def test_a_caller_whom_the_gateway_does_not_have_any_more_is_gone(switch: Switch, tmp_path: Path) -> None:
    """Or they would be offered to one agent after the other until the gateway's own word for it comes."""
    async with driven(switch, tmp_path) as phone:
        switch.statuses = [410, 410, 410]
        phone.desk.refuse = lambda command: Unavailable("disk")
        assert not (await failure(phone, outbound(phone))).final
        phone.desk.refuse = lambda command: None
        assert (await failure(phone, outbound(phone))).final
        assert phone.desk.commands == [c.Leave(key="phone.dev:sb-17", thread="phone.dev:call-1", reason="abandoned")]
        phone.desk.views[1] = view("closed", "")
        await phone.adapter.deliver(outbound(phone))
        assert len(phone.desk.commands) == 1


@pytest.mark.parametrize("status", [404, 422])
async def test_a_wrong_control_address_ends_no_call(switch: Switch, tmp_path: Path, status: int) -> None:
    async with driven(switch, tmp_path) as phone:
        switch.statuses = [status]
        assert (await failure(phone, outbound(phone))).final
        assert [type(command) for command in phone.desk.commands] == [c.FailConnection]


async def test_a_connection_that_does_not_get_through_in_time_is_given_up(switch: Switch, tmp_path: Path) -> None:
    async with driven(switch, tmp_path, connect_within=10_000) as phone:
        switch.statuses = [503, 503]
        order = outbound(phone)
        phone.desk.now += 9_999
        assert not (await failure(phone, order)).final
        assert phone.desk.commands == []
        phone.desk.now += 1
        assert (await failure(phone, order)).final
        assert [type(command) for command in phone.desk.commands] == [c.FailConnection]


@pytest.mark.promise("IN-2")
async def test_a_connection_is_not_given_up_before_that_is_recorded(switch: Switch, tmp_path: Path) -> None:
    async with driven(switch, tmp_path) as phone:
        switch.statuses = [422, 422, 422]
        phone.desk.refuse = lambda command: Unavailable("disk")
        assert not (await failure(phone, outbound(phone))).final
        phone.desk.refuse = lambda command: IllegalMove("it waits already")
        assert (await failure(phone, outbound(phone))).final


@pytest.mark.parametrize(
    "now",
    [
        None,
        view("queued", ""),
        view("active", "ben"),
        view("closed", "ana"),
        view("wrap-up", "ana"),
        view(connected=True),  # a repetition of what came through already
    ],
)
async def test_nobody_is_connected_to_a_call_that_they_do_not_have_any_more(
    switch: Switch, tmp_path: Path, now: InteractionView | None
) -> None:
    async with driven(switch, tmp_path) as phone:
        if now is None:
            phone.desk.views.clear()
        else:
            phone.desk.views[1] = now
        await phone.adapter.deliver(outbound(phone))
        assert switch.orders == []


async def test_a_failed_connection_is_not_held_against_whoever_has_the_call_by_then(
    switch: Switch, tmp_path: Path
) -> None:
    switch.never = asyncio.Event()
    async with driven(switch, tmp_path) as phone:
        switch.statuses = [422]
        failing = asyncio.create_task(failure(phone, outbound(phone)))
        await until(lambda: bool(switch.orders))
        phone.desk.views[1] = view(agent="ben")
        switch.never.set()
        assert (await failing).final
        assert phone.desk.commands == []


@pytest.mark.parametrize(
    ("state", "sent"), [("queued", 1), ("offered", 1), ("active", 1), ("wrap-up", 0), ("closed", 0)]
)
async def test_a_caller_is_sent_back_to_the_queue_while_the_call_lasts(
    switch: Switch, tmp_path: Path, state: str, sent: int
) -> None:
    async with driven(switch, tmp_path) as phone:
        phone.desk.views[1] = view(state, "")
        await phone.adapter.deliver(outbound(phone, "requeued"))
        assert len(switch.orders) == sent


async def test_a_hold_that_was_taken_back_is_not_sent(switch: Switch, tmp_path: Path) -> None:
    async with driven(switch, tmp_path) as phone:
        await phone.adapter.deliver(outbound(phone, "held"))
        phone.desk.views[1] = view(on_hold=True)
        await phone.adapter.deliver(outbound(phone, "resumed"))
        assert switch.orders == []


async def test_a_gateway_without_a_control_address_gets_no_orders(tmp_path: Path) -> None:
    async with phone_channel(tmp_path) as phone:
        for action in ACTIONS - {"transferred"}:
            await phone.adapter.deliver(outbound(phone, action))
        # It would not see by itself that the call is to go on elsewhere, so an operator does.
        assert (await failure(phone, outbound(phone, "transferred"))).final


async def test_a_call_of_a_gateway_that_is_gone_cannot_be_driven(switch: Switch, tmp_path: Path) -> None:
    settings = Settings(gateways={"other": Gateway(secrets=(SECRET,), control_url=switch.url)})
    async with phone_channel(tmp_path, settings=settings) as phone:
        assert (await failure(phone, outbound(phone))).final
        assert switch.orders == []


@pytest.mark.promise("OB-6")
async def test_orders_do_not_follow_a_redirect(switch: Switch, tmp_path: Path) -> None:
    async with driven(switch, tmp_path) as phone:
        switch.statuses = [307]
        assert (await failure(phone, outbound(phone, "transferred"))).final
        assert len(switch.orders) == 1


async def test_while_secrets_change_an_order_is_signed_with_each(switch: Switch, tmp_path: Path) -> None:
    async with driven(switch, tmp_path, secrets=(SECRET, "new-secret")) as phone:
        await phone.adapter.deliver(outbound(phone))
        [(headers, body)] = switch.orders
        for secret in (SECRET, "new-secret"):
            verify(headers[HEADER], body, [secret], phone.desk.now / 1_000, 300)


@pytest.mark.promise("MV-5")
@pytest.mark.parametrize(
    ("status", "command"),
    [(400, c.FailCall(key="phone.dev:sb-17", thread="phone.dev:cb-1-2", reason="failed")), (503, None)],
)
async def test_a_call_that_the_gateway_will_not_make_is_an_attempt_that_failed(
    switch: Switch, tmp_path: Path, status: int, command: c.FailCall | None
) -> None:
    """Offered again at once it would be refused again, for as long as anybody accepts."""
    async with driven(switch, tmp_path) as phone:
        phone.desk.views[1] = view()
        switch.statuses = [status]
        failed = await failure(phone, replace(outbound(phone, "called", "agent"), threads=("phone.dev:cb-1-2",)))
        assert failed.final is (command is not None)
        assert phone.desk.commands == ([command] if command is not None else [])


@pytest.mark.promise("MV-5")
async def test_a_call_to_a_customer_says_whom_from_where_and_who_first(switch: Switch, tmp_path: Path) -> None:
    async with driven(switch, tmp_path) as phone:
        order = replace(outbound(phone, "called", "customer"), threads=("phone.dev:cb-1-2",))
        await phone.adapter.deliver(order)
        [(_, body)] = switch.orders
        assert msgspec.json.decode(body) == {
            "id": "sb-17",
            "action": "call",
            "call_id": "cb-1-2",
            "interaction": "i-1",
            "agent": "ana",
            "agent_name": "Ana",
            "endpoint": "sip:ana@desk",
            "reason": "",
            "say": "",
            "to": "+493012345678",
            "from": "+15550100",
            "first": "customer",
        }


@pytest.mark.promise("MV-1")
@pytest.mark.parametrize("action", ["consulted", "conference"])
async def test_nobody_is_brought_in_for_a_consult_that_is_over(switch: Switch, tmp_path: Path, action: str) -> None:
    async with driven(switch, tmp_path) as phone:
        await phone.adapter.deliver(outbound(phone, action))
        assert switch.orders == []


@pytest.mark.promise("MV-1")
async def test_a_consult_that_the_gateway_will_not_make_fails(switch: Switch, tmp_path: Path) -> None:
    async with driven(switch, tmp_path) as phone:
        phone.desk.views[1] = replace(view(), consult=CONSULT)
        switch.statuses = [400]
        assert (await failure(phone, outbound(phone, "consulted"))).final
        assert phone.desk.commands == [
            c.FailConsult(key="phone.dev:sb-17", thread="phone.dev:call-1", reason="gateway-refused")
        ]


@pytest.mark.promise("MV-1", "MV-5")
@pytest.mark.parametrize(
    ("type_", "attributes", "command"),
    [
        ("consult_answered", {}, c.ConfirmConsult(thread="phone.dev:call-1")),
        ("consult_failed", {"reason": "busy"}, c.FailConsult(thread="phone.dev:call-1", reason="busy")),
        ("call_failed", {"reason": "no-answer"}, c.FailCall(thread="phone.dev:call-1", reason="no-answer")),
        ("callback", {}, c.RequestCallback(thread="phone.dev:call-1", line="phone.dev:")),
        (
            "callback",
            {"number": "+493087654321", "first": "customer"},
            c.RequestCallback(thread="phone.dev:call-1", line="phone.dev:", to="+493087654321", first="customer"),
        ),
    ],
)
async def test_what_a_gateway_tells_of_it(
    switch: Switch, tmp_path: Path, type_: str, attributes: dict[str, str], command: c.AnyCommand
) -> None:
    async with driven(switch, tmp_path) as phone:
        event = told(type_, attributes=attributes)
        await phone.answer(event)
        assert phone.desk.commands == [replace(command, key=f"phone.dev:{event['event_id']}")]
