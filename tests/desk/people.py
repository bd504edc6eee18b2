"""People at the desk, by what they see and press: roles and names, as a screen reader has them."""

from __future__ import annotations

import re

from playwright.async_api import Locator, Page, expect

from tests.system.daemon import Daemon

# What a library does after it has drawn waits for a frame, or for a moment without one.
BUSY = """
const later = window.setTimeout;
window.requestAnimationFrame = (call) => later(call, 2000);
window.setTimeout = (call, ms, ...more) => later(call, ms > 0 && ms <= 200 ? 2000 : ms, ...more);
"""


class Desk:
    def __init__(self, page: Page, house: Daemon, name: str) -> None:
        self.page = page
        self.house = house
        self.name = name

    async def sign_in(self, token: str = "") -> None:
        await self.page.goto(f"{self.house.http}/desk")
        await self.page.get_by_label("Name").fill(self.name)
        await self.page.get_by_label("Token").fill(token or f"dev-{self.name}")
        await self.page.get_by_label("Token").press("Enter")
        if not token:
            await expect(self.page.get_by_role("button", name=re.compile("^(Ready|Not ready)$"))).to_be_enabled()

    async def ready(self) -> None:
        await self.button("Ready").click()
        await expect(self.button("Not ready")).to_be_enabled()

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def offer(self, who: str = "") -> Locator:
        return self.page.get_by_role("article").filter(has_text=who)

    async def accept(self, who: str = "") -> None:
        """Take the offer, and see it open."""
        await self.offer(who).get_by_role("button", name="Accept").click()
        await self.open(who)

    async def open(self, who: str) -> None:
        await expect(self.page.get_by_role("main").get_by_role("heading", level=1, name=who)).to_be_visible()

    def row(self, who: str) -> Locator:
        return self.page.get_by_role("navigation").get_by_role("listitem").filter(has_text=who)

    def log(self) -> Locator:
        return self.page.get_by_role("log")

    def writing(self) -> Locator:
        return self.page.get_by_role("tabpanel").get_by_role("textbox")

    async def write(self, text: str) -> None:
        await self.writing().fill(text)
        await self.writing().press("Control+Enter")

    async def complete(self, who: str) -> None:
        """To the end, wrap-up included where there is one."""
        await self.row(who).get_by_role("button").click()
        await self.open(who)
        await self.button("Complete").click()
        finish = self.button("Finish wrap-up")
        await expect(finish.or_(self.page.get_by_text("Nothing open"))).to_be_visible()
        if await finish.is_visible():
            await finish.click()
        await expect(self.row(who)).to_have_count(0)

    def told(self, text: str) -> Locator:
        return self.page.get_by_role("status").get_by_text(text)
