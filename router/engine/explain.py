"""Why an interaction is where it is, and why one agent has not got it (EX-1, EX-2).

Computed from the state when somebody asks, so it costs nothing on the hot path. Reasons are codes with a sentence; the
first that applies is given, in the order in which a planner would ask:
    signed-out, not-ready, going-not-ready, missing (the requirement is not met, with the parts that fail), no-room
    (cap, budget or exclusive work), cooling (declined or missed it), is-offered, has-it, could-get-it.
"""

from __future__ import annotations

from typing import Any

from router.engine import consult
from router.engine.lookups import (
    estimate,
    find_agent,
    find_interaction,
    load_by_channel,
    matched_skills,
    transcript,
    written,
)
from router.engine.matching import Profile
from router.engine.model import Agent, Interaction, State
from router.engine.requirements import Node, fits
from router.engine.timers import deadlines_of
from router.engine.transitions import ACTIVE, CLOSED, OFFERED, QUEUED, STATE_NAMES, WRAP_UP
from router.engine.views import interaction_id, offer_id

AGENTS_SHOWN = 50  # a page for a person; `why-not` answers for any agent


def explain(s: State, number: int, now_ms: int) -> dict[str, Any]:
    """What a planner wants to know of one interaction. Raises NotFound."""
    item = find_interaction(s, number)
    waited = max(0, (item.accepted_at_ms or item.ended_at_ms or now_ms) - item.enqueued_at_ms)
    target = s.target_ms(item)
    told: dict[str, Any] = {
        "interaction": interaction_id(number),
        "state": STATE_NAMES[item.state],
        "configuration_version": s.version,
        "rule": item.born.rule,
        "queue": item.queue,
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
        "messages": len(transcript(item)),
    }
    told |= STORIES[item.state](s, item, now_ms)
    if s.consults:
        told |= consult.story(s, item)
    return told


def _waiting(s: State, item: Interaction, now_ms: int) -> dict[str, Any]:
    rank = estimate(s, item.number, now_ms)
    shown = [why_not(s, item.number, agent.id, now_ms) for agent in list(s.agents.values())[:AGENTS_SHOWN]]
    reasons: dict[str, int] = {}
    for line in shown:
        reasons[line["code"]] = reasons.get(line["code"], 0) + 1
    nearest = min((due for due in deadlines_of(s, item) if due > now_ms), default=None)
    return {
        "summary": "waits for an agent who is ready, meets the requirement and has room",
        "position": rank.position if rank is not None else None,
        "agents": shown,
        "agents_by_reason": reasons,
        "next_change_at_ms": nearest,
    }


def _offered(s: State, item: Interaction, now_ms: int) -> dict[str, Any]:
    offers = [s.offers[n] for n in item.offers]
    return {
        "summary": f"is offered to {', '.join(o.agent for o in offers)}",
        "offers": [
            {"offer": offer_id(o.number), "agent": o.agent, "cause": o.cause, "expires_at_ms": o.expires_at_ms}
            for o in offers
        ],
        "next_change_at_ms": min(o.expires_at_ms for o in offers),
    }


def _owned(s: State, item: Interaction, now_ms: int) -> dict[str, Any]:
    agent = s.agents[item.owner]
    verb = "documents it" if item.state == WRAP_UP else "has it"
    return {
        "summary": f"{item.owner} {verb}",
        "agent": item.owner,
        "matched_skills": matched_skills(s.requirement_of(item), agent),
        "next_change_at_ms": item.wrap_up_until_ms or item.lease_until_ms or None,
    }


def _over(s: State, item: Interaction, now_ms: int) -> dict[str, Any]:
    return {"summary": f"is over: {item.reason}", "agent": item.owner, "ended_at_ms": item.ended_at_ms}


STORIES = {QUEUED: _waiting, OFFERED: _offered, ACTIVE: _owned, WRAP_UP: _owned, CLOSED: _over}


