"""Which routing domain a log is of, and what numbers follow from it.

A house may be parted into routing domains, each with an engine and a log of its own. Nothing that has a number may be
taken for something of another domain: not in an address, not by a gateway that knows an order by its number. So a
domain's log begins with its number, and counts from there: interactions, offers and callbacks of domain 3 from
3,000,000,001, what goes out from 3,000,000,000,001. Whose something is can be read from its number alone.

A log that does not begin so is of domain 0, and counts from 1 as it always did. What it is cannot be changed later.
"""

from __future__ import annotations

from router.engine import commands as c
from router.engine import events as e
from router.engine.events import Event
from router.engine.model import State
from router.errors import BadMessage, IllegalMove

SPAN = 1_000_000_000  # interactions of one domain: a million a day for more than two years, ten thousand for centuries
LETTERS = 1_000_000_000_000  # records of one domain, by whose numbers what goes out is known
MOST = 1_000  # domains: interactions' numbers must fit `order.ITEM_BITS`


def domain_of(number: int) -> int:
    """Of an interaction, an offer or a callback."""
    return number // SPAN


def domain_of_letter(number: int) -> int:
    """Of something that goes out."""
    return number // LETTERS


def first_after(domain: int) -> int:
    """The number after which a domain's interactions begin."""
    return domain * SPAN


# --- deciding ---------------------------------------------------------------------------------------------------------


def assign(s: State, ask: c.AssignNumbers, now_ms: int) -> list[Event]:
    if not 0 <= ask.domain < MOST:
        raise BadMessage(f"domain: 0 to {MOST - 1}")
    if ask.domain == s.domain:
        return []
    if s.domain or s.last_interaction or s.last_callback or s.outbound or s.dead:
        raise IllegalMove(f"this log is of routing domain {s.domain} and cannot become that of {ask.domain}")
    return [e.NumbersAssigned(ask.domain)]


def give(s: State, ask: c.GiveLead, now_ms: int) -> list[Event]:
    return [e.LeadGiven(ask.to, ask.by, ask.why)]


# --- what it changes (called by `evolve` alone) -----------------------------------------------------------------------


def assigned(s: State, ev: e.NumbersAssigned, at_ms: int) -> None:
    s.domain = ev.domain
    s.first_letter = ev.domain * LETTERS
    s.last_interaction = s.last_offer = s.last_callback = first_after(ev.domain)
    s.matcher.last_offer = s.last_offer


def given(s: State, ev: e.LeadGiven, at_ms: int) -> None:
    """Who leads is no fact of the engine's; that an operator wanted it is kept."""
