"""What we say to a Kamailio gateway: commands to its control address, with its own token.

    {"call_id": "...", "action": "connect", "target": "sip:ana@10.0.0.7"}
    {"call_id": "...", "action": "progress", "text": "Queued; position 3; expected wait 40 s"}
    {"call_id": "...", "action": "reject"}                                  a caller whom nobody has
    {"call_id": "...", "action": "hangup"}                                  a caller whom an agent has
    {"call_id": "...", "action": "queue"}                                   the agent's telephone stops ringing
    {"call_id": "...", "action": "transfer", "target": "sip:+4930123@..."}

The gateway answers 202 done, 409 not possible now, 410 no such call, 422 not possible at all. It keeps the
`Idempotency-Key` of what it did, and answers a repetition 202 without doing it again.

A proxy cannot hold: there is no order for it.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from channels.phone.calls import CallEvent, Order, Outcome, Verb
from channels.phone.request import Answer, Control, Site
from channels.phone.settings import Gateway
from router.engine.views import Estimate, interaction_id
from router.service.ports import DeliveryFailed

ORDERS: frozenset[Verb] = frozenset({"connect", "hangup", "queue", "transfer"})

_encode = msgspec.json.Encoder().encode

# Whoever is not there any more need not be hung up on; whoever is not waiting any more need not be refused.
_GONE = frozenset({404, 410})
_NOT_WAITING = frozenset({404, 409, 410})


class Command(Struct, frozen=True, omit_defaults=True):
    """The body of a command."""

    call_id: str
    action: Literal["connect", "progress", "reject", "hangup", "queue", "transfer"]
    target: str = ""
    text: str = ""


class Answered(Struct, frozen=True):
    """The body of an answer; a gateway need not read it."""

    interaction: str | None
    action: Literal["queue", "reject", "none"]


def answer(outcome: Outcome, event: CallEvent, site: Site) -> Answer:
    named = interaction_id(outcome.interaction) if outcome.interaction else None
    action = outcome.action
    # It cannot ask anybody anything, so nothing else is ever decided for it.
    assert action != "offer_callback" and action != "call_back", "such a gateway is not asked to"  # noqa: PT018
    return Answer(_encode(Answered(named, action)))


def control(order: Order, site: Site, now_ms: int) -> Control:
    """Raises DeliveryFailed where there is nowhere to connect to."""
    gateway = site.gateway
    match order.action:
        case "connect" | "transfer":
            _demand_telephone(order)
            return _command(Command(order.call_id, order.action, order.endpoint), gateway, order.id)
        case "hangup":
            if order.agent:
                return _command(Command(order.call_id, "hangup"), gateway, order.id, _GONE)
            return _command(Command(order.call_id, "reject"), gateway, order.id, _NOT_WAITING)
        case _:
            return _command(Command(order.call_id, "queue"), gateway, order.id)


def progress(call_id: str, at: Estimate, site: Site) -> Control:
    """Where a caller stands, in the reason phrase of a SIP response: ASCII, and no comma or quote to be escaped."""
    text = f"Queued; position {at.position}"
    if at.expected_wait_s is not None:
        text += f"; expected wait {at.expected_wait_s} s"
    return _command(Command(call_id, "progress", text=text), site.gateway)


def _demand_telephone(order: Order) -> None:
    if not order.endpoint.startswith(("sip:", "sips:")):
        problem = f"agent {order.agent} has no SIP telephone: set agents.{order.agent}.endpoint to a sip: address"
        if order.action == "transfer":
            problem = "a call can be transferred to a sip: address only"
        raise DeliveryFailed(problem, final=True)


def _command(command: Command, gateway: Gateway, key: str = "", done: frozenset[int] = frozenset()) -> Control:
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {gateway.control_token or gateway.secrets[0]}",
    }
    if key:
        headers["Idempotency-Key"] = key
    return Control(url=gateway.control_url, headers=headers, body=_encode(command), done_already=done)
