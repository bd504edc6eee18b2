"""Real calls: SIPp callers, Kamailio, the daemon, agents' clients, SIPp telephones."""

from __future__ import annotations

import asyncio
import re
import shutil
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.phone.sip import CALL_S, MISSING, SCENARIOS, Child, SipGateway, Sipp
from tests.support.ports import free_ports
from tests.system.clients import Agent
from tests.system.daemon import CONFIG, Daemon

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (see deploy/kamailio/README.md)"),
]
AGENTS = ("ana", "ben", "chen", "dora", "sam")
Json = dict[str, Any]


class Office:
    """A gateway, the daemon behind it, agents with telephones, and callers."""

    def __init__(self, folder: Path, position_every: str = "20s", **gateway: str) -> None:
        self.folder, self._position_every = folder, position_every
        [self.http_port] = free_ports(1)
        self.phones = dict(zip(AGENTS, free_ports(len(AGENTS)), strict=True))
        hook = f"http://127.0.0.1:{self.http_port}/v1/phone/kamailio/events"
        self.gateway = SipGateway(folder, hook, RING_S="2", FIRST_ANSWER_S="1", BEAT_S="1", **gateway)
        self.daemon = Daemon(folder / "data", self._env(), self._config())
        self._children: list[Sipp] = []
        self._agents: list[Agent] = []
        self._caller_ports = free_ports(20)

    def _env(self) -> dict[str, str]:
        at = "SWITCHBOARD__PHONE__GATEWAYS__KAMAILIO__"
        return {
            "SWITCHBOARD__HTTP__PORT": str(self.http_port),
            f"{at}CONTROL_URL": self.gateway.control_url,
            f"{at}POSITION_EVERY": self._position_every,
        }

    def _config(self) -> Path:
        """The demo's own, with telephones on free ports."""
        text = CONFIG.read_text()
        for name, port in self.phones.items():
            text, count = re.subn(rf'"sip:{name}@[^"]*"', f'"sip:{name}@127.0.0.1:{port}"', text)
            assert count == 1
        path = self.folder / "office.toml"
        path.write_text(text)
        return path

    async def open(self) -> None:
        await self.gateway.start()
        await self.daemon.start()

    async def close(self) -> None:
        for agent in self._agents:
            await agent.cut()
        for child in self._children:
            await child.kill()
        await self.gateway.kill()
        self.daemon.kill()
        await self.daemon.close()

    async def phone(self, name: str, scenario: str, *options: str) -> Sipp:
        sipp = Sipp(self.folder, f"{name}-{len(self._children)}")
        self._children.append(sipp)
        await sipp.run(self.phones[name], scenario, *options)
        return sipp

    async def agent(self, name: str) -> Agent:
        agent = Agent(name, self.daemon.socket)
        self._agents.append(agent)
        await agent.sign_in()
        await agent.ready()
        return agent

    async def call(self, scenario: str, *options: str, to: str = "support") -> Sipp:
        sipp = Sipp(self.folder, f"caller-{len(self._children)}")
        self._children.append(sipp)
        port = self._caller_ports.pop()
        await sipp.run(port, scenario, "-s", to, "-m", "1", *options, to=self.gateway.sip_port)
        return sipp

    async def interactions(self, count: int, **wanted: object) -> list[Json]:
        """All of them, once there are so many and each is as wanted."""
        found: list[Json] = []

        async def are_as_wanted() -> bool:
            nonlocal found
            found = await self.daemon.interactions()
            return len(found) == count and all(i.items() >= wanted.items() for i in found)

        await eventually(are_as_wanted, lambda: f"wanted {count} with {wanted}, found {found}")
        return found


async def eventually(condition: Callable[[], Awaitable[bool]], why: Callable[[], str], within_s: float = 120) -> None:
    try:
        async with asyncio.timeout(within_s):
            while not await condition():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(why()) from None


