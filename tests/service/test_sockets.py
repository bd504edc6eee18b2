"""The shared websocket port, with real sockets on loopback."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, cast

import pytest
import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.typing import Origin, Subprotocol

from router.engine.config import Duration
from router.errors import ConfigError
from router.service.sockets import Peer, Receiver, SocketServer, SocketSettings

OURS = "switchboard.test.v1"


class Told(Receiver):
    """Remembers what it was given; echoes."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.texts: list[bytes] = []
        self.gone = asyncio.Event()

    def received(self, text: bytes) -> None:
        self.texts.append(text)
        self.peer.send(text)

    def closed(self) -> None:
        self.gone.set()


class House:
    """A running server whose receivers a test can look at."""

    def __init__(self, settings: SocketSettings, kind: Callable[[Peer], Told] = Told) -> None:
        self.server = SocketServer("127.0.0.1", 0, settings)
        self.told: list[Told] = []
        self.kind = kind
        self.server.mount("/echo", OURS, self._opened)

    def _opened(self, peer: Peer) -> Told:
        self.told.append(self.kind(peer))
        return self.told[-1]

    def client(self, path: str = "/echo", **more: Any) -> connect:
        return connect(f"ws://127.0.0.1:{self.server.port}{path}", compression=None, proxy=None, **more)


@contextlib.asynccontextmanager
async def running(kind: Callable[[Peer], Told] = Told, **settings: Any) -> AsyncIterator[House]:
    settings = {"close_grace": Duration(200)} | settings
    house = House(SocketSettings(**settings), kind)
    await house.server.start()
    try:
        yield house
    finally:
        await house.server.stop()


async def refusal(attempt: connect) -> tuple[int, str, str | None]:
    with pytest.raises(InvalidStatus) as caught:
        await attempt
    response = caught.value.response
    return response.status_code, bytes(response.body or b"").decode(), response.headers.get("Retry-After")


async def close_code(client: ClientConnection) -> int | None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await client.recv()
    return client.close_code


# --- the handshake ----------------------------------------------------------------------------------------------------


@pytest.mark.promise("DU-5")
async def test_whoever_is_sent_away_finds_nobody_at_home_until_the_door_is_opened_again() -> None:
    """A process that must not lead any more keeps its port, and nobody stays with it and waits for nothing."""
    async with running() as house, house.client() as client:
        house.server.send_away("somebody else leads")
        assert await close_code(client) == 1001
        status, said, again = await refusal(house.client())
        assert (status, again) == (503, "5")
        assert "somebody else leads" in said
        house.server.closed = ""
        async with house.client():
            pass


async def test_a_client_that_names_our_subprotocol_gets_it() -> None:
    async with running() as house, house.client(subprotocols=[Subprotocol("other"), Subprotocol(OURS)]) as client:
        assert client.subprotocol == OURS


async def test_a_client_that_names_no_subprotocol_is_welcome() -> None:
    async with running() as house, house.client() as client:
        assert client.subprotocol is None
        await client.send("hello")
        assert await client.recv() == "hello"


async def test_a_client_that_names_only_others_is_told_ours() -> None:
    async with running() as house:
        status, text, _ = await refusal(house.client(subprotocols=[Subprotocol("other")]))
        assert status == 400
        assert OURS in text


async def test_an_unknown_path_is_refused_with_the_known_ones() -> None:
    async with running() as house:
        status, text, _ = await refusal(house.client("/nowhere"))
        assert (status, text) == (404, "Nothing speaks at this path; connect to /echo.\n")
        assert house.server.refused == 1


async def test_a_query_string_is_no_part_of_the_path() -> None:
    async with running() as house, house.client("/echo?from=desk") as client:
        await client.send("hello")
        assert await client.recv() == "hello"


