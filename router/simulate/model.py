"""Queueing models as the literature writes them, and the configuration that makes the engine behave so.

A model has classes of contacts (rate, patience, target) and groups of agents (skills with mean handle times), a rule by
which a free agent chooses a contact and one by which a contact chooses among the free agents. Each class becomes a
queue that requires a skill of its own; a rank becomes a level of that skill (rank 0 is level 10), a mean the agents'
expected handle time on that queue; a rule becomes `order.policy` or `choice`. Offers are accepted at once.

Names of classes and groups are free text, so inside they are numbered: q0, q1 ... and g0-0, g0-1 ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import get_args, get_type_hints

from msgspec import Struct, convert
from msgspec.structs import replace

from router.engine.config import (
    Agent,
    Band,
    Channel,
    Config,
    Duration,
    Memory,
    Order,
    Queue,
    Rule,
    Step,
    decode_hook,
)
from router.engine.requirements import Node
from router.errors import ConfigError

CHANNEL = "work"
TOP_LEVEL = 10
# A shape needs a target to divide by; one that all share changes no order.
COMMON_TARGET_MS = 1_000_000
DEFAULT: str = Order().policy
HEAD_START = Duration(20_000)


class Class(Struct, frozen=True):
    """Contacts of one kind. Times in seconds, rates per second."""

    name: str
    rate: float = 0.0
    target: float = 20.0
    patience: float | None = None
    patience_shape: str = "exp"
    apq: float = 1.0  # how fast its priority grows
    offset: float = 0.0  # its waiting credit, or the time to its deadline
    share: float | None = None  # of all that waits; left out: rate times target, over the sum of those
    priority: int = 0  # the smallest goes first
    service: str | None = None  # left out: the model's


class Skill(Struct, frozen=True):
    mean: float
    rank: int = 0  # 0 is what the agent does best
    after: float = 0.0  # only for contacts that have waited so long


class Group(Struct, frozen=True):
    name: str
    agents: int
    skills: dict[str, Skill]


class Model(Struct, frozen=True):
    classes: tuple[Class, ...]
    groups: tuple[Group, ...]
    select_contact: str | None = None
    select_agent: str | None = None
    capacity: int | None = None
    service: str = "exp"


class Policy(Struct, frozen=True):
    """A way to order and to choose, by the model's own words or by the configuration's.

    `after` is what a planner would write for one scenario.
    """

    contact: str
    agent: str
    after: float | None = None  # second-rank skills only for contacts that have waited so long


# The literature's words for rules -> ours.
ORDERS: dict[str, str] = {
    "fcfs": "first-come",
    "priority": "first-come",  # inside of bands
    "rank": "skill-level",
    "apq": "ratio",
    "gcmu": "share-of-target",
    "edf": "deadline",
    "affine": "share-of-target",
    "queue_ratio": "queue-ratio",
    "adaptive": "adaptive",
}
CHOICES: dict[str, str] = {
    "longest_idle": "longest-idle",
    "random": "random",
    "fastest": "fastest",
    "slowest": "slowest",
    "least_flexible": "least-flexible",
    "agent_rank": "best-level",
    "rank": "best-level",
    "least_occupied": "least-occupied",
}


POLICIES: tuple[str, ...] = get_args(get_type_hints(Order)["policy"])
CHOSEN: tuple[str, ...] = get_args(get_type_hints(Queue)["choice"])


def ms(seconds: float) -> Duration:
    return Duration(round(seconds * 1_000))


def queue_name(i: int) -> str:
    return f"q{i}"


def agent_name(group: int, i: int) -> str:
    return f"g{group}-{i}"


def group_of(agent: str) -> int:
    return int(agent[1 : agent.index("-")])


def agents_of(model: Model) -> Iterator[str]:
    for g, group in enumerate(model.groups):
        for i in range(group.agents):
            yield agent_name(g, i)


def check(model: Model, path: str = "model") -> None:
    """Refuse what cannot be simulated, with the dotted path."""
    names = [x.name for x in model.classes]
    if not names or not model.groups:
        raise ConfigError(path, "at least one class and one group", f"{len(names)} and {len(model.groups)}")
    for i, x in enumerate(model.classes):
        at = f"{path}.classes[{i}]"
        if not 0 <= x.rate <= 100_000:
            raise ConfigError(f"{at}.rate", "a rate per second from 0 to 100000", str(x.rate))
        if x.patience is not None and not 0 < x.patience <= 1e9:
            raise ConfigError(f"{at}.patience", "seconds above 0, or null", str(x.patience))
    for i, group in enumerate(model.groups):
        for name, skill in group.skills.items():
            at = f"{path}.groups[{i}].skills.{name}"
            if name not in names:
                raise ConfigError(at, f"a class of the model ({', '.join(names)})", repr(name))
            if not 0 < skill.mean <= 1e9:
                raise ConfigError(f"{at}.mean", "seconds above 0", str(skill.mean))


# --- the configuration ------------------------------------------------------------------------------------------------


def configuration(model: Model, policy: Policy | None = None) -> Config:
    """What makes the engine follow the model's rules, or those of `policy` instead."""
    check(model)
    if policy is None:
        policy = Policy(model.select_contact or DEFAULT, model.select_agent or "longest_idle")
    if policy.after is not None:
        model = delayed(model, policy.after)
    bands = _bands(model) if policy.contact == "priority" else {}
    bands = bands if len(bands) > 1 else {0: "normal"}
    queues = {queue_name(i): _queue(model, i, policy, bands) for i in range(len(model.classes))}
    return Config(
        channels={CHANNEL: Channel()},
        bands=tuple(Band(name) for name in bands.values()),
        default_band=next(iter(bands.values())),
        order=_order(policy, len(bands) > 1),
        skills=tuple(queues),
        teams=(*(f"g{g}" for g in range(len(model.groups))), "nobody"),
        queues=queues,
        rules=tuple(Rule(name, name, to=(name,)) for name in queues),
        agents=_agents(model, policy),
        memory=Memory(closed=1),
    )


