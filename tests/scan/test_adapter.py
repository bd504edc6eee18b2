"""Files in, interactions out: on real folders, with real decoders."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest
from watchfiles._rust_notify import RustNotify

from channels.scan import drop
from channels.scan.adapter import ScanAdapter
from channels.scan.settings import Folder, Settings
from channels.scan.watch import Seen
from router.engine import commands as c
from router.engine.config import Duration, Timeout
from router.engine.views import Outbound
from router.errors import BadMessage, ConfigError, Draining, NoRoute, Overloaded, RouterError, Unavailable, UnknownName
from router.service.ports import DeliveryFailed
from router.service.quarantine import QuarantineSettings
from tests.scan import pictures
from tests.scan.corpora import scans
from tests.scan.support import SETTLE_MS, World, one_folder, running
from tests.support.waiting import until

pytestmark = pytest.mark.filterwarnings("error")


OUTBOUND = Outbound(
    outbound=1,
    at_ms=0,
    action="message",
    channel="fax",
    interaction=1,
    threads=(),
    sender="",
    recipient="",
    subject="",
    attributes={},
)


# --- recorded ---------------------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-1", "IN-2", "IN-7")
async def test_a_fax_becomes_one_interaction_and_the_folder_is_emptied(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        data = pictures.fax(3, imagedescription="+1 555 0199", software="HylaFAX 6.0.7")
        world.drop("fax000000001.tif", data)
        await world.settle()
        [arrive] = world.arrived
        assert (arrive.channel, arrive.recipient, arrive.sender) == ("fax", "fax", "+1 555 0199")
        assert arrive.identities == ("tel:+15550199",)
        assert (arrive.attributes["pages"], arrive.attributes["condition"]) == ("3", "ok")
        assert world.content(arrive) == data
        assert world.blob(arrive).media_type == "image/tiff"
        assert world.left() == []


@pytest.mark.promise("IN-1")
@pytest.mark.parametrize(
    ("name", "data", "media_type"),
    [
        ("letter.pdf", pictures.pdf(2), "application/pdf"),
        ("letter.jpg", pictures.jpeg(), "image/jpeg"),
        ("letter.png", pictures.png(), "image/png"),
        ("page.g3", b"\x00\x13\x54\xc1\xa0", "image/g3fax"),
    ],
    ids=["pdf", "jpeg", "png", "g3"],  # the PDF holds the time at which it was made
)
async def test_each_kind_of_scan_is_taken(tmp_path: Path, name: str, data: bytes, media_type: str) -> None:
    async with running(tmp_path) as world:
        world.drop(name, data, "mail")
        await world.settle()
        [arrive] = world.arrived
        assert (arrive.channel, arrive.recipient) == ("mail", "mail")
        assert world.blob(arrive).media_type == media_type


async def test_a_sidecar_is_taken_along(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.drop("fax1.tif", pictures.fax())
        world.drop("fax1.json", {"from": "+15550199", "to": "+15550100", "attributes": {"line": "2"}})
        await world.settle()
        [arrive] = world.arrived
        assert (arrive.sender, arrive.recipient, arrive.attributes["line"]) == ("+15550199", "+15550100", "2")
        assert world.left() == []


async def test_where_a_sidecar_was_expected_in_vain_the_document_says_so(tmp_path: Path) -> None:
    async with running(tmp_path, one_folder(expects_sidecar=True)) as world:
        world.drop("fax1.tif", pictures.fax())
        await world.settle()
        assert world.arrived == []
        await world.settle(ms=10_000)
        assert world.arrived[0].attributes["sidecar"] == "missing"


@pytest.mark.promise("IN-4")
@pytest.mark.parametrize("sidecar", [b"{", b'{"from": 1}', b"{" + b" " * 70_000 + b"}"])
async def test_a_sidecar_that_makes_no_sense_costs_nobody_the_document(tmp_path: Path, sidecar: bytes) -> None:
    async with running(tmp_path) as world:
        world.drop("fax1.tif", pictures.fax())
        world.drop("fax1.json", sidecar)
        await world.settle()
        assert world.arrived[0].attributes["sidecar"] == "unreadable"
        assert [(kept.name, kept.code, kept.raw) for kept in world.kept] == [("fax1.json", "bad-sidecar", sidecar)]
        assert world.left() == []


async def test_pages_in_files_of_their_own_join_one_interaction(tmp_path: Path) -> None:
    async with running(tmp_path, one_folder(page_gap=Duration(5_000))) as world:
        for number in (1, 2, 3):
            world.drop(f"scan{number:03}.png", pictures.png(30 + number))
        world.drop("cover.pdf", pictures.pdf())
        await world.settle(3)
        assert world.interactions == 2
        pages = [one for one in world.arrived if one.attributes["file"].startswith("scan")]
        assert [one.attributes["file"] for one in pages] == ["scan001.png", "scan002.png", "scan003.png"]
        assert len({one.threads for one in pages}) == 1
        assert pages[0].attributes["pages"] == "3"
        assert world.left() == []


@pytest.mark.promise("IN-3")
async def test_the_same_bytes_dropped_twice_on_purpose_are_two_faxes(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        data = pictures.fax()
        for name in ("fax1.tif", "fax1.tif", "fax2.tif"):
            world.drop(name, data)
            await world.settle()
        assert world.interactions == 3
        assert len({world.blob(arrive).digest for arrive in world.arrived}) == 1


async def test_writers_that_are_not_done_are_left_in_peace(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.drop("scan001.tif.part", pictures.fax())
        path = world.drop("fax1.tif", pictures.fax())
        with path.open("ab") as writer:
            fcntl.flock(writer, fcntl.LOCK_EX)
            await world.settle(5)
            assert world.arrived == []
        await world.settle(2)
        assert [arrive.attributes["file"] for arrive in world.arrived] == ["fax1.tif"]
        assert world.left() == ["scan001.tif.part"]


async def test_links_pipes_and_folders_are_never_touched(tmp_path: Path) -> None:
    secret = tmp_path / "secret.tif"
    secret.write_bytes(pictures.fax())
    async with running(tmp_path) as world:
        (world.folder() / "link.tif").symlink_to(secret)
        (world.folder() / "hard.tif").mkdir()
        os.mkfifo(world.folder() / "pipe.tif")
        await world.settle(3)
        assert world.desk.commands == []
        assert world.kept == []
        assert world.adapter.health().figures["not_files"] == 3


@pytest.mark.parametrize("name", [b"\xff\xfe.tif", b"new\nline.tif", b"y" * 251 + b".tif", b"..tif.", b"-rf"])
async def test_odd_names_are_taken(tmp_path: Path, name: bytes) -> None:
    async with running(tmp_path) as world:
        with open(os.fsencode(world.folder()) + b"/x" + name[:254], "wb") as file:
            file.write(pictures.fax())
        await world.settle()
        assert len(world.arrived) == 1
        assert world.left() == []


# --- quarantined ------------------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-4", "IN-5")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"hello, this is text", "foreign"),
        (pictures.png()[:40], "unreadable"),
        (pictures.fax(6), "too-many-pages"),
        (pictures.png_header(30_000, 30_000), "too-many-pixels"),
        (b"II*\0" + b"x" * 200_000, "too-large"),
    ],
)
async def test_what_cannot_be_shown_goes_to_quarantine_and_the_next_is_taken(
    tmp_path: Path, data: bytes, code: str
) -> None:
    async with running(tmp_path, one_folder(max_file_bytes=100_000, max_pages=5)) as world:
        world.drop("bad.tif", data)
        world.drop("good.tif", pictures.fax())
        await world.settle()
        [kept] = world.kept
        assert (kept.entry.source, kept.name, kept.code, kept.raw) == ("scan.fax", "bad.tif", code, data)
        assert kept.entry.reason
        assert [arrive.attributes["file"] for arrive in world.arrived] == ["good.tif"]
        assert world.left() == []


async def test_the_sidecar_of_what_went_to_quarantine_is_kept_as_well(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.drop("fax1.tif", b"not a fax")
        world.drop("fax1.json", {"from": "+15550199"})
        await world.settle()
        assert {(kept.name, kept.code) for kept in world.kept} == {
            ("fax1.tif", "foreign"),
            ("fax1.json", "left-sidecar"),
        }


async def test_what_never_becomes_an_item_is_put_away_in_the_end(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.drop("fax1.json", {})
        world.drop("fax2.tif", b"")
        await world.settle(3)
        assert world.left() == ["fax1.json", "fax2.tif"]
        await world.settle(ms=600_000)
        assert {(kept.name, kept.code) for kept in world.kept} == {
            ("fax1.json", "orphan-sidecar"),
            ("fax2.tif", "empty-file"),
        }


async def test_what_the_engine_refuses_for_good_goes_to_quarantine(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.desk.refuse = lambda command: UnknownName("no such attribute")
        world.drop("fax1.tif", pictures.fax())
        await world.settle()
        assert [kept.code for kept in world.kept] == ["unknown-name"]


async def test_a_sidecar_that_leads_nowhere_costs_only_its_own_document(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        known = {("fax", "fax")}
        world.desk.known_recipients = known
        world.desk.refuse = lambda command: (
            None if isinstance(command, c.Arrive) and ("fax", command.recipient) in known else NoRoute("no rule")
        )
        world.drop("fax1.tif", pictures.fax())
        world.drop("fax1.json", {"to": "nowhere"})
        world.drop("fax2.tif", pictures.fax())
        await world.settle()
        assert {kept.code for kept in world.kept} == {"no-route", "left-sidecar"}
        assert [arrive.attributes["file"] for arrive in world.arrived] == ["fax2.tif"]


async def test_while_the_routing_plan_forgets_a_folder_its_files_stay(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.desk.known_recipients = set()
        world.desk.refuse = lambda command: NoRoute("no rule")
        world.drop("fax1.tif", pictures.fax())
        await world.settle()
        assert world.left() == ["fax1.tif"]
        assert "no rule takes fax to 'fax'" in world.adapter.health().detail
        world.desk.known_recipients, world.desk.refuse = None, lambda command: None
        await world.settle(ms=60_000)
        assert world.left() == []


@pytest.mark.promise("IN-4")
async def test_an_operator_can_have_a_file_taken_once_more(tmp_path: Path) -> None:
    async with running(tmp_path, one_folder(max_pages=2)) as world:
        data = pictures.fax(3)
        world.drop("fax1.tif", data)
        await world.settle()
        [kept] = world.kept
        with pytest.raises(BadMessage):
            await world.adapter.requeue_hooks()["scan.fax"](kept.raw, kept.entry)
        world.settings = one_folder(max_pages=3)
        await world.restart()
        for _ in range(2):
            await world.adapter.requeue_hooks()["scan.fax"](kept.raw, kept.entry)
        assert world.interactions == 1
        assert world.content(world.arrived[0]) == data


# --- left in place ----------------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-2")
@pytest.mark.parametrize("refusal", [Overloaded("full"), Unavailable("disk"), Draining("stopping")])
async def test_what_cannot_be_recorded_stays_and_comes_back_later(tmp_path: Path, refusal: RouterError) -> None:
    async with running(tmp_path) as world:
        await world.adapter.start()
        for number in range(20):
            world.drop(f"fax{number}.tif", pictures.fax())
        asked: list[c.AnyCommand] = []

        def refuse(command: c.AnyCommand) -> RouterError:
            asked.append(command)
            return refusal

        world.desk.refuse = refuse
        await world.settle()
        assert len(world.left()) == 20
        assert len(asked) <= 3, "the first refusal stops the pass"
        assert not world.adapter.health().ok
        assert refusal.code in world.adapter.health().detail
        world.desk.refuse = lambda command: None
        await world.adapter.sweep()
        assert world.arrived == [], "not before the time that was asked for"
        await world.settle(3, ms=60_000)
        assert world.interactions == 20
        assert world.left() == []
        assert world.adapter.health().ok


@pytest.mark.promise("IN-2")
@pytest.mark.parametrize("where", ["blobs", "quarantine"])
async def test_a_disk_that_is_full_leaves_files_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    async with running(tmp_path) as world:
        world.drop("fax1.tif", pictures.fax() if where == "blobs" else b"foreign")
        with monkeypatch.context() as patch:
            if where == "blobs":

                async def full(path: Path) -> None:
                    raise Unavailable("no space left")

                patch.setattr(world.blobs, "put_file", full)
            else:

                async def refuse(**_: object) -> None:
                    raise Overloaded("the quarantine is full", 60)

                patch.setattr(world.quarantine, "keep", refuse)
            await world.settle()
            assert world.left() == ["fax1.tif"]
            says = {"blobs": "refused (unavailable)", "quarantine": "the quarantine is full"}[where]
            assert says in world.adapter.health().detail
        await world.settle(ms=60_000)
        assert world.left() == []


async def test_a_file_that_cannot_be_read_is_shown_and_does_not_hold_up_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as world:
        world.drop("secret.tif", pictures.fax())
        world.drop("open.tif", pictures.fax())
        really = drop.open_file

        def forbidden(path: Path) -> int:
            if path.name == "secret.tif":
                raise PermissionError(13, "Permission denied")
            return really(path)

        monkeypatch.setattr(drop, "open_file", forbidden)
        await world.settle()
        assert world.left() == ["secret.tif"]
        assert "fax: 1 files stay: Permission denied" in world.adapter.health().detail
        (world.folder() / "secret.tif").unlink()
        await world.settle()
        assert "stay" not in world.adapter.health().detail


@pytest.mark.promise("OB-1")
async def test_a_folder_from_which_nothing_can_be_taken_is_a_failure_and_a_single_file_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: Path) -> int:
        raise PermissionError(13, "Permission denied")

    async with running(tmp_path) as world:
        await world.adapter.start()
        with monkeypatch.context() as patch:
            patch.setattr(drop, "open_file", forbidden)
            world.drop("fax1.tif", pictures.fax())
            await world.settle(3, ms=60_000)
            assert world.adapter.health().ok
            for number in (2, 3):
                world.drop(f"fax{number}.tif", pictures.fax())
            await world.settle(3, ms=60_000)
            assert not world.adapter.health().ok
            assert "fax: nothing can be taken" in world.adapter.health().detail
        await world.settle(3, ms=60_000)
        assert world.adapter.health().ok
        assert world.left() == []


@pytest.mark.promise("IN-4")
async def test_a_fault_of_ours_in_one_file_does_not_end_the_channel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as world:
        world.drop("fax1.tif", pictures.fax())
        with monkeypatch.context() as patch:
            patch.setattr(drop, "check_unchanged", lambda folder, file: 1 / 0)
            await world.settle()
        assert "internal (ZeroDivisionError)" in world.adapter.health().detail
        await world.settle(ms=60_000)
        assert world.left() == []


@pytest.mark.promise("IN-2")
@pytest.mark.parametrize("when", ["while it is looked into", "while it is recorded"])
async def test_a_file_that_is_replaced_meanwhile_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    async with running(tmp_path) as world:
        first, second = pictures.fax(1), pictures.fax(2)
        world.drop("scan.tif", first)

        def replace() -> None:
            (world.folder() / "scan.tif").unlink()
            world.drop("scan.tif", second)
            world.desk.refuse = lambda command: None

        with monkeypatch.context() as patch:
            if when == "while it is looked into":
                put_file = world.blobs.put_file

                async def slow(path: Path) -> object:
                    patch.undo()
                    replace()
                    return await put_file(path)

                patch.setattr(world.blobs, "put_file", slow)
            else:
                world.desk.refuse = lambda command: replace()
            await world.settle()
        await world.settle(2)
        contents = [world.content(arrive) for arrive in world.arrived]
        assert contents == ([second] if when == "while it is looked into" else [first, second])
        assert world.left() == []


# --- crashes ----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


STEPS = ["inspect", "put_file", "fsync", "ask", "answered", "sidecar", "rename", "unlink", "sync"]


@pytest.mark.promise("IN-4")
async def test_a_crash_between_setting_aside_and_removing_sets_aside_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as world:
        world.drop("fax1.tif", b"not a fax")
        with monkeypatch.context() as patch:
            _kill_at(patch, world, "take out")
            with pytest.raises(Killed):
                await world.settle()
        assert len(world.kept) == 1
        await world.restart()
        await world.settle()
        assert len(world.kept) == 1
        assert world.left() == []


@pytest.mark.promise("IN-4")
async def test_a_full_quarantine_does_not_hold_up_what_can_be_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as world:
        for number in range(5):
            world.drop(f"bad{number}.tif", b"not a fax")
        for number in range(5):
            world.drop(f"good{number}.tif", pictures.fax())
        monkeypatch.setattr(world.quarantine, "_settings", QuarantineSettings(max_entries=1))
        await world.settle()
        assert world.interactions == 5
        assert len(world.left()) == 4
        assert "quarantine is full" in world.adapter.health().detail


@pytest.mark.promise("IN-4")
async def test_a_file_that_the_quarantine_can_never_take_stays_and_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, one_folder(max_file_bytes=2_000)) as world:
        await world.adapter.start()
        monkeypatch.setattr(world.quarantine, "_settings", QuarantineSettings(max_bytes=3_000))
        world.drop("huge.tif", b"x" * 3_001)
        world.drop("huge.tif.json", {"to": "sales"})
        world.drop("good.tif", pictures.fax())
        await world.settle()
        tried: list[object] = []
        monkeypatch.setattr(world.adapter._intake, "take", tried.append)
        await world.settle(passes=5, ms=3_600_000)
        assert (world.interactions, world.kept, tried) == (1, [], [])
        assert world.left() == ["huge.tif", "huge.tif.json"]
        health = world.adapter.health()
        assert "more than the quarantine takes" in health.detail
        assert (health.ok, health.figures["stuck"], health.figures["left"]) == (True, 1, 1)


@pytest.mark.promise("IN-2", "IN-3")
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("pages", [1, 3])
async def test_a_crash_between_any_two_steps_gives_exactly_one_interaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, pages: int
) -> None:
    settings = Settings(folders={"fax": Folder(page_gap=Duration(2_000 if pages > 1 else 0))})
    contents = [pictures.fax(page + 1) for page in range(pages)]
    async with running(tmp_path, settings) as world:
        for number, data in enumerate(contents, 1):
            world.drop(f"fax{number}.tif", data)
        world.drop("fax1.json", {"from": "+15550199"})
        await world.adapter.sweep()
        world.desk.now += SETTLE_MS
        with monkeypatch.context() as patch:
            _kill_at(patch, world, step)
            with pytest.raises(Killed):
                await world.adapter.sweep()
        world.desk.refuse = lambda command: None
        await world.restart()
        await world.settle(3)
        assert world.interactions == 1
        assert world.left() == []
        assert world.kept == []
        keys = {arrive.key: world.content(arrive) for arrive in world.arrived}
        assert sorted(keys.values()) == sorted(contents)


def _kill_at(patch: pytest.MonkeyPatch, world: World, step: str) -> None:
    def dead(*_: object, **__: object) -> None:
        raise Killed

    async def dead_later(*_: object, **__: object) -> None:
        raise Killed

    if step == "inspect":
        patch.setattr("channels.scan.inspector.Inspector.inspect", dead)
    elif step == "put_file":
        patch.setattr(world.blobs, "put_file", dead_later)
    elif step == "fsync":
        patch.setattr(drop, "settle_on_disk", dead)
    elif step == "take out":
        patch.setattr(drop, "take_out", dead)
    elif step == "ask":
        patch.setattr(world.desk, "ask", dead_later)
    elif step == "answered":
        ask = world.desk.ask

        async def recorded_then_dead(command: c.AnyCommand) -> None:
            await ask(command)
            raise Killed

        patch.setattr(world.desk, "ask", recorded_then_dead)
    elif step == "sidecar":
        take_out = drop.take_out

        def after_the_sidecar(folder: Path, file: Seen) -> None:
            take_out(folder, file)
            raise Killed

        patch.setattr(drop, "take_out", after_the_sidecar)
    else:
        documents = {"rename": "rename", "unlink": "unlink", "sync": "fsync"}
        real = getattr(os, documents[step])
        left = [1]  # the sidecar passes, its document does not

        def count_down(*arguments: object) -> object:
            if step == "sync" and not os.path.isdir(f"/proc/self/fd/{arguments[0]}"):
                return real(*arguments)
            if step != "sync" and not str(arguments[0]).endswith((".tif", ".json")):
                return real(*arguments)
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return real(*arguments)

        patch.setattr(os, documents[step], count_down)


# --- all of it --------------------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-2", "IN-4", "IN-7")
async def test_the_whole_collection_is_recorded_or_set_aside_byte_for_byte(tmp_path: Path) -> None:
    everything = {f"{path.parent.name}-{path.name}": path for path in scans()}
    async with running(tmp_path) as world:
        for name, path in everything.items():
            world.drop(name, path.read_bytes(), "mail")
        await world.settle()
        while world.left("mail"):
            before = len(world.left("mail"))
            await world.adapter.sweep()
            assert len(world.left("mail")) < before
        recorded = {arrive.attributes["file"]: world.content(arrive) for arrive in world.arrived}
        kept = {entry.name: entry.raw for entry in world.kept}
        assert recorded.keys() & kept.keys() == set()
        assert {**recorded, **kept} == {name: path.read_bytes() for name, path in everything.items()}
        conditions = {arrive.attributes["file"]: arrive.attributes for arrive in world.arrived}
        for name, path in everything.items():
            expected = scans()[path]
            if expected["condition"] == "ok":
                assert conditions[name]["pages"] == str(expected["pages"])
                assert conditions[name]["condition"] == "ok"
            elif expected["condition"] == "encrypted":
                assert conditions[name]["condition"] == "encrypted"


async def test_a_flood_is_taken_in_portions_and_every_folder_gets_its_turn(tmp_path: Path) -> None:
    settings = Settings(files_per_pass=10)
    async with running(tmp_path, settings) as world:
        for number in range(12):
            world.drop(f"fax{number:03}.png", pictures.png())
        world.drop("letter.png", pictures.png(), "mail")
        for number in range(12, 20):
            world.drop(f"fax{number:03}.png", pictures.png())
        await world.settle()
        assert world.interactions == 10
        await world.adapter.sweep()
        assert world.left("mail") == []
        assert world.interactions == 20


# --- running by itself ------------------------------------------------------------------------------------------------


async def test_it_wakes_when_a_file_comes_and_not_only_when_it_polls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening: list[tuple[Any, ...]] = []

    def watcher(*where: Any) -> Any:
        made = RustNotify(*where)
        listening.append(where)
        return made

    monkeypatch.setattr("watchfiles.main.RustNotify", watcher)
    settings = Settings(folders={"fax": Folder(settle=Duration(0))}, poll=Timeout(3_600_000))
    async with running(tmp_path, settings) as world:
        await world.adapter.start()
        await until(lambda: listening)  # the poll is an hour away
        world.drop("fax1.tif", pictures.fax())
        await until(lambda: world.left() == [])
        await until(lambda: world.interactions == 1)
        assert world.adapter.health().ok
        await world.adapter.stop_intake()
        world.drop("fax2.tif", pictures.fax())
        assert world.adapter._task is not None
        assert world.adapter._task.done(), "nobody is left who could take it"
        assert world.left() == ["fax2.tif"]


@pytest.mark.promise("IN-2")
async def test_what_lay_there_before_the_start_is_taken_without_any_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_events(self: ScanAdapter) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(ScanAdapter, "_listen", no_events)
    settings = Settings(folders={"fax": Folder(settle=Duration(0))}, poll=Timeout(50))
    async with running(tmp_path, settings) as world:
        world.drop("fax1.tif", pictures.fax())
        await world.adapter.start()
        await until(lambda: world.interactions == 1)
        world.drop("fax2.tif", pictures.fax())
        await until(lambda: world.interactions == 2)


@pytest.mark.promise("OB-1")
async def test_health_tells_when_nobody_watches(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        assert not world.adapter.health().ok
        await world.adapter.start()
        await until(lambda: world.adapter.health().ok)
        tasks = [task for task in asyncio.all_tasks() if task.get_name() == "scan"]
        tasks[0].cancel()
        await asyncio.wait(tasks)
        assert (world.adapter.health().ok, world.adapter.health().detail) == (False, "not watching")


@pytest.mark.promise("OB-1")
async def test_health_tells_when_a_folder_went_away_and_when_it_is_back(tmp_path: Path) -> None:
    async with running(tmp_path, one_folder()) as world:
        await world.adapter.start()
        world.folder().rename(tmp_path / "elsewhere")
        await world.adapter.sweep()
        assert "fax: cannot be read" in world.adapter.health().detail
        (tmp_path / "elsewhere").rename(tmp_path / "drop" / "fax")
        await world.adapter.sweep()
        assert world.adapter.health().ok


async def test_a_folder_that_cannot_be_made_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    world = World(tmp_path, one_folder(path="file/fax"))
    with pytest.raises(ConfigError, match=r"scan\.folders\.fax\.path"):
        await world.adapter.start()
    await world.adapter.stop()


def test_two_folders_cannot_share_a_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"scan\.folders\.b\.path"):
        World(tmp_path, Settings(folders={"a": Folder(path="x"), "b": Folder(path="./x")}))


async def test_a_folder_is_told_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        assert world.adapter.actions == frozenset()
        assert world.adapter.channels == ("fax", "mail")
        with pytest.raises(DeliveryFailed):
            await world.adapter.deliver(OUTBOUND)


def test_what_is_recorded_is_plain_data(tmp_path: Path) -> None:
    json.dumps(World(tmp_path).adapter.health().figures)


@pytest.mark.promise("OB-6")
async def test_a_number_in_a_sidecar_or_in_the_name_of_a_file_is_not_recorded(tmp_path: Path) -> None:
    card = "4111 1111 1111 1111"
    async with running(tmp_path) as world:
        world.drop(f"{card}.json", {"from": "+15550199", "name": f"Kim {card}", "attributes": {"paid": card}})
        world.drop(f"{card}.png", pictures.png())
        await world.settle()
        [arrived] = world.arrived
        assert (arrived.name, arrived.attributes["paid"], arrived.attributes["file"]) == (
            "Kim •••• 1111",
            "•••• 1111",
            "•••• 1111.png",
        )
        assert arrived.message is not None
        assert [blob.name for blob in arrived.message.blobs] == ["•••• 1111.png"]
