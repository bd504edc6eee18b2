"""Lending: the agents of one queue help out in another one, while that one needs it and they can be spared (RT-7).

A queue says from whom it borrows, and when (`Queue.borrow`). Each such rule is a gate, which is shut at first. At timed
checks (`balance`) it is asked of both queues (`pressure`):

    shut -> open    the borrower needs help, and the lender has agents to spare
    open -> shut    the borrower needs none any more, or the lender has no more to spare

by two thresholds each, and never sooner than `least` after the last change: so a gate does not flap. What is measured
is each queue's own, so an open gate does not shut itself by helping; and there is no chain: whom B borrows from C does
not come to A, which borrows from B.

A change is a fact (`LendingChanged`). While a gate is open, what waits in the borrower's queue asks for "this, or what
the lender's agents have": the last alternatives of its row, after those of its relaxation plan, in the order of the
rules. So whoever meets what was asked for before goes first, as always. Only the classes of the queue learn of it, and
what waits stays where it stands: a change costs nothing for each contact and nothing for each agent.

Nothing is taken back when a gate shuts: who is being offered something may accept it, and what is at work stays. What
must never be: a gate that opens or shuts without a record, or one that matching looks at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from router.engine import events as e
from router.engine import pressure
from router.engine.config import Borrow, Duration, Queue
from router.engine.matching import Profile, profile_of
from router.engine.pressure import Finding
from router.engine.relaxation import ROWS_MAX, Row, either
from router.engine.requirements import Node, both, fits
from router.engine.sayings import Saying, say
from router.engine.views import LoanView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.engine.entities import Agent, Interaction
    from router.engine.model import State

NEEDED, NO_NEED, NONE_TO_SPARE = "needed", "no-need", "none-to-spare"


class Gate(Struct, array_like=True, eq=False):
    """How a rule stood after its last change."""

    queue: str
    lender: str
    is_open: bool
    since_ms: int


class Origin(Struct, frozen=True):
    """What a class asks for when nobody is lent."""

    node: Node
    inner: Row  # before it was relaxed
    own: Node | None  # what was asked for on top of the queue's, and what is left of that


class Loans:
    """The rules by which one queue borrows under one configuration, and which of their gates are open."""

    __slots__ = ("_rows", "open", "rules", "said", "ways")

    def __init__(self, rules: tuple[Borrow, ...], queues: Mapping[str, Queue]) -> None:
        self.rules = rules
        # What is asked of those who are lent, by rule.
        self.ways = tuple(both(queues[rule.lender].requirement, rule.requirement) for rule in rules)
        self.open: tuple[int, ...] = ()
        self.said: dict[str, tuple[tuple[int, int], Saying]] = {}  # lender -> when it was asked, and why it is so
        self._rows: dict[tuple[tuple[int, ...], Origin], tuple[Node, Row]] = {}

    def way(self, i: int, own: Node | None) -> Node:
        """What one who is lent by this rule must have, for an interaction that asks for that on top."""
        return both(self.ways[i], own) if own is not None else self.ways[i]

    def asked(self, origin: Origin) -> tuple[Node, Row]:
        """What is asked for while these gates are open, and what before: each time by those who meet it so far."""
        if not self.open:
            return origin.node, origin.inner
        found = self._rows.get((self.open, origin))
        if found is None:
            if len(self._rows) >= ROWS_MAX:
                self._rows.clear()
            found = self._rows[self.open, origin] = self._widen(origin)
        return found

    def _widen(self, origin: Origin) -> tuple[Node, Row]:
        row, ways = [origin.node], [self.way(i, origin.own) for i in self.open]
        row += [either((origin.node, *ways[:n])) for n in range(1, len(ways) + 1)]
        return row[-1], tuple(dict.fromkeys(node for node in (*origin.inner, *row) if node != row[-1]))


# --- what is so -------------------------------------------------------------------------------------------------------


def gate_of(s: State, queue: str, rule: Borrow) -> Gate:
    found = s.gates.get((queue, rule.lender))
    return found if found is not None else Gate(queue, rule.lender, False, 0)


def facts(s: State, now_ms: int) -> Iterator[e.Event]:
    """The gates that are to open or to shut now."""
    for queue, loans in s.loans.items():
        for rule in loans.rules:
            gate = gate_of(s, queue, rule)
            if not gate.since_ms or now_ms >= gate.since_ms + rule.least:
                needed, spare = judged(s, queue, rule, now_ms)
                if gate.is_open != (needed.holds and spare.holds):
                    yield e.LendingChanged(queue, rule.lender, not gate.is_open, _cause(needed, spare))


def judged(s: State, queue: str, rule: Borrow, now_ms: int) -> tuple[Finding, Finding]:
    """What the borrower needs, and what the lender has to spare."""
    is_open = gate_of(s, queue, rule).is_open
    return (
        pressure.need(s, queue, rule.when, is_open, now_ms),
        pressure.spare(s, rule.lender, rule.spare, is_open, now_ms),
    )


def _cause(needed: Finding, spare: Finding) -> str:
    if not needed.holds:
        return NO_NEED
    return NEEDED if spare.holds else NONE_TO_SPARE


# --- explaining -------------------------------------------------------------------------------------------------------


def views(s: State, queue: str, now_ms: int) -> tuple[LoanView, ...]:
    """How each rule of the queue stands, and why."""
    loans = s.loans.get(queue)
    return tuple(_view(s, queue, rule, now_ms) for rule in loans.rules) if loans is not None else ()


def _view(s: State, queue: str, rule: Borrow, now_ms: int) -> LoanView:
    gate = gate_of(s, queue, rule)
    return LoanView(rule.lender, gate.is_open, gate.since_ms, str(why(s, queue, rule, now_ms)))


def why(s: State, queue: str, rule: Borrow, now_ms: int) -> Saying:
    """Why the gate is as it is, in words. Asked of one agent after the other, it is worked out once."""
    known, asked = s.loans[queue].said, (s.seq, now_ms)
    if rule.lender not in known or known[rule.lender][0] != asked:
        known[rule.lender] = asked, _why(s, queue, rule, now_ms)
    return known[rule.lender][1]


def _why(s: State, queue: str, rule: Borrow, now_ms: int) -> Saying:
    gate, (needed, spare) = gate_of(s, queue, rule), judged(s, queue, rule, now_ms)
    if gate.is_open:
        return say("lends", lender=rule.lender, queue=queue, needed=needed.said, spare=spare.said)
    if not spare.holds:
        return say("lends-nobody", lender=rule.lender, spare=spare.said)
    if not needed.holds:
        return say("borrows-nobody", queue=queue, lender=rule.lender, needed=needed.said)
    return say("lends-later", lender=rule.lender, pause=str(_pause(s, rule)))


def _pause(s: State, rule: Borrow) -> Duration:
    return max(rule.least, s.config.balance.period)


def may_have(s: State, item: Interaction, agent: Agent) -> bool:
    """Whether what is being offered to the agent may stay so: a gate that shut since takes nothing back."""
    return s.matcher.meets_node(agent, s.requirement_of(item)) or shut_for(s, item, profile_of(agent)) is not None


def lender_of(s: State, item: Interaction, agent: Agent) -> str:
    """The queue from which the agent is, or would be, borrowed for this interaction; "" for one of its own."""
    loans, profile = s.loans_of(item), profile_of(agent)
    if loans is None or s.matcher.meets_node(agent, s.asked_by_now(item)):
        return ""
    own = s.origin_of(item).own
    ways = sorted(range(len(loans.rules)), key=lambda i: i not in loans.open)
    return next((loans.rules[i].lender for i in ways if fits(loans.way(i, own), profile)), "")


def told(s: State, item: Interaction, agent: Agent) -> dict[str, str]:
    """From where the agent is borrowed, for an explanation; nothing for one of the queue's own."""
    lender = lender_of(s, item, agent)
    return {"borrowed_from": lender} if lender else {}


def shut_for(s: State, item: Interaction, profile: Profile) -> Borrow | None:
    """The first rule of its queue by which somebody of that profile would fit, were its gate open."""
    loans = s.loans_of(item)
    if loans is None:
        return None
    own = s.origin_of(item).own
    shut = (i for i in range(len(loans.rules)) if i not in loans.open)
    return next((loans.rules[i] for i in shut if fits(loans.way(i, own), profile)), None)
