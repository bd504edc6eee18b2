"""What the engine shows of its state: plain copies that nobody can change it through.

`InteractionView` is the `interaction` object of the public contract. Ids are numbers inside and short words outside:
interaction 4711 is "i-4711", offer 12 is "o-12".
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from router.engine.events import AnyEvent, Message
from router.errors import NotFound


def interaction_id(number: int) -> str:
    return f"i-{number}"


def callback_id(number: int) -> str:
    return f"c-{number}"


def offer_id(number: int) -> str:
    return f"o-{number}"


def number_of(text: str, kind: str) -> int:
    """The number in a public id; `kind` is "i", "o" or "c". Raises NotFound for anything else."""
    prefix, _, digits = text.partition("-")
    if prefix != kind or not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise NotFound(f"{text[:40]!r} is not an id of the form {kind}-123")
    return int(digits)


class Attachment(Struct, frozen=True):
    """A blob as outsiders see it: with the names of its fields, where the journal has compact rows."""

    digest: str
    size: int  # bytes
    media_type: str
    name: str


def attachments_of(message: Message) -> tuple[Attachment, ...]:
    return tuple(Attachment(b.digest, b.size, b.media_type, b.name) for b in message.blobs)


class MessageView(Struct, frozen=True, omit_defaults=True):
    author: str  # customer, agent, system
    at_ms: int
    text: str = ""
    agent: str = ""
    attachments: tuple[Attachment, ...] = ()
    external_id: str = ""  # what the channel calls it
    sender: str = ""  # the address that this message came from, where the channel tells; it may not be the customer's
    new: str = ""  # of a mail's text what it does not quote, without its signature
    html: str = ""  # a mail's own HTML, made safe to show


class NoteView(Struct, frozen=True):
    by: str
    at_ms: int
    text: str


class ConsultView(Struct, frozen=True, kw_only=True):
    """A consult as both sides see it. `state` is asking (nobody has answered), consulting or conference."""

    id: str  # of the consult; "" where the outside is asked
    of: str  # what it is about
    role: str  # of whoever looks: owner, consulted, or "" for anybody else
    state: str
    owner: str
    agent: str  # who was asked, once they have answered
    address: str  # the outside that was asked
    until_ms: int  # somebody must have answered by then; 0: no limit, or somebody has
    messages: tuple[MessageView, ...] | UnsetType = UNSET  # between the two: no customer sees them


class InteractionView(Struct, frozen=True, gc=False):
    """One interaction as outsiders see it. Times are Unix milliseconds; 0 and "" where there is nothing to say."""

    # `lookups.interaction_view`, which makes nearly all, goes by the order of these; everybody else names them.

    id: str
    channel: str
    direction: str
    state: str  # queued, offered, active, wrap-up, closed
    queue: str
    customer: str
    sender: str
    recipient: str
    name: str
    subject: str
    language: str
    enqueued_at_ms: int
    requirement: object  # the written form
    matched_skills: tuple[str, ...]
    attributes: dict[str, str]
    agent: str = ""
    on_hold: bool = False
    connected: bool = False
    wrap_up_until_ms: int = 0
    band: str = ""
    reason: str = ""  # why it ended
    disposition: str = ""
    follows: str = ""
    misses: int = 0
    declines: int = 0
    connect_failures: int = 0
    calls: int = 0  # so often was a customer called who has to come, and has not come yet
    show_by_ms: int = 0  # they are waited for until then
    suspended: bool = False  # put aside by its agent for something that may interrupt it
    suspended_since_ms: int = 0
    suspended_ms: int = 0  # how long it was suspended before, in the hands of this agent
    messages: tuple[MessageView, ...] = ()
    notes: tuple[NoteView, ...] = ()
    consult: ConsultView | UnsetType = UNSET  # there only while there is one
    # hold, consult: what the gateway that brought it cannot do and would refuse. Left out where there is no such limit.
    unable: tuple[str, ...] | UnsetType = UNSET


def brief(view: InteractionView) -> InteractionView:
    """Without what was said and noted: those keys are absent on the wire, so that nobody takes them for empty."""
    consult = view.consult
    if consult is not UNSET:
        consult = replace(consult, messages=UNSET)
    return replace(view, messages=UNSET, notes=UNSET, consult=consult)


class CardChange(Struct, frozen=True):
    at_ms: int
    by: str
    field: str
    before: str  # "": it was not there
    after: str  # "": it was taken away


class CardView(Struct, frozen=True, kw_only=True):
    """What people wrote of a customer. `version` is named by whoever changes it; the latest change is first."""

    version: int = 0
    fields: dict[str, str] = {}
    changes: tuple[CardChange, ...] = ()


class CustomerView(Struct, frozen=True, kw_only=True):
    """Who is one customer: their identities, their contacts at hand (the latest first) and what operators said."""

    customer: str
    identities: tuple[str, ...]
    interactions: tuple[str, ...]
    last_agent: str = ""
    history: tuple[dict[str, object], ...] = ()
    card: CardView = CardView()


class CallbackView(Struct, frozen=True, kw_only=True):
    """A customer who is to be called. `state` is on-line (they have not hung up yet), scheduled, waiting, calling, or
    resting (they came by themselves, as `interaction`, and wait there)."""

    callback: str
    state: str
    to: str
    first: str  # agent or customer
    customer: str
    queue: str
    interaction: str  # the attempt that waits or is made; "" between two
    enqueued_at_ms: int  # where the place comes from; 0: it has none before its first attempt
    due_at_ms: int  # of the next attempt; 0: one waits or is made
    until_ms: int  # no attempt after it; 0: at any time
    attempts: int


class OfferView(Struct, frozen=True):
    offer: str
    interaction: InteractionView
    expires_at_ms: int


class AgentView(Struct, frozen=True, kw_only=True):
    """An agent as operators and the agent's own client see them."""

    agent: str
    name: str
    state: str  # ready, not_ready
    reason: str
    pending: str  # the state that was asked for while at work, or ""
    since_ms: int
    sessions: int
    load: dict[str, int]  # by channel: open offers, work and wrap-up
    offers: tuple[OfferView, ...] = ()
    interactions: tuple[InteractionView, ...] = ()
    stream: int = 0  # the number of the last message of this agent's stream
    warnings: tuple[str, ...] = ()  # what keeps them from being connected with contacts that they may be offered


