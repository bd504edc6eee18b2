"""A token bucket: so many a second on average, so many at once. Time is given as data."""

from __future__ import annotations


class Bucket:
    __slots__ = ("_per_ms", "_size", "_tokens", "_updated_ms")

    def __init__(self, per_second: float, burst: int) -> None:
        self._size = float(burst)
        self._per_ms = per_second / 1_000
        self._tokens = self._size
        self._updated_ms = 0

    def take(self, now_ms: int) -> bool:
        """Whether one more is allowed now. A clock that steps back adds nothing and takes nothing away."""
        if now_ms > self._updated_ms:
            self._tokens = min(self._size, self._tokens + (now_ms - self._updated_ms) * self._per_ms)
        self._updated_ms = now_ms
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
