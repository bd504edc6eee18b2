"""Photograph every screen, for people to look at: `python -m tests.desk.screens FOLDER [--only writing] [--look dark]`.

A real daemon stands behind the pages, and people in browsers of their own walk through a day on every channel; at each
screen and dialog they stop, and it is taken by day, in the dark, at the width of a telephone, in Spanish and from right
to left. Nothing is compared: what a program can tell is in the tests; whether words are cut, things crooked or colours
hard to read is for the eye. The pictures are large and of this machine's fonts, so none is kept in the repository.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal, NamedTuple

from aiohttp import web
from aiohttp.test_utils import TestServer
from aiosmtpd.smtp import SMTP
from PIL import Image, ImageDraw, ImageFont
from playwright.async_api import Browser, Page, ViewportSize, WebSocketRoute, async_playwright, expect

from router.http import oidc
from tests.desk.conftest import ARGUMENTS, PROGRAMS, QUICK, unhurried
from tests.desk.people import Desk
from tests.desk.test_operator import Relay
from tests.support.ports import free_port
from tests.system.clients import Visitor, call_event, drop, phone, send_mail
from tests.system.daemon import CONFIG, ROOT, Daemon

PASSWORD = "correct horse battery"
WIDE: ViewportSize = {"width": 1366, "height": 768}
NARROW: ViewportSize = {"width": 390, "height": 844}

# Beside the demo, whose replies a mail server refuses here: a queue that is closed, a gateway that can call customers.
MORE = """
[calendars.never.week]
mon-sun = []

[queues.night]
calendar = "never"
when_closed = { do = "end", message = "We are open again on Monday at eight." }

[[rules]]
name = "night"
queue = "night"
channel = ["chat"]
to = ["night"]

