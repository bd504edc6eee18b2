"""What we say to jambonz: lists of verbs, and orders to its REST interface.

A caller waits in `enqueue`; jambonz asks `wait` over and over for what they hear, and `queue` for what comes after. An
agent who accepted is joined by moving the call: `POST Calls/SID` with a new `call_hook`, our `dial`, which answers with
the verb that dials the agent's telephone. Whom to dial stands sealed in that address, so that it outlives a restart of
ours.

If we cannot record now: for a new call 503, so that jambonz tries again (`#rc=`) or takes its fallback. A caller who is
with us already hears silence, and jambonz is sent to ask again (`not_now`).

A call that is held is a conference from then on (`room`).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from channels.phone.calls import CallEvent, Order, Outcome, Verb, spoken
from channels.phone.jambonz import room
from channels.phone.jambonz.parse import parse
from channels.phone.jambonz.seal import seal, unseal
from channels.phone.request import Answer, Control, Raw, Site
from router.errors import ClientError, Refusal
from router.service.ports import DeliveryFailed

ORDERS: frozenset[Verb] = frozenset({"connect", "hangup", "queue", "transfer", "hold", "resume"})

_encode = msgspec.json.Encoder().encode
_LINE = "switchboard"  # the name of the queue at jambonz: only a place to wait, the order in it means nothing
_AGAIN_MAX_S = 30
_NO_SUCH_CALL = frozenset({404})

Spoken = dict[str, Any]


class Verbs(Struct, frozen=True):
    """A list of verbs is what is answered."""


def answer(outcome: Outcome, event: CallEvent, site: Site) -> Answer:
    return Answer(_encode(_verbs(outcome, event, site)))


def _verbs(outcome: Outcome, event: CallEvent, site: Site) -> list[Spoken]:
    match event.path:
        case "call":
            if outcome.action == "reject" and outcome.interaction:
                return _turned_away(outcome, site)
            if outcome.action == "reject":
                return [{"verb": "sip:decline", "status": 404, "reason": "No route"}]
            return [_enqueue(site)] if outcome.action == "queue" else [{"verb": "hangup"}]
        case "wait":
            return _while_waiting(outcome, site)
        case "dial" if event.room and outcome.is_open:
            return _in_room(event, site)
        case "dial" if outcome.is_apart:  # the answer for a leg that has gone into the room already is not read
            return room.entered(event.call_id, _hook(site, "dial", event.call_id, {"room": "over"}))
        case "dial" if event.target and (outcome.interaction or event.is_last):
            return [_dial(event, site)]
        case "dial" | "queue":
            return [_pause(1), _enqueue(site)] if outcome.is_open else [{"verb": "hangup"}]
        case _:
            return []


def _in_room(event: CallEvent, site: Site) -> list[Spoken]:
    after = _hook(site, "dial", event.call_id, {"room": "over"}) if event.room == "caller" else None
    return room.entered(event.call_id, after)


def _turned_away(outcome: Outcome, site: Site) -> list[Spoken]:
    if outcome.say:
        voice = {"vendor": "default", "language": site.gateway.voice}
        return [{"verb": "say", "text": outcome.say, "synthesizer": voice}, {"verb": "hangup"}]
    return [{"verb": "sip:decline", "status": 480, "reason": "Temporarily Unavailable"}]


def _while_waiting(outcome: Outcome, site: Site) -> list[Spoken]:
    if not outcome.is_open:
        return [{"verb": "leave"}]
    voice = {"vendor": "default", "language": site.gateway.voice}
    said: list[Spoken] = [{"verb": "say", "text": text, "synthesizer": voice} for text in spoken(outcome, site.gateway)]
    return [*said, _pause(site.gateway.position_every // 1_000 or 20)]


def not_now(raw: Raw, refusal: Refusal, site: Site) -> Answer | None:
    seconds = min(max(1, refusal.retry_after_s), _AGAIN_MAX_S)
    if raw.path == "wait":
        return Answer(_encode([_pause(seconds)]))
    if raw.path not in ("dial", "queue"):
        return None
    # What this hook said is in its body, which a redirect does not bring back: so it goes into the address.
    try:
        call = parse(raw, site.gateway).call_id
    except ClientError:
        return None
    said = msgspec.json.decode(raw.body)
    params = unseal(urlsplit(raw.target).query, call, site.gateway.secrets)
    params |= {n: str(said[n]) for n in ("dial_call_status", "dial_call_sid", "queue_result") if said.get(n)}
    again = {"verb": "redirect", "actionHook": _hook(site, raw.path, call, params)}
    return Answer(_encode([_pause(seconds), again]))


def control(order: Order, site: Site, now_ms: int) -> Control:
    """Raises DeliveryFailed where there is nowhere to connect to."""
    match order.action:
        case "hangup":
            return _update(order, site, {"call_status": "completed"})
        case "hold":
            caller, agent = (_hook(site, "dial", order.call_id, {"room": whose}) for whose in ("caller", "agent"))
            return room.hold(order, site, caller, agent)
        case "resume":
            return room.resume(order, site)
        case "queue":
            return _update(order, site, {"call_hook": _hook(site, "queue", order.call_id, {})})
        case _:
            _target(order.endpoint, order.agent)
            params = {"order": order.id, "to": order.endpoint}
            if order.action == "transfer":
                params["last"] = "1"
            return _update(order, site, {"call_hook": _hook(site, "dial", order.call_id, params)})


def _dial(event: CallEvent, site: Site) -> Spoken:
    return {
        "verb": "dial",
        "target": [_target(event.target, "")],
        "timeout": site.gateway.ring // 1_000,
        "answerOnBridge": True,
        "actionHook": _hook(site, "dial", event.call_id, {"order": event.order}),
    }


def _target(to: str, agent: str) -> Spoken:
    if to.startswith(("sip:", "sips:")):
        return {"type": "sip", "sipUri": to}
    if to.startswith("user:"):
        return {"type": "user", "name": to.removeprefix("user:")}
    if to.startswith("+") and to[1:].isascii() and to[1:].isdigit():
        return {"type": "phone", "number": to}
    what = f"agents.{agent}.endpoint" if agent else "the address"
    raise DeliveryFailed(f"{what}: expected sip:..., user:NAME@REALM or +NUMBER", final=True)


def _enqueue(site: Site) -> Spoken:
    hooks = {name: {"url": site.url(path), "method": "POST"} for name, path in _ENQUEUE_HOOKS}
    return {"verb": "enqueue", "name": _LINE, **hooks}


_ENQUEUE_HOOKS = (("waitHook", "wait"), ("actionHook", "queue"))


def _pause(seconds: int) -> Spoken:
    return {"verb": "pause", "length": seconds}


def _hook(site: Site, path: str, call: str, params: dict[str, str]) -> Spoken:
    query = f"?{seal(params, call, site.gateway.secrets[0])}" if params else ""
    return {"url": site.url(path) + query, "method": "POST"}


def _update(order: Order, site: Site, what: Spoken) -> Control:
    gateway = site.gateway
    return Control(
        url=f"{gateway.control_url.rstrip('/')}/v1/Accounts/{gateway.account}/Calls/{order.call_id}",
        headers=room.headers(site),
        body=_encode(what),
        done_already=_NO_SUCH_CALL if order.action == "hangup" else frozenset(),
    )
