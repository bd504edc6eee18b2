"""What the engine is told about channels, queues, rules and agents.

One frozen struct, checked as a whole before it is used (`plan.check_config`), journaled as one event, so that a replay
needs no file. Its shape is the shape of the configuration file; durations are written with a unit there ("20s") and are
whole milliseconds here. Secrets (tokens, passwords) are no part of it: they belong to the edges' settings.

To leave an option out means its default; each docstring says what that does.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field
from msgspec.structs import replace

from router.engine.requirements import ANYBODY, Node

_DURATION = re.compile(r"(?:(\d{1,18})d)?(?:(\d{1,18})h)?(?:(\d{1,18})m(?!s))?(?:(\d{1,18})s)?(?:(\d{1,18})ms)?")
_UNIT_MS = (86_400_000, 3_600_000, 60_000, 1_000, 1)

# Ten years. What is longer is a slip of the pen, and a deadline must stay a number that a record can hold.
LONGEST_MS = 3_653 * 86_400_000


class Duration(int):
    """Whole milliseconds, written with units: "20s", "4h", "1h30m", "250ms"; "0s" switches off what it times."""

    least_ms: ClassVar[int] = 0

    @classmethod
    def parse(cls, text: object) -> Duration:
        found = _DURATION.fullmatch(text) if isinstance(text, str) and text else None
        if not found or not any(found.groups()):
            raise ValueError(f'expected a duration such as "20s", "4h" or "1h30m", got {text!r}')
        ms = sum(int(n) * unit for n, unit in zip(found.groups(), _UNIT_MS, strict=True) if n)
        if ms > LONGEST_MS:
            raise ValueError(f"expected a duration of at most ten years, got {text!r}")
        if ms < cls.least_ms:
            raise ValueError(f"expected a duration of at least {Duration(cls.least_ms)}, got {text!r}")
        return cls(ms)

    def __str__(self) -> str:
        rest, parts = int(self), []
        for unit, name in zip(_UNIT_MS, ("d", "h", "m", "s", "ms"), strict=True):
            n, rest = divmod(rest, unit)
            if n:
                parts.append(f"{n}{name}")
        return "".join(parts) or "0s"


class Timeout(Duration):
    """A duration that nothing can switch off: with "0s" nobody would ever be in time."""

    least_ms = 1


class Interval(Duration):
    """How often something is done, or how long a silence means that it is over: more often would be a load."""

    least_ms = 1_000


def decode_hook(kind: type, value: Any) -> Any:
    """For msgspec: how the types that it does not know are read."""
    if issubclass(kind, Duration):
        return kind.parse(value)
    raise NotImplementedError(kind)


def encode_hook(value: Any) -> Any:
    if isinstance(value, (Duration, str)):  # a text that is more than a text (`sayings`) is written as one
        return str(value)
    raise NotImplementedError(type(value))


SECOND = Duration(1_000)
MINUTE = Duration(60_000)

NAME = r"^[a-z0-9][a-z0-9_.-]{0,63}$(?!\n)"
Name = Annotated[str, Meta(pattern=NAME)]
Count = Annotated[int, Meta(ge=0, le=1_000)]


class Resort(Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of a contact where a queue's rule stands against its waiting there.

    keep      it waits on
    end       the customer is told `message` and let go; who has only just come is refused
    move      it waits in `queue`, with the time that it has waited already
    callback  the customer is asked (`message`) whether to call them back, and waits on; who cannot be asked, or not be
              called, is let go as with `end`. For `when_full`, `when_overdue` and `when_nobody`
    """

    do: Literal["keep", "end", "move", "callback"] = "keep"
    queue: Name | None = None  # where `move` goes
    message: str = ""  # said or shown to the customer where the channel can; left out: only the reason is


KEEP = Resort()
END = Resort("end")


class Reach(NamedTuple):
    """What contacts whose names begin with `begins` can be connected to: agents' endpoints and outside addresses."""

    begins: str
    pattern: str = ""  # a regular expression for the whole address; "": to no address at all
    expected: str = ""  # the same in words


