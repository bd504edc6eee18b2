"""Who may speak on the agents' link, and its limits."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from router.engine.config import Duration, Timeout


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The agents' link. Left out: nobody can sign in, limits as below."""

    # Token -> agent id. A key "sha256:HEX" is the digest of a token, so that the file need not hold the secret itself.
    # Where `http` or `sockets` listen beyond loopback, at least 16 characters.
    tokens: dict[str, str] = field(default_factory=dict)
    # From connecting to `hello`. People's clients say it at once; strangers should not keep a place.
    hello_timeout: Timeout = Timeout(10_000)
    # Commands of one session that wait for the journal. Then its socket is not read until one is answered.
    max_in_flight: Annotated[int, Meta(ge=1, le=10_000)] = 32
    # Windows and devices of one agent. A client that forgets to close its old connections meets this.
    max_sessions: Annotated[int, Meta(ge=1, le=1_000)] = 8
    # What a client can have missed and still resume without a snapshot: some minutes of busy work.
    keep_messages: Annotated[int, Meta(ge=16, le=100_000)] = 256
    keep_bytes: Annotated[int, Meta(ge=16_384, le=67_108_864)] = 262_144
    # Answers kept for repeated commands, for each agent.
    keep_answers: Annotated[int, Meta(ge=0, le=100_000)] = 256
    # Wrong tokens from one address in a minute, before it is not listened to for the rest of that minute.
    failures_per_minute: Annotated[int, Meta(ge=1, le=100_000)] = 20
    # What clients are told when we stop or start again: long enough for a restart, spread by each client itself.
    retry_after: Duration = Duration(2_000)
