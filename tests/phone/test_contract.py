"""What every kind of gateway must keep, whatever it speaks. A new kind joins by a line in `gateways.VOICES`.

A pair of modules is held to this: `parse` (what it is told) and `render` (what it says). The channel around them is the
real one, over a real engine; only the network is missing.
"""

from __future__ import annotations

import itertools
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.phone.calls import ALL_VERBS, CallEvent, Order, Outcome
from channels.phone.kinds import KINDS
from channels.phone.request import Raw, Site
from channels.phone.telephones import can_ring
from router.engine import commands as c
from router.engine import events as e
from router.engine.transitions import CLOSED
from router.errors import ClientError, Overloaded, TooLarge, Unauthenticated
from router.service.ports import DeliveryFailed
from tests.phone.gateways import VOICES
from tests.phone.offline import Office, gateway

CALL = "c1"
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


async def say(office: Office, kind: str, what: str, order: str = "") -> bytes:
    raw: Raw = getattr(VOICES[kind], what)(CALL, order)
    return (await office.tell(kind, raw)).body


def happened(office: Office, *kinds: type[e.Event]) -> list[type[e.Event]]:
    return [type(event) for event in office.writer.events if type(event) in kinds]


async def connecting(office: Office, kind: str) -> str:
    """A call that somebody accepted, whose gateway was told to connect them; the name of that order."""
    await say(office, kind, "incoming")
    office.accept()
    [letter] = office.letters()
    await office.deliver_all()
    return f"sb-{letter.outbound}"


# --- what it is told --------------------------------------------------------------------------------------------------


def test_every_kind_has_a_voice() -> None:
    assert VOICES.keys() == KINDS.keys()


@pytest.mark.promise("IN-3")
@each_kind
async def test_a_call_is_one_however_often_it_is_told_and_gets_the_same_answer(office: Office, kind: str) -> None:
    raw = VOICES[kind].incoming(CALL, "")
    answers = {(await office.tell(kind, raw)).body for _ in range(3)}
    assert len(answers) == 1
    assert len(happened(office, e.InteractionArrived)) == 1


@pytest.mark.promise("IN-3")
@each_kind
@pytest.mark.parametrize("end", ["ended", "abandoned"])
async def test_an_end_that_overtakes_its_beginning_leaves_nothing(office: Office, kind: str, end: str) -> None:
    await say(office, kind, end)
    await say(office, kind, "incoming")
    assert list(office.stuck()) == []


@pytest.mark.promise("IN-6")
@each_kind
async def test_a_caller_is_known_by_their_number(office: Office, kind: str) -> None:
    await say(office, kind, "incoming")
    [arrived] = [event for event in office.writer.events if isinstance(event, e.InteractionArrived)]
    assert arrived.identities == ("tel:+493012345678",)


@pytest.mark.promise("OF-5")
@each_kind
async def test_a_caller_who_gives_up_takes_the_offer_with_them(office: Office, kind: str) -> None:
    await say(office, kind, "incoming")
    [(name, offer)] = office.offers()
    await say(office, kind, "abandoned")
    assert list(office.stuck()) == []
    assert isinstance(office.ask(c.Accept(agent=name, offer=offer)), ClientError)
    assert happened(office, e.OfferExpired, e.OfferDeclined) == []


@each_kind
async def test_a_call_is_connected_and_ends(office: Office, kind: str) -> None:
    order = await connecting(office, kind)
    await say(office, kind, "answered", order)
    await say(office, kind, "answered", order)
    assert len(happened(office, e.ConnectionConfirmed)) == 1
    await say(office, kind, "ended", order)
    await office.deliver_all()
    assert list(office.stuck()) == []


@pytest.mark.promise("OF-3")
@each_kind
async def test_a_telephone_that_is_busy_is_no_miss_and_the_caller_waits_for_another(office: Office, kind: str) -> None:
    order = await connecting(office, kind)
    await say(office, kind, "busy", order)
    await say(office, kind, "busy", order)
    assert happened(office, e.ConnectFailed, e.OfferExpired, e.OfferDeclined) == [e.ConnectFailed]
    number = office.desk.find(f"phone.{kind}:{CALL}")
    assert number is not None
    view = office.desk.interaction(number)
    assert (view.connect_failures, view.misses, view.declines) == (1, 0, 0)
    assert office.offers(), "the other agent is asked"


