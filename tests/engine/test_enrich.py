"""What was read of a contact after it came: it never waits for that, and is routed by it as if it came just now."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Config, Prefer, Rule
from router.engine.engine import Outcome
from router.engine.events import Message
from router.engine.explain import explain
from router.engine.lookups import interaction_view
from router.engine.requirements import Node
from router.engine.views import Tell
from router.errors import BadMessage, NotFound
from tests.engine.support.office import OFFICE, Office, happened, made, seconds

pytestmark = pytest.mark.promise("RT-11")

READ = Rule("read", "sales", when='"words" in attributes && attributes["words"].contains("order")', band="urgent")
SPOKEN = Rule("spoken", "support", when='language == "es"', requirement=Node(skill="spanish"))


def plan(*rules: Rule) -> Config:
    return replace(OFFICE, rules=rules)


def read(office: Office, number: int, language: str = "", message: Message | None = None, **found: str) -> Outcome:
    return office.do(c.Enrich(thread=office.thread(number), attributes=found, language=language, message=message))


def test_what_was_read_puts_it_into_another_queue_with_the_time_that_it_has_waited() -> None:
    office = Office(plan(READ))
    number = office.arrive()
    came_ms = office.item(number).enqueued_at_ms
    office.pass_s(60)
    out = read(office, number, words="order")
    assert happened(out, e.Rerouted) == [e.Rerouted(number, "sales", None, "urgent", 0.0, 0, "read")]
    item = office.item(number)
    assert (item.queue, item.band, item.enqueued_at_ms, item.born.rule) == ("sales", "urgent", came_ms, "read")
    assert made(office.ready("sue")) == [(number, "sue")]


def test_the_language_that_was_found_asks_for_somebody_who_speaks_it() -> None:
    office = Office(plan(SPOKEN))
    number = office.arrive()
    read(office, number, language="es")
    assert interaction_view(office.state, office.item(number)).language == "es"
    assert office.item(number).requirement == Node(skill="spanish")


def test_what_is_known_already_is_not_overruled() -> None:
    office = Office(plan(READ))
    number = office.arrive(language="en", attributes={"words": "complaint"})
    out = read(office, number, language="es", words="order")
    assert out.events == []
    assert office.item(number).queue == "support"


def test_an_offer_that_no_longer_fits_is_taken_back_and_it_is_offered_where_it_belongs() -> None:
    office = Office(plan(READ), ready=("ana", "sue"))
    number = office.arrive()
    assert office.offered_to(number) == ["ana"]
    out = read(office, number, words="order")
    assert [x.reason for x in happened(out, e.OfferWithdrawn)] == ["rerouted"]
    assert office.offered_to(number) == ["sue"]
    assert office.state.agents["ana"].misses == 0


def test_who_works_on_it_keeps_it_and_sees_what_was_read() -> None:
    office = Office(plan(READ), ready=("ana",))
    number = office.active()
    out = read(office, number, message=Message("the text"), words="order")
    assert [type(x) for x in out.events] == [e.Enriched, e.MessageAdded]
    assert office.item(number).owner == "ana"
    told = [x for x in out.effects if isinstance(x, Tell)]
    assert [type(x.event) for x in told] == [e.Enriched, e.MessageAdded]
    assert told[0].interaction is not None
    assert told[0].interaction.attributes == {"words": "order"}


@pytest.mark.parametrize("to", [c.Target(queue="sales"), c.Target(agent="ben")])
def test_where_a_person_has_put_it_it_stays(to: c.Target) -> None:
    office = Office(plan(replace(READ, queue="support", band="low")))
    number = office.arrive()
    if to.agent:
        office.ready("ben")
        office.decline(number)
    office.do(c.Transfer(interaction=number, to=to, by="operator:sam"))
    assert not happened(read(office, number, words="order"), e.Rerouted)


def test_a_priority_that_an_operator_has_set_stays() -> None:
    office = Office(plan(READ))
    number = office.arrive()
    office.do(c.Reprioritise(interaction=number, by="operator:sam", band="low"))
    read(office, number, words="order")
    assert (office.item(number).queue, office.item(number).band) == ("sales", "low")


def test_by_what_was_read_it_may_be_held_for_somebody() -> None:
    office = Office(plan(replace(READ, queue="support", prefer=Prefer(agents=("ben",), hold=seconds(60)))), ("ben",))
    office.active()  # ben is busy, and nobody else is there
    number = office.arrive()
    out = read(office, number, words="order")
    assert [x.agents for x in happened(out, e.PreferredHeld)] in ([("ben",)], [])
    assert happened(out, e.Rerouted)


def test_what_no_rule_takes_stays_where_it_is() -> None:
    office = Office(replace(plan(Rule("plain", "support", when='!("words" in attributes)')), default_queue=None))
    number = office.arrive()
    assert not happened(read(office, number, words="order"), e.Rerouted)
    assert office.item(number).queue == "support"


def test_what_is_over_or_unknown_is_not_read() -> None:
    office = Office(ready=("ana",))
    number = office.active()
    office.complete(number)
    for thread in (office.thread(number), "nothing"):
        with pytest.raises(NotFound):
            office.do(c.Enrich(thread=thread, attributes={"words": "order"}))


def test_more_than_a_note_is_refused() -> None:
    office = Office()
    number = office.arrive()
    many: dict[str, Any] = {f"a{i}": "x" for i in range(65)}
    with pytest.raises(BadMessage):
        read(office, number, **many)


def test_an_explanation_says_where_it_came_to_first() -> None:
    office = Office(plan(READ))
    number = office.arrive()
    read(office, number, words="order")
    told = explain(office.state, number, office.now_ms)
    assert (told["came_to"], told["queue"], told["rule"], told["has_past"]) == ("support", "sales", "read", True)
