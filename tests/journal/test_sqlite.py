"""The journal on a real disk: killed, cut, flipped, filled up, fought over."""

import itertools
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec
import pytest

from router.errors import JournalCorrupt, JournalError, JournalFailed, JournalVersion
from router.journal.port import Journal, Snapshot
from router.journal.sqlite import SqliteJournal
from tests.journal.contract import JournalContract, fill, records
from tests.journal.faulty_disk import FaultyDisk

ROOT = Path(__file__).parents[2]
_numbers = itertools.count(1)


def flip(path: Path, at: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))


def copied(path: Path, folder: Path, wal_bytes: int | None = None) -> Path:
    """The journal's files as a kill leaves them, the WAL cut to so many bytes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(path, folder)
    wal = path.with_name(path.name + "-wal")
    if wal.exists():
        (folder / wal.name).write_bytes(wal.read_bytes()[:wal_bytes])
    if path.with_name("snapshots").exists():
        shutil.copytree(path.with_name("snapshots"), folder / "snapshots")
    return folder / path.name


class SqliteRig:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disk = FaultyDisk(f"faulty-{next(_numbers)}")
        self.journal = SqliteJournal(folder / "a" / "journal.db", vfs=self.disk.name)

    def make(self) -> Journal:
        return self.journal

    def crashed(self, journal: Journal) -> Journal:
        assert isinstance(journal, SqliteJournal)
        return SqliteJournal(copied(journal.path, self.folder / f"crash-{next(_numbers)}"))

    def damage(self, journal: Journal, seq: int) -> None:
        assert isinstance(journal, SqliteJournal)
        db = apsw.Connection(str(journal.path))
        db.execute("UPDATE records SET crc = crc + 1 WHERE seq = ?", (seq,))
        db.close()

    def break_disk(self) -> None:
        self.disk.fails = "sync"

    def mend_disk(self) -> None:
        self.disk.fails = ""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[SqliteRig]:
    rig = SqliteRig(tmp_path)
    yield rig
    rig.mend_disk()
    rig.journal.close()
    rig.disk.unregister()


@pytest.fixture
def journal(rig: SqliteRig) -> SqliteJournal:
    rig.journal.open()
    return rig.journal


class TestSqliteJournal(JournalContract):
    @pytest.fixture
    def rig(self, rig: SqliteRig) -> SqliteRig:  # the module's, over the contract's
        return rig


# --- a crash at any byte ---------------------------------------------------------------------------------------------


@pytest.mark.promise("DU-1")
@pytest.mark.parametrize("seed", range(2))
def test_a_log_cut_anywhere_holds_exactly_the_batches_that_end_before_the_cut(
    tmp_path: Path, journal: SqliteJournal, seed: int
) -> None:
    """SQLite appends whole pages to the WAL, and a batch counts from the last byte of its last page on.

    A power cut can only lose what was not synced, and what append returned for was: it ends before any such cut.
    """
    print(f"seed={seed}")
    rng = random.Random(seed)
    wal = Path(f"{journal.path}-wal")
    ends = [(wal.stat().st_size, 0)]
    for _ in range(12):
        fill(journal, [rng.choice([1, 2, 7, 60])])
        ends.append((wal.stat().st_size, journal.last_seq))
    edges = [end + delta for end, _ in ends for delta in (-1, 0, 1)]
    for cut in [0, 1, 31, 32, 33, *edges, *(rng.randrange(ends[-1][0]) for _ in range(60))]:
        after = SqliteJournal(copied(journal.path, tmp_path / "cut", cut))
        expected = max((last for end, last in ends if end <= cut), default=0)
        assert after.open().last_seq == expected, cut
        assert list(after.read()) == records(1, expected), cut
        after.close()


@pytest.mark.promise("DU-1")
@pytest.mark.parametrize("seed", range(2))
def test_a_log_that_was_folded_and_is_cut_gives_a_true_beginning_or_says_damaged(
    tmp_path: Path, journal: SqliteJournal, seed: int
) -> None:
    """A cut below what was synced may take what the file builds on. No power cut does that; a bad disk may."""
    print(f"seed={seed}")
    rng = random.Random(seed)
    assert journal._db is not None
    journal._db.wal_autocheckpoint(6)
    size = 0
    for step in range(60):
        fill(journal, [rng.choice([1, 3, 40])])
        size = Path(f"{journal.path}-wal").stat().st_size
        cut = size if step % 2 else rng.randrange(size + 1)
        after = SqliteJournal(copied(journal.path, tmp_path / "cut", cut))
        try:
            after.open()
            seen = list(after.read())
        except JournalCorrupt:
            seen = []
            assert cut < size
        assert seen == records(1, len(seen)), (step, cut)
        if cut == size:
            assert len(seen) == journal.last_seq, step
        after.close()


CHILD = """
import sys
from pathlib import Path
from router.journal.sqlite import SqliteJournal
from tests.journal.contract import payloads
journal = SqliteJournal(Path(sys.argv[1]))
journal.open()
while True:
    first = journal.last_seq + 1
    journal.append(first, payloads(first, 1 + first % 5))
    print(journal.last_seq, flush=True)
