"""What follows from expected waits, looked at now and then: agents are lent (`lending`), contacts overflow (`overflow`)
or ask for less (`foresight`).

A check takes place at each multiple of `balance.period`, on the engine's clock. It is a deadline as any other, and what
it decides follows from the state and that time; where nothing is to change it leaves no trace. A server that slept for
an hour checks once, not seven hundred times. Nothing is checked where nobody has such a rule.

First the gates, then what overflows, then who asks for less: all judge the state before the check, and what one of them
decides changes nothing that another looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from router.engine import foresight, lending, overflow
from router.engine.config import Borrow, Config, Need, Spare
from router.engine.events import Event
from router.engine.requirements import Node
from router.errors import ConfigError

if TYPE_CHECKING:
    from router.engine.model import State, Timer


def due(s: State, entry: Timer) -> int:
    return s.balance_ms


def facts(s: State, now_ms: int) -> list[Event]:
    """What this check comes to; the next one comes with the next period, whatever was slept through."""
    period = s.config.balance.period
    s.balance_ms = now_ms // period * period + period
    flowing = list(overflow.facts(s, now_ms))
    easing = foresight.facts(s, {fact.interaction for fact in flowing}, now_ms)
    return [*lending.facts(s, now_ms), *flowing, *easing]


def put_off(s: State, entry: Timer, now_ms: int) -> Timer:
    return (s.balance_ms, *entry[1:])


SHORTEST_MS = 1_000  # a look costs a millisecond, where queues are many

# --- checking ---------------------------------------------------------------------------------------------------------

OneOf = Callable[[str | None, Iterable[str], str, str], None]
Asks = Callable[[Node, str], None]


def check_helping(config: Config, one_of: OneOf, asks: Asks) -> None:
    """Refuse rules that could never do anything, or would do and undo it. Raises ConfigError with the dotted path."""
    for field in ("period", "window"):
        if getattr(config.balance, field) < SHORTEST_MS:
            raise ConfigError(f"balance.{field}", "a duration of at least 1s", str(getattr(config.balance, field)))
    for name, queue in config.queues.items():
        path = f"queues.{name}"
        _other_queues(config, name, [rule.lender for rule in queue.borrow], f"{path}.borrow", "from", one_of)
        for i, loan in enumerate(queue.borrow):
            asks(loan.requirement, f"{path}.borrow[{i}].requirement")
            _check_borrow(loan, f"{path}.borrow[{i}]")
        _other_queues(config, name, [rule.to for rule in queue.overflow], f"{path}.overflow", "to", one_of)
        for i, rule in enumerate(queue.overflow):
            if not rule.below:
                raise ConfigError(f"{path}.overflow[{i}].below", "a duration longer than 0s: no wait is shorter", "0s")
            if rule.below > rule.wait:
                expected = f"at most wait ({rule.wait}), or it would be no gain to move"
                raise ConfigError(f"{path}.overflow[{i}].below", expected, str(rule.below))


def _other_queues(config: Config, name: str, named: list[str], path: str, field: str, one_of: OneOf) -> None:
    for i, other in enumerate(named):
        one_of(other, config.queues, f"{path}[{i}].{field}", "queue")
        if other == name or other in named[:i]:
            expected = "another queue" if other == name else "a queue that no rule before it names"
            raise ConfigError(f"{path}[{i}].{field}", expected, repr(other))


def _check_borrow(loan: Borrow, path: str) -> None:
    _check_need(loan.when, f"{path}.when")
    _check_spare(loan.spare, f"{path}.spare")


def _check_need(need: Need, path: str) -> None:
    """Help that ends where it would not begin yet: otherwise it would begin and end in turn."""
    if need.wait is None and need.share is None and need.level_below is None:
        raise ConfigError(path, "at least one of wait, share, level_below", "none")
    _can_hold(need.level_below, f"{path}.level_below", "a share above 0: no level is lower")
    _goes_with(need.wait, need.wait_until, f"{path}.wait_until", "wait", at_most=True)
    _goes_with(need.share, need.share_until, f"{path}.share_until", "share", at_most=True)
    _goes_with(need.level_below, need.level_until, f"{path}.level_until", "level_below", at_most=False)


def _check_spare(spare: Spare, path: str) -> None:
    if spare.wait_below is None and spare.level_above is None:
        raise ConfigError(path, "at least one of wait_below, level_above", "none")
    _can_hold(spare.wait_below, f"{path}.wait_below", "a duration longer than 0s: no wait is shorter")
    _goes_with(spare.wait_below, spare.wait_until, f"{path}.wait_until", "wait_below", at_most=False)
    _goes_with(spare.level_above, spare.level_until, f"{path}.level_until", "level_above", at_most=True)


def _can_hold(value: float | None, path: str, expected: str) -> None:
    if value is not None and not value:
        raise ConfigError(path, expected, str(value))


def _goes_with(value: float | None, until: float | None, path: str, name: str, at_most: bool) -> None:
    if until is None:
        return
    if value is None:
        raise ConfigError(path, f"{name} beside it", "none")
    if until > value if at_most else until < value:
        raise ConfigError(path, f"{'at most' if at_most else 'at least'} {name} ({value})", str(until))
