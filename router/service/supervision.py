"""What watches over the engine: the matching check of `/readyz`, and snapshots made beside the running process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from router.engine.engine import Engine
from router.observe import get_logger
from router.service.ports import Health

log = get_logger("supervision")

LOOK_S = 5.0  # how often the number of new records is compared with the limit
SNAPSHOT_LIMIT_S = 600.0  # a child that takes longer has lost its way


def matching_health(engine: Engine) -> Health:
    """Bad when something waits beside somebody idle who fits (RT-5). Costs one look at each class."""
    matcher = engine.state.matcher
    stuck = [
        matcher.class_keys[c].queue
        for c, able in enumerate(matcher.cells_of)
        if matcher.waiting.filled >> c & 1 and able & matcher.idle.filled
    ]
    if stuck:
        return Health(False, f"waiting beside idle agents in {', '.join(sorted(set(stuck)))}")
    return Health(True)


class Snapshots:
    """Bounds the time of a restart (DU-4).

    A child process reads the journal as a restart would and writes the snapshot; the daemon only starts it. So a
    snapshot costs the loop nothing, and each one is a rehearsal of recovery.
    """

    def __init__(self, data: Path, every: int, last_seq: Callable[[], int]) -> None:
        self._data, self._every, self._last_seq = data, every, last_seq
        self._done_seq = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.ensure_future(self._watch())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            seq = self._last_seq()
            if seq - self._done_seq >= self._every:
                self._done_seq = seq
                await self._make()

    async def _make(self) -> None:
        arguments = ("-m", "router", "journal", "snapshot", "--data", str(self._data))
        child = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(SNAPSHOT_LIMIT_S):
                _, said = await child.communicate()
        except TimeoutError:
            child.kill()
            await child.wait()
            log.warning("Snapshot took too long", action="snapshot_late")
            return
        except asyncio.CancelledError:
            child.kill()
            await child.wait()
            raise
        if child.returncode:
            log.warning("Snapshot failed", action="snapshot_failed", problem=said.decode(errors="replace")[-500:])
        else:
            log.info("Snapshot made", action="snapshot_made", seq=self._done_seq)
