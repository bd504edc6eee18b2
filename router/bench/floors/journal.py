"""The journal floors: the disk alone, and SQLite with nothing around it.

Events are 300 bytes. `Raw` appends 4 KiB and syncs: no journal can be faster on this disk. `Rows` commits a batch as
rows of one transaction, WAL and synchronous=FULL, through the standard library.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec

PAGE = bytes(4096)
EVENT = msgspec.msgpack.encode({"type": "offered", "interaction": "i-000000004711", "agent": "a-42", "data": "x" * 241})
assert len(EVENT) == 300, len(EVENT)


class Raw:
    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / "raw", os.O_WRONLY | os.O_CREAT)
        os.write(self._fd, bytes(1 << 20))
        os.fsync(self._fd)

    def append(self, events: Sequence[bytes]) -> None:
        os.write(self._fd, PAGE)
        os.fdatasync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


class Rows:
    def __init__(self, folder: Path) -> None:
        self.db = sqlite3.connect(folder / "floor.db", isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=FULL")
        self.db.execute("CREATE TABLE journal (seq INTEGER PRIMARY KEY, stream INTEGER, event BLOB)")
        self._seq = itertools.count(1)

    def append(self, events: Sequence[bytes]) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        rows = [(seq, seq & 0xFFFFF, event) for event, seq in zip(events, self._seq, strict=False)]
        self.db.executemany("INSERT INTO journal VALUES (?, ?, ?)", rows)
        self.db.execute("COMMIT")

    def close(self) -> None:
        self.db.close()
