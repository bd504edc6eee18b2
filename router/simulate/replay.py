"""What if yesterday: the contacts and people of a journal, under another configuration (EX-3).

Taken from the journal as it was: who came, when and with what; when those who gave up did so; how long agents rang and
worked, per contact; when each agent was there. A customer who was to be called comes when the call was due, and goes to
the queue that was to call. Everything that is decided is decided anew, by the engine that a daemon runs.

Not everything can be known. How long somebody who was served would have waited at most, and how long work would have
taken that nobody did or finished, is drawn: patience from the exponential distribution with the rate of the likeliest
(those who gave up / time waited by all), work from what was finished in the same channel, both with a seed and from
where the journal breaks off. Agents miss and decline by chance as large a share of their offers as they did. Pauses
for missed offers are the engine's to impose, and are over after as long as such pauses were.

Transferred is what was transferred, to the same queue, agent or requirement, when the agent who has it has worked on it
as long as the one before did; whom it cannot be given on to there, that agent completes. Calendars are closed when an
operator had closed them. Not repeated, but counted: consults, what agents picked and what operators did with single
contacts.

Beside it stands what was, counted by the same code from the records themselves: each contact once, with its first wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import heappop
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Agent, Config, Duration, Rule, from_bytes
from router.engine.events import Record
from router.engine.model import TAKEN_OFF
from router.engine.transitions import WRAP_UP
from router.errors import ClientError, JournalCorrupt, RouterError
from router.simulate.chance import stream
from router.simulate.report import Report, Reporter, Step
from router.simulate.scenario import DAY_MS, Arrivals, Scenario
from router.simulate.world import LEFT, NEVER, Contact, Kind, World

INTERVAL = Duration(1_800_000)
RING_MS = 3_000  # where nobody ever answered
WORK_MS = 180_000  # where nothing was ever finished
PAUSE_MS = 60_000  # where nobody ever was off for missed offers


class Leg(Struct, gc=False):
    """A transfer, and the work of the agent who then had it; -1 for what never happened."""

    to: c.Target
    begun_ms: int = -1
    released_ms: int = -1


class Life(Struct):
    """What a journal tells of one contact; -1 for what never happened."""

    came: e.InteractionArrived
    at_ms: int
    offered_ms: int = -1
    ring_ms: int = -1
    begun_ms: int = -1
    released_ms: int = -1  # an agent was through with it, wrap-up and all
    left_ms: int = -1  # gave up before anybody had it
    over_ms: int = -1  # ended by the house before anybody had it
    legs: list[Leg] = []  # of what was transferred by who had it
    is_call: bool = False  # the customer is to be called, and so waits for ever


class Manners(Struct):
    """What an agent made of the offers that they had to answer."""

    answered: int = 0
    missed: int = 0
    declined: int = 0
    pauses_ms: list[int] = field(default_factory=list)  # off for missed offers

    @property
    def offers(self) -> int:
        return self.answered + self.missed + self.declined


class Past(Struct):
    """A journal, read once."""

    lives: dict[int, Life] = field(default_factory=dict)
    consults: set[int] = field(default_factory=set)  # interactions between two agents: nobody came
    calls: dict[int, e.InteractionArrived] = field(default_factory=dict)  # callback -> what it is about
    offers: dict[int, int] = field(default_factory=dict)  # that nobody has answered yet -> since when
    manners: dict[str, Manners] = field(default_factory=dict)
    off: dict[str, int] = field(default_factory=dict)  # for missed offers, since when
    asked_others: int = 0  # consults, the outside included
    transfers: int = 0
    by_hand: dict[str, int] = field(default_factory=dict)  # what people did with single contacts -> how often
    emergencies: list[tuple[int, e.Event]] = field(default_factory=list)
    presence: list[tuple[int, e.Event]] = field(default_factory=list)  # sessions and states, in order
    document: bytes = b""
    agents: set[str] = field(default_factory=set)
    begin_ms: int = 0
    end_ms: int = 0


class Answer(Struct, frozen=True):
    """The same contacts and people under both configurations."""

    was: Report
    then: Report
    notes: list[str]


# --- reading ----------------------------------------------------------------------------------------------------------


def read(records: Iterable[Record]) -> Past:
    """Raises JournalCorrupt for records that do not follow from one another, RouterError where nobody ever came."""
    past = Past()
    for seq, record in enumerate(records, 1):
        past.begin_ms = past.begin_ms or record.at_ms
        past.end_ms = record.at_ms
        reader = READERS.get(type(record.event))
        by_hand = BY_HAND.get(type(record.event))
        if by_hand is not None and (what := by_hand(record.event)):
            past.by_hand[what] = past.by_hand.get(what, 0) + 1
        if reader is not None:
            try:
                reader(past, record.event, record.at_ms)
            except KeyError as error:
                raise JournalCorrupt(seq, f"names interaction {error}, which the records before do not know") from error
    for agent in list(past.off):
        _back(past, agent, past.end_ms)
    if not past.lives or not past.document:
        raise RouterError("the journal holds no contacts: there is nothing to replay")
    return past


def _arrived(past: Past, event: e.InteractionArrived, at_ms: int) -> None:
    past.lives[event.interaction] = Life(event, at_ms)


def _life(past: Past, number: int) -> Life | None:
    """None for a consult. Raises KeyError for what the records do not know."""
    return None if number in past.consults else past.lives[number]


def _offered(past: Past, event: e.OfferMade, at_ms: int) -> None:
    past.offers[event.offer] = at_ms
    life = _life(past, event.interaction)
    if life is not None:
        life.offered_ms = at_ms


def _accepted(past: Past, event: e.OfferAccepted, at_ms: int) -> None:
    if past.offers.pop(event.offer, at_ms) < at_ms:  # at once is by the queue or by a supervisor
        _manners(past, event.agent).answered += 1
    life = _life(past, event.interaction)
    if life is not None and life.begun_ms < 0:
        life.begun_ms, life.ring_ms = at_ms, at_ms - life.offered_ms
    elif life is not None and life.legs and life.legs[-1].begun_ms < 0:
        life.legs[-1].begun_ms = at_ms


def _manners(past: Past, agent: str) -> Manners:
    return past.manners.setdefault(agent, Manners())


def _missed(past: Past, event: e.OfferExpired, at_ms: int) -> None:
    _manners(past, event.agent).missed += 1


def _declined(past: Past, event: e.OfferDeclined, at_ms: int) -> None:
    _manners(past, event.agent).declined += 1


def _ended(past: Past, event: e.InteractionEnded, at_ms: int) -> None:
    life = _life(past, event.interaction)
    if life is None:
        return
    if life.begun_ms >= 0:
        if not event.wrap_up:
            _released(past, event.interaction, at_ms)
    elif event.reason in LEFT:
        life.left_ms = at_ms
    else:
        life.over_ms = at_ms


def _released(past: Past, number: int, at_ms: int) -> None:
    """By the first agent who had it, or by one to whom it was transferred; what others did is not repeated."""
    life = _life(past, number)
    if life is not None and life.begun_ms >= 0 and life.released_ms < 0:
        life.released_ms = at_ms
    elif life is not None and life.legs and life.legs[-1].begun_ms >= 0 and life.legs[-1].released_ms < 0:
        life.legs[-1].released_ms = at_ms


def _transferred(past: Past, event: e.Transferred, at_ms: int) -> None:
    _released(past, event.interaction, at_ms)
    life = _life(past, event.interaction)
    if event.from_agent and life is not None:
        past.transfers += 1
        life.legs.append(Leg(_target(event)))


def _target(event: e.Transferred) -> c.Target:
    node = event.requirement
    if node is None:
        return c.Target(queue=event.queue)
    return c.Target(agent=node.agent[0]) if len(node.agent) == 1 else c.Target(requirement=node)


def _consulted(past: Past, event: e.ConsultStarted, at_ms: int) -> None:
    past.asked_others += 1
    if event.consult:
        past.consults.add(event.consult)


def _call_wanted(past: Past, event: e.CallbackRequested, at_ms: int) -> None:
    """By an operator, or by a caller who is on the line."""
    arrival = event.arrival if event.arrival is not None else past.lives[event.interaction].came
    past.calls[event.callback] = replace(arrival, direction="callback")


def _place_kept(past: Past, event: e.CallbackKept, at_ms: int) -> None:
    past.lives[event.interaction].is_call = True


def _call_due(past: Past, event: e.CallbackDue, at_ms: int) -> None:
    """Every attempt is an interaction of its own."""
    came = past.calls[event.callback]
    if not came.interaction:  # the first one, and the place of those that may follow
        came = past.calls[event.callback] = replace(came, interaction=event.interaction, enqueued_at_ms=at_ms)
    past.lives[event.interaction] = Life(came, at_ms, is_call=True)


def _present(past: Past, event: Any, at_ms: int) -> None:
    past.agents.add(event.agent)
    if isinstance(event, e.StateChanged):
        _back(past, event.agent, at_ms)
        if event.reason in TAKEN_OFF:
            past.off[event.agent] = at_ms
            return
    past.presence.append((at_ms, event))


def _back(past: Past, agent: str, at_ms: int) -> None:
    if agent in past.off:
        _manners(past, agent).pauses_ms.append(at_ms - past.off.pop(agent))


def _configured(past: Past, event: e.Configured, at_ms: int) -> None:
    past.document = event.document


def _emergency(past: Past, event: e.EmergencyDeclared | e.EmergencyEnded, at_ms: int) -> None:
    past.emergencies.append((at_ms, event))


OFFERED_BY_HAND = {"pick": "pick", "assign": "assignment"}
BY_HAND: dict[type[e.Event], Callable[[Any], str]] = {
    e.OfferMade: lambda event: OFFERED_BY_HAND.get(event.cause, ""),
    e.Requeued: lambda event: "requeue" if event.by else "",
    e.PriorityChanged: lambda event: "change of priority",
    e.RequirementRelaxed: lambda event: "step of a relaxation plan by hand" if event.by else "",
    e.Transferred: lambda event: "transfer by an operator" if event.by and not event.from_agent else "",
    e.InteractionEnded: lambda event: "closing by an operator" if event.reason == "closed" else "",
}
READERS: dict[type[e.Event], Callable[[Past, Any, int], None]] = {
    e.Configured: _configured,
    e.InteractionArrived: _arrived,
    e.OfferMade: _offered,
    e.OfferAccepted: _accepted,
    e.OfferExpired: _missed,
    e.OfferDeclined: _declined,
    e.InteractionEnded: _ended,
    e.WrapUpFinished: lambda past, event, at: _released(past, event.interaction, at),
    e.Transferred: _transferred,
    e.ConsultStarted: _consulted,
    e.ConsultCompleted: lambda past, event, at: _released(past, event.interaction, at),
    e.CallbackRequested: _call_wanted,
    e.CallbackKept: _place_kept,
    e.CallbackDue: _call_due,
    e.Requeued: lambda past, event, at: _released(past, event.interaction, at),
    e.EmergencyDeclared: _emergency,
    e.EmergencyEnded: _emergency,
    e.SessionOpened: _present,
    e.SessionClosed: _present,
    e.StateChanged: _present,
    e.Restarted: lambda past, event, at: past.presence.append((at, event)),
}


# --- what cannot be known ---------------------------------------------------------------------------------------------


class Unknowns:
    """Draws what the journal breaks off before: the same for every configuration."""

    def __init__(self, past: Past, seed: int) -> None:
        self._past = past
        self._patient, self._work = stream(seed, "patience"), stream(seed, "work")
        self.finished: dict[str, list[int]] = {}
        waited, left = dict[str, int](), dict[str, int]()
        for life in past.lives.values():
            channel = life.came.channel
            if life.released_ms >= 0:
                self.finished.setdefault(channel, []).append(life.released_ms - life.begun_ms)
            if life.is_call:
                continue
            waited[channel] = waited.get(channel, 0) + self._waited(life)
            left[channel] = left.get(channel, 0) + (life.left_ms >= 0)
        self.patience_ms = {name: waited[name] / n for name, n in left.items() if n}
        rings = [life.ring_ms for life in past.lives.values() if life.ring_ms >= 0]
        self.ring_ms = sorted(rings)[len(rings) // 2] if rings else RING_MS

    def _waited(self, life: Life) -> int:
        until = next((ms for ms in (life.begun_ms, life.left_ms, life.over_ms) if ms >= 0), self._past.end_ms)
        return until - life.at_ms

    def patience(self, life: Life) -> int:
        """Known of who gave up. Who did not would have waited for so long more."""
        mean_ms = self.patience_ms.get(life.came.channel)
        drawn = self._patient.expovariate(1.0)  # for everybody, so that one more who gave up changes nobody else
        if life.left_ms >= 0:
            return life.left_ms - life.at_ms
        return NEVER if mean_ms is None or life.is_call else self._waited(life) + round(drawn * mean_ms)

    def work(self, life: Life) -> int:
        """Known of what was finished; otherwise as much as something that was, and no less than what was done."""
        return self._worked(life.came.channel, life.begun_ms, life.released_ms)

    def legs(self, life: Life) -> list[tuple[c.Target, int]]:
        """To whom it was transferred, and the work that they had with it."""
        channel = life.came.channel
        return [(leg.to, self._worked(channel, leg.begun_ms, leg.released_ms)) for leg in life.legs]

    def _worked(self, channel: str, begun_ms: int, released_ms: int) -> int:
        known = self.finished.get(channel) or [WORK_MS]
        drawn = known[self._work.randrange(len(known))]
        if released_ms >= 0:
            return released_ms - begun_ms
        done = self._past.end_ms - begun_ms if begun_ms >= 0 else 0
        return max(drawn, done)


class Answers:
    """Whether an agent answers an offer: by the shares that they missed and declined."""

    def __init__(self, past: Past, seed: int) -> None:
        self._manners = past.manners
        self._all = [ms for manners in past.manners.values() for ms in manners.pauses_ms] or [PAUSE_MS]
        self._mood = {agent: stream(seed, f"mood {agent}") for agent in past.manners}

    def to(self, agent: str) -> str:
        """accept, decline or miss."""
        manners = self._manners.get(agent)
        if manners is None or not manners.offers:
            return "accept"
        drawn = self._mood[agent].random() * manners.offers
        if drawn < manners.missed:
            return "miss"
        return "decline" if drawn < manners.missed + manners.declined else "accept"

    def pause(self, agent: str) -> int:
        """How long they are off for missed offers."""
        known = self._manners[agent].pauses_ms or self._all
        return known[self._mood[agent].randrange(len(known))]


# --- running ----------------------------------------------------------------------------------------------------------


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


def replay(records: Callable[[], Iterable[Record]], config: Config, seed: int = 1, step: Step | None = None) -> Answer:
    """`records` gives the journal from its beginning, each time it is asked. The same seed gives the same answer."""
    past = read(records())
    before = from_bytes(past.document)
    kinds = _kinds(past)
    was_agents = {name: before.agents.get(name, Agent()) for name in sorted({*past.agents, *before.agents})}
    was = Reporter(_scenario("what was", past, replace(before, agents=was_agents), seed))
    old = Was(past, replace(before, agents=was_agents), kinds, was)
    was.attach(old)
    old.follow(records())
    then = Reporter(_scenario("under the other configuration", past, config, seed), step)
    new = Anew(past, replace(config, memory=replace(config.memory, closed=1)), kinds, then, seed)
    then.attach(new)
    new.run(new.end_ms)
    return Answer(was.report(seed), then.report(seed), list(_notes(past, config, new)))


def _kinds(past: Past) -> list[Kind]:
    channels = dict.fromkeys(life.came.channel for life in past.lives.values())
    return [Kind(name, name, "") for name in channels]


def _scenario(name: str, past: Past, config: Config, seed: int) -> Scenario:
    """As much of one as a report needs: streams are channels."""
    length = Duration(max(1, past.end_ms - past.begin_ms))
    streams = tuple(Arrivals(kind.name, kind.channel) for kind in _kinds(past))
    return Scenario(name, length, streams, config, interval=INTERVAL, seed=seed)


def _notes(past: Past, config: Config, new: Anew) -> Iterator[str]:
    gone = sorted(past.agents - config.agents.keys())
    if gone:
        yield f"not in the other configuration, so they stayed away: {', '.join(gone)}"
    never = sorted(config.agents.keys() - past.agents)
    if never:
        yield f"never signed in, so they do not help: {', '.join(never)}"
    for why, n in sorted(new.refused.items()):
        yield f"{n} contacts were refused: {why}"
    yield from _transfers(past, new)
    yield from _not_repeated(past)
    closed = {event.calendar for _, event in past.emergencies if isinstance(event, e.EmergencyDeclared)}
    missing = sorted(closed - config.calendars.keys())
    if missing:
        yield f"closed in an emergency, and not in the other configuration: {', '.join(missing)}"
    yield from _handle_times(past)


def _transfers(past: Past, new: Anew) -> Iterator[str]:
    if past.transfers:
        kept = f"; in {new.kept_on} there was nobody to give it to, and the agent completed it" if new.kept_on else ""
        yield f"{_many(past.transfers, 'transfer')} in the journal, repeated: {new.transferred}{kept}"


def _not_repeated(past: Past) -> Iterator[str]:
    if past.asked_others:
        yield f"not repeated: {_many(past.asked_others, 'consult')}; who was asked is free in that time"
    if past.by_hand:
        did = ", ".join(_many(n, what) for what, n in sorted(past.by_hand.items()))
        yield f"not repeated, done by hand: {did}"
    missed = sum(x.missed + x.declined for x in past.manners.values())
    if missed:
        yield f"{_many(missed, 'offer')} missed or declined: each agent does so again by chance, to the same share"


def _handle_times(past: Past) -> Iterator[str]:
    """What is known of them, and what stands in for the others."""
    known: dict[str, list[bool]] = {}
    for life in past.lives.values():
        known.setdefault(life.came.channel, []).append(life.released_ms >= 0)
    for channel, finished in known.items():
        n, of = sum(finished), len(finished)
        if not n:
            taken = f"{WORK_MS // 1_000} s are taken as their handle time"
            yield f"{channel}: nothing was finished of {_many(of, 'contact')}, so {taken}"
        elif n < of:
            yield f"{channel}: handle times are known of {n} of {_many(of, 'contact')}; others are drawn from those"


def _many(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
