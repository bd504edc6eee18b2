"""Who gets what next: one order over all queues and channels, and the longest idle of all who fit."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine import invariants
from router.engine.config import Agent, Band, Calendar, Channel, Config, Queue, Rule
from router.engine.lines import Lines
from router.engine.lookups import estimate
from router.engine.matching import TIDY_MIN
from router.engine.requirements import Node
from router.engine.transitions import QUEUED
from router.errors import BadMessage
from tests.engine.support.office import (
    OFFICE,
    SUPPORT,
    Office,
    agents_with,
    arrived,
    given,
    made,
    office_with,
    seconds,
)
from tests.engine.support.oracle import order

# Two queues for one agent, so that everything compares.
LINES = Config(
    channels={"email": Channel(cap=1), "chat": Channel(cap=1)},
    bands=(Band("urgent"), Band("normal", seconds(600)), Band("low", seconds(1_200))),
    queues={
        "slow": Queue(target=seconds(60), head_start=seconds(0)),
        "fast": Queue(target=seconds(20), head_start=seconds(0)),
        "heavy": Queue(target=seconds(60), head_start=seconds(0), weight=6.0),
    },
    rules=tuple(Rule(name, name, to=(name,)) for name in ("slow", "fast", "heavy")),
    default_queue="slow",
    agents={"ana": Agent(caps={"email": 1, "chat": 1}, budget=1)},
)


def served(office: Office) -> list[int]:
    """Ana serves one after the other, at once and without wrap-up; in which order?"""
    office.ready("ana")
    order_of_service = []
    while any(item.state != 5 for item in office.state.interactions.values()):
        number = next(iter(office.state.offers.values())).interaction
        office.accept(number)
        office.complete(number)
        order_of_service.append(number)
    return order_of_service


@pytest.mark.promise("RT-1")
def test_what_has_used_most_of_its_promise_goes_first() -> None:
    office = Office(LINES)
    slow = office.arrive(recipient="slow")
    office.pass_s(20)
    fast = office.arrive(recipient="fast")
    office.pass_s(5)  # slow: 25/60 of its promise, fast: 5/20
    assert served(office)[0] == slow
    office = Office(LINES)
    slow = office.arrive(recipient="slow")
    office.pass_s(20)
    fast = office.arrive(recipient="fast")
    office.pass_s(11)  # slow: 31/60, fast: 11/20
    assert served(office) == [fast, slow]


@pytest.mark.promise("RT-1")
def test_a_weight_makes_time_count_more() -> None:
    office = Office(LINES)
    first = office.arrive(recipient="slow")
    office.pass_s(1)
    heavy = office.arrive(recipient="heavy")
    office.pass_s(1)
    assert served(office) == [heavy, first]  # 6 x 1/60 against 2/60


@pytest.mark.promise("RT-1")
def test_a_head_start_is_credit_on_arrival() -> None:
    queues = {**LINES.queues, "fast": replace(LINES.queues["fast"], target=seconds(60), head_start=seconds(10))}
    office = Office(replace(LINES, queues=queues))
    older = office.arrive(recipient="slow")
    office.pass_s(9)
    newer = office.arrive(recipient="fast")
    assert served(office) == [newer, older]


@pytest.mark.promise("RT-1")
def test_a_band_is_strict() -> None:
    rules = (Rule("now", "slow", to=("now",), band="urgent"), Rule("later", "slow", to=("later",), band="low"))
    office = Office(replace(LINES, rules=rules))
    late, usual = office.arrive(recipient="later"), office.arrive(recipient="else")
    office.pass_s(300)
    urgent = office.arrive(recipient="now")
    assert served(office) == [urgent, usual, late]


@pytest.mark.promise("RT-1")
def test_what_has_waited_out_its_band_joins_the_first_one() -> None:
    rules = (Rule("now", "slow", to=("now",), band="urgent"), Rule("later", "slow", to=("later",), band="low"))
    office = Office(replace(LINES, rules=rules))
    late = office.arrive(recipient="later")
    office.pass_s(1_200)
    urgent = office.arrive(recipient="now")
    assert served(office) == [late, urgent]


@pytest.mark.promise("RT-1", "RT-2")
def test_equal_priority_goes_by_age_whatever_the_queue_and_channel() -> None:
    """33 of 30 s against 22 of 20 s: equal on paper, and so here. The one that came first goes first."""
    queues = {
        "a": Queue(target=seconds(30), head_start=seconds(0)),
        "b": Queue(target=seconds(20), head_start=seconds(0)),
    }
    rules = (Rule("a", "a", to=("a",)), Rule("b", "b", to=("b",)))
    office = Office(replace(LINES, queues=queues, rules=rules, default_queue="a"))
    for third_ms in (11_000, 1_100, 11, 6_600, 7, 1):
        first = office.arrive("email", recipient="a")
        office.now_ms += third_ms
        second = office.arrive("chat", recipient="b")
        office.now_ms += 2 * third_ms
        assert served(office)[-2:] == [first, second]
        office.pause("ana")


@pytest.mark.promise("RT-2")
def test_of_equal_classes_the_oldest_goes_first() -> None:
    office = Office(LINES)
    numbers = []
    for i in range(20):
        numbers.append(office.arrive(("email", "chat")[i % 2], recipient="slow"))
        office.now_ms += i % 3
    assert served(office) == numbers


@pytest.mark.promise("RT-1")
def test_the_time_before_the_contact_was_recorded_counts() -> None:
    office = Office(LINES)
    first = office.arrive()
    older = office.arrive(received_at_ms=office.now_ms - 5_000)
    not_from_the_future = office.arrive(received_at_ms=office.now_ms + 5_000)
    assert office.item(not_from_the_future).enqueued_at_ms == office.now_ms
    assert served(office) == [older, first, not_from_the_future]


@pytest.mark.promise("RT-1")
def test_an_operator_changes_the_order() -> None:
    office = Office(LINES)
    numbers = [office.arrive() for _ in range(4)]
    office.do(c.Reprioritise(interaction=numbers[3], by="operator:sam", band="urgent"))
    office.pass_s(1)
    office.do(c.Reprioritise(interaction=numbers[2], by="operator:sam", weight=3))
    office.do(c.Reprioritise(interaction=numbers[1], by="operator:sam", target_ms=30_000))
    assert served(office) == [numbers[3], numbers[2], numbers[1], numbers[0]]


@pytest.mark.promise("RT-1")
@pytest.mark.parametrize(
    "wrong", [{"weight": -1.0}, {"weight": float("nan")}, {"weight": 1e9}, {"target_ms": -1}, {"target_ms": 1 << 70}]
)
def test_a_priority_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    given(arrived(1), e.OfferMade(1, 1, "ana", 20_000)).when(
        c.Reprioritise(interaction=1, by="operator:sam", **wrong)
    ).refuses(BadMessage)


# --- nothing hides anything -------------------------------------------------------------------------------------------


@pytest.mark.promise("RT-4")
def test_what_nobody_can_take_hides_nothing_and_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many nobody present can take stand ahead, the offer comes with the arrival, after the same few looks."""
    looks = []
    for ahead in (10, 10_000):
        office = Office(replace(OFFICE, rules=(Rule("sales", "sales", to=("sales",)),)))
        office.checked.engine.quiet = True
        for i in range(ahead):
            # Straight to the engine: the checks of an Office look at everything and would take hours.
            office.engine.handle(c.Arrive(channel="email", threads=(f"s{i}",), recipient="sales"), office.now_ms)
        office.engine.handle(c.OpenSession(agent="ana", session="s"), office.now_ms)
        looked_at = count_looks(office, monkeypatch)
        office.engine.handle(c.SetState(agent="ana", state="ready"), office.now_ms)
        out = office.engine.handle(c.Arrive(channel="email", threads=("mine",)), office.now_ms)
        assert made(out) == [(ahead + 1, "ana")]
        looks.append(looked_at())
    assert looks[0] == looks[1] > 0


