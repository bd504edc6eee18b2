"""Offers and what they wait for: made, answered, passed over; steps of what nobody can serve."""

from __future__ import annotations

from heapq import heappush

from router.engine import asking, drain, interrupts, preferred, rounds
from router.engine import events as e
from router.engine.entities import Agent, Interaction, Offer, Said, Unserved
from router.engine.events import Message
from router.engine.facts.moves import (
    back_in_line,
    drop_offer,
    forgive_if_alone,
    nobody_else,
    pass_over,
    post,
    recheck_cooling,
    remember_given,
    replace_in_line,
    score,
    take_load,
    time_band,
    time_step,
)
from router.engine.lending import Gate
from router.engine.model import OFFER_DUE, State
from router.engine.transitions import ACTIVE, OFFERED, QUEUED
from router.engine.waits import follow_no_more


def made(s: State, ev: e.OfferMade, at_ms: int) -> None:
    item, agent, due = s.interactions[ev.interaction], s.agents[ev.agent], ev.expires_at_ms
    number = s.last_offer = ev.offer
    # `take_load` gives out the next stamp.
    offer = Offer(number, item.number, agent.id, at_ms, due, agent.stamp, ev.cause, s.last_stamp + 1)
    s.offers[number] = offer
    if s.matcher.attentive:
        _attend(s, item, agent, offer)
    item.offers = (*item.offers, number) if item.offers else (number,)
    agent.offers[number] = None
    if s.drains:
        drain.offered(s, item, agent)
    if item.state == QUEUED:
        s.matcher.dequeue(item)
        item.state = OFFERED
        counts = s.queues[item.queue].counts
        counts[QUEUED] -= 1
        counts[OFFERED] += 1
    take_load(s, agent, item.born.channel)
    heappush(s.timers, (due, OFFER_DUE, number, ""))
    agent.stream += 1


def _attend(s: State, item: Interaction, agent: Agent, offer: Offer) -> None:
    """What policies and rules of choice want to know of an offer."""
    s.matcher.last_offer = offer.number
    if s.matcher.clocked:
        offer.idle_since_ms = agent.idle_since_ms
    if s.taking_turns and offer.cause == "routed":
        s.memory.turns[item.queue] = offer.number
        s.queues[item.queue].standing.value = -offer.number


def accepted(s: State, ev: e.OfferAccepted, at_ms: int) -> None:
    item, agent = s.interactions[ev.interaction], s.agents[ev.agent]
    del s.offers[ev.offer]
    del agent.offers[ev.offer]
    item.offers = tuple(n for n in item.offers if n != ev.offer) if len(item.offers) > 1 else ()
    if s.scoring and not item.accepted_at_ms:
        score(s, item, at_ms, served=True)
    item.state, item.owner, item.accepted_at_ms = ACTIVE, agent.id, at_ms
    if item.tried:
        item.tried = {}
    if s.rounds:
        s.rounds.pop(item.number, None)
    if item.given_to:
        remember_given(s, item, ())
    if s.preferred:
        preferred.forget(s, item)
    counts = s.queues[item.queue].counts
    counts[OFFERED] -= 1
    counts[ACTIVE] += 1
    agent.work[item.number] = None
    agent.misses = 0
    agent.stream += 1
    if s.interrupts:
        interrupts.accepted(s, agent, item)
    if s.actions[item.born.channel]:
        callback = s.callbacks[s.calls[item.number]] if s.calls and item.number in s.calls else None
        if callback is not None and callback.kept:
            post(s, "called", item, at_ms, reason=callback.first)
        else:
            post(s, "assigned", item, at_ms)


def declined(s: State, ev: e.OfferDeclined, at_ms: int) -> None:
    item, _ = drop_offer(s, ev.offer)
    item.declines += 1
    preferred.refused(s, item, ev.agent)
    pass_over(s, item, ev.agent, at_ms)
    back_in_line(s, item)


