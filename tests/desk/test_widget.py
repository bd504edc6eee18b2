"""The chat on somebody's page: what visitors see and do, in a real browser with the real daemon and desk behind it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Locator, Page, expect

from tests.desk.conftest import QUICK, NewPage, unhurried
from tests.desk.people import Desk
from tests.desk.test_access import check
from tests.support.ports import free_port
from tests.system.daemon import CONFIG, Daemon

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.system]

CLOSED = """
[calendars.never.week]
mon-sun = []

[queues.night]
calendar = "never"
when_closed = { do = "end", message = "We are open again on Monday." }

[[rules]]
name = "night"
queue = "night"
channel = ["chat"]
to = ["night"]
"""
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63606060000000040001f61738"
    "550000000049454e44ae426082"
)


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    folder = tmp_path_factory.mktemp("shop")
    config = folder / "shop.toml"
    config.write_text(unhurried(CONFIG.read_text()) + CLOSED)
    ports = {"SWITCHBOARD__HTTP__PORT": str(free_port()), "SWITCHBOARD__SOCKETS__PORT": str(free_port())}
    async with Daemon(folder / "data", QUICK | ports, config) as running:
        yield running
    assert running.troubles() == []


class Visitor:
    """Somebody on the page, by what they see and press."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def start(self, name: str = "") -> None:
        await self.button("Open chat").click()
        await self.page.get_by_label("Your name").fill(name)
        await self.button("Start chat").click()
        await expect(self.writing).to_be_visible()

    @property
    def writing(self) -> Locator:
        return self.page.get_by_label("Your message")

    @property
    def log(self) -> Locator:
        return self.page.get_by_role("log")

    async def say(self, text: str) -> None:
        await self.writing.fill(text)
        await self.writing.press("Enter")


@pytest_asyncio.fixture(loop_scope="package")
async def ana(shop: Daemon, new_page: NewPage) -> AsyncIterator[Desk]:
    desk = Desk(await new_page(), shop, "ana")
    await desk.sign_in()
    yield desk
    for state in ("queued", "offered", "active", "wrap-up"):
        for one in await shop.interactions(state):
            await shop.post(f"/v1/interactions/{one['id']}/close", {})
    await shop.post("/v1/agents/ana/state", {"state": "not_ready", "reason": "test"})


async def comes(shop: Daemon, new_page: NewPage, path: str = "/chat/", **options: object) -> Visitor:
    page = await new_page(**options)
    await page.goto(shop.http + path)
    return Visitor(page)


async def test_a_conversation_with_all_that_both_see_of_each_other(shop: Daemon, new_page: NewPage, ana: Desk) -> None:
    eva = await comes(shop, new_page)
    await eva.start("Eva")
    await expect(eva.page.get_by_text("You are next.")).to_be_visible()
    await eva.say("<b>bold</b> <img src=x onerror=alert(1)>")
    await expect(eva.log.get_by_text("Delivered")).to_be_visible()

    await ana.ready()
    await ana.accept("Eva")
    await expect(eva.log.get_by_text("Read")).to_be_visible()
    await expect(ana.log()).to_contain_text("<b>bold</b> <img src=x onerror=alert(1)>")
    await expect(eva.log).to_contain_text("<b>bold</b> <img src=x onerror=alert(1)>")
    assert await eva.log.locator("b, img").count() == 0

    await ana.writing().press_sequentially("I l")
    await expect(eva.page.get_by_text("Ana is writing…")).to_be_visible()
    await ana.write("I look.")
    await expect(eva.log.get_by_text("I look.")).to_be_visible()
    await expect(ana.log().get_by_text("Read", exact=True)).to_be_visible()

    await eva.writing.press_sequentially("Th")
    await expect(ana.page.get_by_text("Eva is writing…")).to_be_visible()
    await eva.button("Close chat").last.click()
    await ana.write("Found it.")
    await expect(ana.log().get_by_text("Delivered", exact=True)).to_be_visible()
    await eva.button("Open chat, 1 new").click()
    await expect(ana.log().get_by_text("Read", exact=True)).to_be_visible()
    assert await eva.writing.input_value() == "Th"

    await eva.button("End chat").click()
    await eva.button("End it").click()
    await expect(eva.page.get_by_text("You have ended the chat.")).to_be_visible()


