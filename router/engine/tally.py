"""A queue's day in figures: answered, answered in time, given up.

Counted where a first wait ends: somebody accepted it, or the customer left before anybody had. Whoever is moved, sent
away or called back says nothing here. Each quarter of an hour has one count of each kind and queue, so every whole,
half and quarter hour is a beginning that can be asked for: midnight is where the person who asks has it, and the
engine need not know where that is. Counts are kept for `figures.keep`, they are primary, and two machines count the
same.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from msgspec import Struct, field

from router.errors import ConfigError

if TYPE_CHECKING:
    from router.engine.config import Config
    from router.engine.entities import Interaction
    from router.engine.model import State

QUARTER_MS = 900_000
LONGEST_MS = 8 * 86_400_000  # 769 quarters of a queue; a snapshot carries them all


class Tally(Struct, array_like=True):
    """Quarters in which anything happened, the oldest first, as one list for each kind of count."""

    begins: list[int] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)  # of the answered: within their target
    abandoned: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)  # of the abandoned: after their target
    short: list[int] = field(default_factory=list)  # of the abandoned: so soon that it says nothing about the house

    def columns(self) -> tuple[list[int], ...]:
        return self.begins, self.answered, self.kept, self.abandoned, self.late, self.short

    def turn(self, at_ms: int, keep_ms: int) -> None:
        """The quarter that is now is the last one."""
        begin = at_ms // QUARTER_MS * QUARTER_MS
        if self.begins and self.begins[-1] >= begin:
            return
        self.drop(at_ms - keep_ms)
        for column in self.columns():
            column.append(0)
        self.begins[-1] = begin

    def drop(self, before_ms: int) -> None:
        """Quarters that were over before that."""
        over = bisect_left(self.begins, before_ms // QUARTER_MS * QUARTER_MS)
        if over:
            for column in self.columns():
                del column[:over]


class Counts(Struct, frozen=True, gc=False):
    answered: int
    kept: int
    abandoned: int
    late: int
    short: int


def note(s: State, item: Interaction, waited_ms: int, kept: bool, served: bool, at_ms: int) -> None:
    """Its first wait is over: somebody has it (`served`), or the customer gave up."""
    tally = s.tallies.get(item.queue)
    if tally is None:
        tally = s.tallies[item.queue] = Tally()
    tally.turn(at_ms, s.config.figures.keep)
    if served:
        tally.answered[-1] += 1
        tally.kept[-1] += kept
    else:
        tally.abandoned[-1] += 1
        tally.late[-1] += not kept
        tally.short[-1] += waited_ms < s.config.figures.short


def forget(s: State) -> None:
    """What the configuration has no more, or does not want counted."""
    if not s.tallied:
        s.tallies.clear()
    for queue in [name for name in s.tallies if name not in s.queues]:
        del s.tallies[queue]
    for tally in s.tallies.values():
        tally.drop(s.now_ms - s.config.figures.keep)


def counts(s: State, queue: str, since_ms: int, now_ms: int) -> Counts | None:
    """Since the quarter in which that moment lies, as far back as is kept; None where nothing is counted."""
    if not s.tallied:
        return None
    tally = s.tallies.get(queue)
    if tally is None:
        return Counts(0, 0, 0, 0, 0)
    first = bisect_left(tally.begins, begin_of(s, since_ms, now_ms))
    return Counts(*(sum(column[first:]) for column in tally.columns()[1:]))


def begin_of(s: State, since_ms: int, now_ms: int) -> int:
    """From when counts are told to somebody who asks for those since then."""
    return max(since_ms // QUARTER_MS, (now_ms - s.config.figures.keep) // QUARTER_MS) * QUARTER_MS


def check_figures(config: Config) -> None:
    """Raises ConfigError."""
    keep = config.figures.keep
    if keep and not QUARTER_MS <= keep <= LONGEST_MS:
        raise ConfigError("figures.keep", "15m to 8d, or 0s to count nothing", str(keep))
    if keep and config.figures.short > keep:
        expected = f"no longer than figures.keep ({keep}), or all who leave would leave too soon to count"
        raise ConfigError("figures.short", expected, str(config.figures.short))
