"""What time does by itself: deadlines, and the facts that come true when they pass.

Deadlines are state. The heap of timers holds at least one entry at or before each of them and is cleaned lazily: an
entry whose cause is gone is dropped when it surfaces, one whose deadline moved is put back. The shell asks
`next_deadline_ms` when to send a Tick; a Tick too many does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush, heapreplace

from router.engine import admission, balance, callbacks, consult, showing, unservable
from router.engine import events as e
from router.engine.entities import Interaction
from router.engine.events import Event
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
    State,
    Timer,
)
from router.engine.relaxation import cause_of
from router.engine.transitions import CLOSED, OFFERED, QUEUED, WRAP_UP
from router.engine.work import ended, withdrawals


def next_deadline_ms(state: State) -> int | None:
    """When the engine next wants a Tick (Unix ms); None if nothing is pending. May be too early, never too late."""
    _drop_stale(state)
    return state.timers[0][0] if state.timers else None


def next_due(state: State, until_ms: int, now_ms: int) -> list[Event]:
    """The facts behind the first deadline that has passed by then; empty if there is none. They become true now."""
    while True:
        _drop_stale(state)
        if not state.timers or state.timers[0][0] > until_ms:
            return []
        _, kind, number, agent = state.timers[0]
        facts = balance.facts(state, now_ms) if kind == BALANCE_DUE else FACTS[kind](state, number, agent)
        if facts:
            return facts
        heapreplace(state.timers, PUT_OFF[kind](state, state.timers[0], until_ms))


def deadlines_of(state: State, item: Interaction) -> list[int]:
    """When time will next change something about a waiting interaction (Unix ms)."""
    held = state.preferred.get(item.number)
    found = [item.lease_until_ms, state.band_due_ms(item), state.step_due_ms(item), *item.tried.values()]
    found.append(held.until_ms if held is not None else 0)
    return [due for due in found if due]


def _drop_stale(state: State) -> None:
    timers = state.timers
    while timers:
        entry = timers[0]
        due = DUE[entry[1]](state, entry)
        if due == entry[0]:
            return
        heappop(timers)
        if due > entry[0]:
            heappush(timers, (due, *entry[1:]))


def _offer_due(s: State, t: Timer) -> int:
    offer = s.offers.get(t[2])
    return offer.expires_at_ms if offer else 0


def _lease_due(s: State, t: Timer) -> int:
    item = s.interactions.get(t[2])
    return item.lease_until_ms if item and item.state not in (WRAP_UP, CLOSED) else 0


def _wrap_up_due(s: State, t: Timer) -> int:
    item = s.interactions.get(t[2])
    return item.wrap_up_until_ms if item and item.state == WRAP_UP and not s.suspended(item) else 0


def _grace_due(s: State, t: Timer) -> int:
    agent = s.agents.get(t[3])
    return agent.grace_until_ms if agent else 0


def _drain_due(s: State, t: Timer) -> int:
    found = s.drains.get(t[2])
    return found.until_ms if found else 0


def _cool_off_due(s: State, t: Timer) -> int:
    item = s.interactions.get(t[2])
    return item.tried.get(t[3], 0) if item and item.state in (QUEUED, OFFERED) else 0


def _band_due(s: State, t: Timer) -> int:
    item = s.interactions.get(t[2])
    return s.band_due_ms(item) if item and not item.lifted else 0


def _step_due(s: State, t: Timer) -> int:
    item = s.interactions.get(t[2])
    return s.step_due_ms(item) if item else 0


def _unserved_due(s: State, t: Timer) -> int:
    entry = s.noted.get(t[2])
    return unservable.due_ms(s, entry) if entry is not None else 0


def _preferred_due(s: State, t: Timer) -> int:
    held = s.preferred.get(t[2])
    return held.until_ms if held is not None else 0


def _return_due(s: State, t: Timer) -> int:
    agent = s.agents.get(t[3])
    return agent.return_at_ms if agent else 0


def _offer_expired(s: State, number: int, agent: str) -> list[Event]:
    offer = s.offers[number]
    return [e.OfferExpired(number, offer.interaction, offer.agent)]


def _lease_over(s: State, number: int, agent: str) -> list[Event]:
    """The gateway has not spoken of the call for too long: it is over, and its agent is free (MV-3)."""
    item = s.interactions[number]
    reason = callbacks.silent(s, item)
    return [*withdrawals(s, item, reason), ended(s, item, reason, s.now_ms)]


def _step_taken(s: State, number: int, agent: str) -> list[Event]:
    """One step at a time, until none is due: what a step does, it does though a later one is due as well."""
    item = s.interactions[number]
    ladder = s.ladder_of(item)
    assert ladder is not None, "its plan has a step that is due"
    cause = cause_of(ladder.steps[item.step :], s.target_ms(item))
    return [e.RequirementRelaxed(number, item.step + 1, cause)]


def _turn_due(s: State, t: Timer) -> int:
    turn = s.turns.get(t[3])
    return turn.next_ms if turn else 0


def _emergency_due(s: State, t: Timer) -> int:
    turn = s.turns.get(t[3])
    return turn.until_ms if turn and turn.emergency else 0


def _nobody_due(s: State, t: Timer) -> int:
    if t[3] not in s.empty or t[3] in s.deserted:
        return 0
    return s.empty[t[3]] + s.queues[t[3]].config.nobody_grace


DUE: dict[int, Callable[[State, Timer], int]] = {
    OFFER_DUE: _offer_due,
    LEASE_DUE: _lease_due,
    WRAP_UP_DUE: _wrap_up_due,
    GRACE_DUE: _grace_due,
    DRAIN_DUE: _drain_due,
    COOL_OFF_DUE: _cool_off_due,
    BAND_DUE: _band_due,
    STEP_DUE: _step_due,
    UNSERVED_DUE: _unserved_due,
    PREFERRED_DUE: _preferred_due,
    SHOW_DUE: showing.due_ms,
    RETURN_DUE: _return_due,
    CONSULT_DUE: consult.due_ms,
    CALLBACK_DUE: callbacks.due_ms,
    TURN_DUE: _turn_due,
    EMERGENCY_DUE: _emergency_due,
    WAIT_DUE: admission.wait_due,
    NOBODY_DUE: _nobody_due,
    BALANCE_DUE: balance.due,
    ASK_DUE: admission.ask_due,
}
FACTS: dict[int, Callable[[State, int, str], list[Event]]] = {
    OFFER_DUE: _offer_expired,
    LEASE_DUE: _lease_over,
    WRAP_UP_DUE: lambda s, n, a: [e.WrapUpFinished(n, s.interactions[n].owner, "timeout")],
    GRACE_DUE: lambda s, n, a: [e.GraceEnded(a)],
    DRAIN_DUE: lambda s, n, a: [e.DrainEnded(n, s.drains[n].agent, "timeout")],
    COOL_OFF_DUE: lambda s, n, a: [e.CoolOffEnded(n, a)],
    BAND_DUE: lambda s, n, a: [e.BandRaised(n)],
    STEP_DUE: _step_taken,
    UNSERVED_DUE: lambda s, n, a: [e.UnservableDue(n)],
    SHOW_DUE: lambda s, n, a: showing.not_come(s, n),
    PREFERRED_DUE: lambda s, n, a: [e.PreferredReleased(n, "timeout")],
    RETURN_DUE: lambda s, n, a: [e.StateChanged(a, "ready", "returned")],
    CONSULT_DUE: lambda s, n, a: consult.over(s, n, "nobody"),
    CALLBACK_DUE: lambda s, n, a: callbacks.due(s, n),
    TURN_DUE: lambda s, n, a: admission.turn_facts(s, s.timers[0][0], a),
    EMERGENCY_DUE: lambda s, n, a: [e.EmergencyEnded(a)],
    WAIT_DUE: lambda s, n, a: admission.wait_facts(s, s.timers[0][0], a),
    NOBODY_DUE: lambda s, n, a: [e.QueueDeserted(a)],
    ASK_DUE: lambda s, n, a: admission.ask_facts(s, n),
}
# What comes due and may lead to nothing: where to move to can be missing, or queues need no help.
PUT_OFF: dict[int, Callable[[State, Timer, int], Timer]] = {
    WAIT_DUE: admission.put_off,
    BALANCE_DUE: balance.put_off,
}
