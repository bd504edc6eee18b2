"""The agents' link without I/O: what comes in, what goes out, and what every agent's client knows.

    AgentHub        all agents: who has which sessions, the kept part of each stream, the answers given
    Conversation    one session: bytes in through `received`, bytes out through its `Wire`

Life of a session: connected -> `hello` with a good token -> OpenSession is asked of the engine -> durable: `welcome`
-> live. Commands may follow `hello` at once; the engine takes them in order. The end of the connection asks
CloseSession, again and again until it is taken: an agent who is gone must not be offered work.

Numbers (AG-3). The engine numbers what an agent is told, without gaps, and tells it when it is durable. A snapshot is
taken right when OpenSession was asked and shown when that is durable, so whatever it contains is durable too. It holds
number S; the session then gets S+1, S+2, ... from the kept messages and as they come. What is told with a number up to
S is in the snapshot already, and is skipped. Nobody sees a number that a crash could take back.

Answers (AG-4). One answer for each (agent, id), kept for the last few hundred, shared by all who ask while it is being
decided. A refusal (come back later) decided nothing and is not kept: the same id is then tried anew. After a restart
the engine's own memory of keys takes over.

Tokens are looked up by their digest, so that neither the time that takes nor our memory tells one.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Callable, Container, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from msgspec import UNSET, Struct

from router.agents import messages as m
from router.agents.asking import COMMANDS
from router.agents.render import render, welcome
from router.agents.settings import Settings
from router.engine import commands as c
from router.engine.views import AgentView, Tell, interaction_id, number_of
from router.errors import BadMessage, ClientError, ConfigError, NotFound, NotOwner, Refusal, RouterError
from router.observe import counter, get_logger
from router.service.attempts import Failures
from router.service.signals import Marks, Signal, Signals, Writing

if TYPE_CHECKING:
    from router.service.ports import Desk
    from router.service.roles import Identity

log = get_logger("agents")
_messages = counter("agent_messages_total", "Messages from agents' clients, by type.", ("type",))
_failures = counter("agent_sign_in_failures_total", "Agents' clients that could not sign in, by code.", ("code",))
_broken = counter("agent_streams_broken_total", "Agents' streams started anew after a gap.")

# Close codes of the agents' link. A client comes back by itself after 1012 and 1013; after 44xx something must change.
RESTARTING = 1012
TRY_AGAIN_LATER = 1013
BAD_HELLO = 4400
UNAUTHENTICATED = 4401
NO_SUCH_AGENT = 4404
HELLO_TIMEOUT = 4408
TOO_MANY = 4429

CLOSE_RETRY_S = 1.0  # until an engine that was busy is asked again to close a session

Later = Callable[[float, Callable[[], None]], object]
Redeem = Callable[[str], "Identity | None"]  # a ticket for a websocket -> whose it is; good once


def no_tickets(ticket: str) -> None:
    return None


class Wire(Protocol):
    """One connection, as far as a conversation needs it. `router.service.sockets.Peer` is one."""

    address: str

    def send(self, text: bytes) -> None: ...
    def close(self, code: int, reason: str) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


def answer_of(re: str | int, answer: c.Reply | RouterError) -> bytes:
    if isinstance(answer, c.Reply):
        return m.encode(m.Ok(re=re, interaction=interaction_id(answer.interaction) if answer.interaction else ""))
    return m.encode(_error(answer, re))


def _error(problem: RouterError, re: str | int | None = None) -> m.Error:
    retry_ms = problem.retry_after_s * 1000 if isinstance(problem, Refusal) else 0
    return m.Error(re=re, code=problem.code, message=str(problem), retry_after_ms=retry_ms)


# --- what is kept -----------------------------------------------------------------------------------------------------


class Kept:
    """The last messages of one agent's stream, as bytes: a run of numbers without a gap."""

    __slots__ = ("bytes", "last", "settings", "texts")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.texts: deque[bytes] = deque()
        self.bytes = 0
        self.last = -1  # number of the newest; -1: none was seen, so nothing is known of the past

    def add(self, text: bytes) -> None:
        """The next one."""
        settings, texts = self.settings, self.texts
        self.last += 1
        self.bytes += len(text)
        texts.append(text)
        while len(texts) > settings.keep_messages or self.bytes > settings.keep_bytes:
            self.bytes -= len(texts.popleft())

    def start_after(self, number: int) -> None:
        self.texts.clear()
        self.bytes = 0
        self.last = number

    def since(self, number: int) -> list[bytes] | None:
        """All after this number; None if that cannot be told any more."""
        missing = self.last - number
        if self.last < 0 or missing < 0 or missing > len(self.texts):
            return None
        return list(islice(self.texts, len(self.texts) - missing, None))


