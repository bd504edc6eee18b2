"""Two daemons on one Redis, and what befalls them: the same crowd, the same ledgers, the same audit.

Each daemon reaches Redis over a wire of its own, and the crowd reaches whoever says that they are ready, or sometimes
the other one. A round waits until one leads and the other stands by; then, in one of these ways:

    kill      kill -9 of who leads
    pause     who leads is stopped for longer than the lease, and continues in the middle of what it did
    stall     stopped for less than the lease
    cut       who leads loses Redis: connections break
    silent    who leads loses Redis: nothing passes, and what it sent arrives when others lead
    handover  who leads is told to stop
    standby   kill -9 of who stands by
    both      kill -9 of both
    redis     kill -9 of Redis, which starts again a moment later
    hang      Redis is stopped for a moment, or for longer than anybody waits
    hush      Redis takes no writes for a while (CLIENT PAUSE)
    slow      Redis stands still again and again, as when a disk stalls under its append-only file (DEBUG SLEEP)
    full      the file system under Redis is full for a while; only where one may be mounted
    clock-on  Redis's clock is set forward: the lease of who leads has ended before its time, more than once
    clock-back  kill -9 of who leads, and Redis's clock is set back: the lease would last for another hour

The lease is the only thing in Redis that has to do with a clock, and what a step of the clock does to it is to move its
end; that is how `clock-on` and `clock-back` are done.

A daemon that died is started again, and after the last round everything comes to its end as in `campaign`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import aiohttp

from tests.faults.campaign import ROUNDS_MAX, SETTINGS, Result, finish
from tests.faults.takeover import Takeover, Watch
from tests.faults.wire import Wire
from tests.faults.world import World
from tests.support.ports import free_ports
from tests.support.redis import SYSTEM, RedisServer, bundled
from tests.system.daemon import Daemon, Json

WAYS = {
    "kill": 4, "pause": 3, "stall": 1, "cut": 3, "silent": 2, "handover": 2, "standby": 1, "both": 1, "redis": 2,
    "hang": 1, "hush": 1, "slow": 1, "full": 1, "clock-on": 1, "clock-back": 1,
}  # fmt: skip
TAKEOVERS = ("kill", "pause", "cut", "silent", "clock-back")  # after which somebody else must lead
LEASE_S = 1.5
TIMEOUT_S = 1.0
WELL_S = 240.0  # two daemons start on a busy machine
LOOK_S = 2.0  # so does an answer of `/readyz`; who is stopped gives none
PREFIX = "laboratory"
LEASE_KEY = f"{PREFIX}:lease"
SHARED = {
    "JOURNAL__KIND": "redis",
    "JOURNAL__PREFIX": PREFIX,
    "JOURNAL__LEASE": f"{LEASE_S * 1_000:.0f}ms",
    "JOURNAL__TIMEOUT": f"{TIMEOUT_S * 1_000:.0f}ms",
    "CHAT__TOKEN_SECRET": "of-the-laboratory-of-the-laboratory-of-the-laboratory",
}
# What a healthy daemon says when its Redis is taken away: anything else in the log is a finding.
EXPECTED = ('"action":"writer_failed"', '"action":"writer_not_recovered"')


class Member(Daemon):
    """One of the two, or of more with other roles."""

    def __init__(
        self, folder: Path, name: str, port_of_redis: int, roles: str = "", more: Mapping[str, str] | None = None
    ) -> None:
        http, sockets, smtp, lmtp = free_ports(4)
        env = SETTINGS | SHARED | {
            "HTTP__PORT": str(http),
            "SOCKETS__PORT": str(sockets),
            "EMAIL__SMTP__PORT": str(smtp),
            "EMAIL__LMTP__PORT": str(lmtp),
            "JOURNAL__URL": f"redis://127.0.0.1:{port_of_redis}/0",
            "BLOBS__FOLDER": str(folder / "shared" / "blobs"),
            "SCAN__FOLDERS__FAX__PATH": str(folder / "shared" / "drop" / "fax"),
        } | dict(more or {})  # fmt: skip
        named = {f"SWITCHBOARD__{key}": value for key, value in env.items()}
        super().__init__(folder / name, named, roles=roles)
        self.name = name
        self.http, self.socket = f"http://127.0.0.1:{http}", f"ws://127.0.0.1:{sockets}"
        self.smtp, self.lmtp = ("127.0.0.1", smtp), ("127.0.0.1", lmtp)
        if not self.data.exists():
            self.data.mkdir()
            (self.data / "outbox").symlink_to(folder / "shared" / "outbox")

    async def state(self) -> str:
        """leads, stands by, or away."""
        try:
            async with asyncio.timeout(LOOK_S):
                status, body = await self.get("/readyz")
        except (aiohttp.ClientError, OSError, TimeoutError):
            return "away"
        if status == 200:
            return "leads"
        return "stands by" if "standby" in body.get("parts", {}).get("writer", {}).get("detail", "") else "away"

    def troubles(self) -> list[str]:
        return [line for line in super().troubles() if not any(known in line for known in EXPECTED)]


class Cluster:
    """Both, as one house that the crowd comes to."""

    kind: type[Member] = Member

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.data = folder / "shared"
        for part in ("outbox", "drop/fax", "blobs"):
            (self.data / part).mkdir(parents=True)
        self._chance = random.Random(chance.random())
        self.disk = small_disk(folder / "redis")
        self.servers = [server(folder / "redis").start()]
        self.wires = [Wire(self.redis.port), Wire(self.redis.port)]
        self._folder = folder
        self.members: list[Member] = []
        self._at = 0
        self._watching: list[asyncio.Task[None]] = []

    @property
    def redis(self) -> RedisServer:
        """The one that takes writes."""
        return self.servers[0]

    async def start(self) -> None:
        self.members = [
            self.kind(self._folder, name, wire.port) for name, wire in zip(("one", "two"), self.wires, strict=True)
        ]
        self._watching = [asyncio.create_task(self._watch(number)) for number in range(len(self.members))]

    async def _watch(self, number: int) -> None:
        """What a balancer does: ask all, and send everybody to who is ready."""
        while True:
            if await self.members[number].state() == "leads":
                self._at = number
            await asyncio.sleep(0.05)

    @property
    def member(self) -> Member:
        """Where the next client goes: mostly to who leads."""
        return self.members[1 - self._at if self._chance.random() < 0.1 else self._at]

    @property
    def leader(self) -> Member:
        return self.members[self._at]

    http = property(lambda self: self.member.http)
    socket = property(lambda self: self.member.socket)
    smtp = property(lambda self: self.member.smtp)
    lmtp = property(lambda self: self.member.lmtp)

    async def well(self, within_s: float = WELL_S) -> tuple[Member, Member]:
        """Wait until one leads and the other stands by: who leads comes first."""
        end = time.monotonic() + within_s
        while True:
            for member in self.members:
                if not member.running:
                    member.launch()
            states = await asyncio.gather(*(member.state() for member in self.members))
            if sorted(states) == ["leads", "stands by"]:
                self._at = states.index("leads")
                return self.leader, self.members[1 - self._at]
            tails = [member.log_tail()[-500:] for member in self.members]
            assert time.monotonic() < end, f"not well within {within_s} s: {states} {tails}"
            await asyncio.sleep(0.05)

    @property
    def living_edges(self) -> list[Member]:
        return []

    # --- as a daemon, for those who look at the end -----------------------------------------------------------------

    @property
    def running(self) -> bool:
        return True

    def launch(self) -> None:
        """`well` does."""

    async def ready(self, within_s: float = WELL_S) -> Json:
        leader, _ = await self.well(max(within_s, WELL_S))
        return await leader.ready(within_s)

    async def interactions(self, state: str = "") -> list[Json]:
        return await self.leader.interactions(state)

    async def get(self, path: str) -> tuple[int, Json]:
        return await self.leader.get(path)

    async def content(self, path: str) -> bytes | None:
        return await self.leader.content(path)

    async def stop(self) -> int:
        return await self._stop_engines()

    async def _stop_engines(self) -> int:
        """The one that stands by first; the worse of both exit codes."""
        leader, standby = await Cluster.well(self)
        return max(await standby.stop(), await leader.stop())

    def verify(self) -> Json:
        return self._looks().verify()

    def export(self) -> list[Json]:
        return self._looks().export()

    def _looks(self) -> Member:
        """For commands that nobody waits for elsewhere: past the wires, which stand still meanwhile."""
        return Member(self._folder, "looks", self.redis.port)

    def epochs(self) -> list[int]:
        """Who wrote, entry by entry."""
        return [int(ident.split(b"-")[1]) for ident, _ in self.redis.command("XRANGE", f"{PREFIX}:log", "-", "+")]

    def troubles(self) -> list[str]:
        return [f"{member.name}: {line}" for member in self.members for line in member.troubles()]

    async def close(self) -> None:
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        for member in self.members:
            member.kill()
            await member.close()
        for wire in self.wires:
            wire.close()
        for one in self.servers:
            one.close()
        if self.disk is not None:
            subprocess.run(["umount", "--lazy", str(self.disk)], check=True)


def server(folder: Path, *options: str) -> RedisServer:
    """The distribution's where there is one, which is what most will run."""
    return RedisServer(folder, shutil.which(SYSTEM) or bundled(), "--enable-debug-command", "local", *options)


