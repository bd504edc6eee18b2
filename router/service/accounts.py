"""Local accounts and their sessions: one small SQLite file that the daemon and the command line share.

Rules of this file:
1. A password is kept as an argon2id hash (RFC 9106) and a token as its SHA-256: who reads the file can sign in nowhere.
2. What is asked on every request is answered from memory. Another process may change the file (`switchboard user`), so
   each answer first asks SQLite whether somebody did, which costs some microseconds; a disabled account is out at once.
3. Nothing here is quick on purpose: checking a password takes tens of milliseconds and 19 MiB, so it runs in a thread,
   two at once, and few may wait. An unknown name takes as long as a wrong password.

Sessions are kept over a restart, because nobody should have to sign in again for that. What a websocket is opened with
is not (`tickets.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import apsw
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from msgspec import Struct, field
from msgspec.structs import replace

from router.engine.config import Duration
from router.errors import BadMessage, ConfigError, IllegalMove, NotFound, Overloaded, Unauthenticated, Unavailable
from router.service.roles import ROLES, Identity, Role, identity

# The second choice of RFC 9106 is for servers with little memory; this is OWASP's least for argon2id: about 20 ms.
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
AT_ONCE = 2  # passwords that are checked at the same time
MAY_WAIT = 64  # and more that may wait for their turn: three seconds of them

SHORTEST, LONGEST = 12, 256  # characters of a password
# Shorter ones are over before the page that they are for has loaded. "0s" does not switch them off: it would be a
# sign-in that is answered well, with a token that is dead.
SESSION_LEAST, TICKET_LEAST = Duration(60_000), Duration(1_000)
SHOWN_MAX = 100  # characters of the name that colleagues read: as the desk's other names, and what a line of it holds
SESSIONS_MAX = 100_000  # that are kept; beyond that the oldest end

_NAME = re.compile(r"[a-z0-9][a-z0-9_.@-]{0,63}")
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS account (name TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS session (digest BLOB PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID",
)


class OidcSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Sign-in at a company's own provider, by OpenID Connect with PKCE. Left out: local accounts only."""

    issuer: str  # as the provider's discovery document says it: "https://login.example/realms/main"
    client_id: str
    client_secret: str = ""  # left out: a public client, which PKCE alone protects
    # Where browsers see this house, such as "https://desk.example"; the provider must allow
    # "<public_url>/v1/session/oidc/callback" as an address to come back to. Left out: the address of the request.
    public_url: str = ""
    name: str = "Single sign-on"  # of the button
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    account_claim: str = "preferred_username"  # what names the account; where it is missing, `sub` does
    groups_claim: str = "groups"
    # Group -> role, and group -> team. Whoever is in none of the groups needs an account (`switchboard user add
    # --no-password`); whoever is in one gets theirs at the first sign-in, with the roles and teams that the groups say.
    roles: dict[str, Role] = field(default_factory=dict)
    teams: dict[str, str] = field(default_factory=dict)


class AccountSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Who signs in by name and password, or at a company's provider. Left out: local accounts, as below."""

    # From sign-in to the next one: a long shift, at least a minute. `switchboard user disable` ends a session at once.
    session: Duration = Duration(43_200_000)
    # How long what opens a websocket is good for, once. Browsers use it within a second.
    ticket: Duration = Duration(30_000)
    oidc: OidcSettings | None = None


def check(settings: AccountSettings, teams: Iterable[str]) -> None:
    """Raises ConfigError."""
    for name, value, least in (("session", settings.session, SESSION_LEAST), ("ticket", settings.ticket, TICKET_LEAST)):
        if value < least:
            raise ConfigError(f"accounts.{name}", f"at least {least}", str(value))
    oidc = settings.oidc
    if oidc is None:
        return
    local = re.match(r"http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/|$)", oidc.issuer)
    if not local and not oidc.issuer.startswith("https://"):
        raise ConfigError("accounts.oidc.issuer", "an address that begins with https://", repr(oidc.issuer))
    for group, team in oidc.teams.items():
        if team not in teams:
            raise ConfigError(f"accounts.oidc.teams.{group}", "a team of `teams`", repr(team))


class Account(Struct, frozen=True, kw_only=True):
    name: str
    shown: str = ""  # as colleagues read it; "": the name
    roles: tuple[Role, ...]
    teams: tuple[str, ...] | None = None  # None: all
    agent: str = ""  # as whom they work
    password: str = ""  # its hash; "": only a provider can say who it is
    disabled: bool = False
    provider: bool = False  # made at a first sign-in by a provider, which says its roles each time
    changed_ms: int = 0

    def identity(self, session: bytes = b"") -> Identity:
        return identity(self.name, self.roles, self.teams, self.agent, session)


