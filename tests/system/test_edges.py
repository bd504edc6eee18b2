"""Engines and edges as processes of their own: agents and customers at the edges, kill -9 on either side."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from router.__main__ import cli
from router.errors import ConfigError
from router.settings import load
from tests.support.ports import free_ports
from tests.support.redis import RedisServer, redis_server
from tests.system.clients import Agent, Visitor, call_event, phone
from tests.system.conftest import QUICK
from tests.system.daemon import CONFIG, LOOK_S, OPERATOR, ROOT, Daemon, Json

SECRET = "of-these-tests-and-no-others"


class Estate:
    """One engine, which can be had again, and two edges."""

    def __init__(self, folder: Path, redis: RedisServer) -> None:
        self._env = QUICK | {
            f"SWITCHBOARD__{name}": value
            for name, value in {
                "LOG_JSON": "true",
                "JOURNAL__KIND": "redis",
                "JOURNAL__URL": redis.url,
                "JOURNAL__LEASE": "1s",
                "LINK__SECRET": SECRET,
                "LINK__SILENCE": "1s",
                "BLOBS__FOLDER": str(folder / "blobs"),
                "CHAT__TOKEN_SECRET": "only-for-these-tests-0123456789-0123456789",
            }.items()
        }
        self._folder = folder
        self.engine = self.another("engine", LINK__LISTEN="127.0.0.1:0")
        self.east, self.west = self.another("edge", "east"), self.another("edge", "west")

    def another(self, role: str, name: str = "", **more: str) -> Daemon:
        http, sockets, smtp, lmtp = free_ports(4)
        ports = {"HTTP__PORT": http, "SOCKETS__PORT": sockets, "EMAIL__SMTP__PORT": smtp, "EMAIL__LMTP__PORT": lmtp}
        env = self._env | {f"SWITCHBOARD__{key}": str(value) for key, value in (ports | more).items()}
        daemon = Daemon(self._folder / (name or role), env, roles=role)
        daemon.http, daemon.socket = f"http://127.0.0.1:{http}", f"ws://127.0.0.1:{sockets}"
        return daemon

    @property
    def all(self) -> tuple[Daemon, ...]:
        return self.engine, self.east, self.west


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """Three processes take their time to start; what a test killed, the next one finds again."""
    folder = tmp_path_factory.mktemp("estate")
    with redis_server(folder / "redis") as server:
        built = Estate(folder, server)
        try:
            yield built
        finally:
            for daemon in built.all:
                daemon.kill()


@pytest.fixture
async def estate(processes: Estate) -> AsyncIterator[Estate]:
    """All up and linked, and nobody waits. Whatever was done to them, no log may hold trouble."""
    for daemon in processes.all:
        if not daemon.running:
            daemon.launch()
    try:
        for daemon in processes.all:
            await daemon.ready()
        yield processes
        for left in [
            i for state in ("queued", "offered", "active") for i in await processes.engine.interactions(state)
        ]:
            close = f"{processes.engine.http}/v1/interactions/{left['id']}/close"
            async with processes.engine.session.post(
                close, json={"why": "the test is over"}, headers=OPERATOR
            ) as answer:
                assert answer.status == 200
    finally:
        for daemon in processes.all:
            await daemon.close()
    assert [line for daemon in processes.all for line in daemon.troubles()] == []


async def call(daemon: Daemon, number: int) -> Json:
    status, body = await phone(daemon.session, daemon.http, call_event("incoming", f"call-{number}"))
    assert status == 200, body
    return body


async def until(daemon: Daemon, interaction: str, condition: Callable[[Json], Any]) -> None:
    """What this one shows of it."""
    async with asyncio.timeout(20):  # another process has no event on our loop
        while not any(i["id"] == interaction and condition(i) for i in await daemon.interactions()):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)


async def left(daemon: Daemon, agent: str) -> None:
    """Nobody is signed in as them any more, as this one shows it."""
    async with asyncio.timeout(20):
        while (await daemon.get(f"/v1/agents/{agent}"))[1]["sessions"]:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)


class Desk:
    """An agent's socket, read message by message."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def heard(self, kind: str) -> list[Json]:
        """Everything up to the next of this kind."""
        found: list[Json] = []
        async with asyncio.timeout(20):
            while not found or found[-1]["type"] != kind:
                found.append(json.loads(await self.socket.recv()))
        return found


def desk(daemon: Daemon) -> connect:
    return connect(f"{daemon.socket}/agent", subprotocols=[Subprotocol("switchboard.agent.v1")])


def numbers(messages: list[Json]) -> list[int]:
    return [message["seq"] for message in messages if "seq" in message]


