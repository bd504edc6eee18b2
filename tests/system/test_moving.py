"""Consult, conference and callbacks from outside: two agents' clients, a visitor, and a gateway that takes orders."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.system.clients import Agent, Visitor, call_event, every, phone
from tests.system.daemon import Daemon

Json = dict[str, Any]


class Gateway:
    """A telephone gateway that notes its orders and does what it is told, each order once."""

    def __init__(self) -> None:
        self.orders: dict[str, Json] = {}
        self.events = 0

    async def control(self, request: web.Request) -> web.Response:
        order = await request.json()
        assert request.headers["Idempotency-Key"] == order["id"]
        self.orders.setdefault(order["id"], order)
        return web.json_response({})

    async def ordered(self, action: str) -> Json:
        """The last order of this kind, when there is one."""
        await every(0.02, lambda: any(order["action"] == action for order in self.orders.values()))
        return [order for order in self.orders.values() if order["action"] == action][-1]

    async def says(self, daemon: Daemon, kind: str, call: str, **attributes: str) -> Json:
        self.events += 1
        event = call_event(kind, call, f"{call}-{kind}-{self.events}", attributes=attributes)
        status, answer = await phone(daemon.session, daemon.http, event)
        assert status == 200, answer
        return answer


@asynccontextmanager
async def house(data: Path, **env: str) -> AsyncIterator[tuple[Daemon, Gateway]]:
    gateway = Gateway()
    app = web.Application()
    app.router.add_post("/control", gateway.control)
    async with TestServer(app) as server:
        url = str(server.make_url("/control"))
        async with Daemon(data, {"SWITCHBOARD__PHONE__GATEWAYS__DEV__CONTROL_URL": url, **env}) as daemon:
            yield daemon, gateway
            assert daemon.troubles() == []


@asynccontextmanager
async def at_work(daemon: Daemon, *names: str) -> AsyncIterator[list[Agent]]:
    agents = [Agent(name, daemon.socket) for name in names]
    for agent in agents:
        await agent.sign_in()
    await agents[0].ready()
    yield agents
    for agent in agents:
        await agent.cut()
        assert agent.faults == []


async def done(agent: Agent, kind: str, **fields: Any) -> None:
    answer = await agent.ask(kind, **fields)
    assert answer["type"] == "ok", answer


async def consulting(ana: Agent, ben: Agent, interaction: str) -> str:
    """Ana asks Ben about what she has; the consult."""
    await ben.ready()
    await done(ana, "transfer", interaction=interaction, to={"agent": "ben"}, mode="consult")
    consult = await ben.accept()
    await ana.until(lambda: ana.work[interaction].get("consult", {}).get("state") == "consulting")
    assert ben.work[consult]["consult"]["role"] == "consulted"
    return consult


@pytest.mark.promise("MV-1")
async def test_a_call_is_consulted_about_joined_and_handed_over_through_a_crash(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as (daemon, gateway), at_work(daemon, "ana", "ben") as (ana, ben):
        interaction = (await gateway.says(daemon, "incoming", "c1"))["interaction"]
        await ana.accept(interaction)
        assert (await gateway.ordered("connect"))["agent"] == "ana"
        await gateway.says(daemon, "answered", "c1")
        await consulting(ana, ben, interaction)
        order = await gateway.ordered("consult")
        assert (order["call_id"], order["agent"], order["interaction"]) == ("c1", "ben", interaction)
        await gateway.says(daemon, "consult_answered", "c1")
        await done(ana, "join_consult", interaction=interaction)
        assert (await gateway.ordered("join"))["agent"] == "ben"

        daemon.kill()
        await daemon.start()
        for agent in (ana, ben):
            agent.base = daemon.socket
            await agent.sign_in()
        assert (await daemon.interaction(interaction))["agent"] == "ana"
        assert ana.work[interaction]["consult"]["state"] == "conference"

        await done(ana, "complete_consult", interaction=interaction)
        await ben.until(lambda: list(ben.work) == [interaction])
        await ana.until(lambda: not ana.work)
        assert (await gateway.ordered("complete"))["agent"] == "ben"
        await gateway.says(daemon, "answered", "c1")
        assert (await daemon.interaction(interaction))["agent"] == "ben"
        await gateway.says(daemon, "ended", "c1")
        await ben.until(lambda: any(m["interaction"] == interaction for m in ben.settled))


@pytest.mark.promise("MV-1")
async def test_a_gateway_that_takes_no_orders_is_named_when_a_consult_is_refused(daemon: Daemon) -> None:
    async with at_work(daemon, "ana", "ben") as (ana, ben):
        await ben.ready()
        interaction = (await Gateway().says(daemon, "incoming", "c1"))["interaction"]
        owner = ana if await _is_offered(ana, ben, interaction) else ben
        await owner.accept(interaction)
        other = {"ana": "ben", "ben": "ana"}[owner.name]
        answer = await owner.ask("transfer", interaction=interaction, to={"agent": other}, mode="consult")
        assert answer["code"] == "not-supported"
        assert "phone.dev" in answer["message"]


async def _is_offered(ana: Agent, ben: Agent, interaction: str) -> bool:
    await every(0.02, lambda: bool(ana.offers or ben.offers))
    return bool(ana.offers)


@pytest.mark.promise("MV-1")
async def test_a_visitor_hears_both_in_a_conference_and_nothing_that_is_private(daemon: Daemon) -> None:
    async with at_work(daemon, "ana", "ben") as (ana, ben):
        visitor = Visitor(daemon.socket)
        await visitor.hello()
        await visitor.say("m1", "Hello?")
        await ana.accept(visitor.interaction)
        consult = await consulting(ana, ben, visitor.interaction)
        await done(ben, "say", interaction=consult, text="between us")
        await done(ana, "join_consult", interaction=visitor.interaction)
        await done(ben, "say", interaction=visitor.interaction, text="good morning")
        await done(ana, "say", interaction=visitor.interaction, text="we are here")
        await visitor.until(lambda: len(visitor.heard) == 2)
        assert visitor.heard == ["good morning", "we are here"]
        await visitor.say("m2", "thanks")
        await visitor.leave()
        await ben.until(lambda: not ben.work)
        assert {m["reason"] for m in ben.settled} == {"over"}
        assert visitor.faults == []


@pytest.mark.promise("MV-5")
async def test_a_caller_is_called_back_until_they_are_reached(tmp_path: Path) -> None:
    quick = {"SWITCHBOARD__CALLBACKS__DELAY": "1s"}
    async with house(tmp_path / "data", **quick) as (daemon, gateway):
        interaction = (await gateway.says(daemon, "incoming", "c1"))["interaction"]
        came = (await daemon.interaction(interaction))["enqueued_at_ms"]
        await gateway.says(daemon, "callback", "c1")
        await gateway.says(daemon, "ended", "c1")
        _, page = await daemon.get("/v1/callbacks")
        assert [(x["state"], x["to"], x["enqueued_at_ms"]) for x in page["callbacks"]] == [
            ("waiting", "+12025550123", came)
        ]
        assert not gateway.orders
        async with at_work(daemon, "ana") as (ana,):
            await ana.accept(interaction)
            first = await gateway.ordered("call")
            assert (first["to"], first["agent"], first["first"]) == ("+12025550123", "ana", "agent")
            await gateway.says(daemon, "call_failed", first["call_id"], reason="busy")
            await ana.until(lambda: bool(ana.settled))
            if interaction in ana.work:
                await done(ana, "finish_wrap_up", interaction=interaction)
            again = await ana.accept()
            await every(0.02, lambda: len(gateway.orders) == 2)
            second = await gateway.ordered("call")
            assert second["call_id"] != first["call_id"]
            assert ana.work[again]["enqueued_at_ms"] == came
            assert ana.work[again]["direction"] == "callback"
            await gateway.says(daemon, "answered", second["call_id"])
            await ana.until(lambda: ana.work[again]["connected"])
            assert (await daemon.get("/v1/callbacks"))[1]["callbacks"] == []
            await ana.complete(again)


@pytest.mark.promise("MV-5")
async def test_an_operator_asks_for_a_callback_and_takes_it_back(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as (daemon, _):
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        wish = {"to": "+12025550199", "queue": "sales", "not_before": tomorrow}
        status, refused = await daemon.post("/v1/callbacks", wish | {"queue": "sails"})
        assert (status, refused["code"]) == (422, "unknown-name")
        status, _ = await daemon.post("/v1/callbacks", wish | {"not_before": "2099-01-01T09:00:00+01:00"})
        assert status == 422, "not that far ahead"
        status, asked = await daemon.post("/v1/callbacks", wish)
        assert (status, asked["queue"], asked["to"]) == (200, "sales", "+12025550199")
        assert (asked["state"], asked["interaction"]) == ("scheduled", "")
        status, _ = await daemon.post(f"/v1/callbacks/{asked['callback']}/cancel", {"why": "wrong number"})
        assert status == 200
        assert (await daemon.get("/v1/callbacks"))[1]["callbacks"] == []


@pytest.mark.promise("MV-5", "RT-11")
async def test_who_is_asked_whether_to_call_them_says_yes_by_chat_or_by_a_digit(tmp_path: Path) -> None:
    """The queue is full for everybody: nobody is turned away, and both are called with the place that they had."""
    rule = {"MAX_LENGTH": "0", "WHEN_FULL__DO": "callback", "WHEN_FULL__MESSAGE": "Shall we call you?"}
    full = {f"SWITCHBOARD__QUEUES__SUPPORT__{name}": value for name, value in rule.items()}
    async with house(tmp_path / "data", **full) as (daemon, gateway):
        answer = await gateway.says(daemon, "incoming", "c1")
        assert answer["action"] == {"type": "offer_callback", "message": "Shall we call you?", "digit": "1"}
        assert (await gateway.says(daemon, "dtmf", "c1", digits="1"))["action"] == {"type": "call_back"}
        await gateway.says(daemon, "ended", "c1")
        visitor = Visitor(daemon.socket)
        await visitor.hello()
        await visitor.until(lambda: visitor.asked)
        await visitor.send({"type": "callback", "phone": "+1 202 555 0177"})
        await visitor.until(lambda: visitor.state == "ended")
        _, page = await daemon.get("/v1/callbacks")
        assert {x["to"] for x in page["callbacks"]} == {"+12025550123", "+12025550177"}
        async with at_work(daemon, "ana") as (ana,):
            first = await ana.accept()
            order = await gateway.ordered("call")
            assert order["to"] == "+12025550123", "who came first"
            await gateway.says(daemon, "answered", order["call_id"])
            await ana.complete(first)
            second = await ana.accept()
            assert ana.work[second]["customer"].startswith("visitor:")
            await every(0.02, lambda: any(x.get("to") == "+12025550177" for x in gateway.orders.values()))
