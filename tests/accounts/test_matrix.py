"""Who may do what: every route of the operators' API against every role, and every subject against every team."""

from __future__ import annotations

from typing import Any

import pytest

from router.service.roles import ROLES, Role
from router.service.routes import described
from tests.accounts.conftest import House

# x: may ask. What becomes of it then (there is no such entry, the body says nothing) is no matter of rights.
MATRIX = """
                                            agent  helpdesk  supervisor  quality  operator
GET  /v1/interactions                         -       -          x          x         x
GET  /v1/interactions/{id}                    -       -          x          x         x
GET  /v1/interactions/{id}/content            -       -          x          x         x
GET  /v1/interactions/{id}/estimate           -       -          x          x         x
GET  /v1/interactions/{id}/explain            -       -          x          x         x
GET  /v1/interactions/{id}/why-not/{agent}    -       -          x          x         x
POST /v1/interactions/{id}/requeue            -       -          x          -         x
POST /v1/interactions/{id}/assign             -       -          x          -         x
POST /v1/interactions/{id}/close              -       -          x          -         x
POST /v1/interactions/{id}/transfer           -       -          x          -         x
POST /v1/interactions/{id}/priority           -       -          x          -         x
POST /v1/interactions/{id}/relax              -       -          x          -         x
POST /v1/interactions/{id}/note               -       -          x          -         x
POST /v1/interactions/{id}/join               -       -          x          -         x
POST /v1/interactions/{id}/take               -       -          x          -         x
POST /v1/broadcast                            -       -          x          -         x
GET  /v1/callbacks                            -       -          x          x         x
POST /v1/callbacks                            -       -          x          -         x
POST /v1/callbacks/{callback}/cancel          -       -          x          -         x
GET  /v1/agents                               -       x          x          x         x
GET  /v1/agents/{id}                          -       x          x          x         x
POST /v1/agents/{id}/state                    -       x          x          -         x
GET  /v1/queues                               -       x          x          x         x
GET  /v1/calendars                            -       x          x          x         x
POST /v1/calendars/{id}/close                 -       -          -          -         x
POST /v1/calendars/{id}/open                  -       -          -          -         x
GET  /v1/customers                            -       -          -          -         x
POST /v1/customers/merge                      -       -          -          -         x
POST /v1/customers/split                      -       -          -          -         x
GET  /v1/quarantine                           -       -          -          -         x
GET  /v1/quarantine/{id}                      -       -          -          -         x
GET  /v1/quarantine/{id}/raw                  -       -          -          -         x
POST /v1/quarantine/{id}/retry                -       -          -          -         x
POST /v1/quarantine/{id}/discard              -       -          -          -         x
DELETE /v1/quarantine/{id}                    -       -          -          -         x
GET  /v1/outbound                             -       -          -          -         x
POST /v1/outbound/{number}/retry              -       -          -          -         x
POST /v1/outbound/{number}/discard            -       -          -          -         x
GET  /v1/config                               -       -          -          -         x
POST /v1/config                               -       -          -          -         x
GET  /v1/domains                              -       -          -          -         x
POST /v1/domains/{domain}/move                -       -          -          -         x
GET  /v1/accounts                             -       x          -          -         x
POST /v1/accounts/{id}/disable                -       x          -          -         x
POST /v1/accounts/{id}/enable                 -       x          -          -         x
POST /v1/accounts/{id}/sign-out               -       x          -          -         x
GET  /v1/audit                                -       -          -          -         x
GET  /v1/audit/names                          -       -          -          -         x
GET  /v1/blobs/{digest}                       x       -          x          x         x
GET  /v1/blobs/{digest}/pages                 x       -          x          x         x
GET  /v1/blobs/{digest}/pages/{page}          x       -          x          x         x
POST /v1/blobs                                x       -          x          x         x
GET  /v1/desk/me                              x       x          x          x         x
GET  /v1/desk/floor                           x       x          x          x         x
GET  /v1/desk/names                           x       x          x          x         x
GET  /v1/desk/queues/{id}                     x       x          x          x         x
GET  /v1/desk/history/{id}                    x       -          x          x         x
GET  /v1/desk/customers/{id}                  x       -          x          x         x
POST /v1/desk/customers/{id}                  x       -          x          -         x
POST /v1/desk/callbacks                       x       -          -          -         -
GET  /v1/desk/waiting                         x       -          -          -         -
GET  /v1/session                              x       x          x          x         x
DELETE /v1/session                            x       x          x          x         x
POST /v1/session/ticket                       x       -          -          -         -
POST /v1/session/password                     x       x          x          x         x
"""
OPEN = {"/v1/openapi.json", "/v1/session/ways"}  # of no rights; POST /v1/session is the door itself
BODIES: dict[str, Any] = {
    "/desk/callbacks": {"interaction": "i-2", "to": "+15550199"},
    "/desk/customers/{id}": {"version": 0, "fields": {"company": "ACME"}},
    "/assign": {"agent": "ana"},
    "/move": {"to": "engine-2"},
    "/state": {"state": "ready"},
}


