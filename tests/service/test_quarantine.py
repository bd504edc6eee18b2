"""One bad input stops nothing and is not lost."""

import json
import os
import random
import shutil
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

from router.errors import BadMessage, NotFound, Overloaded, TooLarge, Unavailable
from router.journal.files import write_new
from router.service.quarantine import MAX_NAME, Quarantine, QuarantineSettings, safe_name

Patch = pytest.MonkeyPatch


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "quarantine"


@pytest.fixture
def quarantine(root: Path) -> Quarantine:
    return Quarantine(root)


def keep(quarantine: Quarantine, name: str = "fax.pdf", data: bytes | Path = b"%PDF-garbage", at_ms: int = 5) -> str:
    return quarantine.keep_now("scan.fax", name, data, "It cannot be read.", "unreadable", at_ms, {"pages": "0"})


def failing(*_: object) -> NoReturn:
    raise OSError(28, "No space left on device")


def files(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.name != "tmp")


@pytest.mark.promise("IN-4")
async def test_an_input_is_kept_raw_with_its_reason_beside_it(quarantine: Quarantine, root: Path) -> None:
    ident = await quarantine.keep("scan.fax", "fax.pdf", b"%PDF-garbage", "It cannot be read.", "unreadable", 5)
    assert (root / "fax.pdf").read_bytes() == b"%PDF-garbage"
    reason = json.loads((root / "fax.pdf.reason.json").read_bytes())
    assert reason == {
        "id": ident,
        "source": "scan.fax",
        "name": "fax.pdf",
        "code": "unreadable",
        "reason": "It cannot be read.",
        "at_ms": 5,
        "size": 12,
        "detail": {},
        "file": "fax.pdf",
    }


@pytest.mark.promise("IN-4")
def test_an_operator_sees_it_reads_it_and_discards_it(quarantine: Quarantine, root: Path) -> None:
    ident = keep(quarantine)
    (entry,) = quarantine.entries()
    assert (entry.id, entry.source, entry.code, entry.size) == (ident, "scan.fax", "unreadable", 12)
    assert entry.detail == {"pages": "0"}
    assert quarantine.entry(ident) == entry
    assert quarantine.read(ident) == quarantine.path(ident).read_bytes() == b"%PDF-garbage"
    assert (quarantine.count, quarantine.size) == (1, 12)
    quarantine.discard(ident)
    assert (quarantine.count, quarantine.size, files(root)) == (0, 0, [])
    for look in (quarantine.entry, quarantine.path, quarantine.read, quarantine.discard):
        with pytest.raises(NotFound):
            look(ident)


async def test_an_input_without_a_name_can_be_put_as_it_came(root: Path) -> None:
    quarantine = Quarantine(root, now_ms=lambda: 77)
    ident = await quarantine.put("phone.dev", b"{", "not JSON")
    entry = quarantine.entry(ident)
    assert (entry.at_ms, entry.name, entry.reason) == (77, "", "not JSON")
    assert files(root) == [f"{ident}-input", f"{ident}-input.reason.json"]


def test_pages_are_in_order_of_time(quarantine: Quarantine) -> None:
    idents = [keep(quarantine, at_ms=at_ms) for at_ms in (30, 10, 20, 1_764_000_000_000)]
    in_order = [idents[1], idents[2], idents[0], idents[3]]
    assert [entry.id for entry in quarantine.entries()] == in_order
    assert [entry.id for entry in quarantine.entries(limit=2)] == in_order[:2]
    quarantine.discard(in_order[1])
    assert [entry.id for entry in quarantine.entries(after=in_order[1])] == in_order[2:]


