"""The journal in one SQLite file: durable group commit without a server.

Why it may be trusted, and where the trust ends:

- WAL and synchronous=FULL: COMMIT returns after the log of pages was synced. A batch is one transaction, so it is
  there or not.
- SQLite guards its WAL with checksums, but not the pages of the file itself, where bits rot. So every record
  carries a CRC that starts from its number: a payload at another number is damage too. Reading verifies all that it
  reads; opening looks at the last record only, because a journal of years must not take minutes to open.
- A failed COMMIT leaves open what is on the disk (a failed fsync may even have dropped pages that it will never
  write again). So this is fail-stop: after the first failure the instance refuses everything until `open` has
  looked at the disk anew.
- One writer: a lock on a side file for processes, a mutex for the threads of this one. Readers need neither; each
  reading has its own connection, in slices, so that a slow reader never keeps the WAL from being folded back into
  the file.

The file holds three tables: the records (no second index: it would cost as much as the records), `formats` (from
which record on which codec format), `meta` (identity, probe, `closed_at`: the last record when it was closed
properly, absent while in use).

SQLite folds the WAL into the file every CHECKPOINT_PAGES, inside the COMMIT that reaches them, and then writes the
WAL anew from its start: it stays small, and overwriting a file costs about half of what growing it does.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import apsw

from router.errors import JournalCorrupt, JournalError, JournalFailed, SequenceGap
from router.journal import codec
from router.journal.files import PRIVATE_FILE, make_folder
from router.journal.lock import FileLock
from router.journal.port import Opened, Snapshot
from router.journal.snapshots import SnapshotFolder

# 4 MiB of WAL: the commit that has to fold it in takes some 10 ms. More makes such stalls rarer, and longer.
CHECKPOINT_PAGES = 1_000

# Rows fetched at once when reading: enough to spread the cost of a query, few enough for records of 100 kB.
SLICE = 1_000

# How long a statement waits for a reader in another process that is just recovering the WAL.
BUSY_MS = 5_000

APPLICATION_ID = 0x53574A4C  # "SWJL" in the file's header

SCHEMA = (
    "CREATE TABLE records (seq INTEGER PRIMARY KEY, crc INTEGER NOT NULL, payload BLOB NOT NULL)",
    "CREATE TABLE formats (first_seq INTEGER PRIMARY KEY, format INTEGER NOT NULL)",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
)
INSERT = "INSERT INTO records VALUES (?, ?, ?)"
SELECT = "SELECT seq, crc, payload FROM records WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ?"
SELECT_LAST_TWO = "SELECT seq, crc, payload FROM records ORDER BY seq DESC LIMIT 2"
SELECT_FORMATS = "SELECT first_seq, format FROM formats ORDER BY first_seq"
NO_END = 1 << 62

# What comes of pages that are not what SQLite wrote; the last two of values that have become others. The rest of its
# errors are about the disk, not about the content.
DAMAGE = (
    apsw.NotADBError,
    apsw.CorruptError,
    apsw.FormatError,
    apsw.SQLError,
    apsw.MismatchError,
    apsw.ConstraintError,
    ValueError,
    TypeError,
)

Row = Sequence[Any]  # seq, crc, payload: a damaged page may give anything


class SqliteJournal:
    """See `port.Journal`. `read_only` opens without a lock, beside a running daemon too, and changes nothing.

    `format` and `upcasts` are those of `codec`, `vfs` is SQLite's own: tests put older formats and failing disks there.
    """

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        format: int = codec.FORMAT,
        upcasts: Mapping[int, codec.Upcast] = codec.UPCASTS,
        vfs: str | None = None,
    ) -> None:
        self.path = path
        self.read_only = read_only
        self.format, self.upcasts, self.vfs = format, upcasts, vfs
        self._lock = FileLock(path.with_name(path.name + ".lock"))
        self._mutex = threading.Lock()
        self._db: apsw.Connection | None = None
        self._stopped = "it is not open"  # why nothing is taken; empty while all is well
        self._last_seq = 0
        self.torn: int | None = None  # read_only: a torn last record, which reading leaves out
        self._formats: list[tuple[int, int]] = []  # (first seq, format), ascending
        self._snapshots = SnapshotFolder(path.with_name("snapshots"))

    @property
    def last_seq(self) -> int:
        return self._last_seq

    # --- open and close ---

    def open(self) -> Opened:
        with self._mutex:
            self._disconnect()
            try:
                with _explained(self.path, "cannot be opened"):
                    opened = self._look() if self.read_only else self._take_over()
            except BaseException:
                self._disconnect()
                raise
            self._stopped = "it was opened to read only" if self.read_only else ""
            return opened

    def close(self) -> None:
        with self._mutex:
            try:
                if self._db is not None and not self._stopped:
                    with _explained(self.path, "could not be marked as closed; nothing is lost"):
                        _set(self._db, "closed_at", self._last_seq)
            finally:
                self._disconnect()
                self._stopped = self._stopped or "it is closed"

    def _disconnect(self) -> None:
        if self._db is not None:
            with contextlib.suppress(apsw.Error):  # it folds the WAL back if it can; the next opening does otherwise
                self._db.close()
            self._db = None
        self._lock.release()

    def _look(self) -> Opened:
        if not self.path.exists():
            raise JournalFailed(f"{self.path}: there is no journal; check the path")
        self._db = db = self._connect(apsw.SQLITE_OPEN_READONLY)
        opened, self.torn = self._inspect(db)
        return opened

    def _take_over(self) -> Opened:
        make_folder(self.path.parent, private=False)  # drop folders stand there too
        self._lock.acquire()
        self.path.touch(PRIVATE_FILE)  # SQLite gives its WAL the rights of the file
        self._db = db = self._connect(apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        if _is_empty(db):
            _create(db, self.format)
        opened, torn = self._inspect(db)
        _fold(db)
        with _transaction(db):
            if torn:  # its bytes stay for whoever wants to know; it is no record any more
                db.execute("INSERT OR REPLACE INTO meta SELECT 'torn', payload FROM records WHERE seq = ?", (torn,))
                db.execute("DELETE FROM records WHERE seq = ?", (torn,))
            db.execute("DELETE FROM meta WHERE key = 'closed_at'")
            if self._formats[-1][1] < self.format:
                self._formats = [*self._formats, (self._last_seq + 1, self.format)]
                db.execute("INSERT OR REPLACE INTO formats VALUES (?, ?)", self._formats[-1])
        self.torn = None
        unreal = self._snapshots.remove_unreal(self._last_seq)
        return Opened(opened.last_seq, opened.clean, (*opened.notes, *unreal))

    def _inspect(self, db: apsw.Connection) -> tuple[Opened, int | None]:
        """What is in the file, and the number of its last record if that is torn. Changes nothing."""
        if db.pragma("application_id") != APPLICATION_ID:
            raise JournalCorrupt(0, f"{self.path} is a database but no journal; check the path, or restore a backup")
        self._formats = [(int(seq), int(version)) for seq, version in _rows(db, SELECT_FORMATS)]
        codec.check_format(max(version for _, version in self._formats), self.format)
        self._snapshots.journal = bytes.fromhex(_get(db, "identity"))
        closed_at = _get(db, "closed_at")  # before the records: beside a running daemon they only grow
        self._last_seq, torn = self._end(db)
        if closed_at is not None and self._last_seq < closed_at:
            # What was closed properly was whole, and all of it acknowledged. Dropping it would be silent loss.
            raise JournalCorrupt(closed_at, f"{self.path} was closed with it, and now it is damaged; restore a backup")
        return Opened(self._last_seq, closed_at is not None, self._notes(closed_at is not None, torn)), torn

    def _end(self, db: apsw.Connection) -> tuple[int, int | None]:
        """The number of the last whole record, and of a torn one behind it."""
        rows = _rows(db, SELECT_LAST_TWO)
        if not rows or is_whole(rows[0]):
            return (rows[0][0] if rows else 0), None
        if len(rows) > 1 and not is_whole(rows[1]):
            raise JournalCorrupt(rows[1][0], f"it does not match its checksum in {self.path}; restore a backup")
        return (rows[1][0] if len(rows) > 1 else 0), rows[0][0]

    def _notes(self, clean: bool, torn: int | None) -> tuple[str, ...]:
        notes = []
        if not clean and self.read_only:
            notes.append(f"{self.path}: in use, or left by a crash; {self._last_seq} records")
        elif not clean:
            notes.append(f"{self.path}: recovered after a crash; {self._last_seq} records")
        if torn:
            notes.append(f"{self.path}: record {torn} was torn by a crash while it was written, and is dropped")
        return tuple(notes)

    def _connect(self, flags: int) -> apsw.Connection:
        """One statement for each call: `execute` stops at the first that yields a row, and drops the rest silently."""
        db = apsw.Connection(str(self.path), flags=flags, vfs=self.vfs)
        try:
            db.set_busy_timeout(BUSY_MS)
            if not flags & apsw.SQLITE_OPEN_READONLY:
                if db.pragma("journal_mode", "wal") != "wal":
                    raise JournalFailed(
                        f"{self.path}: this file system cannot hold a WAL; put the data on a local disk"
                    )
                db.pragma("synchronous", "FULL")
                db.pragma("fullfsync", True)  # macOS: an fsync that reaches the disk
                db.pragma("checkpoint_fullfsync", True)
                db.wal_autocheckpoint(CHECKPOINT_PAGES)
            db.pragma("cell_size_check", True)  # finds damaged pages when they are first read
            db.pragma("trusted_schema", False)
        except BaseException:
            db.close()
            raise
        return db

    # --- write ---

    def append(self, first_seq: int, payloads: Sequence[bytes]) -> None:
        assert payloads, "an empty append is the caller's bug"
        with self._mutex:
            db = self._writable()
            if first_seq != self._last_seq + 1:
                raise SequenceGap(self._last_seq + 1, first_seq)
            seqs = range(first_seq, first_seq + len(payloads))
            try:
                db.execute("BEGIN IMMEDIATE")
                db.executemany(INSERT, zip(seqs, map(crc32, payloads, seqs), payloads, strict=True))
                db.execute("COMMIT")
            except (apsw.Error, OSError, MemoryError) as error:
                raise self._stop(f"record {first_seq} is not durable", error) from error
            self._last_seq = seqs[-1]

    def probe(self) -> None:
        with self._mutex:
            db = self._writable()
            try:
                db.execute("UPDATE meta SET value = value + 1 WHERE key = 'probe'")
            except (apsw.Error, OSError, MemoryError) as error:
                raise self._stop("a trial write is not durable", error) from error

    def _writable(self) -> apsw.Connection:
        if self._stopped or self._db is None:
            raise JournalFailed(f"{self.path}: nothing is taken, since {self._stopped}; open it again")
        return self._db

    def _stop(self, what: str, error: BaseException) -> JournalFailed:
        self._stopped = f"{what} ({_text(error)})"
        if self._db is not None and self._db.in_transaction:
            with contextlib.suppress(apsw.Error):
                self._db.execute("ROLLBACK")
        return JournalFailed(f"{self.path}: {self._stopped}; check the disk and its free space, then open it again")

    # --- read ---

    def read(self, after_seq: int = 0) -> Iterator[tuple[int, bytes]]:
        if self._db is None:
            raise JournalFailed(f"{self.path}: {self._stopped}; open it first")
        with _explained(self.path, "cannot be read"):
            db = self._connect(apsw.SQLITE_OPEN_READONLY)
        try:
            seq = after_seq
            while rows := next_rows(db, seq, self.torn):
                yield from self._verified(rows, seq)
                seq = rows[-1][0]
                if self.read_only:  # beside a running daemon the log grows, and what can be read is durable
                    self._last_seq = max(self._last_seq, seq)
        finally:
            db.close()

    def _verified(self, rows: list[Row], after_seq: int) -> Iterator[tuple[int, bytes]]:
        good = first_bad(rows, after_seq)
        if self._formats[-1][0] > after_seq + 1:
            yield from (self._translated(seq, payload) for seq, _, payload in rows[:good])
        else:
            yield from ((seq, payload) for seq, _, payload in rows[:good])
        if good < len(rows):
            expected = after_seq + 1 + good
            why = "it is missing" if rows[good][0] != expected else "it does not match its checksum"
            raise JournalCorrupt(expected, f"{why} in {self.path}; restore a backup")

    def _translated(self, seq: int, payload: bytes) -> tuple[int, bytes]:
        """A record that may be of an older format, in today's."""
        found = self._formats[bisect_right(self._formats, seq, key=lambda entry: entry[0]) - 1][1]
        if found == self.format:
            return seq, payload
        return seq, codec.upcast(payload, found, self.format, self.upcasts)

    # --- snapshots ---

    def save_snapshot(self, snapshot: Snapshot) -> None:
        assert snapshot.seq <= self._last_seq, "a snapshot of records that are not durable yet"
        self._snapshots.save(snapshot)

    def latest_snapshot(self) -> Snapshot | None:
        return self._snapshots.latest(self._last_seq)

    def snapshot_of(self, seq: int) -> Snapshot | None:
        """The newest whole one of that record or one before it, to look back from there."""
        return self._snapshots.latest(min(seq, self._last_seq))

    @property
    def snapshot_notes(self) -> tuple[str, ...]:
        """What the last `latest_snapshot` skipped, and why."""
        return tuple(self._snapshots.notes)


