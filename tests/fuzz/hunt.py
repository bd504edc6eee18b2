"""One parser's long run, in a process of its own: so many inputs, no crash, no hang, memory bounded.

    python -m tests.fuzz.hunt "chat frames" --inputs 1000000 --seed 1 --into FOLDER [--plain]

Inputs are found by coverage where atheris (libFuzzer) is installed: what reaches a new line of ours is kept and changed
further. `--plain` changes real inputs by the seed alone (`mutation`), which is several times as fast where a parser is
slow, and the same on every machine.

What it has done stands in `FOLDER/NAME.json`, anew each thousand inputs; an input that breaks something lies beside it.
An input that takes longer than HANG_S is a hang: it is broken off where Python can be, otherwise the process ends.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import logging
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any, NoReturn

HANG_S = 20  # the longest honest one takes some hundredths of a second
STUCK_S = 900  # a thousand inputs that take so long hang where no signal is heard, on the busiest machine
GROWTH_MAX_KIB = 256 << 10  # that a whole run may add to its process
TOLD_EACH = 1_000


class Hangs(BaseException):
    """No `except Exception` of a parser hides it."""


class Broken(Exception):
    """An input that broke something, with what."""

    def __init__(self, data: bytes, why: str) -> None:
        super().__init__(why)
        self.data = data


class Hunt:
    """Counts, measures and judges; where inputs come from is somebody else's business."""

    def __init__(self, name: str, parser: Callable[[bytes], object], refusal: type[Exception], file: Path) -> None:
        self._name, self._parser, self._refusal, self._file = name, parser, refusal, file
        self._began_s = time.monotonic()
        self._before_kib = _peak_kib()
        self.inputs = 0
        self.longest_s = 0.0
        self.bytes_max = 0

    def begin(self) -> None:
        signal.signal(signal.SIGALRM, _hangs)
        self._stand()

    def one(self, data: bytes) -> None:
        """Raises Broken."""
        if self.inputs % TOLD_EACH == 0:
            self._stand()
        self.inputs += 1
        self.bytes_max = max(self.bytes_max, len(data))
        signal.setitimer(signal.ITIMER_REAL, HANG_S)
        began_s = time.thread_time()
        try:
            self._parser(data)
        except self._refusal:
            pass
        except Hangs:
            raise Broken(data, f"no end in {HANG_S} s") from None
        except Exception as problem:
            raise Broken(data, f"{type(problem).__name__}: {problem}") from problem
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        self.longest_s = max(self.longest_s, time.thread_time() - began_s)

    def told(self, **more: object) -> dict[str, Any]:
        return {
            "parser": self._name,
            "inputs": self.inputs,
            "seconds": round(time.monotonic() - self._began_s, 1),
            "cpu_seconds": round(time.process_time(), 1),
            "longest_ms": round(self.longest_s * 1_000, 1),
            "longest_bytes": self.bytes_max,
            "peak_mib": _peak_kib() >> 10,
            "grown_mib": self._grown_kib() >> 10,
            **more,
        }

    def end(self, **more: object) -> None:
        """Raises Broken where the whole run took too much memory."""
        faulthandler.cancel_dump_traceback_later()
        self._write(more)
        if self._grown_kib() > GROWTH_MAX_KIB:
            raise Broken(b"", f"{self._grown_kib() >> 10} MiB more than before")

    def _stand(self) -> None:
        faulthandler.dump_traceback_later(STUCK_S, exit=True)
        self._write({})

    def _write(self, more: dict[str, object]) -> None:
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(self.told(**more)))
        part.replace(self._file)

    def _grown_kib(self) -> int:
        return _peak_kib() - self._before_kib


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _hangs(number: int, frame: FrameType | None) -> NoReturn:
    raise Hangs


def file_of(name: str, folder: Path) -> Path:
    return folder / ("".join(c if c.isalnum() else "-" for c in name.lower()) + ".json")


# --- where inputs come from -------------------------------------------------------------------------------------------


def plain(name: str, inputs: int, seed: int, folder: Path) -> dict[str, Any]:
    """Real inputs, changed by chance. Raises Broken."""
    from router.errors import RouterError
    from tests.fuzz.mutation import mutated
    from tests.fuzz.parsers import PARSERS, seeds_of

    hunt = Hunt(name, PARSERS[name][0], RouterError, file_of(name, folder))
    seeds = seeds_of(name)
    r = Random(seed)
    hunt.begin()
    for data in seeds[:inputs]:
        hunt.one(data)
    while hunt.inputs < inputs:
        hunt.one(mutated(r, seeds))
    hunt.end(way="plain", seed=seed)
    return hunt.told(way="plain", seed=seed)


def guided(name: str, inputs: int, seed: int, folder: Path) -> NoReturn:
    """Inputs that libFuzzer finds by what they reach. Ends the process, as libFuzzer does."""
    import atheris

    with atheris.instrument_imports(include=["channels", "router"]):
        from router.errors import RouterError
        from tests.fuzz.parsers import PARSERS, seeds_of

    hunt = Hunt(name, PARSERS[name][0], RouterError, file_of(name, folder))

    def one(data: bytes) -> None:
        if hunt.inputs == 0:
            hunt.begin()
        try:
            hunt.one(data)
            if hunt.inputs >= inputs:
                hunt.end(way="guided", seed=seed)
                os._exit(0)
        except Broken as broken:
            say(name, broken, folder)
            os._exit(1)

    with tempfile.TemporaryDirectory(prefix="switchboard-fuzz-") as corpus:
        for number, data in enumerate(seeds_of(name)):
            Path(corpus, str(number)).write_bytes(data)
        options = ["-timeout=0", "-verbosity=0", "-max_len=65536", f"-seed={seed}", f"-runs={inputs * 2}", corpus]
        atheris.Setup([name, *options], one)
        atheris.Fuzz()
    raise SystemExit(1)  # it has ended before its time


def say(name: str, broken: Broken, folder: Path) -> None:
    beside = file_of(name, folder).with_suffix(".broken")
    beside.write_bytes(broken.data)
    print(f"{name}: {broken}; input in {beside}: {broken.data[:2_000]!r}", file=sys.stderr, flush=True)


def main() -> None:
    options = argparse.ArgumentParser(prog="tests.fuzz.hunt")
    options.add_argument("parser")
    options.add_argument("--inputs", type=int, required=True)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--into", type=Path, required=True)
    options.add_argument("--plain", action="store_true")
    asked = options.parse_args()
    logging.disable(logging.CRITICAL)  # libraries say at length what they make of broken mail
    run = plain if asked.plain else guided
    try:
        run(asked.parser, asked.inputs, asked.seed, asked.into)
    except Broken as broken:
        say(asked.parser, broken, asked.into)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
