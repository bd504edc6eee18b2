"""`switchboard size`: what a house of so many agents in so many routing domains needs, on paper.

Everything follows from two tables: `Work`, what the house does, and `Costs`, what a unit of it costs, as measured by
`switchboard bench machines` ("unit costs" of its figures). Nothing else is assumed but the rules below, and each of
them is a line of `size`.

- A process may use `fill` of a core in its worst hour, so that no burst makes a queue. It may have `gib` of memory.
- Engines come in pairs. Each leads half of the pair's domains and stands by for the other half, so either carries all
  of them when the other one is gone; that is the worst hour which counts.
- Edges come in groups: a group serves some domains, keeps a copy of each, and carries its sockets and contacts with
  one edge missing. Of all sizes of a group the one is taken that needs the fewest edges.
- A Redis is full when its log of `keep` hours and the snapshots fill `redis_gib`, or its work `fill` of a core.

What is left out: Sentinels, balancers, what channels bring in (mails, files), supervisors' pages. Visitors' sockets may
be counted with `sockets`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Struct

from router.engine.commands import AnyCommand
from router.engine.config import Channel, Config, Duration, Queue
from router.engine.events import AnyEvent, Configured, InteractionArrived, SessionClosed, SessionOpened, StateChanged
from router.errors import ConfigError
from router.journal import codec
from router.simulate.office import Office
from router.simulate.scenario import Arrivals, Scenario, Staff
from router.simulate.world import Watch

SOCKETS_MOST = 10_000  # of an edge: sockets.max_connections, as it is left out
KEPT_MESSAGES, KEPT_BYTES = 256, 262_144  # agent_link.keep_messages, keep_bytes
WEEK_DAYS = 7  # memory.intake_keys
SNAPSHOTS = 2  # in Redis, each of the whole state


class Costs(Struct, frozen=True):
    """Of one unit; times in microseconds of CPU unless they end otherwise. `switchboard bench machines --json`."""

    # A contact by webhook, offered, accepted, completed.
    engine_contact_us: float = 0.0
    edge_contact_us: float = 0.0  # at the edge where it comes in and its agent sits
    copy_contact_us: float = 0.0  # at every edge that follows its domain, and at the engine that stands by
    redis_contact_us: float = 0.0
    # A message of an agent: taken, recorded, answered.
    engine_message_us: float = 0.0
    edge_message_us: float = 0.0
    copy_message_us: float = 0.0
    redis_message_us: float = 0.0
    # Bytes of the log in Redis's memory, and in its append-only file.
    log_contact_bytes: float = 0.0
    log_message_bytes: float = 0.0
    file_contact_bytes: float = 0.0
    file_message_bytes: float = 0.0
    # An agent's socket: CPU in a second while nothing is said, memory at its edge.
    socket_us: float = 0.0
    socket_kib: float = 0.0
    agent_kib: float = 0.0  # of an agent who is configured and signed in, in every copy of the state
    message_bytes: float = 0.0  # to an agent; an edge keeps the last of each agent's
    remembered_bytes: float = 0.0  # of an event of a channel, for a week, so that a repetition is known
    snapshot_bytes: float = 0.0  # and in a snapshot
    # A domain in which nothing happens: milliseconds of CPU in a second, and memory.
    leads_ms: float = 0.0
    stands_by_ms: float = 0.0
    copies_ms: float = 0.0
    redis_ms: float = 0.0
    leads_kib: float = 0.0
    stands_by_kib: float = 0.0
    copies_kib: float = 0.0
    process_kib: float = 0.0  # before any of it


MEASURED = Costs(
    engine_contact_us=159.0,
    edge_contact_us=285.0,
    copy_contact_us=186.0,
    redis_contact_us=14.2,
    engine_message_us=27.0,
    edge_message_us=38.5,
    copy_message_us=7.75,
    redis_message_us=4.34,
    log_contact_bytes=743.0,
    log_message_bytes=206.0,
    file_contact_bytes=662.0,
    file_message_bytes=191.0,
    socket_us=13.3,
    socket_kib=18.0,
    agent_kib=5.58,
    message_bytes=673.0,
    remembered_bytes=216.0,
    snapshot_bytes=44.1,
    leads_ms=0.439,
    stands_by_ms=1.07,
    copies_ms=0.0659,
    redis_ms=0.395,
    leads_kib=278.0,
    stands_by_kib=279.0,
    copies_kib=206.0,
    process_kib=89112.0,
)


class Work(Struct, frozen=True):
    """What the house does in its busiest hour, and what its machines may be used up to."""

    agents: int
    domains: int
    contacts: float = 12.0  # of an agent in an hour
    messages: float = 6.0  # within a contact, by agents and customers
    events: float = 3.0  # of its channel about a contact: a call comes, is answered, ends
    sockets: float = 1.0  # of an agent
    hours: float = 10.0  # a day like this one
    keep: float = 4.0  # hours of the log in Redis (journal.keep)
    replicas: int = 1
    fill: float = 0.5
    gib: float = 8.0
    redis_gib: float = 32.0


class Need(Struct, frozen=True):
    """A line of the table."""

    what: str
    count: str
    each: str
    why: str


class _Load:
    """What follows from both tables, of one domain and one second unless it says otherwise."""

    def __init__(self, w: Work, c: Costs) -> None:
        self.agents = w.agents / w.domains
        self.contacts = self.agents * w.contacts / 3_600
        self.messages = self.contacts * (w.messages + max(0.0, w.events - 1))  # the first event is the contact
        self.leads = self._cores(c.engine_contact_us, c.engine_message_us) + c.leads_ms / 1e3
        follows = self._cores(c.copy_contact_us, c.copy_message_us)
        self.stands_by = follows + c.stands_by_ms / 1e3
        self.copies = follows + c.copies_ms / 1e3
        self.taken = self._cores(c.edge_contact_us, c.edge_message_us) + self.agents * w.sockets * c.socket_us / 1e6
        self.redis = self._cores(c.redis_contact_us, c.redis_message_us) + c.redis_ms / 1e3
        self.log_bytes = self.contacts * c.log_contact_bytes + self.messages * c.log_message_bytes
        self.file_bytes = self.contacts * c.file_contact_bytes + self.messages * c.file_message_bytes
        remembered = self.contacts * w.events * 3_600 * w.hours * WEEK_DAYS
        self.state_kib = self.agents * c.agent_kib + remembered * c.remembered_bytes / 1_024
        self.snapshot_bytes = remembered * c.snapshot_bytes
        # An edge keeps the last messages of each agent, whoever's socket it is.
        self.kept_kib = self.agents * min(KEPT_MESSAGES * c.message_bytes, KEPT_BYTES) / 1_024

    def _cores(self, contact_us: float, message_us: float) -> float:
        return (self.contacts * contact_us + self.messages * message_us) / 1e6


class Group(Struct, frozen=True):
    """Processes that are alike: so many groups of so many, each process with so many domains."""

    groups: int
    of: int
    domains: int
    cores: float  # of one, when another one is gone
    gib: float

    @property
    def count(self) -> int:
        return self.groups * self.of


def engines(w: Work, c: Costs, load: _Load) -> Group:
    """Pairs, each with as many domains as one of the two can lead alone. Raises ConfigError."""

    def pair(domains: int) -> Group:
        alone, both = domains * load.leads, domains / 2 * (load.leads + load.stands_by)
        kib = c.process_kib + domains * load.state_kib + domains / 2 * (c.leads_kib + c.stands_by_kib)
        return Group(math.ceil(w.domains / domains), 2, domains, max(alone, both), kib / 2**20)

    return _fewest([pair(domains) for domains in range(1, w.domains + 1)], w, "an engine")


def edges(w: Work, c: Costs, load: _Load) -> Group:
    """Groups in which one may be missing. Raises ConfigError."""
    return _fewest([_edges_of(domains, w, c, load) for domains in range(1, w.domains + 1)], w, "an edge")


def _edges_of(domains: int, w: Work, c: Costs, load: _Load) -> Group:
    """The fewest that carry so many domains with one missing; as small as can be where no number of them would do."""
    sockets = domains * load.agents * w.sockets
    copies, own_kib = domains * load.copies, c.process_kib + domains * (load.state_kib + load.kept_kib + c.copies_kib)
    left = max(
        math.ceil(sockets / SOCKETS_MOST),
        _parts(domains * load.taken, w.fill - copies),
        _parts(sockets * c.socket_kib, w.gib * 2**20 - own_kib),
    )
    kib = own_kib + sockets / left * c.socket_kib
    return Group(math.ceil(w.domains / domains), left + 1, domains, copies + domains * load.taken / left, kib / 2**20)


def _parts(whole: float, room: float) -> int:
    """Of what can be shared, so that each part fits what the copy of the state leaves."""
    return max(1, math.ceil(whole / room)) if room > 0 else 1


def _fewest(candidates: list[Group], w: Work, what: str) -> Group:
    """Of equal numbers the one with fewer domains: less memory, and less that one failure concerns."""
    good = [one for one in candidates if one.cores <= w.fill and one.gib <= w.gib]
    if not good:
        small = candidates[0]
        found = f"{what} of one domain takes {small.cores:.2f} cores and {small.gib:.1f} GiB"
        raise ConfigError("--fill, --gib", "a part of a core and memory that one domain fits into", found)
    return min(good, key=lambda one: (one.count, one.domains))


def size(w: Work, c: Costs) -> list[Need]:
    """The table. Raises ConfigError where not even one domain fits a process."""
    load = _Load(w, c)
    engine, edge = engines(w, c, load), edges(w, c, load)
    shards, cores, gib = _redis(w, load)
    a_second, a_day = _traffic(w, load, edge)
    one_log = f"; a house has one journal.url: keep less, or be {shards} houses" if shards > 1 else ""
    return [
        Need(
            "contacts a second",
            f"{w.domains * load.contacts:,.0f}",
            f"{load.contacts:.2f} in a domain",
            f"{w.agents:,} agents, {w.contacts:g} an hour; and {w.domains * load.messages:,.0f} messages a second",
        ),
        Need(
            "engines",
            f"{engine.count}",
            f"{engine.cores:.2f} cores, {engine.gib:.1f} GiB",
            f"in pairs, {engine.domains} domains a pair; one of the two can lead all of them",
        ),
        Need(
            "edges",
            f"{edge.count}",
            f"{edge.cores:.2f} cores, {edge.gib:.1f} GiB",
            f"in groups of {edge.of}, {edge.domains} domains a group; "
            f"with one missing {edge.domains * load.agents * w.sockets / (edge.of - 1):,.0f} sockets each",
        ),
        Need(
            "Redis",
            f"{shards} + {shards * w.replicas}",
            f"{cores:.2f} cores, {gib:.1f} GiB",
            f"masters and replicas; {w.keep:g} hours of the log and {SNAPSHOTS} snapshots{one_log}",
        ),
        Need(
            "bytes a second",
            f"{a_second / 1e6:,.1f} MB",
            f"{w.domains * load.file_bytes / 1e6:.2f} MB of log",
            f"the log to Redis, its replicas, a standby and the {edge.of} edges of a group",
        ),
        Need(
            "disk a day",
            f"{a_day / 1e9:,.1f} GB",
            f"{w.domains * load.file_bytes * 3_600 * w.hours / 1e9:.1f} GB of log",
            f"append-only files of master and replicas, {w.hours:g} hours; a rewrite leaves what is in memory",
        ),
    ]


def _redis(w: Work, load: _Load) -> tuple[int, float, float]:
    """How many, and cores and GiB of one."""
    cores = w.domains * load.redis
    gib = w.domains * (load.log_bytes * 3_600 * w.keep + SNAPSHOTS * load.snapshot_bytes) / 2**30
    shards = max(math.ceil(cores / w.fill), math.ceil(gib / w.redis_gib), 1)
    return shards, cores / shards, gib / shards


def _traffic(w: Work, load: _Load, edge: Group) -> tuple[float, float]:
    """Bytes a second between the house's own machines, and bytes of disk a day."""
    log = w.domains * load.file_bytes
    return log * (1 + w.replicas + 1 + edge.of), log * 3_600 * w.hours * (1 + w.replicas)


