"""What we say to Plivo: its XML, and orders to its REST interface.

A caller waits by being sent round: `wait` answers what they hear, a pause, and a redirect to `wait`. An agent who
accepted is joined by moving the call to `connect`, whose address says whom to dial; `dial` is asked when that is over,
`leg` when the telephone is answered.

If we cannot record now: for a new call 503, so that Plivo takes the fallback address. A caller who is with us already
hears silence and Plivo is sent to ask again (`not_now`).

A call that is held is a multiparty call from then on (`room`).
"""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import parse_qsl, urlencode, urlsplit
from xml.etree.ElementTree import Element, SubElement, tostring

import msgspec
from msgspec import Struct

from channels.phone.calls import CallEvent, Order, Outcome, Verb, spoken
from channels.phone.plivo import room
from channels.phone.request import Answer, Control, Raw, Site
from router.errors import Refusal
from router.service.ports import DeliveryFailed

ORDERS: frozenset[Verb] = frozenset({"connect", "hangup", "queue", "transfer", "hold", "resume"})
MEDIA = "text/xml"
FORM = "application/x-www-form-urlencoded"

_AGAIN_MAX_S = 30
_NO_SUCH_CALL = frozenset({404})

_encode = msgspec.json.Encoder().encode


class PlivoXML(Struct, frozen=True):
    """A `Response` in Plivo's language."""


def answer(outcome: Outcome, event: CallEvent, site: Site) -> Answer:
    response = Element("Response")
    match event.path:
        case "answer":
            _begin(response, outcome, site)
        case "wait":
            _while_waiting(response, outcome, site)
        case "connect" if event.room and outcome.is_open:
            room.enter(response, event.call_id, event.room, outcome.is_apart)
        case "dial" if outcome.is_apart:
            room.enter(response, event.call_id, "caller", True)
        case "connect" if event.target and (outcome.interaction or event.is_last):
            _dial(response, event, site)
        case "connect" | "dial" if outcome.is_open:
            _again(response, 1, site.url("wait"))  # whatever put them out of the line may do so again
        case "connect" | "dial":
            SubElement(response, "Hangup")
    return _xml(response)


def _begin(response: Element, outcome: Outcome, site: Site) -> None:
    if outcome.action == "queue":
        _redirect(response, site.url("wait"))
    elif outcome.action == "reject" and not outcome.say:
        SubElement(response, "Hangup", reason="rejected")
    else:
        if outcome.say:
            _speak(response, outcome.say, site)
        SubElement(response, "Hangup")


def _while_waiting(response: Element, outcome: Outcome, site: Site) -> None:
    if not outcome.is_open:
        SubElement(response, "Hangup")
        return
    for text in spoken(outcome, site.gateway):
        _speak(response, text, site)
    _again(response, site.gateway.position_every // 1_000 or 20, site.url("wait"))


def not_now(raw: Raw, refusal: Refusal, site: Site) -> Answer | None:
    if raw.path not in ("wait", "connect", "dial"):
        return None
    response = Element("Response")
    # What this request said is in its body, which a redirect does not bring back: so it goes into the address.
    query = dict(parse_qsl(urlsplit(raw.target).query))
    said = dict(parse_qsl(raw.body.decode("ascii", "replace")))
    query |= {"DialStatus": said["DialStatus"]} if raw.path == "dial" and "DialStatus" in said else {}
    again = site.url(raw.path) + (f"?{urlencode(query)}" if query else "")
    _again(response, min(max(1, refusal.retry_after_s), _AGAIN_MAX_S), again)
    return _xml(response)


def control(order: Order, site: Site, now_ms: int) -> Control:
    """Raises DeliveryFailed where there is nowhere to connect to."""
    match order.action:
        case "hangup":
            return _call(order, site, "DELETE")
        case "queue":
            return _move(order, site, site.url("wait"))
        case "hold":
            return room.hold(order, site, _headers(site), _taken_apart(order, site))
        case "resume":
            return room.resume(order, site, _headers(site))
        case _:
            _telephone(order.endpoint, order.agent)
            query = {"order": order.id, "to": order.endpoint} | ({"last": "1"} if order.action == "transfer" else {})
            return _move(order, site, f"{site.url('connect')}?{urlencode(query)}")


def _dial(response: Element, event: CallEvent, site: Site) -> None:
    named = f"?order={event.order}"
    dial = SubElement(
        response,
        "Dial",
        action=site.url("dial") + named,
        method="POST",
        timeout=str(site.gateway.ring // 1_000),
        callbackUrl=site.url("leg") + named,
        callbackMethod="POST",
    )
    noun, text = _telephone(event.target, "")
    SubElement(dial, noun).text = text


def _telephone(to: str, agent: str) -> tuple[str, str]:
    if to.startswith(("sip:", "sips:")):
        return "User", to
    if to.startswith("+") and to[1:].isascii() and to[1:].isdigit():
        return "Number", to
    what = f"agents.{agent}.endpoint" if agent else "the address"
    raise DeliveryFailed(f"{what}: expected sip:... or +NUMBER", final=True)


def _speak(response: Element, text: str, site: Site) -> None:
    SubElement(response, "Speak", language=site.gateway.voice).text = text


def _again(response: Element, seconds: int, url: str) -> None:
    SubElement(response, "Wait", length=str(seconds))
    _redirect(response, url)


def _redirect(response: Element, url: str) -> None:
    SubElement(response, "Redirect", method="POST").text = url


def _xml(response: Element) -> Answer:
    return Answer(tostring(response, encoding="utf-8", xml_declaration=True), MEDIA)


def _taken_apart(order: Order, site: Site) -> Control:
    """Both legs, each to its own address."""
    agent = f"{site.url('connect')}?{urlencode({'room': 'agent', 'call': order.call_id})}"
    legs = {"legs": "both", "aleg_url": f"{site.url('connect')}?room=caller", "aleg_method": "POST"}
    return _call(order, site, "POST", legs | {"bleg_url": agent, "bleg_method": "POST"})


def _headers(site: Site) -> dict[str, str]:
    login = f"{site.gateway.account}:{site.gateway.control_token or site.gateway.secrets[0]}"
    return {"Content-Type": "application/json", "Authorization": "Basic " + b64encode(login.encode()).decode()}


def _move(order: Order, site: Site, url: str) -> Control:
    return _call(order, site, "POST", {"legs": "aleg", "aleg_url": url, "aleg_method": "POST"})


def _call(order: Order, site: Site, method: str, what: dict[str, str] | None = None) -> Control:
    gateway = site.gateway
    return Control(
        url=f"{gateway.control_url.rstrip('/')}/v1/Account/{gateway.account}/Call/{order.call_id}/",
        headers=_headers(site),
        body=_encode(what) if what else b"",
        done_already=_NO_SUCH_CALL if order.action == "hangup" else frozenset(),
        method=method,
    )
