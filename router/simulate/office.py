"""A scenario's people and faults around the engine.

Agents come and go by their shifts, think before they accept, miss and decline offers, document, lose their connection
and come back. Customers come by their streams' rates or from a file. The router may be killed: a new engine is made of
the last snapshot and the records since, must equal the old one byte for byte, and everybody connects again.
"""

from __future__ import annotations

import csv
import datetime
from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from pathlib import Path
from random import Random
from typing import cast

from router.engine import commands as c
from router.engine import events as e
from router.engine.engine import Engine
from router.engine.entities import TAKEN_OFF
from router.engine.events import AnyEvent, Record
from router.engine.transitions import WRAP_UP
from router.errors import ConfigError, RouterError
from router.simulate.calling import FIGURES, Calling, with_callbacks
from router.simulate.chance import Draw, shape, stream
from router.simulate.scenario import DAY_MS, Arrivals, Scenario, Staff, complete, names_of
from router.simulate.world import NEVER, Contact, Kind, Watch

SNAPSHOT_AFTER = 20_000  # records
FAULTS: dict[type[e.Event], str] = {
    e.OfferExpired: "missed_offers",
    e.OfferDeclined: "declined_offers",
    e.Restarted: "crashes",
    e.Requeued: "requeued",
}
_EPOCH = datetime.date(1970, 1, 1)


