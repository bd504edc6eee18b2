"""Halves of characters in JSON.

JavaScript's strings are UTF-16, so a text that was cut or pasted badly may hold half of a character (a lone surrogate),
and JSON.stringify writes it as an escape (ECMA-262, "well-formed JSON.stringify"). No UTF-8 can carry it and decoders
refuse it (RFC 8259 section 8.2 leaves it open). What a person wrote must not fail by that: the half becomes the sign
for what cannot be shown, and all the rest is taken. Looked for only where decoding failed.
"""

from __future__ import annotations

import re

# Read from the left, so that no escape is looked at from its middle: a whole pair, a half, any other escape.
_ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)


def made_whole(text: str | bytes) -> bytes:
    """The JSON text with U+FFFD in place of each half of a character."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return _ESCAPES.sub(lambda found: b"\\ufffd" if found[1] else found[0], raw)
