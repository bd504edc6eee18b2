"""Several machines: the log in Redis beside one in a file, two edges beside one, sockets held, domains that are still.

Real processes and a real Redis on this machine. Each case starts its own house and runs in every round, so that others'
work hits all alike. With fewer cores than processes no rate shows what several machines would carry, because all share
the cores. So what edges can carry is worked out of CPU: a process of its own core is full when it has used it up, and
who is full first sets the limit. The rate that was seen stands beside it, for machines with the cores.

Why two edges are not twice one: an edge keeps a copy of the engine's state and makes every agent's messages, since
every agent may come to it next. That part is the same at each edge, however many there are. One round is run in
processes that are sampled (`profiled`), for the shares.

The last of the figures, "unit costs", are what `switchboard size` computes with.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from router.bench.estate import Estate, allow_files, daemon, estate, parted
from router.bench.floors.redis import program
from router.bench.house import AGENTS
from router.bench.measure import Figures, Step, generate, medians
from router.bench.report import Row, compared
from router.engine import commands as c
from router.engine.config import Agent, Channel, Config, Queue, to_bytes
from router.engine.engine import Engine
from router.engine.events import OfferMade

WINDOW, WRITERS = 256, 100
SOCKETS, SOCKETS_QUICK = 10_000, 400
DOMAINS, DOMAINS_QUICK = 40, 3
IN_DOMAIN = 10  # agents
CALM_S = 100.0  # contacts a second where no queue forms
OFFERS_S = 20.0  # offers a second while sockets are held: what 6,000 agents with 12 contacts an hour make
PATIENCE_S = 600.0  # for a generator whose clients sign in one after another
SETTLE_S = 5.0  # after a start: the last domain is led, standbys have read what there is


def run(rounds: int, quick: bool, step: Step, sockets: int = 0) -> tuple[list[Row], dict[str, list[Figures]]]:
    """`sockets`: so many are held; 0: as many as usual. Raises ConfigError where so many files may not be open."""
    if not program():
        print("bench machines: not measured, neither redis-server nor valkey-server is installed", file=sys.stderr)
        return [], {}
    seconds = 0.4 if quick else 2.0
    sockets = sockets or (SOCKETS_QUICK if quick else SOCKETS)
    allow_files(sockets, "--sockets")
    found: dict[str, list[Figures]] = {}
    for number in range(1, rounds + 1):
        for name, house in HOUSES.items():
            step(f"round {number} of {rounds}: {name}")
            for case, figures in house(seconds).items():
                found.setdefault(case, []).append(figures)
    step(f"{sockets:,} sockets")
    found["held"] = [held(sockets, OFFERS_S, 2.0 if quick else 15.0)]
    step("routing domains that are still")
    found["still"] = [still(DOMAINS_QUICK if quick else DOMAINS, 1.0 if quick else 10.0)]
    step("profile")
    found |= {f"profile, {name}": [figures] for name, figures in profiles(seconds).items()}
    found["remembered"] = [remembered(1_000 if quick else 10_000)]
    found["unit costs"] = [unit_costs(medians(found))]
    return _rows(medians(found)), found


# --- cases ------------------------------------------------------------------------------------------------------------


def drive(kind: str, told: str, *rest: object) -> Figures:
    return generate(kind, told, *rest, module="crowd", core=None, within_s=PATIENCE_S)


def whole(in_redis: bool, seconds: float) -> dict[str, Figures]:
    """The whole path through one daemon that is engine and edge: one in flight, by the clock, as many as it can."""
    name = "redis" if in_redis else "file"
    with daemon(in_redis) as one:
        return {
            f"{name}, one in flight": drive("path", one.told(), AGENTS, 1, seconds, 0.0, False),
            f"{name}, calm": drive("path", one.told(), AGENTS, WINDOW, seconds, CALM_S, False),
            name: drive("path", one.told(), AGENTS, WINDOW, seconds, 0.0, False),
        }


def behind(edges: int, seconds: float) -> dict[str, Figures]:
    """Contacts and agents' messages: over one edge, over two, and over one of two, where the other only follows."""
    found = {}
    with estate(edges) as house:
        for used, name in ((1, "one edge"),) if edges == 1 else ((2, "two edges"), (1, "one edge of two")):
            told = house.told(used)
            found[f"contacts, {name}"] = drive("path", told, AGENTS, WINDOW, seconds, 0.0, False)
            found[f"messages, {name}"] = drive("notes", told, WRITERS, seconds, False)
    return found


