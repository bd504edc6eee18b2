"""Room that is kept free for what needs more of it than one end gives (CP-4).

A call needs an agent without other work. An agent with three chats gets the next chat whenever one ends, so a call that
nobody else can take would wait for ever, however urgent it becomes. The same befalls work that weighs more of the
budget than what ends gives back.

Before such an agent is offered something, the engine looks whether an interaction that comes before it in the order
over everything is kept out by what the agent holds. If so the agent *drains* for it: their free place is held, they are
offered nothing else that would keep it out, until they have room for it, and what was to be offered goes to somebody
else or waits. The rules:

- Never while somebody else can take it now. One agent for each interaction: when somebody would be offered something
  who has less to finish than the one who holds a place for the first of a line, it is held by them from then on.
- Never against what it may interrupt, which makes way for it anyway: an interruption beats a hold.
- Of each line the first DEPTH are held for, so that what this costs, in time and in places, has a bound.
- A *spell* in which an agent holds places, for one interaction or for several that follow each other without a pause,
  lasts `drain` of the first one's queue or channel at most. After a spell in vain they work on as before, and are not
  asked again for as long as it lasted: whose work does not end is held back for half of the time at most.
- What is in a more urgent band than what it is held for takes the place all the same, and ends the holding.
- It ends as well when the interaction no longer waits or passes the agent over, when the agent is given anything else
  that keeps it out, is no longer there or no longer lent, and with a new configuration; none of these needs a fact of
  its own.

A place that is held is no room (`capacity`), so everything that looks at room sees it: no agent counts as idle because
of it, for liveness (RT-5) as for readiness, and explanations say for what it is held and until when.

The first half decides, the second half is called by `evolve` alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappush
from itertools import islice

from router.engine import events as e
from router.engine.capacity import DRAINING, DRAINING_MASK, takes
from router.engine.entities import Agent, Drain, Interaction, Rest
from router.engine.lines import numbers_in
from router.engine.matching import ITEM_MASK
from router.engine.model import DRAIN_DUE, State
from router.engine.order import NEVER_MS

DEPTH = 16

# --- decisions --------------------------------------------------------------------------------------------------------


def instead(s: State, item: Interaction, agent: Agent, now_ms: int) -> e.DrainBegan | None:
    """For what the agent is to drain, rather than be offered this interaction. Called for who holds something."""
    channels = agent.capacity.kept_out(agent.load)
    if not channels:
        return None
    m = s.matcher
    waits = m.waiting_on(channels) or (s.preferred and agent.id in m.personal.own)
    latest = _latest_ms(s, agent, now_ms) if waits else 0
    if not latest:
        return None
    first = _first_kept_out(s, item, agent, channels, now_ms)
    if first is None:
        return None
    return e.DrainBegan(first.number, agent.id, min(latest, now_ms + drain_ms(s, first)))


def drain_ms(s: State, item: Interaction) -> int:
    own = s.queue_config(item.queue).drain
    return int(s.config.channels[item.born.channel].drain if own is None else own)


def _latest_ms(s: State, agent: Agent, now_ms: int) -> int:
    """Until when the agent may hold a place; 0: not asked now."""
    rest = s.rests.get(agent.id)
    if rest is None or now_ms >= rest.over_ms:
        return NEVER_MS
    return rest.until_ms if rest.since_ms == now_ms < rest.until_ms else 0


def _first_kept_out(s: State, item: Interaction, agent: Agent, channels: int, now_ms: int) -> Interaction | None:
    """Of what waits for these channels, what comes first, if it comes before `item` and would be kept out by it."""
    m, first = s.matcher, None
    m.stand()
    best = m.rank_with(item, agent, now_ms)
    for other in _candidates(s, agent, channels, s.channel_index[item.born.channel]):
        if _may_drain(s, other, agent):
            rank = m.rank_with(other, agent, now_ms)
            if rank < best and m.taker(other, other.tried) is None:
                best, first = rank, other
    return first


def _candidates(s: State, agent: Agent, channels: int, taken: int) -> Iterator[Interaction]:
    """What may come first of what waits for everybody or for this agent by name, and does not interrupt the channel
    that would be taken."""
    m = s.matcher
    for c in numbers_in(m.waiting_on(channels)):
        if _fits(s, agent, c, taken):
            yield from _first_of(s, m.waiting.walk(c))
            yield from m.cooling.get(c, {}).values()
    for c, line in m.personal.own.get(agent.id, {}).items() if s.preferred else ():
        if channels >> m.class_keys[c].channel & 1 and _fits(s, agent, c, taken):
            yield from _first_of(s, m.personal.lines.walk(line))


def _fits(s: State, agent: Agent, c: int, taken: int) -> bool:
    interrupts = agent.capacity.interrupts[s.matcher.class_keys[c].channel]
    return not interrupts >> taken & 1 and s.matcher.meets_class(agent, c)


def _first_of(s: State, line: Iterator[int]) -> Iterator[Interaction]:
    """The first of a line; if a place is held for it, also the first for which none is."""
    numbers = (entry & ITEM_MASK for entry in islice(line, DEPTH))
    first = next(numbers, None)
    if first is not None:
        yield s.interactions[first]
        if first in s.drains:
            yield from (s.interactions[n] for n in islice((n for n in numbers if n not in s.drains), 1))


def _may_drain(s: State, item: Interaction, agent: Agent) -> bool:
    """Unless somebody drains for it already who has no more to finish."""
    found = s.drains.get(item.number)
    if found is not None:
        c, holder = s.channel_index[item.born.channel], s.agents[found.agent]
        if agent.capacity.in_the_way(agent.load, c) >= holder.capacity.in_the_way(holder.load, c):
            return False
    return agent.id not in item.tried and drain_ms(s, item) > 0


def overtaken(s: State, now_ms: int) -> e.DrainEnded | None:
    """The next place that something in a more urgent band takes: of several that it could have, the place that is held
    for what comes last."""
    m = s.matcher
    bands = [(m.band_of(s.interactions[number].place), found) for number, found in s.drains.items()]
    if not m.waiting_before(max(band for band, _ in bands)):
        return None
    over = [found for band, found in bands if _is_overtaken(s, found, band)]
    if not over:
        return None
    last = max(over, key=lambda d: m.rank_of(s.interactions[d.interaction], now_ms))
    return e.DrainEnded(last.interaction, last.agent, "overtaken")


def _is_overtaken(s: State, drain: Drain, band: int) -> bool:
    """Whether its agent, but for the place that they hold, could take something in a more urgent band."""
    m, agent = s.matcher, s.agents[drain.agent]
    room = agent.capacity.room(agent.load & ~DRAINING_MASK)
    named = m.personal.own.get(agent.id, {}) if s.preferred else {}
    return any(
        takes(room, m.class_keys[c].channel) and m.meets_class(agent, c) and (c in named or _waits_for(s, agent, c))
        for c in numbers_in(m.waiting_before(band))
    )


def _waits_for(s: State, agent: Agent, c: int) -> bool:
    cooling = s.matcher.cooling.get(c, {})
    return bool(s.matcher.waiting.filled >> c & 1) or any(agent.id not in x.tried for x in cooling.values())


# --- facts ------------------------------------------------------------------------------------------------------------


def begin(s: State, ev: e.DrainBegan, at_ms: int) -> None:
    agent, number = s.agents[ev.agent], ev.interaction
    former, rest = s.drains.get(number), s.rests.pop(agent.id, None)
    if former is not None:
        in_vain(s, s.agents[former.agent])
    began = rest.began_ms if rest is not None and rest.since_ms == at_ms else at_ms
    s.drains[number] = Drain(number, agent.id, began, ev.until_ms)
    heappush(s.timers, (ev.until_ms, DRAIN_DUE, number, ""))
    agent.drains = number
    _mark(s, agent, s.channel_index[s.interactions[number].born.channel] + 1 << DRAINING)


def end(s: State, ev: e.DrainEnded, at_ms: int) -> None:
    in_vain(s, s.agents[ev.agent])


def let_go(s: State, item: Interaction) -> None:
    """It no longer waits where it did."""
    found = s.drains.get(item.number)
    if found is not None:
        in_vain(s, s.agents[found.agent])


def passed_over(s: State, item: Interaction) -> None:
    """Others are to be asked first."""
    found = s.drains.get(item.number)
    if found is not None and found.agent in item.tried:
        in_vain(s, s.agents[found.agent])


def called_back(s: State) -> None:
    """Who was lent to a queue, and is no more, holds no place for what waits there."""
    for found in list(s.drains.values()):
        agent = s.agents[found.agent]
        if not s.matcher.meets_class(agent, s.interactions[found.interaction].place):
            in_vain(s, agent)


def offered(s: State, item: Interaction, agent: Agent) -> None:
    """The agent is given something, by the engine or by hand: what they held a place for, or its like; or what makes
    way for that; or else the place is gone."""
    if agent.drains:
        if item.born.channel == s.interactions[agent.drains].born.channel:
            del s.drains[agent.drains]
            _mark(s, agent, 0)
        elif not agent.capacity.room(agent.load) >> s.channel_index[item.born.channel] & 1:
            in_vain(s, agent)
    let_go(s, item)


def in_vain(s: State, agent: Agent) -> None:
    """The spell is over, unless it goes on for something else at this very moment."""
    found = s.drains.pop(agent.drains)
    if s.now_ms > found.since_ms:
        s.rests[agent.id] = Rest(agent.id, found.since_ms, found.until_ms, s.now_ms)
    _mark(s, agent, 0)


def in_vain_for_all(s: State) -> None:
    for found in list(s.drains.values()):
        in_vain(s, s.agents[found.agent])


def _mark(s: State, agent: Agent, mark: int) -> None:
    """The same load gives another room."""
    if not mark:
        agent.drains = 0
    s.matcher.withdraw(agent)
    agent.load = agent.load & ~DRAINING_MASK | mark
    s.matcher.place(agent)
    if agent.cell >= 0:
        s.matcher.fresh_agents.append(agent)
