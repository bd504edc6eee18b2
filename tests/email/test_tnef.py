"""What Outlook packs into winmail.dat is shown as what it is."""

from __future__ import annotations

import struct
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.email.body import attachment_content, readable_text
from channels.email.tnef import SIGNATURE, unpack

# Written by the format's specification (MS-OXTNEF 2.1.3), not by the reader's own tables.
BEGIN, TITLE, DATA = b"\x02\x90\x06\x00", b"\x10\x80\x01\x00", b"\x0f\x80\x06\x00"
PROPS, SUBJECT = b"\x05\x90\x06\x00", b"\x04\x80\x01\x00"


def attribute(kind: bytes, content: bytes, level: int = 2) -> bytes:
    return bytes([level]) + kind + struct.pack("<I", len(content)) + content + struct.pack("<H", sum(content) % 65_536)


def named(name: str, wide: bool = True) -> bytes:
    """MAPI properties: an integer, a named property, and the long name."""
    value = (name + "\0").encode("utf-16-le" if wide else "cp1252")
    padded = value + b"\0" * (-len(value) % 4)
    number = struct.pack("<HHI", 0x0003, 0x0E21, 7)
    guid = struct.pack("<HH", 0x000B, 0x8001) + b"G" * 16 + struct.pack("<II", 0, 5) + struct.pack("<I", 1)
    text = struct.pack("<HHII", 0x001F if wide else 0x001E, 0x3707, 1, len(value)) + padded
    return struct.pack("<I", 3) + number + guid + text


def winmail(*files: tuple[bytes, ...]) -> bytes:
    start = SIGNATURE + b"\x01\x00" + attribute(SUBJECT, b"Plans\0", level=1)
    return start + b"".join(b"".join(parts) for parts in files)


def file(title: bytes, content: bytes, *more: bytes) -> tuple[bytes, ...]:
    return (attribute(BEGIN, b"\0" * 14), attribute(TITLE, title + b"\0"), attribute(DATA, content), *more)


@pytest.mark.parametrize("wide", [True, False])
def test_files_come_out_with_their_long_names(wide: bool) -> None:
    data = winmail(
        file(b"PLAN~1.PDF", b"%PDF", attribute(PROPS, named("Pläne für März.pdf", wide))), file(b"a.txt", b"hi")
    )
    assert unpack(data) == [("Pläne für März.pdf", b"%PDF"), ("a.txt", b"hi")]


def test_a_mail_shows_what_is_packed_and_not_the_package() -> None:
    message = EmailMessage()
    message.set_content("See the plan.")
    data = winmail(file(b"..\\..\\plan.pdf", b"%PDF-1.4"), file(b"b.txt", b"hi"))
    message.add_attachment(data, maintype="application", subtype="ms-tnef", filename="winmail.dat")
    raw = message.as_bytes()
    shown = readable_text(raw).attachments
    assert [(one.name, one.media_type, one.size) for one in shown] == [
        ("plan.pdf", "application/pdf", 8),
        ("b.txt", "text/plain", 2),
    ]
    assert attachment_content(raw, 1)[1] == b"hi"


def test_a_package_that_cannot_be_read_stays_one() -> None:
    message = EmailMessage()
    message.set_content("See the plan.")
    message.add_attachment(b"not TNEF", maintype="application", subtype="ms-tnef", filename="winmail.dat")
    assert [one.name for one in readable_text(message.as_bytes()).attachments] == ["winmail.dat"]


def test_a_package_that_is_cut_gives_what_is_whole() -> None:
    data = winmail(file(b"a.txt", b"whole"), file(b"b.txt", b"x" * 100))
    assert unpack(data[:-50])[0] == ("a.txt", b"whole")


@pytest.mark.promise("IN-4")
@given(st.binary(max_size=300), st.integers(0, 200))
@settings(max_examples=500, deadline=None)
def test_no_bytes_defeat_it(noise: bytes, cut: int) -> None:
    good = winmail(file(b"a.txt", b"whole", attribute(PROPS, named("long"))))
    for data in (SIGNATURE + noise, good[:cut] + noise, winmail(file(b"x", b"y", attribute(PROPS, noise)))):
        for name, content in unpack(data):
            name.encode()
            assert isinstance(content, bytes)
