"""More becomes known of a contact after it came: what was read from its pages, in which language it is.

Nothing waits for that. The contact stands in line by what was known of it, and when more is known the routing plan is
asked once more, as if it came just now; its time goes on. The answer counts only while the contact waits (or is being
offered: then the offer is taken back) where the plan had put it, by the plan's own word: what a person has transferred
or given to somebody stays there, and a priority that an operator has set stays as it is.

What is known already is not overruled: a sidecar or a sender knows better than a reading of pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine import preferred
from router.engine.entities import Interaction
from router.engine.events import Event
from router.engine.model import State
from router.engine.transitions import OFFERED, QUEUED
from router.engine.work import withdrawals
from router.errors import BadMessage, NoRoute, NotFound

if TYPE_CHECKING:
    from router.engine.plan import Plan, Routed

ATTRIBUTES_MAX = 64  # of one command: more is a document, not a note about one


def enrich(s: State, plan: Plan, ask: c.Enrich, now_ms: int) -> list[Event]:
    item = _open(s, ask.thread)
    if len(ask.attributes) > ATTRIBUTES_MAX:
        raise BadMessage(f"attributes: at most {ATTRIBUTES_MAX} at once")
    born = item.born
    new = {name: value for name, value in ask.attributes.items() if name not in born.attributes}
    language = "" if born.language else ask.language
    facts: list[Event] = []
    if new or language:
        facts.append(e.Enriched(item.number, new, language))
        facts += _anew(s, plan, item, new, language, now_ms)
    if ask.message is not None:
        facts.append(e.MessageAdded(item.number, "system", ask.message))
    return facts


def _open(s: State, thread: str) -> Interaction:
    number = s.threads.get(thread)
    item = s.interactions.get(number) if number is not None else None
    if item is None or not item.open:
        raise NotFound(f"no open interaction {thread[:100]!r}")
    return item


def _anew(s: State, plan: Plan, item: Interaction, new: dict[str, str], language: str, now_ms: int) -> list[Event]:
    """What the plan says by now, where that is something else."""
    born = item.born
    if item.state not in (QUEUED, OFFERED) or not _stands_by_the_plan(s, item):
        return []
    known = replace(born, attributes={**born.attributes, **new}, language=born.language or language)
    to = _asked(plan, item, known)
    if to is None:
        return []
    if (to.queue, to.requirement, *_priority(to)) == (born.queue, born.requirement, *_priority(born)):
        return []
    band, weight, target = _priority(to if _priority(item) == _priority(born) else item)  # or as an operator set it
    moved = e.Rerouted(item.number, to.queue, to.requirement, band, weight, target, to.rule)
    facts: list[Event] = [*withdrawals(s, item, "rerouted"), moved]
    if to.rule in plan.prefers:
        arrival = replace(known, queue=to.queue, requirement=to.requirement, rule=to.rule)
        facts += preferred.held(s, arrival, plan.prefers[to.rule], None, now_ms)
    return facts


def _stands_by_the_plan(s: State, item: Interaction) -> bool:
    """Nobody has moved it, given it to somebody, or is to call its customer."""
    special = item.given_to or not item.threads or item.number in s.calls
    return not special and (item.queue, item.requirement) == (item.born.queue, item.born.requirement)


def _asked(plan: Plan, item: Interaction, known: e.InteractionArrived) -> Routed | None:
    ask = c.Arrive(
        channel=known.channel,
        threads=item.threads,
        identities=known.identities,
        sender=known.sender,
        recipient=known.recipient,
        name=known.name,
        subject=known.subject,
        language=known.language,
        attributes=known.attributes,
    )
    try:
        return plan.route(ask)
    except NoRoute:
        return None


def _priority(of: Interaction | e.InteractionArrived | Routed) -> tuple[str, float, int]:
    return of.band, of.weight, of.target_ms
