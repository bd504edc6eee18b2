"""The routing plan: from what a channel tells of a contact to queue, requirement and priority (RT-11).

Ordered rules; the first one whose conditions all hold decides. The plain conditions (`channel`, `to`) are checked
first, because they are a lookup; `when` is an expression in CEL (Common Expression Language, https://cel.dev),
type-checked when the configuration is read, so that a misspelt name is refused there. Expressions see: channel, to,
from, subject, language (strings), auto (string: "" or how an automatic message was recognised) and attributes (a map).

An expression that fails while it runs (a missing attribute, a number that isn't one) does not hold; `attributes` should
be asked with `"key" in attributes && ...`.

cel-expr-python is young, so nothing but this module knows it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from router.engine.admission import check_resorts
from router.engine.balance import check_helping
from router.engine.calendars import check_calendar
from router.engine.commands import Arrive
from router.engine.config import Config, Queue, Rule, Step
from router.engine.order import DIVISIBLE
from router.engine.preferred import check_prefer
from router.engine.relaxation import MAX_STEPS, Ladder, asked_by, asked_on_top, idle_steps
from router.engine.requirements import Names, Node, check
from router.engine.tally import check_figures
from router.errors import ConfigError, NoRoute, UnknownName

MAX_RULES = 10_000


class Routed(Struct, frozen=True):
    """What the plan says of one contact; "" and 0 where the queue's own values hold."""

    queue: str
    requirement: Node | None = None
    band: str = ""
    weight: float = 0.0
    target_ms: int = 0
    rule: str = ""


class KnownNames(Struct, frozen=True):
    skills: frozenset[str]
    attributes: frozenset[str]
    teams: frozenset[str]
    agents: frozenset[str]


def names_of(config: Config) -> KnownNames:
    return KnownNames(
        frozenset(config.skills), frozenset(config.attributes), frozenset(config.teams), frozenset(config.agents)
    )


class Condition:
    """One compiled `when`. Raises ConfigError for what does not compile to a truth value."""

    def __init__(self, source: str, path: str) -> None:
        self._expression, self._cel = _compile(source, path)

    def holds(self, arrival: Arrive) -> bool:
        values = {
            "channel": arrival.channel,
            "to": arrival.recipient,
            "from": arrival.sender,
            "subject": arrival.subject,
            "language": arrival.language,
            "auto": arrival.attributes.get("auto", ""),
            "attributes": dict(arrival.attributes),
        }
        result = self._expression.eval(data=values)
        return result.type() == self._cel.Type.BOOL and bool(result.value())


# What expressions see, and what they can do with it; for suggestions, so that not all of CEL has to be here.
TEXTS = ("channel", "to", "from", "subject", "language", "auto")
_VERBS = ("startsWith", "endsWith", "contains", "matches", "size", "exists", "all", "has", "int", "double", "string")


def _compile(source: str, path: str) -> tuple[Any, Any]:
    # Imported here: half of all installations have no expression, and the library is 50 MB.
    from cel_expr_python import cel

    text = cel.Type.STRING
    env = cel.NewEnv(variables={**dict.fromkeys(TEXTS, text), "attributes": cel.Type.Map(text, text)})
    try:
        expression = env.compile(source)
    except Exception as error:  # the library raises its own and built-in types
        found = f"{source!r}: {_misread(str(error), source)}"
        raise ConfigError(path, "a CEL expression", found) from error
    if expression.return_type() != cel.Type.BOOL:
        raise ConfigError(path, "a CEL expression that is true or false", repr(source))
    return expression, cel


