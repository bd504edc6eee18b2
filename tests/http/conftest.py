"""A real server on a free port of loopback, with a desk that records, and a real client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from router.engine.config import Duration
from router.http.server import HttpServer
from router.http.settings import HttpSettings
from router.service.blobs import BlobStore
from router.service.ports import Health
from router.service.quarantine import Quarantine
from tests.http.views import agent_view, interaction_view
from tests.support.desk import RecordingDesk

OPERATOR = {"Authorization": "Bearer op-token"}
AGENT = {"Authorization": "Bearer ana-token"}

Start = Callable[..., Awaitable[HttpServer]]


class Scene:
    """What a test sets up before, and looks at after."""

    def __init__(self, folder: Path) -> None:
        self.desk = RecordingDesk()
        self.desk.views = {n: interaction_view(n) for n in range(1, 4)}
        self.desk.agent_views = {name: agent_view(name) for name in ("ana", "ben")}
        self.parts: dict[str, Health] = {"engine": Health(ok=True), "email": Health(ok=True, detail="listening")}
        self.blobs, self.quarantine = BlobStore(folder / "blobs"), Quarantine(folder / "quarantine")
        self.retried: list[tuple[bytes, Any]] = []
        self.trying: dict[int, str] = {}
        self.configured: list[tuple[bytes, bool, str]] = []

    def set_aside(self, source: str, raw: bytes) -> str:
        return self.quarantine.keep_now(source, "", raw, "not readable", "unreadable", 1_700_000_000_000)

    @property
    def held(self) -> list[str]:
        return [entry.id for entry in self.quarantine.entries()]

    async def requeue(self, raw: bytes, entry: Any) -> None:
        self.retried.append((raw, entry))

    async def configure(self, content: bytes, dry_run: bool, by: str) -> dict[str, Any]:
        self.configured.append((content, dry_run, by))
        return {"version": 2, "changed": True, "applied": not dry_run}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
async def start(scene: Scene) -> AsyncIterator[Start]:
    started: list[HttpServer] = []

    async def begin(routes: Any = (), **options: Any) -> HttpServer:
        server = HttpServer(
            HttpSettings(port=0, stop_timeout=Duration(200), **options),
            scene.desk,
            parts=lambda: scene.parts,
            quarantine=scene.quarantine,
            blobs=scene.blobs,
            operators={"op-token": "olga"},
            agents={"ana-token": "ana"},
            adapters_routes=routes,
            requeue_hooks={"email": scene.requeue},
            configure=scene.configure,
            trying=lambda number: scene.trying.get(number, ""),
        )
        started.append(server)
        await server.start()
        return server

    yield begin
    for server in started:
        await server.stop()


@pytest.fixture
async def server(start: Start) -> HttpServer:
    return await start()


@pytest.fixture
async def http(server: HttpServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.url) as session:
        yield session
