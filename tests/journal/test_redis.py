"""The journal in a real Redis: fenced, cut off, out of memory, restarted, set up wrongly."""

from __future__ import annotations

import contextlib
import itertools
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from router.engine.config import Duration
from router.errors import ConfigError, JournalCorrupt, JournalFailed, JournalHeld, JournalUnfit, JournalVersion
from router.journal import frames, redis_scripts
from router.journal.port import Journal, Snapshot
from router.journal.redis import IN_FULL, SLICE, RedisJournal
from router.journal.redis_inspection import verify
from router.journal.redis_link import Link, check_url, problems
from router.journal.settings import JournalSettings
from router.observe import REGISTRY
from tests.journal.contract import JournalContract, fill, payloads, records
from tests.support.ports import free_port
from tests.support.redis import RedisServer, bundled, installed, redis_server

SHIPPED = Path(__file__).parents[2] / "deploy" / "redis"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("valkey"), bundled()) as server:
        yield server


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis"), installed()) as server:
        yield server


class RedisRig:
    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.journal = RedisJournal(JournalSettings(url=server.unix_url, prefix=f"t{next(_numbers)}"))

    def make(self) -> Journal:
        return self.journal

    def crashed(self, journal: Journal) -> Journal:
        """The lease of a process that was killed has run out."""
        assert isinstance(journal, RedisJournal)
        prefix = f"t{next(_numbers)}"
        for name in ("log", "meta", "snapshots"):
            self.server.command("COPY", f"{journal.settings.prefix}:{name}", f"{prefix}:{name}")
        return RedisJournal(replace(journal.settings, prefix=prefix))

    def damage(self, journal: Journal, seq: int) -> None:
        """Write the log anew with one byte changed: Redis itself changes no entry."""
        assert isinstance(journal, RedisJournal)
        log = f"{journal.settings.prefix}:log"
        entries = self.server.command("XRANGE", log, "-", "+")
        self.server.command("DEL", log)
        for ident, fields in entries.items() if isinstance(entries, dict) else entries:
            pairs = dict(fields.items() if isinstance(fields, dict) else zip(fields[::2], fields[1::2], strict=True))
            first, count = int(ident.partition(b"-")[0]), int(pairs[b"n"])
            if first <= seq < first + count:
                frame = bytearray(pairs[b"d"])
                frame[(seq - first) * 4] ^= 1  # of its checksum
                pairs[b"d"] = bytes(frame)
            self.server.command("XADD", log, ident, "n", pairs[b"n"], "d", pairs[b"d"])

    def break_disk(self) -> None:
        self.server.command("CONFIG", "SET", "maxmemory", "1")

    def mend_disk(self) -> None:
        self.server.command("CONFIG", "SET", "maxmemory", "0")


class TestOnValkey(JournalContract):
    @pytest.fixture
    def rig(self, valkey: RedisServer) -> RedisRig:
        return RedisRig(valkey)


@pytest.mark.system
class TestOnRedis(JournalContract):
    @pytest.fixture
    def rig(self, debian: RedisServer) -> RedisRig:
        return RedisRig(debian)


# --- who leads --------------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(valkey: RedisServer) -> JournalSettings:
    return JournalSettings(url=valkey.unix_url, prefix=f"t{next(_numbers)}")


@pytest.fixture
def journal(settings: JournalSettings) -> Iterator[RedisJournal]:
    journal = RedisJournal(settings, owner="first")
    journal.open()
    yield journal
    journal.close()


def lease_ends(server: RedisServer, settings: JournalSettings) -> None:
    """What the passing of time does, without waiting for it."""
    server.command("DEL", f"{settings.prefix}:lease")


@pytest.mark.promise("DU-5")
def test_who_comes_second_is_told_who_leads_and_when_to_ask_again(journal: RedisJournal) -> None:
    second = RedisJournal(journal.settings)
    with pytest.raises(JournalHeld, match="first leads") as held:
        second.open()
    assert 0 < held.value.retry_s <= 0.2
    fill(journal, [1])  # and the attempt has cost the first nothing
    with pytest.raises(JournalFailed):
        second.append(2, [b"x"])


@pytest.mark.promise("DU-5", "OB-1")
def test_what_who_leads_has_left_is_heard_by_who_stands_by(valkey: RedisServer, settings: JournalSettings) -> None:
    first, second = (RedisJournal(settings, owner=name) for name in ("first", "second"))
    first.leaves(lambda identity: f"of the first, for {identity}".encode())
    assert second.left == ("", b""), "nothing was heard yet"
    first.open()
    look(second)
    assert second.left == (first.identity, f"of the first, for {first.identity}".encode())
    reader = RedisJournal(settings, read_only=True)
    reader.open()
    assert reader.left == second.left, "an edge only reads"
    # An older version takes the lease and leaves nothing: what is there is not its own.
    valkey.command("HINCRBY", f"{settings.prefix}:meta", "epoch", 1)
    look(second)
    assert second.left == ("", b"")
    reader.close()
    reader.open()
    assert reader.left == ("", b"")
    for each in (first, second, reader):
        each.close()


