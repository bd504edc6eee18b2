"""One desk over several routing domains: channels, agents and operators see one house.

What a question or a command is about says whose it is: a number begins with that of its domain, an agent is of one, a
thread is known by one. So nothing is kept here but the plan, by which a new contact finds its domain; it is made of the
configurations that are in force in the domains, and of the file's where one was never heard of.

Rules of this file:
1. A contact whose key or thread some domain knows is that domain's, whatever the plan says by now: a repetition must
   find its first time, an answer its question.
2. Who is not found while a domain is out of reach may be there: the answer is "come back", not "there is none".
3. Nothing leaves its domain: a transfer to a queue or an agent of another one is refused with a sentence.
4. Lists are of all domains, in order of their numbers, as if there were one log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from router.engine import commands as c
from router.engine import config as engine_config
from router.engine.commands import AnyCommand, Arrive, Reply
from router.engine.config import Config
from router.engine.engine import Engine
from router.engine.model import State
from router.engine.partition import domain_of, domain_of_letter, first_after
from router.engine.plan import Plan
from router.engine.rehearsal import Changes
from router.engine.views import (
    AgentView,
    CalendarView,
    CallbackOffer,
    CallbackView,
    CustomerView,
    Estimate,
    InteractionView,
    Outbound,
    QueueView,
    Refused,
    interaction_id,
)
from router.errors import IllegalMove, NotFound, RouterError, Unavailable
from router.service.clock import Clock
from router.service.desk import EngineDesk
from router.service.domains.parts import Domains, joined, split
from router.service.ports import Done, Outcome
from router.service.writer import safely

T = TypeVar("T")
COME_BACK_S = 1


class Source(Protocol):
    """What a domain's desk is made over; `failed` says why it is out of reach, "" that it is not."""

    clock: Clock
    failed: str

    @property
    def engine(self) -> Engine: ...

    def submit(self, command: AnyCommand, done: Done) -> None: ...


class Domain:
    """One of them, as this process sees it. `part` is its configuration by the file."""

    __slots__ = ("desk", "name", "number", "part", "source")

    def __init__(self, name: str, number: int, source: Source, part: Config) -> None:
        self.name, self.number, self.source, self.part = name, number, source, part
        self.desk = EngineDesk(source)

    @property
    def state(self) -> State:
        return self.source.engine.state

    @property
    def config(self) -> Config:
        """In force, as far as it was heard of."""
        return self.state.config if self.state.version else self.part

    def has_agent(self, name: str) -> bool:
        found = self.state.agents.get(name)
        return found is not None and not found.retired


