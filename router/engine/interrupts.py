"""Work that is put aside for what may interrupt it, and taken up again before anything new (CP-1).

Who may interrupt whom is a matrix in the configuration (`Channel.interrupts`); who has room by interruption is told by
`capacity`. Here is what happens then:

- Nothing is suspended by an offer. When the agent takes it, as much of the soft work as is needed makes way, the latest
  taken first, in facts that come before the acceptance, so that at no position of the journal too much is held.
- Suspended work stays its agent's. It may be answered, noted, transferred, completed and requeued like any other; the
  customer may write or leave. It takes no room, and its time at work stands still, a running wrap-up included.
- Whenever its agent has less to do, it is looked at: whatever fits again is continued, the earliest taken first. The
  engine does so after all facts of a command and before it matches. Once something has ended, its agent is given
  nothing new until all that is suspended has been taken up.
- What was suspended for `Channel.interrupted_max` in all is not interrupted again, so that nothing is put off for ever.

The first half decides, the second half is called by `evolve` alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappush

from router.engine import events as e
from router.engine.capacity import HELD, RESUMING, SUSPENDED
from router.engine.entities import Agent, Interaction, Offer, Suspension
from router.engine.events import Event
from router.engine.model import WRAP_UP_DUE, State
from router.engine.transitions import WRAP_UP

# --- decisions --------------------------------------------------------------------------------------------------------


def make_way(s: State, agent: Agent, item: Interaction, load: int) -> list[e.WorkSuspended]:
    """What the agent puts aside to take this interaction; `load` is what they hold without it.

    Nothing where there is room for it anyway, and where even that would not make room (an override).
    """
    c, capacity, load = s.channel_index[item.born.channel], agent.capacity, load & HELD
    aside: list[e.WorkSuspended] = []
    for number in reversed(agent.work):
        if capacity.room_beside(load) >> c & 1:
            break
        other = s.interactions[number]
        if other is not item and _yields(s, agent, other, c):
            aside.append(e.WorkSuspended(number, agent.id, item.number))
            load -= s.units[other.born.channel]
    return aside if capacity.room_beside(load) >> c & 1 else []


def acceptance(s: State, offer: Offer) -> list[Event]:
    """The agent takes it, after what it interrupts has made way."""
    accepted = e.OfferAccepted(offer.number, offer.interaction, offer.agent)
    if not s.interrupts:
        return [accepted]
    agent, item = s.agents[offer.agent], s.interactions[offer.interaction]
    return [*make_way(s, agent, item, agent.load - s.units[item.born.channel]), accepted]


def would_put_aside(s: State, item: Interaction, agent: Agent, offered: bool = False) -> list[int]:
    """What the agent would put aside on accepting it; `offered`: they hold an open offer of it."""
    if not s.interrupts:
        return []
    load = agent.load - (s.units[item.born.channel] if offered else 0)
    return [fact.interaction for fact in make_way(s, agent, item, load)]


def _yields(s: State, agent: Agent, work: Interaction, to: int) -> bool:
    may = agent.capacity.interrupts[to] >> s.channel_index[work.born.channel] & 1
    return bool(may and s.soft_of(work) and not s.suspended(work))


def taken_up(s: State) -> Iterator[e.WorkContinued]:
    """What can be continued now. Each fact must be applied before the next one is asked for."""
    agents, s.returning = s.returning, []
    for agent in agents:
        for item in suspended_work(s, agent):
            if agent.capacity.fits_again(agent.load, s.channel_index[item.born.channel]):
                yield e.WorkContinued(item.number, agent.id)


def suspended_work(s: State, agent: Agent) -> list[Interaction]:
    """The earliest taken first."""
    if not agent.load >> SUSPENDED:
        return []
    return [item for item in map(s.interactions.__getitem__, agent.work) if s.suspended(item)]


# --- facts ------------------------------------------------------------------------------------------------------------


def accepted(s: State, agent: Agent, item: Interaction) -> None:
    """An offer became work, which others may interrupt; its clocks start anew."""
    s.suspensions.pop(item.number, None)
    soft = s.soft_of(item)
    if soft:
        _shift(s, agent, soft)


def suspend(s: State, ev: e.WorkSuspended, at_ms: int) -> None:
    item, agent = s.interactions[ev.interaction], s.agents[ev.agent]
    load = s.load_of(item)
    former = s.suspensions.get(item.number)
    s.suspensions[item.number] = Suspension(item.number, at_ms, former.total_ms if former else 0)
    s.interrupts = True
    agent.stream += 1
    _shift(s, agent, s.load_of(item) - load)


def resume(s: State, ev: e.WorkContinued, at_ms: int) -> None:
    item, agent = s.interactions[ev.interaction], s.agents[ev.agent]
    load, since = s.load_of(item), s.suspensions[item.number].since_ms
    _end(s, item, at_ms)
    if item.state == WRAP_UP and item.wrap_up_until_ms:
        item.wrap_up_until_ms += at_ms - max(since, item.ended_at_ms)
        heappush(s.timers, (item.wrap_up_until_ms, WRAP_UP_DUE, item.number, ""))
    agent.stream += 1
    _shift(s, agent, s.load_of(item) - load)


def let_go(s: State, agent: Agent, item: Interaction, at_ms: int) -> None:
    """Work is leaving its agent: afterwards it is as plain in their load as an offer is."""
    plain = s.units[item.born.channel]
    change = plain - s.load_of(item)
    if s.suspended(item):
        _end(s, item, at_ms)
    else:
        for other in suspended_work(s, agent):
            s.suspensions[other.number].due = True
    agent.load = _mark(s, agent, agent.load + change)
    if agent.load >> SUSPENDED:
        s.returning.append(agent)


def hand_over(s: State, leg: Interaction, item: Interaction) -> None:
    """Who was asked has the interaction itself now, and put aside if the consult was: their load stays as it is."""
    s.suspensions.pop(item.number, None)
    found = s.suspensions.pop(leg.number, None)
    if found is not None:
        s.suspensions[item.number] = Suspension(item.number, found.since_ms, found.total_ms, found.due)


def _end(s: State, item: Interaction, at_ms: int) -> None:
    found = s.suspensions[item.number]
    s.suspensions[item.number] = Suspension(item.number, 0, found.total_ms + at_ms - found.since_ms)


def _shift(s: State, agent: Agent, change: int) -> None:
    """The same work weighs otherwise: the agent's room may have grown or shrunk by it."""
    s.matcher.withdraw(agent)
    agent.load = _mark(s, agent, agent.load + change)
    s.matcher.place(agent)
    if agent.cell >= 0:
        s.matcher.fresh_agents.append(agent)


def _mark(s: State, agent: Agent, load: int) -> int:
    """With the bit that says whether something suspended is due."""
    if not load >> SUSPENDED:
        return load
    due = any(s.suspended(i) and s.suspensions[i.number].due for i in map(s.interactions.__getitem__, agent.work))
    return load & ~RESUMING | (RESUMING if due else 0)
