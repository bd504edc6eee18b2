"""A house of two routing domains: two engines and two edges as processes, contacts and agents anywhere, and moves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from router.engine.views import number_of
from router.http.server import BLIND
from tests.support.ports import free_ports
from tests.support.redis import RedisServer, bundled, redis_server
from tests.system.clients import Agent, call_event, letter, phone, send_mail
from tests.system.conftest import QUICK
from tests.system.daemon import CONFIG, DOMAINS, LOOK_S, Daemon, Json


class House:
    """Engines `one` and `two`, edges `east` and `west`."""

    def __init__(self, folder: Path, redis: RedisServer) -> None:
        self.config = folder / "house.toml"
        self.config.write_text(CONFIG.read_text() + DOMAINS)
        self._folder = folder
        self._env = QUICK | {
            f"SWITCHBOARD__{name}": value
            for name, value in {
                "LOG_JSON": "true",
                "JOURNAL__KIND": "redis",
                "JOURNAL__URL": redis.url,
                "JOURNAL__LEASE": "2s",
                "LINK__SECRET": "of-this-house-and-no-other",
                "LINK__SILENCE": "1s",
                "BLOBS__FOLDER": str(folder / "blobs"),
                "CHAT__TOKEN_SECRET": "only-for-these-tests-0123456789-0123456789",
            }.items()
        }
        self.one = self._daemon("engine", "one", LINK__NAME="one", LINK__LISTEN="127.0.0.1:0")
        self.two = self._daemon("engine", "two", LINK__NAME="two", LINK__LISTEN="127.0.0.1:0")
        self.east, self.west = self._daemon("edge", "east"), self._daemon("edge", "west")

    def _daemon(self, role: str, name: str, **more: str) -> Daemon:
        http, sockets, smtp, lmtp = free_ports(4)
        ports = {"HTTP__PORT": http, "SOCKETS__PORT": sockets, "EMAIL__SMTP__PORT": smtp, "EMAIL__LMTP__PORT": lmtp}
        env = self._env | {f"SWITCHBOARD__{key}": str(value) for key, value in (ports | more).items()}
        daemon = Daemon(self._folder / name, env, config=self.config, roles=role)
        daemon.http, daemon.socket = f"http://127.0.0.1:{http}", f"ws://127.0.0.1:{sockets}"
        daemon.smtp = ("127.0.0.1", smtp)
        return daemon

    @property
    def all(self) -> tuple[Daemon, ...]:
        return self.one, self.two, self.east, self.west

    def engine(self, name: str) -> Daemon:
        return {"one": self.one, "two": self.two}[name]

    async def led(self) -> dict[str, Json]:
        """Each domain as an edge shows it, once all are led, linked to, and have somebody who stands by."""
        while True:
            status, body = await self.east.get("/v1/domains")
            found = {domain["domain"]: domain for domain in body.get("domains", ())} if status == 200 else {}
            if len(found) == 2 and all(d["engine"] and d["linked"] and d["standbys"] for d in found.values()):
                return found
            await asyncio.sleep(LOOK_S)


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Four processes take their time to start."""
    folder = tmp_path_factory.mktemp("house")
    with redis_server(folder / "redis", bundled()) as server:
        built = House(folder, server)
        try:
            yield built
        finally:
            for daemon in built.all:
                daemon.kill()


@pytest.fixture
async def house(processes: House) -> AsyncIterator[House]:
    for daemon in processes.all:
        if not daemon.running:
            daemon.launch()
    try:
        for daemon in processes.all:
            await daemon.ready()
        async with asyncio.timeout(30):
            await processes.led()
            for edge in (processes.east, processes.west):
                await linked(edge)
        yield processes
    finally:
        for daemon in processes.all:
            await daemon.close()
    assert [line for daemon in processes.all for line in daemon.troubles()] == []


async def linked(edge: Daemon) -> None:
    await edge.until(
        lambda status, body: (
            status == 200
            and all(body["parts"][f"domain {name}"]["figures"]["linked"] == 1 for name in ("front", "back"))
        )
    )


async def mail_of(edge: Daemon, ident: str) -> str:
    """The interaction that this mail became."""
    await asyncio.to_thread(send_mail, edge.smtp, letter(ident))
    found = [i for i in await edge.interactions() if i["channel"] == "email"]
    return str(found[-1]["id"])


