"""The engine's end of the links: edges' commands go to the writer, and what is durable goes to the edges.

Rules of this file:
1. Nothing goes to an edge before it is durable: `publish` is called by the writer when a batch is, `_done` when a
   command's answer is due.
2. A link has what its edge's agents have open. When it ends, by whatever end, these sessions are closed, for an agent
   whose edge is gone must not be offered work. An edge that comes again has lost nothing: it opens them anew.
3. Of one edge there is one link. When it comes again before its old link was found dead, that one ends first, or it
   would close later what was opened anew.
4. Nobody waits for a slow edge. Whoever is too far behind is cut off, and reads what it missed from the log.
5. Silence is counted in beats of ours, not in time: a process that was stopped for a while finds what came meanwhile.

What must go out once (mail, orders to gateways) is delivered by one edge, the one whose link is the oldest, unless this
process has channels of its own. When that edge is lost another one takes over with what the state still holds.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from functools import partial
from typing import cast

from msgspec import Raw

from router.engine import commands as c
from router.errors import BadMessage, ConfigError
from router.observe import counter, gauge, get_logger
from router.service import background
from router.service.mailbox import Batch
from router.service.ports import Health, Outcome
from router.service.remote import messages as m
from router.service.remote.settings import LinkSettings
from router.service.signals import Passed
from router.service.writer import Writer, safely

log = get_logger("link")

BEATS = 3  # in `silence`
# What may wait for one edge: seconds of everything that a busy house decides. It also bounds our memory.
BEHIND_MOST = 64 * 1_048_576
LINKS_MOST = 1_000
# How long health remembers an edge that had another secret: it comes again several times in a second.
REFUSED_MS = 10_000

_edges = gauge("edges_linked", "Edges that are linked to this engine.")
_refused = counter("edges_refused_total", "Connections to the link that did not prove themselves.")
_cut = counter("edges_cut_total", "Links that this engine cut, by reason.", ("reason",))
_asked = counter("edges_commands_total", "Commands that came from edges.")
_signals = counter("edges_signals_total", "Frames of typing and receipts that an edge sent for the others.")

DOES_NOT_LEAD = "this engine does not lead"


class Links:
    """All edges. `epoch` says with which the leader writes; `delivers_here`: this process has channels itself."""

    def __init__(
        self, writer: Writer, settings: LinkSettings, epoch: Callable[[], int], delivers_here: bool = False
    ) -> None:
        self.writer, self.settings, self.epoch = writer, settings, epoch
        self.port = 0
        self._delivers_here = delivers_here
        self._links: dict[str, _Link] = {}  # by the edge's name; the oldest first
        self._strangers: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._beating: asyncio.Task[None] | None = None
        self._leads = False
        self._stranger: tuple[int, str] | None = None  # when the last one without our secret came, and from where
        self._soon: list[_Link] = []  # have something to write in this turn of the loop
        self.on_signal: Callable[[Passed], None] = lambda passed: None  # for the channels of this process
        writer.publish = self._publish

    @property
    def address(self) -> str:
        """Where edges find it, known when it listens."""
        host = self.settings.parts[0]
        return self.settings.address or (f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}")

    async def start(self) -> None:
        """Listen. Nobody is let in before `lead`. Raises ConfigError."""
        host, port = self.settings.parts
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: _Link(self), host, port, ssl=self.settings.server_tls()
            )
        except OSError as problem:
            found = f"{host}:{port} ({problem.strerror})"
            raise ConfigError("link.listen", "an address that can be listened on", found) from problem
        self.port = int(self._server.sockets[0].getsockname()[1])
        self._beating = background.begin(self._beat(), "links")

    async def stop(self) -> None:
        """Tell the edges to look for who leads next. Their sessions are left to that one."""
        self.follow("this engine stops")
        await background.end(self._beating)
        if self._server is not None:
            self._server.close()
            for stranger in list(self._strangers):
                stranger.cut("")
            await self._server.wait_closed()

    def lead(self) -> None:
        """From now on edges are let in."""
        self._leads = True

    def follow(self, why: str = DOES_NOT_LEAD) -> None:
        """Send everybody away: somebody else may lead."""
        self._leads = False
        for link in list(self._links.values()):
            link.say_goodbye(why)
        self._links.clear()
        _edges.set(0)

    def health(self) -> Health:
        figures = {"edges": float(len(self._links))}
        if self._server is None or not self._server.is_serving():
            return Health(False, "it does not listen for edges", figures)
        if gone := background.trouble(self._beating, "nobody looks after the links"):
            return Health(False, gone, figures)
        if refused := self._refused():
            # With an edge, or channels of its own, the house works: then one bad edge must not take it down.
            return Health(bool(self._links) or self._delivers_here, refused, figures)
        return Health(True, f"edges come to {self.address}", figures)

    def _refused(self) -> str:
        """What the operator is to know of edges that are sent away for their secret; "" while none is."""
        if self._stranger is None or not self._leads:
            return ""
        at_ms, source = self._stranger
        if self.writer.clock.now_ms() - at_ms > REFUSED_MS:
            return ""
        return f"edges are refused, the last one from {source}: {m.NOT_PROVED}"

    # --- coming and going -------------------------------------------------------------------------------------------

    def _refuse(self, source: str) -> None:
        _refused.inc()
        self._stranger = (self.writer.clock.now_ms(), source)

    def _admit(self, link: _Link, edge: str, greeting: Callable[[int, int], bytes]) -> None:
        before = self._links.pop(edge, None)
        if before is not None:
            before.cut("came again")
            before.close_sessions()
        self._strangers.discard(link)
        self._links[edge] = link
        link.write(greeting(self.epoch(), self.writer.durable_seq))
        _edges.set(len(self._links))
        log.info("Edge linked", action="edge_linked", edge=edge)
        self._assign_duty()

    def _gone(self, link: _Link) -> None:
        self._strangers.discard(link)
        if self._links.get(link.edge) is not link:
            return
        del self._links[link.edge]
        _edges.set(len(self._links))
        log.warning("Edge gone", action="edge_gone", edge=link.edge, sessions=len(link.sessions), why=link.why)
        link.close_sessions()
        self._assign_duty()

    def _assign_duty(self) -> None:
        """The oldest link, and no other."""
        for number, link in enumerate(self._links.values()):
            link.assign(not number and not self._delivers_here)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.settings.silence / BEATS / 1_000)
            for link in [*self._links.values(), *self._strangers]:
                link.beat()

    # --- what is durable --------------------------------------------------------------------------------------------

    def _publish(self, batch: Batch) -> None:
        """To everybody: made once, and written with the answers that belong to it."""
        if self._links:
            frame = m.records(batch.first_seq, batch.payloads)
            for link in self._links.values():
                link.push(frame)

    # --- signals ----------------------------------------------------------------------------------------------------

    def tell(self, passed: Passed) -> None:
        """From the channels of this process, for all edges."""
        if self._links:
            self._hand_on(next(m.signals([Raw(m.encode_signal(passed))])))

    def _pass_on(self, body: bytes, source: _Link) -> None:
        """From one edge to the others, unread. Raises Malformed."""
        _signals.inc()
        self._hand_on(m.signals_again(body), source)
        if self._delivers_here:
            for passed in m.read_signals(body):
                safely(self.on_signal, passed)

    def _hand_on(self, frame: bytes, source: _Link | None = None) -> None:
        for link in self._links.values():
            if link is not source:
                link.signal(frame)

    # --- writing ----------------------------------------------------------------------------------------------------

    def _write_soon(self, link: _Link) -> None:
        if not self._soon:
            asyncio.get_running_loop().call_soon(self._write)
        self._soon.append(link)

    def _write(self) -> None:
        links, self._soon = self._soon, []
        for link in links:
            link.flush()


class _Link(asyncio.Protocol):
    """One edge; a stranger until it has proved itself."""

    def __init__(self, links: Links) -> None:
        self.edge = ""
        self.sessions: dict[tuple[str, str], None] = {}  # agent and session: open by what came over this link
        self.why = "the connection ended"
        self._links = links
        self._splitter = m.Splitter(m.FIRST_MOST)
        self._nonce = secrets.token_bytes(m.NONCE)
        self._transport: asyncio.Transport | None = None
        self._silent_beats = 0
        self._out: list[bytes] = []
        self._answers: list[m.Answer] = []
        self._owes = False  # records were pushed whose end has not been told
        self._delivers: bool | None = None
        self._takes_signals = False

    # --- the connection ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(BEHIND_MOST)
        links = self._links
        links._strangers.add(self)
        if not links._leads or len(links._links) + len(links._strangers) > LINKS_MOST:
            self.say_goodbye(DOES_NOT_LEAD if not links._leads else "too many edges")
        else:
            self.write(m.challenge(self._nonce))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._links._gone(self)

    def data_received(self, data: bytes) -> None:
        self._silent_beats = 0
        try:
            for kind, body in self._splitter.feed(data):
                if self._transport is None or self._transport.is_closing():
                    return
                self._take(kind, body)
        except m.Malformed as problem:
            who = {"edge": self.edge, "source": self._source()}
            log.warning("Link refused", action="link_refused", problem=str(problem)[:200], **who)
            if self.edge:
                self.cut("malformed")
            else:
                self.say_goodbye(str(problem))

    def _take(self, kind: int, body: bytes) -> None:
        if not self.edge:
            self._greet(kind, body)
        elif kind == m.COMMANDS:
            for number, raw in m.read_commands(body):
                self._ask(number, raw)
        elif kind == m.SIGNALS:
            self._links._pass_on(body, self)
        elif kind != m.BEAT:
            raise m.Malformed(f"a frame of kind {kind}")

    def _greet(self, kind: int, body: bytes) -> None:
        if kind != m.HELLO:
            raise m.Malformed("no hello")
        hello, secret = m.read_hello(body), self._links.settings.secret
        if not hello.edge or not m.proves(hello.proof, secret, "edge", self._nonce, hello.nonce):
            self._links._refuse(self._source())
            raise m.Malformed(m.NOT_PROVED)
        self.edge, self._takes_signals = hello.edge, hello.signals
        self._splitter.most = m.FRAME_MOST
        own = m.proof(secret, "engine", self._nonce, hello.nonce)
        self._links._admit(self, hello.edge, lambda epoch, seq: m.welcome(own, epoch, seq))

    def _source(self) -> str:
        """The address that it came from."""
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(peer[0]) if peer else "an address that is not known any more"

    def cut(self, why: str) -> None:
        """At once."""
        if why:
            self.why = why
            _cut.labels(why).inc()
        if self._transport is not None:
            self._transport.abort()

    def say_goodbye(self, why: str) -> None:
        self.flush()
        if self._transport is not None:
            self.why = why
            self._transport.write(m.goodbye(why))
            self._transport.close()

    def beat(self) -> None:
        self._silent_beats += 1
        if self._silent_beats > BEATS:
            self.cut("silent")
        elif self.edge:
            self.write(m.BEAT_FRAME)

    # --- commands ---------------------------------------------------------------------------------------------------

    def _ask(self, number: int, raw: Raw) -> None:
        _asked.inc()
        writer = self._links.writer
        before = writer.engine.state.seq
        try:
            command = m.read_command(raw)
        except BadMessage as problem:
            self._done(number, before, problem)
            return
        kind = type(command)
        if kind is c.OpenSession:
            self.sessions[command.agent, command.session] = None  # type: ignore[union-attr]
        elif kind is c.CloseSession:
            self.sessions.pop((command.agent, command.session), None)  # type: ignore[union-attr]
        writer.submit(command, partial(self._done, number, before))

    def _done(self, number: int, before: int, outcome: Outcome) -> None:
        if self._transport is None:
            return  # nobody was told, so they ask again
        if not self._answers and not self._owes:
            self._links._write_soon(self)
        self._answers.append(m.answer_of(number, before, outcome))

    def close_sessions(self) -> None:
        """As when the agents' own connections end (AG-2)."""
        sessions, self.sessions = self.sessions, {}
        for agent, session in sessions:
            self._links.writer.submit(c.CloseSession(agent=agent, session=session, reason="edge-lost"), _nobody)

    # --- what is told -----------------------------------------------------------------------------------------------

    def push(self, frame: bytes) -> None:
        """Records; the answers so far belong to those before."""
        if self._answers or self._owes:
            self._out.append(m.answers(self._answers))
            self._answers = []
        else:
            self._links._write_soon(self)
        self._out.append(frame)
        self._owes = True

    def assign(self, delivers: bool) -> None:
        if self._delivers is not delivers:
            self._delivers = delivers
            self.write(m.duty(delivers))

    def signal(self, frame: bytes) -> None:
        """To who knows them and takes what it is sent."""
        if not self._takes_signals or self._transport is None:
            return
        if self._transport.get_write_buffer_size() < m.SIGNALS_BEHIND:
            self.write(frame)

    def write(self, frame: bytes) -> None:
        """In order with everything else, and soon."""
        self.flush()
        if self._transport is not None:
            self._transport.write(frame)

    def flush(self) -> None:
        if self._answers or self._owes:
            self._out.append(m.answers(self._answers))
            self._answers, self._owes = [], False
        if not self._out or self._transport is None:
            self._out.clear()
            return
        self._transport.write(b"".join(self._out))
        self._out.clear()
        if self._transport.get_write_buffer_size() > BEHIND_MOST:
            self.cut("too slow")


def _nobody(outcome: object) -> None:
    """The edge that opened these sessions is gone."""
