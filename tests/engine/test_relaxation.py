"""What waits asks for less and less, step by step, and its clock goes on (RT-7)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Agent, Config, Queue, Resort, Rule, Step
from router.engine.matching import Profile
from router.engine.plan import check_config
from router.engine.relaxation import Ladder
from router.engine.requirements import ANYBODY, Node, fits
from router.errors import ConfigError, IllegalMove
from tests.engine.support.office import (
    Office,
    agents_with,
    arrived,
    given,
    happened,
    made,
    office_with,
    seconds,
)
from tests.engine.support.oracle import met
from tests.engine.support.walk import Walk
from tests.engine.test_requirements import PROFILES, TREES

pytestmark = pytest.mark.promise("RT-7")

EXPERT = Node(skill="support", level=5)
SPANISH = Node(all=(EXPERT, Node(language="es"), Node(team=("red",))))


def staffed(*steps: Step, asks: Node = EXPERT) -> Config:
    """The queue `support` asks for this, and then for less."""
    return office_with(requirement=asks, relax=steps)


def relaxed(office: Office, s: float) -> list[int]:
    """The steps that are taken while so much time passes."""
    return [event.step for event in happened(office.pass_s(s), e.RequirementRelaxed)]


# --- triggers ---------------------------------------------------------------------------------------------------------


def test_an_idle_outer_agent_gets_it_in_the_very_millisecond_in_which_the_step_comes_due() -> None:
    office = Office(staffed(Step(after=seconds(20), lower={"support": 3})), ready=("ben",))
    number = office.arrive()
    assert office.engine.next_deadline_ms() == office.now_ms + 20_000
    office.now_ms += 19_999
    assert made(office.do(c.Tick())) == []
    office.now_ms += 1
    assert made(office.do(c.Tick())) == [(number, "ben")]


def test_a_step_comes_by_its_share_of_the_target() -> None:
    """The target of mail in this office is 20 s; an operator who changes it moves the step."""
    office = Office(staffed(Step(share=0.8, lower={"support": 3})))
    number = office.arrive()
    assert office.engine.next_deadline_ms() == office.now_ms + 16_000
    office.do(c.Reprioritise(interaction=number, by="operator:sam", target_ms=5_000))
    office.now_ms += 4_000
    out = office.do(c.Tick())
    assert happened(out, e.RequirementRelaxed) == [e.RequirementRelaxed(number, 1, "share")]


def test_whichever_of_its_times_comes_first_brings_a_step() -> None:
    office = Office(staffed(Step(after=seconds(10), share=0.8, lower={"support": 3})))
    number = office.arrive()
    assert happened(office.pass_s(10), e.RequirementRelaxed) == [e.RequirementRelaxed(number, 1, "after")]


def test_nought_seconds_mean_as_soon_as_nobody_who_fits_is_free() -> None:
    office = Office(staffed(Step(after=seconds(0), lower={"support": 3})), ready=("ana", "ben"))
    assert office.offered_to(office.arrive()) == ["ana"]
    second = office.arrive()
    assert relaxed(office, 0) == [1]
    assert office.offered_to(second) == ["ben"]


def test_an_operator_takes_the_next_step_by_hand_or_all_up_to_one() -> None:
    steps = (Step(after=seconds(60), lower={"support": 4}), Step(lower={"support": 3}), Step(drop_skills=("support",)))
    config = staffed(*steps)
    office = Office(config)
    number = office.arrive()
    out = office.do(c.Relax(interaction=number, by="operator:sam", why="a regular"))
    assert happened(out, e.RequirementRelaxed) == [
        e.RequirementRelaxed(number, 1, "operator", "operator:sam", "a regular")
    ]
    out = office.do(c.Relax(interaction=number, by="operator:sam", step=3))
    assert happened(out, e.RequirementRelaxed) == [
        e.RequirementRelaxed(number, k, "operator", "operator:sam") for k in (2, 3)
    ]
    assert office.state.requirement_of(office.item(number)) == ANYBODY


@pytest.mark.parametrize(("step", "says"), [(0, "has taken 1 steps"), (1, "has taken 1 steps"), (2, "has 1 steps")])
def test_there_is_no_step_beyond_the_last_and_no_way_back(step: int, says: str) -> None:
    config = staffed(Step(lower={"support": 3}))
    facts = (arrived(), e.RequirementRelaxed(1, 1, "operator"))
    given(*facts, config=config).when(c.Relax(interaction=1, by="o", step=step)).refuses(IllegalMove, says)


def test_only_what_waits_is_relaxed() -> None:
    office = Office(staffed(Step(lower={"support": 3})), ready=("ana",))
    number = office.arrive()
    with pytest.raises(IllegalMove):
        office.do(c.Relax(interaction=number, by="operator:sam"))


def test_a_later_step_takes_the_earlier_ones_along() -> None:
    steps = (Step(share=10, lower={"support": 3}), Step(after=seconds(30), drop_languages=("es",)))
    office = Office(staffed(*steps, asks=Node(all=(EXPERT, Node(language="es")))), ready=("ben",))
    number = office.arrive()
    assert relaxed(office, 29) == []
    assert relaxed(office, 1) == [1, 2]
    assert office.offered_to(number) == ["ben"]


# --- the clock --------------------------------------------------------------------------------------------------------


def test_the_clock_never_restarts() -> None:
    """Its place in the order and its later steps go by the time of arrival, whatever it has been through."""
    steps = (Step(after=seconds(20), lower={"support": 4}), Step(after=seconds(60), lower={"support": 3}))
    office = Office(staffed(*steps), ready=("ana",))
    number = office.arrive()
    came = office.now_ms
    office.pass_s(15)
    office.decline(number)
    office.pause("ana")
    office.sleep_s(10)
    assert office.item(number).step == 1
    assert office.item(number).enqueued_at_ms == came
    assert office.engine.next_deadline_ms() == came + 60_000


def test_what_comes_back_late_stands_where_its_waiting_put_it() -> None:
    office = Office(staffed(Step(after=seconds(20), lower={"support": 3})), ready=("ana",))
    number = office.arrive()
    office.accept(number)
    office.pass_s(300)
    assert office.item(number).step == 0, "nobody waits, nothing is relaxed"
    office.ready("ben")
    office.pause("ana")
    office.do(c.Requeue(interaction=number, by="operator:sam"))
    office.pass_s(0)
    assert office.offered_to(number) == ["ben"]


def test_another_queue_has_another_plan() -> None:
    config = staffed(Step(after=seconds(20), lower={"support": 3}))
    office = Office(config)
    number = office.arrive()
    office.pass_s(20)
    office.do(c.Transfer(interaction=number, to=c.Target(queue="sales"), by="operator:sam"))
    assert office.item(number).step == 0
    office.do(c.Transfer(interaction=number, to=c.Target(queue="support"), by="operator:sam"))
    assert relaxed(office, 0) == [1]


def leading_into_one_another() -> Config:
    """Two queues, each of whose plans has it wait in the other one."""
    config = staffed(Step(after=seconds(20), queue="sales"))
    back = replace(config.queues["sales"], relax=(Step(after=seconds(10), queue="support"),))
    return replace(config, queues={**config.queues, "sales": back})


def test_plans_that_lead_into_one_another_move_it_once() -> None:
    """The clock never restarts, so in both queues it has waited too long: without a memory it would move for ever."""
    office = Office(leading_into_one_another())
    number = office.arrive()
    moved = happened(office.pass_s(20), e.Transferred)
    assert [event.queue for event in moved] == ["sales"]
    assert happened(office.pass_s(3_600), e.Transferred) == []
    assert office.item(number).step == 1, "the step is taken, all the same"


def test_a_full_queue_and_a_plan_that_lead_into_one_another_move_it_once() -> None:
    full = Resort("move", queue="support")
    config = staffed(Step(after=seconds(20), queue="sales"))
    sales = replace(config.queues["sales"], max_length=0, when_full=full)
    office = Office(replace(config, queues={**config.queues, "sales": sales}))
    number = office.arrive()
    assert len(happened(office.pass_s(20), e.Transferred)) <= 1
    assert happened(office.pass_s(3_600), e.Transferred) == []
    assert office.item(number).waits


def test_what_a_person_moves_back_may_be_moved_on_again() -> None:
    office = Office(leading_into_one_another())
    number = office.arrive()
    office.pass_s(20)
    office.do(c.Transfer(interaction=number, to=c.Target(queue="support"), by="operator:sam"))
    assert [event.queue for event in happened(office.pass_s(0), e.Transferred)] == ["sales"]


def test_a_new_plan_holds_for_what_waits() -> None:
    office = Office(staffed(), ready=("ben",))
    number = office.arrive()
    office.pass_s(30)
    office.configure(staffed(Step(after=seconds(20), lower={"support": 3})))
    office.pass_s(0)
    assert office.offered_to(number) == ["ben"]


def test_a_plan_that_has_become_shorter_ends_at_its_last_step() -> None:
    steps = (Step(after=seconds(1), lower={"support": 4}), Step(after=seconds(2), drop_skills=("support",)))
    office = Office(staffed(*steps))
    number = office.arrive()
    office.pass_s(2)
    assert office.state.requirement_of(office.item(number)) == ANYBODY
    office.configure(staffed(steps[0]))
    assert office.state.requirement_of(office.item(number)) == Node(skill="support", level=4)
    office.configure(staffed())
    assert office.state.requirement_of(office.item(number)) == EXPERT


# --- inner before outer -----------------------------------------------------------------------------------------------

TWO_STEPS = (Step(after=seconds(10), lower={"support": 3}), Step(after=seconds(20), also=Node(skill="sales")))


STAFF = {
    "sue": Agent(skills={"sales": 5}),
    "tom": Agent(skills={"sales": 5}),
    "ben": Agent(skills={"support": 3}),
    "ana": Agent(skills={"support": 5}),
}


def given_back(names: tuple[str, ...], **support: Any) -> tuple[Office, int]:
    """Sue has had it since it was relaxed to the outermost, these came after her, the outermost longest idle; then an
    operator takes it from her."""
    office = Office(office_with(agents_with(staffed(*TWO_STEPS), **STAFF), **support))
    number = office.arrive()
    office.pass_s(20)
    office.ready("sue")
    office.accept(number)
    for name in names:
        office.ready(name)
    office.do(c.Requeue(interaction=number, by="operator:sam"))
    return office, number


@pytest.mark.parametrize(
    ("idle", "first"), [(("tom", "ben", "ana"), "ana"), (("tom", "ben"), "ben"), (("tom",), "tom"), ((), "sue")]
)
def test_of_all_who_are_free_the_innermost_gets_it(idle: tuple[str, ...], first: str) -> None:
    office, number = given_back(idle)
    assert office.offered_to(number) == [first]


def test_several_at_once_are_shown_it_from_the_inside_out() -> None:
    office, number = given_back(("tom", "ben", "ana"), parallel_offers=2)
    assert office.offered_to(number) == ["ana", "ben"]


def test_the_innermost_goes_first_though_somebody_is_passed_over() -> None:
    office, number = given_back(("tom", "ben", "ana"))
    assert office.decline(number) == "ana"
    assert office.offered_to(number) == ["ben"]


def test_an_agent_takes_what_comes_first_whether_it_was_relaxed_or_not() -> None:
    """To relax is to let more agents in; it moves nothing forward."""
    office = Office(staffed(*TWO_STEPS))
    older, newer = office.arrive(), office.arrive(received_at_ms=office.now_ms - 1_000)
    office.do(c.Relax(interaction=older, by="operator:sam"))
    office.ready("ana")
    assert office.offered_to(newer) == ["ana"]
    assert office.state_of(older) == "queued"


# --- what a step does -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "asks"),
    [
        (
            Step(lower={"support": 3}),
            Node(all=(Node(skill="support", level=3), Node(language="es"), Node(team=("red",)))),
        ),
        (Step(drop_skills=("support",)), Node(all=(Node(language="es"), Node(team=("red",))))),
        (Step(drop_languages=("es",)), Node(all=(EXPERT, Node(team=("red",))))),
        (Step(teams=("blue", "red")), Node(all=(EXPERT, Node(language="es"), Node(team=("red", "blue"))))),
        (Step(any_team=True, drop_languages=("es",)), EXPERT),
        (Step(any_team=True, drop_languages=("es",), drop_skills=("support",)), ANYBODY),
        (Step(also=Node(skill="sales", level=8)), Node(any=(SPANISH, Node(skill="sales", level=8)))),
        (Step(borrow=("sales",)), Node(any=(SPANISH, Node(skill="sales")))),
    ],
)
def test_a_step_asks_for_less(step: Step, asks: Node) -> None:
    office = Office(staffed(step, asks=SPANISH))
    number = office.arrive()
    office.do(c.Relax(interaction=number, by="operator:sam"))
    assert office.state.requirement_of(office.item(number)) == asks


def test_what_a_rule_asks_for_on_top_is_relaxed_as_well() -> None:
    rule = Rule("es", "support", requirement=Node(language="es"))
    office = Office(replace(staffed(Step(after=seconds(9), drop_languages=("es",))), rules=(rule,)), ready=("ana",))
    number = office.arrive()
    office.pass_s(9)
    assert office.offered_to(number) == ["ana"]


def test_a_step_raises_the_band_and_never_lowers_it() -> None:
    step = Step(after=seconds(5), band="normal")
    office = Office(office_with(band="low", relax=(step,)))
    number, urgent = office.arrive(), office.arrive()
    office.do(c.Reprioritise(interaction=urgent, by="operator:sam", band="urgent"))
    office.pass_s(5)
    assert office.state.band_of(office.item(number)) == "normal"
    assert office.state.band_of(office.item(urgent)) == "urgent"


def test_what_is_exactly_or_at_most_stays_so() -> None:
    """Only a bound from below can be lowered."""
    for op in ("==", "<=", "<", "!="):
        asked = Node(skill="support", op=op, level=5)
        assert Ladder((Step(lower={"support": 3}),), {}).row(asked)[1] == asked


def test_under_a_not_less_is_asked_for_by_letting_fewer_through() -> None:
    novices = Node(negated=Node(skill="support", op="<", level=5))
    assert Ladder((Step(lower={"support": 3}),), {}).row(novices)[1] == Node(
        negated=Node(skill="support", op="<", level=3)
    )
    assert Ladder((Step(drop_skills=("support",)),), {}).row(novices)[1] == ANYBODY


STEPS = st.builds(
    Step,
    lower=st.dictionaries(st.sampled_from(("support", "sales")), st.integers(0, 9)),
    drop_skills=st.sets(st.sampled_from(("support", "sales")), max_size=1).map(tuple),
    drop_languages=st.sets(st.sampled_from(("en", "es", "fr")), max_size=1).map(tuple),
    drop_attributes=st.sets(st.just("site"), max_size=1).map(tuple),
    teams=st.sets(st.sampled_from(("red", "blue")), max_size=1).map(tuple),
    any_team=st.booleans(),
    also=st.none() | TREES,
)


@drawn(TREES, st.lists(STEPS, max_size=4), PROFILES)
def test_whoever_meets_a_requirement_meets_it_after_every_step(asked: Node, steps: list[Step], who: Profile) -> None:
    row = Ladder(tuple(steps), {}).row(asked)
    meets = [fits(node, who) for node in row]
    assert meets == sorted(meets)


@drawn(TREES, st.lists(STEPS.map(lambda step: replace(step, also=None)), max_size=4), PROFILES)
def test_the_eased_tree_says_what_the_steps_say_of_each_part(asked: Node, steps: list[Step], who: Profile) -> None:
    """Against a judge that eases no tree, but minds the steps at each part."""
    assert fits(Ladder(tuple(steps), {}).row(asked)[-1], who) == met(asked, tuple(steps), who, True)


# --- cost -------------------------------------------------------------------------------------------------------------


def test_a_row_of_requirements_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand that wait climb two steps; the trees are made for the first of them."""
    climbs = []
    climb = Ladder._climb

    def counted(self: Ladder, node: Node) -> Any:
        climbs.append(node)
        return climb(self, node)

    office = Office(staffed(*TWO_STEPS))
    monkeypatch.setattr(Ladder, "_climb", counted)
    for i in range(1_000):
        office.engine.handle(c.Arrive(channel="email", threads=(f"m{i}",)), office.now_ms)
    office.engine.handle(c.Tick(), office.now_ms + 20_000)
    assert all(item.step == 2 for item in office.state.interactions.values())
    assert climbs == [EXPERT]
    assert len(office.state.matcher.class_ids) == 3


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.promise("OB-4", "RT-3")
@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ((Step(lower={"suport": 1}),), "queues.support.relax[0].lower: expected the skill 'support', found 'suport'"),
        ((Step(drop_skills=("x",)),), "queues.support.relax[0].drop_skills: expected a known skill"),
        ((Step(drop_attributes=("sight",)),), "queues.support.relax[0].drop_attributes: expected the attribute 'site'"),
        ((Step(teams=("rad",)),), "queues.support.relax[0].teams: expected the team 'red', found 'rad'"),
        ((Step(borrow=("sale",)),), "queues.support.relax[0].borrow: expected the queue 'sales', found 'sale'"),
        ((Step(band="urgnt"),), "queues.support.relax[0].band: expected the band 'urgent', found 'urgnt'"),
        ((Step(band="low"),), "queues.support.relax[0].band: expected a more urgent band than the last one"),
        (
            (Step(also=Node(any=(Node(skill="sale"),))),),
            "queues.support.relax[0].also.any[0].skill: expected a requirement that uses known names, found there is "
            "no skill 'sale'; did you mean 'sales'?",
        ),
        ((Step(lower={"support": 3}),) * 17, "queues.support.relax: expected at most 16 steps, found 17"),
        (
            (Step(after=seconds(9), lower={"support": 3}), Step(after=seconds(9), drop_skills=("support",))),
            "queues.support.relax[1].after: expected later than the step before (9s), found 9s",
        ),
        (
            (Step(share=0.8, lower={"support": 3}), Step(share=0.5, drop_skills=("support",))),
            "queues.support.relax[1].share: expected later than the step before (0.8), found 0.5",
        ),
        ((Step(after=seconds(9)),), "queues.support.relax[0]: expected a step that changes something"),
        ((Step(lower={"support": 5}),), "queues.support.relax[0]: expected a step that changes something"),
        ((Step(drop_languages=("es",)),), "queues.support.relax[0]: expected a step that changes something"),
        (
            (Step(drop_skills=("support",)), Step(also=Node(skill="sales"))),
            "queues.support.relax[1]: expected a step that changes something",
        ),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_with_its_path(steps: tuple[Step, ...], says: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        check_config(staffed(*steps))
    assert str(refusal.value).startswith(says)


def test_a_step_may_be_there_for_what_a_rule_asks_for() -> None:
    config = staffed(Step(after=seconds(9), drop_languages=("es",)))
    check_config(replace(config, rules=(Rule("es", "support", requirement=Node(language="es")),)))
    with pytest.raises(ConfigError):
        check_config(replace(config, rules=(Rule("es", "sales", requirement=Node(language="es")),)))


def test_a_queue_without_a_plan_is_as_it_was() -> None:
    assert Queue().relax == ()
    assert not Office().state.ladders


# --- by chance --------------------------------------------------------------------------------------------------------


@pytest.mark.promise("DU-3", "RT-5")
def test_walks_relax_and_nothing_breaks() -> None:
    """`Checked` judges each step without trees, each inner agent by brute force, each timer and replay."""
    seeds = range(500, 504)
    taken = [event for seed in seeds for event in Walk(seed, thrift=20).run(200).checked.met]
    assert e.RequirementRelaxed in taken, seeds
