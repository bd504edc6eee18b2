"""A day in miniature at the desk: every channel, two agents, each in a browser of their own."""

from __future__ import annotations

import asyncio
import random
import re
import uuid
from email import message_from_bytes
from typing import Any

import pytest
from playwright.async_api import expect

from tests.desk.conftest import NewPage, SignIn
from tests.desk.people import Desk
from tests.system.clients import Visitor, call_event, check_in, drop, every, letter, phone, scan, send_mail
from tests.system.daemon import Daemon

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.system]


async def call(house: Daemon, kind: str, name: str, **more: Any) -> None:
    status, answer = await phone(house.session, house.http, call_event(kind, name, **more))
    assert status == 200, answer


@pytest.mark.promise("IN-1")
async def test_every_channel_is_answered_at_the_desk(house: Daemon, sign_in: SignIn) -> None:
    ana, ben = await asyncio.gather(sign_in("ana"), sign_in("ben"))
    before = await closed(house)
    await ana.ready()
    await ben.ready()
    await a_call(house, ana)
    await a_walk_in(house, ben)
    await a_chat(house, ana)
    await a_mail(house, ana)
    await a_scan(house, ana)
    ended = [one for name, one in (await closed(house)).items() if name not in before]
    assert {one["reason"] for one in ended} == {"completed"}
    assert sorted(one["channel"] for one in ended) == ["chat", "email", "fax", "phone", "walkin"]
    assert {one["agent"] for one in ended if one["channel"] == "walkin"} == {"ben"}


async def closed(house: Daemon) -> dict[str, Any]:
    return {one["id"]: one for one in await house.interactions("closed")}


async def a_call(house: Daemon, ana: Desk) -> None:
    """In Spanish, which Ben does not speak. The desk shows when the line stands, and that it is held."""
    await call(house, "incoming", "c1", attributes={"language": "es", "tier": "gold"})
    offer = ana.offer("+12025550123")
    await expect(offer).to_contain_text("Spanish")
    await ana.accept("+12025550123")
    await call(house, "answered", "c1")
    await expect(ana.log()).to_contain_text("Connected")
    await expect(ana.page.get_by_role("complementary")).to_contain_text("gold")
    await ana.button("Hold").click()
    await expect(ana.log()).to_contain_text("On hold")
    await ana.button("Resume").click()
    await expect(ana.log()).to_contain_text("Connected")
    await ana.complete("+12025550123")


async def a_walk_in(house: Daemon, ben: Desk) -> None:
    status, visit = await check_in(house.session, house.http, uuid.uuid4().hex, "sales")
    assert status == 200
    await ben.accept("Eva")
    await ben.page.get_by_role("combobox", name="Outcome").select_option("Solved")
    await ben.page.get_by_role("textbox", name="Closing note").fill("bought two")
    await ben.complete("Eva")
    whole = await house.interaction(visit["interaction"])
    assert whole["disposition"] == "solved"
    assert [note["text"] for note in whole["notes"]] == ["bought two"]


async def a_chat(house: Daemon, ana: Desk) -> None:
    visitor = Visitor(house.socket)
    await visitor.hello(language="es")
    await visitor.say("m1", "¿Dónde está mi paquete?")
    await ana.accept()
    await expect(ana.log()).to_contain_text("¿Dónde está mi paquete?")
    await ana.write("Un momento, por favor.")
    await visitor.until(lambda: visitor.heard == ["Un momento, por favor."])
    await expect(ana.log()).to_contain_text("Un momento, por favor.")
    await visitor.say("m2", "Gracias")
    await expect(ana.log().get_by_role("listitem")).to_have_count(3)
    await ana.complete("Customer")
    await visitor.until(lambda: visitor.state == "ended")
    await visitor.cut()


async def a_mail(house: Daemon, ana: Desk) -> None:
    await asyncio.to_thread(send_mail, house.smtp, letter("eva", text="Where is it?\n\n> You wrote:\n> on Monday"))
    await ana.accept("Eva")
    await expect(ana.log()).to_contain_text("Where is it?")
    quoted = ana.log().get_by_role("group").filter(has_text="on Monday")
    await expect(quoted).not_to_have_attribute("open", "")
    await quoted.get_by_text("Quoted text").click()
    await expect(quoted).to_have_attribute("open", "")
    async with ana.page.expect_file_chooser() as chooser:
        await ana.button("Attach a file").click()
    await (await chooser.value).set_files({"name": "map.txt", "mimeType": "text/plain", "buffer": b"second left"})
    await expect(ana.button("Remove map.txt")).to_be_visible()
    await ana.writing().fill("On its way, see the map.")
    await ana.button("Send").click()
    await expect(ana.button("Download map.txt")).to_be_visible()
    async with ana.page.expect_download() as download:
        await ana.button("Download map.txt").click()
    assert (await (await download.value).path()).read_bytes() == b"second left"
    await ana.complete("Eva")
    outbox = house.data / "outbox"
    await every(0.05, lambda: outbox.is_dir() and any(outbox.rglob("*.eml")))
    (sent,) = outbox.rglob("*.eml")  # the only mail that is answered in these tests
    reply = message_from_bytes(sent.read_bytes())
    assert "eva@example.org" in str(reply["To"])
    assert "map.txt" in {part.get_filename() for part in reply.walk()}


async def a_scan(house: Daemon, ana: Desk) -> None:
    drop(house.data / "drop" / "fax", "order.png", scan(random.Random(4)))
    await ana.accept("order.png")
    picture = ana.log().get_by_role("img", name="order.png")
    await expect(picture).to_be_visible()
    assert await picture.evaluate("one => [one.naturalWidth, one.naturalHeight]") == [16, 16]
    await ana.button("Turn the picture").click()
    await expect(picture).to_have_class("turn-90")
    await ana.page.get_by_role("textbox", name="Note", exact=True).fill("filed under 4711")
    await ana.button("Add note").click()
    await expect(ana.page.get_by_role("complementary")).to_contain_text("filed under 4711")
    await ana.complete("order.png")


async def test_a_newcomer_follows_the_terminal_to_a_first_answered_customer(house: Daemon, new_page: NewPage) -> None:
    said = (house.data.parent / f"{house.data.name}.out").read_text()
    address = re.search(r"Open this address: (\S+)\n", said)
    signing = re.search(r"Sign in as (\w+) with the token (\S+) and press (\w+)", said)
    kiosk = re.search(r"open (\S+) in another window and press (\w+)", said)
    assert address is not None
    assert signing is not None
    assert kiosk is not None
    page = await new_page()
    await page.goto(address[1])
    await page.get_by_label("Name").fill(signing[1])
    await page.get_by_label("Token").fill(signing[2])
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("button", name=signing[3], exact=True).click()
    await expect(page.get_by_text("You are ready")).to_be_visible()
    visitor = await page.context.new_page()
    await visitor.goto(kiosk[1])
    await visitor.get_by_role("button", name=kiosk[2]).click()
    await page.get_by_role("button", name="Accept").click()
    await page.get_by_role("button", name="Complete").click()
    await page.get_by_role("button", name="Finish wrap-up").click()
    await expect(page.get_by_text("Nothing open")).to_be_visible()
    await page.get_by_role("button", name="Not ready", exact=True).click()
    await expect(page.get_by_role("button", name="Ready", exact=True)).to_be_enabled()
