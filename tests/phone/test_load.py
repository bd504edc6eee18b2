"""Many real calls at once, through a real gateway, while the router dies: every call is counted on four sides."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.phone.load import Book, Plan, Result, run, wrong
from tests.phone.sip import MISSING

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (see deploy/kamailio/README.md)"),
]
SHORT = Plan(rate=8, seconds=6, agents=8, backlog=12, hasty=0.3, patience_s=(1, 3), talk_s=1.0, kill_at_s=3, away_s=1)


def everybody(result: Result) -> int:
    return sum(result.counts["callers"].values())


@pytest.mark.promise("DU-1", "OF-6", "RT-10")
async def test_every_caller_is_answered_once_or_gives_up_though_the_router_dies_meanwhile(tmp_path: Path) -> None:
    result = await run(SHORT, tmp_path)
    assert result.problems == []
    assert everybody(result) == SHORT.backlog + SHORT.rate * SHORT.seconds
    assert result.counts["gateway"]["offered"] == result.counts["router"]["arrived"] == everybody(result)
    assert result.counts["telephones"]["answers"] == result.counts["callers"]["talks"] > 0
    assert result.most_waiting >= SHORT.backlog


@pytest.mark.long
@pytest.mark.promise("DU-1", "OF-6", "RT-10")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kill_at_s", [0, 150], ids=["undisturbed", "killed"])
async def test_twenty_calls_a_second_for_five_minutes(tmp_path: Path, kill_at_s: int) -> None:
    plan = Plan(kill_at_s=kill_at_s)
    result = await run(plan, tmp_path)
    assert result.problems == []
    assert everybody(result) == plan.backlog + plan.rate * plan.seconds
    assert result.most_waiting >= 200


def book(**said: int) -> Book:
    found = Book(who="ana")
    found.said.update({word.replace("_", "-"): count for word, count in said.items()})
    return found


GOOD = {
    "caller": book(talks=1),
    "gateway": book(offered=1, answered=1, ended=1),
    "router": book(arrived=1, connected=1, ended_customer_left=1),
    "phone": book(rings=1, answers=1, free=1),
}


def test_four_books_that_agree_are_good() -> None:
    assert wrong(**GOOD) == ""
    left = book(arrived=1, ended_abandoned=1)
    assert wrong(book(left=1), book(offered=1, abandoned=1), left, Book()) == ""


@pytest.mark.parametrize(
    "other",
    [
        {"caller": Book()},
        {"caller": book(talks=1, left=1)},
        {"gateway": book(answered=1, ended=1)},
        {"gateway": book(offered=1)},
        {"router": book(arrived=2, connected=1, ended_customer_left=1)},
        {"router": book(arrived=1, connected=1)},
        {"router": book(arrived=1, connected=2, ended_customer_left=1)},
        {"phone": book(rings=2, answers=2)},
        {"phone": Book()},
        {"phone": Book(said=book(answers=1).said, who="ben")},
    ],
    ids=range(10),
)
def test_books_that_differ_are_noticed(other: dict[str, Book]) -> None:
    assert wrong(**GOOD | other) != ""
