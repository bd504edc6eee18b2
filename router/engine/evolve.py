"""Apply one fact to the state. The only writer of State.

Total: what is in the journal happened, so nothing here refuses. Deterministic: the new state depends on the old one,
the event and the record's time alone. A live engine and a replay go through the same functions.

Messages of agents' streams are counted here (`agent.stream += 1`, in `_told`), because their numbers must be the same
after a replay; `effects` renders exactly those. An event tells one agent at most one thing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappush
from typing import Any

from msgspec.structs import replace

from router.engine import (
    asking,
    cards,
    customers,
    drain,
    interrupts,
    levels,
    occupancy,
    partition,
    preferred,
    rounds,
    showing,
    tally,
    upkeep,
)
from router.engine import events as e
from router.engine.admission import REFUSED
from router.engine.capacity import SUSPENDED
from router.engine.copies import COPY
from router.engine.events import Event, Message
from router.engine.lending import Gate
from router.engine.model import (
    BAND_DUE,
    CALLBACK_DUE,
    CONSULT_DUE,
    COOL_OFF_DUE,
    GRACE_DUE,
    LEASE_DUE,
    NOBODY,
    OFFER_DUE,
    RETURN_DUE,
    STEP_DUE,
    TAKEN_OFF,
    WRAP_UP_DUE,
    Agent,
    Callback,
    Consult,
    Copy,
    Interaction,
    Offer,
    Remark,
    Said,
    State,
    Unserved,
)
from router.engine.order import factor
from router.engine.transitions import ACTIVE, CLOSED, OFFERED, QUEUED, WRAP_UP
from router.engine.views import Outbound
from router.engine.waits import follow, follow_no_more, forget, learn, learn_left

# Nobody spoke with the customer.
NOT_SERVED = ("busy", "no-answer", "failed")
# The customer's side ended it, so its gateway need not be told.
GONE = ("customer-left", "abandoned", "unconfirmed", "busy", "no-answer", "failed", "merged", "cancelled", "expired")


def evolve(state: State, event: Event, at_ms: int) -> None:
    """Apply a fact that became true at `at_ms` (Unix ms)."""
    state.seq += 1
    state.now_ms = at_ms
    EVOLVE[type(event)](state, event, at_ms)


# --- small moves that several facts share -----------------------------------------------------------------------------


def _told(agent: Agent) -> None:
    agent.stream += 1


def _restamp(s: State, agent: Agent) -> None:
    s.last_stamp += 1
    agent.stamp = s.last_stamp


def _take_load(s: State, agent: Agent, channel: str) -> None:
    """The agent has one more; among equals they now come last, so that a burst goes round (RT-6)."""
    matcher = s.matcher
    if agent.cell >= 0:
        matcher.withdraw(agent)
    if matcher.clocked:
        _clock(s, agent)
    agent.load += s.units[channel]
    s.last_stamp += 1
    agent.stamp = s.last_stamp
    if agent.counted:
        matcher.place(agent)


def _drop_load(s: State, agent: Agent, channel: str, stamp: int = 0) -> None:
    """The agent has one less and may get the next. `stamp` gives back a former place among the idle."""
    matcher = s.matcher
    if agent.cell >= 0:
        matcher.withdraw(agent)
    if matcher.clocked:
        _clock(s, agent)
    agent.load -= s.units[channel]
    if not stamp:
        stamp = s.last_stamp = s.last_stamp + 1
    agent.stamp = stamp
    if agent.counted:
        matcher.place(agent)
        if agent.cell >= 0:
            matcher.fresh_agents.append(agent)
    if agent.retired:
        _dismiss(s, agent)


def _drop_work(s: State, agent: Agent, item: Interaction) -> None:
    """Work, unlike an offer, may be soft or suspended."""
    if s.interrupts:
        interrupts.let_go(s, agent, item, s.now_ms)
    _drop_load(s, agent, item.born.channel)


def _clock(s: State, agent: Agent) -> None:
    """The agent's load or presence is about to change: note how busy they were until now. The time away counts as
    nothing, neither as work nor as rest."""
    if agent.counted:
        agent.busy_share = occupancy.after(agent.busy_share, s.now_ms - agent.busy_at_ms, agent.load > 0)
    agent.busy_at_ms = agent.idle_since_ms = s.now_ms


def _offer_room(s: State, agent: Agent) -> None:
    s.matcher.place(agent)
    if agent.cell >= 0:
        s.matcher.fresh_agents.append(agent)


def _presence(s: State, agent: Agent) -> None:
    """State or sessions changed: stand the agent where they now belong."""
    s.matcher.withdraw(agent)
    if s.matcher.clocked:
        _clock(s, agent)
    s.matcher.count(agent, agent.available)
    s.matcher.count_off(agent, agent.missing)
    if agent.drains and not agent.available:
        drain.in_vain(s, agent)
    _offer_room(s, agent)
    if not agent.available:
        _recheck_cooling(s)


def _move(s: State, item: Interaction, to: int) -> None:
    """Change the interaction's state, its queue's counters and its place in line."""
    queue = s.queues[item.queue]
    counts = queue.counts
    counts[item.state] -= 1
    counts[to] += 1
    if to == QUEUED and queue.guarded:
        s.entered[item.number] = False
        s.time_wait(queue, item)
    if item.state == QUEUED:
        if s.drains:
            drain.let_go(s, item)
        s.matcher.dequeue(item)
    item.state = to
    if to == QUEUED:
        item.place = s.place_of(item)
        s.matcher.enqueue(item)
        if s.eases:
            _time_step(s, item)


def _replace_in_line(s: State, item: Interaction) -> None:
    """Its priority or requirement changed: stand it in the class it now belongs to."""
    if item.state == QUEUED:
        s.matcher.dequeue(item)
        item.place = s.place_of(item)
        s.matcher.enqueue(item)


def _time_band(s: State, item: Interaction) -> None:
    due = s.band_due_ms(item)
    if due:
        heappush(s.timers, (due, BAND_DUE, item.number, ""))
    if s.calls and item.number in s.calls:
        _time_callback(s, s.callbacks[s.calls[item.number]])


def _time_step(s: State, item: Interaction) -> None:
    due = s.step_due_ms(item)
    if due:
        heappush(s.timers, (due, STEP_DUE, item.number, ""))


def _pass_over(s: State, item: Interaction, agent: str, at_ms: int) -> None:
    """Skip this agent until others were tried or the cool-off is over; not at all if nobody else can (OF-3)."""
    until = at_ms + s.queue_config(item.queue).cool_off
    if until == at_ms:
        rounds.refused(s, item, agent)
        return
    item.tried = {**item.tried, agent: until}
    heappush(s.timers, (until, COOL_OFF_DUE, item.number, agent))


def _forgive_if_alone(s: State, item: Interaction) -> None:
    """When everybody present who fits has been tried, all of them are eligible again; at once, but not without end."""
    names = rounds.asked(s, item)
    if names and _nobody_else(s, item, names):
        rounds.next_round(s, item, names)
        if s.drains:
            drain.passed_over(s, item)


def _nobody_else(s: State, item: Interaction, names: Iterable[str]) -> bool:
    """Whether these are all who are present and could take it."""
    held = s.preferred.get(item.number) if s.preferred else None
    if held is not None and held.required:
        return not preferred.others(s, item, held, names)
    requirement, channel = s.requirement_of(item), 1 << s.channel_index[item.born.channel]
    tried = [s.agents[name] for name in names if name in s.agents]
    able = [a for a in tried if a.counted and a.capacity.room(0) & channel]
    present = sum(1 for a in able if s.matcher.meets_node(a, requirement))
    return s.matcher.staff(requirement, channel) <= present


def _recheck_cooling(s: State) -> None:
    """Somebody left: interactions that waited for somebody else may have nobody else any more.

    By their numbers: the matcher keeps them in an order of its own, which a restart changes.
    """
    cooling = [item for members in s.matcher.cooling.values() for item in members.values()]
    cooling += s.matcher.personal.cooling.values()
    for item in sorted(cooling, key=lambda item: item.number):
        s.matcher.dequeue(item)
        _forgive_if_alone(s, item)
        s.matcher.enqueue(item)


def _close(s: State, item: Interaction, at_ms: int) -> None:
    """Keep it at hand for operators until enough others have been closed after it."""
    if not item.ended_at_ms:
        item.ended_at_ms = at_ms
    if item.given_to:
        _remember_given(s, item, ())
    if s.preferred:
        preferred.forget(s, item)
    if s.rounds:
        s.rounds.pop(item.number, None)
    if s.left:
        s.left.pop(item.number, None)
    if s.summons:
        s.summons.pop(item.number, None)
    closed = s.closed
    closed.append(item.number)
    while len(closed) > s.closed_max:
        old = s.interactions.pop(closed.popleft())
        if s.suspensions:
            s.suspensions.pop(old.number, None)
        if s.first_queues:
            s.first_queues.pop(old.number, None)
        if s.copies:
            s.copies.pop(old.number, None)
        for thread in old.threads:
            if s.threads.get(thread) == old.number:
                del s.threads[thread]


def _release(s: State, item: Interaction) -> Agent:
    """Take the interaction from its owner."""
    agent = s.agents[item.owner]
    agent.work.pop(item.number, None)
    item.owner = ""
    item.returned_at_ms = s.now_ms
    item.held = item.connected = False
    _drop_work(s, agent, item)
    return agent


def _dismiss(s: State, agent: Agent) -> None:
    """An agent who is no longer in the configuration goes when the work is done."""
    if not agent.work and not agent.offers:
        s.matcher.withdraw(agent)
        s.matcher.count(agent, False)
        s.matcher.count_off(agent, False)
        s.agents.pop(agent.id, None)
        s.rests.pop(agent.id, None)
        s.failing.pop(agent.id, None)


def _post(s: State, action: str, item: Interaction, at_ms: int, **more: Any) -> None:
    """Something that the channel's gateway must be told at least once."""
    if action not in s.actions[item.born.channel] or not item.threads:
        return  # no gateway knows of a consult: it is told of the contact that it is about
    agent = s.agents.get(more.pop("agent", item.owner))
    born = item.born
    values: dict[str, Any] = {"endpoint": agent.config.endpoint if agent else "", **more}
    number = s.first_letter + s.seq
    s.outbound[number] = Outbound(
        outbound=number,
        at_ms=at_ms,
        action=action,
        channel=born.channel,
        interaction=item.number,
        threads=item.threads,
        sender=born.sender,
        recipient=born.recipient,
        subject=born.subject,
        attributes=born.attributes,
        agent=agent.id if agent else "",
        agent_name=(agent.config.name or agent.id) if agent else "",
        **values,
    )


