"""Numbers of payment cards, made unreadable before they are stored. Pure.

A card's number has 13 to 19 digits, starts with what schemes issue for that length (ISO/IEC 7812; the ranges as the
schemes publish them), and its digits pass Luhn's check. People write it in one piece, in groups as it is printed, which
begin with four digits, or in groups of one size. Of what is that, the last four digits stay, by which customer and
agent can speak of it. Of other numbers of 16 digits that begin so, one in ten looks the same.
"""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(?<![\d.,-])[2-6](?:[ .\-\u00a0\u2009]?\d){12,18}(?![\d])")
_BETWEEN = re.compile(r"\D")
# By length, how numbers begin: Visa once; Diners Club; American Express and JCB; Visa, Mastercard, Discover, JCB and
# Maestro; Maestro; UnionPay, Visa and Maestro.
_ISSUED: dict[int, tuple[str, ...]] = {
    13: ("4",),
    14: ("30", "36", "38", "39"),
    15: ("34", "37", "2131"),
    16: ("2", "3", "4", "5", "6"),
    17: ("50", "56", "57", "58", "6"),
    18: ("50", "56", "57", "58", "6"),
    19: ("4", "50", "56", "57", "58", "6"),
}
HIDDEN = "\u2022" * 4


def mask_cards(text: str) -> str:
    """The text with `•••• 1234` in place of each card number."""
    return _NUMBER.sub(_masked, text) if any(c.isdigit() for c in text) else text


def _masked(found: re.Match[str]) -> str:
    groups = _BETWEEN.split(found[0])
    digits = "".join(groups)
    is_card = _is_grouped(groups) and digits.startswith(_ISSUED[len(digits)]) and _passes(digits)
    return f"{HIDDEN} {digits[-4:]}" if is_card else found[0]


def _is_grouped(groups: list[str]) -> bool:
    """In one piece, as printed (4-4-4-4, 4-6-5, 4-6-4, 4-4-4-1, 4-4-4-4-3), or in pairs and the like."""
    first, *others = map(len, groups)
    if not others or (first == 4 and max(others) <= 6):
        return True
    *inner, last = others
    return set(inner) <= {first} and last <= first


def _passes(digits: str) -> bool:
    """Luhn's check: every second digit from the right is doubled, and the sum of all digits ends in 0."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