@pytest.mark.promise("IN-5")
async def test_beyond_the_connection_limit_a_client_is_told_to_come_back_and_a_freed_place_is_given_again() -> None:
    async with running(max_connections=1) as house:
        async with house.client():
            status, text, retry = await refusal(house.client())
            assert (status, retry) == (503, "5")
            assert "connections are taken" in text
        await house.told[0].gone.wait()
        async with house.client() as client:
            await client.send("hello")
            assert await client.recv() == "hello"


@pytest.mark.promise("IN-5")
async def test_one_address_cannot_take_all_places() -> None:
    async with running(max_per_address=1, trusted_proxies=("127.0.0.1",)) as house:
        async with house.client(additional_headers={"X-Forwarded-For": "192.0.2.1"}):
            status, text, _ = await refusal(house.client(additional_headers={"X-Forwarded-For": "192.0.2.1"}))
            assert status == 503
            assert "address" in text
            async with house.client(additional_headers={"X-Forwarded-For": "192.0.2.2"}) as other:
                await other.send("hello")
                assert await other.recv() == "hello"


async def test_the_address_is_the_nearest_one_in_front_of_our_own_proxies() -> None:
    spoofed = {"X-Forwarded-For": "198.51.100.9, 192.0.2.7, 10.0.0.1"}
    async with running(trusted_proxies=("127.0.0.1", "10.0.0.1")) as house, house.client(additional_headers=spoofed):
        assert house.told[0].peer.address == "192.0.2.7"


async def test_a_forwarded_address_is_not_believed_without_a_trusted_proxy() -> None:
    async with running() as house, house.client(additional_headers={"X-Forwarded-For": "192.0.2.7"}):
        assert house.told[0].peer.address == "127.0.0.1"


async def test_pages_of_other_origins_are_refused_where_origins_are_given() -> None:
    async with running(origins=("https://desk.example",)) as house:
        assert (await refusal(house.client(origin=Origin("https://evil.example"))))[0] == 403
        async with house.client(origin=Origin("https://desk.example")), house.client():
            assert house.server.connections == 2


# --- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-5")
async def test_an_oversized_message_ends_that_connection_only() -> None:
    async with running(max_message_bytes=1_024) as house, house.client() as big, house.client() as other:
        await big.send("x" * 1_025)
        assert await close_code(big) == 1009
        await other.send("x" * 1_024)
        assert len(await other.recv()) == 1_024


async def test_binary_frames_are_refused_as_such() -> None:
    async with running() as house, house.client() as client:
        await client.send(b"{}")
        assert await close_code(client) == 1003
        assert house.told[0].texts == []


async def test_text_that_is_not_utf8_never_reaches_a_receiver() -> None:
    async with running() as house, house.client() as client:
        await client.send(b"\xff\xfe", text=True)
        assert await close_code(client) == 1007
        assert house.told[0].texts == []


async def test_a_bug_in_a_receiver_ends_its_connection_only() -> None:
    class Buggy(Told):
        def received(self, text: bytes) -> None:
            if text == b"boom":
                raise RuntimeError("a bug")
            super().received(text)

    async with running(Buggy) as house, house.client() as hurt, house.client() as other:
        await hurt.send("boom")
        assert await close_code(hurt) == 1011
        await house.told[0].gone.wait()
        await other.send("hello")
        assert await other.recv() == "hello"


async def test_a_paused_peer_is_not_read_until_it_resumes() -> None:
    class Slow(Told):
        def received(self, text: bytes) -> None:
            super().received(text)
            self.peer.pause()

    async with running(Slow, read_ahead=1) as house, house.client() as client, house.client() as other:
        await client.send("one")
        await client.send("two")
        assert await client.recv() == "one"
        await other.send("hello")  # whatever came before this in the server has been handled when it answers
        assert await other.recv() == "hello"
        assert house.told[0].texts == [b"one"]
        house.told[0].peer.resume()
        assert await client.recv() == "two"


