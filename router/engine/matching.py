"""Who gets what next, at a cost that does not grow with the number of agents or interactions.

Waiting interactions stand in *classes*: same queue, channel, requirement and tier. Inside a class the order is first
come, and it never changes, so a class is a line whose head is known. Available agents stand in *cells*: same profile
(skills, languages, team, attributes) and same channels with room (`capacity`). A cell is a line too, ordered by who has
been idle longest. Which cell can serve which class is worked out once, when either first appears. A decision compares
the heads of the compatible, non-empty lines and looks at nothing else (RT-4).

The order over everything (RT-1) is that of `order`: the smallest rank first. Heads of classes with the same *tier*
compare by one integer, their entry, and only the tiers' winners need the arithmetic. Where a rank depends on the agent
as well (`paired`: handle times, levels) a class has a tier for each profile, and an interaction for which several
agents are free goes by the best of its ranks with one of them.

Who gets it is said by `choice`: of all who are idle and fit the longest idle, or the longest idle of those for whom the
queue's rule says the best. Before the rule is asked, cells are told apart by *circles*: whoever need interrupt nothing
comes before whoever would have to (CP-1), and whoever met what was asked for before it was relaxed comes first (RT-7).

An entry of a line is one integer, `order << BITS | who` (`lines`).

Interactions that pass over somebody (after a declined or missed offer) are *cooling*. They are few, stay outside
the lines, and are looked at one by one, so that the lines need no exceptions. What waits for agents by name stands
apart, too, in lines of their own (`personal`).

What begins to wait or becomes free is usually matched within the same command. So the last interaction and the last
agent are *loose* at first: they have a class or cell, but stand in its line only after `stand`, which is called before
anything looks at the lines.

Liveness (RT-5) is kept by bookkeeping of what became possible: whoever gained room or eligibility is put on
`fresh_agents`, whatever began to wait on `fresh_items`, and `Matcher.next_pair` works until both are empty. Nothing
waits for a poll.

Everything here is derived from the state and can be rebuilt from it. Only `evolve` calls what changes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from router.engine import choice, occupancy
from router.engine.capacity import Capacity, takes
from router.engine.config import Config, Queue
from router.engine.crews import Crew, belongs
from router.engine.lines import NONE, Lines, numbers_in
from router.engine.order import (
    ITEM_BITS,
    STEP_BITS,
    Standing,
    Tier,
    divides,
    levelled,
    relative_time,
    slowed,
)
from router.engine.personal import PersonalLines
from router.engine.reach import Reach
from router.engine.requirements import Node, agents_named, fits
from router.engine.transitions import QUEUED

if TYPE_CHECKING:
    from router.engine.entities import Agent, Interaction, Preferred
    from router.engine.lending import Origin

AGENT_BITS = 24
ITEM_MASK = (1 << ITEM_BITS) - 1
AGENT_MASK = (1 << AGENT_BITS) - 1
ALL_CHANNELS = -1  # as a bit set

Rank = tuple[int, float, int]  # as `order` has it
Chooser = Callable[[str, "Circle", frozenset[str]], "Agent | None"]

# So many classes before the first look for those that nothing needs any more; then twice as many as were needed.
TIDY_MIN = 128
# Beyond so many fresh agents and items at once (a new configuration, a shift that starts), heads of all classes are
# compared instead of each one's own candidates.
FRESH_MAX = 8
# Of up to so many who can take it a list is made, to pick one at random.
LISTED = 64
STAMP_BITS = 48  # places among the idle, where something else comes before them


class Profile(Struct, frozen=True):
    """What requirements and rules look at. `agent` is empty unless some requirement asks for that very agent, and
    `handle_times` unless some rule looks at them."""

    skills: dict[str, int]
    languages: tuple[str, ...]
    attributes: dict[str, str]
    team: str
    agent: str
    handle_times: dict[str, int] = {}


def profile_of(agent: Agent) -> Profile:
    """By which any requirement can be asked of the agent."""
    config = agent.config
    return Profile(config.skills, config.languages, config.attributes, config.team, agent.id)


class ClassKey(Struct, frozen=True):
    queue: str
    channel: int
    requirement: Node
    tier: Tier
    inner: tuple[Node, ...] = ()  # what was asked for before it was relaxed: who meets it goes first
    step: int = 0  # of its queue's plan
    origin: Origin | None = None  # without those who are lent, where its queue borrows
    plan: str = ""  # the routing rule whose plan it goes by; "" for its queue's

    @property
    def alone(self) -> Node:
        """What is asked for without those who are lent to its queue."""
        return self.origin.node if self.origin is not None else self.requirement


class Circle(choice.Groups):
    """Cells that a class holds equal, whatever it was relaxed from, and of these its queue's rule chooses."""

    __slots__ = ("cells",)

    def __init__(self) -> None:
        super().__init__()
        self.cells = 0

    def add(self, cell: int, score: Any) -> None:
        super().add(cell, score)
        self.cells |= 1 << cell


