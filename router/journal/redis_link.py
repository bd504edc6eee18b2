"""One connection to the Redis that leads, and what is wrong with it in words.

A link is made anew when it breaks. What was asked over the broken one is asked once more, which is why every script of
`redis_scripts` may be run twice; an answer that does not come in time is not asked for again, for it may still come.
Behind Sentinels each new link goes to whoever they say is the master now.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from redis import ConnectionPool, Sentinel
from redis import exceptions as rx
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError

from router.errors import ConfigError, JournalFailed, JournalUnfit
from router.journal.redis_scripts import Script
from router.journal.settings import JournalSettings

OLDEST = (7, 0)
SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
# What an answer tells us about: the server, not our question.
GONE = (rx.ConnectionError, rx.ReadOnlyError, rx.MasterDownError, OSError)


class NoTls(rx.TimeoutError):
    """No connection by TLS came about: whoever does not speak it waits for the rest of what it takes for a command."""


class Link:
    """Not for several threads at once."""

    def __init__(self, settings: JournalSettings) -> None:
        self._timeout_ms = int(settings.timeout)
        self.where = shown(settings.url)
        self._tls = self.where.startswith("rediss")
        self._pool = _pool(settings)
        self._connection: Any = None

    def call(self, *words: Any, replicas: int = 0) -> Any:
        """The answer to a command; with `replicas`, not before so many have it. Raises JournalFailed."""
        return self._explained(lambda: self._ask(words, replicas))

    def run(self, script: Script, keys: tuple[str, ...], *arguments: Any, replicas: int = 0) -> Any:
        """The answer of a script. Raises JournalFailed."""

        def ask() -> Any:
            words = ("EVALSHA", script.sha, len(keys), *keys, *arguments)
            try:
                return self._ask(words, replicas)
            except rx.NoScriptError:  # a server that was started since
                self._ask(("SCRIPT", "LOAD", script.text), 0)
                return self._ask(words, replicas)

        return self._explained(ask)

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(rx.RedisError, OSError):
                self._connection.disconnect()
            self._pool.release(self._connection)
            self._connection = None
        self._pool.disconnect()

    # --- one question ---

    def _ask(self, words: tuple[Any, ...], replicas: int) -> Any:
        was_there = self._connection is not None
        try:
            return self._once(words, replicas)
        except rx.TimeoutError:
            self.close()
            raise
        except GONE:
            self.close()
            if not was_there:
                raise
        try:
            return self._once(words, replicas)
        except (rx.TimeoutError, *GONE):
            self.close()
            raise

    def _once(self, words: tuple[Any, ...], replicas: int) -> Any:
        if self._connection is None:
            self._connection = self._connected()
        connection = self._connection
        connection.send_command(*words)
        if not replicas:
            return connection.read_response()
        connection.send_command("WAIT", replicas, self._timeout_ms * 3 // 4)
        try:
            answer: Any = connection.read_response()
        finally:
            have = connection.read_response()
        if have < replicas:
            raise JournalFailed(f"{self.where}: {have} of {replicas} replicas have it; bring the others back")
        return answer

    def _connected(self) -> Any:
        try:
            return self._pool.get_connection()
        except rx.TimeoutError as error:
            if self._tls:
                raise NoTls(str(error)) from error
            raise

    def _explained(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except NoTls as error:
            asked = "does it speak TLS there, as journal.url says (rediss)? Is it overloaded?"
            raise JournalFailed(f"{self.where}: no answer within {self._timeout_ms} ms; {asked}") from error
        except MasterNotFoundError as error:  # whose own text is the inside of a client
            said = f"none of its Sentinels says who leads; check that they run{self._by_tls} and watch that name"
            raise JournalFailed(f"{self.where}: {said}") from error
        except rx.TimeoutError as error:
            raise JournalFailed(f"{self.where}: no answer within {self._timeout_ms} ms; is it overloaded?") from error
        except (rx.AuthenticationError, rx.NoPermissionError) as error:
            raise JournalFailed(
                f"{self.where}: {error}; check journal.username, journal.password and the server's ACL"
            ) from error
        except (rx.RedisError, OSError) as error:
            if "unknown command" in str(error).lower():
                wanted = ".".join(map(str, OLDEST))
                raise JournalUnfit(f"{self.where}: {error}; run Redis {wanted} or newer, or Valkey") from error
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise JournalFailed(
                    f"{self.where}: {error}; check journal.ca and the name in its certificate"
                ) from error
            raise JournalFailed(f"{self.where}: {error}; check that it runs{self._by_tls} and takes writes") from error

    @property
    def _by_tls(self) -> str:
        return ", by TLS as journal.url says (rediss)," if self._tls else ""

    # --- what it is ---

    def check(self, durability: str) -> None:
        """Raise JournalUnfit where the server keeps less than was promised."""
        told = facts(self.call("INFO"))
        config = self._config("appendonly", "appendfsync", "no-appendfsync-on-rewrite")
        found = problems(told, config, durability)
        if found:
            raise JournalUnfit(f"{self.where}: " + "; ".join(found))

    def _config(self, *names: str) -> dict[str, str]:
        answer = self.call("CONFIG", "GET", *names)
        pairs = answer.items() if isinstance(answer, Mapping) else zip(answer[::2], answer[1::2], strict=True)
        return {key.decode(): value.decode() for key, value in pairs}


def facts(info: bytes) -> dict[str, str]:
    """The lines of INFO."""
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines() if line[:1] not in ("", "#"))
    return {key: value for key, _, value in lines}


def problems(info: Mapping[str, str], config: Mapping[str, str], durability: str) -> list[str]:
    """Why this server must not keep the log, each in a sentence that says what to do."""
    found = []
    version = info.get("redis_version", "")
    if _numbers(version) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        found.append(f"it is version {version or 'unknown'}; run Redis {wanted} or newer, or Valkey")
    if info.get("cluster_enabled") == "1":
        found.append("it is a cluster; name a single server, or Sentinels that watch one")
    if info.get("maxmemory_policy", "noeviction") != "noeviction":
        found.append(f"maxmemory-policy is {info['maxmemory_policy']}, which throws records away; set noeviction")
    fsync = config.get("appendfsync", "unknown")
    if config.get("appendonly") != "yes":
        found.append("appendonly is off, so a restart loses everything; set appendonly yes")
    elif fsync not in (("always",) if durability == "always" else ("everysec", "always")):
        wanted = "always" if durability == "always" else "everysec"
        found.append(f"appendfsync is {fsync}; set {wanted}, which journal.durability = {durability!r} needs")
    if durability == "always" and config.get("no-appendfsync-on-rewrite") == "yes":
        found.append("no-appendfsync-on-rewrite is yes, which suspends appendfsync always; set no")
    replicas = int(durability[5:]) if durability.startswith("wait:") else 0
    connected = int(info.get("connected_slaves", "0"))
    if connected < replicas:
        found.append(f"{connected} replicas are connected; journal.durability = {durability!r} needs {replicas}")
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


# --- addresses --------------------------------------------------------------------------------------------------------


def shown(url: str) -> str:
    """The URL without what may be a secret in it."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def check_url(url: str) -> None:
    """Raise ConfigError for what is no address of a Redis, and for parts of one that its client would pass over: it
    takes database 0 for one that it cannot read, and this machine for a host that is not named."""
    expected = "redis://HOST:PORT/DB, rediss://, unix:///PATH or redis+sentinel://HOST:PORT,HOST:PORT/NAME"
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError("journal.url", expected, "something else") from None
    if "@" in parts.netloc:
        raise ConfigError("journal.url", "no password in it; journal.username and journal.password take it", "one")
    if parts.scheme not in SCHEMES:
        raise ConfigError("journal.url", expected, repr(shown(url)))
    if wrong := _wrong_in(parts):
        raise ConfigError("journal.url", wrong, repr(shown(url)))


