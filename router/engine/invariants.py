"""What must hold of a state, worked out again the slow way.

Everything here counts and compares from the primary fields (interactions, offers, agents, configuration) and trusts no
index, counter or line: those are what it checks. It costs time in proportion to the whole state, so it belongs to tests
and to simulations; a live engine never calls it.

    broken_step(state)  after every event, also between the events of one command
    broken(state)       after every command; adds what matching and the house rules owe by then
    Watch               what needs the way that led to the state: no capacity is exceeded but on purpose (CP-2)

Each answers with a list of sentences, empty when all is well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from router.engine import admission, waits
from router.engine import config as configuration
from router.engine import events as e
from router.engine.capacity import CHANNELS_MAX, DRAINING, RESUMING, SOFT, SUSPENDED, count, takes
from router.engine.cards import CHANGES_KEPT, FIELDS_MAX
from router.engine.crews import belongs
from router.engine.customers import root
from router.engine.events import Event
from router.engine.levels import SLOTS
from router.engine.matching import AGENT_BITS, NONE, Profile
from router.engine.model import (
    ASK_DUE,
    BALANCE_DUE,
    BAND_DUE,
    CALLBACK_DUE,
    CONSULT_DUE,
    COOL_OFF_DUE,
    DRAIN_DUE,
    EMERGENCY_DUE,
    GRACE_DUE,
    LEASE_DUE,
    NOBODY_DUE,
    OFFER_DUE,
    PREFERRED_DUE,
    RETURN_DUE,
    SHOW_DUE,
    STEP_DUE,
    TURN_DUE,
    UNSERVED_DUE,
    WAIT_DUE,
    WRAP_UP_DUE,
    Agent,
    Interaction,
    State,
    Timer,
)
from router.engine.order import ITEM_BITS
from router.engine.personal import GroupKey, named
from router.engine.requirements import Node, fits
from router.engine.rounds import LONGEST_MS, is_paused
from router.engine.tally import QUARTER_MS, Tally
from router.engine.transitions import ACTIVE, CLOSED, OFFERED, QUEUED, WRAP_UP


def broken_step(s: State) -> list[str]:
    """What is wrong with a state that may stand in the middle of a command."""
    s.matcher.stand()  # lines are brought up to date when they are looked at
    return [wrong for check in STEP for wrong in check(s)]


def broken(s: State) -> list[str]:
    """What is wrong with a state that a command left behind."""
    if s.matcher.loose_item is not None or s.matcher.loose_agent is not None:
        return ["a command has left somebody out of line"]
    return [wrong for check in (*STEP, *SETTLED) for wrong in check(s)]


# --- counting again ---------------------------------------------------------------------------------------------------


def held_by(s: State, agent: Agent) -> Counter[str]:
    """Open offers, work and wrap-up by channel, from the interactions and offers themselves; nothing suspended."""
    held = Counter(item.born.channel for item in _work_of(s, agent) if not is_suspended(s, item))
    held.update(_offered_to(s, agent))
    return held


def _offered_to(s: State, agent: Agent) -> list[str]:
    """The channels of the open offers."""
    return [s.interactions[o.interaction].born.channel for o in s.offers.values() if o.agent == agent.id]


def _work_of(s: State, agent: Agent) -> list[Interaction]:
    return [item for item in s.interactions.values() if _works_on(item, agent.id)]


def _works_on(item: Interaction, agent: str) -> bool:
    return item.owner == agent and item.state in (ACTIVE, WRAP_UP)


def is_suspended(s: State, item: Interaction) -> bool:
    found = s.suspensions.get(item.number)
    return found is not None and found.since_ms != 0


def soft_work(s: State, agent: Agent) -> Counter[str]:
    """What others may interrupt of what the agent holds: work on a channel that some channel names, unless it was
    suspended for long enough already."""
    prey = {name for channel in s.config.channels.values() for name in channel.interrupts}
    found = Counter[str]()
    for item in _work_of(s, agent):
        channel = item.born.channel
        if channel in prey and not is_suspended(s, item):
            limit, before = s.config.channels[channel].interrupted_max, s.suspensions.get(item.number)
            found[channel] += not (limit and before and before.total_ms >= limit)
    return found


def without_prey(s: State, agent: Agent, held: Counter[str], channels: Iterable[str]) -> Counter[str]:
    """What is held when the soft work that one of these channels may interrupt has made way."""
    known = s.config.channels
    prey = {name for channel in channels if channel in known for name in known[channel].interrupts}
    return held - Counter({name: n for name, n in soft_work(s, agent).items() if name in prey})


def within_caps(s: State, agent: Agent) -> bool:
    """Whether an agent holds no more than they may (CP-2). What an open offer may interrupt does not count against it:
    it makes way when the offer is accepted."""
    held = held_by(s, agent)
    if within_capacity(s, agent, held):
        return True
    return within_capacity(s, agent, without_prey(s, agent, held, _offered_to(s, agent)))


def within_capacity(s: State, agent: Agent, held: Counter[str]) -> bool:
    """Whether the agent may have all this at once, by the words of the configuration (CP-1)."""
    channels = s.config.channels
    if any(n > agent.config.caps.get(c, channels[c].cap if c in channels else 0) for c, n in held.items() if n):
        return False
    if agent.config.budget and sum(n * channels[c].weight for c, n in held.items()) > agent.config.budget:
        return False
    return held.total() <= 1 or not any(channels[c].exclusive for c, n in held.items() if n)


def has_room(s: State, agent: Agent, channel: str) -> bool:
    """Whether there is room for one more beside what the agent holds."""
    return _may_come(s, agent, channel) and _room_beside(s, agent, held_by(s, agent), channel)


def could_interrupt(s: State, agent: Agent, channel: str) -> bool:
    """Whether there is none, but would be if work made way."""
    known = s.config.channels
    if channel not in known or not known[channel].interrupts or not _may_come(s, agent, channel):
        return False
    if has_room(s, agent, channel) or any(s.interactions[n].born.channel != channel for n in drains_for(s, agent)):
        return False
    held = held_by(s, agent)
    rest = without_prey(s, agent, held, [channel])
    return rest != held and _room_beside(s, agent, rest, channel)


def _may_come(s: State, agent: Agent, channel: str) -> bool:
    """What is suspended comes first: nothing new once something has ended, and before that only what may interrupt
    all of it."""
    aside = [item for item in _work_of(s, agent) if is_suspended(s, item)]
    if any(s.suspensions[item.number].due for item in aside):
        return False
    if not all(_is_let_through(s, n, channel) for n in drains_for(s, agent)):
        return False
    return channel in s.config.channels and all(i.born.channel in s.config.channels[channel].interrupts for i in aside)


def drains_for(s: State, agent: Agent) -> list[int]:
    """The interactions for which a place of theirs is held."""
    return [number for number, found in s.drains.items() if found.agent == agent.id]


def _is_let_through(s: State, number: int, channel: str) -> bool:
    """While a place is held for that interaction: more of its kind, and what it may interrupt."""
    wanted = s.interactions[number].born.channel
    return channel == wanted or channel in s.config.channels[wanted].interrupts


def _room_beside(s: State, agent: Agent, held: Counter[str], channel: str) -> bool:
    """Asked in this order: exclusive work, the channel's cap, the budget."""
    channels = s.config.channels
    if channel not in channels or any(n and channels[c].exclusive for c, n in held.items()):
        return False
    if channels[channel].exclusive and held.total():
        return False
    if held[channel] >= agent.config.caps.get(channel, channels[channel].cap):
        return False
    used = sum(n * channels[c].weight for c, n in held.items())
    return not agent.config.budget or used + channels[channel].weight <= agent.config.budget


