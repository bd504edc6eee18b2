"""What a kiosk may say of a visitor."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.kiosk.parse import CheckIn, arrival, e164, one_line, parse, parse_key
from channels.kiosk.settings import Settings
from router.engine.commands import Arrive, Ticket
from router.errors import BadMessage, ClientError


def arrived(**fields: str) -> Arrive:
    return arrival(parse(msgspec.json.encode({"topic": "support", **fields}), Settings()), "k", Settings(), 5_000)


def test_a_check_in_arrives_with_all_that_is_known() -> None:
    assert arrived(name=" Ana\tMaria ", language="es", phone="+49 30 12345678") == Arrive(
        key="kiosk:k",
        channel="walkin",
        threads=("kiosk:k",),
        identities=("tel:+493012345678", "ref:kiosk-k"),
        sender="+493012345678",
        recipient="support",
        name="Ana Maria",
        subject="support",
        language="es",
        received_at_ms=5_000,
        ticket=Ticket(attribute="ticket"),
    )


@pytest.mark.promise("IN-6")
def test_a_number_that_is_not_certain_identifies_nobody_and_is_kept_for_the_agent() -> None:
    visit = arrived(phone="555-0100")
    assert (visit.identities, visit.sender, visit.attributes) == (("ref:kiosk-k",), "", {"phone": "555-0100"})
    assert e164("555-0100", "US") == ""
    assert e164("(212) 555-0100", "US") == "+12125550100"
    assert e164("+15550100", "") == "+15550100"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"topic=support",
        b"[]",
        b"{}",
        b'{"topic": ""}',
        b'{"topic": 1}',
        b'{"topic": null}',
        b'{"topic": "%b"}' % (b"x" * 101),
        b'{"topic": "support", "name": "%b"}' % (b"x" * 101),
        b'{"topic": "support", "phone": "%b"}' % (b"1" * 65),
        b'{"topic": "support", "phone": "abc"}',
        b'{"topic": "support", "language": "in Spanish"}',
        b'{"topic": "support", "language": "es\\n"}',
        b'{"topic": "support", "telephone": "+15550100"}',
        b'{"topic": "support", "name": "\xff"}',
        b'{"topic": ' + b"[" * 4_000,
    ],
)
def test_what_is_not_understood_is_refused(body: bytes) -> None:
    with pytest.raises(BadMessage):
        parse(body, Settings())


@pytest.mark.parametrize("key", ["a b", "\u00e9", "x" * 129, "a\x00", "\t"])
def test_a_key_that_could_not_be_repeated_exactly_is_refused(key: str) -> None:
    with pytest.raises(BadMessage):
        parse_key(key)


def test_a_key_may_be_left_out() -> None:
    assert parse_key("") == ""
    assert parse_key("7f3a") == "7f3a"


@given(st.text(max_size=120))
def test_a_name_fits_in_one_line_whatever_was_typed(text: str) -> None:
    line = one_line(text)
    assert not set(line) & set("\x00\n\r\t\x1b\u202e\u2066")
    assert line == line.strip()
    assert one_line(line) == line


@pytest.mark.promise("IN-4")
@given(st.binary(max_size=300))
def test_any_bytes_are_a_check_in_or_are_refused(body: bytes) -> None:
    with suppress(ClientError):
        assert isinstance(parse(body, Settings()), CheckIn)


@given(
    st.builds(CheckIn, topic=st.text(min_size=1, max_size=20), name=st.text(max_size=50), phone=st.text(max_size=64)),
    st.sampled_from(["", "DE", "US"]),
)
def test_any_check_in_is_a_visit(check_in: CheckIn, country: str) -> None:
    visit = arrival(check_in, "k", Settings(country=country), 1)
    assert visit.identities[-1] == "ref:kiosk-k"
    assert all(identity.startswith("tel:+") for identity in visit.identities[:-1])
