"""Callbacks: the house calls the customer, when it is their turn or when they asked for it (MV-5).

    requested --caller hangs up--> waiting --accepted--> calling --answered--> over (reached)
                                      ^                     |
    scheduled --due-------------------|<---due--- pausing <-|  busy, no answer, failed, silence
          (each of them) --comes by themselves--> resting --an agent has them--> over (merged)

A caller who asks for it and hangs up keeps their place: the same interaction waits on, in the same class and with the
time at which it was enqueued, so nothing in the order knows that nobody is on the line. It only gets another name,
that of the call which the gateway will make. Every later attempt is an interaction of its own with that time.

Nobody is called before an agent has accepted: a customer who answers must find somebody. `first` only says which of
the two telephones rings first. With `agent` the agent hears it ring; with `customer` their telephone rings when the
customer has answered, and a busy line costs them nothing.

A customer who comes back by any channel is served there, to the same queue with the place that they had. Until an agent
has that contact the callback rests: nobody calls, and nothing that was promised is forgotten. It is over when an agent
has them; when they are turned away, or leave before anybody came, it goes on at once, with its place. A customer is
known by their identities, and has at most one callback. What must never be: a callback without a way to its next
attempt or its end; an agent who has an attempt that no event can end.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.asking import number_of
from router.engine.config import LONGEST_MS
from router.engine.entities import Callback, Interaction
from router.engine.events import Event
from router.engine.model import State, Timer
from router.engine.preferred import clock
from router.engine.sayings import say
from router.engine.transitions import ACTIVE, OFFERED, QUEUED, demand
from router.engine.views import interaction_id
from router.engine.work import ended, withdrawals
from router.errors import BadMessage, IllegalMove, NotFound, NotSupported, UnknownName

# After these the customer was not reached, and is called again.
UNHEARD, CALLED_OFF = "unheard", "called-off"
NOT_REACHED = frozenset({"busy", "no-answer", "failed", "customer-left", "abandoned", "unconfirmed", UNHEARD})
FAILURES = ("busy", "no-answer", "failed")
WAITING = (QUEUED, OFFERED)


# --- asked for --------------------------------------------------------------------------------------------------------


def request(s: State, ask: c.RequestCallback, now_ms: int) -> list[Event]:
    rules = s.config.callbacks
    if not (0 <= ask.not_before_ms <= now_ms + LONGEST_MS and 0 <= ask.until_ms <= now_ms + LONGEST_MS):
        raise BadMessage("not_before and until: a time within the next ten years")
    begin = max(now_ms, ask.not_before_ms)
    until = ask.until_ms or (begin + rules.within if rules.within else 0)
    if until and until <= begin:
        raise BadMessage("until: a time after now and after not_before")
    first = ask.first or rules.first
    item = _waiting(s, ask.thread) if ask.thread else None
    if item is not None and not s.config.channels[item.born.channel].calls:
        return _instead(s, item, ask, begin, until, first)
    line = _line(s, item.born.channel if item is not None else ask.channel, ask.line)
    number = s.last_callback + 1
    if item is not None:
        to = ask.to or item.born.sender
        if not any(map(str.isdigit, to)):  # "anonymous", and whatever else stands there for a number withheld
            raise BadMessage("to: this caller has no number; say which one to call")
        return [
            *_corrected(s, item, to),
            e.CallbackRequested(item.number, number, line, to, first, None, 0, until, ask.by),
        ]
    arrival = _arrival(s, ask, now_ms)
    _must_be_the_only_one(s, arrival.customer)
    return [e.CallbackRequested(0, number, line, ask.to, first, arrival, begin, until, ask.by)]


def _corrected(s: State, item: Interaction, to: str) -> list[Event]:
    """Who asks once more while they are on the line, for another number, means that one."""
    known = s.callbacks.get(s.calls.get(item.number, 0))
    if known is not None and not known.kept and known.to != to:
        return [e.CallbackEnded(known.number, "cancelled")]
    _must_be_the_only_one(s, item.born.customer)
    return []


def _instead(
    s: State, item: Interaction, ask: c.RequestCallback, begin_ms: int, until_ms: int, first: str
) -> list[Event]:
    """Who waits by a channel that calls nobody is called by one that can: with their place, and this contact ends."""
    channel = ask.channel or next((name for name, known in s.config.channels.items() if known.calls), "")
    line, to = _line(s, channel, ask.line), ask.to or number_of(item)
    if not to:
        raise BadMessage("to: say which number to call")
    born = item.born
    _must_be_the_only_one(s, born.customer)
    arrival = replace(
        born,
        interaction=0,
        channel=channel,
        threads=(),
        identities=tuple(dict.fromkeys((f"tel:{to}", *born.identities))),
        sender=to,
        recipient="",
        queue=item.queue,
        requirement=item.requirement,
        band=item.band,
        weight=item.weight,
        target_ms=item.target_ms,
        lease_ms=0,
        message=None,
        follows=item.number,
        direction="callback",
    )
    place, number = item.enqueued_at_ms, s.last_callback + 1
    asked = e.CallbackRequested(0, number, line, to, first, arrival, begin_ms, until_ms, ask.by, place)
    return [asked, *withdrawals(s, item, "callback"), e.InteractionEnded(item.number, "callback", by=ask.by)]


def _waiting(s: State, thread: str) -> Interaction:
    number = s.threads.get(thread)
    if number is None or not s.interactions[number].open:
        raise NotFound(f"no open interaction {thread[:100]!r}")
    item = s.interactions[number]
    demand(item.number, item.state, e.CallbackRequested)
    return item


def _line(s: State, channel: str, line: str) -> str:
    able = s.config.channels[channel].calls if channel in s.config.channels else ()
    if not able:
        which = line.rstrip(":") or channel or "nothing"
        raise NotSupported(f"{which} cannot call anybody; configure a gateway that takes the order to")
    if line and line not in able:
        those = ", ".join(name.rstrip(":") for name in able)
        raise NotSupported(f"{line.rstrip(':')[:64]} cannot call anybody; those that can: {those}")
    return line or able[0]


def _must_be_the_only_one(s: State, customer: str) -> None:
    if customer in s.callers:
        # A second one would be called twice for one wish.
        raise IllegalMove(f"this customer is going to be called already, by callback c-{s.callers[customer]}")


def _arrival(s: State, ask: c.RequestCallback, now_ms: int) -> e.InteractionArrived:
    if ask.queue not in s.queues:
        raise UnknownName(f"queue: there is no queue {ask.queue[:64]!r}")
    if not ask.to:
        raise BadMessage("to: say which number to call")
    identity = f"tel:{ask.to}"
    return e.InteractionArrived(
        0,
        ask.channel,
        (),
        s.links.get(identity, identity),
        (identity,),
        ask.to,
        "",
        ask.name,
        ask.subject,
        ask.language,
        ask.attributes,
        ask.queue,
        None,
        "",
        0.0,
        0,
        now_ms,
        0,
        direction="callback",
    )


def cancel(s: State, ask: c.CancelCallback, now_ms: int) -> list[Event]:
    callback = s.callbacks.get(ask.callback)
    if callback is None:
        raise NotFound(f"there is no callback c-{ask.callback}")
    item = s.interactions.get(callback.interaction)
    if item is not None and callback.kept and item.state == ACTIVE:  # its gateway is told to hang up
        return [ended(s, item, CALLED_OFF, now_ms, by=ask.by, why=ask.why)]
    return _over(s, callback, "cancelled", ask.by, ask.why)


def fail(s: State, ask: c.FailCall, now_ms: int) -> list[Event]:
    """The gateway could not reach the customer; their agent documents that as any other contact.

    So even where nobody wants to call them any more, since the customer is with somebody else by now.
    """
    number = s.threads.get(ask.thread)
    if number is None or not s.interactions[number].open:
        raise NotFound(f"no open interaction {ask.thread[:100]!r}")
    item = s.interactions[number]
    if item.born.direction != "callback" or item.state != ACTIVE or item.connected:
        return []  # said twice, or overtaken
    return [ended(s, item, ask.reason if ask.reason in FAILURES else "failed", now_ms)]


# --- what follows -----------------------------------------------------------------------------------------------------


def hung_up(s: State, item: Interaction) -> list[Event]:
    """The caller leaves the line and keeps the place; empty if they asked for nothing of that kind."""
    number = s.calls.get(item.number, 0)
    if not number or s.callbacks[number].kept:
        return []
    return [e.CallbackKept(item.number, number, name_of(s.callbacks[number]))]


def name_of(callback: Callback) -> str:
    """By which the gateway will speak of the next attempt's call."""
    return f"{callback.line}cb-{callback.number}-{callback.attempts + 1}"


