"""The examples of README.md and docs/ do what they say: run as they stand against a daemon, but for its ports."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft7Validator
from websockets.asyncio.client import ClientConnection, connect

from router.cli import asyncapi
from tests.house.pages import ROOT, Page
from tests.house.test_docs import OPERATORS, schema_of
from tests.system.daemon import Daemon

README = Page(ROOT / "README.md")
WITH_SHELL = [page for page in map(Page, sorted(ROOT.glob("docs/*.md"))) if any(f.kind == "sh" for f in page.fences)]
MISSING = [tool for tool in ("sh", "curl", "openssl") if shutil.which(tool) is None]

# What a page may show without being run here, and why.
NOT_RUN = {
    "./run": "starts a daemon of its own",
    "./run agent": "wants a person at a terminal",
    "./run test": "this is within it",
    "./run faults": "has tests of its own",
    "./run calls": "has tests of its own",
    "./run bench": "has tests of its own",
    "./run check --config my.toml": "the reader's own file",
}


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with Daemon(tmp_path / "data", {"SWITCHBOARD__SCAN__POLL": "200ms"}) as running:
        yield running
    assert running.troubles() == []


pytestmark = [
    pytest.mark.long,
    pytest.mark.system,
    pytest.mark.skipif(bool(MISSING), reason=f"the examples need {', '.join(MISSING)}"),
]


def run(script: str, daemon: Daemon) -> str:
    """What this script prints, in a folder that looks like the checkout with the daemon's data as `var`."""
    place = daemon.data.parent / "place"
    if not place.exists():
        place.mkdir()
        (place / "config").symlink_to(ROOT / "config")
        (place / "var").symlink_to(daemon.data)
        (place / "run").write_text('#!/bin/sh\nexec "$PYTHON" -m router "$@"\n')
        (place / "run").chmod(0o755)
    env = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-eu", "-c", here(script, daemon)],
        cwd=place,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def here(script: str, daemon: Daemon) -> str:
    """With the addresses of this daemon; nothing else is changed."""
    smtp = f"{daemon.smtp[0]}:{daemon.smtp[1]}"
    customers = f"--url {daemon.http} --chat-url {daemon.socket}/chat --smtp {smtp} --data var"
    lines = []
    for line in script.splitlines():
        if re.match(r"\./run (?:explain|why-not)\b", line):
            line = f"{line.partition(' #')[0]} --url {daemon.http}"
        elif line.startswith("./run try "):
            line = f"{line.partition(' #')[0]} {customers}"
        lines.append(line)
    text = "\n".join(lines).replace("http://127.0.0.1:8080", daemon.http)
    return text.replace("ws://127.0.0.1:8081", daemon.socket).replace("127.0.0.1:2525", smtp)


async def test_the_signed_webhook_of_the_readme_rings(daemon: Daemon) -> None:
    example = next(fence.text for fence in README.fences if "Switchboard-Signature" in fence.text)
    answer = json.loads(await asyncio.to_thread(run, example, daemon))
    assert answer["action"] == {"type": "queue"}
    ringing = await daemon.interaction(answer["interaction"])
    assert (ringing["sender"], ringing["queue"]) == ("+15550199", "support")


async def test_the_other_commands_of_the_readme_work(daemon: Daemon) -> None:
    """In the order of the page, so that `i-3` is there when it is asked about."""
    lines = [line for fence in README.fences for line in fence.text.splitlines() if line.startswith(("./run", "curl"))]
    ours = [line for line in lines if not any(is_left_out(line, left) for left in NOT_RUN)]
    ours = [line for line in ours if "Switchboard-Signature" not in line]
    assert any("try chat" in line for line in ours)
    assert any("explain i-3" in line for line in ours)
    await asyncio.to_thread(run, "\n".join(ours), daemon)


def is_left_out(line: str, left: str) -> bool:
    command = line.partition(" #")[0].strip()
    return command == left or (left != "./run" and command.startswith(f"{left} "))


