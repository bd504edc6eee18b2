"""A house of several processes, as users run it: Redis, an engine, edges, all of them real and on loopback.

They have one configuration, as on several machines, and any free ports. None is pinned to a core: where there are
enough of them, the system gives each process one.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast

import redis
from msgspec import Struct

from router.bench.floors.redis import server
from router.bench.house import AGENTS, GATEWAY, document, token
from router.bench.measure import end
from router.errors import ConfigError

READY_S = 120.0  # a loaded machine takes a while to import everything several times
LOOK_S = 0.02
SPARE_FILES = 200  # of a process, beside its clients
SECRET = "only-for-one-run-of-a-benchmark"  # noqa: S105 - between processes that live for a minute


class Estate(Struct, frozen=True):
    """Process ids by name (redis, engine-1, edge-1, edge-2 ...), and the ports of HTTP and sockets of each edge."""

    pids: dict[str, int]
    edges: tuple[tuple[int, int], ...]
    redis: str = ""  # the path of its socket

    def told(self, edges: int = 0) -> str:
        """What a load generator needs to know, in one word of its command line; of so many edges, or of all."""
        return json.dumps({"pids": self.pids, "edges": self.edges[: edges or None], "redis": self.redis})


def allow_files(count: int, option: str) -> None:
    """Let this process, and those that it starts, have so many files open. Raises ConfigError where it may not."""
    wanted = count + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        expected = f"at most {hard - SPARE_FILES:,}, as one process may open {hard:,} files here (ulimit -Hn)"
        raise ConfigError(option, expected, f"{count:,}")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def logs() -> Iterator[tuple[int, str, str]]:
    """A Redis of its own: its process id and socket, and the section of a configuration that keeps the log there."""
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as folder, server(Path(folder)) as at:
        with redis.Redis(unix_socket_path=at) as client:
            pid = cast("dict[str, int]", client.info("server"))["process_id"]
        yield pid, at, f'\n[journal]\nkind = "redis"\nurl = "unix://{at}"\n'


@contextmanager
def estate(
    edges: int = 2, agents: int = AGENTS, engines: int = 1, config: str = "", profile: str = ""
) -> Iterator[Estate]:
    """One that is ready. `config` in place of a house of so many agents; `profile`: a folder for each one's profile."""
    with ExitStack() as stack:
        redis_pid, at, journal = stack.enter_context(logs())
        link = f'[link]\nlisten = "127.0.0.1:0"\nsecret = "{SECRET}"\n'
        run = _Runner(stack, (config or document(agents, 0, 0, 0, 0)) + journal + link, profile)
        leading = []
        for number in range(1, engines + 1):
            leading.append(run.start("engine", number))
            run.wait()  # the first one leads everything before there is another
        linked = [run.start("edge", number) for number in range(1, edges + 1)]
        run.wait()
        pids = {"redis": redis_pid} | {one.name: one.process.pid for one in (*leading, *linked)}
        yield Estate(pids, tuple((edge.http, edge.sockets) for edge in linked), at)


@contextmanager
def daemon(in_redis: bool) -> Iterator[Estate]:
    """One process that is engine and edge, with its log in a file or in Redis."""
    with ExitStack() as stack:
        redis_pid, at, journal = stack.enter_context(logs()) if in_redis else (0, "", "")
        run = _Runner(stack, document(AGENTS, 0, 0, 0, 0) + journal)
        one = run.start("engine,edge", 1)
        run.wait()
        pids = {"daemon": one.process.pid} | ({"redis": redis_pid} if in_redis else {})
        yield Estate(pids, ((one.http, one.sockets),), at)


def parted(domains: int, agents: int) -> str:
    """The configuration of a house in so many routing domains, each with a queue, a number and so many agents."""
    named = [f"d{number}" for number in range(1, domains + 1)]
    people = [f"a{number}" for number in range(domains * agents)]
    rules = ", ".join(f'{{ name = "{name}", queue = "{name}", to = ["+1{n:04d}"] }}' for n, name in enumerate(named))
    lines = [
        f"teams = {json.dumps(named)}",
        f"rules = [{rules}]",
        'log_level = "error"',
        "[http]",
        "port = 0",
        "[sockets]",
        "port = 0",
        "[channels.phone]",
        *(f"[queues.{name}]" for name in named),
        f"[phone.gateways.{GATEWAY}]",
        f'secrets = ["{SECRET}"]',
        "[agent_link.tokens]",
        *(f'{token(number)} = "a{number}"' for number in range(len(people))),
        "[agents]",
        *(f'{who} = {{ team = "{named[number // agents]}" }}' for number, who in enumerate(people)),
    ]
    for number, name in enumerate(named, 1):
        lines += [f"[domains.{name}]", f"number = {number}", f'queues = ["{name}"]', f'teams = ["{name}"]']
    return "\n".join(lines) + "\n"


class _Runner:
    """Starts processes that end with the stack. All ports are any that are free: what listens says where."""

    def __init__(self, stack: ExitStack, config: str, profile: str = "") -> None:
        self._stack = stack
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="switchboard-bench-")))
        self._config = self._folder / "bench.toml"
        self._config.write_text(config)
        self._program = ("router.bench.profiled", profile) if profile else ("router",)
        self._started: list[_Started] = []

    def start(self, roles: str, number: int) -> _Started:
        name = f"{roles.replace(',', '-')}-{number}"
        log = self._folder / f"{name}.log"
        words = ("serve", "--config", str(self._config), "--data", str(self._folder / name), "--roles", roles)
        with log.open("w") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", *self._program, *words, "--loop", "uvloop"],
                stdout=said,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self._stack.callback(end, process)
        self._started.append(_Started(name, process, log))
        return self._started[-1]

    def wait(self) -> None:
        """Until all are ready. Raises RuntimeError."""
        deadline = time.monotonic() + READY_S
        for one in self._started:
            while not one.is_ready():
                if one.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{one.name} did not become ready: {one.log.read_text()[-1_000:]}")
                time.sleep(LOOK_S)


class _Started:
    def __init__(self, name: str, process: subprocess.Popen[str], log: Path) -> None:
        self.name, self.process, self.log = name, process, log
        self.http = self.sockets = 0

    def is_ready(self) -> bool:
        if not self.http:
            found = re.search(r"health +http://\S+:(\d+)/readyz", self.log.read_text())
            self.http = int(found[1]) if found else 0
        return bool(self.http) and self._says_so()

    def _says_so(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/readyz", timeout=5) as answer:
                said = answer.read().decode()
        except urllib.error.HTTPError as refused:
            refused.close()
            return False
        except OSError:
            return False
        listens = json.loads(said)["parts"].get("sockets", {}).get("detail", "")
        found = re.search(r"listening on \S+:(\d+)", listens)
        self.sockets = int(found[1]) if found else 0
        return True
