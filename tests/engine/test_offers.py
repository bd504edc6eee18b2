"""Offers: made, accepted once, declined, missed, taken back; and the brake on sending agents off."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Agent, Presence, Queue
from router.engine.engine import Engine
from router.engine.matching import Matcher
from router.engine.requirements import Node
from router.engine.transitions import (
    ACCEPTED,
    CLOSED,
    CONNECT_FAILED,
    DECLINED,
    EXPIRED,
    NEXT,
    OFFER_NEXT,
    OPEN,
    STATE_NAMES,
    WITHDRAWN,
    demand,
)
from router.errors import BadMessage, IllegalMove, NotFound, OfferGone
from tests.engine.support.office import (
    OFFICE,
    Office,
    agents_with,
    arrived,
    at_work,
    given,
    happened,
    made,
    office_with,
    seconds,
)
from tests.engine.support.walk import Walk, hall

OFFERED_TO_ANA = (arrived(1), e.OfferMade(1, 1, "ana", 20_000))
# A queue for ana alone, so that there is never somebody else.
ALONE = agents_with(OFFICE, ana=Agent(skills={"support": 5}))


# --- the table --------------------------------------------------------------------------------------------------------


@pytest.mark.promise("OF-1")
@pytest.mark.parametrize("state", STATE_NAMES, ids=STATE_NAMES.get)
@pytest.mark.parametrize("event", e.EVENT_TYPES, ids=[kind.__name__ for kind in e.EVENT_TYPES])
def test_what_is_not_in_the_table_is_refused(state: int, event: type[e.Event]) -> None:
    if (state, event) in NEXT:
        demand(1, state, event)
        return
    with pytest.raises(IllegalMove) as refusal:
        demand(1, state, event)
    assert STATE_NAMES[state] in str(refusal.value)


@pytest.mark.promise("OF-1")
def test_nothing_leads_out_of_closed_and_everything_else_leads_there() -> None:
    assert {event for state, event in NEXT if state == CLOSED} == {e.NoteAdded, e.CopyAsked, e.CopyDue}
    reachable, before = {CLOSED}, set[int]()
    while reachable != before:
        before = set(reachable)
        reachable |= {state for (state, _), to in NEXT.items() if to & reachable}
    assert reachable == set(STATE_NAMES)


@pytest.mark.promise("OF-1")
@pytest.mark.long
def test_walks_make_every_move_of_the_table_and_no_other() -> None:
    """That they make no other is checked at every event of every walk (`Checked`)."""
    walks = [Walk(seed, thrift=1_000).run(600) for seed in range(40, 80)]
    walks += [hall(seed, 600) for seed in (40, 41, 48)]  # where customers are called, and more is learned of them
    made = {(state, event) for walk in walks for state, event, _ in walk.checked.moves}
    assert made == set(NEXT)


@pytest.mark.promise("OF-1")
def test_an_offer_ends_once() -> None:
    """For each way to end an offer: none of the others is possible afterwards."""
    assert {state for state, _ in OFFER_NEXT} == {OPEN, ACCEPTED}
    assert set(OFFER_NEXT.values()) == {ACCEPTED, DECLINED, EXPIRED, WITHDRAWN, CONNECT_FAILED}
    ends: list[c.AnyCommand] = [
        c.Accept(agent="ana", offer=1),
        c.Decline(agent="ana", offer=1),
        c.SetState(agent="ana", state="not_ready"),
        c.Tick(),
    ]
    for first in ends:
        for second in ends[:2]:
            at_ms = 20_000 if first == c.Tick() else 5
            engine = given(*OFFERED_TO_ANA).when(first, at_ms).engine
            if 1 not in engine.state.offers:
                with pytest.raises(OfferGone):
                    engine.handle(second, 6)


# --- accepting --------------------------------------------------------------------------------------------------------


@pytest.mark.promise("OF-1")
def test_an_offer_may_be_accepted_until_its_deadline() -> None:
    accept = c.Accept(agent="ana", offer=1)
    given(*OFFERED_TO_ANA).when(accept, at_ms=19_999).then(e.OfferAccepted(1, 1, "ana"))
    given(*OFFERED_TO_ANA).when(accept, at_ms=20_000).refuses(OfferGone)


@pytest.mark.promise("OF-1")
def test_only_who_was_offered_it_can_accept_or_decline() -> None:
    given(*OFFERED_TO_ANA).when(c.Accept(agent="ben", offer=1)).refuses(OfferGone)
    given(*OFFERED_TO_ANA).when(c.Decline(agent="ben", offer=1)).refuses(OfferGone)
    given(*OFFERED_TO_ANA).when(c.Accept(agent="ana", offer=2)).refuses(OfferGone)


@pytest.mark.promise("OF-2")
def test_of_concurrent_accepts_exactly_one_wins() -> None:
    """10,000 rounds: an offer shown to k agents, all of whom accept, some twice; then to one agent, k times."""
    r = Random(7)
    names = [f"agent-{i}" for i in range(5)]
    config = office_with(agents_with(OFFICE, **{n: Agent(skills={"support": 1}) for n in names}), parallel_offers=5)
    office = Office(config, ready=tuple(names))
    engine, now = office.engine, office.now_ms
    engine.quiet = True
    for round_number in range(10_000):
        now += 1
        number = engine.handle(c.Arrive(channel="email", threads=(f"r{round_number}",)), now).reply.interaction
        offers = [engine.state.offers[n] for n in engine.state.interactions[number].offers]
        assert len(offers) == 5
        tries = offers * 2 if round_number % 2 else [r.choice(offers)] * 4
        r.shuffle(tries)
        winners = [offer.agent for offer in tries if accepts(engine, offer.agent, offer.number, now)]
        assert len(winners) == 1
        assert engine.state.interactions[number].owner == winners[0]
        engine.handle(c.Complete(agent=winners[0], interaction=number), now)


def accepts(engine: Engine, agent: str, offer: int, now_ms: int) -> bool:
    try:
        engine.handle(c.Accept(agent=agent, offer=offer), now_ms)
    except OfferGone:
        return False
    return True


# --- declined and missed ----------------------------------------------------------------------------------------------


@pytest.mark.promise("OF-3")
def test_what_was_declined_keeps_its_time_and_goes_to_somebody_else() -> None:
    given(*OFFERED_TO_ANA).when(c.Decline(agent="ana", offer=1, reason="busy"), at_ms=5_000).then(
        e.OfferDeclined(1, 1, "ana", "busy"), e.OfferMade(2, 1, "ben", 25_000)
    )


@pytest.mark.promise("OF-3")
def test_what_was_missed_keeps_its_time_and_goes_to_somebody_else() -> None:
    state = (
        given(*OFFERED_TO_ANA)
        .when(c.Tick(), at_ms=20_000)
        .then(e.OfferExpired(1, 1, "ana"), e.OfferMade(2, 1, "ben", 40_000))
    )
    assert state.interactions[1].enqueued_at_ms == 0


@pytest.mark.promise("OF-3")
def test_it_keeps_its_place_before_what_came_later() -> None:
    office = Office(ready=("ana",))
    office.ready("ben")
    office.pause("ben")
    first = office.arrive()
    later = [office.arrive() for _ in range(3)]
    office.decline(first)  # nobody else: ana again, before all that came later
    assert office.offered_to(first) == ["ana"]
    assert all(office.state_of(number) == "queued" for number in later)


@pytest.mark.promise("OF-3")
def test_whoever_declined_is_skipped_until_the_others_were_tried() -> None:
    office = Office(ready=("ana", "ben"))
    number = office.arrive()
    assert office.decline(number) == "ana"
    assert office.decline(number) == "ben"
    assert office.offered_to(number) == ["ana"]  # everybody was tried: all are eligible again


@pytest.mark.promise("OF-3")
def test_whoever_declined_waits_for_a_busy_colleague_no_longer_than_the_cool_off() -> None:
    office = Office(ready=("ana", "ben"))
    busy = office.arrive()
    assert office.accept(busy) == "ana"
    number = office.arrive()
    assert office.decline(number) == "ben"
    assert office.state_of(number) == "queued"  # ana may finish soon
    office.pass_s(29.999)
    assert office.state_of(number) == "queued"
    office.pass_s(0.001)
    assert office.offered_to(number) == ["ben"]


@pytest.mark.promise("OF-3")
@pytest.mark.parametrize("gone", ["pause", "sign_out", "configuration", "no cap"])
def test_whoever_declined_is_eligible_at_once_when_nobody_else_is_left(gone: str) -> None:
    office = Office(ready=("ana", "ben"))
    office.accept(office.arrive())  # ana is busy
    number = office.arrive()
    office.decline(number)  # ben; it waits for ana
    assert office.state_of(number) == "queued"
    agents = dict(OFFICE.agents)
    if gone == "pause":
        office.do(c.SetState(agent="ana", state="not_ready"))
    elif gone == "sign_out":
        office.sign_out("ana")
    elif gone == "configuration":
        office.configure(agents_with(OFFICE, **{**agents, "ana": Agent(skills={"sales": 1})}))
    else:
        office.configure(agents_with(OFFICE, **{**agents, "ana": replace(agents["ana"], caps={"email": 0})}))
    assert office.offered_to(number) == ["ben"]


@pytest.mark.promise("OF-3")
def test_the_last_one_may_decline_as_often_as_they_like() -> None:
    office = Office(ALONE, ready=("ana",))
    number = office.arrive()
    for _ in range(5):
        assert office.decline(number) == "ana"
    assert office.offered_to(number) == ["ana"]
    assert office.item(number).declines == 5


@pytest.mark.promise("OF-3")
def test_without_a_cool_off_nobody_is_skipped_but_the_idle_go_first() -> None:
    office = Office(office_with(cool_off=seconds(0)), ready=("ana", "ben"))
    number = office.arrive()
    assert [office.decline(number) for _ in range(4)] == ["ana", "ben", "ana", "ben"]


@pytest.mark.promise("OF-3")
def test_misses_declines_and_connect_failures_count_apart() -> None:
    office = Office(ready=("ana", "ben"))
    number = office.arrive("phone")
    office.decline(number)
    office.pass_s(20)
    office.accept(number)
    office.do(c.FailConnection(thread=office.thread(number), reason="no answer"))
    item = office.item(number)
    assert (item.declines, item.misses, item.connect_failures) == (1, 1, 1)


@pytest.mark.promise("OF-3")
def test_an_agent_whose_telephone_failed_has_not_missed_anything() -> None:
    office = Office(ready=("ana", "ben"))
    number = office.arrive("phone")
    assert office.accept(number) == "ana"
    office.do(c.FailConnection(thread=office.thread(number)))
    assert office.offered_to(number) == ["ben"]
    assert office.state.agents["ana"].misses == 0
    assert office.state.agents["ana"].available


@pytest.mark.promise("OF-3")
def test_a_connection_that_was_confirmed_cannot_fail() -> None:
    office = Office(ready=("ana",))
    number = office.arrive("phone")
    office.accept(number)
    office.do(c.ConfirmConnection(thread=office.thread(number)))
    with pytest.raises(IllegalMove):
        office.do(c.FailConnection(thread=office.thread(number)))


# --- telephones that fail ---------------------------------------------------------------------------------------------


def fails(office: Office, number: int, times: int, **said: Any) -> None:
    """Whoever is offered this call accepts, and the gateway cannot join them."""
    for _ in range(times):
        office.accept(number)
        office.do(c.FailConnection(thread=office.thread(number), reason="busy", **said))


@pytest.mark.promise("OF-4")
def test_an_agent_whose_telephone_always_fails_is_taken_off_with_a_visible_reason() -> None:
    office = Office(ALONE, ready=("ana",))
    number = office.arrive("phone")
    fails(office, number, 2)
    assert office.offered_to(number) == ["ana"]
    fails(office, number, 1)
    ana = office.state.agents["ana"]
    assert (ana.declared, ana.reason, ana.misses) == ("not_ready", "connect-failures", 0)
    assert office.state_of(number) == "queued"
    office.ready("ana")
    fails(office, number, 2)
    assert office.state.agents["ana"].available, "coming back, they begin anew"


@pytest.mark.promise("OF-4")
def test_a_call_that_is_connected_ends_the_row_and_other_work_does_not() -> None:
    office = Office(ALONE, ready=("ana",))
    number = office.arrive("phone")
    fails(office, number, 2)
    office.accept(number)
    office.do(c.ConfirmConnection(thread=office.thread(number)))
    office.complete(number)
    assert office.state.failing == {}
    number = office.arrive("phone")
    fails(office, number, 2)
    office.do(c.Leave(thread=office.thread(number)))
    mail = office.arrive("email")
    office.accept(mail)
    office.complete(mail)
    fails(office, office.arrive("phone"), 1)
    assert not office.state.agents["ana"].available


@pytest.mark.promise("OF-4")
def test_what_a_gateway_does_not_do_says_nothing_of_the_agent() -> None:
    office = Office(ALONE, ready=("ana",))
    fails(office, office.arrive("phone"), 5, of_agent=False)
    assert office.state.agents["ana"].available


@pytest.mark.promise("OF-4")
def test_where_every_telephone_fails_the_brake_keeps_the_staff_and_says_so() -> None:
    staff = {f"agent-{i:02}": Agent(skills={"support": 1}) for i in range(8)}
    office = Office(agents_with(OFFICE, **staff), ready=tuple(staff))
    number = office.arrive("phone")
    fails(office, number, 60)
    gone = [agent.id for agent in office.state.agents.values() if agent.reason == "connect-failures"]
    assert len(gone) == 2, "a quarter of eight"
    assert office.state.brakes


@pytest.mark.promise("OF-4")
def test_so_many_failures_as_the_configuration_says() -> None:
    for limit in (0, 1):
        office = Office(replace(ALONE, presence=Presence(connect_failures=limit)), ready=("ana",))
        fails(office, office.arrive("phone"), 1 if limit else 9)
        assert office.state.agents["ana"].available is not bool(limit)


# --- the brake --------------------------------------------------------------------------------------------------------


def collapse(share: float, agents: int = 20) -> tuple[Office, list[tuple[int, str]], list[e.AlertRaised]]:
    """Everybody is at lunch and nobody has said so: offers are missed for five minutes."""
    names = {f"agent-{i}": Agent(skills={"support": 1}) for i in range(agents)}
    office = Office(replace(agents_with(OFFICE, **names), presence=Presence(brake_share=share)), ready=tuple(names))
    for _ in range(3 * agents):
        office.arrive()
    removals, alerts = list[tuple[int, str]](), list[e.AlertRaised]()
    for _ in range(15):
        out = office.pass_s(20)
        changes = happened(out, e.StateChanged)
        removals += [(office.now_ms, x.agent) for x in changes if x.reason == "missed-offers"]
        alerts += happened(out, e.AlertRaised)
    return office, removals, alerts


@pytest.mark.promise("OF-4")
def test_without_a_brake_a_missed_minute_empties_the_floor() -> None:
    office, removals, alerts = collapse(share=1.0)
    assert len(removals) == 20
    assert not alerts
    assert not any(agent.available for agent in office.state.agents.values())


@pytest.mark.promise("OF-4")
def test_the_brake_stops_at_a_quarter_of_the_staff_in_a_minute_and_raises_an_alert() -> None:
    office, removals, alerts = collapse(share=0.25)
    for at_ms, _ in removals:
        in_a_minute = sum(1 for t, _ in removals if at_ms - 60_000 < t <= at_ms)
        assert in_a_minute <= 5
    # Five of twenty at once, and a minute later a quarter of the rest, and so on: the floor empties slowly, in view.
    assert [t for t, _ in removals].count(removals[0][0]) == 5
    assert any(agent.available for agent in office.state.agents.values())
    assert {alert.subject for alert in alerts} == {"support"}
    assert len(alerts) <= 6, "an alert is said once in a window"


@pytest.mark.promise("OF-4", "RT-4")
def test_when_everybody_misses_at_once_few_ranks_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred offers run out in one command, so a hundred items pass over somebody: who can take one of them is
    asked about once for each offer, not once for each pair."""
    names = {f"agent-{i}": Agent(skills={"support": 1}) for i in range(100)}
    office = Office(agents_with(OFFICE, **names))
    engine, now = office.engine, office.now_ms
    for name in names:
        engine.handle(c.OpenSession(agent=name, session="s"), now)
        engine.handle(c.SetState(agent=name, state="ready"), now)
    for i in range(100):
        engine.handle(c.Arrive(channel="email", threads=(f"m{i}",)), now)
    asked = 0
    best_agent = Matcher.best_agent

    def counted(*args: Any) -> Any:
        nonlocal asked
        asked += 1
        return best_agent(*args)

    monkeypatch.setattr(Matcher, "best_agent", counted)
    out = engine.handle(c.Tick(), now + 20_000)
    assert len(made(out)) == 100
    assert asked < 1_000


