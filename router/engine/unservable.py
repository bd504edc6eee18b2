"""What follows when nobody who is signed in could take something that waits (RT-9).

Said once when it begins, when it changes and when it is over, for all that asks for the same in one queue; not for each
interaction, and not with each command. What a plan has for that case comes at once; the queue's policy when it has
lasted for as long as the policy says, so that a browser that reloads moves nobody.

A contact that comes while it lasts is treated as those that were there, at once if the policy has run. As by all rules
of queues (`admission`), nothing is ended by it that came by a lasting channel or that the house owes a customer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from router.engine import events as e
from router.engine.admission import is_ours
from router.engine.entities import Interaction, Preferred, Unserved, UnservedKey
from router.engine.events import Event
from router.engine.matching import ITEM_MASK, ClassKey
from router.engine.model import State
from router.engine.personal import Wanted
from router.engine.reach import READY, SIGNED_IN, level_of
from router.engine.requirements import Node, canonical
from router.engine.transitions import QUEUED
from router.engine.work import ended


def next_facts(s: State, happened: Iterable[Event], now_ms: int) -> list[Event]:
    """What is true now that was not said yet; to be asked after matching until there is nothing.

    `happened` is what the command made true so far: whom it names may have begun to wait.
    """
    reach, m = s.matcher.reach, s.matcher
    standing = m.waiting.filled | m.cooling_classes
    called = reach.called & standing
    if called or m.personal.called:
        facts = [*_steps(s, called), *_steps_of_the_required(s)]
        if facts:
            return facts
    now = (reach.stranded & standing, reach.barren & standing)
    if now != reach.seen:
        facts = list(_changes(s, now[0]))
        reach.seen = None if facts else now
        if facts:
            return facts
    if m.personal.changed:
        facts = list(_changes_of_the_required(s, now[0]))
        m.personal.changed.clear()
        reach.settle()
        if facts:
            return facts
    return list(_for_the_late(s, happened, now_ms)) if s.acted else []


def _steps(s: State, called: int) -> Iterator[Event]:
    """Their plans' next steps for all in these classes."""
    for item in members(s, called):
        if s.legs and item.number in s.legs:
            continue  # between colleagues
        key = s.matcher.class_keys[item.place]
        _, signed_in, ready = s.matcher.reach.able[item.place]
        cause = _call(s, key, bool(signed_in), bool(ready))
        yield e.RequirementRelaxed(item.number, item.step + 1, cause)


def _steps_of_the_required(s: State) -> Iterator[Event]:
    """As for whole classes, where those who are required are not there."""
    personal = s.matcher.personal
    called = {n: personal.groups[key] for key in personal.called for n in personal.groups[key].numbers}
    for number, group in sorted(called.items(), key=lambda found: found[0]):
        key = s.matcher.class_keys[group.place]
        cause = _call(s, key, group.near >= SIGNED_IN, group.near >= READY)
        yield e.RequirementRelaxed(number, key.step + 1, cause)


def _call(s: State, key: ClassKey, signed_in: bool, ready: bool) -> str:
    ladder = s.matcher.reach.ladder_of(key)
    assert ladder is not None, "a class is called by its plan"
    return ladder.call(key.step, signed_in, ready)


def members(s: State, classes: int) -> list[Interaction]:
    """All that wait in these classes (a bit set), by number: classes stand in no order that a replay would repeat."""
    m = s.matcher
    found: list[Interaction] = []
    while classes:
        c = classes.bit_length() - 1
        classes ^= 1 << c
        found += [s.interactions[entry & ITEM_MASK] for entry in m.waiting.walk(c)]
        found += m.cooling.get(c, {}).values()
    return sorted(found, key=lambda item: item.number)


def key_of(s: State, key: ClassKey) -> UnservedKey:
    """By what is asked for without those who are lent: they come and go, and it is the same that nobody serves."""
    return key.queue, s.channels[key.channel], key.alone


def _key_as(s: State, wanted: Wanted) -> UnservedKey:
    queue, channel, node = wanted
    return queue, s.channels[channel], node


def entry_of(s: State, item: Interaction) -> Unserved | None:
    """What is noted of this one, which waits: None if somebody who is signed in could take it."""
    wanted = _asked_by(s, item)
    return s.unserved.get(wanted) if wanted is not None else None


def _asked_by(s: State, item: Interaction) -> UnservedKey | None:
    """Under which key it would be noted if nobody who is signed in can serve it; None if somebody can."""
    if item.number in s.preferred:
        group = s.matcher.personal.group_of(item)
        return _key_as(s, group.wanted) if group is not None and group.near < SIGNED_IN else None
    stranded = s.matcher.reach.stranded >> item.place & 1
    return key_of(s, s.matcher.class_keys[item.place]) if stranded else None


