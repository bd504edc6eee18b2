"""Who has what, counted again from the interactions, and who could take what, asked anew for each pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from router.engine import config as configuration
from router.engine.entities import Agent, Interaction
from router.engine.matching import Profile
from router.engine.model import State
from router.engine.requirements import Node, fits
from router.engine.transitions import ACTIVE, WRAP_UP


def held_by(s: State, agent: Agent) -> Counter[str]:
    """Open offers, work and wrap-up by channel, from the interactions and offers themselves; nothing suspended."""
    held = Counter(item.born.channel for item in work_of(s, agent) if not is_suspended(s, item))
    held.update(_offered_to(s, agent))
    return held


def _offered_to(s: State, agent: Agent) -> list[str]:
    """The channels of the open offers."""
    return [s.interactions[o.interaction].born.channel for o in s.offers.values() if o.agent == agent.id]


def work_of(s: State, agent: Agent) -> list[Interaction]:
    return [item for item in s.interactions.values() if works_on(item, agent.id)]


def works_on(item: Interaction, agent: str) -> bool:
    return item.owner == agent and item.state in (ACTIVE, WRAP_UP)


def is_suspended(s: State, item: Interaction) -> bool:
    found = s.suspensions.get(item.number)
    return found is not None and found.since_ms != 0


def soft_work(s: State, agent: Agent) -> Counter[str]:
    """What others may interrupt of what the agent holds: work on a channel that some channel names, unless it was
    suspended for long enough already."""
    prey = {name for channel in s.config.channels.values() for name in channel.interrupts}
    found = Counter[str]()
    for item in work_of(s, agent):
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
    return _may_come(s, agent, channel) and room_beside(s, agent, held_by(s, agent), channel)


def could_interrupt(s: State, agent: Agent, channel: str) -> bool:
    """Whether there is none, but would be if work made way."""
    known = s.config.channels
    if channel not in known or not known[channel].interrupts or not _may_come(s, agent, channel):
        return False
    if has_room(s, agent, channel) or any(s.interactions[n].born.channel != channel for n in drains_for(s, agent)):
        return False
    held = held_by(s, agent)
    rest = without_prey(s, agent, held, [channel])
    return rest != held and room_beside(s, agent, rest, channel)


def _may_come(s: State, agent: Agent, channel: str) -> bool:
    """What is suspended comes first: nothing new once something has ended, and before that only what may interrupt
    all of it."""
    aside = [item for item in work_of(s, agent) if is_suspended(s, item)]
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


def room_beside(s: State, agent: Agent, held: Counter[str], channel: str) -> bool:
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


def meets_queue(s: State, agent: Agent, queue: configuration.Queue) -> bool:
    has = agent.config
    return fits(queue.requirement, Profile(has.skills, has.languages, has.attributes, has.team, agent.id))


def fits_class(s: State, agent: Agent, node: Node, channel: str) -> bool:
    has = agent.config
    profile = Profile(has.skills, has.languages, has.attributes, has.team, agent.id)
    return fits(node, profile) and _works_on_channel(s, agent, channel)


def _works_on_channel(s: State, agent: Agent, channel: str) -> bool:
    """Whether there would be room with nothing else to do."""
    rule = s.config.channels.get(channel)
    if rule is None or agent.config.caps.get(channel, rule.cap) < 1:
        return False
    return not agent.config.budget or rule.weight <= agent.config.budget