@pytest.mark.promise("DU-5", "IN-1")
async def test_contacts_and_agents_of_both_domains_come_to_any_edge(house: House) -> None:
    ana, dora = Agent("ana", house.east.socket), Agent("dora", house.west.socket)
    try:
        for agent in (ana, dora):
            await agent.sign_in()
            await agent.ready()
        status, body = await phone(house.west.session, house.west.http, call_event("incoming", "call-1"))
        assert status == 200
        assert body["interaction"].startswith("i-1000000")
        status, again = await phone(house.east.session, house.east.http, call_event("incoming", "call-1"))
        assert (status, again["interaction"]) == (200, body["interaction"]), "whichever edge it comes to again"
        assert await ana.accept(body["interaction"])
        mail = await mail_of(house.east, "first")
        assert mail.startswith("i-2000000")
        assert await dora.accept(mail)
        states = {i["id"]: (i["state"], i["agent"]) for i in await house.west.interactions()}
        assert states[body["interaction"]] == ("active", "ana")
        assert states[mail] == ("active", "dora")
        assert list(states) == sorted(states), "in order of their numbers"
        await ana.complete(body["interaction"])
        await dora.complete(mail)
        _, queues = await house.east.get("/v1/queues")
        assert {queue["queue"] for queue in queues["queues"]} == {"support", "sales", "mailroom"}
        _, agents = await house.east.get("/v1/agents")
        assert [agent["agent"] for agent in agents["agents"]] == ["ana", "ben", "chen", "dora", "sam"]
    finally:
        await ana.cut()
        await dora.cut()
    assert not ana.faults + dora.faults


class Caller:
    """A gateway that repeats each call at either edge until it is recorded, and notes what it was told."""

    def __init__(self, house: House) -> None:
        self._edges = (house.east, house.west)
        self.told: dict[str, list[str]] = {}
        self.refused = 0
        self._stopping = False
        self._calls = asyncio.create_task(self._run())

    async def _run(self) -> None:
        number = 0
        while not self._stopping:
            number += 1
            await asyncio.gather(*(self._call(f"load-{number}-{line}") for line in range(3)))

    async def _call(self, name: str) -> None:
        event = call_event("incoming", name)
        for attempt in range(1_000):
            edge = self._edges[attempt % 2]
            status, body = await phone(edge.session, edge.http, event)
            if status == 200:
                self.told.setdefault(name, []).append(body["interaction"])
                return
            assert status == 503, body
            self.refused += 1
            await asyncio.sleep(LOOK_S)

    async def stop(self) -> None:
        self._stopping = True
        await self._calls

    async def more(self, count: int) -> None:
        wanted = len(self.told) + count
        while len(self.told) < wanted:
            assert not self._calls.done(), self._calls.exception()
            await asyncio.sleep(LOOK_S)


@pytest.mark.promise("DU-5", "OB-5", "AG-3")
async def test_a_domain_moves_under_load_with_one_command_and_loses_nothing(house: House) -> None:
    ana, dora = Agent("ana", house.east.socket), Agent("dora", house.west.socket)
    caller = Caller(house)
    try:
        for agent in (ana, dora):
            await agent.sign_in()
            await agent.ready()
        await caller.more(10)
        work = await ana.accept()
        before = await house.led()
        for turn in range(2):
            here = (await house.led())["front"]
            to = here["standbys"][0]
            move = ("move", "front", "--to", to, "--why", f"turn {turn}", "--url", house.east.http, "--json")
            said = await asyncio.to_thread(house.east.command, *move)
            assert json.loads(said) == {"domain": "front", "was": here["engine"], "engine": to}
            await caller.more(10)
        await caller.stop()
        after = await house.led()
        assert after["back"]["engine"] == before["back"]["engine"], "the other one stayed where it was"
        assert not ana.goodbyes + dora.goodbyes, "sockets stay"
        await ana.ready()
        await ana.complete(work)
        assert not ana.faults + dora.faults
    finally:
        await caller.stop()
        await ana.cut()
        await dora.cut()
    await the_log_has(house, caller)
    records = exported(house, "front")
    given = [record["event"] for record in records if record["type"] == "lead-given"][-2:]
    assert [(event["by"], event["why"]) for event in given] == [
        ("operator:operator", "turn 0"),
        ("operator:operator", "turn 1"),
    ]
    verify = ("journal", "verify", "--config", str(house.config), "--domain", "front", "--json")
    assert json.loads(await asyncio.to_thread(house.east.command, *verify))["damaged"] == []
    replay = ("replay", str(house.config), "--config", str(house.config), "--domain", "front", "--json")
    again = json.loads(await asyncio.to_thread(house.east.command, *replay))
    assert again["was"]["contacts"] == sum(record["type"] == "arrived" for record in records)
    assert {agent["agent"] for agent in again["then"]["agents"]} == {"ana", "ben", "chen"}, "others meet nobody there"


def exported(house: House, domain: str) -> list[Json]:
    text = house.east.command("journal", "export", "--config", str(house.config), "--domain", domain)
    return [json.loads(line) for line in text.splitlines()]


async def the_log_has(house: House, caller: Caller) -> None:
    """What was acknowledged, once: by the log, and not by what anybody shows."""
    arrived: dict[str, list[str]] = {}
    for domain in ("front", "back"):
        for record in await asyncio.to_thread(exported, house, domain):
            event: dict[str, Any] = record["event"]
            if record["type"] == "arrived":
                arrived.setdefault(event["threads"][0].rpartition(":")[2], []).append(f"i-{event['interaction']}")
    assert caller.told, "somebody called"
    for name, told in caller.told.items():
        assert arrived[name] == told[:1], name
        assert len(set(told)) == 1


