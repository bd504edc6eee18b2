"""Options of the HTTP port. Every limit has its reason; leaving an option out means its default."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from router.engine.config import Duration, Timeout


class HttpSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """One port for operators, webhooks of gateways, the kiosk and the probes."""

    host: str = "127.0.0.1"  # anything but loopback needs operators' tokens, and TLS or a proxy in front
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8080  # 0: any free port
    certificate: str = ""  # PEM files; left out: plain HTTP
    private_key: str = ""
    behind_proxy: bool = False  # true: a proxy in front speaks TLS, so plain HTTP beyond loopback is meant

    # Reverse proxies whose X-Forwarded-For is believed, for limits and for the audit. Left out: the address is that of
    # the connection, so behind a proxy everybody shares one limit of wrong passwords.
    trusted_proxies: tuple[str, ...] = ()

    # A gateway's event has under 10 kB, a configuration of 5,000 agents about 1 MB. More is refused with 413.
    body_limit: Annotated[int, Meta(ge=1_024, le=1 << 30)] = 4 * 1024 * 1024
    # Of the request line and of one header field, in bytes; with `headers`, what one connection can make us hold.
    header_limit: Annotated[int, Meta(ge=256, le=65_536)] = 8_190
    headers: Annotated[int, Meta(ge=16, le=1_000)] = 64
    # Each holds about 15 kB. Beyond this a caller is better served by "busy" now.
    connections: Annotated[int, Meta(ge=1, le=100_000)] = 2_000
    # So many of them for one address, so that nobody takes all. 0: no limit, which a proxy in front needs.
    per_address: Annotated[int, Meta(ge=0, le=100_000)] = 500
    # How long a connection may go without a complete request head: idle clients, and those that never finish one.
    idle_timeout: Timeout = Timeout(60_000)
    # From the request's head to the answer, the body's arrival included. Gateways give up after 5 to 15 s.
    request_timeout: Timeout = Timeout(30_000)
    # How long a client may take for each part of a download.
    write_timeout: Timeout = Timeout(30_000)
    # How long requests in progress may go on once the port is closed.
    stop_timeout: Duration = Duration(5_000)
    # Prometheus asks for /metrics with the operator's token; true: without one, beyond loopback too.
    open_metrics: bool = False
