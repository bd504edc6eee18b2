"""The state of the engine: everything that decisions depend on.

Two kinds of fields live side by side. *Primary* ones follow from the events alone, and are what a snapshot holds; they
are declared in `primary`. *Derived* ones (lines, cells, timers, counters) make decisions fast and are rebuilt from the
primary ones, in `State.rebuild`.

Only `evolve` writes to anything here. What the state is made of stands in `entities`.
"""

from __future__ import annotations

from fractions import Fraction
from heapq import heappush
from itertools import islice
from math import lcm
from typing import TYPE_CHECKING

from msgspec.structs import replace

from router.engine import config as configuration
from router.engine.calendars import Hours
from router.engine.capacity import DRAINING, LOAD_BITS, RESUMING, SOFT, SUSPENDED, Capacity
from router.engine.entities import (
    Agent,
    Drain,
    Interaction,
    Preferred,
    QueueState,
    Unserved,
    UnservedKey,
    queue_state,
    target_in,
)
from router.engine.keys import KeyMemory
from router.engine.lending import Loans, Origin
from router.engine.lines import NONE
from router.engine.matching import ITEM_MASK, ClassKey, Matcher
from router.engine.order import NEVER_MS, TIERS, Promise, Standing, Tier, factor
from router.engine.primary import Primary
from router.engine.relaxation import Ladder
from router.engine.requirements import Node, both
from router.engine.transitions import ACTIVE, CLOSED, OFFERED, QUEUED, WRAP_UP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.engine.image import AgentImage

UNLIMITED = 1 << 30
WORKED_OUT_MAX = 10_000  # requirements come from outside as well: transfers write their own

# Timers: (due_ms, kind, number or agent, agent). Entries outlive what they are for; `timers.py` tells which still
# count.
OFFER_DUE, LEASE_DUE, WRAP_UP_DUE, GRACE_DUE, COOL_OFF_DUE, BAND_DUE, RETURN_DUE = range(7)
STEP_DUE = 7
CONSULT_DUE = 8
CALLBACK_DUE = 9
UNSERVED_DUE = 10
PREFERRED_DUE = 11
DRAIN_DUE = 12
SHOW_DUE = 13
TURN_DUE, EMERGENCY_DUE, WAIT_DUE, NOBODY_DUE = range(20, 24)
BALANCE_DUE, ASK_DUE = 24, 25
Timer = tuple[int, int, int, str]


