"""A house for tests of the agents' link: the real engine on a stepped desk, and clients that read when told to.

Facts become durable when the test says so (`flush`), in order, as the writer does it: first the answer to a command,
then what its facts tell the agents. Nothing here has a socket, a clock or a task.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from router.agents import messages as m
from router.agents.mirror import Mirror
from router.agents.protocol import AgentHub, Conversation
from router.agents.render import welcome
from router.agents.settings import Settings
from router.engine import commands as c
from router.engine import config, lookups
from router.engine.commands import Reply
from router.engine.effects import Effect
from router.engine.engine import Engine
from router.engine.events import Blob, Message
from router.engine.views import AgentView, InteractionView, Tell, number_of
from router.errors import ClientError, RouterError

Json = dict[str, Any]
START_MS = 1_700_000_000_000
TOKENS = {"dev-ana": "ana", "dev-ben": "ben", "dev-ghost": "ghost"}
CONFIG = config.Config(
    channels={"chat": config.Channel(cap=3), "email": config.Channel(cap=3)},
    queues={"support": config.Queue(wrap_up=config.WrapUp("timed"), cool_off=config.Duration(1_000))},
    default_queue="support",
    agents={"ana": config.Agent(), "ben": config.Agent()},
)


class SteppedDesk:
    """The part of ports.Desk that the agents' link uses."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.now = START_MS
        self.commands: list[c.AnyCommand] = []
        self.waiting: deque[tuple[Callable[[Any], None], Reply | RouterError, Sequence[Effect]]] = deque()
        self.tell: Callable[[Tell], None] = lambda news: None
        self.refuse: Callable[[c.AnyCommand], RouterError | None] = lambda command: None
        self.count = 0
        self.do(c.Configure(document=config.to_bytes(CONFIG)))

    def submit(self, command: c.AnyCommand, done: Callable[[Reply | RouterError], None]) -> None:
        self.commands.append(command)
        refusal = self.refuse(command)
        answer, effects = (refusal, []) if refusal is not None else self._decide(command)
        self.waiting.append((done, answer, effects))

    def _decide(self, command: c.AnyCommand) -> tuple[Reply | RouterError, Sequence[Effect]]:
        try:
            out = self.engine.handle(command, self.now)
        except ClientError as problem:
            return problem, []
        return out.reply, out.effects

    def flush(self, count: int | None = None) -> None:
        """Make the first `count` commands durable; None: until nothing waits."""
        while self.waiting and (count is None or count > 0):
            done, answer, effects = self.waiting.popleft()
            done(answer)
            for effect in effects:
                if isinstance(effect, Tell):
                    self.tell(effect)
            count = None if count is None else count - 1

    def do(self, command: c.AnyCommand) -> None:
        self.submit(command, lambda answer: None)

    def arrive(self, channel: str = "chat", text: str = "hello", blobs: tuple[Blob, ...] = ()) -> None:
        self.count += 1
        thread = f"{channel}:{self.count}"
        self.do(c.Arrive(channel=channel, threads=(thread,), message=Message(text, blobs)))

    def pass_time(self, ms: int) -> None:
        """The engine is asked at each of its deadlines on the way, as the writer's timer does."""
        until = self.now + ms
        while (due := self.engine.next_deadline_ms()) is not None and due <= until:
            self.now = max(self.now, due)
            self.do(c.Tick())
        self.now = until

    def now_ms(self) -> int:
        return self.now

    def interaction(self, number: int) -> InteractionView:
        state = self.engine.state
        return lookups.interaction_view(state, lookups.find_interaction(state, number), full=True)

    def agent(self, agent: str) -> AgentView:
        state = self.engine.state
        return lookups.agent_view(state, lookups.find_agent(state, agent))


class Client:
    """A client's end of the line, and its Wire: what was sent waits in `inbox` until it is read."""

    def __init__(self, hub: AgentHub, address: str = "192.0.2.1") -> None:
        self.hub = hub
        self.address = address
        self.mirror = Mirror()
        self.asked = 0
        self.connect()

    def connect(self) -> None:
        self.inbox: deque[bytes] = deque()
        self.ended: tuple[int, str] | None = None
        self.paused = False
        self.connected = True
        self.conversation: Conversation = self.hub.converse(self)

    # As a Wire.

    def send(self, text: bytes) -> None:
        if self.ended is None:
            self.inbox.append(text)

    def close(self, code: int, reason: str) -> None:
        if self.ended is None:
            self.ended = (code, reason)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    # As a client.

    def say(self, **message: Any) -> None:
        """Send one message."""
        if self.ended is None:
            self.conversation.received(json.dumps(message).encode())

    def ask(self, kind: str, **fields: Any) -> str:
        """Send one with an id of its own, which is returned."""
        self.asked += 1
        ident = f"{id(self)}-{self.asked}"
        self.say(type=kind, id=ident, **fields)
        return ident

    def hello(self, agent: str = "ana", **fields: Any) -> None:
        self.say(type="hello", token=f"dev-{agent}", **fields)

    def read(self, count: int | None = None) -> list[Json]:
        """Take the first `count` messages, all if None, and lay them over the mirror."""
        read: list[Json] = []
        while self.inbox and (count is None or len(read) < count):
            message = json.loads(self.inbox.popleft())
            read.append(message)
            self.mirror.take(message)
        return read

    def cut(self) -> None:
        """The connection is gone with all that was not read."""
        if self.connected:
            self.connected = False
            self.inbox.clear()
            self.conversation.closed()


class House:
    def __init__(self, **settings: Any) -> None:
        self.desk = SteppedDesk()
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.hub = AgentHub(
            self.desk,  # type: ignore[arg-type] # the part that it uses
            Settings(tokens=TOKENS, **settings),
            lambda seconds, call: self.timers.append((seconds, call)),
        )
        self.desk.tell = self.hub.tell
        self.desk.flush()

    def client(self, agent: str = "", **hello: Any) -> Client:
        """A client; with an agent's name, one that is signed in and has read its welcome."""
        client = Client(self.hub)
        if agent:
            client.hello(agent, **hello)
            self.desk.flush()
            client.read()
        return client

    def ready(self, agent: str = "ana", **hello: Any) -> Client:
        client = self.client(agent, **hello)
        client.ask("set_state", state="ready")
        self.desk.flush()
        client.read()
        return client

    def at_work(self, agent: str = "ana") -> tuple[Client, str]:
        """A client with one accepted chat, and its id."""
        client = self.ready(agent)
        self.desk.arrive()
        self.desk.flush()
        client.read()
        client.ask("accept", offer=next(iter(client.mirror.offers)))
        self.desk.flush()
        client.read()
        return client, next(iter(client.mirror.interactions))

    def truth(self, agent: str = "ana") -> Json:
        """The server's view as its snapshot would show it now."""
        mirror = Mirror()
        mirror.take(json.loads(m.encode(welcome(self.desk.agent(agent), "", 0))))
        return seen(mirror)


def seen(mirror: Mirror) -> Json:
    return {
        "agent": mirror.agent,
        "offers": mirror.offers,
        "interactions": mirror.interactions,
        "load": mirror.load,
        "last_seq": mirror.last_seq,
    }


def number(ident: str) -> int:
    return number_of(ident, ident[0])
