"""Counters, timers, names and memory agree with what they are about."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from router.engine import admission, waits
from router.engine.capacity import Capacity
from router.engine.crews import belongs
from router.engine.entities import Interaction
from router.engine.invariants.counting import is_present, is_suspended, meets_queue
from router.engine.invariants.work import calls
from router.engine.levels import SLOTS
from router.engine.model import (
    ASK_DUE,
    BALANCE_DUE,
    BAND_DUE,
    CALLBACK_DUE,
    CONSULT_DUE,
    COOL_OFF_DUE,
    DRAIN_DUE,
    EMERGENCY_DUE,
    GRACE_DUE,
    LEASE_DUE,
    NOBODY_DUE,
    OFFER_DUE,
    PREFERRED_DUE,
    RETURN_DUE,
    SHOW_DUE,
    STEP_DUE,
    TURN_DUE,
    UNSERVED_DUE,
    WAIT_DUE,
    WRAP_UP_DUE,
    State,
    Timer,
)
from router.engine.tally import QUARTER_MS, Tally
from router.engine.transitions import ACTIVE, CLOSED, OFFERED, QUEUED, WRAP_UP


def counters(s: State) -> Iterator[str]:
    """Counters say what counting says."""
    for name, queue in s.queues.items():
        states = Counter(item.state for item in s.interactions.values() if item.queue == name)
        counted = (states[QUEUED], states[OFFERED], states[ACTIVE] + states[WRAP_UP])
        if (queue.waiting, queue.offered, queue.active) != counted:
            yield f"queue {name} says {queue.waiting, queue.offered, queue.active}, counted {counted}"
    homeless = {i.queue for i in s.interactions.values() if i.state != CLOSED} - set(s.queues)
    if homeless:
        yield f"open interactions of unknown queues {homeless}"
    off = Counter(a.profile for a in s.agents.values() if a.missing)
    if s.matcher.off != off:
        yield f"taken off are {dict(off)}, the matcher counts {s.matcher.off}"
    present = defaultdict[tuple[int, Capacity], int](int)
    for agent in filter(is_present, s.agents.values()):
        present[agent.profile, agent.capacity] |= 1 << agent.index
    if s.matcher.present != present:
        yield f"present are {dict(present)}, the matcher says {s.matcher.present}"


def timers(s: State) -> Iterator[str]:
    """Every deadline has a timer at or before it, so none can be slept through."""
    first: dict[tuple[int, int, str], int] = {}
    for due, kind, number, agent in s.timers:
        first[kind, number, agent] = min(due, first.get((kind, number, agent), due))
    for i in range(1, len(s.timers)):
        if s.timers[(i - 1) // 2] > s.timers[i]:
            yield "the heap of timers is no heap"
            break
    for due, kind, number, agent in _deadlines(s):
        if first.get((kind, number, agent), due + 1) > due:
            yield f"nothing will wake up for deadline {kind} of {number or agent} at {due}"


def _deadlines(s: State) -> Iterator[Timer]:
    yield from _of_contacts(s)
    yield from _of_what_is_asked(s)
    yield from _of_agents(s)
    yield from _of_queues(s)


def _of_contacts(s: State) -> Iterator[Timer]:
    for offer in s.offers.values():
        yield offer.expires_at_ms, OFFER_DUE, offer.number, ""
    for item in s.interactions.values():
        if item.lease_until_ms and item.state not in (WRAP_UP, CLOSED):
            yield item.lease_until_ms, LEASE_DUE, item.number, ""
        if item.state == WRAP_UP and item.wrap_up_until_ms and not is_suspended(s, item):
            yield item.wrap_up_until_ms, WRAP_UP_DUE, item.number, ""
        if item.state in (QUEUED, OFFERED):
            for agent, until in item.tried.items():
                yield until, COOL_OFF_DUE, item.number, agent
            due = s.band_due_ms(item)
            if due:
                yield due, BAND_DUE, item.number, ""
            due = s.step_due_ms(item)
            if due:
                yield due, STEP_DUE, item.number, ""


def _of_what_is_asked(s: State) -> Iterator[Timer]:
    """Beside a contact's own way: whom it is kept for, calls to come and back, advice, nobody who could, room kept."""
    for held in s.preferred.values():
        if held.until_ms:
            yield held.until_ms, PREFERRED_DUE, held.interaction, ""
    for summons in s.summons.values():
        called = s.interactions[summons.interaction]
        if summons.until_ms and called.state == ACTIVE and not called.connected and calls(s, called):
            yield summons.until_ms, SHOW_DUE, summons.interaction, ""
    for callback in s.callbacks.values():
        made = s.interactions.get(callback.interaction)
        waits = callback.kept and made is not None and made.state in (QUEUED, OFFERED)
        begins = 0 if callback.instead else callback.due_ms
        due = begins or (callback.until_ms if waits else 0)
        if due:
            yield due, CALLBACK_DUE, callback.number, ""
    for consult in s.consults.values():
        if consult.until_ms and not consult.answered_at_ms:
            yield consult.until_ms, CONSULT_DUE, consult.interaction, ""
    for entry in s.unserved.values():
        rule = s.queue_config(entry.queue).unservable
        if rule.policy != "wait" and not entry.acted:
            yield entry.since_ms + rule.after, UNSERVED_DUE, entry.number, ""
    for place in s.drains.values():
        yield place.until_ms, DRAIN_DUE, place.interaction, ""