def _changes(s: State, stranded: int) -> Iterator[Event]:
    """From what was said last to what is so."""
    reach = s.matcher.reach
    present: dict[UnservedKey, str] = {}
    for c, key in enumerate(s.matcher.class_keys):
        if stranded >> c & 1:
            known = key_of(s, key)
            present[known] = max(present.get(known, ""), reach.of(c))
    required = {_key_as(s, wanted) for wanted in s.matcher.personal.stranded}
    for known, entry in s.unserved.items():
        if known in required:
            continue
        if known not in present:
            yield e.ServabilityChanged(*known, "")
        elif present[known] != entry.servable:
            yield e.ServabilityChanged(*known, present[known])
    for queue, channel, node in sorted(present.keys() - s.unserved.keys(), key=repr):
        yield e.ServabilityChanged(queue, channel, canonical(node), present[queue, channel, node])


def _changes_of_the_required(s: State, stranded: int) -> Iterator[Event]:
    """The same of what waits for agents by name, where it may have changed: there may be as many as agents."""
    personal, keys = s.matcher.personal, s.matcher.class_keys
    for wanted in sorted(personal.changed, key=repr):
        known = _key_as(s, wanted)
        entry, servable = s.unserved.get(known), personal.servable(wanted)
        if not servable:  # unless the same is asked for by what waits for everybody
            alike = (c for c, key in enumerate(keys) if stranded >> c & 1 and key_of(s, key) == known)
            servable = next((s.matcher.reach.of(c) for c in alike), "")
        if servable != (entry.servable if entry is not None else ""):
            yield e.ServabilityChanged(*known, servable)


# --- the queue's policy -----------------------------------------------------------------------------------------------


def due_ms(s: State, entry: Unserved) -> int:
    """When the policy comes; 0 for never, or if it has come."""
    rule = s.queue_config(entry.queue).unservable
    return 0 if entry.acted or rule.policy == "wait" else entry.since_ms + rule.after


def after_due(s: State, event: e.UnservableDue, now_ms: int) -> list[Event]:
    """The policy, for all that waits and asks for that."""
    entry = s.noted[event.number]
    wanted = (entry.queue, entry.channel, entry.requirement)
    classes = sum(1 << c for key, c in s.matcher.class_ids.items() if key_of(s, key) == wanted)
    items = [*members(s, classes), *_required(s, entry)]
    return [fact for item in items for fact in _policy(s, item, now_ms)]


def _required(s: State, entry: Unserved) -> list[Interaction]:
    """Of what waits for agents by name, what asks for that."""
    personal = s.matcher.personal
    groups = personal.stranded.get((entry.queue, s.channel_index[entry.channel], entry.requirement), ())
    return [s.interactions[n] for n in sorted(n for key in groups for n in personal.groups[key].numbers)]


def _for_the_late(s: State, happened: Iterable[Event], now_ms: int) -> Iterator[Event]:
    numbers = dict.fromkeys(getattr(event, "interaction", 0) for event in happened)
    for number in numbers:
        item = s.interactions.get(number)
        entry = entry_of(s, item) if item is not None and item.state == QUEUED else None
        if item is not None and entry is not None and entry.acted:
            yield from _policy(s, item, now_ms)


def _policy(s: State, item: Interaction, now_ms: int) -> list[Event]:
    rule = s.queue_config(item.queue).unservable
    if s.legs and item.number in s.legs:
        return []  # between colleagues, one of whom is waiting for it to be over
    if rule.policy == "move" and rule.queue is not None:
        may = s.may_move(item, rule.queue)
        return [e.Transferred(item.number, rule.queue, None, "", "", "unservable")] if may else []
    if rule.policy == "end":
        return [] if is_spared(s, item) else [ended(s, item, rule.reason, now_ms)]
    if rule.policy == "callback" and not item.callback_offered and item.number not in s.calls:
        return [e.CallbackOffered(item.number, "unservable")]
    return _down_the_plan(s, item) if rule.policy == "relax" else []


def is_spared(s: State, item: Interaction) -> bool:
    """Whether the policy "end" lets it wait on: a letter loses nothing by waiting, and a call was promised."""
    return s.config.channels[item.born.channel].lasting or is_ours(s, item)


def _reached(s: State, node: Node, channel: int, held: Preferred | None) -> bool:
    """Whether somebody who is signed in meets this and works on the channel; of those required, if some are."""
    if held is None:
        return s.matcher.reached(node, channel, SIGNED_IN)
    people = (s.agents[name] for name in held.agents if name in s.agents)
    able = (a for a in people if level_of(a) >= SIGNED_IN and a.capacity.room(0) >> channel & 1)
    return any(s.matcher.meets_node(agent, node) for agent in able)


def _down_the_plan(s: State, item: Interaction) -> list[Event]:
    """As many steps as it takes until somebody who is signed in fits; if none ever does, all of them."""
    ladder = s.ladder_of(item)
    if ladder is None:
        return []
    asked, channel = s.asked_of(item), s.channel_index[item.born.channel]
    held = s.preferred.get(item.number)
    facts: list[Event] = []
    for step in range(item.step + 1, len(ladder.steps) + 1):
        facts.append(e.RequirementRelaxed(item.number, step, "unservable"))
        to = ladder.steps[step - 1].queue
        held = None if ladder.steps[step - 1].release else held
        if (to and s.may_move(item, to)) or _reached(s, ladder.after(step, asked), channel, held):
            break
    return facts
