"""Agents are lent to a queue while it needs help and theirs can spare them, and it does not flap (RT-7, RT-11)."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import note, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine import matching
from router.engine.config import Agent, Balance, Borrow, Config, Need, Queue, Rule, Spare, Step
from router.engine.decisions import decision
from router.engine.engine import Engine
from router.engine.explain import explain, why_not
from router.engine.lookups import queue_views
from router.engine.model import State
from router.engine.plan import check_config
from router.engine.requirements import Node
from router.engine.unservable import members
from router.engine.views import LoanView
from router.errors import ConfigError, NotEligible
from router.journal import codec
from tests.engine.support.office import OFFICE, Office, agents_with, happened, made, seconds

pytestmark = pytest.mark.promise("RT-7")

SALES, SUPPORT = Node(skill="sales"), Node(skill="support")
# Who has waited for their whole target is helped until nobody has waited for half of it.
LATE = Need(share=1.0)
ALWAYS = Spare(level_above=0.0)


def shop(*loans: Borrow, **support: Any) -> Config:
    """Support borrows from sales; mail is to be answered within 20 s, and gates are looked at each 5 s."""
    queues = {**OFFICE.queues, "support": Queue(requirement=SUPPORT, borrow=loans, **support)}
    return replace(OFFICE, queues=queues, balance=Balance(period=seconds(5)))


def loan(when: Need = LATE, spare: Spare = ALWAYS, **more: Any) -> Borrow:
    return Borrow("sales", when, spare, **more)


def gates(office: Office, s: float) -> list[tuple[str, bool, str]]:
    """The changes while so much time passes, as a server lives through it."""
    found: list[tuple[str, bool, str]] = []
    until = office.now_ms + int(s * 1_000)
    while (due := office.engine.next_deadline_ms()) is not None and due <= until:
        office.now_ms = max(office.now_ms, due)
        found += [(x.lender, x.is_open, x.cause) for x in happened(office.do(c.Tick()), e.LendingChanged)]
    office.now_ms = until
    return found


# --- opening ----------------------------------------------------------------------------------------------------------


def test_nobody_is_lent_before_the_queue_needs_help() -> None:
    office = Office(shop(loan()), ready=("sue",))
    number = office.arrive()
    assert gates(office, 19.9) == []
    assert office.offered_to(number) == []


def test_when_a_gate_opens_an_idle_agent_of_the_lender_gets_it_at_once() -> None:
    """In the very command in which it opens (RT-5)."""
    office = Office(shop(loan()), ready=("sue",))
    number = office.arrive()
    office.now_ms += 20_000
    out = office.do(c.Tick())
    assert happened(out, e.LendingChanged) == [e.LendingChanged("support", "sales", True, "needed")]
    assert made(out) == [(number, "sue")]


@pytest.mark.promise("RT-10")
def test_a_gate_that_opens_gives_everybody_who_is_lent_something() -> None:
    lent = {f"s{n}": Agent(skills={"sales": 3}) for n in range(12)}
    office = Office(agents_with(shop(loan()), **lent), ready=tuple(lent))
    numbers = [office.arrive() for _ in range(20)]
    office.now_ms += 20_000
    offers = made(office.do(c.Tick()))
    assert [number for number, _ in offers] == numbers[:12], "the oldest first"
    assert sorted(agent for _, agent in offers) == sorted(lent)


def test_what_comes_while_a_gate_is_open_is_offered_to_who_is_lent_as_well() -> None:
    office = Office(shop(loan()), ready=("sue",))
    first = office.arrive()
    gates(office, 20)
    office.accept(first, "sue")
    second = office.arrive()
    out = office.complete(first)
    assert made(out) == [(second, "sue")]


def test_a_gate_is_looked_at_each_period() -> None:
    office = Office(replace(shop(loan()), balance=Balance(period=seconds(30))))
    office.now_ms = 30_000 * 100
    office.arrive()
    assert gates(office, 29.999) == []
    assert gates(office, 0.001) == [("sales", True, "needed")]


def test_a_server_that_slept_looks_once() -> None:
    office = Office(shop(loan()))
    office.arrive()
    office.now_ms += 3_600_000
    out = office.do(c.Tick())
    assert len(happened(out, e.LendingChanged)) == 1
    assert office.engine.next_deadline_ms() == office.now_ms // 5_000 * 5_000 + 5_000


def test_without_such_a_rule_nothing_is_looked_at() -> None:
    office = Office(ready=("ana",))
    assert office.engine.next_deadline_ms() is None


# --- who is lent ------------------------------------------------------------------------------------------------------


def test_an_inner_agent_who_is_free_goes_before_one_who_is_lent() -> None:
    office = Office(shop(loan()))
    numbers = [office.arrive() for _ in range(2)]
    gates(office, 20)
    office.ready("sue")  # gets the first; then idle for longer than ben
    office.accept(numbers[0], "sue")
    office.complete(numbers[0])
    office.accept(numbers[1], "sue")
    office.complete(numbers[1])
    office.ready("ben")
    assert office.state.gates["support", "sales"].is_open
    assert office.offered_to(office.arrive()) == ["ben"]
    assert office.offered_to(office.arrive()) == ["sue"]


def test_lenders_come_in_the_order_of_the_rules() -> None:
    config = shop(loan(), Borrow("mail", LATE, ALWAYS))
    queues = {**config.queues, "mail": Queue(requirement=Node(skill="spanish"))}
    staff = {"sue": Agent(skills={"sales": 1}), "max": Agent(skills={"spanish": 9})}
    office = Office(agents_with(replace(config, queues=queues), **staff))
    first = office.arrive()
    gates(office, 20)
    office.ready("max")
    office.accept(first)
    office.complete(first)
    office.ready("sue")
    assert office.offered_to(office.arrive()) == ["sue"], "max has been idle longer, but mail is named second"


def test_a_rule_may_ask_for_less_or_more_of_who_is_lent() -> None:
    staff = {"sue": Agent(skills={"sales": 5}), "sol": Agent(skills={"sales": 5, "support": 1})}
    config = shop(loan(requirement=SUPPORT))
    support = replace(config.queues["support"], requirement=Node(skill="support", level=5))
    office = Office(agents_with(replace(config, queues={**config.queues, "support": support}), **staff))
    number = office.arrive()
    office.ready("sue")
    office.ready("sol")
    gates(office, 20)
    assert office.offered_to(number) == ["sol"]


def test_what_a_contact_asks_for_on_top_is_asked_of_who_is_lent_too() -> None:
    staff = {"sue": Agent(skills={"sales": 5}), "sol": Agent(skills={"sales": 1}, languages=("es",))}
    rules = (Rule("es", "support", to=("es",), requirement=Node(language="es")),)
    office = Office(agents_with(replace(shop(loan()), rules=rules), **staff), ready=("sue",))
    number = office.arrive(recipient="es")
    gates(office, 20)
    assert office.offered_to(number) == []
    assert made(office.ready("sol")) == [(number, "sol")]


def test_what_a_step_has_dropped_is_not_asked_of_who_is_lent() -> None:
    rules = (Rule("es", "support", to=("es",), requirement=Node(language="es")),)
    config = shop(loan(), relax=(Step(after=seconds(40), drop_languages=("es",)),))
    office = Office(replace(config, rules=rules), ready=("sue",))
    number = office.arrive(recipient="es")
    gates(office, 39)
    assert office.offered_to(number) == []
    gates(office, 1)
    assert office.offered_to(number) == ["sue"]


def test_agents_are_lent_on_to_nobody() -> None:
    """Support borrows from sales, and sales from mail: mail's agents do not come to support."""
    config = shop(loan())
    sales = Queue(requirement=SALES, borrow=(Borrow("mail", LATE, ALWAYS),))
    queues = {**config.queues, "sales": sales, "mail": Queue(requirement=Node(skill="spanish"))}
    rules = (Rule("sales", "sales", to=("sales",)),)
    staff = {"max": Agent(skills={"spanish": 1})}
    office = Office(agents_with(replace(config, queues=queues, rules=rules), **staff))
    support, sales_too = office.arrive(), office.arrive(recipient="sales")
    gates(office, 20)
    assert {pair for pair, gate in office.state.gates.items() if gate.is_open} == {
        ("support", "sales"),
        ("sales", "mail"),
    }
    assert made(office.ready("max")) == [(sales_too, "max")]
    assert office.state_of(support) == "queued"


