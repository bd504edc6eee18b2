"""Figures of a run, kept in constant memory: sums of whole milliseconds and a histogram for quantiles.

The histogram is logarithmic: exact below 1,024 ms, above that its buckets are at most 1/512 of their value wide. So a
quantile is right to 0.1 % however long the run is, the number of buckets is bounded, and equal runs give equal bytes.

Definitions (the choice is not cosmetic, so they carry names):
    sl    served within the target / offered (blocked ones count as offered)
    sl_x  served within the target / (served + abandoned after the target + turned away); what still waits at the end of
          a finite run beyond its target counts below the line as well
    wait  time in queue of everybody accepted, served or not, but for those turned away;  asa: of those who were served

Everybody offered is one of: served, abandoned, turned away (ended by a rule of the house before anybody had them),
blocked (never let in: no line was free, or no rule took them), left (still waiting at the end). The literature's models
turn nobody away.
"""

from __future__ import annotations

from router.engine.config import LONGEST_MS

EXACT_BITS = 10
SUB_BITS = EXACT_BITS - 1


class Histogram:
    """Counts of whole numbers from 0 on."""

    __slots__ = ("counts", "n", "total")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.n = 0
        self.total = 0

    def add(self, value: int) -> None:
        self.n += 1
        self.total += value
        if value >> EXACT_BITS:
            shift = value.bit_length() - EXACT_BITS
            value = (shift << SUB_BITS) + (value >> shift)
        counts = self.counts
        counts[value] = counts.get(value, 0) + 1

    def merge(self, other: Histogram) -> None:
        self.n += other.n
        self.total += other.total
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count

    def mean(self) -> float:
        return self.total / self.n if self.n else 0.0

    def quantile(self, q: float) -> float:
        """The middle of the bucket in which the `q`-th part of the values ends; 0 for no values."""
        wanted = q * self.n
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return _middle(bucket)
        return 0.0


def _middle(bucket: int) -> float:
    if not bucket >> EXACT_BITS:
        return float(bucket)
    shift = (bucket >> SUB_BITS) - 1
    low = (bucket - (shift << SUB_BITS)) << shift
    return low + ((1 << shift) - 1) / 2


assert LONGEST_MS.bit_length() < 40, "so there are under 30 * 512 buckets"


class Tally:
    """What became of the contacts of one kind."""

    __slots__ = (
        "abandoned",
        "abandoned_late",
        "blocked",
        "good",
        "left",
        "offered",
        "overdue",
        "served",
        "target_ms",
        "turned_away",
        "waited",
    )

    def __init__(self, target_ms: int) -> None:
        self.target_ms = target_ms
        self.offered = self.blocked = self.turned_away = self.waited = self.good = self.abandoned_late = 0
        self.served = Histogram()  # waits of those served
        self.abandoned = Histogram()
        self.left = self.overdue = 0  # still waiting at the end; of those, past their target

    def serve(self, wait_ms: int) -> None:
        self.served.add(wait_ms)
        if wait_ms <= self.target_ms:
            self.good += 1

    def abandon(self, wait_ms: int) -> None:
        self.abandoned.add(wait_ms)
        if wait_ms > self.target_ms:
            self.abandoned_late += 1

    def leave_over(self, wait_ms: int) -> None:
        """The run ends and it still waits: what is late by then can no longer be good."""
        self.left += 1
        if wait_ms > self.target_ms:
            self.overdue += 1

    def merge(self, other: Tally) -> None:
        """Add the contacts of another kind; each is judged by the target of its own."""
        for name in ("offered", "blocked", "turned_away", "waited", "good", "abandoned_late", "left", "overdue"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.served.merge(other.served)
        self.abandoned.merge(other.abandoned)

    @property
    def waits(self) -> Histogram:
        """Of everybody accepted, served or not."""
        both = Histogram()
        both.merge(self.served)
        both.merge(self.abandoned)
        return both

    def metrics(self) -> dict[str, float]:
        """Every metric by its name; times in seconds."""
        accepted = self.offered - self.blocked
        waits = self.waits
        judged = self.served.n + self.abandoned_late + self.turned_away + self.overdue
        return {
            "offered": self.offered,
            "served": self.served.n,
            "abandoned": self.abandoned.n,
            "turned_away": self.turned_away,
            "blocked": self.blocked,
            "left": self.left,
            "p_blocked": _share(self.blocked, self.offered),
            "p_wait": _share(self.waited, accepted),
            "mean_wait": waits.mean() / 1_000,
            "asa": self.served.mean() / 1_000,
            "p_abandon": _share(self.abandoned.n, accepted),
            "p_turned_away": _share(self.turned_away, self.offered),
            "sl": _share(self.good, self.offered),
            "sl_x": _share(self.good, judged),
            "p50": waits.quantile(0.5) / 1_000,
            "p90": waits.quantile(0.9) / 1_000,
            "p99": waits.quantile(0.99) / 1_000,
        }


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


class Level:
    """The integral over time of a number that changes: agents busy, agents there."""

    __slots__ = ("area", "last_ms", "value")

    def __init__(self, at_ms: int = 0) -> None:
        self.value = 0
        self.area = 0
        self.last_ms = at_ms

    def change(self, by: int, now_ms: int) -> None:
        self.area += self.value * (now_ms - self.last_ms)
        self.last_ms = now_ms
        self.value += by

    def until(self, now_ms: int) -> int:
        return self.area + self.value * (now_ms - self.last_ms)