def next_rows(db: apsw.Connection, after_seq: int, end: int | None = None) -> list[Row]:
    """Up to SLICE rows before `end`. Those before a damaged page come first, so that the error has the right number."""
    rows: list[Row] = []
    try:
        rows.extend(db.execute(SELECT, (after_seq, end or NO_END, SLICE)))
    except DAMAGE as error:
        if not rows:
            why = f"{db.filename} cannot be read from here on ({_text(error)}); restore a backup"
            raise JournalCorrupt(after_seq + 1, why) from error
    except apsw.Error as error:
        raise JournalFailed(f"{db.filename} cannot be read ({_text(error)}); check the disk") from error
    return rows


def first_bad(rows: Sequence[Row], after_seq: int) -> int:
    """The index of the first row that does not follow or does not match its checksum; len(rows) if all are whole."""
    seqs, crcs, payloads = zip(*rows, strict=True)
    with contextlib.suppress(TypeError):  # a damaged page may give a payload of another type
        if seqs == tuple(range(after_seq + 1, after_seq + 1 + len(rows))) and tuple(map(crc32, payloads, seqs)) == crcs:
            return len(rows)
    wrong = (i for i, row in enumerate(rows) if row[0] != after_seq + 1 + i or not is_whole(row))
    return next(wrong, len(rows))


