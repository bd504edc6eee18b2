"""Statements that hold of every engine that routes as it says, each tried on a run.

Each claim is a function of (seed, contacts, step) to metrics; `holds` is 1 where it held, `violations` counts where it
did not. Claims about sequences compare decisions one by one: the same contact, the same agent, the same millisecond.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from router.engine.commands import AnyCommand
from router.engine.config import Config, from_bytes, to_bytes
from router.engine.transitions import OFFERED, QUEUED
from router.simulate import stationary
from router.simulate.model import Class, Group, Model, Policy, Skill, agent_name, agents_of, configuration, queue_name
from router.simulate.stationary import contacts, handling, kinds, world_of
from router.simulate.traces import Recorder
from router.simulate.world import BEGIN_MS, Contact, Kind, Watch, World

Step = Callable[[int, int], None]
Claim = Callable[[int, int, Step | None], dict[str, float]]
Decision = tuple[str, int, str, int]  # outcome, time, group, agent

LONGEST_IDLE = "longest_idle"
RULES = ("fcfs", "priority", "apq", "edf", "queue_ratio")
# Sequences are compared contact by contact; more of them show no more.
SEQUENCE_MAX = 50_000


def three_classes(agents: int = 20, patience: float | None = None) -> Model:
    """Three classes that differ in everything but their handle time, at 90 % load, for one group."""
    rate = agents * 0.9 / 180
    classes = (
        Class("a", rate * 0.2, 20, patience, apq=9, offset=20, priority=0),
        Class("b", rate * 0.3, 60, patience, apq=3, offset=60, priority=1),
        Class("c", rate * 0.5, 180, patience, apq=1, offset=180, priority=2),
    )
    return Model(classes, (Group("g", agents, {x.name: Skill(180) for x in classes}),), "fcfs", LONGEST_IDLE)


def two_skills(patience: float | None = 240) -> Model:
    """The N design: specialists for one class, generalists for both."""
    classes = (Class("a", 0.03, 20, patience), Class("b", 0.026, 20, patience))
    groups = (Group("spec", 5, {"a": Skill(180)}), Group("gen", 5, {"a": Skill(180), "b": Skill(200)}))
    return Model(classes, groups, "fcfs", LONGEST_IDLE)


# --- of averages ------------------------------------------------------------------------------------------------------


def pooling(skills: int, load: float) -> Model:
    """Six types, 90 agents, 120 lines: a primary skill each, and further ones spread evenly (Wallace and Whitt)."""
    types = [f"t{i}" for i in range(6)]
    classes = tuple(Class(name, load / 600 / 6, 30) for name in types)
    groups: list[Group] = []
    for i in range(6):
        for r in range(5):
            others = [(i + (1 + r) * (j + 1)) % 6 for j in range(skills - 1)] if skills < 6 else range(6)
            able = {types[i]: Skill(600)} | {types[k]: Skill(600, 1) for k in others if k != i}
            groups.append(Group(f"g{i}-{r}", 3, able))
    return Model(classes, tuple(groups), "fcfs", LONGEST_IDLE, 120)


def pooling_gain(seed: int, count: int, step: Step | None) -> dict[str, float]:
    one, two, six = (
        stationary.run(pooling(n, 84), count, count // 10, seed, step=step)["all.mean_wait"] for n in (1, 2, 6)
    )
    gain = (one - two) / (one - six)
    return {"gain": gain, "holds": float(gain >= 0.93)}


def conservation(seed: int, count: int, step: Step | None) -> dict[str, float]:
    model = three_classes()
    found = {
        rule: stationary.run(model, count, count // 10, seed, Policy(rule, LONGEST_IDLE), step)["all.mean_wait"]
        for rule in RULES
    }
    spread = (max(found.values()) - min(found.values())) / found["fcfs"]
    return {**found, "spread": spread, "holds": float(spread <= 0.02 * _wider(count))}


def _wider(count: int) -> float:
    """Tolerances are stated for 200,000 contacts."""
    return math.sqrt(200_000 / count)


def longest_idle_random(seed: int, count: int, step: Step | None) -> dict[str, float]:
    groups = (Group("quick", 6, {"c": Skill(120)}), Group("slow", 6, {"c": Skill(240)}))
    model = Model((Class("c", 0.06),), groups)
    limits = {"c.p_wait": 0.035, "c.mean_wait": 6.0, "quick.occupancy": 0.013, "slow.occupancy": 0.01}
    a, b = (
        stationary.run(model, count, count // 10, seed, Policy("fcfs", rule), step) for rule in (LONGEST_IDLE, "random")
    )
    apart = {name: abs(a[name] - b[name]) for name in limits}
    return {**apart, "holds": float(all(apart[name] <= limit * _wider(count) for name, limit in limits.items()))}


# --- of sequences -----------------------------------------------------------------------------------------------------


def decisions(model: Model, arriving: Sequence[Contact], policy: Policy | None = None) -> dict[int, Decision]:
    """What became of each contact."""
    recorder = Recorder(model)
    return _ran(world_of(model, configuration(model, policy), recorder), recorder, arriving)


def _ran(world: World, recorder: Recorder, arriving: Sequence[Contact]) -> dict[int, Decision]:
    world.expect(replace(x) for x in arriving)
    world.run()
    return recorder.found


def _some(model: Model, seed: int, count: int) -> list[Contact]:
    return list(contacts(model, seed, min(count, SEQUENCE_MAX)))


def _differ(a: dict[int, Decision], b: dict[int, Decision]) -> dict[str, float]:
    wrong = sum(1 for index in a.keys() | b.keys() if a.get(index) != b.get(index))
    return _violations(wrong)


def _violations(wrong: int) -> dict[str, float]:
    return {"violations": wrong, "holds": float(not wrong)}


def time_scaling(seed: int, count: int, step: Step | None) -> dict[str, float]:
    """With every time three times as long every wait is exactly three times as long, and every decision is the same."""
    model, c = replace(three_classes(patience=300), select_contact="apq"), 3
    arriving = _some(model, seed, count)
    slow = replace(
        model,
        classes=tuple(replace(x, rate=x.rate / c, target=x.target * c, patience=300.0 * c) for x in model.classes),
        groups=(replace(model.groups[0], skills={x.name: Skill(180 * c) for x in model.classes}),),
    )
    recorder = Recorder(slow)
    world = world_of(slow, configuration(slow), recorder)
    once = handling(model)
    world.handle_ms = lambda x, agent: c * once(x, agent)
    later = [replace(x, born_ms=_times(x.born_ms, c), patience_ms=x.patience_ms * c) for x in arriving]
    expected = {
        index: (outcome, at * c, group, agent)
        for index, (outcome, at, group, agent) in decisions(model, arriving).items()
    }
    return _differ(expected, _ran(world, recorder, later))


def _times(at_ms: int, c: int) -> int:
    return BEGIN_MS + c * (at_ms - BEGIN_MS)


def class_split(seed: int, count: int, step: Step | None) -> dict[str, float]:
    model = two_skills()
    arriving = _some(model, seed, count)
    twin = replace(model.classes[0], name="a2")
    groups = tuple(replace(g, skills={**g.skills, "a2": g.skills["a"]}) for g in model.groups)
    split = replace(model, classes=(*model.classes, twin), groups=groups)
    moved = [replace(x, kind=2) if x.kind == 0 and x.index % 3 == 0 else x for x in arriving]
    return _differ(decisions(model, arriving), decisions(split, moved))


def relabel(seed: int, count: int, step: Step | None) -> dict[str, float]:
    """Queues, skills and agents get other names, whose alphabetical order is the reverse of before."""
    model = two_skills()
    arriving = _some(model, seed, count)
    new = {queue_name(i): f"z{9 - i}.other" for i in range(len(model.classes))}
    people = {agent: f"y{999 - i}.other" for i, agent in enumerate(agents_of(model))}
    recorder, once = Recorder(model), handling(model)
    recorder.agents = {people[agent]: i for agent, i in recorder.agents.items()}
    old = {other: agent for agent, other in people.items()}
    watch = _Renamed(recorder, old)
    lines = [Kind(k.name, k.channel, new[k.recipient]) for k in kinds(model)]
    world = World(_renamed(configuration(model), new | people), lines, lambda x, a: once(x, old[a]), watch)
    for agent in people.values():
        world.sign_in(agent, BEGIN_MS)
    world.expect(replace(x) for x in arriving)
    world.run()
    return _differ(decisions(model, arriving), recorder.found)


def _renamed(config: Config, names: dict[str, str]) -> Config:
    text = re.sub(r'"([a-z0-9-]+)"', lambda found: f'"{names.get(found[1], found[1])}"', to_bytes(config).decode())
    return from_bytes(text.encode())


class _Renamed(Watch):
    """A recorder that knows agents by their former names."""

    def __init__(self, recorder: Recorder, old: dict[str, str]) -> None:
        self.recorder, self.old = recorder, old

    def begun(self, x: Contact, now_ms: int) -> None:
        group = self.recorder.groups[int(self.old[x.agent][1 : self.old[x.agent].index("-")])]
        self.recorder.found[x.index] = ("served", now_ms - BEGIN_MS, group, self.recorder.agents[x.agent])

    def abandoned(self, x: Contact, now_ms: int) -> None:
        self.recorder.abandoned(x, now_ms)


def useless_agent(seed: int, count: int, step: Step | None) -> dict[str, float]:
    model = two_skills()
    arriving = _some(model, seed, count)
    more = replace(model, groups=(*model.groups, Group("idle", 3, {})))
    return _differ(decisions(model, arriving), decisions(more, arriving))


def fifo_in_class(seed: int, count: int, step: Step | None) -> dict[str, float]:
    """Everybody who may take a contact of a class may take any of it, so starts are in the order of arrival."""
    model = replace(three_classes(patience=300), select_contact="apq")
    arriving = _some(model, seed, count)
    latest = [0] * len(model.classes)
    wrong = 0
    found = decisions(model, arriving)
    for x in arriving:
        outcome, at, _, _ = found[x.index]
        if outcome == "served":
            wrong += at < latest[x.kind]
            latest[x.kind] = max(latest[x.kind], at)
    return _violations(wrong)


def bounded_overtaking(seed: int, count: int, step: Step | None) -> dict[str, float]:
    """By deadlines: only who came less than the difference of the head starts later may go first."""
    model = replace(three_classes(), select_contact="edf")
    arriving = _some(model, seed, count)
    found = decisions(model, arriving)
    deadline = [round(x.offset * 1_000) for x in model.classes]
    wrong = 0
    for i, x in enumerate(arriving):
        start = found[x.index][1]
        for y in arriving[i + 1 :]:
            if y.born_ms - BEGIN_MS >= start:
                break
            overtaken = found[y.index][1] < start
            wrong += overtaken and y.born_ms - x.born_ms >= deadline[x.kind] - deadline[y.kind]
    return _violations(wrong)


# --- of every instant -------------------------------------------------------------------------------------------------


class _Inspected(World):
    """Counts for itself, and compares after every command."""

    wrong = 0
    inspect: Callable[[], bool] | None = None

    def tell(self, command: AnyCommand, now_ms: int) -> None:
        super().tell(command, now_ms)
        if self.inspect is not None and not self.inspect():
            self.wrong += 1

    def _arrive(self, whom: tuple[Contact, Iterator[Contact]], now_ms: int) -> None:
        assert isinstance(self.watch, _Census)
        self.watch.came[whom[0].kind] += 1
        super()._arrive(whom, now_ms)


class _Census(Watch):
    """Who waits, who is idle, and what became of everybody."""

    def __init__(self, model: Model) -> None:
        n = len(model.classes)
        self.came, self.blocked, self.begun_, self.left = [0] * n, [0] * n, [0] * n, [0] * n
        self.idle = dict.fromkeys(agents_of(model), True)

    def begun(self, x: Contact, now_ms: int) -> None:
        self.begun_[x.kind] += 1

    def abandoned(self, x: Contact, now_ms: int) -> None:
        self.left[x.kind] += 1

    def refused(self, x: Contact, now_ms: int) -> None:
        self.blocked[x.kind] += 1

    def busy(self, agent: str, now_ms: int) -> None:
        self.idle[agent] = False

    def free(self, agent: str, now_ms: int) -> None:
        self.idle[agent] = True


def _watched(model: Model, seed: int, count: int) -> tuple[_Inspected, _Census]:
    census = _Census(model)
    world = _Inspected(configuration(model), kinds(model), handling(model), census, model.capacity or 0)
    for agent in agents_of(model):
        world.sign_in(agent, BEGIN_MS)
    world.expect(_some(model, seed, count))
    return world, census


def nonidling(seed: int, count: int, step: Step | None) -> dict[str, float]:
    model = two_skills()
    world, census = _watched(model, seed, count)
    able = {
        agent_name(g, i): [k for k, x in enumerate(model.classes) if x.name in group.skills]
        for g, group in enumerate(model.groups)
        for i in range(group.agents)
    }
    queues = world.engine.state.queues

    def inspect() -> bool:
        waiting = {k for k in range(len(model.classes)) if queues[queue_name(k)].counts[QUEUED]}
        return not waiting or not any(
            idle and not waiting.isdisjoint(able[agent]) for agent, idle in census.idle.items()
        )

    world.inspect = inspect
    world.run()
    return _violations(world.wrong)


def accounting(seed: int, count: int, step: Step | None) -> dict[str, float]:
    model = replace(two_skills(), capacity=16)
    world, census = _watched(model, seed, count)
    queues = world.engine.state.queues

    def inspect() -> bool:
        for k in range(len(model.classes)):
            counts = queues[queue_name(k)].counts
            waiting = counts[QUEUED] + counts[OFFERED]
            if census.came[k] != census.blocked[k] + census.begun_[k] + census.left[k] + waiting:
                return False
        return True

    world.inspect = inspect
    world.run()
    return _violations(world.wrong)


CLAIMS: dict[str, Claim] = {
    "inv_pooling_gain": pooling_gain,
    "inv_conservation": conservation,
    "inv_longest_idle_random": longest_idle_random,
    "inv_time_scaling": time_scaling,
    "inv_class_split": class_split,
    "inv_relabel": relabel,
    "inv_useless_agent": useless_agent,
    "inv_fifo_in_class": fifo_in_class,
    "inv_nonidling": nonidling,
    "inv_bounded_overtaking": bounded_overtaking,
    "inv_accounting": accounting,
}