@pytest.mark.promise("AG-3", "DU-5")
async def test_an_agent_goes_on_at_another_edge_with_what_was_missed(estate: Estate) -> None:
    async with desk(estate.east) as socket:
        ana = Desk(socket)
        await ana.say(type="hello", token="dev-ana")
        await ana.say(type="set_state", id="1", state="ready")
        last = numbers(await ana.heard("ok"))[-1]
    await left(estate.west, "ana")  # or the call would be offered to the session that is closing, and be withdrawn
    await call(estate.west, 1)
    async with desk(estate.west) as socket:
        ana = Desk(socket)
        await ana.say(type="hello", token="dev-ana", last_seq=last)
        (welcome, *missed) = await ana.heard("offer")
        assert welcome["resumed"]
        assert welcome["seq"] == last
        assert numbers(missed) == list(range(last + 1, last + 1 + len(missed)))
        await ana.say(type="accept", id="2", offer=missed[-1]["offer"])
        assert [m["type"] for m in await ana.heard("assigned")][-2:] == ["ok", "assigned"]
    await until(estate.east, missed[-1]["interaction"]["id"], lambda i: i["state"] == "active" and i["agent"] == "ana")


@pytest.mark.promise("DU-5", "IN-2", "AG-3", "AG-4")
async def test_agents_keep_their_sockets_while_engines_come_and_go(estate: Estate) -> None:
    async with desk(estate.east) as socket:
        dora = Desk(socket)
        await dora.say(type="hello", token="dev-dora")
        await dora.say(type="set_state", id="1", state="ready")
        heard = await dora.heard("ok")
        estate.engine.kill()
        await estate.east.until(lambda status, _: status == 503)
        status, body = await phone(estate.west.session, estate.west.http, call_event("incoming", "call-2"))
        assert (status, body["code"]) == (503, "unavailable")
        await dora.say(type="set_state", id="2", state="not_ready", reason="break")
        heard += await dora.heard("error")
        refused = heard[-1]
        assert (refused["code"], refused["re"]) == ("unavailable", "2")
        assert refused["retry_after_ms"] > 0
        estate.engine.launch()
        await estate.east.ready()
        await estate.west.ready()
        await call(estate.west, 2)
        heard += await dora.heard("offer")
        found = numbers([m for m in heard if m["type"] != "welcome"])
        assert found == list(range(found[0], found[0] + len(found)))


@pytest.mark.promise("AG-2", "DU-5", "OF-6")
async def test_what_the_agents_of_a_killed_edge_were_offered_goes_to_others(estate: Estate) -> None:
    ana, ben = Agent("ana", estate.east.socket), Agent("ben", estate.west.socket)
    try:
        await ana.sign_in()
        await ana.ready()
        offered = (await call(estate.west, 3))["interaction"]
        await ana.offered(offered)
        await ben.sign_in()
        await ben.ready()
        estate.east.kill()
        assert await ben.accept(offered) == offered
        estate.east.launch()
        await estate.east.ready()
        await ben.complete(offered)
        assert not ana.faults + ben.faults
    finally:
        await ana.cut()
        await ben.cut()


@pytest.mark.promise("MV-1", "AG-3")
async def test_a_supervisor_at_one_edge_joins_an_agent_at_the_other(estate: Estate) -> None:
    password = "correct horse battery"
    who = ("lena", "--role", "supervisor", "--role", "agent", "--agent", "chen", "--team", "front")
    command = [sys.executable, "-m", "router", "user", "add", *who, "--data", str(estate.west.data), "--password-stdin"]
    subprocess.run(command, input=password + "\n", text=True, check=True, timeout=60, cwd=ROOT)
    ana, chen, visitor = (
        Agent("ana", estate.east.socket),
        Agent("chen", estate.west.socket),
        Visitor(estate.east.socket),
    )
    try:
        await ana.sign_in()
        await ana.ready()
        await chen.sign_in()
        await visitor.open()
        await visitor.hello()
        await visitor.say("m1", "hello")
        interaction = await ana.accept()
        await until(estate.west, interaction, lambda i: i["agent"] == "ana")

        async def post(path: str, body: Json, token: str = "") -> tuple[int, Json]:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with estate.west.session.post(estate.west.http + path, json=body, headers=headers) as answer:
                return answer.status, await answer.json()

        status, signed_in = await post("/v1/session", {"name": "lena", "password": password})
        assert status == 200, signed_in
        token = signed_in["token"]
        await chen.ready()
        status, body = await post(f"/v1/interactions/{interaction}/join", {}, token)
        assert status == 200, body
        await ana.until(lambda: ana.work[interaction]["consult"]["state"] == "conference")
        await chen.until(lambda: chen.work)
        status, body = await post(f"/v1/interactions/{interaction}/join", {}, token)
        assert (status, body["code"]) == (409, "illegal-move")
        [leg] = chen.work
        assert chen.work[leg]["consult"]["owner"] == "ana"
    finally:
        await ana.cut()
        await chen.cut()
        await visitor.cut()


