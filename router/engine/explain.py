"""Why an interaction is where it is, and why one agent has not got it (EX-1, EX-2).

Computed from the state when somebody asks, so it costs nothing on the hot path. Reasons are codes with a sentence; the
first that applies is given, in the order in which a planner would ask:

    has-it, over, is-offered                          nothing to ask any more
    leaving, signed-out                               not there
    not-lent                                          would do, but their queue lends nobody to this one just now
    missing-skill, missing, level-too-low, level-wrong  does not meet the requirement: the sentence names each part
    other-channel                                       never has room for the channel: by a cap of 0, or the budget
    going-not-ready, not-ready                        there, but takes nothing new
    held                                              waits for others by name
    cool-off, pausing                                 declined or missed it just now; everybody does, again and again
    cap, exclusive, budget, suspended, place-held     has no room
    taken, could-get-it                               could have it
    could-interrupt                                   could have it by putting other work aside
    lost-tie, lower-score, outer, would-interrupt, not-drawn, named-later  could have had it when it was offered
                                                      (`decisions`)
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from msgspec.structs import asdict

from router.engine import callbacks, consult, customers, lending, outlook, preferred
from router.engine.capacity import takes
from router.engine.crews import crew
from router.engine.entities import Agent, Interaction
from router.engine.headline import NEAR, why_waiting
from router.engine.interrupts import suspended_work, would_put_aside
from router.engine.latest import latest_overtaken_at_ms
from router.engine.lookups import (
    estimate,
    find_agent,
    find_interaction,
    load_by_channel,
    matched_skills,
    servability,
    transcript,
    written,
)
from router.engine.matching import Profile, profile_of
from router.engine.model import State
from router.engine.outlook import in_words
from router.engine.requirements import Node, fits
from router.engine.rounds import is_paused
from router.engine.sayings import Saying, because, joined, say
from router.engine.transitions import ACTIVE, CLOSED, OFFERED, QUEUED, STATE_NAMES, WRAP_UP
from router.engine.views import interaction_id, offer_id

NEVER_READY = "signed-out"  # the reason of a state that began before the session did
AGENTS_SHOWN = 50  # a page for a person; `why-not` answers for any agent
AGENTS_LOOKED_AT = 200  # about a millisecond


def explain(s: State, number: int, now_ms: int) -> dict[str, Any]:
    """What a planner wants to know of one interaction. Raises NotFound."""
    item = find_interaction(s, number)
    s.matcher.stand()
    until = now_ms if item.state in (QUEUED, OFFERED) else item.accepted_at_ms or item.ended_at_ms or now_ms
    waited = max(0, s.waited_ms(item, until))
    target = s.target_ms(item)
    told: dict[str, Any] = {
        "interaction": interaction_id(number),
        "state": STATE_NAMES[item.state],
        "configuration_version": s.version,
        "rule": item.born.rule,
        "queue": item.queue,
        "came_to": s.first_queues.get(number, item.born.queue),
        "direction": item.born.direction,
        "has_past": _has_past(s, item),
        "requirement": written(s.requirement_of(item)),
        "band": s.band_of(item),
        "lifted": item.lifted,
        "weight": item.weight or s.queue_config(item.queue).weight,
        "target_ms": target,
        "waited_ms": waited,
        "share_of_target": round(waited / target, 3),
        "misses": item.misses,
        "declines": item.declines,
        "connect_failures": item.connect_failures,
        "rounds_refused": s.rounds[number].done if number in s.rounds else 0,
        "messages": len(transcript(item)),
    }
    if s.learning and item.queue in s.queues:
        told["learned_weight"] = round(s.queues[item.queue].standing.value, 3)
    told |= STORIES[item.state](s, item, now_ms)
    if s.kinship and (story := list(customers.story(s, item.born.customer))):
        told["customer"] = {"customer": item.born.customer, "history": story}
    if s.consults:
        told |= consult.story(s, item)
    if s.callbacks:
        told |= callbacks.story(s, item)
    return told


def _has_past(s: State, item: Interaction) -> bool:
    """Whether anything became of it since it came, which the journal tells."""
    born = item.born
    asked = (item.queue, item.requirement, item.band, item.weight, item.target_ms)
    as_it_came = asked == (born.queue, born.requirement, born.band, born.weight, born.target_ms)
    refused = item.misses or item.declines or item.connect_failures or item.returned_at_ms
    special = any(item.number in numbers for numbers in (s.left, s.first_queues, s.calls, s.legs))
    marked = item.lifted or item.step or special
    return bool(item.state != QUEUED or refused or marked or not as_it_came)


def _waiting(s: State, item: Interaction, now_ms: int) -> dict[str, Any]:
    rank = estimate(s, item.number, now_ms)
    found = sorted(
        ((NEAR.get(code, len(NEAR)), agent.id, code, sentence) for agent, code, sentence in _all(s, item, now_ms))
    )
    reasons: dict[str, int] = {}
    for _, _, code, _ in found:
        reasons[code] = reasons.get(code, 0) + 1
    coming = outlook.changes(s, item, now_ms)
    borrows = {"borrows": list(map(asdict, lending.views(s, item.queue, now_ms)))} if s.loans_of(item) else {}
    return {
        "summary": _why_waiting(s, item, reasons),
        **preferred.story(s, item),
        "position": rank.position if rank is not None else None,
        "latest_overtaken_at_ms": latest_overtaken_at_ms(s, item),
        "expected_wait": asdict(rank) if rank is not None else None,
        "ahead": outlook.ahead(s, item, now_ms),
        "agents": [{"agent": a, "code": code, "reason": why} for _, a, code, why in found[:AGENTS_SHOWN]],
        "servable": servability(s, item),
        "held": _place(s, item),
        "step": item.step,
        "steps": s.steps_of(item),
        "agents_by_reason": reasons,
        "next_change_at_ms": coming[0]["at_ms"] if coming else None,
        "next_changes": coming,
        **borrows,
    }


def _place(s: State, item: Interaction) -> dict[str, Any] | None:
    """The place that an agent keeps free for it, until when (CP-4)."""
    found = s.drains.get(item.number)
    return {"agent": found.agent, "until_ms": found.until_ms} if found is not None else None


def _all(s: State, item: Interaction, now_ms: int) -> Iterator[tuple[Agent, str, Saying]]:
    """Agents with their reasons: first those present who meet the requirement.

    Of many more than a page only so many are looked at, because decisions wait meanwhile.
    """
    key = s.matcher.class_keys[item.place]
    present = crew(s.matcher, key.requirement, key.channel)
    fitting = [s.matcher.agents[i] for i in islice(present.indexes(), AGENTS_LOOKED_AT)]
    known = {agent.id for agent in fitting}
    others = (agent for agent in s.agents.values() if agent.id not in known)
    for agent in islice(chain(fitting, others), AGENTS_LOOKED_AT):
        yield agent, *reason(s, item, agent, now_ms)


def _why_waiting(s: State, item: Interaction, reasons: dict[str, int]) -> Saying:
    if item.number in s.preferred:
        return preferred.in_words(s, item)
    if item.number in s.drains:
        return say("place-kept", agent=s.drains[item.number].agent)
    many = len(s.agents) > AGENTS_LOOKED_AT
    return why_waiting(reasons, AGENTS_LOOKED_AT if many else 0)


def _offered(s: State, item: Interaction, now_ms: int) -> dict[str, Any]:
    offers = [s.offers[n] for n in item.offers]
    return {
        "summary": say("offered", names=joined("comma", (o.agent for o in offers))),
        **preferred.story(s, item),
        "offers": [
            {
                "offer": offer_id(o.number),
                "agent": o.agent,
                "cause": o.cause,
                "expires_at_ms": o.expires_at_ms,
                "puts_aside": [interaction_id(n) for n in would_put_aside(s, item, s.agents[o.agent], offered=True)],
                **lending.told(s, item, s.agents[o.agent]),
            }
            for o in offers
        ],
        "next_change_at_ms": min(o.expires_at_ms for o in offers),
    }


def _owned(s: State, item: Interaction, now_ms: int) -> dict[str, Any]:
    agent = s.agents[item.owner]
    aside = "-aside" if s.suspended(item) else ""
    return {
        "summary": say(("documented" if item.state == WRAP_UP else "owned") + aside, agent=item.owner),
        "agent": item.owner,
        **lending.told(s, item, agent),
        **_clocks(s, item, now_ms),
        "matched_skills": matched_skills(s.requirement_of(item), agent),
        "next_change_at_ms": item.wrap_up_until_ms or item.lease_until_ms or None,
    }


def _clocks(s: State, item: Interaction, now_ms: int) -> dict[str, int]:
    """Since it was accepted: how long it was worked on, and how long it was put aside for other work."""
    if not item.accepted_at_ms or not item.owner:
        return {}
    until = item.ended_at_ms or now_ms
    aside = s.aside_ms(item, until)
    return {"handled_ms": max(0, until - item.accepted_at_ms - aside), "suspended_ms": aside}


def _over(s: State, item: Interaction, now_ms: int) -> dict[str, Any]:
    return {
        "summary": say("is-over", reason=because(item.reason)),
        "reason": item.reason,
        "agent": item.owner,
        "ended_at_ms": item.ended_at_ms,
        **_clocks(s, item, now_ms),
    }


STORIES = {QUEUED: _waiting, OFFERED: _offered, ACTIVE: _owned, WRAP_UP: _owned, CLOSED: _over}


def why_not(s: State, number: int, name: str, now_ms: int) -> dict[str, Any]:
    """One reason why this agent has not got this interaction. Raises NotFound."""
    item, agent = find_interaction(s, number), find_agent(s, name)
    code, sentence = reason(s, item, agent, now_ms)
    return {"interaction": interaction_id(number), "agent": name, "code": code, "reason": sentence}


def reason(s: State, item: Interaction, agent: Agent, now_ms: int) -> tuple[str, Saying]:
    if item.owner == agent.id:
        return "has-it", say("has-it" if item.open else "had-it", agent=agent.id)
    if item.state == CLOSED:
        return "over", say("over", reason=because(item.reason))
    if any(s.offers[n].agent == agent.id for n in item.offers):
        return "is-offered", say("is-offered", agent=agent.id)
    if agent.retired:
        return "leaving", say("leaving", agent=agent.id)
    if not agent.sessions:
        return "signed-out", say("signed-out", agent=agent.id)
    missing = _missing(s.requirement_of(item), profile_of(agent))
    if missing:
        shut = lending.shut_for(s, item, profile_of(agent)) if s.loans else None
        if shut is not None:
            return "not-lent", lending.why(s, item.queue, shut, now_ms)
        return _worst(missing), say("unmet", agent=agent.id, parts=joined("semicolon", (why for _, why in missing)))
    if not agent.capacity.room(0) >> s.channel_index[item.born.channel] & 1:
        return "other-channel", _never(s, item, agent)
    if agent.requested:
        return "going-not-ready", _going(agent)
    if agent.declared != "ready":
        return "not-ready", _not_ready(agent)
    if preferred.is_for_others(s, item, agent.id):
        return "held", say("it-is-held", held=preferred.in_words(s, item))
    if agent.id in item.tried:
        wait = outlook.duration(item.tried[agent.id] - now_ms)
        if is_paused(s, item):
            return "pausing", say("pausing", n=s.rounds[item.number].done, wait=wait)
        return "cool-off", say("cool-off", agent=agent.id, wait=wait)
    room, channel = agent.capacity.room(agent.load), s.channel_index[item.born.channel]
    if not takes(room, channel):
        return _no_room(s, item, agent, now_ms)
    if item.state in (ACTIVE, WRAP_UP):
        return "taken", say("taken", agent=item.owner)
    if not room >> channel & 1:
        return "could-interrupt", say("could-interrupt", agent=agent.id)
    return "could-get-it", say("could-get-it", agent=agent.id)


def _going(agent: Agent) -> Saying:
    state = say(f"state-{agent.requested}")
    if agent.requested_reason:
        return say("going-because", agent=agent.id, state=state, reason=agent.requested_reason)
    return say("going", agent=agent.id, state=state)


def _not_ready(agent: Agent) -> Saying:
    if agent.reason == NEVER_READY:
        return say("never-ready", agent=agent.id)
    if agent.reason:
        return say("not-ready-because", agent=agent.id, reason=agent.reason)
    return say("not-ready", agent=agent.id)


def _no_room(s: State, item: Interaction, agent: Agent, now_ms: int) -> tuple[str, Saying]:
    if not agent.drains:
        return _too_much(s, item, agent)
    wait, wanted = outlook.duration(s.drains[agent.drains].until_ms - now_ms), interaction_id(agent.drains)
    if agent.drains == item.number:
        code, why = _too_much(s, item, agent)
        return code, say("room-held", why=why, wait=wait)
    if outlook.is_held_off(s, item, agent):
        return "place-held", say("place-held", agent=agent.id, wanted=wanted, wait=wait)
    return _too_much(s, item, agent)


def _never(s: State, item: Interaction, agent: Agent) -> Saying:
    """Why the agent has no room for the channel even without any work."""
    channel, capacity = item.born.channel, agent.capacity
    if not capacity.caps[s.channel_index[channel]]:
        return say("no-channel", agent=agent.id, channel=channel)
    weight = capacity.weights[s.channel_index[channel]]
    return say("channel-too-heavy", agent=agent.id, channel=channel, weight=weight, budget=capacity.budget)


def _too_much(s: State, item: Interaction, agent: Agent) -> tuple[str, Saying]:
    channel, load = item.born.channel, load_by_channel(s, agent)
    held = joined("comma", (f"{n} {name}" for name, n in load.items())) or say("nothing")
    aside = suspended_work(s, agent)
    if aside:
        return "suspended", say("suspended", agent=agent.id, held=held, n=len(aside))
    i = s.channel_index[channel]
    capacity = agent.capacity
    if load.get(channel, 0) >= capacity.caps[i]:
        return "cap", say("cap", agent=agent.id, held=held, channel=channel, cap=capacity.caps[i])
    if any(load.get(name) and capacity.exclusive[j] for j, name in enumerate(s.channels)):
        return "exclusive", say("exclusive", agent=agent.id, held=held)
    if capacity.exclusive[i] and load:
        return "exclusive", say("exclusive-channel", agent=agent.id, held=held, channel=channel)
    return "budget", say("budget", agent=agent.id, held=held, channel=channel, budget=capacity.budget)


Missing = tuple[str, Saying]  # code and sentence


def _missing(node: Node, profile: Profile) -> list[Missing]:
    """The parts of the requirement that fail, in words."""
    if fits(node, profile):
        return []
    if node.all:
        return [part for child in node.all for part in _missing(child, profile)]
    if node.any is not None:
        return [("missing", say("none-of", parts=joined("comma", map(in_words, node.any))))]
    if not node.skill:
        return [("missing", say("asks", what=in_words(node)))]
    if node.skill not in profile.skills:
        return [("missing-skill", say("asks-lacks", what=in_words(node), skill=node.skill))]
    level = profile.skills[node.skill]
    low = level < node.level or (level == node.level and node.op == ">")
    code = "level-too-low" if low and node.op in (">=", ">", "==") else "level-wrong"
    return [(code, say("asks-level", what=in_words(node), level=level))]


def _worst(missing: list[Missing]) -> str:
    """What is hardest to change."""
    codes = {code for code, _ in missing}
    return next(code for code in ("missing-skill", "missing", "level-too-low", "level-wrong") if code in codes)
