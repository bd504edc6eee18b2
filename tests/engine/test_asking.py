"""Instead of turning somebody away, or letting them wait for too long, they are asked whether to call them back."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Channel, Config, Resort, Step, Unservable
from router.engine.lookups import callback_of, callback_offer, refusal
from router.engine.plan import check_config
from router.engine.requirements import Node
from router.errors import BadMessage, ConfigError, IllegalMove, NotSupported
from tests.engine.support.office import EVERY_ACTION, OFFICE, Office, happened, office_with, seconds

pytestmark = pytest.mark.promise("RT-11", "MV-5")

LINE = "phone.dev:"
ASK = Resort("callback", message="Press 1, and we call you back.")
ASKED = (*EVERY_ACTION, "called", "callback-offered")
KIM = "+15550199"


def shop(**support: Any) -> Config:
    """Calls of the gateway `dev` can be asked and called; visitors of the chat can be asked; mail is never ended."""
    channels = {
        "phone": Channel(exclusive=True, actions=ASKED, calls=(LINE,), asks=(LINE,)),
        "chat": Channel(cap=2, asks=("chat:",)),
        "email": Channel(lasting=True),
        "kiosk": Channel(),
    }
    return office_with(replace(OFFICE, channels=channels), **support)


FULL = shop(max_length=1, when_full=ASK)
LATE = shop(max_wait=seconds(60), when_overdue=ASK)
NOBODY = shop(nobody_grace=seconds(30), when_nobody=ASK)


def call(office: Office, name: str = "1", gateway: str = LINE, number: str = KIM) -> int:
    who = (f"tel:{number}",) if number else ()
    return office.arrive("phone", threads=(f"{gateway}{name}",), sender=number, identities=who)


def visitor(office: Office, name: str = "v") -> int:
    return office.arrive("chat", threads=(f"chat:{name}",), identities=(f"visitor:{name}",))


def asked(office: Office, number: int) -> str | None:
    offer = callback_offer(office.state, number)
    return offer.message if offer is not None else None


# --- when -------------------------------------------------------------------------------------------------------------


def test_who_comes_to_a_full_queue_is_asked_and_waits_on() -> None:
    office = Office(FULL)
    first = call(office, "1", number="+15550101")
    assert asked(office, first) is None
    out = office.do(c.Arrive(channel="phone", threads=(f"{LINE}2",), identities=(f"tel:{KIM}",), sender=KIM))
    assert out.events[1:] == [e.CallbackOffered(2, "queue-full", "Press 1, and we call you back.", True)]
    assert office.state_of(2) == "queued"
    assert asked(office, 2) == "Press 1, and we call you back."
    assert refusal(office.state, 2) is None


def test_whoever_brought_them_is_answered_so_and_gets_no_order() -> None:
    office = Office(FULL)
    call(office, "1")
    call(office, "2", number="+15550101")
    assert not office.state.outbound


def test_who_has_waited_for_too_long_is_asked_once() -> None:
    office = Office(LATE)
    number = call(office)
    assert happened(office.pass_s(59.999), e.CallbackOffered) == []
    assert happened(office.pass_s(0.001), e.CallbackOffered) == [
        e.CallbackOffered(number, "max-wait", "Press 1, and we call you back.")
    ]
    assert happened(office.pass_s(3_600), e.CallbackOffered) == []
    assert [(x.action, x.message.text) for x in office.state.outbound.values() if x.message] == [
        ("callback-offered", "Press 1, and we call you back.")
    ]


def test_each_is_asked_at_their_own_time() -> None:
    office = Office(LATE)
    numbers = []
    for n in range(4):
        numbers.append(call(office, str(n), number=f"+1555010{n}"))
        office.pass_s(10)
    found = [happened(office.pass_s(20 if n == 0 else 10), e.CallbackOffered) for n in range(4)]
    assert [[event.interaction for event in events] for events in found] == [[number] for number in numbers]


def test_a_queue_sleeps_between_those_who_are_to_be_asked() -> None:
    """With somebody who was asked and waits on, nothing is due until the next one is."""
    office = Office(LATE)
    call(office)
    office.pass_s(50)
    call(office, "2", number="+15550101")
    office.sleep_s(10)
    second_due = office.now_ms + 50_000
    office.sleep_s(2)
    assert office.engine.next_deadline_ms() == second_due


def test_who_comes_with_a_wait_that_is_too_long_already_is_asked_at_once() -> None:
    office = Office(LATE)
    office.do(
        c.Arrive(
            channel="phone",
            threads=(f"{LINE}1",),
            identities=(f"tel:{KIM}",),
            sender=KIM,
            received_at_ms=office.now_ms - 100_000,
        )
    )
    assert asked(office, 1) is not None


def test_who_comes_back_from_an_agent_is_asked_when_they_have_waited_since() -> None:
    office = Office(LATE, ready=("ana",))
    number = call(office)
    office.accept(number)
    office.pass_s(100)
    office.do(c.FailConnection(thread=office.thread(number)))
    office.pause("ana")
    assert asked(office, number) is None
    office.sleep_s(59.999)
    assert asked(office, number) is None
    office.sleep_s(0.001)
    assert asked(office, number) is not None


def test_the_rule_of_another_configuration_holds_for_who_waits() -> None:
    office = Office(shop())
    number = call(office)
    office.pass_s(100)
    out = office.configure(LATE)
    assert [event.interaction for event in happened(out, e.CallbackOffered)] == [number]


def test_after_a_restart_they_are_asked_who_are_late_by_now() -> None:
    office = Office(LATE)
    number = call(office)
    office.now_ms += 100_000
    office.checked.restart(office.now_ms)
    office.pass_s(0)
    assert asked(office, number) is not None


def test_when_nobody_is_there_all_who_wait_and_all_who_come_are_asked() -> None:
    office = Office(NOBODY, ready=("ana", "ben"))
    office.pause("ana")
    office.pause("ben")
    first = call(office)
    office.sign_out("ana")
    office.sign_out("ben")
    assert asked(office, first) is None
    office.sleep_s(30)
    assert asked(office, first) is not None
    assert asked(office, call(office, "2", number="+15550101")) is not None


# --- whom -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gateway", "number"), [("phone.old:", KIM), (LINE, "")])
def test_who_cannot_be_asked_or_not_be_called_is_turned_away_as_ever(gateway: str, number: str) -> None:
    """By a gateway that cannot, or without a number."""
    office = Office(FULL)
    call(office, "1")
    turned = call(office, "2", gateway, number)
    assert office.state_of(turned) == "closed"
    told = refusal(office.state, turned)
    assert told is not None
    assert (told.reason, told.message) == ("queue-full", "Press 1, and we call you back.")


def test_a_channel_that_asks_nobody_turns_them_away_and_mail_waits_on() -> None:
    office = Office(FULL)
    call(office, "1")
    assert office.state_of(office.arrive("kiosk")) == "closed"
    mail = office.arrive("email")
    assert office.state_of(mail) == "queued"
    assert not office.item(mail).callback_offered


def test_a_visitor_is_asked_only_where_somebody_can_call_them() -> None:
    channels = {**FULL.channels, "phone": replace(FULL.channels["phone"], calls=(), asks=())}
    office = Office(replace(FULL, channels=channels))
    visitor(office, "a")
    assert office.state_of(visitor(office, "b")) == "closed"


@pytest.mark.parametrize(
    "support",
    [
        {"relax": (Step(after=seconds(10), callback=True),)},
        {"unservable": Unservable("callback", seconds(10)), "requirement": Node(skill="spanish")},
    ],
)
def test_nobody_is_asked_on_a_line_that_nobody_is_on(support: dict[str, Any]) -> None:
    """A plan's step, or the policy for what nobody serves, comes for a customer who is going to be called."""
    office = Office(shop(**support))
    office.do(c.RequestCallback(to=KIM, channel="phone", queue="support", by="operator:sam"))
    office.sleep_s(1)
    attempt = max(office.state.interactions)
    assert office.item(attempt).born.direction == "callback"
    office.sleep_s(60)
    assert not office.item(attempt).callback_offered
    assert office.item(attempt).waits


