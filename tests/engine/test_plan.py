"""The routing plan: ordered rules, typed when they are loaded, errors with the dotted path."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import config
from router.engine.config import Band, Channel, Config, Queue, Rule, to_bytes
from router.engine.plan import check_config
from router.engine.requirements import Node
from router.errors import ConfigError, NoRoute
from tests.engine.support.office import OFFICE, Office, given, seconds


def with_rules(*rules: Rule, **more: Any) -> Config:
    return replace(OFFICE, rules=rules, **more)


def route(plan: Config, **contact: Any) -> tuple[str, str]:
    """(queue, rule) of a contact."""
    ask = c.Arrive(**{"channel": "email", "threads": ("t",), **contact})
    found = check_config(plan).route(ask)
    return found.queue, found.rule


# --- deciding ---------------------------------------------------------------------------------------------------------


@pytest.mark.promise("RT-11")
def test_the_first_rule_that_holds_decides() -> None:
    plan = with_rules(
        Rule("calls", "sales", channel=("phone",)),
        Rule("first", "sales", to=("a",)),
        Rule("second", "support", to=("a", "b")),
    )
    assert route(plan, recipient="a") == ("sales", "first")
    assert route(plan, recipient="b") == ("support", "second")
    assert route(plan, channel="phone", recipient="b") == ("sales", "calls")
    assert route(plan, recipient="c") == ("support", "")


@pytest.mark.promise("RT-11")
def test_all_conditions_of_a_rule_must_hold() -> None:
    rule = Rule("r", "sales", channel=("email",), to=("a",), when='language == "es"')
    assert route(with_rules(rule), recipient="a", language="es") == ("sales", "r")
    assert route(with_rules(rule), recipient="a", language="en")[0] == "support"
    assert route(with_rules(rule), recipient="b", language="es")[0] == "support"
    assert route(with_rules(rule), recipient="a", language="es", channel="chat")[0] == "support"


@pytest.mark.promise("RT-11")
@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ('from.endsWith("@example.org")', True),
        ('subject.contains("invoice") && channel == "email"', True),
        ('"tier" in attributes && attributes["tier"] == "gold"', True),
        ('attributes["tier"] in ["silver", "gold"]', True),
        ('int(attributes["age"]) > 17', True),
        ('attributes["absent"] == "x"', False),
        ('int(attributes["tier"]) > 3', False),
        ('auto != ""', False),
        ('to.matches("^support@")', True),
    ],
)
def test_an_expression_sees_the_contact(when: str, holds: bool) -> None:
    contact = {
        "sender": "kim@example.org",
        "recipient": "support@localhost",
        "subject": "my invoice",
        "attributes": {"tier": "gold", "age": "18"},
    }
    assert (route(with_rules(Rule("r", "sales", when=when)), **contact)[0] == "sales") is holds


@pytest.mark.promise("RT-11")
def test_without_a_rule_and_a_default_a_contact_is_refused_and_nothing_is_recorded() -> None:
    nowhere = replace(OFFICE, default_queue=None, rules=(Rule("r", "sales", to=("a",)),))
    ask = c.Arrive(channel="email", threads=("t",), recipient="z", key="mail:1")
    given(config=nowhere).when(ask).refuses(NoRoute, "add one, or set default_queue")


@pytest.mark.promise("RT-11", "DU-3")
def test_what_a_rule_says_goes_into_the_record() -> None:
    rule = Rule("gold", "support", band="urgent", weight=2, target=seconds(5), requirement=Node(skill="spanish"))
    office = Office(with_rules(rule))
    item = office.item(office.arrive())
    assert (item.queue, item.band, item.weight, item.target_ms) == ("support", "urgent", 2.0, 5_000)
    assert item.requirement == Node(skill="spanish")
    assert item.born.rule == "gold"


@pytest.mark.promise("RT-11")
def test_the_engine_does_not_ask_by_which_channel_something_came() -> None:
    office = Office(with_rules(*(Rule(name, "support", channel=(name,)) for name in OFFICE.channels)))
    for name in OFFICE.channels:
        assert office.item(office.arrive(name)).queue == "support"


@pytest.mark.promise("RT-11", "OB-4")
@pytest.mark.parametrize(
    ("when", "says"),
    [
        ('language = "es"', "at column 10 '=' means nothing; to compare, write == (token recognition error at: '= ')"),
        ('language == "es', "at column 13 a text begins that does not end well; look at its quotes and backslashes"),
        (
            'langage == "es"',
            "at column 1 there is nothing named 'langage'; did you mean 'language'? (undeclared reference to",
        ),
        ('to.startswith("+1")', "at column 14 there is nothing named 'startswith'; did you mean 'startsWith'?"),
        ('zzz == "es"', "at column 1 there is nothing named 'zzz' (undeclared"),
        ("language == 3", "at column 10 '==' does not go with (string, int) (found no matching overload"),
        ('(language == "es"', "at column 18 ')' is missing"),
        ("language ==", "at column 12 it ends where more has to follow (mismatched input '<EOF>')"),
        ('to == "a" and to == "b"', "at column 11 'and' cannot stand there; write && (mismatched input 'and'"),
        ('to == "a" &&\n  frm == "b"', "at line 2, column 3 there is nothing named 'frm'; did you mean 'from'?"),
        ("1" * 30 + " == 1", "at column 1: invalid int literal"),
    ],
)
def test_an_expression_that_is_not_understood_is_told_with_its_place_and_a_way_out(when: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_config(with_rules(Rule("a", "sales", when=when)))
    assert refused.value.path == "rules[0].when"
    assert refused.value.found.startswith(f"{when!r}: {says}")
    assert not {"INVALID_ARGUMENT", "...^", "NUM_FLOAT"} & set(refused.value.found.split())


# --- refusing a configuration -----------------------------------------------------------------------------------------


@pytest.mark.promise("RT-11", "OB-4", "RT-3")
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (with_rules(Rule("r", "suport")), "rules[0].queue: expected the queue 'support', found 'suport'"),
        (with_rules(Rule("a", "sales"), Rule("b", "sales", band="urgnt")), "rules[1].band: expected the band 'urgent'"),
        (with_rules(Rule("a", "sales"), Rule("a", "sales")), "rules[1].name: expected a name that no other rule has"),
        (with_rules(Rule("a", "sales", channel=("emial",))), "rules[0].channel: expected the channel 'email'"),
        (with_rules(Rule("a", "sales", target=seconds(0))), "rules[0].target: expected a duration longer than 0s"),
        (with_rules(Rule("a", "sales", when="subjet == 'x'")), "rules[0].when: expected a CEL expression"),
        (with_rules(Rule("a", "sales", when="subject + 1")), "rules[0].when: expected a CEL expression"),
        (with_rules(Rule("a", "sales", when="subject")), "rules[0].when: expected a CEL expression that is true or"),
        (with_rules(Rule("a", "sales", when="channel ==")), "rules[0].when: expected a CEL expression"),
        (
            with_rules(Rule("a", "sales", requirement=Node(any=(Node(skill="x"),)))),
            "rules[0].requirement.any[0].skill: expected a requirement that uses known names, found there is no skill "
            "'x'",
        ),
        (replace(OFFICE, default_queue="x"), "default_queue: expected a known queue (sales, support), found 'x'"),
        (replace(OFFICE, bands=()), "bands: expected at least one band"),
        (replace(OFFICE, bands=(Band("a"), Band("a"))), "bands: expected names that differ"),
        (replace(OFFICE, default_band="x"), "default_band: expected a known band"),
        (replace(OFFICE, channels={f"c{i}": Channel() for i in range(17)}), "channels: expected at most 16 channels"),
        (replace(OFFICE, channels={"chat": Channel(target=seconds(0))}), "channels.chat.target: expected a duration"),
        (
            replace(OFFICE, queues={**OFFICE.queues, "q": Queue(requirement=Node(team=("rad",)))}),
            "queues.q.requirement.team: expected a requirement that uses known names, found there is no team 'rad'",
        ),
        (
            replace(OFFICE, queues={**OFFICE.queues, "q": Queue(targets={"chatt": seconds(1)})}),
            "queues.q.targets.chatt: expected the channel 'chat'",
        ),
        (
            replace(OFFICE, queues={**OFFICE.queues, "q": Queue(offer_timeout=seconds(0))}),
            "queues.q.offer_timeout: expected a duration longer than 0s",
        ),
        (
            replace(OFFICE, agents={"ana": config.Agent(skills={"suport": 1})}),
            "agents.ana.skills.suport: expected the skill 'support', found 'suport'",
        ),
        (replace(OFFICE, agents={"ana": config.Agent(team="x")}), "agents.ana.team: expected a known team"),
        (
            replace(OFFICE, agents={"ana": config.Agent(caps={"fax": 1})}),
            "agents.ana.caps.fax: expected a known",
        ),
        (
            replace(OFFICE, agents={"ana": config.Agent(attributes={"sight": "x"})}),
            "agents.ana.attributes.sight: expected the attribute 'site'",
        ),
    ],
)
def test_a_wrong_configuration_is_refused_with_its_path_and_the_nearest_name(wrong: Config, says: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        check_config(wrong)
    assert str(refusal.value).startswith(says)
    given().when(c.Configure(document=to_bytes(wrong))).refuses(ConfigError)


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b'{"quueues": {}}',
        b'{"presence": {"grace": "30"}}',
        b'{"agents": {"Ana Smith": {}}}',
        b'{"queues": {"q": {"weight": 0}}}',
        b'{"presence": {"grace": "4000d"}}',
        b'{"queues": {"q": {"requirement": ' + b'{"not": ' * 50_000 + b"{}" + b"}" * 50_000 + b"}}}",
    ],
)
def test_a_document_that_is_no_configuration_is_refused(document: bytes) -> None:
    given().when(c.Configure(document=document)).refuses(ConfigError)


@pytest.mark.promise("OB-4")
def test_a_configuration_reads_back_as_it_was_written() -> None:
    full = with_rules(Rule("r", "sales", when='channel == "chat"', requirement=Node(skill="sales", level=3)))
    assert config.from_bytes(to_bytes(full)) == full
    assert msgspec.json.decode(to_bytes(full))["bands"][2]["cap"] == "10m"
