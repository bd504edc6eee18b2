"""Bad inputs that were set aside: see them, get the raw bytes, try again, or discard (IN-4).

To try again hands the raw bytes to what took them the first time (the source's hook, given by its adapter). Only when
that succeeds does the entry go away.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Protocol

from aiohttp import web
from msgspec import Meta, Struct

from router.errors import BadMessage, IllegalMove, NotFound, Overloaded, RouterError, Unauthenticated
from router.http.blobs import send_file
from router.http.house import House
from router.http.interactions import Limit
from router.observe import get_logger
from router.service.routes import describe, json_response, read_query

log = get_logger("http")


class Entry(Protocol):
    """What is needed here of an entry."""

    @property
    def id(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def at_ms(self) -> int: ...
    @property
    def size(self) -> int: ...


class Shelf(Protocol):
    """What is needed here of the quarantine. All of it touches the disk, so it is called in threads."""

    def entries(self, after: str = "", limit: int = 100) -> list[Entry]: ...
    def entry(self, ident: str) -> Entry:
        """Raises NotFound."""

    def path(self, ident: str) -> Path:
        """Where the raw bytes are. Raises NotFound."""

    def discard(self, ident: str) -> None:
        """Raises NotFound."""


class QuarantineQuery(Struct, frozen=True, forbid_unknown_fields=True):
    after: Annotated[str, Meta(max_length=200, description="The last id of the page before")] = ""
    limit: Limit = 100


class EntryShown(Struct, frozen=True):
    id: str
    source: str
    reason: str
    at_ms: int
    size: int  # bytes
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
        can = entry.source in self._house.requeue_hooks
        return EntryShown(entry.id, entry.source, entry.reason, entry.at_ms, entry.size, can)

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
        self._house.access.operator(request)
        entry = await self._entry(request)
        path = await asyncio.to_thread(self._shelf.path, entry.id)
        return await send_file(request, path, f"{entry.id}.bin", self._house.settings.write_timeout / 1_000)

    @describe("Take it in again", group="quarantine", who="operator", answer=Gone, refuses=ACTING)
    async def retry(self, request: web.Request) -> web.Response:
        by = self._house.by(request)
        entry = await self._entry(request)
        hook = self._house.requeue_hooks.get(entry.source)
        if hook is None:
            raise IllegalMove(f"nothing takes {entry.source} again; get the raw bytes, or discard it")
        with self._alone(entry.id):
            path = await asyncio.to_thread(self._shelf.path, entry.id)
            await hook(await asyncio.to_thread(path.read_bytes), entry)
            await asyncio.to_thread(self._shelf.discard, entry.id)
        self._note(by, "quarantine_taken", entry)
        return json_response(Gone(entry.id, "taken"))

    @describe("Throw it away", group="quarantine", who="operator", answer=Gone, refuses=ACTING)
    async def discard(self, request: web.Request) -> web.Response:
        by = self._house.by(request)
        entry = await self._entry(request)
        with self._alone(entry.id):
            await asyncio.to_thread(self._shelf.discard, entry.id)
        self._note(by, "quarantine_discarded", entry)
        return json_response(Gone(entry.id, "discarded"))

    @describe("Throw it away", group="quarantine", who="operator", answer=Gone, refuses=ACTING)
    async def delete(self, request: web.Request) -> web.Response:
        return await self.discard(request)

    async def _entry(self, request: web.Request) -> Entry:
        found: Entry = await asyncio.to_thread(self._shelf.entry, request.match_info["id"])
        return found

    def _alone(self, ident: str) -> _Alone:
        return _Alone(self._busy, ident)

    def _note(self, by: str, action: str, entry: Entry) -> None:
        log.info("Operator acted", action=action, operator=by, entry=entry.id, source=entry.source)


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
