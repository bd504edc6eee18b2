"""A colleague or the outside is asked, answers, joins, takes over, or is let go."""

from __future__ import annotations

from heapq import heappush

from msgspec.structs import replace

from router.engine import events as e
from router.engine import interrupts
from router.engine.entities import Consult, Interaction
from router.engine.facts.moves import close, drop_work, move, post, release, remember_given, time_band, told
from router.engine.model import CONSULT_DUE, State
from router.engine.transitions import ACTIVE, CLOSED


def started(s: State, ev: e.ConsultStarted, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    s.consults[item.number] = Consult(item.number, ev.consult, ev.address, at_ms, ev.until_ms)
    if ev.until_ms:
        heappush(s.timers, (ev.until_ms, CONSULT_DUE, item.number, ""))
    told(s.agents[item.owner])
    if ev.consult:
        _ask_colleague(s, item, ev, at_ms)
    else:
        post(s, "consulted", item, at_ms, agent="", endpoint=ev.address)


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
        remember_given(s, leg, (ev.named,))
    s.tally(leg, 1)
    leg.place = s.place_of(leg)
    s.matcher.enqueue(leg)
    time_band(s, leg)


def answered(s: State, ev: e.ConsultAnswered, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    s.consults[item.number].answered_at_ms = at_ms
    told(s.agents[item.owner])
    if ev.agent:
        post(s, "consulted", item, at_ms, agent=ev.agent)


def joined(s: State, ev: e.ConsultJoined, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    consult = s.consults[item.number]
    consult.joined = True
    for name in s.hearers(item):
        told(s.agents[name])
    more = {"endpoint": consult.address} if consult.address else {}
    post(s, "conference", item, at_ms, agent=ev.agent, **more)


def completed(s: State, ev: e.ConsultCompleted, at_ms: int) -> None:
    """The colleague had the consult and now has the interaction: one of the same channel, so their load stays."""
    item, leg, agent = s.interactions[ev.interaction], s.interactions[ev.consult], s.agents[ev.agent]
    del s.consults[item.number]
    told(release(s, item))
    item.owner = agent.id
    agent.work[item.number] = None
    told(agent)
    agent.work.pop(leg.number)
    if s.suspensions:
        interrupts.hand_over(s, leg, item)
    _close_leg(s, leg, ev.reason, at_ms)
    post(s, "handed-over", item, at_ms)


def ended(s: State, ev: e.ConsultEnded, at_ms: int) -> None:
    item = s.interactions[ev.of]
    consult = s.consults.pop(item.number)
    if item.state == ACTIVE:
        told(s.agents[item.owner])
        if consult.answered_at_ms or consult.address:
            more = {"endpoint": consult.address} if consult.address else {}
            post(s, "consult-over", item, at_ms, agent=ev.agent, reason=ev.reason, **more)
    s.legs.pop(consult.leg, None)
    if not ev.interaction:
        return
    leg = s.interactions[ev.interaction]
    if leg.state == ACTIVE:
        owner = s.agents[leg.owner]
        told(owner)
        owner.work.pop(leg.number, None)
        drop_work(s, owner, leg)
    _close_leg(s, leg, ev.reason, at_ms)


def _close_leg(s: State, leg: Interaction, reason: str, at_ms: int) -> None:
    s.legs.pop(leg.number, None)
    leg.reason = reason
    remember_given(s, leg, ())
    move(s, leg, CLOSED)
    close(s, leg, at_ms)
