"""The policies of the order over everything that waits, each told as the story that sets it apart (RT-1, RT-2)."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from random import Random
from typing import Any, get_args, get_type_hints

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine.config import Agent, Band, Channel, Config, Order, Queue, Rule
from router.engine.engine import Engine
from router.engine.explain import explain
from router.engine.inversions import inversions
from router.engine.latest import latest_overtaken_at_ms
from router.engine.lookups import estimate
from router.engine.order import LIMIT, RATE, SLOWER, STEPS, TIERS, Memory, Promise, Standing, factor
from router.engine.plan import check_config
from router.engine.requirements import Node
from router.engine.transitions import QUEUED
from router.errors import ConfigError
from tests.engine.support.office import Office, seconds
from tests.engine.support.walk import Walk

POLICIES = get_args(get_type_hints(Order)["policy"])


def house(
    policy: Any, queues: dict[str, Queue], agent: Agent | None = None, cap: int = 0, handle_times: bool | None = None
) -> Config:
    """Queues that one agent serves, each reached by its name."""
    return Config(
        channels={"email": Channel()},
        bands=(Band("urgent", seconds(0)), Band("normal", seconds(900)), Band("low")),
        skills=tuple(queues),
        order=Order(policy, handle_times, cap),
        queues=queues,
        rules=(
            *(
                Rule(f"{band}-{name}", name, to=(f"{band} {name}",), band=band)
                for band in ("urgent", "low")
                for name in queues
            ),
            *(Rule(name, name, to=(name,)) for name in queues),
        ),
        default_band="normal",
        agents={"ana": agent or Agent()},
    )


def queue(target_s: float, head_start_s: float = 0, **more: Any) -> Queue:
    return Queue(target=seconds(target_s), head_start=seconds(head_start_s), **more)


def came(office: Office, *arrivals: tuple[float, str]) -> dict[str, int]:
    """What arrives when (seconds from now), by the name of its queue; several of one queue as `name`, `name2`, ..."""
    start, found = office.now_ms, dict[str, int]()
    seen = Counter[str]()
    for at_s, name in arrivals:
        office.now_ms = start + int(at_s * 1_000)
        seen[name] += 1
        found[name if seen[name] == 1 else f"{name}{seen[name]}"] = office.arrive(recipient=name)
    return found


def served(office: Office, numbers: dict[str, int], step_s: float = 0) -> list[str]:
    """Ana comes and serves one after the other, each for so long; in which order?"""
    names = {number: name for name, number in numbers.items()}
    office.ready("ana")
    order = []
    while any(item.state == QUEUED or item.offers for item in office.state.interactions.values()):
        number = next(iter(office.state.offers.values())).interaction
        office.accept(number)
        order.append(names[number])
        office.now_ms += int(step_s * 1_000)
        office.complete(number)
    return order


@pytest.mark.promise("RT-1")
def test_ratio_knows_no_head_start() -> None:
    queues = {"calls": queue(20, 20), "mail": queue(60, 20)}
    for policy, first in (("ratio", "mail"), ("share-of-target", "calls")):
        office = Office(house(policy, queues))
        numbers = came(office, (0, "mail"), (20, "calls"))
        office.pass_s(6)  # mail: 26/60 or 46/60, calls: 6/20 or 26/20
        assert served(office, numbers)[0] == first


@pytest.mark.promise("RT-1")
def test_deadline_serves_what_is_due_first() -> None:
    office = Office(house("deadline", {"calls": queue(20), "mail": queue(60)}))
    numbers = came(office, (0, "mail"), (39, "calls"), (41, "calls"))
    office.pass_s(500)  # due at 60, 59 and 61
    assert served(office, numbers) == ["calls", "mail", "calls2"]


@pytest.mark.promise("RT-1", "RT-2")
def test_first_come_is_blind_to_targets_and_weights() -> None:
    office = Office(house("first-come", {"calls": queue(1, 20, weight=50.0), "mail": queue(3_600)}))
    numbers = came(office, (0, "mail"), (1, "calls"), (2, "mail"), (3, "calls"))
    assert served(office, numbers) == ["mail", "calls", "mail2", "calls2"]


@pytest.mark.promise("RT-1")
def test_priority_lets_the_shorter_target_always_go_first() -> None:
    office = Office(house("priority", {"calls": queue(20), "mail": queue(60)}))
    numbers = came(office, (0, "mail"), (1, "mail"), (700, "calls"), (701, "calls"))
    assert served(office, numbers) == ["calls", "calls2", "mail", "mail2"]


@pytest.mark.promise("RT-1")
def test_queue_ratio_serves_the_queue_that_most_exceeds_its_share() -> None:
    """Calls may be a quarter of all that waits: 2 of 6 are too many, 1 of 5 too few, 1 of 4 exactly right, and then the
    older goes first, 1 of 3 too many."""
    office = Office(house("queue-ratio", {"calls": queue(20, share=1.0), "mail": queue(60, share=3.0)}))
    numbers = came(office, *((i, "mail") for i in range(4)), (4, "calls"), (5, "calls"))
    assert served(office, numbers) == ["calls", "mail", "mail2", "calls2", "mail3", "mail4"]


@pytest.mark.promise("RT-1")
def test_left_out_a_share_is_weight_times_target() -> None:
    shares = house("queue-ratio", {"a": queue(20, weight=2.0), "b": queue(60), "c": queue(10, share=7.5)})
    measured = Office(shares).state.matcher.measured
    whole = sum(share for _, share, _ in measured)
    assert [Fraction(share, whole) for _, share, _ in measured] == [
        Fraction(40_000) / Fraction("100007.5"),
        Fraction(60_000) / Fraction("100007.5"),
        Fraction("7.5") / Fraction("100007.5"),
    ]


@pytest.mark.promise("RT-1")
def test_round_robin_lets_queues_take_turns() -> None:
    office = Office(house("round-robin", {"calls": queue(20), "mail": queue(60), "chat": queue(30)}))
    numbers = came(office, *((i, "mail") for i in range(4)), (4, "chat"), (5, "calls"), (6, "calls"))
    # In the first round all are equal, so the oldest goes first; mail was served before the others then, and so on.
    assert served(office, numbers) == ["mail", "chat", "calls", "mail2", "calls2", "mail3", "mail4"]


@pytest.mark.promise("RT-1")
def test_skill_level_serves_what_the_agent_is_best_at() -> None:
    queues = {name: queue(20, requirement=Node(skill=name)) for name in ("es", "en", "fr")}
    office = Office(house("skill-level", queues, Agent(skills={"en": 4, "es": 9, "fr": 4})))
    numbers = came(office, (0, "en"), (1, "fr"), (2, "en"), (3, "es"), (4, "fr"))
    assert served(office, numbers) == ["es", "en", "fr", "en2", "fr2"]
    office.pause("ana")
    numbers = came(office, (0, "en"), (1, "en"))
    told = estimate(office.state, numbers["en2"], office.now_ms)
    assert told is not None
    assert told.position == 2, "by age, as long as it is not known who will serve it"


@pytest.mark.promise("RT-1")
@pytest.mark.parametrize("policy", ["share-of-target", "ratio", "adaptive"])
@pytest.mark.parametrize("handle_times", [None, True, False])
def test_a_value_is_divided_by_how_long_this_agent_takes(policy: str, handle_times: bool | None) -> None:
    """Ana takes twice the usual on calls: 12/20 counts as 6/20, less than 20/60 of the mail."""
    ana = Agent(handle_times={"calls": seconds(480), "mail": seconds(600)})
    queues = {"calls": queue(20, handle_time=seconds(240)), "mail": queue(60)}
    office = Office(house(policy, queues, ana, handle_times=handle_times))
    numbers = came(office, (0, "mail"), (8, "calls"))
    office.pass_s(12)
    divided = policy != "ratio" if handle_times is None else handle_times
    assert served(office, numbers)[0] == ("mail" if divided else "calls")


@pytest.mark.promise("RT-1")
def test_of_two_who_come_free_at_once_each_gets_what_they_are_quick_at() -> None:
    """What comes first with one of those who are free goes first, and to whom its queue's rule says."""
    quick, slow = seconds(60), seconds(600)
    agents = {"ana": Agent(handle_times={"a": quick, "b": slow}), "ben": Agent(handle_times={"a": slow, "b": quick})}
    queues = {name: queue(20, handle_time=seconds(120), choice="fastest") for name in ("a", "b")}
    config = replace(house("ratio", queues, handle_times=True), agents={})
    office = Office(config)
    came(office, (0, "a"), (1, "b"))
    office.configure(replace(config, agents=agents))
    office.do(c.OpenSession(agent="ana", session="s"))
    office.do(c.OpenSession(agent="ben", session="s"))
    office.configure(replace(config, agents=agents, default_queue="a"))
    for name in agents:
        office.do(c.SetState(agent=name, state="ready"))
    assert office.offered_to(1) == ["ana"]
    assert office.offered_to(2) == ["ben"]


