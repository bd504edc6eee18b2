"""The straight-line floor: the bare matcher, and what a decision has to leave behind in a product like this one.

Each decision checks and remembers its key, makes the engine's own events and its outcome, and writes the records that a
restart needs: interaction, threads, offer, deadline, the agent's lists and numbers, what was closed of late. It does so
in one go for this one office: no configuration, rules, policies, settings of channels or learned waits, nobody is ever
not ready, and nothing can be replayed by it. So it shows what the facts cost beside the matching; what the engine
costs beyond is the generality.
"""

from __future__ import annotations

from collections import deque
from heapq import heappush

from router.bench.floors.matching import Grouped, Needs
from router.engine import events as e
from router.engine.commands import Arrive, Complete, Reply
from router.engine.engine import Outcome
from router.engine.entities import NOBODY, Interaction, Offer
from router.engine.keys import KeyMemory
from router.engine.transitions import ACTIVE, CLOSED, OFFERED, QUEUED

KEYS_MS = 7 * 86_400_000
OFFER_MS = 1_000_000_000
CLOSED_MAX = 1_000


class Somebody:
    __slots__ = ("id", "offers", "stamp", "stream", "work")

    def __init__(self, ident: str) -> None:
        self.id = ident
        self.offers: dict[int, None] = {}
        self.work: dict[int, None] = {}
        self.stamp = self.stream = 0


class Straight:
    def __init__(self, profiles: list[Needs], needs: list[tuple[int, Needs]], agents: int) -> None:
        self.matcher = Grouped(profiles, needs, agents)
        self.agents = [Somebody(f"a{a}") for a in range(agents)]
        self.interactions: dict[int, Interaction] = {}
        self.threads: dict[str, int] = {}
        self.offers: dict[int, Offer] = {}
        self.timers: list[tuple[int, int, int, str]] = []
        self.closed: deque[int] = deque()
        self.intake, self.commands = KeyMemory(KEYS_MS), KeyMemory(KEYS_MS)
        self.seq = self.last_interaction = self.last_offer = 0

    def arrive(self, ask: Arrive, r: int, order: int, now_ms: int) -> tuple[Outcome | None, int]:
        """What happened, and who gets it, or -1. `r` is its class, `order` its place in it."""
        if ask.key in self.intake.known or any(thread in self.threads for thread in ask.threads):
            return None, -1
        first = self.seq + 1
        arrived = self._arrived(ask, now_ms)
        events: list[e.Event] = [arrived]
        number = arrived.interaction
        agent = self.matcher.arrive(r, order, number)
        if agent >= 0:
            self._offer(self.interactions[number], self.agents[agent], now_ms, events)
        self.intake.add(ask.key, number, now_ms)
        return Outcome(Reply(interaction=number), now_ms, ask.key, events, [], first), agent

    def _arrived(self, ask: Arrive, now_ms: int) -> e.InteractionArrived:
        self.seq += 1
        number = self.last_interaction = self.last_interaction + 1
        arrived = e.InteractionArrived(
            number,
            ask.channel,
            ask.threads,
            ask.threads[0],
            ask.identities,
            ask.sender,
            ask.recipient,
            ask.name,
            ask.subject,
            ask.language,
            ask.attributes,
            ask.recipient,
            None,
            "",
            0.0,
            0,
            now_ms,
            0,
            "",
            ask.message,
            0,
            ask.direction,
        )
        self.interactions[number] = Interaction(
            number, arrived, now_ms, arrived.queue, None, "", 0.0, 0, arrived.threads, QUEUED, "", (), NOBODY
        )
        for thread in arrived.threads:
            self.threads[thread] = number
        return arrived

    def _offer(self, item: Interaction, agent: Somebody, now_ms: int, events: list[e.Event]) -> None:
        self.seq += 1
        number = self.last_offer = self.last_offer + 1
        made = e.OfferMade(number, item.number, agent.id, now_ms + OFFER_MS)
        events.append(made)
        self.offers[number] = Offer(
            number, item.number, agent.id, now_ms, made.expires_at_ms, agent.stamp, "routed", self.seq
        )
        item.offers, item.state = (number,), OFFERED
        agent.offers[number] = None
        agent.stream += 1
        agent.stamp = self.seq
        heappush(self.timers, (made.expires_at_ms, 0, number, ""))

    def accept(self, made: e.OfferMade, now_ms: int) -> None:
        """Not measured: it decides nothing."""
        item, agent = self.interactions[made.interaction], self.agents[int(made.agent[1:])]
        del self.offers[made.offer], agent.offers[made.offer]
        item.offers, item.owner, item.state, item.accepted_at_ms = (), agent.id, ACTIVE, now_ms
        agent.work[item.number] = None

    def release(self, ask: Complete, a: int, channel: int, now_ms: int) -> tuple[Outcome | None, list[int]]:
        """What happened, and what the agent gets next."""
        if ask.key in self.commands.known:
            return None, []
        self.seq += 1
        first, item, agent = self.seq, self.interactions[ask.interaction], self.agents[a]
        ended = e.InteractionEnded(item.number, "completed", agent.id)
        item.reason, item.ended_at_ms, item.state = ended.reason, now_ms, CLOSED
        del agent.work[item.number]
        agent.stream += 1
        agent.stamp = self.seq
        self._close(item)
        events: list[e.Event] = [ended]
        given = self.matcher.release(a, channel)
        for number in given:
            self._offer(self.interactions[number], agent, now_ms, events)
        self.commands.add(ask.key, item.number, now_ms)
        return Outcome(Reply(interaction=item.number), now_ms, ask.key, events, [], first), given

    def _close(self, item: Interaction) -> None:
        self.closed.append(item.number)
        if len(self.closed) > CLOSED_MAX:
            old = self.interactions.pop(self.closed.popleft())
            for thread in old.threads:
                del self.threads[thread]
