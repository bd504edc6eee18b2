"""Each parser of what strangers send stands anything: it answers, or it refuses with an error of the product.

Every run tries real inputs, those that once broke something (`FOUND`) and some hundreds with a few things done to them;
a long one tries as many as `SWITCHBOARD_FUZZ` says (20,000), and `./run fuzz` a million of each, in processes of their
own. A failure prints seed, number and input.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from router.errors import BadMessage, RouterError
from tests.fuzz.hunt import GROWTH_MAX_KIB, Broken, Hunt, file_of
from tests.fuzz.mutation import mutated
from tests.fuzz.parsers import PARSERS

COUNT = int(os.environ.get("SWITCHBOARD_FUZZ", "20000"))
SEED = int(os.environ.get("SWITCHBOARD_FUZZ_SEED", "1"))
# Inputs that once broke something, by parser.
FOUND: dict[str, list[bytes]] = {}


def tried(name: str, data: bytes, what: str) -> None:
    parser, _ = PARSERS[name]
    try:
        parser(data)
    except RouterError:
        return
    except Exception as problem:
        pytest.fail(f"{name}, {what}: {type(problem).__name__}: {problem}; input {data!r}")


@pytest.mark.promise("IN-4")
@pytest.mark.parametrize("name", PARSERS)
def test_real_inputs_and_those_that_once_broke_it_are_read(name: str) -> None:
    _, seeds = PARSERS[name]
    for number, data in enumerate([*seeds, b"", *FOUND.get(name, ())]):
        tried(name, data, f"input {number}")
    r = Random(SEED)
    for number in range(300):
        tried(name, mutated(r, seeds), f"seed {SEED}, input {number}")


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.promise("IN-4")
@pytest.mark.parametrize("name", PARSERS)
def test_so_many_inputs_break_nothing(name: str, tmp_path: Path) -> None:
    print(f"{name}: {COUNT} inputs, seed {SEED}")
    job = [name, "--inputs", str(COUNT), "--seed", str(SEED), "--into", str(tmp_path), "--plain"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.hunt", *job],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(file_of(name, tmp_path).read_text())
    assert told["inputs"] == COUNT
    assert told["grown_mib"] <= GROWTH_MAX_KIB >> 10


def hunted(tmp_path: Path, parser: Callable[[bytes], object]) -> Hunt:
    return Hunt("x", parser, RouterError, tmp_path / "x.json")


def test_a_long_run_names_the_input_that_broke_a_parser(tmp_path: Path) -> None:
    def parser(data: bytes) -> object:
        if data == b"refused":
            raise BadMessage("no")
        return {b"good": 1}[data]

    hunt = hunted(tmp_path, parser)
    hunt.one(b"good")
    hunt.one(b"refused")
    with pytest.raises(Broken, match="KeyError") as broken:
        hunt.one(b"odd")
    assert (broken.value.data, hunt.inputs) == (b"odd", 3)
    assert json.loads((tmp_path / "x.json").read_text())["inputs"] == 0, "it stands where the last thousand began"


def test_a_long_run_names_the_input_that_has_no_end(tmp_path: Path) -> None:
    def parser(data: bytes) -> object:
        try:
            signal.raise_signal(signal.SIGALRM)  # as the timer does
        except Exception:
            return "hidden"
        return "not heard"

    before = signal.getsignal(signal.SIGALRM)
    hunt = hunted(tmp_path, parser)
    try:
        hunt.begin()
        with pytest.raises(Broken, match="no end") as broken:
            hunt.one(b"slow")
        assert broken.value.data == b"slow"
        hunt.end()
    finally:
        signal.signal(signal.SIGALRM, before)
