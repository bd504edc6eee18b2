"""The outsiders: a telephone gateway, a visitor, an agent's client, a mail server, a scanner, a kiosk.

Each speaks its protocol with a common library over a real socket and shares no code with the server. They keep no
promises themselves: what they were told is what they know.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import io
import json
import os
import random
import smtplib
import time
import uuid
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiohttp
from PIL import Image
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

Json = dict[str, Any]
SECRET = b"dev-secret"
ANSWER_S = 30.0  # what a client waits for one answer

# What a client meets when the server is away: come back later.
GONE = (OSError, ConnectionClosed, InvalidHandshake, TimeoutError, EOFError)


# --- telephone and kiosk ----------------------------------------------------------------------------------------------


async def phone(session: aiohttp.ClientSession, http: str, event: Json, gateway: str = "dev") -> tuple[int, Json]:
    """One signed event of the generic gateway."""
    body = json.dumps(event).encode()
    at = str(int(time.time()))
    signature = hmac.new(SECRET, at.encode() + b"." + body, hashlib.sha256).hexdigest()
    headers = {"Switchboard-Signature": f"t={at},v1={signature}", "Content-Type": "application/json"}
    async with session.post(f"{http}/v1/phone/{gateway}/events", data=body, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


def call_event(kind: str, call: str, event: str = "", **more: Any) -> Json:
    sent: Json = {"event_id": event or f"{call}-{kind}", "call_id": call, "type": kind}
    return sent | {"from": "+12025550123", "to": "+15550100"} | more


async def check_in(session: aiohttp.ClientSession, http: str, reference: str, topic: str) -> tuple[int, Json]:
    headers = {"Idempotency-Key": reference}
    body = {"topic": topic, "name": "Eva"}
    async with session.post(f"{http}/v1/kiosk/checkins", json=body, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


# --- mail and scans ---------------------------------------------------------------------------------------------------


def letter(ident: str, to: str = "support@localhost", text: str = "Where is my parcel?") -> bytes:
    mail = EmailMessage()
    mail["From"] = f"Eva <{ident}@example.org>"
    mail["To"] = to
    mail["Subject"] = f"About {ident}"
    mail["Message-ID"] = f"<{ident}@example.org>"
    mail.set_content(text)
    return mail.as_bytes()


def send_mail(at: tuple[str, int], raw: bytes, to: str = "support@localhost", lmtp: bool = False) -> None:
    """Blocks. Returns when it was answered 250; raises smtplib's exceptions and OSError."""
    kind = smtplib.LMTP if lmtp else smtplib.SMTP
    with kind(*at, local_hostname="client.example", timeout=ANSWER_S) as server:
        server.sendmail("eva@example.org", [to], raw)


def scan(chance: random.Random) -> bytes:
    """A small picture like no other."""
    out = io.BytesIO()
    Image.frombytes("L", (16, 16), chance.randbytes(256)).save(out, "PNG")
    return out.getvalue()


