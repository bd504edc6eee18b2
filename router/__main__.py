"""The command line: its one group, the daemon's own commands, the measuring ones, and how every one of them ends.

Each command imports what it needs when it runs, so that `--help` is quick. Those that belong together stand together in
`router/cli/commands`.

Exit codes: 0 done, 1 failed, 2 wrong usage or a configuration that must not be used. Errors are one line on stderr that
says what to do.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from router import __version__
from router.cli.addresses import HostPort
from router.cli.commands import asking, journal, simulation, user
from router.cli.commands.options import CONFIG, DATA, HTTP, JSON, PLOT, URL, WEBSOCKET, example
from router.errors import ConfigError, RouterError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="switchboard")
def cli() -> None:
    """Switchboard: every channel in one queue, each contact to the agent who fits best.

    Example: switchboard serve --config config/dev.toml
    """


for command in (
    *(asking.explain, asking.why_not, asking.customer, asking.domains, asking.move),
    *(simulation.simulate, simulation.replay, simulation.staff),
    *(journal.journal, user.user),
):
    cli.add_command(command)


# --- the daemon, and the demo's people --------------------------------------------------------------------------------


def _roles(_: click.Context, __: click.Parameter, roles: str) -> frozenset[str]:
    named = frozenset(role.strip() for role in roles.split(","))
    if named - {"engine", "edge"}:
        raise click.BadParameter(f"{roles!r}: the roles are engine and edge")
    return named


@cli.command(epilog=example("switchboard serve --config /etc/switchboard/router.toml"))
@CONFIG
@click.option(
    "--data", type=click.Path(path_type=Path), default=None, metavar="DIR", help="instead of the file's `data`"
)
@click.option("--loop", type=click.Choice(["auto", "uvloop", "asyncio"]), default="auto", show_default=True)
@click.option(
    "--roles",
    default="engine,edge",
    show_default=True,
    callback=_roles,
    help="engine decides, edge takes channels and agents; one alone needs [link]",
)
@click.option(
    "--domains",
    default="",
    metavar="NAME,NAME",
    callback=lambda _, __, named: frozenset(name.strip() for name in named.split(",") if name.strip()),
    help="the routing domains that this process serves; left out: all",
)
def serve(config: Path, data: Path | None, loop: str, roles: frozenset[str], domains: frozenset[str]) -> None:
    """Run the daemon until SIGTERM or Ctrl-C, then drain and stop.

    With a journal in Redis any number of daemons may run on one configuration: one leads, the others stand by.
    """
    from msgspec.structs import replace

    from router import observe
    from router.cli import serving, welcome
    from router.settings import load

    loaded = load(config)
    if data is not None:
        loaded = replace(loaded, settings=replace(loaded.settings, data=str(data)))
    observe.setup(loaded.settings.log_level, loaded.settings.log_json)
    sys.exit(serving.run(loaded, lambda running: click.echo(welcome.text(running)), loop, roles, domains))


@cli.command(epilog=example("switchboard check --config config/router.toml"))
@CONFIG
def check(config: Path) -> None:
    """Check a configuration: exit 0, or 2 with `file: dotted.path: what was expected, what was found`."""
    from router.cli.notes import notes
    from router.settings import load

    loaded = load(config)
    c = loaded.config
    click.echo(f"{config}: good ({len(c.queues)} queues, {len(c.rules)} rules, {len(c.agents)} agents)")
    for note in notes(loaded):
        click.echo(f"note: {note}")


@cli.command(epilog=example("switchboard reference > config/router.toml"))
def reference() -> None:
    """Print a configuration file with every option, its default and its reason."""
    from router.cli import reference as written

    click.echo(written.text(), nl=False)


@cli.command(epilog=example("switchboard asyncapi > docs/asyncapi.json"))
def asyncapi() -> None:
    """Print the AsyncAPI 3 document of the agents' and the visitors' websockets."""
    from router.cli import asyncapi as written

    click.echo(written.text(), nl=False)


@cli.command(epilog=example("switchboard agent ana"))
@click.argument("name")
@click.option("--url", type=WEBSOCKET, default="ws://127.0.0.1:8081/agent", show_default=True)
@click.option(
    "--http", type=HTTP, default="http://127.0.0.1:8080", show_default=True, help="where the text of mails is read"
)
@click.option("--token", envvar="SWITCHBOARD_AGENT_TOKEN", default=None, help="left out: dev-NAME")
@click.option("--auto", is_flag=True, help="accept and complete everything by itself, for demonstrations")
@click.option(
    "--script", is_flag=True, help="commands from stdin, JSON lines to stdout; also when stdin is no terminal"
)
def agent(name: str, url: str, http: str, token: str | None, auto: bool, script: bool) -> None:
    """Answer interactions from a terminal."""
    from router.agents.terminal import run_agent

    lines = script or not sys.stdin.isatty()
    sys.exit(run_agent(name, token or f"dev-{name}", url, auto=auto, script=lines, http=http))


@cli.command("try", epilog=example("switchboard try call"))
@click.argument("what", type=click.Choice(["call", "chat", "mail", "fax", "walk-in"]))
@click.option("--topic", type=click.Choice(["support", "sales"]), default="support", show_default=True)
@URL
@click.option("--chat-url", type=WEBSOCKET, default="ws://127.0.0.1:8081/chat", show_default=True)
@click.option("--smtp", type=HostPort(), default="127.0.0.1:2525", show_default=True)
@DATA
@click.option(
    "--seconds",
    type=click.FloatRange(0, 3_600),
    default=20.0,
    show_default=True,
    help="how long a caller waits when stdin is no terminal",
)
def try_(what: str, topic: str, url: str, chat_url: str, smtp: tuple[str, int], data: Path, seconds: float) -> None:
    """Be a customer of the demo configuration for a minute."""
    from router.cli import tries

    if what == "call":
        tries.call(url, {"support": "+15550100", "sales": "+15550101"}[topic], "dev-secret", seconds)
    elif what == "chat":
        tries.chat(chat_url, topic)
    elif what == "mail":
        tries.mail(smtp, f"{topic}@localhost")
    elif what == "fax":
        tries.scan(data / "drop" / "fax")
    else:
        tries.walk_in(url, topic)


# --- measuring --------------------------------------------------------------------------------------------------------


@cli.command(epilog=example("switchboard bench engine --json"))
@click.argument("name", required=False)
@click.option("--rounds", default=5, show_default=True, help="medians are taken over so many rounds")
@click.option("--quick", is_flag=True, help="small sizes, to see that it runs")
@click.option(
    "--sockets",
    type=click.IntRange(2, 250_000),
    default=None,
    help="machines: so many agents are held (10,000; 400 with --quick)",
)
@PLOT
@JSON
def bench(name: str | None, rounds: int, quick: bool, sockets: int | None, plot: Path | None, as_json: bool) -> None:
    """Measure engine, pipeline, journal, redis, recovery, edges, chat, estimates, theory, machines (all if none is
    named).

    theory draws its contests with --plot.
    """
    from router.bench import run_benchmarks

    if sockets is not None and name != "machines":
        raise ConfigError("--sockets", "to be said with machines", name or "all benchmarks")
    if plot is None:
        sys.exit(run_benchmarks(name, rounds=rounds, quick=quick, as_json=as_json, sockets=sockets or 0))
    if name != "theory":
        raise ConfigError("--plot", "to be said with theory", name or "all benchmarks")
    from router.cli import plots

    drawn = partial(plots.draw_contests, file=plot)
    sys.exit(run_benchmarks(name, rounds=rounds, quick=quick, as_json=as_json, draw=drawn))


class Amount(click.FloatRange):
    """A number that may be reckoned with: "nan" is a number to Python, and in no range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = super().convert(value, param, ctx)
        return self.fail(f"{value} is not a number.", param, ctx) if found != found else found


