"""The command line. Each command imports what it needs when it runs, so that `--help` is quick.

Exit codes: 0 done, 1 failed, 2 wrong usage or a configuration that must not be used. Errors are one line on stderr that
says what to do.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from router import __version__
from router.cli.addresses import HostPort, Url
from router.errors import ConfigError, RouterError

if TYPE_CHECKING:
    from router.journal.redis import RedisJournal
    from router.journal.sqlite import SqliteJournal

CONFIG = click.option(
    "--config", type=click.Path(path_type=Path), default=Path("config/dev.toml"), show_default=True, metavar="FILE"
)
DATA = click.option("--data", type=click.Path(path_type=Path), default=Path("var"), show_default=True, metavar="DIR")
HTTP, WEBSOCKET = Url("http", "https"), Url("ws", "wss")
URL = click.option(
    "--url", type=HTTP, default="http://127.0.0.1:8080", show_default=True, help="the daemon's HTTP address"
)
TOKEN = click.option("--token", envvar="SWITCHBOARD_TOKEN", default="dev-operator", help="an operator's token")


class Amount(click.FloatRange):
    """A number that may be reckoned with: "nan" is a number to Python, and in no range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = super().convert(value, param, ctx)
        return self.fail(f"{value} is not a number.", param, ctx) if found != found else found


NOT_NEGATIVE = Amount(0, 1_000_000)
POSITIVE = Amount(0, 1_000_000, min_open=True)
JSON = click.option("--json", "as_json", is_flag=True, help="for machines")
OF_DOMAIN = click.option("--domain", default="", metavar="NAME", help="with --config: the log of this routing domain")
OF_CONFIG = click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="the journal that this configuration names"
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="switchboard")
def cli() -> None:
    """Switchboard: every channel in one queue, each contact to the agent who fits best.

    Example: switchboard serve --config config/dev.toml
    """


def example(text: str) -> str:
    return f"Example: {text}"


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


@cli.command(epilog=example("switchboard explain i-4711"))
@click.argument("interaction")
@URL
@TOKEN
@click.option("--journal", type=click.Path(path_type=Path), metavar="FILE", help="tell from a journal instead")
@OF_CONFIG
@JSON
@click.option(
    "--language",
    type=click.Choice(["en", "es"]),
    default="en",
    hidden=True,
    help="of the sentences, with --journal and --json",
)
def explain(
    interaction: str, url: str, token: str, journal: Path | None, config: Path | None, as_json: bool, language: str
) -> None:
    """Why an interaction is where it is, and how it was offered."""
    from router.cli import looking, telling

    if journal is not None or config is not None:
        looking.from_journal(_journal_of(journal, config, about=interaction), interaction, as_json, language)
        return
    told = looking.get(url, looking.path_of(interaction, "explain"), token)
    if as_json:
        looking.show(told, as_json)
    else:
        looking.say(telling.story(told))


@cli.command("why-not", epilog=example("switchboard why-not ana i-4711"))
@click.argument("agent")
@click.argument("interaction")
@URL
@TOKEN
@click.option("--journal", type=click.Path(path_type=Path), metavar="FILE", help="tell from a journal instead")
@OF_CONFIG
@JSON
def why_not(
    agent: str, interaction: str, url: str, token: str, journal: Path | None, config: Path | None, as_json: bool
) -> None:
    """Why this agent has not got that interaction."""
    from router.cli import looking, telling

    if journal is not None or config is not None:
        told = looking.why_not_from_journal(_journal_of(journal, config, about=interaction), interaction, agent)
    else:
        told = looking.get(url, looking.path_of(interaction, "why-not", agent), token)
    if as_json:
        looking.show(told, as_json)
    else:
        looking.say(telling.why_not(told))


@cli.command(epilog=example("switchboard customer tel:+15550100 --merge mailto:kim@example.org --why 'same voice'"))
@click.argument("identity")
@click.option("--merge", "other", default="", metavar="IDENTITY", help="this is the same person")
@click.option("--split", is_flag=True, help="this identity is not of the customer whom it leads to")
@click.option("--why", default="", help="kept in the journal")
@URL
@TOKEN
@JSON
def customer(identity: str, other: str, split: bool, why: str, url: str, token: str, as_json: bool) -> None:
    """Who one customer is, by a running daemon; join two, or part an identity."""
    from urllib.parse import quote

    from router.cli import looking

    if other and split:
        raise click.UsageError("--merge or --split, not both")
    if other:
        told = looking.post(url, "/v1/customers/merge", token, {"customer": identity, "other": other, "why": why})
    elif split:
        told = looking.post(url, "/v1/customers/split", token, {"identity": identity, "why": why})
    else:
        told = looking.get(url, f"/v1/customers?identity={quote(identity, safe='')}", token)
    looking.show(told, as_json)


