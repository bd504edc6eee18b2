"""The session of somebody who has no websocket is over: the sign-in is there, nothing of what was seen, and no more is
asked with a token that is good for nothing. Each wrong one counts against everybody at that address."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, Response, expect

from tests.desk.conftest import NewPage, SignIn
from tests.desk.people import Desk
from tests.desk.test_lead import PASSWORD, account, user
from tests.desk.test_trouble import chat
from tests.system.daemon import Daemon

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.system]

SOON_MS = 10_000  # five of the rounds in which pages ask
AT_ONCE = 6  # questions of one round, which all are under way when the first is refused
OVER = "Your sign-in is not valid any more. Sign in again."


async def at_the_desk(house: Daemon, new_page: NewPage, name: str, role: str) -> Desk:
    """Somebody who works as nobody."""
    account(house, name, "--role", role, "--team", "*")
    desk = Desk(await new_page(), house, name)
    await desk.page.clock.install()
    await desk.sign_in(PASSWORD)
    await expect(desk.page.get_by_role("button", name="Floor")).to_be_visible()
    return desk


def refusals(page: Page) -> list[str]:
    found: list[str] = []

    def heard(answer: Response) -> None:
        if answer.status in (401, 429):
            found.append(answer.url)

    page.on("response", heard)
    return found


async def is_out(desk: Desk) -> None:
    await expect(desk.page.get_by_role("alert")).to_have_text(OVER, timeout=SOON_MS)
    await expect(desk.button("Sign in")).to_be_visible()


async def asks_no_more(desk: Desk, refused: list[str]) -> None:
    """Also a minute later: by then every page would have asked thirty times. What it asked comes before our own."""
    await desk.page.clock.fast_forward("01:00")
    async with desk.page.expect_response("**/livez"):
        await desk.page.evaluate("() => fetch('/livez').then((answer) => answer.status)")
    assert 1 <= len(refused) <= AT_ONCE, refused


@pytest.mark.promise("OB-6")
async def test_a_supervisor_whose_account_is_disabled_sees_no_customer_any_more(
    house: Daemon, sign_in: SignIn, new_page: NewPage
) -> None:
    visitor = await chat(house, "My parcel is lost", name="Mira Quist")
    rita = await at_the_desk(house, new_page, "rika", "supervisor")
    refused = refusals(rita.page)
    await rita.page.get_by_role("button", name="Mira Quist").click()
    await expect(rita.page.get_by_role("complementary")).to_contain_text("My parcel is lost")
    user(house, "disable", "rika")
    await is_out(rita)
    left = await rita.page.content()
    assert "Mira" not in left
    assert "parcel" not in left
    await asks_no_more(rita, refused)

    user(house, "enable", "rika")
    await rita.page.get_by_label("Name").fill("rika")
    await rita.page.get_by_label("Token").fill(PASSWORD)
    await rita.button("Sign in").click()
    await expect(rita.page.get_by_role("button", name="Mira Quist")).to_be_visible()
    await visitor.cut()


@pytest.mark.parametrize("page", ["House", "Audit"])
async def test_an_operator_whose_session_was_ended_is_at_the_sign_in_on_every_page(
    house: Daemon, new_page: NewPage, page: str
) -> None:
    olaf = await at_the_desk(house, new_page, "olaf", "operator")
    refused = refusals(olaf.page)
    await olaf.button(page).click()
    await expect(olaf.page.get_by_role("heading", name=re.compile("^(Parts|Audit)$"))).to_be_visible()
    assert (await house.post("/v1/accounts/olaf/sign-out"))[0] == 200
    await is_out(olaf)
    await asks_no_more(olaf, refused)


async def test_what_is_done_in_a_session_that_is_over_leads_to_the_sign_in(house: Daemon, new_page: NewPage) -> None:
    olaf = await at_the_desk(house, new_page, "olaf", "operator")
    await olaf.button("Audit").click()
    table = olaf.page.get_by_role("table", name="Audit")
    await expect(table).to_be_visible()
    await olaf.page.route("**/v1/session", lambda route: route.abort())  # what the page would ask by itself
    await house.post("/v1/accounts/olaf/sign-out")
    refused = refusals(olaf.page)
    await olaf.button("Look again").click()
    await is_out(olaf)
    await expect(table).to_have_count(0)
    assert len(refused) == 1


async def test_a_page_that_is_loaded_again_after_the_end_shows_the_sign_in(house: Daemon, new_page: NewPage) -> None:
    rita = await at_the_desk(house, new_page, "rika", "supervisor")
    await expect(rita.page.get_by_text("Abandoned today")).to_be_visible()
    await rita.page.goto("about:blank")
    await house.post("/v1/accounts/rika/sign-out")
    refused = refusals(rita.page)
    await rita.page.goto(f"{house.http}/desk")
    await is_out(rita)
    await asks_no_more(rita, refused)
    await rita.page.reload()  # and now there is nothing that could be asked with
    await expect(rita.button("Sign in")).to_be_visible()
    await expect(rita.page.get_by_text(OVER)).to_have_count(0)


async def test_a_floor_that_was_never_told_shows_no_figures(house: Daemon, new_page: NewPage) -> None:
    rita = await at_the_desk(house, new_page, "rika", "supervisor")
    await expect(rita.page.get_by_text("Abandoned today")).to_be_visible()
    await rita.page.route("**/v1/**", lambda route: route.abort())
    await rita.page.reload()
    await expect(rita.page.get_by_text("This is not up to date. The server does not answer.")).to_be_visible()
    await expect(rita.page.get_by_text("Abandoned today")).to_have_count(0)
    await rita.page.unroute("**/v1/**")
    await expect(rita.page.get_by_text("Abandoned today")).to_be_visible()
