"""The whole way of paper, with real parts: SANE's test scanner and HylaFAX's own hook write into the folder, tesseract
reads, the routing plan is asked once more, and an agent sees pages."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.scan.pictures import a_letter, fax, with_code
from tests.scan.test_batch import batch
from tests.system.daemon import CONFIG, Daemon

pytestmark = pytest.mark.system

HOOK = Path(__file__).parents[2] / "deploy" / "hylafax" / "FaxDispatch"
PATIENCE_S = 60.0  # one page takes tesseract some seconds, and the machine may be busy
RULES = """
[[rules]]
name = "claims"
queue = "sales"
channel = ["fax", "mail"]
when = '"dept" in attributes && attributes["dept"] == "claims"'

[[rules]]
name = "cancellations"
queue = "support"
channel = ["fax", "mail"]
when = '"words" in attributes && attributes["words"].contains("cancellation")'
"""
READING = """
[scan]
poll = "200ms"
[scan.reading]
after = "0s"
detect = ["en", "es"]
words = { cancellation = ["terminate", "cancel"] }
"""


def needs(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Daemon]:
    """The demo, with rules about what stands on paper before its own, and a folder for a page-per-file scanner."""
    demo = CONFIG.read_text()
    first = demo.index("[[rules]]")
    folders = {"mail": 'settle = "300ms"\npage_gap = "1s"', "fax": 'settle = "0s"'}
    for name, more in folders.items():
        head = f"[scan.folders.{name}]"
        assert head in demo
        demo = demo.replace(head, f"{head}\n{more}")
    config = tmp_path / "paper.toml"
    config.write_text(demo[:first] + RULES.lstrip() + "\n" + demo[first:] + READING)
    async with Daemon(tmp_path / "data", config=config) as running:
        yield running
    assert running.troubles() == []


async def until(house: Daemon, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The one item there is, once it is as wanted."""
    end = time.monotonic() + PATIENCE_S
    while True:
        found = await house.interactions()
        if found and wanted(found[0]):
            assert len(found) == 1
            return found[0]
        assert time.monotonic() < end, found
        await asyncio.sleep(0.05)


def is_read(one: dict[str, Any]) -> bool:
    return "read" in one["attributes"]


def drop(house: Daemon, name: str, content: bytes, folder: str = "fax") -> None:
    part = house.data / "drop" / folder / f"{name}.part"
    part.write_bytes(content)
    part.rename(part.with_suffix(""))


async def test_what_tesseract_reads_puts_a_fax_into_the_queue_that_it_is_for(house: Daemon) -> None:
    needs("tesseract")
    drop(house, "letter.tif", a_letter("Dear all,\nI want to terminate my contract number 4711.\nWith kind regards"))
    one = await until(house, is_read)
    assert one["attributes"]["read"] == "ocr"
    assert one["attributes"]["words"] == "cancellation"
    assert (one["queue"], one["language"]) == ("support", "en")
    _, told = await house.get(f"/v1/interactions/{one['id']}/content")
    files = {x["name"]: x for message in told["messages"] for x in message["attachments"]}
    assert set(files) == {"letter.tif", "read.txt", "letter.searchable.pdf"}
    text = await house.content(f"/v1/blobs/{files['read.txt']['digest']}")
    assert text is not None
    assert b"terminate my contract number 4711" in text
    pdf = await house.content(f"/v1/blobs/{files['letter.searchable.pdf']['digest']}")
    assert pdf is not None
    assert "terminate" in text_of(pdf)
    _, explained = await house.get(f"/v1/interactions/{one['id']}/explain")
    assert explained["came_to"] == "mailroom"
    assert any("came to queue support" in line["what"] for line in explained["way"])


def text_of(pdf: bytes) -> str:
    import pypdfium2

    document = pypdfium2.PdfDocument(pdf)
    page = document[0]
    text = page.get_textpage()
    try:
        return str(text.get_text_bounded())
    finally:
        text.close()
        page.close()
        document.close()


