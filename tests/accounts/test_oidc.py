"""Sign-in at a provider: a real one runs as a process of its own, and a stand-in signs what no honest one would."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey

from router.errors import ConfigError, Unavailable
from router.http import oidc
from router.http.oidc import AWAY, COOKIE, DECLINED, LOCKED, NO_ROLE, OLD, OWN_PASSWORD, UNFIT, _challenge
from router.observe import REGISTRY
from router.service.accounts import Account, AccountSettings, OidcSettings, check
from tests.accounts.conftest import FAILURES, House
from tests.support.ports import free_port

CLIENT = "switchboard"
PEOPLE = [
    {"sub": "u1", "preferred_username": "Ana", "name": "Ana Alba", "groups": ["agents", "front-office"]},
    {"sub": "u2", "preferred_username": "sue", "groups": []},
    {"sub": "u3", "preferred_username": "mallory", "groups": ["gardeners"]},
]


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """oidc-provider-mock, which is made of authlib's server parts, in its own process."""
    port = free_port()
    people = [option for person in PEOPLE for option in ("--user-claims", json.dumps(person))]
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "oidc_provider_mock",
        "--port",
        str(port),
        "--require-nonce",
        *people,
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def settings(provider: str) -> AccountSettings:
    company = OidcSettings(
        issuer=provider,
        client_id=CLIENT,
        client_secret="company secret",
        name="Company",
        roles={"agents": "agent", "leads": "supervisor"},
        teams={"front-office": "front"},
    )
    return AccountSettings(oidc=company)


async def up(issuer: str) -> None:
    """Until the provider's port answers; a process takes its time to start."""
    async with aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(issuer + "/.well-known/openid-configuration") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)


