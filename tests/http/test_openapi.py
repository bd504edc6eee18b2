"""The OpenAPI document is valid, complete, and true: requests made from it get answers that it names."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, Phase, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from router.engine.config import Duration
from router.errors import BadMessage, Overloaded
from router.http.openapi import document, schema_hook
from router.http.server import HttpServer
from router.http.settings import HttpSettings
from router.service.routes import describe
from tests.http.conftest import OPERATOR, Scene
from tests.http.views import outbound

EXAMPLES = 20  # for each operation, besides the edges of each schema: 20 s in all on a quiet machine


class House:
    """A server on a loop of its own, since the requests are made by a synchronous client."""

    def __init__(self, folder: Path) -> None:
        self.scene = Scene(folder)
        self.scene.desk.dead = [outbound(1)]
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self.run(self._start())

    def run(self, job: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(job, self.loop).result(20)

    async def _start(self) -> HttpServer:
        server = HttpServer(
            HttpSettings(port=0),
            self.scene.desk,
            parts=lambda: self.scene.parts,
            quarantine=self.scene.quarantine,
            blobs=self.scene.blobs,
            operators={"op-token": "olga"},
            requeue_hooks={"email": self.scene.requeue},
            configure=self.scene.configure,
        )
        await server.start()
        return server

    def stop(self) -> None:
        self.run(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("house"))
    yield house
    house.stop()


@pytest.fixture(scope="module")
def api(house: House) -> Any:
    made = document(house.server.app.router.routes())
    config = SchemathesisConfig.from_dict({"seed": 20_241_122})
    schema = schemathesis.openapi.from_dict(made, config=config)
    schema.config.update(base_url=house.server.url)
    return schema


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_requests_made_from_the_document_get_what_it_names(case: Any) -> None:
    # The generator fills all four fields of a transfer's `to`, although its schema says oneOf.
    blind = [positive_data_acceptance] if case.operation.label.endswith("/transfer") else []
    case.call_and_validate(headers=OPERATOR, excluded_checks=blind)


def test_the_document_is_valid_openapi(house: House) -> None:
    OpenAPIV31SpecValidator(document(house.server.app.router.routes())).validate()


def test_the_document_names_every_route_of_the_api(house: House) -> None:
    app = house.server.app
    made = document(app.router.routes())
    mounted = {
        (r.resource.canonical, r.method.lower()) for r in app.router.routes() if r.resource and r.method != "HEAD"
    }
    told = {(path, method) for path, methods in made["paths"].items() for method in methods}
    assert mounted - told == {("/", "get"), ("/v1/openapi.json", "get")}


def test_what_wants_a_token_says_so(house: House) -> None:
    for path, methods in document(house.server.app.router.routes())["paths"].items():
        for operation in methods.values():
            assert ("security" in operation) == path.startswith("/v1/"), path
            assert not path.startswith("/v1/") or "401" in operation["responses"]


async def test_the_document_is_served(http: Any) -> None:
    response = await http.get("/v1/openapi.json")
    made = await response.json()
    assert (response.status, made["openapi"]) == (200, "3.1.0")


def test_an_adapters_route_is_in_it_when_it_describes_itself() -> None:
    @describe("An event of a gateway", who="gateway", answer=dict[str, str], refuses=(BadMessage, Overloaded))
    async def events(request: web.Request) -> web.Response:
        raise NotImplementedError

    async def silent(request: web.Request) -> web.Response:
        raise NotImplementedError

    app = web.Application()
    app.add_routes([web.post("/v1/phone/{gateway}/events", events), web.post("/v1/phone/x/silent", silent)])
    made = document(app.router.routes())
    OpenAPIV31SpecValidator(made).validate()
    assert list(made["paths"]) == ["/v1/phone/{gateway}/events"]
    operation = made["paths"]["/v1/phone/{gateway}/events"]["post"]
    assert sorted(operation["responses"]) == ["200", "422", "503"]
    assert "Retry-After" in operation["responses"]["503"]["headers"]


def test_the_longest_duration_that_the_document_allows_is_taken() -> None:
    longest = "999d9999h999999m9999999s9999999999ms"
    assert re.fullmatch(schema_hook(Duration)["pattern"], longest)
    assert Duration.parse(longest) > 0
    assert not re.fullmatch(schema_hook(Duration)["pattern"], "1" + longest)
