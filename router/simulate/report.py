"""What a run of a scenario came to: figures by queue, channel, stream, interval, team of staff and agent.

Memory does not grow with simulated time. Contacts are counted in a grid of (queue, stream, interval of the day); a run
of several days is folded into one. Contacts that come during the warm-up are not counted; those who still wait at the
end count as late if they are.

Fairness is Jain's index of the occupancies inside a group of people who are alike: 1 where all are equally busy, 1/n
where one of n does everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from msgspec import Struct, field

from router.engine.engine import Engine
from router.simulate.figures import Level, Tally
from router.simulate.office import Office
from router.simulate.scenario import DAY_MS, Scenario, names_of, notes
from router.simulate.world import Contact, Watch

Step = Callable[[int, int], None]
Metrics = dict[str, float]
# Where contacts are counted that came to no queue: no line was free, or no rule took them. No queue can have that name.
NOWHERE = "(no queue)"


class Interval(Struct, frozen=True):
    """One interval of the day, over all its days."""

    at: str  # "08:30"
    offered: int
    served: int
    abandoned: int
    turned_away: int
    blocked: int
    left: int
    sl_x: float
    mean_wait: float
    p90: float
    staffed: float  # agents, on average
    occupancy: float


class Person(Struct, frozen=True):
    agent: str
    group: str
    handled: int
    staffed_s: float
    occupancy: float


class Report(Struct, frozen=True):
    """Times in seconds unless a name says otherwise."""

    scenario: str
    seed: int
    simulated_s: float
    contacts: int
    events: int
    all: Metrics
    queues: dict[str, Metrics]
    channels: dict[str, Metrics]
    streams: dict[str, Metrics]
    intervals: list[Interval]
    by_queue: dict[str, list[Interval]]
    groups: dict[str, Metrics]
    agents: list[Person]
    faults: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class House(Protocol):
    """What is looked at of a world: the time that counts, and what goes on in it."""

    begin_ms: int
    end_ms: int
    midnight_ms: int
    faults: dict[str, int]
    engine: Engine
    contacts: dict[int, Contact]
    happened: int

    def plan(self, at_ms: int, what: Callable[[Any, int], None], whom: Any) -> None: ...


class _Person:
    """How long somebody was there, and busy."""

    __slots__ = ("busy", "busy_", "group", "handled", "present", "there")

    def __init__(self, group: int, at_ms: int) -> None:
        self.group = group
        self.busy_ = self.present = False
        self.handled = 0
        self.busy, self.there = Level(at_ms), Level(at_ms)


class Reporter(Watch):
    """Watches an office, and says in the end what it came to."""

    def __init__(self, scenario: Scenario, step: Step | None = None) -> None:
        self.scenario, self.step = scenario, step
        self.grid: dict[tuple[str, int, int], Tally] = {}
        self.interval_ms = int(scenario.interval)
        self.group_names = ["agents", *(group.name for group in scenario.staff)]
        group_of = {name: i for i, group in enumerate(scenario.staff, 1) for name in names_of(group)}
        self.people = {name: _Person(group_of.get(name, 0), 0) for name in [*scenario.config.agents, *group_of]}
        self.contacts = 0

    def attach(self, office: House) -> None:
        self.office = office
        self.from_ms = office.begin_ms + self.scenario.warm_up
        self.busy_ = [Level(office.begin_ms) for _ in self.group_names]
        self.staffed = [Level(office.begin_ms) for _ in self.group_names]
        for person in self.people.values():
            person.busy.last_ms = person.there.last_ms = office.begin_ms
        count = -(-DAY_MS // self.interval_ms)
        # interval -> group -> milliseconds staffed, busy
        self.time = [[[0, 0] for _ in self.group_names] for _ in range(count)]
        self._base = [(0, 0)] * len(self.group_names)
        first = office.begin_ms - office.begin_ms % self.interval_ms + self.interval_ms
        office.plan(min(first, office.end_ms), self._turn_over, None)

    def _slot(self, at_ms: int) -> int:
        return (at_ms - self.office.midnight_ms) % DAY_MS // self.interval_ms

    def _turn_over(self, _: None, now_ms: int) -> None:
        """An interval ends: its staffed and busy time is known."""
        slot = self.time[self._slot(now_ms - 1)]
        for g, (staffed, busy) in enumerate(zip(self.staffed, self.busy_, strict=True)):
            was = self._base[g]
            self._base[g] = (staffed.until(now_ms), busy.until(now_ms))
            if now_ms > self.from_ms:
                slot[g][0] += self._base[g][0] - was[0]
                slot[g][1] += self._base[g][1] - was[1]
        if self.step is not None:
            self.step(now_ms - self.office.begin_ms, int(self.scenario.length))
        if now_ms < self.office.end_ms:
            self.office.plan(min(now_ms + self.interval_ms, self.office.end_ms), self._turn_over, None)

    # --- contacts --------------------------------------------------------------------------------------------------

    def _tally(self, x: Contact, queue: str) -> Tally:
        key = (queue, x.kind, self._slot(x.born_ms))
        found = self.grid.get(key)
        if found is None:
            found = self.grid[key] = Tally(self._target_ms(x))
        return found

    def _target_ms(self, x: Contact) -> int:
        state = self.office.engine.state
        item = state.interactions.get(x.number)
        return state.target_ms(item) if item is not None else 0

    def _counts(self, x: Contact) -> bool:
        return x.born_ms >= self.from_ms

    def arrived(self, x: Contact, now_ms: int) -> None:
        self.contacts += 1
        if self._counts(x):
            x.tally = tally = self._tally(x, self.office.engine.state.interactions[x.number].queue)
            tally.offered += 1
            if x.offered_ms < 0 and not x.gone:
                tally.waited += 1
            # What its arrival led to was said before it could be counted.
            if x.begun_ms >= 0:
                tally.serve(x.begun_ms - x.born_ms)
            elif x.gone:
                tally.turned_away += 1

    def refused(self, x: Contact, now_ms: int) -> None:
        self.contacts += 1
        if self._counts(x):
            tally = self._tally(x, NOWHERE)
            tally.offered += 1
            tally.blocked += 1

    def begun(self, x: Contact, now_ms: int) -> None:
        self.people[x.agent].handled += 1
        if x.tally is not None:
            x.tally.serve(now_ms - x.born_ms)

    def abandoned(self, x: Contact, now_ms: int) -> None:
        if x.tally is not None:
            x.tally.abandon(now_ms - x.born_ms)

    def turned_away(self, x: Contact, now_ms: int) -> None:
        if x.tally is not None:
            x.tally.turned_away += 1

    # --- people ----------------------------------------------------------------------------------------------------

    def busy(self, agent: str, now_ms: int) -> None:
        self._person(agent, now_ms, busy=True)

    def free(self, agent: str, now_ms: int) -> None:
        self._person(agent, now_ms, busy=False)

    def there(self, agent: str, present: bool, now_ms: int) -> None:
        self._person(agent, now_ms, present=present)

    def _person(self, agent: str, now_ms: int, busy: bool | None = None, present: bool | None = None) -> None:
        """Somebody is staffed while they are ready or still have work."""
        person = self.people[agent]
        was = person.busy_ or person.present
        if busy is not None and busy is not person.busy_:
            person.busy_ = busy
            person.busy.change(1 if busy else -1, now_ms)
            self.busy_[person.group].change(1 if busy else -1, now_ms)
        if present is not None:
            person.present = present
        now = person.busy_ or person.present
        if now is not was:
            person.there.change(1 if now else -1, now_ms)
            self.staffed[person.group].change(1 if now else -1, now_ms)

    # --- in the end ------------------------------------------------------------------------------------------------

    def report(self, seed: int) -> Report:
        office, end = self.office, self.office.end_ms
        for x in office.contacts.values():
            if x.begun_ms < 0 and x.tally is not None:
                x.tally.leave_over(end - x.born_ms)
        streams = [x.name for x in self.scenario.arrivals]
        channels = [x.channel for x in self.scenario.arrivals]
        queues = sorted({queue for queue, _, _ in self.grid})
        return Report(
            scenario=self.scenario.name,
            seed=seed,
            simulated_s=self.scenario.length / 1_000,
            contacts=self.contacts,
            events=office.happened,
            all=self._sum(lambda q, k, t: True).metrics(),
            queues={name: self._sum(lambda q, k, t, name=name: q == name).metrics() for name in queues},
            channels={n: self._sum(lambda q, k, t, n=n: channels[k] == n).metrics() for n in dict.fromkeys(channels)},
            streams={n: self._sum(lambda q, k, t, i=i: k == i).metrics() for i, n in enumerate(streams)},
            intervals=self._intervals(lambda q: True),
            by_queue={name: self._intervals(lambda q, name=name: q == name) for name in queues},
            groups=self._groups(end),
            agents=[self._line(name, person, end) for name, person in self.people.items()],
            faults=office.faults,
            notes=notes(self.scenario),
        )

    def _sum(self, wanted: Callable[..., bool]) -> Tally:
        whole = Tally(0)
        for key in sorted(self.grid):
            if wanted(*key):
                whole.merge(self.grid[key])
        return whole

    def _intervals(self, wanted: Callable[..., bool]) -> list[Interval]:
        found = []
        per_slot: dict[int, Tally] = {}
        for (queue, _, slot), tally in sorted(self.grid.items(), key=lambda entry: entry[0]):
            if wanted(queue):
                per_slot.setdefault(slot, Tally(0)).merge(tally)
        days = max(1, round((self.scenario.length - self.scenario.warm_up) / DAY_MS))
        for slot, groups in enumerate(self.time):
            staffed, busy = sum(g[0] for g in groups), sum(g[1] for g in groups)
            if slot in per_slot or staffed:
                found.append(self._interval(slot, per_slot.get(slot, Tally(0)), staffed, busy, days))
        return found

    def _interval(self, slot: int, tally: Tally, staffed: int, busy: int, days: int) -> Interval:
        m = tally.metrics()
        minutes = slot * self.interval_ms // 60_000
        return Interval(
            at=f"{minutes // 60:02}:{minutes % 60:02}",
            offered=int(m["offered"]),
            served=int(m["served"]),
            abandoned=int(m["abandoned"]),
            turned_away=int(m["turned_away"]),
            blocked=int(m["blocked"]),
            left=int(m["left"]),
            sl_x=m["sl_x"],
            mean_wait=m["mean_wait"],
            p90=m["p90"],
            staffed=staffed / self.interval_ms / days,
            occupancy=busy / staffed if staffed else 0.0,
        )

    def _groups(self, end: int) -> dict[str, Metrics]:
        found = {}
        for g, name in enumerate(self.group_names):
            people = [p for p in self.people.values() if p.group == g]
            if people:
                busy, there = self.busy_[g].until(end), self.staffed[g].until(end)
                shares = [p.busy.until(end) / p.there.until(end) for p in people if p.there.until(end)]
                found[name] = {
                    "agents": len(people),
                    "handled": sum(p.handled for p in people),
                    "staffed_h": there / 3_600_000,
                    "occupancy": busy / there if there else 0.0,
                    "fairness": jain(shares),
                    "least_busy": min(shares, default=0.0),
                    "busiest": max(shares, default=0.0),
                }
        return found

    def _line(self, name: str, person: _Person, end: int) -> Person:
        there, busy = person.there.until(end), person.busy.until(end)
        return Person(
            name, self.group_names[person.group], person.handled, there / 1_000, busy / there if there else 0.0
        )


def jain(shares: Iterable[float]) -> float:
    """Jain's index of fairness: 1 where all are equal."""
    values = list(shares)
    squares = sum(x * x for x in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0


def run(scenario: Scenario, seed: int | None = None, step: Step | None = None) -> Report:
    """One run. The same seed gives the same report, byte for byte."""
    seed = scenario.seed if seed is None else seed
    reporter = Reporter(scenario, step)
    office = Office(scenario, reporter, seed)
    reporter.attach(office)
    office.run(office.end_ms)
    return reporter.report(seed)
