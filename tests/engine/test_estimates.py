"""Position and expected wait (RT-13): the formulas, beside the sums and simulations that they stand for."""

from __future__ import annotations

import math
from collections import Counter, deque
from heapq import heappop, heappush
from random import Random

import pytest

from router.engine import estimates
from router.engine.estimates import Delay

# --- formulas ---------------------------------------------------------------------------------------------------------

# Sums of exponential stages worked out by hand with rational numbers: agents, mean handle time, patience, ahead, mean
# wait, variance.
TABLE = [
    (1, 180, None, 0, 180.0, 32_400.0),
    (10, 180, None, 4, 90.0, 1_620.0),
    (10, 180, 120, 4, 71.162_12, 1_041.371),
    (50, 240, 300, 20, 87.510_43, 367.257_2),
    (100, 180, 180, 40, 62.108_59, 95.021_39),
    (3, 600, 60, 7, 333.439_9, 43_622.4),
]


@pytest.mark.promise("RT-13")
@pytest.mark.parametrize(("agents", "mean", "patience", "ahead", "wait", "variance"), TABLE)
def test_the_queue_length_formula_gives_the_published_table(
    agents: int, mean: float, patience: float | None, ahead: int, wait: float, variance: float
) -> None:
    told = estimates.queue_length(agents, mean, ahead, patience)
    assert told.mean == pytest.approx(wait, rel=1e-6)
    assert told.variance == pytest.approx(variance, rel=1e-6)


@pytest.mark.promise("RT-13")
@pytest.mark.parametrize("rate", [0.01, 1.0, 300.0])
@pytest.mark.parametrize("theta", [1e-9, 0.01, 5.0])
@pytest.mark.parametrize("ahead", [0, 31, 32, 33, 500, 20_000])
def test_a_long_line_costs_no_sum_and_is_as_exact(rate: float, theta: float, ahead: int) -> None:
    rates = [rate + i * theta for i in range(ahead + 1)]
    told = estimates.stages(rate, theta, ahead)
    assert told.mean == pytest.approx(math.fsum(1 / r for r in rates), rel=1e-8)
    assert told.variance == pytest.approx(math.fsum(1 / r / r for r in rates), rel=1e-8)


def test_part_of_a_contact_ahead_counts_in_part() -> None:
    low, high = estimates.stages(2.0, 0.1, 4), estimates.stages(2.0, 0.1, 5)
    assert estimates.stages(2.0, 0.1, 4.25).mean == pytest.approx(low.mean + (high.mean - low.mean) / 4)


@pytest.mark.parametrize("x", [0.0, 1e-12, 1e-3, 0.499, 0.5, 0.501, 7.0, 1e9])
def test_our_logarithm_is_the_logarithm(x: float) -> None:
    assert estimates._log1p(x) == pytest.approx(math.log1p(x), rel=1e-14)


@pytest.mark.parametrize(("age", "patience"), [(1, 300), (120, 180), (5_000, 30)])
def test_of_those_who_came_since_the_oldest_the_patient_are_there(age: float, patience: float) -> None:
    expected = patience * (1 - math.exp(-age / patience))
    assert estimates._staying(age, 1 / patience) == pytest.approx(expected, rel=1e-6)


@pytest.mark.promise("RT-13")
@pytest.mark.parametrize("stages", [1, 2, 10, 400])
def test_a_quantile_is_met_as_often_as_it_says(stages: int) -> None:
    """Waits that are sums of exponential stages stay below the median in half, below the p90 in nine of ten cases."""
    r, n = Random(7), 4_000
    told = Delay(float(stages), float(stages))
    drawn = [r.gammavariate(stages, 1.0) for _ in range(n)]
    for z, share in ((estimates.Z50, 0.5), (estimates.Z90, 0.9)):
        below = sum(x <= told.quantile(z) for x in drawn) / n
        assert below == pytest.approx(share, abs=0.035)


def _errors(rate: float, mean: float, agents: int, patience: float | None, contacts: int, seed: int) -> Counter[str]:
    """Mean squared errors of the predictors over contacts that find all agents busy and somebody waiting.

    First come first served. Who gave up is kept in line, and judged by when they would have been served."""
    r, now, busy = Random(seed), 0.0, list[float]()
    line = deque[tuple[float, float, dict[str, float]]]()
    squares, last, idle, come = Counter[str](), 0.0, agents, r.expovariate(rate)
    while contacts:
        if busy and busy[0] <= come:
            now = heappop(busy)
            while line:
                arrived, gone, predicted = line.popleft()
                waited = now - arrived
                squares.update({name: (value - waited) ** 2 for name, value in predicted.items()})
                if gone > now:
                    heappush(busy, now + r.expovariate(1 / mean))
                    last = waited
                    break
            else:
                idle += 1
            continue
        now, contacts, come = come, contacts - 1, come + r.expovariate(rate)
        if idle:
            idle, last = idle - 1, 0.0
            heappush(busy, now + r.expovariate(1 / mean))
            continue
        there = [arrived for arrived, gone, _ in line if gone > now]
        predicted = _predicted(now - there[0], last, len(there), rate, mean, agents, patience) if there else {}
        line.append((now, now + r.expovariate(1 / patience) if patience else math.inf, predicted))
    return squares


def _predicted(
    age: float, last: float, ahead: int, rate: float, mean: float, agents: int, patience: float | None
) -> dict[str, float]:
    return {
        "queue length": estimates.queue_length(agents, mean, ahead, patience).mean,
        "naive": estimates.queue_length_naive(agents, mean, ahead).mean,
        "head of line": estimates.head_of_line(age).mean,
        "refined": estimates.head_of_line_refined(age, rate, agents, mean, patience).mean,
        "last": estimates.last_to_enter_service(last).mean,
    }


# The published ratios of mean squared errors to that of the queue length formula; tolerances for runs of this length.
RATIOS = [
    (0.05, 180, 10, None, {"naive": (1.0, 1e-9), "head of line": (2.0, 0.4), "refined": (1.818, 0.4)}),
    (
        0.777_777_8,
        180,
        100,
        180,
        {"naive": (3.035, 0.7), "head of line": (1.994, 0.3), "refined": (1.668, 0.25), "last": (2.042, 0.3)},
    ),
]


@pytest.mark.promise("RT-13")
@pytest.mark.parametrize(("rate", "mean", "agents", "patience", "expected"), RATIOS)
def test_the_predictors_err_as_the_literature_says(
    rate: float, mean: float, agents: int, patience: float | None, expected: dict[str, tuple[float, float]]
) -> None:
    errors = _errors(rate, mean, agents, patience, contacts=40_000, seed=1)
    for name, (ratio, tolerance) in expected.items():
        assert errors[name] / errors["queue length"] == pytest.approx(ratio, abs=tolerance), name
