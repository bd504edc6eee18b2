"""Independent websocket clients, none of which names a subprotocol, hold the same conversation.

The fifth is the browser's own: tests/desk/test_widget.py.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_in_a_thread

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


@pytest.mark.system
@pytest.mark.parametrize("client", [by_websockets, by_websockets_in_a_thread, by_aiohttp, by_node])
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
