"""Who is asking: bearer tokens of operators and agents.

Tokens are kept and compared as digests, so that the time of a look-up tells nothing about a token.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping

from aiohttp import web

from router.errors import ConfigError, Unauthenticated
from router.http.settings import HttpSettings
from router.observe import counter

DEMO = "dev-"  # what the tokens of the shipped demo configuration start with

_refused = counter("http_unauthenticated_total", "Requests without a token that is known.")


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class Access:
    """`operators` and `agents` map a token to the name of whoever holds it."""

    def __init__(self, operators: Mapping[str, str], agents: Mapping[str, str]) -> None:
        self._operators = {digest(token): name for token, name in operators.items() if token}
        self._agents = {digest(token): name for token, name in agents.items() if token}

    def operator(self, request: web.Request) -> str:
        """The operator's name. Raises Unauthenticated."""
        return self._named(self._operators.get(digest(bearer(request))))

    def anybody(self, request: web.Request) -> tuple[str, str]:
        """("operator" or "agent", name). Raises Unauthenticated."""
        token = digest(bearer(request))
        if name := self._operators.get(token):
            return "operator", name
        return "agent", self._named(self._agents.get(token))

    def both(self, request: web.Request) -> tuple[str, str]:
        """The names as operator and as agent, "" for what they are not; it may be both. Raises Unauthenticated."""
        token = digest(bearer(request))
        operator, agent = self._operators.get(token, ""), self._agents.get(token, "")
        self._named(operator or agent)
        return operator, agent

    def _named(self, name: str | None) -> str:
        if not name:
            _refused.inc()
            raise Unauthenticated("send the header Authorization: Bearer TOKEN with a token that is known here")
        return name


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name may mean any address


def check_exposure(settings: HttpSettings, operators: Mapping[str, str]) -> None:
    """Refuse to listen beyond this machine with tokens that everybody knows, without any, or unprotected (OB-6)."""
    if bool(settings.certificate) != bool(settings.private_key):
        raise ConfigError("http.certificate", "certificate and private_key together", "only one of them")
    if is_loopback(settings.host):
        return
    if not any(operators):
        raise ConfigError("http.host", "an operator's token before listening beyond loopback", settings.host)
    if any(token.startswith(DEMO) for token in operators):
        raise ConfigError("http.host", f"no demo tokens ({DEMO}...) when listening beyond loopback", settings.host)
    if not settings.certificate and not settings.behind_proxy:
        raise ConfigError("http.host", "certificate and private_key, or behind_proxy = true", settings.host)
