"""Load generators for a house of several edges: each is a process of its own and prints one line of JSON.

    python -m router.bench.crowd notes ESTATE AGENTS SECONDS PROFILED
    python -m router.bench.crowd path ESTATE AGENTS WINDOW SECONDS RATE PROFILED
    python -m router.bench.crowd held ESTATE SOCKETS RATE SECONDS
    python -m router.bench.crowd still ESTATE SECONDS

ESTATE is what `estate.Estate.told` says. Clients are spread evenly over the edges that it names. Figures are of each
process by its name: CPU for one message or interaction (`us.edge-1`), cores that it kept busy, memory.

A client's address and port, and the server's, make a connection; one address has some 28,000 ports. So clients come
from one address for each thousand of them (127.0.0.1, 127.0.0.2 ...), as they would from as many offices. Where the
system routes 127.0.0.0/8 otherwise, all of them come from the one that it gives.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import redis
from msgspec import Struct

from router.bench.house import token
from router.bench.load import (
    CUSTOMERS,
    RUN,
    WARM_S,
    Path,
    Socket,
    Web,
    between,
    connect_web,
    fail,
    note,
    product_dialect,
    signed_requests,
)
from router.bench.measure import Meter, quantile, rss_kib, run_loop

SAME_ADDRESS = 1_000  # clients that come from one address
AT_ONCE = 64  # handshakes under way
END_S = 20.0  # for what is under way when enough was measured
BIND_LATE = 24  # IP_BIND_ADDRESS_NO_PORT of ip(7): the port is chosen when it is known where to
STATES = {
    True: b'{"type":"set_state","id":"%d","state":"ready"}',
    False: b'{"type":"set_state","id":"%d","state":"not_ready"}',
}


# Of INFO: bytes of the log in memory and in the append-only file, and what passes the network.
REDIS_SAYS = {
    "memory": "used_memory",
    "file": "aof_current_size",
    "in": "total_net_input_bytes",
    "out": "total_net_output_bytes",
}


class Told(Struct):
    """What `estate.Estate.told` says."""

    pids: dict[str, int]
    edges: list[tuple[int, int]]  # ports of HTTP and of sockets
    redis: str = ""  # the path of its socket; "" without one


Heard = Callable[[Socket, bytes], None]


# --- coming -----------------------------------------------------------------------------------------------------------


async def seat(port: int, number: int, heard: Heard) -> Socket:
    """One more agent's connection, from the address of their thousand."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    with contextlib.suppress(OSError):  # it goes without: from one address
        sock.setsockopt(socket.IPPROTO_IP, BIND_LATE, 1)
        sock.bind((f"127.0.0.{1 + number // SAME_ADDRESS}", 0))
    await loop.sock_connect(sock, ("127.0.0.1", port))
    found = (await loop.create_connection(lambda: Socket(heard), sock=sock))[1]
    await found.ready
    return found


class Crowd:
    """Agents who come to one edge after another: those of `numbers` to this edge, welcomed, ready or not."""

    def __init__(self, heard: Heard) -> None:
        self.seats: list[Socket] = []
        self.heard = heard
        self._missing = 0
        self._all: asyncio.Future[None] | None = None

    async def come(self, port: int, numbers: range, ready: bool) -> None:
        self._missing = 2 * len(numbers)
        self._all = asyncio.get_running_loop().create_future()
        gate = asyncio.Semaphore(AT_ONCE)
        new = await asyncio.gather(*(self._one(port, number, ready, gate) for number in numbers))
        await self._all
        for one in new:
            one.heard = self.heard
        self.seats += new

    async def _one(self, port: int, number: int, ready: bool, gate: asyncio.Semaphore) -> Socket:
        async with gate:
            found = await seat(port, number, self._joining)
            found.say(b'{"type":"hello","token":"%b"}' % token(number).encode())
            found.say(STATES[ready] % RUN)
            return found

    def _joining(self, one: Socket, text: bytes) -> None:
        if text.startswith(b'{"type":"error"'):
            fail(f"an agent was refused: {text!r}")
        if text.startswith((b'{"type":"welcome"', b'{"type":"ok"')):
            self._missing -= 1
            if not self._missing and self._all is not None:
                self._all.set_result(None)


