"""How a contact ends: its work, its wrap-up, and what is learned of it."""

from __future__ import annotations

from heapq import heappush
from typing import Any

from router.engine import events as e
from router.engine import preferred
from router.engine.admission import REFUSED
from router.engine.entities import Remark, Said
from router.engine.events import Message
from router.engine.facts.moves import close, drop_work, move, post, score, told
from router.engine.model import WRAP_UP_DUE, State
from router.engine.transitions import CLOSED, WRAP_UP
from router.engine.waits import learn, learn_left

# Nobody spoke with the customer.
NOT_SERVED = ("busy", "no-answer", "failed")

# The customer's side ended it, so its gateway need not be told.
GONE = ("customer-left", "abandoned", "unconfirmed", "busy", "no-answer", "failed", "merged", "cancelled", "expired")


def ended(s: State, ev: e.InteractionEnded, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    if s.scoring and not item.accepted_at_ms:
        score(s, item, at_ms, served=False, gave_up=ev.reason == "abandoned")
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
        post(s, "transferred" if ev.address else "ended", item, at_ms, reason=ev.reason, **_more_of(ev))
    if ev.wrap_up:
        item.wrap_up_until_ms = ev.wrap_up_until_ms
        if ev.wrap_up_until_ms:
            heappush(s.timers, (ev.wrap_up_until_ms, WRAP_UP_DUE, item.number, ""))
        move(s, item, WRAP_UP)
        return
    move(s, item, CLOSED)
    if owner is not None:  # a closed interaction still says who had it
        learn(s, item, at_ms)
        owner.work.pop(item.number, None)
        drop_work(s, owner, item)
    elif ev.reason == "abandoned":
        learn_left(s, item, at_ms)
    close(s, item, at_ms)


def _more_of(ev: e.InteractionEnded) -> dict[str, Any]:
    """Where a transfer goes; or what the customer is to be told at the end."""
    if ev.address:
        return {"endpoint": ev.address}
    return {"message": Message(ev.told)} if ev.told else {}


def wrap_up_extended(s: State, ev: e.WrapUpExtended, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    item.wrap_up_until_ms = ev.until_ms
    told(s.agents[item.owner])


def wrap_up_finished(s: State, ev: e.WrapUpFinished, at_ms: int) -> None:
    item = s.interactions[ev.interaction]
    item.disposition = ev.disposition or item.disposition
    if ev.notes:
        item.remarks = [*(item.remarks or ()), Remark(at_ms, ev.agent, ev.notes)]
    owner = s.agents[item.owner]
    told(owner)
    item.wrap_up_until_ms = 0
    learn(s, item, at_ms)
    move(s, item, CLOSED)
    owner.work.pop(item.number, None)
    drop_work(s, owner, item)
    close(s, item, at_ms)
