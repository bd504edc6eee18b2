"""Hold, consult and conference at Twilio: the call becomes a conference when the first of these is asked for.

A `Dial` joins two and can hold neither, and it is what can be repeated without harm, so calls are connected by one. A
hold moves the agent's leg into a conference of Twilio's, the *room*, named after the call. That ends the `Dial`; Twilio
asks its action what the caller does next, and hears that they follow (`render`). From then on:

    hold, resume   the caller's participant is held, or not
    consult        the caller is held, and who is asked is dialled into the room under a label
    join           the caller is not held any more: all three talk
    drop           who was asked is taken out, the caller is not held any more
    complete       who was asked stays with the caller, everybody else is taken out
    transfer       to who is being asked: as `complete`; to anybody else the caller is moved to a `Dial`

The room ends when the caller leaves it, or whoever has the call. Nothing of it is remembered here: every order looks up
what there is first, so that it can be repeated, and be carried out by another process. What is not there yet (the legs
are still on their way into the room) is waited for by trying again.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import TypeVar
from urllib.parse import quote, urlencode
from xml.etree.ElementTree import Element, SubElement, tostring

import msgspec
from msgspec import Struct

from channels.phone.calls import Consult, Order
from channels.phone.request import Control, Site
from router.service.ports import DeliveryFailed

FORM = "application/x-www-form-urlencoded"

_NOT_THERE = frozenset({404})

Next = Control | None
T = TypeVar("T")


class _Conference(Struct):
    sid: str


class _Conferences(Struct):
    conferences: list[_Conference] = []


class _Leg(Struct):
    sid: str


class _Legs(Struct):
    calls: list[_Leg] = []


class Participant(Struct):
    call_sid: str
    label: str | None = None
    status: str = ""


class _Participants(Struct):
    participants: list[Participant] = []


def dialled(call_id: str, site: Site) -> Element:
    """The verb that takes the caller into the room, and asks `dial` when they are out of it again."""
    dial = Element("Dial", action=f"{site.url('dial')}?room=1", method="POST")
    _conference(dial, call_id)
    return dial


def _conference(dial: Element, call_id: str) -> None:
    options = {"startConferenceOnEnter": "true", "endConferenceOnExit": "true", "beep": "false", "waitUrl": ""}
    SubElement(dial, "Conference", options).text = _name(call_id)


def _name(call_id: str) -> str:
    return f"sb-{call_id}"


def _label(endpoint: str) -> str:
    """Of the participant who is asked at this address. Nothing in it has to be escaped."""
    return f"asked-{sha256(endpoint.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


# --- orders -----------------------------------------------------------------------------------------------------------


def hold(order: Order, site: Site) -> Control:
    return _in_room(order, site, lambda room: _hold(order, site, room, True), lambda: _made(order, site))


def resume(order: Order, site: Site) -> Control:
    return _in_room(order, site, lambda room: _hold(order, site, room, False), lambda: None)


def join(order: Order, site: Site) -> Control:
    return _in_room(order, site, lambda room: _hold(order, site, room, False), lambda: _made(order, site))


def consult(order: Order, site: Site) -> Control:
    def rung(room: str) -> Control:
        held = _hold(order, site, room, True)
        return msgspec.structs.replace(held, then=lambda _: _listed(site, room, lambda there: ask(room, there)))

    def ask(room: str, there: list[Participant]) -> Next:
        return None if _asked(order, there) else _dialled_in(order, site, room)

    return _in_room(order, site, rung, lambda: _made(order, site))


def drop(order: Order, site: Site) -> Control:
    def left(room: str) -> Control:
        return _listed(site, room, lambda there: without(room, there))

    def without(room: str, there: list[Participant]) -> Next:
        rest = _hold(order, site, room, False)
        return _out(site, room, [_label(order.endpoint)], rest) if _asked(order, there) else rest

    return _in_room(order, site, left, lambda: None)


def complete(order: Order, site: Site) -> Control:
    def nobody() -> Next:
        raise DeliveryFailed("who takes the call over is not there yet")

    def handed(there: list[Participant], room: str) -> Next:
        asked = _asked(order, there)
        if asked is None or asked.status != "connected":
            raise DeliveryFailed("who takes the call over is not there yet")
        return _handed_over(order, site, room, there)

    def listed(room: str) -> Control:
        return _listed(site, room, lambda there: handed(there, room))

    return _in_room(order, site, listed, nobody)


def transfer(order: Order, site: Site, otherwise: Control) -> Control:
    """To who is being asked, or to anybody else: then `otherwise`."""

    def listed(room: str) -> Control:
        return _listed(site, room, lambda there: given(room, there))

    def given(room: str, there: list[Participant]) -> Next:
        return _handed_over(order, site, room, there) if _asked(order, there) else otherwise

    return _in_room(order, site, listed, lambda: otherwise)


# --- steps ------------------------------------------------------------------------------------------------------------


def _in_room(order: Order, site: Site, found: Callable[[str], Next], none: Callable[[], Next]) -> Control:
    def then(body: bytes) -> Next:
        rooms = _read(body, _Conferences).conferences
        return found(rooms[0].sid) if rooms else none()

    query = {"FriendlyName": _name(order.call_id), "Status": "in-progress"}
    return _request(site, "GET", f"Conferences.json?{urlencode(query)}", then=then)


def _made(order: Order, site: Site) -> Control:
    """Move the agent's leg. The caller follows in their own time, and the order is tried again."""

    def then(body: bytes) -> Next:
        legs = _read(body, _Legs).calls
        if not legs:
            raise DeliveryFailed("there is nobody to be held apart from the caller yet")
        response = Element("Response")
        dial = SubElement(response, "Dial")
        _conference(dial, order.call_id)
        moved = {"Twiml": tostring(response, encoding="unicode")}
        return _request(site, "POST", f"Calls/{quote(legs[0].sid, safe='')}.json", moved, then=not_yet)

    def not_yet(body: bytes) -> Next:
        raise DeliveryFailed("the call is on its way into a conference")

    query = {"ParentCallSid": order.call_id, "Status": "in-progress"}
    return _request(site, "GET", f"Calls.json?{urlencode(query)}", then=then)


