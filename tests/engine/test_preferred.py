"""A contact waits for preferred agents first, and no longer than that can come to something (RT-8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine import invariants
from router.engine.config import (
    Agent,
    Band,
    Config,
    Memory,
    Order,
    Prefer,
    Queue,
    Resort,
    Rule,
    Step,
    Unservable,
    WrapUp,
    to_bytes,
)
from router.engine.decisions import decision
from router.engine.engine import Engine
from router.engine.explain import explain, why_not
from router.engine.inversions import inversions
from router.engine.lines import Lines
from router.engine.lookups import estimate, queue_views, servability
from router.engine.model import State
from router.engine.order import ITEM_BITS, is_favoured
from router.engine.rehearsal import rehearse
from router.engine.requirements import Node
from router.errors import BadMessage, ConfigError, NotEligible
from router.service.supervision import matching_health
from tests.engine.support.office import OFFICE, Office, agents_with, happened, made, office_with, seconds

pytestmark = pytest.mark.promise("RT-8")

TRIO = {"ana": Agent(skills={"support": 5}), "ben": Agent(skills={"support": 3}), "chen": Agent(skills={"support": 1})}
OPEN = agents_with(OFFICE, **TRIO, sue=Agent(skills={"sales": 5}))


def preferring(config: Config = OPEN, **more: Any) -> Config:
    """What comes to `vip` waits for somebody by name; everything else does not."""
    rules = (Rule("vip", "support", to=("vip",), prefer=Prefer(**more)), Rule("rest", "support"))
    return replace(config, rules=rules)


def busy_ana(config: Config, *others: str) -> tuple[Office, int]:
    """Ana is at work on something, and the others are there."""
    office = Office(config, ready=("ana",))
    number = office.active()
    for name in others:
        office.ready(name)
    return office, number


def held(office: Office, number: int) -> tuple[str, ...]:
    found = office.state.preferred.get(number)
    return found.agents if found is not None else ()


def released(out: Any) -> list[tuple[int, str]]:
    return [(event.interaction, event.reason) for event in happened(out, e.PreferredReleased)]


# --- who is preferred -------------------------------------------------------------------------------------------------


def test_a_preferred_agent_who_is_free_gets_it_before_who_has_been_idle_longer() -> None:
    office = Office(preferring(agents=("ana",)), ready=("ben", "chen", "ana"))
    assert office.offered_to(office.arrive(recipient="vip")) == ["ana"]
    assert office.offered_to(office.arrive()) == ["ben"]


def test_of_several_the_first_named_who_is_free_gets_it() -> None:
    office = Office(preferring(agents=("ben", "chen", "ana")), ready=("ana", "ben", "chen"))
    offers = [office.offered_to(office.arrive(recipient="vip")) for _ in range(3)]
    assert offers == [["ben"], ["chen"], ["ana"]]


def test_the_contacts_attribute_names_the_owner_of_the_account() -> None:
    office = Office(preferring(attribute="owner"), ready=("ben", "chen", "ana"))
    assert office.offered_to(office.arrive(recipient="vip", attributes={"owner": "chen"})) == ["chen"]
    assert office.offered_to(office.arrive(recipient="vip", attributes={"owner": " zoe , chen, ana"})) == ["ana"]
    assert office.offered_to(office.arrive(recipient="vip")) == ["ben"]


@pytest.mark.parametrize("text", ["", " , ,", "zoe", "x" * 100_000, "ana" + "\0"])
def test_an_attribute_that_names_nobody_holds_nothing(text: str) -> None:
    office = Office(preferring(attribute="owner"), ready=("ben",))
    number = office.arrive(recipient="vip", attributes={"owner": text})
    assert office.offered_to(number) == ["ben"]
    assert held(office, number) == ()


def test_who_comes_again_reaches_the_agent_who_served_them_last() -> None:
    office = Office(preferring(last_agent=True), ready=("ana", "ben"))
    kim = ("tel:1",)
    first = office.arrive(identities=kim)
    assert office.accept(first) == "ana"
    office.complete(first)
    office.complete(office.active(identities=("tel:2",)))  # by ben, so that he has been idle for less time
    office.ready("chen")
    assert office.offered_to(office.arrive(recipient="vip", identities=kim)) == ["ana"]
    assert office.offered_to(office.arrive(recipient="vip", identities=("tel:9",))) == ["ben"]


def test_the_last_agent_is_found_by_an_identity_that_came_along() -> None:
    office = Office(preferring(last_agent=True), ready=("ana",))
    office.complete(office.active(identities=("tel:1",)))
    office.ready("ben")
    office.complete(office.active(identities=("mailto:kim@example.org",)))
    both = office.arrive(recipient="vip", identities=("mailto:kim@example.org", "tel:1"))
    assert office.offered_to(both) == [office.state.last_agents["mailto:kim@example.org"]]
    new = office.arrive("chat", recipient="vip", identities=("chat:x", "tel:1"))
    assert held(office, new) == ("ana",)


def test_whoever_had_it_at_the_end_served_the_customer_last() -> None:
    office = Office(preferring(last_agent=True), ready=("ana", "ben"))
    number = office.active(identities=("tel:1",))
    office.do(c.Transfer(agent="ana", interaction=number, to=c.Target(agent="ben")))
    office.accept(number, "ben")
    office.complete(number)
    assert office.state.last_agents == {"tel:1": "ben"}


def test_nobody_served_a_customer_who_left_or_could_not_be_reached() -> None:
    office = Office(preferring(last_agent=True))
    number = office.arrive(identities=("tel:1",))
    office.do(c.Leave(thread=office.thread(number)))
    channels = {**OPEN.channels, "phone": replace(OPEN.channels["phone"], calls=("call:",))}
    office.configure(preferring(replace(OPEN, channels=channels), last_agent=True))
    office.ready("ana")
    office.do(c.RequestCallback(channel="phone", queue="support", to="+1"))
    office.pass_s(0)
    called = office.state.callbacks[1].interaction
    office.accept(called)
    office.do(c.FailCall(thread=office.thread(called), reason="no-answer"))
    assert office.state.last_agents == {}


def test_so_many_customers_are_remembered_as_the_configuration_says() -> None:
    office = Office(preferring(replace(OPEN, memory=Memory(customers=2)), last_agent=True), ready=("ana",))
    for who in ("1", "2", "1", "3"):
        office.complete(office.active(identities=(f"tel:{who}",)))
    assert list(office.state.last_agents) == ["tel:1", "tel:3"]
    office.configure(preferring(replace(OPEN, memory=Memory(customers=1)), last_agent=True))
    assert list(office.state.last_agents) == ["tel:3"]


def test_nothing_is_remembered_where_no_rule_asks_and_a_rule_begins_with_what_is_at_hand() -> None:
    office = Office(OPEN, ready=("ana",))
    office.complete(office.active(identities=("tel:1",)))
    assert office.state.last_agents == {}
    office.configure(preferring(last_agent=True))
    assert office.state.last_agents == {"tel:1": "ana"}
    office.configure(OPEN)
    assert office.state.last_agents == {}


def test_who_brings_a_contact_may_say_who_should_have_it_whatever_the_plan_says() -> None:
    office = Office(preferring(agents=("ben",)), ready=("ben", "chen", "ana"))
    wish = c.Preference(agents=("chen", "ana"))
    assert office.offered_to(office.arrive(recipient="vip", prefer=wish)) == ["chen"]
    assert office.offered_to(office.arrive(prefer=wish)) == ["ana"]


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (c.Preference(agents=()), "prefer.agents"),
        (c.Preference(agents=tuple(f"a{i}" for i in range(17))), "prefer.agents"),
        (c.Preference(agents=("ana", "x" * 65)), "prefer.agents"),
        (c.Preference(agents=("ana",), hold_ms=-1), "prefer.hold_ms"),
        (c.Preference(agents=("ana",), hold_ms=1 << 60), "prefer.hold_ms"),
        (c.Preference(agents=("ana",), require=True, hold_ms=0), "prefer.hold_ms"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_and_nothing_comes_in(wish: c.Preference, says: str) -> None:
    office = Office(OPEN)
    with pytest.raises(BadMessage, match=says):
        office.arrive(prefer=wish)
    assert not office.state.interactions


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (Prefer(), r"rules\[0\].prefer: expected exactly one of agents, attribute, last_agent, found none"),
        (Prefer(agents=("ana",), last_agent=True), r"rules\[0\].prefer: .*found agents and last_agent"),
        (Prefer(agents=("anna",)), r"rules\[0\].prefer.agents\[0\]: expected the agent 'ana'"),
        (Prefer(agents=("ana",) * 17), r"rules\[0\].prefer.agents: expected at most 16"),
        (Prefer(agents=("ana",), mode="require", hold=seconds(0)), r"rules\[0\].prefer.hold: expected a time above 0s"),
    ],
)
def test_a_rule_that_contradicts_itself_is_refused_with_its_place(rule: Prefer, says: str) -> None:
    config = replace(OPEN, rules=(Rule("vip", "support", prefer=rule),))
    with pytest.raises(ConfigError, match=says):
        Engine().handle(c.Configure(document=to_bytes(config)), 1)


# --- while it is held -------------------------------------------------------------------------------------------------


def test_nobody_else_is_offered_it_and_the_preferred_agent_gets_it_when_free() -> None:
    office, work = busy_ana(preferring(agents=("ana",)), "ben")
    number = office.arrive(recipient="vip")
    assert office.offered_to(number) == []
    office.pass_s(29)
    assert office.offered_to(number) == []
    assert made(office.complete(work)) == [(number, "ana")]
    office.accept(number)
    assert held(office, number) == ()


def test_when_time_is_up_it_goes_to_everybody_in_its_place() -> None:
    office, _ = busy_ana(preferring(agents=("ana",), hold=seconds(20)))
    number = office.arrive(recipient="vip")
    came = office.item(number).enqueued_at_ms
    office.pass_s(5)
    later = office.arrive()
    office.sleep_s(14.999)
    assert held(office, number) == ("ana",)
    office.sleep_s(0.001)
    assert held(office, number) == ()
    assert office.item(number).enqueued_at_ms == came
    office.ready("ben")
    assert office.offered_to(number) == ["ben"], "it came before the other one"
    assert office.offered_to(later) == []


def test_whoever_is_idle_gets_it_in_the_very_command_in_which_it_is_released() -> None:
    office, _ = busy_ana(preferring(agents=("ana",), hold=seconds(20)), "ben")
    number = office.arrive(recipient="vip")
    out = office.pass_s(20)
    assert released(out) == [(number, "timeout")]
    assert made(out) == [(number, "ben")]


def test_the_last_moment_of_a_hold_is_the_preferred_agents() -> None:
    office, work = busy_ana(preferring(agents=("ana",), hold=seconds(20)), "ben")
    number = office.arrive(recipient="vip")
    office.now_ms += 20_000
    assert made(office.complete(work)) == [(number, "ana")]


@pytest.mark.promise("RT-5")
@pytest.mark.parametrize("leave", [Office.pause, Office.sign_out])
def test_when_the_preferred_agent_is_gone_others_get_it_at_once(leave: Callable[[Office, str], Any]) -> None:
    office, _ = busy_ana(preferring(agents=("ana",)), "ben")
    number = office.arrive(recipient="vip")
    out = leave(office, "ana")
    assert released(out) == [(number, "agent-gone")]
    assert made(out) == [(number, "ben")]


def test_an_agent_who_leaves_with_the_offer_open_lets_it_go_as_well() -> None:
    office = Office(preferring(agents=("ana",)), ready=("ana", "ben"))
    number = office.arrive(recipient="vip")
    assert made(office.sign_out("ana")) == [(number, "ben")]


@pytest.mark.promise("OF-3")
@pytest.mark.parametrize(
    "refuse", [lambda office, number: office.decline(number), lambda office, _: office.sleep_s(20)]
)
def test_what_the_preferred_agent_would_not_have_others_get_at_once(refuse: Callable[[Office, int], Any]) -> None:
    office = Office(preferring(agents=("ana",), hold=seconds(60)), ready=("ana", "ben"))
    number = office.arrive(recipient="vip")
    refuse(office, number)
    assert office.offered_to(number) == ["ben"]
    assert "ana" in office.item(number).tried
    assert held(office, number) == ()


def test_of_several_who_would_not_have_it_the_next_is_asked_and_then_everybody() -> None:
    office = Office(preferring(agents=("ana", "ben")), ready=("ana", "ben", "chen"))
    number = office.arrive(recipient="vip")
    asked = [office.decline(number) for _ in range(3)]
    assert asked == ["ana", "ben", "chen"]


def test_it_waits_on_for_another_preferred_agent_when_one_would_not_have_it() -> None:
    office, work = busy_ana(preferring(agents=("ben", "ana"), hold=seconds(60)), "ben", "chen")
    number = office.arrive(recipient="vip")
    office.decline(number)
    assert (held(office, number), office.offered_to(number)) == (("ana",), [])
    office.pass_s(31)
    assert office.offered_to(number) == [], "not even when ben may be asked again"
    assert made(office.complete(work)) == [(number, "ana")]


def test_without_a_cool_off_who_would_not_have_it_is_not_asked_before_everybody_else() -> None:
    office = Office(preferring(office_with(OPEN, cool_off=seconds(0)), agents=("ana",)), ready=("ana", "ben"))
    number = office.arrive(recipient="vip")
    office.decline(number)
    assert office.offered_to(number) == ["ben"]


# --- when there is nobody to wait for ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ana",
    [
        Agent(skills={"sales": 5}),
        Agent(skills={"support": 5}, caps={"email": 0}),
        None,
    ],
    ids=["does not fit", "takes none of that channel", "is not there"],
)
def test_nothing_is_held_for_somebody_who_could_not_have_it(ana: Agent | None) -> None:
    config = preferring(agents_with(OPEN, ana=ana or TRIO["ana"], ben=TRIO["ben"]), agents=("ana",))
    office = Office(config, ready=("ben",) if ana is None else ("ana", "ben"))
    number = office.arrive(recipient="vip")
    assert office.offered_to(number) == ["ben"]
    assert held(office, number) == ()


def test_the_rules_own_requirement_counts_as_well() -> None:
    rule = Rule("vip", "support", to=("vip",), requirement=Node(skill="spanish"), prefer=Prefer(agents=("ana",)))
    speaks = Agent(skills={"support": 1, "spanish": 1})
    office = Office(replace(agents_with(OPEN, ana=TRIO["ana"], ben=speaks), rules=(rule,)), ready=("ana", "ben"))
    assert office.offered_to(office.arrive(recipient="vip")) == ["ben"]


FORCED = office_with(OPEN, wrap_up=WrapUp("forced", seconds(30), seconds(30)))


def test_it_is_not_held_for_somebody_who_must_document_for_longer() -> None:
    office, work = busy_ana(preferring(FORCED, agents=("ana",), hold=seconds(20)), "ben")
    office.complete(work)
    first = office.arrive(recipient="vip")
    assert office.offered_to(first) == ["ben"]
    office.pass_s(11)
    second = office.arrive(recipient="vip")
    assert held(office, second) == ("ana",), "19 seconds are left"
    office.sleep_s(19)
    assert office.offered_to(second) == ["ana"]


def test_it_is_released_when_the_work_turns_into_documenting_for_longer() -> None:
    office, work = busy_ana(preferring(FORCED, agents=("ana",), hold=seconds(20)), "ben")
    number = office.arrive(recipient="vip")
    out = office.complete(work)
    assert released(out) == [(number, "agent-busy")]
    assert made(out) == [(number, "ben")]


@pytest.mark.parametrize("mode", ["optional", "timed"])
def test_documenting_that_the_agent_may_cut_short_is_waited_for(mode: Any) -> None:
    config = office_with(OPEN, wrap_up=WrapUp(mode, seconds(300), seconds(300)))
    office, work = busy_ana(preferring(config, agents=("ana",)), "ben")
    office.complete(work)
    number = office.arrive(recipient="vip")
    assert held(office, number) == ("ana",)
    assert made(office.do(c.FinishWrapUp(agent="ana", interaction=work))) == [(number, "ana")]


def test_without_a_hold_time_the_preferred_agent_gets_it_if_free_at_once() -> None:
    office = Office(preferring(agents=("ana",), hold=seconds(0)), ready=("ben", "ana"))
    first, second = office.arrive(recipient="vip"), office.arrive(recipient="vip")
    assert (office.offered_to(first), office.offered_to(second)) == (["ana"], ["ben"])
    office.sleep_s(1)
    assert held(office, first) == (), "and if ana does not answer it is everybody's"


# --- required ---------------------------------------------------------------------------------------------------------


def test_what_is_required_waits_through_absence_and_refusals() -> None:
    office = Office(preferring(agents=("ana",), mode="require"), ready=("ana", "ben"))
    number = office.arrive(recipient="vip")
    office.decline(number)
    assert office.offered_to(number) == ["ana"], "nobody else can have it"
    office.sign_out("ana")
    office.pass_s(3_600)
    assert office.offered_to(number) == []
    assert office.offered_to(office.arrive()) == ["ben"]
    office.ready("ana")
    assert office.offered_to(number) == ["ana"]


@pytest.mark.promise("RT-9")
def test_that_nobody_required_is_there_is_known_and_said() -> None:
    office = Office(preferring(attribute="owner", mode="require"), ready=("ana", "ben"))
    mine = office.arrive(recipient="vip", attributes={"owner": "ana"})
    assert servability(office.state, office.item(office.arrive(recipient="vip", attributes={"owner": "ana"}))) == "busy"
    out = office.sign_out("ana")
    named = Node(all=(Node(skill="support"), Node(agent=("ana",))))
    assert happened(out, e.ServabilityChanged) == [e.ServabilityChanged("support", "email", named, "signed-out")]
    assert servability(office.state, office.item(mine)) == "signed-out"
    support = next(view for view in queue_views(office.state, office.now_ms) if view.queue == "support")
    assert support.servability == {"signed-out": 2}
    out = office.do(c.OpenSession(agent="ana", session="s"))
    assert [event.servable for event in happened(out, e.ServabilityChanged)] == [""]
    nobody = office.arrive(recipient="vip", attributes={"owner": "zoe"})
    assert servability(office.state, office.item(nobody)) == "nobody"
    assert [entry.servable for entry in office.state.unserved.values()] == ["nobody"]


def test_a_required_name_that_is_none_is_waited_for_and_kept_short() -> None:
    office = Office(preferring(attribute="owner", mode="require"), ready=("ana",))
    number = office.arrive(recipient="vip", attributes={"owner": ",".join(["x" * 1_000, *map(str, range(40))])})
    assert held(office, number) == ("x" * 64, *map(str, range(15)))


@pytest.mark.promise("RT-9")
def test_the_queues_policy_acts_on_what_nobody_required_can_take() -> None:
    policy = Unservable("end", seconds(10), reason="owner-away")
    office = Office(preferring(office_with(OPEN, unservable=policy), agents=("ana",), mode="require"), ready=("ben",))
    first, rest = office.arrive(recipient="vip"), office.arrive()
    office.sleep_s(9.999)
    assert office.state_of(first) == "queued"
    office.sleep_s(0.001)
    assert office.item(first).reason == "owner-away"
    assert office.state_of(rest) == "offered"


@pytest.mark.promise("RT-9")
def test_what_comes_later_and_nobody_required_can_take_is_treated_like_what_was_there() -> None:
    policy = Unservable("callback", seconds(10))
    office = Office(preferring(office_with(OPEN, unservable=policy), agents=("ana",), mode="require"), ready=("ben",))
    first = office.arrive(recipient="vip")
    office.sleep_s(10)
    late = office.arrive(recipient="vip")
    other = office.arrive(prefer=c.Preference(agents=("chen",), require=True))
    assert [office.item(n).callback_offered for n in (first, late, other)] == [True, True, False]


@pytest.mark.promise("RT-7", "RT-9")
def test_a_plan_releases_what_is_required_when_nobody_of_them_is_signed_in() -> None:
    plan = (Step(when="nobody-signed-in", release=True),)
    office = Office(preferring(office_with(OPEN, relax=plan), agents=("ana",), mode="require"), ready=("ana", "ben"))
    office.accept(office.arrive(recipient="vip"))
    number = office.arrive(recipient="vip")
    assert held(office, number) == ("ana",)
    out = office.sign_out("ana")
    assert released(out) == [(number, "relaxed")]
    assert made(out) == [(number, "ben")]
    assert office.offered_to(office.arrive(recipient="vip")) == [], "ben has no room"
    assert not office.state.preferred, "and who comes now is released at once"


@pytest.mark.promise("RT-7")
def test_the_policy_goes_down_the_plan_to_the_step_that_releases() -> None:
    plan = (Step(lower={"support": 0}), Step(release=True), Step(callback=True))
    config = office_with(
        OPEN, requirement=Node(skill="support", level=2), relax=plan, unservable=Unservable("relax", seconds(10))
    )
    office = Office(preferring(config, agents=("ana",), mode="require"), ready=("ben",))
    number = office.arrive(recipient="vip")
    office.sleep_s(10)
    assert office.item(number).step == 2
    assert office.offered_to(number) == ["ben"]


def test_a_hold_that_was_asked_for_ends_what_is_required_too() -> None:
    office = Office(preferring(agents=("ana",), mode="require", hold=seconds(300)), ready=("ben",))
    number = office.arrive(recipient="vip")
    office.sleep_s(299.999)
    assert office.offered_to(number) == []
    office.sleep_s(0.001)
    assert office.offered_to(number) == ["ben"]


@pytest.mark.promise("OF-3")
def test_of_several_required_each_is_asked_before_one_is_asked_again() -> None:
    office = Office(preferring(agents=("ana", "ben"), mode="require"), ready=("ana", "ben", "chen"))
    number = office.arrive(recipient="vip")
    assert [office.decline(number) for _ in range(5)] == ["ana", "ben", "ana", "ben", "ana"]


# --- released by plans and people -------------------------------------------------------------------------------------


@pytest.mark.promise("RT-7")
def test_a_step_of_the_plan_releases_it() -> None:
    config = office_with(OPEN, relax=(Step(after=seconds(10), release=True),))
    office, _ = busy_ana(preferring(config, agents=("ana",), hold=seconds(60)), "ben")
    number = office.arrive(recipient="vip")
    office.sleep_s(9.999)
    assert office.offered_to(number) == []
    office.sleep_s(0.001)
    assert office.offered_to(number) == ["ben"]


@pytest.mark.promise("RT-7", "OB-5")
def test_a_person_takes_that_step_and_is_named() -> None:
    config = office_with(OPEN, relax=(Step(release=True),))
    office, _ = busy_ana(preferring(config, agents=("ana",), hold=seconds(60)), "ben")
    number = office.arrive(recipient="vip")
    out = office.do(c.Relax(interaction=number, by="operator:sam", why="angry"))
    assert happened(out, e.PreferredReleased) == [e.PreferredReleased(number, "relaxed", "operator:sam", "angry")]
    assert made(out) == [(number, "ben")]


@pytest.mark.promise("MV-2", "OB-5")
def test_an_operator_requeues_it_for_everybody() -> None:
    office, _ = busy_ana(preferring(agents=("ana",)), "ben")
    number = office.arrive(recipient="vip")
    out = office.do(c.Requeue(interaction=number, by="operator:sam", why="angry"))
    assert happened(out, e.PreferredReleased) == [e.PreferredReleased(number, "operator", "operator:sam", "angry")]
    assert made(out) == [(number, "ben")]


@pytest.mark.promise("MV-2")
def test_requeued_while_it_is_offered_it_is_everybodys_but_the_one_who_had_the_offer() -> None:
    office = Office(preferring(agents=("ana",)), ready=("ana", "ben"))
    number = office.arrive(recipient="vip")
    office.do(c.Requeue(interaction=number, by="operator:sam"))
    assert office.offered_to(number) == ["ben"]


@pytest.mark.promise("MV-1")
def test_what_is_given_on_is_held_for_nobody() -> None:
    office, _ = busy_ana(preferring(agents=("ana",)), "sue")
    number = office.arrive(recipient="vip")
    office.do(c.Transfer(interaction=number, to=c.Target(queue="sales"), by="operator:sam"))
    assert office.offered_to(number) == ["sue"]


@pytest.mark.promise("RT-11")
def test_the_longest_wait_of_its_queue_holds_for_what_is_held() -> None:
    resort = Resort("move", "sales")
    config = office_with(OPEN, max_wait=seconds(20), when_overdue=resort)
    office, _ = busy_ana(preferring(config, agents=("ana",), hold=seconds(60)), "sue")
    number = office.arrive(recipient="vip")
    office.sleep_s(20)
    assert office.offered_to(number) == ["sue"]


@pytest.mark.promise("MV-4")
def test_nobody_picks_what_is_held_for_others() -> None:
    office, _ = busy_ana(preferring(agents=("ana",)), "ben")
    number = office.arrive(recipient="vip")
    with pytest.raises(NotEligible, match="held for ana"):
        office.do(c.Pick(agent="ben", interaction=number))
    office.do(c.Assign(interaction=number, agent="ben", by="operator:sam"))
    assert office.item(number).owner == "ben"


@pytest.mark.promise("MV-4")
def test_what_is_required_is_assigned_to_others_on_purpose_only() -> None:
    office, _ = busy_ana(preferring(agents=("ana",), mode="require"), "ben")
    number = office.arrive(recipient="vip")
    with pytest.raises(NotEligible, match="held for ana"):
        office.do(c.Assign(interaction=number, agent="ben", by="operator:sam"))
    office.do(c.Assign(interaction=number, agent="ben", by="operator:sam", override=True, why="ana is ill"))
    assert office.item(number).owner == "ben"


@pytest.mark.promise("OF-7")
def test_offered_to_several_at_once_it_is_shown_to_the_preferred_alone() -> None:
    config = preferring(office_with(OPEN, parallel_offers=3), agents=("chen", "ana"))
    office = Office(config, ready=("ana", "ben", "chen"))
    assert office.offered_to(office.arrive(recipient="vip")) == ["chen", "ana"]


@pytest.mark.promise("AG-8", "RT-12")
def test_a_configuration_that_takes_the_preferred_agents_skill_releases_it() -> None:
    office, _ = busy_ana(preferring(agents=("ana",)), "ben")
    number = office.arrive(recipient="vip")
    config = preferring(agents_with(OPEN, ana=Agent(skills={"sales": 1}), ben=TRIO["ben"]), agents=("ana",))
    before = office.engine.snapshot()
    found = list(rehearse(office.state, to_bytes(config)))[-1]
    assert (found.holds_lost, found.held) == (1, [f"i-{number}"])
    assert office.engine.snapshot() == before
    out = office.configure(config)
    assert released(out) == [(number, "agent-gone")]
    assert made(out) == [(number, "ben")]


@pytest.mark.promise("DU-3")
def test_a_restart_forgets_neither_who_it_waits_for_nor_who_served_whom() -> None:
    office = Office(preferring(last_agent=True, mode="require"), ready=("ana",))
    office.complete(office.active(identities=("tel:1",)))
    number = office.arrive(recipient="vip", identities=("tel:1",))
    office.ready("ben")
    office.checked.restart(office.now_ms)
    assert (office.state_of(number), held(office, number)) == ("queued", ("ana",))
    office.ready("ben")
    assert office.offered_to(number) == []
    office.ready("ana")
    assert office.offered_to(number) == ["ana"]


@pytest.mark.promise("DU-3")
def test_a_hold_ends_in_time_after_a_snapshot_was_read() -> None:
    office, _ = busy_ana(preferring(agents=("ana",)), "ben")
    number = office.arrive(recipient="vip")
    engine = Engine.restore(office.engine.snapshot())
    engine.resume()
    assert engine.next_deadline_ms() == office.now_ms + 30_000
    assert made(engine.handle(c.Tick(), office.now_ms + 30_000)) == [(number, "ben")]


# --- its place in the order -------------------------------------------------------------------------------------------


def freed(config: Config, wait_s: float = 1, **older: Any) -> tuple[Office, int, int, list[tuple[int, str]]]:
    """Ana gets free while something older waits, and something is held for her: both, and what she is offered."""
    office, work = busy_ana(preferring(config, agents=("ana",), hold=seconds(3_600)))
    other = office.arrive(**older)
    office.pass_s(wait_s)
    number = office.arrive(recipient="vip")
    return office, other, number, made(office.complete(work))


@pytest.mark.promise("RT-1", "RT-2")
def test_the_preferred_agent_takes_it_before_what_waits_for_everybody() -> None:
    office, other, number, offers = freed(OPEN, 60)
    assert offers == [(number, "ana")]
    office.ready("ben")
    assert office.offered_to(other) == ["ben"]


@pytest.mark.promise("RT-1")
def test_but_not_before_a_more_urgent_band() -> None:
    urgent = Queue(requirement=Node(skill="support"), band="urgent")
    config = replace(OPEN, queues={**OPEN.queues, "urgent": urgent})
    rules = (Rule("hot", "urgent", to=("hot",)), *preferring(agents=("ana",)).rules)
    office, work = busy_ana(replace(config, rules=rules))
    office.arrive(recipient="vip")
    hot = office.arrive(recipient="hot")
    assert made(office.complete(work)) == [(hot, "ana")]


@pytest.mark.promise("RT-1")
@pytest.mark.parametrize(("waited_s", "first"), [(399, "held"), (400, "older")])
def test_and_not_before_what_has_waited_so_long_that_only_age_counts(waited_s: float, first: str) -> None:
    """A cap of 20 times the target of 20 s."""
    _, other, number, offers = freed(OPEN, waited_s)
    assert offers == [({"held": number, "older": other}[first], "ana")]


@pytest.mark.promise("RT-1")
@pytest.mark.parametrize("policy", ["first-come", "deadline"])
def test_policies_that_go_by_time_alone_let_nothing_come_before_its_turn(policy: Any) -> None:
    _, other, _, offers = freed(replace(OPEN, order=Order(policy)))
    assert offers == [(other, "ana")]


@pytest.mark.promise("RT-1")
def test_of_several_things_held_for_an_agent_the_first_in_the_order_comes_first() -> None:
    bands = (Band("urgent"), Band("normal"))
    rules = (*preferring(agents=("ana",)).rules,)
    office, work = busy_ana(replace(OPEN, bands=bands, rules=rules))
    first, second, third = (office.arrive(recipient="vip") for _ in range(3))
    office.do(c.Reprioritise(interaction=third, by="operator:sam", band="urgent"))
    order = []
    for _ in range(3):
        ((number, _),) = made(office.complete(work))
        order.append(number)
        office.accept(number)
        work = number
    assert order == [third, first, second]


@pytest.mark.promise("RT-2")
def test_a_replay_lists_what_was_passed_by_for_it_with_that_reason() -> None:
    office, work = busy_ana(preferring(agents=("ana",)))
    other = office.arrive()
    office.pass_s(1)
    number = office.arrive(recipient="vip")
    before = Engine.restore(office.engine.snapshot())
    ended = office.complete(work).events[0]
    before.apply(e.Record(office.now_ms, "", ended))  # type: ignore[arg-type]
    (found,) = inversions(before.state, e.OfferMade(9, number, "ana", 0), office.now_ms)
    assert (found.older, found.code) == (other, "held")


@pytest.mark.promise("RT-10")
def test_when_many_become_free_at_once_each_gets_what_is_held_for_them() -> None:
    """A shift begins with one command: everybody gets the skill."""
    names = [f"agent-{i}" for i in range(30)]
    without, having = (dict.fromkeys(names, Agent(skills=skills)) for skills in ({"sales": 1}, {"support": 1}))
    office = Office(preferring(agents_with(OPEN, **without), attribute="owner", mode="require"))
    for name in names:
        office.ready(name)
    rest = [office.arrive() for _ in range(5)]
    mine = {office.arrive(recipient="vip", attributes={"owner": name}): name for name in names[:20]}
    offers = dict(made(office.configure(preferring(agents_with(OPEN, **having), attribute="owner", mode="require"))))
    assert {number: offers[number] for number in mine} == mine
    assert {offers[number] for number in rest} <= set(names[20:])


# --- nothing hides anything -------------------------------------------------------------------------------------------


class Heads(list[int]):
    looks = 0

    def __getitem__(self, index: int) -> int:  # type: ignore[override]
        self.looks += 1
        return super().__getitem__(index)


def watched(monkeypatch: pytest.MonkeyPatch, *lines: Lines) -> list[Heads]:
    heads = [Heads(each.head) for each in lines]
    for each, head in zip(lines, heads, strict=True):
        monkeypatch.setattr(each, "head", head)
    return heads


@pytest.mark.promise("RT-4")
@pytest.mark.parametrize("owner", ["ana", "everybody"])
def test_ten_thousand_held_for_others_hide_nothing_and_cost_nothing(
    owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held for one who is busy, or each for somebody else who is away."""
    looks = []
    for ahead in (10, 10_000):
        office, _ = busy_ana(preferring(attribute="owner", mode="require"))
        office.engine.quiet = True
        for i in range(ahead):
            attributes = {"owner": "ana" if owner == "ana" else f"away-{i}"}
            ask = c.Arrive(channel="email", threads=(f"h{i}",), recipient="vip", attributes=attributes)
            office.engine.handle(ask, office.now_ms)
        m = office.state.matcher
        heads = watched(monkeypatch, m.waiting, m.idle, m.personal.lines)
        office.engine.handle(c.OpenSession(agent="ben", session="s"), office.now_ms)
        office.engine.handle(c.SetState(agent="ben", state="ready"), office.now_ms)
        out = office.engine.handle(c.Arrive(channel="email", threads=("mine",)), office.now_ms)
        assert made(out) == [(ahead + 2, "ben")]
        looks.append(sum(head.looks for head in heads))
    assert looks[0] == looks[1] > 0


