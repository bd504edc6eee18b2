"""What time will do to something that waits: whatever is foretold happens, and nothing else does (EX-2)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from router.cli import telling
from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Band, Calendar, Channel, Config, Presence, Resort, Step, Unservable, WrapUp
from router.engine.engine import Engine
from router.engine.events import Event
from router.engine.explain import explain
from router.engine.outlook import changes
from router.engine.requirements import Node
from router.engine.transitions import QUEUED
from router.journal import codec
from tests.engine.support.office import OFFICE, Office, office_with, seconds
from tests.engine.support.walk import Walk

NOBODY_SPEAKS = "No deadline will change anything about it"
TO_SALES = Resort("move", "sales")


def coming(office: Office, number: int) -> dict[str, tuple[int, str]]:
    """Code -> in how many ms, and what it will do."""
    told = explain(office.state, number, office.now_ms)
    return {x["change"]: (x["in_ms"], x["effect"]) for x in told["next_changes"]}


def comes_true(office: Office, number: int, change: str) -> None:
    """Nothing becomes of it before that time, and something at it."""
    due, _ = coming(office, number)[change]
    before = (office.state_of(number), office.item(number).queue)
    office.sleep_s((due - 1) / 1_000)
    assert (office.state_of(number), office.item(number).queue) == before
    office.sleep_s(0.001)
    assert (office.state_of(number), office.item(number).queue) != before


@pytest.mark.promise("EX-2")
@pytest.mark.parametrize(
    ("resort", "effect"),
    [
        (Resort("end"), "nobody waits longer than 30s in queue support: it ends"),
        (
            Resort("callback"),
            "nobody waits longer than 30s in queue support: it ends, since the customer cannot be called back",
        ),
        (TO_SALES, "nobody waits longer than 30s in queue support: it moves to queue sales, unless that does not take "
                   "it then"),
    ],
)  # fmt: skip
def test_the_longest_wait_is_told_with_what_it_does(resort: Resort, effect: str) -> None:
    office = Office(office_with(max_wait=seconds(30), when_overdue=resort))
    number = office.arrive()
    office.sleep_s(10)
    assert coming(office, number)["max-wait"] == (20_000, effect)
    comes_true(office, number, "max-wait")


@pytest.mark.promise("EX-2")
def test_a_longest_wait_that_does_nothing_to_mail_is_not_told() -> None:
    lasting = {**OFFICE.channels, "email": Channel(lasting=True)}
    office = Office(replace(office_with(max_wait=seconds(30)), channels=lasting))
    assert "max-wait" not in coming(office, office.arrive())


@pytest.mark.promise("EX-2")
def test_where_nobody_is_signed_in_the_grace_is_told() -> None:
    office = Office(office_with(nobody_grace=seconds(40), when_nobody=Resort("end")))
    number = office.arrive()
    due, effect = coming(office, number)["nobody-there"]
    assert due == 40_000
    assert effect == "if by then nobody who fits queue support has signed in for 40s, it ends"
    comes_true(office, number, "nobody-there")


@pytest.mark.promise("EX-2")
@pytest.mark.parametrize(
    ("rule", "does"),
    [
        (Unservable("end", seconds(8), reason="no-one"), "it ends (no-one)"),
        (Unservable("move", seconds(8), queue="sales"), "it moves to queue sales"),
    ],
)
def test_the_policy_for_what_nobody_can_take_is_told(rule: Unservable, does: str) -> None:
    office = Office(office_with(unservable=rule))
    number = office.arrive()
    assert coming(office, number)["unservable"] == (8_000, f"if by then nobody who is signed in can take it, {does}")
    comes_true(office, number, "unservable")


def daytime(**support: Any) -> Config:
    """Open on all days from 00:00 to 01:00; the office begins at 00:16:40."""
    config = office_with(calendar="day", **support)
    return replace(config, calendars={"day": Calendar(week={"mon-sun": ("00:00-01:00",)})})


@pytest.mark.promise("EX-2")
def test_the_end_of_the_hours_is_told_where_it_does_something() -> None:
    office = Office(daytime(when_closing=TO_SALES))
    number = office.arrive()
    due, effect = coming(office, number)["closing"]
    assert office.now_ms + due == 3_600_000
    assert effect == "calendar day closes: it moves to queue sales, unless that does not take it then"
    comes_true(office, number, "closing")
    office = Office(daytime())
    assert "closing" not in coming(office, office.arrive())


@pytest.mark.promise("EX-2")
def test_where_only_open_hours_count_both_ends_of_them_are_told() -> None:
    office = Office(daytime(clock="open"))
    number = office.arrive()
    assert coming(office, number)["closing"][1].endswith("no more time counts as waiting until it opens again")
    office.sleep_s(3_600)
    due, effect = coming(office, number)["opening"]
    assert office.now_ms + due == 86_400_000
    assert effect == "calendar day opens: from then on its waiting time counts again"


@pytest.mark.promise("EX-2")
def test_the_end_of_an_emergency_is_told() -> None:
    office = Office(daytime(when_emergency=Resort("keep")))
    number = office.arrive()
    office.do(c.CloseCalendar(calendar="day", until_ms=office.now_ms + 4_000, by="operator:sam"))
    assert coming(office, number)["emergency-over"] == (4_000, "the emergency ends that closes calendar day")


@pytest.mark.promise("EX-2")
@pytest.mark.promise("RT-7")
def test_a_step_says_all_that_it_does() -> None:
    steps = (
        Step(lower={"support": 3}),
        Step(after=seconds(8), band="urgent", callback=True),
        Step(after=seconds(9), queue="sales"),
    )
    office = Office(office_with(requirement=Node(skill="support", level=9), relax=steps))
    number = office.arrive()
    assert coming(office, number)["relaxed"] == (
        8_000,
        "steps 1 to 2 of 3 of the relaxation plan: from then on it asks for support >= 3, stands in band urgent, is "
        "offered to be called back",
    )
    office.sleep_s(8)
    assert (office.item(number).step, office.state.band_of(office.item(number))) == (2, "urgent")
    assert coming(office, number)["relaxed"] == (
        1_000,
        "step 3 of 3 of the relaxation plan: from then on it waits in queue sales",
    )
    comes_true(office, number, "relaxed")


@pytest.mark.promise("EX-2")
def test_when_time_makes_a_colleague_free_it_is_told() -> None:
    config = replace(
        office_with(wrap_up=WrapUp("forced", seconds(30))), presence=Presence(misses=1, return_after=seconds(50))
    )
    office = Office(config, ready=("ana",))
    office.complete(office.active("phone"))
    number = office.arrive("phone")
    assert coming(office, number)["wrap-up-over"][0] == 30_000
    office.sleep_s(30)
    assert office.offered_to(number) == ["ana"]
    office.sleep_s(20)
    assert coming(office, number)["agent-returns"][0] == 50_000
    comes_true(office, number, "agent-returns")


@pytest.mark.promise("EX-2")
def test_until_when_a_customer_may_be_called_is_told() -> None:
    phone = Channel(exclusive=True, calls=("phone.dev:",))
    office = Office(replace(OFFICE, channels={**OFFICE.channels, "phone": phone}))
    ask = c.RequestCallback(
        to="+15550777", channel="phone", queue="support", until_ms=office.now_ms + 60_000, by="operator:sam"
    )
    office.do(ask)
    office.sleep_s(1)
    number = max(office.state.interactions)
    assert coming(office, number)["callback-expired"][0] == 59_000
    comes_true(office, number, "callback-expired")


@pytest.mark.promise("EX-2")
def test_nothing_is_denied_where_nothing_is_told() -> None:
    office = Office(replace(OFFICE, order=replace(OFFICE.order, cap=0), bands=(Band("normal"),), default_band="normal"))
    number = office.arrive()
    said = list(telling.story(explain(office.state, number, office.now_ms)))
    assert any(line.startswith(NOBODY_SPEAKS) for line in said)


# --- by chance --------------------------------------------------------------------------------------------------------

# What the engine does by itself to something that waits, and by which change that was foretold.
FORETOLD: dict[type[Event], set[str]] = {
    e.BandRaised: {"band-raised"},
    e.CoolOffEnded: {"cool-off-ended"},
    e.RequirementRelaxed: {"relaxed"},
}


@pytest.mark.promise("EX-2")
def test_what_time_did_by_chance_had_been_foretold() -> None:
    """Whenever a deadline ends, moves or relaxes something that waited, a change was told for that moment or before."""
    found: dict[str, int] = {}
    for seed in range(8):
        for cause in by_time(seed):
            found[cause] = found.get(cause, 0) + 1
    assert sum(found.values()) > 20, found


def by_time(seed: int) -> list[str]:
    """The facts of a history that a deadline brought about for something that waited, each found among the told."""
    engine, found = Engine(), list[str]()
    for payload in Walk(seed, thrift=50).run(300).checked.payloads:
        record = codec.decode(payload)
        event, s = record.event, engine.state
        number = getattr(event, "interaction", 0)
        item = s.interactions.get(number)
        wanted = _foretold(event)
        if wanted and item is not None and item.state == QUEUED:
            s.matcher.stand()
            told = {x["change"]: x for x in reversed(changes(s, item, 0))}
            assert wanted & told.keys(), (seed, event, told)
            assert any(told[code]["at_ms"] <= record.at_ms for code in wanted & told.keys()), (seed, event, told)
            found.append(type(event).__name__)
        engine.apply(record)
    return found


def _foretold(event: Event) -> set[str]:
    if isinstance(event, e.Moved | e.InteractionEnded):
        cause = event.cause if isinstance(event, e.Moved) else event.reason
        return {cause} if cause == "max-wait" else set()
    if isinstance(event, e.RequirementRelaxed):
        return {"relaxed"} if event.cause in ("after", "share") else set()
    return FORETOLD.get(type(event), set())
