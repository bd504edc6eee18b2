"""A digest gets out only when its content will still be there after a power cut."""

import asyncio
import errno
import hashlib
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from router.errors import BadMessage, NotFound, Overloaded, TooLarge, Unavailable
from router.service import blobs, spool
from router.service.blobs import LARGE, BlobSettings, BlobStore


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def store(root: Path) -> Iterator[BlobStore]:
    store = BlobStore(root)
    yield store
    store.close()


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def failing(*_: object) -> NoReturn:
    raise OSError(28, "No space left on device")


def names_in(root: Path) -> set[str]:
    return {path.name for path in root.glob("??/*")}


# --- what is kept ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 4_096, LARGE - 1, LARGE, 3_000_000])
async def test_content_comes_back_under_its_hash(store: BlobStore, root: Path, size: int) -> None:
    data = random.Random(size).randbytes(size)
    blob = await store.put(data, "text/plain", "a.txt")
    assert (blob.digest, blob.size, blob.media_type, blob.name) == (digest_of(data), size, "text/plain", "a.txt")
    assert store.path(blob.digest) == root / blob.digest[:2] / blob.digest
    assert store.read(blob.digest) == await store.get(blob.digest) == data
    with store.open(blob.digest) as file:
        assert file.read() == data


async def test_the_same_content_is_kept_once(store: BlobStore) -> None:
    first = await store.put(b"same")
    made = store.path(first.digest).stat()
    again, blocking, _ = await asyncio.gather(
        store.put(b"same"), asyncio.to_thread(store.put_now, b"same"), store.put(b"other")
    )
    assert again == blocking == first
    assert store.path(first.digest).stat().st_ino == made.st_ino