async def test_a_separator_sheet_says_where_a_batch_belongs(house: Daemon) -> None:
    drop(house, "batch.tif", with_code("SWB:dept=claims;box=7"))
    one = await until(house, is_read)
    assert (one["attributes"]["dept"], one["attributes"]["box"], one["queue"]) == ("claims", "7", "sales")


async def test_an_agent_sees_pages_with_a_token_of_their_own(house: Daemon) -> None:
    drop(house, "two.tif", fax(2))
    one = await until(house, lambda one: True)
    _, told = await house.get(f"/v1/interactions/{one['id']}/content")
    at = f"/v1/blobs/{told['messages'][0]['attachments'][0]['digest']}/pages"
    assert await asked(house, at, "") == 401
    ana = {"Authorization": "Bearer dev-ana"}
    async with house.session.get(house.http + at, headers=ana) as answer:
        shown = await answer.json()
    assert (shown["kind"], shown["condition"], shown["pages"]) == ("tiff", "ok", 2)
    async with house.session.get(f"{house.http}{at}/2?width=160", headers=ana) as answer:
        assert (answer.status, answer.content_type) == (200, "image/png")
        assert "immutable" in answer.headers["Cache-Control"]
        with Image.open(io.BytesIO(await answer.read())) as picture:
            assert picture.width == 160
    assert await asked(house, f"{at}/3", "dev-ana") == 404
    assert await asked(house, f"{at}/0", "dev-ana") == 404


