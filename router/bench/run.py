"""`switchboard bench`: run what was named, then print the table or JSON.

A benchmark is a module with `run(rounds, quick, step) -> (rows, figures)`.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module

from router.bench.measure import Figures, Step
from router.bench.report import Row, report, show

NAMES = ("engine", "pipeline", "journal", "redis", "recovery", "edges", "chat", "estimates", "theory", "machines")


Draw = Callable[[dict[str, list[Figures]]], None]


def run_benchmarks(
    name: str | None,
    *,
    rounds: int = 5,
    quick: bool = False,
    as_json: bool = False,
    draw: Draw | None = None,
    sockets: int = 0,
) -> int:
    """Run one benchmark or all; the exit code. Whether targets are met is for the reader: the machine may be busy.

    `sockets`: so many does `machines` hold, in place of its own number.
    """
    if name is not None and name not in NAMES:
        print(f"switchboard bench: there is no benchmark {name!r}; known: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    figures: dict[str, list[Figures]] = {}
    rounds = 1 if quick else max(1, rounds)
    began = time.monotonic()
    with _progress() as step:
        for each in (name,) if name else NAMES:
            own = {"sockets": sockets} if each == "machines" else {}
            found, more = import_module(f"router.bench.{each}").run(rounds, quick, step, **own)
            rows += found
            figures |= {f"{each}: {case}": values for case, values in more.items()}
    if draw is not None:
        draw(figures)
    result = report(rows, figures, rounds, quick, time.monotonic() - began)
    if as_json:
        print(json.dumps(result, indent=1))
    else:
        show(result)
    return 0


@contextlib.contextmanager
def _progress() -> Iterator[Step]:
    """A line on stderr that says what is being done, where somebody watches."""
    if not sys.stderr.isatty():
        yield lambda what: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting", total=None)
        yield lambda what: progress.update(task, description=what)
