"""What nobody can serve is known at once, said once, and not left to itself (RT-9)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Agent, Config, Queue, Rule, Step, Unservable, to_bytes
from router.engine.engine import Engine, Outcome
from router.engine.explain import explain
from router.engine.lines import Lines
from router.engine.lookups import queue_views, servability
from router.engine.plan import check_config
from router.engine.requirements import Node
from router.engine.views import Inform
from router.errors import ConfigError
from tests.engine.support.office import OFFICE, SUPPORT, Office, agents_with, happened, office_with, seconds

pytestmark = pytest.mark.promise("RT-9")

SPANISH = Node(skill="spanish")
ASKING = replace(OFFICE, rules=(Rule("es", "support", to=("es",), requirement=SPANISH),))


def said(out: Outcome) -> list[tuple[str, str]]:
    """(channel, servable) of what is said."""
    return [(event.channel, event.servable) for event in happened(out, e.ServabilityChanged)]


def arriving(office: Office, channel: str = "email", **more: Any) -> Outcome:
    office.arrivals += 1
    return office.do(c.Arrive(channel=channel, threads=(f"{channel}:{office.arrivals}",), **more))


def near(office: Office, number: int) -> str:
    return servability(office.state, office.item(number))


# --- what is known ----------------------------------------------------------------------------------------------------


def test_it_is_known_how_near_somebody_is_who_could_take_it() -> None:
    office = Office(ASKING)
    number = office.arrive()
    assert near(office, number) == "signed-out"
    assert near(office, office.arrive(recipient="es")) == "nobody"
    office.do(c.OpenSession(agent="ana", session="s"))
    assert near(office, number) == "busy", "signed in, though on a break"
    office.do(c.SetState(agent="ana", state="ready"))
    assert near(office, office.arrive()) == "busy"


def test_somebody_who_takes_none_of_that_channel_is_nobody() -> None:
    only_mail = {name: replace(agent, caps={"phone": 0}) for name, agent in OFFICE.agents.items()}
    office = Office(agents_with(OFFICE, **only_mail))
    assert near(office, office.arrive("phone")) == "nobody"
    assert near(office, office.arrive("email")) == "signed-out"


def test_queues_show_how_many_are_how_near() -> None:
    office = Office(ASKING, ready=("ana",))
    office.arrive()
    office.arrive()
    office.arrive(recipient="es")
    assert queue_views(office.state, office.now_ms)[0].servability == {"busy": 1, "nobody": 1}
    assert queue_views(office.state, office.now_ms)[1].servability == {}


# --- what is said -----------------------------------------------------------------------------------------------------


def test_it_is_said_once_for_all_that_ask_for_the_same() -> None:
    office = Office(ASKING)
    assert arriving(office).events[1:] == [e.ServabilityChanged("support", "email", SUPPORT, "signed-out")]
    assert said(arriving(office)) == []
    assert said(arriving(office, "chat")) == [("chat", "signed-out")]
    assert said(arriving(office, recipient="es")) == [("email", "nobody")]
    assert said(office.pass_s(3_600)) == []


def test_a_change_of_roster_is_told_in_the_same_command() -> None:
    office = Office()
    office.arrive()
    assert said(office.do(c.OpenSession(agent="ana", session="s"))) == [("email", "")]
    assert said(office.sign_out("ana")) == [("email", "signed-out")]
    without = {name: agent for name, agent in OFFICE.agents.items() if name == "sue"}
    assert said(office.configure(agents_with(OFFICE, **without))) == [("email", "nobody")]
    learned = agents_with(OFFICE, sue=Agent(skills={"support": 1}))
    assert said(office.configure(learned)) == [("email", "signed-out")]


def test_it_is_over_when_nothing_waits_for_it_any_more() -> None:
    office = Office()
    number = office.arrive()
    assert said(office.do(c.Close(interaction=number, by="operator:sam"))) == [("email", "")]
    assert not office.state.unserved


def test_one_who_signs_out_while_another_is_there_is_no_change() -> None:
    office = Office(ready=("ana", "ben"))
    for _ in range(3):
        office.arrive()
    assert said(office.sign_out("ana")) == []
    assert said(office.sign_out("ben")) == [("email", "signed-out")]


def test_a_restart_forgets_nothing_of_it_and_says_nothing_twice() -> None:
    office = Office(ASKING)
    office.arrive(recipient="es")
    before = dict(office.state.unserved)
    office.checked.restart(office.now_ms)
    assert [x.since_ms for x in office.state.unserved.values()] == [x.since_ms for x in before.values()]
    assert happened(office.do(c.Tick()), e.ServabilityChanged) == []


def test_ten_thousand_that_nobody_can_take_cost_an_arrival_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One word is said of them, and none of them is looked at again."""
    office = Office(ASKING, ready=("ana",))
    told, engine = 0, office.engine
    for i in range(10_000):
        out = engine.handle(c.Arrive(channel="email", threads=(f"m{i}",), recipient="es"), office.now_ms)
        told += len(happened(out, e.ServabilityChanged))
    assert told == 1
    monkeypatch.setattr(Lines, "walk", lambda lines, c: pytest.fail("looks at what waits"))
    engine.handle(c.Arrive(channel="chat", threads=("v",)), office.now_ms)


