"""Our replies as mail. Pure: facts in, bytes out.

The same outbound number always gives the same Message-ID, so that a copy sent twice (we crashed between the smart
host's 250 and our note of it) is one message in the customer's mailbox wherever duplicates are recognised.

The Message-ID says which conversation it belongs to by the conversation's token (`parse.token_of`); an answer to it
finds its way home even when it cites nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.errors import HeaderParseError, MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime

from msgspec import Struct

from channels.email.addresses import Mailbox, canonical_address
from channels.email.parse import REFERENCES_MAX, SUBJECT_MAX
from channels.email.text import clean, clean_lines

_RE = re.compile(r"(?i)\s*(?:(?:re|aw|antw|sv|vs|ref|rif|odp|r[eé]p?)\s*(?:\[\d+\])?\s*:\s*)+")
_PRINTABLE_ID = re.compile(r"[!-;=?-~]{1,900}")  # what a Message-ID may hold between its brackets, read leniently
_MEDIA_TYPE = re.compile(r"([a-z0-9][a-z0-9.+-]{0,60})/([a-z0-9][a-z0-9.+-]{0,100})")


class Attachment(Struct, frozen=True):
    name: str
    media_type: str
    content: bytes


class ReplyMail(Struct, frozen=True, kw_only=True):
    """Everything that a reply is made of."""

    message_id: str  # without brackets
    sender: Mailbox
    recipients: tuple[Mailbox, ...]
    subject: str  # of what is answered
    text: str
    at_ms: int
    in_reply_to: str = ""
    references: tuple[str, ...] = ()  # of what is answered
    attachments: tuple[Attachment, ...] = ()
    answers: bool = True  # something; false: `subject` is its own


def reply_id(interaction: int, outbound: int, token: str, domain: str) -> str:
    """What `parse` recognises as ours."""
    return f"sb.i-{interaction}.{outbound}.{token}@{domain}"


def reply_subject(subject: str) -> str:
    """`Re: ` once, whatever stood before it and in whatever language."""
    return "Re: " + (clean(_RE.sub("", subject, count=1), SUBJECT_MAX) or "your message")


def render(mail: ReplyMail) -> tuple[bytes, bool]:
    """The message with CRLF line ends, and whether it needs SMTPUTF8 (RFC 6531). Raises ValueError on a bad address."""
    wide = not "".join(box.address for box in (mail.sender, *mail.recipients)).isascii()
    message = EmailMessage(policy=SMTPUTF8 if wide else SMTP)
    message["From"] = _address(mail.sender)
    message["To"] = [_address(box) for box in mail.recipients]
    message["Subject"] = reply_subject(mail.subject) if mail.answers else clean(mail.subject, SUBJECT_MAX)
    message["Date"] = format_datetime(datetime.fromtimestamp(mail.at_ms / 1_000, UTC))
    message["Message-ID"] = f"<{mail.message_id}>"
    if mail.in_reply_to and _PRINTABLE_ID.fullmatch(mail.in_reply_to):
        message["In-Reply-To"] = f"<{mail.in_reply_to}>"
    if chain := reference_chain(mail.references, mail.in_reply_to):
        message["References"] = " ".join(f"<{one}>" for one in chain)
    message.set_content(clean_lines(mail.text), charset="utf-8", cte="quoted-printable")
    for attachment in mail.attachments:
        main, _, sub = _media_type(attachment.media_type).partition("/")
        name = clean(attachment.name, 200) or "attachment"
        message.add_attachment(attachment.content, maintype=main, subtype=sub, filename=name)
    return message.as_bytes(), wide


def reference_chain(references: Iterable[str], message_id: str) -> list[str]:
    """The References of an answer (RFC 5322 3.6.4): chain so far, then what is answered; long ones lose the middle."""
    chain = [one for one in dict.fromkeys(references) if one != message_id and _PRINTABLE_ID.fullmatch(one)]
    if message_id and _PRINTABLE_ID.fullmatch(message_id):
        chain.append(message_id)
    return chain if len(chain) <= REFERENCES_MAX else [chain[0], *chain[-REFERENCES_MAX:]]


def _media_type(text: str) -> str:
    """Only what can be attached as bytes; a message inside a message would be parsed and re-encoded."""
    found = _MEDIA_TYPE.fullmatch(text.strip().lower())
    return found[0] if found and found[1] not in ("multipart", "message", "text") else "application/octet-stream"


def _address(mailbox: Mailbox) -> Address:
    local, _, domain = canonical_address(mailbox.address).rpartition("@")
    if local.isascii() and not domain.isascii():
        domain = domain.encode("idna").decode()
    try:
        address = Address(clean(mailbox.name, 200), addr_spec=f"{local}@{domain}") if local.isascii() else None
    except (HeaderParseError, MessageError, IndexError, ValueError) as problem:
        raise ValueError(f"no mail can be sent to this address: {problem}") from None
    return address or Address(clean(mailbox.name, 200), username=local, domain=domain)