@pytest.mark.promise("OF-4")
def test_misses_in_a_row_take_an_agent_off_with_a_visible_reason() -> None:
    office = Office(ALONE, ready=("ana",))
    number = office.arrive()
    for _ in range(2):
        office.pass_s(20)
        assert office.state.agents["ana"].available
    out = office.pass_s(20)
    assert e.StateChanged("ana", "not_ready", "missed-offers") in out.events
    assert office.state_of(number) == "queued"
    office.ready("ana")  # one action brings them back
    assert office.offered_to(number) == ["ana"]


@pytest.mark.promise("OF-4")
def test_an_accepted_offer_ends_the_row() -> None:
    office = Office(ALONE, ready=("ana",))
    number = office.arrive()
    for _ in range(4):
        office.pass_s(20)
        office.pass_s(20)
        office.accept(number)
        office.complete(number)
        number = office.arrive()
    assert office.state.agents["ana"].available


@pytest.mark.promise("OF-4")
def test_a_timer_brings_them_back_where_one_is_set() -> None:
    office = Office(replace(ALONE, presence=Presence(return_after=seconds(120))), ready=("ana",))
    number = office.arrive()
    for _ in range(3):
        office.pass_s(20)
    assert not office.state.agents["ana"].available
    office.pass_s(119.999)
    assert not office.state.agents["ana"].available
    office.pass_s(0.001)
    assert office.offered_to(number) == ["ana"]


