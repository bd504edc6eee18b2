"""Callbacks: the place is kept, the customer is called when an agent has accepted, and once too often is not enough to
lose anybody (MV-5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine import invariants
from router.engine.config import Calendar, Callbacks, Channel, Resort, Rule, Unservable
from router.engine.engine import Engine
from router.engine.explain import explain
from router.engine.lookups import callback_of, callback_views, interaction_view
from router.engine.model import State
from router.engine.transitions import CLOSED
from router.errors import BadMessage, IllegalMove, NotFound, NotSupported, UnknownName
from router.journal import codec
from tests.engine.support.office import EVERY_ACTION, OFFICE, WRAPS, Office, happened, office_with, seconds
from tests.engine.support.walk import Walk
from tests.engine.test_consult import dies_after_each_record

pytestmark = pytest.mark.promise("MV-5")

LINE = "phone.dev:"
PHONE = Channel(exclusive=True, actions=(*EVERY_ACTION, "called"), calls=(LINE,))
RULES = Callbacks(attempts=3, delay=seconds(60), within=seconds(3_600))
CALLING = replace(OFFICE, channels={**OFFICE.channels, "phone": PHONE}, callbacks=RULES)
KIM, LEE = "+15550199", "+15550188"


def call(office: Office, who: str = KIM, **more: Any) -> int:
    return office.arrive("phone", sender=who, identities=(f"tel:{who}",), lease_ms=120_000, **more)


def ask(office: Office, number: int, **more: Any) -> None:
    office.do(c.RequestCallback(thread=office.thread(number), line=LINE, **more))


def hang_up(office: Office, number: int) -> None:
    office.do(c.Leave(thread=office.thread(number)))


def kept(**more: Any) -> tuple[Office, int]:
    """Nobody is there; kim asked to be called and hung up."""
    office = Office(replace(CALLING, **more))
    number = call(office)
    ask(office, number)
    hang_up(office, number)
    return office, number


def called(**more: Any) -> tuple[Office, int]:
    """Ana accepted, and kim is being called."""
    office, number = kept(**more)
    office.ready("ana")
    office.accept(number)
    return office, number


def letters(office: Office) -> list[tuple[str, str, str]]:
    return [(x.action, x.sender, x.reason) for x in office.state.outbound.values()]


# --- the place --------------------------------------------------------------------------------------------------------


def test_a_caller_who_hangs_up_keeps_the_place_with_the_time_of_arrival() -> None:
    office = Office(CALLING)
    first = call(office, KIM)
    since = office.item(first).enqueued_at_ms
    office.pass_s(30)
    second = call(office, LEE)
    ask(office, first)
    hang_up(office, first)
    office.pass_s(60)
    office.do(c.Renew(thread=office.thread(second), lease_ms=600_000))
    office.pass_s(300)
    assert office.state_of(first) == "queued", "no lease ends it: nobody is on the line"
    assert office.item(first).enqueued_at_ms == since
    assert interaction_view(office.state, office.item(first)).direction == "callback"
    office.ready("ana")
    assert office.offered_to(first) == ["ana"], "as if they had stayed on the line"


@pytest.mark.promise("RT-9")
def test_a_kept_place_outlives_a_night_in_which_nobody_is_there() -> None:
    ends = office_with(CALLING, unservable=Unservable("end", seconds(30)))
    office, number = kept(queues=ends.queues)
    gone = call(office, LEE)
    office.sleep_s(60)
    assert [office.state_of(n) for n in (number, gone)] == ["queued", "closed"]
    assert office.state.callbacks[1].interaction == number


@pytest.mark.parametrize("seed", range(3))
def test_a_kept_place_is_the_place_of_who_stays(seed: int) -> None:
    """The same calls twice; in one world some callers hang up after asking. Agents are offered the same in turn."""
    orders = []
    for hangs_up in (False, True):
        office, numbers = Office(CALLING), []
        for n in range(6):
            numbers.append(call(office, f"+1555010{n}"))
            office.now_ms += 1_000 * ((n + seed) % 2)
        for n in numbers[seed % 2 :: 2]:
            ask(office, n)
            if hangs_up:
                hang_up(office, n)
        office.ready("ana")
        order = []
        for _ in numbers:
            number = next(iter(office.state.offers.values())).interaction
            order.append(number)
            office.accept(number)
            office.do(c.ConfirmConnection(thread=office.thread(number)))
            office.complete(number)
        orders.append(order)
    assert orders[0] == orders[1]


def test_whoever_is_served_before_they_hang_up_is_not_called() -> None:
    office = Office(CALLING)
    number = call(office)
    ask(office, number)
    office.ready("ana")
    offer = office.offers_of(number)[0]
    out = office.do(c.Accept(agent="ana", offer=offer.number))
    assert happened(out, e.CallbackEnded) == [e.CallbackEnded(1, "answered")]
    assert letters(office)[0][0] == "assigned"
    hang_up(office, number)
    assert office.item(number).reason == "customer-left"


def test_an_offer_outlives_the_caller_who_hangs_up_and_is_then_a_call() -> None:
    office = Office(CALLING, ready=("ana",))
    number = call(office)
    ask(office, number)
    hang_up(office, number)
    assert office.offered_to(number) == ["ana"]
    office.accept(number)
    assert letters(office) == [("called", KIM, "agent")]


# --- calling ----------------------------------------------------------------------------------------------------------


def test_nobody_is_called_before_an_agent_has_accepted() -> None:
    office, number = kept()
    assert letters(office) == []
    office.ready("ana")
    assert letters(office) == []
    office.accept(number)
    (letter,) = office.state.outbound.values()
    assert (letter.action, letter.sender, letter.agent, letter.reason) == ("called", KIM, "ana", "agent")
    assert letter.threads == (f"{LINE}cb-1-1",)


def test_the_customer_may_be_called_first_and_at_another_number() -> None:
    office = Office(CALLING)
    number = call(office)
    ask(office, number, to=LEE, first="customer")
    hang_up(office, number)
    office.ready("ana")
    office.accept(number)
    assert letters(office) == [("called", LEE, "customer")]


def test_a_customer_who_answers_was_reached_and_the_contact_goes_on_as_any_other() -> None:
    office, number = called(queues=WRAPS.queues)
    out = office.do(c.ConfirmConnection(thread=office.thread(number)))
    assert happened(out, e.CallbackEnded) == [e.CallbackEnded(1, "reached")]
    office.complete(number)
    assert office.state_of(number) == "wrap-up"


@pytest.mark.parametrize("reason", ["busy", "no-answer", "failed"])
def test_who_is_not_reached_is_called_again_with_the_same_place(reason: str) -> None:
    office, number = called()
    since = office.item(number).enqueued_at_ms
    out = office.do(c.FailCall(thread=office.thread(number), reason=reason))
    assert office.item(number).reason == reason
    assert happened(out, e.CallbackPostponed) == [e.CallbackPostponed(1, office.now_ms + 60_000, reason)]
    assert office.state.agents["ana"].load == 0
    office.sleep_s(59.999)
    assert len(office.state.interactions) == 1
    office.sleep_s(0.001)
    again = number + 1
    assert office.offered_to(again) == ["ana"]
    assert (office.item(again).enqueued_at_ms, office.thread(again)) == (since, f"{LINE}cb-1-2")


def test_the_agent_documents_a_call_that_reached_nobody() -> None:
    office, number = called(queues=WRAPS.queues)
    office.do(c.FailCall(thread=office.thread(number), reason="busy"))
    assert office.state_of(number) == "wrap-up"


def test_after_the_last_attempt_it_is_given_up() -> None:
    office, number = called()
    for attempt in range(3):
        out = office.do(c.FailCall(thread=office.thread(number + attempt), reason="busy"))
        if attempt < 2:
            office.sleep_s(60)
            office.accept(number + attempt + 1)
    assert happened(out, e.CallbackEnded) == [e.CallbackEnded(1, "exhausted")]
    assert not office.state.callbacks


def test_an_agent_whose_telephone_fails_costs_the_customer_no_attempt() -> None:
    office, number = called()
    office.do(c.FailConnection(thread=office.thread(number)))
    assert office.offered_to(number) == ["ana"], "nobody else is there"
    office.accept(number)
    assert office.state.callbacks[1].attempts == 1
    assert [letter[0] for letter in letters(office)] == ["called", "called"], "the gateway knows"


def test_what_is_said_twice_counts_once() -> None:
    office, number = called()
    office.do(c.FailCall(thread=office.thread(number), reason="busy"))
    with pytest.raises(NotFound):
        office.do(c.FailCall(thread=office.thread(number), reason="busy"))
    assert office.state.callbacks[1].attempts == 1


# --- windows ----------------------------------------------------------------------------------------------------------


def later(office: Office, **more: Any) -> None:
    values = {"channel": "phone", "queue": "support", "to": KIM, **more}
    office.do(c.RequestCallback(by="operator:sam", **values))


def test_a_scheduled_callback_waits_for_its_time() -> None:
    office = Office(CALLING, ready=("ana",))
    later(office, not_before_ms=office.now_ms + 600_000)
    office.sleep_s(599.999)
    assert not office.state.interactions
    office.sleep_s(0.001)
    assert office.offered_to(1) == ["ana"]
    view = interaction_view(office.state, office.item(1))
    assert (view.direction, view.sender, view.enqueued_at_ms) == ("callback", KIM, office.now_ms)


def test_nobody_is_called_after_the_window() -> None:
    office, number = kept()
    office.sleep_s(3_600)
    assert (office.state_of(number), office.item(number).reason) == ("closed", "expired")
    assert not office.state.callbacks


def test_no_attempt_begins_after_the_window() -> None:
    office = Office(CALLING, ready=("ana",))
    later(office, until_ms=office.now_ms + 50_000)
    office.pass_s(0)
    office.accept(1)
    out = office.do(c.FailCall(thread=office.thread(1), reason="busy"))
    assert happened(out, e.CallbackEnded) == [e.CallbackEnded(1, "expired")]


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"queue": "sails"}, UnknownName),
        ({"to": ""}, BadMessage),
        ({"channel": "chat"}, NotSupported),
        ({"line": "phone.other:"}, NotSupported),
        ({"until_ms": 1}, BadMessage),
        ({"not_before_ms": -1}, BadMessage),
        ({"not_before_ms": 1 << 60}, BadMessage),
    ],
)
def test_what_cannot_be_called_is_refused(more: dict[str, Any], error: type[Exception]) -> None:
    office = Office(CALLING)
    with pytest.raises(error):
        later(office, **more)
    assert not office.state.callbacks


def test_a_customer_has_one_callback() -> None:
    office, _ = kept()
    with pytest.raises(IllegalMove, match="c-1"):
        later(office)


def test_only_who_waits_can_ask_for_it() -> None:
    office = Office(CALLING, ready=("ana",))
    number = call(office)
    office.accept(number)
    with pytest.raises(IllegalMove):
        ask(office, number)
    hidden = office.arrive("phone", lease_ms=60_000)
    with pytest.raises(BadMessage, match="no number"):
        ask(office, hidden)


# --- the customer comes by themselves ---------------------------------------------------------------------------------


def state_of_callback(office: Office) -> tuple[str, str]:
    (view,) = callback_views(office.state, 0, 10)
    return view.state, view.interaction


def test_who_comes_back_to_the_same_queue_takes_their_place_along() -> None:
    office, number = kept()
    since = office.item(number).enqueued_at_ms
    office.pass_s(100)
    assert office.item(call(office, LEE)).enqueued_at_ms == office.now_ms, "somebody else"
    again = call(office, KIM)
    assert office.item(again).enqueued_at_ms == since
    assert (office.state_of(number), office.item(number).reason) == ("closed", "merged")
    assert state_of_callback(office) == ("resting", f"i-{again}")
    assert explain(office.state, again, office.now_ms)["callback"]["summary"] == (
        f"{KIM} was to be called: that rests while they wait here, and goes on if they are not served"
    )
    assert explain(office.state, number, office.now_ms)["callback"] == {
        "callback": "c-1",
        "summary": f"{KIM} came by themselves and waits in i-{again}: calling them rests meanwhile",
        "until_ms": office.state.callbacks[1].until_ms,
        "next_attempt_at_ms": None,
    }
    office.ready("ana")
    out = office.do(c.Accept(agent="ana", offer=office.offers_of(again)[0].number))
    assert happened(out, e.CallbackEnded) == [e.CallbackEnded(1, "merged")]
    assert not office.state.callbacks


def test_by_any_channel_if_an_identity_matches() -> None:
    office, number = kept()
    since = office.item(number).enqueued_at_ms
    office.pass_s(100)
    again = office.arrive("chat", identities=("visitor:7", f"tel:{KIM}"))
    assert (office.item(again).enqueued_at_ms, office.item(number).reason) == (since, "merged")


@pytest.mark.parametrize("channel", ["phone", "chat"])
def test_who_comes_back_and_leaves_before_anybody_came_is_called_with_the_place_that_they_had(channel: str) -> None:
    office, number = kept()
    since = office.item(number).enqueued_at_ms
    office.pass_s(100)
    again = office.arrive(channel, sender=KIM, identities=(f"tel:{KIM}",))
    hang_up(office, again)
    assert office.item(again).reason == "abandoned"
    office.pass_s(0)
    owed = again + 1
    assert state_of_callback(office) == ("waiting", f"i-{owed}")
    assert (office.item(owed).enqueued_at_ms, office.thread(owed)) == (since, f"{LINE}cb-1-1")
    office.ready("ana")
    office.accept(owed)
    assert office.state.callbacks[1].attempts == 1, "it is the first call"
    assert letters(office) == [("called", KIM, "agent")]


def test_who_is_turned_away_where_they_come_by_themselves_is_still_called() -> None:
    """A promise is not taken back because the customer rings at a closed door."""
    closed = replace(CALLING.queues["sales"], calendar="never", when_closed=Resort("end"))
    night = {"never": Calendar(week={"mon-sun": ()})}
    to_sales = (Rule("sales", "sales", to=("sales",)),)
    office, _ = kept(queues={**CALLING.queues, "sales": closed}, calendars=night, rules=to_sales)
    turned_away = call(office, recipient="sales")
    assert office.item(turned_away).reason == "out-of-hours"
    office.pass_s(0)
    assert state_of_callback(office)[0] == "waiting"
    office.ready("ana")
    assert len(office.state.offers) == 1


def test_a_callback_for_another_day_keeps_its_time_when_they_come_in_vain_before() -> None:
    office = Office(CALLING)
    at = office.now_ms + 600_000
    later(office, not_before_ms=at)
    hang_up(office, call(office))
    assert state_of_callback(office) == ("scheduled", "")
    assert office.state.callbacks[1].due_ms == at


def test_nobody_is_called_while_they_wait_by_themselves() -> None:
    office = Office(CALLING)
    later(office, not_before_ms=office.now_ms + 60_000)
    number = call(office)
    office.do(c.Renew(thread=office.thread(number), lease_ms=600_000))
    office.sleep_s(120)
    assert state_of_callback(office) == ("resting", f"i-{number}")
    hang_up(office, number)
    office.pass_s(0)
    assert state_of_callback(office) == ("waiting", f"i-{number + 1}"), "its time has come meanwhile"


def test_who_comes_to_another_queue_and_is_served_there_is_not_called_any_more() -> None:
    office = Office(CALLING, ready=("ana",))
    later(office, queue="sales", not_before_ms=office.now_ms + 60_000)
    number = office.arrive("email", identities=(f"tel:{KIM}",))
    assert office.item(number).enqueued_at_ms == office.now_ms
    assert state_of_callback(office) == ("resting", f"i-{number}")
    office.accept(number)
    assert not office.state.callbacks


def test_who_calls_while_they_are_called_is_not_called_once_more() -> None:
    """Our call hears that the line is busy: they are the ones who keep it so."""
    office, number = called()
    office.pass_s(20)
    between = call(office, LEE)
    office.pass_s(20)
    again = call(office)
    assert office.item(again).enqueued_at_ms == office.item(number).enqueued_at_ms < office.item(between).enqueued_at_ms
    assert state_of_callback(office) == ("calling", f"i-{number}")
    office.do(c.FailCall(thread=office.thread(number), reason="busy"))
    assert state_of_callback(office) == ("resting", f"i-{again}")
    assert office.offered_to(again) == ["ana"], "who was calling them has room again"
    office.accept(again)
    assert not office.state.callbacks


def test_an_attempt_that_nobody_wants_any_more_ends_as_any_other() -> None:
    office, number = called()
    again = call(office)
    office.ready("ben")
    office.accept(again)
    assert not office.state.callbacks, "ben has them"
    office.do(c.FailCall(thread=office.thread(number), reason="busy"))
    assert office.state_of(number) == "closed"
    assert office.state.agents["ana"].load == 0


def test_an_operator_who_takes_it_back_while_they_are_called_has_the_gateway_hang_up() -> None:
    office, number = called()
    office.do(c.CancelCallback(callback=1, by="operator:sam", why="spam"))
    assert (office.state_of(number), office.item(number).reason) == ("closed", "called-off")
    assert office.state.agents["ana"].load == 0
    assert [letter[0] for letter in letters(office)] == ["called", "ended"]
    assert not office.state.callbacks


def test_a_call_of_which_nothing_is_heard_has_reached_nobody() -> None:
    office, number = called()
    office.sleep_s(119.999)
    assert office.state_of(number) == "active"
    office.sleep_s(0.001)
    assert (office.state_of(number), office.item(number).reason) == ("closed", "unheard")
    assert [letter[0] for letter in letters(office)] == ["called", "ended"], "it may be ringing still"
    assert office.state.callbacks[1].due_ms == office.now_ms + 60_000


def test_a_call_that_was_answered_or_came_back_has_no_such_end() -> None:
    office, number = called()
    office.do(c.FailConnection(thread=office.thread(number)))
    assert office.item(number).lease_until_ms == 0, "it waits, and nobody is on the line"
    office.accept(number)
    office.do(c.ConfirmConnection(thread=office.thread(number)))
    office.sleep_s(3_000)
    assert office.state_of(number) == "active"


def test_who_asks_once_more_with_another_number_means_that_one() -> None:
    office = Office(CALLING)
    number = call(office)
    ask(office, number)
    ask(office, number, to=LEE)
    assert [view.to for view in callback_views(office.state, 0, 10)] == [LEE]
    with pytest.raises(IllegalMove):
        ask(office, number, to=LEE)


def test_a_caller_without_a_number_must_say_one() -> None:
    office = Office(CALLING)
    hidden = office.arrive("phone", sender="anonymous", lease_ms=60_000)
    with pytest.raises(BadMessage, match="no number"):
        ask(office, hidden)
    ask(office, hidden, to=LEE)
    assert [view.to for view in callback_views(office.state, 0, 10)] == [LEE]


def test_an_operator_takes_it_back() -> None:
    office, number = kept()
    office.do(c.CancelCallback(callback=1, by="operator:sam", why="spam"))
    assert (office.state_of(number), office.item(number).reason) == ("closed", "cancelled")
    with pytest.raises(NotFound):
        office.do(c.CancelCallback(callback=1, by="operator:sam"))


def test_operators_see_who_is_to_be_called() -> None:
    office, number = called()
    (view,) = callback_views(office.state, 0, 10)
    assert (view.callback, view.state, view.interaction, view.attempts) == ("c-1", "calling", f"i-{number}", 1)
    assert callback_of(office.state, f"tel:{KIM}") == view
    assert callback_of(office.state, f"tel:{LEE}") is None


def test_it_is_explained_in_words() -> None:
    office, number = kept()
    assert explain(office.state, number, office.now_ms)["callback"]["summary"] == (
        f"keeps the place; {KIM} is called when an agent accepts, attempt 1 of 3"
    )


def test_a_callback_goes_on_in_the_queue_to_which_it_was_given() -> None:
    office, number = kept()
    office.do(c.Transfer(interaction=number, to=c.Target(queue="sales"), by="operator:sam"))
    office.ready("sue")
    office.accept(number)
    office.do(c.FailCall(thread=office.thread(number), reason="busy"))
    office.sleep_s(60)
    assert office.offered_to(number + 1) == ["sue"]


# --- whatever happens -------------------------------------------------------------------------------------------------


def no_attempt(s: State) -> None:
    s.callbacks[1].interaction = 0


def two_callbacks(s: State) -> None:
    s.callbacks[2] = s.callbacks[1]


def lost_place(s: State) -> None:
    s.callbacks[1].place_ms += 1


def no_timer(s: State) -> None:
    s.timers.clear()


def over(s: State) -> None:
    s.interactions[s.callbacks[1].interaction].state = CLOSED


@pytest.mark.parametrize("damage", [no_attempt, two_callbacks, lost_place, no_timer, over], ids=lambda d: d.__name__)
def test_damage_to_a_callback_is_noticed(damage: Callable[[State], None]) -> None:
    office, _ = kept()
    assert not invariants.broken(office.state)
    damage(office.state)
    assert invariants.broken(office.state)


@pytest.mark.promise("DU-1")
def test_callbacks_survive_the_process_at_every_record() -> None:
    office, number = called()
    office.do(c.FailCall(thread=office.thread(number), reason="busy"))
    office.sleep_s(60)
    office.accept(number + 1)
    office.do(c.ConfirmConnection(thread=office.thread(number + 1)))
    dies_after_each_record(office.checked.payloads, office.now_ms)


@pytest.mark.promise("DU-1")
def test_a_callback_that_rests_survives_the_process_at_every_record() -> None:
    office, _ = kept()
    hang_up(office, call(office))
    office.pass_s(0)
    call(office)
    dies_after_each_record(office.checked.payloads, office.now_ms)


@pytest.mark.promise("DU-1")
def test_a_place_that_was_given_up_when_the_process_died_is_nobodys_place() -> None:
    """The journal ends where the callback rests, and the place is not closed yet."""
    office, number = kept()
    again = call(office)
    records = [codec.decode(payload) for payload in office.checked.payloads]
    cut = next(i for i, record in enumerate(records) if isinstance(record.event, e.CallbackRests)) + 1
    engine = Engine()
    for record in records[:cut]:
        engine.apply(record)
    assert engine.state.interactions[number].state != CLOSED
    engine.resume()
    engine.handle(c.Restart(), office.now_ms)
    assert engine.state.interactions[number].reason == "merged"
    assert engine.state.callbacks[1].instead == again
    assert invariants.broken(engine.state) == []


@pytest.mark.parametrize("seed", range(800, 804))
def test_no_callback_is_lost_on_a_walk(seed: int) -> None:
    """Each one that was asked for is still to be made, or its end is recorded, once."""
    walk = Walk(seed, thrift=1_000).run(250)
    asked, ended = list[int](), list[int]()
    for payload in walk.checked.payloads:
        event = codec.decode(payload).event
        if isinstance(event, e.CallbackRequested):
            asked.append(event.callback)
        elif isinstance(event, e.CallbackEnded):
            ended.append(event.callback)
    assert sorted([*ended, *walk.state.callbacks]) == asked
