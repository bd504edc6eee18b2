"""Why something waits, in one sentence that its own table of agents bears out (EX-2).

Everybody who fits is counted, whatever keeps them from it: who has no room, and who is merely not ready. `KEPT` has all
codes of `explain` for somebody who is signed in and meets the requirement; a new one of that kind belongs there, too.
"""

from __future__ import annotations

from collections.abc import Mapping

from router.engine.sayings import Saying, listed, say

# What keeps those who fit from it: (codes, what is said of one, of several). The first is told first.
KEPT: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("could-get-it", "could-interrupt"), "could-one", "could-some"),
    (("cap", "budget", "exclusive"), "room-one", "room-some"),
    (("place-held",), "place-one", "place-some"),
    (("suspended",), "suspended-one", "suspended-some"),
    (("pausing",), "pausing-one", "pausing-some"),
    (("cool-off",), "cool-off-one", "cool-off-some"),
    (("going-not-ready", "not-ready"), "not-ready-one", "not-ready-some"),
)
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


def why_waiting(reasons: Mapping[str, int], seen: int = 0) -> Saying:
    """`reasons`: how many agents have which code. `seen`: so many alone were looked at; 0: all."""
    found = [(n, one, several) for codes, one, several in KEPT if (n := sum(reasons.get(code, 0) for code in codes))]
    fit = sum(n for n, _, _ in found)
    if not found:
        return say("why-not-lent" if reasons.get("not-lent") else "why-nobody")
    limits = {"seen": seen} if seen else {}
    end = "-seen" if seen else ""
    if len(found) > 1:
        parts = listed(say("part", n=n, kept=say(one if n == 1 else several)) for n, one, several in found)
        return say("why-some" + end, n=fit, parts=parts, **limits)
    _, one, several = found[0]
    if fit == 1:
        return say("why-one" + end, kept=say(one), **limits)
    return say("why-all" + end, n=fit, kept=say(several), **limits)
