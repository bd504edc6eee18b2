"""A new configuration is one recorded event, and holds for what waits from the next pass on."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Agent, Band, Queue, Rule, to_bytes
from router.engine.requirements import Node
from router.errors import IllegalMove
from tests.engine.support.office import OFFICE, Office, agents_with, given, made, office_with, seconds

pytestmark = pytest.mark.promise("RT-12")


def test_it_is_one_event_with_the_next_version_and_who_did_it() -> None:
    new = to_bytes(office_with(offer_timeout=seconds(5)))
    state = given().when(c.Configure(document=new, by="operator:sam")).then(e.Configured(2, new, "operator:sam"))
    assert state.version == 2
    assert state.document == new


def test_the_same_document_again_says_nothing() -> None:
    given().when(c.Configure(document=to_bytes(OFFICE))).then()


def test_what_waits_follows_the_new_rules_at_once() -> None:
    office = Office(ready=("sue",))
    number = office.arrive()
    assert office.state_of(number) == "queued"
    out = office.configure(office_with(requirement=Node(skill="sales"), offer_timeout=seconds(7)))
    assert made(out) == [(number, "sue")]
    assert office.offers_of(number)[0].expires_at_ms == office.now_ms + 7_000


def test_what_was_decided_on_arrival_stays_decided() -> None:
    """A rule places what arrives; it does not move what has arrived."""
    office = Office()
    number = office.arrive()
    office.configure(replace(OFFICE, rules=(Rule("all", "sales"),)))
    assert office.item(number).queue == "support"
    assert office.item(office.arrive()).queue == "sales"


def test_a_new_order_holds_for_what_waits() -> None:
    def config(low_first: bool) -> object:
        queues = {"a": Queue(band="low" if low_first else None), "b": Queue(band=None if low_first else "low")}
        return replace(OFFICE, queues=queues, rules=(Rule("b", "b", to=("b",)),), default_queue="a")

    office = Office(config(low_first=True))  # type: ignore[arg-type]
    first = office.arrive()
    office.arrive(recipient="b")
    office.configure(config(low_first=False))  # type: ignore[arg-type]
    assert made(office.ready("ana")) == [(first, "ana")]


def test_a_queue_or_channel_with_work_cannot_go() -> None:
    office = Office()
    number = office.arrive("chat")
    without_queue = replace(OFFICE, queues={"sales": OFFICE.queues["sales"]}, default_queue="sales")
    channels = {name: channel for name, channel in OFFICE.channels.items() if name != "chat"}
    for config, says in (
        (without_queue, "queues.support: still has 1"),
        (replace(OFFICE, channels=channels), "channels.chat: still has"),
    ):
        with pytest.raises(IllegalMove, match=says):
            office.configure(config)
    office.do(c.Close(interaction=number, by="operator:sam"))
    office.configure(without_queue)
    office.configure(replace(OFFICE, channels=channels))


def test_a_channel_that_comes_back_counts_as_before() -> None:
    office = Office(ready=("ana",))
    office.complete(office.active("chat"))
    channels = {name: channel for name, channel in OFFICE.channels.items() if name != "chat"}
    office.configure(replace(OFFICE, channels=channels))
    assert office.state_of(office.arrive("email")) == "offered"
    office.configure(OFFICE)
    assert office.state_of(office.arrive("chat")) == "offered"
    assert office.state_of(office.arrive("chat")) == "offered"
    assert office.state_of(office.arrive("chat")) == "queued"


def test_a_band_that_is_dropped_makes_nothing_urgent() -> None:
    office = Office()
    dropped = office.arrive()
    usual = office.arrive(received_at_ms=office.now_ms - 1_000)
    office.do(c.Reprioritise(interaction=dropped, by="operator:sam", band="low"))
    office.configure(replace(OFFICE, bands=(Band("urgent"), Band("normal"))))
    assert made(office.ready("ana")) == [(usual, "ana")]


@pytest.mark.promise("AG-8")
def test_an_agent_whom_a_requirement_names_stands_once_after_a_new_configuration() -> None:
    """The name gives them a profile of their own, in the middle of standing everybody anew."""
    office = Office(agents_with(OFFICE, ana=Agent(skills={"support": 5}, caps={"email": 2})), ready=("ana",))
    office.active()
    office.arrive()
    call = office.arrive("phone")
    office.do(c.Transfer(interaction=call, to=c.Target(agent="ana"), by="operator:sam"))
    office.configure(agents_with(OFFICE, ana=Agent(skills={"support": 5}, caps={"email": 3})))
    office.checked.restart(office.now_ms)
    assert office.state_of(call) == "queued"


@pytest.mark.promise("DU-3")
def test_a_refused_configuration_leaves_everything_as_it_was() -> None:
    office = Office(ready=("ana",))
    office.arrive("chat")
    before = office.engine.snapshot()
    with pytest.raises(IllegalMove):
        office.configure(replace(OFFICE, channels={"email": OFFICE.channels["email"]}))
    assert office.engine.snapshot() == before
