"""How an interaction came to be where it is, told from its records in order of time (EX-2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from router.cli import telling
from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Callbacks, Channel, Resort, Rule, Step
from router.engine.explain import explain
from router.service.hindsight import look_back
from router.service.way import WORDS
from router.service.wording import LANGUAGES, worded
from tests.engine.support.office import OFFICE, Office, office_with, seconds
from tests.engine.test_consult import consulting
from tests.engine.test_explain import decided, journal_of

pytestmark = pytest.mark.promise("EX-2")


@pytest.fixture
def way(tmp_path: Path) -> Any:
    def told(office: Office, number: int) -> list[str]:
        journal = journal_of(office, tmp_path / f"{number}.db")
        try:
            lines = look_back(journal, number).way
        finally:
            journal.close()
        assert [line["seq"] for line in lines] == sorted(line["seq"] for line in lines)
        return [line["what"] for line in lines]

    return told


def story(office: Office, number: int) -> list[str]:
    return list(telling.story(explain(office.state, number, office.now_ms)))


def test_a_move_after_the_longest_wait_is_told_with_its_cause(way: Any) -> None:
    config = replace(
        office_with(max_wait=seconds(30), when_overdue=Resort("move", "sales")),
        rules=(Rule("mail", "support", channel=("email",)),),
    )
    office = Office(config)
    number = office.arrive()
    office.sleep_s(30)
    assert way(office, number) == [
        "it came to queue support by the rule mail",
        "a rule of its queue moved it to queue sales: it had waited as long as anybody may there (max-wait)",
    ]
    assert any(
        line.startswith("Queue sales; it had come to queue support, by the rule mail;")
        for line in story(office, number)
    )
    assert explain(office.state, number, office.now_ms)["has_past"]


def test_a_transfer_by_an_operator_is_told_with_who_and_why(way: Any) -> None:
    office = Office()
    number = office.arrive()
    assert not explain(office.state, number, office.now_ms)["has_past"]
    to = c.Target(queue="sales")
    office.do(c.Transfer(interaction=number, to=to, by="operator:sam", why="wrong desk"))
    office.do(c.Reprioritise(interaction=number, band="urgent", by="operator:sam", why="promised"))
    assert way(office, number)[1:] == [
        "operator sam transferred it from queue support to sales (wrong desk)",
        "it was given band urgent, by operator sam (promised)",
    ]


def test_a_step_into_another_queue_names_the_plan(way: Any) -> None:
    office = Office(office_with(relax=(Step(after=seconds(5), queue="sales"),)))
    number = office.arrive()
    office.sleep_s(5)
    assert way(office, number)[1:] == [
        "it took step 1 of the relaxation plan: its time had come",
        "a rule moved it from queue support to sales: a step of the relaxation plan says so",
    ]


def test_offers_refusals_and_who_sent_it_back_are_told_in_order(way: Any) -> None:
    office = Office(ready=("ana", "ben"))
    number = office.arrive()
    office.decline(number)
    office.accept(number)
    office.do(c.Requeue(interaction=number, by="operator:sam", why="ill"))
    assert way(office, number)[:6] == [
        "it came to queue support",
        "it was offered to ana",
        "ana declined it",
        "it was offered to ben",
        "ben accepted it",
        "it went back from ben to waiting, by operator sam (ill)",
    ]


def test_a_hand_over_after_a_consult_says_by_whom(way: Any) -> None:
    office, number, leg = consulting()
    office.do(c.CompleteConsult(agent="ana", interaction=number))
    assert way(office, number)[-3:] == [
        "ana asked sue and stayed the owner",
        "sue answered",
        "ana handed it over to sue, who had been asked",
    ]
    assert way(office, leg)[0] == f"ana asked sue about i-{number} and stayed the owner"


def test_an_attempt_to_call_back_says_where_it_comes_from_and_how_it_goes_on(way: Any) -> None:
    phone = Channel(exclusive=True, calls=("phone.dev:",))
    office = Office(
        replace(
            OFFICE,
            channels={**OFFICE.channels, "phone": phone},
            callbacks=Callbacks(attempts=2, delay=seconds(3)),
            default_queue=None,
        ),
        ready=("ana",),
    )
    ask = c.RequestCallback(to="+15550777", channel="phone", queue="support", by="operator:sam")
    office.do(ask)
    office.sleep_s(1)
    number = max(office.state.interactions)
    assert any("Queue support, by a callback that was asked for;" in line for line in story(office, number))
    office.accept(number)
    office.do(c.FailCall(thread=office.thread(number), reason="busy"))
    assert way(office, number)[0] == "it came to wait as an attempt of callback c-1"
    told = explain(office.state, number, office.now_ms)["callback"]
    assert told["next_attempt_at_ms"] == office.now_ms + 3_000
    assert told["summary"].startswith("+15550777 is called again from ")
    assert told["summary"].endswith("attempt 2 of 2")


def test_an_offer_that_interrupts_names_what_is_put_aside() -> None:
    phone = replace(OFFICE.channels["phone"], interrupts=("email",))
    channels = {**OFFICE.channels, "phone": phone, "email": Channel(cap=2)}
    office = Office(replace(OFFICE, channels=channels), ready=("ana",))
    first, second = office.active("email"), office.active("email")
    call = office.arrive("phone")
    told = explain(office.state, call, office.now_ms)["offers"][0]
    assert sorted(told["puts_aside"]) == [f"i-{first}", f"i-{second}"]
    assert decided(office, call)["puts_aside"] == told["puts_aside"]
    assert any(f"To accept puts aside i-{second}, i-{first}." in line for line in story(office, call))
    office.accept(call)
    assert all(office.state.suspended(office.item(n)) for n in (first, second)), "what was foretold has happened"


def test_each_line_is_worded_in_the_language_of_the_reader(tmp_path: Path) -> None:
    office = Office(office_with(relax=(Step(after=seconds(5), queue="sales"),)), ready=("ana", "ben"))
    number = office.arrive()
    office.decline(number)
    office.accept(number)
    office.do(c.Requeue(interaction=number, by="operator:sam", why="ill"))
    office.do(c.Reprioritise(interaction=number, band="urgent", weight=2, by="operator:sam"))
    office.do(c.Close(interaction=number, by="operator:sam", why="spam"))
    journal = journal_of(office, tmp_path / "j.db")
    try:
        lines = worded(look_back(journal, number).way, "es")
    finally:
        journal.close()
    assert [line["what"] for line in lines] == [
        "llegó a la cola support",
        "se ofreció a ana",
        "ana la rechazó",
        "se ofreció a ben",
        "ben la aceptó",
        "dejó de estar con ben y volvió a esperar, por operador sam (ill)",
        "se ofreció a ana",
        "se le dio la banda urgent, el peso 2, por operador sam",
        "se retiró la oferta a ana: la cerró un operador, por operador sam (spam)",
        "terminó: la cerró un operador, por operador sam (spam)",
    ]
    told = worded(explain(office.state, number, office.now_ms), "es")
    assert told["summary"] == "ha terminado: la cerró un operador"


# What an event is filled with, by the type of its field; all others are texts.
SAMPLES: dict[Any, object] = {int: 7, float: 2.5, tuple[str, ...]: ("ana", "ben"), dict[str, str]: {"a": "b"}}


@pytest.mark.parametrize("event", WORDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_line_is_without_words(event: type[e.Event], language: str) -> None:
    filled = {
        field.name: SAMPLES.get(field.type, None if "None" in str(field.type) else "x")
        for field in msgspec.structs.fields(event)
        if field.required or field.name == "attributes"
    }
    said = worded(WORDS[event](event(**filled)), language)
    assert said
    assert "{" not in said
