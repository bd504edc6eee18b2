"""A month of calls: what is known is kept, what is not is estimated as for censored data."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from msgspec.structs import replace

from router.errors import ConfigError
from router.simulate import calls
from router.simulate.calls import BANK, Survival, kaplan_meier
from router.simulate.chance import stream
from tests.simulate.theory import ABSENT, SHARED

pytestmark = pytest.mark.promise("EX-3")

HEAD = (
    "vru+line\tcall_id\tcustomer_id\tpriority\ttype\tdate\tvru_entry\tvru_exit\tvru_time\tq_start\tq_exit\tq_time\t"
    "outcome\tser_start\tser_exit\tser_time\tserver\n"
)


def line(
    at: str, waited: int, outcome: str, begun: str = "0:00:00", took: int = 0, server: str = "ANA", **more: str
) -> str:
    values = {"priority": "0", "type": "PS", "date": "990201"} | more
    return (
        f"AA\t1\t0\t{values['priority']}\t{values['type']}\t{values['date']}\t{at}\t{at}\t0\t{at}\t{at}\t{waited}\t"
        f"{outcome}\t{begun}\t{begun}\t{took}\t{server}\n"
    )


LINES = (
    line("10:00:00", 0, "AGENT", "10:00:00", 60),
    line("10:00:30", 30, "AGENT", "10:01:00", 120, priority="2"),
    line("10:01:00", 45, "HANG", server="NO_SERVER"),
    line("10:01:00", 0, "HANG", server="NO_SERVER"),  # spoke to the machine only
    line("10:02:00", 3, "PHANTOM", server="NO_SERVER"),
    line("12:00:00", 0, "AGENT", "12:00:00", 100),
    line("9:00:00", 0, "AGENT", "9:00:00", 60, "BEN", date="990202"),
)


@pytest.fixture
def month(tmp_path: Path) -> calls.Month:
    file = tmp_path / "calls.tsv.gz"
    file.write_bytes(gzip.compress((HEAD + "".join(LINES)).encode()))
    return calls.read(file)


def test_calls_that_wanted_an_agent_are_read(month: calls.Month) -> None:
    assert [(x.at, x.waited, x.served, x.favoured) for x in month.calls] == [
        (36_000, 0, True, False),
        (36_030, 30, True, True),
        (36_060, 45, False, False),
        (43_200, 0, True, False),
        (86_400 + 32_400, 0, True, False),
    ]


def test_agents_are_there_from_call_to_call_but_not_through_long_gaps(month: calls.Month) -> None:
    assert month.shifts == {
        "ANA": [(36_000, 36_180), (43_200, 43_300)],
        "BEN": [(118_800, 118_860)],
    }


def test_the_kaplan_meier_curve_is_that_of_the_textbook() -> None:
    """Six callers: hung up at 6, 6, 6 and 10, served after 6 and 9."""
    times, stays = kaplan_meier([(6, True), (6, True), (6, True), (6, False), (9, False), (10, True)])
    assert times == [6, 10]
    assert stays == pytest.approx([1 - 3 / 6, (1 - 3 / 6) * (1 - 1 / 1)])


def test_without_censoring_the_curve_is_the_share_of_those_left() -> None:
    _, stays = kaplan_meier([(t, True) for t in range(1, 11)])
    assert stays == pytest.approx([1 - t / 10 for t in range(1, 11)])


def test_exponential_patience_is_found_behind_the_censoring() -> None:
    """True mean 300 s, served after 60 s on average: those who hung up waited a fifth of that."""
    random = stream(1, "calls")
    waits = []
    for _ in range(20_000):
        patience, offered = random.expovariate(1 / 300), random.expovariate(1 / 60)
        waits.append((round(min(patience, offered)), patience < offered))
    found = Survival(waits)
    assert found.mean == pytest.approx(300, rel=0.06)
    drawn = [found.beyond(0, random) for _ in range(20_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(300, rel=0.1)
    assert sum(t for t, hung_up in waits if hung_up) / sum(hung_up for _, hung_up in waits) < 70


def test_who_was_served_is_more_patient_than_the_wait() -> None:
    random = stream(1, "beyond")
    survival = Survival([(t, t % 3 == 0) for t in range(1, 100)])
    assert all(survival.beyond(50, random) >= 50 for _ in range(500))


def test_the_month_is_run_again_with_the_same_callers(month: calls.Month) -> None:
    found = calls.again(month, BANK)
    assert found.metrics["all"]["offered"] == 5
    assert found.metrics["favoured"]["offered"] == 1
    was = calls.what_was(month)
    assert was.metrics["all"]["abandoned"] == 1
    assert was.metrics["all"]["mean_wait"] == 15.0


@pytest.mark.parametrize(
    ("text", "said"),
    [("a\tb\n1\t2\n", "the columns"), (HEAD, "calls that wanted an agent"), (HEAD + line("noon", 0, "AGENT"), ":2")],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "calls.tsv"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        calls.read(file)


@pytest.mark.skipif(not SHARED.exists(), reason=ABSENT)
def test_february_comes_out_as_it_was_and_better_with_more_people() -> None:
    """Patience by maximum likelihood is published for these data; the pause is fitted to the mean wait alone."""
    month = calls.read(SHARED / "corpora" / "calls" / "anonymous_bank_1999_02.tsv.gz")
    assert sum(call.served for call in month.calls) == 27_162
    for kind, mean_s in (("PS", 446), ("NW", 211), ("NE", 794), ("IN", 468)):
        assert Survival([(x.waited, not x.served) for x in month.calls if x.type == kind]).mean == pytest.approx(
            mean_s, rel=0.02
        )
    was = calls.what_was(month).metrics["all"]
    variant = replace(BANK, pause_s=59)  # what `calibrated` finds for this month
    found = calls.again(month, variant).metrics["all"]
    assert found["mean_wait"] == pytest.approx(was["mean_wait"], rel=0.05)
    assert found["p_abandon"] == pytest.approx(was["p_abandon"], abs=0.01)
    assert found["p90"] == pytest.approx(was["p90"], rel=0.1)
    week = replace(month, calls=[call for call in month.calls if call.at < 7 * 86_400])
    usual, more = (calls.again(week, replace(variant, more=n)).metrics["all"] for n in (0, 1))
    assert more["mean_wait"] < 0.7 * usual["mean_wait"]
