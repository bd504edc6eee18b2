"""Of two that wait, why one comes before the other with an agent: as a code, for tests and explanations (EX-1).

The order is strict first and counts afterwards (`order`), so the reason is the first part of the ranks that differs:

    lifted         it has waited as long as its band allows, and stands in the first one since
    band           it stands in a more urgent band
    waited-out     it has waited so many times its target that only age counts, and the other has not
    held           it was held for this agent by name, and is taken before all else of its band
    step           inside the band the policy puts it on an earlier step: a shorter target, a better level
    urgency        the policy gives it more urgency: its share of the target, its weight, its queue, this agent's speed
    came-first     both are equal in all that, and it was enqueued first
    other-agent    it came first of all with another agent who was free, and its queue's rule chose this one
    unexplained    none of these: the other one should have come first

Ask of a state in which both wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.engine.order import STEP_BITS, STEP_MASK, is_favoured

if TYPE_CHECKING:
    from router.engine.entities import Agent, Interaction
    from router.engine.matching import Rank
    from router.engine.model import State


def precedence(s: State, item: Interaction, other: Interaction, agent: Agent, now_ms: int) -> str:
    """Why `item` comes before `other` with this agent."""
    mine, its = s.matcher.rank_with(item, agent, now_ms), s.matcher.rank_with(other, agent, now_ms)
    if mine < its:
        return _first_difference(item, mine, its)
    return "other-agent" if s.matcher.rank_with_best(item, now_ms) < its else "unexplained"


def _first_difference(item: Interaction, mine: Rank, its: Rank) -> str:
    if mine[0] >> STEP_BITS < its[0] >> STEP_BITS:
        return "lifted" if item.lifted else "band"
    if mine[0] < its[0]:
        return _inside_band(mine, its)
    return "urgency" if mine[1] < its[1] else "came-first"


def _inside_band(mine: Rank, its: Rank) -> str:
    if not mine[0] & STEP_MASK:
        return "waited-out"
    return "held" if is_favoured(mine) and not is_favoured(its) else "step"
