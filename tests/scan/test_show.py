"""Pages as pictures, and what files say of themselves, by a child that may die of them. Real files, a real child."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from PIL import Image

from channels.scan.drawing import Drawer, ScanPictures
from channels.scan.finding import Finding
from channels.scan.settings import Inspector
from channels.scan.show import Reading
from router.errors import BadMessage, NotFound
from tests.scan.pictures import fax, jpeg, pdf, pdf_with_text, png, with_code
from tests.scan.support import SHARED

LIMITS = Inspector(seconds=20, memory_bytes=512 << 20)


class Shared(Drawer):
    """For all tests here: starting one costs a third of a second of a core."""

    def close(self) -> None:
        if self.pid is None:
            super().close()

    def end(self) -> None:
        super().close()


@pytest.fixture(scope="module")
def drawer() -> Iterator[Drawer]:
    one = Shared(LIMITS)
    yield one
    one.end()


@pytest.fixture
async def pictures(drawer: Drawer) -> AsyncIterator[ScanPictures]:
    made = ScanPictures(LIMITS, drawer, SHARED)
    yield made
    await made.stop()


def kept(folder: Path, content: bytes) -> Path:
    path = folder / "content"
    path.write_bytes(content)
    return path


def read(drawer: Drawer, folder: Path, content: bytes) -> Reading | Finding:
    with open(kept(folder, content), "rb") as file:
        return drawer.read(file.fileno(), "x", 5)


@pytest.mark.parametrize("content", [fax(3), pdf(3)])
async def test_any_page_is_drawn_no_wider_than_asked_for(
    pictures: ScanPictures, tmp_path: Path, content: bytes
) -> None:
    path = kept(tmp_path, content)
    assert (await pictures.about(path, "x")).pages == 3
    for number in range(3):
        with Image.open(io.BytesIO(await pictures.page(path, "x", number, 160))) as picture:
            assert (picture.format, picture.mode) == ("PNG", "L")
            assert picture.width <= 160
    with pytest.raises(NotFound, match="3 pages"):
        await pictures.page(path, "x", 3, 160)


async def test_a_fax_in_normal_resolution_has_square_pixels(pictures: ScanPictures, tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("1", (1_728, 1_000), 1).save(out, "TIFF", compression="group4", dpi=(204, 98))
    with Image.open(io.BytesIO(await pictures.page(kept(tmp_path, out.getvalue()), "x", 0, 864))) as picture:
        assert picture.width == 864
        assert picture.height == pytest.approx(864 * 1_000 / 1_728 * 204 / 98, abs=3)


@pytest.mark.parametrize("content", [jpeg(300, 200), png()])
async def test_pictures_have_one_page(pictures: ScanPictures, tmp_path: Path, content: bytes) -> None:
    path = kept(tmp_path, content)
    assert (await pictures.about(path, "x")).condition == "ok"
    assert (await pictures.page(path, "x", 0, 64)).startswith(b"\x89PNG")


@pytest.mark.promise("IN-4")
async def test_of_a_damaged_file_what_came_is_shown_and_it_says_so(pictures: ScanPictures, tmp_path: Path) -> None:
    path = kept(tmp_path, jpeg(600, 400)[:-6_000])
    found = await pictures.about(path, "x")
    assert found.condition == "damaged"
    assert found.detail
    assert (await pictures.page(path, "x", 0, 200)).startswith(b"\x89PNG")


@pytest.mark.promise("IN-4")
@pytest.mark.parametrize(
    "content", [b"", b"%PDF-1.7 no", b"II*\0\xff\xff\xff\xff", b"MZ not a page", b"\x89PNG\r\n\x1a\nx"]
)
async def test_what_cannot_be_shown_says_so_and_the_next_one_is(
    pictures: ScanPictures, tmp_path: Path, content: bytes
) -> None:
    with pytest.raises((BadMessage, NotFound)):
        await pictures.page(kept(tmp_path, content), "x", 0, 200)
    assert (await pictures.page(kept(tmp_path, png()), "x", 0, 200)).startswith(b"\x89PNG")


def test_bar_codes_are_read_from_a_fax(drawer: Drawer, tmp_path: Path) -> None:
    found = read(drawer, tmp_path, with_code("SWB:dept=claims"))
    assert isinstance(found, Reading)
    assert [page.codes for page in found.pages] == [("SWB:dept=claims",)]


def test_the_text_of_a_pdf_is_told_without_reading_pixels(drawer: Drawer, tmp_path: Path) -> None:
    found = read(drawer, tmp_path, pdf_with_text("Purchase order 4711"))
    assert isinstance(found, Reading)
    assert "Purchase order 4711" in found.pages[0].text
