"""Who is one customer: identities that an operator joins, or takes apart again (IN-6).

A customer is named by the identity by which they first came, and `State.links` leads from every other identity to that
name. Contacts that bring two identities link them by themselves. People know better: two customers are one person who
writes from two addresses, or one telephone is used by a family. `merge` makes two names one; `split` takes an identity
out again. An identity that was split off leads to itself, which also keeps it from being linked again by a contact
that brings both.

What a merge changes, it changes for what is known now as well: open contacts, those at hand that are over, who last
served the customer, the callback. A split concerns contacts by the identity that they came with. Each act is kept with
who did it and why, so that a history explains itself. Both look at every interaction at hand: tens of milliseconds with
a million of them, for something that a person does.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from router.engine import cards
from router.engine import commands as c
from router.engine import events as e
from router.engine.entities import Kinship
from router.engine.events import Event
from router.engine.model import State
from router.engine.sayings import doer, say
from router.engine.views import CardChange, CardView, CustomerView, interaction_id
from router.errors import BadMessage, IllegalMove, NotFound

KEPT = 10_000  # acts that are remembered; the journal holds them all
LONGEST = 320
SHOWN = 100  # contacts of one customer


def root(s: State, identity: str) -> str:
    """The name of the customer whom this identity leads to, at the end of a chain of links. Journals from before
    chains were followed hold circles: of such names the first in the alphabet stands for all."""
    way = {identity: None}
    while (known := s.links.get(identity, identity)) not in way:
        way[known] = None
        identity = known
    circle = list(way)
    return min(circle[circle.index(known) :])


# --- deciding ---------------------------------------------------------------------------------------------------------


def merge(s: State, ask: c.MergeCustomers, now_ms: int) -> list[Event]:
    for name in (ask.customer, ask.other):
        if not 0 < len(name) <= LONGEST:
            raise BadMessage(f"customer and other: identities such as tel:+15550100, at most {LONGEST} characters")
    customer, other = root(s, ask.customer), root(s, ask.other)
    if customer == other:
        return []
    if not (is_known(s, customer) or is_known(s, other)):
        raise NotFound(f"neither {customer!r} nor {other!r} is a customer who is known here")
    if customer in s.callers and other in s.callers:
        raise IllegalMove("both are to be called back: cancel one of the callbacks first")
    return [e.CustomersMerged(customer, other, ask.by, ask.why)]


def describe(s: State, ask: c.DescribeCustomer, now_ms: int) -> list[Event]:
    customer = root(s, ask.identity)
    cards.demand(is_known(s, customer), ask.identity)
    return cards.describe(s, ask, customer)


def split(s: State, ask: c.SplitCustomer, now_ms: int) -> list[Event]:
    customer = root(s, ask.identity)
    if customer == ask.identity:
        raise IllegalMove(
            f"{ask.identity[:100]!r} is linked to no other customer: split the identities off that are linked to it"
        )
    return [e.CustomerSplit(ask.identity, customer, ask.by, ask.why)]


def is_known(s: State, customer: str) -> bool:
    """Whether anything at hand speaks of this customer."""
    if customer in s.links or customer in s.callers or customer in s.last_agents:
        return True
    if any(known == customer for known in s.links.values()):
        return True
    return any(customer in (item.born.customer, *item.born.identities) for item in s.interactions.values())


# --- what it changes (called by `evolve` alone) -----------------------------------------------------------------------


def merged(s: State, ev: e.CustomersMerged, at_ms: int) -> None:
    for identity, known in s.links.items():
        if known == ev.other:
            s.links[identity] = ev.customer
    s.links[ev.other] = ev.customer
    _rename(s, ev.other, ev.customer, "")
    cards.merged(s, ev, at_ms)
    _note(s, Kinship(at_ms, "merged", ev.customer, ev.other, ev.by, ev.why))


def split_off(s: State, ev: e.CustomerSplit, at_ms: int) -> None:
    s.links[ev.identity] = ev.identity
    s.links.setdefault(ev.customer, ev.customer)  # or a contact that brings both would link them the other way round
    _rename(s, ev.customer, ev.identity, ev.identity)
    _note(s, Kinship(at_ms, "split", ev.customer, ev.identity, ev.by, ev.why))


def _rename(s: State, old: str, new: str, only_with: str) -> None:
    """What is at hand of the customer `old` is of `new`: all of it, or what came with that identity first."""
    for item in s.interactions.values():
        if item.born.customer == old and (not only_with or item.born.identities[:1] == (only_with,)):
            item.born = replace(item.born, customer=new)
    number = s.callers.get(old, 0)
    callback = s.callbacks.get(number)
    if callback is not None and (not only_with or callback.arrival.identities[:1] == (only_with,)):
        callback.arrival = replace(callback.arrival, customer=new)
        s.callers[new] = s.callers.pop(old)
    if not only_with and old in s.last_agents:
        agent = s.last_agents.pop(old)
        s.last_agents.setdefault(new, agent)


def _note(s: State, act: Kinship) -> None:
    s.kinship.append(act)
    del s.kinship[:-KEPT]


# --- looking ----------------------------------------------------------------------------------------------------------


def identities(s: State, customer: str) -> list[str]:
    """Those that are known to lead to this customer, its own name first."""
    linked = (identity for identity in s.links if identity != customer and root(s, identity) == customer)
    return [customer, *linked]


def story(s: State, customer: str) -> Iterator[dict[str, object]]:
    """The acts that made this customer what it is."""
    for act in s.kinship:
        if customer in (act.customer, act.other):
            code = "kin-merged" if act.what == "merged" else "kin-split"
            words = say(code, other=act.other, customer=act.customer)
            words = say("way-by", what=words, who=doer(act.by)) if act.by else words
            words = say("way-why", what=words, why=act.why) if act.why else words
            yield {"at_ms": act.at_ms, "what": words, "by": act.by, "why": act.why}


def view(s: State, identity: str) -> CustomerView:
    """The customer whom this identity leads to. Raises NotFound."""
    customer = root(s, identity)
    if not is_known(s, customer):
        raise NotFound(f"no customer is known by {identity[:100]!r}")
    contacts = [item.number for item in s.interactions.values() if item.threads and item.born.customer == customer]
    return CustomerView(
        customer=customer,
        identities=tuple(identities(s, customer)),
        interactions=tuple(map(interaction_id, reversed(contacts[-SHOWN:]))),
        last_agent=s.last_agents.get(customer, ""),
        history=tuple(story(s, customer)),
        card=_card(cards.of(s, customer)),
    )


def _card(card: cards.Card) -> CardView:
    changes = tuple(CardChange(x.at_ms, x.by, x.field, x.before, x.after) for x in reversed(card.changes))
    return CardView(version=card.version, fields=dict(card.fields), changes=changes)
