"""Walks by chance: every invariant after every event, a replay beside, every offer foretold by the naive matcher.

A seed is a history: `Walk(seed).run(steps)` repeats it exactly.
"""

import os

import pytest

from router.engine import matching
from tests.engine.support.walk import Walk

PROMISES = ("DU-3", "RT-1", "RT-2", "RT-5", "RT-6", "RT-10", "CP-2", "CP-3", "OF-1", "OF-6", "AG-3", "MV-1")


@pytest.mark.promise(*PROMISES)
@pytest.mark.parametrize("seed", range(10))
def test_nothing_breaks_on_a_walk(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if seed % 2:
        monkeypatch.setattr(matching, "TIDY_MIN", 1)  # classes are forgotten all the time
    Walk(seed).run(200)


@pytest.mark.promise(*PROMISES)
@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("seed", range(1_000, 1_000 + int(os.environ.get("WALKS", "4"))))
def test_nothing_breaks_on_a_long_walk(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`WALKS=500` for a night."""
    if seed % 2:
        monkeypatch.setattr(matching, "TIDY_MIN", 1)
    Walk(seed, thrift=50).run(2_500)
