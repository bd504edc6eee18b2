"""Bad inputs that were set aside: see them, get the raw bytes, try again, or discard (IN-4).

To try again hands the raw bytes to what took them the first time (the source's hook, given by its adapter). Only when
that succeeds does the entry go away.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from router.errors import BadMessage, IllegalMove, NotFound, Overloaded, RouterError, Unauthenticated
from router.http.blobs import send_file
from router.http.house import House, Requeue
from router.http.interactions import Limit
from router.observe import get_logger
from router.service.quarantine import Entry
from router.service.routes import describe, json_response, read_query

log = get_logger("http")


class QuarantineQuery(Struct, frozen=True, forbid_unknown_fields=True):
    after: Annotated[str, Meta(max_length=200, description="The last id of the page before")] = ""
    limit: Limit = 100


class EntryShown(Struct, frozen=True):
    id: str
    source: str
    name: str  # what it was called when it came
    code: str
    reason: str
    at_ms: int
    size: int  # bytes
    detail: dict[str, str]
    can_retry: bool


class EntryPage(Struct, frozen=True):
    entries: list[EntryShown]
    next: str = ""  # the `after` of the next page; "" on the last one


class Gone(Struct, frozen=True):
    id: str
    outcome: str  # taken, discarded


LOOKING: tuple[type[RouterError], ...] = (Unauthenticated, NotFound)
ACTING: tuple[type[RouterError], ...] = (*LOOKING, IllegalMove, BadMessage, Overloaded)


class QuarantineRoutes:
    def __init__(self, house: House) -> None:
        self._house = house
        self._shelf = house.quarantine
        self._busy: set[str] = set()  # entries that are being tried again or discarded

    def routes(self) -> list[web.RouteDef]:
        at = "/v1/quarantine"
        return [
            web.get(at, self.list_),
            web.get(at + "/{id}", self.get),
            web.get(at + "/{id}/raw", self.raw),
            web.post(at + "/{id}/retry", self.retry),
            web.post(at + "/{id}/discard", self.discard),
            web.delete(at + "/{id}", self.delete),
        ]

    def _show(self, entry: Entry) -> EntryShown:
        return EntryShown(
            id=entry.id,
            source=entry.source,
            name=entry.name,
            code=entry.code,
            reason=entry.reason,
            at_ms=entry.at_ms,
            size=entry.size,
            detail=entry.detail,
            can_retry=self._hook(entry) is not None,
        )

    def _hook(self, entry: Entry) -> Requeue | None:
        """What takes its source again: "scan.fax" itself, or else "scan"."""
        hooks = self._house.requeue_hooks
        return hooks.get(entry.source) or hooks.get(entry.source.partition(".")[0])

    @describe(
        "A page of what was set aside",
        group="quarantine",
        who="operator",
        query=QuarantineQuery,
        answer=EntryPage,
        refuses=(Unauthenticated, BadMessage),
    )
    async def list_(self, request: web.Request) -> web.Response:
        self._house.access.operator(request)
        query = read_query(request, QuarantineQuery)
        # In a thread: the list is in memory, but its lock is held while an entry is written.
        found = await asyncio.to_thread(self._shelf.entries, query.after, query.limit)
        page = [self._show(entry) for entry in found]
        return json_response(EntryPage(page, page[-1].id if len(page) == query.limit else ""))

    @describe("One entry", group="quarantine", who="operator", answer=EntryShown, refuses=LOOKING)
    async def get(self, request: web.Request) -> web.Response:
        self._house.access.operator(request)
        return json_response(self._show(await self._entry(request)))

    @describe(
        "The raw bytes, as a download",
        group="quarantine",
        who="operator",
        media="application/octet-stream",
        answer=bytes,
        refuses=LOOKING,
    )
    async def raw(self, request: web.Request) -> web.StreamResponse:
        who = self._house.access.allowed(request)
        entry = await self._entry(request)
        await self._house.looked(request, who, entry.id)
        path = await asyncio.to_thread(self._shelf.path, entry.id)
        return await send_file(
            request, path, entry.name or f"{entry.id}.bin", self._house.settings.write_timeout / 1_000
        )

    @describe("Take it in again", group="quarantine", who="operator", answer=Gone, refuses=ACTING)
    async def retry(self, request: web.Request) -> web.Response:
        by = self._house.by(request)
        entry = await self._entry(request)
        hook = self._hook(entry)
        if hook is None:
            raise IllegalMove(f"nothing takes {entry.source} again; get the raw bytes, or discard it")
        with self._alone(entry.id):
            await hook(await asyncio.to_thread(self._shelf.read, entry.id), entry)
            await asyncio.to_thread(self._shelf.discard, entry.id)
        await self._note(request, by, "quarantine_taken", entry)
        return json_response(Gone(entry.id, "taken"))

    @describe("Throw it away", group="quarantine", who="operator", answer=Gone, refuses=ACTING)
    async def discard(self, request: web.Request) -> web.Response:
        by = self._house.by(request)
        entry = await self._entry(request)
        with self._alone(entry.id):
            await asyncio.to_thread(self._shelf.discard, entry.id)
        await self._note(request, by, "quarantine_discarded", entry)
        return json_response(Gone(entry.id, "discarded"))

    @describe("Throw it away", group="quarantine", who="operator", answer=Gone, refuses=ACTING)
    async def delete(self, request: web.Request) -> web.Response:
        return await self.discard(request)

    async def _entry(self, request: web.Request) -> Entry:
        return self._shelf.entry(request.match_info["id"])

    def _alone(self, ident: str) -> _Alone:
        return _Alone(self._busy, ident)

    async def _note(self, request: web.Request, by: str, action: str, entry: Entry) -> None:
        log.info("Operator acted", action=action, operator=by, entry=entry.id, source=entry.source)
        await self._house.note(request, self._house.access.allowed(request), action, entry.id, entry.source)


class _Alone:
    """Two operators who press the same button: the second is told so, instead of taking the entry in twice."""

    def __init__(self, busy: set[str], ident: str) -> None:
        self._busy, self._ident = busy, ident

    def __enter__(self) -> None:
        if self._ident in self._busy:
            raise IllegalMove("somebody is at it already")
        self._busy.add(self._ident)

    def __exit__(self, *problem: object) -> None:
        self._busy.discard(self._ident)