def markdown(needs: list[Need]) -> str:
    """As it stands in docs/machines.md."""
    rows = [("what", "how many", "each", "because"), ("---",) * 4, *((n.what, n.count, n.each, n.why) for n in needs)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def run(work: dict[str, Any], costs: Path | None, as_json: bool) -> None:
    """The command: print the table, or everything that it was made of as JSON. Raises ConfigError."""
    if costs is not None and not costs.is_file():
        raise ConfigError("--costs", "a file", str(costs))
    w, c = msgspec.convert(work, Work), MEASURED if costs is None else costs_of(costs.read_bytes())
    needs = size(w, c)
    if as_json:
        print(msgspec.json.encode({"work": w, "costs": c, "needs": needs}).decode())
    else:
        print(markdown(needs))


def costs_of(report: bytes) -> Costs:
    """Of what `bench machines --json` printed. Raises ConfigError."""
    try:
        figures = msgspec.json.decode(report, type=_Report).figures["machines: unit costs"][0]
        return msgspec.convert(figures, Costs)
    except (msgspec.MsgspecError, KeyError, IndexError) as error:
        expected = "what `switchboard bench machines --json` prints"
        raise ConfigError("--costs", expected, str(error)) from error


class _Report(Struct):
    figures: dict[str, list[dict[str, float]]]


# --- held against the simulator ---------------------------------------------------------------------------------------


class Simulated(Struct, frozen=True):
    """One domain for a while, in the engine that the daemon runs."""

    contacts: int
    a_second: float
    records: float  # of a contact
    log_bytes: float  # of a contact, as the log keeps its records


def simulated(agents: int, per_hour: float, length_ms: int = 1_800_000, seed: int = 1) -> Simulated:
    """Calls for so many agents, who are there all the time; with nothing said in them, and nothing known of callers."""
    calls = Arrivals(name="calls", channel="phone", per_hour=agents * per_hour, handle=Duration(HANDLE_MS))
    config = Config(channels={"phone": Channel()}, queues={"calls": Queue()}, default_queue="calls")
    staff = Staff(name="agent", count=agents)
    scenario = Scenario(name="domain", length=Duration(length_ms), arrivals=(calls,), config=config, staff=(staff,))
    office = _Counting(scenario, Watch(), seed)
    office.run()
    return Simulated(
        office.arrived,
        office.arrived / (length_ms / 1_000),
        office.count / office.arrived,
        office.bytes / office.arrived,
    )


HANDLE_MS = 180_000
OF_PEOPLE = (Configured, SessionOpened, SessionClosed, StateChanged)


class _Counting(Office):
    """Counts what would be recorded of contacts."""

    arrived = count = bytes = 0

    def tell(self, command: AnyCommand, now_ms: int) -> None:
        """As an office without crashes."""
        out = self.engine.handle(command, now_ms)
        for i, event in enumerate(out.events):
            if not isinstance(event, OF_PEOPLE):
                self.count += 1
                self.bytes += len(codec.encode(out.at_ms, "" if i else out.key, cast(AnyEvent, event)))
                self.arrived += type(event) is InteractionArrived
        self.heed(out.events, now_ms)
