"""Operators say who is one customer: by the command line, through a real daemon, and after a kill."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from tests.system.daemon import ROOT, Daemon

TEL, OTHER = "tel:+15550188", "tel:+15550177"


async def customer(daemon: Daemon, *arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "router", "customer", *arguments, "--url", daemon.http, "--json"]
    made = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complaint = await made.communicate()
    return made.returncode or 0, said.decode(), complaint.decode()


@pytest.mark.promise("IN-6")
async def test_two_customers_are_joined_and_parted_by_command(daemon: Daemon) -> None:
    for phone in (TEL, OTHER):
        status, _ = await daemon.post("/v1/kiosk/checkins", {"topic": "support", "phone": phone.removeprefix("tel:")})
        assert status == 200
    code, said, _ = await customer(daemon, TEL, "--merge", OTHER, "--why", "same voice")
    told = json.loads(said)
    assert (code, told["customer"], set(told["interactions"])) == (0, TEL, {"i-1", "i-2"})
    daemon.kill()
    await daemon.start()
    assert (await daemon.interaction("i-2"))["customer"] == TEL
    _, explained = await daemon.get("/v1/interactions/i-2/explain")
    [act] = explained["customer"]["history"]
    assert act["what"].startswith(f"{OTHER} was joined with {TEL}, by operator ")
    assert (act["why"], act["by"].partition(":")[0]) == ("same voice", "operator")
    code, said, _ = await customer(daemon, OTHER, "--split")
    assert (code, json.loads(said)["interactions"]) == (0, ["i-2"])
    code, _, complaint = await customer(daemon, "tel:+15550000")
    assert (code, "no customer is known" in complaint) == (1, True)
