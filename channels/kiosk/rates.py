"""How many check-ins an address may still make. Bounded in memory; time is given as data.

An address that was pushed out starts afresh: the bound is against one that has gone wild, not against many.
"""

from __future__ import annotations

from collections import OrderedDict


class Rates:
    """`per_minute` for each address, all of them at once if need be."""

    def __init__(self, per_minute: int, addresses: int) -> None:
        self._per_minute = per_minute
        self._addresses = addresses
        self._left: OrderedDict[str, tuple[float, int]] = OrderedDict()  # address -> what is left, as of when

    def take(self, address: str, now_ms: int) -> bool:
        left, at_ms = self._left.get(address, (float(self._per_minute), now_ms))
        left = min(float(self._per_minute), left + max(0, now_ms - at_ms) * self._per_minute / 60_000)
        allowed = left >= 1
        self._left[address] = (left - 1 if allowed else left, now_ms)
        self._left.move_to_end(address)
        if len(self._left) > self._addresses:
            self._left.popitem(last=False)
        return allowed

    @property
    def retry_after_s(self) -> int:
        """When one more is allowed, whole seconds."""
        return max(1, -(-60 // self._per_minute))