async def asked(house: Daemon, path: str, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with house.session.get(house.http + path, headers=headers) as answer:
        return answer.status


@pytest.mark.promise("IN-2")
async def test_pages_of_a_scanner_become_one_item(house: Daemon, tmp_path: Path) -> None:
    """SANE's own test device: no hardware, but the real program that writes, renames and numbers."""
    needs("scanimage")
    (tmp_path / "sane").mkdir()
    (tmp_path / "sane" / "dll.conf").write_text("test\n")
    batch = house.data / "drop" / "mail" / "scan%03d.tif"
    scan = await asyncio.create_subprocess_exec(
        "scanimage", "-d", "test", "--format=tiff", f"--batch={batch}", "--batch-count=3",
        env={**os.environ, "SANE_CONFIG_DIR": str(tmp_path / "sane")},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, complaint = await scan.communicate()
    assert "Scanned page 3" in complaint.decode()
    one = await until(house, lambda one: True)
    assert (one["channel"], one["attributes"]["pages"]) == ("mail", "3")
    end = time.monotonic() + PATIENCE_S
    while len(names := list(await files_of(house, one))) < 3:  # they are recorded one after the other
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
    assert names == ["scan001.tif", "scan002.tif", "scan003.tif"]


def spool(place: Path) -> Path:
    """HylaFAX's own scripts in a spool folder of the test, set up as its `faxsetup` would."""
    debian = Path(sys.executable).parents[1] / "hylafax"
    own = debian / "var" / "spool" / "hylafax"
    if not (own / "bin" / "faxrcvd").exists():
        pytest.skip("not installed: hylafax-server")
    shutil.copytree(own / "bin", place / "bin")
    (place / "recvq").mkdir()
    (place / "etc").mkdir()
    setup = {
        "SED": "/bin/sed", "AWK": "/usr/bin/awk", "SBIN": debian / "usr" / "sbin", "TIFFBIN": "/usr/bin",
        "SENDMAIL": "/bin/false", "TTYCMD": "/bin/false", "ENCODING": "base64",
    }  # fmt: skip
    (place / "etc" / "setup.cache").write_text("".join(f"{name}='{value}'\n" for name, value in setup.items()))
    shutil.copy(HOOK, place / "etc" / "FaxDispatch")
    return place


async def test_hylafax_hands_a_fax_over_by_its_own_hook(house: Daemon, tmp_path: Path) -> None:
    place = spool(tmp_path / "spool")
    tags = {"imagedescription": "+15550177", "software": "HylaFAX (tm) Version 6.0.7"}
    (place / "recvq" / "fax000000007.tif").write_bytes(fax(2, **tags))
    told = ["recvq/fax000000007.tif", "ttyS0", "000000042", 'cut "off" \\ here', "+15550199", "Kim", "+15550100"]
    done = await asyncio.to_thread(
        subprocess.run, ["bash", "bin/faxrcvd", *told], cwd=place, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "SWITCHBOARD_DROP": str(house.data / "drop" / "fax")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one = await until(house, lambda one: True)
    assert (one["channel"], one["sender"], one["recipient"], one["name"]) == ("fax", "+15550199", "+15550100", "Kim")
    assert one["customer"] == "tel:+15550199"
    assert one["attributes"]["error"] == 'cut "off" \\ here'
    assert (one["attributes"]["pages"], one["attributes"]["comm_id"]) == ("2", "000000042")
    end = time.monotonic() + PATIENCE_S
    while left := os.listdir(house.data / "drop" / "fax"):  # taken away when it is recorded
        assert time.monotonic() < end, left
        await asyncio.sleep(0.05)


BATCH = ("-", "SWB:dept=claims;box=7", "-", "SWB:dept=other")


async def all_read(house: Daemon, count: int) -> list[dict[str, Any]]:
    end = time.monotonic() + PATIENCE_S
    while True:
        found = await house.interactions()
        if len(found) >= count and all(is_read(one) for one in found):
            return sorted(found, key=lambda one: int(one["attributes"]["document"]))
        assert time.monotonic() < end, found
        await asyncio.sleep(0.05)


async def files_of(house: Daemon, one: dict[str, Any]) -> dict[str, int]:
    """Name -> pages of what came with it from the customer."""
    _, told = await house.get(f"/v1/interactions/{one['id']}/content")
    found = {}
    for message in told["messages"]:
        for x in message["attachments"] if message["author"] == "customer" else ():
            _, shown = await house.get(f"/v1/blobs/{x['digest']}/pages")
            found[x["name"]] = shown["pages"]
    return found


@pytest.mark.promise("IN-2")
async def test_a_batch_is_parted_at_its_sheets_and_each_document_goes_where_it_belongs(house: Daemon) -> None:
    drop(house, "batch.tif", batch(*BATCH))
    first, claims, other = await all_read(house, 3)
    assert [one["attributes"]["documents"] for one in (first, claims, other)] == ["3", "3", "3"]
    assert [one["attributes"]["pages"] for one in (claims, other)] == ["2", "1"]
    assert (claims["attributes"]["batch"], other["attributes"]["batch"]) == (first["id"], first["id"])
    assert (first["queue"], claims["queue"], claims["attributes"]["box"]) == ("mailroom", "sales", "7")
    assert {one["enqueued_at_ms"] for one in (claims, other)} == {first["enqueued_at_ms"]}
    assert await files_of(house, first) == {"batch.tif": 4}, "the file as it came stays"
    assert await files_of(house, claims) == {"batch.2.tif": 2}
    assert await files_of(house, other) == {"batch.3.tif": 1}


@pytest.mark.promise("IN-2", "DU-1")
async def test_a_batch_that_is_being_parted_when_the_daemon_is_killed_is_parted_once(house: Daemon) -> None:
    """Killed as soon as the first of its documents is there, which is in the middle of it."""
    drop(house, "batch.tif", batch(*["SWB:dept=claims", "-"] * 6))
    end = time.monotonic() + PATIENCE_S
    while len(await house.interactions()) < 2:
        assert time.monotonic() < end
    house.kill()
    await house.start()
    found = await all_read(house, 6)
    assert [one["attributes"]["document"] for one in found] == ["1", "2", "3", "4", "5", "6"]
    assert [one["attributes"]["pages"] for one in found] == ["12", "2", "2", "2", "2", "2"]