def _hold(order: Order, site: Site, room: str, on: bool) -> Control:
    what = {"Hold": "true" if on else "false"}
    return _request(site, "POST", _participant(room, order.call_id), what, later=_NOT_THERE)


def _listed(site: Site, room: str, found: Callable[[list[Participant]], Next]) -> Control:
    path = f"Conferences/{quote(room, safe='')}/Participants.json"
    return _request(site, "GET", path, then=lambda body: found(_read(body, _Participants).participants))


def _asked(order: Order, there: list[Participant]) -> Participant | None:
    label = _label(order.endpoint)
    return next((somebody for somebody in there if somebody.label == label), None)


def _dialled_in(order: Order, site: Site, room: str) -> Control:
    about = urlencode({"call": order.call_id, "asked": order.id})
    what = {
        "From": (order.sender if isinstance(order, Consult) else "") or "switchboard",
        "To": order.endpoint,
        "Label": _label(order.endpoint),
        "Timeout": str(max(5, site.gateway.ring // 1_000)),
        "Beep": "false",
        "EndConferenceOnExit": "false",
        "StatusCallback": f"{site.url('status')}?{about}",
        "StatusCallbackMethod": "POST",
        "StatusCallbackEvent": "answered completed",
    }
    return _request(site, "POST", f"Conferences/{quote(room, safe='')}/Participants.json", what)


def _handed_over(order: Order, site: Site, room: str, there: list[Participant]) -> Control:
    """Whoever is asked has the call from here on; the room outlives those who leave it."""
    label = _label(order.endpoint)
    others = [x.call_sid for x in there if x.label != label and x.call_sid != order.call_id]
    rest: Control = _out(site, room, others, _hold(order, site, room, False))
    for sid in others:
        rest = _request(site, "POST", _participant(room, sid), {"EndConferenceOnExit": "false"}, _to(rest), gone=True)
    return _request(site, "POST", _participant(room, label), {"EndConferenceOnExit": "true"}, _to(rest))


def _out(site: Site, room: str, whom: list[str], rest: Control) -> Control:
    for sid in whom:
        rest = _request(site, "DELETE", _participant(room, sid), then=_to(rest), gone=True)
    return rest


def _to(step: Control) -> Callable[[bytes], Next]:
    return lambda body: step


def _participant(room: str, who: str) -> str:
    return f"Conferences/{quote(room, safe='')}/Participants/{quote(who, safe='')}.json"


def _read(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise DeliveryFailed("the gateway answered something else than its interface says") from problem


def _request(
    site: Site,
    method: str,
    path: str,
    what: dict[str, str] | None = None,
    then: Callable[[bytes], Next] | None = None,
    later: frozenset[int] = frozenset(),
    gone: bool = False,
) -> Control:
    """`gone`: it may have left already."""
    gateway = site.gateway
    login = f"{gateway.account}:{gateway.control_token or gateway.secrets[0]}"
    return Control(
        url=f"{gateway.control_url.rstrip('/')}/2010-04-01/Accounts/{gateway.account}/{path}",
        headers={"Content-Type": FORM, "Authorization": "Basic " + b64encode(login.encode()).decode()},
        body=urlencode(what).encode() if what else b"",
        done_already=_NOT_THERE if gone else frozenset(),
        method=method,
        later=later,
        then=then,
    )
