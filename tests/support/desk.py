"""A desk for tests of one edge: it records commands, numbers interactions and answers as told.

It decides nothing. What an edge and the engine do together is tested against the real thing in `tests/system`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from router.engine import commands as c
from router.engine.commands import Reply
from router.engine.views import (
    AgentView,
    CalendarView,
    CallbackOffer,
    CallbackView,
    CustomerView,
    Estimate,
    InteractionView,
    Outbound,
    QueueView,
    Refused,
)
from router.errors import NotFound, RouterError


class RecordingDesk:
    """Duplicate keys get the first answer; a thread that was seen joins its interaction; `refuse` answers instead."""

    def __init__(self) -> None:
        self.commands: list[c.AnyCommand] = []
        self.refuse: Callable[[c.AnyCommand], RouterError | None] = lambda command: None
        self.held: list[Callable[[], None]] | None = None  # a list: answers wait in it until called
        self.now = 1_700_000_000_000
        self.answered: dict[str, int] = {}
        self.threads: dict[str, int] = {}
        self.views: dict[int, InteractionView] = {}
        self.agent_views: dict[str, AgentView] = {}
        self.dead: list[Outbound] = []
        self.letters: list[Outbound] = []
        self.known_recipients: set[tuple[str, str]] | None = None
        self.refusals: dict[int, Refused] = {}
        self.callback_offers: dict[int, CallbackOffer] = {}
        self.callback_views: dict[str, CallbackView] = {}  # by customer
        self.position: Estimate | None = Estimate(1, None)
        self.document = b"{}"  # of the configuration in force
        self.count = 0

    def submit(self, command: c.AnyCommand, done: Callable[[Reply | RouterError], None]) -> None:
        answer = self.refuse(command) or self._take(command)

        def later() -> None:
            done(answer)

        if self.held is not None:
            self.held.append(later)
        else:
            asyncio.get_running_loop().call_soon(later)

    async def ask(self, command: c.AnyCommand) -> Reply:
        waiting: asyncio.Future[Reply | RouterError] = asyncio.get_running_loop().create_future()
        self.submit(command, waiting.set_result)
        answer = await waiting
        if isinstance(answer, RouterError):
            raise answer
        return answer

    def _take(self, command: c.AnyCommand) -> Reply:
        self.commands.append(command)
        if command.key and command.key in self.answered:
            return Reply(interaction=self.answered[command.key], duplicate=True)
        number, joined = getattr(command, "interaction", 0), False
        if isinstance(command, c.Arrive):
            known = [self.threads[t] for t in command.threads if t in self.threads]
            joined = bool(known)
            if known:
                number = known[0]
            else:
                self.count += 1
                number = self.count
            for thread in command.threads:
                self.threads[thread] = number
        elif hasattr(command, "thread"):
            number = self.threads.get(command.thread, 0)
            if not number:
                return NotFound(f"no open interaction {command.thread!r}")  # type: ignore[return-value]
            if isinstance(command, c.Leave):
                self.threads = {t: n for t, n in self.threads.items() if n != number}
        if command.key:
            self.answered[command.key] = number
        return Reply(interaction=number, joined=joined)

    def rehearse(self, command: c.AnyCommand) -> None:
        refused = self.refuse(command)
        if refused is not None:
            raise refused

    def now_ms(self) -> int:
        return self.now

    def interaction(self, number: int) -> InteractionView:
        if number not in self.views:
            raise NotFound(f"no interaction i-{number}")
        return self.views[number]

    def find(self, thread: str) -> int | None:
        return self.threads.get(thread)

    def thread_of(self, number: int) -> str:
        return next(thread for thread, known in self.threads.items() if known == number)

    def portion(self, state: str, queue: str, after: int, limit: int) -> tuple[list[InteractionView], int]:
        found = self.interactions(state, queue, after, limit)
        return found, int(found[-1].id[2:]) if len(found) == limit else 0

    def queued_for(self, agent: str, limit: int) -> tuple[list[InteractionView], bool]:
        found, after = self.portion("queued", "", 0, limit)
        return found, bool(after)

    def interactions(self, state: str = "", queue: str = "", after: int = 0, limit: int = 100) -> list[InteractionView]:
        wanted = [v for n, v in sorted(self.views.items()) if n > after]
        return [v for v in wanted if state in ("", v.state) and queue in ("", v.queue)][:limit]

    def agent(self, agent: str) -> AgentView:
        if agent not in self.agent_views:
            raise NotFound(f"no agent {agent}")
        return self.agent_views[agent]

    def agents(self, after: str = "", limit: int = 1_000) -> list[AgentView]:
        return [self.agent_views[name] for name in sorted(self.agent_views) if name > after][:limit]

    def callbacks(self, after: int = 0, limit: int = 100) -> list[CallbackView]:
        return []

    def customer(self, identity: str) -> CustomerView:
        raise NotFound(f"no customer is known by {identity!r}")

    def callback_of(self, identity: str) -> CallbackView | None:
        return self.callback_views.get(identity)

    def callback_offer(self, number: int) -> CallbackOffer | None:
        return self.callback_offers.get(number)

    def queues(self, since_ms: int = 0) -> list[QueueView]:
        return []

    def calendars(self) -> list[CalendarView]:
        return [CalendarView(calendar="office", zone="UTC", open=True, next_change_ms=0, queues=("support",))]

    def refusal(self, number: int) -> Refused | None:
        return self.refusals.get(number)

    def estimate(self, number: int) -> Estimate | None:
        return self.position

    def explain(self, number: int) -> dict[str, Any]:
        return {"interaction": f"i-{number}"}

    def why_not(self, number: int, agent: str) -> dict[str, Any]:
        return {"interaction": f"i-{number}", "agent": agent}

    def routes(self, channel: str, to: str) -> bool:
        return self.known_recipients is None or (channel, to) in self.known_recipients

    def outbounds(self, dead: bool = False) -> list[Outbound]:
        return self.dead if dead else self.letters

    def configuration(self) -> tuple[int, bytes]:
        return 1, self.document
