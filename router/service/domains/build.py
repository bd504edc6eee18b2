"""What a process with one role is made of when there are routing domains: engines' leads or an edge's copies.

`parts` are the domains' configurations by the file, `mine` the names of those that this process serves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from router.engine.config import Config
from router.journal.settings import JournalSettings
from router.service.alike import Notes, no_note
from router.service.clock import Clock
from router.service.domains.copies import Copies, Copy
from router.service.domains.desk import Domain, DomainsDesk
from router.service.domains.leads import Lead, Leads, ported
from router.service.domains.moving import Moving
from router.service.domains.names import OwnName
from router.service.domains.parts import Domains, of_domain
from router.service.mailbox import MailboxSettings
from router.service.remote.edge import RemoteWriter
from router.service.remote.settings import LinkSettings
from router.service.supervision import Snapshots

if TYPE_CHECKING:
    from router.journal.redis import RedisJournal


class Plans(NamedTuple):
    """What all of it is made from."""

    domains: Domains
    parts: Mapping[str, Config]
    mine: Collection[str]
    journal: JournalSettings
    link: LinkSettings
    mailbox: MailboxSettings
    clock: Clock
    data: Path
    note: Notes = no_note
    config_path: str = ""

    def journal_of(self, name: str) -> JournalSettings:
        return of_domain(self.journal, self.domains, name)

    def log(self, name: str) -> RedisJournal:
        """To look at, beside whoever leads."""
        from router.journal.redis import RedisJournal  # its client takes a third of a second to import

        return RedisJournal(self.journal_of(name), read_only=True)

    def others(self) -> dict[str, Config]:
        return {name: part for name, part in self.parts.items() if name not in self.mine}


def leads(plans: Plans) -> Leads:
    """For a process with the role engine."""
    from router.journal.redis_link import Link

    made = [_lead(plans, name) for name in plans.domains if name in plans.mine]
    name = OwnName(Link(plans.journal), plans.journal.prefix, made[0].journal.name, int(plans.journal.lease))
    return Leads(made, {name: plans.log(name) for name in plans.others()}, plans.clock, name)


def _lead(plans: Plans, name: str) -> Lead:
    from router.journal.redis import RedisJournal

    settings, number = plans.journal_of(name), plans.domains[name].number
    seen = plans.data / f"{settings.prefix.replace(':', '.')}.seen"
    journal = RedisJournal(settings, owner=plans.link.name, can_be_given=True, seen=seen)
    journal.leaves(plans.note)
    lead = Lead(
        name,
        number,
        plans.parts[name],
        journal,
        plans.log(name),
        plans.clock,
        ported(plans.link, number),
        plans.mailbox,
        note=plans.note,
    )
    if plans.config_path:
        where = ("--config", plans.config_path, "--domain", name)
        lead.snapshots = Snapshots(where, settings.snapshot_every, lambda: lead.seq)
    return lead


def copies(plans: Plans) -> tuple[Copies, DomainsDesk, Moving]:
    """For a process with the role edge."""
    made = []
    for name, domain in plans.domains.items():
        if name in plans.mine:
            writer = RemoteWriter(plans.log(name), plans.clock, plans.link, plans.mailbox, plans.note)
            made.append(Copy(Domain(name, domain.number, writer, plans.parts[name]), writer))
    all_of_them = Copies(made, plans.clock)
    desk = DomainsDesk(all_of_them.domains, plans.domains, plans.clock, plans.others())
    return all_of_them, desk, Moving(desk, {copy.domain.name: plans.log(copy.domain.name) for copy in made})
