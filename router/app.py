"""The only place where the parts meet: what is built from what, in which order they start, and how they stop.

Start: journal, writer (the engine is read), configuration, stores, sockets with the agents' link, channels, HTTP,
outbox. Intake opens last, so that nothing is taken before it can be kept.
Stop (DU-6): intake closes first; what was taken is finished; clients are told when to come back; deliveries under way
end; the journal is closed and says so. Each stage has a time limit, and a stage that misses it is left behind with a
word in the log.

With a journal that several processes share, one leads and the others stand by. A standby answers health and nothing
else: its other ports open when it leads for the first time, because whoever does not know the routing plan would tell a
sender that there is no such address. Who has led before and lost the lease keeps its ports and says "come back", as
after any failure of the journal.

Roles. A process is engine and edge in one, or one of both: an engine without channels serves edges in other processes,
an edge has a writer whose engine is elsewhere (`service.remote`), and is otherwise built of the same parts. When the
engine is away its clients stay where they are and are told to come back with what they ask.

With routing domains (`service.domains`) a process with the role engine leads or stands by for each of them, and one
with the role edge has a copy of each; desk and outbox are then those of the whole house.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from channels.registry import KINDS, pictures
from router.agents.server import AgentServer
from router.desk.guest import desk_routes
from router.engine import commands as c
from router.engine.config import to_bytes
from router.engine.views import Inform, InteractionView, MessageView, Outbound
from router.errors import ConfigError, JournalHeld, RouterError
from router.http.access import is_loopback
from router.http.house import Decisions, no_decisions
from router.http.server import HttpServer
from router.http.session import Entrance
from router.journal import choice
from router.journal.files import make_folder
from router.journal.port import Journal, Opened
from router.journal.sqlite import SqliteJournal
from router.observe import get_logger
from router.service import alike
from router.service.blobs import BlobStore
from router.service.clock import SystemClock
from router.service.desk import EngineDesk
from router.service.domains import build
from router.service.domains.copies import Copies, Copy, Outboxes
from router.service.domains.desk import Domain, DomainsDesk
from router.service.domains.leads import Leads
from router.service.domains.moving import Moving
from router.service.domains.parts import split
from router.service.doorkeeper import Doorkeeper
from router.service.figures import Figures
from router.service.hindsight import Hindsight
from router.service.lease import Follower, Lease, leading
from router.service.letters import Letters
from router.service.masked import over
from router.service.masking import Masking
from router.service.outbox import Outbox
from router.service.ports import Adapter, Context, Health
from router.service.quarantine import Quarantine
from router.service.remote.edge import RemoteWriter
from router.service.remote.host import Links
from router.service.signals import Signals
from router.service.sockets import SocketServer
from router.service.supervision import Snapshots, clock_health, matching_health
from router.service.writer import AWAY, Writer
from router.settings import Loaded, parse, with_actions

log = get_logger("app")

ENGINE, EDGE = "engine", "edge"
ROLES = frozenset((ENGINE, EDGE))

# What outsiders are told of a process that has never led and cannot take over; its health says why.
NOT_HERE = "standing by: this process cannot lead just now, and does not know who does; come back in a moment"


def _data_folder(named: str) -> Path:
    """Made where it is missing. Raises ConfigError where nothing can be kept, before a part of us fails at it."""
    folder = Path(named).absolute()
    try:
        make_folder(folder, private=False)
        problem = "" if os.access(folder, os.W_OK | os.X_OK) else "this user cannot write in it"
    except FileExistsError as error:
        problem = f"{error.filename} is no folder"
    except OSError as error:
        problem = error.strerror or str(error)
    if problem:
        expected = "a folder that can be made and written in"
        raise ConfigError("data", expected, f"{folder}: {problem}; name another one, here or with --data")
    return folder


class App:
    """One process with everything in it, or with one of its roles."""

    # One of these decides, or knows who does; the latter two where there are routing domains.
    own: Writer | None = None
    remote: RemoteWriter | None = None
    leads: Leads | None = None
    copies: Copies | None = None
    moving: Moving | None = None

    def __init__(
        self,
        loaded: Loaded,
        journal: Journal | None = None,
        roles: frozenset[str] = ROLES,
        domains: frozenset[str] = frozenset(),
    ) -> None:
        """`domains`: the routing domains that this process serves; none named: all."""
        loaded.settings.check_roles(roles)
        loaded.settings.check_domains(domains)
        self.is_engine, self.is_edge = ENGINE in roles, EDGE in roles
        settings = loaded.settings
        self.loaded, self.settings = loaded, settings
        self.data = _data_folder(settings.data)
        self.masking = Masking(settings.masking)
        self.clock = SystemClock()
        self.journal: Journal = journal or choice.make(settings.journal, self.data, read_only=not self.is_engine)
        self.lease: Lease | None = None  # of a journal that others may lead
        self.follower: Follower | None = None
        self.fatal = asyncio.Event()  # it must end: what it needs to lead could not be started
        self.opened: Opened | None = None
        self.links: Links | None = None  # to edges in other processes
        self.desk: EngineDesk | DomainsDesk = self._parted(domains) if settings.domains else self._whole()
        self.figures = Figures(self.own) if self.own else None
        self.blobs = self._blob_store()
        self.quarantine = Quarantine(self.data / "quarantine", settings.quarantine)
        self.sockets = SocketServer(settings.sockets.host, settings.sockets.port, settings.sockets)
        self.signals, self.letters = Signals(), Letters()
        people = over(self.desk, self.masking.house, self.masking.replies)  # as those of the house write to it
        self.agents = AgentServer(people, self.sockets, settings.agent_link, self.blobs, self.signals)
        self.door = Doorkeeper(self.data, settings.accounts, settings.agent_link.failures_per_minute, self.clock.now_ms)
        self.door.audit.mask = self.masking.house
        self.adapters = self._build_adapters()
        self._by_channel = {channel: a for a in self.adapters for channel in a.channels}
        self.outbox = self._outbox()
        self.snapshots = Snapshots(self._journal_named(), settings.journal.snapshot_every, lambda: self.writer.seq)
        self.pictures = pictures(settings.adapters)
        self.http = self._build_http(people)
        self._domain_of: dict[str, str] = {}  # agent -> routing domain, as far as this edge has heard
        self._wire()
        self._started: list[str] = []
        self.has_led = False
        self._opening: asyncio.Future[None] | None = None

    @property
    def writer(self) -> Writer | RemoteWriter | Leads | Copies:
        found = self.own or self.remote or self.leads or self.copies
        assert found is not None, "it has one of both roles"
        return found

    def _whole(self) -> EngineDesk:
        """The house is one domain."""
        if self.is_engine:
            self.own = Writer(self.journal, self.clock, self.settings.mailbox)
            return EngineDesk(self.own)
        self.remote = self._remote_writer()
        return EngineDesk(self.remote)

    def _parted(self, named: frozenset[str]) -> DomainsDesk:
        """The house has routing domains."""
        s = self.settings
        plans = build.Plans(
            s.domains,
            split(self.loaded.config, s.domains),
            named or frozenset(s.domains),
            s.journal,
            s.link,
            s.mailbox,
            self.clock,
            self.data,
            self._note,
            self.loaded.path,
        )
        if self.is_edge:
            self.copies, desk, self.moving = build.copies(plans)
            return desk
        self.leads = build.leads(plans)
        found = [Domain(lead.name, lead.number, lead.writer, plans.parts[lead.name]) for lead in self.leads.leads]
        return DomainsDesk(found, s.domains, self.clock, plans.others())

    def _outbox(self) -> Outbox | Outboxes:
        if self.copies is not None:
            return Outboxes(self.copies.copies, self.clock, self.settings.outbox, self._by_channel)
        return Outbox(self.desk, self.clock, self.settings.outbox, self._by_channel)

    def _remote_writer(self) -> RemoteWriter:
        from router.journal.redis import RedisJournal

        assert isinstance(self.journal, RedisJournal), "settings.check_roles"
        return RemoteWriter(self.journal, self.clock, self.settings.link, self.settings.mailbox, self._note)

    def _blob_store(self) -> BlobStore:
        """In a folder of its own, or in one that several daemons share; then each has its own place for drafts."""
        settings = self.settings.blobs
        if not settings.folder:
            return BlobStore(self.data / "blobs", settings)
        return BlobStore(Path(settings.folder).absolute(), settings, f"{socket.gethostname()}:{self.data}")

    @property
    def loopback_only(self) -> bool:
        return is_loopback(self.settings.http.host) and is_loopback(self.settings.sockets.host)

    def _build_adapters(self) -> list[Adapter]:
        if not self.is_edge:
            return []
        context = Context(
            self.desk,
            self.blobs,
            self.quarantine,
            self.sockets,
            self.data,
            self.loopback_only,
            self.signals,
            self.letters,
            self.masking,
        )
        return [KINDS[kind].build(section, context) for kind, section in self.settings.adapters.items()]

    def _build_http(self, desk: EngineDesk | DomainsDesk) -> HttpServer:
        s = self.settings
        server = HttpServer(
            s.http,
            desk,
            parts=self.health,
            quarantine=self.quarantine,
            blobs=self.blobs,
            operators=s.operators.tokens,
            agents=s.agent_link.tokens,
            requeue_hooks=self._requeue_hooks(),
            configure=self.configure,
            readable=self.readable,
            decisions=self._hindsight(),
            pictures=self.pictures,
            entrance=Entrance(self.door, s.accounts, s.http),
            domains=self.moving,
            trying=self.outbox.trying,
        )
        for adapter in self.adapters:
            server.add_routes(adapter.routes())
        if self.is_edge:
            chat = s.adapters.get("chat")
            port = lambda: self.sockets.port  # noqa: E731 - known once it listens
            server.add_routes(desk_routes(s.desk, server.house, s.sockets, port, chat, self.loopback_only))
        return server

    def _journal_named(self) -> tuple[str, ...]:
        """Options of the command line that name the journal, for child processes."""
        shared = self.settings.journal.kind == "redis"
        return ("--config", self.loaded.path) if shared else ("--data", str(self.data))

    def _hindsight(self) -> Decisions:
        """A journal in memory cannot be read by a child process."""
        if isinstance(self.journal, SqliteJournal):
            return Hindsight("--journal", str(self.journal.path)).decisions
        return Hindsight(*self._journal_named()).decisions if self.loaded.path else no_decisions

    def _requeue_hooks(self) -> dict[str, Any]:
        hooks: dict[str, Any] = {}
        for adapter in self.adapters:
            hooks |= adapter.requeue_hooks()
        return hooks

    def _wire(self) -> None:
        hub = self.agents.hub
        hub.redeem, hub.failures = self.door.redeem, self.door.failures
        self.door.on_change.append(hub.keep_welcome)
        if self.copies is not None:
            self._wire_copies(self.copies)
        for writer in (self.own, self.remote):
            if writer is not None:
                writer.tell, writer.inform, writer.post = self.agents.tell, self._inform, self._post
        if self.remote is not None:
            self.remote.on_failure.append(self._cut_off)
            self.remote.on_recovery.append(self._linked)
            self.remote.on_duty, self.remote.on_configured = self._duty, self._configured
            self.remote.on_signal, self.signals.relay = self.signals.deliver, self.remote.pass_on
        if self.own is not None:
            self.own.deaf = frozenset(name for name, adapter in self._by_channel.items() if not adapter.hears)
            self.own.on_failure.append(self._failed)
            self.own.on_recovery.append(self._recovered)
            self.own.on_standby.append(self._say_who_leads)
            if self.settings.journal.kind == "redis":
                self._share(self.own)

    def _share(self, writer: Writer) -> None:
        """Others may lead."""
        from router.journal.redis import RedisJournal

        journal = self.journal
        if not isinstance(journal, RedisJournal):
            return
        settings = self.settings.journal
        journal.leaves(self._note)
        own_queues = frozenset(self.loaded.config.queues)
        self.follower = Follower(journal, RedisJournal(settings, read_only=True), own_queues)
        writer.follow = self.follower.follow
        writer.rebuild = self.follower.take if self.is_edge else self.follower.take_quiet
        self.lease = Lease(journal, settings.lease, self.clock, lambda: not writer.failed, writer.give_up)
        if self.settings.link.listen:
            self.links = Links(writer, self.settings.link, lambda: journal.epoch, delivers_here=self.is_edge)
            self.links.on_signal, self.signals.relay = self.signals.deliver, self.links.tell

    def _note(self, identity: str) -> bytes:
        """Of what must be the same on all machines, for a log of that identity."""
        sections = self.settings.adapters.items()
        found = {f"{kind}.token_secret": getattr(section, "token_secret", "") for kind, section in sections}
        found["link.secret"] = self.settings.link.secret
        secrets = {name: secret for name, secret in found.items() if secret}
        return alike.note(identity, int(self.settings.journal.lease), secrets)

    def _inform(self, news: Inform) -> None:
        adapter = self._by_channel.get(news.channel)
        if adapter is not None:
            adapter.inform(news)

    def _post(self, letter: Outbound) -> None:
        self.outbox.post(letter)

    def _failed(self, why: str) -> None:
        """The engine in memory is void: nothing of it may be delivered, and clients must look again."""
        if self.links is not None:
            self.links.follow()
        self.outbox.stop()
        self.agents.reset("restarting")
        if self.lease is not None:  # others may lead from now on: nobody must stay and wait here
            self.http.closed = AWAY
            self.sockets.send_away("come back in a moment; this process does not lead.")

    def _say_who_leads(self, leads: str) -> None:
        """Who has never led names the one to ask, as long as there is one: it may have died since, or have changed."""
        if not self.has_led:
            self.http.closed = f"standing by: {leads}; ask there" if leads else NOT_HERE

    def _recovered(self) -> None:
        if not self.has_led:
            self._opening = asyncio.ensure_future(self._lead(self._opening))
            return
        self.http.closed = self.sockets.closed = ""
        self._deliver_again()
        for adapter in self._running():
            adapter.reset("recovered")
        if self.links is not None:
            self.links.lead()
        log.info("Leads", action="leads", seq=self.writer.seq)

    def _deliver_again(self) -> None:
        """Begin anew with what the state holds, if this process is the one that delivers."""
        if self.is_edge and (self.remote is None or self.remote.delivers):
            self.outbox.reload()  # with routing domains: of those that it delivers for

    # --- an edge whose engine is elsewhere -------------------------------------------------------------------------

    def _cut_off(self, why: str) -> None:
        """Clients stay: they miss nothing, and what they ask is refused with a time to come back."""
        self.outbox.stop()
        self.http.closed = self.sockets.closed = AWAY

    def _linked(self) -> None:
        remote = self.remote
        assert remote is not None, "this is its hook"
        if not self.has_led:
            self._opening = asyncio.ensure_future(self._lead(self._opening))
            return
        if remote.renewed:
            self.agents.reset("restarting")
            for adapter in self._running():
                adapter.reset("recovered")
        self.http.closed = self.sockets.closed = ""
        self.agents.reopen()

    def _duty(self) -> None:
        if self.has_led:
            self.outbox.stop()
            self._deliver_again()

    def _configured(self) -> None:
        """Whoever decided it, on whatever edge."""
        assert self.remote is not None, "this is its hook"
        self.agents.keep_only(self.remote.engine.state.agents)

    # --- an edge of several routing domains ------------------------------------------------------------------------

    def _wire_copies(self, copies: Copies) -> None:
        copies.wire(self.agents.tell, self._inform, self.signals)
        for copy in copies.copies:
            copy.writer.on_failure.append(partial(self._copy_away, copy))
            copy.writer.on_recovery.append(partial(self._copy_linked, copy))
            copy.writer.on_duty = partial(self._copy_duty, copy)
            copy.writer.on_configured = self._parts_configured

    def _copy_away(self, copy: Copy, why: str) -> None:
        """The others go on; what is asked of this one is refused by its own link."""
        assert copy.outbox is not None, "each has one"
        copy.outbox.stop()
        if self.writer.failed:
            self._cut_off(why)

    def _copy_linked(self, copy: Copy) -> None:
        if not self.has_led:
            self._opening = asyncio.ensure_future(self._lead(self._opening))
            return
        of = copy.domain.state.agents
        if copy.writer.renewed:
            self.agents.reset("restarting", of)
            for adapter in self._running():
                adapter.reset("recovered")
        self.http.closed = self.sockets.closed = ""
        self._parts_configured()
        self.agents.reopen(of)

    def _copy_duty(self, copy: Copy) -> None:
        if self.has_led and copy.outbox is not None:
            copy.outbox.stop()
            if copy.writer.delivers:
                copy.outbox.reload()

    def _parts_configured(self) -> None:
        """Who is an agent no more is told so. Who is one in another domain begins with that one's stream."""
        assert self.copies is not None, "this is its hook"
        known = {name: d.name for d in self.copies.domains for name in d.state.agents if d.has_agent(name)}
        moved = {name for name, domain in known.items() if self._domain_of.get(name, domain) != domain}
        self._domain_of.update(known)
        if moved:
            self.agents.reset("restarting", moved)
        if not any(copy.writer.failed for copy in self.copies.copies):
            self.agents.keep_only(known)

    # --- start -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Returns when everything listens. Raises RouterError with what to do; then `stop` cleans up."""
        if self.leads is not None:
            await self._lead_domains(self.leads)
            return
        if self.remote is not None or self.copies is not None:
            await self._wait_for_an_engine()
            return
        await self._listen_for_edges()
        try:
            self.opened = await asyncio.to_thread(self.journal.open)
        except JournalHeld as held:
            await self._stand_by(str(held))
            return
        for note in self.opened.notes:
            log.warning("Journal opened", action="journal_opened", found=note)
        assert self.own is not None, "it is an engine"
        await self.own.start()
        await self._open_doors()
        await self.http.start()
        if self.lease is not None:
            self.lease.start()
        else:
            leading.set(1)
        _settle_memory()
        log.info("Started", action="started", seq=self.writer.seq, data=str(self.data))

    async def _listen_for_edges(self) -> None:
        """Before the lease is taken, which says where."""
        from router.journal.redis import RedisJournal

        if self.links is not None and isinstance(self.journal, RedisJournal):
            await self.links.start()
            self.journal.reachable_at(self.links.address)

    async def _lead_domains(self, leads: Leads) -> None:
        """It leads what nobody leads, and answers health; everything else is asked of an edge."""
        self.http.closed = "this process leads routing domains and serves nobody; ask an edge"
        await self.http.start()
        await leads.start()
        self.has_led = True
        _settle_memory()
        log.info("Started", action="started", domains=len(leads.leads), data=str(self.data))

    async def _wait_for_an_engine(self) -> None:
        """As a standby: the doors open when it is linked for the first time."""
        remote = self.remote or self.copies
        assert remote is not None, "it is an edge"
        self.http.closed = "standing by: this edge is not linked to an engine yet"
        await self.door.prepare()
        await self.http.start()
        remote.stand_by("standby: not linked to an engine yet")
        _settle_memory()
        log.info("Started", action="stands_by", data=str(self.data))

    async def _open_doors(self) -> None:
        """Everything but HTTP, now that the engine is there."""
        for adapter in self._running():  # a lease that was lost on the way here does not close what is open
            adapter.reset("recovered")
        if self.own is not None:
            await self.desk.ask(c.Configure(document=self.loaded.document, by="file"))
        self._deliver_again()
        for name, start in self._doors():
            if name not in self._started:
                await start()
                self._started.append(name)
        self.has_led = True
        if self.links is not None and not self.writer.failed:
            self.links.lead()

    def _doors(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """What is started, in this order, once there is an engine."""
        if self.is_edge:
            yield from ((adapter.name, adapter.start) for adapter in self.adapters)
        yield "accounts", self.door.start
        if self.is_edge:
            yield "sockets", self.sockets.start
        if self.figures is not None:
            yield "snapshots", self.snapshots.start
            yield "figures", self.figures.start

    async def _stand_by(self, why: str) -> None:
        assert self.lease is not None, "only a shared journal can be held"
        assert self.own is not None
        self._say_who_leads(why)
        await self.door.prepare()
        await self.http.start()
        self.own.stand_by(f"standby: {why}")
        self.lease.start()
        _settle_memory()
        log.info("Started", action="stands_by", data=str(self.data))

    async def _lead(self, before: asyncio.Future[None] | None) -> None:
        """For the first time, after standing by. What cannot be opened now ends the process: others may try."""
        if before is not None:
            await before
        try:
            await self._open_doors()
        except (RouterError, OSError) as error:
            if self.writer.failed:  # lost again meanwhile, and tried again then
                return
            log.error("Cannot lead", action="cannot_lead", problem=str(error))
            self.fatal.set()
            return
        if not self.writer.failed:
            self.http.closed = self.sockets.closed = ""
        _settle_memory(look=False)
        did = ("Leads", "leads") if self.is_engine else ("Serves", "serves")
        log.info(did[0], action=did[1], seq=self.writer.seq)

    # --- stop ------------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Drain and stop. Never raises: what goes wrong on the way is logged, and the journal is closed at the end."""
        limits = self.settings.stop
        if self._opening is not None:
            await _stage("opening", self._opening, limits.intake)
        await self.http.stop_intake()
        for adapter in self._running():
            await _stage(f"{adapter.name} intake", adapter.stop_intake(), limits.intake)
        await _stage("accepted work", self.writer.drain(), limits.intake)
        self.agents.drain()
        await _stage("outbox", self.outbox.finish(), limits.outbox)
        self.outbox.stop()
        await self.snapshots.stop()
        if self.figures is not None:
            await self.figures.stop()
        for adapter in self._running():
            await _stage(adapter.name, adapter.stop(), limits.edges)
        await _stage("sockets", self.sockets.stop(), limits.edges)
        await _stage("http", self.http.stop(), limits.edges)
        await _stage("pictures", self.pictures.stop(), limits.edges)
        await _stage("accounts", self.door.stop(), limits.edges)
        if self.links is not None:
            await _stage("links", self.links.stop(), limits.edges)
        if self.lease is not None:
            await self.lease.stop()
        await _stage("writer", self.writer.stop(), limits.intake)
        if self.moving is not None:
            await _stage("domains", self.moving.stop(), limits.edges)
        await _stage("blobs", asyncio.to_thread(self.blobs.close), limits.edges)
        try:
            self.journal.close()
        except RouterError as error:
            log.warning("Journal not closed", action="journal_not_closed", problem=str(error))
        log.info("Stopped", action="stopped")

    def _running(self) -> list[Adapter]:
        return [a for a in self.adapters if a.name in self._started]

    # --- health and configuration ----------------------------------------------------------------------------------

    def health(self) -> dict[str, Health]:
        """Each part's state for `/readyz` (OB-1). Who has never led has little more than a journal."""
        shared = {"journal": self._journal_health()} if self.lease is not None else {}
        if self.leads is not None:
            leads = {"engine": self.leads.health(), **self.leads.parts()}
            return {**leads, "clock": self._clock_health(), "http": self.http.health()}
        domains = self.copies.parts() if self.copies is not None else {}
        if not self.has_led:
            opens = "when this process leads" if self.is_engine else "when this edge is linked to an engine"
            doors = Health(False, f"they open {opens}")
            return {"writer": self.writer.health(), **domains, "doors": doors, **shared, "http": self.http.health()}
        parts = {
            "writer": self.writer.health(),
            **domains,
            **(self._engine_parts(self.figures) if self.figures is not None else {}),
            "clock": self._clock_health(),
            "blobs": self.blobs.health(),
            "accounts": self.door.health(),
            **(self._edge_parts() if self.is_edge else {}),
            "http": self.http.health(),
        }
        return parts | shared | {adapter.name: adapter.health() for adapter in self.adapters}

    def _engine_parts(self, figures: Figures) -> dict[str, Health]:
        links = {"links": self.links.health()} if self.links is not None else {}
        return {
            **({"matching": matching_health(self.own.engine)} if self.own is not None else {}),
            "figures": figures.health(),
            "snapshots": self.snapshots.health(),
            **links,
        }

    def _edge_parts(self) -> dict[str, Health]:
        return {"outbox": self.outbox.health(), "sockets": self.sockets.health(), "agents": self.agents.health()}

    def _journal_health(self) -> Health:
        """What concerns a log that others may lead."""
        assert self.lease is not None
        found = self.lease.health()
        if self.follower is None or not self.writer.failed:
            return found
        if foreign := self.follower.foreign:
            return replace(found, ok=False, detail=f"this process will not take over: {foreign}")
        said = []
        if self.follower.document not in (b"", self.loaded.document):
            said.append("who leads has another configuration; taking over would put this one in force")
        identity, theirs = self.follower.left
        said += filter(None, [alike.told(self._note(identity), theirs)])
        return replace(found, detail=". ".join(said)) if said else found

    def _clock_health(self) -> Health:
        writers = [self.own] if self.own is not None else []
        if self.leads is not None:
            writers = [lead.writer for lead in self.leads.leads]
        return clock_health(self.clock.drift_ms(), [writer for writer in writers if not writer.failed])

    async def configure(self, content: bytes, dry_run: bool, by: str) -> dict[str, Any]:
        """Check a configuration and decide by it. Ports, secrets and limits of the edges need a restart; it says so."""
        loaded = parse(content, os.environ)
        version, document = self.desk.configuration()
        # What gateways are told is up to the adapters that run, whatever the new file says of theirs.
        wanted = to_bytes(with_actions(loaded.config, self.settings.adapters))
        changed = not self.desk.decides_by(wanted) if isinstance(self.desk, DomainsDesk) else wanted != document
        command = c.Configure(document=wanted, by=by)
        changes = None
        if changed and dry_run:
            self.desk.rehearse(command)
            changes = await self.desk.foresee(wanted)
        elif changed:
            await self.desk.ask(command)
            self.agents.keep_only(loaded.config.agents)
        return {
            "version": self.desk.configuration()[0],
            "changed": changed,
            "applied": changed and not dry_run,
            "restart_needed": loaded.has_edges and replace(loaded.settings, data=self.settings.data) != self.settings,
            "was_version": version,
            **({"changes": changes} if changes is not None else {}),
        }

    async def readable(self, view: InteractionView) -> tuple[MessageView, ...]:
        """What was said, as people read it: for mail the text that its raw message holds."""
        adapter = self._by_channel.get(view.channel)
        return await adapter.readable(view) if adapter is not None else view.messages


async def _stage(what: str, work: Awaitable[object], limit_ms: int) -> None:
    try:
        async with asyncio.timeout(limit_ms / 1_000):
            await work
    except TimeoutError:
        log.warning("Stage not finished in time", action="stage_late", stage=what, limit_ms=int(limit_ms))
    except Exception:
        log.exception("Stage failed", action="stage_failed", stage=what)


def _settle_memory(look: bool = True) -> None:
    """What was read at the start stays: keep the garbage collector off it, and let it look seldom.

    A full pass over a million tracked objects stops the loop for 0.2 s; the bulk of the state is not tracked at all.
    Who takes over has no time for one (`look`), and has had one while it stood by.
    """
    if look:
        gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
