"""The whole path in one process with nothing but the necessary work: the bound that the product is held against.

webhook -> journal -> match -> offer -> accept -> journal -> complete -> journal: one request, two messages of the
agent, three to it, four events. A message changes the state at once; its events join the open batch and its answers
wait behind them; a thread commits one batch while the next one fills.

    python -m router.bench.floors.pipeline raw|aiohttp raw|websockets LOOP FOLDER

prints (HTTP port << 16 | websocket port). `raw` edges understand just what the load generator sends: whole requests,
short masked frames. They show what is left when all libraries are gone.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import queue
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec

from router.bench.floors.journal import Rows
from router.bench.floors.matching import Grouped
from router.bench.house import AGENTS, NEEDS, SKILLS, profile
from router.bench.measure import run_loop

Send = Callable[[bytes], Any]
Batch = tuple[list[bytes], list[tuple[Send, bytes]]]


class Webhook(msgspec.Struct):
    id: str
    channel: str
    sender: str
    subject: str
    body: str
    priority: int
    kind: int  # which of NEEDS


class Received(msgspec.Struct, array_like=True, tag="r"):
    ident: int
    hook: Webhook


class Offered(msgspec.Struct, array_like=True, tag="o"):
    ident: int
    agent: int
    at: float


class Accepted(Offered, array_like=True, tag="a"):
    pass


class Completed(Offered, array_like=True, tag="c"):
    pass


class AgentMessage(msgspec.Struct):
    type: str
    id: int


encode_event = msgspec.msgpack.Encoder().encode
encode = msgspec.json.Encoder().encode
decode_hook = msgspec.json.Decoder(Webhook).decode
decode_agent = msgspec.json.Decoder(AgentMessage).decode


class Journal:
    """Events with the answers that wait for them."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._open: Batch = ([], [])
        self._busy = False
        self._store = Rows(folder)
        self._batches: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        threading.Thread(target=self._write, daemon=True).start()

    def add(self, event: msgspec.Struct, answer: Send, text: bytes) -> None:
        self._open[0].append(encode_event(event))
        self._open[1].append((answer, text))
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._start)

    def _start(self) -> None:
        batch, self._open = self._open, ([], [])
        self._batches.put(batch)

    def _write(self) -> None:
        while True:
            events, answers = self._batches.get()
            self._store.append(events)
            self._loop.call_soon_threadsafe(self._done, answers)

    def _done(self, answers: list[tuple[Send, bytes]]) -> None:
        self._busy = bool(self._open[0])
        if self._busy:
            self._start()
        for answer, text in answers:
            answer(text)


CHANNEL = {"chat": 1, "email": 2}  # written ones: an agent has room for three of the one and five of the other


