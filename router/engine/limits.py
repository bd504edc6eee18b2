"""Deadlines by which a queue's rules, calendars and other people's time act on what waits: a part of `outlook` (EX-2).

What a rule will do is told from its configuration and the state now. Whether it still can when its time has come (the
queue to move to may be closed by then) is decided then, so such an effect is told with its condition.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from router.engine import admission, asking, callbacks, unservable
from router.engine.config import LONGEST_MS, Resort
from router.engine.model import CALLBACK_DUE, Interaction, State
from router.engine.relaxation import Ladder, waits
from router.engine.transitions import WRAP_UP

Change = tuple[int, str, str]  # due (Unix ms), code, what it will do
AGENTS_LOOKED_AT = 200


def _may_act(s: State, item: Interaction, resort: Resort) -> bool:
    if not item.waits or admission.is_ours(s, item) or (resort.do == "callback" and item.callback_offered):
        return False
    return admission.may_act(s, item.born.channel, resort)


def _does(s: State, item: Interaction, resort: Resort) -> str:
    if resort.do == "callback":
        if asking.can_be_asked(s, item):
            return "the customer is asked whether to call them back"
        return "it ends, since the customer cannot be called back"
    if resort.do == "end":
        return "it ends"
    return f"it moves to queue {resort.queue}, unless that does not take it then"


def longest_wait(s: State, item: Interaction) -> Iterator[Change]:
    queue = s.queues.get(item.queue)
    if queue is None or not queue.config.max_wait or not _may_act(s, item, queue.config.when_overdue):
        return
    due = admission.latest_ms(s, queue, item.waits_since_ms)
    why, does = f"nobody waits longer than {queue.config.max_wait} in queue {item.queue}", queue.config.when_overdue
    if due > s.now_ms:
        yield due, "max-wait", f"{why}: {_does(s, item, does)}"
    elif due:  # it could not be done, and another look is taken
        yield max(due, queue.wake_ms), "max-wait", f"{why}, and it has; it is tried again: {_does(s, item, does)}"


def nobody_there(s: State, item: Interaction) -> Iterator[Change]:
    queue = s.queue_config(item.queue)
    since = s.empty.get(item.queue)
    if since is not None and item.queue not in s.deserted and _may_act(s, item, queue.when_nobody):
        why = f"if by then nobody who fits queue {item.queue} has signed in for {queue.nobody_grace}"
        yield since + queue.nobody_grace, "nobody-there", f"{why}, {_does(s, item, queue.when_nobody)}"


POLICIES = {
    "end": "it ends ({rule.reason})",
    "move": "it moves to queue {rule.queue}",
    "relax": "it takes steps of the relaxation plan until somebody fits",
    "callback": "the customer is offered to be called back",
}


def unserved(s: State, item: Interaction) -> Iterator[Change]:
    entry = unservable.entry_of(s, item) if item.waits and item.number not in s.legs else None
    due = unservable.due_ms(s, entry) if entry is not None else 0
    if due:
        rule = s.queue_config(item.queue).unservable
        if rule.policy != "move" or s.may_move(item, rule.queue or ""):
            does = POLICIES[rule.policy].format(rule=rule)
            yield due, "unservable", f"if by then nobody who is signed in can take it, {does}"


def hours(s: State, item: Interaction) -> Iterator[Change]:
    queue = s.queue_config(item.queue)
    turn = s.turns.get(queue.calendar) if queue.calendar else None
    if turn is None or not item.waits:
        return
    if turn.emergency and turn.until_ms:
        yield turn.until_ms, "emergency-over", f"the emergency ends that closes calendar {queue.calendar}"
    if turn.next_ms and turn.is_open:
        yield from _closing(s, item, turn.next_ms)
    elif turn.next_ms and queue.clock == "open":
        yield turn.next_ms, "opening", f"calendar {queue.calendar} opens: from then on its waiting time counts again"


def _closing(s: State, item: Interaction, due: int) -> Iterator[Change]:
    queue = s.queue_config(item.queue)
    does = []
    if not s.turns[queue.calendar or ""].emergency and _may_act(s, item, queue.when_closing):
        does.append(_does(s, item, queue.when_closing))
    if queue.clock == "open":
        does.append("if it still waits, no more time counts as waiting until it opens again")
    if does:
        yield due, "closing", f"calendar {queue.calendar} closes: {'; '.join(does)}"


def attempt(s: State, item: Interaction) -> Iterator[Change]:
    """Of a callback: until when it makes sense to call."""
    number = s.calls.get(item.number)
    due = callbacks.due_ms(s, (0, CALLBACK_DUE, number, "")) if number is not None else 0
    if due:
        yield due, "callback-expired", "it is too late to call the customer: the callback is over"


def consult(s: State, item: Interaction) -> Iterator[Change]:
    asked = s.consults.get(s.legs[item.number]) if item.number in s.legs else None
    if asked is not None and asked.until_ms and not asked.answered_at_ms:
        yield asked.until_ms, "consult-over", "nobody has answered: who asks is told so, and this is over"


def colleagues(s: State, item: Interaction) -> Iterator[Change]:
    """When time makes somebody free who meets the requirement: a wrap-up ends, or somebody taken off returns."""
    if not item.waits:
        return
    node = s.requirement_of(item)
    for agent in islice(s.agents.values(), AGENTS_LOOKED_AT):
        times = [s.interactions[n].wrap_up_until_ms for n in agent.work if s.interactions[n].state == WRAP_UP]
        if (any(times) or agent.return_at_ms) and agent.sessions and s.matcher.meets_node(agent, node):
            if agent.return_at_ms:
                yield (
                    agent.return_at_ms,
                    "agent-returns",
                    f"{agent.id} is ready again, who was taken off for missed offers",
                )
            for due in filter(None, times):
                yield due, "wrap-up-over", f"{agent.id}'s wrap-up of something else ends, unless it is extended"


def steps_in_words(s: State, item: Interaction, asks: str, last: int) -> str:
    """What the next steps of its relaxation plan do, up to that one; `asks` is "" if nothing less."""
    ladder = plan_of(s, item)
    does = [f"asks for {asks}"] if asks else []
    for step in ladder.steps[item.step : last]:
        does += [f"stands in band {step.band}"] if step.band else []
        does += ["is held for nobody by name"] if step.release and item.number in s.preferred else []
        asks_them = step.callback and not item.callback_offered and item.number not in s.calls
        does += ["is offered to be called back"] if asks_them else []
        does += [f"waits in queue {step.queue}"] if step.queue and s.may_move(item, step.queue) else []
    which = f"step {last}" if last == item.step + 1 else f"steps {item.step + 1} to {last}"
    return (
        f"{which} of {s.steps_of(item)} of the relaxation plan: from then on it {', '.join(does) or 'waits as before'}"
    )


def plan_of(s: State, item: Interaction) -> Ladder:
    ladder = s.ladder_of(item)
    assert ladder is not None, "asked only where a plan has a step left"
    return ladder


def last_foreseen(s: State, item: Interaction) -> int:
    """The last of the steps that come by the next expected wait that brings one, before one into another queue."""
    ladder = plan_of(s, item)
    last = ladder.foreseen(item.step, LONGEST_MS + 1)
    moves = (i for i in range(item.step, last - 1) if (to := ladder.steps[i].queue) and s.may_move(item, to))
    return next(moves, last - 1) + 1


def last_due(s: State, item: Interaction) -> int:
    """The last of the steps that come when the next one does; with a step into another queue this plan is over."""
    target, rest = s.target_ms(item), plan_of(s, item).steps[item.step :]
    wait = plan_of(s, item).wait_ms(item.step, target)
    assert wait is not None, "asked only where a step is due"
    together = max(i for i, step in enumerate(rest) if wait in waits((step,), target))
    moves = (i for i, step in enumerate(rest[:together]) if step.queue and s.may_move(item, step.queue))
    return item.step + 1 + next(moves, together)