"""


@pytest.mark.promise("DU-1", "IN-2")
def test_a_killed_process_leaves_all_that_it_has_said_to_have(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    said = 0
    for lines in (1, 37, 120):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for _ in range(lines):
            said = int(child.stdout.readline())
        child.kill()
        said = int([str(said), *child.stdout.read().split("\n")[:-1]][-1])
        child.stdout.close()
        child.wait()
        journal = SqliteJournal(path)
        opened = journal.open()
        assert not opened.clean
        assert opened.last_seq >= said
        assert list(journal.read()) == records(1, opened.last_seq)
        journal.close()


# --- a byte that changed ---------------------------------------------------------------------------------------------


def read_whatever_is_there(path: Path) -> list[tuple[int, bytes]] | JournalError:
    journal = SqliteJournal(path)
    try:
        journal.open()
        return list(journal.read())
    except JournalError as error:
        return error
    finally:
        journal.close()


@pytest.mark.parametrize("seed", range(2))
def test_a_flipped_bit_in_a_closed_journal_never_changes_or_hides_a_record(
    tmp_path: Path, journal: SqliteJournal, seed: int
) -> None:
    print(f"seed={seed}")
    rng = random.Random(seed)
    fill(journal, [100, 1, 99])
    journal.append(201, [bytes(9_000)])  # one that needs pages of its own
    journal.close()
    expected = [*records(1, 200), (201, bytes(9_000))]
    size = journal.path.stat().st_size
    refused = 0
    for at in [*rng.sample(range(100), 20), *rng.sample(range(size), 130)]:
        path = copied(journal.path, tmp_path / "flipped")
        flip(path, at, rng.randrange(8))
        seen = read_whatever_is_there(path)
        if isinstance(seen, JournalError):
            refused += 1
        else:
            assert seen == expected, at
    assert refused  # or nothing was tested


@pytest.mark.parametrize("seed", range(2))
def test_a_flipped_bit_in_a_crashed_journal_gives_a_true_beginning_or_is_refused(
    tmp_path: Path, journal: SqliteJournal, seed: int
) -> None:
    print(f"seed={seed}")
    rng = random.Random(seed)
    fill(journal, [100, 1, 99])
    journal.close()
    journal.open()
    fill(journal, [10] * 8)
    for name in ("journal.db", "journal.db-wal"):
        size = journal.path.with_name(name).stat().st_size
        for at in rng.sample(range(size), 70):
            path = copied(journal.path, tmp_path / "flipped")
            flip(path.with_name(name), at, rng.randrange(8))
            seen = read_whatever_is_there(path)
            if not isinstance(seen, JournalError):
                assert seen == records(1, len(seen)), (name, at)


@pytest.mark.parametrize("content", [b"hello, world" * 1_000, b"SQLite format 3\0", b"\0" * 4_096])
def test_what_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    with pytest.raises(JournalCorrupt, match="restore a backup"):
        SqliteJournal(path).open()
    assert path.read_bytes() == content


def test_another_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")
    db.close()
    with pytest.raises(JournalCorrupt, match="check the path"):
        SqliteJournal(path).open()


def test_a_missing_record_is_named(tmp_path: Path, journal: SqliteJournal) -> None:
    fill(journal, [9])
    journal.close()
    db = apsw.Connection(str(journal.path))
    db.execute("DELETE FROM records WHERE seq = 4")
    db.close()
    journal.open()
    with pytest.raises(JournalCorrupt) as caught:
        list(journal.read())
    assert caught.value.seq == 4


def test_two_records_that_changed_places_are_damage(tmp_path: Path, journal: SqliteJournal) -> None:
    journal.append(1, [b"aaaa", b"bbbb", b"cccc"])
    journal.close()
    db = apsw.Connection(str(journal.path))
    first, second = db.execute("SELECT crc, payload FROM records WHERE seq < 3").fetchall()
    db.execute("UPDATE records SET crc = ?, payload = ? WHERE seq = 1", second)
    db.execute("UPDATE records SET crc = ?, payload = ? WHERE seq = 2", first)
    db.close()
    journal.open()
    with pytest.raises(JournalCorrupt) as caught:
        list(journal.read())
    assert caught.value.seq == 1


# --- a disk that fails -----------------------------------------------------------------------------------------------


@pytest.mark.promise("DU-2")
@pytest.mark.parametrize("fault", ["sync", "write", "full"])
def test_whatever_fails_nothing_is_said_to_be_durable_and_all_before_it_is(
    rig: SqliteRig, journal: SqliteJournal, fault: str
) -> None:
    fill(journal, [50])
    rig.disk.fails = fault
    with pytest.raises(JournalFailed, match="check the disk"):
        fill(journal, [50])
    with pytest.raises(JournalFailed):  # and the disk is not asked again
        journal.open()
    rig.disk.fails = ""
    assert journal.open().last_seq in (50, 100)
    fill(journal, [50])
    assert list(journal.read()) == records(1, journal.last_seq)


@pytest.mark.promise("DU-2")
def test_it_cannot_be_opened_on_a_disk_that_fails(rig: SqliteRig) -> None:
    rig.disk.fails = "full"
    with pytest.raises(JournalFailed, match="free space"):
        rig.journal.open()
    rig.disk.fails = ""
    assert rig.journal.open().last_seq == 0


@pytest.mark.promise("IN-2")
def test_an_append_returns_after_a_sync_of_its_own(rig: SqliteRig, journal: SqliteJournal) -> None:
    for _ in range(20):
        before = rig.disk.syncs
        fill(journal, [1])
        assert rig.disk.syncs > before


LIMITED = """
import resource, sys
from pathlib import Path
from router.errors import JournalFailed
from router.journal.sqlite import SqliteJournal
from tests.journal.contract import payloads
journal = SqliteJournal(Path(sys.argv[1]))
journal.open()
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
try:
    while True:
        journal.append(journal.last_seq + 1, payloads(journal.last_seq + 1, 20))