class Matcher:
    """The two sets of lines and what fits what."""

    __slots__ = (  # every decision asks for a dozen of them
        "agents",
        "always_named",
        "attentive",
        "cell_ids",
        "cell_keys",
        "cell_list_of",
        "cells_of",
        "cells_with",
        "choosers",
        "circles",
        "class_ids",
        "class_keys",
        "classes_in",
        "classes_of",
        "classes_on",
        "classes_with",
        "clocked",
        "cooling",
        "cooling_classes",
        "counting",
        "crews",
        "divided",
        "free_classes",
        "free_requirements",
        "fresh_agents",
        "fresh_items",
        "idle",
        "kept",
        "known",
        "last_offer",
        "levelled",
        "loose_agent",
        "loose_item",
        "measured",
        "meets",
        "named",
        "now_ms",
        "occupied",
        "off",
        "paces",
        "pair_tiers",
        "paired",
        "personal",
        "places",
        "preferred",
        "present",
        "profile_ids",
        "profiles",
        "queues",
        "reach",
        "requirement_ids",
        "rules",
        "standings",
        "tidy_at",
        "tiers_of",
        "timed",
        "waiting",
    )

    def __init__(self, config: Config | None = None) -> None:
        config = config or Config()
        self.queues = config.queues
        self._read_rules(config)
        self.agents: list[Agent] = []
        # classes
        self.class_ids: dict[ClassKey, int] = {}
        self.class_keys: list[ClassKey] = []  # of a forgotten class the former key, until its number is used again
        self.kept: set[int] = set()  # classes that are never forgotten: those of what arrives as usual
        self.free_classes: list[int] = []
        self.tidy_at = TIDY_MIN
        # What an interaction asks for -> its class. A requirement is known by its identity, since to hash a tree for
        # every contact is dear; it stands beside the class, so that its identity stays its own.
        self.places: dict[tuple[str, str, int, str, str, float, int, bool, int], tuple[Node | None, int]] = {}
        self.waiting = Lines()
        self.classes_on: dict[int, int] = {}  # channel -> bit set of classes
        self.classes_in: dict[int, int] = {}  # rank of a band -> bit set of classes
        self.cells_of: list[int] = []  # class -> bit set of cells that can serve it
        self.cell_list_of: list[list[int]] = []
        self.pair_tiers: list[dict[int, Tier]] = []  # class -> profile -> tier; empty unless `paired`
        self.paces: list[choice.Groups] = []  # class -> its cells by tier, that in which it comes first first
        # Class -> its cells from the inside out: those that meet each of its inner requirements, then all others; and
        # once more the same for those that could serve it by an interruption. None where its queue asks for no more
        # than the longest idle, it was not relaxed, and nobody would have to interrupt anything.
        self.circles: list[list[Circle] | None] = []
        self.choosers: list[Chooser] = []
        self.cooling: dict[int, dict[int, Interaction]] = {}  # class -> number -> interaction
        self.cooling_classes = 0  # bit set of those
        # requirements and profiles
        self.requirement_ids: dict[Node, int] = {}
        self.classes_with: list[list[int]] = []  # requirement -> classes
        self.free_requirements: list[int] = []
        self.named = set(self.always_named)  # agents that some requirement asks for by name
        self.profile_ids: dict[object, int] = {}
        self.profiles: list[Profile] = []
        self.meets: list[set[int]] = []  # profile -> requirements
        # Agents who are signed in and ready, busy or not, as bit sets over `Agent.index` of those who are alike.
        self.present: dict[tuple[int, Capacity], int] = {}
        self.off: dict[int, int] = {}  # profile -> agents who were taken off for missed offers, and are still here
        self.cells_with: list[list[int]] = []  # profile -> cells
        self.crews: dict[tuple[int, int], Crew] = {}  # (identity of a requirement, channel) -> who is there
        # cells
        self.cell_ids: dict[tuple[int, int], int] = {}
        self.cell_keys: list[tuple[int, int]] = []  # (profile, room)
        self.standings: dict[tuple[int, Capacity], dict[int, int]] = {}  # who is alike shares `Agent.cells`
        self.idle = Lines()
        self.classes_of: list[int] = []  # cell -> bit set of classes
        self.tiers_of: list[dict[Tier, list[int]]] = []  # cell -> its classes by `Tier.common`
        # not in their lines yet
        self.loose_item: Interaction | None = None
        self.loose_agent: Agent | None = None
        # what became possible since the last pass
        self.fresh_agents: list[Agent] = []
        self.fresh_items: list[Interaction] = []
        # The state's own: what waits for agents by name, and the agents by theirs.
        self.preferred: dict[int, Preferred] = {}
        self.known: dict[str, Agent] = {}
        self.personal = PersonalLines(self, Lines(), config.order.policy)
        self.reach = Reach(self)

    def _read_rules(self, config: Config) -> None:
        """What of all that could be looked at has to be."""
        choices = {queue.choice for queue in config.queues.values()}
        speeds = any(agent.handle_times for agent in config.agents.values())
        self.levelled = config.order.policy == "skill-level"
        self.divided = divides(config.order) and speeds and any(q.handle_time for q in config.queues.values())
        self.paired = self.levelled or self.divided
        self.timed = self.divided or not choices.isdisjoint(choice.BY_TIME)
        self.counting = not choices.isdisjoint(choice.BY_QUEUES)
        self.rules: dict[str, Chooser] = {  # all others go by groups
            "least-occupied": self._least_occupied,
            "random": self._any_of,
            "blend": self._blended,
        }
        self.occupied = Lines() if "least-occupied" in choices else None
        self.clocked = not choices.isdisjoint(("least-occupied", "blend"))  # agents' times have to be kept
        self.attentive = self.clocked or "random" in choices or config.order.policy == "round-robin"
        self.last_offer = 0  # kept while `random` is among the rules
        self.now_ms = 0  # of this pass, while `blend` is
        self.measured: list[tuple[list[int], int, Standing]] = []  # for queue-ratio: counters, share and what they say
        # Whom queues ask for by name: they fit more queues than those who are otherwise like them.
        nodes = (queue.requirement for queue in config.queues.values()) if self.counting else ()
        self.always_named = frozenset[str]().union(*map(agents_named, nodes))

    # --- what exists -----------------------------------------------------------------------------------------------

    def class_of(self, key: ClassKey) -> int:
        found = self.class_ids.get(key)
        return found if found is not None else self._add_class(key)

    def _add_class(self, key: ClassKey) -> int:
        if len(self.class_ids) >= self.tidy_at:
            self._tidy()
        if self.free_classes:
            c = self.free_classes.pop()
            self.class_keys[c] = key
        else:
            c = self.waiting.add_line()
            self.class_keys.append(key)
            self.cells_of.append(0)
            self.cell_list_of.append([])
            self.pair_tiers.append({})
            self.paces.append(choice.Groups())
            self.circles.append(None)
            self.choosers.append(self._by_groups)
        self._join(c, key)
        return c

    def _join(self, c: int, key: ClassKey) -> None:
        """Let the class ask for what its key says."""
        requirement = self.requirement(key.requirement)
        rule = self.queues[key.queue].choice if key.queue in self.queues else "longest-idle"
        if key.inner or rule != "longest-idle":
            self.circles[c] = [Circle() for _ in range(len(key.inner) + 1)]
            self.choosers[c] = self.rules.get(rule, self._by_groups)
        self.class_ids[key] = c
        self._sort_class(key, 1 << c)
        if key.inner:
            self._single_out(set[str]().union(*map(agents_named, key.inner)))
        self.classes_with[requirement].append(c)
        for profile, met in enumerate(self.meets):
            if requirement in met:
                for cell in self.cells_with[profile]:
                    self._relate(cell, c)
        self.reach.add(c)

    def change(self, c: int, key: ClassKey) -> None:
        """Let a class ask for something else from now on. Who stands in its line stays there."""
        if key != self.class_keys[c]:
            # First, while the class asks for something known: whoever is named gets a new profile, and is looked at.
            self.requirement(key.requirement)
            self._part(self.class_keys[c], c)
            self.circles[c], self.choosers[c] = None, self._by_groups
            self.class_keys[c] = key
            self._join(c, key)
            self.personal.class_changed(c)

    def look_again(self, item: Interaction) -> None:
        """More agents may be able to take this, and whatever else waits beside it: so many fresh ones have the heads
        of all classes compared."""
        self.fresh_items += [item] * (FRESH_MAX + 1)

    def _sort_class(self, key: ClassKey, bit: int) -> None:
        """In or out of the sets of classes that are alike."""
        for sets, kind in ((self.classes_on, key.channel), (self.classes_in, key.tier.strict >> STEP_BITS)):
            sets[kind] = sets.get(kind, 0) ^ bit

    def requirement(self, node: Node) -> int:
        """Its number."""
        found = self.requirement_ids.get(node)
        if found is not None:
            return found
        self._single_out(agents_named(node))
        if self.free_requirements:
            r = self.free_requirements.pop()
        else:
            r = len(self.classes_with)
            self.classes_with.append([])
        self.requirement_ids[node] = r
        for profile, met in zip(self.profiles, self.meets, strict=True):
            if fits(node, profile):
                met.add(r)
        return r

    def _single_out(self, names: Iterable[str]) -> None:
        """Agents asked for by name get a profile of their own."""
        new = set(names) - self.named
        if not new:
            return
        self.named |= new
        for agent in self.agents:
            if agent.id in new:
                self.reprofile(agent)

    def _tidy(self) -> None:
        """Forget the classes in which nothing waits, and the requirements and names that only they had.

        Transfers and priorities set by hand make ever new ones; each would be looked at for ever.
        """
        self.stand()
        self.places.clear()
        for key, c in list(self.class_ids.items()):
            used = self.waiting.head[c] != NONE or c in self.cooling or c in self.personal.all
            if not used and c not in self.kept:
                self._forget(key, c)
        asked = [*self.requirement_ids, *(node for key in self.class_ids for node in key.inner)]
        named = set(self.always_named).union(*map(agents_named, asked))
        no_more = self.named - named
        self.named = named
        for agent in self.agents:
            if agent.id in no_more:
                self.reprofile(agent)
        self.tidy_at = max(TIDY_MIN, 2 * len(self.class_ids))

    def _forget(self, key: ClassKey, c: int) -> None:
        self._part(key, c)
        self.free_classes.append(c)

    def _part(self, key: ClassKey, c: int) -> None:
        """Take the class from all that fits it."""
        del self.class_ids[key]
        self._sort_class(key, 1 << c)
        self.reach.forget(c)
        for cell in self.cell_list_of[c]:
            self.classes_of[cell] &= ~(1 << c)
            self._ungroup(cell, c)
        self.cells_of[c], self.cell_list_of[c] = 0, []
        self.pair_tiers[c], self.paces[c], self.circles[c] = {}, choice.Groups(), None
        r = self.requirement_ids[key.requirement]
        self.classes_with[r].remove(c)
        if not self.classes_with[r]:
            del self.requirement_ids[key.requirement]
            self.free_requirements.append(r)
            for met in self.meets:
                met.discard(r)
            self.crews = {known: crew for known, crew in self.crews.items() if crew.requirement != r}

    def profile_of(self, agent: Agent) -> int:
        config = agent.config
        own = agent.id if agent.id in self.named else ""
        key = (
            frozenset(config.skills.items()),
            config.languages,
            frozenset(config.attributes.items()),
            config.team,
            own,
            frozenset(config.handle_times.items()) if self.timed else None,
        )
        found = self.profile_ids.get(key)
        if found is not None:
            return found
        p = self.profile_ids[key] = len(self.profiles)
        times: dict[str, int] = {**config.handle_times} if self.timed else {}
        profile = Profile(config.skills, config.languages, config.attributes, config.team, own, times)
        self.profiles.append(profile)
        self.meets.append({r for node, r in self.requirement_ids.items() if fits(node, profile)})
        self.cells_with.append([])
        return p

    def _cell(self, profile: int, room: int) -> int:
        found = self.cell_ids.get((profile, room))
        if found is not None:
            return found
        cell = self.cell_ids[profile, room] = self.idle.add_line()
        if self.occupied is not None:
            self.occupied.add_line()
        self.cell_keys.append((profile, room))
        self.cells_with[profile].append(cell)
        self.classes_of.append(0)
        self.tiers_of.append({})
        for r in sorted(self.meets[profile]):
            for c in self.classes_with[r]:
                self._relate(cell, c)
        return cell

    def _relate(self, cell: int, c: int) -> None:
        key = self.class_keys[c]
        room = self.cell_keys[cell][1]
        if not takes(room, key.channel):
            return
        interrupts = not room >> key.channel & 1
        if interrupts:
            self._tell_apart(c)
        self.cells_of[c] |= 1 << cell
        self.cell_list_of[c].append(cell)
        self.classes_of[cell] |= 1 << c
        self._group(cell, c)
        p = self.cell_keys[cell][0]
        if self.paired:
            tier = self.tier_for(c, p)
            self.paces[c].add(cell, (tier.strict, -Fraction(tier.gain, tier.per)))
        circles = self.circles[c]
        if circles is not None:
            self._encircle(circles, cell, key, self.profiles[p], interrupts)

    def _group(self, cell: int, c: int) -> None:
        """Put the class to those that the cell compares it with by age alone."""
        tier = self.tier_for(c, self.cell_keys[cell][0]).common
        self.tiers_of[cell].setdefault(tier, []).append(c)

    def _ungroup(self, cell: int, c: int) -> None:
        tier = self.tier_for(c, self.cell_keys[cell][0]).common
        alike = self.tiers_of[cell][tier]
        alike.remove(c)
        if not alike:
            del self.tiers_of[cell][tier]

    def set_apart(self, queue: str, standing: Standing) -> None:
        """A weight was learned of this queue: its classes compare by more than age with those of all others from now
        on. For ever, since weights that come back to the usual leave it again, and each time all cells are looked at.
        """
        classes = [c for key, c in self.class_ids.items() if key.queue == queue]
        for c in classes:
            for cell in self.cell_list_of[c]:
                self._ungroup(cell, c)
        standing.apart = True
        for c in classes:
            for cell in self.cell_list_of[c]:
                self._group(cell, c)

    def _tell_apart(self, c: int) -> None:
        """Give the class circles of those who would have to interrupt their work."""
        key, circles = self.class_keys[c], self.circles[c]
        if circles is None:
            circles = self.circles[c] = [Circle()]
            self.choosers[c] = self._by_groups
            for cell in self.cell_list_of[c]:
                self._encircle(circles, cell, key, self.profiles[self.cell_keys[cell][0]], False)
        if len(circles) == len(key.inner) + 1:
            circles.extend(Circle() for _ in range(len(key.inner) + 1))

    def _encircle(self, circles: list[Circle], cell: int, key: ClassKey, profile: Profile, interrupts: bool) -> None:
        """Put the cell into the innermost circle that it belongs to, and there into its group."""
        score = 0
        static = choice.STATIC.get(self.queues[key.queue].choice) if key.queue in self.queues else None
        if static is not None:
            score = static(self.seen_by(key), profile)
        inner = (i for i, node in enumerate(key.inner) if fits(node, profile))
        outside = len(key.inner) + 1 if interrupts else 0
        circles[outside + next(inner, len(key.inner))].add(cell, score)

    def seen_by(self, key: ClassKey) -> choice.Place:
        """What the rule of a class's queue looks at."""
        return choice.Place(key.queue, self.queues[key.queue], key.requirement, self._queues_of, len(self.queues))

    def _queues_of(self, profile: choice.Profile) -> int:
        """How many queues have a requirement that the profile meets."""
        return sum(fits(queue.requirement, profile) for queue in self.queues.values())

    def tier_for(self, c: int, profile: int) -> Tier:
        """The tier of a class for agents of this profile."""
        key = self.class_keys[c]
        if not self.paired:
            return key.tier
        found = self.pair_tiers[c].get(profile)
        if found is None:
            found = self.pair_tiers[c][profile] = self._pair_tier(key, self.profiles[profile])
        return found

    def _pair_tier(self, key: ClassKey, profile: Profile) -> Tier:
        if self.levelled:
            return levelled(key.tier, choice.level(key.requirement, profile))
        queue = self.queues.get(key.queue, Queue())
        return slowed(key.tier, relative_time(queue, profile.handle_times.get(key.queue, 0)))

    def meets_class(self, agent: Agent, c: int) -> bool:
        """Whether the agent's profile meets the requirement of the class, whatever their room."""
        return self.requirement_ids[self.class_keys[c].requirement] in self.meets[agent.profile]

    def meets_node(self, agent: Agent, node: Node) -> bool:
        found = self.requirement_ids.get(node)
        if found is not None:
            return found in self.meets[agent.profile]
        return fits(node, profile_of(agent))

    def staff(self, node: Node, channels: int) -> int:
        """How many agents who meet this requirement and work on one of these channels (a bit set) are signed in and
        ready, busy or not."""
        r = self.requirement(node)
        return sum(
            alike.bit_count()
            for (profile, capacity), alike in self.present.items()
            if capacity.room(0) & channels and r in self.meets[profile]
        )

    def headcount(self) -> int:
        """How many agents are signed in and ready, busy or not."""
        return sum(map(int.bit_count, self.present.values()))

    def staff_off(self, node: Node) -> int:
        """How many of those who meet this requirement were taken off for missed offers, and are still signed in."""
        r = self.requirement(node) if self.off else 0
        return sum(n for p, n in self.off.items() if r in self.meets[p])

    def free(self, node: Node, channel: int) -> int:
        """How many idle agents could be given something of this channel that asks for this."""
        self.stand()
        r, idle, found = self.requirement(node), self.idle.filled, 0
        while idle:
            cell = idle.bit_length() - 1
            idle ^= 1 << cell
            profile, room = self.cell_keys[cell]
            if takes(room, channel) and r in self.meets[profile]:
                found += self.idle.count(cell)
        return found

    def reached(self, node: Node, channel: int, level: int) -> bool:
        """Whether somebody at least so near meets this requirement and works on this channel."""
        self.requirement(node)
        return self.reach.fitting(node, channel, level) > 0

    # --- agents ----------------------------------------------------------------------------------------------------

    def add_agent(self, agent: Agent) -> None:
        agent.index = len(self.agents)
        self.agents.append(agent)
        self._sort(agent)

    def reprofile(self, agent: Agent) -> None:
        standing = agent.cell >= 0  # somebody whose load is not counted yet must not be placed by it
        self.withdraw(agent)
        present, off = agent.counted, agent.off
        self.count(agent, False)
        self.count_off(agent, False)
        self._sort(agent)
        self.count(agent, present)
        self.count_off(agent, off)
        if standing:
            self.place(agent)
            self.stand()  # whatever made the difference may be about to look at the lines

    def _sort(self, agent: Agent) -> None:
        agent.profile = self.profile_of(agent)
        agent.cells = self.standings.setdefault((agent.profile, agent.capacity), {})

    def place(self, agent: Agent) -> None:
        """Stand the agent in the cell that state and load put them in; nowhere, if they can take nothing."""
        if not agent.counted:
            return
        cell = agent.cells.get(agent.load)
        if cell is None:
            cell = self._cell_by_load(agent)
        if cell >= 0:
            agent.cell = cell
            if self.loose_agent is not None:
                self.stand()
            self.loose_agent = agent

    def _cell_by_load(self, agent: Agent) -> int:
        room = agent.capacity.room(agent.load)
        cell = agent.cells[agent.load] = self._cell(agent.profile, room) if room else -1
        return cell

    def withdraw(self, agent: Agent) -> None:
        if agent is self.loose_agent:
            self.loose_agent = None
        elif agent.cell >= 0:
            self.idle.remove(agent.cell, agent.stamp << AGENT_BITS | agent.index)
            if self.occupied is not None:
                self.occupied.remove(agent.cell, occupied_entry(agent))
        agent.cell = -1

    def stand(self) -> None:
        """Let who is loose stand in line: to be called before anything looks at the lines."""
        item, agent = self.loose_item, self.loose_agent
        if item is not None:
            self.loose_item = None
            self.waiting.push(item.place, item.enqueued_at_ms << ITEM_BITS | item.number)
        if agent is not None:
            self.loose_agent = None
            self.idle.push(agent.cell, agent.stamp << AGENT_BITS | agent.index)
            if self.occupied is not None:
                self.occupied.push(agent.cell, occupied_entry(agent))

    def count(self, agent: Agent, present: bool) -> None:
        """Keep the number of those present; it decides whether somebody else can take what was declined."""
        if agent.counted != present:
            agent.counted = present
            alike = (agent.profile, agent.capacity)
            self.present[alike] = self.present.get(alike, 0) ^ 1 << agent.index
            if not self.present[alike]:
                del self.present[alike]
            for crew in self.crews.values():
                if belongs(self, crew, *alike):
                    crew.count(agent, present)
        self.reach.note(agent)

    def count_off(self, agent: Agent, off: bool) -> None:
        if agent.off != off:
            agent.off = off
            n = self.off.get(agent.profile, 0) + (1 if off else -1)
            self.off[agent.profile] = n
            if not n:
                del self.off[agent.profile]

    # --- interactions ----------------------------------------------------------------------------------------------

    def enqueue(self, item: Interaction) -> None:
        if self.preferred and item.number in self.preferred:
            self.personal.enqueue(item, self.preferred[item.number])
        elif item.tried:
            self.cooling.setdefault(item.place, {})[item.number] = item
            self.cooling_classes |= 1 << item.place
        else:
            if self.loose_item is not None:
                self.stand()
            self.loose_item = item
        self.fresh_items.append(item)

    def dequeue(self, item: Interaction) -> None:
        if item is self.loose_item:
            self.loose_item = None
            return
        if self.preferred and item.number in self.preferred:
            self.personal.dequeue(item, self.preferred[item.number])
            return
        c = item.place
        members = self.cooling.get(c) if self.cooling else None
        if members is not None and item.number in members:
            del members[item.number]
            if not members:
                del self.cooling[c]
                self.cooling_classes &= ~(1 << c)
        else:
            self.waiting.remove(c, item.enqueued_at_ms << ITEM_BITS | item.number)

    def waiting_classes(self) -> Iterator[int]:
        """Those in which something waits."""
        return numbers_in(self.waiting.filled | self.cooling_classes | self.personal.classes)

    def waiting_on(self, channels: int) -> int:
        """Of the classes of these channels (bit sets, both) those in which something waits, maybe not in line yet."""
        filled = self.waiting.filled | self.cooling_classes
        if self.loose_item is not None:
            filled |= 1 << self.loose_item.place
        found = 0
        for channel in numbers_in(channels):
            found |= self.classes_on.get(channel, 0)
        return found & filled

    def band_of(self, c: int) -> int:
        """The rank of the band that a class is in."""
        return self.class_keys[c].tier.strict >> STEP_BITS

    def waiting_before(self, band: int) -> int:
        """The classes of more urgent bands in which something waits, as a bit set."""
        filled, found = self.waiting.filled | self.cooling_classes | self.personal.classes, 0
        for rank in range(band):
            found |= self.classes_in.get(rank, 0)
        return found & filled

    def oldest_of(self, queue: str) -> int | None:
        """Since when (Unix ms) the oldest of a queue has waited."""
        found = [x.enqueued_at_ms for members in self.cooling.values() for x in members.values() if x.queue == queue]
        for c in self.waiting_classes():
            if self.class_keys[c].queue == queue:
                found += self.personal.oldest_ms(c)
                if self.waiting.head[c] != NONE:
                    found.append(self.waiting.head[c] >> ITEM_BITS)
        return min(found, default=None)

    # --- decisions -------------------------------------------------------------------------------------------------

    def taker(self, item: Interaction, without: Iterable[str]) -> Agent | None:
        """Who gets this interaction, of all who can have it now."""
        if self.preferred and item.number in self.preferred:
            return self.personal.first_free(item, without)
        return self.best_agent(item.place, without)

    def best_agent(self, c: int, without: Iterable[str] = ()) -> Agent | None:
        """The agent who gets a member of class `c` by its queue's rule, of all who can, if it waits for nobody by name.

        Of a relaxed class, of those who met what was asked for before it was: the innermost first (RT-7). Whoever would
        have to interrupt their work comes after all who need not (CP-1).
        """
        circles = self.circles[c]
        if circles is not None:
            return self._best_inside(c, circles, frozenset(without))
        if without:
            return self._agent(self._first_but(self.idle, self.cell_list_of[c], frozenset(without)))
        able = self.cells_of[c] & self.idle.filled
        if not able:
            return None
        return self.agents[self.idle.first(able, self.cell_list_of[c]) & AGENT_MASK]

    def _best_inside(self, c: int, circles: list[Circle], without: frozenset[str]) -> Agent | None:
        choose, filled = self.choosers[c], self.idle.filled
        for circle in circles:
            if circle.cells & filled:
                found = choose(self.class_keys[c].queue, circle, without)
                if found is not None:
                    return found
        return None

    def _agent(self, entry: int) -> Agent | None:
        return self.agents[entry & AGENT_MASK] if entry < NONE else None

    def _first_but(self, lines: Lines, cells: list[int], without: frozenset[str]) -> int:
        best = NONE
        for cell in cells:
            if lines.head[cell] < best:
                free = (x for x in lines.walk(cell) if self.agents[x & AGENT_MASK].id not in without)
                best = min(best, next(free, NONE))
        return best

    def _first(self, lines: Lines, cells: int, members: list[int], without: frozenset[str]) -> int:
        """The first entry of these cells, whose bit set and list are given; NONE if there is nobody."""
        able = cells & lines.filled
        if not able:
            return NONE
        return self._first_but(lines, members, without) if without else lines.first(able, members)

    def _by_groups(self, queue: str, circle: Circle, without: frozenset[str]) -> Agent | None:
        """The longest idle of the best group that has anybody; all is one group where the rule says no more."""
        filled = self.idle.filled
        for cells, members in zip(circle.masks, circle.members, strict=True):
            if cells & filled:
                entry = self._first(self.idle, cells, members, without)
                if entry < NONE:
                    return self.agents[entry & AGENT_MASK]
        return None

    def _least_occupied(self, queue: str, circle: Circle, without: frozenset[str]) -> Agent | None:
        assert self.occupied is not None, "some queue has this rule"
        return self._agent(self._first(self.occupied, circle.cells, circle.members[0], without))

    def _blended(self, queue: str, circle: Circle, without: frozenset[str]) -> Agent | None:
        worth = self.queues[queue].blend.idle
        best: tuple[int, int] | None = None
        for score, cells, members in zip(circle.scores, circle.masks, circle.members, strict=True):
            entry = self._first(self.idle, cells, members, without)
            if entry < NONE:
                idle_ms = self.now_ms - self.agents[entry & AGENT_MASK].idle_since_ms
                found = (choice.blended(score, worth, idle_ms), entry)
                best = found if best is None or found < best else best
        return self.agents[best[1] & AGENT_MASK] if best is not None else None

    def _any_of(self, queue: str, circle: Circle, without: frozenset[str]) -> Agent | None:
        """All who can stand in the order of idle time, whatever cells they are in; a hash names the place."""
        filled = self.idle.filled
        cells = [cell for cell in circle.members[0] if filled >> cell & 1]
        n = sum(map(self.idle.count, cells))
        offer = self.last_offer + 1
        if n > LISTED:
            for attempt in range(LISTED if without else 1):
                agent = self.agents[self.idle.nth(cells, choice.mixed(offer, attempt) % n) & AGENT_MASK]
                if agent.id not in without:
                    return agent
        entries = sorted(x for cell in cells for x in self.idle.walk(cell))
        able = [agent for x in entries if (agent := self.agents[x & AGENT_MASK]).id not in without]
        return able[choice.mixed(offer, 0) % len(able)] if able else None

    def _best_for(self, agent: Agent, now_ms: int) -> Rank | None:
        """The rank of what comes first of all that waits and that this agent can take now."""
        cell = agent.cell
        if cell < 0:
            return None
        classes = self.classes_of[cell]
        filled = classes & self.waiting.filled
        best: Rank | None = None
        if filled:
            best = self._best_head(cell, filled, now_ms)
        if classes & self.cooling_classes:
            for c, members in self.cooling.items():
                if classes >> c & 1:
                    tier = self.tier_for(c, agent.profile)
                    for item in members.values():
                        if agent.id not in item.tried:
                            rank = self.rank(item, tier, now_ms)
                            best = rank if best is None or rank < best else best
        if self.preferred:
            own = self.personal.best_for(agent, now_ms)
            best = own if best is None or (own is not None and own < best) else best
        return best

    def _best_head(self, cell: int, filled: int, now_ms: int) -> Rank:
        """The smallest rank among the heads of these classes."""
        head = self.waiting.head
        if not filled & (filled - 1):
            c = filled.bit_length() - 1
            tier = self.tier_for(c, self.cell_keys[cell][0]) if self.paired else self.class_keys[c].tier
            return tier.rank(head[c], now_ms)
        best = (NONE, 0.0, NONE)
        for tier, members in self.tiers_of[cell].items():
            entry = min(map(head.__getitem__, members))
            if entry < NONE:
                rank = tier.rank(entry, now_ms)
                if rank < best:
                    best = rank
        return best

    def rank(self, item: Interaction, tier: Tier, now_ms: int) -> Rank:
        return tier.rank(item.enqueued_at_ms << ITEM_BITS | item.number, now_ms)

    def rank_of(self, item: Interaction, now_ms: int) -> Rank:
        """Where the interaction stands by itself in the order over everything: smaller comes first.

        With an agent it may stand elsewhere (`paired`): this is its rank with somebody of usual speed.
        """
        if self.measured:
            self.measure()
        return self.rank(item, self.class_keys[item.place].tier, now_ms)

    def rank_with(self, item: Interaction, agent: Agent, now_ms: int) -> Rank:
        """Where the interaction stands in the order over everything that this agent could take."""
        if self.measured:
            self.measure()
        if self.preferred and item.number in self.preferred and agent.id in self.preferred[item.number].agents:
            return self.personal.rank(item.enqueued_at_ms << ITEM_BITS | item.number, item.place, agent, now_ms)
        return self.rank(item, self.tier_for(item.place, agent.profile), now_ms)

    def rank_with_best(self, item: Interaction, now_ms: int) -> Rank:
        """Its rank with that idle agent who can take it and with whom it comes first: by this it is chosen."""
        self.stand()
        if self.measured:
            self.measure()
        return self._rank_to_serve(item, now_ms)

    def _rank_to_serve(self, item: Interaction, now_ms: int) -> Rank:
        held = self.personal.rank_of(item, now_ms) if self.preferred and item.number in self.preferred else None
        return held if held is not None else self.rank(item, self._first_tier(item), now_ms)

    def measure(self) -> None:
        """Compare the queues' lengths, as they are now, with their shares of all that waits. In whole numbers, so that
        what is equal on paper is equal."""
        total = sum(counts[QUEUED] for counts, _, _ in self.measured)
        whole = sum(share for _, share, _ in self.measured)
        for counts, share, standing in self.measured:
            standing.value = counts[QUEUED] * whole - share * total

    def next_pair(self, items: dict[int, Interaction], now_ms: int) -> tuple[Interaction, Agent] | None:
        """The next offer to make, or None when nobody idle fits anything that waits.

        Of all that became possible, the interaction that comes first; for it, the agent whom its queue's rule prefers
        among the whole qualified set.
        """
        agents, fresh = self.fresh_agents, self.fresh_items
        if self.clocked:
            self.now_ms = now_ms
        if not agents:
            if not fresh:
                return None
            if len(fresh) == 1:
                # The usual case of an arrival: nobody who was idle before has become any fitter.
                item = fresh.pop()
                agent = self.taker(item, item.tried) if item.state == QUEUED else None
                return (item, agent) if agent is not None else None
        if self.measured:
            self.measure()
        if len(agents) == 1 and not fresh:
            # The usual case of a release: whatever waits fits nobody else who is idle, or it would not wait (RT-5).
            agent = agents[0]
            best = self._best_for(agent, now_ms)
            if best is not None:
                return items[best[2] & ITEM_MASK], agent
            agents.clear()
            return None
        self.stand()
        if len(agents) + len(fresh) > FRESH_MAX:
            best = self._first_servable(now_ms)
        else:
            best = self._first_fresh(now_ms)
        if best is None:
            self.fresh_agents.clear()
            self.fresh_items.clear()
            return None
        item = items[best[2] & ITEM_MASK]
        agent = self.taker(item, item.tried)
        assert agent is not None, "a servable interaction has an agent"
        return item, agent

    def _first_fresh(self, now_ms: int) -> Rank | None:
        best: Rank | None = None
        agents = self.fresh_agents
        for agent in agents[:]:
            rank = self._best_for(agent, now_ms)
            if rank is None:
                agents.remove(agent)
            elif best is None or rank < best:
                best = rank
        fresh = self.fresh_items
        for item in fresh[:]:
            if not item.waits or self.taker(item, item.tried) is None:
                fresh.remove(item)
                continue
            rank = self._rank_to_serve(item, now_ms)
            best = rank if best is None or rank < best else best
        return best

    def _first_tier(self, item: Interaction) -> Tier:
        """The tier of an interaction with that idle agent who can take it and with whom it comes first."""
        c = item.place
        if self.paired:
            for cells, members in zip(self.paces[c].masks, self.paces[c].members, strict=True):
                if self._first(self.idle, cells, members, frozenset(item.tried)) < NONE:
                    return self.tier_for(c, self.cell_keys[members[0]][0])
        return self.class_keys[c].tier

    def _first_servable(self, now_ms: int) -> Rank | None:
        best: Rank | None = None
        idle = self.idle.filled
        filled = self.waiting.filled
        while filled:
            c = filled.bit_length() - 1
            filled ^= 1 << c
            if self.cells_of[c] & idle:
                rank = self._head_tier(c, idle).rank(self.waiting.head[c], now_ms)
                best = rank if best is None or rank < best else best
        for c, members in self.cooling.items():
            if self.cells_of[c] & idle:
                tier = self._head_tier(c, idle)
                for item in members.values():
                    # Its rank is cheaper to tell than whether anybody can take it.
                    rank = self.rank(item, tier, now_ms)
                    if (best is None or rank < best) and self.best_agent(c, item.tried) is not None:
                        if self.paired:
                            rank = self.rank(item, self._first_tier(item), now_ms)
                        best = rank if best is None or rank < best else best
        held = self.personal.best(now_ms) if self.preferred else None
        return held if best is None or (held is not None and held < best) else best

    def _head_tier(self, c: int, idle: int) -> Tier:
        """The tier of a class with those among the idle cells with whom it comes first."""
        if self.paired:
            for cells, members in zip(self.paces[c].masks, self.paces[c].members, strict=True):
                if cells & idle:
                    return self.tier_for(c, self.cell_keys[members[0]][0])
        return self.class_keys[c].tier


def occupied_entry(agent: Agent) -> int:
    """As the entry of a cell, with those first who were busy least."""
    key = occupancy.key(agent.busy_share, agent.busy_at_ms)
    return (key << STAMP_BITS | agent.stamp) << AGENT_BITS | agent.index