def met(s: State, arrival: e.InteractionArrived) -> list[Event]:
    """A customer who is to be called comes by themselves: with the place that they had, if it is the same queue.

    Any identity will do, also one that has come together with another one for the first time just now.
    """
    number = next((s.callers[x] for x in (arrival.customer, *arrival.identities) if x in s.callers), 0)
    if not number:
        return [arrival]
    callback = s.callbacks[number]
    item = s.interactions.get(callback.interaction)
    if callback.instead or (item is not None and not callback.kept):
        return [arrival]  # they are there already, in another contact
    rests = e.CallbackRests(number, arrival.interaction)
    if _queue_of(s, callback) == arrival.queue:
        place = min(arrival.enqueued_at_ms, callback.place_ms or arrival.enqueued_at_ms)
        arrival = replace(arrival, enqueued_at_ms=place)
    if item is None or item.state not in WAITING:
        return [arrival, rests]  # nothing waits; a call that is under way goes on, and there is no second one
    return [arrival, rests, *withdrawals(s, item, "merged"), e.InteractionEnded(item.number, "merged")]


def _queue_of(s: State, callback: Callback) -> str:
    """Where they were last: the attempt may have been given to another queue."""
    item = s.interactions.get(callback.interaction)
    return item.queue if item is not None else callback.arrival.queue


