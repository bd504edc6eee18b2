"""Hypothesis drives the engine with everything that can be asked, and makes short stories of what it breaks.

After every event: each invariant, on a shadow that gets only records. After every command: liveness by brute force,
each offer foretold by a matcher without indexes, and a snapshot that is byte for byte that of the replay. In between
the process dies and is restored, clocks jump, configurations change under open offers.
"""

from __future__ import annotations

import os
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from router.engine import commands as c
from router.engine.config import to_bytes
from router.engine.engine import Engine
from router.engine.events import Message
from router.engine.model import State
from router.journal import codec
from tests.engine.support.checked import Checked
from tests.engine.support.walk import AGENTS, BANDS, CHANNELS, QUEUES, START_MS, a_config, requirement

agents = st.sampled_from(AGENTS)
indexes = st.integers(0, 20)  # of something that exists, counted from the oldest
keys = st.sampled_from(("", "", "", "", "mail:1", "mail:2", "agent:ana:1", "agent:ana:2"))
threads = st.lists(st.integers(0, 5).map(lambda n: f"t{n}"), min_size=1, max_size=2).map(tuple)
states = st.sampled_from((("ready", ""), ("ready", ""), ("not_ready", "lunch"), ("not_ready", "")))
leases = st.sampled_from((0, 0, 20_000))
chances = st.integers(0, 1 << 32)  # a seed: configurations and requirements are made by `walk`


