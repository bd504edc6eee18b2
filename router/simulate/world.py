"""A world around the production engine: virtual milliseconds, customers who come and go, agents who answer.

Nothing here decides anything. Commands go to `Engine.handle` as an edge would send them, and what becomes of a contact
is read from the events that come back. Everything that is to happen stands in one heap of (time, turn, what, of whom);
what is due at the same millisecond happens in the order in which it was planned, after the engine's own deadlines.

The engine runs quietly (nobody listens to its effects) and remembers one closed contact, so memory follows from what is
open and not from how long the world has been running.

A contact's number is the interaction's. Its work is drawn before anybody has it; how long it takes depends on who does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any

from msgspec import Struct

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Config, to_bytes
from router.engine.engine import Engine
from router.simulate.figures import Tally

BEGIN_MS = 1_704_067_200_000  # Monday 1 January 2024, midnight UTC: a scenario's day begins there, too
NEVER = 1 << 62
# Why somebody whom nobody had yet is gone by themselves; all other ends of theirs are the house's.
LEFT = frozenset({"abandoned", "customer-left", "unconfirmed", "merged"})
TICK = c.Tick()
THREAD = "sim:"  # with what the names of contacts begin


class Kind(Struct, frozen=True):
    """Contacts that are alike: what their channel would tell of them."""

    name: str
    channel: str
    recipient: str  # what the routing plan looks at
    language: str = ""
    attributes: dict[str, str] = {}


class Contact(Struct, gc=False, eq=False):
    """A customer, from arrival to end."""

    index: int  # of the arrival, from 0
    born_ms: int
    kind: int
    work: float  # times the mean of whoever handles it
    patience_ms: int = NEVER
    number: int = 0
    offered_ms: int = -1  # when it was first offered to somebody
    begun_ms: int = -1  # when somebody first accepted it
    turn: int = 0  # counts acceptances: what was planned for an earlier one is void
    agent: str = ""
    gone: bool = False
    on_line: bool = False  # holds one of the lines
    kept: bool = False  # hung up, and is to be called back
    callback: int = 0
    tally: Tally | None = None  # where it is counted, once that is known


class Watch:
    """Is told what happens; the base class does not care."""

    def arrived(self, x: Contact, now_ms: int) -> None:
        """After the engine took it: `x.offered_ms` says whether it was offered at once."""

    def refused(self, x: Contact, now_ms: int) -> None:
        """No line was free."""

    def begun(self, x: Contact, now_ms: int) -> None:
        """An agent accepted it for the first time."""

    def abandoned(self, x: Contact, now_ms: int) -> None:
        """It left before anybody had it."""

    def turned_away(self, x: Contact, now_ms: int) -> None:
        """The house ended it before anybody had it: out of hours, the queue full, waited too long ..."""

    def ended(self, x: Contact, now_ms: int) -> None:
        """It is over after somebody has had it; wrap-up may follow."""

    def busy(self, agent: str, now_ms: int) -> None:
        """The agent has work, after none."""

    def free(self, agent: str, now_ms: int) -> None:
        """The agent has no work any more."""

    def there(self, agent: str, present: bool, now_ms: int) -> None:
        """The agent can be given work, or cannot any longer."""


Happening = Callable[[Any, int], None]
HandleMs = Callable[[Contact, str], int]


class World:
    """See the module. `lines` is how many contacts gateways hold at once; 0 for no limit. Mail needs no line."""

    def __init__(
        self,
        config: Config,
        kinds: Sequence[Kind],
        handle_ms: HandleMs,
        watch: Watch,
        lines: int = 0,
        begin_ms: int = BEGIN_MS,
    ) -> None:
        self.engine = Engine(quiet=True)
        self.now_ms = begin_ms
        self.kinds, self.handle_ms, self.watch, self.lines = kinds, handle_ms, watch, lines
        self.contacts: dict[int, Contact] = {}  # those in the house
        self._live = [not config.channels[kind.channel].lasting for kind in kinds] if lines else []
        self._on_line = 0  # those of them who hold a line
        self.identified = False  # whether customers are known by a number
        self.load: dict[str, int] = dict.fromkeys(config.agents, 0)
        self.present: set[str] = set()
        self.done = False
        self.happened = 0
        self._turn = 0
        self._heap: list[tuple[int, int, Happening, Any]] = []
        self._heed: Mapping[type[e.Event], Callable[[Any, int], None]] = self._hearing()
        self.tell(c.Configure(document=to_bytes(config)), begin_ms)

    def _hearing(self) -> Mapping[type[e.Event], Callable[[Any, int], None]]:
        return {
            e.OfferMade: self._offered,
            e.OfferAccepted: self._accepted,
            e.InteractionEnded: self._ended,
            e.WrapUpFinished: lambda event, now: self._freed(event.agent, now),
            e.Requeued: self._requeued,
            e.StateChanged: self._changed,
            e.SessionClosed: self._changed,
            e.SessionOpened: self._changed,
        }

    # --- time ------------------------------------------------------------------------------------------------------

    def plan(self, at_ms: int, what: Happening, whom: Any) -> None:
        """Let something happen."""
        self._turn += 1
        heappush(self._heap, (at_ms, self._turn, what, whom))

    def run(self, until_ms: int = NEVER) -> None:
        """Until that time (what is due then still happens), until nothing is left, or until `done`."""
        heap = self._heap
        while not self.done:
            at = heap[0][0] if heap else NEVER
            due = self.engine.next_deadline_ms()
            if due is not None and due <= at:
                if due > until_ms:
                    break
                self.now_ms = due
                self.tell(TICK, due)
            elif at > until_ms or not heap:
                break
            else:
                at, _, what, whom = heappop(heap)
                self.now_ms = at
                what(whom, at)

    def tell(self, command: c.AnyCommand, now_ms: int) -> None:
        """Send a command to the engine, and see what comes of it."""
        self.heed(self.engine.handle(command, now_ms).events, now_ms)

    def heed(self, events: Sequence[e.Event], now_ms: int) -> None:
        heed = self._heed
        for event in events:
            self.happened += 1
            hear = heed.get(type(event))
            if hear is not None:
                hear(event, now_ms)

    # --- customers -------------------------------------------------------------------------------------------------

    def expect(self, contacts: Iterable[Contact]) -> None:
        """Let these contacts come, each planned when the one before it has come. They are in the order of time."""
        self._next(iter(contacts))

    def _next(self, source: Iterator[Contact]) -> None:
        x = next(source, None)
        if x is not None:
            self.plan(x.born_ms, self._arrive, (x, source))

    def _arrive(self, whom: tuple[Contact, Iterator[Contact]], now_ms: int) -> None:
        x, source = whom
        self._next(source)
        if self.lines and self._live[x.kind]:
            if self._on_line >= self.lines:
                self.watch.refused(x, now_ms)
                return
            self._pick_up(x)
        x.number = number = self.engine.state.last_interaction + 1
        self.contacts[number] = x
        kind = self.kinds[x.kind]
        ask = c.Arrive(
            channel=kind.channel,
            threads=(f"{THREAD}{number}",),
            identities=(f"tel:+{number}",) if self.identified else (),
            recipient=kind.recipient,
            language=kind.language,
            attributes=kind.attributes,
        )
        self.tell(ask, now_ms)
        self.watch.arrived(x, now_ms)
        if x.begun_ms < 0 and x.patience_ms < NEVER:
            self.plan(now_ms + x.patience_ms, self._lose_patience, x)

    def _pick_up(self, x: Contact) -> None:
        if self.lines and self._live[x.kind] and not x.on_line:
            x.on_line = True
            self._on_line += 1

    def _hang_up(self, x: Contact) -> None:
        if x.on_line:
            x.on_line = False
            self._on_line -= 1

    def _lose_patience(self, x: Contact, now_ms: int) -> None:
        if x.begun_ms < 0 and not x.gone:
            self.tell(c.Leave(thread=f"{THREAD}{x.number}"), now_ms)

    # --- what the engine says --------------------------------------------------------------------------------------

    def _offered(self, event: e.OfferMade, now_ms: int) -> None:
        x = self.contacts[event.interaction]
        if x.offered_ms < 0:
            x.offered_ms = now_ms

    def _accepted(self, event: e.OfferAccepted, now_ms: int) -> None:
        x = self.contacts[event.interaction]
        x.agent = event.agent
        x.turn += 1
        self.load[event.agent] += 1
        if self.load[event.agent] == 1:
            self.watch.busy(event.agent, now_ms)
        if x.begun_ms < 0:
            x.begun_ms = now_ms
            self.watch.begun(x, now_ms)
        self.plan(now_ms + self.handle_ms(x, event.agent), self._complete, (x, x.turn))

    def _complete(self, whom: tuple[Contact, int], now_ms: int) -> None:
        x, turn = whom
        if x.turn == turn and not x.gone:
            self.tell(c.Complete(agent=x.agent, interaction=x.number), now_ms)

    def _ended(self, event: e.InteractionEnded, now_ms: int) -> None:
        x = self.contacts.pop(event.interaction)
        x.gone = True
        self._hang_up(x)
        if event.agent and not event.wrap_up:
            self._freed(event.agent, now_ms)
        if x.begun_ms >= 0:
            self.watch.ended(x, now_ms)
        elif event.reason in LEFT:
            self.watch.abandoned(x, now_ms)
        else:
            self.watch.turned_away(x, now_ms)

    def _requeued(self, event: e.Requeued, now_ms: int) -> None:
        """Taken from its agent: what was planned of it is void."""
        x = self.contacts.get(event.interaction)
        if x is not None:
            x.turn += 1
        self._freed(event.agent, now_ms)

    def _freed(self, agent: str, now_ms: int) -> None:
        self.load[agent] -= 1
        if not self.load[agent]:
            self.watch.free(agent, now_ms)

    # --- agents ----------------------------------------------------------------------------------------------------

    def sign_in(self, agent: str, now_ms: int) -> None:
        """Come to work: a session, and ready."""
        self.tell(c.OpenSession(agent=agent, session="s"), now_ms)
        self.tell(c.SetState(agent=agent, state="ready"), now_ms)

    def sign_off(self, agent: str, now_ms: int) -> None:
        """Take nothing more; what is begun is finished first."""
        self.tell(c.SetState(agent=agent, state="not_ready", reason="off"), now_ms)

    def _changed(self, event: e.StateChanged | e.SessionOpened | e.SessionClosed, now_ms: int) -> None:
        """State or sessions of an agent did."""
        agent = event.agent
        known = self.engine.state.agents[agent]
        present = known.declared == "ready" and bool(known.sessions)
        if present is not (agent in self.present):
            (self.present.add if present else self.present.discard)(agent)
            self.watch.there(agent, present, now_ms)