def is_present(agent: Agent) -> bool:
    """Declared ready, connected, not about to leave and in the configuration (AG-1)."""
    return agent.declared == "ready" and len(agent.sessions) > 0 and agent.requested == "" and not agent.retired


def meets(s: State, agent: Agent, item: Interaction) -> bool:
    """Whether the agent has what the interaction asks for, asked of the requirement itself."""
    has = agent.config
    return fits(s.requirement_of(item), Profile(has.skills, has.languages, has.attributes, has.team, agent.id))


def may_have(s: State, agent: Agent, item: Interaction) -> bool:
    """Whether it waits for everybody, or for this agent by name (RT-8)."""
    held = s.preferred.get(item.number)
    return held is None or agent.id in held.agents


def could_take(s: State, agent: Agent, item: Interaction) -> bool:
    """Whether this waiting interaction could be offered to this agent at once."""
    return (
        is_present(agent)
        and agent.id not in item.tried
        and may_have(s, agent, item)
        and meets(s, agent, item)
        and (has_room(s, agent, item.born.channel) or could_interrupt(s, agent, item.born.channel))
    )


def might_take(s: State, agent: Agent, item: Interaction) -> bool:
    """Whether somebody who is there could be offered it when they are free."""
    channel = s.config.channels[item.born.channel]
    cap = agent.config.caps.get(item.born.channel, channel.cap)
    fits_in = not agent.config.budget or channel.weight <= agent.config.budget
    held = s.preferred.get(item.number)
    eligible = held is None or not held.required or agent.id in held.agents
    return is_present(agent) and cap > 0 and fits_in and eligible and meets(s, agent, item)


# --- after every event ------------------------------------------------------------------------------------------------


def _loads(s: State) -> Iterator[str]:
    """One number says what an agent has, and it is the truth (CP-3)."""
    for agent in s.agents.values():
        aside = [item for item in _work_of(s, agent) if is_suspended(s, item)]
        layers = (
            (0, held_by(s, agent)),
            (SOFT, soft_work(s, agent)),
            (SUSPENDED, Counter(i.born.channel for i in aside)),
        )
        rest = agent.load & ~RESUMING
        for number in drains_for(s, agent):
            rest -= s.channel_index[s.interactions[number].born.channel] + 1 << DRAINING
        for begin, held in layers:
            for i, channel in enumerate(s.channels):
                if count(agent.load >> begin, i) != held[channel]:
                    yield f"{agent.id}: load says {count(agent.load >> begin, i)} {channel}, has {held[channel]}"
                rest -= held[channel] * s.units[channel] << begin
        if rest:
            yield f"{agent.id}: load counts what does not exist"
        if bool(agent.load & RESUMING) != any(s.suspensions[item.number].due for item in aside):
            yield f"{agent.id}: load is wrong about whether something suspended is due"


def _drains(s: State) -> Iterator[str]:
    """A place is held for what waits, by one agent who is there and fits, and for no longer than somewhere is written
    (CP-4)."""
    wanted = (*(x.drain for x in s.config.channels.values()), *(x.drain or 0 for x in s.config.queues.values()))
    longest = max(wanted, default=0)
    for number, found in s.drains.items():
        item, agent = s.interactions.get(number), s.agents.get(found.agent)
        if item is None or item.state != QUEUED or found.interaction != number:
            yield f"a place is held for interaction {found.interaction} under {number}, which does not wait"
        elif agent is None or not (is_present(agent) and may_have(s, agent, item) and meets(s, agent, item)):
            yield f"{found.agent} holds a place for interaction {number}, which they may not have"
        elif agent.id in item.tried:
            yield f"{found.agent} holds a place for interaction {number} and could not take it"
        if not 0 < found.until_ms - found.since_ms <= longest:
            yield f"{found.agent} holds a place from {found.since_ms} to {found.until_ms}; the longest is {longest}"
    for someone in s.agents.values():
        held = drains_for(s, someone)
        if held != [someone.drains][: bool(someone.drains)]:
            yield f"{someone.id} says that they hold a place for {someone.drains}, and do for {held}"
    for name, rest in s.rests.items():
        if name != rest.agent or name not in s.agents or not rest.began_ms < rest.since_ms <= s.now_ms:
            yield f"{rest.agent} rests from {rest.since_ms}, under the name {name}"
    for name, in_a_row in s.failing.items():
        if name not in s.agents or in_a_row < 1:
            yield f"{in_a_row} connections of {name} have failed"
    if s.drains and not s.drainable:
        yield "a place is held where nothing can be kept out"


