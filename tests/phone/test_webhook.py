"""What a gateway gets for what it tells: over real HTTP, beside a desk that records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels.phone.settings import Gateway, Settings
from channels.phone.signature import HEADER
from router.engine import commands as c
from router.engine.views import Refused
from router.errors import ConfigError, Draining, NoRoute, Overloaded, RouterError, Unavailable
from tests.phone.support import DEV, SECRET, Phone, phone_channel, told
from tests.support.waiting import until


@pytest.fixture
async def phone(tmp_path: Path) -> AsyncIterator[Phone]:
    async with phone_channel(tmp_path) as channel:
        yield channel


def ghosts(phone: Phone) -> dict[str, int]:
    """Calls that are open at the desk."""
    return phone.desk.threads


# --- what is told and answered ----------------------------------------------------------------------------------------


@pytest.mark.promise("RT-11")
async def test_a_call_that_its_queue_does_not_let_wait_is_rejected_with_what_the_caller_is_told(phone: Phone) -> None:
    phone.desk.refusals[1] = Refused("out-of-hours", "We open at eight.")
    action = {"type": "reject", "reason": "out-of-hours", "message": "We open at eight."}
    event = told("incoming")
    assert await phone.answer(event) == {"interaction": "i-1", "action": action}
    assert await phone.answer(event) == {"interaction": "i-1", "action": action}, "told again, answered the same"


async def test_a_call_is_told_from_beginning_to_end(phone: Phone) -> None:
    queued = {"interaction": "i-1", "action": {"type": "queue"}}
    noted = {"interaction": "i-1", "action": {"type": "none"}}
    assert await phone.answer(told("incoming")) == queued
    assert await phone.answer(told("alive")) == noted
    assert await phone.answer(told("dtmf", attributes={"digits": "1"})) == noted
    assert await phone.answer(told("answered")) == noted
    assert await phone.answer(told("connect_failed")) == noted
    assert await phone.answer(told("ended")) == noted
    asked = [type(command) for command in phone.desk.commands]
    assert asked == [c.Arrive, c.Renew, c.Append, c.ConfirmConnection, c.FailConnection, c.Leave]
    assert ghosts(phone) == {}


async def test_a_call_that_no_rule_takes_is_rejected_so_that_the_caller_hears_something(phone: Phone) -> None:
    phone.desk.refuse = lambda command: NoRoute("no rule takes this number")
    rejected = {"interaction": None, "action": {"type": "reject", "reason": "no-route"}}
    event = told("incoming")
    assert await phone.answer(event) == rejected
    assert await phone.answer(told("ended")) == {"interaction": None, "action": {"type": "none"}}
    assert await phone.answer(event) == rejected
    assert phone.quarantine.count == 0


@pytest.mark.parametrize("type_", ["alive", "answered", "ended", "abandoned", "connect_failed"])
async def test_an_event_of_a_call_that_is_over_is_no_reason_to_send_it_again(phone: Phone, type_: str) -> None:
    await phone.answer(told("incoming"))
    await phone.answer(told("ended"))
    assert await phone.answer(told(type_)) == {"interaction": None, "action": {"type": "none"}}
    assert await phone.answer(told(type_, call_id="unheard-of")) == {"interaction": None, "action": {"type": "none"}}


# --- in any order, any number of times --------------------------------------------------------------------------------


@pytest.mark.promise("IN-3")
async def test_a_hundred_copies_at_once_are_one_call_and_get_a_hundred_equal_answers(phone: Phone) -> None:
    event = told("incoming")
    answers = await asyncio.gather(*(phone.tell(event) for _ in range(100)))
    assert set(answers) == {(200, b'{"interaction":"i-1","action":{"type":"queue"}}')}
    assert phone.desk.count == 1


@pytest.mark.promise("IN-3")
@pytest.mark.parametrize("type_", ["incoming", "answered", "ended", "abandoned", "connect_failed"])
async def test_a_late_copy_gets_the_bytes_of_the_first(phone: Phone, type_: str) -> None:
    beginning = told("incoming")
    await phone.tell(beginning)
    event = beginning if type_ == "incoming" else told(type_)
    first = await phone.tell(event)
    await phone.tell(told("ended"))
    await phone.tell(told("ended"))
    assert await phone.tell(event) == first
    assert phone.desk.count == 1
    assert ghosts(phone) == {}


@pytest.mark.promise("IN-3", "MV-3")
async def test_an_end_that_overtakes_its_beginning_leaves_no_ghost(phone: Phone) -> None:
    nothing = {"interaction": None, "action": {"type": "none"}}
    assert await phone.answer(told("abandoned")) == nothing
    assert await phone.answer(told("incoming")) == nothing
    assert phone.desk.count == 0


async def test_a_beginning_that_is_sent_while_its_end_is_being_recorded_makes_no_ghost(phone: Phone) -> None:
    phone.desk.held = []
    end = asyncio.create_task(phone.tell(told("ended")))
    await until(lambda: bool(phone.desk.held))
    assert await phone.tell(told("incoming")) == (200, b'{"interaction":null,"action":{"type":"none"}}')
    release(phone)
    await end
    assert phone.desk.count == 0


async def test_a_call_that_is_over_does_not_begin_again_under_another_event(phone: Phone) -> None:
    await phone.answer(told("incoming"))
    await phone.answer(told("ended"))
    assert await phone.answer(told("incoming")) == {"interaction": None, "action": {"type": "none"}}
    assert phone.desk.count == 1


@pytest.mark.promise("IN-3")
async def test_an_end_repeated_after_a_restart_does_not_change_the_answer_to_the_beginning(
    phone: Phone, tmp_path: Path
) -> None:
    beginning, end = told("incoming"), told("ended")
    first = await phone.tell(beginning)
    await phone.tell(end)
    async with phone_channel(tmp_path) as after:
        after.adapter._desk = phone.desk
        await after.tell(end)
        assert await after.tell(beginning) == first
    assert phone.desk.count == 1


async def test_an_end_is_forgotten_after_its_time(phone: Phone) -> None:
    await phone.answer(told("ended"))
    phone.desk.now += 3_600_001
    assert (await phone.answer(told("incoming")))["action"] == {"type": "queue"}


KINDS_OF_EVENT = ("incoming", "alive", "answered", "dtmf", "connect_failed", "ended")


@pytest.mark.promise("IN-3")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_order_of_the_events_of_a_call_leaves_a_ghost(tmp_path: Path, data: st.DataObject) -> None:
    events = [told(type_, event_id=type_, attributes={"digits": "1"}) for type_ in KINDS_OF_EVENT]
    copies = data.draw(st.lists(st.sampled_from(events), max_size=6))
    order = data.draw(st.permutations(events + copies))

    async def play() -> None:
        async with phone_channel(tmp_path) as phone:
            answers: dict[object, set[tuple[int, bytes]]] = {}
            for event in order:
                answers.setdefault(event["type"], set()).add(await phone.tell(event))
            assert ghosts(phone) == {}
            assert phone.desk.count <= 1
            # Whatever changed something did so once and for all.
            assert all(len(seen) == 1 for type_, seen in answers.items() if type_ in ("incoming", "ended"))

    asyncio.run(play())


# --- what cannot be recorded ------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-2")
@pytest.mark.parametrize("refusal", [Overloaded("full", 7), Unavailable("disk", 7), Draining("bye", 7)])
@pytest.mark.parametrize("type_", ["incoming", "alive", "ended"])
async def test_what_cannot_be_recorded_stays_with_the_gateway(phone: Phone, refusal: RouterError, type_: str) -> None:
    event = told(type_)
    phone.desk.refuse = lambda command: refusal
    response = await phone.post(msgspec.json.encode(event))
    assert response.status == 503
    assert response.headers["Retry-After"] == "7"
    assert (await response.json())["code"] == refusal.code
    assert phone.quarantine.count == 0
    phone.desk.refuse = lambda command: None
    assert (await phone.tell(event))[0] == 200


@pytest.mark.promise("IN-2")
async def test_nothing_is_answered_before_it_is_recorded(phone: Phone) -> None:
    phone.desk.held = []
    answer = asyncio.create_task(phone.tell(told("incoming")))
    await until(lambda: bool(phone.desk.held))
    assert phone.desk.commands
    assert not answer.done()
    release(phone)
    assert (await answer)[0] == 200


async def test_a_channel_that_stops_takes_nothing_new_and_finishes_what_it_took(phone: Phone) -> None:
    phone.desk.held = []
    taken = asyncio.create_task(phone.tell(told("incoming")))
    await until(lambda: bool(phone.desk.held))
    await phone.adapter.stop_intake()
    response = await phone.post(msgspec.json.encode(told("incoming", "call-2")))
    assert (response.status, (await response.json())["code"]) == (503, "draining")
    assert "Retry-After" in response.headers
    release(phone)
    assert (await taken)[0] == 200


@pytest.mark.promise("IN-5")
async def test_more_than_the_rate_is_put_off(tmp_path: Path) -> None:
    async with phone_channel(tmp_path, rate=2) as phone:
        statuses = [(await phone.tell(told(call_id=f"call-{n}")))[0] for n in range(3)]
        assert statuses == [200, 200, 503]
        phone.desk.now += 500
        assert (await phone.tell(told()))[0] == 200


# --- who may speak ----------------------------------------------------------------------------------------------------


@pytest.mark.promise("OB-6")
async def test_nobody_speaks_without_a_good_signature(phone: Phone) -> None:
    body = msgspec.json.encode(told())
    for headers in (
        {},
        {HEADER: "nonsense"},
        phone.signed(body, "another-secret"),
        phone.signed(body + b" "),
        phone.signed(body, at_ms=phone.desk.now - 301_000),
        phone.signed(body, at_ms=phone.desk.now + 301_000),
    ):
        response = await phone.post(body, headers)
        assert (response.status, (await response.json())["code"]) == (401, "unauthenticated")
    assert phone.desk.commands == []
    assert phone.quarantine.count == 0


@pytest.mark.promise("OB-6", "IN-4")
async def test_operators_read_of_forged_requests_but_not_of_all_of_them(
    phone: Phone, capsys: pytest.CaptureFixture[str]
) -> None:
    body = msgspec.json.encode(told())
    for _ in range(50):
        assert (await phone.post(body, phone.signed(body, "another-secret"))).status == 401
    lines = [line for line in capsys.readouterr().err.splitlines() if "phone_refused" in line]
    assert len(lines) == 5
    assert "does not match" in lines[0]
    assert "another-secret" not in "".join(lines)
    phone.desk.now += 10_000
    await phone.post(body, {})
    assert "is missing" in capsys.readouterr().err


@pytest.mark.promise("OB-6")
async def test_the_age_of_a_signature_is_judged_by_the_clock_of_the_desk(phone: Phone) -> None:
    body = msgspec.json.encode(told())
    headers = phone.signed(body, at_ms=phone.desk.now)
    phone.desk.now += 300_000
    assert (await phone.post(body, headers)).status == 200
    phone.desk.now += 1_000
    assert (await phone.post(body, headers)).status == 401


@pytest.mark.promise("OB-6")
async def test_a_signed_request_that_somebody_repeats_changes_nothing(phone: Phone) -> None:
    body = msgspec.json.encode(told())
    headers = phone.signed(body)
    first = await (await phone.post(body, headers)).read()
    assert await (await phone.post(body, headers)).read() == first
    assert phone.desk.count == 1


@pytest.mark.promise("OB-6")
async def test_secrets_change_without_losing_a_call(tmp_path: Path) -> None:
    async with phone_channel(tmp_path, secrets=("new-secret", SECRET)) as phone:
        body = msgspec.json.encode(told())
        for secrets in (("new-secret",), (SECRET,), (SECRET, "new-secret")):
            assert (await phone.post(body, phone.signed(body, *secrets))).status == 200
        assert (await phone.post(body, phone.signed(body, "third-secret"))).status == 401


@pytest.mark.promise("OB-6")
def test_demo_secrets_work_on_loopback_only(tmp_path: Path) -> None:
    settings = Settings(gateways={"main": Gateway(secrets=("a-real-secret", SECRET))})
    Phone(settings, tmp_path, loopback_only=True)
    with pytest.raises(ConfigError) as refusal:
        Phone(settings, tmp_path, loopback_only=False)
    assert refusal.value.path == "phone.gateways.main.secrets"
    assert SECRET not in str(refusal.value)


@pytest.mark.promise("MV-3")
async def test_a_call_lives_for_its_lease_unless_its_gateway_renews_it(tmp_path: Path) -> None:
    async with phone_channel(tmp_path, lease=45_000) as phone:
        await phone.answer(told("incoming"))
        await phone.answer(told("alive"))
        arrival, renewal = phone.desk.commands
        assert isinstance(arrival, c.Arrive)
        assert isinstance(renewal, c.Renew)
        assert (arrival.lease_ms, renewal.lease_ms) == (45_000, 45_000)


@pytest.mark.promise("OB-6")
def test_settings_that_are_printed_hold_no_secret() -> None:
    assert SECRET not in repr(Settings(gateways={"dev": DEV}))


@pytest.mark.promise("OB-6")
def test_a_gateway_without_a_secret_cannot_be_configured() -> None:
    options: tuple[dict[str, object], ...] = ({}, {"secrets": []}, {"secrets": ["short"]})
    for gateway in options:
        with pytest.raises(msgspec.ValidationError, match="secrets"):
            msgspec.convert({"gateways": {"dev": gateway}}, Settings)


@pytest.mark.parametrize("path", ["/v1/phone/other/events", "/v1/phone/dev/voice", "/v1/phone/dev/"])
async def test_other_addresses_are_not_found(phone: Phone, path: str) -> None:
    response = await phone.client.post(path, data=b"{}")
    assert (response.status, (await response.json())["code"]) == (404, "not-found")


async def test_gateways_do_not_share_their_calls(tmp_path: Path) -> None:
    both = Settings(gateways={"dev": DEV, "other": DEV})
    async with phone_channel(tmp_path, settings=both) as phone:
        event = told()
        assert await phone.tell(event, "dev") != await phone.tell(event, "other")
        assert phone.desk.count == 2


# --- what is not understood -------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-4")
async def test_what_is_not_understood_is_refused_and_set_aside_once(phone: Phone) -> None:
    bad = b'{"event_id": "e", "call_id": "c", "type": "ringing"}'
    for _ in range(3):
        response = await phone.post(bad)
        assert (response.status, (await response.json())["code"]) == (422, "bad-message")
        assert response.content_type == "application/problem+json"
    [entry] = phone.quarantine.entries()
    assert (entry.source, entry.code, phone.quarantine.read(entry.id)) == ("phone.dev", "bad-message", bad)
    assert "$.type" in entry.reason
    assert (await phone.tell(told()))[0] == 200


@pytest.mark.promise("IN-4")
async def test_what_cannot_be_set_aside_stays_with_the_gateway(phone: Phone) -> None:
    ident = await phone.quarantine.put("phone.dev", b"full", "no room for more")
    response = await phone.post(b"nonsense")
    assert (response.status, (await response.json())["code"]) == (503, "overloaded")
    phone.quarantine.discard(ident)
    assert (await phone.post(b"nonsense")).status == 422
    assert phone.quarantine.count == 1


@pytest.mark.promise("IN-5")
async def test_a_gateway_cannot_fill_the_disk(tmp_path: Path) -> None:
    async with phone_channel(tmp_path, quarantined=10, set_aside=2) as phone:
        for n in range(5):
            assert (await phone.post(b"nonsense %d" % n)).status == 422
        assert phone.quarantine.count == 2
        phone.desk.now += 1_801_000
        await phone.post(b"more nonsense")
        assert phone.quarantine.count == 3


@pytest.mark.promise("IN-4")
async def test_what_was_set_aside_can_be_taken_again(phone: Phone) -> None:
    take = phone.adapter.requeue_hooks()["phone.dev"]
    await take(msgspec.json.encode(told()), None)
    assert phone.desk.count == 1
    with pytest.raises(RouterError):
        await take(b"nonsense", None)


@pytest.mark.promise("IN-5")
async def test_a_body_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    async with phone_channel(tmp_path, max_body=256) as phone:
        body = msgspec.json.encode(told())
        fits = body + b" " * (256 - len(body))
        assert (await phone.post(fits)).status == 200
        assert (await phone.post(fits + b" ")).status == 413

        async def in_pieces() -> AsyncIterator[bytes]:
            yield fits
            yield b" " * 1_000

        response = await phone.client.post(
            "/v1/phone/dev/events", data=in_pieces(), headers=phone.signed(fits + b" " * 1_000)
        )
        assert response.status == 413
        assert phone.quarantine.count == 0


@pytest.mark.promise("IN-4")
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies=st.lists(st.binary(max_size=300), min_size=1, max_size=10))
def test_no_body_makes_the_channel_fail(tmp_path: Path, bodies: list[bytes]) -> None:
    async def play() -> None:
        async with phone_channel(tmp_path, quarantined=10_000) as phone:
            assert {(await phone.post(body)).status for body in bodies} <= {200, 413, 422}

    asyncio.run(play())


# --- health -----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("OB-1")
async def test_health_says_when_a_gateway_was_last_heard(phone: Phone) -> None:
    assert phone.adapter.health().figures == {"gateways": 1, "last_event_ms.dev": 0}
    await phone.tell(told())
    health = phone.adapter.health()
    assert health.ok
    assert health.figures["last_event_ms.dev"] == phone.desk.now
    await phone.adapter.stop()
    assert not phone.adapter.health().ok


def release(phone: Phone) -> None:
    held, phone.desk.held = phone.desk.held or [], None
    for answer in held:
        answer()
