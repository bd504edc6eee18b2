"""Draws pages and reads what stands on them, in processes that may die of it (see `inspect`).

    python -m channels.scan.show '{"seconds": 30, "memory_bytes": 536870912, "max_pixels": 120000000}'

Each request names a job: `draw` makes a picture of one page, `read` tells the text that a PDF carries and the bar codes
of some pages, `cut` makes a file of them. Answers have their length in front (four bytes, big-endian) and a letter for
their kind: `P` is a PNG, `R` what was read, as JSON, `C` the new file, and `{` begins a `Finding` that says why there
is nothing to show.

What is drawn is for eyes and for a reading program: grey, never larger than asked for, and with square pixels, since a
fax in normal resolution has half as many lines as columns. Of a damaged file that is drawn which can be.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec
import pypdfium2
import zxingcpp
from msgspec import Struct
from PIL import Image, ImageFile, TiffImagePlugin, UnidentifiedImageError

from channels.scan.finding import HEAD_BYTES, Finding, kind_of, line, to_bytes
from channels.scan.inspect import READY, REQUEST_MAX, limit_child, nurse_one, prepare

PICTURE, READ, CUT = b"P", b"R", b"C"
CUT_MAX = 64 << 20  # a file of some pages is no larger than what a folder takes
ANSWER_MAX = 8 << 20  # a grey page at 2,400 pixels is smaller than that, whatever is on it
WIDTH_MAX = 2_400
READING_WIDTH = 1_700  # pixels: A4 at 200 dpi, which bar codes and letters of a fax need
TALL = 4  # times as high as wide: what is longer is a strip that nobody can read on a screen
TEXT_MAX = 20_000  # characters of one page
CODES_MAX = 16  # of one page
CODE_MAX = 500  # characters

_FORMATS = {"jpeg": "JPEG", "png": "PNG", "gif": "GIF", "tiff": "TIFF"}


class NotShown(Exception):
    """There is no such page, or no picture of it."""


class Page(Struct, frozen=True):
    text: str = ""  # that the file carries; "" where it has only a picture
    codes: tuple[str, ...] = ()


class Reading(Struct, frozen=True):
    pages: tuple[Page, ...]
    of: int = 0  # so many has the file


# --- pages ------------------------------------------------------------------------------------------------------------


class Pages:
    """One file's pages, whatever it is."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.kind = kind_of(file.read(HEAD_BYTES), name)
        file.seek(0)
        self._file = file
        self._pdf: Any = None
        self._image: Image.Image | None = None
        if self.kind == "pdf":
            self._pdf = pypdfium2.PdfDocument(file)
        elif self.kind in _FORMATS:
            ImageFile.LOAD_TRUNCATED_IMAGES = True  # show what came of it
            self._image = Image.open(file, formats=(_FORMATS[self.kind],))
        else:
            raise NotShown("raw fax data cannot be shown" if self.kind == "g3" else "not a kind that can be shown")

    def __len__(self) -> int:
        if self._pdf is not None:
            return len(self._pdf)
        return int(getattr(self._image, "n_frames", 1))

    def picture(self, number: int, width: int) -> Image.Image:
        if not 0 <= number < len(self):
            raise NotShown(f"it has {len(self)} pages")
        return self._drawn(number, width) if self._pdf is not None else self._scaled(number, width)

    def text(self, number: int) -> str:
        if self._pdf is None:
            return ""
        with contextlib.closing(self._pdf[number]) as page, contextlib.closing(page.get_textpage()) as text:
            return str(text.get_text_bounded())[:TEXT_MAX]

    def cut(self, first: int, count: int) -> bytes:
        """So many pages as a file of the same kind, as they are: a picture loses nothing."""
        if first + count > len(self):
            raise NotShown(f"it has {len(self)} pages")
        return self._cut_pdf(first, count) if self._pdf is not None else self._cut_tiff(first, count)

    def _cut_pdf(self, first: int, count: int) -> bytes:
        out = io.BytesIO()
        with contextlib.closing(pypdfium2.PdfDocument.new()) as new:
            new.import_pages(self._pdf, list(range(first, first + count)))
            new.save(out)
        return out.getvalue()

    def _cut_tiff(self, first: int, count: int) -> bytes:
        image = self._image
        if image is None or self.kind != "tiff":
            raise NotShown("only a PDF and a TIFF have pages that can be parted")
        out = io.BytesIO()
        with TiffImagePlugin.AppendingTiffWriter(out) as writer:  # page by page: a hundred at once are 400 MB
            for number in range(first, first + count):
                image.seek(number)
                packed = "group4" if image.mode == "1" else "tiff_adobe_deflate"
                image.copy().save(writer, "TIFF", compression=packed, dpi=image.info.get("dpi", (204, 196)))
                writer.newFrame()
        return out.getvalue()

    def _drawn(self, number: int, width: int) -> Image.Image:
        with contextlib.closing(self._pdf[number]) as page:
            wide, high = page.get_size()
            scale = min(width / max(wide, 1), TALL * width / max(high, 1))
            picture: Image.Image = page.render(scale=scale, grayscale=True).to_pil()
            return picture.convert("L")

    def _scaled(self, number: int, width: int) -> Image.Image:
        image = self._image
        assert image is not None, "it is either"
        if number:
            image.seek(number)
        stretch = _stretch(image)
        wide = min(width, image.width)
        if wide < image.width // 2:
            image.draft("L", (wide, wide))
        high = max(1, min(round(wide * image.height * stretch / image.width), TALL * wide))
        return image.convert("L").resize((wide, high), Image.Resampling.BOX)


