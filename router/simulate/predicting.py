"""How well expected waits are told: each estimator's mean squared error against what came.

Scored are arrivals that find every agent busy and somebody waiting. What they are scored against is the *potential*
wait, how long they would have waited had they stayed: for those who gave up it is known once an agent takes somebody
who came later, or finds nobody.
"""

from __future__ import annotations

from collections import deque

from msgspec import Struct

from router.engine import estimates
from router.simulate.model import Class, Group, Model, Skill, configuration
from router.simulate.stationary import Step, contacts, world_of
from router.simulate.world import Contact, Watch, World

ESTIMATORS = ("ql_markov", "ql_naive", "hol", "hol_ref", "les")


class Office(Struct, frozen=True):
    """One queue, one group, first come first served. Times in seconds, rates per second."""

    rate: float
    mean: float
    agents: int
    patience: float | None = None
    discipline: str = "fcfs"


def model_of(office: Office) -> Model:
    skills = {"c": Skill(office.mean)}
    classes = (Class("c", office.rate, patience=office.patience),)
    return Model(classes, (Group("g", office.agents, skills),), office.discipline, "longest_idle")


class Scores(Watch):
    """Guesses at each arrival that counts, and compares when the wait is known."""

    def __init__(self, office: Office, first: int, last: int, step: Step | None = None) -> None:
        self.office, self.first, self.last, self.step = office, first, last, step
        self.line: deque[Contact] = deque()  # who waits, in order, and some who no longer do
        self.waiting = 0
        self.last_wait_ms = 0
        self.guesses: dict[int, tuple[float, ...]] = {}  # by index; of those whose wait is not known yet
        self.left: deque[Contact] = deque()  # gave up, and their wait is not known yet
        self.errors = [0.0] * len(ESTIMATORS)
        self.sum = self.squares = 0.0
        self.n = 0
        self.world: World | None = None

    def arrived(self, x: Contact, now_ms: int) -> None:
        if self.step is not None and not x.index % 1_000:
            self.step(min(x.index, self.last), self.last)
        if x.offered_ms >= 0:
            return
        if self.waiting and self.first <= x.index < self.last:
            self.guesses[x.index] = self._guess(now_ms)
        self.line.append(x)
        self.waiting += 1

    def _guess(self, now_ms: int) -> tuple[float, ...]:
        o, ahead = self.office, self.waiting
        age = (now_ms - self._head().born_ms) / 1_000
        found = (
            estimates.queue_length(o.agents, o.mean, ahead, o.patience),
            estimates.queue_length_naive(o.agents, o.mean, ahead),
            estimates.head_of_line(age, ahead),
            estimates.head_of_line_refined(age, o.rate, o.agents, o.mean, o.patience),
            estimates.last_to_enter_service(self.last_wait_ms / 1_000),
        )
        return tuple(delay.mean for delay in found)

    def _head(self) -> Contact:
        line = self.line
        while line[0].gone or line[0].begun_ms >= 0:
            line.popleft()
        return line[0]

    def begun(self, x: Contact, now_ms: int) -> None:
        self.last_wait_ms = now_ms - x.born_ms
        if x.begun_ms > x.born_ms:
            self.waiting -= 1
        self._known(x, now_ms)
        while self.left and self.left[0].index < x.index:
            self._known(self.left.popleft(), now_ms)

    def abandoned(self, x: Contact, now_ms: int) -> None:
        """Those who give up do so in any order; their waits end in the order in which they came."""
        self.waiting -= 1
        if x.index in self.guesses:
            at = len(self.left)
            while at and self.left[at - 1].index > x.index:
                at -= 1
            self.left.insert(at, x)

    def free(self, agent: str, now_ms: int) -> None:
        """With nobody waiting, this agent would have taken any of them."""
        if not self.waiting:
            while self.left:
                self._known(self.left.popleft(), now_ms)

    def _known(self, x: Contact, now_ms: int) -> None:
        guesses = self.guesses.pop(x.index, None)
        if guesses is not None:
            wait = (now_ms - x.born_ms) / 1_000
            self.n += 1
            self.sum += wait
            self.squares += wait * wait
            for i, guess in enumerate(guesses):
                self.errors[i] += (guess - wait) ** 2
        if self.world is not None and x.index >= self.last and not self.guesses:
            self.world.done = True

    def metrics(self) -> dict[str, float]:
        mean = self.sum / self.n
        best = self.errors[0] / self.n
        found = {"mean_potential_wait": mean, "mse_ql_markov": best, "scored": float(self.n)}
        for name, error in zip(ESTIMATORS[1:], self.errors[1:], strict=True):
            found[f"{name}_ratio"] = error / self.n / best
        found["constant_ratio"] = (self.squares / self.n - mean * mean) / best
        return found


def run(office: Office, count: int, warm_up: int, seed: int = 1, step: Step | None = None) -> dict[str, float]:
    model = model_of(office)
    scores = Scores(office, warm_up, warm_up + count, step)
    scores.world = world = world_of(model, configuration(model), scores)
    world.expect(contacts(model, seed, 2 * (warm_up + count)))
    world.run()
    return scores.metrics()
