"""What watches over the engine: the matching check of `/readyz`, and snapshots made beside the running process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence

from router.engine.engine import Engine
from router.observe import get_logger
from router.service import background
from router.service.ports import Health
from router.service.writer import Writer, shown_time

log = get_logger("supervision")

LOOK_S = 5.0  # how often the number of new records is compared with the limit
TRY_AGAIN_S = 60.0  # after a failure: it costs as much as a success
# A wall clock that was moved by more than this is shown; decisions do not follow it.
DRIFT_MAX_MS = 60_000
SNAPSHOT_LIMIT_S = 600.0  # a child that takes longer has lost its way


def matching_health(engine: Engine) -> Health:
    """Bad when something waits beside somebody idle who fits (RT-5). Costs one look at each class.

    A place that is held (CP-4) is no room, and nobody is idle because of it: how many are held is a figure, no alarm.
    """
    matcher = engine.state.matcher
    stuck = [
        matcher.class_keys[c].queue
        for c, able in enumerate(matcher.cells_of)
        if matcher.waiting.filled >> c & 1 and able & matcher.idle.filled
    ]
    stuck += [matcher.class_keys[c].queue for c in matcher.personal.beside_somebody()]
    if stuck:
        return Health(False, f"waiting beside idle agents in {', '.join(sorted(set(stuck)))}")
    return Health(True, figures={"places_held": float(len(engine.state.drains))})


def clock_health(drift_ms: int, writers: Sequence[Writer]) -> Health:
    """Never bad: another process would decide by the same log. `writers`: those that lead here, if any does."""
    said = []
    if abs(drift_ms) > DRIFT_MAX_MS:
        said.append(f"the wall clock was moved by {drift_ms / 1_000:.0f} s; restart to follow it")
    worst = max(writers, key=lambda writer: writer.ahead_ms, default=None)
    ahead_ms = worst.ahead_ms if worst is not None else 0
    if worst is not None and ahead_ms:
        now = shown_time(worst.engine.state.now_ms)
        said.append(
            f"decisions are taken at {now}, {ahead_ms / 1_000:.0f} s ahead of this machine's clock, and no deadline "
            "comes until it has caught up: this clock is slow, or that of whoever led before was fast"
        )
    return Health(True, ". ".join(said), {"drift_ms": float(drift_ms), "ahead_ms": float(ahead_ms)})


class Snapshots:
    """Bounds the time of a restart (DU-4).

    A child process reads the journal as a restart would and writes the snapshot; the daemon only starts it. So a
    snapshot costs the loop nothing, and each one is a rehearsal of recovery.
    """

    def __init__(self, where: tuple[str, ...], every: int, last_seq: Callable[[], int]) -> None:
        """`where`: options of `journal snapshot` that name the journal."""
        self._where, self._every, self._last_seq = where, every, last_seq
        self._done_seq = 0
        self._task: asyncio.Task[None] | None = None
        self._trouble = ""  # why the last snapshot failed: shown, but the log alone is enough to start from

    async def start(self) -> None:
        self._task = background.begin(self._watch(), "snapshots")

    async def stop(self) -> None:
        await background.end(self._task)

    def health(self) -> Health:
        """Bad when nobody watches any more: then the next start would take ever longer."""
        gone = background.trouble(self._task, "nobody makes snapshots")
        return Health(not gone, gone or self._trouble, {"seq": float(self._done_seq)})

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            seq = self._last_seq()
            if seq - self._done_seq < self._every:
                continue
            try:
                self._trouble = await self._make()
            except OSError as error:  # no process or no pipe to be had just now
                self._trouble = f"the last snapshot could not be begun ({error.strerror})"
            if self._trouble:
                log.warning("Snapshot failed", action="snapshot_failed", problem=self._trouble)
                await asyncio.sleep(TRY_AGAIN_S)
            else:
                log.info("Snapshot made", action="snapshot_made", seq=seq)
                self._done_seq = seq

    async def _make(self) -> str:
        """Why there is none, or ""."""
        arguments = ("-m", "router", "journal", "snapshot", *self._where)
        child = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(SNAPSHOT_LIMIT_S):
                _, said = await child.communicate()
        except TimeoutError:
            child.kill()
            await child.wait()
            return f"the last snapshot took longer than {SNAPSHOT_LIMIT_S:.0f} s"
        except asyncio.CancelledError:
            child.kill()
            await child.wait()
            raise
        lines = said.decode(errors="replace").strip().splitlines()
        return f"the last snapshot failed: {lines[-1][:200] if lines else child.returncode}" if child.returncode else ""
