"""A visitor is asked whether to call them back, says yes, and is called with the place that they had (MV-5)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import config as cfg
from router.errors import Unavailable
from tests.chat.test_protocol import token_of, welcome_of
from tests.chat.world import CONFIG, START_MS, Socket, World

pytestmark = pytest.mark.promise("MV-5", "RT-11")

WORDS = "All lines are busy. Shall we call you?"
NUMBER = "+15550199"


def asking(calls: tuple[str, ...] = ("phone.dev:",), **settings: Any) -> World:
    """One visitor waits, so the queue is full for the next ones. Someone can call them, unless `calls` is empty."""
    world = World(**settings)
    resort = cfg.Resort("callback", message=WORDS)
    config = replace(
        CONFIG,
        channels={"chat": replace(CONFIG.channels["chat"], asks=("chat:",)), "phone": cfg.Channel(calls=calls)},
        queues={"support": replace(CONFIG.queues["support"], max_length=1, when_full=resort)},
    )
    world.desk.do(c.Configure(document=cfg.to_bytes(config)))
    world.flush()
    world.hello(topic="support")
    return world


def asked(world: World) -> Socket:
    visitor = world.hello(topic="support")
    assert visitor.types == ["welcome", "queued", "callback_offered"]
    return visitor


def callbacks(world: World) -> list[tuple[str, int]]:
    """Whom the house is going to call, and with what place."""
    return [(callback.to, callback.place_ms) for callback in world.desk.engine.state.callbacks.values()]


def test_a_visitor_is_asked_with_the_words_of_the_configuration_and_waits_on() -> None:
    frame = asked(asking()).got[-1]
    assert frame == {"type": "callback_offered", "seq": 3, "interaction": "i-2", "text": WORDS}


def test_who_says_yes_is_called_and_the_conversation_ends() -> None:
    world = asking()
    visitor = asked(world)
    visitor.take()
    visitor.send(type="callback", phone="+1 (555) 01-99")
    assert visitor.got == [], "nothing is said before it is recorded"
    world.flush()
    (ended,) = visitor.take()
    assert ended == {"type": "ended", "seq": 4, "interaction": "i-2", "reason": "callback"}
    assert callbacks(world) == [(NUMBER, START_MS)]


def test_a_time_may_be_named() -> None:
    world = asking()
    asked(world).send(type="callback", phone=NUMBER, at_ms=START_MS + 3_600_000)
    world.flush()
    assert [x.due_ms for x in world.desk.engine.state.callbacks.values()] == [START_MS + 3_600_000]


def test_who_was_not_asked_is_refused() -> None:
    world = World()
    visitor = world.hello(topic="support")
    visitor.take()
    visitor.send(type="callback", phone=NUMBER)
    (error,) = visitor.take()
    assert (error["code"], callbacks(world)) == ("illegal-move", [])


@pytest.mark.parametrize("phone", ["5550199", "+0155501", "", "+1555019900000000", "call me", "+1555\x00 0199"])
def test_a_number_must_have_its_country(phone: str) -> None:
    world = asking()
    visitor = asked(world)
    visitor.take()
    visitor.send(type="callback", phone=phone)
    world.flush()
    assert [frame["code"] for frame in visitor.take()] == ["bad-message"]
    assert callbacks(world) == []


def test_what_cannot_be_recorded_now_may_be_said_again() -> None:
    world = asking()
    visitor = asked(world)
    visitor.take()
    world.desk.refuse = lambda command: Unavailable("no", 7)
    visitor.send(type="callback", phone=NUMBER)
    world.flush()
    (error,) = visitor.take()
    assert (error["code"], error["retry_after_s"]) == ("unavailable", 7)
    world.desk.refuse = lambda command: None
    visitor.send(type="callback", phone=NUMBER)
    world.flush()
    assert visitor.types == ["ended"]
    assert len(callbacks(world)) == 1


def test_said_twice_it_is_one_callback() -> None:
    world = asking()
    visitor = asked(world)
    for _ in range(2):
        visitor.send(type="callback", phone=NUMBER)
    world.flush()
    assert len(callbacks(world)) == 1


def test_who_comes_back_sees_that_they_were_asked() -> None:
    """With the frames that were missed; and after a restart of ours with the welcome."""
    world = asking()
    visitor = asked(world)
    token = token_of(visitor)
    visitor.cut()
    again = world.hello(token=token, last_seq=2)
    assert [(f["type"], f.get("callback_offered")) for f in again.got] == [
        ("welcome", True),
        ("callback_offered", None),
    ]
    world.restart()
    assert welcome_of(world.hello(token=token, last_seq=3))["callback_offered"] is True


def test_once_somebody_answers_there_is_nothing_to_say_yes_to() -> None:
    world = asking()
    visitor = asked(world)
    world.sign_in()
    world.accept()
    world.accept()
    visitor.take()
    visitor.send(type="callback", phone=NUMBER)
    assert [frame["code"] for frame in visitor.take()] == ["illegal-move"]


def test_where_nobody_can_call_them_nobody_is_asked() -> None:
    world = asking(calls=())
    visitor = world.hello(topic="support")
    assert visitor.types == ["welcome", "queued", "ended"]
    assert visitor.got[-1]["reason"] == "queue-full"


def test_yes_may_come_before_the_welcome() -> None:
    """A client that knows that it was asked comes back and says yes at once."""
    world = asking()
    visitor = asked(world)
    token = token_of(visitor)
    visitor.cut()
    again = world.connect()
    again.send(type="hello", token=token, last_seq=3)
    again.send(type="callback", phone=NUMBER)
    world.flush()
    assert callbacks(world) == [(NUMBER, START_MS)]
