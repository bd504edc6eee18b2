"""Replaying a journal gives byte-identical state and identical decisions, today and in ten years (DU-3)."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from router.engine import commands as c
from router.engine import events as e
from router.engine import image, invariants
from router.engine.engine import Engine
from router.engine.events import EVENT_TYPES
from router.errors import ClientError
from router.journal import codec
from tests.engine.record import HISTORIES, digest, payloads_of, replayed
from tests.engine.support.office import Office
from tests.engine.support.walk import Walk

pytestmark = pytest.mark.promise("DU-3")

RECORDED = sorted(HISTORIES.glob("*.records"))


@pytest.mark.parametrize("path", RECORDED, ids=[path.stem for path in RECORDED])
def test_an_old_journal_still_means_the_same(path: Path) -> None:
    engine = replayed(payloads_of(path))
    assert digest(engine) == path.with_suffix(".digest").read_text().strip()
    assert invariants.broken_step(engine.state) == []


def test_the_recorded_journals_hold_every_kind_of_event() -> None:
    kinds = {type(codec.decode(payload).event) for path in RECORDED for payload in payloads_of(path)}
    assert set(EVENT_TYPES) - kinds == set()


@pytest.mark.parametrize("seed", range(300, 304))
def test_two_engines_decide_the_same_wherever_one_was_restored(seed: int) -> None:
    """One engine lives a day; on the way others are made from its snapshot and from its journal, and must agree."""
    walk = Walk(seed, thrift=1_000)
    for _ in range(40):
        walk.run(5)
        command, now_ms = walk.command(), walk.now_ms
        restored = answer(Engine.restore(walk.checked.engine.snapshot()), command, now_ms)
        assert answer(replayed(iter(walk.checked.payloads)), command, now_ms) == restored


def answer(engine: Engine, command: c.AnyCommand, now_ms: int) -> object:
    engine.resume()
    try:
        out = engine.handle(command, now_ms)
    except ClientError as error:
        return error.code
    return out.events, out.reply, out.effects, engine.next_deadline_ms(), engine.snapshot()


def test_a_snapshot_restores_to_the_same_bytes() -> None:
    engine = Walk(13, thrift=1_000).run(200).checked.engine
    assert Engine.restore(engine.snapshot()).snapshot() == engine.snapshot()


def test_an_empty_engine_has_a_snapshot_too() -> None:
    assert Engine.restore(Engine().snapshot()).snapshot() == Engine().snapshot()
    assert Engine().handle(c.Restart(), 5).events == []


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x93\x01\x02\x03"])
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        Engine.restore(data)


def test_a_snapshot_of_another_format_is_refused() -> None:
    fields = msgspec.msgpack.decode(Engine().snapshot())
    fields[0] = image.FORMAT + 1
    with pytest.raises(msgspec.DecodeError, match="format"):
        Engine.restore(msgspec.msgpack.encode(fields))


def test_a_clock_that_jumps_back_is_not_believed() -> None:
    office = Office(ready=("ana",))
    office.arrive()
    now = office.now_ms
    office.now_ms -= 1_000_000
    number = office.arrive()
    assert office.item(number).enqueued_at_ms == now
    office.now_ms = now
    assert office.engine.next_deadline_ms() == now + 20_000


def test_a_clock_that_jumps_ahead_lets_everything_come_due_at_once() -> None:
    office = Office(ready=("ana", "ben"))
    number = office.active()
    offered = office.arrive()
    office.arrive("phone", lease_ms=5_000)
    office.sign_out("ana")
    out = office.pass_s(10 * 365 * 86_400)
    kinds = [type(event) for event in out.events]
    assert kinds[:3] == [e.InteractionEnded, e.OfferExpired, e.GraceEnded]
    assert office.offered_to(offered) == ["ben"] or office.offered_to(number) == ["ben"]


def test_time_alone_changes_nothing() -> None:
    office = Office(ready=("ana",))
    before = office.engine.snapshot()
    assert not office.pass_s(86_400).events
    assert office.engine.snapshot() == before