@cli.command(epilog=example("switchboard domains"))
@URL
@TOKEN
@JSON
def domains(url: str, token: str, as_json: bool) -> None:
    """Routing domains, the engine that leads each, and those that stand by; from a running edge."""
    from router.cli import looking

    looking.show(looking.get(url, "/v1/domains", token), as_json)


@cli.command(epilog=example("switchboard move north --to engine-2 --why 'engine-1 gets new memory'"))
@click.argument("domain")
@click.option("--to", required=True, metavar="ENGINE", help="the name of an engine that stands by (link.name)")
@click.option("--why", default="", help="kept in the journal")
@URL
@TOKEN
@JSON
def move(domain: str, to: str, why: str, url: str, token: str, as_json: bool) -> None:
    """Give a routing domain to another engine, by a running edge. Nothing is lost; for a moment all come back later."""
    from urllib.parse import quote

    from router.cli import looking

    path = f"/v1/domains/{quote(domain, safe='')}/move"
    looking.show(looking.post(url, path, token, {"to": to, "why": why}), as_json)


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


JOURNAL = click.argument("journal", type=click.Path(path_type=Path), required=False)


@cli.group()
def journal() -> None:
    """Look after the log: that of --data, or JOURNAL, a journal's file or the folder that it is in.

    With --config the one that a configuration names; a log in Redis is always looked at so.
    """


@journal.command(epilog=example("switchboard journal verify --data var"))
@JOURNAL
@DATA
@OF_CONFIG
@OF_DOMAIN
@JSON
def verify(journal: Path | None, data: Path, config: Path | None, domain: str, as_json: bool) -> None:
    """Check every record: checksums, gaps, a torn tail. Exit 1 when something is damaged."""
    from router.cli import looking
    from router.journal.sqlite import SqliteJournal

    log = _log(journal, data, config, domain)
    if isinstance(log, SqliteJournal):
        from router.journal.inspection import verify as look

        report = look(log.path)
    else:
        from router.journal.redis_inspection import verify as look_at_redis

        report = look_at_redis(log)
    looking.show(json.loads(_encoded(report)), as_json)
    sys.exit(0 if report.ok else 1)


@journal.command(epilog=example("switchboard journal export --data var > journal.jsonl"))
@JOURNAL
@DATA
@OF_CONFIG
@OF_DOMAIN
@click.option("--after", type=click.IntRange(0), default=0, metavar="SEQ", help="only records after this one")
def export(journal: Path | None, data: Path, config: Path | None, domain: str, after: int) -> None:
    """Write the records as JSON lines to stdout."""
    from router.journal.inspection import export_from

    export_from(_log(journal, data, config, domain), sys.stdout.buffer, after)


@journal.command(epilog=example("switchboard journal snapshot --data var"))
@JOURNAL
@DATA
@OF_CONFIG
@OF_DOMAIN
def snapshot(journal: Path | None, data: Path, config: Path | None, domain: str) -> None:
    """Make a snapshot, which shortens the next start. May run beside the daemon, which does it by itself."""
    from router.service.recovery import make_snapshot

    log = _log(journal, data, config, domain)
    log.open()
    try:
        click.echo(f"snapshot of record {make_snapshot(log)}")
    finally:
        log.close()


def _log(journal: Path | None, data: Path, config: Path | None, domain: str = "") -> SqliteJournal | RedisJournal:
    """To read: JOURNAL, else that of --config, else that of --data."""
    if journal is not None or config is None:
        return _journal_of(_journal_file(journal or data), None)
    return _journal_of(None, config, domain)


def _journal_of(
    journal: Path | None, config: Path | None, domain: str = "", about: str = ""
) -> SqliteJournal | RedisJournal:
    """The journal of a file or of a configuration, to be read; with routing domains the one that is `about` it."""
    from router.cli import looking
    from router.journal import choice
    from router.journal.sqlite import SqliteJournal
    from router.service.domains.parts import of_domain
    from router.settings import load

    if journal is not None:
        return SqliteJournal(journal, read_only=True)
    assert config is not None
    settings = load(config).settings
    named = looking.log_of(settings.domains, domain, about)
    return choice.make(of_domain(settings.journal, settings.domains, named), Path(settings.data), read_only=True)


def _journal_file(data: Path) -> Path:
    file = data if data.is_file() else data / "journal.db"
    if not file.exists():
        raise click.UsageError(f"{file} does not exist; name the journal, or its folder with --data")
    return file


def _encoded(value: Any) -> bytes:
    import msgspec

    return msgspec.json.encode(value)


POLICY = click.option("--policy", default="", metavar="RULE[|CHOICE]", help="in place of the file's own rules")


def _drawable(_: click.Context, __: click.Parameter, file: Path | None) -> Path | None:
    if file is not None:
        from router.cli import plots

        plots.check(file)
    return file


