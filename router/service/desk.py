"""The desk of a process that holds the engine: commands go to the writer, questions to the state."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Any, Protocol

from router.engine import customers, lookups
from router.engine.commands import AnyCommand, Reply
from router.engine.decide import decide
from router.engine.engine import Engine
from router.engine.explain import explain, why_not
from router.engine.model import State
from router.engine.rehearsal import Changes, rehearse
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
from router.service.clock import Clock
from router.service.ports import Done, Outcome


class Decider(Protocol):
    """What takes commands: a `Writer`, or an edge's link to one with a copy of its engine."""

    clock: Clock

    @property
    def engine(self) -> Engine: ...

    def submit(self, command: AnyCommand, done: Done) -> None: ...


class EngineDesk:
    """See ports.Desk."""

    def __init__(self, writer: Decider) -> None:
        self._writer = writer
        # Asked for every message: without a stop here.
        self.submit: Callable[[AnyCommand, Done], None] = writer.submit
        self.now_ms: Callable[[], int] = writer.clock.now_ms

    @property
    def _state(self) -> State:
        return self._writer.engine.state

    def rehearse(self, command: AnyCommand) -> None:
        """Decide without any effect: raises what `ask` would raise, as far as the engine can tell."""
        engine = self._writer.engine
        decide(engine.state, engine.plan, command, self.now_ms())

    async def foresee(self, document: bytes) -> Changes:
        """What this configuration, which must have been checked, would change; decisions go on in between."""
        found = Changes()
        for so_far in rehearse(self._state, document):
            found = so_far
            await asyncio.sleep(0)
        return found

    async def ask(self, command: AnyCommand) -> Reply:
        waiting: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def done(outcome: Outcome) -> None:
            if not waiting.done():  # the caller may have been cancelled meanwhile; the facts stand all the same
                waiting.set_result(outcome)

        self._writer.submit(command, done)
        outcome = await waiting
        if isinstance(outcome, RouterError):
            raise outcome
        return outcome

    def interaction(self, number: int) -> InteractionView:
        s = self._state
        return lookups.interaction_view(s, lookups.find_interaction(s, number), full=True)

    def find(self, thread: str) -> int | None:
        number = self._state.threads.get(thread)
        item = self._state.interactions.get(number) if number is not None else None
        return number if item is not None and item.live else None

    def thread_of(self, number: int) -> str:
        item = lookups.find_interaction(self._state, number)
        if not item.threads:
            raise NotFound(f"no channel knows i-{number}")
        return item.threads[0]

    def portion(self, state: str, queue: str, after: int, limit: int) -> tuple[list[InteractionView], int]:
        return lookups.portion(self._state, state, queue, after, min(limit, 1_000))

    def queued_for(self, agent: str, limit: int) -> tuple[list[InteractionView], bool]:
        found, after = self.portion("queued", "", 0, limit)
        return found, bool(after)

    def interactions(self, state: str = "", queue: str = "", after: int = 0, limit: int = 100) -> list[InteractionView]:
        found, after = self.portion(state, queue, after, limit)
        while after and len(found) < min(limit, 1_000):
            more, after = self.portion(state, queue, after, limit - len(found))
            found += more
        return found

    def agent(self, agent: str) -> AgentView:
        return lookups.agent_view(self._state, lookups.find_agent(self._state, agent))

    def agents(self, after: str = "", limit: int = 1_000) -> list[AgentView]:
        known = self._state.agents
        page = heapq.nsmallest(min(limit, 1_000), (name for name in known if name > after))
        return [lookups.agent_view(self._state, known[name], brief=True) for name in page]

    def callbacks(self, after: int = 0, limit: int = 100) -> list[CallbackView]:
        return lookups.callback_views(self._state, after, min(limit, 1_000))

    def customer(self, identity: str) -> CustomerView:
        return customers.view(self._state, identity)

    def callback_of(self, identity: str) -> CallbackView | None:
        return lookups.callback_of(self._state, identity)

    def queues(self, since_ms: int = 0) -> list[QueueView]:
        return lookups.queue_views(self._state, self._writer.clock.now_ms(), since_ms)

    def calendars(self) -> list[CalendarView]:
        return lookups.calendar_views(self._state)

    def refusal(self, number: int) -> Refused | None:
        return lookups.refusal(self._state, number)

    def callback_offer(self, number: int) -> CallbackOffer | None:
        return lookups.callback_offer(self._state, number)

    def estimate(self, number: int) -> Estimate | None:
        return lookups.estimate(self._state, number, self._writer.clock.now_ms())

    def explain(self, number: int) -> dict[str, Any]:
        return explain(self._state, number, self._writer.clock.now_ms())

    def why_not(self, number: int, agent: str) -> dict[str, Any]:
        return why_not(self._state, number, agent, self._writer.clock.now_ms())

    def routes(self, channel: str, to: str) -> bool:
        return self._writer.engine.plan.takes(channel, to)

    def outbounds(self, dead: bool = False) -> list[Outbound]:
        return list((self._state.dead if dead else self._state.outbound).values())

    def configuration(self) -> tuple[int, bytes]:
        return self._state.version, self._state.document
