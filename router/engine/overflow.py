"""Overflow: what would have to wait too long in one queue waits in another one that would serve it soon (RT-11).

Who moves are the last in line: by the order they would wait longest, and whoever stands before them is served as soon
as before. At each check (`balance`) it is asked of up to PORTION of them, one by one, how long they are expected to
wait still, and how long they would there, with those who have just been sent ahead of them. So a check costs the same
however many wait, and a queue that others overflow to is never filled beyond its own bound.

What overflows keeps the time at which it came and what was asked for on top. It never goes back to a queue out of which
rules have moved it (`State.left`), and nowhere once they have moved it `balance.overflows` times. So two queues may
overflow to one another, and nothing goes to and fro. What must never be: somebody who waits for one agent alone, a
colleague who is asked, or a callback, that is moved by this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import nlargest
from typing import TYPE_CHECKING

from router.engine import admission, pressure, waits
from router.engine import events as e
from router.engine.config import Overflow
from router.engine.matching import ITEM_MASK
from router.engine.requirements import both

if TYPE_CHECKING:
    from router.engine.entities import Interaction
    from router.engine.model import State

OVERFLOW = "overflow"  # the cause of such a move
PORTION = 20  # so many of a queue are looked at in one check


def facts(s: State, now_ms: int) -> Iterator[e.Moved]:
    sent: dict[tuple[str, str], int] = {}  # (queue, channel) -> how many go there in this check
    for name, queue in s.queues.items():
        if queue.config.overflow and queue.waiting:
            for item in last_in_line(s, name, now_ms):
                to = _way(s, item, queue.config.overflow, sent, now_ms)
                if to:
                    sent[to, item.born.channel] = sent.get((to, item.born.channel), 0) + 1
                    yield e.Moved(item.number, to, OVERFLOW)


def last_in_line(s: State, name: str, now_ms: int) -> Iterable[Interaction]:
    """Of those who stand in the queue's lines the last ones by the order, the very last first."""
    m = s.matcher
    m.stand()
    lines = (m.waiting.last(c, PORTION) for c in m.waiting_classes() if m.class_keys[c].queue == name)
    items = (s.interactions[entry & ITEM_MASK] for line in lines for entry in line)
    return nlargest(PORTION, items, key=lambda item: m.rank_of(item, now_ms))


def _way(
    s: State, item: Interaction, rules: tuple[Overflow, ...], sent: dict[tuple[str, str], int], now_ms: int
) -> str:
    """Where it goes; "" if it stays."""
    if item.given_to or admission.is_ours(s, item):
        return ""
    told = waits.expected_ms(s, item, now_ms)
    open_to = (rule for rule in rules if told is not None and told > rule.wait and may_go(s, item, rule.to))
    return next((rule.to for rule in open_to if _has_room(s, item, rule, sent, now_ms)), "")


def may_go(s: State, item: Interaction, to: str) -> bool:
    """Whether rules have not moved it out of there, nor too often from where it was, and the queue lets it come."""
    if not s.may_move(item, to) or len(s.left.get(item.number, ())) >= s.config.balance.overflows:
        return False
    lasting = s.config.channels[item.born.channel].lasting
    return admission.against(s, to, lasting, s.queues[to].waiting) is None


def _has_room(s: State, item: Interaction, rule: Overflow, sent: dict[tuple[str, str], int], now_ms: int) -> bool:
    """For who would come there now, and for this one with its own time and what it asks for on top."""
    channel, usual = item.born.channel, s.queues[rule.to].config.requirement
    more = sent.get((rule.to, channel), 0)
    asked = both(usual, item.requirement) if item.requirement is not None else usual
    for node, came_ms in ((usual, now_ms), (asked, item.enqueued_at_ms)):
        told = pressure.expected_ms(s, rule.to, channel, node, came_ms, now_ms, more)
        if told is None or told >= rule.below:
            return False
    return True