@pytest.mark.promise("RT-4")
def test_an_agent_finds_what_is_held_for_them_among_ten_thousand_in_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    for ahead in (10, 10_000):
        office, work = busy_ana(preferring(attribute="owner", mode="require"))
        office.engine.quiet = True
        for i in range(ahead):
            attributes = {"owner": "ana" if i % 2 else f"away-{i}"}
            ask = c.Arrive(channel="email", threads=(f"h{i}",), recipient="vip", attributes=attributes)
            office.engine.handle(ask, office.now_ms)
        m = office.state.matcher
        heads = watched(monkeypatch, m.waiting, m.idle, m.personal.lines)
        out = office.engine.handle(c.Complete(agent="ana", interaction=work), office.now_ms)
        assert made(out) == [(3, "ana")]
        looks.append(sum(head.looks for head in heads))
    assert looks[0] == looks[1] > 0


@pytest.mark.promise("RT-4", "OB-3")
def test_what_was_held_once_leaves_nothing_behind() -> None:
    office = Office(preferring(attribute="owner", mode="require"))
    for i in range(300):
        number = office.engine.handle(
            c.Arrive(channel="email", threads=(f"h{i}",), recipient="vip", attributes={"owner": f"x{i}, y{i}"}),
            office.now_ms,
        ).reply.interaction
        office.engine.handle(c.Close(interaction=number, by="operator:sam"), office.now_ms)
    s, personal = office.state, office.state.matcher.personal
    assert [s.preferred, s.given, s.unserved, s.noted] == [{}] * 4
    kept = [personal.own, personal.all, personal.groups, personal.groups_of, personal.stood, personal.stranded]
    assert kept == [{}] * 6
    assert (personal.classes, personal.changed, len(personal.lines.head)) == (0, {}, 3)


