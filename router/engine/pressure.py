"""How hard pressed a queue is: whether it needs help, and whether it has any to spare.

Three measures, each of which takes as long for a thousand agents and waiting contacts as for one:

    expected wait    of somebody who came now, by the median that customers are told (`waits`); nothing while somebody
                     is free, without an end while nobody is ready
    share of target  that the one who waits longest in proportion to it has used
    service level    of late (`levels`)

They are the queue's own: who is lent to it, and what its agents take of others', plays no part in an expected wait. So
what is measured does not change because a gate does (`lending`), and help does not end because it helps.

A value has two thresholds, and which of them counts depends on what is going on: help that goes on ends later than it
would begin. Each answer comes with its reason, in words that go on after the queue's name and a colon.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

from msgspec import Struct

from router.engine import levels
from router.engine.config import Duration, Need, Spare
from router.engine.crews import crew
from router.engine.sayings import Saying, joined, say
from router.engine.waits import QUEUE_LENGTH, newcomer

if TYPE_CHECKING:
    from router.engine.matching import ClassKey
    from router.engine.model import State
    from router.engine.requirements import Node

FOREVER_MS = 1 << 62
FEW = 5  # fewer answered contacts than this say nothing of a level that is too low


class Finding(Struct, frozen=True):
    """Whether it is so, and why."""

    holds: bool
    said: Saying


# --- measures ---------------------------------------------------------------------------------------------------------


def expected_ms(s: State, queue: str, channel: str, node: Node, came_ms: int, now_ms: int, more: int = 0) -> int | None:
    """How long somebody who asks for this, and came at that time, would still wait in the queue with `more` others
    ahead. None: too little is known."""
    m, c = s.matcher, s.channel_index[channel]
    m.stand()
    free = m.free(node, c)
    if free > more:
        return 0
    if not crew(m, node, c).bits:
        return FOREVER_MS
    told = newcomer(s, queue, channel, node, came_ms, now_ms, more - free)
    if not told.method:
        return None
    pace = s.paces.get(queue, {}).get(channel)
    return ceil(told.p50_ms * (pace.factor50 if pace is not None and told.method == QUEUE_LENGTH else 1.0))


def expected_by_channel(s: State, queue: str, now_ms: int, channels: Collection[str] = ()) -> Iterator[int | None]:
    """For each channel by which something waits, or has come of late."""
    node = s.queues[queue].config.requirement
    waiting = {s.channels[key.channel] for key in _waiting(s, queue)}
    for channel in sorted(waiting.union(s.paces.get(queue, ()))):
        if channel in s.config.channels and (not channels or channel in channels):
            yield expected_ms(s, queue, channel, node, now_ms, now_ms)


def _waiting(s: State, queue: str) -> Iterator[ClassKey]:
    """The classes of the queue in which something waits."""
    s.matcher.stand()
    keys = s.matcher.class_keys
    return (keys[c] for c in s.matcher.waiting_classes() if keys[c].queue == queue)


def share(s: State, queue: str, now_ms: int, channels: Collection[str] = ()) -> float:
    """What has been used of the target, by the one of whose target most is used; 0 if nothing waits."""
    oldest = (item for item in s.first_in(queue) if not channels or item.born.channel in channels)
    return max((s.waited_ms(item, now_ms) / s.target_ms(item) for item in oldest), default=0.0)


# --- judged -----------------------------------------------------------------------------------------------------------


def need(s: State, queue: str, rule: Need, helped: bool, now_ms: int) -> Finding:
    """Whether the queue needs help, or needs it still."""
    found = list(_needs(s, queue, rule, helped, now_ms))
    holding = [part for part in found if part.holds]
    return Finding(bool(holding), joined("and", (part.said for part in holding or found)))


def _needs(s: State, queue: str, rule: Need, helped: bool, now_ms: int) -> Iterator[Finding]:
    if rule.wait is not None:
        yield _long_wait(s, queue, rule, helped, now_ms)
    if rule.share is not None:
        used = share(s, queue, now_ms, rule.channels)
        until = rule.share / 2 if rule.share_until is None else rule.share_until
        holds = used > until if helped else used >= rule.share
        wanted = say("more-than", what=_percent(until)) if helped else _percent(rule.share)
        yield Finding(holds, _told("share", holds, wanted, share=_percent(used)))
    if rule.level_below is not None:
        yield _low_level(s, queue, rule, rule.level_below, helped, now_ms)


def _long_wait(s: State, queue: str, rule: Need, helped: bool, now_ms: int) -> Finding:
    assert rule.wait is not None, "it was asked for"
    until = rule.wait // 2 if rule.wait_until is None else int(rule.wait_until)
    told = [ms for ms in expected_by_channel(s, queue, now_ms, rule.channels) if ms is not None]
    ms = max(told, default=0)
    holds = ms > until if helped else ms >= rule.wait
    wanted = say("more-than", what=str(Duration(until))) if helped else str(rule.wait)
    return Finding(holds, _told("wait", holds, wanted, wait=_span(ms)))


def _low_level(s: State, queue: str, rule: Need, below: float, helped: bool, now_ms: int) -> Finding:
    kept, total = levels.counts(s, queue, now_ms, rule.channels)
    until = (_exact(below) + 1) / 2 if rule.level_until is None else _exact(rule.level_until)
    limit = until if helped else _exact(below)
    if total < FEW:
        return Finding(False, say("level-unknown"))
    holds = kept < limit * total
    return Finding(holds, _told("level", holds, say("less-than", what=_percent(limit)), level=_percent(kept / total)))


def spare(s: State, queue: str, rule: Spare, lending: bool, now_ms: int) -> Finding:
    """Whether the queue has agents to spare, or has some still."""
    found = list(_spares(s, queue, rule, lending, now_ms))
    failing = [part for part in found if not part.holds]
    return Finding(not failing, joined("and", (part.said for part in failing or found)))


def _spares(s: State, queue: str, rule: Spare, lending: bool, now_ms: int) -> Iterator[Finding]:
    if rule.wait_below is not None:
        until = 2 * rule.wait_below if rule.wait_until is None else int(rule.wait_until)
        yield _short_wait(s, queue, rule, until if lending else int(rule.wait_below), now_ms)
    if rule.level_above is not None:
        kept, total = levels.counts(s, queue, now_ms, rule.channels)
        above = _exact(rule.level_above)
        least = max(Fraction(0), 2 * above - 1) if rule.level_until is None else _exact(rule.level_until)
        limit = least if lending else above
        holds = kept >= limit * total
        level = _percent(kept / total if total else 1)
        yield Finding(holds, _told("own-level", holds, say("at-least", what=_percent(limit)), level=level))


def _short_wait(s: State, queue: str, rule: Spare, limit_ms: int, now_ms: int) -> Finding:
    """Whether its own expected wait is known, and short enough."""
    told = list(expected_by_channel(s, queue, now_ms, rule.channels))
    known = [ms for ms in told if ms is not None]
    ms = max(known, default=0)
    if len(known) < len(told) and ms < limit_ms:
        return Finding(False, say("own-wait-unknown"))
    holds = ms < limit_ms
    return Finding(holds, _told("own-wait", holds, say("less-than", what=str(Duration(limit_ms))), wait=_span(ms)))


def _told(what: str, holds: bool, wanted: str, **given: str) -> Saying:
    """How it is, and how it must be where it is not so."""
    return say(f"{what}-is", **given) if holds else say(f"{what}-must", wanted=wanted, **given)


def _span(ms: int) -> str:
    if ms >= FOREVER_MS:
        return say("endless")
    return str(Duration(ms - ms % 1_000 if ms > 1_000 else ms))


def _exact(part: float) -> Fraction:
    """The decimal fraction that a person wrote, not its nearest binary one."""
    return Fraction(repr(part))


def _percent(part: float | Fraction) -> str:
    return f"{100 * float(part):.3g} %"
