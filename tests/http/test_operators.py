"""The operators' API: who may, what is asked of the desk, and what comes back."""

from __future__ import annotations

import hashlib
from typing import Any

import aiohttp
import pytest

from router.engine import commands as c
from router.engine.config import Config, Queue, to_bytes
from router.engine.requirements import Node
from router.engine.views import Estimate, MessageView, OfferView
from router.errors import (
    BadMessage,
    ClientError,
    ConfigError,
    Draining,
    Forbidden,
    IllegalMove,
    JournalFailed,
    NoCapacity,
    NoRoute,
    NotEligible,
    NotFound,
    NotOwner,
    OfferGone,
    Overloaded,
    RouterError,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnknownName,
)
from tests.http.conftest import AGENT, OPERATOR, Scene
from tests.http.views import interaction_view, outbound

BY = "operator:olga"
EVERYWHERE = [
    ("GET", "/v1/interactions"),
    ("GET", "/v1/interactions/i-1"),
    ("GET", "/v1/interactions/i-1/content"),
    ("GET", "/v1/interactions/i-1/estimate"),
    ("GET", "/v1/interactions/i-1/explain"),
    ("GET", "/v1/interactions/i-1/why-not/ana"),
    ("POST", "/v1/interactions/i-1/requeue"),
    ("POST", "/v1/interactions/i-1/assign"),
    ("POST", "/v1/interactions/i-1/close"),
    ("POST", "/v1/interactions/i-1/transfer"),
    ("POST", "/v1/interactions/i-1/priority"),
    ("POST", "/v1/interactions/i-1/note"),
    ("POST", "/v1/interactions/i-1/join"),
    ("POST", "/v1/interactions/i-1/take"),
    ("POST", "/v1/broadcast"),
    ("GET", "/v1/callbacks"),
    ("POST", "/v1/callbacks"),
    ("POST", "/v1/callbacks/c-1/cancel"),
    ("POST", "/v1/interactions/i-1/relax"),
    ("GET", "/v1/agents"),
    ("GET", "/v1/agents/ana"),
    ("POST", "/v1/agents/ana/state"),
    ("GET", "/v1/queues"),
    ("GET", "/v1/calendars"),
    ("POST", "/v1/calendars/x/close"),
    ("POST", "/v1/calendars/x/open"),
    ("GET", "/v1/quarantine"),
    ("GET", "/v1/quarantine/x"),
    ("GET", "/v1/quarantine/x/raw"),
    ("POST", "/v1/quarantine/x/retry"),
    ("POST", "/v1/quarantine/x/discard"),
    ("DELETE", "/v1/quarantine/x"),
    ("GET", "/v1/outbound"),
    ("POST", "/v1/outbound/1/retry"),
    ("POST", "/v1/outbound/1/discard"),
    ("GET", "/v1/customers"),
    ("POST", "/v1/customers/merge"),
    ("POST", "/v1/customers/split"),
    ("GET", "/v1/config"),
    ("POST", "/v1/config"),
    ("GET", "/v1/domains"),
    ("POST", "/v1/domains/north/move"),
    ("GET", "/v1/blobs/" + "0" * 64),
    ("POST", "/v1/blobs"),
    ("GET", "/v1/blobs/" + "0" * 64 + "/pages"),
    ("GET", "/v1/blobs/" + "0" * 64 + "/pages/7"),
]


async def problem(response: aiohttp.ClientResponse) -> dict[str, Any]:
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = await response.json(content_type="application/problem+json")
    assert {"type", "title", "status", "detail", "code"} <= set(body)
    assert body["status"] == response.status
    return body


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize(("method", "path"), EVERYWHERE)
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic b3A6eA==", "op-token", "Bearer op-token x"])
async def test_nothing_is_told_without_a_token(
    http: aiohttp.ClientSession, scene: Scene, method: str, path: str, header: str
) -> None:
    response = await http.request(method, path, headers={"Authorization": header} if header else {})
    assert (response.status, (await problem(response))["code"]) == (401, "unauthenticated")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert scene.desk.commands == []


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize(
    ("method", "path"), [at for at in EVERYWHERE if "content" not in at[1] and "blob" not in at[1]]
)
async def test_an_agents_token_is_no_operators(http: aiohttp.ClientSession, method: str, path: str) -> None:
    assert (await http.request(method, path, headers=AGENT)).status == 401


