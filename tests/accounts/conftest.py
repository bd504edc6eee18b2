"""A real HTTP server with an entrance, over a desk that records, with two teams and an account for every role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace

from router.desk.guest import desk_routes
from router.desk.settings import Settings as DeskSettings
from router.engine import config as engine
from router.engine.config import Duration
from router.engine.requirements import Node
from router.engine.views import CustomerView
from router.errors import ConfigError
from router.http.server import HttpServer
from router.http.session import Entrance
from router.http.settings import HttpSettings
from router.service.accounts import Account, AccountSettings, hashed
from router.service.audit import Wanted
from router.service.blobs import BlobStore
from router.service.doorkeeper import Doorkeeper
from router.service.quarantine import Quarantine
from router.service.roles import Role
from router.service.sockets import SocketSettings
from tests.http.views import agent_view, interaction_view
from tests.support.desk import RecordingDesk

PASSWORD = "correct horse battery"
HASH = hashed("x", PASSWORD)
FAILURES = 5

DOCUMENT = engine.to_bytes(
    engine.Config(
        channels={"chat": engine.Channel()},
        skills=("support", "sales"),
        teams=("front", "back"),
        queues={
            "support": engine.Queue(requirement=Node(skill="support")),
            "sales": engine.Queue(requirement=Node(skill="sales")),
        },
        agents={
            "ana": engine.Agent("Ana Berg", skills={"support": 5}, team="front"),
            "ben": engine.Agent(skills={"sales": 5}, team="back"),
        },
    )
)


class TeamDesk(RecordingDesk):
    """Every contact is of one customer, who is known."""

    def configuration(self) -> tuple[int, bytes]:
        return 1, DOCUMENT

    def why_not(self, number: int, agent: str) -> dict[str, Any]:
        return super().why_not(number, agent) | {"code": "could-get-it"}

    def customer(self, identity: str) -> CustomerView:
        return CustomerView(customer=identity, identities=(identity,), interactions=())


class House:
    """The server, what stands behind it, and clients who are signed in."""

    def __init__(self, folder: Path, settings: AccountSettings) -> None:
        self.desk = TeamDesk()
        self.desk.agent_views = {name: agent_view(name) for name in ("ana", "ben")}
        of = {1: ("support", "active", "ana"), 2: ("sales", "active", "ben"), 3: ("support", "queued", "")}
        of[4] = ("sales", "queued", "")
        self.desk.views = {
            n: replace(interaction_view(n), queue=queue, state=state, agent=agent)
            for n, (queue, state, agent) in of.items()
        }
        self.door = Doorkeeper(folder, settings, FAILURES, self.desk.now_ms)
        http = HttpSettings(port=0, stop_timeout=Duration(200))
        self.server = HttpServer(
            http,
            self.desk,
            parts=dict,
            quarantine=Quarantine(folder / "quarantine"),
            blobs=BlobStore(folder / "blobs"),
            operators={"op-token": "olga", "both-token": "sam"},
            agents={"ana-token": "ana", "both-token": "ben"},
            entrance=Entrance(self.door, settings, http),
            configure=self.configure,
        )
        self.server.add_routes(desk_routes(DeskSettings(), self.server.house, SocketSettings(), lambda: 8081))
        self.http: aiohttp.ClientSession

    async def configure(self, content: bytes, dry_run: bool, by: str) -> dict[str, Any]:
        """What is no TOML is refused; a comment changes nothing."""
        if content.startswith(b"="):
            raise ConfigError("config", "TOML", "something else")
        changed = not content.startswith(b"#")
        return {"version": 1 + changed, "changed": changed, "applied": changed and not dry_run}

    def add(self, name: str, *roles: Role, teams: tuple[str, ...] | None = None, **more: Any) -> Account:
        agent = name if "agent" in roles else ""
        return self.door.accounts.put(
            Account(name=name, roles=roles, teams=teams, **{"agent": agent, "password": HASH} | more)
        )

    async def post(self, path: str, body: Any = None, token: str = "") -> tuple[int, dict[str, Any]]:
        return await self.ask("POST", path, token, json=body if body is not None else {})

    async def ask(self, method: str, path: str, token: str = "", **more: Any) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.http.request(method, path, headers=headers, **more) as answer:
            raw = await answer.read()
            return answer.status, await answer.json(content_type=None) if raw.startswith(b"{") else {}

    async def sign_in(self, name: str, password: str = PASSWORD) -> str:
        status, body = await self.post("/v1/session", {"name": name, "password": password})
        assert status == 200, body
        return str(body["token"])

    def last_act(self) -> tuple[str, str, str]:
        """What was done, to what, and how."""
        [act] = self.door.audit.page(0, 1)
        return act.act, act.subject, act.detail

    def acts(self, who: str = "") -> list[tuple[str, str, str]]:
        """The audit in the order in which it happened: who, act, subject."""
        found = self.door.audit.page(0, 100, Wanted((who,) if who else ()))
        return [(act.who, act.act, act.subject) for act in reversed(found)]


@pytest.fixture
def settings() -> AccountSettings:
    return AccountSettings()


@pytest.fixture
async def house(tmp_path: Path, settings: AccountSettings) -> AsyncIterator[House]:
    made = House(tmp_path, settings)
    await made.door.start()
    try:
        await made.server.start()
        async with aiohttp.ClientSession(made.server.url) as made.http:
            yield made
    finally:
        await made.server.stop()
        await made.door.stop()
        made.server.house.blobs.close()
