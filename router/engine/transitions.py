"""The legal moves of interactions and offers, as tables.

    queued --offer--> offered --accepted--> active --ended--> wrap-up --finished--> closed
       ^                 |                    |                  \\________________^
       |__declined/expired/withdrawn__________|  requeued, transferred, connect failed

What is deliberately absent: a state "assigned" or "reserved". A reservation exists only as an open offer with a
deadline (OF-6), so nothing can be reserved for ever. There is no way out of `closed`: a customer who comes back gets a
new interaction that follows the old one.

An offer is open until one of five things ends it. `connect-failed` comes after `accepted`: the offer was good, the
line to the agent was not.
"""

from __future__ import annotations

from router.engine import events as e
from router.errors import IllegalMove

QUEUED, OFFERED, ACTIVE, WRAP_UP, CLOSED = 1, 2, 3, 4, 5
STATE_NAMES = {QUEUED: "queued", OFFERED: "offered", ACTIVE: "active", WRAP_UP: "wrap-up", CLOSED: "closed"}
OPEN_STATES = (QUEUED, OFFERED, ACTIVE, WRAP_UP)

_ONE = {state: frozenset((state,)) for state in STATE_NAMES}
# With offers to several agents at once, losing one of them leaves the interaction offered.
_BACK = frozenset((QUEUED, OFFERED))
# Which of the two depends on the queue's wrap-up rule.
_OVER = frozenset((WRAP_UP, CLOSED))

NEXT: dict[tuple[int, type[e.Event]], frozenset[int]] = {
    (QUEUED, e.OfferMade): _ONE[OFFERED],
    (OFFERED, e.OfferMade): _ONE[OFFERED],
    (OFFERED, e.OfferAccepted): _ONE[ACTIVE],
    (OFFERED, e.OfferDeclined): _BACK,
    (OFFERED, e.OfferExpired): _BACK,
    (OFFERED, e.OfferWithdrawn): _BACK,
    # Shown to several at once and accepted by one: the others' offers are withdrawn after the fact.
    (ACTIVE, e.OfferWithdrawn): _ONE[ACTIVE],
    (QUEUED, e.InteractionEnded): _ONE[CLOSED],
    (ACTIVE, e.InteractionEnded): _OVER,
    (WRAP_UP, e.WrapUpFinished): _ONE[CLOSED],
    (WRAP_UP, e.WrapUpExtended): _ONE[WRAP_UP],
    (ACTIVE, e.Requeued): _ONE[QUEUED],
    # An operator opens it again: it was ended by mistake. A call that is really over runs out of its lease.
    (WRAP_UP, e.Requeued): _ONE[QUEUED],
    (ACTIVE, e.ConnectFailed): _ONE[QUEUED],
    (QUEUED, e.Transferred): _ONE[QUEUED],
    (ACTIVE, e.Transferred): _ONE[QUEUED],
    (QUEUED, e.CallbackRequested): _ONE[QUEUED],
    (OFFERED, e.CallbackRequested): _ONE[OFFERED],
    (QUEUED, e.CallbackKept): _ONE[QUEUED],
    (OFFERED, e.CallbackKept): _ONE[OFFERED],
    (ACTIVE, e.ConsultStarted): _ONE[ACTIVE],
    (ACTIVE, e.ConsultAnswered): _ONE[ACTIVE],
    (ACTIVE, e.ConsultJoined): _ONE[ACTIVE],
    (ACTIVE, e.ConsultCompleted): _ONE[ACTIVE],
    # Of the consult itself: nobody documents it.
    (QUEUED, e.ConsultEnded): _ONE[CLOSED],
    (ACTIVE, e.ConsultEnded): _ONE[CLOSED],
    (ACTIVE, e.Held): _ONE[ACTIVE],
    (ACTIVE, e.Resumed): _ONE[ACTIVE],
    **{(s, event): _ONE[s] for s in (ACTIVE, WRAP_UP) for event in (e.WorkSuspended, e.WorkContinued)},
    (ACTIVE, e.ConnectionConfirmed): _ONE[ACTIVE],
    (QUEUED, e.DrainBegan): _ONE[QUEUED],
    (QUEUED, e.DrainEnded): _ONE[QUEUED],
    (QUEUED, e.BandRaised): _ONE[QUEUED],
    (OFFERED, e.BandRaised): _ONE[OFFERED],
    (QUEUED, e.CoolOffEnded): _ONE[QUEUED],
    (OFFERED, e.CoolOffEnded): _ONE[OFFERED],
    (QUEUED, e.RequirementRelaxed): _ONE[QUEUED],
    (QUEUED, e.PreferredHeld): _ONE[QUEUED],
    (QUEUED, e.PreferredReleased): _ONE[QUEUED],
    (OFFERED, e.PreferredReleased): _ONE[OFFERED],
    (QUEUED, e.CallbackOffered): _ONE[QUEUED],
    (QUEUED, e.Moved): _ONE[QUEUED],
    (QUEUED, e.Rerouted): _ONE[QUEUED],
    (ACTIVE, e.CustomerCalled): _ONE[ACTIVE],
    (QUEUED, e.PriorityChanged): _ONE[QUEUED],
    (OFFERED, e.PriorityChanged): _ONE[OFFERED],
    **{(s, e.LeaseRenewed): _ONE[s] for s in (QUEUED, OFFERED, ACTIVE)},
    **{(s, event): _ONE[s] for s in OPEN_STATES for event in (e.MessageAdded, e.Enriched)},
    **{(s, event): _ONE[s] for s in STATE_NAMES for event in (e.NoteAdded, e.CopyAsked)},
    **{(s, e.CopyDue): _ONE[s] for s in (WRAP_UP, CLOSED)},
}

OPEN, ACCEPTED, DECLINED, EXPIRED, WITHDRAWN, CONNECT_FAILED = (
    "open",
    "accepted",
    "declined",
    "expired",
    "withdrawn",
    "connect-failed",
)
OFFER_NEXT: dict[tuple[str, type[e.Event]], str] = {
    (OPEN, e.OfferAccepted): ACCEPTED,
    (OPEN, e.OfferDeclined): DECLINED,
    (OPEN, e.OfferExpired): EXPIRED,
    (OPEN, e.OfferWithdrawn): WITHDRAWN,
    (ACCEPTED, e.ConnectFailed): CONNECT_FAILED,
}


# What people ask for, where the event has another name.
ACTS: dict[type[e.Event], str] = {
    e.InteractionEnded: "to end it",
    e.Transferred: "a transfer",
    e.Requeued: "to put it back into its queue",
    e.Held: "hold",
    e.Resumed: "to resume it",
    e.ConsultStarted: "a consult",
    e.CallbackRequested: "a callback",
    e.CustomerCalled: "to call the customer",
    e.OfferMade: "an offer",
    e.ConnectFailed: "to report that it was not connected",
    e.ConnectionConfirmed: "to report that it is connected",
    e.PriorityChanged: "another priority",
    e.RequirementRelaxed: "to relax what it asks for",
    e.WrapUpExtended: "more wrap-up",
    e.WrapUpFinished: "to finish wrap-up",
}


def demand(number: int, state: int, event: type[e.Event]) -> None:
    """Refuse what is not a legal move. Raises IllegalMove with the state that it is in."""
    if (state, event) not in NEXT:
        raise IllegalMove(f"i-{number} is {STATE_NAMES[state]}: {ACTS.get(event, 'that')} is not possible from there")
