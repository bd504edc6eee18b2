"""What programs write is recorded and shown, and is work for nobody unless the queue wants it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Channel, Config, Rule
from router.engine.events import Message
from router.engine.requirements import Node
from tests.engine.support.office import OFFICE, Office, arrived, given, office_with, seconds

KINDS = ("bounce", "report", "auto-reply", "list", "loop")
LOST = Message("Not delivered to kim@example.org (550 5.1.1 no such user)")


def mail(*threads: str, automatic: str = "", message: Message | None = None) -> c.Arrive:
    names = threads or ("mail:new",)
    return c.Arrive(channel="email", threads=names, automatic=automatic, message=message or Message("hm"))


@pytest.mark.promise("RT-11")
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_program_wrote_is_recorded_and_offered_to_nobody(kind: str) -> None:
    office = Office(ready=("ana",))
    number = office.do(mail(automatic=kind)).reply.interaction
    item = office.item(number)
    assert (office.state_of(number), item.reason) == ("closed", "automatic")
    assert office.state.offers == {}


@pytest.mark.promise("RT-11")
@pytest.mark.parametrize("kind", KINDS)
def test_a_queue_that_wants_it_gets_it_like_any_contact(kind: str) -> None:
    office = Office(office_with(automatic=(kind,)), ready=("ana",))
    number = office.do(mail(automatic=kind)).reply.interaction
    assert office.state_of(number) == "offered"


def test_what_belongs_to_an_open_contact_joins_it_and_is_not_the_customers_word() -> None:
    given(arrived(1)).when(mail("mail:9", "mail:1", automatic="auto-reply")).then(
        e.MessageAdded(1, "system", Message("hm"), threads=("mail:9", "mail:1"))
    )


def test_an_answer_that_did_not_arrive_marks_the_contact_that_is_going_on() -> None:
    office = Office(ready=("ana",))
    number = office.do(mail("mail:1")).reply.interaction
    office.accept(number)
    told = office.do(mail("mail:9", "mail:1", automatic="undelivered", message=LOST))
    assert told.reply.interaction == number
    item = office.item(number)
    assert [(said.author, said.message) for said in item.said or ()] == [("system", LOST)]
    assert [remark.text for remark in item.remarks or ()] == [LOST.text]
    assert item.owner == "ana"


def test_an_answer_that_did_not_arrive_marks_the_contact_that_is_over_and_is_work_that_follows_it() -> None:
    office = Office(ready=("ana",))
    first = office.do(mail("mail:1")).reply.interaction
    office.accept(first)
    office.complete(first)
    second = office.do(mail("mail:9", "mail:1", automatic="undelivered", message=LOST)).reply.interaction
    assert [remark.text for remark in office.item(first).remarks or ()] == [LOST.text]
    assert office.item(second).born.follows == first
    assert office.state_of(second) == "offered"


def test_a_queue_can_do_without_the_work_but_not_without_the_mark() -> None:
    office = Office(office_with(automatic=()), ready=("ana",))
    first = office.do(mail("mail:1")).reply.interaction
    office.accept(first)
    office.complete(first)
    second = office.do(mail("mail:9", "mail:1", automatic="undelivered", message=LOST)).reply.interaction
    assert office.state_of(second) == "closed"
    assert [remark.text for remark in office.item(first).remarks or ()] == [LOST.text]


SENDS = replace(OFFICE, channels={**OFFICE.channels, "email": Channel(actions=("message",), lasting=True)})
REFUSED = "550 5.1.1 no such user"


def answered_in_vain(config: Config = SENDS) -> tuple[Office, int, int]:
    """Ana has answered and is done with it; the answer is on its way. The office, the contact and the letter."""
    office = Office(config, ready=("ana",))
    first = office.do(c.Arrive(channel="email", threads=("mail:1",), sender="kim@example.org")).reply.interaction
    office.accept(first)
    office.do(c.Say(agent="ana", interaction=first, message=Message("It is on its way.")))
    office.complete(first)
    (letter,) = [one.outbound for one in office.state.outbound.values() if one.action == "message"]
    return office, first, letter


def given_up(office: Office, letter: int) -> list[int]:
    """The contacts that came of it."""
    out = office.do(c.FailOutbound(outbound=letter, error=REFUSED))
    return [event.interaction for event in out.events if isinstance(event, e.InteractionArrived)]


def test_an_answer_that_was_given_up_is_work_that_follows_the_contact_that_is_over() -> None:
    office, first, letter = answered_in_vain()
    (second,) = given_up(office, letter)
    born = office.item(second).born
    assert (born.follows, born.sender, born.queue) == (first, "kim@example.org", "support")
    assert born.message == Message(f"Not delivered to kim@example.org ({REFUSED})")
    assert office.state_of(second) == "offered"


def test_it_asks_for_what_was_asked_for_where_the_contact_was_last() -> None:
    by_rule = Rule("strict", "sales", to=("sales",), requirement=Node(skill="sales", level=4))
    office = Office(replace(SENDS, rules=(by_rule,)), ready=("ana",))
    first = office.do(c.Arrive(channel="email", threads=("mail:1",), recipient="sales")).reply.interaction
    office.do(c.Transfer(interaction=first, to=c.Target(queue="support"), by="operator:sam"))
    office.accept(first)
    office.do(c.Say(agent="ana", interaction=first, message=Message("It is on its way.")))
    office.complete(first)
    (letter,) = [one.outbound for one in office.state.outbound.values() if one.action == "message"]
    (second,) = given_up(office, letter)
    assert (office.item(second).born.queue, office.offered_to(second)) == ("support", ["ana"])


def test_while_somebody_has_that_work_another_failure_makes_no_more() -> None:
    office, _, letter = answered_in_vain()
    (second,) = given_up(office, letter)
    office.do(c.RetryOutbound(outbound=letter, by="operator:sam"))
    assert given_up(office, letter) == []
    office.accept(second)
    office.complete(second)
    office.do(c.RetryOutbound(outbound=letter, by="operator:sam"))
    assert len(given_up(office, letter)) == 1, "they tried again, and the customer has no answer still"


def test_an_answer_that_was_given_up_before_the_contact_is_over_makes_no_second_one() -> None:
    office = Office(SENDS, ready=("ana",))
    number = office.arrive()
    office.accept(number)
    office.do(c.Say(agent="ana", interaction=number, message=Message("Where do you live?")))
    (letter,) = office.state.outbound
    assert given_up(office, letter) == []


ENDED_BY_RULES = replace(SENDS, channels=OFFICE.channels | {"email": Channel(actions=("message",))})


@pytest.mark.parametrize("config", [office_with(SENDS, automatic=()), ENDED_BY_RULES])
def test_no_work_follows_where_the_queue_does_without_or_nobody_can_be_written_to(config: Config) -> None:
    office, _, letter = answered_in_vain(config)
    assert given_up(office, letter) == []


@pytest.mark.promise("IN-3")
def test_the_same_bounce_twice_is_one() -> None:
    office = Office(ready=("ana",))
    number = office.do(mail("mail:1")).reply.interaction
    ask = c.Arrive(channel="email", key="mail:b", threads=("mail:9", "mail:1"), automatic="undelivered", message=LOST)
    assert office.do(ask).reply.interaction == office.do(ask).reply.interaction == number
    assert len(office.item(number).remarks or ()) == 1


def test_a_customer_who_answers_an_automatic_mail_is_a_new_contact() -> None:
    office = Office(ready=("ana",))
    first = office.do(mail("mail:9", automatic="list")).reply.interaction
    second = office.do(mail("mail:10", "mail:9")).reply.interaction
    assert (office.item(second).born.follows, office.state_of(second)) == (first, "offered")


# --- who had it before ------------------------------------------------------------------------------------------------


@pytest.mark.promise("RT-8")
def test_what_continues_a_contact_waits_for_the_agent_who_had_it() -> None:
    office = Office(office_with(former_agent=seconds(120)), ready=("ana",))
    first = office.do(mail("mail:1")).reply.interaction
    office.accept(first)
    office.complete(first)
    office.do(c.SetState(agent="ana", state="ready"))
    busy = office.arrive()
    office.accept(busy)
    office.ready("ben")
    second = office.do(mail("mail:2", "mail:1")).reply.interaction
    assert office.item(second).born.follows == first
    assert office.state_of(second) == "queued", "ben is idle, but it waits for ana"
    office.complete(busy)
    assert office.accept(second) == "ana"


@pytest.mark.promise("RT-8")
@pytest.mark.parametrize("hold_s", [0, 120])
def test_it_waits_no_longer_than_the_queue_says(hold_s: int) -> None:
    office = Office(office_with(former_agent=seconds(hold_s)), ready=("ana",))
    first = office.do(mail("mail:1")).reply.interaction
    office.accept(first)
    office.complete(first)
    office.accept(office.arrive())
    office.ready("ben")
    second = office.do(mail("mail:2", "mail:1")).reply.interaction
    assert office.state_of(second) == ("queued" if hold_s else "offered")
    office.sleep_s(hold_s + 1)
    assert office.accept(second) == "ben"
