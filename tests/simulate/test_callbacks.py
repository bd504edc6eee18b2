"""Customers of a scenario who let the house call them back (EX-3, MV-5)."""

from __future__ import annotations

import tomllib
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from router.engine.config import Callbacks, Channel, Duration, Resort, decode_hook
from router.errors import ConfigError
from router.simulate import report
from router.simulate.scenario import Faults, People, Scenario, check
from tests.simulate.test_scenarios import adds_up, run

pytestmark = [pytest.mark.promise("EX-3"), pytest.mark.promise("MV-5")]

PEAK = """
name = "peak"
begins = "8h"
length = "6h"
[config]
default_queue = "orders"
[config.channels.phone]
exclusive = true
[config.channels.chat]
cap = 2
[config.queues.orders]
max_wait = "2m"
when_overdue = { do = "callback", message = "May we call you back?" }
auto_accept = true
[[staff]]
name = "seller"
count = 3
[[arrivals]]
name = "calls"
channel = "phone"
begins = "8h"
every = "1h"
per_hour = [100, 20, 20, 20, 20, 0]
handle = "3m"
patience = "10m"
"""


def peak(callback: float, **more: Any) -> Scenario:
    scenario: Scenario = msgspec.convert(tomllib.loads(PEAK), Scenario, dec_hook=decode_hook)
    return replace(scenario, arrivals=(replace(scenario.arrivals[0], callback=callback),), **more)


def by_chat(scenario: Scenario) -> Scenario:
    return replace(scenario, arrivals=(replace(scenario.arrivals[0], channel="chat"),))


def test_who_says_yes_hangs_up_and_is_served_when_it_is_their_turn() -> None:
    """In the first hour twice as many come as can be served; whoever is called back has no patience to lose."""
    nobody, everybody = report.run(peak(0)), report.run(peak(1))
    assert adds_up(nobody)
    assert adds_up(everybody)
    assert nobody.all["turned_away"] > 20, "where nobody can be asked, they are let go"
    assert everybody.all["turned_away"] == 0
    refusing = report.run(peak(1e-9))
    assert everybody.all["abandoned"] + 10 < refusing.all["abandoned"], "those alone who give up before they are asked"
    taken = everybody.faults["callbacks_taken"]
    assert taken == everybody.faults["callbacks_offered"] > 20
    assert everybody.all["served"] > nobody.all["served"] + 10
    assert "callbacks_offered" not in nobody.faults


def test_who_says_no_waits_on_as_long_as_they_would_have() -> None:
    some = report.run(peak(0.5))
    assert adds_up(some)
    offered, taken = some.faults["callbacks_offered"], some.faults["callbacks_taken"]
    assert 0.2 < taken / offered < 0.8
    assert some.all["abandoned"] > 5


def test_who_is_not_reached_is_called_again_and_counted_once() -> None:
    people = People(reached=0.3, ring=Duration(20_000))
    config = replace(peak(1).config, callbacks=Callbacks(attempts=4, delay=Duration(60_000)))
    found, office = run(peak(1, people=people, config=config))
    assert adds_up(found)
    assert found.faults["calls_not_reached"] > found.faults["callbacks_taken"]
    assert found.all["served"] + found.all["abandoned"] + found.all["left"] == found.all["offered"]
    assert not office.engine.state.callbacks, "all are reached or given up in the quiet hours"
    assert not office._calls, "and forgotten"


def test_chats_are_called_by_telephone_with_the_time_that_they_have_waited() -> None:
    found, office = run(replace(by_chat(peak(1)), staff=(replace(peak(1).staff[0], count=2),)))
    assert adds_up(found)
    assert found.faults["callbacks_taken"] > 10
    assert found.all["turned_away"] == 0
    assert not office.contacts, "everybody was served"


def test_who_hung_up_holds_no_line() -> None:
    few = report.run(replace(peak(1e-9), lines=6))
    free = report.run(replace(peak(1), lines=6))
    assert adds_up(free)
    assert free.all["blocked"] < few.all["blocked"]


@pytest.mark.parametrize("seed", range(4))
def test_nobody_is_lost_in_crashes_and_nothing_depends_on_chance_alone(seed: int) -> None:
    faults = Faults(drop_every=Duration(600_000), crashes=(Duration(3_000_000), Duration(9_000_000)))
    shaky = peak(0.7, faults=faults, people=People(miss=0.1, decline=0.05, reached=0.6), lines=12)
    queues = {"orders": replace(shaky.config.queues["orders"], auto_accept=False)}
    shaky = replace(shaky, config=replace(shaky.config, queues=queues))
    print("seed", seed)
    once, again = report.run(shaky, seed), report.run(shaky, seed)
    assert adds_up(once)
    assert msgspec.json.encode(once) == msgspec.json.encode(again)


def test_a_full_queue_may_ask_as_well() -> None:
    queue = peak(1).config.queues["orders"]
    full = replace(queue, max_wait=Duration(0), when_overdue=Resort("end"), max_length=2, when_full=Resort("callback"))
    found = report.run(peak(1, config=replace(peak(1).config, queues={"orders": full})))
    assert adds_up(found)
    assert found.faults["callbacks_taken"] > 10


def test_whoever_writes_is_not_asked() -> None:
    scenario = peak(0.5)
    channels = {**scenario.config.channels, "phone": Channel(lasting=True)}
    with pytest.raises(ConfigError) as refused:
        check(replace(scenario, config=replace(scenario.config, channels=channels)))
    assert refused.value.path == "arrivals[0].callback"
