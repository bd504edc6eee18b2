"""Who may come in, how many, how fast: counting only, time arrives as data.

Each refusal says what the sender should do. 421: this connection is over, come again. 450 and 451: this message later.
55x: never.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from channels.email.settings import Settings
from router.service.sources import source_of

FOREIGN = "554 5.7.1 This host may not deliver here (setting email.peers)"
FULL = "421 4.3.2 Too many connections, try again later"
PEER_FULL = "421 4.7.0 Too many connections from your address"
CLOSING = "421 4.3.2 Closing down, try again later"
TOO_FAST = "450 4.7.1 Too many messages from your address, try again in a minute"
BUSY = "451 4.3.2 Too many messages being taken, try again later"
CROWDED = "451 4.3.1 No room for this message now, try again later"

WINDOW_S = 60.0
PEERS_REMEMBERED = 10_000  # rates of so many addresses; where more come, the oldest half starts afresh


class Gate:
    """The channel's counters. One for both listeners."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.draining = False
        self.connections = 0
        self.in_flight = 0  # messages between DATA and its answer
        self.buffered = 0  # bytes of them
        self.recording = 0  # those of them that came in whole
        self.quiet = asyncio.Event()  # nothing is being recorded
        self.quiet.set()
        self._by_peer: Counter[str] = Counter()
        self._rates: dict[str, tuple[float, int]] = {}  # start of the peer's present minute, messages in it
        networks = [ip_network(text) for text in settings.peers]

        @lru_cache(maxsize=1_024)
        def allowed(host: str) -> bool:
            try:
                address = ip_address(host.partition("%")[0])
            except ValueError:
                return False
            if isinstance(address, IPv6Address) and address.ipv4_mapped:
                address = address.ipv4_mapped
            return any(address in network for network in networks)

        self._allowed = allowed

    def enter(self, host: str) -> str:
        """Count a connection in, or say why not. What was counted in must `leave`."""
        if self.draining:
            return CLOSING
        if not self._allowed(host):
            return FOREIGN
        if self.connections >= self.settings.max_connections:
            return FULL
        host = source_of(host)
        if self._by_peer[host] >= self.settings.max_connections_per_peer:
            return PEER_FULL
        self.connections += 1
        self._by_peer[host] += 1
        return ""

    def leave(self, host: str) -> None:
        host = source_of(host)
        self.connections -= 1
        self._by_peer[host] -= 1
        if self._by_peer[host] <= 0:
            del self._by_peer[host]

    def may_send(self, host: str, now_s: float) -> str:
        """Count one message of this peer, or say why not. `now_s`: any clock that only goes forward."""
        if self.draining:
            return CLOSING
        limit = self.settings.max_messages_per_minute_per_peer
        if not limit:
            return ""
        host = source_of(host)
        start, count = self._rates.get(host, (now_s, 0))
        if now_s - start >= WINDOW_S:
            start, count = now_s, 0
        if count >= limit:
            return TOO_FAST
        if host not in self._rates and len(self._rates) >= PEERS_REMEMBERED:
            for old in list(self._rates)[: PEERS_REMEMBERED // 2]:
                del self._rates[old]
        self._rates[host] = (start, count + 1)
        return ""

    def may_begin(self) -> str:
        """Whether another message may be received now."""
        if self.draining:
            return CLOSING
        return BUSY if self.in_flight >= self.settings.max_in_flight else ""

    def begin_recording(self) -> None:
        self.recording += 1
        self.quiet.clear()

    def end_recording(self) -> None:
        self.recording -= 1
        if not self.recording:
            self.quiet.set()
