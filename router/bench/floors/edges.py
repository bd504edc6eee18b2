"""The edges' floors: a bare aiohttp application, a bare websockets echo and a bare aiosmtpd. Each prints its port.

python -m router.bench.floors.edges webhook|echo|mail LOOP
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import msgspec

from router.bench.measure import run_loop


class Webhook(msgspec.Struct):
    """What the load generator's body decodes into."""

    event_id: str
    call_id: str
    type: str
    at: float
    attributes: dict[str, str]


async def webhook() -> int:
    """Decode the body, answer 200 with its id. Nothing is kept, and no signature is looked at."""
    from aiohttp import web

    decode, encode = msgspec.json.Decoder(Webhook).decode, msgspec.json.Encoder().encode

    async def hook(request: web.Request) -> web.Response:
        event = decode(await request.read())
        return web.Response(body=encode({"id": event.event_id}), content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/phone/{gateway}/events", hook)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    assert runner.server is not None
    server = await asyncio.get_running_loop().create_server(runner.server, "127.0.0.1", 0, backlog=1_024)
    return int(server.sockets[0].getsockname()[1])


async def echo() -> int:
    from websockets.asyncio.server import ServerConnection, serve

    async def handle(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    server = await serve(handle, "127.0.0.1", 0, backlog=4_096, open_timeout=60, compression=None)
    return int(next(iter(server.sockets)).getsockname()[1])


async def mail() -> int:
    from aiosmtpd.smtp import SMTP

    class Accept:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            return "250 queued"

    handler, loop = Accept(), asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(handler, hostname="mx", ident="bench"), "127.0.0.1", 0, backlog=1_024
    )
    return int(server.sockets[0].getsockname()[1])


async def main(kind: str) -> None:
    print(await {"webhook": webhook, "echo": echo, "mail": mail}[kind](), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    run_loop(main(sys.argv[1]), sys.argv[2])
