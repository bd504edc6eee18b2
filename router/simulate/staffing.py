"""The smallest roster that meets the goals: Erlang's formula for a start, then the simulator.

The formula knows one queue, one kind of agent and no breaks, so it only says where to begin. From there people are
added to the narrowest group that serves the worst queue, until every goal is met in the mean of some replications, and
then taken away one by one wherever the goals bear it. The same seeds throughout, so that one person more never looks
worse by bad luck.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from router.engine.matching import Profile
from router.engine.requirements import fits
from router.errors import ConfigError
from router.simulate.compare import replicate
from router.simulate.report import Report
from router.simulate.scenario import Scenario, Staff

Say = Callable[[str], None]
Counts = tuple[int, ...]  # of each group of staff

REPLICATIONS = 5
MOST_TRIALS = 400


class Roster(Struct, frozen=True):
    """A roster that was tried, and how it did."""

    staff: dict[str, int]
    agents: int
    met: bool
    worst: str  # the queue that is furthest from its goal
    levels: dict[str, float]  # sl_x by queue, mean over the replications
    abandoned: dict[str, float]


class Plan(Struct, frozen=True):
    """What the search found, and every roster on the way."""

    scenario: str
    found: Roster
    start: dict[str, int]  # by Erlang's formula
    tried: list[Roster]


def erlang_c(agents: int, load: float) -> float:
    """The probability to wait with `agents` and a load in Erlangs; 1 where the load is too much."""
    if agents <= load:
        return 1.0
    blocked = 1.0
    for k in range(1, agents + 1):
        blocked = load * blocked / (k + load * blocked)
    return agents * blocked / (agents - load * (1 - blocked))


def agents_for(rate_per_s: float, mean_s: float, target_s: float, level: float) -> int:
    """The fewest agents by whom `level` of the contacts are served within the target, without abandonment."""
    load = rate_per_s * mean_s
    n = max(1, math.ceil(load))
    while n <= load or 1 - erlang_c(n, load) * math.exp(-(n - load) * target_s / mean_s) < level:
        n += 1
    return n


def search(scenario: Scenario, say: Say | None = None, replications: int = REPLICATIONS) -> Plan:
    """Raises ConfigError where no number of people would do."""
    if not scenario.staff:
        raise ConfigError("staff", "groups whose size can be changed", "none")
    return _Search(scenario, say or (lambda text: None), replications).run()


class _Search:
    def __init__(self, scenario: Scenario, say: Say, replications: int) -> None:
        self.scenario, self.say, self.replications = scenario, say, replications
        self.tried: dict[Counts, Roster] = {}

    def run(self) -> Plan:
        start = counts = erlang_start(self.scenario)
        roster = self.try_(counts)
        while not roster.met:
            counts = self.add(counts, roster.worst)
            roster = self.try_(counts)
        counts = self.trim(counts)
        names = [group.name for group in self.scenario.staff]
        return Plan(
            self.scenario.name, self.tried[counts], dict(zip(names, start, strict=True)), [*self.tried.values()]
        )

    def try_(self, counts: Counts) -> Roster:
        found = self.tried.get(counts)
        if found is None:
            if len(self.tried) >= MOST_TRIALS:
                raise ConfigError(
                    "goal", "goals that people alone can meet", f"none of {MOST_TRIALS} rosters meets them"
                )
            reports = replicate(with_counts(self.scenario, counts), self.replications)
            found = self.tried[counts] = judge(self.scenario, counts, reports)
            verdict = "meets the goals" if found.met else f"{found.worst} falls short"
            self.say(f"{found.agents} people: {verdict}")
        return found

    def add(self, counts: Counts, queue: str) -> Counts:
        """One more, or a tenth more, of the group that serves the queue with the fewest other queues to serve."""
        able = [i for i, group in enumerate(self.scenario.staff) if queue in served_by(self.scenario, group)]
        if not able:
            raise ConfigError(f"goal.queues.{queue}", "a group of staff that can serve it", "none")
        narrowest = min(len(served_by(self.scenario, self.scenario.staff[i])) for i in able)
        able = [i for i in able if len(served_by(self.scenario, self.scenario.staff[i])) == narrowest]
        i = min(able, key=lambda i: counts[i])
        return (*counts[:i], counts[i] + max(1, counts[i] // 10), *counts[i + 1 :])

    def trim(self, counts: Counts) -> Counts:
        """Take people away as long as it goes: in big steps first, then one by one."""
        step = max(1, max(counts) // 8)
        while step:
            before = counts
            for i in sorted(range(len(counts)), key=lambda i: -counts[i]):
                while counts[i] >= step:
                    fewer = (*counts[:i], counts[i] - step, *counts[i + 1 :])
                    if not sum(fewer) or not self.try_(fewer).met:
                        break
                    counts = fewer
            if counts == before:
                step //= 2
        return counts


def with_counts(scenario: Scenario, counts: Counts) -> Scenario:
    staff = tuple(replace(group, count=n) for group, n in zip(scenario.staff, counts, strict=True))
    return replace(scenario, staff=staff)


def goal_of(scenario: Scenario, queue: str) -> float:
    return scenario.goal.queues.get(queue, scenario.goal.sl_x)


def judge(scenario: Scenario, counts: Counts, reports: list[Report]) -> Roster:
    """Every queue with contacts has to keep its goal in the mean of the replications."""
    queues = sorted({name for report in reports for name in report.queues if name in scenario.config.queues})
    levels = {name: _mean([r.queues[name]["sl_x"] for r in reports if name in r.queues]) for name in queues}
    lost = {name: _mean([r.queues[name]["p_abandon"] for r in reports if name in r.queues]) for name in queues}
    short = {name: max(goal_of(scenario, name) - levels[name], lost[name] - scenario.goal.abandon) for name in queues}
    worst = max(short, key=lambda name: short[name])
    names = [group.name for group in scenario.staff]
    return Roster(dict(zip(names, counts, strict=True)), sum(counts), short[worst] <= 0, worst, levels, lost)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def served_by(scenario: Scenario, group: Staff) -> list[str]:
    """The queues whose requirement the group meets."""
    profile = Profile(group.skills, group.languages, group.attributes, group.team, "")
    return [name for name, queue in scenario.config.queues.items() if fits(queue.requirement, profile)]


def erlang_start(scenario: Scenario) -> Counts:
    """For each group its part of what the busiest hour asks for; streams are shared among the groups that can take
    them."""
    channels = {x.channel: scenario.config.channels[x.channel] for x in scenario.arrivals}
    loads = [0.0] * len(scenario.staff)
    for x in scenario.arrivals:
        rates = x.per_hour if isinstance(x.per_hour, tuple) else (x.per_hour,)
        channel = channels[x.channel]
        together = 1 if channel.exclusive else max(1, channel.cap)
        load = max(rates) * x.handle / 3_600_000 / together
        able = [i for i, group in enumerate(scenario.staff) if served_by(scenario, group)]
        for i in able:
            loads[i] += load / len(able)
    return tuple(agents_for(load / 180, 180, 20, scenario.goal.sl_x) if load else 1 for load in loads)