@asynccontextmanager
async def opened(office: Office) -> AsyncIterator[Office]:
    try:
        await office.open()
        yield office
    finally:
        await office.close()
    assert office.daemon.troubles() == []
    assert office.gateway.troubles() == []


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened(Office(tmp_path)) as office:
        yield office


@pytest.mark.promise("IN-1")
async def test_a_caller_waits_is_connected_to_an_agent_and_hangs_up(office: Office) -> None:
    telephone = await office.phone("ana", "agent_answer", "-d", "100", "-m", "1")
    caller = await office.call("caller_talks", "-d", "300")
    [waiting] = await office.interactions(1, state="queued")
    assert (waiting["channel"], waiting["queue"], waiting["sender"]) == ("phone", "support", "caller1")
    ana = await office.agent("ana")
    interaction = await ana.accept()
    await ana.until(lambda: ana.work[interaction].get("connected"))
    assert await caller.ended() == 0, caller.said()[-2_000:]
    assert await telephone.ended() == 0, telephone.said()[-2_000:]
    await ana.until(lambda: interaction in {ended["interaction"] for ended in ana.settled})
    [over] = await office.interactions(1, reason="customer-left")
    assert (over["connect_failures"], over["misses"]) == (0, 0)
    assert caller.heard()[0].startswith("SIP/2.0 182 Queued")


async def test_a_caller_hears_where_they_stand(tmp_path: Path) -> None:
    async with opened(Office(tmp_path, position_every="200ms")) as office:
        callers = [await office.call("caller_talks", "-d", "100") for _ in range(2)]

        async def hear() -> bool:
            heard = {line for caller in callers for line in caller.heard()}
            return {f"SIP/2.0 182 Queued; position {n}" for n in (1, 2)} <= heard

        await eventually(hear, lambda: f"heard {[caller.heard() for caller in callers]}")


async def test_an_agent_who_completes_hangs_up(office: Office) -> None:
    telephone = await office.phone("ana", "agent_answer", "-m", "1", "-d", "50")
    caller = await office.call("caller_hung_up")
    ana = await office.agent("ana")
    interaction = await ana.accept()
    await ana.until(lambda: ana.work[interaction].get("connected"))
    await ana.complete(interaction)
    assert await caller.ended() == 0, caller.said()[-2_000:]
    assert await telephone.ended() == 0, telephone.said()[-2_000:]
    await office.interactions(1, state="closed", reason="completed")


async def test_both_are_hung_up_on_however_fast_the_first_of_them_answers(office: Office) -> None:
    calls = 15  # one in six went wrong while nothing held the answer of the first back
    telephone = await office.phone("ana", "agent_answer", "-m", str(calls), "-d", "0")
    ana = await office.agent("ana")
    for _ in range(calls):
        caller = await office.call("caller_hung_up")
        interaction = await ana.accept()
        await ana.until(lambda: ana.work[interaction].get("connected"))  # noqa: B023
        await ana.complete(interaction)
        assert await caller.ended() == 0, caller.said()[-2_000:]
    assert await telephone.ended() == 0, telephone.said()[-2_000:]


async def test_an_agents_telephone_may_hang_up(office: Office) -> None:
    telephone = await office.phone("ana", "agent_hangs_up", "-m", "1", "-d", "200")
    caller = await office.call("caller_hung_up")
    ana = await office.agent("ana")
    await ana.accept()
    assert await telephone.ended() == 0, telephone.said()[-2_000:]
    assert await caller.ended() == 0, caller.said()[-2_000:]
    await office.interactions(1, reason="customer-left")


async def test_a_caller_may_give_up_waiting(office: Office) -> None:
    caller = await office.call("caller_abandon", "-d", "300")
    assert await caller.ended() == 0, caller.said()[-2_000:]
    await office.interactions(1, state="closed", reason="abandoned")


