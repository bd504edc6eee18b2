"""The load generators: each is a process of its own, on the client's core, and prints one line of JSON.

    python -m router.bench.load pipeline floor|product HTTP_PORT SOCKET_PORT PID WINDOW SECONDS RATE
    python -m router.bench.load webhook HTTP_PORT PID SECONDS
    python -m router.bench.load echo SOCKET_PORT PID CONNECTIONS SECONDS
    python -m router.bench.load notes HTTP_PORT SOCKET_PORT PID CONNECTIONS SECONDS
    python -m router.bench.load idle floor|product SOCKET_PORT PID CONNECTIONS
    python -m router.bench.load mail SMTP_PORT PID CONNECTIONS SECONDS
    python -m router.bench.load chat floor|product SOCKET_PORT PID VISITORS RATE SECONDS

They are closed loops: a client says the next thing when it has its answer. With a RATE (a second), the pipeline's
customers come by the clock instead; the chat's visitors always speak by it. Protocols are spoken just well enough, so
that the generator is not what is slow; an answer that is not expected ends the run.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, cast

import msgspec

from channels.phone.signature import HEADER, sign
from router.bench.house import ADDRESS, GATEWAY, NEEDS, SECRET, number, token
from router.bench.house import AGENTS as PIPELINE_AGENTS
from router.bench.measure import Meter, quantile, rss_kib, run_loop

CUSTOMERS = 64
WARM_S = 0.4
BODY = (
    "Hello, my parcel has not arrived yet. The tracking page says it left the depot on Monday, but nobody came. Can "
    "you please look where it is and call me back today?"
)
RUN = os.getpid()  # makes ids differ from those of other runs


def fail(why: str) -> NoReturn:
    print(why, file=sys.stderr, flush=True)
    os._exit(1)


# --- requests ---------------------------------------------------------------------------------------------------------


def _post(path: str, body: bytes, header: bytes = b"") -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n"
    return head % (path.encode(), header, len(body)) + body


def signed_requests() -> Iterator[bytes]:
    """Calls as a gateway tells of them, each one new; a body has some 400 bytes."""
    encode = msgspec.json.Encoder().encode
    for i in itertools.count():
        now_s = int(time.time())
        body = encode(
            {
                "event_id": f"e{RUN}-{i}",
                "call_id": f"c{RUN}-{i}@pbx.example",
                "type": "incoming",
                "from": f"+1555{i % 10_000_000:07d}",
                "to": number(i % len(NEEDS)),
                "at": now_s,
                "attributes": {"subject": "order 4711", "language": "en", "body": BODY},
            }
        )
        header = f"{HEADER}: {sign((SECRET,), body, now_s)}\r\n".encode()
        yield _post(f"/v1/phone/{GATEWAY}/events", body, header)


def plain_requests() -> Iterator[bytes]:
    """The same for `floors.pipeline`."""
    encode = msgspec.json.Encoder().encode
    for i in itertools.count():
        hook = {
            "id": f"01J9ZK5T3V{i:016d}",
            "channel": ("chat", "email")[i % 2],
            "sender": f"+1555{i % 10_000_000:07d}",
        }
        rest = {"recipient": "+15550100001", "subject": "order 4711", "body": BODY, "priority": i % 3, "language": "en"}
        yield _post("/hooks/test", encode(hook | rest | {"kind": i % len(NEEDS), "received": 1764000000.25}))


# --- clients ----------------------------------------------------------------------------------------------------------


class Web(asyncio.Protocol):
    """A keep-alive client that posts when it is told to; answers are whole and short."""

    def __init__(self, answered: Callable[[Web, bytes], None]) -> None:
        self._answered = answered
        self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast(asyncio.Transport, transport).write  # uvloop's are no subclass

    def connection_lost(self, error: Exception | None) -> None:
        fail("the server hung up on a webhook")

    def post(self, request: bytes) -> None:
        self.sent = time.perf_counter()
        self._write(request)

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/1.1 200"):
            fail(f"not answered 200: {data[:300]!r}")
        self._answered(self, data)


MASK = b"\x11\x22\x33\x44"
HANDSHAKE = (
    b"GET /agent HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def masked(payload: bytes) -> bytes:
    """A text frame as clients send it."""
    n = len(payload)
    head = bytes((0x81, 0x80 | n)) if n < 126 else b"\x81\xfe" + n.to_bytes(2, "big")
    mask = int.from_bytes((MASK * (n // 4 + 1))[:n], "big")
    return head + MASK + (int.from_bytes(payload, "big") ^ mask).to_bytes(n, "big")


class Socket(asyncio.Protocol):
    """A websocket client: `heard` gets each text message."""

    def __init__(self, heard: Callable[[Socket, bytes], None], handshake: bytes = HANDSHAKE) -> None:
        self.heard = heard
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._handshake = handshake
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast(asyncio.Transport, transport).write  # uvloop's are no subclass
        self._write(self._handshake)

    def connection_lost(self, error: Exception | None) -> None:
        fail("the server hung up on an agent")

    def say(self, text: bytes) -> None:
        self._write(masked(text))

    def data_received(self, data: bytes) -> None:
        data = self._tail + data
        if not self.ready.done():
            if not data.startswith(b"HTTP/1.1 101"):
                fail(f"no websocket: {data[:300]!r}")
            _, _, data = data.partition(b"\r\n\r\n")
            self.ready.set_result(None)
        at = 0
        while len(data) - at >= 4:
            n, start = data[at + 1], at + 2
            if n == 126:
                n, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            if len(data) < start + n:
                break
            if data[at] == 0x81:
                self.heard(self, data[start : start + n])
            elif data[at] == 0x89:
                self._write(bytes((0x8A, 0x80 | n)) + bytes(4) + data[start : start + n])  # a mask of zeros
            at = start + n
        self._tail = data[at:]


async def connect_web(port: int, count: int, answered: Callable[[Web, bytes], None]) -> list[Web]:
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(lambda: Web(answered), "127.0.0.1", port))[1] for _ in range(count)]


async def connect_sockets(
    port: int, count: int, heard: Callable[[Socket, bytes], None], handshake: bytes = HANDSHAKE
) -> list[Socket]:
    loop = asyncio.get_running_loop()
    found: list[Socket] = []
    for _ in range(count):
        found.append((await loop.create_connection(lambda: Socket(heard, handshake), "127.0.0.1", port))[1])
        await found[-1].ready
    return found


async def sign_in(port: int, agents: int, heard: Callable[[Socket, bytes], None], ready: bool) -> list[Socket]:
    """Agents of the product, welcomed, and `ready` for work if asked."""
    missing = agents * (2 if ready else 1)
    everybody: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def joining(socket: Socket, text: bytes) -> None:
        nonlocal missing
        if text.startswith(b'{"type":"error"'):
            fail(f"an agent was refused: {text!r}")
        if text.startswith((b'{"type":"welcome"', b'{"type":"ok"')):
            missing -= 1
            if not missing:
                everybody.set_result(None)

    sockets = await connect_sockets(port, agents, joining)
    for i, socket in enumerate(sockets):
        socket.say(b'{"type":"hello","token":"%b"}' % token(i).encode())
        if ready:
            socket.say(b'{"type":"set_state","id":"ready","state":"ready"}')
    await everybody
    for socket in sockets:
        socket.heard = heard
    return sockets


# --- the whole path ---------------------------------------------------------------------------------------------------


class Path:
    """Interactions in flight: posted, answered, done."""

    def __init__(self, requests: Iterator[bytes], window: int) -> None:
        self.requests, self.window = requests, window
        self.idle: list[Web] = []
        self.in_flight = self.done = 0
        self.sent: dict[int, float] = {}
        self.over: dict[int, float] = {}  # done before its webhook was answered
        self.latencies: list[float] = []

    def pump(self) -> None:
        while self.in_flight < self.window and self.idle:
            self.post()

    def post(self) -> None:
        self.in_flight += 1
        self.idle.pop().post(next(self.requests))

    def answered(self, web: Web, ident: int) -> None:
        over = self.over.pop(ident, None)
        if over is None:
            self.sent[ident] = web.sent
        else:
            self.latencies.append(over - web.sent)
        self.idle.append(web)
        self.pump()

    def complete(self, ident: int) -> None:
        now = time.perf_counter()
        self.done += 1
        self.in_flight -= 1
        sent = self.sent.pop(ident, None)
        if sent is None:
            self.over[ident] = now
        else:
            self.latencies.append(now - sent)
        self.pump()


def between(text: bytes, before: bytes, after: bytes) -> bytes:
    start = text.index(before) + len(before)
    return text[start : text.index(after, start)]


Dialect = tuple[Callable[[Web, bytes], None], Callable[[Socket, bytes], None]]


def floor_dialect(path: Path) -> Dialect:
    def answered(web: Web, data: bytes) -> None:
        path.answered(web, int(data[data.rindex(b":") + 1 : -1]))

    def heard(socket: Socket, text: bytes) -> None:
        ident = text[text.index(b'"id":') + 5 : -1].split(b",", 1)[0]
        if text.startswith(b'{"type":"offer"'):
            socket.say(b'{"type":"accept","id":%b}' % ident)
        elif text.startswith(b'{"type":"go"'):
            socket.say(b'{"type":"complete","id":%b}' % ident)
        else:
            path.complete(int(ident))

    return answered, heard


def product_dialect(path: Path) -> Dialect:
    ids = itertools.count()

    def answered(web: Web, data: bytes) -> None:
        path.answered(web, int(between(data, b'"interaction":"i-', b'"')))

    def heard(socket: Socket, text: bytes) -> None:
        if text.startswith(b'{"type":"offer"'):
            offer = between(text, b'"offer":"', b'"')
            socket.say(b'{"type":"accept","id":"%d-%d","offer":"%b"}' % (RUN, next(ids), offer))
        elif text.startswith(b'{"type":"assigned"'):
            ident = between(text, b'"interaction":{"id":"', b'"')
            socket.say(b'{"type":"complete","id":"%d-%d","interaction":"%b"}' % (RUN, next(ids), ident))
        elif text.startswith(b'{"type":"interaction_ended"'):
            path.complete(int(between(text, b'"interaction":"i-', b'"')))
        elif not text.startswith((b'{"type":"ok"', b'{"type":"state"')):
            fail(f"an agent was told: {text[:300]!r}")

    return answered, heard


async def pipeline(dialect: str, http: int, sockets: int, pid: int, window: int, seconds: float, rate: float) -> None:
    product = dialect == "product"
    path = Path(signed_requests() if product else plain_requests(), 0 if rate else window)
    answered, heard = product_dialect(path) if product else floor_dialect(path)
    if product:
        await sign_in(sockets, PIPELINE_AGENTS, heard, ready=True)
    else:
        await connect_sockets(sockets, PIPELINE_AGENTS, heard)
    path.idle = await connect_web(http, CUSTOMERS, answered)
    if rate:
        by_the_clock(path, rate)
    path.pump()
    await asyncio.sleep(WARM_S)
    path.latencies.clear()
    before = path.done
    with Meter(pid, os.getpid()) as meter:
        await asyncio.sleep(seconds)
        done = path.done - before
    p50, p99 = (quantile(path.latencies, q) * 1e6 for q in (0.5, 0.99))
    tell(meter, done, p50_us=p50, p99_us=p99)


def by_the_clock(path: Path, rate: float) -> None:
    """Post at this rate, whatever becomes of it."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    posted = itertools.count()
    due = next(posted)

    def tick() -> None:
        nonlocal due
        while due < (loop.time() - start) * rate and path.idle:
            due = next(posted)
            path.post()
        loop.call_later(0.001, tick)

    tick()