def test_who_is_lent_may_pick_only_while_the_gate_is_open() -> None:
    office = Office(shop(loan()), ready=("sue", "ben"))
    office.active()
    number = office.arrive()
    with pytest.raises(NotEligible):
        office.do(c.Pick(agent="sue", interaction=number))
    gates(office, 20)
    assert office.decline(number) == "sue"
    office.do(c.Pick(agent="sue", interaction=number))
    assert office.item(number).owner == "sue"


# --- shutting ---------------------------------------------------------------------------------------------------------


def test_a_gate_shuts_when_the_queue_needs_nobody_any_more() -> None:
    office = Office(shop(loan()), ready=("sue",))
    number = office.arrive()
    assert gates(office, 20) == [("sales", True, "needed")]
    office.accept(number, "sue")
    assert gates(office, 29) == []
    assert gates(office, 1) == [("sales", False, "no-need")]
    assert office.state_of(number) == "active", "what is at work stays"


def test_help_ends_later_than_it_would_begin() -> None:
    """Between the two thresholds an open gate stays open and a shut one shut."""
    office = Office(shop(loan(Need(share=1.0, share_until=0.2), least=seconds(5))), ready=("sue",))
    first = office.arrive()
    assert gates(office, 20) == [("sales", True, "needed")]
    office.accept(first, "sue")
    second = office.arrive()
    assert gates(office, 15) == [], "it has used three quarters"
    office.complete(first)
    office.accept(second, "sue")
    assert gates(office, 5) == [("sales", False, "no-need")]
    office.arrive()
    assert gates(office, 15) == [], "it has used three quarters"
    assert gates(office, 5) == [("sales", True, "needed")]


