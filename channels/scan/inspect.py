"""Looks into files that strangers sent, in processes that may die of it.

    python -m channels.scan.inspect '{"seconds": 10, "memory_bytes": 268435456, "max_pixels": 120000000}'

Two generations. The *nurse* loads the decoders once, and never reads a byte of a file: it takes an open file from the
socket that is its standard input, forks, and passes on what the child said, within a bound. The *child* looks into one
file under limits of memory, processor time, file size and open files, and ends. So a file can spoil nothing for the
next one, and a look costs a fork instead of a start. What the child does not say, its end says: killed at the time
limit, out of memory, crashed.

The nurse ends when the other end of the socket closes. It writes nothing to disk, and neither can the children.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO

import puremagic
import pypdfium2
from PIL import Image, ImageFile, TiffImagePlugin, UnidentifiedImageError
from pypdfium2 import raw as pdfium

from channels.scan import tiff
from channels.scan.finding import ANSWER_MAX, HEAD_BYTES, Finding, kind_of, line, to_bytes

READY = b"ready\n"
REQUEST_MAX = 4_096
OPEN_FILES_MAX = 32
PASSWORD_WANTED = pdfium.FPDF_ERR_PASSWORD

_PILLOW_NAMES = {"jpeg": "JPEG", "png": "PNG", "gif": "GIF", "tiff": "TIFF"}
_BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class Looker:
    """One look into one file. Pages are tried until `deadline_s` of the monotonic clock, then counted only."""

    def __init__(self, pages_max: int, memory_bytes: int, deadline_s: float) -> None:
        self.pages_max = pages_max
        self.memory_bytes = memory_bytes
        self.deadline_s = deadline_s

    def look(self, file: BinaryIO, name: str) -> Finding:
        """What the file is by its content; the name counts for raw fax data only, which has no signature."""
        head = file.read(HEAD_BYTES)
        kind = kind_of(head, name)
        match kind:
            case "pdf":
                return self._pdf(file)
            case "tiff":
                return self._tiff(file)
            case "g3":
                return Finding(condition="raw", kind=kind)
            case "":
                return Finding(condition="foreign", detail=what_else(head))
            case _:
                return self._picture(file, kind)

    # --- PDF ----------------------------------------------------------------------------------------------------------

    def _pdf(self, file: BinaryIO) -> Finding:
        try:
            document = pypdfium2.PdfDocument(file)
        except pypdfium2.PdfiumError as problem:
            if problem.err_code == PASSWORD_WANTED:
                return Finding(condition="encrypted", kind="pdf", detail="it wants a password")
            return Finding(condition="unreadable", kind="pdf", detail=line(problem))
        pages = len(document)
        if pages > self.pages_max:
            return self._too_many("pdf", pages)
        tried, bad = 0, 0
        while tried < pages and not self._late():
            bad += not _opens(document, tried)
            tried += 1
        repaired = not pdfium.FPDF_DocumentHasValidCrossReferenceTable(document)
        return _verdict("pdf", pages, tried, bad, "its table of contents had to be rebuilt" if repaired else "")

    # --- TIFF ---------------------------------------------------------------------------------------------------------

    def _tiff(self, file: BinaryIO) -> Finding:
        chain = tiff.read_chain(file, self.pages_max)
        if chain.more:
            return self._too_many("tiff", self.pages_max + 1)
        if not chain.directories:
            return Finding(condition="unreadable", kind="tiff", detail=f"no page: {line(chain.broken) or 'cut off'}")
        file.seek(0)
        found = self._decode(file, "tiff", len(chain.directories), _complaint(chain))
        first = chain.directories[0]
        return _with_page(found, first)

    # --- other pictures -----------------------------------------------------------------------------------------------

    def _picture(self, file: BinaryIO, kind: str) -> Finding:
        found = self._decode(file, kind, 0, "")
        if found.condition != "unreadable" or kind == "gif":
            return found
        ImageFile.LOAD_TRUNCATED_IMAGES = True  # show what came of a picture that was cut off, as every viewer does
        file.seek(0)
        again = self._decode(file, kind, 0, f"cut off or damaged: {found.detail.partition(';')[0]}")
        return again if again.showable else found

    def _decode(self, file: BinaryIO, kind: str, pages: int, complaint: str) -> Finding:
        """Decode page by page; `pages` 0: as many as Pillow counts."""
        try:
            with Image.open(file, formats=(_PILLOW_NAMES[kind],)) as image:
                size = image.size  # before a draft makes it smaller
                pages = pages or getattr(image, "n_frames", 1)
                if pages > self.pages_max:
                    return self._too_many(kind, pages)
                found = self._decode_pages(image, kind, pages, complaint)
                return _with_size(found, size, image.info.get("dpi"))
        except _BOMB as problem:
            return Finding(condition="too-many-pixels", kind=kind, detail=line(problem))
        except UnidentifiedImageError:
            return Finding(condition="unreadable", kind=kind, detail="nothing follows its first bytes that makes sense")
        except MemoryError:
            raise
        except Exception as problem:  # noqa: BLE001 - a decoder raises anything on hostile bytes
            return Finding(condition="unreadable", kind=kind, detail=line(f"{type(problem).__name__}: {problem}"))

    def _decode_pages(self, image: Image.Image, kind: str, pages: int, complaint: str) -> Finding:
        reached, large, bad, why = 0, 0, 0, ""
        while reached < pages and not self._late():
            try:
                image.seek(reached)
                large += not self._load(image)
            except (*_BOMB, MemoryError):
                raise
            except Exception as problem:  # noqa: BLE001 - as above
                bad += 1
                why = why or f"{type(problem).__name__}: {problem}"
            reached += 1
        return _verdict(kind, pages, reached - large, bad, "; ".join(part for part in (complaint, line(why)) if part))

    def _load(self, image: Image.Image) -> bool:
        """Decode, at reduced size where the format can. False: left untried, since it would not fit into the memory."""
        if self._cost(image) > self.memory_bytes // 2:
            return False
        image.load()
        return True

    def _cost(self, image: Image.Image) -> int:
        """Bytes that decoding is likely to take, once the picture is asked for at an eighth of its size."""
        width, height = image.size
        if "progressive" in image.info:
            return width * height * 6  # its coefficients are kept at full size, whatever size is asked for
        image.draft(image.mode, (max(1, width // 8), max(1, height // 8)))
        return image.size[0] * image.size[1] * max(1, len(image.getbands())) * 2

    def _late(self) -> bool:
        return time.monotonic() >= self.deadline_s

    def _too_many(self, kind: str, pages: int) -> Finding:
        return Finding(condition="too-many-pages", kind=kind, pages=pages, detail=f"more than {self.pages_max} pages")


def _opens(document: Any, index: int) -> bool:
    try:
        document[index].close()
    except pypdfium2.PdfiumError:
        return False
    return True


def _verdict(kind: str, pages: int, tried: int, bad: int, complaint: str) -> Finding:
    notes = [complaint] if complaint else []
    if bad:
        notes.append(f"{bad} of {tried} pages cannot be shown")
    if tried < pages:
        notes.append(f"{tried} of {pages} pages were tried")
    if not pages or (tried and bad == tried):
        condition = "unreadable"
    else:
        condition = "damaged" if bad or complaint else "ok"
    return Finding(condition=condition, kind=kind, pages=pages, detail=line("; ".join(notes) or ""))


def _complaint(chain: tiff.Chain) -> str:
    """What is wrong with a TIFF besides its pixels. A fax server's own count of bad lines counts."""
    notes = []
    if chain.looped:
        notes.append("its pages refer to one another in a circle")
    if chain.broken:
        notes.append(f"the list of pages is cut off: {line(chain.broken)}")
    lines = sum(page.numbers.get(tiff.BAD_FAX_LINES, 0) for page in chain.directories)
    if any(page.numbers.get(tiff.CLEAN_FAX_DATA) == 2 for page in chain.directories):
        notes.append(f"received with {lines} bad lines")
    return "; ".join(notes)


