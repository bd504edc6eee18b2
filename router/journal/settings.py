"""Where the log is kept, and what it is worth: the `[journal]` section."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from router.engine.config import Duration
from router.errors import ConfigError


class JournalSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The log. All but the first two concern `kind = "redis"` alone."""

    # A snapshot after so many records bounds the time of a restart: applying takes about 10 s for a million records.
    snapshot_every: Annotated[int, Meta(ge=1_000)] = 200_000
    # sqlite: a file under `data`, one process, no server. redis: several processes on any machines, of which one leads
    # and the others stand by.
    kind: Literal["sqlite", "redis"] = "sqlite"
    # redis://HOST:PORT/DB, rediss:// for TLS, unix:///PATH, or with Sentinels
    # redis+sentinel://HOST:PORT,HOST:PORT/NAME (rediss+sentinel:// for TLS).
    url: str = "redis://127.0.0.1:6379/0"
    # All that share a log have the same prefix; another house on the same Redis must have another one.
    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = "switchboard"
    username: str = ""  # left out: Redis's default user; deploy/redis/users.acl has one with just the rights needed
    password: str = ""  # better as SWITCHBOARD__JOURNAL__PASSWORD than in the file
    ca: str = ""  # PEM file of who vouches for the server's certificate; left out: the system's
    # What "recorded" means. everysec: in Redis and written to its append-only file, which reaches the disk within a
    # second or two. always: on Redis's disk. wait:N: as everysec, and N replicas have it. The daemon does not start on
    # a Redis that is set up to keep less than this.
    durability: Annotated[str, Meta(pattern=r"^(everysec|always|wait:[1-9])$")] = "everysec"
    # Who leads renews its lease three times in this span; without a word for as long, somebody else takes over. Longer
    # than Redis or a daemon may stall on a bad day, shorter than customers may be kept waiting.
    lease: Duration = Duration(5_000)
    # An answer of Redis that takes longer counts as a failure: nothing is acknowledged until the log was read again.
    timeout: Duration = Duration(3_000)
    # Records that stay in Redis behind the older of two snapshots; 0: all. What is trimmed is gone for explanations,
    # replays and exports, and a version that cannot read the snapshots cannot start on the rest.
    keep: Annotated[int, Meta(ge=0)] = 0

    def check(self) -> None:
        """Raise ConfigError for spans that cannot work."""
        for name, value, least, most in (("lease", self.lease, 500, 600_000), ("timeout", self.timeout, 100, 60_000)):
            if not least <= value <= most:
                raise ConfigError(f"journal.{name}", f"{least} ms to {most // 1_000} s", str(value))

    @property
    def replicas(self) -> int:
        return int(self.durability[5:]) if self.durability.startswith("wait:") else 0
