"""What goes out: delivered, given up, tried again; and the copy of what was sent."""

from __future__ import annotations

from msgspec.structs import replace

from router.engine import events as e
from router.engine.entities import Copy
from router.engine.model import State
from router.engine.views import COPY, Outbound


def copy_asked(s: State, ev: e.CopyAsked, at_ms: int) -> None:
    s.copies[ev.interaction] = Copy(ev.interaction, ev.channel, ev.address, ev.sender)


def copy_due(s: State, ev: e.CopyDue, at_ms: int) -> None:
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


def outbound_settled(s: State, ev: e.OutboundSettled, at_ms: int) -> None:
    s.outbound.pop(ev.outbound, None)
    s.dead.pop(ev.outbound, None)


def outbound_failed(s: State, ev: e.OutboundFailed, at_ms: int) -> None:
    letter = s.outbound.pop(ev.outbound, None)
    if letter is not None:
        s.dead[ev.outbound] = replace(letter, error=ev.error)


def outbound_retried(s: State, ev: e.OutboundRetried, at_ms: int) -> None:
    letter = s.dead.pop(ev.outbound, None)
    if letter is not None:
        s.outbound[ev.outbound] = replace(letter, error="")
