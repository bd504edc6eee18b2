"""Which telephones a kind of gateway can ring, so that a wrong one is refused with the configuration, not by a caller.

sip      sip:ana@10.0.0.7:5060;transport=tls
number   +493012345678
client   client:ana               a browser at Twilio
user     user:ana@example.org     registered at jambonz
leg      leg:ana                  nailed up: a leg that the agent keeps open at the gateway, and nothing rings
"""

from __future__ import annotations

import re
from typing import Literal

Form = Literal["sip", "number", "client", "user", "leg"]

_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)"
_NAME = r"[A-Za-z0-9_.!~*'()%+-]{1,100}"
_FORMS: dict[Form, tuple[re.Pattern[str], str]] = {
    "sip": (re.compile(rf"sips?:(?:{_NAME}@)?{_HOST}(?::[0-9]{{1,5}})?(?:[;?][!-~]*)?"), "sip:NAME@HOST"),
    "number": (re.compile(r"\+[1-9][0-9]{6,14}"), "+NUMBER"),
    "client": (re.compile(rf"client:{_NAME}"), "client:NAME"),
    "user": (re.compile(rf"user:{_NAME}@{_HOST}"), "user:NAME@REALM"),
    "leg": (re.compile(r"leg:[!-~]{1,200}"), "leg:NAME"),
}
ALL: frozenset[Form] = frozenset(_FORMS)


def can_ring(endpoint: str, forms: frozenset[Form]) -> bool:
    return any(_FORMS[form][0].fullmatch(endpoint) for form in forms)


def pattern(forms: frozenset[Form]) -> str:
    """Of all endpoints that can be rung, as a regular expression."""
    return "|".join(_FORMS[form][0].pattern for form in _FORMS if form in forms)


def described(forms: frozenset[Form]) -> str:
    """What may be written there: "sip:NAME@HOST or +NUMBER"."""
    return " or ".join(_FORMS[form][1] for form in _FORMS if form in forms)
