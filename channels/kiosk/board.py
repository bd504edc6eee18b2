"""Who is called right now: what the screen shows.

A visitor is called when an agent has accepted them, not when one is asked: an offer may still go to somebody else.
Called once more they come to the top again, and the screen shows how often. They leave the board when they are served
or wait again, and do not stand out any more once they have come. The board is kept in memory only: after a restart it
is filled from the desk, which knows who is with whom, though not since when.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from router.engine import events as e
from router.engine.views import Inform


class Call(Struct, frozen=True, omit_defaults=True):
    """One line of the screen, as `/v1/kiosk/now-serving` gives it."""

    ticket: str
    agent: str  # as customers see the name
    called_at_ms: int  # of the last call; 0: before the last restart
    site: str = ""
    calls: int = 0  # how often, where visitors have to say that they are there
    arrived: bool = False  # they have


class NowServing(Struct, frozen=True):
    """The whole screen, last called first."""

    now_ms: int
    serving: tuple[Call, ...]


class Board:
    """The last `limit` visitors who are called, of each site."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._calls: dict[int, Call] = {}  # by interaction, in the order of calling

    def refill(self, calls: Iterable[tuple[int, Call]]) -> None:
        self._calls = {}
        for number, call in calls:
            self._put(number, call)

    def follow(self, news: Inform, ticket: str, site: str = "") -> None:
        """Take note of what happened to a visitor."""
        number, known = news.interaction, self._calls.get(news.interaction)
        match news.event:
            case e.OfferAccepted():
                self._put(number, Call(ticket, news.agent_name, news.at_ms, site))
            case e.CustomerCalled(calls=calls):
                self._put(number, Call(ticket, news.agent_name, news.at_ms, site, calls))
            case e.ConnectionConfirmed() if known is not None:
                self._calls[number] = replace(known, arrived=True)
            case e.InteractionEnded() | e.Requeued() | e.Transferred() | e.ConnectFailed():
                self._calls.pop(number, None)

    def show(self, now_ms: int, site: str | None = None) -> NowServing:
        """Of one site, or of all."""
        calls = (call for call in reversed(self._calls.values()) if site is None or call.site == site)
        return NowServing(now_ms, tuple(calls))

    def __len__(self) -> int:
        return len(self._calls)

    def _put(self, number: int, call: Call) -> None:
        self._calls.pop(number, None)
        self._calls[number] = call
        same = [known for known, other in self._calls.items() if other.site == call.site]
        for oldest in same[: -self._limit]:
            del self._calls[oldest]