class LoanView(Struct, frozen=True):
    """Whether the agents of another queue help out, and why."""

    lender: str
    open: bool
    since_ms: int  # of the last change; 0: there was none
    why: str


class DayView(Struct, frozen=True, kw_only=True):
    """What became of a queue's contacts since a moment: of each, how its first wait ended."""

    since_ms: int
    answered: int
    in_target: int  # of the answered: within their target
    abandoned: int  # the customer left before anybody had accepted
    late: int  # of the abandoned: after their target
    short: int  # of the abandoned: sooner than `figures.short`
    # The share of contacts that were answered within their target, of those answered or abandoned after it.
    service_level: float | None
    # The share that gave up, of all but the short ones. None, both: there was nothing to tell from.
    abandon_rate: float | None


class QueueView(Struct, frozen=True, kw_only=True):
    queue: str
    waiting: int
    offered: int
    active: int
    oldest_enqueued_at_ms: int  # 0: nothing waits
    # Of what waits, how many are how near to an agent who fits: now, busy, signed-out, nobody.
    servability: dict[str, int] = {}
    open: bool = True  # by its calendar, for customers who come now
    deserted: bool = False  # nobody who fits is signed in, and it has a rule for that
    borrows: tuple[LoanView, ...] = ()  # by its rules, in their order
    # Of late (`balance.window`): the share of contacts that were answered within their target; None: nobody counts.
    service_level: float | None = None
    day: DayView | None = None  # None: nothing is counted (`figures.keep`)
    share_of_target: float = 0.0  # how much of its promise whoever has used most has used: 1 is all of it


class CalendarView(Struct, frozen=True, kw_only=True):
    """A calendar as operators see it. Times are Unix milliseconds; 0 where there is nothing to say."""

    calendar: str
    zone: str
    open: bool  # for customers who come now
    next_change_ms: int  # when the hours next open or close; 0: out of sight
    emergency: bool = False
    until_ms: int = 0  # when the emergency ends by itself; 0: by hand
    by: str = ""  # who declared it
    why: str = ""
    queues: tuple[str, ...] = ()  # that go by it


class Refused(Struct, frozen=True):
    """A contact that its queue would not let wait, from the first."""

    reason: str  # one of `admission.CAUSES`
    message: str  # what the customer is told; "" where the configuration says nothing


class CallbackOffer(Struct, frozen=True):
    """A customer who waits was asked whether to call them back."""

    message: str  # what they are told; "" where the configuration says nothing


class Estimate(Struct, frozen=True):
    """Where a waiting interaction stands: `position` 1 is the next of its queue.

    The expected wait is the median; nine of ten wait at most `p90_s`. All three are None while there is too little to
    tell from. `method` says how they were told: "queue-length" from `samples` contacts that were finished of late,
    "head-of-line" from the age of the oldest of `samples` that wait.
    """

    position: int
    expected_wait_s: int | None
    p50_s: int | None = None
    p90_s: int | None = None
    method: str = ""
    samples: int = 0


# --- effects: what the outside must be told, given out once the facts are durable -------------------------------------


class Tell(Struct, frozen=True, gc=False):
    """Message number `stream` of this agent's stream: what happened, and the interaction or agent it concerns."""

    agent: str
    stream: int
    event: AnyEvent
    interaction: InteractionView | None = None
    state: AgentView | None = None
    at_ms: int = 0


class Inform(Struct, frozen=True, gc=False):
    """Something happened to an interaction of this channel. Not kept: an adapter that was away asks for the state."""

    channel: str
    interaction: int
    threads: tuple[str, ...]
    event: AnyEvent
    agent_name: str = ""
    at_ms: int = 0


COPY = "copy"  # the outbound action of a transcript
TO_CUSTOMER = frozenset(("message", COPY))  # actions that carry words


class Outbound(Struct, frozen=True, kw_only=True):
    """Something that the outside must be told at least once, with `outbound` as its idempotency key.

    `action` is assigned, message, ended, held, resumed, requeued or transferred; of a consult consulted, conference,
    handed-over or consult-over; called (the customer is to be), callback-offered (they are to be asked). It stays in
    the state until an adapter has settled it.
    """

    outbound: int
    at_ms: int
    action: str
    channel: str
    interaction: int
    threads: tuple[str, ...]
    sender: str
    recipient: str
    subject: str
    attributes: dict[str, str]
    agent: str = ""
    agent_name: str = ""
    endpoint: str = ""  # the agent's telephone, or the outside address of a transfer
    message: Message | None = None
    reason: str = ""
    error: str = ""  # set on a dead letter

    @property
    def whom(self) -> str:
        """Whom it is to reach. Words go to the customer, whatever telephone the agent has who wrote them."""
        to_customer = self.action in TO_CUSTOMER
        return (self.sender if to_customer else self.endpoint or self.sender) or self.recipient
