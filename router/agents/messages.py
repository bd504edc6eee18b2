"""The words of the agents' link: JSON text frames told apart by `type`. This is public; names and meanings stay.

Rules for clients:
1. `hello` comes first. After it every message has an `id` of the client's choosing and is answered by one `ok` or
   `error` whose `re` is that id. `hello` may do without; with an id its `ok` comes after `welcome` and what was missed.
2. An id is unique among all windows and restarts of one agent for some minutes: take random ones, not a counter. The
   same message with the same id again has no second effect and gets the same answer; another one gets `id-reused`.
3. What the server says of its own accord carries `seq`. The next message has the next number. Remember the last one and
   give it to `hello` as `last_seq` after a cut: `welcome` with `resumed` true is followed by what was missed; any other
   `welcome` holds everything, and the client forgets what it knew.
4. An `interaction` is an object in `welcome`, `offer`, `assigned` and `interaction_updated`, and an id in all else.
   What was said and noted so far is in the objects of `assigned` and of `welcome.interactions`; other objects leave
   `messages` and `notes` out, and the client keeps its own. `consult` is there while there is a consult: an update
   without it says that there is none.
5. Who says `signals` in `hello` is also told, in passing, that a customer writes and how far they have read. These
   carry no number, are never told again, and are no part of the view: `typing` is over when it does not come again for
   some seconds, `receipts` are asked for with `seen`.
6. An agent's load by channel is the number of their offers and interactions, wrap-up included, `suspended` ones not.
7. Unknown fields are ignored on both sides, and unknown types by the client: newer versions add some.

An error's `code` is stable, its `message` is for people. With `retry_after_ms` nothing was decided: send the same again
after that time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, TypeVar, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from router.engine.commands import Target
from router.engine.events import Blob
from router.engine.views import InteractionView, NoteView, OfferView
from router.errors import BadMessage
from router.service.halves import made_whole

SUBPROTOCOL = "switchboard.agent.v1"

Id = Annotated[str, Meta(min_length=1, max_length=64)] | Annotated[int, Meta(ge=0, le=2**53)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Reason = Annotated[str, Meta(max_length=200)]
MILLISECONDS_MAX = 86_400_000  # of one extension: a day


class Attachment(Struct, frozen=True):
    """A file, by reference. `digest` is the SHA-256 in hexadecimal under which the server keeps it."""

    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    size: Annotated[int, Meta(ge=0, le=2**40)] = 0  # bytes
    media_type: Annotated[str, Meta(max_length=200)] = "application/octet-stream"
    name: Annotated[str, Meta(max_length=255)] = ""

    @classmethod
    def of(cls, blob: Blob) -> Attachment:
        return cls(blob.digest, blob.size, blob.media_type, blob.name)

    def blob(self) -> Blob:
        return Blob(self.digest, self.size, self.media_type, self.name)


# --- client -> server -------------------------------------------------------------------------------------------------


class Hello(Struct, frozen=True, kw_only=True, tag_field="type", tag="hello"):
    """Who I am. `last_seq` is the number of the last message that I have seen."""

    token: Annotated[str, Meta(min_length=1, max_length=512)]
    last_seq: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    id: Id | None = None
    signals: bool = False  # tell me `typing` and `receipts` too


class _Asked(Struct, frozen=True, kw_only=True, tag_field="type"):
    id: Id


class SetState(_Asked, frozen=True, kw_only=True, tag="set_state"):
    """Ready for work, or not and why. While at work it takes effect when the work ends."""

    state: Literal["ready", "not_ready"]
    reason: Reason = ""


class Accept(_Asked, frozen=True, kw_only=True, tag="accept"):
    offer: Name


class Decline(_Asked, frozen=True, kw_only=True, tag="decline"):
    offer: Name
    reason: Reason = ""


class Say(_Asked, frozen=True, kw_only=True, tag="say"):
    """To the customer; in a consult, to the other agent. Attachments name files that were uploaded before."""

    interaction: Name
    text: str = ""
    attachments: Annotated[tuple[Attachment, ...], Meta(max_length=20)] = ()


class Note(_Asked, frozen=True, kw_only=True, tag="note"):
    """To colleagues: customers never see it."""

    interaction: Name
    text: Annotated[str, Meta(min_length=1)]


class Hold(_Asked, frozen=True, kw_only=True, tag="hold"):
    interaction: Name


class Resume(_Asked, frozen=True, kw_only=True, tag="resume"):
    interaction: Name


class Transfer(_Asked, frozen=True, kw_only=True, tag="transfer"):
    """Give it on: `to` is one of {queue}, {agent}, {requirement}, {address}.

    Blind, it is no longer yours at once. With `consult` somebody is asked while it stays yours: see `consult` of the
    interaction object, and `complete_consult`, `join_consult`, `end_consult`.
    """

    interaction: Name
    to: Target
    mode: Literal["blind", "consult"] = "blind"
    reason: Reason = ""


class JoinConsult(_Asked, frozen=True, kw_only=True, tag="join_consult"):
    """A conference: who was asked speaks with the customer, too. `interaction` is the customer's or the consult."""

    interaction: Name


