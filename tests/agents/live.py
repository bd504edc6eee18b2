"""The agents' link with real sockets: the real engine, made durable in the next turn of the loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from router.agents.server import AgentServer
from router.agents.settings import Settings
from router.engine import commands as c
from router.engine.commands import Reply
from router.engine.config import Duration
from router.errors import RouterError
from router.service.sockets import SocketServer, SocketSettings
from tests.agents.house import TOKENS, SteppedDesk


class LiveDesk(SteppedDesk):
    def submit(self, command: c.AnyCommand, done: Callable[[Reply | RouterError], None]) -> None:
        super().submit(command, done)
        with contextlib.suppress(RuntimeError):  # no loop yet: the configuration
            asyncio.get_running_loop().call_soon(self.flush)


class LiveHouse:
    def __init__(self, sockets: SocketSettings, settings: Settings, port: int = 0) -> None:
        self.desk = LiveDesk()
        self.sockets = SocketServer("127.0.0.1", port, sockets)
        self.agents = AgentServer(self.desk, self.sockets, settings)  # type: ignore[arg-type] # the part that it uses
        self.desk.tell = self.agents.tell
        self.desk.flush()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.sockets.port}/agent"


@contextlib.asynccontextmanager
async def live(port: int = 0, sockets: SocketSettings | None = None, **settings: Any) -> AsyncIterator[LiveHouse]:
    quick = sockets or SocketSettings(close_grace=Duration(200))
    house = LiveHouse(quick, Settings(tokens=TOKENS, **settings), port)
    await house.sockets.start()
    try:
        yield house
    finally:
        await house.sockets.stop()
