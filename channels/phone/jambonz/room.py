"""Hold at jambonz: the call becomes a conference when it is asked for, because a `dial` can hold neither of its two.

The first hold moves both legs of the `dial` at once (`call_hook`, `child_call_hook`) into a conference named after the
call, the *room*; from then on the caller is held in it by `conf_hold_status`. Whether there is a room is asked each
time, so nothing has to be remembered. It ends when either leaves.

A third party cannot be brought in: a call that we would have made has a SID that only the answer to that order tells,
no name by which it can be found again, and no key by which a repeated order would be known. So an order that is
repeated after a crash would ring twice, and the first of the two could never be let go.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from channels.phone.calls import Order
from channels.phone.request import Control, Site
from router.service.ports import DeliveryFailed

_encode = msgspec.json.Encoder().encode

Verb = dict[str, Any]


def entered(call_id: str, after: Verb | None) -> list[Verb]:
    """The verbs of whoever enters it; `after` is the hook that says what comes then."""
    conference = {
        "verb": "conference",
        "name": _name(call_id),
        "startConferenceOnEnter": True,
        "endConferenceOnExit": True,
        "beep": False,
    }
    # Not the conference's own hook: that would be asked, and its answer carried out, when the call is moved elsewhere.
    return [conference, {"verb": "redirect", "actionHook": after}] if after else [conference]


def _name(call_id: str) -> str:
    return f"sb-{call_id}"


def hold(order: Order, site: Site, caller: Verb, agent: Verb) -> Control:
    """`caller` and `agent` are the hooks of the two legs that answer `entered`."""

    def then(body: bytes) -> Control:
        if _is_there(order, body):
            return _update(order, site, {"conf_hold_status": "hold"})
        return _update(order, site, {"call_hook": caller, "child_call_hook": agent}, moved=True)

    return _listed(order, site, then)


def resume(order: Order, site: Site) -> Control:
    def then(body: bytes) -> Control | None:
        return _update(order, site, {"conf_hold_status": "unhold"}) if _is_there(order, body) else None

    return _listed(order, site, then)


def _is_there(order: Order, body: bytes) -> bool:
    try:
        return _name(order.call_id) in msgspec.json.decode(body, type=list[str])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise DeliveryFailed("the gateway answered something else than its interface says") from problem


def _listed(order: Order, site: Site, then: Any) -> Control:
    url = f"{_account(site)}/Conferences"
    return Control(url=url, headers=headers(site), body=b"", method="GET", then=then)


def _update(order: Order, site: Site, what: Verb, moved: bool = False) -> Control:
    url = f"{_account(site)}/Calls/{quote(order.call_id, safe='')}"
    return Control(url=url, headers=headers(site), body=_encode(what), then=_not_yet if moved else None)


def _not_yet(body: bytes) -> Control | None:
    """Both are on their way: to be tried again."""
    raise DeliveryFailed("the call is on its way into a conference")


def _account(site: Site) -> str:
    return f"{site.gateway.control_url.rstrip('/')}/v1/Accounts/{site.gateway.account}"


def headers(site: Site) -> dict[str, str]:
    token = site.gateway.control_token or site.gateway.secrets[0]
    return {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