# The library reports several complaints, each with a drawing. The first is the cause; others mostly follow from it.
_COMPLAINT = re.compile(r"ERROR: <input>:(?P<line>\d+):(?P<column>\d+): (?P<what>.*)")
_VERBOSE = re.compile(r"^Syntax error: | \(in container ''\)$| expecting \{.*| \[INVALID_ARGUMENT\]$")
# What it says -> what that means for who wrote the expression. The parts in brackets are put into the sentence.
_MEANINGS = tuple(
    (re.compile(said), meant)
    for said, meant in (
        (r"undeclared reference to '(.*)'", "there is nothing named '{0}'"),
        (
            r"token recognition error at: '[\"'].*'",
            "a text begins that does not end well; look at its quotes and backslashes",
        ),
        (r"token recognition error at: '(.*?)\s*'", "'{0}' means nothing"),
        (r"(?:mismatched|extraneous) input '<EOF>'.*", "it ends where more has to follow"),
        (r"(?:mismatched|extraneous) input '(.*?)'.*", "'{0}' cannot stand there"),
        (r"missing '(.*)' at .*", "'{0}' is missing"),
        (r"found no matching overload for '_?(.*?)_?' applied to '\((.*)\)'", "'{0}' does not go with ({1})"),
    )
)
_OTHERWISE = {"=": "to compare, write ==", "and": "write &&", "or": "write ||"}


def _misread(report: str, source: str) -> str:
    """The library's first complaint of an expression in a sentence: where, what, and what it says itself in short."""
    found = _COMPLAINT.search(report)
    if found is None:
        return " ".join(report.split())
    column = f"column {found['column']}"
    where = f"line {found['line']}, {column}" if "\n" in source.strip() else column
    said = _VERBOSE.sub("", _VERBOSE.sub("", found["what"]))
    for pattern, meant in _MEANINGS:
        if matched := pattern.fullmatch(said):
            return f"at {where} {meant.format(*matched.groups())}{_advice(matched)} ({said})"
    return f"at {where}: {said}"


def _advice(complaint: re.Match[str]) -> str:
    word = complaint[1] if complaint.re.groups else ""
    if word in _OTHERWISE:
        return f"; {_OTHERWISE[word]}"
    near = difflib.get_close_matches(word, (*TEXTS, "attributes", *_VERBS), 1)
    return f"; did you mean '{near[0]}'?" if near and "undeclared" in complaint[0] else ""


# Roads are remembered by channel and address; addresses come from outside, so there are bounds.
_ROADS_MAX = 10_000

Road = tuple[tuple[Routed, Condition | None], ...]


class Plan:
    """The rules of one configuration, ready to be asked."""

    def __init__(self, config: Config) -> None:
        self._default = Routed(config.default_queue) if config.default_queue is not None else None
        self._rules: list[tuple[frozenset[str], frozenset[str], Routed, Condition | None]] = []
        for i, rule in enumerate(config.rules):
            condition = Condition(rule.when, f"rules[{i}].when") if rule.when else None
            self._rules.append((frozenset(rule.channel), frozenset(rule.to), _routed(rule), condition))
        self.prefers = {rule.name: rule.prefer for rule in config.rules if rule.prefer is not None}
        self._roads: dict[tuple[str, str], Road] = {}
        self.plain: dict[tuple[str, str], Routed] = {}  # where channel and address alone decide: filled by `route`

    def route(self, arrival: Arrive) -> Routed:
        """What to do with this contact. Raises NoRoute when no rule takes it and there is no default queue."""
        channel, to = arrival.channel, arrival.recipient
        road = self._roads.get((channel, to))
        if road is None:
            road = self._find_road(channel, to)
        for i, (routed, condition) in enumerate(road):
            if condition is None or condition.holds(arrival):
                if i == 0 and condition is None:
                    self._remember(channel, to, routed)
                return routed
        if self._default is None:
            raise NoRoute(f"no rule takes {channel} to {to[:80]!r}; add one, or set default_queue")
        return self._default

    def _remember(self, channel: str, to: str, routed: Routed) -> None:
        if len(self.plain) >= _ROADS_MAX:
            self.plain.clear()
        self.plain[channel, to] = routed

    def _find_road(self, channel: str, to: str) -> Road:
        """The rules whose plain conditions hold for this channel and address, up to the first without another one."""
        found = []
        for channels, recipients, routed, condition in self._rules:
            if (not channels or channel in channels) and (not recipients or to in recipients):
                found.append((routed, condition))
                if condition is None:
                    break
        if len(self._roads) >= _ROADS_MAX:
            self._roads.clear()
        self._roads[channel, to] = road = tuple(found)
        return road

    def takes(self, channel: str, to: str) -> bool:
        """Whether some contact of this channel to this number, address or topic would be taken."""
        if self._default is not None:
            return True
        return bool(self._find_road(channel, to))


