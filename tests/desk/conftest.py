"""A browser and a house for all these tests, and pages that tell of every fault.

The browser is the system's Chromium, driven by Playwright, which brings none of its own here. A page on which a script
fails, or whose policy is broken, fails its test whatever else it shows.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from router.desk.files import Files
from router.desk.pages import PageRoutes
from tests.desk.people import Desk
from tests.support.ports import free_port
from tests.system.daemon import CONFIG, Daemon

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# As root there is no sandbox; a test talks to this machine only.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A refusal over HTTP is no fault of the page, nor is a line that the test itself cuts.
EXPECTED = ("Failed to load resource", "WebSocket connection to")

QUICK = {
    "SWITCHBOARD__SCAN__FOLDERS__FAX__SETTLE": "0s",
    "SWITCHBOARD__SCAN__FOLDERS__MAIL__SETTLE": "0s",
    "SWITCHBOARD__SCAN__POLL": "200ms",
}

# Nothing here is about speed, and the machine may be busy with other tests.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)

NewPage = Callable[..., Awaitable[Page]]
SignIn = Callable[..., Awaitable[Desk]]


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("not installed: chromium")
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="package")
async def new_page(browser: Browser) -> AsyncIterator[NewPage]:
    """A page in a context of its own, as on another machine; `options` are those of the context."""
    contexts = []
    faults: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(EXPECTED):
            faults.append(message.text)

    async def make(**options: Any) -> Page:
        given: dict[str, Any] = {"locale": "en-US", "reduced_motion": "reduce", **options}
        context = await browser.new_context(**given)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = await context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: faults.append(str(error)))
        return page

    yield make
    for context in contexts:
        await context.close()
    assert faults == []


def unhurried(demo: str) -> str:
    """The demo with timed wrap-up. On a busy machine no offer runs out, no work goes back. Whoever gives up counts."""
    given = demo.replace('wrap_up = { mode = "optional" }', 'wrap_up = { mode = "timed", time = "60s" }')
    for queue in ("support", "sales", "mailroom"):
        given = given.replace(f"[queues.{queue}]", f'[queues.{queue}]\noffer_timeout = "5m"')
    return given + '\n[figures]\nshort = "0s"\n\n[presence]\ngrace = "5m"\n'


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """A real daemon on nearly the demo configuration; it has the same ports after a restart."""
    folder = tmp_path_factory.mktemp("house")
    config = folder / "desk.toml"
    config.write_text(unhurried(CONFIG.read_text()))
    ports = {"SWITCHBOARD__HTTP__PORT": str(free_port()), "SWITCHBOARD__SOCKETS__PORT": str(free_port())}
    async with Daemon(folder / "data", QUICK | ports, config) as running:
        yield running
    assert running.troubles() == []


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def base() -> AsyncIterator[str]:
    """The desk's files, served as the daemon serves them."""
    files = Files()
    app = web.Application()
    app.add_routes(PageRoutes(files, lambda place, host: "ws://127.0.0.1:1").routes())
    async with TestServer(app) as server:
        yield str(server.make_url(f"/desk/{files.version}"))


@pytest_asyncio.fixture(loop_scope="package")
async def sign_in(house: Daemon, new_page: NewPage) -> AsyncIterator[SignIn]:
    """The desk of somebody in a browser of their own. At the end nothing is open: the next test begins with none."""

    async def begin(name: str, **options: Any) -> Desk:
        desk = Desk(await new_page(**options), house, name)
        await desk.sign_in()
        return desk

    yield begin
    for state in ("queued", "offered", "active", "wrap-up"):
        for one in await house.interactions(state):
            await house.post(f"/v1/interactions/{one['id']}/close", {})
    for agent in ("ana", "ben", "chen", "dora", "sam"):
        await house.post(f"/v1/agents/{agent}/state", {"state": "not_ready", "reason": "test"})
