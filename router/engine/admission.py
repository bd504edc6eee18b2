"""Whether a contact may wait in a queue: opening hours, emergency, length, longest wait, nobody there (RT-11).

Tested when a contact comes, and again by whatever makes a rule stand against what waits already: the calendar closes,
an operator closes it, the last one who fits signs out and does not come back, the longest wait is reached, the
configuration changes. Each of these is a fact, and what follows for the contacts are facts of their own: `Moved`, or
`InteractionEnded` with the cause as its reason and the message that the customer is told.

A closed queue is closed for customers, not for agents: whatever waits in it is offered to whoever is ready, so the
last callers of a day are served out and overtime is possible.

Where a customer is to be called back instead (`callback`), they are asked and wait on; whoever can be asked nothing, or
not be called, is ended. Such a rule keeps nobody from coming, it asks when they have come, and once: so where it is
about who has waited too long each of them has a timer, while one for the queue is enough where nobody waits on.

Where a contact is to move to a queue that would not take it either, what that queue would do with it is done at once;
a circle of such queues leaves it where it is until it is tested again. Contacts of lasting channels (mail, scans) are
never ended here: they wait on. What comes back to wait, or is transferred by a person on purpose, is not turned away
for hours or length; an emergency and a deserted queue hold for all.

Causes: emergency, out-of-hours, closing, nobody-there, queue-full, max-wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from typing import TYPE_CHECKING

from router.engine import events as e
from router.engine.asking import can_be_asked
from router.engine.config import KEEP, Config, Queue, Resort
from router.engine.events import Event
from router.engine.lines import NONE
from router.engine.matching import ITEM_MASK
from router.engine.order import ITEM_BITS
from router.engine.transitions import OFFERED, QUEUED
from router.errors import ConfigError

if TYPE_CHECKING:
    from router.engine.entities import Interaction, QueueState
    from router.engine.model import State, Timer

EMERGENCY, OUT_OF_HOURS, CLOSING = "emergency", "out-of-hours", "closing"
NOBODY_THERE, QUEUE_FULL, MAX_WAIT = "nobody-there", "queue-full", "max-wait"
REFUSED = "refused"  # the disposition of what was ended when it had only just come
CAUSES = (EMERGENCY, OUT_OF_HOURS, CLOSING, NOBODY_THERE, QUEUE_FULL, MAX_WAIT)
# Where a circle of closed queues keeps what has waited too long, another look is taken after so long.
AGAIN_MS = 1_000

Verdict = tuple[str, Resort]  # the cause, and what is done


def is_guarded(queue: Queue) -> bool:
    """Whether any rule could stand against waiting in this queue."""
    return bool(queue.calendar or queue.max_length is not None or queue.max_wait or queue.when_nobody.do != "keep")


# --- what stands against it -------------------------------------------------------------------------------------------


def against(s: State, name: str, lasting: bool, length: int) -> Verdict | None:
    """What stands first against coming to this queue now, where so many wait before; None: nothing does."""
    found = _standing(s, name, s.queues[name].config, length)
    return next((x for x in found if x[1].do == "move" or (x[1].do == "end" and not lasting)), None)


def _standing(s: State, name: str, queue: Queue, length: int) -> Iterator[Verdict]:
    turn = s.turns.get(queue.calendar) if queue.calendar else None
    if turn is not None and turn.emergency:
        yield EMERGENCY, queue.when_emergency or queue.when_closed
    elif turn is not None and not turn.is_open:
        yield OUT_OF_HOURS, queue.when_closed
    if name in s.deserted:
        yield NOBODY_THERE, queue.when_nobody
    if queue.max_length is not None and length >= queue.max_length:
        yield QUEUE_FULL, queue.when_full


def outcome(s: State, channel: str, name: str, verdict: Verdict, left: tuple[str, ...] = ()) -> Verdict | None:
    """What is really done: the end, or the queue to move to that takes it. None: it waits where it is.

    It does not move to where it has `left`.
    """
    lasting, seen = s.config.channels[channel].lasting, {name, *left}
    while verdict[1].do == "move" and verdict[1].queue is not None:
        to = verdict[1].queue
        if to in seen:
            return None
        seen.add(to)
        further = against(s, to, lasting, s.queues[to].waiting)
        if further is None:
            return verdict
        verdict = further
    return verdict if verdict[1].do == "callback" or (verdict[1].do == "end" and not lasting) else None


def is_ours(s: State, item: Interaction) -> bool:
    """A colleague who is asked, or a call that is owed to a customer: nobody waits on the line for it."""
    return item.number in s.legs or item.number in s.calls


def facts_for(s: State, item: Interaction, verdict: Verdict, refused: bool = False) -> list[Event]:
    """What becomes of this interaction, which waits or is offered; nothing, if it stays."""
    # Who has waited too long has done so everywhere: without an end, where the way leads back by another rule.
    left = s.left.get(item.number, ()) if verdict[0] == MAX_WAIT else ()
    found = outcome(s, item.born.channel, item.queue, verdict, left)
    if found is None or is_ours(s, item):
        return []
    cause, resort = found
    if resort.do == "callback":
        asked = _asked(s, item, cause, resort, refused)
        if asked is not None:
            return asked
    freed: list[Event] = [e.OfferWithdrawn(n, item.number, s.offers[n].agent, cause) for n in item.offers]
    if resort.do == "move":
        assert resort.queue is not None, "the configuration was checked"
        return [*freed, e.Moved(item.number, resort.queue, cause)]
    return [*freed, e.InteractionEnded(item.number, cause, told=resort.message, refused=refused)]


def _asked(s: State, item: Interaction, cause: str, resort: Resort, only_just: bool) -> list[Event] | None:
    """The customer is asked, once, whether to call them back; None: there is nobody to ask, so it is ended."""
    if item.callback_offered or item.state != QUEUED or s.config.channels[item.born.channel].lasting:
        return []
    if not can_be_asked(s, item):
        return None
    return [e.CallbackOffered(item.number, cause, resort.message, only_just)]


# --- on entry ---------------------------------------------------------------------------------------------------------


def on_entry(s: State, happened: Iterable[Event]) -> list[Event]:
    """What stands against the first of those who have just come to wait, and takes it off the list of them.

    What was moved by `happened`, the facts of the same command, is not moved once more: another rule brought it back.
    """
    number, arrived = s.entered.popitem()
    item = s.interactions.get(number)
    if item is None or item.state != QUEUED:
        return []
    found = (facts_for(s, item, verdict, refused=arrived) for verdict in _on_entry(s, item, arrived))
    facts = next(filter(None, found), [])
    if any(type(fact) is e.Moved for fact in facts):
        back = any(type(fact) is e.Moved and fact.interaction == number for fact in happened)
        return [] if back else facts
    return facts


def _on_entry(s: State, item: Interaction, arrived: bool) -> Iterator[Verdict]:
    """What stands against it, in this order: where a circle of queues leaves it, the next cause has its turn."""
    if arrived:
        yield from _standing(s, item.queue, s.queues[item.queue].config, _length_before(s, item))
    elif (verdict := lasts(s, item.queue)) is not None:
        yield verdict


def _length_before(s: State, item: Interaction) -> int:
    """A full queue is full for those who would have to wait: not for a contact that somebody idle can have at once."""
    served = s.matcher.taker(item, item.tried) is not None
    return -1 if served else s.queues[item.queue].waiting - 1


def lasts(s: State, name: str) -> Verdict | None:
    """What stands against anybody's waiting in this queue as long as it lasts, however they came there."""
    queue = s.queues[name].config
    turn = s.turns.get(queue.calendar) if queue.calendar else None
    if turn is not None and turn.emergency:
        return EMERGENCY, queue.when_emergency or queue.when_closed
    return (NOBODY_THERE, queue.when_nobody) if name in s.deserted else None


