"""What a message says, for people: text to read and the names of what is attached.

Slow (MIME and HTML take milliseconds to seconds) and fed with hostile input, so it never runs in the loop: the adapter
calls it through `asyncio.to_thread`, and only when somebody wants to read. It never raises; of what it cannot read it
says so. Every size is bounded.

Python's classic parser (`compat32`) is used: thirteen times faster than the modern policy, and it takes headers as they
are. Its decoded texts are repaired by `text.decode`.

HTML is read by one pass over its tags, not as a tree: half a megabyte of nested `<div>` takes a tree builder that keeps
to the standard 32 seconds, during which it lets nobody else run. People need the words and the lines, not the nesting.
"""

from __future__ import annotations

import email
import html
import mimetypes
import re
from collections.abc import Iterator
from email.errors import MessageError
from email.message import Message
from email.policy import Compat32
from email.utils import collapse_rfc2231_value

import nh3
from msgspec import Struct

from channels.email.reply import split
from channels.email.text import base64_bytes, clean, clean_lines, decode, decode_words
from channels.email.tnef import SIGNATURE, Packed, unpack

TEXT_MAX = 200_000  # characters shown; a person reads less
RAW_MAX = 64 * 1_048_576  # bytes looked at
SAFE_HTML_MAX = 256 * 1_024  # characters of HTML that are made safe to show; beyond it people read the text
DEPTH_MAX = 1_000  # real mail has some dozens
HTML_MAX = 2 * 1_048_576  # characters of HTML that are made into text
PARTS_MAX = 500
NAME_MAX = 200

CUT = "\n\n[The message goes on; the original has all of it.]"
UNREADABLE = "[This message could not be read. The original is kept.]"

_HEADER_BYTES = re.compile("[\udc80-\udcff]")
_BLANK_LINES = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")

# A comment, an element whose content is not for people, or any other tag. No alternative looks past the next "<"
# without taking what it saw, so the time grows with the length and no faster.
_TAG = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<(script|style|title|template|noscript)\b(?:.*?</\1\s*>|.*\Z)"
    r"|<[!?][^<>]*>"
    r"|</?([a-z][a-z0-9]*)(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*'|[\"'])*+>",
    re.IGNORECASE | re.DOTALL,
)
_BLOCKS = frozenset(
    """
    address article aside blockquote body br dd div dl dt footer form h1 h2 h3 h4 h5 h6 header hr
    li main nav ol p pre section table tr ul
    """.split()  # noqa: SIM905 - two lines of words read better than a column
)
# What may be shown: words and their shape. A picture would tell its sender that, when and where somebody looked.
_SHOWN = set(
    """
    a abbr b bdi bdo blockquote br caption cite code col colgroup dd del div dl dt em h1 h2 h3 h4 h5 h6 hr i ins kbd li
    mark ol p pre q s small span strong sub sup table tbody td tfoot th thead tr u ul wbr
    """.split()  # noqa: SIM905 - two lines of words read better than a column
)
_EDGE = re.compile(r"<(/?)(?!(?:br|hr|img|meta|link|wbr|col|input|area)\b)([a-zA-Z][a-zA-Z0-9:-]{0,20})", re.IGNORECASE)
_BARE_AMPERSAND = re.compile(r"&(?!#?\w{1,32};)")
_BLANK = re.compile(r"[ \t\r\n\f\xa0]+")
_LINE = "\ue000"  # stands for a line end that a tag asked for, while those of the source become blanks


class _Repairing(Compat32):
    """The classic policy, but raw bytes in a header come out as text: UTF-8 if they are that, else windows-1252."""

    def header_fetch_parse(self, name: str, value: str) -> str:
        if _HEADER_BYTES.search(value):
            return decode(value.encode("utf-8", "surrogateescape"))
        return value


POLICY = _Repairing()


class Part(Struct, frozen=True):
    """Something attached. `size` in bytes as decoded."""

    name: str
    media_type: str
    size: int


class Readable(Struct, frozen=True):
    text: str
    attachments: tuple[Part, ...] = ()
    complete: bool = True  # false: something was cut or could not be read
    new: str = ""  # what of the text was not in the mail that it answers; "": that could not be told
    html: str = ""  # the message's own HTML, made safe to show; "": it has none


def readable_text(raw: bytes) -> Readable:
    """The words and the attachments of a raw message. Never raises."""
    try:
        return _read(email.message_from_bytes(raw[:RAW_MAX], policy=POLICY), len(raw) > RAW_MAX)
    except (MessageError, ValueError, LookupError, TypeError, AttributeError, RecursionError, AssertionError):
        return Readable(UNREADABLE, complete=False)


def attachment_content(raw: bytes, index: int) -> tuple[Part, bytes]:
    """The content of `readable_text(raw).attachments[index]`. Raises IndexError."""
    message = email.message_from_bytes(raw[:RAW_MAX], policy=POLICY)
    return [one for part in _leaves(message) if _is_attachment(part) for one in _attached(part, content_of(part))][
        index
    ]


