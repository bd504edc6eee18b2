"""Who did what with which right, kept beside the journal: sign-ins, looks at what customers wrote, and every act.

The journal has each act that changed a contact, with who and why. It has nothing of what changes no contact: that
somebody signed in or could not, read a conversation that is not theirs, tried a configuration. All of it stands here,
in order, and is on the disk before the answer goes out. Nothing is ever changed or taken away by the daemon.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Literal

import apsw
from msgspec import Struct

from router.errors import ConfigError, Unavailable
from router.service.masking import Mask
from router.service.roles import ROLES

TEXT_MAX = 500  # characters of one field
SEEN_MS = 600_000  # who reads on in the same conversation is written down once in ten minutes
SEEN_MAX = 10_000

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS act (number INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, who TEXT NOT NULL,"
    " act TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL, address TEXT NOT NULL)"
)
# What is asked for by name is found without a look at all that ever happened; those of one name stand in order.
# Whoever looks for somebody writes Sue as well as sue; the list of names wants them as they are.
_INDEXES = (
    *(f"CREATE INDEX IF NOT EXISTS act_{name} ON act ({name})" for name in ("who", "act", "at_ms")),
    *(f"CREATE INDEX IF NOT EXISTS act_{name}_said ON act ({name} COLLATE NOCASE)" for name in ("who", "subject")),
    "DROP INDEX IF EXISTS act_subject",  # of earlier versions: nobody asks by it any more
)
_INSERT = "INSERT INTO act (at_ms, who, act, subject, detail, address) VALUES (?, ?, ?, ?, ?, ?)"
_SELECT = "SELECT * FROM act WHERE {} ORDER BY number DESC LIMIT ?"
# Each name once, by a step in the index from one to the next: a million acts of ten people cost ten steps.
_NAMES = (
    "WITH RECURSIVE known(name) AS (SELECT min({0}) FROM act UNION ALL"
    " SELECT (SELECT min({0}) FROM act WHERE {0} > known.name) FROM known WHERE known.name IS NOT NULL)"
    " SELECT name FROM known WHERE name > '' LIMIT ?"
)
NAMES_MAX = 500  # that are offered to choose from; others can be written
TITLES = ("console", *ROLES)  # as what somebody can have acted


# Everything that can stand in `act`. Whatever shows the audit has words for each (the desk, in every language).
ACTS = frozenset(
    {
        "sign-in",
        "sign-in-refused",
        "sign-out",
        "signed-out",
        "password",
        "password-refused",
        "password-set",
        "read",
        "requeue",
        "assign",
        "close",
        "transfer",
        "reprioritise",
        "relax",
        "note",
        "join",
        "take",
        "broadcast",
        "state",
        "close calendar",
        "open calendar",
        "callback",
        "callback-cancel",
        "customer",
        "merge",
        "split",
        "config",
        "config-tried",
        "config-refused",
        "retry",
        "discard",
        "account-added",
        "account-disabled",
        "account-enabled",
        "quarantine_taken",
        "quarantine_discarded",
        "domain-moved",
        "domain-not-moved",
    }
)


# Their subject is whatever somebody typed, and people type the wrong thing into a field.
TYPED = frozenset({"sign-in-refused"})


class Act(Struct, frozen=True):
    number: int
    at_ms: int
    who: str  # supervisor:NAME, agent:NAME, console:NAME of the operating system's user
    act: str  # sign-in, sign-in-refused, read, requeue, ...
    subject: str = ""  # an interaction, an agent, an account
    detail: str = ""
    address: str = ""


class Wanted(Struct, frozen=True):
    """What of all acts is asked for; what is left out leaves nothing out. Case makes no difference to names."""

    who: tuple[str, ...] = ()  # any of these: role:NAME, or a name alone: whatever they were
    act: str = ""
    subject: tuple[str, ...] = ()  # any of these
    from_ms: int = 0
    until_ms: int = 0  # before then

    def condition(self) -> tuple[str, list[str | int]]:
        """For the database, with what stands for its question marks."""
        whos = [one for who in self.who for one in ([who] if ":" in who else [f"{title}:{who}" for title in TITLES])]
        parts: list[tuple[str, list[str | int]]] = [
            (f"who COLLATE NOCASE IN ({', '.join('?' * len(whos))})", [*whos]),
            ("act = ?", [self.act] if self.act else []),
            (f"subject COLLATE NOCASE IN ({', '.join('?' * len(self.subject))})", [*self.subject]),
            ("at_ms >= ?", [self.from_ms] if self.from_ms else []),
            ("at_ms < ?", [self.until_ms] if self.until_ms else []),
        ]
        asked = [(text, values) for text, values in parts if values]
        return " AND ".join(["number < ?", *(text for text, _ in asked)]), [one for _, v in asked for one in v]


EVERYTHING = Wanted()


class Audit:
    """Open it, write to it from any thread, close it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mask: Mask | None = None  # what hides what must not stand in `detail`
        self._db: apsw.Connection | None = None
        self._mutex = threading.Lock()
        self._seen: dict[tuple[str, str], int] = {}

    def open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.path.touch(mode=0o600)
            self._db = apsw.Connection(str(self.path))
            self._db.set_busy_timeout(5_000)
            self._db.pragma("journal_mode", "wal")
            self._db.execute(_SCHEMA)
            for index in _INDEXES:
                self._db.execute(index)
        except (apsw.Error, OSError) as error:
            raise ConfigError("data", f"an audit that can be written in {self.path}", str(error)) from error

    def close(self) -> None:
        with self._mutex:
            if self._db is not None:
                self._db.close()
            self._db = None

    def write(self, at_ms: int, who: str, act: str, subject: str = "", detail: str = "", address: str = "") -> None:
        """Returns when it is on the disk. Raises Unavailable: then the act must not happen."""
        assert act in ACTS, f"{act!r} is to stand in ACTS"
        if self.mask is not None:
            detail = self.mask(detail)
            if act in TYPED:
                subject = self.mask(subject)
        row = (at_ms, *(text[:TEXT_MAX] for text in (who, act, subject, detail, address)))
        with self._mutex:
            if self._db is None:
                raise Unavailable("the audit is closed: the daemon starts or stops")
            try:
                self._db.execute(_INSERT, row)
            except apsw.Error as error:
                raise Unavailable(f"the audit cannot be written, so nothing is done: {error}") from error

    def is_news(self, at_ms: int, who: str, subject: str) -> bool:
        """Whether this look is one to write down: not where the same person has just looked at the same thing."""
        last = self._seen.pop((who, subject), None)
        news = last is None or at_ms - last >= SEEN_MS
        self._seen[who, subject] = at_ms if news or last is None else last
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        return news

    def page(self, before: int, limit: int, wanted: Wanted = EVERYTHING) -> list[Act]:
        """The newest first."""
        condition, values = wanted.condition()
        with self._mutex:
            if self._db is None:
                return []
            rows = self._db.execute(_SELECT.format(condition), (before or 1 << 62, *values, limit))
            return [Act(*row) for row in rows]

    def names(self, column: Literal["who", "act"]) -> list[str]:
        """Who has done anything, or what was ever done, in the order of the alphabet."""
        with self._mutex:
            if self._db is None:
                return []
            return [name for (name,) in self._db.execute(_NAMES.format(column), (NAMES_MAX,))]
