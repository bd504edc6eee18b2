"""How busy an agent has been of late, for the choice `least-occupied`.

Busy time per time signed in, where what was counts half after half an hour. With that forgetting, two agents who stay
idle keep their order for ever, because both are forgotten at the same rate: it can be a line, and nothing needs to be
looked at again as time passes. Plain shares of a shift have no such order.

A share is a whole number of 2 ** -40, and all arithmetic is in whole numbers, so that every machine has the same state
(DU-3). Time counts in steps of 1/2 ** 20 of a half-life, which is 1.7 ms.
"""

from __future__ import annotations

from math import isqrt

HALF_LIFE_MS = 1_800_000
FULL = 1 << 40  # busy for ever
_ONE = 60  # bits behind the point
_FINE = 20  # bits of a half-life


def _roots() -> list[int]:
    """2 ** -(1/2), 2 ** -(1/4), ... with 60 bits behind the point."""
    found, x = [], 1 << (_ONE - 1)
    for _ in range(_FINE):
        x = isqrt(x << _ONE)
        found.append(x)
    return found


_ROOTS = _roots()


def faded(share: int, ms: int) -> int:
    """What is left of a share after so long."""
    halves, rest = divmod(ms, HALF_LIFE_MS)
    if halves > FULL.bit_length():
        return 0
    share >>= halves
    steps = (rest << _FINE) // HALF_LIFE_MS
    for i, root in enumerate(_ROOTS):
        if steps >> (_FINE - 1 - i) & 1:
            share = share * root >> _ONE
    return share


def after(share: int, ms: int, busy: bool) -> int:
    """The share after so much more time signed in, all of it busy or all of it idle."""
    return faded(share, ms) + (FULL - faded(FULL, ms) if busy else 0)


def key(share: int, at_ms: int) -> int:
    """What idle agents are ordered by, the least occupied first: the same at any later time.

    Shares fade by the same factor, so the order of their logarithms plus the time that they are from stays.
    """
    return (at_ms << _FINE) // HALF_LIFE_MS + _logarithm(share) if share else 0


def _logarithm(x: int) -> int:
    """To the base 2, with 20 bits behind the point, rounded down."""
    whole = x.bit_length() - 1
    x = (x << _ONE) >> whole
    for _ in range(_FINE):
        x = x * x >> _ONE
        whole <<= 1
        if x >> (_ONE + 1):
            x >>= 1
            whole |= 1
    return whole
