"""How people work at the desk: by keyboard, in their language, with colleagues."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from playwright.async_api import WebSocketRoute, expect

from tests.desk.conftest import NewPage, SignIn
from tests.desk.people import Desk
from tests.desk.test_trouble import chat
from tests.system.clients import call_event, every, letter, phone, send_mail
from tests.system.daemon import Daemon

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.system]


async def test_an_interaction_from_ready_to_the_end_with_the_keyboard_alone(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    keyboard = ana.page.keyboard
    await keyboard.press("F2")
    await expect(ana.button("Not ready")).to_be_enabled()
    visitor = await chat(house, name="Mira")
    await expect(ana.offer("Mira")).to_be_visible()
    await expect(ana.page).to_have_title(re.compile("New: Mira"))
    await keyboard.press("F8")
    await ana.open("Mira")
    await expect(ana.page).to_have_title(re.compile("^Ana"))
    while not await ana.writing().evaluate("one => one === document.activeElement"):
        await keyboard.press("Tab")
    await keyboard.type("first line")
    await keyboard.press("Shift+Enter")
    await keyboard.type("second")
    await keyboard.press("Enter")
    await visitor.until(lambda: visitor.heard == ["first line\nsecond"])
    for name in ("Complete", "Finish wrap-up"):
        while not await ana.button(name).evaluate("one => one === document.activeElement"):
            await keyboard.press("Tab")
        await keyboard.press("Enter")
        await expect(ana.button(name)).to_have_count(0)
    await expect(ana.page.get_by_text("Nothing open")).to_be_visible()
    await visitor.cut()


async def test_a_declined_offer_that_comes_back_says_why(house: Daemon, sign_in: SignIn) -> None:
    """Nobody else is there: without a word the key would look broken."""
    ana = await sign_in("ana")
    await ana.ready()
    visitor = await chat(house, name="Mira")
    again = ana.page.get_by_text("You declined it before; nobody else is free.")
    await expect(ana.offer("Mira")).to_be_visible()
    await expect(again).to_have_count(0)
    await ana.page.keyboard.press("F9")
    await expect(again).to_be_visible()
    await ana.accept("Mira")
    await visitor.cut()


@pytest.mark.long
async def test_a_declined_offer_goes_to_somebody_else(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    ben = await sign_in("ben")
    await ben.ready()
    visitor = await chat(house, name="Mira")
    await expect(ana.offer("Mira")).to_be_visible()
    await ana.page.keyboard.press("F9")
    await expect(ana.offer("Mira")).to_have_count(0)
    await ben.accept("Mira")
    await visitor.cut()


async def test_an_agent_says_why_they_are_not_ready(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    await ana.button("Not ready: Why").click()
    await ana.button("Lunch").click()
    await expect(ana.page.get_by_role("banner").get_by_role("status")).to_contain_text("Lunch")
    _, shown = await house.get("/v1/agents/ana")
    assert (shown["state"], shown["reason"]) == ("not_ready", "lunch")


@pytest.mark.long
async def test_a_pause_asked_for_at_work_is_shown_until_the_work_is_over(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    visitor = await chat(house, name="Mira")
    await ana.accept("Mira")
    await ana.button("Not ready").click()
    status = ana.page.get_by_role("banner").get_by_role("status")
    await expect(status).to_contain_text("Not ready after this work")
    await ana.complete("Mira")
    await expect(status).to_have_text(re.compile("^Not ready(?! after)"))
    await visitor.cut()


async def test_wrap_up_runs_down_and_can_be_extended(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    visitor = await chat(house, name="Mira")
    await ana.accept("Mira")
    await ana.button("Complete").click()
    left = ana.page.get_by_role("timer")
    await expect(left).to_have_text(re.compile(r"^(0:\d\d|1:00) left$"))
    await ana.button("1 more minute").click()
    await expect(left).to_have_text(re.compile(r"^(1:\d\d|2:00) left$"))
    await ana.page.get_by_role("textbox", name="Closing note").fill("too late for the first, in time for this")
    await ana.button("Finish wrap-up").click()
    await expect(ana.row("Mira")).to_have_count(0)
    await visitor.cut()


async def test_several_stand_side_by_side_and_tell_what_is_unread(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    visitors = []
    for name in ("Mira", "Nils"):
        visitors.append(await chat(house, name=name))
        await ana.accept(name)
    await visitors[0].say("m2", "are you there?")
    await expect(ana.row("Mira")).to_contain_text("1 new")
    await expect(ana.page).to_have_title(re.compile(r"^\(1\)"))
    await ana.page.keyboard.press("Alt+ArrowDown")
    await ana.open("Mira")
    await expect(ana.row("Mira")).not_to_contain_text("new")
    await ana.writing().fill("half a sen")
    await ana.page.keyboard.press("Alt+ArrowUp")
    await ana.open("Nils")
    await expect(ana.writing()).to_have_value("")
    await ana.page.keyboard.press("Alt+ArrowUp")
    await expect(ana.writing()).to_have_value("half a sen")
    for visitor in visitors:
        await visitor.cut()


async def transfer(desk: Desk, to: str, how: str) -> None:
    await desk.button("Transfer").click()
    dialog = desk.page.get_by_role("dialog")
    await dialog.get_by_role("radio", name=re.compile(f"^{to}")).check()
    await dialog.get_by_role("radio", name=how).check()
    await dialog.get_by_role("button", name=re.compile("^(Transfer now|Ask)$")).click()
    await expect(dialog).to_have_count(0)


@pytest.mark.promise("MV-1")
async def test_work_is_given_to_a_colleague(house: Daemon, sign_in: SignIn) -> None:
    ana, ben = await asyncio.gather(sign_in("ana"), sign_in("ben"))
    await ana.ready()
    visitor = await chat(house, "for Ben", name="Mira")
    await ana.accept("Mira")
    await ben.ready()
    await transfer(ana, "Ben", "Give it away now")
    await expect(ana.row("Mira")).to_have_count(0)
    await ben.accept("Mira")
    await expect(ben.log()).to_contain_text("for Ben")
    await visitor.cut()


async def test_a_mail_is_forwarded_to_whom_the_agent_writes(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    await asyncio.to_thread(send_mail, house.smtp, letter("forward-me"))
    await ana.accept("Eva")
    await ana.button("Transfer").click()
    dialog = ana.page.get_by_role("dialog")
    search = dialog.get_by_role("searchbox")
    await search.fill("claims@partner.exampl")
    await dialog.get_by_role("radio", name=re.compile("^claims@partner.exampl")).check()
    await search.fill("claims@partner.example")
    await expect(dialog.get_by_role("button", name="Transfer now")).to_be_disabled()
    await dialog.get_by_role("radio", name=re.compile("^claims@partner.example")).check()
    await expect(dialog.get_by_role("radio", name="Ask first")).to_be_disabled()
    await dialog.get_by_role("button", name="Transfer now").click()
    await expect(ana.row("Eva")).to_have_count(0)
    outbox = house.data / "outbox"
    sent = b"To: claims@partner.example"
    await every(0.05, lambda: any(sent in path.read_bytes() for path in outbox.glob("*.eml")))


@pytest.mark.promise("MV-1")
async def test_a_colleague_is_asked_and_takes_over(house: Daemon, sign_in: SignIn) -> None:
    ana, ben = await asyncio.gather(sign_in("ana"), sign_in("ben"))
    await ana.ready()
    visitor = await chat(house, "a hard one", name="Mira")
    await ana.accept("Mira")
    await ben.ready()
    await transfer(ana, "Ben", "Ask first")
    await expect(ana.page.get_by_text("Asking a colleague")).to_be_visible()
    await ben.accept("Mira")
    await expect(ben.page.get_by_text("Ana asks you about this.")).to_be_visible()
    between = ana.page.get_by_role("textbox", name="Write to ben")
    await between.fill("do you know this?")
    await between.press("Enter")
    await expect(ben.page.get_by_text("do you know this?")).to_be_visible()
    about = ben.page.get_by_role("region", name="About the customer")
    await expect(about).to_contain_text("Nobody has written anything yet.")  # who is asked may read, and not write
    await expect(about.get_by_role("button", name="Edit")).to_have_count(0)
    assert visitor.heard == []
    await ana.button("Conference").click()
    await ben.write("Ben here, I know.")
    await visitor.until(lambda: visitor.heard == ["Ben here, I know."])
    await ana.button("Hand over").click()
    await expect(ana.row("Mira")).to_have_count(0)
    await ben.write("Now yours truly alone.")
    await visitor.until(lambda: len(visitor.heard) == 2)
    await ben.complete("Mira")
    await visitor.cut()


async def test_what_waits_can_be_taken_by_hand(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    visitor = await chat(house, name="Mira")
    await ana.page.get_by_text("Take from a queue").click()
    await ana.page.get_by_role("listitem").filter(has_text="Mira").get_by_role("button", name="Take").click()
    await ana.open("Mira")
    await visitor.cut()


async def test_the_desk_speaks_spanish(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.button("Settings").click()
    await ana.page.get_by_role("combobox", name="Language").select_option("Español")
    await ana.page.keyboard.press("Escape")
    await ana.button("Disponible").click()
    await expect(ana.page.get_by_role("main")).to_contain_text("Está disponible")
    assert await ana.page.evaluate("document.documentElement.lang") == "es"


@pytest.mark.long
async def test_signing_out_ends_the_offers(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    await ana.button("Settings").click()
    await ana.button("Sign out").click()
    await expect(ana.button("Sign in")).to_be_visible()
    _, shown = await house.get("/v1/agents/ana")
    assert shown["state"] == "not_ready"
    await ana.page.reload()
    await expect(ana.button("Sign in")).to_be_visible()


@pytest.mark.promise("MV-1")
async def test_what_a_gateway_cannot_do_is_not_offered_and_said(
    house: Daemon, new_page: NewPage, sign_in: SignIn
) -> None:
    """No gateway of the demo has such a limit; here the line says so, as the server does where there is one."""

    def laid(window: WebSocketRoute) -> None:
        def heard(message: str | bytes) -> None:
            said = json.loads(message)
            if said["type"] == "assigned":
                said["interaction"]["unable"] = ["hold", "consult"]
            window.send(json.dumps(said))

        window.connect_to_server().on_message(heard)

    page = await new_page()
    await page.route_web_socket(re.compile("/agent$"), laid)
    ana = Desk(page, house, "ana")
    await ana.sign_in()
    await ana.ready()
    status, _ = await phone(house.session, house.http, call_event("incoming", "limited"))
    assert status == 200
    await ana.offer().get_by_role("button", name="Accept").click()
    hold = ana.button("Hold")
    await expect(hold).to_be_disabled()
    await expect(hold).to_have_accessible_description(re.compile("cannot be put on hold"))
    await expect(page.get_by_text("This line cannot be put on hold.")).to_be_visible()
    await ana.button("Transfer").click()
    await expect(page.get_by_role("radio", name="Ask first")).to_be_disabled()
    await expect(page.get_by_text("Nobody can be brought into this call.")).to_be_visible()
    await phone(house.session, house.http, call_event("ended", "limited"))
