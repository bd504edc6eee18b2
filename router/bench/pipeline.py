"""The whole path over real sockets: signed webhook, durable, offered, accepted, completed.

The product runs as a daemon with everything on; the floors do only what is necessary (`floors.pipeline`), with the same
libraries or with none. All are driven by the same generator with as many interactions in flight.
"""

from __future__ import annotations

from functools import partial

from router.bench.house import house
from router.bench.measure import Case, Figures, Server, Step, generate, interleave, medians, workplace
from router.bench.report import Row, compared

WINDOW = 256
LIBRARIES, BARE = "aiohttp websockets sqlite", "raw raw sqlite"
EDGES = {LIBRARIES: ("aiohttp", "websockets"), BARE: ("raw", "raw")}


def run(rounds: int, quick: bool, step: Step) -> tuple[list[Row], dict[str, list[Figures]]]:
    seconds = 0.4 if quick else 2.0
    cases: dict[str, Case] = {
        "product": partial(product, "uvloop", WINDOW, seconds),
        LIBRARIES: partial(floor, LIBRARIES, WINDOW, seconds),
        BARE: partial(floor, BARE, WINDOW, seconds),
        "product, stock loop": partial(product, "asyncio", WINDOW, seconds),
        "product, one in flight": partial(product, "uvloop", 1, seconds),
        "libraries, one in flight": partial(floor, LIBRARIES, 1, seconds),
    }
    found = interleave(cases, rounds, step)
    rate = medians(found)["product"]["rate"] / 2
    found |= interleave({"product, half rate": partial(product, "uvloop", WINDOW, seconds, rate)}, rounds, step)
    return _rows(medians(found)), found


def product(loop: str, window: int, seconds: float, rate: float = 0.0) -> Figures:
    with house(loop) as h:
        return generate("pipeline", "product", h.http, h.sockets, h.pid, window, seconds, rate)


def floor(name: str, window: int, seconds: float) -> Figures:
    with workplace() as folder:
        with Server("-m", "router.bench.floors.pipeline", *EDGES[name], "uvloop", str(folder)) as server:
            http, sockets = server.port >> 16, server.port & 0xFFFF
            return generate("pipeline", "floor", http, sockets, server.pid, window, seconds, 0.0)


def _rows(found: dict[str, Figures]) -> list[Row]:
    whole, libraries, bare, stock, alone, bare_alone, half = found.values()
    cpu, what = whole["cpu_us"], "whole path, CPU of an interaction"
    note = f"{1e6 / cpu:,.0f} a second of a core, {whole['rate']:,.0f} seen"
    late = f"latency at {half['rate']:,.0f} a second, half of the top: p99 to p50"
    return [
        compared("1", f"{what}, against {LIBRARIES}", cpu, libraries["cpu_us"], 2, 1.4, note=note),
        compared("2", f"{what}, against {BARE}", cpu, bare["cpu_us"], 4, 2.8),
        compared("5", f"{what}, stock loop (tuned) against uvloop", stock["cpu_us"], cpu, 1.3, 1.1),
        compared("14", "one in flight, webhook to done, p50", alone["p50_us"], bare_alone["p50_us"], 2, 1.3),
        compared("15", late, half["p99_us"], half["p50_us"], 10, 5),
    ]
