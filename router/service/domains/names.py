"""By what name an engine process is known, where routing domains are given to engines by name.

Two engines of one name are one to whoever gives a domain: which of them takes it is chance. So a name is kept in Redis
for as long as its process renews it, which is no longer than a lease. An engine whose name somebody has waits for so
long, since it may be its own that has just died; then it ends, with a sentence. Who has lost its name (it was stopped
for longer than that, and another took it) leads on, and says so in `/readyz`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import uuid
from typing import TYPE_CHECKING, Any

from router.errors import ConfigError, JournalFailed
from router.journal.redis_scripts import FORGET_NAME, KEEP_NAME, Script
from router.observe import get_logger
from router.service import background

if TYPE_CHECKING:
    from router.journal.redis_link import Link

log = get_logger("domains")

RENEWALS = 3  # in the time for which a name is kept
LOOK_S = 0.1


class OwnName:
    """`trouble` says that somebody else has the name, "" that all is well. `kept_ms`: without a word of its process."""

    def __init__(self, link: Link, prefix: str, name: str, kept_ms: int) -> None:
        self.name = name
        self.trouble = ""
        self._kept_ms = kept_ms
        self._key = (f"{prefix}:engine:{name}",)
        self._mark = f"{socket.gethostname()}:{os.getpid()} {uuid.uuid4().hex[:8]}"
        self._link, self._linked = link, threading.Lock()
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises ConfigError when another engine has the name, and lives."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._kept_ms / 1_000 * (1 + 1 / RENEWALS)
        while (other := await self._other()) and loop.time() < until:
            self.trouble = f"waits: {self._said(other)}, or was a moment ago"
            await asyncio.sleep(LOOK_S)
        if other:
            self.trouble = self._said(other)
            log.error("Name is taken", action="name_taken", name=self.name, by=other)
            raise ConfigError("link.name", "a name of its own for each engine", f"{self.name!r}: {self._said(other)}")
        self.trouble = ""
        self._keeping = background.begin(self._keep(), "engine name")

    async def stop(self) -> None:
        if self._keeping is not None:
            await background.end(self._keeping)
            try:
                await asyncio.to_thread(self._run, FORGET_NAME, self._mark)
            except JournalFailed as error:
                log.warning("Name not given back", action="name_not_given_back", name=self.name, problem=str(error))
        await asyncio.to_thread(self._link.close)

    @property
    def gone(self) -> str:
        """Why the name is not kept any more, of an engine that has started; "" while it is."""
        return background.trouble(self._keeping, "nobody keeps this engine's name")

    def _said(self, other: str) -> str:
        return f"process {other} is called so"

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._kept_ms / RENEWALS / 1_000)
            other = await self._other()
            if other and not self.trouble:
                log.error("Name is taken", action="name_taken", name=self.name, by=other)
            self.trouble = (
                f"{self._said(other)}, too: give each engine a link.name of its own and start this one again"
                if other
                else ""
            )

    async def _other(self) -> str:
        """Who has the name; "" for us, and while Redis is away, for then nobody can be given anything."""
        try:
            held = await asyncio.to_thread(self._run, KEEP_NAME, self._mark, self._kept_ms)
        except JournalFailed:
            return ""
        return str(held.decode().rpartition(" ")[0])

    def _run(self, script: Script, *arguments: Any) -> Any:
        with self._linked:  # a look that was given up is still on its way
            return self._link.run(script, self._key, *arguments)
