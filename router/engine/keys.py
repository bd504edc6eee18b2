"""Keys of commands, by which a repeated one is recognised (IN-3, AG-4)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator


class KeyMemory:
    """Keys of commands that were carried out, for as long as `retention_ms` by the records' own times."""

    __slots__ = ("_ends", "_keys", "known", "retention_ms")

    def __init__(self, retention_ms: int) -> None:
        self.retention_ms = retention_ms
        self.known: dict[str, int] = {}  # key -> interaction
        # In the order of their ends. Two lines, because a million small tuples are 56 MB.
        self._ends: deque[int] = deque()
        self._keys: deque[str] = deque()

    def add(self, key: str, interaction: int, at_ms: int) -> None:
        ends = self._ends
        while ends and ends[0] <= at_ms:
            ends.popleft()
            self.known.pop(self._keys.popleft(), None)
        self.known[key] = interaction
        ends.append(at_ms + self.retention_ms)
        self._keys.append(key)

    def restore(self, key: str, interaction: int, until_ms: int) -> None:
        self.known[key] = interaction
        self._ends.append(until_ms)
        self._keys.append(key)

    @property
    def order(self) -> Iterator[tuple[int, str]]:
        """(until when, key), the first to be forgotten first."""
        return zip(self._ends, self._keys, strict=True)
