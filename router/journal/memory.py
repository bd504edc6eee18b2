"""The journal in memory: the same promises for as long as the object lives, and failures on request.

For tests and the simulator. What a disk would hold is `disk`; everything else is what a process knows and loses. So
closing and opening again, or `crashed()`, behave as they would with a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from router.errors import JournalCorrupt, JournalFailed, SequenceGap
from router.journal.port import Opened, Snapshot


@dataclass
class Disk:
    """What survives the process."""

    records: list[tuple[int, bytes]] = field(
        default_factory=list
    )  # (crc, payload); the number is the position plus one
    snapshots: dict[int, bytes] = field(default_factory=dict)
    closed: bool = True


class MemoryJournal:
    """See `port.Journal`. `fail_after`, `crashed` and `damage` are the bad days."""

    def __init__(self, disk: Disk | None = None) -> None:
        self.disk = disk or Disk()
        self.appends = 0  # batches taken so far, for tests that count them
        self._last_seq = 0
        self._stopped = "it is not open"
        self._good_appends: int | None = None  # how many more succeed; None: all
        self._keeps_failed = False

    # --- faults ---

    def fail_after(self, appends: int, *, keep: bool = False) -> None:
        """Let that many appends or probes succeed and all later ones fail, until `heal`.

        With `keep` the failed batch is on the disk all the same, as it may be after a failed fsync: opening finds it.
        """
        self._good_appends, self._keeps_failed = appends, keep

    def fail_next(self, *, keep: bool = False) -> None:
        self.fail_after(0, keep=keep)

    def heal(self) -> None:
        """The disk works again. What has failed stays failed until it is opened again."""
        self._good_appends = None

    def crashed(self) -> MemoryJournal:
        """A new process on a copy of what this one would leave behind if it were killed now; not open yet."""
        return MemoryJournal(Disk(list(self.disk.records), dict(self.disk.snapshots), closed=self.disk.closed))

    def damage(self, seq: int) -> None:
        """Flip a bit of a record on the disk."""
        crc, payload = self.disk.records[seq - 1]
        self.disk.records[seq - 1] = (crc ^ 1, payload)

    # --- the port ---

    @property
    def last_seq(self) -> int:
        return self._last_seq

    def open(self) -> Opened:
        records, clean = self.disk.records, self.disk.closed
        torn = bool(records) and not self._is_whole(len(records))
        if torn and clean:
            raise JournalCorrupt(len(records), "the journal was closed with it, and now it is damaged")
        notes = [] if clean else [f"recovered after a crash; {len(records) - torn} records"]
        if torn:
            notes.append(f"record {len(records)} was torn by a crash while it was written, and is dropped")
            records.pop()
        self._last_seq = len(records)
        self.disk.snapshots = {seq: data for seq, data in self.disk.snapshots.items() if seq <= self._last_seq}
        self.disk.closed = False
        self._stopped = ""
        return Opened(self._last_seq, clean, tuple(notes))

    def append(self, first_seq: int, payloads: Sequence[bytes]) -> None:
        assert payloads, "an empty append is the caller's bug"
        self._check_open()
        if first_seq != self._last_seq + 1:
            raise SequenceGap(self._last_seq + 1, first_seq)
        batch = [(crc32(payload, seq), payload) for seq, payload in enumerate(payloads, first_seq)]
        self._meet_fault(batch)
        self.disk.records += batch
        self._last_seq += len(batch)
        self.appends += 1

    def probe(self) -> None:
        self._check_open()
        self._meet_fault([])

    def read(self, after_seq: int = 0) -> Iterator[tuple[int, bytes]]:
        if self._stopped == "it is not open":
            raise JournalFailed("it is not open; open it first")
        for seq in range(after_seq + 1, len(self.disk.records) + 1):
            if not self._is_whole(seq):
                raise JournalCorrupt(seq, "it does not match its checksum")
            yield seq, self.disk.records[seq - 1][1]

    def save_snapshot(self, snapshot: Snapshot) -> None:
        assert snapshot.seq <= self._last_seq, "a snapshot of records that are not durable yet"
        self.disk.snapshots[snapshot.seq] = snapshot.data
        for seq in sorted(self.disk.snapshots)[:-2]:
            del self.disk.snapshots[seq]

    def latest_snapshot(self) -> Snapshot | None:
        seq = max(self.disk.snapshots, default=None)
        return None if seq is None else Snapshot(seq, self.disk.snapshots[seq])

    def close(self) -> None:
        if not self._stopped:
            self.disk.closed = True
        self._stopped = "it is not open"

    def _check_open(self) -> None:
        if self._stopped:
            raise JournalFailed(f"nothing is taken, since {self._stopped}; open it again")

    def _meet_fault(self, batch: list[tuple[int, bytes]]) -> None:
        if self._good_appends is None:
            return
        if self._good_appends > 0:
            self._good_appends -= 1
            return
        if self._keeps_failed:
            self.disk.records += batch
        self._stopped = f"record {self._last_seq + 1} is not durable (a fault that a test asked for)"
        raise JournalFailed(self._stopped)

    def _is_whole(self, seq: int) -> bool:
        crc, payload = self.disk.records[seq - 1]
        return crc32(payload, seq) == crc