def _with_page(found: Finding, page: tiff.Directory) -> Finding:
    """Add what the first directory says. HylaFAX puts the sender's own number into the description."""
    by_fax_server = page.texts.get(tiff.SOFTWARE, "").lower().startswith("hylafax")
    per_inch = 2.54 if page.numbers.get(tiff.RESOLUTION_UNIT) == 3 else 1
    return Finding(
        condition=found.condition,
        kind=found.kind,
        pages=found.pages,
        width=page.numbers.get(tiff.WIDTH, 0),
        height=page.numbers.get(tiff.HEIGHT, 0),
        dpi=min(round(page.numbers.get(tiff.X_RESOLUTION, 0) * per_inch), 1 << 20),
        sender=line(page.texts.get(tiff.DESCRIPTION, ""))[:100] if by_fax_server else "",
        detail=found.detail,
    )


def _with_size(found: Finding, size: tuple[int, int], resolution: Any) -> Finding:
    dpi = 0
    with contextlib.suppress(TypeError, ValueError, IndexError, OverflowError):
        dpi = min(max(0, round(resolution[0])), 1 << 20)
    return Finding(
        condition=found.condition,
        kind=found.kind,
        pages=found.pages,
        width=size[0],
        height=size[1],
        dpi=dpi,
        detail=found.detail,
    )


