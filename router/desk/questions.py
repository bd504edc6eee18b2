"""What the desk's pages ask over HTTP, because it is no part of an agent's stream: who I am, whom I could give work to,
what waits that I could take.

An agent sees of others no more than that: names, whether they can be asked, how long lines are. What waits is shown to
those who meet its requirement.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Annotated, Literal

from aiohttp import web
from msgspec import Meta, Struct

from router import __version__
from router.desk.settings import FieldName, QueueTexts, Settings
from router.engine.cards import VALUE_MAX
from router.engine.commands import DescribeCustomer, Pick, RequestCallback
from router.engine.views import AgentView, CardChange, InteractionView, NoteView, number_of
from router.errors import (
    BadMessage,
    ClientError,
    Forbidden,
    IllegalMove,
    NotFound,
    NotSupported,
    Overloaded,
    Unauthenticated,
    UnknownName,
)
from router.http.callbacks import Telephone
from router.http.house import House, interaction_of
from router.http.interactions import InteractionId
from router.service.roles import Identity, Permission, Role
from router.service.routes import describe, json_response, read_json, told_response

Presence = Literal["ready", "not_ready", "signed-out"]

NAMES_MAX = 50
COLLEAGUES_MAX = 1_000  # one page of the list of agents; a larger house is searched by name
LOOKED_AT = 300  # waiting interactions, oldest first, that are compared with an agent; about two milliseconds
SHOWN = 50
PAST_SHOWN = 20  # of the other contacts of a customer

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
    customer_fields: tuple[str, ...] = ()  # of a card, in their order
    calls: bool = False  # a gateway can call a customer


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


class Names(Struct, frozen=True):
    """Names by sign-in name, of those who have one."""

    names: dict[str, str]


class Waiting(Struct, frozen=True):
    """What waits and could be taken by hand, oldest first; at most 50."""

    interactions: tuple[InteractionView, ...]
    more: Annotated[bool, Meta(description="There may be more that waits than was looked at")]


class Past(Struct, frozen=True):
    """An interaction that is over."""

    id: str
    channel: str
    queue: str
    subject: str
    enqueued_at_ms: int
    agent: str
    disposition: str
    notes: tuple[NoteView, ...]


class History(Struct, frozen=True):
    interactions: tuple[Past, ...]


class CustomerCard(Struct, frozen=True):
    """Who the customer of an interaction is, and what people wrote of them."""

    customer: str
    identities: tuple[str, ...]
    version: int
    fields: dict[str, str]
    changes: tuple[CardChange, ...]  # the latest first
    history: tuple[dict[str, object], ...]  # what operators joined and parted
    editable: bool  # by whoever asks


class CardBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Only what changes; "" takes a text away. `version`: that of the card which was seen."""

    version: Annotated[int, Meta(ge=0, le=1 << 53)]
    fields: Annotated[dict[FieldName, Annotated[str, Meta(max_length=VALUE_MAX)]], Meta(min_length=1, max_length=30)]


