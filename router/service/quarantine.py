"""What could not be read: kept raw with its reason, for an operator to look at, retry or discard (IN-4).

One folder that a person can look into: `NAME` and `NAME.reason.json`, where NAME is the name that the input came
with as far as it is harmless. When that is taken already it becomes `ID-NAME`, and so do inputs without a name.

An entry counts when its reason file is there. Both files are written and synced under `tmp/` first, then renamed,
the reason last; what a crash leaves in between is completed or removed at the next start, and tells which by
itself.

The quarantine is bounded. When it is full the caller is refused, and so is the outside: nothing is dropped to make
room. Its index is in memory, so that listing and counting cost no disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import secrets
import threading
import time
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
from msgspec import Meta, Struct

from router.errors import NotFound, Overloaded, TooLarge, Unavailable
from router.journal.files import make_folder, remove, sync_folder, write_new
from router.observe import get_logger
from router.service.blobs import CHUNK, open_plain

log = get_logger("quarantine")

REASON = ".reason.json"
UNSAFE = re.compile(r"[^\w.@+=-]+")
MAX_NAME = 120  # bytes of UTF-8; with ID and suffixes well below the 255 that file systems allow

# What a program says about an input may contain the input.
MAX_TEXT = 2_000
MAX_DETAILS = 50


class QuarantineSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How much may wait for a person. Beyond it inputs that cannot be read are refused and stay outside."""

    # More than anybody looks through; at some 500 bytes of memory each.
    max_entries: Annotated[int, Meta(ge=1)] = 10_000
    max_bytes: Annotated[int, Meta(ge=1)] = 2 << 30


class Entry(Struct, frozen=True):
    """One input, as its reason file has it."""

    id: str  # sorts by time
    source: str  # the adapter, and where it matters the way in: "phone.dev", "scan.fax"
    name: str  # what it was called when it came; ""
    code: str  # stable, for programs
    reason: str  # one sentence, for people
    at_ms: int
    size: int  # bytes
    detail: dict[str, str] = {}
    file: str = ""  # in the quarantine's folder


