"""One IMAP mailbox, read with imap-tools: what the poller does in a thread. Nothing is remembered between two visits.

What was taken is known by UID, which IMAP gives in rising order and never twice under one UIDVALIDITY (RFC 9051
2.3.1.1). So a cursor (validity, last UID) says where to go on. Where a server starts its numbers anew the cursor says
nothing more; then what came since the last visit is read again, and the intake's keys recognise what was taken.

Messages are read with BODY.PEEK: what people see as read or unread there changes only by `mark_seen` and `move_to`, and
only after the message was recorded.
"""

from __future__ import annotations

import imaplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from channels.email.settings import ImapBox

if TYPE_CHECKING:
    from imap_tools import BaseMailBox

BATCH = 50  # messages of one visit; the next visit follows at once
BATCH_BYTES = 64 * 1_048_576  # of one visit, but for a single larger message
OVERLAP = timedelta(days=2)  # IMAP searches by whole days, of the server's own zone


class Cursor(Struct, frozen=True):
    """How far a mailbox was read."""

    validity: int = 0  # 0: never
    uid: int = 0
    visited_ms: int = 0


class Found(Struct, frozen=True):
    """One message. `raw` is None where it is larger than may be taken; then `size` says how large."""

    uid: int
    raw: bytes | None
    size: int


class Visit(Struct, frozen=True):
    cursor: Cursor  # before the first message of `found`
    found: tuple[Found, ...]
    more: bool  # there are further ones


@contextmanager
def opened(box: ImapBox) -> Iterator[BaseMailBox]:
    """Signed in, with the folder selected. Raises OSError, imaplib.IMAP4.error and imap_tools' own errors."""
    from imap_tools import MailBox, MailBoxUnencrypted  # only where a mailbox is configured

    seconds = box.timeout / 1_000
    client: BaseMailBox
    if box.tls == "tls":
        client = MailBox(box.host, box.port, timeout=seconds, ssl_context=_trust(box))
    else:
        client = MailBoxUnencrypted(box.host, box.port, timeout=seconds)
    try:
        if box.tls == "starttls":
            client.client.starttls(_trust(box))
        client.login(box.username, box.password, initial_folder=box.folder)
        yield client
    finally:
        with suppress(OSError, imaplib.IMAP4.error):  # it may be gone already, and nothing depends on a farewell
            client.client.logout()
        with suppress(OSError):  # where the farewell failed, the connection is still ours
            client.client.shutdown()


def _trust(box: ImapBox) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=box.ca_file or None)


def visit(box: ImapBox, cursor: Cursor, now_ms: int, max_bytes: int) -> Visit:
    """What came after the cursor, as much as one visit takes. Blocking."""
    with opened(box) as session:
        validity = _validity(session)
        uids, start = _after(session, box, cursor, validity)
        sizes = _sizes(session, uids[:BATCH])
        found: list[Found] = []
        total = 0
        for uid in uids[:BATCH]:
            size = sizes.get(uid)
            if size is None:
                continue  # somebody has deleted it meanwhile
            if found and total + size > BATCH_BYTES:
                break
            raw = _raw(session, uid) if size <= max_bytes else None
            if raw is not None or size > max_bytes:
                found.append(Found(uid, raw, size))
                total += size if raw is not None else 0
    last = found[-1].uid if found else 0
    return Visit(Cursor(validity, start, now_ms), tuple(found), bool(found) and last != uids[-1])


def settle(box: ImapBox, uids: Sequence[int]) -> None:
    """Mark or move what was recorded, as the settings say. Blocking."""
    names = [str(uid) for uid in uids]
    if not names or not (box.mark_seen or box.move_to):
        return
    with opened(box) as session:
        if box.mark_seen:
            session.flag(names, "\\Seen", True)
        if box.move_to:
            session.move(names, box.move_to)


def _validity(session: BaseMailBox) -> int:
    return int(session.folder.status(session.folder.get(), ["UIDVALIDITY"])["UIDVALIDITY"])


def _after(session: BaseMailBox, box: ImapBox, cursor: Cursor, validity: int) -> tuple[list[int], int]:
    """The UIDs to be read, and where they start."""
    if cursor.validity == validity:
        # "n:*" names the last message even where its UID is lower than n.
        return _search(session, f"UID {cursor.uid + 1}:*", cursor.uid), cursor.uid
    if cursor.validity:
        since = datetime.fromtimestamp(cursor.visited_ms / 1_000, UTC) - OVERLAP
        return _search(session, f"SINCE {since.day:02}-{_MONTHS[since.month - 1]}-{since.year}", 0), 0
    everything = _search(session, "ALL", 0)
    if box.first == "all":
        return everything, 0
    return (_search(session, "UNSEEN", 0), 0) if box.first == "unseen" else ([], max(everything, default=0))


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _search(session: BaseMailBox, criteria: str, above: int) -> list[int]:
    return sorted(uid for uid in map(int, session.uids(criteria, charset=None)) if uid > above)


def _fetched(session: BaseMailBox, uids: str, what: str) -> list[Any]:
    status, data = session.client.uid("fetch", uids, what)
    if status != "OK":
        raise imaplib.IMAP4.error(f"fetch: {status}")
    return [piece for piece in data if piece is not None]


def _sizes(session: BaseMailBox, uids: Sequence[int]) -> dict[int, int]:
    if not uids:
        return {}
    found: dict[int, int] = {}
    for piece in _fetched(session, ",".join(map(str, uids)), "(UID RFC822.SIZE)"):
        words = piece.replace(b"(", b" ").replace(b")", b" ").upper().split()
        values = dict(pairwise(words))
        if b"UID" in values and b"RFC822.SIZE" in values:
            found[int(values[b"UID"])] = int(values[b"RFC822.SIZE"])
    return found


def _raw(session: BaseMailBox, uid: int) -> bytes | None:
    for piece in _fetched(session, str(uid), "(BODY.PEEK[])"):
        if isinstance(piece, tuple):
            return bytes(piece[1])
    return None
