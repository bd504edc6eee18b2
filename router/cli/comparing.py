"""Why an offer went to one interaction before another, in words; the codes are those of `engine.precedence`.

Numbers are printed only where they decided, in the measure that a planner knows: a share of the promise, or a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from router.engine.config import Duration
from router.engine.outlook import duration

Told = Mapping[str, Any]

STRICT = {
    "lifted": "this one had waited as long as its band allows and was lifted into the first band, which goes first",
    "band": "the band of this one ({band}) goes before its ({other})",
    "waited-out": "this one had waited longer than {cap} times its target, and such go first in their band",
    "held": "this one was held for {agent}, who takes that before all else of its band",
    "came-first": "they are equal, and this one came first",
    "parallel": "this one was being shown to somebody already",
    "other-agent": "this one came first with another agent, and the rule of its queue chose {agent}",
}
STEPS = {
    "priority": "the shorter promise goes first: {target} against {its}",
    "skill-level": "what the agent is best at goes first",
}


def because(told: Told, line: Told) -> str:
    """`told` is the decision, `line` what also waited."""
    why = line.get("why", "urgency")
    if why in STRICT:
        return STRICT[why].format(band=told["band"], other=line["band"], cap=told["cap"], agent=told["agent"])
    if why == "step" and told["policy"] in STEPS:
        mine, its = duration(told["target_ms"]), duration(line["target_ms"])
        return STEPS[told["policy"]].format(target=mine, its=its)
    if why != "urgency":
        return f"the policy is {told['policy']} ({why})"
    return _by_value(told, line)


def _by_value(told: Told, line: Told) -> str:
    policy = told["policy"]
    words, shown = VALUES["share-of-target" if policy == "adaptive" and not _has_learned(told, line) else policy]
    if shown is None:
        return words
    mine, its = shown(told, line)
    return f"{words}: {mine} against {its}"


def _shares(told: Told, line: Told) -> tuple[str, str]:
    counted = ["weight"] if told["policy"] == "ratio" else ["head start", "weight"]
    counted += ["what was learned of the queues"] if _has_learned(told, line) else []
    counted += ["how long this agent takes"] if told.get("handle_times") else []
    with_all = ", ".join(counted[:-1]) + " and " * (len(counted) > 1) + counted[-1]
    mine, its = _apart(told, line, *(lambda x, n=n: f"{100 * x:.{n}f} %" for n in (0, 1, 3)))
    return f"with {with_all} counted in, {mine}", its


def _has_learned(*told: Told) -> bool:
    return any(x.get("learned_weight", 1) != 1 for x in told)


def _times(told: Told, line: Told) -> tuple[str, str]:
    return _apart(told, line, _rounded, _exact)


def _left(told: Told, line: Told) -> tuple[str, str]:
    """A deadline's value is how far it has passed."""
    return _apart(told, line, *(lambda x, f=f: f"in {f(-x)}" if x < 0 else f"since {f(x)}" for f in (_rounded, _exact)))


def _rounded(ms: float) -> str:
    return duration(round(ms))


def _exact(ms: float) -> str:
    return str(Duration(round(ms)))


def _apart(told: Told, line: Told, *ways: Callable[[float], str]) -> tuple[str, str]:
    """By the first of these ways by which they differ: who reads "17 % against 17 %" learns nothing."""
    told_as = [(way(line["instead_of"]), way(line["value"])) for way in ways]
    return next((pair for pair in told_as if pair[0] != pair[1]), told_as[-1])


VALUES: dict[str, tuple[str, Callable[[Told, Told], tuple[str, str]] | None]] = {
    "share-of-target": ("what has used up most of its promise goes first", _shares),
    "ratio": ("what has waited longest, measured by its promise, goes first", _shares),
    "deadline": ("what must be answered soonest goes first", _left),
    "first-come": ("what has waited longest goes first", _times),
    "priority": ("of equal promises what has waited longest goes first", _times),
    "queue-ratio": ("the queue that is longest beside its share goes first", None),
    "adaptive": ("what has waited longest, measured by its promise and by a learned weight, goes first", _shares),
    "round-robin": ("queues take turns, and its queue had the later turn", None),
    "skill-level": ("of what the agent is equally good at, what has waited longest goes first", _times),
}
