"""One process writes a journal: a lock on a file beside it.

A POSIX record lock, because it goes away with its process however that ends, and because a forked worker does not
inherit it: a worker that outlives a killed daemon must not keep the next daemon out. Such a lock has two gaps,
closed by the set of paths held in this process: it does not exclude a second opener in the same process, and
closing *any* descriptor of the file drops it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from pathlib import Path

from router.errors import JournalFailed
from router.journal.files import PRIVATE_FILE

_held: set[Path] = set()
_guard = threading.Lock()


class FileLock:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._key = path.absolute()
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock, or raise JournalFailed that names the process which has it. Taking it twice is harmless."""
        if self._fd is not None:
            return
        self._key = self.path.resolve()
        with _guard:
            if self._key in _held:
                raise JournalFailed(f"{self.path}: this process already uses this journal; close it there first")
            self._fd = self._lock()
            _held.add(self._key)

    def _lock(self) -> int:
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise JournalFailed(
                f"{self.path}: another process (pid {owner}) uses this journal; stop it, or give this one other data"
            ) from error
        with contextlib.suppress(OSError):  # only for the message above: a full disk must not stop us here
            os.ftruncate(fd, 0)
            os.pwrite(fd, b"%d\n" % os.getpid(), 0)
        return fd

    def release(self) -> None:
        with _guard:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None
                _held.discard(self._key)
