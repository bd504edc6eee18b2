"""One conversation after another, without a socket: signing in, asking, being told, being sent off."""

import hashlib
import json
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from router.agents import messages as m
from router.agents.asking import COMMANDS
from router.agents.protocol import Kept, digests
from router.agents.settings import Settings
from router.engine import commands as c
from router.engine import config
from router.engine.events import StateChanged
from router.engine.views import Tell
from router.errors import ConfigError, Overloaded, Unavailable
from router.service.attempts import ADDRESSES_MAX, Failures
from tests.agents.house import CONFIG, Client, House, Json, seen
from tests.agents.test_messages import WRITTEN, mutated


def last(client: Client) -> Json:
    return client.read()[-1]


# --- signing in -------------------------------------------------------------------------------------------------------


def test_hello_is_answered_with_everything_when_the_session_is_durable() -> None:
    house = House()
    client = house.client()
    client.say(type="hello", id="h", token="dev-ana")
    assert client.read() == []
    house.desk.flush()
    welcome, ok = client.read()
    assert ok == {"type": "ok", "re": "h"}
    assert welcome == {
        "type": "welcome",
        "seq": 1,
        "agent": "ana",
        "resumed": False,
        "session": "s-1",
        "server_time_ms": house.desk.now,
        "name": "ana",
        "state": "not_ready",
        "reason": "signed-out",
        "pending": "",
        "load": {},
        "offers": [],
        "interactions": [],
    }


@pytest.mark.promise("OB-4")
def test_an_agent_whom_calls_cannot_reach_is_told_so_with_the_welcome() -> None:
    house = House()
    reaches = (config.Reach("phone.main:", "sip:.+", "sip:NAME@HOST"),)
    channels = CONFIG.channels | {"phone": config.Channel(exclusive=True, reaches=reaches, actions=("assigned",))}
    house.desk.do(c.Configure(document=config.to_bytes(replace(CONFIG, channels=channels))))
    client = house.client()
    client.say(type="hello", token="dev-ana")
    house.desk.flush()
    [welcome] = client.read()
    [warning] = welcome["warnings"]
    assert "(agents.ana.endpoint: expected sip:NAME@HOST)" in warning


def test_hello_needs_no_id() -> None:
    house = House()
    client = house.client()
    client.hello("ana")
    house.desk.flush()
    assert [message["type"] for message in client.read()] == ["welcome"]


@pytest.mark.parametrize("kind", ["set_state", "accept"])
def test_anything_before_hello_is_refused_and_ends_the_connection(kind: str) -> None:
    house = House()
    client = house.client()
    client.say(type=kind, id="a", state="ready", offer="o-1")
    assert last(client) | {"message": ""} == {"type": "error", "re": "a", "code": "hello-first", "message": ""}
    assert client.ended == (4400, "hello-first")
    assert len(house.desk.commands) == 1


def test_nonsense_before_hello_ends_the_connection() -> None:
    client = House().client()
    client.conversation.received(b"GET / HTTP/1.1")
    assert last(client)["code"] == "bad-message"
    assert client.ended == (4400, "bad-message")


def test_nonsense_after_hello_is_answered_and_the_session_goes_on() -> None:
    house = House()
    client = house.client("ana")
    client.conversation.received(b'{"type":"dance","id":"a"}')
    client.conversation.received(b"nonsense")
    first, second = client.read()
    assert (first["re"], first["code"]) == ("a", "bad-message")
    assert "re" not in second
    assert client.ended is None
    client.ask("set_state", state="ready")
    house.desk.flush()
    assert client.read()[0]["type"] == "ok"


def test_who_says_no_hello_in_time_is_sent_off() -> None:
    client = House().client()
    client.conversation.hello_overdue()
    assert client.ended == (4408, "hello-first")


def test_the_time_for_hello_does_not_matter_after_it() -> None:
    client = House().client("ana")
    client.conversation.hello_overdue()
    assert client.ended is None


