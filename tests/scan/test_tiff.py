"""The chain of directories, without decoding."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.scan import tiff
from tests.scan import pictures


def chain(data: bytes, most: int = 100) -> tiff.Chain:
    return tiff.read_chain(io.BytesIO(data), most)


def test_pages_are_counted() -> None:
    found = chain(pictures.fax(5))
    assert len(found.directories) == 5
    assert (found.looped, found.more, found.broken) == (False, False, "")
    assert found.directories[0].numbers[tiff.WIDTH] == 1728
    assert found.directories[0].numbers[tiff.X_RESOLUTION] == 204


def test_texts_are_read() -> None:
    first = chain(pictures.fax(1, imagedescription="+1 555 0100", software="HylaFAX 6.0.7")).directories[0]
    assert first.texts == {tiff.DESCRIPTION: "+1 555 0100", tiff.SOFTWARE: "HylaFAX 6.0.7"}


@pytest.mark.parametrize(("links", "pages"), [([0], 1), ([1, 0], 2), ([1, 2, 1], 3)])
def test_a_circle_is_walked_once(links: list[int], pages: int) -> None:
    found = chain(pictures.tiff_chain(links))
    assert found.looped
    assert len(found.directories) == pages


def test_no_more_pages_are_read_than_asked_for() -> None:
    data = pictures.tiff_chain([*range(1, 50), -1])
    assert chain(data, 49).more
    assert len(chain(data, 49).directories) == 49
    assert not chain(data, 50).more


def test_a_file_that_was_cut_off_has_no_directory() -> None:
    data = pictures.fax(3)
    found = chain(data[: struct.unpack_from("<I", data, 4)[0]])
    assert found.directories == []
    assert "ends before" in found.broken


def test_big_tiff_is_read() -> None:
    page = struct.pack("<QHHQQ", 1, 256, 4, 1, 9) + struct.pack("<Q", 0)
    found = chain(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16) + page)
    assert [one.numbers for one in found.directories] == [{256: 9}]


@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_give_a_chain(data: bytes, big: bool) -> None:
    chain(data)
    chain((b"MM\0+\0\x08\0\0" if big else b"II*\0\x08\0\0\0") + data)


@given(st.data())
def test_a_damaged_tiff_gives_a_chain(data: st.DataObject) -> None:
    whole = bytearray(pictures.fax(2, software="HylaFAX"))
    for _ in range(data.draw(st.integers(1, 5))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    assert len(chain(bytes(whole), 10).directories) <= 10
