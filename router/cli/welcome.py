"""What the daemon says when it is ready: every address, and how to try each, for a person who just cloned it."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from channels.email.adapter import EmailAdapter
from channels.phone.kinds import KINDS
from router.service.tokens import is_demo

if TYPE_CHECKING:
    from channels.phone.settings import Gateway
    from router.app import App


def text(app: App) -> str:
    """The lines for the terminal."""
    s = app.settings
    http = app.http.url
    if app.leads is not None:
        rows = [f"  {'health':<16}{http}/readyz", f"  {'data':<16}{app.data}"]
        rows += [
            f"  {lead.name:<16}edges come to {lead.links.address} while it is led here" for lead in app.leads.leads
        ]
        return "\n".join(["", "Switchboard's engine is ready. Ctrl-C drains and stops it.", "", *rows, ""])
    if not app.has_led:
        why = app.writer.failed.removeprefix("standby: ")
        rows = [f"  {'health':<16}{http}/readyz", f"  {'data':<16}{app.data}"]
        return "\n".join(["", f"Switchboard stands by: {why}. Ctrl-C stops it.", "", *rows, ""])
    if not app.is_edge:
        link = app.links.address if app.links is not None else ""
        rows = [f"  {'health':<16}{http}/readyz", f"  {'edges':<16}{link}", f"  {'data':<16}{app.data}"]
        return "\n".join(["", "Switchboard's engine is ready. Ctrl-C drains and stops it.", "", *rows, ""])
    socket = f"ws://{s.sockets.host}:{app.sockets.port}"
    lines = ["", "Switchboard is ready. Ctrl-C drains and stops it.", "", *_first(app, http)]
    lines += _addresses(app, http, socket)
    if _demo(app):
        lines += [
            "",
            "The demo tokens and secrets (dev-...) work on this machine only. Try it, in other terminals:",
            "",
        ]
        lines += _tries(app, http, socket)
    return "\n".join([*lines, ""])


def _first(app: App, http: str) -> list[str]:
    """Where a person begins, and with a demo how they see a first customer within two minutes."""
    if not app.settings.desk.enabled:
        return []
    lines = [f"  Open this address: {http}/desk"]
    if _demo(app):
        lines.append("  Sign in as ana with the token dev-ana and press Ready.")
        if "kiosk" in app.settings.adapters:
            lines.append(f"  Be your first customer: open {http}/kiosk in another window and press Support.")
            lines.append("  Back at the desk, press Accept, then Complete: your first contact is answered.")
    return [*lines, ""]


def _addresses(app: App, http: str, socket: str) -> list[str]:
    rows = [("health", f"{http}/readyz"), ("metrics", f"{http}/metrics"), ("operator API", f"{http}/v1/openapi.json")]
    rows.append(("agents", f"{socket}/agent"))
    kinds = app.settings.adapters
    if "chat" in kinds:
        rows.append(("chat", f"{socket}{kinds['chat'].path}"))
        if kinds["chat"].widget and app.loopback_only:
            rows.append(("chat on a page", f"{http}/chat/"))
    if "phone" in kinds:
        rows += [(f"phone {name}", _phone_at(http, name, gateway)) for name, gateway in kinds["phone"].gateways.items()]
    if "email" in kinds:
        listening = [f"{name.upper()} {_mail_at(app, name)}" for name in ("smtp", "lmtp") if _mail_at(app, name)]
        rows.append(("mail", ", ".join(listening)))
    if "scan" in kinds:
        rows += [
            (f"drop {name}", str(app.data / (f.path or f"drop/{name}"))) for name, f in kinds["scan"].folders.items()
        ]
    if "kiosk" in kinds:
        rows.append(("walk-ins", f"{http}/kiosk and {http}/kiosk/now-serving"))
    rows.append(("data", str(app.data)))
    return [f"  {name:<16}{address}" for name, address in rows]


def _phone_at(http: str, name: str, gateway: Gateway) -> str:
    first, *others = KINDS[gateway.kind].paths
    return f"{http}/v1/phone/{name}/{first}" + "".join(f", /{path}" for path in others)


def _mail_at(app: App, name: str) -> str:
    """Where "smtp" or "lmtp" really listens, "" where it does not: a configured port of 0 means any free one."""
    listener = getattr(app.settings.adapters["email"], name)
    adapter = next(a for a in app.adapters if isinstance(a, EmailAdapter))
    return f"{listener.host}:{adapter.port(name)}" if listener.enabled else ""


def _demo(app: App) -> bool:
    return any(is_demo(token) for token in app.settings.agent_link.tokens)


def _tries(app: App, http: str, socket: str) -> list[str]:
    """The commands as they have to be typed: with every option that differs from its default here."""
    kinds = app.settings.adapters
    url = _option("--url", http, "http://127.0.0.1:8080")
    agent = _option("--url", f"{socket}/agent", "ws://127.0.0.1:8081/agent")
    reading = _option("--http", http, "http://127.0.0.1:8080")
    rows = [("answer as an agent", f"./run agent ana{agent}{reading}")]
    if "phone" in kinds:
        rows.append(("make a call", f"./run try call{url}"))
    if "chat" in kinds:
        at = _option("--chat-url", f"{socket}{kinds['chat'].path}", "ws://127.0.0.1:8081/chat")
        rows.append(("chat as a visitor", f"./run try chat{at}"))
    if "email" in kinds and (smtp := _mail_at(app, "smtp")):
        rows.append(("send a mail", f"./run try mail{_option('--smtp', smtp, '127.0.0.1:2525')}"))
    if "scan" in kinds:
        here = app.data.resolve() == Path("var").resolve()
        rows.append(("drop a fax", f"./run try fax{'' if here else f' --data {quote(str(app.data.resolve()))}'}"))
    if "kiosk" in kinds:
        rows.append(("check in at the kiosk", f"./run try walk-in{url}"))
    rows.append(("look at everything", f"curl -H 'Authorization: Bearer dev-operator' {http}/v1/interactions"))
    return [f"  {what:<24}{how}" for what, how in rows]


def _option(name: str, value: str, default: str) -> str:
    return "" if value == default else f" {name} {quote(value)}"
