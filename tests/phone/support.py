"""A gateway as the tests play it, and the phone channel beside a recording desk."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from channels.phone.adapter import PhoneAdapter
from channels.phone.request import Site
from channels.phone.settings import Gateway, Settings
from channels.phone.signature import HEADER, sign
from router.errors import RouterError
from router.service.ports import Context
from router.service.problems import problem_response
from router.service.quarantine import Quarantine, QuarantineSettings
from tests.support.desk import RecordingDesk

SECRET = "dev-secret"
DEV = Gateway(secrets=(SECRET,))

_numbers = itertools.count(1)


def told(type_: str = "incoming", call_id: str = "call-1", **more: object) -> dict[str, object]:
    """What a gateway says of a call, as a new event unless `event_id` says otherwise."""
    event: dict[str, object] = {"event_id": f"event-{next(_numbers)}", "call_id": call_id, "type": type_}
    return event | {"from": "+493012345678", "to": "+15550100"} | more


class Phone:
    """The channel under test and the gateway that talks to it."""

    def __init__(self, settings: Settings, data: Path, loopback_only: bool = True, quarantined: int = 1) -> None:
        self.desk = RecordingDesk()
        self.quarantine = Quarantine(data / "quarantine", QuarantineSettings(max_entries=quarantined))
        context = Context(
            desk=self.desk,
            blobs=cast("Any", None),
            quarantine=self.quarantine,
            sockets=cast("Any", None),
            data=data,
            loopback_only=loopback_only,
        )
        self.adapter = PhoneAdapter(settings, context)
        self.client: TestClient[web.Request, web.Application] = cast("Any", None)

    def control_at(self, url: str) -> None:
        """The control address of the gateway `dev` moves."""
        line = self.adapter._lines["dev"]
        line.gateway = msgspec.structs.replace(line.gateway, control_url=url)
        line.site = Site(line.name, line.gateway)

    def signed(self, body: bytes, *secrets: str, at_ms: int | None = None) -> dict[str, str]:
        now_ms = self.desk.now if at_ms is None else at_ms
        return {HEADER: sign(secrets or (SECRET,), body, now_ms // 1_000)}

    async def post(self, body: bytes, headers: dict[str, str] | None = None, gateway: str = "dev") -> ClientResponse:
        headers = self.signed(body) if headers is None else headers
        return await self.client.post(f"/v1/phone/{gateway}/events", data=body, headers=headers)

    async def tell(self, event: dict[str, object], gateway: str = "dev") -> tuple[int, bytes]:
        response = await self.post(msgspec.json.encode(event), gateway=gateway)
        return response.status, await response.read()

    async def answer(self, event: dict[str, object]) -> dict[str, Any]:
        status, body = await self.tell(event)
        assert status == 200, body
        return cast("dict[str, Any]", msgspec.json.decode(body))


@web.middleware
async def problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except RouterError as error:
        return problem_response(error)


@asynccontextmanager
async def phone_channel(
    data: Path, *, settings: Settings | None = None, quarantined: int = 1, **gateway: Any
) -> AsyncIterator[Phone]:
    """The channel with one gateway `dev`, started and listening on a free port of this machine."""
    settings = settings or Settings(gateways={"dev": msgspec.structs.replace(DEV, **gateway)})
    phone = Phone(settings, data, quarantined=quarantined)
    app = web.Application(middlewares=[problems])
    app.add_routes(phone.adapter.routes())
    await phone.adapter.start()
    async with TestClient(TestServer(app)) as phone.client:
        yield phone
    await phone.adapter.stop()
