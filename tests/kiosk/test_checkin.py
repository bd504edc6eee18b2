"""What a visitor gets for checking in: over real HTTP, beside a desk that records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from channels.kiosk.adapter import KioskAdapter
from channels.kiosk.settings import Settings
from router.engine import commands as c
from router.engine.views import Estimate, Refused
from router.errors import ConfigError, Draining, NoRoute, Overloaded, RouterError, Unavailable
from tests.kiosk.support import Kiosk, context_of, kiosk_channel
from tests.support.desk import RecordingDesk


@pytest.fixture
async def kiosk(tmp_path: Path) -> AsyncIterator[Kiosk]:
    async with kiosk_channel(tmp_path) as channel:
        yield channel


async def test_a_visitor_gets_a_ticket_and_a_place(kiosk: Kiosk) -> None:
    kiosk.desk.position = Estimate(3, 240)
    answer = await kiosk.check_in(name="Ana", language="es", phone="+15550100")
    assert answer == {"ticket": "A-001", "interaction": "i-1", "position": 3, "expected_wait_s": 240}
    (visit,) = kiosk.desk.commands
    assert isinstance(visit, c.Arrive)
    assert (visit.channel, visit.recipient, visit.name, visit.language) == ("walkin", "support", "Ana", "es")
    assert visit.ticket == c.Ticket(attribute="ticket")


async def test_a_visitor_who_is_called_at_once_has_no_place_in_the_line(kiosk: Kiosk) -> None:
    kiosk.desk.position = None
    answer = await kiosk.check_in()
    assert (answer["position"], answer["expected_wait_s"]) == (0, 0)


async def test_an_expected_wait_that_is_not_known_is_not_made_up(kiosk: Kiosk) -> None:
    kiosk.desk.position = Estimate(1, None)
    assert (await kiosk.check_in())["expected_wait_s"] is None


async def test_a_topic_that_nobody_takes_is_refused_with_those_that_are(kiosk: Kiosk) -> None:
    response = await kiosk.post({"topic": "returns"})
    problem = await response.json()
    assert (response.status, problem["code"]) == (422, "no-route")
    assert "support, sales" in problem["detail"]
    kiosk.desk.known_recipients = set()
    assert "none at present" in (await (await kiosk.post({"topic": "sales"})).json())["detail"]
    assert kiosk.desk.commands == []


@pytest.mark.promise("RT-11")
async def test_a_visitor_whom_the_queue_does_not_let_wait_gets_no_ticket(kiosk: Kiosk) -> None:
    kiosk.desk.refusals[1] = Refused("out-of-hours", "We open at eight.")
    response = await kiosk.post({"topic": "support"})
    problem = await response.json()
    assert (response.status, problem["code"], problem["detail"]) == (409, "turned-away", "We open at eight.")


async def test_a_rule_that_looks_closer_may_still_refuse(kiosk: Kiosk) -> None:
    kiosk.desk.refuse = lambda command: NoRoute("no rule takes this visitor")
    assert (await kiosk.post({"topic": "support"})).status == 422


@pytest.mark.promise("IN-3")
async def test_a_hundred_copies_of_a_check_in_are_one_visit_with_one_ticket(tmp_path: Path) -> None:
    async with kiosk_channel(tmp_path, rate=1_000) as kiosk:
        answers = await asyncio.gather(*(kiosk.check_in(key="7f3a") for _ in range(100)))
        assert all(answer == answers[0] for answer in answers)
        assert kiosk.desk.count == 1


async def test_without_a_key_every_check_in_is_a_visit(kiosk: Kiosk) -> None:
    assert [(await kiosk.check_in())["ticket"] for _ in range(3)] == ["A-001", "A-002", "A-003"]


@pytest.mark.promise("IN-2")
@pytest.mark.parametrize("refusal", [Overloaded("full", 7), Unavailable("disk", 7), Draining("bye", 7)])
async def test_no_ticket_is_given_for_what_is_not_recorded(kiosk: Kiosk, refusal: RouterError) -> None:
    kiosk.desk.refuse = lambda command: refusal
    response = await kiosk.post({"topic": "support"})
    assert (response.status, response.headers["Retry-After"]) == (503, "7")
    assert "ticket" not in await response.json()


async def test_a_kiosk_that_stops_takes_nobody_new(kiosk: Kiosk) -> None:
    await kiosk.adapter.stop_intake()
    response = await kiosk.post({"topic": "support"})
    assert (response.status, (await response.json())["code"]) == (503, "draining")
    assert kiosk.desk.commands == []


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-5")
async def test_more_than_the_rate_of_an_address_is_put_off(tmp_path: Path) -> None:
    async with kiosk_channel(tmp_path, rate=2) as kiosk:
        assert [(await kiosk.post({"topic": "support"})).status for _ in range(2)] == [200, 200]
        response = await kiosk.post({"topic": "support"})
        assert (response.status, response.headers["Retry-After"]) == (503, "30")
        kiosk.desk.now += 30_000
        assert (await kiosk.post({"topic": "support"})).status == 200


@pytest.mark.promise("IN-5")
async def test_a_body_over_the_limit_is_refused(tmp_path: Path) -> None:
    async with kiosk_channel(tmp_path, max_body=128) as kiosk:
        fits = msgspec.json.encode({"topic": "support"}).ljust(128)
        assert (await kiosk.post(fits)).status == 200
        assert (await kiosk.post(fits + b" ")).status == 413


@pytest.mark.promise("IN-4")
@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"{}", b'{"topic": 7}', b"\xff"])
async def test_what_is_not_understood_is_refused(kiosk: Kiosk, body: bytes) -> None:
    response = await kiosk.post(body)
    assert (response.status, (await response.json())["code"]) == (422, "bad-message")
    assert (await kiosk.post({"topic": "support"})).status == 200


# --- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("OB-6")
async def test_where_a_token_is_set_it_must_be_said(tmp_path: Path) -> None:
    async with kiosk_channel(tmp_path, token="dev-kiosk") as kiosk:
        headers: tuple[dict[str, str], ...] = ({}, {"Authorization": "Bearer other"}, {"Authorization": "dev-kiosk"})
        for wrong in headers:
            assert (await kiosk.post({"topic": "support"}, **wrong)).status == 401
            assert (await kiosk.client.get("/v1/kiosk/now-serving", headers=wrong)).status == 401
        good = {"Authorization": "Bearer dev-kiosk"}
        assert (await kiosk.post({"topic": "support"}, **good)).status == 200
        assert (await kiosk.client.get("/v1/kiosk/now-serving", headers=good)).status == 200


OWN = "sixteen-letters!"


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize(
    ("token", "booking", "path"),
    [
        ("", "", "kiosk.token"),
        ("dev-kiosk-of-the-demo", "", "kiosk.token"),
        (OWN[1:], "", "kiosk.token"),
        (OWN, "dev-bookings-of-the-demo", "kiosk.booking_token"),
        (OWN, OWN[1:], "kiosk.booking_token"),
    ],
)
def test_a_kiosk_that_others_can_reach_needs_tokens_that_nobody_guesses(
    tmp_path: Path, token: str, booking: str, path: str
) -> None:
    settings = Settings(token=token, booking_token=booking)
    with pytest.raises(ConfigError) as refusal:
        KioskAdapter(settings, context_of(RecordingDesk(), tmp_path, loopback_only=False))
    assert refusal.value.path == path
    KioskAdapter(settings, context_of(RecordingDesk(), tmp_path, loopback_only=True))


def test_a_kiosk_with_such_tokens_may_be_reached(tmp_path: Path) -> None:
    settings = Settings(token=OWN, booking_token=OWN + "2")
    KioskAdapter(settings, context_of(RecordingDesk(), tmp_path, loopback_only=False))


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 200), ("none", 200), ("cross-site", 403), ("same-site", 403)]
)
async def test_foreign_pages_in_a_browser_cannot_check_anybody_in(kiosk: Kiosk, site: str, status: int) -> None:
    assert (await kiosk.post({"topic": "support"}, Sec_Fetch_Site=site)).status == status