@pytest.mark.promise("OF-5")
async def test_a_caller_may_give_up_while_they_are_offered(office: Office) -> None:
    ana = await office.agent("ana")
    caller = await office.call("caller_abandon", "-d", "400")
    offer = await ana.offered()
    assert await caller.ended() == 0, caller.said()[-2_000:]
    await ana.until(lambda: not ana.offers)
    late = await ana.ask("accept", offer=offer["offer"])
    assert (late["type"], late["code"]) == ("error", "offer-gone")
    assert ana.state == "ready"
    await office.interactions(1, state="closed", reason="abandoned")


async def test_a_caller_may_give_up_while_the_telephone_rings(office: Office) -> None:
    telephone = await office.phone("ana", "agent_noanswer", "-m", "1")
    ana = await office.agent("ana")
    caller = await office.call("caller_abandon_ringing", "-d", "300")
    interaction = await ana.accept()
    assert await caller.ended() == 0, caller.said()[-2_000:]
    assert await telephone.ended() == 0, telephone.said()[-2_000:]
    await ana.until(lambda: interaction in {ended["interaction"] for ended in ana.settled})
    await office.interactions(1, reason="customer-left", connect_failures=0)


@pytest.mark.promise("OF-3")
@pytest.mark.parametrize("scenario", ["agent_busy", "agent_noanswer", None])
async def test_a_telephone_that_cannot_be_reached_puts_the_caller_back_in_line(
    office: Office, scenario: str | None
) -> None:
    if scenario is not None:
        await office.phone("ana", scenario, "-m", "1", "-d", "50")
    answering = await office.phone("ben", "agent_answer", "-m", "1", "-d", "50")
    ana = await office.agent("ana")
    caller = await office.call("caller_talks", "-d", "200")
    interaction = await ana.accept()
    ben = await office.agent("ben")
    assert await ben.accept(interaction) == interaction
    assert await caller.ended() == 0, caller.said()[-2_000:]
    assert await answering.ended() == 0
    [over] = await office.interactions(1, reason="customer-left")
    assert (over["connect_failures"], over["misses"], over["declines"]) == (1, 0, 0)
    assert (ana.state, ana.work) == ("ready", {})


@pytest.mark.promise("MV-2")
async def test_an_operator_ends_a_call_that_waits_and_one_that_rings(office: Office) -> None:
    waiting = await office.call("caller_rejected")
    [call] = await office.interactions(1, state="queued")
    assert (await office.daemon.post(f"/v1/interactions/{call['id']}/close", {"why": "enough"}))[0] == 200
    assert await waiting.ended() == 0, waiting.said()[-2_000:]
    telephone = await office.phone("ana", "agent_noanswer", "-m", "1")
    ana = await office.agent("ana")
    ringing = await office.call("caller_rejected")
    interaction = await ana.accept()

    async def rings() -> bool:
        return any(line.startswith("INVITE") for line in telephone.heard())

    await eventually(rings, lambda: telephone.said()[-2_000:])
    assert (await office.daemon.post(f"/v1/interactions/{interaction}/close", {"why": "enough"}))[0] == 200
    assert await ringing.ended() == 0, ringing.said()[-2_000:]
    assert await telephone.ended() == 0, telephone.said()[-2_000:]


@pytest.mark.promise("MV-2")
async def test_an_operator_takes_a_ringing_call_back_into_the_line(office: Office) -> None:
    telephone = await office.phone("ana", "agent_noanswer", "-m", "1")
    answering = await office.phone("ben", "agent_answer", "-m", "1", "-d", "50")
    ana = await office.agent("ana")
    caller = await office.call("caller_talks", "-d", "100")
    interaction = await ana.accept()

    async def rings() -> bool:
        return any(line.startswith("INVITE") for line in telephone.heard())

    await eventually(rings, lambda: telephone.said()[-2_000:])
    ben = await office.agent("ben")
    assert (await office.daemon.post(f"/v1/interactions/{interaction}/requeue", {"why": "for Ben"}))[0] == 200
    assert await ben.accept(interaction) == interaction
    assert await caller.ended() == 0, caller.said()[-2_000:]
    assert (await telephone.ended(), await answering.ended()) == (0, 0)
    [over] = await office.interactions(1, reason="customer-left")
    assert over["connect_failures"] == 0