class DomainsDesk:
    """See `ports.Desk`. `elsewhere` are domains that other edges serve, by the file."""

    def __init__(
        self, domains: Sequence[Domain], settings: Domains, clock: Clock, elsewhere: dict[str, Config] | None = None
    ) -> None:
        self.domains = sorted(domains, key=lambda d: d.number)
        self._settings, self._clock, self._elsewhere = settings, clock, elsewhere or {}
        self._by_number = {domain.number: domain for domain in self.domains}
        self._by_name = {domain.name: domain for domain in self.domains}
        self._versions: tuple[int, ...] = ()
        self._document = b""
        self._plan = Plan(Config())
        self._of_queue: dict[str, str] = {}

    # --- whose it is ------------------------------------------------------------------------------------------------

    def named(self, name: str) -> Domain:
        """Raises NotFound."""
        found = self._by_name.get(name)
        if found is None:
            raise NotFound(f"no routing domain {name[:64]!r} is served here; these are: {', '.join(self._by_name)}")
        return found

    def _of_number(self, number: int, kind: str = "i") -> Domain:
        found = self._by_number.get(domain_of(number))
        if found is None:
            raise NotFound(f"there is no {kind}-{number} in the routing domains that are served here")
        return found

    def _of_letter(self, number: int) -> Domain:
        found = self._by_number.get(domain_of_letter(number))
        if found is None:
            raise NotFound(f"nothing to be delivered has the number {number}")
        return found

    def _of_agent(self, name: str) -> Domain:
        for domain in self.domains:
            if domain.has_agent(name):
                return domain
        for other, part in self._elsewhere.items():
            if name in part.agents:
                raise NotFound(f"agent {name[:64]!r} is of routing domain {other}, which other edges serve")
        return self._unknown(f"there is no agent {name[:64]!r}", lambda d: name in d.state.agents)

    def _of_thread(self, thread: str) -> Domain:
        known = None
        for domain in self.domains:
            number = domain.state.threads.get(thread)
            if number is not None:
                item = domain.state.interactions.get(number)
                if item is not None and item.live:
                    return domain
                known = known or domain
        return known or self._unknown(f"no channel knows {thread[:100]!r}", lambda d: False)

    def _unknown(self, what: str, was: Callable[[Domain], bool]) -> Domain:
        """Rule 2. Whose it once was says best what is wrong with it."""
        for domain in self.domains:
            if domain.source.failed:
                raise Unavailable(f"{what} here, and routing domain {domain.name} is out of reach", COME_BACK_S)
        return next((domain for domain in self.domains if was(domain)), self.domains[0])

    def _of_queue_named(self, queue: str) -> str:
        self._fresh()
        return self._of_queue.get(queue, "")

    def _of_arrival(self, ask: Arrive) -> Domain:
        key, joins = ask.key, None
        for domain in self.domains:
            state = domain.state
            if key and key in state.keys_like(key).known:
                return domain
            if joins is None:
                for thread in ask.threads:
                    item = state.interactions.get(state.threads.get(thread, 0))
                    if item is not None and item.live:
                        joins = domain
        if joins is not None:
            return joins
        self._fresh()
        name = self._of_queue[self._plan.route(ask).queue]
        found = self._by_name.get(name)
        if found is None:
            raise Unavailable(f"this edge does not serve routing domain {name}; come to another one", COME_BACK_S)
        return found

    def _fresh(self) -> None:
        """The plan of what is in force."""
        versions = tuple(domain.state.version for domain in self.domains)
        if versions == self._versions:
            return
        parts = {domain.name: domain.config for domain in self.domains}
        whole = joined(parts.values())
        self._plan = Plan(joined([*parts.values(), *self._elsewhere.values()]))
        found = {queue: name for name, part in [*self._elsewhere.items(), *parts.items()] for queue in part.queues}
        self._of_queue, self._document, self._versions = found, engine_config.to_bytes(whole), versions

    # --- commands ---------------------------------------------------------------------------------------------------

    def submit(self, command: AnyCommand, done: Done) -> None:
        try:
            several = SEVERAL.get(type(command))
            if several is not None:
                self._submit_all(several(self, command), done)
                return
            domain = WHOSE[type(command)](self, command)
        except RouterError as problem:
            asyncio.get_running_loop().call_soon(safely, done, problem)
            return
        domain.source.submit(command, done)

    def _submit_all(self, asked: list[tuple[Domain, AnyCommand]], done: Done) -> None:
        """One act in several logs: done when it is in all, and what went wrong in any of them is said."""
        outcomes: list[Outcome] = []

        def one(outcome: Outcome) -> None:
            outcomes.append(outcome)
            if len(outcomes) == len(asked):
                done(next((o for o in outcomes if isinstance(o, RouterError)), outcomes[0]))

        for domain, command in asked:
            domain.source.submit(command, one)

    async def ask(self, command: AnyCommand) -> Reply:
        waiting: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.submit(command, lambda outcome: None if waiting.done() else waiting.set_result(outcome))
        outcome = await waiting
        if isinstance(outcome, RouterError):
            raise outcome
        return outcome

    def _by_thread(self, ask: Any) -> Domain:
        return self._of_thread(ask.thread)

    def _by_agent(self, ask: Any) -> Domain:
        return self._of_agent(ask.agent)

    def _by_session(self, ask: c.CloseSession) -> Domain:
        """It may have been opened where the agent was before."""
        having = (d for d in self.domains if (a := d.state.agents.get(ask.agent)) and ask.session in a.sessions)
        return next(having, None) or self._of_agent(ask.agent)

    def _by_work(self, ask: Any) -> Domain:
        """An agent who was moved to another domain finishes what they have in the former one."""
        number = ask.offer if type(ask) in (c.Accept, c.Decline) else ask.interaction
        domain = self._by_number.get(domain_of(number))
        if domain is not None and ask.agent in domain.state.agents:
            return domain
        return self._of_agent(ask.agent)

    def _by_interaction(self, ask: Any) -> Domain:
        return self._of_number(ask.interaction)

    def _by_letter(self, ask: Any) -> Domain:
        return self._of_letter(ask.outbound)

    def _callback(self, ask: c.RequestCallback) -> Domain:
        if ask.thread:
            return self._of_thread(ask.thread)
        return self.named(self._of_queue_named(ask.queue)) if self._of_queue_named(ask.queue) else self.domains[0]

    def _assignment(self, ask: c.Assign) -> Domain:
        domain = self._of_number(ask.interaction)
        self._stays(domain, ask.interaction, "", ask.agent)
        return domain

    def _transfer(self, ask: c.Transfer | c.Consult) -> Domain:
        domain = self._of_agent(ask.agent) if ask.agent else self._of_number(ask.interaction)
        self._stays(domain, ask.interaction, ask.to.queue, ask.to.agent)
        return domain

    def _stays(self, domain: Domain, number: int, queue: str, agent: str) -> None:
        """Rule 3. Names that nobody knows are left to the engine, which has a sentence for them."""
        other = self._of_queue_named(queue) if queue else ""
        if agent and not domain.has_agent(agent):
            other = next((d.name for d in self.domains if d.has_agent(agent)), "")
        if other and other != domain.name:
            what = f"queue {queue}" if queue else f"agent {agent}"
            raise IllegalMove(
                f"{interaction_id(number)} is of routing domain {domain.name}, {what} of {other}: "
                "a contact cannot leave its domain; transfer it to an outside address of that one"
            )

    # --- one act in several logs ------------------------------------------------------------------------------------

    def _reachable(self) -> list[Domain]:
        """All of them. Raises Unavailable: better nothing than half of it."""
        away = next((domain for domain in self.domains if domain.source.failed), None)
        if away is not None:
            raise Unavailable(f"routing domain {away.name} is out of reach; nothing was changed", COME_BACK_S)
        return self.domains

    def _customers(self, ask: AnyCommand) -> list[tuple[Domain, AnyCommand]]:
        """Where these customers are known; their contacts stay where they are."""
        takes: list[tuple[Domain, AnyCommand]] = []
        problems: list[RouterError] = []
        for domain in self._reachable():
            try:
                domain.desk.rehearse(ask)
            except RouterError as problem:
                problems.append(problem)
            else:
                takes.append((domain, ask))
        if not takes:
            raise problems[0]
        return takes

    def _calendars(self, ask: c.CloseCalendar | c.OpenCalendar) -> list[tuple[Domain, AnyCommand]]:
        having = [domain for domain in self._reachable() if ask.calendar in domain.state.hours]
        return [(domain, ask) for domain in having or self.domains[:1]]

    def _announcement(self, ask: c.Announce) -> list[tuple[Domain, AnyCommand]]:
        of = {domain: tuple(name for name in ask.agents if domain.has_agent(name)) for domain in self.domains}
        told = [(domain, replace(ask, agents=names)) for domain, names in of.items() if names]
        return [*told] or [(self.domains[0], ask)]

    def _configurations(self, ask: c.Configure) -> list[tuple[Domain, AnyCommand]]:
        """All are asked whether they could before any is told."""
        if self._elsewhere:
            raise IllegalMove("this edge serves some routing domains only; give a configuration to one that serves all")
        found: list[tuple[Domain, AnyCommand]] = []
        parts = split(engine_config.from_bytes(ask.document), self._settings)
        for domain in self._reachable():
            command = replace(ask, document=engine_config.to_bytes(parts[domain.name]))
            domain.desk.rehearse(command)
            found.append((domain, command))
        return found

    def decides_by(self, document: bytes) -> bool:
        """Whether this configuration of the house is in force everywhere."""
        parts = split(engine_config.from_bytes(document), self._settings)
        return all(d.state.document == engine_config.to_bytes(parts[d.name]) for d in self.domains)

    def rehearse(self, command: AnyCommand) -> None:
        several = SEVERAL.get(type(command))
        asked = several(self, command) if several is not None else [(WHOSE[type(command)](self, command), command)]
        for domain, part in asked:
            domain.desk.rehearse(part)

    async def foresee(self, document: bytes) -> Changes:
        found = Changes()
        for domain, command in self._configurations(c.Configure(document=document)):
            more = await domain.desk.foresee(command.document)  # type: ignore[union-attr]
            found.queues |= more.queues
            found.offers_withdrawn += more.offers_withdrawn
            found.holds_lost += more.holds_lost
            for name in ("withdrawn", "held", "agents_added", "agents_removed", "agents_changed"):
                getattr(found, name).extend(getattr(more, name))
            for kind, count in more.agents.items():
                found.agents[kind] = found.agents.get(kind, 0) + count
        return found

    # --- looking ----------------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def interaction(self, number: int) -> InteractionView:
        return self._of_number(number).desk.interaction(number)

    def find(self, thread: str) -> int | None:
        for domain in self.domains:
            number = domain.desk.find(thread)
            if number is not None:
                return number
        return None

    def thread_of(self, number: int) -> str:
        return self._of_number(number).desk.thread_of(number)

    def portion(self, state: str, queue: str, after: int, limit: int) -> tuple[list[InteractionView], int]:
        """Of one domain; after its last one comes the next domain's first."""
        at = domain_of(after)
        domain = next((d for d in self.domains if d.number >= at), None)
        if domain is None:
            return [], 0
        found, go_on = domain.desk.portion(state, queue, max(after, first_after(domain.number)), limit)
        if go_on:
            return found, go_on
        following = next((d for d in self.domains if d.number > domain.number), None)
        return found, first_after(following.number) if following is not None else 0

    def queued_for(self, agent: str, limit: int) -> tuple[list[InteractionView], bool]:
        return self._of_agent(agent).desk.queued_for(agent, limit)

    def interactions(self, state: str = "", queue: str = "", after: int = 0, limit: int = 100) -> list[InteractionView]:
        most = min(limit, 1_000)
        found, after = self.portion(state, queue, after, most)
        while after and len(found) < most:
            more, after = self.portion(state, queue, after, most - len(found))
            found += more
        return found

    def agent(self, agent: str) -> AgentView:
        return self._of_agent(agent).desk.agent(agent)

    def agents(self, after: str = "", limit: int = 1_000) -> list[AgentView]:
        """Who was moved is shown by the domain that has them now."""
        most = min(limit, 1_000)
        views = (v for d in self.domains for v in d.desk.agents(after, most) if d.has_agent(v.agent))
        return sorted(views, key=lambda view: view.agent)[:most]

    def callbacks(self, after: int = 0, limit: int = 100) -> list[CallbackView]:
        most = min(limit, 1_000)
        return list(_first(most, (view for d in self.domains for view in d.desk.callbacks(after, most))))

    def customer(self, identity: str) -> CustomerView:
        """One person, whichever domains they spoke with."""
        (_, first), *more = self._known_by(identity)
        found = [first, *(view for _, view in more)]
        return replace(
            first,
            identities=tuple(dict.fromkeys(name for view in found for name in view.identities)),
            interactions=tuple(name for view in found for name in view.interactions),
            last_agent=next((view.last_agent for view in found if view.last_agent), ""),
            history=_distinct(act for view in found for act in view.history),
            card=replace(first.card, fields={n: v for view in reversed(found) for n, v in view.card.fields.items()}),
        )

    def _known_by(self, identity: str) -> list[tuple[Domain, CustomerView]]:
        """Where a customer is known; first where their card is, which is in one domain. Raises NotFound."""
        found: list[tuple[Domain, CustomerView]] = []
        problem: NotFound | None = None
        for domain in self.domains:
            try:
                found.append((domain, domain.desk.customer(identity)))
            except NotFound as unknown:
                problem = unknown
        if not found:
            assert problem is not None, "there is a domain"
            away = next((domain for domain in self.domains if domain.source.failed), None)
            if away is not None:
                raise Unavailable(f"{problem}, and routing domain {away.name} is out of reach", COME_BACK_S)
            raise problem
        return sorted(found, key=lambda known: -known[1].card.version)

    def _cards(self, ask: c.DescribeCustomer) -> list[tuple[Domain, AnyCommand]]:
        """Where the card is; where there is none yet, where it can be begun.

        While a domain was away, or by a merge, one customer may have got cards in two: what is written on the first
        one is taken off the others, so that one of them says it in the end. What is out of reach is said as before,
        behind the first one's words, and can only not be taken away.
        """
        known = self._known_by(ask.identity)
        if not known[0][1].card.version:
            known.sort(key=lambda one: bool(one[0].source.failed))
        (home, _), *others = known
        self._demand_card(home)
        home.desk.rehearse(ask)
        asked: list[tuple[Domain, AnyCommand]] = [(home, ask)]
        for domain, view in others:
            said = {name: text for name, text in ask.fields.items() if name in view.card.fields}
            if said and not (domain.source.failed and all(said.values())):
                self._demand_card(domain)
                asked.append((domain, replace(ask, version=view.card.version, fields=dict.fromkeys(said, ""))))
        return asked

    def _demand_card(self, domain: Domain) -> None:
        if domain.source.failed:
            raise Unavailable(
                f"the card of this customer is kept in routing domain {domain.name}, which is out of reach; "
                "nothing was changed",
                COME_BACK_S,
            )

    def callback_of(self, identity: str) -> CallbackView | None:
        return next((v for d in self.domains if (v := d.desk.callback_of(identity)) is not None), None)

    def queues(self, since_ms: int = 0) -> list[QueueView]:
        return [view for domain in self.domains for view in domain.desk.queues(since_ms)]

    def calendars(self) -> list[CalendarView]:
        """What several domains go by is one calendar, and closed where it is closed in any."""
        found: dict[str, CalendarView] = {}
        for domain in self.domains:
            for view in domain.desk.calendars():
                other = found.get(view.calendar)
                if other is not None:
                    told = view if other.open and not view.open else other
                    view = replace(told, queues=(*other.queues, *view.queues))
                found[view.calendar] = view
        return list(found.values())

    def refusal(self, number: int) -> Refused | None:
        return self._of_number(number).desk.refusal(number)

    def callback_offer(self, number: int) -> CallbackOffer | None:
        return self._of_number(number).desk.callback_offer(number)

    def estimate(self, number: int) -> Estimate | None:
        return self._of_number(number).desk.estimate(number)

    def explain(self, number: int) -> dict[str, Any]:
        return self._of_number(number).desk.explain(number)

    def why_not(self, number: int, agent: str) -> dict[str, Any]:
        domain, whose = self._of_number(number), self._whose(agent)
        if whose in ("", domain.name) or agent in domain.state.agents:
            return domain.desk.why_not(number, agent)
        domain.desk.interaction(number)
        said = f"{agent} is of routing domain {whose}, this contact of {domain.name}, and nothing leaves its domain"
        return {"interaction": interaction_id(number), "agent": agent, "code": "other-domain", "reason": said}

    def _whose(self, agent: str) -> str:
        """The domain that somebody is of now; "": of none that is known."""
        here = (domain.name for domain in self.domains if domain.has_agent(agent))
        return next(here, "") or next((name for name, part in self._elsewhere.items() if agent in part.agents), "")

    def routes(self, channel: str, to: str) -> bool:
        self._fresh()
        return self._plan.takes(channel, to)

    def outbounds(self, dead: bool = False) -> list[Outbound]:
        return [letter for domain in self.domains for letter in domain.desk.outbounds(dead)]

    def configuration(self) -> tuple[int, bytes]:
        """Each change of any domain is a further version of the house's."""
        self._fresh()
        return sum(self._versions), self._document