@pytest.mark.promise("RT-1")
@pytest.mark.parametrize("policy", POLICIES)
def test_a_band_is_above_every_policy(policy: str) -> None:
    office = Office(house(policy, {"a": queue(20), "b": queue(60)}))
    numbers = came(office, (0, "low a"), (1, "b"), (500, "urgent b"))
    assert served(office, numbers)[:1] == ["urgent b"]


@pytest.mark.promise("RT-1")
@pytest.mark.parametrize("policy", [p for p in POLICIES if p not in ("deadline", "first-come")])
def test_what_has_waited_its_cap_comes_before_all_else_in_its_band_by_age(policy: str) -> None:
    """Three targets: mail from the 180th second on. Calls then wait for it, those that have used theirs up as well."""
    ana = Agent(skills={"calls": 9, "mail": 1})
    queues = {
        "calls": queue(20, requirement=Node(skill="calls"), weight=1_000.0),
        "mail": queue(60, requirement=Node(skill="mail")),
    }
    config = house(policy, queues, ana, cap=3)
    for late_s, first in ((180.0, "mail"), (179.999, "calls")):
        office = Office(config)
        numbers = came(office, (0, "mail"), (late_s - 60, "calls"), (late_s, "calls"))
        if first == "calls":
            # Of the two calls the older has just used up three targets of its own.
            assert served(office, numbers)[0] == "calls"
        else:
            assert served(office, numbers)[:2] == ["mail", "calls"]


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.promise("RT-1")
def test_a_missed_target_raises_a_queue_and_a_kept_one_lowers_it() -> None:
    memory = Memory()
    memory.learn("good", True)
    memory.learn("bad", False)
    for _ in range(60):
        assert memory.learn("good", True) < 0 < memory.learn("bad", False)
    assert factor(memory.weights["good"]) < 1 < factor(memory.weights["bad"])


