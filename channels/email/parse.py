"""A message's head, read into the command that it means. Pure: bytes in, data out.

Rules:
- Ugly is no reason to refuse. What cannot be read is left out; the raw message is in the blob store either way.
- Only the head is read here, by one regular expression that never goes back: a message costs tens of microseconds in
  the loop. Bodies are read later and elsewhere (`body.py`).
- Every text in the result can be stored as JSON and MessagePack (`text.clean`) and has a stated longest length.

One delivery is one recipient. A mail to support@ and sales@ is two interactions, because two desks must answer it; so
the recipient is part of the key and of every thread name.

The key, by which a repeated delivery is recognised. A relay that never saw our 250 sends the same bytes again. The
Message-ID alone would not do: it is the sender's to choose, and a second mail with a copied one must not vanish. So the
key is a digest of the content:
- of a message with a Message-ID without its trace lines (Received and the like), since the same mail may come again by
  another way;
- of a nameless message with them, since they are all that tells a repeated delivery from a device that says the same
  thing twice.

Threads, by which a mail joins its conversation: the mail's own name, a token, then what it refers to, newest first.
The token is also part of the Message-IDs that we give to replies. It comes from the content's digest, so that nobody
who has not seen the conversation can write into it by counting.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from email.utils import mktime_tz, parsedate_tz
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from channels.email import automatic
from channels.email.addresses import Mailbox, canonical_address, identity, mailboxes
from channels.email.automatic import OURS
from channels.email.results import authentication
from channels.email.text import clean, decode, decode_words
from router.engine.commands import Arrive
from router.engine.events import Blob, Message

SUBJECT_MAX = 500  # characters; agents' lists show 80, and a rule may look for a number near the end
ID_MAX = 250  # characters of a Message-ID; longer ones are known by their digest
ATTRIBUTE_MAX = 300
REFERENCES_MAX = 20  # the newest ones, and the first besides: a thread's start is what we are most likely to know
FIELDS_MAX = 1_000  # header fields that are read; the rest stays in the raw message
FIELD_MAX = 16_384  # bytes of one field

UNREADABLE = "(unreadable message)"

# A field with its continuation lines. No part of it can match what the part before it gave up.
_FIELD = re.compile(rb"^([!-9;-~]{1,100})[ \t]*:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)
_LINE_END = re.compile(rb"\r+\n?")
_ANGLE = re.compile(r"<([^<>]{1,2000})>")
_BLANK = re.compile(r"\s+")
_LANGUAGE = re.compile(r"\s*([A-Za-z]{2,3})(?:-[A-Za-z0-9]+)*\s*(?:[,;]|$)")
_WORD = re.compile(r"[A-Za-z0-9.+-]+")

# Written by every station on the way: they tell how a message came, not what it is.
TRACE = frozenset(
    b"received x-received return-path delivered-to delivery-date envelope-to x-original-to received-spf"
    b" authentication-results arc-seal arc-message-signature arc-authentication-results".split()
)
WANTED = automatic.LOOKED_AT | frozenset(
    b"message-id in-reply-to references from sender reply-to to cc subject date content-language"
    b" x-spam-flag x-spam-status x-spam-score".split()
)


class Letter(Struct, frozen=True, kw_only=True):
    """What a message's head says."""

    digest: str  # of the content, in hexadecimal; see the module
    message_id: str = ""  # without angle brackets
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    senders: tuple[Mailbox, ...] = ()
    reply_to: tuple[Mailbox, ...] = ()
    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    subject: str = ""
    language: str = ""
    auto: str = ""  # bounce, report, auto-reply, list, loop; "": a person wrote it, as far as one can see
    suspect: bool = False  # the body may say more of that: `automatic.look_closer`
    found: automatic.Findings = automatic.Findings()  # what it said
    attributes: dict[str, str] = {}


def split_head(raw: bytes, max_header_bytes: int) -> tuple[bytes, int]:
    """The head with plain newlines, and where the body starts.

    Takes CRLF, LF and CR as line ends, whatever mixture. Cut at `max_header_bytes`, or at FIELDS_MAX fields later on.
    """
    start = 0
    while raw[start : start + 1] in (b"\r", b"\n"):
        start += 1
    limit = start + max_header_bytes
    crlf, lf = raw.find(b"\r\n\r\n", start, limit), raw.find(b"\n\n", start, limit)
    if lf >= 0 and (crlf < 0 or lf < crlf):
        end, body = lf, lf + 2
    elif crlf >= 0:
        end, body = crlf, crlf + 4
    else:
        end = body = min(len(raw), limit)
    head = raw[start:end].replace(b"\r\n", b"\n")
    return (_LINE_END.sub(b"\n", head) if b"\r" in head else head), body


