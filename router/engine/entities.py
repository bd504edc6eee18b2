"""What the state holds: contacts, offers, agents, queues, and what is noted of them.

`model.State` keeps them by their numbers and names; only `evolve` writes to them. Structs hold ints, strings and tuples
where they can, and are not tracked by the garbage collector: there are millions of them and they form no cycles. Most
are primary, and a snapshot writes them down as they are.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import Struct, field

from router.engine import config as configuration
from router.engine.admission import is_guarded
from router.engine.calendars import Hours
from router.engine.capacity import Capacity
from router.engine.events import InteractionArrived, Message
from router.engine.order import Standing
from router.engine.requirements import Node
from router.engine.transitions import ACTIVE, CLOSED, OFFERED, QUEUED, WRAP_UP

if TYPE_CHECKING:
    pass


class Said(Struct, array_like=True, gc=False):
    """One message of a transcript."""

    at_ms: int
    author: str
    agent: str
    message: Message


class Remark(Struct, array_like=True, gc=False):
    at_ms: int
    by: str
    text: str


NOBODY: dict[str, int] = {}  # shared by nearly all interactions, so `tried` is replaced and never changed


class Interaction(Struct, array_like=True, gc=False, eq=False):
    """One piece of customer work. What it was born with stays in `born`; here is what changes."""

    number: int
    born: InteractionArrived
    enqueued_at_ms: int
    queue: str
    requirement: Node | None
    band: str
    weight: float
    target_ms: int
    threads: tuple[str, ...]
    state: int = QUEUED
    owner: str = ""
    offers: tuple[int, ...] = ()
    tried: dict[str, int] = field(default_factory=lambda: NOBODY)  # agents passed over, and until when (Unix ms)
    lifted: bool = False
    held: bool = False
    connected: bool = False
    misses: int = 0
    declines: int = 0
    connect_failures: int = 0
    lease_until_ms: int = 0
    wrap_up_until_ms: int = 0
    accepted_at_ms: int = 0
    ended_at_ms: int = 0
    reason: str = ""
    disposition: str = ""
    said: list[Said] | None = None
    remarks: list[Remark] | None = None
    given_to: str = ""  # the agent for whom alone it waits after a transfer, while that agent is there
    step: int = 0  # how many steps of its queue's relaxation plan it has taken
    returned_at_ms: int = 0  # when it last came back to waiting from an agent who had it
    callback_offered: bool = False
    place: int = -1  # derived: its class in the matcher

    @property
    def waits(self) -> bool:
        return self.state == QUEUED

    @property
    def waits_since_ms(self) -> int:
        """Since when nobody has had it. Its place in the order goes by when it came."""
        return self.returned_at_ms or self.enqueued_at_ms

    @property
    def open(self) -> bool:
        return self.state != CLOSED

    @property
    def live(self) -> bool:
        """Somebody will still read what the customer says: not in wrap-up, where the contact is over."""
        return self.state in (QUEUED, OFFERED, ACTIVE)


class Copy(Struct, array_like=True, frozen=True, gc=False):
    """A copy of what is said in an interaction that its customer wants; kept for as long as the interaction is."""

    interaction: int
    channel: str  # that carries it
    address: str
    sender: str  # the address of ours it comes from


UnservedKey = tuple[str, str, Node]  # queue, channel, what is asked for there


class Unserved(Struct, array_like=True, gc=False, eq=False):
    """Something waits that nobody who is signed in could take."""

    number: int  # of the record by which that began
    queue: str
    channel: str
    requirement: Node
    servable: str
    since_ms: int
    acted: bool = False  # the queue's policy has run


class Offer(Struct, array_like=True, gc=False, eq=False):
    """An interaction shown to one agent until a deadline."""

    number: int
    interaction: int
    agent: str
    made_at_ms: int
    expires_at_ms: int
    stamp: int  # the agent's place among the idle before it: given back if it is withdrawn
    cause: str
    taken: int = 0  # and the place that it gave them
    idle_since_ms: int = 0  # since when the agent had been idle, where a rule of choice looks at it


class Consult(Struct, array_like=True, gc=False, eq=False):
    """An owner asks somebody about an interaction. `leg` is the interaction between the two, 0 with the outside."""

    interaction: int
    leg: int
    address: str
    asked_at_ms: int
    until_ms: int
    answered_at_ms: int = 0
    joined: bool = False


class Callback(Struct, array_like=True, gc=False, eq=False):
    """A customer who is to be called. An attempt is under way or waits as `interaction`, or begins at `due_ms`; or it
    rests while they are there by themselves."""

    number: int
    line: str
    to: str
    first: str
    arrival: InteractionArrived  # what each attempt is like
    place_ms: int  # when they were first enqueued; 0: with the first attempt
    until_ms: int
    due_ms: int
    interaction: int = 0
    kept: bool = False  # nobody is on the line
    attempts: int = 0
    instead: int = 0  # as what they came by themselves, while nobody has that and it is not over


class Suspension(Struct, array_like=True, gc=False, eq=False):
    """How long an assigned interaction was put aside for others. Its time at work is the rest of its time."""

    interaction: int
    since_ms: int  # 0: not now
    total_ms: int = 0  # without the present one; of the present assignment
    due: bool = False  # its agent has finished something since: it comes before anything new


class Drain(Struct, array_like=True, gc=False, eq=False):
    """A place that an agent holds for an interaction (`drain`)."""

    interaction: int
    agent: str
    since_ms: int  # that they hold one, be it for something else at first
    until_ms: int


class Rest(Struct, array_like=True, gc=False, eq=False):
    """An agent held a place in vain, and is not asked to hold one again for as long."""

    agent: str
    began_ms: int
    until_ms: int  # they might have held it for so long
    since_ms: int  # when they gave it up

    @property
    def over_ms(self) -> int:
        return 2 * self.since_ms - self.began_ms


class Round(Struct, array_like=True, gc=False, eq=False):
    """How often everybody has refused an interaction (`rounds`)."""

    interaction: int
    done: int  # so many rounds
    since_ms: int  # when the present one began, or will begin
    paused_until_ms: int = 0
    refused: tuple[str, ...] = ()  # in this round, where no cool-off says so


class Summons(Struct, array_like=True, gc=False, eq=False):
    """A customer who was called and has not come yet (`showing`)."""

    interaction: int
    until_ms: int  # of the last call; 0: they are waited for without an end
    calls: int  # by the agent who has it
    missed: int = 0  # so often they did not come


class Kinship(Struct, array_like=True, gc=False):
    """An operator's act: `other` was merged with `customer`, or split off it (`customers`)."""

    at_ms: int
    what: str
    customer: str
    other: str
    by: str
    why: str


