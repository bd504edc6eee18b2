"""Each benchmark runs with small sizes and prints rows and figures of the stated form."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from router.__main__ import cli
from router.bench import run_benchmarks
from router.bench.report import Row
from router.bench.run import NAMES
from router.cli import plots
from router.errors import ConfigError
from tests.support.redis import installed

ROWS = {
    "engine": [*["9"] * 8, "10", "11", "12", "13", "RT-4", "20"],
    "pipeline": ["1", "2", "5", "14", "15"],
    "journal": ["7", "8"],
    "redis": ["17", "17", "17"],
    "recovery": ["19", "DU-4", "DU-4"],
    "edges": ["3", "4", "6", "16"],
    "chat": ["21", "21"],
    "estimates": ["RT-13"] * 7 + ["EX-1"],
    "theory": ["EX-3", "EX-3", *["RT-1"] * 10],
    "machines": [*["22"] * 6, *["23"] * 8, "24", "24", "25", "25", "25"],
}


@pytest.mark.long
@pytest.mark.system
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NAMES)
def test_a_quick_run_prints_json_with_a_verdict_for_each_target(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    if name in ("redis", "machines"):
        installed()
    assert run_benchmarks(name, rounds=5, quick=True, as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == {"when", "machine", "rounds", "quick", "foreign", "took_s", "rows", "figures"}
    assert found["machine"].keys() == {"cpu", "cores", "system", "python", "packages", "load"}
    assert (found["rounds"], found["quick"]) == (1, True)
    assert [row["number"] for row in found["rows"]] == ROWS[name]
    for row in found["rows"]:
        assert row.keys() == {*Row.__struct_fields__, "verdict"}
        assert row["product"] > 0
        assert row["verdict"] in (("aim", "must", "missed") if row["must"] else ("",))
    for rounds in found["figures"].values():
        assert len(rounds) == 1
        assert all(isinstance(value, float | int) for value in rounds[0].values())


def test_people_get_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_benchmarks("journal", quick=True) == 0
    shown = capsys.readouterr().out
    assert "single durable commit, p50" in shown
    assert "cores busy with others' work" in shown


def test_an_unknown_name_is_a_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_benchmarks("everything") == 2
    known = "known: engine, pipeline, journal, redis, recovery, edges, chat, estimates, theory, machines"
    assert known in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ratio", "at_least", "verdict"),
    [(1.3, False, "aim"), (1.5, False, "must"), (2.1, False, "missed"), (2.1, True, "aim"), (1.2, True, "missed")],
)
def test_a_verdict_says_which_limit_holds(ratio: float, at_least: bool, verdict: str) -> None:
    must, aim = (1.4, 2.0) if at_least else (2.0, 1.4)
    row = Row(number="1", what="x", unit="us", product=1, floor=1, ratio=ratio, must=must, aim=aim, at_least=at_least)
    assert row.verdict == verdict


def test_contests_are_drawn_and_nothing_else_is(tmp_path: Path) -> None:
    found = {
        "theory: 100 agents at 90 %": [{"times": 9_000.0}],
        "theory: V fcfs|longest_idle": [{"min_sl_x": 0.5, "k0.sl_x": 0.5, "k1.sl_x": 0.9, "all.sl_x": 0.7}],
        "theory: V adaptive|longest-idle": [{"min_sl_x": 0.8, "k0.sl_x": 0.8, "k1.sl_x": 0.81, "all.sl_x": 0.8}],
    }
    plots.draw_contests(found, tmp_path / "contests.svg")
    drawn = (tmp_path / "contests.svg").read_text()
    assert drawn.count("<!-- Design V -->") == 1
    assert drawn.count("<!-- adaptive|longest-idle -->") == 1
    refused = CliRunner().invoke(cli, ["bench", "engine", "--plot", str(tmp_path / "x.png")])
    assert isinstance(refused.exception, ConfigError)
    assert refused.exception.path == "--plot"
