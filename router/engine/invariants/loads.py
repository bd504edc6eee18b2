"""What agents have: their loads, what is drained for them, and what of theirs was set aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from router.engine.capacity import DRAINING, RESUMING, SOFT, SUSPENDED, count
from router.engine.invariants.counting import (
    drains_for,
    held_by,
    is_present,
    is_suspended,
    may_have,
    meets,
    soft_work,
    work_of,
)
from router.engine.model import (
    State,
)
from router.engine.rounds import LONGEST_MS
from router.engine.transitions import ACTIVE, OFFERED, QUEUED, WRAP_UP


def loads(s: State) -> Iterator[str]:
    """One number says what an agent has, and it is the truth (CP-3)."""
    for agent in s.agents.values():
        aside = [item for item in work_of(s, agent) if is_suspended(s, item)]
        layers = (
            (0, held_by(s, agent)),
            (SOFT, soft_work(s, agent)),
            (SUSPENDED, Counter(i.born.channel for i in aside)),
        )
        rest = agent.load & ~RESUMING
        for number in drains_for(s, agent):
            rest -= s.channel_index[s.interactions[number].born.channel] + 1 << DRAINING
        for begin, held in layers:
            for i, channel in enumerate(s.channels):
                if count(agent.load >> begin, i) != held[channel]:
                    yield f"{agent.id}: load says {count(agent.load >> begin, i)} {channel}, has {held[channel]}"
                rest -= held[channel] * s.units[channel] << begin
        if rest:
            yield f"{agent.id}: load counts what does not exist"
        if bool(agent.load & RESUMING) != any(s.suspensions[item.number].due for item in aside):
            yield f"{agent.id}: load is wrong about whether something suspended is due"


def drains(s: State) -> Iterator[str]:
    """A place is held for what waits, by one agent who is there and fits, and for no longer than somewhere is written
    (CP-4)."""
    wanted = (*(x.drain for x in s.config.channels.values()), *(x.drain or 0 for x in s.config.queues.values()))
    longest = max(wanted, default=0)
    for number, found in s.drains.items():
        item, agent = s.interactions.get(number), s.agents.get(found.agent)
        if item is None or item.state != QUEUED or found.interaction != number:
            yield f"a place is held for interaction {found.interaction} under {number}, which does not wait"
        elif agent is None or not (is_present(agent) and may_have(s, agent, item) and meets(s, agent, item)):
            yield f"{found.agent} holds a place for interaction {number}, which they may not have"
        elif agent.id in item.tried:
            yield f"{found.agent} holds a place for interaction {number} and could not take it"
        if not 0 < found.until_ms - found.since_ms <= longest:
            yield f"{found.agent} holds a place from {found.since_ms} to {found.until_ms}; the longest is {longest}"
    for someone in s.agents.values():
        held = drains_for(s, someone)
        if held != [someone.drains][: bool(someone.drains)]:
            yield f"{someone.id} says that they hold a place for {someone.drains}, and do for {held}"
    for name, rest in s.rests.items():
        if name != rest.agent or name not in s.agents or not rest.began_ms < rest.since_ms <= s.now_ms:
            yield f"{rest.agent} rests from {rest.since_ms}, under the name {name}"
    for name, in_a_row in s.failing.items():
        if name not in s.agents or in_a_row < 1:
            yield f"{in_a_row} connections of {name} have failed"
    if s.drains and not s.drainable:
        yield "a place is held where nothing can be kept out"


def suspensions(s: State) -> Iterator[str]:
    """Only what somebody has is suspended, and it is timed."""
    for number, found in s.suspensions.items():
        item = s.interactions.get(number)
        if item is None or found.interaction != number:
            yield f"a suspension of interaction {found.interaction} is kept under {number}"
        elif found.since_ms and item.state not in (ACTIVE, WRAP_UP):
            yield f"interaction {number} is suspended in state {item.state}"
        elif found.due and not found.since_ms:
            yield f"interaction {number} is due, but not suspended"
        if not 0 <= found.since_ms <= s.now_ms or found.total_ms < 0:
            yield f"interaction {number} was suspended at {found.since_ms} for {found.total_ms}"
    for number, r in s.rounds.items():
        asked = s.interactions.get(number)
        if asked is None or asked.state not in (QUEUED, OFFERED) or r.interaction != number:
            yield f"rounds of interaction {r.interaction} are counted under {number}"
        if r.paused_until_ms - s.now_ms > LONGEST_MS:
            yield f"interaction {number} pauses until {r.paused_until_ms}, which is out of bounds"
    for number, queues in s.left.items():
        if number not in s.interactions or not s.interactions[number].open or len(set(queues)) < len(queues):
            yield f"interaction {number} has left {queues}"
    if (s.suspensions or s.soft) and not s.interrupts:
        yield "interruptions are switched off, though there are some"


def agents(s: State) -> Iterator[str]:
    """Places among the idle are unique; who is out of the configuration stays only while there is something to do."""
    stamps = Counter(agent.stamp for agent in s.agents.values() if agent.stamp)
    for stamp, n in stamps.items():
        if n > 1 or stamp > s.last_stamp:
            yield f"place {stamp} among the idle is held {n} times; the last one given is {s.last_stamp}"
    for agent in s.agents.values():
        if agent.retired != (agent.id not in s.config.agents):
            yield f"agent {agent.id}: retired is {agent.retired}"
        if agent.retired and not (agent.work or agent.offers):
            yield f"agent {agent.id} should have gone"
        if agent.counted != is_present(agent):
            yield f"agent {agent.id} is counted as {'' if agent.counted else 'not '}present"
        if agent.sessions and agent.grace_until_ms:
            yield f"agent {agent.id} is here and yet in grace"
        if not agent.retired and agent.config != s.config.agents[agent.id]:
            yield f"agent {agent.id} works by an old configuration"