@pytest.mark.promise("DU-5")
def test_who_led_before_writes_nothing_more_however_late_it_comes(valkey: RedisServer, journal: RedisJournal) -> None:
    fill(journal, [3])
    lease_ends(valkey, journal.settings)
    fill(journal, [1])  # nobody has taken over: it is the token that counts, not the time
    second = RedisJournal(journal.settings, owner="second")
    assert second.open().last_seq == 4
    for late in (lambda: journal.append(5, [b"late"]), journal.probe, journal.renew):
        with pytest.raises(JournalFailed):
            late()
    fill(second, [2])
    assert list(second.read()) == records(1, 6)
    second.close()


def test_a_late_append_and_a_late_renewal_say_who_leads(valkey: RedisServer, journal: RedisJournal) -> None:
    lease_ends(valkey, journal.settings)
    second = RedisJournal(journal.settings, owner="second")
    second.open()
    with pytest.raises(JournalHeld, match="second leads"):
        journal.renew()
    second.close()


@pytest.mark.promise("DU-5")
def test_an_append_that_was_under_way_while_it_was_opened_again_is_refused(
    valkey: RedisServer, journal: RedisJournal
) -> None:
    """No answer came in time, so it was opened anew; then the first attempt arrives after all."""
    fill(journal, [2])
    arguments = (journal._token, 2, 3, "3-1", 1, frames.pack(3, [b"late"]))
    journal.open()
    answer = valkey.command("EVALSHA", redis_scripts.APPEND.sha, len(journal.keys), *journal.keys, *arguments)
    assert answer[0] == b"fenced"
    assert list(journal.read()) == records(1, 2)


def test_closing_lets_the_next_one_in_at_once(journal: RedisJournal) -> None:
    journal.close()
    second = RedisJournal(journal.settings)
    assert second.open().clean
    second.close()


@pytest.mark.promise("DU-5")
def test_a_clock_of_redis_that_was_set_back_keeps_nobody_waiting_for_longer_than_a_lease(
    valkey: RedisServer, journal: RedisJournal
) -> None:
    """What such a step does: the end of the lease is further away than it was given for."""
    lease = f"{journal.settings.prefix}:lease"
    valkey.command("PEXPIRE", lease, 3_600_000)
    second = RedisJournal(journal.settings, owner="second")
    with pytest.raises(JournalHeld):
        second.open()
    assert 0 < valkey.command("PTTL", lease) <= int(journal.settings.lease)
    second.close()


@pytest.mark.promise("DU-5")
def test_who_is_given_the_lead_gets_it_and_who_gave_it_writes_nothing_more(
    valkey: RedisServer, settings: JournalSettings
) -> None:
    first, second, third = (RedisJournal(settings, owner=name, can_be_given=True) for name in ("one", "two", "three"))
    try:
        first.open()
        first.append(1, [b"a"])
        for other in (second, third):
            with pytest.raises(JournalHeld, match="one leads"):
                other.open()
        assert first.standbys() == ["three", "two"]
        assert first.leader() == "one"
        first.hand_over("two")
        assert first.leader() == ""
        assert "one" in third.standbys(), "it may be given it again at once"
        with pytest.raises(JournalFailed):
            first.append(2, [b"b"])
        with pytest.raises(JournalFailed):
            first.renew()
        for other in (first, third):
            with pytest.raises(JournalHeld, match="it is kept for two"):
                other.open()
        opened = second.open()
        assert (opened.last_seq, opened.clean, opened.notes) == (1, True, ())
        second.append(2, [b"b"])
        assert third.leader() == "two"
    finally:
        for each in (first, second, third):
            each.close()


def test_what_nobody_takes_who_was_given_it_is_free_after_a_moment(
    valkey: RedisServer, settings: JournalSettings
) -> None:
    settings = replace(settings, lease=Duration(600_000))
    first, second = (RedisJournal(settings, owner=name, can_be_given=True) for name in ("one", "two"))
    try:
        first.open()
        first.hand_over("who-died-meanwhile")
        with pytest.raises(JournalHeld):
            second.open()
        assert 0 < int(valkey.command("PTTL", f"{settings.prefix}:lease")) <= first.kept_ms == 2_000
        lease_ends(valkey, settings)
        second.open()
        assert (second.leader(), second.times_taken()) == ("two", 2)
    finally:
        first.close()
        second.close()


# --- standing by ------------------------------------------------------------------------------------------------------


def asked(server: RedisServer) -> dict[str, int]:
    """How often each command was called since the counts began anew, and how many links were made."""
    told = server.command("INFO", "commandstats")
    return {name.removeprefix("cmdstat_"): int(stats["calls"]) for name, stats in told.items()} | {
        "links": int(server.command("INFO", "stats")["total_connections_received"])
    }


