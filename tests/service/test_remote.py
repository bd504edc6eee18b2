"""An engine and its edges over real links and a real log: who is told what and when, and what becomes of a lost end."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from router.engine import commands as c
from router.engine.config import to_bytes
from router.engine.events import Record
from router.errors import OfferGone, Unavailable
from router.journal.redis import RedisJournal
from router.journal.settings import JournalSettings
from router.service.clock import ManualClock
from router.service.desk import EngineDesk
from router.service.ports import Outcome
from router.service.remote import edge as module
from router.service.remote import messages as m
from router.service.remote.edge import RemoteWriter
from router.service.remote.host import REFUSED_MS, Links
from router.service.remote.settings import LinkSettings
from router.service.signals import Marks, Passed, Writing
from router.service.writer import Writer
from tests.support.house import CONFIG, arrive
from tests.support.redis import RedisServer, bundled, redis_server
from tests.support.waiting import until

SECRET = "known-to-both-ends-of-it"
LINK = LinkSettings(listen="127.0.0.1:0", secret=SECRET)
_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("valkey"), bundled()) as server:
        yield server


class HeldJournal(RedisJournal):
    """An append can be made to wait, as a slow disk does."""

    free: threading.Event

    def append(self, first_seq: int, payloads: Sequence[bytes]) -> None:
        assert self.free.wait(30), "nobody released the journal"
        super().append(first_seq, payloads)


class Engine:
    """A process with the role engine, as far as its edges can tell."""

    def __init__(self, settings: JournalSettings, link: LinkSettings = LINK) -> None:
        self.journal = HeldJournal(settings)
        self.journal.free = threading.Event()
        self.journal.free.set()
        self.writer = Writer(self.journal, ManualClock())
        self.desk = EngineDesk(self.writer)
        self.links = Links(self.writer, link, lambda: self.journal.epoch)

    async def start(self) -> None:
        await self.links.start()
        self.journal.reachable_at(self.links.address)
        await asyncio.to_thread(self.journal.open)
        await self.writer.start()
        await self.desk.ask(c.Configure(document=to_bytes(CONFIG)))
        self.links.lead()

    async def stop(self) -> None:
        self.journal.free.set()
        await self.links.stop()
        await self.writer.stop()
        self.journal.close()

    @property
    def edges(self) -> list[str]:
        return list(self.links._links)

    def sessions(self, agent: str) -> int:
        return self.desk.agent(agent).sessions


class Edge:
    """A process with the role edge; `heard` is in the order in which its clients heard it."""

    def __init__(self, settings: JournalSettings, link: LinkSettings = LINK) -> None:
        self.writer = RemoteWriter(RedisJournal(settings, read_only=True), ManualClock(), link)
        self.desk = EngineDesk(self.writer)
        self.heard: list[tuple[str, Any]] = []
        self.lost: list[str] = []
        self.recoveries: list[bool] = []  # whether the copy was another one
        self.writer.tell = lambda news: self.heard.append(("tell", news))
        self.writer.inform = lambda news: self.heard.append(("inform", news))
        self.writer.post = lambda letter: self.heard.append(("post", letter))
        self.writer.on_failure.append(self.lost.append)
        self.writer.on_recovery.append(lambda: self.recoveries.append(self.writer.renewed))
        self.signals: list[Passed] = []
        self.writer.on_signal = self.signals.append
        self.writer.stand_by("not linked yet")

    async def linked(self) -> None:
        await until(lambda: not self.writer.failed)

    def ask(self, command: c.AnyCommand) -> list[Outcome]:
        answers: list[Outcome] = []

        def done(outcome: Outcome) -> None:
            answers.append(outcome)
            self.heard.append(("answer", outcome))

        self.desk.submit(command, done)
        return answers

    async def sign_in(self, agent: str) -> None:
        await self.desk.ask(c.OpenSession(agent=agent, session=f"s-{agent}"))
        await self.desk.ask(c.SetState(agent=agent, state="ready"))

    def told(self, agent: str) -> list[int]:
        return [news.stream for what, news in self.heard if what == "tell" and news.agent == agent]

    def cut(self) -> None:
        """As a network does."""
        assert self.writer._line is not None
        assert self.writer._line._transport is not None
        self.writer._line._transport.abort()


class Estate:
    def __init__(self, valkey: RedisServer) -> None:
        self.valkey = valkey
        self.settings = JournalSettings(url=valkey.unix_url, prefix=f"e{next(_numbers)}")
        self.engines: list[Engine] = []
        self.edges: list[Edge] = []

    async def engine(self, link: LinkSettings = LINK) -> Engine:
        self.engines.append(Engine(self.settings, link))
        await self.engines[-1].start()
        return self.engines[-1]

    async def edge(self, link: LinkSettings = LINK) -> Edge:
        self.edges.append(Edge(self.settings, link))
        await self.edges[-1].linked()
        return self.edges[-1]


@asynccontextmanager
async def estate(valkey: RedisServer, edges: int = 1) -> AsyncIterator[Estate]:
    built = Estate(valkey)
    try:
        await built.engine()
        for _ in range(edges):
            await built.edge()
        yield built
    finally:
        for edge in built.edges:
            await edge.writer.stop()
        for engine in built.engines:
            await engine.stop()


# --- answers and effects ----------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-2", "DU-5")
async def test_an_edge_answers_when_the_log_has_it_and_can_show_it_then(valkey: RedisServer) -> None:
    async with estate(valkey) as e:
        shown: list[str] = []

        def done(outcome: Outcome) -> None:
            assert isinstance(outcome, c.Reply)
            shown.append(e.edges[0].desk.interaction(outcome.interaction).state)

        e.engines[0].journal.free.clear()
        e.edges[0].desk.submit(arrive("1"), done)
        await until(lambda: e.engines[0].desk.find("phone:1"))  # decided, and not durable
        assert not shown
        assert e.edges[0].desk.find("phone:1") is None
        e.engines[0].journal.free.set()
        await until(lambda: shown)
        assert shown == ["queued"]


async def test_clients_hear_in_the_order_of_one_process(valkey: RedisServer) -> None:
    """What was told before a command, its answer, what it came to."""
    async with estate(valkey) as e:
        edge = e.edges[0]
        await edge.sign_in("ana")
        edge.heard.clear()
        edge.ask(arrive("1"))
        answers = edge.ask(arrive("2"))
        await until(lambda: answers)
        await until(lambda: len(edge.heard) == 5)
        assert [what for what, _ in edge.heard] == ["answer", "inform", "tell", "answer", "inform"]


@pytest.mark.promise("AG-3")
async def test_every_edge_hears_everything_of_every_stream(valkey: RedisServer) -> None:
    async with estate(valkey, edges=2) as e:
        east, west = e.edges
        await east.sign_in("ana")
        await west.desk.ask(arrive("1"))
        await until(lambda: west.told("ana") == east.told("ana") == [1, 2, 3])
        view = west.desk.agent("ana")
        await west.desk.ask(c.Accept(agent="ana", offer=int(view.offers[0].offer[2:])))
        await until(lambda: east.told("ana") == [1, 2, 3, 4])


async def test_signals_reach_the_other_edges_in_order_and_not_their_sender(valkey: RedisServer) -> None:
    sent = [Passed("chat", "chat:1", 1, Writing(True, "Ana")), Passed("", "ana", 1, Marks(5, 9))]
    async with estate(valkey, edges=3) as e:
        east, west, north = e.edges
        for passed in sent:
            east.writer.pass_on(passed)
        await until(lambda: west.signals == north.signals == sent)
        north.writer.pass_on(sent[0])
        await until(lambda: east.signals == sent[:1])


async def test_an_engine_with_channels_of_its_own_hears_signals_and_tells_edges_its_own(valkey: RedisServer) -> None:
    heard: list[Passed] = []
    signal = Passed("chat", "chat:1", 1, Writing(False))
    async with estate(valkey, edges=2) as e:
        links = e.engines[0].links
        links._delivers_here, links.on_signal = True, heard.append
        e.edges[0].writer.pass_on(signal)
        await until(lambda: heard == e.edges[1].signals == [signal])
        links.tell(signal)
        await until(lambda: e.edges[0].signals == [signal] and e.edges[1].signals == [signal, signal])


async def test_no_signal_goes_to_who_does_not_know_them_or_is_away(
    valkey: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edge of the version before, during an upgrade, and one that has no engine just now."""
    signal, later = Passed("", "ana", 1, Writing(True)), Passed("", "ana", 1, Writing(False))
    old_hello = m._encode
    async with estate(valkey) as e:
        monkeypatch.setattr(
            m, "hello", lambda edge, nonce, own: m.frame(m.HELLO, old_hello([m.VERSION, edge, nonce, own]))
        )
        old = await e.edge()
        monkeypatch.undo()
        new = await e.edge()
        e.edges[0].writer.pass_on(signal)
        await until(lambda: new.signals == [signal])
        new.cut()
        await until(lambda: new.writer.failed)
        new.writer.pass_on(signal)
        await new.linked()
        new.writer.pass_on(later)
        await until(lambda: e.edges[0].signals == [later])
        await e.edges[0].desk.ask(arrive("1"))
        await until(lambda: old.writer.seq == e.engines[0].writer.seq)  # all that was said before has come
        assert old.signals == []


