"""Capacity over a history: what a single state cannot tell (CP-2)."""

from __future__ import annotations

from collections import Counter

from router.engine import events as e
from router.engine.entities import Agent
from router.engine.events import Event
from router.engine.invariants.counting import held_by, is_suspended, within_capacity, within_caps, work_of
from router.engine.model import State


class Watch:
    """Follows a history event by event and tells where capacity was exceeded without anybody asking for it (CP-2).

    Two things excuse more than capacity allows: an assignment that says `override`, and a configuration that lowers it
    under what somebody has. The excuse ends when the agent is within capacity again.
    """

    def __init__(self) -> None:
        self.excused: set[str] = set()

    def after(self, s: State, event: Event) -> list[str]:
        """What the event, which was just applied, broke."""
        over = {a.id for a in s.agents.values() if not within_caps(s, a)}
        if type(event) is e.Configured:
            self.excused = {a.id for a in s.agents.values() if _has_too_much(s, a)}
        elif type(event) is e.OfferMade and event.cause == "assign-override":
            self.excused.add(event.agent)
        wrong = [f"{name} has more than capacity allows after {event}" for name in sorted(over - self.excused)]
        self.excused = {name for name in self.excused if name in s.agents and _has_too_much(s, s.agents[name])}
        return wrong


def _has_too_much(s: State, agent: Agent) -> bool:
    """Even if offers are declined. What was suspended under a larger cap is continued all the same: it is theirs."""
    if not within_capacity(s, agent, held_by(s, agent)):
        return True
    aside = Counter(item.born.channel for item in work_of(s, agent) if is_suspended(s, item))
    return any(not within_capacity(s, agent, Counter([channel])) for channel in aside)