# --- all the time -----------------------------------------------------------------------------------------------------


def waiting_in(s: State, name: str) -> list[Interaction]:
    """Those who wait in the queue, in the order in which they came."""
    numbers: list[int] = []
    m = s.matcher
    for c in _classes(s, name):
        numbers += [entry & ITEM_MASK for entry in m.waiting.walk(c)]
        numbers += m.cooling.get(c, ())
        numbers += m.personal.numbers(c)
    return sorted((s.interactions[n] for n in numbers), key=lambda item: (item.enqueued_at_ms, item.number))


def _classes(s: State, name: str) -> list[int]:
    """The classes of this queue in which somebody waits."""
    m = s.matcher
    m.stand()
    return [c for c in m.waiting_classes() if m.class_keys[c].queue == name]


def _offered_in(s: State, name: str) -> list[Interaction]:
    numbers = dict.fromkeys(offer.interaction for offer in s.offers.values())
    items = (s.interactions[n] for n in numbers)
    return [item for item in items if item.queue == name and item.state == OFFERED]


def after_turn(s: State, event: e.CalendarTurned, now_ms: int) -> Iterator[Event]:
    """The hours are over: for those who wait by each queue's rule."""
    turn = s.turns[event.calendar]
    if not turn.is_open and not turn.emergency:
        for name in _queues_of(s, event.calendar):
            yield from _sweep(s, waiting_in(s, name), (CLOSING, s.queues[name].config.when_closing))


