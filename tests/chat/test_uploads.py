"""Visitors' files over HTTP: by their own token, of kinds that are named, never more than a download."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from channels.chat.settings import Settings
from channels.chat.tokens import Claim, Ticket, seal, seal_file, unseal_file
from channels.chat.uploads import FileRoutes, kind_of, plain_name
from router.errors import BadMessage, NotFound
from router.service.blobs import BlobStore
from router.service.problems import encode
from router.service.sockets import SocketServer, SocketSettings

NOW_MS = 1_700_000_000_000
SECRET = b"a secret of thirty-two characters"
PNG = b"\x89PNG\r\n\x1a\n and so on"
TOKEN = seal(SECRET, Claim("v1", 7, NOW_MS))
KINDS = Settings().file_types
STATUS = {"unauthenticated": 401, "bad-message": 422, "too-large": 413}


def bearer(token: str = TOKEN, kind: str = "image/png", **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Content-Type": kind, **more}


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[TestServer]:
    blobs = BlobStore(tmp_path / "blobs")
    sockets = SocketServer("127.0.0.1", 0, SocketSettings(origins=("https://shop.example",)))
    context = cast(Any, SimpleNamespace(blobs=blobs, sockets=sockets, desk=SimpleNamespace(now_ms=lambda: NOW_MS)))

    @web.middleware
    async def refusing(request: web.Request, handler: Any) -> web.StreamResponse:
        """As the house's own port does."""
        from router.errors import ClientError, Refusal

        try:
            return cast(web.StreamResponse, await handler(request))
        except (ClientError, Refusal) as problem:
            return web.Response(
                status=400, body=encode(400, problem.code, str(problem)), headers={"Code": problem.code}
            )

    app = web.Application(middlewares=[refusing])
    app.add_routes(FileRoutes(Settings(file_max=1_000, file_rate=3), context, lambda: SECRET).routes())
    server = TestServer(app)
    await server.start_server()
    try:
        yield server
    finally:
        await server.close()
        blobs.close()


@pytest.fixture
async def client(port: TestServer) -> AsyncIterator[ClientSession]:
    async with ClientSession(port.make_url("/")) as session:
        yield session


async def test_what_was_uploaded_comes_back_as_a_download(client: ClientSession) -> None:
    async with client.post("/chat/files?name=a/b%22.png", data=PNG, headers=bearer()) as up:
        assert up.status == 201
        told = await up.json()
    assert (told["name"], told["media_type"], told["size"]) == ('a b".png', "image/png", len(PNG))
    async with client.get(f"/chat/files/{told['file']}") as down:
        assert await down.read() == PNG
        assert down.headers["Content-Disposition"].startswith('attachment; filename="a b_.png"')
        assert down.headers["Content-Type"] == "application/octet-stream"
        assert down.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in down.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"Content-Type": "image/png"}, PNG, "unauthenticated"),
        (bearer("x.y"), PNG, "unauthenticated"),
        (bearer(seal(SECRET, Claim("v1", 7, NOW_MS - 86_400_000))), PNG, "unauthenticated"),
        (bearer(seal_file(SECRET, Ticket("v1", "0" * 64, 1, "image/png", "x"))), PNG, "unauthenticated"),
        (bearer(), b"MZ", "bad-message"),
        (bearer(kind="text/html"), b"<script>", "bad-message"),
        (bearer(), PNG + b"x" * 1_000, "too-large"),
        (bearer(Origin="https://elsewhere.example"), PNG, "forbidden"),
    ],
)
async def test_what_may_not_come_is_refused(
    client: ClientSession, headers: dict[str, str], body: bytes, code: str
) -> None:
    async with client.post("/chat/files", data=body, headers=headers) as refused:
        assert (await refused.json(content_type=None))["code"] == code


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [(bearer("x.y"), PNG, "unauthenticated"), (bearer(), b"MZ", "bad-message"), (bearer(), PNG * 90, "too-large")],
)
async def test_a_page_elsewhere_may_read_why_its_file_was_refused(
    client: ClientSession, headers: dict[str, str], body: bytes, code: str
) -> None:
    """Without the header its browser tells it only that the line failed."""
    shop = {"Origin": "https://shop.example"}
    async with client.post("/chat/files", data=body, headers=headers | shop) as refused:
        assert (refused.status, (await refused.json(content_type=None))["code"]) == (STATUS[code], code)
        assert refused.headers["Access-Control-Allow-Origin"] == shop["Origin"]
        assert refused.headers["Vary"] == "Origin"


async def test_a_page_that_may_not_learns_nothing(client: ClientSession) -> None:
    elsewhere = bearer(Origin="https://elsewhere.example")
    async with client.post("/chat/files", data=PNG, headers=elsewhere) as refused:
        assert "Access-Control-Allow-Origin" not in refused.headers


async def test_a_visitor_uploads_so_many_in_a_minute(client: ClientSession) -> None:
    codes = []
    for _ in range(4):
        async with client.post("/chat/files", data=PNG, headers=bearer()) as answer:
            codes.append((await answer.json(content_type=None)).get("code", ""))
            retry = answer.headers.get("Retry-After")
    assert codes == ["", "", "", "overloaded"]
    assert retry is not None


async def test_a_page_that_may_is_let_in_and_others_are_told_so(client: ClientSession) -> None:
    async with client.options("/chat/files", headers={"Origin": "https://shop.example"}) as asked:
        assert asked.status == 204
        assert asked.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert asked.headers["Access-Control-Allow-Headers"] == "authorization, content-type"
    async with client.options("/chat/files", headers={"Origin": "https://elsewhere.example"}) as refused:
        assert "Access-Control-Allow-Origin" not in refused.headers


async def test_a_ticket_that_is_none_gets_nothing(client: ClientSession) -> None:
    good = seal_file(SECRET, Ticket("v1", "0" * 64, 1, "image/png", "x"))
    for ticket in (good[:-1] + ("A" if good[-1] != "A" else "B"), TOKEN, "x" * 40, good):  # the last one names nothing
        async with client.get(f"/chat/files/{ticket}") as answer:
            assert answer.headers["Code"] == "not-found"


@given(st.text(max_size=60))
def test_whatever_is_given_for_a_ticket_is_one_of_ours_or_refused(text: str) -> None:
    with pytest.raises(NotFound):
        unseal_file(SECRET, text)


@given(st.binary(max_size=40), st.sampled_from([*KINDS, "text/html", "image/svg+xml", ""]))
def test_a_file_is_of_a_kind_that_is_named_and_begins_like_it_or_refused(content: bytes, said: str) -> None:
    try:
        kind = kind_of(content, said, KINDS)
    except BadMessage:
        return
    assert kind in KINDS
    assert said == kind
    assert kind != "image/png" or content.startswith(b"\x89PNG")


@given(st.text(max_size=300))
def test_a_name_is_a_name(name: str) -> None:
    plain = plain_name(name)
    assert 0 < len(plain) <= 200
    assert not set(plain) & set("/\\\r\n\0\u202e")
