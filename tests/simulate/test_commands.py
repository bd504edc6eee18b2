"""`switchboard simulate` and `switchboard staff`, as people and programs use them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from router.__main__ import main
from tests.simulate.test_scenarios import SMALL

pytestmark = pytest.mark.promise("EX-3")

CASES = {
    "about": "two cases",
    "public": [
        {
            "name": "loss",
            "kind": "stationary",
            "model": {
                "classes": [{"name": "c", "rate": 0.05555555555, "patience": None, "target": 20}],
                "groups": [{"name": "g", "agents": 14, "skills": {"c": {"mean": 180}}}],
                "select_contact": "fcfs",
                "select_agent": "longest_idle",
                "capacity": 14,
                "service": "exp",
            },
            "run": {"contacts": 4000, "warmup_contacts": 500},
            "expected": {"c.p_blocked": 0.05681914, "g.occupancy": 0.6737006},  # Erlang B
            "tolerance": {"c.p_blocked": 0.031, "g.occupancy": 0.05},
        },
        {"name": "inv_useless_agent", "kind": "invariant", "run": {"contacts": 500}},
    ],
}


class Ran:
    def __init__(self, out: str, err: str, code: int) -> None:
        self.out, self.err, self.code = out, err, code


Run = Callable[..., Ran]


@pytest.fixture
def switchboard(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["switchboard", *words])
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        return Ran(captured.out, captured.err, code if isinstance(code, int) else 0)

    return run


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.toml"
    file.write_text(SMALL.replace('length = "6h"', 'length = "2h"'))
    return file


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    file = tmp_path / "cases.json"
    file.write_text(json.dumps(CASES))
    return file


def test_cases_are_answered_as_json_with_the_keys_that_they_expect(switchboard: Run, cases: Path) -> None:
    ran = switchboard("simulate", "--cases", str(cases), "--json")
    loss, useless = json.loads(ran.out)
    assert ran.code == 0
    assert loss["name"] == "loss"
    assert loss["seconds"] > 0
    assert loss["metrics"]["c.p_blocked"] == pytest.approx(0.0568, abs=0.031)
    assert "g.occupancy" in loss["metrics"]
    assert useless["metrics"] == {"violations": 0, "holds": 1}


def test_only_the_named_case_runs(switchboard: Run, cases: Path) -> None:
    ran = switchboard("simulate", "--cases", str(cases), "--only", "inv_useless_agent", "--json")
    assert [x["name"] for x in json.loads(ran.out)] == ["inv_useless_agent"]


def test_a_case_that_does_not_exist_is_a_wrong_use(switchboard: Run, cases: Path) -> None:
    ran = switchboard("simulate", "--cases", str(cases), "--only", "gain")
    assert ran.code == 2
    assert "--only: expected one of loss, inv_useless_agent, found 'gain'" in ran.err


def test_a_case_may_run_under_another_rule(switchboard: Run, cases: Path) -> None:
    ran = switchboard("simulate", "--cases", str(cases), "--only", "loss", "--policy", "adaptive|random", "--json")
    assert json.loads(ran.out)[0]["metrics"]["c.p_blocked"] == pytest.approx(0.0568, abs=0.031)


def test_people_get_a_table_that_says_what_was_missed(switchboard: Run, cases: Path) -> None:
    good = switchboard("simulate", "--cases", str(cases), "--only", "loss")
    assert good.code == 0
    assert "ok" in good.out
    cases.write_text(json.dumps([{**CASES["public"][0], "expected": {"c.p_blocked": 0.5}}]))  # type: ignore[dict-item]
    bad = switchboard("simulate", "--cases", str(cases))
    assert bad.code == 1
    assert "missed" in bad.out


def test_a_scenario_gives_the_same_json_twice(switchboard: Run, small: Path) -> None:
    first, second = (switchboard("simulate", str(small), "--json").out for _ in range(2))
    assert first == second
    found = json.loads(first)
    assert found["all"]["offered"] == found["contacts"] > 100
    assert set(found["queues"]) == {"all"}
    assert json.loads(switchboard("simulate", str(small), "--seed", "9", "--json").out)["seed"] == 9


def test_a_scenario_gives_a_table_and_a_picture(switchboard: Run, small: Path, tmp_path: Path) -> None:
    picture = tmp_path / "day.png"
    ran = switchboard("simulate", str(small), "--plot", str(picture))
    assert ran.code == 0
    for word in ("queue all", "channel phone", "stream chats", "team", "times real time", "interactions a second"):
        assert word in ran.out
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 20_000
    switchboard("simulate", str(small), "--plot", str(picture))
    assert picture.read_bytes() == data


def test_two_policies_stand_side_by_side(switchboard: Run, small: Path, tmp_path: Path) -> None:
    picture = tmp_path / "both.png"
    words = ("simulate", str(small), "--compare", "first-come", "priority|best-level", "--replications", "2")
    ran = switchboard(*words, "--plot", str(picture))
    assert ran.code == 0
    assert "A: small (first-come)" in ran.out
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(switchboard(*words, "--json").out)
    assert (found["a"], found["replications"]) == ("small (first-come)", 2)


def test_two_scenarios_stand_side_by_side(switchboard: Run, small: Path, tmp_path: Path) -> None:
    other = tmp_path / "more.toml"
    other.write_text(small.read_text().replace("count = 6", "count = 9").replace('"small"', '"more"'))
    ran = switchboard("simulate", "--compare", str(small), str(other), "--replications", "2", "--json")
    assert {x["b"] for x in [json.loads(ran.out)]} == {"more"}


def test_staff_says_how_many_people_are_enough(switchboard: Run, small: Path) -> None:
    found = json.loads(switchboard("staff", str(small), "--replications", "2", "--json").out)
    assert found["found"]["met"] is True
    assert set(found["found"]["staff"]) == {"team", "rest"}
    assert "people" in switchboard("staff", str(small), "--replications", "2").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("simulate",), "name a scenario"),
        (("simulate", "nowhere.toml"), "nowhere.toml: expected a scenario in TOML"),
        (("staff", "nowhere.toml"), "nowhere.toml: expected a scenario in TOML"),
        (("simulate", "--cases", "nowhere.json"), "nowhere.json: expected a JSON file of cases"),
    ],
)
def test_a_wrong_use_is_one_line_that_says_what_to_do(switchboard: Run, words: tuple[str, ...], said: str) -> None:
    ran = switchboard(*words)
    assert ran.code == 2
    assert said in ran.err


def test_an_unknown_policy_is_refused_with_the_known_ones(switchboard: Run, small: Path) -> None:
    ran = switchboard("simulate", str(small), "--policy", "astrology")
    assert ran.code == 2
    assert "--policy: expected one of adaptive, share-of-target, ratio" in ran.err


@pytest.mark.parametrize("file", ["day.bmp", "day", "nowhere/day.png"])
@pytest.mark.parametrize("command", ["simulate", "replay"])
def test_a_picture_that_cannot_be_is_refused_before_anything_runs(
    switchboard: Run, tmp_path: Path, command: str, file: str
) -> None:
    """The scenario, or the journal, does not even exist."""
    ran = switchboard(command, "nothing", "--plot", str(tmp_path / file))
    assert ran.code == 2
    assert ran.err.startswith("--plot: expected a file ")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("SMALL", "--only", "loss"), "--only: expected to be said with --cases, found a SCENARIO"),
        (("SMALL", "--replications", "3"), "--replications: expected to be said with --compare, found a SCENARIO"),
        (("SMALL", "--scale", "0.1"), "--scale: expected to be said with --cases, found a SCENARIO"),
        (("SMALL", "--cases", "CASES"), "a SCENARIO: expected to be said with --compare or a SCENARIO, found --cases"),
        (
            ("--cases", "CASES", "--replications", "3"),
            "--replications: expected to be said with --compare, found --cases",
        ),
        (
            ("SMALL", "--compare", "ratio", "deadline", "--policy", "ratio"),
            "--policy: expected to be said with --cases or a SCENARIO, found --compare",
        ),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(
    switchboard: Run, small: Path, cases: Path, words: tuple[str, ...], said: str
) -> None:
    names = {"SMALL": str(small), "CASES": str(cases)}
    ran = switchboard("simulate", *(names.get(word, word) for word in words))
    assert ran.code == 2
    assert said in ran.err


def test_notes_are_said_below_the_tables(switchboard: Run, small: Path) -> None:
    small.write_text(small.read_text().replace('channel = "chat"', 'channel = "chat"\nto = "slip"'))
    note = "chats: no rule takes 'slip', so they go to the default queue all"
    assert f"- {note}" in switchboard("simulate", str(small)).out
    assert json.loads(switchboard("simulate", str(small), "--json").out)["notes"] == [note]
    assert f"- {note}" in switchboard("staff", str(small), "--replications", "1").out