class AgentsCallback(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    interaction: Annotated[str, Meta(max_length=64)]
    to: Telephone
    queue: Annotated[str, Meta(max_length=64)] = ""  # left out: that of the interaction
    subject: Annotated[str, Meta(max_length=1_000)] = ""
    not_before_ms: Annotated[int, Meta(ge=0, le=1 << 53)] = 0
    until_ms: Annotated[int, Meta(ge=0, le=1 << 53)] = 0


class CallbackAsked(Struct, frozen=True):
    to: str


class QuestionRoutes:
    def __init__(self, house: House, settings: Settings) -> None:
        self._house = house
        self._settings = settings
        self._desk = house.desk

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/desk/me", self.me),
            web.get("/v1/desk/floor", self.floor),
            web.get("/v1/desk/names", self.names),
            web.get("/v1/desk/waiting", self.waiting),
            web.get("/v1/desk/queues/{id}", self.texts),
            web.get("/v1/desk/history/{id}", self.history),
            web.get("/v1/desk/customers/{id}", self.card),
            web.post("/v1/desk/customers/{id}", self.describe_customer),
            web.post("/v1/desk/callbacks", self.callback),
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
                customer_fields=self._settings.customer_fields,
                calls=self._house.scope.can_call(),
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

    @describe(
        "People as colleagues call them: `?who=ana&who=sue`, at most 50",
        group="desk",
        who="agent",
        answer=Names,
        refuses=(Unauthenticated, BadMessage),
    )
    async def names(self, request: web.Request) -> web.Response:
        self._house.access.both(request)
        asked = set(request.query.getall("who", []))
        if len(asked) > NAMES_MAX:
            raise BadMessage(f"in the query: at most {NAMES_MAX} names at once")
        found = {who: self._house.shown(who) or self._named(who) for who in asked}
        return json_response(Names({who: name for who, name in found.items() if name}))

    def _named(self, who: str) -> str:
        """As the configuration names an agent; "" for who is none."""
        try:
            return self._desk.agent(who).name
        except NotFound:
            return ""

    @describe("Queues and colleagues", group="desk", who="agent", answer=Floor, refuses=(Unauthenticated,))
    async def floor(self, request: web.Request) -> web.Response:
        self._house.access.both(request)
        queues = tuple(Line(q.queue, q.open, q.waiting) for q in self._desk.queues())
        colleagues = tuple(map(_colleague, self._desk.agents(limit=COLLEAGUES_MAX)))
        return json_response(Floor(queues, colleagues))

    @describe(
        "Script, guidelines and templates of a queue; empty where it has none",
        group="desk",
        who="agent",
        answer=QueueTexts,
        refuses=(Unauthenticated,),
    )
    async def texts(self, request: web.Request) -> web.Response:
        self._house.access.both(request)
        return json_response(self._settings.queues.get(request.match_info["id"], QueueTexts()))

    @describe(
        "What the customer of an interaction came with before, the newest first, of what is kept at hand",
        group="desk",
        who="agent",
        parameters={"id": InteractionId},
        answer=History,
        refuses=(Unauthenticated, Forbidden, NotFound),
    )
    async def history(self, request: web.Request) -> web.Response:
        who, now = self._house.access.who(request), self._desk.interaction(interaction_of(request))
        if not _concerns(who, now) and "words" not in who.may:
            raise Forbidden(f"{now.id} is not yours")
        past: list[InteractionView] = []
        after = 0
        while now.customer:
            found, after = self._desk.portion("closed", "", after, LOOKED_AT)
            past += [view for view in found if view.customer == now.customer and view.id != now.id]
            if not after:
                break
            await asyncio.sleep(0)  # decisions first (OB-2)
        numbers = [number_of(view.id, "i") for view in past[-PAST_SHOWN:]]
        return json_response(History(tuple(_past(self._desk.interaction(number)) for number in reversed(numbers))))

    @describe(
        "The card of the customer of an interaction",
        group="desk",
        who="agent",
        parameters={"id": InteractionId},
        answer=CustomerCard,
        refuses=(Unauthenticated, Forbidden, NotFound),
    )
    async def card(self, request: web.Request) -> web.Response:
        who, view = self._card_of(request, "words", asked=True)
        if not _concerns(who, view):
            await self._house.looked(request, who, view.id)
        return told_response(request, self._shown(who, view))

    @describe(
        "Write on the card of the customer of an interaction",
        group="desk",
        who="agent",
        parameters={"id": InteractionId},
        body=CardBody,
        answer=CustomerCard,
        refuses=(Unauthenticated, Forbidden, NotFound, BadMessage, IllegalMove, Overloaded),
    )
    async def describe_customer(self, request: web.Request) -> web.Response:
        who, view = self._card_of(request, "lead")
        body = await read_json(request, CardBody)
        unknown = [name for name in body.fields if name not in self._settings.customer_fields]
        if unknown:
            raise BadMessage(f"fields: {unknown[0]} is none of desk.customer_fields")
        by = f"agent:{who.agent}" if _has(who, view) else who.by
        command = DescribeCustomer(identity=view.customer, fields=body.fields, version=body.version, by=by)
        await self._desk.ask(command)
        await self._house.note(request, who, "customer", view.id, ", ".join(body.fields))
        return told_response(request, self._shown(who, view))

    def _card_of(
        self, request: web.Request, permission: Permission, *, asked: bool = False
    ) -> tuple[Identity, InteractionView]:
        """Raises Forbidden to who neither works on it (or, where that is enough, is asked about it) nor has that
        permission for it."""
        who, view = self._house.access.who(request), self._desk.interaction(interaction_of(request))
        if not (_concerns(who, view) if asked else _has(who, view)):
            if permission not in who.may:
                raise Forbidden(f"{view.id} is not yours")
            self._house.scope.demand(who, view)
        if not view.customer:
            raise NotFound(f"nobody knows who the customer of {view.id} is")
        return who, view

    def _shown(self, who: Identity, view: InteractionView) -> CustomerCard:
        found = self._desk.customer(view.customer)
        return CustomerCard(
            found.customer,
            found.identities,
            found.card.version,
            found.card.fields,
            found.card.changes,
            found.history,
            editable=_has(who, view) or "lead" in who.may,
        )

    @describe(
        "Call the customer of an interaction that is mine, now or in a window of time",
        group="desk",
        who="agent",
        body=AgentsCallback,
        answer=CallbackAsked,
        refuses=(Unauthenticated, Forbidden, NotFound, BadMessage, UnknownName, NotSupported, Overloaded),
    )
    async def callback(self, request: web.Request) -> web.Response:
        who, body = self._house.access.who(request), await read_json(request, AgentsCallback)
        if not who.agent:
            raise Forbidden("only an agent promises a call")
        found = self._desk.interaction(number_of(body.interaction, "i"))
        if found.agent != who.agent:
            raise Forbidden(f"{found.id} is not yours")
        command = RequestCallback(
            channel="phone",
            to=body.to,
            queue=body.queue or found.queue,
            name=found.name,
            subject=body.subject or found.subject,
            language=found.language,
            not_before_ms=body.not_before_ms,
            until_ms=body.until_ms,
            by=f"agent:{who.agent}",
        )
        await self._desk.ask(command)
        await self._house.note(request, who, "callback", found.id, body.to)
        return json_response(CallbackAsked(body.to))

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
        found, more = self._desk.queued_for(agent, LOOKED_AT)
        fitting = list(islice((view for view in found if self._takes(view, agent)), SHOWN + 1))
        shown = tuple(fitting[:SHOWN])
        return json_response(Waiting(shown, more or len(fitting) > SHOWN))

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


def _has(who: Identity, view: InteractionView) -> bool:
    """Whether it is theirs. Who is no agent has nothing, also not what nobody has."""
    return bool(who.agent) and view.agent == who.agent


def _concerns(who: Identity, view: InteractionView) -> bool:
    """Whether it is theirs, or they are asked about it: who gives advice sees what it is about."""
    return _has(who, view) or bool(view.consult and who.agent and view.consult.agent == who.agent)


def _past(view: InteractionView) -> Past:
    return Past(
        view.id,
        view.channel,
        view.queue,
        view.subject,
        view.enqueued_at_ms,
        view.agent,
        view.disposition,
        view.notes,
    )


def _colleague(view: AgentView) -> Colleague:
    presence: Presence = "signed-out"
    if view.sessions:
        presence = "ready" if view.state == "ready" else "not_ready"
    return Colleague(view.agent, view.name, presence, sum(view.load.values()))