def test_hello_is_said_once() -> None:
    house = House()
    client = house.client("ana")
    client.say(type="hello", id="again", token="dev-ben")
    assert (last(client)["code"], client.ended) == ("already-open", None)
    assert client.conversation.agent == "ana"


@pytest.mark.promise("OB-6")
def test_a_wrong_token_is_refused() -> None:
    house = House()
    client = house.client()
    client.say(type="hello", id="h", token="dev-anna")
    assert last(client)["code"] == "unauthenticated"
    assert client.ended == (4401, "unauthenticated")
    assert len(house.desk.commands) == 1


@pytest.mark.promise("OB-6")
def test_a_digest_stands_for_its_token() -> None:
    hidden = "sha256:" + hashlib.sha256(b"secret").hexdigest()
    assert digests({hidden: "ana"}) == digests({"secret": "ana"})
    with pytest.raises(ConfigError):
        digests({"sha256:abc": "ana"})


def test_tokens_can_be_changed_while_running() -> None:
    house = House()
    house.hub.retoken({"new": "ana"})
    old, new = house.client(), house.client()
    old.hello("ana")
    new.say(type="hello", token="new")
    assert old.ended == (4401, "unauthenticated")
    assert new.ended is None


def test_a_token_of_an_agent_who_is_no_longer_configured() -> None:
    client = House().client()
    client.hello("ghost")
    assert client.ended == (4404, "not-found")


@pytest.mark.promise("IN-5")
def test_too_many_wrong_tokens_from_one_address_are_not_looked_at_for_a_minute() -> None:
    house = House(failures_per_minute=2)
    for _ in range(2):
        house.client().hello("nobody")
    right = house.client()
    right.hello("ana")
    error = last(right)
    assert (error["code"], error["retry_after_ms"]) == ("too-many-attempts", 60_000)
    assert right.ended == (4429, "too-many-attempts")
    elsewhere = Client(house.hub, "192.0.2.2")
    elsewhere.hello("ana")
    house.desk.pass_time(60_000)
    later = house.client()
    later.hello("ana")
    assert (elsewhere.ended, later.ended) == (None, None)


def test_the_memory_of_failures_is_bounded() -> None:
    failures = Failures(1)
    for n in range(ADDRESSES_MAX + 10):
        failures.add(str(n), 0)
    assert len(failures.counts) == ADDRESSES_MAX
    assert failures.retry_after_ms("0", 0) == 0
    assert failures.retry_after_ms(str(ADDRESSES_MAX), 0) == 60_000


@pytest.mark.promise("IN-5")
def test_an_agent_has_a_bounded_number_of_sessions() -> None:
    house = House(max_sessions=1)
    first, second = house.client("ana"), house.client("ana")
    assert (first.ended, second.ended) == (None, (4429, "too-many-sessions"))
    first.cut()
    assert house.client("ana").ended is None


@pytest.mark.promise("DU-2")
def test_a_session_that_cannot_be_recorded_is_told_to_come_back() -> None:
    house = House()
    house.desk.refuse = lambda command: Unavailable("the journal is away", 5)
    client = house.client()
    client.say(type="hello", id="h", token="dev-ana")
    house.desk.flush()
    error = last(client)
    assert (error["code"], error["re"], error["retry_after_ms"]) == ("unavailable", "h", 5_000)
    assert client.ended == (1013, "unavailable")
    house.desk.refuse = lambda command: None
    client.cut()
    assert not any(isinstance(command, c.CloseSession) for command in house.desk.commands)


# --- presence ---------------------------------------------------------------------------------------------------------


@pytest.mark.promise("AG-1")
def test_two_sessions_hear_the_same_and_losing_one_changes_nothing() -> None:
    house = House()
    one, two = house.ready(), house.client("ana")
    house.desk.arrive()
    house.desk.flush()
    one.read()
    offers = [message for message in two.read() if message["type"] == "offer"]
    assert one.mirror.offers == two.mirror.offers != {}
    one.cut()
    two.ask("accept", offer=offers[0]["offer"])
    house.desk.flush()
    assert [message["type"] for message in two.read()] == ["state", "ok", "assigned"]
    assert seen(two.mirror) == house.truth()


