"""What was said on another channel, as the mail that its customer asked for. Pure.

Times are UTC and say so: nobody knows where the reader is. Notes are between colleagues and are not in it, nor are
files, which are named: who sent one has it, and who was sent one was given it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import Struct

from router.engine.views import InteractionView, MessageView


class Words(Struct, frozen=True):
    """Of one language."""

    subject: str
    intro: str
    you: str
    system: str
    file: str
    nothing: str


WORDS = {
    "en": Words(
        subject="Your conversation with us, {day}",
        intro="This is what was said in our conversation of {day}. All times are UTC.",
        you="You",
        system="Notice",
        file="file: {name}",
        nothing="(Nothing was written.)",
    ),
    "es": Words(
        subject="Su conversación con nosotros, {day}",
        intro="Esto es lo que se dijo en nuestra conversación del {day}. Todas las horas son UTC.",
        you="Usted",
        system="Aviso",
        file="archivo: {name}",
        nothing="(No se escribió nada.)",
    ),
}


def words_of(language: str) -> Words:
    return WORDS.get(language[:2].lower(), WORDS["en"])


def copy_subject(view: InteractionView) -> str:
    return words_of(view.language).subject.format(day=_day(view.enqueued_at_ms))


def copy_text(view: InteractionView, name_of: Callable[[str], str]) -> str:
    """`name_of` gives an agent's name as customers see it."""
    words = words_of(view.language)
    said = [_line(message, view, words, name_of) for message in view.messages if message.text or message.attachments]
    return "\n\n".join((words.intro.format(day=_day(view.enqueued_at_ms)), *(said or [words.nothing]))) + "\n"


def _line(message: MessageView, view: InteractionView, words: Words, name_of: Callable[[str], str]) -> str:
    who = {"customer": view.name or words.you, "agent": name_of(message.agent)}.get(message.author, words.system)
    files = [f"[{words.file.format(name=file.name)}]" for file in message.attachments]
    at = datetime.fromtimestamp(message.at_ms / 1_000, UTC).strftime("%H:%M")
    return f"{at} {who}:\n" + "\n".join(part for part in (message.text, *files) if part)


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d")
