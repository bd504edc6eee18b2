"""The primary part of the state: what follows from the events alone, and from nothing else.

A snapshot (`image`) holds exactly these fields, and two engines that applied the same records have them byte for byte
the same (DU-3). So a field belongs here if it cannot be worked out again from the others and the configuration. It then
needs its place at the end of the image, which older snapshots leave out.
"""

from __future__ import annotations

from collections import deque

from router.engine.cards import Card
from router.engine.entities import (
    Agent,
    Callback,
    Consult,
    Copy,
    Drain,
    Interaction,
    Kinship,
    Offer,
    Preferred,
    Rest,
    Round,
    Summons,
    Suspension,
    Turn,
    Unserved,
    UnservedKey,
)
from router.engine.keys import KeyMemory
from router.engine.lending import Gate
from router.engine.levels import Level
from router.engine.order import Memory
from router.engine.tally import Tally
from router.engine.views import Outbound
from router.engine.waits import Pace


class Primary:
    """See the module."""

    __slots__ = (  # so many attributes in a dictionary are slow to find
        "agents",
        "brakes",
        "callbacks",
        "cards",
        "channels",
        "closed",
        "command_keys",
        "consults",
        "copies",
        "dead",
        "deserted",
        "document",
        "domain",
        "drains",
        "empty",
        "failing",
        "first_queues",
        "gates",
        "intake_keys",
        "interactions",
        "kinship",
        "last_agents",
        "last_callback",
        "last_interaction",
        "last_offer",
        "last_stamp",
        "left",
        "levels",
        "links",
        "memory",
        "now_ms",
        "offers",
        "outbound",
        "paces",
        "preferred",
        "removals",
        "rests",
        "rounds",
        "seq",
        "summons",
        "suspensions",
        "tallies",
        "threads",
        "turns",
        "unserved",
        "version",
    )

    def __init__(self) -> None:
        self.seq = 0  # number of the last event
        self.now_ms = 0  # the latest time seen
        self.version = 0
        self.document = b""
        self.interactions: dict[int, Interaction] = {}
        self.offers: dict[int, Offer] = {}
        self.agents: dict[str, Agent] = {}
        self.last_interaction = 0
        self.last_offer = 0
        self.last_stamp = 0
        self.threads: dict[str, int] = {}
        self.links: dict[str, str] = {}  # identity -> customer, where it isn't the customer's first one
        self.closed: deque[int] = deque()
        self.outbound: dict[int, Outbound] = {}
        self.dead: dict[int, Outbound] = {}
        self.removals: dict[str, list[int]] = {}  # queue -> when agents were taken off for missed offers
        self.brakes: dict[str, int] = {}  # queue -> when the brake was last applied
        self.memory = Memory()  # of the order's policy
        self.consults: dict[int, Consult] = {}  # interaction whose owner asks somebody -> the consult
        self.callbacks: dict[int, Callback] = {}
        self.last_callback = 0
        self.domain = 0  # whose log this is (`partition`)
        self.paces: dict[str, dict[str, Pace]] = {}  # queue -> channel -> how fast its work went of late
        self.unserved: dict[UnservedKey, Unserved] = {}
        self.drains: dict[int, Drain] = {}  # interaction -> the place that is held for it
        self.rests: dict[str, Rest] = {}  # agent -> of those who held one in vain
        self.failing: dict[str, int] = {}  # agent -> so many of theirs in a row could not be connected
        self.rounds: dict[int, Round] = {}  # interaction -> of those that all who could have refused
        self.left: dict[int, tuple[str, ...]] = {}  # interaction -> queues that rules have moved it out of
        self.copies: dict[int, Copy] = {}
        self.suspensions: dict[int, Suspension] = {}  # interaction -> of those that ever were
        self.turns: dict[str, Turn] = {}  # calendar -> how it stands
        self.empty: dict[str, int] = {}  # queue that asks -> since when nobody who fits has been signed in
        self.deserted: dict[str, int] = {}  # and when that had lasted for too long
        self.gates: dict[tuple[str, str], Gate] = {}  # (queue, lender), of those that ever opened
        self.levels: dict[str, dict[str, Level]] = {}  # queue -> channel -> how many targets were kept of late
        self.tallies: dict[str, Tally] = {}  # queue -> its day in figures
        self.preferred: dict[int, Preferred] = {}
        self.last_agents: dict[str, str] = {}  # customer -> who last served them; who came longest ago is first
        self.first_queues: dict[int, str] = {}  # interaction -> where it came to, of those that the plan put elsewhere
        self.summons: dict[int, Summons] = {}  # interaction -> of those whose customers were called
        self.cards: dict[str, Card] = {}  # customer -> what people wrote of them
        self.kinship: list[Kinship] = []  # what operators said of who is who
        self.channels: tuple[str, ...] = ()  # all that ever were configured: loads are packed by their numbers
        # with retention by configuration
        self.intake_keys = KeyMemory(0)
        self.command_keys = KeyMemory(0)
