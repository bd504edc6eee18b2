"""Effects that the outside must be told at least once: gateway commands, outgoing mail.

The list of what is still to be told is part of the engine's state, so it survives the process. Here it is worked off:
letters of one interaction one after another (a hang-up never overtakes its connect), different interactions side by
side, a bounded number at once. A letter is delivered with its number as idempotency key, tried again with growing
pauses, and given up after its time: then it is a dead letter, which an operator sees, retries or discards.

A crash between delivery and record means that it is delivered again; the receiver tells by the key.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Annotated

from msgspec import Meta, Struct

from router.engine import commands as c
from router.engine.automatic import not_delivered
from router.engine.config import Duration
from router.engine.views import TO_CUSTOMER, Outbound
from router.errors import NotFound, Refusal, RouterError
from router.observe import counter, get_logger
from router.service.clock import Clock
from router.service.ports import Adapter, DeliveryFailed, Desk, Health, Outcome

log = get_logger("outbox")

delivered = counter("switchboard_outbound_delivered", "Outbound actions delivered", ("channel", "action"))
retried = counter("switchboard_outbound_retried", "Deliveries that failed and will be tried again", ("channel",))
given_up = counter("switchboard_outbound_given_up", "Dead letters", ("channel",))


class OutboxSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How stubbornly the outside is told."""

    concurrency: Annotated[int, Meta(ge=1, le=1_000)] = 64  # deliveries under way at once: bounds sockets and memory
    timeout: Duration = Duration(30_000)  # one attempt
    first_pause: Duration = Duration(1_000)  # doubled after each failure
    longest_pause: Duration = Duration(300_000)
    give_up_calls: Duration = Duration(20_000)  # what concerns a live call is useless later
    give_up: Duration = Duration(172_800_000)  # 2 days for mail; RFC 5321 4.5.4.1 suggests four to five


def pause_ms(settings: OutboxSettings, failures: int) -> int:
    """Milliseconds to wait after so many failures in a row (1, 2, ...)."""
    assert failures >= 1
    return min(settings.first_pause << min(failures - 1, 30), settings.longest_pause)