async def test_every_path_under_v1_is_in_the_list_above(server: Any) -> None:
    """So that a new route cannot be forgotten by the tests of access."""
    mounted = {(r.method, r.resource.canonical) for r in server.app.router.routes() if r.method != "HEAD"}
    told = {(m, p.replace("i-1", "{id}").replace("/1/", "/{number}/").replace("/x", "/{id}")) for m, p in EVERYWHERE}
    told = {(m, p.replace("not/ana", "not/{agent}").replace("/ana", "/{id}")) for m, p in told}
    told = {(m, p.replace("0" * 64, "{digest}").replace("c-1", "{callback}").replace("/7", "/{page}")) for m, p in told}
    told = {(m, p.replace("north", "{domain}")) for m, p in told}
    assert {at for at in mounted if at[1].startswith("/v1/")} == told | {("GET", "/v1/openapi.json")}


async def test_a_queue_that_there_is_not_is_no_empty_list(http: aiohttp.ClientSession, scene: Scene) -> None:
    known = Config(queues={"support": Queue(), "sales": Queue()})
    scene.desk.document = to_bytes(known)
    response = await http.get("/v1/interactions?queue=suport", headers=OPERATOR)
    said = await problem(response)
    assert (response.status, said["code"]) == (404, "not-found")
    assert said["detail"] == "queue: there is no 'suport' here; did you mean 'support'?"
    for queue, count in (("support", 3), ("sales", 0)):
        response = await http.get(f"/v1/interactions?queue={queue}", headers=OPERATOR)
        assert len((await response.json())["interactions"]) == count
    scene.desk.views[4] = interaction_view(4, queue="former", state="closed")
    response = await http.get("/v1/interactions?queue=former", headers=OPERATOR)
    assert [view["id"] for view in (await response.json())["interactions"]] == ["i-4"], "although it is no more"


@pytest.mark.promise("OB-5")
@pytest.mark.parametrize(
    ("act", "body", "command"),
    [
        ("requeue", None, c.Requeue(interaction=2, by=BY)),
        ("requeue", {"why": "agent left"}, c.Requeue(interaction=2, by=BY, why="agent left")),
        ("close", {"why": "spam"}, c.Close(interaction=2, by=BY, why="spam")),
        (
            "assign",
            {"agent": "ana", "override": True, "why": "VIP"},
            c.Assign(interaction=2, agent="ana", by=BY, override=True, why="VIP"),
        ),
        ("transfer", {"to": {"queue": "sales"}}, c.Transfer(interaction=2, to=c.Target(queue="sales"), by=BY)),
        (
            "transfer",
            {"to": {"requirement": {"skill": "sales", "level": 3}}},
            c.Transfer(interaction=2, to=c.Target(requirement=Node(skill="sales", level=3)), by=BY),
        ),
        ("priority", {"target": "30s"}, c.Reprioritise(interaction=2, by=BY, target_ms=30_000)),
        (
            "priority",
            {"band": "urgent", "weight": 2.5, "why": "x"},
            c.Reprioritise(interaction=2, by=BY, band="urgent", weight=2.5, why="x"),
        ),
        ("relax", None, c.Relax(interaction=2, by=BY)),
        ("relax", {"why": "a regular"}, c.Relax(interaction=2, by=BY, why="a regular")),
    ],
)
@pytest.mark.promise("MV-2")
async def test_an_act_is_a_command_that_says_who_and_why(
    http: aiohttp.ClientSession, scene: Scene, act: str, body: Any, command: c.AnyCommand
) -> None:
    response = await http.post(f"/v1/interactions/i-2/{act}", json=body, headers=OPERATOR)
    assert (response.status, await response.json()) == (200, {"interaction": "i-2"})
    assert scene.desk.commands == [command]


