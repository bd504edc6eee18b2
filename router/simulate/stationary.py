"""Stationary runs of a model: so many contacts after a warm-up, from agents who have just come to work.

Contacts keep coming until everybody who counts has left the queue, so that the last of them are served as the first
were. Occupancy is taken from the end of the warm-up to the last arrival that counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import merge

from router.engine.config import Config
from router.simulate.chance import poisson, shape, stream
from router.simulate.figures import Level, Tally
from router.simulate.model import CHANNEL, Class, Model, Policy, agents_of, configuration, group_of, ms, queue_name
from router.simulate.world import BEGIN_MS, NEVER, Contact, Kind, Watch, World

Step = Callable[[int, int], None]  # is told how many of how many contacts have come


class Tallies(Watch):
    """Counts the contacts numbered from `first` to before `last`."""

    def __init__(self, model: Model, first: int, last: int, step: Step | None = None) -> None:
        self.model, self.first, self.last, self.step = model, first, last, step
        self.classes = [Tally(ms(x.target)) for x in model.classes]
        self.groups = [Level(BEGIN_MS) for _ in model.groups]
        self.from_ms = self.until_ms = 0
        self._base: list[int] = []
        self._area: list[int] = []
        self._left = last - first
        self.world: World | None = None

    def _counts(self, x: Contact, now_ms: int) -> bool:
        """Whether this arrival counts; the first and the last of those bound the time that occupancy is taken from."""
        if x.index == self.first:
            self.from_ms, self._base = now_ms, [level.until(now_ms) for level in self.groups]
        if x.index == self.last - 1:
            self.until_ms, self._area = now_ms, [level.until(now_ms) for level in self.groups]
        if self.step is not None and not x.index % 1_000:
            self.step(min(x.index, self.last), self.last)
        return self.first <= x.index < self.last

    def arrived(self, x: Contact, now_ms: int) -> None:
        if self._counts(x, now_ms):
            tally = self.classes[x.kind]
            tally.offered += 1
            if x.offered_ms < 0:
                tally.waited += 1

    def refused(self, x: Contact, now_ms: int) -> None:
        if self._counts(x, now_ms):
            self.classes[x.kind].offered += 1
            self.classes[x.kind].blocked += 1
            self._one_less()

    def begun(self, x: Contact, now_ms: int) -> None:
        if self.first <= x.index < self.last:
            self.classes[x.kind].serve(now_ms - x.born_ms)
            self._one_less()

    def abandoned(self, x: Contact, now_ms: int) -> None:
        if self.first <= x.index < self.last:
            self.classes[x.kind].abandon(now_ms - x.born_ms)
            self._one_less()

    def _one_less(self) -> None:
        self._left -= 1
        if not self._left and self.world is not None:
            self.world.done = True

    def busy(self, agent: str, now_ms: int) -> None:
        self.groups[group_of(agent)].change(1, now_ms)

    def free(self, agent: str, now_ms: int) -> None:
        self.groups[group_of(agent)].change(-1, now_ms)

    def metrics(self) -> dict[str, float]:
        """ "CLASS.METRIC" and "GROUP.occupancy", with "all" for the sum of the classes."""
        found: dict[str, float] = {}
        whole = Tally(0)
        for x, tally in zip(self.model.classes, self.classes, strict=True):
            found |= {f"{x.name}.{name}": value for name, value in tally.metrics().items()}
            whole.merge(tally)
        found |= {f"all.{name}": value for name, value in whole.metrics().items()}
        found["min_sl_x"] = min(found[f"{x.name}.sl_x"] for x in self.model.classes)
        time = self.until_ms - self.from_ms
        for group, base, area in zip(self.model.groups, self._base, self._area, strict=True):
            found[f"{group.name}.occupancy"] = (area - base) / (time * group.agents) if time and group.agents else 0.0
        return found


def contacts(model: Model, seed: int, most: int) -> Iterator[Contact]:
    """The arrivals of all classes in the order of time. Rules have no part in them."""
    lines = [_line(model, i, x, seed) for i, x in enumerate(model.classes) if x.rate > 0]
    together = merge(*lines, key=lambda entry: entry[0])
    for index, (at, kind, work, patience) in zip(range(most), together, strict=False):
        yield Contact(index, BEGIN_MS + round(at), kind, work, patience)


def _line(model: Model, i: int, x: Class, seed: int) -> Iterator[tuple[float, int, float, int]]:
    work = shape(x.service or model.service, stream(seed, f"work {i}"), "model.service")
    patient = shape(x.patience_shape, stream(seed, f"patience {i}"), f"model.classes[{i}].patience_shape")
    mean_ms = None if x.patience is None else x.patience * 1_000
    for at in poisson(x.rate, stream(seed, f"arrivals {i}")):
        yield at, i, work(), NEVER if mean_ms is None else round(patient() * mean_ms)


def kinds(model: Model) -> list[Kind]:
    return [Kind(x.name, CHANNEL, queue_name(i)) for i, x in enumerate(model.classes)]


def handling(model: Model) -> Callable[[Contact, str], int]:
    """How long a contact takes the agent who has it: its work times the mean of the pair."""
    mean_ms = [
        [g.skills[x.name].mean * 1_000 if x.name in g.skills else 0.0 for x in model.classes] for g in model.groups
    ]
    groups = {agent: mean_ms[group_of(agent)] for agent in agents_of(model)}
    return lambda x, agent: round(x.work * groups[agent][x.kind])


def world_of(model: Model, config: Config, watch: Watch) -> World:
    """With everybody at work, in the order in which the model names them."""
    world = World(config, kinds(model), handling(model), watch, model.capacity or 0)
    for agent in agents_of(model):
        world.sign_in(agent, BEGIN_MS)
    return world


def run(
    model: Model, count: int, warm_up: int, seed: int = 1, policy: Policy | None = None, step: Step | None = None
) -> dict[str, float]:
    """Metrics of one run."""
    tallies = Tallies(model, warm_up, warm_up + count, step)
    tallies.world = world = world_of(model, configuration(model, policy), tallies)
    # A rule that starves a class for good must not run for ever.
    world.expect(contacts(model, seed, 2 * (warm_up + count)))
    world.run()
    return tallies.metrics()
