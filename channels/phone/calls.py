"""What all kinds of gateways share: what can be told of a call, what it asks of the desk, and what we order in return.

A kind turns its own requests into a `CallEvent`, and an `Outcome` or an `Order` into its own words; nothing here
knows a protocol.

    event            asks for                  key
    incoming         Arrive                    phone.GATEWAY:EVENT
    alive            Renew                     none: twice is as good as once, and a week of heartbeats is many keys
    waiting          Renew                     none: as alive, and the gateway asks where the caller stands
    answered         ConfirmConnection         phone.GATEWAY:EVENT
    ended            Leave, reason ended       phone.GATEWAY:EVENT
    abandoned        Leave, reason abandoned   phone.GATEWAY:EVENT
    connect_failed   FailConnection            phone.GATEWAY:EVENT
    consult_answered ConfirmConsult            phone.GATEWAY:EVENT
    consult_failed   FailConsult               phone.GATEWAY:EVENT
    callback         RequestCallback           phone.GATEWAY:EVENT
    call_failed      FailCall                  phone.GATEWAY:EVENT
    dtmf             Append                    phone.GATEWAY:EVENT; RequestCallback, where it says yes to one
    recording        Remark                    phone.GATEWAY:EVENT; of a call that is over, too

An interaction is the whole life of one call at one gateway: its thread is "phone.GATEWAY:CALL".
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, assert_never

from msgspec import Struct, field

from channels.phone.numbers import bare, e164
from channels.phone.settings import Gateway
from router.engine import commands as c
from router.engine.events import Message
from router.engine.views import InteractionView, Outbound, interaction_id
from router.errors import BadMessage, NotFound

EventType = Literal[
    "incoming",
    "alive",
    "waiting",
    "answered",
    "ended",
    "abandoned",
    "connect_failed",
    "consult_answered",
    "consult_failed",
    "callback",
    "call_failed",
    "dtmf",
    "recording",
]
OVER: frozenset[EventType] = frozenset({"ended", "abandoned"})

CHANNEL = "phone"
_ADDRESS = re.compile(r"https?://[!-~]{1,2000}")
_PREFIX = "phone."


class CallEvent(Struct, frozen=True, kw_only=True):
    """One thing that a gateway told of one call. `sender` and `recipient` are as the gateway writes them."""

    event_id: str
    call_id: str
    type: EventType
    sender: str = ""
    recipient: str = ""
    at_ms: int | None = None  # on the gateway's clock; None: it did not say
    attributes: dict[str, str] = {}
    digits: str = ""  # of a dtmf
    reason: str = ""  # of a connect_failed or consult_failed: the gateway's word for it
    path: str = ""  # where it came in, if the answer depends on that
    order: str = ""  # the connect that it speaks of, where the gateway can tell
    asked: str = ""  # the consult that it speaks of, likewise
    parted: bool = False  # the two legs are not joined any more: an end, unless we had them taken apart, or it moved
    room: str = ""  # whose leg was moved into a conference: "caller", "agent", or "over" when it is out of it again
    target: str = ""  # where the call was moved to be connected to, by that order
    is_last: bool = False  # it was moved there for good: the interaction is over


class Outcome(Struct, frozen=True):
    """What the gateway is to do now. A repeated event gets an equal outcome, so nothing in it may change with time."""

    action: Literal["queue", "offer_callback", "call_back", "reject", "none"]
    interaction: int = 0  # 0: this event concerns no interaction of ours
    reason: str = ""  # of a rejection
    # Of a waiting, which has no key, and of nothing else: where the caller stands now.
    position: int = 0  # 0: not in line, because an agent has been found
    expected_wait_s: int | None = None
    is_open: bool = False  # we still have this call, even where the event came too late
    say: str = ""  # what a caller is told who is rejected, or asked whether to call them back, where the gateway can
    is_apart: bool = False  # the legs were taken apart because we said so: the caller is held, or somebody is asked


NOTHING = Outcome("none")

Verb = Literal[
    "connect",
    "hangup",
    "hold",
    "resume",
    "transfer",
    "queue",
    "consult",
    "join",
    "complete",
    "drop",
    "call",
    "offer_callback",
]
CONSULTING: frozenset[Verb] = frozenset({"consult", "join", "complete", "drop"})
ALL_VERBS: frozenset[Verb] = CONSULTING | {
    "connect",
    "hangup",
    "hold",
    "resume",
    "transfer",
    "queue",
    "call",
    "offer_callback",
}


class Order(Struct, frozen=True, kw_only=True):
    """Something that a gateway is to do with a call. Equal on every try, so that `id` can tell repetitions."""

    id: str  # "sb-17"
    action: Verb
    call_id: str
    interaction: str
    agent: str = ""  # who has the call; with `queue`, who had it; with a consult, who is asked ("": the outside)
    agent_name: str = ""
    endpoint: str = ""  # that agent's telephone, or the outside address of a transfer
    reason: str = ""
    say: str = ""  # with `hangup` and `offer_callback`: what the caller is told, where the gateway can


class Consult(Order, frozen=True, kw_only=True):
    """Ring `endpoint` for the agent who has the call."""

    sender: str = field(name="from", default="")  # the number of ours that the customer had called


class Ask(Order, frozen=True, kw_only=True):
    """Ask a caller who waits whether to call them back."""

    digit: str  # they press for it


class Call(Order, frozen=True, kw_only=True):
    """Call a customer and join them with an agent. `call_id` is the name that the new call is to have."""

    to: str
    sender: str = field(name="from", default="")  # the number of ours that they had called, where there is one
    first: str = "agent"  # whose telephone rings first: agent or customer


def spoken(outcome: Outcome, gateway: Gateway) -> list[str]:
    """What a caller who waits is told. Nothing once an agent has been found."""
    if not outcome.position or not gateway.position_every:
        return []
    texts = [gateway.say_position]
    if outcome.expected_wait_s is not None:
        texts.append(gateway.say_wait)
    minutes = max(1, round((outcome.expected_wait_s or 0) / 60))
    put_in = {"{position}": str(outcome.position), "{minutes}": str(minutes)}
    for mark, value in put_in.items():
        texts = [text.replace(mark, value) for text in texts]
    return [text for text in texts if text]


def prefix_of(gateway: str) -> str:
    """What the keys and threads of this gateway begin with."""
    return f"{_PREFIX}{gateway}:"


def call_of(threads: tuple[str, ...]) -> tuple[str, str]:
    """Gateway and call id of an interaction. Raises NotFound if it is no call."""
    for thread in threads:
        gateway, colon, call_id = thread.removeprefix(_PREFIX).partition(":")
        if thread.startswith(_PREFIX) and colon:
            return gateway, call_id
    raise NotFound("this interaction has no call at any gateway")


def command_of(event: CallEvent, prefix: str, gateway: Gateway, now_ms: int, is_quiet: bool = False) -> c.AnyCommand:
    """`is_quiet`: a sign of life of this gateway has to last for the whole of a conversation."""
    key, thread = prefix + event.event_id, prefix + event.call_id
    match event.type:
        case "incoming":
            return _arrival(event, key, thread, gateway, now_ms)
        case "alive":
            return c.Renew(thread=thread, lease_ms=int(gateway.talk_lease if is_quiet else gateway.lease))
        case "waiting":
            return c.Renew(thread=thread, lease_ms=int(gateway.lease))
        case "answered":
            return c.ConfirmConnection(key=key, thread=thread)
        case "ended" | "abandoned":
            return c.Leave(key=key, thread=thread, reason=event.type)
        case "connect_failed":
            return c.FailConnection(key=key, thread=thread, reason=event.reason)
        case "consult_answered":
            return c.ConfirmConsult(key=key, thread=thread)
        case "consult_failed":
            return c.FailConsult(key=key, thread=thread, reason=event.reason)
        case "callback":
            return c.RequestCallback(
                key=key,
                line=prefix,
                thread=thread,
                to=_number(event.attributes, gateway),
                first=_first(event.attributes),
            )
        case "call_failed":
            return c.FailCall(key=key, thread=thread, reason=event.reason)
        case "dtmf":
            return c.Append(key=key, thread=thread, message=Message(text=event.digits, external_id=event.event_id))
        case "recording":
            return c.Remark(key=key, thread=thread, text=_recording(event), by=prefix.rstrip(":"))
        case _:
            assert_never(event.type)


def _recording(event: CallEvent) -> str:
    """Where it lies, as agents and operators read it. The reference only: recordings are fetched by who may."""
    url, seconds = event.attributes.get("url", ""), event.attributes.get("seconds", "")
    if not _ADDRESS.fullmatch(url):
        raise BadMessage("attributes.url: expected the address of a recording, such as https://pbx.example.org/r/17")
    if seconds and not (seconds.isascii() and seconds.isdigit()):
        raise BadMessage("attributes.seconds: expected how long it is, in whole seconds")
    return f"Recording: {url}" + (f" ({seconds} s)" if seconds else "")


def _number(attributes: dict[str, str], gateway: Gateway) -> str:
    """Where to call, if not at the caller's own number."""
    written = attributes.get("number", "")
    number = e164(written, gateway.country)
    if written and not number:
        raise BadMessage("attributes.number: expected a number that can be called, such as +15550199")
    return number


