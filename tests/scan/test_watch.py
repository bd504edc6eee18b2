"""When a file counts as complete. No clock runs and no disk turns: listings and times are data."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.scan.settings import Folder
from channels.scan.watch import Item, Leftover, Seen, Watch
from router.engine.config import Duration

SETTLE = 2_000
WAIT = 10_000
ORPHAN = 600_000


@dataclass
class Virtual:
    """A folder with a clock of its own; whatever is reported complete is taken out, as the shell does."""

    watch: Watch = field(default_factory=lambda: Watch(Folder()))
    now_ms: int = 1_000_000
    files: dict[str, Seen] = field(default_factory=dict)
    taken: list[Item | Leftover] = field(default_factory=list)
    inodes: int = 0

    def create(self, name: str, size: int = 10, locked: bool = False) -> None:
        self.inodes += 1
        self.files[name] = Seen(name, size, self.now_ms * 1_000_000, self.now_ms * 1_000_000, self.inodes, locked)

    def write(self, name: str, size: int, locked: bool = False) -> None:
        at_ns = self.now_ms * 1_000_000
        self.files[name] = Seen(name, size, at_ns, at_ns, self.files[name].inode, locked)

    def rename(self, old: str, new: str) -> None:
        file = self.files.pop(old)
        self.files[new] = Seen(new, file.size, file.mtime_ns, self.now_ms * 1_000_000, file.inode)

    def unlock(self, name: str) -> None:
        file = self.files[name]
        self.files[name] = Seen(name, file.size, file.mtime_ns, file.ctime_ns, file.inode)

    def look(self) -> list[Item | Leftover]:
        found = self.watch.observe(self.files.values(), self.now_ms)
        for one in found:
            gone = [one.file] if isinstance(one, Leftover) else [*one.documents, *filter(None, [one.sidecar])]
            for file in gone:
                assert self.files.pop(file.name) == file
        self.taken += found
        return found

    def later(self, ms: int) -> list[Item | Leftover]:
        """Look now and after `ms`."""
        before = self.look()
        self.now_ms += ms
        return before + self.look()

    def names(self) -> list[str]:
        return [one.documents[0].name for one in self.taken if isinstance(one, Item)]


def folder(**changes: object) -> Virtual:
    return Virtual(Watch(Folder(**changes)))  # type: ignore[arg-type]


# --- one file ---------------------------------------------------------------------------------------------------------


def test_a_file_is_complete_when_it_has_not_changed_for_the_settling_time() -> None:
    drop = Virtual()
    drop.create("a.tif")
    assert drop.later(SETTLE - 1) == []
    drop.now_ms += 1
    assert [one.documents[0].name for one in drop.look() if isinstance(one, Item)] == ["a.tif"]


def test_each_write_starts_the_wait_again() -> None:
    drop = Virtual()
    drop.create("a.tif", size=1)
    for size in range(2, 20):
        assert drop.later(SETTLE - 100) == []
        drop.write("a.tif", size)
    assert drop.later(SETTLE - 1) == []
    assert drop.later(1)


def test_a_change_that_keeps_size_and_date_is_noticed() -> None:
    drop = Virtual()
    drop.create("a.tif")
    drop.look()
    drop.now_ms += 1_500
    file = drop.files["a.tif"]
    drop.files["a.tif"] = Seen("a.tif", file.size, file.mtime_ns, file.ctime_ns + 1, file.inode)
    assert drop.later(SETTLE - 1) == []


def test_a_locked_file_is_never_complete_however_long_it_pauses() -> None:
    """HylaFAX holds a lock while the call runs, and a page may take a minute."""
    drop = Virtual()
    drop.create("fax000000001.tif", locked=True)
    for _ in range(100):
        assert drop.later(10 * SETTLE) == []
    drop.unlock("fax000000001.tif")
    assert drop.later(SETTLE)


def test_a_lock_is_asked_for_only_where_all_else_is_settled() -> None:
    drop = Virtual()
    drop.create("a.tif")
    file = drop.files["a.tif"]
    assert not drop.watch.quiet(file, drop.now_ms)
    drop.look()
    assert not drop.watch.quiet(file, drop.now_ms + SETTLE - 1)
    assert drop.watch.quiet(file, drop.now_ms + SETTLE)


@pytest.mark.parametrize("name", ["scan001.tif.part", ".fax.tif", "a.TMP", "b.tif~", "~$c.pdf", "d.crdownload"])
def test_a_name_that_says_unfinished_is_never_taken(name: str) -> None:
    drop = Virtual()
    drop.create(name)
    assert drop.later(100 * ORPHAN) == []


def test_a_file_renamed_into_place_is_complete_after_one_settling_time() -> None:
    drop = Virtual()
    drop.create("scan001.tif.part")
    drop.later(60_000)
    drop.rename("scan001.tif.part", "scan001.tif")
    assert drop.later(SETTLE - 1) == []
    drop.later(1)
    assert drop.names() == ["scan001.tif"]


def test_a_name_used_again_is_another_file() -> None:
    drop = Virtual()
    for _ in range(3):
        drop.create("scan.tif")
        drop.later(SETTLE)
        drop.now_ms += 1
    assert drop.names() == ["scan.tif"] * 3
    assert len({one.documents[0].inode for one in drop.taken if isinstance(one, Item)}) == 3


def test_a_name_used_again_before_the_first_file_was_taken_starts_anew() -> None:
    drop = Virtual()
    drop.create("scan.tif")
    drop.later(SETTLE - 1)
    drop.create("scan.tif")
    assert drop.later(SETTLE - 1) == []


def test_without_a_settling_time_a_file_is_taken_at_first_sight() -> None:
    drop = folder(settle=Duration(0))
    drop.create("a.tif")
    assert drop.watch.quiet(drop.files["a.tif"], drop.now_ms)
    assert drop.look()


def test_what_was_put_off_comes_back_when_its_time_has_come() -> None:
    drop = Virtual()
    drop.create("a.tif")
    drop.look()
    drop.watch.postpone("a.tif", drop.now_ms + 30_000)
    assert drop.later(29_999) == []
    assert drop.later(1)


def test_what_was_put_off_comes_back_at_once_when_it_is_another_file() -> None:
    drop = Virtual()
    drop.create("a.tif")
    drop.look()
    drop.watch.postpone("a.tif", drop.now_ms + 30_000)
    drop.create("a.tif")
    assert drop.later(SETTLE)


def test_what_is_complete_is_reported_until_it_is_gone() -> None:
    watch = Watch(Folder(settle=Duration(0)))
    file = Seen("a.tif", 1, 1, 1, 1)
    assert watch.observe([file], 0) == watch.observe([file], 1) == [Item((file,))]
    assert watch.observe([], 2) == []


def test_first_come_first_taken() -> None:
    drop = Virtual()
    for name in ("c.tif", "a.tif", "b.tif"):
        drop.create(name)
        drop.now_ms += 10
    drop.later(SETTLE)
    assert drop.names() == ["c.tif", "a.tif", "b.tif"]


def test_an_empty_file_waits_for_its_content_and_is_given_up_in_the_end() -> None:
    drop = Virtual()
    drop.create("a.tif", size=0)
    assert drop.later(ORPHAN - 1) == []
    found = drop.later(1)
    assert isinstance(found[0], Leftover)
    assert found[0].code == "empty-file"


# --- sidecars ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fax1.json", "fax1.tif.json"])
@pytest.mark.parametrize("first", ["document", "sidecar"])
def test_a_sidecar_may_come_before_or_after_its_document(name: str, first: str) -> None:
    drop = Virtual()
    for one in ("fax1.tif", name) if first == "document" else (name, "fax1.tif"):
        drop.create(one)
        drop.later(SETTLE - 500)
    drop.later(SETTLE)
    [item] = drop.taken
    assert isinstance(item, Item)
    assert item.sidecar is not None
    assert item.sidecar.name == name
    assert not drop.files


def test_a_document_waits_for_a_sidecar_that_is_being_written_but_not_for_ever() -> None:
    drop = Virtual()
    drop.create("fax1.tif")
    drop.look()
    for size in range((SETTLE + WAIT) // 1_000):
        drop.create("fax1.json", size=size)
        assert drop.later(1_000 - (size == (SETTLE + WAIT) // 1_000 - 1)) == []
    [item] = drop.later(1)
    assert isinstance(item, Item)
    assert item.sidecar is None
    assert item.sidecar_late


def test_where_a_sidecar_is_expected_the_document_waits_for_it() -> None:
    drop = folder(expects_sidecar=True)
    drop.create("fax1.tif")
    assert drop.later(SETTLE + WAIT - 1) == []
    [item] = drop.later(1)
    assert isinstance(item, Item)
    assert item.sidecar_late


def test_an_expected_sidecar_that_comes_late_is_still_taken_along() -> None:
    drop = folder(expects_sidecar=True)
    drop.create("fax1.tif")
    drop.later(WAIT)
    drop.create("fax1.json")
    assert drop.later(SETTLE - 1) == []
    [item] = drop.later(1)
    assert isinstance(item, Item)
    assert item.sidecar is not None


def test_a_sidecar_without_a_document_is_given_up_in_the_end() -> None:
    drop = Virtual()
    drop.create("fax1.json")
    assert drop.later(ORPHAN - 1) == []
    [found] = drop.later(1)
    assert isinstance(found, Leftover)
    assert found.code == "orphan-sidecar"


def test_a_sidecar_stays_as_long_as_its_document_grows() -> None:
    drop = Virtual()
    drop.create("fax1.json")
    drop.create("fax1.tif", locked=True)
    for _ in range(10):
        assert drop.later(ORPHAN) == []
    drop.unlock("fax1.tif")
    [item] = drop.later(SETTLE)
    assert isinstance(item, Item)
    assert item.sidecar is not None


def test_one_sidecar_belongs_to_one_document() -> None:
    drop = Virtual()
    for name in ("fax1.pdf", "fax1.tif", "fax1.json"):
        drop.create(name)
    drop.later(SETTLE)
    assert [one.sidecar is not None for one in drop.taken if isinstance(one, Item)] == [True, False]


# --- several files for one item ---------------------------------------------------------------------------------------


def test_pages_are_one_item_once_no_more_come() -> None:
    drop = folder(page_gap=Duration(5_000))
    for number in (1, 2, 10):
        drop.create(f"scan{number:03}.tif")
        assert drop.later(4_000) == []
    assert drop.later(999) == []
    [item] = drop.later(1)
    assert isinstance(item, Item)
    assert [file.name for file in item.documents] == ["scan001.tif", "scan002.tif", "scan010.tif"]


def test_pages_are_ordered_by_number_and_kept_apart_by_stem() -> None:
    drop = folder(page_gap=Duration(5_000))
    for name in ("b2.tif", "b10.tif", "a7.tif", "b9.tif", "cover.pdf"):
        drop.create(name)
    drop.later(5_000)
    found = {tuple(file.name for file in one.documents) for one in drop.taken if isinstance(one, Item)}
    assert found == {("b2.tif", "b9.tif", "b10.tif"), ("a7.tif",), ("cover.pdf",)}


# --- any writers, in any order ----------------------------------------------------------------------------------------


class Writer:
    """One peer dropping one document in its own way; `plan` are the pauses between its steps, in milliseconds."""

    def __init__(self, drop: Virtual, name: str, way: str, plan: list[int]) -> None:
        self.drop, self.name, self.way, self.plan = drop, name, way, list(plan)
        self.due_ms = drop.now_ms
        self.step = 0
        self.size = 0
        self.done = False

    def act(self) -> None:
        last = self.step >= len(self.plan)
        self.size += 7
        getattr(self, self.way)(last)
        self.done = last
        self.due_ms = self.drop.now_ms + (0 if last else self.plan[self.step])
        self.step += 1

    def in_place(self, last: bool) -> None:
        if self.step == 0:
            self.drop.create(self.name, self.size)
        else:
            self.drop.write(self.name, self.size)

    def locked(self, last: bool) -> None:
        if self.step == 0:
            self.drop.create(self.name, self.size, locked=not last)
        else:
            self.drop.write(self.name, self.size, locked=not last)

    def renamed(self, last: bool) -> None:
        part = self.name + ".part"
        if self.step == 0:
            self.drop.create(part, self.size)
        else:
            self.drop.write(part, self.size)
        if last:
            self.drop.rename(part, self.name)

    def abandoned(self, last: bool) -> None:
        if self.step == 0:
            self.drop.create(self.name + ".part", self.size)


WAYS = ("in_place", "locked", "renamed", "abandoned")
JOB = st.tuples(
    st.sampled_from(WAYS),
    st.integers(0, 20_000),  # when it begins
    st.lists(st.integers(1, SETTLE - 500), max_size=6),
    st.sampled_from(["", ".json", ".tif.json"]),
    st.integers(-1_200, 1_200),  # when its sidecar comes, counted from the beginning or the end
)


@given(jobs=st.lists(JOB, min_size=1, max_size=8), pace=st.integers(150, 450), reuse=st.booleans())
@settings(max_examples=200, deadline=None)
def test_every_completed_document_is_taken_exactly_once_and_whole(
    jobs: list[tuple[str, int, list[int], str, int]], pace: int, reuse: bool
) -> None:
    """Writers that pause less than the settling time, sidecars before and after, names used again, part files left."""
    drop = Virtual()
    start_ms = drop.now_ms
    agenda: list[tuple[int, Writer, str, int]] = []
    for number, (way, begin, plan, sidecar, shift) in enumerate(jobs):
        name = "scan.tif" if reuse else f"fax{number}.tif"
        begin = number * 30_000 if reuse else begin
        long_plan = [pause * 10 for pause in plan] if way == "locked" else plan
        agenda.append((start_ms + begin, Writer(drop, name, way, long_plan[: 6 if not reuse else 2]), sidecar, shift))
    expected: dict[tuple[str, int], int] = {}
    sidecars_at = {
        index: at + (shift if shift < 0 else sum(writer.plan) + shift)
        for index, (at, writer, _, shift) in enumerate(agenda)
    }
    running = dict(enumerate(agenda))
    while running or sidecars_at:
        for index, (at, writer, _, _) in list(running.items()):
            if drop.now_ms >= max(at, writer.due_ms if writer.step else 0):
                writer.act()
                if writer.done:
                    del running[index]
                    if writer.way != "abandoned":
                        file = drop.files[writer.name]
                        expected[writer.name, file.inode] = file.size
        for index, at in list(sidecars_at.items()):
            if drop.now_ms >= at:
                _, writer, sidecar, _ = agenda[index]
                if sidecar and writer.way != "abandoned" and not reuse:
                    drop.create(writer.name.removesuffix(".tif") + sidecar)
                del sidecars_at[index]
        drop.look()
        drop.now_ms += pace
    for _ in range((WAIT + 2 * SETTLE) // pace + 1):
        drop.look()
        drop.now_ms += pace
    documents = [one.documents[0] for one in drop.taken if isinstance(one, Item)]
    assert {(file.name, file.inode): file.size for file in documents} == expected
    assert len(documents) == len(expected)
    assert all(name.endswith((".part", ".json")) for name in drop.files)
    if not reuse:
        with_sidecar = {one.documents[0].name for one in drop.taken if isinstance(one, Item) and one.sidecar}
        wanted = {writer.name for _, writer, sidecar, shift in agenda if sidecar and writer.way != "abandoned"}
        assert with_sidecar == wanted
