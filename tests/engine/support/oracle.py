"""A naive matcher without any index: it looks at everything, in fractions, and says who gets what next.

It knows RT-1 (every policy of the order over what waits), RT-8 (what is held for agents by name), CP-1 (whoever need
interrupt nothing goes first), RT-7 (then who meets more of what was asked for), RT-6 (every rule by which an agent is
chosen) and how offers to several agents at once are made. Every offer of the engine is compared with what it says, one
by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction

from router.engine import events as e
from router.engine import lending, occupancy
from router.engine.calendars import Hours
from router.engine.choice import mixed
from router.engine.config import LONGEST_MS, Borrow, Queue, Step
from router.engine.drain import DEPTH
from router.engine.entities import Agent, Interaction
from router.engine.events import Event
from router.engine.invariants.counting import (
    could_interrupt,
    could_take,
    drains_for,
    has_room,
    held_by,
    is_suspended,
    may_have,
    meets,
)
from router.engine.inversions import inversions
from router.engine.latest import latest_overtaken_at_ms
from router.engine.matching import Profile
from router.engine.model import State
from router.engine.order import factor
from router.engine.requirements import Node, fits
from router.engine.transitions import OFFERED, QUEUED

Rank = tuple[int, int, Fraction, int, int]

# --- the order over what waits ----------------------------------------------------------------------------------------


def target_of(s: State, item: Interaction) -> int:
    queue = s.config.queues[item.queue]
    wanted = item.target_ms or queue.targets.get(item.born.channel) or queue.target
    return int(wanted or s.config.channels[item.born.channel].target)


def waited_by(s: State, item: Interaction, now_ms: int) -> int:
    """By the wall's clock, or by the open hours of the queue's calendar."""
    queue = s.config.queues[item.queue]
    if queue.clock == "open" and queue.calendar:
        return Hours(s.config.calendars[queue.calendar]).between(item.enqueued_at_ms, now_ms)
    return now_ms - item.enqueued_at_ms


def order(s: State, item: Interaction, now_ms: int, agent: Agent | None = None) -> Rank:
    """Where the interaction stands in the one order over everything, with this agent; smaller comes first."""
    queue = s.config.queues[item.queue]
    bands = [band.name for band in s.config.bands]
    band = next(b for b in (item.band, queue.band, s.config.default_band) if b in bands)
    raised = [step.band for step in steps_of(s, item)[: item.step] if step.band is not None][-1:]
    rank = min(map(bands.index, (band, *raised)))
    step, value = POLICIES[s.config.order.policy](s, item, now_ms, agent)
    waited, cap = waited_by(s, item, now_ms), s.config.order.cap * target_of(s, item)
    by_time_alone = s.config.order.policy in ("deadline", "first-come")
    if agent is not None and is_held_for(s, item, agent) and not by_time_alone:
        step -= 100_000_000_000_000
    if cap and waited >= cap and not by_time_alone:
        step, value = -1_000_000_000_000_000, Fraction(0)
    return (0 if item.lifted else rank, step, -value, item.enqueued_at_ms, item.number)


def is_held_for(s: State, item: Interaction, agent: Agent) -> bool:
    return item.number in s.preferred and agent.id in s.preferred[item.number].agents


Urgency = tuple[int, Fraction]  # a strict step, the smallest first; and a value, the largest first


def urgency(s: State, item: Interaction, now_ms: int, credit_ms: int) -> Fraction:
    weight = Fraction(repr(item.weight or s.config.queues[item.queue].weight))
    return weight * (waited_by(s, item, now_ms) + credit_ms) / target_of(s, item)


def relative(s: State, item: Interaction, agent: Agent | None) -> Fraction:
    """How long the agent takes, as a multiple of the queue's usual time."""
    usual, own = s.config.queues[item.queue].handle_time, agent.config.handle_times.get(item.queue) if agent else None
    return Fraction(own, usual) if own and usual else Fraction(1)


