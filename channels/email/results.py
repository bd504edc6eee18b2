"""What the mail server in front of us found out about a sender: Authentication-Results (RFC 8601). Pure.

Anybody can write such a field into their mail. It says something only where it was written by a server that is named in
the settings, by the name with which that server signs (its authserv-id); servers take foreign fields under their own
name off what comes in (RFC 8601 5). Nothing is computed here: agents are shown what was found, and rules may ask.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from channels.email.text import clean

# Method of RFC 8601 -> the contact's attribute.
ATTRIBUTES = {"dkim": "auth_dkim", "spf": "auth_spf", "dmarc": "auth_dmarc", "arc": "auth_arc", "iprev": "auth_iprev"}
FIELD_MAX = 4_096

_COMMENT = re.compile(r"\([^()]*\)")
_RESULT = re.compile(r"\s*(dmarc|dkim|spf|arc|iprev)(?:/\d+)?\s*=\s*([a-z]{2,12})\b", re.IGNORECASE)
_BEST = ("pass", "fail", "softfail", "neutral", "policy", "temperror", "permerror", "none")


def authentication(fields: Iterable[str], trusted: Collection[str]) -> dict[str, str]:
    """{"auth_dkim": "pass", ...} of the topmost field that a trusted server wrote."""
    for field in fields:
        server, _, rest = _COMMENT.sub(" ", field[:FIELD_MAX]).partition(";")
        name = server.split()[:1]
        if name and name[0].strip('"').lower() in trusted:
            return _results(rest)
    return {}


def _results(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for piece in text.split(";"):
        result = _RESULT.match(piece)
        if result:
            method, value = ATTRIBUTES[result[1].lower()], clean(result[2].lower(), 12)
            # Of several signatures one that holds is enough (RFC 6376 6.1).
            if method not in found or _rank(value) < _rank(found[method]):
                found[method] = value
    return found


def _rank(value: str) -> int:
    return _BEST.index(value) if value in _BEST else len(_BEST)
