"""A step of a relaxation plan comes by the wait that is expected, before it is over; a rule has its own plan (RT-7)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine import foresight, waits
from router.engine.config import Agent, Balance, Band, Channel, Config, Overflow, Prefer, Queue, Rule, Step, Unservable
from router.engine.engine import Engine, Outcome
from router.engine.entities import Interaction
from router.engine.explain import explain
from router.engine.model import State
from router.engine.plan import check_config
from router.engine.requirements import Node
from router.errors import ConfigError, IllegalMove
from tests.engine.support.office import Office, happened, seconds

pytestmark = pytest.mark.promise("RT-7")

PERIOD_S = 10
A, B = Node(skill="a"), Node(skill="b")


def a_house(*steps: Step, **more: Any) -> Config:
    """Two agents answer queue a and two queue b; who asks for "es" in a has to be spoken to in Spanish."""
    return Config(
        channels={"email": Channel()},
        skills=("a", "b"),
        queues={
            "a": Queue(requirement=A, auto_accept=True, relax=steps),
            "b": Queue(requirement=B, auto_accept=True),
        },
        rules=(Rule("es", "a", to=("es",), requirement=Node(language="es")), *(Rule(x, x, to=(x,)) for x in "ab")),
        agents={f"{x}{i}": Agent(skills={x: 5}) for x in "ab" for i in (1, 2)},
        balance=Balance(period=seconds(PERIOD_S)),
        **more,
    )


def soon(s: float, **what: Any) -> Step:
    return Step(when_expected=seconds(s), **what)


TO_B = soon(300, also=B)


def busy(config: Config) -> Office:
    """Everybody has finished ten contacts of 100 s each and has one more now: a queue of two takes one each 50 s."""
    check_config(config)
    office = Office(config, ready=tuple(config.agents))
    for _ in range(10):
        held = [office.arrive(recipient=name[0]) for name in config.agents]
        office.pass_s(100)
        for number in held:
            office.complete(number)
    for name in config.agents:
        office.arrive(recipient=name[0])
    return office


def come(office: Office, n: int, to: str = "a") -> list[int]:
    return [office.arrive(recipient=to) for _ in range(n)]


def taken(out: Outcome) -> list[tuple[int, int, str]]:
    return [(x.interaction, x.step, x.cause) for x in happened(out, e.RequirementRelaxed)]


def next_look(office: Office) -> Outcome:
    return office.pass_s((office.state.balance_ms - office.now_ms) / 1_000)


def test_who_is_expected_to_wait_too_long_asks_for_less_long_before_they_have() -> None:
    """One is taken each 50 s, so from about the sixth of eight on who waits is expected to do so for over 300 s."""
    office = busy(a_house(TO_B))
    numbers = come(office, 8)
    late = {n for n in numbers if (waits.expected_ms(office.state, office.item(n), office.now_ms) or 0) > 300_000}
    assert 0 < len(late) < len(numbers)
    out = next_look(office)
    assert {number for number, _, _ in taken(out)} == late
    assert {cause for _, _, cause in taken(out)} == {"expected-wait"}
    assert [office.item(n).step for n in numbers] == [int(n in late) for n in numbers]
    assert all(office.item(n).enqueued_at_ms < office.now_ms for n in numbers), "the clock goes on"


def test_it_comes_with_the_next_look_and_not_with_the_contact() -> None:
    office = busy(a_house(TO_B))
    numbers = come(office, 12)
    assert not any(office.item(n).step for n in numbers)
    assert next_look(office).at_ms % (PERIOD_S * 1_000) == 0
    assert office.item(numbers[-1]).step == 1


def test_what_a_step_lets_in_is_used_at_once() -> None:
    office = busy(a_house(TO_B))
    numbers = come(office, 8)
    office.complete(next(n for n in office.state.agents["b1"].work))
    assert office.state_of(numbers[-1]) == "queued", "b1 does not have what is asked for"
    out = next_look(office)
    first = min(number for number, _, _ in taken(out))
    assert office.item(first).owner == "b1", "of those who may be had, who has waited longest"


def test_no_more_steps_at_one_look_than_up_to_the_first_that_is_reached() -> None:
    """What the second one lets in may make the third needless, and is looked at first."""
    plan = (Step(band="urgent"), soon(200, also=B), soon(200, lower={"a": 0}))
    office = busy(replace(a_house(*plan), bands=(Band("urgent"), Band("normal"))))
    number = come(office, 16)[-1]
    assert [(n, step) for n, step, _ in taken(next_look(office)) if n == number] == [(number, 1), (number, 2)]
    assert [(n, step) for n, step, _ in taken(next_look(office)) if n == number] == [(number, 3)]


def test_nothing_is_expected_where_too_little_is_known_or_nobody_is_ready() -> None:
    office = Office(a_house(TO_B), ready=("a1", "a2"))
    come(office, 20)
    assert not taken(next_look(office)), "nobody has finished anything yet"
    office = busy(a_house(TO_B))
    office.pause("a1")
    office.pause("a2")
    for name in ("a1", "a2"):
        for number in list(office.state.agents[name].work):
            office.complete(number)
    come(office, 20)
    assert not taken(next_look(office)), "for nobody is ready there is another trigger"


def test_it_is_looked_at_no_more_than_a_few_however_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    office = busy(a_house(TO_B))
    numbers = come(office, 100)
    asked, real = list[int](), waits.expected_ms

    def expected_ms(s: State, item: Interaction, now_ms: int) -> int | None:
        asked.append(item.number)
        return real(s, item, now_ms)

    monkeypatch.setattr(waits, "expected_ms", expected_ms)
    out = next_look(office)
    assert asked == list(reversed(numbers))[: foresight.PORTION]
    assert len(taken(out)) == foresight.PORTION
    assert len(taken(next_look(office))) == foresight.PORTION, "and the next of them at the next look"


def test_nobody_looks_where_no_plan_asks_for_it() -> None:
    office = busy(a_house(Step(after=seconds(900), also=B)))
    come(office, 8)
    assert office.state.balance_ms == 0


def test_a_step_into_another_queue_is_the_last_one_of_its_plan() -> None:
    office = busy(a_house(soon(300, queue="b"), soon(300, lower={"a": 0})))
    number = come(office, 10)[-1]
    out = next_look(office)
    assert [(n, step) for n, step, _ in taken(out) if n == number] == [(number, 1)]
    assert (office.item(number).queue, office.item(number).step) == ("b", 0)


def test_what_overflows_in_the_same_look_goes_by_its_new_queue() -> None:
    config = a_house(TO_B)
    flows = replace(config.queues["a"], overflow=(Overflow("b", seconds(300), seconds(200)),))
    office = busy(replace(config, queues={**config.queues, "a": flows}))
    number = come(office, 10)[-1]
    out = next_look(office)
    assert [x.queue for x in happened(out, e.Moved) if x.interaction == number] == ["b"]
    assert number not in {n for n, _, _ in taken(out)}
    assert office.item(number).step == 0


def test_what_waits_for_somebody_by_name_is_released_by_it() -> None:
    """Required are the owner's agents alone: by what those take, and no other, it would wait too long."""
    owner = Rule("own", "a", to=("own",), prefer=Prefer(agents=("a1",), mode="require"))
    config = a_house(soon(120, release=True))
    office = busy(replace(config, rules=(owner, *config.rules)))
    numbers = come(office, 4, "own")
    out = next_look(office)
    assert taken(out)[0] == (numbers[-1], 1, "expected-wait")
    assert numbers[-1] not in office.state.preferred