def _share_of_target(s: State, item: Interaction, now_ms: int, agent: Agent | None) -> Urgency:
    slowness = 1 if s.config.order.handle_times is False else relative(s, item, agent)
    return 0, urgency(s, item, now_ms, s.config.queues[item.queue].head_start) / slowness


def _ratio(s: State, item: Interaction, now_ms: int, agent: Agent | None) -> Urgency:
    return 0, urgency(s, item, now_ms, 0) / (relative(s, item, agent) if s.config.order.handle_times else 1)


def _adaptive(s: State, item: Interaction, now_ms: int, agent: Agent | None) -> Urgency:
    slowness = 1 if s.config.order.handle_times is False else relative(s, item, agent)
    learned = Fraction(factor(s.memory.weights.get(item.queue, 0)))
    return 0, learned * urgency(s, item, now_ms, s.config.queues[item.queue].head_start) / slowness


def _queue_ratio(s: State, item: Interaction, now_ms: int, agent: Agent | None) -> Urgency:
    def share(queue: Queue) -> Fraction:
        return Fraction(repr(queue.share if queue.share else queue.weight * int(queue.target or 20_000)))

    queues = s.config.queues
    waiting = [x.queue for x in s.interactions.values() if x.state == QUEUED]
    own = share(queues[item.queue]) / sum(map(share, queues.values()))
    return 0, waiting.count(item.queue) - own * len(waiting)


def _level(s: State, item: Interaction, now_ms: int, agent: Agent | None) -> Urgency:
    level = level_of(s, agent, s.requirement_of(item)) if agent else 0
    return -(level or 0), Fraction(waited_by(s, item, now_ms))


POLICIES: dict[str, Callable[[State, Interaction, int, Agent | None], Urgency]] = {
    "share-of-target": _share_of_target,
    "ratio": _ratio,
    "deadline": lambda s, item, now_ms, agent: (0, Fraction(waited_by(s, item, now_ms) - target_of(s, item))),
    "first-come": lambda s, item, now_ms, agent: (0, Fraction(waited_by(s, item, now_ms))),
    "priority": lambda s, item, now_ms, agent: (target_of(s, item), Fraction(waited_by(s, item, now_ms))),
    "queue-ratio": _queue_ratio,
    "adaptive": _adaptive,
    "round-robin": lambda s, item, now_ms, agent: (0, Fraction(-s.memory.turns.get(item.queue, 0))),
    "skill-level": _level,
}

# --- the choice of an agent -------------------------------------------------------------------------------------------


def has(s: State, agent: Agent, node: Node) -> bool:
    return s.matcher.meets_node(agent, node)


def level_of(s: State, agent: Agent, node: Node) -> int | None:
    """The level at what is asked for: the weakest of what is asked for together, the best of what is met otherwise."""
    if node.skill:
        return agent.config.skills.get(node.skill, 0) if node.op in (">", ">=", "==") else None
    levels = [level_of(s, agent, child) for child in (node.any or node.all or ()) if has(s, agent, child)]
    known = [x for x in levels if x is not None]
    return (max(known) if node.any else min(known)) if known else None


def fitted(s: State, agent: Agent) -> int:
    return sum(has(s, agent, queue.requirement) for queue in s.config.queues.values())


def handle_time(s: State, agent: Agent, item: Interaction) -> float:
    known = agent.config.handle_times.get(item.queue) or s.config.queues[item.queue].handle_time
    return float(known) if known else float("inf")


def points(s: State, agent: Agent, item: Interaction) -> Fraction:
    """Those of a blend, without idle time."""
    blend = s.config.queues[item.queue].blend
    found = Fraction(blend.level) * (level_of(s, agent, s.requirement_of(item)) or 0) / 10
    found += Fraction(blend.speed) / relative(s, item, agent)
    return found + Fraction(blend.focus) * (1 - Fraction(fitted(s, agent), len(s.config.queues)))


