"""The OpenAPI 3.1 document, made from the route table and the structs that the handlers really use.

A route is in it when its handler carries a `RouteInfo`. The types of bodies, answers and queries become schemas once,
under their own names; refusals are one schema, and each status lists the codes it may carry.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from router import __version__
from router.engine.config import Duration
from router.errors import Forbidden, RouterError, TooManyAttempts, Unauthenticated
from router.service.problems import JSON_TYPE, PROBLEM_TYPE, Problem, status_of
from router.service.routes import RouteInfo, Who, described

REF = "#/components/schemas/{name}"
VERBS = ("get", "put", "post", "delete", "patch")

SECURITY: dict[Who, list[dict[str, list[str]]]] = {
    "anybody": [],
    "operator": [{"operator": []}],
    "agent": [{"operator": []}, {"agent": []}],
    "gateway": [],
}
# What a route need not say of itself: how whoever is not let in is answered.
REFUSED: dict[Who, tuple[type[RouterError], ...]] = {
    "anybody": (),
    "operator": (Unauthenticated, Forbidden, TooManyAttempts),
    "agent": (Unauthenticated, TooManyAttempts),
    "gateway": (),
}
SCHEMES = {
    "operator": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `operators.tokens`, or of a session whose roles allow it",
    },
    "agent": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `agent_link.tokens`, or of an agent's session",
    },
}
TEXT = {"type": "string"}  # of a body that is not JSON
GATEWAY_NOTE = "Verified by the gateway's own signature scheme."


@dataclass(frozen=True)
class Described:
    method: str
    path: str
    info: RouteInfo


def table(routes: Iterable[web.AbstractRoute]) -> list[Described]:
    """The routes that say something of themselves, by path and method."""
    found = []
    for route in routes:
        info, method = described(route.handler), route.method.lower()
        if info is not None and method in VERBS and route.resource is not None:
            found.append(Described(method, route.resource.canonical, info))
    return sorted(found, key=lambda d: (d.path, VERBS.index(d.method)))


def document(routes: Iterable[web.AbstractRoute]) -> dict[str, Any]:
    rows = table(routes)
    schemas = Schemas(rows)
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in rows:
        paths[row.path][row.method] = operation(row, schemas)
    made = {
        "openapi": "3.1.0",
        "info": {
            "title": "Switchboard",
            "version": __version__,
            "summary": "Operators' and gateways' HTTP interface",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": dict(paths),
        "components": {"schemas": schemas.components, "securitySchemes": SCHEMES},
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(made))  # as a reader gets it: no tuples
    return plain


class Schemas:
    """Every type of the table as a schema, made in one go so that each struct gets one name."""

    def __init__(self, rows: list[Described]) -> None:
        types: list[Any] = [Problem]
        for row in rows:
            types += [t for t in (row.info.body, row.info.answer, row.info.query) if t is not None]
            types += row.info.parameters.values()
        self._types = types
        made, components = msgspec.json.schema_components(types, schema_hook=schema_hook, ref_template=REF)
        self._made = list(made)
        # By the name that each was given, which is longer than its own where two structs share one.
        queries = {self._name(row.info.query) for row in rows if row.info.query}
        self._queries = {name: components.pop(name) for name in queries}
        self.components = dict(sorted(components.items()))

    def of(self, kind: Any) -> dict[str, Any]:
        return self._made[next(i for i, t in enumerate(self._types) if t is kind or t == kind)]

    def query(self, kind: type[Struct]) -> dict[str, Any]:
        return dict(self._queries[self._name(kind)]["properties"])

    def _name(self, kind: type[Struct]) -> str:
        ref: str = self.of(kind)["$ref"]
        return ref.removeprefix(REF.format(name=""))


def schema_hook(kind: type) -> dict[str, Any]:
    if issubclass(kind, Duration):
        return {
            "type": "string",
            # So few digits that no sum of them is more than ten years, which is the limit and no pattern's business.
            "pattern": r"^(?=.)(\d{1,3}d)?(\d{1,4}h)?(\d{1,6}m)?(\d{1,7}s)?(\d{1,10}ms)?$",
            "examples": ["20s", "4h", "1h30m"],
        }
    if kind is object:  # a requirement in its written form, which is a tree of tables
        return {"description": "As it is written in a configuration"}
    raise NotImplementedError(kind)


def operation(row: Described, schemas: Schemas) -> dict[str, Any]:
    info = row.info
    made: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{row.method}{row.path}").strip("_"),
        "summary": info.summary,
        "responses": responses(info, schemas),
    }
    if info.group:
        made["tags"] = [info.group]
    if info.who == "gateway":
        made["description"] = GATEWAY_NOTE
    if SECURITY[info.who]:
        made["security"] = SECURITY[info.who]
    if parameters := [*path_parameters(row, schemas), *query_parameters(info, schemas)]:
        made["parameters"] = parameters
    if info.body is not None:
        content = {media: {"schema": schemas.of(info.body) if "json" in media else TEXT} for media in info.bodies}
        made["requestBody"] = {"required": info.body_required, "content": content}
    return made


def path_parameters(row: Described, schemas: Schemas) -> list[dict[str, Any]]:
    def schema(name: str) -> dict[str, Any]:
        kind = row.info.parameters.get(name)
        return {"type": "string", "minLength": 1} if kind is None else schemas.of(kind)

    names = re.findall(r"{(\w+)", row.path)
    return [{"name": name, "in": "path", "required": True, "schema": schema(name)} for name in names]


def query_parameters(info: RouteInfo, schemas: Schemas) -> list[dict[str, Any]]:
    if info.query is None:
        return []
    properties = schemas.query(info.query).items()
    must = {field.encode_name for field in msgspec.structs.fields(info.query) if field.required}
    return [{"name": name, "in": "query", "required": name in must, "schema": schema} for name, schema in properties]


def responses(info: RouteInfo, schemas: Schemas) -> dict[str, Any]:
    good: dict[str, Any] = {}
    if info.answer is not None:
        good["content"] = {info.media: {"schema": schemas.of(info.answer)}}
    found: dict[str, Any] = {str(info.status): {"description": HTTPStatus(info.status).phrase, **good}}
    for status, meaning in info.statuses.items():
        found[str(status)] = {"description": meaning, **good}
    for status, codes in sorted(codes_by_status((*info.refuses, *REFUSED[info.who])).items()):
        problem: dict[str, Any] = {
            "description": f"{HTTPStatus(status).phrase}: code {' or '.join(sorted(codes))}",
            "content": {PROBLEM_TYPE: {"schema": schemas.of(Problem)}},
        }
        if status in (429, 503):
            problem["headers"] = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
        found.setdefault(str(status), problem)
    return found


def codes_by_status(refuses: Iterable[type[RouterError]]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    for kind in refuses:
        found[status_of(kind.__new__(kind))].add(kind.code)
    return found


def encode(made: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(made), indent=2)


def openapi_route(app: web.Application) -> web.RouteDef:
    """Serves the document of everything mounted on `app`; made when it is asked for first, when all is mounted."""
    made: list[bytes] = []

    async def openapi(request: web.Request) -> web.Response:
        if not made:
            made.append(encode(document(app.router.routes())))
        return web.Response(body=made[0], content_type=JSON_TYPE)

    return web.get("/v1/openapi.json", openapi)
