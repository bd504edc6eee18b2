"""The steps that several facts share: in and out of line, load taken and let go, who is told, what is posted.

Each leaves the state whole as far as it concerns itself; in which order they come is the fact's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappush
from typing import Any

from router.engine import drain, interrupts, levels, occupancy, preferred, rounds, tally
from router.engine.capacity import SUSPENDED
from router.engine.entities import Agent, Callback, Interaction
from router.engine.model import BAND_DUE, CALLBACK_DUE, COOL_OFF_DUE, STEP_DUE, State
from router.engine.transitions import OFFERED, QUEUED
from router.engine.views import Outbound


def told(agent: Agent) -> None:
    agent.stream += 1


def restamp(s: State, agent: Agent) -> None:
    s.last_stamp += 1
    agent.stamp = s.last_stamp


def take_load(s: State, agent: Agent, channel: str) -> None:
    """The agent has one more; among equals they now come last, so that a burst goes round (RT-6)."""
    matcher = s.matcher
    if agent.cell >= 0:
        matcher.withdraw(agent)
    if matcher.clocked:
        _clock(s, agent)
    agent.load += s.units[channel]
    s.last_stamp += 1
    agent.stamp = s.last_stamp
    if agent.counted:
        matcher.place(agent)


def _drop_load(s: State, agent: Agent, channel: str, stamp: int = 0) -> None:
    """The agent has one less and may get the next. `stamp` gives back a former place among the idle."""
    matcher = s.matcher
    if agent.cell >= 0:
        matcher.withdraw(agent)
    if matcher.clocked:
        _clock(s, agent)
    agent.load -= s.units[channel]
    if not stamp:
        stamp = s.last_stamp = s.last_stamp + 1
    agent.stamp = stamp
    if agent.counted:
        matcher.place(agent)
        if agent.cell >= 0:
            matcher.fresh_agents.append(agent)
    if agent.retired:
        _dismiss(s, agent)


def drop_work(s: State, agent: Agent, item: Interaction) -> None:
    """Work, unlike an offer, may be soft or suspended."""
    if s.interrupts:
        interrupts.let_go(s, agent, item, s.now_ms)
    _drop_load(s, agent, item.born.channel)


def _clock(s: State, agent: Agent) -> None:
    """The agent's load or presence is about to change: note how busy they were until now. The time away counts as
    nothing, neither as work nor as rest."""
    if agent.counted:
        agent.busy_share = occupancy.after(agent.busy_share, s.now_ms - agent.busy_at_ms, agent.load > 0)
    agent.busy_at_ms = agent.idle_since_ms = s.now_ms


def _offer_room(s: State, agent: Agent) -> None:
    s.matcher.place(agent)
    if agent.cell >= 0:
        s.matcher.fresh_agents.append(agent)


def presence(s: State, agent: Agent) -> None:
    """State or sessions changed: stand the agent where they now belong."""
    s.matcher.withdraw(agent)
    if s.matcher.clocked:
        _clock(s, agent)
    s.matcher.count(agent, agent.available)
    s.matcher.count_off(agent, agent.missing)
    if agent.drains and not agent.available:
        drain.in_vain(s, agent)
    _offer_room(s, agent)
    if not agent.available:
        recheck_cooling(s)


def move(s: State, item: Interaction, to: int) -> None:
    """Change the interaction's state, its queue's counters and its place in line."""
    queue = s.queues[item.queue]
    counts = queue.counts
    counts[item.state] -= 1
    counts[to] += 1
    if to == QUEUED and queue.guarded:
        s.entered[item.number] = False
        s.time_wait(queue, item)
    if item.state == QUEUED:
        if s.drains:
            drain.let_go(s, item)
        s.matcher.dequeue(item)
    item.state = to
    if to == QUEUED:
        item.place = s.place_of(item)
        s.matcher.enqueue(item)
        if s.eases:
            time_step(s, item)


def replace_in_line(s: State, item: Interaction) -> None:
    """Its priority or requirement changed: stand it in the class it now belongs to."""
    if item.state == QUEUED:
        s.matcher.dequeue(item)
        item.place = s.place_of(item)
        s.matcher.enqueue(item)


def time_band(s: State, item: Interaction) -> None:
    due = s.band_due_ms(item)
    if due:
        heappush(s.timers, (due, BAND_DUE, item.number, ""))
    if s.calls and item.number in s.calls:
        time_callback(s, s.callbacks[s.calls[item.number]])


def time_step(s: State, item: Interaction) -> None:
    due = s.step_due_ms(item)
    if due:
        heappush(s.timers, (due, STEP_DUE, item.number, ""))


def pass_over(s: State, item: Interaction, agent: str, at_ms: int) -> None:
    """Skip this agent until others were tried or the cool-off is over; not at all if nobody else can (OF-3)."""
    until = at_ms + s.queue_config(item.queue).cool_off
    if until == at_ms:
        rounds.refused(s, item, agent)
        return
    item.tried = {**item.tried, agent: until}
    heappush(s.timers, (until, COOL_OFF_DUE, item.number, agent))


def forgive_if_alone(s: State, item: Interaction) -> None:
    """When everybody present who fits has been tried, all of them are eligible again; at once, but not without end."""
    names = rounds.asked(s, item)
    if names and nobody_else(s, item, names):
        rounds.next_round(s, item, names)
        if s.drains:
            drain.passed_over(s, item)


def nobody_else(s: State, item: Interaction, names: Iterable[str]) -> bool:
    """Whether these are all who are present and could take it."""
    held = s.preferred.get(item.number) if s.preferred else None
    if held is not None and held.required:
        return not preferred.others(s, item, held, names)
    requirement, channel = s.requirement_of(item), 1 << s.channel_index[item.born.channel]
    tried = [s.agents[name] for name in names if name in s.agents]
    able = [a for a in tried if a.counted and a.capacity.room(0) & channel]
    present = sum(1 for a in able if s.matcher.meets_node(a, requirement))
    return s.matcher.staff(requirement, channel) <= present


def recheck_cooling(s: State) -> None:
    """Somebody left: interactions that waited for somebody else may have nobody else any more.

    By their numbers: the matcher keeps them in an order of its own, which a restart changes.
    """
    cooling = [item for members in s.matcher.cooling.values() for item in members.values()]
    cooling += s.matcher.personal.cooling.values()
    for item in sorted(cooling, key=lambda item: item.number):
        s.matcher.dequeue(item)
        forgive_if_alone(s, item)
        s.matcher.enqueue(item)


def close(s: State, item: Interaction, at_ms: int) -> None:
    """Keep it at hand for operators until enough others have been closed after it."""
    if not item.ended_at_ms:
        item.ended_at_ms = at_ms
    if item.given_to:
        remember_given(s, item, ())
    if s.preferred:
        preferred.forget(s, item)
    if s.rounds:
        s.rounds.pop(item.number, None)
    if s.left:
        s.left.pop(item.number, None)
    if s.summons:
        s.summons.pop(item.number, None)
    closed = s.closed
    closed.append(item.number)
    while len(closed) > s.closed_max:
        old = s.interactions.pop(closed.popleft())
        if s.suspensions:
            s.suspensions.pop(old.number, None)
        if s.first_queues:
            s.first_queues.pop(old.number, None)
        if s.copies:
            s.copies.pop(old.number, None)
        for thread in old.threads:
            if s.threads.get(thread) == old.number:
                del s.threads[thread]


def release(s: State, item: Interaction) -> Agent:
    """Take the interaction from its owner."""
    agent = s.agents[item.owner]
    agent.work.pop(item.number, None)
    item.owner = ""
    item.returned_at_ms = s.now_ms
    item.held = item.connected = False
    drop_work(s, agent, item)
    return agent


def _dismiss(s: State, agent: Agent) -> None:
    """An agent who is no longer in the configuration goes when the work is done."""
    if not agent.work and not agent.offers:
        s.matcher.withdraw(agent)
        s.matcher.count(agent, False)
        s.matcher.count_off(agent, False)
        s.agents.pop(agent.id, None)
        s.rests.pop(agent.id, None)
        s.failing.pop(agent.id, None)


def post(s: State, action: str, item: Interaction, at_ms: int, **more: Any) -> None:
    """Something that the channel's gateway must be told at least once."""
    if action not in s.actions[item.born.channel] or not item.threads:
        return  # no gateway knows of a consult: it is told of the contact that it is about
    agent = s.agents.get(more.pop("agent", item.owner))
    born = item.born
    values: dict[str, Any] = {"endpoint": agent.config.endpoint if agent else "", **more}
    number = s.first_letter + s.seq
    s.outbound[number] = Outbound(
        outbound=number,
        at_ms=at_ms,
        action=action,
        channel=born.channel,
        interaction=item.number,
        threads=item.threads,
        sender=born.sender,
        recipient=born.recipient,
        subject=born.subject,
        attributes=born.attributes,
        agent=agent.id if agent else "",
        agent_name=(agent.config.name or agent.id) if agent else "",
        **values,
    )


