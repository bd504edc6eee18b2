"""The engine under virtual time: `simulate`, `replay` and `staff`."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from click.core import ParameterSource

from router.cli.commands.options import CONFIG, JSON, PLOT, example
from router.errors import ConfigError

POLICY = click.option("--policy", default="", metavar="RULE[|CHOICE]", help="in place of the file's own rules")


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


@click.command(epilog=example("switchboard simulate config/scenarios/shop.toml --plot shop.png"))
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


@click.command(epilog=example("switchboard replay var/journal.db --config my.toml"))
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


@click.command(epilog=example("switchboard staff config/scenarios/shop.toml"))
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option("--replications", type=click.IntRange(1, 100), default=5, show_default=True, help="of each roster")
@JSON
def staff(scenario: Path, replications: int, as_json: bool) -> None:
    """Search the smallest roster that meets the scenario's goals."""
    from router.cli import simulating

    sys.exit(simulating.run_staffing(scenario, replications, as_json))
