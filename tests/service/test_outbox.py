"""What the outside must be told: at least once, in order, under one key, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine.config import Channel, Duration
from router.engine.events import NoteAdded
from router.engine.views import Outbound
from router.errors import Overloaded
from router.journal.memory import MemoryJournal
from router.service.outbox import Outbox, OutboxSettings, pause_ms
from router.service.ports import Adapter, DeliveryFailed, Done
from tests.support.house import CONFIG, House, arrive, house, say


class Outside:
    """An adapter that records what it is told, and fails as told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []  # every attempt
        self.fails: list[Exception] = []  # the next attempts
        self.under_way = self.most_under_way = 0
        self.hold: asyncio.Event | None = None

    async def deliver(self, letter: Outbound) -> None:
        self.told.append((letter.outbound, letter.message.text if letter.message else letter.action))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.fails:
                raise self.fails.pop(0)
            if self.hold is not None:
                await self.hold.wait()
        finally:
            self.under_way -= 1

    @property
    def words(self) -> list[str]:
        return [text for _, text in self.told]


class Post:
    def __init__(self, h: House, outside: Outside, settings: OutboxSettings) -> None:
        self.house, self.outside = h, outside
        adapters = {"email": cast("Adapter", outside)}
        self.outbox = Outbox(h.desk, h.clock, settings, adapters)
        h.writer.post = self.outbox.post
        h.writer.on_failure.append(lambda _: self.outbox.stop())
        h.writer.on_recovery.append(self.outbox.reload)
        self.outbox.reload()

    async def settled(self) -> None:
        await self.house.until(lambda: not self.house.desk.outbounds())


QUICK = OutboxSettings(first_pause=Duration(1), longest_pause=Duration(4))


@asynccontextmanager
async def post(
    journal: MemoryJournal | None = None, settings: OutboxSettings = QUICK, outside: Outside | None = None
) -> AsyncIterator[tuple[House, Outside, Post]]:
    async with house(journal or MemoryJournal()) as h:
        outside = outside or Outside()
        office = Post(h, outside, settings)
        yield h, outside, office
        office.outbox.stop()


async def served(h: House, count: int = 1) -> None:
    """So many mails, all with Ana."""
    await h.sign_in("ana")
    for number in range(count):
        await h.desk.ask(arrive(f"m{number}", "email"))
        await h.desk.ask(c.Accept(agent="ana", offer=number + 1))


async def test_a_letter_is_delivered_when_it_is_durable_and_then_settled() -> None:
    async with post() as (h, outside, office):
        await served(h)
        await h.desk.ask(say("ana", 1, "hello"))
        await office.settled()
        assert outside.words == ["hello"]
        await h.until(lambda: office.outbox.health().figures["waiting"] == 0)
        assert office.outbox.health().ok


async def test_a_failed_delivery_is_repeated_under_the_same_number() -> None:
    async with post() as (h, outside, office):
        outside.fails = [DeliveryFailed("busy"), DeliveryFailed("busy"), ConnectionError("a bug of the adapter")]
        await served(h)
        await h.desk.ask(say("ana", 1, "hello"))
        await office.settled()
        assert outside.words == ["hello"] * 4
        assert len({number for number, _ in outside.told}) == 1
        assert h.desk.outbounds(dead=True) == []


async def test_an_adapter_that_hangs_is_given_a_time_and_another_try() -> None:
    settings = OutboxSettings(first_pause=Duration(1), timeout=Duration(20))
    async with post(settings=settings) as (h, outside, office):
        await served(h)
        outside.hold = asyncio.Event()
        await h.desk.ask(say("ana", 1, "hello"))
        await h.until(lambda: len(outside.told) == 2)
        outside.hold.set()
        await office.settled()


def test_pauses_double_up_to_the_longest() -> None:
    settings = OutboxSettings(first_pause=Duration(1_000), longest_pause=Duration(300_000))
    assert [pause_ms(settings, n) for n in (1, 2, 3, 9, 10, 1_000)] == [1_000, 2_000, 4_000, 256_000, 300_000, 300_000]


async def test_a_letter_that_cannot_be_delivered_becomes_a_dead_letter_that_can_be_retried() -> None:
    async with post() as (h, outside, office):
        outside.fails = [DeliveryFailed("no such mailbox", final=True)]
        await served(h)
        await h.desk.ask(say("ana", 1, "hello"))
        await h.until(lambda: h.desk.outbounds(dead=True))
        (dead,) = h.desk.outbounds(dead=True)
        assert dead.error == "no such mailbox"
        assert h.desk.outbounds() == []
        await h.desk.ask(c.RetryOutbound(outbound=dead.outbound, by="operator:x"))
        await office.settled()
        assert outside.told == [(dead.outbound, "hello")] * 2
        assert h.desk.outbounds(dead=True) == []


