"""Everything that can have happened: the journal's only vocabulary.

Rules of this file, because its records will be read in ten years:
- A name is a fact in the past tense; a unit comes last in a field's name.
- Records are arrays tagged with the class's tag. A new field goes to the end and has a default; no field is removed,
  moved or given another meaning. What must change its meaning gets a new event.
- An event holds what was decided, never what it takes to decide again: a replay reads no rules and no clock.
- `by` names who did it (an agent, "operator:NAME", "" for the engine), `why` their reason: this is the audit (OB-5).

The time of an event is that of its record (`at_ms`, Unix milliseconds on the engine's clock).
"""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import Struct

from router.engine.requirements import Node


class Blob(Struct, array_like=True, frozen=True, gc=False):
    """Content kept outside the journal, named by its SHA-256 in hexadecimal."""

    digest: str
    size: int  # bytes
    media_type: str = "application/octet-stream"
    name: str = ""


class Message(Struct, array_like=True, frozen=True, gc=False):
    """Something said: short text inline, anything longer as blobs."""

    text: str = ""
    blobs: tuple[Blob, ...] = ()
    external_id: str = ""  # what the channel calls it, where replies refer to it (a Message-ID)
    sender: str = ""  # the address it came from, where several may write in one conversation; "" where none can


class Event(Struct, array_like=True, frozen=True, gc=False):
    """Base of all events. Events form no cycles, so the garbage collector need not look at the many that are kept."""


# --- configuration ----------------------------------------------------------------------------------------------------


class Configured(Event, frozen=True, tag="configured"):
    """From here on the engine decides by this configuration (`config.to_bytes`)."""

    version: int
    document: bytes
    by: str = ""


class Restarted(Event, frozen=True, tag="restarted"):
    """A process took over this journal: every session of the process before it is gone."""

    by: str = ""


class AlertRaised(Event, frozen=True, tag="alert-raised"):
    """Something that a person should look at; `subject` is the queue, agent or interaction it is about."""

    code: str
    subject: str
    detail: str = ""


# --- interactions -----------------------------------------------------------------------------------------------------


class InteractionArrived(Event, frozen=True, tag="arrived"):
    """A new interaction, with all that its channel told of it and what the routing plan decided."""

    interaction: int
    channel: str
    threads: tuple[str, ...]  # names by which the channel refers to it; the first is its own
    customer: str
    identities: tuple[str, ...]  # "tel:+15550100", "mailto:a@b.example", "visitor:...", "ref:..."
    sender: str
    recipient: str
    name: str
    subject: str
    language: str
    attributes: dict[str, str]
    queue: str
    requirement: Node | None  # asked for on top of the queue's
    band: str  # "" : the queue's
    weight: float  # 0 : the queue's
    target_ms: int  # 0 : the queue's
    enqueued_at_ms: int  # where its waiting time starts: never later than the record's time
    lease_ms: int  # 0 : none
    rule: str = ""
    message: Message | None = None
    follows: int = 0  # the closed interaction that this one continues
    direction: str = "inbound"


class Enriched(Event, frozen=True, tag="enriched"):
    """More is known of it: attributes that it did not have, and its language if that is not ""."""

    interaction: int
    attributes: dict[str, str]
    language: str = ""


class Rerouted(Event, frozen=True, tag="rerouted"):
    """By what is known by now the routing plan puts it elsewhere, with the time that it has waited."""

    interaction: int
    queue: str
    requirement: Node | None
    band: str
    weight: float
    target_ms: int
    rule: str = ""


class MessageAdded(Event, frozen=True, tag="message"):
    """One more thing said in an interaction: `author` is "customer", "agent" or "system"."""

    interaction: int
    author: str
    message: Message
    agent: str = ""
    threads: tuple[str, ...] = ()  # further names of the interaction that came with it


class NoteAdded(Event, frozen=True, tag="note"):
    interaction: int
    text: str
    by: str


class LeaseRenewed(Event, frozen=True, tag="lease-renewed"):
    """Unless it is spoken of by then, it is over; 0: whatever is heard of it."""

    interaction: int
    until_ms: int


class ConnectionConfirmed(Event, frozen=True, tag="connected"):
    """The channel's gateway says that customer and agent are joined."""

    interaction: int


