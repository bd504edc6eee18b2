"""What interactions are about: offers, owners, telephones, consults, callbacks, and what belongs together."""

from __future__ import annotations

from collections.abc import Iterator

from router.engine.cards import CHANGES_KEPT, FIELDS_MAX
from router.engine.customers import root
from router.engine.entities import Interaction
from router.engine.invariants.counting import works_on
from router.engine.model import State
from router.engine.transitions import ACTIVE, CLOSED, OFFERED, QUEUED, WRAP_UP


def offers(s: State) -> Iterator[str]:
    """A reservation exists only as an open offer of one open interaction to one agent (OF-6)."""
    for number, offer in s.offers.items():
        item, agent = s.interactions.get(offer.interaction), s.agents.get(offer.agent)
        if offer.number != number:
            yield f"offer {number} calls itself {offer.number}"
        if item is None or number not in item.offers:
            yield f"offer {number}: interaction {offer.interaction} does not know it"
        if agent is None or number not in agent.offers:
            yield f"offer {number}: agent {offer.agent} does not know it"
    for item in s.interactions.values():
        for number in item.offers:
            if number not in s.offers or s.offers[number].interaction != item.number:
                yield f"interaction {item.number} lists offer {number}, which is not its own"
        agents = [s.offers[n].agent for n in item.offers if n in s.offers]
        if len(set(agents)) != len(agents):
            yield f"interaction {item.number} is offered twice to one agent"
        if item.state == OFFERED and not item.offers:
            yield f"interaction {item.number} is offered to nobody"
        if item.offers and item.state not in (OFFERED, ACTIVE):
            yield f"interaction {item.number} has offers in state {item.state}"
    for agent in s.agents.values():
        for number in agent.offers:
            if number not in s.offers or s.offers[number].agent != agent.id:
                yield f"agent {agent.id} lists offer {number}, which is not theirs"


def owners(s: State) -> Iterator[str]:
    """What is active or wrapped up has exactly one owner, who knows it (MV-1)."""
    for item in s.interactions.values():
        if item.state in (ACTIVE, WRAP_UP):
            owners = [agent.id for agent in s.agents.values() if item.number in agent.work]
            if owners != [item.owner]:
                yield f"interaction {item.number} belongs to {item.owner!r} and is listed by {owners}"
        elif item.owner and item.state != CLOSED:
            yield f"interaction {item.number} waits but has owner {item.owner}"
    for agent in s.agents.values():
        for number in agent.work:
            found = s.interactions.get(number)
            if found is None or not works_on(found, agent.id):
                yield f"agent {agent.id} lists interaction {number}, which is not theirs"


def legs(s: State) -> Iterator[str]:
    """A consult is about something and between two (MV-1); what no channel knows is a consult."""
    expected = {consult.leg: number for number, consult in s.consults.items() if consult.leg}
    if s.legs != expected:
        yield f"consults are {expected}, looked up as {s.legs}"
    for number, consult in s.consults.items():
        item, leg = s.interactions.get(number), s.interactions.get(consult.leg)
        if item is None or consult.interaction != number:
            yield f"a consult is about {number}, which is not there"
        elif consult.leg and leg is None:
            yield f"the consult about {number} is not there"
        elif leg is not None and leg.owner and leg.owner == item.owner:
            yield f"{item.owner} asks themselves about interaction {number}"
        elif bool(consult.leg) == bool(consult.address):
            yield f"the consult about {number} asks {consult.address!r} and {consult.leg}"
    for item in s.interactions.values():
        if item.open and not item.threads and item.number not in s.legs:
            yield f"interaction {item.number} is known to nobody"


def consults(s: State) -> Iterator[str]:
    """No consult without an owner, and none goes on after its end."""
    for number, consult in s.consults.items():
        item, leg = s.interactions[number], s.interactions.get(consult.leg)
        if item.state != ACTIVE or not item.owner:
            yield f"interaction {number} has a consult and no owner"
        if leg is not None and (leg.state == ACTIVE) != bool(consult.answered_at_ms):
            yield f"the consult about {number} is in state {leg.state}, answered at {consult.answered_at_ms}"
        if leg is not None and not leg.open:
            yield f"the consult about {number} is over, and does not say so"


def callbacks(s: State) -> Iterator[str]:
    """Every callback has an attempt or a time for the next one; a customer has at most one (MV-5)."""
    if s.callers != {callback.arrival.customer: n for n, callback in s.callbacks.items()}:
        yield f"customers who are to be called are {s.callers}"
    if s.calls != {callback.interaction: n for n, callback in s.callbacks.items() if callback.interaction}:
        yield f"calls of the house are {s.calls}"
    if s.came != {callback.instead: n for n, callback in s.callbacks.items() if callback.instead}:
        yield f"who came instead of being called are {s.came}"
    if len(s.callers) != len(s.callbacks):
        yield "a customer has two callbacks"
    for number, callback in s.callbacks.items():
        if number != callback.number or number > s.last_callback:
            yield f"callback {number} calls itself {callback.number}; the last one is {s.last_callback}"
        if (bool(callback.due_ms) == bool(callback.interaction)) and not callback.instead:
            yield f"callback {number} has attempt {callback.interaction} and is due at {callback.due_ms}"
        elif callback.interaction and callback.interaction not in s.interactions:
            yield f"callback {number} is about {callback.interaction}, which is not there"
        if callback.instead and callback.instead not in s.interactions:
            yield f"callback {number} rests for {callback.instead}, which is not there"


def calls(s: State, item: Interaction) -> bool:
    channel = s.config.channels.get(item.born.channel)
    return channel is not None and channel.show_within is not None and bool(item.threads)


def summons(s: State) -> Iterator[str]:
    """Only customers of what is open and whom nobody has met yet are called."""
    for number, found in s.summons.items():
        item = s.interactions.get(number)
        if item is None or not item.open or number != found.interaction or found.calls < 1:
            yield f"the customer of {number} is called {found.calls} times, by {found.interaction}"
        elif item.connected:
            yield f"the customer of {number} is called, and has come"
    for number in s.first_queues:
        if number not in s.interactions:
            yield f"where {number} came to is remembered longer than {number}"


def kinship(s: State) -> Iterator[str]:
    """Every identity leads to a name that leads nowhere else."""
    for identity in s.links:
        end = root(s, identity)
        if root(s, end) != end:
            yield f"identity {identity!r} leads to {end!r}, which leads further"
    for customer, card in s.cards.items():
        if root(s, customer) != customer:
            yield f"the card of {customer!r} is of a customer who has another name"
        if len(card.fields) > FIELDS_MAX or len(card.changes) > CHANGES_KEPT or not all(card.fields.values()):
            yield f"the card of {customer!r} is {card}"


def attempts(s: State) -> Iterator[str]:
    """An attempt that is over was followed by something; a place that is kept is the first one."""
    for number, callback in s.callbacks.items():
        item = s.interactions.get(callback.interaction)
        if item is not None and item.state not in (QUEUED, OFFERED, ACTIVE):
            yield f"callback {number} waits for {item.number}, which is over"
        if item is not None and callback.place_ms != item.enqueued_at_ms:
            yield f"callback {number} has lost its place"
