"""What agents and customers tell each other in passing: who writes, who has read. Recorded nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from router.service.signals import Marks, Signal, Signals, Writing
from tests.agents.house import Client, House, number


class Passing(House):
    """A house whose customers' side is a list."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, Signal]] = []
        self.hub.signals.listen_for_customers("chat", lambda thread, signal: self.told.append((thread, signal)))

    def at_work_with_signals(self) -> tuple[Client, str]:
        client = self.ready("ana", signals=True)
        self.desk.arrive()
        self.desk.flush()
        client.read()
        client.ask("accept", offer=next(iter(client.mirror.offers)))
        self.desk.flush()
        client.read()
        return client, next(iter(client.mirror.interactions))


def test_what_an_agent_does_in_passing_reaches_the_customer_and_is_answered_at_once() -> None:
    house = Passing()
    client, work = house.at_work_with_signals()
    before = len(house.desk.commands)
    idents = [
        client.ask("typing", interaction=work),
        client.ask("typing", interaction=work, on=False),
        client.ask("seen", interaction=work, at_ms=house.desk.now),
    ]
    assert [(m["type"], m["re"]) for m in client.read()] == [("ok", ident) for ident in idents]
    assert [signal for _, signal in house.told] == [
        Writing(True, "ana"),
        Writing(False, "ana"),
        Marks(house.desk.now),
    ]
    assert len(house.desk.commands) == before, "the engine hears nothing of it"


@pytest.mark.parametrize("kind", ["typing", "seen"])
def test_only_who_speaks_with_a_customer_can_tell_them_anything(kind: str) -> None:
    house = Passing()
    _, work = house.at_work_with_signals()
    ben = house.client("ben")
    fields: dict[str, Any] = {"at_ms": 1} if kind == "seen" else {}
    for interaction, code in ((work, "not-owner"), ("i-99", "not-found"), ("x", "not-found")):
        ident = ben.ask(kind, interaction=interaction, **fields)
        (answer,) = ben.read()
        assert (answer["re"], answer["code"]) == (ident, code)
    assert house.told == []


def test_who_asked_for_signals_is_told_them_without_a_number_and_nobody_else_is() -> None:
    house = Passing()
    client, work = house.at_work_with_signals()
    plain = house.client("ana")
    plain.read()
    client.read()
    last = client.mirror.last_seq
    house.hub.signals.tell_agent("ana", number(work), Writing(True))
    house.hub.signals.tell_agent("ana", number(work), Marks(5, 9))
    house.hub.signals.tell_agent("nobody", number(work), Marks(5, 9))
    assert client.read() == [
        {"type": "typing", "interaction": work, "on": True},
        {"type": "receipts", "interaction": work, "received_ms": 9, "read_ms": 5},
    ]
    assert client.mirror.last_seq == last
    assert plain.read() == []


def test_a_signal_that_nobody_listens_to_is_gone() -> None:
    signals = Signals()
    signals.tell_agent("ana", 1, Writing(True))
    signals.tell_customer("chat", "chat:1", 1, Marks(1))
    heard: list[Signal] = []
    signals.listen_for_customers("chat", lambda thread, signal: heard.append(signal))
    signals.tell_customer("phone", "call:1", 1, Marks(1))
    assert heard == []
