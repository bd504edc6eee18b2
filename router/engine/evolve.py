"""Apply one fact to the state. The only writer of State.

What each kind of fact changes stands in `facts`, and in the modules of what it is about.

Total: what is in the journal happened, so nothing here refuses. Deterministic: the new state depends on the old one,
the event and the record's time alone. A live engine and a replay go through the same functions.

Messages of agents' streams are counted there (`agent.stream += 1`, in `moves.told`), because their numbers must be the
same after a replay; `effects` renders exactly those. An event tells one agent at most one thing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from router.engine import cards, customers, drain, interrupts, levels, partition, preferred, showing, tally, upkeep
from router.engine import events as e
from router.engine.events import Event
from router.engine.facts import agents, callbacks, consults, contacts, endings, letters, offers
from router.engine.facts.agents import lost
from router.engine.facts.moves import recheck_cooling
from router.engine.model import State
from router.engine.waits import forget


def evolve(state: State, event: Event, at_ms: int) -> None:
    """Apply a fact that became true at `at_ms` (Unix ms)."""
    state.seq += 1
    state.now_ms = at_ms
    EVOLVE[type(event)](state, event, at_ms)


def _configured(s: State, ev: e.Configured, at_ms: int) -> None:
    s.version = ev.version
    clocked = s.matcher.clocked
    drain.in_vain_for_all(s)
    s.adopt(ev.document)
    s.rests = {name: rest for name, rest in s.rests.items() if name in s.agents}
    s.failing = {name: count for name, count in s.failing.items() if name in s.agents}
    if s.matcher.clocked and not clocked:
        _start_clocks(s, at_ms)
    s.memory.forget(set(s.queues))
    preferred.begin_to_remember(s)
    upkeep.adopt(s, at_ms)
    recheck_cooling(s)
    for queue in [q for q in s.removals if q not in s.queues]:
        del s.removals[queue]
    forget(s)
    _forget_helping(s)


def _forget_helping(s: State) -> None:
    """What is known of gates, service levels and figures that the configuration has no more."""
    rules = {(name, rule.lender) for name, loans in s.loans.items() for rule in loans.rules}
    s.gates = {pair: gate for pair, gate in s.gates.items() if pair in rules}
    levels.forget(s)
    tally.forget(s)


def _start_clocks(s: State, at_ms: int) -> None:
    """From now on times are kept; nothing is known of those before."""
    for agent in s.agents.values():
        s.matcher.withdraw(agent)
        agent.busy_share, agent.busy_at_ms, agent.idle_since_ms = 0, at_ms, at_ms
        s.matcher.place(agent)


def _restarted(s: State, ev: e.Restarted, at_ms: int) -> None:
    """Every session is gone. Gateways could not speak while nobody was there, so leases start anew."""
    for item in s.interactions.values():
        if item.lease_until_ms and item.live:
            item.lease_until_ms = max(item.lease_until_ms, at_ms + item.born.lease_ms)
    for agent in s.agents.values():
        if agent.sessions:
            agent.sessions = {}
            lost(s, agent, at_ms)


def _alert(s: State, ev: e.AlertRaised, at_ms: int) -> None:
    if ev.code == "brake":
        s.brakes[ev.subject] = at_ms


EVOLVE: dict[type[Event], Callable[[State, Any, int], None]] = {
    e.Configured: _configured,
    e.Restarted: _restarted,
    e.AlertRaised: _alert,
    e.InteractionArrived: contacts.arrived,
    e.Enriched: contacts.enriched,
    e.Rerouted: contacts.rerouted,
    e.CustomerCalled: showing.called,
    e.CustomersMerged: customers.merged,
    e.CustomerDescribed: cards.described,
    e.CustomerSplit: customers.split_off,
    e.MessageAdded: contacts.message,
    e.NoteAdded: contacts.note,
    e.Announced: contacts.announced,
    e.LeaseRenewed: contacts.lease,
    e.ConnectionConfirmed: contacts.connected,
    e.ConnectFailed: contacts.connect_failed,
    e.Held: contacts.held,
    e.Resumed: contacts.held,
    e.WorkSuspended: interrupts.suspend,
    e.WorkContinued: interrupts.resume,
    e.DrainBegan: drain.begin,
    e.DrainEnded: drain.end,
    e.Requeued: contacts.requeued,
    e.Transferred: contacts.transferred,
    e.ConsultStarted: consults.started,
    e.ConsultAnswered: consults.answered,
    e.ConsultJoined: consults.joined,
    e.ConsultCompleted: consults.completed,
    e.ConsultEnded: consults.ended,
    e.CallbackRequested: callbacks.requested,
    e.CallbackKept: callbacks.kept,
    e.CallbackDue: callbacks.due,
    e.CallbackPostponed: callbacks.postponed,
    e.CallbackRests: callbacks.rests,
    e.CallbackEnded: callbacks.ended,
    e.PriorityChanged: contacts.priority,
    e.InteractionEnded: endings.ended,
    e.WrapUpExtended: endings.wrap_up_extended,
    e.WrapUpFinished: endings.wrap_up_finished,
    e.OfferMade: offers.made,
    e.OfferAccepted: offers.accepted,
    e.OfferDeclined: offers.declined,
    e.OfferExpired: offers.expired,
    e.OfferWithdrawn: offers.withdrawn,
    e.CoolOffEnded: offers.cool_off_ended,
    e.BandRaised: offers.band_raised,
    e.RequirementRelaxed: offers.relaxed,
    e.PreferredHeld: offers.preferred_held,
    e.PreferredReleased: offers.preferred_released,
    e.CallbackOffered: offers.callback_offered,
    e.CopyAsked: letters.copy_asked,
    e.CopyDue: letters.copy_due,
    e.ServabilityChanged: offers.servability,
    e.UnservableDue: offers.unservable_due,
    e.SessionOpened: agents.session_opened,
    e.SessionClosed: agents.session_closed,
    e.GraceEnded: agents.grace_ended,
    e.StateRequested: agents.state_requested,
    e.StateChanged: agents.state_changed,
    e.OutboundSettled: letters.outbound_settled,
    e.OutboundFailed: letters.outbound_failed,
    e.OutboundRetried: letters.outbound_retried,
    e.Moved: contacts.moved,
    e.LendingChanged: offers.lending,
    e.NumbersAssigned: partition.assigned,
    e.LeadGiven: partition.given,
    **upkeep.EVOLVE,
}