class CustomerCalled(Event, frozen=True, tag="customer-called"):
    """Its agent waits for the customer to come, until `until_ms` if that is not 0. `calls`: so often by this agent."""

    interaction: int
    agent: str
    until_ms: int
    calls: int


class ConnectFailed(Event, frozen=True, tag="connect-failed"):
    """Accepted, but agent and customer could not be joined: the interaction waits again, and it is nobody's miss.

    `in_a_row`: how many of this agent's have failed since one succeeded, this one included; 0: it says nothing of them.
    """

    interaction: int
    agent: str
    reason: str = ""
    in_a_row: int = 0


class Held(Event, frozen=True, tag="held"):
    interaction: int
    agent: str


class Resumed(Event, frozen=True, tag="resumed"):
    interaction: int
    agent: str


class WorkSuspended(Event, frozen=True, tag="suspended"):
    """Put aside by its agent for interaction `by_interaction`, which may interrupt it. It takes no room meanwhile."""

    interaction: int
    agent: str
    by_interaction: int


class WorkContinued(Event, frozen=True, tag="continued"):
    """Its agent has room for it again, and takes it up before anything new."""

    interaction: int
    agent: str


class DrainBegan(Event, frozen=True, tag="drain-began"):
    """The agent is offered nothing that would keep this out until they have room for it, or until `until_ms`.

    An agent who held a place for it before no longer does. It ends with `DrainEnded`, and when the interaction no
    longer waits there, the agent is given anything else or is gone, or the configuration changes.
    """

    interaction: int
    agent: str
    until_ms: int


class DrainEnded(Event, frozen=True, tag="drain-ended"):
    """`reason` is timeout, or overtaken (by a more urgent band)."""

    interaction: int
    agent: str
    reason: str


class Requeued(Event, frozen=True, tag="requeued"):
    """Back to waiting with its original time. `lifted` puts it into the first band."""

    interaction: int
    reason: str
    agent: str  # who had it
    lifted: bool = False
    by: str = ""
    why: str = ""
    passed_over: bool = False  # that agent is skipped, as after a declined offer


class Transferred(Event, frozen=True, tag="transferred"):
    """Given on (blind): it waits with its original time for what `queue` and `requirement` now ask."""

    interaction: int
    queue: str
    requirement: Node | None
    from_agent: str
    by: str
    why: str = ""


class ConsultStarted(Event, frozen=True, tag="consult-started"):
    """The owner asks somebody and stays the owner.

    A colleague is asked by `consult`, an interaction of its own between the two, which waits for them as any other. The
    outside is asked at `address`; then `consult` is 0. With `until_ms` nobody is waited for any longer than that.
    """

    interaction: int
    consult: int
    agent: str  # who asks
    queue: str
    requirement: Node | None
    named: str = ""  # the one agent who is asked, if it is one
    address: str = ""
    until_ms: int = 0
    why: str = ""


class ConsultAnswered(Event, frozen=True, tag="consult-answered"):
    """Who was asked is there; `agent` is "" for the outside."""

    interaction: int
    consult: int
    agent: str


class ConsultJoined(Event, frozen=True, tag="consult-joined"):
    """A conference from here on: customer, owner and who was asked."""

    interaction: int
    consult: int
    agent: str  # who was asked
    by: str


class ConsultCompleted(Event, frozen=True, tag="consult-completed"):
    """The colleague who was asked is the owner from here on, and the consult is over.

    `reason` is completed (the owner gave it), or owner-lost (they did not come back to a conference).
    """

    interaction: int
    consult: int
    from_agent: str
    agent: str
    reason: str


class ConsultEnded(Event, frozen=True, tag="consult-ended"):
    """The owner has the interaction `of` alone again, or it is over.

    `interaction` is the consult, 0 where it asked the outside or was ended by other means before. Reasons: cancelled
    (by the owner), left (by who was asked), declined, missed, nobody (came in time), agent-lost, connect-failed, closed
    (by an operator), over (the owner no longer has the interaction).
    """

    interaction: int
    of: int
    agent: str  # who was asked, once they had answered
    reason: str
    by: str = ""
    why: str = ""


