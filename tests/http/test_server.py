"""The port itself: probes, refusals in one form, and limits that hold against clients of any kind."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from router.engine.config import Duration
from router.errors import ConfigError, Overloaded
from router.http.server import HttpServer
from router.http.settings import HttpSettings
from router.service.ports import Health
from tests.http.conftest import AGENT, OPERATOR, Scene, Start
from tests.http.test_operators import problem
from tests.support.desk import RecordingDesk
from tests.support.waiting import until

SHORT = Duration(300)
NONE: Any = None  # a part that is not touched


async def raw_exchange(server: HttpServer, sent: bytes) -> bytes:
    """What comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


# --- probes ----------------------------------------------------------------------------------------------------------


async def test_the_process_lives(http: aiohttp.ClientSession) -> None:
    response = await http.get("/livez")
    assert (response.status, await response.json()) == (200, {"status": "alive"})


@pytest.mark.promise("OB-1")
async def test_readiness_names_each_part_and_turns_bad_with_one(http: aiohttp.ClientSession, scene: Scene) -> None:
    response = await http.get("/readyz")
    body = await response.json()
    assert (response.status, body["status"], list(body["parts"])) == (200, "ready", ["engine", "email"])
    assert body["parts"]["email"] == {"ok": True, "detail": "listening", "figures": {}}

    scene.parts["email"] = Health(ok=False, detail="the port is closed", figures={"sessions": 0})
    response = await http.get("/readyz")
    body = await response.json()
    assert (response.status, body["status"]) == (503, "not-ready")
    assert body["parts"]["email"] == {"ok": False, "detail": "the port is closed", "figures": {"sessions": 0}}
    assert 'switchboard_part_ok{part="email"} 0.0' in await (await http.get("/metrics")).text()


@pytest.mark.promise("OB-1")
async def test_a_part_that_cannot_be_asked_is_not_well(start: Start, scene: Scene) -> None:
    scene.parts = None  # type: ignore[assignment]
    server = await start()
    async with aiohttp.ClientSession(server.url) as http:
        response = await http.get("/readyz")
        assert (response.status, list((await response.json())["parts"])) == (503, ["health"])


@pytest.mark.promise("OB-1")
async def test_metrics_count_answers(http: aiohttp.ClientSession) -> None:
    await http.get("/livez")
    await http.get("/nowhere")
    pages = await asyncio.gather(*(http.get("/metrics") for _ in range(5)))
    text = await pages[-1].text()
    assert pages[0].headers["Content-Type"].startswith("text/plain; version=")
    assert 'switchboard_http_answers_total{status="404"} 1.0' in text
    assert "switchboard_loop_lag_seconds" in text
    assert "process_resident_memory_bytes" in text


@pytest.mark.promise("OB-1")
async def test_its_own_health_is_that_of_the_port(server: HttpServer) -> None:
    assert server.health().ok
    await server.stop()
    assert server.health() == Health(ok=False, detail="the port is closed", figures={"connections": 0, "requests": 0})


async def test_the_front_page_names_what_there_is(http: aiohttp.ClientSession) -> None:
    response = await http.get("/")
    text = await response.text()
    assert (response.status, response.content_type) == (200, "text/html")
    assert all(f'href="{path}"' in text for path in ("/readyz", "/metrics", "/v1/openapi.json", "/kiosk"))
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


# --- refusals --------------------------------------------------------------------------------------------------------


async def test_an_unknown_path_and_a_wrong_method_are_problems(http: aiohttp.ClientSession) -> None:
    response = await http.get("/nowhere")
    assert (response.status, (await problem(response))["code"]) == (404, "not-found")
    response = await http.delete("/livez")
    assert (response.status, (await problem(response))["code"]) == (405, "method-not-allowed")
    assert set(response.headers["Allow"].split(",")) == {"GET", "HEAD"}


