"""A conversation given on to somebody outside of the house, as the mail that they get. Pure.

They are told who wrote what and when, in the words that people read, and get each mail of the customer as it is kept,
as a file beside it: headers, attachments and all. Notes are between colleagues and are not in it. What does not fit
into one mail is left out from the oldest on, and the text says so.

They answer us and not the customer: the mail comes from our address and bears the conversation's token, so their
answer is new work that follows the one which was given away.

Outside is what is an address (RFC 5321 4.1.2, without quoted local parts; letters of all scripts, RFC 6531) and none of
ours: a mail from our address to our address would come back as a loop, and nobody would ever see it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from channels.email.render import Attachment
from router.engine.views import InteractionView, MessageView

OUTSIDE = "an address outside of this house, such as name@example.org (within it: a queue or an agent)"

_ATOM = r"[\w!#$%&'*/=?^`{|}~+-]+"
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"

TEXT_MAX = 200_000  # characters of the conversation; the files have all of it


class Words(Struct, frozen=True):
    """Of one language."""

    intro: str
    files: str
    left_out: str
    cut: str


WORDS = {
    "en": Words(
        "{agent} forwards a conversation to you. It was begun by {customer}: {subject}",
        "The customer's mails are attached as they came.",
        "(Not attached, as this mail would be too large: {count}.)",
        "(The older part is left out.)",
    ),
    "es": Words(
        "{agent} le reenvía una conversación. La comenzó {customer}: {subject}",
        "Los correos del cliente van adjuntos tal como llegaron.",
        "(Sin adjuntar, pues este correo sería demasiado grande: {count}.)",
        "(Se omite la parte más antigua.)",
    ),
}


def outside_of(ours: Iterable[str], plus_addressing: bool) -> str:
    """A regular expression for whole addresses to which a conversation may be given."""
    detail = r"(?:\+[^@]*)?" if plus_addressing else ""
    own = "|".join(
        f"{re.escape(local)}{detail}@{re.escape(domain)}"
        for local, _, domain in (address.rpartition("@") for address in sorted(ours))
    )
    excluded = rf"(?!(?i:{own})\Z)" if own else ""
    return rf"{excluded}(?=[^@]{{1,64}}@.{{1,255}}\Z){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*"


def fitting(mails: Sequence[tuple[str, bytes]], limit: int) -> list[Attachment]:
    """Of mails, as they are called and what they hold, the newest that fit into so many bytes, in order."""
    taken: list[Attachment] = []
    for name, raw in reversed(mails):
        limit -= len(raw) * 4 // 3 + len(raw) // 50 + 500  # as base64 in lines, with a head
        if limit < 0:
            break
        taken.append(Attachment(name, "application/octet-stream", raw))
    return taken[::-1]


def forward_text(view: InteractionView, agent: str, files: int, left_out: int, name_of: Callable[[str], str]) -> str:
    """`view` has its messages as people read them; `files` of the customer's mails go with it, `left_out` do not."""
    words = WORDS.get(view.language[:2].lower(), WORDS["en"])
    customer = f"{view.name} <{view.sender}>" if view.name else view.sender
    head = [words.intro.format(agent=agent, customer=customer, subject=view.subject)]
    head += [words.files] if files else []
    head += [words.left_out.format(count=left_out)] if left_out else []
    said = "\n\n".join(_said(one, view, name_of) for one in view.messages if one.author != "system")
    if len(said) > TEXT_MAX:
        said = f"{words.cut}\n\n{said[-TEXT_MAX:]}"
    return " ".join(head) + f"\n\n{said}\n"


def _said(one: MessageView, view: InteractionView, name_of: Callable[[str], str]) -> str:
    who = name_of(one.agent) if one.author == "agent" else one.sender or view.sender
    at = datetime.fromtimestamp(one.at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"--- {who}, {at}\n{one.text.strip()}"