def tell(meter: Meter, done: int, **more: float) -> NoReturn:
    if not done:
        fail("nothing was answered")
    found = {
        "cpu_us": meter.cpu[0] / done * 1e6,
        "rate": done / meter.wall,
        "server_busy": meter.cpu[0] / meter.wall,
        "client_busy": meter.cpu[1] / meter.wall,
        "foreign": meter.foreign,
        **more,
    }
    print(json.dumps(found), flush=True)
    os._exit(0)  # many sockets: the kernel closes them quicker


# --- single edges -----------------------------------------------------------------------------------------------------


async def counted(pid: int, seconds: float, count: Callable[[], int]) -> None:
    await asyncio.sleep(WARM_S)
    before = count()
    with Meter(pid, os.getpid()) as meter:
        await asyncio.sleep(seconds)
        done = count() - before
    tell(meter, done)


async def webhook(port: int, pid: int, seconds: float) -> None:
    requests = signed_requests()
    done = 0

    def answered(web: Web, data: bytes) -> None:
        nonlocal done
        done += 1
        web.post(next(requests))

    for web in await connect_web(port, CUSTOMERS, answered):
        web.post(next(requests))
    await counted(pid, seconds, lambda: done)


MESSAGE_SIZE = 200  # bytes of an agent's message


def note(ident: bytes, interaction: bytes) -> bytes:
    head = b'{"type":"note","id":"%b","interaction":"%b","text":"' % (ident, interaction)
    return head + b"x" * (MESSAGE_SIZE - len(head) - 2) + b'"}'


