"""Decide what agents' sessions and states make true, and what follows from facts by policy.

`RULES` are the engine's house rules: after a fact was applied it says what else is now true. Each rule looks at the
fact and at the state that holds it; together with matching they make sure that no command needs to know what others may
have to happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from router.engine import admission, brake, callbacks, consult, copies, lending, preferred, showing, unservable
from router.engine import commands as c
from router.engine import events as e
from router.engine.capacity import takes
from router.engine.entities import TAKEN_OFF, Agent
from router.engine.events import Event
from router.engine.lookups import find_agent as agent_of
from router.engine.model import State
from router.engine.transitions import QUEUED, WRAP_UP
from router.errors import BadMessage


def open_session(s: State, ask: c.OpenSession, now_ms: int) -> list[Event]:
    agent = agent_of(s, ask.agent)
    return [] if ask.session in agent.sessions else [e.SessionOpened(ask.agent, ask.session)]


def close_session(s: State, ask: c.CloseSession, now_ms: int) -> list[Event]:
    agent = s.agents.get(ask.agent)
    if agent is None or ask.session not in agent.sessions:
        return []
    return [e.SessionClosed(ask.agent, ask.session, ask.reason)]


def set_state(s: State, ask: c.SetState, now_ms: int) -> list[Event]:
    """Takes effect at once, or when the work ends (AG-6). The last state asked for wins."""
    agent = agent_of(s, ask.agent)
    if len(ask.reason) > 200:
        raise BadMessage("reason: at most 200 characters")
    wanted = (agent.requested, agent.requested_reason) if agent.requested else (agent.declared, agent.reason)
    if wanted == (ask.state, ask.reason):
        return []
    if ask.reason in TAKEN_OFF:
        raise BadMessage(f"reason: {ask.reason!r} is said by the engine alone")
    if agent.work and ask.state == "not_ready":
        return [e.StateRequested(ask.agent, ask.state, ask.reason, ask.by)]
    return [e.StateChanged(ask.agent, ask.state, ask.reason, ask.by)]


ANNOUNCEMENT_MAX = 1_000  # characters; it stands over what people are doing


def announce(s: State, ask: c.Announce, now_ms: int) -> list[Event]:
    if not ask.text.strip() or len(ask.text) > ANNOUNCEMENT_MAX:
        raise BadMessage(f"text: 1 to {ANNOUNCEMENT_MAX} characters")
    there = tuple(name for name in dict.fromkeys(ask.agents) if agent_of(s, name).sessions)
    return [e.Announced(there, ask.text, ask.by)] if there else []


# --- what follows -----------------------------------------------------------------------------------------------------


def _withdrawals(s: State, agent: Agent, reason: str) -> list[Event]:
    return [e.OfferWithdrawn(n, s.offers[n].interaction, agent.id, reason) for n in agent.offers]


def _after_accept(s: State, event: e.OfferAccepted, now_ms: int) -> Iterable[Event]:
    others = s.interactions[event.interaction].offers
    if s.legs or s.callbacks or s.summoning:
        return [
            *_taken(s, event, others),
            *showing.after_accept(s, event, now_ms),
            *consult.after_accept(s, event.interaction, event.agent),
            *callbacks.after_accept(s, event.interaction, now_ms),
        ]
    return _taken(s, event, others) if others else ()


def _taken(s: State, event: e.OfferAccepted, others: tuple[int, ...]) -> list[Event]:
    return [e.OfferWithdrawn(n, event.interaction, s.offers[n].agent, "taken") for n in others]


def _after_work(s: State, name: str) -> Iterable[Event]:
    """The work is done: now the state that was asked for meanwhile takes effect."""
    agent = s.agents.get(name)
    if agent is None or agent.work or not agent.requested:
        return ()
    return (e.StateChanged(name, agent.requested, agent.requested_reason),)


def _gone(s: State, name: str) -> Iterator[Event]:
    """Looked at after each of their offers was withdrawn, so that what was being offered is let go, too."""
    for number in sorted(s.given.get(name, ())):  # as a replay finds them
        yield from _let_go(s, number, "agent-gone")


def _let_go(s: State, number: int, reason: str) -> list[Event]:
    """What waits for an agent by name waits for the whole queue when that agent is gone, or would not have it; or for
    the next one whom it would rather have. A consult is over."""
    if number in s.preferred:
        return preferred.let_go(s, number, reason)
    item = s.interactions[number]
    if item.state != QUEUED:
        return []
    return consult.not_had(s, number, "nobody") or [e.Transferred(number, item.queue, None, "", "", reason)]


def _after_refusal(s: State, event: e.OfferDeclined | e.OfferExpired, now_ms: int) -> Iterator[Event]:
    """Declined or missed by the one for whom it waited."""
    item = s.interactions[event.interaction]
    if item.number in s.legs:
        yield from consult.refused(s, item, "missed" if isinstance(event, e.OfferExpired) else "declined")
    elif item.given_to == event.agent or item.number in s.preferred:
        yield from _let_go(s, item.number, "agent-refused")
    if isinstance(event, e.OfferExpired):
        yield from brake.after_miss(s, event, now_ms)


def _after_pause(s: State, event: e.StateRequested | e.StateChanged, now_ms: int) -> Iterator[Event]:
    agent = s.agents[event.agent]
    if not agent.available:
        yield from _withdrawals(s, agent, "agent-paused")
        yield from _gone(s, agent.id)


def _after_sign_in(s: State, event: e.SessionOpened, now_ms: int) -> Iterable[Event]:
    return [e.QueueStaffed(name) for name in s.deserted if s.queues[name].signed_in] if s.deserted else ()


def _after_session(s: State, event: e.SessionClosed, now_ms: int) -> Iterator[Event]:
    agent = s.agents[event.agent]
    if not agent.sessions:
        yield from _withdrawals(s, agent, "session-lost")
        yield from _gone(s, agent.id)


def _after_restart(s: State, event: e.Restarted, now_ms: int) -> Iterator[Event]:
    for agent in list(s.agents.values()):
        yield from _withdrawals(s, agent, "restart")
        yield from _gone(s, agent.id)
    yield from consult.mended(s)
    yield from callbacks.mended(s, now_ms)


def _after_end(s: State, event: e.InteractionEnded, now_ms: int) -> Iterable[Event]:
    """The wrap-up of an agent who is gone, and whom the interaction waited for, would never end."""
    agent = s.agents.get(event.agent)
    if s.consults or s.callbacks or s.preferred or s.copies:
        return _after_special(s, event, agent, now_ms)
    if agent is None:
        return ()
    if event.wrap_up and _is_gone(agent):
        return (e.WrapUpFinished(event.interaction, agent.id, "agent-lost"),)
    return _after_work(s, event.agent) if agent.requested else ()


def _after_special(s: State, event: e.InteractionEnded, agent: Agent | None, now_ms: int) -> Iterator[Event]:
    """Where somebody is asked, or is to be called, or something waits for agents by name."""
    # First, because the end of a consult may be what makes this interaction forgotten.
    yield from copies.after_end(s, event.interaction)
    yield from callbacks.after_end(s, event, now_ms)
    yield from consult.after_leaving(s, event.interaction)
    if event.wrap_up and agent is not None and _is_gone(agent):
        yield e.WrapUpFinished(event.interaction, agent.id, "agent-lost")
    else:
        yield from _after_work(s, event.agent)
    if event.wrap_up and s.preferred:
        yield from preferred.after_wrap_up(s, event)


def _after_leaving(s: State, number: int, agent: str) -> Iterator[Event]:
    """It left the agent who had it. What time has made of it meanwhile, timers say: they are set when it is back."""
    if s.consults:
        yield from consult.after_leaving(s, number)
    if s.calls:
        yield from callbacks.without_lease(s, number)
    yield from _after_work(s, agent)


def _after_connect_failure(s: State, event: e.ConnectFailed, now_ms: int) -> Iterator[Event]:
    yield from _after_leaving(s, event.interaction, event.agent)
    yield from brake.after_failure(s, event, now_ms)


def _is_gone(agent: Agent) -> bool:
    return not agent.sessions and not agent.grace_until_ms


def _after_grace(s: State, event: e.GraceEnded, now_ms: int) -> Iterable[Event]:
    return _give_up(s, s.agents[event.agent])


def _give_up(s: State, agent: Agent) -> Iterator[Event]:
    """What an agent who does not come back had goes back with a lift, or waits for them, by policy (AG-2).

    Nobody waits for an agent who has left the configuration as well.
    """
    for number in list(agent.work):
        item = s.interactions[number]
        going_on = consult.give_up(s, item, agent) if s.consults else []
        if item.state == WRAP_UP:
            yield e.WrapUpFinished(number, agent.id, "agent-lost")
        elif going_on:
            yield from going_on
        elif agent.retired or s.agent_lost(item) == "return":
            yield e.Requeued(number, "agent-lost", agent.id, lifted=True)


def _after_configuration(s: State, event: e.Configured, now_ms: int) -> Iterator[Event]:
    """Open offers that no longer fit are withdrawn (AG-8), other than those by a gate that has shut since; and work
    that agents who are gone may not keep goes back."""
    for offer in list(s.offers.values()):
        agent, item = s.agents[offer.agent], s.interactions[offer.interaction]
        room = agent.capacity.room(agent.load - s.unit(item.born.channel))
        fits = takes(room, s.channel_index[item.born.channel])
        if not (fits and agent.available and lending.may_have(s, item, agent)):
            yield e.OfferWithdrawn(offer.number, offer.interaction, offer.agent, "no-longer-fits")
    for agent in list(s.agents.values()):
        if agent.work and _is_gone(agent):
            yield from _give_up(s, agent)
    for name in list(s.given):
        if name not in s.agents or not s.agents[name].available:
            yield from _gone(s, name)
    yield from preferred.after_configuration(s)
    yield from admission.after_configuration(s, now_ms)


def _after_step(s: State, event: e.RequirementRelaxed, now_ms: int) -> Iterator[Event]:
    """What a step does beside asking for less."""
    item = s.interactions[event.interaction]
    ladder = s.ladder_of(item)
    steps = ladder.steps[event.step - 1 : event.step] if ladder is not None else ()
    for step in steps:
        if step.release:
            yield from preferred.released(s, item, "relaxed", event.by, event.why)
        if step.callback and not item.callback_offered and item.number not in s.calls:
            yield e.CallbackOffered(item.number, "relaxed")
        if step.queue and (event.by or s.may_move(item, step.queue)):
            yield e.Transferred(item.number, step.queue, None, "", event.by, "relaxed")


RULES: dict[type[Event], Callable[[State, Any, int], Iterable[Event]]] = {
    e.OfferAccepted: _after_accept,
    e.OfferDeclined: _after_refusal,
    e.OfferExpired: _after_refusal,
    e.InteractionEnded: _after_end,
    e.WrapUpFinished: lambda s, ev, now: _after_work(s, ev.agent),
    e.Requeued: lambda s, ev, now: _after_leaving(s, ev.interaction, ev.agent),
    e.Transferred: lambda s, ev, now: _after_leaving(s, ev.interaction, ev.from_agent),
    e.ConnectFailed: _after_connect_failure,
    e.ConsultCompleted: lambda s, ev, now: _after_work(s, ev.from_agent),
    e.ConsultEnded: lambda s, ev, now: _after_work(s, ev.agent),
    e.ConnectionConfirmed: lambda s, ev, now: callbacks.after_connection(s, ev.interaction) if s.calls else (),
    e.StateRequested: _after_pause,
    e.StateChanged: _after_pause,
    e.SessionOpened: _after_sign_in,
    e.SessionClosed: _after_session,
    e.Restarted: _after_restart,
    e.GraceEnded: _after_grace,
    e.Configured: _after_configuration,
    e.RequirementRelaxed: _after_step,
    e.UnservableDue: unservable.after_due,
    e.LendingChanged: lambda s, ev, now: preferred.after_gate(s, ev, now) if s.preferred else (),
    e.CalendarTurned: admission.after_turn,
    e.EmergencyDeclared: admission.after_emergency,
    e.QueueDeserted: admission.after_deserted,
}
