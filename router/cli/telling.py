"""Explanations in plain sentences, for a planner who has never seen the code; numbers and codes are the JSON's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import ValidationError, convert

from router.cli.comparing import because
from router.engine.outlook import duration, in_words
from router.engine.requirements import Node
from router.journal.inspection import iso

CHANGES_SHOWN = 5
SHOWN = 12  # agents; --json has them all
Told = Mapping[str, Any]


def story(told: Told) -> Iterator[str]:
    """All lines of `explain`."""
    if "state" in told:
        yield from _standing(told)
        yield from SECTIONS.get(told["state"], _over)(told)
    yield from _way(told)
    if told.get("decisions_missing_because"):
        yield f"How it was offered cannot be told now: {told['decisions_missing_because']}."


def _way(told: Told) -> Iterator[str]:
    """What became of it in order of time, with each offer as it was decided."""
    decided = {decision["offer"]: decision for decision in told.get("decisions", ())}
    steps = told.get("way") or [{"offer": name} for name in decided]
    if steps:
        yield ""
    for step in steps:
        decision = decided.get(step.get("offer", ""))
        if decision is not None:
            yield from offer(decision)
        else:
            yield f"At {_clock(step['at_ms'])} {_sentence(step['what'])}"


def why_not(told: Told) -> Iterator[str]:
    yield f"{told['reason']}. ({told['code']})"


def _standing(told: Told) -> Iterator[str]:
    yield f"{told['interaction']} {_sentence(told['summary'])}"
    used = round(100 * told["share_of_target"])
    has = "has" if told["state"] == "queued" else "had"
    for more in ("consult", "callback"):
        if more in told:
            yield f"{_sentence(told[more]['summary'])[0].upper()}{_sentence(told[more]['summary'])[1:]}"
    yield (
        f"{_queue(told)}; it {has} waited {duration(told['waited_ms'])}, {used} % of the "
        f"{duration(told['target_ms'])} that were promised."
    )
    lifted = ", lifted into the first band" if told["lifted"] else ""
    yield f"It asks for {words(told['requirement'])}; band {told['band']}{lifted}, weight {told['weight']:g}."
    bad = [f"{verb} {told[name]} times" for name, verb in SETBACKS.items() if told[name]]
    if bad:
        yield f"So far it was {', '.join(bad)}.".replace(" 1 times", " once")


REACH = {
    "signed-out": "There are agents who could take it, but none of them is signed in.",
    "nobody": "Nobody in the configuration could take it, as it is asked for now.",
}
SETBACKS = {"misses": "missed", "declines": "declined", "connect_failures": "accepted and not connected"}


def _queue(told: Told) -> str:
    """Where it is, and by what it came there; the way tells how it went on from where a rule had put it."""
    came_to = told.get("came_to", told["queue"])
    if came_to != told["queue"]:
        return f"Queue {told['queue']}; it had come to queue {came_to}, by {_rule(told)}"
    return f"Queue {told['queue']}, by {_rule(told)}"


def _rule(told: Told) -> str:
    if told["rule"]:
        return f"the rule {told['rule']}"
    return SOURCES.get(told.get("direction", ""), "the default queue")


SOURCES = {"callback": "a callback that was asked for", "consult": "an agent who asks a colleague"}


def _waiting(told: Told) -> Iterator[str]:
    if told.get("servable") in REACH:
        yield REACH[told["servable"]]
    yield ""
    yield _place(told)
    ahead = [_ahead(line, told["queue"]) for line in told["ahead"]]
    if ahead:
        yield f"Ahead of it: {'; '.join(ahead)}."
    for loan in told.get("borrows", ()):
        yield f"{_sentence(loan['why'])[0].upper()}{_sentence(loan['why'])[1:]}"
    for change in told["next_changes"][:CHANGES_SHOWN]:
        yield f"At {_clock(change['at_ms'])}, in {duration(change['in_ms'])}: {change['effect']}."
    if not told["next_changes"]:
        yield "No deadline will change anything about it: it waits for agents."
    if len(told["next_changes"]) > CHANGES_SHOWN:
        yield f"And {len(told['next_changes']) - CHANGES_SHOWN} later changes, which --json has."
    yield ""
    yield "Why each agent has not got it:"
    yield from _agents(told["agents"], told["agents_by_reason"])


def _place(told: Told) -> str:
    wait, place = told["expected_wait"], f"Its place in its queue is {told['position']}"
    if not wait or wait["p50_s"] is None:
        return f"{place}. How long it will wait cannot be told: too little is known."
    basis = "contacts finished of late" if wait["method"] == "queue-length" else "contacts that wait, and their oldest"
    return (
        f"{place}; the wait will be about {duration(1_000 * wait['p50_s'])}, and in nine of ten cases at most "
        f"{duration(1_000 * wait['p90_s'])} (from {wait['samples']} {basis})."
    )


def _ahead(line: Told, own: str) -> str:
    if line["queue"] == own:
        return f"{line['ahead']} of its own queue"
    return f"{line['ahead']} of {line['queue']}, of which {line['same_agents']:g} want the same agents"


def _offered(told: Told) -> Iterator[str]:
    for line in told["offers"]:
        lent = f", borrowed from {line['borrowed_from']}," if "borrowed_from" in line else ""
        yield f"{line['agent']}{lent} has until {_clock(line['expires_at_ms'])} to answer.{_aside(line)}"


def _aside(told: Told) -> str:
    aside = told.get("puts_aside")
    return f" To accept puts aside {', '.join(aside)}." if aside else ""


def _owned(told: Told) -> Iterator[str]:
    if told.get("matched_skills"):
        yield f"{told['agent']} has what was asked for: {', '.join(told['matched_skills'])}."


def _over(told: Told) -> Iterator[str]:
    if told.get("agent"):
        yield f"{told['agent']} had it; it ended at {_clock(told['ended_at_ms'])}."


SECTIONS = {"queued": _waiting, "offered": _offered, "active": _owned, "wrap-up": _owned, "closed": _over}


def offer(told: Told) -> Iterator[str]:
    """One offer as it was decided."""
    yield f"At {_clock(told['at_ms'])} it was offered to {told['agent']}: {told['why']}.{_aside(told)}"
    used = round(100 * told["share_of_target"])
    step = f" (after {told['step']} relaxation steps)" if told["step"] else ""
    yield (
        f"  It asked for {words(told['requirement'])}{step}, had waited {duration(told['waited_ms'])} ({used} % of its "
        f"promise), configuration {told['configuration_version']}."
    )
    if "candidates" not in told:
        return
    if len(told["candidates"]) > 1:
        yield f"  Who could take it, by {told['choice']}: {'; '.join(map(_candidate, told['candidates'][:SHOWN]))}."
    for line in told["also_waiting"]:
        yield (
            f"  {told['agent']} could have taken {line['interaction']} of {line['queue']} as well; "
            f"{because(told, line)}."
        )
    yield from _agents(told["passed_over"], told["passed_over_by_reason"], "  ")


def _candidate(x: Told) -> str:
    parts = [f"{name.replace('_', ' ')} {value:g}" for name, value in x.items() if name in SCORES]
    return f"{x['order']}. {x['agent']}" + (f" ({', '.join(parts)})" if parts else "")


SCORES = ("level", "points", "fits_queues", "handle_s", "busy_share", "idle_s")


def _agents(lines: list[Told], counts: Mapping[str, int], indent: str = "") -> Iterator[str]:
    width = max((len(line["code"]) for line in lines[:SHOWN]), default=0)
    for line in lines[:SHOWN]:
        yield f"{indent}  {line['code']:<{width}}  {line['reason']}"
    more = sum(counts.values()) - len(lines[:SHOWN])
    if more > 0:
        yield f"{indent}  and {more} more; in all: " + ", ".join(f"{n} {code}" for code, n in sorted(counts.items()))


def words(requirement: object) -> str:
    try:
        return in_words(convert(requirement, Node))
    except ValidationError:  # of a newer daemon
        return str(requirement)


def _sentence(text: str) -> str:
    return text if text.endswith(".") else text + "."


def _clock(at_ms: int) -> str:
    return iso(at_ms).replace("T", " ").removesuffix("Z")
