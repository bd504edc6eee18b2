"""The agents' link on the shared websocket port: a shell around `protocol`.

It adds what the conversation must not have: the clock for `hello`, and names for sessions that differ from those of
earlier processes. Everything else, backpressure included, is the conversation's and the peer's.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Container
from typing import TYPE_CHECKING

from router.agents.messages import SUBPROTOCOL
from router.agents.protocol import AgentHub, Conversation
from router.agents.settings import Settings
from router.observe import gauge
from router.service.signals import Signals
from router.service.sockets import Peer, SocketServer

if TYPE_CHECKING:
    from router.engine.views import Tell
    from router.service.blobs import BlobStore
    from router.service.ports import Desk, Health

PATH = "/agent"
_sessions = gauge("agent_sessions", "Sessions of agents that are signed in.")


class AgentServer:
    """Implements `router.service.ports.AgentsEdge`. Make it before the socket server starts."""

    def __init__(
        self,
        desk: Desk,
        sockets: SocketServer,
        settings: Settings | None = None,
        blobs: BlobStore | None = None,
        signals: Signals | None = None,
    ) -> None:
        self.settings = settings or Settings()
        uploaded = blobs.exists if blobs is not None else _nothing
        self.hub = AgentHub(desk, self.settings, _later, f"s{secrets.token_hex(3)}", uploaded, signals)
        self._sockets = sockets
        self.tell: Callable[[Tell], None] = self.hub.tell  # the shell has nothing to add
        sockets.mount(PATH, SUBPROTOCOL, self._opened)
        _sessions.set_function(lambda: self.hub.signed_in)

    def reset(self, reason: str, of: Container[str] | None = None) -> None:
        self.hub.reset(reason, of)

    def reopen(self, of: Container[str] | None = None) -> None:
        """Another engine decides now: sessions go on there, and clients need not come again. `of`: only these."""
        self.hub.reopen(of)

    def keep_only(self, agents: Container[str]) -> None:
        """Close the sessions of everybody who is no longer an agent."""
        self.hub.keep_only(agents)

    def drain(self, reason: str = "draining") -> None:
        """Say goodbye to everybody with a time to come back, and let nobody in."""
        self.hub.drain(reason)

    def health(self) -> Health:
        """Agents can sign in as long as the shared port listens and we are not stopping."""
        from router.service.ports import Health  # that module names the socket server

        port = self._sockets.health()
        figures = {"connections": float(len(self.hub.conversations)), "sessions": float(self.hub.signed_in)}
        if self.hub.draining:
            return Health(ok=False, detail="draining", figures=figures)
        return Health(ok=port.ok, detail=port.detail, figures=figures)

    def _opened(self, peer: Peer) -> Conversation:
        conversation = self.hub.converse(peer)
        _later(self.settings.hello_timeout / 1000, conversation.hello_overdue)
        return conversation


def _nothing(digest: str) -> bool:
    """Without a blob store no file was ever uploaded."""
    return False


def _later(seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, call)
