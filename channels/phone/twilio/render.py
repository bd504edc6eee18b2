"""What we say to Twilio: TwiML, and orders to its REST interface.

A caller waits in `Enqueue`; Twilio asks `wait` over and over for what they hear, and `dial` for what comes after. An
agent who accepted is joined by moving the call out of the line: `POST Calls/SID` with the TwiML that dials the agent's
telephone, `dial` again being asked when that is over. Every TwiML that connects names its order in the addresses that
it gives, so that a result that comes late is known as one.

If we cannot record now: for a new call 503, so that Twilio tries again or takes the fallback address of the number,
where the operator says what callers hear. A caller who is with us already would be dropped by a 503; they hear silence
and Twilio is sent to ask again (`not_now`).

A call that is held, or about which somebody is asked, is a conference from then on (`room`).
"""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import parse_qsl, urlencode, urlsplit
from xml.etree.ElementTree import Element, SubElement, tostring

import msgspec
from msgspec import Struct

from channels.phone.calls import CONSULTING, CallEvent, Order, Outcome, Verb, spoken
from channels.phone.request import Answer, Control, Raw, Site
from channels.phone.twilio import room
from router.errors import Refusal
from router.service.ports import DeliveryFailed

ORDERS: frozenset[Verb] = CONSULTING | {"connect", "hangup", "queue", "transfer", "hold", "resume"}
MEDIA = "text/xml"
FORM = "application/x-www-form-urlencoded"

_LINE = "switchboard"  # the name of the queue at Twilio: only a place to wait, the order in it means nothing
_LINE_MAX = "5000"  # as many as Twilio lets wait in one queue
_AGAIN_MAX_S = 30
_GONE = frozenset({404, 410})  # there is nothing to hang up
_NOT_IN_PROGRESS = 21220  # the call is over and cannot be moved: a 400 whose body alone says so


class TwiML(Struct, frozen=True):
    """A `Response` in Twilio's language."""


def answer(outcome: Outcome, event: CallEvent, site: Site) -> Answer:
    response = Element("Response")
    match event.path:
        case "voice":
            _begin(response, outcome, site)
        case "wait":
            _while_waiting(response, outcome, site)
        case "dial":
            if outcome.is_apart:
                response.append(room.dialled(event.call_id, site))
            elif outcome.is_open:
                _pause(response, 1)  # whatever put them out of the line may do so again
                _enqueue(response, site)
            else:
                SubElement(response, "Hangup")
    return _twiml(response)


def _begin(response: Element, outcome: Outcome, site: Site) -> None:
    if outcome.action == "queue":
        _enqueue(response, site)
    elif outcome.action == "reject" and outcome.say:
        _farewell(response, outcome.say, site)
    elif outcome.action == "reject":
        SubElement(response, "Reject", reason="rejected")
    else:
        SubElement(response, "Hangup")


def _farewell(response: Element, text: str, site: Site) -> None:
    SubElement(response, "Say", language=site.gateway.voice).text = text
    SubElement(response, "Hangup")


