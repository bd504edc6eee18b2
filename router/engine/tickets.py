"""The short name under which a visitor waits: "A-017".

It is computed from the interaction's number, so that a restart, another machine and the screen all agree. A contact
that arrives with `commands.Ticket` carries it as an attribute from its first fact on, for its agent to call. The last
three digits are those of the number; the letters count the thousands, without I and O, which look like digits.

Numbers are given to all channels' interactions in one sequence. So two tickets are alike only if 24,000 interactions
(with two letters 576,000) of all channels came between them: below that number a day, no ticket stands for two
visitors of one day.
"""

from __future__ import annotations

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"


def different_tickets(letters: int) -> int:
    """How many numbers in a row have different tickets."""
    return int(len(LETTERS) ** letters) * 1_000


def ticket(number: int, letters: int = 1) -> str:
    """The ticket of interaction `number` (1, 2, ...)."""
    assert number > 0
    assert letters > 0
    thousands, digits = divmod(number, 1_000)
    word = ""
    for _ in range(letters):
        thousands, letter = divmod(thousands, len(LETTERS))
        word = LETTERS[letter] + word
    return f"{word}-{digits:03}"