def what_else(head: bytes) -> str:
    """A guess at what a foreign file is, for the person who finds it in quarantine."""
    if not head.strip(b"\0"):
        return "nothing but zeros"
    try:
        guess = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError, IndexError):
        return "unknown content"
    return line(f"looks like {guess[0].name or guess[0].extension}")[:200] if guess else "unknown content"


# --- the child --------------------------------------------------------------------------------------------------------


def limit_child(seconds: int, memory_bytes: int) -> None:
    """From here on: so much memory and processor time, nothing written to disk, few files, no core dump."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES_MAX, OPEN_FILES_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def child_answer(fd: int, request: dict[str, Any], limits: dict[str, int]) -> bytes:
    limit_child(limits["seconds"], limits["memory_bytes"])
    deadline_s = time.monotonic() + limits["seconds"] / 2
    try:
        with os.fdopen(fd, "rb") as file:
            looker = Looker(request["max_pages"], limits["memory_bytes"], deadline_s)
            return to_bytes(looker.look(file, request["name"]))
    except MemoryError:
        return to_bytes(Finding(condition="out-of-memory", detail="the decoder asked for more memory than it may have"))


Answer = Callable[[int, dict[str, Any], dict[str, int]], bytes]


def run_child(
    fd: int, answer_fd: int, request: dict[str, Any], limits: dict[str, int], answer: Answer = child_answer
) -> None:
    """Never returns. Keeps nothing open but the file and the way back: the nurse's socket is not for children.

    Decoders complain on standard error, where nobody could tell whose file it was.
    """
    code = 1
    try:
        quiet = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(quiet, standard)
        for other in range(3, OPEN_FILES_MAX):
            if other not in (fd, answer_fd):
                with contextlib.suppress(OSError):
                    os.close(other)
        said = memoryview(answer(fd, request, limits))
        while said:
            said = said[os.write(answer_fd, said) :]
        code = 0
    finally:
        os._exit(code)


# --- the nurse --------------------------------------------------------------------------------------------------------


def nurse_one(
    fd: int, request: dict[str, Any], limits: dict[str, int], answer: Answer = child_answer, most: int = ANSWER_MAX
) -> bytes:
    """Have one file looked at; always answers, at the latest a moment after the time limit."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        run_child(fd, writer, request, limits, answer)
    os.close(writer)
    try:
        said, in_time = read_until(reader, time.monotonic() + limits["seconds"], most)
    finally:
        os.close(reader)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # after its answer it has nothing left to do
        status = os.waitpid(pid, 0)[1]
    return said or to_bytes(end_of(status, in_time, limits["seconds"]))


def read_until(reader: int, deadline_s: float, most: int = ANSWER_MAX) -> tuple[bytes, bool]:
    """What came until the pipe closed, and True; nothing and False if it did not close in time."""
    answer = bytearray()
    while len(answer) <= most:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline_s - time.monotonic()))
        if not ready:
            return b"", False
        part = os.read(reader, 1 << 16)
        if not part:
            return bytes(answer), True
        answer += part
    return b"", True


def end_of(status: int, in_time: bool, seconds: int) -> Finding:
    """What an end without an answer means."""
    by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if not in_time or by == signal.SIGXCPU:
        return Finding(condition="out-of-time", detail=f"not looked through within {seconds} s")
    how = f"signal {by}" if by else f"exit {os.waitstatus_to_exitcode(status)}"
    return Finding(condition="crashed", detail=f"the decoder ended with {how}")


def serve(link: socket.socket, limits: dict[str, int]) -> None:
    """Answer requests until the other side closes: JSON {name, max_pages} and one open file, answered by one line."""
    link.sendall(READY)
    while True:
        data, fds, _, _ = socket.recv_fds(link, REQUEST_MAX, 1)
        if not data:
            return
        try:
            link.sendall(nurse_one(fds[0], json.loads(data), limits) + b"\n")
        finally:
            for fd in fds:
                os.close(fd)


def prepare(max_pixels: int) -> None:
    """Load every decoder that may be needed, so that a child needs no file but its own."""
    assert TiffImagePlugin.TiffImageFile.format == "TIFF"
    Image.preinit()
    Image.MAX_IMAGE_PIXELS = max_pixels
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def main() -> None:
    limits = json.loads(sys.argv[1])
    os.nice(5)  # routing goes first
    prepare(limits["max_pixels"])
    with socket.socket(fileno=os.dup(0)) as link, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        serve(link, limits)


if __name__ == "__main__":
    main()
