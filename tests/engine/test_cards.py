"""What people write of a customer: kept with who wrote it, never overwritten unseen, and theirs under every name."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from router.engine import cards
from router.engine import commands as c
from router.engine.config import Memory
from router.engine.customers import view
from router.engine.engine import Engine
from router.engine.views import CardChange
from router.errors import BadMessage, IllegalMove, NotFound, Overloaded
from tests.engine.record import replayed
from tests.engine.support.office import OFFICE, Office

pytestmark = pytest.mark.promise("IN-6")

TEL, MAIL = "tel:+15550100", "mailto:kim@example.org"


@pytest.fixture
def office() -> Office:
    made = Office()
    made.arrive(identities=(TEL,))
    made.arrive(identities=(MAIL,))
    return made


def write(office: Office, version: int = 0, identity: str = TEL, by: str = "agent:ana", **fields: str) -> None:
    office.do(c.DescribeCustomer(identity=identity, fields=fields, version=version, by=by))


def fields(office: Office, identity: str = TEL) -> dict[str, str]:
    return view(office.state, identity).card.fields


def test_what_is_written_is_there_with_who_wrote_it(office: Office) -> None:
    write(office, company="ACME")
    office.pass_s(10)
    write(office, 1, by="agent:ben", company="ACME Ltd", name="Kim")
    card = view(office.state, TEL).card
    assert card.fields == {"company": "ACME Ltd", "name": "Kim"}
    assert card.version == 2
    assert set(card.changes) == {
        CardChange(office.now_ms, "agent:ben", "company", "ACME", "ACME Ltd"),
        CardChange(office.now_ms, "agent:ben", "name", "", "Kim"),
        CardChange(office.now_ms - 10_000, "agent:ana", "company", "", "ACME"),
    }
    assert card.changes[-1].by == "agent:ana", "the latest is first"


def test_an_empty_text_takes_one_away(office: Office) -> None:
    write(office, company="ACME", name="Kim")
    write(office, 1, company="")
    assert fields(office) == {"name": "Kim"}


def test_nobody_overwrites_what_they_have_not_seen(office: Office) -> None:
    write(office, name="Kim")
    with pytest.raises(IllegalMove, match="changed meanwhile by agent:ana"):
        write(office, 0, name="Lee")
    assert fields(office) == {"name": "Kim"}


def test_what_changes_nothing_is_no_fact(office: Office) -> None:
    write(office, name="Kim")
    write(office, 1, name="Kim")
    assert view(office.state, TEL).card.version == 1


def test_two_who_become_one_have_one_card_and_the_first_ones_texts_win(office: Office) -> None:
    write(office, name="Kim", company="ACME")
    write(office, identity=MAIL, by="agent:ben", company="Other", address="1 Main St")
    office.do(c.MergeCustomers(customer=TEL, other=MAIL, by="operator:sam"))
    for identity in (TEL, MAIL):
        assert fields(office, identity) == {"name": "Kim", "company": "ACME", "address": "1 Main St"}
    assert "Other" in [change.after for change in view(office.state, TEL).card.changes]


def test_a_card_is_the_same_after_a_restart_and_a_replay(office: Office) -> None:
    write(office, name="Kim")
    assert Engine.restore(office.engine.snapshot()).state.cards == office.state.cards
    assert replayed(iter(office.checked.payloads)).state.cards == office.state.cards


def test_nobody_is_described_who_is_not_known(office: Office) -> None:
    with pytest.raises(NotFound):
        write(office, identity="tel:+15550199", name="Kim")


@pytest.mark.parametrize("name", ["Name", "", "a-b", "x" * 41, "1st"])
def test_names_of_texts_are_plain(office: Office, name: str) -> None:
    with pytest.raises(BadMessage, match="fields"):
        office.do(c.DescribeCustomer(identity=TEL, fields={name: "x"}, version=0, by="agent:ana"))


def test_a_card_is_bounded(office: Office) -> None:
    write(office, notes="x" * cards.VALUE_MAX)
    for refused in ({"notes": "x" * (cards.VALUE_MAX + 1)}, {f"n{n}": "x" for n in range(cards.FIELDS_MAX)}):
        with pytest.raises(BadMessage):
            office.do(c.DescribeCustomer(identity=TEL, fields=refused, version=1, by="agent:ana"))
    for n in range(cards.CHANGES_KEPT + 5):
        write(office, n + 1, name="x" * cards.VALUE_MAX if n % 2 else "Kim")
        assert len(office.state.cards[TEL].changes) <= cards.CHANGES_KEPT
    assert all(len(change.after) <= cards.CHANGE_TEXT_MAX for change in office.state.cards[TEL].changes)


def test_more_cards_than_are_kept_are_refused_and_none_is_dropped() -> None:
    office = Office(replace(OFFICE, memory=Memory(cards=1)))
    for identity in (TEL, MAIL):
        office.arrive(identities=(identity,))
    write(office, name="Kim")
    with pytest.raises(Overloaded, match=r"memory\.cards"):
        write(office, identity=MAIL, name="Lee")
    write(office, 1, name="Kim B.")
    assert fields(office) == {"name": "Kim B."}


def test_a_customer_of_whom_nothing_is_left_but_a_card_is_still_known() -> None:
    office = Office(replace(OFFICE, memory=Memory(closed=1)), ready=("ana",))
    office.complete(office.active(identities=(TEL,)))
    write(office, name="Kim")
    office.complete(office.active(identities=(MAIL,)))
    assert fields(office) == {"name": "Kim"}


@pytest.mark.parametrize("brought", [(TEL, "ref:7"), ("ref:7", TEL)])
def test_whoever_has_a_card_keeps_their_name_when_they_come_with_another(
    office: Office, brought: tuple[str, ...]
) -> None:
    write(office, name="Kim")
    number = office.arrive(identities=brought)
    assert office.item(number).born.customer == TEL
    assert fields(office, "ref:7") == {"name": "Kim"}
