"""The chat on somebody's page: what visitors see and do, in a real browser with the real daemon and desk behind it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Locator, Page, Route, expect

from tests.desk.conftest import QUICK, NewPage, unhurried
from tests.desk.people import BUSY, Desk
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


async def test_what_comes_before_a_busy_browser_has_drawn_is_shown(shop: Daemon, new_page: NewPage, ana: Desk) -> None:
    eva = await comes(shop, new_page)
    await eva.start("Eva")
    await eva.say("one")
    await expect(eva.log.get_by_text("Delivered")).to_be_visible()
    await eva.page.add_init_script(BUSY)
    await eva.page.reload()
    await expect(eva.log.get_by_text("one")).to_be_visible()


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
    await expect(eva.page.get_by_text("lie.png: this kind of file cannot be sent here.")).to_be_visible()
    await eva.button("Remove run.html").click()
    await expect(eva.writing).to_be_focused()
    await expect(eva.page.get_by_text("run.html")).to_have_count(0)
    await eva.say("my shoe")
    await expect(eva.page.get_by_text("lie.png")).to_have_count(0)  # it was told, and stands for no later message
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


class SlowUploads:
    """The way up for files, on which they stand until they are let through."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.fails = False

    async def lay(self, page: Page) -> None:
        await page.route(re.compile("/chat/files"), self._went)

    async def _went(self, route: Route) -> None:
        await self.free.wait()
        if self.fails:
            await route.abort()
        else:
            await route.continue_()


async def attach(eva: Visitor, *names: str) -> None:
    files = [{"name": name, "mimeType": "image/png", "buffer": PNG} for name in names]
    await eva.page.locator("input[type=file]").set_input_files(files)  # type: ignore[arg-type]


WAITS = "Sent as soon as the files are up."


async def test_words_wait_for_their_files(shop: Daemon, new_page: NewPage, ana: Desk) -> None:
    eva, way = await comes(shop, new_page, bypass_csp=True), SlowUploads()
    await way.lay(eva.page)
    await eva.start("Eva")
    await expect(eva.page.get_by_text("You are next.")).to_be_visible()
    await attach(eva, "left.png", "right.png")
    await eva.say("both shoes")
    await expect(eva.page.get_by_role("status").get_by_text(WAITS)).to_be_visible()
    await expect(eva.button("Send")).to_be_disabled()
    await expect(eva.writing).to_have_value("both shoes")
    await check(eva.page, "a message that waits for its files")
    await eva.button("Remove right.png").click()  # taken back on its way: the message waits for the other one
    await expect(eva.page.get_by_text(WAITS)).to_be_visible()
    way.free.set()
    await expect(eva.log.get_by_text("Delivered")).to_be_visible()
    await expect(eva.writing).to_have_value("")
    await expect(eva.log.get_by_role("listitem")).to_have_count(1)
    await expect(eva.log.get_by_role("link")).to_have_text(["left.png"])
    await ana.ready()
    await ana.accept("Eva")
    first = ana.log().get_by_role("listitem")
    await expect(first).to_have_count(1)
    await expect(first).to_contain_text("both shoes")
    await expect(first).to_contain_text("left.png")


async def test_a_file_that_does_not_come_holds_its_words_until_the_visitor_decides(
    shop: Daemon, new_page: NewPage, ana: Desk
) -> None:
    eva, way = await comes(shop, new_page), SlowUploads()
    await way.lay(eva.page)
    await eva.start("Eva")
    await expect(eva.page.get_by_text("You are next.")).to_be_visible()
    await attach(eva, "shoe.png")
    await eva.say("my shoe")
    way.fails = True
    way.free.set()
    failed = eva.page.get_by_role("alert").get_by_text("shoe.png could not be uploaded.")
    await expect(failed).to_be_visible()
    await expect(eva.page.get_by_text(WAITS)).to_have_count(0)
    await expect(eva.writing).to_have_value("my shoe")
    await eva.button("Remove shoe.png").click()
    await expect(failed).to_have_count(0)
    await eva.button("Send").click()
    await expect(eva.log.get_by_text("my shoe")).to_be_visible()


async def test_who_writes_on_has_not_sent_yet(shop: Daemon, new_page: NewPage, ana: Desk) -> None:
    eva, way = await comes(shop, new_page), SlowUploads()
    await way.lay(eva.page)
    await eva.start("Eva")
    await expect(eva.page.get_by_text("You are next.")).to_be_visible()
    await attach(eva, "shoe.png")
    await eva.say("my shoe")
    await eva.writing.press_sequentially(", the left")
    await expect(eva.page.get_by_text(WAITS)).to_have_count(0)
    way.free.set()
    await expect(eva.button("Remove shoe.png")).to_be_visible()
    await expect(eva.page.get_by_text("Uploading")).to_have_count(0)
    await expect(eva.writing).to_have_value("my shoe, the left")
    await eva.writing.press("Enter")
    await expect(eva.log.get_by_text("my shoe, the left")).to_be_visible()
    await expect(eva.log.get_by_role("link")).to_have_text(["shoe.png"])


async def test_what_was_not_sent_when_the_chat_ends_is_named_and_kept(
    shop: Daemon, new_page: NewPage, ana: Desk
) -> None:
    eva, way = await comes(shop, new_page, bypass_csp=True), SlowUploads()
    await way.lay(eva.page)
    await eva.start("Eva")
    await ana.ready()
    await ana.accept("Eva")
    await expect(eva.page.get_by_text("You are talking to Ana.")).to_be_visible()
    await attach(eva, "shoe.png")
    await eva.say("my shoe")
    await ana.button("Complete").click()
    await expect(eva.page.get_by_role("alert")).to_contain_text("You had not sent this: “my shoe”, shoe.png.")
    await check(eva.page, "over, with something unsent")
    way.free.set()
    await eva.button("Start a new chat").click()
    await expect(eva.writing).to_have_value("my shoe")
    await expect(eva.page.get_by_text("shoe.png", exact=True)).to_be_visible()
    assert await eva.log.get_by_text("my shoe").count() == 0


@asynccontextmanager
async def elsewhere_chat(shop: Daemon, new_page: NewPage) -> AsyncIterator[Visitor]:
    """Somebody on a page of another origin."""

    async def page(request: web.Request) -> web.Response:
        script = f'<script src="{shop.http}/chat/widget.js" data-topic="support" defer></script>'
        text = f"<!doctype html><html lang=en><title>x</title><main><h1>Shop</h1></main>{script}</html>"
        return web.Response(text=text, content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/", page)])
    async with TestServer(app) as elsewhere:
        eva = Visitor(await new_page())
        await eva.page.goto(str(elsewhere.make_url("/")))
        yield eva


async def test_a_page_elsewhere_says_why_a_file_was_refused(shop: Daemon, new_page: NewPage, ana: Desk) -> None:
    async with elsewhere_chat(shop, new_page) as eva:
        await eva.start("Eva")
        await expect(eva.page.get_by_text("You are next.")).to_be_visible()
        lie = {"name": "lie.png", "mimeType": "image/png", "buffer": b"MZ not a picture"}
        await eva.page.locator("input[type=file]").set_input_files(lie)  # type: ignore[arg-type]
        await expect(eva.page.get_by_text("lie.png: this kind of file cannot be sent here.")).to_be_visible()


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
