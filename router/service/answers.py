"""A good answer that is given so often that what it costs to make its head is worth a thought.

The library prepares a head for whatever may have to stand in it: cookies, compression, chunks, statuses without a
body. An answer to a gateway has none of that, and what its head says is the same for every answer of one second, but
for the length. So it is written as one piece of bytes, the very ones that the library would write, which a test
compares. To a request that is anything but HTTP/1.1 on a connection that stays, the library answers.
"""

from __future__ import annotations

import time
from email.utils import formatdate

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE, HttpVersion11

from router.service.problems import JSON_TYPE


class Brief(web.StreamResponse):
    """Status 200 and a few bytes."""

    def __init__(self, body: bytes, media: str = JSON_TYPE) -> None:
        super().__init__()
        self.body, self.media = body, media
        self._writer: AbstractStreamWriter | None = None
        self._other: web.Response | None = None  # the library's, where this one will not do

    @property
    def keep_alive(self) -> bool | None:
        return True if self._other is None else self._other.keep_alive

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        if request.keep_alive and request.version == HttpVersion11:
            self._writer = request.writer
            return self._writer
        self._other = web.Response(body=self.body, content_type=self.media)
        return await self._other.prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        if self._other is not None:
            await self._other.write_eof(data)
        elif self._writer is not None:
            body = self.body
            await self._writer.write_eof(_heads.of(self.media) % len(body) + body)


class _Heads:
    """Those of this second, by media type; the length is to be filled in."""

    def __init__(self) -> None:
        self._second = 0
        self._known: dict[str, bytes] = {}

    def of(self, media: str) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._known.clear()
        return self._known.get(media) or self._made(media)

    def _made(self, media: str) -> bytes:
        date = formatdate(self._second, usegmt=True)
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length: %d\r\n"
            f"Date: {date}\r\nServer: {SERVER_SOFTWARE}\r\n\r\n"
        ).encode()
        self._known[media] = head
        return head


_heads = _Heads()
