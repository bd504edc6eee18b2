"""Who a visitor is: tokens that we sign, and statements that the embedding page signs.

A token is a bearer's key to one visitor's conversation. It names a random visitor (128 bits), so that it can't be
guessed, and is signed, so that it can't be made. It also says what a restarted server no longer knows: the topic, the
last interaction, and the epoch of the stream that `last_seq` counts in.

A signed `visitor` is "BODY.SIGNATURE": BODY is base64url of a JSON object with `id`, `expires_at_ms` and, where the
page knows them, `name`, `email` and `phone` (E.164); SIGNATURE is the hex HMAC-SHA256 of BODY under the shared secret.

Pure, but for `keep_secret`, which the shell calls once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from router.errors import ConfigError, NotFound, Unauthenticated
from router.journal.files import write_whole

_SIGNED = re.compile(r"([A-Za-z0-9_=-]{2,})\.([0-9a-f]{64})")
_MAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
_PHONE = re.compile(r"\+[1-9]\d{6,14}")


class Claim(Struct, array_like=True, frozen=True):
    """What a token says. A new field goes to the end and has a default: tokens outlive a server."""

    visitor: str
    epoch: int
    issued_ms: int
    topic: str = ""
    interaction: int = 0


class Ticket(Struct, array_like=True, frozen=True):
    """A file that a visitor uploaded or was sent: who has the ticket may name the file, or fetch it."""

    visitor: str
    digest: str
    size: int
    media_type: str
    name: str


class Statement(Struct, frozen=True):
    """What the embedding page says of its visitor."""

    id: Annotated[str, Meta(min_length=1, max_length=200)]
    expires_at_ms: int
    name: Annotated[str, Meta(max_length=100)] = ""
    email: Annotated[str, Meta(max_length=320)] = ""
    phone: Annotated[str, Meta(max_length=16)] = ""

    def identities(self) -> tuple[str, ...]:
        """Addresses by which the same person is known on other channels."""
        mail, phone = self.email.strip().lower(), self.phone.strip()
        found = [f"mailto:{mail}"] if _MAIL.fullmatch(mail) else []
        return (*found, f"tel:{phone}") if _PHONE.fullmatch(phone) else tuple(found)


def _sign(secret: bytes, purpose: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, purpose + body, hashlib.sha256)


def _pack(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unpack(text: str) -> bytes:
    """Raises ValueError (binascii.Error is one)."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


_claim = msgspec.json.Decoder(Claim).decode
_ticket = msgspec.json.Decoder(Ticket).decode
_statement = msgspec.json.Decoder(Statement).decode


def seal(secret: bytes, claim: Claim) -> str:
    body = _pack(msgspec.json.encode(claim))
    return f"{body}.{_pack(_sign(secret, b'token:', body.encode()))}"


def unseal(secret: bytes, token: str) -> Claim:
    """What we once signed. Its age is the caller's to judge. Raises Unauthenticated."""
    body, _, signature = token.partition(".")
    expected = _pack(_sign(secret, b"token:", body.encode(errors="replace")))
    if not hmac.compare_digest(signature.encode(errors="replace"), expected.encode()):
        raise Unauthenticated("this token is not one of ours: say hello without it")
    return _claim(_unpack(body))


def seal_file(secret: bytes, ticket: Ticket) -> str:
    body = _pack(msgspec.json.encode(ticket))
    return f"{body}.{_pack(_sign(secret, b'file:', body.encode()))}"


def unseal_file(secret: bytes, sealed: str) -> Ticket:
    """Raises NotFound: who guesses learns nothing."""
    body, _, signature = sealed.partition(".")
    expected = _pack(_sign(secret, b"file:", body.encode(errors="replace")))
    if not hmac.compare_digest(signature.encode(errors="replace"), expected.encode()):
        raise NotFound("there is no such file")
    return _ticket(_unpack(body))


def sign_visitor(secret: str, statement: Statement) -> str:
    """What an embedding page's server does, here for tests and for pages written in Python."""
    body = _pack(msgspec.json.encode(statement))
    return f"{body}.{hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()}"


def believed(secret: str, visitor: str, now_ms: int) -> Statement | None:
    """The signed statement in `visitor`; None if it is just a name that somebody gave.

    Raises Unauthenticated for what looks signed and is not, or is too old: to make a name of it silently would hide a
    mistake in the page.
    """
    signed = _SIGNED.fullmatch(visitor) if secret else None
    if not signed:
        return None
    expected = hmac.new(secret.encode(), signed[1].encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signed[2]):
        raise Unauthenticated("the visitor's signature is wrong: sign the first part with the shared secret")
    try:
        statement = _statement(_unpack(signed[1].rstrip("=")))
    except (ValueError, msgspec.DecodeError):
        raise Unauthenticated("the signed visitor is not a JSON object with id and expires_at_ms") from None
    if statement.expires_at_ms <= now_ms:
        raise Unauthenticated("the signed visitor has expired: load the page again")
    return statement


def visitor_of(secret: bytes, statement: Statement) -> str:
    """The same visitor for the same signed id, without telling the id. 128 bits, as a random one."""
    return _sign(secret, b"visitor:", statement.id.encode())[:16].hex()


def keep_secret(path: Path) -> bytes:
    """The server's own secret from this file, made with mode 0600 if there is none. Raises ConfigError."""
    if not os.path.lexists(path):
        try:
            _make_secret(path)
        except OSError as wrong:
            raise ConfigError(str(path), "a place to keep the chat's secret", str(wrong)) from wrong
    return _read_secret(path)


def _make_secret(path: Path) -> None:
    """It is there whole or not at all: who is killed in their very first start must be able to start again."""
    write_whole(path, secrets.token_hex(32).encode())


def _read_secret(path: Path) -> bytes:
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as wrong:
        raise ConfigError(str(path), "a secret that can be read", str(wrong)) from wrong
    if len(text) < 32:
        raise ConfigError(str(path), "at least 32 characters; delete the file to have a new one made", "fewer")
    return text.encode()
