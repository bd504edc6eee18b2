"""Figures in constant memory are those of the full lists."""

from __future__ import annotations

import pytest

from router.simulate.chance import stream
from router.simulate.figures import Histogram, Level, Tally


def test_quantiles_of_a_histogram_are_those_of_the_sorted_values() -> None:
    random = stream(1, "figures")
    values = sorted(int(random.lognormvariate(9, 3)) for _ in range(20_000))
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    for q in (0.01, 0.5, 0.9, 0.99, 1.0):
        exact = values[max(0, -(-int(q * 20_000 * 1_000) // 1_000) - 1)]
        assert histogram.quantile(q) == pytest.approx(exact, rel=1 / 512, abs=0.5)
    assert histogram.total == sum(values)


def test_small_values_are_exact() -> None:
    histogram = Histogram()
    for value in range(1_024):
        histogram.add(value)
    assert [histogram.quantile(n / 1_024) for n in (1, 512, 1_024)] == [0, 511, 1_023]


def test_a_histogram_stays_small_however_much_it_counts() -> None:
    random, histogram = stream(1, "many"), Histogram()
    for _ in range(200_000):
        histogram.add(int(random.expovariate(1 / 3e9)))
    assert len(histogram.counts) < 8_000


def test_merged_histograms_are_that_of_all_values() -> None:
    whole, parts = Histogram(), [Histogram(), Histogram()]
    for value in range(0, 500_000, 7):
        whole.add(value)
        parts[value % 2].add(value)
    parts[0].merge(parts[1])
    assert (parts[0].counts, parts[0].n, parts[0].total) == (whole.counts, whole.n, whole.total)


def test_an_empty_histogram_has_no_quantiles() -> None:
    assert Histogram().quantile(0.5) == 0.0


def test_service_levels_are_as_defined() -> None:
    """Ten offered, one blocked, five served of which three in time, two gave up late and one early, one still waits."""
    tally = Tally(20_000)
    tally.offered, tally.blocked, tally.waited = 10, 1, 6
    for wait in (0, 20_000, 19_999, 20_001, 60_000):
        tally.serve(wait)
    for wait in (20_001, 30_000, 20_000):
        tally.abandon(wait)
    tally.leave_over(500)
    found = tally.metrics()
    assert found["sl"] == 3 / 10
    assert found["sl_x"] == 3 / (5 + 2)
    assert found["p_blocked"] == 1 / 10
    assert found["p_wait"] == 6 / 9
    assert found["p_abandon"] == 3 / 9
    assert found["asa"] == pytest.approx(120 / 5)
    assert found["mean_wait"] == pytest.approx((120 + 70.001) / 8)


def test_what_still_waits_beyond_its_target_spoils_the_level() -> None:
    tally = Tally(1_000)
    tally.offered = 2
    tally.serve(0)
    tally.leave_over(1_001)
    assert tally.metrics()["sl_x"] == 0.5


def test_a_level_is_the_area_under_its_steps() -> None:
    level = Level(100)
    level.change(2, 200)
    level.change(-1, 500)
    assert level.until(600) == 2 * 300 + 100