# --- expected waits ---------------------------------------------------------------------------------------------------


@pytest.mark.promise("RT-13")
def test_what_is_held_keeps_its_place_and_its_release_makes_nobodys_worse() -> None:
    office, _ = busy_ana(preferring(agents=("ana",)))
    first = office.arrive(recipient="vip")
    second = office.arrive()

    def positions() -> list[int]:
        found = [estimate(office.state, number, office.now_ms) for number in (first, second)]
        return [x.position for x in found if x is not None]

    assert positions() == [1, 2]
    office.pass_s(30)
    assert held(office, first) == ()
    assert positions() == [1, 2]


@pytest.mark.promise("RT-13")
def test_who_is_held_for_somebody_may_have_to_wait_for_that_long() -> None:
    office = Office(preferring(agents=("ana",), hold=seconds(120)), ready=("ana", "ben"))
    for _ in range(30):
        number = office.active()
        office.pass_s(2)
        office.complete(number)
    for _ in range(2):
        office.active()
    told = estimate(office.state, office.arrive(recipient="vip"), office.now_ms)
    plain = estimate(office.state, office.arrive(), office.now_ms)
    assert told is not None
    assert plain is not None
    assert told.p90_s == 120
    assert plain.p90_s is not None
    assert plain.p90_s < 60


