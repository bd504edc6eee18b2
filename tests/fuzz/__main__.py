"""A long run of all parsers of what strangers send, or of some of them, one after the other.

    ./run fuzz --inputs 1000000
    ./run fuzz "mail head" sidecars --inputs 50000 --plain --seed 7

Each parser has a process of its own (`hunt`), so memory is each one's own and a crash ends nothing but its run. Ends
with a table, and with 1 where an input broke something or a run did not come to its end.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.fuzz.hunt import file_of
from tests.fuzz.parsers import PARSERS

COLUMNS = ("parser", "way", "inputs", "cpu_seconds", "longest_ms", "peak_mib", "grown_mib")


def run(name: str, asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One parser's run, and what it says of itself; `ended` tells how."""
    job = [sys.executable, "-m", "tests.fuzz.hunt", name, "--inputs", str(asked.inputs), "--seed", str(asked.seed)]
    way = ["--plain"] if asked.plain else []
    with (folder / "log").open("ab") as log:
        done = subprocess.run([*job, *way, "--into", str(folder)], stdout=log, stderr=log, check=False)
    file = file_of(name, folder)
    told: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"parser": name, "inputs": 0}
    ended = "done" if done.returncode == 0 and told["inputs"] >= asked.inputs else f"broken ({done.returncode})"
    return {"way": "plain" if asked.plain else "guided", **told, "ended": ended}


def row(told: dict[str, Any]) -> str:
    said = [f"{told.get(name, ''):,}" if name == "inputs" else str(told.get(name, "")) for name in COLUMNS]
    return "| " + " | ".join([*said, told["ended"]]) + " |"


def main() -> None:
    options = argparse.ArgumentParser(prog="./run fuzz", description=(__doc__ or "").partition("\n")[0])
    options.add_argument("parsers", nargs="*", metavar="PARSER", help=f"of: {', '.join(PARSERS)}; left out: all")
    options.add_argument("--inputs", type=int, default=1_000_000, help="of each parser")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--plain", action="store_true", help="by chance alone, not by what inputs reach")
    options.add_argument("--into", type=Path, help="where figures and broken inputs are kept")
    asked = options.parse_args()
    unknown = [name for name in asked.parsers if name not in PARSERS]
    if unknown:
        options.error(f"there is no parser {unknown[0]!r}; there are: {', '.join(PARSERS)}")
    if not asked.plain and importlib.util.find_spec("atheris") is None:
        options.error("atheris is not installed (it has wheels for Linux on x86-64); --plain needs nothing")
    folder = asked.into or Path(tempfile.mkdtemp(prefix="switchboard-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"seed {asked.seed}; figures, broken inputs and what libFuzzer says are in {folder}")
    print("| " + " | ".join([*COLUMNS, "ended"]) + " |\n|" + "---|" * (len(COLUMNS) + 1), flush=True)
    bad = 0
    for name in asked.parsers or PARSERS:
        told = run(name, asked, folder)
        bad += told["ended"] != "done"
        print(row(told), flush=True)
    if bad:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
