"""Why something waits, in one sentence that its own table of agents bears out (EX-2).

Everybody who fits is counted, whatever keeps them from it: who has no room, and who is merely not ready. `KEPT` has all
codes of `explain` for somebody who is signed in and meets the requirement; a new one of that kind belongs there, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# What keeps those who fit from it: (codes, of one, of several). The first is told first.
KEPT: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("could-get-it", "could-interrupt"), "could get it now", "could get it now"),
    (("cap", "budget", "exclusive"), "has no room", "have no room"),
    (("place-held",), "keeps a place free for something else", "keep places free for something else"),
    (("suspended",), "must take up suspended work first", "must take up suspended work first"),
    (("pausing",), "refused it again and again, and is asked again after a pause",
     "refused it again and again, and are asked again after a pause"),
    (("cool-off",), "declined or missed it just now", "declined or missed it just now"),
    (("going-not-ready", "not-ready"), "is not ready", "are not ready"),
)  # fmt: skip
CAPACITY = ("cap", "budget", "exclusive")
# Who is nearest to getting it comes first.
NEAREST = (
    "could-get-it",
    "could-interrupt",
    "cool-off",
    "pausing",
    "place-held",
    *CAPACITY,
    "suspended",
    "going-not-ready",
    "not-ready",
    "not-lent",
)
NEAR = {code: i for i, code in enumerate(NEAREST)}


def why_waiting(reasons: Mapping[str, int], of: str = "") -> str:
    """`reasons`: how many agents have which code. `of` limits who was counted."""
    found = [(n, one, several) for codes, one, several in KEPT if (n := sum(reasons.get(code, 0) for code in codes))]
    fit = sum(n for n, _, _ in found)
    if not found:
        return _nobody(reasons)
    if len(found) == 1:
        who = "the only agent who fits and is" if fit == 1 else f"all {fit} agents who fit and are"
        return f"waits because{of} {who} signed in {_verb(*found[0])}"
    parts = [f"{n} {_verb(n, one, several)}" for n, one, several in found]
    return f"waits because{of}, of {fit} agents who fit and are signed in, {_and(parts)}".replace("because,", "because")


def _nobody(reasons: Mapping[str, int]) -> str:
    if reasons.get("not-lent"):
        return "waits because those signed in who might take it are of other queues, which lend nobody just now"
    return "waits because nobody who is signed in can take it"


def _verb(n: int, one: str, several: str) -> str:
    return one if n == 1 else several


def _and(parts: Iterable[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
