"""Visitors at the real port: two independent clients, real sockets on loopback, the real engine behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from channels.chat.adapter import SUBPROTOCOL, ChatAdapter
from channels.chat.conversation import THREAD
from channels.chat.settings import Settings
from router.engine import commands as c
from router.engine.config import Duration
from router.engine.events import Message
from router.errors import Unavailable
from router.service.ports import Adapter, Context, DeliveryFailed
from router.service.sockets import SocketServer, SocketSettings
from tests.chat.world import EngineDesk
from tests.support.waiting import until


class LiveDesk(EngineDesk):
    """Durable at the loop's next turn."""

    def submit(self, command: c.AnyCommand, done: Any) -> None:
        super().submit(command, done)
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self, count: int | None = None) -> None:
        self.answers_first = True
        super().flush(count)


class House:
    def __init__(self, data: Path, port: SocketSettings, settings: Settings) -> None:
        self.desk = LiveDesk()
        self.server = SocketServer("127.0.0.1", 0, port)
        context = Context(
            desk=cast(Any, self.desk),
            blobs=cast(Any, None),
            quarantine=cast(Any, None),
            sockets=self.server,
            data=data,
            loopback_only=True,
        )
        self.adapter = ChatAdapter(settings, context)
        self.desk.inform = self.adapter.inform

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.server.port}/chat"

    def client(self, **more: Any) -> connect:
        return connect(self.url, compression=None, proxy=None, **more)

    def agent(self) -> None:
        self.desk.do(c.OpenSession(agent="ana", session="s"))
        self.desk.do(c.SetState(agent="ana", state="ready"))

    async def accepted(self) -> int:
        await until(lambda: bool(self.desk.agent("ana").offers))
        offers = self.desk.agent("ana").offers
        self.desk.do(c.Accept(agent="ana", offer=int(offers[0].offer[2:])))
        return int(offers[0].interaction.id[2:])