@pytest.mark.promise("OF-4")
def test_the_timer_is_off_once_the_agent_has_spoken() -> None:
    office = Office(replace(ALONE, presence=Presence(return_after=seconds(120))), ready=("ana",))
    office.arrive()
    for _ in range(3):
        office.pass_s(20)
    office.pause("ana", "lunch")
    office.pass_s(600)
    assert office.state.agents["ana"].reason == "lunch"


@pytest.mark.promise("OF-4")
def test_nobody_can_count_as_missing_by_saying_so() -> None:
    for reason in ("missed-offers", "connect-failures"):
        given().when(c.SetState(agent="ana", state="not_ready", reason=reason)).refuses(BadMessage)


# --- taken back -------------------------------------------------------------------------------------------------------


@pytest.mark.promise("OF-5")
def test_a_customer_who_leaves_takes_the_offer_along() -> None:
    given(*OFFERED_TO_ANA).when(c.Leave(thread="mail:1"), at_ms=5).then(
        e.OfferWithdrawn(1, 1, "ana", "customer-left"), e.InteractionEnded(1, "abandoned")
    )


@pytest.mark.promise("OF-5")
def test_a_late_accept_is_gone_and_costs_nothing() -> None:
    office = Office(ready=("ana", "ben"))
    number = office.arrive()
    offer = office.offers_of(number)[0]
    office.do(c.Leave(thread=office.thread(number)))
    with pytest.raises(OfferGone):
        office.do(c.Accept(agent="ana", offer=offer.number))
    ana = office.state.agents["ana"]
    assert ana.available
    assert ana.misses == 0
    assert office.offered_to(office.arrive()) == ["ana"], "who was first in line is first again"


