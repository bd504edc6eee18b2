"""The smallest roster that meets the goals: Erlang's formula for a start, then the simulator.

The formula knows one queue, one kind of agent and no breaks, so it only says where to begin. From there people are
added to the narrowest group that serves the worst queue, until every goal is met in the mean of some replications, and
then taken away one by one wherever the goals bear it. The same seeds throughout, so that one person more never looks
worse by bad luck.

Who hears the busy tone (`lines`) came to no queue, and was not served in time all the same: they are counted where the
routing plan would have put them. Or the fewest people would look best, since they let nobody in who could wait.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from router.engine.matching import Profile
from router.engine.plan import Plan as Routing
from router.engine.requirements import fits
from router.errors import ConfigError
from router.simulate.compare import replicate
from router.simulate.report import Metrics, Report
from router.simulate.scenario import Arrivals, Scenario, Staff, asks, complete

Say = Callable[[str], None]
Counts = tuple[int, ...]  # of each group of staff

REPLICATIONS = 5
MOST_TRIALS = 400
# More people are in vain where twice as many, and a few more, do not bring a queue nearer to its goal by as much.
HELPS, IN_VAIN = 0.001, 3


class Roster(Struct, frozen=True):
    """A roster that was tried, and how it did."""

    staff: dict[str, int]
    agents: int
    met: bool
    worst: str  # the queue that is furthest from its goal
    levels: dict[str, float]  # sl_x by queue, mean over the replications
    abandoned: dict[str, float]
    turned_away: dict[str, float]
    busy_tone: dict[str, float] = {}
    short: float = 0.0  # of its goal, the worst queue


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
        roster = useful = self.try_(counts)
        while not roster.met:
            counts = self.add(counts, roster.worst)
            roster = self.try_(counts)
            if roster.worst != useful.worst or roster.short < useful.short - HELPS:
                useful = roster
            elif roster.agents >= 2 * useful.agents + IN_VAIN:
                raise ConfigError(f"goal.queues.{roster.worst}", "a goal that people alone can meet", _in_vain(useful))
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
    busy = [busy_tones(scenario, report) for report in reports]
    came = {name for report in reports for name in report.queues} | {name for each in busy for name in each}
    queues = sorted(came & scenario.config.queues.keys())
    known = {
        name: [(r.queues.get(name), b.get(name, 0.0)) for r, b in zip(reports, busy, strict=True)] for name in queues
    }
    levels = {name: _mean([_level(m, n) for m, n in found if m or n]) for name, found in known.items()}
    tones = {
        name: _mean([n / (n + (m["offered"] if m else 0)) for m, n in found if m or n]) for name, found in known.items()
    }
    lost = {name: _mean([m["p_abandon"] for m, _ in found if m]) for name, found in known.items()}
    away = {name: _mean([m["p_turned_away"] for m, _ in found if m]) for name, found in known.items()}
    short = {name: max(goal_of(scenario, name) - levels[name], lost[name] - scenario.goal.abandon) for name in queues}
    worst = max(short, key=lambda name: short[name])
    names = [group.name for group in scenario.staff]
    staff = dict(zip(names, counts, strict=True))
    return Roster(staff, sum(counts), short[worst] <= 0, worst, levels, lost, away, tones, short[worst])


def _in_vain(roster: Roster) -> str:
    queue = roster.worst
    told = f"{roster.levels[queue]:.1%} with {roster.agents} people, and no more with twice as many"
    lost = (("hear the busy tone", roster.busy_tone), ("are turned away", roster.turned_away))
    return "; ".join([told, *(f"{shares[queue]:.1%} {what}" for what, shares in lost if shares[queue])])


def busy_tones(scenario: Scenario, report: Report) -> dict[str, float]:
    """How many found no line, by the queue to which they would have come."""
    found: dict[str, float] = {}
    if scenario.lines:
        routing = Routing(complete(scenario))
        for x in scenario.arrivals:
            queue, n = routing.route(asks(x)).queue, report.streams[x.name]["blocked"]
            if n:
                found[queue] = found.get(queue, 0.0) + n
    return found


def _level(metrics: Metrics | None, busy: float) -> float:
    """The service level with those below the line who were not let in."""
    good = metrics["sl"] * metrics["offered"] if metrics is not None else 0.0
    return good / (good / metrics["sl_x"] + busy) if metrics is not None and good else 0.0


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def served_by(scenario: Scenario, group: Staff) -> list[str]:
    """The queues whose requirement the group meets."""
    profile = Profile(group.skills, group.languages, group.attributes, group.team, "")
    return [name for name, queue in scenario.config.queues.items() if fits(queue.requirement, profile)]


def erlang_start(scenario: Scenario) -> Counts:
    """What the formula asks of each group in the busiest hour.

    A stream is shared among the groups that can take it; what an agent does several of at once counts as a part.
    """
    rates, loads = [0.0] * len(scenario.staff), [0.0] * len(scenario.staff)
    targets = [math.inf] * len(scenario.staff)
    for x in scenario.arrivals:
        channel = scenario.config.channels[x.channel]
        together = 1 if channel.exclusive else max(1, channel.cap)
        rate = max(x.per_hour if isinstance(x.per_hour, tuple) else (x.per_hour,)) / 3_600
        able = [i for i, group in enumerate(scenario.staff) if _able(scenario, group, x)]
        for i in able:
            rates[i] += rate / len(able)
            loads[i] += rate / len(able) * x.handle / 1_000 / together
            targets[i] = min(targets[i], _target(scenario, x) / 1_000)
    level = scenario.goal.sl_x
    return tuple(
        agents_for(rate, load / rate, target, level) if rate else 1
        for rate, load, target in zip(rates, loads, targets, strict=True)
    )


def _queues_of(scenario: Scenario, x: Arrivals) -> list[str]:
    """The queues that the stream's contacts may come to, by the rules' plain conditions."""
    found = []
    for rule in scenario.config.rules:
        if (not rule.channel or x.channel in rule.channel) and (not rule.to or x.to in rule.to):
            found.append(rule.queue)
            if not rule.when:
                return found
    return [*found, *([scenario.config.default_queue] if scenario.config.default_queue else [])]


def _able(scenario: Scenario, group: Staff, x: Arrivals) -> bool:
    return not set(served_by(scenario, group)).isdisjoint(_queues_of(scenario, x))


def _target(scenario: Scenario, x: Arrivals) -> int:
    queues = [scenario.config.queues[name] for name in _queues_of(scenario, x)]
    found = [queue.targets.get(x.channel) or queue.target for queue in queues]
    return int(min((t for t in found if t), default=scenario.config.channels[x.channel].target))
