"""The cluster as data: a log with its fence, engines with leases, edges with commands, and faults, in virtual time.

    .venv/bin/python -m tests.faults.simulated --seeds 1000 [--first 1]

The engines are the production engine, the records the production codec's, the edges' copies follow as theirs do; what
is written anew here, in its plainest form, is everything between them: who leads, batches, links, what waits for what.
So thousands of bad days take minutes, no machine is too slow for them, and a seed that fails fails again.

A schedule (`faults_of`) is a list of `Fault`, made from the seed. A process that is stopped finds what came meanwhile;
one that is killed comes back with a clock that may be another one; of what was on a wire that is cut, half arrives when
it is mended and the rest never. Rules that must hold, whatever happens:

- the audit of the laboratory's ledgers finds nothing lost, doubled or stuck (`audit`), and streams have no gaps;
- who wrote, entry by entry, are leaders in the order in which they took the lease;
- every copy is what its records make of it, and the state at the end breaks no invariant of the engine.
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from router.engine import commands as c
from router.engine import invariants
from router.engine.config import Agent as AgentConfig
from router.engine.config import Channel, Config, Duration, Queue, Rule, to_bytes
from router.engine.engine import Engine
from router.engine.transitions import ACTIVE, CLOSED
from router.engine.views import Tell
from router.errors import ClientError
from router.journal import codec
from tests.faults.audit import audit
from tests.faults.world import Contact, Ledger

LEASE_MS = 1_500
TIMEOUT_MS = 1_000  # for an answer of the log
SILENT_BEATS = 10  # on a link, of ours
BEAT_MS = 100
LOOK_MS = 200
FAULTS_MS = 15_000  # so long things go wrong
LIMIT_MS = 120_000  # and after that everything must have come to its end
BEGIN_MS = 1_700_000_000_000
AGENTS = ("ana", "ben", "cem")
CUSTOMERS = 30
HOUSE = to_bytes(
    Config(
        channels={"phone": Channel()},
        queues={"support": Queue(offer_timeout=Duration(3_000), cool_off=Duration(1_000))},
        rules=(Rule(name="all", queue="support"),),
        agents={name: AgentConfig(name=name) for name in AGENTS},
    )
)

Call = Callable[[], None]


class Fault(NamedTuple):
    """At `at_ms`, for `for_ms`. `what`: kill, pause (also of the log), cut (between `who` and `whom`)."""

    at_ms: int
    what: str
    who: str
    for_ms: int
    whom: str = ""


def faults_of(seed: int) -> list[Fault]:
    """The schedule of a seed."""
    chance = random.Random(f"faults-{seed}")
    names = ["engine-1", "engine-2", "edge-1", "edge-2"]
    pairs = [(a, b) for a in ("engine-1", "engine-2") for b in ("log", "edge-1", "edge-2")] + [("edge-1", "log")]
    found = []
    for _ in range(chance.randint(3, 9)):
        at_ms, for_ms = chance.randrange(500, FAULTS_MS), chance.choice((50, 400, 1_200, 2_500, 4_000))
        what = chance.choice(("kill", "kill", "pause", "pause", "cut", "cut", "cut", "hang", "stall", "stall"))
        if what == "stall":  # a machine with an engine and an edge on it
            number = chance.choice((1, 2))
            found += [Fault(at_ms, "pause", f"{part}-{number}", for_ms) for part in ("engine", "edge")]
        elif what == "hang":
            found.append(Fault(at_ms, "pause", "log", for_ms))
        elif what == "cut":
            who, whom = chance.choice(pairs)
            found.append(Fault(at_ms, "cut", who, for_ms, whom))
        else:
            found.append(Fault(at_ms, what, chance.choice(names), for_ms))
    return sorted(found)


class Process:
    """Something that can be killed and stopped. Whatever runs in it runs by `after` or `World.send`."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.alive, self.paused = True, False
        self._life = 0
        self._waiting: list[tuple[int, Call]] = []

    def after(self, ms: int, call: Call) -> None:
        self.world.at(self.world.now_ms + ms, partial(self.run, self._life, call))

    @property
    def life(self) -> int:
        return self._life

    def run(self, life: int, call: Call) -> None:
        if life != self._life or not self.alive:
            return
        if self.paused:
            self._waiting.append((life, call))
        else:
            call()

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        waiting, self._waiting = self._waiting, []
        for life, call in waiting:
            self.run(life, call)

    def kill(self) -> None:
        self.alive, self.paused, self._life = False, False, self._life + 1
        self._waiting.clear()

    def start(self) -> None:
        self.alive = True


