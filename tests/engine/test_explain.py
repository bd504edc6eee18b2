"""Why this agent, why not the others, why it still waits and what changes next (EX-1, EX-2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Agent, Channel, Config, Step
from router.engine.decisions import decision
from router.engine.engine import Engine
from router.engine.events import Record
from router.engine.explain import explain, why_not
from router.engine.requirements import Node
from router.engine.transitions import QUEUED
from router.journal import codec
from router.journal.sqlite import SqliteJournal
from router.service.hindsight import look_back
from tests.engine.support.office import OFFICE, STAFF, Office, agents_with, office_with, seconds
from tests.engine.support.walk import Walk

# --- one reason for each agent ----------------------------------------------------------------------------------------


def reason(office: Office, number: int, agent: str) -> tuple[str, str]:
    told = why_not(office.state, number, agent, office.now_ms)
    return told["code"], told["reason"]


def level(at_least: int) -> Config:
    return office_with(requirement=Node(skill="support", level=at_least))


@pytest.mark.promise("EX-1")
def test_signed_out() -> None:
    office = Office()
    assert reason(office, office.arrive(), "ana") == ("signed-out", "ana is not signed in")


@pytest.mark.promise("EX-1")
def test_not_ready_with_the_reason_that_the_agent_gave() -> None:
    office = Office(ready=("ana",))
    office.pause("ana", "lunch")
    assert reason(office, office.arrive(), "ana") == ("not-ready", "ana is not ready (lunch)")


@pytest.mark.promise("EX-1")
def test_not_ready_after_the_present_work() -> None:
    office = Office(ready=("ana",))
    office.active()
    office.pause("ana", "lunch")
    code, sentence = reason(office, office.arrive(), "ana")
    assert (code, sentence) == ("going-not-ready", "ana becomes not ready after the present work (lunch)")


@pytest.mark.promise("EX-1")
def test_missing_skill() -> None:
    office = Office(ready=("sue",))
    code, sentence = reason(office, office.arrive(), "sue")
    assert (code, sentence) == (
        "missing-skill",
        "sue does not meet the requirement: asks for support >= 1, does not have support",
    )


@pytest.mark.promise("EX-1")
def test_level_too_low() -> None:
    office = Office(level(4), ready=("ben",))
    code, sentence = reason(office, office.arrive(), "ben")
    assert (code, sentence) == (
        "level-too-low",
        "ben does not meet the requirement: asks for support >= 4, has level 3",
    )


@pytest.mark.promise("EX-1")
@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (Node(team=("red",)), "missing"),
        (Node(language="es"), "missing"),
        (Node(any=(Node(team=("red",)), Node(skill="sales"))), "missing"),
        (Node(skill="support", op="<", level=3), "level-wrong"),
        (Node(all=(Node(skill="support", level=9), Node(skill="sales"))), "missing-skill"),
    ],
)
def test_other_parts_of_a_requirement(asked: Node, code: str) -> None:
    office = Office(office_with(requirement=asked), ready=("ana",))
    assert reason(office, office.arrive(), "ana")[0] == code


@pytest.mark.promise("EX-1")
def test_cap() -> None:
    office = Office(ready=("ana",))
    office.active("email")
    assert reason(office, office.arrive("email"), "ana") == ("cap", "ana has 1 email; the cap for email is 1")


@pytest.mark.promise("EX-1")
def test_who_never_takes_a_channel_is_not_said_to_be_full() -> None:
    caps, budget = Agent(skills={"support": 5}, caps={"phone": 0}), Agent(skills={"support": 5}, budget=1)
    heavy = {**OFFICE.channels, "phone": Channel(exclusive=True, weight=2)}
    office = Office(agents_with(replace(OFFICE, channels=heavy), ana=caps, ben=budget), ready=("ana", "ben"))
    call = office.arrive("phone")
    assert reason(office, call, "ana") == ("other-channel", "ana takes no phone: the cap for it is 0")
    why = "ben takes no phone: its weight of 2 is more than the budget of 1"
    assert reason(office, call, "ben") == ("other-channel", why)
    assert headline(office, call) == "waits because nobody who is signed in can take it"


@pytest.mark.promise("EX-1")
def test_exclusive_both_ways() -> None:
    office = Office(ready=("ana",))
    office.active("email")
    call = office.arrive("phone")
    assert reason(office, call, "ana") == ("exclusive", "ana has 1 email; phone needs an agent without other work")
    office = Office(ready=("ana",))
    office.active("phone")
    chat = office.arrive("chat")
    assert reason(office, chat, "ana") == ("exclusive", "ana has 1 phone, which leaves room for nothing else")


@pytest.mark.promise("EX-1")
def test_budget() -> None:
    office = Office(agents_with(OFFICE, ana=Agent(skills=STAFF["ana"], budget=1)), ready=("ana",))
    office.active("chat")
    code, sentence = reason(office, office.arrive("email"), "ana")
    assert (code, sentence) == ("budget", "ana has 1 chat; one more email would go over the budget of 1")


@pytest.mark.promise("EX-1")
def test_cool_off() -> None:
    office = Office(ready=("ana", "ben"))
    number = office.arrive()
    first = office.decline(number)
    code, sentence = reason(office, number, first)
    assert (code, sentence) == ("cool-off", f"{first} missed or declined it; others are tried for 30s more")


@pytest.mark.promise("EX-1")
def test_what_is_offered_owned_or_over_says_so() -> None:
    office = Office(ready=("ana", "ben"))
    number = office.arrive()
    holder = office.offered_to(number)[0]
    other = "ben" if holder == "ana" else "ana"
    assert reason(office, number, holder)[0] == "is-offered"
    office.accept(number)
    assert reason(office, number, holder) == ("has-it", f"{holder} has it")
    assert reason(office, number, other) == ("taken", f"{holder} has it")
    office.complete(number)
    assert reason(office, number, other)[0] == "over"


# --- an offer as it was decided ---------------------------------------------------------------------------------------


def decided(office: Office, number: int, nth: int = -1) -> dict[str, Any]:
    """One of its routed offers, from the records alone."""
    engine, found = Engine(), []
    for payload in office.checked.payloads:
        record = codec.decode(payload)
        event = record.event
        if isinstance(event, e.OfferMade) and event.interaction == number:
            found.append(_of(engine, event, record))
        engine.apply(record)
    return found[nth]


def _of(engine: Engine, event: e.OfferMade, record: Record) -> dict[str, Any]:
    s = engine.state
    item, agent = s.interactions[event.interaction], s.agents[event.agent]
    return decision(s, item, event.offer, agent, event.cause, event.by, record.at_ms)


def codes(told: dict[str, Any]) -> dict[str, str]:
    return {line["agent"]: line["code"] for line in told["passed_over"]}


@pytest.mark.promise("EX-1")
def test_an_assignment_tells_configuration_requirement_and_step() -> None:
    config = office_with(
        requirement=Node(skill="support", level=6), relax=(Step(after=seconds(10), lower={"support": 3}),)
    )
    office = Office(config, ready=("ana", "ben"))
    number = office.arrive()
    office.sleep_s(10)
    told = decided(office, number)
    assert (told["configuration_version"], told["queue"], told["rule"], told["cause"]) == (1, "support", "", "routed")
    assert (told["requirement"], told["step"]) == ({"skill": "support", "level": 3}, 1)
    assert (told["waited_ms"], told["target_ms"], told["share_of_target"]) == (10_000, 20_000, 0.5)
    assert (told["weight"], told["band"], told["head_start_ms"]) == (1.0, "normal", 20_000)


@pytest.mark.promise("EX-1")
def test_of_equals_the_one_idle_for_a_shorter_time_lost_a_tie() -> None:
    office = Office(ready=("ana", "ben"))
    told = decided(office, office.arrive())
    assert told["agent"] == "ana"
    assert told["why"] == "of 2 who could take it, ana had been idle longest"
    assert [x["agent"] for x in told["candidates"]] == ["ana", "ben"]
    assert codes(told) == {"ben": "lost-tie", "sue": "signed-out"}


@pytest.mark.promise("EX-1")
def test_a_lower_score_lost_and_the_parts_are_told() -> None:
    office = Office(office_with(choice="best-level"), ready=("ben", "ana"))
    told = decided(office, office.arrive())
    assert told["why"] == "of 2 who could take it, ana has the best level"
    assert [(x["agent"], x["order"], x["level"]) for x in told["candidates"]] == [("ana", 1, 5), ("ben", 2, 3)]
    assert codes(told)["ben"] == "lower-score"


@pytest.mark.promise("EX-1")
def test_whoever_meets_only_the_relaxed_requirement_stands_outside() -> None:
    config = office_with(
        requirement=Node(skill="support", level=5), relax=(Step(after=seconds(10), lower={"support": 3}),)
    )
    office = Office(config)
    number = office.arrive()
    office.sleep_s(10)
    for name in ("ben", "ana"):  # Ben has been there for longer, but both become free in one command
        office.do(c.SetState(agent=name, state="ready"))
    office.configure(replace(config, default_queue=None))
    told = decided_after_both_sign_in(office, number)
    assert told["agent"] == "ana"
    assert codes(told)["ben"] == "outer"


def decided_after_both_sign_in(office: Office, number: int) -> dict[str, Any]:
    """Both declined work until now and come in the same turn: nobody is offered it before both are there."""
    for name in ("ben", "ana"):
        office.do(c.OpenSession(agent=name, session="s"))
        if office.state_of(number) != "queued":
            office.decline(number)
            office.sleep_s(1)
    office.do(c.Requeue(interaction=number, by="o"))
    return decided(office, number)


@pytest.mark.promise("EX-1")
def test_what_else_waited_for_that_agent_is_told_with_its_value() -> None:
    office = Office(ready=("ana",))
    held = office.active("email")
    first = office.arrive("email")
    office.pass_s(5)
    second = office.arrive("email")
    office.arrive("phone")
    office.complete(held)
    told = decided(office, first)
    assert second not in {line["interaction"] for line in told["also_waiting"]}  # only the first of each line
    assert [line["queue"] for line in told["also_waiting"]] == ["support"]
    assert told["also_waiting"][0]["instead_of"] > told["also_waiting"][0]["value"]


@pytest.mark.promise("EX-1")
def test_what_was_given_by_hand_says_by_whom() -> None:
    office = Office()
    office.do(c.OpenSession(agent="ana", session="s"))
    number = office.arrive()
    office.do(c.Assign(interaction=number, agent="ana", by="operator:sam"))
    assert decided(office, number)["why"] == "sam gave it to ana"


@pytest.mark.promise("EX-1")
@pytest.mark.promise("DU-3")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(0, 16, 4))
def test_the_agent_of_every_recorded_offer_is_the_best_of_the_candidates(first: int) -> None:
    """Histories by chance, with every rule of choice: what is worked out afterwards is what happened.

    And everybody else has exactly one reason.
    """
    offers = sum(map(compared, range(first, first + 4)))
    assert offers > 50


def compared(seed: int) -> int:
    """How many offers of a history were worked out again."""
    engine, offers = Engine(), 0
    for payload in Walk(seed, thrift=50).run(300).checked.payloads:
        record = codec.decode(payload)
        event = record.event
        if isinstance(event, e.OfferMade) and event.cause == "routed":
            offers += 1
            told = _of(engine, event, record)
            candidates = [x["agent"] for x in told["candidates"]]
            passed = [line["agent"] for line in told["passed_over"]]
            assert candidates[0] == event.agent, (seed, told)
            assert sorted([event.agent, *passed]) == sorted(engine.state.agents), (seed, told)
            assert not {"could-get-it", "taken", "over"} & set(codes(told).values()), (seed, told)
            for line in told["also_waiting"]:
                assert line["why"] != "unexplained", (seed, told)
                assert line["why"] != "urgency" or line["instead_of"] >= line["value"], (seed, told)
        engine.apply(record)
    return offers


# --- what waits -------------------------------------------------------------------------------------------------------


@pytest.mark.promise("EX-2")
def test_one_that_waits_tells_why_and_who_is_ahead() -> None:
    office = Office(ready=("ana", "ben"))
    for _ in range(2):
        office.active("email")
    office.arrive("email")
    number = office.arrive("email")
    told = explain(office.state, number, office.now_ms)
    assert told["summary"] == "waits because all 2 agents who fit and are signed in have no room"
    assert told["position"] == 2
    assert told["ahead"] == [{"queue": "support", "ahead": 1, "same_agents": 1.0}]
    assert told["agents_by_reason"] == {"cap": 2, "signed-out": 1}
    assert [line["code"] for line in told["agents"]] == ["cap", "cap", "signed-out"]


def headline(office: Office, number: int) -> str:
    told: str = explain(office.state, number, office.now_ms)["summary"]
    return told


@pytest.mark.promise("EX-2")
def test_the_headline_counts_everybody_who_fits() -> None:
    office = Office(ready=("ana", "ben"))
    office.pause("ben", "lunch")
    office.active("email")
    waiting = office.arrive("email")
    assert headline(office, waiting) == (
        "waits because of 2 agents who fit and are signed in, 1 has no room and 1 is not ready"
    )


@pytest.mark.promise("EX-2")
def test_the_headline_knows_those_who_have_suspended_work_to_take_up() -> None:
    phone = replace(OFFICE.channels["phone"], interrupts=("chat",))
    config = agents_with(replace(OFFICE, channels={**OFFICE.channels, "phone": phone}), ana=Agent(skills=STAFF["ana"]))
    office = Office(config, ready=("ana",))
    office.active("chat")
    office.active("phone")
    waiting = office.arrive("email")
    assert reason(office, waiting, "ana")[0] == "suspended"
    assert headline(office, waiting) == (
        "waits because the only agent who fits and is signed in must take up suspended work first"
    )


@pytest.mark.promise("EX-2")
def test_the_headline_says_that_everybody_refused_it() -> None:
    office = Office(ready=("ana", "ben"))
    number = office.arrive()
    while office.offers_of(number):
        office.decline(number)
    assert headline(office, number) == (
        "waits because all 2 agents who fit and are signed in refused it again and again, and are asked again after a "
        "pause"
    )


@pytest.mark.promise("EX-1")
def test_signed_in_and_never_ready_is_said_so() -> None:
    office = Office()
    office.do(c.OpenSession(agent="ana", session="s"))
    number = office.arrive()
    assert reason(office, number, "ana") == ("not-ready", "ana is signed in but has not become ready yet")
    assert headline(office, number) == "waits because the only agent who fits and is signed in is not ready"


@pytest.mark.promise("EX-2")
def test_every_code_of_somebody_who_fits_is_counted_in_the_headline() -> None:
    """Histories by chance: where the table has anybody who fits and is signed in, the headline does not deny it."""
    away = {"signed-out", "leaving", "missing-skill", "missing", "level-too-low", "level-wrong", "not-lent", "held"}
    away.add("other-channel")
    seen: set[str] = set()
    for seed in range(4):
        engine = Engine()
        for payload in Walk(seed, thrift=50).run(300).checked.payloads:
            record = codec.decode(payload)
            engine.apply(record)
            waiting = [item.number for item in engine.state.interactions.values() if item.state == QUEUED]
            for number in waiting[:1]:
                told = explain(engine.state, number, record.at_ms)
                fitting = told["agents_by_reason"].keys() - away
                named = [words in told["summary"] for words in ("is held", "keeps a place free for it")]
                assert any(named) or bool(fitting) == ("who fit" in told["summary"]), (seed, told)
                seen |= fitting
    assert len(seen) > 3, seen


@pytest.mark.promise("EX-2")
def test_who_waits_again_has_waited_until_now() -> None:
    office = Office(ready=("ana",))
    number = office.active()
    office.sleep_s(60)
    office.do(c.Requeue(interaction=number, by="operator:sam"))
    assert explain(office.state, number, office.now_ms)["waited_ms"] == 60_000


@pytest.mark.promise("EX-2")
def test_those_of_other_queues_count_as_far_as_they_want_the_same_agents() -> None:
    agents = {"ana": Agent(skills={"support": 5, "sales": 5}), "sue": Agent(skills={"sales": 5})}
    config = agents_with(replace(OFFICE, default_queue="sales"), **agents)
    office = Office(config, ready=("ana", "sue"))
    for _ in range(2):
        office.active("email")
    for _ in range(3):
        office.arrive("email")
    office.configure(replace(config, default_queue="support"))
    number = office.arrive("email")
    told = explain(office.state, number, office.now_ms)
    assert told["ahead"] == [{"queue": "sales", "ahead": 3, "same_agents": 1.5}]


@pytest.mark.promise("EX-2")
def test_the_next_timed_changes_are_told_with_what_they_do() -> None:
    relax = (Step(after=seconds(60), lower={"support": 3}),)
    config = office_with(requirement=Node(skill="support", level=9), relax=relax, band="low")
    office = Office(config, ready=("ana",))
    number = office.arrive(lease_ms=30_000)
    changes = explain(office.state, number, office.now_ms)["next_changes"]
    assert [(x["in_ms"], x["change"]) for x in changes] == [
        (30_000, "lease-over"),
        (60_000, "relaxed"),
        (400_000, "cap-reached"),
        (600_000, "band-raised"),
    ]
    assert changes[1]["effect"] == "step 1 of 1 of the relaxation plan: from then on it asks for support >= 3"
    for change in changes[1:2]:
        office.do(c.Renew(thread=office.thread(number), lease_ms=900_000))
        office.sleep_s(change["in_ms"] / 1_000)
    assert office.state_of(number) == "offered", "what was foretold has happened"


@pytest.mark.promise("EX-2")
def test_the_end_of_a_cool_off_is_a_change() -> None:
    office = Office(ready=("ana", "ben"))
    office.active()
    number = office.arrive()
    who = office.decline(number)
    told = explain(office.state, number, office.now_ms)
    if office.item(number).state == QUEUED:
        changes = [(x["in_ms"], x["change"], x["effect"]) for x in told["next_changes"]]
        assert (30_000, "cool-off-ended", f"{who} may be offered it again") in changes


@pytest.mark.promise("EX-2")
def test_of_many_agents_the_nearest_are_shown() -> None:
    agents = {f"x{i}": Agent(skills={"sales": 1}) for i in range(300)} | {"zoe": Agent(skills={"support": 5})}
    office = Office(agents_with(OFFICE, **agents), ready=("zoe",))
    office.active("email")
    told = explain(office.state, office.arrive("email"), office.now_ms)
    assert told["agents"][0] == {"agent": "zoe", "code": "cap", "reason": "zoe has 1 email; the cap for email is 1"}
    assert len(told["agents"]) == 50


# --- looking back in a journal ----------------------------------------------------------------------------------------


def journal_of(office: Office, path: Path, snapshot_at: int = 0) -> SqliteJournal:
    journal = SqliteJournal(path)
    journal.open()
    journal.append(1, office.checked.payloads)
    journal.close()
    journal.open()
    return journal


@pytest.mark.promise("EX-1")
def test_a_journal_tells_every_offer_as_it_was(tmp_path: Path) -> None:
    office = Office(ready=("ana", "ben"))
    number = office.arrive()
    first = office.decline(number)
    office.pass_s(3)
    second = office.accept(number)
    office.complete(number)
    journal = journal_of(office, tmp_path / "journal.db")
    try:
        past = look_back(journal, number)
    finally:
        journal.close()
    assert [d["agent"] for d in past.decisions] == [first, second]
    assert {"agent": first, "code": "cool-off"}.items() <= past.decisions[1]["passed_over"][0].items()
    assert past.decisions == [decided(office, number, 0), decided(office, number, 1)]
    assert [type(record.event).__name__ for _, record in past.history] == [
        "InteractionArrived",
        "OfferMade",
        "OfferDeclined",
        "OfferMade",
        "OfferAccepted",
        "InteractionEnded",
    ]
