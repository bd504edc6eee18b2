"""The visitors' conversation without any I/O: frames, facts and time in, actions out.

A visitor is a random id behind a signed token. A conversation is what this visitor has in memory: the stream, the open
interaction, and the sockets ("lines") that show it. The engine's name for it is the thread "chat:VISITOR".

Rules:
1. `hello` opens an interaction at once, so that who says hello stands in the queue. Only a hello that goes on (`token`
   and `last_seq`) does not: a client that reconnects by itself must not order a second conversation after the first.
2. The visitor is told what is durable and nothing else: words, agents and endings come from the facts (`informed`), in
   the order of the journal, refusals from the answers. `delivered` is the recorded fact, never the mere intention.
3. Everything after the welcome is in the stream: numbered without gaps, the same for every window, kept for a while.
4. A conversation whose interaction is open stays in memory. It is built from facts alone and never read again from a
   view, which may be one batch ahead of the facts. The exception is a start, when nothing is on its way.
5. A socket that closes is not a goodbye. A visitor without a socket for `visitor_grace` is gone; after a start
   everybody's grace begins anew.
6. A frame that is not understood costs its sender an error, never another visitor anything.
7. What is no fact (who writes, who has read) is passed on and never recorded, numbered or relied upon (`signals`).

How a socket ends, and what its client does then ("port" marks what the websocket port decides):

    code  error before it    when                                         then
    1000  -                  the visitor said leave                       nothing
    1001  -                  the server stops, or found its journal anew  come back with token and last_seq
    1003  -                  a binary frame (port)                        speak JSON text
    1008  -                  did not read what was sent (port)            come back with token and last_seq
    1009  -                  a frame of too many bytes (port)             send less
    1013  overloaded,        hello could not be recorded now              come back after retry_after_s
          unavailable, draining
    4400  bad-message        no hello first, or too much not understood   repair the client
    4401  unauthenticated    token or signed visitor wrong or too old     say hello without it
    4404  no-route           no rule takes this topic                     ask for another topic
    4408  hello-timeout      silent for `hello_timeout`                   say hello at once
    4409  -                  the visitor opened too many windows          nothing: the newest ones work
    4429  too-fast           more frames than a socket may send           slow down
    4429  too-many           the address opened too many conversations    come back after retry_after_s

Errors that leave the socket open: bad-message; and of one message, with `re`: too-large, id-reused (another text had
this id), not-found (a file), not-supported and illegal-move (what is not offered here and now), too-fast, overloaded,
unavailable, draining. What carries `retry_after_s` may be sent again, with the same id.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple, Protocol

from msgspec import structs

from channels.chat import render as out
from channels.chat import tokens
from channels.chat.attention import CLOSE, WARN, Attention
from channels.chat.letter import letter
from channels.chat.limits import Bucket, Buckets
from channels.chat.parse import (
    CallMe,
    Frame,
    Goodbye,
    Hello,
    Here,
    Ident,
    LeaveLetter,
    Read,
    Received,
    SendCopy,
    Text,
    Typing,
    ident_of,
    parse,
)
from channels.chat.render import Attachment, Said
from channels.chat.settings import Settings
from channels.chat.stream import Entry, Stream
from router.engine import commands as c
from router.engine import events as e
from router.engine.admission import CAUSES
from router.engine.commands import Reply
from router.engine.events import Blob, Message
from router.engine.views import (
    AgentView,
    CallbackOffer,
    Estimate,
    Inform,
    InteractionView,
    MessageView,
    attachments_of,
    interaction_id,
    number_of,
)
from router.engine.views import Attachment as File
from router.errors import (
    BadMessage,
    ClientError,
    IllegalMove,
    NoRoute,
    NotFound,
    NotSupported,
    Refusal,
    RouterError,
    Unauthenticated,
)
from router.service.masking import mask_cards
from router.service.signals import Marks, Signal, Writing

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


class Room:
    """All visitors. Call a method, then carry out `actions` in order."""

    def __init__(
        self, settings: Settings, look: Look, secret: bytes, chance: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self.actions: deque[Action] = deque()
        self.conversations: dict[str, Conversation] = {}
        self.refusals = 0
        self._settings = settings
        self._look = look
        self._secret = secret
        self._chance = chance
        self._lines: dict[int, Line] = {}
        self._open_ones = 0
        self._openers = Buckets(settings.hello_rate / 60, settings.hello_burst)
        self._openings = 0  # hellos on their way to the journal
        self._draining = False

    # --- what the shell tells -----------------------------------------------------------------------------------------

    def restore(self) -> int:
        """Find the visitors of the process before. Call before anything else can happen; says how many there are."""
        after, found = 0, 0
        while views := self._look.interactions(after=after, limit=1_000):
            after = number_of(views[-1].id, "i")
            for view in views:
                if view.direction == "consult":
                    continue  # between two agents; no visitor is told of it
                if view.channel == CHANNEL and view.state in OPEN_STATES and view.sender.startswith(THREAD):
                    self._rebuild(view.sender.removeprefix(THREAD), number_of(view.id, "i"))
                    found += 1
        return found

    def connected(self, number: int, address: str) -> None:
        """A socket was opened, and is line `number` from now on: one that was never used before."""
        now = self._look.now_ms()
        frames = Bucket(self._settings.frame_rate, self._settings.frame_burst, now)
        self._lines[number] = Line(number, address, frames, now)

    def received(self, number: int, data: bytes) -> None:
        """One text frame came in."""
        line = self._lines.get(number)
        if line is None or line.stage == OVER:
            return
        if not line.frames.take(self._look.now_ms()):
            self._error(line, "too-fast", "more frames than one socket may send: slow down")
            self._hang_up(line, TOO_FAST, "too fast")
            return
        try:
            frame = parse(data, self._settings.text_max)
        except ClientError as wrong:
            self._not_understood(line, wrong.code, str(wrong), ident_of(data))
            return
        self._frame(line, frame)

    def disconnected(self, number: int) -> None:
        """The socket is gone, whoever closed it."""
        line = self._lines.pop(number, None)
        if line is not None:
            self._detach(line)

    def informed(self, news: Inform) -> None:
        """A fact about an interaction of ours, durable, in the order of the journal."""
        visitor = next((t.removeprefix(THREAD) for t in news.threads if t.startswith(THREAD)), "")
        conversation = self.conversations.get(visitor)
        if conversation is None:
            if not visitor or not isinstance(news.event, e.InteractionArrived):
                return
            conversation = self._conversation(visitor, fresh=False)
        self._fact(conversation, news)

    def signalled(self, thread: str, signal: Signal) -> None:
        """Something in passing from whoever has this conversation."""
        conversation = self.conversations.get(thread.removeprefix(THREAD))
        if conversation is None or conversation.state != "active":
            return
        if isinstance(signal, Writing):
            self._whisper(conversation, out.AgentTyping(name=signal.name, on=signal.on))
            return
        at_ms = min(signal.read_ms, self._look.now_ms())
        if conversation.attention.see(at_ms):
            self._whisper(conversation, out.AgentRead(at_ms=at_ms))
        self._tell_marks(conversation)  # whoever says how far they are has just come, or wants to know

    def sweep(self) -> Iterator[None]:
        """Look at everybody once. Yields now and then, so that the shell can let others run in between."""
        for count, conversation in enumerate(list(self.conversations.values())):
            self._visit(conversation)
            if count % 100 == 99:
                yield
        limit = self._look.now_ms() - self._settings.hello_timeout
        for line in list(self._lines.values()):
            if line.stage == FRESH and line.opened_ms <= limit:
                self._error(line, "hello-timeout", "say hello when you connect")
                self._hang_up(line, SILENT, "no hello")
        yield

    def drain(self) -> None:
        """From now on nobody new: they are told to come back."""
        self._draining = True

    def close(self) -> None:
        """Send everybody away."""
        for line in list(self._lines.values()):
            self._hang_up(line, GOING_AWAY, "the server starts anew: come back with your token")

    @property
    def waiting(self) -> int:
        return sum(conversation.state == "queued" for conversation in self.conversations.values())

    @property
    def sockets(self) -> int:
        return len(self._lines)

    # --- frames -------------------------------------------------------------------------------------------------------

    def _frame(self, line: Line, frame: Frame) -> None:
        match frame:
            case _ if line.stage == OVER:
                pass
            case Hello() if line.stage == FRESH:
                self._hello(line, frame)
            case Hello():
                self._not_understood(line, "bad-message", "hello was said already", None)
            case _ if line.stage == FRESH:
                self._not_understood(line, "bad-message", "say hello first", None)
            case Typing() | Received() | Read() | Here():
                self._sign(line.conversation, frame)
            case _ if line.stage == OPENING:
                self._keep(line, frame)
            case Text():
                self._say(line, frame)
            case CallMe():
                self._call_back(line, frame)
            case LeaveLetter():
                self._leave_letter(line, frame)
            case SendCopy():
                self._send_copy(line, frame)
            case Goodbye():
                self._leave(line)

    def _not_understood(self, line: Line, code: str, message: str, re: Ident | None) -> None:
        line.strikes += 1
        self._error(line, code, message, re)
        if line.stage == FRESH or line.strikes > self._settings.strikes:
            self._hang_up(line, NOT_UNDERSTOOD, message)

    def _keep(self, line: Line, frame: Frame) -> None:
        """Hold what comes before the welcome: refused with the hello, it would belong to nobody."""
        if len(line.backlog) < self._settings.backlog:
            line.backlog.append(frame)
        elif not isinstance(frame, Goodbye):
            self._error(line, "too-fast", "wait for the welcome", getattr(frame, "id", None), RETRY_S)

    # --- hello --------------------------------------------------------------------------------------------------------

    def _hello(self, line: Line, hello: Hello) -> None:
        if self._draining:
            self._refuse_hello(line, "draining", "the server stops: come back soon", COME_BACK_LATER, RETRY_S)
            return
        try:
            conversation, epoch = self._identify(hello)
        except Unauthenticated as wrong:
            self._refuse_hello(line, wrong.code, str(wrong), NOT_BELIEVED)
            return
        line.conversation = conversation
        goes_on = epoch is not None and hello.last_seq is not None
        if conversation.open or goes_on:
            self._welcome(line, hello.last_seq if epoch == conversation.stream.epoch else None)
        else:
            self._open_for(line, conversation, hello.topic or conversation.topic or self._settings.default_topic)

    def _identify(self, hello: Hello) -> tuple[Conversation, int | None]:
        """Whose hello this is, and the epoch their numbers are from (None without a token). Raises Unauthenticated."""
        now = self._look.now_ms()
        statement = tokens.believed(self._settings.visitor_secret, hello.visitor, now) if hello.visitor else None
        claim = tokens.unseal(self._secret, hello.token) if hello.token else None
        visitor = tokens.visitor_of(self._secret, statement) if statement else ""
        if claim and visitor in ("", claim.visitor):
            conversation = self._returning(claim, now)
        else:
            claim = None  # signed in as somebody else than whose token this browser had kept: the signature counts
            conversation = self._coming(visitor, hello)
        if statement:
            conversation.identities = statement.identities()
            conversation.name = statement.name or conversation.name
        conversation.name = conversation.name or hello.name or ""
        conversation.language = hello.language or conversation.language
        return conversation, claim.epoch if claim else None

    def _coming(self, visitor: str, hello: Hello) -> Conversation:
        """Of the signed visitor, or of a new one."""
        if visitor:
            return self.conversations.get(visitor) or self._conversation(visitor, fresh=False)
        conversation = self._conversation(self._chance(16).hex(), fresh=True)
        conversation.claimed = (hello.visitor or "")[:200]
        return conversation

    def _returning(self, claim: tokens.Claim, now: int) -> Conversation:
        """The conversation of this token. An open one takes it at any age: nobody is locked out while they talk."""
        known = self.conversations.get(claim.visitor)
        if not (known and not known.idle) and claim.issued_ms + self._settings.session <= now:
            raise Unauthenticated("this token is too old: say hello without it")
        if known is None:
            known = self._rebuild(claim.visitor, claim.interaction)
        known.topic = known.topic or claim.topic
        return known

    def _open_for(self, line: Line, conversation: Conversation, topic: str) -> None:
        """Order an interaction; the welcome follows when it is recorded."""
        if not topic or not self._look.routes(CHANNEL, topic):
            self._refuse_hello(line, NoRoute.code, "nobody answers this topic: ask for another one", NO_ROUTE)
            return
        if self._is_full(conversation):
            self._refuse_hello(line, "overloaded", "too many visitors: come back soon", COME_BACK_LATER, RETRY_S)
            return
        wait_s = 0 if conversation.is_opening else self._openers.wait_s(line.address, self._look.now_ms())
        if wait_s:
            says = "too many conversations from this address: come back later"
            self._refuse_hello(line, "too-many", says, TOO_FAST, wait_s)
            return
        conversation.topic = topic
        line.stage = OPENING
        line.mark = conversation.stream.last
        conversation.opening.append(line)
        if not conversation.is_opening:
            conversation.is_opening = True
            conversation.hellos += 1
            self._openings += 1
            key = f"{conversation.thread}:hello:{conversation.stream.epoch}-{conversation.hellos}"
            self._submit(self._arrival(conversation, key, None), partial(self._opened, conversation))

    def _is_full(self, conversation: Conversation) -> bool:
        return not conversation.open and self._open_ones + self._openings >= self._settings.conversations

    def _arrival(self, conversation: Conversation, key: str, message: Message | None) -> c.Arrive:
        return c.Arrive(
            key=key,
            channel=CHANNEL,
            threads=(conversation.thread,),
            identities=(f"visitor:{conversation.visitor}", *conversation.identities),
            sender=conversation.thread,
            recipient=conversation.topic,
            name=conversation.name,
            language=conversation.language,
            attributes={"claimed_visitor": conversation.claimed} if conversation.claimed else {},
            message=message,
        )

    def _opened(self, conversation: Conversation, answer: Reply | RouterError) -> None:
        """The hello is recorded, or refused."""
        conversation.is_opening = False
        self._openings -= 1
        lines, conversation.opening = conversation.opening, []
        if isinstance(answer, Reply):
            self._learn(conversation, answer.interaction)
        for line in lines:
            if isinstance(answer, Reply):
                self._welcome(line, None)
            elif isinstance(answer, Refusal):
                self._refuse_hello(line, answer.code, str(answer), COME_BACK_LATER, answer.retry_after_s)
            else:
                code = NO_ROUTE if isinstance(answer, NoRoute) else NOT_UNDERSTOOD
                self._refuse_hello(line, answer.code, str(answer), code)

    def _refuse_hello(self, line: Line, code: str, message: str, close: int, retry_after_s: int = 0) -> None:
        self.refusals += 1
        self._error(line, code, message, None, retry_after_s)
        self._hang_up(line, close, message)

    def _welcome(self, line: Line, last_seq: int | None) -> None:
        """Attach a line: resumed after `last_seq`, from the start of what its hello opened, or with the transcript."""
        conversation = line.conversation
        assert conversation is not None
        stream = conversation.stream
        after = line.mark if line.mark else last_seq
        missed = stream.since(after) if after is not None else None
        welcome = self._standing(conversation, resumed=missed is not None and not line.mark)
        if not welcome.resumed:
            welcome.messages = () if missed is not None else stream.transcript()
            welcome.truncated = missed is None and stream.truncated
        line.stage = TALKING
        self._attach(line, conversation)
        missed = missed or []
        self.actions.append(Send(line.number, out.encode(welcome, stream.last - len(missed))))
        for entry in missed:
            self.actions.append(Send(line.number, entry.seen_by(line.number)))
        backlog, line.backlog = line.backlog, []
        for frame in backlog:
            self._frame(line, frame)

    def _standing(self, conversation: Conversation, resumed: bool) -> out.Welcome:
        """The present state of a conversation, as a welcome says it."""
        claim = tokens.Claim(
            conversation.visitor,
            conversation.stream.epoch,
            self._look.now_ms(),
            conversation.topic,
            conversation.newest,
        )
        return out.Welcome(
            token=tokens.seal(self._secret, claim),
            interaction=interaction_id(conversation.newest) if conversation.newest else None,
            resumed=resumed,
            state=conversation.state,
            name=conversation.agent,
            position=conversation.shown.position if conversation.shown else 0,
            expected_wait_s=conversation.shown.expected_wait_s if conversation.shown else None,
            reason=conversation.reason,
            callback_offered=conversation.asked,
            read_ms=conversation.attention.seen_ms,
            closes_at_ms=self._closes_at(conversation),
            letter=self._may_write(conversation),
            transcript=self._may_copy(conversation),
        )

    # --- words --------------------------------------------------------------------------------------------------------

    def _say(self, line: Line, frame: Text) -> None:
        conversation = line.conversation
        assert conversation is not None
        if not conversation.bucket.take(self._look.now_ms()):
            wait_s = conversation.bucket.wait_s()
            self._error(line, "too-fast", "more messages than one visitor may send: slow down", frame.id, wait_s)
            return
        if self._is_full(conversation):
            self._error(line, "overloaded", "too many visitors: send it again soon", frame.id, RETRY_S)
            return
        try:
            blobs = tuple(self._blob(conversation, sealed) for sealed in frame.files)
        except NotFound as wrong:
            self._error(line, wrong.code, str(wrong), frame.id)
            return
        said = "\n".join((frame.text, *(blob.digest for blob in blobs)))
        ident, digest = str(frame.id), hashlib.blake2b(said.encode(), digest_size=8).digest()
        if conversation.known_ids.get(ident, digest) != digest:
            self._error(line, "id-reused", "another text had this id: give it one of its own", frame.id)
            return
        self._remember(conversation, ident, digest)
        mine = Pending(line.number, frame.id)
        conversation.pending.setdefault(ident, mine)
        text = mask_cards(frame.text) if self._settings.mask_cards else frame.text
        message = Message(text, blobs, external_id=ident)
        command = self._arrival(conversation, f"{conversation.thread}:{ident}", message)
        self._submit(command, partial(self._said, conversation, mine))

    def _blob(self, conversation: Conversation, sealed: str) -> Blob:
        """The uploaded file behind a ticket. Raises NotFound for one that is another visitor's, or no ticket."""
        ticket = tokens.unseal_file(self._secret, sealed)
        if ticket.visitor != conversation.visitor:
            raise NotFound("there is no such file: upload it first")
        return Blob(ticket.digest, ticket.size, ticket.media_type, ticket.name)

    def _remember(self, conversation: Conversation, ident: str, digest: bytes) -> None:
        conversation.known_ids[ident] = digest
        conversation.known_ids.move_to_end(ident)
        if len(conversation.known_ids) > IDS_KEPT:
            conversation.known_ids.popitem(last=False)

    def _said(self, conversation: Conversation, mine: Pending, answer: Reply | RouterError) -> None:
        """A repetition is confirmed here, and a refusal told. A new message is confirmed by its fact."""
        if isinstance(answer, RouterError):
            self._no_longer_pending(conversation, mine, forget=True)
            retry_after_s = answer.retry_after_s if isinstance(answer, Refusal) else 0
            error = out.Error(code=answer.code, message=str(answer), re=mine.ident, retry_after_s=retry_after_s)
            self._put(conversation, error)
        elif answer.duplicate:
            self._no_longer_pending(conversation, mine, forget=False)
            self._put(conversation, out.Delivered(re=mine.ident, at_ms=self._look.now_ms(), duplicate=True))

    def _no_longer_pending(self, conversation: Conversation, mine: Pending, forget: bool) -> None:
        """No fact will come for this copy. Another copy of the same message may still be waiting for its own."""
        ident = str(mine.ident)
        if conversation.pending.get(ident) is mine:
            del conversation.pending[ident]
            if forget:
                conversation.known_ids.pop(ident, None)

    def _call_back(self, line: Line, frame: CallMe) -> None:
        """What comes of it is told by the fact: the conversation ends, and they are called."""
        conversation = line.conversation
        assert conversation is not None
        if not conversation.asked:
            self._error(line, IllegalMove.code, "nobody asked whether to call you back")
            return
        command = c.RequestCallback(
            key=f"{conversation.thread}:callback:{conversation.open}",
            thread=conversation.thread,
            to=frame.phone,
            not_before_ms=frame.at_ms or 0,
        )
        self._submit(command, partial(self._not_called, line))

    def _not_called(self, line: Line, answer: Reply | RouterError) -> None:
        if isinstance(answer, RouterError):
            retry_after_s = answer.retry_after_s if isinstance(answer, Refusal) else 0
            self._error(line, answer.code, str(answer), None, retry_after_s)

    # --- in passing ---------------------------------------------------------------------------------------------------

    def _sign(self, conversation: Conversation | None, frame: Typing | Received | Read | Here) -> None:
        """The visitor types, has got or read something, or is simply there."""
        if conversation is None or not conversation.open:
            return
        now, attention = self._look.now_ms(), conversation.attention
        if not isinstance(frame, Received) and attention.alive(now):
            self._put(conversation, out.Idle(closes_at_ms=0))
        match frame:
            case Typing() if attention.types(frame.on, now):
                self._tell(conversation, Writing(frame.on, conversation.name))
            case Received() if attention.mark(min(frame.at_ms, now), 0):
                self._tell_marks(conversation)
            case Read() if attention.mark(0, min(frame.at_ms, now)):
                self._tell_marks(conversation)
            case _:
                pass  # nothing new

    def _tell(self, conversation: Conversation, signal: Signal) -> None:
        if conversation.holder:
            self.actions.append(Tell(conversation.holder, conversation.open, signal))

    def _tell_marks(self, conversation: Conversation) -> None:
        attention = conversation.attention
        if attention.received_ms:
            self._tell(conversation, Marks(attention.read_ms, attention.received_ms))

    def _whisper(self, conversation: Conversation, frame: out.Frame) -> None:
        """To every window, under no number of its own, never again."""
        data = out.encode(frame, conversation.stream.last)
        for line in conversation.lines:
            self.actions.append(Send(line.number, data))

    # --- mail ---------------------------------------------------------------------------------------------------------

    def _may_write(self, conversation: Conversation) -> bool:
        """Whether a letter can be left: where the door was closed, and not where somebody has just been talked to."""
        is_closed = not conversation.open and conversation.reason in CAUSES
        return self._settings.offline is not None and is_closed and conversation.attention.letters < LETTERS_MAX

    def _leave_letter(self, line: Line, frame: LeaveLetter) -> None:
        conversation, offline = line.conversation, self._settings.offline
        assert conversation is not None
        if offline is None or not self._may_write(conversation):
            self._error(line, IllegalMove.code, "no letter can be left here now", frame.id)
            return
        wait_s = self._openers.wait_s(line.address, self._look.now_ms())
        if wait_s:
            self._error(line, "too-fast", "too many letters from this address", frame.id, wait_s)
            return
        try:
            raw = letter(
                visitor=conversation.visitor,
                ident=frame.id,
                to=offline.mail_to,
                subject=f"{offline.subject}: {conversation.topic}",
                email=frame.email,
                name=frame.name or conversation.name,
                language=conversation.language,
                text=frame.text,
            )
        except ValueError:
            self._error(line, BadMessage.code, "email: one address, such as eva@example.com", frame.id)
            return
        conversation.attention.letters += 1
        self.actions.append(Post(raw, offline.mail_to, partial(self._posted, conversation, frame.id)))

    def _posted(self, conversation: Conversation, ident: Ident, problem: RouterError | None) -> None:
        if problem is None:
            self._put(conversation, out.Delivered(re=ident, at_ms=self._look.now_ms()))
            return
        conversation.attention.letters -= 1
        retry_after_s = problem.retry_after_s if isinstance(problem, Refusal) else 0
        error = out.Error(code=problem.code, message=str(problem), re=ident, retry_after_s=retry_after_s)
        self._put(conversation, error)

    def _may_copy(self, conversation: Conversation) -> bool:
        return self._settings.mailed_transcript is not None and conversation.answered

    def _send_copy(self, line: Line, frame: SendCopy) -> None:
        conversation, policy = line.conversation, self._settings.mailed_transcript
        assert conversation is not None
        if policy is None:
            self._error(line, NotSupported.code, "no transcripts are sent here", frame.id)
            return
        if not self._may_copy(conversation):
            self._error(line, IllegalMove.code, "nobody has answered yet", frame.id)
            return
        if policy.to == "signed" and f"mailto:{frame.email.lower()}" not in conversation.identities:
            self._error(line, NotSupported.code, "transcripts go to the address that is known of you only", frame.id)
            return
        command = c.SendCopy(
            key=f"{conversation.thread}:copy:{conversation.newest}",
            thread=conversation.thread,
            channel="email",
            address=frame.email,
            sender=policy.sender,
        )
        self._submit(command, partial(self._copied, conversation, frame.id))

    def _copied(self, conversation: Conversation, ident: Ident, answer: Reply | RouterError) -> None:
        if isinstance(answer, Reply):
            self._put(conversation, out.Delivered(re=ident, at_ms=self._look.now_ms(), duplicate=answer.duplicate))
            return
        retry_after_s = answer.retry_after_s if isinstance(answer, Refusal) else 0
        error = out.Error(code=answer.code, message=str(answer), re=ident, retry_after_s=retry_after_s)
        self._put(conversation, error)

    # --- goodbye ------------------------------------------------------------------------------------------------------

    def _leave(self, line: Line) -> None:
        conversation = line.conversation
        assert conversation is not None
        if not conversation.open:
            self._hang_up(line, LEFT, "goodbye")
            return
        line.leaving = True
        key = f"{conversation.thread}:leave:{conversation.open}"
        command = c.Leave(key=key, thread=conversation.thread, reason="left")
        self._submit(command, partial(self._parted, conversation, line))

    def _parted(self, conversation: Conversation, line: Line, answer: Reply | RouterError) -> None:
        """`ended` comes from the fact. Only what stands in its way is told here."""
        if isinstance(answer, NotFound) or (isinstance(answer, Reply) and not conversation.open):
            self._hang_up(line, LEFT, "goodbye")
        elif isinstance(answer, RouterError):
            line.leaving = False
            retry_after_s = answer.retry_after_s if isinstance(answer, Refusal) else 0
            self._error(line, answer.code, str(answer), None, retry_after_s)

    # --- facts --------------------------------------------------------------------------------------------------------

    def _fact(self, conversation: Conversation, news: Inform) -> None:
        match news.event:
            case e.InteractionArrived() as arrived:
                self._learn(conversation, news.interaction)
                self._queued(conversation)
                if arrived.message is not None:
                    self._word(conversation, "customer", arrived.message, "", news.at_ms)
            case e.MessageAdded() as added if news.interaction == conversation.newest:
                name = news.agent_name or conversation.agent if added.author == "agent" else ""
                self._word(conversation, added.author, added.message, name, news.at_ms)
            case _ if news.interaction != conversation.open:
                pass  # about one that is over
            case e.OfferAccepted() as accepted:
                conversation.state, conversation.shown, conversation.asked = "active", None, False
                self._answers(conversation, accepted.agent, news.agent_name)
            case e.ConsultCompleted() as given:
                self._answers(conversation, given.agent, news.agent_name)
            case e.ConsultJoined():
                self._put(conversation, out.Joined(name=news.agent_name, transcript=self._may_copy(conversation)))
            case e.Requeued() | e.Transferred() | e.ConnectFailed() | e.Moved():
                conversation.state, conversation.agent, conversation.holder = "queued", "", ""
                conversation.attention.spoke("customer", news.at_ms)  # it is our turn again
                self._queued(conversation, "moved" if isinstance(news.event, e.Transferred) else "returned")
            case e.CallbackOffered() as asked:
                self._ask(conversation, asked.told)
            case e.InteractionEnded() as ended:
                self._ended(conversation, IDLE if ended.why == IDLE else ended.reason, ended.told)
            case _:
                pass  # the desk's own business

    def _answers(self, conversation: Conversation, holder: str, name: str) -> None:
        """From here on it is this agent who has the conversation."""
        conversation.holder, conversation.agent, conversation.answered = holder, name, True
        conversation.attention.seen_ms = 0
        self._put(conversation, out.Joined(name=name, transcript=self._may_copy(conversation)))

    def _word(self, conversation: Conversation, author: str, message: Message, name: str, now: int) -> None:
        """Something was said. A visitor's own word goes back to its sender as `delivered`, under the same number."""
        ident: Ident | None = None
        own, sender = None, 0
        if author == "customer" and message.external_id:
            pending = conversation.pending.pop(message.external_id, None)
            ident = pending.ident if pending else message.external_id
            if pending:
                own, sender = out.Delivered(re=ident, at_ms=now), pending.line
        if not message.text and not message.blobs:
            return  # a hello that met an open interaction: nobody said anything
        if author == "customer" and conversation.attention.alive(now):
            self._put(conversation, out.Idle(closes_at_ms=0))
        conversation.attention.spoke(author, now)
        view = MessageView(author, now, message.text, name, attachments_of(message))
        said = self._as_said(conversation, view, ident)
        conversation.stream.say(said)
        frame = out.Message(author=author, text=said.text, at_ms=now, id=ident, name=name, attachments=said.attachments)
        self._put(conversation, frame, sender, own)

    def _queued(self, conversation: Conversation, reason: str = "") -> None:
        # Who is being offered, or was taken in the batch behind this fact, has no place in the line: they are next.
        conversation.shown = self._look.estimate(conversation.open) or Estimate(1, None)
        self._show_place(conversation, conversation.shown, reason)

    def _show_place(self, conversation: Conversation, place: Estimate, reason: str) -> None:
        name, wait = interaction_id(conversation.open), place.expected_wait_s
        self._put(
            conversation, out.Queued(interaction=name, position=place.position, expected_wait_s=wait, reason=reason)
        )

    def _ask(self, conversation: Conversation, told: str) -> None:
        """Nobody is asked who cannot be called: where no gateway can, the fact is none of the visitor's business."""
        if self._look.callback_offer(conversation.open) is not None:
            conversation.asked = True
            self._put(conversation, out.CallbackOffered(interaction=interaction_id(conversation.open), text=told))

    def _ended(self, conversation: Conversation, reason: str, told: str = "") -> None:
        frame = out.Ended(interaction=interaction_id(conversation.open), reason=reason, text=told)
        conversation.open, conversation.state, conversation.agent, conversation.asked = 0, "ended", "", False
        conversation.holder, conversation.reason, conversation.shown = "", reason, None
        conversation.attention.asked_ms = conversation.attention.owing_ms = 0
        frame.letter = self._may_write(conversation)
        conversation.since_ms = self._look.now_ms()
        self._open_ones -= 1
        self._put(conversation, frame)
        for line in [line for line in conversation.lines if line.leaving]:
            self._hang_up(line, LEFT, "goodbye")

    # --- time ---------------------------------------------------------------------------------------------------------

    def _visit(self, conversation: Conversation) -> None:
        away_ms = self._look.now_ms() - conversation.since_ms
        if conversation.open and not conversation.lines:
            if away_ms >= self._settings.visitor_grace and not conversation.is_leaving:
                conversation.is_leaving = True
                command = c.Leave(thread=conversation.thread, reason="gone")
                self._submit(command, partial(self._gone, conversation))
        elif conversation.state == "queued":
            place = self._look.estimate(conversation.open)
            if place is not None and _is_news(conversation.shown, place):
                # In the line itself nobody passes by: a place is lost to somebody of higher priority alone (RT-13).
                risen = conversation.shown is not None and place.position > conversation.shown.position
                conversation.shown = place
                self._show_place(conversation, place, "higher-priority" if risen else "")
        elif conversation.state == "active":
            self._look_for_life(conversation)
        elif conversation.idle and away_ms >= self._settings.keep_ended:
            self._forget(conversation)

    def _look_for_life(self, conversation: Conversation) -> None:
        now, attention = self._look.now_ms(), conversation.attention
        due = attention.due(now, self._settings.idle_warn, self._settings.idle_close)
        if due == WARN:
            attention.asked_ms = now
            self._put(conversation, out.Idle(closes_at_ms=self._closes_at(conversation)))
        elif due == CLOSE and not conversation.is_leaving:
            conversation.is_leaving = True
            self._submit(c.Leave(thread=conversation.thread, reason=IDLE), partial(self._gone, conversation))

    def _closes_at(self, conversation: Conversation) -> int:
        asked_ms = conversation.attention.asked_ms
        return asked_ms + self._settings.idle_close if asked_ms else 0

    def _gone(self, conversation: Conversation, answer: Reply | RouterError) -> None:
        """Refused: the next sweep tries again. Unknown to the engine: it is over, and its end was missed."""
        if isinstance(answer, RouterError):
            conversation.is_leaving = False
        if isinstance(answer, NotFound) and conversation.open:
            self._ended(conversation, "closed")

    # --- bookkeeping --------------------------------------------------------------------------------------------------

    def _conversation(self, visitor: str, fresh: bool) -> Conversation:
        """A new place in memory. `fresh`: this visitor never had one, so the numbers may start at 1."""
        s, now = self._settings, self._look.now_ms()
        epoch = int.from_bytes(self._chance(4), "big")
        stream = Stream(epoch, 1 if fresh else now, s.ring, s.transcript, s.transcript_max)
        conversation = Conversation(visitor, stream, Bucket(s.message_rate, s.message_burst, now), now)
        self.conversations[visitor] = conversation
        return conversation

    def _rebuild(self, visitor: str, interaction: int) -> Conversation:
        """From what the desk still knows of this interaction."""
        conversation = self._conversation(visitor, fresh=False)
        try:
            view = self._look.interaction(interaction)
        except NotFound:
            return conversation
        if view.sender != conversation.thread:
            return conversation
        self._learn(conversation, interaction)
        conversation.topic, conversation.name, conversation.language = view.recipient, view.name, view.language
        for said in view.messages:
            self._recall(conversation, said)
        conversation.answered = view.state == "active" or any(said.author == "agent" for said in view.messages)
        if view.state == "active":
            conversation.state, conversation.agent = "active", self._name_of(view.agent)
            conversation.holder = view.agent
        elif view.state in OPEN_STATES:
            conversation.shown = self._look.estimate(interaction) or Estimate(1, None)
            conversation.asked = self._look.callback_offer(interaction) is not None
        else:
            self._open_ones -= 1
            conversation.open, conversation.state, conversation.reason = 0, "ended", view.reason
        return conversation

    def _recall(self, conversation: Conversation, said: MessageView) -> None:
        if said.text or said.attachments:
            name = self._name_of(said.agent) if said.author == "agent" else ""
            conversation.stream.say(self._as_said(conversation, structs.replace(said, agent=name), None))
            conversation.attention.spoke(said.author, said.at_ms)

    def _as_said(self, conversation: Conversation, said: MessageView, ident: Ident | None) -> Said:
        """As visitors see it; `said.agent` is a name here."""
        files = tuple(self._file(conversation, blob) for blob in said.attachments)
        return Said(author=said.author, text=said.text, at_ms=said.at_ms, id=ident, name=said.agent, attachments=files)

    def _file(self, conversation: Conversation, blob: File) -> Attachment:
        ticket = tokens.Ticket(conversation.visitor, blob.digest, blob.size, blob.media_type, blob.name)
        url = f"{FILES}/{tokens.seal_file(self._secret, ticket)}"
        return Attachment(blob.name, blob.media_type, blob.size, url)

    def _name_of(self, agent: str) -> str:
        """As visitors see the agent, who may no longer be in the configuration."""
        try:
            return self._look.agent(agent).name
        except NotFound:
            return agent

    def _learn(self, conversation: Conversation, number: int) -> None:
        was_open = bool(conversation.open)
        conversation.learn(number)
        self._open_ones += bool(conversation.open) - was_open
        if not conversation.lines:
            conversation.since_ms = self._look.now_ms()

    def _forget(self, conversation: Conversation) -> None:
        if self.conversations.get(conversation.visitor) is conversation:
            del self.conversations[conversation.visitor]

    def _attach(self, line: Line, conversation: Conversation) -> None:
        conversation.lines.append(line)
        if len(conversation.lines) > self._settings.sockets_per_visitor:
            self._hang_up(conversation.lines[0], TOO_MANY_WINDOWS, "opened again elsewhere too often")

    def _detach(self, line: Line) -> None:
        """The line shows nothing any more. Who was only trying to come in leaves no trace."""
        conversation, line.conversation, line.stage, line.backlog = line.conversation, None, OVER, []
        if conversation is None:
            return
        for lines in (conversation.lines, conversation.opening):
            if line in lines:
                lines.remove(line)
        if not conversation.lines:
            conversation.since_ms = self._look.now_ms()
        if conversation.idle and not conversation.newest:
            self._forget(conversation)

    def _hang_up(self, line: Line, code: int, reason: str) -> None:
        if line.stage != OVER:
            self._detach(line)
            self.actions.append(HangUp(line.number, code, reason))

    def _submit(self, command: c.AnyCommand, answered: Callable[[Reply | RouterError], None]) -> None:
        self.actions.append(Submit(command, answered))

    def _put(self, conversation: Conversation, frame: out.Frame, sender: int = 0, own: out.Frame | None = None) -> None:
        entry = conversation.stream.put(frame, sender, own)
        self._show(entry, conversation.lines)

    def _show(self, entry: Entry, lines: Iterable[Line]) -> None:
        for line in lines:
            self.actions.append(Send(line.number, entry.seen_by(line.number)))

    def _error(self, line: Line, code: str, message: str, re: Ident | None = None, retry_after_s: int = 0) -> None:
        """In the stream once there was a welcome: other windows see it too, and nobody's numbers have a gap."""
        if line.stage == OVER:
            return
        error = out.Error(code=code, message=message, re=re, retry_after_s=retry_after_s)
        if line.stage == TALKING and line.conversation is not None:
            self._put(line.conversation, error)
        else:
            self.actions.append(Send(line.number, out.encode(error, 0)))


def _is_news(shown: Estimate | None, place: Estimate) -> bool:
    """Whether it is worth a word: another place, or a wait that differs by more than a fifth and ten seconds.

    An estimate moves with every second, and nobody wants to read that.
    """
    if shown is None or shown.position != place.position:
        return True
    old, new = shown.expected_wait_s, place.expected_wait_s
    if old is None or new is None:
        return old is not new
    return abs(new - old) > max(10, old // 5)