def _read(message: Message, cut: bool) -> Readable:
    plain: list[str] = []
    pages: list[str] = []
    attachments: list[Part] = []
    for number, part in enumerate(_leaves(message)):
        if number >= PARTS_MAX:
            cut = True
            break
        content = content_of(part)
        if _is_attachment(part):
            attachments += [one for one, _ in _attached(part, content)]
        elif part.get_content_type() == "text/html":
            pages.append(decode(content, _charset(part)))
        else:
            plain.append(decode(content, _charset(part)))
    text = "\n".join(piece for piece in plain if piece.strip())
    if not text:
        text = "\n".join(html_text(page) for page in pages)
    text = _BLANK_LINES.sub("\n\n", clean_lines(text[: TEXT_MAX * 2])).strip()
    if len(text) > TEXT_MAX:
        text, cut = text[:TEXT_MAX].rstrip() + CUT, True
    return Readable(text, tuple(attachments), not cut, split(text).new, safe_html("\n".join(pages)))


def _leaves(message: Message) -> Iterator[Message]:
    """The parts that hold something, in order; what is inside an attached message stays inside. No recursion."""
    stack: list[Message] = [message]
    while stack:
        part = stack.pop()
        if part.is_multipart() and part.get_content_maintype() == "multipart":
            stack.extend(reversed(_inner(part)))
        else:
            yield part


def _is_attachment(part: Message) -> bool:
    if part.get_content_type() not in ("text/plain", "text/html"):
        return True
    return _disposition(part) == "attachment" or (bool(_file_name(part)) and _disposition(part) != "inline")


def _disposition(part: Message) -> str:
    return str(part.get("Content-Disposition", "")).partition(";")[0].strip().lower()


def _attached(part: Message, content: bytes) -> list[tuple[Part, bytes]]:
    """What this part brings: itself, or what Outlook packed into it."""
    if content.startswith(SIGNATURE) and (packed := unpack(content)):
        return [(_packed(one), one.content) for one in packed]
    return [(_describe(part, content), content)]


def _packed(one: Packed) -> Part:
    name = one.name.replace("\\", "/").rpartition("/")[2].strip(" .") or "attachment"
    guessed = mimetypes.guess_type(name, strict=False)[0]
    return Part(name, guessed or "application/octet-stream", len(one.content))


def _describe(part: Message, content: bytes) -> Part:
    media_type = clean(part.get_content_type(), 100)
    return Part(_file_name(part) or _made_up_name(media_type), media_type, len(content))


def _made_up_name(media_type: str) -> str:
    if media_type == "message/rfc822":
        return "message.eml"
    return "attachment"


def _file_name(part: Message) -> str:
    for header, parameter in (("content-disposition", "filename"), ("content-type", "name")):
        value = part.get_param(parameter, None, header)
        if value:
            text = collapse_rfc2231_value(value) if isinstance(value, tuple) else value
            name = clean(decode_words(text), NAME_MAX)
            name = name.replace("\\", "/").rpartition("/")[2].strip(" .")  # a name, never a path
            if name:
                return name
    return ""


def _charset(part: Message) -> str:
    value = part.get_param("charset", "")
    return str(value[2] if isinstance(value, tuple) else value)


def content_of(part: Message) -> bytes:
    if part.is_multipart():  # an attached message, or a multipart that is none
        return b"".join(one.as_bytes() for one in _inner(part))
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return b""
    declared = str(part.get("Content-Transfer-Encoding", "")).lower()
    if declared != "base64" and declared.partition(";")[0].strip() == "base64":
        return base64_bytes(data) or b""
    return data


def _inner(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []


def safe_html(page: str) -> str:
    """The page without anything that runs, loads or leaves: no scripts, styles, forms, pictures from elsewhere."""
    if not page or len(page) > SAFE_HTML_MAX or _depth(page) > DEPTH_MAX:
        return ""
    return nh3.clean(
        _BARE_AMPERSAND.sub("&amp;", clean_lines(page)),
        tags=_SHOWN,
        attributes={"a": {"href", "title"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}, "*": {"dir"}},
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel="noopener noreferrer nofollow",
    )


def _depth(page: str) -> int:
    """How deep elements may be nested, at most: the cleaner's time grows with the square of it.

    Counted by name, because a closing tag closes nothing that has another one.
    """
    opened: dict[str, int] = {}
    depth = deepest = 0
    for closing, name in _EDGE.findall(page):
        count = opened.get(name, 0)
        if not closing:
            opened[name] = count + 1
            depth += 1
            deepest = max(deepest, depth)
        elif count:
            opened[name] = count - 1
            depth -= 1
    return deepest


def html_text(page: str) -> str:
    """The words of an HTML page with its lines kept apart."""
    text = _TAG.sub(_in_place_of, page[:HTML_MAX])
    text = _BLANK.sub(" ", html.unescape(text)).replace(_LINE, "\n")
    return _BLANK_LINES.sub("\n\n", "\n".join(line.strip() for line in text.split("\n"))).strip()


def _in_place_of(tag: re.Match[str]) -> str:
    name = (tag[2] or "").lower()
    return _LINE if name in _BLOCKS else " " if name in ("td", "th") else ""
