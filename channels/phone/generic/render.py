"""What we say to a generic gateway: the answer to an event, and an order.

Answer:  {"interaction": "i-12", "action": {"type": "queue"}}
         {"interaction": null, "action": {"type": "reject", "reason": "no-route"}}
         {"interaction": "i-13", "action": {"type": "reject", "reason": "out-of-hours", "message": "We open at eight."}}
         {"interaction": "i-14", "action": {"type": "offer_callback", "message": "Press 1 ...", "digit": "1"}}
         {"interaction": null, "action": {"type": "none"}}

It is the decision on that event, and a repeated event gets the same bytes. Positions and waiting times are not in it,
because they change; `interaction` is null where the event changed nothing: its call is over, or was never told of.

Order:   POST to the control address, signed as the gateway signs, with `Idempotency-Key: sb-17`. The key stands in
         the body too, where the signature covers it.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from channels.phone import signature
from channels.phone.calls import CallEvent, Order, Outcome
from channels.phone.request import Answer, Control, Site
from router.engine.views import interaction_id

_encode = msgspec.json.Encoder().encode

# What nearly every caller's beginning is answered, as `answer` would encode it.
_QUEUE = b'{"interaction":"i-%d","action":{"type":"queue"}}'

# A caller who is gone cannot be hung up on: that is what was wanted.
_NO_SUCH_CALL = frozenset({404, 410})


class Action(Struct, frozen=True, omit_defaults=True):
    type: Literal["queue", "offer_callback", "call_back", "reject", "none"]
    reason: str = ""
    message: str = ""  # what a caller is to be told who is rejected, or asked whether to call them back
    digit: str = ""  # which they press for it


class Answered(Struct, frozen=True):
    """The body of an answer."""

    interaction: str | None
    action: Action


def answer(outcome: Outcome, event: CallEvent, site: Site) -> Answer:
    if outcome.action == "queue":
        return Answer(_QUEUE % outcome.interaction)
    number = outcome.interaction
    named = interaction_id(number) if number else None
    digit = site.gateway.callback_digit if outcome.action == "offer_callback" else ""
    return Answer(_encode(Answered(named, Action(outcome.action, outcome.reason, outcome.say, digit))))


def control(order: Order, site: Site, now_ms: int) -> Control:
    """Only the signature differs between two tries."""
    body, gateway = _encode(order), site.gateway
    return Control(
        url=gateway.control_url,
        headers={
            "Content-Type": "application/json",
            "Idempotency-Key": order.id,
            signature.HEADER: signature.sign(gateway.secrets, body, now_ms // 1_000),
        },
        body=body,
        done_already=_NO_SUCH_CALL if order.action == "hangup" else frozenset(),
    )