class Channel(Struct, frozen=True, forbid_unknown_fields=True):
    """How a channel's work fills an agent, and what it is promised by default."""

    exclusive: bool = False  # true: needs an agent with no other work, and takes all of that agent (a call)
    weight: Annotated[int, Meta(ge=0, le=1_000)] = 1  # how much of an agent's budget one interaction uses
    cap: Annotated[int, Meta(ge=0, le=100)] = 1  # how many an agent has at once, unless the agent's own cap says
    target: Duration = Duration(20_000)  # the promised wait, where neither queue nor rule says
    # Channels whose accepted work this one may interrupt: it is suspended, and taken up again before anything new.
    interrupts: tuple[str, ...] = ()
    # Work that has been suspended for so long in all is not interrupted any more; 0s: no limit.
    interrupted_max: Duration = Duration(1_800_000)
    # Where other work keeps an agent from ever having room for one of these, a place that falls free is held for it so
    # long; 0s: never. Three chats of ten minutes have all ended within a quarter of an hour in half of the cases.
    drain: Duration = Duration(900_000)
    agent_lost: Literal["return", "stay"] = "return"  # after the grace: back to the queue, or wait for the agent
    actions: tuple[str, ...] = ()  # what its gateway must be told durably; set by the channel's adapter, not by hand
    # With what names those contacts begin into which a third party can be brought; set by the adapter, too. Left out:
    # all of them, since nobody but us has to do anything.
    consults: tuple[str, ...] | None = None
    calls: tuple[str, ...] = ()  # with what the names of contacts begin whose gateway can call customers; set likewise
    # With what the names of contacts begin whose customers can be asked whether to call them back; set likewise.
    asks: tuple[str, ...] = ()
    unheld: tuple[str, ...] = ()  # with what the names of contacts begin that cannot be put on hold; set likewise
    # Where the gateways of its contacts can connect them to; set likewise. Left out: anywhere.
    reaches: tuple[Reach, ...] = ()
    # true: a queue's rules never end its contacts; they wait on instead, or move. Mail and scans are so in any case.
    lasting: bool = False
    # For customers who have to come when they are called, as visitors with a ticket: how long their agent waits for
    # them after each call; 0s: for ever. Left out: nobody is called.
    show_within: Duration | None = None
    # What becomes of who does not come: they are let go (end), wait again with their place (keep), or move.
    no_show: Resort = END
    no_show_times: Annotated[int, Meta(ge=1, le=100)] = 3  # with `keep`: who did not come so often is let go


class Band(Struct, frozen=True, forbid_unknown_fields=True):
    """A strict priority tier; the first one in the list is the most urgent."""

    name: Name
    cap: Duration = Duration(0)  # an item that has waited this long joins the first band; 0s: never


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    """What waits longest in the eyes of the house: the order over everything that waits, whatever its queue or channel.

    Bands come first and are strict; inside a band the policy decides, and of equals the one that was enqueued first.

    adaptive         share-of-target, times a weight of the queue that rises after a missed target and falls after one
                     that was kept, against what all queues keep; a tenth of it is doubt and does not count
    share-of-target  weight x (waited + head start) / target: what has used up most of its promise
    ratio            weight x waited / target
    deadline         the smallest time of enqueueing + target
    first-come       the longest waiting
    priority         the shorter target strictly first, then the longest waiting
    queue-ratio      the queue whose length most exceeds its share of all that waits
    round-robin      the queue that was served longest ago
    skill-level      what the agent is best at, then the longest waiting
    """

    policy: Literal[
        "adaptive",
        "share-of-target",
        "ratio",
        "deadline",
        "first-come",
        "priority",
        "queue-ratio",
        "round-robin",
        "skill-level",
    ] = "adaptive"
    # Whether a value is divided by how long this agent takes, as a multiple of the queue's usual time. Left out: yes
    # for share-of-target and adaptive, no for ratio. The other policies have nothing to divide.
    handle_times: bool | None = None
    # What has waited so many times its target comes before all else in its band, the oldest first; 0: never, and then
    # there is no latest time for what steeper work overtakes. deadline and first-come bound the wait without it.
    cap: Annotated[int, Meta(ge=0, le=1_000)] = 20


