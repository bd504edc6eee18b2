"""What goes wrong on a working day, and what the agent sees of it: nothing lost, nothing shown that is not so."""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import Any

import pytest
from playwright.async_api import Page, WebSocketRoute, expect

from router.http import oidc
from tests.desk.conftest import NewPage, SignIn
from tests.desk.people import BUSY, Desk
from tests.system.clients import Visitor, check_in
from tests.system.daemon import Daemon

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.system]

MEGABYTE = 1_000_000


class Cable:
    """The agent's line, which can be pulled out. While it is out nothing connects."""

    def __init__(self) -> None:
        self.plugged = True
        self.lines: list[WebSocketRoute] = []

    async def lay(self, page: Page) -> None:
        await page.route_web_socket(re.compile("/agent$"), self._opened)

    def _opened(self, line: WebSocketRoute) -> None:
        if self.plugged:
            line.connect_to_server()
            self.lines.append(line)
        else:
            self._later = asyncio.ensure_future(line.close())

    async def pull(self, code: int = 1011) -> None:
        self.plugged = False
        for line in self.lines:
            await line.close(code=code)
        self.lines.clear()

    def plug(self) -> None:
        self.plugged = True


async def chat(house: Daemon, text: str = "hello", **hello: Any) -> Visitor:
    """A visitor who has said something."""
    visitor = Visitor(house.socket)
    await visitor.open()
    await visitor.send({"type": "hello", "topic": "support", "language": "en", **hello})
    await visitor.until(lambda: visitor.token)
    await visitor.say("m1", text)
    return visitor


@pytest.mark.parametrize(("locale", "no_role"), [("en-US", "you have no role here"), ("es-ES", "ninguna función aquí")])
async def test_whoever_is_not_let_in_by_their_company_reads_why(
    house: Daemon, new_page: NewPage, locale: str, no_role: str
) -> None:
    page = await new_page(locale=locale)
    said = {}
    for word in (*oidc.WORDS, "constructor"):
        await page.goto("about:blank")
        await page.goto(f"{house.http}/desk#sign-in-failed={word}")
        await expect(page.get_by_role("alert")).not_to_be_empty()
        said[word] = await page.get_by_role("alert").inner_text()
        assert "#" not in page.url
    assert len(set(said.values())) == len(said)
    assert [word for word in said if f"({word})" in said[word]] == ["constructor"], (
        "only what is not known shows its code"
    )
    assert no_role in said[oidc.NO_ROLE]


