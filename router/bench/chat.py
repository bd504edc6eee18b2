"""Visitors' chat under load: many open conversations, few of which say something at a time.

A message is echoed by `delivered`, which is when it is recorded on disk. The floor is the bare websockets library,
which sends the same text back and keeps nothing: its p99 is what the machine and the library cost.
"""

from __future__ import annotations

from functools import partial

from router.bench.edges import LOOP
from router.bench.house import house
from router.bench.measure import Case, Figures, Server, Step, generate, interleave, medians
from router.bench.report import Row, compared

VISITORS, RATE = 2_000, 50.0
VISITORS_QUICK = 200


def run(rounds: int, quick: bool, step: Step) -> tuple[list[Row], dict[str, list[Figures]]]:
    visitors, seconds = (VISITORS_QUICK, 1.0) if quick else (VISITORS, 6.0)
    cases: dict[str, Case] = {
        "chat, product": partial(_chat, visitors, seconds),
        "chat, websockets echo": partial(_echo, visitors, seconds),
    }
    found = interleave(cases, rounds, step)
    product, echo = medians(found).values()
    what = f"{visitors:,} chats open, {RATE:.0f} messages a second"
    note = f"p50 {product['p50_us'] / 1_000:.1f} ms, of the echo {echo['p50_us'] / 1_000:.1f} ms"
    cpu = product["cpu_us"], echo["cpu_us"]
    return [
        compared("21", f"{what}: recorded and echoed, p99", product["p99_us"], echo["p99_us"], note=note),
        compared("21", f"{what}: CPU of a message and of all that goes on beside it", *cpu),
    ], found


def _chat(visitors: int, seconds: float) -> Figures:
    with house(LOOP, chat=True) as h:
        return generate("chat", "product", h.sockets, h.pid, visitors, RATE, seconds)


def _echo(visitors: int, seconds: float) -> Figures:
    with Server("-m", "router.bench.floors.edges", "echo", LOOP) as s:
        return generate("chat", "floor", s.port, s.pid, visitors, RATE, seconds)