class Office(Calling):
    """See the module."""

    def __init__(self, scenario: Scenario, watch: Watch, seed: int) -> None:
        self.scenario, self.seed = scenario, seed
        self.midnight_ms = (scenario.date - _EPOCH).days * DAY_MS
        self.begin_ms = self.midnight_ms + scenario.begins
        self.end_ms = self.begin_ms + scenario.length
        self.records: list[Record] = []
        self.image = b""
        self.keeps_records = bool(scenario.faults.crashes)
        config = complete(scenario)
        self._auto = {name: queue.auto_accept for name, queue in config.queues.items()}
        self._forced = {name: queue.wrap_up.mode == "forced" for name, queue in config.queues.items()}
        self.paces = {name: group.pace for group in scenario.staff for name in names_of(group)}
        self.means_ms = [int(x.handle) for x in scenario.arrivals]
        self.on_duty: set[str] = set()  # by their shift, breaks excepted
        self.cut_off: dict[str, int] = {}  # without connection -> until when
        kinds = [Kind(x.name, x.channel, x.to, x.language, x.attributes) for x in scenario.arrivals]
        self.faults = dict.fromkeys(("missed_offers", "declined_offers", "lost_connections", "crashes", "requeued"), 0)
        self.says_yes = [x.callback for x in scenario.arrivals]
        self.reached, self.ring_ms = scenario.people.reached, int(scenario.people.ring)
        self.mind = stream(seed, "callbacks")
        if any(self.says_yes):
            config = with_callbacks(config)
            self.faults |= dict.fromkeys(FIGURES, 0)
        super().__init__(config, kinds, self._handle_ms, watch, scenario.lines, self.begin_ms)
        self._moods()
        self._plan_people()
        self._plan_faults()
        self.expect(contacts(scenario, seed, self.begin_ms))

    def heed(self, events: Sequence[e.Event], now_ms: int) -> None:
        super().heed(events, now_ms)
        for event in events:
            if type(event) in FAULTS:
                self.faults[FAULTS[type(event)]] += 1

    def _moods(self) -> None:
        people, seed = self.scenario.people, self.seed
        self._mood = stream(seed, "mood")
        self._answer = _times(people.answer, people.answer_shape, stream(seed, "answer"))
        self._wrap_up = _times(people.wrap_up, people.wrap_up_shape, stream(seed, "wrap-up"))
        self._back = _times(people.back, "exp", stream(seed, "back"))
        self._drop = stream(seed, "drop")

    def _handle_ms(self, x: Contact, agent: str) -> int:
        return round(x.work * self.means_ms[x.kind] * self.paces.get(agent, 1.0))

    def tell(self, command: c.AnyCommand, now_ms: int) -> None:
        if not self.keeps_records:
            super().tell(command, now_ms)
            return
        out = self.engine.handle(command, now_ms)
        for i, event in enumerate(out.events):
            self.records.append(Record(out.at_ms, "" if i else out.key, cast(AnyEvent, event)))
        self.heed(out.events, now_ms)
        if len(self.records) >= SNAPSHOT_AFTER:
            self.image = self.engine.snapshot()
            self.records.clear()

    # --- shifts ----------------------------------------------------------------------------------------------------

    def _plan_people(self) -> None:
        for name in self.scenario.config.agents:
            self.plan(self.begin_ms, self._come, name)
        for group in self.scenario.staff:
            for i, name in enumerate(names_of(group)):
                later = group.stagger * i // max(1, group.count - 1)
                self._plan_next(name, _changes(group, self.midnight_ms + later, self.begin_ms))

    def _plan_next(self, agent: str, changes: Iterator[tuple[int, str]]) -> None:
        at, what = next(changes)
        if at < self.end_ms:
            self.plan(at, self._shift, (agent, what, changes))

    def _shift(self, whom: tuple[str, str, Iterator[tuple[int, str]]], now_ms: int) -> None:
        agent, what, changes = whom
        if what == "come":
            self._come(agent, now_ms)
        else:
            self._go(agent, what, now_ms)
        self._plan_next(agent, changes)

    def _come(self, agent: str, now_ms: int) -> None:
        self.on_duty.add(agent)
        if agent not in self.cut_off:
            self.sign_in(agent, now_ms)

    def _go(self, agent: str, why: str, now_ms: int) -> None:
        self.on_duty.discard(agent)
        self.tell(c.SetState(agent=agent, state="not_ready", reason=why), now_ms)
        if why == "home" and not self.load[agent]:
            self.tell(c.CloseSession(agent=agent, session="s"), now_ms)

    def _freed(self, agent: str, now_ms: int) -> None:
        super()._freed(agent, now_ms)
        known = self.engine.state.agents[agent]
        if not self.load[agent] and known.sessions and "home" in (known.reason, known.requested_reason):
            # Not at once: what the engine said with this must be heard first.
            self.plan(now_ms, self._leave_house, agent)

    def _leave_house(self, agent: str, now_ms: int) -> None:
        if agent not in self.on_duty and not self.load[agent]:
            self.tell(c.CloseSession(agent=agent, session="s"), now_ms)

    # --- offers and wrap-up ----------------------------------------------------------------------------------------

    def _offered(self, event: e.OfferMade, now_ms: int) -> None:
        super()._offered(event, now_ms)
        queue = self.engine.state.interactions[event.interaction].queue
        if event.cause != "routed" or self._auto.get(queue, False):
            return
        people, mood = self.scenario.people, self._mood.random()
        if mood >= people.miss:
            declines = mood < people.miss + people.decline
            self.plan(now_ms + self._answer(), self._reply, (event.offer, event.agent, declines))

    def _reply(self, whom: tuple[int, str, bool], now_ms: int) -> None:
        number, agent, declines = whom
        offer = self.engine.state.offers.get(number)
        if offer is None or now_ms >= offer.expires_at_ms:
            return
        ask = c.Decline(agent=agent, offer=number) if declines else c.Accept(agent=agent, offer=number)
        self.tell(ask, now_ms)

    def _complete(self, whom: tuple[Contact, int], now_ms: int) -> None:
        """Somebody who is cut off says so when the connection is back."""
        until = self.cut_off.get(whom[0].agent)
        if until is not None:
            self.plan(max(until, now_ms) + 1, self._complete, whom)
        else:
            super()._complete(whom, now_ms)

    def _ended(self, event: e.InteractionEnded, now_ms: int) -> None:
        super()._ended(event, now_ms)
        if event.wrap_up and not self._forced[self.engine.state.interactions[event.interaction].queue]:
            self.plan(now_ms + self._wrap_up(), self._finish, event.interaction)

    def _finish(self, number: int, now_ms: int) -> None:
        item = self.engine.state.interactions.get(number)
        if item is None or item.state != WRAP_UP:
            return
        if item.owner in self.cut_off:
            self.plan(max(self.cut_off[item.owner], now_ms) + 1, self._finish, number)
        else:
            self.tell(c.FinishWrapUp(agent=item.owner, interaction=number), now_ms)

    def _changed(self, event: e.StateChanged | e.SessionOpened | e.SessionClosed, now_ms: int) -> None:
        super()._changed(event, now_ms)
        if isinstance(event, e.StateChanged) and event.reason in TAKEN_OFF and not event.until_ms:
            self.plan(now_ms + self._back(), self._return, event.agent)

    def _return(self, agent: str, now_ms: int) -> None:
        """Taken off for missed offers, and now noticing it."""
        if agent in self.on_duty and agent not in self.cut_off:
            self.tell(c.SetState(agent=agent, state="ready"), now_ms)

    # --- faults ----------------------------------------------------------------------------------------------------

    def _plan_faults(self) -> None:
        for after in self.scenario.faults.crashes:
            self.plan(self.begin_ms + after, self._crash, None)
        if self.scenario.faults.drop_every is not None:
            for agent in self.load:
                self._plan_drop(agent, self.begin_ms)

    def _plan_drop(self, agent: str, now_ms: int) -> None:
        mean = self.scenario.faults.drop_every
        assert mean is not None
        at = now_ms + round(self._drop.expovariate(1.0) * mean)
        if at < self.end_ms:
            self.plan(at, self._cut, agent)

    def _cut(self, agent: str, now_ms: int) -> None:
        if self.engine.state.agents[agent].sessions:
            until = now_ms + 1 + round(self._drop.expovariate(1.0) * self.scenario.faults.drop_for)
            self.faults["lost_connections"] += 1
            self._lose(agent, until, now_ms)
            self.tell(c.CloseSession(agent=agent, session="s", reason="dropped"), now_ms)
        self._plan_drop(agent, now_ms)

    def _lose(self, agent: str, until: int, now_ms: int) -> None:
        self.cut_off[agent] = max(until, self.cut_off.get(agent, 0))
        self.plan(until, self._connect, agent)

    def _connect(self, agent: str, now_ms: int) -> None:
        if self.cut_off.get(agent, NEVER) > now_ms:
            return
        del self.cut_off[agent]
        if agent in self.on_duty:
            self.sign_in(agent, now_ms)
        elif self.load[agent]:
            self.tell(c.OpenSession(agent=agent, session="s"), now_ms)

    def _crash(self, _: None, now_ms: int) -> None:
        """Kill the router. What it was is made again from what it had recorded."""
        before = self.engine
        self.engine = Engine.restore(self.image) if self.image else Engine()
        self.engine.quiet = True
        for record in self.records:
            self.engine.apply(record)
        if self.engine.snapshot() != before.snapshot():
            raise RouterError(
                f"the engine restored at {now_ms} is not the one that was killed; please report this seed"
            )
        self.engine.resume()
        back = self.scenario.faults.back_within
        for agent, known in before.state.agents.items():
            if known.sessions:
                self._lose(agent, now_ms + 1 + round(self._drop.random() * back), now_ms)
        self.tell(c.Restart(), now_ms)