def _copy_asked(s: State, ev: e.CopyAsked, at_ms: int) -> None:
    s.copies[ev.interaction] = Copy(ev.interaction, ev.channel, ev.address, ev.sender)


def _copy_due(s: State, ev: e.CopyDue, at_ms: int) -> None:
    """By the channel that carries it, as if the customer had written to us there."""
    item, wish = s.interactions[ev.interaction], s.copies[ev.interaction]
    number = s.first_letter + s.seq
    s.outbound[number] = Outbound(
        outbound=number,
        at_ms=at_ms,
        action=COPY,
        channel=wish.channel,
        interaction=item.number,
        threads=item.threads,
        sender=wish.address,
        recipient=wish.sender,
        subject=item.born.subject,
        attributes={},
    )


def _drop_offer(s: State, number: int, stamp: int = 0) -> tuple[Interaction, Agent]:
    """End an open offer: give the capacity back, and put the interaction back if this was its last offer."""
    offer = s.offers.pop(number)
    item, agent = s.interactions[offer.interaction], s.agents[offer.agent]
    agent.offers.pop(number, None)
    if agent.load >> SUSPENDED:
        s.returning.append(agent)
    item.offers = tuple(n for n in item.offers if n != number)
    _drop_load(s, agent, item.born.channel, stamp)
    _told(agent)
    return item, agent


