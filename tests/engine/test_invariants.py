"""The invariants notice damage: each is shown a state that was spoilt on purpose."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from router.engine import invariants
from router.engine.events import OfferMade
from router.engine.model import State
from router.engine.transitions import ACTIVE, CLOSED, QUEUED
from router.engine.views import Outbound
from tests.engine.support.office import OFFICE, WRAPS, Office

pytestmark = pytest.mark.promise("DU-3", "RT-5", "CP-2", "OF-6")


def a_day() -> State:
    """1 is offered, 2 active, 3 in wrap-up, 4 closed, 5 and 6 wait."""
    office = Office(WRAPS, ready=("ana", "ben"))
    closed, wrapped, active = (office.arrive("chat") for _ in range(3))
    for number in (closed, wrapped, active):
        office.accept(number)
    for number in (closed, wrapped):
        office.complete(number)
    office.complete(closed)
    for _ in range(3):
        office.arrive("email", lease_ms=600_000)
    assert not invariants.broken(office.state)
    return office.state


def first(s: State, state: int) -> int:
    return next(item.number for item in s.interactions.values() if item.state == state)


Damage = Callable[[State], object]


def load(s: State) -> None:
    s.agents["ana"].load += 1


def offer_forgotten_by_agent(s: State) -> None:
    s.agents[next(iter(s.offers.values())).agent].offers.clear()


def offer_forgotten_by_interaction(s: State) -> None:
    s.interactions[next(iter(s.offers.values())).interaction].offers = ()


def offer_without_agent(s: State) -> None:
    del s.offers[next(iter(s.offers))]


def out_of_line(s: State) -> None:
    s.matcher.dequeue(s.interactions[first(s, QUEUED)])


def twice_in_line(s: State) -> None:
    item = s.interactions[first(s, QUEUED)]
    s.matcher.waiting.push(item.place, item.enqueued_at_ms << 40 | 99)


def wrong_class(s: State) -> None:
    s.interactions[first(s, QUEUED)].band = "urgent"


def two_owners(s: State) -> None:
    number = first(s, ACTIVE)
    for agent in s.agents.values():
        agent.work[number] = None


def no_owner(s: State) -> None:
    s.interactions[first(s, ACTIVE)].owner = ""


def head(s: State) -> None:
    s.matcher.waiting.head[s.interactions[first(s, QUEUED)].place] += 1


def filled(s: State) -> None:
    s.matcher.waiting.filled = 0


def counter(s: State) -> None:
    s.queues["support"].counts[QUEUED] += 1


def present(s: State) -> None:
    s.matcher.present[s.agents["ana"].profile, s.agents["ana"].capacity] ^= 1 << s.agents["ana"].index


def timers(s: State) -> None:
    s.timers.clear()


def heap(s: State) -> None:
    s.timers.reverse()


def thread(s: State) -> None:
    s.threads["nobody"] = 999


def lost_thread(s: State) -> None:
    del s.threads[s.interactions[first(s, QUEUED)].threads[0]]


def closed(s: State) -> None:
    s.closed.clear()


def letters(s: State) -> None:
    letter = next(iter(s.outbound.values()), None)
    assert isinstance(letter, Outbound)
    s.dead[letter.outbound] = letter


def keys(s: State) -> None:
    s.intake_keys.known["mail:x"] = 1


def stamps(s: State) -> None:
    s.agents["ana"].stamp = s.agents["ben"].stamp


def counted(s: State) -> None:
    s.agents["sue"].counted = True


def retired(s: State) -> None:
    s.agents["sue"].retired = True


def old_configuration(s: State) -> None:
    s.agents["sue"].config = replace(s.agents["sue"].config, team="red")


def cell(s: State) -> None:
    s.matcher.withdraw(s.agents["ana"])


def fits(s: State) -> None:
    s.matcher.cells_of[0] ^= 1


def unserved(s: State) -> None:
    s.agents["ana"].declared = "not_ready"


def grace(s: State) -> None:
    s.agents["ana"].sessions.clear()


@pytest.mark.parametrize(
    "damage",
    [
        load,
        offer_forgotten_by_agent,
        offer_forgotten_by_interaction,
        offer_without_agent,
        out_of_line,
        twice_in_line,
        wrong_class,
        two_owners,
        no_owner,
        head,
        filled,
        counter,
        present,
        timers,
        heap,
        thread,
        lost_thread,
        closed,
        letters,
        keys,
        stamps,
        counted,
        retired,
        old_configuration,
        cell,
        fits,
        unserved,
        grace,
    ],
    ids=lambda damage: damage.__name__,
)
def test_damage_is_noticed(damage: Damage) -> None:
    s = a_day()
    damage(s)
    assert invariants.broken(s)


def test_work_that_waits_beside_an_idle_agent_is_noticed() -> None:
    office = Office()
    office.arrive()
    s = office.state
    s.agents["ana"].declared, s.agents["ana"].sessions = "ready", {"s": 1}
    office.engine.resume()
    assert any("waits although ana is free" in wrong for wrong in invariants.broken(s))


def test_more_than_capacity_allows_is_noticed_unless_somebody_asked_for_it() -> None:
    office = Office(OFFICE, ready=("ana",))
    office.active()
    number = office.arrive()
    s = office.state
    item = s.interactions[number]
    s.matcher.dequeue(item)
    item.state, item.owner = ACTIVE, "ana"
    assert invariants.Watch().after(s, OfferMade(9, number, "ana", 0))
    assert not invariants.Watch().after(s, OfferMade(9, number, "ana", 0, "assign-override"))
    assert CLOSED not in (item.state,)
