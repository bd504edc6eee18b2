"""Pages of documents as pictures: what the HTTP side asks of whoever can draw them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from msgspec import Struct

from router.errors import Unavailable


class Shown(Struct, frozen=True, kw_only=True):
    """What a file is, by its content. `pages` 0: nothing of it can be shown, or nobody knows how many there are."""

    kind: str  # pdf, tiff, jpeg, png, gif, g3, or "" for anything else
    condition: str  # ok, damaged, encrypted, raw, unreadable, foreign, too-many-pixels, out-of-time ...
    pages: int = 0
    width: int = 0  # pixels of the first page; 0 for PDF
    height: int = 0
    dpi: int = 0
    detail: str = ""  # what is wrong with it


class Pictures(Protocol):
    async def about(self, path: Path, name: str) -> Shown:
        """Raises NotFound, Overloaded and Unavailable."""

    async def page(self, path: Path, name: str, page: int, width: int) -> bytes:
        """A PNG of a page, counted from 0. Raises BadMessage for what cannot be shown, NotFound, Overloaded and
        Unavailable."""

    async def stop(self) -> None: ...


class NoPictures:
    """Of a process that draws nothing."""

    async def about(self, path: Path, name: str) -> Shown:
        raise Unavailable("this process draws no pages")

    async def page(self, path: Path, name: str, page: int, width: int) -> bytes:
        raise Unavailable("this process draws no pages")

    async def stop(self) -> None:
        return
