"""What a restart costs: CPU of an event that is read, checked, decoded and applied, and the seconds of a large restart.

One journal holds whole lives (arrived, offered, accepted, ended) of a busy office, the other a backlog. The floor reads
the rows of the same file in order and decodes them, without knowing what they mean.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from pathlib import Path

import msgspec

from router.bench.measure import Figures, Step, interleave, medians
from router.bench.report import Row, compared
from router.bench.worlds import Product, World
from router.engine.commands import AnyCommand
from router.engine.engine import Outcome
from router.engine.events import Record
from router.journal import codec
from router.journal.sqlite import SqliteJournal
from router.service.recovery import make_snapshot, restore

AGENTS, CLASSES = 200, 20
EVENTS, WAITING = 100_000, 100_000
BATCH = 1_000
BODY = "Hello, my parcel has not arrived yet. Can you please look where it is and call me back today?"
CONTENT = {
    "sender": "+15550100042",
    "identities": ("tel:+15550100042",),
    "name": "Anna Example",
    "subject": "order 4711",
    "language": "en",
    "attributes": {"body": BODY},
}


def run(rounds: int, quick: bool, step: Step) -> tuple[list[Row], dict[str, list[Figures]]]:
    events, waiting = (EVENTS // 10, WAITING // 20) if quick else (EVENTS, WAITING)
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as name:
        busy, backlog = Path(name) / "busy" / "journal.db", Path(name) / "backlog" / "journal.db"
        step("writing the journals")
        _write(busy, events, 0)
        _write(backlog, 0, waiting)
        cases = {
            "restore": lambda: _restore(busy),
            "read and decode": lambda: _read(busy),
            "backlog, from the log": lambda: _restore(backlog),
        }
        found = interleave(cases, rounds, step)
        step("making a snapshot")
        journal = SqliteJournal(backlog)
        journal.open()
        make_snapshot(journal)
        journal.close()
        found |= interleave({"backlog, from a snapshot": lambda: _restore(backlog)}, rounds, step)
    product, floor, log, snapshot = medians(found).values()
    what = f"restart with {waiting:,} waiting"
    rows = [
        compared("19", "recovery, CPU of an event", product["cpu_us"], floor["cpu_us"], 8, 4),
        Row(number="DU-4", what=f"{what}, from the log", unit="s", product=log["seconds"]),
        Row(number="DU-4", what=f"{what}, from a snapshot", unit="s", product=snapshot["seconds"]),
    ]
    return rows, found


def _write(path: Path, events: int, waiting: int) -> None:
    """Drive an engine, and write what it says happened."""
    world = World("product", AGENTS, CLASSES)
    subject = world.subject
    assert isinstance(subject, Product)
    subject.content = CONTENT
    records = subject.beginning
    handle = subject.engine.handle

    def recorded(command: AnyCommand, now_ms: int) -> Outcome:
        out = handle(command, now_ms)
        for i, event in enumerate(out.events):
            records.append(Record(out.at_ms, "" if i else out.key, event))  # type: ignore[arg-type]
        return out

    subject.listen(recorded)
    while len(records) < events:
        world.arrive(world.random.randrange(CLASSES))
        if len(world.active) > AGENTS // 2:
            world.release()
    world.fill(0, waiting)
    journal = SqliteJournal(path)
    journal.open()
    payloads = [codec.encode(r.at_ms, r.key, r.event) for r in records]
    for i in range(0, len(payloads), BATCH):
        journal.append(i + 1, payloads[i : i + BATCH])
    journal.close()


def _restore(path: Path) -> Figures:
    journal = SqliteJournal(path)
    journal.open()
    start, cpu = time.perf_counter(), time.process_time()
    engine = restore(journal)
    found = {"cpu_us": (time.process_time() - cpu) / engine.state.seq * 1e6, "seconds": time.perf_counter() - start}
    journal.close()
    return found | {"events": float(engine.state.seq)}


def _read(path: Path) -> Figures:
    decode = msgspec.msgpack.Decoder().decode
    db = sqlite3.connect(path)
    start, cpu, events = time.perf_counter(), time.process_time(), 0
    for (payload,) in db.execute("SELECT payload FROM records ORDER BY seq"):
        decode(payload)
        events += 1
    found = {"cpu_us": (time.process_time() - cpu) / events * 1e6, "seconds": time.perf_counter() - start}
    db.close()
    return found | {"events": float(events)}
