"""The slow lane: reads what stands on the pages of items that came, one after the other, and tells the engine.

An item is in the journal and in its queue long before its turn comes here, and nothing waits for this: not the item,
not the folder, not an agent. What is still to be read is what is open and has no attribute `read`, so nothing need be
remembered over a restart. What cannot be read has `read` = `failed` and is not tried again.

First the file itself is asked (text of a PDF, bar codes), in a child that may die of it. Where a page has no text, the
child draws it, and tesseract, as another limited process, reads the picture: text, and a PDF with the text under it.

What has separator sheets after its first page is parted first (`batch`). All of its documents are cut out and recorded,
and only then the batch is told to be read: a crash in between finds it unread, and does the same again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from channels.scan.batch import Document, Slice, arrival, documents, may_be_parted
from channels.scan.drawing import Drawer
from channels.scan.finding import MEDIA_TYPES, Finding
from channels.scan.inspector import InspectorDown
from channels.scan.recognise import attributes_of
from channels.scan.settings import Reading as Settings
from channels.scan.show import READING_WIDTH, Page, Reading
from router.engine.commands import Enrich
from router.engine.events import Blob, Message
from router.engine.views import InteractionView, number_of
from router.errors import ClientError, NotFound, Refusal
from router.journal.files import make_folder
from router.observe import counter, get_logger
from router.service import background
from router.service.ports import Context

if TYPE_CHECKING:
    from router.service.language import Detector

log = get_logger("scan")
T = TypeVar("T")

PORTION = 500
AGAIN_S = 5.0  # after a refusal of the engine
TEXT_MAX = 200_000  # characters of one item
PAGES_AT_ONCE = 20  # that one child looks through: so a long batch takes many of them, each within its limits
PAGES_MAX = 100_000  # of one file: as many as a folder may be set to take
LETTERS_MIN = 12  # a page with less text of its own is a picture
# Under the data folder: where pages lie as pictures while they are read. They are customers' letters, so what a kill
# leaves there is taken away at the next start.
BENCH = "reading"
_read = counter("scan_read_total", "Items of the slow lane, by what came of them.", ("outcome",))


class Found(Struct, frozen=True):
    """What stands in one file."""

    how: str  # text, ocr, none or failed
    text: str = ""
    codes: tuple[str, ...] = ()
    blobs: tuple[Blob, ...] = ()


class Lane:
    def __init__(
        self, settings: Settings, context: Context, channels: Sequence[str], drawer: Drawer, executor: Executor
    ) -> None:
        self._settings, self._context, self._channels = settings, context, channels
        self._drawer, self._executor = drawer, executor
        self._due: dict[int, float] = {}  # interaction -> when its turn comes (loop time); the first come first
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._detector: Detector | None = None
        self._program = shutil.which(settings.tesseract) if settings.tesseract else None
        self._bench = context.data.resolve() / BENCH
        self.outcomes: dict[str, int] = {}

    @property
    def waiting(self) -> int:
        return len(self._due)

    @property
    def trouble(self) -> str:
        return background.trouble(self._task, "what comes is taken, but nobody reads it")

    @property
    def reads_pixels(self) -> bool:
        return self._program is not None

    def clear(self) -> None:
        """Take away what a kill left of a reading; before the start, and where nothing is to be read any more."""
        make_folder(self._bench)
        for left in self._bench.iterdir():
            shutil.rmtree(left)

    async def start(self) -> None:
        if self._settings.detect:
            from router.service.language import Detector

            path = "scan.reading.detect"
            self._detector = await asyncio.to_thread(Detector, self._settings.detect, path)
        self._task = background.begin(self._run(), "scan-lane")

    async def stop(self) -> None:
        await background.end(self._task)

    def note(self, number: int) -> None:
        """Something of this item has come."""
        self._due.pop(number, None)
        self._due[number] = asyncio.get_running_loop().time() + self._settings.after / 1_000
        self._more.set()

    # --- whose turn it is ---------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        await self._gather()
        while True:
            number = await self._next()
            try:
                await self.read(number)
            except (Refusal, InspectorDown) as problem:
                log.warning("Reading put off", action="scan_reading_put_off", why=problem)
                self._due.setdefault(number, asyncio.get_running_loop().time() + AGAIN_S)
                await asyncio.sleep(AGAIN_S)
            except ClientError as problem:  # it is over meanwhile
                log.info("Not read", action="scan_not_read", interaction=f"i-{number}", why=problem)
            except OSError as problem:
                log.warning("Not read", action="scan_not_read", interaction=f"i-{number}", why=problem)
            except Exception as problem:
                log.error("Reading failed", action="scan_reading_failed", interaction=f"i-{number}", exc_info=problem)

    async def _next(self) -> int:
        loop = asyncio.get_running_loop()
        while True:
            while not self._due:
                self._more.clear()
                await self._more.wait()
            number, due = next(iter(self._due.items()))
            wait = due - loop.time()
            if wait <= 0:
                del self._due[number]
                return number
            await asyncio.sleep(wait)

    async def _gather(self) -> None:
        """What came before this process, or while nobody read."""
        for state in ("queued", "offered", "active"):
            after, more = 0, True
            while more:
                found, after = self._context.desk.portion(state, "", after, PORTION)
                for view in found:
                    if view.channel in self._channels and "read" not in view.attributes:
                        self._due.setdefault(number_of(view.id, "i"), 0.0)
                more = after > 0
                await asyncio.sleep(0)

    # --- one item -----------------------------------------------------------------------------------------------------

    async def read(self, number: int) -> None:
        """Read it and tell. Raises what the engine and the decoders raise."""
        view = self._context.desk.interaction(number)
        if view.state == "closed" or "read" in view.attributes:
            return
        blobs = files_of(view)
        if not blobs:
            return
        said = [await self._said(blob) for blob in blobs]
        parts = self._documents(said)
        attributes = {"documents": str(len(parts))} if len(parts) > 1 else {}
        own = {number: len(one) for number, one in enumerate(said) if not isinstance(one, str)}
        first = await self._part(view, blobs, said, parts) if len(parts) > 1 else None
        if first is not None:
            attributes["document"] = "1"
            own = {one.file: one.count for one in parts[0].slices}
        found = [
            Found(one) if isinstance(one, str) else await self._file(blob, one[: own[index]])
            for index, (blob, one) in enumerate(zip(blobs, said, strict=True))
            if isinstance(one, str) or index in own
        ]
        await self._tell(view, found, attributes, first or [])

    def _documents(self, said: Sequence[list[Page] | str]) -> list[Document]:
        pages = [[] if isinstance(one, str) else [page.codes for page in one] for one in said]
        return documents(pages, self._settings.separator) if self._settings.split else []

    async def _part(
        self, view: InteractionView, blobs: list[Blob], said: Sequence[list[Page] | str], parts: list[Document]
    ) -> list[Blob] | None:
        """Record each document but the first as an item of its own; the files of the first. None: it stays whole."""
        if not may_be_parted(view) or any(isinstance(one, str) for one in said):
            return None
        cut = []
        for place, one in enumerate(parts, 1):
            files = [await self._cut(blobs[x.file], len(said[x.file]), x, place) for x in one.slices]
            cut.append([file for file in files if file is not None])
            if None in files:
                return None
        begins, of = self._settings.separator, len(parts)
        later = list(zip(range(2, of + 1), parts[1:], cut[1:], strict=True))
        arrivals = [arrival(view, place, of, one, files, begins) for place, one, files in later]
        try:
            for command in arrivals:
                self._context.desk.rehearse(command)
        except ClientError as problem:
            log.warning("Batch stays whole", action="scan_batch_whole", interaction=view.id, why=problem)
            return None
        for command in arrivals:
            await self._context.desk.ask(command)
        log.info("Batch parted", action="scan_batch_parted", interaction=view.id, documents=of)
        return [file for file in cut[0] if file not in blobs]

    async def _cut(self, blob: Blob, pages: int, wanted: Slice, place: int) -> Blob | None:
        """The pages as content of their own; the file itself where these are all it has."""
        if (wanted.first, wanted.count) == (0, pages):
            return blob
        made = await self._off(self._cut_out, blob, wanted)
        if isinstance(made, Finding):
            return None
        stem, dot, end = blob.name.rpartition(".")
        name = f"{stem}.{place}.{end}" if dot else f"{blob.name}.{place}"
        return await self._context.blobs.put(made, blob.media_type, name[-200:])

    def _cut_out(self, blob: Blob, wanted: Slice) -> bytes | Finding:
        with self._context.blobs.open(blob.digest) as file:
            return self._drawer.cut(file.fileno(), blob.name, wanted.first, wanted.count)

    async def _tell(self, view: InteractionView, found: list[Found], more: dict[str, str], files: list[Blob]) -> None:
        settings = self._settings
        text = "\n\f\n".join(one.text for one in found if one.text)[:TEXT_MAX]
        codes = tuple(dict.fromkeys(code for one in found for code in one.codes))
        mask = self._context.mask
        if mask is not None:
            text, codes = mask(text), tuple(mask(code) for code in codes)
        how = next((how for how in ("ocr", "text", "failed") if any(one.how == how for one in found)), "none")
        blobs = files + [blob for one in found for blob in one.blobs]
        if how == "ocr":
            blobs.insert(0, await self._context.blobs.put(text.encode(), "text/plain", "read.txt"))
        language = ""
        if self._detector is not None and text:
            language = await self._off(self._detector.of, text)
        number = number_of(view.id, "i")
        await self._context.desk.ask(
            Enrich(
                key=f"scan.read:{number}",
                thread=self._thread(number),
                attributes={**attributes_of(text, codes, settings.words, settings.separator), "read": how, **more},
                language=language,
                message=Message(blobs=tuple(blobs)) if blobs else None,
            )
        )
        self.outcomes[how] = self.outcomes.get(how, 0) + 1
        _read.labels(how).inc()
        log.info("Scan read", action="scan_read", interaction=view.id, how=how, letters=len(text), codes=len(codes))

    def _thread(self, number: int) -> str:
        return self._context.desk.thread_of(number)

    # --- one file -----------------------------------------------------------------------------------------------------

    async def _said(self, blob: Blob) -> list[Page] | str:
        """What each page says by itself; where nothing of it can be shown, `none` or `failed`."""
        settings, pages, of = self._settings, list[Page](), 1
        most = settings.batch_pages if settings.split else settings.pages
        while len(pages) < min(of, most) and of <= PAGES_MAX:
            try:
                said = await self._off(self._ask, blob, len(pages), min(PAGES_AT_ONCE, most - len(pages)))
            except NotFound:
                return "failed"
            if isinstance(said, Finding):
                if pages:  # what was read of it counts; the rest belongs to what came before
                    break
                return "none" if said.condition in ("not-shown", "foreign") else "failed"
            pages, of = [*pages, *said.pages], said.of
            if not said.pages:
                break
        return pages + [Page()] * (of - len(pages)) if of <= PAGES_MAX else "failed"

    async def _file(self, blob: Blob, pages: list[Page]) -> Found:
        """Those of its first pages that are this item's."""
        codes = tuple(code for page in pages for code in page.codes)
        pages = pages[: self._settings.pages]
        text = "\n\f\n".join(page.text for page in pages if page.text)
        blank = [number for number, page in enumerate(pages) if len(page.text.strip()) < LETTERS_MIN]
        if self._program is None or not blank:
            return Found("text" if text.strip() else "none", text, codes)
        read = await self._pixels(blob, blank)
        both = "\n\f\n".join(part for part in (text, read.text) if part.strip())
        return Found(read.how if not text.strip() else "text", both, codes, read.blobs)

    def _ask(self, blob: Blob, first: int, pages: int) -> Reading | Finding:
        with self._context.blobs.open(blob.digest) as file:
            return self._drawer.read(file.fileno(), blob.name, pages, first)

    async def _pixels(self, blob: Blob, pages: list[int]) -> Found:
        with tempfile.TemporaryDirectory(dir=self._bench) as place:
            folder = Path(place)
            drawn = await self._off(self._draw, blob, pages, folder)
            if not drawn:
                return Found("failed")
            (folder / "pages").write_text("\n".join(drawn) + "\n")
            if not await self._recognise(folder):
                return Found("failed")
            text = (folder / "out.txt").read_text("utf-8", "replace")[:TEXT_MAX]
            if not text.strip():
                return Found("none")
            name = f"{(blob.name or 'scan').rpartition('.')[0] or blob.name}.searchable.pdf"[-200:]
            searchable = await self._context.blobs.put_file(folder / "out.pdf", "application/pdf", name)
            return Found("ocr", text, (), (searchable,))

    def _draw(self, blob: Blob, pages: list[int], folder: Path) -> list[str]:
        drawn = []
        with self._context.blobs.open(blob.digest) as file:
            for page in pages:
                os.lseek(file.fileno(), 0, os.SEEK_SET)
                picture = self._drawer.draw(file.fileno(), blob.name, page, READING_WIDTH)
                if isinstance(picture, bytes):
                    path = folder / f"{page}.png"
                    path.write_bytes(picture)
                    drawn.append(str(path))
        return drawn

    async def _recognise(self, folder: Path) -> bool:
        """tesseract on all pages at once; it may take its time, but not for ever."""
        settings = self._settings
        limits = [str(settings.memory_bytes), str(settings.seconds)]
        confined = [sys.executable, "-P", "-m", "channels.scan.confined", *limits, str(self._program)]
        job = [str(folder / "pages"), str(folder / "out"), "-l", "+".join(settings.languages), "--dpi", "200"]
        process = await asyncio.create_subprocess_exec(
            *confined,
            *job,
            "txt",
            "pdf",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(settings.seconds):
                return await process.wait() == 0 and (folder / "out.pdf").exists()
        except TimeoutError:
            return False
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

    async def _off(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)


def files_of(view: InteractionView) -> list[Blob]:
    """What the customer sent, as far as it is of a kind with pages."""
    found: dict[str, Blob] = {}
    for message in view.messages:
        for x in message.attachments if message.author == "customer" else ():
            if x.media_type in MEDIA_TYPES.values():
                found.setdefault(x.digest, Blob(x.digest, x.size, x.media_type, x.name))
    return list(found.values())


def _environment() -> dict[str, str]:
    """Where the modules and the language data are, and nothing else. One thread: it is the slow lane."""
    kept = {name: os.environ[name] for name in ("PATH", "TESSDATA_PREFIX") if name in os.environ}
    place = str(Path(__file__).resolve().parents[2])
    return {**kept, "PYTHONPATH": place, "OMP_THREAD_LIMIT": "1", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
