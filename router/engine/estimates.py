"""How long it takes until a waiting contact is served: formulas.

Delay predictors of the literature (Ibrahim and Whitt, Real-time delay estimation, 2009), for `s` agents with mean
handle time 1/mu and contacts that give up at rate theta:

    queue length          m wait ahead: the sum of m + 1 exponential stages with rates s mu + i theta; exact for M/M/s+M
                          and the best that can be had there
    queue length, naive   the same, blind to those who give up
    head of line          the age of the oldest that waits; needs no model, and errs twice as much
    head of line, refined how many came since the oldest and are still there, then as queue length
    last to enter service what the one served last had waited
    constant              the mean wait of all

The functions know no unit: times are in whatever unit they are given in. They use nothing beyond + - * / and the
square root, which every machine rounds alike, so that a replay agrees to the last bit (DU-3); hence our own `_log1p`.
"""

from __future__ import annotations

from math import sqrt

from msgspec import Struct

# So many stages are added up one by one; the rest of the sum is an integral with two corrections (Euler, Maclaurin),
# which from there on is exact to ten digits.
DIRECT = 32
_LN2 = 0.6931471805599453

# Of the standard normal distribution.
Z50, Z90 = 0.0, 1.2815515655446004


class Delay(Struct, frozen=True):
    """A wait as mean and variance, as if it were a sum of exponential stages."""

    mean: float
    variance: float

    def quantile(self, z: float) -> float:
        """The gamma distribution's quantile at normal score `z` (Wilson and Hilferty): within 2 % for one stage, closer
        for more."""
        if self.variance <= 0.0 or self.mean <= 0.0:
            return self.mean
        shape = self.mean * self.mean / self.variance
        root = max(0.0, 1.0 - 1.0 / (9.0 * shape) + z / (3.0 * sqrt(shape)))
        return self.mean * root * root * root


def stages(rate: float, theta: float, ahead: float) -> Delay:
    """Until `ahead` others and then this one are taken, at `rate`, while each of those ahead gives up at `theta`.

    Costs the same for any number. `ahead` need not be whole, where only some of the others want the same agents; the
    last stage then counts in part.
    """
    assert rate > 0.0, "without agents no wait ends"
    whole = int(ahead) + 1
    direct = whole if theta <= 0.0 or whole < DIRECT else DIRECT
    mean = variance = 0.0
    if theta <= 0.0:
        mean, variance = whole / rate, whole / (rate * rate)
    else:
        for i in range(direct):
            stage = 1.0 / (rate + i * theta)
            mean += stage
            variance += stage * stage
    if whole > direct:
        rest = _tail(rate + direct * theta, theta, whole - direct)
        mean, variance = mean + rest.mean, variance + rest.variance
    part = ahead + 1 - whole
    last = 1.0 / (rate + whole * max(theta, 0.0))
    return Delay(mean + part * last, variance + part * last * last)


def _tail(rate: float, theta: float, n: int) -> Delay:
    """`n` stages with rates `rate`, `rate + theta` ...: the sums of their means and variances."""
    end = rate + (n - 1) * theta
    a, b = 1.0 / rate, 1.0 / end
    mean = _log1p((n - 1) * theta / rate) / theta + (a + b) / 2.0 + theta * (a * a - b * b) / 12.0
    variance = (n - 1) * a * b + (a * a + b * b) / 2.0 + theta * (a * a * a - b * b * b) / 6.0
    return Delay(mean, variance)


def _log1p(x: float) -> float:
    """ln(1 + x) for x >= 0 by the series of the area tangent."""
    halvings, y = 0, 1.0 + x
    while y > 1.5:
        y *= 0.5
        halvings += 1
    z = (y - 1.0) / (y + 1.0) if halvings else x / (2.0 + x)
    square, power, total = z * z, z, 0.0
    for k in range(1, 26, 2):
        total += power / k
        power *= square
    return 2.0 * total + halvings * _LN2


def queue_length(agents: float, mean: float, ahead: float, patience: float | None = None) -> Delay:
    """For a contact that finds all agents busy and `ahead` waiting. `patience` None: nobody gives up."""
    return stages(agents / mean, 1.0 / patience if patience else 0.0, ahead)


def queue_length_naive(agents: float, mean: float, ahead: float) -> Delay:
    """As if nobody ever gave up."""
    return stages(agents / mean, 0.0, ahead)


def head_of_line(age: float, ahead: float = 0.0) -> Delay:
    """`age`: how long the oldest has waited. Given that, the wait is a number of stages that is Poisson, so its
    variance is about twice the square of its mean over the number of those ahead."""
    return Delay(age, 2.0 * age * age / (ahead + 2.0))


def head_of_line_refined(
    age: float, arrival_rate: float, agents: float, mean: float, patience: float | None = None
) -> Delay:
    """With `arrival_rate`, those who came after the oldest and have not given up are as many as wait behind it; the
    oldest itself makes one more."""
    theta = 1.0 / patience if patience else 0.0
    # (1 - exp(-theta age)) / theta by Simpson's rule: no exponential, which machines round differently.
    staying = age if theta == 0.0 else _staying(age, theta)
    return stages(agents / mean, theta, arrival_rate * staying + 1.0)


def _staying(age: float, theta: float) -> float:
    """The integral of exp(-theta t) over `age`."""
    steps = 8
    while theta * age > steps / 4.0:
        steps *= 2
    # exp(-h) of a small h by its series; the rest are its powers.
    h = theta * age / steps
    once = 1.0 - h * (1.0 - h / 2.0 * (1.0 - h / 3.0 * (1.0 - h / 4.0 * (1.0 - h / 5.0 * (1.0 - h / 6.0)))))
    power = 1.0
    for _ in range(steps):
        power *= once
    return (1.0 - power) / theta


def last_to_enter_service(waited: float) -> Delay:
    return Delay(waited, waited * waited)


def constant(mean_wait: float) -> Delay:
    return Delay(mean_wait, mean_wait * mean_wait)
