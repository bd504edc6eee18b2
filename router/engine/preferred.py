"""Preferred agents: a contact waits for some agents by name before it waits for everybody who fits (RT-8).

Who they are is said by a rule of the routing plan (by name, by an attribute of the contact, or as who last served the
customer), or by whoever brought the contact. They must fit like anybody else. While it is held it is offered to them
alone, in the order in which they are named; its clock runs on, and it keeps its place for when it is released.

    prefer   It is held only if there is somebody to wait for: signed in and ready, and as far as anybody can know free
             before the hold is over. It is released at once when that holds of none of them any more, when the last of
             them has declined or missed it, and at the end of the hold at the latest.
    require  Nobody else gets it, whether they are there or not: only the end of a hold that was asked for, a step of a
             relaxation plan and people release it. That nobody is there who could take it is found and treated as for
             everything else that nobody can serve (`unservable`).

A preferred agent who becomes free takes it before anything else of its band, other than what has waited for so long
that only age counts: a hold that lets the agent take something else first would be for nothing. `first-come` and
`deadline` go by time alone, and there it comes when it is its turn. What a colleague has given to an agent by name
waits in the order as everything does; it shares the index of who waits for whom, and the rule by which it is let go.

Of an agent who is busy nobody knows when they will be free, with one exception: a forced wrap-up has an end.

The first half decides, the second half is called by `evolve` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from router.engine import commands as c
from router.engine import config
from router.engine import events as e
from router.engine.capacity import takes
from router.engine.entities import Agent, Interaction, Preferred
from router.engine.events import Event
from router.engine.model import State
from router.engine.requirements import Node
from router.engine.sayings import Saying, because, joined, say
from router.engine.transitions import WRAP_UP
from router.errors import BadMessage, ConfigError

MOST = 16  # agents that one contact may wait for
LONGEST_NAME = 64  # of any agent; what is longer is nobody's
HOLD_MS = 30_000
OneOf = Callable[[str | None, Iterable[str], str, str], None]
Wish = tuple[tuple[str, ...], bool, int | None, str]  # agents, required, for how long at most, why

# --- when a contact comes ---------------------------------------------------------------------------------------------


def held(
    s: State, arrival: e.InteractionArrived, rule: config.Prefer | None, asked: c.Preference | None, now_ms: int
) -> list[Event]:
    """What holds the contact that has just come; empty if there is nobody to wait for. Raises BadMessage."""
    wish = _asked(asked) if asked is not None else _by_rule(s, arrival, rule) or _former(s, arrival)
    if wish is None:
        return []
    names, required, hold_ms, why = wish
    hold_ms = HOLD_MS if hold_ms is None and not required else hold_ms
    until = now_ms + hold_ms if hold_ms is not None else 0
    if not required:
        names = tuple(name for name in names if _is_worth_it(s, arrival, name, until, now_ms))
    return [e.PreferredHeld(arrival.interaction, names, until, required, why)] if names else []


def _asked(ask: c.Preference) -> Wish:
    if not 0 < len(ask.agents) <= MOST or max(map(len, ask.agents)) > LONGEST_NAME:
        raise BadMessage(f"prefer.agents: from 1 to {MOST} names of at most {LONGEST_NAME} characters")
    if ask.hold_ms is not None and not int(ask.require) <= ask.hold_ms <= config.LONGEST_MS:
        raise BadMessage("prefer.hold_ms: must be a number of milliseconds up to ten years, above 0 with `require`")
    return tuple(dict.fromkeys(ask.agents)), ask.require, ask.hold_ms, "asked"


def _by_rule(s: State, arrival: e.InteractionArrived, rule: config.Prefer | None) -> Wish | None:
    if rule is None:
        return None
    names, why = rule.agents, f"rule {arrival.rule}"
    if rule.attribute:
        names, why = _listed(arrival.attributes.get(rule.attribute, "")), f"attribute {rule.attribute}"
    elif rule.last_agent:
        names, why = last_agent(s, arrival), "last-agent"
    hold_ms = int(rule.hold) if rule.hold is not None else None
    return (tuple(dict.fromkeys(names)), rule.mode == "require", hold_ms, why) if names else None


def _former(s: State, arrival: e.InteractionArrived) -> Wish | None:
    """Who had the contact that this one continues, where the queue holds it for them."""
    hold_ms = int(s.queue_config(arrival.queue).former_agent)
    before = s.interactions.get(arrival.follows) if hold_ms and arrival.follows else None
    if before is None or not before.owner:
        return None
    return (before.owner,), False, hold_ms, "former-agent"


def _listed(text: str) -> tuple[str, ...]:
    """From outside, so it may be anything. What is nobody's name is kept, since somebody was required."""
    return tuple(name[:LONGEST_NAME] for name in map(str.strip, text[:2_000].split(",")) if name)[:MOST]


