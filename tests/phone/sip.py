"""A real SIP gateway and real SIP callers and telephones, as child processes on ports of their own.

Kamailio runs with the configuration that is shipped in deploy/kamailio; SIPp plays both ends of each call.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping
from pathlib import Path

from tests.support.ports import free_ports

ROOT = Path(__file__).parents[2]
START = ROOT / "deploy" / "kamailio" / "start"
SCENARIOS = Path(__file__).parent / "sipp"
MISSING = [program for program in ("kamailio", "sipp") if shutil.which(program) is None]
CALL_S = 40.0  # the longest that a caller stays


class Child:
    """A process that says everything into a file, and is ended with the test."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process: Process | None = None

    async def launch(self, *command: str, cwd: Path, env: Mapping[str, str] | None = None) -> None:
        with open(self.log, "wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=DEVNULL, stdout=log, stderr=log, cwd=cwd, env=env, start_new_session=True
            )

    @property
    def process(self) -> Process:
        assert self._process is not None, "it was not launched"
        return self._process

    async def ended(self, within_s: float = CALL_S) -> int:
        async with asyncio.timeout(within_s):
            return await self.process.wait()

    async def kill(self) -> None:
        """With its children: the process leads a session of its own."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class SipGateway(Child):
    """Kamailio between callers and telephones."""

    def __init__(self, folder: Path, hook_url: str, **values: str) -> None:
        super().__init__(folder / "kamailio.log")
        self.folder = folder
        [self.sip_port, rpc_port] = free_ports(2)
        [self.http_port] = free_ports(1)
        self.control_url = f"http://127.0.0.1:{self.http_port}/calls"
        self._env = dict(os.environ) | {
            "SIP_PORT": str(self.sip_port),
            "HTTP_PORT": str(self.http_port),
            "RPC_PORT": str(rpc_port),
            "HOOK_URL": hook_url,
            "RUN": str(folder),
            **values,
        }

    async def start(self) -> None:
        await self.launch(str(START), cwd=self.folder, env=self._env)
        async with asyncio.timeout(20):
            while not await self._listens():
                assert self.process.returncode is None, self.said()[-3_000:]
                await asyncio.sleep(0.05)

    async def _listens(self) -> bool:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self.http_port)
            writer.close()
            await writer.wait_closed()
            return udp_port_is_taken(self.sip_port)
        return False

    def troubles(self) -> list[str]:
        found = re.findall(r".* (?:ERROR|CRITICAL|BUG):.*", self.said())
        # A router killed in the middle of a request (curl: 52, empty reply; 56, cut) is no fault of the gateway.
        return [line for line in found if not re.search(r"http_client .*failed to perform curl \((?:52|56)\)", line)]


def udp_port_is_taken(port: int) -> bool:
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return any(int(line.split()[1].split(":")[1], 16) == port for line in lines)


class Sipp(Child):
    """One SIPp: a caller, or a telephone."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder / f"{name}.log")
        self.folder, self.name = folder, name
        self.messages = folder / f"{name}.msg"

    async def run(self, port: int, scenario: str, *options: str, to: int = 0) -> None:
        [media] = free_ports(1)
        await self.launch(
            "sipp",
            *([f"127.0.0.1:{to}"] if to else []),
            *("-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", "127.0.0.1", "-p", str(port), "-mp", str(media)),
            *("-nostdin", "-trace_msg", "-message_file", str(self.messages), "-timeout", str(int(CALL_S))),
            *options,
            cwd=self.folder,
        )
        if not to:
            async with asyncio.timeout(10):
                while not udp_port_is_taken(port):
                    assert self.process.returncode is None, self.said()[-3_000:]
                    await asyncio.sleep(0.02)

    def heard(self) -> list[str]:
        """First lines of what was received, in order."""
        if not self.messages.exists():
            return []
        text = self.messages.read_text(errors="replace")
        return re.findall(r"message received .*?:\s*\n\s*\n(.+)", text)