class Answer:
    """The one answer to an agent's (id, message); until it is there, those who wait for it."""

    __slots__ = ("fingerprint", "key", "line", "re", "text", "waiting")

    def __init__(self, line: Line, key: str, asked: m.Asked, first: Conversation) -> None:
        self.line, self.key, self.re, self.fingerprint = line, key, asked.id, hash(asked)
        self.text = b""
        self.waiting: tuple[Conversation, ...] = (first,)

    def done(self, answer: c.Reply | RouterError) -> None:
        self.text = answer_of(self.re, answer)
        if type(answer) is c.Reply or isinstance(answer, ClientError):
            self.line.keep_the_last()
        else:  # a refusal decided nothing
            del self.line.answers[self.key]
        waiting, self.waiting = self.waiting, ()
        for conversation in waiting:
            conversation._answered(self.text)


class Line:
    """One agent: sessions, stream and answers."""

    __slots__ = ("answers", "hub", "kept", "sessions")

    def __init__(self, hub: AgentHub) -> None:
        self.hub = hub
        self.sessions: list[Conversation] = []
        self.kept = Kept(hub.settings)
        self.answers: dict[str, Answer] = {}

    def keep_the_last(self) -> None:
        """Forget the oldest answer, if there are too many."""
        if len(self.answers) > self.hub.settings.keep_answers:
            for answer in self.answers.values():
                if answer.text:
                    del self.answers[answer.key]
                    return


# --- a session --------------------------------------------------------------------------------------------------------


class _Greeting(Struct, frozen=True):
    """What `hello` asked, and what there was at that moment."""

    hello: m.Hello
    view: AgentView


