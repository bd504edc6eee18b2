"""IMAP mailboxes, each read by a task of its own: one that fails, hangs or is full of garbage delays no other.

A message is taken as one that SMTP brought, and let go of only when the journal holds it; then the cursor is written
(durably), and then the server is told. Killed between two of these steps, the next visit takes the message again, and
the intake's key says that we know it. What is refused for good is put into quarantine, so that what follows can come.
"""

from __future__ import annotations

import asyncio
import imaplib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from channels.email import mailbox
from channels.email.listener import Recipient
from channels.email.mailbox import Cursor, Found, Visit
from channels.email.settings import ImapBox
from router.journal.files import make_folder, write_whole
from router.observe import counter, get_logger
from router.service import background

log = get_logger("email")

SOMEBODY = "unknown"  # the envelope is gone; the null sender would say that a program wrote it
SLOWEST = 16  # times the usual pause, after failures

Take = Callable[[bytes, str, Sequence[Recipient]], Awaitable[list[str]]]
SetAside = Callable[[bytes, str], Awaitable[None]]

_visits = counter("email_mailbox_visits_total", "Visits of IMAP mailboxes, by outcome.", ("mailbox", "outcome"))


class Poller:
    """One mailbox."""

    def __init__(
        self,
        name: str,
        box: ImapBox,
        folder: Path,
        max_bytes: int,
        take: Take,
        set_aside: SetAside,
        now: Callable[[], int],
    ) -> None:
        self.name, self.box = name, box
        self.trouble = ""  # why the last visit failed; "" when it did not
        self._path, self._max_bytes = folder / f"{name}.json", max_bytes
        self._take, self._set_aside, self._now = take, set_aside, now
        self._recipient = Recipient(box.address)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = background.begin(self._run(), f"mailbox {self.name}")

    async def stop(self) -> None:
        await background.end(self._task)

    @property
    def gone(self) -> str:
        """Which mailbox nobody polls any more; "" while somebody does."""
        return background.trouble(self._task, f"mailbox {self.name}")

    async def _run(self) -> None:
        from imap_tools.errors import ImapToolsError  # only where a mailbox is configured

        failures = 0
        while True:
            again = False
            try:
                again = await self.visit()
                failures, self.trouble = 0, ""
            except (OSError, imaplib.IMAP4.error, ImapToolsError, Refused) as problem:
                failures += 1
                self._failed(problem)
                log.warning("Mailbox not read", action="email_mailbox_failed", mailbox=self.name, error=self.trouble)
            except Exception as problem:  # our fault or a library's: this mailbox waits, the others go on
                failures += 1
                self._failed(problem)
                log.error("Mailbox not understood", action="email_mailbox_broken", mailbox=self.name, exc_info=problem)
            if not again:
                await asyncio.sleep(self.box.poll / 1_000 * min(2**failures, SLOWEST))

    def _failed(self, problem: Exception) -> None:
        self.trouble = type(problem).__name__
        _visits.labels(self.name, "failed").inc()

    async def visit(self) -> bool:
        """Take what is there. Whether there is more. Raises Refused where a message has to come again."""
        seen = await asyncio.to_thread(mailbox.visit, self.box, self._cursor(), self._now(), self._max_bytes)
        done: list[int] = []
        cursor = seen.cursor
        try:
            for found in seen.found:
                await self._record(found)
                cursor = msgspec.structs.replace(cursor, uid=found.uid)
                if found.raw is not None:  # what was left there is not marked: people who look into it shall see it
                    done.append(found.uid)
        finally:
            await self._keep(cursor, seen, done)
        _visits.labels(self.name, "done").inc()
        return seen.more

    async def _keep(self, cursor: Cursor, seen: Visit, done: list[int]) -> None:
        """Write down how far we are, and let the server know of what was recorded."""
        if done or cursor != self._cursor():
            await asyncio.to_thread(_write_down, self._path, cursor)
        if done:
            await asyncio.to_thread(mailbox.settle, self.box, done)

    async def _record(self, found: Found) -> None:
        if found.raw is None:
            why = f"mailbox {self.name}: message {found.uid} has {found.size} bytes and was left there"
            await self._set_aside(why.encode(), why)
            return
        [answer] = await self._take(found.raw, SOMEBODY, [self._recipient])
        if answer.startswith("5"):
            await self._set_aside(found.raw, f"mailbox {self.name}: {answer}")
        elif not answer.startswith("2"):
            raise Refused(answer)

    def _cursor(self) -> Cursor:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Cursor)
        except FileNotFoundError:
            return Cursor()


class Refused(Exception):
    """Not recorded now; it stays where it is and comes again."""


def _write_down(path: Path, cursor: Cursor) -> None:
    make_folder(path.parent)
    write_whole(path, msgspec.json.encode(cursor))