def read_letter(
    raw: bytes, mail_from: str = "", max_header_bytes: int = 131_072, trusted: Collection[str] = ()
) -> Letter:
    """Read the head of a message that came with this envelope sender ("" for the null sender).

    `trusted` are the servers whose Authentication-Results are believed.
    """
    head, body_at = split_head(raw, max_header_bytes)
    fields: dict[bytes, str] = {}
    kept: list[bytes] = []  # the fields that are not trace
    results: list[str] = []
    received = 0
    for found in islice(_FIELD.finditer(head), FIELDS_MAX):
        name = found[1].lower()
        if name not in TRACE:
            kept.append(found[0])
        elif name == b"received":
            received += 1
        elif trusted and name == b"authentication-results":
            results.append(decode(found[2][:FIELD_MAX].replace(b"\n", b"")))
        if name in WANTED and name not in fields:
            fields[name] = decode(found[2][:FIELD_MAX].replace(b"\n", b""))
    named = message_ids(fields.get(b"message-id", ""))
    digest = _digest(b"\n".join(kept), raw, body_at) if named else hashlib.sha256(raw).hexdigest()
    letter = _letter(fields, digest, named[0] if named else "", mail_from, received)
    if results and (known := authentication(results, trusted)):
        letter.attributes.update(known)
    return letter


def _digest(head: bytes, raw: bytes, body_at: int) -> str:
    hasher = hashlib.sha256(head)
    hasher.update(b"\n\n")
    hasher.update(memoryview(raw)[body_at:])
    return hasher.hexdigest()


def _letter(fields: dict[bytes, str], digest: str, message_id: str, mail_from: str, received: int) -> Letter:
    get = fields.get
    subject = clean(decode_words(get(b"subject", "")), SUBJECT_MAX)
    senders = mailboxes(get(b"from", "")) or mailboxes(get(b"sender", "")) or mailboxes(get(b"reply-to", ""))
    if not senders and (envelope := canonical_address(mail_from)):
        senders = [Mailbox("", envelope)]
    cc = mailboxes(get(b"cc", ""))
    auto = automatic.kind_by_head(fields, subject, mail_from, message_id, received)
    return Letter(
        digest=digest,
        message_id=message_id,
        in_reply_to=message_ids(get(b"in-reply-to", "")),
        references=message_ids(get(b"references", "")),
        senders=tuple(senders),
        reply_to=tuple(mailboxes(get(b"reply-to", ""))),
        to=tuple(mailboxes(get(b"to", ""))),
        cc=tuple(cc),
        subject=subject,
        language=found[1].lower() if (found := _LANGUAGE.match(get(b"content-language", ""))) else "",
        auto=auto,
        suspect=automatic.is_suspect(auto, get(b"from", ""), subject),
        attributes=_attributes(fields, senders, cc, mail_from),
    )


def with_findings(letter: Letter, found: automatic.Findings) -> Letter:
    """The letter with what its body said; a bounce is one by its body, whatever its head looks like."""
    kind = letter.auto
    if found.failed or found.delayed:
        kind = "bounce"
    elif found.complaint:
        kind = "report"
    named = {"failed": found.failed, "delayed": found.delayed}
    attributes = {name: clean(", ".join(value), ATTRIBUTE_MAX) for name, value in named.items() if value}
    return replace(letter, auto=kind, found=found, attributes=letter.attributes | attributes)


def unreadable(raw: bytes, mail_from: str) -> Letter:
    """What is recorded of a message that defeated `read_letter`: it must reach a person all the same."""
    envelope = canonical_address(mail_from)
    return Letter(
        digest=hashlib.sha256(raw).hexdigest(),
        senders=(Mailbox("", envelope),) if envelope else (),
        subject=UNREADABLE,
        attributes={"unreadable": "yes"},
    )


