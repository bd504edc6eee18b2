"""Accounts and the audit over HTTP: who may sign in, who is signed in, who did what.

Accounts are made, and passwords given, on the command line of the machine (`switchboard user`). Here a help desk sees
them, ends sessions, and locks and unlocks; never accounts that may do more than they do, so that nobody locks an
operator out by the help desk's rights.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from router.errors import BadMessage, Forbidden, NotFound, Unauthenticated, Unavailable
from router.http.house import House
from router.http.interactions import Limit
from router.service.accounts import Account, Accounts
from router.service.audit import Act, Wanted
from router.service.roles import Identity, Role
from router.service.routes import describe, json_response, read_query

# Who share one shown name, as far as they are looked for together. More would be no name, and the database takes
# some thousands of values in one question.
NAMESAKES_MAX = 100


class AccountShown(Struct, frozen=True):
    name: str
    shown: str
    roles: tuple[Role, ...]
    teams: tuple[str, ...] | None  # None: all
    agent: str
    disabled: bool
    provider: bool
    sessions: int


class AccountList(Struct, frozen=True):
    accounts: list[AccountShown]


class SessionsEnded(Struct, frozen=True):
    account: str
    sessions: int


class AuditQuery(Struct, frozen=True, forbid_unknown_fields=True):
    before: Annotated[int, Meta(ge=0, le=1 << 53, description="The last number of the page before")] = 0
    who: Annotated[
        str,
        Meta(
            max_length=120,
            description="`supervisor:NAME`, or a name alone: whatever they were; the sign-in name or the shown one",
        ),
    ] = ""
    act: Annotated[str, Meta(max_length=100)] = ""
    subject: Annotated[
        str, Meta(max_length=200, description="An interaction, an agent, an account; people by either name")
    ] = ""
    from_ms: Annotated[int, Meta(ge=0, le=1 << 53)] = 0
    until_ms: Annotated[int, Meta(ge=0, le=1 << 53, description="Acts before then; left out: up to now")] = 0
    limit: Limit = 100


class AuditPage(Struct, frozen=True):
    """The newest first."""

    acts: list[Act]
    next: int = 0  # the `before` of the next page; 0 on the last one


class AuditNames(Struct, frozen=True):
    """What there is to choose from."""

    who: list[str]
    acts: list[str]


class AccountRoutes:
    def __init__(self, house: House, accounts: Accounts) -> None:
        self._house = house
        self._accounts = accounts

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/accounts", self.list_),
            web.post("/v1/accounts/{id}/disable", self.disable),
            web.post("/v1/accounts/{id}/enable", self.enable),
            web.post("/v1/accounts/{id}/sign-out", self.sign_out),
            web.get("/v1/audit", self.audit),
            web.get("/v1/audit/names", self.audit_names),
        ]

    @describe(
        "Accounts, and how many sessions each has",
        group="accounts",
        who="operator",
        needs="accounts",
        answer=AccountList,
        refuses=(Unauthenticated, Forbidden),
    )
    async def list_(self, request: web.Request) -> web.Response:
        who = self._house.access.allowed(request)
        open_ = self._accounts.sessions(self._house.desk.now_ms())
        found = [_shown(account, open_) for account in self._accounts.all() if self._within(who, account)]
        return json_response(AccountList(found))

    def _within(self, who: Identity, account: Account) -> bool:
        """Whether an account is one of theirs to look after: what it may do, they may do or grant; its teams too."""
        its = account.identity()
        if "house" in who.may:
            return True
        if set(account.roles) - {"agent"}:
            return False
        return self._house.scope.agent(who.teams, its.agent)

    @describe(
        "Nobody signs in by it from now on, and its sessions end",
        group="accounts",
        who="operator",
        needs="accounts",
        answer=AccountShown,
        refuses=(Unauthenticated, Forbidden, NotFound, Unavailable),
    )
    async def disable(self, request: web.Request) -> web.Response:
        return await self._set(request, True)

    @describe(
        "It may be signed in by again",
        group="accounts",
        who="operator",
        needs="accounts",
        answer=AccountShown,
        refuses=(Unauthenticated, Forbidden, NotFound, Unavailable),
    )
    async def enable(self, request: web.Request) -> web.Response:
        return await self._set(request, False)

    async def _set(self, request: web.Request, disabled: bool) -> web.Response:
        who, account = self._theirs(request)
        now_ms = self._house.desk.now_ms()
        await self._house.note(request, who, "account-disabled" if disabled else "account-enabled", account.name)
        changed = await asyncio.to_thread(lambda: self._accounts.change(account.name, now_ms, disabled=disabled))
        return json_response(_shown(changed, self._accounts.sessions(now_ms)))

    @describe(
        "End its sessions: whoever holds one signs in again",
        group="accounts",
        who="operator",
        needs="accounts",
        answer=SessionsEnded,
        refuses=(Unauthenticated, Forbidden, NotFound, Unavailable),
    )
    async def sign_out(self, request: web.Request) -> web.Response:
        who, account = self._theirs(request)
        await self._house.note(request, who, "signed-out", account.name)
        return json_response(SessionsEnded(account.name, await asyncio.to_thread(self._accounts.end_all, account.name)))

    def _theirs(self, request: web.Request) -> tuple[Identity, Account]:
        who = self._house.access.allowed(request)
        account = self._accounts.get(request.match_info["id"])
        if not self._within(who, account):
            raise Forbidden(f"{account.name} is not an account that you look after")
        return who, account

    @describe(
        "Who did what, the newest first",
        group="accounts",
        who="operator",
        needs="house",
        query=AuditQuery,
        answer=AuditPage,
        refuses=(Unauthenticated, Forbidden, BadMessage),
    )
    async def audit(self, request: web.Request) -> web.Response:
        self._house.access.allowed(request)
        query = read_query(request, AuditQuery)
        if self._house.audit is None:
            return json_response(AuditPage([]))
        who, subject = self._meant(query.who), self._meant(query.subject)
        wanted = Wanted(who, query.act, subject, query.from_ms, query.until_ms)
        found = await asyncio.to_thread(self._house.audit.page, query.before, query.limit, wanted)
        return json_response(AuditPage(found, found[-1].number if len(found) == query.limit else 0))

    def _meant(self, said: str) -> tuple[str, ...]:
        """As it was written, and the sign-in names of all whom pages show by that name."""
        said = said.strip()
        role, colon, name = said.rpartition(":")
        if not name:
            return (said,) if said else ()
        people = dict.fromkeys((*self._accounts.called(name), *self._house.scope.called(name)))
        return (said, *(f"{role}{colon}{one}" for one in islice(people, NAMESAKES_MAX)))

    @describe(
        "Who has done anything, and what was ever done",
        group="accounts",
        who="operator",
        needs="house",
        answer=AuditNames,
        refuses=(Unauthenticated, Forbidden),
    )
    async def audit_names(self, request: web.Request) -> web.Response:
        self._house.access.allowed(request)
        audit = self._house.audit
        if audit is None:
            return json_response(AuditNames([], []))
        who, acts = await asyncio.to_thread(lambda: (audit.names("who"), audit.names("act")))
        return json_response(AuditNames(who, acts))


def _shown(account: Account, sessions: dict[str, int]) -> AccountShown:
    return AccountShown(
        name=account.name,
        shown=account.shown or account.name,
        roles=account.roles,
        teams=account.teams,
        agent=account.agent,
        disabled=account.disabled,
        provider=account.provider,
        sessions=sessions.get(account.name, 0),
    )
