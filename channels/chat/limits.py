"""How fast is too fast: a token bucket on the caller's clock."""

from __future__ import annotations


class Bucket:
    """Holds up to `burst`, refilled by `rate` per second. A clock that goes back refills nothing."""

    __slots__ = ("_at_ms", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: int, now_ms: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._level = float(burst)
        self._at_ms = now_ms

    def take(self, now_ms: int) -> bool:
        """Whether one more is allowed; it is counted if so."""
        self._level = min(self._burst, self._level + max(0, now_ms - self._at_ms) * self._rate / 1_000)
        self._at_ms = max(self._at_ms, now_ms)
        if self._level < 1:
            return False
        self._level -= 1
        return True

    def wait_s(self) -> int:
        """Whole seconds until the next one is allowed, at least 1."""
        return max(1, int((1 - self._level) / self._rate) + 1)
