"""A deployment, with two real versions: this one, and an older one out of the history of this repository."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.rolling import STEPS, NoHistory, deploy, version_before

# What an older version does not know, and where that word came in.
UNKNOWN = {
    "signals between edges": ("SIGNALS", "router/service/remote/messages.py"),
    "routing domains": ("LeadGiven", "router/engine/events.py"),
}


@pytest.mark.long
@pytest.mark.promise("DU-5", "DU-3", "AG-3")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("unknown", UNKNOWN)
def test_a_deployment_of_this_version_and_back_and_forth_loses_nothing_and_doubles_nothing(
    unknown: str, tmp_path: Path
) -> None:
    try:
        old = version_before(*UNKNOWN[unknown], tmp_path / "old")
    except NoHistory as problem:
        pytest.skip(f"the history of this repository is not here, so there is no older version to run ({problem})")
    result = asyncio.run(deploy(old, f"7-{unknown.partition(' ')[0]}", tmp_path))
    assert result.troubles == []
    assert (result.findings.lost, result.findings.doubled, result.findings.stuck) == ([], [], [])
    assert result.rounds == len(STEPS)
