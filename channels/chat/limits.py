"""How fast is too fast: token buckets on the caller's clock."""

from __future__ import annotations

from collections import OrderedDict

ADDRESSES = 10_000  # some 200 bytes each


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


class Buckets:
    """One for each address. An address that was pushed out starts afresh: this is against one that has gone wild."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def wait_s(self, address: str, now_ms: int) -> int:
        """0: one more is allowed, and counted. Otherwise whole seconds until it is. A rate of 0 allows any number."""
        if not self._rate:
            return 0
        bucket = self._buckets.setdefault(address, Bucket(self._rate, self._burst, now_ms))
        self._buckets.move_to_end(address)
        if len(self._buckets) > ADDRESSES:
            self._buckets.popitem(last=False)
        return 0 if bucket.take(now_ms) else bucket.wait_s()