def _first(most: int, views: Iterable[T]) -> Iterator[T]:
    for _, view in zip(range(most), views, strict=False):
        yield view


def _distinct(acts: Iterable[dict[str, object]]) -> tuple[dict[str, object], ...]:
    """What an operator did in several domains at once was one act."""
    found: list[dict[str, object]] = []
    for act in acts:
        if act not in found:
            found.append(act)
    return tuple(found)


_D = DomainsDesk
WHOSE: dict[type[c.Command], Callable[[DomainsDesk, Any], Domain]] = {
    Arrive: _D._of_arrival,
    **dict.fromkeys(
        (
            c.Enrich,
            c.Append,
            c.Remark,
            c.Renew,
            c.ConfirmConnection,
            c.FailConnection,
            c.ConfirmConsult,
            c.FailConsult,
            c.FailCall,
            c.Leave,
            c.SendCopy,
        ),
        _D._by_thread,
    ),
    **dict.fromkeys((c.OpenSession, c.SetState), _D._by_agent),
    c.CloseSession: _D._by_session,
    **dict.fromkeys(
        (
            c.Accept,
            c.Decline,
            c.Say,
            c.Hold,
            c.Resume,
            c.Complete,
            c.FinishWrapUp,
            c.ExtendWrapUp,
            c.Pick,
            c.JoinConsult,
            c.CompleteConsult,
            c.EndConsult,
            c.Recall,
            c.MeetCustomer,
        ),
        _D._by_work,
    ),
    **dict.fromkeys((c.Note, c.Requeue, c.Close, c.Reprioritise, c.Relax), _D._by_interaction),
    **dict.fromkeys((c.SettleOutbound, c.FailOutbound, c.RetryOutbound), _D._by_letter),
    c.CancelCallback: lambda desk, ask: desk._of_number(ask.callback, "c"),
    c.RequestCallback: _D._callback,
    c.Assign: _D._assignment,
    c.Transfer: _D._transfer,
    c.Consult: _D._transfer,
}
SEVERAL: dict[type[c.Command], Callable[[DomainsDesk, Any], list[tuple[Domain, AnyCommand]]]] = {
    c.MergeCustomers: _D._customers,
    c.SplitCustomer: _D._customers,
    c.DescribeCustomer: _D._cards,
    c.CloseCalendar: _D._calendars,
    c.OpenCalendar: _D._calendars,
    c.Announce: _D._announcement,
    c.Configure: _D._configurations,
}
# What is said by an engine to itself, or to one domain by name.
NOT_HERE: frozenset[type[c.Command]] = frozenset({c.Restart, c.Tick, c.AssignNumbers, c.GiveLead})
