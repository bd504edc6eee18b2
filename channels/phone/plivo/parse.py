"""`POST /v1/phone/NAME/{answer,wait,connect,dial,leg,hangup}`: Plivo's signed forms to a `CallEvent`.

    answer   a call comes in                                             incoming
    wait     the caller is in line and hears what we answer              waiting
    connect  the call was moved here to be connected                     waiting
             one of its legs was moved here, into a multiparty call      alive
    dial     the agent's telephone is done (DialStatus): completed       ended
             busy, failed, timeout, no-answer, cancel                    connect_failed
    leg      of the agent's telephone (DialAction): answer, connected    answered
             anything else                                               alive
    hangup   the call is over                                            ended

`X-Plivo-Signature-V3`: the base64 of the HMAC-SHA256 of the public address, its query and the form, both sorted and
decoded, and `X-Plivo-Signature-V3-Nonce`; several may stand there with commas between. The query is signed, so what we
write into an address is believed when it comes back. Nothing says when it was signed: a repetition is told by its key.

Plivo writes numbers without their "+".
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Struct

from channels.phone.calls import CallEvent, EventType
from channels.phone.forms import Form, fields, query_of
from channels.phone.request import Raw
from channels.phone.settings import Gateway
from router.errors import BadMessage, TooLarge, Unauthenticated

PATHS = ("answer", "wait", "connect", "dial", "leg", "hangup")
HEADER = "X-Plivo-Signature-V3"
NONCE = "X-Plivo-Signature-V3-Nonce"

_UUID = re.compile(r"[A-Za-z0-9-]{2,64}", re.ASCII)
_ORDER = re.compile(r"sb-[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{6,14}", re.ASCII)
_FAILED = frozenset({"busy", "failed", "timeout", "no-answer", "cancel"})
_TYPES: dict[str, EventType] = {
    "answer": "incoming",
    "wait": "waiting",
    "connect": "waiting",
    "leg": "alive",
    "hangup": "ended",
}
_ROOMS = frozenset({"caller", "agent"})  # whose leg was moved into a multiparty call
_OURS = frozenset({"order", "to", "last", "room", "call", "DialStatus"})  # in the query, and no attributes


class Told(Struct, frozen=True, kw_only=True):
    """The fields of a request that are read. There are others, which only count for the signature."""

    CallUUID: str
    From: str = ""
    To: str = ""
    CallerName: str = ""
    DialStatus: str = ""
    DialAction: str = ""
    DialBLegUUID: str = ""
    order: str = ""  # ours, from the query
    to: str = ""
    last: str = ""
    room: str = ""
    call: str = ""


def sign(secret: str, url: str, form: Mapping[str, Sequence[str]], nonce: str) -> str:
    at = urlsplit(url)
    # As their own library reads a query: byte by byte.
    query = parse_qs(at.query, keep_blank_values=True, encoding="latin-1")
    pairs = "&".join(f"{name}={value}" for name in sorted(query) for value in sorted(query[name]))
    text = f"{at.scheme}://{at.netloc}{at.path}"
    text += f"?{pairs}" if pairs or form else ""
    text += "." if pairs and form else ""
    text += "".join(name + value for name in sorted(form) for value in sorted(form[name]))
    mac = hmac.digest(secret.encode(), f"{text}.{nonce}".encode("utf-8", "surrogatepass"), "sha256")
    return b64encode(mac).decode()


def verify(raw: Raw, gateway: Gateway, now_ms: int) -> None:
    """Raises Unauthenticated."""
    given = raw.headers.get(HEADER, "").encode("utf-8", "surrogateescape").split(b",")[:8]
    nonce = raw.headers.get(NONCE, "")
    url = gateway.public_url.rstrip("/") + raw.target
    try:
        form = fields(raw.body, gateway)
        expected = [sign(secret, url, form, nonce).encode() for secret in gateway.secrets]
    except (BadMessage, TooLarge, ValueError):
        expected = []
    good = False
    for ours in expected:
        for theirs in given:  # no short cut: the time this takes does not tell which secret was right
            good |= hmac.compare_digest(ours, theirs)
    if not good:
        raise Unauthenticated(f"{HEADER} does not match the secret, the form and the public address")


def parse(raw: Raw, gateway: Gateway) -> CallEvent:
    """Raises BadMessage for what is not understood, TooLarge for what is over a limit of this gateway."""
    query, form = query_of(raw.target, gateway), fields(raw.body, gateway)
    if not _UUID.fullmatch(form.get("CallUUID", [""])[0]):
        raise BadMessage("CallUUID: expected the letters, digits and hyphens that name a call")
    told = msgspec.convert({name: values[0] for name, values in (query | form).items()}, Told)
    type_ = _type_of(raw.path, told)
    room = told.room if raw.path == "connect" and told.room in _ROOMS else ""
    call = told.call if room == "agent" else told.CallUUID
    if not _UUID.fullmatch(call):
        raise BadMessage("call: expected the letters, digits and hyphens that name a call")
    return CallEvent(
        event_id=":".join(_key(raw.path, told)),
        call_id=call,
        type="alive" if room else type_,
        sender=_number(told.From),
        recipient=_number(told.To),
        attributes=_attributes(query, told) if type_ == "incoming" else {},
        reason=told.DialStatus if type_ == "connect_failed" else "",
        path=raw.path,
        order=told.order if _ORDER.fullmatch(told.order) and raw.path in ("connect", "dial", "leg") else "",
        target=told.to if raw.path == "connect" else "",
        is_last=raw.path == "connect" and told.last == "1",
        parted=(type_ == "ended" and raw.path == "dial") or room == "caller",
        room=room,
    )


def _type_of(path: str, told: Told) -> EventType:
    if path == "dial":
        return "connect_failed" if told.DialStatus in _FAILED else "ended" if told.DialStatus else "waiting"
    if path == "leg" and told.DialAction in ("answer", "connected"):
        return "answered"
    return _TYPES[path]


def _key(path: str, told: Told) -> tuple[str, ...]:
    if path == "dial":
        return told.CallUUID, path, told.order or told.DialBLegUUID, told.DialStatus
    if path == "leg":
        return told.CallUUID, path, told.order or told.DialBLegUUID, "connected"
    return told.CallUUID, path


def _number(text: str) -> str:
    return f"+{text}" if _NUMBER.fullmatch(text) else text


def _attributes(query: Form, told: Told) -> dict[str, str]:
    named = {"name": told.CallerName} if told.CallerName else {}
    return {name: values[0] for name, values in query.items() if name not in _OURS} | named
