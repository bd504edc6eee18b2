"""When an agent who misses offers is taken off, and when they are not (OF-4).

So many misses in a row make an agent not-ready: they are probably not there, and each further offer costs a customer
the time that it is open. But where everybody is slow at once, each removal leaves more work to fewer, who miss it in
turn, until nobody is left. The brake: an agent stays when without them a queue that they work for would have lost more
than `presence.brake_share` of its staff in that way, either

- within `presence.brake_window`, counting those who have come back since, or
- at this moment, however long ago it was: a slow collapse is one, too.

One agent of a queue may always go. Who stays is offered work as before, and an alert says so once in a window. Agents
belong to the staff of a queue when they meet its requirement, so one who serves several queues stays if any needs them.
"""

from __future__ import annotations

from router.engine import events as e
from router.engine.config import Queue
from router.engine.events import Event
from router.engine.matching import ALL_CHANNELS
from router.engine.model import Agent, State

MISSED = "missed-offers"  # why an agent was taken off; removals are counted by it


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
                alerts.append(e.AlertRaised("brake", name, f"{gone} of {staff} agents went off for missed offers"))
    return can, alerts


def _gone(s: State, name: str, queue: Queue, since_ms: int) -> tuple[int, int]:
    """How many are gone of how many, where one more would be too many; 0 where one more can go."""
    present = s.matcher.staff(queue.requirement, ALL_CHANNELS)
    lately = sum(1 for t in s.removals.get(name, ()) if t > since_ms)
    for gone in (lately, s.matcher.staff_off(queue.requirement)):
        if gone + 1 > max(1, int(s.config.presence.brake_share * (present + gone))):
            return gone, present + gone
    return 0, present
