"""What an agent has begun to write is not lost by what they do themselves: they are asked first, and it is kept."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Locator, Route, expect

from tests.desk.conftest import NewPage, SignIn
from tests.desk.people import Desk
from tests.desk.test_access import look
from tests.desk.test_trouble import chat
from tests.system.clients import Visitor, every, letter, send_mail
from tests.system.daemon import Daemon

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.system]


async def with_mira(house: Daemon, sign_in: SignIn, **options: bool) -> tuple[Desk, Visitor]:
    ana = await sign_in("ana", **options)
    await ana.ready()
    visitor = await chat(house, name="Mira")
    await ana.accept("Mira")
    return ana, visitor


def question(desk: Desk) -> Locator:
    return desk.page.get_by_role("dialog", name="You have written something that was not sent")


async def focus(desk: Desk) -> str:
    return str(await desk.page.evaluate("document.activeElement.textContent"))


async def test_a_chat_with_half_a_reply_is_completed_only_after_asking(house: Daemon, sign_in: SignIn) -> None:
    ana, mira = await with_mira(house, sign_in, bypass_csp=True)
    await ana.writing().fill("I am looking into th")
    await ana.button("Complete").focus()
    for _ in range(2):  # once too often: the second press is the way back
        await ana.page.keyboard.press("Enter")
    await expect(question(ana)).to_have_count(0)
    await expect(ana.writing()).to_have_value("I am looking into th")
    await expect(ana.button("Complete")).to_be_focused()
    await ana.page.keyboard.press("Enter")
    await expect(question(ana)).to_contain_text("A reply to Mira")
    await look(ana, "unsent")
    await ana.page.keyboard.press("Escape")
    await expect(question(ana)).to_have_count(0)
    assert mira.state == "active"
    await ana.button("Complete").click()
    await question(ana).get_by_role("button", name="Complete without it").click()
    await expect(ana.button("Finish wrap-up")).to_be_visible()
    await ana.button("Finish wrap-up").click()
    await expect(ana.row("Mira")).to_have_count(0)
    assert mira.heard == []
    await mira.cut()


async def test_a_mail_is_sent_before_it_is_completed(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    await asyncio.to_thread(send_mail, house.smtp, letter("half-written"))
    await ana.accept("Eva")
    await ana.writing().fill("Dear Eva, it is on its way: 8271.")
    await ana.button("Complete").click()
    await question(ana).get_by_role("button", name="Send and complete").click()
    await expect(ana.button("Finish wrap-up").or_(ana.page.get_by_text("Nothing open"))).to_be_visible()
    outbox = house.data / "outbox"
    await every(0.05, lambda: any(b"it is on its way: 8271." in path.read_bytes() for path in outbox.glob("*.eml")))


async def test_what_was_refused_keeps_the_contact_open(house: Daemon, sign_in: SignIn) -> None:
    ana, mira = await with_mira(house, sign_in)
    await ana.writing().fill("x" * 100_000)
    await ana.button("Complete").click()
    await question(ana).get_by_role("button", name="Send and complete").click()
    await expect(ana.told("This is too long to send: at most")).to_be_visible()
    assert len(await ana.writing().input_value()) == 100_000
    assert mira.state == "active"
    await mira.cut()


async def test_a_file_on_its_way_up_belongs_to_the_reply(house: Daemon, sign_in: SignIn) -> None:
    ana, mira = await with_mira(house, sign_in)
    arrive = asyncio.Event()

    async def slow(route: Route) -> None:
        await arrive.wait()
        await route.continue_()

    await ana.page.route(re.compile("/v1/blobs"), slow)
    bill = {"name": "bill.txt", "mimeType": "text/plain", "buffer": b"9.99"}
    await ana.page.locator("input[type=file]").first.set_input_files(bill)  # type: ignore[arg-type]
    await ana.write("the bill")
    await expect(ana.page.get_by_text("Uploading bill.txt…")).to_be_visible()
    await expect(ana.button("Send")).to_be_disabled()
    await expect(ana.writing()).to_have_value("the bill")
    await ana.button("Complete").click()
    both = question(ana).get_by_role("button", name="Send and complete")
    await expect(both).to_be_disabled()
    arrive.set()
    await both.click()
    await mira.until(lambda: mira.state == "ended")
    assert mira.heard == ["the bill"]
    _, content = await house.get(f"/v1/interactions/{mira.interaction}/content")
    assert [file["name"] for file in content["messages"][-1]["attachments"]] == ["bill.txt"]
    await mira.cut()


async def test_a_note_is_asked_for_too_at_a_transfer_and_at_the_end_of_wrap_up(house: Daemon, sign_in: SignIn) -> None:
    ana, mira = await with_mira(house, sign_in)
    await ana.page.get_by_role("tab", name="Note").click()
    note = ana.page.get_by_role("textbox", name="Note", exact=True)
    await note.fill("she is abroad")
    await ana.button("Transfer").click()
    dialog = ana.page.get_by_role("dialog")
    await dialog.get_by_role("radio", name=re.compile("^sales")).check()
    await dialog.get_by_role("button", name="Transfer now").click()
    await expect(question(ana).get_by_role("button", name="Transfer without it")).to_be_visible()
    await question(ana).get_by_role("button", name="Go back").click()
    await expect(note).to_have_value("she is abroad")
    await mira.leave()
    await ana.button("Finish wrap-up").click()
    await question(ana).get_by_role("button", name="Add note and finish").click()
    await expect(ana.row("Mira")).to_have_count(0)
    _, content = await house.get(f"/v1/interactions/{mira.interaction}/content")
    assert [note["text"] for note in content["notes"]] == ["she is abroad"]
    await mira.cut()


async def test_one_button_stands_out_and_while_something_is_written_it_is_send(house: Daemon, sign_in: SignIn) -> None:
    ana, mira = await with_mira(house, sign_in)
    complete, send = ana.button("Complete"), ana.button("Send")
    await expect(complete).to_have_class(re.compile("primary"))
    await expect(send).not_to_have_class(re.compile("primary"))
    await ana.writing().fill("half")
    await expect(send).to_have_class(re.compile("primary"))
    await expect(complete).not_to_have_class(re.compile("primary"))
    await ana.writing().press("Enter")
    await expect(complete).to_have_class(re.compile("primary"))
    await mira.cut()


async def test_a_browser_that_keeps_nothing_is_asked_too(house: Daemon, new_page: NewPage, sign_in: SignIn) -> None:
    page = await new_page()
    await page.add_init_script("Storage.prototype.setItem = () => { throw new DOMException('full'); };")
    ana = Desk(page, house, "ana")
    await ana.sign_in()
    await ana.ready()
    mira = await chat(house, name="Mira")
    await ana.accept("Mira")
    await ana.writing().press_sequentially("half")
    await expect(ana.writing()).to_have_value("half")
    await ana.button("Complete").click()
    await question(ana).get_by_role("button", name="Send and complete").click()
    await mira.until(lambda: mira.heard == ["half"])
    await mira.cut()


async def test_who_signs_out_is_told_what_is_lost(house: Daemon, sign_in: SignIn) -> None:
    ana, mira = await with_mira(house, sign_in)
    await ana.writing().fill("half a sen")
    await ana.button("Settings").click()
    await ana.button("Sign out").click()
    await expect(ana.page.get_by_role("dialog")).to_contain_text("What you have begun to write is lost: Mira.")
    await ana.page.keyboard.press("Escape")
    await expect(ana.button("Settings")).to_be_focused()
    await expect(ana.writing()).to_have_value("half a sen")
    await mira.cut()


async def test_the_focus_goes_back_to_what_opened_a_dialog(house: Daemon, sign_in: SignIn) -> None:
    ana, mira = await with_mira(house, sign_in)
    for leave in ("Escape", "Cancel", "Escape"):
        await ana.button("Transfer").focus()
        await ana.page.keyboard.press("Enter")
        dialog = ana.page.get_by_role("dialog")
        await expect(dialog).to_be_visible()
        if leave == "Escape":
            await ana.page.keyboard.press("Escape")
        else:
            await dialog.get_by_role("button", name=leave).click()
        await expect(dialog).to_have_count(0)
        await expect(ana.button("Transfer")).to_be_focused()
    await ana.button("Transfer").click()
    await mira.leave()  # and the button is gone with the dialog
    await expect(ana.button("Finish wrap-up")).to_be_visible()
    await expect(ana.page.get_by_role("main")).to_be_focused()
    await mira.cut()


async def test_the_question_is_asked_in_spanish(house: Daemon, sign_in: SignIn) -> None:
    ana, mira = await with_mira(house, sign_in)
    await ana.button("Settings").click()
    await ana.page.get_by_role("combobox", name="Language").select_option("Español")
    await ana.page.keyboard.press("Escape")
    await ana.writing().fill("a medias")
    await ana.button("Completar").click()
    dialog = ana.page.get_by_role("dialog", name="Ha escrito algo que no se ha enviado")
    await expect(dialog.get_by_role("button")).to_have_text(["Volver", "Completar sin ello", "Enviar y completar"])
    await dialog.get_by_role("button", name="Enviar y completar").click()
    await mira.until(lambda: mira.heard == ["a medias"])
    await mira.cut()
