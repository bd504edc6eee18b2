"""A full disk from outside: nothing is acknowledged, nothing is lost or doubled, and nobody has to repair anything.

Two kinds of full: RLIMIT_FSIZE on the running daemon, so that from one moment on no file can grow, the log included
(EFBIG); and a small file system of its own that is filled up (ENOSPC), where the test may mount one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import shutil
import smtplib
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.system.clients import (
    Agent,
    Visitor,
    call_event,
    check_in,
    drop,
    every,
    letter,
    phone,
    scan,
    send_mail,
)
from tests.system.daemon import Daemon

pytestmark = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit(2)")


Full = Callable[[Daemon], AbstractContextManager[None]]


@contextmanager
def no_growth(daemon: Daemon) -> Iterator[None]:
    before = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        if daemon.running:
            resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def no_space(daemon: Daemon) -> Iterator[None]:
    filler = daemon.data / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4_096))
    try:
        yield
    finally:
        filler.unlink()


@pytest.fixture(params=["no_growth", "no_space"])
def full_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Full]:
    """Before the daemon starts, which is the next fixture."""
    if request.param == "no_growth":
        yield no_growth
        return
    data = tmp_path / "data"
    data.mkdir()
    if os.geteuid() != 0 or not shutil.which("mount") or _mount(data):
        pytest.skip("may not mount a file system here")
    try:
        yield no_space
    finally:
        subprocess.run(["umount", "--lazy", str(data)], check=True)


def _mount(at: Path) -> int:
    return subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(at)], check=False).returncode


async def refused_mail(daemon: Daemon, raw: bytes, lmtp: bool) -> int:
    try:
        await asyncio.to_thread(send_mail, daemon.lmtp if lmtp else daemon.smtp, raw, lmtp=lmtp)
    except smtplib.SMTPResponseException as refused:
        return refused.smtp_code
    except smtplib.SMTPRecipientsRefused as refused:
        return next(iter(refused.recipients.values()))[0]
    return 250


@pytest.mark.promise("IN-2")
@pytest.mark.promise("DU-2")
@pytest.mark.promise("OB-1")
async def test_a_full_disk_stops_acknowledging_and_offering_until_there_is_room(
    full_disk: Full, daemon: Daemon
) -> None:
    ana = Agent("ana", daemon.socket)
    await ana.sign_in()
    await ana.ready()
    visitor = Visitor(daemon.socket)
    await visitor.hello()
    await ana.accept(visitor.interaction)
    fax = daemon.data / "drop" / "fax" / "late.png"
    written = drop(fax.parent, ".late.png.part", scan(random.Random(1)))  # a name that is not looked at yet
    with full_disk(daemon):
        status, problem = await phone(daemon.session, daemon.http, call_event("incoming", "c1"))
        assert (status, problem["code"]) == (503, "unavailable")
        await daemon.until(lambda status, body: status == 503 and not body["parts"]["writer"]["ok"], 5)
        assert (await check_in(daemon.session, daemon.http, "v1", "support"))[0] == 503
        assert await refused_mail(daemon, letter("m1"), lmtp=False) == 451
        assert await refused_mail(daemon, letter("m2"), lmtp=True) == 451
        written.rename(fax)
        with pytest.raises((ConnectionError, TimeoutError)):
            await visitor.say("hello", "is anybody there?")
        assert "hello" not in visitor.delivered
        assert ana.offers == {}
        await asyncio.sleep(1.5)  # the writer tries to recover once a second, and the folder is polled
        assert fax.exists()
        assert (await daemon.get("/livez"))[0] == 200
    await daemon.ready(10)
    for _ in range(2):
        status, answer = await phone(daemon.session, daemon.http, call_event("incoming", "c1"))
        assert status == 200
    assert (await check_in(daemon.session, daemon.http, "v1", "support"))[0] == 200
    assert await refused_mail(daemon, letter("m1"), lmtp=False) == 250
    assert await refused_mail(daemon, letter("m2"), lmtp=True) == 250
    await visitor.hello()
    await visitor.say("hello", "is anybody there?")
    await every(0.05, lambda: not fax.exists(), 15)
    found = await daemon.interactions()
    assert sorted(i["channel"] for i in found) == ["chat", "email", "email", "fax", "phone", "walkin"]
    await ana.sign_in()
    assert (await daemon.interaction(answer["interaction"]))["state"] in ("queued", "offered")
    assert ana.faults == visitor.faults == []
    await ana.cut()
    await visitor.cut()
    assert await daemon.stop() == 0
    verified = daemon.verify()
    assert verified["clean"]
    keys = [line["key"] for line in daemon.export() if line["key"]]
    assert len(keys) == len(set(keys))
    stopped = [line for line in daemon.troubles() if "writer_failed" not in line]
    assert [line for line in stopped if "writer_not_recovered" not in line] == []
    daemon.log.unlink()  # these troubles were asked for


@pytest.mark.promise("DU-6")
async def test_stopping_with_a_full_disk_ends_in_time_and_loses_nothing(full_disk: Full, daemon: Daemon) -> None:
    status, answer = await phone(daemon.session, daemon.http, call_event("incoming", "c1"))
    assert status == 200
    with full_disk(daemon):
        await phone(daemon.session, daemon.http, call_event("incoming", "c2"))
        assert await daemon.stop() == 0
    daemon.log.unlink()
    await daemon.start()
    assert [i["id"] for i in await daemon.interactions()] == [answer["interaction"]]