def last_agent(s: State, arrival: e.InteractionArrived) -> tuple[str, ...]:
    """Who last served this customer, by whatever identity they were known then."""
    known = (s.last_agents[x] for x in (arrival.customer, *arrival.identities) if x in s.last_agents)
    return tuple(known)[:1]


def _is_worth_it(s: State, arrival: e.InteractionArrived, name: str, until_ms: int, now_ms: int) -> bool:
    agent = s.agents.get(name)
    if agent is None or not _is_there(s, agent, arrival.channel):
        return False
    return _fits(s, agent, arrival) and _may_be_free(s, agent, arrival.channel, until_ms, now_ms)


def _fits(s: State, agent: Agent, arrival: e.InteractionArrived) -> bool:
    """What the queue and the rule ask for, or what the queues ask for that lend it agents now."""
    m, own, loans = s.matcher, arrival.requirement, s.loans.get(arrival.queue)
    asked = (s.queue_config(arrival.queue).requirement, own)
    if all(node is None or m.meets_node(agent, node) for node in asked):
        return True
    return loans is not None and any(m.meets_node(agent, loans.way(i, own)) for i in loans.open)


# --- as long as it is held --------------------------------------------------------------------------------------------


def lasts(s: State, item: Interaction, found: Preferred) -> bool:
    """Whether there is still somebody to wait for."""
    return found.required or any(waits_for(s, item, found, name) for name in found.agents)


def waits_for(s: State, item: Interaction, found: Preferred, name: str) -> bool:
    """Whether this agent is there, fits, and may be free before the hold is over."""
    agent, channel = s.agents.get(name), item.born.channel
    if agent is None or not _is_there(s, agent, channel) or not s.matcher.meets_node(agent, s.requirement_of(item)):
        return False
    is_offered = any(s.offers[n].agent == name for n in item.offers)
    return is_offered or _may_be_free(s, agent, channel, found.until_ms, s.now_ms)


def _is_there(s: State, agent: Agent, channel: str) -> bool:
    return agent.available and bool(agent.capacity.room(0) >> s.channel_index[channel] & 1)


def _may_be_free(s: State, agent: Agent, channel: str, until_ms: int, now_ms: int) -> bool:
    """Whether there is room now, or could be by then as far as anybody knows."""
    i = s.channel_index[channel]
    if takes(agent.capacity.room(agent.load), i):
        return True
    return until_ms > now_ms and takes(agent.capacity.room(_held_beyond(s, agent, until_ms)), i)


def _held_beyond(s: State, agent: Agent, until_ms: int) -> int:
    """What the agent will still have then for certain: wrap-up that nobody can finish sooner."""
    forced = (x for x in map(s.interactions.__getitem__, agent.work) if _is_forced(s, x) and not s.suspended(x))
    return sum(s.load_of(x) for x in forced if x.wrap_up_until_ms > until_ms)


def _is_forced(s: State, item: Interaction) -> bool:
    return item.state == WRAP_UP and s.queue_config(item.queue).wrap_up.mode == "forced"


def let_go(s: State, number: int, reason: str) -> list[Event]:
    """What follows where one of those for whom it is held is gone, or would not have it."""
    if lasts(s, s.interactions[number], s.preferred[number]):
        return []
    return [e.PreferredReleased(number, reason)]


def after_wrap_up(s: State, ended: e.InteractionEnded) -> list[Event]:
    """Who has to document for longer than something is held for them cannot be waited for."""
    item = s.interactions.get(ended.interaction)
    if item is None or not _is_forced(s, item):
        return []
    held = (number for number in sorted(s.given.get(ended.agent, ())) if number in s.preferred)
    return [fact for number in held for fact in let_go(s, number, "agent-busy")]


def after_configuration(s: State) -> list[Event]:
    """Agents may be gone, or no longer fit."""
    return [fact for number in sorted(s.preferred) for fact in let_go(s, number, "agent-gone")]


def after_gate(s: State, event: e.LendingChanged, now_ms: int) -> list[Event]:
    """Who was lent to the queue is lent no more."""
    held = [number for number in sorted(s.preferred) if s.interactions[number].queue == event.queue]
    return [fact for number in held for fact in let_go(s, number, "agent-gone")] if not event.is_open else []


