"""Tells callers where they stand, through gateways that must be told because they do not ask.

Nothing here is durable and nothing depends on it: whoever is missed is told the next time. Who waits is learned from
what the gateway says of its calls, so that it is known again soon after a restart. That the gateway takes a word for a
waiting caller is as good as a word from it: the call's lease is renewed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from router.engine.commands import Renew
from router.engine.views import Estimate
from router.observe import get_logger
from router.service import background
from router.service.ports import DeliveryFailed, Desk, Outcome

log = get_logger("phone")

# The gateway's answer to one word: whether the caller is still waiting there. Raises DeliveryFailed.
Say = Callable[[str, Estimate], Awaitable[bool]]


class Positions:
    """The callers of one gateway. One task; a gateway that does not answer is tried again after `every_ms`."""

    def __init__(self, desk: Desk, prefix: str, every_ms: int, lease_ms: int, say: Say) -> None:
        self._desk, self._prefix, self._say = desk, prefix, say
        self._every_ms, self._lease_ms = every_ms, lease_ms
        self._callers: dict[str, int] = {}  # by call id: the interaction
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._callers)

    @property
    def trouble(self) -> str:
        """Why nobody is told; "" also where it was not started."""
        return background.trouble(self._task, "nobody tells callers their positions") if self._task is not None else ""

    def start(self) -> None:
        self._task = background.begin(self._run(), "positions")

    async def stop(self) -> None:
        task, self._task = self._task, None
        await background.end(task)

    def heard_of(self, call_id: str, interaction: int) -> None:
        """The gateway has this call, which may be waiting."""
        self._callers[call_id] = interaction

    def over(self, call_id: str) -> None:
        self._callers.pop(call_id, None)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every_ms / 1_000)
            await self.tell()

    async def tell(self) -> None:
        """One round over everybody who waits."""
        for call_id, interaction in list(self._callers.items()):
            if self._desk.find(self._prefix + call_id) != interaction:
                self.over(call_id)
                continue
            at = self._desk.estimate(interaction)
            if at is None:
                continue  # somebody has the call, who may lose it again
            try:
                await self._tell(call_id, at)
            except DeliveryFailed as failure:
                log.warning("Positions not told", action="phone_positions_failed", problem=str(failure))
                return

    async def _tell(self, call_id: str, at: Estimate) -> None:
        if await self._say(call_id, at):
            self._desk.submit(Renew(thread=self._prefix + call_id, lease_ms=self._lease_ms), _whatever)
        else:
            self.over(call_id)  # its end, or its next wait, is on the way to us


def _whatever(outcome: Outcome) -> None:
    """A lease that could not be renewed is renewed the next time."""
