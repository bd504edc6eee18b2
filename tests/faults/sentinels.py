"""Two daemons on a Redis with two replicas and a Sentinel: `journal.durability = "wait:2"` put to the test.

The promise is that what was acknowledged survives any failover, because every replica had it. With fewer than all it
would not: while Sentinel changes over, the master of before goes on, and replicas that still follow it are enough for
its WAIT, though another one was promoted and they are about to forget. The same crowd, ledgers and audit as in
`cluster`; what befalls the daemons is a part of that, and besides:

    failover  kill -9 of the master, which comes again when another one was promoted and is made a replica
    stale     the master is stopped until another one was promoted, and goes on: for a moment there are two
    switch    an operator tells Sentinel to change over
    replica   kill -9 of a replica, which comes again
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import redis

from tests.faults import cluster
from tests.faults.campaign import Result
from tests.faults.cluster import Campaign, Cluster, Member, Rounds
from tests.support.ports import free_port
from tests.support.redis import RedisServer, bundled

WAYS = {"kill": 2, "pause": 1, "handover": 1, "failover": 4, "stale": 3, "switch": 2, "replica": 1}
HOUSE = "house"
DOWN_AFTER_MS = 800
COMES_BACK_S = 120.0  # a master that was replaced is made a replica only after a while, by Sentinel's own rules


class Sentinels(Cluster):
    """`servers` are the three; the master is whoever the Sentinel says."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        super().__init__(folder, chance)
        first = self.servers[0]
        follow = ("--replicaof", "127.0.0.1", str(first.port))
        self.servers += [cluster.server(folder / f"redis-{number}", *follow).start() for number in (2, 3)]
        self.sentinel = self._watch_over(folder, first)

    def _watch_over(self, folder: Path, first: RedisServer) -> RedisServer:
        port, config = free_port(), folder / "sentinel.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\nsentinel monitor {HOUSE} 127.0.0.1 {first.port} 1\n"
            f"sentinel down-after-milliseconds {HOUSE} {DOWN_AFTER_MS}\nsentinel failover-timeout {HOUSE} 4000\n"
            f"sentinel parallel-syncs {HOUSE} 2\n"
        )
        return RedisServer(folder / "sentinel", bundled()).run_as_sentinel(config, port)

    @property
    def redis(self) -> RedisServer:
        if len(self.servers) < 3:
            return self.servers[0]
        _, port = self.sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", HOUSE)
        return next(one for one in self.servers if one.port == int(port))

    async def start(self) -> None:
        self.members = [self._member(name) for name in ("one", "two")]
        self._watching = [asyncio.create_task(self._watch(number)) for number in range(2)]

    def _member(self, name: str) -> Member:
        behind = {
            "JOURNAL__URL": f"redis+sentinel://127.0.0.1:{self.sentinel.port}/{HOUSE}",
            "JOURNAL__DURABILITY": "wait:2",
        }
        return Member(self._folder, name, self.redis.port, more=behind)

    def _looks(self) -> Member:
        return self._member("looks")

    async def well(self, within_s: float = cluster.WELL_S) -> tuple[Member, Member]:
        await self._whole()
        return await super().well(within_s)

    async def _whole(self) -> None:
        """One master, which has both replicas."""
        end = time.monotonic() + COMES_BACK_S
        while not await asyncio.to_thread(self._is_whole):
            assert time.monotonic() < end, "the replicas did not come back"
            await asyncio.sleep(0.05)

    def _is_whole(self) -> bool:
        try:
            told = self.redis.command("INFO", "replication")
        except (redis.RedisError, OSError):
            return False
        each = [told.get(f"slave{number}") or {} for number in range(2)]
        return told["role"] == "master" and all(one.get("state") == "online" for one in each)

    async def close(self) -> None:
        await super().close()
        self.sentinel.close()


class SentinelRounds(Rounds):
    cluster: Sentinels

    async def _failover(self, leader: Member, standby: Member) -> None:
        master = self.cluster.redis
        master.kill()
        await self._another_than(master)
        await self._for(0.0, 1.0)
        await asyncio.to_thread(master.start)

    async def _stale(self, leader: Member, standby: Member) -> None:
        master = self.cluster.redis
        master.signal(signal.SIGSTOP)
        try:
            await self._another_than(master)
            await self._for(0.0, 1.5)
        finally:
            master.signal(signal.SIGCONT)

    async def _switch(self, leader: Member, standby: Member) -> None:
        master = self.cluster.redis
        self.cluster.sentinel.command("SENTINEL", "FAILOVER", HOUSE)
        await self._another_than(master)

    async def _replica(self, leader: Member, standby: Member) -> None:
        master = self.cluster.redis
        replica = self.chance.choice([one for one in self.cluster.servers if one is not master])
        replica.kill()
        await self._for(0.0, 1.5)
        await asyncio.to_thread(replica.start)

    async def _another_than(self, master: RedisServer) -> None:
        end = time.monotonic() + COMES_BACK_S
        while self.cluster.redis is master:
            assert time.monotonic() < end, "Sentinel has promoted nobody"
            await asyncio.sleep(0.05)


BEHIND_SENTINELS = Campaign(Sentinels, SentinelRounds, WAYS, "sentinels", "s")


def run(rounds: int, seed: int, folder: Path, progress: Callable[[Result], None] = lambda so_far: None) -> Result:
    return cluster.run(rounds, seed, folder, progress, BEHIND_SENTINELS)