@pytest.mark.promise("OB-1")
async def test_while_it_is_tried_again_it_can_be_told_why() -> None:
    slow = OutboxSettings(first_pause=Duration(60_000))
    async with post(settings=slow) as (h, outside, office):
        outside.fails = [DeliveryFailed("451 later")]
        await served(h)
        await h.desk.ask(say("ana", 1, "hello"))
        await h.until(lambda: outside.told)
        (letter,) = h.desk.outbounds()
        await h.until(lambda: office.outbox.trying(letter.outbound))
        assert office.outbox.trying(letter.outbound) == "451 later"
        assert office.outbox.trying(letter.outbound + 1) == ""


async def test_a_reply_that_is_given_up_is_noted_on_its_contact_once_and_its_agent_hears() -> None:
    async with post() as (h, outside, _):
        outside.fails = [DeliveryFailed("550 no such mailbox", final=True)]
        heard: list[Any] = []
        h.writer.tell = lambda news: heard.append(news.event)
        await served(h)
        await h.desk.ask(say("ana", 1, "hello"))
        for _ in range(2):
            await h.until(lambda: h.desk.outbounds(dead=True))
            (dead,) = h.desk.outbounds(dead=True)
            notes = [note.text for note in h.desk.interaction(1).notes]
            assert notes == [f"Not delivered to {dead.whom} (550 no such mailbox)"]
            outside.fails = [DeliveryFailed("550 no such mailbox", final=True)]
            await h.desk.ask(c.RetryOutbound(outbound=dead.outbound, by="operator:x"))
        assert [type(event) for event in heard].count(NoteAdded) == 1


async def test_patience_ends_on_the_engines_clock() -> None:
    async with post() as (h, outside, _):
        outside.fails = [DeliveryFailed("busy")] * 1_000
        await served(h)
        await h.desk.ask(say("ana", 1, "hello"))
        await h.until(lambda: len(outside.told) > 2)
        assert h.desk.outbounds(dead=True) == []
        h.clock.advance(QUICK.give_up)
        await h.until(lambda: h.desk.outbounds(dead=True))


CALLS = replace(
    CONFIG,
    channels={"phone": Channel(exclusive=True, actions=("assigned",))},
)


@asynccontextmanager
async def connecting(outside: Outside) -> AsyncIterator[House]:
    """Calls whose agents have to be connected."""
    async with house(MemoryJournal(), config=CALLS) as h:
        outbox = Outbox(h.desk, h.clock, QUICK, {"phone": cast("Adapter", outside)})
        h.writer.post = outbox.post
        await h.sign_in("ana")
        await h.desk.ask(arrive("c1"))
        yield h
        outbox.stop()


@pytest.mark.promise("OF-3")
async def test_whoever_cannot_be_connected_waits_again_once_and_that_is_recorded_whatever_it_takes() -> None:
    outside = Outside()
    async with connecting(outside) as h:
        outside.fails = [DeliveryFailed("no telephone", final=True)]
        asked: list[c.AnyCommand] = []
        busy, submit = [Overloaded("full", retry_after_s=0)], h.desk.submit

        def full_at_first(command: c.AnyCommand, done: Done) -> None:
            asked.append(command)
            if isinstance(command, c.FailConnection) and busy:
                done(busy.pop())
            else:
                submit(command, done)

        h.desk.submit = full_at_first
        await h.desk.ask(c.Accept(agent="ana", offer=1))
        await h.until(lambda: h.desk.outbounds(dead=True))
        [dead] = h.desk.outbounds(dead=True)
        keys = [command.key for command in asked if isinstance(command, c.FailConnection)]
        assert keys == [f"outbox:{dead.outbound}"] * 2
        assert h.desk.interaction(1).connect_failures == 1


class NoTelephone(Outside):
    """Ana's cannot be reached, which takes its time."""

    async def deliver(self, letter: Outbound) -> None:
        await super().deliver(letter)
        if letter.agent == "ana":
            raise DeliveryFailed("no telephone", final=True)


@pytest.mark.promise("OF-3")
async def test_a_connection_that_is_given_up_is_not_held_against_whoever_has_the_call_by_then() -> None:
    outside = NoTelephone()
    async with connecting(outside) as h:
        outside.hold = asyncio.Event()
        await h.desk.ask(c.Accept(agent="ana", offer=1))
        await h.until(lambda: outside.told)
        await h.sign_in("ben")
        await h.desk.ask(c.SetState(agent="ana", state="not_ready"))
        await h.desk.ask(c.Requeue(interaction=1, by="sam"))
        await h.desk.ask(c.Accept(agent="ben", offer=2))
        outside.hold.set()
        await h.until(lambda: h.desk.outbounds(dead=True) and not h.desk.outbounds())
        assert h.desk.interaction(1).agent == "ben"
        assert h.desk.interaction(1).connect_failures == 0


