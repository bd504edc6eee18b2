"""How long a takeover took, by what the processes themselves wrote down.

The clients of the laboratory wait for processors like everybody else, so when they find a door open says more about the
machine than about the house. Measured is what the house did: from the fault, or from the end of the lease if that came
later (Redis says when that is), until the last of these lines in the logs:

    leads   the doors of the process that took over are open
    writes  the log has its first records: from then on commands are acknowledged
    linked  each edge that lives has found it

`starved_s` is what the kernel counted while that process was ready to run and had no processor (schedstat): time that
belongs to the machine. A takeover is late when it took longer without it than is promised.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.faults.cluster import Member
    from tests.support.redis import RedisServer

PROMISED_S = 2.0  # beyond the lease
DONE = ("leads", "writes")
LINKED = ("linked",)
WHOLE = "after the fault"


class Takeover(NamedTuple):
    """Seconds."""

    way: str
    fault_s: float  # from the fault until everything was served again
    free_s: float  # of it, after the lease could be taken
    starved_s: float  # of that, without a processor

    @property
    def late(self) -> bool:
        return self.free_s - self.starved_s > PROMISED_S

    def __str__(self) -> str:
        return (
            f"after {self.way}: {self.fault_s:.2f} s, {self.free_s:.2f} s of it after the lease had ended, "
            f"{self.starved_s:.2f} s of that without a processor"
        )


class Spread(NamedTuple):
    """Of several, in seconds: the nearest that was measured, so the p99 of fewer than a hundred is the longest."""

    p50: float
    p99: float
    longest: float


def spread(seconds: Iterable[float]) -> Spread:
    """Of at least one."""
    found = sorted(seconds)
    return Spread(*(round(found[math.ceil(share * len(found)) - 1], 3) for share in (0.5, 0.99, 1.0)))


def spreads(takeovers: Sequence[Takeover]) -> dict[str, Spread]:
    """After the fault; after the lease had ended; of that without what the machine took, by which each is judged."""
    return {
        WHOLE: spread(one.fault_s for one in takeovers),
        "after the lease": spread(one.free_s for one in takeovers),
        "of that, with a processor": spread(one.free_s - one.starved_s for one in takeovers),
    }


class Watch:
    """From a fault to the end of what it made necessary. `who` takes over; `edges` must find it."""

    def __init__(
        self, way: str, redis: RedisServer, key: str, lease_s: float, who: Member, edges: Iterable[Member]
    ) -> None:
        self.way = way
        self._began_s = time.time()
        self._who, self._edges = who, tuple(edges)
        # When the leader can renew it no longer; a lease that is gone already could be taken at once. None lasts longer
        # than it is given for, whatever somebody does to Redis's clock.
        left_ms = min(max(0, redis.command("PTTL", key)), lease_s * 1_000)
        self._free_s = self._began_s + left_ms / 1_000
        self._starved_s = 0.0
        self._sampling = asyncio.create_task(self._sample())

    async def _sample(self) -> None:
        """What it waited before it could do anything does not count."""
        await asyncio.sleep(self._free_s - time.time())
        self._starved_s = starved_s(self._who.pid)

    def over(self) -> Takeover:
        """When everything is served: what it took."""
        starved = starved_s(self._who.pid) - self._starved_s if self._sampling.done() else 0.0
        self._sampling.cancel()
        ends = [said_at(self._who.log, self._began_s, action) for action in DONE]
        ends += [said_at(edge.log, self._began_s, action) for edge in self._edges for action in LINKED]
        end_s = max(ends)
        free_s = max(0.0, end_s - self._free_s)
        return Takeover(self.way, end_s - self._began_s, free_s, min(starved, free_s))


def said_at(log: Path, since_s: float, action: str) -> float:
    """When the last line of that kind was written, in Unix seconds; `since_s` if there is none after it."""
    found = [at for at, line in lines(log) if line.get("action") == action and at >= since_s]
    return found[-1] if found else since_s


def lines(log: Path) -> Iterator[tuple[float, dict[str, object]]]:
    for line in log.read_text().splitlines():
        with contextlib.suppress(ValueError, KeyError):  # a line that is being written, a word of a library
            said = json.loads(line)
            yield datetime.fromisoformat(said["at"]).timestamp(), said


def starved_s(pid: int) -> float:
    """How long its threads waited for a processor so far; 0 where the kernel does not say."""
    total = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[1])
    return total / 1e9
