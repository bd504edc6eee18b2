"""The desk as edges see it where something is to be hidden: a command's words are masked before it is given on.

This is the one place where what comes from a channel or a person is masked on its way to the engine, whatever the
channel; so what is journaled, shown, searched and told onwards has never held it. `WORDS` names the fields of each
command in which people write. Everything else of a command is a name: ids and threads by which things find one
another, addresses, codes of a configuration. Names stay, or an answer would no longer find its question.

Where nothing is to be hidden there is no such desk (`over`): then it costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as with_parts
from types import MethodType
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from router.engine import commands as c
from router.engine.commands import AnyCommand, Reply
from router.engine.events import Message
from router.service.masking import Mask
from router.service.ports import Context, Desk, Done

D = TypeVar("D", bound=Desk)

# Texts, tables of texts, and messages.
WORDS: dict[type, tuple[str, ...]] = {
    c.Arrive: ("name", "subject", "attributes", "message"),
    c.Enrich: ("attributes", "message"),
    c.Append: ("message",),
    c.Say: ("message",),
    c.Remark: ("text",),
    c.RequestCallback: ("name", "subject", "attributes"),
    c.CancelCallback: ("why",),
    c.Announce: ("text",),
    c.Note: ("text",),
    c.Complete: ("notes", "disposition"),
    c.FinishWrapUp: ("notes", "disposition"),
    c.Transfer: ("why",),
    c.Consult: ("why",),
    c.Requeue: ("why",),
    c.Assign: ("why",),
    c.Close: ("why",),
    c.Reprioritise: ("why",),
    c.Relax: ("why",),
    c.MergeCustomers: ("why",),
    c.DescribeCustomer: ("fields",),
    c.SplitCustomer: ("why",),
    c.GiveLead: ("why",),
    c.CloseCalendar: ("why",),
    c.OpenCalendar: ("why",),
}


def over(desk: D, mask: Mask | None, replies: bool = False) -> D:
    """The desk that masks. `replies`: what agents say to customers, too."""
    return cast("D", MaskingDesk(desk, mask, replies)) if mask is not None else desk


def for_channel(context: Context, cards: bool) -> Context:
    """What an adapter works with, so that it gives nothing on unmasked. `cards`: numbers of cards are hidden."""
    mask = context.masking.of(cards)
    return with_parts(context, desk=over(context.desk, mask, context.masking.replies), mask=mask)


class MaskingDesk:
    """A desk before another one; questions go to that one directly."""

    def __init__(self, desk: Desk, mask: Mask, replies: bool = False) -> None:
        self._desk, self._mask = desk, mask
        self._submit = desk.submit
        self.now_ms = desk.now_ms  # asked several times for each message of a chat
        self._words = WORDS if replies else {kind: words for kind, words in WORDS.items() if kind is not c.Say}

    def submit(self, command: AnyCommand, done: Done) -> None:
        words = self._words.get(type(command))
        self._submit(masked(command, words, self._mask) if words is not None else command, done)

    async def ask(self, command: AnyCommand) -> Reply:
        words = self._words.get(type(command))
        return await self._desk.ask(masked(command, words, self._mask) if words is not None else command)

    def rehearse(self, command: AnyCommand) -> None:
        self._desk.rehearse(masked(command, self._words.get(type(command), ()), self._mask))

    def __getattr__(self, name: str) -> Any:
        """A question, which every message of an agent asks some of: from the second time on it goes there directly."""
        found = getattr(self._desk, name)
        if isinstance(found, MethodType):
            setattr(self, name, found)
        return found


def masked(command: AnyCommand, words: tuple[str, ...], mask: Mask) -> AnyCommand:
    """The same command where there is nothing to hide."""
    changed: dict[str, Any] = {}
    for name in words:
        value = getattr(command, name)
        if value:
            hidden = mask(value) if type(value) is str else _HOW[type(value)](value, mask)
            if hidden is not value and hidden != value:
                changed[name] = hidden
    return replace(command, **changed) if changed else command


def _table(texts: dict[str, str], mask: Mask) -> dict[str, str]:
    for text in texts.values():
        if mask(text) is not text:
            return {name: mask(text) for name, text in texts.items()}
    return texts


def _message(message: Message, mask: Mask) -> Message:
    """The names of what is attached are words, too; what it holds is not looked at here."""
    text, blobs = mask(message.text), message.blobs
    if blobs:
        blobs = tuple([replace(blob, name=mask(blob.name)) for blob in blobs])
    return message if text is message.text and blobs == message.blobs else replace(message, text=text, blobs=blobs)


_HOW: dict[type, Callable[[Any, Mask], object]] = {dict: _table, Message: _message}
