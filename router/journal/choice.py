"""The journal that a configuration names. Redis's client is imported only where it is wanted: it takes its time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from router.journal.settings import JournalSettings
from router.journal.sqlite import SqliteJournal

if TYPE_CHECKING:
    from router.journal.redis import RedisJournal

NAME = "journal.db"  # in the data folder


def make(settings: JournalSettings, data: Path, *, read_only: bool = False) -> SqliteJournal | RedisJournal:
    """Not open yet. Raises ConfigError for an address that is none."""
    if settings.kind == "sqlite":
        return SqliteJournal(data / NAME, read_only=read_only)
    from router.journal.redis import RedisJournal

    return RedisJournal(settings, read_only=read_only, seen=data / f"{settings.prefix.replace(':', '.')}.seen")