class Session(Struct, frozen=True):
    account: str
    began_ms: int
    ends_ms: int
    address: str = ""


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def check_password(name: str, password: str) -> None:
    """Length is what counts (NIST SP 800-63B); no rule about kinds of characters. Raises BadMessage."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadMessage(f"password: {SHORTEST} to {LONGEST} characters")
    if name in password.lower() or len(set(password)) < 5:
        raise BadMessage("password: one that is not the name and not one character over and over")


def check_account(account: Account, known: Account | None = None) -> None:
    """Raises BadMessage. A name from before there was a limit stands on: who has it can still be locked out."""
    if not _NAME.fullmatch(account.name):
        raise BadMessage("name: a-z, 0-9, _ . @ -, beginning with a letter or digit, 64 at most")
    if len(account.shown) > SHOWN_MAX and (known is None or account.shown != known.shown):
        raise BadMessage(f"name that colleagues read: at most {SHOWN_MAX} characters, not {len(account.shown)}")
    if not account.roles or set(account.roles) - set(ROLES):
        raise BadMessage(f"role: one or more of {', '.join(ROLES)}")
    if "agent" in account.roles and not account.agent:
        raise BadMessage("agent: as whom somebody with the role agent works")
    if account.teams is not None and not account.teams and set(account.roles) & {"helpdesk", "supervisor", "quality"}:
        raise BadMessage("team: at least one, or * for all, for helpdesk, supervisor and quality")


class Accounts:
    """Open it, ask it, close it. Every method may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: apsw.Connection | None = None
        self._mutex = threading.RLock()
        self._version = -1
        self._generation = 0
        self._accounts: dict[str, Account] = {}
        self._sessions: dict[bytes, Session] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    def open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.path.touch(mode=0o600)
            db = apsw.Connection(str(self.path))
            db.set_busy_timeout(5_000)
            db.pragma("journal_mode", "wal")
            with db:
                for statement in _SCHEMA:
                    db.execute(statement)
        except (apsw.Error, OSError) as error:
            raise ConfigError("data", f"accounts that can be read in {self.path}", str(error)) from error
        self._db = db

    def close(self) -> None:
        with self._mutex:
            if self._db is not None:
                self._db.close()
            self._db = None

    # --- looking ---------------------------------------------------------------------------------------------------

    def _fresh(self) -> None:
        """Read everything anew if another process wrote, or nothing was read yet."""
        if self._db is None:
            return  # before the start, and after the stop: what is known stands
        version = int(self._db.pragma("data_version"))
        if version == self._version:
            return
        self._accounts = {name: _account(text) for name, text in self._db.execute("SELECT name, content FROM account")}
        rows = self._db.execute("SELECT digest, content FROM session")
        self._sessions = {bytes(key): Session(**json.loads(text)) for key, text in rows}
        self._version = version
        self._generation += 1

    def generation(self) -> int:
        """Another number after every change, whoever made it."""
        with self._mutex:
            self._fresh()
            return self._generation

    def standing(self, now_ms: int) -> set[bytes]:
        """The digests of all sessions that are good now."""
        with self._mutex:
            self._fresh()
            names = {name for name, account in self._accounts.items() if not account.disabled}
            return {key for key, one in self._sessions.items() if one.ends_ms > now_ms and one.account in names}

    def all(self) -> list[Account]:
        with self._mutex:
            self._fresh()
            return sorted(self._accounts.values(), key=lambda account: account.name)

    def get(self, name: str) -> Account:
        """Raises NotFound."""
        with self._mutex:
            self._fresh()
            found = self._accounts.get(name)
        if found is None:
            raise NotFound(f"there is no account {name[:64]!r}")
        return found

    def shown(self, name: str) -> str:
        """As colleagues read the account of that name; "" where it has no other name, or there is no such account."""
        with self._mutex:
            self._fresh()
            found = self._accounts.get(name)
        return found.shown if found is not None else ""

    def called(self, shown: str) -> list[str]:
        """The names of the accounts that colleagues read so, whatever the case."""
        with self._mutex:
            self._fresh()
            return [name for name, one in self._accounts.items() if one.shown.casefold() == shown.casefold()]

    def identity(self, token: bytes, now_ms: int) -> Identity | None:
        """Who has the session with this digest of a token."""
        with self._mutex:
            self._fresh()
            session = self._sessions.get(token)
            if session is None or now_ms >= session.ends_ms:
                return None
            account = self._accounts.get(session.account)
        return account.identity(token) if account is not None and not account.disabled else None

    def session(self, token: bytes) -> Session | None:
        with self._mutex:
            return self._sessions.get(token)

    def sessions(self, now_ms: int) -> dict[str, int]:
        """How many sessions each account has."""
        with self._mutex:
            self._fresh()
            found: dict[str, int] = {}
            for session in self._sessions.values():
                if session.ends_ms > now_ms:
                    found[session.account] = found.get(session.account, 0) + 1
            return found

    # --- changing --------------------------------------------------------------------------------------------------

    def put(self, account: Account, new: bool = False) -> Account:
        """Raises BadMessage, and IllegalMove where a `new` one is there already."""
        with self._mutex:
            self._fresh()
            check_account(account, self._accounts.get(account.name))
            if new and account.name in self._accounts:
                raise IllegalMove(f"there is an account {account.name} already")
            self._write("INSERT OR REPLACE INTO account VALUES (?, ?)", (account.name, json.dumps(_plain(account))))
            self._accounts[account.name] = account
        return account

    def change(self, name: str, now_ms: int, **fields: Any) -> Account:
        """Raises NotFound. Whoever is disabled or gets another password is signed out everywhere."""
        account = self.put(replace(self.get(name), changed_ms=now_ms, **fields))
        if account.disabled or "password" in fields:
            self.end_all(name)
        return account

    def begin(self, account: Account, now_ms: int, lasts_ms: int, address: str) -> tuple[str, Session]:
        """A session; its token is known to nobody but who gets it."""
        token = f"sbs_{secrets.token_urlsafe(32)}"
        session = Session(account.name, now_ms, now_ms + lasts_ms, address)
        with self._mutex:
            self._fresh()
            over = [key for key, kept in self._sessions.items() if kept.ends_ms <= now_ms]
            over += list(self._sessions)[: max(0, len(self._sessions) - len(over) - SESSIONS_MAX + 1)]
            for key in over:
                self._drop(key)
            content = json.dumps(_plain(session))
            self._write("INSERT INTO session VALUES (?, ?)", (digest(token), content))
            self._sessions[digest(token)] = session
        return token, session

    def end(self, token: bytes) -> None:
        with self._mutex:
            self._drop(token)

    def end_all(self, name: str) -> int:
        with self._mutex:
            self._fresh()
            theirs = [key for key, kept in self._sessions.items() if kept.account == name]
            for key in theirs:
                self._drop(key)
        return len(theirs)

    def _drop(self, key: bytes) -> None:
        self._write("DELETE FROM session WHERE digest = ?", (key,))
        self._sessions.pop(key, None)

    def _write(self, statement: str, values: Iterable[Any]) -> None:
        if self._db is None:
            raise Unavailable("accounts are closed: the daemon starts or stops")
        try:
            self._db.execute(statement, tuple(values))
            self._generation += 1
        except apsw.Error as error:
            raise Unavailable(f"accounts cannot be written: {error}") from error

    # --- passwords -------------------------------------------------------------------------------------------------

    async def proved(self, name: str, password: str, now_ms: int) -> Account:
        """The account of this name, if that is its password. Raises Unauthenticated and Overloaded."""
        if self._waiting >= MAY_WAIT:
            raise Overloaded("too many are signing in at once; try again in a few seconds")
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(self._proved, name, password, now_ms)
        finally:
            self._waiting -= 1

    def _proved(self, name: str, password: str, now_ms: int) -> Account:
        try:
            account = self.get(name)
        except NotFound:
            account = None
        known = account.password if account is not None else ""
        good = _matches(known or _NOBODYS, password[: LONGEST + 1])
        if account is None or not known or account.disabled or not good:
            raise Unauthenticated("this name and password do not belong together")
        if HASHER.check_needs_rehash(known):
            account = self.put(replace(account, password=HASHER.hash(password), changed_ms=now_ms))
        return account


_NOBODYS = HASHER.hash(secrets.token_urlsafe(24))


def hashed(name: str, password: str) -> str:
    """Takes some 20 ms. Raises BadMessage."""
    check_password(name, password)
    return HASHER.hash(password)


def _matches(known: str, password: str) -> bool:
    try:
        return HASHER.verify(known, password)
    except (VerificationError, InvalidHashError):
        return False


def _account(text: str) -> Account:
    found: dict[str, Any] = json.loads(text)
    teams, given = found.pop("teams", None), found.pop("roles")
    roles = tuple(role for role in ROLES if role in given)
    return Account(roles=roles, teams=None if teams is None else tuple(teams), **found)


def _plain(value: Struct) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}


EVERY_TEAM = "*"  # how all teams are said on a command line


def teams_of(said: Iterable[str]) -> tuple[str, ...] | None:
    named = tuple(dict.fromkeys(said))
    return None if EVERY_TEAM in named else named
