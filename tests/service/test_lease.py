"""What is wrong with a shared log or with who opens it is a sentence, at the start or in `/readyz`."""

from __future__ import annotations

import asyncio
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine.config import Duration, Queue, Rule, to_bytes
from router.errors import JournalFailed, JournalHeld, JournalUnfit
from router.journal.redis import RedisJournal
from router.journal.settings import JournalSettings
from router.service.clock import ManualClock
from router.service.lease import Follower, Lease, SharedJournal
from router.service.ports import Health
from router.service.remote.edge import RemoteWriter
from router.service.remote.settings import LinkSettings
from router.service.writer import Writer
from tests.support.house import CONFIG
from tests.support.redis import RedisServer, redis_server


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis") as server:
        yield server


class Ancient(socketserver.StreamRequestHandler):
    """A Redis of before there were functions, as far as it is asked."""

    hello = b"%1\r\n+proto\r\n:3\r\n"

    def handle(self) -> None:
        while line := self.rfile.readline():
            words = [self._word() for _ in range(int(line[1:]))]
            self.wfile.write(self._answer(words[0].upper()))

    def _word(self) -> bytes:
        size = int(self.rfile.readline()[1:])
        return self.rfile.read(size + 2)[:size]

    def _answer(self, verb: bytes) -> bytes:
        if verb == b"INFO":
            told = b"# Server\r\nredis_version:6.2.14\r\n"
            return b"$%d\r\n%s\r\n" % (len(told), told)
        if verb == b"CONFIG":
            return b"*4\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n$11\r\nappendfsync\r\n$8\r\neverysec\r\n"
        if verb == b"HELLO":
            return self.hello
        return b"+OK\r\n"


class Older(Ancient):
    """Before there was HELLO."""

    hello = b"-ERR unknown command `HELLO`\r\n"


@contextmanager
def ancient(kind: type[Ancient]) -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), kind) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(("kind", "found"), [(Ancient, r"it is version 6\.2\.14"), (Older, "unknown command")])
def test_a_redis_that_is_too_old_is_refused_with_the_version_that_is_needed(kind: type[Ancient], found: str) -> None:
    with ancient(kind) as port:
        journal = RedisJournal(JournalSettings(url=f"redis://127.0.0.1:{port}/0"))
        with pytest.raises(JournalUnfit, match=found + r".*; run Redis 7\.0 or newer, or Valkey"):
            journal.open()
        journal.close()


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_password_that_is_wrong_or_missing_is_named_by_its_setting(tmp_path: Path, password: str) -> None:
    with redis_server(tmp_path / "redis", "", "--requirepass", "right") as server:
        journal = RedisJournal(JournalSettings(url=server.url, password=password))
        with pytest.raises(JournalFailed, match=r"check journal\.username, journal\.password") as refused:
            journal.open()
        assert "wrong" not in str(refused.value).partition("check")[0].lower().replace("wrongpass", "")
        journal.close()


# --- who opens it -----------------------------------------------------------------------------------------------------


def follower(settings: JournalSettings, queues: set[str]) -> tuple[RedisJournal, Follower]:
    journal = RedisJournal(settings)
    return journal, Follower(journal, RedisJournal(settings, read_only=True), frozenset(queues))


async def lead_once(settings: JournalSettings) -> None:
    """A house has decided something here."""
    journal = RedisJournal(settings)
    journal.open()
    writer = Writer(journal, ManualClock())
    await writer.start()
    answered = asyncio.Event()
    writer.submit(c.Configure(document=to_bytes(CONFIG)), lambda outcome: answered.set())
    await answered.wait()
    await writer.stop()
    journal.close()


@pytest.mark.promise("DU-5", "OB-4")
async def test_a_second_house_on_the_same_prefix_is_told_so_and_leaves_the_log_alone(redis: RedisServer) -> None:
    settings = JournalSettings(url=redis.unix_url)
    await lead_once(settings)
    journal, other = follower(settings, {"orders", "returns"})
    before = journal.open().last_seq
    with pytest.raises(JournalUnfit, match=r"another house's.*support.*set another journal\.prefix"):
        other.take()
    ours, same = follower(settings, {"support", "orders"})
    assert ours.open().last_seq == before, "and the lease was given back at once"
    assert same.take().state.seq == before
    ours.close()
    journal.close()


@pytest.mark.promise("DU-5", "OB-1")
async def test_a_standby_knows_another_houses_log_while_that_one_still_leads(redis: RedisServer) -> None:
    settings = JournalSettings(url=redis.unix_url)
    await lead_once(settings)
    leader = RedisJournal(settings)
    leader.open()
    _, other = follower(settings, {"orders", "returns"})
    _, same = follower(settings, {"support", "orders"})
    assert other.foreign == "", "nothing is known before it was followed"
    other.follow()
    same.follow()
    assert other.foreign.startswith("this log is another house's, for none of its queues (support) is in this")
    assert same.foreign == ""
    leader.close()


class Renewed:
    """A lease that can always be renewed, by a server whose clock is another one."""

    where, epoch = "redis://r/0 house", 3

    def __init__(self, shared_ms: int) -> None:
        self._shared_ms = shared_ms

    def renew(self) -> int:
        return self._shared_ms


@pytest.mark.promise("OB-1", "DU-5")
@pytest.mark.parametrize(("ahead_ms", "said"), [(60_000, "60.0 s from Redis's; set both by NTP"), (1_000, "leads ")])
async def test_a_clock_that_is_not_that_of_redis_is_said(ahead_ms: int, said: str) -> None:
    clock = ManualClock()
    journal = cast(SharedJournal, Renewed(clock.now_ms() - ahead_ms))
    lease = Lease(journal, 3, clock, lambda: True, lambda why: None)
    lease.start()
    try:
        async with asyncio.timeout(20):
            while _skew(lease.health()) != ahead_ms:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert said in lease.health().detail
        assert lease.health().ok
    finally:
        await lease.stop()


def _skew(health: Health) -> float:
    return health.figures["clock_skew_ms"]


@pytest.mark.promise("OB-1", "DU-5")
async def test_an_edge_of_a_log_that_nobody_leads_says_so(redis: RedisServer) -> None:
    settings = JournalSettings(url=redis.unix_url)
    await lead_once(settings)
    edge = RemoteWriter(
        RedisJournal(settings, read_only=True), ManualClock(), LinkSettings(secret="known-to-both-ends-of-it")
    )
    edge.stand_by("not linked yet")
    try:
        async with asyncio.timeout(20):
            while "no engine leads" not in edge.health().detail:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert not edge.health().ok
    finally:
        await edge.stop()


@pytest.mark.promise("DU-5")
async def test_who_stands_by_knows_by_which_configuration_is_decided(redis: RedisServer) -> None:
    """`/readyz` compares it with the one that this process was started with."""
    settings = JournalSettings(url=redis.unix_url, lease=Duration(60_000))
    await lead_once(settings)
    leader = RedisJournal(settings)
    leader.open()
    journal, standby = follower(settings, {"support"})
    with pytest.raises(JournalHeld):
        journal.open()
    standby.follow()
    assert standby.document == to_bytes(CONFIG)
    other = replace(CONFIG, queues={"orders": Queue()}, rules=(Rule(name="all", queue="orders"),))
    assert standby.document != to_bytes(other)
    leader.close()
    standby._forget()
    journal.close()
