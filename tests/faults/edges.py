"""Two engines and two edges, each a process, and what befalls them: the same crowd, ledgers and audit.

The crowd knows the edges only. Engines reach Redis over a wire each, and edges reach each engine over another one, of
which the address is the one in the lease. What can befall engines and Redis is as in `cluster`; besides:

    edge-kill    kill -9 of an edge
    edge-pause   an edge is stopped for longer than the engine waits for a word of it, and continues
    edge-stop    SIGTERM of an edge
    unlink       the links break and are not to be had for a moment
    hush-link    nothing passes over the links for longer than either end waits; then what was sent arrives
    everything   kill -9 of the leading engine and of an edge, at once
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable
from pathlib import Path

from tests.faults import cluster
from tests.faults.campaign import Result
from tests.faults.cluster import WELL_S, Campaign, Cluster, Member, Rounds
from tests.faults.wire import State, Wire
from tests.support.ports import free_ports

WAYS = cluster.WAYS | {
    "edge-kill": 4, "edge-pause": 3, "edge-stop": 1, "unlink": 2, "hush-link": 2, "everything": 2,
}  # fmt: skip
SILENCE_S = 1.0
LINK = {"LINK__SECRET": "of-the-laboratory-of-edges", "LINK__SILENCE": f"{SILENCE_S * 1_000:.0f}ms"}


class Estate(Cluster):
    """Four processes as one house. `members` are the engines; the crowd comes to `edges`."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        super().__init__(folder, chance)
        self._ports = free_ports(2)
        self.links = [Wire(port) for port in self._ports]
        self.edges: list[Member] = []
        self._ready: set[int] = set()

    async def start(self) -> None:
        self.members = [self._engine(number) for number in range(2)]
        self.edges = [
            self._edge("east", {}),
            self._edge("west", {"SCAN__FOLDERS__FAX__PATH": str(self._folder / "west-fax")}),  # one drop, one watcher
        ]
        self._watching = [asyncio.create_task(self._watch(number)) for number in range(2)]
        self._watching += [asyncio.create_task(self._watch_edge(number)) for number in range(2)]

    def _engine(self, number: int) -> Member:
        at = {
            "LINK__LISTEN": f"127.0.0.1:{self._ports[number]}",
            "LINK__ADDRESS": f"127.0.0.1:{self.links[number].port}",
        }
        return Member(self._folder, f"engine-{number + 1}", self.wires[number].port, "engine", LINK | at)

    def _edge(self, name: str, more: dict[str, str]) -> Member:
        return Member(self._folder, name, self.redis.port, "edge", LINK | more)

    async def _watch_edge(self, number: int) -> None:
        while True:
            if await self.edges[number].state() == "leads":  # it is ready: who leads is the engine's business
                self._ready.add(number)
            else:
                self._ready.discard(number)
            await asyncio.sleep(0.05)

    @property
    def member(self) -> Member:
        """Where the next client goes: to an edge that is ready, if one is, and sometimes to any."""
        ready = sorted(self._ready)
        if not ready or self._chance.random() < 0.1:
            return self._chance.choice(self.edges)
        return self.edges[self._chance.choice(ready)]

    @property
    def living_edges(self) -> list[Member]:
        return [edge for edge in self.edges if edge.running]

    async def well(self, within_s: float = WELL_S) -> tuple[Member, Member]:
        for edge in self.edges:
            if not edge.running:
                edge.launch()
        found = await super().well(within_s)
        for edge in self.edges:
            await edge.until(lambda status, _: status == 200, within_s)
        return found

    async def stop(self) -> int:
        await self.well()
        codes = [await edge.stop() for edge in self.edges]
        return max(*codes, await self._stop_engines())

    def troubles(self) -> list[str]:
        return super().troubles() + [f"{edge.name}: {line}" for edge in self.edges for line in edge.troubles()]

    async def close(self) -> None:
        await super().close()
        for edge in self.edges:
            edge.kill()
            await edge.close()
        for link in self.links:
            link.close()


class EdgeRounds(Rounds):
    cluster: Estate

    async def one(self, way: str) -> None:
        if way in cluster.WAYS:
            await super().one(way)
            return
        leader, standby = await self.cluster.well()
        await self._for(0.1, 1.2)
        await getattr(self, f"_{way.replace('-', '_')}")(leader, self.chance.choice(self.cluster.edges))
        if way == "everything":
            await self._taken_over(way, standby)

    async def _served(self, standby: Member) -> None:
        """Not before an edge is linked to the one that took over."""
        await super()._served(standby)
        living = self.cluster.living_edges
        await asyncio.gather(*(edge.until(lambda status, _: status == 200, WELL_S) for edge in living))

    async def _edge_kill(self, leader: Member, edge: Member) -> None:
        edge.kill()

    async def _edge_pause(self, leader: Member, edge: Member) -> None:
        edge.signal(signal.SIGSTOP)
        await self._for(1.5 * SILENCE_S, 3 * SILENCE_S)
        edge.signal(signal.SIGCONT)

    async def _edge_stop(self, leader: Member, edge: Member) -> None:
        code = await edge.stop()
        if code != 0:
            self.troubles.append(f"{edge.name} ended with {code} after SIGTERM")

    async def _unlink(self, leader: Member, edge: Member) -> None:
        await self._without_links(leader, "cut", 0.0, 2 * SILENCE_S)

    async def _hush_link(self, leader: Member, edge: Member) -> None:
        await self._without_links(leader, "silent", 1.5 * SILENCE_S, 3 * SILENCE_S)

    async def _without_links(self, leader: Member, how: State, shortest_s: float, longest_s: float) -> None:
        link = self.cluster.links[self.cluster.members.index(leader)]
        link.set(how)
        await self._for(shortest_s, longest_s)
        link.set("open")

    async def _everything(self, leader: Member, edge: Member) -> None:
        leader.kill()
        edge.kill()


ESTATE = Campaign(Estate, EdgeRounds, WAYS, "edges", "e")


def run(rounds: int, seed: int, folder: Path, progress: Callable[[Result], None] = lambda so_far: None) -> Result:
    return cluster.run(rounds, seed, folder, progress, ESTATE)
