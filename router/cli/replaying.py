"""`switchboard replay`: a journal under another configuration, beside what was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from router.cli.looking import log_of
from router.cli.simulating import COUNTED, COUNTS, json_out, print_table, progress, said, table_of
from router.engine.config import Config
from router.engine.events import Record
from router.errors import ConfigError
from router.journal import choice, codec
from router.journal.sqlite import SqliteJournal
from router.service.domains.parts import of_domain, split
from router.settings import load
from router.simulate.replay import Answer
from router.simulate.replay import replay as run_again
from router.simulate.report import Metrics, Report

if TYPE_CHECKING:
    from router.journal.redis import RedisJournal

SHOWN = (*COUNTS, "sl_x", "mean_wait", "p50", "p90")
TITLES = (*COUNTED, "in time", "mean s", "p50 s", "p90 s")
PEOPLE = 40  # a page; --json has all


def run(journal: Path, config: Path, seed: int, as_json: bool, plot: Path | None, domain: str = "") -> int:
    """`domain`: of a house that is parted, whose log; then the other configuration's part of that name counts."""
    log = _log(journal, domain)
    other = _plain(_config(config, domain))
    log.open()

    def records() -> Iterator[Record]:
        return (codec.decode(payload) for _, payload in log.read())

    try:
        with progress() as bar:
            found = run_again(records, other, seed, bar("replaying"))
    finally:
        log.close()
    if plot is not None:
        from router.cli import plots

        plots.draw_replay(found.was, found.then, plot)
    if as_json:
        json_out(found)
    else:
        _tables(found)
    return 0


def _log(journal: Path, domain: str) -> SqliteJournal | RedisJournal:
    """A journal's file, or the log of the house whose configuration this is. Raises RouterError."""
    if journal.suffix != ".toml":
        if domain:
            raise ConfigError(
                "--domain", "a configuration (.toml) as the journal, since a file is of one house", repr(domain)
            )
        return SqliteJournal(journal, read_only=True)
    settings = load(journal).settings
    named = log_of(settings.domains, domain, "")
    return choice.make(of_domain(settings.journal, settings.domains, named), Path(settings.data), read_only=True)


def _config(path: Path, domain: str) -> Config:
    """What decides; of a parted house the domain's part, for who is elsewhere meets nobody here."""
    loaded = load(path)
    domains = loaded.settings.domains
    if not domain or not domains:
        return loaded.config
    if domain not in domains:
        raise ConfigError("--domain", f"a routing domain of {path}, too ({', '.join(domains)})", repr(domain))
    return split(loaded.config, domains)[domain]


def _plain(config: Config) -> Config:
    """Without orders to gateways: nobody is there to carry them out."""
    return replace(config, channels={name: replace(x, actions=()) for name, x in config.channels.items()})


def _tables(found: Answer) -> None:
    was, then = found.was, found.then
    table = table_of(f"{was.contacts} contacts: what was, and under the other configuration", "", "", *TITLES)
    for kind, rows in (("", _one), ("queue ", _queues), ("channel ", _channels)):
        before, after = rows(was), rows(then)
        for name in dict.fromkeys((*before, *after)):
            table.add_row(kind + name, "was", *_figures(before.get(name)))
            table.add_row("", "then", *_figures(after.get(name)))
        table.add_section()
    print_table(table)
    busy = {x.agent: x for x in then.agents}
    table = table_of("People", "agent", "handled", "then", "busy", "then")
    for x in was.agents[:PEOPLE]:
        now = busy.get(x.agent)
        handled, share = (str(now.handled), f"{now.occupancy:.1%}") if now is not None else ("", "")
        table.add_row(x.agent, str(x.handled), handled, f"{x.occupancy:.1%}", share)
    print_table(table)
    for note in found.notes:
        click.echo(f"- {note}")


def _one(report: Report) -> dict[str, Metrics]:
    return {"all": report.all}


def _queues(report: Report) -> dict[str, Metrics]:
    return report.queues


def _channels(report: Report) -> dict[str, Metrics]:
    return report.channels


def _figures(metrics: Metrics | None) -> list[str]:
    return [said(name, metrics[name]) for name in SHOWN] if metrics is not None else [""] * len(SHOWN)