async def test_a_reload_keeps_sign_in_work_and_every_word_that_was_typed(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    visitor = await chat(house, name="Mira")
    await ana.accept("Mira")
    await ana.writing().fill("I am looking into th")
    await ana.page.get_by_role("textbox", name="Closing note").fill("parcel 4711")
    await ana.page.reload()
    await ana.open("Mira")
    await expect(ana.writing()).to_have_value("I am looking into th")
    await expect(ana.page.get_by_role("textbox", name="Closing note")).to_have_value("parcel 4711")
    await expect(ana.button("Not ready")).to_be_enabled()
    await ana.write("I am looking into this.")
    await visitor.until(lambda: visitor.heard == ["I am looking into this."])
    await visitor.cut()


@pytest.mark.promise("AG-3")
async def test_a_cut_line_is_said_and_afterwards_nothing_is_missing_or_double(
    house: Daemon, new_page: NewPage, sign_in: SignIn
) -> None:
    cable = Cable()
    page = await new_page()
    await cable.lay(page)
    ana = Desk(page, house, "ana")
    await ana.sign_in()
    await ana.ready()
    visitor = await chat(house, "before", name="Mira")
    await ana.accept("Mira")
    await cable.pull()
    await expect(page.get_by_text("Connection lost.")).to_be_visible()
    await expect(ana.button("Complete")).to_be_disabled()
    await visitor.say("m2", "in between")
    await ana.write("written meanwhile")
    await expect(ana.log().get_by_text("Sending…")).to_be_visible()
    assert visitor.heard == []
    await page.get_by_role("button", name="Try now").click()
    await expect(page.get_by_text("Connection lost.")).to_be_visible()
    cable.plug()
    await expect(page.get_by_text("Connection lost.")).to_be_hidden()
    await visitor.until(lambda: visitor.heard)
    await expect(ana.log().get_by_role("listitem")).to_have_count(3)
    for text in ("before", "in between", "written meanwhile"):
        await expect(ana.log().get_by_text(text)).to_have_count(1)
    assert visitor.heard == ["written meanwhile"]
    await visitor.cut()


@pytest.mark.long
async def test_what_was_sent_into_a_cut_line_is_sent_after_a_reload_once(
    house: Daemon, new_page: NewPage, sign_in: SignIn
) -> None:
    cable = Cable()
    page = await new_page()
    await cable.lay(page)
    ana = Desk(page, house, "ana")
    await ana.sign_in()
    await ana.ready()
    visitor = await chat(house, name="Mira")
    await ana.accept("Mira")
    await cable.pull()
    await expect(page.get_by_text("Connection lost.")).to_be_visible()
    await ana.write("still on its way")
    cable.plug()
    await page.reload()
    await ana.open("Mira")
    await expect(ana.log().get_by_text("still on its way")).to_have_count(1)
    await visitor.until(lambda: visitor.heard == ["still on its way"])
    await visitor.cut()


@pytest.mark.promise("DU-1")
async def test_a_server_that_is_killed_and_started_again_is_found_by_itself(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    status, _ = await check_in(house.session, house.http, uuid.uuid4().hex, "support")
    assert status == 200
    await ana.accept("Eva")
    house.kill()
    await expect(ana.page.get_by_text("Connection lost.")).to_be_visible()
    await house.start()
    await expect(ana.page.get_by_text("Connection lost.")).to_be_hidden(timeout=30_000)
    await ana.open("Eva")
    await ana.complete("Eva")


class DeadLine:
    """A line that stays open and carries nothing any more, as when a firewall forgot it, until a new one is made."""

    def __init__(self) -> None:
        self.dead = False

    async def lay(self, page: Page) -> None:
        await page.route_web_socket(re.compile("/agent$"), self._opened)

    def _opened(self, window: WebSocketRoute) -> None:
        lives, self.dead = True, False
        server = window.connect_to_server()

        def carried(to: WebSocketRoute, message: str | bytes) -> None:
            nonlocal lives
            lives = lives and not self.dead
            if lives:
                to.send(message)

        window.on_message(lambda message: carried(server, message))
        server.on_message(lambda message: carried(window, message))


@pytest.mark.promise("AG-3")
async def test_a_line_that_died_without_a_word_is_noticed_and_made_anew(
    house: Daemon, new_page: NewPage, sign_in: SignIn
) -> None:
    page, line = await new_page(), DeadLine()
    await page.clock.install()
    await line.lay(page)
    ana = Desk(page, house, "ana")
    await ana.sign_in()
    await ana.ready()
    visitor = await chat(house, name="Mira")
    await ana.accept("Mira")
    line.dead = True
    await visitor.say("m2", "are you there?")
    await page.clock.fast_forward("00:12")  # nothing was heard for so long: it knocks
    await expect(ana.log()).not_to_contain_text("are you there?")
    await page.clock.fast_forward("00:05")  # and nobody answers
    await page.clock.fast_forward("00:10")  # time to connect again, if it has not
    await expect(ana.log()).to_contain_text("are you there?")
    await expect(page.get_by_text("Connection lost.")).to_be_hidden()
    await visitor.cut()


class SlowLine:
    """A window whose news come late: what the server says waits until it is let through."""

    def __init__(self) -> None:
        self.held: list[str | bytes] | None = None
        self.window: WebSocketRoute | None = None

    async def lay(self, page: Page) -> None:
        await page.route_web_socket(re.compile("/agent$"), self._opened)

    def _opened(self, window: WebSocketRoute) -> None:
        self.window = window
        window.connect_to_server().on_message(self._heard)

    def _heard(self, message: str | bytes) -> None:
        assert self.window is not None
        if self.held is None:
            self.window.send(message)
        else:
            self.held.append(message)

    def hold(self) -> None:
        self.held = []

    def let_through(self) -> None:
        held, self.held = self.held or [], None
        for message in held:
            self._heard(message)


@pytest.mark.promise("OF-2")
async def test_two_windows_that_accept_one_offer_have_one_interaction(house: Daemon, sign_in: SignIn) -> None:
    first = await sign_in("ana")
    second, line = Desk(await first.page.context.new_page(), house, "ana"), SlowLine()
    await line.lay(second.page)
    await second.sign_in()
    await first.ready()
    for desk in (first, second):
        await expect(desk.page.get_by_text("The desk is open in another window")).to_be_visible()
    visitor = await chat(house, name="Mira")
    await expect(second.offer("Mira")).to_be_visible()
    line.hold()
    await first.accept("Mira")
    await second.offer("Mira").get_by_role("button", name="Accept").click()
    line.let_through()
    await expect(second.told("Answered in your other window.")).to_be_visible()
    for desk in (first, second):
        await expect(desk.row("Mira")).to_have_count(1)
        await expect(desk.page.get_by_text("Too late")).to_have_count(0)
    assert [one["state"] for one in await house.interactions("active")] == ["active"]
    await second.page.close()
    await expect(first.page.get_by_text("The desk is open in another window")).to_be_hidden()
    await visitor.cut()


async def test_what_customers_write_never_becomes_markup(house: Daemon, sign_in: SignIn) -> None:
    evil = '<img src=x onerror="alert(1)">'
    ana = await sign_in("ana")
    dialogs: list[str] = []
    ana.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    await ana.ready()
    text = f'{evil}<script>alert(2)</script> javascript:alert(3) http://x.example/"onmouseover="alert(4)'
    visitor = await chat(house, text, name=f"Mira {evil}")
    await ana.accept(f"Mira {evil}")
    await expect(ana.log()).to_contain_text(text)
    assert await ana.page.locator("img, #desk script").count() == 0
    links = await ana.log().get_by_role("link").evaluate_all("all => all.map(one => one.getAttribute('href'))")
    assert links == ["http://x.example/"]
    assert dialogs == []
    await visitor.cut()


async def test_a_megabyte_pasted_is_refused_in_words_and_stays_where_it_was(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    visitor = await chat(house, name="Mira")
    await ana.accept("Mira")
    await ana.write("x" * MEGABYTE)
    await expect(ana.told("This is too long to send: at most")).to_be_visible()
    assert len(await ana.writing().input_value()) == MEGABYTE
    await ana.write("shorter")
    await visitor.until(lambda: visitor.heard == ["shorter"])
    await visitor.cut()


@pytest.mark.parametrize(("name", "token"), [("ana", "dev-nobody"), ("ana", "dev-ben"), ("nobody", "dev-ana")])
async def test_a_name_and_a_token_that_do_not_belong_together(
    house: Daemon, new_page: NewPage, name: str, token: str
) -> None:
    desk = Desk(await new_page(), house, name)
    await desk.sign_in(token)
    await expect(desk.page.get_by_role("alert")).to_have_text(re.compile("do not belong together"))
    await expect(desk.button("Sign in")).to_be_visible()


async def test_a_token_that_is_not_valid_any_more_leads_to_sign_in(
    house: Daemon, new_page: NewPage, sign_in: SignIn
) -> None:
    cable = Cable()
    page = await new_page()
    await cable.lay(page)
    ana = Desk(page, house, "ana")
    await ana.sign_in()
    await cable.pull(code=4401)
    await expect(page.get_by_role("alert")).to_have_text(re.compile("not valid any more"))
    await page.reload()
    await expect(ana.button("Sign in")).to_be_visible()


async def test_a_customer_who_leaves_during_an_offer_is_told_of(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    visitor = await chat(house, name="Mira")
    await expect(ana.offer("Mira")).to_be_visible()
    await visitor.leave()
    await expect(ana.offer("Mira")).to_have_count(0)
    await expect(ana.told("Mira left before you answered.")).to_be_visible()


async def test_a_desk_comes_up_in_a_browser_that_is_busy(house: Daemon, sign_in: SignIn) -> None:
    """What the daemon says comes before the page has done what follows a drawing."""
    ana = await sign_in("ana")
    await ana.ready()
    await ana.page.add_init_script(BUSY)
    await ana.page.reload()
    await expect(ana.button("Not ready")).to_be_enabled()
    visitor = await chat(house, name="Mira")
    await expect(ana.offer("Mira")).to_be_visible()
    await visitor.cut()
