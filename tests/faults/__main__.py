"""`./run faults --rounds 100 --seed 1`: the fault laboratory. Its last line is JSON; exit 1 for any finding."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.faults import cluster, domains, edges, sentinels
from tests.faults.campaign import Result, run
from tests.faults.takeover import PROMISED_S, WHOLE, spreads


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="./run faults",
        description="Kill, pause and cut off working daemons again and again, and hold what they acknowledged against "
        "their journal.",
        epilog="Example: ./run faults --rounds 100 --seed 1",
    )
    parser.add_argument("--rounds", type=_positive, default=20, metavar="N", help="how often it dies (default 20)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the moments and the crowd (default 1)")
    parser.add_argument(
        "--on",
        choices=("disk", "redis", "both", "edges", "domains", "sentinels"),
        default="both",
        help="one daemon with a journal on disk, two with one in Redis, or half of the rounds each (default); "
        "two engines and two edges, in one domain or in two; two daemons on a Redis with replicas and a Sentinel",
    )
    parser.add_argument("--keep", action="store_true", help="keep data folders and logs, and say where")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="switchboard-faults-"))
    began = time.monotonic()
    result = _run(asked.rounds, asked.seed, folder, asked.on)
    _report(result, time.monotonic() - began)
    if asked.keep or not result.good:
        print(f"kept: {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(summary(result, asked.seed)))
    return 0 if result.good and not any(one.late for one in result.takeovers) else 1


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _run(rounds: int, seed: int, folder: Path, on: str) -> Result:
    on_disk = {"disk": rounds, "redis": 0, "both": rounds // 2}.get(on, 0)
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("rounds", total=rounds)

        done = Result()

        def told(part: Result) -> None:
            so_far = Result()
            so_far.add(done)
            so_far.add(part)
            bar.update(task, completed=so_far.rounds, description=f"{so_far.acknowledged} acknowledged")
            if not console.is_terminal and so_far.rounds % 10 == 0:
                print(f"{so_far.rounds} rounds, {so_far.acknowledged} acknowledged", file=sys.stderr)

        done.add(run(on_disk, seed, folder, told))
        shared = {"edges": edges.run, "domains": domains.run, "sentinels": sentinels.run}.get(on, cluster.run)
        done.add(shared(rounds - on_disk, seed, folder, told))
        return done


def _report(result: Result, seconds: float) -> None:
    ways = ", ".join(f"{way} {count}" for way, count in sorted(result.ways.items()))
    print(f"{result.rounds} rounds in {seconds:.0f} s ({ways}); {result.records} records", file=sys.stderr)
    if result.takeovers:
        _report_takeovers(result)
    found = result.findings
    for name, lines in (("lost", found.lost), ("doubled", found.doubled), ("stuck", found.stuck)):
        for line in lines[:20]:
            print(f"{name}: {line}", file=sys.stderr)
    for line in result.troubles[:10]:
        print(f"trouble: {line[:1_000]}", file=sys.stderr)


def _report_takeovers(result: Result) -> None:
    late = sum(one.late for one in result.takeovers)
    print(f"{len(result.takeovers)} takeovers, {late} late; seconds: p50, p99, longest, promised", file=sys.stderr)
    for what, found in spreads(result.takeovers).items():
        promised_s = PROMISED_S + (cluster.LEASE_S if what == WHOLE else 0.0)
        each = "".join(f"{seconds:7.2f}" for seconds in (*found, promised_s))
        print(f"  {what:<26}{each}", file=sys.stderr)
    for one in sorted(result.takeovers, key=lambda one: -one.free_s)[:3]:
        print(f"takeover {one}", file=sys.stderr)


def summary(result: Result, seed: int) -> dict[str, Any]:
    """Takeovers: how many, how many of them late, and how long from the fault until all was served again."""
    found = result.findings
    took = spreads(result.takeovers)[WHOLE]._asdict() if result.takeovers else {}
    return {
        "rounds": result.rounds,
        "acknowledged": result.acknowledged,
        "lost": len(found.lost),
        "doubled": len(found.doubled),
        "stuck": len(found.stuck),
        "seed": seed,
        "takeovers": len(result.takeovers),
        "late": sum(one.late for one in result.takeovers),
        **{f"takeover_{name}_s": seconds for name, seconds in took.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
