"""Who has an appointment checks in by its code; sites have tickets, topics and screens of their own."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.kiosk.appointments import Appointments, code_of, parse
from channels.kiosk.settings import Settings, Site
from router.engine import commands as c
from router.engine import events as e
from router.engine.views import Inform
from router.errors import BadMessage, NotFound
from tests.kiosk.support import Kiosk, kiosk_channel

TOKEN = "a-booking-token"
BOOKING = {"Authorization": f"Bearer {TOKEN}"}
MINUTE = 60_000


@pytest.fixture
async def kiosk(tmp_path: Path) -> AsyncIterator[Kiosk]:
    sites = {"north": Site(prefix="N"), "south": Site(prefix="S", topics=("sales",))}
    async with kiosk_channel(tmp_path, booking_token=TOKEN, sites=sites) as channel:
        yield channel


def at(kiosk: Kiosk, minutes: int) -> str:
    return datetime.fromtimestamp(kiosk.desk.now / 1_000 + minutes * 60, UTC).isoformat()


async def book(kiosk: Kiosk, code: str = "K7M2", minutes: int = 0, **more: Any) -> None:
    body = {"at": at(kiosk, minutes), "topic": "support", **more}
    answer = await kiosk.client.put(f"/v1/kiosk/appointments/{code}", json=body, headers=BOOKING)
    assert answer.status == 200, await answer.text()


async def check_in(kiosk: Kiosk, code: str = "K7M2", site: str = "north") -> tuple[int, dict[str, Any]]:
    answer = await kiosk.post({"code": code, "site": site})
    return answer.status, await answer.json()


def visits(kiosk: Kiosk) -> list[c.Arrive]:
    return [command for command in kiosk.desk.commands if isinstance(command, c.Arrive)]


@pytest.mark.parametrize("typed", ["K7M2", "k7m2", " k7-m2 "])
async def test_a_code_says_all_that_was_booked(kiosk: Kiosk, typed: str) -> None:
    await book(kiosk, name="Kim", agent="ana", language="es", phone="+15550100")
    status, _ = await check_in(kiosk, typed)
    assert status == 200
    [visit] = visits(kiosk)
    assert (visit.recipient, visit.name, visit.language, visit.sender) == ("support", "Kim", "es", "+15550100")
    assert visit.prefer == c.Preference(agents=("ana",))
    assert visit.attributes["appointment"] == "on-time"


async def test_a_code_is_one_visit_however_often_it_is_typed(kiosk: Kiosk) -> None:
    await book(kiosk)
    first, again = await check_in(kiosk), await check_in(kiosk)
    assert first == again


@pytest.mark.parametrize(("minutes", "status"), [(31, 409), (30, 200), (-15, 200), (-16, 200)])
async def test_it_opens_half_an_hour_before_its_time(kiosk: Kiosk, minutes: int, status: int) -> None:
    await book(kiosk, minutes=minutes)
    found, answer = await check_in(kiosk)
    assert found == status
    if status == 409:
        assert answer["code"] == "illegal-move"
    else:
        assert visits(kiosk)[0].attributes["appointment"] == ("late" if minutes < -15 else "on-time")


async def test_a_code_that_nobody_knows_is_refused_and_so_is_a_dropped_one(kiosk: Kiosk) -> None:
    assert (await check_in(kiosk, "NONE1"))[0] == 404
    await book(kiosk)
    assert (await kiosk.client.delete("/v1/kiosk/appointments/k7m2", headers=BOOKING)).status == 200
    assert (await check_in(kiosk))[0] == 404
    assert visits(kiosk) == []


async def test_a_file_of_a_booking_system_is_as_good_as_a_request(kiosk: Kiosk, tmp_path: Path) -> None:
    (tmp_path / "appointments").mkdir()
    (tmp_path / "appointments" / "A1B2.json").write_text(json.dumps({"at": at(kiosk, 0), "topic": "sales"}))
    assert (await check_in(kiosk, "A1B2"))[0] == 200
    assert visits(kiosk)[0].recipient == "sales"


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}])
async def test_only_the_booking_system_books(kiosk: Kiosk, header: dict[str, str]) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = await kiosk.client.request(method, "/v1/kiosk/appointments/K7M2", json={}, headers=header)
        assert answer.status == 401


async def test_without_a_booking_token_nobody_books(tmp_path: Path) -> None:
    async with kiosk_channel(tmp_path) as kiosk:
        assert (await kiosk.client.put("/v1/kiosk/appointments/K7M2", json={}, headers=BOOKING)).status == 403


def test_appointments_long_over_are_taken_away(tmp_path: Path) -> None:
    kept = Appointments(tmp_path)
    old, new = parse(b'{"at":"2026-01-01T10:00:00Z","topic":"x"}'), parse(b'{"at":"2099-01-01T10:00:00Z","topic":"x"}')
    kept.put("OLD1", old)
    kept.put("NEW1", new)
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    assert kept.forget(1_800_000_000_000) == 1
    assert kept.get("NEW1") == new
    with pytest.raises(NotFound):
        kept.get("OLD1")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b'{"at":"2026-11-23T10:30:00","topic":"x"}', b'{"at":"tomorrow","topic":"x"}',
        b'{"at":"2026-11-23T10:30:00Z"}', b'{"at":"2026-11-23T10:30:00Z","topic":""}',
        b'{"at":"0001-01-01T00:00:00+14:00","topic":"x"}', b'{"at":"2026-11-23T10:30:00Z","topic":"x","who":"y"}',
    ],
)  # fmt: skip
def test_what_is_no_appointment_is_refused(body: bytes) -> None:
    with pytest.raises(BadMessage):
        parse(body)


@given(st.binary(max_size=200) | st.text().map(lambda text: json.dumps({"at": text, "topic": text}).encode()))
def test_any_bytes_are_an_appointment_or_refused(body: bytes) -> None:
    try:
        assert parse(body).at_ms
    except BadMessage:
        return


@given(st.text(max_size=80))
def test_any_typing_is_a_code_that_names_a_file_or_nothing(typed: str) -> None:
    try:
        code = code_of(typed)
    except NotFound:
        return
    assert code.isascii()
    assert code.isalnum()


# --- sites ------------------------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-1")
async def test_no_ticket_of_a_day_is_called_twice_at_any_site(kiosk: Kiosk) -> None:
    tickets = []
    for number in range(40):
        answer = await kiosk.post({"topic": "sales", "site": ("north", "south")[number % 2]})
        tickets.append((await answer.json())["ticket"])
    assert len(set(tickets)) == 40
    assert {ticket[0] for ticket in tickets} == {"N", "S"}


async def test_a_site_that_does_not_exist_is_refused(kiosk: Kiosk) -> None:
    for body in ({"topic": "sales"}, {"topic": "sales", "site": "west"}):
        answer = await kiosk.post(body)
        assert (answer.status, (await answer.json())["code"]) == (422, "bad-message")
    assert (await kiosk.client.get("/kiosk?site=west")).status == 404


async def test_each_site_has_a_page_and_a_screen_of_its_own(kiosk: Kiosk) -> None:
    south = await (await kiosk.client.get("/kiosk?site=south")).text()
    assert 'data-topic="sales"' in south
    assert 'data-topic="support"' not in south
    for number, site in ((1, "north"), (2, "south")):
        born = e.InteractionArrived(
            number,
            "walkin",
            (f"kiosk:{number}",),
            "",
            (),
            "",
            "",
            "",
            "",
            "",
            {"site": site},
            "q",
            None,
            "",
            0,
            0,
            0,
            0,
        )
        for event in (born, e.OfferAccepted(1, number, "ana")):
            kiosk.adapter.inform(Inform("walkin", number, (f"kiosk:{number}",), event, "Ana", 5_000))
    shown = await (await kiosk.client.get("/v1/kiosk/now-serving?site=south")).json()
    assert [call["ticket"] for call in shown["serving"]] == ["SA-002"]
    assert len(await kiosk.serving()) == 2


async def test_who_is_called_again_comes_to_the_top_and_stands_out_until_they_are_there(kiosk: Kiosk) -> None:
    def happens(number: int, event: e.AnyEvent) -> None:
        kiosk.adapter.inform(Inform("walkin", number, (f"kiosk:{number}",), event, "Ana", 5_000))

    for number in (1, 2):
        happens(number, e.OfferAccepted(1, number, "ana"))
        happens(number, e.CustomerCalled(number, "ana", 0, 1))
    happens(1, e.CustomerCalled(1, "ana", 0, 2))
    assert [(call["ticket"], call["calls"]) for call in await kiosk.serving()] == [("A-001", 2), ("A-002", 1)]
    happens(1, e.ConnectionConfirmed(1))
    assert (await kiosk.serving())[0]["arrived"] is True


def test_settings_refuse_a_prefix_that_nobody_could_call() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"sites": {"north": {"prefix": "n1"}}}, Settings)