_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
_DATABASE = re.compile(r"/?|/[0-9]{1,5}/?")
_MASTER = re.compile(r"/[A-Za-z0-9._-]+/?")  # what Sentinels take for a name


def _wrong_in(parts: SplitResult) -> str:
    """What should stand in the place of the part that is wrong; "" where none is."""
    is_socket, is_watched = parts.scheme == "unix", parts.scheme.endswith("+sentinel")
    if (parts.query and not (is_socket and re.fullmatch("db=[0-9]{1,5}", parts.query))) or parts.fragment:
        return "nothing behind the path, no ? and no #"
    if is_socket:
        return "" if not parts.netloc and parts.path.strip("/") else "unix:///PATH, with three slashes"
    hosts = parts.netloc.split(",") if is_watched else [parts.netloc]
    if not all(map(_is_host, hosts)):
        return "HOST:PORT, or HOST alone" + (", and commas between them" if is_watched else "")
    if is_watched:
        return "" if _MASTER.fullmatch(parts.path) else "the name under which Sentinels know the master: .../NAME"
    return "" if _DATABASE.fullmatch(parts.path) else "the number of a database: .../0"


def _is_host(text: str) -> bool:
    found = _HOST.fullmatch(text)
    return found is not None and 1 <= int(found["port"] or 1) <= 65_535


def _sentinels(netloc: str) -> list[tuple[str, int]]:
    found = [host.rpartition(":") for host in netloc.split(",")]
    return [(name.strip("[]") or port, int(port) if colon else 26_379) for name, colon, port in found]


def _pool(s: JournalSettings) -> Any:
    seconds = s.timeout / 1_000
    options: dict[str, Any] = {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "retry": Retry(NoBackoff(), 0),  # whoever asks knows whether it may be asked twice
        "client_name": "switchboard",
        "driver_info": None,  # Redis 7.0 has no CLIENT SETINFO, and its rights cannot name it
    }
    if s.username:
        options["username"] = s.username
    if s.password:
        options["password"] = s.password
    parts = urlsplit(s.url)
    if s.ca and parts.scheme.startswith("rediss"):
        options["ssl_ca_certs"] = s.ca
    if not parts.scheme.endswith("+sentinel"):
        return ConnectionPool.from_url(s.url, **options)
    if parts.scheme == "rediss+sentinel":
        options["ssl"] = True
    # Left to themselves their clients try each ten times, and nobody is heard meanwhile.
    of_sentinels = {key: options[key] for key in options if key.startswith(("socket", "ssl", "retry"))}
    watched: Any = Sentinel(_sentinels(parts.netloc), sentinel_kwargs=of_sentinels, **options)  # type: ignore[no-untyped-call]
    return watched.master_for(parts.path.strip("/")).connection_pool
