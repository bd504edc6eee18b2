"""Tickets that nobody has to store and nobody else has on the same day."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.engine.tickets import different_tickets, ticket


@pytest.mark.parametrize(
    ("number", "letters", "text"),
    [
        (1, 1, "A-001"),
        (17, 1, "A-017"),
        (999, 1, "A-999"),
        (1_000, 1, "B-000"),
        (8_000, 1, "J-000"),
        (23_999, 1, "Z-999"),
        (24_000, 1, "A-000"),
        (17, 2, "AA-017"),
        (24_000, 2, "BA-000"),
        (10**15, 1, "S-000"),
    ],
)
def test_a_ticket_is_computed_from_the_number(number: int, letters: int, text: str) -> None:
    assert ticket(number, letters) == text


@given(first=st.integers(1, 10**12), apart=st.integers(1, 23_999))
def test_no_two_of_24000_interactions_in_a_row_have_the_same_ticket(first: int, apart: int) -> None:
    assert ticket(first) != ticket(first + apart)
    assert ticket(first) == ticket(first + different_tickets(1))


@given(first=st.integers(1, 10**12), apart=st.integers(1, 575_999))
def test_two_letters_tell_576000_apart(first: int, apart: int) -> None:
    assert ticket(first, 2) != ticket(first + apart, 2)
    assert ticket(first, 2) == ticket(first + different_tickets(2), 2)


@given(st.integers(1, 2**63), st.integers(1, 2))
def test_a_ticket_can_be_called_across_a_room(number: int, letters: int) -> None:
    word, _, digits = ticket(number, letters).partition("-")
    assert len(word) == letters
    assert re.fullmatch(r"[A-HJ-NP-Z]+", word)
    assert re.fullmatch(r"\d{3}", digits)
