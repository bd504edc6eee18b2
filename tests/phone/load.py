"""`./run calls`: a contact centre under load, with real telephones, and every call counted on four sides.

SIPp callers ring Kamailio, Kamailio parks them and tells the daemon, a hundred agents' clients accept what they are
offered, and SIPp answers for their telephones. Some callers have no patience. The daemon may be killed in the middle
(kill -9) and started again.

Each side keeps its own book, by the call's name and in its own words:

    callers      SIPp's log                 talks, left (gave up), late (gave up while it was being answered)
    gateway      Kamailio's trace           what it told, what it was ordered, when
    router       the journal                arrived, connected, ended
    telephones   SIPp's log                 rings, answers, free, stops

`held` compares the books. A call is good if it was answered by one telephone, once, or left by its caller, and all
four say so. Nothing here looks into the daemon.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.phone.sip import MISSING, SCENARIOS, Child, SipGateway, udp_port_is_taken
from tests.support.ports import free_ports
from tests.system.clients import GONE, Agent
from tests.system.daemon import CONFIG, Daemon

Json = dict[str, Any]
LONGEST_S = 7_200


@dataclass(frozen=True)
class Plan:
    """One run. With the defaults about 200 callers wait at once, and some two thousand of 6000 lose patience."""

    rate: float = 20.0  # new calls a second
    seconds: float = 300.0
    agents: int = 100
    backlog: int = 200  # callers who are there before the agents come
    hasty: float = 0.3  # of the callers: those who give up
    patience_s: tuple[float, ...] = (2, 5, 8, 11, 14, 17, 20)  # theirs, in equal shares
    talk_s: float = 5.3
    ring_s: float = 0.1
    kill_at_s: float = 0.0  # when the router is killed; 0: it is not
    away_s: float = 10.0


@dataclass
class Book:
    """What became of one call, as one side has it."""

    said: Counter[str] = field(default_factory=Counter)
    at_s: dict[str, float] = field(default_factory=dict)  # the first of each
    who: str = ""

    def add(self, word: str, at_s: float, who: str = "") -> None:
        self.said[word] += 1
        self.at_s.setdefault(word, at_s)
        self.who = who or self.who


Books = dict[str, Book]  # by the call's name


@dataclass
class Result:
    """What four sides say, what does not fit, and how long a free agent waited for the next call."""

    counts: dict[str, dict[str, int]]
    problems: list[str]
    waits_ms: dict[str, list[float]]
    most_waiting: int
    seconds: float

    def figures(self) -> Json:
        return {
            "counts": self.counts,
            "problems": len(self.problems),
            "most_waiting": self.most_waiting,
            "seconds": round(self.seconds, 1),
            "ms": {name: _spread(found) for name, found in self.waits_ms.items()},
        }


def _spread(found: Sequence[float]) -> Json:
    if len(found) < 2:
        return {"count": len(found)}
    cut = statistics.quantiles(found, n=100, method="inclusive")
    return {"count": len(found), "p50": round(cut[49], 1), "p99": round(cut[98], 1), "max": round(max(found), 1)}


# --- the parts --------------------------------------------------------------------------------------------------------


class Telephones(Child):
    """One SIPp that plays many callers, or all telephones."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder / f"{name}.log")
        self.folder, self.name = folder, name
        self.book = folder / f"{name}.book"

    async def play(self, port: int, scenario: str, values: dict[str, int], *options: str, to: int = 0) -> None:
        text = (SCENARIOS / f"{scenario}.xml").read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        path = self.folder / f"{self.name}.xml"
        path.write_text(text)
        [media] = free_ports(1)
        await self.launch(
            *("sipp", *([f"127.0.0.1:{to}"] if to else []), "-sf", str(path), "-i", "127.0.0.1", "-p", str(port)),
            *("-mp", str(media), "-nostdin", "-trace_logs", "-log_file", str(self.book), "-l", "15000"),
            *("-timeout", str(LONGEST_S), "-trace_err", "-error_file", str(self.folder / f"{self.name}.err"), *options),
            cwd=self.folder,
        )
        if not to:
            async with asyncio.timeout(10):
                while not udp_port_is_taken(port):
                    assert self.process.returncode is None, self.said()[-3_000:]
                    await asyncio.sleep(0.02)

    def lines(self) -> Iterator[list[str]]:
        if self.book.exists():
            for line in self.book.read_text(errors="replace").splitlines():
                yield line.split()


