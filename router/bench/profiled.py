"""`python -m router.bench.profiled FOLDER serve ...`: the daemon, with its CPU sampled while somebody measures.

The first SIGUSR2 begins, the second one ends and writes FOLDER/PID.json: how many samples fell into each stage. A
sample is the Python stack at a tick of the process's own CPU clock, so waiting counts nothing. What a C function does
counts for who called it; what the event loop does in C before it calls anybody counts for whom it calls. It costs a few
per cent, which is why nothing else is measured in such a process.

A stage is what the work is for. An edge's copy and the messages that it makes are told apart by who asked for them; all
else by the room of the innermost frame that is ours, or the library's name where it has one here.
"""

from __future__ import annotations

import collections
import json
import os
import runpy
import signal
import sys
from pathlib import Path
from types import FrameType

EVERY_S = 0.004
# Innermost first: (end of the file's name, function or "" for any of it) -> stage.
ASKED_BY = {
    ("engine/engine.py", "apply"): "copy of the engine, records applied",
    ("engine/effects.py", "effects"): "copy of the engine, what to tell",
    ("remote/edge.py", "_follow"): "copy of the engine, the rest",
    ("agents/protocol.py", "tell"): "messages to agents",
    ("journal/redis.py", "append"): "log",
}
STAGES = {
    "router/engine/": "engine",
    "router/journal/": "log",
    "/redis/": "log",
    "/hiredis/": "log",
    "router/service/remote/": "link",
    "router/service/sockets.py": "sockets",
    "/websockets/": "sockets",
    "router/agents/": "agents' conversations",
    "router/service/writer.py": "writer",
    "router/service/mailbox.py": "writer",
    "router/http/": "http",
    "/aiohttp/": "http",
    "channels/": "channels",
}
REST = "rest"


def stage_of(frame: FrameType | None) -> str:
    """What this work is for."""
    room = ""
    while frame is not None:
        name, function = frame.f_code.co_filename, frame.f_code.co_name
        for (end, asked), stage in ASKED_BY.items():
            if function == asked and name.endswith(end):
                return stage
        room = room or next((stage for part, stage in STAGES.items() if part in name), "")
        frame = frame.f_back
    return room or REST


class Sampler:
    def __init__(self, folder: Path) -> None:
        self._file = folder / f"{os.getpid()}.json"
        self._found: collections.Counter[str] = collections.Counter()
        self._on = False

    def toggle(self, number: int, frame: FrameType | None) -> None:
        self._on = not self._on
        every = EVERY_S if self._on else 0.0
        signal.setitimer(signal.ITIMER_PROF, every, every)
        if not self._on:
            unfinished = self._file.with_suffix(".part")
            unfinished.write_text(json.dumps(self._found))
            unfinished.rename(self._file)
            self._found.clear()

    def sample(self, number: int, frame: FrameType | None) -> None:
        self._found[stage_of(frame)] += 1


def main() -> None:
    sampler = Sampler(Path(sys.argv.pop(1)))
    signal.signal(signal.SIGUSR2, sampler.toggle)
    signal.signal(signal.SIGPROF, sampler.sample)
    runpy.run_module("router", run_name="__main__", alter_sys=True)  # as `python -m router` does


if __name__ == "__main__":
    main()