def _back_in_line(s: State, item: Interaction) -> None:
    if item.state == OFFERED and not item.offers:
        _forgive_if_alone(s, item)
        _move(s, item, QUEUED)


# --- configuration and process ----------------------------------------------------------------------------------------


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
    _recheck_cooling(s)
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
            _lost(s, agent, at_ms)


def _alert(s: State, ev: e.AlertRaised, at_ms: int) -> None:
    if ev.code == "brake":
        s.brakes[ev.subject] = at_ms


# --- interactions -----------------------------------------------------------------------------------------------------


def _arrived(s: State, ev: e.InteractionArrived, at_ms: int) -> None:
    number = ev.interaction
    item = Interaction(
        number,
        ev,
        ev.enqueued_at_ms,
        ev.queue,
        ev.requirement,
        ev.band,
        ev.weight,
        ev.target_ms,
        ev.threads,
        QUEUED,
        "",
        (),
        NOBODY,
    )
    s.last_interaction = number
    s.interactions[number] = item
    for thread in ev.threads:
        s.threads[thread] = number
    if len(ev.identities) > 1:
        for identity in ev.identities:
            if identity != ev.customer:
                s.links.setdefault(identity, ev.customer)
    if ev.lease_ms:
        item.lease_until_ms = at_ms + ev.lease_ms
        heappush(s.timers, (item.lease_until_ms, LEASE_DUE, number, ""))
    queue = s.queues[ev.queue]
    counts = queue.counts
    counts[QUEUED] += 1
    usual = ev.requirement is None and not (ev.band or ev.weight or ev.target_ms or (s.plans and ev.rule in s.plans))
    place = queue.places.get(ev.channel, -1) if usual else -1
    item.place = place if place >= 0 else s.place_of(item)
    if counts[QUEUED] > 1:
        follow(s, item, at_ms)
    if queue.guarded:
        s.entered[number] = True
        s.time_wait(queue, item)
    s.matcher.enqueue(item)
    if s.aging:
        _time_band(s, item)
    if s.eases:
        _time_step(s, item)


