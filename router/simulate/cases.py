"""Published cases, run through the engine: `switchboard simulate --cases FILE`.

A file holds cases of several kinds; each is answered by metrics whose keys are those of its `expected`, and more of the
same form.

    stationary        a model over many contacts             CLASS.METRIC, GROUP.occupancy, all.METRIC
    target            the same with rules of our choice      and min_sl_x; `gain` over first-come with longest-idle
    finite_day        days with periods                      good, sl_x, occupancy_group0, good_type0_period1 ...
    delay_prediction  expected waits against real ones       mse_ql_markov, hol_ratio ...
    formula           the estimators' formulas alone         row0.expected_wait, row0.variance ...
    invariant         a statement that holds of every engine; `holds` is 1 where it does
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from router.engine import estimates
from router.errors import ConfigError
from router.simulate import claims, contest, days, predicting, stationary
from router.simulate.model import Model, Policy, check

Step = Callable[[int, int], None]
SHORTEST_WARM_UP = 2_000


class Length(Struct, frozen=True):
    """How long a case runs."""

    contacts: int = 200_000
    warmup_contacts: int = 20_000
    days: int = 400

    def scaled(self, part: float) -> Length:
        """A shorter run; its tolerance is wider by 1 / sqrt(part). A house takes its time to fill all the same."""
        warm_up = round(self.warmup_contacts * part)
        return Length(
            max(1, round(self.contacts * part)),
            max(warm_up, min(self.warmup_contacts, SHORTEST_WARM_UP)),
            max(1, round(self.days * part)),
        )


class Row(Struct, frozen=True):
    """One line of a formula table; times in seconds."""

    agents: int
    mean: float
    ahead: int
    patience: float | None = None


class Case(Struct, frozen=True):
    name: str
    kind: str
    model: dict[str, Any] = {}
    run: Length = Length()
    rows: tuple[Row, ...] = ()
    expected: dict[str, float] = {}
    tolerance: dict[str, float] = {}


class Result(Struct, frozen=True, omit_defaults=True):
    name: str
    metrics: dict[str, float]
    seconds: float
    policies: dict[str, dict[str, float]] = {}  # of a contest: what each rule came to
    chosen: str = ""  # of a contest: the rule that `metrics` are of
    note: str = ""


def read(path: Path) -> list[Case]:
    """The cases of a file: a list of them, or every such list in a document. Raises ConfigError."""
    try:
        document = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(str(path), "a JSON file of cases", str(error)) from error
    found = [*_lists(document)]
    if not found:
        raise ConfigError(str(path), 'cases: objects with "name" and "kind"', "none")
    return [_case(raw, f"cases[{i}]") for i, raw in enumerate(found)]


def _lists(document: object) -> Iterator[object]:
    if isinstance(document, list):
        yield from (x for x in document if isinstance(x, dict) and "name" in x and "kind" in x)
    elif isinstance(document, dict):
        for value in document.values():
            yield from _lists(value)


def _case(raw: object, path: str) -> Case:
    case: Case = _converted(raw, Case, path)
    return case


def _converted(raw: object, kind: type[Any], path: str) -> Any:
    try:
        return msgspec.convert(raw, kind, strict=False)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        raise ConfigError(path + where.rstrip("`"), "what such a case has", what) from error


def run(
    case: Case, *, seed: int = 1, scale: float = 1.0, policy: Policy | None = None, step: Step | None = None
) -> Result:
    """Run one case. `policy` replaces its rules; `scale` shortens it."""
    if case.kind not in KINDS:
        raise ConfigError(f"{case.name}.kind", f"one of {', '.join(KINDS)}", repr(case.kind))
    began = time.perf_counter()
    found = KINDS[case.kind](case, seed, case.run.scaled(scale), policy, step)
    return msgspec.structs.replace(found, seconds=round(time.perf_counter() - began, 3))


def _stationary(case: Case, seed: int, length: Length, policy: Policy | None, step: Step | None) -> Result:
    model = _model(case)
    found = stationary.run(model, length.contacts, length.warmup_contacts, seed, policy, step)
    return Result(case.name, found, 0)


def _model(case: Case) -> Model:
    model: Model = _converted(case.model, Model, f"{case.name}.model")
    check(model, f"{case.name}.model")
    return model


def _target(case: Case, seed: int, length: Length, policy: Policy | None, step: Step | None) -> Result:
    model = _model(case)
    if policy is not None:
        found = contest.one(model, policy, length.contacts, length.warmup_contacts, seed, step)
        return Result(case.name, found, 0, chosen=contest.name_of(policy))
    chosen, policies = contest.run(model, length.contacts, length.warmup_contacts, seed, step)
    return Result(case.name, policies[chosen], 0, policies, chosen)


def _finite_day(case: Case, seed: int, length: Length, policy: Policy | None, step: Step | None) -> Result:
    day: days.Day = _converted(case.model, days.Day, f"{case.name}.model")
    return Result(case.name, days.run(day, length.days, seed, step), 0)


def _delay_prediction(case: Case, seed: int, length: Length, policy: Policy | None, step: Step | None) -> Result:
    office: predicting.Office = _converted(case.model, predicting.Office, f"{case.name}.model")
    return Result(case.name, predicting.run(office, length.contacts, length.warmup_contacts, seed, step), 0)


def _formula(case: Case, seed: int, length: Length, policy: Policy | None, step: Step | None) -> Result:
    found: dict[str, float] = {}
    for i, row in enumerate(case.rows):
        delay = estimates.queue_length(row.agents, row.mean, row.ahead, row.patience)
        found |= {f"row{i}.expected_wait": delay.mean, f"row{i}.variance": delay.variance}
    return Result(case.name, found, 0)


def _invariant(case: Case, seed: int, length: Length, policy: Policy | None, step: Step | None) -> Result:
    if case.name not in claims.CLAIMS:
        raise ConfigError(case.name, f"one of {', '.join(claims.CLAIMS)}", repr(case.name))
    return Result(case.name, claims.CLAIMS[case.name](seed, length.contacts, step), 0)


KINDS: dict[str, Callable[[Case, int, Length, Policy | None, Step | None], Result]] = {
    "stationary": _stationary,
    "target": _target,
    "finite_day": _finite_day,
    "delay_prediction": _delay_prediction,
    "formula": _formula,
    "invariant": _invariant,
}
