"""The edges one by one: a webhook until its durable 200, an agent's message and its answer, an idle agent, a mail."""

from __future__ import annotations

from functools import partial

from router.bench.house import AGENTS, house
from router.bench.measure import Case, Figures, Server, Step, generate, interleave, medians
from router.bench.report import Row, compared

LOOP = "uvloop"
CONNECTIONS, SENDERS = 100, 20
IDLE, IDLE_QUICK = 1_000, 100


def run(rounds: int, quick: bool, step: Step) -> tuple[list[Row], dict[str, list[Figures]]]:
    seconds, idle = (0.4, IDLE_QUICK) if quick else (1.5, IDLE)
    cases: dict[str, Case] = {
        "webhook, product": partial(_webhook, seconds),
        "webhook, aiohttp": partial(_floor, "webhook", "webhook", seconds),
        "agent, product": partial(_notes, seconds),
        "agent, websockets echo": partial(_floor, "echo", "echo", CONNECTIONS, seconds),
        "idle, product": partial(_idle, idle),
        "idle, websockets": partial(_floor, "echo", "idle", "floor", idle),
        "mail, product": partial(_mail, seconds),
        "mail, aiosmtpd": partial(_floor, "mail", "mail", SENDERS, seconds),
    }
    found = interleave(cases, rounds, step)
    webhook, aiohttp, agent, echo, product, websockets, mail, aiosmtpd = medians(found).values()
    cpu = "cpu_us"
    what = f"agent's message in and answer out, CPU, {CONNECTIONS} agents"
    rows = [
        compared("3", "webhook until its durable 200, CPU", webhook[cpu], aiohttp[cpu], 2, 1.5, note=_seen(webhook)),
        compared("4", what, agent[cpu], echo[cpu], 2, 1.4, note=_seen(agent)),
        compared("6", f"idle agent, memory, of {idle:,}", product["kib"], websockets["kib"], 2, 1.3, "KiB"),
        compared("16", "mail of 4 KiB accepted durably, CPU", mail[cpu], aiosmtpd[cpu], 1.5, 1.15, note=_seen(mail)),
    ]
    return rows, found


def _seen(figures: Figures) -> str:
    return f"{figures['rate']:,.0f} a second seen"


def _webhook(seconds: float) -> Figures:
    with house(LOOP) as h:
        return generate("webhook", h.http, h.pid, seconds)


def _notes(seconds: float) -> Figures:
    with house(LOOP) as h:
        return generate("notes", h.http, h.sockets, h.pid, CONNECTIONS, seconds)


def _idle(connections: int) -> Figures:
    with house(LOOP, max(AGENTS, connections)) as h:
        return generate("idle", "product", h.sockets, h.pid, connections)


def _mail(seconds: float) -> Figures:
    with house(LOOP) as h:
        return generate("mail", h.smtp, h.pid, SENDERS, seconds)


def _floor(server: str, load: str, *rest: float | str) -> Figures:
    """`rest` starts with the dialect where the load has several."""
    with Server("-m", "router.bench.floors.edges", server, LOOP) as s:
        dialect, numbers = ((rest[0],), rest[1:]) if isinstance(rest[0], str) else ((), rest)
        return generate(load, *dialect, s.port, s.pid, *numbers)
