"""Files that are still there after a power cut.

A file's bytes are durable after an fsync of the file, its name after an fsync of its folder. A name that appears at
once and whole comes from writing under another name on the same file system, syncing, renaming and syncing the
folder. Everything here raises OSError and leaves it to the caller to say what that means.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

# What customers sent us is nobody else's business on this machine.
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
# Unless another program is to read it: then it has the rights that the process gives.
SHARED_FILE = 0o666


def make_folder(folder: Path, private: bool = True) -> None:
    """Make a folder and what is missing above it, so that they survive a power cut. What is above is not private."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(PRIVATE_FOLDER if private else 0o777, exist_ok=True)
    for path in reversed(missing):
        sync_folder(path.parent)


def sync_folder(folder: Path | str) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_whole(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> None:
    """A file that is there whole or not at all, and stays once this returns. One of that name is replaced."""
    draft = path.with_name(f".{path.name}.part")
    draft.unlink(missing_ok=True)  # a crash may have left it
    write_new(draft, (data,), mode=mode)
    os.replace(draft, path)
    sync_folder(path.parent)


def write_new(path: Path | str, parts: Iterable[bytes], sync: bool = True, mode: int = PRIVATE_FILE) -> None:
    """Write a file that must not exist yet and sync its bytes; not its name. A half-written one is removed."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        for part in parts:
            write_all(fd, part)
        if sync:
            os.fsync(fd)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """`os.write` may take less than it is given: on a full disk, or beyond 2 GiB."""
    written = os.write(fd, data)
    if written < len(data):
        rest = memoryview(data)[written:]
        while rest:
            rest = rest[os.write(fd, rest) :]


def remove(paths: Iterable[Path]) -> None:
    """Remove leftovers. One that cannot be removed now is found again at the next start."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()