def drop(folder: Path, name: str, content: bytes) -> Path:
    """As a scanner does that renames into place."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished, whole = folder / f".{name}.part", folder / name
    unfinished.write_bytes(content)
    os.replace(unfinished, whole)
    return whole


# --- sockets ----------------------------------------------------------------------------------------------------------


class Socket:
    """A websocket that reads by itself and lets others wait for what it learned."""

    PATH = ""
    SUBPROTOCOL = ""

    def __init__(self, base: str) -> None:
        self.base = base  # ws://host:port
        self.connection: ClientConnection | None = None
        self.changed = asyncio.Event()
        self.faults: list[str] = []  # what the protocol does not allow
        self._reader: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        return self._reader is not None and not self._reader.done()

    async def open(self) -> None:
        """Raises one of GONE."""
        await self.cut()
        protocol = Subprotocol(self.SUBPROTOCOL)
        self.connection = await connect(
            self.base + self.PATH, subprotocols=[protocol], open_timeout=ANSWER_S, close_timeout=1, ping_interval=None
        )
        self._reader = asyncio.create_task(self._read(self.connection))

    async def send(self, message: Json) -> None:
        if self.connection is None:
            raise ConnectionResetError("not connected")
        await self.connection.send(json.dumps(message))

    async def cut(self) -> None:
        """Without a goodbye."""
        connection, self.connection = self.connection, None
        reader, self._reader = self._reader, None
        if connection is not None:
            connection.transport.abort()
        if reader is not None:
            reader.cancel()
            await asyncio.wait([reader])

    async def _read(self, connection: ClientConnection) -> None:
        try:
            async for text in connection:
                self.take(json.loads(text))
                self._wake()
        except GONE:
            pass
        finally:
            self.lost()
            self._wake()

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    async def until(self, condition: Callable[[], Any], within_s: float = ANSWER_S) -> None:
        async with asyncio.timeout(within_s):
            while not condition():
                await self.changed.wait()

    def take(self, message: Json) -> None:
        raise NotImplementedError

    def lost(self) -> None:
        """The connection ended."""


class Agent(Socket):
    """An agent's client: keeps a view by the stream's numbers, resumes it after a cut, and asks with ids."""

    PATH = "/agent"
    SUBPROTOCOL = "switchboard.agent.v1"

    def __init__(self, name: str, base: str) -> None:
        super().__init__(base)
        self.name = name
        self.last_seq: int | None = None
        self.state = self.reason = ""
        self.offers: dict[str, Json] = {}
        self.work: dict[str, Json] = {}
        self.welcomes: list[Json] = []
        self.goodbyes: list[Json] = []
        self.settled: list[Json] = []  # every interaction_ended
        self._welcomed = False
        self._waiting: dict[str, asyncio.Future[Json]] = {}

    async def sign_in(self, resume: bool = True) -> None:
        """Raises one of GONE."""
        self._welcomed = False
        await self.open()
        hello: Json = {"type": "hello", "token": f"dev-{self.name}"}
        if resume and self.last_seq is not None:
            hello["last_seq"] = self.last_seq
        await self.send(hello)
        await self.until(lambda: self._welcomed or not self.connected)
        if not self._welcomed:
            raise ConnectionResetError("no welcome")

    async def ready(self) -> None:
        assert (await self.ask("set_state", state="ready"))["type"] == "ok"

    async def ask(self, kind: str, ident: str = "", **fields: Any) -> Json:
        """The `ok` or `error`. Raises one of GONE where there is none; ask again with the same `ident` then."""
        ident = ident or uuid.uuid4().hex
        answer = self._waiting.setdefault(ident, asyncio.get_running_loop().create_future())
        try:
            await self.send({"type": kind, "id": ident, **fields})
            async with asyncio.timeout(ANSWER_S):
                return await answer
        finally:
            self._waiting.pop(ident, None)
            answer.cancel()  # nobody looks at it any more

    async def offered(self, interaction: str = "", within_s: float = ANSWER_S) -> Json:
        """Wait for an offer (of this interaction)."""

        def found() -> Json | None:
            return next((o for o in self.offers.values() if interaction in ("", o["interaction"]["id"])), None)

        await self.until(found, within_s)
        offer = found()
        assert offer is not None
        return offer

    async def accept(self, interaction: str = "") -> str:
        """Take what is offered; the interaction."""
        offer = await self.offered(interaction)
        answer = await self.ask("accept", offer=offer["offer"])
        assert answer["type"] == "ok", answer
        name: str = offer["interaction"]["id"]
        await self.until(lambda: name in self.work)
        return name

    async def complete(self, interaction: str) -> None:
        """To the very end: where there is wrap-up, that too."""
        answer = await self.ask("complete", interaction=interaction, disposition="solved")
        assert answer["type"] == "ok", answer
        await self.until(lambda: self.work.get(interaction, {"state": "wrap-up"})["state"] == "wrap-up")
        if interaction in self.work:
            answer = await self.ask("finish_wrap_up", interaction=interaction)
            assert answer["type"] == "ok", answer
        await self.until(lambda: interaction not in self.work)

    # --- what it learns --------------------------------------------------------------------------------------------

    def take(self, message: Json) -> None:
        kind = message["type"]
        if kind in ("ok", "error"):
            waiting = self._waiting.get(str(message.get("re", "")))
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
            return
        if kind == "goodbye":
            self.goodbyes.append(message)
            return
        self._count(message)
        getattr(self, f"_{kind}", self._unknown)(message)

    def _count(self, message: Json) -> None:
        seq, last = message["seq"], self.last_seq
        if message["type"] == "welcome":
            if last is not None and (seq != last if message["resumed"] else seq < last):
                self.faults.append(f"{self.name}: welcome {seq} after {last}, resumed={message['resumed']}")
        elif seq != (last or 0) + 1:
            self.faults.append(f"{self.name}: {message['type']} {seq} after {last}")
        self.last_seq = seq

    def _welcome(self, message: Json) -> None:
        self._welcomed = True
        self.welcomes.append(message)
        if not message["resumed"]:
            self.state, self.reason = message["state"], message["reason"]
            self.offers = {o["offer"]: o for o in message["offers"]}
            self.work = {i["id"]: i for i in message["interactions"]}

    def _offer(self, message: Json) -> None:
        self.offers[message["offer"]] = message

    def _offer_withdrawn(self, message: Json) -> None:
        self.offers.pop(message["offer"], None)

    def _assigned(self, message: Json) -> None:
        self.offers.pop(message["offer"], None)
        self.work.pop(message.get("consult", ""), None)
        self.work[message["interaction"]["id"]] = message["interaction"]

    def _message(self, message: Json) -> None:
        if message["interaction"] in self.work:
            self.work[message["interaction"]].setdefault("messages", []).append(message)

    def _interaction_updated(self, message: Json) -> None:
        name = message["interaction"]["id"]
        if name in self.work:
            self.work[name].pop("consult", None)
            self.work[name] |= message["interaction"]
            if "note" in message:
                self.work[name].setdefault("notes", []).append(message["note"])

    def _interaction_ended(self, message: Json) -> None:
        self.settled.append(message)
        if message["wrap_up"] and message["interaction"] in self.work:
            self.work[message["interaction"]]["state"] = "wrap-up"
        else:
            self.work.pop(message["interaction"], None)

    def _state(self, message: Json) -> None:
        self.state, self.reason = message["state"], message["reason"]

    def _unknown(self, message: Json) -> None:
        """Newer servers may say more."""

    def lost(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError("cut before the answer"))
        self._waiting.clear()


class Visitor(Socket):
    """A chat visitor in a browser: one conversation, resumed by its token."""

    PATH = "/chat"
    SUBPROTOCOL = "switchboard.chat.v1"

    def __init__(self, base: str) -> None:
        super().__init__(base)
        self.token = ""
        self.interaction = ""
        self.last_seq: int | None = None
        self.state = ""
        self.heard: list[str] = []  # what agents said
        self.asked = False  # whether to call them back
        self.agent_types = False
        self.delivered: set[str] = set()
        self.errors: list[Json] = []
        self._welcomed = False

    async def hello(self, topic: str = "support", language: str = "en") -> None:
        """Raises one of GONE."""
        self._welcomed = False
        await self.open()
        message: Json = {"type": "hello", "topic": topic, "language": language}
        if self.token:
            message = {"type": "hello", "token": self.token}
            if self.last_seq is not None:
                message["last_seq"] = self.last_seq
        await self.send(message)
        await self.until(lambda: self._welcomed or not self.connected)
        if not self._welcomed:
            raise ConnectionResetError("no welcome")

    async def say(self, ident: str, text: str) -> None:
        """Until it is confirmed. Raises one of GONE; say it again with the same id then."""
        await self.send({"type": "message", "id": ident, "text": text})
        seen = len(self.errors)
        await self.until(lambda: ident in self.delivered or not self.connected or len(self.errors) > seen)
        if ident not in self.delivered:
            raise ConnectionResetError("not confirmed")

    async def leave(self) -> None:
        with contextlib.suppress(*GONE):
            await self.send({"type": "leave"})
            await self.until(lambda: not self.connected)

    def take(self, message: Json) -> None:
        kind = message["type"]
        if kind == "error":
            self.errors.append(message)
        if kind == "typing":  # what is said in passing has no number
            self.agent_types = message["on"]
            return
        seq = message.get("seq", -1)
        if kind == "error" and not seq:
            return  # before a welcome there is no stream that it could have a number in
        if kind == "welcome":
            self._welcome(message)
        elif self.last_seq is not None and seq != self.last_seq + 1:
            self.faults.append(f"visitor of {self.interaction}: {kind} {seq} after {self.last_seq}")
        self.last_seq = seq
        if kind == "delivered":
            self.delivered.add(str(message["re"]))
        elif kind == "joined":
            self.state = "active"
        elif kind == "queued":
            self.state, self.interaction = "queued", message["interaction"]
        elif kind == "callback_offered":
            self.asked = True
        elif kind == "ended":
            self.state = "ended"
        elif kind == "message" and message["author"] == "agent":
            self.heard.append(message["text"])

    def _welcome(self, message: Json) -> None:
        self._welcomed = True
        self.token = message["token"]
        self.interaction = message.get("interaction") or self.interaction
        self.state = message["state"]
        if message.get("messages") is not None:
            self.heard = [said["text"] for said in message["messages"] if said["author"] == "agent"]


async def every(seconds: float, condition: Callable[[], bool], within_s: float = ANSWER_S) -> None:
    """For what tells nobody when it happens, such as a file that is gone."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"not within {within_s} s"
        await asyncio.sleep(seconds)
