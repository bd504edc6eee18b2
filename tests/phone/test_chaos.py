"""Whatever reaches us of a call, how often and in which order: in the end no call is stuck and nobody is reserved.

A gateway tells of a call, a network loses, doubles and swaps what it tells, orders get lost or are refused, agents
accept, decline, hold and pause as they like. Then everybody falls silent, and time alone must bring all to its end.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from channels.phone.kinds import KINDS
from channels.phone.request import Raw
from router.engine import commands as c
from router.engine.invariants import broken
from router.engine.transitions import ACTIVE
from router.engine.views import Outbound
from router.errors import ClientError
from tests.phone.gateways import VOICES
from tests.phone.offline import AGENTS, Office

SEED = 20_261_123
LOSES, DOUBLES = 0.15, 0.2
LONGEST_MS = 5 * 3_600_000  # beyond every lease


class Storm:
    """One call at one gateway."""

    def __init__(self, office: Office, kind: str, call: str, chance: Random) -> None:
        self.office, self.kind, self.call, self.chance = office, kind, call, chance
        self.voice = VOICES[kind]
        self.bag: list[Raw] = []  # told, and not here yet
        self.over = False
        self._say("incoming")

    async def rage(self) -> None:
        deeds = (self.speaks, self.arrives, self.arrives, self.delivers, self.acts, self.acts, self.passes)
        for _ in range(self.chance.randint(3, 25)):
            await self.chance.choice(deeds)()
        while self.bag:
            await self.arrives()
        await self.office.deliver_all()
        self.office.wait(LONGEST_MS)
        await self.office.deliver_all()

    def _say(self, what: str, order: str = "") -> None:
        self.bag.append(getattr(self.voice, what)(self.call, order))
        self.over = self.over or what in ("ended", "abandoned")

    async def speaks(self) -> None:
        if not self.over:
            self._say(self.chance.choice(("alive", "alive", "alive", "answered", "busy", "ended", "abandoned")))

    async def arrives(self) -> None:
        if not self.bag:
            return
        raw = self.bag[self.chance.randrange(len(self.bag))]
        if self.chance.random() >= DOUBLES:
            self.bag.remove(raw)
        if self.chance.random() >= LOSES:
            await self.office.tell(self.kind, raw)

    async def delivers(self) -> None:
        letters = self.office.letters()
        if not letters:
            return
        letter = self.chance.choice(letters)
        self.office.adapter.statuses[:] = [self.chance.choice((202, 202, 202, 202, 404, 409, 503, 0))]
        sent = len(self.office.adapter.sent)
        settled = await self.office.deliver(letter)
        self.office.adapter.statuses.clear()
        if settled and len(self.office.adapter.sent) > sent and letter.action == "assigned":
            self._obey(letter)
        self.office.adapter.sent.clear()

    def _obey(self, letter: Outbound) -> None:
        """The telephone is rung; what comes of it is told in its own time."""
        order = f"sb-{letter.outbound}"
        if self.over:
            return
        if self.chance.random() < 0.3:
            self._say("busy", order)
        else:
            self._say("answered", order)
            self._say("ended", order)

    async def acts(self) -> None:
        office, chance = self.office, self.chance
        commands: list[c.AnyCommand] = []
        for agent, offer in office.offers():
            commands += [c.Accept(agent=agent, offer=offer)] * 3 + [c.Decline(agent=agent, offer=offer)]
        number = office.desk.find(f"phone.{self.kind}:{self.call}")
        item = office.engine.state.interactions[number] if number else None
        if item is not None and item.state == ACTIVE:
            agent, number = item.owner, item.number
            commands += [c.Hold(agent=agent, interaction=number), c.Resume(agent=agent, interaction=number)]
            commands += [c.Complete(agent=agent, interaction=number), c.Requeue(interaction=number, by="sam")]
        commands.append(c.SetState(agent=chance.choice(AGENTS), state=chance.choice(("ready", "not_ready"))))
        office.ask(chance.choice(commands))

    async def passes(self) -> None:
        self.office.wait(self.chance.choice((0, 20, 1_000, 5_000, 30_000, 130_000)))


async def storms(folder: Path, seed: int, count: int) -> Office:
    office = Office(folder)
    for number in range(count):
        chance = Random(f"{seed}:{number}")
        storm = Storm(office, chance.choice(tuple(KINDS)), f"c{number}", chance)
        await storm.rage()
        stuck = list(office.stuck())
        assert not stuck, f"seed {seed}, call {number} at {storm.kind}: {stuck}"
        if number % 500 == 0:
            assert broken(office.engine.state) == [], f"seed {seed}, call {number}"
        for name in AGENTS:
            office.ready(name)
    return office


@pytest.mark.promise("MV-3", "OF-5", "OF-6", "IN-3")
async def test_no_order_of_events_leaves_a_call_stuck_or_an_agent_reserved(tmp_path: Path) -> None:
    office = await storms(tmp_path, SEED, 500)
    happened = {type(event).__name__ for event in office.writer.events}
    # Otherwise it would show nothing.
    assert {"ConnectionConfirmed", "ConnectFailed", "OfferExpired", "OfferWithdrawn", "OutboundFailed"} <= happened


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.promise("MV-3", "OF-5", "OF-6", "IN-3")
@pytest.mark.parametrize("seed", range(10))
async def test_a_hundred_thousand_orders_of_events(tmp_path: Path, seed: int) -> None:
    await storms(tmp_path, seed, 10_000)


async def test_what_is_told_of_nothing_is_refused_and_not_kept(tmp_path: Path) -> None:
    office = Office(tmp_path)
    with pytest.raises(ClientError):
        await office.tell("generic", Raw("events", "", {}, b"{}"))
    assert list(office.stuck()) == []
