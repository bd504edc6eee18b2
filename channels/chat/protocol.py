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
from collections.abc import Iterator
from functools import partial

from channels.chat import render as out
from channels.chat import tokens
from channels.chat.aside import Aside
from channels.chat.attention import CLOSE, WARN
from channels.chat.conversation import (
    CHANNEL,
    COME_BACK_LATER,
    FRESH,
    GOING_AWAY,
    IDLE,
    IDS_KEPT,
    LEFT,
    NO_ROUTE,
    NOT_BELIEVED,
    NOT_UNDERSTOOD,
    OPEN_STATES,
    OPENING,
    OVER,
    RETRY_S,
    SILENT,
    TALKING,
    THREAD,
    TOO_FAST,
    Conversation,
    Line,
    Pending,
    Send,
)
from channels.chat.facts import Facts
from channels.chat.limits import Bucket
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
from router.engine import commands as c
from router.engine.commands import Reply
from router.engine.events import Blob, Message
from router.engine.views import (
    Estimate,
    interaction_id,
    number_of,
)
from router.errors import (
    ClientError,
    NoRoute,
    NotFound,
    Refusal,
    RouterError,
    Unauthenticated,
)


class Room(Aside, Facts):
    """All visitors. Call a method, then carry out `actions` in order."""

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
        message = Message(frame.text, blobs, external_id=ident)
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

    def _gone(self, conversation: Conversation, answer: Reply | RouterError) -> None:
        """Refused: the next sweep tries again. Unknown to the engine: it is over, and its end was missed."""
        if isinstance(answer, RouterError):
            conversation.is_leaving = False
        if isinstance(answer, NotFound) and conversation.open:
            self._ended(conversation, "closed")


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
