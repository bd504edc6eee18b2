"""The indexes of matching: lines, rings, groups and profiles hold what they should, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from router.engine.capacity import CHANNELS_MAX, takes
from router.engine.entities import Agent
from router.engine.invariants.counting import could_interrupt, fits_class, has_room, is_present
from router.engine.lines import NONE
from router.engine.matching import AGENT_BITS, Profile
from router.engine.model import State
from router.engine.order import ITEM_BITS
from router.engine.personal import GroupKey
from router.engine.requirements import Node, fits
from router.engine.transitions import OFFERED, QUEUED


def lines(s: State) -> Iterator[str]:
    """What waits stands in exactly one line or cooling set, in its own class, and nothing else does."""
    m = s.matcher
    standing: Counter[tuple[int, int]] = Counter()
    for c in range(len(m.class_keys)):
        entries = list(m.waiting.walk(c))
        yield from _line_is_sound("class", m.waiting.head[c], m.waiting.filled >> c & 1, entries, c)
        if m.waiting.count(c) != len(entries):
            yield f"class {c} counts {m.waiting.count(c)} of {len(entries)}"
        for entry in entries:
            number = entry & ((1 << ITEM_BITS) - 1)
            standing[c, number] += 1
            if number in s.interactions and s.interactions[number].tried:
                yield f"interaction {number} stands in a line, but passes somebody over"
            if number in s.preferred:
                yield f"interaction {number} is held for somebody, and stands in a line that others look at"
    for c, members in m.cooling.items():
        if not members or not m.cooling_classes >> c & 1:
            yield f"class {c} is not cooling, but noted so"
        for number, item in members.items():
            standing[c, number] += 1
            if s.interactions.get(number) is not item or not item.tried:
                yield f"interaction {number} cools without reason"
    if m.cooling_classes.bit_count() != len(m.cooling):
        yield "the bit set of cooling classes is wrong"
    for c, line in m.personal.all.items():
        for entry in m.personal.lines.walk(line):
            standing[c, entry & ((1 << ITEM_BITS) - 1)] += 1
    expected = Counter((item.place, item.number) for item in s.interactions.values() if item.state == QUEUED)
    if standing != expected:
        yield f"waiting lines differ: too many {dict(standing - expected)}, missing {dict(expected - standing)}"
    for item in s.interactions.values():
        if item.state == QUEUED and m.class_keys[item.place] != s.class_key(item):
            yield f"interaction {item.number} stands in a class that is not its own"


def personal(s: State) -> Iterator[str]:
    """What is held stands in the lines of those for whom it waits, and in no other (RT-8)."""
    m, lines = s.matcher, s.matcher.personal.lines
    standing = {(name, c, x) for name, own in m.personal.own.items() for c in own for x in lines.walk(own[c])}
    expected = {
        (name, item.place, item.enqueued_at_ms << ITEM_BITS | item.number)
        for item in map(s.interactions.__getitem__, s.preferred)
        if item.state == QUEUED
        for name in s.preferred[item.number].agents
        if name not in item.tried
    }
    if standing != expected:
        yield f"personal lines differ: too many {standing - expected}, missing {expected - standing}"
    used = [*m.personal.all.values(), *(line for own in m.personal.own.values() for line in own.values())]
    for line in used:
        entries = list(lines.walk(line))
        yield from _line_is_sound("personal line", lines.head[line], lines.filled >> line & 1, entries, line)
    if len(set(used)) != len(used) or set(used) & set(m.personal.free) or m.personal.classes != _bits(m.personal.all):
        yield "personal lines are used twice, or by nobody"
    cooling = {n for n in s.preferred if s.interactions[n].state == QUEUED and s.interactions[n].tried}
    if set(m.personal.cooling) != cooling:
        yield f"of what is held cool {cooling}, noted are {set(m.personal.cooling)}"
    if any(s.interactions[n].state not in (QUEUED, OFFERED) for n in s.preferred):
        yield "something is held that does not wait"


def _bits(numbers: Iterable[int]) -> int:
    return sum(1 << n for n in numbers)


def groups(s: State) -> Iterator[str]:
    """What is required of agents knows how near the nearest of them is."""
    personal = s.matcher.personal
    waiting = [s.interactions[n] for n, held in s.preferred.items() if held.required]
    expected: dict[GroupKey, set[int]] = {}
    for item in (item for item in waiting if item.state == QUEUED):
        expected.setdefault((item.place, s.preferred[item.number].agents), set()).add(item.number)
    if {key: set(group.numbers) for key, group in personal.groups.items()} != expected:
        yield f"required of agents are {expected}, grouped otherwise"
        return
    stranded = {key for keys in personal.stranded.values() for key in keys}
    for key, group in personal.groups.items():
        item = s.interactions[next(iter(group.numbers))]
        people = [s.agents[name] for name in group.agents if name in s.agents]
        fit = [a for a in people if not a.retired and fits_class(s, a, s.requirement_of(item), item.born.channel)]
        near = max((3 if is_present(a) else 2 if a.sessions else 1 for a in fit), default=0)
        if group.near != near or (key in stranded) != (near < 2):
            yield f"of {group.agents} the nearest is {near} near, not {group.near}"


def given(s: State) -> Iterator[str]:
    """Each agent is known to whatever waits for them by name, and nothing else is remembered for them."""
    expected: dict[str, set[int]] = {}
    for item in s.interactions.values():
        held = s.preferred.get(item.number)
        for name in held.agents if held is not None else (item.given_to,) if item.given_to else ():
            expected.setdefault(name, set()).add(item.number)
    if {name: set(numbers) for name, numbers in s.given.items()} != expected:
        yield f"waiting for agents by name are {expected}, noted are {s.given}"
    if len(s.last_agents) > s.config.memory.customers or (s.last_agents and not s.remembers):
        yield f"{len(s.last_agents)} last agents are remembered"


def _line_is_sound(kind: str, head: int, filled: int, entries: list[int], line: int) -> Iterator[str]:
    if entries != sorted(set(entries)):
        yield f"{kind} {line} is out of order"
    if head != (entries[0] if entries else NONE):
        yield f"{kind} {line} has a wrong head"
    if bool(filled) != bool(entries):
        yield f"{kind} {line} has a wrong bit in its filled set"


def cells(s: State) -> Iterator[str]:
    """Whoever is available with room stands in exactly the cell of their profile and room; nobody else stands."""
    m = s.matcher
    standing: Counter[tuple[int, int]] = Counter()
    for cell in range(len(m.cell_keys)):
        entries = list(m.idle.walk(cell))
        yield from _line_is_sound("cell", m.idle.head[cell], m.idle.filled >> cell & 1, entries, cell)
        for entry in entries:
            standing[cell, entry] += 1
    expected: Counter[tuple[int, int]] = Counter()
    for agent in s.agents.values():
        rooms = rooms_for(s, agent)
        if not rooms:
            if agent.cell >= 0:
                yield f"agent {agent.id} can take nothing, but stands in cell {agent.cell}"
        elif agent.cell < 0 or m.cell_keys[agent.cell] != (agent.profile, rooms):
            yield f"agent {agent.id} with room {rooms:b} does not stand where they should"
        else:
            expected[agent.cell, agent.stamp << AGENT_BITS | agent.index] += 1
        if agent.index >= len(m.agents) or m.agents[agent.index] is not agent:
            yield f"agent {agent.id} is not number {agent.index}"
        yield from _profile(s, agent)
    if standing != expected:
        yield f"idle lines differ: too many {dict(standing - expected)}, missing {dict(expected - standing)}"


def rooms_for(s: State, agent: Agent) -> int:
    """Bit set of the channels that the agent can take one more of now, by interruption in the upper half; 0 for
    somebody who is not there."""
    if not is_present(agent):
        return 0
    free = sum(1 << i for i, channel in enumerate(s.channels) if has_room(s, agent, channel))
    busy = sum(1 << i for i, channel in enumerate(s.channels) if could_interrupt(s, agent, channel))
    return free | busy << CHANNELS_MAX


def _profile(s: State, agent: Agent) -> Iterator[str]:
    p, has = s.matcher.profiles[agent.profile], agent.config
    if (p.skills, p.languages, p.attributes, p.team) != (has.skills, has.languages, has.attributes, has.team):
        yield f"agent {agent.id} has a profile that is not theirs"
    if p.agent != (agent.id if agent.id in s.matcher.named else ""):
        yield f"agent {agent.id} has a profile of {p.agent or 'nobody in particular'!r}"


def fit(s: State) -> Iterator[str]:
    """The sets of what fits what are what the requirements say."""
    m = s.matcher
    for c in m.free_classes:
        if m.cells_of[c] or m.cell_list_of[c] or any(classes >> c & 1 for classes in m.classes_of):
            yield f"class {c} is forgotten, but fits something"
    for key, c in m.class_ids.items():
        cells = 0
        for cell, (profile, room) in enumerate(m.cell_keys):
            if takes(room, key.channel) and fits(key.requirement, m.profiles[profile]):
                cells |= 1 << cell
                if not m.classes_of[cell] >> c & 1 or c not in m.tiers_of[cell].get(m.tier_for(c, profile).common, ()):
                    yield f"cell {cell} does not know that it fits class {c}"
                yield from _ring(s, c, key.inner, cell, m.profiles[profile])
            elif m.classes_of[cell] >> c & 1:
                yield f"cell {cell} believes that it fits class {c}"
        if m.class_keys[c] != key or m.requirement_ids[key.requirement] not in range(len(m.classes_with)):
            yield f"class {c} is noted under a key that is not its own"
        if m.cells_of[c] != cells or sum(1 << cell for cell in m.cell_list_of[c]) != cells:
            yield f"class {c} is wrong about the cells that fit it"


def weights(s: State) -> Iterator[str]:
    """What compares by age alone has the same weight."""
    for name, queue in s.queues.items():
        if s.learning and queue.standing.value != 1.0 and not queue.standing.apart:
            yield f"queue {name} has a weight of its own, and is compared by age with others"


def _ring(s: State, c: int, inner: tuple[Node, ...], cell: int, profile: Profile) -> Iterator[str]:
    """A cell stands in the circle of the innermost requirement that it meets; those who would have to interrupt
    something stand in the second half of the circles."""
    met = ([i for i, node in enumerate(inner) if fits(node, profile)] or [len(inner)])[0]
    interrupts = not s.matcher.cell_keys[cell][1] >> s.matcher.class_keys[c].channel & 1
    circles = [{x for group in ring.members for x in group} for ring in s.matcher.circles[c] or ()]
    expected = [met + (len(inner) + 1 if interrupts else 0)] if circles or inner or interrupts else []
    if [i for i, ring in enumerate(circles) if cell in ring] != expected:
        yield f"class {c} has cell {cell} in a ring that is not its own"