class CompleteConsult(_Asked, frozen=True, kw_only=True, tag="complete_consult"):
    """Give the interaction to whom you asked."""

    interaction: Name


class EndConsult(_Asked, frozen=True, kw_only=True, tag="end_consult"):
    """Go on alone; who was asked leaves."""

    interaction: Name


class Complete(_Asked, frozen=True, kw_only=True, tag="complete"):
    """The contact is over; in wrap-up, so is that."""

    interaction: Name
    disposition: Reason = ""
    notes: str = ""


class FinishWrapUp(_Asked, frozen=True, kw_only=True, tag="finish_wrap_up"):
    interaction: Name
    disposition: Reason = ""
    notes: str = ""


class ExtendWrapUp(_Asked, frozen=True, kw_only=True, tag="extend_wrap_up"):
    interaction: Name
    by_ms: Annotated[int, Meta(ge=1, le=MILLISECONDS_MAX)]


class Recall(_Asked, frozen=True, kw_only=True, tag="recall"):
    """Call the visitor once more: they have to come to you."""

    interaction: Name


class MeetCustomer(_Asked, frozen=True, kw_only=True, tag="arrived"):
    """The visitor who was called is there."""

    interaction: Name


class Pick(_Asked, frozen=True, kw_only=True, tag="pick"):
    """Take a waiting interaction by hand."""

    interaction: Name


class Typing(_Asked, frozen=True, kw_only=True, tag="typing"):
    """I am writing to this customer, or (`on` false) no longer. To be said again every few seconds."""

    interaction: Name
    on: bool = True


class Seen(_Asked, frozen=True, kw_only=True, tag="seen"):
    """I have seen what was said up to the message with this time. Answered by `receipts` as well, if there are any."""

    interaction: Name
    at_ms: Annotated[int, Meta(ge=0, le=2**53)]


Passing = Typing | Seen  # recorded nowhere
Asked = (
    SetState
    | Accept
    | Decline
    | Say
    | Note
    | Hold
    | Resume
    | Transfer
    | JoinConsult
    | CompleteConsult
    | EndConsult
    | Complete
    | FinishWrapUp
    | ExtendWrapUp
    | Recall
    | MeetCustomer
    | Pick
)
ClientMessage = Hello | Asked | Passing
CLIENT_MESSAGES: tuple[type[Struct], ...] = get_args(ClientMessage)


# --- server -> client: answers ----------------------------------------------------------------------------------------


class Ok(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="ok"):
    """Done, and recorded. `interaction` is the one that it concerned."""

    re: str | int
    interaction: str = ""


class Error(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="error"):
    """Not done. Without `re` it answers something that had no readable id."""

    code: str
    message: str
    re: str | int | None = None
    retry_after_ms: int = 0


# --- server -> client: the numbered stream ----------------------------------------------------------------------------


class Welcome(Struct, frozen=True, kw_only=True, tag_field="type", tag="welcome"):
    """The answer to `hello`. With `resumed` the client's own view stands, and only the first six fields are there."""

    seq: int  # of the last message that this view includes
    agent: str
    resumed: bool
    session: str
    server_time_ms: int
    name: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    pending: str | UnsetType = UNSET
    load: dict[str, int] | UnsetType = UNSET
    offers: tuple[OfferView, ...] | UnsetType = UNSET
    interactions: tuple[InteractionView, ...] | UnsetType = UNSET
    warnings: tuple[str, ...] | UnsetType = UNSET  # what keeps you from being connected with what you will be offered


class Offer(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="offer"):
    """Yours if you accept before `expires_at_ms`. `cause` is routed, pick, assign or assign-override."""

    seq: int
    offer: str
    interaction: InteractionView
    expires_at_ms: int
    cause: str


