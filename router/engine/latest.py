"""The latest time by which a waiting interaction can no longer be overtaken (RT-1: nothing waits for ever).

From that moment on, whatever is enqueued later is not offered before it to an agent who fits both. What was there
before may still come first, but that is a bounded number of interactions, and it only shrinks.

Two things let something newer come first, and both end:

- a more urgent band, until the time that its own band allows (`bands[].cap`) brings it into the first one;
- more urgency inside the band, until it has waited `order.cap` times its target and only age counts. `first-come` lets
  nothing newer come first, and `deadline` nothing that is enqueued after the interaction's own deadline.

Where only open hours count as waiting (`Queue.clock`), the cap is reached by these; and by `first-come` and `deadline`
there is no latest time, since what comes while the calendar is closed goes on ageing.

Where one of them has no end, by a cap of zero, there is no latest time: None. What people do by hand (a pick, an
assignment, another priority) is theirs to answer for.
"""

from __future__ import annotations

from router.engine.entities import Interaction
from router.engine.model import State

BY_DEADLINE, BY_AGE = "deadline", "first-come"


def latest_overtaken_at_ms(s: State, item: Interaction) -> int | None:
    """Unix ms; None if there is no such time under this configuration."""
    in_band, by_urgency = _first_band_at_ms(s, item), _foremost_at_ms(s, item)
    return None if in_band is None or by_urgency is None else max(in_band, by_urgency)


def _first_band_at_ms(s: State, item: Interaction) -> int | None:
    """When it stands in the first band at the latest."""
    rank = s.rank_of_band(item)
    if not rank:
        return item.enqueued_at_ms
    cap = s.config.bands[rank].cap
    return s.due_after(item, cap) or None if cap else None


def _foremost_at_ms(s: State, item: Interaction) -> int | None:
    """From when on nothing newer can be more urgent in the same band."""
    policy, target = s.config.order.policy, s.target_ms(item)
    clock = s.clock_of(item.queue)
    if clock is not None:
        times = 0 if policy in (BY_AGE, BY_DEADLINE) else s.config.order.cap
        return (s.due_after(item, times * target) or None) if times else None
    if policy == BY_AGE:
        return item.enqueued_at_ms
    times = 1 if policy == BY_DEADLINE else s.config.order.cap
    return item.enqueued_at_ms + times * target if times else None