def after_emergency(s: State, event: e.EmergencyDeclared, now_ms: int) -> Iterator[Event]:
    """For those, too, who are being offered: whoever would answer may be on the way out of the building."""
    for name in _queues_of(s, event.calendar):
        yield from _close_down(s, name)


def _close_down(s: State, name: str) -> Iterator[Event]:
    queue = s.queues[name].config
    verdict = (EMERGENCY, queue.when_emergency or queue.when_closed)
    yield from _sweep(s, [*waiting_in(s, name), *_offered_in(s, name)], verdict)


def after_deserted(s: State, event: e.QueueDeserted, now_ms: int) -> Iterator[Event]:
    queue = s.queues[event.queue].config
    yield from _sweep(s, waiting_in(s, event.queue), (NOBODY_THERE, queue.when_nobody))


def _queues_of(s: State, calendar: str) -> list[str]:
    return [name for name, queue in s.queues.items() if queue.config.calendar == calendar]


def _sweep(s: State, items: Iterable[Interaction], verdict: Verdict) -> Iterator[Event]:
    if verdict[1].do != "keep":
        for item in items:
            yield from facts_for(s, item, verdict)


def after_configuration(s: State, now_ms: int) -> Iterator[Event]:
    """First what each calendar now says, then what the new rules have against those who wait."""
    for name in s.hours:
        yield from _turned(s, name, now_ms)
    for name in [name for name in s.deserted if s.queues[name].signed_in]:
        yield e.QueueStaffed(name)
    for name, queue in s.queues.items():
        if queue.guarded:
            yield from _under_new_rules(s, name, queue)


def _turned(s: State, name: str, now_ms: int) -> list[Event]:
    hours, turn = s.hours[name], s.turns.get(name)
    is_open, next_ms = hours.is_open(now_ms), hours.next_change(now_ms)
    if turn is not None and (turn.is_open, turn.next_ms) == (is_open, next_ms):
        return []
    return [e.CalendarTurned(name, is_open, next_ms)]


def _under_new_rules(s: State, name: str, queue: QueueState) -> Iterator[Event]:
    config = queue.config
    turn = s.turns.get(config.calendar) if config.calendar else None
    if turn is not None and turn.emergency:
        yield from _close_down(s, name)
    if name in s.deserted:
        yield from _sweep(s, waiting_in(s, name), (NOBODY_THERE, config.when_nobody))
    if config.max_length is not None and queue.waiting > config.max_length:
        beyond = waiting_in(s, name)[config.max_length :]
        yield from _sweep(s, reversed(beyond), (QUEUE_FULL, config.when_full))


# --- time -------------------------------------------------------------------------------------------------------------


