"""Whatever adds capacity or eligibility serves the best fitting item in the same command (RT-5).

That nothing fitting waits beside anybody idle is checked after every command of every test; here each event that could
leave something waiting is met on purpose.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from router.engine import commands as c
from router.engine.config import Agent, Presence
from router.engine.engine import Engine
from router.engine.events import Record
from router.engine.requirements import Node
from tests.engine.support.office import OFFICE, WRAPS, Office, agents_with, made, office_with, seconds

pytestmark = pytest.mark.promise("RT-5")

ALONE = agents_with(OFFICE, ana=Agent(skills={"support": 5}))
NO_SKILL = agents_with(OFFICE, ana=Agent(skills={}))
Story = Callable[[Office], object]


def busy(office: Office) -> int:
    """Ana has an email, and two more wait for her."""
    office.ready("ana")
    number = office.active()
    office.arrive(), office.arrive()
    return number


def close(office: Office) -> object:
    return office.complete(busy(office))


def sign_in(office: Office) -> object:
    office.do(c.SetState(agent="ana", state="ready"))
    office.arrive(), office.arrive()
    return office.do(c.OpenSession(agent="ana", session="s"))


def un_pause(office: Office) -> object:
    office.do(c.OpenSession(agent="ana", session="s"))
    office.arrive(), office.arrive()
    return office.do(c.SetState(agent="ana", state="ready"))


def take_back_a_pause(office: Office) -> object:
    office.ready("ana")
    office.active("chat")
    office.pause("ana")
    office.arrive(), office.arrive()
    return office.do(c.SetState(agent="ana", state="ready"))


def skill_added(office: Office) -> object:
    office.configure(NO_SKILL)
    office.ready("ana")
    office.arrive(), office.arrive()
    return office.configure(ALONE)


def requirement_dropped(office: Office) -> object:
    office.configure(NO_SKILL)
    office.ready("ana")
    office.arrive(), office.arrive()
    return office.configure(office_with(NO_SKILL, requirement=Node(all=())))


def limit_raised(office: Office) -> object:
    busy(office)
    return office.configure(agents_with(OFFICE, ana=Agent(skills={"support": 5}, caps={"email": 2})))


def wrap_up_over(office: Office) -> object:
    office.configure(agents_with(WRAPS, **ALONE.agents))
    number = busy(office)
    office.complete(number)
    return office.pass_s(30)


def wrap_up_finished(office: Office) -> object:
    office.configure(agents_with(WRAPS, **ALONE.agents))
    number = busy(office)
    office.complete(number)
    return office.do(c.FinishWrapUp(agent="ana", interaction=number))


def customer_left(office: Office) -> object:
    return office.do(c.Leave(thread=office.thread(busy(office))))


def transferred_away(office: Office) -> object:
    return office.do(c.Transfer(agent="ana", interaction=busy(office), to=c.Target(queue="sales")))


def closed_by_an_operator(office: Office) -> object:
    return office.do(c.Close(interaction=busy(office), by="operator:sam"))


def lease_ran_out(office: Office) -> object:
    office.ready("ana")
    office.active("phone", lease_ms=10_000)
    office.arrive(), office.arrive()
    return office.pass_s(10)


def offer_expired(office: Office) -> object:
    office.ready("ana")
    office.arrive(), office.arrive()
    return office.pass_s(20)


def offer_withdrawn(office: Office) -> object:
    office.ready("ana")
    number = office.arrive()
    office.arrive()
    return office.do(c.Leave(thread=office.thread(number)))


def returned_by_timer(office: Office) -> object:
    office.configure(replace(ALONE, presence=Presence(misses=1, return_after=seconds(60))))
    office.ready("ana")
    office.arrive(), office.arrive()
    office.pass_s(20)
    return office.pass_s(60)


def transferred_here(office: Office) -> object:
    office.ready("ana")
    number = office.arrive()
    office.do(c.Transfer(interaction=number, to=c.Target(queue="sales"), by="operator:sam"))
    return office.do(c.Transfer(interaction=number, to=c.Target(queue="support"), by="operator:sam"))


def everybody_else_left(office: Office) -> object:
    office.configure(agents_with(OFFICE, **ALONE.agents, ben=Agent(skills={"support": 1})))
    office.ready("ben")
    office.active()
    office.ready("ana")
    office.decline(office.arrive())  # waits for ben
    return office.sign_out("ben")


def restarted(office: Office) -> object:
    office.do(c.SetState(agent="ana", state="ready"))
    office.arrive(), office.arrive()
    office.checked.restart(office.now_ms)
    return office.do(c.OpenSession(agent="ana", session="s"))


STORIES: list[Story] = [
    close,
    sign_in,
    un_pause,
    take_back_a_pause,
    skill_added,
    requirement_dropped,
    limit_raised,
    wrap_up_over,
    wrap_up_finished,
    customer_left,
    transferred_away,
    closed_by_an_operator,
    lease_ran_out,
    offer_expired,
    offer_withdrawn,
    returned_by_timer,
    transferred_here,
    everybody_else_left,
    restarted,
]


@pytest.mark.parametrize("story", STORIES, ids=[story.__name__ for story in STORIES])
def test_it_serves_the_best_at_once(story: Story) -> None:
    office = Office(ALONE)
    out = story(office)
    waiting = [item.number for item in office.state.interactions.values() if item.waits and item.queue == "support"]
    offered = made(out)  # type: ignore[arg-type]
    assert offered
    assert offered[0][1] == "ana"
    assert all(offered[0][0] < number for number in waiting), "the oldest of what waits goes first"


def test_an_engine_that_was_just_restored_looks_at_everybody() -> None:
    """Torn after the fact and before the offers that followed from it, a journal leaves work beside an idle agent."""
    office = Office(ALONE, ready=("ana",))
    facts = office.engine.handle(c.Arrive(channel="email", threads=("m",)), office.now_ms).events
    torn = Engine.restore(office.checked.shadow.snapshot())
    torn.apply(Record(office.now_ms, "", facts[0]))  # type: ignore[arg-type]
    torn.resume()
    assert made(torn.handle(c.Tick(), office.now_ms)) == [(1, "ana")]
