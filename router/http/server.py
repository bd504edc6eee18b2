"""The HTTP port: one aiohttp application for operators, probes, gateways' webhooks and the kiosk.

The way of a webhook is kept short. One coroutine stands around the whole application, which turns errors into problem
details and does nothing else that costs: the limit in time is kept by a sweep over the requests in progress, not by a
timer for each; statuses are counted in a plain dict that is read when somebody asks for metrics. It is no middleware of
aiohttp, since those cost several times as much. There is no access log: counters say how many, and what matters to
somebody is in the journal.

What a client can hold is bounded: connections, of one address and of all, head and body sizes, the time until a head is
complete, until an answer, and for each part of a download. A connection too many is told so and closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from aiohttp import web
from aiohttp.hdrs import EXPECT
from aiohttp.http_exceptions import BadHttpMessage
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from router.errors import BadMessage, ConfigError, Draining, RouterError, Unavailable
from router.http.access import Access, check_exposure, no_sessions
from router.http.accounts import AccountRoutes
from router.http.agents import AgentRoutes
from router.http.blobs import BlobRoutes
from router.http.calendars import CalendarRoutes
from router.http.callbacks import CallbackRoutes
from router.http.configuration import ConfigurationRoutes
from router.http.customers import CustomerRoutes
from router.http.domains import DomainRoutes
from router.http.health import HealthRoutes
from router.http.house import (
    Configure,
    Decisions,
    House,
    Readable,
    Requeue,
    as_recorded,
    no_configure,
    no_decisions,
    no_name,
    no_try,
)
from router.http.interactions import InteractionRoutes
from router.http.joining import JoiningRoutes
from router.http.openapi import openapi_route
from router.http.outbound import OutboundRoutes
from router.http.page import LINKS, page_routes
from router.http.pages import PageRoutes
from router.http.protocol import Protocol
from router.http.quarantine import QuarantineRoutes
from router.http.session import Entrance, SessionRoutes
from router.http.settings import HttpSettings
from router.observe import PREFIX, REGISTRY, get_logger
from router.service import problems
from router.service.blobs import BlobStore
from router.service.certificates import server_context
from router.service.domains.moving import DomainsOffice
from router.service.pictures import NoPictures, Pictures
from router.service.ports import Desk, Health
from router.service.quarantine import Quarantine
from router.service.routes import UNHURRIED, described
from router.service.sources import source_of
from router.service.writer import AWAY

log = get_logger("http")

Lost = Callable[[web.RequestHandler, BaseException | None], None]
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

# Seconds between two looks at the requests in progress; how exact the time limit of a request is.
SWEEP_S = 0.5

# Seconds for which the rest of a body is read after an early refusal, so that a client who is still sending sees it.
LINGER_S = 2.0

_BUSY = problems.encode(503, "overloaded", "all connections are in use; come back in a few seconds")
BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 5\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(_BUSY), _BUSY)
)


class TurnedAway(asyncio.Protocol):
    """A connection beyond the limit: told to come back, and closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)  # those of uvloop are no subclass
        stream.write(BUSY)
        stream.close()


class Door(asyncio.Protocol):
    """Where a connection gets its real protocol, once it is known whose it is."""

    def __init__(self, enter: Callable[[str], asyncio.Protocol]) -> None:
        self._enter = enter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)
        peer = stream.get_extra_info("peername")
        protocol = self._enter(source_of(str(peer[0])) if peer else "")
        stream.set_protocol(protocol)
        protocol.connection_made(stream)


