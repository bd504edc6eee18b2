"""The edge's end of the link: a writer that has the engine's state, and not its say.

`RemoteWriter` stands where the `Writer` of a process with an engine stands, so desk, channels and agents know no
difference. Commands go over the link and are answered when the leader's journal holds the facts. What it holds comes
over the link as well, is applied to a copy of the engine, and gives the effects that this process's clients are told:
they are a function of the records. So looking costs no message, and every edge can go on with any agent's stream.

The copy takes what is durable and nothing else. It begins with a snapshot and the log, as a standby's does, and then
follows the link. When the link ends, whatever was asked is answered "come back" (it may have been recorded: keys make
the repetition harmless), nothing is taken, and it looks in the lease for who leads. What it missed meanwhile it reads
from the log, up to the record at which the new link begins, so that its clients see no gap. Where the log is no longer
the one that it followed (Redis lost records, or they were trimmed) it begins anew, and says so to everybody.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar, cast

import msgspec
from msgspec import Raw

from router.engine import commands as c
from router.engine import events as e
from router.engine.effects import Effect
from router.engine.engine import Engine
from router.engine.events import Record
from router.engine.views import Inform, Outbound, Tell
from router.errors import BadMessage, Draining, JournalCorrupt, JournalFailed, Overloaded, RouterError, Unavailable
from router.journal import codec
from router.observe import counter, get_logger
from router.service import alike, background
from router.service.clock import Clock
from router.service.lease import SharedJournal
from router.service.mailbox import MailboxSettings
from router.service.ports import Done, Health
from router.service.recovery import start_from, unwatched
from router.service.remote import messages as m
from router.service.remote.settings import LinkSettings, host_and_port
from router.service.signals import Passed
from router.service.writer import safely

log = get_logger("link")
T = TypeVar("T")

RETRY_S = 0.2  # between two looks for who leads
BEATS = 3
# Records that are caught up with one by one, each told to its agents. After more than that clients begin anew, too:
# it is cheaper for everybody than to be told of an hour gone by.
MISSED_MOST = 20_000
BEHIND_MOST = 64 * 1_048_576  # bytes of commands that the engine does not take

# What outsiders are told; health and log say why. Another engine leads within seconds.
NO_ENGINE = "not recorded: there is no engine to be reached just now; come back in a moment"
COME_BACK_S = 1
NO_LEADER = "standby: no engine leads"

_restarts = counter("edge_copies_total", "How often this edge read the engine's state anew.")
_links = counter("edge_links_total", "How often this edge was linked to an engine.")


class SharedLog(SharedJournal, Protocol):
    """The log as an edge needs it."""

    @property
    def identity(self) -> str: ...

    @property
    def left(self) -> tuple[str, bytes]: ...

    def address(self) -> str: ...


class Away(Exception):
    """There is no engine to be had just now; why."""


class Copy:
    """The engine of the log, without a say. Everything that reads the log runs in one thread at a time."""

    def __init__(self, log_: SharedLog) -> None:
        self.engine = Engine()
        self._log = log_
        self._identity = ""
        self._mark = (0, "")  # the last record that was applied, and where it stands in the log

    def catch_up(self, upto: int) -> tuple[Engine | None, list[Record], tuple[int, str]]:
        """In a thread: what is missing up to that record: the records, or another engine. Raises JournalError."""
        journal, engine = self._log, self.engine
        journal.close()
        journal.open()
        same = bool(self._identity) and journal.identity == self._identity
        self._identity = journal.identity
        if same and 0 <= upto - engine.state.seq <= MISSED_MOST and journal.has(self._mark):
            try:
                return None, self._missed(engine.state.seq, upto), self._reached(upto)
            except JournalCorrupt as gap:  # trimmed meanwhile
                log.warning("Not caught up", action="not_caught_up", problem=str(gap))
        with unwatched():
            return self._anew(upto), [], self._reached(upto)

    def _missed(self, after: int, upto: int) -> list[Record]:
        found = []
        for seq, payload in self._log.read(after):
            if seq > upto:
                break
            found.append(codec.decode(payload))
        return found

    def _anew(self, upto: int) -> Engine:
        engine, seq = start_from(self._log.snapshot_of(upto))
        for seq, payload in self._log.read(seq):  # noqa: B020 - it goes on from there
            if seq > upto:
                break
            engine.apply(codec.decode(payload))
        if engine.state.seq != upto:
            raise JournalFailed(f"the log ends at record {engine.state.seq}; the engine has {upto}")
        engine.state.matcher.stand()
        return engine

    def _reached(self, upto: int) -> tuple[int, str]:
        """The log reads whole entries, and the engine's batch is one."""
        mark = self._log.mark()
        return mark if mark[0] == upto else self._mark

    def forget(self) -> None:
        self._identity = ""

    def take(self, engine: Engine, mark: tuple[int, str]) -> None:
        self.engine, self._mark = engine, mark
        _restarts.inc()

    def follow(self, records: list[Record], mark: tuple[int, str]) -> list[list[Effect]]:
        told = self.engine.follow(records)
        self._mark = mark
        return told


