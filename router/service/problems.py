"""Refusals over HTTP: RFC 9457 problem details, made from the error tree.

Clients decide by `code`, which is stable; `title` is the status's own phrase and `detail` one sentence for a person.
The type is always "about:blank", which by RFC 9457 section 4.2.1 says just this: look at the status, and at `code`.

Something unexpected is answered with a reference and nothing else; the log has the rest under the same reference.
"""

from __future__ import annotations

import secrets
from http import HTTPStatus

import msgspec
from aiohttp import web
from msgspec import Struct

from router import errors as e
from router.observe import get_logger

log = get_logger("http")

PROBLEM_TYPE = "application/problem+json"
JSON_TYPE = "application/json"


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every refusal."""

    title: str
    status: int
    detail: str
    code: str
    type: str = "about:blank"
    instance: str = ""  # of an unexpected error: the reference under which the log has it
    field: str = ""  # of the body: the one that is wrong, where that is known and a form can show it


# The first line whose class matches decides. Refusals are 503 and not 429, but for guessing: the trouble is ours, and
# gateways that know nothing of us retry on a 503.
STATUS: tuple[tuple[type[e.RouterError], int], ...] = (
    (e.BadMessage, 422),
    (e.TooLarge, 413),
    (e.Unauthenticated, 401),
    (e.Forbidden, 403),
    (e.NotFound, 404),
    (e.UnknownName, 422),
    (e.NoRoute, 422),
    (e.TurnedAway, 409),
    (e.IllegalMove, 409),
    (e.NotOwner, 409),
    (e.OfferGone, 409),
    (e.NotEligible, 409),
    (e.NoCapacity, 409),
    (e.ClientError, 400),
    (e.TooManyAttempts, 429),
    (e.Refusal, 503),
    (e.ConfigError, 422),
)

# What the HTTP library refuses by itself, in our words. Statuses that are not here get "bad-request".
CODES = {401: "unauthenticated", 403: "forbidden", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}


def status_of(error: BaseException) -> int:
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def encode(status: int, code: str, detail: str, instance: str = "", field: str = "") -> bytes:
    title = HTTPStatus(status).phrase
    # `type` is a default that RFC 9457 lets us leave out; it is written because many clients show it.
    problem = Problem(title=title, status=status, detail=detail, code=code, instance=instance, field=field)
    return b'{"type":"about:blank",' + msgspec.json.encode(problem)[1:]


def problem_response(error: BaseException) -> web.Response:
    """The answer to a caller whose request ended so. What is not one of our refusals is logged with a reference."""
    status = status_of(error)
    if status == 500:
        return unexpected(error)
    assert isinstance(error, e.RouterError)
    headers = {}
    if isinstance(error, e.Refusal):
        headers["Retry-After"] = str(max(1, error.retry_after_s))
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="switchboard"'
    field = error.field if isinstance(error, e.BadMessage) else ""
    detail = str(error) or HTTPStatus(status).description
    return _response(status, encode(status, error.code, detail, field=field), headers)


def unexpected(error: BaseException) -> web.Response:
    reference = secrets.token_hex(6)
    log.error("Request failed", action="request_failed", reference=reference, exc_info=error)
    detail = f"Something went wrong on our side; the log has it under {reference}."
    return _response(500, encode(500, "internal", detail, f"urn:reference:{reference}"), {})


def library_response(error: web.HTTPException) -> web.Response:
    """The HTTP library's own refusals (no such path, wrong method, body too large) in the same form."""
    status, code = error.status, CODES.get(error.status, "internal" if error.status >= 500 else "bad-request")
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return _response(status, encode(status, code, HTTPStatus(status).description or error.reason), headers)


def _response(status: int, body: bytes, headers: dict[str, str]) -> web.Response:
    return web.Response(status=status, body=body, content_type=PROBLEM_TYPE, headers=headers)
