"""The configuration reference, written from the settings' own source: every option, its default, its reason.

`config/router.toml` is this text. It is a configuration that works: tables that hold named things (channels, queues,
agents, gateways ...) get one example entry with every option spelled out. An option without a value stands as a
comment. The comments are those beside the fields, so an option cannot be added without its explanation; a test compares
file and structs.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
import textwrap
import typing
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from channels.registry import KINDS
from router.engine.config import Config, Duration
from router.engine.requirements import Node
from router.settings import Settings

HEAD = """\
Every option of Switchboard with its default, and what leaving it out does. Written by `switchboard reference`.
Durations have a unit ("20s", "4h", "1h30m"); sizes are in bytes. Tables with names of their own (channels.fax,
queues.support ...) are examples: name yours as you like. Lines that are commented out have no value by default.
"""

# What stands in for names and for options that have no default.
NAMES = {
    "channels": "fax",
    "domains": "north",
    "calendars": "office",
    "queues": "support",
    "agents": "ana",
    "gateways": "trunk",
    "addresses": "support@example.org",
    "folders": "fax",
    "translations": "es",
}
SAMPLES: dict[tuple[str, str], Any] = {
    ("Band", "name"): "normal",
    ("DomainSettings", "number"): 1,
    ("Rule", "name"): "everything",
    ("Rule", "queue"): "support",
    ("Borrow", "lender"): "sales",
    ("Overflow", "to"): "partner",
    ("Overflow", "wait"): Duration(180_000),
    ("Overflow", "below"): Duration(60_000),
    ("Gateway", "secrets"): ["a-secret-of-your-own"],
    ("Listener", "port"): 2525,
    ("Tls", "certificate"): "/etc/switchboard/tls.pem",
    ("Tls", "key"): "/etc/switchboard/tls.key",
    ("SmartHost", "host"): "smtp.example.org",
    ("Wording", "template"): "{text} ({agent})",
    ("FaxMail", "senders"): ["fax@pbx.example.org"],
    ("Template", "name"): "Greeting",
    ("Template", "text"): "Dear {name}, thank you for writing to us.",
    ("OidcSettings", "issuer"): "https://login.example/realms/main",
    ("OidcSettings", "client_id"): "switchboard",
    ("Site", "prefix"): "N",
    ("Offline", "mail_to"): "support@example.org",
    ("Transcript", "sender"): "support@example.org",
    ("ImapBox", "host"): "imap.example.org",
    ("ImapBox", "username"): "support@example.org",
    ("ImapBox", "password"): "secret",
    ("ImapBox", "address"): "support@example.org",
}
# Rows whose example would contradict the queue that it stands in: they stand as comments.
SHOWN_ONLY = {"Step", "Borrow", "Overflow", "QueueTexts", "DomainSettings", "Translation"}
# What is never written by hand, and replaced if it is.
WORKED_OUT = {("Calendar", "almanac"), ("Rule", "place")}
WIDTH = 118


def text() -> str:
    """The whole reference."""
    parts = _comment(HEAD)
    plain, tables = _body(Settings, "", skip=("adapters",))
    decided, decided_tables = _body(Config, "")
    parts += ["", *plain, *decided, *tables]
    parts += _banner("What the engine decides by: journaled with every change, live through POST /v1/config")
    parts += decided_tables
    parts += _banner("Channels' edges. A section that is left out switches its channel off")
    for kind, entry in KINDS.items():
        parts += _table(entry.settings, kind)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def _banner(words: str) -> list[str]:
    return ["", f"# {'=' * (WIDTH - 2)}", *_comment(words), ""]


def _body(kind: type[Struct], path: str, skip: tuple[str, ...] = ()) -> tuple[list[str], list[str]]:
    """Plain values, which must come first in TOML, and the tables below them."""
    plain: list[str] = []
    tables: list[str] = []
    for f in fields(kind):
        if f.name in skip or (kind.__name__, f.name) in WORKED_OUT:
            continue
        inner, many = _inner(f.type)
        if inner is None or inner is Node:
            plain += _value(kind, f)
        else:
            tables += _below(kind, f, inner, many, f"{path}.{f.encode_name}" if path else f.encode_name)
    return plain, tables


def _below(kind: type[Struct], f: FieldInfo, inner: type[Struct], many: str, path: str) -> list[str]:
    said = _comment(" ".join(_told(kind, f.name)))
    if many == "dict":
        lines = _table(inner, f"{path}.{_key(NAMES.get(f.name, 'example'))}")
        return ["", *said, *(_as_comments(lines) if inner.__name__ in SHOWN_ONLY else lines)]
    if many == "list" and inner.__name__ in SHOWN_ONLY:
        return ["", *said, *_as_comments(_table(inner, path, "[[{}]]"))]
    if many == "list":
        return ["", *said, *_table(inner, path, "[[{}]]")]
    if f.default is None:
        return ["", *said, *_as_comments(_table(inner, path))]
    return ["", *said, *_table(inner, path, default=f.default)]


def _as_comments(lines: list[str]) -> list[str]:
    return [f"# {line}" if line else "" for line in lines]


def _table(kind: type[Struct], path: str, form: str = "[{}]", default: Any = NODEFAULT) -> list[str]:
    lines = [form.format(path), *_comment(_about(kind))]
    return ["", *lines, *_body_of(kind, path, default)]


def _body_of(kind: type[Struct], path: str, default: Any) -> list[str]:
    if default is NODEFAULT:
        plain, below = _body(kind, path)
        return [*plain, *below]
    lines: list[str] = []
    tables: list[str] = []
    for f in fields(kind):
        inner, many = _inner(f.type)
        if inner is None or inner is Node:
            lines += _value(kind, f, getattr(default, f.name))
        elif getattr(default, f.name) is None or many:
            tables += _below(kind, f, inner, many, f"{path}.{f.encode_name}")
    return lines + tables


def _value(kind: type[Struct], f: FieldInfo, value: Any = NODEFAULT) -> list[str]:
    if value is NODEFAULT:
        value = _default(kind, f)
    above, beside = _told(kind, f.name)
    line = f"{f.encode_name} = {toml(value)}" if value is not None else f"# {f.encode_name} ="
    if beside and len(line) + len(beside) + 4 <= WIDTH:
        return [*_comment(above), f"{line}  # {beside}"]
    return [*_comment(above), *_comment(beside), line]


def _default(kind: type[Struct], f: FieldInfo) -> Any:
    if f.default is not NODEFAULT:
        return f.default
    if f.default_factory is not NODEFAULT:
        return f.default_factory()
    return SAMPLES[kind.__name__, f.name]


def _inner(kind: Any) -> tuple[type[Struct] | None, str]:
    """The struct that a field holds, and whether it is one, a "dict" or a "list" of them."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _inner(args[0])
    if origin in (Union, UnionType):
        return next((found for found in map(_inner, args) if found[0] is not None), (None, ""))
    if origin is dict:
        return _inner(args[1])[0], "dict"
    if origin in (tuple, list):
        return _inner(args[0])[0], "list"
    return (kind, "") if isinstance(kind, type) and issubclass(kind, Struct) else (None, "")


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, Duration):
        return f'"{value}"'
    if isinstance(value, Node):
        return _inline(msgspec.to_builtins(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, dict):
        return _inline(value)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return str(value)


def _inline(table: dict[str, Any]) -> str:
    return "{ " + ", ".join(f"{_key(k)} = {toml(v)}" for k, v in table.items()) + " }" if table else "{}"


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() else f'"{name}"'


# --- what the source says ---------------------------------------------------------------------------------------------


def _comment(words: str) -> list[str]:
    return ["# " + line for paragraph in words.split("\n") for line in textwrap.wrap(paragraph, WIDTH - 2)]


def _about(kind: type[Struct]) -> str:
    return inspect.cleandoc(kind.__doc__ or "")


def _told(kind: type[Struct], name: str) -> tuple[str, str]:
    """The comments above and beside a field, from whichever class of the family defines it."""
    for owner in kind.__mro__:
        said = _comments(owner).get(name) if owner.__module__.startswith(("router", "channels")) else None
        if said is not None:
            return said
    return "", ""


@functools.cache
def _comments(kind: type) -> dict[str, tuple[str, str]]:
    source = textwrap.dedent(inspect.getsource(kind))
    lines = source.splitlines()
    found: dict[str, tuple[str, str]] = {}
    above: list[str] = []
    ends = {node.lineno: node for node in _assignments(source)}
    at = 1
    while at <= len(lines):
        stripped = lines[at - 1].strip()
        node = ends.get(at)
        if node is not None and isinstance(node.target, ast.Name):
            last = lines[(node.end_lineno or at) - 1]
            beside = last.partition("  # ")[2]
            found[node.target.id] = " ".join(above), beside
            above = []
            at = (node.end_lineno or at) + 1
            continue
        above = [*above, stripped[2:]] if stripped.startswith("# ") and not stripped.startswith("# -") else []
        at += 1
    return found


def _assignments(source: str) -> Iterator[ast.AnnAssign]:
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    return (node for node in body.body if isinstance(node, ast.AnnAssign))