@pytest.mark.promise("RT-13")
def test_what_is_required_waits_for_those_alone() -> None:
    config = preferring(agents_with(OPEN, **{f"a{i}": TRIO["ana"] for i in range(8)}), agents=("a1",), mode="require")
    office = Office(config, ready=tuple(f"a{i}" for i in range(8)))
    for _ in range(40):
        number = office.active()
        office.pass_s(10)
        office.complete(number)
    for _ in range(8):
        office.active()
    mine = estimate(office.state, office.arrive(recipient="vip"), office.now_ms)
    plain = estimate(office.state, office.arrive(), office.now_ms)
    assert mine is not None
    assert mine.p50_s is not None
    assert plain is not None
    assert plain.p50_s is not None
    assert mine.p50_s > 2 * plain.p50_s
    office.sign_out("a1")
    gone = estimate(office.state, 49, office.now_ms)
    assert gone is not None
    assert gone.p50_s is None, "nobody could take it"


# --- explained --------------------------------------------------------------------------------------------------------


@pytest.mark.promise("EX-1", "EX-2")
def test_it_says_for_whom_it_is_held_until_when_and_why() -> None:
    office = Office(preferring(last_agent=True), ready=("ana",))
    office.complete(office.active(identities=("tel:1",)))
    office.active()
    office.ready("ben")
    office.now_ms = 1_764_000_000_000  # 16:00:00
    number = office.arrive(recipient="vip", identities=("tel:1",))
    told = explain(office.state, number, office.now_ms)
    assert told["summary"] == "is held for ana until 16:00:30 because they had this customer last"
    assert told["held_for"] == {
        "agents": ["ana"],
        "until_ms": office.now_ms + 30_000,
        "required": False,
        "because": "last-agent",
    }
    assert told["next_changes"][0]["change"] == "preferred-over"
    assert told["next_changes"][0]["in_ms"] == 30_000
    found = why_not(office.state, number, "ben", office.now_ms)
    assert (found["code"], found["reason"]) == (
        "held",
        "it is held for ana until 16:00:30 because they had this customer last",
    )
    assert why_not(office.state, number, "ana", office.now_ms)["code"] == "cap"


