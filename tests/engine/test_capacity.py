"""What an agent can have at once. That no position of any history exceeds it is checked in every test (`Watch`)."""

from __future__ import annotations

from itertools import product

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine.capacity import LOAD_BITS, Capacity
from router.engine.config import Agent, Channel
from router.engine.lookups import agent_view, load_by_channel
from router.errors import NoCapacity
from tests.engine.support.office import OFFICE, WRAPS, Office, agents_with, made, seconds

SKILLED = {"support": 5}


@pytest.mark.promise("CP-1")
def test_a_cap_holds_for_its_channel_and_an_agents_own_beats_the_channels() -> None:
    staff = {"ana": Agent(skills=SKILLED), "ben": Agent(skills=SKILLED, caps={"chat": 3, "email": 0})}
    office = Office(agents_with(OFFICE, **staff))
    for _ in range(4):
        office.arrive("chat")
        office.arrive("email")
    assert len(made(office.ready("ana"))) == 3  # two chats and an email
    assert len(made(office.ready("ben"))) == 2  # the other chats; no email, ever
    assert load_by_channel(office.state, office.state.agents["ana"]) == {"chat": 2, "email": 1}


@pytest.mark.promise("CP-1")
def test_a_budget_holds_over_all_channels() -> None:
    channels = {"chat": Channel(cap=5, weight=2), "email": Channel(cap=5, weight=3, drain=seconds(0))}
    config = agents_with(replace(OFFICE, channels=channels), ana=Agent(skills=SKILLED, budget=7))
    office = Office(config, ready=("ana",))
    taken = [office.state_of(office.arrive(channel)) for channel in ("chat", "email", "email", "chat", "chat")]
    assert taken == ["offered", "offered", "queued", "offered", "queued"]


@pytest.mark.promise("CP-1")
def test_a_call_needs_a_free_agent_and_takes_all_of_them() -> None:
    office = Office(ready=("ana",))
    chat = office.arrive("chat")
    call = office.arrive("phone")
    assert office.state_of(call) == "queued"
    office.accept(chat)
    office.complete(chat)
    assert office.offered_to(call) == ["ana"]
    assert office.state_of(office.arrive("chat")) == "queued"
    office.accept(call)
    assert office.state_of(office.arrive("email")) == "queued"
    assert len(made(office.complete(call))) == 2


@pytest.mark.promise("CP-1")
def test_the_written_precedence_for_all_small_loads() -> None:
    """Exclusive first, then the cap, then the budget: compared with the words, for every load up to three of each."""
    caps, weights, exclusive = (1, 2, 3), (4, 2, 1), (True, False, False)
    for budget in (2, 4, 6, 100):
        capacity = Capacity(caps, budget, weights, exclusive)
        for held in product(range(4), repeat=3):
            load = sum(n << LOAD_BITS * i for i, n in enumerate(held))
            used = sum(n * weight for n, weight in zip(held, weights, strict=True))
            for i in range(3):
                room = not held[0] and not (exclusive[i] and load) and held[i] < caps[i] and used + weights[i] <= budget
                assert bool(capacity.room(load) >> i & 1) == room, (held, i, budget)


@pytest.mark.promise("CP-2")
def test_an_open_offer_takes_its_room_from_the_instant_it_is_made() -> None:
    office = Office(ready=("ana",))
    first = office.arrive()
    assert office.offered_to(first) == ["ana"]
    second = office.arrive()
    assert office.state_of(second) == "queued"
    with pytest.raises(NoCapacity):
        office.do(c.Pick(agent="ana", interaction=second))
    out = office.do(c.Leave(thread=office.thread(first)))
    assert made(out) == [(second, "ana")]


@pytest.mark.promise("CP-2")
def test_three_is_three_under_a_burst() -> None:
    office = Office(agents_with(OFFICE, ana=Agent(skills=SKILLED, caps={"chat": 3})), ready=("ana",))
    numbers = [office.arrive("chat") for _ in range(10)]
    for number in numbers[:3]:
        office.accept(number)
    assert [office.state_of(number) for number in numbers] == ["active"] * 3 + ["queued"] * 7


@pytest.mark.promise("CP-3")
def test_one_load_serves_offers_picks_transfers_reopening_and_reports() -> None:
    office = Office(WRAPS, ready=("ana",))
    ana = office.state.agents["ana"]
    number = office.active("email")
    office.complete(number)  # in wrap-up, and still load
    assert agent_view(office.state, ana).load == {"email": 1}
    other = office.arrive("email")
    assert office.state_of(other) == "queued"
    with pytest.raises(NoCapacity):
        office.do(c.Pick(agent="ana", interaction=other))
    with pytest.raises(NoCapacity):
        office.do(c.Assign(interaction=other, agent="ana", by="operator:sam"))
    office.do(c.Transfer(interaction=other, to=c.Target(agent="ana"), by="operator:sam"))
    assert office.state_of(other) == "queued"
    office.do(c.Requeue(interaction=number, by="operator:sam"))
    assert (office.offered_to(number), office.state_of(other)) == (["ana"], "queued")
    assert agent_view(office.state, ana).load == {"email": 1}


@pytest.mark.promise("CP-3")
def test_override_is_the_one_way_over_a_cap_and_gives_no_room_to_others() -> None:
    office = Office(ready=("ana",))
    office.active("email")
    second = office.arrive("email")
    office.do(c.Assign(interaction=second, agent="ana", by="operator:sam", override=True))
    assert agent_view(office.state, office.state.agents["ana"]).load == {"email": 2}
    assert office.state_of(office.arrive("email")) == "queued"
    assert office.state_of(office.arrive("chat")) == "offered", "other channels go by their own caps"
