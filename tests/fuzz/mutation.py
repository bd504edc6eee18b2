"""Inputs that are nearly right: real ones with a few things done to them. All chance comes from one seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

# What parsers trip over: ends of numbers, of lines, of strings, and of encodings.
TOKENS = (
    b"\0", b"\xff", b"\xff\xfe", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b'"', b"\\", b"{", b"[", b"[" * 40, b"}",
    b"%", b"=?", b"=?utf-8?q?=ff?=", b"\xe2\x80\xae", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"-1", b"1e999", b"null",
    b"4294967295", b"9223372036854775808", b"NaN", b"--", b"<", b">", b"<!--", b"&#0;", b";", b"boundary=", b"\x7f",
    b" " * 80,
)  # fmt: skip
LONGEST = 65_536


def mutated(r: Random, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds, changed in one to six places; sometimes spliced with another, sometimes noise."""
    if r.random() < 0.02:
        return r.randbytes(r.randint(0, 300))
    data = bytearray(r.choice(seeds))
    for _ in range(r.randint(1, 6)):
        r.choice(CHANGES)(r, data, seeds)
    return bytes(data[:LONGEST])


Change = Callable[[Random, bytearray, Sequence[bytes]], None]


def _at(r: Random, data: bytearray) -> int:
    return r.randint(0, len(data))


def _flip(r: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    if data:
        data[r.randrange(len(data))] ^= 1 << r.randrange(8)


def _insert(r: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    at = _at(r, data)
    data[at:at] = r.choice(TOKENS) * r.choice((1, 1, 1, 2, 30))


def _cut(r: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    at = _at(r, data)
    del data[at : at + r.choice((1, 2, 8, 64, len(data)))]


def _double(r: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    at = _at(r, data)
    data[at:at] = data[at : at + r.choice((1, 16, 200))] * r.randint(1, 5)


def _splice(r: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    other = r.choice(seeds)
    data[_at(r, data) :] = other[r.randint(0, len(other)) :]


CHANGES: tuple[Change, ...] = (_flip, _flip, _insert, _insert, _cut, _double, _splice)