def test_a_lender_that_is_late_itself_takes_its_agents_back() -> None:
    spare = Spare(level_above=0.75, level_until=0.75)
    rules = (Rule("sales", "sales", to=("sales",)),)
    office = Office(replace(shop(loan(spare=spare)), rules=rules))
    for _ in range(2):
        office.arrive()
    assert gates(office, 20) == [("sales", True, "needed")]
    office.arrive(recipient="sales")  # nobody takes it
    assert gates(office, 20) == []
    assert gates(office, 10) == [("sales", False, "none-to-spare")]


def test_what_is_being_offered_when_a_gate_shuts_may_be_accepted() -> None:
    office = Office(shop(loan(least=seconds(5)), offer_timeout=seconds(600)), ready=("sue",))
    number = office.arrive()
    gates(office, 20)
    assert gates(office, 5) == [("sales", False, "no-need")]
    assert office.offered_to(number) == ["sue"]
    office.configure(replace(office.state.config, attributes=("site", "floor")))
    assert office.offered_to(number) == ["sue"], "nor does another configuration take it back"
    assert office.accept(number) == "sue"


def test_nobody_is_offered_anything_through_a_gate_that_has_shut() -> None:
    office = Office(shop(loan(least=seconds(5)), offer_timeout=seconds(600)), ready=("sue",))
    number = office.arrive()
    gates(office, 20)
    office.accept(number)
    gates(office, 30)
    office.complete(number)
    assert not office.state.gates["support", "sales"].is_open
    assert office.offered_to(office.arrive()) == []


def test_who_declined_is_asked_again_when_nobody_else_is_lent_any_more() -> None:
    """It is passed over for as long as another may come; with the gate nobody else is left (OF-3)."""
    office = Office(shop(loan(Need(share=1.0, share_until=1.0, wait=None), least=seconds(0))), ready=("ben", "sue"))
    taken = office.active(recipient="x")
    assert office.item(taken).owner == "ben"
    number = office.arrive()
    gates(office, 20)
    assert office.offered_to(number) == ["sue"]
    office.accept(number)
    third = office.arrive()
    office.complete(taken)
    assert office.offered_to(third) == ["ben"]
    office.decline(third)
    assert office.offered_to(third) == [], "sue may come"
    assert gates(office, 5) == [("sales", False, "no-need")]
    assert office.offered_to(third) == ["ben"]


def test_another_configuration_forgets_the_gates_that_it_does_not_have() -> None:
    office = Office(shop(loan()), ready=("sue",))
    office.arrive()
    gates(office, 20)
    office.configure(OFFICE)
    assert not office.state.gates
    assert office.offered_to(1) == [], "an offer by a rule that is gone fits no more"
    assert office.engine.next_deadline_ms() is None


