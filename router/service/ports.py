"""What the edges see of the service, and what the service asks of the edges.

An edge turns bytes into commands and facts into bytes. It knows its protocol; it knows no queues and no journal. It
gives its commands to a `Desk` and answers its own outside only from `done` (or after `ask` returned), which is when the
journal holds the facts. Effects come to it later through `tell`, `inform` and `deliver`, in the order of the journal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from router.engine.commands import AnyCommand, Reply
from router.engine.views import (
    AgentView,
    CalendarView,
    CallbackOffer,
    CallbackView,
    CustomerView,
    Estimate,
    Inform,
    InteractionView,
    MessageView,
    Outbound,
    QueueView,
    Refused,
    Tell,
)
from router.errors import RouterError
from router.service.blobs import BlobStore
from router.service.letters import Letters
from router.service.masking import Mask, Masking
from router.service.quarantine import Quarantine
from router.service.signals import Signals
from router.service.sockets import SocketServer

Outcome = Reply | RouterError
Done = Callable[[Outcome], None]


class Desk(Protocol):
    """Where commands go, and what may be looked at."""

    def submit(self, command: AnyCommand, done: Done) -> None:
        """Decide now; call `done` once, later: with the Reply when the facts are durable, or with what went wrong.

        Never raises and never awaits: this is the hot path. ClientError: the caller's fault. Refusal: come back later.
        """

    async def ask(self, command: AnyCommand) -> Reply:
        """As `submit`, for edges that wait anyway. Raises ClientError and Refusal."""

    def rehearse(self, command: AnyCommand) -> None:
        """Decide without any effect. Raises ClientError: what `ask` would raise, as far as can be told."""

    def now_ms(self) -> int:
        """The engine's clock, Unix milliseconds."""

    # Looking costs little and changes nothing. Views show the present state, which may be ahead of the journal by one
    # batch.
    def interaction(self, number: int) -> InteractionView:
        """Raises NotFound."""

    def find(self, thread: str) -> int | None:
        """The open interaction that this thread name belongs to."""

    def thread_of(self, number: int) -> str:
        """The first name by which its channel knows an interaction. Raises NotFound."""

    def portion(self, state: str, queue: str, after: int, limit: int) -> tuple[list[InteractionView], int]:
        """Some interactions in order of number, without messages, and the `after` to go on with (0: that was all).

        Bounded in time, so it may be empty and yet go on: let decisions through before asking again.
        """

    def interactions(self, state: str = "", queue: str = "", after: int = 0, limit: int = 100) -> list[InteractionView]:
        """As many portions as it takes, in one go: for starts and recoveries. `limit` at most 1,000."""

    def queued_for(self, agent: str, limit: int) -> tuple[list[InteractionView], bool]:
        """The oldest that wait where this agent works, without messages, and whether there may be more. Raises
        NotFound."""

    def agent(self, agent: str) -> AgentView:
        """Raises NotFound."""

    def agents(self, after: str = "", limit: int = 1_000) -> list[AgentView]:
        """In order of id, without offers and interactions; `limit` at most 1,000."""

    def queues(self, since_ms: int = 0) -> list[QueueView]:
        """`since_ms`: from when what became of contacts is told; as far back as is kept."""

    def callbacks(self, after: int = 0, limit: int = 100) -> list[CallbackView]:
        """Customers who are to be called, in order of number; `limit` at most 1,000."""

    def customer(self, identity: str) -> CustomerView:
        """The customer whom this identity leads to; looks at every interaction at hand. Raises NotFound."""

    def callback_of(self, identity: str) -> CallbackView | None:
        """The callback of the customer who is known by this identity ("tel:+15550199")."""

    def calendars(self) -> list[CalendarView]: ...

    def refusal(self, number: int) -> Refused | None:
        """Why its queue turned this contact away when it came, and what the customer is told; None: it did not."""

    def callback_offer(self, number: int) -> CallbackOffer | None:
        """What a customer who waits was asked, and may still say yes to; None: nothing, or it is settled."""

    def estimate(self, number: int) -> Estimate | None:
        """Position and expected wait of a waiting interaction; None if it does not wait."""

    def explain(self, number: int) -> dict[str, Any]:
        """Why it is where it is. Raises NotFound."""

    def why_not(self, number: int, agent: str) -> dict[str, Any]:
        """Why this agent has not got it. Raises NotFound."""

    def routes(self, channel: str, to: str) -> bool:
        """Whether the routing plan takes a contact to this number, address or topic."""

    def outbounds(self, dead: bool = False) -> list[Outbound]:
        """What is still to be delivered; with `dead`, the dead letters."""

    def configuration(self) -> tuple[int, bytes]:
        """Version and document in force."""


class Health(Struct, frozen=True):
    """One part's state as `/readyz` shows it."""

    ok: bool
    detail: str = ""
    figures: dict[str, float] = {}


class DeliveryFailed(Exception):
    """An outbound action did not get through. `final`: trying again cannot help."""

    def __init__(self, why: str, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


class Adapter(Protocol):
    """One channel's shell. The application starts, feeds and stops it."""

    @property
    def name(self) -> str:
        """As in `/readyz`: "phone", "email", "chat"."""

    @property
    def channels(self) -> tuple[str, ...]:
        """The engine's channel names that it serves."""

    @property
    def actions(self) -> frozenset[str]:
        """The outbound actions that it must be given (`Outbound.action`); others are never made."""

    @property
    def hears(self) -> bool:
        """Whether `inform` does anything; if not, it need not be called."""

    async def start(self) -> None:
        """Returns when it listens or polls. Raises RouterError with what to do."""

    async def stop_intake(self) -> None:
        """Take nothing new; finish what was taken."""

    async def stop(self) -> None:
        """Let go of everything."""

    def health(self) -> Health: ...

    def reset(self, reason: str) -> None:
        """The engine was restored from its journal: what was told before may differ, so look again. Synchronous."""

    def inform(self, news: Inform) -> None:
        """Something happened to an interaction of its channels. Quick and synchronous; must not raise."""

    async def deliver(self, outbound: Outbound) -> None:
        """Tell the outside. May be called again with the same number. Raises DeliveryFailed."""

    def routes(self) -> Sequence[Any]:
        """aiohttp route definitions to be mounted on the HTTP server."""

    async def readable(self, view: InteractionView) -> tuple[MessageView, ...]:
        """The interaction's messages as people read them. Raises NotFound and Unavailable where content is gone."""

    def requeue_hooks(self) -> Mapping[str, Callable[[bytes, Any], Awaitable[object]]]:
        """Quarantine source -> what takes an entry's raw bytes once more, when an operator says so."""


@dataclass(frozen=True)
class Context:
    """What every adapter is built with."""

    desk: Desk
    blobs: BlobStore
    quarantine: Quarantine
    sockets: SocketServer  # mounts paths on the shared websocket port
    data: Path  # the data folder
    loopback_only: bool  # nothing of ours listens beyond this machine: demo secrets are allowed
    signals: Signals = field(default_factory=Signals)  # between customers and agents, in passing
    letters: Letters = field(default_factory=Letters)  # from one channel to that of mail
    masking: Masking = field(default_factory=Masking)  # what must not be kept in clear
    mask: Mask | None = None  # the channel's own part of it (`masked.for_channel`); None: nothing is to be hidden


class AgentsEdge(Protocol):
    """The agents' side of the house."""

    def tell(self, news: Tell) -> None: ...

    def reset(self, reason: str) -> None:
        """The engine was restored: every client must come back and look again."""