class Browser:
    """Somebody at the provider's form: follows where they are sent, and keeps cookies."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def leave(self) -> str:
        async with self.session.get(self.house.server.url + "/v1/session/oidc/start", allow_redirects=False) as answer:
            assert answer.status == 303
            return answer.headers["Location"]

    async def prove(self, form: str, person: str) -> str:
        async with self.session.post(form, data={"sub": person}, allow_redirects=False) as answer:
            assert answer.status in (302, 303), await answer.text()
            return answer.headers["Location"]

    async def come_back(self, address: str) -> str:
        async with self.session.get(address, allow_redirects=False) as answer:
            assert answer.status == 303
            return answer.headers["Location"]

    async def sign_in(self, person: str) -> str:
        return await self.come_back(await self.prove(await self.leave(), person))

    async def trade(self, at: str) -> tuple[int, dict[str, Any]]:
        """What the desk does with the code in its address."""
        body = {"code": at.partition("signed-in=")[2]}
        async with self.session.post(self.house.server.url + "/v1/session", json=body) as answer:
            return answer.status, await answer.json()


def failed(word: str) -> str:
    return f"/desk#sign-in-failed={word}"


@pytest.fixture
async def browser(house: House, provider: str) -> AsyncIterator[Browser]:
    await up(provider)
    house.desk.now = time.time_ns() // 1_000_000  # the provider goes by its own clock
    made = Browser(house)
    yield made
    await made.session.close()


async def test_whoever_is_in_a_group_with_a_role_comes_in_with_it(house: House, browser: Browser) -> None:
    assert (await house.ask("GET", "/v1/session/ways"))[1]["provider"] == "Company"
    at = await browser.sign_in("u1")
    assert at.startswith("/desk#signed-in=")
    status, given = await browser.trade(at)
    assert status == 200
    _, me = await house.ask("GET", "/v1/session", given["token"])
    assert (me["name"], me["roles"], me["teams"], me["agent"]) == ("ana", ["agent"], ["front"], "ana")
    assert (await browser.trade(at))[0] == 401  # good once
    # Locked here, whatever the provider says.
    house.door.accounts.change("ana", house.desk.now, disabled=True)
    assert await browser.sign_in("u1") == failed(LOCKED)


async def test_whoever_has_an_account_without_a_password_comes_in_with_its_roles(
    house: House, browser: Browser
) -> None:
    house.add("sue", "supervisor", teams=("back",), password="")
    _, given = await browser.trade(await browser.sign_in("u2"))
    _, me = await house.ask("GET", "/v1/session", given["token"])
    assert (me["name"], me["roles"], me["teams"]) == ("sue", ["supervisor"], ["back"])


@pytest.mark.promise("OB-5")
async def test_whoever_has_neither_stays_outside_and_the_audit_says_why(house: House, browser: Browser) -> None:
    assert await browser.sign_in("u3") == failed(NO_ROLE)
    assert house.door.accounts.all() == []
    assert house.last_act() == ("sign-in-refused", "mallory", NO_ROLE)
    house.add("mallory", "operator")  # with a password of its own: no provider's user becomes it by taking its name
    assert await browser.sign_in("u3") == failed(OWN_PASSWORD)
    assert house.last_act() == ("sign-in-refused", "mallory", OWN_PASSWORD)


async def test_whoever_is_in_no_group_any_more_is_not_said_to_have_no_account(
    house: House, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    house.add("mallory", "agent", password="", provider=True)
    assert await browser.sign_in("u3") == failed(NO_ROLE)
    said = capsys.readouterr().err
    assert "mallory is in no group that has a role here any more" in said
    assert "has no account" not in said


async def test_what_is_asked_of_the_provider_binds_the_answer_to_this_browser_and_this_try(
    house: House, browser: Browser
) -> None:
    asked = parse_qs(urlsplit(await browser.leave()).query)
    assert (asked["response_type"], asked["client_id"]) == (["code"], [CLIENT])
    assert asked["redirect_uri"] == [house.server.url + "/v1/session/oidc/callback"]
    assert asked["code_challenge_method"] == ["S256"]
    cookie = next(cookie for cookie in browser.session.cookie_jar if cookie.key == COOKIE)
    assert asked["state"] == [_challenge(cookie.value)]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    again = parse_qs(urlsplit(await browser.leave()).query)
    assert all(asked[name] != again[name] for name in ("state", "nonce", "code_challenge"))


async def test_a_link_with_somebody_elses_sign_in_signs_nobody_in(house: House, browser: Browser) -> None:
    """RFC 9700 section 4.7: an attacker's answer in a victim's browser."""
    attackers = await browser.prove(await browser.leave(), "u1")
    victim = Browser(house)
    try:
        assert await victim.come_back(attackers) == failed(OLD)
        await victim.leave()
        assert await victim.come_back(attackers) == failed(OLD)
    finally:
        await victim.session.close()


async def test_an_answer_is_taken_once_and_not_for_ever(house: House, browser: Browser) -> None:
    back = await browser.prove(await browser.leave(), "u1")
    house.desk.now += 600_000
    assert await browser.come_back(back) == failed(OLD)
    house.desk.now -= 600_000
    back = await browser.prove(await browser.leave(), "u1")
    assert "signed-in" in await browser.come_back(back)
    assert await browser.come_back(back) == failed(OLD)


@pytest.mark.parametrize("query", ["", "?error=access_denied", "?state=x&code=y", "?state=&code=", "?code=y"])
async def test_an_answer_to_no_question_is_none(house: House, browser: Browser, query: str) -> None:
    at = house.server.url + "/v1/session/oidc/callback" + query
    assert await browser.come_back(at) == failed(OLD)


@pytest.mark.parametrize(
    ("error", "word"),
    [("access_denied", DECLINED), ("server_error", AWAY), ("invalid_scope", UNFIT), ("never-heard-of", DECLINED)],
)
async def test_whoever_says_no_at_the_provider_is_told_so(
    house: House, browser: Browser, error: str, word: str
) -> None:
    asked = parse_qs(urlsplit(await browser.leave()).query)
    at = f"{asked['redirect_uri'][0]}?error={error}&state={asked['state'][0]}"
    assert await browser.come_back(at) == failed(word)
    assert house.acts() == [], "or anybody could fill the audit"


def test_the_challenge_is_that_of_the_standard() -> None:
    """RFC 7636, appendix B."""
    assert _challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


# --- a provider that lies ---------------------------------------------------------------------------------------------


class Liar:
    """A provider on a port of its own, whose identity tokens say what a test wants."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256", {"kid": "one"}, private=True, auto_kid=False)
        self.published = self.key
        self.header: dict[str, Any] = {"alg": "ES256", "kid": "one"}
        self.claims: dict[str, Any] = {}
        self.without: tuple[str, ...] = ()
        self.issuer = self.claimed = ""
        self.verifier = self.challenge = ""
        self.token = self.nonce = ""
        self.asked = 0
        self.answers: tuple[int, str] | None = None  # instead of a token
        self.silent = asyncio.Event()  # set: it answers
        self.silent.set()

    async def document(self, request: web.Request) -> web.Response:
        at = self.issuer
        return web.json_response(
            {
                "issuer": self.claimed or at,
                "authorization_endpoint": at + "/authorize",
                "token_endpoint": at + "/token",
                "jwks_uri": at + "/keys",
            }
        )

    async def keys(self, request: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response({"keys": [self.published.as_dict(private=False)]})

    async def give(self, request: web.Request) -> web.Response:
        await self.silent.wait()
        if self.answers is not None:
            status, text = self.answers
            return web.Response(status=status, text=text)
        form = await request.post()
        self.verifier = str(form["code_verifier"])
        now_s = 1_700_000_000
        said = {"iss": self.issuer, "aud": CLIENT, "sub": "u1", "exp": now_s + 300, "iat": now_s}
        said |= {"preferred_username": "ana", "groups": ["agents"], "nonce": self.nonce} | self.claims
        for name in self.without:
            del said[name]
        token = self.token or jwt.encode(self.header, said, self.key)
        return web.json_response({"access_token": "x", "token_type": "Bearer", "id_token": token})

    def heard(self, location: str) -> str:
        """What the browser was sent away with; the address by which it comes back."""
        asked = parse_qs(urlsplit(location).query)
        self.nonce, self.challenge = asked["nonce"][0], asked["code_challenge"][0]
        return f"{asked['redirect_uri'][0]}?code=c&state={asked['state'][0]}"


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    made = Liar()
    app = web.Application()
    app.add_routes(
        [
            web.get("/.well-known/openid-configuration", made.document),
            web.get("/keys", made.keys),
            web.post("/token", made.give),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


def believe(house: House, liar: Liar) -> None:
    """From now on this is the house's provider."""
    start = next(route for route in house.server.app.router.routes() if route.handler.__qualname__ == "Oidc.start")
    door = start.handler.__self__  # type: ignore[attr-defined]
    door._settings = OidcSettings(issuer=liar.issuer, client_id=CLIENT, roles={"agents": "agent"})
    door._provider = None


def refusals() -> float:
    return REGISTRY.get_sample_value("switchboard_sign_ins_total", {"outcome": "refused"}) or 0.0


async def outcome(house: House, liar: Liar) -> str:
    believe(house, liar)
    browser = Browser(house)
    try:
        return await browser.come_back(liar.heard(await browser.leave()))
    finally:
        await browser.session.close()


async def test_an_honest_token_is_taken_and_the_code_was_bound_by_pkce(house: House, liar: Liar) -> None:
    assert (await outcome(house, liar)).startswith("/desk#signed-in=")
    assert _challenge(liar.verifier) == liar.challenge
    assert len(liar.verifier) >= 43  # RFC 7636 section 4.1


@pytest.mark.promise("OB-5", "OB-6")
@pytest.mark.parametrize(
    ("claims", "word"),
    [
        ({"iss": "https://elsewhere.example"}, UNFIT),
        ({"aud": "another-client"}, UNFIT),
        ({"aud": [CLIENT, "another-client"]}, UNFIT),
        ({"aud": [CLIENT, "another-client"], "azp": "another-client"}, UNFIT),
        ({"azp": "another-client"}, UNFIT),
        ({"exp": 1_700_000_000 - 61}, UNFIT),
        ({"nonce": "of another try"}, UNFIT),
        ({"nonce": None}, UNFIT),
        ({"groups": "gardeners"}, NO_ROLE),
        ({"groups": {"agents": True}}, NO_ROLE),
        ({"preferred_username": "../../etc"}, UNFIT),
    ],
    ids=str,
)
async def test_a_token_that_is_not_for_us_signs_nobody_in(
    house: House, liar: Liar, claims: dict[str, Any], word: str
) -> None:
    liar.claims = claims
    before = refusals()
    assert await outcome(house, liar) == failed(word)
    assert house.door.accounts.all() == []
    assert house.last_act() == ("sign-in-refused", claims.get("preferred_username", "ana"), word)
    assert refusals() == before + 1


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "exp", "iat", "nonce"])
async def test_a_token_that_leaves_something_out_signs_nobody_in(house: House, liar: Liar, name: str) -> None:
    liar.without = (name,)
    assert await outcome(house, liar) == failed(UNFIT)


async def test_a_token_signed_by_somebody_else_signs_nobody_in(house: House, liar: Liar) -> None:
    liar.published = ECKey.generate_key("P-256", {"kid": "one"}, private=True, auto_kid=False)
    assert await outcome(house, liar) == failed(UNFIT)
    assert liar.asked == 2  # the keys were asked for anew before it was refused


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_a_token_that_anybody_could_sign_signs_nobody_in(house: House, liar: Liar, algorithm: str) -> None:
    """RFC 8725 section 3.1: a symmetric signature with the public key as its secret, and no signature at all."""

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    said = {"iss": liar.issuer, "aud": CLIENT, "sub": "u1", "exp": 1_700_000_300, "iat": 1_700_000_000, "nonce": "n"}
    head = f"{part({'alg': algorithm, 'kid': 'one'})}.{part(said)}"
    secret = json.dumps(liar.key.as_dict(private=False)).encode()
    mark = hmac.new(secret, head.encode(), hashlib.sha256).digest() if algorithm == "HS256" else b""
    liar.token = f"{head}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"
    assert await outcome(house, liar) == failed(UNFIT)


# --- what counts, and what is told ------------------------------------------------------------------------------------


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize("answers", [(500, "{}"), (503, "<p>away"), (429, "{}"), (200, "{}"), (400, "<p>what?")])
async def test_an_office_is_not_locked_out_by_what_its_provider_does(
    house: House, liar: Liar, answers: tuple[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    liar.answers = answers
    for _ in range(FAILURES + 1):
        assert await outcome(house, liar) == failed(UNFIT if answers[0] in (200, 400) else AWAY)
    assert f"{liar.issuer}/token" in capsys.readouterr().err, "which of its addresses it was"
    liar.answers = None
    assert (await outcome(house, liar)).startswith("/desk#signed-in=")


async def test_a_provider_that_is_silent_or_gone_is_said_to_be_so(
    house: House, liar: Liar, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(oidc, "PATIENCE", aiohttp.ClientTimeout(total=0.2))
    liar.silent.clear()
    assert await outcome(house, liar) == failed(AWAY)
    assert f"{liar.issuer}/token gave no answer within" in capsys.readouterr().err
    liar.silent.set()
    liar.issuer = f"http://127.0.0.1:{free_port()}"
    browser = Browser(house)
    believe(house, liar)
    try:
        assert await browser.leave() == failed(AWAY)
    finally:
        await browser.session.close()
    assert "cannot be asked" in capsys.readouterr().err
    assert house.acts() == [], "nobody was refused"


async def test_people_without_a_role_do_not_lock_out_their_office(house: House, liar: Liar) -> None:
    liar.claims = {"groups": "gardeners"}
    for _ in range(FAILURES + 1):
        assert await outcome(house, liar) == failed(NO_ROLE)
    liar.claims = {}
    assert (await outcome(house, liar)).startswith("/desk#signed-in=")


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize(
    ("answers", "claims", "word"),
    [((400, '{"error":"invalid_grant"}'), {}, OLD), (None, {"nonce": "of another try"}, UNFIT)],
)
async def test_whoever_tries_codes_is_not_listened_to_for_long_and_is_told_so_on_a_page(
    house: House, liar: Liar, answers: tuple[int, str] | None, claims: dict[str, Any], word: str
) -> None:
    liar.answers, liar.claims = answers, claims
    for _ in range(FAILURES):
        assert await outcome(house, liar) == failed(word)
    assert {act for _, act, _ in house.acts()} == {"sign-in-refused"}
    browser = Browser(house)
    try:
        assert await browser.leave() == failed("too-many-attempts")
    finally:
        await browser.session.close()


@pytest.mark.promise("OB-6")
async def test_a_code_of_ours_is_good_in_the_browser_that_began_alone(house: House, browser: Browser) -> None:
    """An attacker sends a victim the address at which they came back: the victim must not work as the attacker."""
    at = await browser.sign_in("u1")
    victim = Browser(house)
    try:
        assert (await victim.trade(at))[0] == 401
        at = await browser.sign_in("u1")
        await victim.leave()
        assert (await victim.trade(at))[0] == 401
    finally:
        await victim.session.close()
    at = await browser.sign_in("u1")
    assert (await browser.trade(at))[0] == 200
    assert not [cookie for cookie in browser.session.cookie_jar if cookie.key == COOKIE], "it is over"


async def test_accounts_that_cannot_be_written_refuse_nobody(
    house: House, liar: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(account: Account) -> Account:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(house.door.accounts, "put", put)
    assert await outcome(house, liar) == failed("unavailable")
    assert house.acts() == []


async def test_a_host_that_is_none_is_told_at_the_sign_in(house: House, browser: Browser) -> None:
    start = house.server.url + "/v1/session/oidc/start"
    async with browser.session.get(start, allow_redirects=False, headers={"Host": "a b"}) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, failed("forbidden"))


async def test_a_provider_that_says_it_is_another_is_not_left_for(house: House, liar: Liar) -> None:
    liar.claimed = "https://elsewhere.example"
    browser = Browser(house)
    believe(house, liar)
    try:
        assert await browser.leave() == failed(UNFIT)
    finally:
        await browser.session.close()


def test_a_provider_beyond_this_machine_speaks_tls() -> None:
    with pytest.raises(ConfigError, match=r"accounts\.oidc\.issuer"):
        check(AccountSettings(oidc=OidcSettings(issuer="http://login.example", client_id="x")), ())
    with pytest.raises(ConfigError, match=r"accounts\.oidc\.teams\.a"):
        check(AccountSettings(oidc=OidcSettings(issuer="https://login.example", client_id="x", teams={"a": "b"})), ())
    check(AccountSettings(oidc=OidcSettings(issuer="https://login.example", client_id="x")), ())