async def echo(port: int, pid: int, connections: int, seconds: float) -> None:
    done = 0
    text = note(b"0", b"i-1")

    def heard(socket: Socket, answer: bytes) -> None:
        nonlocal done
        done += 1
        socket.say(text)

    for socket in await connect_sockets(port, connections, heard):
        socket.say(text)
    await counted(pid, seconds, lambda: done)


async def notes(http: int, sockets: int, pid: int, connections: int, seconds: float) -> None:
    """Agents write notes on an interaction that waits: one event in the journal, one answer."""
    done = 0
    ids = itertools.count()
    posted: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    (web,) = await connect_web(http, 1, lambda web, data: posted.set_result(between(data, b'"interaction":"', b'"')))
    web.post(next(signed_requests()))
    interaction = await posted

    def heard(socket: Socket, answer: bytes) -> None:
        nonlocal done
        if not answer.startswith(b'{"type":"ok"'):
            fail(f"a note was not taken: {answer[:300]!r}")
        done += 1
        socket.say(note(b"%d-%d" % (RUN, next(ids)), interaction))

    agents = await sign_in(sockets, connections, heard, ready=False)
    await asyncio.sleep(WARM_S)  # until everybody was told of their own session
    for socket in agents:
        socket.say(note(b"%d-%d" % (RUN, next(ids)), interaction))
    await counted(pid, seconds, lambda: done)


