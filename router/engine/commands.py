"""Everything that can be asked of the engine: the tagged union that edges send.

Every command may carry a `key`. A command whose key was recorded before changes nothing and gets the same answer: keys
of intake are remembered for days, keys of agents' commands (which start with "agent:") for minutes (`config.Memory`).

Commands are plain data, so that an edge on another machine can send them. Times and identities come in here; the engine
has no clock of its own.
"""

from __future__ import annotations

from msgspec import Struct

from router.engine.events import AgentState, Message
from router.engine.requirements import Node


class Command(Struct, frozen=True, kw_only=True, tag=True, gc=False):
    """Base of all commands."""

    key: str = ""


# --- from channels ----------------------------------------------------------------------------------------------------


class Preference(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Agents by name who should have a contact, in this order (`preferred`)."""

    agents: tuple[str, ...]
    require: bool = False  # nobody else gets it
    hold_ms: int | None = None  # left out: as `config.Prefer.hold`


class Ticket(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A short name to call the customer by, made of the interaction's number (`tickets`)."""

    attribute: str  # under which it is told
    prefix: str = ""
    letters: int = 1


class Arrive(Command, frozen=True, kw_only=True):
    """A customer's contact. Where one of `threads` is an open interaction it joins that one, otherwise it is a new one.

    `key` must be made of source and external id ("mail:<id>", "phone.dev:EVENT"): the same event again has no effect.
    Answered with the interaction's number.
    """

    channel: str
    threads: tuple[str, ...]
    identities: tuple[str, ...] = ()
    sender: str = ""
    recipient: str = ""
    name: str = ""
    subject: str = ""
    language: str = ""
    attributes: dict[str, str] = {}
    message: Message | None = None
    lease_ms: int = 0
    received_at_ms: int = 0  # where the waiting time starts; 0: now
    direction: str = "inbound"
    prefer: Preference | None = None  # beats what the routing plan says
    # Of what kind it is if a program wrote it (`automatic`). Left out: a person did, as far as one can tell.
    automatic: str = ""
    ticket: Ticket | None = None


class Enrich(Command, frozen=True, kw_only=True):
    """More is known of a contact that came before (`enrich`): what was read from its pages, in what language it is.

    What is known already stays as it is. `message` is added as the system's.
    """

    thread: str
    attributes: dict[str, str] = {}
    language: str = ""
    message: Message | None = None


class Append(Command, frozen=True, kw_only=True):
    """Something said or pressed in an interaction that must be open already."""

    thread: str
    message: Message
    author: str = "customer"


class Remark(Command, frozen=True, kw_only=True):
    """A channel notes something of a contact, which may be over: where its recording lies."""

    thread: str
    text: str
    by: str


class Renew(Command, frozen=True, kw_only=True):
    """The gateway still has this contact."""

    thread: str
    lease_ms: int


class ConfirmConnection(Command, frozen=True, kw_only=True):
    thread: str


class FailConnection(Command, frozen=True, kw_only=True):
    """The agent who accepted could not be joined with the customer.

    `of_agent`: it was their telephone; otherwise it says nothing of whether they can be reached.
    """

    thread: str
    reason: str = ""
    of_agent: bool = True


class ConfirmConsult(Command, frozen=True, kw_only=True):
    """The gateway has reached whom the owner of this contact asked."""

    thread: str


class FailConsult(Command, frozen=True, kw_only=True):
    """Whom the owner of this contact asked could not be reached."""

    thread: str
    reason: str = ""


class RequestCallback(Command, frozen=True, kw_only=True):
    """Call this customer (`callbacks.py`): a caller on the line by `thread`, or anybody by channel, queue and number.

    `line` is with what the names of a gateway's calls begin; "" is any gateway that can call.
    """

    line: str = ""
    thread: str = ""
    to: str = ""  # left out: the caller's own number
    first: str = ""  # agent or customer; left out: by configuration
    not_before_ms: int = 0
    until_ms: int = 0
    channel: str = ""
    queue: str = ""
    name: str = ""
    subject: str = ""
    language: str = ""
    attributes: dict[str, str] = {}
    by: str = ""


class CancelCallback(Command, frozen=True, kw_only=True):
    callback: int
    by: str
    why: str = ""


class FailCall(Command, frozen=True, kw_only=True):
    """The customer whom the house calls was not reached: busy, no-answer or failed."""

    thread: str
    reason: str = ""


class Leave(Command, frozen=True, kw_only=True):
    """The customer is gone, or the gateway says that the contact is over."""

    thread: str
    reason: str = ""


class SendCopy(Command, frozen=True, kw_only=True):
    """The customer wants a copy of what is said, when it is over: by another channel, to an address that they give."""

    thread: str
    channel: str
    address: str
    sender: str = ""  # the address of ours it is to come from


# --- from agents ------------------------------------------------------------------------------------------------------


class OpenSession(Command, frozen=True, kw_only=True):
    agent: str
    session: str


class CloseSession(Command, frozen=True, kw_only=True):
    agent: str
    session: str
    reason: str = ""


class SetState(Command, frozen=True, kw_only=True):
    agent: str
    state: AgentState
    reason: str = ""
    by: str = ""  # an operator; "" is the agent


class Announce(Command, frozen=True, kw_only=True):
    """A word to several agents at once, about nobody's work in particular; whoever is not signed in is left out."""

    agents: tuple[str, ...]
    text: str
    by: str


class Accept(Command, frozen=True, kw_only=True):
    agent: str
    offer: int


class Decline(Command, frozen=True, kw_only=True):
    agent: str
    offer: int
    reason: str = ""


class Say(Command, frozen=True, kw_only=True):
    agent: str
    interaction: int
    message: Message


class Note(Command, frozen=True, kw_only=True):
    interaction: int
    text: str
    by: str


class Hold(Command, frozen=True, kw_only=True):
    agent: str
    interaction: int


class Resume(Command, frozen=True, kw_only=True):
    agent: str
    interaction: int


class Complete(Command, frozen=True, kw_only=True):
    """The agent ends the contact; in wrap-up, the agent finishes it."""

    agent: str
    interaction: int
    disposition: str = ""
    notes: str = ""


class FinishWrapUp(Command, frozen=True, kw_only=True):
    agent: str
    interaction: int
    disposition: str = ""
    notes: str = ""


class ExtendWrapUp(Command, frozen=True, kw_only=True):
    agent: str
    interaction: int
    by_ms: int


class Pick(Command, frozen=True, kw_only=True):
    """The agent takes a waiting interaction by hand."""

    agent: str
    interaction: int


class Target(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a transfer goes: exactly one of the four."""

    queue: str = ""
    agent: str = ""
    requirement: Node | None = None
    address: str = ""


class Transfer(Command, frozen=True, kw_only=True):
    """Give an interaction on. `agent` is its owner; an operator leaves it empty and says who they are in `by`."""

    interaction: int
    to: Target
    agent: str = ""
    by: str = ""
    why: str = ""


class Consult(Command, frozen=True, kw_only=True):
    """Ask somebody about an interaction while remaining its owner (`consult.py`)."""

    agent: str
    interaction: int
    to: Target
    why: str = ""


class JoinConsult(Command, frozen=True, kw_only=True):
    """The owner makes it a conference. `interaction` is the customer's or the consult, here and in the next two."""

    agent: str
    interaction: int


class CompleteConsult(Command, frozen=True, kw_only=True):
    """The owner gives the interaction to whom they asked."""

    agent: str
    interaction: int


class EndConsult(Command, frozen=True, kw_only=True):
    """The owner goes on alone, or who was asked leaves."""

    agent: str
    interaction: int


class Recall(Command, frozen=True, kw_only=True):
    """The agent has the customer called once more (`showing`)."""

    agent: str
    interaction: int


class MeetCustomer(Command, frozen=True, kw_only=True):
    """The customer who was called has come."""

    agent: str
    interaction: int


# --- from operators ---------------------------------------------------------------------------------------------------


class Requeue(Command, frozen=True, kw_only=True):
    interaction: int
    by: str
    why: str = ""


class Assign(Command, frozen=True, kw_only=True):
    """Give an interaction to one agent, who need not accept. `override` ignores requirement and capacity (audited)."""

    interaction: int
    agent: str
    by: str
    override: bool = False
    why: str = ""


class Close(Command, frozen=True, kw_only=True):
    interaction: int
    by: str
    why: str = ""


class Reprioritise(Command, frozen=True, kw_only=True):
    """Change what is given; "" and 0 leave a thing as it is."""

    interaction: int
    by: str
    band: str = ""
    weight: float = 0.0
    target_ms: int = 0
    why: str = ""


class Relax(Command, frozen=True, kw_only=True):
    """Take steps of the queue's relaxation plan now: up to and including number `step`; 0 is the next one."""

    interaction: int
    by: str
    step: int = 0
    why: str = ""


class MergeCustomers(Command, frozen=True, kw_only=True):
    """Two customers are one person, who is known by the name of `customer` from now on (`customers`)."""

    customer: str
    other: str
    by: str
    why: str = ""


class DescribeCustomer(Command, frozen=True, kw_only=True):
    """Texts of the card of whoever this identity leads to; `version` is that of the card which was seen (`cards`)."""

    identity: str
    fields: dict[str, str]
    version: int
    by: str


class SplitCustomer(Command, frozen=True, kw_only=True):
    """This identity is not of the customer whom it leads to."""

    identity: str
    by: str
    why: str = ""


class Configure(Command, frozen=True, kw_only=True):
    """Decide by this configuration from now on (`config.to_bytes`)."""

    document: bytes
    by: str = ""


class GiveLead(Command, frozen=True, kw_only=True):
    """Another engine is to lead this routing domain (`partition`): the one that stands by under the name `to`."""

    to: str
    by: str
    why: str = ""


class CloseCalendar(Command, frozen=True, kw_only=True):
    """An emergency: every queue with this calendar is closed now, until somebody says otherwise or `until_ms`."""

    calendar: str
    by: str
    why: str = ""
    until_ms: int = 0  # 0: until an operator ends it


class OpenCalendar(Command, frozen=True, kw_only=True):
    """The emergency is over: the hours hold again."""

    calendar: str
    by: str
    why: str = ""


# --- from the process itself ------------------------------------------------------------------------------------------


class Restart(Command, frozen=True, kw_only=True):
    """Said once after a start from a journal."""


class AssignNumbers(Command, frozen=True, kw_only=True):
    """This log is that of a routing domain (`partition`). Said before anything else, and refused later."""

    domain: int


class Tick(Command, frozen=True, kw_only=True):
    """Time has passed."""


class SettleOutbound(Command, frozen=True, kw_only=True):
    outbound: int
    by: str = ""
    discard: bool = False


class FailOutbound(Command, frozen=True, kw_only=True):
    outbound: int
    error: str


class RetryOutbound(Command, frozen=True, kw_only=True):
    outbound: int
    by: str = ""


AnyCommand = (
    Arrive
    | Enrich
    | Append
    | Remark
    | Renew
    | ConfirmConnection
    | FailConnection
    | Leave
    | SendCopy
    | OpenSession
    | CloseSession
    | SetState
    | Announce
    | Accept
    | Decline
    | Say
    | Note
    | Hold
    | Resume
    | Complete
    | FinishWrapUp
    | ExtendWrapUp
    | Pick
    | Transfer
    | Consult
    | JoinConsult
    | CompleteConsult
    | EndConsult
    | ConfirmConsult
    | FailConsult
    | RequestCallback
    | CancelCallback
    | FailCall
    | Recall
    | MeetCustomer
    | MergeCustomers
    | DescribeCustomer
    | SplitCustomer
    | Requeue
    | Assign
    | Close
    | Reprioritise
    | Relax
    | Configure
    | CloseCalendar
    | OpenCalendar
    | GiveLead
    | Restart
    | AssignNumbers
    | Tick
    | SettleOutbound
    | FailOutbound
    | RetryOutbound
)


class Reply(Struct, frozen=True, kw_only=True, gc=False):
    """The engine's answer to a command that it took.

    `interaction` is the number of the interaction it concerned, or 0; `duplicate` says that the key was known.
    """

    interaction: int = 0
    duplicate: bool = False
    joined: bool = False  # it became part of an interaction that was open already