def _message(s: State, ev: e.MessageAdded, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    if item.said is None:
        item.said = []
    item.said.append(Said(at_ms, ev.author, ev.agent, ev.message))
    del item.said[: -s.config.memory.transcript]
    if ev.threads:
        _also_known_as(s, item, ev.threads)
    for name in s.hearers(item):
        _told(s.agents[name])
    if ev.author == "agent":
        _post(s, "message", item, at_ms, message=ev.message, agent=ev.agent)


def _enriched(s: State, ev: e.Enriched, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    born = item.born
    item.born = replace(born, attributes={**born.attributes, **ev.attributes}, language=born.language or ev.language)
    for name in s.hearers(item):
        _told(s.agents[name])


def _rerouted(s: State, ev: e.Rerouted, at_ms: int) -> None:
    """As if it had come there, but for its time. What was tried and left elsewhere counts no more."""
    item = s.interactions[ev.interaction]
    s.first_queues.setdefault(item.number, item.born.queue)
    _leave_line(s, item)
    preferred.forget(s, item)
    s.rounds.pop(item.number, None)
    s.left.pop(item.number, None)
    item.tried, item.step = {}, 0
    asked = {"queue": ev.queue, "requirement": ev.requirement, "band": ev.band}
    item.born = replace(item.born, weight=ev.weight, target_ms=ev.target_ms, rule=ev.rule, **asked)
    item.queue, item.requirement = ev.queue, ev.requirement
    item.band, item.weight, item.target_ms = ev.band, ev.weight, ev.target_ms
    _join_line(s, item)
    _time_band(s, item)


def _also_known_as(s: State, item: Interaction, threads: tuple[str, ...]) -> None:
    """Let these names lead to the interaction, other than those by which another live one is known."""
    for thread in threads:
        known = s.threads.get(thread, 0)
        if known != item.number and not (known and s.interactions[known].live):
            s.threads[thread] = item.number
            item.threads += (thread,)


def _announced(s: State, ev: e.Announced, at_ms: int) -> None:
    for name in ev.agents:
        _told(s.agents[name])


def _note(s: State, ev: e.NoteAdded, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    if item.remarks is None:
        item.remarks = []
    item.remarks.append(Remark(at_ms, ev.by, ev.text))
    del item.remarks[: -s.config.memory.transcript]
    for name in s.hearers(item):
        if name in s.agents:  # a closed interaction's agent may have left the configuration
            _told(s.agents[name])


def _lease(s: State, ev: e.LeaseRenewed, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    # A later deadline is found when the entry of the earlier one surfaces; a sooner one needs an entry of its own.
    if not item.lease_until_ms or ev.until_ms < item.lease_until_ms:
        heappush(s.timers, (ev.until_ms, LEASE_DUE, item.number, ""))
    item.lease_until_ms = ev.until_ms


def _connected(s: State, ev: e.ConnectionConfirmed, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    item.connected = True
    if s.summons:
        s.summons.pop(item.number, None)
    if s.failing:
        s.failing.pop(item.owner, None)
    _told(s.agents[item.owner])


def _connect_failed(s: State, ev: e.ConnectFailed, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    item.connect_failures += 1
    if ev.in_a_row:
        s.failing[ev.agent] = ev.in_a_row
    _told(_release(s, item))
    _pass_over(s, item, ev.agent, at_ms)
    _forgive_if_alone(s, item)
    _move(s, item, QUEUED)
    _time_band(s, item)


def _held(s: State, ev: e.Held | e.Resumed, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    item.held = isinstance(ev, e.Held)
    _told(s.agents[item.owner])
    _post(s, "held" if item.held else "resumed", item, at_ms)


def _requeued(s: State, ev: e.Requeued, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    if item.state == WRAP_UP:
        _reopen(s, item)
    if s.summons:
        showing.missed(s, ev)
    former = _release(s, item)
    _told(former)
    item.lifted = item.lifted or ev.lifted
    if ev.passed_over:
        _pass_over(s, item, ev.agent, at_ms)
        _forgive_if_alone(s, item)
    _move(s, item, QUEUED)
    _time_band(s, item)
    _post(s, "requeued", item, at_ms, agent=former.id)


def _reopen(s: State, item: Interaction) -> None:
    item.ended_at_ms = item.wrap_up_until_ms = 0
    item.reason = item.disposition = ""
    if item.lease_until_ms:
        heappush(s.timers, (item.lease_until_ms, LEASE_DUE, item.number, ""))


def _transferred(s: State, ev: e.Transferred, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    former = ""
    if item.state == ACTIVE:
        learn(s, item, at_ms)
        agent = _release(s, item)
        _told(agent)
        former = agent.id
    _give_to(s, item, ev)
    _remember_given(s, item, ev.requirement.agent if ev.requirement is not None else ())
    _time_band(s, item)
    _post(s, "requeued", item, at_ms, agent=former)


def _give_to(s: State, item: Interaction, ev: e.Transferred) -> None:
    _leave_line(s, item)
    preferred.forget(s, item)
    if ev.by:
        s.rounds.pop(item.number, None)
        s.left.pop(item.number, None)
        item.tried = {}  # somebody meant it for others; what the engine lets go keeps who refused it
    elif ev.queue != item.queue:
        _note_left(s, item)
    if ev.queue != item.queue:
        item.step = 0  # another queue has another plan
    item.queue, item.requirement = ev.queue, ev.requirement
    _forgive_if_alone(s, item)  # who refused it may be the only one who fits there
    _join_line(s, item)


def _note_left(s: State, item: Interaction) -> None:
    """A rule moves it on, and none will move it back: two plans that lead into one another would have no end."""
    former = s.left.get(item.number, ())
    if item.queue not in former:
        s.left[item.number] = (*former, item.queue)


def _leave_line(s: State, item: Interaction) -> None:
    """Counters and lines go by the old queue until it has left them."""
    s.tally(item, -1)
    if item.state == QUEUED:
        if s.drains:
            drain.let_go(s, item)
        s.matcher.dequeue(item)


def _join_line(s: State, item: Interaction) -> None:
    item.state = QUEUED
    s.tally(item, 1)
    item.place = s.place_of(item)
    s.matcher.enqueue(item)
    queue = s.queues.get(item.queue)
    if queue is not None and queue.guarded:
        s.entered[item.number] = False
        s.time_wait(queue, item)
    _time_step(s, item)


def _moved(s: State, ev: e.Moved, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    _note_left(s, item)
    _leave_line(s, item)
    preferred.forget(s, item)
    if item.given_to:  # nobody there answers for that agent
        item.requirement = None
        _remember_given(s, item, ())
    item.queue, item.step = ev.queue, 0
    _forgive_if_alone(s, item)
    _join_line(s, item)
    _time_band(s, item)


def _remember_given(s: State, item: Interaction, names: tuple[str, ...]) -> None:
    if item.given_to:
        s.waits_no_more(item.number, item.given_to)
    item.given_to = names[0] if len(names) == 1 else ""
    if item.given_to:
        s.given.setdefault(item.given_to, {})[item.number] = None


# --- consults ---------------------------------------------------------------------------------------------------------


def _consult_started(s: State, ev: e.ConsultStarted, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    s.consults[item.number] = Consult(item.number, ev.consult, ev.address, at_ms, ev.until_ms)
    if ev.until_ms:
        heappush(s.timers, (ev.until_ms, CONSULT_DUE, item.number, ""))
    _told(s.agents[item.owner])
    if ev.consult:
        _ask_colleague(s, item, ev, at_ms)
    else:
        _post(s, "consulted", item, at_ms, agent="", endpoint=ev.address)


def _ask_colleague(s: State, item: Interaction, ev: e.ConsultStarted, at_ms: int) -> None:
    """The consult waits as any other interaction. It has no names: channels know only what it is about."""
    number, band = ev.consult, item.band
    born = replace(
        item.born,
        interaction=number,
        threads=(),
        queue=ev.queue,
        requirement=ev.requirement,
        band=band,
        weight=0.0,
        target_ms=0,
        enqueued_at_ms=at_ms,
        lease_ms=0,
        rule="",
        message=None,
        follows=item.number,
        direction="consult",
    )
    s.last_interaction = number
    s.legs[number] = item.number
    leg = s.interactions[number] = Interaction(number, born, at_ms, ev.queue, ev.requirement, band, 0.0, 0, ())
    if ev.named:
        _remember_given(s, leg, (ev.named,))
    s.tally(leg, 1)
    leg.place = s.place_of(leg)
    s.matcher.enqueue(leg)
    _time_band(s, leg)


def _consult_answered(s: State, ev: e.ConsultAnswered, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    s.consults[item.number].answered_at_ms = at_ms
    _told(s.agents[item.owner])
    if ev.agent:
        _post(s, "consulted", item, at_ms, agent=ev.agent)


def _consult_joined(s: State, ev: e.ConsultJoined, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    consult = s.consults[item.number]
    consult.joined = True
    for name in s.hearers(item):
        _told(s.agents[name])
    more = {"endpoint": consult.address} if consult.address else {}
    _post(s, "conference", item, at_ms, agent=ev.agent, **more)


def _consult_completed(s: State, ev: e.ConsultCompleted, at_ms: int) -> None:
    """The colleague had the consult and now has the interaction: one of the same channel, so their load stays."""
    item, leg, agent = s.interactions[ev.interaction], s.interactions[ev.consult], s.agents[ev.agent]
    del s.consults[item.number]
    _told(_release(s, item))
    item.owner = agent.id
    agent.work[item.number] = None
    _told(agent)
    agent.work.pop(leg.number)
    if s.suspensions:
        interrupts.hand_over(s, leg, item)
    _close_leg(s, leg, ev.reason, at_ms)
    _post(s, "handed-over", item, at_ms)


def _consult_ended(s: State, ev: e.ConsultEnded, at_ms: int) -> None:
    item = s.interactions[ev.of]
    consult = s.consults.pop(item.number)
    if item.state == ACTIVE:
        _told(s.agents[item.owner])
        if consult.answered_at_ms or consult.address:
            more = {"endpoint": consult.address} if consult.address else {}
            _post(s, "consult-over", item, at_ms, agent=ev.agent, reason=ev.reason, **more)
    s.legs.pop(consult.leg, None)
    if not ev.interaction:
        return
    leg = s.interactions[ev.interaction]
    if leg.state == ACTIVE:
        owner = s.agents[leg.owner]
        _told(owner)
        owner.work.pop(leg.number, None)
        _drop_work(s, owner, leg)
    _close_leg(s, leg, ev.reason, at_ms)


def _close_leg(s: State, leg: Interaction, reason: str, at_ms: int) -> None:
    s.legs.pop(leg.number, None)
    leg.reason = reason
    _remember_given(s, leg, ())
    _move(s, leg, CLOSED)
    _close(s, leg, at_ms)


# --- callbacks --------------------------------------------------------------------------------------------------------


def _callback_requested(s: State, ev: e.CallbackRequested, at_ms: int) -> None:
    number, item = ev.callback, s.interactions.get(ev.interaction)
    if item is not None and item.born.sender != ev.to:
        item.born = replace(item.born, sender=ev.to)
    arrival = item.born if item is not None else ev.arrival
    assert arrival is not None, "either somebody is on the line, or it says what the attempts are like"
    place = item.enqueued_at_ms if item is not None else ev.place_ms
    s.last_callback = number
    s.callbacks[number] = Callback(
        number, ev.line, ev.to, ev.first, arrival, place, ev.until_ms, ev.due_ms, ev.interaction
    )
    s.callers[arrival.customer] = number
    if item is not None:
        s.calls[item.number] = number
    _time_callback(s, s.callbacks[number])


def _time_callback(s: State, callback: Callback) -> None:
    due = callback.due_ms or callback.until_ms
    if due:
        heappush(s.timers, (due, CALLBACK_DUE, callback.number, ""))


def _callback_kept(s: State, ev: e.CallbackKept, at_ms: int) -> None:
    """Nobody is on the line any more, so nobody renews the lease; the place in line is not touched."""
    item = s.interactions[ev.interaction]
    for thread in item.threads:
        if s.threads.get(thread) == item.number:
            del s.threads[thread]
    item.threads = (ev.thread,)
    s.threads[ev.thread] = item.number
    item.lease_until_ms = 0
    item.born = replace(item.born, direction="callback")
    _attempt(s, s.callbacks[ev.callback], item.number)


def _attempt(s: State, callback: Callback, interaction: int) -> None:
    callback.interaction, callback.kept, callback.due_ms = interaction, True, 0
    callback.attempts += 1
    s.calls[interaction] = callback.number
    _time_callback(s, callback)


def _callback_due(s: State, ev: e.CallbackDue, at_ms: int) -> None:
    callback = s.callbacks[ev.callback]
    callback.place_ms = callback.place_ms or at_ms
    born = replace(
        callback.arrival,
        interaction=ev.interaction,
        threads=(ev.thread,),
        enqueued_at_ms=callback.place_ms,
        lease_ms=0,
        message=None,
        direction="callback",
    )
    _arrived(s, born, at_ms)
    _attempt(s, callback, ev.interaction)


def _callback_postponed(s: State, ev: e.CallbackPostponed, at_ms: int) -> None:
    callback = s.callbacks[ev.callback]
    item = s.interactions.get(callback.interaction)
    if item is not None:  # it may have been given to another queue meanwhile
        callback.arrival = replace(callback.arrival, queue=item.queue)
    s.calls.pop(callback.interaction, None)
    callback.interaction, callback.kept, callback.due_ms = 0, False, ev.due_ms
    _time_callback(s, callback)


def _callback_ended(s: State, ev: e.CallbackEnded, at_ms: int) -> None:
    callback = s.callbacks.pop(ev.callback)
    s.calls.pop(callback.interaction, None)
    del s.callers[callback.arrival.customer]
    item = s.interactions.get(callback.interaction)
    if item is not None and item.waits and s.queues[item.queue].guarded:
        s.entered[item.number] = False  # its caller is on the line after all, and waits as any other
        s.time_wait(s.queues[item.queue], item)


def _priority(s: State, ev: e.PriorityChanged, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    item.band, item.weight, item.target_ms = ev.band, ev.weight, ev.target_ms
    _replace_in_line(s, item)
    _time_band(s, item)
    _time_step(s, item)


def _ended(s: State, ev: e.InteractionEnded, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    if s.scoring and not item.accepted_at_ms:
        _learn(s, item, at_ms, served=False, gave_up=ev.reason == "abandoned")
    item.reason = ev.reason
    if ev.disposition:
        item.disposition = ev.disposition
    item.ended_at_ms = at_ms
    item.held = item.connected = False
    if ev.notes:
        item.remarks = [*(item.remarks or ()), Remark(at_ms, ev.by or ev.agent, ev.notes)]
    if ev.told:
        item.said = [*(item.said or ()), Said(at_ms, "system", "", Message(ev.told))]
    if ev.refused:
        item.disposition = REFUSED
    owner = s.agents[item.owner] if item.owner else None
    if owner is not None:
        owner.stream += 1
        if s.remembers and item.threads and ev.reason not in NOT_SERVED:
            preferred.remember(s, item.born.customer, owner.id)
    if s.actions[item.born.channel] and ev.reason not in GONE and not ev.refused:
        _post(s, "transferred" if ev.address else "ended", item, at_ms, reason=ev.reason, **_more_of(ev))
    if ev.wrap_up:
        item.wrap_up_until_ms = ev.wrap_up_until_ms
        if ev.wrap_up_until_ms:
            heappush(s.timers, (ev.wrap_up_until_ms, WRAP_UP_DUE, item.number, ""))
        _move(s, item, WRAP_UP)
        return
    _move(s, item, CLOSED)
    if owner is not None:  # a closed interaction still says who had it
        learn(s, item, at_ms)
        owner.work.pop(item.number, None)
        _drop_work(s, owner, item)
    elif ev.reason == "abandoned":
        learn_left(s, item, at_ms)
    _close(s, item, at_ms)


def _more_of(ev: e.InteractionEnded) -> dict[str, Any]:
    """Where a transfer goes; or what the customer is to be told at the end."""
    if ev.address:
        return {"endpoint": ev.address}
    return {"message": Message(ev.told)} if ev.told else {}


def _wrap_up_extended(s: State, ev: e.WrapUpExtended, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    item.wrap_up_until_ms = ev.until_ms
    _told(s.agents[item.owner])


def _wrap_up_finished(s: State, ev: e.WrapUpFinished, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    item.disposition = ev.disposition or item.disposition
    if ev.notes:
        item.remarks = [*(item.remarks or ()), Remark(at_ms, ev.agent, ev.notes)]
    owner = s.agents[item.owner]
    _told(owner)
    item.wrap_up_until_ms = 0
    learn(s, item, at_ms)
    _move(s, item, CLOSED)
    owner.work.pop(item.number, None)
    _drop_work(s, owner, item)
    _close(s, item, at_ms)


# --- offers -----------------------------------------------------------------------------------------------------------


def _offer_made(s: State, ev: e.OfferMade, at_ms: int) -> None:
    item, agent, due = s.interactions[ev.interaction], s.agents[ev.agent], ev.expires_at_ms
    number = s.last_offer = ev.offer
    # `_take_load` gives out the next stamp.
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
    _take_load(s, agent, item.born.channel)
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


def _learn(s: State, item: Interaction, at_ms: int, served: bool, gave_up: bool = False) -> None:
    """Figures, the adaptive policy and service levels hear how the wait ended. Of the last two, whoever left before the
    target was up says nothing about it."""
    waited = s.waited_ms(item, at_ms)
    kept = waited <= s.target_ms(item)
    queue = s.queues.get(item.queue)
    if s.tallied and queue is not None and (served or gave_up):
        tally.note(s, item, waited, kept, served, at_ms)
    if queue is None or (kept and not served):
        return
    if s.levelled:
        levels.note(s, item, kept, at_ms)
    if s.learning:
        queue.standing.value = factor(s.memory.learn(item.queue, kept))


def _offer_accepted(s: State, ev: e.OfferAccepted, at_ms: int) -> None:
    item, agent = s.interactions[ev.interaction], s.agents[ev.agent]
    del s.offers[ev.offer]
    del agent.offers[ev.offer]
    item.offers = tuple(n for n in item.offers if n != ev.offer) if len(item.offers) > 1 else ()
    if s.scoring and not item.accepted_at_ms:
        _learn(s, item, at_ms, served=True)
    item.state, item.owner, item.accepted_at_ms = ACTIVE, agent.id, at_ms
    if item.tried:
        item.tried = {}
    if s.rounds:
        s.rounds.pop(item.number, None)
    if item.given_to:
        _remember_given(s, item, ())
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
            _post(s, "called", item, at_ms, reason=callback.first)
        else:
            _post(s, "assigned", item, at_ms)


def _offer_declined(s: State, ev: e.OfferDeclined, at_ms: int) -> None:
    item, _ = _drop_offer(s, ev.offer)
    item.declines += 1
    preferred.refused(s, item, ev.agent)
    _pass_over(s, item, ev.agent, at_ms)
    _back_in_line(s, item)


def _offer_expired(s: State, ev: e.OfferExpired, at_ms: int) -> None:
    item, agent = _drop_offer(s, ev.offer)
    item.misses += 1
    agent.misses += 1
    preferred.refused(s, item, ev.agent)
    _pass_over(s, item, ev.agent, at_ms)
    _back_in_line(s, item)


def _offer_withdrawn(s: State, ev: e.OfferWithdrawn, at_ms: int) -> None:
    offer = s.offers[ev.offer]
    item, agent = _drop_offer(s, ev.offer, _place_given_back(s, offer))
    if s.matcher.clocked and agent.stamp == offer.stamp:
        agent.idle_since_ms = offer.idle_since_ms
    if ev.passed_over:
        _pass_over(s, item, ev.agent, at_ms)
    _back_in_line(s, item)


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


def _cool_off_ended(s: State, ev: e.CoolOffEnded, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    if item.state == QUEUED:
        s.matcher.dequeue(item)
    item.tried = {name: until for name, until in item.tried.items() if name != ev.agent}
    if item.tried and item.number in s.rounds and not rounds.is_paused(s, item) and _nobody_else(s, item, item.tried):
        item.tried = {}  # those for whom the pause is over have left meanwhile
    if item.state == QUEUED:
        s.matcher.enqueue(item)


def _band_raised(s: State, ev: e.BandRaised, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    item.lifted = True
    _replace_in_line(s, item)


def _relaxed(s: State, ev: e.RequirementRelaxed, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    s.matcher.dequeue(item)
    item.step = ev.step
    item.place = s.place_of(item)
    s.matcher.enqueue(item)
    _time_band(s, item)
    _time_step(s, item)


def _preferred_held(s: State, ev: e.PreferredHeld, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    preferred.hold(s, item, ev)
    follow_no_more(s, item)


def _preferred_released(s: State, ev: e.PreferredReleased, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    if item.state == QUEUED:
        s.matcher.dequeue(item)
    preferred.forget(s, item)
    if item.state == QUEUED:
        _forgive_if_alone(s, item)
        s.matcher.enqueue(item)


def _callback_offered(s: State, ev: e.CallbackOffered, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    item.callback_offered = True
    if ev.told:
        item.said = [*(item.said or ()), Said(at_ms, "system", "", Message(ev.told))]
    if not ev.only_just and asking.can_be_asked(s, item):
        _post(s, "callback-offered", item, at_ms, message=Message(ev.told))


def _servability(s: State, ev: e.ServabilityChanged, at_ms: int) -> None:
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


def _unservable_due(s: State, ev: e.UnservableDue, at_ms: int) -> None:
    entry = s.noted.get(ev.number)
    if entry is not None and not entry.acted:
        entry.acted = True
        s.acted += 1


def _lending(s: State, ev: e.LendingChanged, at_ms: int) -> None:
    s.gates[ev.queue, ev.lender] = Gate(ev.queue, ev.lender, ev.is_open, at_ms)
    s.turn_gates(ev.queue)
    if s.drains:
        drain.called_back(s)
    if not ev.is_open:
        _recheck_cooling(s)


# --- agents -----------------------------------------------------------------------------------------------------------


def _session_opened(s: State, ev: e.SessionOpened, at_ms: int) -> None:
    agent = s.agents[ev.agent]
    first = not agent.sessions
    agent.sessions[ev.session] = at_ms
    agent.grace_until_ms = 0
    _told(agent)
    if first:
        if not agent.stamp:
            _restamp(s, agent)
        _presence(s, agent)
        if s.watched:
            upkeep.signed_in(s, agent, 1, at_ms)


def _session_closed(s: State, ev: e.SessionClosed, at_ms: int) -> None:
    agent = s.agents[ev.agent]
    agent.sessions.pop(ev.session, None)
    _told(agent)
    if not agent.sessions:
        _lost(s, agent, at_ms)


def _lost(s: State, agent: Agent, at_ms: int) -> None:
    """The last session is gone: no offers, and work waits for the agent to come back (AG-2)."""
    _presence(s, agent)
    if s.watched:
        upkeep.signed_in(s, agent, -1, at_ms)
    if agent.work:
        agent.grace_until_ms = at_ms + s.config.presence.grace
        heappush(s.timers, (agent.grace_until_ms, GRACE_DUE, 0, agent.id))


def _grace_ended(s: State, ev: e.GraceEnded, at_ms: int) -> None:
    s.agents[ev.agent].grace_until_ms = 0


def _state_requested(s: State, ev: e.StateRequested, at_ms: int) -> None:
    agent = s.agents[ev.agent]
    agent.requested, agent.requested_reason = ev.state, ev.reason
    _told(agent)
    _presence(s, agent)


def _state_changed(s: State, ev: e.StateChanged, at_ms: int) -> None:
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
    _told(agent)
    _presence(s, agent)


def _restamped(s: State, agent: Agent) -> None:
    """Idle time starts anew; the entry in a cell goes by the stamp, so the agent leaves it first."""
    s.matcher.withdraw(agent)
    _restamp(s, agent)


def _count_removal(s: State, agent: Agent, at_ms: int) -> None:
    since = at_ms - s.config.presence.brake_window
    for name, queue in s.queues.items():
        if s.matcher.meets_node(agent, queue.config.requirement):
            recent = [t for t in s.removals.get(name, ()) if t > since]
            s.removals[name] = [*recent, at_ms]


# --- effects ----------------------------------------------------------------------------------------------------------


def _outbound_settled(s: State, ev: e.OutboundSettled, at_ms: int) -> None:
    s.outbound.pop(ev.outbound, None)
    s.dead.pop(ev.outbound, None)


def _outbound_failed(s: State, ev: e.OutboundFailed, at_ms: int) -> None:
    letter = s.outbound.pop(ev.outbound, None)
    if letter is not None:
        s.dead[ev.outbound] = replace(letter, error=ev.error)


def _outbound_retried(s: State, ev: e.OutboundRetried, at_ms: int) -> None:
    letter = s.dead.pop(ev.outbound, None)
    if letter is not None:
        s.outbound[ev.outbound] = replace(letter, error="")


EVOLVE: dict[type[Event], Callable[[State, Any, int], None]] = {
    e.Configured: _configured,
    e.Restarted: _restarted,
    e.AlertRaised: _alert,
    e.InteractionArrived: _arrived,
    e.Enriched: _enriched,
    e.Rerouted: _rerouted,
    e.CustomerCalled: showing.called,
    e.CustomersMerged: customers.merged,
    e.CustomerDescribed: cards.described,
    e.CustomerSplit: customers.split_off,
    e.MessageAdded: _message,
    e.NoteAdded: _note,
    e.Announced: _announced,
    e.LeaseRenewed: _lease,
    e.ConnectionConfirmed: _connected,
    e.ConnectFailed: _connect_failed,
    e.Held: _held,
    e.Resumed: _held,
    e.WorkSuspended: interrupts.suspend,
    e.WorkContinued: interrupts.resume,
    e.DrainBegan: drain.begin,
    e.DrainEnded: drain.end,
    e.Requeued: _requeued,
    e.Transferred: _transferred,
    e.ConsultStarted: _consult_started,
    e.ConsultAnswered: _consult_answered,
    e.ConsultJoined: _consult_joined,
    e.ConsultCompleted: _consult_completed,
    e.ConsultEnded: _consult_ended,
    e.CallbackRequested: _callback_requested,
    e.CallbackKept: _callback_kept,
    e.CallbackDue: _callback_due,
    e.CallbackPostponed: _callback_postponed,
    e.CallbackEnded: _callback_ended,
    e.PriorityChanged: _priority,
    e.InteractionEnded: _ended,
    e.WrapUpExtended: _wrap_up_extended,
    e.WrapUpFinished: _wrap_up_finished,
    e.OfferMade: _offer_made,
    e.OfferAccepted: _offer_accepted,
    e.OfferDeclined: _offer_declined,
    e.OfferExpired: _offer_expired,
    e.OfferWithdrawn: _offer_withdrawn,
    e.CoolOffEnded: _cool_off_ended,
    e.BandRaised: _band_raised,
    e.RequirementRelaxed: _relaxed,
    e.PreferredHeld: _preferred_held,
    e.PreferredReleased: _preferred_released,
    e.CallbackOffered: _callback_offered,
    e.CopyAsked: _copy_asked,
    e.CopyDue: _copy_due,
    e.ServabilityChanged: _servability,
    e.UnservableDue: _unservable_due,
    e.SessionOpened: _session_opened,
    e.SessionClosed: _session_closed,
    e.GraceEnded: _grace_ended,
    e.StateRequested: _state_requested,
    e.StateChanged: _state_changed,
    e.OutboundSettled: _outbound_settled,
    e.OutboundFailed: _outbound_failed,
    e.OutboundRetried: _outbound_retried,
    e.Moved: _moved,
    e.LendingChanged: _lending,
    e.NumbersAssigned: partition.assigned,
    e.LeadGiven: partition.given,
    **upkeep.EVOLVE,
}