class CallbackRequested(Event, frozen=True, tag="callback-requested"):
    """The customer is to be called at `to`, by the gateway whose names begin with `line`.

    A caller on the line keeps the place of `interaction`. Otherwise that is 0, `arrival` is what each attempt is like,
    and the first one begins at `due_ms`, with the time `place_ms` where they have waited in another contact until now.
    `until_ms` 0: at any time later.
    """

    interaction: int
    callback: int
    line: str
    to: str
    first: str  # agent or customer: whose telephone rings first
    arrival: InteractionArrived | None
    due_ms: int
    until_ms: int
    by: str = ""
    place_ms: int = 0


class CallbackKept(Event, frozen=True, tag="callback-kept"):
    """The caller hung up and keeps the place; `thread` is the name of the call that is to be made."""

    interaction: int
    callback: int
    thread: str


class CallbackRests(Event, frozen=True, tag="callback-rests"):
    """The customer came by themselves, as the interaction of this number: while nobody has that and it is not over,
    nobody calls. 0: that is past."""

    callback: int
    came_as: int


class CallbackDue(Event, frozen=True, tag="callback-due"):
    """One more attempt waits for an agent, as `interaction`, with the time at which the customer was first enqueued."""

    interaction: int
    callback: int
    thread: str


class CallbackPostponed(Event, frozen=True, tag="callback-postponed"):
    """The customer was not reached, or came by themselves and was not served, for this reason; the next attempt begins
    at `due_ms`."""

    callback: int
    due_ms: int
    reason: str


class CallbackEnded(Event, frozen=True, tag="callback-ended"):
    """No more attempts: reached, answered (before they hung up), completed, closed, transferred, exhausted, expired,
    cancelled, merged (the customer came by themselves and an agent has them), no-queue."""

    callback: int
    reason: str
    by: str = ""
    why: str = ""


class CopyAsked(Event, frozen=True, tag="copy-asked"):
    """The customer wants a copy of what is said when it is over, by this channel, to this address."""

    interaction: int
    channel: str
    address: str
    sender: str = ""  # the address of ours it is to come from


class CopyDue(Event, frozen=True, tag="copy-due"):
    """It is over, and the copy is on its way (`Outbound`)."""

    interaction: int


class PriorityChanged(Event, frozen=True, tag="priority-changed"):
    interaction: int
    band: str
    weight: float
    target_ms: int
    by: str
    why: str = ""


class InteractionEnded(Event, frozen=True, tag="ended"):
    """The contact is over. With `wrap_up` its agent documents it, until `wrap_up_until_ms` if that is not 0.

    Reasons: completed, customer-left, abandoned (left before an agent had it), closed (by an operator), unconfirmed
    (its lease ran out), transferred (to an outside address), callback (the customer will be called instead), or why
    its queue let it wait no longer (`admission.CAUSES`). `refused`: it had only just come, and whoever brought it
    is answered so.
    """

    interaction: int
    reason: str
    agent: str = ""
    wrap_up: bool = False
    wrap_up_until_ms: int = 0
    disposition: str = ""
    notes: str = ""
    by: str = ""
    why: str = ""
    address: str = ""  # where a transfer to the outside goes
    told: str = ""  # what the customer is told
    refused: bool = False


class Moved(Event, frozen=True, tag="moved"):
    """A rule of its queue has it wait in another one, with the time and the requirement of its own that it had."""

    interaction: int
    queue: str
    cause: str


class WrapUpExtended(Event, frozen=True, tag="wrap-up-extended"):
    interaction: int
    agent: str
    until_ms: int


class WrapUpFinished(Event, frozen=True, tag="wrap-up-finished"):
    """`reason` is finished, timeout, closed or agent-lost."""

    interaction: int
    agent: str
    reason: str
    disposition: str = ""
    notes: str = ""


# --- customers --------------------------------------------------------------------------------------------------------


class CustomersMerged(Event, frozen=True, tag="customers-merged"):
    """What was known as the customer `other` is the customer `customer` from here on."""

    customer: str
    other: str
    by: str
    why: str = ""


class CustomerSplit(Event, frozen=True, tag="customer-split"):
    """`identity` no longer leads to `customer`, and is a customer of its own."""

    identity: str
    customer: str
    by: str
    why: str = ""


class CustomerDescribed(Event, frozen=True, tag="customer-described"):
    """Somebody wrote these texts on the customer's card; "" takes one away (`cards`)."""

    customer: str
    fields: dict[str, str]
    by: str


# --- offers -----------------------------------------------------------------------------------------------------------


