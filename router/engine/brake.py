"""When an agent who misses offers, or cannot be reached, is taken off, and when they are not (OF-4).

So many misses in a row make an agent not-ready: they are probably not there, and each further offer costs a customer
the time that it is open. But where everybody is slow at once, each removal leaves more work to fewer, who miss it in
turn, until nobody is left. It is the same with connections that fail in a row: each costs a customer a wait for a
telephone that is not answered, but a gateway that reaches nobody would take everybody off. The brake: an agent stays
when without them a queue that they work for would have lost more than `presence.brake_share` of its staff in those
ways, either

- within `presence.brake_window`, counting those who have come back since, or
- at this moment, however long ago it was: a slow collapse is one, too.

One agent of a queue may always go. Who stays is offered work as before, and an alert says so once in a window. Agents
belong to the staff of a queue when they meet its requirement, so one who serves several queues stays if any needs them.
"""

from __future__ import annotations

from collections.abc import Iterable

from router.engine import events as e
from router.engine.config import Queue
from router.engine.entities import MISSED, UNREACHED, Agent
from router.engine.events import Event
from router.engine.matching import ALL_CHANNELS
from router.engine.model import State


def after_miss(s: State, event: e.OfferExpired, now_ms: int) -> Iterable[Event]:
    """Too many misses in a row."""
    agent, limit = s.agents.get(event.agent), s.config.presence.misses
    if agent is None or not limit or agent.misses < limit:
        return ()
    return _taken_off(s, agent, MISSED, now_ms)


def after_failure(s: State, event: e.ConnectFailed, now_ms: int) -> Iterable[Event]:
    """Too many connections in a row that failed: the agent is there, and their telephone is not."""
    agent, limit = s.agents.get(event.agent), s.config.presence.connect_failures
    if agent is None or not limit or event.in_a_row < limit:
        return ()
    return _taken_off(s, agent, UNREACHED, now_ms)


def _taken_off(s: State, agent: Agent, reason: str, now_ms: int) -> Iterable[Event]:
    """Off, unless too many of a queue's staff went off that way just now."""
    if not agent.available:
        return ()
    can, alerts = spared(s, agent, now_ms)
    if not can:
        return alerts
    wait = s.config.presence.return_after
    return (e.StateChanged(agent.id, "not_ready", reason, "", now_ms + wait if wait else 0),)


def spared(s: State, agent: Agent, now_ms: int) -> tuple[bool, list[Event]]:
    """Whether every queue can spare this agent, and an alert for each that cannot."""
    since = now_ms - s.config.presence.brake_window
    can, alerts = True, list[Event]()
    for name, queue in s.queues.items():
        if not s.matcher.meets_node(agent, queue.config.requirement):
            continue
        gone, staff = _gone(s, name, queue.config, since)
        if gone:
            can = False
            if s.brakes.get(name, 0) <= since:
                alerts.append(
                    e.AlertRaised("brake", name, f"{gone} of {staff} agents went off for missed offers or connections")
                )
    return can, alerts


def _gone(s: State, name: str, queue: Queue, since_ms: int) -> tuple[int, int]:
    """How many are gone of how many, where one more would be too many; 0 where one more can go."""
    present = s.matcher.staff(queue.requirement, ALL_CHANNELS)
    lately = sum(1 for t in s.removals.get(name, ()) if t > since_ms)
    for gone in (lately, s.matcher.staff_off(queue.requirement)):
        if gone + 1 > max(1, int(s.config.presence.brake_share * (present + gone))):
            return gone, present + gone
    return 0, present
