"""A month of real calls under other rules and other rosters.

Reads tables in the form of the "Anonymous Bank" data (Technion): one line for each call, with its type, priority, the
time in queue, how it ended, the time in service and the agent's name. Who only spoke to the machine is left out.

What is known is kept: when a call came, how long it took, and for a caller who hung up, how patient they were. What is
not known is estimated. Of a caller who was served we only know that patience was longer than the wait (it is censored),
so it is drawn from what lies beyond that wait on the type's Kaplan-Meier curve; beyond the end of that, patience is
exponential with the rate that maximises the likelihood. How long a lost call would have taken is drawn from the served
ones of its type. An agent is taken to be there from the first to the last call that they answered, without the gaps in
which they answered none for long.

What they do between two calls is not written down. A pause after each call stands for it, as long as makes the bank's
own rule give the mean wait that was (`calibrated`); without it the month would look better under any rule than it was.
"""

from __future__ import annotations

import csv
import gzip
import io
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from router.engine.config import Agent, Channel, Config, Duration, Memory, Order, Queue, Rule, WrapUp
from router.engine.requirements import Node
from router.errors import ConfigError
from router.simulate.chance import stream
from router.simulate.figures import Tally
from router.simulate.world import BEGIN_MS, Contact, Kind, Watch, World

Step = Callable[[int, int], None]

DAY_S = 86_400
GAP_S = 1_800  # who answers nobody for so long was away
RARE = 5  # so few calls of a type in the month are a favour and no skill
FAVOURED = "2"  # the priority whose callers the bank serves first
CREDIT = Duration(90_000)  # that they start with, by the description of the data
TARGETS = {True: Duration(30_000), False: Duration(60_000)}
LONGEST_PAUSE_S = 128
OPENS_S = 7 * 3_600
NOBODY = "NO_SERVER"
COLUMNS = ("priority", "type", "date", "vru_exit", "q_time", "outcome", "ser_start", "ser_exit", "ser_time", "server")


class Call(Struct, frozen=True):
    """Times in seconds, from the beginning of the first day."""

    at: int
    type: str
    favoured: bool
    waited: int
    served: bool
    took: int
    agent: str
    begun: int


class Month(Struct, frozen=True):
    calls: list[Call]  # in the order of time
    shifts: dict[str, list[tuple[int, int]]]  # agent -> when they were there
    skills: dict[str, list[str]]  # agent -> types


