"""Options of the desk in the browser. Leaving one out means its default."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Annotated

from msgspec import Meta, Struct, field

from router.errors import ConfigError

Word = Annotated[str, Meta(min_length=1, max_length=100)]

# As `customer_fields` names them and a card keeps them.
FieldName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]

# What may stand in a Content-Security-Policy as one source, and be opened as a websocket.
_SOCKET = re.compile(r"wss?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


# What the page puts into templates (`texts.js`).
PUT_IN = ("name", "agent", "subject")


class Template(Struct, frozen=True, forbid_unknown_fields=True):
    """A text that agents begin a reply or a note with. {name}, {agent} and {subject} are filled in."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]  # as the list shows it
    text: Annotated[str, Meta(min_length=1, max_length=20_000)]
    language: Annotated[str, Meta(max_length=35)] = ""  # shown first where the customer speaks it


class QueueTexts(Struct, frozen=True, forbid_unknown_fields=True):
    """What stands beside a conversation of one queue. Plain text; blank lines part paragraphs."""

    script: Annotated[str, Meta(max_length=20_000)] = ""  # what is said, in its order
    guidelines: Annotated[str, Meta(max_length=20_000)] = ""  # what holds, whatever is said
    templates: Annotated[tuple[Template, ...], Meta(max_length=200)] = ()


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The desk at /desk on the HTTP port. Left out: as below."""

    # False where people work in clients of your own: no page is served then.
    enabled: bool = True
    # Where browsers find the websocket port, such as "wss://desk.example:8443". Left out: at the host of the page, on
    # `sockets.port`; with `http.behind_proxy` at the very address of the page, since a proxy has one port for both.
    socket_url: str = ""
    # What agents choose from when they are not ready. Left out: these five, which the desk shows in the reader's
    # language; words of your own are shown as they stand here. They come back as `reason` in figures and explanations.
    reasons: Annotated[tuple[Word, ...], Meta(max_length=50)] = ("break", "lunch", "meeting", "training", "paperwork")
    # How an interaction can have come out. Left out: these; an empty list: agents are not asked.
    dispositions: Annotated[tuple[Word, ...], Meta(max_length=200)] = (
        "solved",
        "follow-up",
        "passed-on",
        "no-answer",
        "spam",
    )
    # What the card of a customer asks for, in this order. Left out: these four, which the desk shows in the reader's
    # language; names of your own are shown as they stand here, with blanks for "_". An empty list: there is no card to
    # write on. What was written under a name that is taken off this list stays, and is shown.
    customer_fields: Annotated[tuple[FieldName, ...], Meta(max_length=30)] = ("name", "company", "address", "notes")
    # By queue: script, guidelines and templates. A queue that is left out has none.
    queues: dict[str, QueueTexts] = field(default_factory=dict)


def check(settings: Settings, queues: Container[str]) -> None:
    """Raises ConfigError."""
    for option in ("reasons", "dispositions", "customer_fields"):
        names: tuple[str, ...] = getattr(settings, option)
        for number, name in enumerate(names):
            if name in names[:number]:
                raise ConfigError(f"desk.{option}[{number}]", "each of them once", repr(name))
    for name in settings.queues:
        if name not in queues:
            raise ConfigError(f"desk.queues.{name}", "a queue of `queues`", repr(name))
    if settings.socket_url and not _SOCKET.fullmatch(settings.socket_url):
        raise ConfigError("desk.socket_url", 'an address such as "wss://desk.example:8443"', settings.socket_url)
