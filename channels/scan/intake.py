"""One complete item: from a drop folder into the journal, or into quarantine.

The order is the promise (IN-2): look, keep the bytes (durable), record (durable), and only then remove. A crash between
any two steps leaves the file where it was, and the next start does all of it again; the key of the command is made of
what the file is (`parse.reference` and digest), so it is recorded once. A file is removed only if it is still the one
that was recorded.

Pages of one item (`page_gap`) are recorded one by one under one thread, named by the first page, so each of them is as
safe as a file of its own. They are removed last to first: what a crash leaves always begins with the first page, and
so finds its thread again.
"""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from channels.scan import drop
from channels.scan.finding import Finding
from channels.scan.inspector import Inspector
from channels.scan.parse import NO_SIDECAR, Sidecar, Taken, arrival, parse_sidecar, printable, reference
from channels.scan.settings import Folder
from channels.scan.watch import Item, Leftover, Seen
from router.engine.commands import Reply
from router.engine.events import Blob
from router.errors import BadMessage, ClientError, NoRoute, Refusal, TooLarge
from router.observe import get_logger
from router.service.ports import Context
from router.service.quarantine import Entry

log = get_logger("scan")
T = TypeVar("T")

REASONS = {
    "unreadable": "nothing in it can be shown",
    "foreign": "not a PDF, TIFF, JPEG, PNG, GIF or raw fax file",
    "too-large": "bigger than the folder takes",
    "too-many-pages": "more pages than the folder takes",
    "too-many-pixels": "a picture larger than is decoded",
    "out-of-time": "looking into it took too long",
    "out-of-memory": "looking into it took too much memory",
    "crashed": "looking into it broke the decoder, perhaps for want of memory",
    "bad-sidecar": "not understood; its document was taken without it",
    "left-sidecar": "its document is in quarantine",
    "orphan-sidecar": "no document came with it",
    "empty-file": "nothing was ever written into it",
}


class Unroutable(Exception):
    """The routing plan takes nothing from this folder. The configuration is at fault, so the files stay."""


class NeverFits(Exception):
    """The quarantine does not take a file of this size, so it stays where it is until a person takes it away."""


class Place(Struct, frozen=True):
    """One folder with its name in the configuration and its real path."""

    name: str
    path: Path
    folder: Folder

    @property
    def to(self) -> str:
        return self.folder.to or self.name

    @property
    def source(self) -> str:
        """Its name in quarantine."""
        return f"scan.{self.name}"


class Verdict(Struct, frozen=True):
    """What is to become of one file: recorded where `code` is empty, otherwise quarantined."""

    file: Seen
    finding: Finding
    blob: Blob | None = None
    code: str = ""
    detail: str = ""