def read(path: Path) -> Month:
    """Raises ConfigError with the line for what is no such table."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8", "replace")
    except (OSError, EOFError) as error:
        raise ConfigError(str(path), "a table of calls", str(error)) from error
    lines = csv.DictReader(io.StringIO(text), delimiter="\t")
    missing = [name for name in COLUMNS if name not in (lines.fieldnames or ())]
    if missing:
        raise ConfigError(str(path), f"the columns {', '.join(COLUMNS)}, separated by tabs", f"no {missing[0]}")
    calls = sorted(_calls(lines, path), key=lambda call: call.at)
    if not calls:
        raise ConfigError(str(path), "calls that wanted an agent", "none")
    return Month(calls, _shifts(calls), _skills(calls))


def _calls(lines: Iterable[dict[str, str]], path: Path) -> Iterator[Call]:
    """Who was served, or waited and hung up."""
    first = ""
    for n, line in enumerate(lines, 2):
        first = first or line["date"]
        served = line["outcome"] == "AGENT"
        try:
            waited = int(line["q_time"])
            if not (served or (line["outcome"] == "HANG" and waited > 0)):
                continue
            day = (int(line["date"]) - int(first)) * DAY_S
            at = day + _seconds(line["vru_exit"])
            begun = day + _seconds(line["ser_start"]) if served else 0
            favoured, took = line["priority"] == FAVOURED, max(1, int(line["ser_time"]))
        except ValueError as error:
            raise ConfigError(f"{path}:{n}", "numbers and times of the day", str(error)) from error
        yield Call(at, line["type"].strip(), favoured, waited, served, took, line["server"].strip(), begun)


def _seconds(clock: str) -> int:
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return hours * 3_600 + minutes * 60 + seconds


def _shifts(calls: Iterable[Call]) -> dict[str, list[tuple[int, int]]]:
    answered: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for call in calls:
        if call.served and call.agent != NOBODY:
            answered[call.agent].append((call.begun, call.begun + call.took))
    found: dict[str, list[tuple[int, int]]] = {}
    for agent, spans in answered.items():
        merged: list[tuple[int, int]] = []
        for begin, end in sorted(spans):
            if merged and begin - merged[-1][1] <= GAP_S:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            else:
                merged.append((begin, end))
        found[agent] = merged
    return found


def _skills(calls: Iterable[Call]) -> dict[str, list[str]]:
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for call in calls:
        if call.served and call.agent != NOBODY:
            counts[call.agent][call.type] += 1
    return {agent: sorted(t for t, n in types.items() if n >= RARE) for agent, types in counts.items()}


# --- patience ---------------------------------------------------------------------------------------------------------


class Survival:
    """How long callers wait before they hang up: (seconds, whether they did) of each."""

    def __init__(self, waits: Sequence[tuple[int, bool]]) -> None:
        self.times, self.stays = kaplan_meier(waits)
        lost = sum(gave_up for _, gave_up in waits)
        self.mean = sum(t for t, _ in waits) / lost if lost else 1e9  # maximum likelihood for exponential patience

    def beyond(self, waited: int, random: Random) -> float:
        """Patience of somebody who is known to have waited so long, in seconds."""
        at = bisect_right(self.times, waited)
        now = self.stays[at - 1] if at else 1.0
        wanted = now * random.random()
        for time, stays in zip(self.times[at:], self.stays[at:], strict=True):
            if stays <= wanted:
                return time + random.random()
        last = max(float(waited), self.times[-1] if self.times else 0.0)
        return last + random.expovariate(1 / self.mean)


def kaplan_meier(waits: Iterable[tuple[int, bool]]) -> tuple[list[int], list[float]]:
    """Times at which somebody hung up, and the share of callers who stay beyond each (Kaplan and Meier, 1958)."""
    left: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    total = 0
    for waited, gave_up in waits:
        left[waited][0] += 1
        left[waited][1] += gave_up
        total += 1
    times, stays, share = [], [], 1.0
    for time in sorted(left):
        gone, gave_up_now = left[time]
        if gave_up_now:
            share *= 1 - gave_up_now / total
            times.append(time)
            stays.append(share)
        total -= gone
    return times, stays


# --- again, otherwise -------------------------------------------------------------------------------------------------


class Variant(Struct, frozen=True):
    """Another way to run the month."""

    name: str
    order: Order
    credit: bool = False  # favoured callers start with CREDIT
    pause_s: int = 0  # after each call
    more: int = 0  # people for every type, from seven to midnight; below 0: so many of the busiest stay at home


BANK = Variant("the bank's rule: 90 s of credit", Order(policy="share-of-target", handle_times=False), credit=True)
VARIANTS: tuple[Variant, ...] = (
    BANK,
    Variant("first come", Order(policy="first-come")),
    Variant("share of target", Order()),
    Variant("favoured strictly first", Order(policy="priority")),
    Variant("adaptive", Order(policy="adaptive")),
    Variant("share of target, 1 more", Order(), more=1),
    Variant("share of target, 2 more", Order(), more=2),
    Variant("share of target, 1 fewer", Order(), more=-1),
)


class Found(Struct, frozen=True):
    """What became of the callers; "favoured", "others" and "all"."""

    name: str
    metrics: dict[str, dict[str, float]]
    staffed_h: float


def what_was(month: Month) -> Found:
    """As it is written down, by the same definitions."""
    tallies = _tallies()
    for call in month.calls:
        tally = tallies[call.favoured]
        tally.offered += 1
        tally.waited += call.waited > 0
        (tally.serve if call.served else tally.abandon)(call.waited * 1_000)
    hours = sum(end - begin for spans in month.shifts.values() for begin, end in spans) / 3_600
    return Found("what was", _metrics(tallies), hours)


def _tallies() -> dict[bool, Tally]:
    return {favoured: Tally(int(target)) for favoured, target in TARGETS.items()}


def _metrics(tallies: dict[bool, Tally]) -> dict[str, dict[str, float]]:
    whole = Tally(0)
    for tally in tallies.values():
        whole.merge(tally)
    return {"all": whole.metrics(), "favoured": tallies[True].metrics(), "others": tallies[False].metrics()}


class _Watcher(Watch):
    def __init__(self, month: Month, step: Step | None) -> None:
        self.month, self.step, self.tallies = month, step, _tallies()

    def _tally(self, x: Contact) -> Tally:
        return self.tallies[self.month.calls[x.index].favoured]

    def arrived(self, x: Contact, now_ms: int) -> None:
        tally = self._tally(x)
        tally.offered += 1
        tally.waited += x.offered_ms < 0
        if self.step is not None and not x.index % 500:
            self.step(x.index, len(self.month.calls))

    def begun(self, x: Contact, now_ms: int) -> None:
        self._tally(x).serve(now_ms - x.born_ms)

    def abandoned(self, x: Contact, now_ms: int) -> None:
        self._tally(x).abandon(now_ms - x.born_ms)


def again(month: Month, variant: Variant, seed: int = 1, step: Step | None = None) -> Found:
    """The same callers under other rules and rosters."""
    types = sorted({call.type for call in month.calls})
    shifts = _roster(month, variant.more)
    watcher = _Watcher(month, step)
    kinds = [Kind(name, "phone", name) for name in _queues(types)]
    world = World(_config(month, types, shifts, variant), kinds, lambda x, agent: round(x.work), watcher)
    for agent, spans in sorted(shifts.items()):
        for begin, end in spans:
            world.plan(BEGIN_MS + begin * 1_000, lambda agent, now: world.sign_in(agent, now), agent.lower())
            world.plan(BEGIN_MS + end * 1_000, lambda agent, now: world.sign_off(agent, now), agent.lower())
    world.expect(_contacts(month, types, seed))
    world.run()
    hours = sum(end - begin for spans in shifts.values() for begin, end in spans) / 3_600
    return Found(variant.name, _metrics(watcher.tallies), hours)


def _queues(types: Sequence[str]) -> list[str]:
    """Each type has a line for the favoured and one for the others."""
    return [f"{name.lower()}-{who}" for name in types for who in ("others", "favoured")]


def _roster(month: Month, more: int) -> dict[str, list[tuple[int, int]]]:
    """Fewer: the busiest stay at home. More: people who are there from seven to midnight."""
    by_hours = sorted(month.shifts, key=lambda a: (-sum(e - b for b, e in month.shifts[a]), a))
    found = {agent: month.shifts[agent] for agent in by_hours[max(0, -more) :]}
    days = sorted({begin // DAY_S for spans in month.shifts.values() for begin, _ in spans})
    opened = [(day * DAY_S + OPENS_S, (day + 1) * DAY_S) for day in days]
    return found | {f"MORE{i + 1}": opened for i in range(max(0, more))}


def _config(month: Month, types: list[str], shifts: Iterable[str], variant: Variant) -> Config:
    queues = {}
    for name in _queues(types):
        favoured = name.endswith("favoured")
        skill = Node(skill=name.split("-")[0])
        queue = Queue(requirement=skill, auto_accept=True, target=TARGETS[favoured], wrap_up=_pause(variant.pause_s))
        if variant.credit:
            queue = replace(queue, target=TARGETS[False], head_start=CREDIT if favoured else Duration(0))
        queues[name] = queue
    return Config(
        channels={"phone": Channel(exclusive=True)},
        order=variant.order,
        skills=tuple(name.lower() for name in types),
        queues=queues,
        rules=tuple(Rule(name, name, to=(name,)) for name in queues),
        agents={
            agent.lower(): Agent(skills={name.lower(): 5 for name in month.skills.get(agent, types)})
            for agent in shifts
        },
        memory=Memory(closed=1),
    )


def _pause(seconds: int) -> WrapUp:
    return WrapUp("forced", Duration(seconds * 1_000)) if seconds else WrapUp()


def calibrated(month: Month, seed: int = 1, say: Step | None = None) -> int:
    """The pause after each call, in seconds, with which the bank's rule gives the mean wait that was, or just less."""
    wanted = what_was(month).metrics["all"]["mean_wait"]
    low, high = 0, LONGEST_PAUSE_S
    for turn in range(7):
        middle = (low + high) // 2
        found = again(month, replace(BANK, pause_s=middle), seed).metrics["all"]["mean_wait"]
        low, high = (middle, high) if found <= wanted else (low, middle)
        if say is not None:
            say(turn + 1, 7)
    return low


def _contacts(month: Month, types: list[str], seed: int) -> Iterator[Contact]:
    survival = {
        name: Survival([(call.waited, not call.served) for call in month.calls if call.type == name]) for name in types
    }
    took = {name: [call.took for call in month.calls if call.type == name and call.served] or [180] for name in types}
    patient, work = stream(seed, "patience"), stream(seed, "work")
    for index, call in enumerate(month.calls):
        beyond = survival[call.type].beyond(call.waited, patient)
        lost = work.choice(took[call.type])
        patience, length = (beyond, call.took) if call.served else (float(call.waited), lost)
        kind = 2 * types.index(call.type) + call.favoured
        yield Contact(index, BEGIN_MS + call.at * 1_000, kind, length * 1_000.0, round(patience * 1_000))
