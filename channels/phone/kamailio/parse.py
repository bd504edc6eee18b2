"""`POST /v1/phone/NAME/events` with `Authorization: Bearer SECRET`: what a Kamailio gateway tells, to a `CallEvent`.

    {"event": "offered", "call_id": "1-42@127.0.0.1", "code": 182, "from": "caller1", "to": "support",
     "at": "1795337358.410396"}

    event          becomes          because
    offered        incoming
    waiting        alive            sent each while as long as the call waits, rings or lasts
    ringing        alive            an agent's telephone rings
    parked         alive            back in line because we said so
    answered       answered
    agent_failed   connect_failed   `code` says why: 408 no answer, 486 busy, 503 unreachable
    ended          ended
    rejected       ended            we refused or ended it before anybody answered
    expired        ended            the gateway could not let it wait any longer
    abandoned      abandoned

The configuration language of Kamailio has no HMAC, so a request is not signed: it carries a token, and belongs on
loopback or a private network.

There is no event id. An event that is delivered again is the same bytes, and no two events are, since `at` is in
microseconds: the digest of the body is its id.

`target` is the telephone that was tried, `order` the key of the order that had it tried.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from channels.phone.calls import CallEvent, EventType
from channels.phone.request import Raw
from channels.phone.settings import Gateway
from router.errors import BadMessage, TooLarge, Unauthenticated

PATHS = ("events",)

Told = Literal[
    "offered",
    "waiting",
    "ringing",
    "parked",
    "answered",
    "agent_failed",
    "ended",
    "rejected",
    "expired",
    "abandoned",
]
_MEANS: dict[Told, EventType] = {
    "offered": "incoming",
    "waiting": "alive",
    "ringing": "alive",
    "parked": "alive",
    "answered": "answered",
    "agent_failed": "connect_failed",
    "ended": "ended",
    "rejected": "ended",
    "expired": "ended",
    "abandoned": "abandoned",
}
# A Call-ID as `generic` takes it. What follows the `$` is for Python, where `$` also stands before a last line feed.
Id = Annotated[str, Meta(pattern=r"^[\x21-\x7e]{1,255}$(?!\n)")]

_REASONS = {404: "unknown", 408: "no-answer", 480: "unreachable", 486: "busy", 487: "cancelled", 503: "unreachable"}
_SCHEME = "bearer "


class Event(Struct, frozen=True, kw_only=True):
    """The body of a request."""

    event: Told
    call_id: Id
    code: int = 0
    sender: str = field(name="from", default="")
    recipient: str = field(name="to", default="")
    at: Annotated[str, Meta(pattern=r"^([0-9]{1,12}(\.[0-9]{1,9})?)?$")] = ""  # Unix seconds
    target: str = ""
    order: str = ""


_decode = msgspec.json.Decoder(Event).decode


def verify(raw: Raw, gateway: Gateway, now_ms: int) -> None:
    """Raises Unauthenticated."""
    given = raw.headers.get("Authorization", "")
    if given[: len(_SCHEME)].lower() != _SCHEME:
        raise Unauthenticated("send Authorization: Bearer with the secret of this gateway")
    token, good = given[len(_SCHEME) :].encode("utf-8", "surrogateescape"), False
    for secret in gateway.secrets:  # no short cut: the time this takes does not tell which secret was right
        good |= hmac.compare_digest(secret.encode(), token)
    if not good:
        raise Unauthenticated("the bearer token is none of this gateway's secrets")


def parse(raw: Raw, gateway: Gateway) -> CallEvent:
    """Raises BadMessage for what is not understood, TooLarge for what is over a limit of this gateway."""
    try:
        event = _decode(raw.body)
    except msgspec.ValidationError as problem:
        raise BadMessage(str(problem)) from problem
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadMessage("the body is not JSON that can be read") from problem
    longest = max(map(len, (event.sender, event.recipient, event.target, event.order)))
    if longest > gateway.max_text:
        raise TooLarge(f"a text has {longest} characters; at most {gateway.max_text} are taken here")
    failed = event.event == "agent_failed"
    return CallEvent(
        event_id=sha256(raw.body).hexdigest()[:32],
        call_id=event.call_id,
        type=_MEANS[event.event],
        sender=event.sender,
        recipient=event.recipient,
        at_ms=int(float(event.at) * 1_000) if event.at else None,
        reason=_REASONS.get(event.code, f"sip-{event.code}") if failed else "",
        order=event.order,
    )