def test_a_gate_outlives_a_restart() -> None:
    office = Office(shop(loan()))
    number = office.arrive()
    gates(office, 20)
    office.checked.restart(office.now_ms)
    assert made(office.ready("sue")) == [(number, "sue")]


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_a_gate_moves_nothing_that_waits() -> None:
    """The class asks for something else; who stands in its line stays there, and a new one joins them."""
    office = Office(shop(loan()))
    numbers = [office.arrive() for _ in range(50)]
    places = [office.item(n).place for n in numbers]
    gates(office, 20)
    later = office.arrive()
    assert [office.item(n).place for n in numbers] == places
    assert office.item(later).place == places[0]
    assert [item.number for item in members(office.state, 1 << places[0])] == [*numbers, later]


def test_classes_that_are_forgotten_meanwhile_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "TIDY_MIN", 1)
    office = Office(shop(loan(least=seconds(5))))
    for target_s in range(10, 20):
        number = office.arrive()
        office.do(c.Reprioritise(interaction=number, target_ms=1_000 * target_s, by="operator:sam"))
    assert gates(office, 20) == [("sales", True, "needed")]
    assert len(made(office.ready("sue"))) == 1


# --- not flapping -----------------------------------------------------------------------------------------------------


@drawn(seed=st.integers(0, 1 << 32), least_s=st.integers(0, 40), period_s=st.integers(1, 15))
@settings(max_examples=20, deadline=None)
def test_a_gate_changes_at_most_once_in_its_least_time(seed: int, least_s: int, period_s: int) -> None:
    """Under any load, and with thresholds that invite it to flap."""
    r = Random(seed)
    need = r.choice((Need(share=0.5, share_until=0.5), Need(wait=seconds(3), wait_until=seconds(3)), LATE))
    spare = r.choice((ALWAYS, Spare(seconds(5), seconds(5)), Spare(level_above=0.5, level_until=0.5)))
    config = shop(loan(need, spare, least=seconds(least_s)))
    rules = (Rule("sales", "sales", to=("sales",)),)
    office = Office(replace(config, rules=rules, balance=Balance(period=seconds(period_s))), ready=("ana", "sue"))
    changes: list[int] = []
    for _ in range(100):
        office.now_ms += r.randint(0, 4_000)
        out = office.checked.try_to(_something(r, office), office.now_ms)
        if out is not None:
            changes += [out.at_ms] * len(happened(out, e.LendingChanged))
    note(f"changes at {changes}")
    assert all(b - a >= least_s * 1_000 and a < b for a, b in pairwise(changes))


def _something(r: Random, office: Office) -> c.AnyCommand:
    offers, work = list(office.state.offers.values()), [(a.id, n) for a in office.state.agents.values() for n in a.work]
    pick = r.random()
    if pick < 0.4:
        office.arrivals += 1
        return c.Arrive(channel="email", threads=(f"m{office.arrivals}",), recipient=r.choice(("", "", "sales")))
    if pick < 0.6 and offers:
        offer = r.choice(offers)
        return c.Accept(agent=offer.agent, offer=offer.number)
    if pick < 0.8 and work:
        agent, number = r.choice(work)
        return c.Complete(agent=agent, interaction=number)
    return c.Tick()


# --- why --------------------------------------------------------------------------------------------------------------


@pytest.mark.promise("EX-1", "EX-2")
def test_why_not_says_that_the_lender_has_nobody_to_spare() -> None:
    office = Office(shop(loan(spare=Spare(wait_below=seconds(20)))), ready=("sue",))
    office.pause("sue", "lunch")
    number = office.arrive()
    sales = replace(office.state.config, rules=(Rule("sales", "sales", to=("sales",)),))
    office.configure(sales)
    office.arrive(recipient="sales")
    gates(office, 20)
    told = why_not(office.state, number, "sue", office.now_ms)
    assert told["code"] == "not-lent"
    assert told["reason"] == (
        "sales lends nobody: its own expected wait is without an end, since nobody of its own is ready, "
        "must be under 20s"
    )


@pytest.mark.promise("EX-1", "EX-2")
def test_why_not_says_that_the_queue_needs_nobody_yet() -> None:
    office = Office(shop(loan()), ready=("sue",))
    number = office.arrive()
    gates(office, 10)
    told = why_not(office.state, number, "sue", office.now_ms)
    assert told["reason"] == (
        "support borrows nobody from sales: who waits longest has used 50 % of the target, must be 100 %"
    )


