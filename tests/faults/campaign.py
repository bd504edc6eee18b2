"""One data folder, one crowd, and a daemon that does not live long.

A round starts the daemon on what the round before left behind and ends it at a random moment, in one of these ways:

    work      killed while it serves
    boot      killed somewhere between its launch and shortly after its welcome: reading the journal, opening ports
    pause     stopped for a moment (SIGSTOP), continued, then killed; clients' time-outs run meanwhile
    stall     killed while it is stopped
    snapshot  killed while a snapshot is being made beside it, which is killed, too, at a moment of its own
    drain     told to stop, and killed while it drains, or left to end
    verify    killed while its journal is being verified beside it

After the last round the daemon is left alone, everybody finishes, and the ledgers are audited.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.audit import Findings, audit
from tests.faults.takeover import Takeover
from tests.faults.world import Served, World
from tests.support.ports import free_ports
from tests.system.daemon import ROOT, Daemon, Json

WAYS = {"work": 6, "boot": 4, "pause": 2, "stall": 1, "snapshot": 2, "drain": 2, "verify": 1}
ROUNDS_MAX = 25  # in one campaign: enough to grow a journal, few enough to find the round that broke it
DRAIN_S = 40.0  # so long without anything coming to its end, and it never will
_REPLY = re.compile("reply [0-9a-f]{16}")
OPEN_STATES = ("queued", "offered", "active", "wrap-up")
# Waits that are minutes for people are moments here, or the drain would take as long as the longest of them.
SETTINGS = {
    "LOG_JSON": "true",
    "SCAN__FOLDERS__FAX__SETTLE": "0s",
    "SCAN__POLL": "200ms",
    "SCAN__LONGEST_BACKOFF": "500ms",
    "KIOSK__RATE": "100000",
    "CHAT__HELLO_RATE": "0",
    "CHAT__VISITOR_GRACE": "2s",
    "CHAT__SWEEP": "300ms",
    "PRESENCE__GRACE": "2s",
    "PHONE__GATEWAYS__DEV__LEASE": "1h",
    **{f"QUEUES__{queue}__OFFER_TIMEOUT": "1500ms" for queue in ("SUPPORT", "SALES", "MAILROOM")},
    **{f"QUEUES__{queue}__COOL_OFF": "1s" for queue in ("SUPPORT", "SALES", "MAILROOM")},
}


@dataclass
class Result:
    """What one or several campaigns came to."""

    rounds: int = 0
    acknowledged: int = 0
    findings: Findings = field(default_factory=Findings)
    troubles: list[str] = field(default_factory=list)  # broken streams, damage, errors in the log
    ways: Counter[str] = field(default_factory=Counter)
    records: int = 0
    takeovers: list[Takeover] = field(default_factory=list)  # of several daemons

    def add(self, other: Result) -> None:
        self.rounds += other.rounds
        self.acknowledged += other.acknowledged
        self.findings += other.findings
        self.troubles += other.troubles
        self.ways += other.ways
        self.records += other.records
        self.takeovers += other.takeovers

    @property
    def good(self) -> bool:
        found = self.findings
        return not (found.lost or found.doubled or found.stuck or self.troubles)


def run(rounds: int, seed: int, folder: Path, progress: Callable[[Result], None] = lambda so_far: None) -> Result:
    """Campaigns of at most ROUNDS_MAX rounds, each in a folder of its own."""
    total = Result()
    number = 0
    while rounds > 0:
        number += 1
        size = min(rounds, ROUNDS_MAX)
        rounds -= size
        at = folder / f"campaign-{number}"
        at.mkdir(parents=True)

        def told(part: Result) -> None:
            whole = Result()
            whole.add(total)
            whole.add(part)
            progress(whole)

        total.add(asyncio.run(campaign(size, f"{seed}-{number}", at, told)))
    return total


async def campaign(rounds: int, seed: str, folder: Path, progress: Callable[[Result], None]) -> Result:
    result = Result()
    chance = random.Random(seed)
    # Fixed ports: clients knock at a closed door, so that they are there at the very moment when it opens.
    http, sockets, smtp, lmtp = free_ports(4)
    ports = {"HTTP__PORT": http, "SOCKETS__PORT": sockets, "EMAIL__SMTP__PORT": smtp, "EMAIL__LMTP__PORT": lmtp}
    env = {f"SWITCHBOARD__{name}": str(value) for name, value in (SETTINGS | ports).items()}
    daemon = Daemon(folder / "data", env)
    daemon.http, daemon.socket = f"http://127.0.0.1:{http}", f"ws://127.0.0.1:{sockets}"
    daemon.smtp, daemon.lmtp = ("127.0.0.1", smtp), ("127.0.0.1", lmtp)
    world = World(daemon, random.Random(f"{seed}-world"), f"c{seed}")
    rounds_ = Rounds(daemon, chance)
    try:
        world.begin()
        for _ in range(rounds):
            way = chance.choices(list(WAYS), list(WAYS.values()))[0]
            await rounds_.one(way)
            result.rounds += 1
            result.ways[way] += 1
            result.acknowledged = world.ledger.acknowledged
            progress(result)
        await finish(daemon, world, result)
    finally:
        await world.close()
        await rounds_.end()
        await daemon.close()
    result.acknowledged = world.ledger.acknowledged
    result.troubles += world.ledger.faults + rounds_.troubles + daemon.troubles()
    return result


async def finish(daemon: Served, world: World, result: Result) -> None:
    """Leave it alone until nothing is open, then hold everything against the journal."""
    if not daemon.running:
        daemon.launch()
    await daemon.ready()
    for agent in world.agents:
        agent.brisk = True
    await world.finish(DRAIN_S)
    end, least = time.monotonic() + DRAIN_S, -1
    while left := [i for state in OPEN_STATES for i in await daemon.interactions(state)]:
        if least < 0 or len(left) < least:  # thousands may have come while the machine had no time for agents
            least, end = len(left), time.monotonic() + DRAIN_S
        if time.monotonic() > end:
            result.findings.stuck += [f"{i['id']} ({i['channel']}) is {i['state']} {i['agent']}" for i in left]
            break
        await asyncio.sleep(0.1 if len(left) < 100 else 1.0)
    await daemon.ready(5)
    await _compare_views(daemon, world, result)
    await _read_blobs(daemon, result)
    await _read_replies(daemon, world, result)
    code = await daemon.stop()
    if code != 0:
        result.troubles.append(f"it ended with {code} after SIGTERM")
    verified = daemon.verify()
    if not verified["clean"] or verified["damaged"] or verified["gaps"] or verified["problems"]:
        result.troubles.append(f"verify: {verified}")
    lines = daemon.export()
    result.records = len(lines)
    found = audit(lines, world.ledger)
    if result.findings.stuck:
        found.stuck.clear()  # said already, with more words
    result.findings += found


async def _compare_views(daemon: Served, world: World, result: Result) -> None:
    """After any number of cuts an agent's client knows what the server knows (AG-3)."""
    end = time.monotonic() + DRAIN_S  # the last end was recorded a moment ago, and may be on its way to them
    for agent in world.agents:
        client = agent.client
        while time.monotonic() < end:
            if not client.offers and not client.work:
                break
            await asyncio.sleep(0.05)
        if client.offers or client.work:
            result.troubles.append(f"{client.name} still sees {list(client.offers)} {list(client.work)}")
        status, view = await daemon.get(f"/v1/agents/{client.name}")
        if status != 200 or view["offers"] or view["interactions"]:
            result.troubles.append(f"the server still shows {client.name} {view}")


