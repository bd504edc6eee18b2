"""Sign-in at a company's provider: OpenID Connect, the code flow with PKCE, and no more of it.

    start      remembers state, nonce and the code verifier, and sends the browser to the provider (OIDC Core 3.1.2.1)
    callback   the browser comes back: the code becomes an identity token over our own connection (3.1.3), that is
               verified (3.1.3.7), and the browser goes on to the desk with a code of ours that is good once

What binds the way back to the browser that went: a cookie that no script reads holds a secret, and its digest is the
`state` (RFC 9700 section 4.7.1). Our own code is good with that cookie alone, too, so by no link to any of the steps
can somebody be signed in as somebody else. The session's token never stands in an address: the desk trades the code for
it. Keys come from the provider's discovery document and are asked
for anew when a token names one that is not known. `none` and symmetric algorithms are not taken, whatever a document
says.

Whoever comes here looks at a page: what went wrong is told at the desk's sign-in by a word (`Refused.word`), never in
JSON. Of what goes wrong, that counts for the address which somebody who guesses or has stolen a code could try, and
nothing else: an office of people without a role, or a provider that is down, must not lock out everybody there.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
from aiohttp import web
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from msgspec import Struct

from router.errors import ClientError, Forbidden, NotFound, RouterError
from router.http.house import House
from router.http.settings import HttpSettings
from router.observe import get_logger
from router.service.accounts import SHOWN_MAX, Account, Accounts, OidcSettings, digest
from router.service.roles import ROLES

log = get_logger("http")

COOKIE = "switchboard-sign-in"
COOKIE_PATH = "/v1/session"  # leaving, coming back, and trading the code for a session
CALLBACK = "/v1/session/oidc/callback"
# RFC 7518 section 3.1: what a provider signs with a private key.
ALGORITHMS = ("RS256", "ES256", "PS256", "RS384", "ES384", "PS384", "RS512", "ES512", "PS512", "EdDSA")
PATIENCE = aiohttp.ClientTimeout(total=10)
UNDER_WAY_MS = 600_000  # from leaving to coming back: a password, a second factor, a coffee
CODE_MS = 60_000  # from coming back to the desk's asking for its session
UNDER_WAY_MAX = 10_000
ANSWER_MAX = 262_144  # bytes that a provider may answer
SUBJECT_MAX = 100  # characters of a name that the audit takes from a provider
LEEWAY_S = 60  # of the provider's clock
KEYS_MS = 3_600_000  # how long its document and keys are believed


class Attempt(Struct, frozen=True):
    """Somebody who has left for the provider."""

    nonce: str
    verifier: str
    back: str  # the address that the provider was told, which the code's exchange must repeat
    ends_ms: int


class Provider(Struct, frozen=True):
    authorization: str
    token: str
    keys: KeySet
    since_ms: int


# What the browser is told.
AWAY = "provider-unreachable"
DECLINED = "provider-declined"  # at the provider, by it or by the person
OLD = "provider-expired"  # used already, too old, or begun in another browser
UNFIT = "provider-refused"  # what the provider says is not to be believed
NO_ROLE = "no-role"
LOCKED = "locked"
OWN_PASSWORD = "own-password"  # noqa: S105 - a word for people

WORDS = (AWAY, DECLINED, OLD, UNFIT, NO_ROLE, LOCKED, OWN_PASSWORD)

# By the provider's `error` (RFC 6749 section 4.1.2.1): it may be another time; its operator must mend it. The rest is
# DECLINED.
ERRORS = {
    "server_error": AWAY,
    "temporarily_unavailable": AWAY,
    **dict.fromkeys(
        ("invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope", "invalid_client"),
        UNFIT,
    ),
}


class Refused(RouterError):
    """The browser is told `word`, the log has the rest. `name`: whom the provider says it is; `was_tried`: as somebody
    does who guesses."""

    code = "provider"

    def __init__(self, word: str, problem: str, name: str = "", was_tried: bool = False) -> None:
        super().__init__(problem)
        self.word, self.name, self.was_tried = word, name, was_tried

    @property
    def is_refusal(self) -> bool:
        """It says something of whoever came."""
        return self.word not in (AWAY, OLD) or self.was_tried


class Code(Struct, frozen=True):
    """Of ours, for who has come back."""

    account: str
    state: str  # of the browser
    ends_ms: int


# (address, name, why): into audit, log and figures.
TellRefused = Callable[[str, str, str], Awaitable[None]]


class Oidc:
    def __init__(
        self,
        settings: OidcSettings,
        house: House,
        accounts: Accounts,
        http: HttpSettings,
        refused: TellRefused,
    ) -> None:
        self._settings = settings
        self._refused = refused
        self._house = house
        self._accounts = accounts
        self._tls = bool(http.certificate) or http.behind_proxy
        self._attempts: dict[str, Attempt] = {}  # by state
        self._codes: dict[bytes, Code] = {}  # by digest
        self._provider: Provider | None = None

    async def start(self, request: web.Request) -> web.Response:
        """To the provider."""
        return await self._at_a_page(request, self._leave)

    async def callback(self, request: web.Request) -> web.Response:
        """From the provider, and on to the desk."""
        return await self._at_a_page(request, self._come_back)

    async def _at_a_page(
        self, request: web.Request, do: Callable[[web.Request], Awaitable[web.Response]]
    ) -> web.Response:
        """Who comes is sent on, whatever happens: where it went wrong to the sign-in, with a word."""
        try:
            self._house.access.demand_patience(self._house.access.address(request))
            return await do(request)
        except RouterError as problem:
            word = problem.word if isinstance(problem, Refused) else problem.code
            log.warning("Sign-in by the provider failed", action="oidc_failed", why=word, problem=str(problem)[:500])
            return _away(f"/desk#sign-in-failed={word}")

    # --- leaving ---------------------------------------------------------------------------------------------------

    async def _leave(self, request: web.Request) -> web.Response:
        async with aiohttp.ClientSession(timeout=PATIENCE) as session:
            provider = await self._known(session)
        secret = secrets.token_urlsafe(32)
        attempt = Attempt(
            nonce=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
            back=self._public(request) + CALLBACK,
            ends_ms=self._now_ms() + UNDER_WAY_MS,
        )
        state = _challenge(secret)
        self._remember(state, attempt)
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": attempt.back,
            "scope": " ".join(self._settings.scopes),
            "state": state,
            "nonce": attempt.nonce,
            "code_challenge": _challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
        joint = "&" if urlsplit(provider.authorization).query else "?"
        response = web.Response(status=303, headers={"Location": provider.authorization + joint + urlencode(asked)})
        response.set_cookie(
            COOKIE, secret, max_age=UNDER_WAY_MS // 1_000, path=COOKIE_PATH, httponly=True, samesite="Lax",
            secure=self._tls,
        )  # fmt: skip
        return _unkept(response)

    def _remember(self, state: str, attempt: Attempt) -> None:
        now_ms = self._now_ms()
        while self._attempts:
            oldest = next(iter(self._attempts))
            if self._attempts[oldest].ends_ms > now_ms and len(self._attempts) < UNDER_WAY_MAX:
                break
            del self._attempts[oldest]
        self._attempts[state] = attempt

    def _public(self, request: web.Request) -> str:
        if self._settings.public_url:
            return self._settings.public_url.rstrip("/")
        if not re.fullmatch(r"[A-Za-z0-9._:\[\]-]{1,255}", request.host):
            raise Forbidden("the header Host names no host")
        return f"{'https' if self._tls else 'http'}://{request.host}"

    # --- coming back -----------------------------------------------------------------------------------------------

    async def _come_back(self, request: web.Request) -> web.Response:
        state = request.query.get("state", "")
        attempt = self._attempts.pop(state, None)
        if attempt is None or not _is_of(request, state) or attempt.ends_ms <= self._now_ms():
            raise Refused(OLD, "nobody has left for the provider from this browser")
        if "error" in request.query:
            error = request.query["error"][:200]
            raise Refused(ERRORS.get(error, DECLINED), f"the provider says {error}")
        try:
            claims = await self._claims(request.query.get("code", ""), attempt)
            account = await asyncio.to_thread(self._account, claims)
        except Refused as problem:
            await self._note(request, problem)
            raise
        code = secrets.token_urlsafe(32)
        self._codes = {key: kept for key, kept in self._codes.items() if kept.ends_ms > self._now_ms()}
        self._codes[digest(code)] = Code(account.name, state, self._now_ms() + CODE_MS)
        return _unkept(_to(f"/desk#signed-in={code}"))

    async def _note(self, request: web.Request, problem: Refused) -> None:
        """What the provider itself said to us; what a browser claims, anybody could write into the audit for ever.

        Raises Unavailable.
        """
        address = self._house.access.address(request)
        if problem.was_tried:
            self._house.access.failures.add(address, self._now_ms())
        if problem.is_refusal:
            await self._refused(address, problem.name[:SUBJECT_MAX], problem.word)

    def redeem(self, request: web.Request, code: str) -> Account | None:
        """Who has come back with this, to the browser that asks; good once."""
        found = self._codes.pop(digest(code), None)
        if found is None or found.ends_ms <= self._now_ms() or not _is_of(request, found.state):
            return None
        account = self._accounts.get(found.account)
        return account if not account.disabled else None

    async def _claims(self, code: str, attempt: Attempt) -> dict[str, Any]:
        given = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.back,
            "client_id": self._settings.client_id,
            "code_verifier": attempt.verifier,
        }
        if self._settings.client_secret:
            given["client_secret"] = self._settings.client_secret
        async with aiohttp.ClientSession(timeout=PATIENCE) as session:
            provider = await self._known(session)
            with _asking(provider.token):
                async with session.post(provider.token, data=given, allow_redirects=False) as answer:
                    said = await _json(answer)
            token = said.get("id_token")
            if not isinstance(token, str):
                error = str(said.get("error", answer.status))[:200]
                # RFC 6749 section 5.2: a code that is wrong, old, used, or another's.
                is_code = error == "invalid_grant"
                word = OLD if is_code else ERRORS.get(error, UNFIT)
                raise Refused(word, f"{provider.token} gives no identity token: {error}", was_tried=is_code)
            return await self._verified(session, provider, token, attempt.nonce)

    async def _verified(
        self, session: aiohttp.ClientSession, provider: Provider, token: str, nonce: str
    ) -> dict[str, Any]:
        """The claims of an identity token, after every check of OIDC Core 3.1.3.7 that the code flow asks for."""
        try:
            read = jwt.decode(token, provider.keys, algorithms=list(ALGORITHMS))
        except (JoseError, ValueError):  # perhaps a key that is newer than what we know
            provider = await self._known(session, anew=True)
            try:
                read = jwt.decode(token, provider.keys, algorithms=list(ALGORITHMS))
            except (JoseError, ValueError) as error:
                raise Refused(UNFIT, f"the identity token is not signed by the provider: {error}") from error
        check = jwt.JWTClaimsRegistry(
            now=self._now_ms() // 1_000,
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": self._settings.client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True},
        )
        try:
            check.validate(read.claims)
        except JoseError as error:
            raise Refused(UNFIT, f"the identity token is not for us: {error}", self._name(read.claims)) from error
        claims: dict[str, Any] = read.claims
        if claims["nonce"] != nonce:  # a code of another try: it was stolen, or somebody is to be signed in by it
            raise Refused(UNFIT, "the identity token is of another try (nonce)", self._name(claims), was_tried=True)
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and claims.get("azp") != self._settings.client_id:
            raise Refused(UNFIT, "the identity token was made for another client (azp)", self._name(claims))
        return claims

    # --- who that is here ------------------------------------------------------------------------------------------

    def _name(self, claims: dict[str, Any]) -> str:
        """Of the account, as the provider has it. `claims` may be another's, or nonsense."""
        found = claims.get(self._settings.account_claim) or claims.get("sub") or ""
        return str(found).strip().lower()

    def _account(self, claims: dict[str, Any]) -> Account:
        """Raises Refused for whoever has no role here."""
        s = self._settings
        name = self._name(claims)
        found = claims.get(s.groups_claim)
        groups = [str(group) for group in found] if isinstance(found, list) else [str(found)] if found else []
        roles = {s.roles[group] for group in groups if group in s.roles}
        try:
            known: Account | None = self._accounts.get(name)
        except NotFound:
            known = None
        if known is not None and not known.provider:
            if known.password:
                raise Refused(OWN_PASSWORD, f"{name} has a password of its own here", name)
            if known.disabled:
                raise Refused(LOCKED, f"{name} is disabled here", name)
            return known
        if not roles:
            more = " any more" if known is not None else ", and has no account"
            raise Refused(NO_ROLE, f"{name} is in no group that has a role here{more}", name)
        if known is not None and known.disabled:
            raise Refused(LOCKED, f"{name} is disabled here", name)
        teams = tuple(dict.fromkeys(s.teams[group] for group in groups if group in s.teams))
        made = Account(
            name=name,
            shown=str(claims.get("name", ""))[:SHOWN_MAX],
            roles=tuple(role for role in ROLES if role in roles),
            teams=None if not s.teams else teams,
            agent=name if "agent" in roles else "",
            provider=True,
            changed_ms=self._now_ms(),
        )
        try:
            return self._accounts.put(made)
        except ClientError as problem:
            raise Refused(UNFIT, f"{name} cannot have an account: {problem}", name) from problem

    # --- the provider ----------------------------------------------------------------------------------------------

    async def _known(self, session: aiohttp.ClientSession, anew: bool = False) -> Provider:
        known = self._provider
        if known is not None and not anew and self._now_ms() - known.since_ms < KEYS_MS:
            return known
        issuer = self._settings.issuer
        at = issuer.rstrip("/") + "/.well-known/openid-configuration"
        with _asking(at):
            async with session.get(at) as answer:
                told = await _json(answer)
        if str(told.get("issuer", "")).rstrip("/") != issuer.rstrip("/"):
            raise Refused(UNFIT, f"{issuer} says that it is {str(told.get('issuer'))[:200]}")
        try:
            with _asking(str(told["jwks_uri"])):
                async with session.get(told["jwks_uri"]) as answer:
                    keys = KeySet.import_key_set(await _json(answer))  # type: ignore[arg-type]
            found = Provider(told["authorization_endpoint"], told["token_endpoint"], keys, self._now_ms())
        except (KeyError, ValueError, TypeError, JoseError) as error:
            raise Refused(UNFIT, f"the discovery document of {issuer} is not usable: {error!r}") from error
        self._provider = found
        return found

    def _now_ms(self) -> int:
        return self._house.desk.now_ms()


