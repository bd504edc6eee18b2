"""Agents come, pause, vanish and come back; wrap-up is kept by the server."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Agent, Channel, Presence, WrapUp
from router.engine.engine import Engine
from router.engine.requirements import Node
from router.errors import BadMessage, IllegalMove, NotFound, OfferGone
from tests.engine.support.office import (
    OFFICE,
    WRAPS,
    Office,
    agents_with,
    arrived,
    given,
    happened,
    made,
    office_with,
    seconds,
)

OFFERED_TO_ANA = (arrived(1), e.OfferMade(1, 1, "ana", 20_000))
ANA_HAS_IT = (*OFFERED_TO_ANA, e.OfferAccepted(1, 1, "ana"))
ALONE = agents_with(OFFICE, ana=Agent(skills={"support": 5}))


# --- available --------------------------------------------------------------------------------------------------------


@pytest.mark.promise("AG-1")
def test_available_means_declared_and_connected() -> None:
    office = Office()
    number = office.arrive()
    office.do(c.SetState(agent="ana", state="ready"))
    assert office.state_of(number) == "queued"
    office.do(c.OpenSession(agent="ana", session="s"))
    assert office.offered_to(number) == ["ana"]
    office.sign_out("ana")
    assert office.state_of(number) == "queued"
    office.do(c.OpenSession(agent="ana", session="t"))
    assert office.offered_to(number) == ["ana"], "what was declared outlives the connection"


@pytest.mark.promise("AG-1")
def test_losing_one_of_two_sessions_changes_nothing() -> None:
    two = (e.SessionOpened("ana", "tablet"), *OFFERED_TO_ANA)
    state = given(*two).when(c.CloseSession(agent="ana", session="s")).then(e.SessionClosed("ana", "s"))
    assert state.agents["ana"].available
    assert 1 in state.offers


@pytest.mark.promise("AG-1")
def test_a_session_is_opened_and_closed_once() -> None:
    given().when(c.OpenSession(agent="ana", session="s")).then()
    given().when(c.CloseSession(agent="ana", session="x")).then()
    given().when(c.CloseSession(agent="zoe", session="x")).then()


# --- lost -------------------------------------------------------------------------------------------------------------


@pytest.mark.promise("AG-2")
def test_losing_the_last_session_takes_offers_back_at_once() -> None:
    given(*OFFERED_TO_ANA).when(c.CloseSession(agent="ana", session="s", reason="network"), at_ms=5).then(
        e.SessionClosed("ana", "s", "network"),
        e.OfferWithdrawn(1, 1, "ana", "session-lost"),
        e.OfferMade(2, 1, "ben", 20_005),
    )


@pytest.mark.promise("AG-2")
def test_work_waits_a_grace_and_goes_back_with_its_time_and_a_lift() -> None:
    lost = (*ANA_HAS_IT, e.SessionClosed("ana", "s"))
    given(*lost).when(c.Tick(), at_ms=29_999).then()
    state = (
        given(*lost)
        .when(c.Tick(), at_ms=30_000)
        .then(e.GraceEnded("ana"), e.Requeued(1, "agent-lost", "ana", lifted=True), e.OfferMade(2, 1, "ben", 50_000))
    )
    assert state.interactions[1].enqueued_at_ms == 0
    assert state.interactions[1].lifted


@pytest.mark.promise("AG-2", "RT-1")
def test_the_lift_is_to_the_first_band() -> None:
    office = Office(ready=("ana",))
    lost = office.active()
    older = office.arrive(received_at_ms=office.now_ms - 900_000)
    office.sign_out("ana")
    office.sleep_s(30)
    office.ready("ben")
    assert office.state_of(lost) == "offered"
    assert office.state_of(older) == "queued"


@pytest.mark.promise("AG-2")
def test_coming_back_within_the_grace_changes_nothing() -> None:
    office = Office(ready=("ana", "ben"))
    number = office.active()
    office.sign_out("ana")
    office.pass_s(29.999)
    out = office.do(c.OpenSession(agent="ana", session="again"))
    assert [type(event) for event in out.events] == [e.SessionOpened]
    office.pass_s(600)
    assert office.item(number).owner == "ana"


@pytest.mark.promise("AG-2")
@pytest.mark.parametrize("where", ["channel", "queue"])
def test_by_policy_work_stays(where: str) -> None:
    config = office_with(agent_lost="stay")
    if where == "channel":
        config = replace(OFFICE, channels={**OFFICE.channels, "email": Channel(agent_lost="stay")})
    office = Office(config, ready=("ana", "ben"))
    number = office.active()
    office.sign_out("ana")
    office.pass_s(3_600)
    assert office.item(number).owner == "ana"
    office.ready("ana")
    office.complete(number)


@pytest.mark.promise("AG-2")
def test_nothing_stays_with_who_has_left_for_good() -> None:
    office = Office(office_with(agent_lost="stay"), ready=("ana", "ben"))
    number = office.active()
    office.sign_out("ana")
    office.pass_s(3_600)
    staff = {name: agent for name, agent in OFFICE.agents.items() if name != "ana"}
    office.configure(office_with(agents_with(OFFICE, **staff), agent_lost="stay"))
    assert office.offered_to(number) == ["ben"]
    assert "ana" not in office.state.agents


@pytest.mark.promise("AG-2", "RT-12")
def test_a_new_policy_holds_for_those_who_are_gone_already() -> None:
    office = Office(office_with(agent_lost="stay"), ready=("ana", "ben"))
    number = office.active()
    office.sign_out("ana")
    office.pass_s(3_600)
    office.configure(OFFICE)
    assert office.offered_to(number) == ["ben"]


@pytest.mark.promise("AG-2", "AG-7")
def test_the_wrap_up_of_somebody_who_is_gone_ends() -> None:
    config = office_with(agent_lost="stay", wrap_up=WrapUp("optional"))
    office = Office(config, ready=("ana",))
    one, two = office.active("chat"), office.active("chat")
    office.complete(one)
    office.sign_out("ana")
    office.pass_s(30)
    assert office.state_of(one) == "closed"
    assert office.state_of(two) == "active"
    office.do(c.Leave(thread=office.thread(two)))
    assert office.state_of(two) == "closed"
    assert office.state.agents["ana"].load == 0


@pytest.mark.promise("AG-2", "DU-1")
def test_after_a_restart_everybody_has_a_grace_to_come_back() -> None:
    office = Office(ready=("ana", "ben"))
    number = office.active()
    office.checked.restart(office.now_ms)
    office.pass_s(10)
    office.ready("ana", session="new")
    office.pass_s(600)
    assert office.item(number).owner == "ana"


@pytest.mark.promise("AG-2")
def test_a_pause_outlives_a_restart() -> None:
    office = Office(ready=("ana",))
    office.pause("ana", "lunch")
    office.checked.restart(office.now_ms)
    office.do(c.OpenSession(agent="ana", session="new"))
    assert (office.state.agents["ana"].declared, office.state.agents["ana"].reason) == ("not_ready", "lunch")


# --- repeated ---------------------------------------------------------------------------------------------------------


@pytest.mark.promise("AG-4")
def test_a_command_sent_again_has_the_same_answer_and_no_second_effect() -> None:
    office = Office(ready=("ana",))
    number = office.arrive()
    offer = office.offers_of(number)[0].number
    accept = c.Accept(agent="ana", offer=offer, key="agent:ana:1")
    first = office.do(accept)
    assert first.reply == c.Reply(interaction=number)
    for _ in range(10):
        again = office.do(accept)
        assert again.reply == c.Reply(interaction=number, duplicate=True)
        assert not again.events
        assert not again.effects
    fresh = c.Accept(agent="ana", offer=offer, key="agent:ana:2")
    with pytest.raises(OfferGone):
        office.do(fresh)


@pytest.mark.promise("AG-4", "DU-3")
def test_keys_are_known_after_a_restart_and_forgotten_after_their_time() -> None:
    office = Office(ready=("ana",))
    number = office.active()
    say = c.Say(agent="ana", interaction=number, message=e.Message("hello"), key="agent:ana:9")
    office.do(say)
    office.checked.restart(office.now_ms)
    office.ready("ana", "t")
    assert office.do(say).reply.duplicate
    office.pass_s(599)
    assert office.do(say).reply.duplicate
    office.pass_s(2)
    office.do(
        c.SetState(agent="ana", state="not_ready", reason="x", key="agent:ana:10")
    )  # a new key sweeps out old ones
    assert not office.do(say).reply.duplicate


@pytest.mark.promise("AG-4")
def test_a_key_of_an_agent_says_nothing_about_another() -> None:
    office = Office(ready=("ana", "ben"))
    office.do(c.SetState(agent="ana", state="not_ready", reason="x", key="agent:ana:1"))
    office.do(c.SetState(agent="ben", state="not_ready", reason="x", key="agent:ben:1"))
    assert not office.state.agents["ben"].available


# --- pausing ----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("AG-6")
def test_pausing_during_an_offer_takes_it_back() -> None:
    pause = c.SetState(agent="ana", state="not_ready", reason="lunch")
    given(*OFFERED_TO_ANA).when(pause, at_ms=5).then(
        e.StateChanged("ana", "not_ready", "lunch"),
        e.OfferWithdrawn(1, 1, "ana", "agent-paused"),
        e.OfferMade(2, 1, "ben", 20_005),
    )


@pytest.mark.promise("AG-6")
def test_a_pause_asked_for_at_work_takes_effect_when_the_work_ends() -> None:
    pause = c.SetState(agent="ana", state="not_ready", reason="lunch")
    asked = e.StateRequested("ana", "not_ready", "lunch")
    given(*ANA_HAS_IT).when(pause).then(asked)
    given(*ANA_HAS_IT, asked).when(c.Complete(agent="ana", interaction=1), at_ms=9).then(
        e.InteractionEnded(1, "completed", "ana"), e.StateChanged("ana", "not_ready", "lunch")
    )


@pytest.mark.promise("AG-6")
def test_whoever_asked_for_a_pause_gets_nothing_new_meanwhile() -> None:
    office = Office(ready=("ana",))
    office.active("chat")
    offered = office.arrive("chat")
    out = office.pause("ana")
    assert [event.reason for event in happened(out, e.OfferWithdrawn)] == ["agent-paused"]
    assert office.state_of(offered) == "queued"


@pytest.mark.promise("AG-6")
def test_the_last_state_asked_for_wins() -> None:
    office = Office(ready=("ana",))
    number = office.active()
    office.pause("ana", "lunch")
    office.pause("ana", "training")
    assert office.state.agents["ana"].requested_reason == "training"
    office.do(c.SetState(agent="ana", state="ready"))
    assert office.state.agents["ana"].available
    office.complete(number)
    assert office.offered_to(office.arrive()) == ["ana"]
    office.pause("ana", "a")
    office.ready("ana")
    office.pause("ana", "b")
    assert (office.state.agents["ana"].declared, office.state.agents["ana"].reason) == ("not_ready", "b")


@pytest.mark.promise("AG-6")
def test_the_reason_of_a_pause_can_be_changed_and_the_same_asked_twice_says_nothing() -> None:
    paused = e.StateChanged("ana", "not_ready", "lunch")
    given(paused).when(c.SetState(agent="ana", state="not_ready", reason="lunch")).then()
    given(paused).when(c.SetState(agent="ana", state="not_ready", reason="training")).then(
        e.StateChanged("ana", "not_ready", "training")
    )
    asked = (*ANA_HAS_IT, e.StateChanged("ana", "ready", "back"), e.StateRequested("ana", "not_ready"))
    given(*asked).when(c.SetState(agent="ana", state="not_ready", reason="back")).then(
        e.StateRequested("ana", "not_ready", "back")
    )
    given().when(c.SetState(agent="ana", state="not_ready", reason="x" * 201)).refuses(BadMessage)


@pytest.mark.promise("AG-6")
def test_a_pause_asked_for_at_work_takes_effect_however_the_work_ends() -> None:
    for end in ("complete", "leave", "requeue", "transfer", "fail", "close", "lease", "assign"):
        office = Office(ready=("ana",))
        number = office.active("phone", lease_ms=20_000)
        office.pause("ana", "lunch")
        office.do(c.OpenSession(agent="ben", session="s"))
        ways: dict[str, c.AnyCommand] = {
            "complete": c.Complete(agent="ana", interaction=number),
            "leave": c.Leave(thread=office.thread(number)),
            "requeue": c.Requeue(interaction=number, by="operator:sam"),
            "transfer": c.Transfer(interaction=number, agent="ana", to=c.Target(queue="sales")),
            "fail": c.FailConnection(thread=office.thread(number)),
            "close": c.Close(interaction=number, by="operator:sam"),
            "assign": c.Assign(interaction=number, agent="ben", by="operator:sam"),
        }
        if end == "lease":
            office.pass_s(20)
        else:
            office.do(ways[end])
        ana = office.state.agents["ana"]
        assert (ana.declared, ana.reason, ana.requested) == ("not_ready", "lunch", ""), end


# --- wrap-up ----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("AG-7")
def test_without_wrap_up_an_agent_is_free_at_once() -> None:
    office = Office(ready=("ana",))
    number = office.active()
    following = office.arrive()
    out = office.complete(number)
    assert made(out) == [(following, "ana")]
    assert office.state_of(number) == "closed"


@pytest.mark.promise("AG-7")
def test_an_optional_wrap_up_lasts_until_the_agent_is_done() -> None:
    office = Office(office_with(wrap_up=WrapUp("optional")), ready=("ana",))
    number = office.active()
    office.complete(number)
    office.pass_s(100_000)
    assert office.state_of(number) == "wrap-up"
    office.do(c.FinishWrapUp(agent="ana", interaction=number, disposition="sold", notes="happy"))
    item = office.item(number)
    assert (office.state_of(number), item.disposition) == ("closed", "sold")
    assert [remark.text for remark in item.remarks or ()] == ["happy"]


@pytest.mark.promise("AG-7")
def test_a_timed_wrap_up_ends_by_itself_and_can_be_extended_up_to_a_limit() -> None:
    ends = (*ANA_HAS_IT, e.InteractionEnded(1, "completed", "ana", True, 30_000))
    finished = e.WrapUpFinished(1, "ana", "timeout")
    given(*ends, config=WRAPS).when(c.Tick(), at_ms=29_999).then()
    given(*ends, config=WRAPS).when(c.Tick(), at_ms=30_000).then(finished)
    extend = c.ExtendWrapUp(agent="ana", interaction=1, by_ms=20_000)
    given(*ends, config=WRAPS).when(extend).then(e.WrapUpExtended(1, "ana", 50_000))
    longer = (*ends, e.WrapUpExtended(1, "ana", 50_000))
    given(*longer, config=WRAPS).when(c.Tick(), at_ms=30_000).then()
    given(*longer, config=WRAPS).when(extend, at_ms=30_000).then(e.WrapUpExtended(1, "ana", 60_000))
    longest = (*longer, e.WrapUpExtended(1, "ana", 60_000))
    given(*longest, config=WRAPS).when(extend).refuses(IllegalMove, "at most 1m")
    given(*longest, config=WRAPS).when(c.Tick(), at_ms=60_000).then(finished)
    given(*ends, config=WRAPS).when(c.ExtendWrapUp(agent="ana", interaction=1, by_ms=0)).refuses(BadMessage)


@pytest.mark.promise("AG-7")
def test_a_forced_wrap_up_lasts_its_full_time() -> None:
    office = Office(office_with(wrap_up=WrapUp("forced", seconds(15))), ready=("ana",))
    number = office.active()
    office.complete(number)
    for command in (
        c.FinishWrapUp(agent="ana", interaction=number),
        c.Complete(agent="ana", interaction=number),
        c.ExtendWrapUp(agent="ana", interaction=number, by_ms=1_000),
    ):
        with pytest.raises(IllegalMove):
            office.do(command)
    office.pass_s(15)
    assert office.state_of(number) == "closed"


@pytest.mark.promise("AG-7")
def test_wrap_up_needs_no_browser_and_survives_a_restart() -> None:
    office = Office(WRAPS, ready=("ana",))
    number = office.active()
    office.complete(number)
    due = office.engine.next_deadline_ms()
    assert Engine.restore(office.engine.snapshot()).next_deadline_ms() == due == office.now_ms + 30_000
    office.sign_out("ana")
    office.checked.restart(office.now_ms)
    office.pass_s(30)
    assert office.state_of(number) == "closed"


@pytest.mark.promise("AG-7")
def test_a_wrap_up_fills_the_agent() -> None:
    office = Office(WRAPS, ready=("ana",))
    number = office.active()
    office.complete(number)
    following = office.arrive()
    assert office.state_of(following) == "queued"
    office.complete(number)
    assert office.offered_to(following) == ["ana"]


@pytest.mark.promise("AG-7")
def test_whoever_is_disconnected_from_the_line_wraps_up_too() -> None:
    office = Office(WRAPS, ready=("ana",))
    number = office.active("phone")
    office.do(c.Leave(thread=office.thread(number)))
    assert office.state_of(number) == "wrap-up"
    assert office.item(number).reason == "customer-left"
    assert not office.do(c.Leave(thread=office.thread(number))).events


# --- live changes -----------------------------------------------------------------------------------------------------


@pytest.mark.promise("AG-8")
@pytest.mark.parametrize(
    "change", ["skill taken", "level lowered", "cap lowered", "team moved", "agent removed", "requirement raised"]
)
def test_an_open_offer_that_no_longer_fits_is_taken_back_in_the_same_pass(change: str) -> None:
    wanted = Node(all=(Node(skill="support", level=4), Node(team=("red",))))
    ana, ben = (Agent(skills={"support": 5}, team="red") for _ in range(2))
    config = office_with(agents_with(OFFICE, ana=ana, ben=ben), requirement=wanted)
    office = Office(config, ready=("ana", "ben"))
    number = office.arrive()
    changed = {
        "skill taken": replace(ana, skills={}),
        "level lowered": replace(ana, skills={"support": 3}),
        "cap lowered": replace(ana, caps={"email": 0}),
        "team moved": replace(ana, team="blue"),
    }
    if change == "agent removed":
        new = replace(config, agents={"ben": ben})
    elif change == "requirement raised":
        config = replace(config, agents={"ana": ana, "ben": replace(ben, skills={"support": 9})})
        new = office_with(config, requirement=Node(skill="support", level=9))
    else:
        new = replace(config, agents={"ana": changed[change], "ben": ben})
    out = office.configure(new)
    assert [event.reason for event in happened(out, e.OfferWithdrawn)] == ["no-longer-fits"]
    assert made(out) == [(number, "ben")]


@pytest.mark.promise("AG-8", "CP-2")
def test_a_lower_cap_takes_back_offers_but_never_work() -> None:
    ana = Agent(skills={"support": 5})
    office = Office(agents_with(OFFICE, ana=replace(ana, caps={"chat": 3})), ready=("ana",))
    working = [office.active("chat") for _ in range(2)]
    offered = office.arrive("chat")
    office.configure(agents_with(OFFICE, ana=replace(ana, caps={"chat": 1})))
    assert [office.state_of(number) for number in (*working, offered)] == ["active", "active", "queued"]
    office.complete(working[0])
    assert office.state_of(offered) == "queued"
    office.complete(working[1])
    assert office.offered_to(offered) == ["ana"]


@pytest.mark.promise("AG-8")
def test_whoever_is_removed_finishes_the_work_and_goes() -> None:
    staff = {name: agent for name, agent in OFFICE.agents.items() if name != "ana"}
    office = Office(ready=("ana",))
    number = office.active()
    office.configure(agents_with(OFFICE, **staff))
    assert office.state.agents["ana"].retired
    office.say(number)
    assert office.state_of(office.arrive()) == "queued"
    office.complete(number)
    assert "ana" not in office.state.agents
    with pytest.raises(NotFound):
        office.do(c.OpenSession(agent="ana", session="x"))
    office.do(c.Note(interaction=number, text="who was that?", by="operator:sam"))


@pytest.mark.promise("AG-8")
def test_whoever_is_removed_and_comes_back_goes_on() -> None:
    staff = {name: agent for name, agent in OFFICE.agents.items() if name != "ana"}
    office = Office(ready=("ana",))
    number = office.active()
    office.configure(agents_with(OFFICE, **staff))
    office.configure(OFFICE)
    office.complete(number)
    assert office.offered_to(office.arrive()) == ["ana"]


# --- ending once ------------------------------------------------------------------------------------------------------


@pytest.mark.promise("AG-9")
@pytest.mark.parametrize("config", [OFFICE, office_with(wrap_up=WrapUp("optional"))], ids=["no wrap-up", "wrap-up"])
def test_ten_endings_count_once(config: object) -> None:
    office = Office(config, ready=("ana",))  # type: ignore[arg-type]
    number = office.active()
    office.complete(number)
    if office.state_of(number) == "wrap-up":
        office.do(c.FinishWrapUp(agent="ana", interaction=number))
    office.ready("ben")
    stamps = {name: agent.stamp for name, agent in office.state.agents.items()}
    counters = [(q.waiting, q.offered, q.active) for q in office.state.queues.values()]
    for _ in range(10):
        assert not office.do(c.Complete(agent="ana", interaction=number)).events
        assert not office.do(c.FinishWrapUp(agent="ana", interaction=number)).events
        assert not office.do(c.Close(interaction=number, by="operator:sam")).events
    assert {name: agent.stamp for name, agent in office.state.agents.items()} == stamps
    assert [(q.waiting, q.offered, q.active) for q in office.state.queues.values()] == counters
    assert office.offered_to(office.arrive()) == ["ana"]


@pytest.mark.promise("AG-9")
def test_what_was_closed_long_ago_is_not_found() -> None:
    office = Office(replace(ALONE, memory=replace(OFFICE.memory, closed=1)), ready=("ana",))
    first, second = office.active(), 0
    office.complete(first)
    second = office.active()
    office.complete(second)
    assert list(office.state.interactions) == [second]
    with pytest.raises(NotFound):
        office.do(c.Complete(agent="ana", interaction=first))


@pytest.mark.promise("AG-2")
def test_no_grace_means_at_once() -> None:
    office = Office(replace(OFFICE, presence=Presence(grace=seconds(0))), ready=("ana", "ben"))
    number = office.active()
    office.sign_out("ana")
    office.pass_s(0)
    assert office.offered_to(number) == ["ben"]