@pytest.mark.promise("AG-2")
def test_the_end_of_a_connection_closes_the_session() -> None:
    house = House()
    client = house.client("ana")
    client.cut()
    assert house.desk.commands[-1] == c.CloseSession(agent="ana", session="s-1")
    client.conversation.closed()
    assert house.hub.conversations == set()
    assert house.hub.signed_in == 0


@pytest.mark.promise("AG-2")
def test_an_engine_that_is_busy_is_asked_to_close_the_session_until_it_does() -> None:
    house = House()
    client = house.client("ana")
    house.desk.refuse = lambda command: Overloaded("busy")
    client.cut()
    house.desk.flush()
    (delay, again), before = house.timers[-1], len(house.desk.commands)
    assert delay == 1.0
    again()
    house.desk.flush()
    house.desk.refuse = lambda command: None
    house.timers[-1][1]()
    house.desk.flush()
    assert len(house.timers) == 2
    assert len(house.desk.commands) == before + 2
    assert house.desk.agent("ana").sessions == 0


def test_a_connection_that_ends_before_its_welcome_leaves_no_session() -> None:
    house = House()
    client = house.client()
    client.hello("ana")
    client.cut()
    house.desk.flush()
    assert house.desk.agent("ana").sessions == 0


# --- asking -----------------------------------------------------------------------------------------------------------


ANSWERED: list[tuple[str, dict[str, Any], str]] = [
    ("accept", {"offer": "o-99"}, "offer-gone"),
    ("accept", {"offer": "i-1"}, "not-found"),
    ("decline", {"offer": "nonsense"}, "not-found"),
    ("say", {"interaction": "i-1"}, "bad-message"),
    ("say", {"interaction": "i-99", "text": "hello"}, "not-found"),
    ("hold", {"interaction": "o-1"}, "not-found"),
    ("transfer", {"interaction": "i-1", "to": {}}, "bad-message"),
    ("transfer", {"interaction": "i-1", "to": {"queue": "support", "agent": "ben"}}, "bad-message"),
    ("transfer", {"interaction": "i-1", "to": {"agent": "ben"}, "mode": "consult"}, "not-eligible"),
    ("transfer", {"interaction": "i-1", "to": {"address": "tel:+1"}, "mode": "consult"}, "not-supported"),
    ("complete_consult", {"interaction": "i-1"}, "illegal-move"),
    ("finish_wrap_up", {"interaction": "i-1"}, "illegal-move"),
]


@pytest.mark.parametrize(("kind", "fields", "code"), ANSWERED, ids=[f"{k}-{code}" for k, _, code in ANSWERED])
def test_what_cannot_be_done_is_answered_with_its_code(kind: str, fields: dict[str, Any], code: str) -> None:
    house = House()
    client, _ = house.at_work()
    ident = client.ask(kind, **fields)
    house.desk.flush()
    (answer,) = client.read()
    assert (answer["type"], answer["re"], answer["code"]) == ("error", ident, code)
    assert answer["message"]


def test_everything_that_can_be_asked_has_its_command() -> None:
    assert set(COMMANDS) == set(get_args(m.Asked))


def test_an_ok_names_the_interaction() -> None:
    house = House()
    client, interaction = house.at_work()
    ident = client.ask("say", interaction=interaction, text="hello")
    house.desk.flush()
    assert client.read()[0] == {"type": "ok", "re": ident, "interaction": interaction}


@pytest.mark.promise("IN-7")
def test_attachments_must_have_been_uploaded() -> None:
    house = House()
    client, interaction = house.at_work()
    house.hub.uploaded = lambda digest: digest == "ab" * 32
    for digest in ("ab" * 32, "cd" * 32):
        client.ask("say", interaction=interaction, attachments=[{"digest": digest, "size": 3}])
    house.desk.flush()
    answers = {message["type"]: message for message in client.read()}
    assert answers["error"]["code"] == "not-found"
    assert answers["message"]["attachments"][0]["digest"] == "ab" * 32