def small_disk(folder: Path) -> Path | None:
    """A file system of its own there, which can be filled up; None where none may be mounted."""
    folder.mkdir(parents=True)
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return None
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(folder)], capture_output=True)
    return None if done.returncode else folder


def run(
    rounds: int,
    seed: int,
    folder: Path,
    progress: Callable[[Result], None] = lambda so_far: None,
    campaign: Campaign | None = None,
) -> Result:
    """Campaigns of at most ROUNDS_MAX rounds, each with a Redis of its own."""
    total, number = Result(), 0
    kind = campaign or Campaign(Cluster, Rounds, WAYS, "cluster", "m")
    while rounds > 0:
        number, size = number + 1, min(rounds, ROUNDS_MAX)
        rounds -= size
        at = folder / f"{kind.name}-{number}"
        at.mkdir(parents=True)
        total.add(asyncio.run(kind.run(size, f"{seed}-{number}", at)))
        progress(total)
    return total


class Campaign(NamedTuple):
    """What is put to the test, and what befalls it."""

    house: type[Cluster]
    rounds: type[Rounds]
    ways: Mapping[str, int]
    name: str
    mark: str  # of the crowd's names

    async def run(self, rounds: int, seed: str, folder: Path) -> Result:
        result, chance = Result(), random.Random(seed)
        cluster = self.house(folder, chance)
        try:
            await cluster.start()
            await self._rounds(rounds, seed, cluster, chance, result)
        finally:
            await cluster.close()
        result.troubles += cluster.troubles()
        return result

    async def _rounds(self, rounds: int, seed: str, cluster: Cluster, chance: random.Random, result: Result) -> None:
        world = World(cluster, random.Random(f"{seed}-world"), f"{self.mark}{seed}")
        rounds_ = self.rounds(cluster, chance)
        try:
            world.begin()
            for _ in range(rounds):
                way = chance.choices(list(self.ways), list(self.ways.values()))[0]
                if way == "full" and cluster.disk is None:
                    way = "hush"
                await rounds_.one(way)
                result.rounds += 1
                result.ways[way] += 1
            await finish(cluster, world, result)
            epochs = cluster.epochs()
            if epochs != sorted(epochs):
                result.troubles.append("somebody wrote after others had taken over")
        finally:
            await world.close()
        result.acknowledged = world.ledger.acknowledged
        result.troubles += world.ledger.faults + rounds_.troubles
        result.takeovers += rounds_.takeovers