def turn_facts(s: State, at_ms: int, name: str) -> list[Event]:
    hours = s.hours[name]
    return [e.CalendarTurned(name, hours.is_open(at_ms), hours.next_change(at_ms))]


def latest_ms(s: State, queue: QueueState, since_ms: int) -> int:
    """Until when somebody who has waited since then may wait in this queue; 0: for ever."""
    clock, longest = s.clock_of(queue.name), queue.config.max_wait
    return clock.after(since_ms, longest) if clock is not None else since_ms + longest


def wait_due(s: State, entry: Timer) -> int:
    """When somebody in the queue has next waited too long; 0 if nobody will.

    There is one timer for a queue, at or before `wake_ms`; others of it are left over from before and are dropped.
    """
    queue = s.queues.get(entry[3])
    if queue is None or entry[0] != queue.wake_ms:
        return 0
    dues = [due for due in (_class_due(s, entry[3], c) for c in _classes(s, entry[3])) if due]
    queue.wake_ms = max(entry[0], min(dues)) if dues else 0
    return queue.wake_ms


def _class_due(s: State, name: str, c: int) -> int:
    """When its oldest has waited too long; 0 if its contacts may wait for ever."""
    queue = s.queues[name]
    channel = s.channels[s.matcher.class_keys[c].channel]
    if not queue.config.max_wait or not may_act(s, channel, queue.config.when_overdue):
        return 0
    return latest_ms(s, queue, _oldest(s, c))


def may_act(s: State, channel: str, resort: Resort) -> bool:
    """Whether this resort ever does anything with contacts of the channel."""
    return resort.do == "move" or (resort.do != "keep" and not s.config.channels[channel].lasting)


def _oldest(s: State, c: int) -> int:
    """Since when the one of the class has waited that has done so for longest."""
    m = s.matcher
    since = [item.waits_since_ms for item in m.cooling.get(c, {}).values()]
    oldest = min(since + m.personal.oldest_ms(c), default=NONE)  # nobody has had what is held for agents by name
    for entry in m.waiting.walk(c):
        if entry >> ITEM_BITS >= oldest:
            break  # who came later has not waited for longer; who came earlier may have been with an agent meanwhile
        oldest = min(oldest, s.interactions[entry & ITEM_MASK].waits_since_ms)
    return oldest


def put_off(s: State, entry: Timer, now_ms: int) -> Timer:
    """Nothing can be done now about those who have waited too long: look again soon, and in time for the next."""
    queue = s.queues[entry[3]]
    dues = (latest_ms(s, queue, item.waits_since_ms) for item in waiting_in(s, queue.name))
    again = now_ms // AGAIN_MS * AGAIN_MS + AGAIN_MS
    queue.wake_ms = min((due for due in dues if entry[0] < due < again), default=again)
    return (queue.wake_ms, *entry[1:])


def wait_facts(s: State, at_ms: int, name: str) -> list[Event]:
    """Those who have waited too long; one at a time where they go to a queue that may be full after the first."""
    queue = s.queues[name]
    found: list[Event] = []
    for item in _overdue(s, queue, at_ms):
        found += (facts := facts_for(s, item, (MAX_WAIT, queue.config.when_overdue)))
        if any(type(f) is e.Moved and s.queues[f.queue].config.max_length is not None for f in facts):
            break
    return found


def _overdue(s: State, queue: QueueState, at_ms: int) -> list[Interaction]:
    """In the order in which their time was up. Looks at those alone who came long enough ago."""
    m = s.matcher
    found: list[Interaction] = []
    for c in _classes(s, queue.name):
        found += m.cooling.get(c, {}).values()
        for line in (m.waiting.walk(c), m.personal.walk(c)):
            early = takewhile(lambda entry: 0 < latest_ms(s, queue, entry >> ITEM_BITS) <= at_ms, line)
            found += [s.interactions[entry & ITEM_MASK] for entry in early]
    found.sort(key=lambda item: (item.waits_since_ms, item.number))
    return [item for item in found if 0 < latest_ms(s, queue, item.waits_since_ms) <= at_ms]


