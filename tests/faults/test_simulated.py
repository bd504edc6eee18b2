"""Thousands of bad days of a simulated cluster: some in every run, more where there is time; a seed replays."""

from __future__ import annotations

import os

import pytest

from tests.faults.simulated import Fault, World

SCHEDULES = int(os.environ.get("SWITCHBOARD_SCHEDULES", "60"))


@pytest.mark.promise("DU-5", "AG-3", "OF-2")
@pytest.mark.parametrize("first", range(1, SCHEDULES + 1, 20))
def test_no_schedule_of_faults_loses_doubles_or_forgets_anything(first: int) -> None:
    for seed in range(first, first + 20):
        world = World(seed)
        assert world.run() == [], f"seed {seed}: {world.faults}"
        assert world.ledger.acknowledged >= 30


@pytest.mark.long
@pytest.mark.promise("DU-5", "AG-3", "OF-2")
@pytest.mark.timeout(1_200)
def test_three_thousand_schedules_lose_double_and_forget_nothing() -> None:
    bad = {seed: found for seed in range(1_000, 4_000) if (found := World(seed).run())}
    assert bad == {}


def test_a_seed_is_the_same_day_again() -> None:
    days = [World(11) for _ in range(2)]
    assert [day.run() for day in days] == [[], []]
    assert days[0].log.records == days[1].log.records
    assert days[0].ledger == days[1].ledger


@pytest.mark.promise("DU-5")
def test_without_the_fence_rules_break() -> None:
    """Who leads and both edges stand still together; another takes over, and they go on with one another."""
    stops = [
        Fault(at_ms, "pause", who, 2_500)
        for number, at_ms in ((1, 4_000), (2, 9_000))
        for who in (f"engine-{number}", "edge-1", "edge-2")
    ]
    assert all(_breaks(World(seed, stops, fenced=False, clocks=False)) for seed in range(5))
    assert all(World(seed, stops, clocks=False).run() == [] for seed in range(10)), "the token alone is enough"


def _breaks(world: World) -> bool:
    """Two histories under one number: a rule is broken, or an edge cannot even follow."""
    try:
        return world.run() != []
    except KeyError:
        return True
