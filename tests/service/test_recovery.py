"""From the journal to an engine: what was acknowledged is there again, and soon."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from router.engine import commands as c
from router.engine import events as e
from router.engine import lookups
from router.engine.config import to_bytes
from router.engine.engine import Engine
from router.errors import JournalCorrupt
from router.journal import codec
from router.journal.memory import MemoryJournal
from router.journal.port import Snapshot
from router.journal.sqlite import SqliteJournal
from router.service.recovery import make_snapshot, restore
from tests.support.house import CONFIG, House, arrive, house, say


def as_bytes(engine: Engine) -> bytes:
    return engine.snapshot()


async def busy(h: House) -> None:
    """A little of everything: work that waits, is offered, is served, has ended."""
    for name in ("ana", "ben"):
        await h.sign_in(name)
    for number in range(6):
        await h.desk.ask(arrive(f"c{number}", "email"))
    await h.desk.ask(c.Accept(agent="ana", offer=1))
    await h.desk.ask(say("ana", 1, "hello"))
    await h.desk.ask(c.Note(interaction=1, text="careful", by="ana"))
    await h.desk.ask(c.Reprioritise(interaction=5, by="operator:x", weight=2.0))
    await h.desk.ask(c.Complete(agent="ana", interaction=1))
    await h.desk.ask(c.SetState(agent="ben", state="not_ready", reason="break"))


@pytest.mark.promise("DU-1")
@pytest.mark.promise("DU-3")
async def test_the_log_alone_gives_the_same_state_to_the_byte() -> None:
    async with house(MemoryJournal()) as h:
        await busy(h)
        live = as_bytes(h.writer.engine)
        after = h.journal.crashed()
        after.open()
        assert as_bytes(restore(after)) == live


@pytest.mark.promise("DU-4")
async def test_a_snapshot_and_the_records_after_it_give_the_same_state() -> None:
    async with house(MemoryJournal()) as h:
        await busy(h)
        seq = make_snapshot(h.journal)
        await h.desk.ask(arrive("later", "email"))
        live = as_bytes(h.writer.engine)
        after = h.journal.crashed()
        after.open()
        assert seq < after.last_seq
        assert as_bytes(restore(after)) == live


async def test_a_snapshot_that_nobody_can_read_only_costs_time() -> None:
    async with house(MemoryJournal()) as h:
        await busy(h)
        live = as_bytes(h.writer.engine)
        h.journal.save_snapshot(Snapshot(h.journal.last_seq, b"from another world"))
        after = h.journal.crashed()
        after.open()
        assert as_bytes(restore(after)) == live


async def test_a_record_that_cannot_follow_is_named() -> None:
    journal = MemoryJournal()
    async with house(journal) as h:
        await h.desk.ask(arrive("c1"))
    journal.open()
    seq = journal.last_seq + 1
    journal.append(seq, [codec.encode(1, "", e.OfferAccepted(99, 1, "ana"))])
    with pytest.raises(JournalCorrupt) as problem:
        restore(journal)
    assert problem.value.seq == seq


async def test_progress_is_told_while_a_long_log_is_read() -> None:
    async with house(MemoryJournal()) as h:
        await h.desk.ask(arrive("c1"))
        for number in range(2_100):
            h.desk.submit(c.Note(interaction=1, text=str(number), by="ana"), lambda _: None)
        await h.writer.drain()
        told: list[int] = []
        restore(h.journal, told.append)
        assert told == [1_000, 2_000]


@pytest.mark.promise("DU-1")
async def test_a_restart_keeps_what_waits_and_frees_what_was_offered() -> None:
    async with house(MemoryJournal()) as h:
        await busy(h)
        before = {view.id: view for view in h.desk.interactions()}
        offered = [view.id for view in before.values() if view.state == "offered"]
        assert offered
        after = h.journal.crashed()
    async with house(after) as again:
        now = {view.id: view for view in again.desk.interactions()}
        assert now.keys() == before.keys()
        assert {now[name].state for name in offered} == {"queued"}
        for name, view in before.items():
            assert (now[name].enqueued_at_ms, now[name].band) == (view.enqueued_at_ms, view.band)
        assert again.desk.agent("ben").reason == "break"
        assert again.desk.agent("ana").sessions == 0


async def test_a_snapshot_made_beside_the_daemon_holds_what_came_meanwhile(tmp_path: Path) -> None:
    """The reader was opened before the last records were written, as happens under any load."""
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    journal.open()
    records = _records(9)
    journal.append(1, records[:5])
    beside = SqliteJournal(path, read_only=True)
    beside.open()
    journal.append(6, records[5:])
    assert make_snapshot(beside) == len(records)
    beside.close()
    journal.close()
    journal.open()
    snapshot = journal.latest_snapshot()
    assert snapshot is not None
    assert snapshot.seq == len(records)
    journal.close()


@pytest.mark.promise("DU-4")
def test_a_hundred_thousand_waiting_items_are_back_within_five_seconds(tmp_path: Path) -> None:
    """Of processor time, which a busy machine does not stretch as it does the clock's."""
    items = 100_000
    journal = SqliteJournal(tmp_path / "journal.db")
    journal.open()
    records = _records(items)
    for first in range(0, len(records), 10_000):
        journal.append(first + 1, records[first : first + 10_000])
    log_s, engine = _timed(journal)
    assert sum(queue.waiting for queue in lookups.queue_views(engine.state, 0)) == items
    make_snapshot(journal)
    snapshot_s, again = _timed(journal)
    assert as_bytes(again) == as_bytes(engine)
    journal.close()
    print(f"{items} items: from the log {log_s:.1f} s, from a snapshot {snapshot_s:.1f} s")
    assert snapshot_s < 5
    assert log_s < 10  # without any snapshot, on a slow machine


def _timed(journal: SqliteJournal) -> tuple[float, Engine]:
    began = time.process_time()
    engine = restore(journal)
    return time.process_time() - began, engine


def _records(items: int) -> list[bytes]:
    """The facts of so many mails that nobody answers."""
    engine = Engine(quiet=True)
    payloads: list[bytes] = []
    commands: list[c.AnyCommand] = [c.Configure(document=to_bytes(CONFIG))]
    commands += [
        arrive(f"m{number}", "email", sender=f"eva{number}@example.org", subject="Where is it?")
        for number in range(items)
    ]
    for number, command in enumerate(commands):
        out = engine.handle(command, 1_700_000_000_000 + number)
        codec.write(payloads, out.at_ms, out.key, out.events)
    return payloads
