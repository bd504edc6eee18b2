"""A daemon for each test, and none left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.system.daemon import Daemon

# Scans are taken a little sooner than by default, so that nobody waits for the settling time.
QUICK = {
    "SWITCHBOARD__SCAN__FOLDERS__FAX__SETTLE": "0s",
    "SWITCHBOARD__SCAN__FOLDERS__MAIL__SETTLE": "0s",
    "SWITCHBOARD__SCAN__POLL": "200ms",
}


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    """Running and ready; whatever it did, its log must hold no trouble."""
    async with Daemon(tmp_path / "data", QUICK) as running:
        yield running
    assert running.troubles() == []