class Conversation:
    """One session of an agent. Implements `router.service.sockets.Receiver`."""

    __slots__ = (
        "_closed",
        "_greeting",
        "_hub",
        "_in_flight",
        "_line",
        "_live",
        "_refused",
        "_signals",
        "_wire",
        "agent",
        "proof",
        "seq",
        "session",
    )

    def __init__(self, hub: AgentHub, wire: Wire) -> None:
        self.agent = ""  # until `hello` was understood
        self.session = ""
        self.proof = b""  # the digest of the sign-in that this rests on; b"": a token of the configuration
        self.seq = 0  # of the last message that this client was given
        self._hub = hub
        self._wire = wire
        self._line: Line | None = None
        self._greeting: _Greeting | None = None
        self._live = False
        self._closed = False
        self._refused = False
        self._signals = False
        self._in_flight = 0

    # What comes in.

    def received(self, text: bytes) -> None:
        try:
            message = m.decode(text)
        except BadMessage as problem:
            self._not_understood(text, problem)
            return
        _COUNT[type(message)].inc()
        line = self._line
        if isinstance(message, m.Hello):
            self._hello(message)
        elif line is None:
            error = m.Error(re=message.id, code="hello-first", message="say hello before anything else")
            self._send_off(BAD_HELLO, error)
        elif isinstance(message, _PASSING):
            self._pass_on(message)
        else:
            self._ask(line, message)

    def closed(self) -> None:
        """The connection is gone."""
        if self._closed:
            return
        self._closed = True
        self._live = False
        self._hub.conversations.discard(self)
        if self._line is not None:
            self._line.sessions.remove(self)
            self._hub.signed_in -= 1
            self._hub.close_session(self)

    def hello_overdue(self) -> None:
        """Called by the shell when the time for `hello` is over."""
        if self._line is None and not self._closed:
            self._send_off(HELLO_TIMEOUT, m.Error(code="hello-first", message="no hello came in time"))

    def _not_understood(self, text: bytes, problem: BadMessage) -> None:
        _messages.labels("not-understood").inc()
        error = _error(problem, m.id_of(text))
        if self._line is None:
            self._send_off(BAD_HELLO, error)
        else:
            self._wire.send(m.encode(error))

    # Signing in.

    def _hello(self, hello: m.Hello) -> None:
        if self._line is not None:
            error = m.Error(re=hello.id, code="already-open", message="this connection has said hello before")
            self._wire.send(m.encode(error))
            return
        refusal = self._hub.refusal(self, hello)
        if refusal is not None:
            _failures.labels(refusal[1].code).inc()
            self._send_off(*refusal)
            return
        self._signals = hello.signals
        line = self._line = self._hub.line(self.agent)
        line.sessions.append(self)
        self._hub.signed_in += 1
        self.session = self._hub.next_session()
        self._hub.desk.submit(c.OpenSession(agent=self.agent, session=self.session), self._opened)
        # Taken now, shown when durable: see the module.
        self._greeting = _Greeting(hello, self._hub.desk.agent(self.agent))

    def _opened(self, answer: c.Reply | RouterError) -> None:
        if self._closed:
            return
        assert self._greeting is not None, "the desk answers later, never at once"
        assert self._line is not None
        greeting, self._greeting = self._greeting, None
        if isinstance(answer, RouterError):
            self._refused = True
            code = TRY_AGAIN_LATER if isinstance(answer, Refusal) else NO_SUCH_AGENT
            self._send_off(code, _error(answer, greeting.hello.id))
            return
        for why in greeting.view.warnings:
            log.warning("Agent cannot be connected", action="agent_without_endpoint", agent=self.agent, why=why)
        missed = self._missed(self._line.kept, greeting)
        if missed is None:
            self._hub.broken(self._line, self.agent)
            return
        self._live = True
        for text in missed:
            self.seq += 1
            self._wire.send(text)
        if greeting.hello.id is not None:
            self._wire.send(m.encode(m.Ok(re=greeting.hello.id)))

    def _missed(self, kept: Kept, greeting: _Greeting) -> list[bytes] | None:
        """Say welcome; what follows it. None only if the stream outran what is kept."""
        view, last_seq, now_ms = greeting.view, greeting.hello.last_seq, self._hub.desk.now_ms()
        if last_seq is not None:
            missed = kept.since(last_seq)
            if missed is None and last_seq == view.stream and kept.last < last_seq:
                missed = []
            if missed is not None:
                self.seq = last_seq
                resumed = m.Welcome(
                    seq=last_seq, agent=self.agent, resumed=True, session=self.session, server_time_ms=now_ms
                )
                self._wire.send(m.encode(resumed))
                return missed
        self.seq = view.stream
        missed = [] if kept.last <= view.stream else kept.since(view.stream)
        if missed is not None:
            self._wire.send(m.encode(welcome(view, self.session, now_ms)))
        return missed

    # What is recorded nowhere.

    def _pass_on(self, message: m.Passing) -> None:
        try:
            self._hub.pass_on(self.agent, message)
        except ClientError as problem:
            self._wire.send(answer_of(message.id, problem))
        else:
            self._wire.send(m.encode(m.Ok(re=message.id)))

    def whisper(self, text: bytes) -> None:
        """Something in passing, without a number."""
        if self._live and self._signals:
            self._wire.send(text)

    # Commands.

    def _ask(self, line: Line, asked: m.Asked) -> None:
        key, agent = str(asked.id), self.agent
        answer = line.answers.get(key)
        if answer is not None:
            self._asked_before(asked, answer)
            return
        try:
            if type(asked) is m.Say:
                self._hub.check_uploads(asked)
            command = COMMANDS[type(asked)](asked, agent, f"agent:{agent}:{key}")
        except ClientError as problem:  # nothing was decided, so nothing is kept
            self._wire.send(answer_of(asked.id, problem))
            return
        answer = line.answers[key] = Answer(line, key, asked, self)
        self._wait()
        self._hub.desk.submit(command, answer.done)

    def _asked_before(self, asked: m.Asked, answer: Answer) -> None:
        if answer.fingerprint != hash(asked):
            text = "this id was used for something else; ids are unique for each agent, so take random ones"
            self._wire.send(m.encode(m.Error(re=asked.id, code="id-reused", message=text)))
        elif answer.text:
            self._wire.send(answer.text)
        else:
            answer.waiting += (self,)
            self._wait()

    def _wait(self) -> None:
        self._in_flight += 1
        if self._in_flight == self._hub.settings.max_in_flight:
            self._wire.pause()

    def _answered(self, text: bytes) -> None:
        self._in_flight -= 1
        if self._in_flight == self._hub.settings.max_in_flight - 1:
            self._wire.resume()
        if not self._closed:
            self._wire.send(text)

    # What goes out.

    def _push(self, stream: int, text: bytes) -> None:
        if self._live and stream > self.seq:
            assert stream == self.seq + 1, "a session missed a number"
            self.seq = stream
            self._wire.send(text)

    def _send_off(self, code: int, error: m.Error) -> None:
        self._wire.send(m.encode(error))
        self._wire.close(code, error.code)

    def goodbye(self, reason: str, retry_after_ms: int, code: int = RESTARTING) -> None:
        self._live = False
        self._wire.send(m.encode(m.Goodbye(seq=self.seq, reason=reason, retry_after_ms=retry_after_ms)))
        self._wire.close(code, reason)


