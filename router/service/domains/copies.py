"""The edge's side: a copy of each routing domain's engine, one link to whoever leads it, one outbox for what goes out.

To the application all of them are one writer. It is there as soon as one of them is: what concerns a domain whose
engine is away is refused with a time to come back, by that domain's own link, and the others do not notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from router.engine.partition import domain_of
from router.engine.views import Inform, Outbound, Tell
from router.observe import gauge
from router.service.clock import Clock
from router.service.domains.desk import Domain
from router.service.outbox import Outbox, OutboxSettings
from router.service.ports import Adapter, Health
from router.service.remote.edge import NO_LEADER, RemoteWriter
from router.service.signals import Passed, Signals

_linked = gauge(
    "domain_linked", "1 while this edge is linked to the engine that leads this routing domain.", ("domain",)
)


def unowned(domain: str) -> str:
    """What is said of a domain that no engine leads."""
    return (
        f"nobody leads routing domain {domain}: its contacts and agents are refused with a time to come back; "
        "start an engine that may lead it, or see why those that run cannot"
    )


class Copy:
    """One domain at an edge."""

    def __init__(self, domain: Domain, writer: RemoteWriter) -> None:
        self.domain, self.writer = domain, writer
        self.outbox: Outbox | None = None

    def health(self) -> Health:
        """Never bad: an edge that sends everybody away for one domain would take the others along."""
        found = self.writer.health()
        _linked.labels(self.domain.name).set(1 if found.ok else 0)
        detail = unowned(self.domain.name) if self.writer.failed == NO_LEADER else found.detail
        return Health(True, detail, {**found.figures, "linked": float(found.ok)})


class Copies:
    """All of them, with what the application uses of a writer. `domains` in order of their numbers."""

    def __init__(self, copies: Sequence[Copy], clock: Clock) -> None:
        self.copies, self.clock = copies, clock

    @property
    def domains(self) -> list[Domain]:
        return [copy.domain for copy in self.copies]

    @property
    def failed(self) -> str:
        """Why nothing at all can be done here."""
        if any(not copy.writer.failed for copy in self.copies):
            return ""
        return self.copies[0].writer.failed

    @property
    def seq(self) -> int:
        return sum(domain.state.seq for domain in self.domains)

    def wire(self, tell: Callable[[Tell], None], inform: Callable[[Inform], None], signals: Signals) -> None:
        for copy in self.copies:
            copy.writer.tell, copy.writer.inform, copy.writer.on_signal = tell, inform, signals.deliver
        signals.relay = self._pass_on

    def _pass_on(self, passed: Passed) -> None:
        """By the engine of its interaction, to which all edges of that domain are linked."""
        number = domain_of(passed.interaction)
        for copy in self.copies:
            if copy.domain.number == number:
                copy.writer.pass_on(passed)

    def stand_by(self, why: str) -> None:
        for copy in self.copies:
            copy.writer.stand_by(why)

    async def drain(self) -> None:
        await asyncio.gather(*(copy.writer.drain() for copy in self.copies))

    async def stop(self) -> None:
        await asyncio.gather(*(copy.writer.stop() for copy in self.copies))

    def health(self) -> Health:
        away = [copy.domain.name for copy in self.copies if copy.writer.failed]
        figures = {"domains": float(len(self.copies)), "away": float(len(away))}
        if len(away) == len(self.copies):
            return Health(False, self.failed, figures)
        return Health(True, f"out of reach: {', '.join(away)}" if away else "", figures)

    def parts(self) -> dict[str, Health]:
        return {f"domain {copy.domain.name}": copy.health() for copy in self.copies}


class Outboxes:
    """An outbox for each domain, since each has an edge of its own that delivers."""

    def __init__(
        self, copies: Sequence[Copy], clock: Clock, settings: OutboxSettings, adapters: Mapping[str, Adapter]
    ) -> None:
        self._copies = copies
        self._all: list[Outbox] = []
        for copy in copies:
            copy.outbox = Outbox(copy.domain.desk, clock, settings, dict(adapters))
            copy.writer.post = copy.outbox.post
            self._all.append(copy.outbox)

    def post(self, letter: Outbound) -> None:
        raise AssertionError("each domain's letters go to its own outbox")

    def reload(self) -> None:
        """Where this edge is the one that delivers."""
        for copy in self._copies:
            assert copy.outbox is not None, "each has one"
            if copy.writer.delivers:
                copy.outbox.reload()

    def trying(self, outbound: int) -> str:
        """See Outbox: numbers of letters are those of the whole house."""
        return next(filter(None, (outbox.trying(outbound) for outbox in self._all)), "")

    def stop(self) -> None:
        for outbox in self._all:
            outbox.stop()

    async def finish(self) -> None:
        await asyncio.gather(*(outbox.finish() for outbox in self._all))

    def health(self) -> Health:
        found = [outbox.health() for outbox in self._all]
        figures: dict[str, float] = {}
        for health in found:
            for name, value in health.figures.items():
                figures[name] = figures.get(name, 0.0) + value
        bad = next((health for health in found if not health.ok), None)
        detail = next((health.detail for health in found if health.detail), "")
        return Health(bad is None, bad.detail if bad is not None else detail, figures)
