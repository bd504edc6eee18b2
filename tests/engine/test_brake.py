"""The collapse of a floor where everybody is slow to answer, without the brake and with it (OF-4).

A small world by chance, with the engine in it: agents who think longer than an offer is open more often than not, and
whom one missed offer takes off. A seed is a day; nothing here sleeps.
"""

from __future__ import annotations

from heapq import heappop, heappush
from random import Random

import pytest
from msgspec import Struct
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Agent, Config, Presence, Rule, to_bytes
from router.engine.engine import Engine, Outcome
from router.errors import OfferGone
from tests.engine.support.office import OFFICE, Office, agents_with, happened, seconds

pytestmark = pytest.mark.promise("OF-4")

MINUTE_MS = 60_000


class Day(Struct):
    """What came of it: the smallest staff of each queue, as a share, and what was answered and when."""

    staff: dict[str, float]
    accepted: list[int]
    alerts: int
    returned: int


class World:
    def __init__(self, config: Config, seed: int, slow_until_ms: int) -> None:
        self.r, self.engine, self.now_ms = Random(seed), Engine(), 0
        self.slow_until_ms, self.serial = slow_until_ms, 0
        self.plans: list[tuple[int, int, c.AnyCommand]] = []
        self.day = Day({}, [], 0, 0)
        self._ask(c.Configure(document=to_bytes(config)))
        for name in config.agents:
            self._ask(c.OpenSession(agent=name, session="s"))
            self._ask(c.SetState(agent=name, state="ready"))

    def run(self, minutes: int, per_minute: float) -> Day:
        at = 0.0
        while at < minutes * MINUTE_MS:
            at += self.r.expovariate(per_minute / MINUTE_MS)
            queue = self.r.choice(list(self.engine.state.queues))
            self._plan(int(at), c.Arrive(channel="email", threads=(f"m{at}",), recipient=queue))
        while self.plans:
            due = self.engine.next_deadline_ms()
            at_ms, _, command = self.plans[0]
            if due is not None and due <= at_ms:
                self.now_ms, command = due, c.Tick()
            else:
                heappop(self.plans)
                self.now_ms = at_ms
            if self.now_ms > minutes * MINUTE_MS:
                break
            self._ask(command)
        return self.day

    def _plan(self, at_ms: int, command: c.AnyCommand) -> None:
        self.serial += 1
        heappush(self.plans, (at_ms, self.serial, command))

    def _ask(self, command: c.AnyCommand) -> None:
        try:
            out = self.engine.handle(command, self.now_ms)
        except OfferGone:
            return  # too slow
        self._follow(out)

    def _follow(self, out: Outcome) -> None:
        for event in out.events:
            if type(event) is e.OfferMade:
                typical = 25.0 if self.now_ms < self.slow_until_ms else 5.0
                think = int(1_000 * self.r.lognormvariate(0, 0.4) * typical)
                self._plan(self.now_ms + think, c.Accept(agent=event.agent, offer=event.offer))
            elif type(event) is e.OfferAccepted:
                self.day.accepted.append(self.now_ms)
                work = int(self.r.expovariate(1 / 60_000))
                self._plan(self.now_ms + work, c.Complete(agent=event.agent, interaction=event.interaction))
            elif type(event) is e.AlertRaised:
                self.day.alerts += 1
            elif type(event) is e.StateChanged and event.reason == "returned":
                self.day.returned += 1
        self._count_staff()

    def _count_staff(self) -> None:
        s = self.engine.state
        for name, queue in s.queues.items():
            staff = [a for a in s.agents.values() if s.matcher.meets_node(a, queue.config.requirement)]
            if len(staff) < len(s.config.agents) // 4 or not all(a.sessions for a in staff):
                continue  # they are still signing in
            here = sum(1 for a in staff if a.reason != "missed-offers")
            self.day.staff[name] = min(here / len(staff), self.day.staff.get(name, 1.0))


def a_floor(share: float, agents: int = 40, **presence: object) -> Config:
    names = {f"agent-{i:02}": Agent(skills={"support": 1}) for i in range(agents)}
    rule = replace(Presence(misses=1, brake_share=share), **presence)
    return replace(agents_with(OFFICE, **names), presence=rule, queues={"support": OFFICE.queues["support"]})


