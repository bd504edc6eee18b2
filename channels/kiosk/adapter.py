"""The kiosk's shell: check-ins in, tickets out, and a screen that calls them. Knows HTTP; knows no queues.

A ticket is given only when the journal holds the visit (IN-2). With an `Idempotency-Key` a repeated check-in is the
same visit with the same ticket; its position and expected wait are those of now. A visitor who waits no longer has
position 0.

The pages hold nothing that needs guarding and are given to anybody; what they ask for needs the token where one is set.
"""

from __future__ import annotations

import asyncio
import hmac
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from aiohttp import web
from msgspec import Meta, Struct, structs

from channels.kiosk.appointments import Appointment, Appointments, code_of, standing
from channels.kiosk.appointments import parse as parse_appointment
from channels.kiosk.board import Board, Call, NowServing
from channels.kiosk.parse import CHANNEL, Booked, CheckIn, arrival, parse, parse_key
from channels.kiosk.rates import Rates
from channels.kiosk.render import Page, kiosk_page, screen_page
from channels.kiosk.settings import Settings, check_exposed
from router.engine import events as e
from router.engine.tickets import ticket
from router.engine.views import Inform, InteractionView, MessageView, Outbound, interaction_id, number_of
from router.errors import (
    BadMessage,
    ClientError,
    Draining,
    Forbidden,
    IllegalMove,
    NoRoute,
    NotFound,
    Overloaded,
    TooLarge,
    TurnedAway,
    Unauthenticated,
    Unavailable,
)
from router.observe import counter
from router.service.masked import for_channel
from router.service.ports import Context, DeliveryFailed, Desk, Health
from router.service.routes import describe, json_response, read_body, read_query
from router.service.sources import source_of

_checkins = counter("kiosk_checkins_total", "What became of check-ins.", ("outcome",))

# Views are asked for in portions of this size when the board is filled.
_PORTION = 1_000


Code = Annotated[str, Meta(pattern=r"^[A-Za-z0-9]{3,32}$")]


class SiteQuery(Struct, frozen=True, forbid_unknown_fields=True):
    site: Annotated[str, Meta(max_length=64, description="Only tickets of this site")] = ""


class CheckedIn(Struct, frozen=True):
    """The answer to a check-in."""

    ticket: str
    interaction: str
    position: int  # 1: next; 0: waits no longer
    expected_wait_s: int | None  # null while there is too little to tell from