async def test_who_writes_and_who_has_read_is_seen_at_the_other_edge(estate: Estate) -> None:
    visitor = Visitor(estate.east.socket)
    async with desk(estate.west) as socket:
        ana = Desk(socket)
        try:
            await ana.say(type="hello", token="dev-ana", signals=True)
            await ana.say(type="set_state", id="w1", state="ready")
            await visitor.hello()
            await visitor.say("m1", "hello")
            offer = (await ana.heard("offer"))[-1]
            await ana.say(type="accept", id="w2", offer=offer["offer"])
            assigned = (await ana.heard("assigned"))[-1]
            await visitor.until(lambda: visitor.state == "active")
            await visitor.send({"type": "typing", "on": True})
            assert (await ana.heard("typing"))[-1]["on"]
            await ana.say(type="typing", id="w3", interaction=assigned["interaction"]["id"])
            await visitor.until(lambda: visitor.agent_types)
        finally:
            await visitor.cut()


@pytest.mark.promise("DU-5", "OB-1")
async def test_an_edge_whose_visitors_could_not_come_back_at_the_others_says_so(estate: Estate) -> None:
    other = "another-one-for-these-tests-9876543210-9876543210"
    south = estate.another("edge", "south", CHAT__TOKEN_SECRET=other)
    south.launch()
    try:
        found = (await south.ready())["parts"]["writer"]["detail"]
        assert found.endswith(". who leads has another chat.token_secret; it must be the same on all machines")
        assert other not in found
    finally:
        south.kill()
        await south.close()
    for edge in (estate.east, estate.west):
        assert "another" not in (await edge.ready())["parts"]["writer"]["detail"]


@pytest.mark.promise("DU-5", "OB-1")
async def test_an_edge_that_is_not_let_in_says_why_and_so_does_the_engine(estate: Estate) -> None:
    other = "another-one-for-these-tests-9876543210"
    north = estate.another("edge", "north", LINK__SECRET=other)
    north.launch()
    try:
        found = await north.until(lambda status, body: "link.secret" in str(body))
        assert found["parts"]["doors"]["detail"] == "they open when this edge is linked to an engine"
        assert "link.secret" in found["parts"]["writer"]["detail"]
        links = (await estate.engine.ready())["parts"]["links"]
        assert links["detail"].startswith("edges are refused, the last one from 127.0.0.1: "), "and the others go on"
        assert '"action":"not_linked"' in north.log.read_text()
        assert other not in str(found) + str(links) + north.log.read_text()
    finally:
        north.kill()
        await north.close()


@pytest.mark.promise("DU-6")
async def test_each_role_drains_and_stops_by_itself(estate: Estate) -> None:
    accepted = (await call(estate.east, 4))["interaction"]
    assert await estate.east.stop() == 0
    assert await estate.engine.stop() == 0
    estate.engine.launch()
    await estate.west.until(lambda status, body: status == 200 and body["parts"]["writer"]["figures"]["seq"] > 1)
    await until(estate.west, accepted, lambda i: i["state"] == "queued")


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(
    ("role", "more", "said"),
    [
        ("edge", {}, "journal.kind: expected redis"),
        ("engine", {"JOURNAL__KIND": "redis"}, "link.listen: expected HOST:PORT"),
        ("edge", {"JOURNAL__KIND": "redis"}, "link.secret: expected"),
        ("edge", {"JOURNAL__KIND": "redis", "LINK__SECRET": "short"}, "link.secret: expected at least 16"),
        ("engine", {"JOURNAL__KIND": "redis", "LINK__LISTEN": "8091", "LINK__SECRET": SECRET}, "link.listen: expected"),
        ("engine", {"LINK__LISTEN": "127.0.0.1:8091", "LINK__SECRET": SECRET}, "link.listen: expected nothing"),
        ("edge", {"LINK__SILENCE": "1ms"}, "link.silence: expected 300 ms"),
        ("edge", {"LINK__TLS_KEY": "key.pem"}, "link.tls_certificate: expected a certificate and its key"),
    ],
)
def test_a_role_that_cannot_be_played_is_refused_with_a_sentence(role: str, more: dict[str, str], said: str) -> None:
    env = {f"SWITCHBOARD__{key}": value for key, value in ({"CHAT__TOKEN_SECRET": "0123456789" * 4} | more).items()}
    with pytest.raises(ConfigError) as refused:
        load(CONFIG, env).settings.check_roles(frozenset((role,)))
    assert str(refused.value).startswith(said)


def test_there_are_two_roles() -> None:
    ran = CliRunner().invoke(cli, ["serve", "--roles", "engine,clerk"])
    assert ran.exit_code == 2
    assert "the roles are engine and edge" in ran.output