def released(s: State, item: Interaction, reason: str, by: str = "", why: str = "") -> list[Event]:
    """By a step of a plan or by people; empty where it is held for nobody."""
    return [e.PreferredReleased(item.number, reason, by, why)] if item.number in s.preferred else []


def is_for_others(s: State, item: Interaction, name: str) -> bool:
    """Whether it is held, and not for this agent."""
    return item.number in s.preferred and name not in s.preferred[item.number].agents


# --- in words ---------------------------------------------------------------------------------------------------------


def in_words(s: State, item: Interaction) -> Saying:
    """As a planner reads it: "is held for ana until 10:15:30 because they had this customer last"."""
    found = s.preferred[item.number]
    names = joined("or", found.agents)
    if found.until_ms:
        return say("held-until", names=names, until=clock(found.until_ms), why=because(found.why))
    return say("held", names=names, why=because(found.why))


def clock(at_ms: int) -> str:
    """The time of the day, UTC."""
    seconds = at_ms // 1_000 % 86_400
    return f"{seconds // 3_600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def story(s: State, item: Interaction) -> dict[str, object]:
    """What `explain` tells of a hold; empty if there is none."""
    found = s.preferred.get(item.number)
    if found is None:
        return {}
    told = {"agents": list(found.agents), "until_ms": found.until_ms or None}
    return {"held_for": {**told, "required": found.required, "because": found.why}}


# --- facts ------------------------------------------------------------------------------------------------------------


def hold(s: State, item: Interaction, ev: e.PreferredHeld) -> None:
    s.matcher.dequeue(item)
    found = Preferred(item.number, ev.agents, ev.until_ms, ev.required, ev.why)
    s.preferred[item.number] = found
    s.keep_preferred(found)
    s.matcher.enqueue(item)


def forget(s: State, item: Interaction) -> None:
    """It is held no more. Whoever waits stands in no line while this is called."""
    found = s.preferred.pop(item.number, None)
    for name in found.agents if found is not None else ():
        s.waits_no_more(item.number, name)


def refused(s: State, item: Interaction, agent: str) -> None:
    """Who would not have it is preferred no more; who is required may be asked again."""
    found = s.preferred.get(item.number)
    if found is not None and not found.required and agent in found.agents:
        found.agents = tuple(name for name in found.agents if name != agent)
        s.waits_no_more(item.number, agent)


def others(s: State, item: Interaction, found: Preferred, names: Iterable[str]) -> bool:
    """Whether there is somebody present of those required who is none of these."""
    channel, known = s.channel_index[item.born.channel], set(names)
    node: Node = s.requirement_of(item)
    people = (s.agents[name] for name in found.agents if name in s.agents and name not in known)
    able = (agent for agent in people if agent.counted and agent.capacity.room(0) >> channel & 1)
    return any(s.matcher.meets_node(agent, node) for agent in able)


def remember(s: State, customer: str, agent: str) -> None:
    """Who served a customer last is known, of as many customers as the configuration says."""
    s.last_agents.pop(customer, None)
    s.last_agents[customer] = agent
    while len(s.last_agents) > s.config.memory.customers:
        del s.last_agents[next(iter(s.last_agents))]


def begin_to_remember(s: State) -> None:
    """A rule asks for it from now on: begin with what is at hand. Or none asks any more."""
    if not s.remembers:
        s.last_agents.clear()
    elif not s.last_agents:
        for number in s.closed:
            item = s.interactions[number]
            if item.owner and item.born.threads:
                remember(s, item.born.customer, item.owner)
    while len(s.last_agents) > s.config.memory.customers:
        del s.last_agents[next(iter(s.last_agents))]


# --- checking ---------------------------------------------------------------------------------------------------------


def check_prefer(rule: config.Prefer, agents: Iterable[str], path: str, one_of: OneOf) -> None:
    """Refuse a rule's preference that contradicts itself. Raises ConfigError with the dotted path."""
    given = [name for name in ("agents", "attribute", "last_agent") if getattr(rule, name)]
    if len(given) != 1:
        raise ConfigError(path, "exactly one of agents, attribute, last_agent", " and ".join(given) or "none")
    if len(rule.agents) > MOST:
        raise ConfigError(f"{path}.agents", f"at most {MOST} agents", str(len(rule.agents)))
    for i, name in enumerate(rule.agents):
        one_of(name, agents, f"{path}.agents[{i}]", "agent")
    if rule.mode == "require" and rule.hold == 0:
        raise ConfigError(f"{path}.hold", 'a time above 0s, or left out for no end, since mode is "require"', '"0s"')
