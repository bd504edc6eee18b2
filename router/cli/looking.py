"""What the looking commands share: asking a running daemon, reading a journal, and showing answers to people."""

from __future__ import annotations

import json
import sys
import textwrap
import urllib.error
import urllib.request
from collections.abc import Iterable
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

import click

from router.cli import telling
from router.cli.addresses import one_line
from router.engine.engine import Engine
from router.engine.explain import explain, why_not
from router.engine.partition import domain_of
from router.engine.views import number_of
from router.errors import RouterError
from router.journal import codec
from router.journal.inspection import iso
from router.journal.port import History
from router.service.domains.parts import Domains
from router.service.hindsight import look_back
from router.service.recovery import restore
from router.service.wording import worded

WIDTH = 110


def log_of(domains: Domains, named: str, about: str) -> str:
    """The routing domain whose log is wanted: as named, or that of an interaction; "" where the house is one."""
    known = ", ".join(domains) or "none"
    if named:
        if named not in domains:
            raise RouterError(f"--domain {named}: there is no such routing domain; known: {known}")
        return named
    if not domains:
        return ""
    if not about:
        raise RouterError(f"each routing domain has a log of its own: name one with --domain ({known})")
    number = domain_of(number_of(about, "i"))
    found = next((name for name, domain in domains.items() if domain.number == number), "")
    if not found:
        raise RouterError(f"{about} is of no routing domain of this configuration (known: {known})")
    return found


def get(url: str, path: str, token: str) -> Any:
    """A JSON answer of the daemon. Raises RouterError in words."""
    return _asked(url, path, token, None)


def post(url: str, path: str, token: str, body: dict[str, str]) -> Any:
    """As `get`, with something to do."""
    return _asked(url, path, token, json.dumps(body).encode())


def _asked(url: str, path: str, token: str, body: bytes | None) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url.rstrip("/") + path, body, headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - the operator named the address
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise RouterError(_problem(error)) from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise RouterError(f"{url} does not answer ({reason}); is the daemon running? ./run starts it") from error
    except (HTTPException, ValueError) as error:  # it is not our daemon, or no host can have that name
        raise RouterError(
            f"{url} gives no answer of a daemon ({one_line(error)}); is that its HTTP address?"
        ) from error


def path_of(interaction: str, *parts: str) -> str:
    """Raises NotFound for what is no id."""
    number_of(interaction, "i")
    return "/".join(["/v1/interactions", interaction, *(quote(part, safe="") for part in parts)])


def _problem(error: urllib.error.HTTPError) -> str:
    try:
        body = json.load(error)
        return str(body.get("detail") or body.get("title"))
    except (ValueError, AttributeError):
        return f"the daemon answered {error.code}"


def show(answer: Any, as_json: bool) -> None:
    """JSON for machines, a table for people."""
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120)
    for key, value in answer.items():
        _print(console, key, value)


def _print(console: Any, title: str, value: Any) -> None:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        console.print(_table(title.replace("_", " "), value))
    elif isinstance(value, dict) and value:
        for key, inner in value.items():
            _print(console, f"{title} {key}", inner)
    else:
        console.print(f"[bold]{title.replace('_', ' ')}[/bold]  ", end="")
        console.print(_plain(title, value), markup=False, highlight=False)


def _table(title: str, rows: list[dict[str, Any]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(title=title, title_justify="left", show_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "))
    for row in rows:
        table.add_row(
            *(Text(_plain(column, row.get(column, ""))) for column in columns)
        )  # no text of anybody is markup
    return table


def _plain(key: str, value: Any) -> str:
    if isinstance(value, int) and key.endswith("at_ms") and value:
        return iso(value)
    if isinstance(value, int) and key.endswith("_ms"):
        return f"{value / 1_000:g} s"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_plain("", one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain(name, one)}" for name, one in value.items())
    return "" if value is None else str(value)


def _engine(log: History) -> Engine:
    log.open()
    try:
        return restore(log)
    finally:
        log.close()


def why_not_from_journal(journal: History, interaction: str, agent: str) -> dict[str, Any]:
    engine = _engine(journal)
    return why_not(engine.state, number_of(interaction, "i"), agent, engine.state.now_ms)


def from_journal(log: History, interaction: str, as_json: bool, language: str = "en") -> None:
    """Its history, how each of its offers was decided, and where it stood when the journal ended."""
    number = number_of(interaction, "i")
    log.open()
    try:
        past = look_back(log, number)
        state = restore(log).state
    finally:
        log.close()
    history = [
        {"seq": seq, "at": iso(record.at_ms), "event": type(record.event).__name__, **codec.named(record.event)}
        for seq, record in past.history
    ]
    known = number in state.interactions
    at_the_end = explain(state, number, state.now_ms) if known else {"interaction": interaction}
    as_of = iso(state.now_ms)
    told = {**at_the_end, "as_of": as_of, "way": past.way, "decisions": past.decisions, "history": history}
    if as_json:
        show(worded(told, language), as_json)
        return
    click.echo(f"As of {as_of}, the last record of the journal:\n")
    say(telling.story(told))
    click.echo("\nWhat happened:")
    for row in map(_line, history):
        click.echo(f"  {row['seq']:>6}  {row['at']}  {row['event']}  {row['what']}")


def say(lines: Iterable[str]) -> None:
    """Sentences, as wide as a page."""
    for line in lines:
        indent = line[: len(line) - len(line.lstrip())]
        click.echo(textwrap.fill(line, WIDTH, subsequent_indent=indent + "    ") if line else "")


def _line(row: dict[str, Any]) -> dict[str, Any]:
    """One record in a line: what happened, without the words of customers."""
    quiet = {"seq", "at", "event", "interaction", "message", "attributes", "subject", "notes", "text"}
    said = (f"{key} {value}" for key, value in row.items() if key not in quiet and value not in ("", 0, None, [], {}))
    return {"seq": row["seq"], "at": row["at"], "event": row["event"], "what": ", ".join(said)}
