"""What is said in passing (who writes, who has read), who is still there, files, letters and transcripts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.chat.attention import CLOSE, WARN, Attention
from channels.chat.conversation import Post, Tell
from router.engine import commands as c
from router.engine import config as cfg
from router.engine import events as e
from router.engine.engine import Engine
from router.errors import NoRoute, Overloaded
from router.service.signals import Marks, Signal, Writing
from tests.chat.world import CONFIG, EngineDesk, Socket, World

MINUTE_S = 60


class Passing(World):
    """A world that also keeps what the agent is told in passing, and the letters."""

    def __init__(self, config: cfg.Config = CONFIG, **settings: Any) -> None:
        self.told: list[tuple[str, int, Signal]] = []
        self.posts: list[Post] = []
        super().__init__(**settings)
        self.desk = EngineDesk(config)
        self.start()

    def settle(self) -> None:
        """What the world does not know is kept here; the rest it carries out."""
        actions = self.room.actions
        while actions:
            match actions[0]:
                case Tell(agent, interaction, signal):
                    self.told.append((agent, interaction, signal))
                    actions.popleft()
                case Post() as post:
                    self.posts.append(post)
                    actions.popleft()
                case _:
                    rest = [actions.pop() for _ in range(len(actions) - 1)]
                    super().settle()
                    actions.extend(reversed(rest))

    def talking(self, **fields: Any) -> tuple[Socket, int]:
        self.sign_in()
        visitor = self.hello(topic="support", **fields)
        number = self.accept()
        visitor.take()
        return visitor, number

    def signal(self, visitor: Socket, signal: Signal) -> None:
        (thread,) = [conversation.thread for conversation in self.room.conversations.values()]
        self.room.signalled(thread, signal)
        self.settle()


# --- typing and marks -------------------------------------------------------------------------------------------------


def test_an_agent_is_told_that_their_visitor_writes_and_has_stopped() -> None:
    world = Passing()
    visitor, number = world.talking(name="Eva")
    visitor.send(type="typing")
    visitor.send(type="typing")
    assert world.told == [("ana", number, Writing(True, "Eva"))], "once for some seconds"
    world.desk.now += 2_000
    visitor.send(type="typing")
    visitor.send(type="typing", on=False)
    visitor.send(type="typing", on=False)
    assert [signal for _, _, signal in world.told[1:]] == [Writing(True, "Eva"), Writing(False, "Eva")]


def test_nobody_is_told_anything_while_nobody_answers() -> None:
    world = Passing()
    visitor = world.hello(topic="support")
    visitor.send(type="typing")
    visitor.send(type="received", at_ms=world.desk.now)
    visitor.send(type="read", at_ms=world.desk.now)
    assert world.told == []


def test_what_an_agent_does_in_passing_takes_no_number_and_is_seen_in_every_window() -> None:
    world = Passing()
    visitor, _ = world.talking()
    token = world.room._standing(next(iter(world.room.conversations.values())), True).token
    second = world.hello(token=token, last_seq=0)
    seq = second.got[0]["seq"]
    world.signal(visitor, Writing(True, "Ana"))
    world.signal(visitor, Marks(world.desk.now))
    for window in (visitor, second):
        assert window.got[-2:] == [
            {"type": "typing", "seq": seq, "name": "Ana", "on": True},
            {"type": "read", "seq": seq, "at_ms": world.desk.now},
        ]
    world.signal(visitor, Marks(world.desk.now))
    assert visitor.got[-1]["type"] == "read", "what is not new is not said"
    assert world.hello(token=token, last_seq=seq).got[0]["read_ms"] == world.desk.now


def test_marks_only_grow_and_none_is_beyond_what_was_recorded() -> None:
    world = Passing()
    visitor, number = world.talking()
    world.say(number, "one")
    at_ms = world.desk.now
    visitor.send(type="received", at_ms=at_ms + 10**9)
    visitor.send(type="read", at_ms=at_ms)
    visitor.send(type="read", at_ms=at_ms - 5)
    visitor.send(type="received", at_ms=at_ms)
    assert world.told == [("ana", number, Marks(0, at_ms)), ("ana", number, Marks(at_ms, at_ms))]


def test_an_agent_who_comes_back_and_says_how_far_they_are_hears_how_far_their_visitor_is() -> None:
    world = Passing()
    visitor, number = world.talking()
    world.say(number, "one")
    visitor.send(type="read", at_ms=world.desk.now)
    world.told.clear()
    world.signal(visitor, Marks(world.desk.now))
    assert world.told == [("ana", number, Marks(world.desk.now, world.desk.now))]


def test_nothing_that_is_said_in_passing_is_recorded() -> None:
    world = Passing()
    visitor, _ = world.talking()
    before = len(world.desk.durable)
    visitor.send(type="typing")
    visitor.send(type="read", at_ms=world.desk.now)
    visitor.send(type="here")
    world.signal(visitor, Writing(True, "Ana"))
    world.flush()
    assert len(world.desk.durable) == before


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_whatever_marks_come_in_whatever_order_who_has_read_has_received(marks: list[tuple[int, int]]) -> None:
    attention = Attention()
    for received, read in marks:
        before = attention.received_ms, attention.read_ms
        news = attention.mark(received, read)
        assert news == (before != (attention.received_ms, attention.read_ms))
        assert attention.received_ms >= max(before[0], attention.read_ms)
        assert attention.read_ms >= before[1]


# --- idle visitors ----------------------------------------------------------------------------------------------------


def test_a_visitor_who_owes_an_answer_is_asked_and_then_closed_with_the_reason() -> None:
    world = Passing(idle_warn=cfg.Duration(600_000), idle_close=cfg.Duration(120_000))
    visitor, number = world.talking()
    world.say(number, "Which size?")
    visitor.take()
    world.sweep(599)
    assert visitor.take() == []
    world.sweep(1)
    (asked,) = visitor.take()
    assert (asked["type"], asked["closes_at_ms"]) == ("idle", world.desk.now + 120_000)
    world.sweep(119)
    assert visitor.take() == []
    world.sweep(1)
    (ended,) = visitor.take()
    assert (ended["type"], ended["reason"]) == ("ended", "idle")
    fact = next(r.event for r in reversed(world.desk.durable) if isinstance(r.event, e.InteractionEnded))
    assert (fact.reason, fact.why) == ("customer-left", "idle")


@pytest.mark.parametrize("sign", [{"type": "typing"}, {"type": "here"}, {"type": "message", "id": 1, "text": "42"}])
def test_any_sign_of_life_says_that_all_is_well(sign: dict[str, Any]) -> None:
    world = Passing(idle_warn=cfg.Duration(600_000), idle_close=cfg.Duration(120_000))
    visitor, number = world.talking()
    world.say(number, "Which size?")
    world.sweep(600)
    visitor.take()
    visitor.send(**sign)
    world.flush()
    assert visitor.take()[0] | {"seq": 0} == {"type": "idle", "seq": 0, "closes_at_ms": 0}
    world.sweep(121)
    assert world.desk.interaction(number).state == "active"


def test_who_waits_for_us_is_never_idle() -> None:
    world = Passing(idle_warn=cfg.Duration(60_000), idle_close=cfg.Duration(60_000))
    waiting = world.hello(topic="support")
    world.sweep(3_600)
    assert "idle" not in waiting.types
    world.sign_in()
    number = world.accept()
    world.say(number, "Hello")
    waiting.send(type="message", id=1, text="Are you there?")
    world.flush()
    world.sweep(3_600)
    assert "idle" not in waiting.types, "the agent owes the answer"


def test_the_time_before_the_question_goes_on_over_a_restart_and_the_question_is_asked_anew() -> None:
    world = Passing(idle_warn=cfg.Duration(600_000), idle_close=cfg.Duration(120_000))
    visitor, number = world.talking()
    token = world.room._standing(next(iter(world.room.conversations.values())), True).token
    world.say(number, "Which size?")
    world.sweep(400)
    world.restart()
    world.desk.do(c.OpenSession(agent="ana", session="ana-2"))
    again = world.hello(token=token, last_seq=1)
    assert world.desk.interaction(number).state == "active"
    world.sweep(199)
    assert "idle" not in again.types
    world.sweep(1)
    assert again.got[-1]["type"] == "idle"
    world.restart()
    world.desk.do(c.OpenSession(agent="ana", session="ana-3"))
    third = world.hello(token=token, last_seq=1)
    world.sweep(60)
    world.sweep(119)
    assert world.desk.interaction(number).state == "active", "this process asks before it closes"
    assert third.types.count("idle") == 1
    assert visitor.closed is None


def test_without_a_limit_nobody_is_asked() -> None:
    world = Passing(idle_warn=cfg.Duration(0))
    visitor, number = world.talking()
    world.say(number, "Which size?")
    world.sweep(86_400)
    assert "idle" not in visitor.types
    assert Attention().due(10**12, 1, 1) == ""


def test_the_policy_as_a_table() -> None:
    attention = Attention()
    attention.spoke("agent", 1_000)
    assert [attention.due(at, 500, 200) for at in (1_499, 1_500)] == ["", WARN]
    attention.asked_ms = 1_500
    assert [attention.due(at, 500, 200) for at in (1_699, 1_700)] == ["", CLOSE]
    assert attention.alive(1_650)
    assert [attention.due(at, 500, 200) for at in (2_149, 2_150)] == ["", WARN]
    attention.spoke("customer", 2_150)
    assert attention.due(10**9, 500, 200) == ""


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_file_is_named_by_the_ticket_of_its_visitor_and_by_no_other() -> None:
    from channels.chat.tokens import Ticket, seal_file
    from tests.chat.world import SECRET

    world = Passing()
    visitor = world.hello(topic="support")
    mine = next(iter(world.room.conversations))
    good = seal_file(SECRET, Ticket(mine, "a" * 64, 9, "image/png", "shoe.png"))
    others = seal_file(SECRET, Ticket("somebody", "a" * 64, 9, "image/png", "shoe.png"))
    visitor.take()
    for id_, ticket in enumerate((others, "x", good[:-1] + ("A" if good[-1] != "A" else "B"))):
        visitor.send(type="message", id=id_, files=[ticket])
        (error,) = visitor.take()
        assert (error["code"], error.get("re")) == ("not-found", id_)
    visitor.send(type="message", id="ok", text="", files=[good])
    world.flush()
    assert visitor.take()[-1]["type"] == "delivered"
    (said,) = world.desk.interaction(1).messages
    assert [(blob.digest, blob.name) for blob in said.attachments] == [("a" * 64, "shoe.png")]
    visitor.send(type="message", id="ok", text="", files=[])
    assert visitor.take()[0]["code"] == "bad-message"


# --- letters and transcripts ------------------------------------------------------------------------------------------

CLOSED = cfg.Config(
    channels=CONFIG.channels | {"email": cfg.Channel(actions=("copy",))},
    queues={"support": cfg.Queue(offer_timeout=cfg.Duration(600_000), max_length=0)},
    rules=CONFIG.rules,
    agents=CONFIG.agents,
)
MAILING = cfg.Config(
    channels=CONFIG.channels | {"email": cfg.Channel(actions=("copy",))},
    queues=CONFIG.queues,
    rules=CONFIG.rules,
    agents=CONFIG.agents,
)
OFFLINE = {"offline": {"mail_to": "support@example.org"}}


def settings_of(**given: Any) -> dict[str, Any]:
    from channels.chat.settings import Offline, Transcript

    found: dict[str, Any] = {}
    if "offline" in given:
        found["offline"] = Offline(**given["offline"])
    if "transcript" in given:
        found["mailed_transcript"] = Transcript(**given["transcript"])
    return found


def test_at_a_closed_door_a_letter_is_left_as_mail_and_confirmed_when_it_is_recorded() -> None:
    world = Passing(CLOSED, **settings_of(**OFFLINE))
    visitor = world.hello(topic="support", language="es")
    assert visitor.got[-1]["type"] == "ended"
    assert visitor.got[-1]["letter"] is True
    visitor.take()
    letter = {"type": "letter", "id": "l1", "email": "eva@example.com", "name": "Eva", "text": "Where?\nEva"}
    visitor.send(**letter)
    assert visitor.take() == [], "not before it is recorded"
    (post,) = world.posts
    assert post.address == "support@example.org"
    head, _, body = post.raw.decode().partition("\r\n\r\n")
    assert "From: Eva <eva@example.com>" in head
    assert "Content-Language: es" in head
    assert body.splitlines() == ["Where?", "Eva"]
    post.answered(None)
    world.settle()
    assert [(f["type"], f.get("re")) for f in visitor.take()] == [("delivered", "l1")]
    visitor.send(**letter)
    assert world.posts[1].raw == post.raw, "the same letter is the same mail"


def test_a_letter_that_could_not_be_recorded_can_be_sent_again() -> None:
    world = Passing(CLOSED, **settings_of(**OFFLINE))
    visitor = world.hello(topic="support")
    visitor.take()
    visitor.send(type="letter", id="l1", email="eva@example.com", text="x")
    world.posts[0].answered(Overloaded("busy", retry_after_s=7))
    world.settle()
    (error,) = visitor.take()
    assert (error["re"], error["retry_after_s"]) == ("l1", 7)
    world.posts[0].answered(NoRoute("none"))
    world.settle()
    assert visitor.take()[0]["code"] == "no-route"


def test_letters_are_for_closed_doors_and_there_are_not_many() -> None:
    world = Passing(CLOSED, **settings_of(**OFFLINE))
    visitor = world.hello(topic="support")
    for number in range(4):
        visitor.send(type="letter", id=number, email="eva@example.com", text="x")
    assert len(world.posts) == 3
    assert visitor.got[-1]["code"] == "illegal-move"
    open_door = Passing(**settings_of(**OFFLINE))
    waiting = open_door.hello(topic="support")
    waiting.send(type="letter", id=1, email="eva@example.com", text="x")
    assert waiting.got[-1]["code"] == "illegal-move"
    assert open_door.posts == []


NO_ADDRESSES = [
    "",
    "eva",
    "a@b",
    "a@b.c",
    "x\r\nBcc: y@z.example",
    "a@b.example, c@d.example",
    "<a@b.example>",
    "a b@c.d",
]


@pytest.mark.parametrize("email", NO_ADDRESSES)
def test_what_is_not_one_plain_address_is_refused(email: str) -> None:
    world = Passing(CLOSED, **settings_of(**OFFLINE))
    visitor = world.hello(topic="support")
    visitor.send(type="letter", id=1, email=email, text="x")
    assert visitor.got[-1]["code"] == "bad-message"
    assert world.posts == []


def test_a_transcript_goes_to_one_address_and_only_where_somebody_answered() -> None:
    world = Passing(MAILING, **settings_of(transcript={"sender": "support@example.org"}))
    world.sign_in()
    visitor = world.hello(topic="support")
    visitor.send(type="transcript", id="t0", email="eva@example.com")
    assert visitor.got[-1]["code"] == "illegal-move"
    number = world.accept()
    assert visitor.got[-1] | {"seq": 0} == {"type": "joined", "seq": 0, "name": "Ana", "transcript": True}
    visitor.send(type="transcript", id="t1", email="eva@example.com")
    world.flush()
    assert (visitor.got[-1]["type"], visitor.got[-1]["re"]) == ("delivered", "t1")
    assert world.desk.engine.state.outbound == {}, "it is due when the conversation is over"
    restored = Engine.restore(world.desk.engine.snapshot())
    assert restored.state.copies == world.desk.engine.state.copies
    world.desk.do(c.Complete(agent="ana", interaction=number))
    world.flush()
    (out,) = world.desk.engine.state.outbound.values()
    assert (out.action, out.channel, out.sender, out.recipient) == (
        "copy",
        "email",
        "eva@example.com",
        "support@example.org",
    )


def test_a_wish_for_another_address_is_refused_and_the_same_one_changes_nothing() -> None:
    world = Passing(MAILING, **settings_of(transcript={"sender": "support@example.org"}))
    world.talking()
    thread = next(iter(world.room.conversations.values())).thread
    facts, refusals = [], []
    for address in ("a@x.example", "a@x.example", "b@x.example"):
        answers: list[Any] = []
        before = len(world.desk.durable)
        world.desk.submit(c.SendCopy(thread=thread, channel="email", address=address), answers.append)
        world.desk.flush()
        facts.append(len(world.desk.durable) - before)
        refusals.append(getattr(answers[0], "code", ""))
    assert facts == [1, 0, 0]
    assert refusals == ["", "", "illegal-move"]


def test_where_only_signed_addresses_count_no_other_gets_anything() -> None:
    world = Passing(**settings_of(transcript={"sender": "support@example.org", "to": "signed"}))
    visitor, _ = world.talking()
    visitor.send(type="transcript", id="t1", email="eva@example.com")
    assert visitor.got[-1]["code"] == "not-supported"
    none = Passing()
    other, _ = none.talking()
    other.send(type="transcript", id="t1", email="eva@example.com")
    assert other.got[-1]["code"] == "not-supported"
