"""Work that goes on for as long as a part of the process lives: watching, renewing, sweeping, polling.

Rule 1: it has no end of its own. It ends when its part stops, and `end` returns when it has ended, so that nothing of
it touches what the part closes next.
Rule 2: nobody awaits it, so that a fault in it would be told when the garbage collector finds it. It is logged at once.
Rule 3: its part says in `health` that it is gone, and of what it died: by the fault's type alone, for `/readyz` is read
by whoever can reach it, and a message may quote a customer. The log has all of it, masked.

There is no restart here. What may go wrong is caught in the loop that knows what to do then (a mailbox that does not
answer, Redis that is away); what nobody foresaw would come again. And what comes to an end by itself is something else:
a letter that is delivered, a writer's recovery.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from router.observe import get_logger

log = get_logger("background")


def begin(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """The caller must keep what it gets: the event loop itself holds tasks weakly. `name`: in the log."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    task.add_done_callback(_log_fault)
    return task


async def end(task: asyncio.Task[None] | None) -> None:
    """Returns when it has ended; at once if it never began, or died before. Raises nothing of its faults."""
    if task is not None:
        task.cancel()
        await asyncio.wait([task])


def trouble(task: asyncio.Task[None] | None, missing: str) -> str:
    """What health is to say: "" while it goes on, else `missing` (what nobody does any more) and what it died of."""
    if task is not None and not task.done():
        return ""
    fault = _fault_of(task) if task is not None else None
    return f"{missing} ({type(fault).__name__}; see the log)" if fault is not None else missing


def _fault_of(task: asyncio.Task[None]) -> BaseException | None:
    return None if task.cancelled() else task.exception()


def _log_fault(task: asyncio.Task[None]) -> None:
    if (fault := _fault_of(task)) is not None:
        log.error("Background task died", action="task_died", task=task.get_name(), exc_info=fault)