def count_looks(office: Office, monkeypatch: pytest.MonkeyPatch) -> Counted:
    heads = [Heads(lines.head) for lines in (office.state.matcher.waiting, office.state.matcher.idle)]
    monkeypatch.setattr(office.state.matcher.waiting, "head", heads[0])
    monkeypatch.setattr(office.state.matcher.idle, "head", heads[1])
    return Counted(heads)


class Heads(list[int]):
    looks = 0

    def __getitem__(self, index: int) -> int:  # type: ignore[override]
        self.looks += 1
        return super().__getitem__(index)


class Counted:
    def __init__(self, heads: list[Heads]) -> None:
        self.heads = heads

    def __call__(self) -> int:
        return sum(each.looks for each in self.heads)


@pytest.mark.promise("RT-4")
def test_an_agent_who_comes_gets_the_one_they_can_take_from_behind_ten_thousand() -> None:
    office = Office(replace(OFFICE, rules=(Rule("sales", "sales", to=("sales",)),)))
    for i in range(10_000):
        office.engine.handle(c.Arrive(channel="email", threads=(f"s{i}",), recipient="sales"), office.now_ms)
    office.engine.handle(c.Arrive(channel="email", threads=("mine",)), office.now_ms)
    office.engine.handle(c.OpenSession(agent="ana", session="s"), office.now_ms)
    out = office.engine.handle(c.SetState(agent="ana", state="ready"), office.now_ms)
    assert made(out) == [(10_001, "ana")]


