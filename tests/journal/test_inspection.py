"""Verify and export look, and change nothing."""

import io
import json
import shutil
from pathlib import Path

import apsw
import pytest

from router.engine.events import AnyEvent, Blob, InteractionEnded, Message, MessageAdded, OfferExpired
from router.errors import JournalCorrupt, JournalFailed, JournalVersion
from router.journal import codec
from router.journal.inspection import export, iso, verify
from router.journal.sqlite import SqliteJournal
from tests.journal.contract import fill


@pytest.fixture
def journal(tmp_path: Path) -> SqliteJournal:
    journal = SqliteJournal(tmp_path / "journal.db")
    journal.open()
    fill(journal, [2_000, 10])
    return journal


def change(path: Path, statement: str) -> None:
    db = apsw.Connection(str(path))
    db.execute(statement)
    db.close()


def test_a_whole_journal(journal: SqliteJournal) -> None:
    beside_the_daemon = verify(journal.path)
    assert (beside_the_daemon.records, beside_the_daemon.clean, beside_the_daemon.ok) == (2_010, False, True)
    journal.close()
    report = verify(journal.path)
    assert (report.records, report.last_seq, report.clean, report.ok) == (2_010, 2_010, True, True)


def test_an_empty_journal(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    journal.open()
    journal.close()
    assert verify(journal.path).ok


def test_gaps_and_damage_are_listed(journal: SqliteJournal) -> None:
    journal.close()
    change(journal.path, "DELETE FROM records WHERE seq BETWEEN 10 AND 12 OR seq = 1500")
    change(journal.path, "UPDATE records SET crc = crc + 1 WHERE seq IN (7, 1700)")
    report = verify(journal.path)
    assert report.gaps == ((10, 12), (1500, 1500))
    assert report.damaged == (7, 1700)
    assert report.records == 2_004
    assert not report.ok


def test_a_torn_tail_is_told_from_damage_and_left_where_it_is(tmp_path: Path, journal: SqliteJournal) -> None:
    for name in ("journal.db", "journal.db-wal"):
        shutil.copy(journal.path.with_name(name), tmp_path / f"crashed{name[7:]}")
    crashed = tmp_path / "crashed.db"
    change(crashed, "UPDATE records SET crc = crc + 1 WHERE seq = 2010")
    for _ in range(2):
        report = verify(crashed)
        assert (report.torn, report.records, report.damaged, report.ok) == (2_010, 2_009, (), True)
    journal.close()
    change(journal.path, "UPDATE records SET crc = crc + 1 WHERE seq = 2010")
    report = verify(journal.path)
    assert (report.torn, report.damaged, report.ok) == (None, (2_010,), False)


def test_damaged_pages_are_said(journal: SqliteJournal) -> None:
    journal.close()
    raw = bytearray(journal.path.read_bytes())
    raw[40 * 4096 : 41 * 4096] = bytes(4096)
    journal.path.write_bytes(raw)
    report = verify(journal.path)
    assert report.problems
    assert not report.ok


def test_what_is_no_journal_is_said(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"no database" * 1_000)
    assert not verify(path).ok
    with pytest.raises(JournalFailed, match="there is no journal"):
        verify(tmp_path / "nothing.db")


def test_a_newer_format_is_not_judged(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db", format=codec.FORMAT + 1)
    journal.open()
    journal.close()
    with pytest.raises(JournalVersion):
        verify(journal.path)


@pytest.fixture
def eventful(tmp_path: Path) -> SqliteJournal:
    journal = SqliteJournal(tmp_path / "journal.db")
    journal.open()
    said = Message("grüß", (Blob("ab" * 32, 5, "text/plain", "a.txt"),))
    events: list[AnyEvent] = [
        MessageAdded(1, "customer", said),
        OfferExpired(2, 1, "ana"),
        InteractionEnded(1, "completed", "ana"),
    ]
    journal.append(1, [codec.encode(1_764_000_000_007 + i, f"k{i}", event) for i, event in enumerate(events)])
    return journal


def test_an_export_is_json_lines_with_named_fields(eventful: SqliteJournal) -> None:
    out = io.BytesIO()
    assert export(eventful.path, out) == 3
    first, second, _ = map(json.loads, out.getvalue().splitlines())
    assert second == {
        "seq": 2,
        "at": "2025-11-24T16:00:00.008Z",
        "at_ms": 1_764_000_000_008,
        "key": "k1",
        "type": "offer-expired",
        "event": {"offer": 2, "interaction": 1, "agent": "ana"},
    }
    assert first["event"]["message"]["blobs"][0]["media_type"] == "text/plain"
    out = io.BytesIO()
    assert export(eventful.path, out, after_seq=2) == 1


def test_an_export_ends_where_the_damage_begins(eventful: SqliteJournal) -> None:
    eventful.close()
    change(eventful.path, "UPDATE records SET crc = crc + 1 WHERE seq = 2")
    out = io.BytesIO()
    with pytest.raises(JournalCorrupt) as caught:
        export(eventful.path, out)
    assert caught.value.seq == 2
    assert len(out.getvalue().splitlines()) == 1


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [(0, "1970-01-01T00:00:00.000Z"), (1, "1970-01-01T00:00:00.001Z"), (4_102_444_799_999, "2099-12-31T23:59:59.999Z")],
)
def test_times_are_exact(at_ms: int, text: str) -> None:
    assert iso(at_ms) == text
