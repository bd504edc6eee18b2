"""`switchboard user`: accounts on this machine, with the daemon running or not; it sees a change at once."""

from __future__ import annotations

import getpass
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from router.cli import looking
from router.errors import IllegalMove, RouterError
from router.service.accounts import Account, Accounts, check_account, hashed, teams_of
from router.service.audit import Audit
from router.service.roles import Role


@contextmanager
def _open(data: Path) -> Iterator[tuple[Accounts, Audit]]:
    accounts, audit = Accounts(data / "accounts.db"), Audit(data / "audit.db")
    accounts.open()
    try:
        audit.open()
        yield accounts, audit
    finally:
        audit.close()
        accounts.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _note(audit: Audit, act: str, name: str, detail: str = "") -> None:
    audit.write(_now_ms(), f"console:{getpass.getuser()}", act, name, detail)


def ask_password(name: str, from_stdin: bool) -> str:
    """Its hash. Typed twice without being shown, or one line of stdin. Raises RouterError."""
    if from_stdin or not sys.stdin.isatty():
        if not from_stdin:
            raise RouterError("stdin is no terminal; say --password-stdin and give the password in one line")
        return hashed(name, sys.stdin.readline().rstrip("\r\n"))
    first = getpass.getpass("Password (not shown): ")
    if first != getpass.getpass("Once more: "):
        raise RouterError("the two passwords differ; nothing was changed")
    return hashed(name, first)


def add(
    data: Path,
    name: str,
    roles: tuple[Role, ...],
    teams: Iterable[str],
    agent: str,
    shown: str,
    password: Callable[[], str] | None,
) -> None:
    """`password` is asked once everything else is right, so that nobody types it in vain; None: a provider knows."""
    works = "agent" in roles
    account = Account(
        name=name.strip().lower(),
        shown=shown,
        roles=roles,
        teams=teams_of(teams),
        agent=(agent or name.strip().lower()) if works or agent else "",
        changed_ms=_now_ms(),
    )
    with _open(data) as (accounts, audit):
        check_account(account)
        if account.name in {one.name for one in accounts.all()}:
            raise IllegalMove(f"there is an account {account.name} already; `user password` gives it another password")
        accounts.put(replace(account, password=password() if password is not None else ""), new=True)
        _note(audit, "account-added", account.name, _rights(account))
    click.echo(f"{account.name} may sign in now as {', '.join(roles)}")


def _rights(account: Account) -> str:
    teams = "*" if account.teams is None else ", ".join(account.teams)
    return f"{', '.join(account.roles)} · {teams}" if teams else ", ".join(account.roles)


def change(data: Path, name: str, act: str, said: str, **fields: Any) -> None:
    with _open(data) as (accounts, audit):
        accounts.change(name.strip().lower(), _now_ms(), **fields)
        _note(audit, act, name)
    click.echo(f"{name}: {said}")


def set_password(data: Path, name: str, from_stdin: bool) -> None:
    with _open(data) as (accounts, _):
        accounts.get(name.strip().lower())  # NotFound before anybody types
    new = ask_password(name.strip().lower(), from_stdin)
    change(data, name, "password-set", "has another password, and must sign in again", password=new)


def show(data: Path, as_json: bool) -> None:
    with _open(data) as (accounts, _):
        sessions = accounts.sessions(_now_ms())
        rows = [
            {
                "name": account.name,
                "roles": list(account.roles),
                "teams": ["*"] if account.teams is None else list(account.teams),
                "agent": account.agent,
                "state": "disabled" if account.disabled else "provider" if not account.password else "password",
                "sessions": sessions.get(account.name, 0),
            }
            for account in accounts.all()
        ]
    if rows or as_json:
        looking.show({"accounts": rows}, as_json)
    else:
        click.echo("no accounts; switchboard user add --help says how to make one")
