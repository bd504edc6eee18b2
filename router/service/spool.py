"""Many small files made durable by one sync.

A sync costs a few hundred microseconds of CPU and a few milliseconds of an ordinary disk, whatever it syncs. A mail
of 4 KiB as a file of its own needs two (the file, its folder), which is more than receiving the mail costs. So the
contents of a batch first go into a pack, one file that is only appended to, and one sync of it makes them all
durable. The files themselves are written unsynced beside it. Now and then the whole file system is synced once, and
the packs before that are dropped. After a crash the packs say what the files must hold, and they are written again:
unconditionally, because what reads well from memory after a failed write need not be on the disk.

A pack is a sequence of frames: length, SHA-256, data. A frame verifies itself, and the first that does not is the
torn end.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from router.journal.files import PRIVATE_FILE, sync_folder, write_all

FRAME = struct.Struct(">I32s")
SUFFIX = ".pack"

# What a restart after a kill has to write again: well under a second.
PACK_BYTES = 32 << 20


class Spool:
    """The packs in one folder. Not for several threads at once, but for `drop`. Everything raises OSError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._next = 1 + max((int(path.stem) for path in self.packs()), default=0)
        self._fd = -1
        self._path = folder
        self._size = 0
        self.closed: list[Path] = []  # complete, and still needed

    def packs(self) -> list[Path]:
        """What is there, oldest first: at the start, what a killed process left."""
        packs = (path for path in self.folder.glob(f"*{SUFFIX}") if path.stem.isdecimal())
        return sorted(packs, key=lambda path: int(path.stem))

    @property
    def is_full(self) -> bool:
        return self._size >= PACK_BYTES

    def append(self, contents: Mapping[str, bytes]) -> None:
        """Make these contents durable. After a failure nobody knows how the pack ends: the next go into another."""
        if self._fd < 0:
            self._start()
        frames = [part for digest, data in contents.items() for part in (_head(digest, data), data)]
        try:
            write_all(self._fd, b"".join(frames))
            os.fdatasync(self._fd)
        except OSError:
            self.turn()
            raise
        self._size += sum(map(len, frames))

    def _start(self) -> None:
        path = self.folder / f"{self._next}{SUFFIX}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, PRIVATE_FILE)
        self._next += 1
        self._fd, self._path, self._size = fd, path, 0
        try:
            sync_folder(self.folder)
        except OSError:
            self.turn()
            raise

    def turn(self) -> None:
        """Close the present pack; the next content opens another."""
        if self._fd < 0:
            return
        os.close(self._fd)
        if self._size:
            self.closed.append(self._path)
        else:  # nothing in it was ever acknowledged
            drop([self._path])
        self._fd, self._size = -1, 0


def _head(digest: str, data: bytes) -> bytes:
    return FRAME.pack(len(data), bytes.fromhex(digest))


def drop(packs: list[Path]) -> None:
    """Remove packs whose contents are in synced files. One that stays is written again at the next start, no more."""
    for path in packs:
        with contextlib.suppress(OSError):
            path.unlink()


def contents_of(pack: Path) -> Iterator[tuple[str, bytes]]:
    """The whole frames of a pack, up to a torn end."""
    with pack.open("rb") as file:
        while len(head := file.read(FRAME.size)) == FRAME.size:
            length, digest = FRAME.unpack(head)
            data = file.read(length)
            if hashlib.sha256(data, usedforsecurity=False).digest() != digest:
                return
            yield digest.hex(), data


def _find_syncfs() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    try:
        function: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None
    return function


_syncfs = _find_syncfs()


def sync_filesystem(fd: int) -> bool:
    """Sync the file system that this open folder is on; False where the system cannot do that.

    Raises OSError when anything written there since the folder was opened, or since the last call, could not be (Linux
    5.8; before that, failures of writing back show only when content is read).
    """
    if _syncfs is None:
        return False
    if _syncfs(fd):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return True
