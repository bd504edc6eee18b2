"""The kiosk's shell: check-ins in, tickets out, and a screen that calls them. Knows HTTP; knows no queues.

A ticket is given only when the journal holds the visit (IN-2). With an `Idempotency-Key` a repeated check-in is the
same visit with the same ticket; its position and expected wait are those of now. A visitor who waits no longer has
position 0.

The pages hold nothing that needs guarding and are given to anybody; what they ask for needs the token where one is set.
"""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from aiohttp import web
from msgspec import Struct

from channels.kiosk.board import Board, Call, NowServing
from channels.kiosk.parse import CHANNEL, CheckIn, arrival, parse, parse_key
from channels.kiosk.rates import Rates
from channels.kiosk.render import Page, kiosk_page, screen_page
from channels.kiosk.settings import Settings
from channels.kiosk.ticket import ticket
from router.engine.views import Inform, InteractionView, MessageView, Outbound, interaction_id, number_of
from router.errors import (
    BadMessage,
    ClientError,
    ConfigError,
    Draining,
    Forbidden,
    NoRoute,
    NotFound,
    Overloaded,
    TooLarge,
    TurnedAway,
    Unauthenticated,
)
from router.observe import counter
from router.service.ports import Context, DeliveryFailed, Desk, Health
from router.service.routes import describe, json_response, read_body
from router.service.sources import source_of

_checkins = counter("kiosk_checkins_total", "What became of check-ins.", ("outcome",))

# Views are asked for in portions of this size when the board is filled.
_PORTION = 1_000


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

    def __init__(self, settings: Settings, context: Context) -> None:
        if not context.loopback_only and (not settings.token or settings.token.startswith("dev-")):
            raise ConfigError("kiosk.token", "a token of your own, since kiosks can be reached from elsewhere")
        self._settings = settings
        self._desk: Desk = context.desk
        self._board = Board(settings.called)
        self._rates = Rates(settings.rate, settings.addresses)
        self._pages = {"kiosk": kiosk_page(settings), "screen": screen_page(settings)}
        self._authorization = f"Bearer {settings.token}".encode() if settings.token else b""
        self._started = self._draining = False

    async def start(self) -> None:
        self._board.refill(self._being_served())
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
        self._board.refill(self._being_served())

    def inform(self, news: Inform) -> None:
        self._board.follow(news, self._ticket(news.interaction))

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
            web.get("/kiosk", self.kiosk),
            web.get("/kiosk/now-serving", self.screen),
        ]

    # --- check-ins ---------------------------------------------------------------------------------------------------

    @describe(
        "Check in a visitor, who gets a ticket",
        group="kiosk",
        body=CheckIn,
        answer=CheckedIn,
        refuses=(BadMessage, NoRoute, TurnedAway, TooLarge, Unauthenticated, Forbidden, Overloaded),
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
        if not self._desk.routes(CHANNEL, visit.topic):
            raise NoRoute(self._way_out())
        reply = await self._desk.ask(arrival(visit, reference, self._settings.country, now_ms))
        refused = self._desk.refusal(reply.interaction)
        if refused is not None:
            raise TurnedAway(refused.message or f"nobody can be seen now: {refused.reason}")
        place = self._desk.estimate(reply.interaction)
        return CheckedIn(
            ticket=self._ticket(reply.interaction),
            interaction=interaction_id(reply.interaction),
            position=place.position if place else 0,
            expected_wait_s=place.expected_wait_s if place else 0,
        )

    def _way_out(self) -> str:
        known = [topic for topic in self._settings.topics if self._desk.routes(CHANNEL, topic)]
        return f"no queue takes this topic; these are taken: {', '.join(known) or 'none at present'}"

    def _ticket(self, number: int) -> str:
        return ticket(number, self._settings.ticket_letters)

    def _authenticate(self, request: web.Request) -> None:
        """Raises Unauthenticated, and Forbidden for what a foreign web page makes a browser on this machine send."""
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise Forbidden("only the kiosk's own page may do this from a browser")
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if self._authorization and not hmac.compare_digest(given, self._authorization):
            raise Unauthenticated("say the kiosk's token: Authorization: Bearer ...")

    # --- screen ------------------------------------------------------------------------------------------------------

    @describe("Tickets that are called", group="kiosk", answer=NowServing, refuses=(Unauthenticated, Forbidden))
    async def now_serving(self, request: web.Request) -> web.Response:
        self._authenticate(request)
        answer = json_response(self._board.show(self._desk.now_ms()))
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def _being_served(self) -> Iterator[tuple[int, Call]]:
        for view in self._active():
            if view.channel == CHANNEL:
                number = number_of(view.id, "i")
                yield number, Call(self._ticket(number), self._agent_name(view.agent), 0)

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

    # --- pages -------------------------------------------------------------------------------------------------------

    async def kiosk(self, request: web.Request) -> web.Response:
        return _response(self._pages["kiosk"])

    async def screen(self, request: web.Request) -> web.Response:
        return _response(self._pages["screen"])


def _response(page: Page) -> web.Response:
    return web.Response(body=page.body, content_type="text/html", charset="utf-8", headers=page.headers)
