"""Decide what agents and operators make true of interactions."""

from __future__ import annotations

from router.engine import commands as c
from router.engine import events as e
from router.engine import interrupts, outside, preferred
from router.engine.capacity import DRAINING_MASK, HELD, LOAD_MASK, RESUMING, SUSPENDED, count, takes
from router.engine.config import LONGEST_MS
from router.engine.entities import Agent, Interaction, Offer
from router.engine.events import Event
from router.engine.lookups import find_agent as agent_of
from router.engine.lookups import find_interaction as interaction
from router.engine.model import State
from router.engine.plan import names_of
from router.engine.requirements import Node, canonical, check, no_such
from router.engine.transitions import ACTIVE, CLOSED, OFFERED, QUEUED, WRAP_UP, demand
from router.errors import (
    BadMessage,
    IllegalMove,
    NoCapacity,
    NotEligible,
    NotOwner,
    NotSupported,
    OfferGone,
    UnknownName,
)

MAX_WEIGHT = 1_000  # as in the configuration


def owned(s: State, number: int, agent: str) -> Interaction:
    """The interaction, if this agent has it."""
    item = s.interactions.get(number)
    if item is not None and item.owner == agent and agent in s.agents:
        return item
    agent_of(s, agent)
    item = interaction(s, number)
    raise NotOwner(f"i-{number} is not yours" + (f"; {item.owner} has it" if item.owner else ""))


def withdrawals(
    s: State, item: Interaction, reason: str, by: str = "", why: str = "", passed_over: bool = False
) -> list[Event]:
    """Its open offers are taken back; the agents lose nothing by it (OF-5)."""
    return [e.OfferWithdrawn(n, item.number, s.offers[n].agent, reason, by, why, passed_over) for n in item.offers]


def ended(
    s: State,
    item: Interaction,
    reason: str,
    now_ms: int,
    disposition: str = "",
    notes: str = "",
    by: str = "",
    why: str = "",
    address: str = "",
) -> e.InteractionEnded:
    """The end of a contact, followed by wrap-up where its queue asks for it and an agent has it."""
    rule, wraps, until = s.queue_config(item.queue).wrap_up, False, 0
    if rule.mode != "none" and item.state == ACTIVE and reason != "unconfirmed":
        wraps, until = True, now_ms + rule.time if rule.mode in ("timed", "forced") else 0
    return e.InteractionEnded(item.number, reason, item.owner, wraps, until, disposition, notes, by, why, address)


# --- offers -----------------------------------------------------------------------------------------------------------


def _open_offer(s: State, number: int, agent: str) -> Offer:
    offer = s.offers.get(number)
    if offer is None or offer.agent != agent:
        raise OfferGone(f"offer o-{number} is gone; the interaction went on without you")
    return offer


def accept(s: State, ask: c.Accept, now_ms: int) -> list[Event]:
    """Possible until the deadline: at the deadline itself it is too late."""
    offer = _open_offer(s, ask.offer, ask.agent)
    if now_ms >= offer.expires_at_ms:
        raise OfferGone(f"offer o-{ask.offer} ran out")
    return interrupts.acceptance(s, offer)


def decline(s: State, ask: c.Decline, now_ms: int) -> list[Event]:
    offer = _open_offer(s, ask.offer, ask.agent)
    return [e.OfferDeclined(offer.number, offer.interaction, offer.agent, ask.reason)]


def pick(s: State, ask: c.Pick, now_ms: int) -> list[Event]:
    item = interaction(s, ask.interaction)
    if item.state == OFFERED:
        raise IllegalMove(f"i-{item.number} is being offered; wait for the answer")
    demand(item.number, item.state, e.OfferMade)
    return _give(s, item, ask.agent, now_ms, "pick", "", "", override=False)


def assign(s: State, ask: c.Assign, now_ms: int) -> list[Event]:
    """From whatever state is not over: who had it or was offered it loses it in the same command (MV-2)."""
    item = interaction(s, ask.interaction)
    if item.state == ACTIVE and item.owner == ask.agent:
        raise IllegalMove(f"i-{item.number} is {ask.agent}'s already")
    freed = _freed(s, item, "reassigned", ask.by, ask.why, passed_over=False)
    cause = "assign-override" if ask.override else "assign"
    return [*freed, *_give(s, item, ask.agent, now_ms, cause, ask.by, ask.why, ask.override)]


