"""Who is asking: bearer tokens of the configuration, and of sessions (`service.accounts`).

Tokens are kept and compared as digests, so that the time of a look-up tells nothing about a token. What a route needs
stands on the route (`describe(..., needs=...)`) and what a role may do in `service.roles`; they meet in `allowed` and
nowhere else. A route of operators that names no permission needs that of the house, so one that is forgotten is shut.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

from aiohttp import web

from router.errors import ConfigError, Forbidden, TooManyAttempts, Unauthenticated
from router.http.settings import HttpSettings
from router.observe import counter
from router.service.accounts import digest
from router.service.attempts import Failures
from router.service.roles import Identity, Permission, identity
from router.service.routes import described
from router.service.sources import nearest, source_of
from router.service.tokens import DEMO, TOKEN_LEAST, is_demo, is_short

UNCOUNTED = 1 << 30  # wrong proofs that an address may show in a minute where nobody says otherwise

_refused = counter("http_unauthenticated_total", "Requests without a token that is known.")

Sessions = Callable[[bytes], Identity | None]


def bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def no_sessions(token: bytes) -> Identity | None:
    return None


def no_clock() -> int:
    """Where no wrong proof is counted, no minute goes by."""
    return 0


class Access:
    """`operators` and `agents` map a token of the configuration to the name of whoever holds it; `sessions` says who
    has the session with this digest of a token."""

    def __init__(
        self,
        operators: Mapping[str, str],
        agents: Mapping[str, str],
        sessions: Sessions = no_sessions,
        failures: Failures | None = None,
        now_ms: Callable[[], int] = no_clock,
        trusted_proxies: tuple[str, ...] = (),
    ) -> None:
        self._held = _holders(operators, agents)
        self._sessions = sessions
        self.failures = failures or Failures(UNCOUNTED)
        self._now_ms = now_ms
        self._proxies = trusted_proxies

    # --- who -------------------------------------------------------------------------------------------------------

    def who(self, request: web.Request) -> Identity:
        """Raises Unauthenticated, and TooManyAttempts where this address has guessed too often."""
        token, address = bearer(request), self.address(request)
        proof = digest(token)
        self.demand_patience(address, proof)
        found = self._held.get(proof) or self._sessions(proof)
        if found is not None and token:
            self.failures.succeeded(address, proof)
            return found
        _refused.inc()
        if token:
            self.failures.add(address, self._now_ms())
        raise Unauthenticated("send the header Authorization: Bearer TOKEN with a token that is known here")

    def held(self, token: str) -> Identity | None:
        """Whose token of the configuration this is."""
        return self._held.get(digest(token)) if token else None

    def address(self, request: web.Request) -> str:
        forwarded = request.headers.getall("X-Forwarded-For", ())
        return source_of(nearest(request.remote or "", forwarded, self._proxies))

    def demand_patience(self, address: str, proof: bytes = b"") -> None:
        """Raises TooManyAttempts."""
        wait_ms = self.failures.retry_after_ms(address, self._now_ms(), proof)
        if wait_ms:
            raise TooManyAttempts("too many wrong passwords or tokens from this address; wait", -(-wait_ms // 1_000))

    # --- may they --------------------------------------------------------------------------------------------------

    def allowed(self, request: web.Request) -> Identity:
        """Whoever asks, if they may ask this route. Raises Unauthenticated and Forbidden."""
        who = self.who(request)
        if needs_of(request) in who.may:
            return who
        if not who.session and who.roles == ("agent",):
            _refused.inc()
            raise Unauthenticated("this token is an agent's; send one of an operator")
        raise Forbidden(f"{who.title} may not do this: it takes a role with the permission {needs_of(request)!r}")

    def operator(self, request: web.Request) -> str:
        """As `allowed`, for those who want no more than a name."""
        return self.allowed(request).name

    def anybody(self, request: web.Request) -> tuple[str, str]:
        """("operator" or "agent", name): whoever may read what customers write, or works. Raises Unauthenticated and
        Forbidden."""
        who = self.who(request)
        if "words" in who.may:
            return "operator", who.name
        if who.agent:
            return "agent", who.agent
        raise Forbidden(f"{who.title} may not see what customers write")

    def both(self, request: web.Request) -> tuple[str, str]:
        """The names as somebody who looks at others' work and as agent, "" for what they are not; it may be both.
        Raises Unauthenticated."""
        who = self.who(request)
        return who.name if who.may - {"work"} else "", who.agent


def needs_of(request: web.Request) -> Permission:
    info = described(request.match_info.handler)
    return info.needs if info is not None else "house"


def _holders(operators: Mapping[str, str], agents: Mapping[str, str]) -> dict[bytes, Identity]:
    found: dict[bytes, Identity] = {}
    for token in dict.fromkeys((*operators, *agents)):
        operator, agent = operators.get(token, ""), agents.get(token, "")
        if token and operator:
            found[_digest(token)] = identity(operator, ("operator", "agent") if agent else ("operator",), None, agent)
        elif token and agent:
            found[_digest(token)] = identity(agent, ("agent",), (), agent)
    return found


def _digest(token: str) -> bytes:
    """Of a key of the configuration, which may be a digest already: "sha256:HEX"."""
    return bytes.fromhex(token[7:]) if token.startswith("sha256:") and len(token) == 71 else digest(token)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name may mean any address


HERE = "this machine only (127.0.0.1)"


def check_exposure(settings: HttpSettings, operators: Mapping[str, str]) -> None:
    """Refuse to listen beyond this machine with tokens that everybody knows, without any, or unprotected (OB-6)."""
    if bool(settings.certificate) != bool(settings.private_key):
        raise ConfigError("http.certificate", "certificate and private_key together", "only one of them")
    if is_loopback(settings.host):
        return
    if not any(operators):
        raise ConfigError("http.host", f"{HERE}, or a token in operators.tokens", settings.host)
    if any(is_demo(token) for token in operators):
        expected = f"{HERE}, since operators.tokens has demo tokens ({DEMO}...)"
        raise ConfigError("http.host", expected, settings.host)
    if not settings.certificate and not settings.behind_proxy:
        expected = f"{HERE}, or http.certificate and http.private_key, or http.behind_proxy = true"
        raise ConfigError("http.host", expected, settings.host)


def check_tokens(listens: Mapping[str, str], tokens: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse tokens that everybody knows, or could guess, where anything listens beyond this machine (OB-6).

    `listens`: option -> host; `tokens`: option -> token -> whose it is. All of them are judged wherever it is that
    something listens: an agent's token opens the websockets and is good for HTTP as well.
    """
    beyond = next((option for option, host in listens.items() if not is_loopback(host)), "")
    if not beyond:
        return
    for path, held in tokens.items():
        if any(is_demo(token) for token in held):
            raise ConfigError(beyond, f"{HERE}, since {path} has demo tokens ({DEMO}...)", listens[beyond])
        for token, whose in held.items():
            if is_short(token):
                expected = f"tokens of at least {TOKEN_LEAST} characters, since {beyond} is not this machine only"
                raise ConfigError(path, expected, f"a shorter one, that of {whose}")
