"""A mail without what a house must not keep (`email.mask_raw`), and its words as they are shown (`email.mask_cards`).

Hidden is what stands there to be read: in the head every field and every parameter but those by which mails and parts
find one another; of an address field the names; of the parts all that is text, whatever it calls itself and in
whatever character set, attached and forwarded ones too. Where a page of HTML spells a number over several elements the
page becomes its text. A part in which nothing is found keeps its bytes, and so does a mail in which nothing is found at
all; what changes becomes UTF-8.

What stays: ids and trace, or an answer would not find its question; addresses, or nobody could be answered; and what is
no text: a number in a PDF, a picture, an archive or an encrypted part is not found.

A mail's signature (DKIM) does not fit what was changed. It was judged when the mail came.
"""

from __future__ import annotations

import email
from email.encoders import encode_base64
from email.errors import MessageError
from email.header import Header
from email.message import Message
from email.utils import formataddr
from typing import Any

from msgspec.structs import replace

from channels.email.addresses import mailboxes
from channels.email.body import POLICY, Readable, content_of, html_text
from channels.email.text import decode, decode_words
from router.service.masking import Mask

# How a mail came, which one it is and what it answers, who vouches for it; and what makes parts of it.
_KEPT = frozenset(
    """
    message-id in-reply-to references resent-message-id content-id date resent-date received return-path dkim-signature
    arc-seal arc-message-signature arc-authentication-results authentication-results received-spf mime-version
    content-transfer-encoding content-type content-disposition auto-submitted precedence delivered-to x-original-to
    """.split()  # noqa: SIM905 - some lines of words read better than a column
)
_ADDRESSED = frozenset(
    """
    from to cc bcc reply-to sender resent-from resent-to resent-cc resent-bcc resent-sender mail-followup-to
    disposition-notification-to errors-to
    """.split()  # noqa: SIM905
)
_PARAMETERS_KEPT = frozenset(
    ("boundary", "charset", "protocol", "micalg", "report-type", "smime-type", "type", "start")
)
_NO_TEXT = (b"%PDF-", b"%!PS", b"PK\3\4", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"\x78\x9f\x3e\x22")


class NotHidden(Exception):
    """It holds something to be hidden, and cannot be written anew."""


def masked_mail(raw: bytes, mask: Mask) -> bytes:
    """The mail to keep. Raises NotHidden."""
    try:
        message = email.message_from_bytes(raw, policy=POLICY)
        changed = [_hide(part, mask) for part in message.walk()]
        ends = POLICY.clone(linesep="\r\n" if b"\r\n" in raw else "\n")
        return message.as_bytes(policy=ends) if any(changed) else raw
    except (
        MessageError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        AssertionError,
        RecursionError,
    ) as problem:
        # the standard library's writer, on what its reader made of broken mail
        raise NotHidden(type(problem).__name__) from problem


def masked_words(read: Readable, mask: Mask) -> Readable:
    """As people are shown it. A page that would still spell out something is not shown: they read the text."""
    page = mask(read.html)
    words = html_text(page) if page else ""
    files = tuple([replace(one, name=mask(one.name)) for one in read.attachments])
    shown = page if mask(words) == words else ""
    return replace(read, text=mask(read.text), new=mask(read.new), html=shown, attachments=files)


def _hide(part: Message, mask: Mask) -> bool:
    changed = [_hide_head(part, name, mask) for name in dict.fromkeys(name.lower() for name, _ in part.items())]
    if part.is_multipart():
        changed += [_hide_around(part, mask)]
    else:
        changed += [_hide_text(part, mask)]
    return any(changed)


# --- the head ---------------------------------------------------------------------------------------------------------


def _hide_head(part: Message, name: str, mask: Mask) -> bool:
    if name in ("content-type", "content-disposition"):
        return _hide_parameters(part, name, mask)
    if name in _KEPT:
        return False
    values = part.get_all(name, [])
    said = [_readable(value) for value in values]
    hidden = [mask(one) for one in said]
    if hidden == said:
        return False
    del part[name]
    for value, before, after in zip(values, said, hidden, strict=True):
        one = str(value) if before == after else _address_list(before, mask) if name in _ADDRESSED else _written(after)
        if one:
            part[name] = one
    return True


def _readable(value: object) -> str:
    """A field's value on one line, its raw bytes and encoded words read."""
    return decode_words(str(value)).replace("\r", "").replace("\n", "")


def _written(text: str) -> str:
    return Header(text.encode("utf-8", "replace").decode(), "utf-8").encode()


def _address_list(text: str, mask: Mask) -> str:
    """Names are hidden, comments are left out. Where no address can be read it is a text like any other."""
    found = mailboxes(text)
    entries = [(mask(one.name), one.address) for one in found]
    if not entries:
        return _written(mask(text))
    return ", ".join(_mailbox(name, address) for name, address in entries)


def _mailbox(name: str, address: str) -> str:
    if address.isascii():
        return formataddr((name, address))
    return f"{_written(name)} <{address}>".encode().decode("ascii", "surrogateescape")  # RFC 6532: as it stands


def _hide_parameters(part: Message, header: str, mask: Mask) -> bool:
    """Names of files, above all. What of the field cannot be read as parameters is hidden as a text."""
    changed, kept = False, False
    found: list[tuple[str, Any]] = part.get_params([], header)
    for name, value in found[1:]:
        said = _readable(_joined(value))
        if name.lower() in _PARAMETERS_KEPT:
            kept = kept or mask(said) != said  # a boundary that looks like a number
        elif mask(said) != said:
            part.del_param(name, header)
            part.set_param(name, mask(said), header, charset="utf-8")
            changed = True
    left = _readable(part.get(header, ""))
    if not kept and mask(left) != left:
        part.replace_header(header, mask(left).replace("\u2022", "*").encode("ascii", "replace").decode())
        changed = True
    return changed


def _joined(value: Any) -> str:
    """A parameter's text, also where it has a character set of its own (RFC 2231)."""
    return decode(value[2].encode("latin-1", "replace"), value[0] or "") if isinstance(value, tuple) else str(value)


# --- the rest ---------------------------------------------------------------------------------------------------------


def _hide_around(part: Message, mask: Mask) -> bool:
    """What stands before and after the parts, which some programs show."""
    around = part.preamble, part.epilogue
    part.preamble, part.epilogue = (text and mask(text).replace("\u2022", "*") for text in around)
    return (part.preamble, part.epilogue) != around


def _hide_text(part: Message, mask: Mask) -> bool:
    content = content_of(part)
    main, kind = part.get_content_maintype(), part.get_content_subtype()
    if not content or content.startswith(_NO_TEXT) or (main != "text" and not _is_text(content)):
        return False
    text = decode(content, str(part.get_content_charset("") or ""))
    hidden = mask(text)
    if main == "text" and kind == "html" and (words := html_text(hidden)) != mask(words):
        kind, hidden = "plain", mask(words)  # its digits stand in several elements
    if hidden == text:
        return False
    del part["Content-Transfer-Encoding"]
    if main in ("text", "multipart"):  # the latter is one by name only
        part.set_type(f"text/{kind if main == 'text' else 'plain'}")
    part.set_payload(hidden.encode("utf-8", "replace"))
    part.set_param("charset", "utf-8")
    encode_base64(part)
    return True


def _is_text(content: bytes) -> bool:
    """Whatever it calls itself: an application's document of words, or a file that nobody knew the kind of."""
    if b"\0" in content:
        return "\0" not in decode(content)
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
