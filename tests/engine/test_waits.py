"""The expected wait of whatever waits (RT-13): who is ahead, how fast, how sure."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from random import Random

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import waits
from router.engine.config import Agent, Channel, Config, Memory, Queue, Rule, to_bytes
from router.engine.engine import Engine
from router.engine.requirements import Node
from router.engine.transitions import QUEUED
from router.engine.views import Estimate
from tests.engine.support.office import Office, seconds

# --- what is counted --------------------------------------------------------------------------------------------------


def lines(**agents: tuple[str, ...]) -> Config:
    """A queue for each skill; contacts name theirs as the recipient."""
    skills = ("a", "b")
    return Config(
        channels={"email": Channel(), "chat": Channel(cap=3)},
        skills=skills,
        queues={name: Queue(requirement=Node(skill=name), auto_accept=True) for name in skills},
        rules=tuple(Rule(name, name, to=(name,)) for name in skills),
        agents={name: Agent(skills=dict.fromkeys(known, 5)) for name, known in agents.items()},
    )


def busy_office(handle_s: float = 100.0, **agents: tuple[str, ...]) -> Office:
    """Everybody has finished ten contacts of `handle_s` each and has one more now; nobody has given up."""
    office = Office(lines(**agents), ready=tuple(agents))
    for _ in range(10):
        held = [office.arrive(recipient=known[0]) for known in agents.values()]
        office.pass_s(handle_s)
        for number in held:
            office.complete(number)
    for known in agents.values():
        office.arrive(recipient=known[0])
    return office


def told(office: Office, number: int) -> Estimate:
    found = waits.estimate(office.state, office.item(number), office.now_ms)
    assert found is not None
    return found


@pytest.mark.promise("RT-13")
def test_the_wait_is_the_sum_of_the_stages_ahead() -> None:
    """Two agents finish one contact each in 100 s: one in 50 s together, so the third in line is taken after 150 s."""
    office = busy_office(ana=("a",), ben=("a",))
    first, _, third = (office.arrive(recipient="a") for _ in range(3))
    waiting = waits.forecast(office.state, office.item(third), office.now_ms)
    assert (waiting.ahead, waiting.competing, waiting.method, waiting.samples) == (2, 2.0, "queue-length", 20)
    assert told(office, first).position == 1
    assert told(office, third).position == 3
    # The median of three exponential stages of 50 s is 133.7 s; that the rate is known from 20 widens the interval.
    assert told(office, third).expected_wait_s == pytest.approx(133.7, rel=0.05)
    assert 260 < (told(office, third).p90_s or 0) < 300


@pytest.mark.promise("RT-13")
def test_only_contacts_that_the_order_serves_earlier_count() -> None:
    office = busy_office(ana=("a",))
    number = office.arrive(recipient="a")
    before = told(office, number)
    office.arrive(recipient="a")
    assert told(office, number) == before


@pytest.mark.promise("RT-13")
def test_contacts_for_other_agents_do_not_count() -> None:
    office = busy_office(ana=("a",), ben=("b",))
    for _ in range(5):
        office.arrive(recipient="b")
    number = office.arrive(recipient="a")
    assert waits.forecast(office.state, office.item(number), office.now_ms).competing == 0.0


@pytest.mark.promise("RT-13")
def test_of_a_queue_that_shares_agents_the_shared_part_counts() -> None:
    """Of the two who serve b, one serves a as well: half of those ahead are hers."""
    office = busy_office(ana=("a", "b"), ben=("b",))
    for _ in range(4):
        office.arrive(recipient="b")
    number = office.arrive(recipient="a")
    waiting = waits.forecast(office.state, office.item(number), office.now_ms)
    assert (waiting.ahead, waiting.competing) == (0, 2.0)


@pytest.mark.promise("RT-13")
def test_agents_who_leave_make_the_wait_longer_at_once() -> None:
    office = busy_office(ana=("a",), ben=("a",))
    number = office.arrive(recipient="a")
    before = told(office, number).expected_wait_s or 0
    office.pause("ben")
    assert told(office, number).expected_wait_s == pytest.approx(2 * before, rel=0.05)


@pytest.mark.promise("RT-13")
def test_with_nobody_there_no_wait_is_made_up() -> None:
    office = busy_office(ana=("a",))
    number = office.arrive(recipient="a")
    office.pause("ana")
    assert told(office, number) == Estimate(1, None)


@pytest.mark.promise("RT-13")
def test_while_data_is_thin_the_oldest_in_line_says_how_long() -> None:
    office = Office(lines(ana=("a",)), ready=("ana",))
    office.arrive(recipient="a")
    numbers = [office.arrive(recipient="a") for _ in range(2)]
    office.pass_s(60)
    assert told(office, numbers[-1]) == Estimate(2, None)  # two say nothing yet
    last = office.arrive(recipient="a")
    shown = told(office, last)
    assert (shown.position, shown.method, shown.samples) == (3, "head-of-line", 3)
    assert shown.expected_wait_s is not None
    assert shown.p90_s is not None
    assert 30 < shown.expected_wait_s <= 60 < shown.p90_s


@pytest.mark.promise("RT-13")
def test_patience_is_the_time_waited_for_each_who_gave_up() -> None:
    """Ten waited 60 s each and two of them gave up: one in 300 s, and not 60 s as those who gave up would have it."""
    office = busy_office(ana=("a",))
    pace = office.state.paces["a"]["email"]
    pace.waited_ms = 0
    for _ in range(2):
        number = office.arrive(recipient="a")
        office.pass_s(60)
        office.do(c.Leave(thread=office.thread(number)))
    assert (pace.left, pace.waited_ms) == (2, 120_000)


def test_what_is_learned_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "MANY", 32)
    office = Office(lines(ana=("a",)), ready=("ana",))
    for _ in range(waits.MANY + 10):
        number = office.arrive(recipient="a")
        office.now_ms += 10
        office.complete(number)
    pace = office.state.paces["a"]["email"]
    assert pace.finished == waits.MANY // 2 + 10
    assert pace.handled_ms == 10 * pace.finished
    office.configure(replace(lines(ana=("a",)), queues={"b": Queue(requirement=Node(skill="b"))}, rules=()))
    assert "a" not in office.state.paces


# --- how often it is right --------------------------------------------------------------------------------------------


class Floor:
    """Contacts by chance, agents who take so long by chance: told and real waits of all who had to wait."""

    def __init__(self, config: Config, handle_s: dict[str, float], patience_s: dict[str, float], seed: int) -> None:
        self.r = Random(seed)
        self.engine = Engine(quiet=True)
        self.handle_s, self.patience_s = handle_s, patience_s
        self.told: dict[int, tuple[str, int, Estimate]] = {}
        self.came: dict[int, tuple[str, int]] = {}
        self.waited: list[tuple[str, float, Estimate, int]] = []  # queue, how long, what was told, when it came
        self.later: list[tuple[int, int, str, int]] = []
        self.do(c.Configure(document=to_bytes(config)), 1)
        for name in config.agents:
            self.do(c.OpenSession(agent=name, session="s"), 1)
            self.do(c.SetState(agent=name, state="ready"), 1)

    def run(self, arrivals: Iterator[tuple[int, str, str]]) -> Floor:
        """(when, channel, queue) in order of time."""
        for at_ms, channel, queue in arrivals:
            self._until(at_ms)
            number = self.engine.state.last_interaction + 1
            self.came[number] = (queue, at_ms)
            self.do(c.Arrive(channel=channel, threads=(f"t:{number}",), recipient=queue), at_ms)
            item = self.engine.state.interactions[number]
            if item.state == QUEUED:
                self.told[number] = (queue, at_ms, waits.estimate(self.engine.state, item, at_ms))
                if queue in self.patience_s:
                    gone = at_ms + int(self.r.expovariate(1 / self.patience_s[queue]) * 1_000)
                    heappush(self.later, (gone, number, "", 0))
        return self

    def _until(self, at_ms: int) -> None:
        while self.later and self.later[0][0] <= at_ms:
            now, number, agent, _ = heappop(self.later)
            if agent:
                self.do(c.Complete(agent=agent, interaction=number), now)
            elif self.told.pop(number, None) is not None:
                self.do(c.Leave(thread=f"t:{number}"), now)

    def do(self, command: c.AnyCommand, now: int) -> None:
        for event in self.engine.handle(command, now).events:
            if type(event).__name__ == "OfferAccepted":
                number, agent = event.interaction, event.agent  # type: ignore[attr-defined]
                queue, _ = self.came.pop(number)
                shown = self.told.pop(number, None)
                if shown is not None:
                    self.waited.append((queue, (now - shown[1]) / 1_000, shown[2], shown[1]))
                work = max(1, int(self.r.expovariate(1 / self.handle_s[queue]) * 1_000))
                heappush(self.later, (now + work, number, agent, 0))


def poisson(r: Random, rates: dict[tuple[str, str], list[tuple[float, float]]]) -> Iterator[tuple[int, str, str]]:
    """Arrivals of (channel, queue) at rates per second, each for so many hours."""
    found = []
    for (channel, queue), periods in rates.items():
        at = begin = 0.0
        for hours, rate in periods:
            at, end = begin, begin + hours * 3_600
            while (at := at + r.expovariate(rate)) < end:
                found.append((1_000 + int(at * 1_000), channel, queue))
            begin = end
    return iter(sorted(found))


def covered(waited: list[tuple[str, float, Estimate, int]]) -> float:
    known = [(real, shown.p90_s) for _, real, shown, _ in waited if shown.p90_s is not None]
    return sum(real <= p90 for real, p90 in known) / len(known)


def staffed(targets: dict[str, float], groups: dict[str, tuple[int, tuple[str, ...]]], caps: int = 1) -> Config:
    agents = {f"{g}{i}": Agent(skills=dict.fromkeys(known, 5)) for g, (n, known) in groups.items() for i in range(n)}
    return Config(
        channels={"work": Channel(cap=caps)},
        skills=tuple(targets),
        queues={
            name: Queue(requirement=Node(skill=name), auto_accept=True, target=seconds(target))
            for name, target in targets.items()
        },
        rules=tuple(Rule(name, name, to=(name,)) for name in targets),
        agents=agents,
        memory=Memory(closed=1),
    )


@pytest.mark.promise("RT-13")
def test_nine_of_ten_wait_no_longer_than_told_in_steady_state() -> None:
    config = staffed({"q": 20}, {"g": (10, ("q",))})
    floor = Floor(config, {"q": 180}, {"q": 300}, seed=1).run(
        poisson(Random(1), {("work", "q"): [(60, 1.1 * 10 / 180)]})
    )
    settled = floor.waited[300:]
    assert 0.85 < covered(settled) < 0.95


@pytest.mark.promise("RT-13")
def test_and_after_a_step_in_arrivals() -> None:
    """Every fourth hour half as many again come as can be served; before that, there was time to spare."""
    config = staffed({"q": 20}, {"g": (20, ("q",))})
    full = 20 / 180
    floor = Floor(config, {"q": 180}, {"q": 300}, seed=2).run(
        poisson(Random(2), {("work", "q"): [(3, 0.85 * full), (1, 1.5 * full)] * 10})
    )
    after = [w for w in floor.waited if w[3] // 3_600_000 % 4 == 3]
    assert len(after) > 2_000
    assert 0.85 < covered(after) < 0.95


@pytest.mark.promise("RT-13")
def test_and_with_several_queues_and_skills() -> None:
    """Specialists and generalists, different targets, customers who give up: no formula holds here."""
    config = staffed({"a": 20, "b": 120}, {"g": (5, ("a", "b")), "s": (5, ("b",))})
    rates = {("work", "a"): [(70.0, 0.025)], ("work", "b"): [(70.0, 0.035)]}
    floor = Floor(config, {"a": 180, "b": 180}, {"a": 240, "b": 240}, seed=3).run(poisson(Random(3), rates))
    for queue in ("a", "b"):
        assert 0.85 < covered([w for w in floor.waited[300:] if w[0] == queue]) < 0.96, queue


@pytest.mark.promise("RT-13")
def test_and_where_several_contacts_are_handled_at_once() -> None:
    config = staffed({"q": 60}, {"g": (5, ("q",))}, caps=3)
    floor = Floor(config, {"q": 600}, {"q": 900}, seed=4).run(poisson(Random(4), {("work", "q"): [(120, 15 / 600)]}))
    assert 0.85 < covered(floor.waited[200:]) < 0.95


# --- a place in line --------------------------------------------------------------------------------------------------


@pytest.mark.promise("RT-13")
@pytest.mark.parametrize("seed", range(4))
def test_a_place_is_lost_only_to_what_goes_first(seed: int) -> None:
    """Whoever is ahead now and was not before has the higher priority now, and came in, came back or caught up."""
    r = Random(seed)
    office = Office(lines(ana=("a",), ben=("a",)))
    for name in ("ana", "ben"):
        office.ready(name)
    numbers: list[int] = []
    before: dict[int, int] = {}
    risen = 0
    for _ in range(80):
        pick = r.random()
        if pick < 0.5 or not numbers:
            numbers.append(office.arrive(r.choice(("email", "chat")), recipient="a"))
            if r.random() < 0.3:
                weight = r.choice((3.0, 0.2))
                office.checked.try_to(c.Reprioritise(interaction=numbers[-1], by="o", weight=weight), office.now_ms)
        elif pick < 0.7:
            office.checked.try_to(
                c.Complete(agent=r.choice(("ana", "ben")), interaction=r.choice(numbers)), office.now_ms
            )
        elif pick < 0.8:
            office.checked.try_to(c.Requeue(interaction=r.choice(numbers), by="o"), office.now_ms)
        office.now_ms += r.choice((0, 1_000, 30_000))
        s, m = office.state, office.state.matcher
        waiting = [item for item in s.interactions.values() if item.state == QUEUED]
        ranks = {item.number: m.rank_of(item, office.now_ms) for item in waiting}
        for item in waiting:
            position = told(office, item.number).position
            assert position == 1 + sum(rank < ranks[item.number] for rank in ranks.values())
            risen += position > before.get(item.number, position)
            before[item.number] = position
    assert risen, "nobody lost a place: the test shows nothing"