def _times(mean_ms: int, spec: str, random: Random) -> Callable[[], int]:
    draw = shape(spec, random)
    return lambda: round(draw() * mean_ms)


def _changes(group: Staff, midnight_ms: int, from_ms: int) -> Iterator[tuple[int, str]]:
    """When somebody comes and goes, day after day, from a time on; who is there then comes at once."""
    if not group.ends and not group.breaks:
        yield from_ms, "come"
        yield NEVER, ""
    there: str | None = None
    day = midnight_ms - DAY_MS
    while True:
        for at, what in _day(group):
            if day + at < from_ms:
                there = what
                continue
            if there == "come":
                yield from_ms, there
            there = None
            yield day + at, what
        day += DAY_MS


def _day(group: Staff) -> Iterator[tuple[int, str]]:
    always = not group.ends
    yield group.begins, "come"
    for pause in sorted(group.breaks, key=lambda x: x.at):
        yield pause.at, "break"
        yield pause.at + pause.length, "come"
    if not always:
        yield group.ends, "home"


# --- who comes --------------------------------------------------------------------------------------------------------


def contacts(scenario: Scenario, seed: int, begin_ms: int) -> Iterator[Contact]:
    """All streams in the order of time. Rules and rosters have no part in them."""
    lines = [_line(scenario, i, seed) for i in range(len(scenario.arrivals))]
    for index, (at, kind, work, patience) in enumerate(merge(*lines, key=lambda entry: entry[0])):
        yield Contact(index, begin_ms + int(at), kind, work, patience)


