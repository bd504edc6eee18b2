"""Walks by chance with every invariant after every event, a replay beside, and every offer foretold by the oracle."""

import pytest

from tests.engine.support.walk import Walk


@pytest.mark.promise("DU-3", "RT-1", "RT-5", "CP-2", "OF-6", "AG-3", "RT-2", "RT-6", "RT-10")
@pytest.mark.parametrize("seed", range(12))
def test_nothing_breaks_on_a_walk(seed: int) -> None:
    Walk(seed).run(200)
