"""`Switchboard-Signature: t=<unix s>,v1=<hex>`: who sent these bytes, and when.

`<hex>` is the HMAC-SHA256 of "<t>.<body>" in lower case. Several v1 may stand there, and several secrets may be
valid, so that secrets can be changed without losing a call: one match is enough. Fields of other names are left to
later versions.

The text of `t` is signed as written, and nothing is trimmed or folded: there is exactly one way to write a good header.
A signed request can be repeated within the tolerance; that is harmless because events are recorded once by their ids.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from functools import lru_cache

from router.errors import Unauthenticated

HEADER = "Switchboard-Signature"

# Each v1 is compared with each secret. Nobody needs more than one for the old secret and one for the new.
_GIVEN_MAX = 8

# As nearly everybody writes it: the time, and one v1.
_USUAL = re.compile(rb"t=([0-9]{1,12}),v1=([^,]*)")


def sign(secrets: Sequence[str], body: bytes, now_s: int) -> str:
    """The header for `body`, with one v1 for each secret."""
    text = b"%d.%b" % (now_s, body)
    return f"t={now_s}," + ",".join(f"v1={_mac(secret, text).hex()}" for secret in secrets)


def verify(
    header: str, body: bytes, secrets: Sequence[str], now_s: float, tolerance_s: float, name: str = HEADER
) -> None:
    """Raises Unauthenticated unless one of `secrets` signed `body` within `tolerance_s` of `now_s`.

    `name` is that of the header: others sign in the same way under names of their own.
    """
    time, given = _read(header, name)
    if abs(int(time) - now_s) > tolerance_s:
        raise Unauthenticated(f"the signature is more than {tolerance_s:g} s away from our clock: sign anew")
    text = time + b"." + body
    good = False
    for secret in secrets:
        ours = _mac(secret, text).hex().encode()
        for theirs in given:  # no short cut: the time this takes does not tell which secret was right
            good |= hmac.compare_digest(ours, theirs)
    if not good:
        raise Unauthenticated("the signature does not match the body and the secret of this gateway")


def _read(header: str, title: str) -> tuple[bytes, list[bytes]]:
    """The time as written, and every v1."""
    if not header:
        raise Unauthenticated(f"sign the request: the header {title} is missing")
    text = header.encode("utf-8", "surrogateescape")
    if usual := _USUAL.fullmatch(text):
        return usual[1], [usual[2]]
    times, given = [], []
    for part in text.split(b","):
        name, _, value = part.partition(b"=")
        if name == b"t":
            times.append(value)
        elif name == b"v1":
            given.append(value)
    if len(times) != 1 or not 0 < len(given) <= _GIVEN_MAX or not _is_time(times[0]):
        raise Unauthenticated(f"{title} has the form t=<unix s>,v1=<hex>")
    return times[0], given


def _is_time(text: bytes) -> bool:
    return 0 < len(text) <= 12 and text.isdigit()


def _mac(secret: str, text: bytes) -> bytes:
    mac = _keyed(secret).copy()
    mac.update(text)
    return mac.digest()


@lru_cache(maxsize=256)
def _keyed(secret: str) -> hmac.HMAC:
    """To prepare a key costs more than to use it."""
    return hmac.new(secret.encode(), digestmod="sha256")
