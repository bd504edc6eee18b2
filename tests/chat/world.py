"""A room of visitors in front of the real engine, with a journal that becomes durable when it is told to.

Everything happens in one thread and at the time that the test says. `World.settle` carries out what the room orders
until nothing is left; `World.flush` makes the journal catch up and gives out facts and answers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from channels.chat.conversation import HangUp, Send, Submit
from channels.chat.protocol import Room
from channels.chat.settings import Settings
from router.engine import commands as c
from router.engine import config as cfg
from router.engine import lookups
from router.engine.commands import Reply
from router.engine.engine import Engine
from router.engine.events import AnyEvent, Message, Record
from router.engine.views import AgentView, CallbackOffer, Estimate, Inform, InteractionView
from router.errors import ClientError, RouterError

START_MS = 1_700_000_000_000
SECRET = b"a secret of thirty-two characters"

CONFIG = cfg.Config(
    channels={"chat": cfg.Channel(cap=3)},
    queues={"support": cfg.Queue(offer_timeout=cfg.Duration(600_000))},
    rules=(cfg.Rule("support", "support", channel=("chat",), to=("support",)),),
    agents={"ana": cfg.Agent(name="Ana"), "ben": cfg.Agent(name="Ben")},
)


class Waiting(NamedTuple):
    """A command that was decided and is not durable yet."""

    effects: list[Any]
    records: list[Record]
    done: Callable[[Reply | RouterError], None] | None
    answer: Reply | RouterError


class EngineDesk:
    """The desk that adapters see, in front of a real engine."""

    def __init__(self, config: cfg.Config = CONFIG) -> None:
        self.engine = Engine()
        self.now = START_MS
        self.refuse: Callable[[c.AnyCommand], RouterError | None] = lambda command: None
        self.inform: Callable[[Inform], None] = lambda news: None
        self.commands: list[c.AnyCommand] = []
        self.durable: list[Record] = []
        self.waiting: list[Waiting] = []
        self.answers_first = False  # of one batch; the order between facts and answers is nobody's promise
        self.do(c.Configure(document=cfg.to_bytes(config)))
        self.flush()

    def submit(self, command: c.AnyCommand, done: Callable[[Reply | RouterError], None] | None) -> None:
        self.commands.append(command)
        refusal = self.refuse(command)
        if refusal is not None:
            self.waiting.append(Waiting([], [], done, refusal))
            return
        try:
            out = self.engine.handle(command, self.now)
        except ClientError as wrong:
            self.waiting.append(Waiting([], [], done, wrong))
            return
        facts = cast("list[AnyEvent]", out.events)
        records = [Record(out.at_ms, out.key if i == 0 else "", fact) for i, fact in enumerate(facts)]
        self.waiting.append(Waiting(out.effects, records, done, out.reply))

    def do(self, command: c.AnyCommand) -> None:
        """What somebody else asks for."""
        self.submit(command, None)

    def flush(self, count: int | None = None) -> None:
        """Make the oldest `count` commands durable as one batch."""
        batch, self.waiting = self.waiting[:count], self.waiting[count:] if count is not None else []
        for one in batch:
            self.durable += one.records
        steps = [self._give_answers, self._give_facts] if self.answers_first else [self._give_facts, self._give_answers]
        for step in steps:
            step(batch)

    def _give_facts(self, batch: list[Waiting]) -> None:
        for one in batch:
            for effect in one.effects:
                if isinstance(effect, Inform):
                    self.inform(effect)

    def _give_answers(self, batch: list[Waiting]) -> None:
        for one in batch:
            if one.done is not None:
                one.done(one.answer)

    def crash(self, keep: int = 0) -> None:
        """What is not durable never happened. The first `keep` commands were durable, but nobody was told of them."""
        for one in self.waiting[:keep]:
            self.durable += one.records
        self.waiting = []
        self.engine = Engine()
        for record in self.durable:
            self.engine.apply(record)
        self.engine.resume()

    # --- what may be looked at ---

    def now_ms(self) -> int:
        return self.now

    def interaction(self, number: int) -> InteractionView:
        state = self.engine.state
        return lookups.interaction_view(state, lookups.find_interaction(state, number), full=True)

    def interactions(self, state: str = "", queue: str = "", after: int = 0, limit: int = 100) -> list[InteractionView]:
        return lookups.portion(self.engine.state, state, queue, after, limit)[0]

    def find(self, thread: str) -> int | None:
        number = self.engine.state.threads.get(thread)
        return number if number is not None and self.engine.state.interactions[number].open else None

    def agent(self, agent: str) -> AgentView:
        return lookups.agent_view(self.engine.state, lookups.find_agent(self.engine.state, agent))

    def estimate(self, number: int) -> Estimate | None:
        return lookups.estimate(self.engine.state, number, self.now)

    def callback_offer(self, number: int) -> CallbackOffer | None:
        return lookups.callback_offer(self.engine.state, number)

    def routes(self, channel: str, to: str) -> bool:
        return self.engine.plan.takes(channel, to)


class Dice:
    """Chance that a test can repeat."""

    def __init__(self, seed: int) -> None:
        self.seed, self.count = seed, 0

    def __call__(self, size: int) -> bytes:
        self.count += 1
        return hashlib.blake2b(f"{self.seed}:{self.count}".encode(), digest_size=size).digest()


class Socket:
    """One socket's other end: what came in, and how it was closed."""

    def __init__(self, world: World, line: int) -> None:
        self.world, self.line = world, line
        self.got: list[dict[str, Any]] = []
        self.closed: int | None = None
        self.seen: Callable[[dict[str, Any]], None] = lambda frame: None

    def send(self, **frame: Any) -> None:
        self.raw(json.dumps(frame).encode())

    def raw(self, data: bytes) -> None:
        self.world.room.received(self.line, data)
        self.world.settle()

    def cut(self) -> None:
        self.world.sockets.pop(self.line, None)
        self.world.room.disconnected(self.line)
        self.world.settle()

    def take(self) -> list[dict[str, Any]]:
        """What came in since the last look."""
        got, self.got = self.got, []
        return got

    @property
    def types(self) -> list[str]:
        return [frame["type"] for frame in self.got]