class Worker(Agent):
    """An agent who takes whatever is offered, at once, and comes back whenever the server does."""

    async def serve(self) -> None:
        while True:
            with contextlib.suppress(*GONE):
                await self.sign_in()
                if self.state != "ready":
                    await self.ready()
                await self._shift()
            await asyncio.sleep(0.2)

    async def _shift(self) -> None:
        while self.connected:
            changed = self.changed
            for offer in list(self.offers):
                await self.ask("accept", offer=offer)
            for name, item in list(self.work.items()):
                if item["state"] == "wrap-up":
                    await self.ask("finish_wrap_up", interaction=name)
            await changed.wait()


class Centre:
    """Gateway, daemon, callers, agents and their telephones, in a folder of its own."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self.names = [f"a{n}" for n in range(plan.agents)]
        [http, sockets] = free_ports(2)
        hook = f"http://127.0.0.1:{http}/v1/phone/kamailio/events"
        self.gateway = SipGateway(folder, hook, TRACE="1", SHARED_MB="256", LONGEST_S=str(LONGEST_S))
        self.telephones = Telephones(folder, "telephones")
        self.callers: list[Telephones] = []
        [self.phone_port] = free_ports(1)
        self.daemon = Daemon(folder / "data", self._env(http, sockets), self._config())
        self.workers: list[Worker] = []
        self._tasks: list[asyncio.Task[None]] = []

    def _env(self, http: int, sockets: int) -> dict[str, str]:
        return {
            "SWITCHBOARD__HTTP__PORT": str(http),
            "SWITCHBOARD__SOCKETS__PORT": str(sockets),
            "SWITCHBOARD__PHONE__GATEWAYS__KAMAILIO__CONTROL_URL": self.gateway.control_url,
        }

    def _config(self) -> Path:
        """The demo's own, with more agents."""
        text = CONFIG.read_text()
        tokens = "".join(f'dev-{name} = "{name}"\n' for name in self.names)
        text, count = re.subn(r"(?m)^\[agent_link\.tokens\]\n", lambda found: found[0] + tokens, text)
        assert count == 1
        for name in self.names:
            text += f'\n[agents.{name}]\nendpoint = "sip:{name}@127.0.0.1:{self.phone_port}"\n'
            text += 'skills = { support = 5 }\nlanguages = ["en"]\n'
        path = self.folder / "centre.toml"
        path.write_text(text)
        return path

    async def open(self) -> None:
        await self.gateway.start()
        await self.daemon.start()
        await self.telephones.play(
            self.phone_port, "load_agent", {"RING_MS": int(self.plan.ring_s * 1_000)}, "-m", "1000000"
        )

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self.workers:
            await worker.cut()
        for child in (*self.callers, self.telephones, self.gateway):
            await child.kill()
        self.daemon.kill()
        await self.daemon.close()

    async def call(self, count: int, rate: float, patience_s: float = LONGEST_S) -> None:
        """So many callers, one after another."""
        caller = Telephones(self.folder, f"callers-{len(self.callers)}")
        self.callers.append(caller)
        values = {"PATIENCE_MS": int(patience_s * 1_000)}
        every_ms = max(1, round(1_000 / rate))
        options = ("-s", "support", "-m", str(count), "-r", "1", "-rp", str(every_ms))
        [port] = free_ports(1)
        talk = ("-d", str(int(self.plan.talk_s * 1_000)))
        await caller.play(port, "load_caller", values, *options, *talk, to=self.gateway.sip_port)

    def staff(self) -> None:
        for name in self.names:
            worker = Worker(name, self.daemon.socket)
            self.workers.append(worker)
            self._tasks.append(asyncio.create_task(worker.serve()))

    async def waiting(self) -> int:
        status, body = await self.daemon.get("/v1/queues")
        assert status == 200, body
        return sum(int(queue["waiting"]) for queue in body["queues"])


# --- the run ----------------------------------------------------------------------------------------------------------


async def run(plan: Plan, folder: Path) -> Result:
    """Raises AssertionError where a part does not even start."""
    centre = Centre(plan, folder)
    began = time.monotonic()
    try:
        await centre.open()
        most = await _work(centre)
    finally:
        await centre.close()
    return judged(centre, most, time.monotonic() - began)


