"""Files of visitors over HTTP: `POST /chat/files` with the visitor's token gives a ticket, which a message names.

The port is that of the house, the page is somebody else's: so other origins may ask, those that `sockets.origins` names
or any, and no cookie plays a part. A file is what its first bytes say, not what a page calls it; what is not on the
list is refused before it is kept. A download is a download: no browser shows it under our address.

A ticket names the visitor, so nobody can send or fetch with another's; who has one may fetch that file and no other.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

from aiohttp import web
from msgspec import Meta, Struct

from channels.chat.conversation import FILES
from channels.chat.limits import Buckets
from channels.chat.settings import Settings
from channels.chat.tokens import Ticket, seal_file, unseal, unseal_file
from router.errors import (
    BadMessage,
    Forbidden,
    NotFound,
    Overloaded,
    RouterError,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from router.service.ports import Context
from router.service.problems import problem_response
from router.service.routes import describe, json_response, read_body, read_query

# What a file of a kind begins with. Kinds that are not here are believed: nothing runs or shows them.
BEGINNINGS: dict[str, tuple[bytes, ...]] = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
    "application/pdf": (b"%PDF-",),
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069/\\]+")


class UploadQuery(Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(max_length=200, description="What the file is called")] = ""


class Uploaded(Struct, frozen=True):
    """`file` is for `files` of a message."""

    file: str
    name: str
    media_type: str
    size: int


def kind_of(content: bytes, said: str, kinds: tuple[str, ...]) -> str:
    """The media type, if it is one of `kinds` and the content agrees. Raises BadMessage."""
    beginnings = BEGINNINGS.get(said, (b"",))
    fits = content.startswith(beginnings) and (said != "image/webp" or content[8:12] == b"WEBP")
    fits = fits and (said != "text/plain" or b"\0" not in content[:4_096])
    if said not in kinds or not fits:
        raise BadMessage(f"files of these kinds are taken here: {', '.join(kinds) or 'none'}")
    return said


def plain_name(name: str) -> str:
    """Without folders, control characters and marks that turn the direction of writing."""
    return _CONTROL.sub(" ", name).strip(" .")[:200] or "file"


class FileRoutes:
    def __init__(self, settings: Settings, context: Context, secret: Callable[[], bytes]) -> None:
        self._settings = settings
        self._context = context
        self._secret = secret
        self._rates = Buckets(settings.file_rate / 60, settings.file_rate)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(FILES, self.post),
            web.options(FILES, self.ask),
            web.get(FILES + "/{ticket:[A-Za-z0-9_.-]{16,4000}}", self.get),
        ]

    async def ask(self, request: web.Request) -> web.Response:
        """A browser asks before it sends something from another page (CORS)."""
        headers = {
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "authorization, content-type",
            "Access-Control-Max-Age": "600",
        }
        return web.Response(status=204, headers=headers | self._origin(request))

    @describe(
        "Upload a visitor's file; the bearer token is the one of their welcome, the body the content itself",
        group="chat",
        query=UploadQuery,
        body=bytes,
        bodies=("application/octet-stream",),
        answer=Uploaded,
        status=201,
        refuses=(Unauthenticated, Forbidden, TooLarge, BadMessage, Overloaded, Unavailable),
    )
    async def post(self, request: web.Request) -> web.Response:
        """A refusal may be read by the page that asked, too: without the header its browser tells of a cut line."""
        headers = self._origin(request)
        try:
            answer = await self._take(request)
        except RouterError as refusal:
            answer = problem_response(refusal)
        answer.headers.update(headers)
        return answer

    async def _take(self, request: web.Request) -> web.Response:
        query = read_query(request, UploadQuery)
        visitor = self._visitor(request)
        if wait_s := self._rates.wait_s(visitor, self._context.desk.now_ms()):
            raise Overloaded("more files than one visitor may send in a minute", retry_after_s=wait_s)
        content = await read_body(request, self._settings.file_max)
        kind = kind_of(content, request.content_type, self._settings.file_types)
        kept = await self._context.blobs.put(content, kind, plain_name(query.name))
        ticket = Ticket(visitor, kept.digest, kept.size, kept.media_type, kept.name)
        return json_response(Uploaded(seal_file(self._secret(), ticket), kept.name, kept.media_type, kept.size), 201)

    @describe(
        "A file of a conversation, as a download; the ticket is in the message that came with it",
        group="chat",
        media="application/octet-stream",
        answer=bytes,
        refuses=(NotFound,),
    )
    async def get(self, request: web.Request) -> web.FileResponse:
        ticket = unseal_file(self._secret(), request.match_info["ticket"])
        path = await asyncio.to_thread(self._context.blobs.path, ticket.digest)
        return web.FileResponse(path, headers=as_download(ticket.name))

    def _visitor(self, request: web.Request) -> str:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("a file needs the token of its visitor's welcome")
        claim = unseal(self._secret(), token.strip())
        if claim.issued_ms + self._settings.session <= self._context.desk.now_ms():
            raise Unauthenticated("this token is too old: say hello first")
        return claim.visitor

    def _origin(self, request: web.Request) -> dict[str, str]:
        """Which pages may. Raises Forbidden for one that the sockets would not take either."""
        allowed, origin = self._context.sockets.settings.origins, request.headers.get("Origin", "")
        if allowed and origin and origin not in allowed:
            raise Forbidden("this page may not send files here: see sockets.origins")
        return {"Access-Control-Allow-Origin": origin or "*", "Vary": "Origin"}


def as_download(name: str) -> dict[str, str]:
    """Headers that make a browser save it, whatever it is (RFC 6266, RFC 8187)."""
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)
    exact = quote(name.encode("utf-8", "replace"), safe="")
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"
    return {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": disposition,
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-store",
        "Referrer-Policy": "no-referrer",
    }
