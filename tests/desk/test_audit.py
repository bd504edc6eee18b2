"""The operator's page of the audit: who did what, found by person, act, subject and time, page by page."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, expect

from tests.desk.conftest import NewPage, SignIn
from tests.desk.people import Desk
from tests.desk.test_access import look
from tests.desk.test_lead import PASSWORD, account
from tests.desk.test_trouble import chat
from tests.system.daemon import Daemon

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.system]


async def at_the_audit(house: Daemon, new_page: NewPage, **options: str) -> Desk:
    olga = Desk(await new_page(**options), house, "operator")
    await olga.sign_in("dev-operator")
    await olga.button("Audit").click()
    await expect(rows(olga).first).to_be_visible()
    return olga


def rows(olga: Desk) -> Locator:
    return olga.page.get_by_role("table", name="Audit").locator("tbody").get_by_role("row")


async def show(olga: Desk, **fields: str) -> None:
    for label, value in fields.items():
        await olga.page.get_by_role("search").get_by_label(label, exact=True).fill(value)
    await olga.button("Show").click()


@pytest.mark.promise("OB-5")
async def test_an_act_is_found_by_who_what_and_about_what_and_leads_to_the_interaction(
    house: Daemon, sign_in: SignIn, new_page: NewPage
) -> None:
    sam = await sign_in("sam")
    visitor = await chat(house, name="Mira")
    (one,) = await house.interactions("queued")
    await sam.page.get_by_role("button", name="Mira").click()
    await sam.page.get_by_role("textbox", name="Reason").fill("<b>they wrote twice</b>")
    await sam.button("Requeue").click()
    await expect(sam.told("Done.")).to_be_visible()
    olga = await at_the_audit(house, new_page)
    newest = rows(olga).filter(has_text="Put back into the queue").first
    await expect(newest).to_contain_text("Sam")
    await expect(newest.get_by_title("sam", exact=True)).to_be_visible()  # as whom they sign in
    await expect(newest).to_contain_text("<b>they wrote twice</b>")  # what people write is text

    await show(olga, Who="sam", About=one["id"])
    await olga.page.get_by_role("search").get_by_label("What").select_option("Put back into the queue")
    await olga.button("Show").click()
    await expect(rows(olga)).to_have_count(1)
    await rows(olga).get_by_role("button", name=one["id"], exact=True).click()
    await expect(olga.page.get_by_role("complementary").get_by_role("heading", name="Mira")).to_be_visible()
    await visitor.cut()


@pytest.mark.promise("OB-5")
async def test_people_are_found_by_the_name_that_the_page_shows(house: Daemon, new_page: NewPage) -> None:
    account(house, "lind7", "--role", "supervisor", "--team", "front", "--name", "Sue Lind")
    status, _ = await house.post("/v1/session", {"name": "lind7", "password": PASSWORD})
    assert status == 200
    olga = await at_the_audit(house, new_page)
    await show(olga, Who="sue lind")
    await expect(rows(olga)).to_have_count(1)
    await expect(rows(olga)).to_contain_text("Signed in")
    await show(olga, Who="", About="Sue Lind")
    await expect(rows(olga)).to_have_count(2)  # the account was made, and somebody signed in by it
    await expect(rows(olga).last).to_contain_text("Added an account")
    await show(olga, About="Sue Sunday")
    await expect(olga.page.get_by_role("status").filter(has_text="Nothing like that stands here.")).to_be_visible()


@pytest.mark.promise("OB-5")
async def test_what_was_never_done_is_said_in_words_and_everything_is_a_press_away(
    house: Daemon, new_page: NewPage
) -> None:
    olga = await at_the_audit(house, new_page)
    await show(olga, Who="nobody-of-that-name")
    await expect(olga.page.get_by_role("status").filter(has_text="Nothing like that stands here.")).to_be_visible()
    await expect(rows(olga)).to_have_count(0)
    await olga.page.get_by_role("status").get_by_role("button", name="Show everything").click()
    await expect(rows(olga).first).to_be_visible()
    await show(olga, Until="2001-01-01T00:00")
    await expect(rows(olga)).to_have_count(0)
    await show(olga, From="2001-01-01T00:00", Until="")
    await expect(rows(olga).first).to_be_visible()


async def test_older_acts_follow_page_by_page(house: Daemon, new_page: NewPage) -> None:
    for n in range(60):
        await house.post("/v1/agents/dora/state", {"state": "not_ready", "reason": f"test {n}"})
    olga = await at_the_audit(house, new_page)
    await show(olga, About="dora")
    await expect(rows(olga)).to_have_count(50)
    await olga.button("Show older ones").click()
    await expect(rows(olga).nth(59)).to_be_visible()
    times = await rows(olga).locator("time").evaluate_all("(all) => all.map((one) => one.dateTime)")
    assert times == sorted(times, reverse=True)


BROKEN = """() => [...document.querySelectorAll(".audit-acts :is(th, td:not(:nth-child(2)))")].flatMap((cell) => {
  const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), broken = [];
  for (let text; (text = texts.nextNode()); )
    for (const { 0: word, index } of text.data.matchAll(/[^\\s,-]+/g)) {
      const range = document.createRange();
      range.setStart(text, index);
      range.setEnd(text, index + word.length);
      if (new Set([...range.getClientRects()].map((line) => line.top)).size > 1) broken.push(word);
    }
  return broken;
})"""


@pytest.mark.parametrize("language", ["English", "Español"])
@pytest.mark.parametrize("width", [1366, 800])
async def test_a_long_name_breaks_no_word_of_another_column(
    house: Daemon, new_page: NewPage, language: str, width: int
) -> None:
    name = "W" * 100
    account(house, "wanda", "--role", "supervisor", "--team", "front", "--name", name)
    await house.post("/v1/session", {"name": "wanda", "password": PASSWORD})
    olga = Desk(await new_page(viewport={"width": width, "height": 800}), house, "operator")
    await olga.sign_in("dev-operator")
    await olga.button("Audit").click()
    await olga.button("Settings").click()
    await olga.page.get_by_role("combobox", name="Language").select_option(language)
    await olga.page.keyboard.press("Escape")
    await expect(olga.page.get_by_role("table").get_by_text(name).first).to_be_visible()
    assert await olga.page.evaluate(BROKEN) == []
    assert await olga.page.evaluate("document.documentElement.scrollWidth") <= width


async def test_the_audit_says_when_it_cannot_be_read(house: Daemon, new_page: NewPage) -> None:
    olga = await at_the_audit(house, new_page)
    before = await rows(olga).count()
    await olga.page.route("**/v1/audit?*", lambda route: route.abort())
    await olga.button("Look again").click()
    await expect(olga.page.get_by_role("alert")).to_contain_text("The audit could not be read.")
    assert await rows(olga).count() == before  # what was read stays
    await olga.page.unroute("**/v1/audit?*")
    await olga.button("Look again").click()
    await expect(olga.page.get_by_role("alert")).to_have_count(0)


@pytest.mark.promise("OB-6")
async def test_who_is_no_operator_has_no_such_page(house: Daemon, new_page: NewPage) -> None:
    account(house, "rita", "--role", "supervisor", "--team", "front")
    rita = Desk(await new_page(), house, "rita")
    await rita.sign_in(PASSWORD)
    await expect(rita.button("Floor")).to_be_visible()
    await expect(rita.button("Audit")).to_have_count(0)


async def test_everybody_can_use_the_audit(house: Daemon, new_page: NewPage) -> None:
    await look(await at_the_audit(house, new_page, bypass_csp=True), "audit")  # type: ignore[arg-type]
