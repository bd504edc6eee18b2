"""The AsyncAPI 3 document of the two websocket protocols, made from the message types that the edges really use.

It is written from the server's side: an operation `receive` is what a client sends. Everything that says what a message
is comes from its struct: fields, limits, docstring. Only what no struct holds stands here: close codes and the path.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any, get_args

import msgspec
from msgspec import Struct
from websockets.frames import CloseCode

from channels.chat import adapter as chat_edge
from channels.chat import conversation as chat
from channels.chat import parse as chat_in
from channels.chat import render as chat_out
from channels.chat.settings import Settings as ChatSettings
from router import __version__
from router.agents import messages as agent_messages
from router.agents import protocol as agents
from router.agents import server as agent_edge
from router.http.openapi import schema_hook
from router.service import sockets
from router.settings import Sockets

CHAT_FRAMES: tuple[type[Struct], ...] = get_args(chat_in.Frame)
CHAT_ANSWERS: tuple[type[Struct], ...] = tuple(chat_out.Frame.__subclasses__())

# What the shared port decides, whoever speaks on it.
PORT_CODES: dict[int, str] = {
    CloseCode.GOING_AWAY: "the server stops: come back where you were",
    CloseCode.UNSUPPORTED_DATA: "a binary frame: speak JSON text",
    CloseCode.INVALID_DATA: "text that is not UTF-8: repair the client",
    sockets.TOO_SLOW: "what was sent was not read in time: come back where you were",
    CloseCode.MESSAGE_TOO_BIG: "a frame over sockets.max_message_bytes: send less",
    CloseCode.INTERNAL_ERROR: "no pong in time, or a bug that the log has: come back where you were",
    sockets.TRY_AGAIN_LATER: "no place now, or hello cannot be recorded now: come back later",
}
AGENT_CODES: dict[int, str] = {
    agents.RESTARTING: "goodbye was said: come back after its retry_after_ms with last_seq",
    agents.BAD_HELLO: "hello was missing or not understood: repair the client",
    agents.UNAUTHENTICATED: "the token is not known: get another one",
    agents.NO_SUCH_AGENT: "the token's agent is not in the configuration: tell an operator",
    agents.HELLO_TIMEOUT: "silent for agent_link.hello_timeout: say hello at once",
    agents.TOO_MANY: "too many wrong tokens from this address, or too many sessions of this agent",
}
CHAT_CODES: dict[int, str] = {
    chat.LEFT: "the visitor said leave: nothing to do",
    chat.NOT_UNDERSTOOD: "no hello first, or too much that was not understood: repair the client",
    chat.NOT_BELIEVED: "token or signed visitor wrong or too old: say hello without it",
    chat.NO_ROUTE: "no rule takes this topic: ask for another one",
    chat.SILENT: "silent for chat.hello_timeout: say hello at once",
    chat.TOO_MANY_WINDOWS: "the visitor opened more windows than chat.sockets_per_visitor: nothing, the newest work",
    chat.TOO_FAST: "more frames than one socket may send: slow down",
}


def document() -> dict[str, Any]:
    """The whole document as plain data."""
    sections = (
        _Link(
            "agent",
            "An agent's client",
            agent_edge.PATH,
            agent_messages.SUBPROTOCOL,
            agent_messages,
            agent_messages.CLIENT_MESSAGES,
            agent_messages.SERVER_MESSAGES,
            PORT_CODES | AGENT_CODES,
        ),
        _Link(
            "chat",
            "A visitor's client",
            ChatSettings().path,
            chat_edge.SUBPROTOCOL,
            chat_out,
            CHAT_FRAMES,
            CHAT_ANSWERS,
            PORT_CODES | CHAT_CODES,
        ),
    )
    made: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Switchboard",
            "version": __version__,
            "description": "The websocket protocols of agents and of chat visitors: JSON text frames told apart by "
            "`type`. Seen from the server: it receives what clients send.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "default": {
                "host": f"{Sockets().host}:{Sockets().port}",
                "protocol": "ws",
                "description": "The shared websocket port where nothing else is configured; wss where it has TLS",
            }
        },
        "channels": {},
        "operations": {},
        "components": {"messages": {}, "schemas": {}},
    }
    for section in sections:
        section.write(made)
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(made))  # as a reader gets it: no tuples
    return plain


def text() -> str:
    return msgspec.json.format(msgspec.json.encode(document()), indent=2).decode() + "\n"


class _Link:
    """One path of the port with what is said there, and its part of the document."""

    def __init__(
        self,
        name: str,
        who: str,
        path: str,
        subprotocol: str,
        rules: Any,
        heard: Sequence[type[Struct]],
        said: Sequence[type[Struct]],
        codes: dict[int, str],
    ) -> None:
        self.name, self.who, self.path, self.subprotocol = name, who, path, subprotocol
        self.rules = inspect.cleandoc(rules.__doc__ or "")
        self.heard, self.said, self.codes = heard, said, codes
        refs = f"#/components/schemas/{name}.{{name}}"
        kinds = [*heard, *said]
        _, self.schemas = msgspec.json.schema_components(kinds, schema_hook=schema_hook, ref_template=refs)
        for kind in said:
            _without_placeholder(self.schemas[kind.__name__])

    def write(self, made: dict[str, Any]) -> None:
        schemas = made["components"]["schemas"]
        schemas |= {f"{self.name}.{name}": schema for name, schema in sorted(self.schemas.items())}
        for direction, kinds in (("in", self.heard), ("out", self.said)):
            made["components"]["messages"] |= {self._key(direction, kind): self._message(kind) for kind in kinds}
        made["channels"][self.name] = self._channel()
        made["operations"] |= {
            f"{self.name}.receive": self._operation("receive", "in", self.heard),
            f"{self.name}.send": self._operation("send", "out", self.said),
        }

    def _key(self, direction: str, kind: type[Struct]) -> str:
        return f"{self.name}.{direction}.{tag_of(kind)}"

    def _message(self, kind: type[Struct]) -> dict[str, Any]:
        made = {"name": tag_of(kind), "payload": {"$ref": f"#/components/schemas/{self.name}.{kind.__name__}"}}
        summary = self.schemas[kind.__name__].get("description")
        return made | {"summary": summary} if summary else made

    def _channel(self) -> dict[str, Any]:
        messages = [(d, kind) for d, kinds in (("in", self.heard), ("out", self.said)) for kind in kinds]
        return {
            "address": self.path,
            "title": self.who,
            "description": self.rules,
            "messages": {
                f"{d}.{tag_of(kind)}": {"$ref": f"#/components/messages/{self._key(d, kind)}"} for d, kind in messages
            },
            "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
            "x-subprotocol": self.subprotocol,
            "x-close-codes": {str(int(code)): meaning for code, meaning in sorted(self.codes.items())},
        }

    def _operation(self, action: str, direction: str, kinds: Iterable[type[Struct]]) -> dict[str, Any]:
        return {
            "action": action,
            "channel": {"$ref": f"#/channels/{self.name}"},
            "summary": f"{self.who} {'says' if action == 'receive' else 'is told'}",
            "messages": [{"$ref": f"#/channels/{self.name}/messages/{direction}.{tag_of(kind)}"} for kind in kinds],
        }


def tag_of(kind: type[Struct]) -> str:
    return str(kind.__struct_config__.tag)


def _without_placeholder(schema: dict[str, Any]) -> None:
    """`seq` is set just before a chat frame is encoded; the value that stands for "not yet" is never sent."""
    seq = schema["properties"].get("seq")
    if seq is not None and seq.pop("default", None) is not None:
        schema["required"] = [*schema.get("required", []), "seq"]
