"""What several commands take, and how it is checked before any of them runs."""

from __future__ import annotations

from pathlib import Path

import click

from router.cli.addresses import Url

CONFIG = click.option(
    "--config", type=click.Path(path_type=Path), default=Path("config/dev.toml"), show_default=True, metavar="FILE"
)
DATA = click.option("--data", type=click.Path(path_type=Path), default=Path("var"), show_default=True, metavar="DIR")
HTTP, WEBSOCKET = Url("http", "https"), Url("ws", "wss")
URL = click.option(
    "--url", type=HTTP, default="http://127.0.0.1:8080", show_default=True, help="the daemon's HTTP address"
)
TOKEN = click.option("--token", envvar="SWITCHBOARD_TOKEN", default="dev-operator", help="an operator's token")
JSON = click.option("--json", "as_json", is_flag=True, help="for machines")
OF_CONFIG = click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="the journal that this configuration names"
)


def _drawable(_: click.Context, __: click.Parameter, file: Path | None) -> Path | None:
    if file is not None:
        from router.cli import plots

        plots.check(file)
    return file


PLOT = click.option(
    "--plot", type=click.Path(path_type=Path), callback=_drawable, metavar="FILE", help=".png, .svg or .pdf"
)


def example(text: str) -> str:
    return f"Example: {text}"
