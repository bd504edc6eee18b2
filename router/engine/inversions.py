"""Inversions: where something younger was offered before something older that the agent could have taken (RT-2).

Most of them are meant: the younger one is in a more urgent band, or has a shorter promise. So each is listed with its
reason, and one without a reason would be a mistake of the engine; tests and replays look for it and there is none.

Ask before the offer is applied, with the state that it was decided in. It looks at everything that waits, so it is for
replays and tests and never part of a decision.

Reasons (`code`):
    by-hand        an agent picked it or somebody assigned it
    parallel       it is being shown to several agents at once, and this is a further one of them
    band           it stands in a more urgent band
    waited-out     it has waited so many times its target that only age counts
    held           it was held for this agent by name, and is taken before all else of its band
    step           inside the band the policy puts it on an earlier step: a shorter target, a better level
    urgency        the policy gives it more urgency: its share of the target, its weight, its queue, this agent's speed
    other-agent    it came first of all with another agent who was free, and its queue's rule chose this one
    unexplained    none of these
"""

from __future__ import annotations

from msgspec import Struct

from router.engine.events import OfferMade
from router.engine.invariants import could_take
from router.engine.matching import Rank
from router.engine.model import Agent, Interaction, State
from router.engine.order import STEP_BITS, STEP_MASK, is_favoured
from router.engine.transitions import OFFERED, QUEUED
from router.engine.views import interaction_id


class Inversion(Struct, frozen=True):
    """`offered` went to `agent` before `older`, which the agent could have taken."""

    offered: int
    older: int
    agent: str
    code: str
    reason: str


def inversions(s: State, event: OfferMade, now_ms: int) -> list[Inversion]:
    """Everything older that this offer passes by, with the reason of each."""
    item, agent = s.interactions[event.interaction], s.agents[event.agent]
    passed = [x for x in s.interactions.values() if _is_passed(s, x, item, agent)]
    if not passed:
        return []
    said = _about_offer(event, item)
    return [
        Inversion(item.number, older.number, agent.id, *(said or _about_pair(s, item, older, agent, now_ms)))
        for older in passed
    ]


def _is_passed(s: State, older: Interaction, item: Interaction, agent: Agent) -> bool:
    is_older = (older.enqueued_at_ms, older.number) < (item.enqueued_at_ms, item.number)
    return is_older and older.state == QUEUED and could_take(s, agent, older)


def _about_offer(event: OfferMade, item: Interaction) -> tuple[str, str] | None:
    if event.cause != "routed":
        return "by-hand", f"{event.cause} by {event.by or event.agent}"
    if item.state == OFFERED:
        return "parallel", f"{interaction_id(item.number)} is shown to several agents at once"
    return None


def _about_pair(s: State, item: Interaction, older: Interaction, agent: Agent, now_ms: int) -> tuple[str, str]:
    name, other, policy = interaction_id(item.number), interaction_id(older.number), s.config.order.policy
    mine, its = s.matcher.rank_with(item, agent, now_ms), s.matcher.rank_with(older, agent, now_ms)
    if mine[0] >> STEP_BITS < its[0] >> STEP_BITS:
        return "band", f"{name} stands in a more urgent band than {other}"
    if mine < its:
        return _inside_band(name, other, policy, mine, its)
    if s.matcher.rank_with_best(item, now_ms) < its:
        return "other-agent", f"{name} came first with another agent, and its queue's rule chose {agent.id}"
    return "unexplained", f"{other} should have come before {name}"


def _inside_band(name: str, other: str, policy: str, mine: Rank, its: Rank) -> tuple[str, str]:
    if not mine[0] & STEP_MASK:
        return "waited-out", f"{name} has waited so long that only age counts, and {other} has not"
    if is_favoured(mine) and not is_favoured(its):
        return "held", f"{name} was held for this agent, who takes that before all else of its band"
    if mine[0] < its[0]:
        return "step", f"{policy} puts {name} before {other}, whatever their age"
    return "urgency", f"{policy} gives {name} {-mine[1]:.4g} and {other} {-its[1]:.4g}"
