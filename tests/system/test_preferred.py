"""A customer phones again: the agent who knows them, and when others get the call (RT-8). Real daemon, real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.system.clients import Agent, call_event, phone
from tests.system.daemon import CONFIG, Daemon

RULE = 'name = "support-live"\n'
WAITS_S = 20.0  # far less than the hold of a minute
KIM = "+12025550111"


@asynccontextmanager
async def house(tmp_path: Path) -> AsyncIterator[tuple[Daemon, Agent, Agent]]:
    """The demo's support line prefers who served the caller last; ben has been idle for longer than ana."""
    text = CONFIG.read_text()
    assert RULE in text
    config = tmp_path / "preferring.toml"
    config.write_text(text.replace(RULE, f'{RULE}prefer = {{ last_agent = true, hold = "1m" }}\n'))
    async with Daemon(tmp_path / "data", config=config) as daemon:
        ana, ben = Agent("ana", daemon.socket), Agent("ben", daemon.socket)
        for agent in (ana, ben):
            await agent.sign_in()
        await ana.ready()
        await ana.accept(await call(daemon, "c1"))
        await ben.ready()
        await ana.complete(next(iter(ana.work)))
        yield daemon, ana, ben
        for agent in (ana, ben):
            await agent.cut()
            assert agent.faults == []
        assert daemon.troubles() == []


async def call(daemon: Daemon, name: str, caller: str = KIM) -> str:
    status, answer = await phone(daemon.session, daemon.http, call_event("incoming", name) | {"from": caller})
    assert status == 200, answer
    interaction: str = answer["interaction"]
    return interaction


@pytest.mark.promise("RT-8")
async def test_who_phones_again_reaches_the_agent_who_served_them_last(tmp_path: Path) -> None:
    async with house(tmp_path) as (daemon, ana, ben):
        again = await call(daemon, "c2")
        assert (await ana.offered(again))["interaction"]["id"] == again
        other = await call(daemon, "c3", "+12025550122")
        await ben.accept(other)
        assert next(iter(ana.offers.values()))["interaction"]["id"] == again


@pytest.mark.promise("RT-8")
async def test_a_caller_is_held_for_who_is_busy_and_reaches_them_before_who_is_free(tmp_path: Path) -> None:
    async with house(tmp_path) as (daemon, ana, ben):
        await ana.accept(await call(daemon, "c2"))
        held = await call(daemon, "c3")
        assert (await daemon.interaction(held))["state"] == "queued"
        _, told = await daemon.get(f"/v1/interactions/{held}/explain")
        assert told["summary"].startswith("is held for ana until ")
        _, why = await daemon.get(f"/v1/interactions/{held}/why-not/ben")
        assert (why["code"], why["reason"].endswith("because they had this customer last")) == ("held", True)
        await ana.complete(next(iter(ana.work)))
        await ana.offered(held, WAITS_S)
        assert ben.offers == {}


@pytest.mark.promise("EX-2")
async def test_how_a_contact_came_there_is_told_in_the_language_of_the_reader(tmp_path: Path) -> None:
    async with house(tmp_path) as (daemon, ana, _):
        again = await call(daemon, "c2")
        await ana.accept(again)
        headers = {"Authorization": "Bearer dev-operator", "Accept-Language": "es"}
        async with daemon.session.get(f"{daemon.http}/v1/interactions/{again}/explain", headers=headers) as answer:
            told = await answer.json()
        assert [line["what"] for line in told["way"]] == [
            "llegó a la cola support por la regla support-live",
            "se guardó para ana: fue quien atendió a este cliente la última vez",
            "se ofreció a ana",
            "ana la aceptó",
        ]


@pytest.mark.promise("RT-8")
async def test_when_the_agent_signs_out_others_get_the_held_call_at_once(tmp_path: Path) -> None:
    async with house(tmp_path) as (daemon, ana, ben):
        await ana.accept(await call(daemon, "c2"))
        held = await call(daemon, "c3")
        assert (await daemon.interaction(held))["state"] == "queued"
        came = (await daemon.interaction(held))["enqueued_at_ms"]
        await ana.cut()
        offer = await ben.offered(held, WAITS_S)
        assert offer["interaction"]["enqueued_at_ms"] == came
        released = [r for r in daemon.export() if r["type"] == "preferred-released"]
        assert [r["event"]["reason"] for r in released] == ["agent-gone"]