@pytest.mark.promise("EX-1")
@pytest.mark.parametrize(
    ("rule", "attributes", "wish", "says"),
    [
        ({"agents": ("ana", "ben"), "mode": "require"}, {}, None, "is held for ana or ben because rule vip"),
        ({"attribute": "owner", "mode": "require"}, {"owner": "zoe"}, None, "is held for zoe because attribute owner"),
        (
            {"last_agent": True},
            {},
            c.Preference(agents=("zoe",), require=True),
            "is held for zoe because whoever brought it asked for them",
        ),
    ],
)
def test_every_way_to_be_preferred_has_its_words(
    rule: dict[str, Any], attributes: dict[str, str], wish: c.Preference | None, says: str
) -> None:
    office = Office(preferring(**rule))
    number = office.arrive(recipient="vip", attributes=attributes, prefer=wish)
    assert explain(office.state, number, office.now_ms)["summary"] == says


@pytest.mark.promise("EX-1")
def test_the_offer_is_told_as_it_was_decided() -> None:
    office = Office(preferring(agents=("chen", "ana"), mode="require"), ready=("ben",))
    office.active()
    number = office.arrive(recipient="vip")
    engine = Engine.restore(office.engine.snapshot())
    for fact in (e.SessionOpened("ana", "s"), e.SessionOpened("chen", "s")):
        engine.apply(e.Record(office.now_ms, "", fact))
    for name in ("ana", "chen"):
        engine.apply(e.Record(office.now_ms, "", e.StateChanged(name, "ready")))
    state: State = engine.state
    told = decision(state, state.interactions[number], 7, state.agents["chen"], "routed", "", office.now_ms)
    assert told["why"] == (
        "it is held for chen or ana because rule vip, and chen was the first of them who could take it"
    )
    assert [x["agent"] for x in told["candidates"]] == ["chen", "ana"]
    codes = {line["agent"]: line["code"] for line in told["passed_over"]}
    assert (codes["ana"], codes["ben"]) == ("named-later", "held")


