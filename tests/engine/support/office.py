"""A small office to tell stories in, and the sentence form for one fact: given, when, then.

    given(*facts).when(Accept(agent="ana", offer=1), at_ms=19_999).then(OfferAccepted(1, 1, "ana"))
    given(*facts).when(Accept(agent="ana", offer=1), at_ms=20_000).refuses(OfferGone)

`given` applies facts to an engine that knows `OFFICE` and has ana and ben at work, at the time 0. An `Office` is for
longer stories: it is driven by commands, and everything it does is checked (`Checked`).
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Agent, Band, Channel, Config, Duration, Queue, WrapUp, to_bytes
from router.engine.engine import Engine, Outcome
from router.engine.entities import Interaction
from router.engine.entities import Offer as OpenOffer
from router.engine.events import Event, Message, Record
from router.engine.model import State
from router.engine.requirements import Node
from router.engine.transitions import STATE_NAMES
from router.errors import RouterError
from tests.engine.support.checked import Checked


def seconds(n: float) -> Duration:
    return Duration(int(n * 1_000))


SUPPORT = Node(skill="support")
EVERY_ACTION = ("assigned", "message", "ended", "held", "resumed", "transferred", "requeued")

STAFF: dict[str, dict[str, int]] = {"ana": {"support": 5}, "ben": {"support": 3}, "sue": {"sales": 5}}

OFFICE = Config(
    channels={
        "phone": Channel(exclusive=True, actions=EVERY_ACTION),
        "chat": Channel(cap=2, actions=("message", "ended")),
        "email": Channel(),
    },
    bands=(Band("urgent"), Band("normal"), Band("low", seconds(600))),
    skills=("support", "sales", "spanish"),
    attributes=("site",),
    teams=("red", "blue"),
    queues={"support": Queue(requirement=SUPPORT), "sales": Queue(requirement=Node(skill="sales"))},
    default_queue="support",
    agents={
        "ana": Agent(skills={"support": 5}),
        "ben": Agent(skills={"support": 3}),
        "sue": Agent(skills={"sales": 5}),
    },
)


def office_with(config: Config = OFFICE, **support: Any) -> Config:
    """The office with other settings of the queue `support`."""
    queues = {**config.queues, "support": replace(config.queues["support"], **support)}
    return replace(config, queues=queues)


def agents_with(config: Config, **agents: Agent) -> Config:
    return replace(config, agents=agents)


WRAPS = office_with(wrap_up=WrapUp("timed", seconds(30), seconds(60)))


# --- given, when, then ------------------------------------------------------------------------------------------------


def at_work(*agents: str) -> list[Event]:
    """The facts that make these agents available."""
    return [fact for name in agents for fact in (e.SessionOpened(name, "s"), e.StateChanged(name, "ready"))]


def arrived(number: int = 1, **more: Any) -> e.InteractionArrived:
    """An email for support that came at the time 0."""
    facts: dict[str, Any] = {
        "channel": "email",
        "threads": (f"mail:{number}",),
        "customer": "mailto:kim@example.org",
        "identities": ("mailto:kim@example.org",),
        "sender": "kim@example.org",
        "recipient": "support@localhost",
        "name": "Kim",
        "subject": "",
        "language": "",
        "attributes": {},
        "queue": "support",
        "requirement": None,
        "band": "",
        "weight": 0.0,
        "target_ms": 0,
        "enqueued_at_ms": 0,
        "lease_ms": 0,
    }
    return e.InteractionArrived(number, **{**facts, **more})


class Given:
    def __init__(self, facts: list[Event], config: Config) -> None:
        self.engine = Engine()
        for fact in [e.Configured(1, to_bytes(config)), *facts]:
            self.engine.apply(Record(0, "", fact))  # type: ignore[arg-type]

    def when(self, command: c.AnyCommand, at_ms: int = 1) -> When:
        return When(self.engine, command, at_ms)


class When:
    def __init__(self, engine: Engine, command: c.AnyCommand, at_ms: int) -> None:
        self.engine, self.command = engine, command
        self.outcome: Outcome | None = None
        self.error: RouterError | None = None
        before = engine.snapshot()
        try:
            self.outcome = engine.handle(command, at_ms)
        except RouterError as error:
            self.error = error
            assert engine.snapshot() == before, "a refused command must change nothing"

    def then(self, *events: Event) -> State:
        """Exactly these facts became true; answers with the state that holds them."""
        assert self.error is None, f"refused: {self.error!r}"
        assert self.outcome is not None
        assert self.outcome.events == list(events)
        return self.engine.state

    def refuses(self, error: type[RouterError], saying: str = "") -> None:
        assert type(self.error) is error, f"expected {error.__name__}, got {self.error or self.outcome!r}"
        assert saying in str(self.error)


def given(*facts: Event, config: Config = OFFICE) -> Given:
    """Ana and ben are at work, and these facts hold."""
    return Given([*at_work("ana", "ben"), *facts], config)


# --- longer stories ---------------------------------------------------------------------------------------------------


class Office:
    """An office that is driven by commands. Its clock moves only when it is told to."""

    def __init__(self, config: Config = OFFICE, ready: tuple[str, ...] = ()) -> None:
        self.checked = Checked()
        self.now_ms = 1_000_000
        self.arrivals = 0
        self.configure(config)
        for name in ready:
            self.ready(name)

    @property
    def engine(self) -> Engine:
        return self.checked.engine

    @property
    def state(self) -> State:
        return self.checked.engine.state

    def do(self, command: c.AnyCommand) -> Outcome:
        return self.checked.do(command, self.now_ms)

    # --- time

    def pass_s(self, s: float) -> Outcome:
        """Time passes, and the engine is told at the end of it."""
        self.now_ms += int(s * 1_000)
        return self.do(c.Tick())

    def sleep_s(self, s: float) -> None:
        """Time passes as it does for a server: it wakes at every deadline on the way."""
        until = self.now_ms + int(s * 1_000)
        due = self.engine.next_deadline_ms()
        while due is not None and due <= until:
            self.now_ms = max(self.now_ms, due)
            self.do(c.Tick())
            due = self.engine.next_deadline_ms()
        self.now_ms = until

    # --- agents

    def configure(self, config: Config) -> Outcome:
        return self.do(c.Configure(document=to_bytes(config), by="operator:sam"))

    def ready(self, agent: str, session: str = "s") -> Outcome:
        """Signed in and ready."""
        self.do(c.OpenSession(agent=agent, session=session))
        return self.do(c.SetState(agent=agent, state="ready"))

    def pause(self, agent: str, reason: str = "break") -> Outcome:
        return self.do(c.SetState(agent=agent, state="not_ready", reason=reason))

    def sign_out(self, agent: str, session: str = "s") -> Outcome:
        return self.do(c.CloseSession(agent=agent, session=session))

    # --- interactions

    def arrive(self, channel: str = "email", **more: Any) -> int:
        self.arrivals += 1
        more.setdefault("threads", (f"{channel}:{self.arrivals}",))
        return self.do(c.Arrive(channel=channel, **more)).reply.interaction

    def item(self, number: int) -> Interaction:
        return self.state.interactions[number]

    def thread(self, number: int) -> str:
        return self.item(number).threads[0]

    def state_of(self, number: int) -> str:
        return STATE_NAMES[self.item(number).state]

    def offers_of(self, number: int) -> list[OpenOffer]:
        return [self.state.offers[n] for n in self.item(number).offers]

    def offered_to(self, number: int) -> list[str]:
        return [offer.agent for offer in self.offers_of(number)]

    def accept(self, number: int, agent: str = "") -> str:
        """Whoever is offered it (or this agent) accepts; answers with who it was."""
        offer = next(o for o in self.offers_of(number) if agent in ("", o.agent))
        self.do(c.Accept(agent=offer.agent, offer=offer.number))
        return offer.agent

    def decline(self, number: int) -> str:
        offer = self.offers_of(number)[0]
        self.do(c.Decline(agent=offer.agent, offer=offer.number))
        return offer.agent

    def complete(self, number: int) -> Outcome:
        return self.do(c.Complete(agent=self.item(number).owner, interaction=number))

    def active(self, channel: str = "email", **more: Any) -> int:
        """Something arrives and is accepted."""
        number = self.arrive(channel, **more)
        self.accept(number)
        return number

    def say(self, number: int, text: str = "hello") -> Outcome:
        return self.do(c.Say(agent=self.item(number).owner, interaction=number, message=Message(text)))


def made(out: Outcome) -> list[tuple[int, str]]:
    """The offers of an outcome: (interaction, agent)."""
    return [(event.interaction, event.agent) for event in out.events if isinstance(event, e.OfferMade)]


def happened(out: Outcome, kind: type[Event]) -> list[Any]:
    """The events of one kind in an outcome."""
    return [event for event in out.events if type(event) is kind]
