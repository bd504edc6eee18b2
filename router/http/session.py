"""Signing in and out, and what opens a websocket.

    POST   /v1/session            name and password, or what a provider's sign-in left: a session, or the reason why not
    GET    /v1/session/ways       how people sign in here; needs no token
    GET    /v1/session            who I am and what I may
    DELETE /v1/session            end it; its websockets end within a second
    POST   /v1/session/ticket     what opens one websocket once, within seconds
    POST   /v1/session/password   another password; every session of the account ends

A name with a token of the configuration is taken, too, and gives that token back: the demo and scripts sign in as they
always did. Every wrong attempt counts for its address, whichever door it came to.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from router.errors import (
    BadMessage,
    Forbidden,
    NotFound,
    NotSupported,
    Overloaded,
    TooManyAttempts,
    Unauthenticated,
    Unavailable,
)
from router.http.house import House
from router.http.oidc import Oidc, forget
from router.http.settings import HttpSettings
from router.observe import counter, get_logger
from router.service.accounts import Account, AccountSettings, digest, hashed
from router.service.doorkeeper import Doorkeeper
from router.service.roles import Identity, Permission, Role
from router.service.routes import describe, json_response, read_json

log = get_logger("http")
_signed_in = counter("sign_ins_total", "Sign-ins over HTTP, by outcome.", ("outcome",))

Text = Annotated[str, Meta(max_length=512)]


class SignInBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Either a name and a password (or a token of the configuration), or `code` alone."""

    name: Annotated[str, Meta(max_length=64)] = ""
    password: Text = ""
    code: Annotated[Text, Meta(description="What a provider's sign-in left in the page's address; with its cookie")] = (
        ""
    )


class SignedIn(Struct, frozen=True):
    token: str
    expires_at_ms: int  # 0: a token of the configuration, which does not end


class Ways(Struct, frozen=True):
    password: bool
    provider: str  # its name, as the button says it; "": there is none


class Who(Struct, frozen=True):
    name: str
    roles: tuple[Role, ...]
    teams: tuple[str, ...] | None  # None: all
    may: tuple[Permission, ...]
    agent: str
    expires_at_ms: int


class TicketGiven(Struct, frozen=True):
    ticket: str
    expires_at_ms: int


class PasswordBody(Struct, frozen=True, forbid_unknown_fields=True):
    old: Text
    new: Text


class Ended(Struct, frozen=True):
    ended: int  # sessions


class Entrance(Struct, frozen=True):
    """What signing in needs beside the house."""

    door: Doorkeeper
    settings: AccountSettings
    http: HttpSettings


