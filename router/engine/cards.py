"""What people know of a customer: a card with a few named texts, and who wrote what when (IN-6).

A card belongs to the name of a customer, so it follows joined identities: where two customers become one, the first
one's texts win and the other's fill the gaps. It decides nothing: no rule and no requirement reads it. A change names
the version that was seen, so that nobody overwrites what they have not read. The latest changes are kept with the card,
long texts shortened; the journal holds all of them in full.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct, field

from router.engine import events as e
from router.errors import BadMessage, IllegalMove, NotFound, Overloaded

if TYPE_CHECKING:
    from router.engine import commands as c
    from router.engine.events import Event
    from router.engine.model import State

FIELDS_MAX = 30
VALUE_MAX = 4_000
CHANGES_KEPT = 30
CHANGE_TEXT_MAX = 300

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Change(Struct, array_like=True, gc=False):
    """One text of a card. "" before: it was not there; "" after: it was taken away."""

    at_ms: int
    by: str
    field: str
    before: str
    after: str


class Card(Struct, array_like=True):
    version: int = 0
    fields: dict[str, str] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)


_NONE = Card()


def of(s: State, customer: str) -> Card:
    """An empty one where nobody has written anything."""
    return s.cards.get(customer, _NONE)


# --- deciding (`customers.describe` has found the name, and that the customer is known) -------------------------------


def describe(s: State, ask: c.DescribeCustomer, customer: str) -> list[Event]:
    card = of(s, customer)
    if ask.version != card.version:
        last = card.changes[-1].by if card.changes else "somebody"
        raise IllegalMove(f"the card was changed meanwhile by {last}: look at version {card.version} first")
    for name, text in ask.fields.items():
        if not _NAME.fullmatch(name):
            raise BadMessage(f"fields: {name[:50]!r} is no name: a-z, 0-9 and _, beginning with a letter, 40 at most")
        if len(text) > VALUE_MAX:
            raise BadMessage(f"fields.{name}: at most {VALUE_MAX} characters")
    changed = {name: text for name, text in ask.fields.items() if card.fields.get(name, "") != text}
    if not changed:
        return []
    if len({name for name, text in (card.fields | changed).items() if text}) > FIELDS_MAX:
        raise BadMessage(f"fields: a card has at most {FIELDS_MAX}")
    if customer not in s.cards and len(s.cards) >= s.config.memory.cards:
        raise Overloaded(f"there are {len(s.cards)} cards, as many as memory.cards lets be kept", 60_000)
    return [e.CustomerDescribed(customer, changed, ask.by)]


def demand(known: bool, identity: str) -> None:
    if not known:
        raise NotFound(f"no customer is known by {identity[:100]!r}")


# --- what it changes (called by `evolve` alone) -----------------------------------------------------------------------


def described(s: State, ev: e.CustomerDescribed, at_ms: int) -> None:
    card = s.cards.get(ev.customer)
    if card is None:
        card = s.cards[ev.customer] = Card()
        s.links.setdefault(ev.customer, ev.customer)  # or a contact that brings two names would make it another's
    _write(card, ev.fields, ev.by, at_ms)


def merged(s: State, ev: e.CustomersMerged, at_ms: int) -> None:
    other = s.cards.pop(ev.other, None)
    if other is None:
        return
    card = s.cards.setdefault(ev.customer, Card())
    card.changes = sorted([*other.changes, *card.changes], key=lambda change: change.at_ms)
    gaps = {name: text for name, text in other.fields.items() if name not in card.fields}
    _write(card, dict(list(gaps.items())[: FIELDS_MAX - len(card.fields)]), ev.by, at_ms)


def _write(card: Card, fields: dict[str, str], by: str, at_ms: int) -> None:
    card.version += 1
    for name, text in fields.items():
        before = card.fields.pop(name, "")
        if text:
            card.fields[name] = text
        card.changes.append(Change(at_ms, by, name, _short(before), _short(text)))
    del card.changes[:-CHANGES_KEPT]


def _short(text: str) -> str:
    return text if len(text) <= CHANGE_TEXT_MAX else text[: CHANGE_TEXT_MAX - 1] + "…"
