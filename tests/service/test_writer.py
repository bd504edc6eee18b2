"""Output commit and fail-stop: nobody hears of what could still be lost, and a failed disk needs no help."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from router.engine import commands as c
from router.errors import Draining, JournalFailed, JournalHeld, NotFound, Overloaded, RouterError, Unavailable
from router.journal import codec
from router.journal.memory import MemoryJournal
from router.journal.port import Opened
from router.service import writer as module
from router.service.clock import ManualClock
from router.service.mailbox import MailboxSettings
from router.service.writer import Writer
from tests.support.house import HeldJournal, House, arrive, house


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)


def held(h: House) -> HeldJournal:
    assert isinstance(h.journal, HeldJournal)
    return h.journal


async def a_turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


# --- output commit ----------------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-2")
async def test_an_answer_and_its_effects_wait_until_the_journal_holds_the_facts() -> None:
    async with house() as h:
        await h.sign_in("ana")
        h.heard.clear()
        held(h).hold()
        answers = h.ask(arrive("c1"))
        await h.until(lambda: held(h).at_once)
        assert h.desk.interaction(1).state == "offered"  # decided already
        assert (answers, h.heard) == ([], [])
        held(h).release()
        await h.until(lambda: answers)
        assert [what for what, _ in h.heard][:2] == ["answer", "inform"]
        assert "tell" in [what for what, _ in h.heard]


async def test_one_batch_is_with_the_disk_while_the_next_one_fills() -> None:
    async with house() as h:
        held(h).batches.clear()
        held(h).hold()
        h.ask(arrive("first"))
        await h.until(lambda: held(h).at_once)
        late = [h.ask(arrive(f"c{n}")) for n in range(10)]
        await a_turn()
        first = held(h).batches[:]
        assert len(first) == 1
        held(h).release()
        await h.until(lambda: all(late))
        assert held(h).batches == [*first, 10]
        assert held(h).most_at_once == 1


async def test_answers_come_in_the_order_of_the_questions_with_their_effects_between_them() -> None:
    async with house() as h:
        await h.sign_in("ana")
        h.heard.clear()
        held(h).hold()
        h.ask(arrive("c1"), "first")
        await h.until(lambda: held(h).at_once)
        h.ask(arrive("c1"), "same again")  # no facts of its own: it must not overtake those that it repeats
        h.ask(c.Accept(agent="ana", offer=99), "refused")
        held(h).release()
        await h.until(lambda: len([what for what, _ in h.heard if what in ("first", "same again", "refused")]) == 3)
        names = [what for what, _ in h.heard]
        assert names.index("first") < names.index("tell") < names.index("same again") < names.index("refused")


async def test_a_question_asked_by_an_answer_is_answered_too() -> None:
    async with house() as h:
        answers: list[Any] = []
        h.desk.submit(arrive("c1"), lambda _: h.desk.submit(arrive("c1"), answers.append))
        await h.until(lambda: answers)
        assert answers[0].duplicate


async def test_an_edge_that_raises_keeps_nobody_from_their_answer_or_effects() -> None:
    async with house() as h:
        await h.sign_in("ana")
        h.heard.clear()

        def broken(outcome: object) -> None:
            raise RuntimeError("an edge's own fault")

        h.desk.submit(arrive("c1"), broken)
        answers = h.ask(arrive("c2"))
        await h.until(lambda: answers)
        assert [what for what, _ in h.heard].count("tell") >= 1
        assert h.writer.health().ok


async def test_an_effect_that_raises_keeps_the_others_from_nothing() -> None:
    async with house() as h:
        await h.sign_in("ana")
        h.heard.clear()

        def broken(news: object) -> None:
            raise RuntimeError("an edge's own fault")

        h.writer.inform = broken
        answers = h.ask(arrive("c1"))
        await h.until(lambda: answers)
        assert "tell" in [what for what, _ in h.heard]


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("OB-3")
async def test_new_work_is_refused_first_and_accepted_work_still_gets_in() -> None:
    async with house(settings=MailboxSettings(intake=3, total=6)) as h:
        await h.sign_in("ana")
        await h.desk.ask(arrive("taken"))
        held(h).hold()
        waiting = [h.ask(arrive(f"c{n}")) for n in range(3)]
        refused = h.ask(arrive("one too many"))
        await h.until(lambda: refused)
        assert isinstance(refused[0], Overloaded)
        assert refused[0].retry_after_s > 0
        accepted = h.ask(c.Accept(agent="ana", offer=1))
        others = [h.ask(c.Note(interaction=1, text="x", by="ana")) for _ in range(4)]
        await h.until(lambda: others[-1])
        assert isinstance(others[-1][0], Overloaded)
        held(h).release()
        await h.until(lambda: accepted and all(waiting) and all(others))
        assert not isinstance(accepted[0], RouterError)
        assert h.desk.interaction(1).agent == "ana"
        assert not isinstance((await h.desk.ask(arrive("room again"))), RouterError)


async def test_draining_refuses_contacts_and_finishes_what_was_taken() -> None:
    async with house() as h:
        held(h).hold()
        taken = h.ask(arrive("c1"))
        await h.until(lambda: held(h).at_once)
        drained = asyncio.ensure_future(h.writer.drain())
        await a_turn()
        refused = h.ask(arrive("c2"))
        await h.until(lambda: refused)
        assert isinstance(refused[0], Draining)
        assert not drained.done()
        held(h).release()
        await drained
        assert taken
        noted = await h.desk.ask(c.Note(interaction=1, text="still at work", by="ana"))
        assert noted.interaction == 1


# --- time -------------------------------------------------------------------------------------------------------------


async def test_deadlines_are_met_without_anybody_asking() -> None:
    async with house() as h:
        await h.sign_in("ana")
        await h.desk.ask(arrive("c1"))
        assert h.desk.interaction(1).state == "offered"
        assert h.writer._timer is not None
        h.pass_time(20_000)
        await h.until(lambda: h.desk.interaction(1).misses == 1)


async def test_a_tick_without_room_is_tried_again_without_turning_in_circles(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(settings=MailboxSettings(intake=2, total=2)) as h:
        await h.sign_in("ana")
        await h.desk.ask(arrive("c1"))
        held(h).hold()
        h.ask(c.Note(interaction=1, text="x", by="ana"))
        h.ask(c.Note(interaction=1, text="y", by="ana"))
        await h.until(lambda: held(h).at_once)
        asked: list[object] = []
        submit = h.writer.submit

        def counted(command: c.AnyCommand, done: Callable[[Any], None]) -> None:
            asked.append(command)
            submit(command, done)

        monkeypatch.setattr(h.writer, "submit", counted)
        h.pass_time(20_001)
        await asyncio.sleep(0.1)
        assert 2 <= len(asked) <= 40
        held(h).release()
        await h.until(lambda: h.desk.interaction(1).misses == 1)


@pytest.mark.promise("OB-1")
async def test_health_sees_a_disk_that_gives_no_answer_and_a_deadline_that_nobody_meets() -> None:
    async with house() as h:
        held(h).hold()
        h.ask(arrive("c1"))
        await h.until(lambda: held(h).at_once)
        assert h.writer.health().ok
        h.clock.advance(5_001)
        assert "with the disk" in h.writer.health().detail
        held(h).release()
        await h.until(lambda: h.writer.health().ok)
        await h.sign_in("ana")
        await h.until(lambda: h.writer._timer is not None)
        assert h.writer._timer is not None
        h.writer._timer.cancel()
        h.clock.advance(25_001)
        assert "overdue" in h.writer.health().detail


@pytest.mark.promise("OB-1")
async def test_health_sees_that_the_writing_thread_has_ended() -> None:
    async with house() as h:
        assert h.writer._thread is not None
        h.writer._batches.put(None)
        await asyncio.to_thread(h.writer._thread.join)
        assert "thread" in h.writer.health().detail


# --- fail-stop --------------------------------------------------------------------------------------------------------


@pytest.mark.promise("DU-2")
async def test_when_an_append_fails_everybody_is_told_to_come_back_and_nothing_goes_out() -> None:
    async with house() as h:
        await h.sign_in("ana")
        h.heard.clear()
        held(h).hold()
        first = h.ask(arrive("c1"))
        await h.until(lambda: held(h).at_once)
        second = h.ask(arrive("c2"))
        h.journal.fail_after(0)
        held(h).release()
        await h.until(lambda: first and second)
        assert {type(outcome) for _, outcome in h.heard} == {Unavailable}
        assert not h.writer.health().ok
        later = h.ask(arrive("c3"))
        await h.until(lambda: later)
        assert isinstance(later[0], Unavailable)
        assert len(h.failures) == 1
        h.journal.heal()
        await h.until(lambda: h.recoveries)
        assert h.writer.health().ok
        assert h.desk.interactions() == []
        assert (await h.desk.ask(arrive("c1"))).interaction == 1


@pytest.mark.promise("DU-2")
async def test_what_a_failed_append_left_on_the_disk_is_found_and_a_repetition_is_harmless() -> None:
    async with house() as h:
        h.journal.fail_next(keep=True)
        lost = h.ask(arrive("c1"))
        await h.until(lambda: lost)
        assert isinstance(lost[0], Unavailable)
        h.journal.heal()
        await h.until(lambda: h.recoveries)
        again = await h.desk.ask(arrive("c1"))
        assert (again.interaction, again.duplicate) == (1, True)
        assert len(h.desk.interactions()) == 1


async def test_channels_that_do_not_listen_are_told_nothing_also_after_a_recovery() -> None:
    async with house() as h:
        h.writer.deaf = frozenset({"phone"})
        h.journal.fail_after(0)
        failed = h.ask(arrive("c1"))
        await h.until(lambda: failed)
        h.journal.heal()
        await h.until(lambda: h.recoveries)
        h.heard.clear()
        await h.desk.ask(arrive("c1"))
        await h.desk.ask(arrive("c2", "email"))
        assert [news.channel for what, news in h.heard if what == "inform"] == ["email"]


async def test_it_goes_on_trying_for_as_long_as_the_disk_is_bad() -> None:
    async with house() as h:
        for number in range(3):
            h.journal.fail_after(0)
            lost = h.ask(arrive(f"c{number}"))
            await h.until(lambda: lost)  # noqa: B023
            before = h.recoveries
            for _ in range(5):
                await asyncio.sleep(0.01)
                assert not h.writer.health().ok
            h.journal.heal()
            await h.until(lambda: h.recoveries > before)  # noqa: B023
            assert (await h.desk.ask(arrive(f"c{number}"))).interaction == number + 1


async def test_a_bug_while_deciding_voids_the_engine_but_not_what_is_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house() as h:
        await h.desk.ask(arrive("c1"))
        held(h).hold()
        durable = h.ask(arrive("c2"))
        await h.until(lambda: held(h).at_once)
        filling = h.ask(arrive("c3"))
        with monkeypatch.context() as patch:
            patch.setattr(h.writer.engine, "handle", _bug)
            broken = h.ask(arrive("c4"))
            await h.until(lambda: broken)
        assert isinstance(broken[0], Unavailable)
        assert "something that cannot be" not in h.writer.health().detail  # it could be a customer's word
        assert isinstance(filling[0], Unavailable)
        assert not durable
        held(h).release()
        await h.until(lambda: durable and h.recoveries)
        assert not isinstance(durable[0], RouterError)  # it was with the disk, and the disk took it
        assert [view.id for view in h.desk.interactions()] == ["i-1", "i-2"]


def _bug(*_: object) -> object:
    raise KeyError("something that cannot be")


async def test_a_fact_that_cannot_be_written_down_is_a_bug_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house() as h:
        with monkeypatch.context() as patch:
            patch.setattr(codec, "write", _bug)
            broken = h.ask(arrive("c1"))
            await h.until(lambda: broken)
        assert isinstance(broken[0], Unavailable)
        await h.until(lambda: h.recoveries)
        assert h.desk.interactions() == []
        assert (await h.desk.ask(arrive("c1"))).interaction == 1


async def test_an_edge_that_raises_when_told_of_the_failure_does_not_stop_the_recovery() -> None:
    async with house() as h:

        def broken(*_: object) -> None:
            raise RuntimeError("an edge's own fault")

        h.writer.on_failure.insert(0, broken)
        h.writer.on_recovery.insert(0, broken)
        h.journal.fail_next()
        h.desk.submit(arrive("c0"), broken)
        lost = h.ask(arrive("c1"))
        await h.until(lambda: lost)
        h.journal.heal()
        await h.until(lambda: h.recoveries and h.failures)
        assert (await h.desk.ask(arrive("c1"))).interaction == 1


async def test_an_unexpected_error_while_reading_the_journal_does_not_end_the_trying(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house() as h:
        h.journal.fail_next()
        lost = h.ask(arrive("c1"))
        with monkeypatch.context() as patch:
            patch.setattr(h.journal, "open", _bug)
            await h.until(lambda: lost)
            await h.until(lambda: "something that cannot be" in h.writer.health().detail)
        h.journal.heal()
        await h.until(lambda: h.recoveries)


async def test_stopping_while_the_journal_is_away_ends() -> None:
    h = House()
    await h.start()
    h.journal.fail_after(0)
    lost = h.ask(arrive("c1"))
    await h.until(lambda: lost)
    async with asyncio.timeout(5):
        await h.writer.drain()
        await h.writer.stop()
    refused = h.ask(arrive("c2"))
    await a_turn()
    assert isinstance(refused[0], Unavailable)


class LedJournal(MemoryJournal):
    """Another process leads, for as long as there are answers left; `did` is what was asked of it."""

    def __init__(self, *answers: JournalFailed) -> None:
        super().__init__()
        self.answers, self.did = list(answers), list[str]()

    def open(self) -> Opened:
        self.did.append("open")
        if self.answers:
            raise self.answers.pop(0)
        return super().open()

    def close(self) -> None:
        self.did.append("close")
        super().close()


@pytest.mark.promise("DU-5")
async def test_who_stands_by_keeps_its_way_to_ask_until_something_else_goes_wrong() -> None:
    led = JournalHeld("another leads", 0.001)
    journal = LedJournal(led, led, led, JournalFailed("Redis is away"), led, led)
    writer = Writer(journal, ManualClock())
    followed: list[str] = []
    recovered = asyncio.Event()
    writer.follow = lambda: followed.append(journal.did[-1])
    writer.on_recovery.append(recovered.set)
    writer.stand_by("standby: another leads")
    try:
        async with asyncio.timeout(20):
            await recovered.wait()
        assert journal.did == ["close", *["open"] * 4, "close", *["open"] * 3]
        assert followed == ["open"] * 5
    finally:
        await writer.stop()


async def test_timers_go_on_after_a_recovery() -> None:
    async with house() as h:
        await h.sign_in("ana")
        await h.desk.ask(arrive("c1"))
        h.journal.fail_next()
        lost = h.ask(arrive("c2"))
        await h.until(lambda: lost)
        h.journal.heal()
        await h.until(lambda: h.recoveries)
        assert h.desk.interaction(1).state == "queued"  # its offer went with the sessions
        await h.sign_in("ben")
        assert h.desk.interaction(1).state == "offered"
        h.pass_time(20_000)
        await h.until(lambda: h.desk.interaction(1).misses == 1)


async def test_what_an_edge_breaks_is_not_found() -> None:
    async with house() as h:
        with pytest.raises(NotFound):
            h.desk.interaction(1)
        with pytest.raises(NotFound):
            await h.desk.ask(c.Note(interaction=1, text="x", by="ana"))


async def test_the_journal_in_memory_holds_what_was_answered() -> None:
    async with house() as h:
        await h.desk.ask(arrive("c1"))
        after = h.journal.crashed()
    async with house(after) as again:
        assert [view.id for view in again.desk.interactions()] == ["i-1"]
    assert isinstance(after, MemoryJournal)