def _of_agents(s: State) -> Iterator[Timer]:
    for someone in s.agents.values():
        if someone.grace_until_ms:
            yield someone.grace_until_ms, GRACE_DUE, 0, someone.id
        if someone.return_at_ms:
            yield someone.return_at_ms, RETURN_DUE, 0, someone.id


def _of_queues(s: State) -> Iterator[Timer]:
    for name, turn in s.turns.items():
        if turn.next_ms:
            yield turn.next_ms, TURN_DUE, 0, name
        if turn.emergency and turn.until_ms:
            yield turn.until_ms, EMERGENCY_DUE, 0, name
    if any(queue.config.borrow or queue.config.overflow for queue in s.queues.values()):
        yield s.balance_ms, BALANCE_DUE, 0, ""
    for name, since in s.empty.items():
        if name not in s.deserted:
            yield since + s.queues[name].config.nobody_grace, NOBODY_DUE, 0, name
    for name in s.queues:
        longest = {item.number: _longest(s, name, item) for item in s.interactions.values()}
        dues = [due for due in longest.values() if due]
        if s.queues[name].config.when_overdue.do == "callback":
            yield from ((due, ASK_DUE, number, "") for number, due in longest.items() if due)
            continue
        # Where there was nowhere to move to, it is tried again every second.
        again = s.now_ms // admission.AGAIN_MS * admission.AGAIN_MS + admission.AGAIN_MS
        if dues:
            yield min(due if due > s.now_ms else again for due in dues), WAIT_DUE, 0, name


def _longest(s: State, name: str, item: Interaction) -> int:
    """Until when it may wait in this queue; 0 if it is not there, or for as long as it takes."""
    config = s.queues[name].config
    if item.queue != name or item.state != QUEUED or not config.max_wait or admission.is_ours(s, item):
        return 0
    verdict, left = (admission.MAX_WAIT, config.when_overdue), s.left.get(item.number, ())
    if admission.outcome(s, item.born.channel, name, verdict, left) is None:
        return 0  # it may not be ended, or there is nowhere to go just now
    lasting = s.config.channels[item.born.channel].lasting
    if config.when_overdue.do == "callback" and (item.callback_offered or lasting):
        return 0  # it was asked, or cannot be and may not be ended
    if config.clock == "open" and config.calendar:
        return s.hours[config.calendar].after(item.returned_at_ms or item.enqueued_at_ms, config.max_wait)
    return (item.returned_at_ms or item.enqueued_at_ms) + config.max_wait


def names(s: State) -> Iterator[str]:
    """Threads lead to interactions that know them; what is closed is kept in the order of closing."""
    for thread, number in s.threads.items():
        item = s.interactions.get(number)
        if item is None or thread not in item.threads:
            yield f"thread {thread!r} leads to interaction {number}, which does not know it"
    for item in s.interactions.values():
        if item.state in (QUEUED, OFFERED, ACTIVE):
            for thread in item.threads:
                if s.threads.get(thread) != item.number:
                    yield f"interaction {item.number} cannot be found by {thread!r}"
    closed = [item.number for item in s.interactions.values() if item.state == CLOSED]
    if sorted(s.closed) != closed:
        yield f"closed {sorted(s.closed)} kept, {closed} there"
    if list(s.interactions) != sorted(s.interactions):
        yield "interactions are not in order of number"


