"""What engines and edges say to each other: nothing is lost on the way, and what is no such thing is found out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args, get_type_hints

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import fields

from router.engine import commands as c
from router.engine.events import Message
from router.errors import BadMessage, ClientError, ConfigError, OfferGone, Refusal, RouterError, Unavailable
from router.service.domains.moving import NotTaken
from router.service.remote import messages as m
from router.service.signals import Marks, Passed, Writing
from tests.engine.support.walk import Walk

READERS = (
    m.read_challenge,
    m.read_hello,
    m.read_welcome,
    m.read_records,
    m.read_answers,
    m.read_duty,
    m.read_goodbye,
    m.read_commands,
    lambda body: list(m.read_signals(body)),
)
SAMPLES: dict[object, object] = {
    str: "x",
    int: 7,
    bytes: b"x",
    Message: Message("x"),
    tuple[str, ...]: ("x", "y"),
    dict[str, str]: {"x": "y"},
}


def least(kind: type[c.Command]) -> c.AnyCommand:
    """With what it must have: what a walk by chance does not ask is sent as well."""
    hints = get_type_hints(kind)
    return kind(**{field.name: SAMPLES[hints[field.name]] for field in fields(kind) if field.required})  # type: ignore[arg-type, return-value]


def test_every_command_arrives_as_it_was_sent() -> None:
    walk = Walk(71, thrift=1_000)
    asked = [walk.command() for _ in range(1_000)]
    met = {type(command) for command in asked}
    asked += [least(kind) for kind in get_args(c.AnyCommand) if kind not in met]
    for command in asked:
        assert m.read_command(Raw(m.encode_command(command))) == command


def test_a_command_of_a_newer_edge_is_refused_and_costs_the_others_nothing() -> None:
    unknown = m.encode_command(c.Tick()).replace(b"Tick", b"Tock")
    frame = m.commands([(1, Raw(unknown)), (2, Raw(m.encode_command(c.Tick())))])
    ((_, body),) = m.Splitter(1_000).feed(frame)
    (_, first), (_, second) = m.read_commands(body)
    with pytest.raises(BadMessage, match="does not understand"):
        m.read_command(first)
    assert m.read_command(second) == c.Tick()


def every_error(of: type[RouterError] = ClientError) -> Iterator[type[RouterError]]:
    yield of
    for kind in of.__subclasses__():
        yield from every_error(kind)


@pytest.mark.parametrize("kind", [*every_error(), Unavailable, *Refusal.__subclasses__()])
def test_a_refusal_arrives_as_the_same_refusal(kind: type[RouterError]) -> None:
    sent = kind("why, in words")
    found = m.outcome_of(m.answer_of(3, 4, sent))
    assert isinstance(found, RouterError)
    assert (type(found), str(found), found.code) == (kind, str(sent), sent.code)


def test_a_refusal_of_one_process_is_its_kind_to_others() -> None:
    found = m.outcome_of(m.answer_of(1, 0, NotTaken("later", 17)))
    assert (type(found), str(found)) == (Unavailable, "later")


def test_a_refusal_keeps_its_time_and_a_configuration_its_place() -> None:
    later = m.outcome_of(m.answer_of(1, 0, Unavailable("later", 17)))
    assert isinstance(later, Unavailable)
    assert later.retry_after_s == 17
    wrong = m.outcome_of(m.answer_of(1, 0, ConfigError("queues.a.band", "a known band", "'x'")))
    assert isinstance(wrong, ConfigError)
    assert (wrong.path, wrong.expected, wrong.found) == ("queues.a.band", "a known band", "'x'")


def test_a_refusal_of_a_newer_engine_keeps_its_name() -> None:
    class Newer(OfferGone):
        code = "of-next-year"

    found = m.outcome_of(m.answer_of(1, 0, Newer("why")))
    assert isinstance(found, ClientError)
    assert (found.code, str(found)) == ("of-next-year", "why")


def test_a_reply_arrives_whole() -> None:
    for reply in (c.Reply(), c.Reply(interaction=7, duplicate=True), c.Reply(interaction=2**40, joined=True)):
        assert m.outcome_of(m.answer_of(1, 2, reply)) == reply


@settings(suppress_health_check=[HealthCheck.too_slow])  # of a machine that has more to do
@given(st.lists(st.tuples(st.integers(1, 9), st.binary(max_size=40)), max_size=8), st.lists(st.integers(1, 30)))
def test_frames_are_whole_however_they_come(sent: list[tuple[int, bytes]], cuts: list[int]) -> None:
    stream, splitter = b"".join(m.frame(*one) for one in sent), m.Splitter(100)
    found: list[tuple[int, bytes]] = []
    for cut in [*cuts, len(stream)]:
        found += splitter.feed(stream[:cut])
        stream = stream[cut:]
    assert found == sent


@given(st.binary(max_size=200))
def test_strange_bytes_are_malformed_and_nothing_worse(data: bytes) -> None:
    try:
        frames = list(m.Splitter(100).feed(data))
    except m.Malformed:
        return
    for _, body in frames:
        for read in READERS:
            try:
                read(body)
            except m.Malformed:
                continue


# --- signals ----------------------------------------------------------------------------------------------------------


def test_signals_arrive_as_they_were_sent_in_frames_of_a_bounded_number() -> None:
    sent = [Passed("chat", f"chat:{number}", number, Marks(number, 2)) for number in range(m.SIGNALS_IN_ONE)]
    sent.append(Passed("", "ana", 7, Writing(True, "Ana")))
    frames = list(m.signals([Raw(m.encode_signal(one)) for one in sent]))
    assert len(frames) == 2
    found = [
        passed for frame in frames for _, body in m.Splitter(m.SIGNALS_MOST).feed(frame) for passed in bodies(body)
    ]
    assert found == sent


def bodies(body: bytes) -> list[Passed]:
    return list(m.read_signals(body))


def test_a_signal_of_a_newer_edge_is_passed_over_and_costs_the_others_nothing() -> None:
    known = Passed("", "ana", 7, Writing(True))
    newer = m.encode_signal(known).replace(b"ana\x07\x93\x01", b"ana\x07\x93\x09")
    assert newer != m.encode_signal(known)
    (frame,) = m.signals([Raw(newer), Raw(m.encode_signal(known))])
    ((_, body),) = m.Splitter(m.SIGNALS_MOST).feed(frame)
    assert bodies(body) == [known]


def test_no_edge_is_made_to_carry_anothers_flood() -> None:
    assert m.signals_again(b"x" * 9) == m.frame(m.SIGNALS, b"x" * 9)
    with pytest.raises(m.Malformed):
        m.signals_again(b"x" * (m.SIGNALS_MOST + 1))


def test_an_end_that_says_nothing_of_signals_takes_none() -> None:
    """As ends did before there were any: a rolling upgrade has both for a while."""
    before = msgspec.msgpack.encode
    assert not m.read_hello(before([m.VERSION, "east", b"n", b"p"])).signals
    assert not m.read_welcome(before([b"p", 1, 2])).signals
    ((_, greeting),) = m.Splitter(m.FIRST_MOST).feed(m.hello("east", b"n", b"p"))
    ((_, welcome),) = m.Splitter(m.FIRST_MOST).feed(m.welcome(b"p", 1, 2))
    assert (m.read_hello(greeting).signals, m.read_welcome(welcome).signals) == (True, True)


# --- proofs -----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("OB-6")
def test_a_proof_holds_for_one_end_one_secret_and_one_meeting() -> None:
    ours, theirs = b"a" * m.NONCE, b"b" * m.NONCE
    good = m.proof("a secret", "edge", ours, theirs)
    assert m.proves(good, "a secret", "edge", ours, theirs)
    assert not m.proves(good, "another", "edge", ours, theirs)
    assert not m.proves(good, "a secret", "engine", ours, theirs)
    assert not m.proves(good, "a secret", "edge", theirs, theirs)
    assert not m.proves(m.proof("a secret", "edge", ours, b""), "a secret", "edge", ours, b"")