def test_commands_may_follow_hello_at_once() -> None:
    house = House()
    client = house.client()
    client.hello("ana")
    client.ask("set_state", state="ready")
    house.desk.flush()
    assert [message["type"] for message in client.read()] == ["welcome", "ok", "state"]
    assert seen(client.mirror) == house.truth()


@pytest.mark.promise("IN-2")
def test_nothing_is_answered_before_it_is_durable() -> None:
    house = House()
    client = house.client("ana")
    client.ask("set_state", state="ready")
    assert client.read() == []


# --- ids --------------------------------------------------------------------------------------------------------------


def say_again(house: House, client: Client, times: int) -> list[Json]:
    for _ in range(times):
        client.say(type="say", id="same", interaction="i-1", text="once")
        house.desk.flush()
    return [message for message in client.read() if message["type"] != "message"]


@pytest.mark.promise("AG-4")
def test_the_same_id_again_gets_the_same_answer_and_has_no_second_effect() -> None:
    house = House()
    client, _ = house.at_work()
    answers = say_again(house, client, 3)
    assert answers == [{"type": "ok", "re": "same", "interaction": "i-1"}] * 3
    assert sum(isinstance(command, c.Say) for command in house.desk.commands) == 1


@pytest.mark.promise("AG-4")
def test_the_same_id_gets_the_same_error() -> None:
    house = House()
    client = house.ready()
    for _ in range(2):
        client.say(type="accept", id="same", offer="o-1")
        house.desk.flush()
        house.desk.arrive()  # now there would be such an offer
        house.desk.flush()
    first, second = (message for message in client.read() if message["type"] == "error")
    assert first == second
    assert first["code"] == "offer-gone"


@pytest.mark.promise("AG-4")
def test_the_same_id_while_the_first_is_being_recorded_shares_its_answer_with_every_session() -> None:
    house = House()
    client, interaction = house.at_work()
    other = house.client("ana")
    client.read()
    for sender in (client, client, other):
        sender.say(type="say", id="same", interaction=interaction, text="once")
    assert (client.read(), other.read()) == ([], [])
    house.desk.flush()
    assert [message["type"] for message in client.read()] == ["ok", "ok", "message"]
    assert [message["type"] for message in other.read()] == ["ok", "message"]
    assert sum(isinstance(command, c.Say) for command in house.desk.commands) == 1


@pytest.mark.promise("AG-4")
def test_an_id_sent_again_after_a_cut_gets_the_answer_that_was_lost() -> None:
    house = House()
    client, interaction = house.at_work()
    client.say(type="say", id="same", interaction=interaction, text="once")
    client.cut()
    house.desk.flush()
    client.connect()
    client.hello("ana", last_seq=client.mirror.last_seq)
    client.say(type="say", id="same", interaction=interaction, text="once")
    house.desk.flush()
    types = [message["type"] for message in client.read()]
    assert types.count("ok") == 1
    assert types.count("message") == 1
    assert seen(client.mirror) == house.truth()


@pytest.mark.promise("AG-4")
def test_the_same_id_for_something_else_is_refused() -> None:
    house = House()
    client, interaction = house.at_work()
    client.say(type="hold", id="same", interaction=interaction)
    client.say(type="resume", id="same", interaction=interaction)
    house.desk.flush()
    codes = [message.get("code") for message in client.read() if message["type"] in ("ok", "error")]
    assert codes == ["id-reused", None]


@pytest.mark.promise("AG-4")
def test_a_refusal_decided_nothing_so_the_same_id_is_tried_anew() -> None:
    house = House()
    client = house.client("ana")
    house.desk.refuse = lambda command: Overloaded("too much at once", 2)
    client.say(type="set_state", id="same", state="ready")
    house.desk.flush()
    error = last(client)
    assert (error["code"], error["retry_after_ms"]) == ("overloaded", 2_000)
    house.desk.refuse = lambda command: None
    client.say(type="set_state", id="same", state="ready")
    house.desk.flush()
    assert client.read()[0] == {"type": "ok", "re": "same"}