@pytest.mark.promise("MV-3")
@each_kind
async def test_a_call_of_which_nothing_is_heard_any_more_is_over(office: Office, kind: str) -> None:
    await connecting(office, kind)
    office.wait(int(gateway(kind).talk_lease) + 60_000)
    assert list(office.stuck()) == [] or all(word.startswith("order") for word in office.stuck())
    assert [item.state for item in office.engine.state.interactions.values()] == [CLOSED]


@pytest.mark.promise("OB-6")
@each_kind
@pytest.mark.parametrize("what", ["incoming", "alive", "answered", "busy", "ended", "abandoned"])
def test_what_is_not_signed_is_nobodys(kind: str, what: str) -> None:
    raw: Raw = getattr(VOICES[kind], what)(CALL, "")
    for headers in ({}, dict.fromkeys(("Authorization", "X-Twilio-Signature", "Switchboard-Signature"), "x")):
        with pytest.raises(Unauthenticated):
            KINDS[kind].verify(Raw(raw.path, raw.target, headers, raw.body), gateway(kind), 0)


@pytest.mark.promise("IN-4")
@each_kind
@given(
    cut=st.integers(0, 80),
    part=st.integers(0, 2),
    junk=st.binary(max_size=60),
    where=st.integers(0, 9),
    target=st.text(),
)
def test_no_bytes_make_the_parser_fail(kind: str, cut: int, part: int, junk: bytes, where: int, target: str) -> None:
    good = VOICES[kind].incoming(CALL, "").body
    body = (b"", good[:cut], good[cut:])[part] + junk
    path = KINDS[kind].paths[where % len(KINDS[kind].paths)]
    for raw in (Raw(path, f"/?{target}", {}, body), Raw(path, target, {}, body)):
        with suppress(ClientError):
            assert isinstance(KINDS[kind].parse(raw, gateway(kind)), CallEvent)
        with pytest.raises(Unauthenticated):
            KINDS[kind].verify(raw, gateway(kind), 0)


@pytest.mark.promise("IN-5")
@each_kind
def test_limits_are_the_gateways(kind: str) -> None:
    raw = VOICES[kind].incoming(CALL, "")
    small = msgspec.structs.replace(gateway(kind), max_text=16)
    body = raw.body.replace(b"493012345678", b"4930" * 8)
    assert body != raw.body
    with pytest.raises(TooLarge):
        KINDS[kind].parse(Raw(raw.path, raw.target, {}, body), small)


# --- what it says -----------------------------------------------------------------------------------------------------


@each_kind
def test_every_decision_has_words(kind: str) -> None:
    """Whatever is decided on whatever was told: there is an answer, in the media type that is promised."""
    site, decisions = Site(kind, gateway(kind)), itertools.product(("queue", "reject", "none"), (0, 7), (False, True))
    for action, interaction, is_open in decisions:
        outcome = Outcome(action, interaction, "closed", 3, 40, is_open, "We open at eight.")  # type: ignore[arg-type]
        for what in ("incoming", "alive", "answered", "busy", "ended", "abandoned"):
            raw: Raw = getattr(VOICES[kind], what)(CALL, "")
            answer = KINDS[kind].answer(outcome, KINDS[kind].parse(raw, gateway(kind)), site)
            assert answer.media_type == KINDS[kind].media
            assert answer.body


@pytest.mark.promise("IN-2")
@each_kind
def test_while_nothing_can_be_recorded_a_new_call_stays_with_the_gateway(kind: str) -> None:
    site = Site(kind, gateway(kind))
    for what in ("incoming", "ended"):
        raw: Raw = getattr(VOICES[kind], what)(CALL, "")
        if raw.path != "dial":  # of who is with us already
            assert KINDS[kind].not_now(raw, Overloaded("full", retry_after_s=7), site) is None


def an_order(action: Any, endpoint: str = "sip:ana@desk", agent: str = "ana") -> Order:
    return Order(id="sb-17", action=action, call_id=CALL, interaction="i-1", agent=agent, endpoint=endpoint)