def _blend(s: State, item: Interaction, able: list[Agent], now_ms: int) -> list[Agent]:
    """Of those who are alike the longest idle; of these the one with the most points, to a millionth."""
    worth, first = round(s.config.queues[item.queue].blend.idle * 1_000_000), dict[int, Agent]()
    for agent in able:
        first.setdefault(round(points(s, agent, item) * 1_000_000), agent)
    best = [(-p * 60_000 - worth * (now_ms - a.idle_since_ms), a.stamp, a) for p, a in first.items()]
    return [min(best, key=lambda x: x[:2])[2]] if best else []


def _random(s: State, item: Interaction, able: list[Agent], now_ms: int) -> list[Agent]:
    return [able[mixed(s.last_offer + 1, 0) % len(able)]] if able else []


def _least(key: Callable[[State, Agent, Interaction], float]) -> Callable[..., list[Agent]]:
    """In the order of that; of equals the longest idle first."""
    return lambda s, item, able, now_ms: sorted(able, key=lambda agent: key(s, agent, item))


def _slowness(s: State, agent: Agent, item: Interaction) -> float:
    known = handle_time(s, agent, item)
    return -known if known < float("inf") else known


CHOICES: dict[str, Callable[[State, Interaction, list[Agent], int], list[Agent]]] = {
    "longest-idle": lambda s, item, able, now_ms: able,
    "best-level": _least(lambda s, agent, item: -(level_of(s, agent, s.requirement_of(item)) or 0)),
    "least-flexible": _least(lambda s, agent, item: fitted(s, agent)),
    "least-occupied": _least(lambda s, agent, item: occupancy.key(agent.busy_share, agent.busy_at_ms)),
    "fastest": _least(lambda s, agent, item: handle_time(s, agent, item)),
    "slowest": _least(_slowness),
    "random": _random,
    "blend": _blend,
}


def able(s: State, item: Interaction, now_ms: int, but: frozenset[str] = frozenset()) -> list[Agent]:
    """Who could take it now, the one who gets it first."""
    agents = [a for a in s.agents.values() if a.id not in but and could_take(s, a, item)]
    if item.number in s.preferred:
        names = s.preferred[item.number].agents
        return sorted(agents, key=lambda a: (not has_room(s, a, item.born.channel), names.index(a.id)))
    rings = {a.id: (not has_room(s, a, item.born.channel), ring(s, a, item)) for a in agents}
    innermost = sorted((a for a in agents if rings[a.id] == min(rings.values())), key=lambda a: a.stamp)
    return CHOICES[s.config.queues[item.queue].choice](s, item, innermost, now_ms)


# --- who meets more of what was asked for -----------------------------------------------------------------------------


def ring(s: State, agent: Agent, item: Interaction) -> int:
    """After how many of the steps that it has taken the interaction asks for no more than the agent has."""
    taken = len(steps_of(s, item)[: item.step])
    found = next((k for k in range(taken + 1) if meets_after(s, agent, item, k)), None)
    return taken + 1 + lent_by(s, agent, item) if found is None else found


def steps_of(s: State, item: Interaction) -> tuple[Step, ...]:
    own = [rule.relax for rule in s.config.rules if rule.name == item.born.rule and item.queue == item.born.queue]
    return next((plan for plan in own if plan is not None), s.config.queues[item.queue].relax)


def profile_of(agent: Agent) -> Profile:
    has = agent.config
    return Profile(has.skills, has.languages, has.attributes, has.team, agent.id)


def meets_after(s: State, agent: Agent, item: Interaction, k: int) -> bool:
    """Whether the agent has what is asked for after `k` steps, judged part by part, without making a new tree."""
    profile = profile_of(agent)
    steps, queues = steps_of(s, item)[:k], s.config.queues
    own = item.requirement
    if own is not None and item.number in s.legs:
        return met(own, steps, profile, True)  # a colleague who is asked need not be one of the queue's own
    if met(queues[item.queue].requirement, steps, profile, True) and (own is None or met(own, steps, profile, True)):
        return True
    # What a step lets in beside is eased by the steps after it.
    return any(
        met(way, steps[i + 1 :], profile, True)
        for i, step in enumerate(steps)
        for way in (*((step.also,) if step.also is not None else ()), *(queues[q].requirement for q in step.borrow))
    )