def _stretch(image: Image.Image) -> float:
    """How much higher a pixel is than wide. Odd claims are not believed."""
    found = image.info.get("dpi")
    try:
        stretch = float(found[0]) / float(found[1]) if found else 1.0
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return 1.0
    return stretch if 0.25 <= stretch <= 4 else 1.0


# --- jobs -------------------------------------------------------------------------------------------------------------


def draw(pages: Pages, request: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    pages.picture(request["page"], min(request["width"], WIDTH_MAX)).save(out, "PNG")
    return PICTURE + out.getvalue()


def read(pages: Pages, request: dict[str, Any]) -> bytes:
    first = request["first"]
    wanted = range(first, min(len(pages), first + request["pages"]))
    return READ + msgspec.json.encode(Reading(tuple(_read(pages, wanted)), len(pages)))


def _read(pages: Pages, wanted: range) -> Iterator[Page]:
    for number in wanted:
        try:
            yield Page(pages.text(number), codes_of(pages.picture(number, READING_WIDTH)))
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - one page that cannot be decoded; a decoder raises anything
            yield Page()


def codes_of(picture: Image.Image) -> tuple[str, ...]:
    found = zxingcpp.read_barcodes(picture)
    texts = ("".join(c for c in code.text if c.isprintable())[:CODE_MAX] for code in found)
    return tuple(dict.fromkeys(text for text in texts if text))[:CODES_MAX]


def cut(pages: Pages, request: dict[str, Any]) -> bytes:
    return CUT + pages.cut(request["first"], request["pages"])


JOBS = {"draw": draw, "read": read, "cut": cut}


def answer_max(request: dict[str, Any]) -> int:
    return CUT_MAX if request["job"] == "cut" else ANSWER_MAX


def child_answer(fd: int, request: dict[str, Any], limits: dict[str, int]) -> bytes:
    limit_child(limits["seconds"], limits["memory_bytes"])
    try:
        with os.fdopen(fd, "rb") as file:
            return JOBS[request["job"]](Pages(file, request["name"]), request)
    except MemoryError:
        return to_bytes(Finding(condition="out-of-memory", detail="the decoder asked for more memory than it may have"))
    except NotShown as problem:
        return to_bytes(Finding(condition="not-shown", detail=line(problem)))
    except UnidentifiedImageError:
        return to_bytes(Finding(condition="unreadable", detail="nothing follows its first bytes that makes sense"))
    except Exception as problem:  # noqa: BLE001 - a decoder raises anything on hostile bytes
        return to_bytes(Finding(condition="unreadable", detail=line(f"{type(problem).__name__}: {problem}")))


# --- the nurse --------------------------------------------------------------------------------------------------------


def serve(link: socket.socket, limits: dict[str, int]) -> None:
    link.sendall(READY)
    while True:
        data, fds, _, _ = socket.recv_fds(link, REQUEST_MAX, 1)
        if not data:
            return
        try:
            request = json.loads(data)
            said = nurse_one(fds[0], request, limits, child_answer, answer_max(request))
            link.sendall(len(said).to_bytes(4, "big") + said)
        finally:
            for fd in fds:
                os.close(fd)


def main() -> None:
    limits = json.loads(sys.argv[1])
    os.nice(10)  # whoever looks at a page waits a moment longer than who waits in a queue
    prepare(limits["max_pixels"])
    with socket.socket(fileno=os.dup(0)) as link, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        serve(link, limits)


if __name__ == "__main__":
    main()
