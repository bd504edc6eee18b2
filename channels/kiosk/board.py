"""Who is called right now: what the screen shows.

A visitor is called when an agent has accepted them, not when one is asked: an offer may still go to somebody else.
They leave the board when they are served or wait again. The board is kept in memory only: after a restart it is
filled from the desk, which knows who is with whom, though not since when.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from router.engine import events as e
from router.engine.views import Inform


class Call(Struct, frozen=True):
    """One line of the screen, as `/v1/kiosk/now-serving` gives it."""

    ticket: str
    agent: str  # as customers see the name
    called_at_ms: int  # 0: before the last restart


class NowServing(Struct, frozen=True):
    """The whole screen, last called first."""

    now_ms: int
    serving: tuple[Call, ...]


class Board:
    """The last `limit` visitors who are called."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._calls: dict[int, Call] = {}  # by interaction, in the order of calling

    def refill(self, calls: Iterable[tuple[int, Call]]) -> None:
        self._calls = dict(calls)
        self._trim()

    def follow(self, news: Inform, ticket: str) -> None:
        """Take note of what happened to a visitor."""
        match news.event:
            case e.OfferAccepted():
                self._calls.pop(news.interaction, None)
                self._calls[news.interaction] = Call(ticket, news.agent_name, news.at_ms)
                self._trim()
            case e.InteractionEnded() | e.Requeued() | e.Transferred() | e.ConnectFailed():
                self._calls.pop(news.interaction, None)

    def show(self, now_ms: int) -> NowServing:
        return NowServing(now_ms, tuple(reversed(self._calls.values())))

    def __len__(self) -> int:
        return len(self._calls)

    def _trim(self) -> None:
        while len(self._calls) > self._limit:
            del self._calls[next(iter(self._calls))]
