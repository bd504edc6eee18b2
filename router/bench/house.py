"""The product as users run it: `python -m router serve` with a configuration made for the occasion."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from router.bench.measure import SERVER_CORE, end, start, workplace

GATEWAY, SECRET = "bench", "dev-bench-secret"
ADDRESS = "support@shop.example"
AGENTS = 240
SKILLS = ("english", "german", "french", "orders", "billing", "returns", "tech")
# What contacts ask for, by the number that they dial. `floors.pipeline` uses them, too.
NEEDS: tuple[dict[str, int], ...] = (
    {"english": 2, "orders": 2},
    {"german": 1, "billing": 3},
    {"french": 2},
    {"english": 1, "returns": 1},
    {"german": 2},
)


CHAT = """
[channels.chat]
[chat]
default_topic = "chat"
hello_rate = 0
"""


class House(Struct, frozen=True):
    """A daemon that runs, with the ports of its edges."""

    pid: int
    http: int
    sockets: int
    smtp: int


def profile(agent: int) -> dict[str, int]:
    """The skills of an agent: one of twelve profiles."""
    return {SKILLS[s]: 3 for s in (agent % 3, 3 + agent % 4, 3 + (agent + 1) % 4)}


def number(kind: int) -> str:
    """What is dialled for NEEDS[kind]."""
    return f"+1555010{kind:04d}"


def token(agent: int) -> str:
    return f"dev-{agent}"


@contextmanager
def house(loop: str = "uvloop", agents: int = AGENTS, chat: bool = False) -> Iterator[House]:
    """A daemon in a folder of its own, on ports that were free just now; with visitors' chat if asked."""
    http, sockets, smtp, lmtp = _free_ports(4)
    with workplace() as folder:
        config = folder / "bench.toml"
        config.write_text(document(agents, http, sockets, smtp, lmtp, chat) + (CHAT if chat else ""))
        serve = ("-m", "router", "serve", "--config", str(config), "--data", str(folder / "data"), "--loop", loop)
        process = start(serve, SERVER_CORE, subprocess.STDOUT)
        try:
            assert process.stdout is not None
            said = process.stdout.readline()  # the welcome comes when everything listens
            if process.poll() is not None:
                raise RuntimeError(f"the daemon did not start: {said}{process.stdout.read()}")
            yield House(process.pid, http, sockets, smtp)
        finally:
            end(process)


def _free_ports(count: int) -> list[int]:
    found = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in found]
    for one in found:
        one.close()
    return ports


def document(agents: int, http: int, sockets: int, smtp: int, lmtp: int, chat: bool = False) -> str:
    written = ["email", *(["chat"] if chat else [])]
    rules = [
        f'{{ name = "written", queue = "support", channel = {json.dumps(written)} }}',
        *(_rule(kind) for kind in range(len(NEEDS))),
    ]
    lines = [
        f"skills = {json.dumps(SKILLS)}",
        f"rules = [{', '.join(rules)}]",
        'log_level = "error"',
        "[channels.phone]",
        "cap = 8",  # as much as the floor's two channels together
        "[channels.email]",
        "[queues.support]",
        'offer_timeout = "10m"',
        "[http]",
        f"port = {http}",
        "[sockets]",
        f"port = {sockets}",
        "max_per_address = 10_000",
        f"[phone.gateways.{GATEWAY}]",
        f'secrets = ["{SECRET}"]',
        "rate = 1_000_000",
        "[email]",
        f"smtp = {{ port = {smtp} }}",
        f"lmtp = {{ port = {lmtp} }}",
        'outbox_folder = "outbox"',
        f'[email.addresses."{ADDRESS}"]',
        "[agent_link.tokens]",
        *(f'{token(i)} = "a{i}"' for i in range(agents)),
        "[agents]",
        *(f"a{i} = {{ skills = {_table(profile(i))} }}" for i in range(agents)),
    ]
    return "\n".join(lines) + "\n"


def _rule(kind: int) -> str:
    nodes = ", ".join(f'{{ skill = "{skill}", level = {level} }}' for skill, level in NEEDS[kind].items())
    return (
        f'{{ name = "kind-{kind}", queue = "support", to = ["{number(kind)}"], requirement = {{ all = [{nodes}] }} }}'
    )


def _table(values: dict[str, int]) -> str:
    return "{ " + ", ".join(f"{name} = {value}" for name, value in values.items()) + " }"
