"""Operators and routing domains: who leads which, and giving one to another engine."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from router.errors import BadMessage, IllegalMove, NotFound, Unauthenticated, Unavailable
from router.http.house import House
from router.service.domains.moving import DomainsOffice, DomainView, Moved
from router.service.routes import describe, json_response, read_json

Named = Annotated[str, Meta(min_length=1, max_length=256)]
_PATH = {"domain": Annotated[str, Meta(min_length=1, max_length=64)]}


class DomainList(Struct, frozen=True):
    domains: list[DomainView]


class MoveBody(Struct, frozen=True, forbid_unknown_fields=True):
    to: Annotated[Named, Meta(description="The name of an engine that stands by (`link.name`)")]
    why: Annotated[str, Meta(max_length=1_000, description="The operator's reason; kept in the journal")] = ""


class DomainRoutes:
    def __init__(self, house: House, office: DomainsOffice) -> None:
        self._house, self._office = house, office

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/domains", self.list_), web.post("/v1/domains/{domain}/move", self.move)]

    @describe(
        "Routing domains, who leads them and who stands by",
        group="domains",
        who="operator",
        answer=DomainList,
        refuses=(Unauthenticated, Unavailable),
    )
    async def list_(self, request: web.Request) -> web.Response:
        self._house.access.operator(request)
        return json_response(DomainList(await self._office.all()))

    @describe(
        "Give a routing domain to another engine; answered when that one leads",
        group="domains",
        who="operator",
        parameters=_PATH,
        body=MoveBody,
        answer=Moved,
        refuses=(Unauthenticated, BadMessage, NotFound, IllegalMove, Unavailable),
    )
    async def move(self, request: web.Request) -> web.Response:
        by = self._house.by(request)
        body = await read_json(request, MoveBody)
        name = request.match_info["domain"]
        moved = await self._office.move(name, body.to, by, body.why)
        detail = f"from {moved.was or 'nobody'} to {moved.engine}" + (f": {body.why}" if body.why else "")
        await self._house.note(request, self._house.access.allowed(request), "domain-moved", name, detail)
        return json_response(moved)
