"""Two versions of the product on one Redis, as long as a deployment lasts: the same crowd, ledgers and audit.

Two engines and two edges begin as an older version, with that version's configuration, which they keep: whoever deploys
changes the program first. Then, step by step, each is changed while customers come and agents work, there and back:

    edge       a new edge at an engine of the old version
    standby    a new engine follows the log of the old one
    over       the old leader is told to stop: the new version leads, an old engine stands by, an old edge is linked
    back       kill -9 of the new leader: the old version leads again, on what the new one has written
    forth      kill -9 of the old leader: the new version leads what the old one has gone on with
    done       nothing of the old version is left

After each change of who leads that version makes a snapshot, upon which one of the other version starts. Each step
lasts until the crowd has been served by that mixture: contacts taken, offers accepted, work completed.
"""

from __future__ import annotations

import asyncio
import io
import random
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from tests.faults.campaign import Result, finish
from tests.faults.cluster import Member
from tests.faults.edges import Estate
from tests.faults.world import World
from tests.system.daemon import ROOT

SERVED = 25  # of each kind of promise that a mixture must have kept
SERVED_S = 120.0


# What an older version is known to write when it stops: an outbox still settled a letter while the link was going.
KNOWN = "AssertionError: it has not failed"


class NoHistory(Exception):
    """There is no older version to be had; why."""


def version_before(word: str, path: str, folder: Path) -> Path:
    """The program as it was before that word came into that file, unpacked there. Raises NoHistory."""
    came = _git("log", "--reverse", "--format=%H", "-S", word, "--", path).decode().split()
    if not came:
        raise NoHistory(f"no commit tells when {word} came into {path}")
    archive = _git("archive", "--format=tar", f"{came[0]}^")
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(folder, filter="data")
    return folder


def _git(*words: str) -> bytes:
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False)
    except FileNotFoundError:
        raise NoHistory("git is not installed") from None
    if done.returncode:
        raise NoHistory(done.stderr.decode().strip())
    return done.stdout


class Mixed(Estate):
    """Two engines and two edges, each of one of two versions."""

    def __init__(self, folder: Path, chance: random.Random, old: Path) -> None:
        super().__init__(folder, chance)
        self._old = old

    async def start(self) -> None:
        await super().start()
        for member in (*self.members, *self.edges):
            member.root, member.config = self._old, self._old / "config" / "dev.toml"

    def troubles(self) -> list[str]:
        return [line for line in super().troubles() if not (KNOWN in line and str(self._old) in line)]

    def versions(self) -> list[str]:
        """Of the engines, who leads first, then of the edges."""
        first = [self.leader, *(member for member in self.members if member is not self.leader)]
        return ["new" if member.root == ROOT else "old" for member in (*first, *self.edges)]


class Deployment:
    """What is done to the house. Each step returns when it has been well since."""

    def __init__(self, house: Mixed) -> None:
        self._house = house
        self.troubles: list[str] = []

    async def edge(self) -> None:
        await self._change(self._house.edges[0])

    async def standby(self) -> None:
        _, standby = await self._house.well()
        await self._change(standby)

    async def over(self) -> None:
        leader, standby = await self._house.well()
        await self._stop(leader)
        await self._snapshot(standby)

    async def back(self) -> None:
        leader, standby = await self._house.well()
        leader.kill()
        await self._snapshot(standby)

    forth = back

    async def done(self) -> None:
        for member in (*self._house.edges, *self._house.members):
            if member.root != ROOT:
                await self._change(member)
                await self._house.well()

    async def _snapshot(self, leader: Member) -> None:
        """By the version that leads now: the one that starts next begins with it, or passes it over."""
        await leader.ready()
        await asyncio.to_thread(leader.command, "journal", "snapshot", "--config", str(leader.config))

    async def _change(self, member: Member) -> None:
        await self._stop(member)
        member.root = ROOT

    async def _stop(self, member: Member) -> None:
        code = await member.stop()
        if code != 0:
            self.troubles.append(f"{member.name} ended with {code} after SIGTERM")


# Each step, and then which versions there are: who leads, who stands by, both edges.
STEPS = {
    "edge": ["old", "old", "new", "old"],
    "standby": ["old", "new", "new", "old"],
    "over": ["new", "old", "new", "old"],
    "back": ["old", "new", "new", "old"],
    "forth": ["new", "old", "new", "old"],
    "done": ["new", "new", "new", "new"],
}


async def deploy(old: Path, seed: str, folder: Path, told: Callable[[str], None] = print) -> Result:
    """All steps in order, then the audit."""
    result, chance = Result(), random.Random(seed)
    house = Mixed(folder, chance, old)
    steps = Deployment(house)
    try:
        await house.start()
        await house.well()
        world = World(house, random.Random(f"{seed}-world"), f"v{seed}")
        try:
            world.begin()
            for step, versions in STEPS.items():
                await getattr(steps, step)()
                await house.well()
                assert house.versions() == versions, f"{step} did not come to what it is for"
                await _served(world)
                result.rounds += 1
                told(f"{step}: {world.ledger.acknowledged} acknowledged")
            await finish(house, world, result)
            epochs = house.epochs()
            if epochs != sorted(epochs):
                result.troubles.append("somebody wrote after others had taken over")
        finally:
            await world.close()
    finally:
        await house.close()
    result.acknowledged = world.ledger.acknowledged
    result.troubles += world.ledger.faults + steps.troubles + house.troubles()
    return result


async def _served(world: World) -> None:
    """Until so much of each has been acknowledged from now on."""
    ledger = world.ledger

    def kept() -> tuple[int, int, int]:
        return sum(contact.acknowledged for contact in ledger.contacts), len(ledger.accepted), len(ledger.completed)

    before = kept()
    async with asyncio.timeout(SERVED_S):
        while any(now < then + SERVED for now, then in zip(kept(), before, strict=True)):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
