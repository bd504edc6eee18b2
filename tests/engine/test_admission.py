"""Who may wait in a queue: tested when they come, and all the time (RT-11; Rocket.Chat#20899)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import KEEP, Band, Calendar, Config, Queue, Resort, Step
from router.engine.latest import latest_overtaken_at_ms
from router.engine.model import WAIT_DUE
from router.engine.plan import check_config
from router.engine.requirements import Node
from router.errors import BadMessage, ConfigError, NotFound
from tests.engine.support.office import OFFICE, Office, made, office_with, seconds

pytestmark = pytest.mark.promise("RT-11")

# The office of these tests opens at 00:20 UTC on 1 January 1970, 200 s after the clock of an `Office` starts.
DAY = Calendar(week={"mon-sun": ("00:20-17:00",)})
OPENS_S = 200
CLOSES_S = OPENS_S + 16 * 3_600 + 40 * 60
CALENDARS = {"day": DAY, "always": Calendar()}
SORRY = Resort("end", message="We are closed.")
TO_SALES = Resort("move", "sales")


def shop(**support: Any) -> Config:
    """The office; mail may not be lost."""
    channels = {**OFFICE.channels, "email": replace(OFFICE.channels["email"], lasting=True)}
    return office_with(replace(OFFICE, calendars=CALENDARS, channels=channels), **support)


def at_day(office: Office) -> Office:
    office.sleep_s(OPENS_S)
    return office


def ended(office: Office, number: int) -> tuple[str, str]:
    item = office.item(number)
    return office.state_of(number), item.reason


# --- opening hours ----------------------------------------------------------------------------------------------------


def is_open(office: Office, calendar: str = "day") -> bool:
    return office.state.turns[calendar].is_open


def test_a_calendar_turns_by_itself() -> None:
    office = Office(shop(calendar="day"))
    seen = [is_open(office)]
    for s in (OPENS_S - 0.001, 0.001, CLOSES_S - OPENS_S - 0.001, 0.001):
        office.sleep_s(s)
        seen.append(is_open(office))
    assert seen == [False, False, True, True, False]
    assert office.state.turns["day"].next_ms == 86_400_000 + 1_200_000, "tomorrow"


def test_a_call_out_of_hours_is_refused_with_the_message() -> None:
    office = Office(shop(calendar="day", when_closed=SORRY), ready=("ana",))
    out = office.do(c.Arrive(channel="phone", threads=("call:1",)))
    assert [type(event) for event in out.events] == [e.InteractionArrived, e.InteractionEnded]
    assert out.events[1] == e.InteractionEnded(1, "out-of-hours", told="We are closed.", refused=True)
    assert not office.state.outbound, "the gateway is answered, so it is not ordered to hang up"


def test_the_same_call_told_of_again_is_refused_once() -> None:
    office = Office(shop(calendar="day", when_closed=SORRY))
    command = c.Arrive(channel="phone", threads=("call:1",), key="phone.x:1")
    first, again = office.do(command), office.do(command)
    assert again.reply.duplicate
    assert again.reply.interaction == first.reply.interaction
    assert not again.events


def test_mail_out_of_hours_is_never_lost() -> None:
    office = Office(shop(calendar="day", when_closed=SORRY))
    number = office.arrive("email")
    assert office.state_of(number) == "queued"
    office.sleep_s(86_400)
    assert office.state_of(number) == "queued"


def test_out_of_hours_a_contact_may_move_to_a_queue_that_is_open() -> None:
    office = Office(shop(calendar="day", when_closed=TO_SALES), ready=("sue",))
    out = office.do(c.Arrive(channel="chat", threads=("chat:1",)))
    assert [type(event) for event in out.events] == [e.InteractionArrived, e.Moved, e.OfferMade]
    assert out.events[1] == e.Moved(1, "sales", "out-of-hours")
    assert office.offered_to(1) == ["sue"]


def test_what_moves_keeps_its_time_and_what_it_asks_for() -> None:
    office = Office(shop(calendar="day", when_closed=TO_SALES))
    received = office.now_ms - 60_000
    number = office.arrive("chat", received_at_ms=received)
    assert office.item(number).queue == "sales"
    assert office.item(number).enqueued_at_ms == received


def test_two_closed_queues_that_name_each_other_leave_a_contact_where_it_is() -> None:
    config = shop(calendar="day", when_closed=TO_SALES)
    back = Queue(calendar="day", when_closed=Resort("move", "support"))
    office = Office(replace(config, queues={**config.queues, "sales": back}))
    number = office.arrive("chat")
    assert (office.item(number).queue, office.state_of(number)) == ("support", "queued")


def test_what_a_circle_of_closed_queues_leaves_is_ended_where_nobody_is_there_either() -> None:
    config = shop(calendar="day", when_closed=TO_SALES, when_nobody=Resort("end", message="Nobody."))
    back = Queue(calendar="day", when_closed=Resort("move", "support"))
    office = Office(replace(config, queues={**config.queues, "sales": back}))
    office.sleep_s(60)
    assert "support" in office.state.deserted
    number = office.arrive("chat")
    assert ended(office, number) == ("closed", "nobody-there")


def test_a_move_to_a_queue_that_is_closed_too_does_what_that_one_does() -> None:
    config = shop(calendar="day", when_closed=TO_SALES)
    night = Queue(calendar="day", when_closed=Resort("end", message="Nobody is here at night."))
    office = Office(replace(config, queues={**config.queues, "sales": night}))
    out = office.do(c.Arrive(channel="chat", threads=("chat:1",)))
    assert out.events[1:] == [e.InteractionEnded(1, "out-of-hours", told="Nobody is here at night.", refused=True)]


def test_who_waits_when_the_hours_end_is_served_out() -> None:
    office = at_day(Office(shop(calendar="day")))
    number = office.arrive("phone")
    office.sleep_s(CLOSES_S - OPENS_S + 60)
    assert not office.state.turns["day"].is_open
    assert made(office.ready("ana")) == [(number, "ana")]


def test_or_is_let_go_at_closing_time_where_the_queue_says_so() -> None:
    office = at_day(Office(shop(calendar="day", when_closing=SORRY)))
    call, mail = office.arrive("phone"), office.arrive("email")
    office.sleep_s(CLOSES_S - OPENS_S)
    assert ended(office, call) == ("closed", "closing")
    assert office.state_of(mail) == "queued"
    assert [letter.action for letter in office.state.outbound.values()] == ["ended"], "the gateway must hang up"


def test_what_is_being_offered_at_closing_time_may_still_be_answered() -> None:
    office = at_day(Office(shop(calendar="day", when_closing=SORRY, offer_timeout=seconds(86_400)), ready=("ana",)))
    number = office.arrive("phone")
    office.sleep_s(CLOSES_S - OPENS_S)
    office.accept(number)
    assert office.state_of(number) == "active"


def test_a_server_that_was_down_at_closing_time_says_so_when_it_comes_back() -> None:
    office = at_day(Office(shop(calendar="day", when_closing=SORRY)))
    number = office.arrive("phone")
    office.now_ms += 3 * 86_400_000
    office.checked.restart(office.now_ms)
    office.sleep_s(0)
    assert ended(office, number) == ("closed", "closing")
    assert office.state.turns["day"].next_ms > office.now_ms


# --- emergency --------------------------------------------------------------------------------------------------------


def emergency(office: Office, until_s: float = 0) -> Any:
    until = office.now_ms + int(until_s * 1_000) if until_s else 0
    return office.do(c.CloseCalendar(calendar="always", by="operator:sam", why="fire alarm", until_ms=until))


def test_an_emergency_acts_at_once_on_all_who_wait_or_are_being_offered() -> None:
    office = Office(shop(calendar="always", when_emergency=Resort("end", message="Call back.")), ready=("ana",))
    offered, waiting, mail = office.arrive("phone"), office.arrive("phone"), office.arrive("email")
    assert office.state_of(offered) == "offered"
    out = emergency(office)
    assert out.events[0] == e.EmergencyDeclared("always", 0, "operator:sam", "fire alarm")
    assert [ended(office, n) for n in (offered, waiting)] == [("closed", "emergency")] * 2
    assert office.state_of(mail) == "offered", "mail waits on, and ana is free for it"


def test_an_emergency_without_a_rule_of_its_own_does_as_out_of_hours() -> None:
    office = Office(shop(calendar="always", when_closed=TO_SALES))
    number = office.arrive("chat")
    emergency(office)
    assert office.item(number).queue == "sales"


def test_who_comes_in_an_emergency_is_refused_until_it_is_ended() -> None:
    office = Office(shop(calendar="always"))
    emergency(office)
    assert ended(office, office.arrive("phone")) == ("closed", "emergency")
    out = office.do(c.OpenCalendar(calendar="always", by="operator:sam"))
    assert out.events == [e.EmergencyEnded("always", "operator:sam")]
    assert office.state_of(office.arrive("phone")) == "queued"


def test_an_emergency_may_end_by_itself() -> None:
    office = Office(shop(calendar="always"))
    emergency(office, until_s=60)
    office.sleep_s(59.999)
    assert office.state.turns["always"].emergency
    office.sleep_s(0.001)
    assert not office.state.turns["always"].emergency


def test_an_emergency_holds_over_a_restart_and_a_new_configuration() -> None:
    office = Office(shop(calendar="always"))
    emergency(office)
    office.checked.restart(office.now_ms)
    office.configure(shop(calendar="always", weight=2.0))
    assert ended(office, office.arrive("phone")) == ("closed", "emergency")


def test_what_is_transferred_into_an_emergency_is_not_left_there() -> None:
    office = Office(replace(shop(), queues={**OFFICE.queues, "sales": Queue(calendar="always")}))
    emergency(office)
    number = office.arrive("phone")
    office.do(c.Transfer(interaction=number, to=c.Target(queue="sales"), by="operator:sam"))
    assert ended(office, number) == ("closed", "emergency")


def test_only_a_calendar_that_exists_is_closed_and_only_until_some_time_ahead() -> None:
    office = Office(shop())
    with pytest.raises(NotFound, match="known: day, always"):
        office.do(c.CloseCalendar(calendar="nigth", by="operator:sam"))
    with pytest.raises(BadMessage, match="future"):
        office.do(c.CloseCalendar(calendar="day", by="operator:sam", until_ms=office.now_ms))
    assert not office.do(c.OpenCalendar(calendar="day", by="operator:sam")).events


# --- length -----------------------------------------------------------------------------------------------------------


def test_a_full_queue_refuses_whoever_would_have_to_wait() -> None:
    office = Office(shop(max_length=1))
    first, second = office.arrive("phone"), office.arrive("phone")
    assert office.state_of(first) == "queued"
    assert ended(office, second) == ("closed", "queue-full")


def test_a_full_queue_takes_whoever_can_be_served_at_once() -> None:
    office = Office(shop(max_length=0), ready=("ana",))
    assert office.state_of(office.arrive("phone")) == "offered"
    assert ended(office, office.arrive("phone")) == ("closed", "queue-full")


def test_what_comes_back_to_a_full_queue_is_not_refused() -> None:
    office = Office(shop(max_length=1), ready=("ana",))
    offered, waiting = office.arrive("phone"), office.arrive("phone")
    office.pause("ana")
    assert [office.state_of(n) for n in (offered, waiting)] == ["queued", "queued"]


def test_a_length_that_is_lowered_holds_for_those_who_came_last() -> None:
    office = Office(shop())
    numbers = [office.arrive("phone") for _ in range(4)]
    office.configure(shop(max_length=2))
    assert [office.state_of(n) for n in numbers] == ["queued", "queued", "closed", "closed"]


# --- the longest wait -------------------------------------------------------------------------------------------------


def test_nobody_waits_longer_than_the_queue_allows() -> None:
    office = Office(shop(max_wait=seconds(60), when_overdue=Resort("end", message="Sorry.")))
    number = office.arrive("phone")
    office.sleep_s(59.999)
    assert office.state_of(number) == "queued"
    office.sleep_s(0.001)
    assert ended(office, number) == ("closed", "max-wait")


def test_after_the_longest_wait_it_may_move_with_its_time() -> None:
    office = Office(shop(max_wait=seconds(60), when_overdue=TO_SALES), ready=("sue",))
    number = office.arrive("chat")
    enqueued = office.item(number).enqueued_at_ms
    office.sleep_s(60)
    assert office.offered_to(number) == ["sue"]
    assert office.item(number).enqueued_at_ms == enqueued


def test_the_time_with_an_agent_is_no_wait() -> None:
    """Answered at once, talked for two minutes, given on: only now do they begin to wait."""
    office = Office(shop(max_wait=seconds(60)), ready=("ana",))
    number = office.active("phone")
    office.sleep_s(120)
    office.pause("ana")
    office.do(c.Requeue(interaction=number, by="operator:sam"))
    office.sleep_s(59)
    assert office.item(number).waits
    office.sleep_s(1)
    assert ended(office, number) == ("closed", "max-wait")


def test_who_came_later_may_have_waited_longer() -> None:
    office = Office(shop(max_wait=seconds(60)), ready=("ana",))
    first = office.active("phone")
    office.sleep_s(30)
    second = office.arrive("phone")
    office.sleep_s(10)
    office.pause("ana")
    office.do(c.Requeue(interaction=first, by="operator:sam"))
    office.sleep_s(50)
    assert (ended(office, second), office.item(first).waits) == (("closed", "max-wait"), True)
    office.sleep_s(10)
    assert ended(office, first) == ("closed", "max-wait")


def test_one_timer_serves_a_queue_however_many_wait() -> None:
    office = Office(shop(max_wait=seconds(60)))
    for _ in range(50):
        office.arrive("chat")
        office.now_ms += 10
    assert len([timer for timer in office.state.timers if timer[1] == WAIT_DUE]) == 1
    office.sleep_s(61)
    assert office.state.queues["support"].waiting == 0


def test_an_offer_that_is_open_at_the_deadline_is_waited_for() -> None:
    office = Office(shop(max_wait=seconds(10), offer_timeout=seconds(15), cool_off=seconds(0)), ready=("ana",))
    number = office.arrive("phone")
    office.sleep_s(14)
    assert office.state_of(number) == "offered"
    office.sleep_s(1)
    assert ended(office, number) == ("closed", "max-wait")


def test_the_longest_wait_may_count_open_hours_only() -> None:
    """Six minutes, of which the office is open for the last one only."""
    rules = {"calendar": "day", "when_closed": KEEP, "max_wait": seconds(60), "clock": "open"}
    office = Office(shop(**rules))
    number = office.arrive("chat")
    office.sleep_s(OPENS_S + 59.999)
    assert office.state_of(number) == "queued"
    office.sleep_s(0.001)
    assert ended(office, number) == ("closed", "max-wait")


@pytest.mark.promise("RT-1", "RT-7")
def test_a_band_and_a_relaxation_plan_may_count_open_hours_only() -> None:
    lower = Step(after=seconds(30), lower={"support": 1})
    config = shop(
        calendar="day", when_closed=KEEP, clock="open", requirement=Node(skill="support", level=5), relax=(lower,)
    )
    bands = (Band("urgent"), Band("normal", cap=seconds(60)))
    office = Office(replace(config, bands=bands, default_band="normal"))
    number = office.arrive("chat")
    latest = latest_overtaken_at_ms(office.state, office.item(number))
    assert latest is not None
    assert latest >= office.now_ms + (OPENS_S + 60) * 1_000
    office.sleep_s(OPENS_S + 29.999)
    assert (office.item(number).step, office.item(number).lifted) == (0, False)
    office.sleep_s(0.001)
    assert (office.item(number).step, office.item(number).lifted) == (1, False)
    office.sleep_s(29.999)
    assert not office.item(number).lifted
    office.sleep_s(0.001)
    assert office.item(number).lifted


def test_where_there_is_nowhere_to_move_to_it_is_tried_again() -> None:
    config = shop(max_wait=seconds(60), when_overdue=TO_SALES)
    back = Queue(calendar="always", when_closed=Resort("move", "support"))
    office = Office(replace(config, queues={**config.queues, "sales": back}))
    emergency(office)
    number = office.arrive("chat")
    office.sleep_s(120)
    assert office.item(number).queue == "support"
    office.do(c.OpenCalendar(calendar="always", by="operator:sam"))
    office.sleep_s(1)
    assert office.item(number).queue == "sales"


def test_who_waited_too_long_everywhere_comes_to_rest_where_the_way_leads_back() -> None:
    """To sales, whose overdue go to a queue that is closed and sends on to support."""
    config = shop(max_wait=seconds(60), when_overdue=TO_SALES)
    sales = Queue(max_wait=seconds(60), when_overdue=Resort("move", "night"))
    night = Queue(calendar="always", when_closed=Resort("move", "support"), when_emergency=Resort("move", "support"))
    office = Office(replace(config, queues={**config.queues, "sales": sales, "night": night}))
    emergency(office)
    number = office.arrive("chat")
    office.sleep_s(60)
    office.sleep_s(3_600)
    assert office.item(number).waits


def test_a_queue_with_a_limit_fills_up_as_those_who_waited_too_long_move_there() -> None:
    config = shop(max_wait=seconds(60), when_overdue=TO_SALES)
    office = Office(replace(config, queues={**config.queues, "sales": Queue(max_length=2)}))
    numbers = [office.arrive("chat") for _ in range(5)]
    office.sleep_s(60)
    assert [office.item(n).queue for n in numbers[:2]] == ["sales", "sales"]
    assert [ended(office, n) for n in numbers[2:]] == [("closed", "queue-full")] * 3


# --- nobody there -----------------------------------------------------------------------------------------------------


def test_when_nobody_who_fits_is_signed_in_the_queue_acts_after_a_grace() -> None:
    office = Office(shop(when_nobody=SORRY, nobody_grace=seconds(30)), ready=("ana", "sue"))
    office.pause("ana")
    number = office.arrive("phone")
    office.sleep_s(3_600)
    assert office.state_of(number) == "queued", "ana has a break, but she is signed in"
    office.sign_out("ana")
    office.sleep_s(29.999)
    assert office.state_of(number) == "queued"
    office.sleep_s(0.001)
    assert ended(office, number) == ("closed", "nobody-there")


def test_who_comes_while_nobody_is_there_is_told_at_once() -> None:
    office = Office(shop(when_nobody=SORRY, nobody_grace=seconds(30)))
    assert office.state_of(office.arrive("phone")) == "queued", "they may still come"
    office.sleep_s(30)
    assert ended(office, office.arrive("phone")) == ("closed", "nobody-there")
    out = office.do(c.OpenSession(agent="ben", session="s"))
    assert e.QueueStaffed("support") in out.events
    assert office.state_of(office.arrive("phone")) == "queued"


def test_somebody_who_comes_back_within_the_grace_changes_nothing() -> None:
    office = Office(shop(when_nobody=SORRY, nobody_grace=seconds(30)), ready=("ana",))
    number = office.arrive("chat")
    office.accept(number)
    waiting = [office.arrive("chat") for _ in range(3)][-1]
    office.sign_out("ana")
    office.sleep_s(29)
    office.ready("ana")
    office.sleep_s(60)
    assert office.state_of(waiting) in ("queued", "offered")
    assert "support" not in office.state.deserted


def test_an_agent_who_leaves_the_configuration_leaves_the_queue() -> None:
    office = Office(shop(when_nobody=SORRY, nobody_grace=seconds(0)), ready=("ana",))
    number = office.arrive("phone")
    config = shop(when_nobody=SORRY, nobody_grace=seconds(0))
    office.configure(replace(config, agents={"sue": config.agents["sue"]}))
    office.sleep_s(0)
    assert ended(office, number) == ("closed", "nobody-there")


# --- many at once -----------------------------------------------------------------------------------------------------


def test_rules_stand_in_this_order_and_the_first_that_does_something_decides() -> None:
    rules = {"calendar": "day", "when_closed": KEEP, "max_length": 0, "when_full": SORRY}
    office = Office(shop(**rules))
    assert ended(office, office.arrive("phone")) == ("closed", "queue-full"), "closed, but that keeps it"


def test_a_queue_that_is_given_a_calendar_in_emergency_is_closed_at_once() -> None:
    office = Office(shop())
    emergency(office)
    number = office.arrive("phone")
    assert office.state_of(number) == "queued"
    office.configure(shop(calendar="always"))
    assert ended(office, number) == ("closed", "emergency")


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("support", "path", "says"),
    [
        ({"calendar": "dya"}, "queues.support.calendar", "'day'"),
        ({"when_full": Resort("move")}, "queues.support.when_full.queue", "the queue to move to"),
        ({"when_full": Resort("end", "sales")}, "queues.support.when_full.queue", 'unless do = "move"'),
        ({"when_closed": Resort("move", "slaes")}, "queues.support.when_closed.queue", "'sales'"),
        ({"when_nobody": Resort("move", "support")}, "queues.support.when_nobody.queue", "another queue"),
        ({"clock": "open"}, "queues.support.clock", "a calendar"),
        ({"max_wait": seconds(9), "when_overdue": KEEP}, "queues.support.when_overdue.do", '"end", "move"'),
        ({"when_full": TO_SALES}, "queues.support.when_full", "max_length beside it"),
        ({"when_overdue": TO_SALES}, "queues.support.when_overdue", "max_wait beside it"),
        ({"when_closed": SORRY}, "queues.support.when_closed", "calendar beside it"),
        ({"when_closing": SORRY}, "queues.support.when_closing", "calendar beside it"),
        ({"when_emergency": KEEP}, "queues.support.when_emergency", "calendar beside it"),
    ],
)
def test_what_contradicts_itself_is_refused_with_its_path(support: dict[str, Any], path: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_config(shop(**support))
    assert refused.value.path == path
    assert says in refused.value.expected


def test_who_waited_too_long_is_not_sent_in_a_circle() -> None:
    config = shop(max_wait=seconds(60), when_overdue=TO_SALES)
    back = Queue(max_wait=seconds(60), when_overdue=Resort("move", "support"))
    with pytest.raises(ConfigError, match="support -> sales -> support") as refused:
        check_config(replace(config, queues={**config.queues, "sales": back}))
    assert refused.value.path == "queues.support.when_overdue.queue"


def test_a_queue_without_rules_costs_nothing_of_this() -> None:
    office = Office()
    assert not office.state.queues["support"].guarded
    office.arrive()
    assert not office.state.timers