def look(standby: RedisJournal, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(JournalHeld):
            standby.open()


def test_who_stands_by_asks_one_small_question_over_one_link(own: RedisServer) -> None:
    leader = RedisJournal(JournalSettings(url=own.unix_url))
    standby = RedisJournal(leader.settings)
    leader.open()
    look(standby, 2)
    own.command("CONFIG", "RESETSTAT")
    look(standby, IN_FULL - 2)
    found = asked(own)
    assert found["evalsha"] == IN_FULL - 2
    assert found["links"] == 0
    assert {"info", "config|get", "hset", "set", "hincrby"}.isdisjoint(found)
    look(standby)
    assert asked(own)["config|get"] == 1, "now and then how Redis is set up is looked at as well"
    for each in (standby, leader):
        each.close()


@pytest.mark.promise("DU-5", "OB-4")
def test_who_stands_by_finds_out_within_some_looks_that_redis_keeps_less(own: RedisServer) -> None:
    leader = RedisJournal(JournalSettings(url=own.unix_url))
    standby = RedisJournal(leader.settings)
    leader.open()
    look(standby, 3)
    own.command("CONFIG", "SET", "appendonly", "no")
    with pytest.raises(JournalUnfit, match="set appendonly yes"):
        look(standby, IN_FULL)
    with pytest.raises(JournalUnfit):
        standby.open()
    own.command("CONFIG", "SET", "appendonly", "yes")
    look(standby)
    for each in (standby, leader):
        each.close()


@pytest.mark.promise("DU-5")
def test_a_lease_that_is_free_is_taken_of_no_redis_that_keeps_less(own: RedisServer) -> None:
    """Although it was well when it was looked at last."""
    leader = RedisJournal(JournalSettings(url=own.unix_url))
    standby = RedisJournal(leader.settings)
    leader.open()
    look(standby, 2)
    own.command("CONFIG", "SET", "appendonly", "no")
    lease_ends(own, leader.settings)
    with pytest.raises(JournalUnfit):
        standby.open()
    assert (standby.epoch, standby.times_taken(), standby.leader()) == (0, 1, "")
    own.command("CONFIG", "SET", "appendonly", "yes")
    standby.open()
    assert standby.epoch == 2
    for each in (standby, leader):
        each.close()


def test_who_stands_by_knows_how_far_the_log_is_and_reads_over_one_link(own: RedisServer) -> None:
    leader, beside = (RedisJournal(JournalSettings(url=own.unix_url), read_only=reads) for reads in (False, True))
    standby = RedisJournal(leader.settings)
    leader.open()
    fill(leader, [3])
    look(standby)
    assert standby.heard == 3
    beside.open()
    assert list(beside.read()) == records(1, 3)
    own.command("CONFIG", "RESETSTAT")
    fill(leader, [2])
    look(standby)
    assert standby.heard == 5
    assert list(beside.read(3)) == records(4, 5)
    assert list(beside.read(5)) == []
    assert asked(own)["links"] == 0
    for each in (beside, standby, leader):
        each.close()


@pytest.mark.promise("DU-5")
@pytest.mark.parametrize("written", [[3], [2, 9]], ids=["as much", "more"])
def test_who_follows_does_not_read_on_where_others_have_written_in_the_place_of_what_was_read(
    valkey: RedisServer, journal: RedisJournal, written: list[int]
) -> None:
    """A failover without the last records: what was made of them goes on with nothing that came after."""
    fill(journal, [3])
    for key in journal.keys[:2]:
        valkey.command("COPY", key, f"{key}-replica")
    fill(journal, [3])
    beside = RedisJournal(journal.settings, read_only=True)
    beside.open()
    assert list(beside.read()) == records(1, 6)
    assert list(beside.read(6)) == []
    for key in journal.keys[:2]:
        valkey.command("COPY", f"{key}-replica", key, "REPLACE")
    with pytest.raises(JournalCorrupt, match="as it was read"):
        list(beside.read(6))
    journal.open()
    fill(journal, written)
    with pytest.raises(JournalCorrupt, match="as it was read"):
        list(beside.read(6))
    beside.close()
    beside.open()
    assert list(beside.read()) == records(1, 3 + sum(written))
    beside.close()


def test_what_was_lost_while_it_is_read_ends_the_reading(valkey: RedisServer, journal: RedisJournal) -> None:
    fill(journal, [1] * (SLICE + 2))
    reading = journal.read()
    for _ in range(SLICE):
        next(reading)
    valkey.command("XDEL", f"{journal.settings.prefix}:log", f"{SLICE}-1")
    with pytest.raises(JournalFailed, match="lost while the log was read"):
        next(reading)


def test_what_was_acknowledged_is_looked_for_while_standing_by(valkey: RedisServer, journal: RedisJournal) -> None:
    """The failover that loses it may come when others have led for long."""
    fill(journal, [3])
    for key in journal.keys[:2]:
        valkey.command("COPY", key, f"{key}-replica")
    fill(journal, [3])
    lease_ends(valkey, journal.settings)
    second = RedisJournal(journal.settings, owner="second")
    second.open()
    before = counted()
    look(journal, 2)
    assert counted() == before
    for key in journal.keys[:2]:
        valkey.command("COPY", f"{key}-replica", key, "REPLACE")
    look(journal, IN_FULL)
    assert counted() - before == 3
    second.close()


@pytest.mark.parametrize("set_back_s", [0, 86_400])
def test_the_name_of_who_stands_by_no_more_is_forgotten(own: RedisServer, set_back_s: int) -> None:
    """Also where its last word is of a clock that was set back since."""
    leader, standby = (
        RedisJournal(JournalSettings(url=own.unix_url), owner=name, can_be_given=True) for name in ("one", "two")
    )
    leader.open()
    names = f"{leader.settings.prefix}:standbys"
    now_s = int(own.command("TIME")[0])
    heard_s = int(leader.settings.lease) // 1_000
    own.command("HSET", names, "gone", now_s - heard_s - 2 + set_back_s, "slow", now_s - heard_s + 2)
    look(standby)
    assert leader.standbys() == ["slow", "two"]
    assert sorted(own.command("HKEYS", names)) == [b"slow", b"two"]
    assert 0 < own.command("PTTL", names) <= heard_s * 1_000, "when nobody stands by any more all of it goes"
    for each in (standby, leader):
        each.close()


def test_renewing_keeps_the_lease_and_tells_the_servers_time(valkey: RedisServer, journal: RedisJournal) -> None:
    valkey.command("PEXPIRE", f"{journal.settings.prefix}:lease", 10)
    before_s, _ = valkey.command("TIME")
    assert before_s * 1_000 <= journal.renew() <= (before_s + 60) * 1_000
    assert valkey.command("PTTL", f"{journal.settings.prefix}:lease") > 10


def test_each_script_may_be_run_twice(valkey: RedisServer, journal: RedisJournal) -> None:
    """As happens when the link breaks between the deed and its answer."""
    fill(journal, [2])
    arguments = (journal._token, 2, 4, f"3-{journal.epoch}", 2, frames.pack(3, payloads(3, 2)))
    call = ("EVALSHA", redis_scripts.APPEND.sha, len(journal.keys), *journal.keys, *arguments)
    assert [valkey.command(*call), valkey.command(*call)] == [b"kept", b"again"]
    assert list(journal.read()) == records(1, 4)


# --- a server that comes and goes -------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "own") as server:
        yield server


def test_a_restart_between_two_appends_is_not_noticed(own: RedisServer) -> None:
    """Links and scripts are gone; everything that was answered is there."""
    journal = RedisJournal(JournalSettings(url=own.url))
    journal.open()
    fill(journal, [10])
    own.await_written()
    own.kill()
    own.start()
    fill(journal, [10])
    assert list(journal.read()) == records(1, 20)
    journal.close()


@pytest.mark.promise("DU-2")
def test_while_it_is_away_nothing_is_taken_and_nothing_needs_repair(own: RedisServer) -> None:
    journal = RedisJournal(JournalSettings(url=own.url))
    journal.open()
    fill(journal, [10])
    own.await_written()
    own.kill()
    with pytest.raises(JournalFailed, match="check that it runs"):
        fill(journal, [1])
    with pytest.raises(JournalFailed):
        journal.open()
    own.start()
    assert journal.open().last_seq == 10
    fill(journal, [1])
    journal.close()


@pytest.mark.promise("DU-2")
def test_a_server_that_does_not_answer_counts_as_away(own: RedisServer) -> None:
    journal = RedisJournal(JournalSettings(url=own.url, timeout=Duration(200)))
    journal.open()
    own.signal(signal.SIGSTOP)
    with pytest.raises(JournalFailed, match="no answer within 200 ms"):
        fill(journal, [1])
    own.signal(signal.SIGCONT)
    assert journal.open().last_seq in (0, 1)
    journal.close()


@pytest.fixture
def mute() -> Iterator[int]:
    """A port that takes connections and says nothing, as a Redis without TLS does with the first words of TLS."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.mark.promise("OB-1")
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://127.0.0.1:{}/0", "no answer within 200 ms; is it overloaded?"),
        (
            "rediss://127.0.0.1:{}/0",
            "no answer within 200 ms; does it speak TLS there, as journal.url says (rediss)? Is it overloaded?",
        ),
        (
            "redis+sentinel://127.0.0.1:{}/house",
            "none of its Sentinels says who leads; check that they run and watch that name",
        ),
        (
            "rediss+sentinel://127.0.0.1:{}/house",
            "none of its Sentinels says who leads; check that they run, by TLS as journal.url says (rediss), "
            "and watch that name",
        ),
    ],
)
def test_whoever_does_not_answer_is_given_up_in_time_and_in_words(mute: int, url: str, said: str) -> None:
    settings = JournalSettings(url=url.format(mute), timeout=Duration(200))
    began = time.monotonic()
    with pytest.raises(JournalFailed) as failed:
        RedisJournal(settings).open()
    assert str(failed.value) == f"{settings.url}: {said}"
    assert time.monotonic() - began < 2, "asked once, where its client would ask ten times"


@pytest.mark.promise("DU-5")
def test_records_that_redis_has_lost_are_told(valkey: RedisServer, journal: RedisJournal) -> None:
    """What a failover to a replica that lags behind looks like from here."""
    fill(journal, [3])
    for key in journal.keys[:2]:
        valkey.command("COPY", key, f"{key}-replica")
    fill(journal, [3, 3])
    for key in journal.keys[:2]:
        valkey.command("COPY", f"{key}-replica", key, "REPLACE")
    with pytest.raises(JournalFailed, match="up to 3 of 9"):
        fill(journal, [1])
    notes = journal.open().notes
    assert any("records 4 to 9 were acknowledged" in note for note in notes)
    fill(journal, [4])
    assert list(journal.read()) == records(1, 7)


@pytest.mark.promise("DU-5")
def test_lost_records_are_told_by_who_acknowledged_them_although_others_have_written_in_their_place(
    valkey: RedisServer, journal: RedisJournal
) -> None:
    """A failover without the last records, and another leader before the first one has looked."""
    fill(journal, [3])
    for key in journal.keys[:2]:
        valkey.command("COPY", key, f"{key}-replica")
    fill(journal, [3, 3])
    for key in journal.keys[:2]:
        valkey.command("COPY", f"{key}-replica", key, "REPLACE")
    lease_ends(valkey, journal.settings)
    second = RedisJournal(journal.settings, owner="second")
    assert second.open().last_seq == 3
    fill(second, [2, 9])
    before = counted()
    for _ in range(2):  # once is enough
        with pytest.raises(JournalHeld):
            journal.open()
    assert counted() - before == 6
    second.close()
    assert journal.open().last_seq == 14
    assert counted() - before == 6


def test_nothing_is_told_lost_that_was_written_on_or_trimmed(valkey: RedisServer, journal: RedisJournal) -> None:
    fill(journal, [3, 3])
    lease_ends(valkey, journal.settings)
    second = RedisJournal(journal.settings, owner="second")
    second.open()
    fill(second, [3])
    before = counted()
    with pytest.raises(JournalHeld):
        journal.open()
    second.close()
    journal.open()
    fill(journal, [3])
    lease_ends(valkey, journal.settings)
    third = RedisJournal(journal.settings, owner="third")
    third.open()
    fill(third, [1])
    valkey.command("XTRIM", journal.keys[0], "MAXLEN", 1)
    with pytest.raises(JournalHeld):
        journal.open()
    assert counted() == before
    third.close()


def counted() -> float:
    return float(REGISTRY.get_sample_value("switchboard_journal_lost_records_total") or 0)


def test_a_log_that_was_emptied_is_not_begun_anew_behind_our_back(valkey: RedisServer, journal: RedisJournal) -> None:
    fill(journal, [3])
    for key in journal.keys:
        valkey.command("DEL", key)
    with pytest.raises(JournalFailed):
        fill(journal, [1])
    with pytest.raises(JournalFailed, match="not the log that was here before"):
        journal.open()


@pytest.mark.promise("DU-5")
def test_a_restart_does_not_make_an_emptied_log_the_right_one(valkey: RedisServer, tmp_path: Path) -> None:
    """Every daemon was restarted, so nobody has it in memory."""
    settings, seen = JournalSettings(url=valkey.unix_url, prefix=f"t{next(_numbers)}"), tmp_path / "house.seen"
    first = RedisJournal(settings, seen=seen)
    first.open()
    fill(first, [3])
    first.close()
    again = RedisJournal(settings, seen=seen)
    assert again.open().last_seq == 3
    again.close()
    for key in first.keys:
        valkey.command("DEL", key)
    for _ in range(2):
        with pytest.raises(JournalFailed, match=f"stop every daemon, remove {seen} on each machine"):
            RedisJournal(settings, seen=seen).open()
    seen.unlink()
    new = RedisJournal(settings, seen=seen)
    assert new.open().last_seq == 0
    new.close()


def test_a_restart_does_not_hide_that_records_were_lost(valkey: RedisServer, tmp_path: Path) -> None:
    settings, seen = JournalSettings(url=valkey.unix_url, prefix=f"t{next(_numbers)}"), tmp_path / "house.seen"
    first = RedisJournal(settings, seen=seen)
    first.open()
    fill(first, [3])
    for key in first.keys[:2]:
        valkey.command("COPY", key, f"{key}-replica")
    fill(first, [3])
    first.renew()
    for key in first.keys[:2]:
        valkey.command("COPY", f"{key}-replica", key, "REPLACE")
    valkey.command("DEL", first.keys[2])
    second = RedisJournal(settings, seen=seen)
    assert any("records 4 to 6 were acknowledged" in note for note in second.open().notes)
    second.close()
    first.close()


def test_what_is_remembered_must_be_readable(valkey: RedisServer, tmp_path: Path) -> None:
    seen = tmp_path / "house.seen"
    seen.write_text("nonsense")
    journal = RedisJournal(JournalSettings(url=valkey.unix_url, prefix=f"t{next(_numbers)}"), seen=seen)
    with pytest.raises(JournalFailed, match="remove it if the log is the right one"):
        journal.open()
    journal.close()


# --- a server that keeps less than was promised -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("durability", "options", "said"),
    [
        ("everysec", ("--appendonly", "no"), "set appendonly yes"),
        ("everysec", ("--appendfsync", "no"), "appendfsync is no; set everysec"),
        ("always", (), "appendfsync is everysec; set always"),
        ("always", ("--appendfsync", "always", "--no-appendfsync-on-rewrite", "yes"), "suspends appendfsync always"),
        ("everysec", ("--maxmemory-policy", "allkeys-lru"), "set noeviction"),
        ("wait:1", (), "0 replicas are connected"),
    ],
)
def test_a_server_that_keeps_less_is_refused_with_what_to_set(
    tmp_path: Path, durability: str, options: tuple[str, ...], said: str
) -> None:
    with redis_server(tmp_path / "redis", "", *options) as server:
        journal = RedisJournal(JournalSettings(url=server.url, durability=durability))
        with pytest.raises(JournalFailed, match=said):
            journal.open()
        journal.close()


@pytest.mark.promise("DU-2", "DU-5")
def test_a_server_that_is_told_to_keep_less_is_found_out_with_the_next_renewal(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as server:
        journal = RedisJournal(JournalSettings(url=server.unix_url))
        journal.open()
        journal.renew()
        server.command("CONFIG", "SET", "appendonly", "no")
        with pytest.raises(JournalUnfit, match="set appendonly yes"):
            journal.renew()
        with pytest.raises(JournalUnfit):
            journal.open()
        server.command("CONFIG", "SET", "appendonly", "yes")
        journal.open()
        journal.renew()
        journal.close()


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({"redis_version": "6.2.14"}, "it is version 6.2.14; run Redis 7.0 or newer"),
        ({"redis_version": "7.0.15", "cluster_enabled": "1"}, "it is a cluster"),
        ({}, "it is version unknown"),
    ],
)
def test_what_it_says_of_itself_is_judged(info: dict[str, str], said: str) -> None:
    good = {"appendonly": "yes", "appendfsync": "everysec"}
    assert problems({"redis_version": "7.0.15"}, good, "everysec") == []
    assert any(said in problem for problem in problems(info, good, "everysec"))


@pytest.mark.parametrize(
    "url",
    ["", "localhost:6379", "http://127.0.0.1", "redis://", "redis+sentinel://a:1,b:2", "unix://", "redis://h:port/0",
     "redis://:secret@127.0.0.1", "redis://[::1/0", "unix:///run/redis.sock?db=x"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_before_anything_is_tried(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        RedisJournal(JournalSettings(url=url))
    assert refused.value.path == "journal.url"
    assert "secret" not in str(refused.value)


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("redis://h:6379/x", "the number of a database: .../0"),
        ("redis://h:6379/1/2", "the number of a database: .../0"),  # its client would make 12 of it
        ("redis://h:6379/-1", "the number of a database: .../0"),
        ("redis://:6379/0", "HOST:PORT, or HOST alone"),
        ("redis://h:0/0", "HOST:PORT, or HOST alone"),
        ("redis://h:/0", "HOST:PORT, or HOST alone"),
        ("rediss://h:66000/0", "HOST:PORT, or HOST alone"),
        ("redis://a:1,b:2/0", "HOST:PORT, or HOST alone"),
        ("redis://h:6379/0?db=3", "nothing behind the path, no ? and no #"),
        ("redis://h:6379/0#3", "nothing behind the path, no ? and no #"),
        ("redis+sentinel://a:1,b:2/NAME?db=3", "nothing behind the path, no ? and no #"),
        ("redis+sentinel://a:1,,b:2/NAME", "HOST:PORT, or HOST alone, and commas between them"),
        ("redis+sentinel://a:1,b:2/NAME/3", "the name under which Sentinels know the master: .../NAME"),
        ("unix://run/redis.sock", "unix:///PATH, with three slashes"),
    ],
)
def test_a_part_of_an_address_that_would_be_passed_over_is_refused(url: str, wanted: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_url(url)
    assert (refused.value.path, refused.value.expected) == ("journal.url", wanted)


@pytest.mark.parametrize(
    "url",
    ["redis://h", "redis://h/", "redis://h:6379/15", "rediss://10.0.0.5:6379/0/", "redis://[::1]:6379/0",
     "unix:///run/redis.sock", "unix:///run/redis.sock?db=3", "redis+sentinel://10.0.0.5:26379,[::1]:26380/my-house",
     "redis+sentinel://one,two/house"],
)  # fmt: skip
def test_an_address_may_leave_out_what_has_a_usual_value(url: str) -> None:
    check_url(url)


def shipped_settings() -> list[str]:
    """deploy/redis as options of the command line, but for the address and where the file of rights lies."""
    lines = (line.split() for line in (SHIPPED / "redis.conf").read_text().splitlines() if line[:1] not in ("", "#"))
    wanted = [(f"--{name}", *values) for name, *values in lines if name not in ("bind", "port", "aclfile")]
    return [word.strip('"') for option in wanted for word in option] + ["--aclfile", str(SHIPPED / "users.acl")]


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize(
    "binary", [pytest.param(bundled, id="valkey"), pytest.param(installed, id="redis", marks=pytest.mark.system)]
)
def test_the_shipped_rights_are_enough_and_no_more(tmp_path: Path, binary: Callable[[], str]) -> None:
    with redis_server(tmp_path / "redis", binary(), *shipped_settings()) as server:
        settings = JournalSettings(url=server.url, username="switchboard", password="secret")
        journal = RedisJournal(settings)
        journal.open()
        fill(journal, [2])
        journal.save_snapshot(Snapshot(2, b"state"))
        assert journal.latest_snapshot() == Snapshot(2, b"state")
        journal.renew()
        journal.probe()
        journal.close()
        journal.open()
        assert list(journal.read()) == records(1, 2)
        journal.close()
        with pytest.raises(JournalFailed, match="ACL"):
            RedisJournal(replace(settings, prefix="others")).open()
        with pytest.raises(JournalFailed, match=r"journal\.password"):
            RedisJournal(replace(settings, password="wrong")).open()
        for denied in (("FLUSHALL",), ("KEYS", "*"), ("CONFIG", "SET", "appendonly", "no"), ("SHUTDOWN",)):
            link = Link(settings)
            with pytest.raises(JournalFailed, match="ACL"):
                link.call(*denied)
            link.close()


@pytest.mark.system
@pytest.mark.promise("OB-6")
def test_over_tls_the_server_must_be_who_it_says(tmp_path: Path) -> None:
    certificate, key, port = tmp_path / "tls.pem", tmp_path / "tls.key", free_port()
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    files = ("--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-ca-cert-file", str(certificate))
    with redis_server(tmp_path / "redis", installed(), "--tls-port", str(port), "--tls-auth-clients", "no", *files):
        settings = JournalSettings(url=f"rediss://localhost:{port}/0", ca=str(certificate))
        journal = RedisJournal(settings)
        journal.open()
        fill(journal, [2])
        assert list(journal.read()) == records(1, 2)
        journal.close()
        for stranger in (replace(settings, ca=""), replace(settings, url=f"rediss://127.0.0.1:{port}/0")):
            with pytest.raises(JournalFailed, match="certificate"):
                RedisJournal(stranger).open()


@pytest.mark.promise("DU-5")
def test_wait_means_that_a_replica_has_it(tmp_path: Path) -> None:
    with redis_server(tmp_path / "master") as master:
        follow = ("--replicaof", "127.0.0.1", str(master.port))
        with redis_server(tmp_path / "replica", "", *follow) as replica:
            until(lambda: replica.command("INFO", "replication")["master_link_status"] == "up")
            settings = JournalSettings(url=master.url, durability="wait:1", timeout=Duration(1_000))
            journal = RedisJournal(settings)
            journal.open()
            fill(journal, [5])
            master.kill()
            replica.command("REPLICAOF", "NO", "ONE")
            promoted = RedisJournal(replace(settings, url=replica.url, durability="everysec"))
            lease_ends(replica, settings)
            assert promoted.open().last_seq == 5
            assert list(promoted.read()) == records(1, 5)
            promoted.close()
            with pytest.raises(JournalFailed):
                journal.close()


@pytest.mark.promise("DU-5")
def test_what_too_few_replicas_have_is_not_acknowledged(tmp_path: Path) -> None:
    with redis_server(tmp_path / "master") as master:
        follow = ("--replicaof", "127.0.0.1", str(master.port))
        with redis_server(tmp_path / "replica", "", *follow) as replica:
            until(lambda: replica.command("INFO", "replication")["master_link_status"] == "up")
            settings = JournalSettings(url=master.url, durability="wait:1", timeout=Duration(400))
            journal = RedisJournal(settings)
            journal.open()
            replica.signal(signal.SIGSTOP)
            with pytest.raises(JournalFailed, match="0 of 1 replicas"):
                fill(journal, [1])
            replica.signal(signal.SIGCONT)
            assert journal.open().last_seq == 1
            journal.close()


@pytest.mark.promise("DU-5")
def test_behind_sentinels_it_goes_to_whoever_leads_now(tmp_path: Path) -> None:
    with redis_server(tmp_path / "master") as master:
        follow = ("--replicaof", "127.0.0.1", str(master.port))
        with redis_server(tmp_path / "replica", "", *follow) as replica, sentinel(tmp_path, master) as watcher:
            until(lambda: watcher.command("SENTINEL", "REPLICAS", "house"))
            settings = JournalSettings(
                url=f"redis+sentinel://127.0.0.1:{watcher.port}/house", durability="wait:1", timeout=Duration(1_000)
            )
            journal = RedisJournal(settings)
            journal.open()
            fill(journal, [5])
            watcher.command("SENTINEL", "FAILOVER", "house")
            until(lambda: replica.command("INFO", "replication")["role"] == "master")
            until(lambda: _opens(journal))
            assert list(journal.read()) == records(1, 5)
            assert replica.command("HGET", journal.keys[1], "token") is not None
            journal.close()


def _opens(journal: RedisJournal) -> bool:
    try:
        return journal.open().last_seq == 5
    except JournalFailed:
        return False


@contextlib.contextmanager
def sentinel(folder: Path, master: RedisServer) -> Iterator[RedisServer]:
    port = free_port()
    config = folder / "sentinel.conf"
    config.write_text(f"port {port}\nbind 127.0.0.1\nsentinel monitor house 127.0.0.1 {master.port} 1\n")
    watcher = RedisServer(folder / "sentinel", bundled())
    try:
        watcher.run_as_sentinel(config, port)
        yield watcher
    finally:
        watcher.close()


def until(wanted: Callable[[], object], within_s: float = 30.0) -> None:
    """Who is asked may be starting, or may be sent away in the middle of a failover."""
    end = time.monotonic() + within_s
    while True:
        with contextlib.suppress(redis.ConnectionError):
            if wanted():
                return
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


# --- formats, snapshots, trimming -------------------------------------------------------------------------------------


@pytest.mark.promise("DU-3")
def test_a_log_of_an_older_format_reads_as_todays_and_is_not_opened_by_an_older_program(
    settings: JournalSettings,
) -> None:
    def upcast(raw: object) -> object:
        return ["upcast", raw]

    old = RedisJournal(settings, format=1)
    old.open()
    old.append(1, [msgspec.msgpack.encode(i) for i in (1, 2)])
    old.close()
    new = RedisJournal(settings, format=2, upcasts={1: upcast})
    new.open()
    new.append(3, [msgspec.msgpack.encode("today")])
    expected = [["upcast", 1], ["upcast", 2], "today"]
    for after in range(3):
        assert [msgspec.msgpack.decode(payload) for _, payload in new.read(after)] == expected[after:]
    new.close()
    for read_only in (False, True):
        with pytest.raises(JournalVersion, match="run the version that wrote it, or newer"):
            RedisJournal(settings, format=1, read_only=read_only).open()


def test_what_is_trimmed_begins_at_a_snapshot(settings: JournalSettings) -> None:
    journal = RedisJournal(replace(settings, keep=10))
    journal.open()
    fill(journal, [7] * 10)
    for seq in (30, 60):
        journal.save_snapshot(Snapshot(seq, b"state"))
    kept = list(journal.read(20))
    assert kept == records(21, 70)
    with pytest.raises(JournalCorrupt, match="trimmed"):
        list(journal.read(0))
    journal.close()
    report = verify(RedisJournal(settings, read_only=True))
    assert (report.ok, report.last_seq, report.gaps) == (True, 70, ())


def test_a_snapshot_of_records_that_were_lost_meanwhile_is_not_kept(valkey: RedisServer, journal: RedisJournal) -> None:
    fill(journal, [3, 3])
    beside = RedisJournal(journal.settings, read_only=True)
    beside.open()
    assert list(beside.read()) == records(1, 6)
    valkey.command("XDEL", f"{journal.settings.prefix}:log", "4-1")
    valkey.command("HSET", f"{journal.settings.prefix}:meta", "last", 3)
    journal.open()
    fill(journal, [3])  # the same numbers, other records
    with pytest.raises(JournalFailed, match="no longer there"):
        beside.save_snapshot(Snapshot(6, b"of what never was"))
    beside.close()


def test_a_damaged_snapshot_is_passed_over(valkey: RedisServer, journal: RedisJournal) -> None:
    fill(journal, [4])
    for seq in (2, 4):
        journal.save_snapshot(Snapshot(seq, b"state %d" % seq))
    valkey.command("HSET", f"{journal.settings.prefix}:snapshots", 4, b"garbage")
    assert journal.latest_snapshot() == Snapshot(2, b"state 2")
    assert "snapshot 4: skipped" in journal.snapshot_notes[0]


def test_damage_and_gaps_are_listed(valkey: RedisServer, journal: RedisJournal) -> None:
    fill(journal, [5, 5, 5, 5])
    journal.close()
    rig = RedisRig(valkey)
    rig.damage(journal, 2)
    valkey.command("XDEL", f"{journal.settings.prefix}:log", "6-1")
    report = verify(RedisJournal(journal.settings, read_only=True))
    assert (report.gaps, report.damaged, report.records, report.ok) == (((6, 10),), (2,), 14, False)


def test_looking_where_there_is_nothing_is_said(settings: JournalSettings) -> None:
    with pytest.raises(JournalFailed, match="there is no journal"):
        verify(RedisJournal(settings, read_only=True))


# --- frames -----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 1 << 40), st.lists(st.binary(max_size=50), min_size=1, max_size=20))
def test_a_frame_gives_back_what_it_was_made_of(first: int, batch: list[bytes]) -> None:
    found = list(frames.unpack(first, len(batch), frames.pack(first, batch)))
    assert found == list(enumerate(batch, first))


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=8), st.binary(max_size=200), st.data())
def test_no_bytes_make_a_frame_fail_or_lie(batch: list[bytes], noise: bytes, data: st.DataObject) -> None:
    """Whatever stands there, each number has its record as it was written, or none."""
    assert all(payload is None or payload == b"" for _, payload in frames.unpack(1, len(batch), noise[:3]))
    frame = bytearray(frames.pack(1, batch))
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] ^= data.draw(st.integers(1, 255))
    found = [payload for _, payload in frames.unpack(1, len(batch), bytes(frame))]
    assert None in found
    assert all(payload is None or payload == batch[i] for i, payload in enumerate(found))
