"""From what stands on pages to what routing rules see. No pixels here: texts and codes in, attributes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.scan.recognise import attributes_of, sheet, words_in

LISTS = {"cancellation": ("terminate", "kündigung", "give notice"), "order": ("purchase order",)}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I want to TERMINATE my contract.", "cancellation"),
        ("hiermit die Kundigung meines Vertrages", "cancellation"),  # a fax has no dots on its letters
        ("the termi-\nnate key", "cancellation"),
        ("I give\nnotice", "cancellation"),
        ("Purchase Order 4711; please do not terminate", "cancellation order"),
        ("terminated, exterminate", ""),
        ("", ""),
    ],
)
def test_words_are_found_as_people_read_them(text: str, found: str) -> None:
    assert words_in(text, LISTS) == found


def test_a_separator_sheet_says_attributes() -> None:
    assert sheet("SWB:dept=claims; urgent=yes", "SWB:") == {"dept": "claims", "urgent": "yes"}


@pytest.mark.parametrize(
    "odd", ["SWB:", "SWB:=x", "SWB:a b=1", "SWB:dept", "SWB:condition=ok", "SWB:read=ocr", "SWB:a="]
)
def test_odd_parts_and_what_only_we_may_say_are_left_out(odd: str) -> None:
    assert sheet(odd, "SWB:") == {}


def test_other_codes_are_told_as_they_are() -> None:
    found = attributes_of("please terminate", ("4006381333931", "SWB:dept=claims", "A-1"), LISTS, "SWB:")
    assert found == {"dept": "claims", "codes": "4006381333931 A-1", "words": "cancellation"}


@given(st.text(), st.lists(st.text(max_size=700), max_size=20))
def test_whatever_stands_on_a_page_the_engine_gets_short_plain_texts(text: str, codes: list[str]) -> None:
    found = attributes_of(text, [*codes, *(f"SWB:{code}" for code in codes)], LISTS, "SWB:")
    assert len(found) <= 16 * max(1, len(codes)) + 2
    for name, value in found.items():
        assert name.isascii()
        assert len(value) <= 500
        assert "\n" not in value
        value.encode()