def adapter_routes() -> list[web.RouteDef]:
    async def take(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async def refuse(request: web.Request) -> web.Response:
        raise Overloaded("busy", retry_after_s=9)

    async def fail(request: web.Request) -> web.Response:
        raise KeyError(request.query["said"])

    async def hang(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def move(request: web.Request) -> web.Response:
        raise web.HTTPFound("/livez")

    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        raise KeyError("in the middle")

    return [
        web.post("/v1/phone/x/take", take),
        web.post("/v1/phone/x/refuse", refuse),
        web.post("/v1/phone/x/fail", fail),
        web.post("/v1/phone/x/hang", hang),
        web.get("/move", move),
        web.get("/half", half),
    ]


@pytest.mark.promise("OB-3")
async def test_adapters_routes_refuse_in_the_same_form(start: Start) -> None:
    server = await start(adapter_routes())
    async with aiohttp.ClientSession(server.url) as http:
        response = await http.post("/v1/phone/x/refuse")
        assert (response.status, (await problem(response))["code"]) == (503, "overloaded")
        assert response.headers["Retry-After"] == "9"
        assert (await http.get("/move", allow_redirects=False)).status == 302


@pytest.mark.promise("OB-6")
async def test_a_fault_of_ours_shows_neither_words_nor_frames(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    server = await start(adapter_routes())
    async with aiohttp.ClientSession(server.url) as http:
        response = await http.post("/v1/phone/x/fail", params={"said": "what the customer wrote"})
        said = await problem(response)
    line = capsys.readouterr().err
    assert (response.status, said["code"]) == (500, "internal")
    assert said["instance"].removeprefix("urn:reference:") in line
    assert "test_server.py" in line
    assert "what the customer wrote" not in line
    assert "what the customer wrote" not in str(said)


async def test_an_answer_that_breaks_off_is_not_taken_for_whole(start: Start) -> None:
    server = await start(adapter_routes())
    async with aiohttp.ClientSession(server.url) as http:
        with pytest.raises(aiohttp.ClientError):
            await (await http.get("/half")).read()
        assert (await http.get("/livez")).status == 200


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.promise("IN-5")
async def test_a_body_may_be_as_long_as_the_limit(start: Start) -> None:
    server = await start(adapter_routes(), body_limit=2_048)
    async with aiohttp.ClientSession(server.url) as http:
        assert (await http.post("/v1/phone/x/take", data=b"x" * 2_048)).status == 200
        response = await http.post("/v1/phone/x/take", data=b"x" * 2_049)
        assert (response.status, (await problem(response))["code"]) == (413, "too-large")

        async def chunks() -> Any:
            for _ in range(3):
                yield b"x" * 1_024

        response = await http.post("/v1/phone/x/take", data=chunks())  # no length is told beforehand
        assert response.status == 413


@pytest.mark.promise("IN-5")
@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 9_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=["long line", "long field", "many fields", "TLS", "two lengths"],
)
async def test_a_head_that_is_none_or_too_long_is_refused(
    server: HttpServer, capsys: pytest.CaptureFixture[str], head: bytes
) -> None:
    capsys.readouterr()
    answer = await raw_exchange(server, head)
    assert answer.split()[1] == b"400"
    assert capsys.readouterr().err == ""  # an outsider's mistake is no line in our log


@pytest.mark.promise("IN-5")
@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n", b"GET /livez HTTP/1.1\r\n\r\nGET /li"],
    ids=["nothing", "half", "second"],
)
async def test_a_client_that_never_finishes_its_head_is_cut(start: Start, sent: bytes) -> None:
    server = await start(idle_timeout=SHORT)
    began = asyncio.get_running_loop().time()
    await raw_exchange(server, sent)
    assert asyncio.get_running_loop().time() - began < 5


@pytest.mark.promise("IN-5", "IN-2")
@pytest.mark.parametrize(
    "sent",
    [
        b"POST /v1/phone/x/take HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
        b"POST /v1/phone/x/hang HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["body", "handler"],
)
async def test_a_request_that_takes_too_long_is_told_to_come_back(start: Start, sent: bytes) -> None:
    server = await start(adapter_routes(), request_timeout=Duration(500))
    answer = await raw_exchange(server, sent)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 5\r\n" in answer
    assert server.health().figures["requests"] == 0


@pytest.mark.promise("IN-5")
async def test_a_connection_too_many_is_told_so(start: Start) -> None:
    server = await start(connections=2)
    held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
    for _, writer in held:
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    for reader, _ in held:
        await reader.readuntil(b"alive")
    answer = await raw_exchange(server, b"")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After" in answer
    assert b'"code":"overloaded"' in answer
    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    async with aiohttp.ClientSession(server.url) as http:
        assert (await http.get("/livez")).status == 200  # there is room again
    assert server.turned_away == 1


@pytest.mark.promise("IN-5")
async def test_one_address_cannot_take_all_connections(start: Start) -> None:
    server = await start(connections=5, per_address=2)
    held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
    for reader, writer in held:
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"alive")
    answer = await raw_exchange(server, b"")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b'"code":"overloaded"' in answer
    other = await asyncio.open_connection("127.0.0.1", server.port, local_addr=("127.0.0.2", 0))
    other[1].write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    await other[0].readuntil(b"alive")
    for _, writer in (*held, other):
        writer.close()
        await writer.wait_closed()
    async with aiohttp.ClientSession(server.url) as http:
        assert (await http.get("/livez")).status == 200  # there is room again
    assert server.turned_away == 1


async def test_a_proxy_may_have_all_connections(start: Start) -> None:
    server = await start(connections=3, per_address=0)
    held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
    for reader, writer in held:
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"alive")
        writer.close()