@pytest.mark.promise("OF-5", "RT-6")
@pytest.mark.parametrize("order", ["first made first", "last made first"])
def test_two_offers_taken_back_in_any_order_give_the_place_back(order: str) -> None:
    office = Office(ready=("ana",))
    one, two = office.arrive("chat"), office.arrive("chat")
    assert office.offered_to(one) == office.offered_to(two) == ["ana"]
    office.ready("ben")
    for number in (one, two) if order == "first made first" else (two, one):
        office.do(c.Leave(thread=office.thread(number)))
    assert office.offered_to(office.arrive()) == ["ana"]


@pytest.mark.promise("OF-5", "RT-6")
def test_a_withdrawn_offer_gives_no_place_that_work_has_cost_meanwhile() -> None:
    office = Office(ready=("ana",))
    done = office.active("chat")
    offered = office.arrive("chat")
    office.ready("ben")
    office.complete(done)  # ana's idle time starts here, after ben's
    office.do(c.Leave(thread=office.thread(offered)))
    assert office.offered_to(office.arrive()) == ["ben"]


@pytest.mark.promise("OF-6")
def test_who_is_reserved_has_an_open_offer_even_after_a_crash() -> None:
    office = Office(office_with(parallel_offers=2), ready=("ana", "ben"))
    number = office.arrive()
    assert sorted(office.offered_to(number)) == ["ana", "ben"]
    office.checked.restart(office.now_ms)
    state = office.state
    assert not state.offers
    assert all(not agent.offers and agent.load == 0 for agent in state.agents.values())
    assert office.state_of(number) == "queued"
    office.ready("ana")
    assert office.offered_to(number) == ["ana"]