async def test_what_waits_together_is_made_durable_together(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.put(b"the first prepares the folders")
    syncs: list[int] = []
    monkeypatch.setattr(os, "fsync", syncs.append)
    monkeypatch.setattr(os, "fdatasync", syncs.append)
    with store._mutex:
        puts = [asyncio.create_task(store.put(b"content %d" % i)) for i in range(50)]
        await asyncio.sleep(0)  # all of them are in the queue, the writer stands before the mutex with what it has
    done = await asyncio.gather(*puts)
    assert len({blob.digest for blob in done}) == 50
    assert len(syncs) <= 2


@pytest.mark.parametrize("digest", ["", "ab", "../../etc/passwd", "A" * 64, "a" * 63 + "/", "a" * 64 + "\n", "٣" * 64])
def test_what_is_no_digest_leads_nowhere(store: BlobStore, digest: str) -> None:
    assert not store.exists(digest)
    for look in (store.path, store.open, store.read):
        with pytest.raises(NotFound):
            look(digest)


async def test_content_that_is_not_there_or_damaged_is_not_found(store: BlobStore) -> None:
    digest = (await store.put(b"content")).digest
    assert store.exists(digest)
    store.path(digest).write_bytes(b"c0ntent")
    with pytest.raises(NotFound, match="damaged"):
        store.read(digest)
    store.path(digest).unlink()
    with pytest.raises(NotFound):
        store.read(digest)
    assert not store.exists(digest)


def test_reading_changes_nothing_on_the_disk(store: BlobStore, root: Path) -> None:
    assert not store.exists("a" * 64)
    assert not root.exists()


# --- files -----------------------------------------------------------------------------------------------------------


async def test_a_file_is_kept_without_being_loaded(store: BlobStore, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(2_500_000)
    (tmp_path / "scan.pdf").write_bytes(data)
    blob = await store.put_file(tmp_path / "scan.pdf", "application/pdf", "scan.pdf")
    assert (blob.digest, blob.size) == (digest_of(data), len(data))
    assert store.read(blob.digest) == data
    assert (tmp_path / "scan.pdf").exists()
    assert list((store.root / "tmp").iterdir()) == []


async def test_a_file_beyond_the_limit_is_refused_and_leaves_nothing(root: Path, tmp_path: Path) -> None:
    store = BlobStore(root, BlobSettings(max_file_bytes=1_000))
    (tmp_path / "scan.pdf").write_bytes(bytes(1_001))
    with pytest.raises(TooLarge):
        await store.put_file(tmp_path / "scan.pdf")
    assert list((root / "tmp").iterdir()) == []
    assert names_in(root) == set()


async def test_only_plain_files_are_opened(store: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="symbolic"):
        await store.put_file(tmp_path / "link")
    with pytest.raises(BadMessage):
        await store.put_file(tmp_path / "pipe")
    with pytest.raises(BadMessage):
        await store.put_file(tmp_path)
    with pytest.raises(FileNotFoundError):
        await store.put_file(tmp_path / "gone")


# --- crashes ---------------------------------------------------------------------------------------------------------


def power_cut(root: Path, folder: Path, rng: random.Random) -> Path:
    """What a power cut may leave: of files that were never synced nothing, an empty one, or wrong bytes."""
    shutil.copytree(root, folder)
    for path in folder.glob("??/*"):
        size = path.stat().st_size
        if size < LARGE and rng.random() < 0.5:
            path.unlink()
        elif size < LARGE:
            path.write_bytes(bytes(rng.choice([0, size])))
    (folder / "tmp" / "7").write_bytes(b"half")
    return folder


@pytest.mark.promise("IN-7", "DU-1")
@pytest.mark.parametrize("seed", range(3))
async def test_after_a_power_cut_everything_that_put_returned_for_is_there(
    store: BlobStore, root: Path, tmp_path: Path, seed: int
) -> None:
    print(f"seed={seed}")
    rng = random.Random(seed)
    contents = [rng.randbytes(rng.choice([0, 10, 4_000, LARGE])) + b"%d" % i for i in range(30)]
    await asyncio.gather(*(store.put(data) for data in contents))
    after = BlobStore(power_cut(root, tmp_path / "after", rng))
    await after.put(b"the first put of the next process")
    assert [after.read(digest_of(data)) for data in contents] == contents
    assert list((after.root / "tmp").iterdir()) == []
    after.close()


async def test_a_pack_that_ends_anywhere_gives_the_contents_before(store: BlobStore, root: Path) -> None:
    for i in range(8):
        await store.put(b"content %d" % i * 20)
    (pack,) = (root / "spool").iterdir()
    raw = pack.read_bytes()
    for cut in range(0, len(raw), 13):
        pack.write_bytes(raw[:cut])
        seen = list(spool.contents_of(pack))
        whole = [i for i in range(8) if cut >= (i + 1) * len(raw) // 8]
        assert seen == [(digest_of(b"content %d" % i * 20), b"content %d" % i * 20) for i in whole]


async def test_packs_go_once_the_files_are_synced(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "PACK_BYTES", 2_000)
    store = BlobStore(root)
    for i in range(40):
        await store.put(b"%d" % i * 300)
    assert store._folding is not None
    store.close()
    assert list((root / "spool").iterdir()) == []
    assert len(names_in(root)) == 40


@pytest.mark.parametrize("can_sync_all", [True, False])
async def test_a_closed_store_needs_no_pack(root: Path, monkeypatch: pytest.MonkeyPatch, can_sync_all: bool) -> None:
    if not can_sync_all:
        monkeypatch.setattr(spool, "_syncfs", None)
    store = BlobStore(root)
    digest = (await store.put(b"content")).digest
    store.close()
    assert list((root / "spool").iterdir()) == []
    assert BlobStore(root).read(digest) == b"content"


async def test_packs_stay_when_the_files_cannot_be_synced(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = BlobStore(root)
    await store.put(b"content")
    monkeypatch.setattr(blobs, "sync_filesystem", failing)
    store.close()
    assert len(list((root / "spool").iterdir())) == 1
    monkeypatch.undo()
    after = BlobStore(root)
    await after.put(b"other")
    assert after.read(digest_of(b"content")) == b"content"
    after.close()
    assert list((root / "spool").iterdir()) == []


# --- a disk that fails -----------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-2", "DU-2")
@pytest.mark.parametrize("size", [100, LARGE])
@pytest.mark.parametrize("call", ["fsync", "fdatasync", "rename", "write", "open"])
async def test_when_the_disk_fails_nothing_is_there_and_when_it_works_again_all_goes_on(
    store: BlobStore, root: Path, monkeypatch: pytest.MonkeyPatch, call: str, size: int
) -> None:
    await store.put(b"before")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        results = await asyncio.gather(*(store.put(bytes([i]) * size) for i in range(5)), return_exceptions=True)
    # Small contents need no fsync once there is a pack and no rename, large ones no fdatasync.
    spared = (call, size) in (("fsync", 100), ("rename", 100), ("fdatasync", LARGE))
    assert all(isinstance(result, Unavailable) != spared for result in results)
    assert len(names_in(root)) == (6 if spared else 1)
    assert list((root / "tmp").iterdir()) == []
    again = await asyncio.gather(*(store.put(bytes([i]) * size) for i in range(5)))
    assert [store.read(blob.digest) for blob in again] == [bytes([i]) * size for i in range(5)]


@pytest.mark.promise("IN-2")
async def test_a_disk_that_fills_up_between_two_files_leaves_no_half_one(
    store: BlobStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.put(b"before")
    contents, left, real = [bytes([i]) * 100 for i in range(5)], [4], os.write

    def filling(fd: int, data: bytes) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "no space left on device")
        return real(fd, data[:40]) if left[0] == 0 else real(fd, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", filling)
        results = await asyncio.gather(*(store.put(data) for data in contents), return_exceptions=True)
    assert any(isinstance(result, Unavailable) for result in results)
    assert left[0] < 0
    for digest in names_in(root):
        assert digest_of(store.read(digest)) == digest
    for data in contents:
        assert store.read((await store.put(data)).digest) == data


@pytest.mark.promise("IN-7")
async def test_half_of_a_file_that_a_killed_process_left_is_replaced(store: BlobStore, root: Path) -> None:
    await store.put(b"before")
    digest = digest_of(b"content")
    (root / digest[:2] / digest).write_bytes(b"cont")
    assert store.read((await store.put(b"content")).digest) == b"content"
    assert list((root / "tmp").iterdir()) == []


async def test_a_failed_file_is_unavailable_and_leaves_nothing(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scan.pdf").write_bytes(b"scan")
    await store.put(b"before")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(Unavailable):
            await store.put_file(tmp_path / "scan.pdf")
    assert list((store.root / "tmp").iterdir()) == []
    assert not store.exists(digest_of(b"scan"))


@pytest.mark.promise("IN-7")
async def test_content_that_somebody_was_told_of_outlives_a_failure_to_put_it_again(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scan.pdf").write_bytes(b"scan")
    digest = (await store.put(b"scan")).digest
    with monkeypatch.context() as patch:
        patch.setattr(blobs, "sync_folder", failing)
        for again in (store.put(b"scan"), store.put_file(tmp_path / "scan.pdf")):
            with pytest.raises(Unavailable):
                await again
    assert store.read(digest) == b"scan"
    assert list((store.root / "tmp").iterdir()) == []


async def test_a_start_that_failed_half_way_is_done_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = BlobStore(root)
    digest = (await killed.put(b"content")).digest
    killed.path(digest).unlink()  # it was never synced
    store = BlobStore(root)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", failing)
        with pytest.raises(Unavailable):
            await store.put(b"other")
    await store.put(b"other")
    assert store.read(digest) == b"content"
    for each in (store, killed):
        each.close()


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_bytes(b"a file where the folder should be")
    store = BlobStore(tmp_path / "blobs")
    with pytest.raises(Unavailable):
        await store.put(b"content")
    store.close()


async def test_a_bug_in_the_writer_leaves_nobody_waiting(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(_: object) -> NoReturn:
        raise ValueError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(store, "_keep", bug)
        with pytest.raises(Unavailable, match="ValueError"):
            await store.put(b"content")
    await store.put(b"content")


# --- bounds and ends -------------------------------------------------------------------------------------------------


@pytest.mark.promise("OB-3")
@pytest.mark.parametrize(
    ("settings", "size"),
    [(BlobSettings(max_waiting=3), 1), (BlobSettings(max_waiting_bytes=3 << 20), 1 << 20)],
)
async def test_more_than_may_wait_is_refused_and_what_waits_is_kept(
    root: Path, settings: BlobSettings, size: int
) -> None:
    store = BlobStore(root, settings)
    with store._mutex:
        puts = [asyncio.create_task(store.put(bytes([i]) * size)) for i in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await store.put(b"x" * size)
    assert len(await asyncio.gather(*puts)) == 3
    await store.put(b"x" * size)
    store.close()


async def test_one_is_admitted_however_large(root: Path) -> None:
    store = BlobStore(root, BlobSettings(max_waiting_bytes=1 << 20))
    assert (await store.put(bytes(2 << 20))).size == 2 << 20
    store.close()


async def test_who_gives_up_waiting_disturbs_nobody(store: BlobStore) -> None:
    with store._mutex:
        impatient, patient = (asyncio.create_task(store.put(data)) for data in (b"one", b"two"))
        await asyncio.sleep(0)
        impatient.cancel()
    assert (await patient).digest == digest_of(b"two")
    assert impatient.cancelled()


async def test_closing_keeps_what_was_given_and_takes_nothing_more(root: Path) -> None:
    store = BlobStore(root)
    puts = [asyncio.create_task(store.put(b"%d" % i)) for i in range(200)]
    await asyncio.sleep(0)
    store.close()
    store.close()
    assert len(await asyncio.gather(*puts)) == 200
    assert len(names_in(root)) == 200
    with pytest.raises(Unavailable):
        await store.put(b"more")


def test_nobody_else_on_the_machine_may_read_it(store: BlobStore) -> None:
    digest = store.put_now(b"private").digest
    assert store.path(digest).stat().st_mode & 0o077 == 0
    assert store.root.stat().st_mode & 0o077 == 0