def message_ids(header: str) -> tuple[str, ...]:
    """The ids in a Message-ID, In-Reply-To or References header, without brackets, each once, in order."""
    if not header:
        return ()
    found = _ANGLE.findall(header) or [word for word in header.split() if "@" in word]
    ids = (clean(_BLANK.sub("", one), 2_000) for one in found[:FIELDS_MAX])
    return tuple(dict.fromkeys(one if len(one) <= ID_MAX else _long_id(one) for one in ids if one))


def _long_id(message_id: str) -> str:
    return "sha256-" + hashlib.sha256(message_id.encode()).hexdigest()


def _attributes(fields: dict[bytes, str], senders: list[Mailbox], cc: list[Mailbox], mail_from: str) -> dict[str, str]:
    get = fields.get
    found = {
        "content_type": get(b"content-type", "").partition(";")[0].strip().lower(),
        "cc": ", ".join(box.address for box in cc[:10]),
        "list_id": get(b"list-id", ""),
        "spam": _first_word(get(b"x-spam-flag", "") or get(b"x-spam-status", "")),
        "spam_score": _first_word(get(b"x-spam-score", "")),
        "sent_at_ms": _sent_at(get(b"date", "")),
    }
    envelope = canonical_address(mail_from)
    if envelope and (not senders or identity(envelope) != identity(senders[0].address)):
        found["envelope_sender"] = envelope
    return {name: text for name, value in found.items() if (text := clean(value, ATTRIBUTE_MAX))}


def _first_word(text: str) -> str:
    return found[0].lower() if (found := _WORD.match(text.strip())) else ""


def _sent_at(date: str) -> str:
    """The Date header as Unix milliseconds, or "". It is the sender's clock: no waiting time comes from it."""
    try:
        parts = parsedate_tz(date[:100]) if date else None
        seconds = mktime_tz(parts) if parts else 0
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""
    return str(seconds * 1_000) if 0 < seconds < 1 << 40 else ""


# --- the command ----------------------------------------------------------------------------------------------------


def thread_name(recipient: str, message_id: str) -> str:
    return f"mail:{recipient}:{message_id}"


def token_thread(token: str) -> str:
    return f"mail:t:{token}"


def token_of(recipient: str, digest: str) -> str:
    """The name of a conversation that only its members can know: 16 hexadecimal digits."""
    return hashlib.sha256(f"{recipient}\n{digest}".encode()).hexdigest()[:16]


def threads_of(letter: Letter, recipient: str) -> tuple[str, ...]:
    """Own name, own token, then what the message refers to, newest first."""
    own = letter.message_id or f"sha256-{letter.digest}"
    cited = tuple(dict.fromkeys((*letter.in_reply_to, *reversed(letter.references))))
    if len(cited) > REFERENCES_MAX:
        cited = (*cited[:REFERENCES_MAX], cited[-1])
    names = [thread_name(recipient, own), token_thread(token_of(recipient, letter.digest))]
    names += [token_thread(token) for token in letter.found.tokens]
    for one in cited:
        ours = OURS.match(one)
        names.append(token_thread(ours[1]) if ours else thread_name(recipient, one))
    return tuple(dict.fromkeys(names))


def arrive(letter: Letter, recipient: str, raw: Blob, detail: str = "") -> Arrive:
    """The command for one recipient (`recipient` as it stands in the settings, `detail` what stood behind a plus)."""
    sender = letter.senders[0] if letter.senders else Mailbox("", "")
    attributes = dict(letter.attributes, size_bytes=str(raw.size))
    if letter.auto:
        attributes["auto"] = letter.auto
    if letter.reply_to and identity(letter.reply_to[0].address) != identity(sender.address):
        attributes["reply_to"] = clean(letter.reply_to[0].address, ATTRIBUTE_MAX)
    if detail:
        attributes["detail"] = clean(detail, ATTRIBUTE_MAX)
    undelivered = bool(letter.found.failed and letter.found.tokens)
    return Arrive(
        key=f"mail:{recipient}:{letter.digest}",
        channel="email",
        threads=threads_of(letter, recipient),
        identities=(identity(sender.address),) if sender.address else (),
        sender=sender.address,
        recipient=recipient,
        name=sender.name,
        subject=letter.subject,
        language=letter.language,
        attributes=attributes,
        message=Message(automatic.as_told(letter.found), (raw,), letter.message_id, sender.address),
        automatic=automatic.UNDELIVERED if undelivered else letter.auto,
    )
