"""What a generic gateway may say, and what it may not."""

from __future__ import annotations

from contextlib import suppress
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.phone.calls import CallEvent, EventType, command_of
from channels.phone.generic.parse import parse
from channels.phone.request import Raw
from channels.phone.settings import Gateway
from router.engine import commands as c
from router.engine.events import Message
from router.errors import BadMessage, ClientError, TooLarge
from tests.phone.support import DEV, told

NOW = 1_700_000_000_000


def read(body: bytes, **options: int) -> CallEvent:
    return parse(Raw("events", "/v1/phone/dev/events", {}, body), msgspec.structs.replace(DEV, **options))


def read_event(event: dict[str, object], **options: int) -> CallEvent:
    return read(msgspec.json.encode(event), **options)


def asked(event: dict[str, object], gateway: Gateway = DEV) -> c.AnyCommand:
    return command_of(read_event(event), "phone.dev:", gateway, NOW)


def test_an_incoming_call_arrives_with_all_that_is_known() -> None:
    attributes = {"name": "Ana", "language": "es", "vip": True, "tries": 2, "load": 0.5, "gone": None}
    event = told(event_id="e-1", call_id="c-1", at=NOW / 1_000, attributes=attributes)
    assert asked(event) == c.Arrive(
        key="phone.dev:e-1",
        channel="phone",
        threads=("phone.dev:c-1",),
        identities=("tel:+493012345678",),
        sender="+493012345678",
        recipient="+15550100",
        name="Ana",
        language="es",
        attributes={"name": "Ana", "language": "es", "vip": "true", "tries": "2", "load": "0.5"},
        lease_ms=120_000,
        received_at_ms=NOW,
    )


def test_each_other_type_asks_for_its_own() -> None:
    key, thread = "phone.dev:e-1", "phone.dev:c-1"

    def of(type_: str, **attributes: str) -> c.AnyCommand:
        return asked(told(type_, event_id="e-1", call_id="c-1", attributes=attributes))

    assert of("alive") == c.Renew(thread=thread, lease_ms=120_000)
    assert of("answered") == c.ConfirmConnection(key=key, thread=thread)
    assert of("ended") == c.Leave(key=key, thread=thread, reason="ended")
    assert of("abandoned") == c.Leave(key=key, thread=thread, reason="abandoned")
    assert of("connect_failed", reason="busy") == c.FailConnection(key=key, thread=thread, reason="busy")
    digits = Message(text="12#A", external_id="e-1")
    assert of("dtmf", digits="12#a") == c.Append(key=key, thread=thread, message=digits)


