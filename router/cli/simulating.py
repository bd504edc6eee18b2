"""`switchboard simulate` and `switchboard staff`: what the simulator finds, as tables, pictures and JSON."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import msgspec
from msgspec.structs import replace

from router.cli import scenarios
from router.errors import ConfigError
from router.simulate import calls, compare, report, staffing
from router.simulate import cases as published
from router.simulate.cases import Case, Result
from router.simulate.model import POLICIES, Policy
from router.simulate.report import NOWHERE, Interval, Metrics, Report
from router.simulate.scenario import Scenario, notes

Show = Callable[[str], published.Step]


def run_cases(file: Path, only: tuple[str, ...], policy: str, scale: float, seed: int, jobs: int, as_json: bool) -> int:
    """Exit 0, or 1 where a case with stated tolerances missed one of them."""
    chosen = _chosen(published.read(file), only)
    work = partial(published.run, seed=seed, scale=scale, policy=policy_of(policy))
    with progress() as show:
        results = _all(chosen, work, jobs, show)
    missed = [line for case, result in zip(chosen, results, strict=True) for line in misses(case, result, scale)]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(results)).decode())
    else:
        _table(chosen, results, scale)
    return 1 if missed and not as_json else 0


def policy_of(text: str) -> Policy | None:
    """ "RULE|CHOICE" or "RULE", as the cases name them."""
    if not text:
        return None
    rule, _, choice = text.partition("|")
    return Policy(rule, choice or "longest-idle")


def _chosen(found: list[Case], only: tuple[str, ...]) -> list[Case]:
    names = [case.name for case in found]
    for name in only:
        if name not in names:
            raise ConfigError("--only", f"one of {', '.join(names)}", repr(name))
    return [case for case in found if not only or case.name in only]


def _all(chosen: list[Case], work: Callable[..., Result], jobs: int, show: Show) -> list[Result]:
    if jobs == 1 or len(chosen) == 1:
        return [work(case, step=show(case.name)) for case in chosen]
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        done = []
        step = show("cases")
        for i, result in enumerate(pool.map(work, chosen), 1):
            step(i, len(chosen))
            done.append(result)
        return done


def misses(case: Case, result: Result, scale: float) -> list[str]:
    """The metrics outside of their tolerance, which is stated for the whole length."""
    found = []
    for name, expected in case.expected.items():
        allowed = case.tolerance.get(name, 0.0) * max(1.0, scale**-0.5)
        value = result.metrics.get(name)
        if value is None or (allowed and abs(value - expected) > allowed):
            found.append(f"{case.name}: {name} is {value}, expected {expected} within {allowed:.3g}")
    return found


def _table(chosen: list[Case], results: list[Result], scale: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("case", "metric", "found", "expected", "within", "verdict")
    for case, result in zip(chosen, results, strict=True):
        if result.policies:
            _contest(table, result)
        elif not case.expected:
            for name, value in result.metrics.items():
                table.add_row(case.name, name, f"{value:.6g}", "", "", "")
        for name, expected in case.expected.items():
            allowed = case.tolerance.get(name, 0.0) * max(1.0, scale**-0.5)
            value = result.metrics.get(name, float("nan"))
            verdict = "ok" if abs(value - expected) <= allowed else "[red]missed[/red]"
            table.add_row(case.name, name, f"{value:.5g}", f"{expected:.5g}", f"{allowed:.3g}", verdict)
    Console().print(table)


def _contest(table: object, result: Result) -> None:
    from rich.table import Table

    assert isinstance(table, Table)
    for policy, metrics in result.policies.items():
        p99 = ", ".join(
            f"{value:.0f}" for name, value in metrics.items() if name.endswith(".p99") and name[:3] != "all"
        )
        mark = " (default)" if policy == result.chosen else ""
        found = f"min sl_x {metrics['min_sl_x']:.3f}, p99 {p99} s"
        table.add_row(result.name, policy + mark, found, "", "", f"gain {metrics['gain']:+.3f}")


# --- scenarios --------------------------------------------------------------------------------------------------------


def run_scenario(file: Path, policy: str, seed: int | None, as_json: bool, plot: Path | None) -> int:
    scenario = under(scenarios.read(file), policy)
    began = perf_counter()
    with progress() as show:
        found = report.run(scenario, seed, show(scenario.name))
    took_s = perf_counter() - began
    if plot is not None:
        from router.cli import plots

        plots.draw(found, scenario, plot)
    if as_json:
        json_out(found)
    else:
        _report(found)
        _speed(found, took_s)
    return 0


def under(scenario: Scenario, policy: str) -> Scenario:
    """The scenario under another order."""
    if not policy:
        return scenario
    rule, _, choice = policy.partition("|")
    if rule not in POLICIES:
        raise ConfigError("--policy", f"one of {', '.join(POLICIES)}", repr(rule))
    config = replace(scenario.config, order=replace(scenario.config.order, policy=rule))
    if choice:
        config = replace(config, queues={n: replace(q, choice=choice) for n, q in config.queues.items()})
    return replace(scenario, config=config, name=f"{scenario.name} ({policy})")


def run_comparison(a: Scenario, b: Scenario, replications: int, as_json: bool, plot: Path | None) -> int:
    with progress() as show:
        found = compare.compare(a, b, replications, show("replications"))
    if plot is not None:
        from router.cli import plots

        plots.draw_comparison(found, plot)
    if as_json:
        json_out(found)
        return 0
    table = table_of(f"A: {found.a}\nB: {found.b}", "of", "metric", "A", "B", "B - A", "95 %", "")
    for line in found.lines:
        mark = "differs" if line.apart else ""
        values = (said(line.metric, v) for v in (line.a, line.b, line.difference, line.half_width))
        a_, b_, difference, half = values
        table.add_row(line.of, line.metric, a_, b_, difference, f"± {half}", mark)
    print_table(table)
    return 0


def two(scenario: Path | None, named: tuple[str, str], seed: int | None) -> tuple[Scenario, Scenario]:
    """Two scenario files, or one of them under two policies."""
    if scenario is not None:
        base = scenarios.read(scenario)
        a, b = under(base, named[0]), under(base, named[1])
    else:
        a, b = (scenarios.read(Path(name)) for name in named)
    return (a, b) if seed is None else (replace(a, seed=seed), replace(b, seed=seed))


def run_staffing(file: Path, replications: int, as_json: bool) -> int:
    scenario = scenarios.read(file)
    with progress() as show:
        step = show("looking for the smallest roster")
        found = staffing.search(scenario, lambda text: step(0, 0), replications)
    if as_json:
        json_out(found)
        return 0
    table = table_of(f"{found.scenario}: {found.found.agents} people", "group", "by Erlang's formula", "by simulation")
    for group, count in found.found.staff.items():
        table.add_row(group, str(found.start[group]), str(count))
    print_table(table)
    table = table_of(
        f"{len(found.tried)} rosters tried", "queue", "goal", "sl_x", "abandoned", "turned away", "busy tone"
    )
    for queue, level in found.found.levels.items():
        goal = staffing.goal_of(scenario, queue)
        what_was_lost = (found.found.abandoned, found.found.turned_away, found.found.busy_tone)
        lost = (f"{shares[queue]:.1%}" for shares in what_was_lost)
        table.add_row(queue, f"{goal:.0%}", f"{level:.1%}", *lost)
    print_table(table)
    _notes(notes(scenario))
    return 0


def run_calls(file: Path, seed: int, as_json: bool) -> int:
    month = calls.read(file)
    with progress() as show:
        pause_s = calls.calibrated(month, seed, show("how long agents pause between calls"))
        found = [calls.what_was(month)]
        for variant in calls.VARIANTS:
            found.append(calls.again(month, replace(variant, pause_s=pause_s), seed, show(variant.name)))
    if as_json:
        json_out({"pause_s": pause_s, "found": found})
        return 0
    columns = ("hours", "callers", "in time", "gave up", "mean s", "p90 s", "p99 s")
    table = table_of(f"{len(month.calls):,} calls; {pause_s} s between two calls", "rule and roster", "", *columns)
    for line in found:
        for who, metrics in line.metrics.items():
            name, hours = (line.name, f"{line.staffed_h:,.0f}") if who == "all" else ("", "")
            figures = (said(m, metrics[m]) for m in ("offered", "sl_x", "p_abandon", "mean_wait", "p90", "p99"))
            table.add_row(name, who, hours, *figures)
    print_table(table)
    return 0


def json_out(found: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())


def table_of(title: str, *columns: str) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    return table


def print_table(table: Any) -> None:
    from rich.console import Console

    console = Console()
    # A pipe has no width; a table that is cut to 80 columns cannot be read.
    Console(width=console.width if console.is_terminal else 140).print(table)


# The counts after the first add up to it.
COUNTS = ("offered", "served", "abandoned", "turned_away", "blocked", "left")
COUNTED = ("offered", "served", "left\nthem", "turned\naway", "not\nlet in", "at the\nend")
SHOWN = (*COUNTS, "sl_x", "mean_wait", "p50", "p90", "p99")
SHARES = ("sl", "sl_x", "p_wait", "p_abandon", "p_turned_away", "p_blocked", "occupancy", "fairness")


def said(metric: str, value: float) -> str:
    if metric in SHARES:
        return f"{value:.1%}" if metric != "fairness" else f"{value:.3f}"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.1f}"


def _report(found: Report) -> None:
    titles = ("", *COUNTED, "in time", "mean s", "p50 s", "p90 s", "p99 s")
    table = table_of(f"{found.scenario}, seed {found.seed}", *titles)
    parts: list[tuple[str, dict[str, Metrics]]] = [("all", {"all": found.all}), ("queue", found.queues)]
    parts += [("channel", found.channels), ("stream", found.streams)]
    for kind, rows in parts:
        for name, metrics in rows.items():
            said_as = name if kind == "all" or name == NOWHERE else f"{kind} {name}"
            table.add_row(said_as, *(said(m, metrics[m]) for m in SHOWN))
        table.add_section()
    print_table(table)
    _intervals(found.intervals)
    table = table_of("People", "group", "people", "hours", "handled", "busy", "least", "most", "fairness")
    for name, m in found.groups.items():
        shares = (f"{m[x]:.1%}" for x in ("occupancy", "least_busy", "busiest"))
        counts = f"{m['agents']:.0f}", f"{m['staffed_h']:.1f}", f"{m['handled']:.0f}"
        table.add_row(name, *counts, *shares, f"{m['fairness']:.3f}")
    print_table(table)
    if any(found.faults.values()):
        click.echo(", ".join(f"{name.replace('_', ' ')}: {n}" for name, n in found.faults.items() if n))
    _notes(found.notes)


def _notes(found: Iterable[str]) -> None:
    for note in found:
        click.echo(f"- {note}")


def _intervals(found: list[Interval]) -> None:
    titles = (*COUNTED, "in time", "mean s", "p90 s", "people", "busy")
    table = table_of("By the time of the day", "from", *titles)
    for x in found:
        counts = (str(getattr(x, name)) for name in COUNTS)
        waits = (f"{x.sl_x:.1%}", f"{x.mean_wait:.1f}", f"{x.p90:.1f}")
        table.add_row(x.at, *counts, *waits, f"{x.staffed:.1f}", f"{x.occupancy:.1%}")
    print_table(table)


def _speed(found: Report, took_s: float) -> None:
    rate = found.contacts / took_s
    click.echo(f"{took_s:.1f} s: {found.simulated_s / took_s:,.0f} times real time, {rate:,.0f} interactions a second")


@contextlib.contextmanager
def progress() -> Iterator[Show]:
    """A bar on stderr, where somebody watches."""
    if not sys.stderr.isatty():
        yield lambda what: lambda n, of: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def show(what: str) -> published.Step:
            bar.update(task, description=what, completed=0, total=None)
            return lambda n, of: bar.update(task, completed=n, total=of)

        yield show