@pytest.mark.promise("DU-5")
async def test_a_standby_takes_over_the_domains_of_a_killed_engine_and_no_others(house: House) -> None:
    """Each of two engines leads one; when one is killed, nobody of the other domain is refused anything."""
    led = await house.led()
    if led["front"]["engine"] == led["back"]["engine"]:
        other = led["back"]["standbys"][0]
        status, body = await house.west.post("/v1/domains/back/move", {"to": other})
        assert status == 200, body
        led = await house.led()
    assert led["front"]["engine"] != led["back"]["engine"]
    dora = Agent("dora", house.west.socket)
    try:
        await dora.sign_in()
        epoch = dora.last_seq
        lost = house.engine(led["front"]["engine"])
        lost.kill()
        assert await mail_of(house.east, "while-front-is-away")
        assert (await dora.ask("set_state", state="not_ready", reason="break"))["type"] == "ok"
        status, body = await phone(house.west.session, house.west.http, call_event("incoming", "call-orphan"))
        while status == 503:
            assert body["code"] == "unavailable"
            await asyncio.sleep(LOOK_S)
            status, body = await phone(house.west.session, house.west.http, call_event("incoming", "call-orphan"))
        assert (status, number_of(body["interaction"], "i") // 1_000_000_000) == (200, 1)
        assert len(dora.welcomes) == 1
        assert epoch is not None
        lost.launch()
        await lost.ready()
        assert (await house.led())["front"]["engine"] == led["back"]["engine"]
        assert not dora.faults + dora.goodbyes
    finally:
        await dora.cut()


@pytest.mark.promise("MV-1", "OB-4")
async def test_what_cannot_be_is_refused_with_a_sentence(house: House) -> None:
    _, body = await phone(house.east.session, house.east.http, call_event("incoming", "call-stays"))
    contact = f"/v1/interactions/{body['interaction']}"
    status, problem = await house.east.post(f"{contact}/transfer", {"to": {"queue": "mailroom"}})
    assert (status, problem["code"]) == (409, "illegal-move")
    assert "is of routing domain front, queue mailroom of back" in problem["detail"]
    status, problem = await house.east.post(f"{contact}/assign", {"agent": "dora"})
    assert (status, problem["code"]) == (409, "illegal-move")
    assert "is of routing domain front, agent dora of back" in problem["detail"]
    led = (await house.led())["front"]["engine"]
    status, problem = await house.east.post("/v1/domains/front/move", {"to": led})
    assert (status, problem["detail"]) == (409, f"{led} leads routing domain front already")
    status, problem = await house.east.post("/v1/domains/front/move", {"to": "three"})
    assert status == 404
    assert "no engine 'three' stands by for routing domain front; these do: " in problem["detail"]
    status, _ = await house.east.post("/v1/domains/nowhere/move", {"to": "two"})
    assert status == 404
    status, _ = await house.one.get("/v1/interactions")
    assert status == 503, "an engine of routing domains serves nobody"


@pytest.mark.promise("OB-1")
async def test_a_domain_that_nobody_leads_is_named_where_one_looks(house: House) -> None:
    for engine in (house.one, house.two):
        engine.kill()
    await house.east.until(lambda status, body: status == 503 and "nobody leads" in str(body["parts"]["domain front"]))
    status, listed = await house.east.get("/v1/domains")
    assert status == 200, listed
    assert [(domain["domain"], domain["linked"]) for domain in listed["domains"]] == [("front", False), ("back", False)]
    shown = await asyncio.to_thread(house.east.command, "domains", "--url", house.east.http)
    assert "support, sales" in shown
    status, refused = await house.east.get("/v1/queues")
    assert (status, refused["detail"]) == (503, BLIND)
    house.two.options += ("--domains", "back")
    try:
        house.two.launch()
        body = await house.two.until(
            lambda status, body: status == 503 and "nobody leads" in body["parts"]["domain front"]["detail"]
        )
        assert "nobody leads routing domain front" in body["parts"]["domain front"]["detail"]
        assert body["parts"]["domain back"]["ok"]
        for edge in (house.west, house.east):
            body = await edge.until(
                lambda status, body: status == 200 and body["parts"]["domain back"]["figures"]["linked"] == 1
            )
        assert "nobody leads routing domain front" in body["parts"]["domain front"]["detail"]
        status, refused = await phone(house.east.session, house.east.http, call_event("incoming", "call-unowned"))
        assert (status, refused["code"]) == (503, "unavailable")
        status, refused = await house.east.post("/v1/domains/front/move", {"to": "two"})
        assert (status, refused["code"]) == (503, "unavailable")
        assert "nobody leads routing domain front, so nobody can give it away" in refused["detail"]
        assert await mail_of(house.west, "goes-on")
    finally:
        house.two.options = house.two.options[:-2]
        house.two.kill()