def _over(s: State, callback: Callback, reason: str, by: str = "", why: str = "") -> list[Event]:
    """No more attempts; one that only waits is over with it."""
    item = s.interactions.get(callback.interaction)
    if item is None or not callback.kept or item.state not in WAITING:
        return [e.CallbackEnded(callback.number, reason, by, why)]
    # `after_end` ends the callback for that reason.
    return [*withdrawals(s, item, reason, by, why), e.InteractionEnded(item.number, reason, by=by, why=why)]


def after_accept(s: State, number: int, now_ms: int) -> Iterator[Event]:
    """The caller is still on the line, or came by themselves: they need not be called. Otherwise nobody is on the line,
    so nobody renews a lease; until it is heard how the call went, it has one of its own."""
    if number in s.calls and not s.callbacks[s.calls[number]].kept:
        yield e.CallbackEnded(s.calls[number], "answered")
    elif number in s.calls and s.config.callbacks.silence:
        yield e.LeaseRenewed(number, now_ms + s.config.callbacks.silence)
    if number in s.came:
        yield e.CallbackEnded(s.came[number], "merged")


def after_connection(s: State, number: int) -> list[Event]:
    if number not in s.calls:
        return []
    return [*without_lease(s, number), e.CallbackEnded(s.calls[number], "reached")]


def without_lease(s: State, number: int) -> list[Event]:
    """Its call is not being made any more, of which something would have to be heard."""
    is_made = number in s.calls and s.interactions[number].lease_until_ms
    return [e.LeaseRenewed(number, 0)] if is_made else []


def silent(s: State, item: Interaction) -> str:
    """Why it is over, when it was not spoken of for too long. Of a call that we make the gateway is told to end it."""
    return UNHEARD if item.owner and item.number in s.calls else "unconfirmed"


def after_end(s: State, event: e.InteractionEnded, now_ms: int) -> Iterator[Event]:
    if event.interaction in s.calls:
        yield _next(s, s.callbacks[s.calls[event.interaction]], event.reason, now_ms)
    if event.interaction in s.came:
        yield from _goes_on(s, s.callbacks[s.came[event.interaction]], event.reason, now_ms)


def _goes_on(s: State, callback: Callback, reason: str, now_ms: int) -> Iterator[Event]:
    """What they came with by themselves is over, and nobody had it."""
    if not callback.interaction:
        yield e.CallbackPostponed(callback.number, max(callback.due_ms, now_ms), reason)
    yield e.CallbackRests(callback.number, 0)


def _next(s: State, callback: Callback, reason: str, now_ms: int) -> Event:
    if reason not in NOT_REACHED:
        return e.CallbackEnded(callback.number, "cancelled" if reason == CALLED_OFF else reason)
    if not callback.kept:
        return e.CallbackPostponed(callback.number, now_ms, reason)  # their call broke off; nobody has tried yet
    rules = s.config.callbacks
    due = now_ms + rules.delay
    if callback.attempts >= rules.attempts:
        return e.CallbackEnded(callback.number, "exhausted")
    if callback.until_ms and due >= callback.until_ms:
        return e.CallbackEnded(callback.number, "expired")
    return e.CallbackPostponed(callback.number, due, reason)


