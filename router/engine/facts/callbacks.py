"""A customer who is called back: asked for, kept, resting, due, tried again, over."""

from __future__ import annotations

from msgspec.structs import replace

from router.engine import events as e
from router.engine.entities import Callback
from router.engine.facts.contacts import arrived
from router.engine.facts.moves import time_callback
from router.engine.model import State


def requested(s: State, ev: e.CallbackRequested, at_ms: int) -> None:
    number, item = ev.callback, s.interactions.get(ev.interaction)
    if item is not None and item.born.sender != ev.to:
        item.born = replace(item.born, sender=ev.to)
    arrival = item.born if item is not None else ev.arrival
    assert arrival is not None, "either somebody is on the line, or it says what the attempts are like"
    place = item.enqueued_at_ms if item is not None else ev.place_ms
    s.last_callback = number
    s.callbacks[number] = Callback(
        number, ev.line, ev.to, ev.first, arrival, place, ev.until_ms, ev.due_ms, ev.interaction
    )
    s.callers[arrival.customer] = number
    if item is not None:
        s.calls[item.number] = number
    time_callback(s, s.callbacks[number])


def kept(s: State, ev: e.CallbackKept, at_ms: int) -> None:
    """Nobody is on the line any more, so nobody renews the lease; the place in line is not touched."""
    item = s.interactions[ev.interaction]
    for thread in item.threads:
        if s.threads.get(thread) == item.number:
            del s.threads[thread]
    item.threads = (ev.thread,)
    s.threads[ev.thread] = item.number
    item.lease_until_ms = 0
    item.born = replace(item.born, direction="callback")
    _attempt(s, s.callbacks[ev.callback], item.number)


def _attempt(s: State, callback: Callback, interaction: int) -> None:
    callback.interaction, callback.kept, callback.due_ms = interaction, True, 0
    callback.attempts += 1
    s.calls[interaction] = callback.number
    time_callback(s, callback)


def due(s: State, ev: e.CallbackDue, at_ms: int) -> None:
    callback = s.callbacks[ev.callback]
    callback.place_ms = callback.place_ms or at_ms
    born = replace(
        callback.arrival,
        interaction=ev.interaction,
        threads=(ev.thread,),
        enqueued_at_ms=callback.place_ms,
        lease_ms=0,
        message=None,
        direction="callback",
    )
    arrived(s, born, at_ms)
    _attempt(s, callback, ev.interaction)


def rests(s: State, ev: e.CallbackRests, at_ms: int) -> None:
    """An attempt that only waits is none any more; one that is under way goes on."""
    callback = s.callbacks[ev.callback]
    item = s.interactions.get(callback.interaction)
    if ev.came_as and item is not None and not item.owner:
        callback.attempts -= 1  # nobody was called, so its number is free for the next
        _without_attempt(s, callback)
    s.came.pop(callback.instead, None)
    callback.instead = ev.came_as
    if ev.came_as:
        s.came[ev.came_as] = callback.number
    else:
        time_callback(s, callback)


def postponed(s: State, ev: e.CallbackPostponed, at_ms: int) -> None:
    callback = s.callbacks[ev.callback]
    _without_attempt(s, callback)
    callback.due_ms = ev.due_ms
    time_callback(s, callback)


def _without_attempt(s: State, callback: Callback) -> None:
    item = s.interactions.get(callback.interaction)
    if item is not None:  # it may have been given to another queue meanwhile
        callback.arrival = replace(callback.arrival, queue=item.queue)
    s.calls.pop(callback.interaction, None)
    callback.interaction, callback.kept = 0, False


def ended(s: State, ev: e.CallbackEnded, at_ms: int) -> None:
    callback = s.callbacks.pop(ev.callback)
    s.calls.pop(callback.interaction, None)
    s.came.pop(callback.instead, None)
    del s.callers[callback.arrival.customer]
    item = s.interactions.get(callback.interaction)
    if item is not None and item.waits and s.queues[item.queue].guarded:
        s.entered[item.number] = False  # its caller is on the line after all, and waits as any other
        s.time_wait(s.queues[item.queue], item)
