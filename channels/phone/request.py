"""An HTTP request as a kind of gateway sees it, and the request that a kind wants sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from channels.phone.settings import Gateway


class Raw(Struct, frozen=True):
    """What a gateway sent. `headers` can be asked in any case."""

    path: str  # what follows the gateway's name: "events"
    target: str  # the whole path with its query, as received: some gateways sign it
    headers: Mapping[str, str]
    body: bytes


class Site(Struct, frozen=True):
    """One configured gateway."""

    name: str
    gateway: Gateway

    def url(self, path: str) -> str:
        """The address of one of its webhooks, absolute where its public address is known."""
        return f"{self.gateway.public_url.rstrip('/')}/v1/phone/{self.name}/{path}"


class Answer(Struct, frozen=True):
    body: bytes
    media_type: str = "application/json"


class Control(Struct, frozen=True):
    """One request to a gateway."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    # What the gateway says when there is nothing left to do: the order counts as done.
    done_already: frozenset[int] = frozenset()
    method: str = "POST"
    later: frozenset[int] = frozenset()  # statuses that say "not yet"
    # What follows, by the gateway's answer: an order may take several requests. None: that was all of it. Raises
    # DeliveryFailed, and then the whole of it is tried again.
    then: Callable[[bytes], Control | None] | None = None