def _suspensions(s: State) -> Iterator[str]:
    """Only what somebody has is suspended, and it is timed."""
    for number, found in s.suspensions.items():
        item = s.interactions.get(number)
        if item is None or found.interaction != number:
            yield f"a suspension of interaction {found.interaction} is kept under {number}"
        elif found.since_ms and item.state not in (ACTIVE, WRAP_UP):
            yield f"interaction {number} is suspended in state {item.state}"
        elif found.due and not found.since_ms:
            yield f"interaction {number} is due, but not suspended"
        if not 0 <= found.since_ms <= s.now_ms or found.total_ms < 0:
            yield f"interaction {number} was suspended at {found.since_ms} for {found.total_ms}"
    for number, r in s.rounds.items():
        asked = s.interactions.get(number)
        if asked is None or asked.state not in (QUEUED, OFFERED) or r.interaction != number:
            yield f"rounds of interaction {r.interaction} are counted under {number}"
        if r.paused_until_ms - s.now_ms > LONGEST_MS:
            yield f"interaction {number} pauses until {r.paused_until_ms}, which is out of bounds"
    for number, queues in s.left.items():
        if number not in s.interactions or not s.interactions[number].open or len(set(queues)) < len(queues):
            yield f"interaction {number} has left {queues}"
    if (s.suspensions or s.soft) and not s.interrupts:
        yield "interruptions are switched off, though there are some"


def _offers(s: State) -> Iterator[str]:
    """A reservation exists only as an open offer of one open interaction to one agent (OF-6)."""
    for number, offer in s.offers.items():
        item, agent = s.interactions.get(offer.interaction), s.agents.get(offer.agent)
        if offer.number != number:
            yield f"offer {number} calls itself {offer.number}"
        if item is None or number not in item.offers:
            yield f"offer {number}: interaction {offer.interaction} does not know it"
        if agent is None or number not in agent.offers:
            yield f"offer {number}: agent {offer.agent} does not know it"
    for item in s.interactions.values():
        for number in item.offers:
            if number not in s.offers or s.offers[number].interaction != item.number:
                yield f"interaction {item.number} lists offer {number}, which is not its own"
        agents = [s.offers[n].agent for n in item.offers if n in s.offers]
        if len(set(agents)) != len(agents):
            yield f"interaction {item.number} is offered twice to one agent"
        if item.state == OFFERED and not item.offers:
            yield f"interaction {item.number} is offered to nobody"
        if item.offers and item.state not in (OFFERED, ACTIVE):
            yield f"interaction {item.number} has offers in state {item.state}"
    for agent in s.agents.values():
        for number in agent.offers:
            if number not in s.offers or s.offers[number].agent != agent.id:
                yield f"agent {agent.id} lists offer {number}, which is not theirs"


def _owners(s: State) -> Iterator[str]:
    """What is active or wrapped up has exactly one owner, who knows it (MV-1)."""
    for item in s.interactions.values():
        if item.state in (ACTIVE, WRAP_UP):
            owners = [agent.id for agent in s.agents.values() if item.number in agent.work]
            if owners != [item.owner]:
                yield f"interaction {item.number} belongs to {item.owner!r} and is listed by {owners}"
        elif item.owner and item.state != CLOSED:
            yield f"interaction {item.number} waits but has owner {item.owner}"
    for agent in s.agents.values():
        for number in agent.work:
            found = s.interactions.get(number)
            if found is None or not _works_on(found, agent.id):
                yield f"agent {agent.id} lists interaction {number}, which is not theirs"


def _lines(s: State) -> Iterator[str]:
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


def _personal(s: State) -> Iterator[str]:
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


def _groups(s: State) -> Iterator[str]:
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
        fit = [a for a in people if not a.retired and _fits_class(s, a, s.requirement_of(item), item.born.channel)]
        near = max((3 if is_present(a) else 2 if a.sessions else 1 for a in fit), default=0)
        if group.near != near or (key in stranded) != (near < 2):
            yield f"of {group.agents} the nearest is {near} near, not {group.near}"


def _given(s: State) -> Iterator[str]:
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


def _cells(s: State) -> Iterator[str]:
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
        rooms = _rooms(s, agent)
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


def _rooms(s: State, agent: Agent) -> int:
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


def _fit(s: State) -> Iterator[str]:
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
                if not m.classes_of[cell] >> c & 1 or c not in m.tiers_of[cell].get(m.tier_for(c, profile), ()):
                    yield f"cell {cell} does not know that it fits class {c}"
                yield from _ring(s, c, key.inner, cell, m.profiles[profile])
            elif m.classes_of[cell] >> c & 1:
                yield f"cell {cell} believes that it fits class {c}"
        if m.class_keys[c] != key or m.requirement_ids[key.requirement] not in range(len(m.classes_with)):
            yield f"class {c} is noted under a key that is not its own"
        if m.cells_of[c] != cells or sum(1 << cell for cell in m.cell_list_of[c]) != cells:
            yield f"class {c} is wrong about the cells that fit it"