class Blend(Struct, frozen=True, forbid_unknown_fields=True):
    """For the choice `blend`: what one thing is worth against another. The agent with the most points gets it."""

    level: Annotated[float, Meta(ge=0, le=1_000)] = 0.0  # points for level 10 in what is asked for; less in proportion
    speed: Annotated[float, Meta(ge=0, le=1_000)] = 0.0  # points for usual speed; twice as fast has twice as many
    focus: Annotated[float, Meta(ge=0, le=1_000)] = 0.0  # points for somebody who fits no queue, none for who fits all
    idle: Annotated[float, Meta(ge=0, le=1_000)] = 1.0  # points for each minute idle


class WrapUp(Struct, frozen=True, forbid_unknown_fields=True):
    """The time after an interaction in which the agent documents it.

    none      the agent is free at once
    optional  lasts until the agent finishes it
    timed     as optional, but ends by itself after `time`, which the agent may extend up to `longest`
    forced    lasts exactly `time`
    """

    mode: Literal["none", "optional", "timed", "forced"] = "none"
    time: Duration = Duration(30_000)
    longest: Duration = Duration(300_000)


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """One step of a relaxation plan: from when on a waiting interaction asks for less, and of what.

    The first trigger that holds brings the step, and all steps before it. Without a trigger it is taken by hand, or
    along with a later one.
    """

    after: Duration | None = None  # waited so long; "0s": as soon as nobody who fits is free
    share: Annotated[float, Meta(ge=0, le=1_000)] | None = None  # waited this share of the target: 0.8, 1, 2.5
    # At once when nobody who meets what is asked for by then is signed in, or (nobody-ready) signed in and ready.
    when: Literal["nobody-signed-in", "nobody-ready"] | None = None
    # Expected to wait still for longer than this, by the median that customers are told. Looked at each
    # `balance.period`, of up to 20 of a queue, the last in line first.
    when_expected: Duration | None = None
    lower: dict[str, Annotated[int, Meta(ge=0, le=9)]] = field(default_factory=dict)  # skill -> the level to ask for
    drop_skills: tuple[str, ...] = ()  # no longer asked for
    drop_languages: tuple[str, ...] = ()
    drop_attributes: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()  # where a team is asked for, these will do as well
    any_team: bool = False  # where a team is asked for, any will do
    also: Node | None = None  # whoever meets this instead may take it as well
    borrow: tuple[str, ...] = ()  # whoever meets the requirement of these queues may take it as well
    band: Name | None = None  # raised to this band
    release: bool = False  # what is held for agents by name may be had by everybody who fits
    callback: bool = False  # the customer is offered to be called back
    queue: Name | None = None  # waits in this queue from now on, by its requirement and its plan


Part = Annotated[float, Meta(ge=0, le=1)]


class Need(Struct, frozen=True, forbid_unknown_fields=True):
    """When a queue needs help: when one of the values given is reached. It needs none any more when each of them is
    back at its `until`.

    Values are the queue's own: what its own agents make of its own contacts, as if nobody helped anybody.
    """

    wait: Duration | None = None  # who came now would be expected to wait so long
    wait_until: Duration | None = None  # left out: half of it
    share: Annotated[float, Meta(gt=0, le=1_000)] | None = None  # who waits longest has used this share of the target
    share_until: Annotated[float, Meta(ge=0, le=1_000)] | None = None  # left out: half of it
    level_below: Part | None = None  # of late fewer than this share were answered within their target
    level_until: Part | None = None  # left out: halfway from there to 1
    channels: tuple[str, ...] = ()  # only what comes by these counts; left out: by any


