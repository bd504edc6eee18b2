"""What is asked of a running daemon, or of a journal: why, why not, who one customer is, who leads what."""

from __future__ import annotations

from pathlib import Path

import click

from router.cli.commands.journal import journal_of
from router.cli.commands.options import JSON, OF_CONFIG, TOKEN, URL, example


@click.command(epilog=example("switchboard explain i-4711"))
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
        looking.from_journal(journal_of(journal, config, about=interaction), interaction, as_json, language)
        return
    told = looking.get(url, looking.path_of(interaction, "explain"), token)
    if as_json:
        looking.show(told, as_json)
    else:
        looking.say(telling.story(told))


@click.command("why-not", epilog=example("switchboard why-not ana i-4711"))
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
        told = looking.why_not_from_journal(journal_of(journal, config, about=interaction), interaction, agent)
    else:
        told = looking.get(url, looking.path_of(interaction, "why-not", agent), token)
    if as_json:
        looking.show(told, as_json)
    else:
        looking.say(telling.why_not(told))


@click.command(epilog=example("switchboard customer tel:+15550100 --merge mailto:kim@example.org --why 'same voice'"))
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


@click.command(epilog=example("switchboard domains"))
@URL
@TOKEN
@JSON
def domains(url: str, token: str, as_json: bool) -> None:
    """Routing domains, the engine that leads each, and those that stand by; from a running edge."""
    from router.cli import looking

    looking.show(looking.get(url, "/v1/domains", token), as_json)


@click.command(epilog=example("switchboard move north --to engine-2 --why 'engine-1 gets new memory'"))
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