@pytest.mark.promise("RT-1")
def test_weights_move_against_one_another_and_stay_within_a_factor_of_twenty() -> None:
    """Their logarithms and the level that they are compared with always come to the same sum, until one is at its end;
    and a queue without traffic keeps its weight."""
    r, memory = Random(4), Memory()
    for hit in (True, False):
        memory.learn("idle", hit)
    still = memory.weights["idle"]
    for _ in range(RATE * SLOWER):
        memory.learn(r.choice("ab"), r.random() < 0.8)
    start = sum(memory.weights.values()) + SLOWER * memory.kept
    for _ in range(10_000):
        memory.learn(r.choice("ab"), r.random() < 0.8)
        assert memory.weights["idle"] == still
        assert sum(memory.weights.values()) + SLOWER * memory.kept == start
    for _ in range(100_000):
        memory.learn("a", False)
        memory.learn("b", True)
    assert (memory.weights["a"], memory.weights["b"]) == (LIMIT, -LIMIT)
    assert 19.9 < factor(LIMIT) < 20.1
    assert factor(-LIMIT) == pytest.approx(1 / factor(LIMIT))


@pytest.mark.promise("RT-1")
def test_one_contact_moves_a_weight_by_a_hundredth_at_most() -> None:
    for heard in (0, 1, 7, 400):
        for kept in (0, STEPS // 2, STEPS):
            for hit in (True, False):
                memory = Memory(kept, heard=heard)
                assert abs(memory.learn("a", hit)) <= STEPS // 100
                assert 0 <= memory.kept <= STEPS


@pytest.mark.promise("RT-1", "RT-2")
@pytest.mark.parametrize("hit", [True, False])
def test_while_all_fare_alike_nothing_is_learned(hit: bool) -> None:
    """However much more traffic one queue has than another."""
    memory = Memory()
    for n in range(2_000):
        memory.learn("small" if n % 50 == 0 else "large", hit)
    assert set(memory.weights.values()) == {0}


@pytest.mark.promise("RT-2")
def test_a_few_missed_targets_are_chance_and_of_equals_the_older_still_goes_first() -> None:
    """What is learned counts once it is more than a tenth: eleven targets missed while all others were kept."""
    memory = Memory()
    for _ in range(RATE * SLOWER):
        memory.learn("good", True)
    for missed in range(1, 13):
        learned = memory.learn("bad", False)
        assert (factor(learned) > 1) == (missed > 10)
    assert factor(memory.weights["good"]) == 1


def adaptive() -> Office:
    return Office(house("adaptive", {"calls": queue(10), "mail": queue(10)}))


@pytest.mark.promise("RT-1", "DU-3")
def test_what_was_learned_is_remembered_by_snapshots_and_visible() -> None:
    """Mails are in time and calls are not, until calls go before mails that waited longer."""
    office = adaptive()
    for _ in range(30):
        served(office, came(office, (0, "mail")))
        office.pause("ana")
        office.pass_s(1)
        late = came(office, (0, "calls"))
        office.pass_s(11)
        served(office, late)
        office.pause("ana")
    both = came(office, (0, "mail"), (0.5, "calls"))
    office.pass_s(8)
    assert served(office, both) == ["calls", "mail"]
    weights = office.state.memory.weights
    assert factor(weights["calls"]) > 1 > factor(weights["mail"])
    restored = Engine.restore(office.engine.snapshot())
    assert restored.state.memory == office.state.memory
    assert restored.state.queues["calls"].standing.value == factor(weights["calls"])
    assert explain(office.state, office.arrive(recipient="mail"), office.now_ms)["learned_weight"] == pytest.approx(
        factor(weights["mail"]), abs=0.001
    )


@pytest.mark.promise("RT-1")
def test_who_leaves_before_the_target_says_nothing_and_who_leaves_after_it_was_missed() -> None:
    office = adaptive()
    served(office, came(office, (0, "calls")))
    office.pause("ana")
    before = replace(office.state.memory)
    numbers = came(office, (0, "calls"), (0, "mail"))
    office.pass_s(9)
    office.do(c.Leave(thread=office.thread(numbers["calls"])))
    assert office.state.memory == before
    office.pass_s(2)
    office.do(c.Leave(thread=office.thread(numbers["mail"])))
    assert office.state.memory.weights["mail"] > 0


@pytest.mark.promise("RT-1")
def test_a_queue_that_is_no_more_is_forgotten() -> None:
    office = adaptive()
    served(office, came(office, (0, "calls"), (0, "mail")))
    assert set(office.state.memory.weights) == {"calls", "mail"}
    office.configure(house("adaptive", {"mail": queue(10)}))
    assert set(office.state.memory.weights) == {"mail"}


# --- nothing waits for ever -------------------------------------------------------------------------------------------


@pytest.mark.promise("RT-1")
@pytest.mark.parametrize(
    ("policy", "cap", "to", "latest_s"),
    [
        ("share-of-target", 20, "a", 400),
        ("share-of-target", 0, "a", None),
        ("adaptive", 5, "a", 100),
        ("first-come", 0, "a", 0),
        ("deadline", 0, "a", 20),
        ("priority", 3, "a", 60),
        ("share-of-target", 20, "urgent a", 400),
        ("first-come", 20, "urgent a", 0),
    ],
)
def test_the_latest_time_is_told(policy: str, cap: int, to: str, latest_s: int | None) -> None:
    config = house(policy, {"a": queue(20)}, cap=cap)
    office = Office(
        replace(config, bands=config.bands[:1], default_band="urgent", rules=()) if " " not in to else config
    )
    office.configure(replace(office.state.config, default_queue="a"))
    number = office.arrive(recipient=to)
    expected = None if latest_s is None else office.item(number).enqueued_at_ms + latest_s * 1_000
    assert latest_overtaken_at_ms(office.state, office.item(number)) == expected
    assert explain(office.state, number, office.now_ms)["latest_overtaken_at_ms"] == expected


@pytest.mark.promise("RT-1")
def test_a_band_without_an_end_has_no_latest_time_and_one_with_an_end_has() -> None:
    office = Office(house("share-of-target", {"a": queue(20)}, cap=2))
    low, normal, urgent = (office.arrive(recipient=to) for to in ("low a", "a", "urgent a"))
    since = office.now_ms
    assert latest_overtaken_at_ms(office.state, office.item(low)) is None
    assert latest_overtaken_at_ms(office.state, office.item(normal)) == since + 900_000
    assert latest_overtaken_at_ms(office.state, office.item(urgent)) == since + 40_000
    office.pass_s(900)  # lifted into the first band
    assert latest_overtaken_at_ms(office.state, office.item(normal)) == since + 40_000


@pytest.mark.promise("RT-1", "RT-2")
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(2))
def test_under_overload_nothing_is_overtaken_after_its_latest_time(policy: str, seed: int) -> None:
    """Calls with a weight of a hundred come faster than they can be served. Whatever the policy, each piece of mail is
    served before every call that comes after its latest time."""
    r = Random(seed)
    queues = {"calls": queue(5, 5, weight=100.0), "chat": queue(10), "mail": queue(60, share=1e6)}
    config = house(policy, queues, cap=3)
    office = Office(replace(config, bands=config.bands[:1], default_band="urgent", rules=config.rules[-3:]))
    office.ready("ana")
    latest: dict[int, int] = {}
    order: list[int] = []
    for _ in range(120):
        office.now_ms += r.randint(500, 1_500)
        to = r.choices(("calls", "chat", "mail"), (6, 2, 1))[0]
        number = office.arrive(recipient=to)
        told = latest_overtaken_at_ms(office.state, office.item(number))
        assert told is not None
        latest[number] = told
        if r.random() < 0.6 and office.state.offers:
            order.append(next(iter(office.state.offers.values())).interaction)
            office.accept(order[-1])
            office.complete(order[-1])
    came_at = {number: item.enqueued_at_ms for number, item in office.state.interactions.items()}
    waiting = [n for n, item in office.state.interactions.items() if item.state == QUEUED]
    assert len(waiting) > 20
    overtaken = [
        (older, younger)
        for i, younger in enumerate(order)
        for older in (*order[i + 1 :], *waiting)
        if came_at[younger] > latest[older]
    ]
    assert overtaken == []