class RemoteWriter:
    """See the module. It has what the application uses of a `Writer`; sinks are set before `start`.

    `on_recovery` is called when there is an engine again; `renewed` says then whether the copy is another one than
    before, so that nothing that clients were told may be relied on.
    """

    def __init__(
        self,
        log_: SharedLog,
        clock: Clock,
        settings: LinkSettings,
        mailbox: MailboxSettings | None = None,
        note: alike.Notes = alike.no_note,
    ) -> None:
        self.clock = clock
        self.failed = "not started"
        self.draining = False
        self.renewed = False
        self.delivers = False  # what goes out once
        self.tell: Callable[[Tell], None] = lambda news: None
        self.inform: Callable[[Inform], None] = lambda news: None
        self.post: Callable[[Outbound], None] = lambda letter: None
        self.on_failure: list[Callable[[str], None]] = []
        self.on_recovery: list[Callable[[], None]] = []
        self.on_duty: Callable[[], None] = lambda: None  # `delivers` has changed
        self.on_configured: Callable[[], None] = lambda: None
        self.on_signal: Callable[[Passed], None] = lambda passed: None
        self._log = log_
        self._copy = Copy(log_)
        self._settings = settings
        self._most = mailbox or MailboxSettings()
        self._note = note
        self._differs = ""  # what is set otherwise here than where it is led
        self._name = secrets.token_hex(8)
        self._line: _Line | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._reading: asyncio.Future[Any] | None = None
        self._waiting: dict[int, Done] = {}
        self._count = 0
        self._told: deque[tuple[int, list[Effect]]] = deque()  # durable, and not given out: its answers come first
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def engine(self) -> Engine:
        return self._copy.engine

    @property
    def seq(self) -> int:
        return self.engine.state.seq

    # --- life -------------------------------------------------------------------------------------------------------

    def stand_by(self, why: str) -> None:
        """Begin to look for an engine; `on_recovery` tells when there is one."""
        self.failed = why
        self._keeping = background.begin(self._keep(), "link")

    async def drain(self) -> None:
        """Refuse new contacts and wait until everything that was taken is answered."""
        self.draining = True
        await self._idle.wait()

    async def stop(self) -> None:
        self.draining = True
        if not self.failed:
            await self._idle.wait()
        self.failed = self.failed or "stopped"  # before the link goes: an outbox may still have something to settle
        await background.end(self._keeping)
        if self._reading is not None:
            await asyncio.wait([self._reading])  # it uses the log
        await asyncio.to_thread(self._log.close)

    def health(self) -> Health:
        figures = {"seq": float(self.engine.state.seq), "waiting": float(len(self._waiting))}
        if self.failed:
            return Health(False, self.failed, figures)
        if gone := background.trouble(self._keeping, "nobody looks for an engine"):
            return Health(False, gone, figures)
        assert self._line is not None, "it has not failed"
        detail = "draining" if self.draining else f"linked to {self._line.address}"
        return Health(True, f"{detail}. {self._differs}" if self._differs else detail, figures)

    async def _keep(self) -> None:
        """One link after another."""
        while True:
            try:
                await self._linked()
            except (Away, JournalFailed) as why:
                self._lose(str(why))
            except (RouterError, m.Malformed) as why:
                log.error("No link", action="link_impossible", problem=str(why))
                self._lose(str(why))
            except Exception as bug:
                log.exception("Link failed", action="link_failed")
                self.forget()  # it may have been in the middle of a record
                self._lose(f"a bug ({type(bug).__name__}) in the link")
            finally:
                line, self._line = self._line, None
                if line is not None:
                    line.end()
            await asyncio.sleep(RETRY_S)

    async def _linked(self) -> None:
        """From finding an engine to losing it."""
        address = await self._in_thread(self._find)
        line = self._line = _Line(self, address)
        welcome = await self._greeted(line)
        if welcome.seq < self.engine.state.seq and await self._leads_elsewhere(address):
            # It was stopped for a while and does not know yet: its picture of the world is an old one.
            raise Away(f"another engine leads than that at {address}")
        engine, records, mark = await self._in_thread(lambda: self._copy.catch_up(welcome.seq))
        identity, theirs = self._log.left
        self._differs = alike.told(self._note(identity), theirs)
        self.renewed = engine is not None
        if engine is not None:
            self._copy.take(engine, mark)
        line.epoch, line.passes_signals = welcome.epoch, welcome.signals
        self.failed = ""
        _links.inc()
        log.info("Linked", action="linked", engine=address, seq=welcome.seq, missed=len(records))
        if records:
            self._follow(records, mark)
            self._release()
        for call in self.on_recovery:
            safely(call)
        await line.lives(self._settings.silence, self._leads_elsewhere)

    async def _greeted(self, line: _Line) -> m.Welcome:
        """Raises Away, also as soon as another engine leads: the one that hangs would be waited for in vain."""
        greeting = asyncio.ensure_future(line.greeted(self._settings, self._name))
        try:
            while not greeting.done():
                await asyncio.wait((greeting,), timeout=RETRY_S)
                if not greeting.done() and await self._leads_elsewhere(line.address):
                    raise Away(f"another engine leads than that at {line.address}, which does not answer")
            return greeting.result()
        finally:
            greeting.cancel()

    async def _leads_elsewhere(self, address: str) -> bool:
        """Whether the lease names another engine. Without Redis nobody can tell."""
        try:
            found = await self._in_thread(self._log.address)
        except JournalFailed:
            return False
        return found not in ("", address)

    def _find(self) -> str:
        address = self._log.address()
        if not address:
            raise Away(NO_LEADER)
        return address

    async def _in_thread(self, work: Callable[[], T]) -> T:
        reading = asyncio.ensure_future(asyncio.to_thread(work))
        self._reading = reading
        return await asyncio.shield(reading)

    def _lose(self, why: str) -> None:
        """Whoever waits for an answer comes back with it, under the same key."""
        before, self.failed = self.failed, why
        self._release()
        waiting, self._waiting = self._waiting, {}
        for done in waiting.values():
            safely(done, Unavailable(NO_ENGINE, COME_BACK_S))
        self._idle.set()
        self.delivers = False
        if not before:
            log.warning("Link lost", action="link_lost", problem=why)
            for call in self.on_failure:
                safely(call, why)
        elif why != before:  # once for each reason, not with each try
            log.warning("Not linked", action="not_linked", problem=why)

    # --- commands ---------------------------------------------------------------------------------------------------

    def submit(self, command: c.AnyCommand, done: Done) -> None:
        """As `Writer.submit`; the engine decides when it hears of it. See ports.Desk."""
        refusal = self._refusal(command)
        if refusal is None:
            try:
                encoded = m.encode_command(command)
            except (msgspec.MsgspecError, UnicodeEncodeError, OverflowError) as problem:
                refusal = BadMessage(f"this cannot be written down: {problem}")
        if refusal is not None:
            asyncio.get_running_loop().call_soon(safely, done, refusal)
            return
        assert self._line is not None, "it has not failed"
        self._count += 1
        self._waiting[self._count] = done
        self._idle.clear()
        self._line.ask(self._count, encoded)

    def pass_on(self, passed: Passed) -> None:
        """For people at other edges, if there is a way to them just now. Nothing depends on it."""
        if not self.failed and self._line is not None:
            self._line.pass_on(m.encode_signal(passed))

    def _refusal(self, command: c.AnyCommand) -> RouterError | None:
        if self.failed:
            return Unavailable(NO_ENGINE, COME_BACK_S)
        arrives = type(command) is c.Arrive
        if self.draining and arrives:
            return Draining("stopping; come back in a moment")
        limit = self._most.intake if arrives else self._most.total
        if len(self._waiting) >= limit or (self._line is not None and self._line.unsent > BEHIND_MOST):
            text = f"{len(self._waiting)} commands wait for the engine; come back in a moment"
            return Overloaded(text, retry_after_s=2)
        return None

    # --- what the engine says ---------------------------------------------------------------------------------------

    def forget(self) -> None:
        """The copy is not to be trusted any more: the next link begins with another."""
        self._copy.forget()

    def take(self, kind: int, body: bytes, epoch: int) -> None:
        """A frame of the link that counts. Raises Malformed, and JournalVersion for facts of a newer version."""
        if kind == m.RECORDS:
            self._take_records(*m.read_records(body), epoch)
        elif kind == m.ANSWERS:
            self._take_answers(m.read_answers(body))
        elif kind == m.DUTY:
            self.delivers = m.read_duty(body)
            safely(self.on_duty)
        elif kind == m.SIGNALS:
            for passed in m.read_signals(body):
                safely(self.on_signal, passed)
        else:
            raise m.Malformed(f"a frame of kind {kind}")

    def _take_records(self, first: int, payloads: list[bytes], epoch: int) -> None:
        last, have = first + len(payloads) - 1, self.engine.state.seq
        if last <= have:
            return  # the log had them already
        if first != have + 1:
            raise m.Malformed(f"record {have + 1} was to come, not {first}")
        self._follow([codec.decode(payload) for payload in payloads], (last, f"{first}-{epoch}"))

    def _follow(self, records: list[Record], mark: tuple[int, str]) -> None:
        seq = self.engine.state.seq
        for told in self._copy.follow(records, mark):
            seq += 1
            if told:
                self._told.append((seq, told))
        if any(type(record.event) is e.Configured for record in records):
            safely(self.on_configured)

    def _take_answers(self, answers: list[m.Answer]) -> None:
        """In the order of one process: what was told before a command, its answer, what it came to."""
        for answer in answers:
            self._release(answer.before)
            done = self._waiting.pop(answer.number, None)
            if done is not None:
                safely(done, m.outcome_of(answer))
        self._release()
        if not self._waiting:
            self._idle.set()

    def _release(self, upto: int | None = None) -> None:
        told = self._told
        while told and (upto is None or told[0][0] <= upto):
            for effect in told.popleft()[1]:
                safely(self._give, effect)

    def _give(self, effect: Effect) -> None:
        if type(effect) is Tell:
            self.tell(effect)
        elif type(effect) is Inform:
            self.inform(effect)
        elif self.delivers and type(effect) is Outbound:
            self.post(effect)


