"""A kiosk as the tests play it, beside a recording desk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from channels.kiosk.adapter import KioskAdapter
from channels.kiosk.settings import Settings
from router.engine.views import InteractionView
from router.errors import RouterError
from router.service.ports import Context
from router.service.problems import problem_response
from tests.support.desk import RecordingDesk

TOPICS = {"support": "Help with a product", "sales": "Buy <something>"}


def context_of(desk: RecordingDesk, data: Path, loopback_only: bool = True) -> Context:
    nothing = cast("Any", None)
    return Context(
        desk=desk, blobs=nothing, quarantine=nothing, sockets=nothing, data=data, loopback_only=loopback_only
    )


class Kiosk:
    def __init__(self, settings: Settings, data: Path, desk: RecordingDesk) -> None:
        self.desk = desk
        self.desk.known_recipients = {("walkin", topic) for topic in TOPICS}
        self.adapter = KioskAdapter(settings, context_of(desk, data))
        self.client: TestClient[web.Request, web.Application] = cast("Any", None)

    async def post(self, body: object, **headers: str) -> ClientResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, bytes):
            return await self.client.post("/v1/kiosk/checkins", data=body, headers=named)
        return await self.client.post("/v1/kiosk/checkins", json=body, headers=named)

    async def check_in(self, topic: str = "support", key: str = "", **more: str) -> dict[str, Any]:
        response = await self.post({"topic": topic, **more}, **({"Idempotency_Key": key} if key else {}))
        assert response.status == 200, await response.text()
        return cast("dict[str, Any]", await response.json())

    async def serving(self) -> list[dict[str, Any]]:
        response = await self.client.get("/v1/kiosk/now-serving")
        assert response.status == 200
        return cast("list[dict[str, Any]]", (await response.json())["serving"])


def view(number: int, agent: str = "", state: str = "active", channel: str = "walkin") -> InteractionView:
    texts: dict[str, Any] = dict.fromkeys(("customer", "sender", "recipient", "name", "subject", "language"), "")
    return InteractionView(
        id=f"i-{number}",
        channel=channel,
        direction="inbound",
        state=state,
        queue="support",
        enqueued_at_ms=0,
        requirement=None,
        matched_skills=(),
        attributes={},
        agent=agent,
        **texts,
    )


@web.middleware
async def problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except RouterError as error:
        return problem_response(error)


@asynccontextmanager
async def kiosk_channel(data: Path, desk: RecordingDesk | None = None, **options: Any) -> AsyncIterator[Kiosk]:
    """The channel, started and listening on a free port of this machine."""
    kiosk = Kiosk(Settings(**{"topics": TOPICS, **options}), data, desk or RecordingDesk())
    app = web.Application(middlewares=[problems])
    app.add_routes(kiosk.adapter.routes())
    await kiosk.adapter.start()
    async with TestClient(TestServer(app)) as kiosk.client:
        yield kiosk
    await kiosk.adapter.stop()
