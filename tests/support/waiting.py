"""Waiting for what has no event on the test's own loop: a thread, another process, a part that tells nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], within_s: float = 20, every_s: float = 0.001) -> None:
    """Return once it holds. Raises TimeoutError if it does not in time."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(every_s)