def test_a_restart_changes_nothing_about_it() -> None:
    office = busy(a_house(TO_B))
    come(office, 8)
    again = Engine.restore(office.engine.snapshot())
    again.resume()
    at_ms = office.state.balance_ms
    assert again.next_deadline_ms() == at_ms
    assert taken(again.handle(c.Tick(), at_ms)) == taken(next_look(office))


@pytest.mark.promise("EX-2")
def test_an_explanation_tells_when_it_is_looked_at_and_what_comes_of_it() -> None:
    office = busy(a_house(TO_B))
    number = come(office, 8)[0]
    told = {x["change"]: x for x in explain(office.state, number, office.now_ms)["next_changes"]}
    change = told["expected-wait-checked"]
    assert change["at_ms"] == office.state.balance_ms
    assert change["effect"] == (
        "if it is then expected to wait for more than 5m still, step 1 of 1 of the relaxation plan: "
        "from then on it asks for (a >= 1 or b >= 1)"
    )


# --- rules' own plans -------------------------------------------------------------------------------------------------


def with_plan(*steps: Step, queue: tuple[Step, ...] = (Step(after=seconds(60), also=B),)) -> Config:
    config = a_house(*queue)
    return replace(config, rules=(replace(config.rules[0], relax=steps), *config.rules[1:]))