def shares(count: int, parts: int) -> Iterator[range]:
    """`count` numbers in so many runs of nearly the same length."""
    for part in range(parts):
        yield range(count * part // parts, count * (part + 1) // parts)


async def gather(told: Told, agents: int, heard: Heard, ready: bool) -> Crowd:
    crowd = Crowd(heard)
    for (_, sockets), numbers in zip(told.edges, shares(agents, len(told.edges)), strict=True):
        await crowd.come(sockets, numbers, ready)
    return crowd


# --- measuring --------------------------------------------------------------------------------------------------------


class Gauge:
    """A `Meter` of every process of the estate by its name, and of this one. Sampled ones are told when it measures."""

    def __init__(self, told: Told, profiled: bool = False) -> None:
        self._told, self._profiled = told, profiled
        self._meter = Meter(*told.pids.values(), os.getpid())
        self._redis = redis.Redis(unix_socket_path=told.redis) if told.redis else None
        self._kept = self._keeps()
        self._grew: dict[str, int] = {}

    def _keeps(self) -> dict[str, int]:
        """What Redis has had to keep and to send."""
        if self._redis is None:
            return {}
        told = cast("dict[str, int]", self._redis.info())
        return {name: told[field] for name, field in REDIS_SAYS.items()}

    def __enter__(self) -> Gauge:
        self._kept = self._keeps()
        self._signal()
        self._meter.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._meter.__exit__(*exc)
        self._signal()
        self._grew = {name: value - self._kept[name] for name, value in self._keeps().items()}

    def _signal(self) -> None:
        if self._profiled:
            for name, pid in self._told.pids.items():
                if name != "redis":
                    os.kill(pid, signal.SIGUSR2)

    def figures(self, done: int, **more: float) -> dict[str, float]:
        meter = self._meter
        found = {"rate": done / meter.wall, "foreign": meter.foreign, **more}
        for name, used in zip([*self._told.pids, "clients"], meter.cpu, strict=True):
            found[f"busy.{name}"] = used / meter.wall
            found[f"us.{name}"] = used / done * 1e6 if done else 0.0
        for name, grew in self._grew.items():
            found[f"redis.{name}"] = grew / done if done else float(grew)
        return found


def say(found: dict[str, float]) -> None:
    print(json.dumps(found), flush=True)
    os._exit(0)  # many sockets: the kernel closes them quicker


# --- what is measured -------------------------------------------------------------------------------------------------


async def notes(told: Told, agents: int, seconds: float, profiled: bool) -> None:
    """Agents write notes on an interaction that waits, each one the next when it has the answer to the last."""
    interaction = await _waiting(told)
    ids = itertools.count()
    sent: dict[Socket, float] = {}
    took: list[float] = []

    def write(one: Socket) -> None:
        sent[one] = time.perf_counter()
        one.say(note(b"%d-%d" % (RUN, next(ids)), interaction))

    def heard(one: Socket, answer: bytes) -> None:
        if not answer.startswith(b'{"type":"ok"'):
            fail(f"a note was not taken: {answer[:300]!r}")
        took.append(time.perf_counter() - sent[one])
        taken[at[one]] += 1
        write(one)

    crowd = await gather(told, agents, heard, ready=False)
    parts = enumerate(shares(len(crowd.seats), len(told.edges)), 1)
    at = {crowd.seats[number]: edge for edge, numbers in parts for number in numbers}
    taken = dict.fromkeys(at.values(), 0)
    await asyncio.sleep(WARM_S)  # until everybody was told of their own session and state
    for one in crowd.seats:
        write(one)
    await asyncio.sleep(WARM_S)
    took.clear()
    with Gauge(told, profiled) as gauge:
        await asyncio.sleep(seconds)
        done = len(took)
    found = {f"taken.edge-{edge}": float(count) for edge, count in taken.items()}
    say(gauge.figures(done, p50_us=quantile(took, 0.5) * 1e6, p99_us=quantile(took, 0.99) * 1e6, **found))


async def _waiting(told: Told) -> bytes:
    posted: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    (web,) = await connect_web(
        told.edges[0][0], 1, lambda web, data: posted.set_result(between(data, b'"interaction":"', b'"'))
    )
    web.post(next(signed_requests()))
    return await posted


async def path(told: Told, agents: int, window: int, seconds: float, rate: float, profiled: bool) -> None:
    """The whole path, webhook to completion, over the edges named. It leaves nothing behind: others come after it."""
    taken = Path(signed_requests(), 0 if rate else window)
    answered, heard = product_dialect(taken)
    await gather(told, agents, heard, ready=True)
    for http, _ in told.edges:
        taken.idle += await connect_web(http, CUSTOMERS // len(told.edges), answered)
    clock = asyncio.ensure_future(_by_the_clock(taken, rate)) if rate else None
    taken.pump()
    await asyncio.sleep(WARM_S)
    taken.latencies.clear()
    before = taken.done
    with Gauge(told, profiled) as gauge:
        await asyncio.sleep(seconds)
        done, latencies = taken.done - before, list(taken.latencies)
    if clock is not None:
        clock.cancel()
    taken.window = 0
    async with asyncio.timeout(END_S):
        while taken.in_flight:  # noqa: ASYNC110 - another process has no event on our loop
            await asyncio.sleep(0.01)
    p50, p99 = (quantile(latencies, q) * 1e6 for q in (0.5, 0.99))
    say(gauge.figures(done, p50_us=p50, p99_us=p99))


async def _by_the_clock(taken: Path, rate: float) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number in itertools.count():
        await asyncio.sleep(max(0.0, start + number / rate - loop.time()))
        if taken.idle:
            taken.post()


class Offers:
    """Contacts that come by the clock: how long until somebody hears the offer, and how many were done."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self.ids = itertools.count()
        self._posted: dict[bytes, float] = {}
        self._heard: dict[bytes, float] = {}  # offered before the webhook was answered
        self.ended = 0
        self.told = self.bytes = 0  # messages to agents, answers excepted

    def answered(self, web: Web, data: bytes) -> None:
        self._pair(between(data, b'"interaction":"', b'"'), posted=web.sent)

    def heard(self, one: Socket, text: bytes) -> None:
        if not text.startswith(b'{"type":"ok"'):
            self.told += 1
            self.bytes += len(text)
        if text.startswith(b'{"type":"offer"'):
            now, offer = time.perf_counter(), between(text, b'"offer":"', b'"')
            one.say(b'{"type":"accept","id":"%d-%d","offer":"%b"}' % (RUN, next(self.ids), offer))
            self._pair(between(text, b'"interaction":{"id":"', b'"'), heard=now)
        elif text.startswith(b'{"type":"assigned"'):
            mine = between(text, b'"interaction":{"id":"', b'"')
            one.say(b'{"type":"complete","id":"%d-%d","interaction":"%b"}' % (RUN, next(self.ids), mine))
        elif text.startswith(b'{"type":"interaction_ended"'):
            self.ended += 1
        elif not text.startswith((b'{"type":"ok"', b'{"type":"state"')):
            fail(f"an agent was told: {text[:300]!r}")

    def _pair(self, interaction: bytes, posted: float = 0.0, heard: float = 0.0) -> None:
        posted = posted or self._posted.pop(interaction, 0.0)
        heard = heard or self._heard.pop(interaction, 0.0)
        if posted and heard:
            self.took.append(heard - posted)
        elif posted:
            self._posted[interaction] = posted
        else:
            self._heard[interaction] = heard


async def held(told: Told, sockets: int, rate: float, seconds: float) -> None:
    """So many agents, held over the edges; what a socket costs each process, and offers to them while all are held."""
    offers = Offers()
    crowd = Crowd(offers.heard)
    found: dict[str, float] = {}
    base = memory = _memory(told)
    began = time.perf_counter()
    for number, ((_, port), numbers) in enumerate(zip(told.edges, shares(sockets, len(told.edges)), strict=True), 1):
        await crowd.come(port, numbers, ready=True)
        await asyncio.sleep(WARM_S)
        after = _memory(told)
        found |= {f"kib.at-{number}.{name}": (after[name] - memory[name]) / len(numbers) for name in after}
        memory = after
    found["sign_in_s"] = time.perf_counter() - began
    found |= {f"rss.{name}": float(kib) for name, kib in memory.items()}
    found |= {f"base.{name}": float(kib) for name, kib in base.items()}
    with Gauge(told) as idle:
        await asyncio.sleep(seconds)
    found |= {f"idle_{name}": value for name, value in idle.figures(0).items() if name.startswith("busy.")}
    webs = [web for http, _ in told.edges for web in await connect_web(http, CUSTOMERS, offers.answered)]
    requests = signed_requests()
    loop = asyncio.get_running_loop()
    count = max(1, round(rate * seconds))
    with Gauge(told) as gauge:
        start = loop.time()
        for number in range(count):
            await asyncio.sleep(max(0.0, start + number / rate - loop.time()))
            webs[number % len(webs)].post(next(requests))
        async with asyncio.timeout(END_S):
            while offers.ended < count:  # noqa: ASYNC110 - another process has no event on our loop
                await asyncio.sleep(0.01)
    if len(offers.took) != count:
        fail(f"{count} contacts came, {len(offers.took)} were offered")
    p50, p99 = (quantile(offers.took, q) * 1e6 for q in (0.5, 0.99))
    found |= {"held": float(len(crowd.seats)), "message_bytes": offers.bytes / offers.told}
    say(gauge.figures(count, p50_us=p50, p99_us=p99, **found))


def _memory(told: Told) -> dict[str, int]:
    return {name: rss_kib(pid) for name, pid in told.pids.items()}


async def still(told: Told, seconds: float) -> None:
    """Nobody does anything: what each process does all the same, and how large it is."""
    with Gauge(told) as gauge:
        await asyncio.sleep(seconds)
    say(gauge.figures(0, **{f"rss.{name}": float(kib) for name, kib in _memory(told).items()}))


def _flag(word: str) -> bool:
    return word == "True"


KINDS: dict[str, tuple[Callable[..., Any], tuple[Callable[[str], Any], ...]]] = {
    "notes": (notes, (int, float, _flag)),
    "path": (path, (int, int, float, float, _flag)),
    "held": (held, (int, float, float)),
    "still": (still, (float,)),
}

if __name__ == "__main__":
    import msgspec

    run, types = KINDS[sys.argv[1]]
    estate = msgspec.json.decode(sys.argv[2], type=Told)
    run_loop(run(estate, *(kind(word) for kind, word in zip(types, sys.argv[3:], strict=True))), "uvloop")