def frames_of(text: bytes, chance: random.Random) -> bytes:
    """A message as a client may send it: in one frame or in parts, with a ping between them now and then."""
    cuts = sorted(chance.choices(range(len(text) + 1), k=chance.choice((0, 0, 0, 1, 3))))
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    sent = b""
    for i, part in enumerate(parts):
        frame = Frame(Opcode.CONT if i else Opcode.TEXT, part, fin=i == len(parts) - 1)
        sent += frame.serialize(mask=True)
        if chance.random() < 0.1:
            sent += Frame(Opcode.PING, b"there?").serialize(mask=True)
    return sent


@pytest.mark.parametrize("seed", range(40))
async def test_messages_keep_their_order_however_they_are_cut_and_whenever_their_receiver_pauses(seed: int) -> None:
    chance = random.Random(seed)
    everything = asyncio.Event()

    class Moody(Told):
        def received(self, text: bytes) -> None:
            self.texts.append(text)
            if text == b"":
                everything.set()
            if chance.random() < 0.2:
                self.peer.pause()
                asyncio.get_running_loop().call_soon(self.peer.resume)

    texts = [b"%d " % i + b"x" * chance.choice((0, 5, 120, 122, 123, 300, 70_000)) for i in range(30)]
    stream = b"".join(frames_of(text, chance) for text in texts)
    async with running(Moody, max_message_bytes=100_000) as house, house.client():
        connection = house.told[0].peer._connection
        while stream:
            n = chance.choice((1, 2, 5, 6, 100, 5_000, 200_000))
            connection.data_received(stream[:n])
            stream = stream[n:]
            if chance.random() < 0.3:
                await asyncio.sleep(0)
        connection.data_received(Frame(Opcode.TEXT, b"").serialize(mask=True))
        async with asyncio.timeout(10):
            await everything.wait()
        assert house.told[0].texts == [*texts, b""]


async def test_frames_that_are_not_masked_are_a_breach_of_the_protocol() -> None:
    async with running() as house, house.client() as client:
        await client.send("hello")
        assert await client.recv() == "hello"
        client.transport.write(b"\x81\x02no")
        assert await close_code(client) == 1002
        assert house.told[0].texts == [b"hello"]


async def test_after_the_goodbye_nothing_reaches_the_receiver() -> None:
    async with running() as house, house.client() as client:
        await client.send("one")
        assert await client.recv() == "one"
        house.told[0].peer.close()
        house.told[0].peer._connection.data_received(Frame(Opcode.TEXT, b"two").serialize(mask=True))
        assert await close_code(client) == 1000
        assert house.told[0].texts == [b"one"]


async def test_the_end_of_a_paused_connection_is_noticed() -> None:
    class Paused(Told):
        def received(self, text: bytes) -> None:
            super().received(text)
            self.peer.pause()

    async with running(Paused) as house:
        async with house.client() as client:
            await client.send("one")
            await client.recv()
        await house.told[0].gone.wait()


async def test_sending_after_the_end_does_nothing() -> None:
    async with running() as house:
        async with house.client() as client:
            await client.send("one")
            await client.recv()
        await house.told[0].gone.wait()
        house.told[0].peer.send(b"too late")
        house.told[0].peer.close(1000, "too late")
        assert not house.told[0].peer.open


async def test_a_long_reason_is_cut_to_what_a_close_frame_holds() -> None:
    async with running() as house, house.client() as client:
        house.told[0].peer.close(4400, "ä" * 100)
        assert await close_code(client) == 4400
        assert client.close_reason == "ä" * 61


# --- slow clients -----------------------------------------------------------------------------------------------------