except JournalFailed as error:
    print(journal.last_seq, error)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
print(journal.open().last_seq)
journal.append(journal.last_seq + 1, payloads(journal.last_seq + 1, 20))
print(journal.last_seq)
journal.close()
"""


@pytest.mark.promise("DU-2")
def test_when_the_disk_has_room_again_service_resumes_without_repair(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    failed, reopened, last = done.stdout.splitlines()
    assert "is not durable" in failed
    acknowledged = int(failed.split()[0])
    assert acknowledged > 0
    assert int(reopened) in (acknowledged, acknowledged + 20)
    journal = SqliteJournal(path)
    assert journal.open().clean
    assert list(journal.read()) == records(1, int(last))
    journal.close()


# --- several processes, several threads ------------------------------------------------------------------------------

HOLDER = """
import sys
from pathlib import Path
from router.journal.sqlite import SqliteJournal
from tests.journal.contract import payloads
journal = SqliteJournal(Path(sys.argv[1]))
journal.open()
journal.append(1, payloads(1, 3))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_kept_out_until_the_first_is_gone_but_may_read(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        journal = SqliteJournal(path)
        with pytest.raises(JournalFailed, match=rf"another process \(pid {child.pid}\) uses this journal"):
            journal.open()
        reader = SqliteJournal(path, read_only=True)
        reader.open()
        assert list(reader.read()) == records(1, 3)
        with pytest.raises(JournalFailed):
            reader.append(4, [b"x"])
        reader.close()
        child.kill()
    assert journal.open().last_seq == 3
    journal.close()


def test_it_cannot_be_opened_twice_in_one_process(journal: SqliteJournal) -> None:
    again = SqliteJournal(journal.path)
    with pytest.raises(JournalFailed, match="already"):
        again.open()
    fill(journal, [1])  # and the attempt has not cost the first its lock
    assert "kept out" in attempt_elsewhere(journal.path)
    journal.close()
    assert again.open().last_seq == 1
    again.close()


def attempt_elsewhere(path: Path) -> str:
    code = (
        "import sys; from pathlib import Path; from router.journal.sqlite import SqliteJournal\n"
        "from router.errors import JournalFailed\n"
        "try:\n    SqliteJournal(Path(sys.argv[1])).open()\nexcept JournalFailed: print('kept out')"
    )
    return subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True).stdout


