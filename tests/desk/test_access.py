"""Everybody can use the desk: WCAG 2.2 AA as far as a program can tell, on every screen, in light and in dark."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.desk.conftest import SignIn
from tests.desk.people import Desk
from tests.desk.test_trouble import chat
from tests.system.clients import letter, send_mail
from tests.system.daemon import Daemon

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.system]

AXE = gzip.decompress((Path(__file__).parent / "vendor" / "axe.min.js.gz").read_bytes()).decode()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """async (only) => {
  const told = (node) => `${node.target.join(" ")} ${node.failureSummary}`;
  const found = await axe.run(document, { runOnly: only, resultTypes: ["violations"] });
  return found.violations.map((one) => `${one.id}: ${one.nodes.map(told).join("; ")}`);
}"""
NARROW = {"width": 390, "height": 780}
# Buttons that no scrolling brings back: what holds them hides what is beyond its edge.
CUT = """() => [...document.querySelectorAll("button")].filter((one) => {
  const at = one.getBoundingClientRect();
  return at.width && !one.closest(".scroll") && (at.left < 0 || at.right > innerWidth);
}).map((one) => one.textContent || one.getAttribute("aria-label"))"""

# WCAG 2.5.8: 24 px each way, but for what stands in a sentence. axe forgives what has room around it.
SMALL = """() => [...document.querySelectorAll("button")].filter((one) => {
  const at = one.getBoundingClientRect();
  return at.width && !one.closest("p") && (at.width < 24 || at.height < 24);
}).map((one) => one.textContent || one.getAttribute("aria-label"))"""


async def check(page: Page, screen: str) -> None:
    """All rules in the light, those of colour in the dark. The page's policy is lifted for axe alone, whose markup it
    would refuse."""
    await page.evaluate(f"() => {{ if (!globalThis.axe) {{ {AXE} }} }}")
    wrong: list[Any] = [f"{screen}: {one}" for one in await page.evaluate(RUN, {"type": "tag", "values": TAGS})]
    await page.emulate_media(color_scheme="dark")
    wrong += [f"{screen}, dark: {one}" for one in await page.evaluate(RUN, ["color-contrast", "link-in-text-block"])]
    await page.emulate_media(color_scheme="light")
    assert wrong == []


async def fits(page: Page, screen: str) -> None:
    """At the width of a telephone nothing is cut off at the side."""
    size = page.viewport_size
    assert size is not None
    await page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert wide <= NARROW["width"], f"{screen} is {wide} px wide"
    cut = await page.evaluate(CUT)
    assert cut == [], f"{screen}: out of sight at the side: {cut}"
    small = await page.evaluate(SMALL)
    assert small == [], f"{screen}: too small to be hit with a finger: {small}"
    await page.set_viewport_size(size)


async def look(desk: Desk, screen: str) -> None:
    await check(desk.page, screen)
    await fits(desk.page, screen)


async def test_every_screen_of_an_agent(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana", bypass_csp=True)
    await look(ana, "not ready")
    await ana.button("Not ready: Why").click()
    await look(ana, "reasons")
    await ana.page.keyboard.press("Escape")
    await ana.ready()
    visitor = await chat(house, "hello https://example.org", name="Mira")
    await expect(ana.offer("Mira")).to_be_visible()
    await look(ana, "offer")
    await ana.accept("Mira")
    await ana.write("hello")
    await expect(ana.log().get_by_role("listitem")).to_have_count(2)
    await look(ana, "chat")
    await ana.button("Transfer").click()
    await expect(ana.page.get_by_role("radio", name="Ben")).to_be_visible()
    await look(ana, "transfer")
    await ana.page.keyboard.press("Escape")
    await ana.button("Settings").click()
    await look(ana, "settings")
    await ana.page.keyboard.press("Escape")
    await ana.page.get_by_text("Take from a queue").click()
    await ana.button("Complete").click()
    await expect(ana.button("Finish wrap-up")).to_be_visible()
    await look(ana, "wrap-up")
    await visitor.cut()
    mail = letter("long").replace(b"From: Eva ", b"From: Katarzyna Wisniewska-Brzeczyszczykiewicz-Malinowska ")
    await asyncio.to_thread(send_mail, house.smtp, mail)
    await ana.accept("Katarzyna")
    await look(ana, "a letter")


async def test_the_first_screen(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana", bypass_csp=True)
    await ana.button("Settings").click()
    await ana.button("Sign out").click()
    await expect(ana.button("Sign in")).to_be_visible()
    await look(ana, "sign in")


async def test_every_screen_of_a_supervisor(house: Daemon, sign_in: SignIn) -> None:
    visitors = await asyncio.gather(*(chat(house, name=name) for name in ("Mira", "Nils")))
    (house.data / "drop" / "fax" / "torn.pdf").write_bytes(b"no pdf at all")
    sam = await sign_in("sam", bypass_csp=True)
    await expect(sam.page.get_by_role("heading", name="Queues")).to_be_visible()
    await look(sam, "floor")
    await sam.page.get_by_role("button", name="Mira").click()
    await expect(sam.page.get_by_role("heading", name="Why each agent has not got it")).to_be_visible()
    await look(sam, "an interaction")
    await sam.button("House").click()
    await expect(sam.page.get_by_text("torn.pdf")).to_be_visible()
    await look(sam, "house")
    for visitor in visitors:
        await visitor.cut()
