"""What each kind of gateway says of a call, in its own words: one table for tests that play any of them.

A `Voice` is a kind's bodies; who plays a gateway need not know which kind it is.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from channels.phone.jambonz.seal import seal
from channels.phone.request import Raw

SECRET = "dev-secret"
HOOK = "/v1/phone/dev"
_serial = itertools.count(1)

Say = Callable[[str, str], Raw]  # call, and the order that it speaks of ("": none)


@dataclass(frozen=True)
class Voice:
    incoming: Say
    alive: Say
    answered: Say
    busy: Say
    ended: Say
    abandoned: Say


def _json(path: str, body: dict[str, Any], query: str = "") -> Raw:
    return Raw(path, f"{HOOK}/{path}{query}", {}, json.dumps(body).encode())


def _generic(kind: str, **more: Any) -> Say:
    def say(call: str, order: str) -> Raw:
        event = {"event_id": f"e{next(_serial)}", "call_id": call, "type": kind}
        return _json("events", event | {"from": "+493012345678", "to": "+15550100"} | more)

    return say


def _kamailio(event: str, code: int = 182) -> Say:
    def say(call: str, order: str) -> Raw:
        told: dict[str, Any] = {"event": event, "call_id": call, "code": code, "from": "+493012345678", "to": "support"}
        told |= {"order": order} if order else {}
        return _json("events", told | {"at": f"{1_600_000_000 + next(_serial) / 1_000:.6f}"})

    return say


def _twilio(path: str, leg: bool = False, **fields: str) -> Say:
    def say(call: str, order: str) -> Raw:
        query = f"?order={order}" if order else ""
        form = {"CallSid": f"{call}L" if leg else call, "From": "+493012345678", "To": "+15550100"} | fields
        form |= {"ParentCallSid": call} if leg else {}
        return Raw(path, f"{HOOK}/{path}{query}", {}, urlencode(form).encode())

    return say


def _jambonz(path: str, leg: bool = False, **fields: Any) -> Say:
    def say(call: str, order: str) -> Raw:
        query = f"?{seal({'order': order}, call, SECRET)}" if order else ""
        hook = {"call_sid": f"{call}-leg" if leg else call, "from": "+493012345678", "to": "+15550100"} | fields
        return _json(path, hook | ({"parent_call_sid": call} if leg else {}), query)

    return say


def _plivo(path: str, **fields: str) -> Say:
    def say(call: str, order: str) -> Raw:
        query = f"?order={order}" if order else ""
        form = {"CallUUID": call, "From": "493012345678", "To": "15550100"} | fields
        return Raw(path, f"{HOOK}/{path}{query}", {}, urlencode(form).encode())

    return say


VOICES: dict[str, Voice] = {
    "generic": Voice(
        _generic("incoming"),
        _generic("alive"),
        _generic("answered"),
        _generic("connect_failed", attributes={"reason": "busy"}),
        _generic("ended"),
        _generic("abandoned"),
    ),
    "kamailio": Voice(
        _kamailio("offered"),
        _kamailio("waiting"),
        _kamailio("answered", 200),
        _kamailio("agent_failed", 486),
        _kamailio("ended"),
        _kamailio("abandoned", 487),
    ),
    "twilio": Voice(
        _twilio("voice", CallStatus="ringing"),
        _twilio("wait", QueueTime="5"),
        _twilio("status", leg=True, CallStatus="in-progress", SequenceNumber="2"),
        _twilio("dial", DialCallStatus="busy"),
        _twilio("dial", DialCallStatus="completed"),
        _twilio("dial", QueueResult="hangup"),
    ),
    "jambonz": Voice(
        _jambonz("call", call_status="trying"),
        _jambonz("wait", queue_sid="q"),
        _jambonz("status", leg=True, call_status="in-progress"),
        _jambonz("dial", dial_call_status="busy"),
        _jambonz("dial", dial_call_status="completed"),
        _jambonz("queue", queue_result="hangup"),
    ),
    "plivo": Voice(
        _plivo("answer", CallStatus="ringing", Event="StartApp"),
        _plivo("wait", CallStatus="in-progress"),
        _plivo("leg", DialAction="connected", DialBLegUUID="leg-1"),
        _plivo("dial", DialStatus="busy"),
        _plivo("dial", DialStatus="completed"),
        _plivo("hangup", CallStatus="completed", Event="Hangup"),
    ),
}
