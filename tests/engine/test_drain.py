"""No lock-in: a place is held for what needs more room than one end gives (CP-4).

That each place is held for the right one, and no offer made that should have been held back, is foretold for every
walk by the naive matcher; here the promise is told as stories.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from msgspec import convert
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import drain
from router.engine import events as e
from router.engine.capacity import LOAD_BITS, LOAD_MASK, Capacity
from router.engine.config import (
    Agent,
    Balance,
    Borrow,
    Calendar,
    Channel,
    Config,
    Need,
    Order,
    Prefer,
    Queue,
    Rule,
    Spare,
    Step,
    decode_hook,
    to_bytes,
)
from router.engine.drain import DEPTH
from router.engine.engine import Engine
from router.engine.explain import explain, why_not
from router.engine.requirements import Node
from router.engine.rounds import FREE
from router.service.supervision import matching_health
from tests.engine.support.crowd import crowd
from tests.engine.support.office import OFFICE, Office, agents_with, happened, made, office_with, seconds

pytestmark = pytest.mark.promise("CP-4")

SKILLED = {"support": 5}
CHANNELS = {
    "phone": Channel(exclusive=True, drain=seconds(900)),
    "chat": Channel(cap=3, target=seconds(60)),
    "email": Channel(cap=3, target=seconds(14_400)),
}
MIXED = agents_with(replace(OFFICE, channels=CHANNELS, order=Order("first-come")), ana=Agent(skills=SKILLED))


def two(config: Config = MIXED) -> Config:
    return agents_with(config, ana=Agent(skills=SKILLED), ben=Agent(skills=SKILLED))


def with_drain(s: float, config: Config = MIXED) -> Config:
    channels = {**config.channels, "phone": replace(config.channels["phone"], drain=seconds(s))}
    return replace(config, channels=channels)


def busy(config: Config = MIXED, ready: tuple[str, ...] = ("ana",), chats: int = 3) -> tuple[Office, list[int]]:
    office = Office(config, ready=ready)
    return office, [office.active("chat") for _ in range(chats * len(ready))]


def locked(config: Config = MIXED) -> tuple[Office, list[int], int, int]:
    """Ana has three chats; a call waits, and then another chat; one chat has just ended."""
    office, chats = busy(config)
    call, chat = office.arrive("phone"), office.arrive("chat")
    office.pass_s(1)
    office.complete(chats[0])
    return office, chats[1:], call, chat


def holder(office: Office, number: int) -> str:
    found = office.state.drains.get(number)
    return found.agent if found else ""


def test_without_it_chats_keep_a_call_out_for_ever() -> None:
    office, chats = busy(with_drain(0))
    call = office.arrive("phone")
    for _ in range(50):
        chats.append(office.arrive("chat"))
        office.complete(chats.pop(0))
        office.accept(chats[-1])
        office.pass_s(60)
    assert office.state_of(call) == "queued"


def test_a_place_that_falls_free_is_held_for_the_call_that_comes_first() -> None:
    office, chats, call, chat = locked()
    assert holder(office, call) == "ana"
    assert office.state_of(chat) == "queued"
    office.complete(chats[0])
    assert office.state_of(chat) == "queued"
    out = office.complete(chats[1])
    assert made(out) == [(call, "ana")]
    assert office.state.drains == {}


def test_the_example_of_the_manual_does_what_it_says() -> None:
    manual = (Path(__file__).parents[2] / "docs/routing.md").read_text()
    section = manual.split("\n## No lock-in\n")[1].split("\n## ")[0]
    document = tomllib.loads(re.findall(r"```toml\n(.*?)```", section, re.DOTALL)[0])
    channels = convert(document["channels"], dict[str, Channel], dec_hook=decode_hook)
    queues = convert(document["queues"], dict[str, Queue], dec_hook=decode_hook)
    office, chats, call, chat = locked(replace(MIXED, channels={**CHANNELS, **channels}))
    assert (holder(office, call), office.state_of(chat)) == ("ana", "queued")
    assert office.state.drains[call].until_ms == office.now_ms + 900_000
    office.complete(chats[0])
    assert made(office.complete(chats[1])) == [(call, "ana")]
    office, _, call, _ = locked(replace(MIXED, channels=channels, queues=queues, default_queue="hotline"))
    assert office.state.drains[call].until_ms == office.now_ms + 300_000


def test_a_place_that_was_free_already_is_held_before_the_next_chat_takes_it() -> None:
    office, chats = busy(chats=1)
    call = office.arrive("phone")
    assert holder(office, call) == "", "nothing else wants the place"
    chat = office.arrive("chat")
    assert (holder(office, call), office.state_of(chat)) == ("ana", "queued")
    assert made(office.complete(chats[0])) == [(call, "ana")]


def test_a_chat_that_comes_before_the_call_takes_the_place() -> None:
    office, chats = busy()
    chat, call = office.arrive("chat"), office.arrive("phone")
    assert made(office.complete(chats[0])) == [(chat, "ana")]
    assert holder(office, call) == ""


def test_nobody_holds_a_place_when_a_colleague_can_take_the_call_now() -> None:
    office, chats = busy(two())
    office.ready("ben")
    call = office.arrive("phone")
    assert office.offered_to(call) == ["ben"]
    office.arrive("chat")
    out = office.complete(chats[0])
    assert not happened(out, e.DrainBegan)


def test_one_agent_holds_a_place_for_it_and_the_others_work_on() -> None:
    office, chats = busy(two(), ready=("ana", "ben"))
    call = office.arrive("phone")
    waiting = [office.arrive("chat") for _ in range(2)]
    of_ana = next(n for n in chats if office.item(n).owner == "ana")
    of_ben = next(n for n in chats if office.item(n).owner == "ben")
    office.complete(of_ana)
    assert holder(office, call) == "ana"
    assert made(office.complete(of_ben)) == [(waiting[0], "ben")]
    second = office.arrive("phone")
    office.pass_s(1)
    later = office.arrive("chat")
    office.accept(waiting[0])
    office.do(c.Leave(thread=office.thread(waiting[1])))
    office.complete(waiting[0])
    assert holder(office, second) == "ben", "each call has one agent"
    assert office.state_of(later) == "queued"


def test_what_was_held_back_goes_to_whoever_needs_hold_nothing() -> None:
    office, chats, call, chat = locked(two())
    office.ready("ben")
    assert office.offered_to(call) == ["ben"]
    assert office.offered_to(chat) == ["ana"], "the holding has ended with the call's offer"
    assert chats


def test_the_time_is_up_and_the_agent_works_on_for_as_long() -> None:
    office, chats, call, chat = locked(with_drain(60))
    office.pass_s(59.999)
    assert holder(office, call) == "ana"
    out = office.pass_s(0.001)
    assert [x.reason for x in happened(out, e.DrainEnded)] == ["timeout"]
    assert office.offered_to(chat) == ["ana"]
    office.accept(chat)
    office.complete(chats[0])
    office.pass_s(59.999)
    office.active("chat")
    assert holder(office, call) == ""
    office.complete(chat)
    office.pass_s(0.001)
    office.arrive("chat")
    assert holder(office, call) == "ana", "and then once more"


def test_a_call_is_reached_at_last_whatever_else_comes() -> None:
    """Chats of two minutes never stop coming; without the holding the call waits for ever, as shown above."""
    office, chats = busy(with_drain(300))
    call = office.arrive("phone")
    ends = [office.now_ms + 40_000 * i for i in range(3)]
    for _ in range(40):
        office.arrive("chat")
        office.pass_s(20)
        for i, number in enumerate(list(chats)):
            if office.now_ms >= ends[i] and office.state_of(number) == "active":
                office.complete(number)
        offers = [o for o in office.state.offers.values() if office.item(o.interaction).born.channel == "chat"]
        for offer in offers:
            office.do(c.Accept(agent="ana", offer=offer.number))
            chats.append(offer.interaction)
            ends.append(office.now_ms + 120_000)
        if office.state_of(call) == "offered":
            return
    pytest.fail("the call was never offered")


@pytest.mark.parametrize("how", ["customer left", "transferred", "closed", "agent paused", "agent left", "configured"])
def test_whatever_ends_the_reason_frees_the_place_at_once(how: str) -> None:
    office, chats, call, chat = locked()
    commands: dict[str, c.AnyCommand] = {
        "customer left": c.Leave(thread=office.thread(call)),
        "transferred": c.Transfer(interaction=call, to=c.Target(queue="sales"), by="operator:sam"),
        "closed": c.Close(interaction=call, by="operator:sam"),
        "agent paused": c.SetState(agent="ana", state="not_ready"),
        "agent left": c.CloseSession(agent="ana", session="s"),
    }
    out = office.do(commands[how]) if how in commands else office.configure(with_drain(0))
    assert holder(office, call) == ""
    assert office.state.agents["ana"].drains == 0
    if not how.startswith("agent"):
        assert made(out) == [(chat, "ana")]
    assert chats


def test_something_in_a_more_urgent_band_takes_the_place_all_the_same() -> None:
    office, _, call, chat = locked()
    out = office.do(c.Reprioritise(interaction=chat, by="operator:sam", band="urgent"))
    assert [x.reason for x in happened(out, e.DrainEnded)] == ["overtaken"]
    assert office.offered_to(chat) == ["ana"]
    assert holder(office, call) == ""


@pytest.mark.promise("MV-4")
def test_who_picks_by_hand_may_have_the_place() -> None:
    office, _, call, chat = locked()
    office.do(c.Pick(agent="ana", interaction=chat))
    assert (office.item(chat).owner, holder(office, call)) == ("ana", "")


def test_an_agent_who_declined_the_call_does_not_hold_a_place_for_it() -> None:
    """Ana may be asked again in half a minute; until then ben, who is on another call, is waited for."""
    office = Office(two(), ready=("ana", "ben"))
    other, call = office.active("phone"), office.arrive("phone")
    assert (office.item(other).owner, office.decline(call)) == ("ana", "ben")
    first = office.active("chat")
    second = office.arrive("chat")
    assert [office.item(first).owner, *office.offered_to(second)] == ["ben", "ben"]
    assert office.state.drains == {}


def test_who_is_to_be_passed_over_holds_no_place_any_longer() -> None:
    """Ana refused the call when nobody was passed over for that. She holds a place for it again, because chen might
    take it; when he leaves, all who are there have refused it, and it pauses."""
    names = ("ana", "ben", "chen")
    config = agents_with(MIXED, **dict.fromkeys(names, Agent(skills=SKILLED)))
    office = Office(office_with(config, cool_off=seconds(0)), ready=("ana", "ben"))
    call = office.arrive("phone")
    for _ in range(2 * FREE):
        office.decline(call)
    assert office.decline(call) == "ana"
    office.ready("chen")
    chat, other = office.active("chat"), office.active("phone")
    assert (office.item(chat).owner, office.item(other).owner) == ("ana", "chen")
    office.configure(office_with(config, cool_off=seconds(900)))
    assert office.decline(call) == "ben"
    office.arrive("chat"), office.arrive("chat")
    assert holder(office, call) == "ana"
    office.sign_out("chen")
    assert holder(office, call) == ""


def test_work_that_weighs_more_than_one_end_gives_back_is_held_for_as_well() -> None:
    channels = {"chat": Channel(cap=4), "email": Channel(weight=3, drain=seconds(600))}
    config = agents_with(replace(MIXED, channels=channels), ana=Agent(skills=SKILLED, budget=4))
    office = Office(config, ready=("ana",))
    chats = [office.active("chat") for _ in range(4)]
    heavy, chat = office.arrive("email"), office.arrive("chat")
    office.complete(chats[0])
    assert (holder(office, heavy), office.state_of(chat)) == ("ana", "queued")
    office.complete(chats[1])
    assert made(office.complete(chats[2])) == [(heavy, "ana")]


def test_a_full_cap_is_no_reason_to_hold_a_place_of_another_kind() -> None:
    office, chats = busy()
    office.arrive("chat")
    mail = office.arrive("email")
    assert office.offered_to(mail) == ["ana"]
    assert len(chats) == 3


def test_a_queue_may_say_otherwise_than_the_channel() -> None:
    office, _, call, chat = locked(office_with(MIXED, drain=seconds(0)))
    assert holder(office, call) == ""
    assert office.offered_to(chat) == ["ana"]
    office, _, call, _ = locked(office_with(MIXED, drain=seconds(30)))
    assert office.state.drains[call].until_ms == office.now_ms + 30_000


def test_of_one_line_no_more_than_the_first_are_held_for() -> None:
    names = tuple(f"agent-{i:02}" for i in range(DEPTH + 4))
    config = agents_with(MIXED, **{name: Agent(skills=SKILLED) for name in names})
    office, chats = busy(config, ready=names, chats=1)
    for _ in range(DEPTH + 4):
        office.arrive("phone")
    for _ in range(DEPTH + 4):
        office.arrive("chat")
    assert sum(1 for d in office.state.drains.values() if d.agent) == DEPTH
    assert len(chats) == DEPTH + 4


# --- whom it is held by, and for how long -----------------------------------------------------------------------------


def test_whoever_has_less_to_finish_takes_it_over() -> None:
    """Ana has two chats left when she is asked. Ben, who has one, would be given the next chat before she is free."""
    office, chats = busy(two(), ready=("ana", "ben"))
    call = office.arrive("phone")
    of_ana, of_ben = ([n for n in chats if office.item(n).owner == name] for name in ("ana", "ben"))
    for number in of_ben[:2]:
        office.complete(number)
    office.pause("ben")
    chat = office.arrive("chat")
    office.complete(of_ana[0])
    assert holder(office, call) == "ana"
    out = office.do(c.SetState(agent="ben", state="ready"))
    assert (holder(office, call), made(out)) == ("ben", [(chat, "ana")])
    assert made(office.complete(of_ben[2])) == [(call, "ben")]


def test_it_stays_where_it_is_when_nobody_has_less_to_finish() -> None:
    office, chats = busy(two(), ready=("ana", "ben"))
    call = office.arrive("phone")
    waiting = [office.arrive("chat") for _ in range(3)]
    of_ana, of_ben = ([n for n in chats if office.item(n).owner == name] for name in ("ana", "ben"))
    office.complete(of_ana[0])
    office.complete(of_ben[0])
    assert (holder(office, call), office.offered_to(waiting[0])) == ("ana", ["ben"])


def test_the_call_goes_to_whoever_is_free_first() -> None:
    """Ben is on a call, so he is offered nothing and holds nothing; but he may be the first who is free."""
    office = Office(two(), ready=("ben", "ana"))
    other = office.active("phone")
    chats = [office.active("chat") for _ in range(3)]
    call, chat = office.arrive("phone"), office.arrive("chat")
    office.complete(chats[0])
    assert (office.item(other).owner, holder(office, call)) == ("ben", "ana")
    assert made(office.complete(other)) == [(call, "ben"), (chat, "ana")]


def test_when_calls_keep_coming_the_next_one_has_the_rest_of_the_time() -> None:
    """A place is not held anew for each of them, or customers who give up would keep an agent idle without end."""
    office, chats, call, chat = locked(with_drain(60))
    until = office.state.drains[call].until_ms
    office.pass_s(40)
    second = office.arrive("phone")
    office.do(c.Reprioritise(interaction=chat, by="operator:sam", band="low"))
    office.do(c.Leave(thread=office.thread(call)))
    assert (holder(office, second), office.state.drains[second].until_ms) == ("ana", until)
    office.pass_s(20)
    assert (holder(office, second), office.offered_to(chat)) == ("", ["ana"])
    assert chats


def test_who_held_a_place_in_vain_works_on_for_as_long_whoever_else_calls() -> None:
    office, chats, call, chat = locked()
    office.pass_s(40)
    office.do(c.Leave(thread=office.thread(call)))
    office.accept(chat)
    second = office.arrive("phone")
    office.complete(chat)
    office.pass_s(39.999)
    third = office.active("chat")
    assert holder(office, second) == ""
    office.complete(third)
    office.pass_s(0.001)
    office.arrive("chat")
    assert holder(office, second) == "ana"
    assert chats


def test_who_got_the_call_may_hold_a_place_for_the_next_one_at_once() -> None:
    office, chats, call, chat = locked()
    office.pass_s(40)
    for number in chats:
        office.complete(number)
    office.accept(call)
    second, third = office.arrive("phone"), office.arrive("chat")
    office.complete(call)
    office.accept(chat)
    assert holder(office, second) == "ana", "before the third"
    assert office.state_of(third) == "queued"


@pytest.mark.parametrize("calls", [1, 3])
def test_one_chat_that_does_not_end_keeps_the_others_out_for_half_of_the_time_at_most(calls: int) -> None:
    """An hour, a place held for a minute at most, chats of half a minute: never idle for more than a minute."""
    office = Office(with_drain(60), ready=("ana",))
    office.active("chat")
    for _ in range(calls):
        office.arrive("phone")
    office.arrive("chat")
    held_ms, spell_ms, longest_ms = 0, 0, 0
    for _ in range(3_600 // 30):
        office.sleep_s(30)
        for offer in list(office.state.offers.values()):
            office.accept(offer.interaction)
            office.complete(offer.interaction)
            office.arrive("chat")
        holding = bool(office.state.drains)
        held_ms, spell_ms = held_ms + 30_000 * holding, (spell_ms + 30_000) * holding
        longest_ms = max(longest_ms, spell_ms)
    assert longest_ms <= 60_000
    assert 0.4 < held_ms / 3_600_000 <= 0.5


def test_a_pause_of_the_agent_frees_the_place_for_good() -> None:
    """Who comes back is asked anew, after as long as they held one."""
    office, chats, call, chat = locked()
    office.pass_s(30)
    office.pause("ana")
    assert holder(office, call) == ""
    office.do(c.SetState(agent="ana", state="ready"))
    assert office.offered_to(chat) == [], "she pauses after the present work"
    assert chats


# --- beside everything else -------------------------------------------------------------------------------------------

INTERRUPTING = replace(MIXED, channels={**CHANNELS, "phone": replace(CHANNELS["phone"], interrupts=("email",))})


@pytest.mark.promise("CP-1")
def test_an_interruption_beats_a_hold() -> None:
    """Mail makes way for the call, so no mail is held back for it; and what can interrupt all waits for nothing."""
    office, chats = busy(INTERRUPTING, chats=1)
    call = office.arrive("phone")
    mail = office.active("email")
    assert (office.item(mail).owner, holder(office, call)) == ("ana", "")
    assert made(office.complete(chats[0])) == [(call, "ana")]


@pytest.mark.promise("CP-1")
def test_a_place_that_is_held_against_chats_is_open_for_mail() -> None:
    office, chats, call, chat = locked(INTERRUPTING)
    until = office.state.drains[call].until_ms
    mail = office.active("email")
    assert (office.item(mail).owner, office.state_of(chat)) == ("ana", "queued")
    assert (holder(office, call), office.state.drains[call].until_ms) == ("ana", until)
    office.complete(chats[0])
    assert made(office.complete(chats[1])) == [(call, "ana")]
    office.accept(call)
    assert office.state.suspended(office.item(mail))


def test_no_chat_interrupts_on_a_place_that_is_held() -> None:
    """It would suspend what the call waits for, and bring it back later."""
    channels = {
        "phone": Channel(exclusive=True, interrupts=("chat",)),
        "chat": Channel(interrupts=("email",)),
        "email": Channel(cap=3),
        "fax": Channel(),
    }
    config = agents_with(replace(MIXED, channels=channels), ana=Agent(skills=SKILLED, budget=3))
    office = Office(config, ready=("ana",))
    mails = [office.active("email") for _ in range(3)]
    call = office.arrive("phone")
    office.pass_s(1)
    office.complete(mails[0])
    fax = office.arrive("fax")
    assert (holder(office, call), office.state_of(fax)) == ("ana", "queued")
    chat = office.active("chat")
    assert (office.item(chat).owner, holder(office, call)) == ("ana", "ana"), "beside the mails: it makes way"
    second = office.arrive("chat")
    assert office.state_of(second) == "queued"
    office.complete(mails[1])
    assert made(office.complete(mails[2])) == [(call, "ana")]


@pytest.mark.promise("MV-1")
def test_a_colleague_who_is_asked_by_telephone_gets_a_free_moment() -> None:
    office, chats = busy(two(), ready=("ana",))
    office.ready("ben")
    call = office.active("phone")
    office.do(c.Consult(agent="ben", interaction=call, to=c.Target(agent="ana")))
    leg = office.state.consults[call].leg
    office.pass_s(1)
    chat = office.arrive("chat")
    office.complete(chats[0])
    assert (holder(office, leg), office.state_of(chat)) == ("ana", "queued")
    office.do(c.EndConsult(agent="ben", interaction=call))
    assert (holder(office, leg), office.offered_to(chat)) == ("", ["ana"])


@pytest.mark.promise("MV-5")
def test_a_caller_who_hangs_up_to_be_called_back_keeps_the_place_that_is_held() -> None:
    config = replace(MIXED, channels={**CHANNELS, "phone": replace(CHANNELS["phone"], calls=("phone:",))})
    office, chats, call, _ = locked(config)
    office.do(c.RequestCallback(thread=office.thread(call), to="+15550123"))
    office.do(c.Leave(thread=office.thread(call)))
    assert (office.state_of(call), holder(office, call)) == ("queued", "ana")
    office.complete(chats[0])
    assert made(office.complete(chats[1])) == [(call, "ana")]


@pytest.mark.promise("OF-7")
def test_a_place_is_held_where_chats_count_as_accepted_at_once() -> None:
    """The queue accepts by itself, so nothing but the hold stands between a chat and the place."""
    office = Office(office_with(MIXED, auto_accept=True), ready=("ana",))
    chats = [office.arrive("chat") for _ in range(3)]
    call, chat = office.arrive("phone"), office.arrive("chat")
    office.complete(chats[0])
    assert (holder(office, call), office.state_of(chat)) == ("ana", "queued")
    office.complete(chats[1])
    office.complete(chats[2])
    assert (office.item(call).owner, office.state_of(chat)) == ("ana", "queued")


@pytest.mark.promise("OF-7")
def test_an_agent_who_drains_is_not_shown_what_others_are_shown() -> None:
    office, chats = busy(office_with(two(), parallel_offers=2), ready=("ana",), chats=0)
    chats.append(office.active("chat"))
    call = office.arrive("phone")
    office.ready("ben")
    office.accept(call)
    second, chat = office.arrive("phone"), office.arrive("chat")
    assert (office.item(call).owner, office.offered_to(chat), holder(office, second)) == ("ben", [], "ana")


@pytest.mark.promise("RT-7")
def test_a_call_that_asks_for_less_may_be_taken_by_somebody_who_has_room() -> None:
    wider = Step(after=seconds(30), also=Node(skill="sales"))
    config = agents_with(MIXED, ana=Agent(skills=SKILLED), sue=Agent(skills={"sales": 5}))
    office, chats, call, chat = locked(office_with(config, relax=(wider,)))
    office.ready("sue")
    out = office.pass_s(30)
    assert made(out) == [(call, "sue"), (chat, "ana")]
    assert chats


@pytest.mark.promise("RT-8")
def test_a_call_that_waits_for_one_agent_by_name_is_held_for_by_that_agent_alone() -> None:
    """Ben could take it, and may not: it is required that ana does. Others hold nothing for it."""
    rules = (Rule("hers", "support", channel=("phone",), prefer=Prefer(("ana",), mode="require")),)
    office, chats = busy(replace(two(), rules=rules), ready=("ana",))
    office.ready("ben")
    call, chat = office.arrive("phone"), office.active("chat")
    second, third = office.arrive("chat"), office.arrive("chat")
    assert [office.item(chat).owner, *office.offered_to(second), *office.offered_to(third)] == ["ben", "ben", "ben"]
    fourth = office.arrive("chat")
    office.complete(chats[0])
    assert (holder(office, call), office.state_of(fourth)) == ("ana", "queued")
    office.complete(chats[1])
    assert made(office.complete(chats[2])) == [(call, "ana")]


@pytest.mark.promise("RT-8")
def test_a_place_that_is_held_for_a_call_is_there_for_it_when_it_waits_for_everybody() -> None:
    rules = (Rule("hers", "support", channel=("phone",), prefer=Prefer(("ana",), hold=seconds(30))),)
    office, chats = busy(replace(MIXED, rules=rules))
    call, chat = office.arrive("phone"), office.arrive("chat")
    office.complete(chats[0])
    until = office.state.drains[call].until_ms
    office.sleep_s(31)
    assert call not in office.state.preferred
    assert (holder(office, call), office.state.drains[call].until_ms) == ("ana", until)
    assert office.state_of(chat) == "queued"


@pytest.mark.promise("RT-7")
def test_who_is_lent_holds_a_place_until_they_are_called_back() -> None:
    """Sue, of sales, is lent to support while a call is late there, until her own customers have to wait."""
    lent = Borrow("sales", Need(share=1.0), Spare(level_above=0.9, level_until=0.9), least=seconds(5))
    config = replace(
        agents_with(office_with(MIXED, borrow=(lent,)), sue=Agent(skills={"sales": 5})),
        rules=(Rule("sales", "sales", to=("sales",)),),
        balance=Balance(period=seconds(5)),
    )
    office = Office(config, ready=("sue",))
    office.active("chat", recipient="sales")
    call = office.arrive("phone")
    office.sleep_s(20)
    chat = office.arrive("chat", recipient="sales")
    assert (holder(office, call), office.state_of(chat)) == ("sue", "queued")
    office.sleep_s(65)
    assert office.state.gates["support", "sales"].is_open is False
    assert (holder(office, call), office.offered_to(chat)) == ("", ["sue"])


@pytest.mark.promise("RT-11")
def test_an_emergency_that_ends_the_call_frees_the_place() -> None:
    config = replace(office_with(MIXED, calendar="office"), calendars={"office": Calendar()})
    office, chats, call, _ = locked(config)
    office.do(c.CloseCalendar(calendar="office", by="operator:sam"))
    assert (office.state_of(call), office.state.drains) == ("closed", {})
    assert chats


# --- what it costs where nothing can be kept out ----------------------------------------------------------------------

CHAT, MAIL, CALL = Channel(cap=3), Channel(), Channel(exclusive=True)
HARMLESS: dict[str, tuple[dict[str, Channel], int | None]] = {
    "one channel": ({"chat": CHAT}, None),
    "one chat at a time": ({"chat": Channel(), "phone": CALL}, None),
    "nothing needs more room": ({"chat": CHAT, "email": MAIL}, 3),
    "switched off": ({"chat": CHAT, "phone": replace(CALL, drain=seconds(0))}, None),
    "all makes way": ({"chat": CHAT, "phone": replace(CALL, interrupts=("chat",))}, None),
    "room for everything": ({"chat": CHAT, "email": Channel(weight=3)}, 6),
}


@pytest.mark.parametrize("what", HARMLESS)
def test_nobody_looks_where_nothing_can_be_kept_out(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    channels, budget = HARMLESS[what]
    config = agents_with(replace(MIXED, channels=channels), ana=Agent(skills=SKILLED, budget=budget))
    monkeypatch.setattr(drain, "instead", lambda *_: pytest.fail("looked for what is kept out"))
    office = Office(config, ready=("ana",))
    for channel in 3 * list(channels):
        office.arrive(channel)
    for offer in list(office.state.offers.values()):
        office.accept(offer.interaction)
        office.complete(offer.interaction)
    assert not office.state.drainable


HARMFUL: dict[str, tuple[dict[str, Channel], int | None]] = {
    "chats keep out calls": ({"chat": CHAT, "phone": CALL}, None),
    "a chat and a mail do": ({"chat": Channel(), "email": MAIL, "phone": CALL}, None),
    "one of them makes way": ({"chat": CHAT, "email": MAIL, "phone": replace(CALL, interrupts=("email",))}, None),
    "what is heavy": ({"chat": CHAT, "email": Channel(weight=3)}, 5),
}


@pytest.mark.parametrize("what", HARMFUL)
def test_somebody_looks_where_something_can(what: str) -> None:
    channels, budget = HARMFUL[what]
    config = agents_with(replace(MIXED, channels=channels), ana=Agent(skills=SKILLED, budget=budget))
    assert Office(config).state.drainable


def test_a_channel_that_is_said_to_be_safe_cannot_be_kept_out_by_work_that_ends() -> None:
    """For all small capacities: if no end of anything in some mixture makes room, the channel is known to be lockable.
    Work of its own kind is left out, since its end makes room for the next."""
    told = Counter[bool]()
    for caps, weights, budget in product(product((1, 2), (1, 2, 3), (1, 2)), product((1, 3), (1, 2), (1,)), (3, 5, 99)):
        for alone, prey in product(product((True, False), (True, False), (False,)), product((0, 2, 6), (0, 4), (0,))):
            capacity = Capacity(caps, budget, weights, alone, prey)
            for channel in range(3):
                locked = can_be_locked(capacity, caps, channel)
                told[locked] += 1
                assert capacity.lockable >> channel & 1 or not locked, (caps, weights, budget, alone, prey, channel)
    assert min(told[True], told[False]) > 100


def can_be_locked(capacity: Capacity, caps: tuple[int, ...], channel: int) -> bool:
    prey = capacity.interrupts[channel]
    others = [0 if c == channel or prey >> c & 1 else cap for c, cap in enumerate(caps)]
    mixtures = (sum(n << LOAD_BITS * c for c, n in enumerate(ns)) for ns in product(*(range(n + 1) for n in others)))
    return capacity.slots(channel) > 0 and any(
        capacity.within(held) and no_end_makes_room(capacity, held, channel) for held in mixtures if held
    )


def no_end_makes_room(capacity: Capacity, held: int, channel: int) -> bool:
    after = [held - (1 << LOAD_BITS * c) for c in range(3) if held >> LOAD_BITS * c & LOAD_MASK]
    return not any(capacity.room_beside(rest) >> channel & 1 for rest in after)


# --- what is told -----------------------------------------------------------------------------------------------------


@pytest.mark.promise("DU-1")
def test_a_held_place_survives_a_restart_of_the_engine() -> None:
    office, _, call, _ = locked()
    restored = Engine.restore(office.engine.snapshot())
    assert restored.state.agents["ana"].drains == call
    assert restored.next_deadline_ms() == office.engine.next_deadline_ms()
    assert restored.snapshot() == office.engine.snapshot()


@pytest.mark.promise("EX-2")
def test_explain_shows_the_place_that_is_held() -> None:
    office, _, call, _ = locked()
    until = office.now_ms + 900_000
    told: dict[str, Any] = explain(office.state, call, office.now_ms)
    assert told["held"] == {"agent": "ana", "until_ms": until}
    assert any(x["change"] == "drain-ended" and x["at_ms"] == until for x in told["next_changes"])
    assert told["summary"] == "waits until ana, who keeps a place free for it, has room"
    answer = why_not(office.state, call, "ana", office.now_ms)
    assert answer["code"] == "exclusive"
    assert answer["reason"].endswith(
        "phone needs an agent without other work; a place is held for it, for at most 15m more"
    )


@pytest.mark.promise("EX-2")
def test_what_a_place_is_held_against_says_for_what_and_until_when() -> None:
    office, _, call, chat = locked()
    office.pass_s(100)
    answer = why_not(office.state, chat, "ana", office.now_ms)
    assert answer["code"] == "place-held"
    why = f"the free place of ana is held for i-{call}, which needs more room, for at most 13m20s more"
    assert answer["reason"] == why
    told = explain(office.state, chat, office.now_ms)
    assert told["summary"] == (
        "waits because the only agent who fits and is signed in keeps a place free for something else"
    )
    assert told["next_change_at_ms"] == office.state.drains[call].until_ms


@pytest.mark.promise("EX-2")
def test_what_had_no_room_anyway_is_not_said_to_be_held_off() -> None:
    office, _, call, _ = locked()
    other = office.arrive("phone")
    assert why_not(office.state, other, "ana", office.now_ms)["code"] == "exclusive"
    assert not any(x["change"] == "drain-ended" for x in explain(office.state, other, office.now_ms)["next_changes"])
    assert holder(office, call) == "ana"


@pytest.mark.promise("RT-5", "OB-1")
def test_a_place_that_is_held_is_a_figure_and_no_alarm() -> None:
    """Nobody is idle because of it: a chat waits beside a place that is held, for as long as was said."""
    office, _, call, chat = locked()
    health = matching_health(office.engine)
    assert (health.ok, health.figures) == (True, {"places_held": 1.0})
    office.pass_s(899.999)
    assert (matching_health(office.engine).ok, holder(office, call)) == (True, "ana")
    office.pass_s(0.001)
    assert office.offered_to(chat) == ["ana"]
    assert matching_health(office.engine).figures == {"places_held": 0.0}


# --- by chance --------------------------------------------------------------------------------------------------------


@pytest.mark.promise("RT-5", "CP-2", "DU-3")
@pytest.mark.parametrize("seed", [1, 3, 4, 6])
def test_every_place_that_is_held_is_foretold(seed: int) -> None:
    walk = crowd(seed, 300)
    assert e.DrainBegan in walk.checked.met


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("seed", range(2_000, 2_010))
def test_every_place_that_is_held_is_foretold_on_long_walks(seed: int) -> None:
    crowd(seed, 2_000)


def test_hundreds_of_places_go_to_what_is_more_urgent_at_one_instant() -> None:
    """Each of so many agents holds a place for a call, when as many chats have waited out their band at once."""
    agents, lines = 640, 40
    skills = {f"line-{n}": Queue(band="normal") for n in range(lines)}
    queues = {**skills, "chats": Queue(band="low", offer_timeout=seconds(3_600))}
    config = replace(
        MIXED,
        queues=queues,
        agents={f"a{n}": Agent() for n in range(agents)},
        rules=tuple(Rule(name, name, channel=("phone",), to=(name,)) for name in skills),
        default_queue="chats",
    )
    engine = Engine()

    def do(command: c.AnyCommand, at_ms: int) -> Any:
        return engine.handle(command, at_ms)

    do(c.Configure(document=to_bytes(config)), 0)
    for n in range(agents):
        do(c.OpenSession(agent=f"a{n}", session="s"), 0)
        do(c.SetState(agent=f"a{n}", state="ready"), 0)
    for n in range(2 * agents):
        do(c.Arrive(channel="chat", threads=(f"chat:{n}",)), 0)
    for offer in list(engine.state.offers.values()):
        do(c.Accept(agent=offer.agent, offer=offer.number), 0)
    for n in range(agents):
        do(c.Arrive(channel="phone", threads=(f"call:{n}",), recipient=f"line-{n % lines}"), 1_000)
    for n in range(agents):
        do(c.Arrive(channel="chat", threads=(f"late:{n}",)), 2_000)
    assert len(engine.state.drains) == agents
    out = do(c.Tick(), 602_000)
    assert len(happened(out, e.DrainEnded)) == len(made(out)) == agents
    assert not engine.state.drains