@pytest.mark.promise("RT-1")
def test_what_waited_out_its_band_while_somebody_had_it_comes_back_into_the_first_one() -> None:
    """Nothing wakes up for a band while an agent has the interaction; when it is back it is matched at once."""
    office = Office(house("share-of-target", {"a": queue(20)}, cap=2))
    number = office.arrive(recipient="a")
    office.ready("ana")
    office.accept(number)
    office.pass_s(901)
    newer = office.arrive(recipient="urgent a")
    out = office.do(c.Requeue(interaction=number, by="operator:sam"))
    assert e.BandRaised(number) in out.events
    assert office.item(number).lifted
    assert (office.offered_to(number), office.state_of(newer)) == (["ana"], "queued")


# --- every inversion has its reason -----------------------------------------------------------------------------------


def with_ana(office: Office) -> Engine:
    """The office as it would be if ana were free, before anything was offered to her."""
    engine = Engine.restore(office.engine.snapshot())
    engine.state.agents["ana"].declared, engine.state.agents["ana"].sessions = "ready", {"s": 1}
    return engine


@pytest.mark.promise("RT-2")
def test_an_inversion_is_told_with_its_reason() -> None:
    office = Office(house("priority", {"a": queue(20), "b": queue(60)}, cap=3))
    numbers = came(office, (0, "b"), (1, "a"), (2, "urgent b"), (3, "low a"))
    engine = with_ana(office)

    def said(name: str, cause: str = "routed") -> list[str]:
        offer = e.OfferMade(1, numbers[name], "ana", 0, cause)
        return [f"{x.older} {x.code}" for x in inversions(engine.state, offer, office.now_ms)]

    assert said("b") == []
    assert said("a") == ["1 step"]
    assert said("urgent b") == ["1 band", "2 band"]
    assert said("a", "assign") == ["1 by-hand"]
    assert "1 unexplained" in said("low a"), "the engine would not have offered that one"


