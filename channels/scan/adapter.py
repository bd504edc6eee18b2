"""The shell of the scan folders: lists them, gives what is complete to the intake, and says truly how it goes.

Events of the file system only wake it; what counts is the listing, which is taken again every few seconds anyway. One
task does passes over all folders in turn. Within a pass a few files are taken at a time, of which one is looked into
while others are being written to disk.

When the engine refuses, every folder pauses: nothing is wrong with the files, so they stay, and trying each of them
would only add load. When one file cannot be read, only that one is put off.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import watchfiles

from channels.scan import drop
from channels.scan.drawing import Drawer
from channels.scan.inspector import Inspector, InspectorDown
from channels.scan.intake import Intake, NeverFits, Place, Unroutable
from channels.scan.lane import Lane
from channels.scan.settings import OURS, Settings
from channels.scan.watch import Item, Leftover, Watch
from router.engine import events as e
from router.engine.views import Inform, InteractionView, MessageView, Outbound
from router.errors import ConfigError, Refusal, Unavailable
from router.observe import counter, get_logger
from router.service import background
from router.service.masked import for_channel
from router.service.ports import Context, DeliveryFailed, Health

log = get_logger("scan")

LISTING_MAX = 20_000  # entries of one folder that are looked at in a pass: 5 MB; the rest follows when these are gone
FIRST_BACKOFF_MS = 1_000
NEVER_MS = 1 << 62  # when a file is tried again that is not: as another file
FAILING = 3  # one file that nobody can read is that file's trouble; so many with none between are the folder's
WAKE_AGAIN_S = 30  # after the watcher gave up; listing goes on meanwhile
WAKE_GAP_MS = 200  # events that come closer together than this wake once

_files = counter("scan_files_total", "Files of scan folders, by what became of them.", ("folder", "outcome"))


@dataclass
class _Folder:
    """One folder's state between passes."""

    place: Place
    watch: Watch
    trouble: str = ""  # why the whole folder is not served
    stuck: dict[str, str] = field(default_factory=dict)  # files that could not be taken, with the reason
    tries: dict[str, int] = field(default_factory=dict)
    in_a_row: int = 0  # files put off since one was taken
    others: int = 0
    cut: bool = False


