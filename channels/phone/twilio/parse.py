"""`POST /v1/phone/NAME/{voice,wait,status,dial,recording}`: Twilio's signed forms to a `CallEvent`.

    voice    a call comes in                                       incoming
    wait     the caller is in line and hears what we answer        waiting
    status   of the call itself: over                              ended
             of the leg to an agent (ParentCallSid): in-progress   answered
             anything else                                         alive
             of the leg to who is consulted (`call`): in-progress  consult_answered
             over                                                  consult_failed
    dial     after waiting (QueueResult): hangup                   abandoned
             after an agent's telephone (DialCallStatus):
                 completed                                         ended, or parted by us
                 busy, no-answer, failed, canceled                 connect_failed
             anything else                                         waiting
    recording  a conversation was recorded                         recording

They come in any order and more than once, so keys are made of what they say: of a call's sid, the leg and its state.
`I-Twilio-Idempotency-Token`, which is the same on every try of one request, tells apart what has no better name.

What an operator writes into the query of the voice address becomes attributes of the interaction: a menu at Twilio
redirects to `voice?language=es`.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from channels.phone.calls import CallEvent, EventType
from channels.phone.forms import Form, fields, query_of
from channels.phone.request import Raw
from channels.phone.settings import Gateway
from channels.phone.twilio import signature
from router.errors import BadMessage, TooLarge

PATHS = ("voice", "wait", "status", "dial", "recording")
TOKEN = "I-Twilio-Idempotency-Token"  # noqa: S105 - the name of a header

_SID = re.compile(r"[A-Za-z0-9]{2,64}", re.ASCII)
_ORDER = re.compile(r"sb-[0-9]{1,18}", re.ASCII)
_OVER = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
_FAILED = frozenset({"busy", "failed", "no-answer", "canceled"})
# What Twilio says of a caller beside the number, and what we call it.
_TOLD = {
    "CallerName": "name",
    "ForwardedFrom": "forwarded_from",
    "FromCity": "from_city",
    "FromState": "from_state",
    "FromZip": "from_zip",
    "FromCountry": "from_country",
    "StirVerstat": "stir_verstat",
    "Digits": "digits",
}


class Told(Struct, frozen=True, kw_only=True):
    """The fields of a request that are read. There are others, which only count for the signature."""

    CallSid: str
    From: str = ""
    To: str = ""
    CallStatus: str = ""
    ParentCallSid: str = ""
    SequenceNumber: str = ""
    QueueSid: str = ""
    QueueResult: str = ""
    DialCallStatus: str = ""
    DialCallSid: str = ""
    RecordingSid: str = ""
    RecordingUrl: str = ""
    RecordingDuration: str = ""
    # Ours, from the query:
    order: str = ""
    asked: str = ""
    call: str = ""
    room: str = ""


def verify(raw: Raw, gateway: Gateway, now_ms: int) -> None:
    """Raises Unauthenticated. Nothing in a request says when it was signed: a repetition is told by its key."""
    url = gateway.public_url.rstrip("/") + raw.target
    header = raw.headers.get(signature.HEADER, "")
    try:
        form = fields(raw.body, gateway)
    except (BadMessage, TooLarge):
        form = {}  # then it is wrong as well
    digest = signature.digest_of(raw.headers.get(signature.SETTINGS, ""))
    signature.verify(header, url, form, raw.body, gateway.secrets, digest)


def parse(raw: Raw, gateway: Gateway) -> CallEvent:
    """Raises BadMessage for what is not understood, TooLarge for what is over a limit of this gateway."""
    query, form = query_of(raw.target, gateway), fields(raw.body, gateway)
    if not _SID.fullmatch(form.get("CallSid", [""])[0]):
        raise BadMessage("CallSid: expected the letters and digits that name a call")
    told = msgspec.convert({name: values[0] for name, values in (query | form).items()}, Told)
    call = (told.call or told.ParentCallSid or told.CallSid) if raw.path == "status" else told.CallSid
    if not _SID.fullmatch(call):
        raise BadMessage("ParentCallSid: expected the letters and digits that name a call")
    type_ = _type_of(raw.path, told)
    return CallEvent(
        event_id=":".join(_key(raw, told, call)),
        call_id=call,
        type=type_,
        sender=told.From,
        recipient=told.To,
        attributes=_attributes(query, form) if type_ == "incoming" else _recorded(told),
        reason=_reason(type_, told),
        order=told.order if _ORDER.fullmatch(told.order) and type_ in ("answered", "connect_failed") else "",
        asked=told.asked if _ORDER.fullmatch(told.asked) and raw.path == "status" else "",
        parted=type_ == "ended" and raw.path == "dial" and not told.room,
        path=raw.path,
    )


def _type_of(path: str, told: Told) -> EventType:
    if path == "voice":
        return "incoming"
    if path == "recording":
        return "recording"
    if path == "status":
        if told.call:
            if told.CallStatus in _OVER:
                return "consult_failed"
            return "consult_answered" if told.CallStatus == "in-progress" else "alive"
        if told.ParentCallSid:
            return "answered" if told.CallStatus == "in-progress" else "alive"
        return "ended" if told.CallStatus in _OVER else "alive"
    if path == "dial":
        if told.DialCallStatus in _FAILED:
            return "connect_failed"
        if told.DialCallStatus:
            return "ended"
        if told.QueueResult == "hangup":
            return "abandoned"
    return "waiting"


def _reason(type_: EventType, told: Told) -> str:
    if type_ == "consult_failed":
        return "left" if told.CallStatus == "completed" else told.CallStatus
    return told.DialCallStatus if type_ == "connect_failed" else ""


def _key(raw: Raw, told: Told, call: str) -> tuple[str, ...]:
    if raw.path == "status":
        return call, "status", told.CallSid, told.SequenceNumber, told.CallStatus
    if raw.path == "dial":
        leg = told.DialCallSid or told.order or raw.headers.get(TOKEN, "")[:100]
        return call, "dial", leg, told.DialCallStatus or told.QueueResult
    if raw.path == "recording":
        return call, raw.path, told.RecordingSid
    return call, raw.path


def _recorded(told: Told) -> dict[str, str]:
    return {"url": told.RecordingUrl, "seconds": told.RecordingDuration} if told.RecordingUrl else {}


def _attributes(query: Form, form: Form) -> dict[str, str]:
    said = {name: form[field][0] for field, name in _TOLD.items() if form.get(field, [""])[0]}
    return {name: values[0] for name, values in query.items()} | said