class Spare(Struct, frozen=True, forbid_unknown_fields=True):
    """When a queue has agents to spare: when each of the values given is as good as that. It has none any more when one
    of them is as bad as its `until`. Values are the queue's own, as those of `when`."""

    wait_below: Duration | None = None  # who came now would be expected to wait for less
    wait_until: Duration | None = None  # left out: twice as much
    level_above: Part | None = None  # of late at least this share were answered within their target
    level_until: Part | None = None  # left out: as far below it as 1 is above
    channels: tuple[str, ...] = ()  # only what comes by these counts; left out: by any


class Borrow(Struct, frozen=True, forbid_unknown_fields=True):
    """Another queue whose agents help out: while this one needs it (`when`) and that one has some to `spare`.

    Whoever meets that queue's requirement may then be offered this queue's work as well, after this queue's own agents.
    What is being offered when it ends may still be accepted.
    """

    lender: Name = field(name="from")
    when: Need
    spare: Spare
    # What its agents must have, beside what their own queue asks for, in place of what this one asks for; what a rule
    # or a transfer asks for on top stays. Left out: no more than their own queue asks for.
    requirement: Node = ANYBODY
    least: Duration = Duration(30_000)  # at least so long between one change and the next

    @property
    def looks_at_level(self) -> bool:
        return self.when.level_below is not None or self.spare.level_above is not None


class Overflow(Struct, frozen=True, forbid_unknown_fields=True):
    """Another queue that takes what would have to wait too long here; it keeps the time that it has waited already."""

    to: Name
    wait: Duration  # what is expected to wait longer than this still
    below: Duration  # and only while the expected wait there is below this


