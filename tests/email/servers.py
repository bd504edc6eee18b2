"""Real mail servers and clients as child processes, on ports and in folders of their own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
PATH = os.environ.get("PATH", "") + ":/usr/sbin"


def missing(*programs: str) -> list[str]:
    """What is not installed; that root is needed counts as missing too."""
    absent = [program for program in programs if shutil.which(program, path=PATH) is None]
    return absent + ([] if os.geteuid() == 0 else ["root"])


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


async def run(*command: str, within_s: float = 60) -> tuple[int, str]:
    """Exit code, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, env=os.environ | {"PATH": PATH}
    )
    async with asyncio.timeout(within_s):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode("utf-8", "replace")


class Server:
    """A server in the foreground, ended with its children."""

    def __init__(self, port: int, *command: str, folder: Path, env: dict[str, str] | None = None) -> None:
        self.port, self._command, self._folder = port, command, folder
        self._env = os.environ | {"PATH": PATH} | (env or {})

    async def __aenter__(self) -> Self:
        with open(self._folder / "server.out", "wb") as said:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=DEVNULL, stdout=said, stderr=said, env=self._env, start_new_session=True
            )
        async with asyncio.timeout(20):
            while not await self._listens():
                assert self._process.returncode is None, self.said()
                await asyncio.sleep(0.05)
        return self

    async def __aexit__(self, *gone: object) -> None:
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                async with asyncio.timeout(10):
                    await self._process.wait()
            except TimeoutError:
                os.killpg(self._process.pid, signal.SIGKILL)
                await self._process.wait()

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    def said(self) -> str:
        return (self._folder / "server.out").read_text(errors="replace")


class Postfix(Server):
    """Postfix with the configuration of deploy/postfix."""

    def __init__(self, folder: Path, lmtp: int, domain: str) -> None:
        port = free_port()
        folder.chmod(0o755)
        self.run = folder / "postfix"
        self.run.mkdir()
        env = {
            "RUN": str(self.run),
            "SMTP_PORT": str(port),
            "LMTP": f"127.0.0.1:{lmtp}",
            "DOMAINS": domain,
            "HOSTNAME_OUT": "mx.shop.example",
        }
        super().__init__(port, str(ROOT / "deploy" / "postfix" / "start"), folder=folder, env=env)

    async def __aexit__(self, *gone: object) -> None:
        # Its master leads a session of its own, so the end of ours would not reach it.
        await run("postfix", "-c", str(self.run / "etc"), "stop")
        await super().__aexit__(*gone)

    def log(self) -> str:
        path = self.run / "maillog"
        return path.read_text(errors="replace") if path.exists() else ""

    async def flush(self) -> None:
        """Try what is deferred once more, now."""
        code, said = await run("postqueue", "-c", str(self.run / "etc"), "-f")
        assert code == 0, said
