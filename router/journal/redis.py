"""The journal in Redis: several processes share it, one at a time leads.

- A stream holds the log, an entry of it a whole batch (`frames`), which costs Redis and its client half of what an
  entry for each record would. Redis writes an entry to its append-only file as one, so a batch is there or not.
- Opening takes the lease, or raises JournalHeld with who has it. The lease ends by itself when its owner is silent;
  what keeps two from writing is the token (`redis_scripts`). So a process that was paused for an hour and continues in
  the middle of an append writes nothing, and hears why.
- An append that gets no answer leaves open what Redis has, so this is fail-stop, as on a disk: nothing is taken until
  `open` has looked anew. Opening changes the token, so that the append, should it still be on its way, is refused.
- Redis may lose what it has acknowledged: a crash within the last second of `everysec`, a failover to a replica that
  had not everything. The number of the last record says so: the next append is refused, and opening tells which records
  are gone. A log that is another one than before is not opened at all.
- Standing by is cheap, for a process may do it for many logs: one small question over a link that stays open. All that
  is looked at before a lease is taken is looked at when it can be had, and now and then before.

Reading is by slices over a link of its own and needs no lease: `read_only` looks beside the leader.
"""

from __future__ import annotations

import os
import socket
import threading
import uuid
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from router.errors import JournalCorrupt, JournalFailed, JournalHeld, SequenceGap
from router.journal import codec, frames, redis_scripts, snapshots
from router.journal.port import Opened, Snapshot
from router.journal.redis_link import Link, check_url
from router.journal.seen import Seen, SeenFile
from router.journal.settings import JournalSettings
from router.observe import counter, get_logger

log = get_logger("journal")

# Entries fetched at once when reading. A batch has some hundred records at most unless the disk was very slow.
SLICE = 64
AT = " at "  # in the lease, between who leads and where
GIVEN = b"for "  # begins a lease that is kept for whom it was given to
HEARD_S = 3.0  # who stands by says so each second
# How long the lead is kept for whom it was given to. Who lives asks several times in a second; for the others it must
# not stay away longer than that.
KEPT_MS = 2_000
ASK_AGAIN_S = 0.2  # how often somebody who stands by looks whether the lease is free
# Of so many looks in vain one says who stands by (each second), and one looks at all that opening looks at: how Redis
# is set up, and whether what was acknowledged here is still there (each five, within which readiness must tell).
SAYS_SO, IN_FULL = 5, 25

lost_records = counter("switchboard_journal_lost_records", "Acknowledged records that Redis no longer had")


class Entry(Struct, frozen=True):
    """A batch as it is kept."""

    id: str
    first_seq: int
    count: int
    frame: bytes

    @property
    def last_seq(self) -> int:
        return self.first_seq + self.count - 1

    def records(self) -> Iterator[tuple[int, bytes | None]]:
        return frames.unpack(self.first_seq, self.count, self.frame)