@pytest.mark.parametrize("type_", get_args(EventType))
def test_commands_are_plain_data_that_a_journal_takes(type_: str) -> None:
    """A duration of the settings is a number with manners, which no journal can write."""
    command = asked(told(type_, at=NOW // 1_000 - 400, attributes={"digits": "1", "url": "https://pbx/r"}))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(command), type=type(command)) == command


@pytest.mark.parametrize("caller", ["", "anonymous", "sip:anonymous@anonymous.invalid", "Restricted", "private", "0"])
def test_a_caller_who_holds_the_number_back_is_nobody_known(caller: str) -> None:
    arrival = asked(told(**{"from": caller}))
    assert isinstance(arrival, c.Arrive)
    assert arrival.identities == ()


def test_a_number_that_is_none_is_kept_as_written() -> None:
    arrival = asked(told(**{"from": "sip:alice@example.org", "to": "<sip:support@example.org>"}))
    assert isinstance(arrival, c.Arrive)
    assert (arrival.sender, arrival.recipient, arrival.identities) == ("alice", "support", ())


@pytest.mark.parametrize(
    ("at", "start"),
    [
        (None, NOW),
        (NOW / 1_000, NOW),
        (NOW // 1_000 - 20, NOW - 20_000),
        (NOW - 20_000, NOW - 20_000),
        ("2023-11-14T22:13:00Z", NOW - 20_000),
        ("2023-11-14T23:13:00.500+01:00", NOW - 19_500),
    ],
)
def test_the_wait_starts_when_the_gateway_says(at: object, start: int) -> None:
    arrival = asked(told(at=at))
    assert isinstance(arrival, c.Arrive)
    assert arrival.received_at_ms == start


@pytest.mark.parametrize(("at", "start"), [(0, NOW), (1e300, NOW), (-5, NOW), (NOW + 9e6, NOW)])
def test_a_wrong_clock_buys_no_better_place(at: float, start: int) -> None:
    arrival = asked(told(at=at))
    assert isinstance(arrival, c.Arrive)
    assert arrival.received_at_ms == start


@pytest.mark.promise("IN-4")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"incoming",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"event_id": "e", "call_id": "c", "type": "incoming"',
        b'{"event_id": "e", "call_id": "c", "type": "incoming"} {}',
        b'{"event_id": "e", "call_id": "c"}',
        b'{"event_id": "e", "type": "incoming"}',
        b'{"call_id": "c", "type": "incoming"}',
        b'{"event_id": "", "call_id": "c", "type": "incoming"}',
        b'{"event_id": "e", "call_id": "a b", "type": "incoming"}',
        b'{"event_id": "e", "call_id": "c\\u0000", "type": "incoming"}',
        b'{"event_id": "e\\n", "call_id": "c", "type": "incoming"}',
        b'{"event_id": 7, "call_id": "c", "type": "incoming"}',
        b'{"event_id": "%b", "call_id": "c", "type": "incoming"}' % (b"e" * 256),
        b'{"event_id": "e", "call_id": "c", "type": "ringing"}',
        b'{"event_id": "e", "call_id": "c", "type": "Incoming"}',
        b'{"event_id": "e", "call_id": "c", "type": "incoming", "from": null}',
        b'{"event_id": "e", "call_id": "c", "type": "incoming", "from": "\xff"}',
        b'{"event_id": "e", "call_id": "c", "type": "incoming", "at": "yesterday"}',
        b'{"event_id": "e", "call_id": "c", "type": "incoming", "at": "2026-11-22T10:00:00"}',
        b'{"event_id": "e", "call_id": "c", "type": "incoming", "at": 1e999}',
        b'{"event_id": "e", "call_id": "c", "type": "incoming", "at": true}',
        b'{"event_id": "e", "call_id": "c", "type": "incoming", "attributes": []}',
        b'{"event_id": "e", "call_id": "c", "type": "incoming", "attributes": {"a": {}}}',
        b'{"event_id": "e", "call_id": "c", "type": "incoming", "attributes": {"a": %b}}' % (b"1" * 5_000),
        b'{"event_id": "e", "call_id": "c", "type": "dtmf"}',
        b'{"event_id": "e", "call_id": "c", "type": "dtmf", "attributes": {"digits": ""}}',
        b'{"event_id": "e", "call_id": "c", "type": "dtmf", "attributes": {"digits": "1 2"}}',
        b'{"event_id": "e", "call_id": "c", "type": "dtmf", "attributes": {"digits": "%b"}}' % (b"1" * 65),
        b'{"event_id": "e", "call_id": "c", "type": "incoming", "x": ' + b"[" * 30_000,
    ],
    ids=range(32),
)
def test_what_is_not_understood_is_refused(body: bytes) -> None:
    with pytest.raises(BadMessage):
        read(body)


@pytest.mark.promise("IN-5")
def test_limits_are_those_of_the_gateway() -> None:
    two = told(attributes={"a": "x", "b": "y"})
    read_event(two, max_attributes=2)
    with pytest.raises(TooLarge):
        read_event(two, max_attributes=1)
    for long in ({"attributes": {"a": "x" * 17}}, {"attributes": {"a" * 17: "x"}}, {"from": "x" * 17}):
        with pytest.raises(TooLarge):
            read_event(told(**long), max_text=16)
    read_event(told(attributes={"a": "x" * 16}), max_text=16)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=9), children, max_size=4),
    max_leaves=8,
)
names = st.sampled_from(["event_id", "call_id", "type", "from", "to", "at", "attributes", "other"])
types = st.sampled_from(["incoming", "alive", "answered", "ended", "abandoned", "connect_failed", "dtmf"])


@pytest.mark.promise("IN-4")
@given(st.binary(max_size=400))
def test_any_bytes_are_an_event_or_are_refused(body: bytes) -> None:
    with suppress(ClientError):
        assert isinstance(read(body), CallEvent)


@given(fields=st.dictionaries(names, json_values, max_size=8), type_=types, good=st.booleans())
def test_any_json_is_an_event_with_a_command_or_is_refused(fields: dict[str, object], type_: str, good: bool) -> None:
    event = fields | ({"event_id": "e", "call_id": "c", "type": type_} if good else {})
    try:
        body = msgspec.json.encode(event)
    except UnicodeEncodeError:  # lone surrogates have no bytes
        return
    try:
        command = command_of(read(body), "phone.dev:", DEV, NOW)
    except ClientError:
        return
    assert command.key.startswith("phone.dev:") or isinstance(command, c.Renew)
