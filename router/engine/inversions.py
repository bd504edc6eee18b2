"""Inversions: where something younger was offered before something older that the agent could have taken (RT-2).

Most of them are meant: the younger one is in a more urgent band, or has a shorter promise. So each is listed with its
reason, and one without a reason would be a mistake of the engine; tests and replays look for it and there is none.

Ask before the offer is applied, with the state that it was decided in. It looks at everything that waits, so it is for
replays and tests and never part of a decision.

Reasons (`code`) are those of `precedence`, and before them
    by-hand        an agent picked it or somebody assigned it
    parallel       it is being shown to several agents at once, and this is a further one of them
"""

from __future__ import annotations

from msgspec import Struct

from router.engine.entities import Agent, Interaction
from router.engine.events import OfferMade
from router.engine.invariants.counting import could_take
from router.engine.model import State
from router.engine.precedence import precedence
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
    code, policy = precedence(s, item, older, agent, now_ms), s.config.order.policy
    name, other = interaction_id(item.number), interaction_id(older.number)
    mine, its = s.matcher.rank_with(item, agent, now_ms)[1], s.matcher.rank_with(older, agent, now_ms)[1]
    sentence = SENTENCES[code].format(name=name, other=other, policy=policy, agent=agent.id, mine=-mine, its=-its)
    return code, sentence


SENTENCES = {
    "lifted": "{name} was lifted into the first band before {other}",
    "band": "{name} stands in a more urgent band than {other}",
    "waited-out": "{name} has waited so long that only age counts, and {other} has not",
    "held": "{name} was held for this agent, who takes that before all else of its band",
    "step": "{policy} puts {name} before {other}, whatever their age",
    "urgency": "{policy} gives {name} {mine:.4g} and {other} {its:.4g}",
    "other-agent": "{name} came first with another agent, and its queue's rule chose {agent}",
    "unexplained": "{other} should have come before {name}",
}
