"""The real writer and engine over a journal in memory, with a clock that a test moves and a disk that it can hold."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from router.engine import commands as c
from router.engine.config import Agent, Channel, Config, Duration, Queue, Rule, to_bytes
from router.engine.events import Message
from router.engine.views import Inform, Outbound, Tell
from router.journal.memory import MemoryJournal
from router.service.clock import ManualClock
from router.service.desk import EngineDesk
from router.service.mailbox import MailboxSettings
from router.service.ports import Outcome
from router.service.writer import Writer

CONFIG = Config(
    channels={"phone": Channel(), "email": Channel(cap=5, agent_lost="stay", actions=("message", "ended"))},
    queues={"support": Queue(offer_timeout=Duration(20_000))},
    rules=(Rule(name="all", queue="support"),),
    agents={"ana": Agent(name="Ana"), "ben": Agent(name="Ben")},
)


class HeldJournal(MemoryJournal):
    """An append can be made to wait, as a slow disk does."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []  # sizes, in order of arrival
        self.at_once = self.most_at_once = 0
        self._free = threading.Event()
        self._free.set()

    def hold(self) -> None:
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    def append(self, first_seq: int, payloads: Sequence[bytes]) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.batches.append(len(payloads))
        try:
            assert self._free.wait(30), "nobody released the journal"
            super().append(first_seq, payloads)
        finally:
            self.at_once -= 1


class House:
    """A writer with what it gave out: `heard` is in the order in which the outside heard it."""

    def __init__(self, journal: MemoryJournal | None = None, settings: MailboxSettings | None = None) -> None:
        self.journal = journal or HeldJournal()
        self.clock = ManualClock()
        self.writer = Writer(self.journal, self.clock, settings)
        self.desk = EngineDesk(self.writer)
        self.heard: list[tuple[str, Any]] = []
        self.failures: list[str] = []
        self.recoveries = 0
        self.writer.tell = lambda news: self._hear("tell", news)
        self.writer.inform = lambda news: self._hear("inform", news)
        self.writer.post = lambda letter: self._hear("post", letter)
        self.writer.on_failure.append(self.failures.append)
        self.writer.on_recovery.append(self._recovered)

    def _hear(self, what: str, effect: Tell | Inform | Outbound) -> None:
        self.heard.append((what, effect))

    def _recovered(self) -> None:
        self.recoveries += 1

    async def start(self, config: Config = CONFIG) -> None:
        self.journal.open()
        await self.writer.start()
        await self.desk.ask(c.Configure(document=to_bytes(config)))

    async def sign_in(self, agent: str) -> None:
        await self.desk.ask(c.OpenSession(agent=agent, session=f"s-{agent}"))
        await self.desk.ask(c.SetState(agent=agent, state="ready"))

    def ask(self, command: c.AnyCommand, name: str = "answer") -> list[Outcome]:
        """Submit it; the list gets the answer when it comes, and `heard` its name."""
        answers: list[Outcome] = []

        def done(outcome: Outcome) -> None:
            answers.append(outcome)
            self.heard.append((name, outcome))

        self.desk.submit(command, done)
        return answers

    def pass_time(self, ms: int) -> None:
        """As if the writer's timer had waited that long."""
        self.clock.advance(ms)
        self.writer._tick()

    async def until(self, condition: Callable[[], Any], within_s: float = 10) -> None:
        """What a thread does has no event on our loop."""
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.001)


@asynccontextmanager
async def house(
    journal: MemoryJournal | None = None, settings: MailboxSettings | None = None, config: Config = CONFIG
) -> AsyncIterator[House]:
    built = House(journal, settings)
    await built.start(config)
    built.heard.clear()
    try:
        yield built
    finally:
        if isinstance(built.journal, HeldJournal):
            built.journal.release()
        await built.writer.stop()
        built.journal.close()


def arrive(name: str, channel: str = "phone", **more: Any) -> c.Arrive:
    return c.Arrive(key=f"{channel}:{name}", channel=channel, threads=(f"{channel}:{name}",), **more)


def say(agent: str, interaction: int, text: str, key: str = "") -> c.Say:
    return c.Say(key=key, agent=agent, interaction=interaction, message=Message(text))
