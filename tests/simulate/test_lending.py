"""Two queues with unequal load, simulated without help and with it (RT-7): does it do what it is for?"""

from __future__ import annotations

import functools

import pytest

from router.engine.config import Borrow, Channel, Config, Duration, Need, Overflow, Queue, Rule, Spare
from router.engine.requirements import Node
from router.simulate import compare
from router.simulate.report import Report
from router.simulate.scenario import Arrivals, Scenario, Staff

pytestmark = pytest.mark.promise("RT-7", "EX-3")

HOUR = Duration(3_600_000)
BOUND = 0.85  # the service level that the lender must keep
HELP = Borrow("sales", Need(wait=Duration(20_000)), Spare(wait_below=Duration(10_000), level_above=BOUND))
ELSEWHERE = Overflow("sales", Duration(20_000), Duration(10_000))


def centre(name: str = "alone", **support: object) -> Scenario:
    """Twelve people each. Support has calls for nearly as many, sales for half of them; 20 s are promised."""
    calls = {"support": 235.0, "sales": 130.0}  # an hour
    shape = {"handle": Duration(180_000), "handle_shape": "exp", "patience": Duration(180_000)}
    usual = {"auto_accept": True, "target": Duration(20_000)}
    return Scenario(
        name=name,
        length=Duration(6 * HOUR),
        warm_up=HOUR,
        arrivals=tuple(Arrivals(q, "phone", to=q, per_hour=n, **shape) for q, n in calls.items()),  # type: ignore[arg-type]
        config=Config(
            channels={"phone": Channel(exclusive=True)},
            skills=tuple(calls),
            queues={
                "support": Queue(requirement=Node(skill="support"), **usual, **support),  # type: ignore[arg-type]
                "sales": Queue(requirement=Node(skill="sales"), **usual),  # type: ignore[arg-type]
            },
            rules=tuple(Rule(q, q, to=(q,)) for q in calls),
        ),
        staff=tuple(Staff(q, 12, {q: 5}) for q in calls),
    )


REPLICATIONS = 3


@functools.cache
def alone() -> list[Report]:
    return compare.replicate(centre(), REPLICATIONS)


@functools.cache
def found(name: str, **support: object) -> dict[tuple[str, str], compare.Line]:
    lines = compare.lines(alone(), compare.replicate(centre(name, **support), REPLICATIONS))
    return {(line.of, line.metric): line for line in lines}


def test_the_service_level_of_the_worst_served_queue_rises() -> None:
    support, sales = (found("lent", borrow=(HELP,))[name, "sl_x"] for name in ("support", "sales"))
    assert support.a == min(support.a, sales.a)
    assert support.apart
    assert min(support.b, sales.b) > support.a + 0.15


def test_the_lender_keeps_its_own_bound() -> None:
    assert found("lent", borrow=(HELP,))["sales", "sl_x"].b > BOUND


def test_fewer_give_up_and_the_work_is_shared() -> None:
    lent = found("lent", borrow=(HELP,))
    assert lent["all", "p_abandon"].b < lent["all", "p_abandon"].a / 2
    assert lent["staff sales", "occupancy"].difference > 0 > lent["staff support", "occupancy"].difference


@pytest.mark.promise("RT-11")
def test_contacts_that_overflow_help_as_well_and_fill_the_other_queue_no_further_than_its_bound() -> None:
    over = found("over", overflow=(ELSEWHERE,))
    assert over["support", "mean_wait"].difference < 0
    assert over["support", "mean_wait"].apart
    assert over["sales", "mean_wait"].b < 10
