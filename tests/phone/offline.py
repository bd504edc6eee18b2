"""The phone channel over a real engine, without sockets, journal or clock: for more calls than sockets could carry.

What a gateway tells goes through the adapter's own way from parsing to answer; what it is ordered goes through
`deliver`, and `statuses` say what it answers. Time is data.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from channels.phone.adapter import PhoneAdapter
from channels.phone.calls import ACTIONS
from channels.phone.kinds import KINDS
from channels.phone.request import Answer, Control, Raw
from channels.phone.settings import Gateway, Settings
from router.engine import commands as c
from router.engine.config import Agent, Channel, Config, Duration, Queue, Rule, to_bytes
from router.engine.engine import Engine
from router.engine.events import Event
from router.engine.views import Outbound
from router.errors import ClientError, RouterError
from router.service.desk import EngineDesk
from router.service.ports import Context, DeliveryFailed, Done
from router.service.quarantine import Quarantine, QuarantineSettings

START_MS = 1_700_000_000_000
SECRET = "dev-secret"
AGENTS = ("ana", "ben")


def gateway(kind: str) -> Gateway:
    return Gateway(
        kind=cast("Any", kind),
        secrets=(SECRET,),
        control_url="http://127.0.0.1:9/calls",
        public_url="https://router.example.org",
        account="AC1",
        rate=1_000_000,
        position_every=Duration(0),
    )


class _Writer:
    """Decides and answers in one go: what a journal adds is tested elsewhere."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.clock = self
        self.now = START_MS
        self.events: list[Event] = []

    def now_ms(self) -> int:
        return self.now

    def submit(self, command: c.AnyCommand, done: Done) -> None:
        try:
            out = self.engine.handle(command, self.now)
        except ClientError as refusal:
            done(refusal)
            return
        self.events += out.events
        done(out.reply)


class DryAdapter(PhoneAdapter):
    """Orders go nowhere, and are answered with `statuses`, then with 202."""

    statuses: list[int]
    sent: list[Control]

    async def _post(self, line: Any, control: Control) -> tuple[int, bytes]:
        self.sent.append(control)
        status = self.statuses.pop(0) if self.statuses else 202
        if not status:
            raise DeliveryFailed("the gateway's control address: TimeoutError")
        return status, b"{}"


class Office:
    """Gateways named by their kinds, one queue, and two agents who have telephones."""

    def __init__(
        self, folder: Path, gateways: dict[str, Gateway] | None = None, kind: type[PhoneAdapter] = DryAdapter
    ) -> None:
        self.writer = _Writer()
        self.desk = EngineDesk(cast("Any", self.writer))
        quarantine = Quarantine(folder, QuarantineSettings(max_entries=10))
        context = Context(
            desk=self.desk,
            blobs=cast("Any", None),
            quarantine=quarantine,
            sockets=cast("Any", None),
            data=folder,
            loopback_only=True,
        )
        gateways = gateways or {kind: gateway(kind) for kind in KINDS}
        self.adapter = cast("DryAdapter", kind(Settings(gateways=gateways), context))
        self.adapter.statuses, self.adapter.sent = [], []
        config = Config(
            channels={"phone": Channel(exclusive=True, actions=tuple(sorted(ACTIONS)))},
            queues={"support": Queue()},
            rules=(Rule(name="all", queue="support"),),
            agents={name: Agent(name=name.title(), endpoint=f"sip:{name}@desk") for name in AGENTS},
        )
        self.ask(c.Configure(document=to_bytes(config)))
        for name in AGENTS:
            self.ask(c.OpenSession(agent=name, session="s"))
            self.ready(name)

    # --- time -------------------------------------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        return self.writer.engine

    def wait(self, ms: int) -> None:
        """Let time pass, and everything happen that is due meanwhile."""
        until = self.writer.now + ms
        while (due := self.engine.next_deadline_ms()) is not None and due <= until:
            self.writer.now = max(due, self.writer.now)
            self.ask(c.Tick())
        self.writer.now = until

    # --- people -----------------------------------------------------------------------------------------------------

    def ask(self, command: c.AnyCommand) -> c.Reply | RouterError:
        """What the desk answers, at once."""
        answers: list[c.Reply | RouterError] = []
        self.writer.submit(command, answers.append)
        return answers[0]

    def ready(self, name: str) -> None:
        self.ask(c.SetState(agent=name, state="ready"))

    def offers(self) -> list[tuple[str, int]]:
        return [(offer.agent, offer.number) for offer in self.engine.state.offers.values()]

    def accept(self) -> str:
        """The first open offer; by whom."""
        name, offer = self.offers()[0]
        assert isinstance(self.ask(c.Accept(agent=name, offer=offer)), c.Reply)
        return name

    # --- the gateway ------------------------------------------------------------------------------------------------

    async def tell(self, kind: str, raw: Raw) -> Answer:
        """As if its signature had been good. Raises RouterError."""
        return await self.adapter._taken(self.adapter._lines[kind], raw, self.writer.now)

    def letters(self) -> list[Outbound]:
        return list(self.engine.state.outbound.values())

    async def deliver(self, letter: Outbound) -> bool:
        """One try, as the outbox makes it; whether it is settled now."""
        try:
            await self.adapter.deliver(letter)
        except DeliveryFailed as failure:
            if not failure.final and self.writer.now - letter.at_ms < 20_000:
                return False
            self.ask(c.FailOutbound(outbound=letter.outbound, error=str(failure)))
        else:
            self.ask(c.SettleOutbound(outbound=letter.outbound))
        return True

    async def deliver_all(self) -> None:
        """With the time that the outbox takes between two tries."""
        while letters := self.letters():
            if not any([await self.deliver(letter) for letter in letters]):
                self.wait(1_000)

    # --- what must be so --------------------------------------------------------------------------------------------

    def open_calls(self) -> list[str]:
        return [f"i-{item.number} {item.state}" for item in self.engine.state.interactions.values() if item.live]

    def reserved(self) -> list[str]:
        """Agents who are kept busy by anything."""
        state = self.engine.state
        return [f"{name}: {agent.load:#x}" for name, agent in state.agents.items() if agent.load]

    def stuck(self) -> Iterator[str]:
        yield from self.open_calls()
        yield from self.reserved()
        yield from (f"offer {number} to {name}" for name, number in self.offers())
        yield from (f"order {letter.action} of i-{letter.interaction}" for letter in self.letters())
