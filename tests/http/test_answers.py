"""What the server does in a shorter way than the library, against the library's own way."""

from __future__ import annotations

import gzip
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
from aiohttp import web

from router.service.answers import Brief
from router.service.routes import read_body
from tests.http.conftest import Start
from tests.http.test_server import raw_exchange

MOST = 1_000
DATE = re.compile(rb"(?<=\r\nDate: )[^\r]*")

# What ends the exchange: the server closes after it, and only then is all of an answer there.
LAST = b"POST /%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def answering(body: bytes, media: str) -> list[web.RouteDef]:
    async def brief(request: web.Request) -> web.StreamResponse:
        return Brief(body, media)

    async def library(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type=media)

    return [web.post("/brief", brief), web.post("/library", library)]


def exchange(asked: bytes, answers: int, name: bytes) -> bytes:
    """Requests upon which the server closes after so many answers."""
    return asked % name if answers == 1 else asked % name * (answers - 1) + LAST % name


@pytest.mark.parametrize("media", ["application/json", "application/xml"])
@pytest.mark.parametrize("body", [b"", b"{}", b"%d" * 50_000], ids=["none", "short", "long"])
@pytest.mark.parametrize(
    ("head", "answers"),
    [
        (b"POST /%b HTTP/1.1\r\nHost: x\r\n", 3),
        (b"POST /%b HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip, deflate\r\n", 3),
        (b"POST /%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", 1),
        (b"POST /%b HTTP/1.0\r\n", 1),
        (b"POST /%b HTTP/1.0\r\nConnection: keep-alive\r\n", 3),
    ],
    ids=["usual", "compressible", "closing", "old", "old-staying"],
)
async def test_a_brief_answer_has_the_bytes_that_the_library_would_write(
    start: Start, head: bytes, answers: int, body: bytes, media: str
) -> None:
    server = await start(answering(body, media))
    asked = head + b"Content-Length: 3\r\n\r\nabc"
    ours, theirs = [await raw_exchange(server, exchange(asked, answers, name)) for name in (b"brief", b"library")]
    assert ours.count(b" 200 OK\r\n") == answers
    assert DATE.sub(b"", ours) == DATE.sub(b"", theirs)
    for date in DATE.findall(ours):
        assert abs((parsedate_to_datetime(date.decode()) - datetime.now(UTC)).total_seconds()) < 60


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (b"Content-Length: 3\r\n\r\nabc", b"abc"),
        (b"Content-Length: 0\r\n\r\n", b""),
        (b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", b"abc"),
        (b"Content-Length: 1000\r\n\r\n" + b"x" * 1_000, b"x" * 1_000),
        (b"Content-Length: 1001\r\n\r\n" + b"x" * 1_001, b"has 1001 bytes"),
        (b"Content-Length: 1001\r\n\r\nx", b"has 1001 bytes"),  # refused before it is all there
        (b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1_001 + b"\r\n0\r\n\r\n", b"has 1001 bytes"),
        (b"Content-Length: 5000\r\n\r\n" + b"x" * 5_000, b"has 5000 bytes"),
        (b"Transfer-Encoding: chunked\r\n\r\n1388\r\n" + b"x" * 5_000 + b"\r\n0\r\n\r\n", b"too-large"),
    ],
    ids=["usual", "empty", "chunks", "most", "more", "more-to-come", "more-chunks", "beyond", "beyond-chunks"],
)
async def test_a_body_is_taken_within_its_limit_and_that_of_the_server(start: Start, sent: bytes, found: bytes) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await read_body(request, MOST))

    server = await start([web.post("/echo", echo)], body_limit=4_096)
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    answer = await raw_exchange(server, head + sent)
    status = b"413" if found in (b"has 1001 bytes", b"has 5000 bytes", b"too-large") else b"200"
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert found in answer if status == b"413" else answer.endswith(b"\r\n\r\n" + found)


async def test_a_small_body_that_unpacks_to_a_large_one_is_refused(start: Start) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await read_body(request, MOST))

    server = await start([web.post("/echo", echo)], body_limit=1 << 20)
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Encoding: gzip\r\n"
    for size in (MOST, MOST + 1, 1 << 22):
        packed = gzip.compress(b"x" * size)
        answer = await raw_exchange(server, head + b"Content-Length: %d\r\n\r\n" % len(packed) + packed)
        assert answer.startswith(b"HTTP/1.1 " + (b"200" if size == MOST else b"413"))