class Preferred(Struct, array_like=True, gc=False, eq=False):
    """An interaction that waits for agents by name, or is being offered to one of them (`preferred`)."""

    interaction: int
    agents: tuple[str, ...]  # in the order in which they should have it; without those who refused, unless `required`
    until_ms: int  # 0: without an end
    required: bool
    why: str


MISSED = "missed-offers"
UNREACHED = "connect-failures"
TAKEN_OFF = frozenset({MISSED, UNREACHED})  # the reasons for which only the engine makes an agent not ready (`brake`)


@dataclass(slots=True, eq=False)
class Agent:
    """Somebody who answers, as far as the engine knows them.

    No Struct: it is written to several times in every decision, and attributes of a plain class are set far quicker.
    """

    id: str
    config: configuration.Agent
    capacity: Capacity
    declared: str = "not_ready"
    reason: str = "signed-out"
    requested: str = ""  # the state asked for while at work
    requested_reason: str = ""
    since_ms: int = 0
    sessions: dict[str, int] = dataclasses.field(default_factory=dict)
    offers: dict[int, None] = dataclasses.field(default_factory=dict)
    work: dict[int, None] = dataclasses.field(default_factory=dict)  # active and in wrap-up
    stamp: int = 0  # order among the idle: who has the smallest has been idle longest
    misses: int = 0  # in a row
    grace_until_ms: int = 0
    return_at_ms: int = 0
    stream: int = 0  # number of the last message of this agent's stream
    retired: bool = False  # no longer in the configuration, but still at work
    # Kept while a rule of choice looks at them (`Matcher.clocked`):
    busy_share: int = 0  # how busy of late, as `occupancy` counts it
    busy_at_ms: int = 0  # as of when
    idle_since_ms: int = 0
    # derived
    index: int = -1
    profile: int = -1
    load: int = 0
    cell: int = -1
    cells: dict[int, int] = dataclasses.field(
        default_factory=dict
    )  # load -> cell, -1 for none; shared by all who are alike
    counted: bool = False
    off: bool = False
    drains: int = 0  # the interaction for which a place of theirs is held

    @property
    def missing(self) -> bool:
        """Taken off by the engine, and still signed in."""
        return self.reason in TAKEN_OFF and bool(self.sessions) and not self.retired

    @property
    def available(self) -> bool:
        """May be given offers, as far as presence goes (AG-1)."""
        return self.declared == "ready" and bool(self.sessions) and not self.requested and not self.retired


