"""A fax that a fax server mails is a fax."""

from __future__ import annotations

import io
import json
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from channels.email.faxes import fax_files
from channels.email.parse import read_letter
from channels.email.settings import FaxMail
from channels.scan.parse import parse_sidecar
from router.errors import ConfigError
from tests.email.world import World, open_world

SERVER = "fax@pbx.shop.example"
SAID = """fax000000007.tif (ftp://pbx/recvq/fax000000007.tif):
            Sender: +1.999.555.1212
             Pages: 3
           Quality: Fine
          Received: 2026:01:01 10:00:00
            CommID: 000000012
           CallID1: "+15550199"
       Received On: ttyIAX0
"""


def tiff() -> bytes:
    held = io.BytesIO()
    page = Image.new("1", (64, 64), 1)
    page.save(held, "TIFF", compression="group4", save_all=True, append_images=[page, page])
    return held.getvalue()


def faxed(document: bytes | None, sender: str = SERVER, text: str = SAID) -> bytes:
    message = EmailMessage()
    message["From"] = f"The Facsimile Agent <{sender}>"
    message["Subject"] = "facsimile received from +15550199"
    message["Date"] = "Thu, 01 Jan 2026 10:00:05 +0000"
    message["Message-ID"] = "<fax7@pbx.shop.example>"
    message.set_content(text)
    if document is not None:
        message.add_attachment(document, maintype="image", subtype="tiff", filename="fax000000007.tif")
    return message.as_bytes()


async def dropped(folder: Path, *mails: bytes) -> tuple[World, dict[str, bytes]]:
    async with open_world(folder, fax=FaxMail(senders=(SERVER.upper(),))) as world:
        for raw in mails:
            await world.send(raw, mail_from=SERVER)
    return world, {path.name: path.read_bytes() for path in sorted((folder / "drop" / "fax").glob("*"))}


@pytest.mark.promise("IN-1", "IN-2")
async def test_its_document_is_dropped_with_what_was_said_of_it(tmp_path: Path) -> None:
    document = tiff()
    world, files = await dropped(tmp_path, faxed(document))
    assert world.arrived == []
    beside, fax = files
    assert (Path(beside).stem, Path(beside).suffix, Path(fax).suffix) == (Path(fax).stem, ".json", ".tif")
    assert files[fax] == document
    sidecar = parse_sidecar(files[beside])
    assert (sidecar.from_, sidecar.received_at_ms) == ("+15550199", 1_767_261_605_000)
    assert sidecar.attributes == {
        "stated_pages": "3",
        "comm_id": "000000012",
        "line": "ttyIAX0",
        "fax_server": SERVER,
    }


@pytest.mark.promise("IN-3")
async def test_the_same_mail_again_is_the_same_file(tmp_path: Path) -> None:
    raw = faxed(tiff())
    _, files = await dropped(tmp_path, raw, b"Received: from elsewhere; Thu, 1 Jan 2026\r\n" + raw)
    assert len(files) == 2
    assert parse_sidecar(files[min(files)]).id == Path(min(files)).stem, "and known again once it was taken"


async def test_what_it_mails_without_a_document_is_a_mail(tmp_path: Path) -> None:
    world, files = await dropped(tmp_path, faxed(None, text="The modem does not answer."))
    assert (len(world.arrived), files) == (1, {})


async def test_what_others_mail_is_mail_whatever_is_attached(tmp_path: Path) -> None:
    world, files = await dropped(tmp_path, faxed(tiff(), sender="ann@customer.example"))
    assert (len(world.arrived), files) == (1, {})


@pytest.mark.promise("IN-2")
async def test_a_fax_that_cannot_be_dropped_stays_with_its_server(tmp_path: Path) -> None:
    (tmp_path / "drop").write_text("a file where a folder belongs")
    async with open_world(tmp_path, fax=FaxMail(senders=(SERVER,))) as world:
        async with world.dial() as line:
            await line.ready()
            await line.raw(faxed(tiff()).replace(b"\n", b"\r\n") + b"\r\n.\r\n")
            assert (await line.hear()).startswith("451")
        assert world.arrived == []


@pytest.mark.promise("OB-4")
def test_a_folder_outside_of_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"email\.fax\.folder"):
        World(tmp_path, fax=FaxMail(senders=(SERVER,), folder="../elsewhere"))


@pytest.mark.promise("IN-4")
@given(st.text(max_size=200), st.binary(max_size=40))
@settings(max_examples=100, deadline=None)
def test_no_text_of_a_fax_server_defeats_the_reader(text: str, document: bytes) -> None:
    clean = text.encode("utf-8", "replace").decode()
    raw = faxed(document, text=clean)
    for file in fax_files(raw, read_letter(raw, SERVER)):
        json.loads(file.sidecar)
        parse_sidecar(file.sidecar)