@pytest.mark.promise("RT-2")
def test_urgency_and_too_long_a_wait_are_told_apart() -> None:
    office = Office(house("ratio", {"a": queue(20), "b": queue(600)}, cap=3))
    numbers = came(office, (0, "b"), (10, "a"))
    office.pass_s(50)
    engine = with_ana(office)
    offer = e.OfferMade(1, numbers["a"], "ana", 0)
    (found,) = inversions(engine.state, offer, office.now_ms)
    assert (found.code, found.older, found.agent) == ("urgency", numbers["b"], "ana")
    assert "2.5" in found.reason
    assert "0.1" in found.reason
    (found,) = inversions(engine.state, offer, office.now_ms + 10_000)
    assert found.code == "waited-out"


@pytest.mark.promise("RT-2")
def test_walks_pass_by_what_is_older_and_never_without_a_reason() -> None:
    """Each offer of every walk is looked at (`Oracle`), and one without a reason fails there."""
    met = Counter[str]()
    for seed in range(700, 740):
        met += Walk(seed, thrift=1_000).run(150).checked.oracle.reasons
    assert {"band", "urgency"} <= met.keys(), met
    assert met.total() >= 10, met


# --- tiers ------------------------------------------------------------------------------------------------------------


@pytest.mark.promise("RT-1", "RT-2")
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(5))
def test_inside_a_tier_older_is_never_later(policy: str, seed: int) -> None:
    """This is what lets the matcher look at heads alone."""
    r = Random(seed)
    promise = Promise(
        r.randint(0, 3), r.choice((0.1, 1.0, 7.3)), r.randint(1, 90_000), r.randint(0, 9_000), r.randint(1, 9_999),
        Standing(r.choice((0.3, -4.0 if policy in ("queue-ratio", "round-robin") else 2.0))),
    )  # fmt: skip
    tier = TIERS[policy](promise)
    entries = sorted(r.randrange(20_000) << 40 | n for n in range(1, 300))
    for now in (20_000, 25_000, 31_000):
        ranks = [tier.rank(entry, now) for entry in entries]
        assert ranks == sorted(ranks)


