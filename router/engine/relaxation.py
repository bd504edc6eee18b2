"""Relaxation plans: what a waiting interaction asks for less and less of, the longer it waits (RT-7).

A plan is a list of steps, a queue's or a routing rule's. What waits has taken some number of them
(`Interaction.step`), and a step that is taken takes all before it along, so there is one row of requirements from the
innermost (as written) to the outermost, each met by everybody who meets the one before. That is what makes "an inner
agent goes first" mean something, and it is why an easing minds where it stands: what is dropped under a `not` is
dropped the other way round.

    triggers   `after` seconds waited, `share` of the target used, `when` nobody is signed in (or ready) who meets what
               is asked for now, `when_expected` to wait still for so long (`foresight`), and at any time by hand
    actions    lower a level, drop a part, widen to teams, to whoever meets another requirement, to another queue's
               staff; raise the band; release what is held for agents by name

A trigger "all who fit are busy" is deliberately absent: what waits, waits because nobody who fits is free (RT-5), so
`after = "0s"` says just that.

The clock never restarts: steps come due by the time of arrival, and whoever comes back to the queue after 40 s stands
at once where 40 s put them. Nothing here is worked out in a decision: a requirement's row is made once and kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from router.engine.config import Queue, Step
from router.engine.requirements import ANYBODY, Node, both

NOBODY = Node(any=())
MAX_STEPS = 16
ROWS_MAX = 10_000  # requirements come from outside as well: transfers write their own

Row = tuple[Node, ...]  # a requirement as written, and after each step


class Ladder:
    """The plan of one queue under one configuration."""

    __slots__ = ("_rows", "steps", "wider")

    def __init__(self, steps: tuple[Step, ...], queues: Mapping[str, Queue]) -> None:
        self.steps = steps
        # What each step lets in beside those who meet the eased requirement.
        self.wider = tuple(tuple(alternatives(step, queues)) for step in steps)
        self._rows: dict[Node, Row] = {}

    def row(self, asked: Node) -> Row:
        """What is asked for as written, and after each step; worked out once for each requirement."""
        found = self._rows.get(asked)
        if found is None:
            if len(self._rows) >= ROWS_MAX:
                self._rows.clear()
            found = self._rows[asked] = tuple(self._climb(asked))
        return found

    def _climb(self, node: Node) -> Iterator[Node]:
        yield node
        for step, wider in zip(self.steps, self.wider, strict=True):
            node = widened(node, step, wider)
            yield node

    def after(self, step: int, asked: Node) -> Node:
        """What is asked for when so many steps are taken; a plan that has become shorter ends at its last."""
        return self.row(asked)[min(step, len(self.steps))]

    def eased(self, step: int, own: Node) -> Node:
        """What is left of one part of what was asked for; nobody is let in beside those who meet it."""
        for taken in self.steps[:step]:
            own = ease(own, taken, True)
        return own

    def inner(self, step: int, asked: Node) -> Row:
        """The different requirements before that one, the innermost first."""
        row = self.row(asked)
        now = row[min(step, len(self.steps))]
        return tuple(dict.fromkeys(node for node in row[:step] if node != now))

    def band(self, step: int) -> str:
        """The band that the last of the steps so far which names one raises it to; "" for none."""
        return next((s.band for s in reversed(self.steps[:step]) if s.band), "")

    def calls(self, step: int, signed_in: bool, ready: bool) -> bool:
        """Whether a later step comes at once, when so many who fit are there."""
        return bool(self.call(step, signed_in, ready))

    def call(self, step: int, signed_in: bool, ready: bool) -> str:
        """What brings the next step at once; "" if nothing does."""
        asked = {s.when for s in self.steps[step:]}
        if not signed_in and "nobody-signed-in" in asked:
            return "nobody-signed-in"
        return "nobody-ready" if not ready and "nobody-ready" in asked else ""

    def foresees(self, step: int) -> bool:
        """Whether a later step comes by the expected wait."""
        return any(s.when_expected is not None for s in self.steps[step:])

    def foreseen(self, step: int, expected_ms: int) -> int:
        """The first later step that comes by this expected wait, which takes all before it along; 0 if none does."""
        later = enumerate(self.steps[step:], step + 1)
        return next((i for i, s in later if s.when_expected is not None and expected_ms > s.when_expected), 0)

    def wait_ms(self, step: int, target_ms: int) -> int | None:
        """After how long a wait the next step comes by time; None for never. A later one takes the earlier along."""
        return min(waits(self.steps[step:], target_ms), default=None)


def waits(steps: tuple[Step, ...], target_ms: int) -> Iterator[int]:
    """After how long a wait these steps come due; nothing for one that never does."""
    for step in steps:
        if step.after is not None:
            yield int(step.after)
        if step.share is not None:
            yield round(step.share * target_ms)


def cause_of(steps: tuple[Step, ...], target_ms: int) -> str:
    """By which of its times the first of these steps came due."""
    afters = [int(step.after) for step in steps if step.after is not None]
    return "after" if min(waits(steps, target_ms)) in afters else "share"


# --- from one requirement to a wider one ------------------------------------------------------------------------------


def alternatives(step: Step, queues: Mapping[str, Queue]) -> Iterator[Node]:
    if step.also is not None:
        yield step.also
    for name in step.borrow:
        yield queues[name].requirement


def widened(node: Node, step: Step, wider: tuple[Node, ...] = ()) -> Node:
    """What is asked for after this step: met by everybody who met it before."""
    eased = ease(node, step, True)
    return either((eased, *wider)) if wider else eased


def ease(node: Node, step: Step, for_all: bool) -> Node:
    """`for_all` is False under an odd number of `not`, where asking for less means letting fewer through."""
    if node.negated is not None:
        return _not(ease(node.negated, step, not for_all))
    if node.all is not None:
        return _all(tuple(ease(child, step, for_all) for child in node.all))
    if node.any is not None:
        return either(tuple(ease(child, step, for_all) for child in node.any))
    return _ease_leaf(node, step, for_all)


def _ease_leaf(leaf: Node, step: Step, for_all: bool) -> Node:
    if _dropped(leaf, step):
        return ANYBODY if for_all else NOBODY
    if leaf.skill in step.lower:
        return _lowered(leaf, step.lower[leaf.skill], for_all)
    if leaf.team and step.teams:
        return _with_teams(leaf, step.teams, for_all)
    return leaf


def _dropped(leaf: Node, step: Step) -> bool:
    return (
        leaf.skill in step.drop_skills
        or leaf.language in step.drop_languages
        or leaf.attribute in step.drop_attributes
        or (bool(leaf.team) and step.any_team)
    )


def _lowered(leaf: Node, level: int, for_all: bool) -> Node:
    """Only a bound from below is lowered; "exactly 5" or "at most 5" says something else."""
    bounds = (">=", ">") if for_all else ("<", "<=")
    return replace(leaf, level=level) if leaf.op in bounds and level < leaf.level else leaf


def _with_teams(leaf: Node, teams: tuple[str, ...], for_all: bool) -> Node:
    if for_all:
        return replace(leaf, team=tuple(dict.fromkeys((*leaf.team, *teams))))
    rest = tuple(team for team in leaf.team if team not in teams)
    return replace(leaf, team=rest) if rest else NOBODY


# Trees are kept small: equal requirements share a class, and a person reads them.


def _all(parts: tuple[Node, ...]) -> Node:
    if NOBODY in parts:
        return NOBODY
    asked = tuple(part for part in parts if part != ANYBODY)
    return asked[0] if len(asked) == 1 else Node(all=asked)


def either(parts: tuple[Node, ...]) -> Node:
    """Met by whoever meets one of them."""
    if ANYBODY in parts:
        return ANYBODY
    ways = tuple(part for part in parts if part != NOBODY)
    return ways[0] if len(ways) == 1 else Node(any=ways)


def _not(part: Node) -> Node:
    if part == ANYBODY:
        return NOBODY
    return ANYBODY if part == NOBODY else Node(negated=part)


# --- checking ---------------------------------------------------------------------------------------------------------


def idle_steps(row: Row, steps: tuple[Step, ...]) -> list[int]:
    """The steps that change nothing about this requirement, and do nothing else."""
    return [i for i, step in enumerate(steps) if row[i] == row[i + 1] and not acts(step)]


def acts(step: Step) -> bool:
    """Whether the step does more than ask for less."""
    return bool(step.band or step.release or step.callback or step.queue)


def asked_by(queue: Queue, on_top: tuple[Node, ...]) -> Iterator[Node]:
    """What the queue's interactions can ask for by the configuration: its own requirement, alone and with a rule's."""
    yield queue.requirement
    for node in on_top:
        yield both(queue.requirement, node)


def asked_on_top(queue: Queue, node: Node | None) -> Node:
    """What a rule's contacts ask for in the queue."""
    return both(queue.requirement, node) if node is not None else queue.requirement