def _ring(s: State, c: int, inner: tuple[Node, ...], cell: int, profile: Profile) -> Iterator[str]:
    """A cell stands in the circle of the innermost requirement that it meets; those who would have to interrupt
    something stand in the second half of the circles."""
    met = ([i for i, node in enumerate(inner) if fits(node, profile)] or [len(inner)])[0]
    interrupts = not s.matcher.cell_keys[cell][1] >> s.matcher.class_keys[c].channel & 1
    circles = [{x for group in ring.members for x in group} for ring in s.matcher.circles[c] or ()]
    expected = [met + (len(inner) + 1 if interrupts else 0)] if circles or inner or interrupts else []
    if [i for i, ring in enumerate(circles) if cell in ring] != expected:
        yield f"class {c} has cell {cell} in a ring that is not its own"


def _counters(s: State) -> Iterator[str]:
    """Counters say what counting says."""
    for name, queue in s.queues.items():
        states = Counter(item.state for item in s.interactions.values() if item.queue == name)
        counted = (states[QUEUED], states[OFFERED], states[ACTIVE] + states[WRAP_UP])
        if (queue.waiting, queue.offered, queue.active) != counted:
            yield f"queue {name} says {queue.waiting, queue.offered, queue.active}, counted {counted}"
    homeless = {i.queue for i in s.interactions.values() if i.state != CLOSED} - set(s.queues)
    if homeless:
        yield f"open interactions of unknown queues {homeless}"
    off = Counter(a.profile for a in s.agents.values() if a.missing)
    if s.matcher.off != off:
        yield f"taken off are {dict(off)}, the matcher counts {s.matcher.off}"
    present = Counter((a.profile, a.capacity.room(0)) for a in s.agents.values() if is_present(a))
    if Counter(s.matcher.present) != present:
        yield f"present are {dict(present)}, the matcher counts {s.matcher.present}"


