"""What a daemon remembers of a log that it does not keep itself: which one it was, and how far it had come.

It lies in the data folder, outside of Redis, so that an emptied or exchanged Redis is noticed even when every daemon
was restarted meanwhile. It is written now and then and never synced: a number that is somewhat old finds less, and
nothing wrong.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from router.errors import JournalFailed


class Seen(Struct, frozen=True, forbid_unknown_fields=True):
    identity: str
    seq: int


class SeenFile:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._last: Seen | None = None

    def read(self) -> Seen:
        """Empty where there is none. Raises JournalFailed for what is none of ours."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Seen)
        except FileNotFoundError:
            return Seen("", 0)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as problem:
            raise JournalFailed(
                f"{self.path}: cannot be read ({problem}); remove it if the log is the right one"
            ) from problem

    def note(self, seen: Seen) -> None:
        """Raises OSError."""
        if seen == self._last:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(seen))
        os.replace(draft, self.path)
        self._last = seen

    def note_if_possible(self, seen: Seen) -> None:
        """A disk that is full costs knowledge of the last moments, and must not cost the lease."""
        with contextlib.suppress(OSError):
            self.note(seen)