def rows() -> list[tuple[str, str, set[Role]]]:
    head, *lines = MATRIX.strip().splitlines()
    assert head.split() == list(ROLES)
    found = []
    for line in lines:
        method, path, *marks = line.split()
        assert len(marks) == len(ROLES), line
        found.append((method, path, {role for role, mark in zip(ROLES, marks, strict=True) if mark == "x"}))
    return found


def filled(path: str) -> str:
    given = {
        "{domain}": "north",
        "{id}": "i-3",
        "{agent}": "ana",
        "{callback}": "c-1",
        "{number}": "1",
        "{digest}": "0" * 64,
        "{page}": "1",
    }
    if "/agents/" in path:
        given["{id}"] = "ana"
    if "/desk/history" in path or "/desk/customers" in path:
        given["{id}"] = "i-2"
    if "/accounts/" in path:
        given["{id}"] = "ana"
    for name, value in given.items():
        path = path.replace(name, value)
    return path


def test_every_route_that_takes_a_token_is_in_the_matrix(house: House) -> None:
    """So that a new route cannot be forgotten here."""
    mounted = {
        (route.method, route.resource.canonical)
        for route in house.server.app.router.routes()
        if route.resource is not None and route.method != "HEAD" and described(route.handler) is not None
    }
    known = {(method, path) for method, path, _ in rows()}
    guarded = {at for at in mounted if at[1].startswith("/v1/") and at[1] not in OPEN and at != ("POST", "/v1/session")}
    assert guarded == known


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize("role", ROLES)
async def test_each_role_may_ask_what_the_matrix_says_and_nothing_else(house: House, role: Role) -> None:
    house.add("ana", "agent")
    for method, path, may in rows():
        who = house.add("kim", role, agent="ben" if role == "agent" else "")  # a session for each: some end it
        token, _ = house.door.accounts.begin(who, house.desk.now, 3_600_000, "")
        body = next((body for end, body in BODIES.items() if path.endswith(end)), dict[str, str]())
        before = len(house.desk.commands)
        status, said = await house.ask(method, filled(path), token, **({"json": body} if method == "POST" else {}))
        assert (status != 403) == (role in may), (method, path, status, said)
        assert status not in (401, 429, 500), (method, path, status, said)
        if role not in may:
            assert said["code"] == "forbidden"
            assert len(house.desk.commands) == before


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize("role", ["helpdesk", "supervisor", "quality"])
async def test_a_team_is_all_that_is_seen_of_the_house(house: House, role: Role) -> None:
    """Front has Ana, who serves support; back has Ben, who serves sales."""
    house.add("kim", role, teams=("front",))
    token = await house.sign_in("kim")
    agents = (await house.ask("GET", "/v1/agents", token))[1]["agents"]
    assert [agent["agent"] for agent in agents] == ["ana"]
    assert (await house.ask("GET", "/v1/agents/ben", token))[0] == 403
    if role != "helpdesk":
        found = (await house.ask("GET", "/v1/interactions", token))[1]["interactions"]
        assert [one["id"] for one in found] == ["i-1", "i-3"]  # Ana's, and what waits that she could have


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", "/content", None),
        ("GET", "/estimate", None),
        ("GET", "/explain", None),
        ("GET", "/why-not/ana", None),
        ("POST", "/requeue", {}),
        ("POST", "/assign", {"agent": "ana"}),
        ("POST", "/close", {}),
        ("POST", "/transfer", {"to": {"queue": "support"}}),
        ("POST", "/priority", {"weight": 2}),
        ("POST", "/relax", {}),
        ("POST", "/note", {"text": "ask for the order's number"}),
    ],
)
async def test_nothing_is_seen_or_done_beyond_ones_teams(house: House, method: str, path: str, body: Any) -> None:
    house.add("sue", "supervisor", teams=("front",))
    token = await house.sign_in("sue")
    for number, wanted in ((1, 200), (2, 403), (3, 200), (4, 403)):
        before = len(house.desk.commands)
        status, said = await house.ask(method, f"/v1/interactions/i-{number}{path}", token, json=body)
        assert status == wanted, said
        if wanted == 403:
            assert len(house.desk.commands) == before