@pytest.mark.promise("RT-4")
def test_what_was_asked_for_once_is_not_looked_at_for_ever() -> None:
    """A script sets ever new priorities, and transfers name every agent: the classes that they made are forgotten."""
    agents = {f"agent-{i}": Agent(skills={"support": 1}) for i in range(200)}
    office = Office(agents_with(OFFICE, **agents))
    for name in agents:
        office.ready(name)
    engine, now = office.engine, office.now_ms
    for i, name in enumerate(agents):
        for n in range(5):
            number = engine.handle(c.Arrive(channel="email", threads=(f"m{i}.{n}",)), now).reply.interaction
            engine.handle(c.Reprioritise(interaction=number, by="crm", weight=1 + number / 1_000), now)
            engine.handle(c.Transfer(interaction=number, to=c.Target(agent=name), by="operator:sam"), now)
            engine.handle(c.Close(interaction=number, by="operator:sam"), now)
    matcher = office.state.matcher
    assert len(matcher.class_keys) <= 2 * TIDY_MIN
    assert len(matcher.classes_with) <= 2 * TIDY_MIN
    assert len(matcher.named) <= 2 * TIDY_MIN
    assert invariants.broken(office.state) == []


@pytest.mark.promise("RT-10")
@pytest.mark.parametrize(("burst", "idle"), [(5, 3), (3, 5), (40, 40), (1, 1)])
def test_a_burst_is_offered_to_different_agents_in_one_pass(burst: int, idle: int) -> None:
    """All of it becomes possible in one command: a configuration that gives everybody the skill."""
    agents = {f"agent-{i}": Agent(skills={"sales": 1}) for i in range(idle)}
    office = Office(agents_with(OFFICE, **agents))
    for name in agents:
        office.ready(name)
    for _ in range(burst):
        office.arrive()
    out = office.configure(office_with(agents_with(OFFICE, **agents), requirement=Node(skill="sales")))
    offers = made(out)
    assert len(offers) == min(burst, idle) == len({agent for _, agent in offers}) == len({item for item, _ in offers})


# --- fairness ---------------------------------------------------------------------------------------------------------


@pytest.mark.promise("RT-6")
def test_the_longest_idle_gets_the_next() -> None:
    office = Office(ready=("ben", "ana"))
    first, second = office.arrive(), office.arrive()
    assert office.offered_to(first) == ["ben"]
    assert office.offered_to(second) == ["ana"]
    for number in (second, first):
        office.accept(number)
        office.complete(number)
    assert office.offered_to(office.arrive()) == ["ana"]


@pytest.mark.promise("RT-6")
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "k", "cap"), [(3, 7, 1), (7, 4, 1), (4, 6, 3)])
def test_n_equal_agents_share_k_times_n_items_evenly(seed: int, n: int, k: int, cap: int) -> None:
    r = Random(seed)
    agents = {f"agent-{i}": Agent(skills={"support": 1}, caps={"email": cap}) for i in range(n)}
    office = Office(agents_with(OFFICE, **agents))
    for name in r.sample(sorted(agents), n):
        office.ready(name)
    share = dict.fromkeys(agents, 0)
    for _ in range(k * n):
        office.now_ms += r.randint(0, 2)
        number = office.arrive()
        share[office.accept(number)] += 1
        office.complete(number)
    assert max(share.values()) - min(share.values()) <= 1, share


@pytest.mark.promise("RT-6")
def test_the_whole_qualified_set_is_considered() -> None:
    """Of forty agents with forty different profiles, the one who has been idle longest is found."""
    agents = {f"agent-{i}": Agent(skills={"support": 1 + i % 9}, attributes={"site": f"s{i}"}) for i in range(40)}
    office = Office(agents_with(OFFICE, **agents))
    names = Random(3).sample(sorted(agents), 40)
    for name in names:
        office.ready(name)
    assert [office.offered_to(office.arrive())[0] for _ in names] == names