@pytest.mark.promise("IN-5")
@pytest.mark.parametrize("path", ["/v1/phone/x/take", "/nowhere"])
async def test_a_damaged_body_is_no_error_of_ours(start: Start, caplog: pytest.LogCaptureFixture, path: str) -> None:
    server = await start(adapter_routes())
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(head.encode())
    await until(lambda: server._running or server.answers)  # the handler is there before the body
    writer.write(b"no gzip!")
    await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await raw_exchange(server, head.encode() + b"no gzip!")
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_client_that_leaves_in_the_middle_is_no_line_in_the_log(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    server = await start(adapter_routes())
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /v1/phone/x/take HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    async with aiohttp.ClientSession(server.url) as http:
        while not server.health().figures["requests"]:
            await http.get("/livez")
        writer.close()
        while server.health().figures["requests"]:
            await http.get("/livez")
    assert "request_failed" not in capsys.readouterr().err


@pytest.mark.promise("IN-5")
async def test_a_reader_who_stands_still_is_cut(start: Start, scene: Scene) -> None:
    server = await start(write_timeout=SHORT)
    digest = scene.blobs.put_now(b"x" * 20_000_000).digest
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        lazy.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(lazy, ("127.0.0.1", server.port))
        head = f"GET /v1/blobs/{digest} HTTP/1.1\r\nHost: x\r\nAuthorization: {AGENT['Authorization']}\r\n\r\n"
        await loop.sock_sendall(lazy, head.encode())
        async with aiohttp.ClientSession(server.url) as http:
            await http.get("/livez")
            assert server.health().figures["connections"] == 2
            while server.health().figures["connections"] > 1:
                await http.get("/livez")


async def test_content_erased_while_it_is_read_cuts_the_answer_so_that_nobody_takes_it_for_whole(
    start: Start, scene: Scene
) -> None:
    server = await start()
    digest = scene.blobs.put_now(b"x" * 20_000_000).digest
    connector = aiohttp.TCPConnector(socket_factory=_narrow)
    async with aiohttp.ClientSession(server.url, connector=connector, read_bufsize=4_096) as http:
        response = await http.get(f"/v1/blobs/{digest}", headers=AGENT)
        assert (response.status, response.content_length) == (200, 20_000_000)
        scene.blobs.path(digest).unlink()
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


def _narrow(address: tuple[Any, ...]) -> socket.socket:
    """A socket that takes little at a time: the server cannot have sent much before this reads."""
    family, kind, protocol, _, _ = address
    narrow = socket.socket(family, kind, protocol)
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    return narrow


# --- stopping --------------------------------------------------------------------------------------------------------


@pytest.mark.promise("DU-6")
async def test_while_draining_only_looking_is_answered(start: Start, scene: Scene) -> None:
    server = await start(adapter_routes())
    async with aiohttp.ClientSession(server.url) as http:
        await server.stop_intake()
        for path in ("/v1/phone/x/take", "/v1/interactions/i-1/close"):
            response = await http.post(path, headers=OPERATOR)
            assert (response.status, (await problem(response))["code"]) == (503, "draining")
            assert response.headers["Retry-After"] == "5"
        assert (await http.get("/readyz")).status == 200
        assert (await http.get("/v1/interactions/i-1", headers=OPERATOR)).status == 200


@pytest.mark.promise("DU-6")
async def test_stopping_waits_for_what_was_begun(start: Start, scene: Scene) -> None:
    server = await start()
    scene.desk.held = []
    async with aiohttp.ClientSession(server.url) as http:
        asked = asyncio.create_task(http.post("/v1/interactions/i-1/close", headers=OPERATOR))
        while not scene.desk.held:
            await asyncio.wait({asked}, timeout=0.01)
        stopping = asyncio.create_task(server.stop())
        await asyncio.wait({asked, stopping}, timeout=0.05)
        assert not asked.done()
        scene.desk.held[0]()
        assert (await asked).status == 200
        await stopping
    assert not server.health().ok


# --- who may listen where --------------------------------------------------------------------------------------------


def build(operators: dict[str, str], **options: Any) -> HttpServer:
    settings = HttpSettings(port=0, **options)
    return HttpServer(settings, RecordingDesk(), parts=dict, quarantine=NONE, blobs=NONE, operators=operators)


@pytest.mark.promise("OB-6")
@pytest.mark.parametrize(
    ("operators", "options", "expected"),
    [
        ({}, {"behind_proxy": True}, "or a token in operators.tokens"),
        ({"": "olga"}, {"behind_proxy": True}, "or a token in operators.tokens"),
        ({"dev-operator": "olga"}, {"behind_proxy": True}, "demo tokens"),
        ({"good": "olga", "dev-operator": "sam"}, {"behind_proxy": True}, "demo tokens"),
        ({"good": "olga"}, {}, "behind_proxy"),
    ],
)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway.example"])
async def test_nothing_listens_beyond_loopback_without_protection(
    host: str, operators: dict[str, str], options: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        await build(operators, host=host, **options).start()


@pytest.mark.promise("OB-6")
async def test_with_protection_it_does_and_metrics_want_a_token() -> None:
    server = build({"good": "olga"}, host="0.0.0.0", behind_proxy=True)
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as http:
            assert (await http.get("/metrics")).status == 401
            assert (await http.get("/metrics", headers={"Authorization": "Bearer good"})).status == 200
            assert (await http.get("/readyz")).status == 200
    finally:
        await server.stop()


@pytest.mark.promise("OB-4")
async def test_an_address_in_use_is_told_with_its_option(server: HttpServer) -> None:
    with pytest.raises(ConfigError, match=r"http\.port: expected an address that is free"):
        await HttpServer(
            HttpSettings(port=server.port), RecordingDesk(), parts=dict, quarantine=NONE, blobs=NONE, operators={}
        ).start()


@pytest.mark.promise("OB-4")
async def test_a_certificate_that_cannot_be_read_is_told_with_its_option(tmp_path: Any) -> None:
    (tmp_path / "c.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match=r"http\.certificate"):
        await build({}, certificate=str(tmp_path / "c.pem"), private_key=str(tmp_path / "k.pem")).start()
    with pytest.raises(ConfigError, match=r"http\.certificate"):
        await build({}, certificate=str(tmp_path / "c.pem")).start()


@pytest.mark.promise("IN-5")
@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/phone/dev/events HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST /v1/phone/dev/events HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nBad\x00Header: x\r\n\r\n",
    ],
    ids=range(5),
)
async def test_what_is_no_request_is_refused_in_the_same_form(server: HttpServer, sent: bytes) -> None:
    head, _, body = (await raw_exchange(server, sent)).partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert b"Content-Type: application/problem+json" in head
    problem = json.loads(body)
    assert (problem["status"], problem["code"]) == (400, "bad-request")
    assert b"nonsense" not in body
