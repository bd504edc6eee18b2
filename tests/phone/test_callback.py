"""A caller is asked whether to call them back, by the answer to an event or by an order, and says yes with a digit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from channels.phone.calls import Ask, is_outdated, order_of
from router.engine import commands as c
from router.engine.events import Message
from router.engine.views import CallbackOffer, CallbackView
from router.errors import BadMessage, IllegalMove
from router.settings import from_data
from tests.phone.support import Phone, phone_channel, told
from tests.phone.test_orders import outbound, view

pytestmark = pytest.mark.promise("MV-5", "RT-11")

WORDS = "Press 1, and we call you back."
QUEUED = {"interaction": "i-1", "action": {"type": "queue"}}
NOTED = {"interaction": "i-1", "action": {"type": "none"}}
AGREED = {"interaction": "i-1", "action": {"type": "call_back"}}


@pytest.fixture
async def phone(tmp_path: Path) -> AsyncIterator[Phone]:
    """A call waits, and its caller was asked."""
    async with phone_channel(tmp_path) as channel:
        channel.desk.callback_offers[1] = CallbackOffer(WORDS)
        channel.desk.views[1] = replace(view("queued", ""), customer="tel:+493012345678")
        yield channel


def will_be_called(phone: Phone) -> None:
    """As the engine has it once somebody said yes."""
    phone.desk.callback_offers.clear()
    rest: dict[str, Any] = dict.fromkeys(("to", "first", "customer", "queue"), "")
    rest |= dict.fromkeys(("enqueued_at_ms", "due_at_ms", "until_ms", "attempts"), 0)
    callback = CallbackView(callback="c-1", state="on-line", interaction="i-1", **rest)
    phone.desk.callback_views["tel:+493012345678"] = callback


async def test_a_caller_who_is_asked_when_they_come_is_so_by_the_answer(phone: Phone) -> None:
    event = told("incoming")
    action = {"type": "offer_callback", "message": WORDS, "digit": "1"}
    assert await phone.answer(event) == {"interaction": "i-1", "action": action}
    assert await phone.answer(event) == {"interaction": "i-1", "action": action}, "told again, answered the same"


async def test_the_digit_says_yes_and_is_no_message(phone: Phone) -> None:
    await phone.answer(told("incoming"))
    phone.desk.commands.clear()
    event = told("dtmf", attributes={"digits": "1"})
    await phone.answer(event)
    (command,) = phone.desk.commands
    assert isinstance(command, c.RequestCallback)
    assert (command.thread, command.line, command.to) == ("phone.dev:call-1", "phone.dev:", "")
    will_be_called(phone)
    assert await phone.answer(event) == AGREED, "told again"
    assert await phone.answer(told("dtmf", attributes={"digits": "1"})) == AGREED, "pressed again"


async def test_another_digit_says_what_it_always_did(phone: Phone) -> None:
    await phone.answer(told("incoming"))
    phone.desk.commands.clear()
    assert await phone.answer(told("dtmf", attributes={"digits": "2"})) == NOTED
    (command,) = phone.desk.commands
    assert isinstance(command, c.Append)


async def test_whom_nobody_asked_says_nothing_with_it(phone: Phone) -> None:
    phone.desk.callback_offers.clear()
    assert await phone.answer(told("incoming")) == QUEUED
    assert await phone.answer(told("dtmf", attributes={"digits": "1"})) == NOTED
    assert isinstance(phone.desk.commands[-1], c.Append)


async def test_the_digit_is_the_gateways(tmp_path: Path) -> None:
    async with phone_channel(tmp_path, callback_digit="*") as phone:
        phone.desk.callback_offers[1] = CallbackOffer("")
        answer = await phone.answer(told("incoming"))
        assert answer["action"] == {"type": "offer_callback", "digit": "*"}
        await phone.answer(told("dtmf", attributes={"digits": "1"}))
        await phone.answer(told("dtmf", attributes={"digits": "*"}))
        asked = [type(command) for command in phone.desk.commands]
        assert asked == [c.Arrive, c.Append, c.RequestCallback]


async def test_a_caller_who_waits_is_asked_by_an_order(phone: Phone) -> None:
    letter = msgspec.structs.replace(outbound(phone, "callback-offered", endpoint=""), message=Message(WORDS), agent="")
    order = order_of(letter, "5")
    assert isinstance(order, Ask)
    assert (order.action, order.call_id, order.say, order.digit) == ("offer_callback", "call-1", WORDS, "5")


@pytest.mark.parametrize(("state", "outdated"), [("queued", False), ("offered", False), ("active", True)])
async def test_whom_somebody_answers_is_not_asked_any_more(phone: Phone, state: str, outdated: bool) -> None:
    assert is_outdated(outbound(phone, "callback-offered"), view(state, "")) is outdated


def test_a_gateway_that_cannot_ask_is_not_said_to_be_able_to() -> None:
    """Generic ones with a control address; the others have no such order."""
    gateways: dict[str, Any] = {
        "dev": {"secrets": ["dev-secret"], "control_url": "http://127.0.0.1:1/"},
        "deaf": {"secrets": ["dev-secret"]},
        "old": {"kind": "kamailio", "secrets": ["dev-secret"], "control_url": "http://127.0.0.1:1/"},
    }
    found = from_data(
        {"channels": {"phone": {}, "chat": {}, "email": {}}, "phone": {"gateways": gateways}, "chat": {}}
    ).config.channels
    assert {name: channel.asks for name, channel in found.items()} == {
        "phone": ("phone.dev:",),
        "chat": ("chat:",),
        "email": (),
    }


async def test_a_number_that_cannot_be_called_is_refused(phone: Phone) -> None:
    """Otherwise the customer would be called at another one than they said."""
    await phone.answer(told("incoming"))
    status, _ = await phone.tell(told("callback", attributes={"number": "nonsense"}))
    assert status == 422


async def test_a_caller_whose_number_is_withheld_is_not_promised_a_call(phone: Phone) -> None:
    await phone.answer(told("incoming", **{"from": "anonymous"}))
    phone.desk.refuse = lambda command: BadMessage("to: this caller has no number; say which one to call")
    status, _ = await phone.tell(told("callback"))
    assert status == 422


async def test_who_asks_once_more_is_answered_for_the_same_call(phone: Phone) -> None:
    await phone.answer(told("incoming"))
    assert await phone.answer(told("callback")) == NOTED
    will_be_called(phone)
    phone.desk.refuse = lambda command: IllegalMove("this customer is going to be called already")
    assert await phone.answer(told("callback")) == NOTED
    phone.desk.callback_views.clear()
    assert await phone.answer(told("callback")) == {"interaction": None, "action": {"type": "none"}}
