"""Bodies, attachments and scans: content named by its SHA-256, kept once, never changed (IN-7).

The journal carries digests. So a digest may only get out of here when its content is durable, and the rules follow:

- Small content is durable because a pack in `spool/` holds it (see `spool`), before its file is written under its name
  `ab/abcdef...`. Large content is written under `tmp/`, synced and renamed, and its folder synced: it has its name at
  once and whole, or not at all.
- A file of another length is what a killed process left, and is replaced. One of the right length is not written again,
  but synced again: its writer may have been killed.
- When the disk fails, what is new and in no pack is taken back, so that nothing is there of which nobody knows whether
  it stays.
- Reading checks the content against its name.

`put` costs the event loop a future and a queue entry. One thread takes all that waits as one batch, with one sync for
all that is small, and wakes the loop once.

Nothing is deleted here: retention is somebody else's decision.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import os
import queue
import re
import stat
import threading
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

from msgspec import Meta, Struct

from router.engine.events import Blob
from router.errors import BadMessage, NotFound, Overloaded, TooLarge, Unavailable
from router.journal.files import PRIVATE_FILE, PRIVATE_FOLDER, make_folder, sync_folder, write_all, write_new
from router.observe import get_logger
from router.service.spool import Spool, contents_of, drop, sync_filesystem

if TYPE_CHECKING:
    from router.service.ports import Health

log = get_logger("blobs")

DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
BINARY = "application/octet-stream"
CHUNK = 1 << 20  # bytes in memory while a file is copied

# From here on writing twice costs more than syncing.
LARGE = 128 << 10

# Everybody in a batch waits for the last of it.
BATCH = 64
BATCH_BYTES = 16 << 20


class BlobSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where content is kept, and limits. What is beyond them stays with the sender."""

    # Left out: blobs/ under `data`. With several machines a folder on storage that all of them mount: whoever takes
    # over must find what the others acknowledged.
    folder: str = ""
    # About a second of a slow disk, and the memory that the content takes until it is written.
    max_waiting: Annotated[int, Meta(ge=1)] = 1_000
    max_waiting_bytes: Annotated[int, Meta(ge=1 << 20)] = 256 << 20
    # The largest file that `put_file` copies: a fax of a thousand pages has some 50 MB.
    max_file_bytes: Annotated[int, Meta(ge=1)] = 1 << 30


class Waiting:
    """Content on its way to the disk."""

    __slots__ = ("data", "digest", "done")

    def __init__(self, data: bytes, done: asyncio.Future[str]) -> None:
        self.data, self.done = data, done
        self.digest = ""


