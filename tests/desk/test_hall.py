"""Visitors, agents and the screen in the hall, in real browsers; and the pages of a fax at the desk."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from playwright.async_api import expect

from tests.desk.conftest import NewPage, SignIn
from tests.desk.test_access import check, fits
from tests.scan.pictures import fax
from tests.system.daemon import Daemon

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.system]


async def test_a_visitor_is_called_again_and_comes(house: Daemon, sign_in: SignIn, new_page: NewPage) -> None:
    hall, screen = await new_page(bypass_csp=True), await new_page(bypass_csp=True)
    await hall.goto(f"{house.http}/kiosk")
    await check(hall, "kiosk")
    await fits(hall, "kiosk")
    await hall.get_by_role("button", name="English").click()
    await hall.get_by_label(re.compile("Your name")).fill("Mira")
    await hall.get_by_role("button", name="Support").click()
    ticket = await hall.locator("#ticket").text_content()
    assert ticket
    await check(hall, "ticket")
    await screen.goto(f"{house.http}/kiosk/now-serving")
    await expect(screen.get_by_text("Nobody is being called.")).to_be_visible()
    ana = await sign_in("ana")
    await ana.ready()
    await ana.accept("Mira")
    await ana.open(f"{ticket} · Mira")
    await expect(screen.get_by_role("cell", name=ticket)).to_be_visible()
    await ana.button("Call again (1)").click()
    await expect(screen.get_by_text("Called again")).to_be_visible()
    await check(screen, "screen")
    await fits(screen, "screen")
    await ana.button("Visitor is here").click()
    await expect(ana.button("Call again (2)")).to_have_count(0)
    await expect(screen.get_by_text("Called again")).to_have_count(0)
    await ana.complete("Mira")
    await expect(screen.get_by_text("Nobody is being called.")).to_be_visible()


async def test_who_has_an_appointment_types_its_code(house: Daemon, new_page: NewPage) -> None:
    folder = house.data / "appointments"
    folder.mkdir(exist_ok=True)
    now = datetime.now(UTC).isoformat()
    (folder / "K7M2.json").write_text(f'{{"at":"{now}","topic":"sales","name":"Kim"}}')
    hall = await new_page()
    await hall.goto(f"{house.http}/kiosk")
    code = hall.get_by_label(re.compile("my code"))
    await code.fill("none-1")
    await hall.get_by_role("button", name="Check in").click()
    await expect(hall.get_by_role("alert")).to_contain_text("do not know this code")
    await code.fill("k7 m2")
    await code.press("Enter")
    await expect(hall.locator("#ticket")).to_have_text(re.compile(r"^[A-Z]-\d{3}$"))
    [one] = [one for one in await house.interactions("queued") if one["name"] == "Kim"]
    assert one["attributes"]["appointment"] == "on-time"
    await house.post(f"/v1/interactions/{one['id']}/close", {})


async def test_the_pages_of_a_fax_are_turned_at_the_desk(house: Daemon, sign_in: SignIn) -> None:
    part = house.data / "drop" / "fax" / "paper.tif.part"
    part.write_bytes(fax(3))
    part.rename(part.with_suffix(""))
    dora = await sign_in("dora")
    await dora.ready()
    await dora.accept()
    picture = dora.log().get_by_role("img", name="paper.tif, page 1")
    await expect(picture).to_be_visible()
    await expect(dora.button("Page before")).to_be_disabled()
    await dora.button("Next page").click()
    await expect(dora.log().get_by_role("img", name="paper.tif, page 2")).to_be_visible()
    await expect(dora.log().get_by_text("Page 2 of 3")).to_be_visible()
    await dora.button("Turn the picture").click()
    await dora.button("Larger").click()
    await expect(dora.button("Smaller")).to_be_visible()
