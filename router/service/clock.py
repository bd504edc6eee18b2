"""The clock that decisions are taken by: wall time at start, carried on by a clock that nobody sets.

A step of the wall clock (NTP, an operator, a leap) must not expire every offer at once or freeze every deadline, so the
wall is read once and the monotonic clock counts from there. `drift_ms` says how far the two have parted; health shows
it. CLOCK_BOOTTIME also counts while a machine sleeps, where the system has it.
"""

from __future__ import annotations

import time
from typing import Protocol

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    def now_ms(self) -> int:
        """Unix milliseconds; never goes back."""


class SystemClock:
    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.clock_gettime_ns(_STEADY)

    def now_ms(self) -> int:
        return (time.clock_gettime_ns(_STEADY) + self._offset_ns) // 1_000_000

    def drift_ms(self) -> int:
        """How far the wall clock has been moved since the start; positive if it was set forward."""
        return (time.time_ns() - time.clock_gettime_ns(_STEADY) - self._offset_ns) // 1_000_000


class ManualClock:
    """Time as data, for tests and simulation."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.time_ms = now_ms

    def now_ms(self) -> int:
        return self.time_ms

    def advance(self, ms: int) -> None:
        self.time_ms += ms