async def test_nothing_is_lost_by_a_reload_a_cut_a_restart_or_a_second_window(
    shop: Daemon, new_page: NewPage, ana: Desk
) -> None:
    eva = await comes(shop, new_page)
    await eva.start("Eva")
    await eva.say("one")
    await expect(eva.log.get_by_text("Delivered")).to_be_visible()
    await eva.writing.fill("half a sen")
    await eva.page.reload()
    await expect(eva.log.get_by_text("one")).to_be_visible()
    assert await eva.writing.input_value() == "half a sen"

    second = Visitor(await eva.page.context.new_page())
    await second.page.goto(f"{shop.http}/chat/")
    await second.button("Open chat").click()
    await second.say("two")
    await expect(eva.log.get_by_text("two")).to_be_visible()

    await shop.stop()
    await expect(eva.page.get_by_text("Connection lost.")).to_be_visible()
    await eva.say("three")
    await expect(eva.log.get_by_text("Sending…")).to_be_visible()
    await shop.start()
    await expect(eva.log.get_by_text("Sending…")).to_have_count(0)
    for window in (eva, second):
        await expect(window.log.locator("li .words")).to_have_text(["one", "two", "three"])
    assert len([one for one in await shop.interactions("queued") if one["channel"] == "chat"]) == 1


async def test_a_file_goes_each_way_and_what_may_not_come_is_said(shop: Daemon, new_page: NewPage, ana: Desk) -> None:
    eva = await comes(shop, new_page)
    await eva.start("Eva")
    await expect(eva.page.get_by_text("You are next.")).to_be_visible()
    chooser = eva.page.locator("input[type=file]")
    await chooser.set_input_files({"name": "shoe.png", "mimeType": "image/png", "buffer": PNG})
    await expect(eva.page.get_by_text("shoe.png", exact=True)).to_be_visible()  # and no more "Uploading shoe.png"
    await chooser.set_input_files({"name": "run.html", "mimeType": "text/html", "buffer": b"<script>"})
    await expect(eva.page.get_by_text("run.html: this kind of file cannot be sent here.")).to_be_visible()
    await chooser.set_input_files({"name": "lie.png", "mimeType": "image/png", "buffer": b"MZ not a picture"})
    await expect(eva.page.get_by_text("lie.png could not be uploaded.")).to_be_visible()
    await eva.say("my shoe")
    link = eva.log.get_by_role("link", name="Download shoe.png")
    async with eva.page.expect_download() as download:
        await link.click()
    assert Path(await (await download.value).path()).read_bytes() == PNG
    await ana.ready()
    await ana.accept("Eva")
    await expect(ana.log().get_by_role("button", name="Download shoe.png")).to_be_visible()
    await (
        ana.page.get_by_label("Attach")
        .locator("visible=false")
        .or_(ana.page.locator("input[type=file]"))
        .first.set_input_files({"name": "bill.txt", "mimeType": "text/plain", "buffer": b"9.99"})
    )
    await expect(ana.button("Remove bill.txt")).to_be_visible()
    await ana.write("the bill")
    async with eva.page.expect_download() as bill:
        await eva.log.get_by_role("link", name="Download bill.txt").click()
    assert Path(await (await bill.value).path()).read_bytes() == b"9.99"


async def test_at_a_closed_door_a_letter_becomes_mail(shop: Daemon, new_page: NewPage, ana: Desk) -> None:
    async def page(request: web.Request) -> web.Response:
        script = f'<script src="{shop.http}/chat/widget.js" data-topic="night" defer></script>'
        body = f"<!doctype html><html lang=en><title>x</title><main><h1>Shop</h1></main>{script}</html>"
        return web.Response(text=body, content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/", page)])
    async with TestServer(app) as elsewhere:
        eva = Visitor(await new_page())
        await eva.page.goto(str(elsewhere.make_url("/")))
        await eva.button("Open chat").click()
        await eva.page.get_by_label("Your name").fill("Eva")
        await eva.button("Start chat").click()
        await expect(eva.page.get_by_text("We are open again on Monday.")).to_be_visible()
        await eva.page.get_by_label("Your email address").fill("eva@example.com")
        await eva.writing.fill("Where is my parcel?\nEva")
        await eva.button("Send message").click()
        await expect(eva.page.get_by_text("Your message has arrived")).to_be_visible()
    (mail,) = [one for one in await shop.interactions() if one["channel"] == "email"]
    assert (mail["sender"], mail["recipient"]) == ("eva@example.com", "support@localhost")
    assert mail["subject"] == "Message from the website: night"
    assert mail["state"] in ("queued", "offered"), "a person wrote it, and an agent is to read it"
    content = (await shop.get(f"/v1/interactions/{mail['id']}/content"))[1]
    assert content["messages"][0]["text"].split("\n")[:2] == ["Where is my parcel?", "Eva"]


async def test_a_transcript_comes_by_mail_to_who_asked_for_it(shop: Daemon, new_page: NewPage, ana: Desk) -> None:
    eva = await comes(shop, new_page)
    await eva.start("Eva")
    await eva.say("Is it in stock?")
    await expect(eva.page.get_by_text("Send me this chat by mail")).to_have_count(0)
    await ana.ready()
    await ana.accept("Eva")
    await ana.write("Yes, three.")
    await expect(eva.log.get_by_text("Yes, three.")).to_be_visible()
    await eva.page.get_by_text("Send me this chat by mail").click()
    await eva.page.get_by_label("Your email address").fill("eva@example.com")
    await eva.page.locator("details").get_by_role("button", name="Send").click()
    await expect(eva.page.get_by_text("You will get this chat by mail")).to_be_visible()
    outbox = shop.data / "outbox"
    before = set(outbox.glob("*.eml")) if outbox.exists() else set()
    await ana.button("Complete").click()
    await expect(eva.page.get_by_text("The chat has ended.")).to_be_visible()
    async with asyncio.timeout(20):
        while not (new := set(outbox.glob("*.eml")) - before):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)
    mail = message_from_bytes(new.pop().read_bytes(), policy=policy.default)
    assert (mail["To"], mail["From"]) == ("eva@example.com", "Support <support@localhost>")
    body = mail.get_body()
    assert body is not None
    said = re.findall(r"^\d\d:\d\d (\w+):\n(.+)$", "\n".join(body.get_content().splitlines()), re.MULTILINE)
    assert said == [("Eva", "Is it in stock?"), ("Ana", "Yes, three.")]