def drop_offer(s: State, number: int, stamp: int = 0) -> tuple[Interaction, Agent]:
    """End an open offer: give the capacity back, and put the interaction back if this was its last offer."""
    offer = s.offers.pop(number)
    item, agent = s.interactions[offer.interaction], s.agents[offer.agent]
    agent.offers.pop(number, None)
    if agent.load >> SUSPENDED:
        s.returning.append(agent)
    item.offers = tuple(n for n in item.offers if n != number)
    _drop_load(s, agent, item.born.channel, stamp)
    told(agent)
    return item, agent


def back_in_line(s: State, item: Interaction) -> None:
    if item.state == OFFERED and not item.offers:
        forgive_if_alone(s, item)
        move(s, item, QUEUED)


def remember_given(s: State, item: Interaction, names: tuple[str, ...]) -> None:
    if item.given_to:
        s.waits_no_more(item.number, item.given_to)
    item.given_to = names[0] if len(names) == 1 else ""
    if item.given_to:
        s.given.setdefault(item.given_to, {})[item.number] = None


def time_callback(s: State, callback: Callback) -> None:
    due = callback.due_ms or callback.until_ms
    if due:
        heappush(s.timers, (due, CALLBACK_DUE, callback.number, ""))


def score(s: State, item: Interaction, at_ms: int, served: bool, gave_up: bool = False) -> None:
    """Figures, the adaptive policy and service levels hear how the wait ended. Of the last two, whoever left before the
    target was up says nothing about it."""
    queue = s.queues.get(item.queue)
    if queue is None:
        return
    waited = s.waited_ms(item, at_ms)
    kept = waited <= s.target_ms(item)
    if s.tallied and (served or gave_up):
        tally.note(s, item, waited, kept, served, at_ms)
    if kept and not served:
        return
    if s.levelled:
        levels.note(s, item, kept, at_ms)
    if s.learning:
        s.weigh(queue, s.memory.learn(item.queue, kept))
