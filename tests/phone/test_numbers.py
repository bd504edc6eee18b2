"""When a number is certain enough to say who calls."""

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.phone.numbers import bare, e164

pytestmark = pytest.mark.promise("IN-6")


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("+493012345678", "", "+493012345678"),
        ("+49 (30) 123 456-78", "", "+493012345678"),
        ("030 12345678", "DE", "+493012345678"),
        ("0049 30 12345678", "DE", "+493012345678"),
        ("(212) 555-0100", "US", "+12125550100"),
        ("+15550100", "", "+15550100"),
        ("+44 020 1234 5678", "", "+442012345678"),
        ("+39 06 1234 5678", "", "+390612345678"),
        ("sip:+493012345678@gateway.example;user=phone", "", "+493012345678"),
        ("sips:+493012345678:secret@gateway.example:5061", "", "+493012345678"),
        ('"Ana <3" <sip:+493012345678@gateway.example>;tag=1', "", "+493012345678"),
        ("tel:+49-30-12345678;ext=7", "", "+493012345678"),
    ],
)
def test_a_number_is_the_same_however_it_is_written(text: str, country: str, number: str) -> None:
    assert e164(text, country) == number


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("", ""),
        ("anonymous", "DE"),
        ("030 12345678", ""),
        ("555-0100", "US"),
        ("112", "DE"),
        ("+999123456789", ""),
        ("+0123456789", ""),
        ("+1" + "5" * 300, ""),
        ("1" * 300, "US"),
        ("sip:support@example.org", "US"),
        ("\u0661\u0662\u0663", ""),
    ],
)
def test_a_number_that_is_not_certain_is_none(text: str, country: str) -> None:
    assert e164(text, country) == ""


def test_what_stands_within_an_address() -> None:
    assert bare(' "A" <sip:alice@example.org;x=y> ') == "alice"
    assert bare("support") == "support"


CODES = st.sampled_from(sorted(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE)))


@settings(max_examples=400)
@given(code=CODES, rest=st.text("0123456789", min_size=2, max_size=13))
def test_the_short_way_agrees_with_the_library(code: str, rest: str) -> None:
    text = f"+{code}{rest}"
    # A space in front keeps the number from the short way, and means nothing to the library.
    assert e164(text) == e164(f" {text}")


@given(st.text(max_size=80))
def test_any_text_is_a_number_or_none(text: str) -> None:
    number = e164(text, "DE")
    assert number == "" or number.startswith("+")
    assert e164(number) == number
