"""A wire that can be cut: a TCP proxy of the laboratory between one daemon and Redis.

open    bytes pass
cut     connections break and new ones are refused
silent  connections stay, and nothing passes; what was sent meanwhile arrives when it opens, late
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Literal

State = Literal["open", "cut", "silent"]


class Wire:
    def __init__(self, to: int) -> None:
        self._to = to
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._passes = asyncio.Event()
        self._passes.set()
        self._cut = False
        self.port = 0
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def set(self, state: State) -> None:
        self._loop.call_soon_threadsafe(self._set, state)

    def _set(self, state: State) -> None:
        self._cut = state == "cut"
        if state == "silent":
            self._passes.clear()
        else:
            self._passes.set()
        if self._cut:
            for end in list(self._ends):
                end.transport.abort()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._set("cut")
        assert self._server is not None
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=5)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        try:
            behind, before = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self._ends |= {writer, before}
        await asyncio.gather(self._pass(reader, before), self._pass(behind, writer))
        self._ends -= {writer, before}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._passes.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