class Log(Process):
    """Redis, as `redis_scripts` use it. With `fenced=False` it forgets to look at the token: then rules must break."""

    def __init__(self, world: World, fenced: bool) -> None:
        super().__init__(world, "log")
        self.fenced = fenced
        self.records: list[bytes] = []
        self.epochs: list[int] = []  # of each record
        self.epoch, self.owner, self._until_ms = 0, "", 0

    def take(self, who: str) -> tuple[int, list[bytes]] | None:
        if self.owner not in ("", who) and self._until_ms > self.world.now_ms:
            return None
        self.epoch += 1
        self.owner, self._until_ms = who, self.world.now_ms + LEASE_MS
        return self.epoch, list(self.records)

    def renew(self, who: str, epoch: int) -> bool:
        if epoch == self.epoch:
            self.owner, self._until_ms = who, self.world.now_ms + LEASE_MS
        return epoch == self.epoch or not self.fenced

    def append(self, epoch: int, first: int, payloads: list[bytes]) -> bool:
        if epoch != self.epoch or first != len(self.records) + 1:
            return not self.fenced
        self.records += payloads
        self.epochs += [epoch] * len(payloads)
        return True


Done = Callable[[Any], None]  # with the Reply, a ClientError, or None: come back


@dataclass
class Batch:
    first: int
    payloads: list[bytes] = field(default_factory=list)
    answers: list[tuple[Callable[[Any], None], Any]] = field(default_factory=list)


class Link:
    """Between an engine and an edge, as long as both think so."""

    def __init__(self, engine: EngineProcess, edge: Edge) -> None:
        self.engine, self.edge = engine, edge
        self.sessions: dict[tuple[str, str], None] = {}
        self.silent_beats = 0  # counted, not timed: who was stopped finds what came meanwhile