# --- what a plan has for that -----------------------------------------------------------------------------------------


def with_plan(*steps: Step, **support: Any) -> Config:
    return office_with(ASKING, relax=steps, **support)


@pytest.mark.promise("RT-7")
def test_a_step_comes_at_once_when_nobody_who_fits_is_signed_in() -> None:
    office = Office(with_plan(Step(when="nobody-signed-in", drop_skills=("spanish",))), ready=("ana",))
    out = arriving(office, recipient="es")
    assert out.events[1:] == [
        e.RequirementRelaxed(1, 1, "nobody-signed-in"),
        e.OfferMade(1, 1, "ana", office.now_ms + 20_000),
    ]


@pytest.mark.promise("RT-7")
def test_it_comes_when_the_last_of_them_signs_out() -> None:
    agents = {**OFFICE.agents, "eva": Agent(skills={"support": 1, "spanish": 1})}
    plan = with_plan(Step(when="nobody-signed-in", drop_skills=("spanish",)))
    office = Office(agents_with(plan, **agents), ready=("eva", "ana"))
    office.active(recipient="es")
    number = office.arrive(recipient="es")
    office.pause("eva")
    assert office.item(number).step == 0, "eva is still there"
    out = office.sign_out("eva")
    assert happened(out, e.RequirementRelaxed) == [e.RequirementRelaxed(number, 1, "nobody-signed-in")]
    assert office.offered_to(number) == ["ana"]


@pytest.mark.promise("RT-7")
def test_a_plan_may_go_by_who_is_ready_as_well() -> None:
    agents = {**OFFICE.agents, "eva": Agent(skills={"support": 1, "spanish": 1})}
    plan = with_plan(Step(when="nobody-ready", drop_skills=("spanish",)))
    office = Office(agents_with(plan, **agents), ready=("eva", "ana"))
    office.active(recipient="es")
    number = office.arrive(recipient="es")
    out = office.pause("eva")
    assert happened(out, e.RequirementRelaxed) == [e.RequirementRelaxed(number, 1, "nobody-ready")]


@pytest.mark.promise("RT-7")
def test_steps_follow_one_another_until_somebody_fits() -> None:
    steps = (
        Step(when="nobody-signed-in", drop_skills=("spanish",)),
        Step(when="nobody-signed-in", drop_skills=("support",)),
        Step(when="nobody-signed-in", band="urgent"),
    )
    office = Office(with_plan(*steps), ready=("sue",))
    out = arriving(office, recipient="es")
    assert [event.step for event in happened(out, e.RequirementRelaxed)] == [1, 2]
    assert office.offered_to(1) == ["sue"]
    office = Office(with_plan(*steps))
    assert [event.step for event in happened(arriving(office, recipient="es"), e.RequirementRelaxed)] == [1, 2, 3]


@pytest.mark.promise("RT-7")
def test_a_step_moves_to_another_queue_and_offers_a_callback() -> None:
    steps = (Step(after=seconds(5), callback=True), Step(after=seconds(10), queue="sales"))
    office = Office(office_with(relax=steps), ready=("sue",))
    number = office.arrive()
    out = office.pass_s(10)
    assert happened(out, e.CallbackOffered) == [e.CallbackOffered(number, "relaxed")]
    assert [x.event for x in out.effects if isinstance(x, Inform)][:1] == [e.CallbackOffered(number, "relaxed")]
    assert (office.item(number).queue, office.offered_to(number)) == ("sales", ["sue"])
    assert office.item(number).enqueued_at_ms == office.now_ms - 10_000


# --- the queue's policy -----------------------------------------------------------------------------------------------


def policy(policy: Any, *steps: Step, **more: Any) -> Config:
    return with_plan(*steps, unservable=Unservable(policy, **more))


def test_by_default_it_waits() -> None:
    office = Office(ASKING)
    number = office.arrive(recipient="es")
    office.sleep_s(86_400)
    assert office.state_of(number) == "queued"


def test_a_policy_waits_until_it_has_been_so_for_a_while() -> None:
    office = Office(policy("end", after=seconds(30)), ready=("ana",))
    number = office.arrive(recipient="es")
    office.sleep_s(29.999)
    assert office.state_of(number) == "queued"
    office.sleep_s(0.001)
    assert (office.state_of(number), office.item(number).reason) == ("closed", "unservable")


def test_what_loses_nothing_by_waiting_is_not_ended_by_it() -> None:
    config = policy("end", after=seconds(30))
    lasting = replace(config.channels["email"], lasting=True)
    office = Office(replace(config, channels={**config.channels, "email": lasting}), ready=("ana",))
    letter, chat = office.arrive(recipient="es"), office.arrive("chat", recipient="es")
    story = explain(office.state, letter, office.now_ms)
    assert "unservable" not in [change["change"] for change in story["next_changes"]]
    office.sleep_s(60)
    assert [office.state_of(n) for n in (letter, chat)] == ["queued", "closed"]
    assert office.state_of(office.arrive(recipient="es")) == "queued", "who comes after the policy has run as well"


