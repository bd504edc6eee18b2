"""What the outside must still be told, and the dead letters that an operator can retry or discard."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from router.engine.commands import AnyCommand, RetryOutbound, SettleOutbound
from router.engine.views import Outbound, interaction_id
from router.errors import BadMessage, NotFound, Unauthenticated
from router.http import deeds
from router.http.house import House
from router.http.interactions import ACTING, Limit
from router.service.routes import describe, json_response, read_query

Number = Annotated[int, Meta(ge=0, le=10**18)]


class OutboundQuery(Struct, frozen=True, forbid_unknown_fields=True):
    dead: Annotated[bool, Meta(description="1: only what was given up after its last attempt")] = False
    after: Number = 0
    limit: Limit = 100


class OutboundItem(Struct, frozen=True):
    """One action, without the words it carries."""

    outbound: int
    at_ms: int
    action: str
    channel: str
    interaction: str
    recipient: Annotated[str, Meta(description="Whom it is to reach: an agent's or outside address, or the customer")]
    error: Annotated[
        str,
        Meta(description="Why it was given up, or why the last try failed; the latter where this process delivers it"),
    ]


class OutboundPage(Struct, frozen=True):
    outbound: list[OutboundItem]
    next: int = 0  # the `after` of the next page; 0 on the last one


class Settled(Struct, frozen=True):
    outbound: int


_PATH = {"number": Annotated[int, Meta(ge=0, le=10**18)]}


class OutboundRoutes:
    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/outbound", self.list_),
            web.post("/v1/outbound/{number}/retry", self.retry),
            web.post("/v1/outbound/{number}/discard", self.discard),
        ]

    @describe(
        "A page of actions that are still to be done, or of dead letters",
        group="outbound",
        who="operator",
        query=OutboundQuery,
        answer=OutboundPage,
        refuses=(Unauthenticated, BadMessage),
    )
    async def list_(self, request: web.Request) -> web.Response:
        self._house.access.operator(request)
        query = read_query(request, OutboundQuery)
        found = sorted(
            (o for o in self._house.desk.outbounds(query.dead) if o.outbound > query.after), key=lambda o: o.outbound
        )
        page = [self._item(o) for o in found[: query.limit]]
        return json_response(OutboundPage(page, page[-1].outbound if len(found) > len(page) else 0))

    @describe(
        "Try a dead letter again", group="outbound", who="operator", parameters=_PATH, answer=Settled, refuses=ACTING
    )
    async def retry(self, request: web.Request) -> web.Response:
        by, letter = self._house.by(request), self._dead(request)
        return await self._act(request, "retry", letter, RetryOutbound(outbound=letter.outbound, by=by))

    @describe(
        "Give a dead letter up", group="outbound", who="operator", parameters=_PATH, answer=Settled, refuses=ACTING
    )
    async def discard(self, request: web.Request) -> web.Response:
        by, letter = self._house.by(request), self._dead(request)
        settle = SettleOutbound(outbound=letter.outbound, by=by, discard=True)
        return await self._act(request, "discard", letter, settle)

    def _item(self, o: Outbound) -> OutboundItem:
        error = o.error or self._house.trying(o.outbound)
        return OutboundItem(o.outbound, o.at_ms, o.action, o.channel, interaction_id(o.interaction), o.whom, error)

    def _dead(self, request: web.Request) -> Outbound:
        digits = request.match_info["number"]
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 19 else -1
        found = next((o for o in self._house.desk.outbounds(dead=True) if o.outbound == number), None)
        if found is None:
            raise NotFound(f"there is no dead letter {digits[:40]!r}")
        return found

    async def _act(self, request: web.Request, what: str, letter: Outbound, command: AnyCommand) -> web.Response:
        await self._house.act(request, what, command, interaction_id(letter.interaction), deeds.of_letter(letter))
        return json_response(Settled(letter.outbound))