def _give(
    s: State, item: Interaction, name: str, now_ms: int, cause: str, by: str, why: str, override: bool
) -> list[Event]:
    """Give an interaction to one agent who need not accept: an offer that is accepted at once (MV-4)."""
    agent = agent_of(s, name)
    if not agent.sessions or agent.retired:
        raise NotEligible(f"{name} is not signed in" if not agent.retired else f"{name} is leaving")
    if not override and not s.matcher.meets_node(agent, s.requirement_of(item)):
        raise NotEligible(f"{name} does not meet the requirement of i-{item.number}")
    if not override:
        _must_not_be_for_others(s, item, name, by)
    if item.number in s.legs and s.interactions[s.legs[item.number]].owner == name:
        raise NotEligible(f"{name} is who asks in i-{item.number}")
    load = _load_without(s, item, agent)
    _must_have_room(s, item, agent, load, override)
    offer = s.last_offer + 1
    aside = interrupts.make_way(s, agent, item, load) if s.interrupts else ()
    return [
        e.OfferMade(offer, item.number, name, now_ms + s.queue_config(item.queue).offer_timeout, cause, by, why),
        *aside,
        e.OfferAccepted(offer, item.number, name),
    ]


def _must_not_be_for_others(s: State, item: Interaction, name: str, by: str) -> None:
    """An agent takes nothing that is held for others; a supervisor may give it away, unless others are required."""
    held = s.preferred.get(item.number)
    if held is not None and name not in held.agents and (held.required or not by):
        raise NotEligible(f"i-{item.number} is held for {' or '.join(held.agents)}")


def _load_without(s: State, item: Interaction, agent: Agent) -> int:
    """What the agent has; this very interaction, offered to them or theirs, takes no room."""
    load = agent.load & ~DRAINING_MASK  # a place that is held is still theirs to give
    if item.owner == agent.id:
        load -= s.load_of(item)
        return load if load >> SUSPENDED & HELD else load & ~RESUMING
    is_offered = any(s.offers[n].agent == agent.id for n in item.offers)
    return load - s.unit(item.born.channel) if is_offered else load


def _must_have_room(s: State, item: Interaction, agent: Agent, load: int, override: bool) -> None:
    c = s.channel_index[item.born.channel]
    # A counter of a load holds no more than LOAD_MASK, not even on purpose.
    most = count(load, c) + count(load >> SUSPENDED, c) < LOAD_MASK
    if not (takes(agent.capacity.room(load), c) or (override and most)):
        raise NoCapacity(f"{agent.id} has no room for one more {item.born.channel}")


# --- work -------------------------------------------------------------------------------------------------------------


def say(s: State, ask: c.Say, now_ms: int) -> list[Event]:
    """To the customer; in a consult to the other agent, who need not have answered yet."""
    item = _heard(s, ask) if s.consults else owned(s, ask.interaction, ask.agent)
    if item.state != ACTIVE and item.number not in s.legs:
        raise IllegalMove(f"i-{item.number} is over; nobody would read it")
    return [e.MessageAdded(item.number, "agent", ask.message, ask.agent)]


def _heard(s: State, ask: c.Say) -> Interaction:
    """Both sides of a consult speak in it; to the customer, who was asked does so in a conference."""
    agent_of(s, ask.agent)
    item = interaction(s, ask.interaction)
    consult = s.consults.get(item.number)
    if ask.agent in s.hearers(item) and (item.number in s.legs or (consult is not None and consult.joined)):
        return item
    return owned(s, ask.interaction, ask.agent)


def _contact(item: Interaction) -> Interaction:
    """What a channel knows; between two agents there is nothing to hold or to give on."""
    if not item.threads:
        raise IllegalMove(f"i-{item.number} is a consult: end it, or let its owner complete it")
    return item


def note(s: State, ask: c.Note, now_ms: int) -> list[Event]:
    """Of a consult it belongs to what that is about: it outlives the consult."""
    number = interaction(s, ask.interaction).number
    return [e.NoteAdded(s.legs.get(number, number), ask.text, ask.by)]


def hold(s: State, ask: c.Hold, now_ms: int) -> list[Event]:
    item = _contact(owned(s, ask.interaction, ask.agent))
    demand(item.number, item.state, e.Held)
    if outside.cannot_hold(s, item):
        gateway = item.threads[0].partition(":")[0]
        raise NotSupported(f"the gateway {gateway} cannot hold a contact; stay with the customer, or transfer them")
    return [] if item.held else [e.Held(item.number, ask.agent)]


def resume(s: State, ask: c.Resume, now_ms: int) -> list[Event]:
    item = _contact(owned(s, ask.interaction, ask.agent))
    demand(item.number, item.state, e.Resumed)
    return [e.Resumed(item.number, ask.agent)] if item.held else []


