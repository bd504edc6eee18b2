"""Chance with a seed: distributions by name, and a stream of numbers for each purpose.

Every purpose ("arrivals of calls", "patience of calls") has a generator of its own, seeded by the run's seed and the
purpose's name. Two runs that differ in their rules alone therefore see the same contacts with the same work and the
same patience (common random numbers), and their difference shows the rules and not luck.

A shape has mean 1 and is multiplied by a mean: the work of a contact is drawn when it arrives, and how long it takes
depends on who gets it.

    exp            exponential                  det            always the mean
    lognormal:CV   with this coefficient of     gamma:CV       likewise
                   variation                    hyperexp:CV    two exponentials with balanced means, CV > 1
    erlang:K       sum of K exponentials        weibull:CV     likewise
    uniform[:W]    mean times 1 - W to 1 + W; W is 1 where it is left out
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from random import Random

from router.errors import ConfigError

Draw = Callable[[], float]


def stream(seed: int, purpose: str) -> Random:
    """The generator of one purpose. A text seed is hashed by its bytes: the same on every machine."""
    return Random(f"{seed}/{purpose}")


def shape(spec: str, random: Random, path: str = "shape") -> Draw:
    """What draws numbers of mean 1. Raises ConfigError for a name or parameter that no shape has."""
    name, _, given = spec.partition(":")
    if name not in SHAPES:
        raise ConfigError(path, f"one of {', '.join(SHAPES)}", repr(spec))
    needs_parameter, make = SHAPES[name]
    try:
        parameter = float(given) if given else None
    except ValueError:
        raise ConfigError(path, f"a number after {name}:", repr(spec)) from None
    if needs_parameter is (parameter is None):
        raise ConfigError(path, f"{name}:NUMBER" if needs_parameter else name, repr(spec))
    if parameter is not None and not 0 < parameter <= 1_000:
        raise ConfigError(path, "a parameter above 0 and at most 1000", repr(spec))
    return make(random, parameter, path)


def _exponential(random: Random, _: float | None, path: str) -> Draw:
    return lambda: random.expovariate(1.0)


def _constant(random: Random, _: float | None, path: str) -> Draw:
    return lambda: 1.0


def _lognormal(random: Random, cv: float | None, path: str) -> Draw:
    assert cv is not None
    sigma = math.sqrt(math.log1p(cv * cv))
    return lambda: random.lognormvariate(-sigma * sigma / 2, sigma)


def _gamma(random: Random, cv: float | None, path: str) -> Draw:
    assert cv is not None
    k = 1 / (cv * cv)
    return lambda: random.gammavariate(k, 1 / k)


def _erlang(random: Random, k: float | None, path: str) -> Draw:
    assert k is not None
    if k != int(k):
        raise ConfigError(path, "a whole number of stages", f"erlang:{k}")
    return lambda: random.gammavariate(k, 1 / k)


def _hyperexponential(random: Random, cv: float | None, path: str) -> Draw:
    assert cv is not None
    if cv < 1:
        raise ConfigError(path, "a coefficient of variation of at least 1", f"hyperexp:{cv}")
    p = (1 + math.sqrt((cv * cv - 1) / (cv * cv + 1))) / 2
    return lambda: random.expovariate(2 * p if random.random() < p else 2 * (1 - p))


def _weibull(random: Random, cv: float | None, path: str) -> Draw:
    """The shape parameter is found by halving: the coefficient of variation falls as it rises."""
    assert cv is not None
    low, high = 0.05, 100.0
    for _ in range(100):
        k = (low + high) / 2
        spread = math.exp(math.lgamma(1 + 2 / k) - 2 * math.lgamma(1 + 1 / k)) - 1
        low, high = (k, high) if spread > cv * cv else (low, k)
    scale = 1 / math.gamma(1 + 1 / k)
    return lambda: random.weibullvariate(scale, k)


def _uniform(random: Random, width: float | None, path: str) -> Draw:
    w = 1.0 if width is None else width
    if w > 1:
        raise ConfigError(path, "a width of at most 1: nothing takes less than no time", f"uniform:{w}")
    return lambda: random.uniform(1 - w, 1 + w)


# name -> whether it needs a parameter (None: may have one), and its maker
SHAPES: dict[str, tuple[bool | None, Callable[[Random, float | None, str], Draw]]] = {
    "exp": (False, _exponential),
    "det": (False, _constant),
    "lognormal": (True, _lognormal),
    "gamma": (True, _gamma),
    "erlang": (True, _erlang),
    "hyperexp": (True, _hyperexponential),
    "weibull": (True, _weibull),
    "uniform": (None, _uniform),
}


def poisson(rate_per_s: float, random: Random, from_ms: float = 0.0) -> Iterator[float]:
    """Arrival times in milliseconds, without end."""
    at, mean = from_ms, 1_000 / rate_per_s
    while True:
        at += random.expovariate(1.0) * mean
        yield at


def gamma_quantile(k: float, u: float) -> float:
    """The value below which a gamma variable of shape `k` and mean 1 lies with probability `u`."""
    low, high = 0.0, 1.0
    while _gamma_below(k, k * high) < u:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _gamma_below(k, k * middle) < u else (low, middle)
    return (low + high) / 2


def _gamma_below(k: float, x: float) -> float:
    """The regularised lower incomplete gamma function by its series (Abramowitz & Stegun 6.5.29)."""
    if x <= 0:
        return 0.0
    term = total = 1 / k
    n = k
    while term > total * 1e-16:
        n += 1
        term *= x / n
        total += term
    return min(1.0, total * math.exp(k * math.log(x) - x - math.lgamma(k)))


def strata(n: int, random: Random) -> list[float]:
    """One number out of each n-th part of 0 to 1, in random order: a sample that represents the whole."""
    found = [(i + random.random()) / n for i in range(n)]
    random.shuffle(found)
    return found
