"""What a route says of itself, and the few steps that all JSON routes share.

`describe` hangs a `RouteInfo` on a handler; the OpenAPI document is made from these, so a route that says nothing is
not in it. Adapters use it for their own routes:

    @describe("A phone event of a gateway", body=Event, answer=Answer, refuses=(Unauthenticated, BadMessage))
    async def events(request): ...
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from router.engine.config import decode_hook, encode_hook
from router.errors import BadMessage, ClientError, RouterError, TooLarge
from router.service.halves import made_whole
from router.service.problems import JSON_TYPE
from router.service.roles import Permission
from router.service.wording import preferred, worded

Who = Literal["anybody", "operator", "agent", "gateway"]
H = TypeVar("H", bound=Callable[..., Any])
T = TypeVar("T")

_ATTRIBUTE = "switchboard_route"


class RouteInfo(Struct, frozen=True, kw_only=True):
    """One route's contract. Types are msgspec structs or anything msgspec has a schema for; None: no body."""

    summary: str
    group: str = ""
    who: Who = "anybody"
    needs: Permission = "house"  # what whoever is let in as an operator must be allowed to do
    query: type[Struct] | None = None
    body: Any = None
    bodies: tuple[str, ...] = (JSON_TYPE,)  # media types taken
    body_required: bool = True
    answer: Any = None
    status: int = 200  # of a good answer
    statuses: dict[int, str] = {}  # further answers of the same form, with what they mean
    media: str = JSON_TYPE  # of a good answer
    refuses: tuple[type[RouterError], ...] = ()
    parameters: dict[str, Any] = {}  # path parameters that are not plain texts: name -> type
    # One fixed address, posted to so often that it is found without the library's table of routes. The handler takes
    # nothing from the application or the path.
    busy: bool = False


def describe(summary: str, **more: Any) -> Callable[[H], H]:
    info = RouteInfo(summary=summary, **more)

    def hang(handler: H) -> H:
        setattr(handler, _ATTRIBUTE, info)
        return handler

    return hang


def described(handler: object) -> RouteInfo | None:
    found = getattr(handler, _ATTRIBUTE, None)
    return found if isinstance(found, RouteInfo) else None


_shapes: dict[str, str] = {}  # a pattern as the library quotes it -> what it asks for, in words
_MISSHAPEN = re.compile(r"Expected `str` matching regex (?P<quoted>'.*')(?P<where>| - at `[^`]*`)", re.DOTALL)


def shaped(pattern: str, words: str, **more: Any) -> Meta:
    """For a text of a certain form: who gets it wrong is told `words`, and not the pattern."""
    _shapes[repr(pattern)] = words
    return Meta(pattern=pattern, **{"description": words, **more})


def in_words(error: msgspec.ValidationError) -> str:
    """What was expected and where, without regular expressions."""
    found = _MISSHAPEN.fullmatch(str(error))
    words = _shapes.get(found["quoted"]) if found is not None else None
    return f"Expected {words}{found['where']}" if found is not None and words else str(error)


_encode = msgspec.json.Encoder(enc_hook=encode_hook).encode


def json_response(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=_encode(value), content_type=JSON_TYPE)


def told_response(request: web.Request, told: Any) -> web.Response:
    """An explanation in the reader's language, as far as it is one of ours; codes are the same in each."""
    language = language_of(request)
    answer = json_response(worded(told, language))
    answer.headers["Content-Language"] = language
    answer.headers["Vary"] = "Accept-Language"
    return answer


def language_of(request: web.Request) -> str:
    return preferred(request.headers.get("Accept-Language", ""))


def decode_json(raw: bytes, kind: type[T]) -> T:
    """Raises ClientError for what is not JSON at all, BadMessage for JSON of another shape."""
    try:
        try:
            return msgspec.json.decode(raw, type=kind, dec_hook=decode_hook)
        except msgspec.DecodeError:
            return msgspec.json.decode(made_whole(raw), type=kind, dec_hook=decode_hook)
    except msgspec.ValidationError as error:
        raise BadMessage(in_words(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ClientError(f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise BadMessage("the body is nested too deeply") from error


def body_at_hand(request: web.Request, most: int) -> bytes | None:
    """The body where it came together with the head, as nearly all do. Raises TooLarge; None: `read_body` waits for it.

    Asked for once: it is gone then.
    """
    content = request.content
    if not content.is_eof() or content.total_bytes > request.client_max_size:
        return None
    raw = content.read_nowait()
    if len(raw) > most:
        raise TooLarge(f"the body has {len(raw)} bytes; at most {most} are taken here")
    return raw


async def read_body(request: web.Request, most: int) -> bytes:
    """The body, at most `most` bytes; the server's own limit holds besides. Raises TooLarge."""
    raw = body_at_hand(request, most)
    if raw is not None:
        return raw
    if (request.content_length or 0) > most:
        raise TooLarge(f"the body has {request.content_length} bytes; at most {most} are taken here")
    raw = await request.read()
    if len(raw) > most:
        raise TooLarge(f"the body has {len(raw)} bytes; at most {most} are taken here")
    return raw


async def read_json(request: web.Request, kind: type[T], most: int = 65_536) -> T:
    """The body as `kind`; an empty body counts as `{}`, so that what is all optional may be left out."""
    return decode_json(await read_body(request, most) or b"{}", kind)


def read_query(request: web.Request, kind: type[T]) -> T:
    """The query string as `kind`. A name twice, or one not known, is refused: a typo must not widen a search."""
    query = request.query
    if len(set(query)) != len(query):
        raise BadMessage("a parameter of the query stands there twice")
    try:
        return msgspec.convert(dict(query), kind, strict=False, dec_hook=decode_hook)
    except msgspec.ValidationError as error:
        raise BadMessage(f"in the query: {in_words(error)}") from error


# For a handler that takes long on purpose (a download, a stream) and limits its own time:
# `request.app[UNHURRIED]()` lifts the server's limit from the request in progress.
UNHURRIED: web.AppKey[Callable[[], None]] = web.AppKey("unhurried")
