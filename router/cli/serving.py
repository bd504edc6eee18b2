"""The process around an `App`: its event loop, the signals that end it, its word to systemd, its exit code.

Told once (SIGTERM, Ctrl-C) it drains and stops; told again while it does so it leaves at once, which is as safe as any
kill. What cannot start, and what could not lead when it was its turn (`App.fatal`), exits with 1, so that whoever looks
after processes starts it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from router.app import ROLES, App
from router.errors import RouterError
from router.observe import get_logger, mask_also, report_stray
from router.settings import Loaded

log = get_logger("app")

# A start that is told to stop may go on for so long.
STARTING_LEFT_S = 2.0


def run(
    loaded: Loaded,
    ready: Callable[[App], None],
    loop: str = "auto",
    roles: frozenset[str] = ROLES,
    domains: frozenset[str] = frozenset(),
) -> int:
    """Run the daemon until it is told to stop; the process's exit code."""
    main = _main(loaded, ready, roles, domains)
    if loop in ("auto", "uvloop"):
        try:
            import uvloop
        except ImportError:
            if loop == "uvloop":
                raise
        else:
            return uvloop.run(main)
    tune_stock_loop()
    return asyncio.run(main)


def tune_stock_loop() -> None:
    """Read 64 KiB at a time. The default of 256 KiB is above malloc's mmap threshold, so every read may cost page
    faults.

    A private name of the standard library, so it is only changed where it is what we know.
    """
    transport: Any = getattr(asyncio.selector_events, "_SelectorTransport", None)
    if isinstance(getattr(transport, "max_size", None), int):
        transport.max_size = 64 * 1024


async def _main(loaded: Loaded, ready: Callable[[App], None], roles: frozenset[str], domains: frozenset[str]) -> int:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(report_stray)
    app = App(loaded, roles=roles, domains=domains)
    mask_also(app.masking.house)
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    try:
        await _started(app, stopping)
    except (RouterError, OSError) as error:
        print(f"switchboard: cannot start: {error}", file=sys.stderr)
        await app.stop()
        return 1
    ready(app)
    _tell_systemd("READY=1")
    await _first(stopping, app.fatal)
    _tell_systemd("STOPPING=1")
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _leave_now)
    await app.stop()
    return 1 if app.fatal.is_set() else 0


async def _started(app: App, stopping: asyncio.Event) -> None:
    """Raises what `App.start` raises.

    Told to stop meanwhile it has a moment to come to its end, and is left then: the thread that waits for a journal
    cannot be called back. As after any kill, what was answered is durable, and a lease ends by itself.
    """
    starting, told = asyncio.ensure_future(app.start()), asyncio.ensure_future(stopping.wait())
    await asyncio.wait((starting, told), return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not starting.done():
        await asyncio.wait((starting,), timeout=STARTING_LEFT_S)
    if not starting.done():
        log.warning("Stopped while it started", action="stopped_early")
        os._exit(0)
    await starting


async def _first(*events: asyncio.Event) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()


def _leave_now() -> None:
    """Told twice: whoever says so means it. What is durable is durable, what is not was not answered."""
    os._exit(130)


def _tell_systemd(state: str) -> None:
    """sd_notify(3): one datagram to the socket named by NOTIFY_SOCKET, if there is one."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect("\0" + address[1:] if address.startswith("@") else address)
        s.sendall(state.encode())