def _first(attributes: dict[str, str]) -> str:
    first = attributes.get("first", "")
    if first not in ("", "agent", "customer"):
        raise BadMessage('attributes.first: expected "agent" or "customer"')
    return first


def _arrival(event: CallEvent, key: str, thread: str, gateway: Gateway, now_ms: int) -> c.Arrive:
    caller = e164(event.sender, gateway.country)  # "" where the number is withheld: no word for that is a number
    return c.Arrive(
        key=key,
        channel=CHANNEL,
        threads=(thread,),
        identities=(f"tel:{caller}",) if caller else (),  # two callers without a number are two customers
        sender=caller or bare(event.sender),
        recipient=_dialled(event.recipient, gateway.country) or bare(event.recipient),
        name=event.attributes.get("name", ""),
        subject=event.attributes.get("subject", ""),
        language=event.attributes.get("language", ""),
        attributes=event.attributes,
        lease_ms=int(gateway.lease),
        received_at_ms=now_ms if event.at_ms is None else _start_of_wait(event.at_ms, int(gateway.backdate), now_ms),
    )


_dialled = lru_cache(maxsize=1_024)(e164)  # callers are many, the numbers that they dial are few


def _start_of_wait(at_ms: int, backdate_ms: int, now_ms: int) -> int:
    """The gateway's word within bounds: a repeated `incoming` keeps its place.

    A time from before `2 x backdate` tells of a wrong clock, not of a long wait, and buys no place at all.
    """
    if at_ms >= now_ms or at_ms < now_ms - 2 * backdate_ms:
        return now_ms
    earliest_ms = now_ms - backdate_ms
    return at_ms if at_ms > earliest_ms else earliest_ms