@pytest.mark.promise("OB-1")
def test_health_sees_what_waits_beside_its_preferred_agent() -> None:
    office, _ = busy_ana(preferring(agents=("ana",), mode="require"), "ben")
    office.arrive(recipient="vip")
    assert matching_health(office.engine).ok
    ana = office.state.agents["ana"]
    ana.load = 0
    office.state.matcher.place(ana)
    assert not matching_health(office.engine).ok


def test_ranks_of_what_is_held_stand_between_what_waited_out_and_all_else() -> None:
    office, _ = busy_ana(preferring(agents=("ana",)))
    number = office.arrive(recipient="vip")
    rank = office.state.matcher.rank_with(office.item(number), office.state.agents["ana"], office.now_ms)
    assert is_favoured(rank)
    assert not is_favoured(office.state.matcher.rank_of(office.item(number), office.now_ms))


# --- the invariants notice damage -------------------------------------------------------------------------------------


def spoilt_place(s: State) -> None:
    s.matcher.personal.lines.head[s.matcher.personal.own["ana"][s.interactions[2].place]] += 1


def spoilt_line_of_others(s: State) -> None:
    s.matcher.waiting.push(s.interactions[2].place, s.interactions[2].enqueued_at_ms << ITEM_BITS | 2)


def spoilt_index(s: State) -> None:
    del s.given["ana"][2]