class Intake:
    def __init__(
        self,
        context: Context,
        inspectors: asyncio.Queue[Inspector],
        executor: Executor,
        country: str,
        oldest_ms: int,
        count: Callable[[Place, str], None],
    ) -> None:
        self._context = context
        self._inspectors = inspectors
        self._executor = executor
        self._country = country
        self._oldest_ms = oldest_ms
        self._count = count

    async def take(self, place: Place, item: Item) -> None:
        """Record it and remove it. Whatever is raised, nothing was removed that is not recorded or in quarantine.

        Raises Changed (watch it anew), NeverFits (do not come back), Refusal, InspectorDown, Unroutable and OSError
        (come back later).
        """
        sidecar, state = await self._sidecar(place, item)
        verdicts = [await self._judge(place, file) for file in item.documents]
        verdicts = await self._record(place, item, verdicts, sidecar, state)
        nothing_taken = all(verdict.code for verdict in verdicts)
        too_large = [v for v in verdicts if v.code and not self._context.quarantine.takes(v.file.size)]
        if not too_large:
            await self._let_go_of_sidecar(place, item, state, nothing_taken)
        for verdict in reversed(verdicts):
            if verdict in too_large:
                continue
            if verdict.code:
                await self.quarantine(place, verdict.file, verdict.code, verdict.detail)
            else:
                await self._off(drop.take_out, place.path, verdict.file)
        if too_large:
            raise NeverFits(f"{too_large[0].code}, and more than the quarantine takes ({too_large[0].file.size} bytes)")

    async def put_away(self, place: Place, leftover: Leftover) -> None:
        """Quarantine what will never become an item. Raises Changed, NeverFits and OSError."""
        await self.quarantine(place, leftover.file, leftover.code, "")

    async def again(self, place: Place, raw: bytes, entry: Entry) -> Reply:
        """Take in what was in quarantine, because an operator says so. Raises BadMessage if it still cannot be shown.

        Recorded under the entry's name, so asking twice records once. Its sidecar has an entry of its own.
        """
        name = printable(entry.name or entry.id)[:200]
        own = f"again-{sha256(entry.id.encode()).hexdigest()[:18]}"
        with tempfile.TemporaryFile() as file:
            await self._off(file.write, raw)
            await self._off(file.seek, 0)
            finding = await self._look(file.fileno(), name, place.folder.max_pages)
        if not finding.showable:
            raise BadMessage(f"{REASONS.get(finding.condition, finding.condition)}: {finding.detail}")
        blob = await self._context.blobs.put(raw)
        at_ns = entry.at_ms * 1_000_000
        taken = Taken(
            folder=place.name,
            channel=place.folder.channel,
            to=place.to,
            file=Seen(name, len(raw), at_ns, at_ns, 0),
            blob=blob,
            finding=finding,
            country=self._country,
            oldest_ms=self._oldest_ms,
            own=own,
        )
        reply = await self._context.desk.ask(arrival(taken, self._context.desk.now_ms()))
        self._note(place, reply, finding)
        return reply

    # --- looking ------------------------------------------------------------------------------------------------------

    async def _sidecar(self, place: Place, item: Item) -> tuple[Sidecar, str]:
        if item.sidecar is None:
            return NO_SIDECAR, "missing" if item.sidecar_late else ""
        most = place.folder.max_sidecar_bytes
        data = await self._off(drop.read_seen, place.path, item.sidecar, most)
        try:
            if len(data) > most:
                raise BadMessage(f"longer than {most} bytes")
            return parse_sidecar(data), ""
        except BadMessage as problem:
            log.warning("Sidecar not understood", action="scan_sidecar_refused", folder=place.name, why=problem)
            return NO_SIDECAR, f"unreadable: {problem}"[:300]

    async def _judge(self, place: Place, file: Seen) -> Verdict:
        """Look into one file and keep its bytes if they can be shown."""
        if file.size > place.folder.max_file_bytes:
            detail = f"{file.size} bytes, {place.folder.max_file_bytes} are allowed"
            return Verdict(file, Finding(condition="too-large", detail=detail), code="too-large", detail=detail)
        fd = await self._off(drop.open_seen, place.path, file)
        try:
            finding = await self._look(fd, file.name, place.folder.max_pages)
            if not finding.showable:
                return Verdict(file, finding, code=finding.condition, detail=finding.detail)
            blob = await self._keep(place, file)
            await self._off(drop.settle_on_disk, fd)
            await self._off(drop.check_unchanged, place.path, file)
        except TooLarge as problem:
            return Verdict(file, finding, code=problem.code, detail=str(problem))
        finally:
            os.close(fd)
        return Verdict(file, finding, blob)

    async def _keep(self, place: Place, file: Seen) -> Blob:
        """The bytes into the blob store, durably. Raises TooLarge where its own limit is lower than ours."""
        try:
            return await self._context.blobs.put_file(place.path / file.name)
        except (FileNotFoundError, BadMessage):
            raise drop.Changed from None  # gone, or no plain file any more

    async def _look(self, fd: int, name: str, max_pages: int) -> Finding:
        inspector = await self._inspectors.get()
        try:
            return await self._off(inspector.inspect, fd, printable(name), max_pages)
        finally:
            self._inspectors.put_nowait(inspector)

    # --- recording ----------------------------------------------------------------------------------------------------

    async def _record(
        self, place: Place, item: Item, verdicts: list[Verdict], sidecar: Sidecar, state: str
    ) -> list[Verdict]:
        """In the order of the pages. What the engine refuses for good becomes a verdict of its own."""
        several = len(verdicts) > 1
        pages = sum(verdict.finding.pages for verdict in verdicts if verdict.blob) if several else 0
        group = reference(item.documents[0]) if several else ""
        done = []
        for verdict in verdicts:
            if verdict.blob is None:
                done.append(verdict)
                continue
            taken = Taken(
                folder=place.name,
                channel=place.folder.channel,
                to=place.to,
                file=verdict.file,
                blob=verdict.blob,
                finding=verdict.finding,
                sidecar=sidecar,
                sidecar_state=state.partition(":")[0],
                country=self._country,
                oldest_ms=self._oldest_ms,
                group=group,
                pages=pages,
            )
            done.append(await self._ask(place, taken, verdict))
        return done

    async def _ask(self, place: Place, taken: Taken, verdict: Verdict) -> Verdict:
        command = arrival(taken, self._context.desk.now_ms())
        try:
            reply = await self._context.desk.ask(command)
        except ClientError as problem:
            if isinstance(problem, NoRoute) and not self._context.desk.routes(place.folder.channel, place.to):
                raise Unroutable(f"no rule takes {place.folder.channel} to {place.to!r}") from problem
            return Verdict(verdict.file, verdict.finding, code=problem.code, detail=str(problem)[:300])
        self._note(place, reply, verdict.finding)
        return verdict

    def _note(self, place: Place, reply: Reply, finding: Finding) -> None:
        self._count(place, "duplicate" if reply.duplicate else "recorded")
        log.info(
            "Scan recorded",
            action="scan_recorded",
            folder=place.name,
            interaction=f"i-{reply.interaction}",
            condition=finding.condition,
            pages=finding.pages,
            duplicate=reply.duplicate,
        )

    # --- letting go ---------------------------------------------------------------------------------------------------

    async def _let_go_of_sidecar(self, place: Place, item: Item, state: str, nothing_taken: bool) -> None:
        """Before its document: a document that is met again without it is known, a sidecar alone would be an orphan."""
        if item.sidecar is None:
            return
        try:
            if state:
                await self.quarantine(place, item.sidecar, "bad-sidecar", state)
            elif nothing_taken:
                await self.quarantine(place, item.sidecar, "left-sidecar", "")
            else:
                await self._off(drop.take_out, place.path, item.sidecar)
        except drop.Changed:
            return  # a new one by now: it waits for its own document

    async def quarantine(self, place: Place, file: Seen, code: str, detail: str) -> None:
        """Keep it for an operator, then remove it. Raises Changed, NeverFits, and OSError while there is no room."""
        await self._off(drop.check_unchanged, place.path, file)
        own = reference(file)
        if not await self._off(self._is_kept, place, own):
            await self._set_aside(place, file, code, {"reference": own, "detail": detail})
        await self._off(drop.take_out, place.path, file)
        self._count(place, "quarantined")
        log.warning("Scan quarantined", action="scan_quarantined", folder=place.name, code=code, size=file.size)

    def _is_kept(self, place: Place, own: str) -> bool:
        """Whether a crash came between keeping this very file and removing it."""
        entries = self._context.quarantine.entries(limit=self._context.quarantine.count)
        return any(entry.source == place.source and entry.detail.get("reference") == own for entry in entries)

    async def _set_aside(self, place: Place, file: Seen, code: str, detail: dict[str, str]) -> None:
        try:
            await self._context.quarantine.keep(
                source=place.source,
                name=printable(file.name),
                data=place.path / file.name,
                reason=REASONS.get(code, detail["detail"] or code),
                code=code,
                at_ms=self._context.desk.now_ms(),
                detail={name: text for name, text in detail.items() if text},
            )
            await self._off(drop.check_unchanged, place.path, file)
        except (FileNotFoundError, BadMessage):
            raise drop.Changed from None  # gone, or no plain file any more
        except TooLarge as problem:
            raise NeverFits(str(problem)) from problem
        except Refusal as problem:
            raise OSError(errno.ENOSPC, str(problem)) from problem  # of this file only: good ones need no quarantine

    async def _off(self, work: Callable[..., T], *arguments: object) -> T:
        """Run what may block on a disk in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)