def why_not(s: State, number: int, name: str, now_ms: int) -> dict[str, Any]:
    """One reason why this agent has not got this interaction. Raises NotFound."""
    item, agent = find_interaction(s, number), find_agent(s, name)
    code, sentence = _reason(s, item, agent, now_ms)
    return {"interaction": interaction_id(number), "agent": name, "code": code, "reason": sentence}


def _reason(s: State, item: Interaction, agent: Agent, now_ms: int) -> tuple[str, str]:
    if item.owner == agent.id:
        return "has-it", f"{agent.id} has it" if item.open else f"{agent.id} had it"
    if item.state == CLOSED:
        return "over", f"it is over: {item.reason}"
    if any(s.offers[n].agent == agent.id for n in item.offers):
        return "is-offered", f"it is being offered to {agent.id} right now"
    missing = _missing(s.requirement_of(item), _profile(agent))
    if not agent.sessions:
        return "signed-out", f"{agent.id} is not signed in"
    if agent.requested:
        return "going-not-ready", f"{agent.id} is {agent.requested} after the present work ({agent.requested_reason})"
    if agent.declared != "ready":
        return "not-ready", f"{agent.id} is not ready" + (f" ({agent.reason})" if agent.reason else "")
    if missing:
        return "missing", f"{agent.id} does not meet the requirement: {'; '.join(missing)}"
    if agent.id in item.tried:
        wait_s = max(0, item.tried[agent.id] - now_ms) / 1_000
        return "cooling", f"{agent.id} missed or declined it; others are tried for {wait_s:.0f} s more"
    if not agent.capacity.room(agent.load) >> s.channel_index[item.born.channel] & 1:
        return "no-room", _no_room(s, item, agent)
    if item.state in (ACTIVE, WRAP_UP):
        return "taken", f"{item.owner} has it"
    return "could-get-it", f"{agent.id} could get it now"


def _no_room(s: State, item: Interaction, agent: Agent) -> str:
    channel, load = item.born.channel, load_by_channel(s, agent)
    held = ", ".join(f"{n} {name}" for name, n in load.items()) or "nothing"
    i = s.channel_index[channel]
    capacity = agent.capacity
    if load.get(channel, 0) >= capacity.caps[i]:
        return f"{agent.id} has {held}; the cap for {channel} is {capacity.caps[i]}"
    if any(load.get(name) and capacity.exclusive[j] for j, name in enumerate(s.channels)):
        return f"{agent.id} has {held}, which leaves room for nothing else"
    if capacity.exclusive[i] and load:
        return f"{agent.id} has {held}; {channel} needs an agent without other work"
    return f"{agent.id} has {held}; one more {channel} would go over the budget of {capacity.budget}"


def _profile(agent: Agent) -> Profile:
    config = agent.config
    return Profile(config.skills, config.languages, config.attributes, config.team, agent.id)


def _missing(node: Node, profile: Profile) -> list[str]:
    """The parts of the requirement that fail, in words."""
    if fits(node, profile):
        return []
    if node.all:
        return [part for child in node.all for part in _missing(child, profile)]
    if node.any is not None:
        return ["none of: " + ", ".join(describe(child) for child in node.any)]
    if node.skill:
        return [f"asks for {describe(node)}, has level {profile.skills.get(node.skill, 0)}"]
    return [f"asks for {describe(node)}"]


def describe(node: Node) -> str:
    """The requirement in words."""
    if node.skill:
        return f"{node.skill} {node.op} {node.level}"
    if node.language:
        return f"language {node.language}"
    if node.attribute:
        return f"{node.attribute} is {' or '.join(node.one_of)}"
    if node.team:
        return f"team {' or '.join(node.team)}"
    if node.agent:
        return f"agent {' or '.join(node.agent)}"
    if node.negated is not None:
        return f"not ({describe(node.negated)})"
    if node.any is not None:
        return "(" + " or ".join(describe(child) for child in node.any) + ")"
    return "(" + " and ".join(describe(child) for child in node.all or ()) + ")" if node.all else "anybody"