def _routed(rule: Rule) -> Routed:
    """The event holds plain milliseconds: a Duration would be written as text."""
    return Routed(rule.queue, rule.requirement, rule.band or "", rule.weight or 0.0, int(rule.target or 0), rule.name)


# --- checking ---------------------------------------------------------------------------------------------------------


def check_config(config: Config) -> Plan:
    """Refuse a configuration that contradicts itself; the plan, compiled, if it does not.

    Raises ConfigError with the dotted path, what was expected and what was found (OB-4).
    """
    names = names_of(config)
    _check_bands(config)
    _check_channels(config)
    for path, channel in channels_named(config):
        _one_of(channel, config.channels, path, "channel")
    for name in config.channels:
        _check_interrupts(config, name, (name,))
    for name, queue in config.queues.items():
        _requirement(queue.requirement, names, f"queues.{name}.requirement")
        _one_of(queue.band, config_bands(config), f"queues.{name}.band", "band")
        for path, value in ((f"targets.{c}", t) for c, t in queue.targets.items()):
            _positive(value, f"queues.{name}.{path}")
        _positive(queue.offer_timeout, f"queues.{name}.offer_timeout")
        if queue.target is not None:
            _positive(queue.target, f"queues.{name}.target")
        if queue.handle_time is not None:
            _positive(queue.handle_time, f"queues.{name}.handle_time")
    _check_order(config)
    check_figures(config)
    check_helping(config, _one_of, lambda node, path: _requirement(node, names, path))
    for name, calendar in config.calendars.items():
        check_calendar(calendar, f"calendars.{name}")
    check_resorts(config, _one_of)
    _check_no_shows(config)
    _check_rules(config, names)
    for name, queue in config.queues.items():
        if queue.relax:
            on_top = [r.requirement for r in config.rules if r.queue == name and r.relax is None]
            asked = list(asked_by(queue, tuple(node for node in on_top if node is not None)))
            _check_relaxation(config, names, queue.relax, name, f"queues.{name}.relax", asked)
        _check_unservable(config, name, queue)
    for i, rule in enumerate(config.rules):
        if rule.relax:
            asked = [asked_on_top(config.queues[rule.queue], rule.requirement)]
            _check_relaxation(config, names, rule.relax, rule.queue, f"rules[{i}].relax", asked)
    _one_of(config.default_queue, config.queues, "default_queue", "queue")
    for name, agent in config.agents.items():
        for skill in agent.skills:
            _one_of(skill, config.skills, f"agents.{name}.skills.{skill}", "skill")
        for attribute in agent.attributes:
            _one_of(attribute, config.attributes, f"agents.{name}.attributes.{attribute}", "attribute")
        for queue_name, time in agent.handle_times.items():
            _one_of(queue_name, config.queues, f"agents.{name}.handle_times.{queue_name}", "queue")
            _positive(time, f"agents.{name}.handle_times.{queue_name}")
        _one_of(agent.team or None, config.teams, f"agents.{name}.team", "team")
    return Plan(config)


def channels_named(config: Config) -> Iterator[tuple[str, str]]:
    """Every place that names a channel, with the name; but for the tables of channels themselves."""
    for name, channel in config.channels.items():
        for i, prey in enumerate(channel.interrupts):
            yield f"channels.{name}.interrupts[{i}]", prey
    for name, queue in config.queues.items():
        for channel_name in queue.targets:
            yield f"queues.{name}.targets.{channel_name}", channel_name
        for i, loan in enumerate(queue.borrow):
            yield from ((f"queues.{name}.borrow[{i}].when.channels", one) for one in loan.when.channels)
            yield from ((f"queues.{name}.borrow[{i}].spare.channels", one) for one in loan.spare.channels)
    for i, rule in enumerate(config.rules):
        for channel_name in rule.channel:
            yield f"rules[{i}].channel", channel_name
    for name, agent in config.agents.items():
        for channel_name in agent.caps:
            yield f"agents.{name}.caps.{channel_name}", channel_name


