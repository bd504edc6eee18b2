"""The configuration in force, and a new one: checked first, then one recorded event (RT-12, OB-4).

What a configuration file means is known further left (the settings); here its bytes are handed on with who sent them.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from router.errors import BadMessage, ClientError, ConfigError, IllegalMove, TooLarge, Unauthenticated, Unavailable
from router.http.house import House
from router.service.problems import JSON_TYPE
from router.service.routes import decode_json, describe, json_response, read_body, read_query


class ConfigQuery(Struct, frozen=True, forbid_unknown_fields=True):
    dry_run: bool = False  # 1: check only, change nothing


class ConfigShown(Struct, frozen=True):
    version: int
    document: dict[str, Any]


class ConfigurationRoutes:
    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/config", self.get), web.post("/v1/config", self.post)]

    @describe(
        "What the engine decides by", group="config", who="operator", answer=ConfigShown, refuses=(Unauthenticated,)
    )
    async def get(self, request: web.Request) -> web.Response:
        self._house.access.operator(request)
        version, document = self._house.desk.configuration()
        return json_response({"version": version, "document": msgspec.Raw(document)})

    @describe(
        "Check a configuration in TOML or JSON and, without dry_run, decide by it from now on",
        group="config",
        who="operator",
        query=ConfigQuery,
        body=dict[str, Any],
        bodies=("application/json", "application/toml"),
        answer=dict[str, Any],
        refuses=(Unauthenticated, ClientError, BadMessage, ConfigError, IllegalMove, TooLarge, Unavailable),
    )
    async def post(self, request: web.Request) -> web.Response:
        by = self._house.by(request)
        query = read_query(request, ConfigQuery)
        content = await read_body(request, self._house.settings.body_limit)
        if not content.strip():
            raise ClientError("the body is empty; send the whole configuration")
        if request.content_type == JSON_TYPE:
            decode_json(content, dict[str, Any])  # refused here in the words of every other body
        who = self._house.access.allowed(request)
        try:
            found = await self._house.configure(content, query.dry_run, by)
        except (ConfigError, IllegalMove) as refused:
            await self._house.note(request, who, "config-refused", "", str(refused))
            raise
        await self._house.note(request, who, "config" if found["applied"] else "config-tried", str(found["version"]))
        return json_response(found)