def test_a_callback_that_is_owed_is_not_asked_about() -> None:
    office = Office(LATE)
    number = call(office)
    office.do(c.RequestCallback(thread=office.thread(number), line=LINE))
    office.do(c.Leave(thread=office.thread(number)))
    assert happened(office.pass_s(200), e.CallbackOffered) == []


def test_who_takes_it_back_on_the_line_waits_as_any_other() -> None:
    """Their callback is cancelled while they still wait: then the rule is for them, too."""
    office = Office(LATE)
    number = call(office)
    office.do(c.RequestCallback(thread=office.thread(number), line=LINE))
    office.pass_s(100)
    out = office.do(c.CancelCallback(callback=1, by="operator:sam"))
    assert [event.interaction for event in happened(out, e.CallbackOffered)] == [number]


# --- saying yes -------------------------------------------------------------------------------------------------------


def test_a_caller_who_says_yes_and_hangs_up_keeps_the_place() -> None:
    office = Office(LATE)
    number = call(office)
    came = office.item(number).enqueued_at_ms
    office.pass_s(60)
    office.do(c.RequestCallback(thread=office.thread(number), line=LINE))
    assert asked(office, number) is None, "it is settled"
    office.do(c.Leave(thread=office.thread(number)))
    assert (office.state_of(number), office.item(number).enqueued_at_ms) == ("queued", came)