@pytest.mark.promise("MV-1")
async def test_a_call_is_transferred_to_an_outside_address(office: Office) -> None:
    await office.phone("ana", "agent_answer", "-m", "1", "-d", "50")
    ana = await office.agent("ana")
    caller = await office.call("caller_transferred")
    interaction = await ana.accept()
    await ana.until(lambda: ana.work[interaction].get("connected"))
    answer = await ana.ask("transfer", interaction=interaction, to={"address": "sip:other@127.0.0.1"}, mode="blind")
    assert answer["type"] == "ok", answer
    assert await caller.ended() == 0, caller.said()[-2_000:]
    assert "Refer-To: sip:other@127.0.0.1" in caller.messages.read_text()
    await office.interactions(1, reason="transferred")


async def test_a_number_that_no_rule_takes_is_refused(office: Office) -> None:
    caller = await office.call("caller_rejected", to="nobody")
    assert await caller.ended() == 0, caller.said()[-2_000:]
    assert await office.daemon.interactions() == []


@pytest.mark.promise("DU-1")
async def test_callers_who_wait_outlive_the_router(office: Office) -> None:
    """kill -9 while three wait; meanwhile one gives up and another calls; then everybody is served, once."""
    callers = [await office.call("caller_talks", "-d", "100") for _ in range(2)]
    leaving = await office.call("caller_abandon", "-d", "1500")
    before = {i["id"] for i in await office.interactions(3, state="queued")}
    office.daemon.kill()
    assert await leaving.ended() == 0, leaving.said()[-2_000:]
    callers.append(await office.call("caller_talks", "-d", "100"))
    await office.daemon.start()

    async def all_there() -> bool:
        states = [i["state"] for i in await office.daemon.interactions()]
        return sorted(states) == ["closed", "queued", "queued", "queued"]

    await eventually(all_there, lambda: office.gateway.said()[-2_000:])
    assert before < {i["id"] for i in await office.daemon.interactions()}
    telephone = await office.phone("ana", "agent_answer", "-m", "3", "-d", "20")
    ana = await office.agent("ana")
    for _ in range(3):
        interaction = await ana.accept()
        await ana.until(lambda i=interaction: i in {e["interaction"] for e in ana.settled})  # type: ignore[misc]
        await ana.ask("finish_wrap_up", interaction=interaction)
    assert [await caller.ended() for caller in callers] == [0, 0, 0]
    assert await telephone.ended() == 0
    reasons = sorted(i["reason"] for i in await office.interactions(4, state="closed"))
    assert reasons == ["abandoned", "customer-left", "customer-left", "customer-left"]


@pytest.mark.promise("DU-1")
async def test_a_call_that_rings_or_talks_outlives_the_router(office: Office) -> None:
    telephone = await office.phone("ana", "agent_answer", "-m", "1", "-d", "1500")
    ana = await office.agent("ana")
    caller = await office.call("caller_talks", "-d", "4000")
    interaction = await ana.accept()

    async def rings() -> bool:
        return any(line.startswith("INVITE") for line in telephone.heard())

    await eventually(rings, lambda: telephone.said()[-2_000:])
    office.daemon.kill()
    await office.daemon.start()

    async def connected() -> bool:
        return bool((await office.daemon.interaction(interaction))["connected"])

    await eventually(connected, lambda: office.gateway.said()[-2_000:])
    assert await caller.ended(CALL_S) == 0, caller.said()[-2_000:]
    assert await telephone.ended() == 0
    assert len([line for line in telephone.heard() if line.startswith("INVITE")]) == 1
    await office.interactions(1, reason="customer-left")


