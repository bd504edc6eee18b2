"""Personal lines: what waits for agents by name, apart from what waits for everybody who fits (RT-8).

An interaction that is held for an agent stands in that agent's own line for its class, and in none that others look at:
however much is held for somebody, nobody else notices (RT-4). A freed agent compares the heads of their own lines with
the best head of the general ones. So what is held costs by the number of its classes, not by its length.

Where it is held for several, it stands in the line of each, and of several who are free the first one named gets it.
All that is held in a class stands, once more, in a line of the class, for those who count or list what waits.

What is *required* may wait for people who are not there. It is grouped by class and agents, and each group knows how
near its nearest agent is, as `reach` knows it of whole classes.

Derived from the state, as all of the matcher's; `preferred` says what may stand here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from router.engine.order import BY_TIME_ALONE, ITEM_BITS, favoured
from router.engine.reach import BUSY, GONE, NOBODY, READY, SIGNED_IN, SIGNED_OUT, level_of
from router.engine.requirements import Node, both, canonical

if TYPE_CHECKING:
    from router.engine.entities import Agent, Interaction, Preferred
    from router.engine.lines import Lines
    from router.engine.matching import Matcher, Rank

ITEM_MASK = (1 << ITEM_BITS) - 1
GroupKey = tuple[int, tuple[str, ...]]  # class, agents
Wanted = tuple[str, int, Node]  # queue, channel, what is asked for there


class Group:
    """What is required of the same agents in one class."""

    __slots__ = ("agents", "near", "numbers", "place", "wanted")

    def __init__(self, place: int, agents: tuple[str, ...], wanted: Wanted) -> None:
        self.place, self.agents = place, agents
        self.wanted = wanted  # what the class asks for, of one of these agents
        self.numbers: dict[int, None] = {}
        self.near = GONE  # how near the nearest of them is who fits, as `reach.level_of`

    @property
    def servable(self) -> str:
        """How near it is to being served, other than by somebody who is free."""
        if self.near >= SIGNED_IN:
            return BUSY
        return SIGNED_OUT if self.near else NOBODY


class PersonalLines:
    """See the module."""

    __slots__ = (
        "all",
        "called",
        "changed",
        "classes",
        "cooling",
        "first",
        "free",
        "groups",
        "groups_in",
        "groups_of",
        "lines",
        "matcher",
        "own",
        "stood",
        "stranded",
    )

    def __init__(self, matcher: Matcher, lines: Lines, policy: str) -> None:
        self.matcher, self.lines = matcher, lines
        self.first = policy not in BY_TIME_ALONE  # the agent takes it before what waits for everybody
        self.free: list[int] = []  # lines that nobody uses
        self.own: dict[str, dict[int, int]] = {}  # agent -> class -> line
        self.all: dict[int, int] = {}  # class -> line of all that is held there
        self.classes = 0  # bit set of those
        self.stood: dict[int, tuple[str, ...]] = {}  # interaction -> in whose lines it stands
        self.cooling: dict[int, Interaction] = {}  # those of them that pass somebody over
        self.groups: dict[GroupKey, Group] = {}
        self.groups_in: dict[int, dict[GroupKey, None]] = {}  # class -> groups
        self.groups_of: dict[str, dict[GroupKey, None]] = {}  # agent -> groups
        # Groups of whose agents nobody who fits is signed in, by what is asked for there; and of what of that something
        # may have to be said.
        self.stranded: dict[Wanted, dict[GroupKey, None]] = {}
        self.changed: dict[Wanted, None] = {}
        self.called: dict[GroupKey, None] = {}  # groups for which the queue's relaxation plan has a step now

    # --- standing --------------------------------------------------------------------------------------------------

    def enqueue(self, item: Interaction, found: Preferred) -> None:
        entry = item.enqueued_at_ms << ITEM_BITS | item.number
        names = tuple(name for name in found.agents if name not in item.tried)
        self.stood[item.number] = names
        self._push(self.all, item.place, entry)
        self.classes |= 1 << item.place
        for name in names:
            self._push(self.own.setdefault(name, {}), item.place, entry)
        if item.tried:
            self.cooling[item.number] = item
        if found.required:
            self._join(item, found)

    def dequeue(self, item: Interaction, found: Preferred) -> None:
        entry = item.enqueued_at_ms << ITEM_BITS | item.number
        self._remove(self.all, item.place, entry)
        if item.place not in self.all:
            self.classes &= ~(1 << item.place)
        for name in self.stood.pop(item.number):
            self._remove(self.own[name], item.place, entry)
            if not self.own[name]:
                del self.own[name]
        self.cooling.pop(item.number, None)
        if found.required:
            self._part(item, found)

    def _push(self, lines: dict[int, int], c: int, entry: int) -> None:
        if c not in lines:
            lines[c] = self.free.pop() if self.free else self.lines.add_line()
        self.lines.push(lines[c], entry)

    def _remove(self, lines: dict[int, int], c: int, entry: int) -> None:
        line = lines[c]
        self.lines.remove(line, entry)
        if not self.lines.filled >> line & 1:
            del lines[c]
            self.free.append(line)

    # --- who gets what ---------------------------------------------------------------------------------------------

    def first_free(self, item: Interaction, without: Iterable[str] = ()) -> Agent | None:
        """Of those for whom it waits the first one named who can have it; whoever would have to interrupt their work
        for it comes after all who need not."""
        m = self.matcher
        channel = m.class_keys[item.place].channel
        interrupting: Agent | None = None
        for agent in self.able(item, without):
            if m.cell_keys[agent.cell][1] >> channel & 1:
                return agent
            interrupting = interrupting or agent
        return interrupting

    def able(self, item: Interaction, without: Iterable[str] = ()) -> Iterator[Agent]:
        """Those for whom it waits and who can have it now."""
        m = self.matcher
        cells = m.cells_of[item.place]
        names = (name for name in m.preferred[item.number].agents if name not in item.tried and name not in without)
        for agent in (m.known[name] for name in names if name in m.known):
            if agent.cell >= 0 and cells >> agent.cell & 1:
                yield agent

    def rank(self, entry: int, c: int, agent: Agent, now_ms: int) -> Rank:
        """Where what is held for this agent stands in the order over everything that they could take."""
        rank = self.matcher.tier_for(c, agent.profile).rank(entry, now_ms)
        return favoured(rank) if self.first else rank

    def rank_of(self, item: Interaction, now_ms: int) -> Rank | None:
        """Its rank with whom of those who can have it it comes first; None if nobody can."""
        entry = item.enqueued_at_ms << ITEM_BITS | item.number
        return min((self.rank(entry, item.place, agent, now_ms) for agent in self.able(item)), default=None)

    def best_for(self, agent: Agent, now_ms: int) -> Rank | None:
        """The first of all that waits for this agent by name and that they can take now."""
        own = self.own.get(agent.id)
        if own is None or agent.cell < 0:
            return None
        classes, head = self.matcher.classes_of[agent.cell], self.lines.head
        return min(
            (self.rank(head[line], c, agent, now_ms) for c, line in own.items() if classes >> c & 1), default=None
        )

    def best(self, now_ms: int) -> Rank | None:
        """The first of all that somebody can take for whom it waits."""
        found = (self.best_for(self.matcher.known[name], now_ms) for name in self.own if name in self.matcher.known)
        return min((rank for rank in found if rank is not None), default=None)

    def beside_somebody(self) -> Iterator[int]:
        """The classes in which something waits beside an agent for whom it waits and who is free for it."""
        m = self.matcher
        for agent in (m.known[name] for name in self.own if name in m.known):
            if agent.cell >= 0:
                yield from (c for c in self.own[agent.id] if m.classes_of[agent.cell] >> c & 1)

    # --- counting and listing --------------------------------------------------------------------------------------

    def count(self, c: int) -> int:
        return self.lines.count(self.all[c]) if c in self.all else 0

    def walk(self, c: int) -> Iterator[int]:
        """The entries of what is held in this class, in order."""
        return self.lines.walk(self.all[c]) if c in self.all else iter(())

    def numbers(self, c: int) -> Iterator[int]:
        return (entry & ITEM_MASK for entry in self.walk(c))

    def oldest_ms(self, c: int) -> list[int]:
        """Since when the oldest of what is held in this class has waited; nothing if nothing is."""
        return [self.lines.head[self.all[c]] >> ITEM_BITS] if c in self.all else []

    def by_servability(self) -> Iterator[tuple[str, str, int]]:
        """Of what is held: queue, how near it is to being served, and how much of it is so. Somebody is there for all
        that is not required, and busy."""
        preferred = {c: self.count(c) for c in self.all}
        for group in self.groups.values():
            preferred[group.place] -= len(group.numbers)
            yield self.matcher.class_keys[group.place].queue, group.servable, len(group.numbers)
        for c, n in preferred.items():
            if n:
                yield self.matcher.class_keys[c].queue, BUSY, n

    # --- how near they are -----------------------------------------------------------------------------------------

    def note(self, agent: Agent) -> None:
        """The agent may have come nearer, or gone further away."""
        for key in self.groups_of.get(agent.id, ()):
            self._judge(key)

    def class_changed(self, c: int) -> None:
        """It asks for something else from now on, and who stands there stays."""
        for key in self.groups_in.get(c, ()):
            self._judge(key)

    def group_of(self, item: Interaction) -> Group | None:
        """Of what is required; None for what is only preferred."""
        found = self.matcher.preferred[item.number]
        return self.groups.get((item.place, found.agents)) if found.required else None

    def servable(self, wanted: Wanted) -> str:
        """How near what is stranded of that is to being served; "" if nothing is."""
        return max((self.groups[key].servable for key in self.stranded.get(wanted, ())), default="")

    def restless(self) -> bool:
        """Whether anything has to be looked at after a command."""
        return bool(self.called or self.changed)

    def _join(self, item: Interaction, found: Preferred) -> None:
        key = item.place, found.agents
        group = self.groups.get(key)
        if group is None:
            of_class = self.matcher.class_keys[item.place]
            wanted = of_class.queue, of_class.channel, named(of_class.alone, found.agents)
            group = self.groups[key] = Group(*key, wanted)
            self.groups_in.setdefault(item.place, {})[key] = None
            for name in found.agents:
                self.groups_of.setdefault(name, {})[key] = None
            self._judge(key)
        group.numbers[item.number] = None

    def _part(self, item: Interaction, found: Preferred) -> None:
        key = item.place, found.agents
        group = self.groups[key]
        del group.numbers[item.number]
        if not group.numbers:
            self._dissolve(key, group)

    def _dissolve(self, key: GroupKey, group: Group) -> None:
        del self.groups[key]
        del self.groups_in[group.place][key]
        if not self.groups_in[group.place]:
            del self.groups_in[group.place]
        for name in group.agents:
            del self.groups_of[name][key]
            if not self.groups_of[name]:
                del self.groups_of[name]
        self.called.pop(key, None)
        self._strand(key, group, False)
        self.matcher.reach.settle()

    def _judge(self, key: GroupKey) -> None:
        m, group = self.matcher, self.groups[key]
        before, near = group.near, max(map(level_of, self._fitting(group)), default=GONE)
        if near == before and group.numbers:
            return
        group.near = near
        self._strand(key, group, near < SIGNED_IN)
        key_of_class = m.class_keys[group.place]
        ladder = m.reach.ladder_of(key_of_class)
        if ladder is not None and ladder.calls(key_of_class.step, near >= SIGNED_IN, near >= READY):
            self.called[key] = None
        else:
            self.called.pop(key, None)
        m.reach.settle()

    def _strand(self, key: GroupKey, group: Group, is_stranded: bool) -> None:
        alike = self.stranded.get(group.wanted)
        if is_stranded:
            self.stranded.setdefault(group.wanted, {})[key] = None
        elif alike is not None and key in alike:
            del alike[key]
            if not alike:
                del self.stranded[group.wanted]
        else:
            return
        self.changed[group.wanted] = None

    def _fitting(self, group: Group) -> Iterator[Agent]:
        m = self.matcher
        channel = m.class_keys[group.place].channel
        for agent in (m.known[name] for name in group.agents if name in m.known):
            if m.meets_class(agent, group.place) and agent.capacity.room(0) >> channel & 1:
                yield agent


def named(node: Node, agents: tuple[str, ...]) -> Node:
    """What is asked for, and one of these agents."""
    return canonical(both(node, Node(agent=agents)))
