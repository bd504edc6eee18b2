"""The folder on disk: what is listed, what is locked, and that only what was recorded is ever removed."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

import pytest

from channels.scan import drop
from channels.scan.watch import Seen


def look(folder: Path, quiet: bool = True, most: int = 100) -> drop.Listing:
    return drop.list_folder(folder, lambda file: quiet, most)


def seen(folder: Path, name: str) -> Seen:
    return drop.seen_of(name, os.lstat(folder / name))


def test_only_plain_files_are_listed_and_the_others_counted(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.tif").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe.tif")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        listing = look(tmp_path)
    assert [file.name for file in listing.files] == ["a.tif"]
    assert listing.others == {"folder": 1, "symlink": 1, "fifo": 1, "socket": 1}


def test_a_listing_is_bounded(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.tif").write_bytes(b"x")
    assert (len(look(tmp_path, most=4).files), look(tmp_path, most=4).cut) == (4, True)
    assert (len(look(tmp_path, most=5).files), look(tmp_path, most=5).cut) == (5, False)


@pytest.mark.parametrize("kind", [fcntl.LOCK_EX, fcntl.LOCK_SH])
def test_a_lock_is_noticed_and_left_alone(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "fax000000001.tif"
    with path.open("wb") as writer:
        fcntl.flock(writer, kind)
        assert look(tmp_path).files[0].locked
        assert not look(tmp_path, quiet=False).files[0].locked, "not asked for"
        fcntl.flock(writer, fcntl.LOCK_UN)
        assert not look(tmp_path).files[0].locked
        fcntl.flock(writer, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("name", [b"\xff\xfe.tif", b"new\nline.tif", b"x" * 251 + b".tif", b"-rf", b"a b.tif"])
def test_any_name_can_be_taken_out(tmp_path: Path, name: bytes) -> None:
    with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:
        file.write(b"x")
    [found] = look(tmp_path).files
    os.close(drop.open_seen(tmp_path, found))
    drop.take_out(tmp_path, found)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("make", ["symlink", "fifo", "folder"])
def test_a_name_that_became_something_else_is_not_opened(tmp_path: Path, make: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"x")
    file = seen(tmp_path, "a.tif")
    path.unlink()
    if make == "symlink":
        path.symlink_to("/etc/passwd")
    elif make == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(drop.Changed):
        drop.open_seen(tmp_path, file)
    with pytest.raises(drop.Changed):
        drop.take_out(tmp_path, file)


@pytest.mark.promise("IN-2")
@pytest.mark.parametrize("how", ["replaced", "written", "gone"])
def test_what_changed_is_not_taken_out(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"old")
    file = seen(tmp_path, "a.tif")
    path.unlink()
    if how != "gone":
        path.write_bytes(b"new")
    with pytest.raises(drop.Changed):
        drop.take_out(tmp_path, file)
    assert how == "gone" or path.read_bytes() == b"new"


@pytest.mark.promise("IN-2")
@pytest.mark.parametrize("and_again", [False, True])
def test_a_file_that_slips_in_at_the_last_instant_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, and_again: bool
) -> None:
    """Between the last look and the removal a writer renames a new file into place, and perhaps another after it."""
    path = tmp_path / "scan.tif"
    path.write_bytes(b"old")
    file = seen(tmp_path, "scan.tif")
    rename = os.rename

    def slip(source: Path, target: Path) -> None:
        (tmp_path / "new").write_bytes(b"new")
        rename(tmp_path / "new", path)
        rename(source, target)
        if and_again:
            path.write_bytes(b"newer")

    monkeypatch.setattr(os, "rename", slip)
    with pytest.raises(drop.Changed):
        drop.take_out(tmp_path, file)
    contents = sorted(one.read_bytes() for one in tmp_path.iterdir())
    assert contents == ([b"new", b"newer"] if and_again else [b"new"])
    assert all(not one.name.startswith(".") for one in tmp_path.iterdir())


def test_a_removal_that_was_cut_short_is_finished_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    (tmp_path / "scan.tif").write_bytes(b"recorded")
    file = seen(tmp_path, "scan.tif")
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            drop.take_out(tmp_path, file)
    assert look(tmp_path).files == []
    assert drop.sort_out(tmp_path) == 1
    assert os.listdir(tmp_path) == []


def test_what_lies_aside_but_was_never_recorded_comes_back(tmp_path: Path) -> None:
    (tmp_path / ".switchboard-out-1-2.tif").write_bytes(b"slipped in")
    assert drop.sort_out(tmp_path) == 1
    [file] = look(tmp_path).files
    assert file.name == "again-1-2.tif"
