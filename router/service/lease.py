"""Keeping the lease of a shared journal, and standing by while somebody else has it.

Who leads is decided in Redis: by the token that each append must carry. What happens here makes it go smoothly. `Lease`
is renewed by the event loop itself, so a process whose loop hangs loses it like one that died. Whoever cannot renew it
for its whole length steps down without being told, because by then others may lead and its agents wait for nothing.

`Follower` reads what the leader writes into an engine of its own. When the lease is free the last few records are all
that is missing. It is used only if the log is still the one that was followed: after a failover of Redis that lost
records it is thrown away, and the log read from its last snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from router.engine.engine import Engine
from router.errors import JournalCorrupt, JournalFailed, JournalHeld, JournalUnfit
from router.journal.port import History
from router.observe import gauge, get_logger
from router.service import background
from router.service.clock import Clock
from router.service.ports import Health
from router.service.recovery import read_on, restore, start_of

log = get_logger("lease")

RENEWALS = 3  # in the length of a lease
# Two machines' clocks that are further apart give times to agents and reports that a person would notice.
SKEW_MAX_MS = 2_000

leading = gauge("leading", "1 while this process leads.")


class SharedJournal(History, Protocol):
    """A journal that several processes open, one at a time."""

    @property
    def where(self) -> str: ...

    @property
    def epoch(self) -> int:
        """How often the lease was taken, this time included; 0 while somebody else has it."""

    @property
    def heard(self) -> int:
        """The last record of who leads, when the lease was last asked for in vain."""

    @property
    def left(self) -> tuple[str, bytes]:
        """The log's identity and what who leads left for those who stand by, when the lease was last asked for."""

    def renew(self) -> int:
        """Keep the lease; the shared time in Unix milliseconds. Raises JournalHeld, JournalUnfit, JournalFailed."""

    def mark(self) -> tuple[int, str]:
        """The last record that was read, and where it stood."""

    def has(self, mark: tuple[int, str]) -> bool:
        """Whether that record is still there, in the same place. Raises JournalFailed."""


class Lease:
    """`step_down` is called with the reason when this process must not lead any more."""

    def __init__(
        self,
        journal: SharedJournal,
        length_ms: int,
        clock: Clock,
        leads: Callable[[], bool],
        step_down: Callable[[JournalFailed], None],
    ) -> None:
        self._journal, self._length_ms, self._clock = journal, length_ms, clock
        self._leads, self._step_down = leads, step_down
        self._renewed_ms = 0
        self._skew_ms = 0
        self._trouble = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._renewed_ms = self._clock.now_ms()
        self._task = background.begin(self._keep(), "lease")

    async def stop(self) -> None:
        await background.end(self._task)

    def health(self) -> Health:
        figures = {"epoch": float(self._journal.epoch), "clock_skew_ms": float(self._skew_ms)}
        leading.set(1 if self._leads() else 0)
        if gone := background.trouble(self._task, "nobody renews the lease"):
            return Health(False, gone, figures)
        if self._leads() and self._trouble:
            return Health(False, self._trouble, figures)
        if abs(self._skew_ms) > SKEW_MAX_MS:
            detail = f"this machine's clock is {self._skew_ms / 1_000:.1f} s from Redis's; set both by NTP"
            return Health(True, detail, figures)
        return Health(True, f"leads {self._journal.where}" if self._leads() else "", figures)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._length_ms / RENEWALS / 1_000)
            if self._leads():
                await self._renew()
            else:
                self._renewed_ms, self._trouble = self._clock.now_ms(), ""

    async def _renew(self) -> None:
        try:
            shared_ms = await asyncio.to_thread(self._journal.renew)
        except (JournalHeld, JournalUnfit) as reason:
            self._give_up(reason)
        except JournalFailed as error:
            self._trouble = f"the lease cannot be renewed: {error}"
            if self._clock.now_ms() - self._renewed_ms >= self._length_ms:
                self._give_up(error)
        else:
            self._renewed_ms, self._trouble = self._clock.now_ms(), ""
            self._skew_ms = self._renewed_ms - shared_ms

    def _give_up(self, why: JournalFailed) -> None:
        if self._leads():
            self._step_down(why)


class Follower:
    """All of it in the writer's thread of recovery, one call after another. `log` reads beside the leader."""

    def __init__(
        self,
        journal: SharedJournal,
        log_: SharedJournal,
        queues: frozenset[str] = frozenset(),
        foreign: tuple[str, str] = ("another house's", "set another journal.prefix"),
    ) -> None:
        """`queues`: of this process's configuration; `foreign`: whose a log without any of them is, and what to do."""
        self._journal, self._log, self._queues = journal, log_, queues
        self._whose = foreign
        self._engine: Engine | None = None

    @property
    def document(self) -> bytes:
        """The configuration by which the leader decides, as far as it was followed; b"" before that."""
        engine = self._engine
        return engine.state.document if engine is not None else b""

    @property
    def left(self) -> tuple[str, bytes]:
        return self._journal.left

    @property
    def foreign(self) -> str:
        """Why the log, as far as it was followed, would not be gone on with; "" if it would, or is not known."""
        return self._unlike(self._engine) if self._engine is not None else ""

    def follow(self) -> None:
        """Apply what the leader has written since. What goes wrong here costs time at the takeover, nothing else."""
        try:
            if self._engine is None:
                self._log.open()
                engine, after = start_of(self._log)
                read_on(engine, self._log, after)
                self._engine = engine
            elif self._journal.heard != self._engine.state.seq:
                read_on(self._engine, self._log, self._engine.state.seq)
        except JournalCorrupt as error:
            self._forget()
            log.warning("Not followed", action="not_followed", problem=str(error))
        except JournalFailed:
            pass  # Redis is away: whoever waits for the lease says so

    def take(self) -> Engine:
        """The engine as the open journal has it.

        Who cannot go on from it gives the lease back at once, for others may: an older version that does not know a
        record (JournalVersion), a damaged log, another house's log (JournalUnfit), and whoever has a bug.
        """
        try:
            engine = self._take()
            self._check_house(engine)
        except Exception:
            self._journal.close()
            raise
        return engine

    def take_quiet(self) -> Engine:
        """As `take`, of a process without channels: its edges work out for themselves what is to be told."""
        engine = self.take()
        engine.quiet = True
        return engine

    def _check_house(self, engine: Engine) -> None:
        if foreign := self._unlike(engine):
            raise JournalUnfit(f"{self._journal.where}: {foreign}")

    def _unlike(self, engine: Engine) -> str:
        """Why this is another's log; "" if it is ours, or anybody's."""
        theirs = frozenset(engine.state.queues)
        if not self._queues or not theirs or self._queues & theirs:
            return ""
        named, (whose, do) = ", ".join(sorted(theirs)[:5]), self._whose
        return (
            f"this log is {whose}, for none of its queues ({named}) is in this configuration; {do}, or keep one "
            "queue's name while all others change"
        )

    def _take(self) -> Engine:
        engine, mark = self._engine, self._log.mark()
        self._forget()
        if engine is None or engine.state.seq != mark[0] or not self._journal.has(mark):
            return restore(self._journal)
        behind = self._journal.last_seq - engine.state.seq
        read_on(engine, self._journal, engine.state.seq)
        engine.resume()
        log.info("Takes over", action="takes_over", seq=engine.state.seq, behind=behind)
        return engine

    def _forget(self) -> None:
        self._engine = None
        self._log.close()