class BlobStore:
    """One process may write; several may where each has a `writer` name, the same after every start.

    Making one touches no disk, so that other programs may use it to read.
    """

    def __init__(self, root: Path, settings: BlobSettings | None = None, writer: str = "") -> None:
        self.root = root
        self._settings = settings or BlobSettings()
        own = f"-{_digest(writer.encode())[:12]}" if writer else ""
        self._tmp, self._packs = root / f"tmp{own}", root / f"spool{own}"
        self._spool: Spool | None = None  # None until the first put
        self._root_fd = -1
        self._folding: threading.Thread | None = None
        self._numbers = itertools.count()
        self._mutex = threading.Lock()  # one batch or file at a time gets its names
        self._closed = False
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting = 0
        self._waiting_bytes = 0

    # --- put ---

    async def put(self, data: bytes, media_type: str = BINARY, name: str = "") -> Blob:
        """Keep content; it is durable when this returns. Raises Overloaded and Unavailable."""
        digest = await self._enqueue(data)
        return Blob(digest, len(data), media_type, name)

    def put_now(self, data: bytes, media_type: str = BINARY, name: str = "") -> Blob:
        """As `put`, blocking, for threads and commands."""
        digest = _digest(data)
        with self._mutex:
            self._keep({digest: data})
        return Blob(digest, len(data), media_type, name)

    async def put_file(self, path: Path, media_type: str = BINARY, name: str = "") -> Blob:
        """Keep the content of a file, as large as the settings allow, without loading it into memory.

        Raises Unavailable when our disk fails, TooLarge, BadMessage for what is no plain file, and OSError when the
        file cannot be read. The file stays where it is.
        """
        return await asyncio.to_thread(self.put_file_now, path, media_type, name)

    def put_file_now(self, path: Path, media_type: str = BINARY, name: str = "") -> Blob:
        with open_plain(path) as source:
            with self._mutex, _explained():
                self._prepare()
            digest, size, draft = self._copy(source, path.name)
        with self._mutex, _explained():
            drafts = {digest: draft}
            if _size(self._name(digest)) == size:  # and somebody knows: it must outlive a failure here
                _remove([drafts.pop(digest)])
            self._place(drafts, {digest})
        return Blob(digest, size, media_type, name)

    # --- get ---

    def path(self, digest: str) -> Path:
        """Where the content is. Raises NotFound, for what is no digest as well."""
        path = self._path(digest)
        if not path.exists():
            raise NotFound(f"there is no content {digest}")
        return path

    def exists(self, digest: str) -> bool:
        return DIGEST.fullmatch(digest) is not None and self._path(digest).exists()

    def open(self, digest: str) -> BinaryIO:
        """The content as a file, not verified. Raises NotFound and Unavailable."""
        path = self._path(digest)
        try:
            return path.open("rb")
        except FileNotFoundError:
            raise NotFound(f"there is no content {digest}") from None
        except OSError as error:
            raise Unavailable(f"content {digest} cannot be read: {error}") from error

    def read(self, digest: str) -> bytes:
        """The content, verified; blocking. Raises NotFound, for damaged content as well, and Unavailable."""
        with self.open(digest) as file:
            try:
                data = file.read()
            except OSError as error:
                raise Unavailable(f"content {digest} cannot be read: {error}") from error
        if _digest(data) != digest:
            raise NotFound(f"content {digest} is damaged; restore the file from a backup")
        return data

    async def get(self, digest: str) -> bytes:
        """As `read`, in a thread."""
        return await asyncio.to_thread(self.read, digest)

    def health(self) -> Health:
        """Bad when what was given to the writing thread will never be written."""
        from router.service.ports import Health  # that module names this one

        dead = self._writer is not None and not self._writer.is_alive() and not self._closed
        detail = "the thread that writes has ended" if dead else ""
        return Health(not dead, detail, {"waiting": float(self._waiting), "waiting_bytes": float(self._waiting_bytes)})

    def _path(self, digest: str) -> Path:
        if not DIGEST.fullmatch(digest):
            raise NotFound("that is no digest: 64 hexadecimal digits are needed")
        return self.root / digest[:2] / digest

    # --- the loop's side of the writer ---

    def close(self) -> None:
        """Write what waits, fold the packs in and end the threads. Blocks. Closing twice is harmless."""
        self._closed = True
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join()
            self._writer = None
        if self._folding is not None:
            self._folding.join()
        with self._mutex:
            if self._spool is not None:
                self._spool.turn()
                self._fold(self._spool)
                os.close(self._root_fd)
                self._spool = None

    async def _enqueue(self, data: bytes) -> str:
        self._admit(len(data))
        loop = asyncio.get_running_loop()
        if self._writer is None:
            self._loop = loop
            self._writer = threading.Thread(target=self._write, name="blobs", daemon=True)
            self._writer.start()
        assert loop is self._loop, "one loop for one store"
        self._waiting += 1
        self._waiting_bytes += len(data)
        done = loop.create_future()
        self._queue.put(Waiting(data, done))
        digest: str = await done
        return digest

    def _admit(self, size: int) -> None:
        if self._closed:
            raise Unavailable("the blob store is closed; come back after the restart")
        # One is always admitted, however large: otherwise it could never be.
        full = self._waiting_bytes + size > self._settings.max_waiting_bytes
        if self._waiting and (full or self._waiting >= self._settings.max_waiting):
            raise Overloaded("too much content waits for the disk; come back later")

    def _settle(self, batch: Sequence[Waiting], problem: Unavailable | None) -> None:
        self._waiting -= len(batch)
        for item in batch:
            self._waiting_bytes -= len(item.data)
            if item.done.done():
                continue  # whoever waited has given up
            if problem is None:
                item.done.set_result(item.digest)
            else:
                item.done.set_exception(problem)

    # --- the writer thread ---

    def _write(self) -> None:
        assert self._loop is not None
        going_on = True
        while going_on:
            batch, going_on = self._next_batch()
            problem = self._keep_batch(batch)
            if batch:
                with contextlib.suppress(RuntimeError):  # the loop is gone, and with it all who waited
                    self._loop.call_soon_threadsafe(self._settle, batch, problem)

    def _next_batch(self) -> tuple[list[Waiting], bool]:
        """All that waits, up to the limits of a batch; False with the last one."""
        batch: list[Waiting] = []
        size = 0
        item = self._queue.get()
        with contextlib.suppress(queue.Empty):
            while item is not None:
                batch.append(item)
                size += len(item.data)
                if len(batch) >= BATCH or size >= BATCH_BYTES:
                    return batch, True
                item = self._queue.get_nowait()
            return batch, False
        return batch, True

    def _keep_batch(self, batch: Sequence[Waiting]) -> Unavailable | None:
        contents = {}
        for item in batch:
            item.digest = _digest(item.data)
            contents[item.digest] = item.data
        try:
            with self._mutex:
                self._keep(contents)
        except Unavailable as problem:
            return problem
        except Exception as error:  # a bug here must not leave them waiting for ever
            log.error("Content not kept", action="blobs_bug", exc_info=error)
            return Unavailable(f"content could not be kept: {type(error).__name__}")
        return None

    # --- the disk ---

    def _keep(self, contents: dict[str, bytes]) -> None:
        """Make these contents durable, all or none. The mutex is held. Raises Unavailable."""
        drafts: dict[str, str] = {}
        with _explained():
            spool = self._prepare()
            present = {digest for digest, data in contents.items() if _size(self._name(digest)) == len(data)}
            new = {digest: data for digest, data in contents.items() if digest not in present}
            small = {digest: data for digest, data in new.items() if len(data) < LARGE}
            try:
                if small:
                    spool.append(small)
                for digest, data in new.items():
                    if digest in small and _write_there(self._name(digest), data):
                        continue
                    drafts[digest] = self._draft()
                    write_new(drafts[digest], (data,), sync=digest not in small)
            except OSError:
                _remove(drafts.values())
                raise
        self._place(drafts, contents.keys() - small.keys())
        if spool.is_full:
            self._fold_later(spool)

    def _place(self, drafts: dict[str, str], unspooled: Set[str]) -> None:
        """Give drafts their names, durably where no pack holds them. The mutex is held. Raises Unavailable.

        What is unspooled and no draft was there already.
        """
        named: list[str] = []
        try:
            with _explained():
                for digest in unspooled - drafts.keys():
                    _sync(self._name(digest))
                for digest, draft in drafts.items():
                    named.append(self._name(digest))
                    os.rename(draft, named[-1])
                for folder in {digest[:2] for digest in unspooled}:
                    sync_folder(f"{self.root}/{folder}")
        except Unavailable:
            _remove([*drafts.values(), *named])
            raise

    def _copy(self, source: BinaryIO, name: str) -> tuple[str, int, str]:
        """Copy a file to a draft. Returns digest, size and the draft."""
        draft, size, seen = self._draft(), 0, hashlib.sha256()
        with _explained():
            fd = _create(draft)
        try:
            while chunk := source.read(CHUNK):  # its OSError is the source's, and goes to the caller as it is
                size += len(chunk)
                if size > self._settings.max_file_bytes:
                    raise TooLarge(f"{name} has more than {self._settings.max_file_bytes} bytes")
                seen.update(chunk)
                with _explained():
                    write_all(fd, chunk)
            with _explained():
                os.fsync(fd)
        except BaseException:
            _remove([draft])
            raise
        finally:
            os.close(fd)
        return seen.hexdigest(), size, draft

    def _prepare(self) -> Spool:
        """Before the first put: the folders, so that none has to be made durable later, and what a kill left."""
        if self._spool is None:
            for folder in (self.root, self._tmp, self._packs):
                make_folder(folder)
            for number in range(256):
                (self.root / f"{number:02x}").mkdir(PRIVATE_FOLDER, exist_ok=True)
            sync_folder(self.root)
            _remove(entry.path for entry in os.scandir(self._tmp))
            if self._root_fd < 0:  # else this has failed before
                self._root_fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
            spool = Spool(self._packs)
            self._recover(spool)
            self._spool = spool
        return self._spool

    def _recover(self, spool: Spool) -> None:
        """Write again what the packs of a killed process hold."""
        left = spool.packs()
        for pack in left:
            for digest, data in contents_of(pack):
                draft = self._draft()
                write_new(draft, (data,), sync=False)
                os.rename(draft, self._name(digest))
        spool.closed += left
        if left:
            log.info("Content of a killed process written again", action="blobs_recovered", packs=len(left))
            self._fold(spool)

    def _fold_later(self, spool: Spool) -> None:
        """Sync the files of the full packs while puts go on. If that takes longer than a pack lasts, more gather."""
        spool.turn()
        if self._folding is None or not self._folding.is_alive():
            self._folding = threading.Thread(target=self._fold, args=(spool,), name="blobs-fold", daemon=True)
            self._folding.start()

    def _fold(self, spool: Spool) -> None:
        """Make the files of the closed packs durable, and let go of the packs. They stay when that fails."""
        packs = spool.closed[:]
        try:
            if packs and not sync_filesystem(self._root_fd):
                self._sync_files_of(packs)
        except OSError as error:
            # The packs still hold it all, and the next start writes the files again.
            log.error("Content could not be synced", action="blobs_not_folded", error=str(error), packs=len(packs))
            return
        drop(packs)
        for pack in packs:
            spool.closed.remove(pack)  # each removal is one step: the writer thread may be adding another

    def _sync_files_of(self, packs: list[Path]) -> None:
        digests = {digest for pack in packs for digest, _ in contents_of(pack)}
        for digest in digests:
            with contextlib.suppress(FileNotFoundError):  # its put failed and took it back
                _sync(self._name(digest))
        for folder in {digest[:2] for digest in digests}:
            sync_folder(f"{self.root}/{folder}")

    def _name(self, digest: str) -> str:
        return f"{self.root}/{digest[:2]}/{digest}"

    def _draft(self) -> str:
        return f"{self._tmp}/{next(self._numbers)}"


def open_plain(path: Path) -> BinaryIO:
    """Open a file that somebody else put there: no link, no pipe that would block. Raises OSError and BadMessage."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise BadMessage(f"{path.name} is no plain file")
    return os.fdopen(fd, "rb", buffering=0)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data, usedforsecurity=False).hexdigest()


def _create(name: str) -> int:
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)


def _write_there(name: str, data: bytes) -> bool:
    """Write it under its own name, which a rename would cost as much as all else; False where something is there."""
    try:
        write_new(name, (data,), sync=False)
    except FileExistsError:
        return False
    return True


def _size(name: str) -> int:
    try:
        return os.stat(name).st_size
    except FileNotFoundError:
        return -1


def _sync(name: str) -> None:
    fd = os.open(name, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _remove(names: Iterable[str]) -> None:
    for name in names:
        with contextlib.suppress(OSError):
            os.unlink(name)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"the disk does not take content: {error}") from error