class OfferMade(Event, frozen=True, tag="offer-made"):
    """`cause` is routed, pick (the agent took it), assign (a supervisor gave it) or assign-override."""

    offer: int
    interaction: int
    agent: str
    expires_at_ms: int
    cause: str = "routed"
    by: str = ""
    why: str = ""


class OfferAccepted(Event, frozen=True, tag="offer-accepted"):
    offer: int
    interaction: int
    agent: str


class OfferDeclined(Event, frozen=True, tag="offer-declined"):
    offer: int
    interaction: int
    agent: str
    reason: str = ""


class OfferExpired(Event, frozen=True, tag="offer-expired"):
    offer: int
    interaction: int
    agent: str


class OfferWithdrawn(Event, frozen=True, tag="offer-withdrawn"):
    """Taken back through no fault of the agent: customer-left, taken, agent-paused, session-lost, no-longer-fits ..."""

    offer: int
    interaction: int
    agent: str
    reason: str
    by: str = ""
    why: str = ""
    passed_over: bool = False  # that agent is skipped, as after a declined offer


class CoolOffEnded(Event, frozen=True, tag="cool-off-ended"):
    """The agent may be offered this interaction again."""

    interaction: int
    agent: str


class BandRaised(Event, frozen=True, tag="band-raised"):
    """It has waited as long as its band allows and now stands in the first one."""

    interaction: int


class RequirementRelaxed(Event, frozen=True, tag="relaxed"):
    """It has taken the first `step` steps of its relaxation plan, and waits on in its place.

    `cause` is after, share, expected-wait, nobody-signed-in, nobody-ready, unservable (the queue's policy for that), or
    operator.
    """

    interaction: int
    step: int
    cause: str
    by: str = ""
    why: str = ""


class PreferredHeld(Event, frozen=True, tag="preferred-held"):
    """It waits for these agents alone, in this order, until `until_ms`; 0: without an end.

    `required`: through their absence and refusals. `why` is last-agent, "attribute NAME", "rule NAME" or asked.
    """

    interaction: int
    agents: tuple[str, ...]
    until_ms: int
    required: bool
    why: str


class PreferredReleased(Event, frozen=True, tag="preferred-released"):
    """It waits for everybody who fits from here on, in its place.

    `reason` is timeout, agent-gone, agent-refused, agent-busy (for longer than it was to be held), relaxed or operator.
    """

    interaction: int
    reason: str
    by: str = ""
    why: str = ""


class CallbackOffered(Event, frozen=True, tag="callback-offered"):
    """The channel is to ask the customer whether to call them back.

    `cause` is relaxed, unservable, or why its queue would not have it wait (`admission.CAUSES`). `told`: what they are
    told. `only_just`: it has only just come, and whoever brought it is answered so.
    """

    interaction: int
    cause: str
    told: str = ""
    only_just: bool = False


class ServabilityChanged(Event, frozen=True, tag="servability"):
    """Something waits in this queue that nobody who is signed in could take.

    `servable` is signed-out (some could who are not there), nobody (none could at all), or "": that is over, because
    somebody signed in or nothing waits for it any more.
    """

    queue: str
    channel: str
    requirement: Node
    servable: str


class UnservableDue(Event, frozen=True, tag="unservable-due"):
    """It has been so for as long as the queue's policy waits. `number` is that of the record by which it began."""

    number: int


# --- calendars and queues ---------------------------------------------------------------------------------------------


class CalendarTurned(Event, frozen=True, tag="calendar-turned"):
    """By its hours the calendar is open, or closed, until `next_ms` (0: for as long as anybody can see)."""

    calendar: str
    is_open: bool
    next_ms: int


class EmergencyDeclared(Event, frozen=True, tag="emergency-declared"):
    """Closed whatever the hours say, until somebody ends it, or until `until_ms` if that is not 0."""

    calendar: str
    until_ms: int
    by: str
    why: str = ""


class EmergencyEnded(Event, frozen=True, tag="emergency-ended"):
    """`by` is empty where it was declared until now."""

    calendar: str
    by: str = ""
    why: str = ""


class NumbersAssigned(Event, frozen=True, tag="numbers-assigned"):
    """This log is that of a routing domain: its numbers begin behind those of the domains before it."""

    domain: int


class LeadGiven(Event, frozen=True, tag="lead-given"):
    """An operator has given this routing domain to the engine of that name."""

    to: str
    by: str = ""
    why: str = ""


