"""What a run found: rows against their targets, as JSON and as a table that people read.

A row compares the product with a floor of the same run. `ratio` is product over floor (the other way round where more
is better, `at_least`); `must` is what a release needs, `aim` what we want. A row without targets is for information.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from msgspec import Struct, to_builtins

from router.bench.measure import Figures

PACKAGES = ("aiohttp", "websockets", "aiosmtpd", "uvloop", "msgspec", "apsw")


class Row(Struct, frozen=True, kw_only=True):
    number: str  # of the target in docs/benchmarks.md, or the promise it is about
    what: str
    unit: str
    product: float
    floor: float = 0.0  # 0: there is none
    ratio: float = 0.0
    must: float = 0.0
    aim: float = 0.0
    at_least: bool = False  # the ratio must not be smaller, instead of not larger
    note: str = ""

    @property
    def verdict(self) -> str:
        """aim, must, or missed; "" without targets."""
        if not self.must:
            return ""
        for name, limit in (("aim", self.aim), ("must", self.must)):
            if self.ratio >= limit if self.at_least else self.ratio <= limit:
                return name
        return "missed"


def compared(
    number: str,
    what: str,
    product: float,
    floor: float,
    must: float = 0.0,
    aim: float = 0.0,
    unit: str = "us",
    **more: Any,
) -> Row:
    """A row whose ratio is product over floor."""
    ratio = product / floor
    return Row(
        number=number, what=what, unit=unit, product=product, floor=floor, ratio=ratio, must=must, aim=aim, **more
    )


def report(
    rows: Sequence[Row], figures: Mapping[str, list[Figures]], rounds: int, quick: bool, took_s: float
) -> dict[str, Any]:
    """What `--json` prints."""
    foreign = [r["foreign"] for found in figures.values() for r in found if "foreign" in r]
    return {
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": machine(),
        "rounds": rounds,
        "quick": quick,
        "foreign": round(sum(foreign) / len(foreign), 2) if foreign else 0.0,
        "took_s": round(took_s, 1),
        "rows": [{**to_builtins(row), "verdict": row.verdict} for row in rows],
        "figures": {name: [{k: round(v, 4) for k, v in r.items()} for r in found] for name, found in figures.items()},
    }


def machine() -> dict[str, Any]:
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "load": [round(x, 2) for x in os.getloadavg()],
    }


def _cpu_model() -> str:
    """As the kernel calls it."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    found = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return found or platform.machine()


def show(found: Mapping[str, Any]) -> None:
    """The table, for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{found['when']}, {found['rounds']} rounds" + (", quick" if found["quick"] else ""))
    table.add_column("nr")
    table.add_column("what", overflow="fold")
    for name in ("product", "floor", "ratio", "must", "aim"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict")
    for row in found["rows"]:
        table.add_row(*_cells(row))
    console = Console(width=None if os.isatty(1) else 150)
    console.print(table)
    m = found["machine"]
    console.print(
        f"{m['cpu']}, {m['cores']} cores, {m['system']}, Python {m['python']}; load {m['load'][0]}, "
        f"{found['foreign']} cores busy with others' work; {found['took_s']} s",
        highlight=False,
    )


def _cells(row: Mapping[str, Any]) -> list[str]:
    sign = ">=" if row["at_least"] else "<="
    return [
        row["number"],
        row["what"] + (f" ({row['note']})" if row["note"] else ""),
        f"{short(row['product'])} {row['unit']}",
        f"{short(row['floor'])} {row['unit']}" if row["floor"] else "",
        f"{short(row['ratio'])}x" if row["ratio"] else "",
        *(f"{sign} {row[name]:g}x" if row[name] else "" for name in ("must", "aim")),
        _coloured(row["verdict"]),
    ]


def short(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _coloured(verdict: str) -> str:
    colour = {"aim": "green", "must": "yellow", "missed": "red"}.get(verdict)
    return f"[{colour}]{verdict}[/]" if colour else verdict
