"""Operators and agents, and the queues at a glance."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct
from msgspec.structs import replace

from router.engine.commands import SetState
from router.engine.events import AgentState
from router.engine.views import AgentView, QueueView
from router.errors import BadMessage, Forbidden, Unauthenticated
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


class QueuesQuery(Struct, frozen=True, forbid_unknown_fields=True):
    since_ms: Annotated[
        int, Meta(ge=0, le=1 << 53, description="Figures of the day since then; left out: as far back as is kept")
    ] = 0


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
        needs="floor",
        query=AgentsQuery,
        answer=AgentPage,
        refuses=(Unauthenticated, BadMessage),
    )
    async def list_(self, request: web.Request) -> web.Response:
        teams, scope = self._house.access.allowed(request).teams, self._house.scope
        query = read_query(request, AgentsQuery)
        page, after = list[AgentView](), query.after
        while True:
            found = self._desk.agents(after, query.limit)
            page += [view for view in found if scope.agent(teams, view.agent)]
            if len(found) < query.limit or len(page) >= query.limit:
                break
            after = found[-1].agent
        more = len(found) == query.limit or len(page) > query.limit
        page = page[: query.limit]
        return json_response(AgentPage(page, page[-1].agent if page and more else ""))

    @describe(
        "One agent; contacts in hand only for those who may read them",
        group="agents",
        who="operator",
        needs="floor",
        answer=AgentView,
        refuses=(*LOOKING, Forbidden),
    )
    async def get(self, request: web.Request) -> web.Response:
        who, found = self._house.access.allowed(request), self._desk.agent(request.match_info["id"])
        self._house.scope.demand_agent(who, found.agent)
        if "words" not in who.may:
            return json_response(replace(found, offers=(), interactions=()))
        for view in found.interactions:
            await self._house.looked(request, who, view.id)
        return json_response(found)

    @describe(
        "Make an agent ready or not ready",
        group="agents",
        who="operator",
        needs="people",
        body=StateBody,
        answer=AgentView,
        refuses=ACTING,
    )
    async def state(self, request: web.Request) -> web.Response:
        by, agent = self._house.by(request), request.match_info["id"]
        body = await read_json(request, StateBody)
        self._desk.agent(agent)  # NotFound before anything is asked
        self._house.scope.demand_agent(self._house.access.allowed(request), agent)
        await self._house.act(request, "state", SetState(agent=agent, state=body.state, reason=body.reason, by=by))
        return json_response(self._desk.agent(agent))

    @describe(
        "Every queue",
        group="queues",
        who="operator",
        needs="floor",
        query=QueuesQuery,
        answer=QueueList,
        refuses=(Unauthenticated, BadMessage),
    )
    async def queues(self, request: web.Request) -> web.Response:
        teams, scope = self._house.access.allowed(request).teams, self._house.scope
        found = self._desk.queues(read_query(request, QueuesQuery).since_ms)
        return json_response(QueueList([view for view in found if scope.queue(teams, view.queue)]))