def complete(s: State, ask: c.Complete, now_ms: int) -> list[Event]:
    """End the contact; once more, finish its wrap-up. A second ending of what is closed changes nothing (AG-9)."""
    item = owned(s, ask.interaction, ask.agent)
    if item.state == CLOSED:
        return []
    if item.number in s.legs:
        return [e.ConsultEnded(item.number, s.legs[item.number], item.owner, "left", ask.agent)]
    if item.state == WRAP_UP:
        return [_wrapped_up(s, item, ask.disposition, ask.notes, now_ms)]
    return [ended(s, item, "completed", now_ms, ask.disposition, ask.notes)]


def finish_wrap_up(s: State, ask: c.FinishWrapUp, now_ms: int) -> list[Event]:
    item = owned(s, ask.interaction, ask.agent)
    if item.state == CLOSED:
        return []
    demand(item.number, item.state, e.WrapUpFinished)
    return [_wrapped_up(s, item, ask.disposition, ask.notes, now_ms)]


def _wrapped_up(s: State, item: Interaction, disposition: str, notes: str, now_ms: int) -> e.WrapUpFinished:
    if s.queue_config(item.queue).wrap_up.mode == "forced" and now_ms < item.wrap_up_until_ms:
        raise IllegalMove(f"the wrap-up of i-{item.number} lasts its full time in this queue")
    return e.WrapUpFinished(item.number, item.owner, "finished", disposition, notes)


def extend_wrap_up(s: State, ask: c.ExtendWrapUp, now_ms: int) -> list[Event]:
    item = owned(s, ask.interaction, ask.agent)
    demand(item.number, item.state, e.WrapUpExtended)
    rule = s.queue_config(item.queue).wrap_up
    if rule.mode != "timed" or not item.wrap_up_until_ms:
        raise IllegalMove(f"the wrap-up of i-{item.number} cannot be extended in this queue")
    if ask.by_ms <= 0:
        raise BadMessage("by_ms: must be a positive number of milliseconds")
    until = min(item.wrap_up_until_ms + ask.by_ms, item.ended_at_ms + rule.longest)
    if until <= item.wrap_up_until_ms:
        raise IllegalMove(f"wrap-up in this queue lasts at most {rule.longest}")
    return [e.WrapUpExtended(item.number, ask.agent, until)]


# --- moving work ------------------------------------------------------------------------------------------------------


def transfer(s: State, ask: c.Transfer, now_ms: int) -> list[Event]:
    """Give it on at once (blind, MV-1): it waits for its new agent with the time that it has waited already."""
    item = _contact(owned(s, ask.interaction, ask.agent) if ask.agent else interaction(s, ask.interaction))
    by, to = ask.by or ask.agent, ask.to
    if sum((bool(to.queue), bool(to.agent), to.requirement is not None, bool(to.address))) != 1:
        raise BadMessage("to: say exactly one of queue, agent, requirement, address")
    if to.address:
        return [_to_outside(s, item, ask, by, now_ms)]
    if item.state != OFFERED:
        demand(item.number, item.state, e.Transferred)
    queue, requirement = _destination(s, item, to)
    moved = e.Transferred(item.number, queue, requirement, item.owner, by, ask.why)
    return [*withdrawals(s, item, "transferred", by, ask.why), moved]


def _to_outside(s: State, item: Interaction, ask: c.Transfer, by: str, now_ms: int) -> Event:
    demand(item.number, item.state, e.InteractionEnded)
    if item.state != ACTIVE or "transferred" not in s.config.channels[item.born.channel].actions:
        raise IllegalMove(f"a {item.born.channel} contact in this state cannot be transferred to an outside address")
    outside.must_be_in_reach(s, item, ask.to.address)
    return ended(s, item, "transferred", now_ms, by=by, why=ask.why, address=ask.to.address)


def _destination(s: State, item: Interaction, to: c.Target) -> tuple[str, Node | None]:
    if to.queue:
        if to.queue not in s.queues:
            raise UnknownName(f"to.queue: {no_such('queue', to.queue, s.queues)}")
        return to.queue, None
    if to.agent:
        # It would wait for ever, and nobody would be told why.
        agent = agent_of(s, to.agent)
        if agent.retired or not s.matcher.meets_node(agent, s.queue_config(item.queue).requirement):
            raise NotEligible(f"{to.agent} does not meet the requirement of queue {item.queue}; transfer to a queue")
        if item.owner == to.agent:
            raise IllegalMove(f"{to.agent} has i-{item.number} already")
        if not agent.available:
            raise NotEligible(f"{to.agent} is not there to take it; transfer to a queue or to somebody who is ready")
        if not agent.capacity.room(0) >> s.channel_index[item.born.channel] & 1:
            raise NotEligible(f"{to.agent} takes no {item.born.channel}; transfer to a queue")
        return item.queue, Node(agent=(to.agent,))
    assert to.requirement is not None
    check(to.requirement, names_of(s.config), "to.requirement")
    # In place of what was asked for before: that may have been the very agent who now gives it on.
    return item.queue, canonical(to.requirement)


