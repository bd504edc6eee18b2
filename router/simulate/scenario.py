"""Scenarios: a day of a contact centre as a planner writes it down.

One document says what the house is like (`config`, as the daemon's own), who works when (`staff`), who calls
(`arrivals`), how people behave (`people`) and what breaks (`faults`). Durations are written with a unit. Times of the
day are durations since midnight ("8h30m"); shifts and profiles repeat every day.

`check` refuses what contradicts itself or cannot be, with the dotted path and what would be right. A rate of a million
calls an hour is a slip of the pen, and found before an hour of simulation is.
"""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from router.engine import config as engine
from router.engine.admission import ASKING
from router.engine.commands import Arrive
from router.engine.config import Config, Duration, Name
from router.engine.plan import Plan, check_config
from router.errors import ConfigError, NoRoute
from router.simulate.chance import shape, stream

DAY_MS = 86_400_000
# More contacts an hour than the largest contact centres of the world have.
MOST_PER_HOUR = 1_000_000
MOST_AGENTS = 200_000
LONGEST_RUN_MS = 366 * DAY_MS

Share = Annotated[float, Meta(ge=0, le=1)]
Rate = Annotated[float, Meta(ge=0, le=MOST_PER_HOUR)]


class Break(Struct, frozen=True, forbid_unknown_fields=True):
    """Away from work for a while; what is begun is finished first."""

    at: Duration
    length: Duration


