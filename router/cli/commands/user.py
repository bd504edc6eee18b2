"""Who may sign in: `user add`, `list`, `disable`, `enable` and `password`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from router.cli.commands.options import DATA, JSON, example

OF_ACCOUNTS = click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="its `data` folder, instead of --data"
)
STDIN = click.option("--password-stdin", is_flag=True, help="one line of stdin instead of asking")
USER = click.argument("name")


@click.group()
def user() -> None:
    """Who may sign in at the desk, and as what. A running daemon sees a change at once."""


def _data_of(data: Path, config: Path | None) -> Path:
    from router.settings import load

    return data if config is None else Path(load(config).settings.data)


@user.command("add", epilog=example("switchboard user add sue --role supervisor --team front"))
@USER
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice(["agent", "helpdesk", "supervisor", "quality", "operator"]),
    help="may be said more than once",
)
@click.option("--team", "teams", multiple=True, metavar="TEAM", help="whose work they see; * for all teams")
@click.option("--agent", default="", metavar="ID", help="as which agent of the configuration; left out: NAME")
@click.option("--name", "shown", default="", metavar="TEXT", help="as colleagues read it")
@click.option("--no-password", is_flag=True, help="only the provider (accounts.oidc) says who it is")
@STDIN
@DATA
@OF_ACCOUNTS
def user_add(
    name: str,
    roles: tuple[Any, ...],
    teams: tuple[str, ...],
    agent: str,
    shown: str,
    no_password: bool,
    password_stdin: bool,
    data: Path,
    config: Path | None,
) -> None:
    """Make an account."""
    from router.cli import people

    ask = None if no_password else partial(people.ask_password, name.strip().lower(), password_stdin)
    people.add(_data_of(data, config), name, roles, teams, agent, shown, ask)


@user.command("list", epilog=example("switchboard user list --json"))
@DATA
@OF_ACCOUNTS
@JSON
def user_list(data: Path, config: Path | None, as_json: bool) -> None:
    """Accounts with their roles, teams and sessions."""
    from router.cli import people

    people.show(_data_of(data, config), as_json)


@user.command("disable", epilog=example("switchboard user disable sue"))
@USER
@DATA
@OF_ACCOUNTS
def user_disable(name: str, data: Path, config: Path | None) -> None:
    """Nobody signs in by it any more; every session of it ends."""
    from router.cli import people

    people.change(
        _data_of(data, config), name, "account-disabled", "is disabled and signed out everywhere", disabled=True
    )


@user.command("enable", epilog=example("switchboard user enable sue"))
@USER
@DATA
@OF_ACCOUNTS
def user_enable(name: str, data: Path, config: Path | None) -> None:
    """It may be signed in by again."""
    from router.cli import people

    people.change(_data_of(data, config), name, "account-enabled", "may sign in again", disabled=False)


@user.command("password", epilog=example("switchboard user password sue"))
@USER
@STDIN
@DATA
@OF_ACCOUNTS
def user_password(name: str, password_stdin: bool, data: Path, config: Path | None) -> None:
    """Give another password; every session of the account ends."""
    from router.cli import people

    people.set_password(_data_of(data, config), name, password_stdin)
