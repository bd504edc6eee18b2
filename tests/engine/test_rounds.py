"""What everybody refuses is offered again at once, but not without end (OF-3)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Agent
from router.engine.engine import Engine
from router.engine.explain import explain, why_not
from router.engine.rounds import FREE, LONGEST_MS, floor_ms
from tests.engine.support.office import OFFICE, Office, agents_with, happened, made, office_with, seconds

pytestmark = pytest.mark.promise("OF-3")

ALONE = agents_with(OFFICE, ana=Agent(skills={"support": 5}))
NO_COOL_OFF = office_with(cool_off=seconds(0))


def declines_in(office: Office, number: int, s: float) -> list[int]:
    """Whoever is offered it declines at once, for so long; the times of the offers."""
    until, times = office.now_ms + int(s * 1_000), list[int]()
    while office.now_ms < until:
        while office.offers_of(number):
            times.append(office.now_ms)
            office.decline(number)
            assert len(times) < 1_000, "it spins"
        due = office.engine.next_deadline_ms()
        if due is None:
            break
        office.now_ms = min(max(due, office.now_ms), until)
        office.do(c.Tick())
    return times


@pytest.mark.parametrize("config", [OFFICE, NO_COOL_OFF], ids=["cool-off", "no cool-off"])
def test_two_who_keep_declining_do_not_spin(config: object) -> None:
    office = Office(config, ready=("ana", "ben"))  # type: ignore[arg-type]
    number = office.arrive()
    start = office.now_ms
    times = declines_in(office, number, 600)
    assert times.count(start) == 2 * (FREE + 1), "the first rounds follow each other at once"
    rounds = sorted(set(times))
    pauses = [b - a for a, b in pairwise(rounds)]
    assert pauses[:5] == [1_000, 2_000, 4_000, 8_000, 16_000]
    assert set(pauses[5:]) == {LONGEST_MS}
    assert all(times.count(t) == 2 for t in rounds[1:]), "in each round both are asked"


def test_a_single_agent_is_eligible_at_once_but_not_for_ever() -> None:
    office = Office(ALONE, ready=("ana",))
    number = office.arrive()
    start = office.now_ms
    times = declines_in(office, number, 10)
    assert times.count(start) == FREE + 1
    assert times[FREE + 1] == start + 1_000


def test_the_floor_grows_to_its_cap_and_no_further() -> None:
    floors = [floor_ms(n) for n in range(1_000)]
    assert floors == sorted(floors)
    assert (floors[FREE], floors[FREE + 1], floors[-1]) == (0, 1_000, LONGEST_MS)


def test_rounds_of_missed_offers_take_their_time_anyway_and_are_not_delayed() -> None:
    office = Office(office_with(offer_timeout=seconds(40)), ready=("ana", "ben"))
    number = office.arrive()
    offers = 1
    for _ in range(2 * (FREE + 3)):
        if not office.state.agents["ana"].available or not office.state.agents["ben"].available:
            office.do(c.SetState(agent="ana", state="ready"))
            office.do(c.SetState(agent="ben", state="ready"))
        office.do(c.Note(interaction=number, text="tick", by="ana"))
        out = office.pass_s(40)
        offers += len(made(out))
        assert office.state_of(number) == "offered", "whoever is next is asked at once"
    assert offers == 2 * (FREE + 3) + 1


def test_somebody_new_is_asked_at_once_although_all_others_pause() -> None:
    office = Office(OFFICE, ready=("ana",))
    number = office.arrive()
    declines_in(office, number, 0.5)
    assert office.state_of(number) == "queued"
    office.ready("ben")
    assert office.offered_to(number) == ["ben"]
    office.decline(number)
    assert office.state_of(number) == "queued"
    office.pass_s(1)
    assert office.offered_to(number) == ["ana"]


def test_who_comes_during_a_pause_and_goes_leaves_nobody_waiting() -> None:
    office = Office(OFFICE, ready=("ana",))
    number = office.arrive()
    declines_in(office, number, 0.5)
    office.ready("ben")
    office.decline(number)
    office.sign_out("ana")
    office.pass_s(1)
    assert office.offered_to(number) == ["ben"], "ana has left, and nobody else can"


def test_an_acceptance_forgets_the_rounds() -> None:
    office = Office(ALONE, ready=("ana",))
    number = office.arrive()
    for _ in range(FREE):
        office.decline(number)
    office.accept(number)
    office.do(c.Requeue(interaction=number, by="operator:sam"))
    start = office.now_ms
    assert declines_in(office, number, 0.5).count(start) >= FREE


def test_a_line_that_fails_at_once_does_not_spin_either() -> None:
    office = Office(office_with(ALONE, auto_accept=True), ready=("ana",))
    number = office.arrive("phone")
    failures = 0
    while office.state_of(number) == "active" and failures < 100:
        office.do(c.FailConnection(thread=office.thread(number)))
        failures += 1
    assert failures < 100 or office.item(number).connect_failures == 100


def test_explain_tells_of_the_pause_and_when_it_ends() -> None:
    office = Office(ready=("ana", "ben"))
    number = office.arrive()
    declines_in(office, number, 0.4)
    told = why_not(office.state, number, "ana", office.now_ms)
    assert told["code"] == "pausing"
    assert f"{FREE + 1} times" in told["reason"]
    about = explain(office.state, number, office.now_ms)
    assert about["rounds_refused"] == FREE + 1
    ends = about["next_change_at_ms"]
    office.now_ms = ends
    out = office.do(c.Tick())
    assert happened(out, e.CoolOffEnded)
    assert made(out) == [(number, "ana")]


@pytest.mark.promise("DU-3")
def test_a_pause_survives_a_restart() -> None:
    office = Office(ready=("ana", "ben"))
    number = office.arrive()
    declines_in(office, number, 0.4)
    restored = Engine.restore(office.engine.snapshot())
    assert restored.next_deadline_ms() == office.engine.next_deadline_ms()
    assert restored.state.rounds[number].done == office.state.rounds[number].done