async def test_refusals_of_the_engine_reach_whoever_asked(valkey: RedisServer) -> None:
    async with estate(valkey) as e:
        with pytest.raises(OfferGone):
            await e.edges[0].desk.ask(c.Accept(agent="ana", offer=99))


async def test_what_cannot_be_written_down_is_refused_by_the_edge_itself(valkey: RedisServer) -> None:
    async with estate(valkey) as e:
        answers = e.edges[0].ask(arrive("1", subject="\ud800"))
        await until(lambda: answers)
        assert "cannot be written down" in str(answers[0])
        await e.edges[0].desk.ask(arrive("2"))


# --- lost links -------------------------------------------------------------------------------------------------------


@pytest.mark.promise("AG-2", "DU-5")
async def test_with_an_edge_go_the_sessions_of_its_agents_and_no_others(valkey: RedisServer) -> None:
    async with estate(valkey, edges=2) as e:
        east, west = e.edges
        await east.sign_in("ana")
        await west.sign_in("ben")
        await east.writer.stop()
        await until(lambda: not e.engines[0].sessions("ana"))
        assert e.engines[0].sessions("ben") == 1


async def test_an_edge_that_comes_again_before_it_was_missed_keeps_what_it_opens(valkey: RedisServer) -> None:
    async with estate(valkey) as e:
        engine, edge = e.engines[0], e.edges[0]
        await edge.sign_in("ana")
        (before,) = engine.links._links.values()
        assert before._transport is not None
        before._transport.pause_reading()  # it does not see the end of the connection
        edge.cut()
        await until(lambda: edge.lost and not edge.writer.failed)
        await edge.desk.ask(c.OpenSession(agent="ana", session="s-ana"))
        assert list(engine.links._links.values()) != [before]
        assert engine.sessions("ana") == 1
        assert edge.recoveries == [True, False]


