"""A deployment, with two real versions: this one, and an older one out of the history of this repository."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from router.settings import load
from tests.faults.rolling import STEPS, NoHistory, deploy, version_before

# What an older version does not know, and where that word came in.
UNKNOWN = {
    "signals between edges": ("SIGNALS", "router/service/remote/messages.py"),
    "routing domains": ("LeadGiven", "router/engine/events.py"),
}


READ = "import sys; from router.engine.config import from_bytes; from_bytes(sys.stdin.buffer.read())"


@pytest.mark.promise("DU-5", "DU-3")
@pytest.mark.parametrize("unknown", UNKNOWN)
def test_an_older_version_reads_what_this_one_writes_of_the_older_ones_configuration(
    unknown: str, tmp_path: Path
) -> None:
    """An option that came since then is not written where nobody asked for it, or there would be no way back."""
    try:
        old = version_before(*UNKNOWN[unknown], tmp_path)
    except NoHistory as problem:
        pytest.skip(f"the history of this repository is not here, so there is no older version to run ({problem})")
    document = load(old / "config" / "dev.toml").document
    done = subprocess.run([sys.executable, "-c", READ], cwd=old, input=document, capture_output=True, check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")


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
