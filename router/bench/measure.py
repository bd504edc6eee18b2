"""How the benchmarks measure, so that their figures mean something on a machine that others use too.

- The yardstick is *CPU of the server for one operation*, from the process's own CPU clock. Wall-clock rates only say
  what was left over by others.
- Product and floor run in turn, in every round, so that foreign load hits both. A figure is the median over the rounds.
  Only ratios of one run are worth keeping.
- The server is pinned to one core and the load generator to another, where there are two.
- `foreign` says how many cores were busy with somebody else's work meanwhile. Latencies are to be believed below 0.3.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

Figures = dict[str, float]
Case = Callable[[], Figures]
Step = Callable[[str], None]  # is told what is being done

SERVER_CORE, CLIENT_CORE = 0, 1
WAIT_S = 60.0  # for a load generator; it ends by itself long before


def pin(core: int) -> None:
    """Stay on one of the cores that we may use, where the system can say so."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {allowed[core % len(allowed)]})


def cpu_s(pid: int) -> float:
    """CPU seconds that all threads of a process have used (its CPU clock: Linux, clock_getcpuclockid(3))."""
    return time.clock_gettime(((~pid) << 3) | 2)


def rss_kib(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def _busy_s() -> float:
    """CPU seconds that all cores have spent on anything but idling."""
    with open("/proc/stat") as file:
        ticks = [int(x) for x in file.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


class Meter:
    """Wall time, CPU of some processes, and the load of everybody else."""

    def __init__(self, *pids: int) -> None:
        self.pids = pids
        self.wall = self.foreign = 0.0
        self.cpu: list[float] = []

    def __enter__(self) -> Meter:
        self._start = self._now()
        return self

    def __exit__(self, *exc: object) -> None:
        end = self._now()
        self.wall = end[0] - self._start[0]
        self.cpu = [b - a for a, b in zip(self._start[2], end[2], strict=True)]
        self.foreign = max(0.0, (end[1] - self._start[1] - sum(self.cpu)) / self.wall)

    def _now(self) -> tuple[float, float, list[float]]:
        return time.perf_counter(), _busy_s(), [cpu_s(pid) for pid in self.pids]


def quantile(values: Iterable[float], q: float) -> float:
    found = sorted(values)
    return found[min(len(found) - 1, int(q * len(found)))] if found else float("nan")


def interleave(cases: Mapping[str, Case], rounds: int, step: Step) -> dict[str, list[Figures]]:
    """Run every case once in each round."""
    found: dict[str, list[Figures]] = {name: [] for name in cases}
    with _left_until_the_end():
        for number in range(rounds):
            for name, case in cases.items():
                step(f"round {number + 1} of {rounds}: {name}")
                found[name].append(case())
    return found


_left: contextlib.ExitStack | None = None


@contextlib.contextmanager
def _left_until_the_end() -> Iterator[None]:
    global _left
    with contextlib.ExitStack() as stack:
        _left = stack
        try:
            yield
        finally:
            _left = None


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A folder for one case. What it holds is deleted after the last case of all.

    A file system that has just lost thousands of files takes longer to make others (ext4 gives none of their inodes
    out for some seconds, and looks at each), so cleaning up behind one case would be counted in the next.
    """
    folder = tempfile.TemporaryDirectory(prefix="switchboard-bench-")
    if _left is not None:
        yield Path(_left.enter_context(folder))
        return
    with folder as name:
        yield Path(name)


def medians(rounds: Mapping[str, list[Figures]]) -> dict[str, Figures]:
    return {name: {key: statistics.median(r[key] for r in rows) for key in rows[0]} for name, rows in rounds.items()}


# --- processes --------------------------------------------------------------------------------------------------------


class Server:
    """A server in its own process, pinned to the server's core. It prints its port; it ends with the `with`."""

    def __init__(self, *args: str) -> None:
        self._args = args
        self.port = self.pid = 0

    def __enter__(self) -> Server:
        self._process = start(self._args, SERVER_CORE)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.strip().isdigit():
            end(self._process)
            raise RuntimeError(f"{' '.join(self._args)} did not start")
        self.port, self.pid = int(line), self._process.pid
        return self

    def __exit__(self, *exc: object) -> None:
        end(self._process)


def start(args: Iterable[str], core: int | None, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    """`python args...` on one core, or on any; its stdout is a pipe. Servers may not complain that clients vanish."""
    placed = (lambda: pin(core)) if core is not None else None
    return subprocess.Popen(
        [sys.executable, *args], stdout=subprocess.PIPE, stderr=stderr, text=True, preexec_fn=placed
    )


def end(process: subprocess.Popen[str]) -> None:
    """At once: what it has written goes with it."""
    process.kill()
    process.communicate()


def generate(*args: object, module: str = "load", core: int | None = CLIENT_CORE, within_s: float = WAIT_S) -> Figures:
    """Run a load generator to its end, on the other core; its last line is JSON."""
    words = [str(arg) for arg in args]
    process = start(("-m", f"router.bench.{module}", *words), core, subprocess.PIPE)
    try:
        out, problems = process.communicate(timeout=within_s)
    except subprocess.TimeoutExpired:
        end(process)
        raise
    if process.returncode:
        raise RuntimeError(f"the load generator failed ({' '.join(words)}): {problems[-1_000:]}")
    found: Figures = json.loads(out.splitlines()[-1])
    return found


def run_loop(main: Any, loop: str) -> None:
    """As the daemon does it: uvloop, or the stock loop with its read size tuned; the collector set for a long life."""
    import asyncio

    from router.cli.serving import tune_stock_loop

    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    if loop == "uvloop":
        import uvloop

        uvloop.run(main)
        return
    tune_stock_loop()
    asyncio.run(main)
