"""Steps of relaxation plans that come by the expected wait (RT-7): before the wait is over, not after.

Looked at with each check of `balance`, so nothing is asked when a contact comes, and a step comes at most one period
late. Judged is what is still expected, by the median that customers are told (`waits`), of up to PORTION of a queue in
one check: the last in line, since whoever stands before them is expected to wait for less. Where a later step is
reached, all before it come along, and no further one before the next check: what the step lets in may make it needless.

No step comes by it where nothing can be told: too little is known, or nobody who fits is ready (a step's `when` is for
that). Steps never go back, so nothing flaps and there are no second thresholds.

*Must never be*: a look at every item; a consult between colleagues that is relaxed.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from heapq import nlargest
from typing import TYPE_CHECKING

from router.engine import events as e
from router.engine import waits
from router.engine.matching import ITEM_MASK

if TYPE_CHECKING:
    from router.engine.entities import Interaction
    from router.engine.model import State

EXPECTED_WAIT = "expected-wait"  # the cause of such a step
PORTION = 20  # so many of a queue are looked at in one check


def facts(s: State, moved: Container[int], now_ms: int) -> Iterator[e.RequirementRelaxed]:
    """`moved`: what goes elsewhere in this check, and has another plan there."""
    lines = _lines(s)
    for name in s.queues:
        if name in lines:
            items = (s.interactions[n] for n in lines[name] if n not in moved)
            for item in nlargest(PORTION, items, key=lambda item: s.matcher.rank_of(item, now_ms)):
                yield from _steps(s, item, now_ms)


def _lines(s: State) -> dict[str, list[int]]:
    """By queue, the last of each line that has such a step before it."""
    m, found = s.matcher, dict[str, list[int]]()
    m.stand()
    for c in m.waiting_classes():
        key = m.class_keys[c]
        ladder = m.reach.ladder_of(key)
        if ladder is not None and ladder.foresees(key.step):
            found.setdefault(key.queue, []).extend(_last(s, c))
    return found


def _last(s: State, c: int) -> Iterable[int]:
    """The last ones of a class, those among them who wait for agents by name; and all, who are few, who pass somebody
    over."""
    m = s.matcher
    yield from (entry & ITEM_MASK for entry in m.waiting.last(c, PORTION))
    yield from m.cooling.get(c, ())
    if c in m.personal.all:
        yield from (entry & ITEM_MASK for entry in m.personal.lines.last(m.personal.all[c], PORTION))


def _steps(s: State, item: Interaction, now_ms: int) -> Iterator[e.RequirementRelaxed]:
    told = waits.expected_ms(s, item, now_ms) if s.steps_of(item) else None
    ladder = s.ladder_of(item)
    if told is None or ladder is None:
        return
    for step in range(item.step + 1, ladder.foreseen(item.step, told) + 1):
        yield e.RequirementRelaxed(item.number, step, EXPECTED_WAIT)
        to = ladder.steps[step - 1].queue
        if to and s.may_move(item, to):
            return  # into another queue, which has another plan
