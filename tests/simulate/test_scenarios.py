"""Scenarios: people, shifts and faults around the production engine, under virtual time."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from router.cli import scenarios
from router.cli.simulating import COUNTS
from router.engine import commands as c
from router.engine import events as e
from router.engine import evolve
from router.engine.config import Duration, Prefer, Rule, decode_hook
from router.errors import ConfigError, RouterError
from router.simulate import report
from router.simulate.office import Office, contacts
from router.simulate.report import NOWHERE, Report, Reporter, jain
from router.simulate.scenario import Arrivals, Faults, People, Scenario, Staff, check

pytestmark = pytest.mark.promise("EX-3")

SCENARIOS = Path(__file__).parents[2] / "config" / "scenarios"
HOUR = Duration(3_600_000)
SMALL = """
name = "small"
length = "6h"
begins = "8h"
[config]
skills = ["any"]
default_queue = "all"
[config.channels.phone]
exclusive = true
[config.channels.chat]
cap = 2
[config.queues.all]
requirement = { skill = "any" }
wrap_up = { mode = "optional" }
[[staff]]
name = "team"
count = 6
skills = { any = 5 }
begins = "8h"
ends = "12h"
breaks = [{ at = "10h", length = "30m" }]
[[staff]]
name = "rest"
count = 3
skills = { any = 3 }
[[arrivals]]
name = "calls"
channel = "phone"
per_hour = 60
handle = "3m"
patience = "2m"
[[arrivals]]
name = "chats"
channel = "chat"
begins = "8h"
every = "30m"
per_hour = [20, 0, 40]
handle = "6m"
"""


NOBODY = (Arrivals("calls", "phone", per_hour=0.001),)


def small(**changes: Any) -> Scenario:
    scenario: Scenario = msgspec.convert(tomllib.loads(SMALL), Scenario, dec_hook=decode_hook)
    return replace(scenario, **changes)


def run(scenario: Scenario, seed: int = 1) -> tuple[Report, Office]:
    reporter = Reporter(scenario)
    office = Office(scenario, reporter, seed)
    reporter.attach(office)
    office.run(office.end_ms)
    return reporter.report(seed), office


def adds_up(found: Report) -> bool:
    """Everybody who came was served, gave up, was turned away, heard the busy tone or still waits."""
    whole = [found.all, *found.queues.values(), *found.channels.values(), *found.streams.values()]
    parts = [x for line in (found.intervals, *found.by_queue.values()) for x in line]
    return all(m["offered"] == sum(m[name] for name in COUNTS[1:]) for m in whole) and all(
        x.offered == sum(getattr(x, name) for name in COUNTS[1:]) for x in parts
    )


# --- preferred agents -------------------------------------------------------------------------------------------------


@pytest.mark.promise("RT-8")
@pytest.mark.parametrize(("prefers", "least", "most"), [(True, 0.75, 1.0), (False, 0.0, 0.5)])
def test_a_stream_of_contacts_may_have_an_owner(prefers: bool, least: float, most: float) -> None:
    """Two of nine own them; across a crash, after which the engine must be the same byte for byte."""
    owned = replace(small().arrivals[0], name="owned", per_hour=20.0, attributes={"owner": "rest-1, rest-2"})
    config = small().config
    rule = Rule("owned", "all", prefer=Prefer(attribute="owner", hold=Duration(60_000)) if prefers else None)
    scenario = small(
        arrivals=(*small().arrivals, owned),
        config=replace(config, rules=(rule,)),
        faults=Faults(crashes=(HOUR, Duration(3 * HOUR))),
    )
    taken: list[str] = []

    class Noting(Office):
        def heed(self, events: Sequence[e.Event], now_ms: int) -> None:
            super().heed(events, now_ms)
            for event in events:
                if (
                    type(event) is e.OfferAccepted
                    and "owner" in self.engine.state.interactions[event.interaction].born.attributes
                ):
                    taken.append(event.agent)

    reporter = Reporter(scenario)
    office = Noting(scenario, reporter, 1)
    reporter.attach(office)
    office.run(office.end_ms)
    assert len(taken) > 50
    assert least <= sum(agent in ("rest-1", "rest-2") for agent in taken) / len(taken) <= most


# --- the same seed, the same bytes ------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes() -> None:
    a, b, other = (msgspec.json.encode(report.run(small(), seed)) for seed in (1, 1, 2))
    assert a == b
    assert a != other


def test_rules_and_rosters_do_not_change_who_comes() -> None:
    def came(scenario: Scenario) -> list[tuple[int, int, float, int]]:
        return [(x.born_ms, x.kind, x.work, x.patience_ms) for x in contacts(scenario, 1, 0)]

    fewer = small(staff=small().staff[:1], people=People(miss=0.5))
    assert came(small()) == came(fewer)
    assert len(came(small())) > 300


def test_memory_does_not_grow_with_simulated_time() -> None:
    always = tuple(replace(group, begins=Duration(0), ends=Duration(0), breaks=()) for group in small().staff)
    sizes = []
    for days in (1, 4):
        found, office = run(small(length=Duration(days * 86_400_000), staff=always))
        assert found.contacts > 1_200 * days
        state = office.engine.state
        tallies = office.watch.grid.values() if isinstance(office.watch, Reporter) else ()
        remembered = len(state.interactions) + len(state.threads) + len(state.offers)
        sizes.append((remembered, len(tallies), len(state.timers)))
    short, long = sizes
    assert long[0] < 60
    assert long[1] <= short[1] + 3
    assert long[2] < short[2] + 60


# --- people -----------------------------------------------------------------------------------------------------------


def test_people_work_their_shifts_and_pause() -> None:
    """Nobody calls: 6 people 8 to 12 with half an hour's break, 3 always there, from 8 to 14."""
    quiet = small(arrivals=NOBODY)
    found, _ = run(quiet)
    assert found.groups["team"]["staffed_h"] == 6 * 3.5
    assert found.groups["rest"]["staffed_h"] == 3 * 6
    staffed = {x.at: x.staffed for x in found.intervals}
    assert (staffed["09:30"], staffed["10:00"], staffed["10:30"], staffed["12:00"]) == (9, 3, 9, 3)


