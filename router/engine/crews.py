"""Who is present and could take work of a kind: as bit sets over the agents, so that two crews compare quickly.

A crew is put together when somebody first asks for it, from the agents who are alike (`Matcher.present`), and kept up
to date from then on by `Matcher.count`. Whom an agent serves now plays no part in it, only presence: it changes when
somebody signs in, pauses or leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from router.engine.requirements import Node

if TYPE_CHECKING:
    from router.engine.capacity import Capacity
    from router.engine.entities import Agent
    from router.engine.matching import Matcher

ANY_CHANNEL = -1
# Beyond two for each class (one for its channel, one for any): requirements come from outside as well, since transfers
# write their own.
CREWS_MORE = 1_000


class Crew:
    """The agents present who meet a requirement and work on a channel: as a bit set, and by what they may hold."""

    __slots__ = ("bits", "capacities", "channel", "node", "requirement", "size")

    def __init__(self, node: Node, requirement: int, channel: int) -> None:
        self.node, self.requirement, self.channel = node, requirement, channel
        self.bits = 0  # by `Agent.index`
        self.size = 0
        self.capacities: dict[Capacity, int] = {}

    def count(self, agent: Agent, present: bool) -> None:
        one = 1 if present else -1
        self.bits ^= 1 << agent.index
        self.size += one
        self.capacities[agent.capacity] = self.capacities.get(agent.capacity, 0) + one

    def add(self, alike: int, capacity: Capacity) -> None:
        """Agents of one capacity, as a bit set, none of whom is in it yet."""
        n = alike.bit_count()
        self.bits |= alike
        self.size += n
        self.capacities[capacity] = self.capacities.get(capacity, 0) + n

    def indexes(self) -> Iterator[int]:
        """Who they are, by `Agent.index`."""
        bits = self.bits
        while bits:
            lowest = bits & -bits
            bits ^= lowest
            yield lowest.bit_length() - 1

    def slots(self) -> int:
        """How many contacts of the channel they may have at once."""
        return sum(n * capacity.slots(self.channel) for capacity, n in self.capacities.items() if n)

    def share_of(self, other: Crew) -> float:
        """The part of the other crew that is in this one."""
        return (self.bits & other.bits).bit_count() / other.size if other.size else 0.0


def crew(m: Matcher, node: Node, channel: int = ANY_CHANNEL) -> Crew:
    """A requirement is known by its identity, since to hash a tree is dear; it stands in the crew, so that its identity
    stays its own."""
    found = m.crews.get((id(node), channel))
    if found is None:
        if len(m.crews) >= CREWS_MORE + 2 * len(m.class_keys):
            m.crews.clear()
        found = m.crews[id(node), channel] = Crew(node, m.requirement(node), channel)
        for (profile, capacity), alike in m.present.items():
            if belongs(m, found, profile, capacity):
                found.add(alike, capacity)
    return found


def crew_of(m: Matcher, agents: Iterable[Agent], node: Node, channel: int) -> Crew:
    """Those of these agents who could take such work; not kept."""
    found = Crew(node, -1, channel)
    for agent in agents:
        if m.meets_node(agent, node) and agent.capacity.room(0) >> channel & 1:
            found.count(agent, True)
    return found


def belongs(m: Matcher, known: Crew, profile: int, capacity: Capacity) -> bool:
    """Whether agents of this profile and capacity are in it while they are present."""
    if known.requirement not in m.meets[profile]:
        return False
    return known.channel < 0 or bool(capacity.room(0) >> known.channel & 1)
