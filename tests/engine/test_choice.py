"""Who gets it: each rule by which a queue chooses an agent (RT-6), against what it says in words."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import matching, occupancy
from router.engine.choice import level, mixed
from router.engine.config import Agent, Blend, Channel, Config, Queue, Rule, to_bytes
from router.engine.engine import Engine
from router.engine.lines import Lines, nth
from router.engine.matching import Profile
from router.engine.occupancy import FULL, HALF_LIFE_MS
from router.engine.requirements import Node
from tests.engine.support.office import Office, seconds

STATIC = ("best-level", "least-flexible", "fastest", "slowest")


def floor(choice: Any, agents: dict[str, Agent], **support: Any) -> Config:
    """One queue with this rule, and two more that ask for other skills."""
    return Config(
        channels={"email": Channel(cap=1), "chat": Channel(cap=3)},
        skills=("support", "sales", "spanish"),
        queues={
            "support": Queue(requirement=Node(skill="support"), choice=choice, **support),
            "sales": Queue(requirement=Node(skill="sales")),
            "spanish": Queue(requirement=Node(skill="spanish")),
        },
        rules=tuple(Rule(name, name, to=(name,)) for name in ("sales", "spanish")),
        default_queue="support",
        agents=agents,
    )


def open_floor(choice: Any, agents: dict[str, Agent], **support: Any) -> Office:
    """All are ready, in this order; so the first has been idle longest."""
    return Office(floor(choice, agents, **support), ready=tuple(agents))


def given_in_turn(office: Office, n: int) -> list[str]:
    """Who gets the first, the second, ... of `n` that come while nobody finishes."""
    return [office.offered_to(office.arrive())[0] for _ in range(n)]


def skilled(**skills: int) -> Agent:
    return Agent(skills=skills)


@pytest.mark.promise("RT-6")
def test_best_level_goes_by_the_skill_asked_for_and_then_by_idle_time() -> None:
    agents = {
        "a": skilled(support=3),
        "b": skilled(support=7, sales=1),
        "c": skilled(support=7),
        "d": skilled(support=9),
    }
    assert given_in_turn(open_floor("best-level", agents), 4) == ["d", "b", "c", "a"]


@pytest.mark.promise("RT-6")
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Node(skill="support"), 6),
        (Node(all=(Node(skill="support"), Node(skill="spanish"))), 2),  # a chain is as strong as its weakest link
        (Node(any=(Node(skill="support"), Node(skill="spanish"))), 6),
        (Node(any=(Node(skill="support", level=8), Node(skill="spanish"))), 2),  # only what is met counts
        (Node(all=(Node(skill="support"), Node(negated=Node(skill="sales")))), 6),
        (Node(all=(Node(skill="support"), Node(skill="sales", op="<", level=3))), 6),
        (Node(language="en"), 0),
        (Node(all=()), 0),
    ],
)
def test_the_level_at_what_is_asked_for(asked: Node, expected: int) -> None:
    assert level(asked, Profile({"support": 6, "spanish": 2}, ("en",), {}, "", "")) == expected


@pytest.mark.promise("RT-6")
def test_least_flexible_keeps_those_free_who_fit_more_queues() -> None:
    agents = {
        "all": skilled(support=1, sales=1, spanish=1),
        "two": skilled(support=9, sales=1),
        "one": skilled(support=2),
        "else": skilled(support=5),
    }
    assert given_in_turn(open_floor("least-flexible", agents), 4) == ["one", "else", "two", "all"]


@pytest.mark.promise("RT-6")
def test_a_queue_that_asks_for_an_agent_by_name_makes_that_agent_more_flexible() -> None:
    config = floor("least-flexible", {"a": skilled(support=1), "b": skilled(support=1)})
    config = replace(config, queues={**config.queues, "for-a": Queue(requirement=Node(agent=("a",)))})
    assert given_in_turn(Office(config, ready=("a", "b")), 2) == ["b", "a"]


def paced(support_s: float | None, **more: float) -> Agent:
    times = {queue: seconds(n) for queue, n in more.items()}
    return Agent(skills={"support": 1}, handle_times=times | ({"support": seconds(support_s)} if support_s else {}))


@pytest.mark.promise("RT-6")
def test_fastest_and_slowest_go_by_the_handle_time_on_this_queue() -> None:
    """Who is not known counts as usual; a time on another queue says nothing."""
    agents = {"slow": paced(300), "usual": paced(None, sales=1), "quick": paced(100)}
    for rule, expected in (("fastest", ["quick", "usual", "slow"]), ("slowest", ["slow", "usual", "quick"])):
        assert given_in_turn(open_floor(rule, agents, handle_time=seconds(200)), 3) == expected
        without_usual = [name for name in expected if name != "usual"] + ["usual"]
        assert given_in_turn(open_floor(rule, agents), 3) == without_usual


@pytest.mark.promise("RT-6")
def test_a_blend_adds_up_points() -> None:
    """Ten points for level 10, five a minute: after two minutes the longer idle makes up for two levels and more."""
    agents = {"novice": skilled(support=4), "expert": skilled(support=6)}
    weights = Blend(level=10.0, idle=5.0)
    office = Office(floor("blend", agents, blend=weights), ready=("novice",))
    office.pass_s(24 - 0.001)
    office.ready("expert")
    assert given_in_turn(office, 1) == ["expert"]
    office = Office(floor("blend", agents, blend=weights), ready=("novice",))
    office.pass_s(24)  # 24 s are 2 points: equal, and then the longest idle
    office.ready("expert")
    assert given_in_turn(office, 1) == ["novice"]


@pytest.mark.promise("RT-6")
def test_a_blend_knows_speed_and_focus() -> None:
    quick = Agent(skills={"support": 1, "sales": 1, "spanish": 1}, handle_times={"support": seconds(100)})
    agents = {"quick": quick, "focused": skilled(support=1)}
    for weights, first in (
        (Blend(speed=1.0, idle=0.0), "quick"),  # 2 points against 1
        (Blend(focus=1.0, idle=0.0), "focused"),  # 2/3 against 0
        (Blend(speed=1.0, focus=1.6, idle=0.0), "focused"),  # 2 against 1 + 1.6 x 2/3
        (Blend(speed=1.0, focus=1.4, idle=0.0), "quick"),  # 2 against 1 + 1.4 x 2/3
    ):
        office = open_floor("blend", agents, blend=weights, handle_time=seconds(200))
        assert given_in_turn(office, 1) == [first]


@pytest.mark.promise("RT-6", "OF-5")
def test_an_offer_that_is_withdrawn_costs_no_idle_time() -> None:
    agents = {"a": skilled(support=5), "b": skilled(support=5, sales=1)}
    office = Office(floor("blend", agents, blend=Blend(idle=1.0)), ready=("a",))
    office.pass_s(60)
    office.ready("b")
    number = office.arrive()
    assert office.offered_to(number) == ["a"]
    office.pass_s(5)
    office.do(c.Leave(thread=office.thread(number)))
    assert given_in_turn(office, 1) == ["a"]


# --- who was busy least -----------------------------------------------------------------------------------------------


@pytest.mark.promise("RT-6")
def test_least_occupied_goes_by_busy_time_not_by_idle_time() -> None:
    office = open_floor("least-occupied", {"a": skilled(support=1), "b": skilled(support=1)})
    long = office.active()
    assert office.item(long).owner == "a"
    office.pass_s(600)
    office.complete(long)
    short = office.active()
    assert office.item(short).owner == "b"
    office.pass_s(30)
    office.complete(short)
    assert given_in_turn(office, 2) == ["b", "a"], "a has been idle longer, and was busy longer"


@pytest.mark.promise("RT-6")
def test_time_away_is_neither_work_nor_rest() -> None:
    office = open_floor("least-occupied", {"a": skilled(support=1), "b": skilled(support=1)})
    for seconds_busy in (600, 300):
        number = office.active()
        office.pass_s(seconds_busy)
        office.complete(number)
        office.pause(office.item(number).owner)  # a after 600 s; then b, after 300
        if seconds_busy == 600:
            assert office.item(number).owner == "a"
    office.pass_s(7_200)
    office.ready("b")
    office.ready("a")
    assert given_in_turn(office, 2) == ["b", "a"]


@pytest.mark.promise("RT-6")
@pytest.mark.parametrize("seed", range(4))
def test_the_occupancy_is_that_of_a_plain_calculation(seed: int) -> None:
    """With logarithms and powers of the library, which the engine may not use: another machine has others."""
    r = Random(seed)
    share, plain, t = 0, 0.0, 1_700_000_000_000
    for i in range(200):
        ms = r.choice((0, 1, 900, 65_432, 1_800_000, 7_777_777))
        share, t = occupancy.after(share, ms, i % 2 == 0), t + ms
        fades: float = 2 ** (-ms / HALF_LIFE_MS)
        plain = plain * fades + ((1 - fades) if i % 2 == 0 else 0)
        assert share / FULL == pytest.approx(plain, abs=1e-5)
        assert 0 <= share <= FULL
    assert occupancy.faded(FULL, 100 * HALF_LIFE_MS) == 0


@pytest.mark.promise("RT-6")
def test_two_who_stay_idle_keep_their_order() -> None:
    r = Random(1)
    for _ in range(500):
        first, second = ((r.randint(1, FULL), 1_700_000_000_000 + r.randint(0, 9_000_000)) for _ in range(2))
        later = 1_700_000_000_000 + 9_000_000 + r.randint(0, 9_000_000)
        shares = [occupancy.faded(share, later - at) for share, at in (first, second)]
        keys = [occupancy.key(*first), occupancy.key(*second)]
        if abs(shares[0] - shares[1]) > max(shares) // 10_000 + 2:
            assert (shares[0] < shares[1]) == (keys[0] < keys[1])
    assert occupancy.key(0, 1_700_000_000_000) < occupancy.key(1, 1_700_000_000_000)


@pytest.mark.promise("RT-6", "DU-3")
def test_times_start_with_the_configuration_that_asks_for_them() -> None:
    office = open_floor("longest-idle", {"a": skilled(support=1), "b": skilled(support=1)})
    office.pass_s(60)
    office.configure(floor("least-occupied", dict(office.state.config.agents)))
    assert {agent.busy_at_ms for agent in office.state.agents.values()} == {office.now_ms}
    assert given_in_turn(office, 2) == ["a", "b"]


# --- chance -----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("RT-6", "DU-3")
def test_random_is_the_same_wherever_it_is_decided_and_looks_at_nothing_but_the_offer() -> None:
    agents = {f"a{i}": skilled(support=1 + i % 3) for i in range(7)}
    office = open_floor("random", agents)
    for _ in range(30):
        restored = Engine.restore(office.engine.snapshot())
        ask = c.Arrive(channel="email", threads=(f"t{office.now_ms}",))
        office.now_ms += 17
        expected = restored.handle(ask, office.now_ms + 5_000).events
        assert office.do(ask).events[1].agent == expected[1].agent  # type: ignore[attr-defined]
        number = office.state.last_interaction
        office.accept(number)
        office.complete(number)


@pytest.mark.promise("RT-6")
@pytest.mark.parametrize("n", [3, 90])
def test_random_gives_everybody_the_same_chance(n: int) -> None:
    """Chi-square: a value beyond n + 4 sqrt(2n) + 8 has a chance of less than one in ten thousand."""
    agents = {f"a{i}": Agent(skills={"support": 1 + i % 5}) for i in range(n)}
    engine = Office(floor("random", agents)).engine
    engine.quiet = True
    for name in agents:
        engine.handle(c.OpenSession(agent=name, session="s"), 0)
        engine.handle(c.SetState(agent=name, state="ready"), 0)
    times, got = 40, Counter[str]()
    for i in range(times * n):
        number = engine.handle(c.Arrive(channel="email", threads=(f"m{i}",)), i).reply.interaction
        offer = next(iter(engine.state.offers.values()))
        got[offer.agent] += 1
        engine.handle(c.Accept(agent=offer.agent, offer=offer.number), i)
        engine.handle(c.Complete(agent=offer.agent, interaction=number), i)
    assert sum((got[name] - times) ** 2 / times for name in agents) < n + 4 * (2 * n) ** 0.5 + 8


@pytest.mark.promise("RT-6")
@pytest.mark.parametrize("seed", range(5))
def test_the_nth_of_several_lines_is_that_of_one_list(seed: int) -> None:
    r, lines = Random(seed), Lines()
    entries = r.sample(range(5_000), 400)
    numbers = [lines.add_line() for _ in range(4)]
    where = {entry: r.choice(numbers[:3]) for entry in entries}
    for entry in entries:
        lines.push(where[entry], entry)
    for entry in r.sample(entries, 150):
        lines.remove(where.pop(entry), entry)
    expected = sorted(where)
    assert [lines.nth(numbers, n) for n in range(len(expected))] == expected
    assert nth([([5], 0, 1)], 0) == 5


@pytest.mark.promise("RT-6")
def test_random_finds_somebody_who_was_not_tried_among_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "LISTED", 4)
    engine = open_floor("random", {f"a{i}": skilled(support=1) for i in range(9)}, cool_off=seconds(600)).engine
    engine.handle(c.Arrive(channel="email", threads=("m",)), 2_000_000)
    refused = set()
    for _ in range(8):
        (offer,) = engine.state.offers.values()
        refused.add(offer.agent)
        engine.handle(c.Decline(agent=offer.agent, offer=offer.number), 2_000_000)
    (offer,) = engine.state.offers.values()
    assert {offer.agent} == set(engine.state.agents) - refused


@pytest.mark.promise("RT-6")
def test_the_hash_has_no_pattern_that_counting_up_would_show() -> None:
    for modulus in (2, 3, 10, 64):
        drawn = Counter(mixed(offer, 0) % modulus for offer in range(1, 20_001))
        assert max(drawn.values()) - min(drawn.values()) < 6 * (20_000 / modulus) ** 0.5
    repeats = sum(a == b for a, b in pairwise(mixed(offer, 0) % 10 for offer in range(20_000)))
    assert 1_750 < repeats < 2_250


# --- fairness and the whole qualified set -----------------------------------------------------------------------------


@pytest.mark.promise("RT-6")
@pytest.mark.parametrize("choice", ["longest-idle", *STATIC, "blend"])
@pytest.mark.parametrize(("n", "k", "cap"), [(5, 6, 1), (4, 5, 3)])
def test_equal_agents_take_turns_under_every_rule_that_holds_them_equal(choice: str, n: int, k: int, cap: int) -> None:
    agents = {f"a{i}": Agent(skills={"support": 5}, caps={"email": cap}) for i in range(n)}
    r, office, share = Random(n), open_floor(choice, agents), Counter[str]()
    for _ in range(k * n):
        office.now_ms += r.randint(1, 9_000)
        number = office.arrive()
        share[office.accept(number)] += 1
        office.complete(number)
    assert max(share.values()) - min(share.values()) <= 1, share


@pytest.mark.promise("RT-6", "OF-3")
@pytest.mark.parametrize("choice", [*STATIC, "least-occupied", "blend", "random"])
def test_who_declined_is_passed_over_and_the_next_best_gets_it(choice: str) -> None:
    agents = {f"a{i}": Agent(skills={"support": i + 1}, handle_times={"support": seconds(i + 1)}) for i in range(5)}
    office = open_floor(choice, agents)
    number = office.arrive()
    refused = [office.decline(number) for _ in range(5)]
    assert sorted(refused) == sorted(agents), "everybody is asked once before anybody is asked twice"
    if choice in ("best-level", "slowest"):
        assert refused == ["a4", "a3", "a2", "a1", "a0"]
    if choice in ("least-flexible", "fastest", "least-occupied", "blend"):
        assert refused == ["a0", "a1", "a2", "a3", "a4"]


@pytest.mark.promise("RT-6")
@pytest.mark.parametrize("choice", [*STATIC, "least-occupied", "blend", "random"])
def test_a_rule_looks_at_heads_and_not_at_everybody(choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times the agents of the same profiles: the same number of looks at the lines' heads."""
    looks = []
    for n in (100, 1_000):
        agents = {
            f"a{i}": Agent(skills={"support": 1 + i % 5}, handle_times={"support": seconds(1 + i % 5)})
            for i in range(n)
        }
        engine = Engine(quiet=True)
        engine.handle(c.Configure(document=to_bytes(floor(choice, agents))), 0)
        for name in agents:
            engine.handle(c.OpenSession(agent=name, session="s"), 0)
            engine.handle(c.SetState(agent=name, state="ready"), 0)
        seen = _Counted(engine.state.matcher.idle.head)
        monkeypatch.setattr(engine.state.matcher.idle, "head", seen)
        if engine.state.matcher.occupied is not None:
            monkeypatch.setattr(engine.state.matcher.occupied, "head", seen)
        engine.handle(c.Arrive(channel="email", threads=("t",)), 1)
        looks.append(seen.looks)
    assert looks[0] == looks[1] > 0


class _Counted(list[int]):
    looks = 0

    def __getitem__(self, index: int) -> int:  # type: ignore[override]
        self.looks += 1
        return super().__getitem__(index)
