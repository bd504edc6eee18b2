"""People with accounts at the desk: a supervisor of one team reads along, whispers, joins, takes over and announces."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from playwright.async_api import expect

from tests.desk.conftest import NewPage, SignIn
from tests.desk.people import Desk
from tests.desk.test_trouble import chat
from tests.system.daemon import ROOT, Daemon

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.system]

PASSWORD = "correct horse battery"


def user(house: Daemon, *words: str, says: str = "") -> str:
    """`switchboard user ...` beside the running daemon."""
    command = [sys.executable, "-m", "router", "user", *words, "--data", str(house.data)]
    done = subprocess.run(command, input=says, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def account(house: Daemon, name: str, *options: str) -> None:
    known = user(house, "list", "--json")
    if f'"{name}"' not in known:
        user(house, "add", name, *options, "--password-stdin", says=PASSWORD + "\n")


async def acts(house: Daemon, who: str) -> list[tuple[str, str]]:
    _, page = await house.get(f"/v1/audit?who={who}")
    return [(act["act"], act["subject"]) for act in reversed(page["acts"])]


async def test_an_account_signs_in_at_the_desk_and_is_out_when_it_is_disabled(
    house: Daemon, new_page: NewPage, sign_in: SignIn
) -> None:
    account(house, "dora", "--role", "agent")
    dora = Desk(await new_page(), house, "dora")
    await dora.sign_in("not that password")
    await expect(dora.page.get_by_role("alert")).to_have_text(re.compile("do not belong together"))
    await dora.sign_in(PASSWORD)
    await dora.ready()
    assert PASSWORD not in await dora.page.evaluate("JSON.stringify(sessionStorage)")
    await dora.page.reload()
    await expect(dora.button("Not ready")).to_be_enabled()
    user(house, "disable", "dora")
    await expect(dora.page.get_by_role("alert")).to_have_text(re.compile("signed out|not valid any more"))
    user(house, "enable", "dora")


@pytest.mark.promise("OB-5")
async def test_a_supervisor_reads_along_whispers_joins_and_takes_over(
    house: Daemon, new_page: NewPage, sign_in: SignIn
) -> None:
    account(house, "lena", "--role", "supervisor", "--role", "agent", "--agent", "chen", "--team", "front")
    ana = await sign_in("ana")
    await ana.ready()
    visitor = await chat(house, name="Mira")
    await ana.accept("Mira")
    await visitor.say("m2", "My parcel is lost")
    await expect(ana.log()).to_contain_text("My parcel is lost")

    lena = Desk(await new_page(), house, "lena")
    await lena.sign_in(PASSWORD)
    await expect(lena.button("House")).to_have_count(0)
    await expect(lena.page.get_by_role("listitem").filter(has_text="Sam")).to_have_count(0)  # of another team
    await lena.page.get_by_role("combobox", name="Which").select_option("With an agent")
    await lena.page.get_by_role("button", name="Mira").click()
    item = lena.page.get_by_role("complementary")
    await expect(item).to_contain_text("My parcel is lost")
    await expect(ana.page.get_by_role("main")).not_to_contain_text("lena")  # nobody sees that she reads
    await item.get_by_label("Private note to the agent").fill("Offer her the express")
    await item.get_by_role("button", name="Send note").click()
    await expect(ana.told("lena wrote a note on Mira: Offer her the express")).to_be_visible()
    await expect(ana.page.get_by_role("complementary")).to_contain_text("Offer her the express")
    assert "express" not in str(visitor.heard)

    await item.get_by_role("button", name="Join").click()
    await expect(ana.page.get_by_text("Conference: chen and you speak with the customer.")).to_be_visible()
    await lena.open("Mira")
    await lena.write("I am the supervisor")
    await expect(ana.log()).to_contain_text("I am the supervisor")
    await lena.button("End").click()
    await expect(ana.page.get_by_text("Conference:")).to_have_count(0)

    await lena.button("Floor").click()
    await lena.page.get_by_role("button", name="Mira").click()
    await item.get_by_role("button", name="Take over").click()
    await lena.open("Mira")
    await expect(ana.row("Mira")).to_have_count(0)
    found = [act for act, _ in await acts(house, "supervisor:lena")]
    assert [act for act in found if act not in ("sign-in", "read")] == ["note", "join", "take"]
    assert "read" in found
    await visitor.cut()


async def test_a_word_to_all_stays_until_it_is_read(house: Daemon, new_page: NewPage, sign_in: SignIn) -> None:
    account(house, "lena", "--role", "supervisor", "--role", "agent", "--agent", "chen", "--team", "front")
    ana, dora = await sign_in("ana"), await sign_in("dora")
    lena = Desk(await new_page(), house, "lena")
    await lena.sign_in(PASSWORD)
    await lena.page.get_by_label("To all your agents").fill("<b>Lunch</b> is here")
    await lena.button("Announce").click()
    await expect(ana.told("<b>Lunch</b> is here")).to_be_visible()
    await ana.page.reload()
    await expect(ana.told("<b>Lunch</b> is here")).to_be_visible()
    await ana.button("Read").click()
    await expect(ana.told("<b>Lunch</b> is here")).to_have_count(0)
    await expect(dora.told("<b>Lunch</b> is here")).to_have_count(0)  # of the other team


async def test_an_operator_tries_a_configuration_and_applies_it(house: Daemon, sign_in: SignIn) -> None:
    sam = await sign_in("sam")
    await sam.button("House").click()
    text = sam.page.get_by_role("textbox", name="Configuration")
    await expect(text).to_have_value(re.compile('"queues"'))
    before = await text.input_value()
    await text.fill(before.replace('"weight": 1.5', '"weight": "heavy"'))
    await sam.button("Try without effect").click()
    await expect(sam.page.get_by_role("alert")).to_contain_text("queues.sales.weight")
    await text.fill(before.replace('"weight": 1.5', '"weight": 2.5'))
    await expect(sam.button("Apply")).to_be_disabled()  # what was not tried is not applied
    await sam.button("Try without effect").click()
    await expect(sam.page.get_by_text("This can be applied.")).to_be_visible()
    assert '"weight":1.5' in str(await house.get("/v1/config")).replace("'", '"').replace(": ", ":")
    await sam.button("Apply").click()
    await expect(sam.page.get_by_text("Applied: version")).to_be_visible()
    await text.fill(before)
    await sam.button("Try without effect").click()
    await expect(sam.button("Apply")).to_be_enabled()
    await sam.button("Apply").click()
    await expect(sam.page.get_by_text("Applied: version")).to_be_visible()