def mended(s: State, now_ms: int) -> Iterator[Event]:
    """After a restart: what a journal that broke off inside of a command still owes."""
    for place in _given_up(s):
        yield from withdrawals(s, place, "merged")
        yield e.InteractionEnded(place.number, "merged")
    for callback in list(s.callbacks.values()):
        item = s.interactions.get(callback.interaction)
        if callback.interaction and (item is None or item.state not in (*WAITING, ACTIVE)):
            yield _next(s, callback, item.reason if item is not None else "failed", now_ms)
        came = s.interactions.get(callback.instead)
        if callback.instead and (came is None or came.state not in WAITING):
            yield from _goes_on(s, callback, came.reason if came is not None else "failed", now_ms)


def _given_up(s: State) -> list[Interaction]:
    """Places in line that are no attempt of their callback any more, since the customer came by themselves (`met`)."""
    names = {name_of(callback).rpartition("-")[0] for callback in s.callbacks.values()}
    waiting = (item for item in s.interactions.values() if item.state in WAITING and item.number not in s.calls)
    return [item for item in waiting if any(thread.rpartition("-")[0] in names for thread in item.threads)]


def due_ms(s: State, t: Timer) -> int:
    """When the next attempt is to begin, or when an attempt that waits is too late; 0 for neither."""
    callback = s.callbacks.get(t[2])
    if callback is None:
        return 0
    if callback.due_ms:
        return 0 if callback.instead else callback.due_ms
    item = s.interactions.get(callback.interaction)
    return callback.until_ms if callback.kept and item is not None and item.state in WAITING else 0


def due(s: State, number: int) -> list[Event]:
    callback = s.callbacks[number]
    if not callback.due_ms or (callback.until_ms and s.now_ms >= callback.until_ms):
        return _over(s, callback, "expired")
    if callback.arrival.queue not in s.queues or callback.arrival.channel not in s.config.channels:
        return [e.CallbackEnded(number, "no-queue"), e.AlertRaised("callback-lost", f"c-{number}", "its queue is gone")]
    return [e.CallbackDue(s.last_interaction + 1, number, name_of(callback))]


# --- explaining -------------------------------------------------------------------------------------------------------


def story(s: State, item: Interaction) -> dict[str, object]:
    """What a planner wants to know of a callback: empty if nobody is to be called after or in this interaction."""
    number = s.calls.get(item.number)
    if number is None:
        return _instead_of(s, item) or _after(s, item)
    callback, most = s.callbacks[number], s.config.callbacks.attempts
    if not callback.kept:
        words = say("call-kept", to=callback.to)
    elif item.state == ACTIVE:
        words = say("call-now", agent=item.owner, to=callback.to, n=callback.attempts, most=most)
    else:
        words = say("call-waits", to=callback.to, n=callback.attempts, most=most)
    return {"callback": {"callback": f"c-{number}", "summary": words, "until_ms": callback.until_ms or None}}


def _instead_of(s: State, item: Interaction) -> dict[str, object]:
    """Of what a customer came with who is to be called."""
    callback = s.callbacks.get(s.came.get(item.number, 0))
    if callback is None:
        return {}
    words = say("call-rests", to=callback.to)
    return {"callback": {"callback": f"c-{callback.number}", "summary": words, "until_ms": callback.until_ms or None}}


def _after(s: State, item: Interaction) -> dict[str, object]:
    """Of an attempt that is over: how it goes on."""
    number = s.callers.get(item.born.customer, 0)
    callback = s.callbacks.get(number)
    if callback is None or not any(x.startswith(f"{callback.line}cb-{number}-") for x in item.threads):
        return {}
    if callback.instead:
        words = say("call-rests-in", to=callback.to, other=interaction_id(callback.instead))
    elif callback.interaction:
        words = say("call-goes-on", to=callback.to, other=interaction_id(callback.interaction))
    else:
        n, at = callback.attempts + 1, clock(callback.due_ms)
        words = say("call-again", to=callback.to, at=at, n=n, most=s.config.callbacks.attempts)
    told = {"callback": f"c-{number}", "summary": words, "until_ms": callback.until_ms or None}
    return {"callback": {**told, "next_attempt_at_ms": callback.due_ms or None}}