def test_a_rule_has_a_plan_of_its_own_in_place_of_the_queues() -> None:
    office = Office(with_plan(Step(after=seconds(20), drop_languages=("es",))), ready=("a1", "b1"))
    spanish, other = office.arrive(recipient="es"), office.arrive(recipient="a")
    assert office.item(other).owner == "a1"
    office.complete(other)
    office.sleep_s(20)
    assert office.item(spanish).owner == "a1", "nobody need speak Spanish any more"
    waiting = office.arrive(recipient="a")
    office.sleep_s(59)
    assert office.state_of(waiting) == "queued"
    office.sleep_s(1)
    assert office.item(waiting).owner == "b1"


def test_a_rule_may_say_that_nothing_is_ever_relaxed() -> None:
    office = Office(with_plan(), ready=("a1", "b1"))
    spanish = office.arrive(recipient="es")
    office.sleep_s(600)
    assert (office.state_of(spanish), office.item(spanish).step) == ("queued", 0)
    with pytest.raises(IllegalMove, match="the rule es has no relaxation plan"):
        office.do(c.Relax(interaction=spanish, by="operator:sam"))


def test_its_plan_holds_while_it_waits_where_the_rule_put_it() -> None:
    config = with_plan(Step(after=seconds(900), drop_languages=("es",)))
    queues = {**config.queues, "b": replace(config.queues["b"], relax=(Step(after=seconds(30), also=A),))}
    office = Office(replace(config, queues=queues), ready=("a1",))
    number, other = office.arrive(recipient="es"), office.arrive(recipient="es")
    office.do(c.Transfer(interaction=number, to=c.Target(queue="b"), by="operator:sam"))
    office.sleep_s(30)
    assert (office.item(number).step, office.item(number).owner) == (1, "a1")
    assert office.item(other).step == 0


def test_at_once_where_nobody_is_there_and_by_the_queues_policy() -> None:
    plan = (Step(when="nobody-signed-in", lower={"a": 0}, drop_languages=("es",)),)
    office = Office(with_plan(*plan), ready=("a1",))
    assert office.item(office.arrive(recipient="es")).owner == "a1"
    config = with_plan(Step(drop_languages=("es",)))
    policy = replace(config.queues["a"], unservable=Unservable("relax", seconds(0)))
    office = Office(replace(config, queues={**config.queues, "a": policy}), ready=("a1",))
    number = office.arrive(recipient="es")
    office.sleep_s(1)
    assert office.item(number).owner == "a1"


def test_a_rule_that_is_gone_leaves_the_queues_plan() -> None:
    config = with_plan(Step(after=seconds(900), drop_languages=("es",)))
    office = Office(config, ready=("b1",))
    number = office.arrive(recipient="es")
    office.sleep_s(61)
    assert office.item(number).step == 0
    office.configure(replace(config, rules=config.rules[1:]))
    office.sleep_s(1)
    assert office.item(number).step == 1


def test_two_rules_with_other_plans_stand_in_lines_of_their_own() -> None:
    """The same is asked for at first: what differs is what becomes of it."""
    config = a_house()
    early, late = (Rule(x, "a", to=(x,), relax=(Step(when=x, also=B),)) for x in ("nobody-signed-in", "nobody-ready"))
    office = Office(replace(config, rules=(early, late)), ready=("b1",))
    office.do(c.OpenSession(agent="a1", session="s"))
    there, ready = office.arrive(recipient="nobody-signed-in"), office.arrive(recipient="nobody-ready")
    assert (office.item(there).step, office.item(ready).step) == (0, 1)
    assert office.item(ready).owner == "b1"


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "path", "says"),
    [
        ((soon(0, also=B),), "queues.a.relax[0].when_expected", "longer than 0s"),
        ((TO_B, soon(200, lower={"a": 0})), "queues.a.relax[1].when_expected", "at least that of the step before (5m)"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_refused(steps: tuple[Step, ...], path: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_config(a_house(*steps))
    assert refused.value.path == path
    assert says in refused.value.expected


@pytest.mark.parametrize(
    ("step", "path"),
    [
        (Step(after=seconds(9), queue="a"), "rules[0].relax[0].queue"),
        (Step(after=seconds(9), also=Node(skill="c")), "rules[0].relax[0].also.skill"),
        (Step(after=seconds(9), drop_languages=("fr",)), "rules[0].relax[0]"),
    ],
)
def test_a_rules_plan_is_checked_as_a_queues_is(step: Step, path: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_config(with_plan(step))
    assert refused.value.path == path
