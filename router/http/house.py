"""What the routes are built with, and how they name whoever asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from router.engine.commands import AnyCommand, Reply
from router.engine.views import InteractionView, MessageView, interaction_id, number_of
from router.errors import Unavailable
from router.http import deeds
from router.http.access import Access
from router.http.settings import HttpSettings
from router.observe import get_logger
from router.service.audit import Audit
from router.service.blobs import BlobStore
from router.service.pictures import NoPictures, Pictures
from router.service.ports import Desk, Health
from router.service.quarantine import Entry, Quarantine
from router.service.roles import Identity
from router.service.scope import Scope

log = get_logger("http")

# (content, dry_run, by) -> what was found or applied. Raises ConfigError.
Configure = Callable[[bytes, bool, str], Awaitable[dict[str, Any]]]

# Takes the raw bytes of a quarantine entry in again. Raises ClientError where they still cannot be read.
Requeue = Callable[[bytes, Entry], Awaitable[object]]


# An interaction's messages as people read them.
Readable = Callable[[InteractionView], Awaitable[tuple[MessageView, ...]]]


async def as_recorded(view: InteractionView) -> tuple[MessageView, ...]:
    return view.messages


# The offers of an interaction as they were decided, by its public id. Raises RouterError.
Decisions = Callable[[str, str], Awaitable[dict[str, Any]]]


async def no_decisions(interaction: str, language: str) -> dict[str, Any]:
    raise Unavailable("this process keeps no journal to look back in")


def no_name(account: str) -> str:
    """As colleagues read the account of that name; "" where it has no other name, or there is no such account."""
    return ""


def no_try(outbound: int) -> str:
    """Why the last try of that letter failed; "" where none did, or another process delivers it."""
    return ""


async def no_configure(content: bytes, dry_run: bool, by: str) -> dict[str, Any]:
    raise Unavailable("this process takes no configuration over HTTP")


@dataclass(frozen=True)
class House:
    """The parts of the process that an operator may look at or act on."""

    settings: HttpSettings
    desk: Desk
    access: Access
    parts: Callable[[], Mapping[str, Health]]
    quarantine: Quarantine
    blobs: BlobStore
    requeue_hooks: Mapping[str, Requeue] = field(default_factory=dict)
    configure: Configure = no_configure
    readable: Readable = as_recorded
    decisions: Decisions = no_decisions
    pictures: Pictures = field(default_factory=NoPictures)
    audit: Audit | None = None
    shown: Callable[[str], str] = no_name
    trying: Callable[[int], str] = no_try
    scope: Scope = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scope", Scope(self.desk))

    async def act(
        self, request: web.Request, what: str, command: AnyCommand, subject: str = "", detail: str = ""
    ) -> Reply:
        """A privileged act: the command says who, so the journal has it; audit and log have a line, too (OB-5).

        `subject`, `detail`: what the audit says, where neither answer nor command does.
        """
        who = self.access.allowed(request)
        reply = await self.desk.ask(command)
        about = interaction_id(reply.interaction) if reply.interaction else ""
        subject = about or subject or deeds.subject(command) or request.match_info.get("id", "")
        log.info(
            "Operator acted",
            action="operator_acted",
            operator=who.name,
            role=who.title,
            what=what,
            path=request.path,
            interaction=about,
        )
        await self.note(request, who, what, subject, detail or deeds.detail(command))
        return reply

    async def note(self, request: web.Request, who: Identity, act: str, subject: str = "", detail: str = "") -> None:
        """Into the audit, before the answer goes out. Raises Unavailable."""
        if self.audit is not None:
            row = (self.desk.now_ms(), who.by, act, subject, detail, self.access.address(request))
            await asyncio.to_thread(self.audit.write, *row)

    async def looked(self, request: web.Request, who: Identity, subject: str) -> None:
        """Somebody reads what a customer wrote who does not work on it: said once for each spell of reading."""
        if self.audit is not None and self.audit.is_news(self.desk.now_ms(), who.by, subject):
            await self.note(request, who, "read", subject)

    def lead(self, request: web.Request) -> tuple[str, int]:
        """Who acts on the interaction of the path, and its number. Raises Forbidden beyond their teams."""
        who, number = self.access.allowed(request), interaction_of(request)
        if who.teams is not None:
            self.scope.demand(who, self.desk.interaction(number))
        return who.by, number

    def by(self, request: web.Request) -> str:
        """`operator:NAME`, as the journal's audit has it. Raises Unauthenticated and Forbidden."""
        return self.access.allowed(request).by


def interaction_of(request: web.Request) -> int:
    """The number in the path's `{id}`. Raises NotFound."""
    return number_of(request.match_info["id"], "i")
