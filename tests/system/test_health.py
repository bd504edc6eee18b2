"""Readiness tells the truth: whatever part of a running process dies, `/readyz` turns bad and names it (OB-1).

The application runs inside the test, so that its parts can be killed one by one; it is asked through its own port.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace

from channels.chat.adapter import ChatAdapter
from channels.email.adapter import EmailAdapter
from channels.scan.adapter import ScanAdapter
from router.app import App
from router.journal.memory import MemoryJournal
from router.settings import load
from tests.system.clients import letter, send_mail
from tests.system.conftest import QUICK
from tests.system.daemon import ANY_PORT, CONFIG

BAD_WITHIN_S = 5.0


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    loaded = load(CONFIG, ANY_PORT | QUICK)
    loaded = replace(loaded, settings=replace(loaded.settings, data=str(tmp_path)))
    built = App(loaded, MemoryJournal())
    await built.start()
    yield built
    await built.stop()


async def parts(app: App) -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(f"{app.http.url}/readyz") as answer:
        return answer.status, (await answer.json())["parts"]


async def bad(app: App) -> set[str]:
    """The parts that are not well, as soon as there are any."""
    end = time.monotonic() + BAD_WITHIN_S
    while True:
        status, found = await parts(app)
        sick = {name for name, part in found.items() if not part["ok"]}
        assert (status == 503) == bool(sick)
        if sick or time.monotonic() > end:
            return sick
        await asyncio.sleep(0.05)


@pytest.mark.promise("OB-1")
async def test_a_clock_that_the_log_is_ahead_of_is_told_and_takes_nobody_down(app: App) -> None:
    assert (await parts(app))[1]["clock"]["detail"] == ""
    assert app.own is not None
    app.own.engine.state.now_ms += 3_600_000
    status, found = await parts(app)
    assert (status, found["clock"]["ok"]) == (200, True)
    assert "s ahead of this machine's clock, and no deadline comes until it has caught up" in found["clock"]["detail"]


def adapter(app: App, kind: type[Any]) -> Any:
    return next(one for one in app.adapters if isinstance(one, kind))


def cancel(task: asyncio.Task[Any] | None) -> None:
    assert task is not None
    task.cancel()


async def _writer_thread(app: App) -> None:
    assert app.own is not None
    app.own._batches.put(None)


async def _journal(app: App) -> None:
    assert isinstance(app.journal, MemoryJournal)
    app.journal.fail_after(0)
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{app.http.url}/v1/kiosk/checkins", json={"topic": "support"}) as answer:
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) > 0


async def _figures(app: App) -> None:
    assert app.figures is not None
    cancel(app.figures._task)


async def _snapshots(app: App) -> None:
    cancel(app.snapshots._task)


async def _scan(app: App) -> None:
    cancel(adapter(app, ScanAdapter)._task)


async def _scan_folder(app: App) -> None:
    folder = app.data / "drop" / "fax"
    folder.rmdir()


async def _chat(app: App) -> None:
    cancel(adapter(app, ChatAdapter)._sweeping)


async def _smtp(app: App) -> None:
    adapter(app, EmailAdapter)._servers["smtp"].close()


async def _lmtp(app: App) -> None:
    adapter(app, EmailAdapter)._servers["lmtp"].close()


async def _sockets(app: App) -> None:
    await app.sockets.stop_intake()


async def _blobs(app: App) -> None:
    raw = letter("m1")
    await asyncio.to_thread(send_mail, ("127.0.0.1", adapter(app, EmailAdapter).port("smtp")), raw)
    app.blobs._queue.put(None)


async def _http_sweep(app: App) -> None:
    assert app.http._timer is not None
    app.http._timer.cancel()


Death = Callable[[App], Any]
DEATHS: list[tuple[Death, set[str]]] = [
    (_writer_thread, {"writer"}),
    (_journal, {"writer"}),
    (_figures, {"figures"}),
    (_snapshots, {"snapshots"}),
    (_scan, {"scan"}),
    (_scan_folder, {"scan"}),
    (_chat, {"chat"}),
    (_smtp, {"email"}),
    (_lmtp, {"email"}),
    (_sockets, {"sockets", "agents"}),
    (_blobs, {"blobs"}),
]


@pytest.mark.promise("OB-1")
@pytest.mark.parametrize(("death", "named"), DEATHS, ids=lambda value: getattr(value, "__name__", "").strip("_"))
async def test_readiness_names_the_part_that_died(app: App, death: Death, named: set[str]) -> None:
    status, found = await parts(app)
    assert status == 200, found
    await death(app)
    assert await bad(app) == named
    if isinstance(app.journal, MemoryJournal):
        app.journal.heal()


@pytest.mark.promise("OB-1")
async def test_readiness_sees_that_requests_are_no_longer_timed(app: App) -> None:
    """Nothing else would notice, so its own part must; 5 s are allowed for it."""
    await _http_sweep(app)
    assert "http" in await bad(app)


@pytest.mark.promise("OB-1")
async def test_every_lasting_task_of_the_process_is_one_that_readiness_watches(app: App) -> None:
    """A task that is added later must be added to the list above, or said here to do no harm."""
    names = {_name(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    watched = {"Figures._watch", "Snapshots._watch", "ScanAdapter._run", "Lane._run", "ChatAdapter._sweep"}
    watched |= {"Doorkeeper._watch"}
    # The first only wakes the passes, which come anyway; the phone's own tests kill the second.
    harmless = {"ScanAdapter._listen", "Positions._run"}
    assert watched <= names
    assert {name for name in names if "." in name and not name.startswith("Event.")} - watched - harmless == set()


def _name(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", "")
