"""Who is there: visitors' conversations, the sockets that show them, and what the room orders its shell to do."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, Protocol

from channels.chat.attention import Attention
from channels.chat.limits import Bucket
from channels.chat.parse import (
    Frame,
    Ident,
)
from channels.chat.stream import Stream
from router.engine import commands as c
from router.engine.commands import Reply
from router.engine.views import (
    AgentView,
    CallbackOffer,
    Estimate,
    InteractionView,
)
from router.errors import (
    RouterError,
)
from router.service.signals import Signal

CHANNEL = "chat"
THREAD = "chat:"
LEFT, GOING_AWAY, COME_BACK_LATER = 1000, 1001, 1013
NOT_UNDERSTOOD, NOT_BELIEVED, NO_ROUTE, SILENT, TOO_MANY_WINDOWS, TOO_FAST = 4400, 4401, 4404, 4408, 4409, 4429
OPEN_STATES = ("queued", "offered", "active")
IDS_KEPT = 256  # of a visitor's latest messages, to tell a repetition from an id used twice
RETRY_S = 5  # where we refuse ourselves
LETTERS_MAX = 3  # that one visitor may leave in one conversation
FILES = "/chat/files"  # on the HTTP port
IDLE = "idle"

FRESH, OPENING, TALKING, OVER = "fresh", "opening", "talking", "over"  # a line's stages


class Look(Protocol):
    """What of the desk is looked at."""

    def now_ms(self) -> int: ...
    def interaction(self, number: int) -> InteractionView: ...
    def interactions(
        self, state: str = "", queue: str = "", after: int = 0, limit: int = 100
    ) -> list[InteractionView]: ...
    def agent(self, agent: str) -> AgentView: ...
    def find(self, thread: str) -> int | None: ...
    def estimate(self, number: int) -> Estimate | None: ...
    def callback_offer(self, number: int) -> CallbackOffer | None: ...
    def routes(self, channel: str, to: str) -> bool: ...


class Send(NamedTuple):
    line: int
    data: bytes


class HangUp(NamedTuple):
    line: int
    code: int
    reason: str


class Submit(NamedTuple):
    command: c.AnyCommand
    answered: Callable[[Reply | RouterError], None]


class Tell(NamedTuple):
    """Something in passing, for the agent who has the conversation."""

    agent: str
    interaction: int
    signal: Signal


class Post(NamedTuple):
    """A letter for the mail channel."""

    raw: bytes
    address: str
    answered: Callable[[RouterError | None], None]


Action = Send | HangUp | Submit | Tell | Post


class Pending(NamedTuple):
    """A message that was submitted and of which the fact has not come yet."""

    line: int
    ident: Ident


class Line:
    """One socket."""

    __slots__ = (
        "address",
        "backlog",
        "conversation",
        "frames",
        "leaving",
        "mark",
        "number",
        "opened_ms",
        "stage",
        "strikes",
    )

    def __init__(self, number: int, address: str, frames: Bucket, now_ms: int) -> None:
        self.number = number
        self.address = address
        self.frames = frames
        self.opened_ms = now_ms
        self.stage = FRESH
        self.strikes = 0
        self.conversation: Conversation | None = None
        self.mark = 0  # where the stream stood when its hello opened an interaction
        self.backlog: list[Frame] = []
        self.leaving = False


class Conversation:
    """One visitor: what they are in, and who shows it."""

    def __init__(self, visitor: str, stream: Stream, bucket: Bucket, now_ms: int) -> None:
        self.visitor = visitor
        self.stream = stream
        self.bucket = bucket
        self.topic = ""
        self.name = ""
        self.language = ""
        self.identities: tuple[str, ...] = ()
        self.claimed = ""  # what an unsigned `visitor` said
        self.newest = 0  # the last interaction
        self.open = 0  # the open interaction
        self.state = "none"
        self.agent = ""  # the name of who answers
        self.holder = ""  # who that is, to us
        self.answered = False  # somebody did, at some time
        self.attention = Attention()
        self.reason = ""
        self.shown: Estimate | None = None
        self.asked = False  # whether to call them back, and they have not said yes
        self.opening: list[Line] = []  # wait for the answer to their hello
        self.is_opening = False
        self.hellos = 0
        self.lines: list[Line] = []
        self.since_ms = now_ms  # without a socket, or over, since
        self.is_leaving = False
        self.pending: dict[str, Pending] = {}
        self.known_ids: OrderedDict[str, bytes] = OrderedDict()

    @property
    def thread(self) -> str:
        return THREAD + self.visitor

    @property
    def idle(self) -> bool:
        """Nothing holds it in memory but the hope that the visitor comes back."""
        return not (self.open or self.lines or self.is_opening or self.pending)

    def learn(self, number: int) -> None:
        """An interaction of this visitor is known to be open. Numbers grow, so an older one is old news."""
        if number > self.newest:
            self.newest = self.open = number
            self.state, self.agent, self.holder, self.reason, self.shown = "queued", "", "", "", None
            self.is_leaving = self.asked = self.answered = False
            self.attention.begin()
            self.stream.begin()
