"""Content by its digest, as a download: never shown by the browser under our address, never guessed at.

An agent may ask as well as an operator: who knows a digest has seen the interaction that names it, and nobody can guess
one.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from aiohttp import web
from msgspec import Meta, Struct

from router.engine.views import Attachment
from router.errors import BadMessage, NotFound, Overloaded, TooLarge, Unauthenticated, Unavailable
from router.http.house import House
from router.service.routes import UNHURRIED, describe, json_response, read_body, read_query

CHUNK = 256 * 1024  # bytes: one hand-over to a thread for each, and what a slow reader can make us hold

Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class BlobQuery(Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(max_length=200, description="What the downloaded file is to be called")] = ""


def as_download(name: str) -> dict[str, str]:
    """Headers that make a browser save it, whatever it is (RFC 6266; RFC 8187 for names beyond ASCII)."""
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name).strip(". ") or "download"
    disposition = f'attachment; filename="{plain}"'
    if plain != name:
        disposition += f"; filename*=UTF-8''{quote(name.encode('utf-8', 'replace'), safe='')}"
    return {
        "Content-Disposition": disposition,
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-store",
    }


def _read(path: Path, begin: int) -> bytes:
    with path.open("rb") as file:
        file.seek(begin)
        if chunk := file.read(CHUNK):
            return chunk
    raise FileNotFoundError(f"{path.name} has become shorter")


async def send_file(request: web.Request, path: Path, name: str, write_timeout_s: float) -> web.StreamResponse:
    """Stream a file. A reader who takes longer than `write_timeout_s` for one chunk is cut; NotFound before the first.

    It is read in threads, as a disk that stands still must not stop the loop, and opened for each chunk, so that
    nothing is left open however the answer ends. Content erased in between cuts the answer, and its length shows that.
    """
    try:
        size = (await asyncio.to_thread(path.stat)).st_size
    except FileNotFoundError:
        raise NotFound("there is no such content") from None
    request.app[UNHURRIED]()
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream", **as_download(name)})
    response.content_length = size
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    try:
        for begin in range(0, size, CHUNK):
            chunk = await asyncio.to_thread(_read, path, begin)
            async with asyncio.timeout(write_timeout_s):
                await response.write(chunk)
        await response.write_eof()
    except TimeoutError as error:
        raise ConnectionResetError("the reader is too slow") from error
    except FileNotFoundError as error:
        raise ConnectionResetError("the content went away while it was read") from error
    return response


class BlobRoutes:
    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/blobs/{digest}", self.get), web.post("/v1/blobs", self.post)]

    @describe(
        "Upload content, to be attached to a reply by its digest; the body is the content itself",
        group="blobs",
        who="agent",
        query=BlobQuery,
        body=bytes,
        bodies=("application/octet-stream",),
        body_required=False,  # a file without a byte has no body
        answer=Attachment,
        status=201,
        refuses=(Unauthenticated, TooLarge, BadMessage, Overloaded, Unavailable),
    )
    async def post(self, request: web.Request) -> web.Response:
        self._house.access.anybody(request)
        query = read_query(request, BlobQuery)
        content = await read_body(request, self._house.settings.body_limit)
        kept = await self._house.blobs.put(content, request.content_type, query.name)
        shown = Attachment(kept.digest, kept.size, kept.media_type, kept.name)
        return json_response(shown, status=201)

    @describe(
        "Content as a download",
        group="blobs",
        who="agent",
        query=BlobQuery,
        parameters={"digest": Digest},
        media="application/octet-stream",
        answer=bytes,
        refuses=(Unauthenticated, NotFound, BadMessage),
    )
    async def get(self, request: web.Request) -> web.StreamResponse:
        self._house.access.anybody(request)
        query = read_query(request, BlobQuery)
        digest = request.match_info["digest"]
        path = await asyncio.to_thread(self._house.blobs.path, digest)
        return await send_file(request, path, query.name or digest[:16], self._house.settings.write_timeout / 1_000)