async def idle(dialect: str, port: int, pid: int, connections: int) -> None:
    before = rss_kib(pid)
    if dialect == "product":
        await sign_in(port, connections, lambda socket, text: None, ready=True)
    else:
        await connect_sockets(port, connections, lambda socket, text: None)
    await asyncio.sleep(WARM_S)
    print(json.dumps({"kib": (rss_kib(pid) - before) / connections}), flush=True)
    os._exit(0)


# --- mail -------------------------------------------------------------------------------------------------------------

HEADERS = (
    b"From: Anna Example <anna@example.org>\r\nTo: %b\r\nSubject: =?utf-8?q?Rechnung_4711?=\r\n"
    b"Message-ID: <%%d.%%d@example.org>\r\nDate: Thu, 01 Jan 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/alternative; boundary="b1"\r\n\r\n'
) % ADDRESS.encode()
LINE = b"The quick brown fox jumps over the lazy dog, and nobody has seen my parcel.\r\n"
PART = b"--b1\r\nContent-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n%b"
LINES = (4_096 - len(HEADERS) - 220) // len(LINE) // 2  # a message has 4 KiB
MESSAGE = HEADERS + PART % (b"plain", LINE * LINES) + PART % (b"html", LINE * LINES) + b"--b1--\r\n.\r\n"
ENVELOPE = b"MAIL FROM:<anna@example.org>\r\nRCPT TO:<%b>\r\nDATA\r\n" % ADDRESS.encode()