def _while_waiting(response: Element, outcome: Outcome, site: Site) -> None:
    if not outcome.is_open:
        SubElement(response, "Leave")
        return
    gateway = site.gateway
    for text in spoken(outcome, gateway):
        SubElement(response, "Say", language=gateway.voice).text = text
    _pause(response, gateway.position_every // 1_000 or 20)


def not_now(raw: Raw, refusal: Refusal, site: Site) -> Answer | None:
    response = Element("Response")
    seconds = min(max(1, refusal.retry_after_s), _AGAIN_MAX_S)
    match raw.path:
        case "wait":
            _pause(response, seconds)
        case "dial":
            # What this request said is in its body, which a redirect does not bring back: so it goes into the address.
            query = dict(parse_qsl(urlsplit(raw.target).query))
            said = dict(parse_qsl(raw.body.decode("ascii", "replace")))
            query |= {name: said[name] for name in ("DialCallStatus", "DialCallSid", "QueueResult") if name in said}
            _pause(response, seconds)
            SubElement(response, "Redirect", method="POST").text = f"{site.url('dial')}?{urlencode(query)}"
        case _:
            return None
    return _twiml(response)


class Refused(Struct, frozen=True):
    """The body of a refusal of Twilio's."""

    code: int = 0


def is_over(status: int, body: bytes) -> bool:
    try:
        return status == 400 and msgspec.json.decode(body, type=Refused).code == _NOT_IN_PROGRESS
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def control(order: Order, site: Site, now_ms: int) -> Control:
    """Raises DeliveryFailed where there is nowhere to connect to."""
    match order.action:
        case "hangup" if order.say:
            response = Element("Response")
            _farewell(response, order.say, site)
        case "hangup":
            return _update(order, site, {"Status": "completed"})
        case "queue":
            response = Element("Response")
            _enqueue(response, site)
        case "hold":
            return room.hold(order, site)
        case "resume":
            return room.resume(order, site)
        case "consult":
            _telephone(order)
            return room.consult(order, site)
        case "join":
            return room.join(order, site)
        case "drop":
            return room.drop(order, site)
        case "complete":
            return room.complete(order, site)
        case "transfer":
            return room.transfer(order, site, _update(order, site, _twiml_of(_dial(order, site))))
        case _:
            response = _dial(order, site)
    return _update(order, site, _twiml_of(response))


def _twiml_of(response: Element) -> dict[str, str]:
    return {"Twiml": tostring(response, encoding="unicode")}


def _dial(order: Order, site: Site) -> Element:
    response = Element("Response")
    named = f"?order={order.id}"
    recorded = {
        "record": "record-from-answer-dual",
        "recordingStatusCallback": site.url("recording"),
        "recordingStatusCallbackMethod": "POST",
    }
    dial = SubElement(
        response,
        "Dial",
        recorded if site.gateway.record else {},
        timeout=str(site.gateway.ring // 1_000),
        answerOnBridge="true",
        action=site.url("dial") + named,
        method="POST",
    )
    told = {
        "statusCallback": site.url("status") + named,
        "statusCallbackEvent": "answered",
        "statusCallbackMethod": "POST",
    }
    noun, text = _telephone(order)
    SubElement(dial, noun, told).text = text
    return response


def _telephone(order: Order) -> tuple[str, str]:
    to = order.endpoint
    if to.startswith(("sip:", "sips:")):
        return "Sip", to
    if to.startswith("client:"):
        return "Client", to.removeprefix("client:")
    if to.startswith("+") and to[1:].isascii() and to[1:].isdigit():
        return "Number", to
    what = f"agents.{order.agent}.endpoint" if order.action == "connect" else "the address"
    raise DeliveryFailed(f"{what}: expected sip:..., client:NAME or +NUMBER", final=True)


def _enqueue(response: Element, site: Site) -> None:
    SubElement(
        response,
        "Enqueue",
        waitUrl=site.url("wait"),
        waitUrlMethod="POST",
        action=site.url("dial"),
        method="POST",
        maxQueueSize=_LINE_MAX,
    ).text = _LINE


def _pause(response: Element, seconds: int) -> None:
    SubElement(response, "Pause", length=str(seconds))


def _twiml(response: Element) -> Answer:
    return Answer(tostring(response, encoding="utf-8", xml_declaration=True), MEDIA)


def _update(order: Order, site: Site, fields: dict[str, str]) -> Control:
    gateway = site.gateway
    login = f"{gateway.account}:{gateway.control_token or gateway.secrets[0]}"
    return Control(
        url=f"{gateway.control_url.rstrip('/')}/2010-04-01/Accounts/{gateway.account}/Calls/{order.call_id}.json",
        headers={"Content-Type": FORM, "Authorization": "Basic " + b64encode(login.encode()).decode()},
        body=urlencode(fields).encode(),
        done_already=_GONE if order.action == "hangup" else frozenset(),
    )
