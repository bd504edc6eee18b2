"""One offer, as it was decided: who could have had it, by what score, and why each other agent was passed over (EX-1).

Nothing of this is written down when it happens. An offer depends on the state before it and on the time alone, so it
can be worked out again from the records: `decision` is asked of a state to which everything up to the offer, and not
the offer itself, was applied (`service.hindsight` finds that state). The cost of an explanation is therefore paid by
whoever asks for it.

Score parts are those that the queue's rule looks at, and the time idle, by which equals are told apart. `order` is the
place among all who could have had it: 1 got it.
"""

from __future__ import annotations

from typing import Any

from router.engine import choice, lending, occupancy, preferred
from router.engine.entities import Agent, Interaction
from router.engine.explain import reason
from router.engine.interrupts import would_put_aside
from router.engine.lookups import written
from router.engine.matching import ITEM_MASK, Profile
from router.engine.model import State
from router.engine.precedence import precedence
from router.engine.sayings import Saying, say
from router.engine.transitions import OFFERED
from router.engine.views import interaction_id, offer_id

# A page for a person; `why-not` answers for any agent, and the counts are of all.
AGENTS_SHOWN = 50
RIVALS_SHOWN = 5

CAUSES = {"pick": "took-by-hand", "assign": "gave", "assign-override": "gave-in-spite"}


class Scored:
    """An agent who could have had it, and how the queue's rule sees them; the smallest `key` gets it."""

    def __init__(self, s: State, item: Interaction, agent: Agent, now_ms: int) -> None:
        self.agent = agent
        self.circle = _circle(s, item, agent)
        self.score, self.parts = _score(s, item, agent, now_ms)
        self.key = (self.circle, self.score, agent.stamp)
        self.lent = lending.told(s, item, agent)

    def told(self, order: int) -> dict[str, Any]:
        return {"agent": self.agent.id, "order": order, "circle": self.circle, **self.parts, **self.lent}


def decision(s: State, item: Interaction, offer: int, agent: Agent, cause: str, by: str, now_ms: int) -> dict[str, Any]:
    """Of the offer with that number, which is about to be made. `s` holds everything before it."""
    s.matcher.stand()
    told = {
        "offer": offer_id(offer),
        "at_ms": now_ms,
        "agent": agent.id,
        "cause": cause,
        "configuration_version": s.version,
        **asked(s, item, now_ms),
    }
    if cause != "routed":
        who = by.removeprefix("operator:") or say("an-operator")
        return {**told, "why": say(CAUSES.get(cause, "was-given"), agent=agent.id, who=who, cause=cause)}
    candidates = _candidates(s, item, now_ms)
    chosen = next((x for x in candidates if x.agent is agent), None)
    passed = _passed_over(s, item, candidates, chosen, agent, now_ms)
    counts: dict[str, int] = {}
    for line in passed:
        counts[line["code"]] = counts.get(line["code"], 0) + 1
    return {
        **told,
        "why": _borrowed(s, item, agent, _why(s, item, agent, candidates)),
        "candidates": [x.told(i) for i, x in enumerate(candidates[:AGENTS_SHOWN], 1)],
        "passed_over": passed[:AGENTS_SHOWN],
        "passed_over_by_reason": counts,
        "also_waiting": _rivals(s, item, agent, now_ms),
        "puts_aside": [interaction_id(n) for n in would_put_aside(s, item, agent)],
    }


def asked(s: State, item: Interaction, now_ms: int) -> dict[str, Any]:
    """What stood before the rules: requirement, relaxation step, and the parts of its rank."""
    queue, target = s.queue_config(item.queue), s.target_ms(item)
    waited = max(0, s.waited_ms(item, now_ms))
    requirement = s.matcher.class_keys[item.place].requirement if item.waits else s.requirement_of(item)
    return {
        "rule": item.born.rule,
        "queue": item.queue,
        "requirement": written(requirement),
        "step": item.step,
        "policy": s.config.order.policy,
        "cap": s.config.order.cap,
        "handle_times": s.matcher.divided,
        "band": s.band_of(item),
        "lifted": item.lifted,
        "weight": item.weight or queue.weight,
        **_learned(s, item),
        "target_ms": target,
        "head_start_ms": int(queue.head_start),
        "waited_ms": waited,
        "share_of_target": round(waited / target, 3),
        "choice": queue.choice,
    }


def _learned(s: State, item: Interaction) -> dict[str, float]:
    """Where the policy learns: what its queue's weight is multiplied with."""
    return (
        {"learned_weight": round(s.queues[item.queue].standing.value, 3)}
        if s.learning and item.queue in s.queues
        else {}
    )


