"""The journal's port: an append-only log with one writer.

What every implementation promises (`tests/journal/contract.py` holds them to it):
- Records are numbered 1, 2, 3 ... without gaps. `append` is all or nothing, and durable when it returns.
- An append that does not continue the numbering raises SequenceGap and writes nothing.
- A failed append raises JournalFailed. Nobody may assume anything of that batch until the journal was opened again.
- Reading verifies a checksum of every record. Damage raises JournalCorrupt with the record's number; only a torn *last*
  record is dropped, and `open` says so in its report.
- Payloads are opaque here; `codec` gives them meaning.

`append` and `read` block. The writer thread calls the first, start-up the second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec import Struct


class Opened(Struct, frozen=True):
    """What opening found."""

    last_seq: int
    clean: bool  # the process before closed it properly, or there was none
    notes: tuple[str, ...] = ()  # sentences for the operator: torn tail dropped, recovered after a crash


class Snapshot(Struct, frozen=True):
    """The engine's state after record `seq`."""

    seq: int
    data: bytes


class Journal(Protocol):
    @property
    def last_seq(self) -> int:
        """The number of the last durable record, 0 if none."""

    def open(self) -> Opened:
        """Open, creating what is missing. Raises JournalVersion, JournalCorrupt, JournalFailed."""

    def append(self, first_seq: int, payloads: Sequence[bytes]) -> None:
        """Make these records durable. Raises SequenceGap, JournalFailed."""

    def read(self, after_seq: int = 0) -> Iterator[tuple[int, bytes]]:
        """The records after that number, in order, each verified. Raises JournalCorrupt."""

    def probe(self) -> None:
        """Prove that an append would work now, without adding a record. Raises JournalFailed."""

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot durably; older ones but one may go."""

    def latest_snapshot(self) -> Snapshot | None:
        """The newest snapshot that is whole and not ahead of the log."""

    def close(self) -> None:
        """Close and mark as closed properly. Closing twice is harmless."""


class History(Journal, Protocol):
    """A journal that can also be looked back in."""

    def snapshot_of(self, seq: int) -> Snapshot | None:
        """The newest whole snapshot of that record or one before it."""