def test_a_shift_may_cross_midnight() -> None:
    night = replace(small().staff[0], begins=Duration(22 * HOUR), ends=Duration(30 * HOUR), breaks=())
    quiet = small(
        staff=(night,),
        begins=Duration(0),
        length=Duration(24 * HOUR),
        arrivals=NOBODY,
    )
    found, _ = run(quiet)
    assert {x.at for x in found.intervals if x.staffed == 6} == {
        f"{hour:02}:{minute}" for hour in (22, 23, 0, 1, 2, 3, 4, 5) for minute in ("00", "30")
    }


def test_who_is_staggered_comes_and_goes_later() -> None:
    late = replace(small().staff[0], count=2, stagger=HOUR, breaks=())
    found, _ = run(small(staff=(late,), arrivals=NOBODY))
    assert {x.at: x.staffed for x in found.intervals if x.at in ("08:00", "09:00", "12:00")} == {
        "08:00": 1,
        "09:00": 2,
        "12:00": 1,
    }


def test_what_is_begun_is_finished_after_the_shift() -> None:
    found, office = run(small(length=Duration(8 * HOUR)))
    assert adds_up(found)
    assert found.groups["team"]["staffed_h"] > 6 * 3.5
    assert all(not office.engine.state.agents[f"team-{i}"].sessions for i in range(1, 7))


def test_missed_and_declined_offers_go_to_others_and_take_their_agents_off_for_a_while() -> None:
    careless = small(people=People(miss=0.3, decline=0.2, back=Duration(30_000)))
    found, office = run(careless)
    assert adds_up(found)
    assert found.faults["missed_offers"] > 50
    assert found.faults["declined_offers"] > 50
    assert found.all["mean_wait"] > report.run(small()).all["mean_wait"]
    assert found.all["served"] > 100
    assert office.now_ms <= office.end_ms


def test_agents_who_answer_at_once_keep_nobody_waiting() -> None:
    few = Arrivals("c", "phone", per_hour=2, handle=Duration(1_000))
    eager = small(people=People(answer=Duration(0)), arrivals=(few,))
    found, _ = run(eager)
    assert found.all["served"] > 5
    assert found.all["p99"] == 0


def test_contacts_of_the_warm_up_are_not_counted() -> None:
    whole, rest = report.run(small()), report.run(small(warm_up=Duration(3 * HOUR)))
    assert rest.contacts == whole.contacts
    assert 0.3 < rest.all["offered"] / whole.all["offered"] < 0.6
    assert "08:00" not in {x.at for x in rest.intervals}


def test_no_more_contacts_are_held_than_there_are_lines() -> None:
    found, _ = run(small(lines=8))
    assert adds_up(found)
    assert found.queues[NOWHERE]["blocked"] == found.all["blocked"] > 0


