"""The daemon's end of `show`: pages as pictures, for whoever may see the file, and what a file says of itself.

Blocking parts run in one thread: the libraries behind them are not for several, and routing needs the other core. Who
comes when many wait is told to come back. Nothing is kept here: what was drawn is named by the digest of what it was
drawn from, so every browser may keep it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from channels.scan.finding import Finding, from_bytes
from channels.scan.inspector import Inspector, InspectorDown
from channels.scan.settings import Inspector as Limits
from channels.scan.show import CUT, CUT_MAX, PICTURE, READ, Reading
from router.errors import BadMessage, NotFound, Overloaded, Unavailable
from router.service.pictures import Shown

T = TypeVar("T")

PROGRAM = "channels.scan.show"
WAITING_MAX = 32  # pages asked for at once, by all agents together
PAGES_MAX = 10_000


class Drawer(Inspector):
    """As an `Inspector`, for the jobs of `show`."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits, PROGRAM)

    def draw(self, fd: int, name: str, page: int, width: int) -> bytes | Finding:
        """A PNG, or why there is none."""
        answer = self._exchange(fd, {"job": "draw", "name": name[-100:], "page": page, "width": width}, _counted)
        return answer[1:] if answer[:1] == PICTURE else _finding(answer)

    def read(self, fd: int, name: str, pages: int, first: int = 0) -> Reading | Finding:
        """Text and bar codes of so many pages, or why there are none."""
        request = {"job": "read", "name": name[-100:], "pages": pages, "first": first}
        answer = self._exchange(fd, request, _counted)
        if answer[:1] != READ:
            return _finding(answer)
        try:
            return msgspec.json.decode(answer[1:], type=Reading)
        except msgspec.DecodeError:
            return _finding(answer)

    def cut(self, fd: int, name: str, first: int, pages: int) -> bytes | Finding:
        """A file of so many pages of this one, of its kind, or why there is none."""
        request = {"job": "cut", "name": name[-100:], "first": first, "pages": pages}
        answer = self._exchange(fd, request, _counted)
        return answer[1:] if answer[:1] == CUT else _finding(answer)


def _finding(answer: bytes) -> Finding:
    try:
        return from_bytes(answer)
    except msgspec.DecodeError:
        return Finding(condition="crashed", detail="the decoder's answer made no sense")


def _counted(link: socket.socket, seconds: float) -> bytes:
    """An answer with its length in front. Raises OSError if it does not come in time, or is too long."""
    deadline_s = time.monotonic() + seconds
    size = int.from_bytes(_exactly(link, 4, deadline_s), "big")
    if size > CUT_MAX + 1:
        raise OSError("its answer is too long")
    return _exactly(link, size, deadline_s)


def _exactly(link: socket.socket, size: int, deadline_s: float) -> bytes:
    data = bytearray()
    while len(data) < size:
        link.settimeout(max(0.001, deadline_s - time.monotonic()))
        part = link.recv(min(size - len(data), 1 << 16))
        if not part:
            raise OSError("it has ended")
        data += part
    return bytes(data)


class ScanPictures:
    """Implements `service.pictures.Pictures`."""

    def __init__(self, limits: Limits, drawer: Drawer | None = None, inspector: Inspector | None = None) -> None:
        self._drawer, self._inspector = drawer or Drawer(limits), inspector or Inspector(limits)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="pictures")
        self._waiting = 0

    async def about(self, path: Path, name: str) -> Shown:
        found = await self._off(self._look, path, name)
        return Shown(
            kind=found.kind,
            condition=found.condition,
            pages=found.pages if found.showable else 0,
            width=found.width,
            height=found.height,
            dpi=found.dpi,
            detail=found.detail,
        )

    async def page(self, path: Path, name: str, page: int, width: int) -> bytes:
        drawn = await self._off(self._draw, path, name, page, width)
        if isinstance(drawn, bytes):
            return drawn
        if drawn.condition == "not-shown":
            raise NotFound(f"no such page: {drawn.detail}")
        raise BadMessage(f"{drawn.condition}: {drawn.detail}")

    async def stop(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._drawer.close()  # what is being drawn ends with it
        self._inspector.close()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _look(self, path: Path, name: str) -> Finding:
        fd = _open(path)
        try:
            return self._inspector.inspect(fd, name, PAGES_MAX)
        finally:
            os.close(fd)

    def _draw(self, path: Path, name: str, page: int, width: int) -> bytes | Finding:
        fd = _open(path)
        try:
            return self._drawer.draw(fd, name, page, width)
        finally:
            os.close(fd)

    async def _off(self, work: Callable[..., T], *arguments: object) -> T:
        if self._waiting >= WAITING_MAX:
            raise Overloaded("many pages are being drawn; come back in a moment", 2)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)
        except InspectorDown as problem:
            raise Unavailable(str(problem)) from problem
        finally:
            self._waiting -= 1


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise NotFound("there is no such content") from None
