"""What is done in a drop folder: list, ask for a lock, open, take out. Blocking, for use in a thread.

Anybody may write into a drop folder, so nothing here follows a link, waits for a pipe or trusts that a name still means
what it meant a moment ago: files are known by their stamp, and looked at through the descriptor that was opened.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from channels.scan.watch import Seen

# A file on its way out carries this name for an instant; what a crash leaves behind is sorted out at the next start.
_ASIDE = ".switchboard-out-"
_ASIDE_NAME = re.compile(re.escape(_ASIDE) + r"([0-9a-f]+)-([0-9a-f]+)(\..*)?", re.DOTALL)


class Changed(Exception):
    """The name no longer means the file that was seen: it is left alone and watched anew."""


@dataclass
class Listing:
    files: list[Seen] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)  # symlink, fifo, device, socket, folder: never touched
    cut: bool = False  # there is more than was read


def seen_of(name: str, status: os.stat_result, locked: bool = False) -> Seen:
    return Seen(name, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, locked)


def list_folder(path: Path, quiet: Callable[[Seen], bool], most: int) -> Listing:
    """Up to `most` entries. A lock is asked for only where `quiet` says that all else is settled. Raises OSError."""
    listing = Listing()
    with os.scandir(path) as entries:
        for entry in islice(entries, most):
            if entry.name.startswith(_ASIDE):
                continue
            with contextlib.suppress(FileNotFoundError):  # gone since it was listed
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    file = seen_of(entry.name, status)
                    locked = quiet(file) and is_locked(path / entry.name)
                    listing.files.append(seen_of(entry.name, status, locked) if locked else file)
                else:
                    listing.others[_kind(status.st_mode)] += 1
        listing.cut = next(entries, None) is not None
    return listing


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISLNK, "symlink"), (stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "fifo"), (stat.S_ISSOCK, "socket"))
    return next((name for test, name in kinds if test(mode)), "device")


def open_file(path: Path) -> int:
    """A descriptor of a regular file. Raises OSError: ELOOP for a link, ENXIO for what is no regular file."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.ENXIO, "not a regular file", str(path))
    return fd


def is_locked(path: Path) -> bool:
    """Whether somebody holds a lock (flock), as HylaFAX does while a fax comes in. Ours is given back at once."""
    try:
        fd = open_file(path)
    except OSError:
        return False  # gone, or not ours to read: found out when it is taken
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system without locks
    finally:
        os.close(fd)
    return False


def open_seen(folder: Path, file: Seen) -> int:
    """A descriptor of exactly the file that was seen. Raises Changed, or OSError."""
    try:
        fd = open_file(folder / file.name)
    except FileNotFoundError:
        raise Changed from None
    except OSError as problem:
        if problem.errno in (errno.ELOOP, errno.ENXIO):
            raise Changed from None
        raise
    if seen_of(file.name, os.fstat(fd)).stamp != file.stamp:
        os.close(fd)
        raise Changed
    return fd


def check_unchanged(folder: Path, file: Seen) -> None:
    """Raises Changed unless the name still means the file that was seen, with every byte as it was."""
    try:
        status = os.lstat(folder / file.name)
    except FileNotFoundError:
        raise Changed from None
    if seen_of(file.name, status).stamp != file.stamp:
        raise Changed


def read_seen(folder: Path, file: Seen, most: int) -> bytes:
    """At most `most` bytes of it, and one more if it is longer. Raises Changed, or OSError."""
    fd = open_seen(folder, file)
    with os.fdopen(fd, "rb") as stream:
        return stream.read(most + 1)


def settle_on_disk(fd: int) -> None:
    """Make the file's own dates durable before it is recorded under them: after a power cut it is the same file."""
    with contextlib.suppress(OSError):  # read-only file systems and some network shares cannot
        os.fsync(fd)


def take_out(folder: Path, file: Seen) -> None:
    """Remove the file that was seen, and durably so. Raises Changed and removes nothing if it is another one by now.

    Between a look and an unlink a writer can put a new file under the name, which would be lost. So the name is moved
    aside first, which nobody can come between, and looked at there; what turns out to be new is put back.
    """
    check_unchanged(folder, file)
    aside = folder / f"{_ASIDE}{file.inode:x}-{file.mtime_ns:x}{_suffix(file.name)}"
    os.rename(folder / file.name, aside)
    status = os.lstat(aside)
    if (status.st_ino, status.st_mtime_ns, status.st_size) != (file.inode, file.mtime_ns, file.size):
        _put_back(aside, folder / file.name)
        raise Changed
    os.unlink(aside)
    sync_folder(folder)


def _suffix(name: str) -> str:
    return Path(name).suffix if len(Path(name).suffix) <= 16 else ""


def _put_back(aside: Path, path: Path) -> None:
    """Under its name, or if that is taken again, under another: never over something."""
    for place in (path, path.with_name(f"again-{aside.name.removeprefix(_ASIDE)}")):
        try:
            os.link(aside, place, follow_symlinks=False)
        except OSError:
            if os.path.lexists(place):
                continue
            os.rename(aside, place)  # a file system without links
            return
        os.unlink(aside)
        return


def sort_out(folder: Path) -> int:
    """After a crash: finish what `take_out` had begun. How many files were aside."""
    count = 0
    for path in [Path(entry.path) for entry in os.scandir(folder) if entry.name.startswith(_ASIDE)]:
        count += 1
        told = _ASIDE_NAME.fullmatch(path.name)
        status = os.lstat(path)
        if told and (int(told[1], 16), int(told[2], 16)) == (status.st_ino, status.st_mtime_ns):
            os.unlink(path)  # it was recorded before it was moved aside
        else:
            _put_back(path, path.with_name(f"again-{path.name.removeprefix(_ASIDE)}"))
    return count


def sync_folder(folder: Path) -> None:
    """Make removals durable. A file that reappears after a power cut would only be taken for what it is: recorded."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(fd)
    finally:
        os.close(fd)
