"""A journal with everything that can be in one is read: consults, calls to customers, transfers, misses (EX-3)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from router.__main__ import cli
from router.cli.simulating import COUNTS
from router.engine import commands as c
from router.engine.config import Calendar, Config, Queue, Resort
from router.journal import codec
from router.simulate.past import read
from router.simulate.replay import Answer, replay
from tests.engine.support.office import OFFICE, Office
from tests.engine.support.walk import Walk
from tests.engine.test_callbacks import CALLING, KIM, ask, call, hang_up
from tests.simulate.test_yesterday import BEGIN_MS, Day, house, saved

pytestmark = pytest.mark.promise("EX-3")


def again(office: Office, config: Config | None = None, seed: int = 1) -> Answer:
    config = config or office.state.config
    return replay(lambda: map(codec.decode, office.checked.payloads), config, seed)


def adds_up(found: Answer) -> bool:
    return all(
        m["offered"] == sum(m[name] for name in COUNTS[1:])
        for report in (found.was, found.then)
        for m in (report.all, *report.queues.values(), *report.channels.values())
    )


# --- consults and conferences -----------------------------------------------------------------------------------------


def consulted(*then: Callable[[Office, int, int], object]) -> Office:
    """Ana has a call for 30 s, asks ben for 20 s, and goes on."""
    office = Office(OFFICE, ready=("ana",))
    number = office.active("phone")
    office.pass_s(30)
    office.ready("ben")
    office.do(c.Consult(interaction=number, agent="ana", to=c.Target(agent="ben")))
    office.accept(number + 1)
    office.pass_s(20)
    for step in then:
        step(office, number, number + 1)
        office.pass_s(10)
    return office


def joined(office: Office, number: int, leg: int) -> None:
    office.do(c.JoinConsult(interaction=number, agent="ana"))


def handed_over(office: Office, number: int, leg: int) -> None:
    office.do(c.CompleteConsult(interaction=number, agent="ana"))


def over(office: Office, number: int, leg: int) -> None:
    office.do(c.EndConsult(interaction=number, agent="ana"))


def completed(office: Office, number: int, leg: int) -> None:
    office.complete(number)


@pytest.mark.parametrize(
    ("steps", "ana_s", "ben_s"),
    [
        ((over, completed), 60, 20),
        ((joined, over, completed), 70, 30),
        ((handed_over, completed), 50, 30),
        ((joined, handed_over, completed), 60, 40),
        ((completed,), 50, 20),
    ],
    ids=["ended", "conference", "handed over", "conference, handed over", "over with its contact"],
)
def test_a_consult_is_no_contact_but_keeps_both_busy(
    steps: tuple[Callable[[Office, int, int], None], ...], ana_s: int, ben_s: int
) -> None:
    found = again(consulted(*steps))
    assert adds_up(found)
    assert found.was.contacts == found.was.all["served"] == 1
    busy = {x.agent: x.occupancy * x.staffed_s for x in found.was.agents}
    assert busy["ana"] == pytest.approx(ana_s, abs=0.01)
    assert busy["ben"] == pytest.approx(ben_s, abs=0.01)
    assert "not repeated: 1 consult; who was asked is free in that time" in found.notes


def test_a_consult_that_nobody_answers_is_read() -> None:
    office = Office(OFFICE, ready=("ana", "ben"))
    number = office.active("phone")
    office.do(c.Consult(interaction=number, agent="ana", to=c.Target(queue="support")))
    office.decline(number + 1)
    office.pass_s(200)
    office.complete(number)
    found = again(office)
    assert adds_up(found)
    assert found.was.all["served"] == found.then.all["served"] == 1


# --- customers who are to be called -----------------------------------------------------------------------------------


def test_a_place_that_is_kept_is_one_contact_and_waits_for_ever() -> None:
    office = Office(CALLING)
    number = call(office)
    ask(office, number)
    hang_up(office, number)
    left = call(office, "+15550188")
    office.pass_s(60)
    hang_up(office, left)
    office.pass_s(600)
    office.ready("ana")
    office.accept(number)
    office.pass_s(30)
    office.complete(number)
    found = again(office)
    assert adds_up(found)
    for day in (found.was, found.then):
        assert day.all["offered"] == 2
        assert day.all["served"] == day.all["abandoned"] == 1
        assert day.all["asa"] == pytest.approx(660, abs=1)


def test_each_call_to_a_customer_comes_when_it_was_due_to_the_queue_that_calls() -> None:
    """No rule leads to billing, and no caller could get there."""
    office = Office(replace(CALLING, queues={**CALLING.queues, "billing": Queue()}), ready=("ana",))
    due = office.now_ms + 60_000
    office.do(c.RequestCallback(channel="phone", queue="billing", to=KIM, not_before_ms=due))
    office.pass_s(60)
    (number,) = office.state.interactions
    office.accept(number)
    office.do(c.FailCall(thread=office.thread(number), reason="busy"))
    office.complete(number)
    office.pass_s(60)
    second = max(office.state.interactions)
    office.accept(second)
    office.pass_s(20)
    office.complete(second)
    found = again(office)
    assert adds_up(found)
    for day in (found.was, found.then):
        assert {name: m["served"] for name, m in day.queues.items()} == {"billing": 2}


# --- what was ---------------------------------------------------------------------------------------------------------


def test_a_transferred_contact_is_counted_once_with_its_first_wait() -> None:
    office = Office(OFFICE, ready=("ana",))
    number = office.active("phone")
    office.pass_s(90)
    office.do(c.Transfer(interaction=number, agent="ana", to=c.Target(queue="support")))
    office.pass_s(5)
    office.do(c.Leave(thread=office.thread(number)))
    found = again(office)
    assert adds_up(found)
    assert found.was.all["served"] == 1
    assert found.was.all["abandoned"] == 0
    assert found.was.all["mean_wait"] == 0
    assert "1 transfer in the journal, repeated: 1" in found.notes


def given_on(to: c.Target, config: Config = OFFICE) -> Office:
    """Ana works on a call for 90 s and gives it to sales, where sue works on it for 60 s."""
    office = Office(config, ready=("ana", "sue"))
    number = office.active("phone")
    office.pass_s(90)
    office.do(c.Transfer(interaction=number, agent="ana", to=to))
    office.accept(number)
    office.pass_s(60)
    office.complete(number)
    office.pass_s(10)
    return office


def test_a_transfer_is_repeated_with_the_work_of_both_agents() -> None:
    found = again(given_on(c.Target(queue="sales")))
    assert adds_up(found)
    for day in (found.was, found.then):
        busy = {person.agent: round(person.occupancy * person.staffed_s) for person in day.agents}
        assert (busy["ana"], busy["sue"]) == (90, 60)
        assert day.all["served"] == 1


def test_where_there_is_no_such_queue_the_agent_completes_it() -> None:
    only = replace(OFFICE, queues={"support": OFFICE.queues["support"]})
    found = again(given_on(c.Target(queue="sales")), only)
    assert adds_up(found)
    assert found.then.all["served"] == 1
    kept = "1 transfer in the journal, repeated: 0; in 1 there was nobody to give it to, and the agent completed it"
    assert kept in found.notes


def test_a_transfer_to_an_agent_is_repeated_while_that_agent_is_known() -> None:
    office = Office(OFFICE, ready=("ana", "ben"))
    number = office.active("phone")
    office.pass_s(30)
    office.do(c.Transfer(interaction=number, agent="ana", to=c.Target(agent="ben")))
    office.accept(number)
    office.pass_s(20)
    office.complete(number)
    found = again(office)
    assert {p.agent: round(p.occupancy * p.staffed_s) for p in found.then.agents}["ben"] == 20


def test_what_was_done_by_hand_is_counted() -> None:
    office = Office(OFFICE)
    first, second = office.arrive("email"), office.arrive("email")
    office.do(c.Reprioritise(interaction=first, by="operator:sam", band="urgent"))
    office.ready("ana")
    office.accept(first)
    office.pass_s(10)
    office.do(c.Requeue(interaction=first, by="operator:sam"))
    office.do(c.Close(interaction=second, by="operator:sam"))
    said = "not repeated, done by hand: 1 change of priority, 1 closing by an operator, 1 requeue"
    assert said in again(office).notes


def test_an_emergency_is_repeated_where_the_calendar_is_known() -> None:
    config = replace(
        OFFICE,
        calendars={"always": Calendar()},
        queues={**OFFICE.queues, "support": replace(OFFICE.queues["support"], calendar="always")},
    )
    office = Office(config, ready=("ana",))
    office.do(c.CloseCalendar(calendar="always", by="operator:sam", why="fire"))
    office.arrive("phone")
    office.pass_s(60)
    office.do(c.OpenCalendar(calendar="always", by="operator:sam"))
    office.complete(office.active("phone"))
    found = again(office)
    for day in (found.was, found.then):
        assert (day.all["turned_away"], day.all["served"]) == (1, 1)
    there = again(office, OFFICE)
    assert (there.then.all["turned_away"], there.then.all["served"]) == (0, 2)
    assert "closed in an emergency, and not in the other configuration: always" in there.notes


def test_whom_the_rules_turned_away_the_same_rules_turn_away_again() -> None:
    day = Day(house(agents=2, max_length=1, when_full=Resort("end")), hours=1)
    found = day.again(house(agents=2, max_length=1, when_full=Resort("end")))
    assert adds_up(found)
    assert found.was.all["turned_away"] > 20
    assert found.then.all["turned_away"] == pytest.approx(found.was.all["turned_away"], rel=0.1)


def test_whoever_was_turned_away_would_have_waited_no_longer_than_others() -> None:
    """Not until the end of the journal, which is where nobody saw them any more."""
    day = Day(house(agents=1, max_length=1, when_full=Resort("end")), hours=1)
    found = day.again(house(agents=1))
    assert found.then.all["turned_away"] == 0
    assert found.then.channels["phone"]["abandoned"] > 0.5 * found.was.channels["phone"]["turned_away"]


# --- agents who do not answer -----------------------------------------------------------------------------------------


class Careless(Day):
    """a0 answers no offer out of three, and takes a minute to notice that they were taken off."""

    def do(self, command: c.AnyCommand, at_ms: int) -> None:
        if isinstance(command, c.Accept) and command.agent == "a0" and command.offer % 3 == 0:
            return
        if isinstance(command, c.Accept) and command.agent == "a1" and command.offer % 3 == 0:
            command = c.Decline(agent="a1", offer=command.offer)
        super().do(command, at_ms)

    def run(self) -> None:
        for minute in range(240):
            self.later(BEGIN_MS + minute * 60_000, c.SetState(agent="a0", state="ready"))
        super().run()


@pytest.fixture(scope="module")
def careless() -> Careless:
    return Careless(house())


def test_who_missed_and_declined_does_so_again_to_the_same_share(careless: Careless) -> None:
    found = careless.again(house())
    past = read(iter(careless.records))
    missed, declined = past.manners["a0"].missed, past.manners["a1"].declined
    assert min(missed, declined) > 10
    assert any(note.startswith(f"{missed + declined} offers missed or declined: ") for note in found.notes)
    assert found.then.all["served"] == pytest.approx(found.was.all["served"], rel=0.05)
    assert found.then.all["asa"] == pytest.approx(found.was.all["asa"], rel=0.35)
    for was, then in zip(found.was.agents, found.then.agents, strict=True):
        assert then.handled == pytest.approx(was.handled, rel=0.25), was.agent


def test_the_seed_says_which_offers_are_missed(careless: Careless) -> None:
    one, same, other = (careless.again(house(), seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_who_is_taken_off_for_missed_offers_comes_back_after_as_long_as_they_did() -> None:
    office = Office(OFFICE, ready=("ana",))
    for _ in range(3):
        office.arrive("phone")
        office.pass_s(600)
        if office.state.agents["ana"].declared != "ready":
            break
    assert office.state.agents["ana"].reason == "missed-offers"
    office.pass_s(45)
    office.do(c.SetState(agent="ana", state="ready"))
    past = read(map(codec.decode, office.checked.payloads))
    assert past.manners["ana"].missed >= 1
    assert len(past.manners["ana"].pauses_ms) == 1
    assert past.manners["ana"].pauses_ms[0] >= 45_000
    assert adds_up(again(office))


# --- what is said -----------------------------------------------------------------------------------------------------


def test_where_nothing_was_finished_it_is_said_what_is_taken_instead() -> None:
    office = Office(OFFICE)
    office.arrive("phone")
    office.pass_s(1)
    said = "phone: nothing was finished of 1 contact, so 180 s are taken as their handle time"
    assert said in again(office).notes


def test_what_is_known_in_part_is_said_by_channel(careless: Careless) -> None:
    notes = [x for x in careless.again(house()).notes if "handle times" in x]
    assert all(x.startswith(("phone: ", "email: ")) for x in notes)


# --- by chance --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_any_history_can_be_read_and_adds_up(seed: int) -> None:
    walk = Walk(seed, thrift=1_000).run(150)
    found = replay(lambda: map(codec.decode, walk.checked.payloads), walk.state.config, seed)
    assert adds_up(found)
    assert found.was.contacts == found.then.contacts
    for day in (found.was, found.then):
        assert all(0 <= x.occupancy <= 1 for x in day.agents)


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_both_days_are_drawn_side_by_side(tmp_path: Path, careless: Careless) -> None:
    payloads = [codec.encode(x.at_ms, x.key, x.event) for x in careless.records]
    path, picture = saved(payloads, tmp_path / "journal.db"), tmp_path / "days.png"
    words = ["replay", str(path), "--config", "config/dev.toml", "--plot", str(picture)]
    answer = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_day_with_nobody_there_can_be_drawn(tmp_path: Path) -> None:
    office = Office(OFFICE)
    office.arrive("phone")
    office.pass_s(1)
    path, picture = saved(office.checked.payloads, tmp_path / "journal.db"), tmp_path / "days.svg"
    words = ["replay", str(path), "--config", "config/dev.toml", "--plot", str(picture)]
    answer = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    assert b"<svg" in picture.read_bytes()