async def test_a_channel_that_nobody_serves_any_more_is_a_dead_letter_and_no_fault() -> None:
    async with post() as (h, _, office):
        await served(h)
        office.outbox._adapters.clear()
        await h.desk.ask(say("ana", 1, "hello"))
        await h.until(lambda: h.desk.outbounds(dead=True))
        assert "email" in h.desk.outbounds(dead=True)[0].error


async def test_letters_of_one_interaction_keep_their_order_and_others_do_not_wait_for_them() -> None:
    async with post() as (h, outside, office):
        await served(h, 2)
        outside.hold = asyncio.Event()
        for text in ("one", "two", "three"):
            await h.desk.ask(say("ana", 1, text))
        await h.desk.ask(say("ana", 2, "other"))
        await h.until(lambda: len(outside.told) == 2)
        assert outside.words == ["one", "other"]
        outside.hold.set()
        await office.settled()
        assert outside.words == ["one", "other", "two", "three"]


async def test_a_hang_up_does_not_overtake_what_fails_before_it() -> None:
    async with post() as (h, outside, office):
        outside.fails = [DeliveryFailed("busy")] * 3
        await served(h)
        await h.desk.ask(say("ana", 1, "first"))
        await h.desk.ask(c.Complete(agent="ana", interaction=1))
        await office.settled()
        assert outside.words == ["first"] * 4 + ["ended"]


async def test_only_so_many_are_under_way_at_once() -> None:
    settings = OutboxSettings(concurrency=2, first_pause=Duration(1))
    async with post(settings=settings) as (h, outside, office):
        await served(h, 5)
        outside.hold = asyncio.Event()
        for number in range(1, 6):
            await h.desk.ask(say("ana", number, f"to {number}"))
        await h.until(lambda: outside.under_way == 2)
        outside.hold.set()
        await office.settled()
        assert outside.most_under_way == 2
        assert len(outside.told) == 5


@pytest.mark.promise("DU-1")
async def test_what_was_not_settled_is_delivered_again_after_a_restart_under_its_number() -> None:
    async with post() as (h, outside, _):
        await served(h)
        outside.hold = asyncio.Event()
        await h.desk.ask(say("ana", 1, "one"))
        await h.desk.ask(say("ana", 1, "two"))
        await h.until(lambda: outside.told)
        after = h.journal.crashed()
    again = Outside()
    async with post(after, outside=again) as (_, _, office):
        await office.settled()
        assert (outside.words, again.words) == (["one"], ["one", "two"])
        assert outside.told[0] == again.told[0]


@pytest.mark.promise("DU-2")
async def test_after_a_failed_append_it_begins_anew_with_what_the_journal_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from router.service import writer

    monkeypatch.setattr(writer, "RETRY_S", 0.01)
    async with post() as (h, outside, office):
        await served(h)
        outside.hold = asyncio.Event()
        await h.desk.ask(say("ana", 1, "durable"))
        await h.until(lambda: outside.told)
        h.journal.fail_next()
        lost = h.ask(say("ana", 1, "never recorded"))
        await h.until(lambda: lost)
        outside.hold.set()
        h.journal.heal()
        await h.until(lambda: h.recoveries)
        await office.settled()
        assert set(outside.words) == {"durable"}


async def test_a_settlement_without_room_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with post() as (h, outside, office):
        await served(h)
        refusals = 3
        submit = h.desk.submit

        def crowded(command: c.AnyCommand, done: Any) -> None:
            nonlocal refusals
            if isinstance(command, c.SettleOutbound) and refusals:
                refusals -= 1
                asyncio.get_running_loop().call_soon(done, Overloaded("full", retry_after_s=0))
            else:
                submit(command, done)

        monkeypatch.setattr(h.desk, "submit", crowded)
        await h.desk.ask(say("ana", 1, "hello"))
        await office.settled()
        assert (outside.words, refusals) == (["hello"], 0)
        assert office.outbox.health().figures["waiting"] == 0


async def test_finishing_waits_for_what_is_under_way() -> None:
    async with post() as (h, outside, office):
        await served(h)
        outside.hold = asyncio.Event()
        await h.desk.ask(say("ana", 1, "hello"))
        await h.until(lambda: outside.told)
        finished = asyncio.ensure_future(office.outbox.finish())
        await asyncio.sleep(0)
        assert not finished.done()
        outside.hold.set()
        await finished
        await office.settled()


@pytest.mark.promise("OB-1")
async def test_health_sees_that_nobody_delivers() -> None:
    async with post() as (h, outside, office):
        await served(h)
        outside.hold = asyncio.Event()
        await h.desk.ask(say("ana", 1, "hello"))
        await h.until(lambda: outside.told)
        assert office.outbox.health().ok
        next(iter(office.outbox._tasks.values())).cancel()
        await h.until(lambda: not office.outbox.health().ok)
        assert "nobody" in office.outbox.health().detail