class OfferWithdrawn(Struct, frozen=True, kw_only=True, tag_field="type", tag="offer_withdrawn"):
    """No longer yours to take: expired, declined, or the reason why it was taken back."""

    seq: int
    offer: str
    interaction: str
    reason: str


class Assigned(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="assigned"):
    """Yours. The offer is settled; with `consult`, that consult is over and this is what it was about.

    Where `interaction.consult.role` is "consulted" it is a consult: its customer stays another agent's.
    """

    seq: int
    offer: str
    interaction: InteractionView
    consult: str | UnsetType = UNSET


class Message(Struct, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """One more thing said. `author` is customer, agent or system."""

    seq: int
    interaction: str
    author: str
    text: str
    agent: str
    at_ms: int
    attachments: tuple[Attachment, ...] = ()
    sender: str = ""  # the address it came from, where the channel tells; it may not be the interaction's


class InteractionUpdated(Struct, frozen=True, kw_only=True, tag_field="type", tag="interaction_updated"):
    """Its fields as they are now; `cause` says what happened, `note` what was noted, `reason` why a consult ended."""

    seq: int
    interaction: InteractionView
    cause: str
    reason: str | UnsetType = UNSET
    note: NoteView | UnsetType = UNSET


class InteractionEnded(Struct, frozen=True, kw_only=True, tag_field="type", tag="interaction_ended"):
    """No longer yours; with `wrap_up`, over but still to be documented, until `wrap_up_until_ms` if that is not 0."""

    seq: int
    interaction: str
    reason: str
    wrap_up: bool = False
    wrap_up_until_ms: int = 0
    disposition: str = ""


class State(Struct, frozen=True, kw_only=True, tag_field="type", tag="state"):
    """`pending` is the state asked for while at work, or "" . `load` counts offers, work and wrap-up by channel."""

    seq: int
    state: str
    reason: str
    pending: str
    load: dict[str, int]


class Announcement(Struct, frozen=True, kw_only=True, tag_field="type", tag="announcement"):
    """A word of a supervisor to several agents. It is about nobody's work and asks for no answer."""

    seq: int
    text: str
    by: str
    at_ms: int


class Goodbye(Struct, frozen=True, kw_only=True, tag_field="type", tag="goodbye"):
    """The server hangs up; come back after `retry_after_ms` with `last_seq`. `seq` is that of the message before."""

    seq: int
    reason: str
    retry_after_ms: int


class CustomerTyping(Struct, frozen=True, kw_only=True, tag_field="type", tag="typing"):
    """The customer writes, or no longer. Without a number."""

    interaction: str
    on: bool


class Receipts(Struct, frozen=True, kw_only=True, tag_field="type", tag="receipts"):
    """What was said up to these times has reached the customer, has been read by them. Without a number."""

    interaction: str
    received_ms: int
    read_ms: int


Numbered = (
    Welcome
    | Offer
    | OfferWithdrawn
    | Assigned
    | Message
    | InteractionUpdated
    | InteractionEnded
    | State
    | Announcement
    | Goodbye
)
ServerMessage = Ok | Error | Numbered | CustomerTyping | Receipts
SERVER_MESSAGES: tuple[type[Struct], ...] = get_args(ServerMessage)


# --- bytes ------------------------------------------------------------------------------------------------------------


class _Envelope(Struct):
    type: object = None
    id: object = None


T = TypeVar("T")

encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ClientMessage).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode


def _read(decoder: Callable[[bytes], T], text: bytes) -> T:
    try:
        return decoder(text)
    except msgspec.DecodeError:
        return decoder(made_whole(text))


def decode(text: bytes) -> ClientMessage:
    """Raises BadMessage saying where and what was expected."""
    try:
        message: ClientMessage = _decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode_again(text)
    return message


def _decode_again(text: bytes) -> ClientMessage:
    """What is not as it should be, if only by halves of characters."""
    try:
        message: ClientMessage = _read(_decode, text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise BadMessage(str(problem)) from problem
    except RecursionError:
        raise BadMessage("nested too deeply") from None
    return message


def id_of(text: bytes) -> str | int | None:
    """The id of a message that could not be understood, for the answer; None where there is none to be had."""
    try:
        found = _read(_decode_envelope, text).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(found, str):
        return found[:64] or None
    return found if isinstance(found, int) and not isinstance(found, bool) else None