def is_whole(row: Row) -> bool:
    seq, crc, payload = row
    return isinstance(payload, bytes) and crc32(payload, seq) == crc


def _is_empty(db: apsw.Connection) -> bool:
    tables = db.execute("SELECT count(*) FROM sqlite_schema").get
    return bool(tables == 0 and db.pragma("application_id") == 0)


def _create(db: apsw.Connection, version: int) -> None:
    with _transaction(db):
        for statement in SCHEMA:
            db.execute(statement)
        db.execute("INSERT INTO formats VALUES (1, ?)", (version,))
        for key, value in (("identity", uuid.uuid4().hex), ("probe", 0), ("closed_at", 0)):
            _set(db, key, value)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _fold(db: apsw.Connection) -> None:
    """Write the WAL into the file, before anything is decided on what it says.

    After a failed fsync the WAL may read well from memory and be nowhere on the disk, and a later fsync of it would
    find nothing to do. Folding writes these pages once more, to another file, and syncs that.
    """
    with contextlib.suppress(apsw.BusyError):  # a reader in another process: it stays a WAL for now
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def _rows(db: apsw.Connection, query: str) -> list[Any]:
    return db.execute(query).fetchall()


def _get(db: apsw.Connection, key: str) -> Any:
    return db.execute("SELECT value FROM meta WHERE key = ?", (key,)).get


def _set(db: apsw.Connection, key: str, value: int | str | bytes) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


@contextlib.contextmanager
def _transaction(db: apsw.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(apsw.Error):
            db.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def _explained(path: Path, what: str) -> Iterator[None]:
    """Errors of SQLite and of the disk as errors of the journal."""
    try:
        yield
    except JournalError:
        raise
    except DAMAGE as error:
        raise JournalCorrupt(0, f"{path} {what}, it is damaged ({_text(error)}); restore a backup") from error
    except (apsw.Error, OSError) as error:
        raise JournalFailed(f"{path} {what} ({_text(error)}); check the disk, its free space and the rights") from error


def _text(error: BaseException) -> str:
    """SQLite's message, with the name of the extended code: "disk I/O error" alone tells nobody what failed."""
    name = apsw.mapping_extended_result_codes.get(getattr(error, "extendedresult", 0))
    return f"{error}, {name}" if isinstance(name, str) else str(error)
