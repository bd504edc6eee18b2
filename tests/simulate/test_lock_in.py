"""Chats that keep calls out, and the end of it: the shipped scenario with and without places that are held (CP-4)."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from router.cli import scenarios
from router.engine.config import Duration
from router.engine.outlook import duration
from router.simulate import report
from router.simulate.report import Report

pytestmark = pytest.mark.promise("CP-4")

ROOT = Path(__file__).parents[2]
HIGH, TOO_MANY = 200, 400  # chats an hour; twelve agents can take some 270
NEVER, DEFAULT = Duration(0), Duration(900_000)
Runs = dict[tuple[int, Duration], Report]


@pytest.fixture(scope="module")
def runs() -> Runs:
    return {(chats, drain): run(chats, drain) for chats in (HIGH, TOO_MANY) for drain in (NEVER, DEFAULT)}


def run(chats: int, drain: Duration) -> Report:
    """The same customers, whatever is held."""
    scenario = scenarios.read(ROOT / "config/scenarios/blended.toml")
    channels = {**scenario.config.channels, "phone": replace(scenario.config.channels["phone"], drain=drain)}
    calls, many = scenario.arrivals
    return report.run(
        replace(
            scenario,
            config=replace(scenario.config, channels=channels),
            arrivals=(calls, replace(many, per_hour=float(chats))),
        )
    )


def test_without_it_no_call_is_answered_while_more_chats_come_than_can_be_taken(runs: Runs) -> None:
    found = runs[TOO_MANY, NEVER]
    assert found.streams["calls"]["served"] == 0
    assert found.streams["calls"]["offered"] > 120


def test_with_it_calls_are_answered_within_the_time_that_agents_need_to_finish_their_chats(runs: Runs) -> None:
    calls = runs[TOO_MANY, DEFAULT].streams["calls"]
    assert calls["served"] > 0.75 * calls["offered"]
    assert calls["p90"] < 900


def test_at_high_load_it_shortens_the_long_waits_of_calls(runs: Runs) -> None:
    without, held = (runs[HIGH, drain].streams["calls"] for drain in (NEVER, DEFAULT))
    assert held["p90"] < 0.7 * without["p90"]
    assert held["p99"] < 0.6 * without["p99"]
    assert held["abandoned"] < 0.6 * without["abandoned"]


def test_a_call_costs_no_more_chats_than_the_time_for_which_it_empties_three_places(runs: Runs) -> None:
    """After the first chat one place is empty for 4 minutes, after the second two for 8; then the call has three for 4.
    That is 32 minutes of places, in which there was time for four chats."""
    without, held = runs[TOO_MANY, NEVER].streams, runs[TOO_MANY, DEFAULT].streams
    assert without["chats"]["served"] - held["chats"]["served"] < 4 * held["calls"]["served"]


def test_at_high_load_chats_are_still_answered_in_time(runs: Runs) -> None:
    assert runs[HIGH, DEFAULT].streams["chats"]["sl_x"] > 0.85


def test_the_manual_has_these_figures(runs: Runs) -> None:
    manual = (ROOT / "docs/routing.md").read_text()
    missing = [row for row in (line(*key, found) for key, found in runs.items()) if row not in manual]
    assert missing == []


def line(chats: int, drain: Duration, found: Report) -> str:
    calls, others = found.streams["calls"], found.streams["chats"]
    return f"| {chats} | {drain} | {told(calls)} | {told(others)} |"


def told(figures: dict[str, float]) -> str:
    return f"{figures['served']} of {figures['offered']} | {duration(round(1_000 * figures['p90']))}"
