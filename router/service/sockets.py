"""One websocket port for everybody who speaks over sockets: agents under /agent, visitors under /chat.

Rules of this file:
1. Nobody waits for a reader. `Peer.send` puts bytes on the way and returns; who does not read is cut off when more than
   `max_buffer_bytes` wait for them, or when something has waited longer than `max_behind` (AG-5).
2. A message costs one synchronous call of its receiver, in the turn of the loop that read it. No task, queue or future
   is made for it; only what cannot be handed over at once (see `_Connection`) goes through the library's queue.
3. A receiver that has enough to do pauses its own peer, and then that socket is not read: the pressure goes back to the
   sender and nowhere else.
4. What a client does wrong is answered to that client (an HTTP status before the handshake, a close code after it) and
   is no error of ours in the log.

How "longer than" is known without a clock for every message: while bytes are unsent, one mark remembers how many had
been written at what time. When the socket has taken that many the mark moves; when it is older than allowed, so is the
oldest unsent byte. A sweep looks at marked peers only, so that everybody else costs nothing.

Deliberately absent: compression (messages are small, and it costs 30 KiB for each connection), authentication (each
conversation has its own), fragmented sending.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from types import GeneratorType
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from msgspec import Meta, Struct
from websockets import frames
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, NegotiationError
from websockets.frames import DATA_OPCODES, CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.streams import StreamReader
from websockets.typing import Origin, Subprotocol

from router.engine.config import Duration
from router.errors import ConfigError
from router.observe import counter, gauge, get_logger
from router.service.certificates import server_context
from router.service.sources import nearest, source_of

if TYPE_CHECKING:
    from router.service.ports import Health

log = get_logger("sockets")
_opened = counter("sockets_accepted_total", "Websocket connections accepted.", ("path",))
_refused = counter("sockets_refused_total", "Websocket connections refused, by reason.", ("reason",))
_cut = counter("sockets_cut_total", "Websocket clients cut off because they read too slowly.", ("path",))
_open = gauge("sockets_open", "Websocket connections open now.")

# Close codes beyond those of RFC 6455. 4000 to 4999 are for applications; ours end in the HTTP status they resemble.
TOO_SLOW = 1008
TRY_AGAIN_LATER = 1013

RETRY_AFTER_S = 5
OPEN = State.OPEN
TEXT = Opcode.TEXT
# In C where the library has it in C.
apply_mask: Callable[[bytes, bytes], bytes] = frames.apply_mask  # type: ignore[attr-defined]


class SocketSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The limits of the shared websocket port. Left out: as below."""

    # 16 KiB each: 160 MiB at most. Beyond that another process should listen.
    max_connections: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    # An office behind one address: 1,000 agents with two windows each. One client gone wild cannot take all places.
    max_per_address: Annotated[int, Meta(ge=1, le=1_000_000)] = 2_000
    # The longest text an agent or visitor may say, with room for JSON; files travel over HTTP.
    max_message_bytes: Annotated[int, Meta(ge=1_024, le=16_777_216)] = 65_536
    # What may wait for one client: several hundred messages, far more than a working client leaves.
    max_buffer_bytes: Annotated[int, Meta(ge=4_096, le=67_108_864)] = 1_048_576
    # How old the oldest unsent byte may be. Half of an offer's usual time: later news would be of no use.
    max_behind: Duration = Duration(10_000)
    # A dead peer is found after ping_interval + ping_timeout at the latest.
    ping_interval: Duration = Duration(20_000)
    ping_timeout: Duration = Duration(20_000)
    # For the opening handshake, against clients that connect and say nothing.
    open_timeout: Duration = Duration(10_000)
    # A client that is told to go and doesn't is dropped after this.
    close_grace: Duration = Duration(2_000)
    # Messages read ahead of the receiver for each connection.
    read_ahead: Annotated[int, Meta(ge=1, le=1_000)] = 16
    # Web pages that may connect ("https://desk.example"). Left out: any, since tokens prove who it is, not cookies.
    origins: tuple[str, ...] = ()
    # Reverse proxies whose X-Forwarded-For is believed. Left out: the address is that of the socket.
    trusted_proxies: tuple[str, ...] = ()
    # PEM files. Left out: no TLS, which is right on loopback and behind a proxy.
    tls_certificate: str = ""
    tls_key: str = ""


