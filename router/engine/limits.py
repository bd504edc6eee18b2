"""Deadlines by which a queue's rules, calendars and other people's time act on what waits: a part of `outlook` (EX-2).

What a rule will do is told from its configuration and the state now. Whether it still can when its time has come (the
queue to move to may be closed by then) is decided then, so such an effect is told with its condition.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from router.engine import admission, asking, callbacks, unservable
from router.engine.config import LONGEST_MS, Resort, Unservable
from router.engine.entities import Interaction
from router.engine.model import CALLBACK_DUE, State
from router.engine.relaxation import Ladder, waits
from router.engine.sayings import Saying, joined, say
from router.engine.transitions import WRAP_UP

Change = tuple[int, str, Saying]  # due (Unix ms), code, what it will do
AGENTS_LOOKED_AT = 200


def _may_act(s: State, item: Interaction, resort: Resort) -> bool:
    if not item.waits or admission.is_ours(s, item) or (resort.do == "callback" and item.callback_offered):
        return False
    return admission.may_act(s, item.born.channel, resort)


def _does(s: State, item: Interaction, resort: Resort) -> Saying:
    if resort.do == "callback":
        if asking.can_be_asked(s, item):
            return say("asked-back")
        return say("ends-uncallable")
    if resort.do == "end":
        return say("ends")
    return say("moves", queue=resort.queue)


def longest_wait(s: State, item: Interaction) -> Iterator[Change]:
    queue = s.queues.get(item.queue)
    if queue is None or not queue.config.max_wait or not _may_act(s, item, queue.config.when_overdue):
        return
    due = admission.latest_ms(s, queue, item.waits_since_ms)
    does = _does(s, item, queue.config.when_overdue)
    about = {"longest": str(queue.config.max_wait), "queue": item.queue, "does": does}
    if due > s.now_ms:
        yield due, "max-wait", say("longest", **about)
    elif due:  # it could not be done, and another look is taken
        yield max(due, queue.wake_ms), "max-wait", say("longest-passed", **about)


def nobody_there(s: State, item: Interaction) -> Iterator[Change]:
    queue = s.queue_config(item.queue)
    since = s.empty.get(item.queue)
    if since is not None and item.queue not in s.deserted and _may_act(s, item, queue.when_nobody):
        does = _does(s, item, queue.when_nobody)
        why = say("if-nobody-came", queue=item.queue, grace=str(queue.nobody_grace), does=does)
        yield since + queue.nobody_grace, "nobody-there", why


def _policy(rule: Unservable) -> Saying:
    if rule.policy == "end":
        return say("policy-end", reason=rule.reason)
    if rule.policy == "move":
        return say("policy-move", queue=rule.queue)
    return say(f"policy-{rule.policy}")


def unserved(s: State, item: Interaction) -> Iterator[Change]:
    entry = unservable.entry_of(s, item) if item.waits and item.number not in s.legs else None
    due = unservable.due_ms(s, entry) if entry is not None else 0
    if due:
        rule = s.queue_config(item.queue).unservable
        idle = rule.policy == "end" and unservable.is_spared(s, item)
        if not idle and (rule.policy != "move" or s.may_move(item, rule.queue or "")):
            yield due, "unservable", say("if-unservable", does=_policy(rule))


def hours(s: State, item: Interaction) -> Iterator[Change]:
    queue = s.queue_config(item.queue)
    turn = s.turns.get(queue.calendar) if queue.calendar else None
    if turn is None or not item.waits:
        return
    if turn.emergency and turn.until_ms:
        yield turn.until_ms, "emergency-over", say("emergency-over", calendar=queue.calendar)
    if turn.next_ms and turn.is_open:
        yield from _closing(s, item, turn.next_ms)
    elif turn.next_ms and queue.clock == "open":
        yield turn.next_ms, "opening", say("opens", calendar=queue.calendar)


def _closing(s: State, item: Interaction, due: int) -> Iterator[Change]:
    queue = s.queue_config(item.queue)
    does = []
    if not s.turns[queue.calendar or ""].emergency and _may_act(s, item, queue.when_closing):
        does.append(_does(s, item, queue.when_closing))
    if queue.clock == "open":
        does.append(say("clock-stops"))
    if does:
        yield due, "closing", say("closes", calendar=queue.calendar, does=joined("semicolon", does))


def attempt(s: State, item: Interaction) -> Iterator[Change]:
    """Of a callback: until when it makes sense to call."""
    number = s.calls.get(item.number)
    due = callbacks.due_ms(s, (0, CALLBACK_DUE, number, "")) if number is not None else 0
    if due:
        yield due, "callback-expired", say("call-expires")


def consult(s: State, item: Interaction) -> Iterator[Change]:
    asked = s.consults.get(s.legs[item.number]) if item.number in s.legs else None
    if asked is not None and asked.until_ms and not asked.answered_at_ms:
        yield asked.until_ms, "consult-over", say("consult-over")


def colleagues(s: State, item: Interaction) -> Iterator[Change]:
    """When time makes somebody free who meets the requirement: a wrap-up ends, or somebody taken off returns."""
    if not item.waits:
        return
    node = s.requirement_of(item)
    for agent in islice(s.agents.values(), AGENTS_LOOKED_AT):
        times = [s.interactions[n].wrap_up_until_ms for n in agent.work if s.interactions[n].state == WRAP_UP]
        if (any(times) or agent.return_at_ms) and agent.sessions and s.matcher.meets_node(agent, node):
            if agent.return_at_ms:
                yield agent.return_at_ms, "agent-returns", say("agent-returns", agent=agent.id)
            for due in filter(None, times):
                yield due, "wrap-up-over", say("wrap-up-over", agent=agent.id)


def steps_in_words(s: State, item: Interaction, asks: Saying | None, last: int) -> Saying:
    """What the next steps of its relaxation plan do, up to that one; `asks` is None if nothing less."""
    ladder = plan_of(s, item)
    does = [say("asks", what=asks)] if asks is not None else []
    for step in ladder.steps[item.step : last]:
        does += [say("step-band", band=step.band)] if step.band else []
        does += [say("step-release")] if step.release and item.number in s.preferred else []
        asks_them = step.callback and not item.callback_offered and item.number not in s.calls
        does += [say("step-callback")] if asks_them else []
        does += [say("step-queue", queue=step.queue)] if step.queue and s.may_move(item, step.queue) else []
    then = joined("comma", does) if does else say("step-nothing")
    if last == item.step + 1:
        return say("step", last=last, all=s.steps_of(item), does=then)
    return say("steps", first=item.step + 1, last=last, all=s.steps_of(item), does=then)


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