# --- orders -----------------------------------------------------------------------------------------------------------

_VERBS: dict[str, Verb] = {
    "assigned": "connect",
    "ended": "hangup",
    "held": "hold",
    "resumed": "resume",
    "transferred": "transfer",
    "requeued": "queue",
    "consulted": "consult",
    "conference": "join",
    "handed-over": "complete",
    "consult-over": "drop",
    "called": "call",
    "callback-offered": "offer_callback",
}
ACTIONS = frozenset(_VERBS)

# After these there is nothing to hang up: the caller did, or the call lives on at another address.
_GONE = frozenset({"customer-left", "abandoned", "ended", "transferred"})


def order_of(outbound: Outbound, callback_digit: str = "1") -> Order | None:
    """What to tell the gateway, or None if it need not be told. Raises NotFound for what is no call."""
    _, call_id = call_of(outbound.threads)
    verb = _VERBS[outbound.action]
    if verb == "hangup" and outbound.reason in _GONE:
        return None
    same = {
        "id": f"sb-{outbound.outbound}",
        "call_id": call_id,
        "interaction": interaction_id(outbound.interaction),
        "agent": outbound.agent,
        "agent_name": outbound.agent_name,
        "endpoint": outbound.endpoint,
    }
    if verb == "call":
        return Call(action="call", to=outbound.sender, sender=outbound.recipient, first=outbound.reason, **same)
    said = outbound.message.text if outbound.message is not None else ""
    if verb == "consult":
        return Consult(action=verb, reason=outbound.reason, sender=outbound.recipient, **same)
    if verb == "offer_callback":
        return Ask(action=verb, say=said, digit=callback_digit, **same)
    say = said if verb == "hangup" else ""
    return Order(action=verb, reason=outbound.reason, say=say, **same)


def is_outdated(outbound: Outbound, view: InteractionView | None) -> bool:
    """Whether the interaction has moved on since, so that doing this late would be wrong. `view` None: it is forgotten.

    A `connect` that comes through after the agent lost the call would join two people who must not be joined; one that
    is repeated after it came through would ring at somebody who is talking.
    """
    match outbound.action:
        case "assigned" | "called":
            return view is None or view.state != "active" or view.agent != outbound.agent or view.connected
        case "held" | "resumed":
            return view is None or view.state != "active" or view.on_hold != (outbound.action == "held")
        case "consulted" | "conference":
            return not _asks_still(outbound, view)
        case "handed-over":
            return view is None or view.state != "active" or view.agent != outbound.agent
        case "callback-offered":
            return view is None or view.state not in ("queued", "offered")
        case "consult-over":
            return view is None or view.state != "active"
        case "requeued":
            return view is None or view.state not in ("queued", "offered", "active")
        case _:
            return False


def _asks_still(outbound: Outbound, view: InteractionView | None) -> bool:
    """Whether the consult goes on for which somebody is to be called."""
    if view is None or view.state != "active" or not view.consult:
        return False
    return view.consult.agent == outbound.agent and (bool(outbound.agent) or view.consult.address == outbound.endpoint)
