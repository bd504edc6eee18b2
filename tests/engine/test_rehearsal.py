"""A dry run lists what would move, and moves nothing (RT-12)."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from router.engine import commands as c
from router.engine.config import Agent, Config, to_bytes
from router.engine.decide import decide
from router.engine.engine import Engine
from router.engine.entities import Interaction
from router.engine.model import State
from router.engine.rehearsal import Changes, rehearse
from router.engine.requirements import Node
from router.engine.transitions import OFFERED, QUEUED
from router.errors import ClientError, ConfigError
from tests.engine.support.office import OFFICE, Office, agents_with, office_with, seconds
from tests.engine.support.walk import Walk, a_config

pytestmark = pytest.mark.promise("RT-12")


def changes(office: Office, config: Config) -> Changes:
    before = office.engine.snapshot()
    found = list(rehearse(office.state, to_bytes(config)))[-1]
    assert office.engine.snapshot() == before, "nothing has changed"
    return found


def test_the_same_configuration_changes_nothing() -> None:
    office = Office(ready=("ana",))
    office.arrive()
    office.arrive()
    assert changes(office, OFFICE) == Changes(agents={"added": 0, "removed": 0, "changed": 0})


def test_it_says_which_who_wait_would_have_another_requirement_or_target() -> None:
    office = Office()
    numbers = [office.arrive() for _ in range(7)]
    office.arrive("chat", recipient="x")
    found = changes(office, office_with(requirement=Node(skill="sales"), targets={"email": seconds(90)}))
    change = found.queues["support"]
    assert (change.waiting, change.requirement, change.target, change.band) == (8, 8, 7, 0)
    assert [example["interaction"] for example in change.examples] == [f"i-{n}" for n in numbers[:5]]
    assert change.examples[0]["target"] == {"from": 20_000, "to": 90_000}
    assert change.examples[0]["requirement"] == {"from": {"skill": "support"}, "to": {"skill": "sales"}}


def test_it_says_which_offers_would_be_withdrawn() -> None:
    office = Office(ready=("ana", "ben"))
    first, second = office.arrive(), office.arrive()
    found = changes(office, agents_with(OFFICE, ana=OFFICE.agents["ana"], ben=Agent(skills={"sales": 3})))
    assert {tuple(office.offered_to(n)) for n in (first, second)} == {("ana",), ("ben",)}
    assert (found.offers_withdrawn, len(found.withdrawn)) == (1, 1)
    assert found.agents == {"added": 0, "removed": 1, "changed": 1}
    assert (found.agents_removed, found.agents_changed) == (["sue"], ["ben"])


def test_it_says_how_many_wait_beyond_the_new_length() -> None:
    office = Office()
    for _ in range(5):
        office.arrive()
    assert changes(office, office_with(max_length=2)).queues["support"].beyond_length == 3


def terms(s: State, item: Interaction) -> tuple[Any, ...]:
    queue = s.config.queues[item.queue]
    return s.requirement_of(item), s.band_of(item), item.weight or queue.weight, s.target_ms(item), queue.clock


@pytest.mark.parametrize("seed", range(900, 906))
def test_what_it_foretells_is_what_happens(seed: int) -> None:
    """Over histories by chance: as many in each queue as have other terms once the configuration holds."""
    walk, r = Walk(seed, thrift=10_000), Random(seed + 1)
    compared = 0
    for _ in range(20):
        walk.run(30)
        document = to_bytes(a_config(r))
        try:
            decide(walk.state, walk.checked.engine.plan, c.Configure(document=document), walk.now_ms)
        except (ClientError, ConfigError):
            continue
        foretold = list(rehearse(walk.state, document))[-1]
        before = {n: terms(walk.state, item) for n, item in waiting(walk.state).items()}
        after = Engine.restore(walk.checked.engine.snapshot()).state
        after.adopt(document)
        moved = Counter(after.interactions[n].queue for n in before if terms(after, after.interactions[n]) != before[n])
        assert {name: change.waiting for name, change in foretold.queues.items() if change.waiting} == dict(moved)
        compared += len(before)
    assert compared, "something waited"


def waiting(s: State) -> dict[int, Interaction]:
    return {n: item for n, item in s.interactions.items() if item.state in (QUEUED, OFFERED)}