class KioskAdapter:
    name = "kiosk"
    channels = (CHANNEL,)
    actions: frozenset[str] = frozenset()
    hears = True

    def __init__(self, settings: Settings, context: Context) -> None:
        if not context.loopback_only:
            check_exposed(settings)
        self._settings = settings
        context = for_channel(context, cards=False)
        self._desk: Desk = context.desk
        self._mask = context.mask
        self._board = Board(settings.called)
        self._appointments = Appointments(context.data / settings.appointments)
        self._sites: dict[int, str] = {}  # of visitors who are there
        self._rates = Rates(settings.rate, settings.addresses)
        sites = ("", *settings.sites)
        self._pages = {("kiosk", site): kiosk_page(settings, site) for site in sites}
        self._pages |= {("screen", site): screen_page(settings, site) for site in sites}
        self._booking = f"Bearer {settings.booking_token}".encode() if settings.booking_token else b""
        self._authorization = f"Bearer {settings.token}".encode() if settings.token else b""
        self._started = self._draining = False

    async def start(self) -> None:
        self._board.refill(self._being_served())
        await asyncio.to_thread(self._appointments.forget, self._desk.now_ms())
        self._started, self._draining = True, False

    async def stop_intake(self) -> None:
        self._draining = True

    async def stop(self) -> None:
        self._draining, self._started = True, False

    def health(self) -> Health:
        detail = "" if self._started else "not started"
        return Health(ok=self._started, detail=detail, figures={"called": float(len(self._board))})

    def reset(self, reason: str) -> None:
        """The screen shows what the restored engine says."""
        self._sites = {}
        self._board.refill(self._being_served())

    def inform(self, news: Inform) -> None:
        number = news.interaction
        if isinstance(news.event, e.InteractionArrived) and "site" in news.event.attributes:
            self._sites[number] = news.event.attributes["site"]
        site = self._sites.get(number, "")
        self._board.follow(news, self._ticket(number, site), site)
        if isinstance(news.event, e.InteractionEnded):
            self._sites.pop(number, None)

    async def deliver(self, outbound: Outbound) -> None:
        raise DeliveryFailed("a kiosk takes no orders: visitors are called on the screen", final=True)

    async def readable(self, view: InteractionView) -> tuple[MessageView, ...]:
        return view.messages

    def requeue_hooks(self) -> Mapping[str, Callable[[bytes, Any], Awaitable[object]]]:
        """None: a visitor whose check-in is refused stands there and tries again."""
        return {}

    def routes(self) -> Sequence[Any]:
        return [
            web.post("/v1/kiosk/checkins", self.check_in),
            web.get("/v1/kiosk/now-serving", self.now_serving),
            web.get("/v1/kiosk/appointments/{code}", self.appointment),
            web.put("/v1/kiosk/appointments/{code}", self.book),
            web.delete("/v1/kiosk/appointments/{code}", self.cancel),
            web.get("/kiosk", self.kiosk),
            web.get("/kiosk/now-serving", self.screen),
        ]

    # --- check-ins ---------------------------------------------------------------------------------------------------

    @describe(
        "Check in a visitor, who gets a ticket",
        group="kiosk",
        body=CheckIn,
        answer=CheckedIn,
        refuses=(
            BadMessage,
            NoRoute,
            NotFound,
            IllegalMove,
            TurnedAway,
            TooLarge,
            Unauthenticated,
            Forbidden,
            Overloaded,
            Unavailable,
        ),
    )
    async def check_in(self, request: web.Request) -> web.Response:
        try:
            answer = await self._checked_in(request)
        except ClientError as refusal:
            _checkins.labels(refusal.code).inc()
            raise
        _checkins.labels("recorded").inc()
        return json_response(answer)

    async def _checked_in(self, request: web.Request) -> CheckedIn:
        now_ms = self._desk.now_ms()
        if self._draining:
            raise Draining("stopping: try again in a moment")
        if not self._rates.take(source_of(request.remote or ""), now_ms):
            raise Overloaded("too many check-ins from this address", self._rates.retry_after_s)
        self._authenticate(request)
        reference = parse_key(request.headers.get("Idempotency-Key", "")) or uuid.uuid4().hex
        visit = parse(await read_body(request, self._settings.max_body), self._settings)
        booked = None
        if visit.code:
            visit, booked, reference = await self._by_code(visit, now_ms)
        if not self._desk.routes(CHANNEL, visit.topic):
            raise NoRoute(self._way_out())
        reply = await self._desk.ask(arrival(visit, reference, self._settings, now_ms, booked))
        refused = self._desk.refusal(reply.interaction)
        if refused is not None:
            raise TurnedAway(refused.message or f"nobody can be seen now: {refused.reason}")
        place = self._desk.estimate(reply.interaction)
        return CheckedIn(
            ticket=self._ticket(reply.interaction, visit.site),
            interaction=interaction_id(reply.interaction),
            position=place.position if place else 0,
            expected_wait_s=place.expected_wait_s if place else 0,
        )

    def _way_out(self) -> str:
        known = [topic for topic in self._settings.topics if self._desk.routes(CHANNEL, topic)]
        return f"no queue takes this topic; these are taken: {', '.join(known) or 'none at present'}"

    async def _by_code(self, visit: CheckIn, now_ms: int) -> tuple[CheckIn, Booked, str]:
        """What the appointment says; the same code is the same visit. Raises NotFound and IllegalMove (too early)."""
        code = code_of(visit.code)
        found = await asyncio.to_thread(self._appointments.get, code)
        stands = standing(found, now_ms, self._settings.early, self._settings.late)
        attributes = {"appointment": stands, "appointment_code": code, "appointment_at_ms": str(found.at_ms)}
        made = CheckIn(
            topic=found.topic,
            name=found.name or visit.name,
            language=found.language or visit.language,
            phone=found.phone or visit.phone,
            site=visit.site,
        )
        return made, Booked(found.agent, attributes), f"appointment:{code}:{found.at_ms}"

    def _ticket(self, number: int, site: str) -> str:
        return self._settings.prefix_of(site) + ticket(number, self._settings.ticket_letters)

    def _authenticate(self, request: web.Request) -> None:
        """Raises Unauthenticated, and Forbidden for what a foreign web page makes a browser on this machine send."""
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise Forbidden("only the kiosk's own page may do this from a browser")
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if self._authorization and not hmac.compare_digest(given, self._authorization):
            raise Unauthenticated("say the kiosk's token: Authorization: Bearer ...")

    # --- screen ------------------------------------------------------------------------------------------------------

    @describe(
        "Tickets that are called",
        group="kiosk",
        query=SiteQuery,
        answer=NowServing,
        refuses=(Unauthenticated, Forbidden, BadMessage),
    )
    async def now_serving(self, request: web.Request) -> web.Response:
        self._authenticate(request)
        site = read_query(request, SiteQuery).site
        answer = json_response(self._board.show(self._desk.now_ms(), site or None))
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def _being_served(self) -> Iterator[tuple[int, Call]]:
        for view in self._active():
            if view.channel == CHANNEL:
                number, site = number_of(view.id, "i"), view.attributes.get("site", "")
                self._sites[number] = site
                name = self._agent_name(view.agent)
                yield number, Call(self._ticket(number, site), name, 0, site, view.calls, view.connected)

    def _active(self) -> Iterator[InteractionView]:
        after = 0
        while portion := self._desk.interactions(state="active", after=after, limit=_PORTION):
            yield from portion
            after = number_of(portion[-1].id, "i")

    def _agent_name(self, agent: str) -> str:
        try:
            return self._desk.agent(agent).name or agent
        except NotFound:
            return agent

    # --- appointments ------------------------------------------------------------------------------------------------

    @describe(
        "One appointment",
        group="kiosk",
        parameters={"code": Code},
        answer=Appointment,
        refuses=(Unauthenticated, Forbidden, NotFound, Unavailable),
    )
    async def appointment(self, request: web.Request) -> web.Response:
        self._authorize(request)
        return json_response(await asyncio.to_thread(self._appointments.get, request.match_info["code"]))

    @describe(
        "Make an appointment, or change it",
        group="kiosk",
        parameters={"code": Code},
        body=Appointment,
        answer=Appointment,
        refuses=(BadMessage, TooLarge, Unauthenticated, Forbidden, NotFound, Unavailable),
    )
    async def book(self, request: web.Request) -> web.Response:
        self._authorize(request)
        made = parse_appointment(await read_body(request, self._settings.max_body))
        if self._mask is not None:
            made = structs.replace(made, name=self._mask(made.name))
        await asyncio.to_thread(self._appointments.put, request.match_info["code"], made)
        return json_response(made)

    @describe(
        "Drop an appointment",
        group="kiosk",
        parameters={"code": Code},
        answer=Appointment,
        refuses=(Unauthenticated, Forbidden, NotFound, Unavailable),
    )
    async def cancel(self, request: web.Request) -> web.Response:
        self._authorize(request)
        found = await asyncio.to_thread(self._appointments.get, request.match_info["code"])
        await asyncio.to_thread(self._appointments.drop, request.match_info["code"])
        return json_response(found)

    def _authorize(self, request: web.Request) -> None:
        """A booking system's requests; with no token set there is none."""
        if not self._booking:
            raise Forbidden("set kiosk.booking_token, or write appointments into their folder")
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self._booking):
            raise Unauthenticated("say the booking token: Authorization: Bearer ...")

    # --- pages -------------------------------------------------------------------------------------------------------

    async def kiosk(self, request: web.Request) -> web.Response:
        return self._page("kiosk", request)

    async def screen(self, request: web.Request) -> web.Response:
        return self._page("screen", request)

    def _page(self, name: str, request: web.Request) -> web.Response:
        page = self._pages.get((name, request.query.get("site", "")))
        if page is None:
            raise NotFound(f"there is no such site; known: {', '.join(self._settings.sites) or 'none'}")
        return _response(page)


def _response(page: Page) -> web.Response:
    return web.Response(body=page.body, content_type="text/html", charset="utf-8", headers=page.headers)
