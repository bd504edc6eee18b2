"""What the log in Redis costs its client: CPU of an event in batches, beside a bare script in the same server."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from router.bench.floors.journal import EVENT
from router.bench.floors.redis import bare, figures, program, server
from router.bench.measure import Figures, Meter, Step, interleave, medians
from router.bench.report import Row, compared
from router.journal.redis import RedisJournal
from router.journal.settings import JournalSettings

SIZES = (1, 10, 100)


def run(rounds: int, quick: bool, step: Step) -> tuple[list[Row], dict[str, list[Figures]]]:
    if not program():
        print("bench redis: not measured, neither redis-server nor valkey-server is installed", file=sys.stderr)
        return [], {}
    seconds = 0.2 if quick else 1.0
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as folder, server(Path(folder)) as at:
        cases = {}
        for size in SIZES:
            cases[f"product, {size}"] = lambda size=size: product(at, size, seconds)
            cases[f"bare script, {size}"] = lambda size=size: bare(at, size, seconds)
        found = interleave(cases, rounds, step)
    middle = medians(found)
    rows = []
    for size in SIZES:
        ours, floor = middle[f"product, {size}"], middle[f"bare script, {size}"]
        note = f"{ours['events_s']:,.0f} events/s one batch at a time, p50 {ours['p50_us']:.0f} us"
        targets = (2.0, 1.3) if size == 100 else (0.0, 0.0)
        what = f"fenced append, client CPU of an event, batch {size}"
        rows.append(compared("17", what, ours["cpu_us"], floor["cpu_us"], *targets, note=note))
    return rows, found


def product(at: str, size: int, seconds: float) -> Figures:
    journal = RedisJournal(JournalSettings(url=f"unix://{at}", prefix="product"))
    journal.open()
    batch = [EVENT] * size
    times: list[float] = []
    with Meter(os.getpid()) as meter:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            journal.append(journal.last_seq + 1, batch)
            times.append(time.perf_counter() - start)
    journal.close()
    return figures(meter, times, size)
