"""Walks by chance: everything that can be asked, in any order, at any time, by anybody.

All chance comes from one seeded generator, so a seed is a history. Names come from small pools, so that commands meet:
the same agent is offered two things while a configuration takes their skill away. Most commands make sense for the
state that they find; some do not, because clients are late, confused or repeat themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any, get_args, get_type_hints

from msgspec.structs import replace

from router.engine import cards
from router.engine import commands as c
from router.engine.config import (
    END,
    KEEP,
    Agent,
    Balance,
    Band,
    Blend,
    Borrow,
    Calendar,
    Callbacks,
    Channel,
    Config,
    Consulting,
    Duration,
    Figures,
    Memory,
    Need,
    Order,
    Overflow,
    Prefer,
    Presence,
    Queue,
    Resort,
    Rule,
    Spare,
    Step,
    Unservable,
    WrapUp,
    to_bytes,
)
from router.engine.customers import root
from router.engine.events import Message
from router.engine.invariants.counting import has_room
from router.engine.model import State
from router.engine.order import DIVISIBLE
from router.engine.relaxation import Ladder, asked_on_top, idle_steps
from router.engine.requirements import Node
from router.engine.transitions import ACTIVE, OFFERED, QUEUED, WRAP_UP
from tests.engine.support.checked import Checked

START_MS = 1_764_000_000_000
AGENTS = ("ana", "ben", "chen", "dora", "eve")
QUEUES = ("support", "sales", "mailroom")
CHANNELS = ("phone", "chat", "email")
CALENDARS = ("office", "night")
SKILLS = ("support", "sales", "spanish")
BANDS = ("urgent", "normal", "low")
POLICIES: tuple[Any, ...] = get_args(get_type_hints(Order)["policy"])
RULES: tuple[Any, ...] = get_args(get_type_hints(Queue)["choice"])
CONSULTING = ("consulted", "conference", "handed-over", "consult-over")
CALLING = ("called", "callback-offered")
ACTIONS = ("assigned", "message", "ended", "held", "resumed", "transferred", "requeued", "copy", *CONSULTING, *CALLING)


Names = tuple[str, ...]


def seconds(n: float) -> Duration:
    return Duration(int(n * 1_000))


# --- configurations ---------------------------------------------------------------------------------------------------


def requirement(r: Random, agents: tuple[str, ...] = AGENTS, depth: int = 4) -> Node:
    """Mostly simple, sometimes nested, sometimes what nobody meets."""
    pick = r.random() if depth else 0.84 * r.random()
    if pick < 0.25:
        return Node(all=())
    if pick < 0.6:
        return Node(skill=r.choice(SKILLS), op=r.choice((">=", ">=", ">", "<", "==", "!=")), level=r.randint(1, 4))
    if pick < 0.7 and agents:
        return Node(agent=tuple(r.sample(agents, min(len(agents), r.randint(1, 2)))))
    if pick < 0.78:
        return Node(team=(r.choice(("red", "blue")),))
    if pick < 0.84:
        return Node(language=r.choice(("en", "es")))
    if pick < 0.9:
        return Node(negated=requirement(r, agents, depth - 1))
    parts = (requirement(r, agents, depth - 1), requirement(r, agents, depth - 1))
    return Node(all=parts) if r.random() < 0.5 else Node(any=parts)


def an_agent(r: Random) -> Agent:
    return Agent(
        skills={skill: r.randint(1, 6) for skill in SKILLS if r.random() < 0.8},
        languages=tuple(x for x in ("en", "es-MX") if r.random() < 0.6),
        team=r.choice(("", "red", "blue")),
        caps={channel: r.randint(0, 3) for channel in CHANNELS if r.random() < 0.2},
        budget=r.choice((None, None, 2, 4)),
        handle_times={queue: seconds(r.choice((1, 2, 3))) for queue in QUEUES if r.random() < 0.3},
    )


def a_queue(r: Random, agents: tuple[str, ...]) -> Queue:
    return Queue(
        requirement=requirement(r, agents),
        band=r.choice((None, None, *BANDS)),
        weight=r.choice((1.0, 2.0, 0.5)),
        target=r.choice((None, seconds(10), seconds(30), seconds(60))),
        targets={r.choice(CHANNELS): seconds(40)} if r.random() < 0.2 else {},
        head_start=r.choice((seconds(0), seconds(20), seconds(5))),
        offer_timeout=r.choice((seconds(5), seconds(20))),
        auto_accept=r.random() < 0.15,
        parallel_offers=r.choice((1, 1, 1, 2, 3)),
        cool_off=r.choice((seconds(0), seconds(10), seconds(30))),
        wrap_up=WrapUp(
            r.choice(("none", "none", "optional", "timed", "forced")), seconds(r.choice((0, 15))), seconds(40)
        ),
        agent_lost=r.choice((None, "stay", "return")),
        choice=r.choice(("longest-idle", *RULES)),
        blend=Blend(*(r.choice((0.0, 0.3, 1.0, 2.5)) for _ in range(4))),
        handle_time=r.choice((None, seconds(2))),
        share=r.choice((None, None, 0.3, 1000.0)),
    )


def a_plan(
    r: Random, name: str, queues: dict[str, Queue], bands: tuple[str, ...], own: Node | None = None
) -> tuple[Step, ...]:
    """Steps that come at rising times; some of what they drop is not asked for at all. `own`: by a rule, on top."""
    steps = []
    for i in range(1, r.choice((1, 2, 2, 3, 4))):
        steps.append(
            Step(
                after=seconds(5 * i + r.randint(0, 4)) if r.random() < 0.6 else None,
                share=0.5 * i if r.random() < 0.3 else None,
                when=r.choice((None, None, "nobody-signed-in", "nobody-ready")),
                when_expected=seconds(i) if r.random() < 0.3 else None,
                lower={skill: r.randint(0, 3) for skill in SKILLS if r.random() < 0.5},
                drop_skills=tuple(skill for skill in SKILLS if r.random() < 0.2),
                drop_languages=tuple(x for x in ("en", "es") if r.random() < 0.2),
                teams=tuple(x for x in ("red", "blue") if r.random() < 0.3),
                any_team=r.random() < 0.1,
                also=Node(skill=r.choice(SKILLS), level=r.randint(1, 5)) if r.random() < 0.3 else None,
                borrow=(r.choice(list(queues)),) if r.random() < 0.15 else (),
                band=r.choice(bands[:-1]) if len(bands) > 1 and r.random() < 0.2 else None,
                release=r.random() < 0.2,
                callback=r.random() < 0.1,
                queue=_later(r, name, queues) if r.random() < 0.1 else None,
            )
        )
    ladder = Ladder(tuple(steps), queues)
    idle = idle_steps(ladder.row(asked_on_top(queues[name], own)), ladder.steps)
    return tuple(step for i, step in enumerate(steps) if i not in idle)


def an_order(r: Random) -> Order:
    policy = r.choice(("share-of-target", *POLICIES))
    dividing = r.choice((None, True, False)) if policy in DIVISIBLE else None
    return Order(policy, dividing, r.choice((0, 1, 20)))


def _later(r: Random, name: str, queues: Iterable[str]) -> str | None:
    """Moves go one way round, so that they come to rest."""
    return r.choice([None, *list(queues)[list(queues).index(name) + 1 :]])


def an_unservable(r: Random, name: str, queues: Iterable[str], planned: bool) -> Unservable:
    to = _later(r, name, queues)
    policies = ["wait", "end", "callback"] + ["move"] * bool(to) + ["relax", "relax"] * planned
    policy: Any = r.choice(policies)
    return Unservable(policy, seconds(r.choice((0, 5, 30))), to if policy == "move" else None)


def with_rules(r: Random, queues: dict[str, Queue]) -> dict[str, Queue]:
    """Some queues have hours, and rules about who may wait. Moves of those who waited too long make no circle."""
    names = list(queues)
    return {name: replace(queue, **some_rules(r, names, i)) for i, (name, queue) in enumerate(queues.items())}


def some_rules(r: Random, names: list[str], i: int) -> dict[str, Any]:
    if r.random() < 0.5:
        return {}
    others = [name for name in names if name != names[i]]
    calendar, length, longest = r.choice((None, *CALENDARS)), r.choice((None, 0, 1, 3)), seconds(r.choice((0, 20, 90)))
    onward = (END, ASK, *(Resort("move", name) for name in names[i + 1 : i + 2]))
    rules: dict[str, Any] = {
        "calendar": calendar,
        "clock": r.choice(("always", "open")) if calendar else "always",
        "max_length": length,
        "max_wait": longest,
        "nobody_grace": seconds(r.choice((0, 15))),
        "when_nobody": a_resort(r, others, asks=True),
    }
    if calendar:
        rules |= {"when_closed": a_resort(r, others), "when_closing": a_resort(r, others)}
        rules["when_emergency"] = r.choice((None, a_resort(r, others)))
    if length is not None:
        rules["when_full"] = a_resort(r, others, asks=True)
    if longest:
        rules["when_overdue"] = r.choice(onward)
    return rules


ASK = Resort("callback", message="press 1")


def a_resort(r: Random, others: list[str], asks: bool = False) -> Resort:
    choices = [KEEP, KEEP, END, Resort("end", message="sorry"), *([ASK] * asks)]
    return r.choice([*choices, *(Resort("move", name) for name in others)])


def with_help(r: Random, queues: dict[str, Queue], channels: Names) -> dict[str, Queue]:
    """Some queues borrow from others, or overflow to them; both ways round, too."""
    return {name: replace(queue, **some_help(r, name, list(queues), channels)) for name, queue in queues.items()}


def some_help(r: Random, name: str, names: list[str], channels: Names) -> dict[str, Any]:
    others = [other for other in names if other != name]
    lenders = r.sample(others, r.randint(0, len(others))) if r.random() < 0.5 else []
    takers = r.sample(others, r.randint(0, len(others))) if r.random() < 0.3 else []
    return {
        "borrow": tuple(a_loan(r, lender, channels) for lender in lenders),
        "overflow": tuple(Overflow(to, seconds(2), seconds(r.choice((1, 2)))) for to in takers),
    }


def a_loan(r: Random, lender: str, channels: Names) -> Borrow:
    """Thresholds that small offices cross in both directions."""
    needs = (Need(wait=seconds(2)), Need(share=0.3), Need(share=1.0, share_until=1.0), Need(level_below=0.9, share=2.0))
    spares = (Spare(wait_below=seconds(60)), Spare(level_above=0.4), Spare(seconds(20), seconds(20), 0.2))
    only = tuple(channel for channel in channels if r.random() < 0.3)
    return Borrow(
        lender,
        replace(r.choice(needs), channels=only),
        replace(r.choice(spares), channels=only),
        requirement(r, ()) if r.random() < 0.3 else Node(all=()),
        seconds(r.choice((0, 5, 20))),
    )


def a_calendar(r: Random) -> Calendar:
    """Open for some minutes of every hour, so that a walk of minutes sees it open and close."""
    start, length = r.randint(0, 30), r.randint(1, 29)
    daily = tuple(f"{h:02}:{start:02}-{h:02}:{start + length:02}" for h in range(24))
    return Calendar(week=r.choice(({}, {"mon-sun": daily}, {"mon-sun": daily})))


def a_wrap_up(r: Random) -> WrapUp:
    return WrapUp(r.choice(("none", "none", "optional", "timed", "forced")), seconds(r.choice((0, 15))), seconds(40))


def a_presence(r: Random) -> Presence:
    grace, back, share = seconds(r.choice((0, 10, 30))), seconds(r.choice((0, 20))), r.choice((0.25, 1.0))
    return Presence(grace, r.choice((0, 1, 1, 2, 3)), back, share, seconds(60))


def a_config(r: Random) -> Config:
    agents = tuple(name for name in AGENTS if r.random() < 0.8)
    queues = tuple(name for name in QUEUES if r.random() < 0.9) or QUEUES[:1]
    channels = tuple(name for name in CHANNELS if r.random() < 0.95) or CHANNELS[:1]
    bands = r.choice((BANDS, BANDS, ("urgent", "normal"), ("normal",)))
    lines = {name: _known_band(a_queue(r, agents), bands, channels) for name in queues}
    return Config(
        channels={name: a_channel(r, name, channels) for name in r.sample(channels, len(channels))},
        bands=tuple(Band(name, seconds(r.choice((0, 30, 120)))) for name in bands),
        skills=SKILLS,
        teams=("red", "blue"),
        order=an_order(r),
        calendars={name: a_calendar(r) for name in CALENDARS},
        queues=with_help(r, with_rules(r, {name: _planned(r, name, lines, bands) for name in lines}), channels),
        rules=tuple(
            with_a_plan(r, a_rule(r, i, queues, channels, bands, agents), lines, bands) for i in range(r.randint(0, 3))
        ),
        default_queue=r.choice(queues) if r.random() < 0.9 else None,
        agents={name: _known(an_agent(r), channels, queues) for name in agents},
        presence=a_presence(r),
        balance=Balance(seconds(r.choice((1, 5))), seconds(r.choice((30, 600))), r.choice((1, 2))),
        callbacks=Callbacks(r.randint(1, 3), seconds(r.choice((0, 20))), seconds(r.choice((0, 60))), "agent"),
        consult=Consulting(seconds(r.choice((0, 10, 60)))),
        memory=Memory(seconds(600), seconds(30), r.choice((1, 2, 5, 50)), 3, r.choice((1, 100))),
        figures=Figures(seconds(r.choice((0, 900, 90_000))), seconds(r.choice((0, 5)))),
    )


def a_channel(r: Random, name: str, channels: Names) -> Channel:
    """Of the three, one may interrupt only what stands after it."""
    prey = [x for x in CHANNELS[CHANNELS.index(name) + 1 :] if x in channels and r.random() < 0.7]
    return Channel(
        exclusive=name == "phone",
        weight=r.choice((1, 1, 2)),
        cap=1 if name == "phone" else r.randint(1, 3),
        target=seconds(r.choice((10, 20, 60))),
        interrupts=tuple(prey),
        interrupted_max=seconds(r.choice((0, 10, 60))),
        drain=seconds(r.choice((0, 5, 30, 900))),
        agent_lost=r.choice(("return", "stay")),
        calls=r.choice((("call:",), ("call:", "n"), ())),
        asks=r.choice((("n",), ("n", "t"), ())),
        lasting=name == "email",
        actions=ACTIONS if r.random() < 0.7 else (),
    )


def _planned(r: Random, name: str, queues: dict[str, Queue], bands: tuple[str, ...]) -> Queue:
    plan = a_plan(r, name, queues, bands)
    return replace(queues[name], relax=plan, unservable=an_unservable(r, name, queues, bool(plan)))


def a_rule(r: Random, i: int, queues: Names, channels: Names, bands: Names, agents: Names) -> Rule:
    return Rule(
        f"rule-{i}",
        r.choice(queues),
        channel=(r.choice(channels),) if r.random() < 0.6 else (),
        to=(r.choice(("a", "b")),) if r.random() < 0.4 else (),
        requirement=requirement(r, agents) if r.random() < 0.4 else None,
        band=r.choice((None, *bands)),
        weight=r.choice((None, 3.0)),
        target=r.choice((None, seconds(15))),
        prefer=a_preference(r, agents) if r.random() < 0.6 else None,
    )


def with_a_plan(r: Random, rule: Rule, queues: dict[str, Queue], bands: Names) -> Rule:
    """Some rules have a plan of their own; some of those no step at all."""
    return replace(rule, relax=a_plan(r, rule.queue, queues, bands, rule.requirement) if r.random() < 0.3 else None)


def a_preference(r: Random, agents: Names) -> Prefer:
    mode: Any = r.choice(("prefer", "prefer", "require"))
    hold = seconds(r.choice((5, 20, 60))) if r.random() < 0.6 else None
    named = tuple(r.sample(agents, min(len(agents), r.randint(1, 3))))
    kinds: list[dict[str, Any]] = [{"attribute": "owner"}, {"last_agent": True}]
    kinds += [{"agents": named}] if named else []
    return Prefer(mode=mode, hold=seconds(0) if mode == "prefer" and r.random() < 0.2 else hold, **r.choice(kinds))


def _known_band(queue: Queue, bands: tuple[str, ...], channels: tuple[str, ...]) -> Queue:
    targets = {name: t for name, t in queue.targets.items() if name in channels}
    return replace(queue, band=queue.band if queue.band in bands else None, targets=targets)


def _known(agent: Agent, channels: Names, queues: Names) -> Agent:
    caps = {name: cap for name, cap in agent.caps.items() if name in channels}
    return replace(agent, caps=caps, handle_times={q: t for q, t in agent.handle_times.items() if q in queues})


# --- commands ---------------------------------------------------------------------------------------------------------


class Walk:
    """One history. `step` asks one thing; `run` many.

    `config` makes configurations, and `weights` says how often each thing is asked: for walks that dwell on something.
    """

    def __init__(
        self,
        seed: int,
        thrift: int = 1,
        config: Callable[[Random], Config] | None = None,
        weights: dict[str, float] | None = None,
    ) -> None:
        self.r = Random(seed)
        self.config, self.weights = config or a_config, weights or CHOICES
        self.checked = Checked(thrift)
        self.now_ms = START_MS
        self.refused = 0
        self.serial = 0
        self.keyed: list[c.AnyCommand] = []
        self.checked.do(c.Configure(document=to_bytes(self.config(self.r))), self.now_ms)
        for name in self.state.agents:
            self.checked.do(c.OpenSession(agent=name, session="s1"), self.now_ms)
            self.checked.do(c.SetState(agent=name, state="ready"), self.now_ms)

    @property
    def state(self) -> State:
        return self.checked.engine.state

    def run(self, steps: int) -> Walk:
        for _ in range(steps):
            self.step()
        return self

    def step(self) -> None:
        self._pass_time()
        if self.r.random() < 0.002:
            self.checked.restart(self.now_ms)
            return
        command = self._repeat(self.command())
        if self.checked.try_to(command, self.now_ms) is None:
            self.refused += 1

    def _pass_time(self) -> None:
        """Mostly a little, sometimes to the next deadline or far beyond; some clocks jump back."""
        pick, due = self.r.random(), self.checked.engine.next_deadline_ms()
        if pick < 0.5:
            self.now_ms += self.r.randint(0, 3_000)
        elif pick < 0.6 and due is not None:
            self.now_ms = max(self.now_ms, due + self.r.randint(-1, 1))
        elif pick < 0.605:
            self.now_ms += self.r.randint(0, 3_600_000)
        elif pick < 0.615:
            self.now_ms -= self.r.randint(0, 10_000)

    def _repeat(self, command: c.AnyCommand) -> c.AnyCommand:
        """Some commands carry a key; now and then one is sent again, or its key by mistake with something else."""
        pick = self.r.random()
        if pick < 0.03 and self.keyed:
            again = self.r.choice(self.keyed[-20:])
            return again if pick < 0.02 else replace(command, key=again.key)
        if pick < 0.2:
            self.serial += 1
            command = replace(command, key=f"{self.r.choice(('agent:ana:', 'mail:'))}{self.serial}")
            self.keyed.append(command)
        return command

    def command(self) -> c.AnyCommand:
        if self.state.consults and self.r.random() < 0.2:
            return self._going_on()
        kind = self.r.choices(list(self.weights), weights=list(self.weights.values()))[0]
        made: c.AnyCommand = getattr(self, f"_{kind}")()
        return made

    # --- who and what

    def _agent(self) -> str:
        return self.r.choice(AGENTS)

    def _item(self, *states: int) -> int:
        found = [i.number for i in self.state.interactions.values() if not states or i.state in states]
        return self.r.choice(found) if found and self.r.random() < 0.95 else self.r.randint(1, 30)

    def _thread(self) -> str:
        known = [i.threads[0] for i in self.state.interactions.values() if i.open and i.threads]
        return self.r.choice(known) if known and self.r.random() < 0.9 else f"t{self.r.randint(0, 9)}"

    def _own(self, *states: int) -> tuple[str, int]:
        """Mostly an agent and what they have; sometimes any agent and anything."""
        found = [(i.owner, i.number) for i in self.state.interactions.values() if i.owner and i.state in states]
        return self.r.choice(found) if found and self.r.random() < 0.9 else (self._agent(), self._item())

    def _offered(self) -> tuple[str, int]:
        found = [(o.agent, o.number) for o in self.state.offers.values()]
        if found and self.r.random() < 0.9:
            return self.r.choice(found)
        return self._agent(), self.r.randint(1, self.state.last_offer + 1)

    def _message(self) -> Message:
        self.serial += 1
        return Message(f"m{self.serial}")

    # --- what can be asked

    def _arrive(self) -> c.Arrive:
        r = self.r
        self.serial += 1
        shared = tuple(f"t{r.randint(0, 9)}" for _ in range(r.randint(1, 2)))
        return c.Arrive(
            channel=r.choice(CHANNELS),
            threads=(f"n{self.serial}",) if r.random() < 0.75 else shared,
            identities=tuple(f"tel:{r.randint(0, 5)}" for _ in range(r.randint(0, 2))),
            recipient=r.choice(("a", "b", "c")),
            lease_ms=r.choice((0, 0, 0, 60_000)),
            received_at_ms=r.choice((0, 0, self.now_ms - r.randint(-1_000, 50_000))),
            message=self._message() if r.random() < 0.5 else None,
            attributes={"owner": ", ".join(r.sample(AGENTS, r.randint(1, 2)))} if r.random() < 0.4 else {},
            prefer=self._preference() if r.random() < 0.15 else None,
        )

    def _preference(self) -> c.Preference:
        r = self.r
        names = tuple(r.sample((*AGENTS, "zoe"), r.randint(0, 3)))
        return c.Preference(agents=names, require=r.random() < 0.4, hold_ms=r.choice((None, 0, 3_000, 30_000)))

    def _append(self) -> c.Append:
        return c.Append(thread=self._thread(), message=self._message())

    def _renew(self) -> c.Renew:
        return c.Renew(thread=self._thread(), lease_ms=self.r.choice((5_000, 20_000, 60_000)))

    def _confirm(self) -> c.ConfirmConnection:
        return c.ConfirmConnection(thread=self._thread())

    def _fail(self) -> c.FailConnection:
        return c.FailConnection(thread=self._thread())

    def _leave(self) -> c.Leave | c.SendCopy:
        """Now and then they want a copy first. That takes no chance of its own, or all walks were others."""
        thread, seq = self._thread(), self.state.seq
        carriers = sorted(name for name, actions in self.state.actions.items() if "copy" in actions)
        closed = [i for i in self.state.closed if self.state.interactions[i].threads]
        if closed and seq % 6 == 0:
            thread = self.state.interactions[closed[-1]].threads[0]
        if carriers and seq % 3 == 0:
            return c.SendCopy(thread=thread, channel=carriers[0], address=f"eva{seq % 2}@example.com")
        return c.Leave(thread=thread)

    def _open(self) -> c.OpenSession:
        return c.OpenSession(agent=self._agent(), session=self.r.choice(("s1", "s2")))

    def _close_session(self) -> c.CloseSession:
        return c.CloseSession(agent=self._agent(), session=self.r.choice(("s1", "s2")))

    def _state(self) -> c.SetState:
        if self.r.random() < 0.6:
            return c.SetState(agent=self._agent(), state="ready")
        return c.SetState(agent=self._agent(), state="not_ready", reason=self.r.choice(("", "lunch", "training")))

    def _accept(self) -> c.Accept:
        agent, offer = self._offered()
        return c.Accept(agent=agent, offer=offer)

    def _decline(self) -> c.Decline:
        agent, offer = self._offered()
        return c.Decline(agent=agent, offer=offer)

    def _say(self) -> c.Say:
        agent, number = self._own(ACTIVE)
        return c.Say(agent=agent, interaction=number, message=self._message())

    def _note(self) -> c.Note:
        return c.Note(interaction=self._item(), text="seen", by=self._agent())

    def _hold(self) -> c.Hold:
        agent, number = self._own(ACTIVE)
        return c.Hold(agent=agent, interaction=number)

    def _resume(self) -> c.Resume:
        agent, number = self._own(ACTIVE)
        return c.Resume(agent=agent, interaction=number)

    def _complete(self) -> c.Complete:
        agent, number = self._own(ACTIVE, WRAP_UP)
        return c.Complete(agent=agent, interaction=number, notes=self.r.choice(("", "done")))

    def _finish(self) -> c.FinishWrapUp:
        agent, number = self._own(WRAP_UP)
        return c.FinishWrapUp(agent=agent, interaction=number)

    def _extend(self) -> c.ExtendWrapUp:
        agent, number = self._own(WRAP_UP)
        return c.ExtendWrapUp(agent=agent, interaction=number, by_ms=self.r.randint(0, 20_000))

    def _pick(self) -> c.Pick:
        return c.Pick(agent=self._agent(), interaction=self._item(QUEUED))

    def _transfer(self) -> c.Transfer:
        r = self.r
        agent, number = self._own(ACTIVE) if r.random() < 0.7 else ("", self._item())
        return c.Transfer(interaction=number, to=self._target(), agent=agent, by="" if agent else "operator:sam")

    def _target(self) -> c.Target:
        r = self.r
        return r.choice(
            (
                c.Target(queue=r.choice(QUEUES)),
                c.Target(agent=self._agent()),
                c.Target(requirement=requirement(r)),
                c.Target(address="tel:+15550199"),
            )
        )

    def _ask(self) -> c.Consult:
        """Half of the time somebody who is there and has room."""
        s, free = self.state, [a for a in self.state.agents.values() if a.cell >= 0]
        able = [
            (item, agent.id)
            for item in s.interactions.values()
            for agent in free
            if item.state == ACTIVE and item.owner != agent.id and has_room(s, agent, item.born.channel)
        ]
        if able and self.r.random() < 0.6:
            item, asked = self.r.choice(able)
            return c.Consult(agent=item.owner, interaction=item.number, to=c.Target(agent=asked))
        agent, number = self._own(ACTIVE)
        return c.Consult(agent=agent, interaction=number, to=self._target())

    def _consult(self) -> tuple[str, int]:
        """Mostly either side of a consult; sometimes anybody and anything."""
        s, found = self.state, list[tuple[str, int]]()
        for number, consult in s.consults.items():
            found.append((s.interactions[number].owner, number))
            if consult.leg and s.interactions[consult.leg].owner:
                found.append((s.interactions[consult.leg].owner, consult.leg))
        return self.r.choice(found) if found and self.r.random() < 0.9 else (self._agent(), self._item())

    def _going_on(self) -> c.AnyCommand:
        """Most wait until somebody has answered."""
        s, r = self.state, self.r
        answered = [n for n, consult in s.consults.items() if consult.answered_at_ms]
        agent, number = self._consult()
        if answered and r.random() < 0.8:
            number = r.choice(answered)
            agent = s.interactions[number].owner
        elif shown := [s.offers[n] for leg in s.legs for n in s.interactions[leg].offers]:
            return c.Accept(agent=shown[0].agent, offer=shown[0].number)
        kind = r.choice((c.JoinConsult, c.JoinConsult, c.CompleteConsult, c.EndConsult))
        made: c.AnyCommand = kind(agent=agent, interaction=number)
        return made

    def _call_me(self) -> c.RequestCallback:
        """Half are callers who wait; the others were never on the line."""
        r, now = self.r, self.now_ms
        more: dict[str, Any] = {"first": r.choice(("", "agent", "customer")), "to": r.choice(("", "+1", "+2"))}
        if r.random() < 0.6:
            waiting = [i.threads[0] for i in self.state.interactions.values() if i.waits and i.threads]
            thread = r.choice(waiting) if waiting else self._thread()
            return c.RequestCallback(thread=thread, until_ms=r.choice((0, now + 90_000)), **more)
        return c.RequestCallback(
            channel=r.choice(CHANNELS),
            queue=r.choice(QUEUES),
            not_before_ms=r.choice((0, now + 20_000)),
            until_ms=r.choice((0, now + 120_000)),
            **more,
        )

    def _call(self) -> c.AnyCommand:
        """What becomes of those who are to be called: they hang up, answer, do not answer, come by themselves."""
        s, r = self.state, self.r
        if not s.callbacks:
            return self._call_me()
        callback = r.choice(list(s.callbacks.values()))
        item = s.interactions.get(callback.interaction)
        pick = r.random()
        if item is None or pick < 0.08:
            arrival = callback.arrival
            if pick < 0.5:
                return c.Tick()
            self.serial += 1
            return c.Arrive(channel=arrival.channel, threads=(f"n{self.serial}",), identities=(arrival.customer,))
        if pick < 0.12:
            return c.CancelCallback(callback=callback.number, by="operator:sam")
        if item.state != ACTIVE:
            return c.Leave(thread=item.threads[0])
        if pick < 0.7:
            return c.FailCall(thread=item.threads[0], reason=r.choice(("busy", "no-answer", "failed", "odd")))
        return c.ConfirmConnection(thread=item.threads[0])

    def _between(self) -> c.Say:
        agent, number = self._consult()
        return c.Say(agent=agent, interaction=number, message=self._message())

    def _reached(self) -> c.AnyCommand:
        asked = [self.state.interactions[number].threads[0] for number in self.state.consults]
        thread = self.r.choice(asked) if asked else self._thread()
        confirms = self.r.random() < 0.7
        return c.ConfirmConsult(thread=thread) if confirms else c.FailConsult(thread=thread)

    def _enrich(self) -> c.Enrich:
        """What was read: sometimes what a rule of `a_hall` asks for, sometimes in a language, sometimes nothing new."""
        r = self.r
        read = {name: r.choice(("yes", "no")) for name in ("claim", "owner") if r.random() < 0.6}
        message = self._message() if r.random() < 0.3 else None
        return c.Enrich(thread=self._thread(), attributes=read, language=r.choice(("", "", "es")), message=message)

    def _identity(self) -> str:
        return f"tel:{self.r.randint(0, 6)}"

    def _merge(self) -> c.MergeCustomers:
        return c.MergeCustomers(customer=self._identity(), other=self._identity(), by="operator:sam")

    def _describe(self) -> c.DescribeCustomer:
        r, identity = self.r, self._identity()
        version = cards.of(self.state, root(self.state, identity)).version + (r.random() < 0.1)
        fields = {r.choice(("name", "company")): r.choice(("", "Kim", "ACME"))}
        return c.DescribeCustomer(identity=identity, fields=fields, version=version, by="agent:ana")

    def _split(self) -> c.SplitCustomer:
        return c.SplitCustomer(identity=self._identity(), by="operator:sam")

    def _recall(self) -> c.Recall:
        agent, number = self._own(ACTIVE)
        return c.Recall(agent=agent, interaction=number)

    def _announce(self) -> c.AnyCommand:
        some = tuple(name for name in AGENTS if self.r.random() < 0.5)
        return c.Announce(agents=some or (self._agent(),), text="lunch is here", by="supervisor:sue")

    def _meet(self) -> c.MeetCustomer:
        agent, number = self._own(ACTIVE)
        return c.MeetCustomer(agent=agent, interaction=number)

    def _requeue(self) -> c.Requeue:
        return c.Requeue(interaction=self._item(OFFERED, ACTIVE, WRAP_UP), by="operator:sam")

    def _assign(self) -> c.Assign:
        override = self.r.random() < 0.4
        return c.Assign(interaction=self._item(), agent=self._agent(), by="operator:sam", override=override)

    def _close(self) -> c.Close:
        return c.Close(interaction=self._item(QUEUED, OFFERED, ACTIVE, WRAP_UP), by="operator:sam")

    def _reprioritise(self) -> c.Reprioritise:
        r = self.r
        return c.Reprioritise(
            interaction=self._item(QUEUED, OFFERED),
            by="operator:sam",
            band=r.choice(("", *BANDS)),
            weight=r.choice((0.0, 4.0, 1)),
            target_ms=r.choice((0, 5_000)),
        )

    def _relax(self) -> c.Relax:
        return c.Relax(interaction=self._item(QUEUED), by="operator:sam", step=self.r.choice((0, 0, 1, 2)))

    def _configure(self) -> c.Configure:
        return c.Configure(document=to_bytes(self.config(self.r)), by="operator:sam")

    def _calendar(self) -> c.CloseCalendar | c.OpenCalendar:
        name, r = self.r.choice((*CALENDARS, "no-such")), self.r
        if r.random() < 0.5:
            return c.OpenCalendar(calendar=name, by="operator:sam")
        until = r.choice((0, self.now_ms + r.randint(-1_000, 60_000)))
        return c.CloseCalendar(calendar=name, by="operator:sam", until_ms=until)

    def _restart(self) -> c.Restart:
        return c.Restart()

    def _tick(self) -> c.Tick:
        return c.Tick()

    def _letter(self) -> int:
        letters = [*self.state.outbound, *self.state.dead]
        return self.r.choice(letters) if letters else 1

    def _settle(self) -> c.SettleOutbound:
        return c.SettleOutbound(outbound=self._letter(), discard=self.r.random() < 0.2)

    def _fail_outbound(self) -> c.FailOutbound:
        return c.FailOutbound(outbound=self._letter(), error="refused")

    def _retry(self) -> c.RetryOutbound:
        return c.RetryOutbound(outbound=self._letter(), by="operator:sam")


# How often each is asked, of about 100.
CHOICES: dict[str, float] = {
    "arrive": 16,
    "append": 2,
    "renew": 2,
    "confirm": 2,
    "fail": 3,
    "leave": 2,
    "open": 8,
    "close_session": 3,
    "state": 7,
    "accept": 18,
    "decline": 3,
    "say": 2,
    "note": 1,
    "hold": 3,
    "resume": 3,
    "complete": 6,
    "finish": 2,
    "extend": 7,
    "pick": 2,
    "transfer": 3,
    "ask": 6,
    "going_on": 4,
    "between": 1,
    "call_me": 2,
    "call": 5,
    "reached": 2,
    "requeue": 2,
    "assign": 2,
    "close": 1,
    "reprioritise": 2,
    "relax": 1,
    "configure": 0.6,
    "calendar": 1,
    "restart": 0.1,
    "tick": 12,
    "settle": 3,
    "fail_outbound": 2,
    "retry": 3,
}

# Where customers come when they are called, papers are read after they came, operators know who is who, and
# supervisors have a word for everybody.
HALL: dict[str, float] = {
    **CHOICES,
    "enrich": 12,
    "merge": 3,
    "split": 3,
    "describe": 6,
    "recall": 5,
    "meet": 3,
    "announce": 2,
}


def a_hall(r: Random) -> Config:
    config = a_config(r)
    channels = {name: replace(channel, **_shows(r, list(config.queues))) for name, channel in config.channels.items()}
    queue = r.choice(list(config.queues))
    read = Rule("read", queue, when='"claim" in attributes && attributes["claim"] == "yes"', band=config.bands[0].name)
    spoken = Rule("spoken", queue, when='language == "es"', prefer=a_preference(r, tuple(config.agents)))
    return replace(config, channels=channels, rules=(read, spoken, *config.rules))


def _shows(r: Random, queues: list[str]) -> dict[str, Any]:
    if r.random() < 0.3:
        return {}
    resort = r.choice((END, KEEP, Resort("move", r.choice(queues))))
    return {"show_within": seconds(r.choice((0, 5, 5, 20))), "no_show": resort, "no_show_times": r.randint(1, 3)}


def hall(seed: int, steps: int) -> Walk:
    return Walk(seed, 20, a_hall, HALL).run(steps)


def parted(seed: int, steps: int) -> Walk:
    """A day in the log of a routing domain, which is given to another engine in the middle of it."""
    walk = Walk(seed, 20)
    walk.checked.do(c.AssignNumbers(domain=7), walk.now_ms)
    walk.run(steps // 2)
    walk.checked.do(c.GiveLead(to="engine-2", by="operator:sam", why="new memory"), walk.now_ms)
    walk.checked.restart(walk.now_ms)
    return walk.run(steps - steps // 2)
