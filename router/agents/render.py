"""What an agent is told of an event: the table from the journal's vocabulary to the link's.

Every event type stands either in TABLE or in NOT_TOLD, and a test says so. A type that is not told never has a number
in an agent's stream, because a number without a message would look like a loss to the client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from router.agents import messages as m
from router.engine import events as e
from router.engine.views import AgentView, InteractionView, NoteView, OfferView, Tell, brief, interaction_id, offer_id

Render = Callable[[Any, Tell], m.Numbered]


def render(news: Tell) -> m.Numbered:
    """The message of this stream number. Raises KeyError for an event that is not told: a bug in the effects."""
    return TABLE[type(news.event)](news.event, news)


def welcome(view: AgentView, session: str, now_ms: int) -> m.Welcome:
    """Everything, as of message `view.stream`."""
    return m.Welcome(
        seq=view.stream,
        agent=view.agent,
        resumed=False,
        session=session,
        server_time_ms=now_ms,
        name=view.name,
        state=view.state,
        reason=view.reason,
        pending=view.pending,
        load=view.load,
        offers=tuple(OfferView(o.offer, brief(o.interaction), o.expires_at_ms) for o in view.offers),
        interactions=view.interactions,
        warnings=view.warnings or UNSET,
    )


def _interaction(news: Tell) -> InteractionView:
    assert news.interaction is not None, f"{type(news.event).__name__} is told with its interaction"
    return news.interaction


def _offer(event: e.OfferMade, news: Tell) -> m.Numbered:
    return m.Offer(
        seq=news.stream,
        offer=offer_id(event.offer),
        interaction=_interaction(news),
        expires_at_ms=event.expires_at_ms,
        cause=event.cause,
    )


def _withdrawn(reason: str) -> Render:
    def render(event: e.OfferWithdrawn | e.OfferExpired | e.OfferDeclined, news: Tell) -> m.Numbered:
        return m.OfferWithdrawn(
            seq=news.stream,
            offer=offer_id(event.offer),
            interaction=interaction_id(event.interaction),
            reason=reason or getattr(event, "reason", ""),
        )

    return render


def _assigned(event: e.OfferAccepted, news: Tell) -> m.Numbered:
    return m.Assigned(seq=news.stream, offer=offer_id(event.offer), interaction=_interaction(news))


def _message(event: e.MessageAdded, news: Tell) -> m.Numbered:
    return m.Message(
        seq=news.stream,
        interaction=interaction_id(event.interaction),
        author=event.author,
        text=event.message.text,
        agent=event.agent,
        at_ms=news.at_ms,
        attachments=tuple(map(m.Attachment.of, event.message.blobs)),
        sender=event.message.sender,
    )


def _ended(event: e.InteractionEnded, news: Tell) -> m.Numbered:
    return m.InteractionEnded(
        seq=news.stream,
        interaction=interaction_id(event.interaction),
        reason=event.reason,
        wrap_up=event.wrap_up,
        wrap_up_until_ms=event.wrap_up_until_ms,
        disposition=event.disposition,
    )


def _gone(reason: str) -> Render:
    """The interaction goes on, but no longer with this agent."""

    def render(event: Any, news: Tell) -> m.Numbered:
        return m.InteractionEnded(seq=news.stream, interaction=interaction_id(event.interaction), reason=reason)

    return render


def _updated(cause: str) -> Render:
    def render(event: Any, news: Tell) -> m.Numbered:
        return m.InteractionUpdated(seq=news.stream, interaction=_interaction(news), cause=cause)

    return render


def _note(event: e.NoteAdded, news: Tell) -> m.Numbered:
    note = NoteView(event.by, news.at_ms, event.text)
    return m.InteractionUpdated(seq=news.stream, interaction=_interaction(news), cause="note", note=note)


def _announced(event: e.Announced, news: Tell) -> m.Numbered:
    return m.Announcement(seq=news.stream, text=event.text, by=event.by, at_ms=news.at_ms)


def _handed_over(event: e.ConsultCompleted, news: Tell) -> m.Numbered:
    """To who had it, and to who has it now."""
    if news.agent == event.from_agent:
        return m.InteractionEnded(seq=news.stream, interaction=interaction_id(event.interaction), reason="transferred")
    settled = interaction_id(event.consult)
    return m.Assigned(seq=news.stream, offer="", interaction=_interaction(news), consult=settled)


def _consult_over(event: e.ConsultEnded, news: Tell) -> m.Numbered:
    """To the owner, with the interaction; to who was asked, without."""
    if news.interaction is None:
        return m.InteractionEnded(seq=news.stream, interaction=interaction_id(event.interaction), reason=event.reason)
    view = news.interaction
    return m.InteractionUpdated(seq=news.stream, interaction=view, cause="consult-ended", reason=event.reason)


def _state(event: Any, news: Tell) -> m.Numbered:
    view = news.state
    assert view is not None, f"{type(event).__name__} is told with the agent's state"
    return m.State(seq=news.stream, state=view.state, reason=view.reason, pending=view.pending, load=view.load)


TABLE: dict[type[e.Event], Render] = {
    e.OfferMade: _offer,
    e.OfferAccepted: _assigned,
    e.OfferExpired: _withdrawn("expired"),
    e.OfferDeclined: _withdrawn("declined"),
    e.OfferWithdrawn: _withdrawn(""),
    e.MessageAdded: _message,
    e.InteractionEnded: _ended,
    e.Requeued: _gone("requeued"),
    e.Transferred: _gone("transferred"),
    e.ConnectFailed: _gone("connect-failed"),
    e.WrapUpFinished: _gone("wrap-up-finished"),
    e.ConnectionConfirmed: _updated("connected"),
    e.Held: _updated("held"),
    e.Resumed: _updated("resumed"),
    e.ConsultStarted: _updated("consult-started"),
    e.ConsultAnswered: _updated("consult-answered"),
    e.ConsultJoined: _updated("conference"),
    e.ConsultCompleted: _handed_over,
    e.ConsultEnded: _consult_over,
    e.WorkSuspended: _updated("suspended"),
    e.WorkContinued: _updated("continued"),
    e.Enriched: _updated("enriched"),
    e.CustomerCalled: _updated("called"),
    e.NoteAdded: _note,
    e.Announced: _announced,
    e.PriorityChanged: _updated("priority-changed"),
    e.WrapUpExtended: _updated("wrap-up-extended"),
    e.SessionOpened: _state,
    e.SessionClosed: _state,
    e.StateRequested: _state,
    e.StateChanged: _state,
}

# Nothing that an agent's client could show: the engine's own housekeeping, and what only operators are told.
NOT_TOLD: frozenset[type[e.Event]] = frozenset(
    {
        e.Configured,
        e.Restarted,
        e.AlertRaised,
        e.InteractionArrived,
        e.LeaseRenewed,
        e.GraceEnded,
        e.CoolOffEnded,
        e.CalendarTurned,
        e.EmergencyDeclared,
        e.EmergencyEnded,
        e.QueueDeserted,
        e.QueueStaffed,
        e.LendingChanged,
        e.Moved,
        e.Rerouted,
        e.NumbersAssigned,
        e.LeadGiven,
        e.CustomersMerged,
        e.CustomerDescribed,
        e.CustomerSplit,
        e.DrainBegan,
        e.DrainEnded,
        e.CallbackRequested,
        e.CallbackKept,
        e.CallbackDue,
        e.CallbackPostponed,
        e.CallbackRests,
        e.CallbackEnded,
        e.BandRaised,
        e.RequirementRelaxed,
        e.PreferredHeld,
        e.PreferredReleased,
        e.CallbackOffered,
        e.CopyAsked,
        e.CopyDue,
        e.ServabilityChanged,
        e.UnservableDue,
        e.OutboundSettled,
        e.OutboundFailed,
        e.OutboundRetried,
    }
)