def borrowing(s: State, queue: str) -> list[Borrow]:
    """The rules by which the queue borrows at this moment."""
    gates = [(rule, s.gates.get((queue, rule.lender))) for rule in s.config.queues[queue].borrow]
    return [rule for rule, gate in gates if gate is not None and gate.is_open]


def lent_by(s: State, agent: Agent, item: Interaction) -> int:
    """By which of these rules the agent is the first time lent for it, counted from 0; beyond the last: by none."""
    rules = borrowing(s, item.queue)
    return next((i for i, rule in enumerate(rules) if is_lent(s, agent, item, rule)), len(rules))


def needs_by_share(s: State, event: e.LendingChanged, rule: Borrow, now_ms: int) -> bool | None:
    """Whether the queue needs help by the share of the target that somebody has used; None where it goes by more."""
    need, going = rule.when, not event.is_open
    if need.share is None or need.wait is not None or need.level_below is not None:
        return None
    waiting = (x for x in s.interactions.values() if x.state == QUEUED and x.queue == event.queue)
    counted = (x for x in waiting if not need.channels or x.born.channel in need.channels)
    used = max((Fraction(waited_by(s, x, now_ms), target_of(s, x)) for x in counted), default=Fraction(0))
    until = need.share / 2 if need.share_until is None else need.share_until
    return used > Fraction(until) if going else used >= Fraction(need.share)


def is_lent(s: State, agent: Agent, item: Interaction, rule: Borrow) -> bool:
    """They meet what their queue and the rule ask for, and what is left of what was asked for on top."""
    own, profile = item.requirement, profile_of(agent)
    if own is not None and item.number in s.legs:
        return False
    asked = (s.config.queues[rule.lender].requirement, rule.requirement)
    on_top = own is None or met(own, steps_of(s, item)[: item.step], profile, True)
    return on_top and all(fits(node, profile) for node in asked)


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
    """Of everything that waits and that somebody can take, what comes first with one of them, and who gets it."""
    best: tuple[Rank, Interaction] | None = None
    for item in s.interactions.values():
        if item.state == QUEUED:
            for agent in s.agents.values():
                if could_take(s, agent, item):
                    rank = order(s, item, now_ms, agent)
                    best = (rank, item) if best is None or rank < best[0] else best
    return (best[1].number, able(s, best[1], now_ms)[0].id) if best is not None else None


def kept_out(s: State, number: int, name: str, now_ms: int) -> int | None:
    """What comes before this interaction with this agent, and is kept out by other work that they hold (CP-4)."""
    agent, offered = s.agents[name], s.interactions[number]
    if any(item.owner == name and is_suspended(s, item) for item in s.interactions.values()) or drains_for(s, agent):
        return None
    if not spell_ms(s, agent, now_ms):
        return None
    found = [x for x in s.interactions.values() if x.state == QUEUED and _is_kept_out(s, x, agent)]
    found = [x for x in found if offered.born.channel not in prey_of(s, x)]
    ahead = [(order(s, x, now_ms, agent), x.number) for x in found]
    return min((pair for pair in ahead if pair[0] < order(s, offered, now_ms, agent)), default=(None, None))[1]


def spell_ms(s: State, agent: Agent, now_ms: int) -> int:
    """How long they may hold a place from now on, by what they held in vain: 0 while they rest for as long as that."""
    rest = s.rests.get(agent.id)
    if rest is None or now_ms - rest.since_ms >= rest.since_ms - rest.began_ms:
        return LONGEST_MS
    return max(0, rest.until_ms - now_ms) if rest.since_ms == now_ms else 0


def drain_of(s: State, item: Interaction) -> int:
    own = s.config.queues[item.queue].drain
    return int(s.config.channels[item.born.channel].drain if own is None else own)


def prey_of(s: State, item: Interaction) -> tuple[str, ...]:
    return s.config.channels[item.born.channel].interrupts


def to_finish(s: State, agent: Agent, item: Interaction) -> int:
    """How much of what the agent holds it has to wait for."""
    return sum(n for channel, n in held_by(s, agent).items() if channel not in prey_of(s, item))


