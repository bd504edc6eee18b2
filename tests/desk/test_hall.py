"""Visitors, agents and the screen in the hall, in real browsers; and the pages of a fax at the desk."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from channels.kiosk.settings import Translation
from router.engine import commands as c
from router.engine.views import Refused
from tests.desk.conftest import NewPage, SignIn
from tests.desk.test_access import check, fits
from tests.kiosk.support import Kiosk, kiosk_channel
from tests.kiosk.test_screen import accepted
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
    await expect(hall.locator("#ticket")).to_have_text(re.compile(r"^[A-Z]-\d{3}$"))
    ticket = await hall.locator("#ticket").text_content() or ""
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
    await expect(hall.get_by_role("alert").first).to_contain_text("do not know this code")
    await code.fill("k7 m2")
    await code.press("Enter")
    await expect(hall.locator("#ticket")).to_have_text(re.compile(r"^[A-Z]-\d{3}$"))
    [one] = [one for one in await house.interactions("queued") if one["name"] == "Kim"]
    assert one["attributes"]["appointment"] == "on-time"
    await house.post(f"/v1/interactions/{one['id']}/close", {})


# --- languages --------------------------------------------------------------------------------------------------------

# A house that speaks English, Spanish and Arabic, and sees Finnish visitors; nobody translated all of it.
TRANSLATIONS = {
    "es": Translation(topics={"support": "Soporte"}),
    "ar": Translation(
        texts={
            "title": "أهلا وسهلا",
            "name": "الاسم (اختياري)",
            "phone": "رقم الهاتف (اختياري)",
            "language": "اللغة",
            "topics": "كيف يمكننا مساعدتك؟",
            "ticket": "رقم دورك",
            "position": "مكانك في الصف: {n}",
            "idle": "هل ما زلت هنا؟ ستبدأ هذه الصفحة من جديد بعد {n} ثانية.",
            "failed": "لم ينجح ذلك. حاول مرة أخرى من فضلك.",
        },
        topics={"support": "المساعدة"},
    ),
}
LANGUAGES = {"en": "English", "es": "Español", "ar": "العربية", "fi": "Suomi"}
HOUSE: dict[str, Any] = {"languages": LANGUAGES, "translations": TRANSLATIONS}


async def speaks(page: Page, title: str, lang: str, side: str = "ltr") -> None:
    await expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    await expect(page).to_have_title(title)
    await expect(page.locator("html")).to_have_attribute("lang", lang)
    await expect(page.locator("html")).to_have_attribute("dir", side)


async def chosen(page: Page) -> list[str]:
    return await page.locator("button[aria-pressed=true]").all_text_contents()


async def test_a_visitor_is_served_in_their_language_and_the_next_in_that_of_the_house(
    house: Daemon, new_page: NewPage
) -> None:
    hall = await new_page(bypass_csp=True)
    await hall.clock.install()
    await hall.goto(f"{house.http}/kiosk")
    await speaks(hall, "Welcome", "en")
    await hall.get_by_role("button", name="Español").click()
    await speaks(hall, "Bienvenido", "es")
    assert await chosen(hall) == ["Español"]
    await check(hall, "kiosk, Spanish")
    await fits(hall, "kiosk, Spanish")
    await hall.get_by_label(re.compile("Tengo cita")).fill("none-1")
    await hall.get_by_role("button", name="Registrarme").click()
    await expect(hall.get_by_role("alert").first).to_contain_text("No conocemos este código")
    await hall.get_by_role("button", name="English").click()
    await expect(hall.get_by_role("alert").first).to_contain_text("do not know this code")
    await hall.get_by_role("button", name="Español").click()
    await hall.get_by_label("Su nombre (opcional)").fill("Lucía")
    await hall.get_by_role("button", name="Soporte").click()
    await expect(hall.get_by_role("heading", name="Su turno")).to_be_visible()
    await check(hall, "ticket, Spanish")
    [one] = [one for one in await house.interactions("queued") if one["name"] == "Lucía"]
    assert one["language"] == "es"
    await house.post(f"/v1/interactions/{one['id']}/close", {})
    await hall.clock.fast_forward("00:20")
    await speaks(hall, "Welcome", "en")
    assert await chosen(hall) == []
    assert await hall.get_by_label(re.compile("Your name")).input_value() == ""


async def test_a_page_turns_for_who_reads_from_the_right(tmp_path: Path, new_page: NewPage) -> None:
    async with kiosk_channel(tmp_path, **HOUSE) as kiosk:
        hall = await new_page(bypass_csp=True)
        await hall.goto(str(kiosk.client.make_url("/kiosk")))
        await hall.get_by_role("button", name="العربية").click()
        await speaks(hall, "أهلا وسهلا", "ar", "rtl")
        await check(hall, "kiosk, Arabic")
        await fits(hall, "kiosk, Arabic")
        name, phone = hall.get_by_label("الاسم"), hall.get_by_label("رقم الهاتف")
        at, beside = await name.bounding_box(), await phone.bounding_box()
        assert at is not None
        assert beside is not None
        assert beside["x"] < at["x"], "what comes second stands on the left"
        untold = hall.get_by_role("button", name="Buy <something>")
        assert [await untold.get_attribute(mark) for mark in ("lang", "dir")] == ["en", "ltr"]
        await hall.get_by_role("button", name="المساعدة").click()
        await expect(hall.get_by_role("heading", name="رقم دورك")).to_be_visible()
        await expect(hall.locator("#ticket")).to_have_text("A-001")
        await check(hall, "ticket, Arabic")
        await hall.get_by_role("button", name="Next visitor").click()
        await speaks(hall, "Welcome", "en")
        assert await untold.get_attribute("lang") is None
        [visit] = [command for command in kiosk.desk.commands if isinstance(command, c.Arrive)]
        assert visit.language == "ar"


async def test_a_language_that_nobody_translated_is_sent_and_the_page_stays(tmp_path: Path, new_page: NewPage) -> None:
    async with kiosk_channel(tmp_path, page_language="es", languages=LANGUAGES) as kiosk:
        hall = await new_page()
        await hall.goto(str(kiosk.client.make_url("/kiosk")))
        await speaks(hall, "Bienvenido", "es")
        await hall.get_by_role("button", name="Suomi").click()
        await speaks(hall, "Bienvenido", "es")
        assert await chosen(hall) == ["Suomi"]
        await hall.locator("[data-topic=sales]").click()
        await expect(hall.locator("#ticket")).to_have_text("A-001")
        [visit] = [command for command in kiosk.desk.commands if isinstance(command, c.Arrive)]
        assert visit.language == "fi"


async def test_who_leaves_is_asked_and_then_forgotten(tmp_path: Path, new_page: NewPage) -> None:
    async with kiosk_channel(tmp_path, **HOUSE) as kiosk:
        hall = await new_page(bypass_csp=True)
        await hall.clock.install(time=0)
        await hall.goto(str(kiosk.client.make_url("/kiosk")))
        await hall.clock.pause_at(3_600_000)
        asked = hall.locator("#idle")
        await expect(asked).to_be_empty()  # an hour went by, and there was nothing to forget
        await hall.get_by_role("button", name="Español").click()
        await hall.get_by_label("Su nombre").fill("Lucía")
        await hall.clock.fast_forward("00:59")
        await expect(asked).to_be_empty()
        await hall.clock.fast_forward("00:01")
        await expect(asked).to_have_text("¿Sigue ahí? Esta página vuelve a empezar en 20 segundos.")
        await hall.get_by_label("Su nombre").press("End")
        await expect(asked).to_be_empty()
        await hall.clock.fast_forward("00:59")
        await speaks(hall, "Bienvenido", "es")
        await hall.clock.fast_forward("00:01")
        await expect(asked).to_contain_text("¿Sigue ahí?")
        await hall.clock.fast_forward("00:20")
        await speaks(hall, "Welcome", "en")
        await expect(asked).to_be_empty()
        assert await chosen(hall) == []
        assert await hall.get_by_label("Your name").input_value() == ""
        await hall.get_by_label("Your name").fill("Mira")
        await hall.clock.fast_forward("01:00")
        await expect(asked).to_contain_text("Are you still there?")
        await hall.clock.resume()
        await check(hall, "idle")
        await fits(hall, "idle")


async def test_the_screen_is_read_from_the_side_of_the_house(tmp_path: Path, new_page: NewPage) -> None:
    async with kiosk_channel(tmp_path, page_language="ar") as kiosk:
        screen = await new_page(bypass_csp=True)
        await screen.goto(str(kiosk.client.make_url("/kiosk/now-serving")))
        kiosk.adapter.inform(accepted(17, "Ana M."))
        ticket, agent = screen.get_by_role("cell", name="A-017"), screen.get_by_role("cell", name="Ana M.")
        await expect(ticket).to_be_visible()
        at, beside = await ticket.bounding_box(), await agent.bounding_box()
        assert at is not None
        assert beside is not None
        assert beside["x"] < at["x"]
        await check(screen, "screen, from right to left")
        await fits(screen, "screen, from right to left")


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
    for _ in range(4):  # however it is turned, its frame has its shape and all of it is seen
        await dora.button("Turn the picture").click()
        # Both at one moment: the log may be scrolled between two questions.
        apart = (
            await dora.log()
            .locator(".picture-frame")
            .evaluate(
                "frame => { const [a, b] = [frame, frame.querySelector('img')].map((x) => x.getBoundingClientRect());"
                " return [a.x - b.x, a.y - b.y, a.width - b.width, a.height - b.height]; }"
            )
        )
        assert apart == pytest.approx([0] * 4, abs=2)
    await dora.button("Larger").click()
    await expect(dora.button("Smaller")).to_be_visible()


# --- what visitors do wrong -------------------------------------------------------------------------------------------


def visits(kiosk: Kiosk) -> list[c.Arrive]:
    return [command for command in kiosk.desk.commands if isinstance(command, c.Arrive)]


@pytest.mark.parametrize("by", ["topic", "code"])
async def test_a_second_enter_takes_no_ticket_away_and_makes_no_second_one(
    tmp_path: Path, new_page: NewPage, by: str
) -> None:
    """As of a scanner that ends a line with CR and LF, or of somebody impatient."""
    (tmp_path / "appointments").mkdir()
    now = datetime.now(UTC).isoformat()
    (tmp_path / "appointments" / "K7M2.json").write_text(f'{{"at":"{now}","topic":"sales"}}')
    async with kiosk_channel(tmp_path) as kiosk:
        kiosk.desk.now = int(datetime.now(UTC).timestamp() * 1_000)
        hall = await new_page()
        await hall.goto(str(kiosk.client.make_url("/kiosk")))
        if by == "code":
            await hall.get_by_label(re.compile("my code")).fill("K7M2")
        else:
            await hall.get_by_role("button", name="Help with").focus()
        await hall.keyboard.press("Enter")
        await hall.keyboard.press("Enter")
        await expect(hall.locator("#ticket")).to_have_text("A-001")
        await expect(hall.get_by_role("heading", name="Your ticket")).to_be_focused()
        for _ in range(3):
            await hall.keyboard.press("Enter")
        await expect(hall.locator("#ticket")).to_be_visible()
        assert len({visit.key for visit in visits(kiosk)}) == 1
        await hall.keyboard.press("Tab")
        await hall.keyboard.press("Enter")
        await expect(hall.get_by_role("heading", name="Welcome")).to_be_visible()


async def test_a_topic_that_is_closed_now_is_called_so(tmp_path: Path, new_page: NewPage) -> None:
    async with kiosk_channel(tmp_path, **HOUSE) as kiosk:
        kiosk.desk.refusals[1] = Refused("out-of-hours", "We open at eight.")
        hall = await new_page()
        await hall.goto(str(kiosk.client.make_url("/kiosk")))
        topic = hall.locator("[data-topic=support]")
        await topic.click()
        await expect(hall.get_by_role("alert").first).to_contain_text("We cannot take this topic now.")
        await expect(topic).to_be_focused()
        await hall.get_by_role("button", name="Español").click()
        await expect(hall.get_by_role("alert").first).to_contain_text("Ahora no podemos atender este tema.")


async def test_a_number_that_is_none_is_shown_where_it_stands(tmp_path: Path, new_page: NewPage) -> None:
    async with kiosk_channel(tmp_path, languages=LANGUAGES) as kiosk:
        hall = await new_page(bypass_csp=True)
        await hall.goto(str(kiosk.client.make_url("/kiosk")))
        phone = hall.locator("#phone")
        await phone.fill("none of yours")
        await hall.locator("[data-topic=support]").click()
        await expect(hall.get_by_role("alert").first).to_contain_text("This cannot be a telephone number.")
        await expect(phone).to_be_focused()
        await expect(phone).to_have_attribute("aria-invalid", "true")
        await expect(phone).to_have_accessible_description(re.compile("correct it, or leave it empty"))
        await check(hall, "kiosk, wrong number")
        await hall.get_by_role("button", name="Español").click()
        await expect(hall.get_by_role("alert").first).to_contain_text("Esto no puede ser un número de teléfono.")
        await phone.fill("")
        await hall.locator("[data-topic=support]").click()
        await expect(hall.locator("#ticket")).to_have_text("A-001")


async def test_a_code_that_was_typed_is_not_passed_over(tmp_path: Path, new_page: NewPage) -> None:
    async with kiosk_channel(tmp_path, languages=LANGUAGES) as kiosk:
        hall = await new_page(bypass_csp=True)
        await hall.goto(str(kiosk.client.make_url("/kiosk")))
        code, without = hall.locator("#code"), hall.get_by_role("button", name="Go on without an appointment")
        topic = hall.locator("[data-topic=sales]")
        await expect(without).to_have_count(0)
        await code.fill("K7M")
        await topic.dblclick()
        await expect(hall.get_by_role("alert").first).to_contain_text("You have typed a code.")
        await check(hall, "kiosk, a code left")
        await fits(hall, "kiosk, a code left")
        assert visits(kiosk) == []
        await hall.get_by_role("button", name="Español").click()
        await expect(hall.get_by_role("button", name="Seguir sin cita")).to_be_visible()
        await hall.get_by_role("button", name="English").click()
        await without.click()
        await expect(hall.locator("#ticket")).to_have_text("A-001")
        [visit] = visits(kiosk)
        assert visit.subject == "sales"
        await hall.get_by_role("button", name="Next visitor").click()
        await code.fill("none-1")
        await code.press("Enter")
        await expect(hall.get_by_role("alert").first).to_contain_text("We do not know this code.")
        await expect(code).to_be_focused()
        await topic.click()  # as the page says: choose a topic
        await expect(hall.locator("#ticket")).to_have_text("A-002")


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1080, 1920)])
async def test_the_question_whether_somebody_is_there_covers_nothing_to_press(
    tmp_path: Path, new_page: NewPage, width: int, height: int
) -> None:
    topics = {f"topic-{number}": f"Topic {number}" for number in range(6)}
    async with kiosk_channel(tmp_path, topics=topics, languages={"en": "English", "es": "Español"}) as kiosk:
        hall = await new_page(viewport={"width": width, "height": height})
        await hall.clock.install(time=0)
        await hall.goto(str(kiosk.client.make_url("/kiosk")))
        await hall.get_by_role("button", name="Español").click()
        await hall.clock.fast_forward("01:00")
        await expect(hall.locator("#idle")).to_contain_text("¿Sigue ahí?")
        assert await hall.evaluate(COVERED) == []


# What can be pressed or filled in and lies below the question.
COVERED = """() => {
  const bar = document.getElementById("idle").getBoundingClientRect();
  return [...document.querySelectorAll("button, input")].filter((one) => {
    const at = one.getBoundingClientRect();
    return at.width && at.top < bar.bottom && at.bottom > bar.top;
  }).map((one) => one.textContent || one.id);
}"""
