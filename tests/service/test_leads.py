"""Engines of routing domains in one process, over a real Redis: which log is whose, and who may be called what."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from router.engine.config import Agent, Channel, Config, Duration, Queue, Rule
from router.errors import ConfigError, Unavailable
from router.journal.settings import JournalSettings
from router.service import alike
from router.service.clock import SystemClock
from router.service.domains import build
from router.service.domains.leads import Lead, Leads
from router.service.domains.moving import DomainView, Moving, NotTaken
from router.service.domains.parts import Domains, DomainSettings, split
from router.service.mailbox import MailboxSettings
from router.service.remote.settings import LinkSettings
from router.service.signals import Signals
from tests.support.house import arrive
from tests.support.redis import RedisServer, redis_server
from tests.support.waiting import until

CONFIG = Config(
    channels={"phone": Channel()},
    queues={"orders": Queue(), "repairs": Queue()},
    rules=(Rule(name="one", queue="orders", to=("+1",)), Rule(name="two", queue="repairs", to=("+2",))),
    agents={"ana": Agent(), "ben": Agent()},
)
NORTH = DomainSettings(number=1, queues=("orders",), agents=("ana",))
SOUTH = DomainSettings(number=2, queues=("repairs",), agents=("ben",))
BOTH = {"north": NORTH, "south": SOUTH}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis") as server:
        yield server


class Place:
    """Where engines run: one Redis, one folder."""

    def __init__(self, redis: RedisServer, folder: Path) -> None:
        self.journal = JournalSettings(kind="redis", url=redis.unix_url, lease=Duration(2_000), timeout=Duration(2_000))
        self._folder = folder

    def plans(self, domains: Domains, name: str = "one", config: Config = CONFIG) -> build.Plans:
        link = LinkSettings(listen="127.0.0.1:0", secret="of-this-house-and-no-other", name=name)
        parts = split(config, domains)
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        return build.Plans(domains, parts, set(domains), self.journal, link, MailboxSettings(), SystemClock(), folder)

    @asynccontextmanager
    async def engine(
        self, domains: Domains, name: str = "one", config: Config = CONFIG, note: alike.Notes = alike.no_note
    ) -> AsyncIterator[Leads]:
        leads = build.leads(self.plans(domains, name, config)._replace(note=note))
        try:
            await leads.start()
            yield leads
        finally:
            await leads.drain()
            await leads.stop()


@pytest.fixture
def place(redis: RedisServer, tmp_path: Path) -> Place:
    return Place(redis, tmp_path)


async def led(leads: Leads, name: str) -> Lead:
    (lead,) = (lead for lead in leads.leads if lead.name == name)
    await until(lambda: lead.health().figures["leads"])
    return lead


@pytest.mark.promise("OB-1")
async def test_every_part_of_readiness_is_one_that_operators_are_told_of(place: Place) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "operators.md").read_text()
    copies, _, moving = build.copies(place.plans(BOTH, "edge"))
    async with place.engine(BOTH) as leads:
        for part in ("engine", *leads.parts(), *copies.parts()):
            named = "domain NAME" if part.startswith("domain ") else part
            assert f"\n| `{named}` | " in page
    await copies.stop()
    await moving.stop()


# --- which log is whose -----------------------------------------------------------------------------------------------


@pytest.mark.promise("DU-5")
async def test_a_domain_that_is_called_otherwise_goes_on_with_its_log(place: Place) -> None:
    async with place.engine(BOTH) as leads:
        north = await led(leads, "north")
        assert (await north.desk.ask(arrive("a", recipient="+1"))).interaction == 1_000_000_001
    async with place.engine({"nord": NORTH, "south": SOUTH}) as leads:
        nord = await led(leads, "nord")
        assert nord.desk.interaction(1_000_000_001).state == "queued"
        assert (await nord.desk.ask(arrive("b", recipient="+1"))).interaction == 1_000_000_002


@pytest.mark.promise("OB-1", "OB-4")
async def test_a_log_that_has_nothing_of_a_domain_is_left_alone_with_a_sentence(place: Place) -> None:
    """Two domains with each other's numbers would go on with each other's contacts."""
    async with place.engine(BOTH) as leads:
        await (await led(leads, "north")).desk.ask(arrive("a", recipient="+1"))
        await led(leads, "south")
    crossed = {"north": replace(NORTH, number=2), "south": replace(SOUTH, number=1)}
    async with place.engine(crossed) as leads:
        (north,) = (lead for lead in leads.leads if lead.name == "north")
        await until(lambda: "none of its queues (repairs)" in north.health().detail)
        found = north.health()
        assert not found.ok
        assert "this log is not that of routing domain north" in found.detail
        assert "give north the number that it always had (domains.north)" in found.detail
    async with place.engine(BOTH) as leads:
        assert (await led(leads, "north")).desk.interaction(1_000_000_001).state == "queued", "nothing was changed"
        async with place.engine(crossed, "two") as strangers:
            (north,) = (lead for lead in strangers.leads if lead.name == "north")
            await until(lambda: "this engine will not take over" in north.health().detail)
            assert north.health().ok, "somebody leads it"
            assert "this log is not that of routing domain north" in north.health().detail


@pytest.mark.promise("DU-5", "OB-1")
async def test_who_stands_by_for_a_domain_with_another_secret_of_the_link_says_so(place: Place) -> None:
    def note(secret: str) -> alike.Notes:
        return lambda identity: alike.note(identity, 2_000, {"link.secret": secret})

    async with place.engine(BOTH, note=note("of-this-house-and-no-other")) as leads:
        await led(leads, "north")
        async with place.engine(BOTH, "two", note=note("of-another-house")) as standbys:
            (north,) = (lead for lead in standbys.leads if lead.name == "north")
            said = ". who leads has another link.secret; it must be the same on all machines"
            await until(lambda: north.health().detail.endswith(said))
            assert north.health().ok, "somebody leads it"


# --- what an engine is called -----------------------------------------------------------------------------------------


@pytest.mark.promise("OB-4", "DU-5")
async def test_a_second_engine_of_one_name_is_refused_and_the_first_goes_on(place: Place) -> None:
    async with place.engine(BOTH) as first:
        with pytest.raises(ConfigError) as refused:
            async with place.engine(BOTH):
                pass
        said = str(refused.value)
        assert said.startswith("link.name: expected a name of its own for each engine, found 'one': process ")
        assert f":{os.getpid()} is called so" in said, "which one has it"
        assert (await led(first, "north")).health().ok
        assert first.health().ok
        async with place.engine(BOTH, "two") as second:
            assert second.health().ok


async def test_an_engine_that_comes_again_has_its_name_at_once_or_when_its_former_self_is_over(
    place: Place, redis: RedisServer
) -> None:
    async with place.engine(BOTH):
        pass
    assert redis.command("KEYS", "*:engine:*") == [], "given back"
    redis.command("SET", "switchboard:engine:one", "elsewhere:7 dead", "PX", int(place.journal.lease))
    async with place.engine(BOTH) as leads:
        assert leads.health().ok


@pytest.mark.promise("OB-1")
async def test_who_loses_its_name_leads_on_and_says_so(place: Place, redis: RedisServer) -> None:
    async with place.engine(BOTH) as leads:
        north = await led(leads, "north")
        redis.command("SET", "switchboard:engine:one", "elsewhere:7 x", "PX", 60_000)
        await until(lambda: not leads.health().ok)
        assert "process elsewhere:7 is called so, too: give each engine a link.name of its own" in leads.health().detail
        assert (await north.desk.ask(arrive("a", recipient="+1"))).interaction == 1_000_000_001
        redis.command("DEL", "switchboard:engine:one")
        await until(lambda: leads.health().ok)


@pytest.mark.promise("OB-1")
async def test_health_says_that_nobody_keeps_the_name(place: Place) -> None:
    """Another engine could take it, and one of the two be given what the other is meant by."""
    async with place.engine(BOTH) as leads:
        assert leads.health().ok
        assert leads._name._keeping is not None
        leads._name._keeping.cancel()
        await asyncio.wait([leads._name._keeping])
        assert (leads.health().ok, leads.health().detail) == (False, "nobody keeps this engine's name")


# --- giving a domain to another engine --------------------------------------------------------------------------------


@asynccontextmanager
async def edge(place: Place) -> AsyncIterator[Moving]:
    """An edge's copies and what operators do by it."""
    copies, _, moving = build.copies(place.plans(BOTH, "edge"))
    copies.wire(lambda news: None, lambda news: None, Signals())
    copies.stand_by("standby: not linked to an engine yet")
    try:
        yield moving
    finally:
        await copies.stop()
        await moving.stop()


