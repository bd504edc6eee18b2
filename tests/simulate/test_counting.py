"""What becomes of everybody who comes: each contact is in one column, whatever the house's rules do with it (EX-3)."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from router.cli import scenarios
from router.engine.config import Calendar, Channel, Config, Duration, Queue, Resort, Rule, Unservable, decode_hook
from router.engine.requirements import Node
from router.errors import ConfigError
from router.simulate import report, staffing
from router.simulate.compare import compare
from router.simulate.office import Office
from router.simulate.report import NOWHERE, Report
from router.simulate.scenario import Arrivals, Faults, People, Scenario, Staff, check
from tests.simulate.test_scenarios import adds_up, run

pytestmark = pytest.mark.promise("EX-3")

MINUTE = 60_000
HOUR = 60 * MINUTE
FULL = """
name = "full"
begins = "8h"
length = "4h"
[config]
skills = ["orders"]
default_queue = "orders"
[config.channels.phone]
exclusive = true
[config.queues.orders]
requirement = { skill = "orders" }
max_length = 0
[[staff]]
name = "seller"
count = 1
skills = { orders = 7 }
[[arrivals]]
name = "calls"
channel = "phone"
per_hour = 200
handle = "1m"
"""


def full(text: str = FULL) -> Scenario:
    scenario: Scenario = msgspec.convert(tomllib.loads(text), Scenario, dec_hook=decode_hook)
    return scenario


# --- turned away ------------------------------------------------------------------------------------------------------


def test_whoever_finds_the_queue_full_is_turned_away_and_not_served_in_time() -> None:
    """One agent is busy for at least a minute after each call, so most of 200 an hour come in vain."""
    found = report.run(full())
    m = found.all
    assert adds_up(found)
    assert m["turned_away"] > m["served"] > 100
    assert m["sl_x"] == pytest.approx(m["served"] / m["offered"])
    assert m["p_turned_away"] == m["turned_away"] / m["offered"]
    assert m["p_wait"] == 0.0  # whoever is taken is offered at once, and nobody else waits


def test_whoever_waits_too_long_is_turned_away() -> None:
    found = report.run(full(FULL.replace("max_length = 0", 'max_length = 2\nmax_wait = "1m"')))
    assert adds_up(found)
    assert found.all["turned_away"] > 300
    assert found.all["abandoned"] == 0


def test_whoever_calls_out_of_hours_is_turned_away() -> None:
    hours = 'calendar = "office"\n[config.calendars.office]\nweek = { mon-fri = ["09:00-10:00"] }'
    found = report.run(full(FULL.replace("max_length = 0", hours).replace("per_hour = 200", "per_hour = 30")))
    away = {x.at: x.turned_away for x in found.intervals}
    assert adds_up(found)
    assert all(x.turned_away == x.offered > 0 for x in found.intervals if x.at < "09:00" or x.at >= "10:00")
    assert away["09:00"] == away["09:30"] == 0


def test_somebody_who_was_served_before_is_not_counted_again_when_they_are_turned_away() -> None:
    """Agents lose their connection, so calls wait once more; some then wait too long."""
    shaky = replace(
        full(FULL.replace("max_length = 0", 'max_wait = "20s"').replace("per_hour = 200", "per_hour = 50")),
        faults=Faults(drop_every=Duration(3 * MINUTE), drop_for=Duration(5 * MINUTE)),
    )
    found = report.run(shaky)
    assert found.faults["requeued"] > 10
    assert adds_up(found)


def test_staffing_asks_for_people_where_most_are_turned_away() -> None:
    plan = staffing.search(full(), replications=2)
    assert plan.found.agents >= 4
    assert plan.found.turned_away["orders"] < 0.2


def test_staffing_asks_for_people_where_most_hear_the_busy_tone() -> None:
    """One line and one agent: whoever gets through waits for nobody, and nearly nobody gets through."""
    few = replace(full(FULL.replace("max_length = 0", "")), lines=1)
    alone = report.run(few)
    assert (alone.all["blocked"] > alone.all["served"], alone.queues["orders"]["sl_x"]) == (True, 1.0)
    judged = staffing.judge(few, (1,), [alone])
    assert not judged.met
    assert judged.levels["orders"] == pytest.approx(alone.all["served"] / alone.all["offered"])
    assert judged.busy_tone["orders"] == pytest.approx(alone.all["blocked"] / alone.all["offered"])
    with pytest.raises(ConfigError, match=r"a goal that people alone can meet, found .* hear the busy tone"):
        staffing.search(few, replications=1)
    plan = staffing.search(replace(few, lines=9), replications=2)
    assert plan.found.busy_tone["orders"] < 0.2


def resort(r: Random) -> Resort:
    return r.choice((Resort("end"), Resort("move", queue="spare"), Resort("keep")))


def by_chance(seed: int) -> Scenario:
    """A small house with every rule that can turn somebody away, some people and a few faults."""
    r = Random(seed)
    calendar, length, longest = r.choice((None, "office")), r.choice((None, 0, 1, 5)), r.choice((0, 20_000, 3 * MINUTE))
    away = (Resort("end"), Resort("move", queue="spare"))
    rules: dict[str, Any] = {"when_nobody": resort(r), "nobody_grace": Duration(MINUTE)}
    rules |= {"calendar": calendar, "when_closed": resort(r), "when_closing": resort(r)} if calendar else {}
    rules |= {"max_length": length, "when_full": r.choice(away)} if length is not None else {}
    rules |= {"max_wait": Duration(longest), "when_overdue": r.choice(away)} if longest else {}
    queue = Queue(
        requirement=Node(skill="any"),
        auto_accept=r.random() < 0.3,
        **rules,
        unservable=r.choice((Unservable(), Unservable("end", after=Duration(MINUTE)))),
    )
    spare = Queue(requirement=Node(skill="rare"), max_length=r.choice((None, 2)), max_wait=Duration(2 * MINUTE))
    config = Config(
        channels={"phone": Channel(exclusive=True), "mail": Channel(cap=2, lasting=True)},
        skills=("any", "rare"),
        calendars={"office": Calendar(week={"mon-fri": ("09:00-11:00",)})},
        queues={"main": queue, "spare": spare},
        rules=(Rule("written", "spare", channel=("mail",)),),
        default_queue="main",
    )
    calls = Arrivals("calls", "phone", per_hour=r.choice((20.0, 120.0)), handle=Duration(2 * MINUTE))
    mails = Arrivals("mails", "mail", per_hour=6, backlog=r.choice((3, 30)), handle=Duration(12 * MINUTE))
    return Scenario(
        name=f"by chance {seed}",
        length=Duration(4 * HOUR),
        begins=Duration(8 * HOUR),
        warm_up=Duration(r.choice((0, 10 * MINUTE))),
        arrivals=(replace(calls, patience=Duration(MINUTE)), mails),
        config=config,
        staff=(
            Staff("team", r.randrange(1, 4), {"any": 5}, begins=Duration(8 * HOUR), ends=Duration(10 * HOUR)),
            Staff("rare", 1, {"rare": 5, "any": 1}, begins=Duration(9 * HOUR), ends=Duration(12 * HOUR)),
        ),
        lines=r.choice((0, 1, 3)),
        people=People(miss=r.choice((0.0, 0.2)), decline=r.choice((0.0, 0.2))),
        faults=Faults(drop_every=Duration(30 * MINUTE) if r.random() < 0.4 else None),
    )


@cache
def ran(seed: int) -> tuple[Report, Office]:
    return run(by_chance(seed), seed)


@pytest.mark.parametrize("seed", range(24))
def test_whatever_the_rules_are_everybody_is_in_one_column(seed: int) -> None:
    scenario = by_chance(seed)
    check(scenario)
    found, office = ran(seed)
    assert adds_up(found)
    waiting = [x for x in office.contacts.values() if x.begun_ms < 0]
    assert found.all["left"] == sum(x.born_ms >= office.begin_ms + scenario.warm_up for x in waiting)
    assert found.all["offered"] == found.contacts or scenario.warm_up


def test_chance_reaches_every_column() -> None:
    """So that the test before this one can fail."""
    reports = [ran(seed)[0].all for seed in range(24)]
    for column in ("served", "abandoned", "turned_away", "blocked", "left"):
        assert sum(m[column] for m in reports) > 20, column


# --- lines ------------------------------------------------------------------------------------------------------------


LINES = FULL.replace("max_length = 0", "").replace("per_hour = 200", 'per_hour = 6\npatience = "30s"')
MAILS = '[config.channels.email]\n[[arrivals]]\nname = "mails"\nchannel = "email"\nbacklog = 20\nhandle = "10m"\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "scenario.toml"
    file.write_text(text)
    return file


def test_mail_needs_no_line(tmp_path: Path) -> None:
    """Three lines, and more mail than that all day: each of the few calls gets one."""
    found = report.run(scenarios.read(written(tmp_path, "lines = 3\n" + LINES + MAILS)))
    assert found.channels["email"]["offered"] == 20
    assert found.all["blocked"] == 0
    assert adds_up(found)


def test_without_lines_nobody_hears_the_busy_tone(tmp_path: Path) -> None:
    busy = LINES.replace("per_hour = 6", "per_hour = 600")
    none, three = (
        report.run(scenarios.read(written(tmp_path, f"lines = {n}\n" + busy))).all["blocked"] for n in (0, 3)
    )
    assert none == 0 < three


def test_a_queue_may_be_called_as_anything_that_is_counted(tmp_path: Path) -> None:
    text = "lines = 1\n" + FULL.replace("queues.orders", "queues.refused").replace('"orders"\n', '"refused"\n', 1)
    found = report.run(scenarios.read(written(tmp_path, text)))
    assert found.queues["refused"]["blocked"] == 0 < found.queues["refused"]["served"]
    assert found.queues[NOWHERE]["blocked"] == found.all["blocked"] > 0


def test_a_comparison_has_no_line_for_what_came_to_no_queue(tmp_path: Path) -> None:
    scenario = scenarios.read(written(tmp_path, "lines = 1\n" + FULL))
    lines = compare(scenario, scenario, replications=2).lines
    assert {x.of for x in lines} == {"all", "orders", "staff seller"}
    assert next(x for x in lines if (x.of, x.metric) == ("all", "blocked")).a > 0


# --- calendars and slips ----------------------------------------------------------------------------------------------


HOURS = """calendar = "office"
[config.calendars.office]
zone = "Europe/Berlin"
holidays = ["DE"]
week = { mon-fri = ["09:00-10:00"] }
"""


@pytest.mark.parametrize(
    ("date", "open_at"),
    [("2024-01-02", "08:00"), ("2024-07-02", None), ("2024-05-01", None)],
    ids=["winter", "summer: from 7 to 8 h UTC", "a holiday"],
)
def test_a_scenario_may_have_a_calendar_with_a_zone_and_holidays(
    tmp_path: Path, date: str, open_at: str | None
) -> None:
    """The run begins at 8 h UTC."""
    text = f"date = {date}\n" + FULL.replace("max_length = 0", HOURS)
    found = report.run(scenarios.read(written(tmp_path, text)))
    served = [x.at for x in found.intervals if x.turned_away < x.offered]
    assert (served[0] if served else None) == open_at


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("Europe/Berlin", "Europe/Berlni", "config.calendars.office.zone"),
        ('["DE"]', '["XX"]', "config.calendars.office.holidays[0]"),
    ],
)
def test_a_zone_that_does_not_exist_is_refused_with_its_path(tmp_path: Path, old: str, new: str, path: str) -> None:
    text = FULL.replace("max_length = 0", HOURS)
    with pytest.raises(ConfigError) as caught:
        scenarios.read(written(tmp_path, text.replace(old, new)))
    assert caught.value.path.endswith(f": {path}")


def test_a_named_configuration_is_refused_with_its_own_path(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('default_queue = "nowhere"\n')
    arrivals = '[[arrivals]]\nname = "c"\nchannel = "phone"\nper_hour = 1\n'
    text = f'name = "x"\nlength = "1h"\nconfig = "other.toml"\n{arrivals}'
    with pytest.raises(ConfigError) as caught:
        scenarios.read(written(tmp_path, text))
    assert caught.value.path.endswith(": config (other.toml): default_queue")


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("ordres", ["calls: no rule takes 'ordres', so they go to the default queue orders"]),
        ("orders", []),  # as the default queue is called
        ("sales", []),
        ("", []),
    ],
)
def test_a_slip_that_leads_to_the_default_queue_is_said(tmp_path: Path, to: str, said: list[str]) -> None:
    rule = '[[config.rules]]\nname = "sales"\nqueue = "orders"\nto = ["sales"]\n[[staff]]'
    text = FULL.replace("[[staff]]", rule).replace('channel = "phone"\n', f'channel = "phone"\nto = "{to}"\n')
    assert report.run(scenarios.read(written(tmp_path, text))).notes == said


def test_json_has_every_column() -> None:
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(report.run(full())))
    for line in (document["all"], document["queues"]["orders"], document["channels"]["phone"], *document["intervals"]):
        assert line["offered"] == sum(line[x] for x in ("served", "abandoned", "turned_away", "blocked", "left"))