class State(Primary):
    """See the module. Declared here is what is derived."""

    __slots__ = (
        "acted",
        "actions",
        "aging",
        "balance_ms",
        "band_rank",
        "callers",
        "calls",
        "came",
        "capacities",
        "channel_index",
        "closed_max",
        "config",
        "drainable",
        "eases",
        "entered",
        "first_letter",
        "given",
        "hours",
        "interrupts",
        "joined",
        "ladders",
        "learning",
        "legs",
        "lent",
        "levelled",
        "limited",
        "loans",
        "matcher",
        "noted",
        "plans",
        "queues",
        "remembers",
        "returning",
        "scoring",
        "soft",
        "summoning",
        "taking_turns",
        "tallied",
        "timers",
        "units",
        "watched",
    )

    def __init__(self) -> None:
        super().__init__()
        self.first_letter = 0  # what goes out has numbers behind this one
        self.config = configuration.Config()
        self.channel_index: dict[str, int] = {}
        self.units: dict[str, int] = {}
        self.soft: dict[str, int] = {}  # channels that others may interrupt -> what makes one of a load soft
        self.drainable = False  # whether something could be kept out by other work for ever
        self.interrupts = False  # whether anything is or can be suspended
        self.returning: list[Agent] = []  # who may have room again for what they put aside
        self.actions: dict[str, tuple[str, ...]] = {}  # channel -> what its gateway must be told
        self.queues: dict[str, QueueState] = {}
        self.band_rank: dict[str, int] = {}
        self.aging = False  # whether some band lets go of what has waited long enough
        self.hours: dict[str, Hours] = {}  # calendar -> ready to be asked
        self.watched: tuple[QueueState, ...] = ()  # queues that ask who is signed in
        self.entered: dict[int, bool] = {}  # began to wait in this command where rules may forbid it; True: arrived
        # (queue, identity of a requirement on top) -> that requirement, which so keeps its identity, and both joined.
        self.joined: dict[tuple[str, int], tuple[Node, Node]] = {}
        self.ladders: dict[str, Ladder] = {}  # of the queues that have a relaxation plan
        self.plans: dict[str, Ladder] = {}  # of the routing rules that have one of their own
        self.eases = False  # whether there is any plan
        self.closed_max = self.config.memory.closed
        self.noted: dict[int, Unserved] = {}  # of `unserved`, by their numbers
        self.acted = 0  # for how many of those the queue's policy has run
        self.remembers = False  # some rule asks who last served a customer
        self.given: dict[str, dict[int, None]] = {}  # agent -> what waits for them by name
        self.capacities: dict[object, Capacity] = {}
        self.matcher = Matcher()
        self.learning = self.taking_turns = False  # by the order's policy
        self.levelled = False  # some rule looks at a service level
        self.tallied = False  # what becomes of contacts is counted
        self.limited: frozenset[str] = frozenset()  # channels with gateways that cannot hold, or bring in a third party
        self.summoning = False  # some channel calls its customers
        self.scoring = False  # somebody wants to know whether targets are kept
        self.loans: dict[str, Loans] = {}  # of the queues that may borrow
        self.lent: frozenset[str] = frozenset()  # those of them that do
        self.balance_ms = 0  # when it is next looked at which queues help one another; 0: never
        self.timers: list[Timer] = []
        self.legs: dict[int, int] = {}  # consult -> the interaction that it is about
        self.callers: dict[str, int] = {}  # customer -> their callback
        self.calls: dict[int, int] = {}  # interaction after which, or in which, the customer is called -> callback
        self.came: dict[int, int] = {}  # interaction as which they came by themselves -> the callback that rests

    # --- configuration ---------------------------------------------------------------------------------------------

    def adopt(self, document: bytes) -> None:
        """Decide by this configuration from now on: agents and waiting interactions are sorted anew."""
        self._read(document)
        for name, wanted in self.config.agents.items():
            agent = self.agents.get(name)
            if agent is None:
                self.agents[name] = Agent(name, wanted, self.capacity_of(wanted))
            else:
                agent.config, agent.retired = wanted, False
        for name in [name for name in self.agents if name not in self.config.agents]:
            agent = self.agents[name]
            if agent.work or agent.offers:
                agent.retired = True
            else:
                del self.agents[name]
        self.rebuild()

    def restore_configuration(self, agents: list[AgentImage]) -> None:
        """As `adopt`, for a state whose agents come from a snapshot."""
        if self.document:
            self._read(self.document)
        for x in agents:
            agent = Agent(x.id, x.config, self.capacity_of(x.config), x.declared, x.reason)
            agent.requested, agent.requested_reason, agent.since_ms = x.requested, x.requested_reason, x.since_ms
            agent.sessions, agent.stamp, agent.misses = x.sessions, x.stamp, x.misses
            agent.offers, agent.work = dict.fromkeys(x.offers), dict.fromkeys(x.work)
            agent.grace_until_ms, agent.return_at_ms = x.grace_until_ms, x.return_at_ms
            agent.stream, agent.retired = x.stream, x.retired
            agent.busy_share, agent.busy_at_ms, agent.idle_since_ms = x.busy_share, x.busy_at_ms, x.idle_since_ms
            self.agents[x.id] = agent
        self.rebuild()

    def _read(self, document: bytes) -> None:
        config = configuration.from_bytes(document)
        self.document, self.config = document, config
        # A channel keeps its number for good: loads are packed by it.
        self.channels = (*self.channels, *(c for c in config.channels if c not in self.channels))
        self.channel_index = {name: i for i, name in enumerate(self.channels)}
        self.units = {name: 1 << LOAD_BITS * i for i, name in enumerate(self.channels)}
        prey = {name for channel in config.channels.values() for name in channel.interrupts}
        self.soft = {name: self.units[name] << SOFT for name in config.channels if name in prey}
        self.actions = {name: channel.actions for name, channel in config.channels.items()}
        self.band_rank = {band.name: i for i, band in enumerate(config.bands)}
        self.aging = any(band.cap for band in config.bands[1:])
        self.hours = {name: Hours(calendar) for name, calendar in config.calendars.items()}
        self.closed_max = config.memory.closed
        self.limited = frozenset(
            name for name, channel in config.channels.items() if channel.unheld or channel.consults is not None
        )
        self.summoning = any(channel.show_within is not None for channel in config.channels.values())
        self.remembers = any(rule.prefer is not None and rule.prefer.last_agent for rule in config.rules)
        self.intake_keys.retention_ms = config.memory.intake_keys
        self.command_keys.retention_ms = config.memory.command_keys

    def capacity_of(self, agent: configuration.Agent) -> Capacity:
        """Agents with equal caps and budget share one table of rooms."""
        channels = [self.config.channels.get(name, configuration.Channel(cap=0)) for name in self.channels]
        caps = tuple(agent.caps.get(name, c.cap) for name, c in zip(self.channels, channels, strict=True))
        budget = agent.budget or UNLIMITED
        found = self.capacities.get((caps, budget))
        if found is None:
            weights, exclusive = tuple(c.weight for c in channels), tuple(c.exclusive for c in channels)
            found = self.capacities[caps, budget] = Capacity(caps, budget, weights, exclusive, self._matrix(channels))
        return found

    def _matrix(self, channels: list[configuration.Channel]) -> tuple[int, ...]:
        """For each channel, the set of those that it may interrupt."""
        if not self.soft:
            return ()
        return tuple(sum(1 << self.channel_index[name] for name in channel.interrupts) for channel in channels)

    # --- derived parts ---------------------------------------------------------------------------------------------

    def rebuild(self) -> None:
        """Work out everything derived from the primary fields."""
        self.given = {}
        self.matcher = matcher = Matcher(self.config)
        matcher.preferred, matcher.known = self.preferred, self.agents
        self.timers = []
        self.joined = {}
        self.ladders = {n: Ladder(q.relax, self.config.queues) for n, q in self.config.queues.items() if q.relax}
        self.plans = {x.name: Ladder(x.relax, self.config.queues) for x in self.config.rules if x.relax is not None}
        self.eases = bool(self.ladders or self.plans)
        self.queues = {
            name: queue_state(name, queue, self.config, self.hours) for name, queue in self.config.queues.items()
        }
        self._restore_standings()
        self._restore_loans()
        matcher.reach.ladders, matcher.reach.plans = self.ladders, self.plans
        matcher.reach.reported = bool(self.unserved)
        self.watched = tuple(queue for queue in self.queues.values() if queue.config.when_nobody.do != "keep")
        self.entered = {}
        self.capacities = {}
        self.callers = {callback.arrival.customer: n for n, callback in self.callbacks.items()}
        self.calls = {callback.interaction: n for n, callback in self.callbacks.items() if callback.interaction}
        self.came = {callback.instead: n for n, callback in self.callbacks.items() if callback.instead}
        self.legs = {consult.leg: number for number, consult in self.consults.items() if consult.leg}
        self.interrupts = bool(self.soft or self.suspensions)
        for agent in self.agents.values():
            agent.capacity = self.capacity_of(agent.config)
            agent.load, agent.cell, agent.counted, agent.off, agent.drains = 0, -1, False, False, 0
            matcher.add_agent(agent)
        for item in self.interactions.values():
            self._restore_interaction(item)
        for offer in self.offers.values():
            channel = self.interactions[offer.interaction].born.channel
            self.agents[offer.agent].load += self.unit(channel)
            heappush(self.timers, (offer.expires_at_ms, OFFER_DUE, offer.number, ""))
        self.drainable = self._is_drainable()
        for drain in self.drains.values():
            self._restore_drain(drain)
        for agent in self.agents.values():
            self._restore_agent(agent)
        for callback in self.callbacks.values():
            due = callback.due_ms or callback.until_ms
            if due:
                heappush(self.timers, (due, CALLBACK_DUE, callback.number, ""))
        for number, consult in self.consults.items():
            if consult.until_ms:
                heappush(self.timers, (consult.until_ms, CONSULT_DUE, number, ""))
        for found in self.summons.values():
            if found.until_ms:
                heappush(self.timers, (found.until_ms, SHOW_DUE, found.interaction, ""))
        matcher.stand()
        self.returning = [agent for agent in self.agents.values() if agent.load >> SUSPENDED]
        self.noted = {entry.number: entry for entry in self.unserved.values()}
        self.acted = sum(entry.acted for entry in self.unserved.values())
        for entry in self.unserved.values():
            self.time_unserved(entry)
        self.look_at_the_unserved()
        for queue in self.watched:
            here = (agent for agent in self.agents.values() if agent.sessions and not agent.retired)
            queue.signed_in = sum(self.matcher.meets_node(agent, queue.config.requirement) for agent in here)

    def look_at_the_unserved(self) -> None:
        """What was noted of agents who are waited for by name may not be so any more, by other rules or in a journal
        that broke off inside of a command."""
        changed = self.matcher.personal.changed
        changed |= dict.fromkeys((q, self.channel_index[channel], node) for q, channel, node in self.unserved)
        self.matcher.reach.settle()

    def forget_unserved(self, key: UnservedKey, entry: Unserved) -> None:
        del self.unserved[key]
        del self.noted[entry.number]
        self.acted -= entry.acted

    def time_unserved(self, entry: Unserved) -> None:
        rule = self.queue_config(entry.queue).unservable
        if rule.policy != "wait" and not entry.acted:
            heappush(self.timers, (entry.since_ms + rule.after, UNSERVED_DUE, entry.number, ""))

    def _restore_standings(self) -> None:
        """What the order's policy says of the queues."""
        policy = self.config.order.policy
        self.learning = policy == "adaptive"
        self.taking_turns = policy == "round-robin"
        self.matcher.last_offer = self.last_offer
        for name, queue in self.queues.items():
            if self.learning:
                self.weigh(queue, self.memory.weights.get(name, 0))
            elif self.taking_turns:
                queue.standing.value = -self.memory.turns.get(name, 0)
        if policy == "queue-ratio":
            self.matcher.measured = self._measured()

    def weigh(self, queue: QueueState, learned: int) -> None:
        """Let the adaptive policy weigh what waits in the queue by this (`Memory.learn`)."""
        standing = queue.standing
        standing.value = factor(learned)
        if standing.value != 1.0 and not standing.apart:
            self.matcher.set_apart(queue.name, standing)

    def _restore_loans(self) -> None:
        """The rules by which queues help one another, and how they stand."""
        queues = self.config.queues
        self.loans = {name: Loans(queue.borrow, queues) for name, queue in queues.items() if queue.borrow}
        self.lent = frozenset()
        for name in self.loans:
            self._note_gates(name)
        self.levelled = any(rule.looks_at_level for queue in queues.values() for rule in queue.borrow)
        self.tallied = self.config.figures.keep > 0
        self.scoring = self.learning or self.levelled or self.tallied
        self.balance_ms = 0
        helping = any(queue.borrow or queue.overflow for queue in queues.values())
        if helping or any(plan.foresees(0) for plan in (*self.ladders.values(), *self.plans.values())):
            self.time_balance()

    def time_balance(self) -> None:
        """The next look at how queues help one another is after what happened last."""
        period = self.config.balance.period
        self.balance_ms = self.now_ms // period * period + period
        heappush(self.timers, (self.balance_ms, BALANCE_DUE, 0, ""))

    def _note_gates(self, queue: str) -> None:
        loans = self.loans[queue]
        gates = [self.gates.get((queue, rule.lender)) for rule in loans.rules]
        loans.open = tuple(i for i, gate in enumerate(gates) if gate is not None and gate.is_open)
        self.lent = frozenset(name for name, known in self.loans.items() if known.open)

    def turn_gates(self, queue: str) -> None:
        """A gate of the queue has changed: its classes ask for something else, and what waits stays where it is."""
        self._note_gates(queue)
        matcher = self.matcher
        for key, c in list(matcher.class_ids.items()):
            if key.queue == queue and key.origin is not None:
                node, inner = self.loans[queue].asked(key.origin)
                matcher.change(c, replace(key, requirement=node, inner=inner))
        first = next(self.first_in(queue), None)
        if first is not None:
            matcher.look_again(first)

    def first_in(self, queue: str) -> Iterator[Interaction]:
        """Of those who wait in the queue the first of each class, and whoever passes somebody over."""
        matcher = self.matcher
        matcher.stand()
        for c in matcher.waiting_classes():
            if matcher.class_keys[c].queue == queue:
                yield from matcher.cooling.get(c, {}).values()
                yield from (self.interactions[n] for n in islice(matcher.personal.numbers(c), 1))
                if matcher.waiting.head[c] != NONE:
                    yield self.interactions[matcher.waiting.head[c] & ITEM_MASK]

    def _measured(self) -> list[tuple[list[int], int, Standing]]:
        """Counters and shares of the queues; shares as whole numbers in proportion."""
        shares = [self._share(queue.config) for queue in self.queues.values()]
        unit = lcm(*(share.denominator for share in shares))
        return [(q.counts, int(x * unit), q.standing) for q, x in zip(self.queues.values(), shares, strict=True)]

    def _share(self, queue: configuration.Queue) -> Fraction:
        if queue.share is not None:
            return Fraction(repr(queue.share))
        return Fraction(repr(queue.weight)) * int(queue.target or configuration.Channel().target)

    def _restore_interaction(self, item: Interaction) -> None:
        if item.state in (ACTIVE, WRAP_UP):
            agent = self.agents[item.owner]
            agent.load += self.load_of(item)
            if self.suspended(item) and self.suspensions[item.number].due:
                agent.load |= RESUMING
        if item.state == CLOSED:
            return
        self.tally(item, 1)
        if item.state == QUEUED:
            item.place = self.place_of(item)
            self.matcher.enqueue(item)
            queue = self.queues.get(item.queue)
            if queue is not None and queue.guarded:
                self.time_wait(queue, item)
        if item.given_to:
            self.given.setdefault(item.given_to, {})[item.number] = None
        if item.number in self.preferred:
            self.keep_preferred(self.preferred[item.number])
        for due, kind, name in self._deadlines(item):
            heappush(self.timers, (due, kind, item.number, name))

    def _deadlines(self, item: Interaction) -> Iterator[tuple[int, int, str]]:
        if item.lease_until_ms and item.state != WRAP_UP:
            yield item.lease_until_ms, LEASE_DUE, ""
        if item.wrap_up_until_ms:
            yield item.wrap_up_until_ms, WRAP_UP_DUE, ""
        for agent, until in item.tried.items():
            yield until, COOL_OFF_DUE, agent
        due = self.band_due_ms(item)
        if due:
            yield due, BAND_DUE, ""
        due = self.step_due_ms(item)
        if due:
            yield due, STEP_DUE, ""

    def _is_drainable(self) -> bool:
        by_queue = any(queue.drain for queue in self.config.queues.values())
        wanted = [self.channel_index[name] for name, x in self.config.channels.items() if x.drain or by_queue]
        return any(capacity.lockable >> c & 1 for capacity in self.capacities.values() for c in wanted)

    def _restore_drain(self, drain: Drain) -> None:
        agent, item = self.agents[drain.agent], self.interactions[drain.interaction]
        agent.drains = drain.interaction
        agent.load |= self.channel_index[item.born.channel] + 1 << DRAINING
        heappush(self.timers, (drain.until_ms, DRAIN_DUE, drain.interaction, ""))

    def _restore_agent(self, agent: Agent) -> None:
        self.matcher.count(agent, agent.available)
        self.matcher.count_off(agent, agent.missing)
        self.matcher.place(agent)
        if agent.cell >= 0:
            self.matcher.fresh_agents.append(agent)
        if agent.grace_until_ms:
            heappush(self.timers, (agent.grace_until_ms, GRACE_DUE, 0, agent.id))
        if agent.return_at_ms:
            heappush(self.timers, (agent.return_at_ms, RETURN_DUE, 0, agent.id))

    def keep_preferred(self, found: Preferred) -> None:
        """Let it be found by its agents, and its end by time."""
        for name in found.agents:
            self.given.setdefault(name, {})[found.interaction] = None
        if found.until_ms:
            heappush(self.timers, (found.until_ms, PREFERRED_DUE, found.interaction, ""))

    def waits_no_more(self, number: int, name: str) -> None:
        """It does not wait for this agent by name any more. Names come from outside, so none is kept for nothing."""
        waiting = self.given[name]
        del waiting[number]
        if not waiting:
            del self.given[name]

    def time_wait(self, queue: QueueState, item: Interaction) -> None:
        """Wake up in time for this one, unless that is early enough for another (`admission.wait_due`)."""
        longest = queue.config.max_wait
        due = item.waits_since_ms + longest  # open hours only make it later
        if longest and queue.config.when_overdue.do == "callback":
            heappush(self.timers, (due, ASK_DUE, item.number, ""))  # each is asked once, and waits on
        elif longest and (not queue.wake_ms or due < queue.wake_ms):
            queue.wake_ms = due
            heappush(self.timers, (due, WAIT_DUE, 0, queue.name))

    def unit(self, channel: str) -> int:
        """What one interaction of this channel adds to an agent's packed load."""
        return self.units[channel]

    def suspended(self, item: Interaction) -> bool:
        found = self.suspensions.get(item.number) if self.suspensions else None
        return found is not None and found.since_ms > 0

    def aside_ms(self, item: Interaction, now_ms: int) -> int:
        """How long it has been suspended, of its present assignment or the last one."""
        found = self.suspensions.get(item.number) if self.suspensions else None
        if found is None:
            return 0
        return found.total_ms + (max(0, now_ms - found.since_ms) if found.since_ms else 0)

    def soft_of(self, item: Interaction) -> int:
        """What makes this work soft in its agent's load: 0 where nothing may interrupt it, or not any more."""
        channel = item.born.channel
        unit = self.soft.get(channel, 0)
        if unit and self.suspensions:
            found, limit = self.suspensions.get(item.number), self.config.channels[channel].interrupted_max
            if found is not None and limit and found.total_ms >= limit:
                return 0
        return unit

    def load_of(self, item: Interaction) -> int:
        """What this work adds to its agent's load."""
        unit = self.units[item.born.channel]
        return unit << SUSPENDED if self.suspended(item) else unit + self.soft_of(item)

    def keys_like(self, key: str) -> KeyMemory:
        return self.command_keys if key.startswith("agent:") else self.intake_keys

    def tally(self, item: Interaction, change: int) -> None:
        """Count the interaction in, or out of, its queue's counter for its state."""
        queue = self.queues.get(item.queue)
        if queue is not None:
            queue.counts[item.state] += change

    # --- what follows from configuration and overrides -------------------------------------------------------------

    def place_of(self, item: Interaction) -> int:
        """The class in which the interaction waits."""
        own, plan = item.requirement, self.plan_of(item) if self.plans else ""
        if own is None and not (item.band or item.weight or item.target_ms or item.lifted or item.step or plan):
            return self._usual_place(item)
        matcher = self.matcher
        asked = (item.queue, item.born.channel, id(own), plan)
        key = (*asked, item.band, item.weight, item.target_ms, item.lifted, item.step)
        found = matcher.places.get(key)
        if found is not None:
            return found[1]
        place = matcher.class_of(self.class_key(item))
        if len(matcher.places) >= WORKED_OUT_MAX:
            matcher.places.clear()
        matcher.places[key] = (own, place)
        return place

    def _usual_place(self, item: Interaction) -> int:
        """Of what arrives as usual: a class that is never forgotten."""
        queue, channel = self.queues.get(item.queue), item.born.channel
        place = queue.places.get(channel) if queue is not None else None
        if place is None:
            place = self.matcher.class_of(self.class_key(item))
            self.matcher.kept.add(place)
            if queue is not None:
                queue.places[channel] = place
        return place

    def class_key(self, item: Interaction) -> ClassKey:
        weight = item.weight or self.queue_config(item.queue).weight
        tier = self._tier(item.queue, self.rank_of_band(item), weight, self.target_ms(item))
        channel, loans = self.channel_index[item.born.channel], self.loans_of(item)
        plan = self.plan_of(item)
        if loans is not None:
            origin = self.origin_of(item)
            node, row = loans.asked(origin)
            return ClassKey(item.queue, channel, node, tier, row, item.step, origin, plan)
        inner = self.inner_of(item) if item.step else ()
        return ClassKey(item.queue, channel, self.asked_by_now(item), tier, inner, item.step, None, plan)

    def _tier(self, name: str, band: int, weight: float, target_ms: int) -> Tier:
        queue, order, state = self.queue_config(name), self.config.order, self.queues.get(name)
        cap = target_ms * order.cap or NEVER_MS
        standing = state.standing if state is not None else Standing(0.0)
        tier = TIERS[order.policy](Promise(band, weight, target_ms, int(queue.head_start), cap, standing))
        return replace(tier, hours=self.clock_of(name)) if queue.clock == "open" else tier

    def usual_tier(self, queue: str, channel: str) -> Tier:
        """That of a contact that comes by the queue's own terms."""
        config = self.queue_config(queue)
        band = self.band_rank.get(config.band or self.config.default_band, 0)
        return self._tier(queue, band, config.weight, self.target_of(queue, channel))

    def loans_of(self, item: Interaction) -> Loans | None:
        """By which rules somebody may be lent for it; a colleague who is asked for by name of skill is not."""
        loans = self.loans.get(item.queue) if self.loans else None
        if loans is None or (item.requirement is not None and self.legs and item.number in self.legs):
            return None
        return loans

    def origin_of(self, item: Interaction) -> Origin:
        own, ladder = item.requirement, self.ladder_of(item) if item.step else None
        if own is not None and ladder is not None:
            own = ladder.eased(item.step, own)
        return Origin(self.asked_by_now(item), self.inner_of(item) if item.step else (), own)

    def clock_of(self, queue: str) -> Hours | None:
        """The calendar whose open time alone counts as waiting in this queue; None if all time does."""
        state = self.queues.get(queue)
        return state.hours if state is not None else None

    def waited_ms(self, item: Interaction, now_ms: int) -> int:
        """How long it has waited, by the clock of its queue."""
        queue = self.queues.get(item.queue)
        if queue is None or queue.hours is None:
            return now_ms - item.enqueued_at_ms
        return queue.hours.between(item.enqueued_at_ms, now_ms)

    def due_after(self, item: Interaction, wait_ms: int) -> int:
        """When it has waited so long, by the clock of its queue; 0 if that is out of sight."""
        clock = self.clock_of(item.queue)
        return clock.after(item.enqueued_at_ms, wait_ms) if clock is not None else item.enqueued_at_ms + wait_ms

    def rank_of_band(self, item: Interaction) -> int:
        return 0 if item.lifted else self.band_rank.get(self.band_of(item), 0)

    def queue_config(self, name: str) -> configuration.Queue:
        queue = self.queues.get(name)
        return queue.config if queue is not None else configuration.Queue()

    def requirement_of(self, item: Interaction) -> Node:
        """What is asked for now: after the steps that it has taken, and with those who are lent to its queue."""
        if item.requirement is None and not item.step and not self.lent and item.queue in self.queues:
            return self.queues[item.queue].config.requirement  # as nearly always
        if self.lent and item.queue in self.lent:
            loans = self.loans_of(item)
            if loans is not None:
                return loans.asked(self.origin_of(item))[0]
        return self.asked_by_now(item)

    def plan_of(self, item: Interaction) -> str:
        """The routing rule by whose plan it asks for less, while it waits where that put it; "" for its queue's."""
        rule = item.born.rule
        return rule if rule in self.plans and item.queue == item.born.queue else ""

    def ladder_of(self, item: Interaction) -> Ladder | None:
        """The plan by which it asks for less."""
        rule = self.plan_of(item) if self.plans else ""
        return self.plans[rule] if rule else self.ladders.get(item.queue)

    def asked_by_now(self, item: Interaction) -> Node:
        """What is asked for after the steps that it has taken."""
        asked = self.asked_of(item)
        ladder = self.ladder_of(item) if item.step else None
        return ladder.after(item.step, asked) if ladder is not None else asked

    def inner_of(self, item: Interaction) -> tuple[Node, ...]:
        """What was asked for before: who meets it goes before who only meets what is asked for now."""
        ladder = self.ladder_of(item)
        return ladder.inner(item.step, self.asked_of(item)) if ladder is not None else ()

    def steps_of(self, item: Interaction) -> int:
        """How many steps its plan has; a consult has none, since it asks for whom its owner wants."""
        ladder = self.ladder_of(item) if item.threads else None
        return len(ladder.steps) if ladder is not None else 0

    def may_move(self, item: Interaction, queue: str) -> bool:
        """Whether a rule may move it there: never back to where rules have moved it on from, or it had no end."""
        return queue != item.queue and queue not in self.left.get(item.number, ())

    def step_due_ms(self, item: Interaction) -> int:
        """When time brings the next step of its plan; 0 for never."""
        ladder = self.ladder_of(item)
        if ladder is None or item.state != QUEUED or not item.threads:
            return 0
        wait = ladder.wait_ms(item.step, self.target_ms(item))
        return self.due_after(item, wait) if wait is not None else 0

    def asked_of(self, item: Interaction) -> Node:
        """What is asked for at first."""
        own = item.requirement
        if own is None:
            return self.queue_config(item.queue).requirement
        if self.legs and item.number in self.legs:
            return own  # a colleague may be asked whatever else the queue wants of those who answer its customers
        found = self.joined.get((item.queue, id(own)))
        if found is None:
            if len(self.joined) >= WORKED_OUT_MAX:
                self.joined.clear()
            whole = both(self.queue_config(item.queue).requirement, own)
            found = self.joined[item.queue, id(own)] = (own, whole)
        return found[1]

    def hearers(self, item: Interaction) -> tuple[str, ...]:
        """Whose clients show what is said in it: its owner's and, while there is a consult, the other side's."""
        if not self.consults:
            return (item.owner,) if item.owner else ()
        number = self.legs.get(item.number, item.number)
        consult = self.consults.get(number)
        names = [item.owner, self.interactions[number].owner]
        if consult is not None and consult.leg:
            names.append(self.interactions[consult.leg].owner)
        return tuple(dict.fromkeys(name for name in names if name))

    def band_of(self, item: Interaction) -> str:
        # A band that was asked for and that the configuration has dropped since is as good as none.
        usual = item.band if item.band in self.band_rank else ""
        if not usual:
            queue = self.queues.get(item.queue)
            usual = queue.band if queue is not None else self.config.default_band
        ladder = self.ladder_of(item) if item.step else None
        raised = ladder.band(item.step) if ladder is not None else ""
        return min(usual, raised, key=self.band_rank.__getitem__) if raised else usual

    def target_ms(self, item: Interaction) -> int:
        return item.target_ms or self.target_of(item.queue, item.born.channel)

    def target_of(self, name: str, channel: str) -> int:
        queue = self.queues.get(name)
        if queue is None or channel not in queue.targets:
            return target_in(self.queue_config(name), channel, self.config)
        return queue.targets[channel]

    def band_due_ms(self, item: Interaction) -> int:
        """When the interaction joins the first band; 0 for never."""
        rank = self.rank_of_band(item)
        cap = self.config.bands[rank].cap if rank < len(self.config.bands) else 0
        return self.due_after(item, cap) if rank and cap and item.state in (QUEUED, OFFERED) else 0

    def agent_lost(self, item: Interaction) -> str:
        channel = self.config.channels.get(item.born.channel, configuration.Channel())
        return self.queue_config(item.queue).agent_lost or channel.agent_lost