async def _work(centre: Centre) -> int:
    """The most who waited at once."""
    plan, most = centre.plan, 0
    hasty = int(plan.rate * plan.seconds * plan.hasty / len(plan.patience_s))
    patient = int(plan.rate * plan.seconds) - hasty * len(plan.patience_s)
    if plan.backlog:
        await centre.call(plan.backlog, rate=100)
        async with asyncio.timeout(30):
            while await centre.waiting() < plan.backlog:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    await centre.call(patient, patient / plan.seconds)
    if hasty:
        for patience_s in plan.patience_s:
            await centre.call(hasty, hasty / plan.seconds, patience_s)
    centre.staff()
    began = time.monotonic()
    killed = not plan.kill_at_s
    calls = [asyncio.create_task(caller.ended(LONGEST_S)) for caller in centre.callers]
    while not all(call.done() for call in calls):
        if not killed and time.monotonic() - began >= plan.kill_at_s:
            killed = True
            centre.daemon.kill()
            await asyncio.sleep(plan.away_s)
            await centre.daemon.start()
        most = max(most, await centre.waiting())
        await asyncio.sleep(0.5)
    await _settled(centre)
    return most


async def _settled(centre: Centre) -> None:
    """Until the router has heard of every end, and the agents of theirs."""
    async with asyncio.timeout(60):
        while any(worker.work or worker.offers for worker in centre.workers):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        while await centre.daemon.interactions("queued") or await centre.daemon.interactions("active"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


# --- the books --------------------------------------------------------------------------------------------------------


def book_of_telephones(parts: Sequence[Telephones]) -> Books:
    books: Books = defaultdict(Book)
    for part in parts:
        for word, call, s, us, *who in part.lines():
            books[call].add(word, float(s) + float(us) / 1e6, who[0] if who else "")
    return books


def book_of_gateway(gateway: SipGateway) -> Books:
    books: Books = defaultdict(Book)
    for word, at_s, call, what in re.findall(r"trace (told|ordered) ([0-9.]+) (\S+) (\S+)", gateway.said()):
        books[call].add(what if word == "told" else f"order-{what}", float(at_s))
    return books


@dataclass
class Journal:
    """What the router wrote down: books by call, and when each agent was free."""

    calls: Books = field(default_factory=lambda: defaultdict(Book))
    numbers: dict[int, str] = field(default_factory=dict)  # interaction -> call
    freed: list[tuple[str, int, float]] = field(default_factory=list)  # agent, the next offer's interaction, when
    free_s: dict[str, float] = field(default_factory=dict)
    open_offers: set[int] = field(default_factory=set)

    def read(self, record: Json) -> None:
        kind, event, at_s = record["type"], record["event"], record["at_ms"] / 1_000
        if kind == "arrived":
            self.numbers[event["interaction"]] = event["threads"][0].removeprefix("phone.kamailio:")
        call = self.calls[self.numbers[event["interaction"]]] if event.get("interaction") in self.numbers else None
        if kind == "offer-made":
            self.open_offers.add(event["offer"])
        elif kind.startswith("offer-"):
            self.open_offers.discard(event["offer"])
        if kind in ("wrap-up-finished", "connect-failed") or (kind == "ended" and not event["wrap_up"]):
            self.free_s[event["agent"]] = at_s
        if call is None:
            return
        call.add(kind if kind != "ended" else f"ended-{event['reason']}", at_s, event.get("agent", ""))
        if kind == "offer-accepted" and (since := self.free_s.pop(event["agent"], None)) is not None:
            self.freed.append((event["agent"], event["interaction"], since))


def judged(centre: Centre, most: int, seconds: float) -> Result:
    journal = Journal()
    for record in centre.daemon.export():
        journal.read(record)
    callers, phones = book_of_telephones(centre.callers), book_of_telephones([centre.telephones])
    gateway = book_of_gateway(centre.gateway)
    problems = [*_differences(callers, gateway, journal.calls, phones)]
    problems += [f"offer {offer} is still open" for offer in sorted(journal.open_offers)]
    problems += [f"{worker.name}: {fault}" for worker in centre.workers for fault in worker.faults]
    problems += [
        f"{caller.name} ended with {caller.process.returncode}"
        for caller in centre.callers
        if caller.process.returncode
    ]
    problems += centre.daemon.troubles() + centre.gateway.troubles()
    counts = {
        name: dict(sorted(sum((book.said for book in books.values()), Counter()).items()))
        for name, books in (
            ("callers", callers),
            ("gateway", gateway),
            ("router", journal.calls),
            ("telephones", phones),
        )
    }
    return Result(counts, problems, _waits(gateway, journal, phones), most, seconds)


def _differences(callers: Books, gateway: Books, router: Books, phones: Books) -> Iterator[str]:
    """Every call on which the four do not agree, or of which one has another idea than it should."""
    for call in sorted({*callers, *gateway, *router, *phones}):
        books = [books.get(call, Book()) for books in (callers, gateway, router, phones)]
        if why := wrong(*books):
            yield f"{call}: {why}: " + "; ".join(f"{dict(book.said)}" for book in books)


def wrong(caller: Book, gateway: Book, router: Book, phone: Book) -> str:
    if caller.said["talks"] + caller.said["left"] + caller.said["late"] != 1:
        return "no end for its caller, or more than one"
    if (gateway.said["offered"], router.said["arrived"]) != (1, 1):
        return "not come exactly once"
    if sum(count for word, count in router.said.items() if word.startswith("ended-")) != 1:
        return "not ended exactly once"
    answered = caller.said["talks"] + caller.said["late"]
    if (phone.said["answers"], gateway.said["answered"]) != (answered, answered):
        return "answered by no telephone, or more than one"
    if caller.said["talks"] and (router.said["connected"], router.said["ended-customer-left"]) != (1, 1):
        return "not connected exactly once"
    if caller.said["talks"] and phone.who != router.who:
        return f"answered by {phone.who}, while {router.who} had it"
    if caller.said["left"] and not gateway.said["abandoned"]:
        return "left, and nobody told"
    return ""


def _waits(gateway: Books, journal: Journal, phones: Books) -> dict[str, list[float]]:
    """Milliseconds; of agents who became free while somebody waited, and of every call's parts."""
    waits: dict[str, list[float]] = defaultdict(list)
    for _, number, free_s in journal.freed:
        call = journal.numbers[number]
        book, phone = journal.calls[call], phones.get(call)
        if phone is not None and "rings" in phone.at_s and book.at_s["arrived"] < free_s:
            waits["free to INVITE"].append((phone.at_s["rings"] - free_s) * 1_000)
    for call, phone in phones.items():
        told, book = gateway[call], journal.calls[call]
        if "order-connect" in told.at_s and "rings" in phone.at_s:
            waits["order to INVITE (gateway)"].append((phone.at_s["rings"] - told.at_s["order-connect"]) * 1_000)
            waits["accepted to order (router)"].append(
                (told.at_s["order-connect"] - book.at_s["offer-accepted"]) * 1_000
            )
        if "ended" in told.at_s and "ended-customer-left" in book.at_s:
            waits["hung up to recorded (gateway)"].append(
                (book.at_s["ended-customer-left"] - told.at_s["ended"]) * 1_000
            )
    return waits


# --- the command ------------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="./run calls",
        description="Real calls through a SIP gateway at a rate, counted on four sides. The last line is JSON.",
        epilog="Example: ./run calls --rate 20 --seconds 300 --kill-at 150",
    )
    usual = Plan()
    parser.add_argument("--rate", type=float, default=usual.rate, help="new calls a second (default %(default)g)")
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="for how long (default %(default)g)")
    parser.add_argument("--agents", type=int, default=usual.agents, help="(default %(default)d)")
    parser.add_argument("--backlog", type=int, default=usual.backlog, help="callers before them (default %(default)d)")
    parser.add_argument("--talk", type=float, default=usual.talk_s, help="seconds of talk (default %(default)g)")
    parser.add_argument(
        "--kill-at", type=float, default=0, metavar="S", help="kill -9 of the router then (default never)"
    )
    parser.add_argument(
        "--away", type=float, default=usual.away_s, metavar="S", help="for so long (default %(default)g)"
    )
    parser.add_argument("--keep", action="store_true", help="keep logs, and say where")
    asked = parser.parse_args()
    if MISSING:
        print(f"not installed: {', '.join(MISSING)} (see deploy/kamailio/README.md)", file=sys.stderr)
        return 1
    plan = Plan(
        rate=asked.rate,
        seconds=asked.seconds,
        agents=asked.agents,
        backlog=asked.backlog,
        talk_s=asked.talk,
        kill_at_s=asked.kill_at,
        away_s=asked.away,
    )
    folder = Path(tempfile.mkdtemp(prefix="switchboard-calls-"))
    result = asyncio.run(run(plan, folder))
    for problem in result.problems[:50]:
        print(problem, file=sys.stderr)
    if asked.keep or result.problems:
        print(f"kept: {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(result.figures()))
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
