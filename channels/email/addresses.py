"""Address headers as people and programs really write them.

The grammar of RFC 5322 is followed where it helps (quotes, comments, groups, routes) and never insisted on: what cannot
be read as an address is left out, and reading never fails. The standard library's readers are not used: their answer to
broken input changed between patch releases of Python, and replay on another machine must agree.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from channels.email.text import clean, decode_words

ADDRESS_MAX = 320  # characters: 64 + "@" + 255 (RFC 5321 4.5.3.1)
NAME_MAX = 200
HEADER_MAX = 16_384  # characters of one address header that are read
MAILBOXES_MAX = 200  # of one header


class Mailbox(NamedTuple):
    name: str
    address: str  # domain in lower case, local part as written


class OwnAddresses:
    """Those that we take mail for, and which of them an address means, whatever its case.

    With `plus_addressing`, support+order17@ is mail for support@, and the rest is its detail.
    """

    def __init__(self, addresses: Iterable[str], plus_addressing: bool) -> None:
        self._written = {address.lower(): address for address in addresses}
        self._plus = plus_addressing

    def written(self, address: str) -> str:
        """As the configuration has it; "" for none of ours."""
        return self._written.get(address.lower(), "")

    def find(self, address: str) -> tuple[str, str]:
        """(as the configuration has it, detail); "" for none of ours."""
        ours = self.written(address)
        if ours or not self._plus or "+" not in address:
            return ours, ""
        local, _, domain = address.rpartition("@")
        base, _, detail = local.partition("+")
        return self.written(f"{base}@{domain}"), detail


# The two forms that nearly all mail has; everything else takes the long way.
_PLAIN = re.compile(r'\s*(?:"([^"\\<>@]*)"|([^"\\<>@(),;:]*))\s*<([^\s"\\<>@(),;:\[\]]+@[^\s"\\<>@(),;:\[\]]+)>\s*')
_BARE = re.compile(r"\s*([^\s\"\\<>@(),;:\[\]]+@[^\s\"\\<>@(),;:\[\]]+)\s*")
_INSIDE = re.compile(r'[^\s<>"(),;:\[\]]+@(?:\[[^\s\[\]<>]+\]|[^\s<>"(),;:\[\]]+)')


def mailboxes(header: str) -> list[Mailbox]:
    """The mailboxes of an address header (`header` is decoded to characters, but its encoded words are not)."""
    if not header:
        return []
    if found := _PLAIN.fullmatch(header):
        return _mailbox(found[1] or found[2] or "", found[3])
    if found := _BARE.fullmatch(header):
        return _mailbox("", found[1])
    result: list[Mailbox] = []
    for words, angle, comment in _entries(header[:HEADER_MAX]):
        if angle is None:
            inside = _INSIDE.search(words)
            result += _mailbox(comment, inside[0] if inside else words)
        else:
            result += _mailbox(words or comment, angle)
        if len(result) >= MAILBOXES_MAX:
            break
    return result


def _entries(header: str) -> list[tuple[str, str | None, str]]:
    """(words, what stood in angle brackets, comment) of each entry between top-level commas; one pass, no way back."""
    entries: list[tuple[str, str | None, str]] = []
    words: list[str] = []
    comment: list[str] = []
    angle: list[str] | None = None
    quoted = inside = False
    depth = 0
    escaped = False
    quote_end = -1  # where the last quoted string ended
    for char in header + ",":
        if escaped:
            escaped = False
        elif char == "\\" and (quoted or depth):
            escaped = True
            continue
        elif char == '"' and not depth:
            quoted = not quoted
            quote_end = len(words)
            if not inside:
                continue
        elif quoted:
            pass
        elif char == "(":
            depth += 1
            continue
        elif char == ")" and depth:
            depth -= 1
            continue
        elif depth:
            comment.append(char)
            continue
        elif char == "@" and not inside and quote_end == len(words) > 0:
            words.clear()  # "a quoted local part"@domain: read without its quotes it would be somebody else's address
            continue
        elif char == "<":
            inside, angle = True, []
            continue
        elif char == ">":
            inside = False
            continue
        elif char == ":" and not inside and angle is None and "@" not in words and "[" not in words:
            words.clear()  # the name of a group
            continue
        elif char in ",;" and not inside:
            entries.append(("".join(words).strip(), None if angle is None else "".join(angle), "".join(comment)))
            words, comment, angle = [], [], None
            continue
        if depth:
            comment.append(char)
        elif inside and angle is not None:
            angle.append(char)
        else:
            words.append(char)
    if words or angle:  # an open quote or bracket swallowed the end: what is in it may still hold an address
        end = None if angle is None else "".join(angle).partition(",")[0]
        entries.append(("".join(words).strip(" ,"), end, "".join(comment)))
    return entries


def _mailbox(name: str, address: str) -> list[Mailbox]:
    canonical = canonical_address(address)
    return [Mailbox(clean(decode_words(name), NAME_MAX).strip("'\" "), canonical)] if canonical else []


@lru_cache(maxsize=4_096)
def canonical_address(address: str) -> str:
    """`<@relay:Ann@Example.ORG>` as `Ann@example.org`, or "" where it is no address."""
    address = address.strip().removeprefix("<").removesuffix(">").strip()
    if address.startswith("@") and ":" in address:  # a source route (RFC 5321 appendix C)
        address = address.rpartition(":")[2]
    if address[:7].lower() == "mailto:":
        address = address[7:]
    local, _, domain = address.rpartition("@")
    if not address.isascii() or not address.isprintable():
        local, domain = unicodedata.normalize("NFC", local), unicodedata.normalize("NFC", domain)
    local, domain = local.strip(), domain.strip().rstrip(".")
    result = f"{local}@{domain.lower()}"
    if not local or not domain or len(result) > ADDRESS_MAX or not result.isprintable():
        return ""
    if " " in domain or any(c in '<>,;"' for c in domain) or (" " in local and not local.startswith('"')):
        return ""
    return result


def identity(address: str) -> str:
    """By which a customer is known again. Nobody has met two people who differ only in case."""
    return f"mailto:{address.lower()}"
