"""Two routing domains over two engines and two edges, and what befalls them: the same crowd, ledgers and audit.

What was acknowledged by whichever edge is held against both logs as if they were one: a contact that stands in both is
doubled, and each log by itself has no gap and no writer after others had taken over. A round chooses a domain; then

    kill        kill -9 of the engine that leads it
    pause       that engine is stopped for longer than the lease, and continues
    both        kill -9 of both engines
    edge-kill   kill -9 of an edge
    move        it is given to the other engine
    move-giver  so it is, and in the middle of it kill -9 of who gives
    move-taker  so it is, and in the middle of it kill -9 of who is to take it
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import aiohttp

from tests.faults import cluster
from tests.faults.campaign import Result
from tests.faults.cluster import LEASE_S, PREFIX, WELL_S, Campaign, Member, Rounds
from tests.faults.edges import LINK, Estate
from tests.system.daemon import CONFIG, DOMAINS, Json

WAYS = {"kill": 3, "pause": 2, "both": 1, "edge-kill": 1, "move": 2, "move-giver": 3, "move-taker": 3}
NUMBERS = {"front": 1, "back": 2}
EPOCHS = 1_000_000  # of one log there are fewer


class Parted(Member):
    """A process of a house with routing domains."""

    def __init__(
        self, folder: Path, name: str, port: int, roles: str = "", more: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(folder, name, port, roles, more)
        self.config = folder / "house.toml"


class House(Estate):
    """The crowd comes to edges, which is also where everybody looks at the end."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        super().__init__(folder, chance)
        (folder / "house.toml").write_text(CONFIG.read_text() + DOMAINS)

    async def start(self) -> None:
        self.members = [self._engine(number) for number in range(2)]
        fax = {"SCAN__FOLDERS__FAX__PATH": str(self._folder / "west-fax")}  # one drop, one watcher
        self.edges = [self._edge("east", {}), self._edge("west", fax)]
        self._watching = [asyncio.create_task(self._watch_edge(number)) for number in range(2)]

    def _engine(self, number: int) -> Member:
        name = f"engine-{number + 1}"
        at = {"LINK__LISTEN": "127.0.0.1:0", "LINK__NAME": name}
        return Parted(self._folder, name, self.wires[number].port, "engine", LINK | at)

    def _edge(self, name: str, more: dict[str, str]) -> Member:
        return Parted(self._folder, name, self.redis.port, "edge", LINK | more)

    def _looks(self) -> Member:
        return Parted(self._folder, "looks", self.redis.port)

    @property
    def leader(self) -> Member:
        return self.edges[0]

    def named(self, name: str) -> Member:
        return next(member for member in self.members if member.name == name)

    async def led(self, within_s: float = WELL_S) -> dict[str, Json]:
        """Who leads which domain, once both are led, somebody stands by, and every edge is linked to them."""
        end = time.monotonic() + within_s
        while True:
            for member in (*self.members, *self.edges):
                if not member.running:
                    member.launch()
            well = [await engine.state() == "leads" for engine in self.members]  # who stands by is well, too
            seen = [await self._domains(edge) for edge in self.edges]
            if (
                all(well)
                and all(seen)
                and all(d["engine"] and d["linked"] and d["standbys"] for one in seen for d in one.values())
            ):
                return seen[0]
            assert time.monotonic() < end, f"not well within {within_s} s: {seen}"
            await asyncio.sleep(0.05)

    async def _domains(self, edge: Member) -> dict[str, Json]:
        try:
            status, body = await edge.get("/v1/domains")
        except (aiohttp.ClientError, OSError, TimeoutError):
            return {}
        return {domain["domain"]: domain for domain in body["domains"]} if status == 200 else {}

    async def ready(self, within_s: float = WELL_S) -> Json:
        await self.led()
        return await self.leader.ready(WELL_S)

    async def stop(self) -> int:
        await self.led()
        return max([await one.stop() for one in (*self.edges, *self.members)])

    # --- both logs ---

    def verify(self) -> Json:
        """The worse of both."""
        found = [self._read("verify", name) for name in NUMBERS]
        return next((one for one in found if one["damaged"] or one["gaps"] or one["problems"]), found[0])

    def _read(self, what: str, domain: str) -> Json:
        found: Json = json.loads(self._looks().command(*self._about(what, domain), "--json"))
        return found

    def _about(self, what: str, domain: str) -> tuple[str, ...]:
        return "journal", what, "--config", str(self._folder / "house.toml"), "--domain", domain

    def export(self) -> list[Json]:
        """One after the other, numbered through, for each by itself was numbered without a gap."""
        lines: list[Json] = []
        for name in NUMBERS:
            text = self._looks().command(*self._about("export", name))
            log = [json.loads(line) for line in text.splitlines()]
            assert [line["seq"] for line in log] == list(range(1, len(log) + 1)), f"gaps in {name}"
            lines += log
        return [line | {"seq": position} for position, line in enumerate(lines, 1)]

    def epochs(self) -> list[int]:
        found = []
        for number in NUMBERS.values():
            log = self.redis.command("XRANGE", f"{PREFIX}:{number}:log", "-", "+")
            found += [number * EPOCHS + int(ident.split(b"-")[1]) for ident, _ in log]
        return found


class DomainRounds(Rounds):
    cluster: House

    async def one(self, way: str) -> None:
        domain = self.chance.choice(list(NUMBERS))
        giver = self.cluster.named((await self.cluster.led())[domain]["engine"])
        taker = next(member for member in self.cluster.members if member is not giver)
        await self._for(0.1, 1.2)
        if way.startswith("move"):
            victim = {"move-giver": giver, "move-taker": taker}.get(way)
            await self._move(domain, taker, victim)
        else:
            await getattr(self, f"_{way.replace('-', '_')}")(giver, taker)
        await self._for(0.1, 1.0)

    async def _move(self, domain: str, taker: Member, victim: Member | None) -> None:
        asked = asyncio.create_task(
            self.cluster.leader.post(f"/v1/domains/{domain}/move", {"to": taker.name, "why": "the laboratory"})
        )
        if victim is not None:
            await self._for(0.0, 0.4)
            victim.kill()
        status, answer = await asked
        if status != 200 and (victim is None or status != 503):
            self.troubles.append(f"move of {domain}: {status} {answer}")

    async def _pause(self, leader: Member, standby: Member) -> None:  # type: ignore[override]
        leader.signal(signal.SIGSTOP)
        await self._for(1.2 * LEASE_S, 2 * LEASE_S)
        leader.signal(signal.SIGCONT)

    async def _edge_kill(self, leader: Member, standby: Member) -> None:
        self.chance.choice(self.cluster.edges).kill()


HOUSE = Campaign(House, DomainRounds, WAYS, "domains", "d")


def run(rounds: int, seed: int, folder: Path, progress: Callable[[Result], None] = lambda so_far: None) -> Result:
    return cluster.run(rounds, seed, folder, progress, HOUSE)
