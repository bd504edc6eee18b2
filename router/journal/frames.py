"""A batch of records as one value: what a log that stores batches whole keeps of each.

    crc of each record | length of each record | the records, one after another

All numbers are 32 bits, big-endian. A record's CRC starts from its number, as everywhere in the journal, so a record at
another number is damage too. How many there are, and the number of the first, is said outside.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from zlib import crc32

NUMBER = 4  # bytes


def pack(first_seq: int, payloads: Sequence[bytes]) -> bytes:
    count = len(payloads)
    crcs = map(crc32, payloads, range(first_seq, first_seq + count))
    return struct.pack(f">{2 * count}I", *crcs, *map(len, payloads)) + b"".join(payloads)


def unpack(first_seq: int, count: int, frame: bytes) -> Iterator[tuple[int, bytes | None]]:
    """The records by number; None for one that does not match its checksum, or is not there at all."""
    head = 2 * count * NUMBER
    if len(frame) < head:
        yield from ((first_seq + i, None) for i in range(count))
        return
    numbers = struct.unpack_from(f">{2 * count}I", frame)
    at = head
    for seq, crc, length in zip(range(first_seq, first_seq + count), numbers[:count], numbers[count:], strict=True):
        payload = frame[at : at + length]
        at += length
        yield seq, payload if len(payload) == length and crc32(payload, seq) == crc else None
