"""Published cases and golden traces. They lie beside a development checkout and are no part of the repository."""

from pathlib import Path
from typing import Any

import pytest

from router.simulate import cases
from router.simulate.cases import Case

SHARED = Path(__file__).parents[3] / "shared"
THEORY = SHARED / "theory"
ABSENT = "the theory cases lie in ../shared/theory beside a development checkout; there are none here"


def trace_params() -> list[Any]:
    """One parameter for each golden trace; where there are none, one that is skipped by name."""
    if not SHARED.exists():
        return [pytest.param(None, id="absent", marks=pytest.mark.skip(reason=ABSENT))]
    found = sorted((THEORY / "traces").glob("*.json"))
    assert found, f"no traces in {THEORY}"
    return [pytest.param(path, id=path.stem) for path in found]


def case_params(*kinds: str) -> list[Any]:
    """One parameter for each case of these kinds."""
    if not SHARED.exists():
        return [pytest.param(None, id="absent", marks=pytest.mark.skip(reason=ABSENT))]
    found = [case for case in cases.read(THEORY / "cases.json") if case.kind in kinds]
    assert found, f"no cases of kind {kinds} in {THEORY}"
    return [pytest.param(case, id=case.name) for case in found]


def missed(case: Case, found: dict[str, float], part: float) -> dict[str, tuple[float, float, float]]:
    """Metric -> found, expected, allowed: of those outside of their tolerance, which is wider for a shorter run."""
    wider = max(1.0, part**-0.5)
    return {
        name: (found[name], expected, case.tolerance[name] * wider)
        for name, expected in case.expected.items()
        if abs(found[name] - expected) > case.tolerance[name] * wider
    }
