"""What happens to a contact from its arrival on: said, noted, connected, held, requeued, handed over."""

from __future__ import annotations

from heapq import heappush

from msgspec.structs import replace

from router.engine import drain, preferred, showing
from router.engine import events as e
from router.engine.entities import NOBODY, Interaction, Remark, Said
from router.engine.facts.moves import (
    forgive_if_alone,
    move,
    pass_over,
    post,
    release,
    remember_given,
    replace_in_line,
    time_band,
    time_step,
    told,
)
from router.engine.model import LEASE_DUE, State
from router.engine.transitions import ACTIVE, QUEUED, WRAP_UP
from router.engine.waits import follow, learn


def arrived(s: State, ev: e.InteractionArrived, at_ms: int) -> None:
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
        time_band(s, item)
    if s.eases:
        time_step(s, item)


def message(s: State, ev: e.MessageAdded, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    if item.said is None:
        item.said = []
    item.said.append(Said(at_ms, ev.author, ev.agent, ev.message))
    del item.said[: -s.config.memory.transcript]
    if ev.threads:
        _also_known_as(s, item, ev.threads)
    for name in s.hearers(item):
        told(s.agents[name])
    if ev.author == "agent":
        post(s, "message", item, at_ms, message=ev.message, agent=ev.agent)


def enriched(s: State, ev: e.Enriched, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    born = item.born
    item.born = replace(born, attributes={**born.attributes, **ev.attributes}, language=born.language or ev.language)
    for name in s.hearers(item):
        told(s.agents[name])


def rerouted(s: State, ev: e.Rerouted, at_ms: int) -> None:
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
    time_band(s, item)


def _also_known_as(s: State, item: Interaction, threads: tuple[str, ...]) -> None:
    """Let these names lead to the interaction, other than those by which another live one is known."""
    for thread in threads:
        known = s.threads.get(thread, 0)
        if known != item.number and not (known and s.interactions[known].live):
            s.threads[thread] = item.number
            item.threads += (thread,)


def announced(s: State, ev: e.Announced, at_ms: int) -> None:
    for name in ev.agents:
        told(s.agents[name])


def note(s: State, ev: e.NoteAdded, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    if item.remarks is None:
        item.remarks = []
    item.remarks.append(Remark(at_ms, ev.by, ev.text))
    del item.remarks[: -s.config.memory.transcript]
    for name in s.hearers(item):
        if name in s.agents:  # a closed interaction's agent may have left the configuration
            told(s.agents[name])


def lease(s: State, ev: e.LeaseRenewed, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    # A later deadline is found when the entry of the earlier one surfaces; a sooner one needs an entry of its own.
    if ev.until_ms and (not item.lease_until_ms or ev.until_ms < item.lease_until_ms):
        heappush(s.timers, (ev.until_ms, LEASE_DUE, item.number, ""))
    item.lease_until_ms = ev.until_ms


def connected(s: State, ev: e.ConnectionConfirmed, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    item.connected = True
    if s.summons:
        s.summons.pop(item.number, None)
    if s.failing:
        s.failing.pop(item.owner, None)
    told(s.agents[item.owner])


def connect_failed(s: State, ev: e.ConnectFailed, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    item.connect_failures += 1
    if ev.in_a_row:
        s.failing[ev.agent] = ev.in_a_row
    told(release(s, item))
    pass_over(s, item, ev.agent, at_ms)
    forgive_if_alone(s, item)
    move(s, item, QUEUED)
    time_band(s, item)


def held(s: State, ev: e.Held | e.Resumed, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    item.held = isinstance(ev, e.Held)
    told(s.agents[item.owner])
    post(s, "held" if item.held else "resumed", item, at_ms)


def requeued(s: State, ev: e.Requeued, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    if item.state == WRAP_UP:
        _reopen(s, item)
    if s.summons:
        showing.missed(s, ev)
    former = release(s, item)
    told(former)
    item.lifted = item.lifted or ev.lifted
    if ev.passed_over:
        pass_over(s, item, ev.agent, at_ms)
        forgive_if_alone(s, item)
    move(s, item, QUEUED)
    time_band(s, item)
    post(s, "requeued", item, at_ms, agent=former.id)


def _reopen(s: State, item: Interaction) -> None:
    item.ended_at_ms = item.wrap_up_until_ms = 0
    item.reason = item.disposition = ""
    if item.lease_until_ms:
        heappush(s.timers, (item.lease_until_ms, LEASE_DUE, item.number, ""))


def transferred(s: State, ev: e.Transferred, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    former = ""
    if item.state == ACTIVE:
        learn(s, item, at_ms)
        agent = release(s, item)
        told(agent)
        former = agent.id
    _give_to(s, item, ev)
    remember_given(s, item, ev.requirement.agent if ev.requirement is not None else ())
    time_band(s, item)
    post(s, "requeued", item, at_ms, agent=former)


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
    forgive_if_alone(s, item)  # who refused it may be the only one who fits there
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
    time_step(s, item)


def moved(s: State, ev: e.Moved, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    _note_left(s, item)
    _leave_line(s, item)
    preferred.forget(s, item)
    if item.given_to:  # nobody there answers for that agent
        item.requirement = None
        remember_given(s, item, ())
    item.queue, item.step = ev.queue, 0
    forgive_if_alone(s, item)
    _join_line(s, item)
    time_band(s, item)


def priority(s: State, ev: e.PriorityChanged, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    item.band, item.weight, item.target_ms = ev.band, ev.weight, ev.target_ms
    replace_in_line(s, item)
    time_band(s, item)
    time_step(s, item)
