"""A queue's day in figures: who was answered, who in time, who gave up."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from msgspec.structs import replace

from router.engine import commands as c
from router.engine.config import Config, Duration, Figures, from_bytes, to_bytes
from router.engine.engine import Engine
from router.engine.lookups import queue_views
from router.engine.plan import check_config
from router.engine.tally import LONGEST_MS, QUARTER_MS, Tally
from router.engine.views import DayView
from router.errors import ConfigError
from tests.engine.record import replayed
from tests.engine.support.office import OFFICE, Office, seconds

DAY = seconds(86_400)


def counting(keep_s: float = 90_000, short_s: float = 5) -> Config:
    """Of the queue `support`, whose emails have a target of 20 s."""
    return replace(OFFICE, figures=Figures(seconds(keep_s), seconds(short_s)))


def day(office: Office, since_ms: int = 0, queue: str = "support") -> DayView:
    found = {view.queue: view.day for view in queue_views(office.state, office.now_ms, since_ms)}[queue]
    assert found is not None
    return found


def counts(office: Office, since_ms: int = 0) -> tuple[int, int, int, int, int]:
    found = day(office, since_ms)
    return found.answered, found.in_target, found.abandoned, found.late, found.short


def answered(office: Office, after_s: float) -> int:
    number = office.arrive()
    office.pass_s(after_s)
    office.ready("ana")
    office.accept(number)
    office.complete(number)
    office.pause("ana")
    return number


def gives_up(office: Office, after_s: float) -> None:
    number = office.arrive()
    office.pass_s(after_s)
    office.do(c.Leave(thread=office.thread(number)))


def test_who_is_answered_counts_and_so_does_who_was_in_time() -> None:
    office = Office(counting())
    for s in (0, 20, 20.001):
        answered(office, s)
    assert counts(office) == (3, 2, 0, 0, 0)
    assert day(office).service_level == 0.6667
    assert day(office).abandon_rate == 0.0


def test_who_gives_up_counts_as_abandoned_late_or_hardly_come() -> None:
    office = Office(counting())
    answered(office, 0)
    for s in (4.999, 5, 20, 20.001):
        gives_up(office, s)
    assert counts(office) == (1, 1, 4, 1, 1)
    assert day(office).abandon_rate == 0.75, "three of four, without the one who hardly came"
    assert day(office).service_level == 0.5, "who gave up in time says nothing of the target"


def test_only_the_first_wait_of_a_contact_counts() -> None:
    office = Office(counting(), ready=("ana",))
    number = office.active()
    office.do(c.Requeue(interaction=number, by="operator:op", why="wrong person"))
    office.pass_s(60)
    office.pause("ana")
    office.do(c.Leave(thread=office.thread(number)))
    assert counts(office) == (1, 1, 0, 0, 0)


def test_who_is_closed_by_an_operator_neither_gave_up_nor_was_answered() -> None:
    office = Office(counting())
    number = office.arrive()
    office.do(c.Close(interaction=number, by="operator:op", why="spam"))
    assert counts(office) == (0, 0, 0, 0, 0)
    assert (day(office).service_level, day(office).abandon_rate) == (None, None)


def test_a_day_begins_when_whoever_asks_says_so() -> None:
    office = Office(counting())
    gives_up(office, 30)
    office.pass_s(3_600)
    midnight = office.now_ms
    answered(office, 0)
    assert counts(office, midnight) == (1, 1, 0, 0, 0)
    assert counts(office) == (1, 1, 1, 1, 0)
    assert day(office, midnight).since_ms == midnight // QUARTER_MS * QUARTER_MS


def test_what_is_longer_ago_than_is_kept_is_forgotten() -> None:
    office = Office(counting(keep_s=3_600))
    gives_up(office, 30)
    office.pass_s(3_600)
    assert counts(office)[2] == 1, "the quarter in which it was is not wholly over"
    office.pass_s(1_800)
    assert counts(office)[2] == 0
    answered(office, 0)
    assert len(office.state.tallies["support"].begins) == 1


def test_figures_survive_a_restart_and_a_replay() -> None:
    office = Office(counting())
    answered(office, 25)
    gives_up(office, 30)
    assert Engine.restore(office.engine.snapshot()).state.tallies == office.state.tallies
    assert replayed(iter(office.checked.payloads)).state.tallies == office.state.tallies
    assert counts(office) == (1, 0, 1, 1, 0)


def test_nothing_is_counted_where_nothing_shall_be_kept() -> None:
    office = Office(counting(keep_s=0))
    answered(office, 0)
    assert not office.state.tallies
    assert queue_views(office.state, office.now_ms)[0].day is None


def test_figures_that_are_wanted_no_more_are_forgotten() -> None:
    office = Office(counting())
    answered(office, 0)
    office.configure(counting(keep_s=0))
    assert not office.state.tallies


def test_a_document_from_before_counts_nothing() -> None:
    document = to_bytes(OFFICE)
    begin = document.index(b',"figures":{')
    older = document[:begin] + document[document.index(b"}", begin) + 1 :]
    assert from_bytes(document).figures.keep == Figures().keep
    assert from_bytes(older) == replace(OFFICE, figures=Figures(keep=Duration(0)))


@pytest.mark.parametrize("keep", [1, QUARTER_MS - 1, LONGEST_MS + 1])
def test_less_than_a_quarter_or_more_than_eight_days_is_refused(keep: int) -> None:
    with pytest.raises(ConfigError, match=r"figures\.keep"):
        check_config(replace(OFFICE, figures=Figures(keep=Duration(keep))))


@drawn(st.lists(st.integers(0, 3 * QUARTER_MS), max_size=100), st.integers(QUARTER_MS, 20 * QUARTER_MS))
def test_memory_is_bounded_and_nothing_younger_is_lost(gaps: list[int], keep_ms: int) -> None:
    tally, times = Tally(), list(itertools.accumulate(gaps))
    for at_ms in times:
        tally.turn(at_ms, keep_ms)
        tally.answered[-1] += 1
        assert len(tally.begins) <= keep_ms // QUARTER_MS + 2
    recent = [at for at in times if at >= times[-1] - keep_ms] if times else []
    assert sum(tally.answered) >= len(recent)
