"""The floor of the log in Redis: a bare script that checks a fence and adds each event to a stream, nothing around it.

One batch after another through the library's asyncio client, as an edge would. Also the server itself, which both sides
share: on a unix socket in a folder of its own, append-only file synced every second.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis.asyncio as aio

from router.bench.floors.journal import EVENT
from router.bench.measure import Figures, Meter, quantile

PROGRAMS = ("redis-server", "valkey-server")
START_S = 10.0

FENCED = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('FENCED') end
local last
for i = 2, #ARGV do last = redis.call('XADD', KEYS[2], '*', 'e', ARGV[i]) end
return last
"""


def program() -> str:
    """The server to measure with; "" where none is installed."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), "")


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The address of a running one; it is gone afterwards."""
    at = folder / "r.sock"
    options = {"port": "0", "unixsocket": str(at), "dir": str(folder), "save": "", "appendonly": "yes"}
    command = [program(), *(word for name, value in options.items() for word in (f"--{name}", value))]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + START_S
        while not at.exists():
            assert process.poll() is None, "the server ended at once"
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.01)
        yield str(at)
    finally:
        process.terminate()
        process.wait()


def bare(at: str, size: int, seconds: float) -> Figures:
    return asyncio.run(_bare(at, size, seconds))


async def _bare(at: str, size: int, seconds: float) -> Figures:
    client: Any = aio.Redis(unix_socket_path=at)
    await client.set("epoch", 7)
    script = await client.script_load(FENCED)
    batch = [EVENT] * size
    times: list[float] = []
    with Meter(os.getpid()) as meter:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            await client.evalsha(script, 2, "epoch", "floor", 7, *batch)
            times.append(time.perf_counter() - start)
    await client.delete("floor")
    await client.aclose()
    return figures(meter, times, size)


def figures(meter: Meter, times: list[float], size: int) -> Figures:
    events = len(times) * size
    found = {"cpu_us": meter.cpu[0] / events * 1e6, "events_s": events / meter.wall}
    return found | {"p50_us": quantile(times, 0.5) * 1e6, "foreign": meter.foreign}
