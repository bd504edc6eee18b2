"""Who is one customer: what contacts link by themselves, and what operators join and part (IN-6)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Callbacks, Channel, Prefer, Rule
from router.engine.customers import identities, root
from router.engine.explain import explain
from router.engine.lookups import callback_of
from router.errors import BadMessage, IllegalMove, NotFound
from tests.engine.support.office import EVERY_ACTION, OFFICE, Office, seconds

pytestmark = pytest.mark.promise("IN-6")

TEL, MAIL, OTHER = "tel:+15550100", "mailto:kim@example.org", "mailto:lee@example.org"


def merge(office: Office, customer: str = TEL, other: str = MAIL, why: str = "said so") -> None:
    office.do(c.MergeCustomers(customer=customer, other=other, by="operator:sam", why=why))


def split(office: Office, identity: str) -> None:
    office.do(c.SplitCustomer(identity=identity, by="operator:sam", why="a family's telephone"))


def customer_of(office: Office, *who: str) -> str:
    return office.item(office.arrive(identities=who)).born.customer


def test_two_customers_become_one_for_what_comes_and_what_is_there() -> None:
    office = Office()
    called, wrote = office.arrive(identities=(TEL,)), office.arrive(identities=(MAIL,))
    merge(office)
    assert [office.item(number).born.customer for number in (called, wrote)] == [TEL, TEL]
    assert [customer_of(office, who) for who in (TEL, MAIL)] == [TEL, TEL]
    assert identities(office.state, TEL) == [TEL, MAIL]


def test_everything_that_led_to_the_one_leads_to_the_other() -> None:
    office = Office()
    office.arrive(identities=(MAIL, OTHER))
    merge(office, TEL, OTHER)
    assert {customer_of(office, who) for who in (TEL, MAIL, OTHER)} == {TEL}


def test_a_split_identity_is_a_customer_of_its_own_and_is_not_linked_again() -> None:
    office = Office()
    number = office.arrive(identities=(TEL,))
    wrote = office.arrive(identities=(MAIL,))
    merge(office)
    split(office, MAIL)
    assert [office.item(n).born.customer for n in (number, wrote)] == [TEL, MAIL]
    assert customer_of(office, MAIL, TEL) == MAIL
    assert customer_of(office, TEL, MAIL) == TEL
    assert customer_of(office, MAIL) == MAIL


def test_what_was_split_can_be_joined_again() -> None:
    office = Office()
    office.arrive(identities=(TEL, MAIL))
    split(office, MAIL)
    merge(office)
    assert customer_of(office, MAIL) == TEL


def test_a_chain_of_links_is_followed_to_its_end() -> None:
    """Without an operator: each contact brought one identity more."""
    office = Office()
    for pair in ((MAIL, OTHER), (TEL, MAIL)):
        office.arrive(identities=pair)
    assert {customer_of(office, who) for who in (TEL, MAIL, OTHER)} == {root(office.state, OTHER)}


def test_saying_it_twice_changes_nothing() -> None:
    office = Office()
    office.arrive(identities=(TEL, MAIL))
    before = office.state.seq
    merge(office)
    assert office.state.seq == before


def test_who_served_either_served_the_customer() -> None:
    prefer = Prefer(last_agent=True, hold=seconds(60))
    office = Office(replace(OFFICE, rules=(Rule("again", "support", prefer=prefer),)), ready=("ana",))
    office.complete(office.active(identities=(MAIL,)))
    merge(office)
    assert office.state.last_agents == {TEL: "ana"}


def test_the_callback_of_either_is_the_customers() -> None:
    phone = Channel(exclusive=True, actions=EVERY_ACTION, calls=("phone:",))
    calling = replace(OFFICE, channels={**OFFICE.channels, "phone": phone}, callbacks=Callbacks())
    office = Office(calling)
    number = office.arrive("phone", sender="+15550100", identities=(TEL,))
    office.do(c.RequestCallback(thread=office.thread(number), line="phone:"))
    merge(office, MAIL, TEL)
    found = callback_of(office.state, TEL)
    assert found is not None
    assert found.customer == MAIL
    assert callback_of(office.state, MAIL) == found
    office.arrive("phone", sender="+15550101", identities=(OTHER,), threads=("phone:9",))
    office.do(c.RequestCallback(thread="phone:9", line="phone:"))
    with pytest.raises(IllegalMove, match="both are to be called back"):
        merge(office, MAIL, OTHER)


def test_the_history_of_a_customer_explains_itself() -> None:
    office = Office()
    number = office.arrive(identities=(TEL,))
    merge(office)
    split(office, MAIL)
    told = explain(office.state, number, office.now_ms)["customer"]
    assert told["customer"] == TEL
    assert [line["what"] for line in told["history"]] == [
        f"{MAIL} was joined with {TEL}, by operator sam (said so)",
        f"{MAIL} was parted from {TEL}, by operator sam (a family's telephone)",
    ]


def test_what_cannot_be_is_refused() -> None:
    office = Office()
    with pytest.raises(NotFound):
        merge(office)
    with pytest.raises(BadMessage):
        merge(office, "", MAIL)
    with pytest.raises(IllegalMove, match="linked to no other"):
        split(office, TEL)


def test_the_journal_has_who_did_it_and_why() -> None:
    office = Office()
    office.arrive(identities=(TEL,))
    out = office.do(c.MergeCustomers(customer=TEL, other=MAIL, by="operator:sam", why="same voice"))
    assert out.events == [e.CustomersMerged(TEL, MAIL, "operator:sam", "same voice")]
