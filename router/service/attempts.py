"""How often each address was wrong of late: whoever guesses is not listened to for the rest of the minute.

One count for every door, so that nobody gets as many guesses as there are doors. An address is an IPv4 address or a
network of IPv6 (`sources.py`). A whole office may share one, so whoever has proved from there who they are stays
welcome with that same proof while others of the office are wrong; only new proofs must wait.
"""

from __future__ import annotations

MINUTE_MS = 60_000
ADDRESSES_MAX = 10_000  # whose failures are remembered; beyond that the oldest is forgotten
WELCOME_MAX = 20_000  # proofs that were seen to be right, each with its address


class Failures:
    """How often each address was refused in its present minute."""

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self.counts: dict[str, tuple[int, int]] = {}  # address -> (start of the minute in ms, failures)
        self._welcome: dict[tuple[str, bytes], None] = {}

    def add(self, address: str, now_ms: int) -> None:
        since, count = self.counts.pop(address, (now_ms, 0))
        if now_ms - since >= MINUTE_MS:
            since, count = now_ms, 0
        self.counts[address] = (since, count + 1)
        if len(self.counts) > ADDRESSES_MAX:
            del self.counts[next(iter(self.counts))]

    def retry_after_ms(self, address: str, now_ms: int, proof: bytes = b"") -> int:
        """0: listen to it. `proof` is the digest of what this caller shows."""
        since, count = self.counts.get(address, (0, 0))
        if count < self.allowed or (address, proof) in self._welcome:
            return 0
        return max(since + MINUTE_MS - now_ms, 0)

    def succeeded(self, address: str, proof: bytes) -> None:
        key = (address, proof)
        if key in self._welcome:
            return
        self._welcome[key] = None
        if len(self._welcome) > WELCOME_MAX:
            del self._welcome[next(iter(self._welcome))]
