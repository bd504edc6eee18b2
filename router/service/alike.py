"""Settings that must be the same on all machines and stand in no journal: whether they are is seen before it hurts.

Who leads leaves a note beside the log; who stands by, and each edge, compares it with what its own would be, and
`/readyz` says which options differ and nothing more of them. Redis, its files and its replicas are read by others than
those who may know a secret (administrators, backups), so of a secret the note has sixteen bits of a digest:

- HMAC-SHA256 under the secret, of the log's identity: random, kept beside the note, another one for each log. So no
  table that was worked out before helps, and equal notes of two houses say nothing.
- Whoever reads the note can try guesses on it. So can any visitor on the token that they are given, which is signed
  with the very secret and has all bits of its digest, and whoever answers an edge in an engine's place on its proof of
  `link.secret`; the purpose of its own keeps the one from passing for the other. What protects a secret from all of
  them is its length (32 characters, 16 of the link's).
- Sixteen bits notice a difference, but for one pair in 65,536, and cannot tell which guess is right: of a million of
  them fifteen are left. They are the same at each start, since the log's identity is: collecting notes adds nothing.

Who differs takes over all the same. The note is of whoever led before, and a secret is changed on one machine after the
other: if each refused to follow the one before it, nobody would lead in the end. So it is said beforehand, and where
edges are refused for it afterwards the leader's own health says that (`remote.host`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct

PURPOSE = b"switchboard: the same on all machines\n"
BYTES = 2  # of a secret's digest


class Note(Struct, frozen=True):
    """What is compared. A new field has a default that compares to nothing: versions run side by side."""

    lease_ms: int = 0
    secrets: dict[str, str] = {}


def note(identity: str, lease_ms: int, secrets: Mapping[str, str]) -> bytes:
    """`identity`: of the log; `secrets`: by their options, without those that are not set."""
    return msgspec.json.encode(Note(lease_ms, {name: _sign(secret, identity) for name, secret in secrets.items()}))


def _sign(secret: str, identity: str) -> str:
    return hmac.digest(secret.encode(), PURPOSE + identity.encode(), hashlib.sha256)[:BYTES].hex()


Notes = Callable[[str], bytes]  # `note` of this process, by the log's identity


def no_note(identity: str) -> bytes:
    return b""


def differing(ours: bytes, theirs: bytes) -> list[str]:
    """The options that differ, of those that both notes have; none where nothing was left or can be read."""
    try:
        here, there = (msgspec.json.decode(each, type=Note) for each in (ours, theirs))
    except msgspec.DecodeError:
        return []
    found = ["journal.lease"] if here.lease_ms and there.lease_ms and here.lease_ms != there.lease_ms else []
    return found + [name for name in here.secrets if here.secrets[name] != there.secrets.get(name, here.secrets[name])]


def told(ours: bytes, theirs: bytes) -> str:
    """The sentence for the operator; "" where nothing differs."""
    found = differing(ours, theirs)
    return f"who leads has another {' and another '.join(found)}; it must be the same on all machines" if found else ""