def test_fairness_is_jains_index() -> None:
    assert jain([0.5, 0.5, 0.5]) == 1.0
    assert jain([1.0, 0.0, 0.0, 0.0]) == 0.25
    assert jain([]) == 1.0


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("DU-3")
def test_a_killed_router_is_the_same_after_its_restart_and_loses_nobody() -> None:
    at = tuple(Duration(minutes * 60_000) for minutes in (1, 47, 123, 124, 300))
    found, _ = run(small(faults=Faults(crashes=at)))
    assert found.faults["crashes"] == 5
    assert adds_up(found)


def test_snapshots_are_taken_between_crashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.simulate.office.SNAPSHOT_AFTER", 50)
    found, office = run(small(faults=Faults(crashes=(Duration(HOUR), Duration(5 * HOUR)))))
    assert office.image
    assert len(office.records) < 100
    assert adds_up(found)


def test_a_restart_that_is_not_the_same_is_noticed() -> None:
    """Somebody forgets to record what they did."""
    _, office = run(small(length=HOUR, faults=Faults(crashes=(Duration(HOUR),))))
    office.records.pop()
    with pytest.raises(RouterError, match="not the one that was killed"):
        office._crash(None, office.end_ms)


def test_a_fact_that_evolves_otherwise_in_a_replay_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    _, office = run(small(length=HOUR, faults=Faults(crashes=(Duration(HOUR),))))
    office.tell(c.OpenSession(agent="team-1", session="second"), office.end_ms)
    kind = type(office.records[-1].event)
    monkeypatch.setitem(evolve.EVOLVE, kind, lambda state, event, at_ms: None)
    with pytest.raises(RouterError, match="not the one that was killed"):
        office._crash(None, office.end_ms)


def test_lost_connections_cost_time_but_nobody_is_lost() -> None:
    shaky = small(faults=Faults(drop_every=Duration(600_000), drop_for=Duration(20_000)))
    found, _ = run(shaky)
    assert found.faults["lost_connections"] > 100
    assert adds_up(found)
    assert found.all["served"] > 0.7 * found.all["offered"]


# --- contacts from a file ---------------------------------------------------------------------------------------------