class RedisJournal:
    """See `port.Journal`.

    `owner` is how others see who leads, and `can_be_given` whether it may be named to lead (`hand_over`); `seen` is a
    file that remembers which log it was; `format` and `upcasts` are those of `codec`.
    """

    def __init__(
        self,
        settings: JournalSettings,
        *,
        read_only: bool = False,
        owner: str = "",
        can_be_given: bool = False,
        seen: Path | None = None,
        format: int = codec.FORMAT,
        upcasts: Mapping[int, codec.Upcast] = codec.UPCASTS,
    ) -> None:
        check_url(settings.url)
        self.settings = settings
        self.read_only = read_only
        self.format, self.upcasts = format, upcasts
        self._named = owner or f"{socket.gethostname()}:{os.getpid()}"
        self.owner = f"{self._named} {uuid.uuid4().hex[:8]}"
        self._can_be_given = can_be_given
        self._standbys = (f"{settings.prefix}:standbys",)
        names = ("log", "meta", "lease", "snapshots")
        self.keys = tuple(f"{settings.prefix}:{name}" for name in names)
        self._log, self._meta, self._lease, self._snapshots = self.keys
        self._mutex = threading.Lock()
        self._link = Link(settings)
        self._renewal = Link(settings)  # so that a slow append does not cost the lease
        self._renewing = threading.Lock()
        self._reading: list[Link] = []  # at most one, for who reads again and again
        self._stopped = "it is not open"
        self._open = False  # it can be read
        self._in_vain = 0  # how often in a row the lease was another's
        self._heard = 0
        self._leave: Callable[[str], bytes] = lambda identity: b""
        self._left: tuple[str, bytes] = ("", b"")
        self._token = ""
        self._identity = ""
        self._last_seq = 0
        self._formats: list[tuple[int, int]] = []
        self._kept: tuple[int, str] = (0, "")  # the last record that was acknowledged here, and the entry that it is in
        self._memory = SeenFile(seen) if seen is not None else None
        self._seen: tuple[int, str] = (0, "")  # the last record that was read, and the entry that it is in
        self.torn: int | None = None
        self.snapshot_notes: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        return f"{self._link.where} {self.settings.prefix}"

    @property
    def last_seq(self) -> int:
        return self._last_seq

    @property
    def epoch(self) -> int:
        """How often the lease was taken, this time included; 0 while somebody else has it."""
        return int(self._token.partition(" ")[0] or 0)

    # --- who leads ---

    def reachable_at(self, address: str) -> None:
        """Say in the lease where edges find this process. Before `open`."""
        self.owner = f"{self._named}{AT}{address} {uuid.uuid4().hex[:8]}"

    def leaves(self, note: Callable[[str], bytes]) -> None:
        """Keep a note for those who stand by while this process leads, which `note` makes for a log of that identity.
        Others can read it. Before `open`."""
        self._leave = note

    @property
    def left(self) -> tuple[str, bytes]:
        """The log's identity and the note of who leads, when the lease was last asked for in vain or the log was opened
        to read; empty where there is none: whoever leads may be of a version that leaves none."""
        return self._left

    def address(self) -> str:
        """Where edges find who leads; "" while nobody does, or takes no edges. Raises JournalFailed."""
        with self._mutex:
            holder = self._link.call("GET", self._lease)
        return _named(holder).partition(AT)[2] if holder else ""

    @property
    def name(self) -> str:
        """By which others may give this one the lead."""
        return self._named

    def leader(self) -> str:
        """The name of who leads; "" while nobody does. Raises JournalFailed."""
        with self._mutex:
            holder = self._link.call("GET", self._lease)
        return "" if not holder or holder.startswith(GIVEN) else _named(holder).partition(AT)[0]

    def times_taken(self) -> int:
        """How often the lease was taken so far. Raises JournalFailed."""
        with self._mutex:
            return int(self._link.call("HGET", self._meta, "epoch") or 0)

    @property
    def kept_ms(self) -> int:
        """How long the lead waits for whom it was given to."""
        return min(KEPT_MS, int(self.settings.lease))

    def standbys(self) -> list[str]:
        """Who could be given the lead: heard of within the length of a lease, or of the last seconds."""
        with self._mutex:
            found = self._link.run(redis_scripts.STANDING_BY, self._standbys, self._heard_s)
        return sorted(name.decode() for name in found)

    @property
    def _heard_s(self) -> int:
        return int(max(self.settings.lease / 1_000, HEARD_S))

    @property
    def heard(self) -> int:
        """The last record of who leads, when the lease was last asked for in vain."""
        return self._heard

    def hand_over(self, to: str) -> None:
        """Give the lead to somebody who stands by. Raises JournalHeld and JournalFailed; then nothing was given.

        Whoever gives it stands by from then on, and may be given it again at once.
        """
        with self._mutex:
            self._check_writable()
            self._say_so()
            more = (to, self.kept_ms, self._last_seq)
            answer = self._link.run(
                redis_scripts.HAND_OVER, self.keys, self._token, *more, replicas=self.settings.replicas
            )
            was_given = type(answer) is list and answer[1] == GIVEN + to.encode()  # and the first answer was lost
            if answer != b"given" and not was_given:
                raise self._fenced(answer)
            self._stopped = f"it was handed over to {to}"
            self._token = ""

    @property
    def identity(self) -> str:
        """Of the log: another one after it was emptied or exchanged."""
        return self._identity

    # --- open and close ---

    def open(self) -> Opened:
        with self._mutex:
            self._open, self._stopped = False, "it is not open"
            if self.read_only:
                self._seen = (0, "")
                opened = self._look()
                self._stopped = "it was opened to read only"
            else:
                opened = self._ask()
                self._stopped = ""
            self._open = True
            return opened

    def _ask(self) -> Opened:
        """Raises JournalHeld; whatever else went wrong, all of it is looked at anew the next time."""
        in_vain, self._in_vain = self._in_vain, 0
        try:
            if in_vain % IN_FULL:
                self._check_free(self._link.run(redis_scripts.LOOK, self.keys, *self._who))
            return self._take_over()
        except JournalHeld:
            self._in_vain = in_vain + 1
            if in_vain % SAYS_SO == 0:
                self._say_so()
            raise

    def _say_so(self) -> None:
        """That this process stands by, where that is of use."""
        if self._can_be_given:
            self._link.run(redis_scripts.STANDS_BY, self._standbys, self._heard_s, self._named)

    @property
    def _who(self) -> tuple[str, int, str]:
        return self.owner, int(self.settings.lease), self._named

    def _check_free(self, found: list[Any]) -> None:
        """Raises JournalHeld."""
        if found[0] == b"held":
            self._heard = int(found[3])
            self._left = _left(found[4].decode(), found[5], found[6])
            wait_s = min(max(int(found[2]), 1) / 1_000 + 0.005, ASK_AGAIN_S)
            raise JournalHeld(_holder(found[1]), wait_s)

    def close(self) -> None:
        with self._mutex:
            try:
                if self._token:
                    closed_at = "" if self._stopped else str(self._last_seq)
                    self._link.run(redis_scripts.RELEASE, self.keys, self._token, self.owner, closed_at)
            finally:
                self._open, self._token = False, ""
                self._stopped = self._stopped or "it is closed"
                self._in_vain = 0
                self._link.close()
                with self._renewing:
                    self._renewal.close()
                    while self._reading:
                        self._reading.pop().close()

    def _look(self) -> Opened:
        meta = self._read_meta()
        if meta is None:
            raise JournalFailed(f"{self.where}: there is no journal; check journal.url and journal.prefix")
        closed_at = meta["closed_at"]
        epoch, note = self._link.call("HMGET", self._meta, "epoch", "note")
        self._left = _left(self._identity, epoch or b"", note or b"")
        self._last_seq, self.torn = self._end(self._last_entries())
        return Opened(self._last_seq, closed_at is not None, self._notes(closed_at is not None))

    def _take_over(self) -> Opened:
        if self._memory is not None and not self._identity:
            known = self._memory.read()
            self._identity, self._last_seq = known.identity, known.seq
        self._link.check(self.settings.durability)
        is_new = self._take_lease()
        try:
            return self._begin(is_new)
        except BaseException:
            self._link.run(redis_scripts.RELEASE, self.keys, self._token, self.owner, "")
            self._token = ""
            raise

    def _take_lease(self) -> bool:
        """Whether the log is a new one. Raises JournalHeld."""
        arguments = (uuid.uuid4().hex, uuid.uuid4().hex, self._identity, self.format)
        what, *more = found = self._link.run(redis_scripts.TAKE, self.keys, *self._who, *arguments)
        if what == b"held":
            self._tell_lost()
            self._check_free(found)
        if what == b"newer":
            codec.check_format(_formats(more[0])[-1][1], self.format)
        if what == b"other":
            raise JournalFailed(
                f"{self.where}: this is not the log that was here before, or it was emptied; restore it from a backup, "
                f"or {self._way_on} to go on with what is there"
            )
        if what == b"headless":
            raise JournalCorrupt(1, f"{self._meta} is missing beside {self._log}; restore a backup")
        assert what == b"taken", what
        self._token = more[0].decode()
        return bool(more[1])

    @property
    def _way_on(self) -> str:
        if self._memory is None:
            return "restart every daemon"
        return f"stop every daemon, remove {self._memory.path} on each machine, and start them"

    def _begin(self, is_new: bool) -> Opened:
        known, before = self._last_seq, self._identity
        meta = self._read_meta()
        assert meta is not None, "taking the lease made it"
        closed_at = 0 if is_new else meta["closed_at"]
        entries = self._last_entries()
        last, torn = self._end(entries)
        if closed_at is not None and last < closed_at:
            # What was closed properly was whole, and all of it acknowledged. Dropping it would be silent loss.
            raise JournalCorrupt(closed_at, f"{self.where} was closed with it, and now it is damaged; restore a backup")
        self.torn = torn
        notes = self._notes(closed_at is not None, last)
        if before and last < known:
            lost_records.inc(known - last)
            notes += (self._gone(last + 1, known),)
            self._kept = (0, "")
        self._tell_lost()
        self._last_seq = last
        if self._formats[-1][1] < self.format:
            self._formats = [*self._formats, (last + 1, self.format)]
        unreal = sorted(seq for seq in self.snapshot_seqs() if seq > last)
        self._put_in_order(entries[-1] if torn else None, last, unreal)
        self.torn = None
        self._remember()
        notes += tuple(
            f"snapshot {seq}: removed, it is ahead of the log, which ends at record {last}" for seq in unreal
        )
        return Opened(last, closed_at is not None, notes)

    def _gone(self, first: int, last: int) -> str:
        return (
            f"{self.where}: records {first} to {last} were acknowledged, and Redis has lost them; "
            "see journal.durability"
        )

    def _tell_lost(self) -> None:
        """Once, by whoever acknowledged it: after a failover others may have written in the place of what was lost."""
        last, entry = self._kept
        if not last or self._link.call("XRANGE", self._log, entry, entry):
            return
        self._kept = (0, "")
        oldest = self._link.call("XRANGE", self._log, "-", "+", "COUNT", 1)
        if oldest and _entry(oldest[0]).first_seq > last:
            return  # trimmed
        first = self._first_foreign(last, _epoch(entry))
        if first <= last:
            lost_records.inc(last + 1 - first)
            log.error("Records lost", action="records_lost", first=first, last=last, problem=self._gone(first, last))

    def _first_foreign(self, last: int, epoch: int) -> int:
        """From where on the log, up to that record, is not what we wrote or read in that epoch."""
        first, cursor = last + 1, str(last)
        while found := self._link.call("XREVRANGE", self._log, cursor, "-", "COUNT", SLICE):
            for raw in found:
                entry = _entry(raw)
                if _epoch(entry.id) <= epoch:
                    return min(first, entry.last_seq + 1)
                first = entry.first_seq
            cursor = "(" + found[-1][0].decode()
        return first

    def _remember(self) -> None:
        if self._memory is None:
            return
        try:
            self._memory.note(Seen(self._identity, self._last_seq))
        except OSError as problem:
            raise JournalFailed(f"{self._memory.path}: cannot be written: {problem.strerror}") from problem

    def _put_in_order(self, torn: Entry | None, last: int, unreal: list[int]) -> None:
        whole = torn.count - 1 if torn else 0
        payloads = [payload for _, payload in torn.records() if payload is not None][:whole] if torn else []
        entry = (torn.id, f"{torn.first_seq}-{self.epoch}") if torn else ("", "")
        frame = frames.pack(torn.first_seq, payloads) if torn else b""
        formats = ",".join(f"{seq}:{version}" for seq, version in self._formats)
        note = b"%d %s" % (self.epoch, self._leave(self._identity))
        more = (last, formats, *entry, whole, frame, note, *unreal)
        answer = self._link.run(redis_scripts.BEGIN, self.keys, self._token, *more, replicas=self.settings.replicas)
        if answer != b"begun":
            raise self._fenced(answer)

    def _read_meta(self) -> dict[str, Any] | None:
        identity, formats, closed_at = self._link.call("HMGET", self._meta, "identity", "formats", "closed_at")
        if identity is None:
            return None
        self._identity = identity.decode()
        self._formats = _formats(formats)
        codec.check_format(max(version for _, version in self._formats), self.format)
        return {"closed_at": None if closed_at is None else int(closed_at)}

    def _last_entries(self) -> list[Entry]:
        """The last two, oldest first."""
        found = self._link.call("XREVRANGE", self._log, "+", "-", "COUNT", 2)
        return [_entry(raw) for raw in reversed(found)]

    def _end(self, entries: list[Entry]) -> tuple[int, int | None]:
        """The number of the last whole record, and of a torn one behind it."""
        tail = [record for entry in entries for record in entry.records()][-2:]
        if not tail or tail[-1][1] is not None:
            return (tail[-1][0] if tail else 0), None
        if len(tail) > 1 and tail[0][1] is None:
            raise JournalCorrupt(tail[0][0], f"it does not match its checksum in {self.where}; restore a backup")
        return tail[-1][0] - 1, tail[-1][0]

    def _notes(self, clean: bool, last: int | None = None) -> tuple[str, ...]:
        last = self._last_seq if last is None else last
        notes = []
        if not clean:
            how = "in use, or left by a crash" if self.read_only else "recovered after a crash"
            notes.append(f"{self.where}: {how}; {last} records")
        if self.torn:
            notes.append(f"{self.where}: record {self.torn} was torn by a crash while it was written, and is dropped")
        return tuple(notes)

    # --- write ---

    def append(self, first_seq: int, payloads: Sequence[bytes]) -> None:
        assert payloads, "an empty append is the caller's bug"
        with self._mutex:
            self._check_writable()
            before = self._last_seq
            if first_seq != before + 1:
                raise SequenceGap(before + 1, first_seq)
            count = len(payloads)
            last = before + count
            frame = frames.pack(first_seq, payloads)
            entry = f"{first_seq}-{self.epoch}"
            try:
                answer = self._link.run(
                    redis_scripts.APPEND,
                    self.keys,
                    self._token,
                    before,
                    last,
                    entry,
                    count,
                    frame,
                    replicas=self.settings.replicas,
                )
            except JournalFailed as error:
                raise self._stop(f"record {first_seq} is not durable", error) from error
            if type(answer) is list:
                raise self._refused(answer)
            self._last_seq = last
            self._kept = (last, entry)

    def probe(self) -> None:
        with self._mutex:
            self._check_writable()
            try:
                answer = self._link.run(redis_scripts.PROBE, self.keys, self._token, replicas=self.settings.replicas)
            except JournalFailed as error:
                raise self._stop("a trial write is not durable", error) from error
            if type(answer) is list:
                raise self._refused(answer)

    def renew(self) -> int:
        """Keep the lease, and look whether Redis is still set up to keep what was promised.

        The answer is Redis's own time, Unix milliseconds. Raises JournalHeld, JournalUnfit where somebody has changed
        its settings, and JournalFailed while it is away.
        """
        with self._renewing:
            token = self._token
            if not token:
                raise JournalFailed(f"{self.where}: {self._stopped}; open it first")
            answer = self._renewal.run(redis_scripts.RENEW, self.keys, token, self.owner, int(self.settings.lease))
            if answer[0] == b"fenced":
                raise self._fenced(answer)
            self._renewal.check(self.settings.durability)
            if self._memory is not None:
                self._memory.note_if_possible(Seen(self._identity, self._last_seq))
            return int(answer[0]) * 1_000 + int(answer[1]) // 1_000

    def _check_writable(self) -> None:
        if self._stopped:
            raise JournalFailed(f"{self.where}: nothing is taken, since {self._stopped}; open it again")

    def _stop(self, what: str, error: JournalFailed) -> JournalFailed:
        self._stopped = f"{what} ({error})"
        return JournalFailed(f"{what}: {error}")

    def _refused(self, answer: list[bytes]) -> JournalFailed:
        if answer[0] == b"fenced":
            error: JournalFailed = self._fenced(answer)
        else:
            have = int(answer[1])
            error = JournalFailed(f"{self.where}: Redis has records up to {have} of {self._last_seq}; it lost the rest")
        self._stopped = str(error)
        return error

    def _fenced(self, answer: list[bytes]) -> JournalHeld:
        self._token = ""
        if not answer[1]:
            return JournalHeld("the token is no longer there: others have led since, or Redis was emptied", 0.0)
        return JournalHeld(_holder(answer[1]), 0.0)

    # --- read ---

    def read(self, after_seq: int = 0) -> Iterator[tuple[int, bytes]]:
        if not self._open:
            raise JournalFailed(f"{self.where}: {self._stopped}; open it first")
        link = self._reading.pop() if self._reading else Link(self.settings)
        try:
            known = self._seen[1] if self.read_only and self._seen[0] == after_seq else ""
            for entry in self.entries(link, after_seq, known):
                yield from self._verified(entry, after_seq)
                after_seq = max(after_seq, entry.last_seq)
                self._seen = (entry.last_seq, entry.id)
                if self.read_only:
                    self._last_seq = max(self._last_seq, entry.last_seq)
        finally:
            self._put_back(link)

    def _put_back(self, link: Link) -> None:
        """Who follows the log reads a little, often; and a link costs more than that."""
        with self._renewing:
            if self.read_only and self._open and not self._reading:
                self._reading.append(link)
                return
        link.close()

    def entries(self, link: Link, after_seq: int = 0, known: str = "") -> Iterator[Entry]:
        """From the one that holds the next record on, slice by slice; `known` held the last that was read before.

        A slice begins with the last entry of the one before, and the first one with `known`: after a failover it may be
        another Redis that answers, which has lost that and something else in its place. Whoever read on there would
        have an engine that no log has made. Raises JournalCorrupt where `known` is lost, JournalFailed later.
        """
        last = known.encode()
        if not last:
            start = link.call("XREVRANGE", self._log, after_seq + 1, "-", "COUNT", 1)
            found = link.call("XRANGE", self._log, start[0][0] if start else b"-", "+", "COUNT", SLICE)
        else:
            found = self._after(link, last)
            if found is None:
                raise JournalCorrupt(after_seq, f"it is not in {self.where} any more as it was read: Redis has lost it")
        while found:
            for raw in found:
                yield _entry(raw)
            last = found[-1][0]
            found = self._after(link, last)
            if found is None:
                raise JournalFailed(f"{self.where}: entry {last.decode()} was lost while the log was read")

    def _after(self, link: Link, last: bytes) -> list[Any] | None:
        """The entries that follow that one; None: it is not there."""
        found = link.call("XRANGE", self._log, last, "+", "COUNT", SLICE)
        return found[1:] if found and found[0][0] == last else None

    def _verified(self, entry: Entry, after_seq: int) -> Iterator[tuple[int, bytes]]:
        expected = max(after_seq + 1, entry.first_seq)
        if entry.first_seq > after_seq + 1:
            raise JournalCorrupt(after_seq + 1, f"it is missing in {self.where}: trimmed, or lost; restore a backup")
        old = self._formats[-1][0] > expected or self._formats[-1][1] < self.format
        for seq, payload in entry.records():
            if seq < expected or seq == self.torn:
                continue
            if payload is None:
                raise JournalCorrupt(seq, f"it does not match its checksum in {self.where}; restore a backup")
            yield (seq, self._translated(seq, payload)) if old else (seq, payload)

    def _translated(self, seq: int, payload: bytes) -> bytes:
        """A record that may be of an older format, in today's."""
        found = self._formats[bisect_right(self._formats, seq, key=lambda entry: entry[0]) - 1][1]
        return payload if found == self.format else codec.upcast(payload, found, self.format, self.upcasts)

    def mark(self) -> tuple[int, str]:
        """The last record that `read` has given, and where it stood: two logs that agree in it agree in all before."""
        return self._seen

    def has(self, mark: tuple[int, str]) -> bool:
        """Whether that record is still there, in the same place."""
        seq, entry = mark
        if not seq:
            return True
        with self._mutex:
            found = self._link.call("XRANGE", self._log, entry, entry)
        return bool(found) and _entry(found[0]).last_seq == seq

    # --- snapshots ---

    def save_snapshot(self, snapshot: Snapshot) -> None:
        assert snapshot.seq <= self._last_seq, "a snapshot of records that are not durable yet"
        raw = snapshots.header(snapshot, bytes.fromhex(self._identity)) + snapshot.data
        entry = self._seen[1] if self._seen[0] == snapshot.seq else ""
        with self._mutex:
            answer = self._link.run(
                redis_scripts.SNAPSHOT, self.keys, self._identity, snapshot.seq, raw, entry, self.settings.keep
            )
        if answer != b"kept":
            raise JournalFailed(f"{self.where}: record {snapshot.seq} is no longer there, so its snapshot is not kept")

    def latest_snapshot(self) -> Snapshot | None:
        return self.snapshot_of(self._last_seq)

    def snapshot_of(self, seq: int) -> Snapshot | None:
        """The newest whole one of that record or one before it, to look back from there."""
        notes = []
        with self._mutex:
            for candidate in sorted((s for s in self.snapshot_seqs() if s <= seq), reverse=True):
                raw = self._link.call("HGET", self._snapshots, candidate)
                try:
                    return snapshots.parse(raw or b"", bytes.fromhex(self._identity), candidate)
                except snapshots.Unusable as error:
                    notes.append(f"snapshot {candidate}: skipped, {error}")
                finally:
                    self.snapshot_notes = tuple(notes)
        return None

    def snapshot_seqs(self) -> list[int]:
        return [int(name) for name in self._link.call("HKEYS", self._snapshots)]


