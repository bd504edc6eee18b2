"""`POST /v1/kiosk/checkins`: the bytes of a check-in to the command that asks for it.

    {"topic": "support", "name": "Ana", "language": "es", "phone": "+15550100"}

Only the topic is needed, or the code of an appointment (`appointments`), which then says it. A telephone number that
is certain makes the visitor one customer with whoever calls from it (IN-6); one that is not certain is kept as typed,
for the agent. Fields of other names are refused: a kiosk that misspells `phone` would lose every number in silence.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
import phonenumbers
from msgspec import Meta, Struct

from channels.kiosk.settings import Settings
from router.engine.commands import Arrive, Preference, Ticket
from router.errors import BadMessage

CHANNEL = "walkin"

_KEY = re.compile(r"[\x21-\x7e]{1,128}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


class CheckIn(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a check-in."""

    topic: Annotated[str, Meta(max_length=100)] = ""  # may be left out where there is a code
    name: str = ""
    language: Annotated[str, Meta(pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3})?$(?!\n)")] = ""
    phone: Annotated[str, Meta(max_length=64)] = ""
    code: Annotated[str, Meta(max_length=64)] = ""  # of an appointment, which then says the rest
    site: Annotated[str, Meta(max_length=64)] = ""  # of the kiosk


class Booked(Struct, frozen=True):
    """What an appointment adds to a visit."""

    agent: str
    attributes: dict[str, str]


_decode = msgspec.json.Decoder(CheckIn).decode


def parse(body: bytes, settings: Settings) -> CheckIn:
    """Raises BadMessage."""
    try:
        check_in = _decode(body)
    except msgspec.ValidationError as problem:
        raise BadMessage(str(problem)) from problem
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadMessage("the body is not JSON that can be read") from problem
    if not (check_in.topic or check_in.code):
        raise BadMessage("topic: what it is about, or the code of an appointment")
    if (check_in.site or settings.sites) and check_in.site not in settings.sites:
        raise BadMessage(f"site: one of {', '.join(settings.sites) or 'none: leave it out'}")
    if check_in.phone.strip() and not any(c.isdigit() for c in check_in.phone):
        raise BadMessage("phone: a telephone number has digits; leave it out where there is none", field="phone")
    if len(check_in.name) > settings.max_name:
        raise BadMessage(f"the name has {len(check_in.name)} characters; at most {settings.max_name} are taken here")
    return check_in


def parse_key(header: str) -> str:
    """The idempotency key of a request, "" if it has none. Raises BadMessage."""
    if header and not _KEY.fullmatch(header):
        raise BadMessage("an Idempotency-Key is 1 to 128 printable ASCII characters without spaces")
    return header


def arrival(check_in: CheckIn, reference: str, settings: Settings, now_ms: int, booked: Booked | None = None) -> Arrive:
    """The visit called `reference`: the same reference is the same visit, however often it is sent."""
    number = e164(check_in.phone, settings.country)
    own = f"kiosk:{reference}"
    return Arrive(
        key=own,
        channel=CHANNEL,
        threads=(own,),
        identities=(*((f"tel:{number}",) if number else ()), f"ref:kiosk-{reference}"),
        sender=number,
        recipient=check_in.topic,
        name=one_line(check_in.name),
        subject=check_in.topic,
        language=check_in.language,
        attributes={
            **({"phone": one_line(check_in.phone)} if check_in.phone.strip() and not number else {}),
            **({"site": check_in.site} if check_in.site else {}),
            **(booked.attributes if booked is not None else {}),
        },
        prefer=Preference(agents=(booked.agent,)) if booked is not None and booked.agent else None,
        received_at_ms=now_ms,
        ticket=Ticket(attribute="ticket", prefix=settings.prefix_of(check_in.site), letters=settings.ticket_letters),
    )


def one_line(text: str) -> str:
    """Without control characters and marks that turn the direction of writing; spaces as a person would type them."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def e164(text: str, country: str) -> str:
    """`text` as E.164, or "" where it is no whole number. `country` is a region code ("DE") or ""."""
    try:
        number = phonenumbers.parse(text, country or None)
    except phonenumbers.NumberParseException:
        return ""
    reason = phonenumbers.is_possible_number_with_reason(number)
    whole = reason == phonenumbers.ValidationResult.IS_POSSIBLE
    # Written with its country a short number is somebody's; without, it is another person's in every town.
    short = reason == phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY and text.strip().startswith("+")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if whole or short else ""
