"""One house's configuration, parted into that of each routing domain, and put together again.

A domain owns queues and agents, each thing exactly one domain. Everything else follows: a rule belongs to the domain of
its queue, so where a contact goes is decided by the rules alone, in the one order that the file has. A domain is given
its own rules in that order (`Rule.place`), so what the whole list decides and what the domain's engine decides is the
same: the first rule of the whole list that holds is the first one of its domain that does.

What is left over is refused when it is written: a rule of one domain that names a queue or an agent of another is a
contact that would have to leave its log, and nothing does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from router.engine.config import Agent, Config, Name
from router.engine.partition import MOST
from router.engine.plan import check_config
from router.errors import ConfigError
from router.journal.settings import JournalSettings


class DomainSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """A routing domain: agents and queues that can meet, with an engine and a log of their own."""

    # What a domain is: its log lies under it, and interactions' numbers begin with it (i-3000000017 is of number 3).
    # So it never changes and is never used again, while the name may. 0 is the log that a house had before it was
    # parted.
    number: Annotated[int, Meta(ge=0, lt=MOST)]
    queues: tuple[Name, ...] = ()  # its queues; rules and addresses follow them
    teams: tuple[Name, ...] = ()  # whoever is in one of these teams is of this domain
    agents: tuple[Name, ...] = ()  # as well as these


Domains = Mapping[str, DomainSettings]


def prefix_of(prefix: str, number: int) -> str:
    """Under which a domain's log is kept, where the house's is kept under `prefix`: a domain that is called otherwise
    goes on with its log, or its contacts would be lost and their numbers used again."""
    return f"{prefix}:{number}" if number else prefix


def of_domain(journal: JournalSettings, domains: Domains, name: str) -> JournalSettings:
    """Where a domain's log is; "": the house is one."""
    return replace(journal, prefix=prefix_of(journal.prefix, domains[name].number)) if name else journal


def split(config: Config, domains: Domains) -> dict[str, Config]:
    """The configuration of each domain, checked. Raises ConfigError."""
    _check_numbers(domains)
    queues = {name: dict.fromkeys(d.queues, "queues") for name, d in domains.items()}
    of_queue = _owners(queues, config.queues, "queue")
    of_agent = _owners(_people(config, domains), config.agents, "agent")
    return {name: _checked(name, _part(config, name, of_queue, of_agent)) for name in domains}


def joined(parts: Iterable[Config]) -> Config:
    """The house's configuration again: the rules in the order of the file."""
    first, *rest = parts
    whole = first
    for part in rest:
        whole = replace(
            whole,
            queues={**whole.queues, **part.queues},
            agents={**whole.agents, **part.agents},
            calendars={**whole.calendars, **part.calendars},
            rules=(*whole.rules, *part.rules),
            default_queue=whole.default_queue or part.default_queue,
        )
    rules = sorted(whole.rules, key=lambda rule: rule.place)
    return replace(whole, rules=tuple(replace(rule, place=0) for rule in rules))


def _check_numbers(domains: Domains) -> None:
    seen: dict[int, str] = {}
    for name, domain in domains.items():
        other = seen.setdefault(domain.number, name)
        if other != name:
            expected = f"a number of its own ({domain.number} is that of {other})"
            raise ConfigError(f"domains.{name}.number", expected, str(domain.number))


def _people(config: Config, domains: Domains) -> dict[str, dict[str, str]]:
    """Of each domain: by which of its options somebody is in it."""
    for name, domain in domains.items():
        for team in domain.teams:
            if team not in config.teams:
                raise ConfigError(f"domains.{name}.teams", "teams of this configuration", repr(team))
    found = {}
    for name, domain in domains.items():
        teams = frozenset(domain.teams)
        of_teams = (who for who, agent in config.agents.items() if agent.team in teams)
        found[name] = dict.fromkeys(domain.agents, "agents") | dict.fromkeys(of_teams, "teams")
    return found


def _owners(claims: Mapping[str, Mapping[str, str]], known: Mapping[str, object], kind: str) -> dict[str, str]:
    """`claims`: of each domain, names and the option that has them."""
    owners: dict[str, str] = {}
    for domain, names in claims.items():
        for name, option in names.items():
            if name not in known:
                raise ConfigError(f"domains.{domain}.{option}", f"{option} of this configuration", repr(name))
            other = owners.setdefault(name, domain)
            if other != domain:
                theirs = claims[other][name]
                expected = (
                    f"no {kind} who is in {other}, too" if kind == "agent" else f"nothing that is in {other}, too"
                )
                found = f"{name!r} (domains.{other}.{theirs})"
                raise ConfigError(f"domains.{domain}.{option}", expected, found)
    for name in known:
        if name not in owners:
            raise ConfigError("domains", f"a domain for the {kind} {name!r}", "none")
    return owners


def _part(config: Config, domain: str, of_queue: Mapping[str, str], of_agent: Mapping[str, str]) -> Config:
    queues = {name: queue for name, queue in config.queues.items() if of_queue[name] == domain}
    agents: dict[str, Agent] = {name: agent for name, agent in config.agents.items() if of_agent[name] == domain}
    rules = tuple(
        replace(rule, place=place) for place, rule in enumerate(config.rules, 1) if of_queue.get(rule.queue) == domain
    )
    used = {queue.calendar for queue in queues.values()}
    anywhere = {queue.calendar for queue in config.queues.values()}
    calendars = {name: c for name, c in config.calendars.items() if name in used or name not in anywhere}
    default = config.default_queue if config.default_queue in queues else None
    return replace(config, queues=queues, agents=agents, rules=rules, calendars=calendars, default_queue=default)


def _checked(domain: str, part: Config) -> Config:
    """Whatever names something that is not there names something of another domain."""
    try:
        check_config(part)
    except ConfigError as error:
        expected = f"{error.expected}: nothing of another routing domain"
        raise ConfigError(f"domains.{domain}: {error.path}", expected, error.found) from error
    return part