class Outbox:
    """See the module. One task for each interaction that has letters; none when there is nothing to tell."""

    def __init__(self, desk: Desk, clock: Clock, settings: OutboxSettings, adapters: dict[str, Adapter]) -> None:
        self._desk, self._clock, self._settings, self._adapters = desk, clock, settings, adapters
        self._letters: dict[int, deque[Outbound]] = {}  # by interaction
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._known: set[int] = set()
        self._room = asyncio.Semaphore(settings.concurrency)
        self._failing: dict[int, str] = {}  # letter -> the last failure

    def post(self, letter: Outbound) -> None:
        """Deliver this letter after those of its interaction that came before."""
        if letter.outbound in self._known:
            return
        self._known.add(letter.outbound)
        waiting = self._letters.setdefault(letter.interaction, deque())
        waiting.append(letter)
        if letter.interaction not in self._tasks:
            self._tasks[letter.interaction] = asyncio.ensure_future(self._work_off(letter.interaction, waiting))

    def reload(self) -> None:
        """Begin anew with what the state holds: after a start, or when the engine was restored."""
        self.stop()
        for letter in self._desk.outbounds():
            self.post(letter)

    def stop(self) -> None:
        """What was not delivered stays in the state."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()
        self._letters.clear()
        self._known.clear()
        self._failing.clear()

    async def finish(self) -> None:
        """Wait until nothing is under way (used while draining)."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    def health(self) -> Health:
        dead = len(self._desk.outbounds(dead=True))
        figures = {"waiting": float(len(self._known)), "failing": float(len(self._failing)), "dead": float(dead)}
        orphans = len(self._known) - sum(len(waiting) for waiting in self._letters.values())
        if orphans:
            return Health(False, f"{orphans} letters have nobody who delivers them", figures)
        return Health(True, next(iter(self._failing.values()), ""), figures)

    def trying(self, outbound: int) -> str:
        """Why the last try of a letter failed that is tried again; "" where none did."""
        return self._failing.get(outbound, "")

    async def _work_off(self, interaction: int, waiting: deque[Outbound]) -> None:
        try:
            while waiting:
                letter = waiting[0]
                error = await self._deliver(letter)
                await self._record(letter, error)
                waiting.popleft()
                self._known.discard(letter.outbound)
                self._failing.pop(letter.outbound, None)
        finally:
            if self._letters.get(interaction) is waiting:
                del self._letters[interaction]
                self._tasks.pop(interaction, None)

    async def _deliver(self, letter: Outbound) -> str:
        """Try until it is delivered ("") or useless (the last error)."""
        failures = 0
        while True:
            try:
                async with self._room, asyncio.timeout(self._settings.timeout / 1_000):
                    await self._adapter(letter).deliver(letter)
                delivered.labels(letter.channel, letter.action).inc()
                return ""
            except DeliveryFailed as failure:
                error, final = str(failure), failure.final
            except TimeoutError:
                error, final = f"no answer within {self._settings.timeout}", False
            except Exception as bug:
                log.exception("Delivery failed", action="delivery_bug", outbound=letter.outbound)
                error, final = f"a bug ({type(bug).__name__}); see the log", False
            failures += 1
            self._failing[letter.outbound] = error
            pause = pause_ms(self._settings, failures)
            if final or self._clock.now_ms() + pause > letter.at_ms + self._patience_ms(letter):
                return error
            retried.labels(letter.channel).inc()
            await asyncio.sleep(pause / 1_000)

    def _adapter(self, letter: Outbound) -> Adapter:
        adapter = self._adapters.get(letter.channel)
        if adapter is None:
            raise DeliveryFailed(f"nothing configured serves the channel {letter.channel!r}", final=True)
        return adapter

    def _patience_ms(self, letter: Outbound) -> int:
        return self._settings.give_up if letter.action == "message" else self._settings.give_up_calls

    async def _record(self, letter: Outbound, error: str) -> None:
        if error:
            given_up.labels(letter.channel).inc()
            log.warning("Given up", action="outbound_dead", outbound=letter.outbound, problem=error)
            if letter.action in ("assigned", "called"):
                await self._wait_again(letter)
            elif letter.action in TO_CUSTOMER and letter.threads:
                await self._mark(letter, error)
            command: c.AnyCommand = c.FailOutbound(outbound=letter.outbound, error=error[:500])
        else:
            command = c.SettleOutbound(outbound=letter.outbound)
        outcome = await self._recorded(command)
        if isinstance(outcome, RouterError):
            # Discarded by an operator meanwhile.
            log.info("Not recorded", action="outbound_unrecorded", outbound=letter.outbound, problem=str(outcome))

    async def _wait_again(self, letter: Outbound) -> None:
        """Nobody will connect this customer any more: they wait for somebody again instead of for the lease.

        Under a key, so that a restart in between changes nothing; and only while they wait for this agent, since they
        may have gone to another, whose connection this is not.
        """
        try:
            view = self._desk.interaction(letter.interaction)
        except NotFound:
            return
        if view.state == "active" and view.agent == letter.agent and not view.connected:
            key = f"outbox:{letter.outbound}"
            await self._recorded(c.FailConnection(key=key, thread=letter.threads[0], reason="undeliverable"))

    async def _mark(self, letter: Outbound, error: str) -> None:
        """The contact says that it did not arrive, as after a bounce: whoever wrote it knows of no dead letters.

        Once, however often it is tried again and given up. What work follows is the engine's (`automatic.unanswered`).
        """
        key, text = f"undelivered:{letter.outbound}", not_delivered(letter, error)
        await self._recorded(c.Remark(key=key, thread=letter.threads[0], text=text, by=""))

    async def _recorded(self, command: c.AnyCommand) -> Outcome:
        outcome = await self._answer(command)
        while isinstance(outcome, Refusal):
            # Too much is in flight. If the journal is away instead, we are stopped and begin anew with its state.
            await asyncio.sleep(outcome.retry_after_s)
            outcome = await self._answer(command)
        return outcome

    def _answer(self, command: c.AnyCommand) -> asyncio.Future[Outcome]:
        recorded: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._desk.submit(command, lambda outcome: None if recorded.done() else recorded.set_result(outcome))
        return recorded