class EngineProcess(Process):
    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.skew_ms = 0
        self.start()

    def start(self) -> None:
        super().start()
        self.leads, self.epoch, self._asked = False, 0, 0
        self.links: list[Link] = []
        self.skew_ms = self.world.chance.choice((0, 0, -3_000, 5_000))
        self.after(self.world.chance.randrange(LOOK_MS), self._look)

    # --- the lease ---

    def _look(self) -> None:
        self.after(LOOK_MS, self._look)
        if not self.leads:
            self._asked += 1
            self.world.ask(
                self, self.world.log, lambda: self.world.log.take(self.name), partial(self._took, self._asked)
            )

    def _took(self, asked: int, answer: tuple[int, list[bytes]] | None) -> None:
        if answer is None or self.leads or asked != self._asked:
            return
        self.epoch, records = answer
        self.engine = Engine(quiet=True)
        for payload in records:
            self.engine.apply(codec.decode(payload))
        self.engine.resume()
        self.leads = True
        self._in_flight: Batch | None = None
        self.durable = len(records)
        self._filling = Batch(len(records) + 1)
        self._renewed_ms = self.world.now_ms
        self.submit(c.Restart(), lambda outcome: None)
        self.submit(c.Configure(document=HOUSE), lambda outcome: None)
        self.after(LEASE_MS // 3, partial(self._renew, self.epoch))
        self.after(100, partial(self._tick, self.epoch))

    def _renew(self, epoch: int) -> None:
        if not self.leads or epoch != self.epoch:
            return
        self.after(LEASE_MS // 3, partial(self._renew, epoch))
        self.after(TIMEOUT_MS, partial(self._not_renewed, epoch))
        log = self.world.log
        self.world.ask(self, log, lambda: log.renew(self.name, epoch), partial(self._renewal, epoch))

    def _not_renewed(self, epoch: int) -> None:
        over = self.world.now_ms - self._renewed_ms >= LEASE_MS
        if self.leads and epoch == self.epoch and over and self.world.clocks:
            self._step_down()

    def _renewal(self, epoch: int, kept: bool) -> None:
        if not self.leads or epoch != self.epoch:
            return
        if kept:
            self._renewed_ms = self.world.now_ms
        else:
            self._step_down()

    def _step_down(self) -> None:
        """The engine in memory is void; whoever waits is told by the end of the link."""
        self.leads = False
        links, self.links = self.links, []
        for link in links:
            self.world.send(self, link.edge, partial(link.edge.lost, link))

    # --- commands ---

    def submit(self, command: c.AnyCommand, answer: Callable[[Any], None]) -> None:
        batch = self._filling
        try:
            out = self.engine.handle(command, BEGIN_MS + self.world.now_ms + self.skew_ms)
        except ClientError as refused:
            batch.answers.append((answer, refused))
        else:
            codec.write(batch.payloads, out.at_ms, out.key, out.events)
            batch.answers.append((answer, out.reply))
        self._hand_over()

    def _hand_over(self) -> None:
        batch = self._filling
        if self._in_flight is not None or not batch.answers:
            return
        self._filling = Batch(batch.first + len(batch.payloads))
        self._in_flight = batch
        if not batch.payloads:
            self._kept(self.epoch, batch, True)
            return
        epoch, log = self.epoch, self.world.log
        self.world.ask(
            self, log, lambda: log.append(epoch, batch.first, batch.payloads), partial(self._kept, epoch, batch)
        )
        self.after(TIMEOUT_MS, partial(self._late, batch))

    def _late(self, batch: Batch) -> None:
        if self.leads and self._in_flight is batch:
            self._step_down()

    def _kept(self, epoch: int, batch: Batch, kept: bool) -> None:
        if not self.leads or epoch != self.epoch or self._in_flight is not batch:
            return
        if not kept:
            self._step_down()
            return
        self._in_flight = None
        self.durable += len(batch.payloads)
        if batch.payloads:
            for link in self.links:
                self.world.send(self, link.edge, partial(link.edge.records, link, batch.first, batch.payloads))
        for answer, outcome in batch.answers:
            answer(outcome)
        self._hand_over()

    def _tick(self, epoch: int) -> None:
        if not self.leads or epoch != self.epoch:
            return
        due = self.engine.next_deadline_ms()
        if due is not None and due <= BEGIN_MS + self.world.now_ms + self.skew_ms:
            self.submit(c.Tick(), lambda outcome: None)
        for link in list(self.links):
            self.world.send(self, link.edge, partial(link.edge.beat, link))
            link.silent_beats += 1
            if link.silent_beats > SILENT_BEATS:
                self._unlink(link)
        self.after(BEAT_MS, partial(self._tick, epoch))

    # --- edges ---

    def hello(self, edge: Edge, greeting: int) -> None:
        if not self.leads:
            return
        for before in [link for link in self.links if link.edge is edge]:
            self._unlink(before)
        if self.leads:
            link = Link(self, edge)
            self.links.append(link)
            self.world.send(self, edge, partial(edge.welcome, link, greeting, self.durable))

    def heard(self, link: Link) -> None:
        link.silent_beats = 0

    def command(self, link: Link, number: int, command: c.AnyCommand) -> None:
        if link not in self.links:
            return
        self.heard(link)
        if isinstance(command, c.OpenSession):
            link.sessions[command.agent, command.session] = None
        self.submit(command, partial(self._answer, link, number))

    def _answer(self, link: Link, number: int, outcome: Any) -> None:
        if link in self.links:
            self.world.send(self, link.edge, partial(link.edge.answer, link, number, outcome))

    def _unlink(self, link: Link) -> None:
        self.links.remove(link)
        for agent, session in link.sessions:
            self.submit(c.CloseSession(agent=agent, session=session, reason="edge-lost"), lambda outcome: None)


class Edge(Process):
    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.start()

    def start(self) -> None:
        super().start()
        self.copy = Engine()
        self.link: Link | None = None
        self._silent_looks = 0
        self._pending: dict[int, Done] = {}
        self._count = self._greeting = 0
        self.after(self.world.chance.randrange(LOOK_MS), self._look)

    def _look(self) -> None:
        self.after(LOOK_MS, self._look)
        if self.link is not None:
            self.world.send(self, self.link.engine, partial(self.link.engine.heard, self.link))
            self._silent_looks += 1
            if self._silent_looks > SILENT_BEATS * BEAT_MS // LOOK_MS:
                self.lost(self.link)
        else:
            self.world.ask(self, self.world.log, lambda: self.world.log.owner, self._found)

    def _found(self, owner: str) -> None:
        engine = self.world.engines.get(owner)
        if engine is not None and self.link is None:
            self._greeting += 1
            self.world.send(self, engine, partial(engine.hello, self, self._greeting))

    def welcome(self, link: Link, greeting: int, seq: int) -> None:
        """What was missed is read from the log. Of several attempts the last one counts."""
        if self.link is not None or greeting != self._greeting:
            return
        have = self.copy.state.seq
        if have > seq and self.world.log.owner != link.engine.name:
            return  # it was stopped, and does not know yet that others lead
        if have > seq:
            self.world.broken.append(f"{self.name} had {have} records, {link.engine.name} only {seq}")
        self._follow(self.world.log.records[have:seq])
        self.link, self._silent_looks = link, 0

    def lost(self, link: Link) -> None:
        if link is not self.link:
            return
        self.link = None
        pending, self._pending = self._pending, {}
        for done in pending.values():
            done(None)

    def beat(self, link: Link) -> None:
        if link is self.link:
            self._silent_looks = 0

    def records(self, link: Link, first: int, payloads: list[bytes]) -> None:
        have = self.copy.state.seq
        if link is not self.link or first + len(payloads) - 1 <= have:
            return
        self.beat(link)
        if first != have + 1:  # half of what was on a cut wire never came: as a connection that broke
            self.lost(link)
            return
        self._follow(payloads)

    def _follow(self, payloads: list[bytes]) -> None:
        for told in self.copy.follow(map(codec.decode, payloads)):
            for effect in told:
                if isinstance(effect, Tell):
                    self.world.hears(self.name, self.life, effect)

    def submit(self, command: c.AnyCommand, done: Done) -> None:
        if self.link is None:
            done(None)
            return
        self._count += 1
        self._pending[self._count] = done
        engine = self.link.engine
        self.world.send(self, engine, partial(engine.command, self.link, self._count, command))

    def answer(self, link: Link, number: int, outcome: Any) -> None:
        if link is self.link:
            self.beat(link)
            done = self._pending.pop(number, None)
            if done is not None:
                done(outcome)


class Robot:
    """An agent at some edge: comes again at another when theirs is gone, takes what is offered, completes it."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self._edge: Edge | None = None
        self._life = 0
        self._session = ""
        self._sessions = 0
        self._asked: set[str] = set()
        world.at(world.chance.randrange(200), self._live)

    def _live(self) -> None:
        self.world.at(self.world.now_ms + 150, self._live)
        edge = self._edge
        if edge is None or edge.link is None or edge.life != self._life:
            self._edge, self._session = self._choose(), ""
        elif not self._session or self._session not in edge.copy.state.agents[self.name].sessions:
            self._sign_in(edge)
        else:
            self._work(edge)

    def _choose(self) -> Edge | None:
        found = [edge for edge in self.world.edges if edge.alive and edge.link is not None]
        edge = self.world.chance.choice(found) if found else None
        self._life = edge.life if edge is not None else 0
        return edge

    def _sign_in(self, edge: Edge) -> None:
        self._sessions += 1
        session = f"{self.name}-{self._sessions}"

        def opened(outcome: Any) -> None:
            if outcome is not None:
                self._session = session

        self._ask("sign-in", c.OpenSession(agent=self.name, session=session), opened)
        self._ask("ready", c.SetState(agent=self.name, state="ready"), lambda outcome: None)

    def _work(self, edge: Edge) -> None:
        state, ledger = edge.copy.state, self.world.ledger
        for offer in [one for one in state.offers.values() if one.agent == self.name]:
            told = (self.name, f"o-{offer.number}", f"i-{offer.interaction}")
            self._ask(
                f"accept-{offer.number}",
                c.Accept(key=f"{self.name}:accept:{offer.number}", agent=self.name, offer=offer.number),
                lambda reply, told=told: ledger.accepted.append(told),  # type: ignore[misc]
            )
        for item in [one for one in state.interactions.values() if one.owner == self.name and one.state == ACTIVE]:
            key = f"{self.name}:complete:{item.number}"
            finished = (self.name, f"i-{item.number}")
            self._ask(
                f"complete-{item.number}",
                c.Complete(key=key, agent=self.name, interaction=item.number),
                lambda reply, finished=finished: ledger.completed.append(finished),  # type: ignore[misc]
            )

    def _ask(self, what: str, command: c.AnyCommand, well: Callable[[Any], None]) -> None:
        if what in self._asked or self._edge is None:
            return
        self._asked.add(what)

        def done(outcome: Any) -> None:
            self._asked.discard(what)
            if outcome is not None and not isinstance(outcome, ClientError):
                well(outcome)

        self.world.client(self._edge, command, done)


class World:
    def __init__(self, seed: int, faults: list[Fault] | None = None, fenced: bool = True, clocks: bool = True) -> None:
        """`clocks`: who cannot renew its lease steps down by itself. Without, there is nothing but the token."""
        self.clocks = clocks
        self.seed, self.faults = seed, faults_of(seed) if faults is None else faults
        self.chance = random.Random(f"world-{seed}")
        self.now_ms = 0
        self._heap: list[tuple[int, int, Call]] = []
        self._count = 0
        self._arrives: dict[tuple[str, str], int] = {}  # in order, as TCP has it
        self._cut: dict[frozenset[str], list[Call]] = {}
        self.broken: list[str] = []
        self.ledger = Ledger()
        self._heard: dict[tuple[str, int, str], int] = {}  # edge, its life, agent: the last number of the stream
        self._streams: dict[tuple[str, int], str] = {}  # agent, number: what it was
        self.log = Log(self, fenced)
        self.engines = {name: EngineProcess(self, name) for name in ("engine-1", "engine-2")}
        self.edges = [Edge(self, name) for name in ("edge-1", "edge-2")]
        self._processes: dict[str, Process] = {p.name: p for p in (self.log, *self.engines.values(), *self.edges)}
        for agent in AGENTS:
            Robot(self, agent)
        for number in range(CUSTOMERS):
            self.at(self.chance.randrange(FAULTS_MS), partial(self._comes, Contact("phone", f"phone.dev:{number}")))
        for fault in self.faults:
            self.at(fault.at_ms, partial(self._strike, fault))

    # --- time and wires ---

    def at(self, at_ms: int, call: Call) -> None:
        self._count += 1
        heapq.heappush(self._heap, (at_ms, self._count, call))

    def send(self, source: Process, target: Process, call: Call) -> None:
        wire = frozenset((source.name, target.name))
        way, life = (source.name, target.name), target.life
        if wire in self._cut:
            if self.chance.random() < 0.5:
                self._cut[wire].append(lambda: target.run(life, call))
            return
        arrives = max(self._arrives.get(way, 0), self.now_ms + self.chance.randint(1, 15))
        self._arrives[way] = arrives
        self.at(arrives, lambda: target.run(life, call))

    def ask(self, source: Process, target: Process, question: Callable[[], Any], answer: Callable[[Any], None]) -> None:
        self.send(source, target, lambda: self.send(target, source, partial(answer, *[question()])))

    def client(self, edge: Edge, command: c.AnyCommand, done: Done) -> None:
        """Over the internet: an edge that says nothing is given up."""
        answered = False

        def once(outcome: Any) -> None:
            nonlocal answered
            if not answered:
                answered = True
                done(outcome)

        life = edge.life
        self.at(self.now_ms + self.chance.randint(1, 30), lambda: edge.run(life, partial(edge.submit, command, once)))
        self.at(self.now_ms + 2_000, partial(once, None))

    # --- people ---

    def _comes(self, contact: Contact) -> None:
        if contact not in self.ledger.contacts:
            self.ledger.contacts.append(contact)
        repeats = self.chance.random() < 0.2

        def done(outcome: Any) -> None:
            if outcome is None:
                self.at(self.now_ms + 200, partial(self._comes, contact))
                return
            name = f"i-{outcome.interaction}"
            if contact.acknowledged and contact.interaction != name:
                self.broken.append(f"{contact.key} was {contact.interaction}, then {name}")
            contact.acknowledged, contact.interaction = True, name
            if repeats:
                self.at(self.now_ms + 100, partial(self._comes, contact))

        command = c.Arrive(key=contact.key, channel="phone", threads=(contact.key,))
        self.client(self.chance.choice(self.edges), command, done)

    def hears(self, edge: str, life: int, told: Tell) -> None:
        last = self._heard.get((edge, life, told.agent), told.stream - 1)
        if told.stream != last + 1:
            self.broken.append(f"{edge} told {told.agent} {told.stream} after {last}")
        self._heard[edge, life, told.agent] = told.stream
        said = repr(told.event)
        if self._streams.setdefault((told.agent, told.stream), said) != said:
            self.broken.append(f"number {told.stream} of {told.agent} is two messages")

    # --- faults ---

    def _strike(self, fault: Fault) -> None:
        if fault.what == "cut":
            wire = frozenset((fault.who, fault.whom))
            if wire not in self._cut:
                self._cut[wire] = []
                self.at(self.now_ms + fault.for_ms, partial(self._mend, wire))
            return
        process = self._processes[fault.who]
        if fault.what == "kill":
            if process.alive:
                process.kill()
                self.at(self.now_ms + fault.for_ms, process.start)
        elif process.alive and not process.paused:
            life = process.life
            process.pause()
            self.at(self.now_ms + fault.for_ms, lambda: process.resume() if process.life == life else None)

    def _mend(self, wire: frozenset[str]) -> None:
        for call in self._cut.pop(wire):
            self.at(self.now_ms + 1, call)

    # --- the end ---

    def run(self) -> list[str]:
        """What is broken; nothing, if all is well."""
        while self._heap and not (self.now_ms > FAULTS_MS + 5_000 and self._is_over()):
            self.now_ms, _, call = heapq.heappop(self._heap)
            if self.now_ms > LIMIT_MS:
                break
            call()
        return self.broken + self._judge()

    def _is_over(self) -> bool:
        edge = self.edges[0]
        done = all(contact.acknowledged for contact in self.ledger.contacts) and len(self.log.records) > 0
        return done and edge.copy.state.seq == len(self.log.records) and _is_idle(edge.copy)

    def _judge(self) -> list[str]:
        whole = Engine(quiet=True)
        lines = []
        for seq, payload in enumerate(self.log.records, 1):
            record = codec.decode(payload)
            whole.apply(record)
            kind = record.event.__struct_config__.tag
            lines.append({"seq": seq, "key": record.key, "type": kind, "event": codec.named(record.event)})
            for edge in self.edges:
                if edge.alive and edge.copy.state.seq == seq and edge.copy.snapshot() != whole.snapshot():
                    self.broken.append(f"the copy of {edge.name} is not what its {seq} records make")
        found = audit(lines, self.ledger)
        wrong = [f"{name}: {line}" for name in ("lost", "doubled", "stuck") for line in getattr(found, name)]
        if len(self.ledger.contacts) < CUSTOMERS or not all(one.acknowledged for one in self.ledger.contacts):
            wrong.append("stuck: somebody was never acknowledged")
        if self.log.epochs != sorted(self.log.epochs):
            wrong.append("somebody wrote after others had taken over")
        whole.resume()
        return wrong + invariants.broken_step(whole.state)


def _is_idle(engine: Engine) -> bool:
    return all(item.state == CLOSED for item in engine.state.interactions.values())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.simulated")
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--first", type=int, default=1)
    asked = parser.parse_args()
    bad, records, acknowledged, struck, leaders = 0, 0, 0, 0, 0
    for seed in range(asked.first, asked.first + asked.seeds):
        world = World(seed)
        found = world.run()
        records, acknowledged = records + len(world.log.records), acknowledged + world.ledger.acknowledged
        struck, leaders = struck + len(world.faults), leaders + len(set(world.log.epochs))
        if found:
            bad += 1
            print(f"seed {seed}: {found[:5]}\n  {world.faults}")
    print(
        f"{asked.seeds} schedules, {struck} faults, {leaders} leaders, {records} records, "
        f"{acknowledged} acknowledged, {bad} bad"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