@pytest.mark.promise("DU-5", "IN-3")
async def test_what_was_asked_of_a_lost_engine_is_refused_and_counts_once_when_it_comes_again(
    valkey: RedisServer,
) -> None:
    async with estate(valkey) as e:
        engine, edge = e.engines[0], e.edges[0]
        engine.journal.free.clear()
        answers = edge.ask(arrive("1"))
        await until(lambda: engine.desk.find("phone:1"))
        edge.cut()
        await until(lambda: answers)
        assert isinstance(answers[0], Unavailable)
        engine.journal.free.set()
        await edge.linked()
        reply = await edge.desk.ask(arrive("1"))
        assert reply.duplicate
        await until(lambda: edge.desk.find("phone:1") == reply.interaction)


@pytest.mark.promise("AG-3", "DU-5")
async def test_after_another_engine_took_over_no_client_has_missed_anything(valkey: RedisServer) -> None:
    async with estate(valkey) as e:
        first, edge = e.engines[0], e.edges[0]
        await edge.sign_in("ana")
        heard = edge.told("ana")
        first.links.follow()  # it goes on alone for a moment, without edges
        await until(lambda: edge.lost)
        await first.desk.ask(arrive("1"))
        await first.stop()
        e.engines.clear()
        await e.engine()
        await edge.linked()
        await edge.desk.ask(c.OpenSession(agent="ana", session="s-ana"))
        await until(lambda: len(edge.told("ana")) > len(heard) + 1)
        told = edge.told("ana")
        assert told == list(range(1, len(told) + 1))
        assert edge.recoveries == [True, False]
        assert edge.writer.engine.snapshot() == e.engines[0].writer.engine.snapshot()


