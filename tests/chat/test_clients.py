"""Independent websocket clients, none of which names a subprotocol, hold the same conversation.

The last is the browser's own: tests/desk/test_widget.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import websocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_in_a_thread
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage

from tests.chat.test_sockets import running

Json = dict[str, Any]
Client = Callable[[str], Awaitable[tuple[int, list[Json]]]]  # the close code, and what was heard

HELLO = {"type": "hello", "topic": "support"}
WORDS: list[Json] = [
    {"type": "message", "id": "a", "text": "one ✓"},
    {"type": "message", "id": "a", "text": "one ✓"},
    {"type": "message", "id": "b", "text": "two"},
]


def answer(frame: Json) -> list[Json]:
    if frame["type"] == "queued":
        return WORDS
    return [{"type": "leave"}] if frame["type"] == "delivered" and frame["re"] == "b" else []


async def by_websockets(url: str) -> tuple[int, list[Json]]:
    heard: list[Json] = []
    async with connect(url, proxy=None) as socket:
        await socket.send(json.dumps(HELLO))
        async for data in socket:
            heard.append(json.loads(data))
            for frame in answer(heard[-1]):
                await socket.send(json.dumps(frame))
    return socket.close_code or 0, heard


async def by_websockets_in_a_thread(url: str) -> tuple[int, list[Json]]:
    def talk() -> tuple[int, list[Json]]:
        heard: list[Json] = []
        with connect_in_a_thread(url, proxy=None) as socket:
            socket.send(json.dumps(HELLO))
            try:
                while True:
                    heard.append(json.loads(socket.recv()))
                    for frame in answer(heard[-1]):
                        socket.send(json.dumps(frame))
            except ConnectionClosed:
                return socket.close_code or 0, heard

    return await asyncio.to_thread(talk)


async def by_aiohttp(url: str) -> tuple[int, list[Json]]:
    heard: list[Json] = []
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        await socket.send_json(HELLO)
        async for message in socket:
            heard.append(message.json())
            for frame in answer(heard[-1]):
                await socket.send_json(frame)
        return socket.close_code or 0, heard


async def by_node(url: str) -> tuple[int, list[Json]]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("not installed: nodejs")
    script = str(Path(__file__).with_name("client.mjs"))
    process = await asyncio.create_subprocess_exec(
        node, "--experimental-websocket", "--no-warnings", script, url, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    found = json.loads(said)
    assert found["protocol"] == "", "none was asked for, none is named"
    return found["code"], found["heard"]


async def by_websocket_client(url: str) -> tuple[int, list[Json]]:
    def talk() -> tuple[int, list[Json]]:
        heard: list[Json] = []
        socket = websocket.create_connection(url, timeout=30)
        try:
            assert socket.subprotocol is None
            socket.send(json.dumps(HELLO))
            while True:
                kind, data = socket.recv_data()
                if kind == websocket.ABNF.OPCODE_CLOSE:
                    return int.from_bytes(data[:2], "big"), heard
                heard.append(json.loads(data))
                for frame in answer(heard[-1]):
                    socket.send(json.dumps(frame))
        finally:
            socket.shutdown()  # type: ignore[no-untyped-call]  # after the end, `close` would leave it open

    return await asyncio.to_thread(talk)


async def by_wsproto(url: str) -> tuple[int, list[Json]]:
    """A protocol without a socket of its own: the test carries the bytes."""
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    link = WSConnection(ConnectionType.CLIENT)
    heard: list[Json] = []
    text = ""
    try:
        writer.write(link.send(Request(host=at.netloc, target=at.path)))
        while True:
            data = await reader.read(65_536)
            link.receive_data(data or None)
            for event in link.events():
                match event:
                    case AcceptConnection():
                        assert event.subprotocol is None
                        writer.write(link.send(TextMessage(json.dumps(HELLO))))
                    case TextMessage():
                        text += event.data
                        if event.message_finished:
                            heard.append(json.loads(text))
                            text = ""
                            for frame in answer(heard[-1]):
                                writer.write(link.send(TextMessage(json.dumps(frame))))
                    case CloseConnection():
                        with contextlib.suppress(ConnectionError):
                            writer.write(link.send(event.response()))
                        return int(event.code), heard
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


# Of six hands: two of websockets, on which the server stands, aiohttp's, and three that share nothing with it.
ANYWHERE = [by_websockets, by_websockets_in_a_thread, by_aiohttp, by_websocket_client, by_wsproto]


@pytest.mark.parametrize("client", [*ANYWHERE, pytest.param(by_node, marks=pytest.mark.system)])
async def test_every_client_holds_the_same_conversation_in_order_and_nothing_twice(
    client: Client, tmp_path: Path
) -> None:
    async with running(tmp_path) as house:
        async with asyncio.timeout(60):
            code, heard = await client(house.url)
        assert code == 1000
        kinds = [(frame["type"], frame.get("re")) for frame in heard if not frame.get("duplicate")]
        assert kinds[:2] == [("welcome", None), ("queued", None)]
        assert [kind for kind in kinds if kind[0] == "delivered"] == [("delivered", "a"), ("delivered", "b")]
        assert kinds[-1] == ("ended", None)
        assert [frame["seq"] for frame in heard[1:]] == list(range(heard[0]["seq"] + 1, heard[0]["seq"] + len(heard)))
        (view,) = house.desk.interactions()
        assert [said.text for said in house.desk.interaction(int(view.id[2:])).messages] == ["one ✓", "two"]
