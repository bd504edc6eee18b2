"""The order over everything that waits: which of two interactions comes first (RT-1).

All policies give a waiting interaction a *rank*, and the smallest rank comes first. It has three parts:

    strict    the band, and inside a band the steps that a policy has (the target for `priority`, the level of the
              agent for `skill-level`); 0 inside a band is for what has waited too long, see below, and what is held
              for the very agent comes next (`favoured`)
    value     how urgent it is, negated
    entry     when it was enqueued, and its number: of equals the older one comes first (RT-2)

Most policies are one form: `value = gain x (waited + head) / per`, linear in time. They differ in what the three
numbers are made from (`TIERS`). Interactions with equal numbers compare by age alone: they form a *tier*, and only the
oldest of a tier needs the arithmetic. Numbers are whole, from fractions in lowest terms, and the division is the last
step and correctly rounded: values that are equal on paper are equal here.

The other policies look at the queue as a whole (`queue-ratio`, `round-robin`) or multiply with what was learned about
it (`adaptive`). What they look at changes while the interaction waits, so it stands in one place for all of a queue's
tiers, its `Standing`.

A pair of interaction and agent may have another rank than the interaction by itself: divided by how long that agent
takes, or by the agent's level. Then there is no one order over what waits without an agent; `paired` says so.

Too long is `cap` times the target: from then on only age counts, and nothing that is enqueued later can come before it.
`latest` tells when that is.

Where only open hours count as waiting (`Queue.clock`), values stand still while the calendar is closed. Time still goes
one way for all of a tier, so its oldest stays the first of it, and lines need not be sorted anew when hours turn.

What `adaptive` and `round-robin` remember (`Memory`) is part of the primary state; everything else is worked out.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import accumulate, repeat
from operator import mul

from msgspec import Struct, field
from msgspec.structs import replace

from router.engine import config
from router.engine.calendars import Hours

ITEM_BITS = 40  # interaction numbers in one journal: a million a day for three thousand years
NEVER_MS = 1 << 62
STEP_BITS = 44  # steps inside a band: a target of ten years in milliseconds has 39
STEP_MASK = (1 << STEP_BITS) - 1
# Steps inside a band begin here. Below is room for as many again, for what goes before all else of its band but what
# has waited too long.
USUAL = 1 << STEP_BITS - 1
ONE = Fraction(1)
BEST_LEVEL = 10

# --- what is learned --------------------------------------------------------------------------------------------------

# Weights are kept as whole steps of their logarithm, so that all machines learn the same: one contact moves its queue's
# by a hundredth at most. A thousand steps are a hundredth.
STEPS = 100_000
# The level that outcomes are compared with moves four times slower: were it as quick, it would follow the few contacts
# of one hour, which are not those of all queues alike, and queues would not come to the same level. Until so many were
# seen it is their mean; were it a guess, all weights would move against those of queues without traffic.
RATE = 100
SLOWER = 4
# So much of what was learned may be chance, and does not count: until a queue is this far behind the others, of equals
# whoever waits longest goes first, whatever the queue (RT-2). A tenth is ten targets missed more than by the others.
DOUBT = 10_000
_GRAIN = 98  # so many steps are a factor of 1 + 2 ** -10
_FACTORS = list(accumulate(repeat(1 + 2**-10, 3_070), mul, initial=1.0))
LIMIT = _GRAIN * 3_070 + DOUBT  # of a weight's logarithm: what counts of it is a factor of 20


class Memory(Struct, array_like=True):
    """What policies remember of the past."""

    kept: int = 0  # of late: the share of targets that were kept, by all queues together, in STEPS
    weights: dict[str, int] = field(default_factory=dict)  # by queue: logarithm of the weight, in STEPS
    turns: dict[str, int] = field(default_factory=dict)  # by queue: the last offer
    heard: int = 0  # how many contacts are behind `kept`, up to RATE * SLOWER

    def learn(self, queue: str, kept: bool) -> int:
        """A target was kept, or not. Answers with the queue's new weight.

        Compared with what all queues keep, by their traffic: so weights move against one another and not all together,
        that of a queue without traffic stands still, and while all targets are kept nothing moves at all.
        """
        outcome, grown = STEPS if kept else 0, RATE * SLOWER
        if not self.heard:
            self.kept = outcome
        apart = outcome - self.kept
        step = apart // grown
        if self.heard < grown:
            self.heard += 1
        self.kept += step if self.heard == grown else apart // self.heard
        moved = self.weights.get(queue, 0) - step * SLOWER
        if not -LIMIT <= moved <= LIMIT:
            moved = LIMIT if moved > 0 else -LIMIT
        self.weights[queue] = moved
        return moved

    def forget(self, queues: set[str]) -> None:
        """All but these queues."""
        for known in (self.weights, self.turns):
            for queue in known.keys() - queues:
                del known[queue]


def factor(learned: int) -> float:
    """The weight behind a logarithm. Products alone make it, so it is the same on every machine."""
    if learned > DOUBT:
        return _FACTORS[(learned - DOUBT) // _GRAIN]
    return 1 / _FACTORS[(-learned - DOUBT) // _GRAIN] if learned < -DOUBT else 1.0


class Standing:
    """What the policy says of a queue as a whole, now."""

    __slots__ = ("apart", "value")

    def __init__(self, value: float) -> None:
        self.value = value
        self.apart = False  # whether a weight was ever learned of it that is not that of all others


# --- tiers ------------------------------------------------------------------------------------------------------------


class Tier(Struct, frozen=True):
    """Classes whose members compare by time alone."""

    strict: int
    gain: int
    per: int
    head_ms: int
    cap_ms: int = NEVER_MS
    queue: Standing | None = None  # what was learned of the queue, which all values are multiplied with
    hours: Hours | None = None  # whose open time alone counts as waiting; None: all time does

    @property
    def common(self) -> Tier:
        """The tier of all that it compares with by time alone, while nothing sets its queue apart."""
        return self if self.queue is None or self.queue.apart else replace(self, queue=None)

    @property
    def top(self) -> int:
        """The first step of its band."""
        return self.strict >> STEP_BITS << STEP_BITS

    def rank(self, entry: int, now_ms: int) -> tuple[int, float, int]:
        """(strict, -value, entry) of an entry of a line: smaller comes first."""
        waited = now_ms - (entry >> ITEM_BITS)
        if self.hours is not None:
            waited = self.hours.between(entry >> ITEM_BITS, now_ms)
        if waited >= self.cap_ms:
            return (self.strict >> STEP_BITS << STEP_BITS, 0.0, entry)
        value = -self.gain * (waited + self.head_ms) / self.per
        return (self.strict, value if self.queue is None else value * self.queue.value, entry)


class ByQueue(Tier, frozen=True):
    """Whatever waits in a queue is as urgent as the queue."""

    @property
    def common(self) -> Tier:
        return self

    def rank(self, entry: int, now_ms: int) -> tuple[int, float, int]:
        strict, _, entry = Tier.rank(self, entry, now_ms)
        assert self.queue is not None
        return (strict, -self.queue.value if strict & STEP_MASK else 0.0, entry)


class Promise(Struct, frozen=True):
    """What is promised to an interaction, from which its tier is made."""

    band: int  # rank; 0 is the most urgent
    weight: float
    target_ms: int
    head_start_ms: int
    cap_ms: int
    queue: Standing


def _linear(p: Promise, worth: Fraction, head_ms: int, cap_ms: int | None = None) -> Tier:
    cap = p.cap_ms if cap_ms is None else cap_ms
    return Tier((p.band << STEP_BITS) + USUAL, worth.numerator, worth.denominator, head_ms, cap)


def slope(weight: float, target_ms: int) -> Fraction:
    """Weight / target. A weight means the decimal fraction that a person wrote, not its nearest binary one."""
    return Fraction(repr(weight)) / target_ms


def _priority(p: Promise) -> Tier:
    return Tier((p.band << STEP_BITS) + USUAL + p.target_ms, 1, 1, 0, p.cap_ms)


def _adaptive(p: Promise) -> Tier:
    worth, strict = slope(p.weight, p.target_ms), (p.band << STEP_BITS) + USUAL
    return Tier(strict, worth.numerator, worth.denominator, p.head_start_ms, p.cap_ms, p.queue)


def _by_queue(p: Promise) -> Tier:
    return ByQueue((p.band << STEP_BITS) + USUAL, 0, 1, 0, p.cap_ms, p.queue)


TIERS: dict[str, Callable[[Promise], Tier]] = {
    "share-of-target": lambda p: _linear(p, slope(p.weight, p.target_ms), p.head_start_ms),
    "ratio": lambda p: _linear(p, slope(p.weight, p.target_ms), 0),
    "deadline": lambda p: _linear(p, ONE, -p.target_ms, NEVER_MS),
    "first-come": lambda p: _linear(p, ONE, 0, NEVER_MS),
    "priority": _priority,
    "queue-ratio": _by_queue,
    "adaptive": _adaptive,
    "round-robin": _by_queue,
    "skill-level": lambda p: _linear(p, ONE, 0),
}

# These go by time alone, which bounds every wait without a cap; so nothing comes before its turn.
BY_TIME_ALONE = ("deadline", "first-come")


def favoured(rank: tuple[int, float, int]) -> tuple[int, float, int]:
    """The rank of what is held for the agent by name: before all else of its band that has not waited too long."""
    strict, value, entry = rank
    return (strict - USUAL + 1, value, entry) if strict & STEP_MASK else rank


def is_favoured(rank: tuple[int, float, int]) -> bool:
    return 0 < rank[0] & STEP_MASK < USUAL


DIVIDED = ("share-of-target", "adaptive")  # unless the configuration says otherwise
DIVISIBLE = (*DIVIDED, "ratio")


def divides(order: config.Order) -> bool:
    """Whether values are divided by relative handle times."""
    return order.policy in DIVIDED if order.handle_times is None else order.handle_times


def relative_time(queue: config.Queue, agent_ms: int) -> Fraction:
    """How long an agent takes, as a multiple of the queue's usual handle time; 1 where either is unknown."""
    return Fraction(agent_ms, queue.handle_time) if agent_ms and queue.handle_time else ONE


def slowed(tier: Tier, relative: Fraction) -> Tier:
    """The tier for an agent who takes so many times the usual."""
    if relative == 1:
        return tier
    worth = Fraction(tier.gain, tier.per) / relative
    return replace(tier, gain=worth.numerator, per=worth.denominator)


def levelled(tier: Tier, level: int) -> Tier:
    """The tier for an agent of this level, where the best level comes first."""
    return replace(tier, strict=tier.top + USUAL + BEST_LEVEL - level)
