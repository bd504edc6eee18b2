"""What the house wrote for a queue, and what a customer came with before."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, expect

from tests.desk.conftest import SignIn
from tests.desk.people import Desk
from tests.desk.test_trouble import chat
from tests.system.clients import Visitor
from tests.system.daemon import Daemon

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.system]


async def test_script_guidelines_and_templates_stand_beside_the_conversation(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    visitor = await chat(house, name="Mira")
    await ana.accept("Mira")
    side = ana.page.get_by_role("complementary")
    await expect(side).to_contain_text("Say your name and ask for theirs.")
    await expect(side).to_contain_text("Promise no date that the carrier has not confirmed.")
    await expect(ana.log().get_by_text("0", exact=True)).to_have_count(0)  # nothing of ours yet: no mark, and no number
    await ana.writing().fill("Good morning.")
    await ana.page.get_by_role("combobox", name="Templates").select_option("Greeting")
    await expect(ana.writing()).to_have_value("Good morning.\n\nHello Mira, this is Ana. How can I help you?")
    await visitor.cut()


async def test_what_a_customer_came_with_before_is_shown_with_its_notes(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    visitor = await chat(house, name="Noor")
    await ana.accept("Noor")
    await ana.page.get_by_role("textbox", name="Closing note").fill("sent a new parcel")
    await ana.page.get_by_role("combobox", name="Outcome").select_option("Solved")
    await ana.complete("Noor")
    await visitor.cut()
    again = Visitor(house.socket)
    again.token = visitor.token
    await again.hello()
    await again.say("n1", "the new one is broken")
    await ana.accept()
    await expect(ana.log()).to_contain_text("the new one is broken")
    before = ana.page.get_by_role("region", name="Before")
    await expect(before).to_contain_text("sent a new parcel")
    await expect(before).to_contain_text("Ana · Solved")
    await again.cut()


async def test_no_call_is_promised_where_no_gateway_can_make_it(house: Daemon, sign_in: SignIn) -> None:
    """No gateway of the demo takes that order; where one does, `tests/accounts/test_asking.py` goes on."""
    ana = await sign_in("ana")
    await ana.ready()
    visitor = await chat(house, name="Mira")
    await ana.accept("Mira")
    await expect(ana.page.get_by_text("Promise a call")).to_have_count(0)
    await visitor.cut()


def card(desk: Desk) -> Locator:
    return desk.page.get_by_role("region", name="About the customer")


@pytest.mark.promise("IN-6")
async def test_what_an_agent_writes_of_a_customer_is_there_the_next_time(house: Daemon, sign_in: SignIn) -> None:
    ana = await sign_in("ana")
    await ana.ready()
    visitor = await chat(house, name="Olu")
    await ana.accept("Olu")
    await card(ana).get_by_role("button", name="Edit").click()
    await card(ana).get_by_label("Company").fill("<b>ACME</b>")
    await ana.page.reload()
    await expect(card(ana).get_by_label("Company")).to_have_value("<b>ACME</b>")  # half written, and not lost
    await card(ana).get_by_role("button", name="Save").click()
    await expect(card(ana).get_by_role("definition")).to_have_text("<b>ACME</b>")
    await card(ana).get_by_text("Changes").click()
    await expect(card(ana)).to_contain_text("Company: nothing → <b>ACME</b>")
    _, page = await house.get("/v1/audit?who=agent:ana")
    assert any(act["act"] == "customer" and act["detail"] == "company" for act in page["acts"])

    number = (await house.interactions("active"))[0]["id"]
    operator = {"Authorization": "Bearer dev-operator"}
    at = f"{house.http}/v1/desk/customers/{number}"
    await card(ana).get_by_role("button", name="Edit").click()
    await card(ana).get_by_label("Remarks").fill("prefers mornings")
    async with house.session.post(at, headers=operator, json={"version": 1, "fields": {"name": "Olu O."}}) as answer:
        assert answer.status == 200
    await card(ana).get_by_role("button", name="Save").click()
    await expect(card(ana).get_by_role("alert")).to_contain_text("Somebody changed this meanwhile")
    await expect(card(ana).get_by_role("definition").first).to_have_text("Olu O.")
    await card(ana).get_by_role("button", name="Save").click()
    await expect(card(ana).get_by_text("prefers mornings", exact=True)).to_be_visible()
    await ana.complete("Olu")
    await visitor.cut()

    again = Visitor(house.socket)
    again.token = visitor.token
    await again.hello()
    await again.say("n1", "hello again")
    await ana.accept()
    await expect(card(ana)).to_contain_text("prefers mornings")
    await again.cut()
