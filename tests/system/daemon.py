"""A real daemon as a child process, started, killed and asked from outside.

It gets a folder of its own and free ports, and says on stdout where it really listens; that is all that is read of it.
`kill` is kill -9 by process id. Nothing here reaches into the process.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config" / "dev.toml"
# It as two routing domains: to be put behind it.
DOMAINS = """
[domains.front]
number = 1
queues = ["support", "sales"]
teams = ["front"]

[domains.back]
number = 2
queues = ["mailroom"]
teams = ["back"]
"""
ANY_PORT = {
    "SWITCHBOARD__HTTP__PORT": "0",
    "SWITCHBOARD__SOCKETS__PORT": "0",
    "SWITCHBOARD__EMAIL__SMTP__PORT": "0",
    "SWITCHBOARD__EMAIL__LMTP__PORT": "0",
}
OPERATOR = {"Authorization": "Bearer dev-operator"}
START_S = 90.0  # a loaded machine takes a while to import everything
LOOK_S = 0.02

Json = dict[str, Any]


class Daemon:
    """One data folder and, from `launch` to `kill` or `stop`, the process that serves it."""

    program = "router"  # what is run; the laboratory has one that is broken on purpose
    root = ROOT  # and from where: other versions lie elsewhere

    def __init__(
        self, data: Path, env: Mapping[str, str] | None = None, config: Path = CONFIG, roles: str = ""
    ) -> None:
        self.data = data
        self.log = data.parent / f"{data.name}.log"
        self._said = data.parent / f"{data.name}.out"
        self.config = config
        self.options: tuple[str, ...] = ("--roles", roles) if roles else ()
        self._env = {k: v for k, v in os.environ.items() if not k.startswith("SWITCHBOARD__")}
        self._env |= ANY_PORT | dict(env or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._session: aiohttp.ClientSession | None = None
        self.http = self.socket = ""
        self.smtp = self.lmtp = ("", 0)

    async def __aenter__(self) -> Daemon:
        try:
            await self.start()
        except BaseException:  # __aexit__ is not called then
            self.kill()
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    # --- the process -----------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        assert self._process is not None, "it was not launched"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start the process and return at once."""
        assert not self.running, "it runs already"
        command = [sys.executable, "-m", self.program, "serve", "--config", str(self.config), "--data", str(self.data)]
        command += self.options
        with open(self._said, "wb") as said, open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=log, env=self._env, cwd=self.root
            )

    async def start(self) -> None:
        """Launch it and wait until `/readyz` says that every part is well."""
        self.launch()
        await self.listening()
        await self.ready()

    async def listening(self) -> None:
        """Wait for the welcome and read the addresses from it."""
        end = time.monotonic() + START_S
        while not self._read_addresses():
            assert self.running, f"it ended with {self.exit_code}: {self.log_tail()}"
            assert time.monotonic() < end, f"no welcome within {START_S} s: {self.log_tail()}"
            await asyncio.sleep(LOOK_S)

    def _read_addresses(self) -> bool:
        text = self._said.read_text()
        if "Ctrl-C" not in text or "\n  data " not in text:
            return False
        http = re.search(r"health +(http://\S+)/readyz", text)
        agents = re.search(r"agents +(ws://\S+)/agent", text)
        mail = re.search(r"SMTP ([\d.]+):(\d+), LMTP ([\d.]+):(\d+)", text)
        assert http, text
        assert agents, text
        assert mail, text
        self.http, self.socket = http[1], agents[1]
        self.smtp, self.lmtp = (mail[1], int(mail[2])), (mail[3], int(mail[4]))
        return True

    async def ready(self, within_s: float = START_S) -> Json:
        return await self.until(lambda status, _: status == 200, within_s)

    async def until(self, wanted: Callable[[int, Json], bool], within_s: float = START_S) -> Json:
        """Ask `/readyz` until status and body are as wanted."""
        end = time.monotonic() + within_s
        while True:
            try:
                status, body = await self.get("/readyz")
            except (aiohttp.ClientError, OSError, TimeoutError) as problem:
                status, body = 0, {"problem": str(problem)}
            if wanted(status, body):
                return body
            assert self.running, f"it ended with {self.exit_code}: {self.log_tail()}"
            assert time.monotonic() < end, f"/readyz says {status} {body} after {within_s} s; {self.log_tail()}"
            await asyncio.sleep(LOOK_S)

    def signal(self, number: int) -> None:
        if self.running:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    async def stop(self, within_s: float = 25.0) -> int:
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return await self.ended(within_s)

    async def ended(self, within_s: float) -> int:
        end = time.monotonic() + within_s
        while self.running:
            assert time.monotonic() < end, f"it still runs after {within_s} s"
            await asyncio.sleep(LOOK_S)
        code = self.exit_code
        assert code is not None
        return code

    @property
    def exit_code(self) -> int | None:
        return self._process.poll() if self._process is not None else None

    # --- what it says ----------------------------------------------------------------------------------------------

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        return self._session

    async def get(self, path: str) -> tuple[int, Json]:
        async with self.session.get(self.http + path, headers=OPERATOR) as answer:
            return answer.status, await answer.json(content_type=None)

    async def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, Json]:
        async with self.session.post(self.http + path, json=body, headers=OPERATOR | headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def text(self, path: str) -> str:
        async with self.session.get(self.http + path, headers=OPERATOR) as answer:
            assert answer.status == 200, answer.status
            return await answer.text()

    async def content(self, path: str) -> bytes | None:
        """The bytes of a blob; None where there are none."""
        async with self.session.get(self.http + path, headers=OPERATOR) as answer:
            return await answer.read() if answer.status == 200 else None

    async def interaction(self, name: str) -> Json:
        status, body = await self.get(f"/v1/interactions/{name}")
        assert status == 200, body
        return body

    async def interactions(self, state: str = "") -> list[Json]:
        """All of them, page by page."""
        found: list[Json] = []
        after = ""
        while True:
            status, page = await self.get(f"/v1/interactions?state={state}&limit=1000&after={after}")
            assert status == 200, page
            found += page["interactions"]
            after = page["next"]
            if not after:
                return found

    def export(self) -> list[Json]:
        """The journal's records, as the command line exports them."""
        lines = self.command("journal", "export", *self._journal()).splitlines()
        return [json.loads(line) for line in lines]

    def verify(self) -> Json:
        """What `journal verify` finds; raises where it finds damage."""
        found: Json = json.loads(self.command("journal", "verify", *self._journal(), "--json"))
        return found

    def _journal(self) -> tuple[str, str]:
        shared = self._env.get("SWITCHBOARD__JOURNAL__KIND") == "redis"
        return ("--config", str(self.config)) if shared else ("--data", str(self.data))

    def command(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "router", *arguments], env=self._env, cwd=self.root, capture_output=True, check=False
        )
        assert done.returncode == 0, (arguments, done.stdout[-2_000:], done.stderr[-2_000:])
        return done.stdout.decode()

    def log_tail(self) -> str:
        return self.log.read_text()[-3_000:] if self.log.exists() else ""

    def troubles(self) -> list[str]:
        """Lines of the log that a healthy daemon never writes."""
        if not self.log.exists():
            return []
        return [line for line in self.log.read_text().splitlines() if _is_trouble(line)]


def _is_trouble(line: str) -> bool:
    return '"level":"error"' in line or '"level":"critical"' in line or "Traceback" in line or "never retrieved" in line