[phone.gateways.office]
kind = "generic"
secrets = ["dev-office"]
control_url = "http://127.0.0.1:9/calls"
"""


class Look(NamedTuple):
    """How a screen is taken; what is no page of the desk chooses its language itself."""

    size: ViewportSize
    scheme: Literal["light", "dark"] = "light"
    language: str = "en"
    side: str = "ltr"


LOOKS = {
    "light": Look(WIDE),
    "dark": Look(WIDE, "dark"),
    "phone": Look(NARROW),
    "phone-dark": Look(NARROW, "dark"),
    "es": Look(WIDE, language="es"),
    "phone-es": Look(NARROW, language="es"),
    "rtl": Look(WIDE, side="rtl"),
    "phone-rtl": Look(NARROW, side="rtl"),
}
SPEAK = """async ([language, side]) => {
  const main = document.querySelector('script[type=module][src*="/js/main.js"]');
  if (main) {
    const { desk } = await import(main.src);
    desk.prefer("language", language);
    await desk.watch?.look();
  }
  document.documentElement.dir = side;
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
PANE = "async (name) => (await import(document.querySelector('script[type=module]').src)).desk.showPane(name)"
SHOW = "async (fields) => (await import(document.querySelector('script[type=module]').src)).desk.store.set(fields)"


class Album:
    """A browser, a house, a folder; everything that is opened here is closed here."""

    def __init__(self, browser: Browser, house: Daemon, folder: Path, looks: dict[str, Look]) -> None:
        self.browser = browser
        self.house = house
        self.folder = folder
        self.looks = looks
        self.taken = 0
        self.visitors: list[Visitor] = []

    async def page(self, **options: Any) -> Page:
        given: dict[str, Any] = {"locale": "en-US", "reduced_motion": "reduce", "viewport": WIDE, **options}
        context = await self.browser.new_context(**given)
        context.set_default_timeout(60_000)
        return await context.new_page()

    async def desk(self, name: str, token: str = "") -> Desk:
        desk = Desk(await self.page(), self.house, name)
        if token:
            await desk.sign_in(token)
            await expect(desk.page.get_by_role("banner")).to_be_visible()
        else:
            await desk.sign_in()
        return desk

    async def take(self, page: Page, name: str, speaks: bool = True) -> None:
        """The screen as it is now in every look, and then as it was."""
        for look, how in self.looks.items():
            if not speaks and (how.language, how.side) != ("en", "ltr"):
                continue
            await page.emulate_media(color_scheme=how.scheme, reduced_motion="reduce")
            await page.set_viewport_size(how.size)
            if speaks:
                await page.evaluate(SPEAK, [how.language, how.side])
            await page.screenshot(path=self.folder / f"{name}-{look}.png")
            self.taken += 1
        await page.emulate_media(color_scheme="light", reduced_motion="reduce")
        await page.set_viewport_size(WIDE)
        if speaks:
            await page.evaluate(SPEAK, ["en", "ltr"])
        print(f"{name}", flush=True)

    async def chat(self, *says: str, **hello: Any) -> Visitor:
        visitor = Visitor(self.house.socket)
        self.visitors.append(visitor)
        await visitor.open()
        await visitor.send({"type": "hello", "topic": "support", "language": "en", **hello})
        await visitor.until(lambda: visitor.token)
        for text in says:
            await visitor.say(uuid.uuid4().hex, text)
        return visitor

    async def call(self, kind: str, name: str, **more: Any) -> None:
        status, answer = await phone(self.house.session, self.house.http, call_event(kind, name, **more))
        assert status == 200, answer

    async def check_in(self, name: str, topic: str) -> None:
        body = {"topic": topic, "name": name}
        async with self.house.session.post(f"{self.house.http}/v1/kiosk/checkins", json=body) as answer:
            assert answer.status == 200

    async def clear_agents(self, *names: str) -> None:
        for name in names:
            await self.house.post(f"/v1/agents/{name}/state", {"state": "not_ready", "reason": "break"})

    async def clear(self) -> None:
        """An empty house for the next walk."""
        for context in self.browser.contexts:
            await context.close()
        for visitor in self.visitors:
            await visitor.cut()
        self.visitors.clear()
        for state in ("queued", "offered", "active", "wrap-up"):
            for one in await self.house.interactions(state):
                await self.house.post(f"/v1/interactions/{one['id']}/close", {})
        await self.clear_agents("ana", "ben", "chen", "dora", "sam")


# --- what comes in ----------------------------------------------------------------------------------------------------

LETTER = """Good morning,

three weeks ago I ordered two chairs (order 4711,
https://shop.example/orders/4711) and only one has come. The invoice says
that both were paid, and your colleague told me on the telephone that the
second would follow within two working days. That was ten days ago.

Could you please tell me where it is? I would rather have the chair than
the money, but if it cannot be found I want the 189.90 EUR back.

Kind regards
Katarzyna Wiśniewska-Brzęczyszczykiewicz

> On Monday you wrote:
> Dear customer, your second chair leaves our warehouse tomorrow.
> You will get a message with the number of the parcel.
"""


def mail() -> bytes:
    one = EmailMessage()
    one["From"] = "Katarzyna Wiśniewska-Brzęczyszczykiewicz <katarzyna.wisniewska@example.org>"
    one["To"] = "support@localhost"
    one["Subject"] = "Order 4711: the second chair has still not come, and nobody answers my messages"
    one["Message-ID"] = f"<{uuid.uuid4().hex}@example.org>"
    one.set_content(LETTER)
    one.add_attachment(b"%PDF-1.4 invoice", maintype="application", subtype="octet-stream", filename="invoice-4711.pdf")
    return one.as_bytes()


def paper(number: int, of: int) -> Image.Image:
    """A page of a fax that can be read, so that one sees which way up it stands."""
    page = Image.new("1", (1728, 2200), 1)
    pen = ImageDraw.Draw(page)
    font, small = ImageFont.load_default(72), ImageFont.load_default(44)
    pen.text((160, 160), f"ORDER 4711          page {number} of {of}", font=font, fill=0)
    for line in range(24):
        pen.text(
            (160, 340 + line * 70),
            f"{line + 1:2}.  {(line * 7919) % 90000 + 10000}   chair, oak   1   189.90",
            font=small,
            fill=0,
        )
    pen.rectangle((140, 320, 1600, 2060), outline=0, width=4)
    return page


def fax() -> bytes:
    out = io.BytesIO()
    first, *others = [paper(number, 3) for number in (1, 2, 3)]
    first.save(out, "TIFF", compression="group4", save_all=True, append_images=others, resolution_unit=2,
               x_resolution=204, y_resolution=196)  # fmt: skip
    return out.getvalue()


def photograph() -> bytes:
    picture = Image.new("RGB", (900, 600), "#d9c7a8")
    pen = ImageDraw.Draw(picture)
    pen.rectangle((250, 100, 650, 300), fill="#6b4a2b")
    for x in (260, 610):
        pen.rectangle((x, 300, x + 30, 560), fill="#53371d")
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


# --- the walks --------------------------------------------------------------------------------------------------------


async def doors(album: Album) -> None:
    """Signing in, with all that can go wrong there."""
    page = await album.page()
    await page.goto(f"{album.house.http}/desk")
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    await album.take(page, "signin")
    desk = Desk(page, album.house, "ana")
    await desk.sign_in("dev-ben")
    await expect(page.get_by_role("alert")).not_to_be_empty()
    await album.take(page, "signin-wrong")
    await page.route("**/v1/session**", lambda route: route.abort())
    await page.get_by_label("Token").press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("does not answer")
    await album.take(page, "signin-unreachable")
    for problem in ("expired", "not-found", "too-many", "signed-out", *oidc.WORDS, "teapot"):
        await page.evaluate(SHOW, {"problem": problem, "phase": "out"})
        await album.take(page, f"signin-{problem}")
    await page.unroute("**/v1/session**")
    locked = await album.page()
    body = {"code": "too-many-attempts", "detail": "wait"}
    await locked.route(
        "**/v1/session/ticket",
        lambda route: route.fulfill(status=429, headers={"Retry-After": "42"}, json=body),
    )
    await locked.goto(f"{album.house.http}/desk")
    await locked.get_by_label("Name").fill("ana")
    await locked.get_by_label("Token").fill("dev-ana")
    await locked.get_by_label("Token").press("Enter")
    await expect(locked.get_by_text("Too many wrong passwords")).to_be_visible()
    await album.take(locked, "locked-out")


async def writing(album: Album) -> None:
    """Chats, a mail, a fax: what an agent has side by side."""
    house = album.house
    ana = await album.desk("ana")
    page = ana.page
    await album.take(page, "desk-not-ready")
    await ana.button("Not ready: Why").click()
    await album.take(page, "not-ready-reasons")
    await ana.button("Lunch").click()
    await ana.button("Settings").click()
    await album.take(page, "settings")
    await page.keyboard.press("Escape")
    await ana.ready()
    await album.take(page, "desk-ready")

    mira = await album.chat("Hello, is anybody there?", "My order 4711 has not come", name="Mira Kowalczyk")
    await expect(ana.offer("Mira")).to_be_visible()
    await album.take(page, "offer")
    await ana.accept("Mira")
    await ana.write("Good morning Mira, I am looking it up: https://shop.example/orders/4711")
    picker = page.locator("input[type=file]").first
    await picker.set_input_files({"name": "chair.png", "mimeType": "image/png", "buffer": photograph()})
    await expect(ana.button("Remove chair.png")).to_be_visible()
    await ana.write("Is it this one?")
    await mira.say(
        uuid.uuid4().hex, "Yes! That one. The other chair of the two, the one without the scratch on its left leg."
    )
    await mira.send({"type": "typing"})
    await expect(ana.log()).to_contain_text("Yes! That one.")
    await page.get_by_role("combobox", name="Templates").select_option("Greeting")
    await album.take(page, "chat")
    await page.get_by_role("tab", name="Note").click()
    await page.get_by_role("textbox", name="Note", exact=True).fill("She has waited since the second.")
    await album.take(page, "note")
    await ana.button("Add note").click()
    await expect(page.get_by_role("complementary")).to_contain_text("She has waited")
    await page.get_by_role("tab", name="Reply").click()

    await asyncio.to_thread(send_mail, house.smtp, mail())
    await ana.accept("Katarzyna")
    await expect(ana.log()).to_contain_text("Good morning,")
    await ana.log().get_by_text("Quoted text").click()
    picker = page.locator("input[type=file]").first
    await picker.set_input_files(
        {"name": "label-for-the-return.pdf", "mimeType": "application/pdf", "buffer": b"x" * 90_000}
    )
    await ana.writing().fill("Dear Ms Wiśniewska-Brzęczyszczykiewicz,\n\nyour chair was found. It is on its way.")
    await album.take(page, "mail")
    await mira.say(uuid.uuid4().hex, "Are you still there?")
    drop(house.data / "drop" / "fax", "order-4711.tif", fax())
    await expect(ana.offer("order-4711.tif")).to_be_visible()
    await album.take(page, "offer-at-work")
    await ana.accept("order-4711.tif")
    await expect(ana.log().get_by_role("img", name="order-4711.tif, page 1")).to_be_visible()
    await album.take(page, "scan")
    await ana.button("Next page").click()
    await expect(ana.log().get_by_role("img", name="order-4711.tif, page 2")).to_be_visible()
    await ana.button("Turn the picture").click()
    await album.take(page, "scan-turned")
    await ana.button("Larger").click()
    await expect(ana.button("Smaller")).to_be_visible()
    await album.take(page, "scan-large")
    await page.evaluate(PANE, "list")
    await page.get_by_text("Take from a queue").click()
    await album.take(page, "pick")
    await page.get_by_text("Take from a queue").click()

    await ana.row("Mira").get_by_role("button").click()
    await details(album, ana)
    await ana.button("Complete").click()  # the template was chosen, and not sent
    await expect(page.get_by_role("dialog")).to_be_visible()
    await album.take(page, "unsent")
    await page.keyboard.press("Escape")
    await ana.button("Transfer").click()
    await expect(page.get_by_role("radio", name="Ben")).to_be_visible()
    await page.get_by_role("radio", name="Ben").check()
    await album.take(page, "transfer")
    await page.keyboard.press("Escape")
    await ana.button("Settings").click()
    await ana.button("Sign out").click()
    await album.take(page, "sign-out-with-work")
    await page.keyboard.press("Escape")
    second = Desk(await page.context.new_page(), house, "ana")
    await second.sign_in()
    await album.take(page, "second-window")
    await second.page.close()
    await mira.leave()
    await expect(ana.told("Mira Kowalczyk left.")).to_be_visible()
    await expect(ana.button("Finish wrap-up")).to_be_visible()
    await album.take(page, "wrap-up")


async def details(album: Album, ana: Desk) -> None:
    """What stands at the side; at the width of a telephone it has a page of its own."""
    page = ana.page
    card = page.get_by_role("region", name="About the customer")
    await card.get_by_role("button", name="Edit").click()
    await card.get_by_label("Company").fill("Möbelhaus Kowalczyk & Töchter")
    await card.get_by_label("Remarks").fill("Prefers mornings. Always ask for the number of the order first.")
    await page.evaluate(PANE, "side")
    await album.take(page, "card-edit")
    await card.get_by_role("button", name="Save").click()
    await card.get_by_text("Changes").click()
    await page.get_by_text("Promise a call").click()
    await album.take(page, "card-history-callback")
    await page.evaluate(PANE, "talk")


async def between(album: Album) -> None:
    """A colleague is asked; a supervisor announces; the line is cut."""
    ana, ben = await asyncio.gather(album.desk("ana"), album.desk("ben"))
    await ana.ready()
    await album.chat("Can I have the chair in green?", name="Mira Kowalczyk")
    await ana.accept("Mira")
    await ben.ready()
    await ana.button("Transfer").click()
    dialog = ana.page.get_by_role("dialog")
    await dialog.get_by_role("radio", name=re.compile("^Ben")).check()
    await dialog.get_by_role("radio", name="Ask first").check()
    await dialog.get_by_role("button", name="Ask").click()
    await expect(ana.page.get_by_text("Asking a colleague")).to_be_visible()
    await album.take(ana.page, "consult-asking")
    await ben.accept("Mira")
    box = ana.page.get_by_role("textbox", name="Write to ben")
    await box.fill("do you know this?")
    await box.press("Enter")
    await expect(ben.page.get_by_text("do you know this?")).to_be_visible()
    await album.take(ana.page, "consult")
    await album.take(ben.page, "consulted")
    await ana.button("Conference").click()
    await expect(ben.page.get_by_text("Conference:")).to_be_visible()
    await ben.write("Ben here. It comes in green, too.")
    await album.take(ana.page, "conference")
    await album.house.post("/v1/broadcast", {"text": "The carrier's site is down until noon: promise no dates."})
    await expect(ana.page.get_by_text("carrier's site")).to_be_visible()
    await album.take(ana.page, "announcement")
    stale = Desk(await album.page(), album.house, "chen")
    lines: list[WebSocketRoute] = []
    refused: list[asyncio.Future[None]] = []  # kept until they are done

    def laid(line: WebSocketRoute) -> None:
        if lines:
            refused.append(asyncio.ensure_future(line.close()))
        else:
            line.connect_to_server()
        lines.append(line)

    await stale.page.route_web_socket(re.compile("/agent$"), laid)
    await stale.sign_in()
    await stale.ready()
    await album.clear_agents("ben")
    await album.chat("Which chair is the best?", topic="sales", name="Nils Ö.")
    await stale.accept("Nils")
    await lines[0].close(code=1011)
    await expect(stale.page.get_by_text("Connection lost.")).to_be_visible()
    await stale.writing().fill("The one with arms, I th")
    await album.take(stale.page, "stale")


async def calls(album: Album) -> None:
    """A call, one on a line that cannot be held, a visitor in the hall."""
    ana = await album.desk("ana")
    await ana.ready()
    await album.call("incoming", "c1", attributes={"language": "es", "tier": "gold", "order_number": "4711"})
    await expect(ana.offer()).to_be_visible()
    await album.take(ana.page, "offer-call")
    await ana.offer().get_by_role("button", name="Accept").click()
    await expect(ana.log()).to_contain_text("Connecting")
    await album.take(ana.page, "call-connecting")
    await album.call("answered", "c1")
    await expect(ana.log()).to_contain_text("Connected")
    await album.take(ana.page, "call")
    await ana.button("Hold").click()
    await expect(ana.log()).to_contain_text("On hold")
    await album.take(ana.page, "call-held")
    await ana.button("Resume").click()
    await ana.complete("+12025550123")

    limited = Desk(await album.page(), album.house, "ben")

    def laid(line: WebSocketRoute) -> None:
        def heard(message: str | bytes) -> None:
            said = json.loads(message)
            if said["type"] == "assigned":
                said["interaction"]["unable"] = ["hold", "consult"]
            line.send(json.dumps(said))

        line.connect_to_server().on_message(heard)

    await ana.button("Not ready").click()
    await limited.page.route_web_socket(re.compile("/agent$"), laid)
    await limited.sign_in()
    await limited.ready()
    await album.call("incoming", "c2")
    await limited.offer().get_by_role("button", name="Accept").click()
    await expect(limited.page.get_by_text("This line cannot be put on hold.")).to_be_visible()
    await album.take(limited.page, "call-limited")
    await limited.button("Transfer").click()
    await expect(limited.page.get_by_role("radio", name="Ask first")).to_be_disabled()
    await album.take(limited.page, "call-limited-transfer")
    await limited.page.keyboard.press("Escape")
    await limited.complete("+12025550123")
    await album.check_in("Eva Lindström", "support")
    await limited.offer("Eva").get_by_role("button", name="Accept").click()
    await expect(limited.button("Visitor is here")).to_be_visible()
    await album.take(limited.page, "walk-in")


async def lead(album: Album) -> None:
    """A supervisor's day."""
    house = album.house
    ana = await album.desk("ana")
    await ana.ready()
    mira = await album.chat("Where is my order?", name="Mira Kowalczyk")
    await ana.accept("Mira")
    await ana.write("I look it up.")
    await mira.say(uuid.uuid4().hex, "This is the third time that I ask!")
    for n, name in enumerate(("Nils Ö.", "Olu", "Katarzyna Wiśniewska-Brzęczyszczykiewicz")):
        await album.chat("hello", topic="support" if n % 2 else "sales", name=name)
    await album.call("incoming", "c9", attributes={"language": "es"})
    await asyncio.to_thread(send_mail, house.smtp, mail())
    account(house, "lena", "--role", "supervisor", "--role", "agent", "--agent", "chen", "--team", "front")
    sam = await album.desk("sam")
    page = sam.page
    await sam.button("Floor").click()
    await expect(page.get_by_role("heading", name="Queues")).to_be_visible()
    await album.take(page, "floor")
    await page.get_by_role("button", name="Katarzyna").first.click()
    await expect(page.get_by_role("heading", name="Why each agent has not got it")).to_be_visible()
    await album.take(page, "floor-waiting")
    lena = await album.desk("lena", PASSWORD)
    page = lena.page
    await page.get_by_role("combobox", name="Which").select_option("With an agent")
    await page.get_by_role("button", name="Mira").click()
    item = page.get_by_role("complementary")
    await expect(item).to_contain_text("third time")
    await item.get_by_label("Private note to the agent").fill("Offer her the express, free of charge")
    await album.take(page, "floor-live")
    await item.get_by_role("button", name="Send note").click()
    await expect(ana.told("Offer her the express")).to_be_visible()
    await album.take(ana.page, "private-note-at-agent")
    await item.get_by_role("button", name="Join").click()
    await lena.open("Mira")
    await album.take(lena.page, "joined")
    await lena.button("End").click()
    await lena.button("Floor").click()
    await page.get_by_role("button", name="Mira").click()
    await item.get_by_role("button", name="Take over").click()
    await lena.open("Mira")
    await expect(ana.row("Mira")).to_have_count(0)
    await album.take(ana.page, "taken-over-at-agent")
    await lena.button("Floor").click()
    await page.get_by_label("To all your agents").fill("Lunch is here")
    await lena.button("Announce").click()
    await expect(lena.told("Done.").or_(page.get_by_text("Lunch is here")).first).to_be_visible()
    await album.take(page, "broadcast")


async def house(album: Album) -> None:
    """An operator's page: set aside, given up, how every part is, the configuration."""
    daemon = album.house
    drop(daemon.data / "drop" / "fax", "torn.pdf", b"no pdf at all")
    ana = await album.desk("ana")
    await ana.ready()
    await asyncio.to_thread(send_mail, daemon.smtp, mail())
    await ana.accept("Katarzyna")
    await ana.write("Your chair was found.")
    sam = await album.desk("sam")
    page = sam.page
    await expect(ana.log()).to_contain_text("Your chair was found.")
    await sam.button("House").click()
    await expect(page.get_by_text("torn.pdf")).to_be_visible()
    await expect(page.get_by_text("the smart host said 550")).to_be_visible()
    await expect(page.get_by_role("textbox", name="Configuration")).to_have_value(re.compile('"queues"'))
    await album.take(page, "house")
    text = page.get_by_role("textbox", name="Configuration")
    before = await text.input_value()
    await text.fill(before.replace('"weight": 1.5', '"weight": "heavy"'))
    await sam.button("Try without effect").click()
    await expect(page.get_by_role("alert")).to_contain_text("queues.sales.weight")
    await sam.button("Apply").scroll_into_view_if_needed()
    await album.take(page, "house-refused")
    await text.fill(before.replace('"weight": 1.5', '"weight": 2.5'))
    await sam.button("Try without effect").click()
    await expect(page.get_by_text("This can be applied.")).to_be_visible()
    await sam.button("Apply").scroll_into_view_if_needed()
    await album.take(page, "house-tried")
    await sam.button("Audit").click()
    await expect(page.get_by_role("table", name="Audit")).to_be_visible()
    await album.take(page, "audit")
    await page.get_by_role("search").get_by_label("Who").fill("nobody")
    await sam.button("Show").click()
    await expect(page.get_by_text("Nothing like that stands here.")).to_be_visible()
    await album.take(page, "audit-nothing")


async def hall(album: Album) -> None:
    """The kiosk and the screen."""
    at = album.house.http
    page = await album.page()
    await page.goto(f"{at}/kiosk")
    await album.take(page, "kiosk", speaks=False)
    await page.get_by_label(re.compile("my code")).fill("none-1")
    await page.get_by_role("button", name="Check in").click()
    await expect(page.get_by_role("alert").first).to_contain_text("do not know")
    await album.take(page, "kiosk-no-such-code", speaks=False)
    await page.get_by_role("button", name="Español").click()
    await album.take(page, "kiosk-es", speaks=False)
    await page.get_by_label("Su nombre").fill("Lucía")
    await page.get_by_role("button", name="Soporte").click()
    await expect(page.get_by_role("heading", name="Su turno")).to_be_visible()
    await album.take(page, "ticket-es", speaks=False)
    other = await album.page()
    await other.goto(f"{at}/kiosk")
    await other.get_by_role("button", name="Support").click()
    await expect(other.locator("#ticket")).not_to_be_empty()
    await album.take(other, "ticket", speaks=False)
    screen = await album.page()
    await screen.goto(f"{at}/kiosk/now-serving")
    await album.take(screen, "now-serving-nobody", speaks=False)
    ana, ben = await asyncio.gather(album.desk("ana"), album.desk("ben"))
    await ana.ready()
    await ben.ready()
    for desk in (ana, ben):
        await desk.offer().get_by_role("button", name="Accept").click()
        await expect(desk.button("Visitor is here")).to_be_visible()
    await ana.button("Call again (1)").click()
    await expect(screen.get_by_text("Called again")).to_be_visible()
    await album.take(screen, "now-serving", speaks=False)


async def widget(album: Album) -> None:
    """The chat on somebody's page."""
    at = album.house.http
    page = await album.page()
    await page.goto(f"{at}/chat/")
    await album.take(page, "widget-closed", speaks=False)
    await page.get_by_role("button", name="Open chat").click()
    await album.take(page, "widget-start", speaks=False)
    await page.get_by_label("Your name").fill("Eva")
    await page.get_by_role("button", name="Start chat").click()
    box = page.get_by_label("Your message")
    await box.fill("Where is my parcel?")
    await box.press("Enter")
    await expect(page.get_by_text("Delivered")).to_be_visible()
    await album.take(page, "widget-waiting", speaks=False)
    ana = await album.desk("ana")
    await ana.ready()
    await ana.accept("Eva")
    await ana.write("Good morning Eva, I am looking: https://shop.example/orders/4711")
    await ana.writing().press_sequentially("Fo")
    await expect(page.get_by_text("is writing")).to_be_visible()
    await album.take(page, "widget-talking", speaks=False)
    await page.get_by_role("button", name="End chat").click()
    await album.take(page, "widget-end", speaks=False)
    await page.get_by_role("button", name="End it").click()
    await expect(page.get_by_text("You have ended the chat.")).to_be_visible()
    await album.take(page, "widget-over", speaks=False)
    turned = await album.page()
    await turned.goto(f"{at}/chat/?lang=es&dir=rtl")
    await turned.get_by_role("button", name="Abrir el chat").click()
    await album.take(turned, "widget-es-rtl-start", speaks=False)
    await turned.get_by_role("button", name="Iniciar chat").click()
    await expect(turned.get_by_role("log")).to_be_visible()
    await album.take(turned, "widget-es-rtl", speaks=False)
    async with shop(at) as elsewhere:
        closed = await album.page()
        await closed.goto(elsewhere)
        await closed.get_by_role("button", name="Open chat").click()
        await closed.get_by_role("button", name="Start chat").click()
        await expect(closed.get_by_label("Your email address")).to_be_visible()
        await album.take(closed, "widget-offline", speaks=False)
        await closed.get_by_label("Your email address").fill("eva@example.com")
        await closed.get_by_label("Your message").fill("Where is my parcel?")
        await closed.get_by_role("button", name="Send message").click()
        await expect(closed.get_by_text("Your message has arrived")).to_be_visible()
        await album.take(closed, "widget-offline-sent", speaks=False)


@asynccontextmanager
async def shop(http: str) -> AsyncIterator[str]:
    """Somebody's page whose chat is closed."""

    async def page(request: web.Request) -> web.Response:
        script = f'<script src="{http}/chat/widget.js" data-topic="night" defer></script>'
        body = "<!doctype html><html lang=en><meta name=viewport content='width=device-width'><title>Shop</title>"
        return web.Response(text=f"{body}<main><h1>Shop</h1></main>{script}</html>", content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/", page)])
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


def account(daemon: Daemon, name: str, *options: str) -> None:
    command = [sys.executable, "-m", "router", "user", "add", name, *options, "--password-stdin"]
    command += ["--data", str(daemon.data)]
    subprocess.run(command, input=f"{PASSWORD}\n", text=True, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


# --- all of it --------------------------------------------------------------------------------------------------------

Walk = Callable[[Album], Awaitable[None]]
WALKS: dict[str, Walk] = {
    "doors": doors,
    "writing": writing,
    "between": between,
    "calls": calls,
    "lead": lead,
    "house": house,
    "hall": hall,
    "widget": widget,
}


@asynccontextmanager
async def opened(out: Path, looks: dict[str, Look]) -> AsyncIterator[Album]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise SystemExit("chromium is needed: apt install chromium")
    expect.set_options(timeout=60_000)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "desk.toml"
        loop = asyncio.get_running_loop()
        relay = await loop.create_server(lambda: SMTP(Relay(), hostname="relay", loop=loop), "127.0.0.1", 0)
        host = f'smart_host = {{ host = "127.0.0.1", port = {relay.sockets[0].getsockname()[1]} }}'
        given = unhurried(CONFIG.read_text()).replace('outbox_folder = "outbox"', host)
        config.write_text(given + MORE)
        ports = {"SWITCHBOARD__HTTP__PORT": str(free_port()), "SWITCHBOARD__SOCKETS__PORT": str(free_port())}
        try:
            async with Daemon(Path(folder) / "data", QUICK | ports, config) as daemon, async_playwright() as driver:
                browser = await driver.chromium.launch(executable_path=program, args=ARGUMENTS)
                try:
                    yield Album(browser, daemon, out, looks)
                finally:
                    await browser.close()
        finally:
            relay.close()
            await relay.wait_closed()


async def main(out: Path, only: list[str], looks: list[str]) -> None:
    began = time.monotonic()
    async with opened(out, {name: LOOKS[name] for name in looks or LOOKS}) as album:
        for name in only or WALKS:
            await WALKS[name](album)
            await album.clear()
    print(f"{album.taken} pictures in {time.monotonic() - began:.0f} s: {out}")


if __name__ == "__main__":
    words = argparse.ArgumentParser(prog="python -m tests.desk.screens", description=__doc__)
    words.add_argument("folder", type=Path, help="where the pictures go")
    words.add_argument("--only", action="append", default=[], choices=WALKS, help="this walk; may be given again")
    words.add_argument("--look", action="append", default=[], choices=LOOKS, help="in this look; may be given again")
    given = words.parse_args()
    asyncio.run(main(given.folder, given.only, given.look))
