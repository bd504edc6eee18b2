"""The primary state as bytes, and back: what a snapshot holds.

Derived fields stand last in their structs and are cut off, so that two engines with the same history give the same
bytes whatever indexes they happened to build on the way (DU-3).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import astuple

from router.engine import config as configuration
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
)
from router.engine.keys import KeyMemory
from router.engine.lending import Gate
from router.engine.levels import Level
from router.engine.model import State
from router.engine.order import Memory
from router.engine.partition import LETTERS
from router.engine.tally import Tally
from router.engine.upkeep import rewind
from router.engine.views import Outbound
from router.engine.waits import Pace

FORMAT = 1


class AgentImage(Struct, array_like=True):
    """The primary fields of an agent."""

    id: str
    config: configuration.Agent
    declared: str
    reason: str
    requested: str
    requested_reason: str
    since_ms: int
    sessions: dict[str, int]
    offers: tuple[int, ...]
    work: tuple[int, ...]
    stamp: int
    misses: int
    grace_until_ms: int
    return_at_ms: int
    stream: int
    retired: bool
    busy_share: int = 0
    busy_at_ms: int = 0
    idle_since_ms: int = 0


class Image(Struct, array_like=True):
    """The primary fields of the state. `interactions` are Interactions without their derived fields."""

    format: int
    seq: int
    now_ms: int
    version: int
    document: bytes
    channels: tuple[str, ...]
    interactions: list[Interaction]
    offers: list[Offer]
    agents: list[AgentImage]
    last: tuple[int, int, int]  # interaction, offer, stamp
    threads: dict[str, int]
    links: dict[str, str]
    closed: list[int]
    outbound: list[Outbound]
    dead: list[Outbound]
    removals: dict[str, list[int]]
    brakes: dict[str, int]
    keys: tuple[list[tuple[int, str, int]], list[tuple[int, str, int]]]
    memory: Memory = field(default_factory=Memory)
    # What follows is left out where it is empty, and so are those before it: an older image has none of them.
    consults: list[Consult] = []
    callbacks: list[Callback] = []
    last_callback: tuple[int, ...] = ()
    paces: dict[str, dict[str, Pace]] = {}
    unserved: list[Unserved] = []
    suspensions: list[Suspension] = []
    rounds: list[Round] = []
    turns: dict[str, Turn] = {}
    empty: dict[str, int] = {}
    deserted: dict[str, int] = {}
    left: dict[int, tuple[str, ...]] = {}
    gates: list[Gate] = []
    levels: dict[str, dict[str, Level]] = {}
    preferred: list[Preferred] = []
    last_agents: dict[str, str] = {}
    drains: list[Drain] = []
    rests: list[Rest] = []
    first_queues: dict[int, str] = {}
    summons: list[Summons] = []
    kinship: list[Kinship] = []
    failing: dict[str, int] = {}
    copies: list[Copy] = []
    tallies: dict[str, Tally] = {}
    cards: dict[str, Card] = {}
    domain: tuple[int, ...] = ()


_encode = msgspec.msgpack.Encoder(enc_hook=configuration.encode_hook).encode
_decode = msgspec.msgpack.Decoder(Image, dec_hook=configuration.decode_hook).decode

# `place` is the last field of an Interaction and the only derived one.
assert Interaction.__struct_fields__[-1] == "place", "derived fields of Interaction stand last"


def to_bytes(s: State) -> bytes:
    """MessagePack of the primary fields."""
    return _encode(
        (
            FORMAT,
            s.seq,
            s.now_ms,
            s.version,
            s.document,
            s.channels,
            [astuple(item)[:-1] for item in s.interactions.values()],
            list(s.offers.values()),
            [_agent_image(agent) for agent in s.agents.values()],
            (s.last_interaction, s.last_offer, s.last_stamp),
            s.threads,
            s.links,
            list(s.closed),
            list(s.outbound.values()),
            list(s.dead.values()),
            s.removals,
            s.brakes,
            (_keys(s.intake_keys), _keys(s.command_keys)),
            s.memory,
            *_later(s),
        )
    )


def _later(s: State) -> list[Any]:
    """The fields that came after the first format, up to the last one that holds anything."""
    last = [s.last_callback] if s.last_callback else []
    found: list[Any] = [list(s.consults.values()), list(s.callbacks.values()), last, s.paces]
    found += [list(s.unserved.values()), list(s.suspensions.values()), list(s.rounds.values())]
    found += [s.turns, s.empty, s.deserted, s.left]
    found += [list(s.gates.values()), s.levels, list(s.preferred.values()), s.last_agents]
    found += [list(s.drains.values()), list(s.rests.values())]
    found += [s.first_queues, list(s.summons.values()), s.kinship]
    found += [s.failing, list(s.copies.values()), s.tallies, s.cards]
    found += [[s.domain] if s.domain else []]
    while found and not found[-1]:
        found.pop()
    return found


def _agent_image(agent: Agent) -> AgentImage:
    return AgentImage(
        agent.id,
        agent.config,
        agent.declared,
        agent.reason,
        agent.requested,
        agent.requested_reason,
        agent.since_ms,
        agent.sessions,
        tuple(agent.offers),
        tuple(agent.work),
        agent.stamp,
        agent.misses,
        agent.grace_until_ms,
        agent.return_at_ms,
        agent.stream,
        agent.retired,
        agent.busy_share,
        agent.busy_at_ms,
        agent.idle_since_ms,
    )


def _keys(memory: KeyMemory) -> list[tuple[int, str, int]]:
    return [(expires, key, memory.known.get(key, 0)) for expires, key in memory.order]


def from_bytes(data: bytes) -> State:
    """The state of that image, with everything derived worked out. Raises msgspec.DecodeError for what is no image."""
    image = _decode(data)
    if image.format != FORMAT:
        raise msgspec.DecodeError(f"snapshot format {image.format} is not {FORMAT}")
    s = State()
    s.seq, s.now_ms, s.version, s.document = image.seq, image.now_ms, image.version, image.document
    s.last_interaction, s.last_offer, s.last_stamp = image.last
    s.threads, s.links, s.removals, s.brakes = image.threads, image.links, image.removals, image.brakes
    s.channels, s.memory, s.paces = image.channels, image.memory, image.paces
    s.turns, s.empty, s.deserted, s.left = image.turns, image.empty, image.deserted, image.left
    s.gates = {(gate.queue, gate.lender): gate for gate in image.gates}
    s.levels, s.tallies, s.cards = image.levels, image.tallies, image.cards
    s.closed.extend(image.closed)
    s.interactions = {item.number: item for item in image.interactions}
    s.offers = {offer.number: offer for offer in image.offers}
    s.outbound = {letter.outbound: letter for letter in image.outbound}
    s.consults = {consult.interaction: consult for consult in image.consults}
    s.callbacks = {callback.number: callback for callback in image.callbacks}
    s.last_callback = sum(image.last_callback)
    s.unserved = {(x.queue, x.channel, x.requirement): x for x in image.unserved}
    s.drains = {found.interaction: found for found in image.drains}
    s.first_queues, s.kinship = image.first_queues, image.kinship
    s.summons = {found.interaction: found for found in image.summons}
    s.rests = {found.agent: found for found in image.rests}
    s.failing = image.failing
    s.copies = {found.interaction: found for found in image.copies}
    s.domain = sum(image.domain)
    s.first_letter = s.domain * LETTERS
    s.rounds = {found.interaction: found for found in image.rounds}
    s.suspensions = {found.interaction: found for found in image.suspensions}
    s.preferred = {found.interaction: found for found in image.preferred}
    s.last_agents = image.last_agents
    s.dead = {letter.outbound: letter for letter in image.dead}
    for memory, entries in zip((s.intake_keys, s.command_keys), image.keys, strict=True):
        for expires, key, number in entries:
            memory.restore(key, number, expires)
    s.restore_configuration(image.agents)
    rewind(s)
    return s