# --- position ---------------------------------------------------------------------------------------------------------


@pytest.mark.promise("RT-13")
@pytest.mark.parametrize("seed", range(6))
def test_the_position_is_the_rank_in_its_queue(seed: int) -> None:
    r = Random(seed)
    office = Office(LINES)
    bands = ("", "", "urgent", "low")
    for _ in range(60):
        number = office.arrive(r.choice(("email", "chat")), recipient=r.choice(("slow", "fast", "heavy")))
        office.now_ms += r.choice((0, 0, 1, 7_000))
        if r.random() < 0.3:
            office.do(
                c.Reprioritise(interaction=number, by="o", band=r.choice(bands), weight=r.choice((0.0, 2.0, 0.5)))
            )
        if r.random() < 0.2:
            office.do(c.Close(interaction=r.randint(1, number), by="o"))
    s = office.state
    for name in LINES.queues:
        waiting = [item for item in s.interactions.values() if item.queue == name and item.state == QUEUED]
        waiting.sort(key=lambda item: order(s, item, office.now_ms))
        for position, item in enumerate(waiting, 1):
            told = estimate(s, item.number, office.now_ms)
            assert told is not None
            assert told.position == position


@pytest.mark.promise("RT-13")
def test_what_does_not_wait_has_no_position() -> None:
    office = Office(ready=("ana",))
    number = office.arrive()
    assert estimate(office.state, number, office.now_ms) is None
    assert estimate(office.state, 999, office.now_ms) is None


# --- the lines themselves ---------------------------------------------------------------------------------------------


@pytest.mark.promise("RT-1")
@pytest.mark.parametrize("seed", range(8))
def test_a_line_behaves_like_a_sorted_list(seed: int) -> None:
    r, lines, model = Random(seed), Lines(), list[int]()
    lines.add_line()
    growing = True
    for step in range(3_000):
        growing = growing if step % 500 else not growing
        if model and r.random() < (0.35 if growing else 0.75):
            entry = model[0] if r.random() < 0.4 else r.choice(model)
            model.remove(entry)
            lines.remove(0, entry)
        else:
            entry = r.randrange(1 << 12) if r.random() < 0.7 else (model[-1] + 1 if model else 0)
            if entry not in model:
                model.append(entry)
                model.sort()
                lines.push(0, entry)
        assert lines.head[0] == (model[0] if model else 1 << 120)
        assert lines.filled == bool(model)
        assert lines.count(0) == len(model)
        if step % 50 == 0:
            assert list(lines.walk(0)) == model
            probe = r.randrange(1 << 12)
            assert lines.ahead(0, probe) == sum(1 for x in model if x < probe)


# --- business hours ---------------------------------------------------------------------------------------------------


@pytest.mark.promise("RT-1", "RT-11")
def test_a_target_may_count_open_hours_only() -> None:
    """A mail that waited over the night has used nothing of its four hours; a call of this minute comes first."""
    day = Calendar(week={"mon-sun": ("08:00-18:00",)})
    queues = {
        "support": Queue(requirement=SUPPORT),
        "mail": Queue(
            requirement=SUPPORT, target=seconds(4 * 3_600), calendar="day", clock="open", head_start=seconds(0)
        ),
    }
    rules = (Rule("mail", "mail", channel=("email",)),)
    channels = {**OFFICE.channels, "email": replace(OFFICE.channels["email"], lasting=True)}
    config = replace(OFFICE, channels=channels, queues=queues, rules=rules, calendars={"day": day})
    office = Office(config)
    office.now_ms = 17 * 3_600_000 + 3 * 86_400_000  # 17:00
    mail = office.arrive("email")
    office.sleep_s(15 * 3_600 + 60)  # 08:01 on the next day
    assert office.state.waited_ms(office.item(mail), office.now_ms) == 3_600_000 + 60_000
    call = office.arrive("chat")
    office.pass_s(19)  # with its head start the chat has used 39 of its 20 seconds, the mail a quarter of its hours
    assert made(office.ready("ana"))[0] == (call, "ana")
    always = replace(queues["mail"], clock="always")
    other = Office(replace(config, queues={**queues, "mail": always}))
    other.now_ms = 17 * 3_600_000 + 3 * 86_400_000
    mail = other.arrive("email")
    other.sleep_s(15 * 3_600 + 60)
    other.arrive("chat")
    other.pass_s(19)
    assert made(other.ready("ana"))[0] == (mail, "ana"), (
        "where all time counts it has used almost four times its target"
    )
