"""What opens one websocket, once, within seconds: no token that lasts ever travels over a socket of the desk.

A ticket stands for somebody who has just proved over HTTP who they are. It is kept in memory: a restart makes it void,
and its holder asks for another one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from msgspec import Struct

from router.service.accounts import digest
from router.service.roles import Identity

TICKETS_MAX = 10_000  # that wait to be used; beyond that the oldest is void


class Ticket(Struct, frozen=True):
    identity: Identity
    ends_ms: int


class Tickets:
    def __init__(self, lasts_ms: int, now_ms: Callable[[], int]) -> None:
        self.lasts_ms = lasts_ms
        self._now_ms = now_ms
        self._open: dict[bytes, Ticket] = {}  # digest -> ticket, in order of their ends

    def issue(self, identity: Identity) -> tuple[str, int]:
        """A ticket, and until when it is good."""
        now_ms = self._now_ms()
        while self._open:
            oldest = next(iter(self._open))
            if self._open[oldest].ends_ms > now_ms and len(self._open) < TICKETS_MAX:
                break
            del self._open[oldest]
        ticket, ends_ms = f"sbt_{secrets.token_urlsafe(24)}", now_ms + self.lasts_ms
        self._open[digest(ticket)] = Ticket(identity, ends_ms)
        return ticket, ends_ms

    def redeem(self, ticket: str) -> Identity | None:
        """Whose it is; good once."""
        found = self._open.pop(digest(ticket), None)
        return found.identity if found is not None and self._now_ms() < found.ends_ms else None