NOT_NEGATIVE = Amount(0, 1_000_000)
POSITIVE = Amount(0, 1_000_000, min_open=True)


@cli.command(epilog=example("switchboard size --agents 100000 --domains 200"))
@click.option("--agents", type=click.IntRange(1, 10_000_000), required=True)
@click.option("--domains", type=click.IntRange(1, 4_000), default=1, show_default=True, help="routing domains")
@click.option("--contacts", type=NOT_NEGATIVE, default=12.0, show_default=True, help="of an agent in the busiest hour")
@click.option("--messages", type=NOT_NEGATIVE, default=6.0, show_default=True, help="within a contact, by both sides")
@click.option("--events", type=NOT_NEGATIVE, default=3.0, show_default=True, help="of the channel about a contact")
@click.option("--sockets", type=NOT_NEGATIVE, default=1.0, show_default=True, help="of an agent")
@click.option(
    "--hours", type=Amount(0, 24, min_open=True), default=10.0, show_default=True, help="of a day that are so busy"
)
@click.option("--keep", type=NOT_NEGATIVE, default=4.0, show_default=True, help="hours of the log in Redis")
@click.option("--replicas", type=click.IntRange(0, 9), default=1, show_default=True, help="of each Redis")
@click.option("--fill", type=Amount(0.01, 1), default=0.5, show_default=True, help="part of a core to use")
@click.option("--gib", type=POSITIVE, default=8.0, show_default=True, help="memory of an engine or edge")
@click.option("--redis-gib", type=POSITIVE, default=32.0, show_default=True, help="memory of a Redis")
@click.option("--costs", type=click.Path(path_type=Path), metavar="FILE", help="your own: bench machines --json > FILE")
@JSON
def size(costs: Path | None, as_json: bool, **work: Any) -> None:
    """What a house of so many agents needs: processes, Redis, bytes a second, disk a day.

    Computed from what a contact, a message, a socket and a routing domain cost, as measured.
    """
    from router.bench import size as sizing

    sizing.run(work, costs, as_json)


# --- the end ----------------------------------------------------------------------------------------------------------


def main() -> None:
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ConfigError as error:
        of_an_option = error.path.startswith("--")
        click.echo(f"{'' if of_an_option else _config_named()}{error}", err=True)
        sys.exit(2)
    except RouterError as error:
        click.echo(f"switchboard: {error}", err=True)
        sys.exit(1)


def _config_named() -> str:
    """The file that the error is about, as it was named on the command line."""
    words = sys.argv[1:]
    if words[:1] in (["simulate"], ["staff"]):
        return ""  # those errors name their file
    named = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "--config"]
    named += [word.partition("=")[2] for word in words if word.startswith("--config=")]
    return f"{named[-1] if named else 'config/dev.toml'}: "


if __name__ == "__main__":
    main()