@pytest.mark.promise("EX-1", "EX-2")
def test_an_explanation_tells_how_the_gates_stand_and_when_they_are_looked_at() -> None:
    office = Office(shop(loan()))
    number = office.arrive()
    told = explain(office.state, number, office.now_ms)
    assert [(x["lender"], x["open"]) for x in told["borrows"]] == [("sales", False)]
    change = next(x for x in told["next_changes"] if x["change"] == "lending-checked")
    assert change["at_ms"] == office.engine.next_deadline_ms()
    assert change["effect"] == "it is looked at whether sales should lend agents"


@pytest.mark.promise("EX-1")
def test_an_offer_to_one_who_is_lent_says_so() -> None:
    office = Office(shop(loan()))
    number = office.arrive()
    gates(office, 20)
    office.ready("sue")
    told = explain(office.state, number, office.now_ms)
    assert told["offers"][0]["borrowed_from"] == "sales"
    s = as_it_was_before_the_offer(office)
    decided = decision(s, s.interactions[number], 1, s.agents["sue"], "routed", "", office.now_ms)
    assert decided["why"].endswith("; borrowed from sales, which lends agents to support")
    assert decided["candidates"][0]["borrowed_from"] == "sales"


def as_it_was_before_the_offer(office: Office) -> State:
    engine = Engine()
    for payload in office.checked.payloads:
        record = codec.decode(payload)
        if isinstance(record.event, e.OfferMade):
            break
        engine.apply(record)
    return engine.state


def test_queues_tell_from_whom_they_borrow_and_why() -> None:
    office = Office(shop(loan()))
    office.arrive()
    gates(office, 20)
    support, sales = queue_views(office.state, office.now_ms)
    assert support.borrows == (
        LoanView(
            "sales",
            True,
            office.now_ms,
            "sales lends agents to support: of support, who waits longest has used 100 % of the target; "
            "of sales, its own service level is 100 %",
        ),
    )
    assert sales.borrows == ()


# --- a configuration that contradicts itself --------------------------------------------------------------------------

WRONG: list[tuple[Borrow, str]] = [
    (Borrow("support", LATE, ALWAYS), "queues.support.borrow[0].from: expected another queue, found 'support'"),
    (Borrow("sale", LATE, ALWAYS), "queues.support.borrow[0].from: expected the queue 'sales', found 'sale'"),
    (loan(Need()), "queues.support.borrow[0].when: expected at least one of wait, share, level_below, found none"),
    (loan(spare=Spare()), "queues.support.borrow[0].spare: expected at least one of wait_below, level_above"),
    (loan(Need(level_below=0.0)), "borrow[0].when.level_below: expected a share above 0: no level is lower"),
    (loan(spare=Spare(seconds(0))), "borrow[0].spare.wait_below: expected a duration longer than 0s"),
    (loan(Need(wait=seconds(60), wait_until=seconds(90))), "borrow[0].when.wait_until: expected at most wait (1m)"),
    (loan(Need(share=1.0, wait_until=seconds(9))), "borrow[0].when.wait_until: expected wait beside it, found none"),
    (loan(Need(level_below=0.8, level_until=0.7)), "borrow[0].when.level_until: expected at least level_below (0.8)"),
    (loan(spare=Spare(seconds(20), seconds(10))), "borrow[0].spare.wait_until: expected at least wait_below (20s)"),
    (
        loan(spare=Spare(level_above=0.8, level_until=0.9)),
        "borrow[0].spare.level_until: expected at most level_above (0.8)",
    ),
    (loan(Need(share=1.0, channels=("fax",))), "borrow[0].when.channels: expected a known channel"),
    (loan(requirement=Node(skill="golf")), "borrow[0].requirement.skill: expected"),
]


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(("rule", "says"), WRONG, ids=[says for _, says in WRONG])
def test_a_rule_that_cannot_be_meant_is_refused(rule: Borrow, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_config(shop(rule))
    assert says in str(refused.value)


@pytest.mark.promise("OB-4")
def test_a_lender_is_named_once() -> None:
    with pytest.raises(ConfigError, match="a queue that no rule before it names"):
        check_config(shop(loan(), loan()))
    with pytest.raises(ConfigError, match=r"balance\.period"):
        check_config(replace(shop(loan()), balance=Balance(period=seconds(0))))
    with pytest.raises(ConfigError, match=r"balance\.period: expected a duration of at least 1s, found 1ms"):
        check_config(replace(shop(loan()), balance=Balance(period=seconds(0.001))))
