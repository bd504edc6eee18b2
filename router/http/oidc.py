"""Sign-in at a company's provider: OpenID Connect, the code flow with PKCE, and no more of it.

    start      remembers state, nonce and the code verifier, and sends the browser to the provider (OIDC Core 3.1.2.1)
    callback   the browser comes back: the code becomes an identity token over our own connection (3.1.3), that is
               verified (3.1.3.7), and the browser goes on to the desk with a code of ours that is good once

What binds the way back to the browser that went: a cookie that no script reads holds a secret, and its digest is the
`state` (RFC 9700 section 4.7.1), so nobody can be signed in as somebody else by a link. The session's token never
stands in an address: the desk trades the code for it. Keys come from the provider's discovery document and are asked
for anew when a token names one that is not known. `none` and symmetric algorithms are not taken, whatever a document
says.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import secrets
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
from aiohttp import web
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from msgspec import Struct

from router.errors import Forbidden, NotFound, RouterError, Unavailable
from router.http.house import House
from router.http.settings import HttpSettings
from router.observe import get_logger
from router.service.accounts import SHOWN_MAX, Account, Accounts, OidcSettings, digest
from router.service.roles import ROLES

log = get_logger("http")

COOKIE = "switchboard-sign-in"
CALLBACK = "/v1/session/oidc/callback"
# RFC 7518 section 3.1: what a provider signs with a private key.
ALGORITHMS = ("RS256", "ES256", "PS256", "RS384", "ES384", "PS384", "RS512", "ES512", "PS512", "EdDSA")
PATIENCE = aiohttp.ClientTimeout(total=10)
UNDER_WAY_MS = 600_000  # from leaving to coming back: a password, a second factor, a coffee
CODE_MS = 60_000  # from coming back to the desk's asking for its session
UNDER_WAY_MAX = 10_000
ANSWER_MAX = 262_144  # bytes that a provider may answer
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


class Refused(RouterError):
    """The provider, or what it said, is not to be believed. The browser is told a word, the log has the rest."""

    code = "provider"


class Oidc:
    def __init__(self, settings: OidcSettings, house: House, accounts: Accounts, http: HttpSettings) -> None:
        self._settings = settings
        self._house = house
        self._accounts = accounts
        self._tls = bool(http.certificate) or http.behind_proxy
        self._attempts: dict[str, Attempt] = {}  # by state
        self._codes: dict[bytes, tuple[str, int]] = {}  # digest of a code of ours -> account, until when
        self._provider: Provider | None = None

    # --- leaving ---------------------------------------------------------------------------------------------------

    async def start(self, request: web.Request) -> web.Response:
        """To the provider."""
        self._house.access.demand_patience(self._house.access.address(request))
        try:
            async with aiohttp.ClientSession(timeout=PATIENCE) as session:
                provider = await self._known(session)
        except (Refused, aiohttp.ClientError, TimeoutError) as problem:
            return self._failed("provider-unreachable", problem)
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
            COOKIE, secret, max_age=UNDER_WAY_MS // 1_000, path="/v1/session/oidc", httponly=True, samesite="Lax",
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

    async def callback(self, request: web.Request) -> web.Response:
        """From the provider, and on to the desk."""
        address = self._house.access.address(request)
        self._house.access.demand_patience(address)
        state = request.query.get("state", "")
        attempt = self._attempts.pop(state, None)
        ours = secrets.compare_digest(_challenge(request.cookies.get(COOKIE, "")), state)
        if attempt is None or not ours or attempt.ends_ms <= self._now_ms():
            return self._failed("expired", Refused("nobody has left for the provider from this browser"))
        if "error" in request.query:
            return self._failed("declined", Refused(f"the provider says {request.query['error'][:200]}"))
        try:
            claims = await self._claims(request.query.get("code", ""), attempt)
            account = await asyncio.to_thread(self._account, claims)
        except (Refused, aiohttp.ClientError, TimeoutError) as problem:
            self._house.access.failures.add(address, self._now_ms())
            return self._failed("declined", problem)
        except Unavailable as problem:
            return self._failed("unavailable", problem)
        code = secrets.token_urlsafe(32)
        self._codes = {key: kept for key, kept in self._codes.items() if kept[1] > self._now_ms()}
        self._codes[digest(code)] = (account.name, self._now_ms() + CODE_MS)
        return _away(f"/desk#signed-in={code}")

    def redeem(self, code: str) -> Account | None:
        """Who has come back with this; good once."""
        name, ends_ms = self._codes.pop(digest(code), ("", 0))
        if not name or ends_ms <= self._now_ms():
            return None
        account = self._accounts.get(name)
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
            async with session.post(provider.token, data=given, allow_redirects=False) as answer:
                said = await _json(answer)
            token = said.get("id_token")
            if not isinstance(token, str):
                raise Refused(f"no identity token: {str(said.get('error', answer.status))[:200]}")
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
                raise Refused(f"the identity token is not signed by the provider: {error}") from error
        check = jwt.JWTClaimsRegistry(
            now=self._now_ms() // 1_000,
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": self._settings.client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            check.validate(read.claims)
        except JoseError as error:
            raise Refused(f"the identity token is not for us: {error}") from error
        claims: dict[str, Any] = read.claims
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and claims.get("azp") != self._settings.client_id:
            raise Refused("the identity token was made for another client (azp)")
        return claims

    # --- who that is here ------------------------------------------------------------------------------------------

    def _account(self, claims: dict[str, Any]) -> Account:
        """Raises Refused for whoever has no role here."""
        s = self._settings
        name = str(claims.get(s.account_claim) or claims["sub"]).strip().lower()
        found = claims.get(s.groups_claim)
        groups = [str(group) for group in found] if isinstance(found, list) else [str(found)] if found else []
        roles = {s.roles[group] for group in groups if group in s.roles}
        try:
            known: Account | None = self._accounts.get(name)
        except NotFound:
            known = None
        if known is not None and not known.provider:
            if known.disabled or known.password:
                raise Refused(f"{name} is disabled here, or has a password of its own")
            return known
        if not roles:
            raise Refused(f"{name} is in no group that has a role here, and has no account")
        if known is not None and known.disabled:
            raise Refused(f"{name} is disabled here")
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
        except RouterError as problem:
            raise Refused(f"{name} cannot have an account: {problem}") from problem

    # --- the provider ----------------------------------------------------------------------------------------------

    async def _known(self, session: aiohttp.ClientSession, anew: bool = False) -> Provider:
        known = self._provider
        if known is not None and not anew and self._now_ms() - known.since_ms < KEYS_MS:
            return known
        issuer = self._settings.issuer
        async with session.get(issuer.rstrip("/") + "/.well-known/openid-configuration") as answer:
            told = await _json(answer)
        if str(told.get("issuer", "")).rstrip("/") != issuer.rstrip("/"):
            raise Refused(f"{issuer} says that it is {str(told.get('issuer'))[:200]}")
        try:
            async with session.get(told["jwks_uri"]) as answer:
                keys = KeySet.import_key_set(await _json(answer))  # type: ignore[arg-type]
            found = Provider(told["authorization_endpoint"], told["token_endpoint"], keys, self._now_ms())
        except (KeyError, ValueError, TypeError, JoseError) as error:
            raise Refused(f"the discovery document of {issuer} is not usable: {error!r}") from error
        self._provider = found
        return found

    def _failed(self, word: str, problem: BaseException) -> web.Response:
        log.warning("Sign-in by the provider failed", action="oidc_failed", why=word, problem=str(problem)[:500])
        return _away(f"/desk#sign-in-failed={word}")

    def _now_ms(self) -> int:
        return self._house.desk.now_ms()


def _challenge(secret: str) -> str:
    """RFC 7636 section 4.2, S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()).rstrip(b"=").decode()


async def _json(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """Raises Refused."""
    raw = await answer.content.read(ANSWER_MAX)
    try:
        said = json.loads(raw)
    except ValueError as error:
        raise Refused(f"{answer.url.origin()} answered {answer.status} with no JSON") from error
    if not isinstance(said, dict):
        raise Refused(f"{answer.url.origin()} answered {answer.status} with no object")
    return said


def _away(path: str) -> web.Response:
    response = web.Response(status=303, headers={"Location": path})
    response.del_cookie(COOKIE, path="/v1/session/oidc")
    return _unkept(response)


def _unkept(response: web.Response) -> web.Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
