"""Read what a visitor's client sends: one JSON object in one text frame, told apart by `type`.

Pure. Unknown fields are ignored, so that a newer client can talk to an older server; a field of the wrong type is not.
What a person typed is taken as it is. What ends up in names and keys has no control characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from router.errors import BadMessage, TooLarge
from router.service.halves import made_whole

SEQ_MAX = 2**53  # what a browser can count to
FILES_MAX = 10  # of one message
# One plain address: nothing that could be a second one, or a header. What is stranger than this has other ways to us.
_EMAIL = re.compile(r"[^\s@<>\"(),:;\[\]\\]{1,64}@(?:[^\s@<>\"(),:;\[\]\\.]{1,63}\.){1,8}[^\s@<>\"(),:;\[\]\\.]{2,63}")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_BETWEEN = re.compile(r"[ ()./-]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

Ident = Annotated[str, Meta(min_length=1, max_length=64)] | Annotated[int, Meta(ge=-SEQ_MAX, le=SEQ_MAX)]
Short = Annotated[str, Meta(max_length=100)]
Proof = Annotated[str, Meta(max_length=4_000)]


class Hello(Struct, frozen=True, tag="hello", tag_field="type"):
    """Who is there. `last_seq`: the last number this client has seen, to go on from there.

    `token` comes from an earlier welcome. `visitor` is a name the embedding page gives, believed only if it signed it.
    """

    visitor: Proof | None = None
    token: Proof | None = None
    topic: Short | None = None
    last_seq: Annotated[int, Meta(ge=0, le=SEQ_MAX)] | None = None
    name: Short | None = None
    language: Annotated[str, Meta(max_length=35)] | None = None  # RFC 5646 asks for room for 35


class Text(Struct, frozen=True, tag="message", tag_field="type"):
    """Something said. `id` is the client's own and never used for anything else by this visitor.

    `files` are what uploading them gave. With files the text may be empty.
    """

    id: Ident
    text: str = ""
    files: Annotated[tuple[Proof, ...], Meta(max_length=FILES_MAX)] = ()


class Typing(Struct, frozen=True, tag="typing", tag_field="type"):
    """The visitor is writing, or (`on` false) no longer. To be said again every few seconds."""

    on: bool = True


class Received(Struct, frozen=True, tag="received", tag_field="type"):
    """This client has every message up to the one with this time."""

    at_ms: Annotated[int, Meta(ge=0, le=SEQ_MAX)]


class Read(Struct, frozen=True, tag="read", tag_field="type"):
    """The visitor has seen every message up to the one with this time."""

    at_ms: Annotated[int, Meta(ge=0, le=SEQ_MAX)]


class Here(Struct, frozen=True, tag="here", tag_field="type"):
    """I am still there: the answer to `idle`."""


class LeaveLetter(Struct, frozen=True, tag="letter", tag_field="type"):
    """What a visitor leaves where nobody can talk to them now; the answer comes by mail."""

    id: Ident
    email: Annotated[str, Meta(max_length=254)]  # RFC 5321 4.5.3.1.3
    text: str
    name: Short | None = None


class SendCopy(Struct, frozen=True, tag="transcript", tag_field="type"):
    """Send me all that was said by mail, once it is over."""

    id: Ident
    email: Annotated[str, Meta(max_length=254)]


class CallMe(Struct, frozen=True, tag="callback", tag_field="type"):
    """Yes, call me back: the answer to `callback_offered`. At `at_ms` (Unix milliseconds), or when it is my turn."""

    phone: Annotated[str, Meta(max_length=40)]  # with the country: "+1 555 0199"
    at_ms: Annotated[int, Meta(ge=0, le=SEQ_MAX)] | None = None


class Goodbye(Struct, frozen=True, tag="leave", tag_field="type"):
    """The visitor is done. A socket that closes does not say this."""


Frame = Hello | Text | Typing | Received | Read | Here | LeaveLetter | SendCopy | CallMe | Goodbye

T = TypeVar("T")

_decode = msgspec.json.Decoder(Frame).decode


class _Probe(Struct, frozen=True):
    id: Ident | None = None


_probe = msgspec.json.Decoder(_Probe).decode


def _read(decoder: Callable[[str | bytes], T], data: str | bytes) -> T:
    try:
        return decoder(data)
    except msgspec.DecodeError:
        return decoder(made_whole(data))


def parse(data: str | bytes, text_max: int) -> Frame:
    """One frame. Raises BadMessage for what is not one, TooLarge for a text of more than `text_max` characters."""
    try:
        frame: Frame = _read(_decode, data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as wrong:
        raise BadMessage(f"expected a JSON object with a known type: {_reason(wrong)}") from None
    if isinstance(frame, Text):
        _check_text(frame, text_max)
    elif isinstance(frame, Hello):
        _check_hello(frame)
    elif isinstance(frame, CallMe):
        return replace(frame, phone=_number(frame.phone))
    elif isinstance(frame, LeaveLetter):
        return _check_letter(frame, text_max)
    elif isinstance(frame, SendCopy):
        return replace(frame, email=_address(frame.email))
    return frame


def ident_of(data: str | bytes) -> str | int | None:
    """The `id` of a frame that was refused, where it can be read."""
    try:
        return _read(_probe, data).id
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _reason(wrong: Exception) -> str:
    """Where it is wrong, without what was sent."""
    if isinstance(wrong, msgspec.ValidationError):
        return "invalid type" if "Invalid value" in str(wrong) else str(wrong)[:200]
    return "not JSON"


def _check_text(frame: Text | LeaveLetter, text_max: int) -> None:
    if not frame.text.strip() and not (isinstance(frame, Text) and frame.files):
        raise BadMessage("a message needs a text")
    if len(frame.text) > text_max:
        raise TooLarge(f"a message has at most {text_max} characters: send it in parts")
    if isinstance(frame.id, str) and _CONTROL.search(frame.id):
        raise BadMessage("an id has no control characters")


def _check_letter(frame: LeaveLetter, text_max: int) -> LeaveLetter:
    _check_text(frame, text_max)
    if frame.name is not None and _CONTROL.search(frame.name):
        raise BadMessage("a name has no control characters")
    return replace(frame, email=_address(frame.email))


def _address(written: str) -> str:
    address = written.strip()
    if not _EMAIL.fullmatch(address) or _CONTROL.search(address):
        raise BadMessage("email: one address, such as eva@example.com")
    return address


def _number(written: str) -> str:
    """As E.164 has it: people write spaces and brackets."""
    number = _BETWEEN.sub("", written)
    if not _E164.fullmatch(number):
        raise BadMessage("phone: a number with its country, such as +15550199")
    return number


def _check_hello(frame: Hello) -> None:
    for value in (frame.visitor, frame.token, frame.topic, frame.name, frame.language):
        if value is not None and _CONTROL.search(value):
            raise BadMessage("the fields of hello have no control characters")
