"""A naive matcher without any index: it looks at everything, in fractions, and says who gets what next.

It knows RT-1 (one order over everything that waits), RT-6 (of all who can take it, the longest idle), RT-7 (who meets
more of what was asked for goes first) and how offers to several agents at once are made. Every offer of the engine is
compared with what it says, one by one.
"""

from __future__ import annotations

from fractions import Fraction

from router.engine import events as e
from router.engine.config import Step
from router.engine.events import Event
from router.engine.invariants import could_take, meets
from router.engine.matching import Profile
from router.engine.model import Agent, Interaction, State
from router.engine.requirements import Node, fits
from router.engine.transitions import OFFERED, QUEUED


def order(s: State, item: Interaction, now_ms: int) -> tuple[int, Fraction, int, int]:
    """Where the interaction stands in the one order over everything; smaller comes first."""
    queue = s.config.queues[item.queue]
    bands = [band.name for band in s.config.bands]
    band = next(b for b in (item.band, queue.band, s.config.default_band) if b in bands)
    wanted = item.target_ms or queue.targets.get(item.born.channel) or queue.target
    target = wanted or s.config.channels[item.born.channel].target
    weight = Fraction(item.weight or queue.weight)
    used = weight * (now_ms - item.enqueued_at_ms + int(queue.head_start)) / int(target)
    raised = [step.band for step in steps_of(s, item)[: item.step] if step.band is not None][-1:]
    rank = min(map(bands.index, (band, *raised)))
    return (0 if item.lifted else rank, -used, item.enqueued_at_ms, item.number)


def able(s: State, item: Interaction) -> list[Agent]:
    """Who could take it now: who meets the most of what was asked for first, and of those the longest idle."""
    found = [a for a in s.agents.values() if could_take(s, a, item)]
    return sorted(found, key=lambda a: (ring(s, a, item), a.stamp))


def ring(s: State, agent: Agent, item: Interaction) -> int:
    """After how many of the steps that it has taken the interaction asks for no more than the agent has."""
    taken = len(steps_of(s, item)[: item.step])
    return next((k for k in range(taken + 1) if meets_after(s, agent, item, k)), taken + 1)


def steps_of(s: State, item: Interaction) -> tuple[Step, ...]:
    return s.config.queues[item.queue].relax


def meets_after(s: State, agent: Agent, item: Interaction, k: int) -> bool:
    """Whether the agent has what is asked for after `k` steps, judged part by part, without making a new tree."""
    has = agent.config
    profile = Profile(has.skills, has.languages, has.attributes, has.team, agent.id)
    steps, queues = steps_of(s, item)[:k], s.config.queues
    own = item.requirement
    if met(queues[item.queue].requirement, steps, profile, True) and (own is None or met(own, steps, profile, True)):
        return True
    # What a step lets in beside is eased by the steps after it.
    return any(
        met(way, steps[i + 1 :], profile, True)
        for i, step in enumerate(steps)
        for way in (*((step.also,) if step.also is not None else ()), *(queues[q].requirement for q in step.borrow))
    )


def met(node: Node, steps: tuple[Step, ...], profile: Profile, upright: bool) -> bool:
    """`upright` is False under an odd number of `not`."""
    if node.negated is not None:
        return not met(node.negated, steps, profile, not upright)
    if node.any is not None:
        return any(met(child, steps, profile, upright) for child in node.any)
    if node.all is not None:
        return all(met(child, steps, profile, upright) for child in node.all)
    for step in steps:
        dropped = node.skill in step.drop_skills or node.language in step.drop_languages
        if dropped or node.attribute in step.drop_attributes or (node.team and step.any_team):
            return upright
    return fits(node, profile) or _eased(node, steps, profile) if upright else _still(node, steps, profile)


def _eased(leaf: Node, steps: tuple[Step, ...], profile: Profile) -> bool:
    if leaf.team and any(profile.team in step.teams for step in steps):
        return True
    levels = [step.lower[leaf.skill] for step in steps if leaf.skill in step.lower]
    held = profile.skills.get(leaf.skill, 0)
    return (leaf.op == ">=" and any(held >= n for n in levels)) or (leaf.op == ">" and any(held > n for n in levels))


def _still(leaf: Node, steps: tuple[Step, ...], profile: Profile) -> bool:
    """Under a `not`, who is let through by an easing no longer counts as meeting the part."""
    if not fits(leaf, profile) or (leaf.team and any(profile.team in step.teams for step in steps)):
        return False
    levels = [step.lower[leaf.skill] for step in steps if leaf.skill in step.lower]
    held = profile.skills.get(leaf.skill, 0)
    return not (
        (leaf.op == "<" and any(held >= n for n in levels)) or (leaf.op == "<=" and any(held > n for n in levels))
    )


def first_pair(s: State, now_ms: int) -> tuple[int, str] | None:
    """Of everything that waits and that somebody can take, what comes first, and who gets it."""
    waiting = (item for item in s.interactions.values() if item.state == QUEUED)
    for item in sorted(waiting, key=lambda item: order(s, item, now_ms)):
        agents = able(s, item)
        if agents:
            return item.number, agents[0].id
    return None


def _relaxed(s: State) -> list[Interaction]:
    return [item for item in s.interactions.values() if item.step and item.state == QUEUED]


def _misjudged(s: State, item: Interaction) -> list[Agent]:
    """Of whom the tree made for the steps says something else than the steps themselves."""
    return [a for a in s.agents.values() if meets(s, a, item) != meets_after(s, a, item, item.step)]


class Oracle:
    """Follows the records and foretells each offer."""

    def __init__(self) -> None:
        self.showing: e.OfferMade | None = None  # the interaction that may be shown to further agents

    def before(self, s: State, event: Event, now_ms: int) -> list[str]:
        """What is wrong with this event, which is about to be applied."""
        if type(event) is not e.OfferMade or event.cause != "routed":
            return []
        expected = self._expected(s, now_ms)
        self.showing = event
        if (event.interaction, event.agent) == expected:
            return []
        return [f"offered {event.interaction} to {event.agent}; expected {expected}"]

    def settled(self, s: State, now_ms: int) -> list[str]:
        """What is wrong when a command stops here."""
        expected = self._expected(s, now_ms)
        self.showing = None
        wrong = [f"stopped before offering {expected}"] if expected else []
        return wrong + [f"{a.id} and {item.number} fit otherwise" for item in _relaxed(s) for a in _misjudged(s, item)]

    def _expected(self, s: State, now_ms: int) -> tuple[int, str] | None:
        further = self._further(s)
        if further is not None:
            return further
        self.showing = None
        return first_pair(s, now_ms)

    def _further(self, s: State) -> tuple[int, str] | None:
        """The next agent who is shown the interaction that was shown just now."""
        if self.showing is None:
            return None
        item = s.interactions.get(self.showing.interaction)
        if item is None or item.state != OFFERED or len(item.offers) >= s.config.queues[item.queue].parallel_offers:
            return None
        seen = {s.offers[n].agent for n in item.offers}
        others = [a.id for a in able(s, item) if a.id not in seen]
        return (item.number, others[0]) if others else None
