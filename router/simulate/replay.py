"""What if yesterday: the contacts and people of a journal, under another configuration (EX-3).

Taken from the journal as it was: who came, when and with what; when those who gave up did so; how long agents rang and
worked, per contact; when each agent was there. A customer who was to be called comes when the call was due, and goes to
the queue that was to call. Everything that is decided is decided anew, by the engine that a daemon runs.

Not everything can be known. How long somebody who was served would have waited at most, and how long work would have
taken that nobody did or finished, is drawn with a seed, and so is who misses and declines. Pauses for missed offers are
the engine's to impose, and are over after as long as such pauses were.

Transferred is what was transferred, to the same queue, agent or requirement, when the agent who has it has worked on it
as long as the one before did; whom it cannot be given on to there, that agent completes. Calendars are closed when an
operator had closed them. Not repeated, but counted: consults, what agents picked and what operators did with single
contacts.

What the journal tells is read by `past.py`, what it cannot tell drawn by `unknowns.py`, and both days are run by
`rerun.py`. Beside it stands what was, counted by the same code from the records themselves: each contact once, with
its first wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from router.engine import events as e
from router.engine.config import Agent, Config, Duration, from_bytes
from router.engine.events import Record
from router.simulate.past import Past, read
from router.simulate.report import Report, Reporter, Step
from router.simulate.rerun import Anew, Was
from router.simulate.scenario import Arrivals, Scenario
from router.simulate.unknowns import WORK_MS
from router.simulate.world import Kind

INTERVAL = Duration(1_800_000)


class Answer(Struct, frozen=True):
    """The same contacts and people under both configurations."""

    was: Report
    then: Report
    notes: list[str]


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