class _OutsidersFault(logging.Filter):
    """Bytes that are no HTTP, and clients that leave, are nothing that an operator must read about."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], _OUTSIDE))


_OUTSIDE = (BadHttpMessage, ConnectionError, web.RequestPayloadError)
_protocol_log = logging.getLogger("aiohttp.server")


ALWAYS = ("/livez", "/readyz", "/metrics")  # answered whoever leads
DOMAINS = "/v1/domains"  # as well where it is the question
# Most wanted first: the table of paths that have parameters is walked in order.
GROUPS = (
    HealthRoutes,
    InteractionRoutes,
    JoiningRoutes,
    CallbackRoutes,
    CustomerRoutes,
    AgentRoutes,
    CalendarRoutes,
    QuarantineRoutes,
    OutboundRoutes,
    ConfigurationRoutes,
    BlobRoutes,
    PageRoutes,
)
BLIND = "there is no engine to be reached just now, and what was heard of it may be old; ask again in a second"


class HttpServer:
    """Build it, `add_routes` what adapters bring, `start` it; `port` is known then.

    `operators` and `agents` map tokens to names; `parts` says how each part of the process is; `requeue_hooks` maps a
    quarantine source to what takes its raw bytes again; `configure` checks and applies a configuration; `decisions`
    looks back at how an interaction was offered; `entrance` is where people sign in (left out: tokens only).
    """

    def __init__(
        self,
        settings: HttpSettings,
        desk: Desk,
        *,
        parts: Callable[[], Mapping[str, Health]],
        quarantine: Quarantine,
        blobs: BlobStore,
        operators: Mapping[str, str],
        agents: Mapping[str, str] | None = None,
        adapters_routes: Iterable[web.AbstractRouteDef] = (),
        requeue_hooks: Mapping[str, Requeue] | None = None,
        configure: Configure = no_configure,
        readable: Readable = as_recorded,
        decisions: Decisions = no_decisions,
        entrance: Entrance | None = None,
        links: Sequence[tuple[str, str]] = LINKS,
        pictures: Pictures | None = None,
        domains: DomainsOffice | None = None,
        trying: Callable[[int], str] = no_try,
    ) -> None:
        self._settings = settings
        self._operators = dict(operators)
        self._running: dict[asyncio.Task[Any], int] = {}  # request in progress -> the sweep in which it began
        self._cut: set[asyncio.Task[Any]] = set()  # those that took too long
        self._sweep, self._swept_at, self._lag_s = 0, 0.0, 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._server: asyncio.Server | None = None
        self._runner: web.AppRunner | None = None
        self._draining = False
        self.closed = ""  # why only health is answered: the state here may not be the one that counts
        self.answers: dict[int, int] = {}  # status -> how many
        self.turned_away = 0
        self._address_of: dict[web.RequestHandler, str] = {}
        self._by_address: dict[str, int] = {}
        self.house = House(
            settings=settings,
            desk=desk,
            access=self._access(operators, agents or {}, entrance, desk.now_ms),
            parts=parts,
            quarantine=quarantine,
            blobs=blobs,
            requeue_hooks=dict(requeue_hooks or {}),
            configure=configure,
            readable=readable,
            decisions=decisions,
            pictures=pictures or NoPictures(),
            audit=entrance.door.audit if entrance is not None else None,
            shown=entrance.door.accounts.shown if entrance is not None else no_name,
            trying=trying,
        )
        self.app = web.Application(client_max_size=settings.body_limit)
        self.app[UNHURRIED] = self._unhurried
        self._open = ALWAYS if domains is None else (*ALWAYS, DOMAINS)
        self.app.add_routes(adapters_routes)
        self._mount(entrance, domains, links)

    def _mount(
        self, entrance: Entrance | None, domains: DomainsOffice | None, links: Sequence[tuple[str, str]]
    ) -> None:
        """Everybody's routes, behind those of gateways and kiosks."""
        house, app = self.house, self.app
        for group in GROUPS:
            app.add_routes(group(house).routes())
        app.add_routes(DomainRoutes(house, domains).routes())
        if entrance is not None:
            app.add_routes(SessionRoutes(house, entrance).routes())
            app.add_routes(AccountRoutes(house, entrance.door.accounts).routes())
        app.add_routes([openapi_route(app), *page_routes(tuple(links))])

    def _access(
        self,
        operators: Mapping[str, str],
        agents: Mapping[str, str],
        entrance: Entrance | None,
        now_ms: Callable[[], int],
    ) -> Access:
        door = entrance.door if entrance is not None else None
        return Access(
            operators,
            agents,
            door.identity if door is not None else no_sessions,
            door.failures if door is not None else None,
            now_ms,
            self._settings.trusted_proxies,
        )

    def add_routes(self, routes: Iterable[web.AbstractRouteDef]) -> None:
        """Before `start`. Their requests have the same limits and the same form of refusal."""
        self.app.add_routes(routes)

    # --- running ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Returns when it listens. Raises ConfigError for an address that must or can not be used."""
        s = self._settings
        check_exposure(s, self._operators)
        context = server_context("http.certificate", s.certificate, s.private_key)
        self._runner = web.AppRunner(
            self.app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=s.idle_timeout / 1_000,
            max_line_size=s.header_limit,
            max_field_size=s.header_limit,
            max_headers=s.headers,
            lingering_time=LINGER_S,
            shutdown_timeout=s.stop_timeout / 1_000,
            logger=_protocol_log,
        )
        _protocol_log.addFilter(_FAULTS)
        await self._runner.setup()
        assert self._runner.server is not None
        self._runner.server.request_handler = self._around(self._runner.server.request_handler)
        setattr(self._runner.server, "connection_lost", self._leaving(self._runner.server.connection_lost))  # noqa: B010
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._connect, s.host, s.port, ssl=context, backlog=1_024)
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigError(
                "http.port", "an address that is free", f"{s.host}:{s.port} ({error.strerror})"
            ) from error
        self._swept_at = loop.time()
        self._timer = loop.call_later(SWEEP_S, self._look_around)
        _COLLECTOR.servers.add(self)
        log.info("Listening", action="http_listening", url=self.url)

    async def stop_intake(self) -> None:
        """From now on only looking is answered; what would change something is told to come back."""
        self._draining = True

    async def stop(self) -> None:
        """Close the port, let requests in progress end within `stop_timeout`, then cut them."""
        _COLLECTOR.servers.discard(self)
        if self._server is not None:
            self._server.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._timer is not None:
            self._timer.cancel()
        self._server = self._runner = self._timer = None

    @property
    def port(self) -> int:
        assert self._server is not None, "the port is known once it listens"
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        return f"{'https' if self._settings.certificate else 'http'}://{host}:{self.port}"

    def health(self) -> Health:
        listening = self._server is not None and self._server.is_serving()
        swept_s = asyncio.get_running_loop().time() - self._swept_at
        ok = listening and swept_s < 10 * SWEEP_S
        detail = self.url if listening else "the port is closed"
        if listening and not ok:
            detail = "the sweep over requests stands still"
        figures = {"connections": float(self._connections()), "requests": float(len(self._running))}
        return Health(ok=ok, detail=detail, figures=figures)

    # --- limits ----------------------------------------------------------------------------------------------------

    def _connections(self) -> int:
        server = self._runner.server if self._runner else None
        return len(server.connections) if server else 0

    def _connect(self) -> asyncio.Protocol:
        """A protocol for a new connection; called once for each, before anything is read from it."""
        assert self._runner is not None
        if self._runner.server is None or self._connections() >= self._settings.connections:
            self.turned_away += 1
            return TurnedAway()
        return Door(self._enter)

    def _enter(self, address: str) -> asyncio.Protocol:
        """The protocol for a connection from this address, or this network of IPv6."""
        server = self._runner.server if self._runner else None
        count, most = self._by_address.get(address, 0), self._settings.per_address
        if server is None or (most and count >= most):
            self.turned_away += 1
            return TurnedAway()
        protocol = server()
        protocol.__class__ = Protocol  # the library has no other place to say which kind it should make
        self._address_of[protocol] = address
        self._by_address[address] = count + 1
        return protocol

    def _leaving(self, lost: Lost) -> Lost:
        """What the library does when a connection is gone, and our count."""

        def leave(protocol: web.RequestHandler, error: BaseException | None = None) -> None:
            lost(protocol, error)
            address = self._address_of.pop(protocol, None)
            if address is not None:
                self._by_address[address] -= 1
                if not self._by_address[address]:
                    del self._by_address[address]

        return leave

    def _look_around(self) -> None:
        """Cut the requests that took too long, and see how late this call came: that is how busy the loop is."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._lag_s = max(0.0, now - self._swept_at - SWEEP_S)
        self._swept_at = now
        self._timer = loop.call_later(SWEEP_S, self._look_around)
        self._sweep += 1
        oldest = self._sweep - max(1, round(self._settings.request_timeout / 1_000 / SWEEP_S))
        for task in [task for task, began in self._running.items() if began < oldest]:
            self._running.pop(task)
            self._cut.add(task)
            task.cancel()

    def _unhurried(self) -> None:
        """The request of the current task has its own limit in time."""
        task = asyncio.current_task()
        if task is not None:
            self._running.pop(task, None)

    def _around(self, application: Handler) -> Handler:
        """The application, refusing in our words."""
        running, answers, busy = self._running, self.answers, self._busy()

        async def guarded(request: web.BaseRequest) -> web.StreamResponse:
            task = request.task  # the one that runs us
            running[task] = self._sweep
            try:
                if self._draining and request.method not in ("GET", "HEAD"):
                    raise Draining("stopping; come back in a few seconds")
                if self.closed:
                    self._demand_open(request)
                handler = busy.get(request.raw_path)
                if handler is None or request.method != "POST" or EXPECT in request.headers:
                    handler = application
                response = await handler(request)
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
                response = self._answer_to(request, error)
            except asyncio.CancelledError:
                response = self._too_slow(request, task)
            finally:
                running.pop(task, None)
            answers[response.status] = answers.get(response.status, 0) + 1
            return response

        return guarded

    def _demand_open(self, request: web.BaseRequest) -> None:
        """Raises Unavailable. Who only looks is not told that something was not recorded."""
        if not request.path.startswith(self._open):
            looks = self.closed == AWAY and request.method in ("GET", "HEAD")
            raise Unavailable(BLIND if looks else self.closed, retry_after_s=1)

    def _busy(self) -> dict[str, Handler]:
        """What is posted to most, by its address as it is written most: any other way of writing it is looked up."""
        found: dict[str, Handler] = {}
        for route in self.app.router.routes():
            info = described(route.handler)
            if info is not None and info.busy:
                assert isinstance(route.resource, web.PlainResource), "an address with parameters is looked up"
                found[route.resource.canonical] = cast(Handler, route.handler)
        return found

    def _answer_to(self, request: web.BaseRequest, error: Exception) -> web.StreamResponse:
        if isinstance(error, web.HTTPException):
            if error.status < 400:
                raise error  # a redirect is no error
            return problems.library_response(error)
        if request.writer.output_size > 0:
            break_off(request)
            raise error  # the library logs it where it is no outsider's fault
        if isinstance(error, RouterError):
            return problems.problem_response(error)
        if isinstance(error, web.RequestPayloadError):
            return problems.problem_response(BadMessage("the body is damaged or was cut off"))
        if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
            return web.Response(status=499)  # gone before we could answer; nobody reads this
        return problems.unexpected(error)

    def _too_slow(self, request: web.BaseRequest, task: asyncio.Task[Any]) -> web.StreamResponse:
        """Cut by us: not recorded as far as the caller knows, so "come back". Cancelled by others: goes on."""
        if task not in self._cut:
            raise asyncio.CancelledError
        self._cut.discard(task)
        task.uncancel()
        if request.writer.output_size > 0:
            break_off(request)
            raise ConnectionResetError("cut in the middle of an answer")
        seconds = self._settings.request_timeout // 1_000
        response = problems.problem_response(Unavailable(f"no answer within {seconds} s; send it again"))
        response.force_close()
        return response


_FAULTS = _OutsidersFault()


def break_off(request: web.BaseRequest) -> None:
    """The answer is on its way and can't be made good: end it so that nobody takes it for whole.

    To close would wait until the reader has taken what is buffered, which may be never.
    """
    if request.transport is not None:
        request.transport.abort()


class _Figures(Collector):
    """What the servers counted in plain numbers, as metrics."""

    def __init__(self) -> None:
        self.servers: set[HttpServer] = set()

    def collect(self) -> Iterator[Metric]:
        servers = list(self.servers)
        answers = CounterMetricFamily(PREFIX + "http_answers", "HTTP answers by status.", labels=["status"])
        totals: dict[int, int] = {}
        for server in servers:
            for status, count in dict(server.answers).items():
                totals[status] = totals.get(status, 0) + count
        for status, count in sorted(totals.items()):
            answers.add_metric([str(status)], count)
        yield answers
        away = sum(s.turned_away for s in servers)
        yield CounterMetricFamily(PREFIX + "http_turned_away", "Connections beyond the limit.", value=away)
        lag = max((s._lag_s for s in servers), default=0.0)
        yield GaugeMetricFamily(
            PREFIX + "loop_lag_seconds", "How late the event loop came to its last look.", value=lag
        )


_COLLECTOR = _Figures()
REGISTRY.register(_COLLECTOR)
