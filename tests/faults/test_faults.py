"""The laboratory itself, briefly in every run and for a hundred rounds where there is time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import campaign, cluster, domains, edges, sentinels
from tests.faults.__main__ import summary
from tests.faults.audit import audit
from tests.faults.campaign import Result, run
from tests.faults.takeover import Takeover, spreads
from tests.faults.world import Contact, Ledger

SEED = 7


def hold(result: Result, rounds: int) -> None:
    assert result.troubles == []
    assert (result.findings.lost, result.findings.doubled, result.findings.stuck) == ([], [], [])
    assert summary(result, SEED)["rounds"] == rounds
    assert result.acknowledged > 20 * rounds


@pytest.mark.promise("IN-2")
@pytest.mark.promise("DU-1")
@pytest.mark.promise("OF-6")
def test_five_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    hold(run(5, SEED, tmp_path), 5)


@pytest.mark.long
@pytest.mark.promise("DU-1")
@pytest.mark.timeout(900)
def test_a_hundred_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    hold(run(100, SEED, tmp_path), 100)


@pytest.mark.promise("DU-5", "DU-2", "OF-2")
def test_two_daemons_on_one_redis_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    result = cluster.run(3, SEED, tmp_path)
    hold(result, 3)


@pytest.mark.promise("DU-5", "DU-2", "AG-3", "OF-2")
def test_two_engines_and_two_edges_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    hold(edges.run(2, SEED, tmp_path), 2)


@pytest.mark.promise("DU-5", "AG-3", "OF-2")
def test_two_routing_domains_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    hold(domains.run(2, SEED, tmp_path), 2)


@pytest.mark.long
@pytest.mark.promise("DU-5", "AG-3", "OF-2")
@pytest.mark.timeout(2_400)
def test_a_hundred_faults_of_two_routing_domains_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    hold(domains.run(100, SEED, tmp_path), 100)


@pytest.mark.long
@pytest.mark.promise("DU-5", "DU-2", "AG-3", "OF-2")
@pytest.mark.timeout(3_600)
def test_two_hundred_faults_of_engines_and_edges_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    hold(edges.run(200, SEED, tmp_path), 200)


@pytest.mark.long
@pytest.mark.promise("DU-5", "DU-2", "OF-2")
@pytest.mark.timeout(2_400)
def test_two_hundred_faults_of_two_daemons_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    hold(cluster.run(200, SEED, tmp_path), 200)


# --- what is told of takeovers ----------------------------------------------------------------------------------------


def test_takeovers_are_told_by_their_spread_and_judged_without_what_the_machine_took() -> None:
    took = [Takeover("kill", 1.0 + number / 100, number / 100, 0.0) for number in range(1, 101)]
    took.append(Takeover("pause", 9.0, 7.5, 5.75))
    told = summary(Result(takeovers=took), SEED)
    assert (told["takeovers"], told["late"]) == (101, 0)
    assert [told[f"takeover_{name}_s"] for name in ("p50", "p99", "longest")] == [1.51, 2.0, 9.0]
    judged = spreads(took)["of that, with a processor"]
    assert judged == (0.51, 1.0, 1.75)
    assert summary(Result(takeovers=[Takeover("kill", 4.0, 2.5, 0.4)]), SEED)["late"] == 1
    assert "takeover_p50_s" not in summary(Result(), SEED), "none is none, and not quick"


# --- the audit finds what it should -----------------------------------------------------------------------------------


def fact(kind: str, key: str = "", **event: object) -> dict[str, object]:
    return {"seq": 0, "key": key, "type": kind, "event": {"interaction": 1, **event}}


def journal(*facts: dict[str, object]) -> list[dict[str, object]]:
    return [one | {"seq": number} for number, one in enumerate(facts, 1)]


ARRIVED = fact("arrived", "phone.dev:e1", channel="phone", message=None)
OFFERED = fact("offer-made", offer=1, agent="ana")
ACCEPTED = fact("offer-accepted", offer=1, agent="ana")
ENDED = fact("ended", reason="completed")


def ledger(**told: object) -> Ledger:
    return Ledger(contacts=[Contact("phone", "phone.dev:e1", "i-1", True)], **told)  # type: ignore[arg-type]


def test_a_good_day_has_no_findings() -> None:
    found = audit(journal(ARRIVED, OFFERED, ACCEPTED, ENDED), ledger(accepted=[("ana", "o-1", "i-1")]))
    assert (found.lost, found.doubled, found.stuck) == ([], [], [])


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (journal(), ledger()),
        (journal(ARRIVED, ENDED), ledger(accepted=[("ana", "o-1", "i-1")])),
        (journal(ARRIVED, OFFERED, ACCEPTED, ENDED), ledger(accepted=[("ben", "o-1", "i-1")])),
        (journal(ARRIVED, ENDED), ledger(said=[("i-1", "m1")])),
        (journal(ARRIVED, ENDED), ledger(noted=[("i-1", "careful")])),
        (journal(ARRIVED, ENDED), ledger(declined=[("ana", "o-1")])),
        (journal(ARRIVED, ENDED)[1:], ledger()),
    ],
)
def test_what_was_acknowledged_and_is_not_there_is_lost(lines: list[dict[str, object]], told: Ledger) -> None:
    assert audit(lines, told).lost


@pytest.mark.parametrize(
    "lines",
    [
        journal(ARRIVED, fact("arrived", "phone.dev:e1", interaction=2, channel="phone", message=None), ENDED),
        journal(ARRIVED, OFFERED, ACCEPTED, ACCEPTED, ENDED),
        journal(ARRIVED, ACCEPTED, fact("offer-accepted", offer=2, agent="ben"), ENDED),
        journal(ARRIVED, ENDED, ACCEPTED),
        journal(ARRIVED, ENDED, ENDED),
        journal(fact("arrived", "phone.dev:e1", interaction=2, channel="phone", message=None)),
    ],
)
def test_what_is_there_twice_is_doubled(lines: list[dict[str, object]]) -> None:
    assert audit(lines, ledger()).doubled


def test_what_never_ends_is_stuck() -> None:
    assert audit(journal(ARRIVED, OFFERED), ledger()).stuck


# --- the laboratory finds what it should ------------------------------------------------------------------------------


class Unfenced(cluster.Member):
    program = "tests.faults.unfenced"


class WithoutFence(cluster.Cluster):
    kind = Unfenced


class TwoLead(cluster.Rounds):
    """Who was stopped goes on beside the one that took over; then it dies, and nobody knows what it said."""

    async def one(self, way: str) -> None:
        leader, _ = await self.cluster.well()
        await super().one(way)
        await self._for(2.0, 2.5)
        leader.kill()


@pytest.mark.promise("DU-5")
def test_without_the_fence_the_laboratory_finds_what_was_acknowledged_and_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign, "DRAIN_S", 3.0)  # what is lost never comes to its end
    broken = cluster.Campaign(WithoutFence, TwoLead, {"pause": 1}, "unfenced", "u")
    result = cluster.run(1, SEED, tmp_path, campaign=broken)
    assert result.findings.lost


@pytest.mark.long
@pytest.mark.promise("DU-5", "DU-2", "OF-2")
@pytest.mark.timeout(3_600)
def test_what_every_replica_had_survives_fifty_failovers(tmp_path: Path) -> None:
    hold(sentinels.run(50, SEED, tmp_path), 50)
