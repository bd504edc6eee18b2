"""Contacts from channels: one interaction each however often they are told, one customer behind several addresses."""

from __future__ import annotations

from itertools import permutations

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.events import Message
from router.engine.views import Tell
from router.errors import BadMessage, NotFound
from tests.engine.support.office import OFFICE, WRAPS, Office, arrived, given, happened

ANA_HAS_IT = (arrived(1), e.OfferMade(1, 1, "ana", 20_000), e.OfferAccepted(1, 1, "ana"))


@pytest.mark.promise("IN-1")
@pytest.mark.parametrize("channel", sorted(OFFICE.channels))
def test_every_channel_becomes_the_same_interaction(channel: str) -> None:
    office = Office(ready=("ana",))
    number = office.arrive(channel, sender="a", recipient="b", subject="c", name="d", attributes={"k": "v"})
    item = office.item(number)
    assert (item.born.sender, item.born.recipient, item.born.subject, item.born.name) == ("a", "b", "c", "d")
    assert item.born.attributes == {"k": "v"}
    assert office.accept(number) == "ana"
    office.complete(number)
    assert office.state_of(number) == "closed"


@pytest.mark.promise("IN-1")
def test_who_is_called_by_a_ticket_has_it_in_the_first_offer() -> None:
    office = Office(ready=("ana",))
    office.arrive()
    office.accept(1)
    called = c.Ticket(attribute="ticket", prefix="N", letters=2)
    visit = c.Arrive(channel="chat", threads=("v",), attributes={"site": "north"}, ticket=called)
    tells = [t for t in office.do(visit).effects if isinstance(t, Tell) and isinstance(t.event, e.OfferMade)]
    assert [t.interaction and t.interaction.attributes for t in tells] == [{"site": "north", "ticket": "NAA-002"}]
    office.do(replace(visit, key="", message=Message("again"), ticket=replace(called, prefix="S")))
    assert office.item(2).born.attributes["ticket"] == "NAA-002", "one visit, one ticket"


@pytest.mark.promise("IN-1")
def test_an_unknown_channel_or_a_nameless_contact_is_refused() -> None:
    given().when(c.Arrive(channel="telex", threads=("t",))).refuses(BadMessage)
    given().when(c.Arrive(channel="email", threads=())).refuses(BadMessage)


@pytest.mark.promise("IN-3")
def test_a_hundred_copies_of_one_event_are_one_interaction_and_get_equal_answers() -> None:
    office = Office(ready=("ana",))
    ask = c.Arrive(channel="email", threads=("mail:<1@example.org>",), key="mail:<1@example.org>")
    answers = [office.do(ask).reply for _ in range(100)]
    assert {reply.interaction for reply in answers} == {1}
    assert [reply.duplicate for reply in answers] == [False, *[True] * 99]
    assert len(office.state.interactions) == 1


@pytest.mark.promise("IN-3")
def test_a_copy_is_known_for_seven_days_and_after_the_interaction_is_forgotten() -> None:
    office = Office(ready=("ana",))
    ask = c.Arrive(channel="email", threads=("m",), key="mail:m")
    number = office.do(ask).reply.interaction
    office.accept(number)
    office.complete(number)
    office.pass_s(7 * 86_400 - 1)
    office.arrive(key="mail:another")
    assert office.do(ask).reply == c.Reply(interaction=number, duplicate=True)
    office.pass_s(2)
    office.arrive(key="mail:third")
    assert office.do(ask).reply.interaction != number


@pytest.mark.promise("IN-3")
def test_two_messages_in_the_same_millisecond_join_one_conversation() -> None:
    office = Office()
    first = c.Arrive(channel="chat", threads=("visitor:1",), message=Message("hello"), key="chat:1:1")
    second = c.Arrive(channel="chat", threads=("visitor:1",), message=Message("anybody there?"), key="chat:1:2")
    one, two = office.do(first).reply, office.do(second).reply
    assert one.interaction == two.interaction
    assert two.joined
    item = office.item(one.interaction)
    assert item.born.message == Message("hello")
    assert [said.message.text for said in item.said or ()] == ["anybody there?"]


@pytest.mark.promise("IN-3")
def test_a_reply_is_found_by_any_of_its_threads_and_brings_its_own() -> None:
    office = Office()
    number = office.arrive(threads=("<1>",))
    office.do(c.Arrive(channel="email", threads=("<2>", "<1>")))
    office.do(c.Arrive(channel="email", threads=("<3>", "<2>")))
    assert office.item(number).threads == ("<1>", "<2>", "<3>")
    assert len(office.state.interactions) == 1


