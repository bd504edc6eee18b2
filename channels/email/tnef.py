"""winmail.dat: what Outlook packs attachments into where it takes the other side for Outlook (TNEF, MS-OXTNEF). Pure.

A stream of attributes: level (1 byte), id (4), length (4), content, checksum (2); numbers are little-endian. An
attachment begins with its rendering data and has a short title, its content, and among its MAPI properties a long name.
Everything else is left where it is: the original mail has it. Hostile input ends the reading; what was read by then
counts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from channels.email.text import clean, decode

SIGNATURE = b"\x78\x9f\x3e\x22"
FILES_MAX = 200
PROPERTIES_MAX = 200

_HEADER = struct.Struct("<BII")
_TITLE, _CONTENT, _BEGIN, _PROPERTIES = 0x00018010, 0x0006800F, 0x00069002, 0x00069005
_LONG_NAME = 0x3707
_FIXED = {0x0002: 4, 0x0003: 4, 0x0004: 4, 0x000A: 4, 0x000B: 4}  # sizes in bytes, with the padding; others have 8
_FIXED_8 = frozenset((0x0005, 0x0006, 0x0007, 0x0014, 0x0040))
_VARIABLE = frozenset((0x000D, 0x001E, 0x001F, 0x0102))
_STRING, _WIDE = 0x001E, 0x001F


class Packed(NamedTuple):
    name: str
    content: bytes


def unpack(data: bytes) -> list[Packed]:
    """The attachments in a winmail.dat; empty for what is none. Never raises; linear in the length."""
    if not data.startswith(SIGNATURE):
        return []
    found: list[Packed] = []
    name, content, is_open = "", b"", False
    for kind, value in _attributes(data):
        if kind == _BEGIN:
            if is_open:
                found.append(Packed(name, content))
            name, content, is_open = "", b"", True
            if len(found) >= FILES_MAX:
                return found
        elif kind == _TITLE:
            name = name or _text(value)
        elif kind == _CONTENT and is_open:
            content = value
        elif kind == _PROPERTIES:
            name = _long_name(value) or name
    return [*found, Packed(name, content)] if is_open else found


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = len(SIGNATURE) + 2
    while at + _HEADER.size <= len(data):
        _, kind, length = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        if at + length > len(data):
            return
        yield kind, data[at : at + length]
        at += length + 2


def _text(value: bytes) -> str:
    return clean(decode(value.split(b"\0")[0]), 200)


def _long_name(data: bytes) -> str:
    """The file's long name among these MAPI properties; "" where it is not found."""
    try:
        [count] = struct.unpack_from("<I", data)
        at = 4
        for _ in range(min(count, PROPERTIES_MAX)):
            kind, number = struct.unpack_from("<HH", data, at)
            at = _after_name(data, at + 4) if number >= 0x8000 else at + 4
            value, at = _value(data, at, kind)
            if number == _LONG_NAME and value is not None:
                return clean(value.decode("utf-16-le", "replace") if kind == _WIDE else decode(value), 200).strip("\0 ")
    except struct.error:
        pass  # cut short: the title will do
    return ""


def _after_name(data: bytes, at: int) -> int:
    """Skip the name of a named property: a GUID, and a number or a string."""
    [kind, value] = struct.unpack_from("<II", data, at + 16)
    return at + 24 + (-(-value // 4) * 4 if kind else 0)


def _value(data: bytes, at: int, kind: int) -> tuple[bytes | None, int]:
    """The (first) value of a property, and where the next one begins. Raises struct.error for an unknown kind."""
    if kind in _FIXED:
        return None, at + _FIXED[kind]
    if kind in _FIXED_8:
        return None, at + 8
    if kind == 0x0048:
        return None, at + 16
    if kind not in _VARIABLE:
        raise struct.error("a kind of property that is not known")
    [count] = struct.unpack_from("<I", data, at)
    at, first = at + 4, None
    for _ in range(min(count, PROPERTIES_MAX)):
        [length] = struct.unpack_from("<I", data, at)
        value = data[at + 4 : at + 4 + length]
        first = value.split(b"\0")[0] if first is None and kind == _STRING else first if first is not None else value
        at += 4 + -(-length // 4) * 4
    return first, at
