"""A thousand scans dropped at once: none is lost, none is taken twice, and memory does not grow with their number."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scan.pictures import fax, jpeg, pdf
from tests.system.conftest import QUICK
from tests.system.daemon import Daemon

pytestmark = [pytest.mark.long, pytest.mark.timeout(1_200)]

SCANS = int(os.environ.get("SWITCHBOARD_SCANS", "1000"))
GROWTH_MAX_KIB = 96 << 10  # of the daemon's peak; the files together are larger where memory would follow them
PATIENCE_S = 900.0
BIG = jpeg(1_500, 1_000)  # some 700 KiB: a thousand are more than any bound here


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Daemon]:
    """Reading is another matter: it comes afterwards, one item at a time."""
    async with Daemon(tmp_path / "data", {**QUICK, "SWITCHBOARD__SCAN__READING__ENABLED": "false"}) as running:
        yield running
    assert running.troubles() == []


def peak_kib(house: Daemon) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{house.pid}/status").read_text())
    assert found is not None
    return int(found[1])


def drop(house: Daemon, stem: str, count: int) -> set[str]:
    """As a fax server that was cut off for a night: everything at once, each renamed into place."""
    folder = house.data / "drop" / "fax"
    kinds = ((".tif", fax(2)), (".pdf", pdf(2)), (".jpg", BIG))
    names = set()
    for number in range(count):
        ending, content = kinds[number % 3]
        name = f"{stem}-{number:04}{ending}"
        part = folder / f"{name}.part"
        part.write_bytes(content)
        part.rename(folder / name)
        names.add(name)
    return names


async def taken(house: Daemon, wanted: int) -> None:
    end = time.monotonic() + PATIENCE_S
    folder = house.data / "drop" / "fax"
    while os.listdir(folder) or (await house.get("/readyz"))[1]["parts"]["scan"]["figures"]["recorded"] < wanted:
        assert time.monotonic() < end, f"{len(os.listdir(folder))} files are left after {PATIENCE_S} s"
        await asyncio.sleep(0.2)


@pytest.mark.promise("IN-2")
async def test_a_thousand_scans_at_once_are_all_taken_and_memory_is_bounded(house: Daemon) -> None:
    names = drop(house, "first", 60)
    await taken(house, 60)
    before = peak_kib(house)
    began = time.monotonic()
    names |= drop(house, "flood", SCANS)
    await taken(house, 60 + SCANS)
    seconds, after = time.monotonic() - began, peak_kib(house)
    print(f"{SCANS} scans in {seconds:.0f} s; peak memory {before >> 10} MiB, then {after >> 10} MiB")
    found = [one["attributes"]["file"] for one in await house.interactions("queued")]
    assert sorted(found) == sorted(names)
    assert not list((house.data / "quarantine").glob("*.reason.json"))
    assert after - before < GROWTH_MAX_KIB