def spoilt_group(s: State) -> None:
    next(iter(s.matcher.personal.groups.values())).near = 3


def spoilt_members(s: State) -> None:
    next(iter(s.matcher.personal.groups.values())).numbers.clear()


def spoilt_free_lines(s: State) -> None:
    s.matcher.personal.free.append(next(iter(s.matcher.personal.all.values())))


def spoilt_cooling(s: State) -> None:
    s.matcher.personal.cooling[2] = s.interactions[2]


def spoilt_hold_without_end(s: State) -> None:
    s.timers[:] = [timer for timer in s.timers if timer[2] != 2]


def spoilt_hold_of_the_gone(s: State) -> None:
    s.preferred[2].agents = ("sue",)


def spoilt_hold_overdue(s: State) -> None:
    s.preferred[2].until_ms = 1


def spoilt_hold_of_work(s: State) -> None:
    s.preferred[1] = s.preferred[2]


def spoilt_memory(s: State) -> None:
    s.last_agents["tel:1"] = "ana"


def spoilt_note(s: State) -> None:
    s.acted += 1


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (spoilt_place, "personal lines differ"),
        (spoilt_line_of_others, "stands in a line that others look at"),
        (spoilt_index, "waiting for agents by name are"),
        (spoilt_group, "the nearest is"),
        (spoilt_members, "grouped otherwise"),
        (spoilt_free_lines, "used twice"),
        (spoilt_cooling, "of what is held cool"),
        (spoilt_hold_without_end, "nothing will wake up"),
        (spoilt_hold_of_the_gone, "who are gone"),
        (spoilt_hold_overdue, "still held"),
        (spoilt_hold_of_work, "held that does not wait"),
        (spoilt_memory, "last agents are remembered"),
        (spoilt_note, "were acted upon"),
    ],
    ids=lambda x: x.__name__ if callable(x) else "",
)
def test_damage_to_what_is_held_is_noticed(damage: Callable[[State], None], says: str) -> None:
    office, _ = busy_ana(preferring(agents=("ana",)), "ben")
    assert office.arrive(recipient="vip") == 2
    office.arrive(prefer=c.Preference(agents=("zoe",), require=True))
    assert invariants.broken(office.state) == []
    damage(office.state)
    assert any(says in wrong for wrong in invariants.broken(office.state))