class QueueDeserted(Event, frozen=True, tag="queue-deserted"):
    """Nobody who meets its requirement has been signed in for as long as the queue allows."""

    queue: str


class QueueStaffed(Event, frozen=True, tag="queue-staffed"):
    """Somebody is there again."""

    queue: str


class LendingChanged(Event, frozen=True, tag="lending-changed"):
    """From here on the agents of queue `lender` help out in `queue`, or do so no more.

    `cause` is needed, no-need (any more), or none-to-spare.
    """

    queue: str
    lender: str
    is_open: bool
    cause: str


# --- agents -----------------------------------------------------------------------------------------------------------


class SessionOpened(Event, frozen=True, tag="session-opened"):
    agent: str
    session: str


class SessionClosed(Event, frozen=True, tag="session-closed"):
    agent: str
    session: str
    reason: str = ""


class GraceEnded(Event, frozen=True, tag="grace-ended"):
    """An agent with no session did not come back in time."""

    agent: str


class StateRequested(Event, frozen=True, tag="state-requested"):
    """Asked for while at work: no new offers from now on; the state changes when the work ends."""

    agent: str
    state: str
    reason: str = ""
    by: str = ""


class Announced(Event, frozen=True, tag="announced"):
    """Told to these agents, who were signed in. It changes nothing."""

    agents: tuple[str, ...]
    text: str
    by: str


class StateChanged(Event, frozen=True, tag="state-changed"):
    """`state` is ready or not_ready; `until_ms` where the engine will make the agent ready again by itself."""

    agent: str
    state: str
    reason: str = ""
    by: str = ""
    until_ms: int = 0


# --- effects ----------------------------------------------------------------------------------------------------------


class OutboundSettled(Event, frozen=True, tag="outbound-settled"):
    """What the outside had to be told is told (`delivered`), or an operator gave it up (`discarded`)."""

    outbound: int
    outcome: str
    by: str = ""


class OutboundFailed(Event, frozen=True, tag="outbound-failed"):
    """Given up after its last attempt: a dead letter that an operator can retry or discard."""

    outbound: int
    error: str


class OutboundRetried(Event, frozen=True, tag="outbound-retried"):
    outbound: int
    by: str = ""


AnyEvent = (
    Configured
    | Restarted
    | AlertRaised
    | InteractionArrived
    | Enriched
    | Rerouted
    | MessageAdded
    | NoteAdded
    | LeaseRenewed
    | ConnectionConfirmed
    | CustomerCalled
    | CustomersMerged
    | CustomerDescribed
    | CustomerSplit
    | ConnectFailed
    | Held
    | Resumed
    | WorkSuspended
    | WorkContinued
    | DrainBegan
    | DrainEnded
    | Requeued
    | Transferred
    | ConsultStarted
    | ConsultAnswered
    | ConsultJoined
    | ConsultCompleted
    | ConsultEnded
    | CallbackRequested
    | CallbackKept
    | CallbackDue
    | CallbackPostponed
    | CallbackRests
    | CallbackEnded
    | CopyAsked
    | CopyDue
    | PriorityChanged
    | InteractionEnded
    | Moved
    | WrapUpExtended
    | WrapUpFinished
    | OfferMade
    | OfferAccepted
    | OfferDeclined
    | OfferExpired
    | OfferWithdrawn
    | CoolOffEnded
    | BandRaised
    | RequirementRelaxed
    | PreferredHeld
    | PreferredReleased
    | CallbackOffered
    | ServabilityChanged
    | UnservableDue
    | CalendarTurned
    | EmergencyDeclared
    | EmergencyEnded
    | QueueDeserted
    | QueueStaffed
    | LendingChanged
    | SessionOpened
    | SessionClosed
    | GraceEnded
    | StateRequested
    | StateChanged
    | Announced
    | OutboundSettled
    | OutboundFailed
    | OutboundRetried
    | NumbersAssigned
    | LeadGiven
)
EVENT_TYPES: tuple[type[Event], ...] = get_args(AnyEvent)


class Record(Struct, array_like=True, frozen=True, gc=False):
    """One entry of the journal. `key` names the command that caused it, on the first record of that command only."""

    at_ms: int
    key: str
    event: AnyEvent


AgentState = Literal["ready", "not_ready"]
