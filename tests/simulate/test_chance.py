"""Chance: shapes of mean 1 with the spread that they name, from streams that only the seed decides."""

from __future__ import annotations

import math
from itertools import islice
from statistics import fmean, pstdev

import pytest

from router.errors import ConfigError
from router.simulate.chance import gamma_quantile, poisson, shape, strata, stream

N = 40_000


@pytest.mark.parametrize(
    ("spec", "cv"),
    [
        ("exp", 1.0),
        ("det", 0.0),
        ("lognormal:2.0", 2.0),
        ("lognormal:0.5", 0.5),
        ("gamma:0.7", 0.7),
        ("erlang:4", 0.5),
        ("hyperexp:2", 2.0),
        ("weibull:1.5", 1.5),
        ("uniform", 1 / math.sqrt(3)),
        ("uniform:0.5", 0.5 / math.sqrt(3)),
    ],
)
def test_a_shape_has_mean_one_and_the_spread_that_it_names(spec: str, cv: float) -> None:
    draw = shape(spec, stream(1, spec))
    values = [draw() for _ in range(N)]
    assert min(values) >= 0
    assert fmean(values) == pytest.approx(1.0, abs=5 * max(cv, 0.001) / math.sqrt(N))
    assert pstdev(values) == pytest.approx(cv, rel=0.15)


@pytest.mark.parametrize(
    "spec",
    ["normal", "exp:2", "lognormal", "lognormal:x", "lognormal:-1", "erlang:1.5", "hyperexp:0.5", "uniform:2", ""],
)
def test_what_is_no_shape_is_refused_with_its_path(spec: str) -> None:
    with pytest.raises(ConfigError) as caught:
        shape(spec, stream(1, "x"), "arrivals[0].handle_shape")
    assert caught.value.path == "arrivals[0].handle_shape"


def test_a_stream_depends_on_seed_and_purpose_alone() -> None:
    assert stream(1, "work").random() == stream(1, "work").random()
    assert stream(1, "work").random() != stream(2, "work").random()
    assert stream(1, "work").random() != stream(1, "patience").random()


def test_poisson_arrivals_come_at_their_rate() -> None:
    last = next(islice(poisson(0.5, stream(1, "x")), N - 1, None))
    assert N / (last / 1_000) == pytest.approx(0.5, rel=5 / math.sqrt(N))


@pytest.mark.parametrize("k", [0.5, 1.0, 28.7])
def test_gamma_quantiles_have_the_probability_that_was_asked_for(k: float) -> None:
    random = stream(1, "gamma")
    values = [random.gammavariate(k, 1 / k) for _ in range(N)]
    for u in (0.1, 0.5, 0.9):
        limit = gamma_quantile(k, u)
        below = sum(x < limit for x in values) / N
        assert below == pytest.approx(u, abs=5 * math.sqrt(u * (1 - u) / N))


def test_an_exponential_quantile_is_exact() -> None:
    assert gamma_quantile(1.0, 0.5) == pytest.approx(math.log(2))


def test_strata_take_one_number_from_each_part() -> None:
    found = strata(100, stream(1, "x"))
    assert sorted(int(u * 100) for u in found) == list(range(100))
    assert found != sorted(found)
