"""Daemons on a real Redis: killed, paused, cut off; one leads, another takes over."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import smtplib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.ports import free_ports
from tests.support.redis import RedisServer, redis_server
from tests.system.clients import call_event, letter, phone, send_mail
from tests.system.conftest import QUICK
from tests.system.daemon import CONFIG, OPERATOR, Daemon, Json

LEASE_S = 1.0


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis") as server:
        yield server


def shared(redis: RedisServer, tmp_path: Path, **more: str) -> dict[str, str]:
    """What all daemons on this Redis are told alike."""
    settings = {
        "LOG_JSON": "true",
        "JOURNAL__KIND": "redis",
        "JOURNAL__URL": redis.url,
        "JOURNAL__LEASE": f"{LEASE_S * 1_000:.0f}ms",
        "JOURNAL__TIMEOUT": "800ms",
        "BLOBS__FOLDER": str(tmp_path / "blobs"),
        "CHAT__TOKEN_SECRET": "only-for-these-tests-0123456789-0123456789",
        "LINK__SECRET": "only-for-these-tests-too",
        **more,
    }
    return QUICK | {f"SWITCHBOARD__{name}": value for name, value in settings.items()}


def at_fixed_ports(data: Path, env: dict[str, str], config: Path = CONFIG) -> Daemon:
    """Who stands by says nothing of the ports that it will open."""
    http, sockets, smtp, lmtp = free_ports(4)
    ports = {"HTTP__PORT": http, "SOCKETS__PORT": sockets, "EMAIL__SMTP__PORT": smtp, "EMAIL__LMTP__PORT": lmtp}
    daemon = Daemon(data, env | {f"SWITCHBOARD__{name}": str(port) for name, port in ports.items()}, config)
    daemon.http, daemon.socket = f"http://127.0.0.1:{http}", f"ws://127.0.0.1:{sockets}"
    daemon.smtp, daemon.lmtp = ("127.0.0.1", smtp), ("127.0.0.1", lmtp)
    return daemon


@pytest.fixture
async def pair(redis: RedisServer, tmp_path: Path) -> AsyncIterator[tuple[Daemon, Daemon]]:
    """The first leads, the second stands by."""
    async with AsyncExitStack() as stack:
        first, second = (at_fixed_ports(tmp_path / name, shared(redis, tmp_path)) for name in ("first", "second"))
        for daemon in (first, second):
            stack.callback(daemon.kill)
            stack.push_async_callback(daemon.close)
        first.launch()
        await first.ready()
        second.launch()
        await second.until(stands_by)
        yield first, second


def stands_by(status: int, body: Json) -> bool:
    return status == 503 and "standby" in body.get("parts", {}).get("writer", {}).get("detail", "")


async def call(daemon: Daemon, number: int) -> Json:
    status, body = await phone(daemon.session, daemon.http, call_event("incoming", f"call-{number}"))
    assert status == 200, body
    return body


# --- one daemon -------------------------------------------------------------------------------------------------------


@pytest.mark.promise("DU-2", "OB-1")
async def test_a_daemon_stops_acknowledging_when_redis_is_told_to_keep_less_and_goes_on_when_it_keeps_it_again(
    redis: RedisServer, tmp_path: Path
) -> None:
    async with Daemon(tmp_path / "data", shared(redis, tmp_path)) as daemon:
        redis.command("CONFIG", "SET", "appendonly", "no")
        found = await daemon.until(lambda status, _: status == 503)
        assert "set appendonly yes" in found["parts"]["writer"]["detail"]
        status, body = await phone(daemon.session, daemon.http, call_event("incoming", "call-1"))
        assert (status, body["code"]) == (503, "unavailable")
        redis.command("CONFIG", "SET", "appendonly", "yes")
        await daemon.ready()
        await call(daemon, 1)


@pytest.mark.promise("DU-1", "IN-2")
async def test_a_daemon_finds_everything_again_after_it_and_redis_were_killed(
    redis: RedisServer, tmp_path: Path
) -> None:
    async with Daemon(tmp_path / "data", shared(redis, tmp_path)) as daemon:
        first = await call(daemon, 1)
        daemon.kill()
        redis.await_written()
        redis.kill()
        redis.start()
        await daemon.start()  # its lease of before has run out with Redis, or is waited for
        assert (await daemon.interaction(first["interaction"]))["state"] == "queued"
        assert (await call(daemon, 1))["interaction"] == first["interaction"]
        told = json.loads(daemon.command("explain", first["interaction"], "--config", str(CONFIG), "--json"))
        assert told["history"][0]["event"] == "InteractionArrived"
        assert daemon.command("journal", "snapshot", "--config", str(CONFIG)).startswith("snapshot of record")
        assert await daemon.stop() == 0
        assert daemon.verify()["clean"]
        assert daemon.export()[0]["type"] == "configured"
        again = json.loads(daemon.command("replay", str(CONFIG), "--config", str(CONFIG), "--json"))
        assert again["was"]["contacts"] == 1


@pytest.mark.promise("DU-2", "OB-1")
async def test_while_redis_is_away_everything_is_refused_and_it_resumes_without_repair(
    redis: RedisServer, tmp_path: Path
) -> None:
    async with Daemon(tmp_path / "data", shared(redis, tmp_path)) as daemon:
        before = await call(daemon, 1)
        redis.await_written()
        redis.kill()
        status, body = await phone(daemon.session, daemon.http, call_event("incoming", "call-2"))
        assert status == 503
        assert body["code"] == "unavailable"
        found = await daemon.until(lambda status, _: status == 503)
        assert "journal" in found["parts"]["writer"]["detail"]
        with pytest.raises(smtplib.SMTPResponseException) as refused:
            await asyncio.to_thread(send_mail, daemon.smtp, letter("m1"))
        assert 400 <= refused.value.smtp_code < 500
        redis.start()
        await daemon.ready()
        await asyncio.to_thread(send_mail, daemon.smtp, letter("m1"))
        assert (await call(daemon, 1))["interaction"] == before["interaction"]


# --- two --------------------------------------------------------------------------------------------------------------


@pytest.mark.promise("DU-5")
async def test_a_standby_refuses_until_the_leader_that_is_told_to_stop_hands_over(
    pair: tuple[Daemon, Daemon],
) -> None:
    first, second = pair
    before = await call(first, 1)
    async with second.session.get(f"{second.http}/v1/queues", headers=OPERATOR) as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
    status, _ = await phone(second.session, second.http, call_event("incoming", "call-1"))
    assert status == 503
    for host, port in (second.smtp, second.lmtp):
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, port)
    assert await first.stop() == 0
    await second.ready()
    assert (await call(second, 1))["interaction"] == before["interaction"]
    assert second.troubles() == []


@pytest.mark.long
@pytest.mark.promise("DU-5")
async def test_a_standby_takes_over_from_a_leader_that_was_killed(pair: tuple[Daemon, Daemon]) -> None:
    first, second = pair
    taken = [await call(first, number) for number in range(20)]
    first.kill()
    await second.ready()
    assert [await call(second, number) for number in range(20)] == taken
    first.launch()
    await first.until(stands_by)


@pytest.mark.promise("DU-5")
async def test_a_leader_that_was_paused_for_longer_than_its_lease_acknowledges_nothing_more(
    pair: tuple[Daemon, Daemon],
) -> None:
    first, second = pair
    before = await call(first, 1)
    first.signal(signal.SIGSTOP)
    late = asyncio.create_task(phone(first.session, first.http, call_event("incoming", "call-2")))
    await second.ready()
    ours = await call(second, 2)
    first.signal(signal.SIGCONT)
    status, _ = await late
    assert status == 503
    await first.until(stands_by)
    assert (await call(second, 1))["interaction"] == before["interaction"]
    assert (await call(second, 2))["interaction"] == ours["interaction"]
    assert [line["seq"] for line in second.export()] == list(range(1, len(second.export()) + 1))
    assert first.troubles() == []


@pytest.mark.promise("DU-5", "OB-1")
async def test_a_standby_of_another_house_says_that_it_will_not_lead_and_sends_nobody_to_the_dead(
    redis: RedisServer, tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    names = {"support": "helpdesk", "sales": "orders", "mailroom": "paper"}
    other.write_text(re.sub("|".join(names), lambda found: names[found[0]], CONFIG.read_text()))
    async with AsyncExitStack() as stack:
        first = at_fixed_ports(tmp_path / "first", shared(redis, tmp_path))
        stranger = at_fixed_ports(tmp_path / "stranger", shared(redis, tmp_path), other)
        for daemon in (first, stranger):
            stack.callback(daemon.kill)
            stack.push_async_callback(daemon.close)
        first.launch()
        await first.ready()
        stranger.launch()
        found = await stranger.until(lambda _, body: "another house's" in str(body))
        assert not found["parts"]["journal"]["ok"]
        assert "this process will not take over: this log is another house's" in found["parts"]["journal"]["detail"]
        assert "would put this one in force" not in str(found)
        leader = f":{first.pid} leads; ask there"
        assert leader in await refusal(stranger)
        first.kill()
        await stranger.until(lambda _, body: "another house's" in body["parts"]["writer"]["detail"])
        assert "does not know who" in await refusal(stranger)
        first.launch()
        await stranger.until(stands_by)
        assert f":{first.pid} leads; ask there" in await refusal(stranger), "and of who leads since"


@pytest.mark.promise("DU-5", "OB-1", "OB-6")
async def test_a_standby_says_which_setting_it_does_not_share_with_who_leads(
    redis: RedisServer, tmp_path: Path
) -> None:
    other = "another-one-for-these-tests-9876543210-9876543210"
    async with AsyncExitStack() as stack:
        first = at_fixed_ports(tmp_path / "first", shared(redis, tmp_path))
        second = at_fixed_ports(tmp_path / "second", shared(redis, tmp_path, CHAT__TOKEN_SECRET=other))
        third = at_fixed_ports(tmp_path / "third", shared(redis, tmp_path, JOURNAL__LEASE="1500ms"))
        fourth = at_fixed_ports(tmp_path / "fourth", shared(redis, tmp_path, LINK__SECRET=other))
        for daemon in (first, second, third, fourth):
            stack.callback(daemon.kill)
            stack.push_async_callback(daemon.close)
        first.launch()
        await first.ready()
        for daemon, option in (
            (second, "chat.token_secret"),
            (third, "journal.lease"),
            (fourth, "link.secret"),
        ):
            daemon.launch()
            found = await daemon.until(lambda _, body: "who leads has" in str(body))
            said = f"who leads has another {option}; it must be the same on all machines"
            assert found["parts"]["journal"]["detail"] == said
            assert other not in str(found)
        kept = str(redis.command("HGETALL", "switchboard:meta"))
        assert "token_secret" in kept
        assert "only-for-these-tests" not in kept


async def refusal(daemon: Daemon) -> str:
    status, body = await daemon.get("/v1/queues")
    assert status == 503
    return str(body["detail"])
