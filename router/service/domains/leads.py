"""The engine's side: a process stands by for each routing domain that it may lead, and leads those that nobody leads.

`Lead` is what one domain needs of a process: log, writer, lease, a port for edges, snapshots. It begins as a standby
and is no different from one that has lost the lease, so there is one way to lead. Whichever process comes first has a
domain; `LeadGiven`, an operator's word in the log, moves it. Then the writer decides nothing more, answers what it has
decided, and Redis keeps the lease for the one that it was given to: in one step in which the token dies, so nothing of
the old one comes after. Edges are sent away and find the new one. If that one does not come, the lease ends like any.

A domain that this process cannot lead (its configuration does not fit the log) is let go, so that others may try.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Config, to_bytes
from router.engine.events import Event
from router.errors import JournalFailed, Refusal, RouterError
from router.observe import gauge, get_logger
from router.service import alike, background
from router.service.clock import Clock
from router.service.desk import EngineDesk
from router.service.domains.copies import unowned
from router.service.domains.names import OwnName
from router.service.figures import Figures
from router.service.lease import Follower, Lease, leading
from router.service.mailbox import MailboxSettings
from router.service.ports import Health
from router.service.remote.host import Links
from router.service.remote.settings import LinkSettings
from router.service.supervision import Snapshots, matching_health
from router.service.writer import Writer

if TYPE_CHECKING:
    from router.journal.redis import RedisJournal

log = get_logger("domains")

LOOK_S = 2.0  # how often somebody looks who leads the domains that are none of ours
AGAIN_S = 1.0  # a refusal on the way to lead

_leads = gauge("domain_leading", "1 while this process leads this routing domain.", ("domain",))


class Lead:
    """One domain in an engine process. `part` is its configuration by the file, `look` reads beside the leader."""

    def __init__(
        self,
        name: str,
        number: int,
        part: Config,
        journal: RedisJournal,
        look: RedisJournal,
        clock: Clock,
        link: LinkSettings,
        mailbox: MailboxSettings,
        snapshots: Snapshots | None = None,
        note: alike.Notes = alike.no_note,
    ) -> None:
        self.name, self.number, self.document = name, number, to_bytes(part)
        self.journal = journal
        self.writer = Writer(journal, clock, mailbox)
        self.desk = EngineDesk(self.writer)
        self.snapshots = snapshots
        self._note = note
        self.cannot = ""  # why it was let go
        foreign = (f"not that of routing domain {name}", f"give {name} the number that it always had (domains.{name})")
        self._follower = Follower(journal, look, frozenset(part.queues), foreign)
        self.writer.follow = self._follower.follow
        self.writer.rebuild = self._follower.take_quiet
        self.writer.observers.append(self._observe)
        self.writer.on_failure.append(self._lost)
        self.writer.on_recovery.append(self._led)
        self.lease = Lease(journal, journal.settings.lease, clock, lambda: not self.writer.failed, self.writer.give_up)
        self.links = Links(self.writer, link, lambda: journal.epoch)
        self._has_led = False
        self._leads = False  # edges are let in
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: asyncio.Task[None] | None = None  # it was let go

    @property
    def seq(self) -> int:
        return self.writer.engine.state.seq

    async def start(self) -> None:
        """Raises ConfigError for a port that cannot be had."""
        await self.links.start()
        self.journal.reachable_at(self.links.address)
        self.writer.stand_by("standby: looks who leads")
        self.lease.start()
        if self.snapshots is not None:
            await self.snapshots.start()

    async def drain(self) -> None:
        if not self.writer.failed:
            await self.writer.drain()

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))
        if self.snapshots is not None:
            await self.snapshots.stop()
        await self.links.stop()
        await self.lease.stop()
        await self.writer.stop()
        try:
            await asyncio.to_thread(self.journal.close)
        except RouterError as error:
            log.warning("Journal not closed", action="journal_not_closed", domain=self.name, problem=str(error))

    # --- leading and not ----------------------------------------------------------------------------------------------

    def _do(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _lost(self, why: str) -> None:
        self._leads = False
        self.links.follow()

    def _led(self) -> None:
        self._do(self._lead())

    async def _lead(self) -> None:
        """The lease is ours: see to it that the log is of this domain, and let edges in."""
        while not self.writer.failed:
            try:
                if not self._has_led:
                    await self.desk.ask(c.AssignNumbers(domain=self.number))
                    await self.desk.ask(c.Configure(document=self.document, by="file"))
                    self._has_led = True
                break
            except Refusal:
                await asyncio.sleep(AGAIN_S)  # the lease was lost again meanwhile, or too much is in flight
            except RouterError as error:
                log.error("Cannot lead", action="cannot_lead", domain=self.name, problem=str(error))
                self.cannot = str(error)
                self._ending = asyncio.ensure_future(self.stop())
                return
        if not self.writer.failed:
            self._leads = True
            self.links.lead()
            log.info("Leads", action="leads", domain=self.name, seq=self.seq)

    def _observe(self, first_seq: int, at_ms: int, happened: Sequence[Event]) -> None:
        for event in happened:
            if type(event) is e.LeadGiven and event.to != self.journal.name:
                self._do(self._give(event.to))

    async def _give(self, to: str) -> None:
        try:
            await self.writer.step_aside(lambda: self.journal.hand_over(to), f"standby: handed over to {to}")
        except JournalFailed as error:
            log.error("Not handed over", action="not_handed_over", domain=self.name, to=to, problem=str(error))
        else:
            log.info("Handed over", action="handed_over", domain=self.name, to=to, seq=self.seq)

    # --- how it is ----------------------------------------------------------------------------------------------------

    def health(self) -> Health:
        """Well while somebody leads the domain, whoever it is."""
        leads = self._leads and not self.writer.failed
        _leads.labels(self.name).set(1 if leads else 0)
        figures = {"seq": float(self.seq), "leads": float(leads), "epoch": float(self.journal.epoch)}
        if self.cannot:
            return Health(False, f"this engine cannot lead it: {self.cannot}", figures)
        if self.writer.failed:
            led = "standby: " in self.writer.failed and self.writer.failed.endswith(" leads")
            detail = self.writer.failed if led else f"{unowned(self.name)} ({self.writer.failed})"
            return Health(led, f"{detail}{self._unfit()}" if led else detail, figures)
        for part in (self.writer.health(), self.lease.health(), self.links.health(), self._matching()):
            if not part.ok:
                return Health(False, part.detail, figures)
        return Health(True, f"leads; edges come to {self.links.address}", figures)

    def _unfit(self) -> str:
        """What whoever has the next takeover in mind is to know of this engine."""
        if foreign := self._follower.foreign:
            return f"; this engine will not take over: {foreign}"
        identity, theirs = self._follower.left
        differs = alike.told(self._note(identity), theirs)
        return f". {differs}" if differs else ""

    def _matching(self) -> Health:
        return matching_health(self.writer.engine)


class Leads:
    """All domains of an engine process. `others` are the logs of domains that it may not lead, to look who does."""

    def __init__(self, leads: Sequence[Lead], others: dict[str, RedisJournal], clock: Clock, name: OwnName) -> None:
        self.leads, self.clock, self._name = leads, clock, name
        self._others = others
        self._unowned: dict[str, str] = {}
        self._figures = Figures(*(lead.writer for lead in leads))
        self._looking: asyncio.Task[None] | None = None

    @property
    def failed(self) -> str:
        return ""  # standing by is what it is for

    @property
    def seq(self) -> int:
        return sum(lead.seq for lead in self.leads)

    async def start(self) -> None:
        """Raises ConfigError, also for a name that another engine has."""
        await self._name.start()
        for lead in self.leads:
            await lead.start()
        await self._figures.start()
        self._looking = background.begin(self._look(), "domains")

    async def drain(self) -> None:
        await asyncio.gather(*(lead.drain() for lead in self.leads))

    async def stop(self) -> None:
        await background.end(self._looking)
        await self._figures.stop()
        await asyncio.gather(*(lead.stop() for lead in self.leads))
        await self._name.stop()
        for journal in self._others.values():
            await asyncio.to_thread(journal.close)

    def health(self) -> Health:
        led = [lead.name for lead in self.leads if lead._leads and not lead.writer.failed]
        leading.set(1 if led else 0)
        if self._name.trouble:
            return Health(False, self._name.trouble, {"leads": float(len(led))})
        gone = background.trouble(self._looking, "nobody looks who leads the other domains") or self._name.gone
        detail = f"leads {', '.join(led) or 'no routing domain just now'}"
        return Health(not gone, gone or detail, {"leads": float(len(led))})

    def parts(self) -> dict[str, Health]:
        found = {f"domain {lead.name}": lead.health() for lead in self.leads}
        for name in self._others:
            why = self._unowned.get(name, "")
            found[f"domain {name}"] = Health(not why, why or "led by another engine; this one may not lead it")
        return found | {"figures": self._figures.health()}

    async def _look(self) -> None:
        while True:
            for name, journal in self._others.items():
                try:
                    leader = await asyncio.to_thread(journal.leader)
                    self._unowned[name] = "" if leader else unowned(name)
                except JournalFailed as error:
                    self._unowned[name] = f"who leads routing domain {name} cannot be seen: {error}"
            await asyncio.sleep(LOOK_S)


def ported(link: LinkSettings, number: int) -> LinkSettings:
    """Each domain's engine listens on a port of its own: that of the settings and so many further."""
    return replace(link, listen=_further(link.listen, number), address=_further(link.address, number))


def _further(address: str, number: int) -> str:
    host, colon, port = address.rpartition(":")
    return f"{host}:{int(port) + number}" if colon and int(port) else address
