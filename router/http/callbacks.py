"""Customers who are to be called: see them, ask for a call, take it back (MV-5)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from aiohttp import web
from msgspec import Meta, Struct

from router.engine.commands import CancelCallback, RequestCallback
from router.engine.views import CallbackView, callback_id, number_of
from router.errors import BadMessage, NotFound, NotSupported, Unauthenticated, UnknownName
from router.http.house import House
from router.http.interactions import ACTING, Known, Limit, Why
from router.service.routes import describe, json_response, read_json, read_query, shaped

CallbackId = Annotated[str, shaped(r"^c-[0-9]{1,18}$", "the id of a callback, such as c-12", examples=["c-12"])]
After = Annotated[str, shaped(r"^(c-[0-9]{1,18})?$", "the last id of the page before, such as c-12")]
Telephone = Annotated[
    str,
    shaped(
        r"^\+[1-9][0-9]{5,14}$",
        "a telephone number in E.164 form: a plus sign, the country code and the number, 6 to 15 digits, "
        "such as +15550199",
        examples=["+15550199"],
    ),
]
Moment = Annotated[datetime, Meta(tz=True, description="RFC 3339 with its zone")]


class CallbackQuery(Struct, frozen=True, forbid_unknown_fields=True):
    after: After = ""
    limit: Limit = 100


class CallbackPage(Struct, frozen=True):
    callbacks: list[CallbackView]
    next: str = ""  # the `after` of the next page; "" on the last one


class CallbackBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    to: Telephone
    queue: Known
    not_before: Moment | None = None
    until: Moment | None = None
    first: Annotated[Literal["", "agent", "customer"], Meta(description="Whose telephone rings first")] = ""
    gateway: Annotated[str, Meta(max_length=64, description="Left out: any that can call")] = ""
    name: Annotated[str, Meta(max_length=200)] = ""
    subject: Annotated[str, Meta(max_length=1_000)] = ""
    language: Annotated[str, Meta(max_length=35)] = ""


class CancelBody(Struct, frozen=True, forbid_unknown_fields=True):
    why: Why = ""


class Cancelled(Struct, frozen=True):
    callback: str


def _ms(at: datetime | None) -> int:
    return int(at.timestamp() * 1_000) if at is not None else 0


class CallbackRoutes:
    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/callbacks", self.list_),
            web.post("/v1/callbacks", self.request),
            web.post("/v1/callbacks/{callback}/cancel", self.cancel),
        ]

    @describe(
        "A page of customers who are to be called",
        group="callbacks",
        who="operator",
        needs="contacts",
        query=CallbackQuery,
        answer=CallbackPage,
        refuses=(Unauthenticated, BadMessage),
    )
    async def list_(self, request: web.Request) -> web.Response:
        teams, scope = self._house.access.allowed(request).teams, self._house.scope
        query = read_query(request, CallbackQuery)
        after = number_of(query.after, "c") if query.after else 0
        found = self._house.desk.callbacks(after, query.limit)
        following = found[-1].callback if len(found) == query.limit else ""
        return json_response(CallbackPage([one for one in found if scope.queue(teams, one.queue)], following))

    @describe(
        "Call a customer, now or in a window of time",
        group="callbacks",
        who="operator",
        needs="lead",
        body=CallbackBody,
        answer=CallbackView,
        refuses=(*ACTING, UnknownName, NotSupported),
    )
    async def request(self, request: web.Request) -> web.Response:
        by, body = self._house.by(request), await read_json(request, CallbackBody)
        self._house.scope.demand_queue(self._house.access.allowed(request), body.queue)
        command = RequestCallback(
            line=f"phone.{body.gateway}:" if body.gateway else "",
            channel="phone",
            to=body.to,
            queue=body.queue,
            first=body.first,
            not_before_ms=_ms(body.not_before),
            until_ms=_ms(body.until),
            name=body.name,
            subject=body.subject,
            language=body.language,
            by=by,
        )
        await self._house.act(request, "callback", command)
        view = self._house.desk.callback_of(f"tel:{body.to}")
        if view is None:
            raise NotFound("it was recorded, and is over already")
        return json_response(view)

    @describe(
        "Do not call after all",
        group="callbacks",
        who="operator",
        needs="lead",
        parameters={"callback": CallbackId},
        body=CancelBody,
        body_required=False,
        answer=Cancelled,
        refuses=ACTING,
    )
    async def cancel(self, request: web.Request) -> web.Response:
        by, number = self._house.by(request), number_of(request.match_info["callback"], "c")
        self._demand(request, number)
        body = await read_json(request, CancelBody)
        await self._house.act(request, "callback-cancel", CancelCallback(callback=number, by=by, why=body.why))
        return json_response(Cancelled(callback_id(number)))

    def _demand(self, request: web.Request, number: int) -> None:
        """Raises Forbidden for a callback of a queue that is not theirs."""
        who = self._house.access.allowed(request)
        if who.teams is not None:
            for one in self._house.desk.callbacks(number - 1, 1):
                self._house.scope.demand_queue(who, one.queue)