def _challenge(secret: str) -> str:
    """RFC 7636 section 4.2, S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()).rstrip(b"=").decode()


def _is_of(request: web.Request, state: str) -> bool:
    """Whether this is the browser that left with that."""
    return secrets.compare_digest(_challenge(request.cookies.get(COOKIE, "")), state)


@contextmanager
def _asking(where: str) -> Iterator[None]:
    """The provider, at one of its addresses. Raises Refused where nobody is there."""
    try:
        yield
    except TimeoutError as error:  # before the other: aiohttp's own are both
        seconds = PATIENCE.total or 0
        raise Refused(AWAY, f"{where} gave no answer within {seconds:.0f} s") from error
    except aiohttp.ClientError as error:
        raise Refused(AWAY, f"{where} cannot be asked: {error or type(error).__name__}") from error


async def _json(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """Raises Refused."""
    raw = await answer.content.read(ANSWER_MAX)
    if answer.status >= 500 or answer.status == 429:
        raise Refused(AWAY, f"{answer.url} answered {answer.status}")
    try:
        said = json.loads(raw)
    except ValueError as error:
        raise Refused(UNFIT, f"{answer.url} answered {answer.status} with no JSON") from error
    if not isinstance(said, dict):
        raise Refused(UNFIT, f"{answer.url} answered {answer.status} with no object")
    return said


def _to(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path})


def _away(path: str) -> web.Response:
    response = _to(path)
    forget(response)
    return _unkept(response)


def forget(response: web.Response) -> None:
    """The browser's secret: it is over, one way or the other."""
    response.del_cookie(COOKIE, path=COOKIE_PATH)


def _unkept(response: web.Response) -> web.Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