@pytest.mark.parametrize(
    ("act", "raw", "status", "code"),
    [
        ("assign", b"", 422, "bad-message"),
        ("assign", b'{"agent": 5}', 422, "bad-message"),
        ("assign", b'{"agent": "ana", "overide": true}', 422, "bad-message"),
        ("assign", b'{"agent": "ana"', 400, "bad-request"),
        ("close", b"\xff", 400, "bad-request"),
        ("close", b'{"why": "' + b"x" * 1_001 + b'"}', 422, "bad-message"),
        ("close", b'{"why": "' + b"x" * 65_536 + b'"}', 413, "too-large"),
        ("transfer", b'{"to": {}}', 422, "bad-message"),
        ("transfer", b'{"to": {"queue": "a", "agent": "b"}}', 422, "bad-message"),
        ("transfer", b'{"to": {"requirement": ' + b'{"not": ' * 9_000 + b"{}" + b"}" * 9_000 + b"}}", 413, "too-large"),
        (
            "transfer",
            b'{"to": {"requirement": ' + b'{"not": ' * 4_000 + b"{}" + b"}" * 4_000 + b"}}",
            422,
            "bad-message",
        ),
        ("relax", b'{"step": "last"}', 422, "bad-message"),
        ("priority", b"{}", 422, "bad-message"),
        ("priority", b'{"target": 30}', 422, "bad-message"),
        ("priority", b'{"target": "soon"}', 422, "bad-message"),
        ("priority", b'{"band": "urgent", "target": "0s"}', 422, "bad-message"),
    ],
)
async def test_a_body_that_is_not_understood_asks_nothing(
    http: aiohttp.ClientSession, scene: Scene, act: str, raw: bytes, status: int, code: str
) -> None:
    response = await http.post(f"/v1/interactions/i-2/{act}", data=raw, headers=OPERATOR)
    assert (response.status, (await problem(response))["code"]) == (status, code)
    assert scene.desk.commands == []


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ClientError("x"), 400, "bad-request"),
        (BadMessage("x"), 422, "bad-message"),
        (TooLarge("x"), 413, "too-large"),
        (Unauthenticated("x"), 401, "unauthenticated"),
        (Forbidden("x"), 403, "forbidden"),
        (NotFound("x"), 404, "not-found"),
        (UnknownName("x"), 422, "unknown-name"),
        (NoRoute("x"), 422, "no-route"),
        (IllegalMove("x"), 409, "illegal-move"),
        (NotOwner("x"), 409, "not-owner"),
        (OfferGone("x"), 409, "offer-gone"),
        (NotEligible("x"), 409, "not-eligible"),
        (NoCapacity("x"), 409, "no-capacity"),
        (ConfigError("queues.x", "a queue"), 422, "config"),
        (Overloaded("x", 7), 503, "overloaded"),
        (Unavailable("x"), 503, "unavailable"),
        (Draining("x"), 503, "draining"),
    ],
)
async def test_every_error_has_its_status_and_code(
    http: aiohttp.ClientSession, scene: Scene, error: RouterError, status: int, code: str
) -> None:
    scene.desk.refuse = lambda command: error
    response = await http.post("/v1/interactions/i-2/close", headers=OPERATOR)
    said = await problem(response)
    assert (response.status, said["code"], said["detail"]) == (status, code, str(error))
    assert response.headers.get("Retry-After") == {503: "7" if code == "overloaded" else "5"}.get(status)


@pytest.mark.parametrize("error", [JournalFailed("secret detail"), RouterError("secret detail")])
async def test_what_is_our_fault_is_told_by_reference_only(
    http: aiohttp.ClientSession, scene: Scene, capsys: pytest.CaptureFixture[str], error: RouterError
) -> None:
    scene.desk.refuse = lambda command: error
    response = await http.post("/v1/interactions/i-2/close", headers=OPERATOR)
    said = await problem(response)
    assert (response.status, said["code"]) == (500, "internal")
    assert "secret detail" not in said["detail"]
    assert said["instance"].removeprefix("urn:reference:") in capsys.readouterr().err


async def test_a_page_ends_where_the_next_begins(http: aiohttp.ClientSession) -> None:
    seen, after = [], ""
    for _ in range(4):
        page = await (await http.get("/v1/interactions", params={"after": after, "limit": 2}, headers=OPERATOR)).json()
        seen += [found["id"] for found in page["interactions"]]
        after = page["next"]
        if not after:
            break
    assert seen == ["i-1", "i-2", "i-3"]


async def test_a_list_can_be_narrowed(http: aiohttp.ClientSession, scene: Scene) -> None:
    scene.desk.views[2] = interaction_view(2, state="active", queue="sales", agent="ana")
    for query in ({"state": "active"}, {"queue": "sales"}, {"state": "active", "queue": "sales"}):
        page = await (await http.get("/v1/interactions", params=query, headers=OPERATOR)).json()
        assert [found["id"] for found in page["interactions"]] == ["i-2"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "state=lost", "after=7", "sate=active", "limit=1&limit=2"]
)
async def test_a_query_that_is_not_understood_is_refused(http: aiohttp.ClientSession, query: str) -> None:
    response = await http.get(f"/v1/interactions?{query}", headers=OPERATOR)
    assert (response.status, (await problem(response))["code"]) == (422, "bad-message")


