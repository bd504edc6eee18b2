"""Decide what contacts from channels make true."""

from __future__ import annotations

from msgspec.structs import replace

from router.engine import automatic, callbacks, customers, preferred
from router.engine import commands as c
from router.engine import events as e
from router.engine.config import LONGEST_MS
from router.engine.entities import Interaction
from router.engine.events import Event
from router.engine.model import State
from router.engine.plan import Plan
from router.engine.tickets import ticket
from router.engine.transitions import ACTIVE, NEXT, QUEUED, WRAP_UP, demand
from router.engine.work import ended, withdrawals
from router.errors import BadMessage, IllegalMove, NotFound


def arrive(s: State, plan: Plan, ask: c.Arrive, now_ms: int) -> list[Event]:
    """A new interaction, or one more message of a live one. After the end of a contact a new one follows it."""
    if not ask.threads:
        raise BadMessage("threads: a contact needs at least one name to be found by")
    follows = 0
    for thread in ask.threads:
        known = s.threads.get(thread, 0)
        if known:
            if s.interactions[known].live:
                return automatic.joined(ask, known) if ask.automatic else _join(ask, known)
            follows = follows or known
    if ask.ticket is not None:
        ask = _with_ticket(s, ask, ask.ticket)
    arrival = _arrival(s, plan, ask, now_ms, follows)
    if ask.automatic and not automatic.is_wanted(s, arrival, ask.automatic):
        return automatic.filed(s, arrival, ask.automatic)
    facts: list[Event] = callbacks.met(s, arrival) if s.callers else [arrival]
    if plan.prefers or ask.prefer is not None or follows:
        facts += preferred.held(s, arrival, plan.prefers.get(arrival.rule), ask.prefer, now_ms)
    return [*facts, *automatic.marked(s, arrival)] if ask.automatic == automatic.UNDELIVERED else facts


def _join(ask: c.Arrive, number: int) -> list[Event]:
    message = ask.message if ask.message is not None else e.Message()
    return [e.MessageAdded(number, "customer", message, threads=ask.threads)]


def _with_ticket(s: State, ask: c.Arrive, name: c.Ticket) -> c.Arrive:
    """With the name that is made of the number it will have: whoever it is offered to at once knows whom to call."""
    called = name.prefix + ticket(s.last_interaction + 1, name.letters)
    return replace(ask, attributes={**ask.attributes, name.attribute: called})


def _arrival(s: State, plan: Plan, ask: c.Arrive, now_ms: int, follows: int) -> e.InteractionArrived:
    to = plan.plain.get((ask.channel, ask.recipient))
    if to is None:
        if ask.channel not in s.config.channels:
            raise BadMessage(f"channel: {ask.channel!r} is not configured")
        to = plan.route(ask)
    if ask.lease_ms and not 0 <= ask.lease_ms <= LONGEST_MS:
        raise BadMessage("lease_ms: must be a number of milliseconds up to ten years, or 0 for none")
    received = ask.received_at_ms
    return e.InteractionArrived(
        s.last_interaction + 1,
        ask.channel,
        ask.threads,
        _customer(s, ask) if s.links else (ask.identities or ask.threads)[0],
        ask.identities,
        ask.sender,
        ask.recipient,
        ask.name,
        ask.subject,
        ask.language,
        ask.attributes,
        to.queue,
        to.requirement,
        to.band,
        to.weight,
        to.target_ms,
        received if 0 < received < now_ms else now_ms,
        ask.lease_ms,
        to.rule,
        ask.message,
        follows,
        ask.direction,
    )


def _customer(s: State, ask: c.Arrive) -> str:
    """The customer that one of the identities leads to (IN-6).

    A customer is named by the identity by which they first came, so that nothing need be stored for the many who have
    one. Links are kept only where a contact brought several.
    """
    identities = ask.identities or ask.threads[:1]
    for identity in identities:
        if identity in s.links:
            return customers.root(s, identity)
    return identities[0]


def _open(s: State, thread: str) -> Interaction:
    number = s.threads.get(thread)
    item = s.interactions.get(number) if number is not None else None
    if item is None or not item.open:
        raise NotFound(f"no open interaction {thread[:100]!r}")
    return item


def append(s: State, ask: c.Append, now_ms: int) -> list[Event]:
    return [e.MessageAdded(_open(s, ask.thread).number, ask.author, ask.message)]


def remark(s: State, ask: c.Remark, now_ms: int) -> list[Event]:
    """Of what is over too, while it is remembered."""
    number = s.threads.get(ask.thread)
    if number is None:
        raise NotFound(f"no interaction is known as {ask.thread!r}")
    return [e.NoteAdded(number, ask.text, ask.by)]


def renew(s: State, ask: c.Renew, now_ms: int) -> list[Event]:
    if not 0 < ask.lease_ms <= LONGEST_MS:
        raise BadMessage("lease_ms: must be a positive number of milliseconds up to ten years")
    item = _open(s, ask.thread)
    if (item.state, e.LeaseRenewed) not in NEXT:
        return []
    return [e.LeaseRenewed(item.number, now_ms + ask.lease_ms)]


def confirm_connection(s: State, ask: c.ConfirmConnection, now_ms: int) -> list[Event]:
    item = _open(s, ask.thread)
    if item.connected or item.state != ACTIVE:
        return []  # said twice, or overtaken by the end of the call: nothing to add
    return [e.ConnectionConfirmed(item.number)]


def fail_connection(s: State, ask: c.FailConnection, now_ms: int) -> list[Event]:
    item = _open(s, ask.thread)
    if item.state == QUEUED:
        return []  # said twice
    demand(item.number, item.state, e.ConnectFailed)
    if item.connected:
        raise IllegalMove(f"i-{item.number} is connected already")
    in_a_row = s.failing.get(item.owner, 0) + 1 if ask.of_agent else 0
    return [e.ConnectFailed(item.number, item.owner, ask.reason, in_a_row)]


def leave(s: State, ask: c.Leave, now_ms: int) -> list[Event]:
    """The customer is gone: abandoned if nobody had them yet."""
    item = _open(s, ask.thread)
    if item.state == WRAP_UP:
        return []  # over already, and its agent is documenting it
    if item.state == ACTIVE:
        return [ended(s, item, "customer-left", now_ms, why=ask.reason)]
    if s.callbacks and (kept := callbacks.hung_up(s, item)):
        return kept
    return [*withdrawals(s, item, "customer-left"), ended(s, item, "abandoned", now_ms)]