class Quarantine:
    """One process may use it. Making one reads the folder; raises Unavailable."""

    def __init__(
        self, root: Path, settings: QuarantineSettings | None = None, now_ms: Callable[[], int] | None = None
    ) -> None:
        self.root = root
        self._settings = settings or QuarantineSettings()
        self._now_ms = now_ms or _wall_clock_ms
        self._tmp = root / "tmp"
        self._mutex = threading.Lock()
        self._entries: dict[str, Entry] = {}
        self._order: list[str] = []  # ids, ascending
        self._bytes = 0
        self._coming = 0  # entries being written, and their bytes: room that nobody else gets
        self._coming_bytes = 0
        with _explained():
            self._load()

    # --- in ---

    async def keep(
        self,
        source: str,
        name: str,
        data: bytes | Path,
        reason: str,
        code: str,
        at_ms: int,
        detail: Mapping[str, str] | None = None,
    ) -> str:
        """Keep an input durably and return its id. A file stays where it is; removing it is the caller's.

        Raises TooLarge for what could never fit, Overloaded when the quarantine is full, Unavailable when the disk
        fails, OSError when a given file cannot be opened, BadMessage when it is no plain file.
        """
        return await asyncio.to_thread(self.keep_now, source, name, data, reason, code, at_ms, detail)

    async def put(self, source: str, data: bytes, reason: str, code: str = "unreadable") -> str:
        """`keep` for an input without a name, of this moment."""
        return await self.keep(source, "", data, reason, code, self._now_ms())

    def keep_now(
        self,
        source: str,
        name: str,
        data: bytes | Path,
        reason: str,
        code: str,
        at_ms: int,
        detail: Mapping[str, str] | None = None,
    ) -> str:
        """As `keep`, blocking. Others wait for a name only, never for bytes: those are written before."""
        ident = f"{at_ms:014d}-{secrets.token_hex(4)}"
        draft = self._tmp / f"{ident}.raw"
        details = {clean(key): clean(text) for key, text in islice((detail or {}).items(), MAX_DETAILS)}
        with _opened(data) as (size, parts), self._reserved(size):
            with _explained():
                write_new(draft, parts)
            with self._mutex:
                file = self._free_name(ident, name)
                entry = Entry(ident, source, clean(name), code, clean(reason), at_ms, size, details, file)
                try:
                    with _explained():
                        self._commit(entry, draft)
                except Unavailable:
                    remove([draft, self._tmp / f"{ident}.json", self.root / entry.file, self._reason_of(entry)])
                    raise
                self._add(entry)
        return ident

    def takes(self, size: int) -> bool:
        """Whether so many bytes could be kept, were there nothing else."""
        return size <= self._settings.max_bytes

    # --- out ---

    @property
    def count(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """Bytes of all inputs."""
        return self._bytes

    def entries(self, after: str = "", limit: int = 100) -> list[Entry]:
        """Oldest first, after the entry with that id, which need not exist any more."""
        # Without the mutex, which is held while an entry gets its names on a disk.
        start = bisect_right(self._order, after)
        found = (self._entries.get(ident) for ident in self._order[start : start + limit])
        return [entry for entry in found if entry is not None]

    def entry(self, ident: str) -> Entry:
        """Raises NotFound."""
        entry = self._entries.get(ident)
        if entry is None:
            raise NotFound(f"there is no entry {ident[:40]!r} in quarantine")
        return entry

    def path(self, ident: str) -> Path:
        """Where the raw bytes are. Raises NotFound."""
        path = self.root / self.entry(ident).file
        if not path.exists():
            raise NotFound(f"the bytes of {ident} are gone; somebody has removed {path.name}")
        return path

    def read(self, ident: str) -> bytes:
        """The raw bytes; blocking. Raises NotFound and Unavailable."""
        path = self.path(ident)
        with _explained():
            return path.read_bytes()

    def discard(self, ident: str) -> None:
        """Throw an entry away; blocking. Raises NotFound and Unavailable."""
        with self._mutex:
            entry = self.entry(ident)
            with _explained():
                # The bytes go out of sight first: a reason alone tells the next start that this was interrupted.
                gone = self._tmp / f"{ident}.raw"
                with contextlib.suppress(FileNotFoundError):
                    (self.root / entry.file).rename(gone)
                self._reason_of(entry).unlink(missing_ok=True)
                sync_folder(self.root)
                remove([gone])
            del self._entries[ident]
            self._order.remove(ident)
            self._bytes -= entry.size

    # --- the folder ---

    @contextlib.contextmanager
    def _reserved(self, size: int) -> Iterator[None]:
        """Room for one entry, while it is written. Raises TooLarge and Overloaded."""
        most = self._settings.max_bytes
        if not self.takes(size):
            raise TooLarge(f"{size} bytes; the quarantine takes at most {most} bytes")
        with self._mutex:
            entries, taken = len(self._entries) + self._coming, self._bytes + self._coming_bytes
            if entries >= self._settings.max_entries or size > most - taken:
                raise self._full()
            self._coming += 1
            self._coming_bytes += size
        try:
            yield
        finally:
            with self._mutex:
                self._coming -= 1
                self._coming_bytes -= size

    def _full(self) -> Overloaded:
        return Overloaded(
            f"the quarantine is full ({self.count} entries, {self._bytes} bytes); retry or discard some", 60
        )

    def _commit(self, entry: Entry, draft: Path) -> None:
        reason = self._tmp / f"{entry.id}.json"
        write_new(reason, (msgspec.json.format(msgspec.json.encode(entry), indent=2), b"\n"))
        sync_folder(self._tmp)
        draft.rename(self.root / entry.file)
        reason.rename(self._reason_of(entry))
        sync_folder(self.root)

    def _add(self, entry: Entry) -> None:
        self._entries[entry.id] = entry
        insort(self._order, entry.id)
        self._bytes += entry.size

    def _reason_of(self, entry: Entry) -> Path:
        return self.root / (entry.file + REASON)

    def _free_name(self, ident: str, name: str) -> str:
        safe = safe_name(name)
        taken = not safe or (self.root / safe).exists() or (self.root / (safe + REASON)).exists()
        return f"{ident}-{safe or 'input'}" if taken else safe

    def _load(self) -> None:
        make_folder(self.root)
        make_folder(self._tmp)
        for draft in self._tmp.glob("*.json"):
            self._complete(draft)
        remove(list(self._tmp.iterdir()))
        sync_folder(self.root)
        for path in self.root.glob(f"*{REASON}"):
            entry = _entry_at(path)
            if entry is None or path != self._reason_of(entry):
                log.warning("Quarantine entry not understood", action="quarantine_skipped", file=path.name)
            elif (self.root / entry.file).exists():
                self._add(entry)
            else:  # discarded, but a crash came in between
                remove([path])

    def _complete(self, draft: Path) -> None:
        """The input has its name, the reason was synced but has not: a crash came between the two."""
        entry = _entry_at(draft)
        if entry is not None and not (self._tmp / f"{entry.id}.raw").exists() and (self.root / entry.file).exists():
            draft.rename(self._reason_of(entry))


@contextlib.contextmanager
def _opened(data: bytes | Path) -> Iterator[tuple[int, Iterable[bytes]]]:
    """How many bytes there are, and the bytes. Raises OSError and BadMessage for a file."""
    if isinstance(data, bytes):
        yield len(data), (data,)
        return
    with open_plain(data) as source:
        size = os.fstat(source.fileno()).st_size
        yield size, _parts(source, size)


def _parts(source: BinaryIO, size: int) -> Iterator[bytes]:
    """A file in portions. Raises Overloaded when it is no longer as long as it was: somebody is still writing."""
    left = size
    while chunk := source.read(CHUNK):
        left -= len(chunk)
        if left < 0:
            break
        yield chunk
    if left:
        raise Overloaded("the file changed while it was copied; come back when it is complete")


def safe_name(name: str) -> str:
    """A file name that says what the input was called and can do nothing else. "" when nothing is left of it."""
    last = name.replace("\\", "/").rpartition("/")[2]
    safe = UNSAFE.sub("_", last).lstrip(".-_")
    if safe.endswith(REASON):  # it must not pass for the reason of another
        safe = safe.removesuffix(REASON) + "_reason.json"
    if safe == "tmp":
        return "tmp_"
    return _shortened(safe)


def clean(text: str) -> str:
    """Text that JSON can carry, not too much of it; file names may hold bytes that are no text."""
    return text[:MAX_TEXT].encode("utf-8", "replace").decode()


def _shortened(name: str) -> str:
    """At most MAX_NAME bytes, the ending kept: it says what kind of file it is."""
    if len(name.encode()) <= MAX_NAME:
        return name
    stem, suffix = os.path.splitext(name)
    suffix = suffix[:12] if suffix[:12].isascii() else ""
    mark = "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    room = MAX_NAME - len(suffix) - len(mark)
    return stem.encode()[:room].decode(errors="ignore") + mark + suffix


def _entry_at(path: Path) -> Entry | None:
    try:
        entry = msgspec.json.decode(path.read_bytes(), type=Entry)
    except (OSError, msgspec.DecodeError):
        return None
    # The file could have been written by hand: it must not lead anywhere else.
    return entry if entry.id and entry.file and "/" not in entry.file and not entry.file.startswith(".") else None


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"the quarantine cannot use its disk: {error}") from error