class Server(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.checked = Checked()
        self.now_ms = START_MS

    @property
    def state(self) -> State:
        return self.checked.engine.state

    def ask(self, command: c.AnyCommand) -> None:
        self.checked.try_to(command, self.now_ms)

    def pick(self, things: Any, index: int, otherwise: Any = 1) -> Any:
        things = list(things)
        return things[index % len(things)] if things else otherwise

    def item(self, index: int) -> int:
        number: int = self.pick(self.state.interactions, index)
        return number

    def thread(self, index: int) -> str:
        thread: str = self.pick(self.state.threads, index, "t0")
        return thread

    def owned(self, index: int) -> tuple[str, int]:
        owned = [(item.owner, item.number) for item in self.state.interactions.values() if item.owner]
        pair: tuple[str, int] = self.pick(owned, index, ("ana", 1))
        return pair

    @initialize(chance=chances)
    def start(self, chance: int) -> None:
        self.ask(c.Configure(document=to_bytes(a_config(Random(chance)))))
        for name in list(self.state.agents):
            self.ask(c.OpenSession(agent=name, session="s1"))
            self.ask(c.SetState(agent=name, state="ready"))

    # --- time and processes

    @rule(ms=st.one_of(st.integers(0, 40_000), st.integers(-10_000, 5_000_000)))
    def time_passes(self, ms: int) -> None:
        self.now_ms += ms
        self.ask(c.Tick())

    @rule(late=st.sampled_from((-1, 0, 1)))
    def deadline(self, late: int) -> None:
        due = self.checked.engine.next_deadline_ms()
        if due is not None:
            self.now_ms = max(self.now_ms, due + late)
            self.ask(c.Tick())

    @rule(chance=chances)
    def configure(self, chance: int) -> None:
        self.ask(c.Configure(document=to_bytes(a_config(Random(chance))), by="operator:sam"))

    @rule()
    def die_and_restart(self) -> None:
        self.checked.restart(self.now_ms)

    @rule()
    def replay_from_the_start(self) -> None:
        replayed = Engine()
        for payload in self.checked.payloads:
            replayed.apply(codec.decode(payload))
        assert replayed.snapshot() == self.checked.engine.snapshot()

    # --- channels

    @rule(
        channel=st.sampled_from(CHANNELS),
        names=threads,
        key=keys,
        lease_ms=st.sampled_from((0, 0, 20_000)),
        old=indexes,
        owner=st.sampled_from(("", "", "ana", "ben, ana", "chen")),
    )
    def arrive(self, channel: str, names: tuple[str, ...], key: str, lease_ms: int, old: int, owner: str) -> None:
        received = self.now_ms - old * 2_000 if old % 2 else 0
        more: dict[str, Any] = {"lease_ms": lease_ms, "received_at_ms": received, "attributes": {"owner": owner}}
        self.ask(c.Arrive(channel=channel, threads=names, key=key, identities=("tel:1",), **more))

    @rule(
        channel=st.sampled_from(CHANNELS),
        names=st.lists(agents, min_size=1, max_size=3, unique=True).map(tuple),
        require=st.booleans(),
        hold_ms=st.sampled_from((None, 0, 5_000, 60_000)),
    )
    def arrive_for(self, channel: str, names: tuple[str, ...], require: bool, hold_ms: int | None) -> None:
        wish = c.Preference(agents=names, require=require, hold_ms=hold_ms)
        self.ask(c.Arrive(channel=channel, threads=(f"p{self.state.last_interaction}",), prefer=wish))

    @rule(n=st.integers(1, 4), channel=st.sampled_from(CHANNELS))
    def burst(self, n: int, channel: str) -> None:
        for _ in range(n):
            self.ask(c.Arrive(channel=channel, threads=(f"n{self.state.last_interaction}",)))

    @rule(index=indexes, kind=st.sampled_from((c.Leave, c.FailConnection, c.ConfirmConnection)))
    def gateway(self, index: int, kind: type[c.Leave]) -> None:
        self.ask(kind(thread=self.thread(index)))

    @rule(index=indexes, lease_ms=st.sampled_from((1_000, 20_000, 90_000)))
    def renew(self, index: int, lease_ms: int) -> None:
        self.ask(c.Renew(thread=self.thread(index), lease_ms=lease_ms))

    @rule(index=indexes, key=keys)
    def append(self, index: int, key: str) -> None:
        self.ask(c.Append(thread=self.thread(index), message=Message("hi"), key=key))

    # --- agents

    @rule(agent=agents, session=st.sampled_from(("s1", "s2")))
    def sign_in(self, agent: str, session: str) -> None:
        self.ask(c.OpenSession(agent=agent, session=session))

    @rule(agent=agents, session=st.sampled_from(("s1", "s2")))
    def sign_out(self, agent: str, session: str) -> None:
        self.ask(c.CloseSession(agent=agent, session=session))

    @rule(agent=agents, state=states, key=keys)
    def set_state(self, agent: str, state: tuple[Any, str], key: str) -> None:
        self.ask(c.SetState(agent=agent, state=state[0], reason=state[1], key=key))

    @precondition(lambda self: self.state.offers)
    @rule(index=indexes, accept=st.booleans(), key=keys)
    def answer(self, index: int, accept: bool, key: str) -> None:
        offer = self.pick(self.state.offers.values(), index)
        kind = c.Accept if accept else c.Decline
        self.ask(kind(agent=offer.agent, offer=offer.number, key=key))

    @rule(index=indexes, kind=st.sampled_from((c.Complete, c.FinishWrapUp, c.Hold, c.Resume)), key=keys)
    def work(self, index: int, kind: type[c.Complete], key: str) -> None:
        agent, number = self.owned(index)
        self.ask(kind(agent=agent, interaction=number, key=key))

    @rule(index=indexes, by_ms=st.integers(-1, 20_000))
    def extend(self, index: int, by_ms: int) -> None:
        agent, number = self.owned(index)
        self.ask(c.ExtendWrapUp(agent=agent, interaction=number, by_ms=by_ms))

    @rule(index=indexes, say=st.booleans())
    def speak(self, index: int, say: bool) -> None:
        agent, number = self.owned(index)
        self.ask(c.Say(agent=agent, interaction=number, message=Message("hello")))
        self.ask(c.Note(interaction=number, text="noted", by=agent))

    @rule(agent=agents, index=indexes)
    def pick_by_hand(self, agent: str, index: int) -> None:
        self.ask(c.Pick(agent=agent, interaction=self.item(index)))

    # --- moving

    @rule(
        index=indexes,
        to=st.integers(0, 3),
        whom=agents,
        where=st.sampled_from(QUEUES),
        own=st.booleans(),
        chance=chances,
    )
    def transfer(self, index: int, to: int, whom: str, where: str, own: bool, chance: int) -> None:
        targets = (
            c.Target(queue=where),
            c.Target(agent=whom),
            c.Target(requirement=requirement(Random(chance), tuple(self.state.config.agents))),
            c.Target(address="tel:+15550199"),
        )
        agent, number = self.owned(index) if own else ("", self.item(index))
        self.ask(c.Transfer(interaction=number, to=targets[to], agent=agent, by="" if agent else "operator:sam"))

    @rule(index=indexes, to=st.integers(0, 2), whom=agents, where=st.sampled_from(QUEUES))
    def ask_somebody(self, index: int, to: int, whom: str, where: str) -> None:
        targets = (c.Target(queue=where), c.Target(agent=whom), c.Target(address="tel:+15550199"))
        agent, number = self.owned(index)
        self.ask(c.Consult(agent=agent, interaction=number, to=targets[to]))

    @precondition(lambda self: self.state.consults)
    @rule(index=indexes, kind=st.sampled_from((c.JoinConsult, c.CompleteConsult, c.EndConsult)), asked=st.booleans())
    def go_on_with_a_consult(self, index: int, kind: type[c.EndConsult], asked: bool) -> None:
        number = self.pick(self.state.consults, index)
        leg = self.state.interactions.get(self.state.consults[number].leg)
        agent = leg.owner if asked and leg is not None and leg.owner else self.state.interactions[number].owner
        self.ask(kind(agent=agent, interaction=number))

    @precondition(lambda self: self.state.consults)
    @rule(index=indexes, reached=st.booleans())
    def hear_of_a_consult(self, index: int, reached: bool) -> None:
        thread = self.state.interactions[self.pick(self.state.consults, index)].threads[0]
        self.ask(c.ConfirmConsult(thread=thread) if reached else c.FailConsult(thread=thread))

    @rule(index=indexes, late=st.booleans(), queue=st.sampled_from(QUEUES), channel=st.sampled_from(CHANNELS))
    def ask_to_be_called(self, index: int, late: bool, queue: str, channel: str) -> None:
        begin = self.now_ms + 20_000 if late else 0
        self.ask(c.RequestCallback(thread=self.thread(index), to="+1"))
        self.ask(c.RequestCallback(channel=channel, queue=queue, to=f"+{index}", not_before_ms=begin))

    @precondition(lambda self: self.state.callbacks)
    @rule(index=indexes, what=st.integers(0, 4))
    def call(self, index: int, what: int) -> None:
        callback = self.pick(self.state.callbacks.values(), index)
        item = self.state.interactions.get(callback.interaction)
        thread = item.threads[0] if item is not None else "t0"
        commands: tuple[c.AnyCommand, ...] = (
            c.Leave(thread=thread),
            c.FailCall(thread=thread, reason="busy"),
            c.ConfirmConnection(thread=thread),
            c.Arrive(channel="chat", threads=(f"back{index}",), identities=(callback.arrival.customer,)),
            c.CancelCallback(callback=callback.number, by="operator:sam"),
        )
        self.ask(commands[what])

    @rule(index=indexes, close=st.booleans())
    def requeue_or_close(self, index: int, close: bool) -> None:
        kind = c.Close if close else c.Requeue
        self.ask(kind(interaction=self.item(index), by="operator:sam"))

    @rule(index=indexes, agent=agents, override=st.booleans())
    def assign(self, index: int, agent: str, override: bool) -> None:
        self.ask(c.Assign(interaction=self.item(index), agent=agent, by="operator:sam", override=override))

    @rule(
        index=indexes,
        band=st.sampled_from(("", *BANDS)),
        weight=st.sampled_from((0, 3)),
        target_ms=st.sampled_from((0, 5_000)),
    )
    def reprioritise(self, index: int, band: str, weight: int, target_ms: int) -> None:
        number = self.item(index)
        self.ask(c.Reprioritise(interaction=number, by="operator:sam", band=band, weight=weight, target_ms=target_ms))

    @rule(index=indexes, step=st.integers(0, 3))
    def relax(self, index: int, step: int) -> None:
        self.ask(c.Relax(interaction=self.item(index), by="operator:sam", step=step))

    # --- letters

    @rule(index=indexes, kind=st.integers(0, 2))
    def deliver(self, index: int, kind: int) -> None:
        letter = self.pick([*self.state.outbound, *self.state.dead], index)
        commands = (
            c.SettleOutbound(outbound=letter),
            c.FailOutbound(outbound=letter, error="refused"),
            c.RetryOutbound(outbound=letter, by="operator:sam"),
        )
        self.ask(commands[kind])


PROMISES = ("DU-3", "RT-1", "RT-2", "RT-5", "RT-6", "RT-10", "CP-2", "CP-3", "OF-1", "OF-6", "AG-3", "MV-1")
QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


@pytest.mark.promise(*PROMISES)
def test_no_story_breaks_the_engine() -> None:
    few = settings(max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=QUIET)
    run_state_machine_as_test(Server, settings=few)


@pytest.mark.promise(*PROMISES)
@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_no_story_among_many_breaks_the_engine() -> None:
    """`STORIES=5000` for a night."""
    many = settings(
        max_examples=int(os.environ.get("STORIES", "150")),
        stateful_step_count=80,
        deadline=None,
        suppress_health_check=QUIET,
    )
    run_state_machine_as_test(Server, settings=many)
