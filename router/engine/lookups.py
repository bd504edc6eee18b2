"""Questions about the state. They change nothing and may be asked between any two commands.

Their cost is bounded: a list is cut at its limit, and nothing here walks all waiting interactions.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from router.engine import asking, lending, levels, outside, tally, waits
from router.engine.admission import REFUSED
from router.engine.capacity import count
from router.engine.entities import Agent, Callback, Interaction, Said
from router.engine.matching import ITEM_MASK
from router.engine.model import State
from router.engine.reach import BUSY, NOW
from router.engine.requirements import Node, as_data, no_such, walk
from router.engine.transitions import ACTIVE, CLOSED, OFFERED, QUEUED, STATE_NAMES
from router.engine.views import (
    AgentView,
    CalendarView,
    CallbackOffer,
    CallbackView,
    ConsultView,
    DayView,
    Estimate,
    InteractionView,
    MessageView,
    NoteView,
    OfferView,
    QueueView,
    Refused,
    attachments_of,
    callback_id,
    interaction_id,
    offer_id,
)
from router.errors import NotFound


class Shown(Struct, frozen=True):
    """What views show of a requirement."""

    node: Node
    written: object
    skills: tuple[str, ...]  # that it asks for


_SHOWN: dict[int, Shown] = {}
_SHOWN_MAX = 10_000


def shown(node: Node) -> Shown:
    """Worked out once, because views are made for every offer. A node is known by its identity, which it keeps as long
    as it stands here; to compare whole trees costs as much as to write them."""
    found = _SHOWN.get(id(node))
    if found is None:
        if len(_SHOWN) >= _SHOWN_MAX:
            _SHOWN.clear()
        skills = tuple(dict.fromkeys(n.skill for n in walk(node) if n.skill))
        found = _SHOWN[id(node)] = Shown(node, as_data(node), skills)
    return found


def written(node: Node) -> object:
    """The written form of a requirement."""
    return shown(node).written


_LEFT_OUT: Any = UNSET  # in place of what was said and noted: see `views.brief`


def interaction_view(s: State, item: Interaction, agent: Agent | None = None, full: bool = False) -> InteractionView:
    """The interaction as outsiders see it; `agent` decides which skills matched. Brief, if not `full`.

    The fields stand in the order of `InteractionView`: views are made for every offer, and to name so many would cost
    more than to find them. A test compares each with its name.
    """
    born, number = item.born, item.number
    if agent is None and item.owner:
        agent = s.agents.get(item.owner)
    asked = shown(s.requirement_of(item))
    messages = notes = _LEFT_OUT
    if full:
        about = _customers(s, item)
        messages, notes = transcript(about), _noted(about)
    summons = s.summons.get(number) if s.summons and item.state == ACTIVE else None
    aside = s.suspensions.get(number) if s.suspensions else None
    return InteractionView(
        interaction_id(number),
        born.channel,
        born.direction,
        STATE_NAMES[item.state],
        item.queue,
        born.customer,
        born.sender,
        born.recipient,
        born.name,
        born.subject,
        born.language,
        item.enqueued_at_ms,
        asked.written,
        _held(asked, agent) if agent is not None else (),
        born.attributes,
        item.owner,
        item.held,
        item.connected,
        item.wrap_up_until_ms,
        s.band_of(item),
        item.reason,
        item.disposition,
        interaction_id(born.follows) if born.follows else "",
        item.misses,
        item.declines,
        item.connect_failures,
        summons.calls if summons is not None else 0,
        summons.until_ms if summons is not None else 0,
        aside is not None and aside.since_ms > 0,
        aside.since_ms if aside is not None else 0,
        aside.total_ms if aside is not None else 0,
        messages,
        notes,
        consult_view(s, item, agent, full) if s.consults else UNSET,
        outside.unable(s, item) if born.channel in s.limited else UNSET,
    )


def _customers(s: State, item: Interaction) -> Interaction:
    """Of a consult, what it is about: who is asked must see what was said to the customer."""
    return s.interactions[s.legs[item.number]] if s.legs and item.number in s.legs else item


def consult_view(s: State, item: Interaction, agent: Agent | None, full: bool) -> ConsultView | UnsetType:
    """The consult that the interaction is, or has."""
    number = s.legs.get(item.number, item.number)
    consult = s.consults.get(number)
    if consult is None:
        return UNSET
    about, leg = s.interactions[number], s.interactions[consult.leg] if consult.leg else None
    asked, name = leg.owner if leg is not None else "", agent.id if agent is not None else ""
    role = "owner" if name == about.owner else "consulted" if item is leg else ""
    return ConsultView(
        id=interaction_id(consult.leg) if consult.leg else "",
        of=interaction_id(number),
        role=role,
        state="conference" if consult.joined else "consulting" if asked or consult.answered_at_ms else "asking",
        owner=about.owner,
        agent=asked,
        address=consult.address,
        until_ms=0 if asked or consult.answered_at_ms else consult.until_ms,
        messages=_between(leg) if full else UNSET,
    )


def _between(leg: Interaction | None) -> tuple[MessageView, ...]:
    return tuple(map(message_view, leg.said or ())) if leg is not None else ()


def transcript(item: Interaction) -> tuple[MessageView, ...]:
    first = item.born.message
    if first is None and not item.said:
        return ()
    said = [Said(item.enqueued_at_ms, "customer", "", first)] if first is not None else []
    return tuple(map(message_view, (*said, *(item.said or ()))))


def _noted(item: Interaction) -> tuple[NoteView, ...]:
    return tuple([NoteView(r.by, r.at_ms, r.text) for r in item.remarks]) if item.remarks else ()


def message_view(said: Said) -> MessageView:
    message = said.message
    files = attachments_of(message)
    return MessageView(said.author, said.at_ms, message.text, said.agent, files, message.external_id, message.sender)


def matched_skills(requirement: Node, agent: Agent) -> tuple[str, ...]:
    """The skills that were asked for and that this agent holds."""
    return _held(shown(requirement), agent)


def _held(requirement: Shown, agent: Agent) -> tuple[str, ...]:
    """Nearly always all of them, since that is why it came to this agent."""
    asked, held = requirement.skills, agent.config.skills
    for skill in asked:
        if skill not in held:
            return tuple([skill for skill in asked if skill in held])
    return asked


def agent_view(s: State, agent: Agent, brief: bool = False) -> AgentView:
    """The agent as operators see them; `brief` leaves out offers and interactions."""
    offers, work = [], []
    if not brief:
        for number in agent.offers:
            offer = s.offers[number]
            view = interaction_view(s, s.interactions[offer.interaction], agent, full=True)
            offers.append(OfferView(offer_id(number), view, offer.expires_at_ms))
        work = [interaction_view(s, s.interactions[n], agent, full=True) for n in agent.work]
    return AgentView(
        agent=agent.id,
        name=agent.config.name or agent.id,
        state=agent.declared,
        reason=agent.reason,
        pending=agent.requested,
        since_ms=agent.since_ms,
        sessions=len(agent.sessions),
        load=load_by_channel(s, agent),
        offers=tuple(offers),
        interactions=tuple(work),
        stream=agent.stream,
        warnings=() if brief else outside.warnings(s, agent),
    )


def load_by_channel(s: State, agent: Agent) -> dict[str, int]:
    """Open offers, work and wrap-up together, without what is suspended: the one load of all reports (CP-3)."""
    counts = ((name, count(agent.load, i)) for i, name in enumerate(s.channels))
    return {name: n for name, n in counts if n}


def find_interaction(s: State, number: int) -> Interaction:
    item = s.interactions.get(number)
    if item is None:
        raise NotFound(f"there is no interaction i-{number}")
    return item


def find_agent(s: State, name: str) -> Agent:
    agent = s.agents.get(name)
    if agent is None:
        raise NotFound(no_such("agent", name, s.agents))
    return agent


# How many numbers one portion of a list looks at: about half a millisecond.
PORTION = 5_000


def portion(s: State, state: str, queue: str, after: int, limit: int) -> tuple[list[InteractionView], int]:
    """Interactions in order of number, starting after `after`, and where to go on (0: that was all).

    Looks at a bounded stretch of numbers, so a portion may be empty and yet have a continuation: whoever lists lets
    decisions through between two portions (OB-2).
    """
    known = s.interactions
    first = max(after + 1, next(iter(known), s.last_interaction + 1))  # the dictionary is in order of number
    end = min(first + PORTION, s.last_interaction + 1)
    found: list[InteractionView] = []
    for number in range(first, end):
        item = known.get(number)
        if item is None or (state and STATE_NAMES[item.state] != state) or (queue and item.queue != queue):
            continue
        found.append(interaction_view(s, item))
        if len(found) >= limit:
            return found, number if number < s.last_interaction else 0
    return found, end - 1 if end <= s.last_interaction else 0


def callback_views(s: State, after: int, limit: int) -> list[CallbackView]:
    """In order of their numbers, starting after `after`."""
    found = (callback for number, callback in s.callbacks.items() if number > after)
    return [_callback_view(s, callback) for callback in islice(found, limit)]


def callback_of(s: State, customer: str) -> CallbackView | None:
    """The one callback of the customer who is known by this identity."""
    number = s.callers.get(s.links.get(customer, customer))
    return _callback_view(s, s.callbacks[number]) if number is not None else None


def _callback_view(s: State, callback: Callback) -> CallbackView:
    item = s.interactions.get(callback.interaction or callback.instead)
    calling = item is not None and item.state == ACTIVE
    waiting = "calling" if calling else "waiting" if callback.kept else "on-line"
    waiting = waiting if callback.interaction else "resting"
    return CallbackView(
        callback=callback_id(callback.number),
        state=waiting if item is not None else "scheduled",
        to=callback.to,
        first=callback.first,
        customer=callback.arrival.customer,
        queue=item.queue if item is not None and callback.interaction else callback.arrival.queue,
        interaction=interaction_id(item.number) if item is not None else "",
        enqueued_at_ms=callback.place_ms,
        due_at_ms=callback.due_ms,
        until_ms=callback.until_ms,
        attempts=callback.attempts,
    )


def queue_views(s: State, now_ms: int, since_ms: int = 0) -> list[QueueView]:
    """`since_ms`: from when what became of contacts is told; as far back as is kept."""
    oldest: dict[str, int] = {}
    shares: dict[str, float] = {}
    matcher = s.matcher
    near = waiting_by_servability(s)
    for c, key in enumerate(matcher.class_keys):
        first = next(matcher.waiting.walk(c), None)
        times = [first >> 40] if first is not None else []
        times += [item.enqueued_at_ms for item in matcher.cooling.get(c, {}).values()] + matcher.personal.oldest_ms(c)
        if times:
            oldest[key.queue] = min(min(times), oldest.get(key.queue, 1 << 62))
        heads = [s.interactions[first & ITEM_MASK]] if first is not None else []
        for item in chain(heads, matcher.cooling.get(c, {}).values()):
            shares[key.queue] = max(shares.get(key.queue, 0.0), s.waited_ms(item, now_ms) / s.target_ms(item))
    return [
        QueueView(
            queue=n,
            waiting=q.waiting,
            offered=q.offered,
            active=q.active,
            oldest_enqueued_at_ms=oldest.get(n, 0),
            servability=near.get(n, {}),
            open=is_open(s, q.config.calendar),
            deserted=n in s.deserted,
            borrows=lending.views(s, n, now_ms),
            service_level=service_level(s, n, now_ms),
            day=_day(s, n, since_ms, now_ms),
            share_of_target=round(shares.get(n, 0.0), 3),
        )
        for n, q in s.queues.items()
    ]


def service_level(s: State, queue: str, now_ms: int) -> float | None:
    """Of late; None where it is not counted, or nothing was."""
    kept, total = levels.counts(s, queue, now_ms) if s.levelled else (0, 0)
    return round(kept / total, 4) if total else None


def _day(s: State, queue: str, since_ms: int, now_ms: int) -> DayView | None:
    found = tally.counts(s, queue, since_ms, now_ms)
    if found is None:
        return None
    judged, meant = found.answered + found.late, found.abandoned - found.short
    heard = found.answered + meant
    return DayView(
        since_ms=tally.begin_of(s, since_ms, now_ms),
        answered=found.answered,
        in_target=found.kept,
        abandoned=found.abandoned,
        late=found.late,
        short=found.short,
        service_level=round(found.kept / judged, 4) if judged else None,
        abandon_rate=round(meant / heard, 4) if heard else None,
    )


def servability(s: State, item: Interaction) -> str:
    """now, busy, signed-out or nobody: how near to something that waits the nearest agent who fits is."""
    if s.matcher.taker(item, ()) is not None:
        return NOW
    if item.number not in s.preferred:
        return s.matcher.reach.of(item.place)
    group = s.matcher.personal.group_of(item)
    return BUSY if group is None else group.servable  # what is only preferred waits for somebody who is there


def waiting_by_servability(s: State) -> dict[str, dict[str, int]]:
    """For each queue in which something waits, how many are how near to being served."""
    m = s.matcher
    found: dict[str, dict[str, int]] = {}
    standing = m.waiting.filled | m.cooling_classes
    while standing:
        c = standing.bit_length() - 1
        standing ^= 1 << c
        near = NOW if m.best_agent(c) is not None else m.reach.of(c)
        counts = found.setdefault(m.class_keys[c].queue, {})
        counts[near] = counts.get(near, 0) + m.waiting.count(c) + len(m.cooling.get(c, ()))
    for queue, near, n in m.personal.by_servability():
        counts = found.setdefault(queue, {})
        counts[near] = counts.get(near, 0) + n
    return found


def is_open(s: State, calendar: str | None) -> bool:
    """Whether a queue with this calendar is open for customers."""
    turn = s.turns.get(calendar) if calendar is not None else None
    return turn is None or (turn.is_open and not turn.emergency)


def calendar_views(s: State) -> list[CalendarView]:
    return [
        CalendarView(
            calendar=name,
            zone=s.config.calendars[name].zone,
            open=is_open(s, name),
            next_change_ms=turn.next_ms,
            emergency=turn.emergency,
            until_ms=turn.until_ms,
            by=turn.by,
            why=turn.why,
            queues=tuple(queue.name for queue in s.queues.values() if queue.config.calendar == name),
        )
        for name, turn in s.turns.items()
    ]


def refusal(s: State, number: int) -> Refused | None:
    """Why this interaction was turned away when it came, and what the customer is told; None: it was not."""
    item = s.interactions.get(number)
    if item is None or item.state != CLOSED or item.disposition != REFUSED:
        return None
    told = [said.message.text for said in item.said or () if said.author == "system"]
    return Refused(item.reason, told[-1] if told else "")


def callback_offer(s: State, number: int) -> CallbackOffer | None:
    """What the customer of this contact was asked, who may still say yes; None: nobody has asked, or it is settled."""
    item = s.interactions.get(number)
    if item is None or item.state not in (QUEUED, OFFERED) or not item.callback_offered or number in s.calls:
        return None
    if not asking.can_be_asked(s, item):
        return None
    told = [said.message.text for said in item.said or () if said.author == "system"]
    return CallbackOffer(told[-1] if told else "")


def estimate(s: State, number: int, now_ms: int) -> Estimate | None:
    """How many of the same queue are served before it, plus one, and how long it will wait (`waits`).

    Told as for an agent of usual speed; where the agent's level decides (`skill-level`), by age alone, since who will
    serve it is not known.
    """
    item = s.interactions.get(number)
    if item is None or item.state != QUEUED:
        return None
    return waits.estimate(s, item, now_ms)


def fitting(s: State, item: Interaction) -> list[Agent]:
    """Agents who meet the requirement, present or not."""
    node = s.requirement_of(item)
    return [agent for agent in s.agents.values() if s.matcher.meets_node(agent, node)]
