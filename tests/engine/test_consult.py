"""Consult and conference: the owner asks somebody and stays the owner; whatever happens, there is one (MV-1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine import invariants
from router.engine.config import Agent, Consulting
from router.engine.engine import Engine
from router.engine.events import Message
from router.engine.explain import explain
from router.engine.lookups import agent_view, interaction_view
from router.engine.model import State
from router.engine.requirements import Node
from router.engine.transitions import ACTIVE, CLOSED, STATE_NAMES
from router.engine.views import Inform, Tell
from router.errors import BadMessage, IllegalMove, NotEligible, NotFound, NotOwner, NotSupported, UnknownName
from router.journal import codec
from tests.engine.support.office import OFFICE, Office, agents_with, happened, seconds
from tests.engine.support.walk import Walk

pytestmark = pytest.mark.promise("MV-1")

SUE = c.Target(agent="sue")


def asking(channel: str = "chat", to: c.Target = SUE, **more: Any) -> tuple[Office, int, int]:
    """Ana has an interaction and asks; answers with the office, the interaction and the consult."""
    office = Office(ready=("ana", "sue"))
    number = office.active(channel, **more)
    office.do(c.Consult(agent="ana", interaction=number, to=to))
    return office, number, office.state.consults[number].leg


def consulting(channel: str = "chat", **more: Any) -> tuple[Office, int, int]:
    office, number, leg = asking(channel, **more)
    assert office.accept(leg) == "sue"
    return office, number, leg


def conference(channel: str = "chat", **more: Any) -> tuple[Office, int, int]:
    office, number, leg = consulting(channel, **more)
    office.do(c.JoinConsult(agent="ana", interaction=number))
    return office, number, leg


def alone(office: Office, number: int, leg: int, why: str) -> None:
    """Ana has it again, and nothing of the consult is left."""
    assert office.item(number).owner == "ana"
    assert not office.state.consults
    assert (office.state_of(leg), office.item(leg).reason) == ("closed", why)
    assert office.state.agents["sue"].load == 0
    assert not office.state.agents["sue"].work
    assert not office.state.offers


# --- asking -----------------------------------------------------------------------------------------------------------


def test_who_is_asked_gets_an_offer_like_any_other_and_the_owner_stays_the_owner() -> None:
    office, number, leg = asking()
    assert office.offered_to(leg) == ["sue"]
    assert office.item(number).owner == "ana"
    assert office.state.agents["sue"].load == office.state.unit("chat")
    office.accept(leg)
    assert (office.item(number).owner, office.item(leg).owner) == ("ana", "sue")
    assert office.state.agents["sue"].load == office.state.unit("chat"), "counted once"


def test_a_colleague_is_asked_for_what_they_know_whatever_the_queue_asks_of_its_own() -> None:
    """Sue has no skill of the support queue: no transfer to her is possible, a consult is."""
    office = Office(ready=("ana", "sue"))
    number = office.active("chat")
    with pytest.raises(NotEligible):
        office.do(c.Transfer(agent="ana", interaction=number, to=SUE))
    office.do(c.Consult(agent="ana", interaction=number, to=SUE))
    assert office.offered_to(office.state.consults[number].leg) == ["sue"]


@pytest.mark.parametrize(
    ("to", "who"),
    [
        (c.Target(queue="sales"), "sue"),
        (c.Target(queue="support"), "ben"),
        (c.Target(requirement=Node(skill="support", op="<=", level=4)), "sue"),
    ],
)
def test_a_queue_or_a_requirement_is_asked_and_never_the_owner(to: c.Target, who: str) -> None:
    """Ana has room for one more chat and fits her own queue; she is not asked what she asks."""
    staff = {"ana": Agent(skills={"support": 5}), "ben": Agent(skills={"support": 5}), "sue": OFFICE.agents["sue"]}
    office = Office(agents_with(OFFICE, **staff), ready=("ana",))
    number = office.active("chat")
    for name in ("sue", "ben"):
        office.ready(name)
    office.do(c.Consult(agent="ana", interaction=number, to=to))
    leg = office.state.consults[number].leg
    assert office.offered_to(leg) == [who]


def test_capacity_applies_to_who_is_asked() -> None:
    """Sue talks to somebody: the consult waits until she is free."""
    office = Office(ready=("ana", "sue"))
    number = office.active("phone")
    other = office.arrive("phone")
    office.do(c.Transfer(interaction=other, to=c.Target(queue="sales"), by="operator:sam"))
    office.accept(other, "sue")
    office.do(c.Consult(agent="ana", interaction=number, to=SUE))
    leg = office.state.consults[number].leg
    assert office.state_of(leg) == "queued"
    office.complete(other)
    assert office.offered_to(leg) == ["sue"]


@pytest.mark.parametrize(
    ("to", "error"),
    [
        (c.Target(), BadMessage),
        (c.Target(queue="sales", agent="sue"), BadMessage),
        (c.Target(queue="sails"), UnknownName),
        (c.Target(agent="zoe"), NotFound),
        (c.Target(agent="ana"), IllegalMove),
        (c.Target(agent="ben"), NotEligible),
        (c.Target(requirement=Node(skill="x")), UnknownName),
        (c.Target(address="tel:+15550123"), NotSupported),
    ],
)
def test_what_cannot_be_asked_is_refused_and_nothing_changes(to: c.Target, error: type[Exception]) -> None:
    office = Office(ready=("ana", "sue"))
    number = office.active("email")
    before = office.engine.snapshot()
    with pytest.raises(error):
        office.do(c.Consult(agent="ana", interaction=number, to=to))
    assert office.engine.snapshot() == before


def test_only_the_owner_of_something_active_asks_and_one_question_at_a_time() -> None:
    office, number, leg = consulting()
    for agent, about, error in (
        ("ben", number, NotOwner),
        ("ana", number, IllegalMove),
        ("sue", leg, IllegalMove),
        ("sue", number, NotOwner),
    ):
        with pytest.raises(error):
            office.do(c.Consult(agent=agent, interaction=about, to=c.Target(queue="sales")))


# --- how it goes on ---------------------------------------------------------------------------------------------------


def test_the_owner_completes_it_and_who_was_asked_becomes_the_owner() -> None:
    office, number, leg = consulting()
    out = office.do(c.CompleteConsult(agent="ana", interaction=number))
    assert happened(out, e.ConsultCompleted) == [e.ConsultCompleted(number, leg, "ana", "sue", "completed")]
    assert (office.item(number).owner, office.state_of(number)) == ("sue", "active")
    assert (office.state_of(leg), office.state.consults) == ("closed", {})
    assert office.state.agents["ana"].load == 0
    assert office.state.agents["sue"].load == office.state.unit("chat"), "one interaction, counted once"
    office.do(c.Complete(agent="sue", interaction=number))
    assert office.state_of(number) == "closed"


@pytest.mark.parametrize(("agent", "why"), [("ana", "cancelled"), ("sue", "left")])
@pytest.mark.parametrize("by_consult", [False, True])
def test_either_side_ends_it_and_the_owner_goes_on_alone(agent: str, why: str, by_consult: bool) -> None:
    office, number, leg = conference()
    office.do(c.EndConsult(agent=agent, interaction=leg if by_consult else number))
    alone(office, number, leg, why)
    assert not office.do(c.EndConsult(agent=agent, interaction=number)).events, "once is enough"


def test_who_was_asked_leaves_by_completing_what_they_have() -> None:
    office, number, leg = consulting()
    office.do(c.Complete(agent="sue", interaction=leg))
    alone(office, number, leg, "left")


def test_a_stranger_ends_nothing() -> None:
    office, number, leg = consulting()
    for about in (number, leg):
        with pytest.raises(NotOwner):
            office.do(c.EndConsult(agent="ben", interaction=about))


def test_nothing_is_completed_or_joined_before_somebody_answered() -> None:
    office, number, _ = asking()
    for command in (c.CompleteConsult, c.JoinConsult):
        with pytest.raises(IllegalMove, match="nobody has answered"):
            office.do(command(agent="ana", interaction=number))
        with pytest.raises(NotOwner):
            office.do(command(agent="sue", interaction=number))


def test_between_the_two_there_is_nothing_to_hold_or_give_on() -> None:
    office, _, leg = consulting()
    for command in (
        c.Hold(agent="sue", interaction=leg),
        c.Resume(agent="sue", interaction=leg),
        c.Transfer(agent="sue", interaction=leg, to=c.Target(queue="support")),
        c.Requeue(interaction=leg, by="operator:sam"),
    ):
        with pytest.raises(IllegalMove):
            office.do(command)


# --- how it fails -----------------------------------------------------------------------------------------------------


def test_a_consult_that_is_declined_returns_to_the_owner() -> None:
    office, number, leg = asking()
    office.decline(leg)
    alone(office, number, leg, "declined")


def test_a_consult_that_is_missed_returns_to_the_owner() -> None:
    office, number, leg = asking()
    office.sleep_s(20)
    alone(office, number, leg, "missed")


@pytest.mark.parametrize("leave", [Office.pause, Office.sign_out])
def test_a_consult_whose_agent_goes_returns_to_the_owner(leave: Callable[[Office, str], object]) -> None:
    office, number, leg = asking()
    leave(office, "sue")
    alone(office, number, leg, "nobody")


def test_a_consult_that_nobody_answers_returns_to_the_owner_in_time() -> None:
    office = Office(ready=("ana",))
    number = office.active("chat")
    office.do(c.Consult(agent="ana", interaction=number, to=c.Target(queue="sales")))
    leg = office.state.consults[number].leg
    office.sleep_s(59.999)
    assert office.state_of(leg) == "queued"
    office.sleep_s(0.001)
    alone(office, number, leg, "nobody")


def test_without_a_limit_a_consult_waits_as_long_as_the_owner_likes() -> None:
    office = Office(ready=("ana",))
    office.configure(replace(OFFICE, consult=Consulting(seconds(0))))
    number = office.active("chat")
    office.do(c.Consult(agent="ana", interaction=number, to=c.Target(queue="sales")))
    office.sleep_s(3_600)
    office.ready("sue")
    assert office.offered_to(office.state.consults[number].leg) == ["sue"]


def test_a_queue_is_asked_one_agent_after_the_other_and_not_over_and_over() -> None:
    staff = {name: Agent(skills={"sales": 5}) for name in ("sue", "tom")}
    office = Office(agents_with(OFFICE, ana=OFFICE.agents["ana"], **staff), ready=("ana", "sue", "tom"))
    number = office.active("chat")
    office.do(c.Consult(agent="ana", interaction=number, to=c.Target(queue="sales")))
    leg = office.state.consults[number].leg
    assert {office.decline(leg), office.decline(leg)} == {"sue", "tom"}
    alone(office, number, leg, "declined")


def test_who_was_asked_does_not_come_back_and_the_owner_goes_on() -> None:
    office, number, leg = consulting()
    office.sign_out("sue")
    office.sleep_s(29.999)
    assert office.state_of(leg) == "active", "a reconnect within the grace changes nothing"
    office.sleep_s(0.001)
    alone(office, number, leg, "agent-lost")


# --- the customer, the owner, an operator -----------------------------------------------------------------------------

Stage = Callable[[], tuple[Office, int, int]]


@pytest.mark.parametrize("stage", [asking, consulting, conference])
def test_the_customer_leaves_and_all_is_over(stage: Stage) -> None:
    office, number, leg = stage()
    office.do(c.Leave(thread=office.thread(number)))
    assert (office.state_of(number), office.state_of(leg)) == ("closed", "closed")
    assert all(agent.load == 0 for agent in office.state.agents.values())
    assert not office.state.offers


@pytest.mark.parametrize("stage", [asking, consulting, conference])
def test_the_owner_ends_the_contact_and_the_consult_with_it(stage: Stage) -> None:
    office, number, leg = stage()
    office.complete(number)
    assert (office.state_of(number), office.state_of(leg)) == ("closed", "closed")
    assert office.item(leg).reason == "over"


def test_an_owner_who_gives_it_on_elsewhere_ends_the_consult() -> None:
    office, number, leg = consulting()
    office.do(c.Transfer(agent="ana", interaction=number, to=c.Target(queue="sales")))
    assert office.item(leg).reason == "over"
    assert office.offered_to(number) == ["sue"], "who was asked is free again"


def test_the_owner_is_lost_from_a_conference_and_the_colleague_becomes_the_owner() -> None:
    office, number, leg = conference()
    office.sign_out("ana")
    office.sleep_s(29.999)
    assert office.item(number).owner == "ana", "a reconnect within the grace changes nothing"
    office.sleep_s(0.001)
    assert (office.item(number).owner, office.state_of(number)) == ("sue", "active")
    assert office.state_of(leg) == "closed"
    assert office.state.agents["ana"].load == 0


def test_the_owner_is_lost_from_a_consult_and_the_customer_waits_again() -> None:
    office, number, leg = consulting()
    office.sign_out("ana")
    office.sleep_s(30)
    assert (office.state_of(number), office.item(number).lifted) == ("queued", True)
    assert office.item(leg).reason == "over"


def test_both_are_lost_from_a_conference_and_the_customer_waits_again() -> None:
    office, number, leg = conference()
    office.sign_out("sue")
    office.sign_out("ana")
    office.sleep_s(30)
    assert office.state_of(number) == "queued"
    assert office.state_of(leg) == "closed"


def test_an_operator_ends_a_consult_and_leaves_the_contact_alone() -> None:
    office, number, leg = asking()
    office.do(c.Close(interaction=leg, by="operator:sam", why="busy day"))
    alone(office, number, leg, "closed")


def test_an_operator_who_reassigns_the_contact_ends_the_consult() -> None:
    office, number, leg = consulting()
    office.do(c.OpenSession(agent="ben", session="s"))
    office.do(c.Assign(interaction=number, agent="ben", by="operator:sam"))
    assert office.item(number).owner == "ben"
    assert office.item(leg).reason == "over"


def test_nobody_is_made_to_consult_themselves() -> None:
    office, _, leg = asking()
    with pytest.raises(NotEligible):
        office.do(c.Assign(interaction=leg, agent="ana", by="operator:sam", override=True))


def test_a_pending_pause_takes_effect_when_the_consult_ends() -> None:
    office, number, _ = consulting()
    office.pause("sue", "lunch")
    assert office.state.agents["sue"].declared == "ready"
    office.do(c.EndConsult(agent="ana", interaction=number))
    assert office.state.agents["sue"].reason == "lunch"


# --- what is said -----------------------------------------------------------------------------------------------------


def told(office: Office, command: c.AnyCommand) -> dict[str, list[type[e.Event]]]:
    found: dict[str, list[type[e.Event]]] = {}
    for effect in office.do(command).effects:
        if isinstance(effect, Tell):
            found.setdefault(effect.agent, []).append(type(effect.event))
    return found


def test_between_the_two_is_private_and_no_channel_hears_of_it() -> None:
    office, number, leg = consulting()
    for agent in ("ana", "sue"):
        out = office.do(c.Say(agent=agent, interaction=leg, message=Message(f"{agent} says")))
        assert not [effect for effect in out.effects if isinstance(effect, Inform)]
        assert {effect.agent for effect in out.effects if isinstance(effect, Tell)} == {"ana", "sue"}
    assert not office.state.outbound
    s = office.state
    customers = interaction_view(s, s.interactions[number], s.agents["ana"], full=True)
    assert customers.messages == ()
    assert customers.consult
    assert [m.text for m in customers.consult.messages or ()] == ["ana says", "sue says"]


def test_who_is_asked_sees_what_was_said_and_hears_what_is_being_said() -> None:
    office, number, leg = asking(message=Message("my bill is wrong"))
    office.say(number, "let me ask")
    out = office.do(c.Accept(agent="sue", offer=office.offers_of(leg)[0].number))
    shown = next(effect.interaction for effect in out.effects if isinstance(effect, Tell) and effect.agent == "sue")
    assert shown
    assert [m.text for m in shown.messages] == ["my bill is wrong", "let me ask"]
    assert shown.consult
    assert (shown.consult.role, shown.consult.of, shown.consult.state) == ("consulted", f"i-{number}", "consulting")
    heard = told(office, c.Append(thread=office.thread(number), message=Message("hello?")))
    assert heard == {"ana": [e.MessageAdded], "sue": [e.MessageAdded]}


def test_only_in_a_conference_both_speak_to_the_customer() -> None:
    office, number, _ = consulting()
    to_customer = c.Say(agent="sue", interaction=number, message=Message("hi"))
    with pytest.raises(NotOwner):
        office.do(to_customer)
    office.do(c.JoinConsult(agent="ana", interaction=number))
    out = office.do(to_customer)
    assert [effect.agent_name for effect in out.effects if isinstance(effect, Inform)] == ["sue"]
    assert [letter.agent for letter in office.state.outbound.values()] == ["sue"], "the chat's gateway sends it"


def test_the_owner_may_say_what_it_is_about_before_anybody_answers() -> None:
    office, _, leg = asking()
    office.do(c.Say(agent="ana", interaction=leg, message=Message("about a refund")))
    out = office.do(c.Accept(agent="sue", offer=office.offers_of(leg)[0].number))
    shown = next(effect.interaction for effect in out.effects if isinstance(effect, Tell) and effect.agent == "sue")
    assert shown
    assert shown.consult
    assert [m.text for m in shown.consult.messages or ()] == ["about a refund"]


def test_everybody_is_told_what_concerns_them() -> None:
    office = Office(ready=("ana", "sue"))
    number = office.active("chat")
    assert told(office, c.Consult(agent="ana", interaction=number, to=SUE)) == {
        "ana": [e.ConsultStarted],
        "sue": [e.OfferMade],
    }
    leg = office.state.consults[number].leg
    accept = c.Accept(agent="sue", offer=office.offers_of(leg)[0].number)
    assert told(office, accept) == {"sue": [e.OfferAccepted], "ana": [e.ConsultAnswered]}
    assert told(office, c.JoinConsult(agent="ana", interaction=number)) == {
        "ana": [e.ConsultJoined],
        "sue": [e.ConsultJoined],
    }
    assert told(office, c.CompleteConsult(agent="ana", interaction=number)) == {
        "ana": [e.ConsultCompleted],
        "sue": [e.ConsultCompleted],
    }


def test_a_snapshot_of_an_agent_shows_the_consult_from_their_side() -> None:
    office, number, leg = conference()
    views = {name: agent_view(office.state, office.state.agents[name]).interactions for name in ("ana", "sue")}
    ana, sue = views["ana"][0], views["sue"][0]
    assert (ana.id, sue.id) == (f"i-{number}", f"i-{leg}")
    assert ana.consult
    assert sue.consult
    assert (ana.consult.role, sue.consult.role) == ("owner", "consulted")
    assert ana.consult.state == sue.consult.state == "conference"


def test_it_is_explained_in_words() -> None:
    office, number, leg = consulting()
    for about in (number, leg):
        story = explain(office.state, about, office.now_ms)["consult"]
        assert story["summary"] == "ana consults sue and stays the owner"


# --- gateways ---------------------------------------------------------------------------------------------------------


def phone() -> tuple[Office, int]:
    config = OFFICE
    actions = (*config.channels["phone"].actions, "consulted", "conference", "handed-over", "consult-over")
    channels = {**config.channels, "phone": replace(config.channels["phone"], actions=actions)}
    staff = {**config.agents, "sue": Agent(skills={"sales": 5}, endpoint="sip:sue@pbx")}
    office = Office(replace(config, channels=channels, agents=staff), ready=("ana", "sue"))
    return office, office.active("phone")


def letters(office: Office) -> list[tuple[str, str, str]]:
    return [(letter.action, letter.agent, letter.endpoint) for letter in office.state.outbound.values()][1:]


def test_a_gateway_is_ordered_step_by_step_about_the_call_that_it_has() -> None:
    office, number = phone()
    office.do(c.Consult(agent="ana", interaction=number, to=SUE))
    assert letters(office) == [], "nobody's telephone rings before they accepted"
    office.accept(office.state.consults[number].leg)
    office.do(c.JoinConsult(agent="ana", interaction=number))
    office.do(c.CompleteConsult(agent="ana", interaction=number))
    assert letters(office) == [
        ("consulted", "sue", "sip:sue@pbx"),
        ("conference", "sue", "sip:sue@pbx"),
        ("handed-over", "sue", "sip:sue@pbx"),
    ]
    assert {letter.threads for letter in office.state.outbound.values()} == {office.item(number).threads}


def test_a_gateway_that_cannot_reach_who_was_asked_fails_the_consult() -> None:
    office, number = phone()
    office.do(c.Consult(agent="ana", interaction=number, to=SUE))
    leg = office.state.consults[number].leg
    office.accept(leg)
    office.do(c.FailConsult(thread=office.thread(number), reason="busy"))
    alone(office, number, leg, "connect-failed")
    assert letters(office)[-1][0] == "consult-over"
    assert not office.do(c.FailConsult(thread=office.thread(number))).events, "said twice"


OUTSIDE = c.Target(address="tel:+15550123")


def test_an_outside_address_is_asked_joined_and_given_the_call() -> None:
    office, number = phone()
    office.do(c.Consult(agent="ana", interaction=number, to=OUTSIDE))
    assert letters(office) == [("consulted", "", "tel:+15550123")]
    with pytest.raises(IllegalMove, match="nobody has answered"):
        office.do(c.CompleteConsult(agent="ana", interaction=number))
    office.do(c.ConfirmConsult(thread=office.thread(number)))
    assert not office.do(c.ConfirmConsult(thread=office.thread(number))).events, "said twice"
    office.do(c.JoinConsult(agent="ana", interaction=number))
    office.do(c.CompleteConsult(agent="ana", interaction=number))
    assert office.state_of(number) == "closed"
    assert [letter[0] for letter in letters(office)] == ["consulted", "conference", "transferred"]
    assert not office.state.consults


def test_an_outside_address_that_does_not_answer_returns_to_the_owner() -> None:
    office, number = phone()
    office.do(c.Consult(agent="ana", interaction=number, to=OUTSIDE))
    office.sleep_s(60)
    assert office.item(number).owner == "ana"
    assert letters(office)[-1] == ("consult-over", "", "tel:+15550123")


# --- wherever a history breaks off ------------------------------------------------------------------------------------


def one_owner(s: State) -> None:
    """Everything that is active has one owner, who knows of it, and no consult is about anything else."""
    for item in s.interactions.values():
        holders = [agent.id for agent in s.agents.values() if item.number in agent.work]
        assert holders == ([item.owner] if item.state in (ACTIVE, 4) else []), STATE_NAMES[item.state]
    for number, consult in s.consults.items():
        assert s.interactions[number].state == ACTIVE
        assert not consult.leg or s.interactions[consult.leg].state != CLOSED


def stories() -> list[Office]:
    found = [stage()[0] for stage in (asking, consulting, conference)]
    endings: tuple[Callable[[Office, int, int], object], ...] = (
        lambda o, n, leg: o.do(c.CompleteConsult(agent="ana", interaction=n)),
        lambda o, n, leg: o.do(c.EndConsult(agent="ana", interaction=n)),
        lambda o, n, leg: o.do(c.EndConsult(agent="sue", interaction=leg)),
        lambda o, n, leg: o.do(c.Leave(thread=o.thread(n))),
        lambda o, n, leg: (o.sign_out("ana"), o.sleep_s(31)),  # type: ignore[func-returns-value]
        lambda o, n, leg: (o.sign_out("sue"), o.sleep_s(31)),  # type: ignore[func-returns-value]
    )
    for ending in endings:
        office, number, leg = conference()
        ending(office, number, leg)
        found.append(office)
    return found


@pytest.mark.promise("DU-1")
@pytest.mark.parametrize("office", stories())
def test_a_process_that_dies_after_any_record_leaves_one_owner(office: Office) -> None:
    dies_after_each_record(office.checked.payloads, office.now_ms)


@pytest.mark.promise("DU-1")
@pytest.mark.parametrize("seed", range(700, 704))
def test_a_process_that_dies_after_any_record_of_a_walk_leaves_one_owner(seed: int) -> None:
    walk = Walk(seed, thrift=1_000).run(120)
    dies_after_each_record(walk.checked.payloads, walk.now_ms)


def dies_after_each_record(payloads: list[bytes], now_ms: int) -> None:
    engine = Engine()
    for payload in payloads:
        engine.apply(codec.decode(payload))
        again = Engine.restore(engine.snapshot())
        again.resume()
        again.handle(c.Restart(), engine.state.now_ms)
        one_owner(again.state)
        again.handle(c.Tick(), now_ms + 86_400_000)
        one_owner(again.state)
        assert not [wrong for check in invariants.STEP for wrong in check(again.state)]


def no_leg(s: State) -> None:
    s.legs.clear()


def no_contact(s: State) -> None:
    s.interactions[next(iter(s.consults))].state = CLOSED


def oneself(s: State) -> None:
    number, consult = next(iter(s.consults.items()))
    s.interactions[consult.leg].owner = s.interactions[number].owner


def unanswered(s: State) -> None:
    next(iter(s.consults.values())).answered_at_ms = 0


def forgotten(s: State) -> None:
    s.consults.clear()


@pytest.mark.parametrize("damage", [no_leg, no_contact, oneself, unanswered, forgotten], ids=lambda d: d.__name__)
def test_damage_to_a_consult_is_noticed(damage: Callable[[State], None]) -> None:
    office, _, _ = conference()
    assert not invariants.broken(office.state)
    damage(office.state)
    assert invariants.broken(office.state)


def test_a_consult_survives_a_restart_if_both_come_back() -> None:
    office, number, leg = conference()
    office.checked.restart(office.now_ms)
    for name in ("ana", "sue"):
        office.do(c.OpenSession(agent=name, session="t"))
    office.sleep_s(60)
    assert (office.item(number).owner, office.item(leg).owner) == ("ana", "sue")
    office.do(c.CompleteConsult(agent="ana", interaction=number))
    assert office.item(number).owner == "sue"