class Sender(asyncio.Protocol):
    """Sends the next envelope behind the final dot: one round trip for each message."""

    count = 0
    numbers = itertools.count()

    def __init__(self) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tail = b""
        self._greeted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast(asyncio.Transport, transport).write  # uvloop's are no subclass

    def connection_lost(self, error: Exception | None) -> None:
        fail("the mail server hung up")

    def begin(self) -> None:
        self._write(ENVELOPE)

    def data_received(self, data: bytes) -> None:
        self._tail += data
        if not self._tail.endswith(b"\r\n"):
            return
        if not self._greeted:
            self._greeted = True
            self._write(b"EHLO client\r\n")
        elif not self.ready.done():
            if b"250 " not in self._tail:
                return
            self.ready.set_result(None)
        elif b"354 " in self._tail:
            if any(line[:1] in b"45" for line in self._tail.splitlines()):
                fail(f"mail was refused: {self._tail!r}")
            Sender.count += 1
            self._write(MESSAGE % (RUN, next(self.numbers)) + ENVELOPE)
        else:
            return
        self._tail = b""


def word(ident: int) -> bytes:
    """What a visitor says; the floor sends the same back."""
    head = b'{"type":"message","id":"%d-%d","text":"' % (RUN, ident)
    return head + b"x" * (MESSAGE_SIZE - len(head) - 2) + b'"}'


async def chat(dialect: str, port: int, pid: int, visitors: int, rate: float, seconds: float) -> None:
    """Visitors with an open chat each, who say something by the clock, in turn; a message is echoed when it is
    recorded (of the floor: when it comes back)."""
    sent: dict[bytes, float] = {}
    took: list[float] = []
    welcomed = 0
    everybody: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def heard(socket: Socket, answer: bytes) -> None:
        nonlocal welcomed
        if answer.startswith(b'{"type":"error"'):
            fail(f"a visitor was refused: {answer[:300]!r}")
        if answer.startswith(b'{"type":"welcome"') or (dialect == "floor" and answer.startswith(b'{"type":"hello"')):
            welcomed += 1
            if welcomed == visitors:
                everybody.set_result(None)
            return
        if answer.startswith(echoed):
            took.append(time.perf_counter() - sent.pop(between(answer, mark, b'"')))

    product = dialect == "product"
    echoed, mark = (b'{"type":"delivered"', b'"re":"') if product else (b'{"type":"message"', b'"id":"')
    handshake = HANDSHAKE.replace(b"/agent", b"/chat", 1)
    sockets = await connect_sockets(port, visitors, heard, handshake)
    for socket in sockets:
        socket.say(b'{"type":"hello","topic":"chat"}')
    await everybody
    await asyncio.sleep(WARM_S)
    loop = asyncio.get_running_loop()
    with Meter(pid, os.getpid()) as meter:
        start = loop.time()
        for ident in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, start + ident / rate - loop.time()))
            sent[b"%d-%d" % (RUN, ident)] = time.perf_counter()
            sockets[ident % visitors].say(word(ident))
        await asyncio.sleep(WARM_S)
    if sent:
        fail(f"{len(sent)} messages were not confirmed in time")
    tell(meter, len(took), p50_us=quantile(took, 0.5) * 1e6, p99_us=quantile(took, 0.99) * 1e6)


async def mail(port: int, pid: int, connections: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    senders = [(await loop.create_connection(Sender, "127.0.0.1", port))[1] for _ in range(connections)]
    for sender in senders:
        await sender.ready
        sender.begin()
    await counted(pid, seconds, lambda: Sender.count)


KINDS: dict[str, tuple[Callable[..., Any], tuple[type, ...]]] = {
    "pipeline": (pipeline, (str, int, int, int, int, float, float)),
    "webhook": (webhook, (int, int, float)),
    "echo": (echo, (int, int, int, float)),
    "notes": (notes, (int, int, int, int, float)),
    "idle": (idle, (str, int, int, int)),
    "mail": (mail, (int, int, int, float)),
    "chat": (chat, (str, int, int, int, float, float)),
}

if __name__ == "__main__":
    run, types = KINDS[sys.argv[1]]
    run_loop(run(*(kind(word) for kind, word in zip(types, sys.argv[2:], strict=True))), "uvloop")