@pytest.mark.promise("RT-2")
def test_a_weight_means_the_decimal_that_was_written() -> None:
    """0.1 x 3 and 0.3 x 1 are equal on paper, though not in binary fractions; the older one goes first."""
    office = Office(house("ratio", {"a": queue(20, weight=0.3), "b": queue(20, weight=0.1)}))
    numbers = came(office, (0, "b"), (2, "a"))
    office.pass_s(1)  # b: 3 s x 0.1, a: 1 s x 0.3
    assert served(office, numbers) == ["b", "a"]


@pytest.mark.promise("RT-1", "OB-4")
@pytest.mark.parametrize(
    ("order", "path", "expected"),
    [(Order("first-come", True), "order.handle_times", "nothing to divide")],
)
def test_an_order_that_contradicts_itself_is_refused(order: Order, path: str, expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_config(replace(house("ratio", {"a": queue(20)}), order=order))
    assert path in str(refused.value)
    assert expected in str(refused.value)


@pytest.mark.promise("RT-1", "OB-4")
@pytest.mark.parametrize(
    ("agent", "line", "path"),
    [
        (Agent(handle_times={"b": seconds(1)}), queue(20), "agents.ana.handle_times.b"),
        (Agent(handle_times={"a": seconds(0)}), queue(20), "agents.ana.handle_times.a"),
        (Agent(), queue(20, handle_time=seconds(0)), "queues.a.handle_time"),
    ],
)
def test_handle_times_that_make_no_sense_are_refused(agent: Agent, line: Queue, path: str) -> None:
    with pytest.raises(ConfigError, match=path.replace(".", r"\.")):
        check_config(house("ratio", {"a": line}, agent))
