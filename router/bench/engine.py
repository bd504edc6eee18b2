"""What a decision of the engine costs, whatever stands around it (RT-4), beside the bare matcher and the naive scan.

Offices are built once, each in its own process, and kept at their size: every arrival is followed by a release. In each
round every office is measured once. Latencies are CPU of the single call, so that they show what the engine does and
not who else wanted the core.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from router.bench.measure import SERVER_CORE, Case, Figures, Meter, Step, interleave, medians, pin, quantile, rss_kib
from router.bench.report import Row, compared
from router.bench.worlds import Product, World
from router.engine import intake

CONTEXT = get_context("spawn")  # a fork would share this process's memory

Office = tuple[int, int, int]  # agents, waiting, classes

# Half of the agents busy and nothing waiting; or all of them busy, and so many waiting.
OFFICES: tuple[Office, ...] = (
    *((agents, 0, 100) for agents in (10, 100, 1_000, 10_000, 100_000)),
    *((10_000, waiting, 100) for waiting in (1_000, 100_000, 1_000_000)),
    *((10_000, waiting, classes) for waiting in (0, 100_000) for classes in (10, 1_000)),
)
QUICK: tuple[Office, ...] = ((10, 0, 10), (1_000, 0, 10), (100, 100, 10), (100, 5_000, 10))
DECISIONS, DECISIONS_QUICK = 2_000, 500
# Times as many decisions before the first measured one: an engine foretells a wait in every line first, which it does
# by the clock and not by the number of contacts, and here an hour of contacts comes in seconds.
SETTLING = 4
BLOCKED = 10_000
Scan = tuple[int, float, float]  # agents, must, aim
SCANS: tuple[Scan, ...] = ((10_000, 15, 40), (100_000, 250, 800))
SCANS_QUICK: tuple[Scan, ...] = ((1_000, 1.5, 4),)
MEMORY, MEMORY_QUICK = 100_000, 10_000  # waiting, when their memory is weighed


def run(rounds: int, quick: bool, step: Step) -> tuple[list[Row], dict[str, list[Figures]]]:
    offices, scans = (QUICK, SCANS_QUICK) if quick else (OFFICES, SCANS)
    decisions = DECISIONS_QUICK if quick else DECISIONS
    memory = _memory(MEMORY_QUICK if quick else MEMORY, step)
    with ExitStack() as stack:
        cases: dict[str, Case] = {}
        for name, plan in _plans(offices, scans, decisions).items():
            step(f"building {name}")
            cases[name] = stack.enter_context(living(plan))
        found = interleave(cases, rounds, step) | memory
    return list(_rows(medians(found), offices, scans)), found


class Plan(Struct, frozen=True):
    """An office to build, and how to measure it."""

    kind: str
    office: Office
    decisions: int
    busy: int = 0
    blocked: int = 0


def _plans(offices: tuple[Office, ...], scans: tuple[Scan, ...], decisions: int) -> dict[str, Plan]:
    plans: dict[str, Plan] = {}
    for office in offices:
        for kind in ("product", "grouped", "straight"):
            busy = 0 if office[1] else max(1, office[0] // 2)
            plans[name_of(kind, office)] = Plan(kind, office, decisions, busy)
    usual = plans[name_of("product", offices[1])]
    plans["product behind unmatchable"] = replace(usual, blocked=BLOCKED)
    for agents, _, _ in scans:
        # Little work in progress: more would take hours to build, and a scan looks at everybody anyhow.
        office = (agents, 0, offices[0][2])
        few = max(8, min(decisions, 400_000 // agents))
        plans[name_of("naive", office)] = Plan("naive", office, few, min(100, agents // 2))
    return plans


@contextmanager
def living(plan: Plan) -> Iterator[Case]:
    """The office in a process of its own, as an engine has it, so that none warms or crowds the memory of another."""
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=_live, args=(theirs, msgspec.structs.astuple(plan)), daemon=True)
    process.start()
    theirs.close()
    ours.recv()  # it is built

    def measure() -> Figures:
        ours.send(True)
        found: Figures = ours.recv()
        return found

    try:
        yield measure
    finally:
        ours.send(False)
        process.join()


def _live(pipe: Connection, plan: tuple[Any, ...]) -> None:
    pin(SERVER_CORE)
    asked = Plan(*plan)
    agents, waiting, classes = asked.office
    world = World(asked.kind, agents, classes)
    world.fill(asked.busy, waiting)
    if asked.blocked:
        world.block(asked.blocked)
    if isinstance(world.subject, Product):
        world.throughput(SETTLING * asked.decisions)
    gc.collect()
    gc.freeze()  # as the daemon does after its start
    gc.set_threshold(50_000, 20, 100)
    pipe.send(True)
    while pipe.recv():
        pipe.send(_measure(world, asked.decisions))


def _measure(world: World, decisions: int) -> Figures:
    subject = world.subject
    world.throughput(decisions // 2)  # others had the core and its cache meanwhile
    if isinstance(subject, Product):
        subject.accept_ns = subject.accepted = 0
    with Meter(os.getpid()) as meter:
        cost = world.throughput(decisions)
        single = world.latencies(decisions)
    found = {"decision_us": cost, "p50_us": quantile(single, 0.5), "p99_us": quantile(single, 0.99)}
    if isinstance(subject, Product):
        found["accept_us"] = subject.accept_ns / max(1, subject.accepted) / 1_000
    return found | {"foreign": meter.foreign}


def name_of(kind: str, office: Office) -> str:
    return f"{kind}: {described(office)}"


def described(office: Office) -> str:
    agents, waiting, classes = office
    return f"{agents:,} agents, {waiting:,} waiting, {classes:,} classes"


def _rows(found: dict[str, Figures], offices: tuple[Office, ...], scans: tuple[Scan, ...]) -> Iterator[Row]:
    def us(kind: str, office: Office) -> float:
        return found[name_of(kind, office)]["decision_us"]

    classes = offices[0][2]
    for office in offices:
        accept = found[name_of("product", office)]["accept_us"]
        note = f"{1e6 / us('product', office):,.0f} decisions/s; to accept {accept:.1f} us"
        yield compared(
            "9", f"decision: {described(office)}", us("product", office), us("grouped", office), 4, 2, note=note
        )
    for office in offices:
        facts = us("straight", office)
        yield compared("9", f"with the same facts: {described(office)}", us("product", office), facts)
    agents = [office for office in offices if not office[1] and office[2] == classes]
    yield _growth("10", "agents", agents, us, 4, 2.5)
    yield _growth("11", "waiting", [office for office in offices if office[1] and office[2] == classes], us, 3, 2)
    for count, must, aim in scans:
        yield _against_scan(us, (count, 0, classes), must, aim)
    single = found[name_of("product", agents[-2])]
    what = f"a single decision, p99 to p50: {described(agents[-2])}"
    yield compared("13", what, single["p99_us"], single["p50_us"], 10, 4)
    blocked = found["product behind unmatchable"]["decision_us"]
    yield compared("RT-4", f"behind {BLOCKED:,} that nobody can take, against none", blocked, us("product", offices[1]))
    whole, content, bare = (found[f"memory, {kind}"]["bytes"] for kind in ("product", "content", "grouped"))
    note = f"besides {content:.0f} bytes of content"
    yield compared("20", "memory of one waiting interaction", whole - content, bare, 6, 3, "bytes", note=note)


Cost = Callable[[str, Office], float]


def _against_scan(us: Cost, office: Office, must: float, aim: float) -> Row:
    return Row(
        number="12",
        what=f"naive scan against the product, {office[0]:,} agents",
        unit="us",
        product=us("product", office),
        floor=us("naive", office),
        ratio=us("naive", office) / us("product", office),
        must=must,
        aim=aim,
        at_least=True,
    )


def _growth(number: str, what: str, offices: list[Office], us: Cost, must: float, aim: float) -> Row:
    """Cost in the largest office to that in the smallest; the floor's growth is shown beside it."""
    first, last = offices[0], offices[-1]
    at = 0 if what == "agents" else 1
    name = f"growth of a decision, {first[at]:,} to {last[at]:,} {what}"
    note = f"bare matcher {us('grouped', last) / us('grouped', first):.1f}x"
    return compared(number, name, us("product", last), us("product", first), must, aim, note=note)


