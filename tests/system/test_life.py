"""Start, stop and start again: what a daemon keeps, and how it leaves (DU-1, DU-6)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import aiohttp
import pytest
from msgspec.structs import replace

from router.app import App
from router.engine import commands as c
from router.engine.engine import Engine
from router.errors import ConfigError
from router.journal import codec
from router.journal.sqlite import SqliteJournal
from router.settings import load
from tests.system.clients import Agent, Visitor, call_event, check_in, every, letter, phone, send_mail
from tests.system.conftest import QUICK
from tests.system.daemon import CONFIG, Daemon


async def call(daemon: Daemon, name: str, **attributes: str) -> str:
    status, answer = await phone(daemon.session, daemon.http, call_event("incoming", name, attributes=attributes))
    assert status == 200, answer
    interaction: str = answer["interaction"]
    return interaction


KEPT = ("id", "channel", "queue", "customer", "enqueued_at_ms", "band", "requirement", "attributes", "notes", "misses")


def kept(views: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{name: view.get(name) for name in KEPT} for view in views]


async def details(daemon: Daemon) -> list[dict[str, object]]:
    return [await daemon.interaction(view["id"]) for view in await daemon.interactions()]


@pytest.mark.promise("DU-1")
@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_a_restart_keeps_waiting_work_with_times_priority_notes_and_pauses(daemon: Daemon, end: str) -> None:
    ana = Agent("ana", daemon.socket)
    await ana.sign_in()
    await ana.ready()
    served = await call(daemon, "c1")
    await ana.accept(served)
    assert (await ana.ask("note", interaction=served, text="promised a callback"))["type"] == "ok"
    waiting = [await call(daemon, f"w{n}", language="es") for n in range(3)]
    await asyncio.to_thread(send_mail, daemon.smtp, letter("m1"))
    assert (await daemon.post(f"/v1/interactions/{waiting[2]}/priority", {"band": "urgent"}))[0] == 200
    ben = Agent("ben", daemon.socket)
    await ben.sign_in()
    assert (await ben.ask("set_state", state="not_ready", reason="lunch"))["type"] == "ok"
    before = await details(daemon)
    _, ben_before = await daemon.get("/v1/agents/ben")
    if end == "kill":
        daemon.kill()
    else:
        assert await daemon.stop() == 0
        assert [g["reason"] for g in ana.goodbyes] == ["draining"]
    await daemon.start()
    assert kept(await details(daemon)) == kept(before)
    _, ben_after = await daemon.get("/v1/agents/ben")
    assert (ben_after["state"], ben_after["reason"], ben_after["since_ms"]) == (
        ben_before["state"],
        "lunch",
        ben_before["since_ms"],
    )
    ana.base = daemon.socket
    await ana.sign_in()  # the phone is "stay": the caller is still with Ana
    assert ana.faults == []
    assert list(ana.work) == [served]
    await ana.complete(served)
    first = await ana.accept()
    assert first == waiting[2]  # urgent
    for agent in (ana, ben):
        await agent.cut()


@pytest.mark.promise("DU-6")
async def test_stopping_finishes_what_was_taken_and_says_goodbye(daemon: Daemon) -> None:
    """Calls come in without a pause while it stops: each is either recorded or told to come back."""
    ana, visitor = Agent("ana", daemon.socket), Visitor(daemon.socket)
    await ana.sign_in()
    await visitor.hello("sales")
    taken: list[str] = []
    refused: list[int] = []

    async def caller(number: int) -> None:
        with contextlib.suppress(aiohttp.ClientConnectionError):  # the port is closed: the caller's gateway keeps it
            while True:
                event = call_event("incoming", f"c{number}-{len(taken)}")
                status, answer = await phone(daemon.session, daemon.http, event)
                if status == 200:
                    taken.append(answer["interaction"])
                else:
                    refused.append(status)
                    await asyncio.sleep(0.01)

    callers = [asyncio.create_task(caller(number)) for number in range(4)]
    await every(0.01, lambda: len(taken) >= 20)
    began = time.monotonic()
    code = await daemon.stop()
    assert code == 0
    assert time.monotonic() - began < 15
    await asyncio.gather(*callers)
    assert set(refused) <= {503}
    assert [g["reason"] for g in ana.goodbyes] == ["draining"]
    await visitor.until(lambda: not visitor.connected)
    await daemon.start()
    assert {i["id"] for i in await daemon.interactions()} >= set(taken)
    assert daemon.verify()["problems"] == []


@pytest.mark.promise("DU-1")
async def test_killed_in_its_very_first_start_it_starts_the_second_time(tmp_path: Path) -> None:
    """The journal is being created: between the file and its first record lie some milliseconds."""
    for number, wait_s in enumerate((0.0, 0.004, 0.02)):
        newborn = Daemon(tmp_path / f"data-{number}")
        newborn.launch()
        while newborn.running and not (newborn.data / "journal.db").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.0005)
        await asyncio.sleep(wait_s)
        newborn.kill()
        async with newborn:
            assert await newborn.interactions() == []
        assert newborn.troubles() == []


async def test_told_twice_it_leaves_at_once(daemon: Daemon) -> None:
    daemon.signal(signal.SIGSTOP)  # so that both arrive together
    daemon.signal(signal.SIGTERM)
    daemon.signal(signal.SIGINT)
    daemon.signal(signal.SIGCONT)
    assert await daemon.ended(10) in (0, 130)


async def test_a_port_that_is_taken_ends_the_start_with_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for name in ("HTTP__PORT", "SOCKETS__PORT", "EMAIL__SMTP__PORT"):
            daemon = Daemon(tmp_path / name, {f"SWITCHBOARD__{name}": port})
            daemon.launch()
            assert await daemon.ended(20) == 1
            lines = [line for line in daemon.log.read_text().splitlines() if not line.startswith("{")]
            assert len(lines) == 1, lines
            assert lines[0].startswith("switchboard: cannot start:")
            assert port in lines[0]
            assert daemon.troubles() == []


async def test_a_second_daemon_on_the_same_data_is_refused(daemon: Daemon) -> None:
    second = Daemon(daemon.data)
    second.log = daemon.data.parent / "second.log"
    second._said = daemon.data.parent / "second.out"
    second.launch()
    assert await second.ended(20) == 1
    assert "switchboard: cannot start:" in second.log_tail()
    assert second.troubles() == []
    await daemon.ready()


@pytest.mark.promise("OB-4")
def test_a_data_folder_that_cannot_be_made_is_refused_with_the_option_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    loaded = load(CONFIG, env={})
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError) as refused:
            App(replace(loaded, settings=replace(loaded.settings, data=str(folder))))
        assert str(refused.value) == (
            "data: expected a folder that can be made and written in, "
            f"found {folder}: {tmp_path}/file is no folder; name another one, here or with --data"
        )


@pytest.mark.promise("DU-4")
async def test_a_daemon_takes_a_hundred_thousand_waiting_mails_over(tmp_path: Path) -> None:
    """The journal is written by the engine itself. How long it takes is said here, and measured by `bench recovery`."""
    data = tmp_path / "data"
    data.mkdir()
    await asyncio.to_thread(_fill, data / "journal.db", 100_000)
    async with Daemon(data, QUICK) as running:
        cpu_s = _cpu_s(running.pid)
        print(f"ready after {cpu_s:.1f} s of processor time")
        _, queues = await running.get("/v1/queues")
        assert sum(queue["waiting"] for queue in queues["queues"]) == 100_000
        assert (await check_in(running.session, running.http, "v1", "support"))[0] == 200
        await running.ready()
    assert running.troubles() == []


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _fill(path: Path, items: int) -> None:
    engine = Engine(quiet=True)
    commands: list[c.AnyCommand] = [c.Configure(document=load(CONFIG, {}).document)]
    commands += [
        c.Arrive(
            key=f"mail:{number}",
            channel="email",
            threads=(f"mail:support@localhost:{number}@example.org",),
            identities=(f"mailto:eva{number}@example.org",),
            recipient="support@localhost",
            subject="Where is my parcel?",
        )
        for number in range(items)
    ]
    payloads: list[bytes] = []
    at_ms = int(time.time() * 1_000) - items
    for number, command in enumerate(commands):
        out = engine.handle(command, at_ms + number)
        codec.write(payloads, out.at_ms, out.key, out.events)
    journal = SqliteJournal(path)
    journal.open()
    for first in range(0, len(payloads), 10_000):
        journal.append(first + 1, payloads[first : first + 10_000])
    journal.close()


@pytest.mark.promise("RT-12")
async def test_what_the_api_shows_of_the_configuration_can_be_edited_and_given_back(daemon: Daemon) -> None:
    """The same document changes nothing; one without a queue that has work is refused, and a dry run says so, too."""
    _, shown = await daemon.get("/v1/config")
    status, answer = await daemon.post("/v1/config", shown["document"])
    assert (status, answer["changed"], answer["restart_needed"]) == (200, False, False)
    await check_in(daemon.session, daemon.http, "eva", "sales")
    without = shown["document"]
    del without["queues"]["sales"]
    without["rules"] = [rule for rule in without["rules"] if rule["queue"] != "sales"]
    for path in ("/v1/config?dry_run=1", "/v1/config"):
        status, answer = await daemon.post(path, without)
        assert (status, answer["code"]) == (409, "illegal-move")
    assert (await daemon.get("/v1/config"))[1]["version"] == shown["version"]


@pytest.mark.promise("AG-8")
async def test_whoever_leaves_the_configuration_is_told_and_cut_off(daemon: Daemon) -> None:
    chen = Agent("chen", daemon.socket)
    await chen.sign_in()
    _, shown = await daemon.get("/v1/config")
    del shown["document"]["agents"]["chen"]
    status, answer = await daemon.post("/v1/config", shown["document"])
    assert (status, answer["applied"]) == (200, True)
    await chen.until(lambda: not chen.connected)
    assert chen.goodbyes[0]["reason"] == "not-an-agent"


@pytest.mark.promise("DU-6")
async def test_a_start_that_waits_for_its_journal_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """As one that stands before a Redis which says nothing: its thread cannot be called back."""
    came = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as mute:
        port = mute.sockets[0].getsockname()[1]
        given = {"KIND": "redis", "URL": f"redis://127.0.0.1:{port}/0", "TIMEOUT": "40s", "LEASE": "60s"}
        env = QUICK | {f"SWITCHBOARD__JOURNAL__{name}": value for name, value in given.items()}
        env |= {"SWITCHBOARD__LOG_JSON": "true", "SWITCHBOARD__CHAT__TOKEN_SECRET": "for-this-test-alone-" * 2}
        daemon = Daemon(tmp_path / "data", env)
        daemon.launch()
        try:
            async with asyncio.timeout(30):
                await came.wait()
            assert await daemon.stop(within_s=15) == 0
            assert '"action":"stopped_early"' in daemon.log.read_text()
        finally:
            daemon.kill()
            await daemon.close()
