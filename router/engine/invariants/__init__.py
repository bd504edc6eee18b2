"""What must hold of a state, worked out again the slow way.

Everything here counts and compares from the primary fields (interactions, offers, agents, configuration) and trusts no
index, counter or line: those are what it checks. It costs time in proportion to the whole state, so it belongs to tests
and to simulations; a live engine never calls it.

    broken_step(state)  after every event, also between the events of one command
    broken(state)       after every command; adds what matching and the house rules owe by then
    Watch               what needs the way that led to the state: no capacity is exceeded but on purpose (CP-2)

Each answers with a list of sentences, empty when all is well. The checks lie by what they are about: `loads` (agents),
`work` (interactions), `lines` (matching's indexes), `books` (counters, timers, names) and `settled` (what is owed when
a command is done). `counting` is the slow way itself: who has what, and who could take what.
"""

from __future__ import annotations

from router.engine.invariants import books, lines, loads, settled, work
from router.engine.invariants.watch import Watch
from router.engine.model import State

__all__ = ["SETTLED", "STEP", "Watch", "broken", "broken_step"]

STEP = (
    loads.loads,
    loads.suspensions,
    loads.drains,
    work.offers,
    work.owners,
    lines.lines,
    lines.personal,
    lines.groups,
    lines.given,
    lines.cells,
    lines.fit,
    lines.weights,
    books.counters,
    books.timers,
    books.names,
    books.memory,
    loads.agents,
    work.legs,
    work.callbacks,
    work.summons,
    work.kinship,
    books.paces,
    settled.reach,
    books.staffing,
)
SETTLED = (
    settled.live,
    settled.held,
    settled.patience,
    settled.offered,
    settled.taken_up,
    settled.overtaken,
    settled.due,
    work.consults,
    work.attempts,
    settled.unserved,
    settled.admitted,
)


def broken_step(s: State) -> list[str]:
    """What is wrong with a state that may stand in the middle of a command."""
    s.matcher.stand()  # lines are brought up to date when they are looked at
    return [wrong for check in STEP for wrong in check(s)]


def broken(s: State) -> list[str]:
    """What is wrong with a state that a command left behind."""
    if s.matcher.loose_item is not None or s.matcher.loose_agent is not None:
        return ["a command has left somebody out of line"]
    return [wrong for check in (*STEP, *SETTLED) for wrong in check(s)]
