"""Hold at Plivo: the call becomes a multiparty call when it is asked for, because a `Dial` can hold neither of its two.

The first hold moves both legs (`legs=both`) into a `MultiPartyCall` named after the call, the *room*, which the caller
enters on hold. From then on the caller's participant is held, or not. Who is there is asked each time, so nothing has
to be remembered. The room is over when either leaves it.

A third party is not brought in: a participant who is called by order is known by a number that only its answer tells,
and a repeated order by nothing, so that one who was asked twice would ring twice.
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, SubElement

import msgspec
from msgspec import Struct

from channels.phone.calls import Order
from channels.phone.request import Control, Site
from router.service.ports import DeliveryFailed

_NO_ROOM = frozenset({404})
_encode = msgspec.json.Encoder().encode


class _Participant(Struct):
    call_uuid: str = ""
    member_id: str | int = ""
    exit_time: str | None = None


class _Participants(Struct):
    objects: list[_Participant] = []


def enter(response: Element, call_id: str, whose: str, is_held: bool) -> None:
    SubElement(
        response,
        "MultiPartyCall",
        role="Customer" if whose == "caller" else "Agent",
        startMpcOnEnter="true",
        endMpcOnExit="true",
        stayAlone="false",
        enterSound="none",
        exitSound="none",
        hold="true" if is_held else "false",
    ).text = _name(call_id)


def _name(call_id: str) -> str:
    return f"sb-{call_id}"


def hold(order: Order, site: Site, headers: dict[str, str], otherwise: Control) -> Control:
    """`otherwise` moves both legs here, where they are not yet."""

    def then(body: bytes) -> Control:
        return _held(order, site, headers, body, True) or otherwise

    return _listed(order, site, headers, then)


def resume(order: Order, site: Site, headers: dict[str, str]) -> Control:
    """Who is still on the way here is told so when they arrive."""
    return _listed(order, site, headers, lambda body: _held(order, site, headers, body, False))


def _held(order: Order, site: Site, headers: dict[str, str], body: bytes, on: bool) -> Control | None:
    """None: the caller is not here."""
    try:
        there = msgspec.json.decode(body, type=_Participants).objects
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise DeliveryFailed("the gateway answered something else than its interface says") from problem
    callers = [x for x in there if x.call_uuid == order.call_id and not x.exit_time]
    if not callers:
        return None
    url = f"{_address(order, site)}{callers[-1].member_id}/"
    return Control(url=url, headers=headers, body=_encode({"hold": on}))


def _listed(order: Order, site: Site, headers: dict[str, str], then: Any) -> Control:
    return Control(url=_address(order, site), headers=headers, body=b"", method="GET", done_already=_NO_ROOM, then=then)


def _address(order: Order, site: Site) -> str:
    gateway = site.gateway
    base = f"{gateway.control_url.rstrip('/')}/v1/Account/{gateway.account}"
    return f"{base}/MultiPartyCall/name_{_name(order.call_id)}/Participant/"
