"""What deploy/ asks of the real metrics, parts and options; and the formats' own checkers where they can be had."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.house.pages import ROOT, Page

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "switchboard.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "switchboard.json"
METRIC = re.compile(r"\bswitchboard_\w+")
USE = re.compile(r"\b(switchboard_\w+)\{([^}]*)\}")
GROUPED = re.compile(r"\b(?:by|on) \(([^)]*)\)")
HISTOGRAM = ("_bucket", "_sum", "_count")
OURS_TO_ALL = {"instance", "le"}  # given by Prometheus


def known() -> dict[str, set[str]]:
    """The table of metrics, which a test of its own compares with what is registered: name -> labels."""
    table = next(t for t in Page(ROOT / "docs/operators.md").tables if t.header[0] == "metric")
    return {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in table.rows}


def queries() -> list[str]:
    rules = re.findall(r"^ +expr: (.+)$", RULES.read_text(), re.MULTILINE)
    panels: list[Any] = json.loads(DASHBOARD.read_text())["panels"]
    return [*rules, *(target["expr"] for panel in panels for target in panel["targets"])]


def plain(name: str) -> str:
    return next((name.removesuffix(end) for end in HISTOGRAM if name.endswith(end)), name)


@pytest.mark.parametrize("query", queries())
def test_every_query_asks_for_metrics_and_labels_that_exist(query: str) -> None:
    metrics = known()
    asked = {plain(name) for name in METRIC.findall(query)}
    assert asked
    assert asked <= metrics.keys()
    for name, matchers in USE.findall(query):
        assert set(re.findall(r"(\w+)=", matchers)) <= metrics[plain(name)]
    grouped = {label.strip() for inside in GROUPED.findall(query) for label in inside.split(",")} - {""}
    assert grouped <= OURS_TO_ALL | {label for name in asked for label in metrics[name]}


def test_every_alarm_has_a_page_in_the_runbook_and_every_page_an_alarm() -> None:
    alarms = re.findall(r"^ +- alert: (\w+)$", RULES.read_text(), re.MULTILINE)
    runbook = ROOT / "docs" / "runbook.md"
    assert re.findall(r"^### (\w+)$", runbook.read_text(), re.MULTILINE) == alarms
    for alarm, link in zip(alarms, re.findall(r"runbook: (\S+)", RULES.read_text()), strict=True):
        assert link == f"docs/runbook.md#{alarm.lower()}"


@pytest.mark.system
def test_prometheus_understands_the_rules() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed; ./run test installs it where it may")
    done = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def options_of(command: str) -> set[str]:
    return set(re.findall(r"(?<= )(--\w[\w-]*)", command))


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("systemd/*.service")), ids=lambda path: path.name)
def test_the_unit_starts_what_there_is(path: Path) -> None:
    from router.__main__ import cli

    for command, rest in re.findall(r"-m router (\w+)(.*)$", path.read_text(), re.MULTILINE):
        known_options = {name for option in cli.commands[command].params for name in option.opts}
        assert options_of(rest) <= known_options
