"""What the desk's pages ask over HTTP, because it is no part of an agent's stream: who I am, whom I could give work to,
what waits that I could take.

An agent sees of others no more than that: names, whether they can be asked, how long lines are. What waits is shown to
those who meet its requirement.
"""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Literal

from aiohttp import web
from msgspec import Meta, Struct

from router import __version__
from router.desk.settings import Settings
from router.engine.commands import Pick
from router.engine.views import AgentView, InteractionView, brief, number_of
from router.errors import ClientError, Forbidden, NotFound, Unauthenticated
from router.http.house import House
from router.service.roles import Identity, Permission, Role
from router.service.routes import describe, json_response

Presence = Literal["ready", "not_ready", "signed-out"]

COLLEAGUES_MAX = 1_000  # one page of the list of agents; a larger house is searched by name
LOOKED_AT = 300  # waiting interactions, oldest first, that are compared with an agent; about two milliseconds
SHOWN = 50

# Reasons why an agent has not got something that are no obstacle to taking it by hand.
TAKEABLE = frozenset({"could-get-it", "cool-off", "pausing", "lost-tie", "not-ready", "going-not-ready", "place-held"})


class Me(Struct, frozen=True):
    """Who a token stands for. One person may be an agent and supervise others."""

    name: str
    shown: str
    agent: bool
    supervisor: bool
    since_ms: int  # of the agent's present state; 0 for who is no agent
    reasons: tuple[str, ...]
    dispositions: tuple[str, ...]
    version: str
    roles: tuple[Role, ...] = ()
    may: tuple[Permission, ...] = ()
    teams: tuple[str, ...] | None = None  # whose work they see beside their own; None: all
    bands: tuple[str, ...] = ()  # of the order, the most urgent first


class Colleague(Struct, frozen=True):
    agent: str
    name: str
    presence: Presence
    busy: int  # offers, work and wrap-up


class Line(Struct, frozen=True):
    queue: str
    open: bool
    waiting: int


class Floor(Struct, frozen=True):
    """Whom an interaction can be given to."""

    queues: tuple[Line, ...]
    colleagues: tuple[Colleague, ...]


class Waiting(Struct, frozen=True):
    """What waits and could be taken by hand, oldest first; at most 50."""

    interactions: tuple[InteractionView, ...]
    more: Annotated[bool, Meta(description="There may be more that waits than was looked at")]


class QuestionRoutes:
    def __init__(self, house: House, settings: Settings) -> None:
        self._house = house
        self._settings = settings
        self._desk = house.desk

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/desk/me", self.me),
            web.get("/v1/desk/floor", self.floor),
            web.get("/v1/desk/waiting", self.waiting),
        ]

    @describe("Who this token stands for", group="desk", who="agent", answer=Me, refuses=(Unauthenticated,))
    async def me(self, request: web.Request) -> web.Response:
        who = self._house.access.who(request)
        view = self._agent(who)
        return json_response(
            Me(
                name=who.agent or who.name,
                shown=(view.name if view else "") or who.agent or who.name,
                agent=view is not None,
                supervisor="floor" in who.may,
                since_ms=view.since_ms if view else 0,
                reasons=self._settings.reasons,
                dispositions=self._settings.dispositions,
                version=__version__,
                roles=who.roles,
                may=tuple(sorted(who.may)),
                teams=who.teams,
                bands=self._house.scope.bands(),
            )
        )

    def _agent(self, who: Identity) -> AgentView | None:
        """As whom they work. Who can do nothing else must be in the configuration: raises NotFound."""
        if not who.agent:
            return None
        try:
            return self._desk.agent(who.agent)
        except NotFound:
            if who.may == {"work"}:
                raise
            return None

    @describe("Queues and colleagues", group="desk", who="agent", answer=Floor, refuses=(Unauthenticated,))
    async def floor(self, request: web.Request) -> web.Response:
        self._house.access.both(request)
        queues = tuple(Line(q.queue, q.open, q.waiting) for q in self._desk.queues())
        colleagues = tuple(map(_colleague, self._desk.agents(limit=COLLEAGUES_MAX)))
        return json_response(Floor(queues, colleagues))

    @describe(
        "What waits and meets what this agent can do",
        group="desk",
        who="agent",
        answer=Waiting,
        refuses=(Unauthenticated, Forbidden),
    )
    async def waiting(self, request: web.Request) -> web.Response:
        _, agent = self._house.access.both(request)
        if not agent:
            raise Forbidden("only an agent can take what waits")
        found, after = self._desk.portion("queued", "", 0, LOOKED_AT)
        fitting = list(islice((view for view in found if self._takes(view, agent)), SHOWN + 1))
        shown = tuple(brief(view) for view in fitting[:SHOWN])
        return json_response(Waiting(shown, bool(after) or len(fitting) > SHOWN))

    def _takes(self, view: InteractionView, agent: str) -> bool:
        """The reason may be one of several; whether there is room besides is asked of the engine itself."""
        number = number_of(view.id, "i")
        if self._desk.why_not(number, agent)["code"] not in TAKEABLE:
            return False
        try:
            self._desk.rehearse(Pick(agent=agent, interaction=number))
        except ClientError:
            return False
        return True


def _colleague(view: AgentView) -> Colleague:
    presence: Presence = "signed-out"
    if view.sessions:
        presence = "ready" if view.state == "ready" else "not_ready"
    return Colleague(view.agent, view.name, presence, sum(view.load.values()))
