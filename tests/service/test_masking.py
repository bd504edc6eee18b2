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
    """The digits with the one that makes them pass (ISO/IEC 7812-1 annex B)."""
    doubled = [int(d) * (2 if place % 2 == 0 else 1) for place, d in enumerate(reversed(digits))]
    return digits + str(-sum(x // 10 + x % 10 for x in doubled) % 10)


CARDS = st.one_of(
    *(
        st.from_regex(rf"{begins}[0-9]{{{length - len(begins) - 1}}}", fullmatch=True).map(luhn)
        for begins, length in (
            ("4", 13),
            ("36", 14),
            ("37", 15),
            ("5", 16),
            ("2", 16),
            ("6", 17),
            ("56", 18),
            ("4", 19),
        )
    )
)


@given(CARDS, st.sampled_from(["", " ", "-", "."]), st.sampled_from([2, 4]))
def test_every_card_is_found_however_it_is_grouped(number: str, between: str, size: int) -> None:
    written = between.join(number[at : at + size] for at in range(0, len(number), size))
    assert mask_cards(f"card {written} please") == f"card •••• {number[-4:]} please"


@pytest.mark.parametrize("written", ["208-1795417763", "2161795417763", "41 1111 1111 1111 11"])
def test_numbers_that_pass_by_chance_stay_where_no_card_has_their_length_or_groups(written: str) -> None:
    """Of an order, of a parcel, and of a card in groups that no card is printed in."""
    assert luhn("".join(c for c in written if c.isdigit())[:-1])[-1] == written[-1]
    assert mask_cards(written) == written


@given(st.text())
def test_any_text_is_some_text(text: str) -> None:
    assert mask_cards(mask_cards(text)) == mask_cards(text)
