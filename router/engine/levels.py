"""Service levels of late: how many contacts of a queue were answered within their target.

Counted where a wait ends: answered in time, answered late, or given up after the target; whoever gives up before it
says nothing. Who waits on although the target is up is late already, and counts when somebody asks, so a queue in which
nobody is answered any more does not keep the level of its better days.

Of each queue and channel there are a few slots of time with two whole numbers each, so memory is bounded, and two
machines count the same. Nothing is counted unless some rule looks at it (`State.levelled`).
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import takewhile
from typing import TYPE_CHECKING

from msgspec import Struct, field

from router.engine.lines import NONE
from router.engine.matching import ITEM_MASK
from router.engine.order import ITEM_BITS

if TYPE_CHECKING:
    from collections.abc import Collection

    from router.engine.entities import Interaction
    from router.engine.model import State

SLOTS = 30  # of a window: what is over leaves it in steps of a thirtieth

Counts = tuple[int, int]  # kept, all


class Level(Struct, array_like=True):
    """Slots, the oldest first: when each began, how many targets were kept in it, of how many."""

    slots: list[tuple[int, int, int]] = field(default_factory=list)

    def note(self, kept: bool, at_ms: int, window_ms: int) -> None:
        length = max(1, window_ms // SLOTS)
        begin = at_ms // length * length
        slots = self.slots
        while slots and slots[0][0] <= at_ms - window_ms:
            del slots[0]
        if slots and slots[-1][0] >= begin:
            since, good, total = slots[-1]
            slots[-1] = since, good + kept, total + 1
        else:
            slots.append((begin, int(kept), 1))
            del slots[: -SLOTS - 1]  # of a window that was divided otherwise there may be more

    def counts(self, now_ms: int, window_ms: int) -> Counts:
        recent = [slot for slot in self.slots if slot[0] > now_ms - window_ms]
        return sum(slot[1] for slot in recent), sum(slot[2] for slot in recent)


def note(s: State, item: Interaction, kept: bool, at_ms: int) -> None:
    """Its first wait is over."""
    levels = s.levels.setdefault(item.queue, {})
    level = levels.get(item.born.channel)
    if level is None:
        level = levels[item.born.channel] = Level()
    level.note(kept, at_ms, s.config.balance.window)


def forget(s: State) -> None:
    """What the configuration has no more, or no rule looks at."""
    if not s.levelled:
        s.levels.clear()
    for queue in [name for name in s.levels if name not in s.queues]:
        del s.levels[queue]
    for levels in s.levels.values():
        for channel in [name for name in levels if name not in s.config.channels]:
            del levels[channel]


def counts(s: State, queue: str, now_ms: int, channels: Collection[str] = ()) -> Counts:
    """How many targets the queue kept of late, of how many; by these channels, or by any."""
    window, kept, total = s.config.balance.window, 0, 0
    for channel, level in s.levels.get(queue, {}).items():
        if not channels or channel in channels:
            good, seen = level.counts(now_ms, window)
            kept, total = kept + good, total + seen
    return kept, total + late(s, queue, now_ms, channels)


def late(s: State, queue: str, now_ms: int, channels: Collection[str] = ()) -> int:
    """How many wait although their target is up."""
    m = s.matcher
    m.stand()
    return sum(
        _late_in(s, c, now_ms)
        for c in m.waiting_classes()
        if m.class_keys[c].queue == queue and (not channels or s.channels[m.class_keys[c].channel] in channels)
    )


def _late_in(s: State, c: int, now_ms: int) -> int:
    """Of one class: in it the older come first, so they are its first ones. They are taken to have one promise, as they
    have but where neither the order nor a rule looks at it."""
    m = s.matcher
    cooling = m.cooling.get(c, {}).values()
    held = (s.interactions[entry & ITEM_MASK] for entry in m.personal.walk(c))
    n = sum(1 for item in cooling if s.waited_ms(item, now_ms) > s.target_ms(item))
    n += sum(1 for _ in takewhile(lambda item: s.waited_ms(item, now_ms) > s.target_ms(item), held))
    head, rest, at = m.waiting.head[c], m.waiting.rest[c], m.waiting.at[c]
    if head == NONE:
        return n
    first = s.interactions[head & ITEM_MASK]
    clock, target = s.clock_of(first.queue), s.target_ms(first)

    def is_in_time(entry: int) -> bool:
        came = entry >> ITEM_BITS
        return (clock.between(came, now_ms) if clock is not None else now_ms - came) <= target

    if is_in_time(head):
        return n
    end = bisect_left(rest, True, at, key=is_in_time)
    gone = m.waiting.stale[c]
    return n + 1 + end - at - (sum(1 for entry in gone if not is_in_time(entry)) if gone else 0)