_PASSING = (m.Typing, m.Seen)  # `isinstance` takes several times as long to look through a union
_COUNT = {kind: _messages.labels(str(kind.__struct_config__.tag)) for kind in m.CLIENT_MESSAGES}


# --- everybody --------------------------------------------------------------------------------------------------------


class AgentHub:
    """All agents. Implements `router.service.ports.AgentsEdge`.

    `later(seconds, call)` is the shell's clock. `prefix` makes session names differ from those of earlier processes.
    `uploaded` says whether the blob store holds this digest: the journal must not name what nobody has (IN-7).
    """

    def __init__(
        self,
        desk: Desk,
        settings: Settings,
        later: Later,
        prefix: str = "s",
        uploaded: Callable[[str], bool] = lambda digest: True,
        signals: Signals | None = None,
    ) -> None:
        self.desk = desk
        self.signals = signals or Signals()
        self.signals.listen_for_agents(self.signalled)
        self.uploaded = uploaded
        self.settings = settings
        self.later = later
        self.conversations: set[Conversation] = set()
        self.lines: dict[str, Line] = {}
        self.signed_in = 0  # sessions, over all agents
        self.draining = False
        self.failures = Failures(settings.failures_per_minute)
        self.redeem: Redeem = no_tickets
        self._tokens = digests(settings.tokens)
        self._prefix = prefix
        self._sessions = 0

    def converse(self, wire: Wire) -> Conversation:
        conversation = Conversation(self, wire)
        self.conversations.add(conversation)
        return conversation

    def line(self, agent: str) -> Line:
        found = self.lines.get(agent)
        if found is None:
            found = self.lines[agent] = Line(self)
        return found

    def next_session(self) -> str:
        self._sessions += 1
        return f"{self._prefix}-{self._sessions}"

    def check_uploads(self, asked: m.Say) -> None:
        """Raises NotFound."""
        for attachment in asked.attachments:
            if not self.uploaded(attachment.digest):
                raise NotFound(f"nothing with the digest {attachment.digest} was uploaded; upload it first")

    # In passing: what is recorded nowhere.

    def pass_on(self, agent: str, message: m.Passing) -> None:
        """To the customer, from an agent who speaks with them. Raises ClientError."""
        number = number_of(message.interaction, "i")
        view = self.desk.interaction(number)
        joined = view.consult if view.consult is not UNSET and view.consult.state == "conference" else None
        if view.agent != agent and (joined is None or joined.agent != agent):
            raise NotOwner(f"{view.id} is not yours")
        if isinstance(message, m.Seen):
            self.signals.tell_customer(view.channel, view.sender, number, Marks(message.at_ms))
            return
        name = self.desk.agent(agent).name or agent
        self.signals.tell_customer(view.channel, view.sender, number, Writing(message.on, name))

    def signalled(self, agent: str, interaction: int, signal: Signal) -> None:
        """From the customer."""
        line = self.lines.get(agent)
        if line is None:
            return
        ident = interaction_id(interaction)
        told: m.ServerMessage = (
            m.CustomerTyping(interaction=ident, on=signal.on)
            if isinstance(signal, Writing)
            else m.Receipts(interaction=ident, received_ms=signal.received_ms, read_ms=signal.read_ms)
        )
        text = m.encode(told)
        for session in line.sessions:
            session.whisper(text)

    # Signing in and out.

    def refusal(self, conversation: Conversation, hello: m.Hello) -> tuple[int, m.Error] | None:
        """Why this client may not come in; None: `conversation.agent` is now who the token says."""
        address, now_ms = conversation._wire.address, self.desk.now_ms()
        if self.draining:
            retry = int(self.settings.retry_after)
            error = m.Error(re=hello.id, code="draining", message="this server is stopping", retry_after_ms=retry)
            return TRY_AGAIN_LATER, error
        shown = hashlib.sha256(hello.token.encode()).digest()
        wait_ms = self.failures.retry_after_ms(address, now_ms, shown)
        if wait_ms:
            text = "too many wrong tokens from this address"
            return TOO_MANY, m.Error(re=hello.id, code="too-many-attempts", message=text, retry_after_ms=wait_ms)
        agent, proof = self._tokens.get(shown), b""
        if agent is None and (holder := self.redeem(hello.token)) is not None:
            agent, proof = holder.agent or None, holder.session
        if agent is None:
            self.failures.add(address, now_ms)
            log.info("Agent refused", action="agent_refused", address=address, why="unknown token")
            return UNAUTHENTICATED, m.Error(re=hello.id, code="unauthenticated", message="this token is not known")
        try:
            self.desk.agent(agent)
        except NotFound as problem:
            return NO_SUCH_AGENT, _error(problem, hello.id)
        except Refusal as problem:  # their routing domain is out of reach
            return TRY_AGAIN_LATER, _error(problem, hello.id)
        if len(self.line(agent).sessions) >= self.settings.max_sessions:
            text = f"this agent has {self.settings.max_sessions} sessions already; close one"
            return TOO_MANY, m.Error(re=hello.id, code="too-many-sessions", message=text)
        if not proof:
            self.failures.succeeded(address, shown)
        conversation.agent, conversation.proof = agent, proof
        return None

    def close_session(self, conversation: Conversation) -> None:
        """Tell the engine, for as long as it takes."""
        if conversation._refused:
            return

        def done(answer: c.Reply | RouterError) -> None:
            if isinstance(answer, RouterError) and not isinstance(answer, ClientError) and not self.draining:
                self.later(CLOSE_RETRY_S, ask)

        def ask() -> None:
            self.desk.submit(c.CloseSession(agent=conversation.agent, session=conversation.session), done)

        ask()

    def reopen(self, of: Container[str] | None = None) -> None:
        """The engine has forgotten every session, and no client has missed anything: open them there again.

        `of`: only those of these agents; here and in `reset`.
        """
        for conversation in list(self.conversations):
            if of is None or conversation.agent in of:
                self._reopen(conversation)

    def _reopen(self, conversation: Conversation) -> None:
        """For as long as it takes."""
        if not conversation._live:
            return

        def done(answer: c.Reply | RouterError) -> None:
            if isinstance(answer, ClientError):
                conversation.goodbye(answer.code, 0, NO_SUCH_AGENT)
            elif isinstance(answer, RouterError):
                self.later(CLOSE_RETRY_S, lambda: self._reopen(conversation))

        self.desk.submit(c.OpenSession(agent=conversation.agent, session=conversation.session), done)

    # What agents are told.

    def tell(self, news: Tell) -> None:
        """Render once, keep, and give to every session of this agent."""
        stream = news.stream
        line = self.lines.get(news.agent) or self.line(news.agent)
        if stream != line.kept.last + 1 and not self._is_new(line, news):
            return
        text = m.encode(render(news))
        line.kept.add(text)
        for session in line.sessions:
            session._push(stream, text)

    def _is_new(self, line: Line, news: Tell) -> bool:
        """Whether to tell what is not the next one; what is kept then ends right before it."""
        kept = line.kept
        if news.stream <= kept.last:
            return False  # told twice; the first one counts
        if kept.last >= 0:
            log.error("Stream number missing", action="stream_gap", agent=news.agent, seq=news.stream, last=kept.last)
            self.broken(line, news.agent)
        kept.start_after(news.stream - 1)
        return True

    def broken(self, line: Line, agent: str) -> None:
        """Their clients cannot be brought up to date message by message: let them come again for a snapshot."""
        _broken.inc()
        log.warning("Stream started anew", action="stream_broken", agent=agent, sessions=len(line.sessions))
        line.kept.start_after(-1)
        for session in list(line.sessions):
            session.goodbye("out-of-step", 0)

    def reset(self, reason: str, of: Container[str] | None = None) -> None:
        """The engine was restored: what clients were told may no longer be so."""
        for agent, line in self.lines.items():
            if of is None or agent in of:
                line.kept.start_after(-1)
        self._dismiss(reason, of)

    def drain(self, reason: str = "draining") -> None:
        """Stop: nobody comes in, everybody is told when to look again."""
        self.draining = True
        self._dismiss(reason)

    def keep_only(self, agents: Container[str]) -> None:
        """Whoever has left the configuration is told so, and the socket is closed."""
        for conversation in list(self.conversations):
            if conversation.agent and conversation.agent not in agents:
                conversation.goodbye("not-an-agent", 0, NO_SUCH_AGENT)

    def keep_welcome(self, welcome: Callable[[bytes], bool]) -> None:
        """Whoever's sign-in is over is told so, and the socket is closed."""
        for conversation in list(self.conversations):
            if conversation.proof and not welcome(conversation.proof):
                conversation.goodbye("signed-out", 0, UNAUTHENTICATED)

    def _dismiss(self, reason: str, of: Container[str] | None = None) -> None:
        for conversation in list(self.conversations):
            if of is None or conversation.agent in of:
                conversation.goodbye(reason, int(self.settings.retry_after))

    def retoken(self, tokens: Mapping[str, str]) -> None:
        """Other tokens from now on; sessions that are open stay."""
        self._tokens = digests(tokens)


def digests(tokens: Mapping[str, str]) -> dict[bytes, str]:
    """SHA-256 of each token -> agent. A key "sha256:HEX" is a digest already."""
    found: dict[bytes, str] = {}
    for token, agent in tokens.items():
        if token.startswith("sha256:"):
            if not re.fullmatch(r"sha256:[0-9a-f]{64}", token):
                raise ConfigError("agents.tokens", '"sha256:" and 64 hexadecimal digits', f"something else for {agent}")
            found[bytes.fromhex(token[7:])] = agent
        else:
            found[hashlib.sha256(token.encode()).digest()] = agent
    return found
