"""Bytes that claim to be text, made into text that can be stored.

Everything that goes into a command ends up as JSON, MessagePack and on screens, so `clean` lets through only what all
of them can carry: no surrogates, no control characters, nothing that turns the direction of what follows.

What a mail declares of its character set is a hint. The order is: as declared, UTF-8 if it is that, windows-1252. A
wrong guess shows wrong letters; it never raises and never loses the raw bytes, which the blob store has.
"""

from __future__ import annotations

import binascii
import codecs
import re
from functools import lru_cache

# Python lists these as text encodings. They are escapes or protocol pieces, warn or take quadratic time, and no honest
# mail is written in them.
_NOT_CHARSETS = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem", "charmap"}
)
# What people call them, where Python's idea of the name is narrower than what mail programs write under it.
_WIDER = {"euc_kr": "cp949", "gb2312": "gb18030", "gbk": "gb18030", "iso8859_1": "cp1252", "shift_jis": "cp932"}

# What a text of 16 or 32 bits for each character begins with.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]+")
_UNSAFE_IN_BODY = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_SPACES = re.compile(r"\s+")

# An encoded word of RFC 2047, read leniently: spaces inside, a language (RFC 2231), padding left off.
_WORD = re.compile(r"=\?([A-Za-z0-9][^?\s]{0,60}?)(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?]*)\?=")


def clean(text: str, limit: int) -> str:
    """One line of at most `limit` characters that every store and screen can carry."""
    if not text.isprintable():
        text = _UNSAFE.sub(" ", text)
    if "  " in text or not text.isprintable():
        text = _SPACES.sub(" ", text)
    text = text.strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def clean_lines(text: str) -> str:
    """The same for a body: line ends become newlines, tabs stay."""
    return _UNSAFE_IN_BODY.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n"))


@lru_cache(maxsize=256)
def codec(name: str) -> str:
    """The codec to use for a declared charset, or "" where there is none to trust."""
    try:
        found = codecs.lookup(name.strip().strip("'\"").lower()).name.replace("-", "_")
    except (LookupError, ValueError):
        return ""
    return "" if found in _NOT_CHARSETS else _WIDER.get(found, found)


def decode(data: bytes, charset: str = "") -> str:
    """Text of these bytes: as declared, then UTF-8, then windows-1252. Never raises.

    No text has NUL in it but one of 16 or 32 bits for each character, whatever is declared.
    """
    for name in (_wide(data) if b"\0" in data else "", codec(charset) if charset else "", "utf-8"):
        if name:
            try:
                return data.decode(name)
            except (UnicodeError, LookupError):  # LookupError: a codec from bytes to bytes, such as "hex"
                continue
    return data.decode("cp1252", "replace")


def _wide(data: bytes) -> str:
    """The codec of 16 or 32 bits that this begins as; "": it does not look like one."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    start = data[:200]
    high, low = start[::2].count(0), start[1::2].count(0)
    if max(high, low) * 4 < len(start) or min(high, low) * 4 > max(high, low):
        return ""
    return "utf-16-be" if high > low else "utf-16-le"


def decode_words(text: str) -> str:
    """A header with its encoded words read (RFC 2047). What is not one, or cannot be read, stays as it stands."""
    if "=?" not in text:
        return text
    parts: list[str] = []
    pending, charset, at = b"", "", 0
    for word in _WORD.finditer(text):
        data = _word_bytes(word[2], word[3])
        if data is None:
            continue
        between = text[at : word.start()]
        # Neighbours belong together (RFC 2047 6.2), and some senders cut inside a character.
        if between.strip() or not pending or word[1].lower() != charset:
            parts.append(decode(pending, charset))
            parts.append("" if pending and not between.strip() else between)
            pending = b""
        pending, charset, at = pending + data, word[1].lower(), word.end()
    return "".join(parts) + decode(pending, charset) + text[at:]


def _word_bytes(encoding: str, text: str) -> bytes | None:
    if encoding in "qQ":
        return binascii.a2b_qp(text.replace("_", " ").encode("utf-8", "surrogatepass"), header=False)
    return base64_bytes(text.encode("ascii", "ignore"))


def base64_bytes(data: bytes) -> bytes | None:
    """Lenient: missing padding and stray characters do not matter. None where nothing can be made of it."""
    packed = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    packed = packed[: len(packed) - (len(packed) % 4 == 1)]
    try:
        return binascii.a2b_base64(packed + b"=" * (-len(packed) % 4))
    except binascii.Error:
        return None
