"""How one channel hands a letter to another: what a visitor leaves at a closed door arrives as mail.

The channel that takes mail says so when it is built; whoever has a letter gives it the whole message and the address of
ours it is for. It comes in like any other, so what mail promises (recorded before it is acknowledged, the same letter
twice is one, replies find their way) holds for it too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from router.errors import Unavailable

Take = Callable[[bytes, str], Awaitable[None]]


class Letters:
    def __init__(self) -> None:
        self._take: Take | None = None

    def taken_by(self, take: Take) -> None:
        self._take = take

    async def post(self, raw: bytes, address: str) -> None:
        """It is recorded when this returns. Raises NoRoute for an address that is none of ours, and Refusal."""
        if self._take is None:
            raise Unavailable("no mail is taken here", retry_after_s=60)
        await self._take(raw, address)
