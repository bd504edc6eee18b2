"""Operators and routing domains: who leads which, and giving one to another engine."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from router.errors import NotFound, Unauthenticated, Unavailable
from router.http.house import House
from router.http.interactions import ACTING
from router.service.domains.moving import DomainsOffice, DomainView, Moved, NotTaken
from router.service.routes import describe, json_response, read_json

Named = Annotated[str, Meta(min_length=1, max_length=256)]
_PATH = {"domain": Annotated[str, Meta(min_length=1, max_length=64)]}


class DomainList(Struct, frozen=True):
    domains: list[DomainView]


class MoveBody(Struct, frozen=True, forbid_unknown_fields=True):
    to: Annotated[Named, Meta(description="The name of an engine that stands by (`link.name`)")]
    why: Annotated[str, Meta(max_length=1_000, description="The operator's reason; kept in the journal")] = ""


class DomainRoutes:
    """Without an `office` the house is one, and says so."""

    def __init__(self, house: House, office: DomainsOffice | None) -> None:
        self._house, self._named = house, office

    @property
    def _office(self) -> DomainsOffice:
        if self._named is None:
            raise NotFound("this house is one: its configuration has no [domains]")
        return self._named

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/domains", self.list_), web.post("/v1/domains/{domain}/move", self.move)]

    @describe(
        "Routing domains, who leads them and who stands by",
        group="domains",
        who="operator",
        answer=DomainList,
        refuses=(Unauthenticated, NotFound, Unavailable),
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
        refuses=ACTING,
    )
    async def move(self, request: web.Request) -> web.Response:
        by = self._house.by(request)
        body = await read_json(request, MoveBody)
        name = request.match_info["domain"]
        try:
            moved = await self._office.move(name, body.to, by, body.why)
        except NotTaken as problem:
            await self._note(request, "domain-not-moved", name, f"to {body.to}: {problem}")
            raise
        why = f": {body.why}" if body.why else ""
        await self._note(request, "domain-moved", name, f"from {moved.was or 'nobody'} to {moved.engine}{why}")
        return json_response(moved)

    async def _note(self, request: web.Request, act: str, domain: str, detail: str) -> None:
        await self._house.note(request, self._house.access.allowed(request), act, domain, detail)
