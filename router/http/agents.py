"""Operators and agents, and the queues at a glance."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from router.engine.commands import SetState
from router.engine.events import AgentState
from router.engine.views import AgentView, QueueView
from router.errors import BadMessage, Unauthenticated
from router.http.house import House
from router.http.interactions import ACTING, LOOKING, Limit
from router.service.routes import describe, json_response, read_json, read_query


class AgentsQuery(Struct, frozen=True, forbid_unknown_fields=True):
    after: Annotated[str, Meta(max_length=64, description="The last agent of the page before")] = ""
    limit: Limit = 100


class AgentPage(Struct, frozen=True):
    agents: list[AgentView]
    next: str = ""  # the `after` of the next page; "" on the last one


class StateBody(Struct, frozen=True, forbid_unknown_fields=True):
    state: AgentState
    reason: Annotated[str, Meta(max_length=200)] = ""


class QueueList(Struct, frozen=True):
    queues: list[QueueView]


class AgentRoutes:
    def __init__(self, house: House) -> None:
        self._house = house
        self._desk = house.desk

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/agents", self.list_),
            web.get("/v1/agents/{id}", self.get),
            web.post("/v1/agents/{id}/state", self.state),
            web.get("/v1/queues", self.queues),
        ]

    @describe(
        "A page of agents, by id",
        group="agents",
        who="operator",
        query=AgentsQuery,
        answer=AgentPage,
        refuses=(Unauthenticated, BadMessage),
    )
    async def list_(self, request: web.Request) -> web.Response:
        self._house.access.operator(request)
        query = read_query(request, AgentsQuery)
        page = self._desk.agents(query.after, query.limit)
        return json_response(AgentPage(page, page[-1].agent if len(page) == query.limit else ""))

    @describe("One agent", group="agents", who="operator", answer=AgentView, refuses=LOOKING)
    async def get(self, request: web.Request) -> web.Response:
        self._house.access.operator(request)
        return json_response(self._desk.agent(request.match_info["id"]))

    @describe(
        "Make an agent ready or not ready",
        group="agents",
        who="operator",
        body=StateBody,
        answer=AgentView,
        refuses=ACTING,
    )
    async def state(self, request: web.Request) -> web.Response:
        by, agent = self._house.by(request), request.match_info["id"]
        body = await read_json(request, StateBody)
        self._desk.agent(agent)  # NotFound before anything is asked
        await self._house.act(request, "state", SetState(agent=agent, state=body.state, reason=body.reason, by=by))
        return json_response(self._desk.agent(agent))

    @describe("Every queue", group="queues", who="operator", answer=QueueList, refuses=(Unauthenticated,))
    async def queues(self, request: web.Request) -> web.Response:
        self._house.access.operator(request)
        return json_response(QueueList(self._desk.queues()))