def test_the_same_name_again_keeps_both(quarantine: Quarantine, root: Path) -> None:
    keep(quarantine, data=b"first")
    ident = keep(quarantine, data=b"second")
    assert (root / "fax.pdf").read_bytes() == b"first"
    assert (root / f"{ident}-fax.pdf").read_bytes() == b"second"
    assert (root / f"{ident}-fax.pdf.reason.json").exists()


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("fax 1.pdf", "fax_1.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\scans\\a.tif", "a.tif"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("...", ""),
        ("tmp", "tmp_"),
        ("Überweisung.pdf", "Überweisung.pdf"),
        ("a\0b\n.pdf", "a_b_.pdf"),
        ("\udcff.pdf", "pdf"),
        ("x.reason.json", "x_reason.json"),
    ],
)
def test_a_name_can_do_no_harm_and_stays_recognisable(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize("name", ["x" * 5_000 + ".pdf", "漢" * 300 + ".tiff", "y" * 300, "a." + "b" * 300])
def test_a_long_name_is_shortened_to_what_a_file_system_takes(quarantine: Quarantine, name: str) -> None:
    assert len(safe_name(name).encode()) <= MAX_NAME
    assert safe_name(name) != safe_name(name[:-5] + "z" + name[-5:])
    for _ in range(2):
        assert quarantine.read(keep(quarantine, name)) == b"%PDF-garbage"


def test_any_name_and_reason_can_be_written_down(root: Path) -> None:
    quarantine = Quarantine(root)
    ident = quarantine.keep_now(
        "scan.fax", "\udcff\0.pdf", b"x", "why " + "y" * 9_000, "c", 1, {"\udc80": "\udc81" * 9_000}
    )
    assert Quarantine(root).entry(ident) == quarantine.entry(ident)
    assert len(quarantine.entry(ident).reason) == 2_000


async def test_a_file_is_copied_and_left_where_it_is(quarantine: Quarantine, tmp_path: Path) -> None:
    path = tmp_path / "big.tif"
    path.write_bytes(random.Random(1).randbytes(2_500_000))
    ident = await quarantine.keep("scan.fax", path.name, path, "too many pages", "too-large", 5)
    assert quarantine.entry(ident).size == 2_500_000
    assert quarantine.read(ident) == path.read_bytes()
    with pytest.raises(FileNotFoundError):
        keep(quarantine, data=tmp_path / "gone")
    with pytest.raises(BadMessage):
        keep(quarantine, data=tmp_path)
    assert quarantine.count == 1


# --- bounds ----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-4", "IN-5")
def test_when_it_is_full_the_caller_is_refused_and_nothing_is_dropped(root: Path, tmp_path: Path) -> None:
    quarantine = Quarantine(root, QuarantineSettings(max_entries=2, max_bytes=20))
    first = keep(quarantine, data=b"x" * 12)
    (tmp_path / "file").write_bytes(b"x" * 9)
    for too_much in (b"x" * 9, tmp_path / "file"):
        with pytest.raises(Overloaded, match="retry or discard"):
            keep(quarantine, data=too_much)
    keep(quarantine, data=b"x" * 8)
    with pytest.raises(Overloaded):
        keep(quarantine, data=b"")
    assert quarantine.count == 2
    assert list((root / "tmp").iterdir()) == []
    quarantine.discard(first)
    keep(quarantine, data=b"x" * 12)


@pytest.mark.promise("IN-4")
def test_what_can_never_fit_is_refused_before_it_is_read(root: Path, tmp_path: Path, monkeypatch: Patch) -> None:
    quarantine = Quarantine(root, QuarantineSettings(max_bytes=20))
    (tmp_path / "file").write_bytes(b"x" * 21)
    monkeypatch.setattr("router.service.quarantine.write_new", failing)
    for too_much in (b"x" * 21, tmp_path / "file"):
        with pytest.raises(TooLarge, match="takes at most 20 bytes"):
            keep(quarantine, data=too_much)


@pytest.mark.promise("IN-4", "IN-5")
def test_nobody_waits_while_a_large_file_is_copied_nor_takes_its_room(
    root: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    quarantine = Quarantine(root, QuarantineSettings(max_bytes=20))
    (tmp_path / "file").write_bytes(b"x" * 12)
    copying, go_on = threading.Event(), threading.Event()

    def slow(path: Path, parts: Iterable[bytes]) -> None:
        copying.set()
        assert go_on.wait(10)
        write_new(path, parts)

    with ThreadPoolExecutor(1) as hands:
        with monkeypatch.context() as patch:
            patch.setattr("router.service.quarantine.write_new", slow)
            copy = hands.submit(keep, quarantine, data=tmp_path / "file")
            assert copying.wait(10)
        keep(quarantine, data=b"x" * 8)
        with pytest.raises(Overloaded):
            keep(quarantine, data=b"x")
        go_on.set()
        assert quarantine.read(copy.result(10)) == b"x" * 12
    assert (quarantine.count, quarantine.size) == (2, 20)


@pytest.mark.promise("IN-4")
@pytest.mark.parametrize("size", [5, 9])
def test_a_file_that_changes_while_it_is_copied_comes_back_later(
    root: Path, tmp_path: Path, monkeypatch: Patch, size: int
) -> None:
    quarantine = Quarantine(root)
    path = tmp_path / "file"
    path.write_bytes(b"x" * 7)

    def late(draft: Path, parts: Iterable[bytes]) -> None:
        path.write_bytes(b"x" * size)
        write_new(draft, parts)

    monkeypatch.setattr("router.service.quarantine.write_new", late)
    with pytest.raises(Overloaded, match="changed"):
        keep(quarantine, data=path)
    assert (quarantine.count, files(root), list((root / "tmp").iterdir())) == (0, [], [])


@pytest.mark.promise("IN-4", "DU-2")
@pytest.mark.parametrize("call", ["fsync", "rename", "write"])
def test_when_the_disk_fails_the_caller_keeps_it(root: Path, monkeypatch: Patch, call: str) -> None:
    quarantine = Quarantine(root)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with pytest.raises(Unavailable):
            keep(quarantine)
    assert (quarantine.count, files(root), list((root / "tmp").iterdir())) == (0, [], [])
    keep(quarantine)


def test_a_folder_that_cannot_be_made_is_unavailable(root: Path) -> None:
    root.write_bytes(b"")
    with pytest.raises(Unavailable):
        Quarantine(root)


# --- crashes ---------------------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-4", "DU-1")
@pytest.mark.parametrize("discarding", [False, True])
def test_a_kill_between_any_two_steps_leaves_an_entry_whole_or_not_at_all(
    root: Path, tmp_path: Path, monkeypatch: Patch, discarding: bool
) -> None:
    """Every rename, unlink and sync is a place to be killed at; the folder of that moment is copied and opened."""
    quarantine = Quarantine(root)
    other = keep(quarantine, "other.pdf")
    victim = keep(quarantine) if discarding else ""
    moments: list[Path] = []

    def watched(name: str) -> None:
        real = getattr(os, name)

        def step(*args: object, **more: object) -> object:
            moments.append(Path(shutil.copytree(root, tmp_path / f"moment-{len(moments)}")))
            return real(*args, **more)

        monkeypatch.setattr(os, name, step)

    for name in ("fsync", "rename", "unlink"):
        watched(name)
    if discarding:
        quarantine.discard(victim)
    else:
        keep(quarantine)
    monkeypatch.undo()
    moments.append(root)
    assert len(moments) > 3
    for moment in moments:
        after = Quarantine(moment)
        assert after.read(other) == b"%PDF-garbage"
        for entry in after.entries():
            assert after.read(entry.id) == b"%PDF-garbage"
        assert len(files(moment)) == 2 * after.count, moment
        assert list((moment / "tmp").iterdir()) == []
    assert Quarantine(root).count == (1 if discarding else 2)


def test_what_is_there_is_found_again(root: Path) -> None:
    quarantine = Quarantine(root)
    for i in range(20):
        keep(quarantine, f"fax-{i % 3}.pdf", b"x" * i, at_ms=i)
    again = Quarantine(root)
    assert again.entries() == quarantine.entries()
    assert (again.count, again.size) == (20, sum(range(20)))


def test_what_somebody_else_has_put_there_is_left_alone(root: Path) -> None:
    keep(Quarantine(root))
    (root / "README").write_bytes(b"notes")
    (root / "x.reason.json").write_bytes(b"not ours")
    evil = (root / "fax.pdf.reason.json").read_text().replace('"file": "fax.pdf"', '"file": "../../secret"')
    (root / "evil.reason.json").write_text(evil)
    quarantine = Quarantine(root)
    assert quarantine.count == 1
    assert {"README", "x.reason.json", "evil.reason.json"} <= set(files(root))
