"""Two versions side by side for the length of a deployment: what the older one does with what it does not know."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from router.engine.commands import OpenSession
from router.errors import JournalHeld, JournalVersion
from router.journal import codec
from router.journal.redis import RedisJournal
from router.service import lease
from router.service.lease import Follower
from router.service.remote import edge as module
from tests.service.test_remote import estate
from tests.support.house import arrive
from tests.support.redis import RedisServer, bundled, redis_server
from tests.support.waiting import until

UNKNOWN = msgspec.msgpack.encode([1_700_000_000_000, "", ["a-fact-of-next-year", 1, "x"]])


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("valkey"), bundled()) as server:
        yield server


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)


@pytest.mark.promise("DU-3", "DU-5")
async def test_an_edge_that_does_not_know_a_kind_of_record_serves_nobody_and_says_what_to_run(
    valkey: RedisServer,
) -> None:
    """Edges first, then engines, says the runbook; this is what becomes of an edge that was forgotten."""
    async with estate(valkey) as e:
        leader, edge = e.engines[0], e.edges[0]
        before = edge.writer.engine.state.seq
        await leader.writer.stop()
        leader.journal.append(before + 1, [UNKNOWN])
        leader.journal.close()
        leader.links.follow()
        newer = RedisJournal(e.settings)
        newer.reachable_at(leader.links.address)
        newer.open()
        leader.writer.durable_seq = before + 1  # what it would say in its welcome
        leader.links.lead()
        try:
            await until(lambda: "does not understand" in edge.writer.failed)
            assert "run the version that wrote it, or newer" in edge.writer.health().detail
            assert not edge.writer.health().ok
            assert edge.writer.engine.state.seq == before
        finally:
            newer.close()


@pytest.mark.promise("DU-3", "DU-5")
async def test_a_standby_that_does_not_know_a_kind_of_record_does_not_take_over(valkey: RedisServer) -> None:
    async with estate(valkey, edges=0) as e:
        leader = e.engines[0]
        seq = leader.journal.last_seq
        await leader.writer.stop()
        leader.journal.append(seq + 1, [UNKNOWN])
        older = RedisJournal(e.settings)
        follower = Follower(older, RedisJournal(e.settings, read_only=True))
        with pytest.raises(JournalHeld):
            older.open()
        with pytest.raises(JournalVersion, match="run the version that wrote it"):
            follower.follow()
        leader.journal.close()
        older.open()
        with pytest.raises(JournalVersion, match="run the version that wrote it"):
            follower.take()
        newer = RedisJournal(e.settings)
        assert newer.open().last_seq == seq + 1, "the lease was given back to who can use it"
        newer.close()


@pytest.mark.promise("DU-5")
async def test_who_stumbles_over_the_log_leaves_the_lease_to_others(
    valkey: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with estate(valkey, edges=0) as e:
        leader = e.engines[0]
        seq = leader.journal.last_seq
        await leader.writer.stop()
        leader.journal.close()
        ours = RedisJournal(e.settings)
        ours.open()

        def stumbles(*_: object) -> None:
            raise ValueError("a bug")

        monkeypatch.setattr(lease, "restore", stumbles)
        with pytest.raises(ValueError, match="a bug"):
            Follower(ours, RedisJournal(e.settings, read_only=True)).take()
        others = RedisJournal(e.settings)
        assert others.open().last_seq == seq
        others.close()


@pytest.mark.promise("DU-3")
async def test_a_field_that_is_not_known_is_passed_over(valkey: RedisServer) -> None:
    """New fields of known facts go last and have defaults, so the older version reads what it knows of them."""
    async with estate(valkey) as e:
        reply = await e.edges[0].desk.ask(arrive("1"))
        await e.edges[0].desk.ask(OpenSession(agent="ana", session="s"))
        for _, payload in e.engines[0].journal.read():
            at_ms, key, event = msgspec.msgpack.decode(payload)
            newer = msgspec.msgpack.encode([at_ms, key, [*event, "of next year"]])
            known = codec.decode(payload)
            if len(event) == 1 + len(known.event.__struct_fields__):  # defaults at the end are not left out
                assert codec.decode(newer) == known
        assert reply.interaction
