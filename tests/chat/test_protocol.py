"""One behaviour of the conversation at a time, in front of the real engine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from channels.chat.tokens import Statement, sign_visitor
from router.engine import commands as c
from router.engine.events import Blob, Message
from router.errors import Draining, Overloaded, RouterError, Unavailable
from tests.chat.world import START_MS, Socket, World

PAGE = "the page that embeds the chat 123456"


def welcome_of(socket: Socket) -> dict[str, Any]:
    return next(frame for frame in socket.got if frame["type"] == "welcome")


def token_of(socket: Socket) -> str:
    return str(welcome_of(socket)["token"])


def codes(*sockets: Socket) -> list[int | None]:
    """How they were closed; None for an open one."""
    return [socket.closed for socket in sockets]


def arrivals(world: World) -> list[c.Arrive]:
    return [command for command in world.desk.commands if isinstance(command, c.Arrive)]


# --- hello ------------------------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-1", "IN-2")
def test_a_hello_stands_in_the_queue_and_is_welcome_when_that_is_recorded() -> None:
    world = World()
    visitor = world.connect()
    visitor.send(type="hello", topic="support", name="Ada", language="en")
    assert visitor.got == []
    world.flush()
    welcome, queued = visitor.got
    assert welcome == {
        "type": "welcome",
        "seq": 1,
        "token": welcome["token"],
        "interaction": "i-1",
        "resumed": False,
        "state": "queued",
        "position": 1,
        "messages": [],
    }
    assert queued == {"type": "queued", "seq": 2, "interaction": "i-1", "position": 1, "expected_wait_s": None}
    view = world.desk.interaction(1)
    assert (view.channel, view.queue, view.recipient, view.name, view.language) == (
        "chat",
        "support",
        "support",
        "Ada",
        "en",
    )


def test_a_hello_without_a_topic_takes_the_default_one() -> None:
    world = World(default_topic="support")
    assert welcome_of(world.hello())["interaction"] == "i-1"


@pytest.mark.parametrize("topic", [{}, {"topic": "unheard-of"}])
def test_a_topic_that_nobody_answers_is_refused(topic: dict[str, str]) -> None:
    world = World()
    visitor = world.hello(**topic)
    assert [(f["type"], f["code"], f["seq"]) for f in visitor.got] == [("error", "no-route", 0)]
    assert visitor.closed == 4404
    assert world.room.conversations == {}


@pytest.mark.parametrize(
    ("refusal", "code"),
    [(Overloaded("x"), "overloaded"), (Unavailable("x", 9), "unavailable"), (Draining("x"), "draining")],
)
@pytest.mark.promise("IN-2", "OB-3")
def test_a_hello_that_cannot_be_recorded_is_told_to_come_back(refusal: RouterError, code: str) -> None:
    world = World()
    world.desk.refuse = lambda command: refusal
    visitor = world.hello(topic="support")
    (error,) = visitor.got
    assert (error["type"], error["code"], visitor.closed) == ("error", code, 1013)
    assert error["retry_after_s"] == refusal.retry_after_s  # type: ignore[attr-defined]


@pytest.mark.promise("IN-6")
def test_an_unsigned_visitor_is_an_attribute_and_no_identity() -> None:
    world = World(visitor_secret=PAGE)
    world.hello(topic="support", visitor="customer-1")
    (arrival,) = arrivals(world)
    assert arrival.attributes == {"claimed_visitor": "customer-1"}
    assert [identity.partition(":")[0] for identity in arrival.identities] == ["visitor"]


@pytest.mark.promise("IN-6")
def test_a_signed_visitor_is_the_same_customer_everywhere_and_needs_no_token() -> None:
    world = World(visitor_secret=PAGE)
    signed = sign_visitor(PAGE, Statement("customer-1", START_MS + 9_000, "Ada", "ada@example.org"))
    first = world.hello(topic="support", visitor=signed)
    second = world.hello(visitor=signed)
    assert welcome_of(first)["interaction"] == welcome_of(second)["interaction"] == "i-1"
    assert "mailto:ada@example.org" in arrivals(world)[0].identities
    assert world.desk.interaction(1).name == "Ada"


@pytest.mark.promise("OB-6")
def test_a_signature_counts_more_than_the_token_that_the_browser_had_kept() -> None:
    world = World(visitor_secret=PAGE)
    stranger = world.hello(topic="support")
    signed = sign_visitor(PAGE, Statement("customer-1", START_MS + 9_000))
    visitor = world.hello(topic="support", visitor=signed, token=token_of(stranger))
    assert welcome_of(visitor)["interaction"] == "i-2"


@pytest.mark.parametrize("proof", [{"token": "forged"}, {"visitor": f"e30.{'0' * 64}"}])
@pytest.mark.promise("OB-6")
def test_a_proof_that_is_none_is_refused(proof: dict[str, str]) -> None:
    world = World(visitor_secret=PAGE)
    visitor = world.hello(topic="support", **proof)
    assert (visitor.got[0]["code"], visitor.closed) == ("unauthenticated", 4401)
    assert world.room.conversations == {}


@pytest.mark.promise("OB-6")
def test_a_token_ends_with_its_session_but_never_locks_out_of_an_open_conversation() -> None:
    world = World(session=3_600_000, visitor_grace=10**12)
    visitor = world.hello(topic="support")
    token = token_of(visitor)
    visitor.cut()
    world.sweep(after_s=3_600)
    back = world.hello(token=token)
    assert welcome_of(back)["interaction"] == "i-1"
    back.send(type="leave")
    world.flush()
    late = world.hello(token=token, topic="support")
    assert (late.got[0]["code"], late.closed) == ("unauthenticated", 4401)


@pytest.mark.promise("OB-6")
def test_a_token_shows_its_own_conversation_only() -> None:
    world = World()
    mine, other = world.hello(topic="support"), world.hello(topic="support")
    other.send(type="message", id=1, text="private")
    world.flush()
    mine.cut()
    back = world.hello(token=token_of(mine))
    assert (welcome_of(back)["interaction"], welcome_of(back)["messages"]) == ("i-1", [])
    assert "private" not in json.dumps(mine.got + back.got)


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-2")
def test_a_message_is_delivered_when_it_is_recorded_and_not_before() -> None:
    world = World()
    visitor = world.hello(topic="support")
    visitor.take()
    visitor.send(type="message", id="m1", text="hello?")
    assert visitor.got == []
    world.flush()
    assert visitor.got == [{"type": "delivered", "seq": 3, "re": "m1", "at_ms": START_MS}]
    assert [m.text for m in world.desk.interaction(1).messages] == ["hello?"]


@pytest.mark.promise("IN-2")
@pytest.mark.parametrize("refusal", [Overloaded("x"), Unavailable("x"), Draining("x")])
def test_a_message_that_is_not_recorded_is_an_error_and_can_be_sent_again(refusal: RouterError) -> None:
    world = World()
    visitor = world.hello(topic="support")
    world.desk.refuse = lambda command: refusal
    visitor.take()
    visitor.send(type="message", id="m1", text="hello?")
    world.flush()
    (error,) = visitor.take()
    assert (error["type"], error["code"], error["re"], error["retry_after_s"]) == ("error", refusal.code, "m1", 5)
    world.desk.refuse = lambda command: None
    visitor.send(type="message", id="m1", text="hello?")
    world.flush()
    assert visitor.types == ["delivered"]


@pytest.mark.promise("IN-3")
def test_a_hundred_copies_are_one_message_and_a_hundred_equal_answers() -> None:
    world = World()
    windows = [world.hello(topic="support")]
    windows += [world.hello(token=token_of(windows[0])) for _ in range(9)]
    for window in windows:
        window.take()
        for _ in range(10):
            window.send(type="message", id="m1", text="once")
    world.flush()
    assert [m.text for m in world.desk.interaction(1).messages] == ["once"]
    for window in windows:
        assert {f["re"] for f in window.got if f["type"] == "delivered"} == {"m1"}
        assert not [f for f in window.got if f["type"] == "error"]
        assert [f["seq"] for f in window.got] == list(range(3, 103))


@pytest.mark.promise("IN-3")
def test_two_messages_of_one_visitor_in_the_same_millisecond_join_one_conversation() -> None:
    world = World()
    visitor = world.hello(topic="support")
    visitor.send(type="leave")
    world.flush()
    visitor = world.hello(token=token_of(visitor), last_seq=3)
    visitor.send(type="message", id="a", text="one")
    visitor.send(type="message", id="b", text="two")
    world.flush()
    assert [m.text for m in world.desk.interaction(2).messages] == ["one", "two"]
    assert len(world.desk.interactions()) == 2


def test_what_is_said_before_the_welcome_comes_after_it() -> None:
    world = World()
    visitor = world.connect()
    visitor.send(type="hello", topic="support")
    visitor.send(type="message", id=1, text="I could not wait")
    world.flush()
    assert visitor.types == ["welcome", "queued", "delivered"]
    assert [f["seq"] for f in visitor.got] == [1, 2, 3]


def test_an_id_comes_back_as_it_was_sent() -> None:
    world = World()
    visitor = world.hello(topic="support")
    for ident in (17, "17a"):
        visitor.send(type="message", id=ident, text="x")
    world.flush()
    assert [f["re"] for f in visitor.got if f["type"] == "delivered"] == [17, "17a"]


def test_an_id_that_another_text_had_is_refused_rather_than_swallowed() -> None:
    world = World()
    visitor = world.hello(topic="support")
    visitor.send(type="message", id=1, text="one")
    visitor.send(type="message", id=1, text="two")
    world.flush()
    assert [(f["type"], f.get("code")) for f in visitor.got[2:]] == [("error", "id-reused"), ("delivered", None)]


def test_another_window_of_the_visitor_sees_the_message_under_the_same_number() -> None:
    world = World()
    one = world.hello(topic="support")
    two = world.hello(token=token_of(one))
    one.take(), two.take()
    one.send(type="message", id="m", text="hi")
    world.flush()
    assert one.got == [{"type": "delivered", "seq": 3, "re": "m", "at_ms": START_MS}]
    assert two.got == [
        {"type": "message", "seq": 3, "author": "customer", "text": "hi", "at_ms": START_MS, "id": "m"},
    ]


def test_an_agent_joins_and_answers_and_ends() -> None:
    world = World()
    world.sign_in()
    visitor = world.hello(topic="support")
    visitor.take()
    number = world.accept()
    world.desk.now += 5
    world.say(number, "How can I help?")
    world.desk.do(c.Complete(agent="ana", interaction=number))
    world.flush()
    assert visitor.got == [
        {"type": "joined", "seq": 3, "name": "Ana"},
        {
            "type": "message",
            "seq": 4,
            "author": "agent",
            "text": "How can I help?",
            "at_ms": START_MS + 5,
            "name": "Ana",
        },
        {"type": "ended", "seq": 5, "interaction": "i-1", "reason": "completed"},
    ]


def test_a_file_without_words_is_announced() -> None:
    world = World()
    world.sign_in()
    visitor = world.hello(topic="support")
    number = world.accept()
    file = Blob("0" * 64, 12, "image/png", "plan.png")
    world.desk.do(c.Say(agent="ana", interaction=number, message=Message("", (file,))))
    world.flush()
    (shown,) = visitor.got[-1]["attachments"]
    assert shown.pop("url").startswith("/chat/files/")
    assert shown == {"name": "plan.png", "media_type": "image/png", "size": 12}


def test_a_message_after_the_end_opens_a_new_conversation() -> None:
    world = World()
    world.sign_in()
    visitor = world.hello(topic="support")
    world.desk.do(c.Complete(agent="ana", interaction=world.accept()))
    world.flush()
    visitor.take()
    visitor.send(type="message", id="again", text="one more thing")
    world.flush()
    assert [(f["type"], f.get("interaction")) for f in visitor.got] == [("queued", "i-2"), ("delivered", None)]
    assert world.desk.interaction(2).follows == "i-1"


# --- waiting ----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("RT-13")
def test_a_place_in_the_line_is_told_when_it_changes_and_only_then() -> None:
    world = World()
    first, second = world.hello(topic="support"), world.hello(topic="support")
    assert second.got[-1]["position"] == 2
    second.take()
    world.sweep()
    assert second.got == []
    first.send(type="leave")
    world.flush()
    world.sweep()
    assert [(f["type"], f["position"]) for f in second.got] == [("queued", 1)]


@pytest.mark.promise("AG-2")
def test_a_visitor_whose_agent_is_lost_is_told_to_be_waiting_again() -> None:
    world = World()
    world.sign_in()
    visitor = world.hello(topic="support")
    world.accept()
    visitor.take()
    world.desk.do(c.CloseSession(agent="ana", session="ana-1"))
    world.desk.now += 60_000
    world.desk.do(c.Tick())
    world.flush()
    assert [(f["type"], f["position"]) for f in visitor.got] == [("queued", 1)]


def test_a_visitor_who_is_transferred_waits_again() -> None:
    world = World()
    world.sign_in()
    visitor = world.hello(topic="support")
    number = world.accept()
    world.desk.do(c.SetState(agent="ana", state="not_ready"))
    visitor.take()
    world.desk.do(c.Transfer(agent="ana", interaction=number, to=c.Target(queue="support")))
    world.flush()
    assert visitor.types == ["queued"]


# --- leaving and being gone -------------------------------------------------------------------------------------------


def test_a_visitor_who_leaves_is_told_the_end_and_the_other_windows_stay() -> None:
    world = World()
    one = world.hello(topic="support")
    two = world.hello(token=token_of(one))
    one.send(type="leave")
    assert codes(one, two) == [None, None]
    world.flush()
    assert (one.got[-1]["type"], two.got[-1]["type"]) == ("ended", "ended")
    assert codes(one, two) == [1000, None]
    assert world.desk.find(arrivals(world)[0].threads[0]) is None


def test_who_leaves_twice_or_without_a_conversation_is_let_go() -> None:
    world = World()
    one = world.hello(topic="support")
    two = world.hello(token=token_of(one))
    one.send(type="leave")
    two.send(type="leave")
    world.flush()
    assert (one.closed, two.closed) == (1000, 1000)
    three = world.hello(token=token_of(one), last_seq=1)
    three.send(type="leave")
    assert three.closed == 1000


@pytest.mark.promise("IN-2")
def test_a_leave_that_is_not_recorded_can_be_said_again() -> None:
    world = World()
    visitor = world.hello(topic="support")
    world.desk.refuse = lambda command: Unavailable("the journal is full")
    visitor.send(type="leave")
    world.flush()
    assert (visitor.got[-1]["code"], visitor.closed) == ("unavailable", None)
    world.desk.refuse = lambda command: None
    visitor.send(type="leave")
    world.flush()
    assert visitor.closed == 1000


def test_a_visitor_may_be_away_for_the_grace_and_no_longer() -> None:
    world = World(visitor_grace=120_000)
    visitor = world.hello(topic="support")
    visitor.cut()
    world.sweep(after_s=119.999)
    assert world.desk.interaction(1).state == "queued"
    world.sweep(after_s=0.001)
    assert (world.desk.interaction(1).state, world.desk.interaction(1).reason) == ("closed", "abandoned")


def test_one_window_is_enough_to_be_there() -> None:
    world = World(visitor_grace=120_000)
    one = world.hello(topic="support")
    world.hello(token=token_of(one))
    one.cut()
    world.sweep(after_s=1_000)
    assert world.desk.interaction(1).state == "queued"


def test_a_goodbye_of_the_gone_that_is_refused_is_said_at_the_next_sweep() -> None:
    world = World(visitor_grace=0)
    world.hello(topic="support").cut()
    world.desk.refuse = lambda command: Overloaded("busy")
    world.sweep()
    world.desk.refuse = lambda command: None
    world.sweep()
    assert world.desk.interaction(1).state == "closed"


def test_after_a_start_everybody_has_their_grace_again() -> None:
    world = World(visitor_grace=120_000)
    world.hello(topic="support").cut()
    world.desk.now += 100_000
    world.restart()
    world.sweep(after_s=119)
    assert world.desk.interaction(1).state == "queued"
    world.sweep(after_s=1)
    assert world.desk.interaction(1).state == "closed"


def test_a_conversation_that_is_over_is_forgotten_in_time() -> None:
    world = World(keep_ended=600_000)
    visitor = world.hello(topic="support")
    visitor.send(type="leave")
    world.flush()
    world.sweep(after_s=599)
    assert len(world.room.conversations) == 1
    world.sweep(after_s=1)
    assert world.room.conversations == {}


@pytest.mark.promise("MV-1")
def test_whoever_joins_the_conversation_is_named_and_nothing_between_agents_is_heard() -> None:
    world = World()
    for agent in ("ana", "ben"):
        world.sign_in(agent)
    visitor = world.hello(topic="support")
    number = world.accept()
    world.desk.do(c.Consult(agent="ana", interaction=number, to=c.Target(agent="ben")))
    world.accept("ben")
    consult = world.desk.engine.state.consults[number].leg
    world.desk.do(c.Say(agent="ben", interaction=consult, message=Message("between us")))
    world.flush()
    visitor.take()
    world.desk.do(c.JoinConsult(agent="ana", interaction=number))
    world.desk.do(c.CompleteConsult(agent="ana", interaction=number))
    world.flush()
    assert [(frame["type"], frame["name"]) for frame in visitor.got] == [("joined", "Ben"), ("joined", "Ben")]
    assert world.room.conversations[next(iter(world.room.conversations))].agent == "Ben"


@pytest.mark.promise("MV-1")
def test_a_restart_during_a_consult_finds_one_conversation() -> None:
    world = World()
    for agent in ("ana", "ben"):
        world.sign_in(agent)
    world.hello(topic="support")
    number = world.accept()
    world.desk.do(c.Consult(agent="ana", interaction=number, to=c.Target(agent="ben")))
    world.accept("ben")
    world.flush()
    world.restart()
    (conversation,) = world.room.conversations.values()
    assert (conversation.open, conversation.agent) == (number, "Ana")


# --- coming back ------------------------------------------------------------------------------------------------------


@pytest.mark.promise("AG-3")
def test_who_was_cut_off_goes_on_where_they_were() -> None:
    world = World()
    world.sign_in()
    visitor = world.hello(topic="support")
    visitor.cut()
    number = world.accept()
    world.say(number, "Hello!")
    back = world.hello(token=token_of(visitor), last_seq=2)
    welcome, joined, message = back.got
    assert (welcome["resumed"], welcome["seq"], welcome["state"], welcome["name"]) == (True, 2, "active", "Ana")
    assert "messages" not in welcome
    assert [(f["type"], f["seq"]) for f in (joined, message)] == [("joined", 3), ("message", 4)]


def test_who_was_cut_off_with_a_message_on_its_way_finds_it() -> None:
    world = World()
    visitor = world.hello(topic="support")
    visitor.send(type="message", id="m", text="hi")
    visitor.cut()
    world.flush()
    back = world.hello(token=token_of(visitor), last_seq=2)
    assert [(f["type"], f.get("id")) for f in back.got[1:]] == [("message", "m")]
    back.take()
    back.send(type="message", id="m", text="hi")
    world.flush()
    assert [(f["type"], f["duplicate"]) for f in back.got] == [("delivered", True)]


@pytest.mark.promise("AG-3")
def test_who_was_away_for_longer_than_is_kept_gets_the_transcript() -> None:
    world = World(ring=2, transcript=3)
    visitor = world.hello(topic="support")
    for n in range(5):
        visitor.send(type="message", id=n, text=f"line {n}")
    world.flush()
    back = world.hello(token=token_of(visitor), last_seq=2)
    (welcome,) = back.got
    assert (welcome["resumed"], welcome["seq"], welcome["truncated"]) == (False, 7, True)
    assert [m["text"] for m in welcome["messages"]] == ["line 2", "line 3", "line 4"]


def test_a_client_that_goes_on_does_not_order_a_second_conversation() -> None:
    world = World()
    visitor = world.hello(topic="support")
    visitor.send(type="leave")
    world.flush()
    back = world.hello(token=token_of(visitor), topic="support", last_seq=2)
    assert (back.types, back.got[0]["state"]) == (["welcome", "ended"], "ended")
    again = world.hello(token=token_of(visitor), topic="support")
    assert [(f["type"], f["interaction"]) for f in again.got] == [("welcome", "i-2"), ("queued", "i-2")]


@pytest.mark.promise("AG-3", "DU-1")
def test_after_a_restart_the_transcript_is_there_and_numbers_have_not_gone_back() -> None:
    world = World()
    world.sign_in()
    visitor = world.hello(topic="support")
    number = world.accept()
    visitor.send(type="message", id="m", text="hi")
    world.flush()
    world.say(number, "Hello!")
    world.desk.now += 10_000
    world.restart()
    back = world.hello(token=token_of(visitor), last_seq=visitor.got[-1]["seq"])
    welcome = back.got[0]
    assert (welcome["resumed"], welcome["interaction"], welcome["state"], welcome["name"]) == (
        False,
        "i-1",
        "active",
        "Ana",
    )
    assert [(m["author"], m["text"], m.get("name")) for m in welcome["messages"]] == [
        ("customer", "hi", None),
        ("agent", "Hello!", "Ana"),
    ]
    assert welcome["seq"] > visitor.got[-1]["seq"]


@pytest.mark.promise("AG-3")
def test_a_number_of_an_earlier_life_is_never_taken_for_one_of_this() -> None:
    """Even where a clock was set back and both lives count from the same number: the token tells them apart."""
    world = World()
    visitor = world.hello(topic="support")
    life_one = world.hello(token=token_of(visitor), last_seq=1)
    assert welcome_of(life_one)["resumed"]
    world.restart()
    (conversation,) = world.room.conversations.values()
    conversation.stream.last = 1
    life_two = world.hello(token=token_of(life_one), last_seq=1)
    assert not welcome_of(life_two)["resumed"]
    assert welcome_of(world.hello(token=token_of(life_two), last_seq=1))["resumed"]


def test_a_finished_conversation_is_found_by_its_token_after_a_restart() -> None:
    world = World()
    visitor = world.hello(topic="support")
    visitor.send(type="message", id=1, text="never mind")
    visitor.send(type="leave")
    world.flush()
    world.restart()
    back = world.hello(token=token_of(visitor), last_seq=4)
    welcome = welcome_of(back)
    assert (welcome["state"], welcome["reason"]) == ("ended", "abandoned")
    assert [m["text"] for m in welcome["messages"]] == ["never mind"]
    back.send(type="message", id=2, text="or rather")
    world.flush()
    assert back.got[-2]["interaction"] == "i-2"


# --- limits and mistakes ----------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-5")
def test_a_socket_that_does_not_say_hello_is_closed() -> None:
    world = World(hello_timeout=10_000)
    silent, talker = world.connect(), world.hello(topic="support")
    world.sweep(after_s=9.999)
    assert codes(silent, talker) == [None, None]
    world.sweep(after_s=0.001)
    assert silent.got[0]["code"] == "hello-timeout"
    assert codes(silent, talker) == [4408, None]


@pytest.mark.parametrize("first", [{"type": "message", "id": 1, "text": "hi"}, {"type": "leave"}, {"type": "nonsense"}])
@pytest.mark.promise("IN-4")
def test_who_does_not_start_with_hello_is_closed(first: dict[str, Any]) -> None:
    world = World()
    stranger, visitor = world.connect(), world.hello(topic="support")
    stranger.send(**first)
    assert (stranger.got[0]["code"], stranger.closed) == ("bad-message", 4400)
    visitor.send(type="message", id=1, text="still here")
    world.flush()
    assert visitor.types[-1] == "delivered"


@pytest.mark.promise("IN-4", "IN-5")
def test_mistakes_are_answered_and_too_many_of_them_end_the_socket() -> None:
    world = World(strikes=2)
    visitor = world.hello(topic="support")
    visitor.take()
    visitor.raw(b"{")
    visitor.send(type="hello")
    assert (visitor.types, visitor.closed) == (["error", "error"], None)
    visitor.send(type="message", id="m", text=5)
    assert (visitor.got[-1]["re"], visitor.closed) == ("m", 4400)
    visitor.raw(b"{")
    assert [f["seq"] for f in visitor.got] == [3, 4, 5]


@pytest.mark.promise("IN-5")
def test_a_long_message_is_refused_by_name() -> None:
    world = World(text_max=10)
    visitor = world.hello(topic="support")
    visitor.send(type="message", id="m", text="x" * 11)
    assert (visitor.got[-1]["code"], visitor.got[-1]["re"]) == ("too-large", "m")


@pytest.mark.promise("IN-5")
def test_messages_may_come_so_fast_and_are_refused_beyond() -> None:
    world = World(message_rate=1, message_burst=2)
    visitor = world.hello(topic="support")
    for n in range(3):
        visitor.send(type="message", id=n, text="quick")
    world.flush()
    error = next(f for f in visitor.got if f["type"] == "error")
    assert (error["code"], error["re"], error["retry_after_s"]) == ("too-fast", 2, 2)
    world.desk.now += 1_000
    visitor.send(type="message", id=2, text="quick")
    world.flush()
    assert visitor.got[-1]["re"] == 2


@pytest.mark.promise("IN-5")
def test_a_socket_that_floods_is_closed() -> None:
    world = World(frame_rate=1, frame_burst=5)
    visitor = world.hello(topic="support")
    for _ in range(6):
        visitor.send(type="typing")
    assert (visitor.got[-1]["code"], visitor.closed) == ("too-fast", 4429)


@pytest.mark.promise("IN-5")
def test_one_address_opens_so_many_conversations_and_is_told_when_to_come_back() -> None:
    world = World(hello_rate=30, hello_burst=3)
    talking = [world.hello(topic="support") for _ in range(3)]
    refused = world.hello(topic="support")
    assert (refused.got[-1]["code"], refused.got[-1]["retry_after_s"], refused.closed) == ("too-many", 3, 4429)
    assert world.room.waiting == 3
    other = world.connect("192.0.2.2")
    other.send(type="hello", topic="support")
    world.flush()
    assert other.got[0]["type"] == "welcome"
    again = world.hello(token=talking[0].got[0]["token"])
    assert again.got[0]["type"] == "welcome", "who has a conversation opens none"
    world.desk.now += 2_000
    assert world.hello(topic="support").got[0]["type"] == "welcome"


def test_typing_is_dropped_while_nobody_looks() -> None:
    world = World()
    visitor = world.hello(topic="support")
    visitor.take()
    visitor.send(type="typing")
    world.flush()
    assert visitor.got == []


@pytest.mark.promise("IN-5", "OB-3")
def test_there_are_only_so_many_conversations_at_once() -> None:
    world = World(conversations=2)
    one, two = world.hello(topic="support"), world.hello(topic="support")
    late = world.hello(topic="support")
    assert (late.got[0]["code"], late.closed) == ("overloaded", 1013)
    assert welcome_of(world.hello(token=token_of(one)))["interaction"] == "i-1"
    two.send(type="leave")
    world.flush()
    assert welcome_of(world.hello(topic="support"))["interaction"] == "i-3"
    back = world.hello(token=token_of(two), last_seq=2)
    back.send(type="message", id="m", text="again")
    assert (back.got[-1]["code"], back.got[-1]["re"]) == ("overloaded", "m")


@pytest.mark.promise("IN-5", "OB-3")
def test_hellos_on_their_way_count_as_conversations() -> None:
    world = World(conversations=2)
    visitors = [world.connect() for _ in range(3)]
    for visitor in visitors:
        visitor.send(type="hello", topic="support")
    world.flush()
    assert [visitor.closed for visitor in visitors] == [None, None, 1013]


@pytest.mark.promise("IN-5")
def test_a_visitor_has_so_many_windows_and_the_oldest_goes() -> None:
    world = World(sockets_per_visitor=2)
    one = world.hello(topic="support")
    two = world.hello(token=token_of(one))
    three = world.hello(token=token_of(one))
    assert [s.closed for s in (one, two, three)] == [4409, None, None]


@pytest.mark.promise("IN-5")
def test_only_so_much_waits_for_the_welcome() -> None:
    world = World(backlog=2)
    visitor = world.connect()
    visitor.send(type="hello", topic="support")
    for n in range(3):
        visitor.send(type="message", id=n, text="early")
    assert [(f["code"], f["re"]) for f in visitor.take()] == [("too-fast", 2)]
    world.flush()
    assert [f["re"] for f in visitor.got if f["type"] == "delivered"] == [0, 1]


@pytest.mark.promise("DU-6")
def test_when_the_server_stops_nobody_new_comes_in_and_everybody_is_sent_away() -> None:
    world = World()
    visitor = world.hello(topic="support")
    world.room.drain()
    late = world.hello(topic="support")
    assert (late.got[0]["code"], late.closed) == ("draining", 1013)
    world.room.close()
    world.settle()
    assert visitor.closed == 1001


def test_a_hello_that_goes_away_before_its_welcome_leaves_a_conversation_that_ends() -> None:
    world = World(visitor_grace=1_000)
    visitor = world.connect()
    visitor.send(type="hello", topic="support")
    visitor.cut()
    world.flush()
    assert world.desk.interaction(1).state == "queued"
    world.sweep(after_s=1)
    assert world.desk.interaction(1).state == "closed"


def test_goodbye_and_more_before_the_welcome_does_no_harm() -> None:
    world = World()
    visitor = world.connect()
    visitor.send(type="hello", topic="support")
    visitor.send(type="leave")
    visitor.send(type="message", id=1, text="wait")
    world.flush()
    assert "ended" in visitor.types


def test_two_windows_at_once_open_one_conversation() -> None:
    world = World()
    first = world.hello(topic="support")
    first.send(type="leave")
    world.flush()
    windows = [world.connect(), world.connect()]
    for window in windows:
        window.send(type="hello", topic="support", token=token_of(first))
    world.flush()
    assert [welcome_of(window)["interaction"] for window in windows] == ["i-2", "i-2"]
    assert world.desk.interaction(2).messages == ()