@pytest.mark.parametrize("number", ["12", "0049 89 123", "+0123456", "tel:+15550199", "+1555019912345678"])
async def test_what_is_no_telephone_number_is_refused_in_words(http: aiohttp.ClientSession, number: str) -> None:
    response = await http.post("/v1/callbacks", json={"to": number, "queue": "support"}, headers=OPERATOR)
    told = await problem(response)
    assert (response.status, told["code"]) == (422, "bad-message")
    assert told["detail"] == (
        "Expected a telephone number in E.164 form: a plus sign, the country code and the number, 6 to 15 digits, "
        "such as +15550199 - at `$.to`"
    )
    response = await http.get("/v1/callbacks?after=i-3", headers=OPERATOR)
    said = "in the query: Expected the last id of the page before, such as c-12 - at `$.after`"
    assert (await problem(response))["detail"] == said


async def test_one_interaction_and_why_it_is_there(http: aiohttp.ClientSession) -> None:
    assert (await (await http.get("/v1/interactions/i-1", headers=OPERATOR)).json())["queue"] == "support"
    for path in ("explain", "why-not/ana"):
        assert (await (await http.get(f"/v1/interactions/i-1/{path}", headers=OPERATOR)).json())["interaction"] == "i-1"
    for strange in ("i-9", "o-1", "i-", "i-" + "9" * 30, "%00"):
        response = await http.get(f"/v1/interactions/{strange}", headers=OPERATOR)
        assert (response.status, (await problem(response))["code"]) == (404, "not-found")


async def test_what_waits_has_a_place_and_an_expected_wait(http: aiohttp.ClientSession, scene: Scene) -> None:
    scene.desk.position = Estimate(3, 40, 40, 95, "queue-length", 120)
    answer = await (await http.get("/v1/interactions/i-1/estimate", headers=OPERATOR)).json()
    assert answer == {
        "position": 3,
        "expected_wait_s": 40,
        "p50_s": 40,
        "p90_s": 95,
        "method": "queue-length",
        "samples": 120,
    }
    scene.desk.position = None
    response = await http.get("/v1/interactions/i-1/estimate", headers=OPERATOR)
    assert (response.status, (await problem(response))["code"]) == (409, "illegal-move")


async def test_content_is_for_operators_and_for_the_agent_who_has_it(http: aiohttp.ClientSession, scene: Scene) -> None:
    said = (MessageView("customer", 1, "hello"),)
    scene.desk.views[1] = interaction_view(1, messages=said, agent="ana")
    scene.desk.views[2] = interaction_view(2, messages=said, agent="ben")
    answer = await (await http.get("/v1/interactions/i-1/content", headers=AGENT)).json()
    assert answer["messages"] == [{"author": "customer", "at_ms": 1, "text": "hello"}]
    assert (await http.get("/v1/interactions/i-2/content", headers=OPERATOR)).status == 200
    response = await http.get("/v1/interactions/i-2/content", headers=AGENT)
    assert (response.status, (await problem(response))["code"]) == (403, "forbidden")


async def test_content_may_be_read_by_whom_it_is_offered_to(http: aiohttp.ClientSession, scene: Scene) -> None:
    from tests.http.views import agent_view

    scene.desk.agent_views["ana"] = agent_view("ana", offers=(OfferView("o-1", interaction_view(3), 1),))
    assert (await http.get("/v1/interactions/i-3/content", headers=AGENT)).status == 200


async def test_agents_and_queues(http: aiohttp.ClientSession, scene: Scene) -> None:
    page = await (await http.get("/v1/agents", params={"limit": 1}, headers=OPERATOR)).json()
    assert ([a["agent"] for a in page["agents"]], page["next"]) == (["ana"], "ana")
    page = await (await http.get("/v1/agents", params={"after": "ana"}, headers=OPERATOR)).json()
    assert ([a["agent"] for a in page["agents"]], page["next"]) == (["ben"], "")
    assert (await (await http.get("/v1/agents/ben", headers=OPERATOR)).json())["name"] == "Ben"
    assert (await http.get("/v1/agents/zed", headers=OPERATOR)).status == 404
    assert await (await http.get("/v1/queues", headers=OPERATOR)).json() == {"queues": []}


@pytest.mark.promise("OB-5")
async def test_an_operator_sets_an_agents_state(http: aiohttp.ClientSession, scene: Scene) -> None:
    body = {"state": "not_ready", "reason": "went home"}
    response = await http.post("/v1/agents/ana/state", json=body, headers=OPERATOR)
    assert response.status == 200
    assert scene.desk.commands == [c.SetState(agent="ana", state="not_ready", reason="went home", by=BY)]
    assert (await http.post("/v1/agents/zed/state", json=body, headers=OPERATOR)).status == 404
    assert (await http.post("/v1/agents/ana/state", json={"state": "asleep"}, headers=OPERATOR)).status == 422