@pytest.mark.promise("DU-5")
async def test_an_edge_whose_records_the_log_has_lost_begins_anew(valkey: RedisServer) -> None:
    """A failover to a replica that had not everything: same numbers, other facts."""
    async with estate(valkey) as e:
        first, edge = e.engines[0], e.edges[0]
        kept = {name: f"{e.settings.prefix}:{name}" for name in ("log", "meta")}
        for key in kept.values():
            valkey.command("COPY", key, f"{key}-before")
        await edge.desk.ask(arrive("lost"))
        first.links.follow()
        await first.writer.stop()
        first.journal.close()
        for key in kept.values():
            valkey.command("COPY", f"{key}-before", key, "REPLACE")
        e.engines.remove(first)
        await first.links.stop()
        second = await e.engine()
        await second.desk.ask(arrive("other"))
        await edge.linked()
        await until(lambda: edge.desk.find("phone:other"))
        assert edge.desk.find("phone:lost") is None
        assert edge.recoveries == [True, True]


async def test_an_edge_that_missed_too_much_begins_anew(valkey: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MISSED_MOST", 1)
    async with estate(valkey) as e:
        engine, edge = e.engines[0], e.edges[0]
        engine.links.follow()
        await until(lambda: edge.lost)
        for name in ("1", "2"):
            await engine.desk.ask(arrive(name))
        edge.heard.clear()
        engine.links.lead()
        await edge.linked()
        assert edge.desk.find("phone:2")
        assert edge.recoveries == [True, True]
        assert not edge.heard


@pytest.mark.promise("AG-3", "DU-5")
async def test_an_edge_that_stumbles_over_what_it_missed_begins_anew(
    valkey: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that has taken one record in part, and the others not, must not go on."""
    async with estate(valkey) as e:
        engine, edge = e.engines[0], e.edges[0]
        engine.links.follow()
        await until(lambda: edge.lost)
        for name in ("1", "2"):
            await engine.desk.ask(arrive(name))
        copy = edge.writer.engine

        def stumbles(records: list[Record]) -> None:
            copy.apply(records[0])
            raise ValueError("a bug")

        monkeypatch.setattr(copy, "follow", stumbles)
        engine.links.lead()
        await until(lambda: edge.recoveries == [True, True])
        assert edge.writer.engine is not copy
        assert edge.writer.engine.snapshot() == engine.writer.engine.snapshot()


@pytest.mark.promise("DU-6")
async def test_what_is_asked_while_an_edge_stops_is_refused(valkey: RedisServer) -> None:
    """An outbox still settles what it has delivered when the link is going."""
    async with estate(valkey) as e:
        edge = e.edges[0]
        stopping = asyncio.ensure_future(edge.writer.stop())
        await asyncio.sleep(0)
        answers: list[Outcome] = []
        asked = 0
        while not stopping.done():
            edge.desk.submit(c.OpenSession(agent="ana", session=f"s-{asked}"), answers.append)
            asked += 1
            await asyncio.sleep(0)
        await until(lambda: len(answers) == asked)
        assert {type(answer) for answer in answers} == {Unavailable}


# --- who delivers -----------------------------------------------------------------------------------------------------


async def test_one_edge_delivers_and_when_it_is_gone_another(valkey: RedisServer) -> None:
    async with estate(valkey, edges=2) as e:
        east, west = e.edges
        await until(lambda: east.writer.delivers)
        await east.sign_in("ana")
        reply = await east.desk.ask(arrive("1", "email"))
        await until(lambda: west.desk.agent("ana").offers)
        await east.desk.ask(c.Accept(agent="ana", offer=int(east.desk.agent("ana").offers[0].offer[2:])))
        said = c.Say(agent="ana", interaction=reply.interaction, message=m_text("on its way"))
        await west.desk.ask(said)
        await until(lambda: ("post",) in [(what,) for what, _ in east.heard])
        assert not [what for what, _ in west.heard if what == "post"]
        assert not west.writer.delivers
        await east.writer.stop()
        await until(lambda: west.writer.delivers)
        assert west.desk.outbounds(), "it is still to be delivered"


def m_text(text: str) -> Any:
    from router.engine.events import Message

    return Message(text)


# --- strangers --------------------------------------------------------------------------------------------------------


@pytest.mark.promise("OB-6")
async def test_an_edge_with_another_secret_is_refused_and_says_so(valkey: RedisServer) -> None:
    async with estate(valkey, edges=0) as e:
        stranger = Edge(e.settings, LinkSettings(secret="another-secret-altogether"))
        e.edges.append(stranger)
        await until(lambda: "sends this edge away" in stranger.writer.health().detail)
        assert stranger.writer.health().detail.endswith(m.NOT_PROVED)
        assert "link.secret" in m.NOT_PROVED
        assert not e.engines[0].edges
        assert stranger.writer.engine.state.seq == 0


@pytest.mark.promise("OB-1", "DU-5")
async def test_an_engine_whose_edges_have_all_another_secret_is_not_well_until_one_is_linked(
    valkey: RedisServer,
) -> None:
    async with estate(valkey, edges=0) as e:
        [engine] = e.engines
        assert engine.links.health().ok, "edges may still be on their way"
        stranger = Edge(e.settings, LinkSettings(secret="another-secret-altogether"))
        e.edges.append(stranger)
        await until(lambda: not engine.links.health().ok)
        assert engine.links.health().detail == f"edges are refused, the last one from 127.0.0.1: {m.NOT_PROVED}"
        await e.edge()
        found = engine.links.health()
        assert (found.ok, "edges are refused" in found.detail) == (True, True), "one bad edge takes no house down"
        await stranger.writer.stop()
        clock = engine.writer.clock
        assert isinstance(clock, ManualClock)
        clock.advance(REFUSED_MS + 1)
        assert engine.links.health().detail == f"edges come to {engine.links.address}"


@pytest.mark.promise("OB-1")
async def test_an_engine_with_channels_of_its_own_stays_well_whoever_is_refused(valkey: RedisServer) -> None:
    async with estate(valkey, edges=0) as e:
        [engine] = e.engines
        engine.links._delivers_here = True
        e.edges.append(Edge(e.settings, LinkSettings(secret="another-secret-altogether")))
        await until(lambda: "edges are refused" in engine.links.health().detail)
        assert engine.links.health().ok


@pytest.mark.promise("OB-1")
async def test_an_edge_that_is_never_linked_says_why_in_its_log_once(
    valkey: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    async with estate(valkey, edges=0) as e:
        stranger = Edge(e.settings, LinkSettings(secret="another-secret-altogether"))
        e.edges.append(stranger)
        said = ""

        def refused() -> int:
            nonlocal said
            said += capsys.readouterr().err
            return said.count('"action":"link_refused"')

        await until(lambda: refused() > 2)
        assert said.count('"action":"not_linked"') == 1
        assert m.NOT_PROVED in next(line for line in said.splitlines() if '"action":"not_linked"' in line)


@pytest.mark.promise("OB-6")
async def test_an_edge_tells_a_stranger_at_the_engines_address_nothing(valkey: RedisServer) -> None:
    """Somebody who waits where an engine was: they get a proof that is good for nothing, and no command."""
    got = bytearray()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(m.challenge(b"n" * m.NONCE) + m.welcome(b"p" * 32, 1, 0))
        while data := await reader.read(65_536):
            got.extend(data)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with estate(valkey, edges=0) as e:
            engine = e.engines[0]
            valkey.command("SET", f"{e.settings.prefix}:lease", f"host:1 at 127.0.0.1:{port} x")
            edge = Edge(e.settings)
            e.edges.append(edge)
            await until(lambda: m.NOT_PROVED in edge.writer.failed)
            await until(lambda: got)
            assert all(kind == m.HELLO for kind, _ in m.Splitter(m.FIRST_MOST).feed(bytes(got)))
            assert not engine.edges
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.promise("DU-5")
async def test_an_edge_does_not_wait_for_an_engine_that_hangs_once_another_leads(valkey: RedisServer) -> None:
    """A stopped process still takes connections; its silence would be waited for, an hour here."""
    patient = LinkSettings(listen=LINK.listen, secret=SECRET, silence=type(LINK.silence)(3_600_000))
    callers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: callers.append(writer), "127.0.0.1", 0)
    hangs = f"host:1 at 127.0.0.1:{server.sockets[0].getsockname()[1]} x"
    try:
        async with estate(valkey, edges=0) as e:
            lease = f"{e.settings.prefix}:lease"
            named = valkey.command("GET", lease)
            valkey.command("SET", lease, hangs)
            edge = Edge(e.settings, patient)
            e.edges.append(edge)
            await until(lambda: callers)
            assert edge.writer.failed
            valkey.command("SET", lease, named)
            await edge.linked()
    finally:
        for caller in callers:
            caller.close()
        server.close()
        await server.wait_closed()


@pytest.mark.promise("DU-5")
async def test_an_edge_that_misses_a_beat_looks_whether_another_engine_leads(valkey: RedisServer) -> None:
    async with estate(valkey, edges=0) as e:
        brief = LinkSettings(listen=LINK.listen, secret=SECRET, silence=type(LINK.silence)(600))
        edge = await e.edge(brief)
        first = e.engines[0]
        first.journal.close()
        await e.engine()
        assert first.links._beating is not None
        first.links._beating.cancel()  # it hangs, and its connections stay
        await until(lambda: edge.lost)
        assert "another engine leads" in edge.lost[0]
        await edge.linked()
        assert (await edge.desk.ask(arrive("1"))).interaction


async def test_whoever_says_nothing_or_nonsense_is_cut_off(valkey: RedisServer) -> None:
    async with estate(valkey, edges=0) as e:
        e.engines[0].links.settings = LinkSettings(listen=LINK.listen, secret=SECRET, silence=type(LINK.silence)(300))
        for said in (b"", b"GET / HTTP/1.1\r\n\r\n", m.frame(m.COMMANDS, b"\x90")):
            reader, writer = await asyncio.open_connection("127.0.0.1", e.engines[0].links.port)
            try:
                writer.write(said)
                async with asyncio.timeout(20):
                    found = await reader.read()
            except ConnectionResetError:
                found = b""
            finally:
                writer.close()
            assert m.WELCOME not in [kind for kind, _ in m.Splitter(m.FIRST_MOST).feed(found)]
        assert not e.engines[0].links._strangers
