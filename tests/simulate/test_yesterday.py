"""Yesterday's journal under another configuration: contacts and people as they were, decisions anew (EX-3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from router.__main__ import cli
from router.engine import commands as c
from router.engine.config import Agent, Channel, Config, Queue, Rule, WrapUp, to_bytes
from router.engine.engine import Engine
from router.engine.events import OfferMade, Record
from router.engine.requirements import Node
from router.errors import JournalVersion, RouterError
from router.journal import codec
from router.journal.sqlite import SqliteJournal
from router.simulate.replay import Answer, replay
from tests.engine.support.office import Office, seconds

BEGIN_MS = 1_767_225_600_000


def house(agents: int = 4, auto_accept: bool = False, **queue: object) -> Config:
    """Calls for support, and mails by the same people."""
    rules = {"requirement": Node(skill="support"), "auto_accept": auto_accept, **queue}
    return Config(
        channels={"phone": Channel(exclusive=True), "email": Channel(target=seconds(600))},
        skills=("support",),
        queues={"calls": Queue(**rules), "mails": Queue(**rules)},  # type: ignore[arg-type]
        rules=(Rule("calls", "calls", channel=("phone",)),),
        default_queue="mails",
        agents={f"a{i}": Agent(skills={"support": 3}) for i in range(agents)},
    )


class Day:
    """A day by chance, with everything that was recorded: people answer after 2 s and document for 5 s."""

    def __init__(self, config: Config, seed: int = 1, hours: float = 3.0, patience_s: float = 60.0) -> None:
        self.r, self.records = Random(seed), list[Record]()
        self.engine = Engine(quiet=True)
        self.plan: list[tuple[int, int, c.AnyCommand]] = []
        self.patience_s = patience_s
        self.do(c.Configure(document=to_bytes(config)), BEGIN_MS)
        for name in config.agents:
            self.do(c.OpenSession(agent=name, session="s"), BEGIN_MS)
            self.do(c.SetState(agent=name, state="ready"), BEGIN_MS)
        at, n = float(BEGIN_MS), 0
        while (at := at + self.r.expovariate(1 / 40) * 1_000) < BEGIN_MS + hours * 3_600_000:
            n += 1
            channel = self.r.choice(("phone", "phone", "email"))
            self.later(int(at), c.Arrive(channel=channel, threads=(f"t{n}",), sender=f"s{n}"))
            if channel == "phone":
                gone = int(at + self.r.expovariate(1 / patience_s) * 1_000)
                self.later(gone, c.Leave(thread=f"t{n}", reason="gone"))
        self.run()

    def later(self, at_ms: int, command: c.AnyCommand) -> None:
        self.plan.append((at_ms, len(self.plan), command))
        self.plan.sort(key=lambda x: x[:2])

    def run(self) -> None:
        while self.plan:
            due = self.engine.next_deadline_ms()
            if due is not None and due < self.plan[0][0]:
                self.do(c.Tick(), due)
                continue
            at_ms, _, command = self.plan.pop(0)
            if isinstance(command, c.Leave) and self.is_served(command.thread):
                continue
            self.do(command, at_ms)

    def is_served(self, thread: str) -> bool:
        s = self.engine.state
        item = s.interactions.get(s.threads.get(thread, 0))
        return item is None or not item.open or bool(item.owner)

    def do(self, command: c.AnyCommand, at_ms: int) -> None:
        try:
            out = self.engine.handle(command, at_ms)
        except RouterError:
            return  # an offer that ran out meanwhile
        for i, event in enumerate(out.events):
            self.records.append(Record(out.at_ms, "" if i else out.key, event))  # type: ignore[arg-type]
            if isinstance(event, OfferMade):
                work = int(self.r.expovariate(1 / 100) * 1_000) + 1
                self.later(at_ms + 2_000, c.Accept(agent=event.agent, offer=event.offer))
                done = c.Complete(agent=event.agent, interaction=event.interaction)
                self.later(at_ms + 2_000 + work, done)

    def again(self, config: Config, seed: int = 1) -> Answer:
        return replay(lambda: iter(self.records), config, seed)


@pytest.fixture(scope="module")
def day() -> Day:
    return Day(house())


@pytest.mark.promise("EX-3")
def test_what_was_is_counted_as_it_was(day: Day) -> None:
    s = day.engine.state
    was = day.again(house()).was
    assert was.contacts == s.last_interaction
    closed = [item for item in s.interactions.values() if not item.open]
    assert was.all["served"] == sum(bool(item.owner) for item in closed)
    assert was.all["abandoned"] == sum(not item.owner for item in closed)
    waits = [item.accepted_at_ms - item.enqueued_at_ms for item in closed if item.owner]
    assert was.all["asa"] == pytest.approx(sum(waits) / len(waits) / 1_000)
    assert sum(x.handled for x in was.agents) == len(waits)


@pytest.mark.promise("EX-3")
def test_the_same_configuration_gives_nearly_the_same_day(day: Day) -> None:
    """Who takes an offer, when and for how long is as it was, so with the same rules the same becomes of everybody."""
    found = day.again(house())
    assert found.then.contacts == found.was.contacts
    for figure in ("served", "abandoned", "sl_x", "asa"):
        assert found.then.all[figure] == pytest.approx(found.was.all[figure], rel=0.03, abs=0.5), figure


@pytest.mark.promise("EX-3")
def test_other_rules_give_another_day_by_the_same_contacts(day: Day) -> None:
    """Mails are promised an answer in a second: they go first, and calls wait longer."""
    other = house()
    queues = {"calls": other.queues["calls"], "mails": replace(other.queues["mails"], target=seconds(1))}
    found = day.again(replace(other, queues=queues))
    assert found.then.queues["mails"]["mean_wait"] < found.was.queues["mails"]["mean_wait"]
    assert found.then.queues["calls"]["mean_wait"] > found.was.queues["calls"]["mean_wait"]
    assert found.then.contacts == found.was.contacts


@pytest.mark.promise("EX-3")
def test_agents_are_there_when_they_were(day: Day) -> None:
    fewer = day.again(house(agents=3))
    assert fewer.notes[0] == "not in the other configuration, so they stayed away: a3"
    assert fewer.then.all["abandoned"] > fewer.was.all["abandoned"]
    more = day.again(house(agents=6))
    assert more.notes[0] == "never signed in, so they do not help: a4, a5"
    assert more.then.all["served"] == pytest.approx(more.was.all["served"], rel=0.03)


@pytest.mark.promise("EX-3")
def test_the_same_seed_gives_the_same_answer(day: Day) -> None:
    other = house(agents=3)
    assert day.again(other) == day.again(other)
    assert day.again(other, seed=2) != day.again(other)


@pytest.mark.promise("EX-3")
def test_what_no_rule_takes_is_refused_and_said(day: Day) -> None:
    found = day.again(replace(house(), default_queue=None))
    assert any("contacts were refused: no rule takes email" in note for note in found.notes)
    assert found.then.all["blocked"] > 0


@pytest.mark.promise("EX-3")
def test_wrap_up_transfers_pauses_and_restarts_are_followed() -> None:
    """Whatever a history holds, both days add up."""
    office = Office(replace(house(wrap_up=WrapUp("optional")), default_queue="mails"), ready=("a0", "a1"))
    first, second = office.active("email"), office.active("phone")
    office.pass_s(30)
    office.do(c.Transfer(interaction=first, to=c.Target(queue="calls"), agent=office.item(first).owner))
    office.pause(office.item(second).owner, "lunch")
    office.complete(second)
    office.pass_s(10)
    office.complete(second)
    office.checked.restart(office.now_ms + 1_000)
    office.ready("a0")
    office.pass_s(5)
    found = replay(lambda: map(codec.decode, office.checked.payloads), house(wrap_up=WrapUp("optional")))
    for report in (found.was, found.then):
        assert report.contacts == 2
        assert all(0 <= x.occupancy <= 1 for x in report.agents)
    assert found.was.all["served"] == 2


# --- the command ------------------------------------------------------------------------------------------------------


def saved(payloads: Iterable[bytes], path: Path) -> Path:
    journal = SqliteJournal(path)
    journal.open()
    journal.append(1, list(payloads))
    journal.close()
    return path


def encoded(day: Day) -> list[bytes]:
    return [codec.encode(x.at_ms, x.key, x.event) for x in day.records]


@pytest.mark.promise("EX-3")
@pytest.mark.parametrize("spoil", [lambda b: b[: len(b) // 2], lambda b: b"nothing of the kind"])
def test_a_broken_journal_is_one_clear_sentence(tmp_path: Path, day: Day, spoil: Callable[[bytes], bytes]) -> None:
    path = saved(encoded(day)[:200], tmp_path / "journal.db")
    path.write_bytes(spoil(path.read_bytes()))
    answer = CliRunner().invoke(cli, ["replay", str(path), "--config", "config/dev.toml"])
    assert answer.exit_code != 0
    assert isinstance(answer.exception, RouterError)
    assert "\n" not in str(answer.exception)


@pytest.mark.promise("EX-3", "DU-3")
@pytest.mark.parametrize(
    "command",
    [
        ["replay", "FILE", "--config", "config/dev.toml"],
        ["journal", "verify", "FILE"],
        ["explain", "i-1", "--journal", "FILE"],
    ],
)
def test_a_journal_of_another_version_is_one_clear_sentence(tmp_path: Path, day: Day, command: list[str]) -> None:
    path = tmp_path / "journal.db"
    newer = SqliteJournal(path, format=codec.FORMAT + 1)
    newer.open()
    newer.append(1, encoded(day)[:5])
    newer.close()
    answer = CliRunner().invoke(cli, [str(path) if word == "FILE" else word for word in command])
    assert isinstance(answer.exception, JournalVersion)
    assert str(answer.exception).endswith("run the version that wrote it, or newer")


@pytest.mark.parametrize(
    ("journal", "said"),
    [
        (
            "FILE",
            "--domain: expected a configuration (.toml) as the journal, since a file is of one house, found 'north'",
        ),
        ("config/dev.toml", "--domain north: there is no such routing domain; known: none"),
    ],
)
def test_the_log_of_a_domain_is_asked_for_where_there_are_domains(tmp_path: Path, journal: str, said: str) -> None:
    words = ["replay", journal.replace("FILE", str(tmp_path / "journal.db")), "--domain", "north"]
    answer = CliRunner().invoke(cli, words)
    assert isinstance(answer.exception, RouterError)
    assert str(answer.exception) == said


@pytest.mark.promise("EX-3")
def test_the_command_shows_both_days_side_by_side(tmp_path: Path, day: Day) -> None:
    path = saved(encoded(day), tmp_path / "journal.db")
    answer = CliRunner().invoke(cli, ["replay", str(path), "--config", "config/dev.toml"], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    assert "what was, and under the other configuration" in answer.output
    assert "not in the other configuration, so they stayed away: a0, a1, a2, a3" in answer.output