def test_ids_of_two_agents_have_nothing_to_do_with_each_other() -> None:
    house = House()
    for agent in ("ana", "ben"):
        client = house.client(agent)
        client.say(type="set_state", id="1", state="ready")
        house.desk.flush()
        assert client.read()[0]["type"] == "ok"
    assert [command.key for command in house.desk.commands[-3:] if command.key] == ["agent:ana:1", "agent:ben:1"]


@pytest.mark.promise("OB-3")
def test_only_the_last_answers_are_kept() -> None:
    house = House(keep_answers=2)
    client = house.client("ana")
    for n in range(5):
        client.say(type="accept", id=n, offer="o-1")
        house.desk.flush()
    assert list(house.hub.line("ana").answers) == ["3", "4"]


@pytest.mark.promise("OB-3")
def test_a_client_with_too_much_in_flight_is_not_read_further() -> None:
    house = House(max_in_flight=2)
    client = house.client("ana")
    paused = []
    for state in ("ready", "not_ready"):
        client.ask("set_state", state=state)
        paused.append(client.paused)
    house.desk.flush(1)
    assert [*paused, client.paused] == [False, True, False]


# --- the stream -------------------------------------------------------------------------------------------------------


@pytest.mark.promise("AG-3")
def test_every_message_has_the_next_number() -> None:
    house = House()
    client = house.ready()
    house.desk.arrive()
    house.desk.flush()
    client.ask("accept", offer="o-1")
    client.ask("note", interaction="i-1", text="x")
    house.desk.flush()
    start = 2
    assert [message["seq"] for message in client.read() if "seq" in message] == [start + 1, start + 2, start + 3]


@pytest.mark.promise("AG-3")
def test_who_comes_back_with_the_last_number_gets_what_was_missed() -> None:
    house = House()
    client = house.ready()
    client.cut()
    watcher = house.client("ana")
    watcher.ask("set_state", state="ready")
    house.desk.arrive()
    house.desk.flush()
    client.connect()
    client.hello("ana", last_seq=client.mirror.last_seq, id="h")
    house.desk.flush()
    messages = client.read()
    assert messages[0] == {
        "type": "welcome",
        "seq": 2,
        "agent": "ana",
        "resumed": True,
        "session": "s-3",
        "server_time_ms": house.desk.now,
    }
    assert {"offer", "ok"} <= {message["type"] for message in messages}
    assert seen(client.mirror) == house.truth()


@pytest.mark.promise("AG-3")
@pytest.mark.parametrize("last_seq", [0, 1, 10**6])
def test_who_comes_back_with_a_number_that_is_not_kept_gets_a_snapshot_marked_as_such(last_seq: int) -> None:
    house = House(keep_messages=16)
    client = house.ready()
    for _ in range(20):
        client.ask("set_state", state="not_ready")
        client.ask("set_state", state="ready")
        house.desk.flush()
    client.cut()
    client.connect()
    client.hello("ana", last_seq=last_seq)
    house.desk.flush()
    assert client.read()[0]["resumed"] is False
    assert seen(client.mirror) == house.truth()


@pytest.mark.promise("AG-3")
def test_a_snapshot_shows_nothing_that_a_crash_could_take_back() -> None:
    """What was decided after OpenSession is not in the welcome, though the view is ahead; it follows when durable."""
    house = House()
    watcher = house.ready()
    client = house.client()
    client.hello("ana")
    house.desk.arrive()
    house.desk.flush(1)  # OpenSession is durable, the arrival is not
    (welcome,) = client.read()
    assert (welcome["type"], welcome["offers"]) == ("welcome", [])
    house.desk.flush()
    assert [message["type"] for message in client.read()] == ["offer"]
    watcher.read()
    assert seen(client.mirror) == seen(watcher.mirror) == house.truth()


