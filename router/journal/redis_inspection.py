"""Is a log in Redis whole? As `inspection` for a file, beside the daemon that leads."""

from __future__ import annotations

from router.errors import JournalCorrupt
from router.journal.inspection import MAX_LISTED, Report
from router.journal.redis import Entry, RedisJournal
from router.journal.redis_link import Link


def verify(journal: RedisJournal) -> Report:
    """Read everything once. Raises JournalVersion for a newer format, JournalFailed when nothing can be read at all.

    What was trimmed on purpose is no gap: the log then begins later, and a snapshot must be there that reaches it.
    """
    problems: list[str] = []
    clean = False
    try:
        clean = journal.open().clean
    except JournalCorrupt as error:
        problems.append(str(error))
    scan = _Scan(journal.torn)
    link = Link(journal.settings)
    try:
        for entry in journal.entries(link):
            scan.take(entry)
        first = scan.first
        if first > 1 and not any(seq >= first - 1 for seq in journal.snapshot_seqs()):
            problems.append(f"the log begins with record {first}, and no snapshot reaches it")
    except JournalCorrupt as error:
        problems.append(str(error))
    finally:
        link.close()
        journal.close()
    return Report(
        scan.records, scan.last_seq, clean, tuple(scan.gaps), tuple(scan.damaged), journal.torn, tuple(problems)
    )


class _Scan:
    def __init__(self, torn: int | None) -> None:
        self.torn = torn
        self.records = self.last_seq = self.first = 0
        self.gaps: list[tuple[int, int]] = []
        self.damaged: list[int] = []
        self._seq = 0

    def take(self, entry: Entry) -> None:
        self.first = self.first or entry.first_seq
        if self._seq and entry.first_seq != self._seq + 1 and len(self.gaps) < MAX_LISTED:
            self.gaps.append((self._seq + 1, entry.first_seq - 1))
        self._seq = entry.last_seq
        for seq, payload in entry.records():
            if payload is not None:
                self.records, self.last_seq = self.records + 1, seq
            elif seq != self.torn and len(self.damaged) < MAX_LISTED:
                self.damaged.append(seq)
