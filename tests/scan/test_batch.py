"""A batch with separator sheets becomes as many items as it has documents."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from channels.scan.batch import DOCUMENTS_MAX, Document, Slice, arrival, documents, may_be_parted
from channels.scan.drawing import Drawer
from channels.scan.finding import Finding
from channels.scan.lane import Lane
from channels.scan.settings import Inspector as Limits
from channels.scan.settings import Reading
from router.engine.commands import Arrive, Enrich
from router.engine.events import Blob
from router.engine.views import Attachment, InteractionView, MessageView
from router.errors import BadMessage, Overloaded
from router.service.masked import for_channel
from router.service.ports import Context
from tests.scan.pictures import png, with_code
from tests.scan.support import World, running

SHEET = ("SWB:dept=claims",)
NONE: tuple[str, ...] = ()


def test_a_sheet_begins_a_document_and_belongs_to_it() -> None:
    found = documents([[NONE, NONE, SHEET, NONE, ("SWB:dept=sales", "4711")]], "SWB:")
    assert found == [
        Document((Slice(0, 0, 2),)),
        Document((Slice(0, 2, 2),), SHEET),
        Document((Slice(0, 4, 1),), ("SWB:dept=sales", "4711")),
    ]


def test_a_sheet_on_the_first_page_parts_nothing() -> None:
    assert documents([[SHEET, NONE, ("4711",)]], "SWB:") == [Document((Slice(0, 0, 3),), SHEET)]


def test_a_document_may_go_on_in_the_next_file() -> None:
    """A scanner that writes a file a page."""
    assert documents([[SHEET], [NONE], [("SWB:",), NONE], [NONE]], "SWB:") == [
        Document((Slice(0, 0, 1), Slice(1, 0, 1)), SHEET),
        Document((Slice(2, 0, 2), Slice(3, 0, 1)), ("SWB:",)),
    ]


@given(st.lists(st.lists(st.sampled_from([NONE, SHEET, ("4711",)]), max_size=9), max_size=6))
def test_every_page_is_in_exactly_one_document_and_in_order(files: list[list[tuple[str, ...]]]) -> None:
    found = documents(files, "SWB:")
    pages = [(x.file, page) for one in found for x in one.slices for page in range(x.first, x.first + x.count)]
    assert pages == [(number, page) for number, file in enumerate(files) for page in range(len(file))]
    sheets = sum(codes == SHEET for file in files for codes in file)
    assert len(found) in (sheets, sheets + 1)


def test_a_batch_of_nothing_but_sheets_has_an_end() -> None:
    found = documents([[SHEET] * (DOCUMENTS_MAX + 50)], "SWB:")
    assert len(found) == DOCUMENTS_MAX
    assert sum(one.pages for one in found) == DOCUMENTS_MAX + 50


def view(**known: object) -> InteractionView:
    shown = {
        "id": "i-7", "channel": "mail", "direction": "inbound", "state": "queued", "queue": "mailroom",
        "customer": "ref:scan-abc", "sender": "", "recipient": "mail", "name": "", "subject": "Mail, 9 pages",
        "language": "", "enqueued_at_ms": 4_000, "requirement": None, "matched_skills": (),
        "attributes": {"pages": "9", "file": "b.tif", "line": "3", "kind": "tiff"},
    }  # fmt: skip
    return InteractionView(**{**shown, **known})  # type: ignore[arg-type]


FILE = Blob("d" * 64, 10, "image/tiff", "b.2.tif")


def test_a_document_has_waited_as_long_as_its_batch_and_names_it() -> None:
    sheet = Document((Slice(0, 2, 2),), ("SWB:dept=claims;line=9;batch=i-1;pages=7",))
    ask = arrival(view(), 2, 3, sheet, [FILE], "SWB:")
    assert ask.attributes == {
        "file": "b.tif", "line": "3", "dept": "claims", "pages": "2", "batch": "i-7", "document": "2", "documents": "3",
    }  # fmt: skip
    assert ask.received_at_ms == 4_000
    assert ask.message is not None
    assert ask.message.blobs == (FILE,)
    assert ask == arrival(view(), 2, 3, sheet, [FILE], "SWB:"), "met again after a crash it is the same"


def test_documents_of_nobody_known_are_different_customers_and_those_of_a_sender_are_one() -> None:
    sheet = Document((Slice(0, 2, 2),), SHEET)
    two, three = (arrival(view(), place, 3, sheet, [FILE], "SWB:") for place in (2, 3))
    assert two.identities != three.identities
    assert not {"ref:scan-abc"} & {*two.identities, *three.identities}
    told = arrival(view(customer="tel:+15550199", sender="+15550199"), 2, 3, sheet, [FILE], "SWB:")
    assert (told.identities, told.sender) == (("tel:+15550199",), "+15550199")


def test_what_somebody_works_on_or_came_out_of_a_batch_is_not_parted() -> None:
    assert [state for state in ("queued", "offered", "active", "closed") if may_be_parted(view(state=state))] == [
        "queued",
        "offered",
    ]
    assert not may_be_parted(view(attributes={"batch": "i-6"}))


# --- pages cut out by the child ---------------------------------------------------------------------------------------


def tiff() -> bytes:
    """Pages that differ in width, black and white but for the last."""
    pages = [Image.new("1" if width < 400 else "L", (width, 120), 1) for width in (100, 200, 300, 400)]
    out = io.BytesIO()
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:])
    return out.getvalue()


def pdf() -> bytes:
    out = io.BytesIO()
    document = pypdfium2.PdfDocument.new()
    for width in (100, 200, 300, 400):
        document.new_page(width, 120).close()
    document.save(out)
    document.close()
    return out.getvalue()


def widths_of_tiff(data: bytes) -> list[int]:
    found = []
    with Image.open(io.BytesIO(data)) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            found.append(image.width)
    return found


def widths_of_pdf(data: bytes) -> list[int]:
    document = pypdfium2.PdfDocument(data)
    try:
        return [round(document.get_page_size(number)[0]) for number in range(len(document))]
    finally:
        document.close()


@pytest.mark.parametrize(("file", "widths"), [(tiff, widths_of_tiff), (pdf, widths_of_pdf)], ids=["TIFF", "PDF"])
def test_pages_are_cut_out_in_their_own_kind(
    tmp_path: Path, file: Callable[[], bytes], widths: Callable[[bytes], list[int]]
) -> None:
    (tmp_path / "b").write_bytes(file())
    drawer = Drawer(Limits(seconds=20, memory_bytes=512 << 20))
    try:
        for first, count, wanted in ((0, 2, [100, 200]), (1, 3, [200, 300, 400]), (3, 1, [400])):
            with (tmp_path / "b").open("rb") as open_file:
                made = drawer.cut(open_file.fileno(), "b", first, count)
            assert isinstance(made, bytes)
            assert widths(made) == wanted
        with (tmp_path / "b").open("rb") as open_file:
            assert isinstance(drawer.cut(open_file.fileno(), "b", 2, 3), Finding)
    finally:
        drawer.close()


def test_a_picture_has_no_pages_to_part(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(png())
    drawer = Drawer(Limits(seconds=20, memory_bytes=512 << 20))
    try:
        with (tmp_path / "p").open("rb") as open_file:
            said = drawer.cut(open_file.fileno(), "p", 0, 1)
    finally:
        drawer.close()
    assert isinstance(said, Finding)
    assert "TIFF" in said.detail


# --- the lane ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def reader(world: World, cards: bool = True) -> AsyncIterator[Lane]:
    """A lane that reads when told, and no pixels; `cards`: as with `mask_cards`."""
    context = Context(
        desk=world.desk, blobs=world.blobs, quarantine=world.quarantine, sockets=cast("Any", None), data=world.data,
        loopback_only=True,
    )  # fmt: skip
    context = for_channel(context, cards)
    drawer = Drawer(Limits(seconds=20, memory_bytes=512 << 20))
    executor = ThreadPoolExecutor(1)
    try:
        yield Lane(Reading(tesseract=""), context, ("mail",), drawer, executor)
    finally:
        drawer.close()
        executor.shutdown()


async def waiting(world: World, content: bytes, **known: object) -> None:
    """Item 1 waits, with a batch."""
    blob = await world.blobs.put(content, "image/tiff", "b.tif")
    file = Attachment(digest=blob.digest, size=blob.size, media_type="image/tiff", name="b.tif")
    said = MessageView(author="customer", text="", at_ms=0, attachments=(file,))
    world.desk.views[1] = view(id="i-1", messages=(said,), **known)
    world.desk.threads["scan:mail:b"] = world.desk.count = 1


async def test_pages_that_a_kill_left_as_pictures_are_gone_after_the_next_start(tmp_path: Path) -> None:
    left = tmp_path / "reading" / "tmp4711"
    left.mkdir(parents=True)
    (left / "1.png").write_bytes(b"a letter")
    async with running(tmp_path) as world:
        await world.adapter.start()
        assert list((tmp_path / "reading").iterdir()) == []


@pytest.mark.promise("IN-2", "IN-3")
@pytest.mark.parametrize("stop", [2, 3, 4], ids=lambda stop: f"after {stop - 2} documents")
async def test_a_batch_is_read_only_when_its_documents_are_recorded_and_each_is_recorded_once(
    tmp_path: Path, stop: int
) -> None:
    """Whatever it is that comes in between, it is all done again, and nothing comes twice."""
    async with running(tmp_path) as world, reader(world) as lane:
        await waiting(world, batch("SWB:a=1", "SWB:a=2", "-", "SWB:a=3"))
        world.desk.refuse = lambda ask: Overloaded("later", 1) if world.desk.count >= stop - 1 else None
        with pytest.raises(Overloaded):
            await lane.read(1)
        assert not [ask for ask in world.desk.commands if isinstance(ask, Enrich)]
        world.desk.refuse = lambda ask: None
        await lane.read(1)
        assert world.desk.count == 3
        arrived = {ask.key: ask for ask in world.arrived}
        assert [ask.attributes["a"] for ask in arrived.values()] == ["2", "3"]
        [told] = [ask for ask in world.desk.commands if isinstance(ask, Enrich)]
        assert (told.attributes["document"], told.attributes["documents"], told.attributes["a"]) == ("1", "3", "1")
        assert told.message is not None
        assert [blob.name for blob in told.message.blobs] == ["b.1.tif"]
        files = [blob for ask in arrived.values() if ask.message for blob in ask.message.blobs]
        assert [len(widths_of_tiff(world.blobs.read(blob.digest))) for blob in files] == [2, 1]


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize(("cards", "kept"), [(True, "•••• 1111"), (False, "4111 1111 1111 1111")])
async def test_a_number_on_a_sheet_is_hidden_in_every_document(tmp_path: Path, cards: bool, kept: str) -> None:
    async with running(tmp_path) as world, reader(world, cards) as lane:
        await waiting(world, batch("SWB:a=4111 1111 1111 1111", "SWB:a=4111 1111 1111 1111"))
        await lane.read(1)
        [told] = [ask for ask in world.desk.commands if isinstance(ask, Enrich)]
        assert [told.attributes["a"], *(ask.attributes["a"] for ask in world.arrived)] == [kept, kept]


async def test_a_batch_that_somebody_works_on_stays_whole_and_says_how_many_documents_it_has(tmp_path: Path) -> None:
    async with running(tmp_path) as world, reader(world) as lane:
        await waiting(world, batch("SWB:a=1", "SWB:b=2"), state="active")
        await lane.read(1)
        [told] = world.desk.commands
        assert isinstance(told, Enrich)
        assert told.attributes == {"a": "1", "b": "2", "read": "none", "documents": "2"}


async def test_a_batch_of_which_a_document_is_refused_stays_whole(tmp_path: Path) -> None:
    async with running(tmp_path) as world, reader(world) as lane:
        await waiting(world, batch("SWB:a=1", "SWB:b=2"))
        world.desk.refuse = lambda ask: BadMessage("no") if isinstance(ask, Arrive) else None
        await lane.read(1)
        assert world.arrived == []
        assert [ask.attributes for ask in world.desk.commands if isinstance(ask, Enrich)] == [
            {"a": "1", "b": "2", "read": "none", "documents": "2"}
        ]


def batch(*sheets: str) -> bytes:
    """Pages with a code each, or with none."""
    pages = []
    for said in sheets:
        with Image.open(io.BytesIO(with_code(said))) as page:
            pages.append(page.copy() if said != "-" else Image.new("1", page.size, 1))
    out = io.BytesIO()
    pages[0].save(out, "TIFF", compression="group4", dpi=(204, 98), save_all=True, append_images=pages[1:])
    return out.getvalue()
