"""What a journal tells of yesterday: who came, waited, rang, worked, gave up and was there, contact by contact.

Read once, by handlers of single kinds of records. What people did by hand with single contacts is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.entities import TAKEN_OFF
from router.engine.events import Record
from router.errors import JournalCorrupt, RouterError
from router.simulate.world import LEFT


class Leg(Struct, gc=False):
    """A transfer, and the work of the agent who then had it; -1 for what never happened."""

    to: c.Target
    begun_ms: int = -1
    released_ms: int = -1


class Life(Struct):
    """What a journal tells of one contact; -1 for what never happened."""

    came: e.InteractionArrived
    at_ms: int
    offered_ms: int = -1
    ring_ms: int = -1
    begun_ms: int = -1
    released_ms: int = -1  # an agent was through with it, wrap-up and all
    left_ms: int = -1  # gave up before anybody had it
    over_ms: int = -1  # ended by the house before anybody had it
    legs: list[Leg] = []  # of what was transferred by who had it
    is_call: bool = False  # the customer is to be called, and so waits for ever


class Manners(Struct):
    """What an agent made of the offers that they had to answer."""

    answered: int = 0
    missed: int = 0
    declined: int = 0
    pauses_ms: list[int] = field(default_factory=list)  # off for missed offers

    @property
    def offers(self) -> int:
        return self.answered + self.missed + self.declined


class Past(Struct):
    """A journal, read once."""

    lives: dict[int, Life] = field(default_factory=dict)
    consults: set[int] = field(default_factory=set)  # interactions between two agents: nobody came
    calls: dict[int, e.InteractionArrived] = field(default_factory=dict)  # callback -> what it is about
    offers: dict[int, int] = field(default_factory=dict)  # that nobody has answered yet -> since when
    manners: dict[str, Manners] = field(default_factory=dict)
    off: dict[str, int] = field(default_factory=dict)  # for missed offers, since when
    asked_others: int = 0  # consults, the outside included
    transfers: int = 0
    by_hand: dict[str, int] = field(default_factory=dict)  # what people did with single contacts -> how often
    emergencies: list[tuple[int, e.Event]] = field(default_factory=list)
    presence: list[tuple[int, e.Event]] = field(default_factory=list)  # sessions and states, in order
    document: bytes = b""
    agents: set[str] = field(default_factory=set)
    begin_ms: int = 0
    end_ms: int = 0


def read(records: Iterable[Record]) -> Past:
    """Raises JournalCorrupt for records that do not follow from one another, RouterError where nobody ever came."""
    past = Past()
    for seq, record in enumerate(records, 1):
        past.begin_ms = past.begin_ms or record.at_ms
        past.end_ms = record.at_ms
        reader = READERS.get(type(record.event))
        by_hand = BY_HAND.get(type(record.event))
        if by_hand is not None and (what := by_hand(record.event)):
            past.by_hand[what] = past.by_hand.get(what, 0) + 1
        if reader is not None:
            try:
                reader(past, record.event, record.at_ms)
            except KeyError as error:
                raise JournalCorrupt(seq, f"names interaction {error}, which the records before do not know") from error
    for agent in list(past.off):
        _back(past, agent, past.end_ms)
    if not past.lives or not past.document:
        raise RouterError("the journal holds no contacts: there is nothing to replay")
    return past


def _arrived(past: Past, event: e.InteractionArrived, at_ms: int) -> None:
    past.lives[event.interaction] = Life(event, at_ms)


def _life(past: Past, number: int) -> Life | None:
    """None for a consult. Raises KeyError for what the records do not know."""
    return None if number in past.consults else past.lives[number]


def _offered(past: Past, event: e.OfferMade, at_ms: int) -> None:
    past.offers[event.offer] = at_ms
    life = _life(past, event.interaction)
    if life is not None:
        life.offered_ms = at_ms


def _accepted(past: Past, event: e.OfferAccepted, at_ms: int) -> None:
    if past.offers.pop(event.offer, at_ms) < at_ms:  # at once is by the queue or by a supervisor
        _manners(past, event.agent).answered += 1
    life = _life(past, event.interaction)
    if life is not None and life.begun_ms < 0:
        life.begun_ms, life.ring_ms = at_ms, at_ms - life.offered_ms
    elif life is not None and life.legs and life.legs[-1].begun_ms < 0:
        life.legs[-1].begun_ms = at_ms


def _manners(past: Past, agent: str) -> Manners:
    return past.manners.setdefault(agent, Manners())


def _missed(past: Past, event: e.OfferExpired, at_ms: int) -> None:
    _manners(past, event.agent).missed += 1


def _declined(past: Past, event: e.OfferDeclined, at_ms: int) -> None:
    _manners(past, event.agent).declined += 1


def _ended(past: Past, event: e.InteractionEnded, at_ms: int) -> None:
    life = _life(past, event.interaction)
    if life is None:
        return
    if life.begun_ms >= 0:
        if not event.wrap_up:
            _released(past, event.interaction, at_ms)
    elif event.reason in LEFT:
        life.left_ms = at_ms
    else:
        life.over_ms = at_ms


def _released(past: Past, number: int, at_ms: int) -> None:
    """By the first agent who had it, or by one to whom it was transferred; what others did is not repeated."""
    life = _life(past, number)
    if life is not None and life.begun_ms >= 0 and life.released_ms < 0:
        life.released_ms = at_ms
    elif life is not None and life.legs and life.legs[-1].begun_ms >= 0 and life.legs[-1].released_ms < 0:
        life.legs[-1].released_ms = at_ms


def _transferred(past: Past, event: e.Transferred, at_ms: int) -> None:
    _released(past, event.interaction, at_ms)
    life = _life(past, event.interaction)
    if event.from_agent and life is not None:
        past.transfers += 1
        life.legs.append(Leg(_target(event)))


def _target(event: e.Transferred) -> c.Target:
    node = event.requirement
    if node is None:
        return c.Target(queue=event.queue)
    return c.Target(agent=node.agent[0]) if len(node.agent) == 1 else c.Target(requirement=node)


def _consulted(past: Past, event: e.ConsultStarted, at_ms: int) -> None:
    past.asked_others += 1
    if event.consult:
        past.consults.add(event.consult)


def _call_wanted(past: Past, event: e.CallbackRequested, at_ms: int) -> None:
    """By an operator, or by a caller who is on the line."""
    arrival = event.arrival if event.arrival is not None else past.lives[event.interaction].came
    past.calls[event.callback] = replace(arrival, direction="callback")


def _place_kept(past: Past, event: e.CallbackKept, at_ms: int) -> None:
    past.lives[event.interaction].is_call = True


def _call_due(past: Past, event: e.CallbackDue, at_ms: int) -> None:
    """Every attempt is an interaction of its own."""
    came = past.calls[event.callback]
    if not came.interaction:  # the first one, and the place of those that may follow
        came = past.calls[event.callback] = replace(came, interaction=event.interaction, enqueued_at_ms=at_ms)
    past.lives[event.interaction] = Life(came, at_ms, is_call=True)


def _present(past: Past, event: Any, at_ms: int) -> None:
    past.agents.add(event.agent)
    if isinstance(event, e.StateChanged):
        _back(past, event.agent, at_ms)
        if event.reason in TAKEN_OFF:
            past.off[event.agent] = at_ms
            return
    past.presence.append((at_ms, event))


def _back(past: Past, agent: str, at_ms: int) -> None:
    if agent in past.off:
        _manners(past, agent).pauses_ms.append(at_ms - past.off.pop(agent))


def _configured(past: Past, event: e.Configured, at_ms: int) -> None:
    past.document = event.document


def _emergency(past: Past, event: e.EmergencyDeclared | e.EmergencyEnded, at_ms: int) -> None:
    past.emergencies.append((at_ms, event))


OFFERED_BY_HAND = {"pick": "pick", "assign": "assignment"}
BY_HAND: dict[type[e.Event], Callable[[Any], str]] = {
    e.OfferMade: lambda event: OFFERED_BY_HAND.get(event.cause, ""),
    e.Requeued: lambda event: "requeue" if event.by else "",
    e.PriorityChanged: lambda event: "change of priority",
    e.RequirementRelaxed: lambda event: "step of a relaxation plan by hand" if event.by else "",
    e.Transferred: lambda event: "transfer by an operator" if event.by and not event.from_agent else "",
    e.InteractionEnded: lambda event: "closing by an operator" if event.reason == "closed" else "",
}
READERS: dict[type[e.Event], Callable[[Past, Any, int], None]] = {
    e.Configured: _configured,
    e.InteractionArrived: _arrived,
    e.OfferMade: _offered,
    e.OfferAccepted: _accepted,
    e.OfferExpired: _missed,
    e.OfferDeclined: _declined,
    e.InteractionEnded: _ended,
    e.WrapUpFinished: lambda past, event, at: _released(past, event.interaction, at),
    e.Transferred: _transferred,
    e.ConsultStarted: _consulted,
    e.ConsultCompleted: lambda past, event, at: _released(past, event.interaction, at),
    e.CallbackRequested: _call_wanted,
    e.CallbackKept: _place_kept,
    e.CallbackDue: _call_due,
    e.Requeued: lambda past, event, at: _released(past, event.interaction, at),
    e.EmergencyDeclared: _emergency,
    e.EmergencyEnded: _emergency,
    e.SessionOpened: _present,
    e.SessionClosed: _present,
    e.StateChanged: _present,
    e.Restarted: lambda past, event, at: past.presence.append((at, event)),
}
