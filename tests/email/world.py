"""An email channel on loopback, with a desk that records and a blob store in memory."""

import asyncio
import contextlib
import hashlib
import smtplib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from channels.email.adapter import EmailAdapter
from channels.email.settings import Address, Listener, Settings
from router.engine.commands import Arrive
from router.engine.events import Blob
from router.errors import NotFound, RouterError
from router.service.blobs import BlobStore
from router.service.masking import Masking
from router.service.ports import Context
from router.service.quarantine import Quarantine
from tests.support.desk import RecordingDesk

SUPPORT, SALES = "support@shop.example", "sales@shop.example"
ANN = "ann@customer.example"
T = TypeVar("T")


class Blobs:
    """Content in memory; `trouble` is raised instead of storing."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.trouble: Exception | None = None

    async def put(self, data: bytes, media_type: str = "application/octet-stream", name: str = "") -> Blob:
        if self.trouble:
            raise self.trouble
        digest = hashlib.sha256(data).hexdigest()
        self.kept[digest] = data
        return Blob(digest, len(data), media_type, name)

    async def get(self, digest: str) -> bytes:
        if digest not in self.kept:
            raise NotFound("no such blob")
        return self.kept[digest]


class Shelf:
    """Quarantine in memory."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, bytes, str]] = []

    async def put(self, source: str, data: bytes, reason: str) -> None:
        self.kept.append((source, data, reason))


class World:
    def __init__(
        self,
        data: Path,
        stores: tuple[BlobStore, Quarantine] | None = None,
        masking: Masking | None = None,
        **options: Any,
    ) -> None:
        self.desk, self.blobs, self.shelf = RecordingDesk(), Blobs(), Shelf()
        blobs, shelf = stores or (self.blobs, self.shelf)
        defaults: dict[str, Any] = {
            "smtp": Listener(port=0),
            "lmtp": Listener(port=0),
            "hostname": "mx.shop.example",
            "addresses": {SUPPORT: Address("Shop Support"), SALES: Address()},
        }
        context = Context(
            desk=self.desk,
            blobs=cast(Any, blobs),
            quarantine=cast(Any, shelf),
            sockets=cast(Any, None),
            data=data,
            loopback_only=True,
            masking=masking or Masking(),
        )
        self.letters = context.letters  # of other channels
        self.adapter = EmailAdapter(Settings(**(defaults | options)), context)

    @property
    def arrived(self) -> list[Arrive]:
        return [command for command in self.desk.commands if isinstance(command, Arrive)]

    @property
    def interactions(self) -> int:
        return self.desk.count

    def raw_of(self, command: Arrive) -> bytes:
        assert command.message is not None
        return self.blobs.kept[command.message.blobs[0].digest]

    def refuse(self, answer: RouterError, to: str = "") -> None:
        def judge(command: object) -> RouterError | None:
            return answer if isinstance(command, Arrive) and command.recipient in (to or command.recipient) else None

        self.desk.refuse = judge

    def dial(self, name: str = "smtp") -> "Line":
        return Line(self.adapter.port(name))

    async def smtp(self, work: Callable[[smtplib.SMTP], T]) -> T:
        """A conversation led by the standard library's client, in a thread."""

        def talk() -> T:
            with smtplib.SMTP("127.0.0.1", self.adapter.port("smtp"), "client.example", timeout=10) as client:
                return work(client)

        return await asyncio.to_thread(talk)

    async def lmtp(self, work: Callable[[smtplib.LMTP], T]) -> T:
        def talk() -> T:
            with smtplib.LMTP("127.0.0.1", self.adapter.port("lmtp"), "client.example") as client:
                return work(client)

        return await asyncio.to_thread(talk)

    async def send(self, raw: bytes, to: str = SUPPORT, mail_from: str = ANN) -> None:
        await self.smtp(lambda client: client.sendmail(mail_from, [to], raw))


class Line:
    """A conversation byte by byte, for what no honest client says."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> "Line":
        self._reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        return self

    async def __aexit__(self, *gone: object) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def say(self, *lines: str | bytes) -> None:
        self.writer.write(b"".join((x.encode() if isinstance(x, str) else x) + b"\r\n" for x in lines))
        await self.writer.drain()

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def flood(self, times: int) -> None:
        for _ in range(times):
            await self.raw(b"x" * 10_000)
            await asyncio.sleep(0)

    async def hear(self) -> str:
        """One answer, all its lines; "" when the server hung up."""
        lines = []
        async with asyncio.timeout(10):
            while line := (await self._reader.readline()).decode():
                lines.append(line.rstrip("\r\n"))
                if line[3:4] != "-":
                    break
        return "\n".join(lines)

    async def codes(self, count: int) -> list[str]:
        return [(await self.hear())[:3] for _ in range(count)]

    async def ask(self, line: str | bytes) -> str:
        await self.say(line)
        return await self.hear()

    async def greet(self, word: str = "EHLO") -> None:
        assert (await self.hear()).startswith("220 ")
        assert (await self.ask(f"{word} client.example")).startswith("250")

    async def envelope(self, *to: str, mail_from: str = ANN) -> None:
        assert (await self.ask(f"MAIL FROM:<{mail_from}>")).startswith("250")
        for one in to or (SUPPORT,):
            assert (await self.ask(f"RCPT TO:<{one}>")).startswith("250")
        assert (await self.ask("DATA")).startswith("354")

    async def ready(self) -> None:
        """Up to where the message may begin."""
        await self.greet()
        await self.envelope()

    def reset(self) -> None:
        """Vanish without a goodbye."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def open_world(data: Path, **options: Any) -> AsyncIterator[World]:
    world = World(data, **options)
    await world.adapter.start()
    try:
        yield world
    finally:
        await world.adapter.stop()
