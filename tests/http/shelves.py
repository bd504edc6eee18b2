"""A blob store and a quarantine of a few entries."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from router.errors import NotFound


@dataclass(frozen=True)
class FakeEntry:
    id: str
    source: str
    reason: str = "unreadable"
    at_ms: int = 1_700_000_000_000
    size: int = 5


class FakeShelf:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.held: dict[str, FakeEntry] = {}

    def put(self, ident: str, source: str, raw: bytes) -> None:
        self.held[ident] = FakeEntry(ident, source, size=len(raw))
        (self._folder / ident).write_bytes(raw)

    def entries(self, after: str = "", limit: int = 100) -> list[FakeEntry]:
        return [entry for ident, entry in sorted(self.held.items()) if ident > after][:limit]

    def entry(self, ident: str) -> FakeEntry:
        if ident not in self.held:
            raise NotFound(f"no entry {ident[:40]!r}")
        return self.held[ident]

    def path(self, ident: str) -> Path:
        return self._folder / self.entry(ident).id

    def discard(self, ident: str) -> None:
        del self.held[self.entry(ident).id]


class FakeBlobs:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        (self._folder / digest).write_bytes(content)
        return digest

    def path(self, digest: str) -> Path:
        path = self._folder / digest
        if not path.exists():
            raise NotFound("there is no such content")
        return path
