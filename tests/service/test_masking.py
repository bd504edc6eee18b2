"""Card numbers are made unreadable, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.service.masking import mask_cards


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize(
    ("said", "stored"),
    [
        ("4111111111111111", "•••• 1111"),  # the schemes' own numbers for tests
        ("my card is 5555 5555 5555 4444, thanks", "my card is •••• 4444, thanks"),
        ("3782-822463-10005.", "•••• 0005."),
        ("6011.1111.1111.1117", "•••• 1117"),
        ("(4222222222222)", "(•••• 2222)"),
        ("two: 4111111111111111 5105105105105100", "two: •••• 1111 •••• 5100"),
    ],
)
def test_a_card_number_keeps_its_last_four_digits(said: str, stored: str) -> None:
    assert mask_cards(said) == stored


@pytest.mark.parametrize(
    "said",
    [
        "4111111111111112",  # the check digit is wrong
        "1234567890123452",  # no scheme issues such numbers
        "+49 30 12345678",
        "order 41111111",
        "9999 9999 9999 9995",
        "41111111111111114111111111111111",  # longer than any card number
        "",
    ],
)
def test_other_numbers_stay(said: str) -> None:
    assert mask_cards(said) == said


def luhn(digits: str) -> str:
    """The digits with the one that makes them pass."""
    return next(digits + d for d in "0123456789" if mask_cards(digits + d) != digits + d)


@given(st.from_regex(r"[2-6][0-9]{11,17}", fullmatch=True), st.sampled_from(["", " ", "-", "."]))
def test_every_number_that_passes_is_found_however_it_is_grouped(digits: str, between: str) -> None:
    number = luhn(digits)
    written = between.join(number[at : at + 4] for at in range(0, len(number), 4))
    assert mask_cards(f"card {written} please") == f"card •••• {number[-4:]} please"


@given(st.text())
def test_any_text_is_some_text(text: str) -> None:
    assert mask_cards(mask_cards(text)) == mask_cards(text)
