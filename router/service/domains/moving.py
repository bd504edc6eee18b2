"""Which engine leads which routing domain, and giving one to another engine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from router.engine import commands as c
from router.errors import IllegalMove, NotFound, Unavailable
from router.service.domains.desk import DomainsDesk

if TYPE_CHECKING:
    from router.journal.redis import RedisJournal

LOOK_S = 0.05
PATIENCE_S = 8.0  # for whom it was given to; what becomes of it later is in `/readyz`


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


class DomainsOffice(Protocol):
    """What operators may see and do of routing domains."""

    async def all(self) -> list[DomainView]: ...

    async def move(self, name: str, to: str, by: str, why: str) -> Moved:
        """Raises NotFound, IllegalMove, Unavailable."""


class Moving:
    """See `DomainsOffice`. `logs` are looked at and never read."""

    def __init__(self, desk: DomainsDesk, logs: Mapping[str, RedisJournal]) -> None:
        self._desk, self._logs = desk, logs

    async def all(self) -> list[DomainView]:
        return [await self._view(domain.name) for domain in self._desk.domains]

    async def _view(self, name: str) -> DomainView:
        domain, log = self._desk.named(name), self._logs[name]
        engine, standbys = await asyncio.to_thread(lambda: (log.leader(), log.standbys()))
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
        before = await self._view(name)
        if before.engine == to:
            raise IllegalMove(f"{to} leads routing domain {name} already")
        if to not in before.standbys:
            there = ", ".join(before.standbys) or "none"
            raise NotFound(f"no engine {to[:64]!r} stands by for routing domain {name}; these do: {there}")
        domain = self._desk.named(name)
        waiting: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        done = lambda outcome: None if waiting.done() else waiting.set_result(outcome)  # noqa: E731
        domain.source.submit(c.GiveLead(to=to, by=by, why=why), done)
        outcome = await waiting
        if isinstance(outcome, Exception):
            raise outcome
        await self._taken(name, to)
        return Moved(name, before.engine, to)

    async def _taken(self, name: str, to: str) -> None:
        log, leader = self._logs[name], ""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while leader != to or self._desk.named(name).source.failed:
                    await asyncio.sleep(LOOK_S)
                    leader = await asyncio.to_thread(log.leader)
        except TimeoutError:
            who = f"{leader} leads" if leader else "nobody leads"
            raise Unavailable(f"routing domain {name} was given to {to}, who has not taken it yet: {who}", 1) from None

    async def stop(self) -> None:
        for log in self._logs.values():
            await asyncio.to_thread(log.close)
