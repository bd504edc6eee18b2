"""Finite days: periods with arrival rates, handle times, patience and staff of their own, from an empty house on.

When fewer are wanted than are there, the idle ones go first and then whoever finishes first. After the last period
nobody comes any more; those who wait are served out by the last staff. A factor for the busyness of the whole day,
where the model has one, is drawn by strata, so that the days of a run stand for all days.

    good         served within the target, mean of the days;     sl_x        good / (served + abandoned late)
    served,      mean of the days                                 occupancy   busy / staffed time until closing
    abandoned                                                     asa_min     mean wait of those served
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge

from msgspec import Struct

from router.engine.config import Config
from router.errors import ConfigError
from router.simulate.chance import gamma_quantile, shape, strata, stream
from router.simulate.figures import Level, Tally
from router.simulate.model import Class, Group, Model, Policy, Skill, agent_name, configuration, group_of
from router.simulate.stationary import Step, kinds
from router.simulate.world import BEGIN_MS, NEVER, Contact, Watch, World

Table = tuple[float | tuple[float, ...], ...]


class Day(Struct, frozen=True):
    """A day as the literature writes it. Rows of `arrival_per_min` are types, rows of `agents` groups; columns are
    periods. `mean_min` and `patience_min` are one value per period, or rows of types."""

    periods_min: float | tuple[float, ...]
    arrival_per_min: tuple[tuple[float, ...], ...]
    mean_min: Table
    agents: tuple[tuple[int, ...], ...]
    types_to_groups: tuple[tuple[int, ...], ...]  # of each type, the groups in the order in which it tries them
    groups_to_types: tuple[tuple[int, ...], ...]  # of each group, the types in the order in which it looks
    patience_min: Table | None = None
    busyness_gamma: float | None = None
    contact_rule: str = "longest waiting"
    target_s: float = 20.0
    service: str = "exp"


def policy_of(day: Day) -> Policy:
    """The rule by which a free agent chooses; a contact tries the groups in its own order."""
    words = day.contact_rule.lower()
    if "longest" in words or "oldest" in words or "fcfs" in words or "first come" in words:
        return Policy("fcfs", "rank")
    if "last" in words or "first" in words or "order" in words or "priority" in words:
        return Policy("rank", "rank")
    raise ConfigError("model.contact_rule", "longest waiting, first in the list or last in the list", day.contact_rule)


def model_of(day: Day) -> Model:
    """As many agents of each group as any period wants.

    A type's rank in a group is the group's place in its list; where agents choose by their own list, the type's there.
    """
    by_list = policy_of(day).contact == "rank"
    backwards = "last" in day.contact_rule.lower()
    classes = tuple(Class(f"type{k}", target=day.target_s) for k in range(len(day.arrival_per_min)))
    groups = []
    for g, counts in enumerate(day.agents):
        skills = {}
        for k, tried in enumerate(day.types_to_groups):
            if g in tried:
                looks = day.groups_to_types[g]
                own = looks.index(k) if not backwards else len(looks) - 1 - looks.index(k)
                skills[f"type{k}"] = Skill(1.0, own if by_list else tried.index(g))
        groups.append(Group(f"group{g}", max(counts), skills))
    return Model(classes, tuple(groups), service=day.service)


def ends_ms(day: Day) -> list[int]:
    """When each period ends, from the opening."""
    count = len(day.arrival_per_min[0])
    lengths = [day.periods_min] * count if isinstance(day.periods_min, float | int) else list(day.periods_min)
    if len(lengths) != count:
        raise ConfigError("model.periods_min", f"one length or {count}", str(len(lengths)))
    found, at = [], 0.0
    for minutes in lengths:
        at += minutes * 60_000
        found.append(round(at))
    return found


def _of(table: Table, kind: int, period: int) -> float:
    row = table[kind] if isinstance(table[0], tuple) else table[period]
    return row[period] if isinstance(row, tuple) else row


class Watcher(Watch):
    """The figures of all days, and who goes when fewer are wanted."""

    def __init__(self, day: Day) -> None:
        self.day = day
        self.ends = ends_ms(day)
        periods = range(len(self.ends))
        self.tallies = [[Tally(round(day.target_s * 1_000)) for _ in periods] for _ in day.arrival_per_min]
        self.busy_ms = [0] * len(day.agents)
        self.staffed_ms = [0] * len(day.agents)
        self.world: World | None = None

    def open(self, world: World) -> None:
        self.world = world
        self.working = [Level(BEGIN_MS) for _ in self.day.agents]
        self.staffed = [Level(BEGIN_MS) for _ in self.day.agents]
        self.wanted = [0] * len(self.day.agents)
        for p, begin in enumerate([0, *self.ends[:-1]]):
            world.plan(BEGIN_MS + begin, self.change, p)
        world.plan(BEGIN_MS + self.ends[-1], self.close, None)

    def change(self, period: int, now_ms: int) -> None:
        """Another period begins: people come, or some of the idle go."""
        assert self.world is not None
        for g, counts in enumerate(self.day.agents):
            self.wanted[g] = counts[period]
            for i in range(max(counts)):
                agent = agent_name(g, i)
                if self.staffed[g].value < self.wanted[g] and agent not in self.world.present:
                    self.world.sign_in(agent, now_ms)
                elif (
                    self.staffed[g].value > self.wanted[g]
                    and agent in self.world.present
                    and not self.world.load[agent]
                ):
                    self.world.sign_off(agent, now_ms)

    def close(self, _: None, now_ms: int) -> None:
        for g in range(len(self.day.agents)):
            self.busy_ms[g] += self.working[g].until(now_ms)
            self.staffed_ms[g] += self.staffed[g].until(now_ms)

    def finishing(self, agent: str, now_ms: int) -> None:
        """Somebody is about to finish, and there are too many."""
        assert self.world is not None
        g = group_of(agent)
        if self.staffed[g].value > self.wanted[g]:
            self.world.sign_off(agent, now_ms)

    def there(self, agent: str, present: bool, now_ms: int) -> None:
        self.staffed[group_of(agent)].change(1 if present else -1, now_ms)

    def busy(self, agent: str, now_ms: int) -> None:
        self.working[group_of(agent)].change(1, now_ms)

    def free(self, agent: str, now_ms: int) -> None:
        self.working[group_of(agent)].change(-1, now_ms)

    def _tally(self, x: Contact) -> Tally:
        since = x.born_ms - BEGIN_MS
        period = next((p for p, end in enumerate(self.ends) if since < end), len(self.ends) - 1)
        return self.tallies[x.kind][period]

    def arrived(self, x: Contact, now_ms: int) -> None:
        self._tally(x).offered += 1

    def begun(self, x: Contact, now_ms: int) -> None:
        self._tally(x).serve(now_ms - x.born_ms)

    def abandoned(self, x: Contact, now_ms: int) -> None:
        self._tally(x).abandon(now_ms - x.born_ms)

    def metrics(self, days: int) -> dict[str, float]:
        whole = Tally(0)
        found: dict[str, float] = {}
        for k, periods in enumerate(self.tallies):
            for p, tally in enumerate(periods):
                whole.merge(tally)
                for name, value in (("good", tally.good), ("served", tally.served.n), ("abandoned", tally.abandoned.n)):
                    found[f"{name}_type{k}_period{p}"] = value / days
        for g, (busy, staffed) in enumerate(zip(self.busy_ms, self.staffed_ms, strict=True)):
            found[f"occupancy_group{g}"] = busy / staffed
        totals = {
            "good": whole.good,
            "served": whole.served.n,
            "abandoned": whole.abandoned.n,
            "offered": whole.offered,
        }
        found |= {name: value / days for name, value in totals.items()}
        metrics = whole.metrics()
        found["service_level"] = metrics["sl"]
        found["sl_x"] = metrics["sl_x"]
        found["asa_min"] = metrics["asa"] / 60
        found["mean_wait_min"] = metrics["mean_wait"] / 60
        found["occupancy"] = sum(self.busy_ms) / sum(self.staffed_ms)
        return found


class DayWorld(World):
    """A world in which whoever finishes asks first whether they may go."""

    def __init__(self, config: Config, model: Model, day: Day, watcher: Watcher) -> None:
        ends = ends_ms(day)

        def handle_ms(x: Contact, agent: str) -> int:
            since = x.born_ms - BEGIN_MS
            period = next((p for p, end in enumerate(ends) if since < end), len(ends) - 1)
            return round(x.work * _of(day.mean_min, x.kind, period) * 60_000)

        super().__init__(config, kinds(model), handle_ms, watcher)
        self.watcher = watcher

    def _complete(self, whom: tuple[Contact, int], now_ms: int) -> None:
        self.watcher.finishing(whom[0].agent, now_ms)
        super()._complete(whom, now_ms)


def contacts(day: Day, seed: int, number: int, factor: float) -> Iterator[Contact]:
    """One day's arrivals."""
    lines = [_line(day, k, f"{seed}/{number}", factor) for k in range(len(day.arrival_per_min))]
    for index, (at, kind, work, patience) in enumerate(merge(*lines, key=lambda entry: entry[0])):
        yield Contact(index, BEGIN_MS + int(at), kind, work, patience)


