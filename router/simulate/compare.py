"""Two ways to run the same house, side by side, with confidence.

Both see the same contacts with the same work and patience in every replication (common random numbers), so what is
judged is the difference of each pair and not that of two averages. Its 95 % interval is Student's, over replications.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from msgspec import Struct

from router.simulate.report import NOWHERE, Report
from router.simulate.report import run as run_once
from router.simulate.scenario import Scenario

Step = Callable[[int, int], None]

METRICS = ("sl_x", "mean_wait", "p90", "p99", "p_abandon", "served", "turned_away", "blocked", "left")
# Student's t for 95 %, two-sided, by degrees of freedom; the normal distribution's beyond.
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)


class Line(Struct, frozen=True):
    """One figure of one queue (or "all", or a group of staff) under both; `apart` says that the difference is no
    chance."""

    of: str
    metric: str
    a: float
    b: float
    difference: float  # b - a
    half_width: float  # of its 95 % interval
    apart: bool


class Comparison(Struct, frozen=True):
    a: str
    b: str
    replications: int
    lines: list[Line]


def t95(n: int) -> float:
    """The factor for `n` values."""
    assert n >= 2, "one replication says nothing of chance"
    return _T95[n - 2] if n - 2 < len(_T95) else 1.96 + 2.4 / (n - 1)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half width of its 95 % interval."""
    n = len(values)
    mean = sum(values) / n
    spread = math.sqrt(sum((x - mean) ** 2 for x in values) / (n - 1))
    return mean, t95(n) * spread / math.sqrt(n)


def replicate(scenario: Scenario, replications: int, step: Step | None = None) -> list[Report]:
    """The same scenario with seeds of its own, one after the other."""
    found = []
    for i in range(replications):
        found.append(run_once(scenario, scenario.seed + i))
        if step is not None:
            step(i + 1, replications)
    return found


def compare(a: Scenario, b: Scenario, replications: int = 10, step: Step | None = None) -> Comparison:
    """Run both with the same seeds. Streams of the same name and rates see the same contacts."""

    def half(offset: int) -> Step | None:
        return None if step is None else lambda n, of: step(n + offset, 2 * replications)

    first = replicate(a, replications, half(0))
    second = replicate(b, replications, half(replications))
    return Comparison(a.name, b.name, replications, lines(first, second))


def lines(first: Sequence[Report], second: Sequence[Report]) -> list[Line]:
    found = []
    queues = [name for name in first[0].queues if all(name in x.queues for x in [*first, *second]) and name != NOWHERE]
    for of in ["all", *queues]:
        for metric in METRICS:
            pairs = [(_figure(x, of, metric), _figure(y, of, metric)) for x, y in zip(first, second, strict=True)]
            found.append(_line(of, metric, pairs))
    for group in [name for name in first[0].groups if name in second[0].groups]:
        for metric in ("occupancy", "fairness"):
            pairs = [(x.groups[group][metric], y.groups[group][metric]) for x, y in zip(first, second, strict=True)]
            found.append(_line(f"staff {group}", metric, pairs))
    return found


def _figure(report: Report, of: str, metric: str) -> float:
    return (report.all if of == "all" else report.queues[of])[metric]


def _line(of: str, metric: str, pairs: Sequence[tuple[float, float]]) -> Line:
    difference, half = interval([b - a for a, b in pairs])
    a, b = (sum(pair[i] for pair in pairs) / len(pairs) for i in (0, 1))
    return Line(of, metric, a, b, difference, half, abs(difference) > half)
