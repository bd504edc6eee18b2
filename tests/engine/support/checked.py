"""An engine that is checked after every event and every command.

Beside the engine runs its shadow: a second engine that gets nothing but the records, each through the journal's codec.
It stands still after every event, so it shows the states in the middle of a command; at the end both must agree
(DU-3). Whatever is broken is an AssertionError that names the command.
"""

from __future__ import annotations

from router.engine import invariants
from router.engine.commands import AnyCommand, Restart
from router.engine.engine import Engine, Outcome
from router.engine.events import Event, Record
from router.engine.transitions import NEXT, OFFER_NEXT, OPEN, STATE_NAMES
from router.engine.views import Tell
from router.errors import ClientError, ConfigError
from router.journal import codec
from tests.engine.support.oracle import Oracle


class Checked:
    """See the module. `thrift` n > 1 compares snapshots at every n-th command only, for long walks."""

    def __init__(self, thrift: int = 1) -> None:
        self.engine, self.shadow = Engine(), Engine()
        self.watch = invariants.Watch()
        self.oracle = Oracle()
        self.payloads: list[bytes] = []
        self.moves: set[tuple[int, type[Event], int]] = set()  # of interactions: from, by, to
        self.met: set[type[Event]] = set()
        self.told: set[type[Event]] = set()  # those of which some agent was told
        self.taken = 0
        self.thrift = thrift

    def do(self, command: AnyCommand, at_ms: int) -> Outcome:
        """Carry out the command, and look at everything. Raises ClientError or ConfigError as the engine does."""
        self.taken += 1
        try:
            out = self.engine.handle(command, at_ms)
        except (ClientError, ConfigError):
            self._agree(command)
            raise
        self._follow(command, out)
        self._agree(command)
        wrong = invariants.broken(self.engine.state) + self.oracle.settled(self.engine.state, out.at_ms)
        assert not wrong, f"after {command}: {wrong}"
        return out

    def try_to(self, command: AnyCommand, at_ms: int) -> Outcome | None:
        """As `do`; None if it is refused."""
        try:
            return self.do(command, at_ms)
        except (ClientError, ConfigError):
            return None

    def restart(self, at_ms: int) -> None:
        """A process that dies and reads its journal: from a snapshot, which must be the same as from the records."""
        image = self.engine.snapshot()
        self.engine = Engine.restore(image)
        assert self.engine.snapshot() == image
        assert not invariants.broken_step(self.engine.state)
        self.engine.resume()
        self.do(Restart(), at_ms)

    def _follow(self, command: AnyCommand, out: Outcome) -> None:
        tells = [effect for effect in out.effects if isinstance(effect, Tell)]
        key = out.key
        for event in out.events:
            payload = codec.encode(out.at_ms, key, event)  # type: ignore[arg-type]
            key = ""
            self.payloads.append(payload)
            self._apply(codec.decode(payload), tells, command)
        assert not tells, f"{command} tells what nobody counted: {tells}"
        assert not out.events or out.first_seq + len(out.events) - 1 == self.engine.state.seq

    def _apply(self, record: Record, tells: list[Tell], command: AnyCommand) -> None:
        s, event = self.shadow.state, record.event
        wrong = self.oracle.before(s, event, record.at_ms) + self._offer_is_open(event)
        item = s.interactions.get(getattr(event, "interaction", 0))
        state = item.state if item is not None else 0
        before = {agent.id: agent.stream for agent in s.agents.values()}
        self.met.add(type(event))
        self.shadow.apply(record)
        wrong += invariants.broken_step(s) + self.watch.after(s, event) + self._heard(event, before, tells)
        if item is not None:
            wrong += self._move(state, event, item.state)
        assert not wrong, f"{command}, after {event}: {wrong}"

    def _move(self, state: int, event: Event, to: int) -> list[str]:
        """Only the moves of the table are made (OF-1)."""
        self.moves.add((state, type(event), to))
        legal = to in NEXT.get((state, type(event)), ())
        return [] if legal else [f"from {STATE_NAMES[state]} to {STATE_NAMES[to]} is no move"]

    def _offer_is_open(self, event: Event) -> list[str]:
        """Whatever ends an offer finds it open, with the agent and interaction that it was made for (OF-1)."""
        if (OPEN, type(event)) not in OFFER_NEXT:
            return []
        offer = self.shadow.state.offers.get(getattr(event, "offer", 0))
        named = (getattr(event, "interaction", 0), getattr(event, "agent", ""))
        return (
            [] if offer is not None and (offer.interaction, offer.agent) == named else [f"{event} ends no open offer"]
        )

    def _heard(self, event: Event, before: dict[str, int], tells: list[Tell]) -> list[str]:
        """Exactly those agents are told whose stream goes on, with the number it then has (AG-3)."""
        agents = self.shadow.state.agents.values()
        risen = {a.id: a.stream for a in agents if a.stream != before.get(a.id, 0)}
        wrong = [f"{a}: from {before.get(a, 0)} to {n}" for a, n in risen.items() if n != before.get(a, 0) + 1]
        told = {}
        while tells and tells[0].event == event and tells[0].agent not in told:
            tell = tells.pop(0)
            told[tell.agent] = tell.stream
            self.told.add(type(event))
        return wrong if told == risen else [*wrong, f"told {told}, counted {risen}"]

    def _agree(self, command: AnyCommand) -> None:
        if self.taken % self.thrift == 0:
            assert self.engine.snapshot() == self.shadow.snapshot(), f"replay differs after {command}"
