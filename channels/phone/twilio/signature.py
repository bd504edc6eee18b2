"""`X-Twilio-Signature`: the base64 of the HMAC-SHA1 of the public address and every field of the form.

Fields are sorted by name and written as name and value without anything between; of a field that stands there more than
once the values are sorted, each once. What is not a form is not signed itself: its SHA-256 stands in the address as
`bodySHA256`.

Senders differ in whether the port of the address is part of what they sign, so it is tried with and without.

An account that signs with a shared key of its own says so in `X-Twilio-Webhooks-Signature-Settings`, and which digest
it used: HMAC_SHA256 instead of SHA-1. The key is then the gateway's secret.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit, urlunsplit

from router.errors import Unauthenticated

HEADER = "X-Twilio-Signature"
SETTINGS = "X-Twilio-Webhooks-Signature-Settings"
_DIGESTS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_PORTS = {"https": 443, "http": 80}


def sign(secret: str, url: str, fields: Mapping[str, Sequence[str]], digest: str = "sha1") -> str:
    parts = [url, *(name + value for name in sorted(fields) for value in sorted(set(fields[name])))]
    return b64encode(hmac.digest(secret.encode(), "".join(parts).encode("utf-8", "surrogatepass"), digest)).decode()


def digest_of(settings: str) -> str:
    """Which digest the sender says it used. Raises Unauthenticated for one that we do not know."""
    named = [value.strip() for name, _, value in map(_halves, settings.split(",")) if name.strip() == "algorithm"]
    algorithm = next(filter(None, named), "HMAC_SHA1").upper()
    if algorithm not in _DIGESTS:
        raise Unauthenticated(f"{SETTINGS}: expected an algorithm of {', '.join(_DIGESTS)}")
    return _DIGESTS[algorithm]


def _halves(part: str) -> tuple[str, str, str]:
    return part.partition("=")


def verify(
    header: str,
    url: str,
    fields: Mapping[str, Sequence[str]],
    body: bytes,
    secrets: Sequence[str],
    digest: str = "sha1",
) -> None:
    """Raises Unauthenticated unless one of `secrets` signed this."""
    given, good = header.encode("utf-8", "surrogateescape"), False
    try:
        digests = parse_qs(urlsplit(url).query).get("bodySHA256", [])
    except ValueError as problem:
        raise Unauthenticated("the address cannot be read") from problem
    if digests:
        fields = {}
        if not hmac.compare_digest(digests[0].lower().encode("utf-8", "replace"), sha256(body).hexdigest().encode()):
            raise Unauthenticated("bodySHA256 is not that of the body")
    for secret in secrets:
        for tried in forms_of(url):  # no short cut: the time this takes does not tell which was right
            good |= hmac.compare_digest(sign(secret, tried, fields, digest).encode(), given)
    if not good:
        raise Unauthenticated(f"{HEADER} does not match the secret, the form and the public address {_plain(url)}")


def forms_of(url: str) -> tuple[str, ...]:
    """The address as it is, without its port, and with the port of its scheme."""
    parts = urlsplit(url)
    host, colon, port = parts.netloc.rpartition(":")
    if not (colon and port.isascii() and port.isdigit()):
        other = f"{parts.netloc}:{_PORTS.get(parts.scheme, 443)}"
    else:
        other = host
    return url, urlunsplit(parts._replace(netloc=other))


def _plain(url: str) -> str:
    """Without its query, where secrets of others may stand."""
    return urlunsplit(urlsplit(url)._replace(query="", fragment=""))