def _line(day: Day, k: int, seed: str, factor: float) -> Iterator[tuple[float, int, float, int]]:
    comes, works, stays = (stream(0, f"{seed}/{what} {k}") for what in ("arrivals", "work", "patience"))
    work = shape(day.service, works, "model.service")
    begin = 0
    for p, end in enumerate(ends_ms(day)):
        rate = day.arrival_per_min[k][p] * factor / 60_000
        at = float(begin)
        while rate > 0 and (at := at + comes.expovariate(rate)) < end:
            patience = NEVER
            if day.patience_min is not None:
                patience = round(stays.expovariate(1.0) * _of(day.patience_min, k, p) * 60_000)
            yield at, k, work(), patience
        begin = end


def run(day: Day, days: int, seed: int = 1, step: Step | None = None) -> dict[str, float]:
    model = model_of(day)
    config = configuration(model, policy_of(day))
    watcher = Watcher(day)
    factors = [1.0] * days
    if day.busyness_gamma is not None:
        factors = [gamma_quantile(day.busyness_gamma, u) for u in strata(days, stream(seed, "busyness"))]
    for number, factor in enumerate(factors):
        world = DayWorld(config, model, day, watcher)
        watcher.open(world)
        world.expect(contacts(day, seed, number, factor))
        world.run()
        if step is not None:
            step(number + 1, days)
    return watcher.metrics(days)