# --- music ------------------------------------------------------------------------------------------------------------


class Ear(asyncio.DatagramProtocol):
    """A telephone's side for sound: counts what comes, by the kind that RTP says it is."""

    def __init__(self) -> None:
        self.heard: dict[int, int] = {}

    def datagram_received(self, data: bytes, addr: object) -> None:
        kind = data[1] & 0x7F
        self.heard[kind] = self.heard.get(kind, 0) + 1


@asynccontextmanager
async def music(folder: Path, ng_port: int) -> AsyncIterator[Child]:
    """rtpengine without a kernel module, and a second of a file for it."""
    with wave.open(str(folder / "music.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(bytes(range(256)) * 62)
    engine = Child(folder / "rtpengine.log")
    where = ("--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{ng_port}", "--port-min=39000", "--port-max=39400")
    options = ("--foreground", "--log-stderr", "--log-level=6", "--table=-1", f"--pidfile={folder / 'rtpengine.pid'}")
    try:
        await engine.launch("rtpengine", *options, *where, cwd=folder)

        async def starts() -> bool:
            return "Startup complete" in engine.said()

        # A gateway that finds nobody there when it starts asks again only after a while.
        await eventually(starts, engine.said)
        yield engine
    finally:
        await engine.kill()


@pytest.mark.skipif(shutil.which("rtpengine") is None, reason="not installed: rtpengine (./run test installs it)")
async def test_a_caller_hears_music_while_they_wait_and_the_agent_afterwards(tmp_path: Path) -> None:
    [ng_port, ear_port] = free_ports(2)
    loop = asyncio.get_running_loop()
    transport, ear = await loop.create_datagram_endpoint(Ear, local_addr=("127.0.0.1", ear_port))
    scenario = tmp_path / "caller_listens.xml"
    scenario.write_text((SCENARIOS / "caller_talks.xml").read_text().replace("[media_port]", str(ear_port)))
    values = {"MUSIC": str(tmp_path / "music.wav"), "MEDIA": f"udp:127.0.0.1:{ng_port}"}
    try:
        async with music(tmp_path, ng_port) as engine, opened(Office(tmp_path, **values)) as office:
            telephone = await office.phone("ana", "agent_answer", "-d", "100", "-m", "1")
            caller = await office.call(str(scenario.with_suffix("")), "-d", "300")

            async def hears() -> bool:
                return ear.heard.get(0, 0) >= 25  # half a second of PCMU

            await eventually(hears, lambda: f"heard {ear.heard}, {caller.heard()}: {engine.said()[-2_000:]}")
            assert caller.heard()[0].startswith("SIP/2.0 183 Queued")
            ana = await office.agent("ana")
            interaction = await ana.accept()
            await ana.until(lambda: ana.work[interaction].get("connected"))
            assert await caller.ended() == 0, caller.said()[-2_000:]
            assert await telephone.ended() == 0, telephone.said()[-2_000:]
            assert "Received command 'delete'" in engine.said(), "the music has stopped"
            assert "o=agent 1 1" in caller.messages.read_text(errors="replace"), "the agent answers for themselves"
    finally:
        transport.close()


@pytest.mark.skipif(shutil.which("rtpengine") is None, reason="not installed: rtpengine (./run test installs it)")
async def test_without_the_music_a_caller_waits_in_silence(tmp_path: Path) -> None:
    """Nobody listens where the gateway looks for rtpengine."""
    [nobody] = free_ports(1)
    office = Office(tmp_path, MUSIC=str(tmp_path / "music.wav"), MEDIA=f"udp:127.0.0.1:{nobody}")
    try:
        await office.open()
        caller = await office.call("caller_abandon", "-d", "300")
        assert await caller.ended() == 0, caller.said()[-2_000:]
        await office.interactions(1, state="closed", reason="abandoned")
        assert caller.heard()[0].startswith("SIP/2.0 182 Queued")
    finally:
        await office.close()