HOSTILE = (
    '<!doctype html><html lang="en"><head><title>x</title><link rel="stylesheet" href="/bad.css"></head><body>'
    '<main><h1>Shop</h1></main><script src="{http}/chat/widget.js" data-topic="support" defer></script></body></html>'
)


async def test_the_strictest_page_with_the_worst_style_shows_it_as_any_other(shop: Daemon, new_page: NewPage) -> None:
    """Nothing inline, no markup from text (`new_page` fails on any breach), and rules that hide and distort all."""
    policy_text = (
        f"default-src 'none'; script-src {shop.http}; style-src 'self'; connect-src {shop.http} {shop.socket}; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )

    async def page(request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": policy_text}
        return web.Response(text=HOSTILE.format(http=shop.http), content_type="text/html", headers=headers)

    async def style(request: web.Request) -> web.Response:
        rules = ".chat, switchboard-chat, switchboard-chat * { display: none !important; font-size: 60px !important; }"
        return web.Response(text=rules, content_type="text/css")

    app = web.Application()
    app.add_routes([web.get("/", page), web.get("/bad.css", style)])
    async with TestServer(app) as elsewhere:
        eva = Visitor(await new_page())
        await eva.page.goto(str(elsewhere.make_url("/")))
        await eva.start("Eva")
        await expect(eva.page.get_by_text("You are next.")).to_be_visible()
        size = await eva.writing.evaluate("(box) => getComputedStyle(box).fontSize")
        assert size == "15px"
        await eva.button("End chat").click()
        await eva.button("End it").click()
        await expect(eva.page.get_by_text("You have left the line.")).to_be_visible()


async def test_everybody_can_use_it_in_every_state(shop: Daemon, new_page: NewPage, ana: Desk) -> None:
    eva = await comes(shop, new_page, bypass_csp=True)
    await check(eva.page, "closed")
    await eva.button("Open chat").click()
    await check(eva.page, "start")
    await eva.page.keyboard.press("Escape")
    await expect(eva.button("Open chat")).to_be_focused()
    await eva.page.keyboard.press("Enter")
    await eva.page.get_by_label("Your name").press("Enter")
    await expect(eva.writing).to_be_focused()
    await eva.page.keyboard.type("hello")
    await eva.page.keyboard.press("Enter")
    await expect(eva.log.get_by_text("Delivered")).to_be_visible()
    await check(eva.page, "waiting")
    await ana.ready()
    await ana.accept()
    await ana.write("Good morning")
    await expect(eva.log.get_by_text("Good morning")).to_be_visible()
    await check(eva.page, "talking")
    for width, height in ((320, 640), (390, 780)):
        await eva.page.set_viewport_size({"width": width, "height": height})
        assert await eva.page.evaluate("document.documentElement.scrollWidth") <= width
        await check(eva.page, f"{width} px wide")
        box = await eva.button("Send").bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width
    await ana.button("Complete").click()
    await expect(eva.page.get_by_text("The chat has ended.")).to_be_visible()
    await check(eva.page, "over")


async def test_it_speaks_the_language_of_its_page_and_turns_with_it(shop: Daemon, new_page: NewPage, ana: Desk) -> None:
    eva = await comes(shop, new_page, "/chat/?lang=es&dir=rtl", bypass_csp=True)
    await eva.button("Abrir el chat").click()
    await eva.button("Iniciar chat").click()
    await expect(eva.page.get_by_text("Usted es el siguiente.")).to_be_visible()
    await check(eva.page, "from right to left")
    box = await eva.page.get_by_role("dialog").bounding_box()
    assert box is not None
    assert box["x"] < 100, "the end of the line is on the left"
    (waiting,) = await shop.interactions("queued")
    assert waiting["language"] == "es"