def ask_due(s: State, entry: Timer) -> int:
    """When this one has waited too long, if they are to be asked then; 0: no more, or they were."""
    item = s.interactions.get(entry[2])
    queue = s.queues.get(item.queue) if item is not None else None
    if item is None or queue is None or item.state != QUEUED or item.callback_offered or is_ours(s, item):
        return 0
    asks = queue.config.max_wait and queue.config.when_overdue.do == "callback"
    if not asks or s.config.channels[item.born.channel].lasting:
        return 0
    return latest_ms(s, queue, item.waits_since_ms)


def ask_facts(s: State, number: int) -> list[Event]:
    item = s.interactions[number]
    return facts_for(s, item, (MAX_WAIT, s.queues[item.queue].config.when_overdue))


# --- checking ---------------------------------------------------------------------------------------------------------

OneOf = Callable[[str | None, Iterable[str], str, str], None]
ASKING = ("when_full", "when_overdue", "when_nobody")  # where a customer may be asked whether to call them back
# What has to be set beside a rule, or it would never hold for anybody.
NEEDS = {
    "when_closed": "calendar",
    "when_closing": "calendar",
    "when_emergency": "calendar",
    "when_full": "max_length",
    "when_overdue": "max_wait",
}
RESORTS = ("when_closed", "when_closing", "when_emergency", "when_full", "when_overdue", "when_nobody")


def check_resorts(config: Config, one_of: OneOf) -> None:
    """Refuse rules of queues that contradict themselves. Raises ConfigError with the dotted path."""
    for name, queue in config.queues.items():
        path = f"queues.{name}"
        one_of(queue.calendar, config.calendars, f"{path}.calendar", "calendar")
        for field in RESORTS:
            _check_resort(getattr(queue, field) or KEEP, name, f"{path}.{field}", config, one_of)
        _check_needs(queue, path)
        if queue.clock == "open" and queue.calendar is None:
            raise ConfigError(f"{path}.clock", '"always", or a calendar whose open hours count', '"open" without one')
        if queue.max_wait and queue.when_overdue.do == "keep":
            raise ConfigError(f"{path}.when_overdue.do", '"end", "move" or "callback", since max_wait is set', '"keep"')
    _check_overdue_circles(config)


def _check_needs(queue: Queue, path: str) -> None:
    """A rule that says other than it would if left out is meant to do something."""
    usual = Queue()
    for field, needed in NEEDS.items():
        # A longest wait of 0s is none; a queue in which at most 0 may wait is full at once.
        without = not queue.max_wait if needed == "max_wait" else getattr(queue, needed) is None
        if without and getattr(queue, field) != getattr(usual, field):
            expected = f"{needed} beside it, or nothing: without {needed} this never holds"
            raise ConfigError(f"{path}.{field}", expected, f"no {needed}")


def _check_resort(resort: Resort, name: str, path: str, config: Config, one_of: OneOf) -> None:
    if (resort.do == "move") != (resort.queue is not None):
        expected = "the queue to move to" if resort.do == "move" else 'nothing, unless do = "move"'
        raise ConfigError(f"{path}.queue", expected, repr(resort.queue))
    one_of(resort.queue, config.queues, f"{path}.queue", "queue")
    if resort.queue == name:
        raise ConfigError(f"{path}.queue", "another queue", repr(name))
    if resort.do == "callback" and not path.endswith(ASKING):
        raise ConfigError(f"{path}.do", f'"keep", "end" or "move": "callback" is for {", ".join(ASKING)}', '"callback"')


def _check_overdue_circles(config: Config) -> None:
    """Their waiting time goes with them, so in a circle all of them would be too late everywhere."""
    for start in config.queues:
        way, at = [start], start
        while (queue := config.queues[at]).max_wait and queue.when_overdue.queue is not None:
            at = queue.when_overdue.queue
            if at in way:
                circle = " -> ".join([*way, at])
                raise ConfigError(f"queues.{start}.when_overdue.queue", "a queue that does not lead back", circle)
            way.append(at)