# --- memory -----------------------------------------------------------------------------------------------------------


def _memory(waiting: int, step: Step) -> dict[str, list[Figures]]:
    """Weighed in processes of their own, because freed memory does not come back."""
    found: dict[str, list[Figures]] = {}
    for kind in ("product", "content", "grouped"):
        step(f"memory of {waiting:,} waiting: {kind}")
        args = [sys.executable, "-m", "router.bench.engine", kind, str(waiting)]
        out = subprocess.run(args, check=True, capture_output=True, text=True).stdout
        found[f"memory, {kind}"] = [{"bytes": float(out), "waiting": float(waiting)}]
    return found


def weigh(kind: str, waiting: int) -> float:
    """Bytes of one waiting interaction. `content`: of its key and of the event that tells of it, which must be kept."""
    world = World("product" if kind == "content" else kind, 10, 10)
    world.fill(0, 1_000)
    gc.collect()
    before = rss_kib(os.getpid())
    if kind == "content":
        kept = list(_contents(world, waiting))
        assert len(kept) == waiting
    else:
        world.fill(0, 1_000 + waiting)
    return (rss_kib(os.getpid()) - before) * 1024 / waiting


def _contents(world: World, count: int) -> Iterator[object]:
    subject = world.subject
    assert isinstance(subject, Product)
    for _ in range(count):
        ask, at_ms = world.arrival(world.random.randrange(world.classes))
        yield ask.key, intake.arrive(subject.engine.state, subject.engine.plan, ask, at_ms)[0]


if __name__ == "__main__":
    print(weigh(sys.argv[1], int(sys.argv[2])))
