"""What supervisors and operators see and do: queues, people, reasons, what was set aside."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image
from playwright.async_api import Locator, Route, expect

from tests.desk.conftest import NewPage, SignIn
from tests.desk.people import Desk
from tests.desk.test_trouble import chat
from tests.system.daemon import Daemon

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.system]


def cell(sam: Desk, queue: str, column: str) -> Locator:
    columns = ["Waiting", "Oldest", "Target used", "Service level", "Abandoned", "Offered", "Active"]
    row = sam.page.get_by_role("row").filter(has=sam.page.get_by_role("rowheader", name=queue))
    return row.get_by_role("cell").nth(columns.index(column))


@pytest.mark.promise("EX-2")
async def test_a_supervisor_sees_why_something_waits_and_gives_it_to_somebody(house: Daemon, sign_in: SignIn) -> None:
    sam, ben = await sign_in("sam"), await sign_in("ben")
    visitor = await chat(house, name="Mira")
    await expect(cell(sam, "support", "Waiting")).to_have_text("1")
    await expect(cell(sam, "support", "Target used")).to_have_text(re.compile(r"\d+ %"))
    await sam.button("support").click()
    await sam.page.get_by_role("button", name="Mira").click()
    item = sam.page.get_by_role("complementary")
    await expect(item).to_contain_text(re.compile("Ben is (not ready|signed in but has not become ready yet)"))
    await expect(item).to_contain_text("Chen is not signed in")
    await item.get_by_role("combobox", name="Assign").select_option("Ben")
    await item.get_by_role("textbox", name="Reason").fill("they know each other")
    await item.get_by_role("button", name="Assign").click()
    await expect(ben.told("Mira was given to you.")).to_be_visible()
    await ben.open("Mira")
    await expect(cell(sam, "support", "Active")).to_have_text("1")
    person = sam.page.get_by_role("listitem").filter(has_text="Ben")
    await sam.button("Close").click()
    await expect(person).to_contain_text("Chat")
    await visitor.cut()


@pytest.mark.promise("EX-2")
async def test_why_it_waits_is_said_in_the_language_of_the_desk(house: Daemon, sign_in: SignIn) -> None:
    sam = await sign_in("sam")
    visitor = await chat(house, name="Mira")
    await sam.page.get_by_role("button", name="Mira").click()
    item = sam.page.get_by_role("complementary")
    await expect(item).to_contain_text("Chen is not signed in")
    await sam.button("Settings").click()
    await sam.page.get_by_role("combobox", name="Language").select_option("Español")
    await expect(item).to_contain_text("Chen no ha iniciado sesión")
    await expect(item).to_contain_text("espera porque")
    await expect(item).not_to_contain_text("waits because")
    (one,) = await house.interactions("queued")
    at = f"{house.http}/v1/interactions/{one['id']}/why-not/chen"
    headers = {"Authorization": "Bearer dev-operator", "Accept-Language": "es-MX, en;q=0.5"}
    async with house.session.get(at, headers=headers) as answer:
        assert answer.headers["Content-Language"] == "es"
        told = await answer.json()
    assert (told["code"], told["reason"]) == ("signed-out", "chen no ha iniciado sesión")
    await visitor.cut()


@pytest.mark.promise("MV-2")
async def test_a_supervisor_takes_work_back_and_ends_it(house: Daemon, sign_in: SignIn) -> None:
    sam, ana = await sign_in("sam"), await sign_in("ana")
    await ana.ready()
    visitor = await chat(house, name="Mira")
    await ana.accept("Mira")
    await ana.page.get_by_role("button", name="Not ready", exact=True).click()
    await sam.page.get_by_role("combobox", name="Which").select_option("With an agent")
    await sam.page.get_by_role("button", name="Mira").click()
    await sam.button("Requeue").click()
    await expect(ana.told("Mira was taken back to the queue.")).to_be_visible()
    await expect(ana.row("Mira")).to_have_count(0)
    await expect(sam.page.get_by_role("complementary")).to_contain_text("Ana is not ready")
    await sam.button("End it").click()
    await visitor.until(lambda: visitor.state == "ended")
    await visitor.cut()


@pytest.mark.long
async def test_a_supervisor_makes_an_agent_ready(house: Daemon, sign_in: SignIn) -> None:
    sam, ana = await sign_in("sam"), await sign_in("ana")
    await sam.button("Make Ana ready").click()
    await expect(ana.button("Not ready")).to_be_enabled()
    await sam.button("Make Ana not ready").click()
    await expect(ana.button("Ready")).to_be_enabled()


async def test_who_gives_up_is_counted_and_still_is_after_a_restart(house: Daemon, sign_in: SignIn) -> None:
    sam = await sign_in("sam")
    before = await day_of(house, "support")
    visitor = await chat(house, name="Mira")
    await expect(cell(sam, "support", "Waiting")).to_have_text("1")
    await visitor.leave()
    await expect(cell(sam, "support", "Waiting")).to_have_text("")
    after = await day_of(house, "support")
    assert after["abandoned"] == before["abandoned"] + 1
    house.kill()
    await house.start()
    assert await day_of(house, "support") == after
    share = round(100 * after["abandoned"] / (after["abandoned"] + after["answered"]))
    shown = f"{after['abandoned']} ({share} %)"
    await expect(cell(sam, "support", "Abandoned")).to_have_text(shown, timeout=30_000)


async def day_of(house: Daemon, queue: str) -> dict[str, int]:
    _, page = await house.get("/v1/queues")
    return {view["queue"]: dict(view["day"]) for view in page["queues"]}[queue]


@pytest.mark.promise("IN-4")
async def test_an_operator_discards_what_nobody_could_read(house: Daemon, new_page: NewPage, sign_in: SignIn) -> None:
    (house.data / "drop" / "fax" / "broken.pdf").write_bytes(b"no pdf at all")
    olga = Desk(await new_page(), house, "operator")
    await olga.sign_in("dev-operator")
    await olga.button("House").click()
    await expect(olga.page.get_by_text("All is well")).to_be_visible()
    await expect(olga.page.get_by_text("Nothing here waits for a decision.")).to_be_visible()
    entry = olga.page.get_by_role("listitem").filter(has_text="broken.pdf")
    async with olga.page.expect_download() as download:
        await entry.get_by_role("button", name="Download").click()
    assert (await (await download.value).path()).read_bytes() == b"no pdf at all"
    await entry.get_by_role("button", name="Discard").click()
    await expect(entry).to_have_count(0)


@pytest.mark.promise("OB-6")
async def test_an_agent_has_no_pages_of_a_supervisor(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await expect(ana.button("Floor")).to_have_count(0)
    for path in ("/v1/queues", "/v1/agents", "/v1/interactions", "/v1/quarantine", "/v1/config"):
        async with house.session.get(house.http + path, headers={"Authorization": "Bearer dev-ana"}) as answer:
            assert answer.status == 401, path


CLIPPED = """() => [...document.querySelectorAll(".queues :is(thead th, td, .flag)")]
  .filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.textContent.trim())"""


async def worst(route: Route) -> None:
    """A day on which the queues have the most to say."""
    answer = await route.fetch()
    told = await answer.json()
    for queue in told["queues"]:
        queue["servability"] = {"nobody": 5}
        queue["waiting"], queue["share_of_target"] = 5, 12.34
        queue["day"] |= {"abandoned": 12, "short": 0, "abandon_rate": 1.0, "service_level": 1.0}
    await route.fulfill(response=answer, json=told)


@pytest.mark.parametrize("language", ["English", "Español"])
async def test_all_columns_of_the_queues_are_in_sight_beside_an_open_interaction(
    house: Daemon, sign_in: SignIn, new_page: NewPage, language: str
) -> None:
    visitor = await chat(house, name="Mira")
    olga = Desk(await new_page(viewport={"width": 1280, "height": 800}), house, "operator")
    await olga.page.route("**/v1/queues?*", worst)
    await olga.sign_in("dev-operator")
    await olga.page.get_by_role("button", name="Mira").click()
    await expect(olga.page.get_by_role("complementary")).to_be_visible()
    await olga.button("Settings").click()
    await olga.page.get_by_role("combobox", name="Language").select_option(language)
    place = olga.page.get_by_role("region", name=re.compile("^(Queues|Colas)$"))
    await expect(place.get_by_text(re.compile("^5 (without anybody|sin nadie)$")).first).to_be_visible()
    assert await place.evaluate("(one) => one.scrollWidth - one.clientWidth") == 0
    assert await olga.page.evaluate(CLIPPED) == []
    await visitor.cut()


async def test_the_edge_beyond_which_the_queues_go_on_is_shaded(house: Daemon, new_page: NewPage) -> None:
    """By what is seen: the last pixels before the edge are darker than the surface, until one is at the end."""
    olga = Desk(await new_page(viewport={"width": 390, "height": 900}), house, "operator")
    await olga.sign_in("dev-operator")
    place = olga.page.get_by_role("region", name="Queues")
    await expect(place.get_by_text("support")).to_be_visible()

    async def dark() -> list[bool]:
        picture = Image.open(io.BytesIO(await place.screenshot())).convert("L")
        row = picture.height - 8  # below all that is written in the last row
        return [picture.crop((x, row, x + 1, row + 1)).tobytes()[0] < 240 for x in (2, picture.width - 3)]

    assert await dark() == [False, True]
    await place.evaluate("(one) => one.scrollTo(one.scrollWidth, 0)")
    assert await dark() == [True, False]
