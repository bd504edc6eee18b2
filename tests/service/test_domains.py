"""Several routing domains as one house: whose a thing is, what is refused, and a configuration in parts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec.structs import replace

from router.app import App
from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Agent, Calendar, Channel, Config, Queue, Resort, Rule, from_bytes, to_bytes
from router.engine.plan import Plan, check_config
from router.engine.views import number_of
from router.errors import ConfigError, IllegalMove, JournalFailed, NoRoute, NotFound, RouterError, Unavailable
from router.service import writer as writer_module
from router.service.domains import desk as module
from router.service.domains.desk import Domain, DomainsDesk
from router.service.domains.parts import DomainSettings, joined, split
from router.settings import load
from tests.support.house import HeldJournal, House, arrive, house

CONFIG = Config(
    channels={"phone": Channel(), "email": Channel(cap=5, actions=("message",))},
    teams=("north", "south"),
    calendars={"office": Calendar(), "unused": Calendar()},
    queues={
        "orders": Queue(calendar="office"),
        "returns": Queue(calendar="office"),
        "repairs": Queue(),
    },
    rules=(
        Rule(name="vip", queue="returns", to=("+1",), when='attributes["vip"] == "yes"'),
        Rule(name="one", queue="orders", to=("+1", "+3")),
        Rule(name="two", queue="returns", to=("+2",)),
        Rule(name="mail", queue="repairs", channel=("email",)),
    ),
    default_queue="orders",
    agents={
        "ana": Agent(team="north"),
        "ben": Agent(team="south"),
        "cleo": Agent(),
    },
)
DEMO = Path(__file__).resolve().parents[2] / "config" / "dev.toml"
SETTINGS = {
    "south": DomainSettings(number=2, queues=("returns", "repairs"), teams=("south",)),
    "north": DomainSettings(number=1, queues=("orders",), teams=("north",), agents=("cleo",)),
}


class Town:
    """Two domains, each a real writer over a log of its own, and the desk over both."""

    def __init__(self, houses: dict[str, House], config: Config) -> None:
        self.houses = houses
        self.parts = split(config, SETTINGS)
        domains = [Domain(name, SETTINGS[name].number, h.writer, self.parts[name]) for name, h in houses.items()]
        self.desk = DomainsDesk(domains, SETTINGS, houses["north"].clock)

    async def ready(self, *agents: str) -> None:
        for agent in agents:
            await self.desk.ask(c.OpenSession(agent=agent, session=f"s-{agent}"))
            await self.desk.ask(c.SetState(agent=agent, state="ready"))

    async def call(self, name: str, to: str, **more: Any) -> int:
        return (await self.desk.ask(arrive(name, recipient=to, **more))).interaction


@asynccontextmanager
async def town(config: Config = CONFIG) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        houses = {name: await stack.enter_async_context(house(config=Config())) for name in SETTINGS}
        for name, part in split(config, SETTINGS).items():
            await houses[name].desk.ask(c.AssignNumbers(domain=SETTINGS[name].number))
            await houses[name].desk.ask(c.Configure(document=to_bytes(part)))
        yield Town(houses, config)


# --- configurations in parts ------------------------------------------------------------------------------------------


def test_the_parts_put_together_are_the_whole() -> None:
    parts = split(CONFIG, SETTINGS)
    assert [rule.name for rule in parts["south"].rules] == ["vip", "two", "mail"]
    assert set(parts["north"].agents) == {"ana", "cleo"}
    whole = joined(parts.values())
    assert replace(whole, queues=CONFIG.queues, agents=CONFIG.agents, calendars=CONFIG.calendars) == CONFIG
    assert whole.queues == CONFIG.queues
    assert whole.agents == CONFIG.agents
    assert whole.calendars == CONFIG.calendars


@pytest.mark.promise("RT-11")
def test_each_domain_decides_of_a_contact_what_the_whole_list_of_rules_decides() -> None:
    chance = random.Random(1203)
    queues = [f"q{n}" for n in range(6)]
    for _ in range(60):
        rules = tuple(
            Rule(
                name=f"r{n}",
                queue=chance.choice(queues),
                to=tuple(chance.sample(["+1", "+2", "+3"], chance.randint(0, 2))),
                channel=tuple(chance.sample(["phone", "email"], chance.randint(0, 1))),
            )
            for n in range(chance.randint(0, 8))
        )
        config = replace(
            CONFIG,
            queues={name: Queue() for name in queues},
            rules=rules,
            agents={},
            default_queue=chance.choice([None, *queues]),
        )
        shuffled = chance.sample(queues, 6)
        domains = {f"d{n}": DomainSettings(number=n, queues=tuple(shuffled[n::3])) for n in range(3)}
        whole, parts = check_config(config), split(config, domains)
        again = Plan(joined(parts.values()))
        for channel in ("phone", "email"):
            for to in ("+1", "+2", "+3", "+4"):
                ask = c.Arrive(channel=channel, threads=("x",), recipient=to)
                try:
                    wanted = whole.route(ask)
                except NoRoute:
                    with pytest.raises(NoRoute):
                        again.route(ask)
                    continue
                owner = next(name for name, d in domains.items() if wanted.queue in d.queues)
                assert again.route(ask) == Plan(parts[owner]).route(ask) == wanted


MISTAKES = [
    ({"north": replace(SETTINGS["north"], number=2)}, "domains.north.number: expected a number of its own"),
    ({"north": replace(SETTINGS["north"], queues=())}, "domains: expected a domain for the queue 'orders'"),
    ({"north": replace(SETTINGS["north"], agents=())}, "domains: expected a domain for the agent 'cleo'"),
    ({"north": replace(SETTINGS["north"], queues=("orders", "x"))}, "domains.north.queues: expected queues of this"),
    ({"north": replace(SETTINGS["north"], teams=("west",))}, "domains.north.teams: expected teams of this"),
    (
        {"north": replace(SETTINGS["north"], teams=("north", "south"))},
        "domains.north.teams: expected no agent who is in south, too, found 'ben' (domains.south.teams)",
    ),
    (
        {"north": replace(SETTINGS["north"], agents=("cleo", "ben"))},
        "domains.north.agents: expected no agent who is in south, too, found 'ben' (domains.south.teams)",
    ),
    (
        {"north": replace(SETTINGS["north"], queues=("orders", "repairs"))},
        "domains.north.queues: expected nothing that is in south, too",
    ),
]


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(("change", "said"), MISTAKES, ids=[said for _, said in MISTAKES])
def test_domains_that_cannot_be_are_refused_with_the_path(change: dict[str, DomainSettings], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        split(CONFIG, SETTINGS | change)
    assert str(refused.value).startswith(said)


def test_nothing_in_a_domain_may_name_what_is_in_another() -> None:
    queues = CONFIG.queues | {"orders": Queue(when_full=Resort("move", "returns"), max_length=3)}
    with pytest.raises(ConfigError) as refused:
        split(replace(CONFIG, queues=queues), SETTINGS)
    assert str(refused.value).startswith("domains.north: queues.orders.when_full.queue: expected")
    assert "nothing of another routing domain" in str(refused.value)


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(
    ("domains", "said"),
    [
        ({}, "--domains: expected nothing, since this configuration has no [domains], found 'nort'"),
        (SETTINGS, "--domains: expected 'north', found 'nort'"),
    ],
)
def test_a_process_is_not_started_for_a_domain_that_is_none(domains: dict[str, DomainSettings], said: str) -> None:
    loaded = load(DEMO)
    with pytest.raises(ConfigError) as refused:
        App(replace(loaded, settings=replace(loaded.settings, domains=domains)), domains=frozenset({"nort"}))
    assert str(refused.value).startswith("domains: expected engines and edges" if domains else said)  # both roles
    with pytest.raises(ConfigError) as refused:
        replace(loaded.settings, domains=domains).check_domains(("nort",))
    assert str(refused.value) == said


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("DU-5")
async def test_no_number_of_one_domain_is_one_of_another() -> None:
    async with town() as t:
        await t.ready("ana", "ben")
        assert await t.call("a", "+1") == 1_000_000_001
        assert await t.call("b", "+2") == 2_000_000_001
        offers = [offer for h in t.houses.values() for offer in h.writer.engine.state.offers]
        assert sorted(offers) == [1_000_000_001, 2_000_000_001]
        written = await t.call("m", "x", channel="email")
        await t.desk.ask(c.Accept(agent="ben", offer=2_000_000_002))
        await t.desk.ask(c.Say(agent="ben", interaction=written, message=e.Message("soon")))
        (letter,) = t.desk.outbounds()
        assert letter.outbound // 1_000_000_000_000 == 2
        assert [effect for what, effect in t.houses["south"].heard if what == "post"] == [letter]
        await t.desk.ask(c.SettleOutbound(outbound=letter.outbound))
        assert t.desk.outbounds() == []


async def test_a_log_is_of_the_domain_that_it_began_with() -> None:
    async with town() as t:
        north = t.houses["north"]
        assert (await north.desk.ask(c.AssignNumbers(domain=1))).interaction == 0
        with pytest.raises(IllegalMove, match="of routing domain 1 and cannot become that of 3"):
            await north.desk.ask(c.AssignNumbers(domain=3))
    async with house() as old:
        await old.desk.ask(arrive("c1"))
        await old.desk.ask(c.AssignNumbers(domain=0))
        with pytest.raises(IllegalMove, match="of routing domain 0"):
            await old.desk.ask(c.AssignNumbers(domain=3))
        assert (await old.desk.ask(arrive("c2"))).interaction == 2, "numbers go on as they always did"


# --- whose it is ------------------------------------------------------------------------------------------------------


def test_every_command_has_its_way() -> None:
    ways = [*module.WHOSE, *module.SEVERAL, *module.NOT_HERE]
    assert set(ways) == set(get_args(c.AnyCommand))
    assert len(ways) == len(set(ways)), "one way each"


@pytest.mark.promise("IN-3")
async def test_what_comes_again_finds_its_domain_although_its_address_has_moved() -> None:
    async with town() as t:
        first = await t.call("a", "+1")
        rules = tuple(replace(r, queue="returns") if r.name == "one" else r for r in CONFIG.rules)
        await t.desk.ask(c.Configure(document=to_bytes(replace(CONFIG, rules=rules))))
        again = await t.desk.ask(arrive("a", recipient="+1"))
        assert (again.interaction, again.duplicate) == (first, True)
        joined_it = await t.desk.ask(c.Arrive(key="k2", channel="phone", threads=("phone:a",), recipient="+2"))
        assert (joined_it.interaction, joined_it.joined) == (first, True), "an answer finds its question"
        assert await t.call("b", "+1") == 2_000_000_001


async def test_while_a_domain_is_away_nobody_is_told_that_something_of_it_does_not_exist() -> None:
    async with town() as t:
        t.houses["south"].writer.failed = "away"
        asked: tuple[c.AnyCommand, ...] = (
            c.Leave(thread="phone:never-heard-of"),
            c.OpenSession(agent="dan", session="s"),
            arrive("b", recipient="+2"),
            c.MergeCustomers(customer="tel:+1", other="tel:+2", by="operator:sam"),
        )
        for ask in asked:
            with pytest.raises(Unavailable):
                await t.desk.ask(ask)
        assert await t.call("a", "+1") == 1_000_000_001, "the other one goes on"
        t.houses["south"].writer.failed = ""
        with pytest.raises(NotFound):
            await t.desk.ask(c.Leave(thread="phone:never-heard-of"))


@pytest.mark.promise("MV-1")
async def test_nothing_leaves_its_domain() -> None:
    async with town() as t:
        await t.ready("ana", "ben")
        number = await t.call("a", "+1")
        elsewhere: list[c.AnyCommand] = [
            c.Transfer(interaction=number, to=c.Target(queue="returns"), by="operator:sam"),
            c.Assign(interaction=number, agent="ben", by="operator:sam"),
            c.Consult(agent="ana", interaction=number, to=c.Target(agent="ben")),
        ]
        for ask in elsewhere:
            with pytest.raises(IllegalMove, match="a contact cannot leave its domain"):
                await t.desk.ask(ask)
        with pytest.raises(RouterError) as unknown:
            await t.desk.ask(c.Transfer(interaction=number, to=c.Target(queue="nowhere"), by="operator:sam"))
        assert "domain" not in str(unknown.value), "names that nobody knows are no matter of domains"


async def test_an_agent_who_moves_finishes_where_they_were_and_begins_where_they_are() -> None:
    async with town() as t:
        await t.ready("ana")
        number = await t.call("a", "+1")
        await t.desk.ask(c.Accept(agent="ana", offer=1_000_000_001))
        agents = CONFIG.agents | {"ana": Agent(team="south")}
        await t.desk.ask(c.Configure(document=to_bytes(replace(CONFIG, agents=agents))))
        await t.ready("ana")
        assert t.desk.agent("ana").sessions == 1
        assert [view.agent for view in t.desk.agents()] == ["ana", "ben", "cleo"]
        assert await t.call("b", "+2") == 2_000_000_001
        await t.desk.ask(c.Complete(agent="ana", interaction=number))
        assert t.desk.interaction(number).state == "closed"
        await t.desk.ask(c.Accept(agent="ana", offer=2_000_000_001))
        await t.desk.ask(c.CloseSession(agent="ana", session="s-ana"))


# --- lists and acts of the whole house --------------------------------------------------------------------------------


@pytest.mark.promise("OB-2")
async def test_lists_are_of_all_domains_and_pages_follow_one_another() -> None:
    async with town() as t:
        assert t.desk.portion("", "", 0, 10)[0] == [], "a log without contacts is no billion of numbers long"
        wanted = [await t.call(f"n{n}", "+1") for n in range(5)] + [await t.call(f"s{n}", "+2") for n in range(4)]
        assert [number_of(view.id, "i") for view in t.desk.interactions()] == wanted
        found: list[int] = []
        after, looks = 0, 0
        while looks == 0 or after:
            views, after = t.desk.portion("", "", after, 2)
            found += [number_of(view.id, "i") for view in views]
            looks += 1
            assert looks < 20
        assert found == wanted
        assert {view.queue: view.waiting for view in t.desk.queues()} == {"orders": 5, "returns": 4, "repairs": 0}
        assert [view.queue for view in t.desk.interactions(queue="returns")] == ["returns"] * 4
        with pytest.raises(NotFound):
            t.desk.interaction(7)
        assert t.desk.find("phone:s1") == wanted[6]
        assert t.desk.routes("phone", "+2")


@pytest.mark.promise("EX-2")
async def test_why_an_agent_of_another_domain_has_not_got_it_is_no_riddle() -> None:
    async with town() as t:
        await t.ready("ana", "ben")
        number = await t.call("a", "+1")
        assert t.desk.why_not(number, "ana")["code"] == "is-offered"
        told = t.desk.why_not(number, "ben")
        assert (told["interaction"], told["agent"], told["code"]) == (f"i-{number}", "ben", "other-domain")
        assert told["reason"] == "ben is of routing domain south, this contact of north, and nothing leaves its domain"
        for unknown in ((number, "dan"), (number + 1, "ben"), (number + 1, "ana")):
            with pytest.raises(NotFound):
                t.desk.why_not(*unknown)


@pytest.mark.promise("MV-4")
async def test_an_agent_is_shown_what_waits_in_their_own_domain() -> None:
    async with town() as t:
        for name in ("a", "b", "c"):
            await t.call(name, "+1")
        second = await t.call("d", "+2")
        found, more = t.desk.queued_for("ben", 2)
        assert ([view.id for view in found], more) == ([f"i-{second}"], False)
        found, more = t.desk.queued_for("ana", 2)
        assert ([view.id for view in found], more) == (["i-1000000001", "i-1000000002"], True)


@pytest.mark.promise("IN-6")
async def test_one_customer_is_joined_in_every_domain_that_knows_them() -> None:
    async with town() as t:
        for name, to in (("a", "+1"), ("b", "+2")):
            await t.call(name, to, identities=("tel:+49",))
        await t.call("c", "+1", identities=("mailto:eva@example.org",))
        await t.desk.ask(c.MergeCustomers(customer="tel:+49", other="mailto:eva@example.org", by="operator:sam"))
        view = t.desk.customer("mailto:eva@example.org")
        assert set(view.identities) == {"tel:+49", "mailto:eva@example.org"}
        assert set(view.interactions) == {"i-1000000001", "i-1000000002", "i-2000000001"}
        with pytest.raises(NotFound):
            t.desk.customer("tel:+999")


async def test_a_customer_has_one_card_wherever_it_was_written() -> None:
    async with town() as t:
        await t.call("b", "+2", identities=("tel:+49",))
        card = {"name": "Eva"}
        await t.desk.ask(c.DescribeCustomer(identity="tel:+49", fields=card, version=0, by="agent:ben"))
        await t.call("a", "+1", identities=("tel:+49",))
        assert t.desk.customer("tel:+49").card.fields == card, "although a domain before it knows them now"
        with pytest.raises(IllegalMove, match="changed meanwhile"):
            await t.desk.ask(c.DescribeCustomer(identity="tel:+49", fields={}, version=0, by="agent:ana"))
        more = {"mail": "eva@example.org"}
        await t.desk.ask(c.DescribeCustomer(identity="tel:+49", fields=more, version=1, by="agent:ana"))
        assert t.desk.customer("tel:+49").card.fields == card | more


@pytest.mark.promise("IN-6", "DU-5")
async def test_a_card_is_written_on_while_a_domain_that_has_no_part_in_it_is_away() -> None:
    async with town() as t:
        await t.call("a", "+1", identities=("tel:+49",))
        await t.call("b", "+2", identities=("tel:+48",))
        t.houses["south"].writer.failed = "away"
        card = {"name": "Eva"}
        await t.desk.ask(c.DescribeCustomer(identity="tel:+49", fields=card, version=0, by="agent:ana"))
        assert t.desk.customer("tel:+49").card.fields == card
        with pytest.raises(
            Unavailable, match="kept in routing domain south, which is out of reach; nothing was changed"
        ):
            await t.desk.ask(c.DescribeCustomer(identity="tel:+48", fields=card, version=0, by="agent:ana"))
        with pytest.raises(Unavailable, match=r"no customer is known by 'tel:.47', and routing domain south is out of"):
            t.desk.customer("tel:+47")


@pytest.mark.promise("IN-6")
async def test_two_cards_of_one_customer_become_one_as_they_are_written_on() -> None:
    async with town() as t:
        await t.call("a", "+1", identities=("tel:+49",))
        await t.call("b", "+2", identities=("tel:+49",))
        north, south = (t.houses[name] for name in ("north", "south"))

        async def write(version: int, **fields: str) -> None:
            await t.desk.ask(c.DescribeCustomer(identity="tel:+49", fields=fields, version=version, by="agent:ana"))

        await south.desk.ask(c.DescribeCustomer(identity="tel:+49", fields={"a": "s", "b": "s"}, version=0, by="x"))
        await north.desk.ask(c.DescribeCustomer(identity="tel:+49", fields={"a": "n"}, version=0, by="x"))
        await north.desk.ask(c.DescribeCustomer(identity="tel:+49", fields={"d": "n"}, version=1, by="x"))
        assert t.desk.customer("tel:+49").card.fields == {"a": "n", "b": "s", "d": "n"}
        south.writer.failed = "away"
        await write(2, a="new")
        with pytest.raises(Unavailable, match="kept in routing domain south"):
            await write(3, b="")
        south.writer.failed = ""
        assert t.desk.customer("tel:+49").card.fields == {"a": "new", "b": "s", "d": "n"}
        await write(3, b="", d="newer")
        assert t.desk.customer("tel:+49").card.fields == {"a": "new", "d": "newer"}
        with pytest.raises(IllegalMove, match="changed meanwhile"):
            await write(3, a="")
        await write(4, a="")
        assert t.desk.customer("tel:+49").card.fields == {"d": "newer"}, "nothing comes to light again"


async def test_an_emergency_closes_what_goes_by_the_calendar_everywhere() -> None:
    async with town() as t:
        await t.desk.ask(c.CloseCalendar(calendar="office", by="operator:sam"))
        (office,) = [view for view in t.desk.calendars() if view.calendar == "office"]
        assert office.emergency
        assert set(office.queues) == {"orders", "returns"}
        await t.desk.ask(c.OpenCalendar(calendar="office", by="operator:sam"))
        assert not any(view.emergency for view in t.desk.calendars())


async def test_an_announcement_reaches_agents_of_all_domains() -> None:
    async with town() as t:
        await t.ready("ana", "ben")
        await t.desk.ask(c.Announce(agents=("ana", "ben", "cleo"), text="lunch", by="operator:sam"))
        told = {
            news.agent
            for h in t.houses.values()
            for what, news in h.heard
            if what == "tell" and isinstance(news.event, e.Announced)
        }
        assert told == {"ana", "ben"}


@pytest.mark.promise("RT-12")
async def test_a_configuration_comes_into_force_everywhere_or_nowhere() -> None:
    async with town() as t:
        version, document = t.desk.configuration()
        assert from_bytes(document).rules == CONFIG.rules
        assert t.desk.decides_by(to_bytes(CONFIG))
        wanted = replace(CONFIG, queues=CONFIG.queues | {"orders": Queue(weight=2.0), "returns": Queue(weight=3.0)})
        assert not t.desk.decides_by(to_bytes(wanted))
        assert set((await t.desk.foresee(to_bytes(wanted))).agents.values()) <= {0}
        t.houses["south"].writer.failed = "away"
        with pytest.raises(Unavailable, match="nothing was changed"):
            await t.desk.ask(c.Configure(document=to_bytes(wanted)))
        assert t.desk.configuration() == (version, document)
        t.houses["south"].writer.failed = ""
        await t.call("b", "+2")
        without = replace(
            CONFIG, queues={"orders": Queue(), "repairs": Queue()}, rules=(), calendars={}, default_queue=None
        )
        with pytest.raises(ConfigError):
            await t.desk.ask(c.Configure(document=to_bytes(without)))
        assert t.desk.configuration() == (version, document)
        await t.desk.ask(c.Configure(document=to_bytes(wanted)))
        assert t.desk.configuration()[0] == version + 2
        assert t.desk.decides_by(to_bytes(wanted))


# --- stepping aside ---------------------------------------------------------------------------------------------------


@pytest.mark.promise("DU-5", "DU-6")
async def test_who_steps_aside_answers_what_was_decided_and_decides_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer_module, "RETRY_S", 0.01)
    async with house() as h:
        held = h.journal
        assert isinstance(held, HeldJournal)
        held.hold()
        before = h.ask(arrive("c1"))
        given: list[int] = []

        def hand_over() -> None:
            given.append(h.journal.last_seq)

        stepping = asyncio.ensure_future(h.writer.step_aside(hand_over, "standby: handed over"))
        await h.until(lambda: h.writer.draining)
        during = h.ask(arrive("c2"))
        await h.until(lambda: during)
        assert isinstance(during[0], Unavailable)
        assert (before, given) == ([], []), "not before what was decided is durable"
        held.release()
        await stepping
        assert not isinstance(before[0], RouterError)
        assert given == [h.writer.durable_seq], "and nothing came after"
        assert h.failures == ["standby: handed over"]
        await h.until(lambda: not h.writer.failed)
        assert (await h.desk.ask(arrive("c2"))).interaction == 2, "it may lead again when the log is free"


async def test_who_cannot_hand_over_goes_on() -> None:
    async with house() as h:

        def hand_over() -> None:
            raise JournalFailed("there is no Redis")

        with pytest.raises(JournalFailed):
            await h.writer.step_aside(hand_over, "standby: handed over")
        assert (await h.desk.ask(arrive("c1"))).interaction == 1
        assert h.failures == []
