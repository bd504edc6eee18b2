"""What would wait too long in one queue waits in another one that would serve it soon, and never comes back (RT-11)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine import events as e
from router.engine import overflow, waits
from router.engine.config import Agent, Balance, Channel, Config, Overflow, Queue, Resort, Rule, Step
from router.engine.explain import explain
from router.engine.plan import check_config
from router.engine.pressure import expected_ms
from router.engine.requirements import Node
from router.errors import ConfigError
from tests.engine.support.office import Office, happened, seconds

pytestmark = pytest.mark.promise("RT-11")

PERIOD_S = 10
SKILLS = ("a", "b", "c")


def lines(ways: dict[str, tuple[Overflow, ...]], **more: dict[str, Any]) -> Config:
    """A queue for each skill, with two agents each; contacts name their queue as the recipient."""
    queues = {
        name: Queue(requirement=Node(skill=name), auto_accept=True, overflow=ways.get(name, ()), **more.get(name, {}))
        for name in SKILLS
    }
    return Config(
        channels={"email": Channel(), "chat": Channel(cap=3)},
        skills=SKILLS,
        queues=queues,
        rules=(
            Rule("spanish", "a", to=("spanish",), requirement=Node(language="es")),
            *(Rule(name, name, to=(name,)) for name in SKILLS),
        ),
        agents={f"{name}{i}": Agent(skills={name: 5}) for name in SKILLS for i in (1, 2)},
        balance=Balance(period=seconds(PERIOD_S)),
    )


def to(name: str, wait_s: float = 300, below_s: float = 60) -> tuple[Overflow, ...]:
    return (Overflow(name, seconds(wait_s), seconds(below_s)),)


def busy(config: Config, handle_s: float = 100.0) -> Office:
    """Everybody has finished ten contacts of `handle_s` each and has one more now; so a queue finishes one in half of
    that."""
    office = Office(config, ready=tuple(config.agents))
    for _ in range(10):
        held = [office.arrive(recipient=name[0]) for name in config.agents]
        office.pass_s(handle_s)
        for number in held:
            office.complete(number)
    for name in config.agents:
        office.arrive(recipient=name[0])
    return office


def come(office: Office, name: str, n: int) -> list[int]:
    return [office.arrive(recipient=name) for _ in range(n)]


def moves(office: Office, s: float = PERIOD_S) -> list[tuple[int, str]]:
    return [(x.interaction, x.queue) for x in happened(office.pass_s(s), e.Moved) if x.cause == "overflow"]


def test_those_who_would_wait_too_long_go_where_they_are_served_soon() -> None:
    """One is taken in 50 s: the seventh in line after 350 s. In b, where nobody waits, the next one after 50 s."""
    office = busy(lines({"a": to("b")}))
    numbers = come(office, "a", 8)
    waiting = [waits.expected_ms(office.state, office.item(n), office.now_ms) or 0 for n in numbers]
    late = [n for n, ms in zip(numbers, waiting, strict=True) if ms > 300_000]
    assert numbers[0] not in late
    assert len(late) >= 2
    assert moves(office) == [(late[-1], "b")], "one fits under the bound of b, not two"


def test_the_last_who_came_moves_and_keeps_its_time() -> None:
    office = busy(lines({"a": to("b")}))
    numbers = come(office, "a", 8)
    came = office.item(numbers[-1]).enqueued_at_ms
    assert moves(office) == [(numbers[-1], "b")]
    assert office.item(numbers[-1]).queue == "b"
    assert office.item(numbers[-1]).enqueued_at_ms == came


def test_a_queue_that_others_overflow_to_is_filled_to_its_bound_and_no_further() -> None:
    office = busy(lines({"a": to("b", 300, 240)}))
    come(office, "a", 40)
    sent = moves(office)
    assert 1 < len(sent) < 6
    requirement = office.state.config.queues["b"].requirement
    last = expected_ms(office.state, "b", "email", requirement, office.now_ms, office.now_ms, -1)
    assert last is not None
    assert last < 240_000
    assert moves(office) == [], "b has no more room"


def test_idle_agents_there_take_what_overflows_at_once() -> None:
    office = busy(lines({"a": to("b")}))
    for number in [n for n in office.state.interactions if office.item(n).queue == "b" and office.item(n).owner]:
        if office.state_of(number) == "active":
            office.complete(number)
    numbers = come(office, "a", 9)
    out = office.pass_s(PERIOD_S)
    sent = [x.interaction for x in happened(out, e.Moved)]
    assert {n for n in sent if office.state_of(n) == "active"} == {*numbers[-2:]}
    assert {office.item(n).owner for n in numbers[-2:]} == {"b1", "b2"}


def test_two_queues_that_overflow_to_one_another_send_nothing_to_and_fro() -> None:
    """Both are overloaded in turn; whoever went once stays, whatever becomes of the other queue."""
    office = busy(lines({"a": to("b", 100, 100), "b": to("a", 100, 100)}))
    come(office, "a", 12)
    gone = moves(office)
    assert gone
    for _ in range(8):  # now b is the one where it takes long, and a the one that is quick
        come(office, "b", 2)
        for number in [i.number for i in office.state.interactions.values() if i.queue == "a" and i.waits]:
            office.do(c.Close(interaction=number, by="operator:sam"))
        back = moves(office)
        assert not {number for number, _ in gone} & {number for number, _ in back}
        gone += back
    assert len({number for number, _ in gone}) == len(gone), "nothing overflows twice between two queues"


def test_nothing_overflows_more_often_than_allowed() -> None:
    config = lines({"a": to("b", 100, 100), "b": to("c", 100, 100)})
    config = replace(config, balance=replace(config.balance, overflows=1))
    office = busy(config)
    number = come(office, "a", 4)[-1]
    assert dict(moves(office))[number] == "b"
    come(office, "b", 6)
    office.do(c.Reprioritise(interaction=number, by="operator:sam", target_ms=3_600_000))
    assert number not in dict(moves(office)), "it is the last of b, but has moved once"


def test_two_hops_are_allowed_by_default() -> None:
    office = busy(lines({"a": to("b", 100, 100), "b": to("c", 100, 100)}))
    number = come(office, "a", 4)[-1]
    assert dict(moves(office))[number] == "b"
    office.do(c.Reprioritise(interaction=number, by="operator:sam", target_ms=3_600_000))
    come(office, "b", 6)
    found = dict(moves(office))
    assert found.get(number) == "c"


def test_a_queue_that_lets_nobody_come_is_left_out() -> None:
    full = lines({"a": (*to("b"), *to("c"))}, b={"max_length": 0, "when_full": Resort("end")})
    office = busy(full)
    number = come(office, "a", 8)[-1]
    assert moves(office) == [(number, "c")]


def test_where_nobody_is_ready_nothing_goes() -> None:
    office = busy(lines({"a": to("b")}))
    for name in ("b1", "b2"):
        office.pause(name)
    come(office, "a", 8)
    assert moves(office) == []


def test_what_is_asked_for_on_top_must_be_there_too() -> None:
    """Nobody in b speaks Spanish: the one who asks for it stays, the one who does not goes."""
    config = lines({"a": to("b")})
    office = busy(replace(config, agents={**config.agents, "a1": Agent(skills={"a": 5}, languages=("es",))}))
    plain = come(office, "a", 8)[-1]
    spanish = office.arrive(recipient="spanish")
    sent = [number for number, _ in moves(office)]
    assert sent == [plain]
    assert office.item(spanish).queue == "a"


def test_who_waits_for_one_agent_alone_stays() -> None:
    office = busy(lines({"a": to("b")}))
    plain, given = come(office, "a", 8)[-2:]
    office.do(c.Transfer(interaction=given, to=c.Target(agent="a1"), by="operator:sam"))
    assert [number for number, _ in moves(office)] == [plain]


def test_a_callback_stays() -> None:
    config = lines({"a": to("b")})
    channels = {**config.channels, "email": Channel(calls=("mail:",))}
    office = busy(replace(config, channels=channels))
    plain, called = come(office, "a", 8)[-2:]
    office.do(c.RequestCallback(thread=office.thread(called), to="+15550100"))
    assert [number for number, _ in moves(office)] == [plain]


def test_however_many_wait_a_check_looks_at_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overflow, "PORTION", 3)
    office = busy(lines({"a": to("b", 300, 300)}))
    numbers = come(office, "a", 12)
    assert [number for number, _ in moves(office)] == numbers[:-4:-1]
    assert [number for number, _ in moves(office)] == numbers[-4:-7:-1]


def test_what_overflows_waits_by_the_plan_of_its_new_queue() -> None:
    plan = (Step(after=seconds(1), drop_skills=("b",)),)
    office = busy(lines({"a": to("b")}, b={"relax": plan}))
    number = come(office, "a", 8)[-1]
    assert moves(office) == [(number, "b")]
    assert office.item(number).step == 1, "it has waited for longer than a second"


@pytest.mark.promise("EX-2")
def test_an_explanation_tells_that_it_may_overflow() -> None:
    office = busy(lines({"a": to("b")}))
    number = come(office, "a", 1)[0]
    told = explain(office.state, number, office.now_ms)["next_changes"]
    change = next(x for x in told if x["change"] == "overflow-checked")
    assert change["effect"] == "it is looked at whether it should wait in b"
    assert change["at_ms"] == office.state.balance_ms


@pytest.mark.promise("OB-4")
@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (to("a"), "queues.a.overflow[0].to: expected another queue, found 'a'"),
        (to("d"), "queues.a.overflow[0].to: expected a known queue (a, b, c), found 'd'"),
        ((*to("b"), *to("b")), "queues.a.overflow[1].to: expected a queue that no rule before it names, found 'b'"),
        (
            to("b", 60, 0),
            "queues.a.overflow[0].below: expected a duration longer than 0s: no wait is shorter, found 0s",
        ),
        (to("b", 60, 90), "queues.a.overflow[0].below: expected at most wait (1m), or it would be no gain to move"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(rules: tuple[Overflow, ...], says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_config(lines({"a": rules}))
    assert str(refused.value).startswith(says)
