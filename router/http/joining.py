"""Supervisors in a conversation: a word to its agent, at the agent's side, in the agent's place.

    note    only colleagues see it; the agent has it at once
    join    a conference: the agent stays the owner, and both are heard by the customer
    take    the supervisor becomes the owner; the agent is told

and a word to all of their agents at once, which is about nobody's work.

To join is a consult that the supervisor begins in the owner's name, answers and makes a conference, and if one step is
refused the consult is over. In the engine's own process that is one turn of the loop, and nothing else is decided in
between; at an edge the supervisor may see the offer for a moment. So the engine needs no third way for two people to
have one contact, and what a channel cannot do for a consult it refuses here as well. Whoever joins or takes over must
be an agent who is signed in: it is at the desk that they talk. Neither asks for room, since a supervisor decides on
what they do; the journal says who it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated

from aiohttp import web
from msgspec import UNSET, Meta, Struct

from router.engine import commands as c
from router.engine.commands import AnyCommand, Reply
from router.engine.requirements import Node
from router.engine.views import number_of
from router.errors import IllegalMove, NotEligible, NotSupported, RouterError
from router.http.house import House, interaction_of
from router.http.interactions import ACTING, Done, InteractionId, Known, Plain, Why
from router.service.routes import describe, json_response, read_json

_PATH = {"id": InteractionId}


class NoteBody(Struct, frozen=True, forbid_unknown_fields=True):
    text: Annotated[str, Meta(min_length=1, max_length=4_000)]


class TakeBody(Struct, frozen=True, forbid_unknown_fields=True):
    why: Why = ""


class BroadcastBody(Struct, frozen=True, forbid_unknown_fields=True):
    text: Annotated[str, Meta(min_length=1, max_length=1_000)]
    teams: Annotated[tuple[Known, ...], Meta(max_length=100, description="Left out: all of yours")] = ()


class Told(Struct, frozen=True):
    agents: int  # who were signed in


class JoiningRoutes:
    def __init__(self, house: House) -> None:
        self._house = house
        self._desk = house.desk

    def routes(self) -> list[web.RouteDef]:
        at = "/v1/interactions/{id}"
        return [
            web.post(at + "/note", self.note),
            web.post(at + "/join", self.join),
            web.post(at + "/take", self.take),
            web.post("/v1/broadcast", self.broadcast),
        ]

    @describe(
        "A note for whoever has it, and for colleagues; no customer sees it",
        group="interactions",
        who="operator",
        needs="lead",
        parameters=_PATH,
        body=NoteBody,
        answer=Done,
        refuses=ACTING,
    )
    async def note(self, request: web.Request) -> web.Response:
        by, number = self._house.lead(request)
        body = await read_json(request, NoteBody)
        await self._house.act(request, "note", c.Note(interaction=number, text=body.text, by=by))
        return json_response(Done(f"i-{number}"))

    @describe(
        "Join the conversation beside its agent, who stays its owner",
        group="interactions",
        who="operator",
        needs="lead",
        parameters=_PATH,
        body=Plain,
        body_required=False,
        answer=Done,
        refuses=(*ACTING, NotEligible, NotSupported),
    )
    async def join(self, request: web.Request) -> web.Response:
        by, number = self._house.lead(request)
        me, body = self._myself(request), await read_json(request, Plain)
        owner = self._desk.interaction(number).agent
        if not owner:
            raise IllegalMove(f"nobody has i-{number} now; take it instead")
        if owner == me:
            raise IllegalMove(f"i-{number} is yours")
        await self._joined(number, owner, me, by, body.why)
        who = self._house.access.allowed(request)
        await self._house.note(request, who, "join", f"i-{number}", body.why)
        return json_response(Done(f"i-{number}"))

    async def _joined(self, number: int, owner: str, me: str, by: str, why: str) -> None:
        """Where this process decides, all steps are asked before any is waited for.

        Where another one does, nothing is to be seen of a step before it is answered.
        """
        if self._leg(number):
            raise IllegalMove(f"{owner} asks somebody about i-{number}; join when that is over")
        target = c.Target(requirement=Node(agent=(me,)))
        begun = self._ask(c.Consult(agent=owner, interaction=number, to=target, why=f"{by} joins. {why}".strip()))
        if not self._leg(number):
            await begun
        leg = self._leg(number)
        if not leg:
            await begun
            raise IllegalMove(f"i-{number} cannot be joined now; try again")
        given = self._ask(c.Assign(interaction=leg, agent=me, by=by, override=True, why=why))
        joined = self._ask(c.JoinConsult(agent=owner, interaction=number))
        await begun
        try:
            await given
            await joined
        except RouterError:
            await asyncio.gather(given, joined, return_exceptions=True)
            await self._desk.ask(c.EndConsult(agent=owner, interaction=number))
            raise

    def _leg(self, number: int) -> int:
        """The consult about it, 0 where there is none; raises IllegalMove where the outside is asked."""
        consult = self._desk.interaction(number).consult
        if consult is UNSET:
            return 0
        if not consult.id:
            raise IllegalMove(f"{consult.owner} asks {consult.address} about i-{number}; join when that is over")
        return number_of(consult.id, "i")

    def _ask(self, command: AnyCommand) -> asyncio.Future[Reply]:
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def done(outcome: Reply | RouterError) -> None:
            if answer.done():
                return
            if isinstance(outcome, RouterError):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

        self._desk.submit(command, done)
        return answer

    @describe(
        "Take the conversation over from whoever has it",
        group="interactions",
        who="operator",
        needs="lead",
        parameters=_PATH,
        body=TakeBody,
        body_required=False,
        answer=Done,
        refuses=(*ACTING, NotEligible),
    )
    async def take(self, request: web.Request) -> web.Response:
        by, number = self._house.lead(request)
        me, body = self._myself(request), await read_json(request, TakeBody)
        command = c.Assign(interaction=number, agent=me, by=by, override=True, why=body.why)
        await self._house.act(request, "take", command)
        return json_response(Done(f"i-{interaction_of(request)}"))

    @describe(
        "A word to every agent who is signed in, or to those of some teams",
        group="agents",
        who="operator",
        needs="lead",
        body=BroadcastBody,
        answer=Told,
        refuses=ACTING,
    )
    async def broadcast(self, request: web.Request) -> web.Response:
        who = self._house.access.allowed(request)
        body = await read_json(request, BroadcastBody)
        teams, scope = body.teams or None, self._house.scope
        there = [name for name in self._signed_in() if scope.agent(who.teams, name) and scope.agent(teams, name)]
        if not there:
            raise NotEligible("nobody of these teams is signed in")
        command = c.Announce(agents=tuple(there), text=body.text, by=who.by)
        await self._desk.ask(command)
        await self._house.note(request, who, "broadcast", ",".join(body.teams or who.teams or ("*",)), body.text)
        return json_response(Told(len(there)))

    def _signed_in(self) -> Iterator[str]:
        after = ""
        while page := self._desk.agents(after, 1_000):
            yield from (view.agent for view in page if view.sessions)
            after = page[-1].agent

    def _myself(self, request: web.Request) -> str:
        """As whom a supervisor works. Raises NotEligible."""
        me = self._house.access.allowed(request).agent
        if not me:
            raise NotEligible("whoever talks with a customer works as an agent: this sign-in is none")
        self._desk.agent(me)
        return me