class _Line(asyncio.Protocol):
    """One connection to an engine. What comes before `lives` waits."""

    def __init__(self, writer: RemoteWriter, address: str) -> None:
        self.address = address
        self.epoch = 0
        self.passes_signals = False
        self._writer = writer
        self._splitter = m.Splitter(m.FRAME_MOST)
        self._transport: asyncio.Transport | None = None
        self._nonce = secrets.token_bytes(m.NONCE)
        self._engines = b""  # the number that the engine chose
        self._secret = self._name = ""
        loop = asyncio.get_running_loop()
        self._welcome: asyncio.Future[m.Welcome] = loop.create_future()
        self._over: asyncio.Future[str] = loop.create_future()
        self._backlog: list[tuple[int, bytes]] | None = []
        self._asked: list[tuple[int, Raw]] = []
        self._signals: list[Raw] = []
        self._silent_beats = 0

    @property
    def unsent(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    async def greeted(self, settings: LinkSettings, name: str) -> m.Welcome:
        """Connect; both prove themselves. Raises Away."""
        self._secret, self._name = settings.secret, name
        host, port = host_and_port("link.address", self.address)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(settings.silence / 1_000):
                await loop.create_connection(lambda: self, host, port, ssl=settings.client_tls())
                await asyncio.wait((self._welcome, self._over), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise Away(f"the engine at {self.address} does not answer") from None
        except OSError as problem:
            raise Away(f"the engine at {self.address} cannot be reached: {problem.strerror or problem}") from problem
        if not self._welcome.done():
            raise Away(self._over.result())
        return self._welcome.result()

    async def lives(self, silence_ms: int, leads_elsewhere: Callable[[str], Awaitable[bool]]) -> None:
        """Give the writer what comes, until the end. Raises Away, always.

        Who misses a beat asks whether another engine leads, and goes there without waiting for the silence to end.
        """
        backlog, self._backlog = self._backlog or [], None
        for kind, body in backlog:
            self._take(kind, body)
        while not self._over.done():
            await asyncio.wait((self._over,), timeout=silence_ms / BEATS / 1_000)
            self._silent_beats += 1
            if self._silent_beats > BEATS:
                raise Away(f"the engine at {self.address} says nothing any more")
            if self._transport is not None:
                self._transport.write(m.BEAT_FRAME)
            if self._silent_beats > 1 and await leads_elsewhere(self.address):
                raise Away(f"another engine leads than that at {self.address}, which says nothing any more")
        raise Away(self._over.result())

    def ask(self, number: int, encoded: bytes) -> None:
        """Several commands of one turn of the loop are one frame."""
        self._write_soon()
        self._asked.append((number, Raw(encoded)))

    def pass_on(self, encoded: bytes) -> None:
        """As `ask`, where the engine knows signals and takes what it is sent."""
        if self.passes_signals and self.unsent < m.SIGNALS_BEHIND:
            self._write_soon()
            self._signals.append(Raw(encoded))

    def _write_soon(self) -> None:
        if not self._asked and not self._signals:
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        asked, self._asked = self._asked, []
        signals, self._signals = self._signals, []
        if self._transport is None:
            return
        if asked:
            self._transport.write(m.commands(asked))
        for frame in m.signals(signals):
            self._transport.write(frame)

    def end(self) -> None:
        """What was asked is still sent."""
        self._write()
        if self._transport is not None:
            self._transport.close()

    # --- the connection ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._is_over(f"the link to the engine at {self.address} broke")

    def data_received(self, data: bytes) -> None:
        self._silent_beats = 0
        try:
            for kind, body in self._splitter.feed(data):
                if self._over.done():
                    return
                self._came(kind, body)
        except (m.Malformed, RouterError) as problem:
            log.error("Link not understood", action="link_malformed", engine=self.address, problem=str(problem)[:500])
            self._is_over(f"the engine at {self.address} is not understood: {problem}")

    def _came(self, kind: int, body: bytes) -> None:
        if kind == m.GOODBYE:
            self._is_over(f"standby: the engine at {self.address} sends this edge away: {m.read_goodbye(body)}")
        elif not self._welcome.done():
            self._greet(kind, body)
        elif kind == m.BEAT:
            pass
        elif self._backlog is not None:
            self._backlog.append((kind, body))
        else:
            self._take(kind, body)

    def _greet(self, kind: int, body: bytes) -> None:
        if kind == m.CHALLENGE and not self._engines:
            self._engines = m.read_challenge(body).nonce
            own = m.proof(self._secret, "edge", self._engines, self._nonce)
            assert self._transport is not None
            self._transport.write(m.hello(self._name, self._nonce, own))
        elif kind == m.WELCOME and self._engines:
            found = m.read_welcome(body)
            if not m.proves(found.proof, self._secret, "engine", self._engines, self._nonce):
                raise m.Malformed(m.NOT_PROVED)
            self._welcome.set_result(found)
        else:
            raise m.Malformed(f"a frame of kind {kind} before the welcome")

    def _take(self, kind: int, body: bytes) -> None:
        try:
            self._writer.take(kind, body, self.epoch)
        except (m.Malformed, RouterError):
            raise
        except Exception as bug:
            log.exception("Records not followed", action="not_followed")
            self._writer.forget()
            self._is_over(f"a bug ({type(bug).__name__}) while following the engine")

    def _is_over(self, why: str) -> None:
        if not self._over.done():
            self._over.set_result(why)