@pytest.mark.promise("IN-4")
async def test_a_bad_input_can_be_seen_fetched_and_taken_again(http: aiohttp.ClientSession, scene: Scene) -> None:
    ident = scene.set_aside("email", b"raw mail")
    page = await (await http.get("/v1/quarantine", headers=OPERATOR)).json()
    assert page["entries"] == [await (await http.get(f"/v1/quarantine/{ident}", headers=OPERATOR)).json()]
    assert (page["entries"][0]["size"], page["entries"][0]["can_retry"]) == (8, True)

    raw = await http.get(f"/v1/quarantine/{ident}/raw", headers=OPERATOR)
    assert await raw.read() == b"raw mail"
    assert raw.headers["Content-Disposition"] == f'attachment; filename="{ident}.bin"'
    assert raw.headers["X-Content-Type-Options"] == "nosniff"

    response = await http.post(f"/v1/quarantine/{ident}/retry", headers=OPERATOR)
    assert await response.json() == {"id": ident, "outcome": "taken"}
    assert [raw for raw, entry in scene.retried] == [b"raw mail"]
    assert (await http.get(f"/v1/quarantine/{ident}", headers=OPERATOR)).status == 404


@pytest.mark.promise("IN-4")
async def test_what_still_cannot_be_read_stays(http: aiohttp.ClientSession, scene: Scene, start: Any) -> None:
    async def still_bad(raw: bytes, entry: Any) -> None:
        raise BadMessage("still unreadable")

    scene.requeue = still_bad  # type: ignore[method-assign]
    server = await start()
    ident = scene.set_aside("email", b"raw mail")
    async with aiohttp.ClientSession(server.url) as session:
        response = await session.post(f"/v1/quarantine/{ident}/retry", headers=OPERATOR)
        assert (response.status, (await problem(response))["detail"]) == (422, "still unreadable")
    assert scene.held == [ident]


async def test_a_source_that_takes_nothing_again_says_so(http: aiohttp.ClientSession, scene: Scene) -> None:
    ident = scene.set_aside("fax", b"x")
    response = await http.post(f"/v1/quarantine/{ident}/retry", headers=OPERATOR)
    assert (response.status, (await problem(response))["code"]) == (409, "illegal-move")


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/quarantine/{}/discard"), ("DELETE", "/v1/quarantine/{}")])
async def test_a_bad_input_can_be_discarded(http: aiohttp.ClientSession, scene: Scene, method: str, path: str) -> None:
    ident = scene.set_aside("email", b"x")
    assert await (await http.request(method, path.format(ident), headers=OPERATOR)).json() == {
        "id": ident,
        "outcome": "discarded",
    }
    assert scene.held == []


async def test_dead_letters_are_retried_or_discarded(http: aiohttp.ClientSession, scene: Scene) -> None:
    scene.desk.dead = [outbound(n, error="refused") for n in (4, 5, 6)]
    page = await (await http.get("/v1/outbound?dead=1&limit=2", headers=OPERATOR)).json()
    assert ([o["outbound"] for o in page["outbound"]], page["next"]) == ([4, 5], 5)
    assert "A question" not in str(page)  # the subject is the customer's
    assert (await (await http.get("/v1/outbound", headers=OPERATOR)).json())["outbound"] == []
    assert (await http.post("/v1/outbound/4/retry", headers=OPERATOR)).status == 200
    assert (await http.post("/v1/outbound/5/discard", headers=OPERATOR)).status == 200
    assert scene.desk.commands == [
        c.RetryOutbound(outbound=4, by=BY),
        c.SettleOutbound(outbound=5, by=BY, discard=True),
    ]
    for unknown in ("7", "x", "9" * 40):
        assert (await http.post(f"/v1/outbound/{unknown}/retry", headers=OPERATOR)).status == 404


