"""Requirements are typed, and wrong ones are refused where they are written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from router.engine import commands as c
from router.engine.config import Config, Rule, Step, to_bytes
from router.engine.matching import Profile
from router.engine.plan import KnownNames
from router.engine.requirements import (
    ANYBODY,
    COMPARE,
    MAX_DEPTH,
    MAX_NODES,
    NAMES_COMPARED,
    Node,
    agents_named,
    as_data,
    both,
    canonical,
    fits,
    no_such,
    parse,
)
from router.errors import ConfigError, NotFound, UnknownName
from tests.engine.support import office

pytestmark = pytest.mark.promise("RT-3")

NAMES = KnownNames(
    frozenset({"support", "sales"}), frozenset({"site"}), frozenset({"red", "blue"}), frozenset({"ana", "ben"})
)
ANA = Profile({"support": 4}, ("en", "es-MX"), {"site": "north"}, "red", "ana")

LEAVES = st.one_of(
    st.builds(
        lambda skill, op, level: Node(skill=skill, op=op, level=level),
        st.sampled_from(sorted(NAMES.skills)),
        st.sampled_from(sorted(COMPARE)),
        st.integers(0, 10),
    ),
    st.sampled_from(("en", "es", "es-MX", "fr")).map(lambda language: Node(language=language)),
    st.lists(st.sampled_from(("north", "south")), min_size=1).map(lambda v: Node(attribute="site", one_of=tuple(v))),
    st.sets(st.sampled_from(sorted(NAMES.teams)), min_size=1).map(lambda v: Node(team=tuple(sorted(v)))),
    st.sets(st.sampled_from(sorted(NAMES.agents)), min_size=1).map(lambda v: Node(agent=tuple(sorted(v)))),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda v: Node(all=tuple(v))),
        st.lists(inner, max_size=3).map(lambda v: Node(any=tuple(v))),
        inner.map(lambda v: Node(negated=v)),
    ),
    max_leaves=8,
)
PROFILES = st.builds(
    Profile,
    st.dictionaries(st.sampled_from(sorted(NAMES.skills)), st.integers(1, 10)),
    st.lists(st.sampled_from(("en", "es", "es-MX", "EN")), max_size=2).map(tuple),
    st.dictionaries(st.just("site"), st.sampled_from(("north", "south"))),
    st.sampled_from(("", "red", "blue")),
    st.sampled_from(("", "ana", "ben")),
)


# --- what they mean ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "met"),
    [
        ({"skill": "support"}, True),
        ({"skill": "sales"}, False),
        ({"skill": "support", "op": ">=", "level": 4}, True),
        ({"skill": "support", "op": ">", "level": 4}, False),
        ({"skill": "support", "op": "<=", "level": 4}, True),
        ({"skill": "support", "op": "<", "level": 4}, False),
        ({"skill": "support", "op": "==", "level": 4}, True),
        ({"skill": "support", "op": "!=", "level": 4}, False),
        ({"skill": "sales", "op": "<", "level": 3}, True),
        ({"language": "es"}, True),
        ({"language": "ES-mx"}, True),
        ({"language": "e"}, False),
        ({"attribute": "site", "one_of": ["south", "north"]}, True),
        ({"attribute": "site", "one_of": ["south"]}, False),
        ({"team": ["blue", "red"]}, True),
        ({"team": ["blue"]}, False),
        ({"agent": ["ana"]}, True),
        ({"agent": ["ben"]}, False),
        ({"not": {"agent": ["ben"]}}, True),
        ({"all": []}, True),
        ({"any": []}, False),
        ({"any": [{"skill": "sales"}, {"team": ["red"]}]}, True),
        ({"all": [{"skill": "sales"}, {"team": ["red"]}]}, False),
    ],
)
def test_a_requirement_means_what_its_words_say(written: object, met: bool) -> None:
    assert fits(parse(written, NAMES), ANA) is met


@given(st.lists(TREES, max_size=3), PROFILES)
def test_not_any_is_all_not(parts: list[Node], profile: Profile) -> None:
    neither = Node(negated=Node(any=tuple(parts)))
    assert fits(neither, profile) == fits(Node(all=tuple(Node(negated=x) for x in parts)), profile)
    not_both = Node(negated=Node(all=tuple(parts)))
    assert fits(not_both, profile) == fits(Node(any=tuple(Node(negated=x) for x in parts)), profile)


@given(TREES, PROFILES)
def test_not_not_is_nothing(tree: Node, profile: Profile) -> None:
    assert fits(Node(negated=Node(negated=tree)), profile) == fits(tree, profile)


@given(TREES, TREES, PROFILES)
def test_both_asks_for_both(one: Node, other: Node, profile: Profile) -> None:
    assert fits(both(one, other), profile) == (fits(one, profile) and fits(other, profile))
    assert both(ANYBODY, one) == one == both(one, ANYBODY)


@given(st.sampled_from(sorted(COMPARE)), st.integers(0, 10), PROFILES)
def test_each_comparison_has_its_opposite(op: Any, level: int, profile: Profile) -> None:
    opposite: dict[str, Any] = {">=": "<", "<": ">=", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
    asked = Node(skill="support", op=op, level=level)
    assert fits(asked, profile) != fits(Node(skill="support", op=opposite[op], level=level), profile)


@given(TREES)
def test_the_written_form_reads_back_as_the_same_tree(tree: Node) -> None:
    assert parse(as_data(tree), NAMES) == tree == canonical(tree)
    assert agents_named(tree) <= NAMES.agents


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"skill": "suport"}, "requirement.skill: there is no skill 'suport'; did you mean 'support'?"),
        (
            {"attribute": "sitee", "one_of": ["x"]},
            "requirement.attribute: there is no attribute 'sitee'; did you mean 'site'?",
        ),
        ({"team": ["reed"]}, "requirement.team: there is no team 'reed'; did you mean 'red'?"),
        ({"agent": ["anna"]}, "requirement.agent: there is no agent 'anna'; did you mean 'ana'?"),
        ({"skill": "zzz"}, "requirement.skill: there is no skill 'zzz'; known: sales, support"),
        (
            {"all": [{"skill": "support"}, {"not": {"skill": "x"}}]},
            "requirement.all[1].not.skill: there is no skill 'x'",
        ),
        ({"any": [{"team": ["red", "x"]}]}, "requirement.any[0].team: there is no team 'x'"),
        ({"skil": "support"}, "requirement: Object contains unknown field `skil`; did you mean 'skill'?"),
        (
            {"any": [{"al": []}]},
            "requirement: Object contains unknown field `al` - at `$.any[0]`; did you mean 'all'?",
        ),
    ],
)
def test_an_unknown_name_is_refused_with_its_place_and_the_nearest_one(written: object, says: str) -> None:
    with pytest.raises(UnknownName) as refusal:
        parse(written, NAMES)
    assert str(refusal.value).startswith(says)


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"skill": "support", "team": ["red"]},
        {"skill": 5},
        {"skill": "support", "level": "4"},
        {"skill": "support", "level": 11},
        {"skill": "support", "op": "=~"},
        {"attribute": "site"},
        {"one_of": ["north"], "team": ["red"]},
        {"team": ["red"], "level": 3},
        {"team": "red"},
        {"skills": "support"},
        {"not": [{"skill": "support"}]},
        "support",
        None,
    ],
)
def test_a_wrong_type_or_shape_is_refused(written: object) -> None:
    with pytest.raises(UnknownName):
        parse(written, NAMES)


def test_a_tree_that_is_too_deep_or_too_large_is_refused() -> None:
    tree = Node(skill="support")
    for _ in range(MAX_DEPTH - 1):
        tree = Node(negated=tree)
    assert parse(as_data(tree), NAMES) == tree
    with pytest.raises(UnknownName, match="deeper"):
        parse(as_data(Node(negated=tree)), NAMES)
    with pytest.raises(UnknownName, match="parts"):
        parse(as_data(Node(any=(Node(skill="support"),) * MAX_NODES)), NAMES)


@pytest.mark.promise("OB-3")
def test_a_misspelt_name_among_very_many_is_refused_without_comparing_them() -> None:
    many = frozenset(f"agent-{i}" for i in range(NAMES_COMPARED + 1))
    assert no_such("agent", "agent", many) == "there is no agent 'agent'"
    assert no_such("agent", "x" * 1_000, ["ana"]) == f"there is no agent '{'x' * 64}'; known: ana"


# --- wherever one can be written --------------------------------------------------------------------------------------

WRONG = Node(any=(Node(skill="suport"), Node(skill="sales")))


def transfers() -> dict[str, c.AnyCommand]:
    return {
        "to.requirement.any[0].skill: there is no skill 'suport'; did you mean 'support'?": c.Transfer(
            interaction=1, to=c.Target(requirement=WRONG), by="operator:sam"
        ),
        "to.queue: there is no queue 'suport'; did you mean 'support'?": c.Transfer(
            interaction=1, to=c.Target(queue="suport"), by="operator:sam"
        ),
        "band: there is no band 'urgnt'; did you mean 'urgent'?": c.Reprioritise(
            interaction=1, by="operator:sam", band="urgnt"
        ),
    }


@pytest.mark.parametrize("says", list(transfers()))
def test_a_command_that_names_what_does_not_exist_is_refused_with_its_path(says: str) -> None:
    office.given(office.arrived()).when(transfers()[says]).refuses(UnknownName, says)


def test_an_agent_who_does_not_exist_is_refused_with_the_nearest() -> None:
    ask = c.Transfer(interaction=1, to=c.Target(agent="anna"), by="operator:sam")
    office.given(office.arrived()).when(ask).refuses(NotFound, "there is no agent 'anna'; did you mean 'ana'?")


@pytest.mark.parametrize(
    ("config", "path"),
    [
        (office.office_with(requirement=WRONG), "queues.support.requirement"),
        (office.office_with(relax=(Step(also=WRONG),)), "queues.support.relax[0].also"),
        (replace(office.OFFICE, rules=(Rule("r", "support", requirement=WRONG),)), "rules[0].requirement"),
    ],
)
def test_a_configuration_that_names_what_does_not_exist_is_refused_with_its_path(config: Config, path: str) -> None:
    says = f"{path}.any[0].skill: expected a requirement that uses known names, found there is no skill 'suport'; did"
    office.given().when(c.Configure(document=to_bytes(config))).refuses(ConfigError, says)
