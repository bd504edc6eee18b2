"""Looking into hostile files: what is found, and what a decoder that goes mad can do (nothing)."""

from __future__ import annotations

import io
import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from channels.scan.finding import Finding
from channels.scan.inspect import what_else
from channels.scan.inspector import Inspector, InspectorDown
from channels.scan.settings import Inspector as Limits
from channels.scan.tiff import BAD_FAX_LINES, CLEAN_FAX_DATA
from tests.scan import pictures
from tests.scan.corpora import scans


@pytest.fixture(scope="module")
def inspector() -> Iterator[Inspector]:
    one = Inspector(Limits())
    yield one
    one.close()


@pytest.fixture
def hog() -> Iterator[Inspector]:
    one = Inspector(Limits(seconds=2), program="tests.scan.hog")
    yield one
    one.close()


def look(inspector: Inspector, content: bytes | Path, name: str = "", max_pages: int = 100) -> Finding:
    if isinstance(content, Path):
        fd, name = os.open(content, os.O_RDONLY), name or content.name
    else:
        fd = os.memfd_create("scan")
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
    try:
        return inspector.inspect(fd, name, max_pages)
    finally:
        os.close(fd)


# --- what is found ----------------------------------------------------------------------------------------------------

# Where the child and the tools that measured the collection differ, and why. Nothing here is about a file that all of
# them call fine: its pages are always those that they count.
OTHERWISE = {
    "raw": "raw_g3_without_container",  # the same, in one word
    "too-many-pixels": "decompression_bomb",  # the same, by what we refuse
    "foreign": "unreadable",  # these have no signature at all
}
# A viewer shows the upper part of these, so a person gets them, marked as damaged; Pillow alone gives up on them.
PARTLY_SHOWN = {"truncated_jpeg.jpg", "broken_data_stream.png", "truncated_image.png"}
# qpdf and poppler each repair these, PDFium does not.
ONLY_OTHERS_READ = {"bad34.pdf", "bad35.pdf"}


@pytest.mark.promise("IN-4")
def test_every_scan_of_the_collection_gets_a_finding_in_time(inspector: Inspector) -> None:
    """Firm: no crash, no hang, pages right where a file is fine. The rest is compared as far as tools agree."""
    wrong = []
    for path, expected in scans().items():
        begun = time.monotonic()
        found = look(inspector, path)
        assert time.monotonic() - begun < 10
        measured = expected["condition"]
        if measured == "ok":
            fine = (found.condition, found.pages) == ("ok", expected["pages"])
        elif measured == "encrypted":
            fine = found.condition == "encrypted"
        elif measured == "loop":
            fine = (found.condition, found.pages) == ("damaged", expected["pages"])
        elif measured == "damaged_readable":
            fine = (found.showable and found.pages == expected["pages"]) or path.name in ONLY_OTHERS_READ
        elif path.name in PARTLY_SHOWN:
            fine = found.condition == "damaged"
        else:
            fine = OTHERWISE.get(found.condition, found.condition) == measured
        if not fine:
            wrong.append(f"{path.name}: {found}, measured {measured} {expected['pages']}")
    assert wrong == []


def test_a_fax_tells_its_pages_size_and_sender(inspector: Inspector) -> None:
    data = pictures.fax(3, imagedescription="+1 555 0100", software="HylaFAX (tm) Version 6.0.7")
    found = look(inspector, data)
    expected = Finding(condition="ok", kind="tiff", pages=3, width=1728, height=100, dpi=204, sender="+1 555 0100")
    assert found == expected


def test_a_description_by_anybody_else_is_no_sender(inspector: Inspector) -> None:
    assert look(inspector, pictures.fax(1, imagedescription="+1 555 0100")).sender == ""


def test_lines_that_were_lost_on_the_wire_make_a_fax_damaged(inspector: Inspector) -> None:
    out = io.BytesIO()
    Image.new("1", (1728, 100), 1).save(out, "TIFF", tiffinfo={BAD_FAX_LINES: 12, CLEAN_FAX_DATA: 2})
    found = look(inspector, out.getvalue())
    assert (found.condition, found.pages) == ("damaged", 1)
    assert "12 bad lines" in found.detail


@pytest.mark.parametrize("make", [pictures.fax, pictures.pdf])
def test_pages_over_the_limit_are_refused(inspector: Inspector, make: object) -> None:
    assert callable(make)
    assert look(inspector, make(5), max_pages=5).condition == "ok"
    assert look(inspector, make(6), max_pages=5).condition == "too-many-pages"


def test_a_jpeg_tells_its_size_though_it_is_tried_at_a_smaller_one(inspector: Inspector) -> None:
    found = look(inspector, pictures.jpeg(640, 480))
    assert (found.condition, found.width, found.height, found.dpi) == ("ok", 640, 480, 200)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_half_an_upload_of_a_fax_shows_nothing(inspector: Inspector, share: float) -> None:
    """libtiff writes the list of pages last."""
    data = (scans_folder() / "libtiff" / "miniswhite-1c-1b.tiff").read_bytes()
    assert look(inspector, data[: int(len(data) * share)]).condition == "unreadable"