def _entry(raw: Any) -> Entry:
    ident, pairs = raw
    fields = dict(zip(pairs[::2], pairs[1::2], strict=True))
    first = int(ident.partition(b"-")[0])
    try:
        return Entry(ident.decode(), first, int(fields[b"n"]), fields[b"d"])
    except (KeyError, ValueError):
        raise JournalCorrupt(first, f"entry {ident.decode()} is none of ours; restore a backup") from None


def _epoch(entry: str) -> int:
    return int(entry.partition("-")[2])


def _formats(text: bytes) -> list[tuple[int, int]]:
    pairs = (part.split(":") for part in text.decode().split(","))
    return [(int(seq), int(version)) for seq, version in pairs]


def _left(identity: str, epoch: bytes, note: bytes) -> tuple[str, bytes]:
    """The note that stands beside a log of that identity, if who leads it now has written it."""
    by, _, said = note.partition(b" ")
    return (identity, said) if by == epoch else ("", b"")


def _named(owner: bytes) -> str:
    """Host and process, without the mark that tells two processes of the same number apart."""
    return owner.decode().rpartition(" ")[0] or owner.decode()


def _holder(lease: bytes) -> str:
    """Why a lease cannot be taken."""
    if lease.startswith(GIVEN):
        return f"it is kept for {lease.removeprefix(GIVEN).decode()}, to whom it was given"
    return f"{_named(lease)} leads"