def requeue(s: State, ask: c.Requeue, now_ms: int) -> list[Event]:
    """Back to waiting, from whatever state is not over (MV-2); who had it or was offered it is passed over."""
    return _freed(s, interaction(s, ask.interaction), "operator", ask.by, ask.why, passed_over=True)


def _freed(s: State, item: Interaction, reason: str, by: str, why: str, passed_over: bool) -> list[Event]:
    """The interaction is taken from everybody who has it or sees it."""
    if item.state == QUEUED:
        # It waits already; but one that was given to an agent by name now waits for the whole queue.
        if item.number in s.preferred:
            return preferred.released(s, item, "operator", by, why)
        freely = item.given_to and item.number not in s.legs
        return [e.Transferred(item.number, item.queue, None, "", by, why)] if freely else []
    if item.state == OFFERED:
        gone = withdrawals(s, item, "requeued" if reason == "operator" else reason, by, why, passed_over)
        return [*gone, *preferred.released(s, item, "operator", by, why)]
    demand(item.number, item.state, e.Requeued)
    _contact(item)
    followers = {s.threads.get(thread, 0) for thread in item.threads} - {item.number}
    if item.state == WRAP_UP and followers:
        raise IllegalMove(f"i-{item.number} is over, and i-{max(followers)} follows it; work on that one")
    return [e.Requeued(item.number, reason, item.owner, False, by, why, passed_over)]


def close(s: State, ask: c.Close, now_ms: int) -> list[Event]:
    item = interaction(s, ask.interaction)
    if item.state == CLOSED:
        return []
    if item.state == WRAP_UP:
        return [e.WrapUpFinished(item.number, item.owner, "closed")]
    if item.number in s.legs:
        gone = withdrawals(s, item, "closed", ask.by, ask.why)
        return [*gone, e.ConsultEnded(item.number, s.legs[item.number], item.owner, "closed", ask.by, ask.why)]
    over = e.InteractionEnded(item.number, "closed", item.owner, by=ask.by, why=ask.why)
    return [*withdrawals(s, item, "closed", ask.by, ask.why), over]


def reprioritise(s: State, ask: c.Reprioritise, now_ms: int) -> list[Event]:
    item = interaction(s, ask.interaction)
    demand(item.number, item.state, e.PriorityChanged)
    if ask.band and ask.band not in s.band_rank:
        raise UnknownName(f"band: {no_such('band', ask.band, s.band_rank)}")
    if not (0 <= ask.weight <= MAX_WEIGHT and 0 <= ask.target_ms <= LONGEST_MS):
        raise BadMessage(f"weight and target must be positive, at most {MAX_WEIGHT} and ten years")
    return [
        e.PriorityChanged(
            item.number,
            ask.band or item.band,
            float(ask.weight or item.weight),  # a whole number would come back from the journal as another type
            ask.target_ms or item.target_ms,
            ask.by,
            ask.why,
        )
    ]


def relax(s: State, ask: c.Relax, now_ms: int) -> list[Event]:
    """Ask for less by hand: the next step of its plan, or all up to one."""
    item = interaction(s, ask.interaction)
    demand(item.number, item.state, e.RequirementRelaxed)
    steps = s.steps_of(item)
    if not item.step < (ask.step or item.step + 1) <= steps:
        has = f"{steps} steps" if steps else "no relaxation plan"
        plan = s.plan_of(item)
        whose = f"the rule {plan}" if plan else f"queue {item.queue}"
        raise IllegalMove(f"i-{item.number} has taken {item.step} steps, and {whose} has {has}")
    ladder = s.ladder_of(item)
    assert ladder is not None, "it has steps"
    taken = ladder.steps[item.step : ask.step or item.step + 1]
    moves = [i for i, step in enumerate(taken) if step.queue]  # into another queue, which has another plan
    last = item.step + (moves[0] + 1 if moves else len(taken))
    facts = range(item.step + 1, last + 1)
    return [e.RequirementRelaxed(item.number, step, "operator", ask.by, ask.why) for step in facts]