class Unservable(Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of what waits when nobody who is signed in meets what it asks for.

    wait      it waits on; operators are told
    relax     takes steps of the queue's plan until somebody who is signed in fits
    move      waits in `queue`, with the time that it has waited already
    end       is over, with `reason`; mail, scans and who is to be called back wait on
    callback  the customer is offered to be called back, and waits on
    """

    policy: Literal["wait", "relax", "move", "end", "callback"] = "wait"
    after: Duration = Duration(30_000)  # not before it has been so for this long
    queue: Name | None = None
    reason: Annotated[str, Meta(min_length=1, max_length=64)] = "unservable"


class Almanac(Struct, frozen=True, forbid_unknown_fields=True):
    """What a calendar knows of the world, worked out from its zone and holidays whenever a configuration is read.

    Journaled with it, so that a replay asks nobody. What is written here by hand is replaced.
    """

    first_year: int
    last_year: int
    offsets: tuple[tuple[int, int], ...]  # from when (Unix seconds) local time is so many seconds ahead of UTC
    holidays: dict[str, str]  # date -> name
    source: str = ""  # which releases of zone data and holidays said so


class Calendar(Struct, frozen=True, forbid_unknown_fields=True):
    """When a queue is open. Queues name it; several may share one.

    A day on which it is open at no time is an empty list. "22:00-06:00" ends on the next day.
    """

    zone: str = "UTC"  # an IANA time zone such as "Europe/Berlin"
    week: dict[str, tuple[str, ...]] = field(default_factory=dict)  # "mon-fri" = [...]; left out: round the clock
    holidays: tuple[str, ...] = ()  # closed on the public holidays of these: "US", "DE-BY" (ISO 3166)
    dates: dict[str, tuple[str, ...]] = field(default_factory=dict)  # single dates; beat week and holidays
    almanac: Almanac | None = None  # worked out, not written by hand


Automatic = Literal["bounce", "report", "auto-reply", "list", "loop", "undelivered"]


class Queue(Struct, frozen=True, forbid_unknown_fields=True):
    """A named line with its requirement, its promise and its rules.

    Who gets its work, of all who are idle and fit, is its `choice`; of equals who has been idle longest:

    longest-idle    just that
    best-level      the best in what is asked for; of skills asked for together the weakest counts
    least-occupied  who was busy least of late: what was counts half after half an hour
    least-flexible  who fits the fewest queues, so that rare skills stay free
    fastest         whose expected handle time on this queue is the shortest
    slowest         whose expected handle time on this queue is the longest
    random          anybody, by a hash of the offer's number
    blend           who has the most points by `blend`
    """

    requirement: Node = ANYBODY  # left out: every agent may be offered its work
    band: Name | None = None  # left out: the default band
    weight: Annotated[float, Meta(gt=0, le=1_000)] = 1.0
    target: Duration | None = None  # left out: the channel's target
    targets: dict[str, Duration] = field(default_factory=dict)  # by channel; beats `target`
    head_start: Duration = Duration(20_000)  # waiting credit on arrival
    offer_timeout: Duration = Duration(20_000)  # how long an agent may think
    auto_accept: bool = False  # an offer counts as accepted at once
    parallel_offers: Annotated[int, Meta(ge=1, le=50)] = 1  # shown to so many agents at once; first accept wins
    # How long the agent who missed or declined is passed over, while there is somebody else who could take it. Where
    # there is nobody else it is offered to them again at once, six times; then after pauses of 1 s to 30 s.
    cool_off: Duration = Duration(30_000)
    choice: Literal[
        "longest-idle",
        "best-level",
        "least-occupied",
        "least-flexible",
        "fastest",
        "slowest",
        "random",
        "blend",
    ] = "longest-idle"
    blend: Blend = Blend()
    handle_time: Duration | None = None  # its work's usual handle time; left out: all agents count as equally fast
    # Its share of all that waits, for the policy queue-ratio; in any unit, as arrivals a minute x target. Left out:
    # weight x target.
    share: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    wrap_up: WrapUp = WrapUp()
    agent_lost: Literal["return", "stay"] | None = None  # left out: as the channel says
    drain: Duration | None = None  # how long places are held for its work; left out: as the channel says
    # What it asks for less of the longer it waits, at most 16 steps; left out: never less than at first.
    relax: tuple[Step, ...] = ()
    unservable: Unservable = Unservable()
    # Whose agents help out; left out: nobody's.
    borrow: tuple[Borrow, ...] = ()
    # Where it goes what would have to wait too long; the first queue that has room. Left out: nowhere.
    overflow: tuple[Overflow, ...] = ()
    calendar: Name | None = None  # left out: always open
    # "open": only the calendar's open hours count as waiting: for target, caps of bands, `relax` and `max_wait`.
    clock: Literal["always", "open"] = "always"
    max_length: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None  # so many wait; left out: no limit
    max_wait: Duration = Duration(0)  # nobody waits longer, the time with agents not counted; 0s: no limit
    nobody_grace: Duration = Duration(60_000)  # how long nobody who fits is signed in before `when_nobody`
    # Who comes out of hours.
    when_closed: Resort = END
    # Who waits when the hours end; `keep`: they are served out.
    when_closing: Resort = KEEP
    # Who comes, waits or is being offered while an operator has closed the calendar. Left out: as `when_closed`.
    when_emergency: Resort | None = None
    # Who would have to wait beyond `max_length`.
    when_full: Resort = END
    # Who has waited for `max_wait`.
    when_overdue: Resort = END
    # Who waits, and who comes, while nobody who fits is signed in.
    when_nobody: Resort = KEEP
    # Which kinds of what programs write wait for an agent here: bounce, report, auto-reply, list, loop, and undelivered
    # (an answer of ours did not arrive, and the contact is over). All others are recorded and over at once.
    automatic: tuple[Automatic, ...] = ("undelivered",)
    # What continues a contact that is over is held so long for the agent who had it; 0s: it is like everything else.
    former_agent: Duration = Duration(0)


class Prefer(Struct, frozen=True, forbid_unknown_fields=True):
    """Who should have a contact before everybody else: named by exactly one of `agents`, `attribute` and `last_agent`.

    prefer   held for those of them who are ready and fit, for `hold` at the longest, and no longer than one of them
             can still be free in time and has not refused it
    require  held for them through absence and refusals; nobody else gets it
    """

    agents: tuple[str, ...] = ()  # in the order in which they should have it, at most 16
    attribute: str = ""  # the contact's attribute that names them, as the owner of an account: "ana", or "ana, ben"
    last_agent: bool = False  # who last served this customer
    mode: Literal["prefer", "require"] = "prefer"
    # So long everybody else has to wait; "0s": not at all, unless one of them is free at once. Left out: 30s with
    # `prefer`, without an end with `require`.
    hold: Duration | None = None


class Rule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of the routing plan. All conditions given must hold; the first rule that holds decides."""

    name: Name
    queue: Name
    channel: tuple[str, ...] = ()
    to: tuple[str, ...] = ()  # the number, address or topic that the customer used
    when: str = ""  # a CEL expression over channel, to, from, subject, language and attributes[...]
    requirement: Node | None = None  # asked for on top of the queue's
    band: Name | None = None
    weight: Annotated[float, Meta(gt=0, le=1_000)] | None = None
    target: Duration | None = None
    prefer: Prefer | None = None  # left out: nobody before others
    # What its contacts ask for less of the longer they wait, while they are in this queue: in place of the queue's
    # plan; an empty list: never less. Left out: as the queue says.
    relax: tuple[Step, ...] | None = None
    # Where it stands among the rules of all routing domains; worked out, not written by hand. 0: there is one domain.
    place: Annotated[int, Meta(ge=0)] = 0


class Agent(Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who answers."""

    name: str = ""  # as colleagues and customers see it; left out: the id
    skills: dict[str, Annotated[int, Meta(ge=1, le=10)]] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    team: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    caps: dict[str, Annotated[int, Meta(ge=0, le=100)]] = field(default_factory=dict)  # by channel; beats the channel's
    budget: Annotated[int, Meta(ge=1, le=10_000)] | None = (
        None  # sum of the channels' weights at once; left out: no limit
    )
    handle_times: dict[Name, Duration] = field(default_factory=dict)  # by queue: expected mean; left out: the queue's
    endpoint: str = ""  # where a gateway reaches this agent's telephone


class Presence(Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of agents who vanish or do not answer."""

    grace: Duration = Duration(30_000)  # work of an agent with no session waits so long
    misses: Annotated[int, Meta(ge=0, le=100)] = 3  # so many missed offers in a row make not ready; 0: never
    return_after: Duration = Duration(0)  # an agent taken off that way is ready again after this; 0s: by own action
    brake_share: Annotated[float, Meta(gt=0, le=1)] = 0.25  # of a queue's staff, within
    brake_window: Duration = Duration(60_000)  # this time: more is not taken off, an alert is raised
    # So many contacts in a row that an agent accepted and could not be connected with make not ready, too: one may be
    # a telephone that was busy for a moment; with three, each further one costs another caller a wait for nobody.
    # 0: never.
    connect_failures: Annotated[int, Meta(ge=0, le=100)] = 3


class Consulting(Struct, frozen=True, forbid_unknown_fields=True):
    """How an agent asks another one while they keep the customer."""

    wait: Duration = Duration(60_000)  # somebody must have answered by then; 0s: as long as the owner likes to wait


class Callbacks(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How customers are called who asked for it."""

    attempts: Annotated[int, Meta(ge=1, le=100)] = 3  # so many calls before it is given up
    delay: Duration = Duration(900_000)  # between the end of one and the next
    within: Duration = Duration(86_400_000)  # where the customer names no end: so long; 0s: until the last attempt
    first: Literal["agent", "customer"] = "agent"  # whose telephone rings first, once an agent has accepted
    # A call that is being made and of which the gateway says nothing for so long has reached nobody. Longer than
    # telephones ring; 0s: its agent waits until somebody ends it.
    silence: Duration = Duration(120_000)


class Balance(Struct, frozen=True, forbid_unknown_fields=True):
    """How often it is looked at which queues help one another (`queues.NAME.borrow`, `queues.NAME.overflow`)."""

    period: Duration = Duration(5_000)
    window: Duration = Duration(900_000)  # a service level is that of so long
    overflows: Annotated[int, Meta(ge=1, le=10)] = 2  # what rules have moved so often overflows no more; and never back


class Figures(Struct, frozen=True, forbid_unknown_fields=True):
    """What is counted of each queue's day: answered, answered in time, abandoned (`/v1/queues`, the wallboard)."""

    keep: Duration = Duration(90_000_000)  # so long: the longest day of a zone with summer time; 0s: nothing is counted
    short: Duration = Duration(5_000)  # whoever gives up sooner is counted apart, and in no rate; 0s: nobody


class Memory(Struct, frozen=True, forbid_unknown_fields=True):
    """How long the engine remembers what is over."""

    intake_keys: Duration = Duration(7 * 86_400_000)  # repeated events are recognised so long (IN-3)
    command_keys: Duration = Duration(600_000)  # repeated commands of agents' clients (AG-4)
    closed: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_000  # closed interactions kept at hand for operators
    transcript: Annotated[int, Meta(ge=1, le=10_000)] = 200  # messages kept at hand of one interaction
    # Of so many customers it is known who served them last, where a rule asks for that (`prefer.last_agent`).
    customers: Annotated[int, Meta(ge=1, le=10_000_000)] = 10_000
    # Customers of whom people wrote something down (their cards at the desk), a kilobyte each. None is ever dropped:
    # beyond this a new one is refused.
    cards: Annotated[int, Meta(ge=0, le=10_000_000)] = 100_000


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """All that the engine decides by."""

    channels: dict[Name, Channel] = field(default_factory=dict)
    bands: tuple[Band, ...] = (Band("normal"),)
    default_band: Name = "normal"
    order: Order = Order()
    skills: tuple[Name, ...] = ()
    attributes: tuple[Name, ...] = ()  # agents' attributes that requirements may ask for
    teams: tuple[Name, ...] = ()
    calendars: dict[Name, Calendar] = field(default_factory=dict)
    queues: dict[Name, Queue] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    default_queue: Name | None = None  # left out: a contact that no rule takes is refused
    agents: dict[Name, Agent] = field(default_factory=dict)
    presence: Presence = Presence()
    consult: Consulting = Consulting()
    callbacks: Callbacks = Callbacks()
    balance: Balance = Balance()
    memory: Memory = Memory()
    figures: Figures = Figures()


class _Since(Struct):
    """Which of the parts stand in a document that older versions did not have."""

    figures: Raw | UnsetType = UNSET


_encode = msgspec.json.Encoder(enc_hook=encode_hook).encode
_decode = msgspec.json.Decoder(Config, dec_hook=decode_hook).decode
_since = msgspec.json.Decoder(_Since).decode


def to_bytes(config: Config) -> bytes:
    """The form that the journal keeps: JSON with durations as written by people.

    While two versions run side by side the older one reads what the newer one wrote, and refuses a field that it does
    not know, since that asks for what it cannot do. So a field that comes later must not be written where it asks for
    nothing: its struct leaves defaults out (Rule, Callbacks), or its default is UNSET. A default that is a choice, and
    may become another one, is written.
    """
    return _encode(config)


def from_bytes(document: bytes) -> Config:
    """What `to_bytes` wrote, now or by an older version. Raises msgspec.DecodeError."""
    config = _decode(document)
    if b'"order":' not in document:  # from before there was a choice: this was the rule
        config = replace(config, order=Order(policy="share-of-target"))
    if _since(document).figures is UNSET:  # nothing was counted then
        config = replace(config, figures=Figures(keep=Duration(0)))
    return config