async def _read_blobs(daemon: Served, result: Result) -> None:
    """Whatever the journal names is there, to the byte (IN-7)."""
    named = {blob["digest"] for line in daemon.export() for blob in _blobs(line)}
    for digest in named:
        content = await daemon.content(f"/v1/blobs/{digest}")
        if content is None or hashlib.sha256(content).hexdigest() != digest:
            result.findings.lost.append(f"content {digest}")


async def _read_replies(daemon: Served, world: World, result: Result) -> None:
    """What an agent was told is said has left, once: a repeated delivery has the number of the first as its name."""
    end = time.monotonic() + DRAIN_S
    while time.monotonic() < end:
        _, page = await daemon.get("/v1/outbound")
        if not page["outbound"]:
            break
        await asyncio.sleep(0.05)
    sent = Counter(text for path in (daemon.data / "outbox").glob("*.eml") for text in _REPLY.findall(path.read_text()))
    result.findings.lost += [f"{text} was never sent" for text in world.ledger.replied if not sent[text]]
    result.findings.doubled += [f"{text} was sent {count} times" for text, count in sent.items() if count > 1]


def _blobs(line: Json) -> list[Json]:
    found: list[Json] = (line["event"].get("message") or {}).get("blobs", [])
    return found


class Rounds:
    """The ways of dying."""

    def __init__(self, daemon: Daemon, chance: random.Random) -> None:
        self.daemon, self.chance = daemon, chance
        self.troubles: list[str] = []
        self._boot_s = 2.0  # how long the last whole start took
        self._beside: list[subprocess.Popen[bytes]] = []

    async def one(self, way: str) -> None:
        await getattr(self, f"_{way}")()

    async def end(self) -> None:
        self.daemon.kill()
        for child in self._beside:
            child.kill()
            child.wait()

    async def _up(self) -> None:
        began = time.monotonic()
        self.daemon.launch()
        try:
            await self.daemon.ready()
        except AssertionError as problem:
            self.troubles.append(str(problem))
        self._boot_s = time.monotonic() - began

    async def _for(self, shortest_s: float, longest_s: float) -> None:
        await asyncio.sleep(self.chance.uniform(shortest_s, longest_s))

    async def _work(self) -> None:
        await self._up()
        await self._for(0.0, 1.2)
        self.daemon.kill()

    async def _boot(self) -> None:
        self.daemon.launch()
        await self._for(0.3 * self._boot_s, 1.2 * self._boot_s)
        self.daemon.kill()

    async def _pause(self) -> None:
        await self._up()
        for _ in range(2):
            await self._for(0.05, 0.4)
            self.daemon.signal(signal.SIGSTOP)
            await self._for(0.05, 0.4)
            self.daemon.signal(signal.SIGCONT)
        await self._for(0.0, 0.4)
        self.daemon.kill()

    async def _stall(self) -> None:
        await self._up()
        await self._for(0.1, 0.6)
        self.daemon.signal(signal.SIGSTOP)
        await self._for(0.05, 0.4)
        self.daemon.kill()

    async def _snapshot(self) -> None:
        await self._up()
        child = self._run_beside("snapshot")
        await self._for(0.1, 1.2)
        if self.chance.random() < 0.5:
            child.kill()
            self.daemon.kill()
        else:
            self.daemon.kill()
            await self._for(0.0, 0.5)
            child.kill()
        await asyncio.to_thread(child.wait)

    async def _verify(self) -> None:
        await self._up()
        child = self._run_beside("verify")
        await self._for(0.1, 1.0)
        self.daemon.kill()
        await asyncio.to_thread(child.wait)
        if child.returncode:
            self.troubles.append(f"verify beside the daemon ended with {child.returncode}")

    async def _drain(self) -> None:
        await self._up()
        await self._for(0.1, 0.6)
        self.daemon.signal(signal.SIGTERM)
        if self.chance.random() < 0.5:
            await self._for(0.0, 0.4)
            self.daemon.kill()
            return
        code = await self.daemon.ended(25)
        if code != 0:
            self.troubles.append(f"it ended with {code} after SIGTERM")

    def _run_beside(self, what: str) -> subprocess.Popen[bytes]:
        """A child of the command line that reads the journal while the daemon writes it."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHBOARD__")}
        command = [sys.executable, "-m", "router", "journal", what, "--data", str(self.daemon.data)]
        with open(self.daemon.log, "ab") as log:
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env=env, cwd=ROOT)
        self._beside.append(child)
        return child