@pytest.mark.parametrize("page", WITH_SHELL, ids=lambda page: page.path.name)
async def test_the_examples_of_a_page_work(page: Page, daemon: Daemon) -> None:
    script = "\n".join(fence.text for fence in page.fences if fence.kind == "sh")
    assert await asyncio.to_thread(run, script, daemon) or page.path.name in ("email.md", "scans.md")
    if page.path.name == "scans.md":
        await until_gone(daemon.data / "drop/fax/page.pdf")
    found = await daemon.interactions()
    assert found or page.path.name == "accounts.md"  # which only looks at the audit
    if page.path.name == "phone.md":
        assert json.loads(page.fences[1].text)["action"] == {"type": "queue"}
        assert {one["recipient"] for one in found} == {"+15550100"}
        assert len(found) == 2


async def until_gone(path: Path) -> None:
    end = time.monotonic() + 20
    while path.exists():
        assert time.monotonic() < end, f"{path.name} was not taken"
        await asyncio.sleep(0.05)


async def test_the_table_of_parts_is_what_readiness_says(daemon: Daemon) -> None:
    table = next(table for table in OPERATORS.tables if table.header[0] == "part")
    here = [row[0] for row in table.rows if not row[1].startswith("with a log in Redis only")]
    parts = {name.split("`")[1] for name in here}  # what one says may have a row of its own
    assert parts == set((await daemon.ready())["parts"])


# --- the schemas against the wire -------------------------------------------------------------------------------------


class Wire:
    """One socket; whatever comes is held against the AsyncAPI document."""

    def __init__(self, socket: ClientConnection, link: str) -> None:
        self.socket, self.link = socket, link
        self.seen: set[str] = set()

    async def say(self, **frame: Any) -> None:
        Draft7Validator(schema_of(self.link, "in", frame["type"])).validate(frame)
        await self.socket.send(json.dumps(frame))

    async def until(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                frame: dict[str, Any] = json.loads(await self.socket.recv())
                Draft7Validator(schema_of(self.link, "out", frame["type"])).validate(frame)
                self.seen.add(frame["type"])
                if frame["type"] == kind:
                    return frame


async def test_what_is_really_said_follows_the_asyncapi_document(daemon: Daemon) -> None:
    document = asyncapi.document()["channels"]
    async with (
        connect(f"{daemon.socket}{document['agent']['address']}") as one,
        connect(f"{daemon.socket}/chat") as two,
    ):
        agent, visitor = Wire(one, "agent"), Wire(two, "chat")
        await agent.say(type="hello", token="dev-ana")
        await agent.until("welcome")
        await agent.say(type="set_state", id="a1", state="ready")
        await visitor.say(type="hello", topic="support", name="Eva")
        await visitor.until("welcome")
        await visitor.say(type="message", id=1, text="Where is my parcel?")
        offer = await agent.until("offer")
        await agent.say(type="accept", id="a2", offer=offer["offer"])
        mine = (await agent.until("assigned"))["interaction"]["id"]
        await visitor.until("joined")
        await agent.say(type="note", id="a3", interaction=mine, text="wants a parcel")
        await agent.until("interaction_updated")
        await agent.say(type="say", id="a4", interaction=mine, text="It comes tomorrow.")
        await visitor.until("message")
        await agent.say(type="say", id="a4", interaction=mine, text="Something else.")
        assert (await agent.until("error"))["code"] == "id-reused"
        await visitor.say(type="leave")
        await visitor.until("ended")
        await agent.until("interaction_ended")
        await agent.say(type="finish_wrap_up", id="a5", interaction=mine)
        await agent.until("interaction_ended")
        daemon.signal(15)
        await agent.until("goodbye")
    assert agent.seen >= {"welcome", "ok", "error", "state", "offer", "assigned", "message", "goodbye"}
    assert visitor.seen >= {"welcome", "queued", "delivered", "joined", "message", "ended"}
    assert await daemon.ended(20) == 0