def test_what_is_told_twice_is_said_once() -> None:
    house = House()
    client = house.client("ana")
    view = house.desk.agent("ana")
    news = Tell("ana", view.stream + 1, StateChanged("ana", "ready"), None, view)
    house.hub.tell(news)
    house.hub.tell(news)
    assert len(client.read()) == 1


def test_a_missing_number_sends_everybody_for_a_snapshot() -> None:
    house = House()
    client = house.client("ana")
    view = house.desk.agent("ana")
    house.hub.tell(Tell("ana", view.stream + 2, StateChanged("ana", "ready"), None, view))
    assert [message["type"] for message in client.read()] == ["goodbye"]
    assert client.ended == (1012, "out-of-step")


def test_kept_messages_are_bounded_by_number_and_bytes() -> None:
    kept = Kept(Settings(keep_messages=16))
    kept.start_after(0)
    for n in range(20):
        kept.add(bytes([n]))
    assert (kept.since(3), kept.since(4), kept.since(20), kept.since(21)) == (
        None,
        [bytes([n]) for n in range(4, 20)],
        [],
        None,
    )
    kept.settings = Settings(keep_bytes=16_384)
    kept.add(b"x" * 16_384)
    assert (kept.bytes, kept.since(20)) == (16_384, [b"x" * 16_384])
    kept.add(b"x" * 16_385)
    assert (kept.bytes, kept.since(21), kept.since(22)) == (0, None, [])


# --- the end ----------------------------------------------------------------------------------------------------------


def test_after_a_reset_every_client_comes_back_and_looks_again() -> None:
    house = House()
    client, stranger = house.ready(), house.client()
    before = client.mirror.last_seq
    house.hub.reset("restored")
    assert client.read() == [{"type": "goodbye", "seq": before, "reason": "restored", "retry_after_ms": 2_000}]
    assert client.ended == stranger.ended == (1012, "restored")
    client.cut()
    client.connect()
    client.hello("ana", last_seq=before)
    house.desk.flush()
    client.read()
    assert seen(client.mirror) == house.truth()


@pytest.mark.promise("DU-6")
def test_draining_says_goodbye_and_lets_nobody_in() -> None:
    house = House()
    client = house.client("ana")
    house.hub.drain()
    assert client.read()[0]["type"] == "goodbye"
    late = house.client()
    late.hello("ana")
    error = last(late)
    assert (error["code"], error["retry_after_ms"]) == ("draining", 2_000)
    assert late.ended == (1013, "draining")


def test_an_answer_that_comes_after_the_end_goes_nowhere() -> None:
    house = House()
    client = house.client("ana")
    client.ask("set_state", state="ready")
    client.cut()
    house.desk.flush()
    assert client.read() == []


def test_an_agent_whose_rules_change_sees_it() -> None:
    """A configuration that takes an agent away leaves their session until they go; the next hello is refused."""
    house = House()
    client = house.client("ana")
    fewer = config.Config(
        channels=CONFIG.channels, queues=CONFIG.queues, default_queue="support", agents={"ben": config.Agent()}
    )
    house.desk.do(c.Configure(document=config.to_bytes(fewer)))
    house.desk.flush()
    client.cut()
    house.desk.flush()
    again = house.client()
    again.hello("ana")
    house.desk.flush()
    assert again.ended is not None


# --- hostile clients --------------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-4")
@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=60) | st.sampled_from(WRITTEN).flatmap(lambda w: mutated(json.dumps(w).encode()))))
def test_whatever_bytes_come_the_next_command_is_answered(frames: list[bytes]) -> None:
    house = House()
    client, interaction = house.at_work()
    for frame in frames:
        client.conversation.received(frame)
    house.desk.flush()
    client.read()
    client.ask("note", interaction=interaction, text="still here")
    house.desk.flush()
    assert client.read()[0]["type"] in ("ok", "error")
    assert seen(client.mirror)["last_seq"] == house.truth()["last_seq"]
