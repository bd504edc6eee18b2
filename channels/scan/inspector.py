"""The daemon's end of the inspector: starts the nurse (`channels.scan.inspect`), hands files over, minds the time.

Blocking, for use in a thread; one object serves one file at a time. The nurse has its own time limit for each child,
and this end has a longer one for the nurse: whatever goes wrong over there, `inspect` ends, and what it returns says
something about the file. `InspectorDown` says something about this machine: the file stays where it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from channels.scan.finding import ANSWER_MAX, Finding, from_bytes
from channels.scan.settings import Inspector as Limits
from router.errors import RouterError

START_S = 30  # loading the decoders takes 0.3 s; a machine that is starting everything at once takes longer
GRACE_S = 5  # for the nurse to end a child, collect it and say so
PROGRAM = "channels.scan.inspect"


class InspectorDown(RouterError):
    """No file can be looked at now, through no fault of the file."""

    code = "inspector-down"


class Inspector:
    def __init__(self, limits: Limits, program: str = PROGRAM) -> None:
        self._limits = limits
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._looked = 0

    def inspect(self, fd: int, name: str, max_pages: int) -> Finding:
        """What the open file is; `name` counts for raw fax data only. Raises InspectorDown."""
        try:
            answer = from_bytes(self._exchange(fd, {"name": name[-100:], "max_pages": max_pages}, _line))
        except msgspec.DecodeError as problem:
            self.close()  # a child that learned to write nonsense: the nurse may be no better
            return Finding(condition="crashed", detail=f"the decoder's answer made no sense: {problem}"[:200])
        return answer

    def _exchange(self, fd: int, request: dict[str, object], read: Callable[[socket.socket, float], bytes]) -> bytes:
        """Hand one open file over, and read what is said of it. Raises InspectorDown."""
        link = self._ready()
        self._looked += 1
        wait_s = self._limits.seconds + GRACE_S
        try:
            link.settimeout(wait_s)
            socket.send_fds(link, [json.dumps(request).encode()], [fd])
            answer = read(link, wait_s)
        except OSError as problem:
            self.close()
            raise InspectorDown(f"the inspector does not answer ({problem}); it is started again") from problem
        if self._looked >= self._limits.recycle_after:
            self.close()
        return answer

    def close(self) -> None:
        """End the nurse and its child."""
        process, self._process = self._process, None
        if self._link is not None:
            self._link.close()
            self._link = None
        if process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # a session of its own: the nurse and its child, nobody else
            process.wait()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def _ready(self) -> socket.socket:
        if self._link is not None and self._process is not None and self._process.poll() is None:
            return self._link
        self.close()
        try:
            return self._start()
        except OSError as problem:
            self.close()
            raise InspectorDown(
                f"the inspector does not start ({problem}); try: {sys.executable} -m {self._program}"
            ) from problem

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self._link, self._looked = ours, 0
        command = [sys.executable, "-P", "-m", self._program, self._arguments()]
        with theirs:
            self._process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
                cwd="/",
            )
        if _line(ours, START_S) != b"ready":
            raise OSError("it said something else than ready")
        return ours

    def _arguments(self) -> str:
        limits = self._limits
        return json.dumps(
            {"seconds": limits.seconds, "memory_bytes": limits.memory_bytes, "max_pixels": limits.max_pixels}
        )


def _line(link: socket.socket, seconds: float) -> bytes:
    """One line without its end. Raises OSError if it does not come in time, or is too long."""
    deadline_s = time.monotonic() + seconds
    data = b""
    while not data.endswith(b"\n"):
        link.settimeout(max(0.001, deadline_s - time.monotonic()))
        part = link.recv(ANSWER_MAX)
        if not part:
            raise OSError("it has ended")
        data += part
        if len(data) > ANSWER_MAX:
            raise OSError("its answer has no end")
    return data[:-1]


def _environment() -> dict[str, str]:
    """Nothing but where the modules are: no secret of the daemon's reaches the decoders."""
    places = [str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(places), "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
