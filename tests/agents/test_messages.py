"""The words of the agents' link: what is understood, what is not, and what an error can still refer to."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.agents import messages as m
from router.errors import BadMessage

# Every message of the contract, with all it may carry.
WRITTEN: list[dict[str, Any]] = [
    {"type": "hello", "token": "dev-ana"},
    {"type": "hello", "id": 1, "token": "dev-ana", "last_seq": 7},
    {"type": "set_state", "id": "a", "state": "ready"},
    {"type": "set_state", "id": "a", "state": "not_ready", "reason": "lunch"},
    {"type": "accept", "id": "a", "offer": "o-1"},
    {"type": "decline", "id": "a", "offer": "o-1", "reason": "busy"},
    {"type": "say", "id": "a", "interaction": "i-1", "text": "hello"},
    {"type": "say", "id": "a", "interaction": "i-1", "text": "", "attachments": [{"digest": "ab" * 32, "size": 3}]},
    {"type": "note", "id": "a", "interaction": "i-1", "text": "call back"},
    {"type": "hold", "id": "a", "interaction": "i-1"},
    {"type": "resume", "id": "a", "interaction": "i-1"},
    {"type": "transfer", "id": "a", "interaction": "i-1", "to": {"queue": "sales"}, "mode": "blind"},
    {"type": "transfer", "id": "a", "interaction": "i-1", "to": {"agent": "ben"}, "mode": "consult"},
    {"type": "transfer", "id": "a", "interaction": "i-1", "to": {"requirement": {"skill": "sales", "level": 3}}},
    {"type": "transfer", "id": "a", "interaction": "i-1", "to": {"address": "+15550100"}},
    {"type": "join_consult", "id": "a", "interaction": "i-1"},
    {"type": "complete_consult", "id": "a", "interaction": "i-1"},
    {"type": "end_consult", "id": "a", "interaction": "i-1"},
    {"type": "complete", "id": "a", "interaction": "i-1", "disposition": "solved", "notes": "all well"},
    {"type": "finish_wrap_up", "id": "a", "interaction": "i-1"},
    {"type": "typing", "id": "a", "interaction": "i-1", "on": False},
    {"type": "seen", "id": "a", "interaction": "i-1", "at_ms": 1_764_000_000_000},
    {"type": "extend_wrap_up", "id": "a", "interaction": "i-1", "by_ms": 30_000},
    {"type": "recall", "id": "a", "interaction": "i-1"},
    {"type": "arrived", "id": "a", "interaction": "i-1"},
    {"type": "pick", "id": "a", "interaction": "i-1"},
]


@pytest.mark.parametrize("written", WRITTEN, ids=lambda w: f"{w['type']}-{len(w)}")
def test_every_message_of_the_contract_is_understood(written: dict[str, Any]) -> None:
    message = m.decode(json.dumps(written).encode())
    again = msgspec.to_builtins(message)
    assert {name: again[name] for name in written if name not in ("attachments", "to")} == {
        name: value for name, value in written.items() if name not in ("attachments", "to")
    }


def test_every_type_of_the_contract_has_an_example_here() -> None:
    assert {w["type"] for w in WRITTEN} == {kind.__struct_config__.tag for kind in m.CLIENT_MESSAGES}


def test_unknown_fields_are_ignored() -> None:
    assert m.decode(b'{"type":"accept","id":"a","offer":"o-1","colour":"blue"}') == m.Accept(id="a", offer="o-1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"nonsense", "malformed"),
        (b"[]", "Expected `object`"),
        (b'{"id":"a"}', "missing required field `type`"),
        (b'{"type":"dance","id":"a"}', "$.type"),
        (b'{"type":"accept","offer":"o-1"}', "missing required field `id`"),
        (b'{"type":"accept","id":"","offer":"o-1"}', "$.id"),
        (b'{"type":"accept","id":"a"}', "missing required field `offer`"),
        (b'{"type":"accept","id":"a","offer":12}', "$.offer"),
        (b'{"type":"set_state","id":"a","state":"away"}', "$.state"),
        (b'{"type":"extend_wrap_up","id":"a","interaction":"i-1","by_ms":0}', "$.by_ms"),
        (b'{"type":"hello","token":"t","last_seq":-1}', "$.last_seq"),
        (b'{"type":"transfer","id":"a","interaction":"i-1","to":{"requirement":{"skil":"x"}}}', "$.to.requirement"),
        (b'{"type":"note","id":"a","interaction":"i-1","text":""}', "$.text"),
        (b'{"type":"say","id":"a","interaction":"i-1","attachments":[{"digest":"../etc"}]}', "$.attachments[0].digest"),
    ],
)
def test_what_is_not_understood_is_answered_with_where_and_what_was_expected(text: bytes, said: str) -> None:
    with pytest.raises(BadMessage) as caught:
        m.decode(text)
    assert said in str(caught.value)


def test_deep_nesting_is_a_bad_message_and_no_crash() -> None:
    deep = b'{"not":' * 5_000 + b"{}" + b"}" * 5_000
    with pytest.raises(BadMessage):
        m.decode(b'{"type":"transfer","id":"a","interaction":"i-1","to":{"requirement":' + deep + b"}}")
    assert m.id_of(b"[" * 50_000) is None


@pytest.mark.parametrize(
    ("text", "ident"),
    [
        (b'{"type":"dance","id":"a"}', "a"),
        (b'{"type":"accept","id":7}', 7),
        (b'{"id":true}', None),
        (b'{"id":null}', None),
        (b'{"id":[1]}', None),
        (b'{"id":""}', None),
        (b"nonsense", None),
        (b'{"id":"' + b"x" * 100 + b'"}', "x" * 64),
    ],
)
def test_an_error_refers_to_the_id_where_there_is_one(text: bytes, ident: str | int | None) -> None:
    assert m.id_of(text) == ident


@given(st.binary(max_size=200) | st.sampled_from(WRITTEN).flatmap(lambda w: mutated(json.dumps(w).encode())))
@example(b"\xff")
@example(b'{"type":"accept","id":"\xff","offer":"o-1"}')
@example(b'{"type":"accept","id":"a","offer":"\\ud800"}')
@example(b'{"type":"accept","id":1e400,"offer":"o-1"}')
def test_any_bytes_are_a_message_or_a_bad_message(text: bytes) -> None:
    try:
        message = m.decode(text)
    except BadMessage:
        m.id_of(text)
    else:
        assert isinstance(message, m.CLIENT_MESSAGES)
        hash(message)


def mutated(text: bytes) -> st.SearchStrategy[bytes]:
    """The text with one byte replaced, or cut off."""
    places = st.integers(0, len(text) - 1)
    replaced = st.builds(lambda at, byte: text[:at] + bytes([byte]) + text[at + 1 :], places, st.integers(0, 255))
    return replaced | places.map(lambda at: text[:at])


def test_server_messages_carry_the_fields_of_the_contract() -> None:
    """`contract.md` fixes these; further fields may follow."""
    fields = {str(k.__struct_config__.tag): set(k.__struct_fields__) for k in m.SERVER_MESSAGES}
    assert fields["ok"] >= {"re"}
    assert fields["error"] >= {"re", "code", "message"}
    assert fields["welcome"] >= {"seq", "agent", "state", "offers", "interactions", "server_time_ms"}
    assert fields["offer"] >= {"seq", "offer", "interaction", "expires_at_ms"}
    assert fields["offer_withdrawn"] >= {"seq", "offer", "reason"}
    assert fields["assigned"] >= {"seq", "interaction"}
    assert fields["message"] >= {"seq", "interaction", "author", "text"}
    assert fields["interaction_updated"] >= {"seq", "interaction"}
    assert fields["interaction_ended"] >= {"seq", "interaction", "reason"}
    assert fields["state"] >= {"seq", "state", "reason", "load"}
    assert fields["goodbye"] >= {"seq", "reason", "retry_after_ms"}