class SessionRoutes:
    def __init__(self, house: House, entrance: Entrance) -> None:
        self._house = house
        self._accounts, self._tickets = entrance.door.accounts, entrance.door.tickets
        self._settings = entrance.settings
        provider = entrance.settings.oidc
        self._oidc = (
            Oidc(provider, house, self._accounts, entrance.http, self._note_refused) if provider is not None else None
        )

    def routes(self) -> list[web.RouteDef]:
        at = "/v1/session"
        mine = [
            web.get(at, self.who),
            web.post(at, self.sign_in),
            web.delete(at, self.sign_out),
            web.get(at + "/ways", self.ways),
            web.post(at + "/ticket", self.ticket),
            web.post(at + "/password", self.password),
        ]
        if self._oidc is not None:
            mine += [
                web.get(at + "/oidc/start", self._oidc.start),
                web.get(at + "/oidc/callback", self._oidc.callback),
            ]
        return mine

    @describe("How people sign in here", group="session", answer=Ways)
    async def ways(self, request: web.Request) -> web.Response:
        return json_response(Ways(True, self._settings.oidc.name if self._settings.oidc is not None else ""))

    @describe(
        "Sign in",
        group="session",
        body=SignInBody,
        answer=SignedIn,
        refuses=(Unauthenticated, BadMessage, TooManyAttempts, Overloaded, Unavailable),
    )
    async def sign_in(self, request: web.Request) -> web.Response:
        address = self._house.access.address(request)
        body = await read_json(request, SignInBody)
        proof = digest(f"{body.name}\0{body.password}\0{body.code}")
        self._house.access.demand_patience(address, proof)
        try:
            held = self._held(body)
            if held is not None:
                answer, who = SignedIn(body.password, 0), held
            else:
                answer, who = await self._begin(request, body, address)
        except Unauthenticated:
            self._house.access.failures.add(address, self._house.desk.now_ms())
            await self._note_refused(address, body.name, "")
            raise
        for right in (proof, digest(answer.token)):
            self._house.access.failures.succeeded(address, right)
        _signed_in.labels("good").inc()
        await self._house.note(request, who, "sign-in", who.name, "token" if not answer.expires_at_ms else "")
        response = json_response(answer)
        if body.code:
            forget(response)
        return response

    def _held(self, body: SignInBody) -> Identity | None:
        """Who comes with a token of the configuration. The name must be theirs, as people write it."""
        found = self._house.access.held(body.password)
        if found is None:
            return None
        names = {found.name, found.agent}
        if found.agent:
            try:
                names.add(self._house.desk.agent(found.agent).name)
            except NotFound:
                raise Unauthenticated("this token is of an agent who is not in the configuration") from None
        if body.name.strip().lower() not in {name.lower() for name in names if name}:
            raise Unauthenticated("this name and token do not belong together")
        return found

    async def _begin(self, request: web.Request, body: SignInBody, address: str) -> tuple[SignedIn, Identity]:
        now_ms = self._house.desk.now_ms()
        if body.code:
            account = self._oidc.redeem(request, body.code) if self._oidc is not None else None
            if account is None:
                raise Unauthenticated(
                    "this sign-in was used already, took too long or began in another browser; sign in again"
                )
        else:
            account = await self._accounts.proved(body.name.strip().lower(), body.password, now_ms)
        return await asyncio.to_thread(self._session, account, now_ms, address)

    def _session(self, account: Account, now_ms: int, address: str) -> tuple[SignedIn, Identity]:
        token, session = self._accounts.begin(account, now_ms, int(self._settings.session), address)
        return SignedIn(token, session.ends_ms), account.identity(digest(token))

    async def _note_refused(self, address: str, name: str, why: str) -> None:
        """Whatever door it came to. `why`: a word, where the provider's sign-in knows one. Raises Unavailable."""
        _signed_in.labels("refused").inc()
        log.info("Sign-in refused", action="sign_in_refused", address=address, why=why)
        if self._house.audit is not None:
            row = (self._house.desk.now_ms(), "", "sign-in-refused", name, why, address)
            await asyncio.to_thread(self._house.audit.write, *row)

    @describe("Who I am and what I may", group="session", who="agent", answer=Who, refuses=(Unauthenticated,))
    async def who(self, request: web.Request) -> web.Response:
        who = self._house.access.who(request)
        session = self._accounts.session(who.session) if who.session else None
        ends_ms = session.ends_ms if session is not None else 0
        return json_response(Who(who.name, who.roles, who.teams, tuple(sorted(who.may)), who.agent, ends_ms))

    @describe(
        "Sign out",
        group="session",
        who="agent",
        answer=Ended,
        refuses=(Unauthenticated, Unavailable),
    )
    async def sign_out(self, request: web.Request) -> web.Response:
        who = self._house.access.who(request)
        if who.session:
            await asyncio.to_thread(self._accounts.end, who.session)
        await self._house.note(request, who, "sign-out", who.name)
        return json_response(Ended(1 if who.session else 0))

    @describe(
        "What opens one websocket of an agent, once: it goes into `hello` as the token",
        group="session",
        who="agent",
        answer=TicketGiven,
        refuses=(Unauthenticated, Forbidden, TooManyAttempts),
    )
    async def ticket(self, request: web.Request) -> web.Response:
        who = self._house.access.who(request)
        if not who.agent:
            raise Forbidden("only an agent has a stream of their own")
        return json_response(TicketGiven(*self._tickets.issue(who)))

    @describe(
        "Another password; every session of the account ends",
        group="session",
        who="agent",
        body=PasswordBody,
        answer=Ended,
        refuses=(Unauthenticated, Forbidden, BadMessage, NotSupported, TooManyAttempts, Overloaded, Unavailable),
    )
    async def password(self, request: web.Request) -> web.Response:
        who = self._house.access.who(request)
        body = await read_json(request, PasswordBody)
        if not who.session:
            raise NotSupported("a token of the configuration is changed there")
        now_ms, address = self._house.desk.now_ms(), self._house.access.address(request)
        self._house.access.demand_patience(address)  # a stolen session must not guess the password behind it
        try:
            await self._accounts.proved(who.name, body.old, now_ms)
        except Unauthenticated:
            self._house.access.failures.add(address, now_ms)
            await self._house.note(request, who, "password-refused", who.name)
            raise Forbidden("the old password is another one") from None
        new = await asyncio.to_thread(hashed, who.name, body.new)
        before = self._accounts.sessions(now_ms).get(who.name, 0)
        await asyncio.to_thread(lambda: self._accounts.change(who.name, now_ms, password=new))
        await self._house.note(request, who, "password", who.name)
        return json_response(Ended(before))