def _candidates(s: State, item: Interaction, now_ms: int) -> list[Scored]:
    """Everybody who could have had it, the best first."""
    m = s.matcher
    if item.number in s.preferred:
        return _in_the_order_named(s, item, now_ms)
    cells = m.cells_of[item.place]
    able = (a for a in m.agents if a.cell >= 0 and cells >> a.cell & 1 and not _passed(s, item, a))
    found = sorted((Scored(s, item, a, now_ms) for a in able), key=lambda x: x.key)
    # The hash of `random` is of the offer, and of those alike `blend` takes the first by place: the matcher can tell.
    if s.queue_config(item.queue).choice in ("random", "blend"):
        m.now_ms = now_ms
        drawn = m.best_agent(item.place, [*item.tried, *_seen(s, item)])
        found.sort(key=lambda x: x.agent is not drawn)
    return found


def _in_the_order_named(s: State, item: Interaction, now_ms: int) -> list[Scored]:
    """Of what is held for agents by name: whoever need interrupt nothing, then as they are named."""
    able = [Scored(s, item, a, now_ms) for a in s.matcher.personal.able(item, _seen(s, item))]
    return sorted(able, key=lambda x: _interrupts(s, item, x))


def _seen(s: State, item: Interaction) -> set[str]:
    return {s.offers[n].agent for n in item.offers}


def _passed(s: State, item: Interaction, agent: Agent) -> bool:
    return agent.id in item.tried or agent.id in _seen(s, item)


def _circle(s: State, item: Interaction, agent: Agent) -> int:
    """Of a relaxed requirement, how far out the agent stands: 0 meets what was asked for first."""
    circles = s.matcher.circles[item.place] or ()
    return next((i for i, circle in enumerate(circles) if circle.cells >> agent.cell & 1), 0)


def _score(s: State, item: Interaction, agent: Agent, now_ms: int) -> tuple[int, dict[str, Any]]:
    """What the queue's rule makes of the agent, smaller is better, and the parts in words."""
    rule, config = s.queue_config(item.queue).choice, s.queue_config(item.queue)
    parts: dict[str, Any] = {}
    if agent.idle_since_ms:
        parts["idle_s"] = max(0, now_ms - agent.idle_since_ms) // 1_000
    score = 0
    if rule in choice.STATIC:
        place = s.matcher.seen_by(s.matcher.class_keys[item.place])
        profile = s.matcher.profiles[agent.profile]
        score = choice.STATIC[rule](place, profile)
        parts |= _parts(rule, place, profile)
    if rule == "blend":
        idle_ms = now_ms - agent.idle_since_ms
        score = choice.blended(score, config.blend.idle, idle_ms)
        parts["points"] = round(-score / choice.MINUTE_MS / choice.POINT, 3)
    if rule == "least-occupied":
        score = occupancy.key(agent.busy_share, agent.busy_at_ms)
        parts["busy_share"] = round(
            occupancy.faded(agent.busy_share, max(0, now_ms - agent.busy_at_ms)) / occupancy.FULL, 3
        )
    return score, parts


def _parts(rule: str, place: choice.Place, profile: Profile) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if rule in ("best-level", "blend"):
        found["level"] = choice.level(place.requirement, profile)
    if rule in ("least-flexible", "blend"):
        found["fits_queues"] = place.queues_of(profile)
    if rule in choice.BY_TIME and choice.handle_ms(place, profile) != choice.UNKNOWN_MS:
        found["handle_s"] = choice.handle_ms(place, profile) / 1_000
    return found


# --- in words ---------------------------------------------------------------------------------------------------------


def _why(s: State, item: Interaction, agent: Agent, candidates: list[Scored]) -> Saying:
    if item.number in s.preferred:
        return say("chosen-named", held=preferred.in_words(s, item), agent=agent.id)
    if len(candidates) == 1:
        return say("chosen-only", agent=agent.id)
    rule = s.queue_config(item.queue).choice
    inside = [x for x in candidates if x.circle == candidates[0].circle]
    if len(inside) == 1 and _interrupts(s, item, candidates[1]) and not _interrupts(s, item, candidates[0]):
        return say("chosen-undisturbed", n=len(candidates), agent=agent.id)
    if len(inside) == 1:
        return say("chosen-at-first", n=len(candidates), agent=agent.id)
    why = say("chosen-best", n=len(inside), agent=agent.id, best=_best(rule))
    equal = [x for x in inside if x.score == candidates[0].score]
    if rule not in ("longest-idle", "random") and len(equal) > 1:
        return say("chosen-of-equals", why=why, n=len(equal))
    return why


