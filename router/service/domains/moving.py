"""Which engine leads which routing domain, and giving one to another engine.

A move is answered when the one that it was given to leads and this edge is linked to it, or as soon as it is known
that it came otherwise: the lead waits for the one named for a moment (`kept_ms`), and is anybody's after that. Each
taking of a lease is counted in Redis, so who has it now is not mistaken for who had it before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar

from msgspec import Struct

from router.engine import commands as c
from router.errors import IllegalMove, JournalFailed, NotFound, Unavailable
from router.service.domains.desk import DomainsDesk

if TYPE_CHECKING:
    from router.journal.redis import RedisJournal

T = TypeVar("T")

LOOK_S = 0.05
PATIENCE_S = 8.0  # what becomes of it later is in `/readyz`


class DomainView(Struct, frozen=True):
    """A routing domain as operators see it. `engine` is the name of who leads it, "" while nobody does."""

    domain: str
    number: int
    engine: str
    standbys: tuple[str, ...]
    linked: bool
    queues: tuple[str, ...]
    agents: int
    records: int


class Moved(Struct, frozen=True):
    domain: str
    was: str
    engine: str


class NotTaken(Unavailable):
    """It was given away, and who it was given to does not have it."""


class DomainsOffice(Protocol):
    """What operators may see and do of routing domains."""

    async def all(self) -> list[DomainView]: ...

    async def move(self, name: str, to: str, by: str, why: str) -> Moved:
        """Raises NotFound, IllegalMove, Unavailable: NotTaken, when it was given away and came otherwise."""


class Moving:
    """See `DomainsOffice`. `logs` are looked at and never read."""

    def __init__(self, desk: DomainsDesk, logs: Mapping[str, RedisJournal]) -> None:
        self._desk, self._logs = desk, logs

    async def all(self) -> list[DomainView]:
        return [await self._view(domain.name) for domain in self._desk.domains]

    async def _view(self, name: str) -> DomainView:
        domain, log = self._desk.named(name), self._logs[name]
        engine, standbys = await _seen(name, lambda: (log.leader(), log.standbys()))
        state = domain.state
        return DomainView(
            name,
            domain.number,
            engine,
            tuple(standby for standby in standbys if standby != engine),
            not domain.source.failed,
            tuple(state.queues),
            len(state.agents),
            state.seq,
        )

    async def move(self, name: str, to: str, by: str, why: str) -> Moved:
        before, log = await self._view(name), self._logs[name]
        if before.engine == to:
            raise IllegalMove(f"{to} leads routing domain {name} already")
        there = ", ".join(before.standbys) or "none"
        if not before.engine:
            raise Unavailable(
                f"nobody leads routing domain {name}, so nobody can give it away; who stands by takes it: {there}", 1
            )
        if to not in before.standbys:
            raise NotFound(f"no engine {to[:64]!r} stands by for routing domain {name}; these do: {there}")
        taken = await _seen(name, log.times_taken)
        await self._give(name, c.GiveLead(to=to, by=by, why=why))
        await self._taken(name, before.engine, to, taken)
        return Moved(name, before.engine, to)

    async def _give(self, name: str, command: c.GiveLead) -> None:
        """Returns when the one that leads has it in its log."""
        waiting: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        done = lambda outcome: None if waiting.done() else waiting.set_result(outcome)  # noqa: E731
        self._desk.named(name).source.submit(command, done)
        outcome = await waiting
        if isinstance(outcome, Unavailable):
            raise Unavailable(
                f"the engine that leads routing domain {name} does not answer just now; whether it has given it away "
                "shows in `switchboard domains`",
                1,
            )
        if isinstance(outcome, Exception):
            raise outcome

    async def _taken(self, name: str, was: str, to: str, taken: int) -> None:
        """Returns when `to` leads and this edge is linked to it. Raises NotTaken with what happened instead."""
        log, leader, now = self._logs[name], was, taken
        try:
            async with asyncio.timeout(PATIENCE_S):
                while leader != to or self._desk.named(name).source.failed:
                    if leader not in ("", to) and now > taken:
                        raise NotTaken(_returned(name, to, leader, log.kept_ms), 1)
                    await asyncio.sleep(LOOK_S)
                    now, leader = await _seen(name, lambda: (log.times_taken(), log.leader()))
        except TimeoutError:
            raise NotTaken(_open_end(name, was, to, leader), 1) from None

    async def stop(self) -> None:
        for log in self._logs.values():
            await asyncio.to_thread(log.close)


async def _seen(name: str, look: Callable[[], T]) -> T:
    """What Redis says of it. Raises Unavailable."""
    try:
        return await asyncio.to_thread(look)
    except JournalFailed as error:
        raise Unavailable(f"who leads routing domain {name} cannot be seen: {error}", 1) from error


def _returned(name: str, to: str, leader: str, kept_ms: int) -> str:
    return (
        f"{to} did not take routing domain {name}, which waited {kept_ms / 1_000:g} s for it: {leader} leads it now, "
        f"and nothing was lost; see whether {to} runs, then move it again"
    )


def _open_end(name: str, was: str, to: str, leader: str) -> str:
    """Nothing more has happened for `PATIENCE_S`."""
    if leader == to:
        return f"{to} leads routing domain {name}, and this edge is not linked to it yet; see `switchboard domains`"
    if leader == was:
        return f"{was} did not give routing domain {name} away and goes on; its log says why (not_handed_over)"
    return f"{was} gave routing domain {name} away, and nobody leads it yet; start an engine that may lead it"
