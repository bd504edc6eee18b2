"""What the bytes of a record mean, now and in ten years.

A payload is a `Record` in MessagePack: `[at_ms, key, [tag, field, ...]]`. What can change, and what it takes:

- A new event, or a new field at the end with a default: nothing. Old records decode as before. An older program
  that meets an event it does not know, or a configuration with an option that it does not know, refuses
  (JournalVersion) instead of guessing.
- Anything else: FORMAT goes up by one, and UPCASTS says how a record of the format before becomes one of the next,
  on plain lists and dicts. An upcast is never edited once it was released, since journals with that format exist.

A journal notes once from which record on it is written in which format, and `read` applies the upcasts. So `decode`
only ever sees today's format, and a record costs nothing for the history of the program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from router.engine.config import from_bytes
from router.engine.events import AnyEvent, Configured, Event, Record
from router.errors import JournalVersion

FORMAT = 1

# Format n -> what turns a record of format n, as plain lists and dicts, into one of format n + 1.
Upcast = Callable[[Any], Any]
UPCASTS: Mapping[int, Upcast] = {}

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


def encode(at_ms: int, key: str, event: AnyEvent) -> bytes:
    """The payload of one record, in today's format."""
    return _encode((at_ms, key, event))  # the same bytes as a Record, without making one


def write(payloads: list[bytes], at_ms: int, key: str, events: Iterable[Event]) -> None:
    """Add the payloads of one command's records; the key stands in the first of them."""
    for event in events:
        payloads.append(_encode((at_ms, key, event)))
        key = ""


def decode(payload: bytes) -> Record:
    """The record of a payload in today's format.

    Its checksum was right when this is called, so what cannot be understood was written by a program that knows more:
    JournalVersion.
    """
    try:
        record = _decode(payload)
        if type(record.event) is Configured:
            from_bytes(record.event.document)
        return record
    except msgspec.DecodeError as error:
        raise JournalVersion(
            f"the journal holds a record that this version does not understand ({error}); "
            "run the version that wrote it, or newer"
        ) from error


def check_format(found: int, current: int = FORMAT) -> None:
    """Raise JournalVersion for a format that is newer than this program."""
    if found > current:
        raise JournalVersion(
            f"the journal has format {found}, this version reads up to {current}; "
            "run the version that wrote it, or newer"
        )


def upcast(payload: bytes, found: int, current: int = FORMAT, upcasts: Mapping[int, Upcast] = UPCASTS) -> bytes:
    """The payload of format `found` in format `current`."""
    check_format(found, current)
    raw = msgspec.msgpack.decode(payload)
    for version in range(found, current):
        raw = upcasts[version](raw)
    return _encode(raw)


def named(value: Any) -> Any:
    """An event with the names of its fields, for people and other programs; on disk they are positions."""
    if isinstance(value, msgspec.Struct) and value.__struct_config__.array_like:
        return {name: named(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple | list):
        return [named(item) for item in value]
    return msgspec.to_builtins(value, str_keys=True)
