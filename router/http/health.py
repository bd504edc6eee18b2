"""Liveness, readiness and metrics: nothing but the truth at this moment (OB-1).

`/livez` is answered by the event loop, so an answer means that it turns. `/readyz` asks every part each time and keeps
nothing. `/metrics` copies what must be read on the loop first and is rendered in a thread, since a large page takes up
to 100 ms; while one page is made, further callers wait for it instead of asking for their own.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from msgspec import Struct

from router.errors import Unauthenticated
from router.http.access import is_loopback
from router.http.house import House
from router.observe import METRICS_TYPE, gauge, get_logger, render_metrics
from router.service.ports import Health
from router.service.routes import describe, json_response

log = get_logger("http")

_part_ok = gauge("part_ok", "1 while the part says that it is well.", ("part",))


class Alive(Struct, frozen=True):
    status: str = "alive"


class Readiness(Struct, frozen=True):
    """`status` is ready or not-ready; it is ready when every part is well."""

    status: str
    parts: dict[str, Health]


class HealthRoutes:
    def __init__(self, house: House) -> None:
        self._house = house
        self._page: asyncio.Future[bytes] | None = None

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/livez", self.livez),
            web.get("/readyz", self.readyz),
            web.get("/metrics", self.metrics),
        ]

    def look(self) -> Readiness:
        """Ask every part. A part that cannot even answer is not well."""
        try:
            parts = dict(self._house.parts())
        except Exception:  # whatever is wrong with a part, the probe must say so
            log.exception("Health could not be asked", action="health_failed")
            parts = {"health": Health(ok=False, detail="a part could not be asked; see the log")}
        for name, part in parts.items():
            _part_ok.labels(name).set(1 if part.ok else 0)
        ready = all(part.ok for part in parts.values())
        return Readiness("ready" if ready else "not-ready", parts)

    @describe("The process lives", group="health", answer=Alive)
    async def livez(self, request: web.Request) -> web.Response:
        return json_response(Alive())

    @describe("Every part and its state", group="health", answer=Readiness, statuses={503: "A part is not well"})
    async def readyz(self, request: web.Request) -> web.Response:
        found = self.look()
        return json_response(found, 200 if found.status == "ready" else 503)

    @describe(
        "Metrics for Prometheus; beyond loopback with an operator's token",
        group="health",
        media="text/plain",
        answer=str,
        refuses=(Unauthenticated,),
    )
    async def metrics(self, request: web.Request) -> web.Response:
        settings = self._house.settings
        if not settings.open_metrics and not is_loopback(settings.host):
            self._house.access.operator(request)
        if self._page is None or self._page.done():
            self.look()
            self._page = asyncio.ensure_future(asyncio.to_thread(render_metrics))
        # Shielded: a caller who leaves takes the page from nobody else.
        body = await asyncio.shield(self._page)
        return web.Response(body=body, headers={"Content-Type": METRICS_TYPE})
