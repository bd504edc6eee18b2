"""Which tokens keep strangers out, where strangers can reach us (OB-6).

A token is all that somebody has to show, and who guesses has years for it. On this machine alone anything does, so that
the demo can have tokens that everybody knows.
"""

from __future__ import annotations

DEMO = "dev-"  # what the tokens of the shipped demo configuration start with
TOKEN_LEAST = 16  # characters, as between engines and edges


def is_demo(token: str) -> bool:
    return token.startswith(DEMO)


def is_short(token: str) -> bool:
    return len(token) < TOKEN_LEAST