class Receiver(Protocol):
    """What a conversation gets to know of its connection. Both are synchronous and quick."""

    def received(self, text: bytes) -> None:
        """One whole text message, valid UTF-8."""

    def closed(self) -> None:
        """Called once when the connection is gone, whoever ended it. Nothing can be sent any more."""


OpenHandler = Callable[["Peer"], Receiver]


class _Mount(Struct, frozen=True):
    path: str
    subprotocol: str
    opened: OpenHandler


class Peer:
    """The other end of one connection, as a conversation sees it."""

    __slots__ = (
        "_connection",
        "_ending",
        "_frames",
        "_gate",
        "_mark",
        "_mark_at",
        "_path",
        "_server",
        "_written",
        "address",
    )

    def __init__(self, connection: _Connection, server: SocketServer, address: str, path: str) -> None:
        self.address = address  # of the client, for limits and for the log: see `sources`
        self._connection = connection
        self._frames: list[bytes] = []  # of this turn of the loop: a head and a text each
        self._server = server
        self._path = path
        self._written = 0  # bytes given to the transport since the start
        self._mark = 0  # `_written` at `_mark_at`; 0: nothing was unsent
        self._mark_at = 0.0  # seconds on the loop's clock
        self._gate: asyncio.Future[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    def send(self, text: bytes) -> None:
        """Put one text message on its way. Never waits and never raises; after the end it does nothing."""
        frames, size = self._frames, len(text)
        if not frames:
            self._server._write_soon(self)
        frames.append(_HEADS[size] if size < 126 else _long_head(size))
        frames.append(text)

    def _write(self) -> None:
        """Everything of this turn in one piece; a system call costs more than all the rest of a message."""
        data = b"".join(self._frames)
        self._frames.clear()
        connection, transport = self._connection, self._connection.transport
        if connection.protocol.state is not OPEN or transport.is_closing():
            return
        transport.write(data)
        self._written += len(data)
        unsent = transport.get_write_buffer_size()
        if unsent:
            self._server._behind(self, unsent)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye and hang up; drop the connection if the client does not follow within `close_grace`."""
        if self._frames:
            self._write()  # what was said before the goodbye
        self._connection.plain = False
        if self._ending is None:
            short = reason.encode()[:123].decode(errors="ignore")  # RFC 6455 section 5.5: control frames hold 125 bytes
            self._ending = asyncio.get_running_loop().create_task(self._end(code, short))

    def pause(self) -> None:
        """Read no further message until `resume`. The one being handed over is not affected."""
        self._connection.plain = False
        if self._gate is None:
            self._gate = asyncio.get_running_loop().create_future()

    def resume(self) -> None:
        gate, self._gate = self._gate, None
        if gate is not None and not gate.done():
            gate.set_result(None)

    @property
    def open(self) -> bool:
        """Whether it makes sense to send."""
        return self._ending is None and self._connection.transport.is_closing() is False

    async def _end(self, code: int, reason: str) -> None:
        connection = self._connection
        try:
            async with asyncio.timeout(self._server.settings.close_grace / 1000):
                await connection.close(code, reason)
        except TimeoutError:
            connection.transport.abort()

    async def _until_resumed(self) -> None:
        """Wait for `resume`, or for the end of the connection. Rare: only a client that sends too much comes here."""
        assert self._gate is not None
        gone = asyncio.ensure_future(self._connection.wait_closed())
        try:
            await asyncio.wait((self._gate, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()

    def _is_late(self, now: float, allowed_s: float) -> bool:
        """Whether the oldest unsent byte is older than allowed; moves the mark when the socket has taken that much."""
        unsent = self._connection.transport.get_write_buffer_size()
        if not unsent:
            self._mark = 0
        elif self._written - unsent >= self._mark:
            self._mark, self._mark_at = self._written, now
        return bool(self._mark) and now - self._mark_at > allowed_s


class _Connection(ServerConnection):
    """The library's connection, which hands whole text messages straight to their receiver.

    Its queue would cost a future and a turn of the loop for each. It is used for everything else: parts of messages,
    binary ones, what arrives before there is a receiver or while that is paused; and for whatever comes while any of
    those waits there, since messages keep their order. `SocketServer._read` takes them out.
    """

    receiver: Receiver | None = None
    peer: Peer
    max_bytes = 0
    queued = 0  # whole messages that `_read` has not handed over yet
    # Everything that arrived so far were whole frames, and what comes next may be handed over if it is one, too. Set
    # after what went through the library; what forbids it takes it back.
    plain = False

    def data_received(self, data: bytes) -> None:
        if self.plain and self.protocol.state is OPEN:
            text = whole_text(data)
            if text is not None and len(text) <= self.max_bytes:
                self._hand_over(text)
                return
        super().data_received(data)
        self.plain = self.receiver is not None and self._is_free() and _is_between(self.protocol)

    def process_event(self, event: object) -> None:
        if type(event) is Frame and event.opcode in DATA_OPCODES:
            if event.opcode is TEXT and event.fin and self.receiver is not None and self._is_free():
                self._hand_over(bytes(event.data))
                return
            self.queued += event.fin
        super().process_event(event)  # type: ignore[arg-type]

    def _is_free(self) -> bool:
        """Whether a message may be handed over now."""
        peer = self.peer
        return not self.queued and peer._gate is None and peer._ending is None and self.protocol.state is OPEN

    def _hand_over(self, text: bytes) -> None:
        receiver = self.receiver
        assert receiver is not None
        try:
            if not text.isascii():
                text.decode()
        except UnicodeDecodeError:  # RFC 6455 section 8.1
            self.peer.close(CloseCode.INVALID_DATA, "text frames hold UTF-8")
            return
        try:
            receiver.received(text)
        except Exception:
            log.exception("Receiver failed", action="socket_receiver_failed", path=self.peer._path)
            self.peer.close(CloseCode.INTERNAL_ERROR, "a bug of ours")


def whole_text(data: bytes) -> bytes | None:
    """The text in what arrived, if that is one whole masked frame of text, as nearly all are (RFC 6455 section 5.2).

    Found here, because the library's parser takes a dozen steps to it; it reads everything that is not so plain.
    """
    size = len(data)
    if size < 6 or data[0] != 0x81:
        return None
    length = data[1] - 0x80
    if length == size - 6 and length < 126:
        return apply_mask(data[6:], data[2:6])
    if length == 126 and size >= 8 and int.from_bytes(data[2:4], "big") == size - 8:
        return apply_mask(data[8:], data[4:8])
    return None


def _is_between(protocol: ServerProtocol) -> bool:
    """Whether the library's parser waits for the first byte of a frame, and no message is in parts."""
    if protocol.current_size is not None or protocol.state is not OPEN:
        return False
    step: Any = protocol.parser
    while isinstance(step.gi_yieldfrom, GeneratorType):
        step = step.gi_yieldfrom
    return step.gi_code is StreamReader.at_eof.__code__


# What goes before a text of so many bytes, where a server sends it in one frame (RFC 6455 section 5.2): not masked, not
# compressed. Made here, because the library makes three objects and a system call for each message. It needs to know of
# control frames only, and sends those itself.
_HEADS = [bytes((0x81, size)) for size in range(126)]


def _long_head(size: int) -> bytes:
    """The same for 126 bytes and more."""
    if size < 65_536:
        return (0x817E0000 | size).to_bytes(4, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")


class SocketServer:
    """The listener. Mount first, then start."""

    def __init__(self, host: str, port: int, settings: SocketSettings | None = None) -> None:
        self.host, self.port = host, port  # port 0: any; the true one stands here after `start`
        self.settings = settings or SocketSettings()
        self.closed = ""  # why nobody is let in just now, though the port is open
        self.cut = 0  # clients cut off because they were too slow
        self.refused = 0
        self._mounts: dict[str, _Mount] = {}
        self._server: Server | None = None
        self._peers: set[Peer] = set()
        self._by_address: dict[str, int] = {}
        self._late: set[Peer] = set()  # with a mark: something is unsent
        self._to_write: list[Peer] = []  # with frames of this turn of the loop
        self._sweep: asyncio.TimerHandle | None = None

    def mount(self, path: str, subprotocol: str, open_handler: OpenHandler) -> None:
        """Give connections to `path` to `open_handler`, which is called with the Peer when the handshake is done.

        Naming the subprotocol is optional for clients, since browsers, load generators and small libraries often name
        none. A client that names only others does not speak ours, and is told so.
        """
        assert path.startswith("/"), f"{path} is no path"
        assert path not in self._mounts, f"{path} is mounted twice"
        self._mounts[path] = _Mount(path, subprotocol, open_handler)

    async def start(self) -> None:
        """Returns when it listens. Raises ConfigError where it cannot."""
        s = self.settings
        try:
            self._server = await serve(
                self._serve,
                self.host,
                self.port,
                origins=[*map(Origin, s.origins), None] if s.origins else None,
                select_subprotocol=self._choose,
                compression=None,
                process_request=self._admit,
                open_timeout=s.open_timeout / 1000,
                ping_interval=s.ping_interval / 1000 or None,
                ping_timeout=s.ping_timeout / 1000 or None,
                close_timeout=s.close_grace / 1000,
                max_size=s.max_message_bytes,
                max_queue=s.read_ahead,
                server_header=None,
                create_connection=_Connection,
                backlog=1024,
                ssl=server_context("sockets.tls_certificate", s.tls_certificate, s.tls_key),
            )
        except OSError as problem:
            found = f"{self.host}:{self.port} ({problem.strerror})"
            raise ConfigError("sockets.port", "an address that can be listened on", found) from problem
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    def send_away(self, why: str) -> None:
        """Let nobody in until `closed` is "" again, and ask everybody to come back: others may serve them meanwhile."""
        self.closed = why
        for peer in list(self._peers):
            peer.close(CloseCode.GOING_AWAY, why)

    async def stop_intake(self) -> None:
        """Close the listener; open connections go on."""
        if self._server is not None:
            self._server.close(close_connections=False)
            await asyncio.sleep(0)  # the library closes it in a task of its own

    async def stop(self) -> None:
        """Close everything. Takes `close_grace` at most for clients that do not answer."""
        await self.stop_intake()
        for peer in list(self._peers):
            peer.close(CloseCode.GOING_AWAY, "the server stops")
        ending = [peer._ending for peer in self._peers if peer._ending is not None]
        if ending:
            await asyncio.wait(ending)
        if self._server is not None:
            await self._server.wait_closed()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    @property
    def connections(self) -> int:
        return len(self._peers)

    def health(self) -> Health:
        from router.service.ports import Health  # that module names this one

        listening = self._server is not None and self._server.is_serving()
        listening = listening and any(sock.fileno() >= 0 for sock in self._server.sockets)  # type: ignore[union-attr]
        figures = {"connections": len(self._peers), "refused": self.refused, "cut": self.cut, "behind": len(self._late)}
        return Health(
            ok=listening,
            detail=f"{'listening' if listening else 'not listening'} on {self.host}:{self.port}",
            figures={name: float(value) for name, value in figures.items()},
        )

    # --- the opening handshake ----------------------------------------------------------------------------------------

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """None: go on. The counts are settled in `_serve`; here they only spare us the rest of the handshake."""
        if _path(request) not in self._mounts:
            known = " or ".join(sorted(self._mounts)) or "nothing"
            return self._refuse(connection, "path", 404, f"Nothing speaks at this path; connect to {known}.\n")
        full = self._full(source_of(self._address(connection, request)))
        if full:
            return self._refuse(connection, "full", 503, f"{full} Try again in {RETRY_AFTER_S} seconds.\n")
        return None

    def _full(self, address: str) -> str:
        if self.closed:
            return self.closed
        if len(self._peers) >= self.settings.max_connections:
            return "All connections are taken."
        if self._by_address.get(address, 0) >= self.settings.max_per_address:
            return "Too many connections from this address."
        return ""

    def _refuse(self, connection: ServerConnection, reason: str, status: int, sentence: str) -> Response:
        self.refused += 1
        _refused.labels(reason).inc()
        response = connection.respond(status, sentence)
        if status == 503:
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
        return response

    def _choose(self, connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        assert connection.request is not None
        ours = Subprotocol(self._mounts[_path(connection.request)].subprotocol)
        if not offered:
            return None
        if ours in offered:
            return ours
        self.refused += 1
        _refused.labels("subprotocol").inc()
        raise NegotiationError(f"this path speaks {ours}; offer that subprotocol or none")

    def _address(self, connection: ServerConnection, request: Request) -> str:
        """The client's address: the nearest one in front of our own proxies."""
        remote = connection.remote_address
        address = str(remote[0]) if isinstance(remote, tuple) else ""
        return nearest(address, request.headers.get_all("X-Forwarded-For"), self.settings.trusted_proxies)

    # --- a connection -------------------------------------------------------------------------------------------------

    async def _serve(self, connection: ServerConnection) -> None:
        assert isinstance(connection, _Connection)
        """The life of one connection. A bug in a receiver ends this connection only; the library logs it."""
        assert connection.request is not None
        mount = self._mounts[_path(connection.request)]
        address = source_of(self._address(connection, connection.request))
        if self._full(address):  # many handshakes at once came past `_admit`
            self.refused += 1
            _refused.labels("full").inc()
            await connection.close(TRY_AGAIN_LATER, "all connections are taken")
            return
        peer = Peer(connection, self, address, mount.path)
        self._enter(peer)
        try:
            receiver = mount.opened(peer)
            try:
                await self._read(connection, peer, receiver)
            finally:
                receiver.closed()
        finally:
            self._leave(peer)

    async def _read(self, connection: _Connection, peer: Peer, receiver: Receiver) -> None:
        """Until the end of the connection. Most messages do not come this way: see `_Connection`."""
        connection.peer, connection.receiver = peer, receiver
        connection.max_bytes = self.settings.max_message_bytes
        with contextlib.suppress(ConnectionClosed):
            while True:
                text = await connection.recv()
                while peer._gate is not None and connection.state is OPEN:
                    await peer._until_resumed()
                connection.queued -= 1
                if peer._ending is not None:
                    continue  # we have hung up; the rest of what was on its way is read only to see the end
                if isinstance(text, bytes):
                    peer.close(CloseCode.UNSUPPORTED_DATA, "text frames only")
                    continue
                receiver.received(text.encode())

    def _enter(self, peer: Peer) -> None:
        self._peers.add(peer)
        self._by_address[peer.address] = self._by_address.get(peer.address, 0) + 1
        _opened.labels(peer._path).inc()
        _open.set(len(self._peers))

    def _leave(self, peer: Peer) -> None:
        self._peers.discard(peer)
        self._late.discard(peer)
        left = self._by_address[peer.address] - 1
        if left:
            self._by_address[peer.address] = left
        else:
            del self._by_address[peer.address]
        _open.set(len(self._peers))

    # --- writing ------------------------------------------------------------------------------------------------------

    def _write_soon(self, peer: Peer) -> None:
        if not self._to_write:
            asyncio.get_running_loop().call_soon(self._write)
        self._to_write.append(peer)

    def _write(self) -> None:
        peers, self._to_write = self._to_write, []
        for peer in peers:
            if peer._frames:
                peer._write()

    # --- slow clients -------------------------------------------------------------------------------------------------

    def _behind(self, peer: Peer, unsent: int) -> None:
        """Something of this peer could not leave at once."""
        if unsent > self.settings.max_buffer_bytes:
            self._cut_off(peer, f"more than {self.settings.max_buffer_bytes} bytes behind")
        elif not peer._mark:
            loop = asyncio.get_running_loop()
            peer._mark, peer._mark_at = peer._written, loop.time()
            self._late.add(peer)
            if self._sweep is None:
                self._sweep = loop.call_later(self._sweep_s, self._sweep_late)

    @property
    def _sweep_s(self) -> float:
        return max(self.settings.max_behind / 1000 / 4, 0.01)

    def _sweep_late(self) -> None:
        loop = asyncio.get_running_loop()
        now, allowed_s = loop.time(), self.settings.max_behind / 1000
        for peer in list(self._late):
            if peer._is_late(now, allowed_s):
                self._cut_off(peer, f"more than {self.settings.max_behind} behind")
            elif not peer._mark:
                self._late.discard(peer)
        self._sweep = loop.call_later(self._sweep_s, self._sweep_late) if self._late else None

    def _cut_off(self, peer: Peer, why: str) -> None:
        if peer._ending is not None:
            return
        self.cut += 1
        _cut.labels(peer._path).inc()
        log.info("Slow client cut off", action="socket_cut", path=peer._path, address=peer.address, why=why)
        self._late.discard(peer)
        peer.close(TOO_SLOW, f"too slow: {why}")


def _path(request: Request) -> str:
    return request.path.partition("?")[0]
