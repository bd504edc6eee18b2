"""What a new configuration would change for what waits, is offered and is at work (RT-12). Asks, and changes nothing.

The new configuration is read into an empty state beside the real one, which is then asked of each waiting interaction:
which requirement, band, weight and target it would have there. What is alike is asked once. A list is given out in
portions, so that decisions are let through in between; it is true of the moment at which each was looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from router.engine.entities import Interaction
from router.engine.lookups import written
from router.engine.model import State
from router.engine.requirements import Node
from router.engine.transitions import OFFERED, QUEUED
from router.engine.views import interaction_id, offer_id

EXAMPLES = 5  # of each kind of change: enough to recognise it, few enough to read
PORTION = 2_000  # interactions between two pauses: some milliseconds

Terms = tuple[Node, str, float, int, bool]  # requirement, band, weight, target, whether open hours alone count


class QueueChange(Struct):
    """What would change for those who wait, or are being offered, in one queue."""

    waiting: int = 0  # for how many anything changes
    requirement: int = 0
    band: int = 0
    weight: int = 0
    target: int = 0
    clock: int = 0  # whether open hours alone count as waiting
    beyond_length: int = 0  # more wait than the new length allows
    examples: list[dict[str, Any]] = field(default_factory=list)


class Changes(Struct):
    """What would change."""

    queues: dict[str, QueueChange] = field(default_factory=dict)
    offers_withdrawn: int = 0
    withdrawn: list[str] = field(default_factory=list)  # the first of them
    # What waits for agents by name, none of whom would fit or be there at all; it is released, or if required waits on.
    holds_lost: int = 0
    held: list[str] = field(default_factory=list)  # the first of them
    agents_added: list[str] = field(default_factory=list)
    agents_removed: list[str] = field(default_factory=list)
    agents_changed: list[str] = field(default_factory=list)
    agents: dict[str, int] = field(default_factory=dict)  # how many are added, removed, changed


FIELDS = ("requirement", "band", "weight", "target", "clock")


def rehearse(s: State, document: bytes) -> Iterator[Changes]:
    """Yields now and then, and at the end, the changes found so far. The document must have been checked."""
    new = State()
    new.channels = s.channels
    new.gates = s.gates
    new.adopt(document)
    new.legs = s.legs  # a colleague who is asked may be asked whatever the queue wants
    found = Changes()
    _compare_agents(s, new, found)
    yield from _compare_waiting(s, new, found)
    _compare_lengths(s, new, found)
    _compare_offers(s, new, found)
    _compare_holds(s, new, found)
    yield found


def _compare_agents(s: State, new: State, found: Changes) -> None:
    before, after = s.config.agents, new.config.agents
    added = [name for name in after if name not in before]
    removed = [name for name in before if name not in after]
    changed = [name for name, agent in after.items() if name in before and agent != before[name]]
    found.agents_added, found.agents_removed, found.agents_changed = (
        names[:EXAMPLES] for names in (added, removed, changed)
    )
    found.agents = {"added": len(added), "removed": len(removed), "changed": len(changed)}


def _compare_waiting(s: State, new: State, found: Changes) -> Iterator[Changes]:
    known: dict[object, tuple[Terms, Terms]] = {}
    for i, number in enumerate(list(s.interactions)):
        if i % PORTION == PORTION - 1:
            yield found
        item = s.interactions.get(number)
        if item is None or item.state not in (QUEUED, OFFERED):
            continue
        before, after = _both_terms(s, new, item, known)
        if before != after:
            _note(found.queues.setdefault(item.queue, QueueChange()), item, before, after)


def _both_terms(
    s: State, new: State, item: Interaction, known: dict[object, tuple[Terms, Terms]]
) -> tuple[Terms, Terms]:
    own = (item.queue, item.born.channel, id(item.requirement), item.band, item.weight, item.target_ms, item.step)
    if item.number in s.legs:
        return _terms(s, item), _terms(new, item)
    if own not in known:
        known[own] = _terms(s, item), _terms(new, item)
    return known[own]


def _terms(s: State, item: Interaction) -> Terms:
    queue = s.queue_config(item.queue)
    return (
        s.requirement_of(item),
        s.band_of(item),
        item.weight or queue.weight,
        s.target_ms(item),
        queue.clock == "open",
    )


def _note(change: QueueChange, item: Interaction, before: Terms, after: Terms) -> None:
    change.waiting += 1
    differing = [name for name, a, b in zip(FIELDS, before, after, strict=True) if a != b]
    for name in differing:
        setattr(change, name, getattr(change, name) + 1)
    if len(change.examples) < EXAMPLES:
        pairs = zip(FIELDS, before, after, strict=True)
        told = {name: {"from": _shown(a), "to": _shown(b)} for name, a, b in pairs if name in differing}
        change.examples.append({"interaction": interaction_id(item.number), **told})


def _shown(value: object) -> object:
    return written(value) if isinstance(value, Node) else value


def _compare_lengths(s: State, new: State, found: Changes) -> None:
    for name, queue in s.queues.items():
        longest = new.queue_config(name).max_length
        if longest is not None and queue.waiting > longest:
            found.queues.setdefault(name, QueueChange()).beyond_length = queue.waiting - longest


def _compare_offers(s: State, new: State, found: Changes) -> None:
    """Offers to agents who would be gone, or would no longer fit."""
    for offer in s.offers.values():
        item, agent = s.interactions[offer.interaction], new.agents.get(offer.agent)
        if agent is None or not new.matcher.meets_node(agent, new.requirement_of(item)):
            found.offers_withdrawn += 1
            if len(found.withdrawn) < EXAMPLES:
                found.withdrawn.append(offer_id(offer.number))


def _compare_holds(s: State, new: State, found: Changes) -> None:
    for number, held in s.preferred.items():
        item = s.interactions[number]
        node, channel = new.requirement_of(item), new.channel_index[item.born.channel]
        people = (new.agents[name] for name in held.agents if name in new.agents)
        able = (agent for agent in people if agent.capacity.room(0) >> channel & 1)
        if not any(new.matcher.meets_node(agent, node) for agent in able):
            found.holds_lost += 1
            if len(found.held) < EXAMPLES:
                found.held.append(interaction_id(number))