def test_contacts_come_from_a_file_as_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "calls.csv"
    file.write_text("at_s,work_s,patience_s\n0.5,60,\n10,30.25,5\n10,,1\n")
    x = Arrivals("calls", "phone", file=str(file), handle_shape="det", handle=Duration(90_000))
    came = [(x.born_ms, round(x.work * 90_000), x.patience_ms) for x in contacts(small(arrivals=(x,)), 1, 0)]
    assert came[0][:2] == (500, 60_000)
    assert came[1:] == [(10_000, 30_250, 5_000), (10_000, 90_000, 1_000)]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("at_s\n5\n4\n", ":3.at_s"),
        ("at_s\nsoon\n", ":2.at_s"),
        ("at_s,work_s\n1,-3\n", ":2.work_s"),
        ("t\n1\n", ":2.at_s"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_its_line(tmp_path: Path, text: str, where: str) -> None:
    file = tmp_path / "calls.csv"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        list(contacts(small(arrivals=(Arrivals("calls", "phone", file=str(file)),)), 1, 0))
    assert caught.value.path == f"{file}{where}"


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("per_hour = 60", "per_hour = -1", "arrivals[0].per_hour"),
        ("per_hour = 60", "per_hour = 2e9", "arrivals[0].per_hour"),
        ("per_hour = 60", "per_hour = 0", "arrivals[0].per_hour"),
        ("per_hour = [20, 0, 40]", "per_hour = [" + "1, " * 49 + "]", "arrivals[1].per_hour"),
        ('handle = "3m"', 'handle = "0s"', "arrivals[0].handle"),
        ('handle = "3m"', 'handle = "3 minutes"', "arrivals[0].handle"),
        ('handle = "3m"', 'handle_shape = "bell"', "arrivals[0].handle_shape"),
        ('patience = "2m"', 'patience = "0s"', "arrivals[0].patience"),
        ('channel = "phone"', 'channel = "phones"', "arrivals[0].channel"),
        ('name = "chats"', 'name = "calls"', "arrivals[1].name"),
        ("count = 6", "count = -6", "staff[0].count"),
        ("count = 6", "count = 2000000", "staff[0].count"),
        ('ends = "12h"', 'ends = "7h"', "staff[0].ends"),
        ('at = "10h"', 'at = "13h"', "staff[0].breaks[0]"),
        ("skills = { any = 5 }", "skills = { many = 5 }", "staff[0].skills.many"),
        ('length = "6h"', 'length = "0s"', "length"),
        ('length = "6h"', 'length = "2000d"', "length"),
        ('length = "6h"', 'length = "6h"\nwarm_up = "7h"', "warm_up"),
        ('length = "6h"', 'length = "6h"\nlentgh = 3', "lentgh"),
        ('length = "6h"', 'length = "6h"\npeople = { miss = 0.7, decline = 0.7 }', "people.miss"),
        ('length = "6h"', 'length = "6h"\nfaults = { crashes = ["7h"] }', "faults.crashes[0]"),
        ('length = "6h"', 'length = "6h"\ngoal = { queues = { al = 0.8 } }', "goal.queues.al"),
        ('requirement = { skill = "any" }', 'requirement = { skill = "ayn" }', "config.queues.all.requirement.skill"),
        ('default_queue = "all"', 'default_queue = "al"', "config.default_queue"),
        ('default_queue = "all"', "", "arrivals[0].to"),
    ],
)
def test_a_scenario_that_cannot_be_is_refused_with_its_path(tmp_path: Path, old: str, new: str, path: str) -> None:
    assert old in SMALL
    file = tmp_path / "scenario.toml"
    file.write_text(SMALL.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        scenarios.read(file)
    assert caught.value.path == f"{file}: {path}"
    assert caught.value.expected


def test_what_is_no_toml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "scenario.toml"
    file.write_text("name = \n")
    with pytest.raises(ConfigError, match="a scenario in TOML"):
        scenarios.read(file)


def test_a_scenario_without_people_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        check(small(staff=()))
    assert caught.value.path == "staff"


def test_a_scenario_may_use_the_configuration_of_a_daemon(tmp_path: Path) -> None:
    (tmp_path / "dev.toml").write_bytes((SCENARIOS.parent / "dev.toml").read_bytes())
    file = tmp_path / "scenario.toml"
    file.write_text(
        'name = "x"\nlength = "1h"\nconfig = "dev.toml"\n[[arrivals]]\nname = "calls"\nchannel = "phone"\n'
        'to = "+15550100"\nlanguage = "es"\nper_hour = 20\n'
    )
    found = report.run(scenarios.read(file))
    assert found.queues["support"]["served"] > 5
    assert {person.agent for person in found.agents} >= {"ana", "ben", "chen", "dora"}


# --- what is shipped --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.toml")), ids=lambda path: path.stem)
def test_a_shipped_scenario_is_good_and_runs(path: Path) -> None:
    scenario = scenarios.read(path)
    found = report.run(replace(scenario, length=Duration(scenario.warm_up + HOUR), faults=Faults()))
    assert adds_up(found)
    assert found.all["served"] > 20


def test_the_shipped_outsourcer_is_as_large_as_it_says() -> None:
    scenario = scenarios.read(SCENARIOS / "outsourcer.toml")
    assert sum(group.count for group in scenario.staff) == 1_000
    assert len(scenario.config.queues) == 40


@pytest.mark.promise("RT-1")
def test_calls_keep_their_level_beside_a_backlog_of_mail_that_is_served_by_its_latest_time() -> None:
    """Twice as much mail as a day has room for; it stands in a band that joins the first one after three days."""
    scenario = scenarios.read(SCENARIOS / "cross-channel.toml")
    found, office = run(scenario)
    calm = report.run(replace(scenario, arrivals=tuple(replace(x, backlog=0) for x in scenario.arrivals)))
    spare_h = calm.groups["team"]["staffed_h"] * (1 - calm.groups["team"]["occupancy"]) / 4  # four working days
    backlog = next(x for x in scenario.arrivals if x.name == "mail")
    assert 1.8 < backlog.backlog * backlog.handle / 3_600_000 / spare_h < 2.4
    assert found.streams["calls"]["sl_x"] >= scenario.goal.sl_x
    assert found.streams["chats"]["sl_x"] >= scenario.goal.sl_x
    assert found.streams["mail"]["left"] == 0
    assert isinstance(office.watch, Reporter)
    longest = max(t.served.quantile(1.0) for (_, kind, _), t in office.watch.grid.items() if kind == 2)
    cap = next(band.cap for band in scenario.config.bands if band.name == "written")
    assert longest <= cap


def test_a_group_of_nobody_is_no_error() -> None:
    found, _ = run(small(staff=(*small().staff, Staff("nobody", 0))))
    assert adds_up(found)
