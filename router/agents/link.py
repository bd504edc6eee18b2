"""An agent's connection from the client's side: what every good client does, in one place.

It signs in, comes back after every cut with the last number it saw, and sends unanswered commands again with their old
ids, so that nothing is lost and nothing happens twice. A refusal with a retry time is obeyed. What it was told is in
its mirror.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.connection import broadcast
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from router.agents.messages import SUBPROTOCOL
from router.agents.mirror import Json, Mirror

FIRST_RETRY_S, LAST_RETRY_S = 0.25, 10.0
FATAL = (4400, 4401, 4404)  # close codes after which trying again changes nothing


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Link:
    """One agent's connection for as long as `run` runs. `told` gets every message after the mirror has taken it."""

    def __init__(self, token: str, url: str, told: Callable[[Json], None], noted: Callable[[str], None]) -> None:
        self.mirror = Mirror()
        self.up = False
        self.seen = False  # whether there ever was a welcome
        self.problem = ""  # why the link ended for good
        self._token, self._url = token, url
        self._told, self._noted = told, noted
        self._socket: ClientConnection | None = None
        self._unanswered: dict[str, tuple[str, asyncio.Future[Json]]] = {}
        self._retry_s = 0.0

    def ask(self, kind: str, **fields: Any) -> asyncio.Future[Json]:
        """Send a command; the future is its `ok` or `error`. It survives cuts."""
        ident = secrets.token_hex(8)
        text = json.dumps({"type": kind, "id": ident, **fields})
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._unanswered[ident] = (text, answer)
        if self.up:
            self._send(text)
        return answer

    def do(self, kind: str, **fields: Any) -> None:
        """As `ask`, for those who will see the effect in the mirror."""
        _ = self.ask(kind, **fields)

    async def run(self) -> None:
        """Until signing in is refused for good; `problem` says why."""
        delay = FIRST_RETRY_S
        while not self.problem:
            try:
                await self._connected()
                delay = FIRST_RETRY_S
            except (OSError, InvalidHandshake, TimeoutError) as problem:
                self._noted(f"cannot reach {self._url}: {problem}")
            except InvalidURI as problem:
                self.problem = f"{problem}; give one such as ws://127.0.0.1:8081/agent"
            if not self.problem:
                wait_s, self._retry_s = max(self._retry_s, delay), 0.0
                await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))
                delay = min(delay * 2, LAST_RETRY_S)

    async def _connected(self) -> None:
        """From one connection's start to its end."""
        local = urlsplit(self._url).hostname in ("localhost", "127.0.0.1", "::1")
        link = connect(
            self._url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None, proxy=None if local else True
        )
        async with link as self._socket:
            hello: Json = {"type": "hello", "token": self._token}
            if self.mirror.last_seq is not None:
                hello["last_seq"] = self.mirror.last_seq
            self._send(json.dumps(hello))
            try:
                async for text in self._socket:
                    self._take(json.loads(text))
            except ConnectionClosed as end:
                self._noted(f"connection lost: {end}")
            self.up = False
            code, reason = self._socket.close_code, self._socket.close_reason
            if code in FATAL:
                self.problem = self.problem or f"refused: {reason} ({code})"
            elif code is not None and code != 1006:
                self._noted(f"server closed: {reason or code}")

    def _take(self, message: Json) -> None:
        self.mirror.take(message, now_ms())
        match message["type"]:
            case "welcome":
                self.up = self.seen = True
                for text, _ in list(self._unanswered.values()):
                    self._send(text)
            case "goodbye":
                self._retry_s = message["retry_after_ms"] / 1000
            case "ok" | "error":
                self._answered(message)
        self._told(message)

    def _answered(self, message: Json) -> None:
        retry_s = message.get("retry_after_ms", 0) / 1000
        ident = message.get("re")
        if ident not in self._unanswered:
            self._retry_s = max(self._retry_s, retry_s)
            return
        text, answer = self._unanswered[ident]
        if retry_s:
            asyncio.get_running_loop().call_later(retry_s, self._send, text)
            return
        del self._unanswered[ident]
        if not answer.done():
            answer.set_result(message)

    def _send(self, text: str) -> None:
        if self._socket is not None:
            broadcast((self._socket,), text)
