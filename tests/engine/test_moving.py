"""Work moves between agents, queues and the outside, and has one owner at every instant (which `Checked` looks at)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Agent, Channel, Config, Memory
from router.engine.requirements import Node
from router.errors import BadMessage, IllegalMove, NoCapacity, NotEligible, NotFound, NotOwner, UnknownName
from tests.engine.support.office import OFFICE, WRAPS, Office, agents_with, arrived, given, happened, made

ANA_HAS_IT = (arrived(1), e.OfferMade(1, 1, "ana", 20_000), e.OfferAccepted(1, 1, "ana"))
BOTH = {"support": 5, "sales": 5}


# --- blind transfers --------------------------------------------------------------------------------------------------


@pytest.mark.promise("MV-1")
def test_a_transfer_to_a_queue_keeps_the_time_that_was_waited() -> None:
    office = Office(ready=("ana", "sue"))
    number = office.active()
    since = office.item(number).enqueued_at_ms
    office.pass_s(60)
    out = office.do(c.Transfer(agent="ana", interaction=number, to=c.Target(queue="sales"), why="wants to buy"))
    assert happened(out, e.Transferred) == [e.Transferred(number, "sales", None, "ana", "ana", "wants to buy")]
    assert office.offered_to(number) == ["sue"]
    assert office.item(number).enqueued_at_ms == since


@pytest.mark.promise("MV-1")
def given_to_busy_ben() -> tuple[Office, int, int]:
    """Ana gave her call to Ben, who is on another one."""
    office = Office(ready=("ana", "ben"))
    first, second = office.active("phone"), office.active("phone")
    number, other = (first, second) if office.item(first).owner == "ana" else (second, first)
    office.do(c.Transfer(agent="ana", interaction=number, to=c.Target(agent="ben")))
    assert office.state_of(number) == "queued", "not back to ana, who is free now"
    return office, number, other


@pytest.mark.promise("MV-1")
def test_a_transfer_to_an_agent_waits_for_that_agent() -> None:
    office, number, other = given_to_busy_ben()
    office.complete(other)
    if office.state_of(other) == "wrap-up":
        office.complete(other)
    assert office.offered_to(number) == ["ben"]


@pytest.mark.promise("MV-1", "RT-5")
@pytest.mark.parametrize("leave", [Office.pause, Office.sign_out])
def test_what_was_given_to_an_agent_who_leaves_waits_for_the_whole_queue(
    leave: Callable[[Office, str], object],
) -> None:
    office, number, _ = given_to_busy_ben()
    leave(office, "ben")
    assert office.offered_to(number) == ["ana"]


@pytest.mark.promise("MV-1", "OF-3")
def test_what_was_given_to_an_agent_who_declines_waits_for_the_whole_queue() -> None:
    office = Office(ready=("ana", "ben"))
    number = office.active("phone")
    other = {"ana": "ben", "ben": "ana"}[office.item(number).owner]
    office.do(c.Transfer(agent=office.item(number).owner, interaction=number, to=c.Target(agent=other)))
    assert office.offered_to(number) == [other]
    office.decline(number)
    assert office.offered_to(number) == [{"ana": "ben", "ben": "ana"}[other]]


@pytest.mark.promise("MV-2")
def test_an_operator_frees_what_waits_for_one_agent_alone() -> None:
    office, number, _ = given_to_busy_ben()
    office.do(c.Requeue(interaction=number, by="operator:sam"))
    assert office.offered_to(number) == ["ana"]


@pytest.mark.promise("MV-1")
def test_nothing_is_given_to_somebody_who_is_not_there_or_has_it() -> None:
    office = Office(ready=("ana", "ben"))
    number = office.active()
    owner = office.item(number).owner
    office.pause("ben" if owner == "ana" else "ana")
    with pytest.raises(NotEligible):
        office.do(c.Transfer(agent=owner, interaction=number, to=c.Target(agent="ben" if owner == "ana" else "ana")))
    with pytest.raises(IllegalMove):
        office.do(c.Transfer(agent=owner, interaction=number, to=c.Target(agent=owner)))


@pytest.mark.promise("MV-1")
def test_a_transfer_to_a_requirement_replaces_what_was_asked_for_before() -> None:
    staff = {"ana": Agent(skills=BOTH), "ben": Agent(skills={"support": 1, "spanish": 3})}
    office = Office(agents_with(OFFICE, **staff), ready=("ana", "ben"))
    number = office.active()
    office.do(c.Transfer(agent="ana", interaction=number, to=c.Target(agent="ben")))
    office.accept(number, "ben")
    office.do(c.Transfer(agent="ben", interaction=number, to=c.Target(agent="ana")))
    office.accept(number, "ana")
    spanish = c.Target(requirement=Node(skill="spanish", level=2))
    office.do(c.Transfer(agent="ana", interaction=number, to=spanish))
    assert office.offered_to(number) == ["ben"]


@pytest.mark.promise("MV-1")
def test_a_transfer_to_the_outside_ends_it_here() -> None:
    office = Office(WRAPS, ready=("ana",))
    number = office.active("phone")
    target = c.Target(address="tel:+15550123")
    out = office.do(c.Transfer(agent="ana", interaction=number, to=target))
    assert happened(out, e.InteractionEnded)[0].address == "tel:+15550123"
    assert office.state_of(number) == "wrap-up"
    letter = list(office.state.outbound.values())[-1]
    assert (letter.action, letter.endpoint) == ("transferred", "tel:+15550123")
    mail = office.arrive("email")
    with pytest.raises(IllegalMove):
        office.do(c.Transfer(by="operator:sam", interaction=mail, to=target))


@pytest.mark.promise("MV-1")
@pytest.mark.parametrize(
    ("to", "error"),
    [
        (c.Target(), BadMessage),
        (c.Target(queue="sales", agent="ben"), BadMessage),
        (c.Target(queue="sales", address="x"), BadMessage),
        (c.Target(queue="sails"), UnknownName),
        (c.Target(agent="zoe"), NotFound),
        (c.Target(agent="sue"), NotEligible),
        (c.Target(requirement=Node(skill="x")), UnknownName),
        (c.Target(requirement=Node()), UnknownName),
    ],
)
def test_a_transfer_to_nowhere_is_refused_and_the_owner_keeps_it(to: c.Target, error: type[Exception]) -> None:
    given(*ANA_HAS_IT).when(c.Transfer(agent="ana", interaction=1, to=to)).refuses(error)  # type: ignore[arg-type]


@pytest.mark.promise("MV-1")
def test_a_transfer_to_somebody_who_takes_no_such_work_is_refused() -> None:
    staff = {"ana": Agent(skills=BOTH), "ben": Agent(skills=BOTH, caps={"email": 0})}
    office = Office(agents_with(OFFICE, **staff), ready=("ana", "ben"))
    number = office.active()
    with pytest.raises(NotEligible, match="takes no email"):
        office.do(c.Transfer(agent="ana", interaction=number, to=c.Target(agent="ben")))
    assert office.item(number).owner == "ana"


@pytest.mark.promise("MV-1")
def test_only_the_owner_gives_on_what_is_theirs() -> None:
    to = c.Target(queue="sales")
    given(*ANA_HAS_IT).when(c.Transfer(agent="ben", interaction=1, to=to)).refuses(NotOwner)
    given(*ANA_HAS_IT).when(c.Transfer(agent="ana", interaction=2, to=to)).refuses(NotFound)
    given(arrived(1)).when(c.Transfer(agent="ana", interaction=1, to=to)).refuses(NotOwner)


# --- operators --------------------------------------------------------------------------------------------------------


def in_state(state: str) -> tuple[Office, int]:
    office = Office(WRAPS, ready=() if state == "queued" else ("ana", "ben"))
    number = office.arrive()
    if state in ("active", "wrap-up"):
        office.accept(number, "ana")
    if state == "wrap-up":
        office.complete(number)
    assert office.state_of(number) == state
    return office, number


STATES = ("queued", "offered", "active", "wrap-up")


@pytest.mark.promise("MV-2")
@pytest.mark.parametrize("state", STATES)
def test_an_operator_requeues_from_every_state_that_is_not_final(state: str) -> None:
    office, number = in_state(state)
    since = office.item(number).enqueued_at_ms
    out = office.do(c.Requeue(interaction=number, by="operator:sam", why="wrong desk"))
    assert office.item(number).enqueued_at_ms == since
    if state == "queued":
        assert not out.events
        return
    taken = out.events[0]
    assert isinstance(taken, e.Requeued | e.OfferWithdrawn)
    assert (taken.by, taken.why, taken.agent) == ("operator:sam", "wrong desk", "ana")
    assert office.offered_to(number) == ["ben"], "who had it is passed over"


@pytest.mark.promise("MV-2", "MV-4")
@pytest.mark.parametrize("state", STATES)
def test_a_supervisor_reassigns_from_every_state_that_is_not_final(state: str) -> None:
    office, number = in_state(state)
    office.do(c.OpenSession(agent="ben", session="s"))
    out = office.do(c.Assign(interaction=number, agent="ben", by="operator:sam", why="knows him"))
    assert office.item(number).owner == "ben"
    assert office.state_of(number) == "active"
    assert not office.state.agents["ana"].work
    assert not office.state.offers
    given_to = happened(out, e.OfferMade)[-1]
    assert (given_to.cause, given_to.by, given_to.why) == ("assign", "operator:sam", "knows him")


@pytest.mark.promise("MV-2")
@pytest.mark.parametrize("state", STATES)
def test_an_operator_closes_from_every_state_that_is_not_final(state: str) -> None:
    office, number = in_state(state)
    office.do(c.Close(interaction=number, by="operator:sam", why="spam"))
    assert office.state_of(number) == "closed"
    assert not office.do(c.Close(interaction=number, by="operator:sam")).events
    for command in (
        c.Requeue(interaction=number, by="operator:sam"),
        c.Assign(interaction=number, agent="ben", by="operator:sam"),
        c.Transfer(interaction=number, to=c.Target(queue="sales"), by="operator:sam"),
        c.Reprioritise(interaction=number, by="operator:sam", band="urgent"),
        c.Pick(agent="ben", interaction=number),
    ):
        with pytest.raises(IllegalMove):
            office.do(command)


@pytest.mark.promise("MV-2")
@pytest.mark.parametrize("state", ["queued", "offered", "active"])
def test_an_operator_transfers_what_is_not_over(state: str) -> None:
    office, number = in_state(state)
    office.do(c.Transfer(interaction=number, to=c.Target(queue="sales"), by="operator:sam"))
    assert office.state_of(number) == "queued"
    assert office.item(number).queue == "sales"
    assert not office.state.offers


@pytest.mark.promise("MV-2", "OB-5")
def test_what_an_operator_takes_back_says_who_it_was() -> None:
    office, number = in_state("offered")
    out = office.do(c.Close(interaction=number, by="operator:sam", why="spam"))
    assert [(event.by, event.why) for event in happened(out, e.OfferWithdrawn)] == [("operator:sam", "spam")]


@pytest.mark.promise("MV-2")
def test_what_is_over_is_not_opened_again_when_the_customer_has_come_back() -> None:
    office, number = in_state("wrap-up")
    again = office.arrive(threads=(office.thread(number),))
    assert office.item(again).born.follows == number
    with pytest.raises(IllegalMove, match=f"i-{again} follows it"):
        office.do(c.Requeue(interaction=number, by="operator:sam"))


@pytest.mark.promise("MV-2", "MV-3")
def test_a_call_that_is_opened_again_by_mistake_runs_out_of_its_lease() -> None:
    office = Office(WRAPS, ready=("ana",))
    number = office.active("phone", lease_ms=25_000)
    office.complete(number)
    office.pass_s(10)
    office.do(c.Requeue(interaction=number, by="operator:sam"))
    office.pass_s(15)
    assert office.state_of(number) == "closed"
    assert office.item(number).reason == "unconfirmed"


# --- leases -----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("MV-3")
@pytest.mark.parametrize("state", ["queued", "offered", "active"])
def test_a_call_whose_gateway_is_silent_ends_and_frees_its_agent(state: str) -> None:
    office = Office(WRAPS, ready=() if state == "queued" else ("ana",))
    number = office.arrive("phone", lease_ms=15_000)
    if state == "active":
        office.accept(number)
    office.pass_s(14.999)
    assert office.state_of(number) == state
    out = office.pass_s(0.001)
    assert office.state_of(number) == "closed", "no wrap-up for a call that nobody can tell anything about"
    assert office.item(number).reason == "unconfirmed"
    assert office.state.agents["ana"].load == 0
    assert len(happened(out, e.OfferWithdrawn)) == (state == "offered")


@pytest.mark.promise("MV-3")
def test_a_lease_is_renewed_in_every_state_and_made_shorter_too() -> None:
    office = Office(WRAPS, ready=("ana",))
    number = office.arrive("phone", lease_ms=15_000)
    thread = office.thread(number)
    for step in ("offered", "active", "active"):
        assert office.state_of(number) == step
        office.pass_s(14)
        office.do(c.Renew(thread=thread, lease_ms=15_000))
        if step == "offered":
            office.accept(number)
    office.do(c.Renew(thread=thread, lease_ms=2_000))
    office.pass_s(1.999)
    assert office.state_of(number) == "active"
    office.sleep_s(0.001)
    assert office.state_of(number) == "closed"


@pytest.mark.promise("MV-3")
def test_a_lease_says_nothing_about_what_is_over() -> None:
    office = Office(WRAPS, ready=("ana",))
    number = office.active("phone", lease_ms=15_000)
    office.complete(number)
    assert not office.do(c.Renew(thread=office.thread(number), lease_ms=15_000)).events
    office.pass_s(20)
    assert office.state_of(number) == "wrap-up"
    for lease_ms in (0, -1, 1 << 70):
        with pytest.raises(BadMessage):
            office.do(c.Renew(thread=office.thread(number), lease_ms=lease_ms))
    with pytest.raises(NotFound):
        office.do(c.Renew(thread="phone:unheard-of", lease_ms=1))


# --- by hand ----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("MV-4")
def test_a_pick_obeys_requirement_and_capacity() -> None:
    office = Office(agents_with(OFFICE, ana=Agent(skills=BOTH), sue=Agent(skills={"sales": 5})))
    first, second = office.arrive(), office.arrive()
    with pytest.raises(NotEligible, match="not signed in"):
        office.do(c.Pick(agent="ana", interaction=first))
    for name in ("ana", "sue"):
        office.do(c.OpenSession(agent=name, session="s"))
    with pytest.raises(NotEligible, match="requirement"):
        office.do(c.Pick(agent="sue", interaction=first))
    out = office.do(c.Pick(agent="ana", interaction=second))
    assert [(event.cause, event.by) for event in happened(out, e.OfferMade)] == [("pick", "")]
    assert office.item(second).owner == "ana"
    with pytest.raises(NoCapacity):
        office.do(c.Pick(agent="ana", interaction=first))
    with pytest.raises(NotFound):
        office.do(c.Pick(agent="ana", interaction=99))


@pytest.mark.promise("MV-4")
def test_what_is_offered_or_owned_cannot_be_picked() -> None:
    given(arrived(1), e.OfferMade(1, 1, "ana", 20_000)).when(c.Pick(agent="ben", interaction=1)).refuses(IllegalMove)
    given(*ANA_HAS_IT).when(c.Pick(agent="ben", interaction=1)).refuses(IllegalMove)


@pytest.mark.promise("MV-4", "OB-5")
def test_an_assignment_obeys_too_unless_it_says_so_and_then_it_is_audited() -> None:
    office = Office(ready=("ana", "sue"))
    office.accept(office.arrive(), "ana")
    number = office.arrive()
    with pytest.raises(NoCapacity):
        office.do(c.Assign(interaction=number, agent="ana", by="operator:sam"))
    with pytest.raises(NotEligible):
        office.do(c.Assign(interaction=number, agent="sue", by="operator:sam"))
    with pytest.raises(NotEligible):
        office.do(c.Assign(interaction=number, agent="ben", by="operator:sam", override=True))
    out = office.do(c.Assign(interaction=number, agent="ana", by="operator:sam", override=True, why="VIP"))
    audit = happened(out, e.OfferMade)[0]
    assert (audit.cause, audit.by, audit.why) == ("assign-override", "operator:sam", "VIP")
    assert office.item(number).owner == "ana"


@pytest.mark.promise("MV-4")
def test_assigning_what_an_agent_is_being_offered_needs_no_second_room() -> None:
    office = Office(ready=("ana",))
    number = office.arrive()
    out = office.do(c.Assign(interaction=number, agent="ana", by="operator:sam"))
    assert [type(event) for event in out.events] == [e.OfferWithdrawn, e.OfferMade, e.OfferAccepted]
    with pytest.raises(IllegalMove, match="already"):
        office.do(c.Assign(interaction=number, agent="ana", by="operator:sam"))


@pytest.mark.promise("MV-4")
def test_whoever_is_leaving_takes_nothing_more() -> None:
    office = Office(ready=("ana",))
    office.active("chat")
    number = office.arrive("chat")
    office.configure(agents_with(OFFICE, ben=Agent(skills={"support": 1})))
    assert office.state.agents["ana"].retired
    for command in (
        c.Pick(agent="ana", interaction=number),
        c.Assign(interaction=number, agent="ana", by="operator:sam", override=True),
        c.Transfer(interaction=number, to=c.Target(agent="ana"), by="operator:sam"),
    ):
        with pytest.raises(NotEligible):
            office.do(command)


@pytest.mark.promise("MV-4", "CP-3")
def test_no_override_counts_further_than_a_load_can_count() -> None:
    config: Config = replace(OFFICE, channels={"email": Channel()})
    office = Office(config, ready=("ana",))
    office.engine.quiet = True
    for i in range(255):
        ask = c.Arrive(channel="email", threads=(f"m{i}",))
        number = office.engine.handle(ask, office.now_ms).reply.interaction
        assign = c.Assign(interaction=number, agent="ana", by="operator:sam", override=True)
        office.engine.handle(assign, office.now_ms)
    ana = office.state.agents["ana"]
    assert (len(ana.work), ana.load) == (255, 255)
    last = office.engine.handle(c.Arrive(channel="email", threads=("last",)), office.now_ms).reply.interaction
    with pytest.raises(NoCapacity):
        office.engine.handle(replace(assign, interaction=last), office.now_ms)


@pytest.mark.promise("MV-1")
def test_whoever_leaves_while_given_to_an_agent_is_forgotten_by_them() -> None:
    """Once it was closed and no longer at hand, the agent's sign-out looked for it and found nothing."""
    office = Office(replace(OFFICE, memory=Memory(closed=1)), ready=("ana",))
    office.active()
    given = office.arrive()
    office.do(c.Transfer(interaction=given, to=c.Target(agent="ana"), by="operator:sam"))
    for number in (given, office.arrive()):
        office.do(c.Leave(thread=office.thread(number)))
    assert given not in office.state.interactions
    office.sign_out("ana")


def test_a_burst_after_a_transfer_is_served_in_order() -> None:
    office = Office(ready=("ana",))
    number = office.active()
    waiting = office.arrive()
    out = office.do(c.Transfer(agent="ana", interaction=number, to=c.Target(queue="support")))
    assert made(out) == [(number, "ana")]
    assert office.state_of(waiting) == "queued"