PLOT = click.option(
    "--plot", type=click.Path(path_type=Path), callback=_drawable, metavar="FILE", help=".png, .svg or .pdf"
)
# What each kind of simulation takes beside --json.
SIMULATIONS: dict[str, frozenset[str]] = {
    "cases": frozenset({"cases", "only", "policy", "scale", "seed", "jobs"}),
    "calls": frozenset({"calls", "seed"}),
    "compare": frozenset({"compare", "scenario", "replications", "seed", "plot"}),
    "scenario": frozenset({"scenario", "policy", "seed", "plot"}),
}


def _only_what_counts(kind: str) -> None:
    """Refuse what was said and would be ignored."""
    ctx = click.get_current_context()
    for name in ctx.params:
        given = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name != "as_json" and name not in SIMULATIONS[kind]:
            wanted = [_option(other) for other, takes in SIMULATIONS.items() if name in takes]
            raise ConfigError(_option(name), f"to be said with {' or '.join(wanted)}", _option(kind))


def _option(name: str) -> str:
    return "a SCENARIO" if name == "scenario" else f"--{name}"


@cli.command(epilog=example("switchboard simulate config/scenarios/shop.toml --plot shop.png"))
@click.argument("scenario", type=click.Path(path_type=Path), required=False)
@click.option("--cases", type=click.Path(path_type=Path), metavar="FILE", help="run the published cases of a file")
@click.option("--only", multiple=True, metavar="NAME", help="of those, this one; may be said more than once")
@click.option("--calls", type=click.Path(path_type=Path), metavar="FILE", help="a month of real calls, otherwise")
@click.option(
    "--compare",
    nargs=2,
    metavar="A B",
    help="side by side: two scenarios, or with SCENARIO two policies (RULE or RULE|CHOICE)",
)
@click.option("--replications", type=click.IntRange(2, 1_000), default=10, show_default=True, help="of a comparison")
@POLICY
@click.option(
    "--scale",
    type=click.FloatRange(0.0001, 100),
    default=1.0,
    show_default=True,
    help="this part of each case's length; tolerances grow with the root",
)
@click.option("--seed", type=int, default=None, help="left out: the scenario's own; 1 for cases")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="cases at once, each on a core")
@PLOT
@JSON
def simulate(
    scenario: Path | None,
    cases: Path | None,
    only: tuple[str, ...],
    calls: Path | None,
    compare: tuple[str, str] | None,
    replications: int,
    policy: str,
    scale: float,
    seed: int | None,
    jobs: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Run the production engine under virtual time: a scenario, two of them, published cases, or real calls."""
    from router.cli import simulating

    kind = "cases" if cases is not None else "calls" if calls is not None else "compare" if compare else "scenario"
    if kind == "scenario" and scenario is None:
        raise click.UsageError("name a scenario, two of them with --compare, or a file of cases with --cases")
    _only_what_counts(kind)
    if cases is not None:
        sys.exit(simulating.run_cases(cases, only, policy, scale, 1 if seed is None else seed, jobs, as_json))
    if calls is not None:
        sys.exit(simulating.run_calls(calls, 1 if seed is None else seed, as_json))
    if compare:
        sys.exit(simulating.run_comparison(*simulating.two(scenario, compare, seed), replications, as_json, plot))
    assert scenario is not None
    sys.exit(simulating.run_scenario(scenario, policy, seed, as_json, plot))


@cli.command(epilog=example("switchboard replay var/journal.db --config my.toml"))
@click.argument("journal", type=click.Path(path_type=Path))
@CONFIG
@click.option(
    "--domain", default="", metavar="NAME", help="where JOURNAL is a configuration with routing domains: which"
)
@click.option("--seed", type=int, default=1, show_default=True, help="of what the journal breaks off before")
@PLOT
@JSON
def replay(journal: Path, config: Path, domain: str, seed: int, plot: Path | None, as_json: bool) -> None:
    """What if yesterday: the contacts and people of a journal under another configuration.

    JOURNAL is a file, or a configuration (.toml) that says where the log is: in Redis, for several machines.

    Agents miss and decline as large a share of their offers as they did. Transfers and closed calendars are repeated;
    consults and what people did by hand are counted, and said.
    """
    from router.cli import replaying

    sys.exit(replaying.run(journal, config, seed, as_json, plot, domain))


@cli.command(epilog=example("switchboard staff config/scenarios/shop.toml"))
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option("--replications", type=click.IntRange(1, 100), default=5, show_default=True, help="of each roster")
@JSON
def staff(scenario: Path, replications: int, as_json: bool) -> None:
    """Search the smallest roster that meets the scenario's goals."""
    from router.cli import simulating

    sys.exit(simulating.run_staffing(scenario, replications, as_json))


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


OF_ACCOUNTS = click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="its `data` folder, instead of --data"
)
STDIN = click.option("--password-stdin", is_flag=True, help="one line of stdin instead of asking")
USER = click.argument("name")


@cli.group()
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
