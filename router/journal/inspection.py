"""Looking at a journal from outside: is it whole, and what does it say. Nothing here changes a record.

Both work beside a running daemon, on what is durable at that moment, and on a copy of the files; a log in Redis is
looked at by `redis_inspection`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import apsw
import msgspec
from msgspec import Struct

from router.errors import JournalCorrupt
from router.journal import codec
from router.journal.port import Journal
from router.journal.sqlite import SqliteJournal, is_whole, next_rows

# A badly damaged file could name a million; a person needs the first ones, and to know that there are more.
MAX_LISTED = 1_000


class Report(Struct, frozen=True):
    """What `verify` found."""

    records: int  # whole ones
    last_seq: int  # of the last whole one
    clean: bool  # closed properly; false, too, while a daemon uses it
    gaps: tuple[tuple[int, int], ...] = ()  # first and last missing number
    damaged: tuple[int, ...] = ()  # records that do not match their checksum
    torn: int | None = None  # a last record torn by a crash: no damage, opening drops it
    problems: tuple[str, ...] = ()  # sentences about the file

    @property
    def ok(self) -> bool:
        """Whether a daemon would start on it with everything that was acknowledged."""
        return not (self.gaps or self.damaged or self.problems)


def verify(path: Path) -> Report:
    """Read everything once. Raises JournalVersion for a newer format, JournalFailed when nothing can be read at all."""
    journal = SqliteJournal(path, read_only=True)
    problems: list[str] = []
    clean = False
    try:
        clean = journal.open().clean
    except JournalCorrupt as error:
        problems.append(str(error))
    journal.close()
    with contextlib.closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        scan = _Scan()
        try:
            scan.run(db, journal.torn)
            problems += _page_problems(db)
        except JournalCorrupt as error:
            problems.append(str(error))
    return Report(
        scan.records, scan.last_seq, clean, tuple(scan.gaps), tuple(scan.damaged), journal.torn, tuple(problems)
    )


class _Scan:
    def __init__(self) -> None:
        self.records = 0
        self.last_seq = 0
        self.gaps: list[tuple[int, int]] = []
        self.damaged: list[int] = []

    def run(self, db: apsw.Connection, torn: int | None) -> None:
        seq = 0
        while rows := next_rows(db, seq, torn):
            for row in rows:
                if row[0] != seq + 1 and len(self.gaps) < MAX_LISTED:
                    self.gaps.append((seq + 1, row[0] - 1))
                seq = row[0]
                self._count(seq, is_whole(row))

    def _count(self, seq: int, whole: bool) -> None:
        if whole:
            self.records += 1
            self.last_seq = seq
        elif len(self.damaged) < MAX_LISTED:
            self.damaged.append(seq)


def _page_problems(db: apsw.Connection) -> list[str]:
    """What SQLite finds wrong with its own pages."""
    try:
        found = [str(row[0]) for row in db.execute("PRAGMA quick_check(20)")]
    except (apsw.Error, ValueError) as error:
        found = [str(error)]
    return [f"{db.filename}: {line}" for line in found if line != "ok"]


def export(path: Path, out: BinaryIO, after_seq: int = 0) -> int:
    """As `export_from`, of a journal's file."""
    return export_from(SqliteJournal(path, read_only=True), out, after_seq)


def export_from(journal: Journal, out: BinaryIO, after_seq: int = 0) -> int:
    """Write the records after that number as JSON lines with named fields, and return how many.

    A line is `{"seq", "at", "at_ms", "key", "type", "event": {...}}`, bytes are base64. What was written before a
    JournalCorrupt is
    right.
    """
    journal.open()
    count = 0
    try:
        for line in _lines(journal.read(after_seq)):
            out.write(line)
            count += 1
    finally:
        journal.close()
    return count


def _lines(records: Iterator[tuple[int, bytes]]) -> Iterator[bytes]:
    encode = msgspec.json.Encoder().encode
    for seq, payload in records:
        record = codec.decode(payload)
        line = {
            "seq": seq,
            "at": iso(record.at_ms),
            "at_ms": record.at_ms,
            "key": record.key,
            "type": record.event.__struct_config__.tag,
            "event": codec.named(record.event),
        }
        yield encode(line) + b"\n"


def iso(at_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, without a detour through floating point."""
    seconds, ms = divmod(at_ms, 1_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"
