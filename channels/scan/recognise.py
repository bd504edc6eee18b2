"""From what stands on pages to what the routing plan is told. Pure: texts and codes in, attributes out.

Words are looked for as people read them: whatever their case and accents, whatever a line break did to them, and as
whole words. A reading program takes one letter for another now and then, so an operator lists several words for what
matters. Bar codes are exact: one that begins as the separator sheets do names attributes by itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from channels.scan.parse import printable

ATTRIBUTES_MAX = 16  # of one separator sheet
VALUE_MAX = 500
CODES_MAX = 500  # characters of the attribute `codes`
# What the looker measured, and what a sidecar may name, is not for a sheet of paper to say.
_RESERVED = frozenset(
    {"folder", "file", "kind", "condition", "pages", "detail", "sidecar", "read", "words", "codes"}
    | {"batch", "document", "documents"}
)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def plain(text: str) -> str:
    """Without case and accents, words with one blank in between; a word that was broken at a line's end is whole."""
    whole = re.sub(r"(?<=\w)[-\u00ad]\s*\n\s*(?=\w)", "", text)
    bare = "".join(c for c in unicodedata.normalize("NFKD", whole) if not unicodedata.combining(c))
    return " ".join(re.findall(r"\w+", bare.casefold()))


def words_in(text: str, wanted: Mapping[str, Iterable[str]]) -> str:
    """The names of those lists of which a word or phrase stands in the text, with blanks in between."""
    known = f" {plain(text)} "
    return " ".join(name for name, words in wanted.items() if any(f" {plain(word)} " in known for word in words))


def sheet(code: str, begins: str) -> dict[str, str]:
    """What a separator sheet says: `SWB:dept=claims;urgent=yes`. Odd parts are left out."""
    found: dict[str, str] = {}
    for part in code[len(begins) :].split(";"):
        name, is_one, value = part.partition("=")
        name, value = name.strip(), printable(value)[:VALUE_MAX]
        if is_one and value and _NAME.fullmatch(name) and name not in _RESERVED and len(found) < ATTRIBUTES_MAX:
            found[name] = value
    return found


def attributes_of(text: str, codes: Sequence[str], words: Mapping[str, Iterable[str]], begins: str) -> dict[str, str]:
    """What the pages say, ready for routing rules."""
    found: dict[str, str] = {}
    for code in codes:
        if code.startswith(begins):
            found |= {name: value for name, value in sheet(code, begins).items() if name not in found}
    others = [printable(code) for code in codes if not code.startswith(begins)]
    if others:
        found["codes"] = " ".join(others)[:CODES_MAX]
    if said := words_in(text, words):
        found["words"] = said
    return found