@pytest.mark.promise("OF-6", "DU-1")
def test_an_offer_without_a_restart_keeps_its_deadline_in_a_snapshot() -> None:
    office = Office(ready=("ana",))
    office.arrive()
    deadline = office.engine.next_deadline_ms()
    assert Engine.restore(office.engine.snapshot()).next_deadline_ms() == deadline == office.now_ms + 20_000


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.promise("OF-7")
def test_auto_accept_is_a_setting() -> None:
    office = Office(office_with(auto_accept=True), ready=("ana",))
    assert office.state_of(office.arrive()) == "active"


@pytest.mark.promise("OF-7")
def test_the_time_to_think_is_a_setting_of_the_queue() -> None:
    config = replace(OFFICE, queues={**OFFICE.queues, "sales": Queue(Node(skill="sales"), offer_timeout=seconds(5))})
    office = Office(config, ready=("ana", "sue"))
    office.arrive()
    quick = office.arrive(attributes={}, recipient="x")
    office.do(c.Transfer(interaction=quick, to=c.Target(queue="sales"), by="operator:sam"))
    assert [o.expires_at_ms - o.made_at_ms for o in office.state.offers.values()] == [20_000, 5_000]


@pytest.mark.promise("OF-7")
def test_parallel_offers_go_to_several_and_the_first_accept_wins() -> None:
    config = office_with(parallel_offers=2)
    facts = [*at_work("sue"), arrived(1), e.OfferMade(1, 1, "ana", 20_000), e.OfferMade(2, 1, "ben", 20_000)]
    given(*facts, config=config).when(c.Accept(agent="ben", offer=2), at_ms=5).then(
        e.OfferAccepted(2, 1, "ben"), e.OfferWithdrawn(1, 1, "ana", "taken")
    )


@pytest.mark.promise("OF-7", "OF-3")
def test_a_parallel_offer_waits_again_only_when_all_are_gone() -> None:
    office = Office(office_with(parallel_offers=2), ready=("ana", "ben"))
    number = office.arrive()
    office.decline(number)
    assert office.state_of(number) == "offered"
    out = office.pass_s(20)
    assert made(out) == [(number, "ana"), (number, "ben")]  # both were tried, and there is nobody else


def test_an_unknown_agent_is_not_found() -> None:
    given().when(c.OpenSession(agent="zoe", session="s")).refuses(NotFound)
