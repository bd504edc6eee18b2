"""Halves of characters, as scripts of a browser may send them."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.agents import messages
from router.errors import BadMessage
from router.service.halves import made_whole

HALF = re.compile("[\ud800-\udfff]")


@pytest.mark.promise("AG-3", "IN-5")
def test_what_an_agent_wrote_is_taken_though_half_a_character_is_in_it() -> None:
    said = {"type": "say", "id": "a-1", "interaction": "i-1", "text": "well done \ud83d, \U0001f600"}
    found = messages.decode(json.dumps(said).encode())
    assert isinstance(found, messages.Say)
    assert found.text == "well done \ufffd, \U0001f600"


def test_a_refusal_says_which_message_it_is_about_though_half_a_character_is_in_it() -> None:
    text = json.dumps({"type": "say", "id": "a-1", "interaction": 7, "text": "\udc00"}).encode()
    with pytest.raises(BadMessage, match="interaction"):
        messages.decode(text)
    assert messages.id_of(text) == "a-1"


@given(st.text(st.characters(codec=None)))
def test_all_but_the_halves_is_as_it_was(text: str) -> None:
    whole = msgspec.json.decode(made_whole(json.dumps(text)))
    # Two halves that follow one another as a pair are the character that they are halves of.
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    assert whole == HALF.sub("\ufffd", joined)


@given(st.binary())
def test_any_bytes_are_some_bytes(data: bytes) -> None:
    assert made_whole(made_whole(data)) == made_whole(data)
