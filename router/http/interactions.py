"""Operators and interactions: see all, explain, and move or close anything unfinished (MV-2).

Lists are bounded pages of the engine's present views; nothing here waits for a decision or delays one (OB-2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal

from aiohttp import web
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from router.engine import commands as c
from router.engine.config import Duration
from router.engine.requirements import Node
from router.engine.views import Estimate, InteractionView, MessageView, NoteView, interaction_id, number_of
from router.errors import (
    BadMessage,
    ClientError,
    Forbidden,
    IllegalMove,
    NoCapacity,
    NotEligible,
    NotFound,
    Overloaded,
    RouterError,
    TooLarge,
    Unauthenticated,
    UnknownName,
)
from router.http.house import House, interaction_of
from router.service.roles import Identity, Permission
from router.service.routes import H, describe, json_response, language_of, read_json, read_query, shaped, told_response

Why = Annotated[str, Meta(max_length=1_000, description="The operator's reason; kept in the journal")]
Known = Annotated[str, Meta(min_length=1, max_length=64)]
State = Literal["", "queued", "offered", "active", "wrap-up", "closed"]
InteractionId = Annotated[
    str, shaped(r"^i-[0-9]{1,18}$", "the id of an interaction, such as i-4711", examples=["i-4711"])
]
After = Annotated[str, shaped(r"^(i-[0-9]{1,18})?$", "the last id of the page before, such as i-4711")]
Limit = Annotated[int, Meta(ge=1, le=1_000)]

LOOKING: tuple[type[RouterError], ...] = (Unauthenticated, NotFound)
ACTING: tuple[type[RouterError], ...] = (
    *LOOKING,
    ClientError,
    BadMessage,
    Forbidden,
    IllegalMove,
    TooLarge,
    Overloaded,
)


class ListQuery(Struct, frozen=True, forbid_unknown_fields=True):
    state: State = ""
    queue: Annotated[str, Meta(max_length=64)] = ""
    after: After = ""
    limit: Limit = 100


class InteractionPage(Struct, frozen=True):
    interactions: list[InteractionView]
    next: str = ""  # the `after` of the next page; "" on the last one


LookBack = Annotated[Literal["yes", "no"], Meta(description="Whether to look back at its offers: takes seconds")]


class ExplainQuery(Struct, frozen=True, forbid_unknown_fields=True):
    decisions: LookBack = "yes"


class Contents(Struct, frozen=True):
    """What was said and noted in an interaction; `attachments` name blobs."""

    interaction: str
    messages: tuple[MessageView, ...]
    notes: tuple[NoteView, ...]


class Done(Struct, frozen=True):
    """The act is in the journal."""

    interaction: str


class Plain(Struct, frozen=True, forbid_unknown_fields=True):
    why: Why = ""


class AssignBody(Struct, frozen=True, forbid_unknown_fields=True):
    agent: Known
    override: Annotated[bool, Meta(description="Ignore requirement and capacity")] = False
    why: Why = ""


class Destination(Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly one of the four."""

    queue: Known | UnsetType = UNSET
    agent: Known | UnsetType = UNSET
    requirement: Node | UnsetType = UNSET
    address: Annotated[str, Meta(min_length=1, max_length=320)] | UnsetType = UNSET


_ONE_OF_FOUR = {"oneOf": [{"required": [name]} for name in ("queue", "agent", "requirement", "address")]}


class TransferBody(Struct, frozen=True, forbid_unknown_fields=True):
    to: Annotated[Destination, Meta(extra_json_schema=_ONE_OF_FOUR)]
    why: Why = ""


_NOT_ZERO = {"allOf": [{"pattern": "[1-9]"}]}


class PriorityBody(Struct, frozen=True, forbid_unknown_fields=True):
    """At least one of the three; what is left out stays as it is."""

    band: Known | UnsetType = UNSET
    weight: Annotated[float, Meta(gt=0, le=1_000)] | UnsetType = UNSET
    target: Annotated[Duration, Meta(extra_json_schema=_NOT_ZERO)] | UnsetType = UNSET
    why: Why = ""


_ANY_OF_THREE = {"anyOf": [{"required": [name]} for name in ("band", "weight", "target")]}


_PATH = {"id": InteractionId}


def _route(summary: str, needs: Permission = "lead", **more: Any) -> Callable[[H], H]:
    return describe(summary, group="interactions", who="operator", needs=needs, parameters=_PATH, **more)


