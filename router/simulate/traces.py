"""Golden traces: every decision of a written history, agent by agent and millisecond by millisecond.

A trace is a model and a table of contacts: when they came, how much work they were, how patient, and what became of
them. Run again through the engine each row must come out as it is written.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from router.simulate.model import Model, agents_of, configuration, group_of
from router.simulate.stationary import world_of
from router.simulate.world import BEGIN_MS, NEVER, Contact, Watch


class Row(Struct, frozen=True):
    """One contact; times in milliseconds from the beginning. `agent` counts through all groups, -1 for none."""

    contact: int
    arrival_ms: int
    kind: str
    work: float
    patience_ms: int  # NEVER: waits for ever
    outcome: str  # served, abandoned or blocked
    time_ms: int  # of the start or the leaving; that of the arrival for a blocked one
    group: str
    agent: int


class Trace(Struct, frozen=True):
    name: str
    model: Model


def read(path: Path) -> tuple[Trace, list[Row]]:
    """The trace `NAME.json` and its table `NAME.csv` beside it."""
    trace = msgspec.json.decode(path.read_bytes(), type=Trace)
    with path.with_suffix(".csv").open(newline="", encoding="utf-8") as file:
        return trace, [_row(line) for line in csv.DictReader(file)]


def _row(line: dict[str, str]) -> Row:
    arrival = _ms(line["arrival_s"])
    return Row(
        contact=int(line["contact"]),
        arrival_ms=arrival,
        kind=line["class"],
        work=float(line["work"]),
        patience_ms=_ms(line["patience_s"]) if line["patience_s"] else NEVER,
        outcome=line["outcome"],
        time_ms=_ms(line["time_s"]) if line["time_s"] else arrival,
        group=line["group"],
        agent=int(line["agent"]) if line["agent"] else -1,
    )


def _ms(seconds: str) -> int:
    return round(float(seconds) * 1_000)


class Recorder(Watch):
    """Notes what became of each contact."""

    def __init__(self, model: Model) -> None:
        self.agents = {agent: i for i, agent in enumerate(agents_of(model))}
        self.groups = [group.name for group in model.groups]
        self.found: dict[int, tuple[str, int, str, int]] = {}  # index -> outcome, time_ms, group, agent

    def refused(self, x: Contact, now_ms: int) -> None:
        self.found[x.index] = ("blocked", now_ms - BEGIN_MS, "", -1)

    def begun(self, x: Contact, now_ms: int) -> None:
        at = now_ms - BEGIN_MS
        self.found[x.index] = ("served", at, self.groups[group_of(x.agent)], self.agents[x.agent])

    def abandoned(self, x: Contact, now_ms: int) -> None:
        self.found[x.index] = ("abandoned", now_ms - BEGIN_MS, "", -1)


def replayed(model: Model, rows: Sequence[Row]) -> list[Row]:
    """The same contacts through the engine, with what became of them here."""
    recorder = Recorder(model)
    world = world_of(model, configuration(model), recorder)
    world.expect(_contacts(model, rows))
    world.run()
    return [
        Row(row.contact, row.arrival_ms, row.kind, row.work, row.patience_ms, *recorder.found[i])
        for i, row in enumerate(rows)
    ]


def _contacts(model: Model, rows: Iterable[Row]) -> Iterator[Contact]:
    kinds = {x.name: i for i, x in enumerate(model.classes)}
    for i, row in enumerate(rows):
        yield Contact(i, BEGIN_MS + row.arrival_ms, kinds[row.kind], row.work, row.patience_ms)


def differences(expected: Sequence[Row], found: Sequence[Row]) -> list[str]:
    """One line for each row that came out otherwise."""
    return [
        f"contact {a.contact}: {_said(b)} instead of {_said(a)}" for a, b in zip(expected, found, strict=True) if a != b
    ]


def _said(row: Row) -> str:
    who = f" by agent {row.agent} of {row.group}" if row.agent >= 0 else ""
    return f"{row.outcome} at {row.time_ms / 1_000:.3f} s{who}"