async def shown(moving: Moving) -> DomainView:
    """The domain north."""
    return (await moving.all())[0]


async def until_shown(moving: Moving, condition: Callable[[DomainView], object]) -> None:
    async with asyncio.timeout(15):
        while not condition(await shown(moving)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.promise("DU-5", "OB-1")
async def test_who_dies_before_it_takes_a_domain_leaves_it_to_who_had_it_and_the_operator_hears_so(
    place: Place, redis: RedisServer
) -> None:
    async with place.engine(BOTH) as leads, edge(place) as moving:
        lead = await led(leads, "north")
        await until_shown(moving, lambda view: (view.engine, view.linked) == ("one", True))
        redis.command("HSET", "switchboard:1:standbys", "two", redis.command("TIME")[0])  # its last word
        with pytest.raises(NotTaken) as said:
            await moving.move("north", "two", "operator:sam", "more memory")
        assert str(said.value) == (
            "two did not take routing domain north, which waited 2 s for it: one leads it now, and nothing was lost; "
            "see whether two runs, then move it again"
        )
        await until(lambda: lead.health().figures["leads"])
        assert (await lead.desk.ask(arrive("a", recipient="+1"))).interaction == 1_000_000_001


@pytest.mark.promise("DU-5")
async def test_a_domain_is_given_to_who_stands_by(place: Place) -> None:
    async with place.engine(BOTH) as one, place.engine(BOTH, "two"), edge(place) as moving:
        await until_shown(moving, lambda view: view.linked and len(view.standbys) == 1)
        before = await shown(moving)
        moved = await moving.move("north", before.standbys[0], "operator:sam", "")
        assert (moved.was, moved.engine) == (before.engine, before.standbys[0])
        after = await shown(moving)
        assert (after.engine, after.linked) == (before.standbys[0], True)
        assert one.health().ok


@pytest.mark.promise("DU-5")
async def test_who_has_given_a_domain_away_may_be_given_it_again_at_once(place: Place) -> None:
    async with place.engine(BOTH), place.engine(BOTH, "two"), edge(place) as moving:
        await until_shown(moving, lambda view: view.linked and len(view.standbys) == 1)
        names = (await shown(moving)).engine, (await shown(moving)).standbys[0]
        for turn in range(4):
            had, to = names[turn % 2], names[1 - turn % 2]
            moved = await moving.move("north", to, "operator:sam", "")
            assert (moved.was, moved.engine) == (had, to)
            assert had in (await shown(moving)).standbys


@pytest.mark.promise("OB-1")
async def test_a_domain_that_nobody_leads_is_shown_with_nobody_and_cannot_be_given_away(
    place: Place, redis: RedisServer
) -> None:
    async with edge(place) as moving:
        view = await shown(moving)
        assert (view.engine, view.linked) == ("", False)
        redis.command("HSET", "switchboard:1:standbys", "two", redis.command("TIME")[0])
        with pytest.raises(Unavailable, match=r"nobody leads routing domain north.*who stands by takes it: two"):
            await moving.move("north", "two", "operator:sam", "")
        redis.kill()
        with pytest.raises(Unavailable, match="who leads routing domain north cannot be seen: "):
            await moving.all()