class InteractionRoutes:
    def __init__(self, house: House) -> None:
        self._house = house
        self._desk = house.desk

    def routes(self) -> list[web.RouteDef]:
        at = "/v1/interactions"
        return [
            web.get(at, self.list_),
            web.get(at + "/{id}", self.get),
            web.get(at + "/{id}/content", self.content),
            web.get(at + "/{id}/estimate", self.estimate),
            web.get(at + "/{id}/explain", self.explain),
            web.get(at + "/{id}/why-not/{agent}", self.why_not),
            web.post(at + "/{id}/requeue", self.requeue),
            web.post(at + "/{id}/assign", self.assign),
            web.post(at + "/{id}/close", self.close),
            web.post(at + "/{id}/transfer", self.transfer),
            web.post(at + "/{id}/priority", self.priority),
            web.post(at + "/{id}/relax", self.relax),
        ]

    @describe(
        "A page of interactions, in order of their numbers",
        group="interactions",
        who="operator",
        needs="contacts",
        query=ListQuery,
        answer=InteractionPage,
        refuses=(*LOOKING, BadMessage),
    )
    async def list_(self, request: web.Request) -> web.Response:
        who = self._house.access.allowed(request)
        query = read_query(request, ListQuery)
        after = number_of(query.after, "i") if query.after else 0
        found, after = self._portion(who, query, after, query.limit)
        while after and len(found) < query.limit:
            await asyncio.sleep(0)  # decisions first (OB-2)
            more, after = self._portion(who, query, after, query.limit - len(found))
            found += more
        if query.queue and not found:  # a queue that is no more may have contacts that are over
            self._house.scope.demand_known_queue(who.teams, query.queue)
        return json_response(InteractionPage(found, interaction_id(after) if after else ""))

    def _portion(self, who: Identity, query: ListQuery, after: int, limit: int) -> tuple[list[InteractionView], int]:
        found, after = self._desk.portion(query.state, query.queue, after, limit)
        return [view for view in found if self._house.scope.interaction(who.teams, view)], after

    @_route("One interaction", needs="contacts", answer=InteractionView, refuses=(*LOOKING, Forbidden))
    async def get(self, request: web.Request) -> web.Response:
        who = self._house.access.allowed(request)
        found = self._desk.interaction(interaction_of(request))
        self._house.scope.demand(who, found)
        await self._house.looked(request, who, found.id)
        return json_response(found)

    @describe(
        "What was said in it; its agent may ask too",
        group="interactions",
        who="agent",
        parameters=_PATH,
        answer=Contents,
        refuses=(*LOOKING, Forbidden),
    )
    async def content(self, request: web.Request) -> web.Response:
        self._house.access.anybody(request)
        who, found = self._house.access.who(request), self._desk.interaction(interaction_of(request))
        if not (who.agent and self._concerns(found, who.agent)):
            if "words" not in who.may:
                raise Forbidden(f"{found.id} is not yours")
            self._house.scope.demand(who, found)
            await self._house.looked(request, who, found.id)
        return json_response(Contents(found.id, await self._house.readable(found), found.notes))

    def _concerns(self, view: InteractionView, agent: str) -> bool:
        """Whether this agent has the interaction, is offered it, or is consulted about it."""
        if view.agent == agent or (view.consult and view.consult.agent == agent):
            return True
        try:
            offers = self._desk.agent(agent).offers
        except NotFound:  # an account whose agent has left the configuration
            return False
        return any(offer.interaction.id == view.id for offer in offers)

    @_route(
        "Its place in line and how long it will wait",
        needs="contacts",
        answer=Estimate,
        refuses=(*LOOKING, Forbidden, IllegalMove),
    )
    async def estimate(self, request: web.Request) -> web.Response:
        number = self._seen(request)
        found = self._desk.estimate(number)
        if found is None:
            raise IllegalMove(
                f"{interaction_id(number)} is {self._desk.interaction(number).state}: it has no place in line"
            )
        return json_response(found)

    @describe(
        "Why it is where it is, and how it was offered so far",
        group="interactions",
        who="operator",
        needs="contacts",
        parameters=_PATH,
        query=ExplainQuery,
        answer=dict[str, Any],
        refuses=(*LOOKING, Forbidden, BadMessage),
    )
    async def explain(self, request: web.Request) -> web.Response:
        """Offers of the past are worked out by a child process, which may be busy or fail: the rest is told all the
        same."""
        number, query = self._seen(request), read_query(request, ExplainQuery)
        told = self._desk.explain(number)
        teams = self._house.access.allowed(request).teams
        if teams is not None and "agents" in told:
            told["agents"] = [one for one in told["agents"] if self._house.scope.agent(teams, one["agent"])]
        if query.decisions == "yes" and told.get("has_past"):
            try:
                told |= await self._house.decisions(interaction_id(number), language_of(request))
            except RouterError as error:
                told |= {"way": [], "decisions": [], "decisions_missing_because": str(error)}
        return told_response(request, told)

    @_route("Why this agent has not got it", needs="contacts", answer=dict[str, Any], refuses=(*LOOKING, Forbidden))
    async def why_not(self, request: web.Request) -> web.Response:
        return told_response(request, self._desk.why_not(self._seen(request), request.match_info["agent"]))

    def _seen(self, request: web.Request) -> int:
        """The number of the path, of an interaction that whoever asks may see. Raises Forbidden."""
        who, number = self._house.access.allowed(request), interaction_of(request)
        if who.teams is not None:
            self._house.scope.demand(who, self._desk.interaction(number))
        return number

    @_route("Back to waiting, with its original time", body=Plain, body_required=False, answer=Done, refuses=ACTING)
    async def requeue(self, request: web.Request) -> web.Response:
        by, number = self._house.lead(request)
        body = await read_json(request, Plain)
        return await self._act(request, c.Requeue(interaction=number, by=by, why=body.why))

    @_route("Give it to one agent", body=AssignBody, answer=Done, refuses=(*ACTING, NotEligible, NoCapacity))
    async def assign(self, request: web.Request) -> web.Response:
        by, number = self._house.lead(request)
        body = await read_json(request, AssignBody)
        self._house.scope.demand_agent(self._house.access.allowed(request), body.agent)
        command = c.Assign(interaction=number, agent=body.agent, by=by, override=body.override, why=body.why)
        return await self._act(request, command)

    @_route("End it", body=Plain, body_required=False, answer=Done, refuses=ACTING)
    async def close(self, request: web.Request) -> web.Response:
        by, number = self._house.lead(request)
        body = await read_json(request, Plain)
        return await self._act(request, c.Close(interaction=number, by=by, why=body.why))

    @_route("Give it on", body=TransferBody, answer=Done, refuses=(*ACTING, UnknownName))
    async def transfer(self, request: web.Request) -> web.Response:
        by, number = self._house.lead(request)
        body = await read_json(request, TransferBody)
        given = {name: value for name, value in asdict(body.to).items() if value is not UNSET}
        if len(given) != 1:
            raise BadMessage("to: say exactly one of queue, agent, requirement, address")
        return await self._act(request, c.Transfer(interaction=number, to=c.Target(**given), by=by, why=body.why))

    @_route(
        "Change its place in the order",
        body=Annotated[PriorityBody, Meta(extra_json_schema=_ANY_OF_THREE)],
        answer=Done,
        refuses=(*ACTING, UnknownName),
    )
    async def priority(self, request: web.Request) -> web.Response:
        by, number = self._house.lead(request)
        body = await read_json(request, PriorityBody)
        if body.band is UNSET and body.weight is UNSET and body.target is UNSET:
            raise BadMessage("say at least one of band, weight, target")
        if body.target == 0:
            raise BadMessage("target: a duration longer than 0s")
        command = c.Reprioritise(
            interaction=number,
            by=by,
            band=body.band or "",
            weight=body.weight or 0,
            target_ms=int(body.target or 0),
            why=body.why,
        )
        return await self._act(request, command)

    @_route(
        "Let it ask for less: the next step of its queue's relaxation plan",
        body=Plain,
        body_required=False,
        answer=Done,
        refuses=ACTING,
    )
    async def relax(self, request: web.Request) -> web.Response:
        by, number = self._house.lead(request)
        body = await read_json(request, Plain)
        return await self._act(request, c.Relax(interaction=number, by=by, why=body.why))

    async def _act(self, request: web.Request, command: c.AnyCommand) -> web.Response:
        reply = await self._house.act(request, type(command).__name__.lower(), command)
        return json_response(Done(interaction_id(reply.interaction or interaction_of(request))))
