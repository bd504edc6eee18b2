"""How well expected waits are told (RT-13), and what it costs to be able to tell and to explain them.

Offices of several designs run in the simulator. Of each contact that has to wait, what was told when it came is
compared with how long it then waited: how many waited no longer than the p90, and by how much the median was wrong,
beside the two estimators that need no model of the office: the age of the oldest in the queue (head of line) and the
wait of the one served last. After a step, half as many again come every fourth hour as can be served; only that hour
counts.

The cost is that of learning where contacts end: the same contacts once with it and once without.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from heapq import merge
from random import Random
from statistics import median
from typing import Any

from msgspec import Struct, field

from router.bench.measure import Figures, Step
from router.bench.report import Row, compared
from router.engine import facts, waits
from router.engine.config import Agent, Band, Channel, Config, Duration, Memory, Queue, Rule
from router.engine.requirements import Node
from router.engine.views import Estimate
from router.simulate.world import BEGIN_MS, NEVER, Contact, Kind, Watch, World

HOUR_MS = 3_600_000
WARM_UP_MS = 2 * HOUR_MS


class Class(Struct, frozen=True):
    """Contacts of one queue; rates are shares of what its agents can do."""

    rate: float  # per second
    handle: float = 180.0  # seconds, exponential
    patience: float | None = 300.0
    channel: str = "work"
    target: float = 20.0
    band: str = "normal"
    peak: float = 1.0  # every fourth hour, times as many


class Design(Struct, frozen=True):
    classes: dict[str, Class]
    groups: dict[str, tuple[int, tuple[str, ...]]]
    channels: dict[str, Channel] = field(default_factory=lambda: {"work": Channel()})
    peak_only: bool = False


def _one(agents: int, load: float, **more: Any) -> Class:
    return Class(load * agents / 180.0, **more)


DESIGNS: dict[str, Design] = {
    "one queue, 10 agents, load 0.95, nobody gives up": Design(
        {"q": _one(10, 0.95, patience=None)}, {"g": (10, ("q",))}
    ),
    "one queue, 100 agents, load 1.4": Design({"q": _one(100, 1.4, patience=180.0)}, {"g": (100, ("q",))}),
    "one queue, 20 agents, after a step from 0.85 to 1.4": Design(
        {"q": _one(20, 0.85, peak=1.4 / 0.85)}, {"g": (20, ("q",))}, peak_only=True
    ),
    "specialists and generalists, targets 20 s and 120 s": Design(
        {"a": Class(0.025, patience=240.0), "b": Class(0.035, patience=240.0, target=120.0)},
        {"s": (5, ("b",)), "g": (5, ("a", "b"))},
    ),
    "two bands, the same agents": Design(
        {"a": _one(10, 0.4, band="urgent"), "b": _one(10, 0.6)},
        {"g": (10, ("a", "b"))},
    ),
    "calls and mail by the same agents": Design(
        {
            "calls": Class(0.035, patience=120.0, channel="phone"),
            "mails": Class(0.01, 300.0, None, "mail", 14_400.0),
        },
        {"g": (10, ("calls", "mails"))},
        {"phone": Channel(exclusive=True), "mail": Channel()},
    ),
    "three chats at once": Design(
        {"q": Class(0.98 * 15 / 600, 600.0, 900.0)}, {"g": (5, ("q",))}, {"work": Channel(cap=3)}
    ),
}


def configuration(design: Design) -> Config:
    queues = {
        name: Queue(requirement=Node(skill=name), auto_accept=True, band=x.band, target=Duration(int(x.target * 1_000)))
        for name, x in design.classes.items()
    }
    return Config(
        channels=design.channels,
        bands=(Band("urgent"), Band("normal")),
        default_band="normal",
        skills=tuple(queues),
        queues=queues,
        rules=tuple(Rule(name, name, to=(name,)) for name in queues),
        agents={
            f"{g}{i}": Agent(skills=dict.fromkeys(known, 5))
            for g, (n, known) in design.groups.items()
            for i in range(n)
        },
        memory=Memory(closed=1),
    )


def _agents(design: Design) -> Iterator[tuple[str, Agent]]:
    for group, (n, known) in design.groups.items():
        for i in range(n):
            yield f"{group}{i}", Agent(skills=dict.fromkeys(known, 5))


def contacts(design: Design, hours: float, seed: int) -> Iterator[Contact]:
    lines = [_line(x, k, hours, Random(f"{seed}/{k}")) for k, x in enumerate(design.classes.values())]
    for i, (at, kind, work, patience) in enumerate(merge(*lines)):
        yield Contact(i, BEGIN_MS + int(at), kind, work, patience)


def _line(x: Class, kind: int, hours: float, r: Random) -> Iterator[tuple[float, int, float, int]]:
    at = 0.0
    while True:
        rate = x.rate * (x.peak if _is_peak(int(at)) else 1.0)
        at += r.expovariate(rate) * 1_000
        if at >= hours * HOUR_MS:
            return
        patience = NEVER if x.patience is None else int(r.expovariate(1 / x.patience) * 1_000)
        yield at, kind, r.expovariate(1.0), patience


def _is_peak(at_ms: int) -> bool:
    return at_ms // HOUR_MS % 4 == 3


class Told(Watch):
    """What was told of whom, and what came of it: (wait, estimate, age of the oldest, wait of the last served)."""

    def __init__(self, design: Design) -> None:
        self.design = design
        self.world: World | None = None
        self.waited: list[tuple[float, Estimate, float, float]] = []
        self._open: dict[int, tuple[Estimate, float, float]] = {}
        self._last: dict[int, float] = {}

    def arrived(self, x: Contact, now_ms: int) -> None:
        assert self.world is not None
        since = now_ms - BEGIN_MS
        if x.offered_ms >= 0 or since < WARM_UP_MS or (self.design.peak_only and not _is_peak(since)):
            return
        s = self.world.engine.state
        item = s.interactions[x.number]
        told = waits.estimate(s, item, now_ms)
        oldest = s.matcher.oldest_of(item.queue)
        self._open[x.number] = (told, (now_ms - (oldest or now_ms)) / 1_000, self._last.get(x.kind, 0.0))

    def begun(self, x: Contact, now_ms: int) -> None:
        wait = (now_ms - x.born_ms) / 1_000
        self._last[x.kind] = wait
        told = self._open.pop(x.number, None)
        if told is not None:
            self.waited.append((wait, *told))

    def abandoned(self, x: Contact, now_ms: int) -> None:
        self._open.pop(x.number, None)


def _simulated(design: Design, watch: Watch, hours: float) -> World:
    means = [x.handle * 1_000 for x in design.classes.values()]
    kinds = [Kind(name, x.channel, name) for name, x in design.classes.items()]
    config = configuration(design)
    world = World(config, kinds, lambda x, agent: max(1, round(x.work * means[x.kind])), watch)
    if isinstance(watch, Told):
        watch.world = world
    for agent in config.agents:
        world.sign_in(agent, BEGIN_MS)
    world.expect(contacts(design, hours, seed=1))
    world.run()
    return world


def run(rounds: int, quick: bool, step: Step) -> tuple[list[Row], dict[str, list[Figures]]]:
    rows, figures = [], dict[str, list[Figures]]()
    for name, design in DESIGNS.items():
        step(name)
        found = judged(design, 6.0 if quick else 100.0 if len(design.classes) > 1 or design.peak_only else 40.0)
        figures[name] = [found]
        note = f"{found['covered']:.1%} within the p90; {found['contacts']:.0f} contacts; the last {found['last']:.1f}"
        rows.append(compared("RT-13", name, found["ours"], found["oldest"], unit="s", note=note))
    step("the cost of learning")
    costs = [_cost(4.0 if quick else 40.0) for _ in range(max(1, rounds))]
    figures["cost"] = costs
    with_, without = (median(x[name] for x in costs) for name in ("with_us", "without_us"))
    rows.append(compared("EX-1", "CPU of a contact, with learning and without", with_, without, 1.1, 1.05))
    return rows, figures


def judged(design: Design, hours: float) -> Figures:
    watch = Told(design)
    _simulated(design, watch, hours)
    known = [(wait, told, oldest, last) for wait, told, oldest, last in watch.waited if told.p90_s is not None]
    return {
        "contacts": float(len(known)),
        "covered": sum(wait <= (told.p90_s or 0) for wait, told, _, _ in known) / len(known),
        "below_p50": sum(wait <= (told.p50_s or 0) for wait, told, _, _ in known) / len(known),
        "ours": median(abs(wait - (told.p50_s or 0)) for wait, told, _, _ in known),
        "oldest": median(abs(wait - oldest) for wait, _, oldest, _ in known),
        "last": median(abs(wait - last) for wait, _, _, last in known),
    }


def _cost(hours: float) -> Figures:
    """CPU microseconds of one contact, simulator included, in an office that is always behind."""
    design = DESIGNS["one queue, 100 agents, load 1.4"]
    found = {}
    for name, learns in (("with_us", True), ("without_us", False)):
        with contextlib.nullcontext() if learns else _forgetful():
            began = time.process_time()
            world = _simulated(design, Watch(), hours)
            took = time.process_time() - began
        found[name] = took / world.engine.state.last_interaction * 1e6
    return found


@contextlib.contextmanager
def _forgetful() -> Iterator[None]:
    """An engine that learns nothing of waits."""
    contact, ending = facts.contacts, facts.endings
    lessons = [(contact, "follow"), (contact, "learn"), (ending, "learn"), (ending, "learn_left")]
    kept = [getattr(module, name) for module, name in lessons]
    try:
        for module, name in lessons:
            setattr(module, name, _nothing)
        yield
    finally:
        for (module, name), function in zip(lessons, kept, strict=True):
            setattr(module, name, function)


def _nothing(*ignored: object) -> None:
    """In place of learning."""