@each_kind
@pytest.mark.parametrize("verb", sorted(ALL_VERBS))
def test_what_it_can_do_is_one_request_that_is_the_same_on_every_try(kind: str, verb: Any) -> None:
    if verb not in KINDS[kind].orders:
        return
    site = Site(kind, gateway(kind))
    first, second = (KINDS[kind].control(an_order(verb), site, now_ms) for now_ms in (1_000, 5_000))
    assert first.url.startswith("http://127.0.0.1:9/")
    assert (first.url, first.body, first.method) == (second.url, second.body, second.method)
    assert b"dev-secret" not in first.body


@each_kind
async def test_what_it_cannot_do_is_not_sent(office: Office, kind: str) -> None:
    await connecting(office, kind)
    office.adapter.sent.clear()
    [number] = [item.number for item in office.engine.state.interactions.values()]
    office.ask(c.Hold(agent=office.desk.interaction(number).agent, interaction=number))
    [letter] = office.letters()
    if "hold" in KINDS[kind].orders:
        with suppress(DeliveryFailed):  # of what has to be looked up first, nothing is found
            await office.adapter.deliver(letter)
        assert office.adapter.sent
    else:
        with pytest.raises(DeliveryFailed) as failed:
            await office.adapter.deliver(letter)
        assert failed.value.final
        assert office.adapter.sent == []


@each_kind
@pytest.mark.parametrize("endpoint", ["sip:ana@desk", "+493012345678", "client:ana", "user:ana@realm", "ana", ""])
def test_only_what_it_can_ring_is_rung(kind: str, endpoint: str) -> None:
    """As the configuration was told: no agent passes there who cannot be connected."""
    site = Site(kind, gateway(kind))
    if can_ring(endpoint, KINDS[kind].rings):
        KINDS[kind].control(an_order("connect", endpoint), site, 0)
    elif kind != "generic":  # it may know telephones by names of its own
        with pytest.raises(DeliveryFailed) as failed:
            KINDS[kind].control(an_order("connect", endpoint), site, 0)
        assert failed.value.final


# --- recordings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (
            "generic",
            b'{"event_id":"r-1","call_id":"c1","type":"recording",'
            b'"attributes":{"url":"https://pbx.example.org/r/17","seconds":41}}',
        ),
        (
            "twilio",
            b"CallSid=c1&RecordingSid=RE1&RecordingUrl=https%3A%2F%2Fpbx.example.org%2Fr%2F17&RecordingDuration=41",
        ),
    ],
)
async def test_a_recording_is_noted_once_though_the_call_is_over(office: Office, kind: str, raw: bytes) -> None:
    order = await connecting(office, kind)
    await say(office, kind, "answered", order)
    await say(office, kind, "ended", order)
    path = "events" if kind == "generic" else "recording"
    for _ in range(2):
        await office.tell(kind, Raw(path, f"/v1/phone/dev/{path}", {}, raw))
    notes = [event for event in office.writer.events if isinstance(event, e.NoteAdded)]
    assert [(note.text, note.by) for note in notes] == [
        ("Recording: https://pbx.example.org/r/17 (41 s)", f"phone.{kind}")
    ]
    assert list(office.stuck()) == []


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "https://a b", "ftp://x"])
async def test_what_is_no_address_of_a_recording_is_refused(office: Office, url: str) -> None:
    await say(office, "generic", "incoming")
    event = {"event_id": "r", "call_id": CALL, "type": "recording", "attributes": {"url": url}}
    with pytest.raises(ClientError):
        await office.tell("generic", Raw("events", "", {}, msgspec.json.encode(event)))


async def test_a_recording_of_a_call_that_nobody_knows_is_late(office: Office) -> None:
    event = {"event_id": "r", "call_id": "?", "type": "recording", "attributes": {"url": "https://pbx.example.org/r"}}
    answer = await office.tell("generic", Raw("events", "", {}, msgspec.json.encode(event)))
    assert msgspec.json.decode(answer.body) == {"interaction": None, "action": {"type": "none"}}


def test_conversations_are_recorded_where_the_operator_says_so() -> None:
    for record in (False, True):
        site = Site("twilio", msgspec.structs.replace(gateway("twilio"), record=record))
        body = KINDS["twilio"].control(an_order("connect"), site, 0).body
        assert (b"recordingStatusCallback" in body) is record