@pytest.mark.parametrize(
    ("action", "endpoint", "whom"),
    [
        ("message", "sip:ana@pbx", "ann@b.example"),  # she wrote a mail, and has a telephone as well
        ("copy", "", "ann@b.example"),
        ("transferred", "+15550142", "+15550142"),
        ("assigned", "sip:ana@pbx", "sip:ana@pbx"),
        ("ended", "", "ann@b.example"),
    ],
)
async def test_a_dead_letter_names_whom_it_was_to_reach(
    http: aiohttp.ClientSession, scene: Scene, action: str, endpoint: str, whom: str
) -> None:
    to = {"sender": "ann@b.example", "recipient": "support@localhost", "endpoint": endpoint}
    scene.desk.dead = [outbound(4, action=action, error="refused", **to)]
    page = await (await http.get("/v1/outbound?dead=1", headers=OPERATOR)).json()
    assert page["outbound"][0]["recipient"] == whom


async def test_what_is_tried_again_says_why_the_last_try_failed(http: aiohttp.ClientSession, scene: Scene) -> None:
    scene.desk.letters = [outbound(4), outbound(5)]
    scene.trying = {4: "the smart host said 451 4.3.0 later"}
    page = await (await http.get("/v1/outbound", headers=OPERATOR)).json()
    assert [o["error"] for o in page["outbound"]] == ["the smart host said 451 4.3.0 later", ""]


@pytest.mark.promise("RT-12", "OB-4")
async def test_a_configuration_is_handed_on_with_who_sent_it(http: aiohttp.ClientSession, scene: Scene) -> None:
    shown = await (await http.get("/v1/config", headers=OPERATOR)).json()
    assert shown == {"version": 1, "document": {}}
    for nothing in (b"", b" \n"):
        assert (await http.post("/v1/config", data=nothing, headers=OPERATOR)).status == 400
    assert (await http.post("/v1/config", json=[], headers=OPERATOR)).status == 422
    for query, dry in (("", False), ("?dry_run=1", True), ("?dry_run=true", True), ("?dry_run=0", False)):
        response = await http.post(f"/v1/config{query}", data=b"[queues.support]", headers=OPERATOR)
        assert (response.status, (await response.json())["version"]) == (200, 2)
        assert scene.configured.pop() == (b"[queues.support]", dry, BY)


@pytest.mark.promise("RT-11", "OB-5")
async def test_an_emergency_closes_a_calendar_and_says_who_did_it(http: aiohttp.ClientSession, scene: Scene) -> None:
    [shown] = (await (await http.get("/v1/calendars", headers=OPERATOR)).json())["calendars"]
    assert (shown["calendar"], shown["open"], shown["queues"]) == ("office", True, ["support"])
    asked = {"why": "fire alarm", "lasts": "2h"}
    answer = await http.post("/v1/calendars/office/close", json=asked, headers=OPERATOR)
    assert (answer.status, (await answer.json())["calendar"]) == (200, "office")
    assert (await http.post("/v1/calendars/office/open", headers=OPERATOR)).status == 200
    assert scene.desk.commands == [
        c.CloseCalendar(calendar="office", by=BY, why="fire alarm", until_ms=scene.desk.now + 7_200_000),
        c.OpenCalendar(calendar="office", by=BY),
    ]
    for nobody in (AGENT, {}):
        assert (await http.post("/v1/calendars/office/close", headers=nobody)).status in (401, 403)


async def test_a_blob_is_a_download_for_operators_and_agents(http: aiohttp.ClientSession, scene: Scene) -> None:
    content = b"<script>alert(1)</script>" * 40_000  # several chunks
    digest = scene.blobs.put_now(content).digest
    for headers in (OPERATOR, AGENT):
        response = await http.get(f"/v1/blobs/{digest}?name=Página 1.html", headers=headers)
        assert await response.read() == content
        assert response.content_type == "application/octet-stream"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        expected = "attachment; filename=\"P_gina 1.html\"; filename*=UTF-8''P%C3%A1gina%201.html"
        assert response.headers["Content-Disposition"] == expected
    for unknown in ("0" * 64, "x", "..%2f..%2fetc%2fpasswd", digest.upper()):
        assert (await http.get(f"/v1/blobs/{unknown}", headers=OPERATOR)).status == 404


async def test_uploaded_content_is_known_by_its_digest(http: aiohttp.ClientSession, scene: Scene) -> None:
    """An agent uploads first and names the digest in `say`."""
    async with http.post(
        "/v1/blobs?name=a.png", data=b"picture", headers={**AGENT, "Content-Type": "image/png"}
    ) as answer:
        assert answer.status == 201
        kept = await answer.json()
    assert kept == {
        "digest": hashlib.sha256(b"picture").hexdigest(),
        "size": 7,
        "media_type": "image/png",
        "name": "a.png",
    }
    assert scene.blobs.read(kept["digest"]) == b"picture"
