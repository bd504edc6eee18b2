"""The production engine, under virtual time, does what theory says: published cases and golden traces.

Short runs with tolerances scaled to their length; `switchboard bench theory` runs the whole. The seed is fixed, so a
case that passes here passes everywhere.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from router.errors import ConfigError
from router.simulate import cases, claims, contest, traces
from router.simulate.cases import Case
from router.simulate.model import Class, Group, Model, Policy, Skill, configuration
from tests.simulate.theory import case_params, missed, trace_params

pytestmark = pytest.mark.promise("EX-3")

SEED = 3
PART = 0.02  # of the 200,000 contacts that most cases ask for
NOISY = 0.004  # of a million


@pytest.mark.promise("RT-1")
@pytest.mark.promise("RT-6")
@pytest.mark.parametrize("path", trace_params())
def test_every_row_of_a_golden_trace_is_reproduced(path: Path) -> None:
    """The same agent, the same millisecond, 1,200 contacts long."""
    trace, rows = traces.read(path)
    assert len(rows) == 1_200
    assert traces.differences(rows, traces.replayed(trace.model, rows)) == []


@pytest.mark.parametrize("case", case_params("stationary"))
def test_a_stationary_case_comes_out_as_the_formula_says(case: Case) -> None:
    part = PART if case.run.contacts <= 200_000 else NOISY
    found = cases.run(case, seed=SEED, scale=part)
    assert missed(case, found.metrics, part) == {}


@pytest.mark.parametrize("case", case_params("finite_day"))
def test_a_published_day_comes_out_as_it_was_printed(case: Case) -> None:
    part = 3 / case.run.days
    found = cases.run(case, seed=SEED, scale=part)
    assert missed(case, found.metrics, part) == {}


@pytest.mark.promise("RT-13")
@pytest.mark.parametrize("case", case_params("delay_prediction"))
def test_expected_waits_err_as_much_as_theory_says(case: Case) -> None:
    part = 0.02
    found = cases.run(case, seed=SEED, scale=part)
    assert missed(case, found.metrics, part) == {}


@pytest.mark.promise("RT-13")
@pytest.mark.parametrize("case", case_params("formula"))
def test_the_formulas_of_expected_waits_are_exact(case: Case) -> None:
    found = cases.run(case).metrics
    assert len(found) == 2 * len(case.rows)
    assert found["row1.expected_wait"] == pytest.approx(90.0)  # five exponential stages of 18 s
    assert found["row1.variance"] == pytest.approx(5 * 18.0**2)


@pytest.mark.parametrize("name", [name for name in claims.CLAIMS if name != "inv_pooling_gain"])
def test_a_claim_holds(name: str) -> None:
    found = claims.CLAIMS[name](SEED, 4_000, None)
    assert found["holds"] == 1.0, found


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_skills_are_nearly_as_good_as_six() -> None:
    found = claims.pooling_gain(SEED, 200_000, None)
    assert found["gain"] >= 0.93


@pytest.mark.parametrize("name", ["inv_nonidling", "inv_accounting", "inv_fifo_in_class"])
def test_a_claim_can_fail(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A house in which nobody works, or a rule that is not first come, is noticed."""
    if name == "inv_nonidling":
        monkeypatch.setattr(claims._Census, "busy", lambda self, agent, now_ms: None)
    elif name == "inv_accounting":
        monkeypatch.setattr(claims._Census, "refused", lambda self, x, now_ms: None)
    else:
        turned = {i: ("served", -i, "g", 0) for i in range(4_000)}
        monkeypatch.setattr(claims, "decisions", lambda *more: turned)
    assert claims.CLAIMS[name](SEED, 4_000, None)["holds"] == 0.0


# --- contests ---------------------------------------------------------------------------------------------------------

V = Model(
    tuple(
        Class(f"k{i}", rate, target) for i, (rate, target) in enumerate([(0.0375, 20), (0.05625, 60), (0.09375, 180)])
    ),
    (Group("g", 48, {f"k{i}": Skill(240.0) for i in range(3)}),),
)


@cache
def by_default() -> dict[str, float]:
    return contest.one(V, Policy("share-of-target", "longest-idle"), 20_000, 2_000, SEED)


def test_the_default_order_serves_the_worst_served_class_far_better_than_first_come() -> None:
    """Share of target with a head start, at 94 % load: 25 points and more are published for this design."""
    assert by_default()["gain"] >= 0.2


def test_strict_priority_starves_whom_the_default_does_not() -> None:
    ours = by_default()
    strict = contest.one(V, Policy("priority", "longest-idle"), 20_000, 2_000, SEED)
    assert strict["k2.p99"] > ours["k2.p99"]
    assert strict["k0.p99"] < ours["k0.p99"]


def test_every_rule_on_offer_can_be_run() -> None:
    for policy in contest.rivals(V):
        found = contest.one(V, policy, 500, 100, SEED)
        assert 0 < found["min_sl_x"] <= 1, contest.name_of(policy)


@pytest.mark.parametrize(
    ("groups", "choice"),
    [
        ((Group("g", 2, {"a": Skill(100), "b": Skill(100)}),), "longest-idle"),
        ((Group("g", 2, {"a": Skill(100)}), Group("h", 2, {"a": Skill(100), "b": Skill(100)})), "least-flexible"),
        ((Group("g", 2, {"a": Skill(100)}), Group("h", 2, {"a": Skill(150)})), "fastest"),
        ((Group("g", 2, {"a": Skill(100)}), Group("h", 2, {"a": Skill(150, rank=1)})), "best-level"),
    ],
)
def test_the_choice_of_agents_follows_from_what_differs_between_them(groups: tuple[Group, ...], choice: str) -> None:
    assert contest.choice_for(Model((Class("a"), Class("b")), groups)) == choice


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (Model((), ()), "model"),
        (Model((Class("a", -1),), (Group("g", 1, {"a": Skill(1)}),)), "model.classes[0].rate"),
        (Model((Class("a", 1, patience=0),), (Group("g", 1, {"a": Skill(1)}),)), "model.classes[0].patience"),
        (Model((Class("a", 1),), (Group("g", 1, {"b": Skill(1)}),)), "model.groups[0].skills.b"),
        (Model((Class("a", 1),), (Group("g", 1, {"a": Skill(0)}),)), "model.groups[0].skills.a.mean"),
        (Model((Class("a", 1),), (Group("g", 1, {"a": Skill(1)}),), "astrology"), "policy"),
    ],
)
def test_a_model_that_cannot_be_is_refused_with_its_path(model: Model, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configuration(model)
    assert caught.value.path == path


def test_a_file_without_cases_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "none.json"
    file.write_text('{"public": [{"name": 1}]}')
    with pytest.raises(ConfigError, match='"name" and "kind"'):
        cases.read(file)


def test_a_case_of_the_wrong_type_is_refused_with_its_path(tmp_path: Path) -> None:
    file = tmp_path / "wrong.json"
    file.write_text('[{"name": "x", "kind": "stationary", "run": {"contacts": "many"}}]')
    with pytest.raises(ConfigError) as caught:
        cases.read(file)
    assert caught.value.path == "cases[0].run.contacts"
