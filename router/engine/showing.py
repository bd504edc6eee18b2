"""Customers who have to come when they are called: visitors with a ticket.

An agent who has accepted such a contact has nobody in front of them yet. The channel calls the customer
(`CustomerCalled`, which follows the acceptance), the agent says when they are there (`MeetCustomer`), or has them
called again (`Recall`). Who does not come within the channel's `show_within`, counted from the last call, is not there:
the agent is free, and `no_show` says what becomes of the contact. It ends, moves to another queue, or waits again with
its place, passed over by this agent for a while; called in vain for the last time it ends all the same.

Where no channel calls anybody this way nothing here is ever asked (`State.summoning`).
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappush

from router.engine import commands as c
from router.engine import config as configuration
from router.engine import events as e
from router.engine.entities import Interaction, Summons
from router.engine.events import Event
from router.engine.model import SHOW_DUE, State, Timer
from router.engine.transitions import ACTIVE, demand
from router.engine.work import owned
from router.errors import IllegalMove

NO_SHOW = "no-show"


def _rule(s: State, item: Interaction) -> configuration.Channel | None:
    """Of a channel that calls its customers; a consult has no customer."""
    channel = s.config.channels.get(item.born.channel)
    return channel if channel is not None and channel.show_within is not None and item.threads else None


# --- deciding ---------------------------------------------------------------------------------------------------------


def after_accept(s: State, event: e.OfferAccepted, now_ms: int) -> Iterator[Event]:
    item = s.interactions[event.interaction]
    rule = _rule(s, item)
    if rule is not None:
        yield e.CustomerCalled(item.number, event.agent, _until(rule, now_ms), 1)


def recall(s: State, ask: c.Recall, now_ms: int) -> list[Event]:
    item = owned(s, ask.interaction, ask.agent)
    rule = _rule(s, item)
    if rule is None:
        raise IllegalMove(f"i-{item.number}: customers of this channel are not called by a ticket")
    demand(item.number, item.state, e.CustomerCalled)
    if item.connected:
        raise IllegalMove(f"the customer of i-{item.number} is there already")
    known = s.summons.get(item.number)
    return [e.CustomerCalled(item.number, ask.agent, _until(rule, now_ms), known.calls + 1 if known else 1)]


def meet(s: State, ask: c.MeetCustomer, now_ms: int) -> list[Event]:
    item = owned(s, ask.interaction, ask.agent)
    if _rule(s, item) is None:
        raise IllegalMove(f"i-{item.number}: customers of this channel do not come to the agent")
    demand(item.number, item.state, e.ConnectionConfirmed)
    return [] if item.connected else [e.ConnectionConfirmed(item.number)]


def _until(rule: configuration.Channel, now_ms: int) -> int:
    return now_ms + rule.show_within if rule.show_within else 0


# --- time -------------------------------------------------------------------------------------------------------------


def due_ms(s: State, t: Timer) -> int:
    found, item = s.summons.get(t[2]), s.interactions.get(t[2])
    if found is None or item is None or item.state != ACTIVE or item.connected or _rule(s, item) is None:
        return 0
    return found.until_ms


def not_come(s: State, number: int) -> list[Event]:
    """They did not come in time. Nobody spoke with them, so nobody documents it."""
    item, found = s.interactions[number], s.summons[number]
    rule = _rule(s, item)
    assert rule is not None, "it is due by the rule of its channel"
    then = rule.no_show
    if then.do == "move" and then.queue is not None and then.queue != item.queue:
        return [e.Transferred(number, then.queue, None, item.owner, "", NO_SHOW)]
    if then.do == "keep" and found.missed + 1 < rule.no_show_times:
        return [e.Requeued(number, NO_SHOW, item.owner, passed_over=True)]
    return [e.InteractionEnded(number, NO_SHOW, item.owner, told=then.message)]


# --- what it changes (called by `evolve` alone) -----------------------------------------------------------------------


def called(s: State, ev: e.CustomerCalled, at_ms: int) -> None:
    before = s.summons.get(ev.interaction)
    s.summons[ev.interaction] = Summons(ev.interaction, ev.until_ms, ev.calls, before.missed if before else 0)
    if ev.until_ms:
        heappush(s.timers, (ev.until_ms, SHOW_DUE, ev.interaction, ""))
    s.agents[ev.agent].stream += 1


def missed(s: State, ev: e.Requeued) -> None:
    found = s.summons.get(ev.interaction)
    if found is not None and ev.reason == NO_SHOW:
        found.missed += 1