class Rounds:
    def __init__(self, cluster: Cluster, chance: random.Random) -> None:
        self.cluster, self.chance = cluster, chance
        self.takeovers: list[Takeover] = []
        self.troubles: list[str] = []

    async def one(self, way: str) -> None:
        leader, standby = await self.cluster.well()
        await self._for(0.1, 1.2)
        after = await getattr(self, f"_{way.replace('-', '_')}")(leader, standby)
        if way in TAKEOVERS:
            await self._taken_over(way, standby)
        if after is not None:
            await after
        with contextlib.suppress(ProcessLookupError):
            leader.signal(signal.SIGCONT)

    async def _taken_over(self, way: str, standby: Member) -> None:
        watch = Watch(way, self.cluster.redis, LEASE_KEY, LEASE_S, standby, self.cluster.living_edges)
        await self._served(standby)
        self.takeovers.append(watch.over())

    async def _served(self, standby: Member) -> None:
        """Until the crowd is served again."""
        await standby.until(lambda status, _: status == 200, WELL_S)

    async def _for(self, shortest_s: float, longest_s: float) -> None:
        await asyncio.sleep(self.chance.uniform(shortest_s, longest_s))

    async def _kill(self, leader: Member, standby: Member) -> None:
        leader.kill()

    async def _pause(self, leader: Member, standby: Member) -> Awaitable[None]:
        leader.signal(signal.SIGSTOP)
        return self._for(0.0, 0.5)

    async def _stall(self, leader: Member, standby: Member) -> None:
        leader.signal(signal.SIGSTOP)
        await self._for(0.05, 0.6 * LEASE_S)

    async def _cut(self, leader: Member, standby: Member) -> Awaitable[None]:
        return self._lose(leader, "cut")

    async def _silent(self, leader: Member, standby: Member) -> Awaitable[None]:
        return self._lose(leader, "silent")

    def _lose(self, leader: Member, how: str) -> Awaitable[None]:
        wire = self.cluster.wires[self.cluster.members.index(leader)]
        wire.set("cut" if how == "cut" else "silent")

        async def mend() -> None:
            await self._for(0.0, 1.0)
            wire.set("open")

        return mend()

    async def _handover(self, leader: Member, standby: Member) -> None:
        code = await leader.stop()
        if code != 0:
            self.troubles.append(f"{leader.name} ended with {code} after SIGTERM")

    async def _standby(self, leader: Member, standby: Member) -> None:
        standby.kill()

    async def _both(self, leader: Member, standby: Member) -> None:
        leader.kill()
        await self._for(0.0, 0.2)
        standby.kill()

    async def _redis(self, leader: Member, standby: Member) -> None:
        self.cluster.redis.kill()
        await self._for(0.0, 1.5)
        await asyncio.to_thread(self.cluster.redis.start)

    async def _hang(self, leader: Member, standby: Member) -> None:
        self.cluster.redis.signal(signal.SIGSTOP)
        await self._for(0.1, 2 * TIMEOUT_S)
        self.cluster.redis.signal(signal.SIGCONT)

    async def _hush(self, leader: Member, standby: Member) -> None:
        await asyncio.to_thread(self.cluster.redis.command, "CLIENT", "PAUSE", self.chance.randint(100, 2_000), "WRITE")

    async def _slow(self, leader: Member, standby: Member) -> None:
        end = time.monotonic() + 2 * LEASE_S
        while time.monotonic() < end:
            await asyncio.to_thread(self.cluster.redis.command, "DEBUG", "SLEEP", self.chance.uniform(0.1, 1.2))
            await self._for(0.0, 0.3)

    async def _full(self, leader: Member, standby: Member) -> None:
        """Until nothing can be appended; who leads must say so and wait."""
        assert self.cluster.disk is not None
        filler = self.cluster.disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4_096))
        await self._for(0.2, 3.0)
        filler.unlink()

    async def _clock_on(self, leader: Member, standby: Member) -> None:
        for _ in range(4):
            self.cluster.redis.command("PEXPIRE", LEASE_KEY, 1)
            await self._for(0.0, 0.6)

    async def _clock_back(self, leader: Member, standby: Member) -> None:
        leader.kill()
        self.cluster.redis.command("PEXPIRE", LEASE_KEY, 3_600_000)
