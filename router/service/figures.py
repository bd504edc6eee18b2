"""What the engine is doing, as metrics: the queues, the agents, and how often each kind of fact happened.

Facts are counted in a plain dictionary, which costs the hot path next to nothing; every few seconds the figures are
taken over into metrics. So a scrape reads numbers that are some seconds old and never waits for, or delays, a decision
(OB-2).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from router.engine import lookups
from router.engine.events import Event
from router.engine.reach import NEARNESS
from router.engine.views import DayView
from router.observe import counter, gauge
from router.service import background
from router.service.ports import Health
from router.service.writer import Writer

LOOK_S = 5.0
DAY_MS = 86_400_000

events = counter("events_total", "Facts that were decided, by type.", ("type",))
waiting = gauge("queue_waiting", "Interactions that wait.", ("queue",))
offered = gauge("queue_offered", "Interactions that are being offered.", ("queue",))
active = gauge("queue_active", "Interactions with an agent, wrap-up included.", ("queue",))
servability = gauge(
    "queue_servability",
    "Interactions that wait, by how near an agent who fits is: now, busy, signed-out, nobody.",
    ("queue", "agent"),
)
oldest = gauge("queue_oldest_seconds", "How long the longest waiting one of the queue has waited.", ("queue",))
level = gauge(
    "queue_service_level",
    "The share of contacts of late (balance.window) that were answered within their target; kept where a rule looks.",
    ("queue",),
)
OUTCOMES = ("in-target", "past-target", "abandoned", "abandoned-soon")
contacts = gauge(
    "queue_contacts",
    "Contacts of the last 24 hours, by how their first wait ended: in-target, past-target, abandoned, abandoned-soon.",
    ("queue", "outcome"),
)
lending = gauge("queue_lending", "Whether agents of another queue help out: 1 or 0.", ("queue", "lender"))
agents = gauge("agents", "Agents by state: all that are configured, and those who are ready and signed in.", ("state",))
ahead = gauge(
    "engine_ahead_seconds",
    "How far the time of decisions is ahead of this machine's clock while it leads; above 0 no deadline comes.",
)
places_held = gauge("places_held", "Places that agents keep free for something that needs more room.")


class Figures:
    """Observes a writer, or those of several routing domains, whose queues have names of their own.

    `look` takes the figures over at once; `start` does so every LOOK_S seconds.
    """

    def __init__(self, *writers: Writer) -> None:
        self._writers = writers
        self._shown: dict[Writer, tuple[str, ...]] = {}  # the queues that it has figures of
        self._counts: dict[type[Event], int] = defaultdict(int)
        self._task: asyncio.Task[None] | None = None
        for writer in writers:
            writer.observers.append(self._count)

    def _count(self, first_seq: int, at_ms: int, happened: Sequence[Event]) -> None:
        counts = self._counts  # a `collections.Counter` takes twice as long: it is written in Python
        for event in happened:
            counts[type(event)] += 1

    async def start(self) -> None:
        self._task = background.begin(self._watch(), "figures")

    async def stop(self) -> None:
        await background.end(self._task)

    def health(self) -> Health:
        trouble = background.trouble(self._task, "nobody takes the engine's figures over into metrics")
        return Health(not trouble, trouble)

    def look(self) -> None:
        counted, self._counts = self._counts, defaultdict(int)
        for kind, n in counted.items():
            events.labels(str(kind.__struct_config__.tag)).inc(n)
        states = [writer.engine.state for writer in self._writers if len(self._writers) == 1 or not writer.failed]
        for writer in self._writers:
            self._look_at(writer)
        ahead.set(max((writer.ahead_ms for writer in self._writers if not writer.failed), default=0) / 1_000)
        places_held.set(sum(len(state.drains) for state in states))
        agents.labels("configured").set(sum(len(state.agents) for state in states))
        agents.labels("ready").set(sum(state.matcher.headcount() for state in states))

    def _look_at(self, writer: Writer) -> None:
        if len(self._writers) > 1 and writer.failed:  # another process has the domain, and tells of it
            for name in self._shown.pop(writer, ()):
                _forget(name)
            return
        now_ms = writer.clock.now_ms()
        views = lookups.queue_views(writer.engine.state, now_ms, now_ms - DAY_MS)
        self._shown[writer] = tuple(view.queue for view in views)
        for view in views:
            waiting.labels(view.queue).set(view.waiting)
            offered.labels(view.queue).set(view.offered)
            active.labels(view.queue).set(view.active)
            for near in NEARNESS:
                servability.labels(view.queue, near).set(view.servability.get(near, 0))
            since = view.oldest_enqueued_at_ms
            oldest.labels(view.queue).set(max(0, now_ms - since) / 1_000 if since else 0)
            if view.service_level is not None:
                level.labels(view.queue).set(view.service_level)
            if view.day is not None:
                _tell_day(view.queue, view.day)
            else:  # it may have been counted before
                _forget_day(view.queue)
            for loan in view.borrows:
                lending.labels(view.queue, loan.lender).set(loan.open)

    async def _watch(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)


def _tell_day(queue: str, day: DayView) -> None:
    contacts.labels(queue, "in-target").set(day.in_target)
    contacts.labels(queue, "past-target").set(day.answered - day.in_target)
    contacts.labels(queue, "abandoned").set(day.abandoned - day.short)
    contacts.labels(queue, "abandoned-soon").set(day.short)


def _forget(queue: str) -> None:
    """What is wanted is that nothing is told; that there was nothing to forget is as good."""
    for figure in (waiting, offered, active, oldest):
        figure.labels(queue)
        figure.remove(queue)
    for near in NEARNESS:
        servability.labels(queue, near)
        servability.remove(queue, near)
    _forget_day(queue)
    level.labels(queue)
    level.remove(queue)


def _forget_day(queue: str) -> None:
    for outcome in OUTCOMES:
        contacts.labels(queue, outcome)
        contacts.remove(queue, outcome)