def _timers(s: State) -> Iterator[str]:
    """Every deadline has a timer at or before it, so none can be slept through."""
    first: dict[tuple[int, int, str], int] = {}
    for due, kind, number, agent in s.timers:
        first[kind, number, agent] = min(due, first.get((kind, number, agent), due))
    for i in range(1, len(s.timers)):
        if s.timers[(i - 1) // 2] > s.timers[i]:
            yield "the heap of timers is no heap"
            break
    for due, kind, number, agent in _deadlines(s):
        if first.get((kind, number, agent), due + 1) > due:
            yield f"nothing will wake up for deadline {kind} of {number or agent} at {due}"


def _deadlines(s: State) -> Iterator[Timer]:
    for offer in s.offers.values():
        yield offer.expires_at_ms, OFFER_DUE, offer.number, ""
    for item in s.interactions.values():
        if item.lease_until_ms and item.state not in (WRAP_UP, CLOSED):
            yield item.lease_until_ms, LEASE_DUE, item.number, ""
        if item.state == WRAP_UP and item.wrap_up_until_ms and not is_suspended(s, item):
            yield item.wrap_up_until_ms, WRAP_UP_DUE, item.number, ""
        if item.state in (QUEUED, OFFERED):
            for agent, until in item.tried.items():
                yield until, COOL_OFF_DUE, item.number, agent
            due = s.band_due_ms(item)
            if due:
                yield due, BAND_DUE, item.number, ""
            due = s.step_due_ms(item)
            if due:
                yield due, STEP_DUE, item.number, ""
    for held in s.preferred.values():
        if held.until_ms:
            yield held.until_ms, PREFERRED_DUE, held.interaction, ""
    for summons in s.summons.values():
        called = s.interactions[summons.interaction]
        if summons.until_ms and called.state == ACTIVE and not called.connected and _calls(s, called):
            yield summons.until_ms, SHOW_DUE, summons.interaction, ""
    for callback in s.callbacks.values():
        made = s.interactions.get(callback.interaction)
        waits = callback.kept and made is not None and made.state in (QUEUED, OFFERED)
        due = callback.due_ms or (callback.until_ms if waits else 0)
        if due:
            yield due, CALLBACK_DUE, callback.number, ""
    for consult in s.consults.values():
        if consult.until_ms and not consult.answered_at_ms:
            yield consult.until_ms, CONSULT_DUE, consult.interaction, ""
    for entry in s.unserved.values():
        rule = s.queue_config(entry.queue).unservable
        if rule.policy != "wait" and not entry.acted:
            yield entry.since_ms + rule.after, UNSERVED_DUE, entry.number, ""
    for place in s.drains.values():
        yield place.until_ms, DRAIN_DUE, place.interaction, ""
    for someone in s.agents.values():
        if someone.grace_until_ms:
            yield someone.grace_until_ms, GRACE_DUE, 0, someone.id
        if someone.return_at_ms:
            yield someone.return_at_ms, RETURN_DUE, 0, someone.id
    for name, turn in s.turns.items():
        if turn.next_ms:
            yield turn.next_ms, TURN_DUE, 0, name
        if turn.emergency and turn.until_ms:
            yield turn.until_ms, EMERGENCY_DUE, 0, name
    if any(queue.config.borrow or queue.config.overflow for queue in s.queues.values()):
        yield s.balance_ms, BALANCE_DUE, 0, ""
    for name, since in s.empty.items():
        if name not in s.deserted:
            yield since + s.queues[name].config.nobody_grace, NOBODY_DUE, 0, name
    for name in s.queues:
        longest = {item.number: _longest(s, name, item) for item in s.interactions.values()}
        dues = [due for due in longest.values() if due]
        if s.queues[name].config.when_overdue.do == "callback":
            yield from ((due, ASK_DUE, number, "") for number, due in longest.items() if due)
            continue
        # Where there was nowhere to move to, it is tried again every second.
        again = s.now_ms // admission.AGAIN_MS * admission.AGAIN_MS + admission.AGAIN_MS
        if dues:
            yield min(due if due > s.now_ms else again for due in dues), WAIT_DUE, 0, name


def _longest(s: State, name: str, item: Interaction) -> int:
    """Until when it may wait in this queue; 0 if it is not there, or for as long as it takes."""
    config = s.queues[name].config
    if item.queue != name or item.state != QUEUED or not config.max_wait or admission.is_ours(s, item):
        return 0
    verdict, left = (admission.MAX_WAIT, config.when_overdue), s.left.get(item.number, ())
    if admission.outcome(s, item.born.channel, name, verdict, left) is None:
        return 0  # it may not be ended, or there is nowhere to go just now
    lasting = s.config.channels[item.born.channel].lasting
    if config.when_overdue.do == "callback" and (item.callback_offered or lasting):
        return 0  # it was asked, or cannot be and may not be ended
    if config.clock == "open" and config.calendar:
        return s.hours[config.calendar].after(item.returned_at_ms or item.enqueued_at_ms, config.max_wait)
    return (item.returned_at_ms or item.enqueued_at_ms) + config.max_wait


def _legs(s: State) -> Iterator[str]:
    """A consult is about something and between two (MV-1); what no channel knows is a consult."""
    expected = {consult.leg: number for number, consult in s.consults.items() if consult.leg}
    if s.legs != expected:
        yield f"consults are {expected}, looked up as {s.legs}"
    for number, consult in s.consults.items():
        item, leg = s.interactions.get(number), s.interactions.get(consult.leg)
        if item is None or consult.interaction != number:
            yield f"a consult is about {number}, which is not there"
        elif consult.leg and leg is None:
            yield f"the consult about {number} is not there"
        elif leg is not None and leg.owner and leg.owner == item.owner:
            yield f"{item.owner} asks themselves about interaction {number}"
        elif bool(consult.leg) == bool(consult.address):
            yield f"the consult about {number} asks {consult.address!r} and {consult.leg}"
    for item in s.interactions.values():
        if item.open and not item.threads and item.number not in s.legs:
            yield f"interaction {item.number} is known to nobody"


def _consults(s: State) -> Iterator[str]:
    """No consult without an owner, and none goes on after its end."""
    for number, consult in s.consults.items():
        item, leg = s.interactions[number], s.interactions.get(consult.leg)
        if item.state != ACTIVE or not item.owner:
            yield f"interaction {number} has a consult and no owner"
        if leg is not None and (leg.state == ACTIVE) != bool(consult.answered_at_ms):
            yield f"the consult about {number} is in state {leg.state}, answered at {consult.answered_at_ms}"
        if leg is not None and not leg.open:
            yield f"the consult about {number} is over, and does not say so"


def _callbacks(s: State) -> Iterator[str]:
    """Every callback has an attempt or a time for the next one; a customer has at most one (MV-5)."""
    if s.callers != {callback.arrival.customer: n for n, callback in s.callbacks.items()}:
        yield f"customers who are to be called are {s.callers}"
    if s.calls != {callback.interaction: n for n, callback in s.callbacks.items() if callback.interaction}:
        yield f"calls of the house are {s.calls}"
    if len(s.callers) != len(s.callbacks):
        yield "a customer has two callbacks"
    for number, callback in s.callbacks.items():
        if number != callback.number or number > s.last_callback:
            yield f"callback {number} calls itself {callback.number}; the last one is {s.last_callback}"
        if bool(callback.due_ms) == bool(callback.interaction):
            yield f"callback {number} has attempt {callback.interaction} and is due at {callback.due_ms}"
        elif callback.interaction and callback.interaction not in s.interactions:
            yield f"callback {number} is about {callback.interaction}, which is not there"


def _calls(s: State, item: Interaction) -> bool:
    channel = s.config.channels.get(item.born.channel)
    return channel is not None and channel.show_within is not None and bool(item.threads)


def _summons(s: State) -> Iterator[str]:
    """Only customers of what is open and whom nobody has met yet are called."""
    for number, found in s.summons.items():
        item = s.interactions.get(number)
        if item is None or not item.open or number != found.interaction or found.calls < 1:
            yield f"the customer of {number} is called {found.calls} times, by {found.interaction}"
        elif item.connected:
            yield f"the customer of {number} is called, and has come"
    for number in s.first_queues:
        if number not in s.interactions:
            yield f"where {number} came to is remembered longer than {number}"


def _kinship(s: State) -> Iterator[str]:
    """Every identity leads to a name that leads nowhere else."""
    for identity in s.links:
        end = root(s, identity)
        if root(s, end) != end:
            yield f"identity {identity!r} leads to {end!r}, which leads further"
    for customer, card in s.cards.items():
        if root(s, customer) != customer:
            yield f"the card of {customer!r} is of a customer who has another name"
        if len(card.fields) > FIELDS_MAX or len(card.changes) > CHANGES_KEPT or not all(card.fields.values()):
            yield f"the card of {customer!r} is {card}"


def _attempts(s: State) -> Iterator[str]:
    """An attempt that is over was followed by something; a place that is kept is the first one."""
    for number, callback in s.callbacks.items():
        item = s.interactions.get(callback.interaction)
        if item is not None and item.state not in (QUEUED, OFFERED, ACTIVE):
            yield f"callback {number} waits for {item.number}, which is over"
        if item is not None and callback.place_ms != item.enqueued_at_ms:
            yield f"callback {number} has lost its place"


def _names(s: State) -> Iterator[str]:
    """Threads lead to interactions that know them; what is closed is kept in the order of closing."""
    for thread, number in s.threads.items():
        item = s.interactions.get(number)
        if item is None or thread not in item.threads:
            yield f"thread {thread!r} leads to interaction {number}, which does not know it"
    for item in s.interactions.values():
        if item.state in (QUEUED, OFFERED, ACTIVE):
            for thread in item.threads:
                if s.threads.get(thread) != item.number:
                    yield f"interaction {item.number} cannot be found by {thread!r}"
    closed = [item.number for item in s.interactions.values() if item.state == CLOSED]
    if sorted(s.closed) != closed:
        yield f"closed {sorted(s.closed)} kept, {closed} there"
    if list(s.interactions) != sorted(s.interactions):
        yield "interactions are not in order of number"


def _memory(s: State) -> Iterator[str]:
    """Letters are either to be delivered or dead; keys are known exactly while they are in line to be forgotten."""
    if s.outbound.keys() & s.dead.keys():
        yield f"letters {s.outbound.keys() & s.dead.keys()} are both dead and alive"
    for memory in (s.intake_keys, s.command_keys):
        if Counter(key for _, key in memory.order) != Counter(memory.known.keys()):
            yield "keys that are known differ from those that will be forgotten"


def _agents(s: State) -> Iterator[str]:
    """Places among the idle are unique; who is out of the configuration stays only while there is something to do."""
    stamps = Counter(agent.stamp for agent in s.agents.values() if agent.stamp)
    for stamp, n in stamps.items():
        if n > 1 or stamp > s.last_stamp:
            yield f"place {stamp} among the idle is held {n} times; the last one given is {s.last_stamp}"
    for agent in s.agents.values():
        if agent.retired != (agent.id not in s.config.agents):
            yield f"agent {agent.id}: retired is {agent.retired}"
        if agent.retired and not (agent.work or agent.offers):
            yield f"agent {agent.id} should have gone"
        if agent.counted != is_present(agent):
            yield f"agent {agent.id} is counted as {'' if agent.counted else 'not '}present"
        if agent.sessions and agent.grace_until_ms:
            yield f"agent {agent.id} is here and yet in grace"
        if not agent.retired and agent.config != s.config.agents[agent.id]:
            yield f"agent {agent.id} works by an old configuration"


def _staffing(s: State) -> Iterator[str]:
    """Queues that ask know how many who fit are signed in, and since when nobody is."""
    for name, queue in s.queues.items():
        if queue.wake_ms and (queue.wake_ms, WAIT_DUE, 0, name) not in s.timers:
            yield f"queue {name} has no timer at {queue.wake_ms}, where it believes to have one"
        if queue.config.when_nobody.do == "keep":
            if name in s.empty or name in s.deserted:
                yield f"queue {name} does not ask who is there, but remembers that nobody was"
            continue
        here = [a for a in s.agents.values() if a.sessions and not a.retired and _meets_queue(s, a, queue.config)]
        if queue.signed_in != len(here):
            yield f"queue {name} counts {queue.signed_in} signed in, there are {len(here)}"
        if (name in s.empty) != (not here):
            yield f"queue {name} has {len(here)} signed in, and is {'' if name in s.empty else 'not '}noted as empty"
    yield from _helping(s)
    for name in s.turns:
        if name not in s.config.calendars:
            yield f"calendar {name} is remembered, but gone"


def _helping(s: State) -> Iterator[str]:
    """Gates are of rules that there are, and what is counted of service levels is bounded."""
    rules = {(name, rule.lender) for name, queue in s.config.queues.items() for rule in queue.borrow}
    if s.gates.keys() - rules:
        yield f"gates {s.gates.keys() - rules} are of no rule"
    lent = {queue for (queue, _), gate in s.gates.items() if gate.is_open}
    if s.lent != lent:
        yield f"agents are lent to {sorted(lent)}, noted is {sorted(s.lent)}"
    for queue, levels in s.levels.items():
        for channel, level in levels.items():
            if len(level.slots) > SLOTS + 1 or any(not 0 <= kept <= n for _, kept, n in level.slots):
                yield f"{queue}/{channel}: kept targets are {level.slots}"
    for queue, tally in s.tallies.items():
        yield from _counted(s, queue, tally)


def _counted(s: State, queue: str, tally: Tally) -> Iterator[str]:
    """Quarters follow one another, are bounded, and no part is more than its whole."""
    begins, keep = tally.begins, s.config.figures.keep
    if not s.tallied or any(len(column) != len(begins) for column in tally.columns()):
        yield f"{queue}: figures are {tally}"
    if begins != sorted(set(begins)) or (begins and begins[-1] - begins[0] >= keep + QUARTER_MS):
        yield f"{queue}: quarters are {begins}"
    parts = [(tally.kept, tally.answered), (tally.late, tally.abandoned), (tally.short, tally.abandoned)]
    if any(not 0 <= n <= of for part, whole in parts for n, of in zip(part, whole, strict=True)):
        yield f"{queue}: figures are {tally}"


def _meets_queue(s: State, agent: Agent, queue: configuration.Queue) -> bool:
    has = agent.config
    return fits(queue.requirement, Profile(has.skills, has.languages, has.attributes, has.team, agent.id))


# --- after every command ----------------------------------------------------------------------------------------------


def _live(s: State) -> Iterator[str]:
    """No waiting interaction stands beside an idle agent who could take it (RT-5)."""
    waiting = [item for item in s.interactions.values() if item.state == QUEUED]
    if not waiting:
        return
    for agent in s.agents.values():
        rooms = _rooms(s, agent)
        able = rooms | rooms >> CHANNELS_MAX
        for item in waiting:
            willing = agent.id not in item.tried and may_have(s, agent, item)
            if willing and able >> s.channel_index[item.born.channel] & 1 and meets(s, agent, item):
                yield f"interaction {item.number} waits although {agent.id} is free for it"
    if s.matcher.fresh_agents or s.matcher.fresh_items:
        yield "matching stopped before it had looked at everything"


def _held(s: State) -> Iterator[str]:
    """What is only preferred is held while somebody is there for whom it waits, and nothing longer than asked for."""
    for number, held in s.preferred.items():
        item, people = s.interactions[number], (s.agents[name] for name in held.agents if name in s.agents)
        if not held.required and not any(might_take(s, agent, item) for agent in people):
            yield f"interaction {number} is held for {held.agents}, who are gone"
        if 0 < held.until_ms < s.now_ms:
            yield f"interaction {number} is still held, though only until {held.until_ms}"


def _patience(s: State) -> Iterator[str]:
    """Somebody is passed over only while there is somebody else who may come, or between two rounds (OF-3)."""
    for item in s.interactions.values():
        others = (a for a in s.agents.values() if a.id not in item.tried and might_take(s, a, item))
        if item.state == QUEUED and item.tried and not is_paused(s, item) and next(others, None) is None:
            yield f"interaction {item.number} passes over {list(item.tried)}, and there is nobody else"


def _offered(s: State) -> Iterator[str]:
    """Offers are open only for what is offered, to those who are there and meet the requirement (AG-6, AG-8)."""
    for offer in s.offers.values():
        item, agent = s.interactions[offer.interaction], s.agents[offer.agent]
        if item.state != OFFERED:
            yield f"offer {offer.number} is open, but interaction {item.number} is in state {item.state}"
        if not is_present(agent):
            yield f"offer {offer.number} is open, but {agent.id} is not available"
        if not (meets(s, agent, item) or _could_be_lent(s, agent, item)):
            yield f"offer {offer.number} is open, but {agent.id} does not fit"
    for agent in s.agents.values():
        if agent.requested and not agent.work:
            yield f"agent {agent.id} asked for {agent.requested}, has no work, and waits"


def _could_be_lent(s: State, agent: Agent, item: Interaction) -> bool:
    """Whether it may have been offered to them while a gate was open that has shut since."""
    rules, queues = s.queue_config(item.queue).borrow, s.config.queues
    return any(_meets_queue(s, agent, queues[rule.lender]) for rule in rules)


def _taken_up(s: State) -> Iterator[str]:
    """What was suspended is continued as soon as there is room for it (CP-1)."""
    for agent in s.agents.values():
        held = held_by(s, agent)
        for item in _work_of(s, agent):
            fits_again = not held.total() or _room_beside(s, agent, held, item.born.channel)
            if is_suspended(s, item) and fits_again:
                yield f"interaction {item.number} is suspended, though {agent.id} has room for it"


def _overtaken(s: State) -> Iterator[str]:
    """No place is held before something in a more urgent band that could have it, none when there is room for what it
    is held for, and none for longer than was said (CP-4)."""
    for agent in s.agents.values():
        for number in drains_for(s, agent):
            rank = s.rank_of_band(s.interactions[number])
            for item in s.interactions.values():
                if item.state == QUEUED and s.rank_of_band(item) < rank and _could_but_for(s, agent, item):
                    yield f"interaction {item.number} waits for the place that {agent.id} holds for {number}"
            channel = s.interactions[number].born.channel
            if has_room(s, agent, channel) or could_interrupt(s, agent, channel):
                yield f"{agent.id} holds a place for {number} and has room for it"
            if s.drains[number].until_ms < s.now_ms:
                yield f"{agent.id} holds a place for {number} until {s.drains[number].until_ms}, which is past"


def _could_but_for(s: State, agent: Agent, item: Interaction) -> bool:
    """Whether they could take it if they held no place for something else. Who drains has nothing suspended."""
    if agent.id in item.tried or not (may_have(s, agent, item) and meets(s, agent, item)):
        return False
    held, channel = held_by(s, agent), item.born.channel
    rest = without_prey(s, agent, held, [channel])
    return _room_beside(s, agent, held, channel) or (rest != held and _room_beside(s, agent, rest, channel))


def _due(s: State) -> Iterator[str]:
    """Who has work and no session is in grace, or the grace is over and what is left is theirs to keep (AG-2)."""
    for agent in s.agents.values():
        if agent.sessions or agent.grace_until_ms:
            continue
        for number in agent.work:
            item = s.interactions[number]
            if item.state == WRAP_UP or agent.retired or s.agent_lost(item) == "return":
                yield f"interaction {number} stays with {agent.id}, who is gone"


def _paces(s: State) -> Iterator[str]:
    """What was learned of waits is bounded, of known queues, and its crews count who is there (RT-13)."""
    for queue, paces in s.paces.items():
        for channel, pace in paces.items():
            sums = (pace.finished, pace.handled_ms, pace.waited_ms, pace.left)
            if min(sums) < 0 or pace.finished > waits.MANY or len(pace.followed) > waits.FOLLOWED:
                yield f"{queue}/{channel}: learned {sums}, follows {len(pace.followed)}"
        if queue not in s.queues:
            yield f"{queue}: learned of a queue that does not exist"
    for crew in s.matcher.crews.values():
        there = {a.index for a in s.matcher.agents if is_present(a) and belongs(s.matcher, crew, a)}
        if crew.bits != sum(1 << i for i in there) or sum(crew.capacities.values()) != len(there):
            yield f"the crew of requirement {crew.requirement} is {crew.bits:b}; there are {sorted(there)}"


def _reach(s: State) -> Iterator[str]:
    """Each class knows how near the nearest agent is who fits it."""
    m = s.matcher
    for key, c in m.class_ids.items():
        channel = s.channels[key.channel]
        fit = [a for a in s.agents.values() if not a.retired and _fits_class(s, a, key.requirement, channel)]
        near = (bool(fit), any(a.sessions for a in fit), any(is_present(a) for a in fit))
        if tuple(n > 0 for n in m.reach.able[c]) != near:
            yield f"class {c} believes that {m.reach.able[c]} kinds fit, of which {near}"
        bits = (m.reach.barren, m.reach.stranded, m.reach.unready)
        if tuple(not bit >> c & 1 for bit in bits) != near:
            yield f"class {c} has a wrong bit in what nobody can serve"
    if set(m.reach.able) != set(m.class_ids.values()):
        yield "a class that is forgotten is judged, or one is not"


def _fits_class(s: State, agent: Agent, node: Node, channel: str) -> bool:
    has = agent.config
    profile = Profile(has.skills, has.languages, has.attributes, has.team, agent.id)
    return fits(node, profile) and _works_on_channel(s, agent, channel)


def _works_on_channel(s: State, agent: Agent, channel: str) -> bool:
    """Whether there would be room with nothing else to do."""
    rule = s.config.channels.get(channel)
    if rule is None or agent.config.caps.get(channel, rule.cap) < 1:
        return False
    return not agent.config.budget or rule.weight <= agent.config.budget


def _unserved(s: State) -> Iterator[str]:
    """What waits and nobody who is signed in could take is noted, once for all that asks for the same (RT-9)."""
    wanted: dict[tuple[str, str, Node], str] = {}
    for item in s.interactions.values():
        if item.state == QUEUED:
            node, channel, asked = s.requirement_of(item), item.born.channel, s.asked_by_now(item)
            fit = [a for a in s.agents.values() if not a.retired and _fits_class(s, a, node, channel)]
            held = s.preferred.get(item.number)
            if held is not None and held.required:
                fit = [agent for agent in fit if agent.id in held.agents]
                asked = named(asked, held.agents)
            if not any(a.sessions for a in fit):
                wanted[item.queue, channel, asked] = "signed-out" if fit else "nobody"
    noted = {key: entry.servable for key, entry in s.unserved.items()}
    if noted != wanted:
        yield f"unserved are {wanted}, noted is {noted}"
    entries = list(s.unserved.values())
    if list(s.noted.values()) != entries or s.acted != sum(entry.acted for entry in entries):
        yield f"of what is unserved {s.acted} were acted upon and known are {list(s.noted)}"


def _admitted(s: State) -> Iterator[str]:
    """Nobody waits against a rule that holds for everybody: in an emergency, or where nobody is there (RT-11)."""
    for item in s.interactions.values():
        verdict = admission.lasts(s, item.queue) if item.state == QUEUED else None
        # Where a circle of queues kept it, one of them may have room by now, and nobody has asked again.
        if verdict is not None and verdict[1].do in ("end", "callback") and admission.facts_for(s, item, verdict):
            yield f"interaction {item.number} waits in {item.queue} against the rule {verdict[0]}"
    for name in s.deserted:
        if s.queues[name].signed_in:
            yield f"queue {name} is deserted, and yet {s.queues[name].signed_in} are there"
    for name, hours in s.hours.items():
        turn = s.turns.get(name)
        if turn is None:
            yield f"nobody knows whether calendar {name} is open"
        elif (not turn.next_ms or s.now_ms < turn.next_ms) and turn.is_open != hours.is_open(s.now_ms):
            yield f"calendar {name} is {'open' if turn.is_open else 'closed'} against its hours"
    if s.entered:
        yield f"nobody has looked at {list(s.entered)} since they came"


STEP = (
    _loads,
    _suspensions,
    _drains,
    _offers,
    _owners,
    _lines,
    _personal,
    _groups,
    _given,
    _cells,
    _fit,
    _counters,
    _timers,
    _names,
    _memory,
    _agents,
    _legs,
    _callbacks,
    _summons,
    _kinship,
    _paces,
    _reach,
    _staffing,
)
SETTLED = (
    _live,
    _held,
    _patience,
    _offered,
    _taken_up,
    _overtaken,
    _due,
    _consults,
    _attempts,
    _unserved,
    _admitted,
)


class Watch:
    """Follows a history event by event and tells where capacity was exceeded without anybody asking for it (CP-2).

    Two things excuse more than capacity allows: an assignment that says `override`, and a configuration that lowers it
    under what somebody has. The excuse ends when the agent is within capacity again.
    """

    def __init__(self) -> None:
        self.excused: set[str] = set()

    def after(self, s: State, event: Event) -> list[str]:
        """What the event, which was just applied, broke."""
        over = {a.id for a in s.agents.values() if not within_caps(s, a)}
        if type(event) is e.Configured:
            self.excused = {a.id for a in s.agents.values() if _has_too_much(s, a)}
        elif type(event) is e.OfferMade and event.cause == "assign-override":
            self.excused.add(event.agent)
        wrong = [f"{name} has more than capacity allows after {event}" for name in sorted(over - self.excused)]
        self.excused = {name for name in self.excused if name in s.agents and _has_too_much(s, s.agents[name])}
        return wrong


def _has_too_much(s: State, agent: Agent) -> bool:
    """Even if offers are declined. What was suspended under a larger cap is continued all the same: it is theirs."""
    if not within_capacity(s, agent, held_by(s, agent)):
        return True
    aside = Counter(item.born.channel for item in _work_of(s, agent) if is_suspended(s, item))
    return any(not within_capacity(s, agent, Counter([channel])) for channel in aside)
