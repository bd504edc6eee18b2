"""Who is one customer, and what operators know better: join two, part an identity (IN-6).

It concerns contacts of every team, so it is an operator's. Identities have colons and plus signs, so they stand in the
query and in bodies, never in a path.
"""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from router.engine.commands import MergeCustomers, SplitCustomer
from router.engine.views import CustomerView
from router.errors import BadMessage, Forbidden
from router.http.house import House
from router.http.interactions import ACTING, LOOKING, Why
from router.service.routes import describe, read_json, read_query, told_response

Who = Annotated[str, Meta(min_length=1, max_length=320, description="tel:+15550100, mailto:kim@example.org, ref:...")]


class CustomerQuery(Struct, frozen=True, forbid_unknown_fields=True):
    identity: Who


class MergeBody(Struct, frozen=True, forbid_unknown_fields=True):
    """From then on both are known by the name of `customer`."""

    customer: Who
    other: Who
    why: Why = ""


class SplitBody(Struct, frozen=True, forbid_unknown_fields=True):
    identity: Who
    why: Why = ""


class CustomerRoutes:
    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[web.RouteDef]:
        at = "/v1/customers"
        return [web.get(at, self.get), web.post(f"{at}/merge", self.merge), web.post(f"{at}/split", self.split)]

    @describe(
        "The customer whom an identity leads to",
        group="customers",
        who="operator",
        needs="house",
        query=CustomerQuery,
        answer=CustomerView,
        refuses=(*LOOKING, Forbidden, BadMessage),
    )
    async def get(self, request: web.Request) -> web.Response:
        who = self._house.access.allowed(request)
        found = self._house.desk.customer(read_query(request, CustomerQuery).identity)
        await self._house.looked(request, who, found.customer)
        return told_response(request, found)

    @describe(
        "Two customers are one person",
        group="customers",
        who="operator",
        needs="house",
        body=MergeBody,
        answer=CustomerView,
        refuses=(*ACTING, Forbidden),
    )
    async def merge(self, request: web.Request) -> web.Response:
        by, body = self._house.by(request), await read_json(request, MergeBody)
        command = MergeCustomers(customer=body.customer, other=body.other, by=by, why=body.why)
        await self._house.act(request, "merge", command)
        return told_response(request, self._house.desk.customer(body.customer))

    @describe(
        "An identity is not this customer's",
        group="customers",
        who="operator",
        needs="house",
        body=SplitBody,
        answer=CustomerView,
        refuses=(*ACTING, Forbidden),
    )
    async def split(self, request: web.Request) -> web.Response:
        by, body = self._house.by(request), await read_json(request, SplitBody)
        await self._house.act(request, "split", SplitCustomer(identity=body.identity, by=by, why=body.why))
        return told_response(request, self._house.desk.customer(body.identity))
