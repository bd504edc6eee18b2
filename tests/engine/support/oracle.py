"""A naive matcher without any index: it looks at everything, in fractions, and says who gets what next.

It knows RT-1 (one order over everything that waits), RT-6 (of all who can take it, the longest idle) and how offers to
several agents at once are made. Every offer of the engine is compared with what it says, one by one.
"""

from __future__ import annotations

from fractions import Fraction

from router.engine import events as e
from router.engine.events import Event
from router.engine.invariants import could_take
from router.engine.model import Agent, Interaction, State
from router.engine.transitions import OFFERED, QUEUED


def order(s: State, item: Interaction, now_ms: int) -> tuple[int, Fraction, int, int]:
    """Where the interaction stands in the one order over everything; smaller comes first."""
    queue = s.config.queues[item.queue]
    bands = [band.name for band in s.config.bands]
    band = next(b for b in (item.band, queue.band, s.config.default_band) if b in bands)
    wanted = item.target_ms or queue.targets.get(item.born.channel) or queue.target
    target = wanted or s.config.channels[item.born.channel].target
    weight = Fraction(item.weight or queue.weight)
    used = weight * (now_ms - item.enqueued_at_ms + int(queue.head_start)) / int(target)
    return (0 if item.lifted else bands.index(band), -used, item.enqueued_at_ms, item.number)


def able(s: State, item: Interaction) -> list[Agent]:
    """Who could take it now, the longest idle first."""
    return sorted((a for a in s.agents.values() if could_take(s, a, item)), key=lambda a: a.stamp)


def first_pair(s: State, now_ms: int) -> tuple[int, str] | None:
    """Of everything that waits and that somebody can take, what comes first, and who gets it."""
    waiting = (item for item in s.interactions.values() if item.state == QUEUED)
    for item in sorted(waiting, key=lambda item: order(s, item, now_ms)):
        agents = able(s, item)
        if agents:
            return item.number, agents[0].id
    return None


class Oracle:
    """Follows the records and foretells each offer."""

    def __init__(self) -> None:
        self.showing: e.OfferMade | None = None  # the interaction that may be shown to further agents

    def before(self, s: State, event: Event, now_ms: int) -> list[str]:
        """What is wrong with this event, which is about to be applied."""
        if type(event) is not e.OfferMade or event.cause != "routed":
            return []
        expected = self._expected(s, now_ms)
        self.showing = event
        if (event.interaction, event.agent) == expected:
            return []
        return [f"offered {event.interaction} to {event.agent}; expected {expected}"]

    def settled(self, s: State, now_ms: int) -> list[str]:
        """What is wrong when a command stops here."""
        expected = self._expected(s, now_ms)
        self.showing = None
        return [f"stopped before offering {expected}"] if expected else []

    def _expected(self, s: State, now_ms: int) -> tuple[int, str] | None:
        further = self._further(s)
        if further is not None:
            return further
        self.showing = None
        return first_pair(s, now_ms)

    def _further(self, s: State) -> tuple[int, str] | None:
        """The next agent who is shown the interaction that was shown just now."""
        if self.showing is None:
            return None
        item = s.interactions.get(self.showing.interaction)
        if item is None or item.state != OFFERED or len(item.offers) >= s.config.queues[item.queue].parallel_offers:
            return None
        seen = {s.offers[n].agent for n in item.offers}
        others = [a.id for a in able(s, item) if a.id not in seen]
        return (item.number, others[0]) if others else None
