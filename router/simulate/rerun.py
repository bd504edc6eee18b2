"""Yesterday's contacts and people in a world: once anew, decided by the engine; once as it was, by the records.

Both are heard by the same reporter, so what they come to can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop
from typing import Any

from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Config, Rule
from router.engine.entities import TAKEN_OFF
from router.engine.events import Record
from router.engine.transitions import WRAP_UP
from router.errors import ClientError
from router.simulate.past import Past
from router.simulate.report import Reporter
from router.simulate.scenario import DAY_MS
from router.simulate.unknowns import Answers, Unknowns
from router.simulate.world import NEVER, Contact, Kind, World


class Rerun(World):
    """What a reporter needs to know of a world: its day, and what broke."""

    begin_ms: int
    end_ms: int
    midnight_ms: int
    faults: dict[str, int]

    def _set_day(self, past: Past) -> None:
        self.begin_ms, self.end_ms = past.begin_ms, past.end_ms
        self.midnight_ms = past.begin_ms - past.begin_ms % DAY_MS
        self.faults = {}


class Anew(Rerun):
    """Yesterday under this configuration."""

    def __init__(self, past: Past, config: Config, kinds: list[Kind], watch: Reporter, seed: int) -> None:
        self._set_day(past)
        unknowns, self._answers = Unknowns(past, seed), Answers(past, seed)
        config, self._called = _calling(past, config)
        super().__init__(config, kinds, lambda x, agent: round(x.work), watch, begin_ms=past.begin_ms)
        self.refused: dict[str, int] = {}
        self._lives = list(past.lives.values())
        self._rings = [life.ring_ms if life.ring_ms >= 0 else unknowns.ring_ms for life in self._lives]
        self._auto = {name for name, queue in config.queues.items() if queue.auto_accept}
        self._legs = {i: unknowns.legs(life) for i, life in enumerate(self._lives) if life.legs}
        self.transferred = self.kept_on = 0
        self._sessions: dict[str, set[str]] = {}
        for at_ms, event in past.presence:
            self.plan(at_ms, self._presence, event)
        for at_ms, event in past.emergencies:
            self.plan(at_ms, self._emergency, event)
        number = {kind.name: i for i, kind in enumerate(kinds)}
        self.expect(
            Contact(i, life.at_ms, number[life.came.channel], unknowns.work(life), unknowns.patience(life))
            for i, life in enumerate(self._lives)
        )

    def _arrive(self, whom: tuple[Contact, Iterator[Contact]], now_ms: int) -> None:
        x, source = whom
        self._next(source)
        came = self._lives[x.index].came
        x.number = number = self.engine.state.last_interaction + 1
        self.contacts[number] = x
        ask = c.Arrive(
            channel=came.channel,
            threads=(f"replay:{number}",),
            identities=came.identities,
            sender=came.sender,
            recipient=self._called.get(came.queue, "") if came.direction == "callback" else came.recipient,
            name=came.name,
            subject=came.subject,
            language=came.language,
            attributes=came.attributes,
            received_at_ms=came.enqueued_at_ms,
        )
        try:
            self.tell(ask, now_ms)
        except ClientError as error:
            del self.contacts[number]
            self.refused[str(error)] = self.refused.get(str(error), 0) + 1
            self.watch.refused(x, now_ms)
            return
        self.watch.arrived(x, now_ms)
        if x.begun_ms < 0 and x.patience_ms < NEVER:
            self.plan(now_ms + x.patience_ms, self._lose_patience, x)

    def _lose_patience(self, x: Contact, now_ms: int) -> None:
        if x.begun_ms < 0 and not x.gone:
            self.tell(c.Leave(thread=f"replay:{x.number}"), now_ms)

    def _offered(self, event: e.OfferMade, now_ms: int) -> None:
        super()._offered(event, now_ms)
        if self.engine.state.interactions[event.interaction].queue not in self._auto:
            ring = self._rings[self.contacts[event.interaction].index]
            answer = self._answers.to(event.agent)
            if answer != "miss":
                self.plan(now_ms + ring, self._answer, (event.offer, event.agent, answer))

    def _answer(self, whom: tuple[int, str, str], now_ms: int) -> None:
        number, agent, answer = whom
        offer = self.engine.state.offers.get(number)
        if offer is not None and offer.agent == agent and now_ms < offer.expires_at_ms:
            ask = c.Decline if answer == "decline" else c.Accept
            self.tell(ask(agent=agent, offer=number), now_ms)

    def _changed(self, event: e.StateChanged | e.SessionOpened | e.SessionClosed, now_ms: int) -> None:
        super()._changed(event, now_ms)
        if isinstance(event, e.StateChanged) and event.reason in TAKEN_OFF and not event.until_ms:
            self.plan(now_ms + self._answers.pause(event.agent), self._return, event.agent)

    def _return(self, agent: str, now_ms: int) -> None:
        """Taken off for missed offers, and now noticing it; unless a pause of their own has begun."""
        known = self.engine.state.agents[agent]
        if known.sessions and known.declared == "not_ready" and known.reason in TAKEN_OFF:
            self._try(c.SetState(agent=agent, state="ready"), now_ms)

    def _complete(self, whom: tuple[Contact, int], now_ms: int) -> None:
        """Work as it was has its wrap-up in it, so that is finished along with it."""
        x, turn = whom
        item = self.engine.state.interactions.get(x.number)
        if x.turn != turn or item is None or item.owner != x.agent:
            return  # taken from the agent meanwhile
        if self._legs.get(x.index) and self._give_on(x, now_ms):
            return
        super()._complete(whom, now_ms)
        if item.state == WRAP_UP:
            self._try(c.FinishWrapUp(agent=x.agent, interaction=x.number), now_ms)

    def _give_on(self, x: Contact, now_ms: int) -> bool:
        """Transfer it as it was; False where the other configuration does not have to whom."""
        to, work = self._legs[x.index].pop(0)
        x.work, before = work, x.work
        try:
            self.tell(c.Transfer(interaction=x.number, agent=x.agent, to=to), now_ms)
        except ClientError:
            x.work = before
            self.kept_on += 1
            del self._legs[x.index]
            return False
        self.transferred += 1
        return True

    def _hearing(self) -> Any:
        return dict(super()._hearing()) | {e.Transferred: self._let_go}

    def _let_go(self, event: e.Transferred, now_ms: int) -> None:
        if event.from_agent:
            self.contacts[event.interaction].turn += 1
            self._freed(event.from_agent, now_ms)

    def _presence(self, event: Any, now_ms: int) -> None:
        if isinstance(event, e.Restarted):
            for agent, sessions in self._sessions.items():
                for session in list(sessions):
                    self._presence(e.SessionClosed(agent, session, "restart"), now_ms)
            return
        if event.agent not in self.engine.state.agents:
            return
        if isinstance(event, e.SessionOpened):
            self._sessions.setdefault(event.agent, set()).add(event.session)
            self._try(c.OpenSession(agent=event.agent, session=event.session), now_ms)
        elif isinstance(event, e.SessionClosed):
            self._sessions.setdefault(event.agent, set()).discard(event.session)
            self._try(c.CloseSession(agent=event.agent, session=event.session), now_ms)
        else:
            self._try(c.SetState(agent=event.agent, state=event.state, reason=event.reason), now_ms)

    def _emergency(self, event: e.EmergencyDeclared | e.EmergencyEnded, now_ms: int) -> None:
        """Declared and ended when they were, where the other configuration has the calendar."""
        if isinstance(event, e.EmergencyDeclared):
            until = event.until_ms if event.until_ms > now_ms else 0
            self._try(c.CloseCalendar(calendar=event.calendar, by=event.by, why=event.why, until_ms=until), now_ms)
        else:
            self._try(c.OpenCalendar(calendar=event.calendar, by=event.by or "replay"), now_ms)

    def _try(self, command: c.AnyCommand, now_ms: int) -> None:
        """As the journal has it, which may make no sense any more: a forced wrap-up is not over yet."""
        try:
            self.tell(command, now_ms)
        except ClientError:
            return


# What the arrival of a contact may lead to at once.
ARRIVING = e.Moved | e.InteractionEnded | e.OfferMade | e.OfferAccepted


def _calling(past: Past, config: Config) -> tuple[Config, dict[str, str]]:
    """A rule for each queue that called customers: what no rule would bring there comes by an address of its own."""
    queues = dict.fromkeys(life.came.queue for life in past.lives.values() if life.came.direction == "callback")
    called = {name: f"replay:call:{name}" for name in queues if name in config.queues}
    rules = [Rule(f"replay-call-{i}", name, to=(to,)) for i, (name, to) in enumerate(called.items())]
    return replace(config, rules=(*rules, *config.rules)), called


class Was(Rerun):
    """What was: the records themselves, applied one by one."""

    def __init__(self, past: Past, config: Config, kinds: list[Kind], watch: Reporter) -> None:
        self._set_day(past)
        self._quiet = True
        super().__init__(config, kinds, lambda x, agent: 0, watch, begin_ms=past.begin_ms)
        self._quiet = False
        self.refused: dict[str, int] = {}
        self._number = {kind.name: i for i, kind in enumerate(kinds)}
        self._pending: Contact | None = None
        self._came = 0

    def tell(self, command: c.AnyCommand, now_ms: int) -> None:
        assert self._quiet, "what was is not told anything"

    def follow(self, records: Iterable[Record]) -> None:
        for record in records:
            self._flush_before(record)
            self._pass_to(record.at_ms)
            self.engine.apply(record)
            self.heed([record.event], record.at_ms)
        self._flush()
        self._pass_to(self.end_ms)

    def _pass_to(self, now_ms: int) -> None:
        """The ends of intervals are all that is planned here."""
        heap = self._heap
        while heap and heap[0][0] <= now_ms:
            at, _, what, whom = heappop(heap)
            what(whom, at)
        self.now_ms = now_ms

    def _flush_before(self, record: Record) -> None:
        """A contact has arrived when what its arrival led to in the same moment is known."""
        x = self._pending
        if x is not None:
            event: Any = record.event
            led_to = isinstance(event, ARRIVING) and event.interaction == x.number
            if not led_to or record.at_ms > x.born_ms:
                self._flush()

    def _flush(self) -> None:
        x, self._pending = self._pending, None
        if x is not None:
            self.watch.arrived(x, x.born_ms)

    def _hearing(self) -> Any:
        return dict(super()._hearing()) | {
            e.InteractionArrived: self._arrival,
            e.CallbackDue: self._arrival,
            e.ConsultEnded: self._consult_over,
            e.ConsultCompleted: self._handed_over,
            e.Transferred: self._let_go,
            e.ConnectFailed: self._let_go,
        }

    def _arrival(self, event: e.InteractionArrived | e.CallbackDue, now_ms: int) -> None:
        channel = self.engine.state.interactions[event.interaction].born.channel
        x = Contact(self._came, now_ms, self._number[channel], 0.0, NEVER, event.interaction)
        self._came += 1
        self.contacts[event.interaction] = self._pending = x

    def _known(self, number: int, now_ms: int) -> None:
        """What is no contact, or is one once more, is not counted: a consult; what was over and an operator opened."""
        if number not in self.contacts:
            self.contacts[number] = Contact(-1, now_ms, 0, 0.0, NEVER, number, now_ms, now_ms)

    def _offered(self, event: e.OfferMade, now_ms: int) -> None:
        self._known(event.interaction, now_ms)
        super()._offered(event, now_ms)

    def _ended(self, event: e.InteractionEnded, now_ms: int) -> None:
        self._known(event.interaction, now_ms)
        super()._ended(event, now_ms)

    def _consult_over(self, event: e.ConsultEnded, now_ms: int) -> None:
        self.contacts.pop(event.interaction, None)
        if event.agent:
            self._freed(event.agent, now_ms)

    def _handed_over(self, event: e.ConsultCompleted, now_ms: int) -> None:
        """Who was asked has the contact in place of the consult."""
        self.contacts.pop(event.consult, None)
        self._freed(event.from_agent, now_ms)

    def _freed(self, agent: str, now_ms: int) -> None:
        if self.load.get(agent):
            super()._freed(agent, now_ms)

    def _let_go(self, event: e.Transferred | e.ConnectFailed, now_ms: int) -> None:
        agent = event.from_agent if isinstance(event, e.Transferred) else event.agent
        if agent:
            self._freed(agent, now_ms)

    def _accepted(self, event: e.OfferAccepted, now_ms: int) -> None:
        plan, self._heap = self._heap, []  # nobody completes anything here: the records do
        super()._accepted(event, now_ms)
        self._heap = plan