HOUSES: dict[str, Callable[[float], dict[str, Figures]]] = {
    "the log in a file": partial(whole, False),
    "the log in Redis": partial(whole, True),
    "one edge": partial(behind, 1),
    "two edges": partial(behind, 2),
}


def held(sockets: int, rate: float, seconds: float) -> Figures:
    """So many agents over two edges."""
    with estate(2, agents=sockets) as house:
        return drive("held", house.told(), sockets, rate, seconds)


def still(domains: int, seconds: float) -> Figures:
    """What a further domain costs where nothing happens: who leads it, who stands by, an edge; from one to so many."""
    few, many = (_still(number, seconds) for number in (1, domains))
    found = {key: (many[key] - few[key]) / (domains - 1) for key in many if key != "foreign"}
    return found | {"process_kib": few["kib.leads"], "domains": float(domains), "foreign": many["foreign"]}


def _still(domains: int, seconds: float) -> Figures:
    with estate(1, engines=2, config=parted(domains, IN_DOMAIN)) as house:
        time.sleep(SETTLE_S)
        found = drive("still", house.told(), seconds)
    named = {"leads": "engine-1", "stands-by": "engine-2", "copies": "edge-1"}
    each = {f"ms.{what}": found[f"busy.{name}"] * 1_000 for what, name in (named | {"redis": "redis"}).items()}
    return each | {f"kib.{what}": found[f"rss.{name}"] for what, name in named.items()} | {"foreign": found["foreign"]}


def profiles(seconds: float) -> dict[str, Figures]:
    """Shares of each process's CPU by stage, both edges taken together."""
    found = {}
    cases = {"contacts": ("path", AGENTS, WINDOW, seconds, 0.0, True), "messages": ("notes", WRITERS, seconds, True)}
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as folder, estate(2, profile=folder) as house:
        for name, (kind, *rest) in cases.items():
            drive(str(kind), house.told(), *rest)
            found[name] = _shares(house, Path(folder))
    return found


def _shares(house: Estate, folder: Path) -> Figures:
    counted: dict[str, int] = {}
    for name, pid in house.pids.items():
        if name == "redis":
            continue
        for stage, count in _samples(folder / f"{pid}.json").items():
            key = f"{name.partition('-')[0]}: {stage}"
            counted[key] = counted.get(key, 0) + count
    found: Figures = {}
    for who in ("engine", "edge"):
        mine = {key: count for key, count in counted.items() if key.startswith(f"{who}: ")}
        found[f"{who} samples"] = float(sum(mine.values()))
        found |= {key: count / sum(mine.values()) for key, count in mine.items()}
    return found


def _samples(file: Path) -> dict[str, int]:
    """Written by the other process when it gets to it."""
    end = time.monotonic() + 10
    while not file.exists() and time.monotonic() < end:
        time.sleep(0.01)
    found: dict[str, int] = json.loads(file.read_text())
    file.unlink()
    return found


