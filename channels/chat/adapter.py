"""Between the websocket port and the room: carries out the room's actions, and wakes it for its sweeps.

Nothing is decided here. A frame costs one synchronous call and whatever the room orders; no task is made for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from channels.chat.conversation import CHANNEL, HangUp, Post, Send, Submit, Tell
from channels.chat.protocol import Room
from channels.chat.settings import Settings
from channels.chat.tokens import keep_secret
from channels.chat.uploads import FileRoutes
from router.engine.commands import Reply
from router.engine.views import Inform, InteractionView, MessageView, Outbound
from router.errors import ConfigError, RouterError
from router.observe import counter, gauge, get_logger
from router.service import background
from router.service.masked import for_channel
from router.service.ports import Context, DeliveryFailed, Health
from router.service.signals import Signal
from router.service.sockets import Peer

SUBPROTOCOL = "switchboard.chat.v1"
SECRET_FILE = "chat.secret"  # noqa: S105 - its name, not what is in it

log = get_logger("chat")
_conversations = gauge("chat_conversations", "Visitors' conversations in memory.")
_waiting = gauge("chat_waiting", "Visitors who wait for an agent.")
_hung_up = counter("chat_hang_ups_total", "Visitors' sockets that we closed, by close code.", ("code",))


class Visitor:
    """One socket, as the port knows it (`sockets.Receiver`)."""

    __slots__ = ("_adapter", "_line")

    def __init__(self, adapter: ChatAdapter, line: int) -> None:
        self._adapter = adapter
        self._line = line

    def received(self, text: bytes) -> None:
        self._adapter.room.received(self._line, text)
        self._adapter.act()

    def closed(self) -> None:
        self._adapter.closed(self._line)


class ChatAdapter:
    """The chat channel. It delivers nothing through the outbox: who is not there finds it when they come back."""

    name = "chat"
    channels: tuple[str, ...] = (CHANNEL,)
    actions: frozenset[str] = frozenset()
    hears = True

    def __init__(self, settings: Settings, context: Context) -> None:
        self._settings = settings
        self._context = context = for_channel(context, settings.mask_cards)
        self._secret = b""
        self._room: Room | None = None
        self._peers: dict[int, Peer] = {}
        self._count = 0  # sockets so far
        self._sweeping: asyncio.Task[None] | None = None
        self._swept_s = 0.0  # on the loop's clock
        self._is_open = False
        self._posting: set[asyncio.Task[None]] = set()
        self._files = FileRoutes(settings, context, lambda: self._secret)
        context.signals.listen_for_customers(CHANNEL, self._signalled)

    @property
    def room(self) -> Room:
        assert self._room is not None, "the chat was not started"
        return self._room

    async def start(self) -> None:
        """Finds the visitors of the process before. Raises ConfigError if there is no secret to sign tokens with.

        Must come before anything that submits commands: what is said while we look would be seen twice.
        """
        s, context = self._settings, self._context
        if s.offline is not None and not context.desk.routes("email", s.offline.mail_to):
            raise ConfigError("chat.offline.mail_to", "an address that mail is taken for", s.offline.mail_to)
        self._secret = s.token_secret.encode() or await asyncio.to_thread(keep_secret, context.data / SECRET_FILE)
        self._look_again()
        context.sockets.mount(s.path, SUBPROTOCOL, self._opened)
        self._is_open = True
        self._swept_s = asyncio.get_running_loop().time()
        self._sweeping = background.begin(self._sweep(), "chat sweep")

    def reset(self, reason: str) -> None:
        """The engine was read from its journal again: what is in memory may be ahead of it, or behind.

        Visitors are sent away and find their transcript when they come back. Answers still on their way to the old room
        stay there: who was waiting for them repeats themselves. To be called before anything else is submitted.
        """
        self.room.close()
        self.act()
        self._look_again()
        log.info("Visitors sent back", action="chat_reset", reason=reason)

    def _look_again(self) -> None:
        self._room = Room(self._settings, self._context.desk, self._secret)
        found = self._room.restore()
        log.info("Chat open", action="chat_open", path=self._settings.path, conversations=found)

    async def stop_intake(self) -> None:
        self._is_open = False
        if self._room is not None:
            self._room.drain()

    async def stop(self) -> None:
        await self.stop_intake()
        await background.end(self._sweeping)
        await asyncio.gather(*self._posting, return_exceptions=True)
        if self._room is not None:
            self._room.close()
            self.act()

    def health(self) -> Health:
        """Good while it is mounted and looks at its visitors in time. Whether the port listens, the port says."""
        figures = {} if self._room is None else self._figures(self._room)
        if not self._is_open:
            return Health(ok=False, detail="not taking visitors", figures=figures)
        missing = "nobody looks after the visitors: the sweep has stopped"
        if gone := background.trouble(self._sweeping, missing):
            return Health(ok=False, detail=gone, figures=figures)
        late_s = asyncio.get_running_loop().time() - self._swept_s
        if late_s > 3 * self._settings.sweep / 1_000:
            return Health(ok=False, detail=f"the last sweep was {late_s:.0f} s ago", figures=figures)
        return Health(ok=True, detail=f"mounted at {self._settings.path}", figures=figures)

    def _figures(self, room: Room) -> dict[str, float]:
        return {
            "sockets": room.sockets,
            "conversations": len(room.conversations),
            "waiting": room.waiting,
            "refusals": room.refusals,
        }

    def inform(self, news: Inform) -> None:
        if self._room is not None:
            self._room.informed(news)
            self.act()

    async def deliver(self, outbound: Outbound) -> None:
        raise DeliveryFailed("chat has no outbound actions: visitors are told by the facts", final=True)

    def routes(self) -> Sequence[Any]:
        return self._files.routes()

    def _signalled(self, thread: str, signal: Signal) -> None:
        if self._room is not None:
            self._room.signalled(thread, signal)
            self.act()

    async def readable(self, view: InteractionView) -> tuple[MessageView, ...]:
        return view.messages

    def requeue_hooks(self) -> Mapping[str, Callable[[bytes, Any], Awaitable[object]]]:
        """None: what a visitor's client sends wrongly is answered, so nothing is set aside."""
        return {}

    # --- sockets --------------------------------------------------------------------------------------------------

    def _opened(self, peer: Peer) -> Visitor:
        self._count += 1
        self._peers[self._count] = peer
        self.room.connected(self._count, peer.address)
        return Visitor(self, self._count)

    def closed(self, line: int) -> None:
        self._peers.pop(line, None)
        self.room.disconnected(line)
        self.act()

    def act(self) -> None:
        """Carry out what the room has ordered, in order."""
        actions = self.room.actions
        while actions:
            match actions.popleft():
                case Send(line, data):
                    if peer := self._peers.get(line):
                        peer.send(data)
                case HangUp(line, code, reason):
                    _hung_up.labels(str(code)).inc()
                    if peer := self._peers.get(line):
                        peer.close(code, reason)
                case Submit(command, answered):
                    self._context.desk.submit(command, partial(self._answered, answered))
                case Tell(agent, interaction, signal):
                    self._context.signals.tell_agent(agent, interaction, signal)
                case Post() as letter:
                    task = asyncio.create_task(self._post(letter), name="chat letter")
                    self._posting.add(task)
                    task.add_done_callback(self._posting.discard)

    def _answered(self, answered: Any, answer: Reply | RouterError) -> None:
        answered(answer)
        self.act()

    async def _post(self, letter: Post) -> None:
        """The one thing that has a task of its own: it is rare, and mail is read and stored before it is recorded."""
        problem: RouterError | None = None
        try:
            await self._context.letters.post(letter.raw, letter.address)
        except RouterError as refused:
            problem = refused
        letter.answered(problem)
        self.act()

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._settings.sweep / 1_000)
            for _ in self.room.sweep():
                self.act()
                await asyncio.sleep(0)
            self._swept_s = loop.time()
            _conversations.set(len(self.room.conversations))
            _waiting.set(self.room.waiting)
