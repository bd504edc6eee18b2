"""From a fact to what the outside must be told.

`Tell` goes to an agent's stream, `Inform` to the adapter of the interaction's channel. Both are computed when the fact
is applied, so that they show the state as of that fact, and are given out when it is durable. What must reach the
outside at least once (`Outbound`) is part of the state as well, because it outlives the process; here it is only
announced.

This table and `evolve` agree on who is told: `tests/engine/test_streams.py` compares the numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from router.engine import events as e
from router.engine.entities import Interaction
from router.engine.events import Event
from router.engine.lookups import agent_view, interaction_view
from router.engine.model import State
from router.engine.transitions import ACTIVE
from router.engine.views import Inform, Outbound, Tell

Effect = Tell | Inform | Outbound


def effects(state: State, event: Event, out: list[Effect]) -> None:
    """Add to `out` what this fact, which was just applied, is to be told to whom."""
    rule = EFFECTS.get(type(event))
    if rule is not None:
        rule(state, event, out)
    if state.outbound and state.first_letter + state.seq in state.outbound:
        out.append(state.outbound[state.first_letter + state.seq])


def _tell(s: State, agent: str, event: Any, out: list[Effect], full: bool = False) -> None:
    """About an interaction; `full` for who takes it over and must see what was said. After that, news are enough."""
    to = s.agents.get(agent)
    if to is not None:
        item = s.interactions.get(event.interaction)
        view = interaction_view(s, item, to, full) if item is not None else None
        out.append(Tell(agent, to.stream, event, view, None, s.now_ms))


def _tell_plain(s: State, agent: str, event: Any, out: list[Effect]) -> None:
    """What needs no view: the event says it all."""
    to = s.agents.get(agent)
    if to is not None:
        out.append(Tell(agent, to.stream, event, None, None, s.now_ms))


def _tell_state(s: State, agent: str, event: Any, out: list[Effect]) -> None:
    to = s.agents.get(agent)
    if to is not None:
        out.append(Tell(agent, to.stream, event, None, agent_view(s, to, brief=True), s.now_ms))


def _inform(s: State, event: Any, out: list[Effect], agent: str = "") -> None:
    item = s.interactions.get(event.interaction)
    if item is not None and item.threads:  # channels know nothing of consults
        who = s.agents.get(agent) if agent else None
        name = (who.config.name or agent) if who is not None else ""
        out.append(Inform(item.born.channel, item.number, item.threads, event, name, s.now_ms))


def _offer_made(s: State, event: e.OfferMade, out: list[Effect]) -> None:
    _tell(s, event.agent, event, out)


def _offer_over(s: State, event: Any, out: list[Effect]) -> None:
    _tell_plain(s, event.agent, event, out)


def _accepted(s: State, event: e.OfferAccepted, out: list[Effect]) -> None:
    _tell(s, event.agent, event, out, full=True)
    _inform(s, event, out, event.agent)


def _message(s: State, event: e.MessageAdded, out: list[Effect]) -> None:
    for name in s.hearers(s.interactions[event.interaction]):
        _tell_plain(s, name, event, out)
    _inform(s, event, out, event.agent)


def _note(s: State, event: e.NoteAdded, out: list[Effect]) -> None:
    for name in s.hearers(s.interactions[event.interaction]):
        _tell(s, name, event, out)


def _announced(s: State, event: e.Announced, out: list[Effect]) -> None:
    for name in event.agents:
        _tell_plain(s, name, event, out)


def _owner_sees(s: State, event: Any, out: list[Effect]) -> None:
    _tell(s, s.interactions[event.interaction].owner, event, out)
    _inform(s, event, out)


def _known_better(s: State, event: e.Enriched, out: list[Effect]) -> None:
    for name in s.hearers(s.interactions[event.interaction]):
        _tell(s, name, event, out)


def _called(s: State, event: e.CustomerCalled, out: list[Effect]) -> None:
    _tell(s, event.agent, event, out)
    _inform(s, event, out, event.agent)


def _asking(s: State, event: e.ConsultStarted | e.ConsultAnswered, out: list[Effect]) -> None:
    _tell(s, s.interactions[event.interaction].owner, event, out)


def _conference(s: State, event: e.ConsultJoined, out: list[Effect]) -> None:
    """Each sees what they have: the owner the interaction, who was asked the consult."""
    item = s.interactions[event.interaction]
    _tell(s, item.owner, event, out)
    if event.agent:
        _tell_of(s, event.agent, event, s.interactions[event.consult], out)
    _inform(s, event, out, event.agent)


def _handed_over(s: State, event: e.ConsultCompleted, out: list[Effect]) -> None:
    _tell_plain(s, event.from_agent, event, out)
    _tell_of(s, event.agent, event, s.interactions[event.interaction], out, full=True)
    _inform(s, event, out, event.agent)


def _consult_over(s: State, event: e.ConsultEnded, out: list[Effect]) -> None:
    item = s.interactions.get(event.of)  # it may have ended just now, and been forgotten for the consult's own end
    if item is not None and item.state == ACTIVE:
        _tell_of(s, item.owner, event, item, out)
        out.append(Inform(item.born.channel, item.number, item.threads, event, "", s.now_ms))
    if event.interaction and event.agent:
        _tell_plain(s, event.agent, event, out)


def _tell_of(s: State, agent: str, event: Any, item: Interaction, out: list[Effect], full: bool = False) -> None:
    """About an interaction that the event does not name first."""
    to = s.agents[agent]
    out.append(Tell(agent, to.stream, event, interaction_view(s, item, to, full), None, s.now_ms))


def _former_sees(s: State, event: Any, out: list[Effect]) -> None:
    """Requeued, transferred, connect failed: it left the agent who had it."""
    former = event.from_agent if isinstance(event, e.Transferred) else event.agent
    if former:
        _tell_plain(s, former, event, out)
    _inform(s, event, out)


def _ended(s: State, event: e.InteractionEnded, out: list[Effect]) -> None:
    if event.agent:
        _tell_plain(s, event.agent, event, out)
    _inform(s, event, out, event.agent)


def _just_inform(s: State, event: Any, out: list[Effect]) -> None:
    _inform(s, event, out)


EFFECTS: dict[type[Event], Callable[[State, Any, list[Effect]], None]] = {
    e.InteractionArrived: _just_inform,
    e.CallbackOffered: _just_inform,
    e.Enriched: _known_better,
    e.Rerouted: _just_inform,
    e.CustomerCalled: _called,
    e.MessageAdded: _message,
    e.NoteAdded: _note,
    e.Announced: _announced,
    e.ConnectionConfirmed: _owner_sees,
    e.Held: _owner_sees,
    e.Resumed: _owner_sees,
    e.WorkSuspended: _owner_sees,
    e.WorkContinued: _owner_sees,
    e.ConnectFailed: _former_sees,
    e.Requeued: _former_sees,
    e.Transferred: _former_sees,
    e.ConsultStarted: _asking,
    e.ConsultAnswered: _asking,
    e.ConsultJoined: _conference,
    e.ConsultCompleted: _handed_over,
    e.ConsultEnded: _consult_over,
    e.InteractionEnded: _ended,
    e.Moved: _just_inform,
    e.WrapUpExtended: lambda s, ev, out: _tell(s, ev.agent, ev, out),
    e.WrapUpFinished: lambda s, ev, out: _tell_plain(s, ev.agent, ev, out),
    e.OfferMade: _offer_made,
    e.OfferAccepted: _accepted,
    e.OfferDeclined: _offer_over,
    e.OfferExpired: _offer_over,
    e.OfferWithdrawn: _offer_over,
    e.SessionOpened: lambda s, ev, out: _tell_state(s, ev.agent, ev, out),
    e.SessionClosed: lambda s, ev, out: _tell_state(s, ev.agent, ev, out),
    e.StateRequested: lambda s, ev, out: _tell_state(s, ev.agent, ev, out),
    e.StateChanged: lambda s, ev, out: _tell_state(s, ev.agent, ev, out),
    e.OutboundRetried: lambda s, ev, out: out.append(s.outbound[ev.outbound]),
}
