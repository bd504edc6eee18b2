"""The single writer: commands in, facts durable, answers and effects out, in that order and no other.

Output commit. A command is decided and applied at once, in the caller's turn of the event loop. Its records join the
batch that is filling; its answer and effects wait behind them. One thread makes one batch durable while the next one
fills, and wakes the loop once for it. So a batch is as large as the disk is slow, nobody outside hears of a fact that
could still be lost, and the hot path has no task and no future of its own.

Fail-stop. Memory runs ahead of the journal by the batches in flight, never more. When an append fails, or a decision
hits a bug, the engine in memory is worthless: everybody who waits is told to come back (`Unavailable`), nothing more is
decided, and health says why. Then, every second, the journal is opened anew; when a probe shows that it can be written,
a new engine is read from it and work goes on, without anybody's help (DU-2). What of the failed batch had reached the
disk is in that engine; its callers repeat themselves and their keys make that harmless.

Time. The engine's own never goes back, so after a leader with a fast clock it stands until this machine's has caught
up: everything is decided at that one moment, and no deadline comes. Nothing can be done about that here, or a replay
would see other times than those that were decided by; so it is said (`ahead_ms`), in the log as soon as this one leads.

Standing by is the same state: the journal cannot be opened because another process leads (JournalHeld), and the writer
tries again until that one is gone. Meanwhile `follow` may read along, so that `rebuild` has little left to do.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from router.engine import commands as c
from router.engine.engine import Engine, Outcome
from router.engine.events import Event
from router.engine.views import Inform, Outbound, Tell
from router.errors import ClientError, ConfigError, Draining, JournalFailed, JournalHeld, RouterError, Unavailable
from router.journal import codec
from router.journal.port import Journal
from router.observe import counter, get_logger, histogram
from router.service.clock import Clock
from router.service.mailbox import Batch, Mailbox, MailboxSettings
from router.service.ports import Done, Health
from router.service.recovery import restore

log = get_logger("writer")

RETRY_S = 1.0  # between attempts to get a failed journal back: short beside the Retry-After that callers are told
TICK_GAP_MS = 5  # between two Ticks, whatever the deadlines are
# An engine pass that has not come back for this long makes readiness bad (OB-1).
STUCK_MS = 5_000
# Clocks of machines in one room differ by less, and nobody notices a deadline that is so late.
AHEAD_MS = 2_000

commits = counter("switchboard_commits", "Batches made durable")
records = counter("switchboard_records", "Records made durable")
refused = counter("switchboard_refused", "Commands refused, by code", ("code",))
commit_size = histogram(
    "switchboard_commit_records", "Records in a batch", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
)

# What outsiders are told; health and log say why, with paths that are none of their business.
AWAY = "not recorded: the journal cannot be written just now; come back in a moment"

Observer = Callable[[int, int, Sequence[Event]], None]


class Writer:
    """See the module. `sinks` are set by the application before `start`."""

    def __init__(self, journal: Journal, clock: Clock, settings: MailboxSettings | None = None) -> None:
        self.journal = journal
        self.clock = clock
        self.engine = Engine()
        self.failed = "not started"
        self.draining = False
        self._gives_up = False  # nothing more is decided here: the lead is being handed over
        self.tell: Callable[[Tell], None] = lambda news: None
        self.inform: Callable[[Inform], None] = lambda news: None
        self.post: Callable[[Outbound], None] = lambda letter: None
        self.deaf: frozenset[str] = frozenset()  # channels whose adapters need no Inform
        self.publish: Callable[[Batch], None] | None = None  # what is durable, before anybody is answered
        self.durable_seq = 0  # the last record that is durable
        self.observers: list[Observer] = []
        self.on_failure: list[Callable[[str], None]] = []
        self.on_recovery: list[Callable[[], None]] = []
        self.on_standby: list[Callable[[str], None]] = []  # who leads, in words, whenever that changes; "": not known
        self.follow: Callable[[], None] = lambda: None  # in a thread, each time the journal turns out to be led
        self.rebuild: Callable[[], Engine] = lambda: restore(self.journal)  # in a thread, of the open journal
        self._mailbox = Mailbox(settings or MailboxSettings())
        self._busy = False  # a batch is with the thread, or about to be
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_ms = 0
        self._recovery: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._in_flight_since_ms = 0
        self._with_thread = 0  # batches that the thread has not given back
        self._held = False  # the journal was asked for last, and another process leads
        self._reopening: asyncio.Future[Engine] | None = None
        self._ended = asyncio.Event()  # the thread is done

    # --- life ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read the journal (it must be open) and begin to take commands."""
        self._loop = asyncio.get_running_loop()
        self.engine = await asyncio.to_thread(self.rebuild)
        self._start_thread()
        self._begin()

    def stand_by(self, why: str) -> None:
        """Begin like a writer that has failed: take over as soon as the journal can be opened."""
        self._loop = asyncio.get_running_loop()
        self._start_thread()
        self.failed = why
        self._recovery = asyncio.ensure_future(self._recover(RETRY_S))

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    def _begin(self) -> None:
        if ahead_ms := self.ahead_ms:
            until = shown_time(self.engine.state.now_ms)
            log.warning("Time stands still", action="time_ahead", ahead_ms=ahead_ms, until=until)
        self.durable_seq = self.engine.state.seq
        self._mailbox.open = Batch(self.engine.state.seq + 1)
        self.failed = ""
        self.submit(c.Restart(), self._writes)

    def _writes(self, outcome: object) -> None:
        """The first facts of this leader are durable: what a takeover is measured by."""
        if not isinstance(outcome, Exception):
            log.info("Writes", action="writes", seq=self.durable_seq)

    @property
    def seq(self) -> int:
        return self.engine.state.seq

    @property
    def ahead_ms(self) -> int:
        """By how much the time of decisions is ahead of this machine's clock; 0 where nobody would notice."""
        found = self.engine.state.now_ms - self.clock.now_ms()
        return found if found > AHEAD_MS else 0

    async def drain(self) -> None:
        """Refuse new contacts and wait until everything that was taken is durable and answered."""
        self.draining = True
        await self._idle.wait()

    async def stop(self) -> None:
        """Finish what is in flight and end the thread. The journal stays open."""
        self.draining = True
        if not self.failed:
            await self._idle.wait()
        self.failed = self.failed or "stopped"
        if self._recovery is not None:
            self._recovery.cancel()
        if self._reopening is not None:
            await asyncio.gather(self._reopening, return_exceptions=True)  # it uses the journal
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            self._batches.put(None)
            await self._ended.wait()

    def health(self) -> Health:
        waits_ms = self.clock.now_ms() - self._in_flight_since_ms if self._busy else 0
        seq, waiting = self.engine.state.seq, self._mailbox.waiting
        figures = {"seq": float(seq), "waiting": float(waiting), "busy_ms": float(waits_ms)}
        if self.failed:
            return Health(False, self.failed, figures)
        if self._thread is None or not self._thread.is_alive():
            return Health(False, "the thread that writes the journal has ended", figures)
        if waits_ms > STUCK_MS:
            return Health(False, f"a batch has been with the disk for {waits_ms} ms", figures)
        late_ms = self.clock.now_ms() - (self.engine.next_deadline_ms() or self.clock.now_ms())
        if late_ms > STUCK_MS:
            return Health(False, f"a deadline is overdue by {late_ms} ms", figures)
        return Health(True, "draining" if self.draining else "", figures)

    # --- commands --------------------------------------------------------------------------------------------------

    def submit(self, command: c.AnyCommand, done: Done) -> None:
        """Decide now, answer when durable. See ports.Desk."""
        refusal = self._away(command) if self.failed or self.draining else self._mailbox.refusal(command)
        if refusal is not None:
            refused.labels(refusal.code).inc()
            self._soon(done, refusal)
            return
        batch = self._mailbox.open
        try:
            out = self.engine.handle(command, self.clock.now_ms())
            self._put(batch, out)
        except (ClientError, ConfigError) as error:
            # It may have been decided by facts that are not durable yet, so it waits for them like any answer.
            refused.labels(error.code).inc()
            self._wait(batch, done, error, [])
            return
        except Exception as bug:  # noqa: BLE001 - whatever it is, the state is not to be trusted any more
            # Its text may hold a customer's words, and this is shown: the trace in the log has the place.
            self._fail(f"a bug ({type(bug).__name__}) while deciding {type(command).__name__}", bug)
            self._soon(done, Unavailable("the router restarts from its journal; come back in a moment"))
            return
        self._wait(batch, done, out.reply, out.effects)
        timers = self.engine.state.timers
        if timers and (self._timer is None or timers[0][0] < self._timer_due_ms):
            self._arm(timers[0][0])

    def _put(self, batch: Batch, out: Outcome) -> None:
        """The records of a decision into the batch. What cannot be written down raises, and voids the engine."""
        if not out.events:
            return
        codec.write(batch.payloads, out.at_ms, out.key, out.events)
        for observer in self.observers:
            observer(out.first_seq, out.at_ms, out.events)

    def _away(self, command: c.AnyCommand) -> RouterError | None:
        """The refusal of a writer that has failed, or is about to stop and takes nothing new."""
        if self.failed or self._gives_up:
            return Unavailable(AWAY)
        if type(command) is c.Arrive:
            return Draining("stopping; come back in a moment")
        return self._mailbox.refusal(command)

    def _wait(self, batch: Batch, done: Done, outcome: Any, effects: list[Tell | Inform | Outbound]) -> None:
        batch.answers.append((done, outcome, effects))
        self._mailbox.waiting += 1
        if not self._busy:
            self._busy = True
            self._idle.clear()
            self._soon(self._hand_over)

    def _soon(self, call: Callable[..., object], *args: object) -> None:
        assert self._loop is not None, "the writer was not started"
        self._loop.call_soon(call, *args)

    # --- batches ---------------------------------------------------------------------------------------------------

    def _hand_over(self) -> None:
        """Give the filled batch to the thread. Without records there is nothing to wait for."""
        if self.failed:
            return
        batch = self._mailbox.take(self.engine.state.seq + 1)
        self._in_flight_since_ms = self.clock.now_ms()
        if batch.payloads:
            self._with_thread += 1
            self._batches.put(batch)
        else:
            self._deliver(batch)

    def _write(self) -> None:
        """The thread: one batch after another until told to stop."""
        assert self._loop is not None
        while (batch := self._batches.get()) is not None:
            try:
                self.journal.append(batch.first_seq, batch.payloads)
            except BaseException as error:  # noqa: BLE001 - the thread must not die with callers waiting
                self._loop.call_soon_threadsafe(self._not_durable, batch, error)
            else:
                self._loop.call_soon_threadsafe(self._durable, batch)
        self._loop.call_soon_threadsafe(self._ended.set)

    def _durable(self, batch: Batch) -> None:
        self._with_thread -= 1
        commits.inc()
        records.inc(len(batch.payloads))
        commit_size.observe(len(batch.payloads))
        self.durable_seq = batch.first_seq + len(batch.payloads) - 1
        if self.publish is not None:
            self.publish(batch)
        self._deliver(batch)

    def _deliver(self, batch: Batch) -> None:
        """Now the outside may hear of it: all of this batch before anything of the next."""
        mailbox = self._mailbox
        if mailbox.open.payloads and not self.failed:
            self._hand_over()  # first of all, so that the disk does not wait for us
        else:
            self._busy = bool(mailbox.open.answers) and not self.failed
        mailbox.waiting -= len(batch.answers)
        for done, outcome, effects in batch.answers:
            try:  # as `safely` does, which would be called nine times for each contact
                done(outcome)
            except Exception as fault:  # noqa: BLE001
                _blame(done, fault)
            if effects:
                self._give(effects)
        if not self._busy:
            self._idle.set()
        elif not self._with_thread:
            self._hand_over()  # answers without facts that waited for their turn

    def _give(self, effects: list[Tell | Inform | Outbound]) -> None:
        for effect in effects:
            if type(effect) is Inform and effect.channel in self.deaf:
                continue
            kind = type(effect)
            edge: Callable[[Any], None] = self.tell if kind is Tell else self.inform if kind is Inform else self.post
            try:
                edge(effect)
            except Exception as fault:  # noqa: BLE001
                _blame(edge, fault)

    def _not_durable(self, batch: Batch, error: BaseException) -> None:
        self._with_thread -= 1
        self._fail(f"the journal failed: {error}", error)
        self._abandon(batch)

    # --- time ------------------------------------------------------------------------------------------------------

    def _arm(self, due_ms: int) -> None:
        """Send a Tick at the engine's next deadline."""
        assert self._loop is not None
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due_ms = due_ms
        delay_ms = max(0, due_ms - self.clock.now_ms())
        self._timer = self._loop.call_later(delay_ms / 1_000, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self.failed:
            return
        due_ms = self.engine.next_deadline_ms()
        if due_ms is None:
            return
        if due_ms <= self.clock.now_ms():
            self.submit(c.Tick(), _nobody)
            due_ms = self.engine.next_deadline_ms()
        if due_ms is not None:
            # A Tick that is refused for want of room is tried again soon, not at once for as long as that lasts.
            self._arm(max(due_ms, self.clock.now_ms() + TICK_GAP_MS))

    # --- failure ---------------------------------------------------------------------------------------------------

    def give_up(self, error: JournalFailed) -> None:
        """Somebody else must lead: the lease is lost."""
        self._fail(f"the journal failed: {error}", error)

    async def step_aside(self, hand_over: Callable[[], None], why: str) -> None:
        """Decide nothing more, answer what was decided, call `hand_over` in a thread, and stand by.

        Raises what `hand_over` raises; then nothing has changed.
        """
        before, self.draining, self._gives_up = self.draining, True, True
        try:
            await self._idle.wait()
            if self.failed:
                raise JournalFailed(self.failed)
            await asyncio.to_thread(hand_over)
        finally:
            self.draining, self._gives_up = before, False
        self._fail(why, JournalHeld(why))

    def _fail(self, why: str, error: BaseException) -> None:
        """Stop deciding; tell everybody who waits to come back; begin to recover."""
        if self.failed:
            return
        self.failed = why
        self._busy = False
        self._idle.set()
        if isinstance(error, JournalHeld):  # what several machines are for, and no bug of anybody
            log.warning("Stepped down", action="stepped_down", problem=str(error))
        else:
            log.error("Writer stopped", action="writer_failed", problem=why, exc_info=error)
        self._abandon(self._mailbox.take(0))
        # Who is replaced, or has given the lead away, looks at once who leads: it may be given it again.
        self._recovery = asyncio.ensure_future(self._recover(0.0 if isinstance(error, JournalHeld) else RETRY_S))
        for call in self.on_failure:
            safely(call, why)

    def _abandon(self, batch: Batch) -> None:
        self._mailbox.waiting -= len(batch.answers)
        for done, _, _ in batch.answers:
            safely(done, Unavailable(AWAY))

    async def _recover(self, pause_s: float) -> None:
        """Until it works: open the journal, prove that it can be written, read a new engine from it."""
        while True:
            await asyncio.sleep(pause_s)
            pause_s = RETRY_S
            if self._with_thread:
                continue  # the disk has not given an answer for a batch yet: the journal is still in use
            try:
                self._reopening = asyncio.ensure_future(asyncio.to_thread(self._reopen))
                engine = await asyncio.shield(self._reopening)
            except JournalHeld as held:
                self._standing_by(str(held))
                pause_s = min(held.retry_s, RETRY_S)
                continue
            except Exception as error:  # noqa: BLE001 - nobody else would try again
                self._not_yet(f"the journal cannot be used: {error}", error)
                continue
            self.engine = engine
            log.info("Writer recovered", action="writer_recovered", seq=engine.state.seq)
            self._begin()
            for call in self.on_recovery:
                safely(call)
            return

    def _not_yet(self, why: str, error: Exception) -> None:
        """Said once for each reason, not every second."""
        if why != self.failed:
            log.error("Writer not recovered", action="writer_not_recovered", problem=why, error=type(error).__name__)
            self._tell_standby("")
        self.failed = why

    def _standing_by(self, leads: str) -> None:
        why = f"standby: {leads}"
        if why != self.failed:
            log.info("Stands by", action="stands_by", problem=why)
            self._tell_standby(leads)
        self.failed = why

    def _tell_standby(self, leads: str) -> None:
        for call in self.on_standby:
            safely(call, leads)

    def _reopen(self) -> Engine:
        if not self._held:  # or there is nothing to close, and the way to ask stays open
            self.journal.close()
        self._held = False
        try:
            opened = self.journal.open()
        except JournalHeld:
            self._held = True
            self.follow()
            raise
        for note in opened.notes:
            log.warning("Journal opened", action="journal_opened", found=note)
        self.journal.probe()
        return self.rebuild()


def shown_time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def safely(call: Callable[..., object], *args: object) -> None:
    """One edge's fault must not keep the others from their answers, nor the writer from its work."""
    try:
        call(*args)
    except Exception as fault:  # noqa: BLE001
        _blame(call, fault)


def _blame(call: Callable[..., object], fault: Exception) -> None:
    edge = getattr(call, "__qualname__", repr(call))
    log.error("Edge failed", action="edge_failed", edge=edge, exc_info=fault)


def _nobody(outcome: object) -> None:
    """For commands that the process gives itself."""
