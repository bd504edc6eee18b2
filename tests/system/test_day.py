"""A day in miniature: every channel through a real daemon with real clients, to agents and to the end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.system.clients import Agent, Visitor, call_event, check_in, drop, every, letter, phone, scan, send_mail
from tests.system.daemon import Daemon


@asynccontextmanager
async def signed_in(daemon: Daemon, *names: str) -> AsyncIterator[list[Agent]]:
    agents = [Agent(name, daemon.socket) for name in names]
    for agent in agents:
        await agent.sign_in()
        await agent.ready()
    try:
        yield agents
    finally:
        for agent in agents:
            await agent.cut()
            assert agent.faults == []


async def call(daemon: Daemon, name: str, kind: str = "incoming", **more: Any) -> str:
    status, answer = await phone(daemon.session, daemon.http, call_event(kind, name, **more))
    assert status == 200, answer
    interaction: str = answer["interaction"]
    return interaction


@pytest.mark.promise("IN-1")
async def test_every_channel_reaches_an_agent_who_fits_and_comes_to_an_end(daemon: Daemon) -> None:
    async with signed_in(daemon, "ana", "dora") as (ana, dora):
        await _a_call(daemon, ana)
        await _a_walk_in(daemon, ana, dora)
        await _a_chat(daemon, ana, dora)
        await _a_mail(daemon, ana, dora)
        await _a_scan(daemon, ana, dora)
    ended = await daemon.interactions("closed")
    assert sorted(i["channel"] for i in ended) == ["chat", "email", "email", "fax", "phone", "walkin"]
    assert {i["reason"] for i in ended} == {"completed"}
    for state in ("queued", "offered", "active", "wrap-up"):
        assert await daemon.interactions(state) == []
    metrics = await daemon.text("/metrics")
    assert "switchboard_commits_total" in metrics
    assert "Where is my parcel" not in daemon.log.read_text()


async def _a_call(daemon: Daemon, ana: Agent) -> None:
    # Dora speaks Spanish, too, but a call goes to whoever has been idle longest: Ana signed in first.
    interaction = await call(daemon, "c1", attributes={"language": "es"})
    assert await ana.accept(interaction) == interaction
    assert ana.work[interaction]["queue"] == "support"
    await ana.complete(interaction)


async def _a_walk_in(daemon: Daemon, *agents: Agent) -> None:
    status, ticket = await check_in(daemon.session, daemon.http, "visit-1", "support")
    assert status == 200, ticket
    await _somebody_serves(ticket["interaction"], *agents)


async def _a_chat(daemon: Daemon, *agents: Agent) -> None:
    visitor = Visitor(daemon.socket)
    await visitor.hello()
    await visitor.say("m1", "Hello?")
    agent = await _somebody_takes(visitor.interaction, *agents)
    await visitor.until(lambda: visitor.state == "active")
    assert (await agent.ask("say", interaction=visitor.interaction, text="Good morning."))["type"] == "ok"
    await visitor.until(lambda: visitor.heard == ["Good morning."])
    await visitor.say("m2", "Good morning!")
    await agent.until(lambda: agent.work[visitor.interaction]["messages"][-1]["text"] == "Good morning!")
    await agent.complete(visitor.interaction)
    await visitor.until(lambda: visitor.state == "ended")
    assert visitor.faults == []
    await visitor.cut()


async def _a_mail(daemon: Daemon, *agents: Agent) -> None:
    await asyncio.to_thread(send_mail, daemon.smtp, letter("parcel-1"))
    await asyncio.to_thread(send_mail, daemon.lmtp, letter("parcel-2"), lmtp=True)
    for _ in range(2):
        agent = await _somebody_takes("", *agents)
        interaction = next(i for i in agent.work.values() if i["channel"] == "email")["id"]
        assert (await agent.ask("say", interaction=interaction, text="On its way."))["type"] == "ok"
        await agent.complete(interaction)
    outbox = daemon.data / "outbox"
    await every(0.02, lambda: outbox.exists() and len(list(outbox.glob("*.eml"))) == 2)
    replies = [path.read_text() for path in outbox.glob("*.eml")]
    for number, reply in zip((1, 2), sorted(replies, key=lambda text: "parcel-2@" in text), strict=True):
        assert f"In-Reply-To: <parcel-{number}@example.org>" in reply
        assert "On its way." in reply


async def _a_scan(daemon: Daemon, *agents: Agent) -> None:
    path = drop(daemon.data / "drop" / "fax", "order.png", scan(random.Random(1)))
    await _somebody_serves("", *agents)
    await every(0.02, lambda: not path.exists())


async def _somebody_takes(interaction: str, *agents: Agent) -> Agent:
    offers = [asyncio.ensure_future(agent.offered(interaction)) for agent in agents]
    done, others = await asyncio.wait(offers, return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        other.cancel()
    agent = agents[offers.index(next(iter(done)))]
    await agent.accept(interaction)
    return agent


async def _somebody_serves(interaction: str, *agents: Agent) -> None:
    agent = await _somebody_takes(interaction, *agents)
    await agent.complete(interaction or next(iter(agent.work)))


@pytest.mark.promise("IN-3")
async def test_the_same_event_again_is_the_same_contact_on_every_channel(daemon: Daemon) -> None:
    answers = await asyncio.gather(*(call(daemon, "c1") for _ in range(30)))
    assert len(set(answers)) == 1
    tickets = [(await check_in(daemon.session, daemon.http, "visit", "sales"))[1]["ticket"] for _ in range(3)]
    assert len(set(tickets)) == 1
    raw = letter("once")
    await asyncio.gather(*(asyncio.to_thread(send_mail, daemon.smtp, raw) for _ in range(5)))
    visitor = Visitor(daemon.socket)
    await visitor.hello()
    await visitor.say("m1", "once")
    await visitor.say("m1", "once")
    assert len(await daemon.interactions()) == 4
    content = (await daemon.interaction(visitor.interaction))["messages"]
    assert [said["text"] for said in content if said.get("text")] == ["once"]
    await visitor.cut()


@pytest.mark.promise("MV-2")
@pytest.mark.promise("OB-5")
async def test_operators_act_on_what_waits_and_on_what_is_being_served(daemon: Daemon) -> None:
    async with signed_in(daemon, "chen") as (chen,):
        waiting = await call(daemon, "c1")  # support: not for Chen
        at = f"/v1/interactions/{waiting}"
        status, why = await daemon.get(f"{at}/why-not/chen")
        assert (status, why["code"]) == (200, "missing-skill"), why
        assert (await daemon.post(f"{at}/priority", {"band": "urgent", "why": "angry"}))[0] == 200
        assert (await daemon.interaction(waiting))["band"] == "urgent"
        assert (await daemon.post(f"{at}/transfer", {"to": {"queue": "sales"}, "why": "wrong desk"}))[0] == 200
        assert await chen.accept(waiting) == waiting
        assert (await daemon.post(f"{at}/requeue", {"why": "again"}))[0] == 200
        await chen.until(lambda: waiting not in chen.work)
        assert (await daemon.post(f"{at}/close", {"why": "enough"}))[0] == 200
        assert (await daemon.interaction(waiting))["state"] == "closed"
    facts = [line for line in daemon.export() if line["event"].get("by") == "operator:operator"]
    assert [fact["type"] for fact in facts][:2] == ["priority-changed", "transferred"]
    assert {fact["event"]["why"] for fact in facts} >= {"angry", "wrong desk", "again", "enough"}


@pytest.mark.promise("AG-3")
async def test_a_client_that_was_cut_off_goes_on_where_it_was(daemon: Daemon) -> None:
    async with signed_in(daemon, "ana") as (ana,):
        first = await call(daemon, "c1")
        await ana.accept(first)
        await ana.cut()
        await call(daemon, "c1", "ended")
        await ana.sign_in()
        assert ana.welcomes[-1]["resumed"]
        await ana.until(lambda: ana.work[first]["state"] == "wrap-up")


@pytest.mark.promise("IN-4")
async def test_what_nobody_can_read_is_set_aside_and_the_next_one_is_taken(daemon: Daemon) -> None:
    status, _ = await phone(daemon.session, daemon.http, {"nonsense": True})
    assert status == 422
    drop(daemon.data / "drop" / "fax", "broken.pdf", b"this is no scan")
    raw = b"Subject: \xff\xfe\r\nFrom: =?utf-8?b?!!!?= <x\xed\xa0\x80@example.org>\r\nTo: \xff\r\n\r\n\xed\xa0\x80 text"
    await asyncio.to_thread(send_mail, daemon.smtp, raw)
    await call(daemon, "c1")
    await every(0.05, lambda: not (daemon.data / "drop" / "fax" / "broken.pdf").exists())
    status, found = await daemon.get("/v1/quarantine")
    assert status == 200
    assert {entry["source"] for entry in found["entries"]} == {"phone.dev", "scan.fax"}
    assert len(await daemon.interactions()) == 2
    await daemon.ready()
