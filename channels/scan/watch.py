"""When is a file in a folder complete? A pure state machine over what a listing shows.

Nobody says "done" in a folder, so it is concluded. Rule: a file is complete when its stamp (size, times, inode) has not
changed for `settle` since it was first seen, and nobody holds a lock on it. That one rule covers

- renaming into place (SANE, rsync): the stamp never changes after the first sight;
- writing in place, slowly (scanners, network copies): each write changes the stamp and starts the wait again;
- writing in place under a lock (HylaFAX, which may pause for a minute within a call): the lock starts it again, too;
- a name used again: another inode or time is another stamp.

The change time is part of the stamp: nobody can set it, so a copy that keeps its old modification time is noticed.

Events are never counted here: the shell lists the folder whenever it likes, and says what it saw and when. Nothing is
remembered of a file that is gone. What stays complete is reported again at each pass until the shell has removed or
postponed it; so a file that could not be recorded needs no list of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from msgspec import Struct

from channels.scan.settings import Folder

SIDECAR = ".json"
_PAGE = re.compile(r"(.*?)(\d{1,9})(\.[^.]*)?", re.DOTALL)


class Seen(Struct, frozen=True):
    """A regular file as a listing showed it. `locked`: somebody holds a lock on it."""

    name: str  # as the system gives it: odd bytes are surrogates
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    locked: bool = False

    @property
    def stamp(self) -> tuple[int, int, int, int]:
        return self.size, self.mtime_ns, self.ctime_ns, self.inode


class Item(Struct, frozen=True):
    """Complete: one document (or the pages of one, in order) with its sidecar."""

    documents: tuple[Seen, ...]
    sidecar: Seen | None = None
    sidecar_late: bool = False  # it was waited for in vain


class Leftover(Struct, frozen=True):
    """Will never become an item: to be quarantined. `code` is empty-file or orphan-sidecar."""

    file: Seen
    code: str


class _Known(Struct):
    stamp: tuple[int, int, int, int]
    since_ms: int  # unchanged and unlocked since
    not_before_ms: int = 0


class Watch:
    """What is known of one folder's files. `now_ms` is the caller's clock and must not go back."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._ignore = tuple(pattern.lower() for pattern in folder.ignore)
        self._known: dict[str, _Known] = {}
        self.pending = 0  # files of the last listing that are not complete yet

    def ignores(self, name: str) -> bool:
        return any(fnmatchcase(name.lower(), pattern) for pattern in self._ignore)

    def quiet(self, file: Seen, now_ms: int) -> bool:
        """Whether its lock is worth asking for: nothing but a lock can still make it incomplete.

        Asking takes the lock for an instant, which must not happen to a file that its writer has just created.
        """
        known = self._known.get(file.name)
        if known is None or known.stamp != file.stamp:
            return self._folder.settle == 0
        return now_ms - known.since_ms >= self._folder.settle

    def postpone(self, name: str, until_ms: int) -> None:
        """Do not report this file again before then (as long as it stays the same)."""
        if name in self._known:
            self._known[name].not_before_ms = until_ms

    def observe(self, listing: Iterable[Seen], now_ms: int) -> list[Item | Leftover]:
        """What is complete by now, first come first."""
        files = {file.name: file for file in listing if not self.ignores(file.name)}
        self._remember(files, now_ms)
        documents = {name: file for name, file in files.items() if not name.lower().endswith(SIDECAR)}
        sidecars = {name: file for name, file in files.items() if name not in documents}
        found: list[Item | Leftover | None] = []
        for group in self._groups(documents.values()):
            own = next((sidecars.pop(name) for name in sidecar_names(group[0].name) if name in sidecars), None)
            empty = not group[0].size
            found.append(self._alone(group[0], "empty-file", now_ms) if empty else self._judge(group, own, now_ms))
        found += [self._alone(sidecar, "orphan-sidecar", now_ms) for sidecar in sidecars.values()]
        ready = [one for one in found if one is not None]
        self.pending = len(files) - sum(_count(one) for one in ready)
        return sorted(ready, key=_came)

    def _remember(self, files: dict[str, Seen], now_ms: int) -> None:
        known = self._known
        self._known = {name: known.get(name) or _Known(file.stamp, now_ms) for name, file in files.items()}
        for name, file in files.items():
            if self._known[name].stamp != file.stamp:
                self._known[name] = _Known(file.stamp, now_ms)
            elif file.locked:
                self._known[name].since_ms = now_ms

    def _groups(self, documents: Iterable[Seen]) -> Iterator[tuple[Seen, ...]]:
        """Each document alone, or with `page_gap` the pages of one, in the order of their numbers."""
        groups: dict[tuple[object, ...], list[tuple[int, Seen]]] = {}
        for file in sorted(documents, key=lambda file: file.name):
            page = _PAGE.fullmatch(file.name) if self._folder.page_gap and file.size else None
            key = (page[1], page[3]) if page else (file.name,)
            groups.setdefault(key, []).append((int(page[2]) if page else 0, file))
        for pages in groups.values():
            yield tuple(file for _, file in sorted(pages, key=lambda page: page[0]))

    def _judge(self, group: tuple[Seen, ...], sidecar: Seen | None, now_ms: int) -> Item | None:
        if not all(self._complete(file, now_ms) for file in group):
            return None
        complete_since = max(self._known[file.name].since_ms for file in group) + self._folder.settle
        if now_ms < complete_since - self._folder.settle + self._folder.page_gap:
            return None
        if sidecar is not None and sidecar.size and self._complete(sidecar, now_ms):
            return Item(group, sidecar)
        waits = sidecar is not None or self._folder.expects_sidecar
        if waits and now_ms < complete_since + self._folder.sidecar_wait:
            return None
        return Item(group, None, sidecar_late=waits)

    def _complete(self, file: Seen, now_ms: int) -> bool:
        known = self._known[file.name]
        settled = now_ms - known.since_ms >= self._folder.settle
        return settled and not file.locked and now_ms >= known.not_before_ms

    def _alone(self, file: Seen, code: str, now_ms: int) -> Leftover | None:
        waited_ms = now_ms - self._known[file.name].since_ms
        if waited_ms >= self._folder.orphan_after and self._complete(file, now_ms):
            return Leftover(file, code)
        return None


def sidecar_names(document: str) -> tuple[str, ...]:
    """Where a document's sidecar is looked for: `fax1.tif.json`, then `fax1.json`."""
    stem, dot, _ = document.rpartition(".")
    return (document + SIDECAR, stem + SIDECAR) if dot else (document + SIDECAR,)


def _count(one: Item | Leftover) -> int:
    return 1 if isinstance(one, Leftover) else len(one.documents) + (one.sidecar is not None)


def _came(one: Item | Leftover) -> tuple[int, str]:
    first = one.file if isinstance(one, Leftover) else one.documents[0]
    return first.ctime_ns, first.name
