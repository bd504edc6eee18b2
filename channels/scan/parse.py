"""From what lies in a folder to a command. Pure: bytes and names in, values out.

A sidecar is written by somebody's integration, so it is read with patience where nothing can go wrong (unknown fields
are left alone, numbers become text) and refused as a whole where something could (a wrong type, a time without a zone).
A document is never lost for its sidecar's sake.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec
import phonenumbers
from msgspec import Struct

from channels.scan.finding import MEDIA_TYPES, Finding
from channels.scan.watch import Seen
from router.engine.commands import Arrive
from router.engine.events import Blob, Message
from router.errors import BadMessage

ATTRIBUTES_MAX = 32  # of one sidecar: more is a document, not a note about one
VALUE_MAX = 500
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")

# Control characters, halves of characters, and those that turn the direction of what follows.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


# --- sidecars ---------------------------------------------------------------------------------------------------------


class Sidecar(Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """`NAME.json` beside a document; every field may be left out."""

    from_: str = ""  # number or address of the sender
    to: str = ""  # the number it came in on, or whatever the routing plan goes by
    received_at: str = ""  # RFC 3339
    name: str = ""
    subject: str = ""
    language: str = ""
    attributes: dict[str, str | int | float | bool] = {}
    id: str = ""  # by which its source knows it: the same document with the same id is the same item (for 7 days)

    @property
    def received_at_ms(self) -> int:
        return rfc3339_ms(self.received_at) if self.received_at else 0


NO_SIDECAR = Sidecar()


def parse_sidecar(data: bytes) -> Sidecar:
    """Raises BadMessage with what is wrong."""
    try:
        found = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"), type=Sidecar)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadMessage(f"not a sidecar: {problem}") from None
    for field in ("from_", "to", "name", "subject", "language", "id"):
        if len(getattr(found, field)) > VALUE_MAX:
            raise BadMessage(f"{field.rstrip('_')} is longer than {VALUE_MAX} characters")
    if len(found.attributes) > ATTRIBUTES_MAX:
        raise BadMessage(f"more than {ATTRIBUTES_MAX} attributes")
    for name, value in found.attributes.items():
        if not _NAME.fullmatch(name) or len(str(value)) > VALUE_MAX:
            raise BadMessage(f"attribute {printable(name)[:40]!r}: a plain name and at most {VALUE_MAX} characters")
    if found.received_at:
        rfc3339_ms(found.received_at)
    return found


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")


def rfc3339_ms(text: str) -> int:
    """Unix milliseconds. Raises BadMessage; a time without a zone is refused, since nobody can say when it was."""
    if not _RFC3339.fullmatch(text):
        raise BadMessage('received_at: expected RFC 3339 such as "2026-01-31T09:30:00+01:00"')
    try:
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.upper()))
        return max(0, (moment - datetime(1970, 1, 1, tzinfo=UTC)) // _MS)
    except (ValueError, OverflowError):
        raise BadMessage("received_at: there is no such moment") from None


_MS = datetime(1970, 1, 1, 0, 0, 0, 1_000) - datetime(1970, 1, 1)  # noqa: DTZ001 - a difference has no zone


# --- identities -------------------------------------------------------------------------------------------------------


def identity_of(sender: str, country: str) -> str:
    """`tel:+15550100` or `mailto:a@b.example`, "" where it is neither. `country`: whose national numbers count."""
    text = sender.strip()
    if "@" in text:
        local, _, domain = text.rpartition("@")
        odd = not local or not domain or re.search(r"[\s<>,;:]", text)
        return "" if odd else f"mailto:{text.lower()}"
    if text.startswith("00"):
        text = "+" + text[2:]
    try:
        number = phonenumbers.parse(text[:64], country or None)
    except phonenumbers.NumberParseException:
        return ""
    reason = phonenumbers.is_possible_number_with_reason(number)
    local_only = reason == phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY and text.startswith("+")
    if not local_only and reason != phonenumbers.ValidationResult.IS_POSSIBLE:
        return ""
    return f"tel:{phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)}"


# --- the command ------------------------------------------------------------------------------------------------------


class Taken(Struct, frozen=True, kw_only=True):
    """Everything that is known of one file by the time it is recorded."""

    folder: str
    channel: str
    to: str
    file: Seen
    blob: Blob
    finding: Finding
    sidecar: Sidecar = NO_SIDECAR
    sidecar_state: str = ""  # "", missing or unreadable
    country: str = ""
    oldest_ms: int = 0  # how far back received_at may lie
    own: str = ""  # its reference, where the file has none of its own any more
    group: str = ""  # the reference of the first page, where this is a page of several files
    pages: int = 0  # of the whole item; 0: those of the finding


def reference(file: Seen) -> str:
    """Names one appearance of one file in a folder.

    The same bytes dropped twice are two faxes: they differ in inode or times, as a change time cannot be set. The same
    file met again after a crash is one: nothing has touched it. So a name used again and a copy with its old dates
    kept are new, and a restart is not.
    """
    facts = (file.name.encode("utf-8", "surrogateescape"), file.inode, file.mtime_ns, file.ctime_ns, file.size)
    return sha256(repr(facts).encode()).hexdigest()[:24]


def arrival(taken: Taken, now_ms: int) -> Arrive:
    """The command for one file. Its wait starts when the sidecar says, otherwise when the file got its place."""
    file, sidecar, finding = taken.file, taken.sidecar, taken.finding
    own = taken.own or reference(file)
    if sidecar.id and not taken.own:
        own = f"id-{sha256(sidecar.id.encode()).hexdigest()[:24]}"
    sender = printable(sidecar.from_ or finding.sender)
    kind = MEDIA_TYPES.get(finding.kind, "application/octet-stream")
    blob = Blob(taken.blob.digest, taken.blob.size, kind, printable(file.name)[:200])
    pages = taken.pages or finding.pages
    return Arrive(
        key=f"scan.{taken.folder}:{taken.blob.digest}:{own}",
        channel=taken.channel,
        threads=(f"scan:{taken.folder}:{taken.group or own}",),
        identities=(identity_of(sender, taken.country) or f"ref:scan-{taken.group or own}",),
        sender=sender,
        recipient=printable(sidecar.to) or taken.to,
        name=printable(sidecar.name),
        subject=printable(sidecar.subject) or _subject(taken.channel, pages),
        language=printable(sidecar.language),
        attributes={**_said(sidecar), **_measured(taken, pages)},
        message=Message("", (blob,), external_id=printable(file.name)[:200]),
        received_at_ms=_received_at_ms(taken, now_ms),
    )


def _subject(channel: str, pages: int) -> str:
    return f"{channel.capitalize()}, {pages} page{'s' if pages != 1 else ''}" if pages else channel.capitalize()


def _said(sidecar: Sidecar) -> dict[str, str]:
    return {name: printable(_written(value)) for name, value in sidecar.attributes.items()}


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _measured(taken: Taken, pages: int) -> dict[str, str]:
    """What was seen, which no sidecar can overrule."""
    finding = taken.finding
    facts = {
        "folder": taken.folder,
        "file": printable(taken.file.name)[:200],
        "kind": finding.kind,
        "condition": finding.condition,
        "pages": str(pages) if pages else "",
        "width": str(finding.width or ""),
        "height": str(finding.height or ""),
        "dpi": str(finding.dpi or ""),
        "detail": finding.detail,
        "sidecar": taken.sidecar_state,
    }
    return {name: value for name, value in facts.items() if value}


def _received_at_ms(taken: Taken, now_ms: int) -> int:
    """Never in the future, and never so long ago that it would pass everybody else."""
    said_ms = taken.sidecar.received_at_ms or taken.file.ctime_ns // 1_000_000
    return max(min(said_ms, now_ms), now_ms - taken.oldest_ms)


def printable(text: str) -> str:
    """Fit for a journal and a screen: no control characters, escapes for odd bytes."""
    sound = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return _CONTROL.sub(" ", sound).strip()