def expired(s: State, ev: e.OfferExpired, at_ms: int) -> None:
    item, agent = drop_offer(s, ev.offer)
    item.misses += 1
    agent.misses += 1
    preferred.refused(s, item, ev.agent)
    pass_over(s, item, ev.agent, at_ms)
    back_in_line(s, item)


def withdrawn(s: State, ev: e.OfferWithdrawn, at_ms: int) -> None:
    offer = s.offers[ev.offer]
    item, agent = drop_offer(s, ev.offer, _place_given_back(s, offer))
    if s.matcher.clocked and agent.stamp == offer.stamp:
        agent.idle_since_ms = offer.idle_since_ms
    if ev.passed_over:
        pass_over(s, item, ev.agent, at_ms)
    back_in_line(s, item)


def _place_given_back(s: State, offer: Offer) -> int:
    """The agent's place among the idle as if this offer had never been made (OF-5).

    What else gave the agent a new place meanwhile stays: work that ended, an offer declined. Of several open offers,
    the one made next remembers this one's place as the place before it; it inherits the place before this one.
    """
    agent = s.agents[offer.agent]
    for number in agent.offers:
        other = s.offers[number]
        if other.stamp == offer.taken:
            other.stamp = offer.stamp
    return offer.stamp if agent.stamp == offer.taken else agent.stamp


def cool_off_ended(s: State, ev: e.CoolOffEnded, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    if item.state == QUEUED:
        s.matcher.dequeue(item)
    item.tried = {name: until for name, until in item.tried.items() if name != ev.agent}
    if item.tried and item.number in s.rounds and not rounds.is_paused(s, item) and nobody_else(s, item, item.tried):
        item.tried = {}  # those for whom the pause is over have left meanwhile
    if item.state == QUEUED:
        s.matcher.enqueue(item)


def band_raised(s: State, ev: e.BandRaised, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    item.lifted = True
    replace_in_line(s, item)


def relaxed(s: State, ev: e.RequirementRelaxed, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    s.matcher.dequeue(item)
    item.step = ev.step
    item.place = s.place_of(item)
    s.matcher.enqueue(item)
    time_band(s, item)
    time_step(s, item)


def preferred_held(s: State, ev: e.PreferredHeld, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    preferred.hold(s, item, ev)
    follow_no_more(s, item)


def preferred_released(s: State, ev: e.PreferredReleased, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    if item.state == QUEUED:
        s.matcher.dequeue(item)
    preferred.forget(s, item)
    if item.state == QUEUED:
        forgive_if_alone(s, item)
        s.matcher.enqueue(item)


def callback_offered(s: State, ev: e.CallbackOffered, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    item.callback_offered = True
    if ev.told:
        item.said = [*(item.said or ()), Said(at_ms, "system", "", Message(ev.told))]
    if not ev.only_just and asking.can_be_asked(s, item):
        post(s, "callback-offered", item, at_ms, message=Message(ev.told))


def servability(s: State, ev: e.ServabilityChanged, at_ms: int) -> None:
    key = (ev.queue, ev.channel, ev.requirement)
    entry = s.unserved.get(key)
    if not ev.servable:
        if entry is not None:
            s.forget_unserved(key, entry)
    elif entry is not None:
        entry.servable = ev.servable
    else:
        entry = s.unserved[key] = Unserved(s.seq, ev.queue, ev.channel, ev.requirement, ev.servable, at_ms)
        s.noted[entry.number] = entry
        s.time_unserved(entry)
    s.matcher.reach.reported = bool(s.unserved)
    s.matcher.reach.settle()


def unservable_due(s: State, ev: e.UnservableDue, at_ms: int) -> None:
    entry = s.noted.get(ev.number)
    if entry is not None and not entry.acted:
        entry.acted = True
        s.acted += 1


def lending(s: State, ev: e.LendingChanged, at_ms: int) -> None:
    s.gates[ev.queue, ev.lender] = Gate(ev.queue, ev.lender, ev.is_open, at_ms)
    s.turn_gates(ev.queue)
    if s.drains:
        drain.called_back(s)
    if not ev.is_open:
        recheck_cooling(s)