def test_a_journal_that_could_not_be_opened_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"no database" * 1_000)
    with pytest.raises(JournalCorrupt):
        SqliteJournal(path).open()
    path.unlink()
    journal = SqliteJournal(path)
    journal.open()
    journal.close()


def test_one_thread_appends_while_another_opens_reads_and_closes(journal: SqliteJournal) -> None:
    writer = threading.Thread(target=fill, args=(journal, [3] * 100))
    writer.start()
    while writer.is_alive():
        seen = list(journal.read())
        assert seen == records(1, len(seen))
    writer.join()
    assert list(journal.read()) == records(1, 300)
    journal.close()


def test_a_reader_does_not_keep_the_log_from_being_folded(journal: SqliteJournal) -> None:
    fill(journal, [3_000])
    reading = journal.read()
    next(reading)  # an export that somebody has stopped to look at
    assert journal._db is not None
    _, folded = journal._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    assert folded >= 0
    assert Path(f"{journal.path}-wal").stat().st_size == 0
    assert len(list(reading)) == 2_999


# --- versions --------------------------------------------------------------------------------------------------------


def upcast_one(raw: object) -> object:
    return ["upcast", raw]


@pytest.mark.promise("DU-3")
def test_a_journal_of_an_older_format_reads_as_todays_and_goes_on_in_todays(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    old = SqliteJournal(path, format=1)
    old.open()
    old.append(1, [msgspec.msgpack.encode(i) for i in (1, 2, 3)])
    old.close()
    new = SqliteJournal(path, format=2, upcasts={1: upcast_one})
    new.open()
    new.append(4, [msgspec.msgpack.encode("today")])
    expected = [["upcast", 1], ["upcast", 2], ["upcast", 3], "today"]
    for after in range(4):
        assert [msgspec.msgpack.decode(payload) for _, payload in new.read(after)] == expected[after:]
    new.close()
    newest = SqliteJournal(path, format=3, upcasts={1: upcast_one, 2: upcast_one})
    newest.open()
    assert [msgspec.msgpack.decode(payload) for _, payload in newest.read(2)] == [
        ["upcast", ["upcast", 3]],
        ["upcast", "today"],
    ]
    newest.close()
    with pytest.raises(JournalVersion, match="run the version that wrote it, or newer"):
        SqliteJournal(path, format=2).open()


def test_opening_in_a_newer_version_that_wrote_nothing_yet_twice_is_harmless(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    for version in (1, 2, 3):
        journal = SqliteJournal(path, format=version, upcasts={1: upcast_one, 2: upcast_one})
        journal.open()
        journal.close()
    journal.open()
    journal.append(1, [msgspec.msgpack.encode("today")])
    assert [msgspec.msgpack.decode(payload) for _, payload in journal.read()] == ["today"]
    journal.close()


# --- snapshots -------------------------------------------------------------------------------------------------------


@pytest.mark.promise("DU-3")
def test_snapshots_of_a_journal_that_was_replaced_are_not_used(tmp_path: Path, journal: SqliteJournal) -> None:
    fill(journal, [5])
    journal.save_snapshot(Snapshot(5, b"of the first journal"))
    journal.close()
    other = SqliteJournal(tmp_path / "elsewhere" / "journal.db")
    other.open()
    fill(other, [9])
    other.close()
    other.path.replace(journal.path)
    journal.open()
    assert journal.latest_snapshot() is None
    assert "another journal" in journal.snapshot_notes[0]


def test_a_snapshot_lies_beside_the_journal(journal: SqliteJournal) -> None:
    fill(journal, [2])
    journal.save_snapshot(Snapshot(2, b""))
    assert [path.name for path in (journal.path.parent / "snapshots").iterdir()] == ["0000000000000002.snapshot"]


def test_nobody_else_on_the_machine_may_read_it(journal: SqliteJournal) -> None:
    fill(journal, [1])
    for name in ("journal.db", "journal.db-wal", "journal.db.lock"):
        assert journal.path.with_name(name).stat().st_mode & 0o077 == 0, name
