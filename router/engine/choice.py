"""The choice of an agent: who gets an interaction, of all who are idle and fit (RT-6).

Every rule considers the whole qualified set, and of those whom it holds equal it takes the one who has been idle
longest. Whoever gets an offer goes to the end of the idle, so equal agents take turns.

What a rule says of an agent falls in two parts. The larger is a constant of profile and queue: level, speed, how many
queues the agent fits. Cells with equal constants form a *group*, groups stand in order, and the longest idle of the
first group with anybody in it is the answer; so a rule costs what longest-idle costs. The other part changes with time:

- `least-occupied` goes by the busy time of late (`occupancy`), which makes no difference between two idle agents that
  was not there when the later of them became idle: a second set of lines keeps that order.
- `blend` adds points for minutes idle, which grow equally for all: the longest idle of each group are compared.
- `random` counts along the qualified set to a place that a hash of the offer's number names. Nothing else decides, so
  who can foresee it knows the number of the next offer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, Protocol

from msgspec import Struct

from router.engine import config, requirements
from router.engine.order import BEST_LEVEL, ONE, relative_time
from router.engine.requirements import Node, fits

MINUTE_MS = 60_000
POINT = 1_000_000  # points are compared in millionths
UNKNOWN_MS = 1 << 62


class Profile(requirements.Profile, Protocol):
    """What static parts look at, beyond what requirements look at."""

    @property
    def handle_times(self) -> dict[str, int]: ...


def level(node: Node, profile: Profile) -> int:
    """How good the profile is at what the requirement asks for, 0 to 10; 0 where it asks for no skill.

    Of skills asked for together the weakest counts, as for the customer; of alternatives the best that the profile
    meets. A skill that the agent should not have, or not so well, says nothing.
    """
    found = _level(node, profile)
    return 0 if found is None else found


def _level(node: Node, profile: Profile) -> int | None:
    if node.skill:
        return profile.skills.get(node.skill, 0) if node.op in (">=", ">", "==") else None
    if node.any is not None:
        return max((x for x in _levels(node.any, profile) if x is not None), default=None)
    return min((x for x in _levels(node.all or (), profile) if x is not None), default=None)


def _levels(nodes: Iterable[Node], profile: Profile) -> Iterable[int | None]:
    return (_level(node, profile) for node in nodes if fits(node, profile))


class Place(Struct, frozen=True):
    """What a rule looks at: the queue and requirement of a class, and how many queues a profile fits."""

    name: str
    queue: config.Queue
    requirement: Node
    queues_of: Callable[[Profile], int]
    queues: int


def handle_ms(place: Place, profile: Profile) -> int:
    """What is expected of an agent of this profile on this queue; of a slow unknown nobody knows anything."""
    return profile.handle_times.get(place.name, 0) or int(place.queue.handle_time or 0) or UNKNOWN_MS


def _slowest(place: Place, profile: Profile) -> int:
    ms = handle_ms(place, profile)
    return ms if ms == UNKNOWN_MS else -ms


def _points(place: Place, profile: Profile) -> int:
    """The points of a blend that do not change, in millionths, negated."""
    weights, relative = place.queue.blend, relative_time(place.queue, profile.handle_times.get(place.name, 0))
    focus = ONE - Fraction(place.queues_of(profile), place.queues)
    points = Fraction(weights.level) * level(place.requirement, profile) / BEST_LEVEL
    points += Fraction(weights.speed) / relative + Fraction(weights.focus) * focus
    return -round(points * POINT)


# The static part of each rule that has one: a whole number, the smallest is the best.
STATIC: dict[str, Callable[[Place, Profile], int]] = {
    "best-level": lambda place, profile: -level(place.requirement, profile),
    "least-flexible": lambda place, profile: place.queues_of(profile),
    "fastest": handle_ms,
    "slowest": _slowest,
    "blend": _points,
}
BY_QUEUES = ("least-flexible", "blend")  # rules that ask how many queues a profile fits
BY_TIME = ("fastest", "slowest", "blend")  # rules that look at handle times


def blended(static: int, idle_weight: float, idle_ms: int) -> int:
    """All points of an agent, negated; the smallest is the best."""
    return static * MINUTE_MS - round(idle_weight * POINT) * idle_ms


class Groups:
    """Cells that can serve one class, by some score of theirs; the smallest first."""

    __slots__ = ("masks", "members", "scores")

    def __init__(self) -> None:
        self.scores: list[Any] = []
        self.masks: list[int] = []
        self.members: list[list[int]] = []

    def add(self, cell: int, score: Any) -> None:
        i = bisect_left(self.scores, score)
        if i == len(self.scores) or self.scores[i] != score:
            self.scores.insert(i, score)
            self.masks.insert(i, 0)
            self.members.insert(i, [])
        self.masks[i] |= 1 << cell
        self.members[i].append(cell)


def mixed(offer: int, attempt: int) -> int:
    """64 bits that look like chance: the finalizer of SplitMix64 (Steele, Lea, Flood 2014), counted on twice."""
    x = (offer * 0x9E3779B97F4A7C15 + attempt * 0xD1B54A32D192ED03) & _64
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & _64
    x = (x ^ x >> 27) * 0x94D049BB133111EB & _64
    return x ^ x >> 31


_64 = (1 << 64) - 1
