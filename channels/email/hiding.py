"""A mail without numbers of payment cards, for a house that must not keep any (`email.mask_raw`).

Hidden is what people write and read: texts of every part, attached ones too, and the subject. A part in which nothing
is found keeps its bytes, and so does a mail in which nothing is found at all; what changes becomes UTF-8. Ids and
addresses stay, by which mails find one another, as does what is no text: a number in a PDF or a picture is not found.

A mail's signature (DKIM) does not fit what was changed. It was judged when the mail came.
"""

from __future__ import annotations

import email
from email.encoders import encode_base64
from email.errors import MessageError
from email.header import Header
from email.message import Message
from email.policy import compat32

from channels.email.body import html_text
from channels.email.text import decode, decode_words
from router.service.masking import mask_cards

_WORDED = ("subject", "thread-topic", "comments", "keywords", "content-description")


class NotHidden(Exception):
    """It holds such a number, and cannot be written anew."""


def without_cards(raw: bytes) -> bytes:
    """The mail to keep. Raises NotHidden."""
    try:
        message = email.message_from_bytes(raw, policy=compat32)
        changed = [_hide(part) for part in message.walk()]
        ends = compat32.clone(linesep="\r\n" if b"\r\n" in raw else "\n")
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


def _hide(part: Message) -> bool:
    changed = [_hide_head(part, name) for name in _WORDED if name in part]
    if part.is_multipart():
        changed += [_hide_around(part)]
    elif part.get_content_maintype() == "text":
        changed += [_hide_text(part)]
    return any(changed)


def _hide_head(part: Message, name: str) -> bool:
    said = [decode_words(str(value)) for value in part.get_all(name, [])]
    hidden = [mask_cards(value) for value in said]
    if hidden == said:
        return False
    del part[name]
    part[name] = Header(" ".join(hidden).replace("\r", "").replace("\n", " "), "utf-8").encode()
    return True


def _hide_around(part: Message) -> bool:
    """What stands before and after the parts, which some programs show."""
    around = part.preamble, part.epilogue
    part.preamble, part.epilogue = (text and mask_cards(text).replace("\u2022", "*") for text in around)
    return (part.preamble, part.epilogue) != around


def _hide_text(part: Message) -> bool:
    content = part.get_payload(decode=True)
    text = decode(content if isinstance(content, bytes) else b"", str(part.get_content_charset("") or ""))
    hidden = mask_cards(text)
    kind = part.get_content_subtype()
    if kind == "html" and (words := html_text(hidden)) != mask_cards(words):
        kind, hidden = "plain", mask_cards(words)  # its digits stand in several elements
    if hidden == text:
        return False
    del part["Content-Transfer-Encoding"]
    part.set_type(f"text/{kind}")
    part.set_payload(hidden.encode("utf-8", "replace"))
    part.set_param("charset", "utf-8")
    encode_base64(part)
    return True
