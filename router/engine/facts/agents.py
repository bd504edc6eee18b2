"""Agents come, go, and say how they are."""

from __future__ import annotations

from heapq import heappush

from router.engine import events as e
from router.engine import upkeep
from router.engine.entities import TAKEN_OFF, Agent
from router.engine.facts.moves import presence, restamp, told
from router.engine.model import GRACE_DUE, RETURN_DUE, State


def session_opened(s: State, ev: e.SessionOpened, at_ms: int) -> None:
    agent = s.agents[ev.agent]
    first = not agent.sessions
    agent.sessions[ev.session] = at_ms
    agent.grace_until_ms = 0
    told(agent)
    if first:
        if not agent.stamp:
            restamp(s, agent)
        presence(s, agent)
        if s.watched:
            upkeep.signed_in(s, agent, 1, at_ms)


def session_closed(s: State, ev: e.SessionClosed, at_ms: int) -> None:
    agent = s.agents[ev.agent]
    agent.sessions.pop(ev.session, None)
    told(agent)
    if not agent.sessions:
        lost(s, agent, at_ms)


def lost(s: State, agent: Agent, at_ms: int) -> None:
    """The last session is gone: no offers, and work waits for the agent to come back (AG-2)."""
    presence(s, agent)
    if s.watched:
        upkeep.signed_in(s, agent, -1, at_ms)
    if agent.work:
        agent.grace_until_ms = at_ms + s.config.presence.grace
        heappush(s.timers, (agent.grace_until_ms, GRACE_DUE, 0, agent.id))


def grace_ended(s: State, ev: e.GraceEnded, at_ms: int) -> None:
    s.agents[ev.agent].grace_until_ms = 0


def state_requested(s: State, ev: e.StateRequested, at_ms: int) -> None:
    agent = s.agents[ev.agent]
    agent.requested, agent.requested_reason = ev.state, ev.reason
    told(agent)
    presence(s, agent)


def state_changed(s: State, ev: e.StateChanged, at_ms: int) -> None:
    agent = s.agents[ev.agent]
    if agent.declared != ev.state:
        agent.since_ms = at_ms
    if ev.state == "ready" and agent.declared != "ready":
        _restamped(s, agent)
    agent.declared, agent.reason = ev.state, ev.reason
    agent.requested = agent.requested_reason = ""
    agent.misses = 0
    s.failing.pop(ev.agent, None)
    agent.return_at_ms = ev.until_ms
    if ev.until_ms:
        heappush(s.timers, (ev.until_ms, RETURN_DUE, 0, agent.id))
    if ev.reason in TAKEN_OFF:
        _count_removal(s, agent, at_ms)
    told(agent)
    presence(s, agent)


def _restamped(s: State, agent: Agent) -> None:
    """Idle time starts anew; the entry in a cell goes by the stamp, so the agent leaves it first."""
    s.matcher.withdraw(agent)
    restamp(s, agent)


def _count_removal(s: State, agent: Agent, at_ms: int) -> None:
    since = at_ms - s.config.presence.brake_window
    for name, queue in s.queues.items():
        if s.matcher.meets_node(agent, queue.config.requirement):
            recent = [t for t in s.removals.get(name, ()) if t > since]
            s.removals[name] = [*recent, at_ms]
