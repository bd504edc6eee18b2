"""What an agent's desk asks over HTTP about work in hand."""

from __future__ import annotations

import pytest

from router.engine import commands as c
from tests.accounts.conftest import House
from tests.http.views import agent_view


@pytest.mark.promise("MV-5")
async def test_an_agent_promises_a_call_to_a_customer_of_their_own(house: House) -> None:
    house.add("ana", "agent")
    house.desk.threads[""] = 1  # this desk has no telephones: it takes the order as one about i-1
    token = await house.sign_in("ana")
    status, said = await house.post("/v1/desk/callbacks", {"interaction": "i-1", "to": "+15550177"}, token)
    assert (status, said) == (200, {"to": "+15550177"})
    asked = house.desk.commands[-1]
    assert isinstance(asked, c.RequestCallback)
    assert (asked.to, asked.queue, asked.by, asked.channel) == ("+15550177", "support", "agent:ana", "phone")
    assert house.acts()[-1] == ("agent:ana", "callback", "i-1")
    assert (await house.post("/v1/desk/callbacks", {"interaction": "i-2", "to": "+15550177"}, token))[0] == 403
    status, said = await house.post("/v1/desk/callbacks", {"interaction": "i-1", "to": "555-0177"}, token)
    assert status == 422
    assert "a telephone number in E.164 form" in said["detail"]


async def test_an_agent_sees_the_past_of_their_own_customers_only(house: House) -> None:
    house.add("ana", "agent")
    token = await house.sign_in("ana")
    assert (await house.ask("GET", "/v1/desk/history/i-1", token))[0] == 200
    assert (await house.ask("GET", "/v1/desk/history/i-2", token))[0] == 403


@pytest.mark.promise("OB-5", "IN-6")
@pytest.mark.parametrize(
    ("contact", "token", "by"),
    [
        ("i-1", "ana-token", "agent:ana"),
        ("i-1", "op-token", "operator:olga"),
        ("i-3", "op-token", "operator:olga"),  # it waits: neither has an agent
        ("i-2", "both-token", "agent:ben"),
        ("i-3", "both-token", "operator:sam"),
    ],
)
async def test_a_card_says_who_wrote_on_it(house: House, contact: str, token: str, by: str) -> None:
    status, _ = await house.post(f"/v1/desk/customers/{contact}", {"version": 0, "fields": {"company": "ACME"}}, token)
    assert status == 200
    asked = house.desk.commands[-1]
    assert isinstance(asked, c.DescribeCustomer)
    assert asked.by == by


@pytest.mark.promise("OB-5")
async def test_who_reads_the_card_of_a_contact_that_nobody_has_is_in_the_audit(house: House) -> None:
    assert (await house.ask("GET", "/v1/desk/customers/i-3", "op-token"))[0] == 200
    assert house.acts()[-1] == ("operator:olga", "read", "i-3")
    assert (await house.ask("GET", "/v1/desk/customers/i-1", "ana-token"))[0] == 200
    assert house.acts()[-1] == ("operator:olga", "read", "i-3"), "who works on it reads without a word"


async def test_people_are_told_by_the_names_that_colleagues_know_them_by(house: House) -> None:
    """An account's own name first, then the agent's of the configuration; who has none stays as they sign in."""
    house.add("sue", "supervisor", shown="Sue Stein")
    house.add("ana", "agent", shown="Ana Alba")
    token = await house.sign_in("ana")
    status, found = await house.ask("GET", "/v1/desk/names?who=sue&who=ana&who=ben&who=nobody", token)
    assert (status, found) == (200, {"names": {"sue": "Sue Stein", "ana": "Ana Alba", "ben": agent_view("ben").name}})
    many = "&".join(f"who=a{n}" for n in range(51))
    assert (await house.ask("GET", f"/v1/desk/names?{many}", token))[0] == 422


@pytest.mark.promise("OB-5")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("who=sue", ["sue"]),
        ("who=SUE", ["sue"]),
        ("who=Sue Lind", ["sue", "susi"]),  # two who are called so
        ("who=%20sue lind%20", ["sue", "susi"]),
        ("who=supervisor:Sue Lind", ["sue"]),
        ("who=agent:Sue Lind", []),
        ("who=Émile Roux", ["emil"]),
        ("who=éMILE roux", ["emil"]),
        ("who=Sue", ["sue"]),
        ("who=Lind", []),
        ("subject=Sue Lind", ["sue", "susi"]),  # they signed in
        ("subject=I-3", ["emil"]),
        ("who=emil&subject=sue lind", []),
    ],
)
async def test_the_audit_finds_people_by_the_name_that_pages_show_and_whatever_the_case(
    house: House, query: str, found: list[str]
) -> None:
    house.add("sue", "supervisor", shown="Sue Lind")
    house.add("susi", "quality", shown="Sue Lind")
    house.add("emil", "supervisor", shown="Émile Roux")
    for name in ("sue", "susi", "emil"):
        await house.sign_in(name)
    emil = await house.sign_in("emil")
    await house.post("/v1/interactions/i-3/requeue", {}, emil)
    status, page = await house.ask("GET", f"/v1/audit?{query}", "op-token")
    assert status == 200
    assert sorted({act["who"].partition(":")[2] for act in page["acts"]}) == found


async def test_the_audit_finds_agents_as_the_configuration_names_them(house: House) -> None:
    await house.post("/v1/session", {"name": "ana", "password": "ana-token"})
    _, page = await house.ask("GET", "/v1/audit?who=ana berg", "op-token")
    assert [act["who"] for act in page["acts"]] == ["agent:ana"]
