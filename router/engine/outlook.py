"""Of one that waits: what time alone will change about it, and who is ahead (EX-2).

Each kind of timed change has a line in `CHANGES`: when it is due and what it will do, in words. A new kind of deadline
that concerns what waits belongs there, too; those of queues' rules, calendars and agents stand in `limits`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from router.engine import limits, preferred, waits
from router.engine.capacity import DRAINING_MASK, takes
from router.engine.config import Duration
from router.engine.crews import crew
from router.engine.entities import Agent, Interaction
from router.engine.limits import Change
from router.engine.model import State
from router.engine.order import NEVER_MS
from router.engine.requirements import Node
from router.engine.sayings import Saying, joined, say
from router.engine.views import interaction_id


def changes(s: State, item: Interaction, now_ms: int) -> list[dict[str, Any]]:
    """What time alone will change, the next first."""
    found = sorted({change for kind in CHANGES for change in kind(s, item) if change[0] > now_ms})
    return [{"at_ms": due, "in_ms": due - now_ms, "change": code, "effect": effect} for due, code, effect in found]


def _lease(s: State, item: Interaction) -> Iterator[Change]:
    if item.lease_until_ms:
        yield item.lease_until_ms, "lease-over", say("lease-over")


def _band(s: State, item: Interaction) -> Iterator[Change]:
    due = s.band_due_ms(item)
    if due:
        yield due, "band-raised", say("band-raised", band=s.config.bands[0].name)


def _cap(s: State, item: Interaction) -> Iterator[Change]:
    cap_ms = s.matcher.class_keys[item.place].tier.cap_ms if item.waits else NEVER_MS
    if cap_ms < NEVER_MS and (due := s.due_after(item, cap_ms)):
        yield due, "cap-reached", say("cap-reached")


def _step(s: State, item: Interaction) -> Iterator[Change]:
    due = s.step_due_ms(item)
    if due:
        yield due, "relaxed", _steps_up_to(s, item, limits.last_due(s, item))


def _foreseen(s: State, item: Interaction) -> Iterator[Change]:
    """A step that comes by the expected wait, if that is still so long when it is next looked at."""
    ladder = s.ladder_of(item) if item.waits and item.threads else None
    if ladder is not None and ladder.foresees(item.step):
        longest = next(x.when_expected for x in ladder.steps[item.step :] if x.when_expected is not None)
        then = _steps_up_to(s, item, limits.last_foreseen(s, item))
        yield s.balance_ms, "expected-wait-checked", say("if-expected", longest=str(longest), then=then)


def _steps_up_to(s: State, item: Interaction, last: int) -> Saying:
    ladder, asked = limits.plan_of(s, item), s.asked_of(item)
    then = ladder.after(last, asked)
    asks = in_words(then) if then != ladder.after(item.step, asked) else None
    return limits.steps_in_words(s, item, asks, last)


def _hold(s: State, item: Interaction) -> Iterator[Change]:
    held = s.preferred.get(item.number)
    if held is not None and held.until_ms:
        yield held.until_ms, "preferred-over", say("hold-over")


def _cool_off(s: State, item: Interaction) -> Iterator[Change]:
    for agent, due in item.tried.items():
        yield due, "cool-off-ended", say("cool-off-over", agent=agent)


def _balance(s: State, item: Interaction) -> Iterator[Change]:
    """Of the rules by which queues help one another: what comes of them depends on how things stand then."""
    queue = s.queue_config(item.queue)
    if queue.overflow and item.waits:
        ways = joined("or", (rule.to for rule in queue.overflow))
        yield s.balance_ms, "overflow-checked", say("overflow-checked", queues=ways)
    for rule in queue.borrow if item.waits else ():
        gate = s.gates.get((item.queue, rule.lender))
        due = max(s.balance_ms, gate.since_ms + rule.least if gate is not None else 0)
        yield due, "lending-checked", say("lending-checked", lender=rule.lender)


def _drain(s: State, item: Interaction) -> Iterator[Change]:
    for number, held in s.drains.items():
        if number == item.number:
            yield held.until_ms, "drain-ended", say("drain-over", agent=held.agent)
        elif item.waits and is_held_off(s, item, s.agents[held.agent]):
            what = say("drain-over-other", agent=held.agent, wanted=interaction_id(number))
            yield held.until_ms, "drain-ended", what


def is_held_off(s: State, item: Interaction, agent: Agent) -> bool:
    """Whether all that keeps the agent from taking it is the place that they hold for something else."""
    channel = s.channel_index[item.born.channel]
    if agent.id in item.tried or preferred.is_for_others(s, item, agent.id):
        return False
    if not s.matcher.meets_node(agent, s.requirement_of(item)):
        return False
    room = agent.capacity.room
    return not takes(room(agent.load), channel) and takes(room(agent.load & ~DRAINING_MASK), channel)


ChangesOf = Callable[[State, Interaction], Iterator[Change]]
CHANGES: list[ChangesOf] = [_lease, _band, _cap, _step, _foreseen, _hold, _cool_off, _balance, _drain]
CHANGES += [limits.longest_wait, limits.nobody_there, limits.unserved, limits.hours, limits.attempt, limits.consult]
CHANGES += [limits.colleagues]


def ahead(s: State, item: Interaction, now_ms: int) -> list[dict[str, Any]]:
    """Who goes first, by queue; `same_agents` is the part of them that wants agents who can take this one."""
    m, own = s.matcher, s.matcher.rank_of(item, now_ms)
    key = m.class_keys[item.place]
    able = crew(m, key.requirement, key.channel)
    counts: dict[str, list[float]] = {}
    for c in m.waiting_classes():
        n = waits.ahead_in(m, c, own, now_ms)
        if n:
            other = m.class_keys[c]
            part = able.share_of(crew(m, other.requirement, other.channel))
            both = counts.setdefault(other.queue, [0, 0.0])
            both[0] += n
            both[1] += n * part
    found = [{"queue": q, "ahead": int(n), "same_agents": round(part, 1)} for q, (n, part) in counts.items()]
    return sorted(found, key=lambda line: (line["queue"] != item.queue, line["queue"]))


def in_words(node: Node) -> Saying:
    """The requirement in words."""
    if node.skill:
        return say("skill", skill=node.skill, op=node.op, level=node.level)
    if node.language:
        return say("language", language=node.language)
    if node.attribute:
        return say("attribute", name=node.attribute, values=joined("or", map(str, node.one_of or ())))
    if node.team:
        return say("team", names=joined("or", node.team))
    if node.agent:
        return say("agent", names=joined("or", node.agent))
    if node.negated is not None:
        return say("not", what=in_words(node.negated))
    if node.any is not None:
        return say("group", parts=joined("or", map(in_words, node.any))) if node.any else say("nobody")
    return say("group", parts=joined("and", map(in_words, node.all))) if node.all else say("anybody")


def duration(ms: int) -> str:
    """As a person says it: "42s", "3m10s", "4h5m"."""
    seconds = max(0, round(ms / 1_000))
    if seconds >= 3_600:
        seconds -= seconds % 60
    return str(Duration(seconds * 1_000))