def scans_folder() -> Path:
    return next(iter(scans())).parent.parent


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\0" * 100, "nothing but zeros"),
        (b"PK\x03\x04" + b"\x14\0\x06\0" + b"\0" * 40, "looks like"),
        (b"", "nothing but zeros"),
        (b"hello, world, this is text", "unknown content"),
    ],
)
def test_a_foreign_file_is_named_as_well_as_can_be(data: bytes, says: str) -> None:
    assert says in what_else(data)


# --- bombs ------------------------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-5")
def test_a_picture_that_announces_too_much_is_refused_before_it_is_decoded(inspector: Inspector) -> None:
    begun = time.monotonic()
    assert look(inspector, pictures.png_header(30_000, 30_000)).condition == "too-many-pixels"
    assert time.monotonic() - begun < 2


def test_a_large_page_is_counted_but_not_tried(inspector: Inspector) -> None:
    out = io.BytesIO()
    Image.new("L", (10_000, 9_000)).save(out, "TIFF", compression="tiff_lzw")
    found = look(inspector, out.getvalue())
    assert (found.condition, found.pages) == ("ok", 1)
    assert "0 of 1 pages were tried" in found.detail


def test_a_progressive_picture_is_not_tried_where_its_coefficients_would_not_fit(inspector: Inspector) -> None:
    out = io.BytesIO()
    Image.new("L", (6_000, 6_000)).save(out, "JPEG", progressive=True)
    assert "0 of 1 pages were tried" in look(inspector, out.getvalue()).detail


@pytest.mark.promise("IN-5")
def test_a_real_decoder_is_stopped_at_the_memory_limit(inspector: Inspector) -> None:
    """Eight kilobytes of PDF that unfold to 600 MiB, against a limit of 256."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert look(inspector, pictures.pdf_bomb(1)).condition == "ok"
    assert look(inspector, pictures.pdf_bomb(600)).condition in {"out-of-memory", "crashed"}
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss - before <= 256 * 1_024


# --- a decoder gone mad -----------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-4", "IN-5")
@pytest.mark.parametrize(
    ("deed", "condition"),
    [
        ("spin", "out-of-time"),
        ("sleep", "out-of-time"),
        ("eat", "out-of-memory"),
        ("abort", "crashed"),
        ("flood", "crashed"),
        ("nonsense", "crashed"),
    ],
)
def test_a_child_is_stopped_at_its_limits_and_the_next_file_is_looked_at(
    hog: Inspector, deed: str, condition: str
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    look(hog, pictures.png())
    begun = time.monotonic()
    assert look(hog, b"", deed).condition == condition
    assert time.monotonic() - begun < 8
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1_024
    assert look(hog, pictures.png()).condition == "ok"


@pytest.mark.promise("IN-5")
@pytest.mark.parametrize(
    ("deed", "says"),
    [
        ("write", "refused: File too large"),
        ("open_many", "refused: Too many open files"),
        ("reach_the_nurse", "0 sockets"),
    ],
)
def test_a_child_can_reach_nothing_else(hog: Inspector, deed: str, says: str) -> None:
    assert look(hog, b"", deed).detail == says


@pytest.mark.promise("OB-6")
def test_a_child_knows_none_of_the_daemons_secrets(hog: Inspector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_TOKEN", "x")
    assert set(look(hog, b"", "secrets").detail.split(",")) <= {"LC_ALL", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}


def test_without_its_nurse_nothing_is_said_of_the_file_and_a_new_one_is_started(hog: Inspector) -> None:
    with pytest.raises(InspectorDown):
        look(hog, b"", "kill_the_nurse")
    assert look(hog, pictures.png()).condition == "ok"


def test_an_inspector_that_does_not_start_says_how_to_try_it() -> None:
    one = Inspector(Limits(), program="tests.scan.no_such_module")
    with pytest.raises(InspectorDown, match=r"-m tests\.scan\.no_such_module"):
        look(one, b"")


def test_the_nurse_is_renewed_now_and_then() -> None:
    one = Inspector(Limits(recycle_after=2))
    try:
        look(one, pictures.png())
        first = one.pid
        look(one, pictures.png())
        assert one.pid is None
        look(one, pictures.png())
        assert one.pid != first
    finally:
        one.close()


def test_closing_ends_the_nurse(inspector: Inspector) -> None:
    one = Inspector(Limits())
    look(one, pictures.png())
    pid = one.pid
    assert pid
    one.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIG_DFL)


def test_the_nurse_ends_by_itself_when_the_daemon_is_killed() -> None:
    """All that is left to it then is a socket that closed."""
    one = Inspector(Limits())
    look(one, pictures.png())
    assert one._link is not None
    assert one._process is not None
    one._link.close()
    assert one._process.wait(10) == 0
    one.close()
