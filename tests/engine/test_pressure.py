"""How hard pressed a queue is: its own expected wait, the share of the target that is used, its service level."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import levels, pressure
from router.engine.config import Agent, Balance, Borrow, Channel, Config, Need, Queue, Rule, Spare
from router.engine.levels import SLOTS, Level
from router.engine.requirements import Node
from router.engine.waits import estimate
from tests.engine.support.office import Office, seconds

pytestmark = pytest.mark.promise("RT-11")

HELP = Borrow("b", Need(level_below=0.5), Spare(level_above=0.9))


def lines(*loans: Borrow) -> Config:
    """Two queues, a and b, with an agent each; contacts name theirs as the recipient. Targets are 20 s."""
    return Config(
        channels={"email": Channel(), "chat": Channel(exclusive=True)},
        skills=("a", "b"),
        queues={
            "a": Queue(requirement=Node(skill="a"), borrow=loans),
            "b": Queue(requirement=Node(skill="b")),
        },
        rules=(Rule("a", "a", to=("a",)), Rule("b", "b", to=("b",))),
        agents={"ann": Agent(skills={"a": 5}), "bob": Agent(skills={"b": 5})},
        balance=Balance(period=seconds(3_600), window=seconds(300)),
    )


def expected(office: Office, queue: str, *channels: str) -> list[int | None]:
    return list(pressure.expected_by_channel(office.state, queue, office.now_ms, channels))


def busy(office: Office, queue: str = "a", channel: str = "email") -> int:
    """Ten contacts of 100 s each are done, and the agent has one more."""
    for _ in range(10):
        number = office.active(channel, recipient=queue)
        office.pass_s(100)
        office.complete(number)
    return office.active(channel, recipient=queue)


# --- expected waits ---------------------------------------------------------------------------------------------------


def test_with_somebody_free_nobody_would_wait() -> None:
    office = Office(lines(), ready=("ann",))
    number = busy(office)
    assert (expected(office, "a")[0] or 0) > 0
    office.complete(number)
    assert expected(office, "a") == [0]


def test_where_nobody_is_ready_a_wait_has_no_end() -> None:
    office = Office(lines(), ready=("ann",))
    office.complete(busy(office))
    office.pause("ann")
    assert expected(office, "a") == [pressure.FOREVER_MS]


def test_of_a_queue_to_which_nothing_ever_came_there_is_nothing_to_say() -> None:
    office = Office(lines())
    assert expected(office, "b") == []
    assert pressure.spare(office.state, "b", Spare(wait_below=seconds(1)), False, office.now_ms).holds


def test_while_too_little_is_known_a_queue_neither_needs_help_nor_has_any_to_spare() -> None:
    office = Office(lines(), ready=("ann",))
    office.active(recipient="a")
    office.arrive(recipient="a")
    assert expected(office, "a") == [None]
    assert not pressure.need(office.state, "a", Need(wait=seconds(1)), False, office.now_ms).holds
    assert not pressure.spare(office.state, "a", Spare(wait_below=seconds(1_000)), False, office.now_ms).holds


def test_who_would_come_now_waits_as_long_as_who_came_just_now() -> None:
    office = Office(lines(), ready=("ann",))
    busy(office)
    waiting = []
    for _ in range(4):
        before = expected(office, "a")[0]
        told = estimate(office.state, office.item(office.arrive(recipient="a")), office.now_ms)
        assert before is not None
        assert told is not None
        waiting.append((before, told.expected_wait_s))
    assert [-(-ms // 1_000) for ms, _ in waiting] == [s for _, s in waiting]


def test_each_channel_has_its_own_wait_and_a_rule_may_look_at_one() -> None:
    """A chat goes before mail that waits, since less time is promised."""
    config = lines()
    queues = {**config.queues, "a": replace(config.queues["a"], targets={"chat": seconds(1)})}
    office = Office(replace(config, queues=queues), ready=("ann",))
    busy(office, channel="chat")
    for _ in range(3):
        office.arrive("email", recipient="a")
    chat, mail = expected(office, "a")
    assert (expected(office, "a", "chat"), expected(office, "a", "email")) == ([chat], [mail])
    assert (chat or 0) < 150_000 < (mail or 0)
    assert needs(office, Need(wait=seconds(150)), False)
    assert not needs(office, Need(wait=seconds(150), channels=("chat",)), False)
    assert spares(office, Spare(wait_below=seconds(150), channels=("chat",)), False)
    assert not spares(office, Spare(wait_below=seconds(150)), False)


def test_who_is_lent_makes_no_difference_to_what_a_queue_needs() -> None:
    """Otherwise a gate would shut because it helps, and open because it has shut."""
    rule = Borrow("b", Need(wait=seconds(60)), Spare(level_above=0.0))
    office = Office(replace(lines(rule), balance=Balance(period=seconds(100))), ready=("ann", "bob"))
    bobs = office.active(recipient="b")
    busy(office)
    for _ in range(3):
        office.arrive(recipient="a")
    before = expected(office, "a"), expected(office, "b")
    office.now_ms = office.state.balance_ms
    office.do(c.Tick())
    assert office.state.gates["a", "b"].is_open
    assert office.item(bobs).owner == "bob"
    assert (expected(office, "a"), expected(office, "b")) == before


# --- shares of the target ---------------------------------------------------------------------------------------------


def test_of_all_who_wait_the_one_counts_who_has_used_most_of_the_target() -> None:
    config = lines()
    queues = {**config.queues, "a": replace(config.queues["a"], targets={"chat": seconds(100)})}
    office = Office(replace(config, queues=queues))
    office.arrive("chat", recipient="a")
    office.now_ms += 40_000
    office.arrive("email", recipient="a")
    office.now_ms += 10_000
    assert pressure.share(office.state, "a", office.now_ms) == 0.5
    assert pressure.share(office.state, "a", office.now_ms + 10_000, ("chat",)) == 0.6
    assert pressure.share(office.state, "b", office.now_ms) == 0


# --- service levels ---------------------------------------------------------------------------------------------------


def level(office: Office, *channels: str) -> levels.Counts:
    return levels.counts(office.state, "a", office.now_ms, channels)


def answered(office: Office, after_s: float, channel: str = "email") -> None:
    number = office.arrive(channel, recipient="a")
    office.pass_s(after_s)
    office.ready("ann")
    office.accept(number)
    office.complete(number)
    office.pause("ann")


def test_a_level_counts_who_was_answered_in_time_of_all_who_were_answered() -> None:
    office = Office(lines(HELP))
    for s in (0, 20, 20.001, 19):
        answered(office, s)
    assert level(office) == (3, 4)


def test_who_gives_up_counts_only_after_the_target() -> None:
    office = Office(lines(HELP))
    for s in (10, 30):
        number = office.arrive(recipient="a")
        office.pass_s(s)
        office.do(c.Leave(thread=office.thread(number)))
    assert level(office) == (0, 1)


def test_who_waits_too_long_counts_before_anybody_answers() -> None:
    office = Office(lines(HELP))
    for _ in range(3):
        office.arrive(recipient="a")
        office.pass_s(15)
    assert level(office) == (0, 2), "the third has waited for 15 s"


def test_what_is_over_for_longer_than_the_window_is_forgotten() -> None:
    office = Office(lines(HELP))
    answered(office, 0)
    office.pass_s(280)
    assert level(office) == (1, 1)
    office.pass_s(21)
    assert level(office) == (0, 0)


def test_each_channel_has_its_own_level() -> None:
    office = Office(lines(HELP))
    answered(office, 0)
    answered(office, 30, "chat")
    assert [level(office), level(office, "email"), level(office, "chat")] == [(1, 2), (1, 1), (0, 1)]


def test_nothing_is_counted_where_no_rule_looks() -> None:
    office = Office(lines())
    answered(office, 0)
    assert not office.state.levels


def test_what_nobody_looks_at_any_more_is_forgotten() -> None:
    office = Office(lines(HELP))
    answered(office, 0)
    office.configure(lines())
    assert not office.state.levels


OUTCOMES = st.lists(st.tuples(st.integers(0, 400_000), st.booleans()), max_size=200)


@drawn(OUTCOMES, st.sampled_from((30_000, 300_000, 1_000_000)))
def test_a_level_is_that_of_the_window_to_a_thirtieth_of_it(outcomes: list[tuple[int, bool]], window_ms: int) -> None:
    times = list(itertools.accumulate(gap for gap, _ in outcomes))
    found, now_ms = Level(), times[-1] if times else 0
    for (_, kept), at_ms in zip(outcomes, times, strict=True):
        found.note(kept, at_ms, window_ms)
        assert len(found.slots) <= SLOTS + 1
    slot = window_ms // SLOTS
    sure = [kept for (_, kept), at in zip(outcomes, times, strict=True) if at > now_ms - window_ms + slot]
    perhaps = [kept for (_, kept), at in zip(outcomes, times, strict=True) if at > now_ms - window_ms]
    good, total = found.counts(now_ms, window_ms)
    assert len(sure) <= total <= len(perhaps)
    assert sum(sure) <= good <= sum(perhaps)


# --- two thresholds ---------------------------------------------------------------------------------------------------


def needs(office: Office, rule: Need, helped: bool) -> bool:
    return pressure.need(office.state, "a", rule, helped, office.now_ms).holds


def spares(office: Office, rule: Spare, lending: bool) -> bool:
    return pressure.spare(office.state, "a", rule, lending, office.now_ms).holds


@pytest.mark.parametrize(("used_s", "begins", "goes_on"), [(9, False, False), (11, False, True), (20, True, True)])
def test_a_need_by_share_ends_at_half_of_what_it_began_with(used_s: int, begins: bool, goes_on: bool) -> None:
    office = Office(lines())
    office.arrive(recipient="a")
    office.pass_s(used_s)
    assert (needs(office, Need(share=1.0), False), needs(office, Need(share=1.0), True)) == (begins, goes_on)


@pytest.mark.parametrize(
    ("kept", "begins", "goes_on"), [(7, True, True), (8, False, True), (9, False, False), (10, False, False)]
)
def test_a_need_by_level_ends_halfway_to_one(kept: int, begins: bool, goes_on: bool) -> None:
    """Below 80 % of ten; until 90 %."""
    office = Office(lines(HELP))
    for i in range(10):
        answered(office, 0 if i < kept else 21)
    rule = Need(level_below=0.8)
    assert (needs(office, rule, False), needs(office, rule, True)) == (begins, goes_on)


def test_a_few_contacts_say_nothing_of_a_low_level() -> None:
    office = Office(lines(HELP))
    for _ in range(pressure.FEW - 1):
        answered(office, 21)
    assert not needs(office, Need(level_below=0.8), False)
    answered(office, 21)
    assert needs(office, Need(level_below=0.8), False)


@pytest.mark.parametrize(("kept", "begins", "goes_on"), [(5, False, False), (6, False, True), (8, True, True)])
def test_who_lends_by_level_goes_on_till_it_is_as_far_below(kept: int, begins: bool, goes_on: bool) -> None:
    """At least 80 % of ten; until below 60 %."""
    office = Office(lines(HELP))
    for i in range(10):
        answered(office, 0 if i < kept else 21)
    rule = Spare(level_above=0.8)
    assert (spares(office, rule, False), spares(office, rule, True)) == (begins, goes_on)


def test_all_that_a_lender_asks_for_must_hold_and_one_of_what_a_borrower_does() -> None:
    office = Office(lines(HELP))
    office.arrive(recipient="a")
    office.pass_s(20)
    assert needs(office, Need(wait=seconds(1_000), share=1.0, level_below=0.1), False)
    assert not spares(office, Spare(wait_below=seconds(1_000), level_above=0.0), False), "nobody is ready"
    assert spares(office, Spare(level_above=0.0), False)
