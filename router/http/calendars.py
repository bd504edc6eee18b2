"""Calendars at a glance, and the emergency: closed whatever the hours say."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import UNSET, Meta, Struct, UnsetType

from router.engine import commands as c
from router.engine.config import Duration, Name
from router.engine.views import CalendarView
from router.errors import BadMessage, ClientError, NotFound, Unauthenticated, Unavailable
from router.http.house import House
from router.service.routes import describe, json_response, read_json

_PATH = {"id": Name}
_ACTING = (Unauthenticated, ClientError, BadMessage, NotFound, Unavailable)


class CalendarList(Struct, frozen=True):
    calendars: list[CalendarView]


class CloseBody(Struct, frozen=True, forbid_unknown_fields=True):
    why: Annotated[str, Meta(max_length=1_000)] = ""
    lasts: Duration | UnsetType = UNSET  # after which it ends by itself; left out: by hand


class OpenBody(Struct, frozen=True, forbid_unknown_fields=True):
    why: Annotated[str, Meta(max_length=1_000)] = ""


class CalendarRoutes:
    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/calendars", self.list_),
            web.post("/v1/calendars/{id}/close", self.close),
            web.post("/v1/calendars/{id}/open", self.open),
        ]

    @describe(
        "Calendars: open or closed, until when, and why",
        group="calendars",
        who="operator",
        needs="floor",
        answer=CalendarList,
        refuses=(Unauthenticated,),
    )
    async def list_(self, request: web.Request) -> web.Response:
        self._house.access.operator(request)
        return json_response(CalendarList(self._house.desk.calendars()))

    @describe(
        "An emergency: close every queue with this calendar now",
        group="calendars",
        who="operator",
        parameters=_PATH,
        body=CloseBody,
        body_required=False,
        answer=CalendarView,
        refuses=_ACTING,
    )
    async def close(self, request: web.Request) -> web.Response:
        by, name = self._house.by(request), request.match_info["id"]
        body = await read_json(request, CloseBody)
        until = self._house.desk.now_ms() + body.lasts if body.lasts else 0
        command = c.CloseCalendar(calendar=name, by=by, why=body.why, until_ms=until)
        await self._house.act(request, "close calendar", command)
        return self._shown(name)

    @describe(
        "The emergency is over: the hours hold again",
        group="calendars",
        who="operator",
        parameters=_PATH,
        body=OpenBody,
        body_required=False,
        answer=CalendarView,
        refuses=_ACTING,
    )
    async def open(self, request: web.Request) -> web.Response:
        by, name = self._house.by(request), request.match_info["id"]
        body = await read_json(request, OpenBody)
        await self._house.act(request, "open calendar", c.OpenCalendar(calendar=name, by=by, why=body.why))
        return self._shown(name)

    def _shown(self, name: str) -> web.Response:
        for view in self._house.desk.calendars():
            if view.calendar == name:
                return json_response(view)
        raise NotFound("there is no such calendar any more")
