"""How often an interaction that everybody refuses is offered again (OF-3).

Whoever declined or missed an interaction is passed over until all others were tried; when all were, a *round* is over
and all are eligible again, at once: a customer must not wait for nobody. But a client that declines by itself would be
offered the same thing thousands of times in a second, and two of them would pass it back and forth.

So the first FREE rounds follow each other at once, which is more often than a person declines the same thing. From
then on a round begins no sooner than a floor after the one before it, a second at first and twice as long each time,
up to LONGEST_MS. A round that took longer by itself, as one of missed offers does, is not delayed. During such a pause
whoever has not refused yet is still asked at once; all others are passed over until its end, by the same deadlines as
after a refusal.

An acceptance, a transfer that somebody asked for and the end forget the rounds. Only `evolve` calls what changes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappush

from router.engine.entities import Interaction, Round
from router.engine.model import COOL_OFF_DUE, State

FREE = 5
FLOOR_MS = 1_000
LONGEST_MS = 30_000


def floor_ms(rounds: int) -> int:
    """How long after the beginning of the last one of so many rounds the next one may begin."""
    if rounds <= FREE:
        return 0
    return min(FLOOR_MS << min(rounds - FREE - 1, 20), LONGEST_MS)


def refused(s: State, item: Interaction, agent: str) -> None:
    """Without a cool-off nobody is passed over, and who has been asked is remembered here."""
    found = s.rounds.get(item.number) or Round(item.number, 0, s.now_ms)
    names = tuple(dict.fromkeys((*found.refused, agent)))
    s.rounds[item.number] = Round(item.number, found.done, found.since_ms, found.paused_until_ms, names)


def asked(s: State, item: Interaction) -> Iterable[str]:
    """Who has refused in this round."""
    found = s.rounds.get(item.number) if s.rounds else None
    return (*item.tried, *found.refused) if found is not None else item.tried


def is_paused(s: State, item: Interaction) -> bool:
    """Its next round is still to begin: the deadlines of the pause have not come yet."""
    found = s.rounds.get(item.number) if s.rounds else None
    return found is not None and found.paused_until_ms > 0 and found.paused_until_ms in item.tried.values()


def next_round(s: State, item: Interaction, names: Iterable[str]) -> None:
    """All these were asked, and there is nobody else: at once again, or after a pause."""
    if is_paused(s, item):
        return
    found, now = s.rounds.get(item.number), s.now_ms
    done = found.done + 1 if found is not None else 1
    begins = max(now, (found.since_ms if found is not None else now) + floor_ms(done))
    s.rounds[item.number] = Round(item.number, done, begins, begins if begins > now else 0)
    item.tried = dict.fromkeys(names, begins) if begins > now else {}
    for name in item.tried:
        heappush(s.timers, (begins, COOL_OFF_DUE, item.number, name))
