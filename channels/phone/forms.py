"""URL-encoded forms and queries as telephone services send them, within a gateway's limits."""

from __future__ import annotations

from urllib.parse import parse_qs

from channels.phone.settings import Gateway
from router.errors import BadMessage, TooLarge

Form = dict[str, list[str]]

_THEIRS = 64  # fields that a service sends by itself: some thirty at Twilio, twenty at Plivo


def fields(text: bytes, gateway: Gateway) -> Form:
    """Raises BadMessage and TooLarge."""
    most = gateway.max_attributes + _THEIRS
    try:
        found = parse_qs(text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=most)
    except UnicodeDecodeError as problem:
        raise BadMessage("the form is not URL-encoded UTF-8") from problem
    except ValueError as problem:
        raise TooLarge(f"more than {most} fields") from problem
    longest = max((len(text) for name, values in found.items() for text in (name, *values)), default=0)
    if longest > gateway.max_text:
        raise TooLarge(f"a text has {longest} characters; at most {gateway.max_text} are taken here")
    return found


def query_of(target: str, gateway: Gateway) -> Form:
    """The fields in the query of a request's target. Raises BadMessage and TooLarge."""
    return fields(target.partition("#")[0].partition("?")[2].encode("utf-8", "surrogateescape"), gateway)
