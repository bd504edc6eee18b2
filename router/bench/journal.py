"""What the journal costs: CPU of an event when many wait together, and the time of a single durable commit."""

from __future__ import annotations

import asyncio
import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from router.bench.floors.journal import EVENT, Raw, Rows
from router.bench.measure import Figures, Meter, Step, interleave, medians, quantile
from router.bench.report import Row, compared
from router.journal.sqlite import SqliteJournal

PRODUCERS = 256


class Store(Protocol):
    def append(self, events: Sequence[bytes]) -> None: ...
    def close(self) -> None: ...


class Product:
    """The product's journal, as its writer uses it."""

    def __init__(self, folder: Path) -> None:
        self._journal = SqliteJournal(folder / "journal.db")
        self._journal.open()

    def append(self, events: Sequence[bytes]) -> None:
        self._journal.append(self._journal.last_seq + 1, events)

    def close(self) -> None:
        self._journal.close()


def run(rounds: int, quick: bool, step: Step) -> tuple[list[Row], dict[str, list[Figures]]]:
    seconds = 0.2 if quick else 1.0
    cases = {
        "many: product": lambda: _within(Product, seconds, _together),
        "many: sqlite rows": lambda: _within(Rows, seconds, _together),
        "one: product": lambda: _within(Product, seconds, _alone),
        "one: append 4 KiB and fdatasync": lambda: _within(Raw, seconds, _alone),
        "one: sqlite rows": lambda: _within(Rows, seconds, _alone),
    }
    found = interleave(cases, rounds, step)
    many, bare, one, disk, rows = medians(found).values()
    what = f"journal, CPU of an event with {PRODUCERS} in flight"
    note = f"{many['events_s']:,.0f} events/s, {many['batch']:.0f} in a batch"
    seven = compared("7", what, many["cpu_us"], bare["cpu_us"], 2, 1.3, note=note)
    note = f"sqlite rows {rows['p50_us']:.0f} us"
    return [seven, compared("8", "single durable commit, p50", one["p50_us"], disk["p50_us"], 3, 2, note=note)], found


def _within(make: Callable[[Path], Store], seconds: float, measure: Callable[[Store, float], Figures]) -> Figures:
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as folder:
        store = make(Path(folder))
        try:
            return measure(store, seconds)
        finally:
            store.close()


def _alone(store: Store, seconds: float) -> Figures:
    """One event after another, each durable before the next."""
    times: list[float] = []
    with Meter(os.getpid()) as meter:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            store.append([EVENT])
            times.append(time.perf_counter() - start)
    found = {"p50_us": quantile(times, 0.5) * 1e6, "p99_us": quantile(times, 0.99) * 1e6}
    return found | {"cpu_us": meter.cpu[0] / len(times) * 1e6, "foreign": meter.foreign}


def _together(store: Store, seconds: float) -> Figures:
    return asyncio.run(_behind_a_loop(store, seconds))


async def _behind_a_loop(store: Store, seconds: float) -> Figures:
    """Many tasks that each wait for their event; one thread commits all that has come meanwhile."""
    loop = asyncio.get_running_loop()
    waiting: queue.SimpleQueue[asyncio.Future[None] | None] = queue.SimpleQueue()
    events = batches = 0
    going = True

    def settle(batch: list[asyncio.Future[None]]) -> None:
        for done in batch:
            done.set_result(None)

    def write() -> None:
        nonlocal events, batches
        while (first := waiting.get()) is not None:
            batch = [first]
            while not waiting.empty() and (more := waiting.get()) is not None:
                batch.append(more)
            store.append([EVENT] * len(batch))
            events, batches = events + len(batch), batches + 1
            loop.call_soon_threadsafe(settle, batch)

    async def produce() -> None:
        while going:
            done: asyncio.Future[None] = loop.create_future()
            waiting.put(done)
            await done

    thread = threading.Thread(target=write)
    thread.start()
    tasks = [asyncio.create_task(produce()) for _ in range(PRODUCERS)]
    with Meter(os.getpid()) as meter:
        await asyncio.sleep(seconds)
        seen = events, batches
    going = False
    await asyncio.gather(*tasks)
    waiting.put(None)
    thread.join()
    found = {"cpu_us": meter.cpu[0] / max(1, seen[0]) * 1e6, "events_s": seen[0] / meter.wall}
    return found | {"batch": seen[0] / max(1, seen[1]), "foreign": meter.foreign}