def config_bands(config: Config) -> list[str]:
    return [band.name for band in config.bands]


def _check_bands(config: Config) -> None:
    if not config.bands:
        raise ConfigError("bands", "at least one band", "none")
    names = config_bands(config)
    if len(set(names)) != len(names):
        raise ConfigError("bands", "names that differ", ", ".join(names))
    _one_of(config.default_band, names, "default_band", "band")


def _check_channels(config: Config) -> None:
    # An agent's load is packed by channel, eight bits for each; 16 channels make an integer of 128 bits.
    if len(config.channels) > 16:
        raise ConfigError("channels", "at most 16 channels", str(len(config.channels)))
    for name, channel in config.channels.items():
        _positive(channel.target, f"channels.{name}.target")


def _check_no_shows(config: Config) -> None:
    for name, channel in config.channels.items():
        path, rule = f"channels.{name}.no_show", channel.no_show
        if rule.do == "callback":
            raise ConfigError(f"{path}.do", "keep, end or move", "'callback'")
        if (rule.do == "move") != (rule.queue is not None):
            expected = "a queue" if rule.queue is None else 'do = "move" beside it'
            raise ConfigError(f"{path}.queue", expected, repr(rule.queue or "none"))
        _one_of(rule.queue, config.queues, f"{path}.queue", "queue")


def _check_interrupts(config: Config, name: str, above: tuple[str, ...]) -> None:
    """Two that interrupt each other would take turns for ever."""
    for i, prey in enumerate(config.channels[name].interrupts):
        if prey in above:
            path = f"channels.{name}.interrupts[{i}]"
            raise ConfigError(path, "a channel that does not interrupt this one in turn", " > ".join((*above, prey)))
        _check_interrupts(config, prey, (*above, prey))


def _check_order(config: Config) -> None:
    order = config.order
    if order.handle_times and order.policy not in DIVISIBLE:
        expected = f"nothing, or one of the policies {', '.join(DIVISIBLE)}: {order.policy} has nothing to divide"
        raise ConfigError("order.handle_times", expected, "true")


def _check_rules(config: Config, names: Names) -> None:
    if len(config.rules) > MAX_RULES:
        raise ConfigError("rules", f"at most {MAX_RULES} rules", str(len(config.rules)))
    seen: set[str] = set()
    for i, rule in enumerate(config.rules):
        path = f"rules[{i}]"
        if rule.name in seen:
            raise ConfigError(f"{path}.name", "a name that no other rule has", repr(rule.name))
        seen.add(rule.name)
        _one_of(rule.queue, config.queues, f"{path}.queue", "queue")
        _one_of(rule.band, config_bands(config), f"{path}.band", "band")
        if rule.target is not None:
            _positive(rule.target, f"{path}.target")
        if rule.requirement is not None:
            _requirement(rule.requirement, names, f"{path}.requirement")
        if rule.prefer is not None:
            check_prefer(rule.prefer, config.agents, f"{path}.prefer", _one_of)


def _check_relaxation(
    config: Config, names: Names, steps: tuple[Step, ...], queue: str, path: str, asked: Iterable[Node]
) -> None:
    """`asked`: what may be asked for at first by what waits in that queue and goes by this plan."""
    if len(steps) > MAX_STEPS:
        raise ConfigError(path, f"at most {MAX_STEPS} steps", str(len(steps)))
    for i, step in enumerate(steps):
        _check_step(config, names, step, f"{path}[{i}]")
        _another(step.queue, queue, f"{path}[{i}].queue")
    _rising([step.after for step in steps], path, "after")
    _rising([step.share for step in steps], path, "share")
    # Who is still expected to wait for long after one step takes the next one at the same threshold.
    _rising([step.when_expected for step in steps], path, "when_expected", equals=True)
    _no_idle_step(config, queue, steps, path, asked)


