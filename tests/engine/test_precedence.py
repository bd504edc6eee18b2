"""Of two that wait, why one went first: the reason that is told is the one that decided (EX-1)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from router.cli import telling
from router.engine.config import Agent, Band, Config, Order, Queue, Rule
from router.engine.requirements import Node
from tests.engine.support.office import OFFICE, Office, agents_with, seconds
from tests.engine.test_explain import decided

BOTH = Agent(skills={"support": 5, "sales": 5})


def house(order: Order | None = None, sales: dict[str, Any] | None = None, **vip: Any) -> Config:
    """Ben answers three queues: support, sales and vip."""
    queues = {
        "support": Queue(requirement=Node(skill="support"), target=seconds(20)),
        "sales": Queue(requirement=Node(skill="sales"), **{"target": seconds(20), **(sales or {})}),
        "vip": Queue(requirement=Node(skill="support"), **{"target": seconds(20), **vip}),
    }
    rules = tuple(Rule(name, name, to=(name,)) for name in queues)
    bands = (Band("urgent"), Band("normal", seconds(120)))
    config = replace(OFFICE, queues=queues, rules=rules, bands=bands, order=order or Order())
    return agents_with(config, ben=BOTH)


class Waiting:
    """Ben is at work while others come to wait; then he is free."""

    def __init__(self, config: Config) -> None:
        self.office = Office(config, ready=("ben",))
        self.held = self.office.active("phone", recipient="support")

    def come(self, queue: str, then_s: float = 0) -> int:
        number = self.office.arrive("email", recipient=queue)
        self.office.sleep_s(then_s)
        return number

    def first(self) -> int:
        """Ben is free: who gets him."""
        self.office.complete(self.held)
        return next(n for n in self.office.state.interactions if self.office.state_of(n) == "offered")

    def told(self, number: int) -> dict[str, Any]:
        return decided(self.office, number)


def reasons(told: dict[str, Any]) -> dict[str, str]:
    return {line["interaction"]: line["why"] for line in told["also_waiting"]}


def words(told: dict[str, Any]) -> list[str]:
    """Why it went before each of the others, as a person reads it."""
    return [line.strip().partition("as well; ")[2] for line in telling.offer(told) if "as well; " in line]


@pytest.mark.promise("EX-1")
def test_where_the_band_decided_the_band_is_told_and_no_values() -> None:
    waiting = Waiting(house(sales={"weight": 10.0}, band="urgent"))
    support, sales, vip = waiting.come("support", 1), waiting.come("sales", 1), waiting.come("vip", 1)
    assert waiting.first() == vip
    told = waiting.told(vip)
    assert reasons(told) == {f"i-{sales}": "band", f"i-{support}": "band"}
    assert words(told) == ["the band of this one (urgent) goes before its (normal)."] * 2


@pytest.mark.promise("EX-1")
def test_what_was_lifted_into_the_first_band_says_so() -> None:
    waiting = Waiting(house(Order(cap=0)))
    old = waiting.come("support", 125)
    waiting.come("sales")
    assert waiting.first() == old
    assert set(reasons(waiting.told(old)).values()) == {"lifted"}
    assert words(waiting.told(old))[0].startswith("this one had waited as long as its band allows")


@pytest.mark.promise("EX-1")
def test_what_waited_beyond_the_cap_says_so_though_its_value_is_smaller() -> None:
    waiting = Waiting(house(Order(cap=2), sales={"weight": 100.0}))
    old = waiting.come("support", 39)
    waiting.come("sales", 1)
    assert waiting.first() == old
    assert set(reasons(waiting.told(old)).values()) == {"waited-out"}
    assert words(waiting.told(old)) == [
        "this one had waited longer than 2 times its target, and such go first in their band."
    ]


@pytest.mark.promise("EX-1")
@pytest.mark.promise("RT-2")
def test_of_equals_the_first_to_come_says_so() -> None:
    waiting = Waiting(house())
    support, sales = waiting.come("support"), waiting.come("sales")
    assert waiting.first() == support
    assert reasons(waiting.told(support)) == {f"i-{sales}": "came-first"}
    assert words(waiting.told(support)) == ["they are equal, and this one came first."]


@pytest.mark.promise("EX-1")
def test_values_are_shares_of_the_promise_and_say_what_is_counted_in() -> None:
    waiting = Waiting(house(sales={"weight": 2.0}))
    waiting.come("support", 4)
    sales = waiting.come("sales", 10)
    assert waiting.first() == sales
    # Head start 20 s, target 20 s: 2 x (10 + 20) / 20 against (14 + 20) / 20.
    assert words(waiting.told(sales)) == [
        "what has used up most of its promise goes first: with head start and weight counted in, 300 % against 170 %."
    ]


@pytest.mark.promise("EX-1")
@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("ratio", "measured by its promise, goes first: with weight counted in, 70 % against 50 %."),
        ("deadline", "what must be answered soonest goes first: in 6s against in 10s."),
        ("first-come", "what has waited longest goes first: 14s against 10s."),
        ("priority", "of equal promises what has waited longest goes first: 14s against 10s."),
        ("queue-ratio", "the queue that is longest beside its share goes first."),
        ("round-robin", "queues take turns, and its queue had the later turn."),
        ("skill-level", "of what the agent is equally good at, what has waited longest goes first: 14s against 10s."),
    ],
)
def test_each_policy_tells_its_values_in_its_own_measure(policy: Any, said: str) -> None:
    waiting = Waiting(house(Order(policy)))
    sales = waiting.come("sales", 4)
    if policy == "queue-ratio":
        waiting.come("sales")
    waiting.come("support", 10)
    assert waiting.first() == sales
    assert words(waiting.told(sales))[0].endswith(said)


@pytest.mark.promise("EX-1")
def test_a_shorter_promise_is_told_by_its_length() -> None:
    waiting = Waiting(house(Order("priority"), sales={"target": seconds(300)}))
    waiting.come("sales", 60)
    support = waiting.come("support")
    assert waiting.first() == support
    assert reasons(waiting.told(support)) == {"i-2": "step"}
    assert words(waiting.told(support)) == ["the shorter promise goes first: 20s against 5m."]


@pytest.mark.promise("EX-1")
def test_numbers_that_decided_never_look_equal() -> None:
    waiting = Waiting(house(Order("first-come")))
    waiting.come("support", 0.002)
    waiting.come("sales", 8)
    first = waiting.first()
    assert words(waiting.told(first))[0].endswith("8s2ms against 8s.")
