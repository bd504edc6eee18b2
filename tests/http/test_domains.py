"""What is answered of routing domains where there are none, and what is answered at all where nobody leads."""

from __future__ import annotations

import aiohttp
import pytest

from router.http.server import BLIND, HttpServer
from router.service.writer import AWAY
from tests.http.conftest import OPERATOR


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/domains"), ("POST", "/v1/domains/north/move")])
async def test_a_house_that_is_one_says_so(http: aiohttp.ClientSession, method: str, path: str) -> None:
    body = {"to": "engine-2"} if method == "POST" else None
    async with http.request(method, path, headers=OPERATOR, json=body) as answer:
        said = await answer.json(content_type=None)
    assert (answer.status, said["code"]) == (404, "not-found")
    assert said["detail"] == "this house is one: its configuration has no [domains]"


@pytest.mark.promise("DU-2", "OB-1")
async def test_while_nobody_leads_who_looks_is_not_told_of_recording(
    http: aiohttp.ClientSession, server: HttpServer
) -> None:
    server.closed = AWAY
    for method, path, said in (
        ("GET", "/v1/interactions", BLIND),
        ("HEAD", "/v1/interactions", ""),
        ("POST", "/v1/interactions/i-1/requeue", AWAY),
        ("GET", "/v1/domains", BLIND),
    ):
        async with http.request(method, path, headers=OPERATOR) as answer:
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "1"
            assert method == "HEAD" or (await answer.json(content_type=None))["detail"] == said
    server.closed = "standing by: engine-2 leads; ask there"
    async with http.get("/v1/interactions", headers=OPERATOR) as answer:
        assert (await answer.json(content_type=None))["detail"] == server.closed
