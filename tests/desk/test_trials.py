"""What somebody met who tried the desk for the first time."""

from __future__ import annotations

import asyncio
import io

import aiohttp
import pytest
from PIL import Image
from playwright.async_api import expect

from tests.desk.conftest import NewPage, SignIn
from tests.desk.people import Desk
from tests.desk.test_trouble import chat
from tests.system.daemon import Daemon

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.system]


async def test_a_word_without_an_end_widens_nothing(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    visitor = await chat(house, name="Mira")
    await ana.accept("Mira")
    await ana.writing().fill("w" * 4_000)
    width = await ana.page.evaluate("innerWidth")
    for name in ("Complete", "Send"):
        box = await ana.page.get_by_role("button", name=name).bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width
    assert await ana.page.evaluate("document.documentElement.scrollWidth") <= width
    await visitor.cut()


async def test_remarks_cover_no_button(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    visitor = await chat(house, name="Mira")
    await expect(ana.offer("Mira")).to_be_visible()
    await visitor.send({"type": "leave"})
    remark = ana.told("Mira left before you answered.")
    await expect(remark).to_be_visible()
    inside = await remark.bounding_box()
    assert inside is not None
    for button in await ana.page.get_by_role("button").all():
        box = await button.bounding_box()
        label = await button.get_attribute("aria-label")
        if box is None or label == "Dismiss":
            continue
        apart = box["y"] >= inside["y"] + inside["height"] or box["y"] + box["height"] <= inside["y"]
        assert apart or box["x"] >= inside["x"] + inside["width"], label
    await visitor.cut()


async def test_the_newest_word_stays_in_sight_though_a_picture_comes_late(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    visitor = await chat(house, name="Mira")
    await ana.accept("Mira")
    out = io.BytesIO()
    Image.new("RGB", (900, 900)).save(out, "PNG")
    picker = ana.page.locator("input[type=file]").first
    await picker.set_input_files({"name": "chair.png", "mimeType": "image/png", "buffer": out.getvalue()})
    await expect(ana.button("Remove chair.png")).to_be_visible()
    await ana.write("this one?")
    await visitor.say("m2", "the other one")
    await expect(ana.log().get_by_role("img", name="chair.png")).to_be_visible()
    await expect(ana.log().get_by_text("the other one")).to_be_in_viewport()
    await visitor.cut()


async def test_what_is_mine_has_its_time_in_a_second_window(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    visitor = await chat(house, name="Mira")
    await ana.accept("Mira")
    since = await ana.page.evaluate("JSON.parse(sessionStorage.session).since")
    assert list(since)
    second = Desk(await ana.page.context.new_page(), house, "ana")
    await second.sign_in()
    await second.open("Mira")
    await expect(second.page.get_by_text("with you")).to_be_visible()
    assert await second.page.evaluate("JSON.parse(sessionStorage.session).since") == since
    await expect(ana.page.get_by_text("Not signed in before")).to_have_count(0)
    await second.page.close()
    await visitor.cut()


async def test_what_there_is_no_room_for_is_not_offered_to_be_taken(house: Daemon, sign_in: SignIn) -> None:
    """A caller takes an agent whole, so whoever has three chats is offered no call to take."""
    ana = await sign_in("ana")
    await ana.ready()
    visitors = [await chat(house, name=f"Visitor {n}") for n in range(3)]
    for n in range(3):
        await ana.accept(f"Visitor {n}")
    fourth = await chat(house, name="Visitor 4")
    await ana.page.get_by_text("Take from a queue").click()
    await expect(ana.page.get_by_text("Nothing waits that you could take.")).to_be_visible()
    for visitor in (*visitors, fourth):
        await visitor.cut()


async def test_whoever_is_shut_out_by_guesses_is_told_for_how_long(house: Daemon, new_page: NewPage) -> None:
    page = await new_page()
    await page.route(
        "**/v1/session/ticket",
        lambda route: route.fulfill(
            status=429, headers={"Retry-After": "42"}, json={"code": "too-many-attempts", "detail": "wait"}
        ),
    )
    await page.goto(f"{house.http}/desk")
    await page.get_by_label("Name").fill("ana")
    await page.get_by_label("Token").fill("dev-ana")
    await page.get_by_label("Token").press("Enter")
    await expect(page.get_by_role("status").get_by_text("Too many wrong passwords")).to_be_visible()
    await expect(page.get_by_text("again in 4")).to_be_visible()
    await page.get_by_role("status").get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible()


async def test_real_guesses_are_answered_so(house: Daemon) -> None:
    """From 127.0.0.9: the daemon counts that address, and nobody else's."""
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.9", 0))
    async with aiohttp.ClientSession(connector=connector) as session:
        seen = []
        for n in range(25):
            async with session.post(f"{house.http}/v1/session", json={"name": "ana", "password": f"{n}"}) as answer:
                seen.append(answer.status)
                await asyncio.sleep(0)
    assert seen == [401] * 20 + [429] * 5