def remembered(count: int) -> Figures:
    """Bytes that an engine keeps of an interaction that is over, so that a repeated event is known for a week."""
    agent, queue = Agent(skills={}), Queue()
    config = Config(channels={"phone": Channel()}, queues={"q": queue}, default_queue="q", agents={"a": agent})
    engine = Engine(quiet=True)
    at = 1_700_000_000_000
    engine.handle(c.Configure(document=to_bytes(config)), at)
    engine.handle(c.OpenSession(agent="a", session="s"), at)
    engine.handle(c.SetState(agent="a", state="ready"), at)

    def lives(numbers: range) -> None:
        for n in numbers:
            now = at + n * 1_000
            key = f"phone.trunk:event-{n:012d}"
            out = engine.handle(c.Arrive(key=key, channel="phone", threads=(f"phone.trunk:call-{n:012d}",)), now)
            offer = next(e for e in out.events if type(e) is OfferMade)
            engine.handle(c.Accept(agent="a", offer=offer.offer), now)
            engine.handle(c.Complete(agent="a", interaction=offer.interaction), now + 1)

    tracemalloc.start()
    first = config.memory.closed + 100  # what is kept at hand of those that are over is full then
    lives(range(first))
    before, image = tracemalloc.get_traced_memory()[0], len(engine.snapshot())
    lives(range(first, first + count))
    grew = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return {"bytes": grew / count, "snapshot_bytes": (len(engine.snapshot()) - image) / count}


# --- what it comes to -------------------------------------------------------------------------------------------------


def capacity(found: Figures) -> tuple[float, str]:
    """How many a second until a process of its own core is full, and which. Redis and clients are not asked."""
    used = {name[3:]: value for name, value in found.items() if name.startswith("us.e")}
    fullest = max(used, key=lambda name: used[name])
    return 1e6 / used[fullest], fullest


def unit_costs(found: Mapping[str, Figures]) -> Figures:
    """What `switchboard size` computes with (`size.Costs`)."""
    at_one, talk, socket, idle = (
        found[name] for name in ("contacts, one edge of two", "messages, one edge of two", "held", "still")
    )
    follow, follow_talk = at_one["us.edge-2"], talk["us.edge-2"]
    return {
        "engine_contact_us": statistics.fmean((at_one["us.engine-1"], found["contacts, two edges"]["us.engine-1"])),
        "engine_message_us": statistics.fmean((talk["us.engine-1"], found["messages, two edges"]["us.engine-1"])),
        "edge_contact_us": at_one["us.edge-1"] - follow,
        "edge_message_us": talk["us.edge-1"] - follow_talk,
        "copy_contact_us": follow,
        "copy_message_us": follow_talk,
        "redis_contact_us": at_one["us.redis"],
        "log_contact_bytes": at_one["redis.memory"],
        "log_message_bytes": talk["redis.memory"],
        "file_contact_bytes": at_one["redis.file"],
        "file_message_bytes": talk["redis.file"],
        "redis_message_us": talk["us.redis"],
        "socket_us": socket["idle_busy.edge-1"] * 1e6 / (socket["held"] / 2),
        "socket_kib": socket["kib.at-1.edge-1"] - socket["kib.at-1.edge-2"],
        "agent_kib": socket["kib.at-1.edge-2"] + (socket["base.engine-1"] - idle["process_kib"]) / socket["held"],
        "message_bytes": socket["message_bytes"],
        "remembered_bytes": found["remembered"]["bytes"],
        "snapshot_bytes": found["remembered"]["snapshot_bytes"],
        "leads_ms": idle["ms.leads"],
        "stands_by_ms": idle["ms.stands-by"],
        "copies_ms": idle["ms.copies"],
        "redis_ms": idle["ms.redis"],
        "leads_kib": idle["kib.leads"],
        "stands_by_kib": idle["kib.stands-by"],
        "copies_kib": idle["kib.copies"],
        "process_kib": idle["process_kib"],
    }


def _rows(found: Mapping[str, Figures]) -> list[Row]:
    return [*_journals(found), *_edges(found), *_sockets(found), *_standing(found)]