@pytest.mark.promise("IN-3")
def test_an_open_interaction_is_found_behind_a_closed_one() -> None:
    office = Office(ready=("ana",))
    closed = office.active(threads=("<old>",))
    office.complete(closed)
    live = office.arrive(threads=("<new>",))
    reply = office.do(c.Arrive(channel="email", threads=("<old>", "<new>"))).reply
    assert (reply.interaction, reply.joined) == (live, True)


@pytest.mark.promise("IN-3")
def test_a_message_to_two_open_interactions_takes_no_name_from_the_other() -> None:
    office = Office()
    one, two = office.arrive(threads=("<1>",)), office.arrive(threads=("<2>",))
    office.do(c.Arrive(channel="email", threads=("<1>", "<2>")))
    office.do(c.Leave(thread="<2>"))
    assert (office.state_of(one), office.state_of(two)) == ("queued", "closed")


@pytest.mark.promise("IN-1")
@pytest.mark.parametrize("over", ["wrap-up", "closed"])
def test_who_comes_back_after_the_end_gets_a_new_interaction_that_follows(over: str) -> None:
    office = Office(WRAPS if over == "wrap-up" else OFFICE, ready=("ana",))
    first = office.active(threads=("<1>",))
    office.complete(first)
    assert office.state_of(first) == over
    second = office.do(c.Arrive(channel="email", threads=("<1>",))).reply
    assert not second.joined
    assert office.item(second.interaction).born.follows == first


@pytest.mark.promise("IN-1")
def test_what_channels_say_of_something_unknown_is_not_found() -> None:
    for command in (
        c.Append(thread="x", message=Message("hi")),
        c.Renew(thread="x", lease_ms=1),
        c.ConfirmConnection(thread="x"),
        c.FailConnection(thread="x"),
        c.Leave(thread="x"),
    ):
        given().when(command).refuses(NotFound)


@pytest.mark.promise("IN-1")
def test_what_is_said_reaches_the_owner_and_what_the_agent_says_reaches_the_channel() -> None:
    office = Office(ready=("ana",))
    number = office.active("chat")
    before = office.state.agents["ana"].stream
    office.do(c.Append(thread=office.thread(number), message=Message("hello?")))
    assert office.state.agents["ana"].stream == before + 1
    out = office.say(number, "good morning")
    assert happened(out, e.MessageAdded)[0].author == "agent"
    letter = list(office.state.outbound.values())[-1]
    assert (letter.action, letter.message) == ("message", Message("good morning"))


@pytest.mark.promise("IN-1")
def test_a_transcript_is_bounded() -> None:
    office = Office()
    number = office.arrive("chat")
    for i in range(OFFICE.memory.transcript + 5):
        office.engine.handle(c.Append(thread="chat:1", message=Message(str(i))), office.now_ms)
    said = office.state.interactions[number].said or []
    assert [said[0].message.text, len(said)] == ["5", OFFICE.memory.transcript]


# --- customers --------------------------------------------------------------------------------------------------------


def customer(office: Office, *identities: str) -> str:
    return office.item(office.arrive(identities=identities)).born.customer


@pytest.mark.promise("IN-6")
def test_the_same_identity_is_the_same_customer_on_every_channel() -> None:
    office = Office()
    one = office.item(office.arrive("phone", identities=("tel:+15550100",))).born.customer
    two = office.item(office.arrive("chat", identities=("tel:+15550100",))).born.customer
    assert one == two
    assert one != customer(office, "tel:+15550101")


@pytest.mark.promise("IN-6")
@pytest.mark.parametrize("order", list(permutations(("tel:1", "mailto:k", "visitor:v"))))
def test_identities_that_came_together_lead_to_one_customer_for_good(order: tuple[str, ...]) -> None:
    office = Office()
    known = customer(office, *order)
    assert {customer(office, identity) for identity in order} == {known}
    assert customer(office, "ref:new", order[2]) == known
    assert customer(office, "ref:new") == known


@pytest.mark.promise("IN-6", "DU-3")
def test_who_is_whom_survives_a_restart() -> None:
    office = Office()
    known = customer(office, "tel:1", "mailto:k")
    office.checked.restart(office.now_ms)
    assert customer(office, "mailto:k") == known


@pytest.mark.promise("IN-6")
def test_a_contact_without_identity_is_a_customer_of_its_own() -> None:
    office = Office()
    assert customer(office) != customer(office)
