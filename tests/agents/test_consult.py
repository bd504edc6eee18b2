"""Two agents' clients and one customer: a consult from asking to handing over, as it goes over the wire (MV-1)."""

from __future__ import annotations

import pytest

from router.engine import commands as c
from router.engine.events import Message
from tests.agents.house import Client, House

pytestmark = pytest.mark.promise("MV-1", "AG-3")


def at_it(join: bool = False) -> tuple[House, Client, Client, str, str]:
    """Ana has a chat and Ben answered what she asks: the house, both clients, the chat and the consult."""
    house = House()
    ana, chat = house.at_work("ana")
    ben = house.ready("ben")
    ana.ask("transfer", interaction=chat, to={"agent": "ben"}, mode="consult", reason="a refund")
    settle(house, ana, ben)
    (offer,) = ben.mirror.offers
    ben.ask("accept", offer=offer)
    settle(house, ana, ben)
    if join:
        ana.ask("join_consult", interaction=chat)
        settle(house, ana, ben)
    return house, ana, ben, chat, next(iter(ben.mirror.interactions))


def settle(house: House, *clients: Client) -> list[list[dict[str, object]]]:
    house.desk.flush()
    return [client.read() for client in clients]


def test_who_was_asked_has_a_consult_and_the_owner_still_has_the_chat() -> None:
    house, ana, ben, chat, consult = at_it()
    assert list(ana.mirror.interactions) == [chat]
    owners, asked = ana.mirror.interactions[chat]["consult"], ben.mirror.interactions[consult]["consult"]
    assert (owners["role"], asked["role"]) == ("owner", "consulted")
    assert {x["state"] for x in (owners, asked)} == {"consulting"}
    assert (asked["id"], asked["of"], asked["owner"], asked["agent"]) == (consult, chat, "ana", "ben")
    assert [m["text"] for m in ben.mirror.interactions[consult]["messages"]] == ["hello"]
    assert house.desk.agent("ben").load == {"chat": 1}


def test_what_is_said_in_the_consult_stays_between_the_two() -> None:
    house, ana, ben, chat, consult = at_it()
    ben.ask("say", interaction=consult, text="yes, refund it")
    ana.ask("say", interaction=consult, text="thanks")
    settle(house, ana, ben)
    for client, known in ((ana, chat), (ben, consult)):
        between = client.mirror.interactions[known]["consult"]["messages"]
        assert [m["text"] for m in between] == ["yes, refund it", "thanks"]
        assert [m["text"] for m in client.mirror.interactions[known]["messages"]] == ["hello"]


def test_both_hear_the_customer_and_in_a_conference_both_answer() -> None:
    house, ana, ben, chat, consult = at_it(join=True)
    house.desk.do(c.Append(thread="chat:1", message=Message("are you there?")))
    ben.ask("say", interaction=chat, text="we both are")
    settle(house, ana, ben)
    for client, known in ((ana, chat), (ben, consult)):
        said = client.mirror.interactions[known]["messages"]
        assert [m["text"] for m in said] == ["hello", "are you there?", "we both are"]


def test_before_the_conference_only_the_owner_answers() -> None:
    house, _, ben, chat, _ = at_it()
    ben.ask("say", interaction=chat, text="hi")
    (answer,) = settle(house, ben)[0]
    assert (answer["type"], answer["code"]) == ("error", "not-owner")


def test_who_was_asked_takes_it_over() -> None:
    house, ana, ben, chat, consult = at_it(join=True)
    ana.ask("complete_consult", interaction=chat)
    to_ana, to_ben = settle(house, ana, ben)
    assert [(m["type"], m.get("reason")) for m in to_ana if "seq" in m] == [("interaction_ended", "transferred")]
    assert [(m["type"], m.get("consult")) for m in to_ben] == [("assigned", consult)]
    assert (list(ana.mirror.interactions), list(ben.mirror.interactions)) == ([], [chat])
    assert ben.mirror.load == house.desk.agent("ben").load == {"chat": 1}


def test_the_owner_goes_on_alone() -> None:
    house, ana, ben, chat, consult = at_it()
    ben.ask("end_consult", interaction=consult)
    to_ana, to_ben = settle(house, ana, ben)
    assert [(m["cause"], m["reason"]) for m in to_ana] == [("consult-ended", "left")]
    assert [m.get("reason") for m in to_ben if "seq" in m] == ["left"]
    assert "consult" not in ana.mirror.interactions[chat]
    assert not ben.mirror.interactions


def test_clients_that_come_back_see_the_same() -> None:
    house, ana, ben, _, consult = at_it()
    ana.ask("say", interaction=consult, text="one more thing")
    settle(house, ana, ben)
    for client, name in ((ana, "ana"), (ben, "ben")):
        again = house.client(name)
        assert again.mirror.interactions == client.mirror.interactions