class ScanAdapter:
    """Files in, interactions out. Implements `ports.Adapter`."""

    name = "scan"
    actions: frozenset[str] = frozenset()  # a fax server is not told anything

    def __init__(self, settings: Settings, context: Context, inspectors: Sequence[Inspector] = ()) -> None:
        self._settings = settings
        self.hears = settings.reading.enabled
        self._context = context = for_channel(context, settings.reading.mask_cards)
        places = [
            Place(name, context.data / (folder.path or Path("drop") / name), folder)
            for name, folder in settings.folders.items()
        ]
        _refuse_shared_paths(places, context.data)
        self.channels = tuple(sorted({place.folder.channel for place in places}))
        self._folders = [_Folder(place, Watch(place.folder)) for place in places]
        self._hands = settings.inspector.concurrency + 2  # one looked into, one kept, one recorded
        self._executor = ThreadPoolExecutor(self._hands + 1, thread_name_prefix="scan")
        concurrency = range(settings.inspector.concurrency)
        self._inspectors = list(inspectors) or [Inspector(settings.inspector) for _ in concurrency]
        self._free: asyncio.Queue[Inspector] = asyncio.Queue()
        for inspector in self._inspectors:
            self._free.put_nowait(inspector)
        self._intake = Intake(context, self._free, self._executor, settings.country, settings.oldest, self._count)
        self._drawer = Drawer(settings.showing)
        self._slow = ThreadPoolExecutor(1, thread_name_prefix="scan-lane")
        self._lane = Lane(settings.reading, context, self.channels, self._drawer, self._slow)
        self._outcomes: dict[str, int] = {"recorded": 0, "duplicate": 0, "quarantined": 0, "left": 0}
        self._task: asyncio.Task[None] | None = None
        self._waker: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._stopping = False
        self._pause_until_ms = 0
        self._refusals = 0
        self._paused_for = ""
        self._beat_s = 0.0

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Raises ConfigError if a folder cannot be made or read."""
        loop = asyncio.get_running_loop()
        for one in self._folders:
            try:
                await loop.run_in_executor(self._executor, _make_ready, one.place.path)
            except OSError as problem:
                expected = "a folder that can be made, read and written"
                raise ConfigError(f"scan.folders.{one.place.name}.path", expected, str(problem)) from problem
        await loop.run_in_executor(self._executor, self._lane.clear)
        self._beat_s = time.monotonic()
        self._task = background.begin(self._run(), "scan")
        self._waker = background.begin(self._listen(), "scan-events")
        if self._settings.reading.enabled:
            await self._lane.start()

    async def stop_intake(self) -> None:
        """No new pass; the files in hand are finished."""
        self._stopping = True
        self._wake.set()
        await background.end(self._waker)
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        self._stopping = True
        await background.end(self._waker)
        await background.end(self._task)
        await self._lane.stop()
        self._drawer.close()
        await asyncio.to_thread(self._slow.shutdown, wait=True, cancel_futures=True)
        for inspector in self._inspectors:
            inspector.close()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def health(self) -> Health:
        """Bad while files cannot be taken. Single files that stay are named, but they are not the channel's failure."""
        troubles = self._troubles()
        stuck = [
            f"{one.place.name}: {len(one.stuck)} files stay: {next(iter(one.stuck.values()))}"
            for one in self._folders
            if one.stuck
        ]
        figures = {
            "folders": float(len(self._folders)),
            "incomplete": float(sum(one.watch.pending for one in self._folders)),
            "not_files": float(sum(one.others for one in self._folders)),
            "stuck": float(sum(len(one.stuck) for one in self._folders)),
            "overfull": float(sum(one.cut for one in self._folders)),  # folders with more than LISTING_MAX entries
            "to_read": float(self._lane.waiting),
            "reads_pixels": float(self._settings.reading.enabled and self._lane.reads_pixels),
            **{name: float(count) for name, count in self._outcomes.items()},
        }
        return Health(not troubles, "; ".join(troubles + stuck), figures)

    def reset(self, reason: str) -> None:
        """Nothing is kept here that the engine's state could contradict."""

    def inform(self, news: Inform) -> None:
        """A folder is told nothing. What came, by whatever way it became a fax, is to be read."""
        if self._settings.reading.enabled and _brings_files(news.event):
            self._lane.note(news.interaction)

    async def deliver(self, outbound: Outbound) -> None:
        raise DeliveryFailed(f"a scan folder cannot do {outbound.action!r}", final=True)

    def routes(self) -> Sequence[Any]:
        return ()

    async def readable(self, view: InteractionView) -> tuple[MessageView, ...]:
        return view.messages

    def requeue_hooks(self) -> dict[str, Callable[[bytes, Any], Awaitable[object]]]:
        """By quarantine source: takes a file that was set aside once more."""
        return {one.place.source: self._again(one.place) for one in self._folders}

    def _again(self, place: Place) -> Callable[[bytes, Any], Awaitable[object]]:
        async def again(raw: bytes, entry: Any) -> object:
            try:
                return await self._intake.again(place, raw, entry)
            except InspectorDown as problem:
                raise Unavailable(str(problem)) from problem

        return again

    # --- the work -----------------------------------------------------------------------------------------------------

    async def sweep(self) -> bool:
        """One pass over all folders. True if complete files were left for the next one."""
        now_ms = self._context.desk.now_ms()
        if now_ms < self._pause_until_ms:
            return False
        ready: list[tuple[_Folder, Item | Leftover]] = []
        for one in self._folders:
            ready += [(one, found) for found in await self._observe(one, now_ms)]
        if not ready:
            self._refusals, self._paused_for = 0, ""
        first = self._settings.files_per_pass
        taken = sorted(ready, key=lambda pair: _came_ns(pair[1]))[:first]
        waiting = iter(taken)
        await asyncio.gather(*(self._work_off(waiting) for _ in range(min(self._hands, len(taken)))))
        self._beat()
        return len(ready) > first

    async def _observe(self, one: _Folder, now_ms: int) -> list[Item | Leftover]:
        place = one.place
        quiet = lambda file: one.watch.quiet(file, now_ms)  # noqa: E731 - binds this pass's time
        try:
            listing = await asyncio.get_running_loop().run_in_executor(
                self._executor, drop.list_folder, place.path, quiet, LISTING_MAX
            )
        except OSError as problem:
            one.trouble = f"{place.name}: cannot be read ({problem.strerror})"
            return []
        one.trouble = ""
        one.others, one.cut = listing.others.total(), listing.cut
        names = {file.name for file in listing.files}
        one.stuck = {name: why for name, why in one.stuck.items() if name in names}
        one.tries = {name: count for name, count in one.tries.items() if name in names}
        self._beat()
        return one.watch.observe(listing.files, now_ms)

    async def _work_off(self, waiting: Any) -> None:
        """One of several hands: takes the next one until there is none, or until the engine refuses."""
        for one, found in waiting:
            if self._stopping or self._context.desk.now_ms() < self._pause_until_ms:
                return
            await self._take(one, found)
            self._beat()

    async def _take(self, one: _Folder, found: Item | Leftover) -> None:
        files = [found.file] if isinstance(found, Leftover) else list(found.documents)
        try:
            if isinstance(found, Leftover):
                await self._intake.put_away(one.place, found)
            else:
                await self._intake.take(one.place, found)
        except drop.Changed:
            return  # its new stamp starts the watch anew
        except NeverFits as problem:
            self._leave(one, [file.name for file in files], str(problem))
            return
        except Refusal as problem:
            self._pause(f"refused ({problem.code})", problem.retry_after_s * 1_000)
            return
        except InspectorDown as problem:
            self._pause(str(problem), FIRST_BACKOFF_MS)
            return
        except (OSError, Unroutable) as problem:
            self._put_off(one, [file.name for file in files], str(getattr(problem, "strerror", "") or problem))
            return
        except Exception as problem:  # our own fault: logged, shown in health, and no end of the others
            log.error("Scan failed", action="scan_failed", folder=one.place.name, exc_info=problem)
            self._put_off(one, [file.name for file in files], f"internal ({type(problem).__name__})")
            return
        self._refusals, self._paused_for, one.in_a_row = 0, "", 0
        for file in files:
            one.stuck.pop(file.name, None)

    def _pause(self, why: str, at_least_ms: int) -> None:
        """Nothing is tried for a while; twice as long each time, up to the longest."""
        wait_ms = min(max(at_least_ms, FIRST_BACKOFF_MS << min(self._refusals, 20)), self._settings.longest_backoff)
        self._refusals += 1
        self._paused_for = why
        self._pause_until_ms = self._context.desk.now_ms() + wait_ms
        log.warning("Scan folders pause", action="scan_paused", why=why, wait_ms=wait_ms)

    def _put_off(self, one: _Folder, names: list[str], why: str) -> None:
        one.in_a_row += 1
        for name in names:
            count = one.tries[name] = one.tries.get(name, 0) + 1
            wait_ms = min(FIRST_BACKOFF_MS << min(count, 20), self._settings.longest_backoff)
            one.watch.postpone(name, self._context.desk.now_ms() + wait_ms)
            one.stuck[name] = why
        log.warning("Scan put off", action="scan_put_off", folder=one.place.name, why=why, files=len(names))

    def _leave(self, one: _Folder, names: list[str], why: str) -> None:
        """Nothing more can be done with these until somebody changes them or takes them away."""
        for name in names:
            one.watch.postpone(name, NEVER_MS)
            one.stuck[name] = why
        self._count(one.place, "left")
        log.warning("Scan left in place", action="scan_left", folder=one.place.name, why=why, files=len(names))

    # --- when ---------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._stopping:
            more = await self.sweep()
            if not more and not self._stopping:
                await self._sleep()

    async def _sleep(self) -> None:
        """Until something happens in a folder, or it is time to look again."""
        settles = [one.place.folder.settle for one in self._folders if one.watch.pending]
        wait_ms = max(WAKE_GAP_MS, min([self._settings.poll, *settles]))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), wait_ms / 1_000)
        self._wake.clear()

    async def _listen(self) -> None:
        """Turns events into wake-ups. Loses nothing by failing: the folders are listed anyway."""
        paths = [one.place.path for one in self._folders]
        while paths:
            try:
                async for _ in watchfiles.awatch(
                    *paths, watch_filter=None, debounce=WAKE_GAP_MS, recursive=False, ignore_permission_denied=True
                ):
                    self._wake.set()
            except (OSError, RuntimeError) as problem:
                log.warning("No events from scan folders", action="scan_events_lost", why=problem)
            await asyncio.sleep(WAKE_AGAIN_S)

    def _beat(self) -> None:
        self._beat_s = time.monotonic()

    def _count(self, place: Place, outcome: str) -> None:
        self._outcomes[outcome] += 1
        _files.labels(place.name, outcome).inc()

    def _troubles(self) -> list[str]:
        found = []
        if gone := background.trouble(self._task, "not watching"):
            found.append(gone)
        else:
            longest_s = self._settings.poll / 1_000 + self._settings.inspector.seconds + 10
            silent_s = time.monotonic() - self._beat_s
            if silent_s > longest_s:
                found.append(f"no pass for {silent_s:.0f} s")
        if self._settings.reading.enabled and self._lane.trouble:
            found.append(self._lane.trouble)
        if self._paused_for:
            found.append(f"files stay in their folders: {self._paused_for}")
        for one in self._folders:
            found += [one.trouble] if one.trouble else []
            if len(one.stuck) >= FAILING and one.in_a_row >= FAILING:
                found.append(f"{one.place.name}: nothing can be taken")
        return found


def _brings_files(event: e.Event) -> bool:
    if isinstance(event, e.InteractionArrived):
        return event.message is not None and bool(event.message.blobs)
    return isinstance(event, e.MessageAdded) and event.author == "customer" and bool(event.message.blobs)


def _refuse_shared_paths(places: list[Place], data: Path) -> None:
    """Two folders with one path would take each file twice; what is in quarantine would be set aside for ever."""
    known: dict[Path, str] = {}
    ours = [data.resolve() / own for own in OURS]
    for place in places:
        real = place.path.resolve()
        if real == data.resolve() or any(real.is_relative_to(own) for own in ours):
            raise ConfigError(f"scan.folders.{place.name}.path", "a folder that is not the daemon's own", str(real))
        if real in known:
            raise ConfigError(f"scan.folders.{place.name}.path", "a path of its own", f"that of {known[real]}")
        known[real] = place.name


def _make_ready(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    count = drop.sort_out(path)
    if count:
        log.info("Finished what a stop had cut short", action="scan_sorted_out", files=count)


def _came_ns(found: Item | Leftover) -> int:
    return found.file.ctime_ns if isinstance(found, Leftover) else found.documents[0].ctime_ns