async def test_a_supervisor_gives_work_to_their_own_people_only(house: House) -> None:
    house.add("sue", "supervisor", teams=("front",))
    token = await house.sign_in("sue")
    assert (await house.post("/v1/interactions/i-3/assign", {"agent": "ben"}, token))[0] == 403
    assert (await house.post("/v1/agents/ben/state", {"state": "ready"}, token))[0] == 403
    assert house.desk.commands == []


async def test_an_act_names_its_role_in_the_journal_and_stands_in_the_audit(house: House) -> None:
    house.add("sue", "supervisor", teams=("front",))
    token = await house.sign_in("sue")
    await house.post("/v1/interactions/i-1/requeue", {"why": "lunch"}, token)
    await house.ask("GET", "/v1/interactions/i-1/content", token)
    await house.ask("GET", "/v1/interactions/i-1/content", token)
    assert getattr(house.desk.commands[-1], "by", "") == "supervisor:sue"
    assert house.acts() == [
        ("supervisor:sue", "sign-in", "sue"),
        ("supervisor:sue", "requeue", "i-1"),
        ("supervisor:sue", "read", "i-1"),  # once, though it was asked for twice
    ]


async def test_a_help_desk_looks_after_agents_and_not_after_those_above(house: House) -> None:
    house.add("hal", "helpdesk", teams=("front",))
    house.add("ana", "agent")
    house.add("ben", "agent")
    house.add("olaf", "operator")
    token, anas = await house.sign_in("hal"), await house.sign_in("ana")
    assert [a["name"] for a in (await house.ask("GET", "/v1/accounts", token))[1]["accounts"]] == ["ana"]
    assert (await house.post("/v1/accounts/olaf/disable", {}, token))[0] == 403
    assert (await house.post("/v1/accounts/ben/disable", {}, token))[0] == 403  # of another team
    assert (await house.post("/v1/accounts/ana/sign-out", {}, token))[1] == {"account": "ana", "sessions": 1}
    assert (await house.ask("GET", "/v1/session", anas))[0] == 401
    agent = (await house.ask("GET", "/v1/agents/ana", token))[1]
    assert (agent["offers"], agent["interactions"]) == ([], [])  # whose words they may not read


@pytest.mark.promise("OB-6")
async def test_tokens_of_the_configuration_are_what_they_always_were(house: House) -> None:
    assert (await house.ask("GET", "/v1/config", "op-token"))[0] == 200
    assert (await house.ask("GET", "/v1/config", "ana-token"))[0] == 401
    me = (await house.ask("GET", "/v1/session", "both-token"))[1]
    assert (me["roles"], me["agent"], me["teams"]) == (["agent", "operator"], "ben", None)
