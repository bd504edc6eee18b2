"""The agents' link with real sockets and clients."""

import asyncio
import itertools
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from router.agents.messages import SUBPROTOCOL
from router.agents.mirror import Mirror
from router.engine import commands as c
from router.engine.config import Duration
from router.engine.events import Message
from router.service.sockets import SocketSettings
from tests.agents.house import Json
from tests.agents.live import LiveHouse, live


async def agent(house: LiveHouse, name: str = "ana", **hello: Any) -> ClientConnection:
    client = await connect(house.url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None, proxy=None)
    await client.send(json.dumps({"type": "hello", "token": f"dev-{name}", **hello}))
    return client


async def until(client: ClientConnection, kind: str, mirror: Mirror | None = None) -> Json:
    """Read up to the next message of this type."""
    while True:
        message: Json = json.loads(await client.recv())
        if mirror is not None:
            mirror.take(message)
        if message["type"] == kind:
            return message


async def ended(client: ClientConnection) -> int | None:
    try:
        while True:
            await client.recv()
    except ConnectionClosed:
        return client.close_code


async def test_a_chat_from_sign_in_to_wrap_up() -> None:
    async with live() as house:
        client, mirror = await agent(house), Mirror()
        await until(client, "welcome", mirror)
        await client.send('{"type":"set_state","id":1,"state":"ready"}')
        await until(client, "state", mirror)
        house.desk.arrive()
        offer = await until(client, "offer", mirror)
        await client.send(json.dumps({"type": "accept", "id": 2, "offer": offer["offer"]}))
        work = (await until(client, "assigned", mirror))["interaction"]
        assert {"id", "channel", "direction", "queue", "customer", "subject", "enqueued_at_ms"} <= set(work)
        assert {"requirement", "matched_skills", "attributes"} <= set(work)
        assert [said["text"] for said in work["messages"]] == ["hello"]
        await client.send(json.dumps({"type": "complete", "id": 3, "interaction": work["id"]}))
        assert (await until(client, "interaction_ended", mirror))["wrap_up"] is True
        await client.send(json.dumps({"type": "finish_wrap_up", "id": 4, "interaction": work["id"]}))
        await until(client, "interaction_ended", mirror)
        assert mirror.interactions == {}
        await client.close()


@pytest.mark.promise("AG-3")
async def test_a_client_that_lost_its_connection_resumes() -> None:
    async with live() as house:
        first, mirror = await agent(house), Mirror()
        await until(first, "welcome", mirror)
        first.transport.abort()
        watcher = await agent(house)
        await until(watcher, "welcome")
        await watcher.send('{"type":"set_state","id":1,"state":"ready"}')
        await until(watcher, "ok")
        second = await agent(house, last_seq=mirror.last_seq, id="h")
        assert (await until(second, "welcome", mirror))["resumed"] is True
        await until(second, "ok", mirror)
        assert mirror.agent["state"] == "ready"
        await watcher.close()
        await second.close()


@pytest.mark.promise("OB-6")
async def test_a_wrong_token_is_sent_off_with_its_own_code() -> None:
    async with live() as house:
        client = await agent(house, "nobody")
        assert (await until(client, "error"))["code"] == "unauthenticated"
        assert await ended(client) == 4401


async def test_who_says_nothing_is_sent_off() -> None:
    async with live(hello_timeout=Duration(20)) as house:
        client = await connect(house.url, compression=None, proxy=None)
        assert await ended(client) == 4408


@pytest.mark.promise("OB-3")
async def test_a_flood_of_commands_is_answered_in_full_and_in_order() -> None:
    """More than may be in flight: the socket is paused and resumed, and nothing is lost."""
    async with live(max_in_flight=4) as house:
        client = await agent(house)
        await until(client, "welcome")
        states = ["ready", "not_ready"]
        for n in range(200):
            await client.send(json.dumps({"type": "set_state", "id": n, "state": states[n % 2]}))
        assert [(await until(client, "ok"))["re"] for _ in range(200)] == list(range(200))
        await client.close()


@pytest.mark.promise("AG-1", "AG-2")
async def test_the_end_of_the_last_connection_ends_the_session() -> None:
    async with live() as house:
        client, watcher = await agent(house), await agent(house)
        await until(client, "welcome")
        await until(watcher, "welcome")
        client.transport.abort()
        await until(watcher, "state")
        assert house.desk.agent("ana").sessions == 1
        await watcher.close()


@pytest.mark.promise("AG-5")
async def test_an_agent_who_stops_reading_is_cut_off_and_signed_out_while_others_go_on() -> None:
    limits = SocketSettings(max_buffer_bytes=65_536, close_grace=Duration(50))
    async with live(sockets=limits) as house:
        deaf, other = await agent(house), await agent(house, "ben")
        await until(deaf, "welcome")
        await until(other, "welcome")
        await deaf.send('{"type":"set_state","id":1,"state":"ready"}')
        house.desk.arrive()
        offer = await until(deaf, "offer")
        await deaf.send(json.dumps({"type": "accept", "id": 2, "offer": offer["offer"]}))
        await until(deaf, "assigned")
        deaf.transport.pause_reading()
        more = c.Append(thread="chat:1", message=Message("x" * 4_000))
        states = itertools.cycle(["ready", "not_ready"])
        for n in itertools.count():
            for _ in range(100):
                house.desk.do(more)
            await other.send(json.dumps({"type": "set_state", "id": n, "state": next(states)}))
            await until(other, "ok")
            if not house.desk.agent("ana").sessions:
                break
        assert (house.sockets.cut, house.sockets.connections) == (1, 1)
        await other.send('{"type":"set_state","id":"end","state":"ready"}')
        assert (await until(other, "ok"))["re"] == "end"
        deaf.transport.abort()
        await other.close()


@pytest.mark.promise("DU-6")
async def test_draining_tells_clients_when_to_come_back() -> None:
    async with live() as house:
        client = await agent(house)
        await until(client, "welcome")
        house.agents.drain()
        goodbye = await until(client, "goodbye")
        assert goodbye["retry_after_ms"] == 2_000
        assert await ended(client) == 1012
        assert not house.agents.health().ok


@pytest.mark.promise("OB-1")
async def test_health_is_that_of_the_port_and_counts_sessions() -> None:
    async with live() as house:
        client = await agent(house)
        await until(client, "welcome")
        health = house.agents.health()
        assert (health.ok, health.figures) == (True, {"connections": 1.0, "sessions": 1.0})
        await house.sockets.stop_intake()
        assert not house.agents.health().ok
        await client.close()


async def test_without_a_blob_store_no_attachment_was_ever_uploaded() -> None:
    async with live() as house:
        client = await agent(house)
        await until(client, "welcome")
        attached = [{"digest": "ab" * 32, "size": 3}]
        await client.send(json.dumps({"type": "say", "id": 1, "interaction": "i-1", "attachments": attached}))
        assert (await until(client, "error"))["code"] == "not-found"
        await client.close()


async def test_a_storm_of_clients_signs_in() -> None:
    async with live(max_sessions=100) as house:
        clients = await asyncio.gather(*(agent(house) for _ in range(60)))
        await asyncio.gather(*(until(client, "welcome") for client in clients))
        assert house.desk.agent("ana").sessions == 60
        for client in clients:
            client.transport.abort()
        await asyncio.gather(*(client.wait_closed() for client in clients))
