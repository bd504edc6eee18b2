"""What a browser is given: small, whole, of one version, and under a policy that lets nothing else in."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from router.desk.files import TOO, WEB, Files
from router.desk.guest import desk_routes
from router.desk.pages import PageRoutes
from router.desk.settings import Settings, check
from router.desk.widget import WIDGET, widget_files
from router.errors import ConfigError
from router.http.access import Access
from router.http.house import House
from router.http.settings import HttpSettings
from router.service.audit import ACTS
from router.service.blobs import BlobStore
from router.service.look import TOKENS
from router.service.quarantine import Quarantine
from router.service.roles import ROLES
from router.service.sockets import SocketSettings
from tests.support.desk import RecordingDesk

LINK = re.compile(r'(?:src|href)="(/desk/[^"]+)"')
FIRST_SCREEN_MAX = 100_000  # bytes over the wire


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    app = web.Application()
    app.add_routes(PageRoutes(Files(), lambda place, host: f"ws://{host}:8081").routes())
    running = TestServer(app)
    await running.start_server()
    yield running
    await running.close()


@pytest.fixture
async def session(server: TestServer) -> AsyncIterator[ClientSession]:
    async with ClientSession(server.make_url("/"), auto_decompress=False) as client:
        yield client


async def test_the_page_names_every_file_and_all_of_them_are_there(session: ClientSession) -> None:
    async with session.get("/desk") as page:
        assert page.status == 200
        links = LINK.findall(await page.text())
    assert any(link.endswith("/js/main.js") for link in links)
    for link in links:
        async with session.get(link) as file:
            assert file.status == 200, link


async def test_the_first_screen_is_below_100_kB(session: ClientSession) -> None:
    total = 0
    async with session.get("/desk") as page:
        body = await page.read()
    total += len(body)
    for link in set(LINK.findall(body.decode())):
        async with session.get(link, headers={"Accept-Encoding": "gzip"}) as file:
            packed = await file.read()
            assert file.headers["Content-Encoding"] == "gzip", link
            total += len(packed)
    assert total < FIRST_SCREEN_MAX


async def test_a_file_is_the_same_packed_and_unpacked(session: ClientSession) -> None:
    version = Files().version
    for name in ("js/desk.js", "desk.css", "icon.svg"):
        async with session.get(f"/desk/{version}/{name}", headers={"Accept-Encoding": "gzip"}) as packed:
            content = gzip.decompress(await packed.read())
        async with session.get(f"/desk/{version}/{name}", headers={"Accept-Encoding": "identity"}) as plain:
            assert "Content-Encoding" not in plain.headers
            assert await plain.read() == content == TOO.get(name, WEB / name).read_bytes()


async def test_files_are_kept_for_ever_and_the_page_is_asked_for_each_time(session: ClientSession) -> None:
    version = Files().version
    async with session.get(f"/desk/{version}/desk.css") as file:
        assert "immutable" in file.headers["Cache-Control"]
    async with session.get("/desk") as page:
        assert page.headers["Cache-Control"] == "no-cache"
        etag = page.headers["ETag"]
    async with session.get("/desk", headers={"If-None-Match": f'"other", W/{etag}'}) as again:
        assert again.status == 304
        assert await again.read() == b""


@pytest.mark.parametrize("path", ["js/nothing.js", "../settings.py", "%2e%2e/settings.py", "js/../../settings.py"])
async def test_nothing_else_is_served(session: ClientSession, path: str) -> None:
    version = Files().version
    for at in (f"/desk/{version}/{path}", f"/desk/{'0' * 16}/desk.css"):
        async with session.get(at) as answer:
            assert answer.status in (404, 500), at  # the bare application has no words for NotFound
            assert b"class Settings" not in await answer.read()


async def test_the_policy_lets_scripts_come_from_here_only_and_nothing_become_markup(session: ClientSession) -> None:
    async with session.get("/desk", headers={"Host": "desk.example:9000"}) as page:
        policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
        body = await page.text()
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == "'self' ws://desk.example:8081"
    assert policy["require-trusted-types-for"] == "'script'"
    assert policy["frame-ancestors"] == "'none'"
    assert 'content="ws://desk.example:8081"' in body
    scripts = re.findall(r"<script[^>]*>([^<]*)</script>", body)
    assert scripts == [""], "no script stands in the page"
    assert "style=" not in body
    assert "<style" not in body


@pytest.mark.parametrize("host", ["a b", "x;script-src *", 'x"y', "x/y", "", "x y.example", "[::1"])
async def test_a_host_that_is_none_gets_no_page(host: str) -> None:
    from aiohttp.test_utils import make_mocked_request

    from router.errors import BadMessage

    pages = PageRoutes(Files(), lambda place, name: f"ws://{name}:8081")
    with pytest.raises(BadMessage):
        await pages.page(make_mocked_request("GET", "/desk", headers={"Host": host}))


def test_what_is_vendored_is_what_was_published() -> None:
    told = json.loads((WEB / "vendor" / "vendor.json").read_text())
    files = {path.name: path for path in (WEB / "vendor").iterdir() if path.name != "vendor.json"}
    assert told["sha256"] == {name: hashlib.sha256(p.read_bytes()).hexdigest() for name, p in files.items()}
    for package in told["packages"]:
        assert package["text"] in files, f"the licence of {package['name']}"
        assert package["files"].keys() <= files.keys()


def test_only_one_file_says_what_the_colours_are() -> None:
    """A second one would be forgotten when the first is changed."""
    root = Path(__file__).parents[2]
    sheets = [sheet for room in ("router", "channels") for sheet in (root / room).rglob("*.css")]
    assert [sheet for sheet in sheets if re.search(r"--accent\s*:", sheet.read_text())] == [TOKENS]


def test_only_one_file_asks_with_the_token_of_a_session() -> None:
    """It is the one that notices when the token is good for nothing any more."""
    assert [path.name for path in (WEB / "js").glob("*.js") if "Authorization" in path.read_text()] == ["api.js"]


def test_the_widget_has_what_it_names_and_is_small() -> None:
    files = widget_files().files
    asked = {"js/main.js", "tokens.css", "widget.css"}
    while asked:
        name = asked.pop()
        assert name in files, name
        for found in re.findall(r'from "\.\.?/([^"]+)"', files[name].body.decode()):
            asked.add(found if found.startswith("vendor/") else f"js/{found}")
    assert sum(len(file.packed) for file in files.values()) < 40_000, (
        "bytes over the wire, the page to try it on included"
    )


# --- words ------------------------------------------------------------------------------------------------------------


FORM = re.compile(r"\.(zero|one|two|few|many)$")  # as Intl.PluralRules names them


def dictionaries(web: Path = WEB) -> dict[str, dict[str, str]]:
    text = (web / "js" / "words.js").read_text()
    blocks = re.findall(r"^const (\w\w) = \{\n(.*?)^\};", text, re.DOTALL | re.MULTILINE)
    return {
        name: dict(re.findall(r'^  "([^"]+)": "((?:[^"\\]|\\.)*)",$', block, re.MULTILINE)) for name, block in blocks
    }


@pytest.mark.parametrize("web", [WEB, WIDGET], ids=["desk", "widget"])
def test_every_language_says_all_that_english_says_with_the_same_blanks(web: Path) -> None:
    spoken = dictionaries(web)
    assert {"en", "es"} <= spoken.keys()
    plain = {key for key in spoken["en"] if not is_form(key, spoken["en"])}
    for name, words in spoken.items():
        assert {key for key in words if not is_form(key, spoken["en"])} == plain, name
        for key, text in words.items():
            said = spoken["en"][FORM.sub("", key) if is_form(key, spoken["en"]) else key]
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", said)), (name, key)


def is_form(key: str, english: dict[str, str]) -> bool:
    """Whether these are the words for some numbers, beside those for all others; each language has forms of its own."""
    return FORM.sub("", key) in english and key != FORM.sub("", key)


@pytest.mark.parametrize("web", [WEB, WIDGET], ids=["desk", "widget"])
def test_every_word_that_is_said_is_known(web: Path) -> None:
    known = dictionaries(web)["en"].keys()
    for path in (web / "js").glob("*.js"):
        for key in re.findall(r'\bt\("([a-z0-9.-]+)"', path.read_text()):
            assert key in known, f"{path.name}: {key}"


def test_why_something_was_refused_is_a_sentence_of_its_own() -> None:
    """It stands alone, or behind one that says what was not done: neither in brackets nor with two full stops."""
    for name, words in dictionaries(WIDGET).items():
        assert words["unsent"].endswith(". {why}"), name
        for key, text in words.items():
            if key.startswith("no."):
                assert text.endswith((".", "…")), (name, key)
                assert text[0].isupper(), (name, key)


def test_what_we_ship_as_defaults_is_translated() -> None:
    known = dictionaries()["en"].keys()
    assert {f"reason.{word}" for word in Settings().reasons} <= known
    assert {f"outcome.{word}" for word in Settings().dispositions} <= known


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["wss://desk.example", "ws://10.0.0.1:81", "wss://[::1]:8443"])
def test_a_socket_address_may_be_named(address: str) -> None:
    check(Settings(socket_url=address), ())


@pytest.mark.parametrize("address", ["https://x", "wss://", "wss://x/agent", "wss://x; script-src *", "ws://a b"])
def test_what_is_no_socket_address_is_refused_with_its_path(address: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check(Settings(socket_url=address), ())
    assert refused.value.path == "desk.socket_url"


@pytest.mark.parametrize(
    ("desk", "http", "sockets", "wanted"),
    [
        (Settings(), HttpSettings(), SocketSettings(), "ws://127.0.0.1:7001"),
        (Settings(), HttpSettings(), SocketSettings(tls_certificate="c", tls_key="k"), "wss://127.0.0.1:7001"),
        (Settings(), HttpSettings(behind_proxy=True), SocketSettings(), "wss://127.0.0.1:{port}"),
        (Settings(socket_url="wss://s.example"), HttpSettings(), SocketSettings(), "wss://s.example"),
    ],
    ids=["plain", "tls", "proxy", "named"],
)
async def test_browsers_are_told_where_the_sockets_are(
    desk: Settings, http: HttpSettings, sockets: SocketSettings, wanted: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("house")
    house = House(
        http, RecordingDesk(), Access({}, {}), dict, Quarantine(folder / "quarantine"), BlobStore(folder / "blobs")
    )
    app = web.Application()
    app.add_routes(desk_routes(desk, house, sockets, lambda: 7001))
    async with TestServer(app) as server, ClientSession() as client:
        async with client.get(server.make_url("/desk")) as page:
            assert f'content="{wanted.format(port=server.port)}"' in await page.text()


def test_a_desk_that_is_switched_off_has_no_routes(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("house")
    house = House(
        HttpSettings(), RecordingDesk(), Access({}, {}), dict, Quarantine(folder / "q"), BlobStore(folder / "blobs")
    )
    assert desk_routes(Settings(enabled=False), house, SocketSettings(), lambda: 1) == []


def test_every_act_and_everybody_who_acts_has_words_in_every_language() -> None:
    _, english, spanish = re.split(r"^const e[ns] = ", (WEB / "js" / "words.js").read_text(), flags=re.MULTILINE)
    for words in (english, spanish):
        known = set(re.findall(r'^  "((?:did|role)\.[^"]+)": "', words, re.MULTILINE))
        assert known == {f"did.{act}" for act in ACTS} | {f"role.{role}" for role in (*ROLES, "console")}