def test_a_browser_that_reloads_moves_nobody() -> None:
    office = Office(office_with(unservable=Unservable("move", seconds(30), "sales")), ready=("ana",))
    office.active()
    number = office.arrive()
    office.sign_out("ana")
    office.sleep_s(20)
    office.do(c.OpenSession(agent="ana", session="s2"))
    office.sign_out("ana", "s2")
    office.sleep_s(20)
    assert office.item(number).queue == "support"
    office.sleep_s(10)
    assert office.item(number).queue == "sales"


def test_who_comes_while_it_lasts_is_treated_as_those_who_were_there() -> None:
    office = Office(policy("move", after=seconds(30), queue="sales"))
    office.arrive(recipient="es")
    office.sleep_s(15)
    second = office.arrive(recipient="es")
    office.sleep_s(15)
    assert office.item(second).queue == "sales"
    third = office.arrive(recipient="es")
    office.sleep_s(30)
    assert office.item(third).queue == "sales", "nothing waited for it in between, so it began anew"


def test_who_comes_after_the_policy_has_run_is_treated_at_once() -> None:
    office = Office(policy("callback", after=seconds(30)))
    first = office.arrive(recipient="es")
    office.sleep_s(30)
    second = office.arrive(recipient="es")
    assert [office.item(n).callback_offered for n in (first, second)] == [True, True]
    assert [office.state_of(n) for n in (first, second)] == ["queued", "queued"]
    assert happened(office.pass_s(60), e.CallbackOffered) == [], "it is offered once"


def test_it_takes_as_many_steps_as_it_takes_until_somebody_fits() -> None:
    steps = (Step(band="urgent"), Step(drop_skills=("spanish",)), Step(drop_skills=("support",)))
    office = Office(policy("relax", *steps, after=seconds(0)), ready=("ana",))
    number = office.arrive(recipient="es")
    office.pass_s(0)
    assert (office.item(number).step, office.offered_to(number)) == (2, ["ana"])


def test_the_policy_of_the_queue_it_is_moved_to_comes_next() -> None:
    queues = {
        "support": Queue(requirement=SPANISH, unservable=Unservable("move", seconds(0), "sales")),
        "sales": Queue(requirement=SPANISH, unservable=Unservable("end", seconds(0), reason="no-spanish")),
    }
    office = Office(replace(OFFICE, queues=queues))
    number = office.arrive()
    office.sleep_s(0)
    assert office.item(number).reason == "no-spanish"


def test_a_second_engine_from_the_records_agrees_on_what_comes_next() -> None:
    office = Office(policy("end", after=seconds(30)))
    office.arrive(recipient="es")
    restored = Engine.restore(office.engine.snapshot())
    assert restored.next_deadline_ms() == office.engine.next_deadline_ms() == office.now_ms + 30_000


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(
    ("support", "says"),
    [
        ({"unservable": Unservable("move")}, "queues.support.unservable.queue: expected a queue, found 'none'"),
        (
            {"unservable": Unservable("end", queue="sales")},
            "queues.support.unservable.queue: expected policy = \"move\" beside it, found 'sales'",
        ),
        (
            {"unservable": Unservable("move", queue="sale")},
            "queues.support.unservable.queue: expected the queue 'sales', found 'sale'",
        ),
        (
            {"unservable": Unservable("relax")},
            "queues.support.unservable.policy: expected a plan in queues.support.relax",
        ),
        ({"relax": (Step(queue="sale"),)}, "queues.support.relax[0].queue: expected the queue 'sales', found 'sale'"),
        (
            {"relax": (Step(queue="support"),)},
            "queues.support.relax[0].queue: expected another queue, found 'support'",
        ),
        (
            {"unservable": Unservable("move", queue="support")},
            "queues.support.unservable.queue: expected another queue, found 'support'",
        ),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_with_its_path(support: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        check_config(office_with(OFFICE, **support))
    assert str(refusal.value).startswith(says)


# --- thousands at one instant -----------------------------------------------------------------------------------------


def a_long_way(queues: int) -> Config:
    """Queues whose plans lead from one to the next; nobody is there in any but the last, where it ends."""
    steps = (*(Step(when="nobody-signed-in", band="urgent"),) * 15,)
    way = {
        f"q{n}": Queue(requirement=SPANISH, relax=(*steps, Step(when="nobody-signed-in", queue=f"q{n + 1}")))
        for n in range(queues)
    }
    last = {f"q{queues}": Queue(requirement=SPANISH)}
    return replace(OFFICE, queues={**way, **last}, default_queue="q0")


def test_what_nobody_serves_goes_the_longest_way_at_one_instant() -> None:
    """Sixteen steps in each of two hundred queues, within the command by which it comes."""
    config = a_long_way(200)
    check_config(config)
    engine = Engine()
    engine.handle(c.Configure(document=to_bytes(config)), 1_000)
    out = engine.handle(c.Arrive(channel="email", threads=("mail:1",)), 1_000)
    assert len(happened(out, e.RequirementRelaxed)) == 16 * 200
    assert engine.state.interactions[out.reply.interaction].queue == "q200"