def _best(rule: str) -> Saying:
    return say(f"best-{rule}")


def _borrowed(s: State, item: Interaction, agent: Agent, why: Saying) -> Saying:
    lender = lending.lender_of(s, item, agent)
    return say("chosen-borrowed", why=why, lender=lender, queue=item.queue) if lender else why


def _passed_over(
    s: State, item: Interaction, candidates: list[Scored], chosen: Scored | None, agent: Agent, now_ms: int
) -> list[dict[str, Any]]:
    """One reason for each agent; those who came nearest first."""
    able = {x.agent.id: x for x in candidates}
    near = [_lost(s, item, x, chosen) for x in candidates if x is not chosen]
    far = [
        {"agent": a.id, "code": code, "reason": sentence}
        for a in s.agents.values()
        if a.id not in able and a is not agent
        for code, sentence in [reason(s, item, a, now_ms)]
    ]
    return near + far


def _lost(s: State, item: Interaction, x: Scored, chosen: Scored | None) -> dict[str, Any]:
    code, agent = _behind(s, item, x, chosen), x.agent.id
    if code == "lower-score" and chosen is not None:
        best = _best(s.queue_config(item.queue).choice)
        return {
            "agent": agent,
            "code": code,
            "reason": say(f"behind-{code}", agent=agent, other=chosen.agent.id, best=best),
        }
    return {"agent": agent, "code": code, "reason": say(f"behind-{code}", agent=agent)}


def _behind(s: State, item: Interaction, x: Scored, chosen: Scored | None) -> str:
    """Why somebody who could have had it came after who got it."""
    if item.number in s.preferred:
        return "named-later"
    if chosen is not None and _interrupts(s, item, x) and not _interrupts(s, item, chosen):
        return "would-interrupt"
    if chosen is not None and x.circle > chosen.circle:
        return "outer"
    if s.queue_config(item.queue).choice == "random":
        return "not-drawn"
    return "lower-score" if chosen is not None and x.score > chosen.score else "lost-tie"


def _interrupts(s: State, item: Interaction, x: Scored) -> bool:
    """Whether they would have to put other work aside: circles begin anew with those who would."""
    return x.circle > len(s.matcher.class_keys[item.place].inner)


def _held_too(s: State, item: Interaction, agent: Agent) -> list[Interaction]:
    """What else is held for this agent: the first of each line."""
    m, lines = s.matcher, s.matcher.personal
    own = lines.own.get(agent.id, {}) if agent.cell >= 0 else {}
    heads = (lines.lines.head[line] & ITEM_MASK for c, line in own.items() if m.classes_of[agent.cell] >> c & 1)
    return [s.interactions[number] for number in heads if number != item.number]


def _rivals(s: State, item: Interaction, agent: Agent, now_ms: int) -> list[dict[str, Any]]:
    """What else waited that this agent could have taken: the first of each line, in the order with this agent.

    `why` is a code of `precedence`, or `parallel`: it was being shown to somebody already. Only `urgency` means that
    the policy's values were compared, and `value` is in the policy's own measure.
    """
    m = s.matcher
    own = m.rank_with(item, agent, now_ms)
    found = [(m.rank_with(x, agent, now_ms), x) for x in _held_too(s, item, agent)]
    for c in m.waiting_classes():
        if agent.cell < 0 or not m.cells_of[c] >> agent.cell & 1:
            continue
        other = s.interactions.get(m.waiting.head[c] & ITEM_MASK)
        if other is not None and other is not item and agent.id not in other.tried:
            found.append((m.rank_with(other, agent, now_ms), other))
    found.sort(key=lambda pair: pair[0])
    return [
        {
            "interaction": interaction_id(x.number),
            "queue": x.queue,
            "band": s.band_of(x),
            "why": _before(s, item, x, agent, now_ms),
            "value": round(-rank[1], 6),
            "instead_of": round(-own[1], 6),
            "weight": x.weight or s.queue_config(x.queue).weight,
            **_learned(s, x),
            "target_ms": s.target_ms(x),
            "waited_ms": max(0, s.waited_ms(x, now_ms)),
        }
        for rank, x in found[:RIVALS_SHOWN]
    ]


def _before(s: State, item: Interaction, other: Interaction, agent: Agent, now_ms: int) -> str:
    why = precedence(s, item, other, agent, now_ms)
    return "parallel" if item.state == OFFERED and why in ("other-agent", "unexplained") else why
