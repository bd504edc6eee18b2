"""What a gateway cannot do is refused when it is asked for, and not found out by a caller."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.phone import telephones
from channels.phone.kinds import KINDS
from channels.phone.telephones import can_ring, described
from router.engine import commands as c
from router.engine.config import Agent, Channel, Config, Queue, Reach, Rule
from router.engine.lookups import agent_view, interaction_view
from router.engine.requirements import Node
from router.errors import BadMessage, ConfigError, NotSupported
from router.settings import from_data
from tests.engine.support.office import Office

SECRETS = {"secrets": ["dev-secret"]}
DRIVEN = {"control_url": "http://127.0.0.1:1/", "public_url": "https://router.example.org", "account": "AC1"}


def house(kind: str, endpoint: str = "", **gateway: Any) -> dict[str, Any]:
    return {
        "channels": {"phone": {}},
        "agents": {"ana": {"endpoint": endpoint}},
        "phone": {"gateways": {"main": SECRETS | {"kind": kind} | gateway}},
    }


# --- hold -------------------------------------------------------------------------------------------------------------


@pytest.mark.promise("MV-1")
@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_held_is_known_from_the_gateways(kind: str) -> None:
    unheld = from_data(house(kind, **DRIVEN)).config.channels["phone"].unheld
    assert unheld == (() if "hold" in KINDS[kind].orders else ("phone.main:",))
    quiet = {name: value for name, value in DRIVEN.items() if name != "control_url"}
    assert from_data(house(kind, **quiet)).config.channels["phone"].unheld == ()


@pytest.mark.promise("MV-1")
def test_an_agent_who_asks_to_hold_such_a_call_is_told_so_and_nothing_changes() -> None:
    config = Config(
        channels={"phone": Channel(exclusive=True, unheld=("phone.sip:",))},
        queues={"support": Queue()},
        rules=(Rule(name="all", queue="support"),),
        agents={"ana": Agent(), "ben": Agent()},
    )
    office = Office(config, ready=("ana", "ben"))
    able = office.active("phone", threads=("phone.pbx:1",))
    unable = office.active("phone", threads=("phone.sip:1",))
    owner = {number: office.item(number).owner for number in (able, unable)}
    office.do(c.Hold(agent=owner[able], interaction=able))
    assert office.item(able).held
    with pytest.raises(NotSupported, match=r"the gateway phone\.sip cannot hold a contact"):
        office.do(c.Hold(agent=owner[unable], interaction=unable))
    assert not office.item(unable).held
    shown = [interaction_view(office.state, office.item(number)).unable for number in (able, unable)]
    assert shown == [(), ("hold",)], "and need not have asked"


# --- outside addresses ------------------------------------------------------------------------------------------------


def reaching(kind: str, **gateway: Any) -> Channel:
    reaches = from_data(house(kind, **gateway)).config.channels["phone"].reaches
    return Channel(exclusive=True, reaches=reaches, actions=("transferred", "consulted"))


def talking(channel: Channel) -> tuple[Office, int, str]:
    queues, rules = {"support": Queue()}, (Rule(name="all", queue="support"),)
    config = Config(channels={"phone": channel}, queues=queues, rules=rules, agents={"ana": Agent()})
    office = Office(config, ready=("ana",))
    number = office.active("phone", threads=("phone.main:1",))
    return office, number, office.item(number).owner


@pytest.mark.promise("MV-1")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ask", [c.Transfer, c.Consult])
def test_an_address_that_the_gateway_cannot_reach_is_refused_when_it_is_asked_for(kind: str, ask: Any) -> None:
    office, number, ana = talking(reaching(kind, **DRIVEN))
    for form, addresses in GOOD.items():
        if kind == "generic" or form in KINDS[kind].rings:
            continue
        with pytest.raises(BadMessage, match=r"phone\.main reaches sip:NAME@HOST"):
            office.do(ask(agent=ana, interaction=number, to=c.Target(address=addresses[0])))
        assert office.state_of(number) == "active"
    office.do(ask(agent=ana, interaction=number, to=c.Target(address="sip:desk@example.org")))
    assert office.state.consults or office.state_of(number) == "closed"


@pytest.mark.promise("MV-1")
def test_a_gateway_that_is_told_nothing_transfers_to_nowhere() -> None:
    office, number, ana = talking(reaching("twilio", public_url="https://router.example.org"))
    with pytest.raises(NotSupported, match=r"phone\.main cannot connect a contact to an address"):
        office.do(c.Transfer(agent=ana, interaction=number, to=c.Target(address="sip:desk@example.org")))
    assert office.state_of(number) == "active"


@given(st.text(max_size=40))
def test_the_pattern_of_addresses_says_the_same_as_what_can_be_rung(text: str) -> None:
    for kind in KINDS.values():
        assert bool(re.fullmatch(telephones.pattern(kind.rings), text)) == can_ring(text, kind.rings)


# --- agents without a telephone ---------------------------------------------------------------------------------------


def warned(kind: str, agent: Agent, queue: Queue, gateway: dict[str, Any] = DRIVEN) -> tuple[str, ...]:
    """What Ana is told when she signs in."""
    phone = from_data(house(kind, **gateway)).config.channels["phone"]
    mail = Channel(actions=("transferred",), reaches=(Reach("mail:", "[^@]+@[^@]+", "an address"),))
    config = Config(
        channels={
            "phone": Channel(exclusive=True, reaches=phone.reaches, actions=phone.actions),
            "chat": Channel(),
            "email": mail,  # it can be given to an address, and connects nobody
        },
        skills=("support",),
        queues={"support": queue},
        rules=(Rule(name="all", queue="support"),),
        agents={"ana": agent},
    )
    office = Office(config)
    office.do(c.OpenSession(agent="ana", session="s"))
    return agent_view(office.state, office.state.agents["ana"]).warnings


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"generic"}))
def test_an_agent_without_a_telephone_whom_calls_will_be_offered_hears_of_it_at_sign_in(kind: str) -> None:
    [warning] = warned(kind, Agent(), Queue())
    assert "you have no endpoint: phone contacts of phone.main cannot be connected with you" in warning
    assert f"agents.ana.endpoint: expected {described(KINDS[kind].rings)}" in warning


@pytest.mark.promise("OB-4")
def test_nobody_else_is_warned() -> None:
    support = Queue(requirement=Node(skill="support"))
    assert warned("twilio", Agent(endpoint="client:ana"), Queue()) == ()
    assert warned("twilio", Agent(), support) == (), "calls go to others"
    assert warned("twilio", Agent(caps={"phone": 0}), Queue()) == (), "takes no calls"
    assert warned("generic", Agent(), Queue()) == (), "such a gateway may know agents by name"
    quiet = {name: value for name, value in DRIVEN.items() if name != "control_url"}
    assert warned("twilio", Agent(), Queue(), quiet) == (), "it is not told whom to connect"
    assert warned("twilio", Agent(skills={"support": 1}), support) != ()


# --- telephones -------------------------------------------------------------------------------------------------------

GOOD = {
    "sip": (
        "sip:ana@10.0.0.7",
        "sips:ana@desk.example.org:5061;transport=tls",
        "sip:desk.example.org",
        "sip:a@[::1]:5060",
    ),
    "number": ("+493012345678", "+15550199"),
    "client": ("client:ana",),
    "user": ("user:ana@example.org",),
    "leg": ("leg:ana",),
}
BAD = (
    "ana",
    "sip:",
    "sip:ana@",
    "sip:a b@c",
    "tel:+15550199",
    "+49 30 1234",
    "+",
    "015550199",
    "client:",
    "user:ana",
    "leg:",
)


@pytest.mark.parametrize("form", GOOD)
def test_each_form_is_taken_where_it_can_be_rung_and_nowhere_else(form: Any) -> None:
    others = telephones.ALL - {form}
    for endpoint in GOOD[form]:
        assert can_ring(endpoint, frozenset({form}))
        assert not can_ring(endpoint, others)


@pytest.mark.parametrize("endpoint", BAD)
def test_what_is_none_is_taken_nowhere(endpoint: str) -> None:
    assert not can_ring(endpoint, telephones.ALL)


@given(st.text(max_size=40))
def test_any_text_is_a_telephone_or_not(text: str) -> None:
    assert can_ring(text, telephones.ALL) == any(can_ring(text, frozenset({form})) for form in telephones.ALL)


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize("kind", KINDS)
def test_a_telephone_that_no_gateway_can_ring_is_refused_with_the_configuration(kind: str) -> None:
    from_data(house(kind, "", **DRIVEN))
    for form, endpoints in GOOD.items():
        data = house(kind, endpoints[0], **DRIVEN)
        if form in KINDS[kind].rings:
            from_data(data)
            continue
        with pytest.raises(ConfigError) as refused:
            from_data(data)
        assert refused.value.path == "agents.ana.endpoint"
        assert described(KINDS[kind].rings) in str(refused.value)
        assert endpoints[0] in str(refused.value)


@pytest.mark.promise("OB-4")
def test_one_gateway_that_can_is_enough_and_one_that_takes_no_orders_rings_nobody() -> None:
    data = house("kamailio", "client:ana", **DRIVEN)
    data["phone"]["gateways"]["cloud"] = SECRETS | {"kind": "twilio"} | DRIVEN
    from_data(data)
    from_data(house("generic", "whatever it calls it"))