class World:
    def __init__(self, seed: int = 0, **settings: Any) -> None:
        self.settings = Settings(**{"hello_rate": 0, **settings})
        self.dice = Dice(seed)
        self.desk = EngineDesk()
        self.sockets: dict[int, Socket] = {}
        self.lines = 0
        self.start()

    def start(self) -> None:
        """A new process finds this desk."""
        self.sockets = {}
        self.room = Room(self.settings, self.desk, SECRET, self.dice)
        self.desk.inform = self._informed
        self.room.restore()

    def restart(self, keep: int | None = None) -> None:
        """The process ends and another one starts. With `keep`, it crashes (see `EngineDesk.crash`)."""
        if keep is not None:
            self.desk.crash(keep)
        else:
            self.desk.flush()
        self.start()
        self.desk.do(c.Restart())
        self.flush()

    def _informed(self, news: Inform) -> None:
        self.room.informed(news)
        self.settle()

    def connect(self, address: str = "192.0.2.1") -> Socket:
        self.lines += 1
        socket = self.sockets[self.lines] = Socket(self, self.lines)
        self.room.connected(self.lines, address)
        return socket

    def hello(self, **fields: Any) -> Socket:
        """A visitor who is welcome."""
        socket = self.connect()
        socket.send(type="hello", **fields)
        self.flush()
        return socket

    def settle(self) -> None:
        """Carry out what the room ordered. Answers come with the flush."""
        room = self.room
        while room.actions:
            match room.actions.popleft():
                case Send(line, data):
                    if line in self.sockets:
                        frame = json.loads(data)
                        self.sockets[line].got.append(frame)
                        self.sockets[line].seen(frame)
                case HangUp(line, code, _):
                    if line in self.sockets:
                        self.sockets.pop(line).closed = code
                        room.disconnected(line)
                case Submit(command, answered):
                    self.desk.submit(command, answered)

    def flush(self, count: int | None = None) -> None:
        room = self.room
        self.desk.flush(count)
        assert room is self.room
        self.settle()
        if count is None and self.desk.waiting:
            self.flush()

    def sweep(self, after_s: float = 0) -> None:
        self.desk.now += int(after_s * 1_000)
        for _ in self.room.sweep():
            self.settle()
        self.flush()

    # --- agents ---

    def sign_in(self, agent: str = "ana") -> None:
        self.desk.do(c.OpenSession(agent=agent, session=f"{agent}-1"))
        self.desk.do(c.SetState(agent=agent, state="ready"))
        self.flush()

    def accept(self, agent: str = "ana") -> int:
        offer = self.desk.agent(agent).offers[0]
        self.desk.do(c.Accept(agent=agent, offer=int(offer.offer[2:])))
        self.flush()
        return int(offer.interaction.id[2:])

    def say(self, number: int, text: str, agent: str = "ana") -> None:
        self.desk.do(c.Say(agent=agent, interaction=number, message=Message(text)))
        self.flush()
