"""What a visitor's client may send, and what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.chat.parse import Goodbye, Hello, Text, Typing, ident_of, parse
from router.errors import BadMessage, TooLarge

MAX = 20


@pytest.mark.parametrize(
    ("data", "frame"),
    [
        ('{"type":"hello"}', Hello()),
        ('{"type":"hello","topic":"support","last_seq":7,"token":null}', Hello(topic="support", last_seq=7)),
        ('{"type":"message","id":"a","text":"hi"}', Text("a", "hi")),
        ('{"type":"message","id":17,"text":"hi"}', Text(17, "hi")),
        ('{"type":"typing"}', Typing()),
        ('{"type":"leave"}', Goodbye()),
        ('{"type":"typing","of_a_later_version":[1,{}]}', Typing()),
        ('{"text":"hi","id":"a","type":"message"}', Text("a", "hi")),
    ],
)
def test_a_frame_is_told_by_its_type(data: str, frame: object) -> None:
    assert parse(data.encode(), MAX) == frame


def test_half_a_character_costs_that_character_and_not_the_message() -> None:
    """Old browsers cut emoji in two where a field is full."""
    assert parse(b'{"type":"message","id":"a","text":"hi \\ud83d"}', MAX) == Text(id="a", text="hi \ufffd")


@pytest.mark.parametrize(
    "data",
    [
        "",
        "hello",
        "[]",
        "null",
        "{}",
        '{"type":"welcome"}',
        '{"type":1}',
        '{"type":"message","id":"a"}',
        '{"type":"message","text":"hi"}',
        '{"type":"message","id":"","text":"hi"}',
        '{"type":"message","id":1.5,"text":"hi"}',
        '{"type":"message","id":true,"text":"hi"}',
        '{"type":"message","id":"a","text":""}',
        '{"type":"message","id":"a","text":" \\n "}',
        '{"type":"message","id":"a\\u0000","text":"hi"}',
        '{"type":"hello","last_seq":-1}',
        '{"type":"hello","last_seq":1e400}',
        '{"type":"hello","topic":["support"]}',
        '{"type":"hello","topic":"sup\\nport"}',
        '{"type":"typing","deep":' + "[" * 100_000,
        '{"type":"typing","deep":' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
    ids=range(21),
)
@pytest.mark.promise("IN-4")
def test_anything_else_is_a_bad_message(data: str) -> None:
    with pytest.raises(BadMessage):
        parse(data.encode(), MAX)


@pytest.mark.promise("IN-5")
def test_a_text_may_have_so_many_characters() -> None:
    assert parse(json.dumps({"type": "message", "id": 1, "text": "ä" * MAX}), MAX) == Text(1, "ä" * MAX)
    with pytest.raises(TooLarge):
        parse(json.dumps({"type": "message", "id": 1, "text": "ä" * (MAX + 1)}), MAX)


def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(BadMessage) as refused:
        parse(b'{"type":"my secret"}', MAX)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "ident"),
    [
        ('{"type":"message","id":"a","text":5}', "a"),
        ('{"type":"message","id":3}', 3),
        ('{"type":"message","id":[]}', None),
        ("[", None),
        ('{"id":' + "[" * 100_000, None),
    ],
    ids=range(5),
)
def test_the_id_of_a_refused_message_is_found_where_it_can_be(data: str, ident: object) -> None:
    assert ident_of(data.encode()) == ident


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["type", "id", "text", "visitor", "token", "topic", "last_seq", "name", "language"])
TYPES = st.sampled_from(["hello", "message", "typing", "leave"])


def check(data: bytes) -> None:
    try:
        frame = parse(data, MAX)
    except (BadMessage, TooLarge):
        ident_of(data)
        return
    assert isinstance(frame, Hello | Text | Typing | Goodbye)
    if isinstance(frame, Text):
        assert 0 < len(frame.text) <= MAX
        frame.text.encode()


@pytest.mark.promise("IN-4")
@given(st.binary(max_size=200))
def test_bytes_are_read_or_refused(data: bytes) -> None:
    check(data)


@pytest.mark.promise("IN-4")
@given(TYPES, st.dictionaries(FIELDS, VALUES))
def test_objects_are_read_or_refused(kind: str, fields: dict[str, object]) -> None:
    check(json.dumps({**fields, "type": kind}).encode())
