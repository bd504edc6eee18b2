"""`POST /v1/phone/NAME/{call,wait,status,queue,dial}`: jambonz's signed JSON to a `CallEvent`.

    call     a call comes in                                                 incoming
    wait     the caller is in line and hears what we answer                  waiting
    status   of the call itself: over                                        ended
             of the leg to an agent (parent_call_sid): in-progress           answered
             anything else                                                   alive
    queue    queue_result hangup, or the account's queue hook: abandoned     abandoned
             anything else                                                   waiting
    dial     dial_call_status completed                                      ended
             busy, no-answer, failed                                         connect_failed
             none: the call was moved here to be connected                   waiting
             none: one of its legs was moved into a conference               alive
                   the caller is out of it again                             ended

Hooks come again when jambonz is told to repeat them (`#rc=`), and in any order: keys are made of what they say.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, field

from channels.phone import signature
from channels.phone.calls import CallEvent, EventType
from channels.phone.jambonz.seal import unseal
from channels.phone.request import Raw
from channels.phone.settings import Gateway
from router.errors import BadMessage, TooLarge

PATHS = ("call", "wait", "status", "queue", "dial")
HEADER = "Jambonz-Signature"

_SID = re.compile(r"[A-Za-z0-9-]{2,64}", re.ASCII)
_OVER = frozenset({"completed", "failed", "busy", "no-answer"})
_FAILED = frozenset({"failed", "busy", "no-answer"})


class Hook(Struct, frozen=True, kw_only=True):
    """The fields of a hook that are read."""

    call_sid: str
    parent_call_sid: str = ""
    sender: str = field(name="from", default="")
    recipient: str = field(name="to", default="")
    caller_name: str = ""
    call_status: str = ""
    queue_sid: str = ""
    queue_result: str = ""
    event: str = ""  # of the account's queue hook: join or leave
    leave_reason: str = field(name="leaveReason", default="")
    dial_call_status: str = ""
    dial_call_sid: str = ""
    env_vars: dict[str, str | int | float | bool | None] = {}  # what an operator set for the application


_decode = msgspec.json.Decoder(Hook).decode


def verify(raw: Raw, gateway: Gateway, now_ms: int) -> None:
    """Raises Unauthenticated."""
    header = raw.headers.get(HEADER, "")
    signature.verify(header, raw.body, gateway.secrets, now_ms / 1_000, gateway.tolerance / 1_000, HEADER)


def parse(raw: Raw, gateway: Gateway) -> CallEvent:
    """Raises BadMessage for what is not understood, TooLarge for what is over a limit of this gateway."""
    hook = _read(raw.body)
    call = (hook.parent_call_sid or hook.call_sid) if raw.path in ("status", "dial") else hook.call_sid
    if not (_SID.fullmatch(call) and _SID.fullmatch(hook.call_sid)):
        raise BadMessage("call_sid: expected the letters, digits and hyphens that name a call")
    ours = _sealed(raw, call, gateway)
    dialled = hook.dial_call_status or ours.get("dial_call_status", "")
    left = hook.queue_result or ours.get("queue_result", "")
    room = ours.get("room", "") if raw.path == "dial" else ""
    type_ = _type_of(raw.path, hook, dialled, left, room)
    attributes = _attributes(hook) if type_ == "incoming" else {}
    _check_size(hook, attributes, gateway)
    leg = hook.dial_call_sid or ours.get("dial_call_sid", "")
    parts = {
        "status": (hook.call_sid, hook.call_status),
        "queue": (hook.queue_sid, left or hook.leave_reason),
        "dial": (leg or ours.get("order", "") or room, dialled),
    }
    return CallEvent(
        event_id=":".join((call, raw.path, *parts.get(raw.path, ()))),
        call_id=call,
        type=type_,
        sender=hook.sender,
        recipient=hook.recipient,
        attributes=attributes,
        reason=dialled if type_ == "connect_failed" else "",
        path=raw.path,
        order=ours.get("order", ""),
        target="" if dialled else ours.get("to", ""),
        is_last=ours.get("last", "") == "1",
        parted=type_ == "ended" and raw.path == "dial" and not room,
        room=room,
    )


def _read(body: bytes) -> Hook:
    try:
        return _decode(body)
    except msgspec.ValidationError as problem:
        raise BadMessage(str(problem)) from problem
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadMessage("the body is not JSON that can be read") from problem


def _sealed(raw: Raw, call: str, gateway: Gateway) -> dict[str, str]:
    try:
        return unseal(urlsplit(raw.target).query, call, gateway.secrets)
    except ValueError as problem:
        raise BadMessage("the address cannot be read") from problem


def _type_of(path: str, hook: Hook, dialled: str, left: str, room: str) -> EventType:
    if path == "call":
        return "incoming"
    if room:
        return "ended" if room == "over" else "alive"
    if path == "status":
        if hook.parent_call_sid:
            return "answered" if hook.call_status == "in-progress" else "alive"
        return "ended" if hook.call_status in _OVER else "alive"
    if path == "queue" and (left == "hangup" or hook.leave_reason == "abandoned"):
        return "abandoned"
    if path == "dial" and dialled:
        return "connect_failed" if dialled in _FAILED else "ended" if dialled == "completed" else "alive"
    return "waiting"


def _attributes(hook: Hook) -> dict[str, str]:
    said = {name: _text(value) for name, value in hook.env_vars.items() if value is not None}
    return said | ({"name": hook.caller_name} if hook.caller_name else {})


def _text(value: str | float | bool) -> str:
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


def _check_size(hook: Hook, attributes: dict[str, str], gateway: Gateway) -> None:
    if len(attributes) > gateway.max_attributes:
        raise TooLarge(f"{len(attributes)} attributes; at most {gateway.max_attributes} are taken here")
    texts = (hook.sender, hook.recipient, hook.call_status, hook.queue_sid, *attributes, *attributes.values())
    longest = max(map(len, texts))
    if longest > gateway.max_text:
        raise TooLarge(f"a text has {longest} characters; at most {gateway.max_text} are taken here")