def _order(policy: Policy, banded: bool) -> Order:
    """The literature's rules know no cap and no other exceptions; the configuration's own words mean its defaults.

    Priorities are bands where the classes have any, else the shorter target goes first.
    """
    if policy.contact in ORDERS:
        known = ORDERS[policy.contact] if policy.contact != "priority" or banded else "priority"
        divides = {"gcmu": True, "affine": True, "apq": False}.get(policy.contact)
        return convert({"policy": known, "handle_times": divides, "cap": 0}, Order)
    return convert({"policy": _known(policy.contact, POLICIES, ORDERS)}, Order)


def _known(name: str, ours: Iterable[str], theirs: Mapping[str, str]) -> str:
    if name in ours:
        return name
    raise ConfigError("policy", f"one of {', '.join(sorted({*ours, *theirs}))}", repr(name))


def delayed(model: Model, after: float) -> Model:
    """The same, with second-rank skills kept for contacts that have waited so long."""
    groups = [
        replace(group, skills={n: replace(s, after=after) if s.rank else s for n, s in group.skills.items()})
        for group in model.groups
    ]
    return replace(model, groups=tuple(groups))


def _bands(model: Model) -> dict[int, str]:
    return {p: f"p{i}" for i, p in enumerate(sorted({x.priority for x in model.classes}))}


def _queue(model: Model, i: int, policy: Policy, bands: Mapping[int, str]) -> Queue:
    x = model.classes[i]
    weight, target, head_start = _line(x, policy)
    choice = CHOICES.get(policy.agent) or _known(policy.agent, CHOSEN, CHOICES)
    requirement, relax = _requirement(model, i)
    rule = {"choice": choice, "auto_accept": True, "offer_timeout": "1m"}
    return replace(
        convert(rule, Queue, dec_hook=decode_hook),
        requirement=requirement,
        relax=relax,
        band=bands.get(x.priority),
        weight=weight,
        target=target,
        head_start=head_start,
        handle_time=_usual(model, x, policy),
        share=x.share or x.rate * x.target or None,
    )


def _line(x: Class, policy: Policy) -> tuple[float, Duration, Duration]:
    """Weight, target and head start, by which the policy orders."""
    common = Duration(COMMON_TARGET_MS)
    match policy.contact:
        case "apq" | "gcmu":
            return x.apq, common, Duration(0)
        case "affine":
            return x.apq, common, ms(x.offset)
        case "edf":
            # A target must be above 0; one millisecond more for everybody changes no order.
            return 1.0, Duration(ms(x.offset) + 1), Duration(0)
        case _:  # by what was promised: the engine's own rules, and shorter targets first
            return 1.0, ms(x.target), HEAD_START


def _usual(model: Model, x: Class, policy: Policy) -> Duration:
    """The queue's usual handle time. The literature divides by the pair's own: as if all queues were alike."""
    if policy.contact in ORDERS:
        return Duration(COMMON_TARGET_MS)
    able = [(group.skills[x.name], group.agents) for group in model.groups if x.name in group.skills]
    first = min((skill.rank for skill, _ in able), default=0)
    best = [(skill.mean, n) for skill, n in able if skill.rank == first]
    return ms(sum(mean * n for mean, n in best) / max(1, sum(n for _, n in best))) if best else Duration(1_000)


def _requirement(model: Model, i: int) -> tuple[Node, tuple[Step, ...]]:
    """The skill; and where some groups come in later, first the teams that need not wait."""
    name = model.classes[i].name
    skill = Node(skill=queue_name(i))
    able = {g: group.skills[name].after for g, group in enumerate(model.groups) if name in group.skills}
    if not any(able.values()):
        return skill, ()
    at_once = tuple(f"g{g}" for g, after in able.items() if not after) or ("nobody",)
    steps = [
        Step(after=ms(when), teams=tuple(f"g{g}" for g, after in able.items() if after == when))
        for when in sorted({after for after in able.values() if after})
    ]
    return Node(all=(skill, Node(team=at_once))), tuple(steps)


def _agents(model: Model, policy: Policy) -> dict[str, Agent]:
    number = {x.name: queue_name(i) for i, x in enumerate(model.classes)}
    ranks = sorted({s.rank for group in model.groups for s in group.skills.values()})
    if len(ranks) > TOP_LEVEL:
        raise ConfigError("model.groups", f"at most {TOP_LEVEL} different ranks", str(len(ranks)))
    level = {rank: TOP_LEVEL - i for i, rank in enumerate(ranks)}
    found: dict[str, Agent] = {}
    for g, group in enumerate(model.groups):
        agent = Agent(
            skills={number[name]: level[s.rank] for name, s in group.skills.items()},
            team=f"g{g}",
            handle_times={number[name]: ms(s.mean) for name, s in group.skills.items()},
        )
        found |= {agent_name(g, i): agent for i in range(group.agents)}
    return found
