"""Whatever is wrong with a snapshot costs time, never truth."""

import random
from pathlib import Path

import pytest

from router.errors import JournalFailed
from router.journal.port import Snapshot
from router.journal.snapshots import SnapshotFolder


@pytest.fixture
def folder(tmp_path: Path) -> SnapshotFolder:
    folder = SnapshotFolder(tmp_path / "snapshots", b"j" * 16)
    for seq in (10, 20, 30):
        folder.save(Snapshot(seq, b"state %d" % seq * 100))
    return folder


def names(folder: SnapshotFolder) -> list[int]:
    return sorted(int(path.stem) for path in folder.folder.iterdir())


def newest(folder: SnapshotFolder) -> Path:
    return max(folder.folder.iterdir())


def test_two_are_kept(folder: SnapshotFolder) -> None:
    assert names(folder) == [20, 30]


@pytest.mark.promise("DU-4")
@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_one_is_skipped_and_said_and_the_one_before_is_used(folder: SnapshotFolder, seed: int) -> None:
    print(f"seed={seed}")
    rng = random.Random(seed)
    whole = newest(folder).read_bytes()
    for _ in range(100):
        at = rng.randrange(len(whole))
        newest(folder).write_bytes(whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :])
        assert folder.latest(99) == Snapshot(20, b"state 20" * 100), at
        assert len(folder.notes) == 1


def test_one_cut_short_is_skipped(folder: SnapshotFolder) -> None:
    whole = newest(folder).read_bytes()
    for size in range(0, len(whole), 7):
        newest(folder).write_bytes(whole[:size])
        assert folder.latest(99) == Snapshot(20, b"state 20" * 100), size


def test_one_under_the_wrong_number_is_skipped(folder: SnapshotFolder) -> None:
    newest(folder).rename(folder.folder / "0000000000000025.snapshot")
    assert folder.latest(99) == Snapshot(20, b"state 20" * 100)


@pytest.mark.promise("DU-3")
def test_one_of_another_journal_is_skipped(folder: SnapshotFolder) -> None:
    assert SnapshotFolder(folder.folder, b"k" * 16).latest(99) is None


def test_one_ahead_of_the_log_is_not_used_and_goes_when_the_journal_opens(folder: SnapshotFolder) -> None:
    assert folder.latest(29) == Snapshot(20, b"state 20" * 100)
    (said,) = folder.remove_unreal(29)
    assert "ahead of the log" in said
    assert names(folder) == [20]


def test_drafts_of_a_crash_are_removed(folder: SnapshotFolder) -> None:
    (folder.folder / "0000000000000040.tmp").write_bytes(b"half")
    folder.remove_unreal(99)
    assert names(folder) == [20, 30]


def test_the_same_number_may_be_saved_again(folder: SnapshotFolder) -> None:
    folder.save(Snapshot(30, b"new"))
    assert folder.latest(30) == Snapshot(30, b"new")


def test_a_disk_that_fails_is_said_and_leaves_the_older_ones(folder: SnapshotFolder) -> None:
    (folder.folder / "0000000000000040.snapshot").mkdir()  # nothing can be renamed onto a folder
    with pytest.raises(JournalFailed):
        folder.save(Snapshot(40, b"new"))
    assert folder.latest(39) == Snapshot(30, b"state 30" * 100)
    assert list(folder.folder.glob("*.tmp")) == []