def _check_step(config: Config, names: Names, step: Step, path: str) -> None:
    for skill in (*step.lower, *step.drop_skills):
        _one_of(skill, config.skills, f"{path}.{'lower' if skill in step.lower else 'drop_skills'}", "skill")
    for attribute in step.drop_attributes:
        _one_of(attribute, config.attributes, f"{path}.drop_attributes", "attribute")
    for team in step.teams:
        _one_of(team, config.teams, f"{path}.teams", "team")
    for queue in step.borrow:
        _one_of(queue, config.queues, f"{path}.borrow", "queue")
    if step.when_expected is not None:
        _positive(step.when_expected, f"{path}.when_expected")
    _one_of(step.queue, config.queues, f"{path}.queue", "queue")
    _one_of(step.band, config_bands(config), f"{path}.band", "band")
    if step.band == config_bands(config)[-1]:
        raise ConfigError(f"{path}.band", "a more urgent band than the last one", repr(step.band))
    if step.also is not None:
        _requirement(step.also, names, f"{path}.also")


def _check_unservable(config: Config, name: str, queue: Queue) -> None:
    rule, path = queue.unservable, f"queues.{name}.unservable"
    _one_of(rule.queue, config.queues, f"{path}.queue", "queue")
    _another(rule.queue, name, f"{path}.queue")
    if (rule.policy == "move") != (rule.queue is not None):
        expected = "a queue" if rule.queue is None else 'policy = "move" beside it'
        raise ConfigError(f"{path}.queue", expected, repr(rule.queue or "none"))
    if rule.policy == "relax" and not queue.relax:
        raise ConfigError(f"{path}.policy", f"a plan in queues.{name}.relax", "none")


def _another(to: str | None, name: str, path: str) -> None:
    if to == name:
        raise ConfigError(path, "another queue", repr(to))


def _rising(times: Sequence[float | None], path: str, trigger: str, equals: bool = False) -> None:
    """A later step takes the earlier ones along, so one that came due before them would leave them no time."""
    latest: float | None = None
    for i, time in enumerate(times):
        if time is not None and latest is not None and (time < latest if equals else time <= latest):
            expected = f"{'at least that of' if equals else 'later than'} the step before ({latest})"
            raise ConfigError(f"{path}[{i}].{trigger}", expected, str(time))
        latest = latest if time is None else time


def _no_idle_step(config: Config, name: str, steps: tuple[Step, ...], path: str, asked_for: Iterable[Node]) -> None:
    """A step has to change something of what is asked for, by the queue's own requirement or with a rule's."""
    ladder = Ladder(steps, config.queues)
    idle = [set(idle_steps(ladder.row(node), steps)) for node in asked_for]
    for i in sorted(set.intersection(*idle)):
        asked = f"nothing of what queue {name} or a rule to it asks for by then"
        raise ConfigError(f"{path}[{i}]", "a step that changes something", f"{asked} is changed by it")


def _requirement(node: Node, names: Names, path: str) -> None:
    try:
        check(node, names, path)
    except UnknownName as error:
        where, _, what = str(error).partition(": ")
        if what.startswith("say "):
            raise ConfigError(where, what.removeprefix("say "), "none or several of them") from error
        expected = "a requirement that uses known names" if what.startswith("there is no") else "parts that go together"
        raise ConfigError(where, expected, what) from error


def _positive(value: int, path: str) -> None:
    if value <= 0:
        raise ConfigError(path, "a duration longer than 0s", str(value))


def _one_of(name: str | None, known: Iterable[str], path: str, kind: str) -> None:
    known = list(known)
    if name is None or name in known:
        return
    near = difflib.get_close_matches(name, known, 1)
    all_known = ", ".join(sorted(known)) or "none is defined"
    expected = f"the {kind} {near[0]!r}" if near else f"a known {kind} ({all_known})"
    raise ConfigError(path, expected, repr(name))