def is_among_the_first(s: State, item: Interaction, agent: Agent, n: int) -> bool:
    """Of those who wait for everybody, or for this agent by name, in the same class. Who passes somebody over stands in
    no line for everybody, and is looked at in any case."""
    named = item.number in s.preferred
    if item.tried and not named:
        return True
    alike = [x for x in s.interactions.values() if x.state == QUEUED and x.place == item.place]
    if named:
        line = [x for x in alike if is_held_for(s, x, agent) and agent.id not in x.tried]
    else:
        line = [x for x in alike if x.number not in s.preferred and not x.tried]
    return item in sorted(line, key=lambda x: (x.enqueued_at_ms, x.number))[:n]


def _is_kept_out(s: State, item: Interaction, agent: Agent) -> bool:
    channel, drain = item.born.channel, s.drains.get(item.number)
    rule = s.config.channels[channel]
    if not drain_of(s, item) or not agent.capacity.lockable >> s.channel_index[channel] & 1:
        return False
    if not may_have(s, agent, item) or not is_among_the_first(s, item, agent, 1 if drain is not None else DEPTH):
        return False
    if drain is not None and to_finish(s, agent, item) >= to_finish(s, s.agents[drain.agent], item):
        return False
    cap = agent.config.caps.get(channel, rule.cap)
    if held_by(s, agent)[channel] >= cap or (agent.config.budget and rule.weight > agent.config.budget):
        return False
    if has_room(s, agent, channel) or could_interrupt(s, agent, channel) or agent.id in item.tried:
        return False
    return meets(s, agent, item) and not any(could_take(s, a, item) for a in s.agents.values())


def _relaxed(s: State) -> list[Interaction]:
    """What waits and asks for something else than at first."""
    waiting = (item for item in s.interactions.values() if item.state == QUEUED)
    return [item for item in waiting if item.step or borrowing(s, item.queue)]


def _misjudged(s: State, item: Interaction) -> list[Agent]:
    """Of whom the tree made for the steps says something else than the steps themselves."""
    return [a for a in s.agents.values() if meets(s, a, item) != meets_now(s, a, item)]


def meets_now(s: State, agent: Agent, item: Interaction) -> bool:
    return meets_after(s, agent, item, item.step) or any(is_lent(s, agent, item, x) for x in borrowing(s, item.queue))


NOT_BY_RANK = ("by-hand", "parallel")