def deaf_socket() -> socket.socket:
    """A socket that will hold little of what its owner doesn't read."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    deaf.setblocking(False)
    return deaf


async def connect_deaf(port: int) -> socket.socket:
    loop, deaf = asyncio.get_running_loop(), deaf_socket()
    await loop.sock_connect(deaf, ("127.0.0.1", port))
    head = "GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    key = "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    await loop.sock_sendall(deaf, (head + key).encode())
    assert b"101" in await loop.sock_recv(deaf, 1_000)
    return deaf


async def slow_client_scenario(**settings: Any) -> None:
    """A client stops reading while another one keeps getting its messages."""
    async with running(**settings) as house, house.client() as reader:
        deaf = await connect_deaf(house.server.port)
        try:
            await reader.send("start")
            await reader.recv()
            quick, slow = house.told if house.told[0].texts else house.told[::-1]
            text, got = b"x" * 60_000, 0
            while not slow.gone.is_set():
                if slow.peer.open:
                    slow.peer.send(text)
                quick.peer.send(b"news")
                assert await reader.recv() == "news"
                got += 1
            assert got > 1
            assert house.server.cut == 1
            assert house.server.connections == 1
            await reader.send("still here")
            assert await reader.recv() == "still here"
        finally:
            deaf.close()


def on_both_loops(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())
    uvloop.run(scenario())


@pytest.mark.promise("AG-5")
def test_a_client_too_many_bytes_behind_is_cut_off_and_nobody_else_waits() -> None:
    on_both_loops(lambda: slow_client_scenario(max_buffer_bytes=200_000, close_grace=Duration(50)))


@pytest.mark.promise("AG-5")
def test_a_client_too_long_behind_is_cut_off_and_nobody_else_waits() -> None:
    on_both_loops(
        lambda: slow_client_scenario(max_buffer_bytes=67_108_864, max_behind=Duration(100), close_grace=Duration(50))
    )


class FakeTransport:
    unsent = 0

    def get_write_buffer_size(self) -> int:
        return self.unsent


class FakeConnection:
    def __init__(self) -> None:
        self.transport = FakeTransport()


@pytest.mark.promise("AG-5")
async def test_behind_is_the_age_of_the_oldest_unsent_byte_not_of_a_busy_buffer() -> None:
    connection = FakeConnection()
    peer = Peer(cast(Any, connection), SocketServer("127.0.0.1", 0), "", "/echo")
    connection.transport.unsent = 100
    peer._written, peer._mark, peer._mark_at = 100, 100, 0.0
    assert not peer._is_late(10.0, 10.0)  # exactly as old as allowed
    assert peer._is_late(11.0, 10.0)
    peer._written = 250  # 100 more were written and 100 were taken: what is unsent now is younger
    connection.transport.unsent = 150
    assert not peer._is_late(11.0, 10.0)
    assert not peer._is_late(21.0, 10.0)
    assert peer._is_late(22.0, 10.0)
    connection.transport.unsent = 0
    assert not peer._is_late(99.0, 10.0)


# --- starting, stopping, health ---------------------------------------------------------------------------------------


@pytest.mark.promise("OB-1")
async def test_health_follows_the_listener() -> None:
    server = SocketServer("127.0.0.1", 0)
    assert not server.health().ok
    await server.start()
    assert server.health().ok
    assert str(server.port) in server.health().detail
    await server.stop_intake()
    assert not server.health().ok
    await server.stop()


@pytest.mark.promise("DU-6")
async def test_stopping_the_intake_leaves_open_connections_alone() -> None:
    async with running() as house, house.client() as client:
        await house.server.stop_intake()
        await client.send("still here")
        assert await client.recv() == "still here"
        with pytest.raises(OSError):
            await house.client(open_timeout=5)


@pytest.mark.promise("DU-6")
async def test_stop_tells_clients_and_drops_those_who_do_not_listen() -> None:
    async with running(close_grace=Duration(50)) as house, house.client() as client:
        deaf = await connect_deaf(house.server.port)
        await house.server.stop()
        assert await close_code(client) == 1001
        assert all(told.gone.is_set() for told in house.told)
        deaf.close()


async def test_a_taken_port_is_a_configuration_error() -> None:
    async with running() as house:
        with pytest.raises(ConfigError, match=r"sockets\.port"):
            await SocketServer("127.0.0.1", house.server.port).start()


async def test_an_unreadable_certificate_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="tls_certificate"):
        await SocketServer("127.0.0.1", 0, SocketSettings(tls_certificate="nowhere.pem")).start()
