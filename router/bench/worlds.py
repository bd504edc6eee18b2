"""Offices for the engine's benchmarks: one history, driven through the engine, the bare matcher and the naive scan.

All three are given the same agents, the same requirement classes and the same arrivals, and take the same decisions
(`tests/bench` compares them one by one). An agent holds 8 of 40 skills, a contact asks for one or two of them, and 3 to
10 % of the agents can take it. Classes have one of three head starts, so that lines of different age compete.

A decision is the mean of an arrival and a release. For the engine an arrival is the command Arrive (the routing plan,
the events `arrived` and, if somebody fits, `offer-made`), a release is Complete (`ended`, and `offer-made` of what
comes next), keys remembered and deadlines noted. To accept an offer decides nothing about matching; it is timed by
itself. The engine runs without effects (`quiet`): they are what edges are told, and are measured with the edges.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from router.bench.floors.matching import CAPS, Grouped, Naive, Needs
from router.bench.floors.straight import Straight
from router.engine import commands as c
from router.engine.config import Agent, Channel, Config, Duration, Queue, Rule, to_bytes
from router.engine.engine import Engine, Outcome
from router.engine.events import OfferMade, Record
from router.engine.requirements import Node

CHANNELS = ("phone", "chat", "email")
HEAD_STARTS_MS = (0, 60_001, 300_002)  # with one arrival every 3 ms, no two that wait ever count the same
STEP_MS = 3
FIRST_MS = 1_700_000_000_000
LONG = Duration(1_000_000_000)  # no offer runs out here
BATCH = 50  # decisions of a kind in a row, so that the clock costs nothing; fewer in a small office

Classes = tuple[list[Needs], list[tuple[int, Needs]]]


def classes_of(count: int, agents: int, random: Random) -> Classes:
    """Profiles (as many as classes, if there are so many agents) and requirements that somebody meets."""
    profiles = [{s: random.randint(1, 5) for s in random.sample(range(40), 8)} for _ in range(min(count, agents))]
    needs = []
    for _ in range(count):
        held = sorted(random.choice(profiles).items())
        asked = random.sample(held, random.choice((1, 1, 2)))
        needs.append((random.randrange(3), {skill: random.randint(1, level) for skill, level in asked}))
    return profiles, needs


class Subject(Protocol):
    """What is measured. The first two are timed and take prepared arguments."""

    arrive: Callable[..., Any]
    release: Callable[..., Any]

    def arrival(self, r: int, ident: int, at_ms: int) -> tuple[Any, ...]:
        """Arguments of `arrive`."""

    def completion(self, agent: int, ident: int, r: int, at_ms: int) -> tuple[Any, ...]:
        """Arguments of `release`."""

    def arrived(self, answer: Any, at_ms: int) -> int:
        """The agent who got it, or -1."""

    def released(self, answer: Any, at_ms: int) -> list[int]:
        """What the agent got next."""


class Bare:
    """A floor of `floors.matching`."""

    def __init__(self, floor: Grouped | Naive) -> None:
        self.arrive, self.release = floor.arrive, floor.release
        self._channel = floor.channel

    def arrival(self, r: int, ident: int, at_ms: int) -> tuple[int, int, int]:
        return r, at_ms - HEAD_STARTS_MS[r % 3] - (FIRST_MS - 1_000_000), ident

    def completion(self, agent: int, ident: int, r: int, at_ms: int) -> tuple[int, int]:
        return agent, self._channel[r]

    def arrived(self, answer: int, at_ms: int) -> int:
        return answer

    def released(self, answer: list[int], at_ms: int) -> list[int]:
        return answer


class Facts:
    """The floor of `floors.straight`: matching, and the facts that it makes true."""

    def __init__(self, profiles: list[Needs], needs: list[tuple[int, Needs]], agents: int) -> None:
        self.floor = Straight(profiles, needs, agents)
        self.arrive, self.release = self.floor.arrive, self.floor.release

    def arrival(self, r: int, ident: int, at_ms: int) -> tuple[c.Arrive, int, int, int]:
        channel = self.floor.matcher.channel[r]
        return _asked(channel, r, ident), r, at_ms - HEAD_STARTS_MS[r % 3] - (FIRST_MS - 1_000_000), at_ms

    def completion(self, agent: int, ident: int, r: int, at_ms: int) -> tuple[c.Complete, int, int, int]:
        return _completed(agent, ident), agent, self.floor.matcher.channel[r], at_ms

    def arrived(self, answer: tuple[Outcome, int], at_ms: int) -> int:
        self._accept(answer[0], at_ms)
        return answer[1]

    def released(self, answer: tuple[Outcome, list[int]], at_ms: int) -> list[int]:
        self._accept(answer[0], at_ms)
        return answer[1]

    def _accept(self, outcome: Outcome, at_ms: int) -> None:
        for event in outcome.events:
            if type(event) is OfferMade:
                self.floor.accept(event, at_ms)


class Product:
    """The engine with a configuration that asks for the same."""

    def __init__(self, profiles: list[Needs], needs: list[tuple[int, Needs]], agents: int) -> None:
        self.needs = needs
        self.engine = Engine(quiet=True)
        self.handle: Callable[..., Any] = self.engine.handle
        self.beginning: list[Record] = []  # what happened until everybody was ready
        self._begin(c.Configure(document=to_bytes(_config(profiles, needs, agents))))
        for a in range(agents):
            self._begin(c.OpenSession(agent=f"a{a}", session="s"))
        for a in range(agents):
            self._begin(c.SetState(agent=f"a{a}", state="ready"))
        self.arrive = self.release = self.handle
        self.content: dict[str, Any] = {}  # of each contact, beyond what routing needs
        self.accept_ns = self.accepted = 0

    def _begin(self, command: c.AnyCommand) -> None:
        for event in self.handle(command, FIRST_MS).events:
            self.beginning.append(Record(FIRST_MS, "", event))

    def listen(self, handle: Callable[..., Any]) -> None:
        """Commands go to this from now on, which has to ask the engine."""
        self.handle = self.arrive = self.release = handle

    def arrival(self, r: int, ident: int, at_ms: int) -> tuple[c.Arrive, int]:
        return _asked(self.needs[r][0], r, ident, **self.content), at_ms

    def completion(self, agent: int, ident: int, r: int, at_ms: int) -> tuple[c.Complete, int]:
        return _completed(agent, ident), at_ms

    def arrived(self, answer: Any, at_ms: int) -> int:
        offers = self._accepted(answer.events, at_ms)
        return int(offers[0].agent[1:]) if offers else -1

    def released(self, answer: Any, at_ms: int) -> list[int]:
        return [offer.interaction for offer in self._accepted(answer.events, at_ms)]

    def _accepted(self, events: list[Any], at_ms: int) -> list[OfferMade]:
        """The offers among these events, all accepted."""
        offers = [event for event in events if type(event) is OfferMade]
        asks = [c.Accept(key=f"agent:{o.agent}:o{o.offer}", agent=o.agent, offer=o.offer) for o in offers]
        start = time.thread_time_ns()
        for ask in asks:
            self.handle(ask, at_ms)
        self.accept_ns += time.thread_time_ns() - start
        self.accepted += len(asks)
        return offers


def _asked(channel: int, r: int, ident: int, **content: Any) -> c.Arrive:
    threads = (f"bench:{ident}",)
    return c.Arrive(key=f"e:{ident}", channel=CHANNELS[channel], threads=threads, recipient=f"q{r}", **content)


def _completed(agent: int, ident: int) -> c.Complete:
    return c.Complete(key=f"agent:a{agent}:{ident}", agent=f"a{agent}", interaction=ident)


def _config(profiles: list[Needs], needs: list[tuple[int, Needs]], agents: int) -> Config:
    queues = {
        f"q{r}": Queue(requirement=_node(asked), head_start=Duration(HEAD_STARTS_MS[r % 3]), offer_timeout=LONG)
        for r, (_, asked) in enumerate(needs)
    }
    queues["nobody"] = Queue(requirement=Node(skill="unknown"), offer_timeout=LONG)
    people = [Agent(skills={f"s{s}": level for s, level in held.items()}) for held in profiles]
    return Config(
        # The floors hold no place free for a call that work of other kinds keeps out.
        channels={name: Channel(exclusive=i == 0, cap=CAPS[i], drain=Duration(0)) for i, name in enumerate(CHANNELS)},
        skills=(*(f"s{i}" for i in range(40)), "unknown"),
        queues=queues,
        rules=tuple(Rule(name, name, to=(name,)) for name in queues),
        agents={f"a{a}": people[a % len(people)] for a in range(agents)},
    )


def _node(asked: Needs) -> Node:
    nodes = tuple(Node(skill=f"s{skill}", level=level) for skill, level in asked.items())
    return nodes[0] if len(nodes) == 1 else Node(all=nodes)


MAKE: dict[str, Callable[..., Subject]] = {
    "product": Product,
    "straight": Facts,
    "grouped": lambda *office: Bare(Grouped(*office)),
    "naive": lambda *office: Bare(Naive(*office)),
}


class World:
    """A subject with work in progress. Everything random comes from the seed."""

    def __init__(self, kind: str, agents: int, classes: int, seed: int = 1) -> None:
        self.random = Random(seed)
        profiles, needs = classes_of(classes, agents, self.random)
        self.subject = MAKE[kind](profiles, needs, agents)
        self.agents, self.classes = agents, classes
        self.active: list[tuple[int, int]] = []  # (agent, ident)
        self.class_of = [0]  # ident -> class
        self.waiting = 0
        self.ending = (0, 0)
        self.now_ms = FIRST_MS

    # --- a history ---

    def arrive(self, r: int) -> int:
        """One arrival, taken to its end; the agent or -1."""
        answer = self.subject.arrive(*self.arrival(r))
        return self._arrived(answer, len(self.class_of) - 1)

    def release(self) -> list[int]:
        """Somebody's work ends; what they get next: several, when it was a call that kept them from all else."""
        return self._released(self.subject.release(*self._completion()), self.ending)

    def arrival(self, r: int) -> tuple[Any, ...]:
        self.now_ms += STEP_MS
        self.class_of.append(r)
        return self.subject.arrival(r, len(self.class_of) - 1, self.now_ms)

    def _any_arrival(self) -> tuple[Any, ...]:
        return self.arrival(self.random.randrange(self.classes))

    def _arrived(self, answer: Any, ident: int) -> int:
        agent = self.subject.arrived(answer, self.now_ms)
        if agent < 0:
            self.waiting += 1
        else:
            self.active.append((agent, ident))
        return agent

    def _completion(self) -> tuple[Any, ...]:
        active, i = self.active, self.random.randrange(len(self.active))
        active[i], active[-1] = active[-1], active[i]
        agent, ident = self.ending = active.pop()
        return self.subject.completion(agent, ident, self.class_of[ident], self.now_ms)

    def _released(self, answer: Any, ended: tuple[int, int]) -> list[int]:
        given = self.subject.released(answer, self.now_ms)
        self.waiting -= len(given)
        self.active += [(ended[0], ident) for ident in given]
        return given

    def fill(self, busy: int, waiting: int) -> None:
        """Arrivals until so many are at work and so many wait."""
        while len(self.active) < busy or self.waiting < waiting:
            self.arrive(self.random.randrange(self.classes))

    def block(self, count: int) -> None:
        """`count` contacts that nobody can take, in front of everything (RT-4). For the engine only."""
        assert isinstance(self.subject, Product)
        for i in range(count):
            ask = c.Arrive(key=f"x:{i}", channel="chat", threads=(f"blocked:{i}",), recipient="nobody")
            self.subject.handle(ask, self.now_ms)
        self.class_of += [0] * count

    # --- measuring ---

    def throughput(self, decisions: int) -> float:
        """CPU us of a decision, in batches of one kind, so that the size of everything stays as it is."""
        batch = max(1, min(BATCH, len(self.active) // 4))
        spent = done = 0
        while done < decisions:
            first = len(self.class_of)
            arrivals = [self._any_arrival() for _ in range(batch)]
            answers, ns = _timed(self.subject.arrive, arrivals)
            spent += ns
            for ident, answer in enumerate(answers, first):
                self._arrived(answer, ident)
            endings = [(self._completion(), self.ending) for _ in range(batch)]
            answers, ns = _timed(self.subject.release, [ask for ask, _ in endings])
            spent += ns
            for (_, ended), answer in zip(endings, answers, strict=True):
                self._released(answer, ended)
            done += 2 * batch
        return spent / done / 1_000

    def latencies(self, decisions: int) -> list[float]:
        """CPU us of each single decision."""
        found = []
        for _ in range(decisions // 2):
            (answer,), ns = _timed(self.subject.arrive, [self._any_arrival()])
            found.append(ns / 1_000)
            self._arrived(answer, len(self.class_of) - 1)
            (answer,), ns = _timed(self.subject.release, [self._completion()])
            found.append(ns / 1_000)
            self._released(answer, self.ending)
        return found


def _timed(call: Callable[..., Any], asks: list[tuple[Any, ...]]) -> tuple[list[Any], int]:
    """The answers, and the CPU ns that they took."""
    start = time.thread_time_ns()
    answers = [call(*ask) for ask in asks]
    return answers, time.thread_time_ns() - start - CLOCK_NS


def _clock_ns() -> int:
    """What reading the clock costs."""
    clock = time.thread_time_ns
    return min(-(clock() - clock()) for _ in range(1_000))


CLOCK_NS = _clock_ns()
