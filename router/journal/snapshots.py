"""Snapshots: where a restart begins instead of at record 1.

A snapshot is a cache of the log. It may be missing or damaged at no other price than time, so whatever is wrong
with one means "skip it and say so", never "refuse". Two are kept: if the newest turns out damaged, the one before
bounds the replay.

What must not happen is a snapshot of records that are not in the log: it would be a state that never was. Hence the
header names the journal that it belongs to, and one that is ahead of the log is removed when the journal is opened,
before the log can grow past it with other records.

File `SEQ.snapshot`: magic, format, journal, seq, length, crc32 of all that and of the data; then the data.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from router.errors import JournalFailed
from router.journal.files import make_folder, remove, sync_folder, write_new
from router.journal.port import Snapshot

MAGIC = b"SWBDSNAP"
FORMAT = 1
KEPT = 2

HEAD = struct.Struct(">8sI16sQQ")
CRC = struct.Struct(">I")
SUFFIX = ".snapshot"
NO_JOURNAL = bytes(16)


class Unusable(Exception):
    """Why a snapshot file is skipped."""


class SnapshotFolder:
    """The snapshots of the journal with this 16-byte identity."""

    def __init__(self, folder: Path, journal: bytes = NO_JOURNAL) -> None:
        assert len(journal) == len(NO_JOURNAL)
        self.folder = folder
        self.journal = journal
        self.notes: list[str] = []  # sentences for the operator about what the last call skipped

    def save(self, snapshot: Snapshot) -> None:
        """Keep a snapshot durably and let go of all but the newest two.

        Raises JournalFailed when the disk does not take it; the log and the older snapshots are unharmed then.
        """
        target = self._path(snapshot.seq)
        draft = target.with_suffix(".tmp")
        try:
            make_folder(self.folder)
            draft.unlink(missing_ok=True)
            write_new(draft, (header(snapshot, self.journal), snapshot.data))
            draft.rename(target)
            sync_folder(self.folder)
        except OSError as error:
            remove([draft])
            raise JournalFailed(
                f"{target}: the snapshot could not be written ({error}); a restart will take longer"
            ) from error
        remove(self._files()[KEPT:])

    def latest(self, last_seq: int) -> Snapshot | None:
        """The newest whole snapshot of record `last_seq` or one before it. `notes` says what was skipped and why."""
        self.notes = []
        for path in self._files():
            if _seq_of(path) > last_seq:
                continue
            try:
                return self._load(path)
            except (Unusable, OSError) as error:
                self.notes.append(f"{path.name}: skipped, {error}")
        return None

    def remove_unreal(self, last_seq: int) -> list[str]:
        """Remove drafts, and snapshots of records that the log does not hold; a sentence for each of the latter."""
        ahead = [path for path in self._files() if _seq_of(path) > last_seq]
        remove([*ahead, *self.folder.glob("*.tmp")])
        return [f"{path.name}: removed, it is ahead of the log, which ends at record {last_seq}" for path in ahead]

    def _path(self, seq: int) -> Path:
        return self.folder / f"{seq:016d}{SUFFIX}"

    def _files(self) -> list[Path]:
        """Newest first."""
        files = (path for path in self.folder.glob(f"*{SUFFIX}") if path.stem.isdecimal())
        return sorted(files, key=_seq_of, reverse=True)

    def _load(self, path: Path) -> Snapshot:
        return parse(path.read_bytes(), self.journal, _seq_of(path))


def header(snapshot: Snapshot, journal: bytes) -> bytes:
    """What stands before the data of a snapshot of the journal with this identity."""
    head = HEAD.pack(MAGIC, FORMAT, journal, snapshot.seq, len(snapshot.data))
    return head + CRC.pack(zlib.crc32(snapshot.data, zlib.crc32(head)))


def parse(raw: bytes, journal: bytes, named: int) -> Snapshot:
    """The snapshot that is kept under this record's number. Raises Unusable."""
    if len(raw) < HEAD.size + CRC.size:
        raise Unusable("it is cut short")
    magic, version, owner, seq, length = HEAD.unpack_from(raw)
    if magic != MAGIC:
        raise Unusable("it is not a snapshot")
    if version != FORMAT:
        raise Unusable(f"it has format {version}, this version reads {FORMAT}")
    if owner != journal:
        raise Unusable("it belongs to another journal")
    data = raw[HEAD.size + CRC.size :]
    (crc,) = CRC.unpack_from(raw, HEAD.size)
    if len(data) != length or zlib.crc32(data, zlib.crc32(raw[: HEAD.size])) != crc:
        raise Unusable("it is damaged")
    if seq != named:
        raise Unusable(f"it is of record {seq}, which its name denies")
    return Snapshot(seq, data)


def _seq_of(path: Path) -> int:
    return int(path.stem)
