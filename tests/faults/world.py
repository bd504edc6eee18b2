"""The outside of the fault laboratory: people and machines who never give up, and what each of them was told.

Everybody repeats what was not acknowledged, with the same id, until it is; now and then also what was. What they were
told goes into the ledger, and only that is held against the journal at the end (`audit`). Nobody here knows when the
daemon dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import smtplib
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from tests.system import clients
from tests.system.clients import GONE, Agent, Json, Visitor, call_event

AGENTS = ("ana", "ben", "chen", "dora", "sam")
AGAIN_S = 0.05  # between two tries: short, so that every moment of a start meets clients
HTTP_LOST = (aiohttp.ClientError, OSError, TimeoutError)
# Answers of agents' links that decided nothing: the same again later.
NOT_NOW = ("unavailable", "overloaded", "draining")


@dataclass
class Contact:
    """One thing that a customer sent. `key` is how the journal must know it."""

    kind: str
    key: str
    interaction: str = ""  # as acknowledged; "" where the protocol does not say
    acknowledged: bool = False


@dataclass
class Ledger:
    """What the outside was told. Everything in it is a promise."""

    contacts: list[Contact] = field(default_factory=list)
    said: list[tuple[str, str]] = field(default_factory=list)  # interaction, id of a visitor's message
    left: list[str] = field(default_factory=list)  # keys of ends that were acknowledged
    accepted: list[tuple[str, str, str]] = field(default_factory=list)  # agent, offer, interaction
    declined: list[tuple[str, str]] = field(default_factory=list)  # agent, offer
    completed: list[tuple[str, str]] = field(default_factory=list)  # agent, interaction
    noted: list[tuple[str, str]] = field(default_factory=list)  # interaction, text
    replied: list[str] = field(default_factory=list)  # texts of mails that agents answered with
    faults: list[str] = field(default_factory=list)  # two different answers to one question, broken streams

    @property
    def acknowledged(self) -> int:
        contacts = sum(contact.acknowledged for contact in self.contacts)
        others = (self.said, self.left, self.accepted, self.declined, self.completed, self.noted, self.replied)
        return contacts + sum(len(other) for other in others)


class Served(Protocol):
    """A house that the crowd comes to: one daemon, or several."""

    @property
    def http(self) -> str: ...
    @property
    def socket(self) -> str: ...
    @property
    def smtp(self) -> tuple[str, int]: ...
    @property
    def lmtp(self) -> tuple[str, int]: ...
    @property
    def data(self) -> Path: ...
    @property
    def running(self) -> bool: ...
    def launch(self) -> None: ...
    async def ready(self, within_s: float = ...) -> Json: ...
    async def interactions(self, state: str = "") -> list[Json]: ...
    async def get(self, path: str) -> tuple[int, Json]: ...
    async def content(self, path: str) -> bytes | None: ...
    async def stop(self) -> int: ...
    def verify(self) -> Json: ...
    def export(self) -> list[Json]: ...


class World:
    """Everybody outside. `begin` opens the doors, `close` lets what was begun come to its end."""

    def __init__(self, daemon: Served, chance: random.Random, campaign: str) -> None:
        self.daemon, self.chance, self.campaign = daemon, chance, campaign
        self.ledger = Ledger()
        self.open = asyncio.Event()  # customers come
        self.agents = [Robot(self, name) for name in AGENTS]
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=4))
        self._numbers: Counter[str] = Counter()
        self._running: set[asyncio.Task[None]] = set()
        self._standing: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        self.open.set()
        for source, pause_s in ((self.call, 0.06), (self.visit, 0.15), (self.walk_in, 0.1), (self.mail, 0.15)):
            self._standing.append(asyncio.create_task(self._come(source, pause_s)))
        self._standing.append(asyncio.create_task(self._come(self.scan, 0.5)))
        self._standing += [asyncio.create_task(agent.live()) for agent in self.agents]

    async def finish(self, within_s: float) -> bool:
        """No new customers; whether all who came have been acknowledged and gone."""
        self.open.clear()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=within_s)
            for task in late:
                self.ledger.faults.append(f"a customer waits still: {task.get_name()}")
            return not late
        return True

    async def close(self) -> None:
        tasks = [*self._standing, *self._running, *(task for agent in self.agents for task in agent.busy)]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for agent in self.agents:
            await agent.client.cut()
            self.ledger.faults += agent.client.faults
        await self._session.close()

    async def _come(self, source: Callable[[str], Coroutine[Any, Any, None]], pause_s: float) -> None:
        while True:
            await self.open.wait()
            await asyncio.sleep(self.chance.expovariate(1 / pause_s))
            # A queue of customers who cannot get through would only make the drain long.
            if self.open.is_set() and len(self._running) < 60:
                name = source.__name__.replace("_", "-")
                self._numbers[name] += 1
                task = asyncio.create_task(source(f"{self.campaign}-{name}-{self._numbers[name]}"), name=name)
                self._running.add(task)
                task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            self.ledger.faults.append(f"{task.get_name()}: {problem!r}")

    def contact(self, kind: str, key: str) -> Contact:
        made = Contact(kind, key)
        self.ledger.contacts.append(made)
        return made

    def acknowledge(self, contact: Contact, interaction: str) -> None:
        if contact.acknowledged and contact.interaction != interaction:
            self.ledger.faults.append(f"{contact.key} was {contact.interaction}, then {interaction}")
        contact.interaction, contact.acknowledged = interaction, True

    # --- customers -------------------------------------------------------------------------------------------------

    async def _insist(self, ask: Callable[[], Awaitable[tuple[int, Json]]]) -> Json:
        """Until it is answered 200. A server that is away, stops or cannot record is asked again."""
        while True:
            try:
                status, answer = await ask()
            except HTTP_LOST:
                status, answer = 503, {}
            if status == 200:
                return answer
            if status != 503:
                raise AssertionError(f"answered {status}: {answer}")
            await asyncio.sleep(AGAIN_S)

    async def _tell(self, event: Json) -> Json:
        return await self._insist(lambda: clients.phone(self._session, self.daemon.http, event))

    async def call(self, name: str) -> None:
        to, language = self.chance.choice([("+15550100", "en"), ("+15550100", "es"), ("+15550101", "en")])
        event = call_event("incoming", name, to=to, attributes={"language": language})
        contact = self.contact("phone", f"phone.dev:{event['event_id']}")
        patience_s = self.chance.choice((0.05, 0.5, 2.0)) if self.chance.random() < 0.2 else 0.0
        repeats = 1 + (self.chance.random() < 0.2)
        for _ in range(repeats):
            self.acknowledge(contact, (await self._tell(event))["interaction"])
        if patience_s:
            await asyncio.sleep(patience_s)
            end = call_event("abandoned", name)
            if (await self._tell(end)).get("interaction"):
                self.ledger.left.append(contact.interaction)

    async def walk_in(self, name: str) -> None:
        contact = self.contact("walkin", f"kiosk:{name}")
        topic = self.chance.choice(("support", "sales"))
        for _ in range(1 + (self.chance.random() < 0.2)):
            answer = await self._insist(lambda: clients.check_in(self._session, self.daemon.http, name, topic))
            self.acknowledge(contact, answer["interaction"])

    async def mail(self, name: str) -> None:
        raw, lmtp = clients.letter(name), self.chance.random() < 0.5
        contact = self.contact("email", f"mail:<{name}@example.org>")
        for _ in range(1 + (self.chance.random() < 0.2)):
            while True:
                at = self.daemon.lmtp if lmtp else self.daemon.smtp
                try:
                    await asyncio.to_thread(clients.send_mail, at, raw, lmtp=lmtp)
                    break
                except smtplib.SMTPResponseException as refused:
                    if refused.smtp_code >= 500:
                        raise
                except (smtplib.SMTPException, OSError):
                    pass
                await asyncio.sleep(AGAIN_S)
            contact.acknowledged = True

    async def scan(self, name: str) -> None:
        """Acknowledged when the file is gone."""
        contact = self.contact("fax", f"{name}.png")
        path = clients.drop(self.daemon.data / "drop" / "fax", f"{name}.png", clients.scan(self.chance))
        while await asyncio.to_thread(path.exists):  # noqa: ASYNC110 - the file does not say when it goes
            await asyncio.sleep(AGAIN_S)
        contact.acknowledged = True

    async def visit(self, name: str) -> None:
        """A chat: a few messages, then the visitor leaves or waits for the end."""
        visitor = Visitor(self.daemon.socket)
        said = 0
        wanted, leaves = self.chance.randint(1, 3), self.chance.random() < 0.3
        contact: Contact | None = None
        while visitor.state != "ended":
            try:
                if not visitor.connected:
                    visitor.base = self.daemon.socket
                    await visitor.hello("support")
                    if contact is None:
                        # Before the first welcome a visitor has no name that could be repeated.
                        contact = self.contact("chat", "")
                        contact.interaction, contact.acknowledged = visitor.interaction, True
                    continue
                if said < wanted:
                    ident = f"{name}-{said}"
                    await visitor.say(ident, f"message {said}")
                    self.ledger.said.append((visitor.interaction, ident))
                    said += 1
                elif leaves:
                    await visitor.leave()
                else:
                    async with asyncio.timeout(1):
                        await visitor.until(lambda: visitor.state == "ended" or not visitor.connected)
            except TimeoutError:
                pass
            except GONE:
                await visitor.cut()
                await asyncio.sleep(AGAIN_S)
            if leaves and said == wanted and not visitor.connected:
                break
        await visitor.cut()
        self.ledger.faults += visitor.faults


class Robot:
    """An agent: takes most offers, declines or misses some, notes, completes, takes breaks."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.client = Agent(name, world.daemon.socket)
        self.busy: set[asyncio.Task[None]] = set()
        self._seen: set[str] = set()
        self.brisk = False  # while everything is to come to its end: takes all, at once

    async def live(self) -> None:
        client = self.client
        while True:
            try:
                client.base = self.world.daemon.socket
                await client.sign_in()
                while client.connected:
                    await self._look()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.1):
                            await client.changed.wait()
            except GONE:
                await asyncio.sleep(AGAIN_S)

    async def _look(self) -> None:
        client, chance = self.client, self.world.chance
        if client.state != "ready" and (self.brisk or chance.random() < 0.3):
            await client.ask("set_state", state="ready")
        elif not self.brisk and chance.random() < 0.01:
            await client.ask("set_state", state="not_ready", reason="break")
        for offer in list(client.offers.values()):
            self._once(offer["offer"], self._decide(offer))
        for interaction in list(client.work.values()):
            self._once(interaction["id"], self._serve(interaction["id"]))

    def _once(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        if what in self._seen:
            work.close()
            return
        self._seen.add(what)
        task = asyncio.create_task(work, name=f"{self.name} {what}")
        self.busy.add(task)
        task.add_done_callback(lambda done: self._over(what, done))

    def _over(self, what: str, task: asyncio.Task[None]) -> None:
        self.busy.discard(task)
        self._seen.discard(what)
        if not task.cancelled() and (problem := task.exception()) is not None:
            self.world.ledger.faults.append(f"{task.get_name()}: {problem!r}")

    async def _ask(self, kind: str, **fields: Any) -> Json:
        """The definite answer, with one id over any number of cuts."""
        ident = f"{self.world.chance.getrandbits(64):x}"
        while True:
            try:
                if self.client.connected:
                    answer = await self.client.ask(kind, ident, **fields)
                    if answer["type"] == "ok" or answer["code"] not in NOT_NOW:
                        return answer
            except GONE:
                pass
            await asyncio.sleep(AGAIN_S)

    async def _decide(self, offer: Json) -> None:
        dice = 0.0 if self.brisk else self.world.chance.random()
        number, interaction = offer["offer"], offer["interaction"]["id"]
        if dice > 0.96:
            await self.client.until(lambda: number not in self.client.offers, 3600)  # misses it
            return
        await asyncio.sleep(0 if self.brisk else self.world.chance.uniform(0, 0.2))
        if dice > 0.88:
            if (await self._ask("decline", offer=number, reason="busy"))["type"] == "ok":
                self.world.ledger.declined.append((self.name, number))
        elif (await self._ask("accept", offer=number))["type"] == "ok":
            self.world.ledger.accepted.append((self.name, number, interaction))

    async def _serve(self, interaction: str) -> None:
        chance, ledger = self.world.chance, self.world.ledger
        if self.client.work.get(interaction, {}).get("state") != "wrap-up":
            await asyncio.sleep(0 if self.brisk else chance.uniform(0, 0.3))
            if chance.random() < 0.2:
                text = f"noted {chance.getrandbits(64):x}"
                if (await self._ask("note", interaction=interaction, text=text))["type"] == "ok":
                    ledger.noted.append((interaction, text))
            if self.client.work.get(interaction, {}).get("channel") == "email" and chance.random() < 0.5:
                text = f"reply {chance.getrandbits(64):016x}"
                if (await self._ask("say", interaction=interaction, text=text))["type"] == "ok":
                    ledger.replied.append(text)
            if (await self._ask("complete", interaction=interaction, disposition="done"))["type"] == "ok":
                ledger.completed.append((self.name, interaction))
        await self._ask("finish_wrap_up", interaction=interaction)
