"""Ports for programs that have to be told one.

Of port 0 the kernel gives one of those that it also gives to whoever connects; between closing it and the program's
listening there anybody's client may have it. So these are taken from below that range (Linux begins it at 32768), and
each worker of the tests has its own part, begun at another place by each process. Nor is any of them one that browsers
refuse to open: of the "bad ports" of https://fetch.spec.whatwg.org/#port-blocking the last is 10080.
"""

from __future__ import annotations

import itertools
import os
import socket

FIRST, PARTS, WIDTH = 10_081, 8, 2_800
APART = 4  # who listens for media at one port listens at the next ones, too

_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw") or 0) % PARTS
_places = itertools.count(os.getpid() * 97 % WIDTH // APART)


def free_ports(count: int) -> list[int]:
    """Ports at which nobody listens now, neither by TCP nor by UDP, all different."""
    return [free_port() for _ in range(count)]


def free_port() -> int:
    for place in itertools.islice(_places, WIDTH // APART):
        port = FIRST + _worker * WIDTH + place * APART % WIDTH
        if _is_free(port, socket.SOCK_STREAM) and _is_free(port, socket.SOCK_DGRAM):
            return port
    raise OSError(f"no port of {FIRST + _worker * WIDTH} to {FIRST + (_worker + 1) * WIDTH - 1} is free")


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