def _journals(found: Mapping[str, Figures]) -> list[Row]:
    """The log in Redis is the product here, a file the floor."""
    file, redis = found["file"], found["redis"]
    alone, far = found["file, one in flight"], found["redis, one in flight"]
    calm, far_calm = found["file, calm"], found["redis, calm"]
    used = redis["us.daemon"] + redis["us.redis"]
    note = f"of it Redis {redis['us.redis']:.0f}"
    late = f"at {CALM_S:.0f} a second"
    return [
        compared("22", "log in Redis against a file: CPU of an interaction", used, file["us.daemon"], note=note),
        compared("22", "a second, seen", redis["rate"], file["rate"], unit="", at_least=True),
        compared("22", "one in flight, webhook to done, p50", far["p50_us"], alone["p50_us"]),
        compared("22", "one in flight, p99", far["p99_us"], alone["p99_us"]),
        compared("22", f"{late}, p50", far_calm["p50_us"], calm["p50_us"]),
        compared("22", f"{late}, p99", far_calm["p99_us"], calm["p99_us"]),
    ]


def _edges(found: Mapping[str, Figures]) -> list[Row]:
    rows = []
    for what in ("messages", "contacts"):
        one, two, shares = found[f"{what}, one edge"], found[f"{what}, two edges"], found[f"profile, {what}"]
        before, first = capacity(one)
        after, full = capacity(two)
        who = full.partition("-")[0]
        note = f"full first: {first}, then {full}; of a full {who}: {_largest(shares, who)}"
        name = "agents' messages" if what == "messages" else "contacts"
        title = f"{name} a second, two edges against one, by CPU"
        rows.append(compared("23", title, after, before, 1.6, 1.8, unit="", at_least=True, note=note))
        cores = f"{os.cpu_count()} cores for {len([k for k in two if k.startswith('us.')])} processes"
        seen = f"{name} a second, seen"
        rows.append(compared("23", seen, two["rate"], one["rate"], unit="", at_least=True, note=cores))
        rows += [_used(f"{name}, one edge", one), _used(f"{name}, two edges", two)]
    return rows


def _used(what: str, found: Figures) -> Row:
    """CPU of each process."""
    each = {name[3:]: value for name, value in found.items() if name.startswith("us.") and name != "us.clients"}
    note = ", ".join(f"{name} {value:.1f}" for name, value in each.items())
    return Row(
        number="23", what=f"{what}: CPU of all processes for one", unit="us", product=sum(each.values()), note=note
    )


def _largest(shares: Figures, who: str, most: int = 4) -> str:
    mine = {key.partition(": ")[2]: value for key, value in shares.items() if key.startswith(f"{who}: ")}
    first = sorted(mine.items(), key=lambda item: -item[1])[:most]
    return ", ".join(f"{stage} {share:.0%}" for stage, share in first)


def _sockets(found: Mapping[str, Figures]) -> list[Row]:
    held_ = found["held"]
    own = held_["kib.at-1.edge-1"]
    other, engine = held_["kib.at-1.edge-2"], held_["kib.at-1.engine-1"]
    note = f"at its edge; {other:.2f} at the other, {engine:.2f} at the engine"
    what = f"{held_['held']:,.0f} agents over two edges"
    offers = (
        f"p50 {held_['p50_us'] / 1_000:.1f} ms, {held_['rate']:.0f} a second; all signed in {held_['sign_in_s']:.0f} s"
    )
    return [
        Row(number="24", what=f"{what}: memory of a socket", unit="KiB", product=own, note=note),
        Row(
            number="24", what=f"{what}: webhook to offer, p99", unit="ms", product=held_["p99_us"] / 1_000, note=offers
        ),
    ]


def _standing(found: Mapping[str, Figures]) -> list[Row]:
    idle = found["still"]
    number, domains = "25", f"{idle['domains']:.0f} routing domains, nothing happens: CPU of a domain in a second"
    named = {"leads": "who leads", "stands-by": "who stands by", "copies": "an edge"}
    return [
        Row(
            number=number,
            what=f"{domains}, {name}",
            unit="ms",
            product=idle[f"ms.{key}"],
            note=f"{idle[f'kib.{key}']:,.0f} KiB",
        )
        for key, name in named.items()
    ]
