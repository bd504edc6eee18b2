"""How facts about calendars and queues change the state: a part of `evolve`, which alone writes to it."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappush
from typing import Any

from router.engine import events as e
from router.engine.entities import Agent, QueueState, Turn
from router.engine.events import Event
from router.engine.model import EMERGENCY_DUE, NOBODY_DUE, TURN_DUE, State


def adopt(s: State, at_ms: int) -> None:
    """A new configuration: what is remembered of calendars and queues that it does not have is forgotten."""
    s.turns = {name: turn for name, turn in s.turns.items() if name in s.hours}
    watched = {queue.name for queue in s.watched}
    s.deserted = {name: since for name, since in s.deserted.items() if name in watched}
    s.empty = {name: since for name, since in s.empty.items() if name in watched}
    for queue in s.watched:
        _note_staff(s, queue, at_ms)
    rewind(s)


def rewind(s: State) -> None:
    """Set the timers of calendars and queues."""
    for name, turn in s.turns.items():
        _time_turn(s, name, turn)
    for name in s.empty:
        _time_desertion(s, name)


def _time_turn(s: State, name: str, turn: Turn) -> None:
    if turn.next_ms:
        heappush(s.timers, (turn.next_ms, TURN_DUE, 0, name))
    if turn.until_ms:
        heappush(s.timers, (turn.until_ms, EMERGENCY_DUE, 0, name))


def _time_desertion(s: State, name: str) -> None:
    heappush(s.timers, (s.empty[name] + s.queues[name].config.nobody_grace, NOBODY_DUE, 0, name))


# --- who is signed in -------------------------------------------------------------------------------------------------


def signed_in(s: State, agent: Agent, change: int, at_ms: int) -> None:
    """The agent's first session opened, or the last one closed."""
    if agent.retired:
        return
    for queue in s.watched:
        if s.matcher.meets_node(agent, queue.config.requirement):
            queue.signed_in += change
            _note_staff(s, queue, at_ms)


def _note_staff(s: State, queue: QueueState, at_ms: int) -> None:
    if queue.signed_in:
        s.empty.pop(queue.name, None)
    elif queue.name not in s.empty:
        s.empty[queue.name] = at_ms
        _time_desertion(s, queue.name)


# --- facts ------------------------------------------------------------------------------------------------------------


def _turned(s: State, ev: e.CalendarTurned, at_ms: int) -> None:
    turn = s.turns.setdefault(ev.calendar, Turn())
    turn.is_open, turn.next_ms = ev.is_open, ev.next_ms
    _time_turn(s, ev.calendar, turn)


def _emergency(s: State, ev: e.EmergencyDeclared, at_ms: int) -> None:
    turn = s.turns.setdefault(ev.calendar, Turn())
    turn.emergency, turn.until_ms, turn.by, turn.why = True, ev.until_ms, ev.by, ev.why
    _time_turn(s, ev.calendar, turn)


def _emergency_over(s: State, ev: e.EmergencyEnded, at_ms: int) -> None:
    turn = s.turns[ev.calendar]
    turn.emergency, turn.until_ms, turn.by, turn.why = False, 0, "", ""


def _deserted(s: State, ev: e.QueueDeserted, at_ms: int) -> None:
    s.deserted[ev.queue] = at_ms


def _staffed(s: State, ev: e.QueueStaffed, at_ms: int) -> None:
    s.deserted.pop(ev.queue, None)


EVOLVE: dict[type[Event], Callable[[State, Any, int], None]] = {
    e.CalendarTurned: _turned,
    e.EmergencyDeclared: _emergency,
    e.EmergencyEnded: _emergency_over,
    e.QueueDeserted: _deserted,
    e.QueueStaffed: _staffed,
}