class Core:
    """Everything between the edges and the journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        held = [_numbered(profile(i)) for i in range(12)]
        self.matcher = Grouped(held, [(channel, _numbered(n)) for channel in (1, 2) for n in NEEDS], AGENTS)
        self.agents: list[Send] = []
        self.hooks: dict[int, Webhook] = {}
        self.ident = 0

    def agent(self, send: Send) -> int:
        self.agents.append(send)
        return len(self.agents) - 1

    def webhook(self, hook: Webhook, answer: Send) -> None:
        self.ident = ident = self.ident + 1
        self.hooks[ident] = hook
        now = time.time()
        self.journal.add(Received(ident, hook), answer, encode({"id": ident}))
        r = (CHANNEL[hook.channel] - 1) * len(NEEDS) + hook.kind
        agent = self.matcher.arrive(r, int((now - 1.7e9) * 1000) + 60_000 * hook.priority, ident)
        if agent >= 0:
            self._offer(ident, agent, now)

    def message(self, agent: int, data: bytes) -> None:
        message = decode_agent(data)
        now, ident, send = time.time(), message.id, self.agents[agent]
        if message.type == "accept":
            self.journal.add(Accepted(ident, agent, now), send, encode({"type": "go", "id": ident}))
            return
        hook = self.hooks.pop(ident)
        self.journal.add(Completed(ident, agent, now), send, encode({"type": "done", "id": ident}))
        for following in self.matcher.release(agent, CHANNEL[hook.channel]):
            self._offer(following, agent, now)

    def _offer(self, ident: int, agent: int, now: float) -> None:
        hook = self.hooks[ident]
        told = {"channel": hook.channel, "from": hook.sender, "subject": hook.subject, "text": hook.body}
        self.journal.add(Offered(ident, agent, now), self.agents[agent], encode({"type": "offer", "id": ident, **told}))


def _numbered(skills: dict[str, int]) -> dict[int, int]:
    return {SKILLS.index(skill): level for skill, level in skills.items()}


# --- raw edges --------------------------------------------------------------------------------------------------------

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.I)


class RawHook(asyncio.Protocol):
    core: Core

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast(asyncio.Transport, transport).write  # uvloop's are no subclass

    def data_received(self, data: bytes) -> None:
        end = data.index(b"\r\n\r\n") + 4
        length = LENGTH.search(data, 0, end)
        assert length is not None
        self.core.webhook(decode_hook(data[end : end + int(length[1])]), self._answer)

    def _answer(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        self._write(head % (len(body), body))


class RawAgent(asyncio.Protocol):
    core: Core

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast(asyncio.Transport, transport).write  # uvloop's are no subclass
        self._agent = -1

    def data_received(self, data: bytes) -> None:
        if self._agent < 0:
            self._welcome(data)
            return
        at = 0
        while at < len(data):
            n = data[at + 1] & 127
            mask, body = data[at + 2 : at + 6], data[at + 6 : at + 6 + n]
            at += 6 + n
            whole, rest = divmod(n, 4)
            plain = int.from_bytes(body, "big") ^ int.from_bytes(mask * whole + mask[:rest], "big")
            self.core.message(self._agent, plain.to_bytes(n, "big"))

    def _welcome(self, data: bytes) -> None:
        key = data.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())  # noqa: S324 - RFC 6455 section 4.2.2
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self._write(head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        self._agent = self.core.agent(self._send)

    def _send(self, text: bytes) -> None:
        n = len(text)
        self._write((bytes((0x81, n)) if n < 126 else b"\x81\x7e" + n.to_bytes(2, "big")) + text)


# --- edges with libraries ---------------------------------------------------------------------------------------------


async def serve_http(kind: str, core: Core) -> int:
    loop = asyncio.get_running_loop()
    factory: Callable[[], asyncio.BaseProtocol]
    if kind == "raw":
        RawHook.core = core
        factory = RawHook
    else:
        from aiohttp import web

        async def hook(request: web.Request) -> web.Response:
            done: asyncio.Future[bytes] = loop.create_future()
            core.webhook(decode_hook(await request.read()), done.set_result)
            return web.Response(body=await done, content_type="application/json")

        app = web.Application()
        app.router.add_post("/hooks/{source}", hook)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        assert runner.server is not None
        factory = runner.server
    server = await loop.create_server(factory, "127.0.0.1", 0, backlog=1_024)
    return int(server.sockets[0].getsockname()[1])


async def serve_agents(kind: str, core: Core) -> int:
    if kind == "raw":
        RawAgent.core = core
        server = await asyncio.get_running_loop().create_server(RawAgent, "127.0.0.1", 0, backlog=1_024)
        return int(server.sockets[0].getsockname()[1])
    from websockets.asyncio.server import ServerConnection, broadcast, serve

    async def agent(connection: ServerConnection) -> None:
        one = (connection,)
        number = core.agent(lambda text: broadcast(one, text, text=True))  # the only sending without an await
        while True:
            core.message(number, await connection.recv(decode=False))

    listening = await serve(agent, "127.0.0.1", 0, backlog=1_024, compression=None)
    return int(next(iter(listening.sockets)).getsockname()[1])


async def main(http: str, agents: str, folder: Path) -> None:
    core = Core(Journal(folder))
    ports = await serve_http(http, core), await serve_agents(agents, core)
    print(ports[0] << 16 | ports[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    run_loop(main(sys.argv[1], sys.argv[2], Path(sys.argv[4])), sys.argv[3])