@contextlib.asynccontextmanager
async def running(data: Path, port: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[House]:
    house = House(data, SocketSettings(close_grace=Duration(200), **(port or {})), Settings(**settings))
    await house.adapter.start()
    await house.server.start()
    try:
        yield house
    finally:
        await house.adapter.stop()
        await house.server.stop()


async def say(client: ClientConnection, **frame: Any) -> None:
    await client.send(json.dumps(frame))


async def hear(client: ClientConnection, kind: str) -> dict[str, Any]:
    """The next frame, which must be of this kind."""
    frame: dict[str, Any] = json.loads(await client.recv())
    assert frame["type"] == kind, frame
    return frame


async def closing(client: ClientConnection) -> int | None:
    """Read to the end; the close code."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await client.recv()
    return client.close_code


@pytest.mark.promise("IN-1", "IN-2")
async def test_a_whole_conversation(tmp_path: Path) -> None:
    async with running(tmp_path) as house, house.client(subprotocols=[Subprotocol(SUBPROTOCOL)]) as client:
        assert client.subprotocol == SUBPROTOCOL
        await say(client, type="hello", topic="support", name="Ada")
        assert (await hear(client, "welcome"))["interaction"] == "i-1"
        assert (await hear(client, "queued"))["position"] == 1
        await say(client, type="message", id="m1", text="Grüße 👋")
        assert (await hear(client, "delivered"))["re"] == "m1"
        house.agent()
        number = await house.accepted()
        assert (await hear(client, "joined"))["name"] == "Ana"
        house.desk.do(c.Say(agent="ana", interaction=number, message=Message("Hello Ada")))
        assert (await hear(client, "message"))["text"] == "Hello Ada"
        await say(client, type="leave")
        assert (await hear(client, "ended"))["reason"] == "customer-left"
        assert await closing(client) == 1000
        assert [m.text for m in house.desk.interaction(1).messages] == ["Grüße 👋", "Hello Ada"]


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize(("options", "stored"), [({}, "it is •••• 1111"), ({"mask_cards": False}, None)])
async def test_a_card_number_is_not_recorded(tmp_path: Path, options: dict[str, Any], stored: str | None) -> None:
    said = "it is 4111 1111 1111 1111"
    async with running(tmp_path, **options) as house, house.client() as client:
        await say(client, type="hello", topic="support")
        await say(client, type="message", id="a", text=said)
        for kind in ("welcome", "queued", "delivered"):
            await hear(client, kind)
        assert [m.text for m in house.desk.interaction(1).messages] == [stored or said]


async def test_a_client_that_names_no_subprotocol_is_welcome(tmp_path: Path) -> None:
    """As a browser's plain `new WebSocket(url)`, and by another implementation."""
    async with running(tmp_path) as house, aiohttp.ClientSession() as session:
        async with session.ws_connect(house.url) as client:
            await client.send_json({"type": "hello", "topic": "support"})
            welcome, queued = await client.receive_json(), await client.receive_json()
            assert (welcome["type"], queued["type"]) == ("welcome", "queued")
            assert welcome["seq"] + 1 == queued["seq"]


@pytest.mark.promise("AG-3")
async def test_a_cut_connection_goes_on(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        async with house.client() as client:
            await say(client, type="hello", topic="support")
            welcome = await hear(client, "welcome")
            queued = await hear(client, "queued")
            client.transport.abort()
        await until(lambda: not house.server.connections)
        house.agent()
        number = await house.accepted()
        house.desk.do(c.Say(agent="ana", interaction=number, message=Message("Where are you?")))
        async with house.client() as client:
            await say(client, type="hello", token=welcome["token"], last_seq=queued["seq"])
            assert (await hear(client, "welcome"))["resumed"]
            await hear(client, "joined")
            assert (await hear(client, "message"))["text"] == "Where are you?"


@pytest.mark.promise("AG-3", "DU-1")
async def test_another_process_knows_the_visitor_by_the_same_secret(tmp_path: Path) -> None:
    async with running(tmp_path) as first, first.client() as client:
        await say(client, type="hello", topic="support")
        token = (await hear(client, "welcome"))["token"]
        await say(client, type="message", id=1, text="hi")
        await hear(client, "queued")
        await hear(client, "delivered")
    second = House(tmp_path, SocketSettings(), Settings())
    second.desk.engine = first.desk.engine
    await second.adapter.start()
    await second.server.start()
    async with second.client() as client:
        await say(client, type="hello", token=token, last_seq=3)
        welcome = await hear(client, "welcome")
        assert (welcome["interaction"], welcome["resumed"]) == ("i-1", False)
        assert [m["text"] for m in welcome["messages"]] == ["hi"]
    await second.adapter.stop()
    await second.server.stop()


@pytest.mark.promise("DU-2", "IN-2")
async def test_when_the_engine_was_read_again_visitors_come_back_and_find_what_is_recorded(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        async with house.client() as client:
            await say(client, type="hello", topic="support")
            token = (await hear(client, "welcome"))["token"]
            await hear(client, "queued")
            house.desk.refuse = lambda command: Unavailable("the disk is full")
            await say(client, type="message", id="m", text="hi")
            error = await hear(client, "error")
            assert (error["code"], error["re"], error["retry_after_s"]) == ("unavailable", "m", 5)
            house.desk.refuse = lambda command: None
            house.desk.crash()
            house.adapter.reset("the journal was opened again")
            assert await closing(client) == 1001
        async with house.client() as client:
            await say(client, type="hello", token=token, last_seq=2)
            assert (await hear(client, "welcome"))["resumed"] is False
            await say(client, type="message", id="m", text="hi")
            assert "duplicate" not in await hear(client, "delivered")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", 4400),
        ('{"type":"message","id":1,"text":"no hello"}', 4400),
        ('{"type":"hello","topic":"unheard-of"}', 4404),
        ('{"type":"hello","token":"forged"}', 4401),
        (b"\x00\x01", 1003),
        ('{"type":"hello","name":"' + "x" * 5_000 + '"}', 1009),
    ],
    ids=["malformed", "no hello", "no route", "forged", "binary", "oversized"],
)
@pytest.mark.promise("IN-4", "IN-5")
async def test_what_is_wrong_closes_its_own_socket_only(tmp_path: Path, frame: str | bytes, code: int) -> None:
    async with running(tmp_path, {"max_message_bytes": 4_096}) as house, house.client() as good:
        await say(good, type="hello", topic="support")
        await hear(good, "welcome")
        async with house.client() as bad:
            await bad.send(frame)
            assert await closing(bad) == code
        await say(good, type="message", id=1, text="still here")
        await hear(good, "queued")
        await hear(good, "delivered")


@pytest.mark.promise("IN-5")
async def test_a_flood_is_cut_off(tmp_path: Path) -> None:
    async with running(tmp_path, frame_rate=0.001, frame_burst=50) as house, house.client() as client:
        await say(client, type="hello", topic="support")
        with contextlib.suppress(ConnectionClosed):
            for _ in range(100):
                await say(client, type="typing")
        assert await closing(client) == 4429


@pytest.mark.promise("AG-5", "OB-3")
async def test_a_visitor_who_stops_reading_is_cut_off_and_delays_nobody(tmp_path: Path) -> None:
    port = {"max_buffer_bytes": 65_536}
    async with running(tmp_path, port) as house, house.client(max_queue=1) as deaf, house.client() as good:
        await say(deaf, type="hello", topic="support")
        token = (await hear(deaf, "welcome"))["token"]
        deaf.transport.pause_reading()
        house.agent()
        number = await house.accepted()
        await say(good, type="hello", token=token)
        await hear(good, "welcome")
        while not house.server.cut:  # one hears every word at once, while the other's wait for nobody
            house.desk.do(c.Say(agent="ana", interaction=number, message=Message("x" * 60_000)))
            assert len((await hear(good, "message"))["text"]) == 60_000
        house.desk.do(c.Complete(agent="ana", interaction=number))
        await hear(good, "ended")
        deaf.transport.resume_reading()
        deaf.transport.abort()


@pytest.mark.promise("OB-1")
async def test_health_tells_the_truth(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        adapter = house.adapter
        assert adapter.health().ok
        async with house.client() as client:
            await say(client, type="hello", topic="support")
            await hear(client, "welcome")
            assert adapter.health().figures == {"sockets": 1, "conversations": 1, "waiting": 1, "refusals": 0}
        adapter._swept_s -= 16  # three sweeps were missed
        assert "last sweep" in adapter.health().detail
        assert adapter._sweeping is not None
        adapter._sweeping.cancel()
        await asyncio.gather(adapter._sweeping, return_exceptions=True)
        assert not adapter.health().ok
        await adapter.stop_intake()
        assert not adapter.health().ok


async def test_the_sweep_ends_the_conversation_of_the_gone(tmp_path: Path) -> None:
    async with running(tmp_path, sweep=Duration(10), visitor_grace=Duration(0)) as house:
        async with house.client() as client:
            await say(client, type="hello", topic="support")
            await hear(client, "welcome")
        await until(lambda: house.desk.interaction(1).state == "closed")
        (left,) = (command for command in house.desk.commands if isinstance(command, c.Leave))
        assert left.thread.startswith(THREAD)
        assert left.reason == "gone"


@pytest.mark.promise("DU-6")
async def test_a_stop_sends_visitors_away_to_come_back(tmp_path: Path) -> None:
    async with running(tmp_path) as house, house.client() as client:
        await say(client, type="hello", topic="support")
        await hear(client, "welcome")
        await house.adapter.stop_intake()
        async with house.client() as late:
            await say(late, type="hello", topic="support")
            assert (await hear(late, "error"))["code"] == "draining"
            assert await closing(late) == 1013
        await house.adapter.stop()
        assert await closing(client) == 1001


async def test_it_is_an_adapter_with_nothing_to_deliver(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        adapter: Adapter = house.adapter
        assert (adapter.name, adapter.channels, adapter.actions) == ("chat", ("chat",), frozenset())
        assert {route.path.partition("/{")[0] for route in adapter.routes()} == {"/chat/files"}
        assert adapter.requeue_hooks() == {}
        with pytest.raises(DeliveryFailed):
            await adapter.deliver(cast(Any, None))
