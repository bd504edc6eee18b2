"""Everything that says who comes in, as one part of the process: accounts, tickets, the count of wrong proofs, audit.

It also sees to it that whoever is out is out everywhere: a websocket outlives the request that opened it, so after
every change of accounts, and now and then for sessions that have run out, it asks who is still welcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from router.service import background
from router.service.accounts import Accounts, AccountSettings
from router.service.attempts import Failures
from router.service.audit import Audit
from router.service.ports import Health
from router.service.roles import Identity
from router.service.tickets import Tickets

LOOK_S = 1.0
EXPIRY_LOOKS = 30  # so many looks from one for sessions that have run out to the next

Welcome = Callable[[bytes], bool]  # the digest of a session's token -> whether it still stands


class Doorkeeper:
    def __init__(self, data: Path, settings: AccountSettings, failures: int, now_ms: Callable[[], int]) -> None:
        self.accounts = Accounts(data / "accounts.db")
        self.audit = Audit(data / "audit.db")
        self.tickets = Tickets(int(settings.ticket), now_ms)
        self.failures = Failures(failures)
        self.on_change: list[Callable[[Welcome], None]] = []
        self._now_ms = now_ms
        self._prepared = False
        self._task: asyncio.Task[None] | None = None

    def identity(self, token: bytes) -> Identity | None:
        return self.accounts.identity(token, self._now_ms())

    def redeem(self, ticket: str) -> Identity | None:
        """Whose ticket for a websocket this is. It is void once used, or once its session is over."""
        found = self.tickets.redeem(ticket)
        return found if found is not None and self._stands(found) else None

    def _stands(self, found: Identity) -> bool:
        return not found.session or self.identity(found.session) is not None

    async def prepare(self) -> None:
        """Open the files, which may have to be made: nothing that anybody should wait for at a takeover.

        Raises ConfigError.
        """
        if not self._prepared:
            await asyncio.to_thread(self.accounts.open)
            await asyncio.to_thread(self.audit.open)
            self._prepared = True

    async def start(self) -> None:
        """Raises ConfigError."""
        await self.prepare()
        self._task = background.begin(self._watch(), "accounts")

    async def stop(self) -> None:
        await background.end(self._task)
        self._prepared = False
        self.accounts.close()
        self.audit.close()

    def health(self) -> Health:
        missing = "nobody looks after accounts: the daemon starts, stops, or has a fault"
        trouble = background.trouble(self._task, missing)
        return Health(not trouble, trouble)

    def look(self) -> None:
        """Tell everybody who keeps connections which sessions still stand."""
        known = self.accounts.standing(self._now_ms())
        for tell in self.on_change:
            tell(known.__contains__)

    async def _watch(self) -> None:
        seen, looks = self.accounts.generation(), 0
        while True:
            await asyncio.sleep(LOOK_S)
            looks += 1
            generation = self.accounts.generation()
            if generation != seen or looks % EXPIRY_LOOKS == 0:
                seen = generation
                self.look()
