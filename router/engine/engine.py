"""The engine as one object without I/O: commands in, facts and effects out.

    handle(command, now_ms) -> Outcome    decide, apply, let follow what follows, match; all at once
    next_deadline_ms()                    when it next wants a Tick
    apply(record)                         a fact that was decided before: recovery, standbys, replay
    follow(records)                       as `apply`, and what is to be told: edges in processes of their own
    snapshot(), restore(bytes)            the primary state

The clock it is given may stand still or jump back; its own never does: a decision is taken at the later of `now_ms` and
the latest time seen. After every command no waiting interaction stands beside an idle agent who fits (RT-5).

A ClientError or ConfigError means that nothing has changed. Any other exception from `handle` is a bug, and the object
is then in no defined state: throw it away and restore from the journal.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from router.engine import admission, drain, image, interrupts, timers, unservable
from router.engine import effects as out_effects
from router.engine import events as e
from router.engine.commands import AnyCommand, Arrive, Reply, Tick
from router.engine.config import Config, Queue
from router.engine.decide import decide
from router.engine.effects import Effect
from router.engine.entities import Agent, Interaction
from router.engine.events import Event, Record
from router.engine.evolve import EVOLVE, evolve
from router.engine.model import State
from router.engine.plan import Plan
from router.engine.presence import RULES


class Outcome(Struct, eq=False, gc=False):
    """What a command came to. `records` are to be made durable before `reply` and `effects` go out."""

    reply: Reply
    at_ms: int
    key: str = ""
    events: list[Event] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    first_seq: int = 0  # of the first of `events`


_NO_EVENTS = Reply()


class Engine:
    """See the module."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet  # no effects: for simulation, where nobody listens
        self.state = State()
        self.plan = Plan(Config())

    # --- live ------------------------------------------------------------------------------------------------------

    def handle(self, command: AnyCommand, now_ms: int) -> Outcome:
        """Take one command. Raises ClientError, or ConfigError for a configuration (nothing has changed)."""
        state = self.state
        now = state.now_ms
        if now_ms > now:
            now = now_ms
        key = command.key
        if key:
            memory = state.keys_like(key)
            known = memory.known.get(key)
            if known is not None:
                return Outcome(Reply(interaction=known, duplicate=True), now)
        facts = decide(state, self.plan, command, now)
        if not facts:  # it makes nothing true and is not remembered, here and in a replay
            return self._nothing(command, now)
        first = facts[0]
        number = getattr(first, "interaction", 0)
        joined = type(first) is e.MessageAdded and type(command) is Arrive
        reply = Reply(interaction=number, joined=True) if joined else Reply(interaction=number)
        out = Outcome(reply, now, key, [], [], state.seq + 1)
        for fact in facts:
            self._happen(fact, now, out)
        self._settle(now, out)
        if key:
            memory.add(key, number, now)
        return out

    def _nothing(self, command: AnyCommand, now: int) -> Outcome:
        out = Outcome(_NO_EVENTS, now, "", [], [], self.state.seq + 1)
        if type(command) is Tick:
            self._let_time_pass(now, now, out)
        self._settle(now, out)
        return out

    def _happen(self, fact: Event, now: int, out: Outcome) -> None:
        state = self.state
        state.seq += 1
        state.now_ms = now
        kind = type(fact)
        EVOLVE[kind](state, fact, now)
        out.events.append(fact)
        if not self.quiet:
            out_effects.effects(state, fact, out.effects)
        rule = RULES.get(kind)
        if rule is not None:
            if kind is e.Configured:
                self.plan = Plan(state.config)
            for further in rule(state, fact, now):
                self._happen(further, now, out)

    def _admit(self, now: int, out: Outcome) -> None:
        """Whoever began to wait where the queue's rules may forbid it: before anything is offered."""
        self.state.matcher.stand()
        while self.state.entered:
            for fact in admission.on_entry(self.state, out.events):
                self._happen(fact, now, out)

    def _let_time_pass(self, until: int, now: int, out: Outcome) -> None:
        while facts := timers.next_due(self.state, until, now):
            for fact in facts:
                self._happen(fact, now, out)

    def _settle(self, now: int, out: Outcome) -> None:
        """Take up what was suspended, offer whatever can be offered; then everybody stands in line.

        A Tick comes a moment after its deadline, and other commands may be faster: what was due before this one happens
        first, so that nothing is decided by what held no more. And all once more for each place that is given up for
        something more urgent, and each step of what nobody serves: thousands of them may follow at one instant.
        """
        state, matcher = self.state, self.state.matcher
        while True:
            if state.timers and state.timers[0][0] < now:
                self._let_time_pass(now - 1, now, out)
            if state.returning:
                for continued in interrupts.taken_up(state):
                    self._happen(continued, now, out)
            if state.entered:
                self._admit(now, out)
            if matcher.fresh_agents or matcher.fresh_items:
                self._offer(now, out)
            if matcher.loose_agent is not None or matcher.loose_item is not None:
                matcher.stand()
            if state.drains and self._see_to_the_urgent(now, out):
                continue
            if not matcher.reach.restless or not self._see_to_the_unserved(now, out):
                return

    def _offer(self, now: int, out: Outcome) -> None:
        """All that can be offered, the first in the order first."""
        state, matcher = self.state, self.state.matcher
        while matcher.fresh_agents or matcher.fresh_items:
            pair = matcher.next_pair(state.interactions, now)
            if pair is None:
                return
            item, agent = pair
            if agent.load and state.drainable and self._drains(item, agent, now, out):
                matcher.fresh_items.append(item)  # somebody else may have room for it
                continue
            queue = state.queues[item.queue]
            deadline = now + queue.offer_timeout
            self._happen(e.OfferMade(state.last_offer + 1, item.number, agent.id, deadline), now, out)
            if queue.more:
                self._more_of(item, queue.config, deadline, now, out)

    def _drains(self, item: Interaction, agent: Agent, now: int, out: Outcome) -> bool:
        began = drain.instead(self.state, item, agent, now)
        if began is not None:
            self._happen(began, now, out)
        return began is not None

    def _see_to_the_urgent(self, now: int, out: Outcome) -> bool:
        """What is in a more urgent band takes places that are held, one after the other; whether one was given up."""
        ended = drain.overtaken(self.state, now) if len(self.state.config.bands) > 1 else None
        if ended is not None:
            self._happen(ended, now, out)
        return ended is not None

    def _more_of(self, item: Interaction, queue: Queue, deadline_ms: int, now: int, out: Outcome) -> None:
        if queue.auto_accept:
            offer = self.state.offers[item.offers[-1]]
            for accepted in interrupts.acceptance(self.state, offer):
                self._happen(accepted, now, out)
        else:
            self._offer_to_others(item, queue.parallel_offers, deadline_ms, now, out)

    def _see_to_the_unserved(self, now: int, out: Outcome) -> bool:
        """Whether anything followed: what was relaxed or moved may be offered now."""
        facts = unservable.next_facts(self.state, out.events, now)
        for fact in facts:
            self._happen(fact, now, out)
        return bool(facts)

    def _offer_to_others(self, item: Interaction, most: int, deadline_ms: int, now: int, out: Outcome) -> None:
        """`tried` and the agents who see it already are passed over: the others are shown it too."""
        state = self.state
        while item.offers and len(item.offers) < most:
            seen = [*item.tried, *(state.offers[n].agent for n in item.offers)]
            state.matcher.stand()
            other = state.matcher.taker(item, seen)
            if other is None:
                break
            if other.load and state.drainable and self._drains(item, other, now, out):
                continue
            self._happen(e.OfferMade(state.last_offer + 1, item.number, other.id, deadline_ms), now, out)

    def next_deadline_ms(self) -> int | None:
        """Unix milliseconds at which a Tick is due, or None."""
        return timers.next_deadline_ms(self.state)

    # --- from the journal ------------------------------------------------------------------------------------------

    def apply(self, record: Record) -> None:
        """Apply a recorded fact; it must be the next one."""
        event = record.event
        evolve(self.state, event, record.at_ms)
        if record.key:
            memory = self.state.keys_like(record.key)
            memory.add(record.key, getattr(event, "interaction", 0), record.at_ms)
        if type(event) is e.Configured:
            self.plan = Plan(self.state.config)
        # What became possible was matched when it happened; those offers are records of their own.
        matcher = self.state.matcher
        if matcher.fresh_agents:
            matcher.fresh_agents.clear()
        if matcher.fresh_items:
            matcher.fresh_items.clear()
        if self.state.returning:
            self.state.returning.clear()
        if self.state.entered:
            self.state.entered.clear()
        if matcher.personal.changed:
            matcher.personal.changed.clear()

    def follow(self, records: Iterable[Record]) -> list[list[Effect]]:
        """Apply what was decided elsewhere; what the outside is to be told of each record, as `handle` would have."""
        told: list[list[Effect]] = []
        for record in records:
            self.apply(record)
            out: list[Effect] = []
            out_effects.effects(self.state, record.event, out)
            told.append(out)
        self.state.matcher.stand()
        return told

    def resume(self) -> None:
        """After the last record: let the next command look at everybody idle once, whatever happened before."""
        agents, matcher = self.state.agents.values(), self.state.matcher
        matcher.stand()
        matcher.fresh_agents = [agent for agent in agents if agent.cell >= 0]
        self.state.returning = list(agents)
        if self.state.balance_ms:
            self.state.time_balance()
        matcher.personal.changed.update(dict.fromkeys(matcher.personal.stranded))
        self.state.look_at_the_unserved()

    def snapshot(self) -> bytes:
        """The primary state. Equal states give equal bytes."""
        return image.to_bytes(self.state)

    @classmethod
    def restore(cls, data: bytes) -> Engine:
        engine = cls()
        engine.state = image.from_bytes(data)
        engine.plan = Plan(engine.state.config)
        return engine
