"""Between engines and edges that are processes of their own: the `[link]` section."""

from __future__ import annotations

import ssl
from typing import Annotated

from msgspec import Meta, Struct

from router.engine.config import Duration
from router.errors import ConfigError
from router.service.certificates import server_context

SECRET_LEAST = 16  # characters: it is all that keeps strangers from being taken for an edge


class LinkSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The link between engines and edges. Left out: every connection ends at the process that leads."""

    # HOST:PORT where an engine listens for edges; port 0: any free one. With routing domains each has a port of its
    # own: this one and as many further as the domain's number. Left out: it takes none, so `serve --roles engine` is
    # refused.
    listen: str = ""
    # HOST:PORT by which edges reach this engine; it stands in the lease, where they look. Left out: what it listens on,
    # which is right unless that is 0.0.0.0 or behind a translation of addresses.
    address: str = ""
    # What this engine is called where routing domains are given to it (`switchboard move`); another one of the same
    # name does not start. Left out: HOST:PID.
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:-]{0,64}$")] = ""
    # What engines and edges prove to each other that they know; the same on all machines. Better as
    # SWITCHBOARD__LINK__SECRET than in the file. Left out: no link.
    secret: str = ""
    # Without a word for so long the other end counts as gone: the engine closes the sessions of the edge's agents, the
    # edge refuses with retry and looks for who leads. Longer than either may stall on a bad day.
    silence: Duration = Duration(3_000)
    # PEM files of the engine's certificate. Left out: no TLS. The secret never passes the link, but what customers say
    # does, so without TLS it needs a network of its own.
    tls_certificate: str = ""
    tls_key: str = ""
    # PEM file of who vouches for the engine's certificate, for edges; its name must be that of `address`. Left out: the
    # system's, if the engine has a certificate.
    ca: str = ""

    @property
    def parts(self) -> tuple[str, int]:
        return host_and_port("link.listen", self.listen)

    @property
    def has_tls(self) -> bool:
        return bool(self.tls_certificate or self.ca)

    def check(self) -> None:
        """Raise ConfigError for what cannot work."""
        if self.listen:
            host_and_port("link.listen", self.listen)
        if self.address:
            host_and_port("link.address", self.address)
        if (self.listen or self.secret) and len(self.secret) < SECRET_LEAST:
            raise ConfigError("link.secret", f"at least {SECRET_LEAST} characters, the same on all machines", "fewer")
        if not 300 <= self.silence <= 600_000:
            raise ConfigError("link.silence", "300 ms to 600 s", str(self.silence))
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ConfigError("link.tls_certificate", "a certificate and its key, or neither", "one of them")

    def server_tls(self) -> ssl.SSLContext | None:
        return server_context("link.tls_certificate", self.tls_certificate, self.tls_key)

    def client_tls(self) -> ssl.SSLContext | None:
        if not self.has_tls:
            return None
        try:
            return ssl.create_default_context(cafile=self.ca or None)
        except (OSError, ssl.SSLError) as problem:
            raise ConfigError("link.ca", "a PEM file of certificates", str(problem)) from problem


def host_and_port(path: str, text: str) -> tuple[str, int]:
    """Of "10.0.0.5:8091" or "[::1]:8091". Raises ConfigError."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise ConfigError(path, "HOST:PORT", repr(text))
    return host.removeprefix("[").removesuffix("]"), int(port)
