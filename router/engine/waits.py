"""How long those who wait now will still wait (RT-13).

Two halves. *Learning* happens where an agent is done with a contact, or a customer gives up: there everything is
known (when it came, was taken, was let go), so offers and acceptances cost nothing. Of each queue and channel a few
sums are kept (`Pace`), which follow from the records and are primary state: a replay estimates the same.

*Asking* puts together, for the contact asked about,
    who is ahead     those that the order would serve earlier, of all queues; of another queue only the part that wants
                     agents who can take this contact, by the share of that queue's agents who can
    how fast         what the agents present who can take it may hold at once, times the rate at which contacts like
                     those that they hold now were finished of late
    who gives up     abandonments per time waited, which is the likeliest rate where waiting times are cut off
and takes the formula for the length of the queue (`estimates.stages`). While too little was finished, the age of the
oldest in the line stands in (`head-of-line`); while even that says nothing, there is no expected wait.

No formula knows what is yet to come: calls that overtake a mail, agents who pause. So a few of those who wait are
followed in each line. How often they waited longer than the median and the p90 that were foretold moves one factor for
each up or down, until half and a tenth of them do. That keeps the interval honest whatever the discipline.

Nothing here may depend on who asked what before: the followed ones are part of the state. Hence sums of floating point
numbers are rounded once (`fsum`), whatever order the lines are walked in.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from math import ceil, fsum
from typing import TYPE_CHECKING

from msgspec import Struct

from router.engine import estimates
from router.engine.crews import Crew, crew, crew_of
from router.engine.estimates import Delay
from router.engine.order import ITEM_BITS
from router.engine.requirements import Node
from router.engine.transitions import CLOSED
from router.engine.views import Estimate

if TYPE_CHECKING:
    from router.engine.entities import Interaction
    from router.engine.lines import Lines
    from router.engine.matching import ClassKey, Matcher
    from router.engine.model import State
    from router.engine.order import Tier

Rank = tuple[int, float, int]

# What is older counts less: when a line has so many, all sums of its queue are halved.
MANY = 512
# Fewer finished contacts than this say nothing of how long they take.
FEW = 5
# So many at least must wait for the age of the oldest to say something.
SOME = 3

# Followed at once in one line, how far apart they begin, and how many who wait are passed over between two: none at
# first, and at most so many, because to foretell costs as much as to route a few.
FOLLOWED = 4
APART_MS = 1_000
# Of all lines together so many begin in that time: with many lines, to foretell looks at all of them.
AT_ONCE = 8
PASSED_OVER = 16
# One of those followed is looked at when so many more are finished; a power of two.
LOOK_EVERY = 4
# What one outcome moves a factor by: less and less, but never so little that it could not follow a change. The balance
# of rises and falls is where a tenth (a half) of them are late.
FIRST_STEP, LAST_STEP = 10, 50  # 1 / n
LEAST, MOST = 1 / 64, 64.0


class Followed(Struct, array_like=True, gc=False):
    """One that waits, and what was foretold of it."""

    interaction: int
    at_ms: int
    p50_ms: int
    p90_ms: int


class Pace(Struct, array_like=True):
    """What the contacts of one queue and channel came to of late."""

    finished: int = 0  # times that an agent let go of one
    handled_ms: int = 0  # from accepting to letting go, in all
    waited_ms: int = 0  # in all, by those who were served and those who gave up
    left: int = 0  # gave up
    followed: list[Followed] = []
    next_ms: int = 0  # nobody else is followed, or tried, before
    outcomes: int = 0
    factor50: float = 1.0
    factor90: float = 1.0
    passed: int = 0  # who had to wait since the last one that is followed


# --- learning ---------------------------------------------------------------------------------------------------------


def pace_of(s: State, item: Interaction) -> Pace:
    """What is known of its line; made where nothing is yet."""
    paces = s.paces.get(item.queue)
    if paces is None:
        paces = s.paces[item.queue] = {}
    pace = paces.get(item.born.channel)
    if pace is None:
        pace = paces[item.born.channel] = Pace()
    return pace


def learn(s: State, item: Interaction, at_ms: int) -> None:
    """An agent is done with it."""
    pace = pace_of(s, item)
    accepted = item.accepted_at_ms
    pace.finished += 1
    pace.handled_ms += at_ms - accepted
    if s.suspensions:
        pace.handled_ms -= s.aside_ms(item, at_ms)
    since = item.waits_since_ms
    if accepted > since:  # or it was handed from one agent to the next, and waited before the first of them
        pace.waited_ms += accepted - since
    if pace.finished >= MANY:
        _halve(s.paces[item.queue])
    if pace.followed:
        _look(s, pace, item, at_ms)


def learn_left(s: State, item: Interaction, at_ms: int) -> None:
    """Its customer would wait no longer."""
    pace = pace_of(s, item)
    pace.left += 1
    pace.waited_ms += at_ms - item.waits_since_ms
    if pace.left >= MANY:
        _halve(s.paces[item.queue])
    if pace.followed:
        _look(s, pace, item, at_ms)


def forget(s: State) -> None:
    """What is known of queues and channels that the configuration has no more."""
    for queue in [name for name in s.paces if name not in s.queues]:
        del s.paces[queue]
    for paces in s.paces.values():
        for channel in [name for name in paces if name not in s.config.channels]:
            del paces[channel]


def _halve(paces: dict[str, Pace]) -> None:
    """Of all channels of a queue at once, so that they keep their proportion."""
    for pace in paces.values():
        pace.finished //= 2
        pace.handled_ms //= 2
        pace.waited_ms //= 2
        pace.left //= 2


def follow(s: State, item: Interaction, at_ms: int) -> None:
    """It came just now, and others wait: foretell its wait, unless enough are followed in its line."""
    pace = pace_of(s, item)
    pace.passed += 1
    if pace.passed < PASSED_OVER and pace.passed < pace.outcomes:
        return
    if at_ms < pace.next_ms or len(pace.followed) >= FOLLOWED:
        return
    pace.passed = 0
    pace.next_ms = at_ms + _apart_ms(s)  # if nothing can be told now, the next one need not ask again at once
    told = forecast(s, item, at_ms)
    if told.method == QUEUE_LENGTH:
        p50, p90 = ceil(told.p50_ms * pace.factor50), ceil(told.p90_ms * pace.factor90)
        pace.followed.append(Followed(item.number, at_ms, p50, p90))
        pace.next_ms = at_ms + max(_apart_ms(s), p90 // FOLLOWED)


def follow_no_more(s: State, item: Interaction) -> None:
    """It waits for an agent by name, and not for what was foretold."""
    pace = pace_of(s, item)
    pace.followed = [one for one in pace.followed if one.interaction != item.number]


def _apart_ms(s: State) -> int:
    return APART_MS * max(AT_ONCE, len(s.queues)) // AT_ONCE


def _look(s: State, pace: Pace, ended: Interaction, at_ms: int) -> None:
    """Judge the one that ended, if it was followed, and one other, each in turn: some wait for very long."""
    number = ended.number
    for one in pace.followed:
        if one.interaction == number:
            pace.followed.remove(one)
            _has_come_out(pace, one, ended, at_ms)
            break
    if pace.followed and not pace.finished % LOOK_EVERY:
        one = pace.followed.pop(0)
        item = s.interactions.get(one.interaction)
        if item is not None and not _has_come_out(pace, one, item, at_ms):
            pace.followed.append(one)


def _has_come_out(pace: Pace, one: Followed, item: Interaction, at_ms: int) -> bool:
    """Whether it is known if the wait was as foretold; if so, it is learned from."""
    if item.returned_at_ms >= one.at_ms:
        return True  # it went through other hands, so there is nothing to compare
    if item.owner:
        if item.accepted_at_ms > one.at_ms:  # or it did not wait at all
            _judge(pace, one, item.accepted_at_ms - one.at_ms, is_over=True)
        return True
    if at_ms - one.at_ms > one.p90_ms:  # late already, however much later it will be
        _judge(pace, one, at_ms - one.at_ms, is_over=True)
        return True
    if item.state == CLOSED:
        _judge(pace, one, item.ended_at_ms - one.at_ms, is_over=False)
        return True
    return False


def _judge(pace: Pace, one: Followed, waited_ms: int, is_over: bool) -> None:
    """Who gave up before the time foretold says nothing of whether that was right."""
    late50, late90 = waited_ms > one.p50_ms, waited_ms > one.p90_ms
    step = 1.0 / min(LAST_STEP, FIRST_STEP + pace.outcomes)
    pace.outcomes += 1
    if is_over or late50:
        pace.factor50 = _moved(pace.factor50, step / 2 if late50 else -step / 2)
    if is_over or late90:
        pace.factor90 = _moved(pace.factor90, 0.9 * step if late90 else -0.1 * step)


def _moved(factor: float, by: float) -> float:
    return min(MOST, max(LEAST, factor * (1.0 + by)))


# --- asking -----------------------------------------------------------------------------------------------------------

QUEUE_LENGTH, HEAD_OF_LINE = "queue-length", "head-of-line"


class Forecast(Struct, frozen=True, gc=False):
    """Of one that waits; before the factors of its line. `method` is "" where no wait can be told."""

    ahead: int  # of its queue
    competing: float  # of all queues, as far as they want the same agents
    method: str = ""
    samples: int = 0
    p50_ms: float = 0.0
    p90_ms: float = 0.0


def estimate(s: State, item: Interaction, now_ms: int) -> Estimate:
    """Of one that waits."""
    told = forecast(s, item, now_ms)
    if not told.method:
        return Estimate(told.ahead + 1, None)
    pace = s.paces.get(item.queue, {}).get(item.born.channel)
    f50, f90 = (pace.factor50, pace.factor90) if pace and told.method == QUEUE_LENGTH else (1.0, 1.0)
    p50 = ceil(told.p50_ms * f50 / 1_000)
    p90 = max(p50, ceil(told.p90_ms * f90 / 1_000), ceil(_held_ms(s, item, now_ms) / 1_000))
    return Estimate(told.ahead + 1, p50, p50, p90, told.method, told.samples)


def expected_ms(s: State, item: Interaction, now_ms: int) -> int | None:
    """The median of what one that waits will still wait; None while too little is known."""
    told = forecast(s, item, now_ms)
    if not told.method:
        return None
    pace = s.paces.get(item.queue, {}).get(item.born.channel)
    return ceil(told.p50_ms * (pace.factor50 if pace and told.method == QUEUE_LENGTH else 1.0))


def _held_ms(s: State, item: Interaction, now_ms: int) -> int:
    """How long it may wait for agents by name before it waits for all."""
    held = s.preferred.get(item.number)
    return max(0, held.until_ms - now_ms) if held is not None else 0


def _able(s: State, item: Interaction) -> Crew:
    """Who is present and could take it. Of what is preferred anybody, since a hold has an end; of what is required
    nobody but those."""
    key, held = s.matcher.class_keys[item.place], s.preferred.get(item.number)
    if held is None or not held.required:
        return crew(s.matcher, key.requirement, key.channel)
    agents = [s.agents[name] for name in held.agents if name in s.agents]
    return crew_of(s.matcher, [agent for agent in agents if agent.counted], key.requirement, key.channel)


def forecast(s: State, item: Interaction, now_ms: int) -> Forecast:
    m = s.matcher
    m.stand()
    return _foretell(s, item.queue, _able(s, item), m.rank_of(item, now_ms), now_ms, asked)


def asked(key: ClassKey) -> Node:
    """What a class asks for."""
    return key.requirement


def asked_alone(key: ClassKey) -> Node:
    """What it asks for without those who are lent to its queue."""
    return key.alone


def newcomer(s: State, queue: str, channel: str, node: Node, came_ms: int, now_ms: int, more: float = 0) -> Forecast:
    """Of somebody who came to the queue at that time and asks for this, as if nobody were lent to any queue (`lending`)
    and so many `more` were ahead."""
    m = s.matcher
    m.stand()
    if m.measured:
        m.measure()
    own = s.usual_tier(queue, channel).rank(came_ms << ITEM_BITS | s.last_interaction + 1, now_ms)
    return _foretell(s, queue, crew(m, node, s.channel_index[channel]), own, now_ms, asked_alone, more)


def _foretell(
    s: State, queue: str, able: Crew, own: Rank, now_ms: int, asks: Callable[[ClassKey], Node], more: float = 0
) -> Forecast:
    m = s.matcher
    ahead, parts, leaving = 0, [more], []
    for c in m.waiting_classes():
        n = ahead_in(m, c, own, now_ms)
        if n:
            other = m.class_keys[c]
            ahead += n if other.queue == queue else 0
            part = n * able.share_of(crew(m, asks(other), other.channel))
            parts.append(part)
            leaving.append(part * _impatience(s, other.queue, s.channels[other.channel]))
    return _put_together(s, queue, now_ms, able, ahead, fsum(parts), fsum(leaving))


def _put_together(
    s: State, queue: str, now_ms: int, able: Crew, ahead: int, competing: float, leaving: float
) -> Forecast:
    """`leaving`: how many of those ahead give up in a millisecond."""
    if not able.bits:
        return Forecast(ahead, competing)
    rate, samples = _rate(s, able)
    if samples < FEW:
        return _by_age(s, queue, now_ms, ahead, competing)
    delay = estimates.stages(able.slots() * rate, leaving / competing if competing else 0.0, competing)
    # The rate is known from so many only.
    delay = Delay(delay.mean, delay.variance + delay.mean * delay.mean / samples)
    p50, p90 = delay.quantile(estimates.Z50), delay.quantile(estimates.Z90)
    return Forecast(ahead, competing, QUEUE_LENGTH, samples, p50, p90)


def _rate(s: State, able: Crew) -> tuple[float, int]:
    """Finished contacts in a millisecond of one that they hold, by what they hold now; and on how many that rests."""
    held, finishing, samples = [], [], 0
    for name, paces in s.paces.items():
        queue = s.queues.get(name)
        if queue is None or not queue.active:
            continue
        finished, handled_ms = _handled(paces)
        if finished and handled_ms:
            theirs = queue.active * able.share_of(crew(s.matcher, queue.config.requirement))
            if theirs:
                held.append(theirs)
                finishing.append(theirs * finished / handled_ms)
                samples += finished
    return (fsum(finishing) / fsum(held), samples) if held else (0.0, 0)


def _handled(paces: dict[str, Pace]) -> tuple[int, int]:
    finished = handled_ms = 0
    for pace in paces.values():
        finished += pace.finished
        handled_ms += pace.handled_ms
    return finished, handled_ms


def _impatience(s: State, queue: str, channel: str) -> float:
    """How many give up in a millisecond of one that waits."""
    pace = s.paces.get(queue, {}).get(channel)
    return pace.left / pace.waited_ms if pace is not None and pace.waited_ms else 0.0


def _by_age(s: State, queue: str, now_ms: int, ahead: int, competing: float) -> Forecast:
    """The oldest of the queue has waited so long, and from one place to the next it takes an equal part of that."""
    waiting, oldest = s.queues[queue].waiting, s.matcher.oldest_of(queue)
    if waiting < SOME or oldest is None:
        return Forecast(ahead, competing)
    delay = estimates.head_of_line((now_ms - oldest) * (ahead + 1) / max(waiting, ahead + 1), ahead)
    p50, p90 = delay.quantile(estimates.Z50), delay.quantile(estimates.Z90)
    return Forecast(ahead, competing, HEAD_OF_LINE, waiting, p50, p90)


def ahead_in(m: Matcher, c: int, own: Rank, now_ms: int) -> int:
    """How many of a class come before that rank. In a class the older one comes first, so they are its first ones."""
    tier, cooling = m.class_keys[c].tier, m.cooling.get(c)
    n = sum(1 for x in cooling.values() if m.rank(x, tier, now_ms) < own) if cooling else 0
    if c in m.personal.all:
        # They keep their places, and take them when they are released; so nobody's place gets worse by that.
        n += _ahead_in_line(m.personal.lines, m.personal.all[c], tier, own, now_ms)
    return n + _ahead_in_line(m.waiting, c, tier, own, now_ms)


def _ahead_in_line(lines: Lines, line: int, tier: Tier, own: Rank, now_ms: int) -> int:
    if not lines.filled >> line & 1 or not tier.rank(lines.head[line], now_ms) < own:
        return 0
    rest, at = lines.purge(line), lines.at[line]  # so that what is stale is met once, and not in each forecast
    if at < len(rest) and tier.rank(rest[-1], now_ms) < own:
        return 1 + len(rest) - at  # nearly always, since whoever has just come is asked about most
    return 1 + bisect_left(rest, own, at, key=lambda entry: tier.rank(entry, now_ms)) - at