def said_yes(**more: Any) -> tuple[Office, int, int]:
    """A visitor waits for too long, is asked, and wants to be called; their chat, and when they came."""
    office = Office(LATE)
    number = visitor(office)
    came = office.now_ms
    office.pass_s(60)
    office.do(c.RequestCallback(thread=office.thread(number), to=KIM, **more))
    return office, number, came


def test_a_visitor_who_says_yes_is_called_with_the_place_of_the_chat() -> None:
    office, number, came = said_yes()
    assert (office.state_of(number), office.item(number).reason) == ("closed", "callback")
    office.pass_s(0)
    attempt = office.item(number + 1)
    assert (attempt.born.channel, attempt.born.sender, attempt.enqueued_at_ms) == ("phone", KIM, came)
    assert attempt.born.follows == number
    office.ready("ana")
    office.accept(attempt.number)
    letter = next(x for x in office.state.outbound.values() if x.action == "called")
    assert letter.sender == KIM


def test_a_visitor_may_ask_for_a_later_time() -> None:
    office, number, came = said_yes(not_before_ms=1_000_000 + 3_600_000)
    office.pass_s(0)
    assert number + 1 not in office.state.interactions
    office.sleep_s(3_600)
    assert office.item(number + 1).enqueued_at_ms == came


def test_a_visitor_who_comes_back_before_takes_the_place_along() -> None:
    office, number, came = said_yes()
    office.pass_s(0)
    again = visitor(office)
    assert office.item(again).enqueued_at_ms == came
    assert office.item(number + 1).reason == "merged"
    found = callback_of(office.state, "visitor:v")
    assert found is not None
    assert (found.state, found.interaction) == ("resting", f"i-{again}")


def test_a_customer_with_a_number_need_not_say_it() -> None:
    office = Office(LATE)
    number = office.arrive("chat", threads=("chat:v",), identities=("visitor:v", f"tel:{KIM}"))
    office.do(c.RequestCallback(thread=office.thread(number)))
    assert office.state.callbacks[1].to == KIM


def test_a_visitor_without_one_must() -> None:
    office = Office(LATE)
    number = visitor(office)
    with pytest.raises(BadMessage, match="say which number to call"):
        office.do(c.RequestCallback(thread=office.thread(number)))
    assert office.state_of(number) == "queued"


def test_where_nobody_can_call_a_visitor_is_refused() -> None:
    office = Office(OFFICE)
    number = visitor(office)
    with pytest.raises(NotSupported):
        office.do(c.RequestCallback(thread=office.thread(number), to=KIM))


def test_whom_an_agent_has_already_need_not_be_called() -> None:
    office = Office(LATE, ready=("ana",))
    number = visitor(office)
    office.accept(number)
    with pytest.raises(IllegalMove):
        office.do(c.RequestCallback(thread=office.thread(number), to=KIM))


def test_what_is_being_offered_is_taken_back_from_the_agent() -> None:
    office = Office(LATE, ready=("ana",))
    number = visitor(office)
    assert office.offered_to(number) == ["ana"]
    out = office.do(c.RequestCallback(thread=office.thread(number), to=KIM))
    assert [event.reason for event in happened(out, e.OfferWithdrawn)] == ["callback"]


# --- a configuration that contradicts itself --------------------------------------------------------------------------


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize("field", ["when_closed", "when_closing", "when_emergency"])
def test_out_of_hours_nobody_is_asked(field: str) -> None:
    """They would wait on, and nobody is there: an end or another queue is what is meant."""
    with pytest.raises(ConfigError, match=rf"queues\.support\.{field}\.do: expected \"keep\", \"end\" or \"move\""):
        check_config(shop(**{field: ASK}))
