"""What matching and the house rules owe when a command is done: nobody who could be served is left waiting."""

from __future__ import annotations

from collections.abc import Iterator

from router.engine import admission
from router.engine.capacity import CHANNELS_MAX
from router.engine.entities import Agent, Interaction
from router.engine.invariants.counting import (
    could_interrupt,
    drains_for,
    fits_class,
    has_room,
    held_by,
    is_present,
    is_suspended,
    may_have,
    meets,
    meets_queue,
    might_take,
    room_beside,
    without_prey,
    work_of,
)
from router.engine.invariants.lines import rooms_for
from router.engine.model import State
from router.engine.personal import named
from router.engine.requirements import Node
from router.engine.rounds import is_paused
from router.engine.transitions import OFFERED, QUEUED, WRAP_UP


def live(s: State) -> Iterator[str]:
    """No waiting interaction stands beside an idle agent who could take it (RT-5)."""
    waiting = [item for item in s.interactions.values() if item.state == QUEUED]
    if not waiting:
        return
    for agent in s.agents.values():
        rooms = rooms_for(s, agent)
        able = rooms | rooms >> CHANNELS_MAX
        for item in waiting:
            willing = agent.id not in item.tried and may_have(s, agent, item)
            if willing and able >> s.channel_index[item.born.channel] & 1 and meets(s, agent, item):
                yield f"interaction {item.number} waits although {agent.id} is free for it"
    if s.matcher.fresh_agents or s.matcher.fresh_items:
        yield "matching stopped before it had looked at everything"


def held(s: State) -> Iterator[str]:
    """What is only preferred is held while somebody is there for whom it waits, and nothing longer than asked for."""
    for number, held in s.preferred.items():
        item, people = s.interactions[number], (s.agents[name] for name in held.agents if name in s.agents)
        if not held.required and not any(might_take(s, agent, item) for agent in people):
            yield f"interaction {number} is held for {held.agents}, who are gone"
        if 0 < held.until_ms < s.now_ms:
            yield f"interaction {number} is still held, though only until {held.until_ms}"


def patience(s: State) -> Iterator[str]:
    """Somebody is passed over only while there is somebody else who may come, or between two rounds (OF-3)."""
    for item in s.interactions.values():
        others = (a for a in s.agents.values() if a.id not in item.tried and might_take(s, a, item))
        if item.state == QUEUED and item.tried and not is_paused(s, item) and next(others, None) is None:
            yield f"interaction {item.number} passes over {list(item.tried)}, and there is nobody else"


def offered(s: State) -> Iterator[str]:
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
    return any(meets_queue(s, agent, queues[rule.lender]) for rule in rules)


def taken_up(s: State) -> Iterator[str]:
    """What was suspended is continued as soon as there is room for it (CP-1)."""
    for agent in s.agents.values():
        held = held_by(s, agent)
        for item in work_of(s, agent):
            fits_again = not held.total() or room_beside(s, agent, held, item.born.channel)
            if is_suspended(s, item) and fits_again:
                yield f"interaction {item.number} is suspended, though {agent.id} has room for it"


def overtaken(s: State) -> Iterator[str]:
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
    return room_beside(s, agent, held, channel) or (rest != held and room_beside(s, agent, rest, channel))


def due(s: State) -> Iterator[str]:
    """Who has work and no session is in grace, or the grace is over and what is left is theirs to keep (AG-2)."""
    for agent in s.agents.values():
        if agent.sessions or agent.grace_until_ms:
            continue
        for number in agent.work:
            item = s.interactions[number]
            if item.state == WRAP_UP or agent.retired or s.agent_lost(item) == "return":
                yield f"interaction {number} stays with {agent.id}, who is gone"


def reach(s: State) -> Iterator[str]:
    """Each class knows how near the nearest agent is who fits it."""
    m = s.matcher
    for key, c in m.class_ids.items():
        channel = s.channels[key.channel]
        fit = [a for a in s.agents.values() if not a.retired and fits_class(s, a, key.requirement, channel)]
        near = (bool(fit), any(a.sessions for a in fit), any(is_present(a) for a in fit))
        if tuple(n > 0 for n in m.reach.able[c]) != near:
            yield f"class {c} believes that {m.reach.able[c]} kinds fit, of which {near}"
        bits = (m.reach.barren, m.reach.stranded, m.reach.unready)
        if tuple(not bit >> c & 1 for bit in bits) != near:
            yield f"class {c} has a wrong bit in what nobody can serve"
    if set(m.reach.able) != set(m.class_ids.values()):
        yield "a class that is forgotten is judged, or one is not"


def unserved(s: State) -> Iterator[str]:
    """What waits and nobody who is signed in could take is noted, once for all that asks for the same (RT-9)."""
    wanted: dict[tuple[str, str, Node], str] = {}
    for item in s.interactions.values():
        if item.state == QUEUED:
            node, channel, asked = s.requirement_of(item), item.born.channel, s.asked_by_now(item)
            fit = [a for a in s.agents.values() if not a.retired and fits_class(s, a, node, channel)]
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


def admitted(s: State) -> Iterator[str]:
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