class Turn(Struct, array_like=True, eq=False):
    """How a calendar stands: by its hours, and whether an operator has closed it."""

    is_open: bool = True
    next_ms: int = 0  # when the hours next change that; 0: out of sight
    emergency: bool = False
    until_ms: int = 0  # when the emergency ends by itself; 0: by hand
    by: str = ""
    why: str = ""


class QueueState(Struct, eq=False):
    """A queue with its counters: `counts[state]` is how many of its interactions are in that state (CLOSED: ever)."""

    config: configuration.Queue
    name: str = ""
    standing: Standing = field(default_factory=lambda: Standing(0.0))  # in the order, where that goes by queues
    counts: list[int] = field(default_factory=lambda: [0] * (CLOSED + 1))
    places: dict[str, int] = field(default_factory=dict)  # channel -> the class of what asks for nothing of its own
    # What its configuration comes to:
    targets: dict[str, int] = field(default_factory=dict)  # channel -> target, ms
    band: str = ""
    hours: Hours | None = None  # the calendar whose open time alone counts as waiting; None: all time does
    offer_timeout: int = 0
    more: bool = False  # an offer is not all: it is accepted at once, or others are offered the same
    guarded: bool = False  # some rule may stand against waiting in it (`admission`)
    # What has become of it:
    wake_ms: int = 0  # when its timer for waits that are too long is set to; 0: not at all
    signed_in: int = 0  # agents with a session who meet its requirement; counted where the queue asks

    @property
    def waiting(self) -> int:
        return self.counts[QUEUED]

    @property
    def offered(self) -> int:
        return self.counts[OFFERED]

    @property
    def active(self) -> int:
        """Including wrap-up."""
        return self.counts[ACTIVE] + self.counts[WRAP_UP]


def queue_state(
    name: str, queue: configuration.Queue, config: configuration.Config, hours: dict[str, Hours]
) -> QueueState:
    return QueueState(
        queue,
        name,
        targets={channel: target_in(queue, channel, config) for channel in config.channels},
        band=queue.band or config.default_band,
        hours=hours[queue.calendar] if queue.clock == "open" and queue.calendar else None,
        offer_timeout=int(queue.offer_timeout),
        more=queue.auto_accept or queue.parallel_offers > 1,
        guarded=is_guarded(queue),
    )


def target_in(queue: configuration.Queue, channel: str, config: configuration.Config) -> int:
    """Within how many ms a contact of the channel should be answered in the queue."""
    wanted = queue.targets.get(channel) or queue.target
    return int(wanted or config.channels.get(channel, configuration.Channel()).target)