class Oracle:
    """Follows the records and foretells each offer."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()  # of what came before something older
        self.been: dict[int, list[str]] = {}  # the queues that something left, and was sent to, when it overflowed
        self.showing: e.OfferMade | None = None  # the interaction that may be shown to further agents

    def before(self, s: State, event: Event, now_ms: int) -> list[str]:
        """What is wrong with this event, which is about to be applied."""
        if type(event) is e.LendingChanged:
            return self._gates(s, event, now_ms)
        if type(event) is e.Moved and event.cause == "overflow":
            return self._overflow(s, event)
        if type(event) is e.Transferred and event.by:
            self.been.pop(event.interaction, None)  # somebody meant it for others
        if type(event) is e.DrainBegan:
            return self._held_back(s, event, now_ms)
        if type(event) is e.DrainEnded:
            self.showing = None  # said after all that could be shown was shown
        if type(event) is not e.OfferMade:
            return []
        wrong = self._passed_by(s, event, now_ms)
        if event.cause != "routed":
            return wrong
        expected = self._expected(s, now_ms)
        self.showing = event
        first = kept_out(s, *expected, now_ms) if expected else None
        if first is not None:
            wrong.append(f"offered {event.interaction} to {event.agent}, who should drain for {first}")
        if (event.interaction, event.agent) == expected:
            return wrong
        return [*wrong, f"offered {event.interaction} to {event.agent}; expected {expected}"]

    def _gates(self, s: State, event: e.LendingChanged, now_ms: int) -> list[str]:
        """A gate changes only when its time is over, by what follows from the records alone."""
        rule = next(rule for rule in s.config.queues[event.queue].borrow if rule.lender == event.lender)
        gate = s.gates.get((event.queue, event.lender))
        wrong = []
        if gate is not None and now_ms < gate.since_ms + rule.least:
            wrong.append(f"{event} after {now_ms - gate.since_ms} ms of {rule.least}")
        if (gate is not None and gate.is_open) == event.is_open:
            wrong.append(f"{event} changes nothing")
        if event not in list(lending.facts(s, now_ms)):
            wrong.append(f"{event} does not follow from the records")
        needed = needs_by_share(s, event, rule, now_ms)
        if needed is not None and (needed if event.cause == "no-need" else not needed):
            wrong.append(f"{event}, though it is {needed} that help is needed")
        return wrong

    def _overflow(self, s: State, event: e.Moved) -> list[str]:
        """Never back, never more often than allowed, and nobody who waits for something of their own."""
        item, been = s.interactions[event.interaction], self.been.setdefault(event.interaction, [])
        wrong = []
        if event.queue in been or event.queue == item.queue:
            wrong.append(f"{event}: it has been in {been}")
        been += [item.queue, event.queue]
        if len(been) > 2 * s.config.balance.overflows:
            wrong.append(f"{event}: overflows once too often, by {been}")
        if item.given_to or item.number in s.legs or item.number in s.calls:
            wrong.append(f"{event}: it is not to be moved")
        return wrong

    def _held_back(self, s: State, event: e.DrainBegan, now_ms: int) -> list[str]:
        """Instead of an offer, a place is held for what comes before it (CP-4)."""
        expected = self._expected(s, now_ms)
        first = kept_out(s, *expected, now_ms) if expected else None
        if expected is None or (event.interaction, event.agent) != (first, expected[1]):
            return [f"{event.agent} drains for {event.interaction}; expected {first}, before {expected}"]
        longest = min(spell_ms(s, s.agents[event.agent], now_ms), drain_of(s, s.interactions[event.interaction]))
        return [] if event.until_ms == now_ms + longest else [f"{event} should last for {longest}"]

    def _passed_by(self, s: State, event: e.OfferMade, now_ms: int) -> list[str]:
        """Nothing is passed by without a reason (RT-2), nor by what came after its latest time (RT-1)."""
        found = inversions(s, event, now_ms)
        self.reasons.update(x.code for x in found)
        unexplained = [f"{x.older} was passed by: {x.reason}" for x in found if x.code == "unexplained"]
        came = s.interactions[event.interaction].enqueued_at_ms
        passed = [s.interactions[x.older] for x in found if x.code not in NOT_BY_RANK]
        # A deadline acts when the engine is next told that time passes, and a walk gives commands before it is.
        times = [latest_overtaken_at_ms(s, x) for x in passed if not 0 < s.band_due_ms(x) <= now_ms]
        late = [f"overtaken after {t} by what came at {came}" for t in times if t is not None and came > t]
        return unexplained + late

    def settled(self, s: State, now_ms: int) -> list[str]:
        """What is wrong when a command stops here."""
        expected = self._expected(s, now_ms)
        self.showing = None
        wrong = [f"stopped before offering {expected}"] if expected else []
        return wrong + [f"{a.id} and {item.number} fit otherwise" for item in _relaxed(s) for a in _misjudged(s, item)]

    def _expected(self, s: State, now_ms: int) -> tuple[int, str] | None:
        further = self._further(s, now_ms)
        if further is not None:
            return further
        self.showing = None
        return first_pair(s, now_ms)

    def _further(self, s: State, now_ms: int) -> tuple[int, str] | None:
        """The next agent who is shown the interaction that was shown just now."""
        if self.showing is None:
            return None
        item = s.interactions.get(self.showing.interaction)
        if item is None or item.state != OFFERED or len(item.offers) >= s.config.queues[item.queue].parallel_offers:
            return None
        others = able(s, item, now_ms, frozenset(s.offers[n].agent for n in item.offers))
        return (item.number, others[0].id) if others else None