def memory(s: State) -> Iterator[str]:
    """Letters are either to be delivered or dead; keys are known exactly while they are in line to be forgotten."""
    if s.outbound.keys() & s.dead.keys():
        yield f"letters {s.outbound.keys() & s.dead.keys()} are both dead and alive"
    for memory in (s.intake_keys, s.command_keys):
        if Counter(key for _, key in memory.order) != Counter(memory.known.keys()):
            yield "keys that are known differ from those that will be forgotten"


def staffing(s: State) -> Iterator[str]:
    """Queues that ask know how many who fit are signed in, and since when nobody is."""
    for name, queue in s.queues.items():
        if queue.wake_ms and (queue.wake_ms, WAIT_DUE, 0, name) not in s.timers:
            yield f"queue {name} has no timer at {queue.wake_ms}, where it believes to have one"
        if queue.config.when_nobody.do == "keep":
            if name in s.empty or name in s.deserted:
                yield f"queue {name} does not ask who is there, but remembers that nobody was"
            continue
        here = [a for a in s.agents.values() if a.sessions and not a.retired and meets_queue(s, a, queue.config)]
        if queue.signed_in != len(here):
            yield f"queue {name} counts {queue.signed_in} signed in, there are {len(here)}"
        if (name in s.empty) != (not here):
            yield f"queue {name} has {len(here)} signed in, and is {'' if name in s.empty else 'not '}noted as empty"
    yield from _helping(s)
    for name in s.turns:
        if name not in s.config.calendars:
            yield f"calendar {name} is remembered, but gone"


def _helping(s: State) -> Iterator[str]:
    """Gates are of rules that there are, and what is counted of service levels is bounded."""
    rules = {(name, rule.lender) for name, queue in s.config.queues.items() for rule in queue.borrow}
    if s.gates.keys() - rules:
        yield f"gates {s.gates.keys() - rules} are of no rule"
    lent = {queue for (queue, _), gate in s.gates.items() if gate.is_open}
    if s.lent != lent:
        yield f"agents are lent to {sorted(lent)}, noted is {sorted(s.lent)}"
    for queue, levels in s.levels.items():
        for channel, level in levels.items():
            if len(level.slots) > SLOTS + 1 or any(not 0 <= kept <= n for _, kept, n in level.slots):
                yield f"{queue}/{channel}: kept targets are {level.slots}"
    for queue, tally in s.tallies.items():
        yield from _counted(s, queue, tally)


def _counted(s: State, queue: str, tally: Tally) -> Iterator[str]:
    """Quarters follow one another, are bounded, and no part is more than its whole."""
    begins, keep = tally.begins, s.config.figures.keep
    if not s.tallied or any(len(column) != len(begins) for column in tally.columns()):
        yield f"{queue}: figures are {tally}"
    if begins != sorted(set(begins)) or (begins and begins[-1] - begins[0] >= keep + QUARTER_MS):
        yield f"{queue}: quarters are {begins}"
    parts = [(tally.kept, tally.answered), (tally.late, tally.abandoned), (tally.short, tally.abandoned)]
    if any(not 0 <= n <= of for part, whole in parts for n, of in zip(part, whole, strict=True)):
        yield f"{queue}: figures are {tally}"


def paces(s: State) -> Iterator[str]:
    """What was learned of waits is bounded, of known queues, and its crews count who is there (RT-13)."""
    for queue, paces in s.paces.items():
        for channel, pace in paces.items():
            sums = (pace.finished, pace.handled_ms, pace.waited_ms, pace.left)
            if min(sums) < 0 or pace.finished > waits.MANY or len(pace.followed) > waits.FOLLOWED:
                yield f"{queue}/{channel}: learned {sums}, follows {len(pace.followed)}"
        if queue not in s.queues:
            yield f"{queue}: learned of a queue that does not exist"
    for crew in s.matcher.crews.values():
        there = {a.index for a in s.matcher.agents if is_present(a) and belongs(s.matcher, crew, a.profile, a.capacity)}
        if crew.bits != sum(1 << i for i in there) or {sum(crew.capacities.values()), crew.size} != {len(there)}:
            yield f"the crew of requirement {crew.requirement} is {crew.bits:b}; there are {sorted(there)}"
