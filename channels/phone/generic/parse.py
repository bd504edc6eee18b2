"""`POST /v1/phone/NAME/events`: signed bytes to a `CallEvent`.

    {"event_id": "7f3a", "call_id": "b2c1@pbx", "type": "incoming", "from": "+493012345678", "to": "+15550100",
     "at": "2026-11-22T10:00:00Z", "attributes": {"language": "de", "vip": true}}

- `event_id` and `call_id` are printable ASCII without spaces, at most 255 characters. The same `event_id` is the same
  event for seven days, whatever else the request holds.
- `at` is RFC 3339 text with its zone, or a number of Unix seconds; from 100,000,000,000 on (the year 5138) it is
  taken for milliseconds. Left out: when it arrives here.
- `attributes` are texts, numbers or booleans; the latter two become text, a null is left out. `name`, `language` and
  `subject` also become those of the interaction.
- `dtmf` has what was pressed in `attributes.digits` (0-9, A-D, *, #); what failed may say why in `attributes.reason`;
  a `recording` has `attributes.url` and may have `attributes.seconds`; a `callback` may have `attributes.number` and
  `attributes.first`.
- Fields of other names are left to later versions.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from channels.phone import signature
from channels.phone.calls import CallEvent, EventType
from channels.phone.request import Raw
from channels.phone.settings import Gateway
from router.errors import BadMessage, TooLarge

PATHS = ("events",)
FAILED: frozenset[EventType] = frozenset({"connect_failed", "consult_failed", "call_failed"})

# SIP lets a Call-ID be of any length; 255 is what switches keep of it. The pattern is for the reference: to look at
# characters is done by `_is_id` at a fifth of what it costs.
Id = Annotated[str, Meta(extra_json_schema={"pattern": r"^[\x21-\x7e]{1,255}$"})]
_ID_MAX = 255

_DIGITS = re.compile(r"[0-9A-D*#]{1,64}")
_NUMBERS_ARE_MS_FROM = 100_000_000_000


class Event(Struct, frozen=True, kw_only=True):
    """The body of a request."""

    event_id: Id
    call_id: Id
    type: EventType
    sender: str = field(name="from", default="")
    recipient: str = field(name="to", default="")
    at: Annotated[datetime, Meta(tz=True)] | float | None = None
    attributes: dict[str, str | int | float | bool | None] = {}


_decode = msgspec.json.Decoder(Event).decode


def verify(raw: Raw, gateway: Gateway, now_ms: int) -> None:
    """Raises Unauthenticated."""
    header = raw.headers.get(signature.HEADER, "")
    signature.verify(header, raw.body, gateway.secrets, now_ms / 1_000, gateway.tolerance / 1_000)


def parse(raw: Raw, gateway: Gateway) -> CallEvent:
    """Raises BadMessage for what is not understood, TooLarge for what is over a limit of this gateway."""
    try:
        event = _decode(raw.body)
    except msgspec.ValidationError as problem:
        raise BadMessage(str(problem)) from problem
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadMessage("the body is not JSON that can be read") from problem
    if not (_is_id(event.event_id) and _is_id(event.call_id)):
        raise BadMessage(f"event_id and call_id: expected 1 to {_ID_MAX} printable ASCII characters without spaces")
    attributes = _texts(event.attributes)
    if len(attributes) > gateway.max_attributes:
        raise TooLarge(f"{len(attributes)} attributes; at most {gateway.max_attributes} are taken here")
    if len(raw.body) > gateway.max_text:  # otherwise no text within it is longer
        _check_lengths(event, attributes, gateway.max_text)
    return CallEvent(
        event_id=event.event_id,
        call_id=event.call_id,
        type=event.type,
        sender=event.sender,
        recipient=event.recipient,
        at_ms=_milliseconds(event.at) if event.at is not None else None,
        attributes=attributes,
        digits=_digits(attributes) if event.type == "dtmf" else "",
        reason=attributes.get("reason", "") if event.type in FAILED else "",
    )


def _is_id(text: str) -> bool:
    return 0 < len(text) <= _ID_MAX and text.isascii() and text.isprintable() and " " not in text


def _texts(attributes: dict[str, str | int | float | bool | None]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else _text(value)
        for name, value in attributes.items()
        if value is not None
    }


def _text(value: float | bool) -> str:
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


def _check_lengths(event: Event, attributes: dict[str, str], most: int) -> None:
    longest = max(map(len, (event.sender, event.recipient, *attributes, *attributes.values())))
    if longest > most:
        raise TooLarge(f"a text has {longest} characters; at most {most} are taken here")


def _milliseconds(at: datetime | float) -> int:
    """Unix milliseconds. Far beyond any time it is cut off, since what follows only compares."""
    if isinstance(at, datetime):
        return int(at.timestamp() * 1_000)
    if 0 <= at < _NUMBERS_ARE_MS_FROM:  # seconds, as nearly everybody gives them
        return int(at * 1_000)
    at_ms = at if abs(at) >= _NUMBERS_ARE_MS_FROM else at * 1_000
    return int(max(0.0, min(at_ms, 1e15)))


def _digits(attributes: dict[str, str]) -> str:
    digits = attributes.get("digits", "").upper()
    if not _DIGITS.fullmatch(digits):
        raise BadMessage("a dtmf has one to 64 of 0-9, A-D, * and # in attributes.digits")
    return digits