def two_queues(share: float, **presence: object) -> Config:
    """20 agents serve only support, 20 only sales, 20 both."""
    kinds = [{"support": 1}, {"sales": 1}, {"support": 1, "sales": 1}]
    names = {f"agent-{i:02}": Agent(skills=kinds[i % 3]) for i in range(60)}
    rule = replace(Presence(misses=1, brake_share=share), **presence)
    config = replace(agents_with(OFFICE, **names), presence=rule)
    return replace(config, rules=RULES)


RULES = (Rule("support", "support", to=("support",)), Rule("sales", "sales", to=("sales",)))
SEEDS = (1, 2, 3)


@pytest.mark.parametrize("seed", SEEDS)
def test_without_the_brake_slow_answers_take_everybody_off(seed: int) -> None:
    world = World(a_floor(share=1.0), seed, slow_until_ms=20 * MINUTE_MS)
    day = world.run(20, per_minute=20)
    assert day.staff["support"] == 0
    assert not any(at > 15 * MINUTE_MS for at in day.accepted), "and then nobody answers at all"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_brake_keeps_three_quarters_of_the_staff_and_the_work_goes_on(seed: int) -> None:
    world = World(a_floor(share=0.25), seed, slow_until_ms=20 * MINUTE_MS)
    day = world.run(20, per_minute=20)
    assert day.staff["support"] >= 0.75
    assert sum(at > 15 * MINUTE_MS for at in day.accepted) > 20
    assert 1 <= day.alerts <= 21, "once in a window"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slow_collapse_is_braked_as_well(seed: int) -> None:
    """One goes every twenty seconds: never a quarter within a minute, and yet all of them within the half hour."""
    lost = World(a_floor(share=1.0), seed, slow_until_ms=60 * MINUTE_MS).run(60, per_minute=3)
    assert lost.staff["support"] <= 0.05
    kept = World(a_floor(share=0.25), seed, slow_until_ms=60 * MINUTE_MS).run(60, per_minute=3)
    assert kept.staff["support"] >= 0.75


@pytest.mark.parametrize("seed", SEEDS)
def test_queues_that_share_agents_each_keep_three_quarters(seed: int) -> None:
    lost = World(two_queues(share=1.0), seed, slow_until_ms=20 * MINUTE_MS).run(20, per_minute=30)
    assert max(lost.staff.values()) <= 0.05
    kept = World(two_queues(share=0.25), seed, slow_until_ms=20 * MINUTE_MS).run(20, per_minute=30)
    assert min(kept.staff.values()) >= 0.75


@pytest.mark.parametrize("seed", SEEDS)
def test_with_a_timer_they_come_back_and_the_brake_still_holds(seed: int) -> None:
    config = a_floor(share=0.25, return_after=seconds(90))
    world = World(config, seed, slow_until_ms=10 * MINUTE_MS)
    day = world.run(20, per_minute=20)
    assert day.returned > 10
    assert day.staff["support"] >= 0.75
    away = [a for a in world.engine.state.agents.values() if a.reason == "missed-offers"]
    assert len(away) <= 3, "when answers are quick again, everybody is back"


def test_one_who_is_really_gone_goes_even_while_the_rest_of_a_small_team_is_kept() -> None:
    """One of a queue may always go; the second of three stays, however long ago the first went."""
    office = Office(a_floor(share=0.25, agents=3), ready=tuple(f"agent-{i:02}" for i in range(3)))
    for _ in range(3):
        office.arrive()
    out = office.pass_s(20)
    changes = [x.agent for x in happened(out, e.StateChanged)]
    assert len(changes) == 1
    office.pass_s(600)
    away = [a.id for a in office.state.agents.values() if not a.available]
    assert away == changes
    office.do(c.SetState(agent=changes[0], state="ready"))
    out = office.pass_s(20)
    assert len([x for x in happened(out, e.StateChanged) if x.reason == "missed-offers"]) == 1, "the way is free again"


def test_whoever_signs_out_after_being_taken_off_is_no_staff_any_more() -> None:
    names = tuple(f"agent-{i:02}" for i in range(3))
    office = Office(a_floor(share=0.25, agents=3), ready=names)
    for _ in range(3):
        office.arrive()
    gone = happened(office.pass_s(20), e.StateChanged)[0].agent
    office.pass_s(61)
    assert all(a.available for a in office.state.agents.values() if a.id != gone), "one is enough"
    office.sign_out(gone)
    office.pass_s(20)
    assert sum(not a.available for a in office.state.agents.values()) == 2, "of two who are here, one may go"
