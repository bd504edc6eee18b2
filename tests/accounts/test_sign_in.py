"""Signing in and out over HTTP, wrong passwords, and what opens a websocket."""

from __future__ import annotations

import aiohttp
import pytest

from router.service.accounts import digest
from tests.accounts.conftest import FAILURES, HASH, PASSWORD, House


async def test_a_name_and_a_password_are_a_session_until_it_is_ended(house: House) -> None:
    house.add("sue", "supervisor", teams=("front",))
    status, given = await house.post("/v1/session", {"name": " Sue ", "password": PASSWORD})
    assert status == 200
    assert given["expires_at_ms"] == house.desk.now + 12 * 3_600_000
    _, me = await house.ask("GET", "/v1/session", given["token"])
    assert (me["name"], me["roles"], me["teams"]) == ("sue", ["supervisor"], ["front"])
    assert await house.ask("DELETE", "/v1/session", given["token"]) == (200, {"ended": 1})
    assert (await house.ask("GET", "/v1/session", given["token"]))[0] == 401
    assert [act for _, act, _ in house.acts()] == ["sign-in", "sign-out"]


@pytest.mark.parametrize("state", ["wrong password", "unknown name", "disabled", "of a provider"])
async def test_whoever_may_not_come_in_is_told_the_same(house: House, state: str) -> None:
    house.add("sue", "operator", disabled=state == "disabled", password="" if state == "of a provider" else HASH)
    name = "bob" if state == "unknown name" else "sue"
    password = PASSWORD + "?" if state == "wrong password" else PASSWORD
    status, said = await house.post("/v1/session", {"name": name, "password": password})
    assert (status, said["code"]) == (401, "unauthenticated")
    assert said["detail"] == "this name and password do not belong together"
    assert house.acts() == [("", "sign-in-refused", name)]


@pytest.mark.promise("IN-5")
async def test_wrong_passwords_are_counted_for_the_address_at_every_door(house: House) -> None:
    house.add("sue", "operator")
    token = await house.sign_in("sue")
    for n in range(FAILURES):
        if n % 2:
            status, _ = await house.post("/v1/session", {"name": "sue", "password": f"guess number {n}"})
        else:
            status, _ = await house.ask("GET", "/v1/config", f"sbs_guess{n}")
        assert status == 401
    async with house.http.post("/v1/session", json={"name": "sue", "password": "one guess more"}) as answer:
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (429, "too-many-attempts")
        assert answer.headers["Retry-After"] == "60"
    assert (await house.ask("GET", "/v1/config", "one more token"))[0] == 429
    # Who was right from here before is not locked out by a neighbour's guesses; a new proof must wait, though it is
    # right, since a guess that is answered otherwise would be known to be right.
    assert (await house.ask("GET", "/v1/config", token))[0] == 200
    assert await house.sign_in("sue")
    house.add("kim", "operator")
    assert (await house.post("/v1/session", {"name": "kim", "password": PASSWORD}))[0] == 429
    house.desk.now += 60_000
    assert await house.sign_in("kim")


async def test_a_token_of_the_configuration_signs_in_under_its_own_name(house: House) -> None:
    assert (await house.post("/v1/session", {"name": "ana", "password": "ana-token"}))[1] == {
        "token": "ana-token",
        "expires_at_ms": 0,
    }
    assert (await house.post("/v1/session", {"name": "olga", "password": "op-token"}))[0] == 200
    assert (await house.post("/v1/session", {"name": "ben", "password": "both-token"}))[0] == 200
    assert (await house.post("/v1/session", {"name": "ben", "password": "ana-token"}))[0] == 401


async def test_a_ticket_of_an_agent_is_redeemed_once_while_its_session_stands(house: House) -> None:
    house.add("ana", "agent")
    token = await house.sign_in("ana")
    _, given = await house.post("/v1/session/ticket", {}, token)
    found = house.door.redeem(given["ticket"])
    assert found is not None
    assert (found.agent, found.session) == ("ana", digest(token))
    assert house.door.redeem(given["ticket"]) is None
    _, given = await house.post("/v1/session/ticket", {}, token)
    house.door.accounts.change("ana", house.desk.now, disabled=True)
    assert house.door.redeem(given["ticket"]) is None
    assert house.door.redeem(token) is None  # what lasts opens no websocket
    assert (await house.post("/v1/session/ticket", {}, "ana-token"))[0] == 200
    assert (await house.post("/v1/session/ticket", {}, "op-token"))[0] == 403


async def test_another_password_takes_the_old_one_and_ends_all_sessions(house: House) -> None:
    house.add("sue", "operator")
    token, other = await house.sign_in("sue"), await house.sign_in("sue")
    new = "a quite different one"
    assert (await house.post("/v1/session/password", {"old": "not that one!", "new": new}, token))[0] == 403
    assert (await house.post("/v1/session/password", {"old": PASSWORD, "new": "short"}, token))[0] == 422
    assert (await house.post("/v1/session/password", {"old": PASSWORD, "new": new}, token)) == (200, {"ended": 2})
    assert (await house.ask("GET", "/v1/session", other))[0] == 401
    assert (await house.post("/v1/session", {"name": "sue", "password": PASSWORD}))[0] == 401
    assert await house.sign_in("sue", new)


async def test_sessions_of_whoever_is_out_are_told_of_to_those_who_keep_connections(house: House) -> None:
    house.add("ana", "agent")
    token = await house.sign_in("ana")
    heard: list[bool] = []
    house.door.on_change.append(lambda welcome: heard.append(welcome(digest(token))))
    house.door.look()
    house.door.accounts.end_all("ana")
    house.door.look()
    assert heard == [True, False]


async def test_the_page_is_told_how_people_sign_in(house: House) -> None:
    assert await house.ask("GET", "/v1/session/ways") == (200, {"password": True, "provider": ""})


@pytest.mark.parametrize("body", [b"", b"[]", b'{"name": 5}', b'{"pass": "x"}', b'{"name": "' + b"x" * 65 + b'"}'])
async def test_what_is_no_sign_in_is_refused_in_words(house: House, body: bytes) -> None:
    async with house.http.post("/v1/session", data=body) as answer:
        assert answer.status in (401, 422)


async def test_who_is_asked_for_is_the_nearest_hop_behind_a_trusted_proxy_only(house: House) -> None:
    access = house.server.house.access
    for proxies, wanted in (((), "127.0.0.1"), (("127.0.0.1",), "203.0.113.7")):
        access._proxies = proxies
        headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
        async with aiohttp.ClientSession(house.server.url) as session:
            async with session.post("/v1/session", json={"name": "x", "password": "y"}, headers=headers):
                pass
        assert house.door.audit.page(0, 1)[0].address == wanted