Came = tuple[float, int, float, int]


def _line(scenario: Scenario, i: int, seed: int) -> Iterator[Came]:
    x = scenario.arrivals[i]
    work = shape(x.handle_shape, stream(seed, f"work {x.name}"))
    patient = shape(x.patience_shape, stream(seed, f"patience {x.name}"))

    def patience() -> int:
        return NEVER if x.patience is None else round(patient() * x.patience)

    if x.file:
        yield from _from_file(x, i, int(scenario.length), work, patience)
        return
    for _ in range(x.backlog):
        yield 0.0, i, work(), patience()
    for at in _times_of(x, scenario, seed):
        yield at, i, work(), patience()


def _times_of(x: Arrivals, scenario: Scenario, seed: int) -> Iterator[float]:
    """Milliseconds from the beginning: a Poisson stream whose rate changes by the time of the day."""
    random, days = stream(seed, f"arrivals {x.name}"), stream(seed, f"busyness {x.name}")
    factor = 1.0
    today = -1
    for begin, end, per_hour in _pieces(x, scenario):
        if int(begin + scenario.begins) // DAY_MS != today and x.busyness:
            today = int(begin + scenario.begins) // DAY_MS
            k = 1 / x.busyness**2
            factor = days.gammavariate(k, 1 / k)
        rate = per_hour * factor / 3_600_000
        at = begin
        while rate > 0 and (at := at + random.expovariate(rate)) < end:
            yield at


def _pieces(x: Arrivals, scenario: Scenario) -> Iterator[tuple[float, float, float]]:
    """(from, until, rate per hour), in milliseconds from the beginning."""
    length, day = float(scenario.length), -float(scenario.begins)
    rates = x.per_hour if isinstance(x.per_hour, tuple) else (x.per_hour,)
    every = x.every if isinstance(x.per_hour, tuple) else DAY_MS
    begins = x.begins if isinstance(x.per_hour, tuple) else 0
    while day < length:
        for n, rate in enumerate(rates):
            begin, end = day + begins + n * every, day + begins + (n + 1) * every
            if end > 0 and begin < length:
                yield max(begin, 0.0), min(end, length), rate
        day += DAY_MS


def _from_file(x: Arrivals, i: int, length: int, work: Draw, patience: Callable[[], int]) -> Iterator[Came]:
    with Path(x.file).open(newline="", encoding="utf-8") as file:
        last = 0.0
        for n, line in enumerate(csv.DictReader(file), 2):
            at = _number(line, "at_s", f"{x.file}:{n}")
            if at is None or at * 1_000 < last:
                raise ConfigError(f"{x.file}:{n}.at_s", "seconds from the beginning, in order", repr(line.get("at_s")))
            last = at * 1_000
            if last >= length:
                return
            took, stays = _number(line, "work_s", f"{x.file}:{n}"), _number(line, "patience_s", f"{x.file}:{n}")
            own = work() if took is None else took * 1_000 / x.handle
            yield last, i, own, patience() if stays is None else round(stays * 1_000)


def _number(line: dict[str, str], name: str, path: str) -> float | None:
    text = line.get(name) or ""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1e9:
        raise ConfigError(f"{path}.{name}", "seconds from 0 to 1e9", repr(text))
    return value
