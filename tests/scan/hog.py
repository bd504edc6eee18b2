"""An inspector whose decoder misbehaves on purpose: the name of a file says how.

Started as `python -m tests.scan.hog`, it is the real inspector otherwise, with the real limits.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from typing import BinaryIO

from channels.scan import inspect
from channels.scan.finding import Finding

FOLDER = tempfile.gettempdir()  # found by writing, so before the limits


def spin() -> str:
    while True:
        pass


def sleep() -> str:
    time.sleep(600)
    return "woke up"


def eat() -> str:
    kept = []
    while True:
        kept.append(bytearray(8 << 20))


def write() -> str:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    name = os.path.join(FOLDER, f"switchboard-hog-{os.getpid()}")
    fd = os.open(name, os.O_WRONLY | os.O_CREAT)
    os.unlink(name)
    try:
        return f"wrote {os.write(fd, b'x')}"
    except OSError as problem:
        return f"refused: {problem.strerror}"


def open_many() -> str:
    opened: list[int] = []
    try:
        while len(opened) < 1_000:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as problem:
        return f"refused: {problem.strerror}"
    return "opened"


def reach_the_nurse() -> str:
    """Sockets that a child could answer by in the nurse's name."""
    found = 0
    for fd in range(256):
        try:
            socket.socket(fileno=os.dup(fd)).close()
            found += 1
        except OSError:
            continue
    return f"{found} sockets"


def secrets() -> str:
    return ",".join(sorted(os.environ))


def abort() -> str:
    os.abort()


def flood() -> str:
    for fd in range(3, 32):
        try:
            while True:
                os.write(fd, b"{" * 4_096)
        except OSError:
            continue
    return "flooded"


def nonsense() -> str:
    for fd in range(3, 32):
        try:
            os.write(fd, b'{"condition": "ok", "pages": -1}')
        except OSError:
            continue
    os._exit(0)


def kill_the_nurse() -> str:
    os.kill(os.getppid(), signal.SIGKILL)
    return "killed"


class Hog(inspect.Looker):
    def look(self, file: BinaryIO, name: str) -> Finding:
        deeds = (
            spin,
            sleep,
            eat,
            write,
            open_many,
            reach_the_nurse,
            secrets,
            abort,
            flood,
            nonsense,
            kill_the_nurse,
        )
        for deed in deeds:
            if deed.__name__ == name:
                return Finding(condition="ok", kind="pdf", detail=deed())
        return super().look(file, name)


if __name__ == "__main__":
    inspect.Looker = Hog  # type: ignore[misc]
    inspect.main()
