"""Numbers of payment cards, made unreadable before they are stored. Pure.

A card's number has 13 to 19 digits, starts with what schemes issue, and its digits pass Luhn's check; people write it
with blanks, dots or dashes in between. Of what is that, the last four digits stay, by which customer and agent can
speak of it. One in twenty numbers of that length that are something else looks the same.
"""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(?<![\d.,-])[2-6](?:[ .\-\u00a0\u2009]?\d){12,18}(?![\d])")
_BETWEEN = re.compile(r"\D")
HIDDEN = "\u2022" * 4


def mask_cards(text: str) -> str:
    """The text with `•••• 1234` in place of each card number."""
    return _NUMBER.sub(_masked, text) if any(c.isdigit() for c in text) else text


def _masked(found: re.Match[str]) -> str:
    digits = _BETWEEN.sub("", found[0])
    return f"{HIDDEN} {digits[-4:]}" if _passes(digits) else found[0]


def _passes(digits: str) -> bool:
    """Luhn's check: every second digit from the right is doubled, and the sum of all digits ends in 0."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
