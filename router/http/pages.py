"""Pages of scans and attachments as pictures, for the people who work on them.

A file of a stranger is never given to a browser to be opened: whoever wants to look at it gets a PNG of a page, drawn
in a process that may die of it. Content has the name of its digest, so a picture of it never changes and may be kept.
"""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from router.errors import BadMessage, NotFound, Overloaded, Unauthenticated, Unavailable
from router.http.blobs import Digest
from router.http.house import House
from router.service.pictures import Shown
from router.service.routes import describe, json_response, read_query, shaped

PageNumber = Annotated[str, shaped(r"^[1-9][0-9]{0,4}$", "the number of a page, from 1", examples=["1"])]


class PageQuery(Struct, frozen=True, forbid_unknown_fields=True):
    width: Annotated[int, Meta(ge=16, le=2_400, description="Pixels, at most; 160 makes a thumbnail")] = 1_000
    name: Annotated[str, Meta(max_length=200, description="The file's name: raw fax data is known by it alone")] = ""


class FileQuery(Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(max_length=200, description="The file's name: raw fax data is known by it alone")] = ""


class PageRoutes:
    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[web.RouteDef]:
        at = "/v1/blobs/{digest}/pages"
        return [web.get(at, self.about), web.get(at + "/{page}", self.page)]

    @describe(
        "What a document is: its kind, how many pages it has, and what is wrong with it",
        group="blobs",
        who="agent",
        query=FileQuery,
        parameters={"digest": Digest},
        answer=Shown,
        refuses=(Unauthenticated, NotFound, BadMessage, Overloaded, Unavailable),
    )
    async def about(self, request: web.Request) -> web.Response:
        self._house.access.anybody(request)
        query = read_query(request, FileQuery)
        path = self._house.blobs.path(request.match_info["digest"])
        return json_response(await self._house.pictures.about(path, query.name))

    @describe(
        "One page as a picture (PNG)",
        group="blobs",
        who="agent",
        query=PageQuery,
        parameters={"digest": Digest, "page": PageNumber},
        media="image/png",
        answer=bytes,
        refuses=(Unauthenticated, NotFound, BadMessage, Overloaded, Unavailable),
    )
    async def page(self, request: web.Request) -> web.Response:
        self._house.access.anybody(request)
        query = read_query(request, PageQuery)
        written = request.match_info["page"]
        if not (written.isascii() and written.isdigit() and 0 < int(written[:6]) < 100_000):
            raise NotFound("pages are numbered from 1")
        path = self._house.blobs.path(request.match_info["digest"])
        picture = await self._house.pictures.page(path, query.name, int(written) - 1, query.width)
        headers = {"Cache-Control": "private, max-age=86400, immutable", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=picture, content_type="image/png", headers=headers)
