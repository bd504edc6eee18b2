"""Work that makes way for what may interrupt it (CP-1). That no position exceeds a cap is checked at every event."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.capacity import LOAD_BITS, LOAD_MASK, RESUMING, SOFT, SUSPENDED, Capacity, takes
from router.engine.config import Agent, Channel, Config, WrapUp
from router.engine.engine import Engine
from router.engine.explain import explain, why_not
from router.engine.lookups import agent_view, interaction_view, load_by_channel
from router.engine.plan import check_config
from router.errors import ConfigError, NoCapacity, OfferGone
from tests.engine.support.office import (
    EVERY_ACTION,
    OFFICE,
    Office,
    agents_with,
    arrived,
    given,
    happened,
    made,
    office_with,
    seconds,
)

SKILLED = {"support": 5}
# A call may interrupt mail and, in one office, chats too.
CHANNELS = {
    "phone": Channel(exclusive=True, interrupts=("email",), actions=EVERY_ACTION),
    "chat": Channel(cap=2, actions=("message", "ended")),
    "email": Channel(cap=2),
}
CALLS_FIRST = agents_with(replace(OFFICE, channels=CHANNELS), ana=Agent(skills=SKILLED))


def with_channels(config: Config = CALLS_FIRST, **changes: dict[str, Any]) -> Config:
    return replace(
        config, channels={name: replace(ch, **changes.get(name, {})) for name, ch in config.channels.items()}
    )


def two(config: Config = CALLS_FIRST) -> Config:
    return agents_with(config, ana=Agent(skills=SKILLED), ben=Agent(skills=SKILLED))


def suspended(office: Office, number: int) -> bool:
    return office.state.suspended(office.item(number))


def load(office: Office, agent: str = "ana") -> dict[str, int]:
    return load_by_channel(office.state, office.state.agents[agent])


def interrupted(config: Config = CALLS_FIRST) -> tuple[Office, int, int]:
    """Ana has put a mail aside for a call."""
    office = Office(config, ready=("ana",))
    mail = office.active("email")
    office.pass_s(10)
    call = office.arrive("phone")
    office.accept(call)
    assert suspended(office, mail)
    return office, mail, call


# --- the load function ------------------------------------------------------------------------------------------------


def spelled_out(held: tuple[int, ...], soft: tuple[int, ...], aside: tuple[int, ...], due: bool, new: int) -> str:
    """Rules 1 to 6 for three channels: a call (exclusive, may interrupt both), a chat (may interrupt mail), a mail."""
    prey = ((1, 2), (2,), ())[new]

    def room(have: list[int]) -> bool:
        if have[0] or (new == 0 and any(have)):
            return False
        return have[new] < (1, 2, 3)[new] and 2 * have[0] + have[1] + 2 * have[2] + (2, 1, 2)[new] <= 4

    if due or any(n and i not in prey for i, n in enumerate(aside)):
        return "none"
    if room(list(held)):
        return "free"
    rest = [n - soft[i] if i in prey else n for i, n in enumerate(held)]
    return "by interruption" if rest != list(held) and room(rest) else "none"


@pytest.mark.promise("CP-1", "CP-3")
def test_the_written_precedence_for_all_small_loads_with_interruptions() -> None:
    capacity = Capacity((1, 2, 3), 4, (2, 1, 2), (True, False, False), (0b110, 0b100, 0))

    def pack(counts: tuple[int, ...]) -> int:
        return sum(n << LOAD_BITS * i for i, n in enumerate(counts))

    met = set()
    for held in product(range(2), range(3), range(3)):
        for soft in product(*(range(n + 1) for n in held)):
            for aside, due in product(product((0,), range(2), range(3)), (False, True)):
                if due and not any(aside):
                    continue
                room = capacity.room(
                    pack(held) | pack(soft) << SOFT | pack(aside) << SUSPENDED | (RESUMING if due else 0)
                )
                for new in range(3):
                    expected = spelled_out(held, soft, aside, due, new)
                    met.add(expected)
                    assert bool(room >> new & 1) == (expected == "free"), (held, soft, aside, due, new)
                    assert takes(room, new) == (expected != "none"), (held, soft, aside, due, new)
    assert met == {"free", "by interruption", "none"}


@pytest.mark.promise("CP-2")
def test_within_is_what_room_leads_to() -> None:
    """One more of whatever there is room for never exceeds a cap, the budget or exclusivity."""
    capacity = Capacity((1, 2, 3), 4, (2, 1, 2), (True, False, False))
    for held in product(range(2), range(3), range(4)):
        packed = sum(n << LOAD_BITS * i for i, n in enumerate(held))
        for i in range(3):
            more = packed + (1 << LOAD_BITS * i)
            if capacity.within(packed):
                assert capacity.within(more) == bool(capacity.room(packed) >> i & 1), (held, i)


# --- offered, accepted, resumed ---------------------------------------------------------------------------------------


@pytest.mark.promise("CP-1")
def test_a_call_is_offered_over_a_mail_which_goes_on_until_the_agent_accepts() -> None:
    office = Office(CALLS_FIRST, ready=("ana",))
    mail = office.active("email")
    call = office.arrive("phone")
    assert office.offered_to(call) == ["ana"]
    assert not suspended(office, mail)
    assert load(office) == {"phone": 1, "email": 1}
    offer = office.offers_of(call)[0]
    out = office.do(c.Accept(agent="ana", offer=offer.number))
    assert out.events == [e.WorkSuspended(mail, "ana", call), e.OfferAccepted(offer.number, call, "ana")]
    assert load(office) == {"phone": 1}, "what is suspended takes no capacity"


@pytest.mark.promise("CP-1")
@pytest.mark.parametrize("how", ["declined", "missed", "withdrawn"])
def test_an_offer_that_is_not_accepted_interrupts_nothing(how: str) -> None:
    office = Office(CALLS_FIRST, ready=("ana",))
    mail = office.active("email")
    call = office.arrive("phone")
    if how == "declined":
        out = office.do(c.Decline(agent="ana", offer=office.offers_of(call)[0].number))
    elif how == "missed":
        out = office.pass_s(20)
    else:
        out = office.do(c.Leave(thread=office.thread(call)))
    assert not happened(out, e.WorkSuspended)
    assert not suspended(office, mail)


@pytest.mark.promise("CP-1")
def test_an_agent_who_need_interrupt_nothing_comes_first_however_long_the_other_was_idle() -> None:
    office = Office(two(), ready=("ana",))
    office.active("email")
    office.pass_s(60)
    office.ready("ben")
    first, second = office.arrive("phone"), office.arrive("phone")
    assert (office.offered_to(first), office.offered_to(second)) == (["ben"], ["ana"])


@pytest.mark.promise("CP-1")
def test_of_those_who_would_interrupt_the_longest_idle_comes_first() -> None:
    office = Office(two(), ready=("ana", "ben"))
    assert [office.state_of(office.active("email")) for _ in range(2)] == ["active", "active"]
    assert office.offered_to(office.arrive("phone")) == ["ana"]


@pytest.mark.promise("CP-1", "RT-5")
def test_accepting_what_may_be_interrupted_makes_room_for_what_waits() -> None:
    office = Office(CALLS_FIRST, ready=("ana",))
    mail = office.arrive("email")
    call = office.arrive("phone")
    assert office.state_of(call) == "queued", "an offer is not interrupted"
    offer = office.offers_of(mail)[0].number
    assert made(office.do(c.Accept(agent="ana", offer=offer))) == [(call, "ana")]


@pytest.mark.promise("CP-1")
def test_what_may_not_be_interrupted_blocks_a_call_as_before() -> None:
    office = Office(CALLS_FIRST, ready=("ana",))
    office.active("email")
    chat = office.active("chat")
    call = office.arrive("phone")
    assert office.state_of(call) == "queued"
    assert why_not(office.state, call, "ana", office.now_ms)["code"] == "exclusive"
    assert made(office.complete(chat)) == [(call, "ana")]


@pytest.mark.promise("CP-1")
def test_suspended_work_resumes_before_anything_new_is_offered() -> None:
    office, mail, call = interrupted()
    waiting = [office.arrive("email") for _ in range(3)]
    out = office.complete(call)
    kinds = [type(event) for event in out.events]
    assert kinds.index(e.WorkContinued) < kinds.index(e.OfferMade)
    assert not suspended(office, mail)
    assert made(out) == [(waiting[0], "ana")], "one of two places is the old mail's"


@pytest.mark.promise("CP-1")
def test_it_resumes_only_when_the_wrap_up_is_over_too() -> None:
    wraps = with_channels(office_with(CALLS_FIRST, wrap_up=WrapUp("timed", seconds(30), seconds(60))))
    office, mail, call = interrupted(wraps)
    office.complete(call)
    assert suspended(office, mail)
    out = office.pass_s(30)
    assert [type(event) for event in out.events] == [e.WrapUpFinished, e.WorkContinued]
    assert load(office) == {"email": 1}


@pytest.mark.promise("CP-1")
def test_the_next_call_may_interrupt_it_again_but_it_resumed_first() -> None:
    office, mail, call = interrupted()
    second = office.arrive("phone")
    out = office.complete(call)
    assert [type(event) for event in out.events] == [e.InteractionEnded, e.WorkContinued, e.OfferMade]
    assert office.offered_to(second) == ["ana"]
    assert not suspended(office, mail)


@pytest.mark.promise("CP-1")
def test_what_was_put_aside_for_long_enough_is_left_in_peace() -> None:
    office, mail, call = interrupted(with_channels(email={"interrupted_max": seconds(60)}))
    office.pass_s(60)
    office.complete(call)
    second = office.arrive("phone")
    assert office.state_of(second) == "queued"
    assert made(office.complete(mail)) == [(second, "ana")]
    fresh = office.arrive("email")
    office.do(c.Leave(thread=office.thread(second)))
    office.accept(fresh)
    assert office.state_of(office.arrive("phone")) == "offered", "another mail may be interrupted"


@pytest.mark.promise("CP-1")
def test_only_as_much_makes_way_as_is_needed_the_latest_first() -> None:
    channels = {
        "chat": Channel(cap=3, weight=2, interrupts=("email",)),
        "email": Channel(cap=3, weight=2),
    }
    config = agents_with(replace(OFFICE, channels=channels), ana=Agent(skills=SKILLED, budget=6))
    office = Office(config, ready=("ana",))
    mails = [office.active("email") for _ in range(3)]
    office.accept(office.arrive("chat"))
    assert [suspended(office, mail) for mail in mails] == [False, False, True]
    office.accept(office.arrive("chat"))
    assert [suspended(office, mail) for mail in mails] == [False, True, True]


@pytest.mark.promise("CP-1", "CP-4")
def test_once_something_has_ended_nothing_new_comes_before_what_is_suspended() -> None:
    """A large mail needs more room than one chat leaves; chats could keep it aside for ever."""
    channels = {"chat": Channel(cap=3, interrupts=("email",)), "email": Channel(weight=3)}
    config = agents_with(replace(OFFICE, channels=channels), ana=Agent(skills=SKILLED, budget=3))
    office = Office(config, ready=("ana",))
    mail = office.active("email")
    chats = [office.active("chat") for _ in range(2)]
    third = office.arrive("chat")
    assert office.offered_to(third) == ["ana"], "more of what interrupts, at first"
    office.accept(third)
    waiting = office.arrive("chat")
    office.complete(chats[0])
    assert office.state_of(waiting) == "queued"
    with pytest.raises(NoCapacity):
        office.do(c.Pick(agent="ana", interaction=waiting))
    office.complete(chats[1])
    out = office.complete(third)
    assert e.WorkContinued(mail, "ana") in out.events
    assert office.offered_to(waiting) == ["ana"], "by an interruption again"


@pytest.mark.promise("CP-1", "MV-4")
def test_a_call_that_is_picked_or_assigned_interrupts_as_well() -> None:
    for how in ("pick", "assign"):
        office = Office(with_channels(two()), ready=("ana",))
        mail = office.active("email")
        call = office.arrive("phone")
        office.decline(call)  # nobody else is there
        office.do(c.SetState(agent="ana", state="not_ready"))
        assert office.state_of(call) == "queued"
        by_hand = c.Pick(agent="ana", interaction=call)
        given_by = c.Assign(agent="ana", interaction=call, by="operator:sam")
        out = office.do(by_hand if how == "pick" else given_by)
        assert [type(event) for event in out.events] == [e.OfferMade, e.WorkSuspended, e.OfferAccepted]
        assert suspended(office, mail)


@pytest.mark.promise("CP-1", "OF-7")
def test_a_call_that_counts_as_accepted_at_once_interrupts_as_well() -> None:
    office = Office(office_with(CALLS_FIRST, auto_accept=True), ready=("ana",))
    mail, call = office.arrive("email"), office.arrive("phone")
    assert (office.state_of(call), suspended(office, mail)) == ("active", True)


@pytest.mark.promise("CP-1", "MV-4")
def test_an_override_that_no_interruption_makes_room_for_suspends_nothing() -> None:
    office = Office(CALLS_FIRST, ready=("ana",))
    mail = office.active("email")
    office.active("chat")
    call = office.arrive("phone")
    office.do(c.Assign(agent="ana", interaction=call, by="operator:sam", override=True))
    assert not suspended(office, mail)
    assert load(office) == {"phone": 1, "chat": 1, "email": 1}


# --- what may happen to suspended work --------------------------------------------------------------------------------


@pytest.mark.promise("CP-1")
def test_the_agent_may_write_in_and_complete_what_is_suspended() -> None:
    office, mail, call = interrupted()
    office.say(mail)
    office.complete(mail)
    assert office.state_of(mail) == "closed"
    assert load(office) == {"phone": 1}
    assert office.state_of(office.arrive("chat")) == "queued", "a call is a call"
    office.complete(call)
    assert load(office) == {"chat": 1}


@pytest.mark.promise("CP-1", "AG-7")
def test_a_wrap_up_that_is_suspended_stands_still() -> None:
    wraps = office_with(CALLS_FIRST, wrap_up=WrapUp("timed", seconds(30), seconds(60)))
    office = Office(wraps, ready=("ana",))
    mail = office.active("email")
    office.complete(mail)
    office.pass_s(10)
    call = office.arrive("phone")
    office.accept(call)
    assert suspended(office, mail)
    office.pass_s(100)
    assert office.state_of(mail) == "wrap-up"
    office.complete(call)
    office.do(c.FinishWrapUp(agent="ana", interaction=call))
    office.pass_s(19.999)
    assert office.state_of(mail) == "wrap-up"
    office.pass_s(0.001)
    assert office.state_of(mail) == "closed"


@pytest.mark.promise("CP-1", "AG-7")
def test_what_ends_while_it_is_suspended_is_documented_afterwards_for_its_full_time() -> None:
    wraps = office_with(CALLS_FIRST, wrap_up=WrapUp("timed", seconds(30), seconds(60)))
    office, mail, call = interrupted(wraps)
    office.pass_s(5)
    office.do(c.Leave(thread=office.thread(mail)))
    assert (office.state_of(mail), suspended(office, mail)) == ("wrap-up", True)
    office.pass_s(100)
    office.complete(call)
    office.do(c.FinishWrapUp(agent="ana", interaction=call))
    assert not suspended(office, mail)
    office.pass_s(29.999)
    assert office.state_of(mail) == "wrap-up"
    office.pass_s(0.001)
    assert office.state_of(mail) == "closed"


@pytest.mark.promise("CP-1", "IN-3")
def test_the_customer_of_what_is_suspended_may_write_and_the_agent_sees_it() -> None:
    office, mail, _ = interrupted()
    before = office.state.agents["ana"].stream
    out = office.do(c.Arrive(channel="email", threads=(office.thread(mail),), message=e.Message("one more thing")))
    assert out.reply.joined
    assert suspended(office, mail)
    assert office.state.agents["ana"].stream == before + 1


@pytest.mark.promise("CP-1")
def test_a_customer_who_leaves_takes_suspended_work_along() -> None:
    office, mail, call = interrupted()
    office.do(c.Leave(thread=office.thread(mail)))
    assert office.state_of(mail) == "closed"
    out = office.complete(call)
    assert not happened(out, e.WorkContinued)
    assert load(office) == {}


@pytest.mark.promise("CP-1", "MV-1")
@pytest.mark.parametrize("how", ["transferred", "requeued", "reassigned"])
def test_suspended_work_may_be_given_to_somebody_else_with_its_time(how: str) -> None:
    office, mail, call = interrupted(two())
    enqueued = office.item(mail).enqueued_at_ms
    office.ready("ben")
    if how == "transferred":
        office.do(c.Transfer(agent="ana", interaction=mail, to=c.Target(queue="support")))
    elif how == "requeued":
        office.do(c.Requeue(interaction=mail, by="operator:sam"))
    else:
        office.do(c.Assign(interaction=mail, agent="ben", by="operator:sam"))
    assert not suspended(office, mail)
    assert office.item(mail).enqueued_at_ms == enqueued
    if how != "reassigned":
        assert office.accept(mail) == "ben"
    assert (office.item(mail).owner, load(office), load(office, "ben")) == ("ben", {"phone": 1}, {"email": 1})
    out = office.complete(call)
    assert not happened(out, e.WorkContinued)


@pytest.mark.promise("CP-1", "MV-1")
@pytest.mark.parametrize("how", ["transferred", "requeued", "customer left", "connection failed", "lease over"])
def test_however_the_interrupting_work_goes_the_suspended_work_resumes(how: str) -> None:
    office = Office(two(), ready=("ana",))
    mail = office.active("email")
    call = office.arrive("phone", lease_ms=10_000)
    office.accept(call)
    commands: dict[str, c.AnyCommand] = {
        "transferred": c.Transfer(agent="ana", interaction=call, to=c.Target(queue="sales")),
        "requeued": c.Requeue(interaction=call, by="operator:sam"),
        "customer left": c.Leave(thread=office.thread(call)),
        "connection failed": c.FailConnection(thread=office.thread(call)),
    }
    out = office.do(commands[how]) if how in commands else office.pass_s(10)
    assert e.WorkContinued(mail, "ana") in out.events
    assert not suspended(office, mail)


@pytest.mark.promise("CP-1", "AG-2")
@pytest.mark.parametrize("policy", ["return", "stay"])
def test_an_agent_who_vanishes_gives_suspended_work_back_or_keeps_it_by_policy(policy: Any) -> None:
    office, mail, call = interrupted(with_channels(two(), email={"agent_lost": policy}))
    office.sign_out("ana")
    office.pass_s(30)
    assert office.state_of(call) == "queued"
    if policy == "return":
        assert office.state_of(mail) == "queued"
        assert office.item(mail).lifted
    else:
        assert office.item(mail).owner == "ana"
        assert not suspended(office, mail), "nothing is in its way any more"
    office.ready("ben")
    if policy == "return":
        assert office.accept(mail) == "ben", "both have a lift, and it is older"
    assert office.offered_to(call) == ["ben"]


@pytest.mark.promise("CP-1", "AG-2")
def test_coming_back_within_the_grace_changes_nothing() -> None:
    office, mail, call = interrupted()
    office.sign_out("ana")
    office.pass_s(29)
    office.ready("ana")
    assert suspended(office, mail)
    out = office.complete(call)
    assert e.WorkContinued(mail, "ana") in out.events


@pytest.mark.promise("CP-1", "AG-6")
def test_a_pause_waits_for_suspended_work_too() -> None:
    office, mail, call = interrupted()
    office.pause("ana")
    office.complete(call)
    assert not suspended(office, mail)
    assert office.state.agents["ana"].requested == "not_ready"
    office.complete(mail)
    assert office.state.agents["ana"].declared == "not_ready"


@pytest.mark.promise("CP-1", "RT-12")
def test_a_matrix_that_changes_leaves_what_is_suspended_for_after_the_call() -> None:
    office, mail, call = interrupted()
    office.configure(with_channels(phone={"interrupts": ()}))
    assert suspended(office, mail)
    out = office.complete(call)
    assert e.WorkContinued(mail, "ana") in out.events
    assert office.state_of(office.arrive("phone")) == "queued"


@pytest.mark.promise("CP-1", "AG-8", "RT-12")
def test_an_offer_that_would_need_an_interruption_goes_with_the_matrix() -> None:
    office = Office(CALLS_FIRST, ready=("ana",))
    office.active("email")
    call = office.arrive("phone")
    out = office.configure(with_channels(phone={"interrupts": ()}))
    assert [x.reason for x in happened(out, e.OfferWithdrawn)] == ["no-longer-fits"]
    assert office.state_of(call) == "queued"


@pytest.mark.promise("CP-1", "RT-12")
def test_suspended_work_whose_channel_the_agent_may_no_longer_take_is_still_theirs() -> None:
    office, mail, call = interrupted()
    no_mail = agents_with(CALLS_FIRST, ana=Agent(skills=SKILLED, caps={"email": 0}))
    office.configure(no_mail)
    out = office.complete(call)
    assert e.WorkContinued(mail, "ana") in out.events


@pytest.mark.promise("CP-1", "DU-1")
def test_a_crash_between_putting_aside_and_accepting_gives_both_back() -> None:
    office = Office(CALLS_FIRST, ready=("ana",))
    mail = office.active("email")
    call = office.arrive("phone")
    engine = Engine.restore(office.checked.shadow.snapshot())
    offer = office.offers_of(call)[0].number
    facts = engine.handle(c.Accept(agent="ana", offer=offer), office.now_ms).events
    torn = Engine.restore(office.checked.shadow.snapshot())
    torn.apply(e.Record(office.now_ms, "", facts[0]))  # type: ignore[arg-type]
    torn = Engine.restore(torn.snapshot())
    torn.resume()
    out = torn.handle(c.Restart(), office.now_ms)
    assert e.WorkContinued(mail, "ana") in out.events
    assert torn.state.interactions[call].waits
    with pytest.raises(OfferGone):
        torn.handle(c.Accept(agent="ana", offer=offer), office.now_ms)


# --- told and shown ---------------------------------------------------------------------------------------------------


@pytest.mark.promise("CP-1")
def test_the_clocks_are_told_apart() -> None:
    office = Office(CALLS_FIRST, ready=("ana",))
    mail = office.active("email")
    office.pass_s(10)
    call = office.arrive("phone")
    office.accept(call)
    began = office.now_ms
    office.pass_s(60)
    view = interaction_view(office.state, office.item(mail))
    assert (view.suspended, view.suspended_since_ms, view.suspended_ms) == (True, began, 0)
    told = explain(office.state, mail, office.now_ms)
    assert (told["handled_ms"], told["suspended_ms"]) == (10_000, 60_000)
    assert "suspended" in told["summary"]
    office.complete(call)
    office.pass_s(5)
    view = interaction_view(office.state, office.item(mail))
    assert (view.suspended, view.suspended_since_ms, view.suspended_ms) == (False, 0, 60_000)
    told = explain(office.state, mail, office.now_ms)
    assert (told["handled_ms"], told["suspended_ms"]) == (15_000, 60_000)
    office.complete(mail)
    told = explain(office.state, mail, office.now_ms + 1_000_000)
    assert (told["handled_ms"], told["suspended_ms"]) == (15_000, 60_000)


@pytest.mark.promise("CP-1", "CP-3")
def test_reports_count_what_is_suspended_apart() -> None:
    office, mail, _ = interrupted()
    view = agent_view(office.state, office.state.agents["ana"])
    assert view.load == {"phone": 1}
    assert [(w.id, w.suspended) for w in view.interactions] == [(f"i-{mail}", True), (f"i-{mail + 1}", False)]


@pytest.mark.promise("CP-1")
def test_why_not_says_that_suspended_work_comes_first() -> None:
    office, _, _ = interrupted()
    waiting = office.arrive("chat")
    answer = why_not(office.state, waiting, "ana", office.now_ms)
    assert answer["code"] == "suspended"
    assert "before anything new" in answer["reason"]


@pytest.mark.promise("CP-1")
def test_why_not_says_who_could_interrupt() -> None:
    facts = (arrived(1), e.OfferMade(1, 1, "ana", 20_000), e.OfferAccepted(1, 1, "ana"))
    given_facts = given(*facts, config=two())
    state = given_facts.engine.state
    number = given_facts.engine.handle(c.Arrive(channel="phone", threads=("p",)), 5).reply.interaction
    answer = why_not(state, number, "ana", 5)
    assert answer["code"] == "could-interrupt"


# --- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.promise("OB-4")
def test_channels_that_interrupt_each_other_are_refused() -> None:
    for changes, path in (
        ({"phone": {"interrupts": ("phone",)}}, "channels.phone.interrupts[0]"),
        ({"email": {"interrupts": ("chat", "phone")}}, "channels.email.interrupts[0]"),
        ({"phone": {"interrupts": ("pigeon",)}}, "channels.phone.interrupts[0]"),
    ):
        with pytest.raises(ConfigError) as refusal:
            check_config(with_channels(**changes))
        assert str(refusal.value).startswith(path) or path.split(".interrupts")[0] in str(refusal.value)


@pytest.mark.promise("CP-1")
def test_a_load_counts_in_layers_that_cannot_run_into_each_other() -> None:
    assert LOAD_MASK << SOFT - LOAD_BITS < 1 << SOFT < 1 << SUSPENDED < RESUMING