class Staff(Struct, frozen=True, forbid_unknown_fields=True):
    """People who are alike. They are named after the group: support-1, support-2 ..."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_.-]{0,55}$")]
    count: Annotated[int, Meta(ge=0, le=MOST_AGENTS)]
    skills: dict[str, Annotated[int, Meta(ge=1, le=10)]] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    team: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    caps: dict[str, Annotated[int, Meta(ge=0, le=100)]] = field(default_factory=dict)
    budget: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    pace: Annotated[float, Meta(gt=0, le=10)] = 1.0  # times everybody's mean handle time; 1.2 is a fifth slower
    begins: Duration = Duration(0)  # time of the day; both left out: always there
    ends: Duration = Duration(0)
    breaks: tuple[Break, ...] = ()
    stagger: Duration = Duration(0)  # the last of the group begins (and ends, and pauses) so much later than the first


class Arrivals(Struct, frozen=True, forbid_unknown_fields=True):
    """One stream of contacts. What they ask for follows from the routing plan."""

    name: Name
    channel: Name
    to: str = ""  # the number, address or topic that they use
    language: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    per_hour: Rate | tuple[Rate, ...] = 0.0  # one rate for the whole day, or one for each `every` from `begins` on
    begins: Duration = Duration(0)  # time of the day
    every: Duration = Duration(3_600_000)
    backlog: Annotated[int, Meta(ge=0, le=10_000_000)] = 0  # that many wait already when the run begins
    file: str = ""  # in place of rates: a CSV with at_s and, if known, work_s and patience_s of each contact
    handle: Duration = Duration(180_000)  # mean
    handle_shape: str = "lognormal:1"
    patience: Duration | None = None  # mean; left out: waits for ever
    patience_shape: str = "exp"
    callback: Share = 0.0  # of those who are asked whether to call them back, how many say yes
    busyness: Share = 0.0  # coefficient of variation of the factor by which a whole day is busier than another


class People(Struct, frozen=True, forbid_unknown_fields=True):
    """How agents answer, where a queue does not accept for them."""

    answer: Duration = Duration(3_000)  # mean time to accept or decline
    answer_shape: str = "lognormal:0.5"
    miss: Share = 0.0  # of offers that nobody reacts to
    decline: Share = 0.0
    wrap_up: Duration = Duration(20_000)  # mean, where the queue lets the agent decide when to finish
    wrap_up_shape: str = "lognormal:0.7"
    reached: Share = 1.0  # of the customers who are called back, how many answer each time
    ring: Duration = Duration(15_000)  # until they answer, or the call is given up
    back: Duration = Duration(60_000)  # after missed offers took somebody off, they are ready again after this mean


class Faults(Struct, frozen=True, forbid_unknown_fields=True):
    """What breaks. Left out: nothing."""

    drop_every: Duration | None = None  # mean time between two losses of one agent's connection
    drop_for: Duration = Duration(5_000)  # mean time until it is back
    crashes: tuple[Duration, ...] = ()  # the router is killed, and restored from its snapshot and records
    back_within: Duration = Duration(10_000)  # all agents are connected again after a crash


class Goal(Struct, frozen=True, forbid_unknown_fields=True):
    """What staffing has to reach in each queue."""

    sl_x: Share = 0.8  # served within the target / (served + abandoned after it + turned away)
    abandon: Share = 1.0
    queues: dict[str, Share] = field(default_factory=dict)  # sl_x by queue, in place of the above


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """See the module."""

    name: str
    length: Duration
    arrivals: tuple[Arrivals, ...]
    config: Config = Config()
    staff: tuple[Staff, ...] = ()
    about: str = ""
    date: datetime.date = datetime.date(2024, 1, 1)  # of the first day, for calendars; the run's clock is UTC
    begins: Duration = Duration(0)  # time of the day at which the run begins
    warm_up: Duration = Duration(0)  # contacts that come in this time are not counted
    interval: Duration = Duration(1_800_000)  # of the report; a run of several days is folded into one
    seed: int = 1
    # Calls, chats and the like that gateways hold at once, waiting or not; one more hears the busy tone. 0: no limit.
    # What comes by a lasting channel (mail, fax) needs no line.
    lines: Annotated[int, Meta(ge=0)] = 0
    people: People = People()
    faults: Faults = Faults()
    goal: Goal = Goal()


# --- checking ---------------------------------------------------------------------------------------------------------


def complete(scenario: Scenario) -> Config:
    """The configuration with all agents, checked. Only what is open is remembered."""
    config = scenario.config
    agents = dict(config.agents)
    for group in scenario.staff:
        agents |= dict.fromkeys(names_of(group), _agent(group))
    config = replace(config, agents=agents, memory=replace(config.memory, closed=1))
    try:
        check_config(config)
    except ConfigError as error:
        raise under_config(error) from error
    return config


def under_config(error: ConfigError) -> ConfigError:
    """The same, with the path as it is in a scenario."""
    return ConfigError(f"config.{error.path}", error.expected, error.found)


def names_of(group: Staff) -> list[str]:
    return [f"{group.name}-{i + 1}" for i in range(group.count)]


def _agent(group: Staff) -> engine.Agent:
    return engine.Agent(
        skills=group.skills,
        languages=group.languages,
        team=group.team,
        attributes=group.attributes,
        caps=group.caps,
        budget=group.budget,
    )


def check(scenario: Scenario) -> None:
    """Raises ConfigError with the dotted path, what was expected and what was found."""
    _between(scenario.length, 1, LONGEST_RUN_MS, "length", "a time above 0s and at most 366d")
    _between(scenario.begins, 0, DAY_MS - 1, "begins", "a time of the day, below 24h")
    _between(scenario.interval, 60_000, DAY_MS, "interval", "from 1m to 24h")
    _between(scenario.warm_up, 0, scenario.length - 1, "warm_up", "less than `length`")
    if not scenario.arrivals:
        raise ConfigError("arrivals", "at least one stream of contacts", "none")
    _unlike([x.name for x in scenario.arrivals], "arrivals")
    _unlike([x.name for x in scenario.staff], "staff")
    for i, arrivals in enumerate(scenario.arrivals):
        _check_arrivals(arrivals, scenario.config, f"arrivals[{i}]")
    for i, group in enumerate(scenario.staff):
        _check_staff(group, scenario.config, f"staff[{i}]")
    if not scenario.config.agents and not any(group.count for group in scenario.staff):
        raise ConfigError("staff", "somebody to answer", "nobody")
    _shape(scenario.people.answer_shape, "people.answer_shape")
    _shape(scenario.people.wrap_up_shape, "people.wrap_up_shape")
    _check_faults(scenario)
    for name in scenario.goal.queues:
        _known(name, scenario.config.queues, f"goal.queues.{name}", "queue")
    _check_routes(scenario, complete(scenario))


def _check_routes(scenario: Scenario, config: Config) -> None:
    plan = Plan(config)
    for i, x in enumerate(scenario.arrivals):
        try:
            plan.route(asks(x))
        except NoRoute as error:
            expected = f"what a rule of {x.channel} takes, or config.default_queue to be set"
            raise ConfigError(f"arrivals[{i}].to", expected, repr(x.to)) from error


def asks(x: Arrivals) -> Arrive:
    """What the routing plan looks at."""
    return Arrive(channel=x.channel, threads=(x.name,), recipient=x.to, language=x.language, attributes=x.attributes)


def notes(scenario: Scenario) -> list[str]:
    """What is no error and may yet be none of what was meant: a slip in `to` sends a stream to the default queue."""
    config = scenario.config
    found = [
        f"{x.name}: nobody asks whether to call back" for x in scenario.arrivals if x.callback and not asking(config)
    ]
    streams = [x for x in scenario.arrivals if x.to and x.to != config.default_queue]
    plan = Plan(config) if streams else None
    return found + [
        f"{x.name}: no rule takes {x.to!r}, so they go to the default queue {config.default_queue}"
        for x in streams
        if plan is not None and not plan.route(asks(x)).rule
    ]


def asking(config: Config) -> bool:
    """Whether any queue or plan offers its customers to be called back."""
    plans = [queue.relax for queue in config.queues.values()] + [rule.relax or () for rule in config.rules]
    resorts = (getattr(q, field) for q in config.queues.values() for field in ASKING)
    unserved = (q.unservable.policy == "callback" for q in config.queues.values())
    return any(r.do == "callback" for r in resorts) or any(unserved) or any(s.callback for p in plans for s in p)


def _check_arrivals(x: Arrivals, config: Config, path: str) -> None:
    _known(x.channel, config.channels, f"{path}.channel", "channel")
    _between(x.begins, 0, DAY_MS - 1, f"{path}.begins", "a time of the day, below 24h")
    _between(x.every, 60_000, DAY_MS, f"{path}.every", "from 1m to 24h")
    _between(x.handle, 1, 30 * DAY_MS, f"{path}.handle", "a time above 0s and at most 30d")
    if x.patience is not None:
        _between(x.patience, 1, 3_650 * DAY_MS, f"{path}.patience", "a time above 0s, or left out")
    if x.callback and config.channels[x.channel].lasting:
        expected = f"nothing: who writes by {x.channel} is not asked"
        raise ConfigError(f"{path}.callback", expected, str(x.callback))
    rates = x.per_hour if isinstance(x.per_hour, tuple) else (x.per_hour,)
    if isinstance(x.per_hour, tuple) and len(rates) * x.every > DAY_MS:
        raise ConfigError(f"{path}.per_hour", f"at most {DAY_MS // x.every} rates, one day of them", str(len(rates)))
    if x.file and any(rates):
        raise ConfigError(f"{path}.file", "either a file or per_hour", "both")
    if not x.file and not any(rates) and not x.backlog:
        raise ConfigError(f"{path}.per_hour", "a rate above 0, a backlog or a file", "nothing that would come")
    _shape(x.handle_shape, f"{path}.handle_shape")
    _shape(x.patience_shape, f"{path}.patience_shape")


def _check_staff(x: Staff, config: Config, path: str) -> None:
    _between(x.begins, 0, DAY_MS, f"{path}.begins", "a time of the day, at most 24h")
    _between(x.ends, 0, 2 * DAY_MS, f"{path}.ends", "a time of the day, or of the next one")
    if (x.begins or x.ends) and x.ends <= x.begins:
        raise ConfigError(f"{path}.ends", "later than begins (the next day's 6h is 30h)", str(x.ends))
    if x.ends - x.begins > DAY_MS:
        raise ConfigError(f"{path}.ends", "at most 24h after begins", str(x.ends))
    for i, pause in enumerate(x.breaks):
        if not (x.begins <= pause.at and pause.at + pause.length <= (x.ends or DAY_MS)):
            raise ConfigError(f"{path}.breaks[{i}]", "a time inside of the shift", f"{pause.at} for {pause.length}")
    for skill in x.skills:
        _known(skill, config.skills, f"{path}.skills.{skill}", "skill")
    for channel in x.caps:
        _known(channel, config.channels, f"{path}.caps.{channel}", "channel")
    if x.team:
        _known(x.team, config.teams, f"{path}.team", "team")


def _check_faults(scenario: Scenario) -> None:
    faults = scenario.faults
    if faults.drop_every is not None:
        _between(faults.drop_every, 1_000, LONGEST_RUN_MS, "faults.drop_every", "at least 1s")
    for i, at in enumerate(faults.crashes):
        _between(at, 0, scenario.length, f"faults.crashes[{i}]", "a time within `length`")
    if scenario.people.miss + scenario.people.decline > 1:
        raise ConfigError(
            "people.miss", "with decline at most 1", f"{scenario.people.miss} and {scenario.people.decline}"
        )


def _shape(spec: str, path: str) -> None:
    shape(spec, stream(0, path), path)


def _between(value: int, low: int, high: int, path: str, expected: str) -> None:
    if not low <= value <= high:
        raise ConfigError(path, expected, str(value))


def _unlike(names: Iterable[str], path: str) -> None:
    seen = set[str]()
    for i, name in enumerate(names):
        if name in seen:
            raise ConfigError(f"{path}[{i}].name", "a name that no other has", repr(name))
        seen.add(name)


def _known(name: str, known: Iterable[str] | Mapping[str, Any], path: str, kind: str) -> None:
    known = sorted(known)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        expected = f"the {kind} {near[0]!r}" if near else f"a known {kind} ({', '.join(known) or 'none is defined'})"
        raise ConfigError(path, expected, repr(name))
