"""The log, looked after by hand: `journal verify`, `export` and `snapshot`; and which log a command means."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from router.cli.commands.options import DATA, JSON, OF_CONFIG, example

if TYPE_CHECKING:
    from router.journal.redis import RedisJournal
    from router.journal.sqlite import SqliteJournal

OF_DOMAIN = click.option("--domain", default="", metavar="NAME", help="with --config: the log of this routing domain")
JOURNAL = click.argument("journal", type=click.Path(path_type=Path), required=False)


@click.group()
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
        return journal_of(_journal_file(journal or data), None)
    return journal_of(None, config, domain)


def journal_of(
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
