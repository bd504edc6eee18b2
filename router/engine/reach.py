"""How near to being served each class is: whether anybody who is ready, signed in, or configured at all fits it (RT-9).

    now         somebody who fits is free (what waits is so only while it passes them over, or is held for another)
    busy        somebody who fits is signed in, but at work or on a break
    signed-out  those who fit are all signed out
    nobody      nobody fits

Kept for each class and never for an interaction. Agents count by kind (profile, channels that they ever have room for),
and a class knows how many kinds that fit it have somebody at least so near; so an agent who comes or goes costs
something only where they are the first or the last of their kind, and an arrival costs nothing.

Derived from the state as all of the matcher's. What follows from it is decided in `unservable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.engine.entities import Agent
    from router.engine.matching import ClassKey, Matcher
    from router.engine.relaxation import Ladder
    from router.engine.requirements import Node

GONE, CONFIGURED, SIGNED_IN, READY = range(4)
LEVELS = (CONFIGURED, SIGNED_IN, READY)
NEARNESS = NOW, BUSY, SIGNED_OUT, NOBODY = ("now", "busy", "signed-out", "nobody")
Kind = tuple[int, int]  # profile, bit set of channels


def level_of(agent: Agent) -> int:
    if agent.retired:
        return GONE
    if agent.counted:
        return READY
    return SIGNED_IN if agent.sessions else CONFIGURED


class Reach:
    """See the module. `restless` says whether anything has to be looked at after a command."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self.ladders: Mapping[str, Ladder] = {}  # of queues
        self.plans: Mapping[str, Ladder] = {}  # of routing rules
        self.kinds: tuple[dict[Kind, int], ...] = ({}, {}, {})  # agents of that kind who are at least so near, by level
        self.where: dict[str, tuple[Kind, int]] = {}
        self.able: dict[int, list[int]] = {}  # class -> how many kinds that fit have such an agent, by level
        # bit sets of classes
        self.unready = 0  # nobody who fits is ready
        self.stranded = 0  # nobody who fits is signed in
        self.barren = 0  # nobody fits
        self.called = 0  # and their queue's plan has a step for that
        self.reported = False  # something is noted as unserved
        self.restless = False
        self.seen: tuple[int, int] | None = None  # of what waits, stranded and barren when all was last noted

    # --- agents ----------------------------------------------------------------------------------------------------

    def note(self, agent: Agent) -> None:
        """The agent may have come nearer, or gone further away."""
        level, kind = level_of(agent), (agent.profile, agent.capacity.room(0))
        former, before = self.where.get(agent.id, (kind, GONE))
        if former != kind:
            self._move(former, before, GONE)
            before = GONE
        self._move(kind, before, level)
        self.where[agent.id] = (kind, level)
        self._matcher.personal.note(agent)

    def _move(self, kind: Kind, before: int, after: int) -> None:
        for level in range(before, after):
            self._count(kind, level, 1)
        for level in range(after, before):
            self._count(kind, level, -1)

    def _count(self, kind: Kind, level: int, change: int) -> None:
        counts = self.kinds[level]
        n = counts[kind] = counts.get(kind, 0) + change
        if n and n != change:
            return  # neither the first nor the last of their kind
        m = self._matcher
        for r in m.meets[kind[0]]:
            for c in m.classes_with[r]:
                if kind[1] >> m.class_keys[c].channel & 1:
                    self.able[c][level] += 1 if n else -1
                    self._judge(c)

    def ladder_of(self, key: ClassKey) -> Ladder | None:
        """The plan by which a class asks for less."""
        return self.plans.get(key.plan) if key.plan else self.ladders.get(key.queue)

    # --- classes ---------------------------------------------------------------------------------------------------

    def add(self, c: int) -> None:
        """A class that is new, with its requirement and key in place."""
        key = self._matcher.class_keys[c]
        self.able[c] = [self.fitting(key.requirement, key.channel, level) for level in LEVELS]
        self._judge(c)

    def forget(self, c: int) -> None:
        del self.able[c]
        keep = ~(1 << c)
        self.unready, self.stranded, self.barren = self.unready & keep, self.stranded & keep, self.barren & keep
        self.called &= keep
        self.seen = None  # its number will be another's
        self.settle()

    def fitting(self, node: Node, channel: int, level: int) -> int:
        """How many kinds that meet this requirement have somebody at least so near."""
        m = self._matcher
        r = m.requirement_ids[node]
        counts = self.kinds[level - 1].items()
        return sum(1 for (p, room), n in counts if n and room >> channel & 1 and r in m.meets[p])

    def _judge(self, c: int) -> None:
        configured, signed_in, ready = self.able[c]
        self.unready = _with(self.unready, c, not ready)
        self.stranded = _with(self.stranded, c, not signed_in)
        self.barren = _with(self.barren, c, not configured)
        key = self._matcher.class_keys[c]
        ladder = self.ladder_of(key)
        self.called = _with(self.called, c, ladder is not None and ladder.calls(key.step, bool(signed_in), bool(ready)))
        self.settle()

    def settle(self) -> None:
        here = bool(self.stranded or self.called or self.reported)
        self.restless = here or self._matcher.personal.restless()

    def of(self, c: int) -> str:
        """How near a class is, other than to somebody who is free."""
        if self.barren >> c & 1:
            return NOBODY
        return SIGNED_OUT if self.stranded >> c & 1 else BUSY


def _with(bits: int, c: int, wanted: bool) -> int:
    return bits | 1 << c if wanted else bits & ~(1 << c)
