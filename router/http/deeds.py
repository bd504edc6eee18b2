"""What an operator's act was about and what it asked for, as the audit has it.

In names and numbers alone, with the reason last: whoever reads the audit may read it in another language.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from router.engine import commands as c
from router.engine.requirements import as_data
from router.engine.views import Outbound, callback_id

BETWEEN = " · "


def subject(command: c.AnyCommand) -> str:
    """What it was about where that is no interaction; "" where the path says it."""
    rule = SUBJECTS.get(type(command))
    return rule(command) if rule is not None else ""


def detail(command: c.AnyCommand) -> str:
    """What it asked for, and why."""
    rule = DETAILS.get(type(command))
    asked = rule(command) if rule is not None else []
    return BETWEEN.join(part for part in (*asked, getattr(command, "why", "")) if part)


def of_letter(letter: Outbound) -> str:
    """What was to be delivered, and to whom: once it is retried or discarded it is no dead letter any more."""
    return BETWEEN.join((str(letter.outbound), letter.channel, letter.action, f"→ {letter.whom}"))


def _transfer(ask: c.Transfer) -> list[str]:
    to = ask.to
    named = to.queue or to.agent or to.address
    if to.requirement is not None:
        named = msgspec.json.encode(as_data(to.requirement)).decode()
    return [f"→ {named}"]


def _reprioritise(ask: c.Reprioritise) -> list[str]:
    weight = f"weight {ask.weight:g}" if ask.weight else ""
    return [ask.band, weight, f"target {ask.target_ms} ms" if ask.target_ms else ""]


def _assign(ask: c.Assign) -> list[str]:
    return [f"→ {ask.agent}", "override" if ask.override else ""]


def _callback(ask: c.RequestCallback) -> list[str]:
    return [ask.queue, ask.first]


SUBJECTS: dict[type, Callable[[Any], str]] = {
    c.MergeCustomers: lambda ask: ask.customer,
    c.SplitCustomer: lambda ask: ask.identity,
    c.RequestCallback: lambda ask: ask.to,
    c.CancelCallback: lambda ask: callback_id(ask.callback),
}
DETAILS: dict[type, Callable[[Any], list[str]]] = {
    c.SetState: lambda ask: [ask.state, ask.reason],
    c.Transfer: _transfer,
    c.Assign: _assign,
    c.Reprioritise: _reprioritise,
    c.MergeCustomers: lambda ask: [f"+ {ask.other}"],
    c.RequestCallback: _callback,
}
