"""The directories of a TIFF, read without decoding a pixel. Pure: bytes in, pages out; used on hostile input.

A multi-page TIFF is a chain of directories (IFDs), one a page; libtiff writes them last, so a file that was cut off has
none. A chain may loop: each offset is visited once. TIFF 6.0 section 2; BigTIFF differs in the widths only.
"""

from __future__ import annotations

from struct import error as StructError
from struct import unpack_from
from typing import BinaryIO

from msgspec import Struct

WIDTH, HEIGHT, COMPRESSION, DESCRIPTION, SOFTWARE = 256, 257, 259, 270, 305
X_RESOLUTION, RESOLUTION_UNIT = 282, 296
BAD_FAX_LINES, CLEAN_FAX_DATA = 326, 327

ENTRIES_MAX = 4_096  # of one directory; real ones have some twenty
TEXT_MAX = 256
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}


class Directory(Struct, frozen=True):
    """One page's numbers and texts, by tag."""

    numbers: dict[int, int]
    texts: dict[int, str]


class Chain(Struct, frozen=True):
    directories: list[Directory]
    looped: bool = False
    broken: str = ""  # why the chain ended before its end
    more: bool = False  # longer than asked for


class _Layout(Struct, frozen=True):
    order: str
    count: str  # of entries in a directory
    offset: str
    entry: int  # bytes
    value: int  # bytes that fit into an entry


def read_chain(file: BinaryIO, pages_max: int) -> Chain:
    """The page chain, at most `pages_max` of it. Never raises for what the bytes say."""
    directories: list[Directory] = []
    visited: set[int] = set()
    try:
        layout, offset = _header(file)
        while offset:
            if offset in visited:
                return Chain(directories, looped=True)
            if len(directories) == pages_max:
                return Chain(directories, more=True)
            visited.add(offset)
            directory, offset = _directory(file, layout, offset)
            directories.append(directory)
    except (ValueError, OSError, StructError, OverflowError) as problem:
        return Chain(directories, broken=str(problem) or "a directory is cut off")
    return Chain(directories)


def _header(file: BinaryIO) -> tuple[_Layout, int]:
    head = _at(file, 0, 8)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        raise ValueError("no TIFF header")
    if unpack_from(order + "H", head, 2)[0] == 43:
        return _Layout(order, "Q", "Q", 20, 8), unpack_from(order + "Q", _at(file, 8, 8))[0]
    return _Layout(order, "H", "I", 12, 4), unpack_from(order + "I", head, 4)[0]


def _at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) < size:
        raise ValueError(f"the file ends before offset {offset + size}")
    return data


def _directory(file: BinaryIO, layout: _Layout, offset: int) -> tuple[Directory, int]:
    width = 8 if layout.count == "Q" else 2
    count = unpack_from(layout.order + layout.count, _at(file, offset, width))[0]
    if not 0 < count <= ENTRIES_MAX:
        raise ValueError(f"a directory of {count} entries")
    entries = _at(file, offset + width, count * layout.entry)
    page = Directory({}, {})
    for start in range(0, len(entries), layout.entry):
        _entry(file, layout, entries[start : start + layout.entry], page)
    try:
        tail = _at(file, offset + width + len(entries), 8 if layout.offset == "Q" else 4)
    except ValueError:
        return page, 0  # some writers leave the end of the chain out
    return page, unpack_from(layout.order + layout.offset, tail)[0]


def _entry(file: BinaryIO, layout: _Layout, entry: bytes, page: Directory) -> None:
    """Keep what may interest us; an entry that makes no sense is left out, since decoders skip it as well."""
    tag, kind = unpack_from(layout.order + "HH", entry)
    count = unpack_from(layout.order + layout.offset, entry, 4)[0]
    value = entry[4 + layout.value :]
    size = _SIZES.get(kind, 0) * count
    if tag in (DESCRIPTION, SOFTWARE) and kind == 2:
        text = value[:size]
        if size > layout.value:
            text = _text(file, unpack_from(layout.order + layout.offset, value)[0], size)
        page.texts[tag] = text.partition(b"\0")[0].decode("utf-8", "replace").strip()
    elif tag == X_RESOLUTION and kind == 5 and count == 1:
        page.numbers[tag] = _ratio(file, layout, value)
    elif kind in _CODES and count == 1:
        page.numbers[tag] = unpack_from(layout.order + _CODES[kind], value)[0]


def _text(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(min(size, TEXT_MAX))


def _ratio(file: BinaryIO, layout: _Layout, value: bytes) -> int:
    try:
        data = value if layout.value == 8 else _at(file, unpack_from(layout.order + "I", value)[0], 8)
    except ValueError:
        return 0
    above, below = unpack_from(layout.order + "II", data)
    return round(above / below) if below else 0
