"""Decide which facts a command makes true.

Rule 1: a decision depends on (state, command, now_ms) and nothing else.
Rule 2: deciding changes nothing; only `evolve` writes to State.
Rule 3: what cannot be is refused with a ClientError before anything is decided, so a command takes effect wholly or
not.

Commands are decided in three modules by who speaks: `intake` (channels), `work` (agents and operators on interactions),
`presence` (agents' sessions and states, and what follows from facts by policy). Matching is not decided by any command:
after the facts of any command the engine offers whatever can be offered (`matching`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from router.engine import (
    automatic,
    callbacks,
    config,
    consult,
    copies,
    customers,
    enrich,
    intake,
    partition,
    presence,
    showing,
    work,
)
from router.engine import commands as c
from router.engine import events as e
from router.engine.capacity import CHANNELS_MAX
from router.engine.entities import Turn
from router.engine.events import Event
from router.engine.model import State
from router.engine.plan import Plan, check_config
from router.engine.transitions import CLOSED
from router.errors import BadMessage, ConfigError, IllegalMove, NotFound


def decide(state: State, plan: Plan, command: c.AnyCommand, now_ms: int) -> list[Event]:
    """The facts that this command makes true, in order; empty if it changes nothing. Raises ClientError."""
    if type(command) is c.Arrive:
        return intake.arrive(state, plan, command, now_ms)
    rule = DECIDE.get(type(command))
    if rule is not None:
        return rule(state, command, now_ms)
    return WITH_PLAN[type(command)](state, plan, command, now_ms)


def configure(s: State, ask: c.Configure, now_ms: int) -> list[Event]:
    """Refuses a configuration that is wrong in itself, or that would leave work without a home."""
    try:
        new = config.from_bytes(ask.document)
    except (msgspec.MsgspecError, RecursionError) as error:  # the latter for a requirement nested without end
        raise ConfigError("config", "a configuration document", str(error)) from error
    check_config(new)
    if ask.document == s.document:
        return []
    for name, queue in s.queues.items():
        if name not in new.queues and (queue.waiting or queue.offered or queue.active):
            count = queue.waiting + queue.offered + queue.active
            raise IllegalMove(
                f"queues.{name}: still has {count} interactions; put it back until they are moved or over"
            )
    if len({*s.channels, *new.channels}) > CHANNELS_MAX:
        most = f"at most {CHANNELS_MAX} names of channels over the life of a journal"
        raise ConfigError("channels", most, f"{len({*s.channels, *new.channels})}; use former names again")
    for channel in {item.born.channel for item in s.interactions.values() if item.state != CLOSED}:
        if channel not in new.channels:
            raise IllegalMove(f"channels.{channel}: still has open interactions; put it back until they are over")
    return [e.Configured(s.version + 1, ask.document, ask.by)]


def _calendar(s: State, name: str) -> Turn:
    if name not in s.hours:
        raise NotFound(f"there is no calendar {name[:64]!r}; known: {', '.join(s.hours) or 'none'}")
    return s.turns.get(name) or Turn()


def close_calendar(s: State, ask: c.CloseCalendar, now_ms: int) -> list[Event]:
    turn = _calendar(s, ask.calendar)
    if ask.until_ms and not now_ms < ask.until_ms <= now_ms + config.LONGEST_MS:
        raise BadMessage("until_ms: must lie in the future, at most ten years ahead; leave it out to end it by hand")
    if turn.emergency and turn.until_ms == ask.until_ms:
        return []
    return [e.EmergencyDeclared(ask.calendar, ask.until_ms, ask.by, ask.why)]


def open_calendar(s: State, ask: c.OpenCalendar, now_ms: int) -> list[Event]:
    return [e.EmergencyEnded(ask.calendar, ask.by, ask.why)] if _calendar(s, ask.calendar).emergency else []


def restart(s: State, ask: c.Restart, now_ms: int) -> list[Event]:
    return [e.Restarted()] if s.seq else []


def _letter(s: State, number: int) -> None:
    if number not in s.outbound and number not in s.dead:
        raise NotFound(f"nothing to be delivered has the number {number}")


def settle_outbound(s: State, ask: c.SettleOutbound, now_ms: int) -> list[Event]:
    _letter(s, ask.outbound)
    return [e.OutboundSettled(ask.outbound, "discarded" if ask.discard else "delivered", ask.by)]


def fail_outbound(s: State, ask: c.FailOutbound, now_ms: int) -> list[Event]:
    _letter(s, ask.outbound)
    letter = s.outbound.get(ask.outbound)
    if letter is None:
        return []
    return [e.OutboundFailed(ask.outbound, ask.error), *automatic.unanswered(s, letter, ask.error, now_ms)]


def retry_outbound(s: State, ask: c.RetryOutbound, now_ms: int) -> list[Event]:
    _letter(s, ask.outbound)
    return [e.OutboundRetried(ask.outbound, ask.by)] if ask.outbound in s.dead else []


DECIDE: dict[type[c.Command], Callable[[State, Any, int], list[Event]]] = {
    c.Append: intake.append,
    c.Remark: intake.remark,
    c.Renew: intake.renew,
    c.ConfirmConnection: intake.confirm_connection,
    c.FailConnection: intake.fail_connection,
    c.Leave: intake.leave,
    c.SendCopy: copies.send,
    c.OpenSession: presence.open_session,
    c.CloseSession: presence.close_session,
    c.SetState: presence.set_state,
    c.Announce: presence.announce,
    c.Accept: work.accept,
    c.Decline: work.decline,
    c.Say: work.say,
    c.Note: work.note,
    c.Hold: work.hold,
    c.Resume: work.resume,
    c.Complete: work.complete,
    c.FinishWrapUp: work.finish_wrap_up,
    c.ExtendWrapUp: work.extend_wrap_up,
    c.Pick: work.pick,
    c.Transfer: work.transfer,
    c.Consult: consult.start,
    c.JoinConsult: consult.join,
    c.CompleteConsult: consult.complete,
    c.EndConsult: consult.end,
    c.ConfirmConsult: consult.confirm,
    c.FailConsult: consult.fail,
    c.RequestCallback: callbacks.request,
    c.CancelCallback: callbacks.cancel,
    c.FailCall: callbacks.fail,
    c.Recall: showing.recall,
    c.MeetCustomer: showing.meet,
    c.MergeCustomers: customers.merge,
    c.DescribeCustomer: customers.describe,
    c.SplitCustomer: customers.split,
    c.Requeue: work.requeue,
    c.Assign: work.assign,
    c.Close: work.close,
    c.Reprioritise: work.reprioritise,
    c.Relax: work.relax,
    c.Configure: configure,
    c.CloseCalendar: close_calendar,
    c.OpenCalendar: open_calendar,
    c.GiveLead: partition.give,
    c.Restart: restart,
    c.AssignNumbers: partition.assign,
    c.Tick: lambda s, ask, now_ms: [],
    c.SettleOutbound: settle_outbound,
    c.FailOutbound: fail_outbound,
    c.RetryOutbound: retry_outbound,
}
# What the routing plan is asked about.
WITH_PLAN: dict[type[c.Command], Callable[[State, Plan, Any, int], list[Event]]] = {c.Enrich: enrich.enrich}
