"""Two houses side by side, and the smallest roster that is enough."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from router.engine.config import Channel, Config, Duration, Queue, Rule
from router.engine.requirements import Node
from router.errors import ConfigError
from router.simulate import compare, staffing
from router.simulate.scenario import Arrivals, Goal, Scenario, Staff

pytestmark = pytest.mark.promise("EX-3")

HOUR = Duration(3_600_000)
RULES = (Rule("es", "es", to=("es",)), Rule("any", "all"))


def office(agents: int = 12, per_hour: float = 100, **changes: object) -> Scenario:
    """One queue, one group, calls of exactly exponential length, nobody gives up, agents accept at once."""
    queue = Queue(requirement=Node(skill="any"), auto_accept=True)
    scenario = Scenario(
        name="office",
        length=Duration(8 * HOUR),
        warm_up=HOUR,
        arrivals=(Arrivals("calls", "phone", per_hour=per_hour, handle=Duration(330_000), handle_shape="exp"),),
        config=Config(
            channels={"phone": Channel(exclusive=True, target=Duration(30_000))},
            skills=("any",),
            queues={"all": queue},
            default_queue="all",
        ),
        staff=(Staff("team", agents, {"any": 5}),),
    )
    return replace(scenario, **changes)


# --- comparisons ------------------------------------------------------------------------------------------------------


def test_a_house_does_not_differ_from_itself() -> None:
    found = compare.compare(office(), office(), replications=3)
    assert found.lines
    assert all(line.difference == 0 and line.half_width == 0 and not line.apart for line in found.lines)


def test_two_people_more_are_told_apart_with_few_replications() -> None:
    lines = compare.compare(office(12), replace(office(14), name="more"), replications=4).lines
    found = {(x.of, x.metric): x for x in lines}
    assert found["all", "sl_x"].apart
    assert found["all", "sl_x"].difference > 0
    assert found["all", "mean_wait"].difference < 0
    assert found["staff team", "occupancy"].difference < 0


def test_the_same_contacts_tell_more_than_other_ones() -> None:
    """Common random numbers: the interval of paired differences is narrower than that of unpaired ones."""
    first, second = compare.replicate(office(12), 4), compare.replicate(office(13), 4)
    elsewhere = compare.replicate(replace(office(13), seed=100), 4)
    paired, unpaired = (
        next(x for x in compare.lines(first, other) if (x.of, x.metric) == ("all", "served")).half_width
        for other in (second, elsewhere)
    )
    assert paired < unpaired / 2


def test_the_interval_is_students() -> None:
    mean, half = compare.interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half == pytest.approx(4.303 / math.sqrt(3))


@pytest.mark.parametrize(("n", "t"), [(2, 12.706), (10, 2.262), (16, 2.131), (31, 2.042), (101, 1.984)])
def test_the_factor_is_that_of_the_tables(n: int, t: float) -> None:
    assert compare.t95(n) == pytest.approx(t, rel=0.01)


# --- staffing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agents", "load", "waits"),
    [(14, 10.0, 0.174132), (15, 10.0, 0.102042), (55, 48.0, 0.238701), (50, 48.0, 0.694456), (10, 10.0, 1.0)],
)
def test_erlangs_formula_gives_the_printed_values(agents: int, load: float, waits: float) -> None:
    assert staffing.erlang_c(agents, load) == pytest.approx(waits, abs=1e-6)


def test_a_printed_example_needs_twenty_eight() -> None:
    """250 calls an hour of 330 s, 80 % in 30 s."""
    assert staffing.agents_for(250 / 3_600, 330, 30, 0.8) == 28


def test_the_search_finds_about_what_the_formula_says_where_it_holds() -> None:
    """100 calls an hour of 330 s, without abandonment or breaks."""
    wanted = staffing.agents_for(100 / 3_600, 330, 30, 0.8)
    found = staffing.search(office(1, length=Duration(16 * HOUR)), replications=4)
    assert found.start == {"team": wanted}
    assert abs(found.found.agents - wanted) <= 1
    assert found.found.met
    fewer = [x for x in found.tried if x.agents == found.found.agents - 1]
    assert [x.met for x in fewer] == [False]


def test_a_queue_gets_people_who_can_serve_it() -> None:
    """Two queues; only the second group speaks Spanish, and so it is the one that grows."""
    base = office(8, per_hour=50)
    spanish = Queue(requirement=Node(language="es"), auto_accept=True)
    config = replace(base.config, queues={**base.config.queues, "es": spanish}, default_queue=None, rules=RULES)
    both = replace(
        base,
        config=config,
        arrivals=(
            replace(base.arrivals[0], to="any"),
            replace(base.arrivals[0], name="spanish", to="es", per_hour=20.0),
        ),
        staff=(Staff("team", 8, {"any": 5}), Staff("bilingual", 1, {"any": 5}, ("es",))),
    )
    search = staffing._Search(both, lambda text: None, 1)
    assert search.add((8, 1), "es") == (8, 2)
    assert search.add((8, 1), "all") == (9, 1)
    assert search.add((30, 1), "all") == (33, 1)


def test_goals_that_nobody_can_meet_are_refused() -> None:
    base = office()
    queues = {"all": replace(base.config.queues["all"], requirement=Node(language="eo"))}
    with pytest.raises(ConfigError) as caught:
        staffing.search(replace(base, config=replace(base.config, queues=queues), goal=Goal(0.8)), replications=2)
    assert caught.value.path == "goal.queues.all"


def test_a_scenario_without_groups_has_nothing_to_search() -> None:
    with pytest.raises(ConfigError) as caught:
        staffing.search(replace(office(), staff=()))
    assert caught.value.path == "staff"
